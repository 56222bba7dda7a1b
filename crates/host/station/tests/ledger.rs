// SPDX-License-Identifier: Apache-2.0

//! The ledger: what it keeps, what it refuses, and what an audit sees.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use common::edits::{EDITS, tamper};
use common::{entries, entry};
use provisioning::ImplementationId;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use station::ledger::{
    Audit, GENESIS, Ledger, LedgerError, NewEntry, PROBLEMS_LISTED, Problem, Receipt, Refusal, Row,
    head_file_of,
};
use station::{DeviceId, Identity};
use tempfile::TempDir;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    (folder, path)
}

/// A ledger with parts 1 to 5 in it, closed.
fn five() -> (TempDir, PathBuf, Vec<Receipt>) {
    let (folder, path) = folder();
    let answers = Ledger::open_or_create(&path).unwrap().append(&entries(1..=5)).unwrap();
    (folder, path, answers.into_iter().collect::<Result<_, _>>().unwrap())
}

fn rows(ledger: &Ledger) -> Vec<Row> {
    let mut rows = Vec::new();
    ledger
        .walk::<LedgerError>(
            None,
            |_| Ok(()),
            |found| {
                rows.push(found.row.unwrap().clone());
                Ok(())
            },
        )
        .unwrap();
    rows
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
    assert_eq!(ledger.head().unwrap(), Receipt { number: 0, hash: GENESIS });
    let mut receipts = ledger.append(&entries([1])).unwrap();
    receipts.extend(ledger.append(&entries([2, 3])).unwrap());
    let receipts: Vec<_> = receipts.into_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(receipts.iter().map(|receipt| receipt.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(ledger.head().unwrap(), receipts[2]);
    drop(ledger);

    let ledger = Ledger::open(&path).unwrap();
    assert_eq!(ledger.head().unwrap(), receipts[2]);
    let rows = rows(&ledger);
    assert_eq!(rows.len(), 3);
    let mut previous = GENESIS;
    for ((row, receipt), n) in rows.iter().zip(&receipts).zip(1..) {
        let NewEntry { identity, port, record } = entry(n);
        assert_eq!((row.identity, &row.port, &row.record), (identity, &port, &record));
        assert_eq!((row.number, row.hash), (receipt.number, receipt.hash));
        assert_eq!((row.previous, row.hash), (previous, row.computed_hash()));
        assert_eq!((row.time.len(), &row.time[10..11], &row.time[23..]), (24, "T", "Z"));
        previous = row.hash;
    }
    let files = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(files, 4, "ledger, -wal, -shm and -head");
}

#[test]
fn the_hash_is_that_of_the_documented_array() {
    // From a CBOR encoder of the test's author, which knows nothing of this program.
    let row = Row {
        number: 70_000,
        time: "2026-02-03T04:05:06.789Z".to_owned(),
        port: "/dev/ttyACM0".to_owned(),
        identity: Identity {
            device_id: DeviceId([1, 2, 3, 4, 5, 6, 7, 8]),
            implementation_id: ImplementationId::from_bytes([0x22; 32]).unwrap(),
            public_key: entry(1).identity.public_key,
        },
        record: vec![0; 300],
        previous: [0x33; 32],
        hash: GENESIS,
    };
    let hash = hex(row.computed_hash());
    assert_eq!(hash, "c661f4681536cfcaf255cddae6a642787101b88e3c73ea764211cedc3775c30f");
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
    ledger.append(&entries([1, 2])).unwrap();
    let mut device_again = entry(3);
    device_again.identity.device_id = entry(2).identity.device_id;
    let mut key_again = entry(4);
    key_again.identity.public_key = entry(1).identity.public_key;
    let mut both = entry(2);
    both.identity.public_key = entry(1).identity.public_key;
    let answers = ledger
        .append(&[device_again, entry(5), key_again, entry(1), both, entry(6), entry(5)])
        .unwrap();
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
    assert_eq!(ledger.append(&entries([1])).unwrap(), [Err(Refusal::Known(1))]);
    assert_eq!(ledger.append(&entries([7])).unwrap()[0].unwrap().number, 5, "no hole");
    assert!(audit(&path, None).is_clean());
}

#[test]
fn refuses_a_key_under_another_ueid() {
    let (_folder, path) = folder();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    // Another program may write what this one cannot.
    let raw = Connection::open(&path).unwrap();
    raw.execute(
        "INSERT INTO entries VALUES (1, '2026-01-01T00:00:00.000Z', '', zeroblob(8), zeroblob(32), \
         zeroblob(33), ?1, '', zeroblob(32), zeroblob(32))",
        [entry(1).identity.public_key.as_bytes()],
    )
    .unwrap_err(); // the record must be a BLOB: the table is strict
    raw.execute(
        "INSERT INTO entries VALUES (1, '2026-01-01T00:00:00.000Z', '', zeroblob(8), zeroblob(32), \
         zeroblob(33), ?1, x'', zeroblob(32), zeroblob(32))",
        [entry(1).identity.public_key.as_bytes()],
    )
    .unwrap();
    assert_eq!(ledger.append(&entries([1])).unwrap(), [Err(Refusal::SeenPublicKey(1))]);
}

#[test]
fn an_append_that_fails_keeps_nothing() {
    let (_folder, path) = folder();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    ledger.append(&entries([1])).unwrap();
    let head = ledger.head().unwrap();
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch(
        "CREATE TRIGGER full BEFORE INSERT ON entries WHEN NEW.port = '/dev/tty3'
         BEGIN SELECT RAISE(ABORT, 'no room'); END",
    )
    .unwrap();
    let error = ledger.append(&entries([2, 3, 4])).unwrap_err();
    assert!(error.to_string().contains("no room"), "{error}");
    assert_eq!(ledger.head().unwrap(), head);
    raw.execute_batch("DROP TRIGGER full").unwrap();
    let answers = ledger.append(&entries([2, 3, 4])).unwrap();
    assert_eq!(answers[2].unwrap().number, 4);
    assert!(audit(&path, Some(head.hash)).is_clean());
}

/// A statement that puts a copy of entry 5 as entry `number`, with some columns replaced.
fn insert(or: &str, number: i64, previous: &str, replaced: &[(&str, &str)]) -> String {
    let column = |name: &str| {
        let fresh = match name {
            "device_id" => "zeroblob(8)",
            "ueid" => "zeroblob(33)",
            "public_key" => "zeroblob(65)",
            _ => name,
        };
        replaced
            .iter()
            .find(|(column, _)| *column == name)
            .map_or(fresh, |(_, value)| *value)
            .to_owned()
    };
    format!(
        "INSERT {or} INTO entries SELECT {number}, time, port, {}, implementation_id, {}, {}, record, \
         {previous}, hash FROM entries WHERE number = 5",
        column("device_id"),
        column("ueid"),
        column("public_key"),
    )
}

#[test]
fn no_program_can_do_more_than_append() {
    const PREVIOUS: &str = "(SELECT hash FROM entries WHERE number = 5)";
    let (_folder, path, _) = five();
    let raw = Connection::open(&path).unwrap();
    let before = rows(&Ledger::open(&path).unwrap());
    let mut statements: Vec<String> = [
        "UPDATE entries SET port = 'x' WHERE number = 5",
        "UPDATE OR REPLACE entries SET number = 1 WHERE number = 5",
        "UPDATE entries SET record = record",
        "DELETE FROM entries WHERE number = 5",
        "DELETE FROM entries",
        "REPLACE INTO entries SELECT * FROM entries WHERE number = 5",
        "INSERT INTO entries SELECT * FROM entries WHERE number = 5
         ON CONFLICT DO UPDATE SET port = 'x'",
    ]
    .map(str::to_owned)
    .to_vec();
    for or in ["", "OR REPLACE", "OR IGNORE", "OR FAIL", "OR ROLLBACK"] {
        for column in ["device_id", "ueid", "public_key"] {
            for victim in [1, 5] {
                let value = format!("(SELECT {column} FROM entries WHERE number = {victim})");
                statements.push(insert(or, 6, PREVIOUS, &[(column, &value)]));
            }
        }
        for number in [-1, 0, 1, 5, 7, i64::MAX] {
            statements.push(insert(or, number, PREVIOUS, &[]));
        }
        for previous in ["zeroblob(32)", "(SELECT hash FROM entries WHERE number = 4)", "x''"] {
            statements.push(insert(or, 6, previous, &[]));
        }
    }
    for statement in statements {
        let error = raw.execute(&statement, []).expect_err(&statement).to_string();
        assert!(error.contains("the ledger"), "{statement}: {error}");
    }
    // A number has to be stated.
    let unnumbered = insert("", 6, PREVIOUS, &[]).replace("SELECT 6", "SELECT NULL");
    assert!(raw.execute(&unnumbered, []).is_err());
    for (column, bad) in [
        ("device_id", "zeroblob(7)"),
        ("device_id", "'12345678'"),
        ("ueid", "zeroblob(32)"),
        ("public_key", "zeroblob(64)"),
        ("public_key", "NULL"),
    ] {
        assert!(raw.execute(&insert("", 6, PREVIOUS, &[(column, bad)]), []).is_err(), "{bad}");
    }
    assert_eq!(rows(&Ledger::open(&path).unwrap()), before);
    assert!(audit(&path, None).is_clean());
    // All these were refused for what they are, and not because nothing can be inserted.
    raw.execute(&insert("", 6, PREVIOUS, &[]), []).unwrap();
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
                        let answers = ledger.append(&slice).unwrap();
                        assert!(answers[..4].iter().all(Result::is_ok), "{answers:?}");
                    }
                });
            }
        });
        let audit = audit(&path, None);
        assert_eq!((audit.entries, audit.problems), (6 * 5 * 4 + 1, vec![]));
        // None has written an older head over a later one.
        let head = format!("{} {}\n", audit.head.number, hex(audit.head.hash));
        assert_eq!(fs::read_to_string(head_file_of(&path)).unwrap(), head);
    }
}

