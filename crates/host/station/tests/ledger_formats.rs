// SPDX-License-Identifier: Apache-2.0

//! Ledgers of formats 1 and 2, which programs before this one have made: read, audited, and continued in a new ledger; and
//! ledgers of this format that are continued.

mod common;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use common::edits::{LINKS, sample, tamper};
use common::formats::{OLD, Old};
use common::{attempt, audited, enter, entry, links};
use station::ledger::{
    Continued, Entry, Fact, Ledger, LedgerError, Link, New, NewEntry, Origin, Problem, Receipt,
    Refusal, Withdrawal, continued_file_of, head_file_of,
};
use station::record::{self, Wanted};
use tempfile::TempDir;

const KEY: [u8; 32] = [0x5A; 32];

fn hash(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    assert_eq!(base16ct::lower::decode(text, &mut hash).unwrap().len(), 32);
    hash
}

/// A folder with the old ledger, and where the new one is to be.
fn folder(old: &Old) -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (path, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    old.put(&path);
    (folder, path, new)
}

/// What the commands check of each entry.
fn check(entry: &Entry) -> Result<(), String> {
    let wanted = Wanted { allow_dummy: true, ..Wanted::default() };
    let record = record::verify(&entry.record, &wanted).map_err(|error| error.to_string())?;
    if record.identity == entry.identity { Ok(()) } else { Err(String::from("another part")) }
}

fn continue_in(old: &Path, new: &Path) -> Result<Ledger, LedgerError> {
    Ledger::open(old)?.continue_in(new, None, Some(KEY), Some(String::from("lot 8")), check)
}

fn starts(name: &OsString, with: &str) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(with))
}

fn entries(links: &[Link]) -> Vec<Entry> {
    links.iter().filter_map(|link| link.entry().cloned()).collect()
}

#[test]
fn an_old_ledger_is_read_and_audited() {
    for old in &OLD {
        let (_folder, path, _) = folder(old);
        let ledger = Ledger::open(&path).unwrap();
        let head = Receipt { number: old.links, hash: hash(old.head) };
        assert_eq!(ledger.head().unwrap(), head);
        assert_eq!(ledger.entries().unwrap(), old.entries);
        assert_eq!(ledger.origin().unwrap(), Origin::default());
        let found = ledger.audit(Some(head.hash), check, |_| ()).unwrap();
        assert_eq!(found.problems, []);
        assert_eq!((found.head, found.entries), (head, old.entries));
        assert_eq!(ledger.audit(Some([0; 32]), check, |_| ()).unwrap().problems, []);
        let other = ledger.audit(Some([1; 32]), check, |_| ()).unwrap();
        assert_eq!(other.problems, [Problem::Head]);
        let links = links(&ledger);
        assert_eq!(links.len() as u64, old.links);
        assert_eq!(entries(&links).len() as u64, old.entries);
        assert!(ledger.not_done().unwrap().is_empty());
    }
}

