// SPDX-License-Identifier: Apache-2.0

//! The ledger after a loss of power: what was acknowledged is there, whole, and it goes on.
//!
//! What a disk can hold then is made from copies of the files. They rest on what SQLite also rests
//! on: what was synced stays, and a write that is cut off changes no byte outside its range.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::edits::{LINKS, facts};
use common::{Random, attempt, enter, entry, outcome};
use rayon::prelude::*;
use rusqlite::Connection;
use station::ledger::{
    Begun, Fact, Found, Kept, Ledger, LedgerError, Link, New, NewEnd, Receipt, head_file_of,
};

const SECTOR: usize = 512;
const PAGE: usize = 4096;

/// The ledger, its write-ahead log and its head at one moment.
#[derive(Clone, PartialEq, Eq)]
struct Files {
    ledger: Vec<u8>,
    log: Vec<u8>,
    /// The file gets its name when it is whole and synced, so that there is the old one or the new one.
    head: Option<Vec<u8>>,
}

impl Files {
    fn read(path: &Path) -> Self {
        Self {
            ledger: fs::read(path).unwrap(),
            log: fs::read(log_of(path)).unwrap(),
            head: fs::read(head_file_of(path)).ok(),
        }
    }

    /// Writes them into a folder of their own, without the index of the log, which is lost.
    fn restore(&self) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        fs::write(&path, &self.ledger).unwrap();
        fs::write(log_of(&path), &self.log).unwrap();
        if let Some(head) = &self.head {
            fs::write(head_file_of(&path), head).unwrap();
        }
        (folder, path)
    }

    /// Whether after the power is back these files are a ledger that begins with the `acknowledged`
    /// and has no other links than the first of `all`, and whether it goes on. Gives their number.
    #[track_caller]
    fn check(&self, acknowledged: usize, all: &[Receipt]) -> usize {
        let (_folder, path) = self.restore();
        let reader = Ledger::open(&path).unwrap();
        let mut links: Vec<Link> = Vec::new();
        let keep = |found: Found<'_>| {
            links.push(found.link.unwrap().clone());
            Ok::<_, LedgerError>(())
        };
        let audit = reader.walk(None, |_| Ok(()), keep).unwrap();
        assert_eq!(audit.problems, []);
        assert!(links.len() >= acknowledged, "{} of {acknowledged} links", links.len());
        assert!(links.len() <= all.len());
        for (link, receipt) in links.iter().zip(all) {
            assert_eq!((link.number, link.hash), (receipt.number, receipt.hash));
        }
        // The parts were appended one by one.
        let entered: Vec<_> = links.iter().filter_map(Link::entry).collect();
        for (entry, n) in entered.iter().zip(1..) {
            assert_eq!(
                (entry.identity, &entry.record),
                (common::entry(n).identity, &common::entry(n).record)
            );
        }
        drop(reader);
        let mut ledger = Ledger::open_or_create(&path).unwrap();
        let kept = u8::try_from(entered.len()).unwrap();
        // A run that was cut off stays without an outcome, or it goes on.
        let open = links.last().filter(|link| matches!(link.fact, Fact::Attempt(_)));
        assert_eq!(audit.unfinished, u64::from(open.is_some()));
        if let Some(open) = open {
            end(&mut ledger, open.number, NewEnd::Good(entry(199)));
        }
        let answers = enter(&mut ledger, &[entry(200), entry(kept.max(1))]).unwrap();
        let number = u64::from(kept) + 1 + u64::from(open.is_some());
        assert_eq!(answers[0].unwrap().number, number);
        assert_eq!(answers[1].is_err(), kept > 0, "a part that is kept is known");
        assert!(ledger.audit(None, |_| Ok(()), |_| ()).unwrap().is_clean());
        links.len()
    }
}

/// Appends how the run of an attempt has ended.
fn end(ledger: &mut Ledger, attempt: u64, end: NewEnd) -> Kept {
    ledger.append(&[New::Outcome(Box::new(outcome(Begun::Link(attempt), end)))]).unwrap()[0]
}

fn log_of(path: &Path) -> PathBuf {
    path.with_file_name("ledger-wal")
}

/// Whether the append that has brought this link is synced: each part's outcome, and not its attempt before it.
fn is_synced(link: usize) -> bool {
    link.is_multiple_of(2)
}