#[test]
fn readers_see_one_moment_while_a_station_writes() {
    let (_folder, path, receipts) = five();
    let reader = Ledger::open(&path).unwrap();
    let writer = std::cell::RefCell::new(Ledger::open_or_create(&path).unwrap());
    let append = |n: u64| {
        let n = u8::try_from(n).unwrap();
        writer.borrow_mut().append(&[entry(n + 100)]).unwrap()[0].unwrap();
    };
    let mut read = Vec::new();
    let found = reader.audit(
        None,
        |row| {
            append(row.number);
            Ok(())
        },
        |entries| read.push(entries),
    );
    let found = found.unwrap();
    assert_eq!((found.head, found.entries, found.problems), (receipts[4], 5, vec![]));
    assert_eq!(read, [1, 2, 3, 4, 5]);
    assert_eq!(reader.head().unwrap().number, 10);
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
    assert!(matches!(reader.append(&entries([1])), Err(LedgerError::Sqlite(..))));
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
fn a_ledger_of_a_later_version_is_refused_and_left_alone() {
    for in_log in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.db");
        drop(Ledger::open_or_create(&path).unwrap());
        let raw = Connection::open(&path).unwrap();
        raw.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, in_log).unwrap();
        raw.pragma_update(None, "user_version", 2).unwrap();
        drop(raw);
        assert_eq!(path.with_extension("db-wal").exists(), in_log);
        assert_refused(&path, |error| matches!(error, LedgerError::Newer(_, 2)));
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
    ledger.append(&entries([1])).unwrap();
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
    for &(edit, expected) in EDITS {
        let (_folder, path, receipts) = five();
        tamper(&path, edit);
        let head = receipts[0].hash;
        let mut problems = audit(&path, None).problems;
        // SQLite sees some of it too.
        problems.retain(|problem| !matches!(problem, Problem::File(_)));
        // A changed trigger, or one that was not put back, would show here.
        assert_eq!(problems, expected, "{edit}");
        assert!(expected.is_empty() || !audit(&path, Some(head)).is_clean());
    }
}