/// What a person changes who removes the triggers: each column, and rows at the end and before it.
#[test]
fn an_audit_sees_edits_of_an_old_ledger() {
    const EDITS_1: [&str; 12] = [
        "UPDATE entries SET time = '2026-11-27T15:06:30.752Z' WHERE number = 2",
        "UPDATE entries SET time = 'x' WHERE number = 2",
        "UPDATE entries SET port = 'x' WHERE number = 2",
        "UPDATE entries SET device_id = zeroblob(8) WHERE number = 2",
        "UPDATE entries SET implementation_id = zeroblob(32) WHERE number = 2",
        "UPDATE entries SET ueid = zeroblob(33) WHERE number = 2",
        "UPDATE entries SET public_key = zeroblob(65) WHERE number = 2",
        "UPDATE entries SET record = zeroblob(65) WHERE number = 2",
        "UPDATE entries SET previous = zeroblob(32) WHERE number = 2",
        "UPDATE entries SET hash = zeroblob(32) WHERE number = 3",
        "DELETE FROM entries WHERE number = 2",
        "DELETE FROM entries WHERE number = 3",
    ];
    const EDITS_2: [&str; 4] = [
        "UPDATE links SET previous = unhex('01' || hex(zeroblob(31))) WHERE number = 1",
        "UPDATE links SET operator = 'x' WHERE number = 22",
        "UPDATE attempts SET port = 'x' WHERE link = 5",
        "DELETE FROM links WHERE number = 22; DELETE FROM attempts WHERE link = 22",
    ];
    for (old, edits) in [(&OLD[0], &EDITS_1[..]), (&OLD[1], &EDITS_2)] {
        for edit in edits {
            let (_folder, path, new) = folder(old);
            tamper(&path, edit);
            let found = Ledger::open(&path).unwrap().audit(None, |_| Ok(()), |_| ()).unwrap();
            assert!(!found.is_clean(), "{edit}");
            // Nor is it continued.
            let error = continue_in(&path, &new).unwrap_err();
            assert!(matches!(error, LedgerError::Damaged(..)), "{edit}: {error:?}");
            assert!(!new.exists() && !continued_file_of(&path).exists());
        }
        // A schema that only looks like it.
        let (_folder, path, _) = folder(old);
        let raw = rusqlite::Connection::open(&path).unwrap();
        raw.execute_batch("DROP TRIGGER entries_are_not_changed").unwrap();
        let error = Ledger::open(&path).unwrap_err();
        assert!(matches!(error, LedgerError::Damaged(_, Problem::Schema(_))), "{error:?}");
    }
}

#[test]
fn an_old_ledger_takes_no_link_and_is_left_alone() {
    for old in &OLD {
        let (_folder, path, _) = folder(old);
        let before = fs::read(&path).unwrap();
        let error = Ledger::open_or_create(&path).unwrap_err();
        assert!(matches!(error, LedgerError::Old(_, format) if format == old.format), "{error:?}");
        let command = format!("station init --continues {}", path.display());
        assert!(error.to_string().contains(&command), "{error}");
        let error = Ledger::open(&path).unwrap().given_to("veraison").unwrap_err();
        assert!(matches!(error, LedgerError::Old(..)), "{error:?}");
        assert!(fs::read(&path).unwrap() == before);
        assert!(!head_file_of(&path).exists());
    }
}

/// A ledger of this format with the facts of [`sample`], on real parts; it has no station key.
fn keyless(path: &Path) -> (u64, [u8; 32]) {
    let source = tempfile::tempdir().unwrap();
    let file = source.path().join("old.db");
    OLD[1].put(&file);
    let of = |Entry { identity, record, .. }| NewEntry { identity, record };
    let parts: Vec<_> =
        entries(&links(&Ledger::open(&file).unwrap())).into_iter().map(of).collect();
    sample(path, parts.try_into().unwrap());
    let head = Ledger::open(path).unwrap().head().unwrap();
    assert_eq!(head.number, LINKS);
    (head.number, head.hash)
}

#[test]
fn a_ledger_that_continues_another_has_what_it_has() {
    for old in &OLD {
        let (_folder, path, new) = folder(old);
        let before = fs::read(&path).unwrap();
        let links_before = links(&Ledger::open(&path).unwrap());
        let ledger = continue_in(&path, &new).unwrap();
        assert!(fs::read(&path).unwrap() == before, "the old file is left alone");
        let format = old.format.unsigned_abs();
        let continues = Some(Continued { format, number: old.links, head: hash(old.head) });
        let batch = Some(String::from("lot 8"));
        let origin = Origin { station_key: Some(KEY), batch, continues };
        assert_eq!(ledger.origin().unwrap(), origin);
        let (found, links) = audited(&ledger);
        assert_eq!(found.problems, []);
        assert_eq!((found.head.number, found.entries), (old.carried, old.entries));
        assert_eq!(links[0].previous, origin.hash());
        assert_eq!(ledger.kept_head().unwrap(), found.head);
        // The same facts, by the same authors at the same times.
        assert_eq!(entries(&links), entries(&links_before));
        if old.format == 2 {
            for (link, before) in links.iter().zip(&links_before) {
                let before = Link { previous: link.previous, hash: link.hash, ..before.clone() };
                assert_eq!(*link, before);
            }
            assert_eq!(ledger.given_to("veraison").unwrap(), 4);
        } else {
            for (pair, before) in links.chunks(2).zip(&links_before) {
                assert!(pair.iter().all(|link| link.time == before.time));
                assert!(pair.iter().all(|link| link.version == "format 1"));
                let Fact::Attempt(begun) = &pair[0].fact else { panic!("{:?}", pair[0]) };
                assert!(begun.port.starts_with("simulated-"));
                let Fact::Outcome(outcome) = &pair[1].fact else { panic!("{:?}", pair[1]) };
                assert_eq!(outcome.attempt, pair[0].number);
                assert_eq!(outcome.console.unpack(pair[1].entry()), Some(vec![]));
            }
        }
        // What the old file must become.
        let opened = Ledger::open(&path).unwrap();
        assert_eq!(opened.carried_head(&origin, check).unwrap(), found.head);
    }
}