/// Appends attempt and outcome of parts 1 to `count` one by one, and gives the files before the first and after each
/// of these links.
fn history(count: u8, mut after_each: impl FnMut(&Path, u8)) -> (Vec<Files>, Vec<Receipt>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    let (mut files, mut receipts) = (vec![Files::read(&path)], Vec::new());
    for n in 1..=count {
        let begun = ledger.append(&[New::Attempt(attempt("port"))]).unwrap()[0];
        receipts.push(begun.link);
        files.push(Files::read(&path));
        let ended = end(&mut ledger, begun.link.number, NewEnd::Good(entry(n)));
        assert!(ended.entry.unwrap().is_ok());
        receipts.push(ended.link);
        files.push(Files::read(&path));
        after_each(&path, n);
    }
    (files, receipts)
}

#[test]
fn a_log_that_is_cut_keeps_what_was_acknowledged() {
    let (files, receipts) = history(20, |_, _| ());
    let (first, last) = (&files[0], &files[40]);
    assert!(first.ledger == last.ledger, "the links are in the log alone");
    let boundaries: Vec<_> = files.iter().map(|files| files.log.len()).collect();
    assert!(boundaries.is_sorted_by(|a, b| a < b) && boundaries[0] == 0);
    assert!(files.iter().all(|files| last.log.starts_with(&files.log)), "it only grows");

    let mut random = Random(1);
    let around = |at: &usize| [at.saturating_sub(1), *at, at + 1];
    let mut cuts: Vec<_> = boundaries.iter().flat_map(around).collect();
    cuts.extend((0..150).map(|_| random.below(last.log.len())));
    let mut logs = Vec::new();
    for cut in cuts {
        let mut log = last.log[..cut.min(last.log.len())].to_vec();
        let acknowledged = boundaries.iter().filter(|at| **at <= log.len()).count() - 1;
        logs.push((cut, acknowledged, log.clone()));
        // The rest of the last sector, and one more, hold anything but what was to be there.
        for at in log.len()..(log.len() / SECTOR + 2) * SECTOR {
            let expected = last.log.get(at).copied().unwrap_or_default();
            log.push(expected ^ u8::try_from(1 + random.below(255)).unwrap());
        }
        logs.push((cut, acknowledged, log));
    }
    logs.into_par_iter().for_each(|(cut, acknowledged, log)| {
        // The head as of the last link that was acknowledged by then, or of the one before.
        for head in [acknowledged, acknowledged.saturating_sub(1)] {
            let head = files[head].head.clone();
            let files = Files { ledger: last.ledger.clone(), log: log.clone(), head };
            assert_eq!(files.check(acknowledged, &receipts), acknowledged, "cut at {cut}");
        }
        let Some(later) = files.get(acknowledged + 1) else { return };
        let head = later.head.clone();
        let files = Files { ledger: last.ledger.clone(), log, head };
        if is_synced(acknowledged + 1) {
            // A disk that has lost what was synced.
            let (_folder, path) = files.restore();
            let error = Ledger::open_or_create(&path).unwrap_err();
            assert!(matches!(error, LedgerError::Shorter { .. }), "{error:?}");
        } else {
            // An attempt may be lost.
            assert_eq!(files.check(acknowledged, &receipts), acknowledged, "cut at {cut}");
        }
    });
}

/// `old` on its way to `new`: of each piece of `size` bytes one or the other has reached the disk, and
/// the length may be either.
fn mixed(old: &[u8], new: &[u8], size: usize, random: &mut Random) -> Vec<u8> {
    let mut file = old.to_vec();
    file.resize(old.len().max(new.len()), 0);
    for (at, piece) in new.chunks(size).enumerate() {
        if random.coin() {
            file[at * size..][..piece.len()].copy_from_slice(piece);
        }
    }
    if new.len() > old.len() && random.coin() {
        let length = old.len() + random.below(new.len() - old.len() + 1);
        file.truncate(length);
    }
    file
}