#[test]
fn an_audit_sees_columns_of_another_form() {
    for column in ["device_id", "implementation_id", "ueid", "public_key", "previous", "hash"] {
        for bad in ["x''", "zeroblob(31)", "zeroblob(66)"] {
            let (_folder, path, _) = five();
            tamper(&path, &format!("UPDATE entries SET {column} = {bad} WHERE number = 2"));
            let found = audit(&path, None);
            assert_eq!(found.entries, 5);
            let column = Problem::Column(2, column);
            assert!(found.problems.contains(&column), "{column:?} not in {found:?}");
            let mut bad = Vec::new();
            Ledger::open(&path)
                .unwrap()
                .walk::<LedgerError>(
                    None,
                    |_| Ok(()),
                    |found| {
                        bad.extend(found.row.is_none().then_some(found.number));
                        Ok(())
                    },
                )
                .unwrap();
            assert_eq!(bad, [2], "the others are given with it");
        }
    }
    let (_folder, path, _) = five();
    tamper(&path, "UPDATE entries SET implementation_id = unhex(hex(zeroblob(32))) WHERE number = 1;
        UPDATE entries SET implementation_id = unhex(replace(hex(zeroblob(32)), '0', 'F')) WHERE number = 2;
        UPDATE entries SET port = CAST(x'FF' AS TEXT) WHERE number = 3");
    let expected =
        [Problem::Hash(1), Problem::Column(2, "implementation_id"), Problem::Column(3, "port")];
    assert_eq!(audit(&path, None).problems, expected);
}

#[test]
fn a_head_written_down_shows_what_the_file_cannot() {
    let (_folder, path, receipts) = five();
    for receipt in &receipts {
        assert!(audit(&path, Some(receipt.hash)).is_clean());
    }
    assert!(audit(&path, Some(GENESIS)).is_clean(), "the head of the empty ledger");
    assert_eq!(audit(&path, Some([1; 32])).problems, [Problem::Head]);

    let cut = "DELETE FROM entries WHERE number = 5; UPDATE sqlite_sequence SET seq = 4";
    tamper(&path, cut);
    assert!(audit(&path, None).is_clean(), "this is what cannot be seen");
    assert!(audit(&path, Some(receipts[3].hash)).is_clean());
    assert_eq!(audit(&path, Some(receipts[4].hash)).problems, [Problem::Head]);
    // Nor do entries that are appended after it hide it.
    Ledger::open_or_create(&path).unwrap().append(&entries([6, 7])).unwrap();
    assert_eq!(audit(&path, Some(receipts[4].hash)).problems, [Problem::Head]);

    // A last entry that was written anew, with the hash that it should have.
    let (_folder, path, receipts) = five();
    let mut row = rows(&Ledger::open(&path).unwrap()).pop().unwrap();
    row.port = "x".to_owned();
    let hash = hex(row.computed_hash());
    tamper(&path, &format!("UPDATE entries SET port = 'x', hash = x'{hash}' WHERE number = 5"));
    assert!(audit(&path, None).is_clean());
    assert_eq!(audit(&path, Some(receipts[4].hash)).problems, [Problem::Head]);
    // A hash that only stands there is none.
    let hash = hex(receipts[4].hash);
    tamper(&path, &format!("UPDATE entries SET hash = x'{hash}' WHERE number = 5"));
    assert_eq!(audit(&path, Some(receipts[4].hash)).problems, [Problem::Hash(5), Problem::Head]);
}

#[test]
fn a_ledger_without_its_end_takes_no_entry() {
    let (_folder, path, _) = five();
    tamper(&path, "DELETE FROM entries WHERE number = 5");
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    let error = ledger.append(&entries([6])).unwrap_err();
    assert!(matches!(error, LedgerError::Damaged(_, Problem::CutOff(4, 5))), "{error:?}");
    // Nor from another program.
    let raw = Connection::open(&path).unwrap();
    for (number, previous, complaint) in
        [(5, "hash", "missing at its end"), (6, "zeroblob(32)", "not the next number")]
    {
        let statement = format!(
            "INSERT INTO entries SELECT {number}, time, port, zeroblob(8), implementation_id, \
             zeroblob(33), zeroblob(65), record, {previous}, hash FROM entries WHERE number = 4"
        );
        let error = raw.execute(&statement, []).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    }
}

#[test]
fn another_schema_stops_every_command() {
    // A view that never ends, in place of the table.
    let view = "DROP TABLE entries; CREATE VIEW entries AS WITH RECURSIVE n (number) AS
        (SELECT 1 UNION ALL SELECT number + 1 FROM n) SELECT number, '' AS time, '' AS port,
        zeroblob(8) AS device_id, zeroblob(32) AS implementation_id, zeroblob(33) AS ueid,
        zeroblob(65) AS public_key, x'' AS record, zeroblob(32) AS previous, zeroblob(32) AS hash
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
        (
            "DROP TRIGGER entries_are_not_deleted;
             CREATE TRIGGER entries_are_not_deleted BEFORE DELETE ON entries BEGIN SELECT 1; END",
            "entries_are_not_deleted",
        ),
        ("CREATE TRIGGER more AFTER INSERT ON entries BEGIN SELECT 1; END", "more"),
        ("CREATE TABLE more (c)", "more"),
        ("CREATE INDEX more ON entries (port)", "more"),
        ("CREATE VIEW more AS SELECT 1", "more"),
        ("CREATE TABLE \"\u{1b}[2J\" (c)", "\\u{1b}[2J"),
        ("ALTER TABLE entries ADD COLUMN more BLOB", "entries"),
        ("ALTER TABLE entries RENAME TO more", "entries, entries_are_appended"),
        (view, "entries, entries_are_appended, entries_are_not_changed"),
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
    assert_eq!(head, format!("5 {}\n", hex(receipts[4].hash)));
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
        assert_lost(&path, |error| matches!(error, LedgerError::Gone(_, _, 5)));
        // It is begun anew on purpose.
        fs::remove_file(head_file_of(&path)).unwrap();
        let mut ledger = Ledger::open_or_create(&path).unwrap();
        assert_eq!(ledger.append(&entries([9])).unwrap()[0].unwrap().number, 1);
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
        ledger.append(&entries((n > 0).then_some(n))).unwrap();
        drop(ledger);
        copies.push(fs::read(&path).unwrap());
    }
    for (n, copy) in (0..3).zip(&copies) {
        fs::write(&path, copy).unwrap();
        assert_lost(
            &path,
            |error| matches!(error, LedgerError::Shorter { last, seen: 3, .. } if *last == n),
        );
    }
    // The last one is the ledger.
    fs::write(&path, &copies[3]).unwrap();
    assert_eq!(audit(&path, None).entries, 3);
    // An operator who takes an older one on purpose goes on with it.
    fs::write(&path, &copies[1]).unwrap();
    fs::remove_file(head_file_of(&path)).unwrap();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    assert_eq!(ledger.append(&entries([2])).unwrap()[0].unwrap().number, 2);
}