#[test]
fn a_part_of_the_old_ledger_is_refused_in_the_new_one() {
    for old in &OLD {
        let (_folder, path, new) = folder(old);
        let mut ledger = continue_in(&path, &new).unwrap();
        let parts = entries(&links(&ledger));
        for (part, number) in parts.iter().zip(1..) {
            let mut anew = NewEntry { identity: part.identity, record: part.record.clone() };
            // Entry 2 of format 2 was withdrawn.
            let refusal = match (old.format, number) {
                (2, 2) => Refusal::Withdrawn(2),
                _ => Refusal::Known(number),
            };
            assert_eq!(enter(&mut ledger, &[anew.clone()]).unwrap(), [Err(refusal)]);
            // Another part with its key, and its device with another key.
            anew.identity.device_id = entry(9).identity.device_id;
            assert_eq!(enter(&mut ledger, &[anew]).unwrap(), [Err(Refusal::SeenUeid(number))]);
        }
        let device = |number: usize| {
            let mut anew = entry(10);
            anew.identity.device_id = parts[number - 1].identity.device_id;
            anew
        };
        assert_eq!(enter(&mut ledger, &[device(1)]).unwrap(), [Err(Refusal::SeenDeviceId(1))]);
        // It can be withdrawn, and a new part has the next number.
        let withdrawal = Withdrawal { entry: 1, reason: String::from("erased") };
        ledger.append(&[New::Withdrawal(withdrawal)]).unwrap();
        let entered = enter(&mut ledger, &[device(1)]).unwrap();
        assert_eq!(entered[0].unwrap().number, old.entries + 1);
        if old.format == 2 {
            assert_eq!(ledger.entry_of_serial_number("SN-3").unwrap(), Some(3));
        }
        assert!(audited(&ledger).0.is_clean());
    }
}

#[test]
fn a_ledger_of_this_format_is_continued_with_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let (path, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    let (number, head) = keyless(&path);
    // A station that has it open.
    let mut running = Ledger::open_or_create(&path).unwrap();
    let ledger = continue_in(&path, &new).unwrap();
    let origin = ledger.origin().unwrap();
    assert_eq!(origin.continues, Some(Continued { format: 3, number, head }));
    assert!(audited(&ledger).0.is_clean());
    for error in [
        running.append(&[New::Attempt(attempt("port"))]).unwrap_err(),
        Ledger::open_or_create(&path).unwrap_err(),
        continue_in(&path, &folder.path().join("another.db")).unwrap_err(),
    ] {
        assert!(matches!(error, LedgerError::Continued { .. }), "{error:?}");
        assert!(error.to_string().contains(&new.display().to_string()), "{error}");
    }
    // It is read as before.
    let old = Ledger::open(&path).unwrap();
    assert_eq!(old.head().unwrap(), Receipt { number, hash: head });
    assert_eq!(old.carried_head(&origin, check).unwrap(), ledger.head().unwrap());
}

