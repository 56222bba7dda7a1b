// SPDX-License-Identifier: Apache-2.0

//! The ledger: what it keeps, what it refuses, and what an audit sees.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use common::edits::{LINKS, edits, sample, tamper};
use common::{attempt, enter, entries, entry, failure, links, outcome, run_of};
use hex_literal::hex;
use jiff::Timestamp;
use provisioning::{ImplementationId, Measurement};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use station::ledger::{
    Attempt, Audit, Author, Begun, Continued, End, Entry, Export, Fact, Failed, GENESIS, Kept,
    Ledger, LedgerError, Link, New, NewEnd, NewEntry, NewOutcome, Origin, Outcome, PROBLEMS_LISTED,
    Problem, Program, Receipt, Refusal, Run, Runs, Step, Text, Withdrawal, head_file_of,
};
use station::transcript::Transcript;
use station::{DeviceId, Identity};
use tempfile::TempDir;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    (folder, path)
}

/// A ledger with parts 1 to 5 in it, closed: an attempt and an outcome of each, in turn.
fn five() -> (TempDir, PathBuf, Vec<Receipt>) {
    let (folder, path) = folder();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    let answers = enter(&mut ledger, &entries(1..=5)).unwrap();
    (folder, path, answers.into_iter().collect::<Result<_, _>>().unwrap())
}

/// A [`sample`] of parts 1 to 5, closed.
fn sampled() -> (TempDir, PathBuf, Vec<Kept>) {
    let (folder, path) = folder();
    let kept = sample(&path, [1, 2, 3, 4, 5].map(entry));
    (folder, path, kept)
}

fn audit(path: &Path, expected_head: Option<[u8; 32]>) -> Audit {
    Ledger::open(path).unwrap().audit(expected_head, |_| Ok(()), |_| ()).unwrap()
}