#[test]
fn a_ledger_that_was_copied_without_its_log_is_found() {
    let (_folder, path) = folder();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    ledger.append(&entries(1..=5)).unwrap();
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
    assert_lost(&path, |error| matches!(error, LedgerError::Shorter { last: 0, seen: 5, .. }));
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
        ledger.append(&entries(101..=100 + others)).unwrap();
        let log = fs::read(other.with_file_name("ledger-wal")).unwrap();
        drop(ledger);

        let (_folder, path, _) = closed();
        fs::write(path.with_file_name("ledger-wal"), &log).unwrap();
        assert_lost(&path, |error| {
            matches!(error, LedgerError::Other(_, _, 5) | LedgerError::Shorter { .. })
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
fn a_last_entry_that_was_written_anew_is_found() {
    let (_folder, path, head) = closed();
    let mut row = rows(&Ledger::open(&path).unwrap()).pop().unwrap();
    row.port = "x".to_owned();
    let hash = hex(row.computed_hash());
    tamper(&path, &format!("UPDATE entries SET port = 'x', hash = x'{hash}' WHERE number = 5"));
    assert!(audit(&path, None).is_clean(), "nothing else shows it");
    fs::write(head_file_of(&path), head).unwrap();
    assert_lost(&path, |error| matches!(error, LedgerError::Other(_, _, 5)));
}

#[test]
fn a_head_that_is_behind_is_brought_up() {
    let (_folder, path) = folder();
    let head_file = head_file_of(&path);
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    assert!(!head_file.exists(), "an empty ledger has nothing to lose");
    let mut heads = Vec::new();
    for n in 1..=3 {
        ledger.append(&entries([n])).unwrap();
        heads.push(fs::read(&head_file).unwrap());
    }
    // What is refused changes nothing.
    ledger.append(&entries([1, 2])).unwrap();
    assert_eq!(fs::read(&head_file).unwrap(), heads[2]);
    drop(ledger);
    // A station that was killed between an entry and its head; readers accept it, too.
    for behind in [Some(&heads[0]), Some(&heads[1]), None] {
        match behind {
            Some(head) => fs::write(&head_file, head).unwrap(),
            None => fs::remove_file(&head_file).unwrap(),
        }
        drop(Ledger::open(&path).unwrap());
        assert_eq!(fs::read(&head_file).ok().as_ref(), behind, "a reader writes none");
        drop(Ledger::open_or_create(&path).unwrap());
        assert_eq!(fs::read(&head_file).unwrap(), heads[2]);
    }
}

#[test]
fn a_head_is_kept_where_the_user_says_too() {
    let (_folder, path) = folder();
    let (elsewhere, _) = folder();
    let other = elsewhere.path().join("head");
    let open = || Ledger::open_or_create_with(&path, Some(&other));
    let mut ledger = open().unwrap();
    ledger.append(&entries([1, 2])).unwrap();
    assert_eq!(fs::read(&other).unwrap(), fs::read(head_file_of(&path)).unwrap());
    drop(ledger);
    // The folder of the ledger is lost.
    fs::remove_file(head_file_of(&path)).unwrap();
    fs::remove_file(&path).unwrap();
    for result in [open(), Ledger::open_with(&path, Some(&other))] {
        let error = result.unwrap_err();
        assert!(matches!(&error, LedgerError::Gone(_, file, 2) if *file == other), "{error:?}");
    }
    assert!(!path.exists());
    // An entry whose head cannot be kept is not acknowledged.
    fs::remove_file(&other).unwrap();
    let mut ledger = open().unwrap();
    ledger.append(&entries([1])).unwrap();
    drop(elsewhere);
    let error = ledger.append(&entries([2])).unwrap_err();
    assert!(matches!(&error, LedgerError::Io(file, _) if *file == other), "{error:?}");
    assert_eq!(ledger.head().unwrap().number, 2, "but it is there");
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
    ledger.append(&entries(1..=120)).unwrap();
    let check = |row: &Row| if row.number == 7 { Err("no".to_owned()) } else { Ok(()) };
    let found = ledger.audit(None, check, |_| ()).unwrap();
    assert_eq!(found.problems, [Problem::Record(7, "no".to_owned())]);
    assert!(found.problems[0].to_string().contains("entry 7"));
    let found = ledger.audit(None, |_| Err("no".to_owned()), |_| ()).unwrap();
    assert_eq!((found.problems.len(), found.unlisted), (PROBLEMS_LISTED, 20));
    assert_eq!(found.entries, 120);
}

#[test]
fn pages_that_make_no_sense_are_a_problem() {
    let (_folder, path) = folder();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    ledger.append(&entries(1..=120)).unwrap();
    drop(ledger);
    let good = fs::read(&path).unwrap();
    let pages = good.len() / 4096;
    assert!(pages > 10);
    let mut audited = 0;
    for page in 1..pages {
        let mut file = good.clone();
        file[page * 4096..(page + 1) * 4096].fill(0xA5);
        fs::write(&path, file).unwrap();
        // Some of it an opening sees already.
        if let Ok(ledger) = Ledger::open(&path) {
            let found = ledger.audit(None, |_| Ok(()), |_| ());
            assert!(found.is_ok_and(|found| !found.is_clean()), "page {page}");
            audited += 1;
        }
    }
    assert!(audited > pages / 2, "{audited} of {pages}");
}

#[test]
fn a_problem_says_what_is_wrong_and_whether_it_is_of_an_entry() {
    let text = |column| Problem::Column(2, column).to_string();
    assert_eq!(text("ueid"), "entry 2: its UEID is not that of its public key");
    assert_eq!(text("port"), "entry 2: its port does not have the form that it must have");
    for problem in [
        Problem::Number(1, 3),
        Problem::Column(1, "port"),
        Problem::Previous(1),
        Problem::Hash(1),
        Problem::Record(1, String::new()),
    ] {
        assert!(problem.is_of_an_entry(), "{problem:?}");
    }
    let (file, schema) = (Problem::File(String::new()), Problem::Schema(String::new()));
    for problem in [file, schema, Problem::CutOff(1, 2), Problem::Head] {
        assert!(!problem.is_of_an_entry(), "{problem:?}");
    }
}