#[test]
fn an_append_that_is_cut_off_is_there_or_not() {
    // After every seventh part the log is written back, so that the next append begins it anew,
    // over what is left of the old links.
    let (files, receipts) = history(30, |path, n| {
        if n % 7 == 0 {
            let connection = Connection::open(path).unwrap();
            let busy: i64 =
                connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get(0)).unwrap();
            assert_eq!(busy, 0);
        }
    });
    let restarts = files.windows(2).filter(|pair| !pair[1].log.starts_with(&pair[0].log)).count();
    assert!(restarts >= 3, "{restarts}");
    let mut random = Random(2);
    for (link, after) in files.iter().enumerate().skip(1) {
        // Of the attempt before, too, nothing need be on the disk.
        let synced = (0..link).rev().find(|link| is_synced(*link)).unwrap();
        let before = &files[synced];
        // What a checkpoint wrote it also synced, before the log began anew.
        for _ in 0..8 {
            let log = mixed(&before.log, &after.log, SECTOR, &mut random);
            let head = before.head.clone();
            let files = Files { ledger: after.ledger.clone(), log, head };
            let kept = files.check(synced, &receipts);
            assert!(kept <= link);
        }
        // Written and synced; the head is on its way.
        for head in [&before.head, &after.head] {
            let files = Files { head: head.clone(), ..after.clone() };
            assert_eq!(files.check(link, &receipts), link);
        }
    }
}

#[test]
fn a_log_that_is_written_back_loses_nothing_on_the_way() {
    let mut pairs = Vec::new();
    let (_, receipts) = history(40, |path, n| {
        if n % 10 == 0 {
            let before = Files::read(path);
            let connection = Connection::open(path).unwrap();
            connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(())).unwrap();
            pairs.push((2 * usize::from(n), before, Files::read(path)));
        }
    });
    let mut random = Random(3);
    for (acknowledged, before, after) in pairs {
        assert!(before.ledger != after.ledger && before.log == after.log);
        for size in [SECTOR, PAGE] {
            for _ in 0..25 {
                let ledger = mixed(&before.ledger, &after.ledger, size, &mut random);
                let (log, head) = (before.log.clone(), before.head.clone());
                let files = Files { ledger, log, head };
                assert_eq!(files.check(acknowledged, &receipts), acknowledged);
            }
        }
        // Done: the log is needed no more.
        let files = Files { log: Vec::new(), ..after };
        assert_eq!(files.check(acknowledged, &receipts), acknowledged);
    }
}

#[test]
fn a_creation_that_is_cut_off_is_a_new_ledger_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    drop(Ledger::open_or_create(&path).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but the ledger is left");
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() > 4 * PAGE && whole.len().is_multiple_of(PAGE));
    let around = |at: usize| [at.saturating_sub(1), at, at + 1];
    let short = (0..=whole.len()).step_by(PAGE).flat_map(around).map(|cut| (cut, false));
    // Of full length, with nothing written behind the cut.
    let zeros = (0..=whole.len()).step_by(SECTOR).map(|cut| (cut, true));
    for (cut, zeros) in short.chain(zeros) {
        let mut content = whole[..cut.min(whole.len())].to_vec();
        if zeros {
            content.resize(whole.len(), 0);
        }
        // A last page that is cut is read as if zeros followed, which may be what stood there.
        let mut read = content.clone();
        read.resize(whole.len(), 0);
        let good = content.is_empty() || read == whole;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        fs::write(&path, &content).unwrap();
        // Damage to a page that only an append reads shows then: one of every kind reads them all.
        let facts = facts([1, 2, 3, 4, 5].map(entry));
        let answers = Ledger::open_or_create(&path).and_then(|mut ledger| ledger.append(&facts));
        match answers {
            Ok(answers) => {
                assert!(good, "cut at {cut}, {zeros}");
                assert_eq!(answers.last().unwrap().link.number, LINKS);
                let ledger = Ledger::open(&path).unwrap();
                assert!(ledger.audit(None, |_| Ok(()), |_| ()).unwrap().is_clean());
            }
            Err(error) => {
                assert!(!good, "{error}");
                assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
                assert!(fs::read(&path).unwrap() == content, "it is left as it is");
            }
        }
    }
}

#[test]
fn what_a_killed_creation_left_behind_does_not_disturb() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    for (name, content) in [(".tmpAbCdEf", &[0; PAGE][..]), (".tmpAbCdEf-journal", b"\xD9\xD5")] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    enter(&mut ledger, &[entry(1)]).unwrap()[0].unwrap();
    assert!(ledger.audit(None, |_| Ok(()), |_| ()).unwrap().is_clean());
}