fn hex(hash: [u8; 32]) -> String {
    hash.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn keeps_what_it_is_given() {
    let (_folder, path) = folder();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    assert_eq!(ledger.head().unwrap(), Receipt { number: 0, hash: Origin::default().hash() });
    assert_eq!(ledger.entries().unwrap(), 0);
    let mut receipts = enter(&mut ledger, &entries([1])).unwrap();
    receipts.extend(enter(&mut ledger, &entries([2, 3])).unwrap());
    let receipts: Vec<_> = receipts.into_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(receipts.iter().map(|receipt| receipt.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(ledger.head().unwrap(), Receipt { number: 6, hash: receipts[2].hash });
    assert_eq!(ledger.entries().unwrap(), 3);
    drop(ledger);

    let ledger = Ledger::open(&path).unwrap();
    assert_eq!(ledger.head().unwrap().hash, receipts[2].hash);
    let links = links(&ledger);
    assert_eq!(links.len(), 6);
    let entered: Vec<_> = links.iter().filter_map(|link| Some((link, link.entry()?))).collect();
    assert_eq!(entered.len(), 3);
    for (((link, kept), receipt), n) in entered.into_iter().zip(&receipts).zip(1..) {
        let NewEntry { identity, record } = entry(n);
        assert_eq!((kept.identity, &kept.record), (identity, &record));
        assert_eq!((kept.number, link.hash), (receipt.number, receipt.hash));
    }
    assert_chain(&links);
    let files = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(files, 4, "ledger, -wal, -shm and -head");
}

/// Numbers without holes, and each hash over the link and the hash before it.
#[track_caller]
fn assert_chain(links: &[Link]) {
    let mut last = Receipt { number: 0, hash: Origin::default().hash() };
    for link in links {
        assert_eq!((link.number, link.previous), (last.number + 1, last.hash));
        assert_eq!(link.hash, link.computed_hash());
        last = Receipt { number: link.number, hash: link.hash };
    }
}

#[test]
fn keeps_every_kind_of_link() {
    let (_folder, path, kept) = sampled();
    let numbers: Vec<_> = kept.iter().map(|kept| kept.link.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 6, 7, 9, 10, 12, 14, 16, 18, 19, 21, LINKS]);
    let ledger = Ledger::open(&path).unwrap();
    let links = links(&ledger);
    assert_eq!(links.len(), usize::try_from(LINKS).unwrap());
    assert_chain(&links);
    for Kept { link, entry, .. } in &kept {
        assert_eq!(link.hash, links[usize::try_from(link.number - 1).unwrap()].hash);
        assert!(entry.is_none_or(|entry| entry.is_err() || entry.unwrap().hash == link.hash));
    }
    for link in &links {
        let author = Author { station: text("bench 3"), operator: text("kim") };
        assert_eq!((&link.author, link.version.as_str()), (&author, station::VERSION));
        assert!(!link.clock_accepted);
    }

    let fact = |number: usize| &links[number - 1].fact;
    let attempt = |serial_number: Option<&str>| {
        Fact::Attempt(Attempt {
            port: String::from("/dev/ttyACM0"),
            batch: text("lot 7"),
            serial_number: serial_number.map(str::to_owned),
        })
    };
    for (number, serial_number) in
        [(1, Some("SN-1")), (5, None), (15, Some("SN-1")), (22, Some("SN-6"))]
    {
        assert_eq!(*fact(number), attempt(serial_number));
    }
    let outcome = |number| match fact(number) {
        Fact::Outcome(outcome) => &**outcome,
        other => panic!("{other:?}"),
    };
    for (number, entry_number, part) in [(3, 1, 1), (9, 2, 2), (14, 3, 3), (18, 4, 4), (21, 5, 5)] {
        let NewEntry { identity, record } = entry(part);
        let entry = Entry { number: entry_number, identity, record };
        assert_eq!(outcome(number).end, End::Good(entry.clone()));
        let console = outcome(number).console.unpack(Some(&entry));
        assert_eq!(console.as_deref(), Some(&b"Success!\r\n"[..]));
    }
    let part = |n| (entry(n).identity.device_id, entry(n).identity.ueid());
    let Outcome { attempt, end, serial_number, image, steps, console } = outcome(6).clone();
    let failed = Failed {
        error: String::from("failed"),
        failure: Some(8),
        text: String::from("the part says: Failure: no"),
        seen: None,
        part: None,
    };
    assert_eq!((attempt, end, serial_number), (5, End::Failed(failed), None));
    assert_eq!(image, Some(Measurement([0x11; 32])));
    assert_eq!(steps, [Step { name: String::from("huk"), milliseconds: 70 }]);
    assert_eq!(console.unpack(None).as_deref(), Some(&b"Success!\r\n"[..]));
    assert_eq!(outcome(12).end, End::Known { seen: 1, part: part(1) });
    let refused = Failed {
        error: String::from("seen-before"),
        failure: None,
        text: Refusal::SeenSerialNumber(1).to_string(),
        seen: Some(1),
        part: Some(part(4)),
    };
    assert_eq!(outcome(16).end, End::Failed(refused));
    assert_eq!(outcome(16).serial_number, text("SN-1"));
    for (number, attempt, step, succeeded) in
        [(2, 1, "before", true), (4, 1, "on-pass", true), (7, 5, "on-fail", false)]
    {
        let Fact::Program(program) = fact(number) else { panic!("{:?}", fact(number)) };
        assert_eq!((program.attempt, program.step.as_str()), (attempt, step));
        assert_eq!((program.command.as_str(), program.succeeded), ("lamp", succeeded));
        assert_eq!((program.text.as_str(), program.milliseconds), ("exit code", 12));
        assert_eq!(program.output.unpack(None).as_deref(), Some(&b"on"[..]));
    }
    assert_eq!(
        *fact(10),
        Fact::Withdrawal(Withdrawal { entry: 2, reason: String::from("repaired") })
    );
    let export = Export {
        verifier: String::from("veraison"),
        profile: String::from("psa-2025"),
        first: 1,
        last: 4,
        parts: 3,
        sha256: [0x5A; 32],
    };
    assert_eq!(*fact(19), Fact::Export(export));
}

#[test]
fn every_attempt_is_accounted_for() {
    let (_folder, path, kept) = sampled();
    let ledger = Ledger::open(&path).unwrap();
    let found = ledger.audit(None, |_| Ok(()), |_| ()).unwrap();
    assert_eq!((found.entries, found.attempts, found.unfinished), (5, 9, 1));
    assert_eq!((found.head, found.problems), (kept.last().unwrap().link, vec![]));
    assert!(found.clocks_accepted.is_empty());
    let mut withdrawn = Vec::new();
    ledger
        .walk::<LedgerError>(
            None,
            |_| Ok(()),
            |found| {
                withdrawn.extend(found.withdrawn.map(|by| (found.number, by)));
                Ok(())
            },
        )
        .unwrap();
    assert_eq!(withdrawn, [(9, 10)]);
}

/// A column that may be missing.
#[expect(clippy::unnecessary_wraps, reason = "so it is as the column is")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_run_has_its_attempt_and_its_outcome() {
    let (_folder, path, _) = sampled();
    let (mut runs, mut ended) = (Runs::default(), Vec::new());
    for link in links(&Ledger::open(&path).unwrap()) {
        ended.extend(runs.take(&link));
    }
    let described = |run: &Run| {
        let serial_number = run.serial_number().map(str::to_owned);
        (run.begun.number, run.ended.as_ref().map(|link| link.number), run.result(), serial_number)
    };
    let expected = [
        (1, Some(3), "good", text("SN-1")),
        (5, Some(6), "failed", None),
        (8, Some(9), "good", None),
        (11, Some(12), "known", None),
        (13, Some(14), "good", text("SN-3")),
        (15, Some(16), "failed", text("SN-1")),
        (17, Some(18), "good", text("SN-4")),
        (20, Some(21), "good", text("SN-5")),
    ];
    assert_eq!(ended.iter().map(described).collect::<Vec<_>>(), expected);
    for run in &ended {
        assert_eq!(run.outcome().unwrap().attempt, run.begun.number);
        assert_eq!(run.attempt().port, "/dev/ttyACM0");
    }
    let open: Vec<_> = runs.unfinished().map(|run| described(&run)).collect();
    assert_eq!(open, [(22, None, "unfinished", text("SN-6"))]);
}

/// A link that says this, with values that nothing else has.
fn link_of(fact: Fact) -> Link {
    Link {
        number: 70_000,
        time: "2026-02-03T04:05:06.789Z".parse().unwrap(),
        clock_accepted: true,
        author: Author { station: text("bench 3"), operator: None },
        version: String::from("1.2.3"),
        fact,
        previous: [0x33; 32],
        hash: GENESIS,
    }
}

fn packed(text: &str) -> Text {
    let mut transcript = Transcript::default();
    transcript.push(text.as_bytes());
    Text::pack(transcript, None)
}

// The hashes are from the table in the ledger's documentation, with a CBOR encoder that knows nothing of this program.

#[test]
fn the_hash_is_that_of_the_documented_array() {
    let attempt = |batch, serial_number| {
        Fact::Attempt(Attempt { port: String::from("/dev/ttyACM0"), batch, serial_number })
    };
    let first = Link {
        number: 1,
        time: Timestamp::from_millisecond(-1).unwrap(),
        clock_accepted: false,
        author: Author { station: None, operator: text("kim") },
        previous: GENESIS,
        ..link_of(attempt(text("lot 7"), None))
    };
    let program = Program {
        attempt: 69_999,
        step: String::from("on-pass"),
        command: String::from("lamp"),
        succeeded: true,
        text: String::from("exit code 0"),
        milliseconds: 12,
        output: packed("on"),
    };
    let export = Export {
        verifier: String::from("veraison"),
        profile: String::from("psa-2025"),
        first: 1,
        last: 300,
        parts: 299,
        sha256: [0x5A; 32],
    };
    let withdrawal = Withdrawal { entry: 300, reason: String::from("repaired") };
    for (link, hash) in [
        (
            link_of(attempt(None, text("SN-1"))),
            hex!("097d68f9bedb308507d8588af4ae78cf8b3575546162044241c5058bb3f38301"),
        ),
        (first, hex!("19bd63b801bc4b28bbc2a91d3d44158bdde5b81de31bd3bf050f156fb38eb378")),
        (
            link_of(Fact::Program(program)),
            hex!("7dd49c5a8e1faaf0634210fdec4502a7c9109452752e8773c3162f0a5dbcb637"),
        ),
        (
            link_of(Fact::Withdrawal(withdrawal)),
            hex!("82e7bb1ce8a0897d7b1c008033d35c3523f00a3ec0742690751668d42bee4181"),
        ),
        (
            link_of(Fact::Export(export)),
            hex!("b02fd8490bcf87dee28d45f9f41e5fd7a143e155c460812170a1a6f740e1c828"),
        ),
    ] {
        assert_eq!(link.computed_hash(), hash, "{:?}", link.fact);
    }
}

#[test]
fn the_hash_of_an_origin_is_that_of_the_documented_array() {
    let station_key = Some([0x5A; 32]);
    let continues = Some(Continued { format: 2, number: 70_000, head: [0x33; 32] });
    for (origin, hash) in [
        (
            Origin::default(),
            hex!("57f4d0b15c9f8c999ee1acb29b5730e5af12417baddc1367590e74361da19a46"),
        ),
        (
            Origin { station_key, ..Origin::default() },
            hex!("9cf6a8ccefa8286dcc44daaa1436a30d236c1228744b0441383a16aa3682030d"),
        ),
        (
            Origin { station_key, batch: text("lot 7"), continues },
            hex!("2870746013bff01b26144b3fa3bef1fb5a4044f22764ba8c1202d5056afe4bce"),
        ),
    ] {
        assert_eq!(origin.hash(), hash, "{origin:?}");
    }
}

#[test]
fn the_hash_of_an_outcome_is_that_of_the_documented_array() {
    let identity = Identity {
        device_id: DeviceId([1, 2, 3, 4, 5, 6, 7, 8]),
        implementation_id: ImplementationId::from_bytes([0x22; 32]).unwrap(),
        public_key: entry(1).identity.public_key,
    };
    let part = (identity.device_id, identity.ueid());
    let ended = Outcome {
        attempt: 69_999,
        end: End::Known { seen: 3, part },
        serial_number: None,
        image: None,
        steps: vec![],
        console: packed(""),
    };
    let step = |name: &str, milliseconds| Step { name: name.to_owned(), milliseconds };
    let good = Outcome {
        end: End::Good(Entry { number: 300, identity, record: vec![0; 300] }),
        serial_number: text("SN-1"),
        image: Some(Measurement([0x11; 32])),
        steps: vec![step("huk", 70), step("end", 3)],
        console: packed("Success!\r\n"),
        ..ended.clone()
    };
    let known = Outcome { image: good.image, ..ended.clone() };
    let failed = |failed| Outcome { end: End::Failed(failed), ..ended.clone() };
    let refused = failed(Failed {
        error: String::from("seen-before"),
        failure: Some(8),
        text: String::from("no"),
        seen: Some(3),
        part: Some(part),
    });
    let failed = failed(Failed {
        error: String::from("console"),
        text: String::from("no"),
        ..Failed::default()
    });
    for (outcome, hash) in [
        (good, hex!("bd6e12d2e34216052ef6c44ecf7fb45120c5e2e3a62d564abcaa9620cd9347c1")),
        (known, hex!("669a9eae35a0fe611bc11b3ee8db245bab0c612d273c67323eb5c949d91f7170")),
        (refused, hex!("cd20255842dfa06994d132532f2c2bd98072390ca0bd8b86a1e3011ca6357835")),
        (failed, hex!("4443983d8e25cf0d05e6e7a73e9d085d241b65be604f2e48e9a61dd86219f379")),
    ] {
        let link = link_of(Fact::Outcome(Box::new(outcome)));
        assert_eq!(link.computed_hash(), hash, "{:?}", link.fact);
    }
}

#[test]
fn a_caller_can_stop_reading() {
    let (_folder, path, _) = five();
    let ledger = Ledger::open(&path).unwrap();
    let mut read = 0;
    let result = ledger.walk(
        None,
        |_| Ok(()),
        |found| {
            read += 1;
            if found.number == 2 { Err(LedgerError::Missing(path.clone())) } else { Ok(()) }
        },
    );
    assert!(matches!(result, Err(LedgerError::Missing(_))));
    assert_eq!(read, 2);
}

#[test]
fn refuses_what_it_has_seen_and_keeps_the_rest() {
    let (_folder, path) = folder();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    enter(&mut ledger, &entries([1, 2])).unwrap();
    let mut device_again = entry(3);
    device_again.identity.device_id = entry(2).identity.device_id;
    let mut key_again = entry(4);
    key_again.identity.public_key = entry(1).identity.public_key;
    let mut both = entry(2);
    both.identity.public_key = entry(1).identity.public_key;
    let news = [device_again, entry(5), key_again, entry(1), both, entry(6), entry(5)];
    let answers = enter(&mut ledger, &news).unwrap();
    let numbers: Vec<_> =
        answers.iter().map(|answer| answer.map(|receipt| receipt.number)).collect();
    assert_eq!(
        numbers,
        [
            Err(Refusal::SeenDeviceId(2)),
            Ok(3),
            Err(Refusal::SeenUeid(1)),
            Err(Refusal::Known(1)),
            Err(Refusal::SeenDeviceId(2)),
            Ok(4),
            Err(Refusal::Known(3)), // earlier in the same call
        ]
    );
    let in_the_way: Vec<_> = numbers.iter().filter_map(|n| Some(n.err()?.number())).collect();
    assert_eq!(in_the_way, [2, 1, 1, 2, 3]);
    // How each of these runs has ended is kept, with the part and the entry that is in the way.
    let ends: Vec<_> = links(&ledger)
        .into_iter()
        .filter_map(|link| match link.fact {
            Fact::Outcome(outcome) => Some(outcome.end),
            _ => None,
        })
        .collect();
    for ((new, answer), end) in news.iter().zip(&answers).zip(&ends[2..]) {
        let NewEntry { identity, record } = new.clone();
        let part = (identity.device_id, identity.ueid());
        let expected = match *answer {
            Ok(Receipt { number, .. }) => End::Good(Entry { number, identity, record }),
            Err(Refusal::Known(seen)) => End::Known { seen, part },
            Err(refusal) => End::Failed(Failed {
                error: String::from("seen-before"),
                failure: None,
                text: refusal.to_string(),
                seen: Some(refusal.number()),
                part: Some(part),
            }),
        };
        assert_eq!(*end, expected);
    }
    assert_eq!(enter(&mut ledger, &entries([1])).unwrap(), [Err(Refusal::Known(1))]);
    assert_eq!(enter(&mut ledger, &entries([7])).unwrap()[0].unwrap().number, 5, "no hole");
    let found = audit(&path, None);
    assert_eq!((found.entries, found.attempts, found.unfinished), (5, 11, 0));
    assert_eq!(found.problems, []);
}

#[test]
fn refuses_a_key_under_another_ueid() {
    let (_folder, path) = folder();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    enter(&mut ledger, &entries([2])).unwrap();
    // Another program may write what this one cannot: the key of part 1 under another UEID.
    let raw = Connection::open(&path).unwrap();
    append_raw(
        &raw,
        &["INSERT INTO attempts SELECT 3, port, batch, serial_number FROM attempts WHERE link = 1"],
        "attempt",
    )
    .unwrap();
    let outcome = "INSERT INTO outcomes SELECT 4, 3, result, error, failure, text, seen, serial_number, device_id, \
         ueid, image, steps, console FROM outcomes WHERE link = 2";
    let key = hex_of(entry(1).identity.public_key.as_bytes());
    let entry_of = |record: &str| {
        format!(
            "INSERT INTO entries VALUES (4, 2, zeroblob(8), zeroblob(32), zeroblob(33), x'{key}', {record})"
        )
    };
    // The record must be a BLOB: the table is strict.
    append_raw(&raw, &[outcome, &entry_of("''")], "outcome").unwrap_err();
    append_raw(&raw, &[outcome, &entry_of("x''")], "outcome").unwrap();
    let answers = enter(&mut ledger, &entries([1])).unwrap();
    assert_eq!(answers, [Err(Refusal::SeenPublicKey(2))]);
}

/// Appends a link of this kind as another program can, with a hash that nobody checks yet, and these rows.
fn append_raw(raw: &Connection, rows: &[&str], kind: &str) -> rusqlite::Result<()> {
    let transaction = raw.unchecked_transaction()?;
    transaction.execute(
        "INSERT INTO links SELECT number + 1, time, 0, NULL, NULL, '', ?1, hash, zeroblob(32) FROM links
         WHERE number = (SELECT max(number) FROM links)",
        [kind],
    )?;
    rows.iter().try_for_each(|row| transaction.execute(row, []).map(|_| ()))?;
    transaction.commit()
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn an_append_that_fails_keeps_nothing() {
    let (_folder, path) = folder();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    enter(&mut ledger, &entries([1])).unwrap();
    let head = ledger.head().unwrap();
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch(
        "CREATE TRIGGER full BEFORE INSERT ON entries WHEN NEW.number = 3
         BEGIN SELECT RAISE(ABORT, 'no room'); END",
    )
    .unwrap();
    let error = enter(&mut ledger, &entries([2, 3, 4])).unwrap_err();
    assert!(error.to_string().contains("no room"), "{error}");
    assert_eq!(ledger.head().unwrap(), head);
    raw.execute_batch("DROP TRIGGER full").unwrap();
    let answers = enter(&mut ledger, &entries([2, 3, 4])).unwrap();
    assert_eq!(answers[2].unwrap().number, 4);
    assert!(audit(&path, Some(head.hash)).is_clean());
}

#[test]
fn what_refers_to_nothing_is_not_kept() {
    let (_folder, path, _) = sampled();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    let before = links(&ledger);
    let program = |attempt, step: &str| Program {
        attempt,
        step: step.to_owned(),
        command: String::new(),
        succeeded: true,
        text: String::new(),
        milliseconds: 0,
        output: Text::default(),
    };
    let export = |verifier: &str, first, last| Export {
        verifier: verifier.to_owned(),
        profile: String::new(),
        first,
        last,
        parts: 0,
        sha256: [0; 32],
    };
    let ended = |attempt| New::Outcome(Box::new(outcome(Begun::Link(attempt), failure())));
    let failed = Failed { seen: Some(9), ..Failed::default() };
    let seen = NewOutcome { end: NewEnd::Failed(failed), ..outcome(Begun::Link(22), failure()) };
    let other_export = "the ledger has another export for this verifier";
    let (no_attempt, no_entry) = ("the ledger has no such attempt", "the ledger has no such entry");
    for (new, complaint) in [
        (ended(99), no_attempt),
        (ended(21), no_attempt), // an outcome
        (ended(20), "the ledger has an outcome of this attempt"),
        (New::Outcome(Box::new(seen)), no_entry),
        (New::Program(program(99, "before")), no_attempt),
        (New::Program(program(1, "later")), "CHECK"),
        (New::Withdrawal(Withdrawal { entry: 9, reason: String::new() }), no_entry),
        (
            New::Withdrawal(Withdrawal { entry: 2, reason: String::new() }),
            "a withdrawal of this entry",
        ),
        (New::Export(export("new", 1, 9)), no_entry),
        (New::Export(export("new", 0, 5)), no_entry),
        (New::Export(export("new", 2, 5)), other_export),
        (New::Export(export("veraison", 1, 5)), other_export),
        (New::Export(export("veraison", 4, 5)), other_export),
        (New::Export(export("veraison", 6, 6)), other_export),
        (New::Export(export("veraison", 5, 4)), "CHECK"),
    ] {
        let error = ledger.append(&[run_of(entry(9)), new]).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
        assert!(links(&ledger) == before);
    }
    ledger.append(&[ended(22), New::Export(export("veraison", 5, 5))]).unwrap();
    assert_eq!((audit(&path, None).unfinished, ledger.given_to("veraison").unwrap()), (0, 5));
    assert_eq!(ledger.given_to("new").unwrap(), 0);
}

/// A statement that puts a copy of a row in a table, with some columns replaced.
fn copy(or: &str, table: &str, columns: &str, from: &str, replaced: &[(&str, &str)]) -> String {
    let column = |name| {
        replaced.iter().find(|(column, _)| *column == name).map_or(name, |(_, value)| *value)
    };
    let columns: Vec<_> = columns.split(", ").map(column).collect();
    format!("INSERT {or} INTO {table} SELECT {} FROM {table} WHERE {from}", columns.join(", "))
}

/// Each table: its columns, the kind of its links, a row that can be copied, and what a copy has to have anew.
type Table = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);
const TABLES: [Table; 6] = [
    ("attempts", "link, port, batch, serial_number", "attempt", "link = 22", &[]),
    (
        "outcomes",
        "link, attempt, result, error, failure, text, seen, serial_number, device_id, ueid, image, steps, console",
        "outcome",
        "link = 6",
        &[("attempt", "22")],
    ),
    (
        "programs",
        "link, attempt, step, command, succeeded, text, milliseconds, output",
        "program",
        "link = 4",
        &[],
    ),
    ("withdrawals", "link, entry, reason", "withdrawal", "link = 10", &[("entry", "3")]),
    (
        "exports",
        "link, verifier, profile, first, last, parts, sha256",
        "export",
        "link = 19",
        &[("verifier", "'new'")],
    ),
    (
        "entries",
        "link, number, device_id, implementation_id, ueid, public_key, record",
        "outcome",
        "number = 5",
        &[
            ("number", "6"),
            ("device_id", "zeroblob(8)"),
            ("ueid", "zeroblob(33)"),
            ("public_key", "zeroblob(65)"),
        ],
    ),
];

const LINK_COLUMNS: &str =
    "number, time, clock_accepted, station, operator, version, kind, previous, hash";
const OUTCOME_OF_22: &str = "INSERT INTO outcomes SELECT 23, 22, 'good', NULL, NULL, NULL, NULL, 'SN-6', NULL, \
     NULL, image, steps, console FROM outcomes WHERE link = 3";
const LAST_HASH: &str = "(SELECT hash FROM links WHERE number = 22)";
const CONFLICTS: [&str; 5] = ["", "OR REPLACE", "OR IGNORE", "OR FAIL", "OR ROLLBACK"];

/// Wants a statement to be refused after those that `link` has.
#[track_caller]
fn assert_no(raw: &Connection, link: &[&str], statement: &str) {
    for foreign_keys in [true, false] {
        // Other programs than this one need not have SQLite look after them.
        raw.pragma_update(None, "foreign_keys", foreign_keys).unwrap();
        raw.execute_batch("BEGIN").unwrap();
        for statement in link {
            raw.execute(statement, []).expect(statement);
        }
        // OR IGNORE does nothing where a column has another form.
        assert_eq!(raw.execute(statement, []).unwrap_or(0), 0, "{statement}");
        // OR ROLLBACK has done so already.
        let _ = raw.execute_batch("ROLLBACK");
    }
}

#[test]
fn no_program_can_change_or_delete() {
    let (_folder, path, _) = sampled();
    let before = links(&Ledger::open(&path).unwrap());
    let raw = Connection::open(&path).unwrap();
    let mut statements = vec![
        String::from("UPDATE OR REPLACE links SET number = 1 WHERE number = 22"),
        String::from("UPDATE OR REPLACE attempts SET link = 1 WHERE link = 22"),
        String::from("UPDATE OR REPLACE entries SET number = 1 WHERE number = 5"),
        String::from(
            "INSERT INTO links SELECT * FROM links WHERE number = 22 ON CONFLICT DO UPDATE SET time = 0",
        ),
        String::from(
            "INSERT INTO entries SELECT * FROM entries WHERE number = 5 ON CONFLICT DO UPDATE SET record = x''",
        ),
    ];
    let tables = TABLES.iter().map(|(table, columns, ..)| (*table, *columns));
    for (table, columns) in tables.chain([("links", LINK_COLUMNS)]) {
        for column in columns.split(", ") {
            statements.push(format!("UPDATE {table} SET {column} = {column}"));
        }
        statements.push(format!("DELETE FROM {table}"));
        statements
            .push(format!("DELETE FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})"));
        for or in CONFLICTS {
            statements.push(format!("INSERT {or} INTO {table} SELECT * FROM {table}"));
        }
    }
    let origin = "station_key, batch, continues_format, continues_number, continues_head, hash";
    for column in origin.split(", ") {
        statements.push(format!("UPDATE origin SET {column} = {column}"));
    }
    statements.push(String::from("DELETE FROM origin"));
    for or in CONFLICTS {
        statements.push(format!("INSERT {or} INTO origin SELECT * FROM origin"));
        statements.push(format!(
            "INSERT {or} INTO origin (rowid, {origin}) SELECT rowid, {origin} FROM origin"
        ));
    }
    for statement in statements {
        let error = raw.execute(&statement, []).expect_err(&statement).to_string();
        assert!(error.contains("the ledger is append-only"), "{statement}: {error}");
    }
    assert_eq!(links(&Ledger::open(&path).unwrap()), before);
    assert!(audit(&path, None).is_clean());
}

#[test]
fn no_program_can_append_what_does_not_follow() {
    let (_folder, path, _) = sampled();
    let before = links(&Ledger::open(&path).unwrap());
    let raw = Connection::open(&path).unwrap();
    // A link.
    let link = |or: &str, number: &str, previous: &str, kind: &str| {
        let kind = format!("'{kind}'");
        let replaced = [("number", number), ("previous", previous), ("kind", &kind)];
        copy(or, "links", LINK_COLUMNS, "number = 22", &replaced)
    };
    for or in CONFLICTS {
        for number in ["-1", "0", "1", "22", "24", "9223372036854775807", "NULL"] {
            assert_no(&raw, &[], &link(or, number, LAST_HASH, "attempt"));
        }
        for previous in
            ["zeroblob(32)", "(SELECT hash FROM links WHERE number = 21)", "x''", "NULL"]
        {
            assert_no(&raw, &[], &link(or, "23", previous, "attempt"));
        }
        assert_no(&raw, &[], &link(or, "23", LAST_HASH, "x"));
    }
    // A row of a fact: of no link, of an earlier one, of one of another kind, or that has one already.
    for (table, columns, kind, from, anew) in TABLES {
        let row = |or, replaced: &[(&str, &str)]| {
            copy(or, table, columns, from, &[replaced, anew].concat())
        };
        let of_its_kind = link("", "23", LAST_HASH, kind);
        let mut good = vec![of_its_kind.as_str()];
        good.extend((table == "entries").then_some(OUTCOME_OF_22));
        let of_another =
            link("", "23", LAST_HASH, if kind == "attempt" { "export" } else { "attempt" });
        let whole = row("", &[("link", "23")]);
        for or in CONFLICTS {
            assert_no(&raw, &[], &row(or, &[("link", "23")]));
            assert_no(&raw, &[&of_another], &row(or, &[("link", "23")]));
            for number in ["1", "3", "22", "24", "NULL"] {
                assert_no(&raw, &good, &row(or, &[("link", number)]));
            }
            let twice = [&good[..], &[&whole]].concat();
            assert_no(&raw, &twice, &row(or, &[("link", "23")]));
        }
        // All of these were refused for what they are, and not because nothing can be inserted.
        raw.execute_batch("BEGIN").unwrap();
        for statement in good.iter().chain([&whole.as_str()]) {
            raw.execute(statement, []).expect(statement);
        }
        raw.execute_batch("ROLLBACK").unwrap();
    }
    // The outcome of an attempt that has one, and of an entry that is the part's already.
    let of_its_kind = link("", "23", LAST_HASH, "outcome");
    let outcome = |or, replaced: &[(&str, &str)]| {
        let (table, columns, _, from, _) = TABLES[1];
        copy(or, table, columns, from, &[&[("link", "23")], replaced].concat())
    };
    let bad_entry = |or, replaced: &[(&str, &str)]| {
        let (table, columns, _, from, anew) = TABLES[5];
        copy(or, table, columns, from, &[&[("link", "23")], replaced, anew].concat())
    };
    let withdrawal = link("", "23", LAST_HASH, "withdrawal");
    for or in CONFLICTS {
        for (column, value) in [("attempt", "20"), ("attempt", "21"), ("attempt", "99")] {
            assert_no(&raw, &[&of_its_kind], &outcome(or, &[(column, value)]));
        }
        assert_no(&raw, &[&of_its_kind], &outcome(or, &[("attempt", "22"), ("seen", "6")]));
        let good = [of_its_kind.as_str(), OUTCOME_OF_22];
        for number in ["-1", "0", "1", "5", "7", "NULL"] {
            assert_no(&raw, &good, &bad_entry(or, &[("number", number)]));
        }
        // The device ID of entry 2 may come back, since it was withdrawn; its UEID and its key may not.
        for (column, victims) in
            [("device_id", &[1, 3, 5][..]), ("ueid", &[1, 2, 5]), ("public_key", &[1, 2, 5])]
        {
            for victim in victims {
                let value = format!("(SELECT {column} FROM entries WHERE number = {victim})");
                assert_no(&raw, &good, &bad_entry(or, &[(column, &value)]));
            }
        }
        // An entry of an outcome that is not good, or has the serial number of another entry.
        let failed = outcome("", &[("attempt", "22")]);
        assert_no(&raw, &[&of_its_kind, &failed], &bad_entry(or, &[]));
        let again = OUTCOME_OF_22.replace("SN-6", "SN-1");
        assert_no(&raw, &[&of_its_kind, &again], &bad_entry(or, &[]));
        for entry in ["2", "6", "0"] {
            let statement = format!("INSERT {or} INTO withdrawals VALUES (23, {entry}, '')");
            assert_no(&raw, &[&withdrawal], &statement);
        }
    }
    // Columns of another form.
    let good = [of_its_kind.as_str(), OUTCOME_OF_22];
    for (column, bad) in [
        ("device_id", "zeroblob(7)"),
        ("device_id", "'12345678'"),
        ("ueid", "zeroblob(32)"),
        ("public_key", "zeroblob(64)"),
        ("public_key", "NULL"),
    ] {
        assert_no(&raw, &good, &bad_entry("", &[(column, bad)]));
    }
    assert_eq!(links(&Ledger::open(&path).unwrap()), before);
    let returns = ("device_id", "(SELECT device_id FROM entries WHERE number = 2)");
    for statement in [&of_its_kind, OUTCOME_OF_22, &bad_entry("", &[returns])] {
        raw.execute(statement, []).expect(statement);
    }
}

#[test]
fn many_write_at_once() {
    for empty_file in [false, true] {
        let (_folder, path) = folder();
        if empty_file {
            fs::write(&path, b"").unwrap();
        }
        thread::scope(|threads| {
            for thread in 0..6 {
                let path = &path;
                threads.spawn(move || {
                    let mut ledger = Ledger::open_or_create(path).unwrap();
                    // Opened meanwhile, it is as its head says, or still empty.
                    match Ledger::open(path) {
                        Ok(_) | Err(LedgerError::Missing(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                    for n in 0..5 {
                        let first = 1 + thread * 20 + n * 4;
                        // Every thread also has a part of all others.
                        let mut slice = entries(first..first + 4);
                        slice.push(entry(200));
                        let answers = enter(&mut ledger, &slice).unwrap();
                        assert!(answers[..4].iter().all(Result::is_ok), "{answers:?}");
                    }
                });
            }
        });
        let audit = audit(&path, None);
        assert_eq!((audit.entries, audit.problems), (6 * 5 * 4 + 1, vec![]));
        assert_eq!((audit.attempts, audit.unfinished), (6 * 5 * 5, 0));
        // None has written an older head over a later one.
        let head = format!("{} {}\n", audit.head.number, hex(audit.head.hash));
        assert_eq!(fs::read_to_string(head_file_of(&path)).unwrap(), head);
    }
}

#[test]
fn readers_see_one_moment_while_a_station_writes() {
    let (_folder, path, receipts) = five();
    let reader = Ledger::open(&path).unwrap();
    let writer = std::sync::Mutex::new(Ledger::open_or_create(&path).unwrap());
    let append = |n: u64| {
        let n = u8::try_from(n).unwrap();
        enter(&mut writer.lock().unwrap(), &[entry(n + 100)]).unwrap()[0].unwrap();
    };
    let mut read = Vec::new();
    let found = reader.audit(
        None,
        |entry| {
            append(entry.number);
            Ok(())
        },
        |links| read.push(links),
    );
    let found = found.unwrap();
    assert_eq!((found.head.hash, found.entries, found.problems), (receipts[4].hash, 5, vec![]));
    assert_eq!(read, (1..=10).collect::<Vec<_>>());
    assert_eq!(reader.head().unwrap().number, 20);
    assert_eq!(audit(&path, None).entries, 10);
}

#[test]
fn a_reader_neither_creates_nor_writes() {
    let (folder, path) = folder();
    assert!(matches!(Ledger::open(&path), Err(LedgerError::Missing(_))));
    fs::write(&path, b"").unwrap();
    assert!(matches!(Ledger::open(&path), Err(LedgerError::Missing(_))));
    assert_eq!(fs::read(&path).unwrap(), b"");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    drop(Ledger::open_or_create(&path).unwrap());
    let before = fs::read(&path).unwrap();
    let mut reader = Ledger::open(&path).unwrap();
    assert!(matches!(enter(&mut reader, &entries([1])), Err(LedgerError::ReadOnly(_))));
    drop(reader);
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// Wants both ways to open `path` to fail as `expected` says and to leave the file and its log alone.
/// A log that is missing may come to be an empty one, which means the same.
#[track_caller]
fn assert_refused(path: &Path, expected: impl Fn(&LedgerError) -> bool) {
    let log = path.with_extension("db-wal");
    let content = || (fs::read(path).ok(), fs::read(&log).unwrap_or_default());
    let before = content();
    for result in [Ledger::open(path), Ledger::open_or_create(path)] {
        let error = result.unwrap_err();
        assert!(expected(&error), "{error:?}");
        assert!(error.to_string().contains("file.db"), "{error}");
        assert!(content() == before, "a file was changed");
    }
}

#[test]
fn another_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.db");
    let not_a_ledger =
        |error: &LedgerError| matches!(error, LedgerError::NotALedger(_)) && !error.is_loss();
    for content in [&b"Dear all"[..], b"\0", &[0; 4096], &[0xFF; 10_000], b"SQLite format 3\0"] {
        fs::write(&path, content).unwrap();
        assert_refused(&path, not_a_ledger);
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_refused(&path, |error| match error {
        LedgerError::Sqlite(..) => true,
        // A folder has no size on Windows.
        LedgerError::Missing(_) => cfg!(windows),
        _ => false,
    });
    fs::remove_dir(&path).unwrap();

    // Another program's database, with and without a log that is still to be read.
    let others = Connection::open(&path).unwrap();
    others.execute_batch("CREATE TABLE entries (number INTEGER PRIMARY KEY)").unwrap();
    assert_refused(&path, not_a_ledger);
    others
        .execute_batch("PRAGMA journal_mode = WAL; INSERT INTO entries VALUES (1), (2)")
        .unwrap_or(()); // the pragma gives a row
    others.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    others.execute_batch("INSERT INTO entries VALUES (3)").unwrap();
    drop(others);
    assert!(fs::metadata(path.with_extension("db-wal")).unwrap().len() > 0);
    assert_refused(&path, not_a_ledger);
}

#[test]
fn a_ledger_of_another_version_is_refused_and_left_alone() {
    for (in_log, version) in [(false, 4), (true, 4), (false, 99), (true, 99)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.db");
        drop(Ledger::open_or_create(&path).unwrap());
        let raw = Connection::open(&path).unwrap();
        raw.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, in_log).unwrap();
        raw.pragma_update(None, "user_version", version).unwrap();
        drop(raw);
        assert_eq!(path.with_extension("db-wal").exists(), in_log);
        assert_refused(
            &path,
            |error| matches!(error, LedgerError::Version(_, found) if *found == version),
        );
        let raw = Connection::open(&path).unwrap();
        raw.pragma_update(None, "user_version", 0).unwrap();
        drop(raw);
        assert_refused(&path, |error| matches!(error, LedgerError::NotALedger(_)));
    }
}

#[test]
fn a_log_without_its_ledger_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.db");
    let log = path.with_extension("db-wal");
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    enter(&mut ledger, &entries([1])).unwrap();
    let (kept, entries) = (fs::read(&path).unwrap(), fs::read(&log).unwrap());
    drop(ledger);
    fs::write(&log, &entries).unwrap();
    for empty_file in [true, false] {
        fs::remove_file(&path).unwrap();
        if empty_file {
            fs::write(&path, b"").unwrap();
        }
        let error = Ledger::open_or_create(&path).unwrap_err();
        assert!(matches!(error, LedgerError::LogOnly(_)), "{error:?}");
        assert!(fs::read(&log).unwrap() == entries);
    }
    fs::write(&path, kept).unwrap();
    assert_eq!(audit(&path, None).entries, 1);
}

#[test]
fn what_is_left_of_a_killed_creation_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.db");
    drop(Ledger::open_or_create(&path).unwrap());
    // An empty file in which a ledger was being made, when the process was killed before its commit.
    let journal = path.with_extension("db-journal");
    fs::write(&journal, [0xD9; 512]).unwrap();
    assert_refused(&path, |error| matches!(error, LedgerError::Unfinished(_)));
    assert!(journal.exists());
    // Next to a file that is still empty, a journal is nothing.
    fs::write(&path, b"").unwrap();
    drop(Ledger::open_or_create(&path).unwrap());
    assert!(audit(&path, None).is_clean());
}

#[test]
fn an_audit_sees_every_edit() {
    let (_folder, path, kept) = sampled();
    let file = fs::read(&path).unwrap();
    let stray = |problem: &Problem| match problem {
        Problem::Stray(table, row, _) => (0, table.clone(), *row),
        _ => (1, String::new(), 0),
    };
    for (edit, expected) in edits() {
        fs::write(&path, &file).unwrap();
        tamper(&path, &edit);
        let mut problems = audit(&path, None).problems;
        // SQLite sees some of it too.
        problems.retain(|problem| !matches!(problem, Problem::File(_)));
        // And looks at the tables in an order of its own.
        problems.sort_by_key(stray);
        // A changed trigger, or one that was not put back, would show here.
        assert_eq!(problems, expected, "{edit}");
        assert!(expected.is_empty() || !audit(&path, Some(kept[0].link.hash)).is_clean());
    }
}

/// Link 1 follows the origin, and a ledger without one takes no link.
#[test]
fn no_program_can_begin_another_chain() {
    let (_folder, path) = folder();
    drop(Ledger::open_or_create(&path).unwrap());
    let raw = Connection::open(&path).unwrap();
    let link = |previous: &str| {
        format!(
            "INSERT INTO links VALUES (1, 0, 0, NULL, NULL, '', 'attempt', {previous}, zeroblob(32))"
        )
    };
    for or in CONFLICTS {
        let origin = format!("INSERT {or} INTO origin SELECT * FROM origin");
        let error = raw.execute(&origin, []).unwrap_err().to_string();
        assert!(error.contains("it has its origin"), "{error}");
    }
    for previous in ["zeroblob(32)", "x''", "(SELECT batch FROM origin)"] {
        assert_no(&raw, &[], &link(previous));
    }
    raw.execute_batch("BEGIN").unwrap();
    assert_eq!(raw.execute(&link("(SELECT hash FROM origin)"), []).unwrap(), 1);
    raw.execute_batch("ROLLBACK").unwrap();
    tamper(&path, "DELETE FROM origin");
    assert_no(&raw, &[], &link("zeroblob(32)"));
    assert_no(&raw, &[], &link("(SELECT hash FROM origin)"));
}

/// Whose hash was made again, too: it is not that of link 1.
#[test]
fn an_audit_sees_another_origin() {
    let (_folder, path, kept) = sampled();
    let other = Origin { batch: text("x"), ..Origin::default() };
    let hash = hex(other.hash());
    tamper(&path, &format!("UPDATE origin SET batch = 'x', hash = x'{hash}'"));
    assert_eq!(audit(&path, None).problems, [Problem::Previous(1)]);
    assert_eq!(audit(&path, Some(kept[0].link.hash)).problems, [Problem::Previous(1)]);
    assert_eq!(Ledger::open(&path).unwrap().origin().unwrap(), other);
}

#[test]
fn a_ledger_whose_origin_was_changed_takes_no_link() {
    for edit in ["UPDATE origin SET batch = 'x'", "DELETE FROM origin"] {
        let (_folder, path, _) = sampled();
        tamper(&path, edit);
        let error = Ledger::open_or_create(&path).unwrap_err();
        assert!(matches!(error, LedgerError::Damaged(_, Problem::Origin)), "{error:?}");
        let error = Ledger::open(&path).unwrap().origin().unwrap_err();
        assert!(matches!(error, LedgerError::Damaged(_, Problem::Origin)), "{error:?}");
    }
}

#[test]
fn there_is_an_edit_of_every_column() {
    let (_folder, path, _) = sampled();
    let raw = Connection::open(&path).unwrap();
    let mut statement = raw
        .prepare(
            "SELECT tables.name, columns.name FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
             WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%'",
        )
        .unwrap();
    let columns = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let columns: Vec<(String, String)> = columns.collect::<Result<_, _>>().unwrap();
    assert_eq!(columns.len(), 6 + 9 + 4 + 13 + 7 + 8 + 3 + 7);
    for (table, column) in columns {
        // The link of a row stands for the row.
        let begins = format!("UPDATE {table} SET {column} =");
        let edited = edits().iter().any(|(edit, _)| edit.contains(&begins));
        assert!(edited || column == "link", "{begins}");
    }
}

#[test]
fn an_audit_sees_columns_of_another_form() {
    let columns = [
        ("links", 3, "previous", "previous"),
        ("links", 3, "hash", "hash"),
        ("outcomes", 12, "device_id", "outcomes.device_id"),
        ("outcomes", 12, "ueid", "outcomes.ueid"),
        ("outcomes", 12, "image", "image"),
        ("entries", 14, "device_id", "entries.device_id"),
        ("entries", 14, "implementation_id", "implementation_id"),
        ("entries", 14, "ueid", "entries.ueid"),
        ("entries", 14, "public_key", "public_key"),
        ("exports", 19, "sha256", "sha256"),
    ];
    let (_folder, path, _) = sampled();
    let file = fs::read(&path).unwrap();
    for (table, link, column, name) in columns {
        for bad in ["x''", "zeroblob(31)", "zeroblob(66)"] {
            fs::write(&path, &file).unwrap();
            let key = if table == "links" { "number" } else { "link" };
            tamper(&path, &format!("UPDATE {table} SET {column} = {bad} WHERE {key} = {link}"));
            let found = audit(&path, None);
            assert_eq!((found.entries, found.head.number), (5, LINKS));
            let column = Problem::Column(link, name);
            assert!(found.problems.contains(&column), "{column:?} not in {found:?}");
            let mut bad = Vec::new();
            Ledger::open(&path)
                .unwrap()
                .walk::<LedgerError>(
                    None,
                    |_| Ok(()),
                    |found| {
                        bad.extend(found.link.is_none().then_some(found.number));
                        Ok(())
                    },
                )
                .unwrap();
            assert_eq!(bad, [link], "the others are given with it");
        }
    }
    fs::write(&path, &file).unwrap();
    tamper(
        &path,
        "UPDATE entries SET implementation_id = unhex(hex(zeroblob(32))) WHERE number = 1;
         UPDATE entries SET implementation_id = unhex(replace(hex(zeroblob(32)), '0', 'F')) WHERE number = 3;
         UPDATE attempts SET port = CAST(x'FF' AS TEXT) WHERE link = 5;
         UPDATE links SET time = 9223372036854775807 WHERE number = 7",
    );
    let expected = [
        Problem::Hash(3),
        Problem::Column(5, "port"),
        Problem::Column(7, "time"),
        Problem::Column(14, "implementation_id"),
    ];
    assert_eq!(audit(&path, None).problems, expected);
}

#[test]
fn a_head_written_down_shows_what_the_file_cannot() {
    const CUT: &str = "DELETE FROM links WHERE number = 10; DELETE FROM outcomes WHERE link = 10;
        DELETE FROM entries WHERE link = 10; UPDATE sqlite_sequence SET seq = 9";
    let (_folder, path, receipts) = five();
    for receipt in &receipts {
        assert!(audit(&path, Some(receipt.hash)).is_clean());
    }
    assert!(
        audit(&path, Some(Origin::default().hash())).is_clean(),
        "the head of the empty ledger"
    );
    assert_eq!(audit(&path, Some([1; 32])).problems, [Problem::Head]);

    tamper(&path, CUT);
    let found = audit(&path, None);
    assert!(found.is_clean(), "this is what cannot be seen");
    assert_eq!((found.entries, found.unfinished), (4, 1));
    assert!(audit(&path, Some(receipts[3].hash)).is_clean());
    assert_eq!(audit(&path, Some(receipts[4].hash)).problems, [Problem::Head]);
    // Nor do entries that are appended after it hide it.
    enter(&mut Ledger::open_or_create(&path).unwrap(), &entries([6, 7])).unwrap();
    assert_eq!(audit(&path, Some(receipts[4].hash)).problems, [Problem::Head]);

    // A last link that was written anew, with the hash that it should have.
    let (_folder, path, receipts) = five();
    tamper(&path, &rewritten_end(&path));
    assert!(audit(&path, None).is_clean());
    assert_eq!(audit(&path, Some(receipts[4].hash)).problems, [Problem::Head]);
    // A hash that only stands there is none.
    let hash = hex(receipts[4].hash);
    tamper(&path, &format!("UPDATE links SET hash = x'{hash}' WHERE number = 10"));
    assert_eq!(audit(&path, Some(receipts[4].hash)).problems, [Problem::Hash(10), Problem::Head]);
}

/// Statements that give the last link of [`five`] another operator, and the hash that it should have then.
fn rewritten_end(path: &Path) -> String {
    let mut link = links(&Ledger::open(path).unwrap()).pop().unwrap();
    link.author.operator = text("x");
    let hash = hex(link.computed_hash());
    format!("UPDATE links SET operator = 'x', hash = x'{hash}' WHERE number = 10")
}

#[test]
fn a_ledger_without_its_end_takes_no_link() {
    let (_folder, path, _) = five();
    let cut = "DELETE FROM links WHERE number = 10; DELETE FROM outcomes WHERE link = 10;
         DELETE FROM entries WHERE link = 10";
    tamper(&path, cut);
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    for new in [run_of(entry(6)), New::Attempt(attempt("port"))] {
        let error = ledger.append(&[new]).unwrap_err();
        assert!(matches!(error, LedgerError::Damaged(_, Problem::CutOff(9, 10))), "{error:?}");
    }
    // Nor from another program.
    let raw = Connection::open(&path).unwrap();
    for (number, previous, complaint) in
        [("10", "hash", "missing at its end"), ("11", "zeroblob(32)", "not the next number")]
    {
        let replaced = [("number", number), ("previous", previous)];
        let statement = copy("", "links", LINK_COLUMNS, "number = 9", &replaced);
        let error = raw.execute(&statement, []).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    }
}

#[test]
fn another_schema_stops_every_command() {
    // A view that never ends, in place of the table.
    let view = "PRAGMA foreign_keys = OFF; DROP TABLE links; CREATE VIEW links AS WITH RECURSIVE n (number) AS
        (SELECT 1 UNION ALL SELECT number + 1 FROM n) SELECT number, 0 AS time, 0 AS clock_accepted, NULL AS station,
        NULL AS operator, '' AS version, 'attempt' AS kind, zeroblob(32) AS previous, zeroblob(32) AS hash
        FROM n";
    // A column that is unique no more.
    let no_constraint = "PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'public_key        BLOB NOT NULL UNIQUE',
            'public_key        BLOB NOT NULL') WHERE name = 'entries';
        DELETE FROM sqlite_schema WHERE name = 'sqlite_autoindex_entries_3'";
    for (edit, name) in [
        ("DROP TRIGGER entries_are_not_changed", "entries_are_not_changed"),
        ("DROP TRIGGER entries_are_not_deleted", "entries_are_not_deleted"),
        ("DROP TRIGGER entries_are_appended", "entries_are_appended"),
        ("DROP TRIGGER links_are_appended", "links_are_appended"),
        ("DROP TRIGGER withdrawals_are_not_deleted", "withdrawals_are_not_deleted"),
        ("DROP INDEX entries_device_id", "entries_device_id"),
        (
            "DROP TRIGGER entries_are_not_deleted;
             CREATE TRIGGER entries_are_not_deleted BEFORE DELETE ON entries BEGIN SELECT 1; END",
            "entries_are_not_deleted",
        ),
        ("CREATE TRIGGER more AFTER INSERT ON entries BEGIN SELECT 1; END", "more"),
        ("CREATE TABLE more (c)", "more"),
        ("CREATE INDEX more ON entries (record)", "more"),
        ("CREATE VIEW more AS SELECT 1", "more"),
        ("CREATE TABLE \"\u{1b}[2J\" (c)", "\\u{1b}[2J"),
        ("ALTER TABLE entries ADD COLUMN more BLOB", "entries"),
        ("ALTER TABLE exports RENAME TO more", "exports, exports_are_appended"),
        (view, "links, links_are_appended, links_are_not_changed"),
        (no_constraint, "entries, sqlite_autoindex_entries_3"),
    ] {
        let (folder, path, _) = five();
        Connection::open(&path).unwrap().execute_batch(edit).unwrap();
        let before = fs::read(&path).unwrap();
        for result in [Ledger::open(&path), Ledger::open_or_create(&path)] {
            let error = result.map(|_| edit).unwrap_err();
            assert!(matches!(error, LedgerError::Damaged(_, Problem::Schema(_))), "{error:?}");
            assert!(error.is_loss());
            let text = error.to_string();
            assert!(text.contains(&format!("guards it: {name}")), "{text}");
            assert!(text.contains("restore the ledger from a backup"), "{text}");
            assert!(fs::read(&path).unwrap() == before, "{edit}: the file was changed");
        }
        drop(folder);
    }
    // An index that is missing, although its table wants it.
    let (_folder, path, _) = five();
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch(
        "PRAGMA writable_schema = ON;
         DELETE FROM sqlite_schema WHERE name = 'sqlite_autoindex_entries_1'",
    )
    .unwrap();
    drop(raw);
    for result in [Ledger::open(&path), Ledger::open_or_create(&path)] {
        let text = result.unwrap_err().to_string();
        assert!(text.contains("Stop the line"), "{text}");
    }
}

#[test]
fn a_schema_that_changes_while_the_ledger_is_open_ends_a_walk() {
    let (_folder, path, _) = five();
    let ledger = Ledger::open(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE more (c)").unwrap();
    let error = ledger.audit(None, |_| Ok(()), |_| ()).unwrap_err();
    assert!(matches!(error, LedgerError::Damaged(_, Problem::Schema(_))), "{error:?}");
}

/// Closes a ledger of five entries, and gives its folder, its file, and what stands in the file of its head.
fn closed() -> (TempDir, PathBuf, String) {
    let (folder, path, receipts) = five();
    let head = fs::read_to_string(head_file_of(&path)).unwrap();
    assert_eq!(head, format!("10 {}\n", hex(receipts[4].hash)));
    (folder, path, head)
}

/// Wants both ways to open the ledger to fail as `expected` says and to change nothing in its folder.
#[track_caller]
fn assert_lost(path: &Path, expected: impl Fn(&LedgerError) -> bool) {
    let content = || {
        let mut files: Vec<_> = fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|file| file.unwrap().path())
            // A reader leaves an index of the log, and an empty log, which say nothing.
            .filter(|file| !file.to_str().unwrap().ends_with("-shm"))
            .map(|file| (fs::read(&file).unwrap(), file))
            .filter(|(content, file)| !content.is_empty() || file == path)
            .collect();
        files.sort();
        files
    };
    let before = content();
    for result in [Ledger::open(path), Ledger::open_or_create(path)] {
        let error = result.unwrap_err();
        assert!(expected(&error) && error.is_loss(), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with(path.to_str().unwrap()), "{text}");
        assert!(text.contains("nothing was changed") && !text.contains("  "), "{text}");
        // What to do, if it is really so.
        let file = head_file_of(path);
        assert!(text.contains(&format!("remove {}", file.display())), "{text}");
        assert!(content() == before, "a file was changed");
    }
}

#[test]
fn a_ledger_that_is_gone_is_not_begun_anew() {
    for empty_file in [false, true] {
        let (_folder, path, _) = closed();
        fs::remove_file(&path).unwrap();
        if empty_file {
            fs::write(&path, b"").unwrap();
        }
        assert_lost(&path, |error| matches!(error, LedgerError::Gone(_, _, 10)));
        // It is begun anew on purpose.
        fs::remove_file(head_file_of(&path)).unwrap();
        let mut ledger = Ledger::open_or_create(&path).unwrap();
        assert_eq!(enter(&mut ledger, &entries([9])).unwrap()[0].unwrap().number, 1);
    }
    // A ledger that never had an entry may go.
    let (_folder, path) = folder();
    drop(Ledger::open_or_create(&path).unwrap());
    fs::remove_file(&path).unwrap();
    drop(Ledger::open_or_create(&path).unwrap());
}

#[test]
fn an_older_copy_of_the_ledger_is_found() {
    let (_folder, path) = folder();
    let mut copies = Vec::new();
    for n in 0..=3 {
        let mut ledger = Ledger::open_or_create(&path).unwrap();
        enter(&mut ledger, &entries((n > 0).then_some(n))).unwrap();
        drop(ledger);
        copies.push(fs::read(&path).unwrap());
    }
    for (n, copy) in (0..3).zip(&copies) {
        fs::write(&path, copy).unwrap();
        assert_lost(
            &path,
            |error| matches!(error, LedgerError::Shorter { last, seen: 6, .. } if *last == 2 * n),
        );
    }
    // The last one is the ledger.
    fs::write(&path, &copies[3]).unwrap();
    assert_eq!(audit(&path, None).entries, 3);
    // An operator who takes an older one on purpose goes on with it.
    fs::write(&path, &copies[1]).unwrap();
    fs::remove_file(head_file_of(&path)).unwrap();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    assert_eq!(enter(&mut ledger, &entries([2])).unwrap()[0].unwrap().number, 2);
}

#[test]
fn a_ledger_that_was_copied_without_its_log_is_found() {
    let (_folder, path) = folder();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    enter(&mut ledger, &entries(1..=5)).unwrap();
    // As a copy finds it while the station runs, or was killed: all entries are in the log.
    let (copy, log, head) = (
        fs::read(&path).unwrap(),
        fs::read(path.with_file_name("ledger-wal")).unwrap(),
        fs::read(head_file_of(&path)).unwrap(),
    );
    let (_other, path) = folder();
    fs::write(&path, copy).unwrap();
    assert_eq!(audit(&path, None).entries, 0, "nothing else shows it");
    fs::write(head_file_of(&path), head).unwrap();
    assert_lost(&path, |error| matches!(error, LedgerError::Shorter { last: 0, seen: 10, .. }));
    fs::remove_file(path.with_file_name("ledger-shm")).unwrap();
    fs::write(path.with_file_name("ledger-wal"), log).unwrap();
    assert_eq!(audit(&path, None).entries, 5, "with its log it is whole");
}

#[test]
fn the_log_of_another_ledger_is_found_and_nothing_written_back() {
    // Logs of ledgers with fewer, as many, and more entries.
    for others in [1, 5, 9] {
        let (_other, other) = folder();
        let mut ledger = Ledger::open_or_create(&other).unwrap();
        enter(&mut ledger, &entries(101..=100 + others)).unwrap();
        let log = fs::read(other.with_file_name("ledger-wal")).unwrap();
        drop(ledger);

        let (_folder, path, _) = closed();
        fs::write(path.with_file_name("ledger-wal"), &log).unwrap();
        assert_lost(&path, |error| {
            matches!(error, LedgerError::Other(_, _, 10) | LedgerError::Shorter { .. })
        });
        // Once it is away, the ledger is as it was.
        fs::remove_file(path.with_file_name("ledger-wal")).unwrap();
        let _ = fs::remove_file(path.with_file_name("ledger-shm"));
        assert_eq!(audit(&path, None).entries, 5);
    }
    // A file that is not a log is ignored, by SQLite and here.
    let (_folder, path, _) = closed();
    fs::write(path.with_file_name("ledger-wal"), [0xA5; 10_000]).unwrap();
    assert_eq!(audit(&path, None).entries, 5);
}

#[test]
fn a_last_link_that_was_written_anew_is_found() {
    let (_folder, path, head) = closed();
    tamper(&path, &rewritten_end(&path));
    assert!(audit(&path, None).is_clean(), "nothing else shows it");
    fs::write(head_file_of(&path), head).unwrap();
    assert_lost(&path, |error| matches!(error, LedgerError::Other(_, _, 10)));
}

#[test]
fn a_head_that_is_behind_is_brought_up() {
    let (_folder, path) = folder();
    let head_file = head_file_of(&path);
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    assert!(!head_file.exists(), "an empty ledger has nothing to lose");
    let mut heads = Vec::new();
    for n in 1..=3 {
        enter(&mut ledger, &entries([n])).unwrap();
        heads.push(fs::read(&head_file).unwrap());
    }
    // What begins is not synced, and may be gone after a loss of power.
    let begun = ledger.append(&[New::Attempt(attempt("port"))]).unwrap()[0].link;
    assert_eq!(fs::read(&head_file).unwrap(), heads[2]);
    ledger.append(&[]).unwrap();
    assert_eq!(fs::read(&head_file).unwrap(), heads[2]);
    // What comes after it is, and with it all before.
    let ended = outcome(Begun::Link(begun.number), failure());
    let kept = ledger.append(&[New::Outcome(Box::new(ended))]).unwrap()[0].link;
    heads.push(format!("{} {}\n", kept.number, hex(kept.hash)).into_bytes());
    assert_eq!(fs::read(&head_file).unwrap(), heads[3]);
    drop(ledger);
    // A station that was killed between a link and its head; readers accept it, too.
    for behind in [Some(&heads[0]), Some(&heads[2]), None] {
        match behind {
            Some(head) => fs::write(&head_file, head).unwrap(),
            None => fs::remove_file(&head_file).unwrap(),
        }
        drop(Ledger::open(&path).unwrap());
        assert_eq!(fs::read(&head_file).ok().as_ref(), behind, "a reader writes none");
        drop(Ledger::open_or_create(&path).unwrap());
        assert_eq!(fs::read(&head_file).unwrap(), heads[3]);
    }
}

#[test]
fn a_head_is_kept_where_the_user_says_too() {
    let (_folder, path) = folder();
    let (elsewhere, _) = folder();
    let other = elsewhere.path().join("head");
    let open = || Ledger::open_or_create_with(&path, Some(&other));
    let mut ledger = open().unwrap();
    enter(&mut ledger, &entries([1, 2])).unwrap();
    assert_eq!(fs::read(&other).unwrap(), fs::read(head_file_of(&path)).unwrap());
    drop(ledger);
    // The folder of the ledger is lost.
    fs::remove_file(head_file_of(&path)).unwrap();
    fs::remove_file(&path).unwrap();
    for result in [open(), Ledger::open_with(&path, Some(&other))] {
        let error = result.unwrap_err();
        assert!(matches!(&error, LedgerError::Gone(_, file, 4) if *file == other), "{error:?}");
    }
    assert!(!path.exists());
    // An entry whose head cannot be kept is not acknowledged.
    fs::remove_file(&other).unwrap();
    let mut ledger = open().unwrap();
    enter(&mut ledger, &entries([1])).unwrap();
    drop(elsewhere);
    let error = enter(&mut ledger, &entries([2])).unwrap_err();
    assert!(matches!(&error, LedgerError::Io(file, _) if *file == other), "{error:?}");
    assert_eq!(ledger.entries().unwrap(), 2, "but it is there");
}

#[test]
fn another_file_than_a_head_is_left_alone() {
    let (_folder, path, _) = closed();
    let letter = path.with_file_name("letter");
    fs::write(&letter, "Dear all").unwrap();
    for file in [&letter, &path] {
        for result in
            [Ledger::open_with(&path, Some(file)), Ledger::open_or_create_with(&path, Some(file))]
        {
            let error = result.unwrap_err();
            assert!(matches!(&error, LedgerError::NotAHead(found) if found == file), "{error:?}");
            assert!(error.to_string().contains("--head-file"), "{error}");
        }
    }
    assert_eq!(fs::read(&letter).unwrap(), b"Dear all");
    fs::write(head_file_of(&path), "5").unwrap();
    assert!(matches!(Ledger::open(&path), Err(LedgerError::NotAHead(_))));
}

#[test]
fn an_index_that_lacks_an_entry_is_seen() {
    let (_folder, path, _) = five();
    let mut file = fs::read(&path).unwrap();
    // The device ID of part 3 stands in its entry, before the implementation ID, and in the index.
    let id = entry(3).identity.device_id.0;
    let places: Vec<_> =
        (0..file.len() - 9).filter(|&at| file[at..at + 8] == id && file[at + 8] != 0xAA).collect();
    let [place] = places[..] else { panic!("{places:?}") };
    file[place + 7] ^= 1;
    fs::write(&path, file).unwrap();
    let found = audit(&path, None);
    assert!(matches!(found.problems[..], [Problem::File(_), ..]), "{found:?}");
}

#[test]
fn the_callers_check_is_heard_and_the_list_has_an_end() {
    let (_folder, path) = folder();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    enter(&mut ledger, &entries(1..=120)).unwrap();
    let check = |entry: &Entry| if entry.number == 7 { Err("no".to_owned()) } else { Ok(()) };
    let found = ledger.audit(None, check, |_| ()).unwrap();
    assert_eq!(found.problems, [Problem::Record(14, "no".to_owned())]);
    assert!(found.problems[0].to_string().contains("link 14"));
    let found = ledger.audit(None, |_| Err("no".to_owned()), |_| ()).unwrap();
    assert_eq!((found.problems.len(), found.unlisted), (PROBLEMS_LISTED, 20));
    assert_eq!(found.entries, 120);
}

#[test]
fn pages_that_make_no_sense_are_a_problem() {
    let (_folder, path) = folder();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    enter(&mut ledger, &entries(1..=120)).unwrap();
    drop(ledger);
    let good = fs::read(&path).unwrap();
    let pages = good.len() / 4096;
    assert!(pages > 10);
    let (mut audited, mut read) = (0, 0);
    for page in 1..pages {
        let mut file = good.clone();
        file[page * 4096..(page + 1) * 4096].fill(0xA5);
        fs::write(&path, file).unwrap();
        // Some of it an opening sees already.
        if let Ok(ledger) = Ledger::open(&path) {
            let found = ledger.audit(None, |_| Ok(()), |_| ()).unwrap();
            assert!(!found.is_clean(), "page {page}");
            audited += 1;
            read += usize::from(found.head.number > 0);
        }
    }
    assert!(audited > pages / 2, "{audited} of {pages}");
    // What can be read is given nevertheless.
    assert!(read > audited / 2, "{read} of {audited}");
}

#[test]
fn a_problem_says_what_is_wrong_and_whether_it_is_of_a_link() {
    let text = |column| Problem::Column(2, column).to_string();
    assert_eq!(text("entries.ueid"), "link 2: its UEID is not that of its public key");
    assert_eq!(text("kind"), "link 2: its kind is not that of its rows, or a row is missing");
    assert_eq!(text("port"), "link 2: its port does not have the form that it must have");
    for problem in [
        Problem::Number(1, 3),
        Problem::Column(1, "port"),
        Problem::Previous(1),
        Problem::Hash(1),
        Problem::Record(1, String::new()),
        Problem::Entry(1, 1, 3),
        Problem::Clock(1),
    ] {
        assert!(problem.is_of_a_link(), "{problem:?}");
    }
    let (file, schema) = (Problem::File(String::new()), Problem::Schema(String::new()));
    let stray = Problem::Stray(String::new(), 1, String::new());
    for problem in [file, schema, stray, Problem::CutOff(1, 2), Problem::Head] {
        assert!(!problem.is_of_a_link(), "{problem:?}");
    }
}