#[test]
fn what_cannot_be_continued_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    drop(Ledger::open_or_create(&path).unwrap());
    let error = continue_in(&path, &new).unwrap_err();
    assert!(matches!(error, LedgerError::Empty(_)), "{error:?}");

    keyless(&folder.path().join("good.db"));
    let good = Ledger::open(&folder.path().join("good.db")).unwrap();
    // A record that is not good, of the last entry.
    let bad = |entry: &Entry| if entry.number == 5 { Err(String::from("no")) } else { Ok(()) };
    let error = good.continue_in(&new, None, Some(KEY), None, bad).unwrap_err();
    assert!(matches!(error, LedgerError::Damaged(_, Problem::Record(21, _))), "{error:?}");
    assert!(!continued_file_of(&folder.path().join("good.db")).exists());
    let names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
    let is_old = |name: &OsString| ["good.db", "old.db"].iter().any(|old| starts(name, old));
    assert!(names.iter().all(is_old), "{names:?}");

    // A file that is there, an empty one too, and a ledger that was there.
    for content in ["", "something"] {
        fs::write(&new, content).unwrap();
        let error = good.continue_in(&new, None, Some(KEY), None, check).unwrap_err();
        assert!(matches!(error, LedgerError::Exists(_)), "{error:?}");
        assert_eq!(fs::read_to_string(&new).unwrap(), content);
        let error = Ledger::begin(&new, None, &Origin::default()).unwrap_err();
        assert!(matches!(error, LedgerError::Exists(_)), "{error:?}");
    }
    fs::remove_file(&new).unwrap();
    fs::copy(head_file_of(&folder.path().join("good.db")), head_file_of(&new)).unwrap();
    let error = good.continue_in(&new, None, Some(KEY), None, check).unwrap_err();
    assert!(matches!(error, LedgerError::Gone(..)), "{error:?}");
    fs::remove_file(head_file_of(&new)).unwrap();
    // And nothing of this stands in its way.
    good.continue_in(&new, None, Some(KEY), None, check).unwrap();
}

#[test]
fn another_ledger_is_not_the_one_that_was_continued() {
    let old = &OLD[1];
    let (folder, path, new) = folder(old);
    let ledger = continue_in(&path, &new).unwrap();
    let origin = ledger.origin().unwrap();
    drop(ledger);
    // One of another end.
    let keyless_path = folder.path().join("keyless.db");
    keyless(&keyless_path);
    let other = Ledger::open(&keyless_path).unwrap();
    let error = other.carried_head(&origin, check).unwrap_err();
    assert!(matches!(error, LedgerError::OtherEnd(_, LINKS)), "{error:?}");
    assert!(error.is_loss());
    // What was changed when it was carried over, with a whole chain behind it.
    let head = Ledger::open(&path).unwrap().carried_head(&origin, check).unwrap();
    let mut link = links(&Ledger::open(&new).unwrap()).pop().unwrap();
    link.author.operator = Some(String::from("x"));
    let hash = base16ct::lower::encode_string(&link.computed_hash());
    tamper(&new, &format!("UPDATE links SET operator = 'x', hash = x'{hash}' WHERE number = 22"));
    let changed = Ledger::open(&new).unwrap();
    assert!(audited(&changed).0.is_clean(), "this is what cannot be seen");
    assert_ne!(changed.hash_at(head.number).unwrap(), Some(head.hash));
}

/// One that knows nothing of the file that says so goes on.
#[test]
fn an_old_ledger_that_goes_on_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    let (number, _) = keyless(&path);
    let origin = continue_in(&path, &new).unwrap().origin().unwrap();
    fs::remove_file(continued_file_of(&path)).unwrap();
    enter(&mut Ledger::open_or_create(&path).unwrap(), &[entry(9)]).unwrap();
    let error = Ledger::open(&path).unwrap().carried_head(&origin, |_| Ok(())).unwrap_err();
    assert!(matches!(error, LedgerError::OtherEnd(_, end) if end == number + 2), "{error:?}");
}
