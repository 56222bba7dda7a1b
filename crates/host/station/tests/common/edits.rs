// SPDX-License-Identifier: Apache-2.0

//! A ledger with every kind of link, what can be done to it, and what shows of it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::SignedDuration;
use provisioning::Measurement;
use rusqlite::Connection;
use station::clock::built;
use station::ledger::Problem::{
    self, Clock, Column, CutOff, Entry, Hash, Number, Origin, Previous, Stray,
};
use station::ledger::{
    Attempt, Author, Begun, Export, Kept, Ledger, New, NewEnd, NewEntry, NewOutcome, Program, Step,
    Text, Withdrawal, head_file_of,
};
use station::transcript::Transcript;

use super::{Turned, failure};

/// Links of a [`sample`].
pub const LINKS: u64 = 22;

/// What a ledger of these parts keeps in which every kind of link is, and every column has a value somewhere.
///
/// | Links          | What they say                                                                   |
/// |----------------|---------------------------------------------------------------------------------|
/// | 1, 2, 3, 4     | part 1, with a program before it, becomes entry 1, with a program after it       |
/// | 5, 6, 7        | a run fails, with a program after it                                             |
/// | 8, 9, 10       | part 2 becomes entry 2, which is withdrawn                                       |
/// | 11, 12         | part 1 is started again                                                          |
/// | 13, 14         | part 3 becomes entry 3                                                           |
/// | 15, 16, 17, 18 | part 4 is refused, with the serial number of part 1, and then becomes entry 4    |
/// | 19             | all of them are exported                                                         |
/// | 20, 21         | part 5 becomes entry 5                                                           |
/// | 22             | a run begins, and the station ends                                               |
pub fn facts(parts: [NewEntry; 5]) -> [New; 15] {
    let [first, second, third, fourth, fifth] = parts;
    let attempt = |serial_number: Option<&str>| Attempt {
        port: String::from("/dev/ttyACM0"),
        batch: Some(String::from("lot 7")),
        serial_number: serial_number.map(str::to_owned),
    };
    let transcript = |text: &str| {
        let mut transcript = Transcript::default();
        transcript.push(text.as_bytes());
        transcript
    };
    let outcome = |attempt, end, serial_number: Option<&str>| {
        New::Outcome(Box::new(NewOutcome {
            attempt,
            end,
            serial_number: serial_number.map(str::to_owned),
            image: Some(Measurement([0x11; 32])),
            steps: vec![Step { name: String::from("huk"), milliseconds: 70 }],
            console: transcript("Success!\r\n"),
        }))
    };
    let program = |attempt, step: &str, succeeded| {
        New::Program(Program {
            attempt,
            step: step.to_owned(),
            command: String::from("lamp"),
            succeeded,
            text: String::from("exit code"),
            milliseconds: 12,
            output: Text::pack(transcript("on"), None),
        })
    };
    let good = |entry| NewEnd::Good(entry);
    let now = |serial_number| Begun::Now(attempt(serial_number));
    let export = Export {
        verifier: String::from("veraison"),
        profile: String::from("psa-2025"),
        first: 1,
        last: 4,
        parts: 3,
        sha256: [0x5A; 32],
    };
    let withdrawal = Withdrawal { entry: 2, reason: String::from("repaired") };
    [
        New::Attempt(attempt(Some("SN-1"))),
        program(1, "before", true),
        outcome(Begun::Link(1), good(first.clone()), Some("SN-1")),
        program(1, "on-pass", true),
        outcome(now(None), failure(), None),
        program(5, "on-fail", false),
        outcome(now(None), good(second), None),
        New::Withdrawal(withdrawal),
        outcome(now(None), good(first), None),
        outcome(now(Some("SN-3")), good(third), Some("SN-3")),
        outcome(now(Some("SN-1")), good(fourth.clone()), Some("SN-1")),
        outcome(now(Some("SN-4")), good(fourth), Some("SN-4")),
        New::Export(export),
        outcome(now(Some("SN-5")), good(fifth), Some("SN-5")),
        New::Attempt(attempt(Some("SN-6"))),
    ]
}

/// Makes a ledger of the [`facts`] of these parts.
pub fn sample(path: &Path, parts: [NewEntry; 5]) -> Vec<Kept> {
    let mut ledger = Ledger::open_or_create(path).unwrap();
    let text = |text: &str| Some(text.to_owned());
    ledger.set_author(Author { station: text("bench 3"), operator: text("kim") });
    // A millisecond from one to the next.
    let clock = Turned::at(built());
    ledger.set_clock(Arc::new(clock.clone()), false);
    let mut append = |(at, new): (i64, &New)| {
        clock.set(built() + SignedDuration::from_millis(at));
        ledger.append(std::slice::from_ref(new)).unwrap()
    };
    (1..).zip(&facts(parts)).flat_map(&mut append).collect()
}

/// Columns that get another value: table, link, column and value. Only the hash of the link shows it.
const OTHER_VALUES: &[(&str, u64, &str, &str)] = &[
    ("links", 3, "clock_accepted", "1"),
    ("links", 3, "station", "'x'"),
    ("links", 3, "station", "NULL"),
    ("links", 3, "operator", "'x'"),
    ("links", 3, "operator", "NULL"),
    ("links", 3, "version", "'x'"),
    ("links", 1, "version", "'x'"),
    ("links", LINKS, "version", "'x'"),
    ("attempts", 1, "port", "'x'"),
    ("attempts", 1, "batch", "'x'"),
    ("attempts", 1, "batch", "NULL"),
    ("attempts", 1, "serial_number", "'x'"),
    ("attempts", 1, "serial_number", "NULL"),
    ("attempts", 5, "serial_number", "'x'"),
    ("attempts", LINKS, "port", "'x'"),
    ("outcomes", 6, "attempt", "22"),
    ("outcomes", 6, "error", "'x'"),
    ("outcomes", 6, "failure", "9"),
    ("outcomes", 6, "failure", "NULL"),
    ("outcomes", 6, "text", "'x'"),
    ("outcomes", 6, "seen", "1"),
    ("outcomes", 12, "seen", "3"),
    ("outcomes", 16, "seen", "NULL"),
    ("outcomes", 3, "serial_number", "'x'"),
    ("outcomes", 3, "serial_number", "NULL"),
    ("outcomes", 6, "serial_number", "'x'"),
    ("outcomes", 12, "device_id", "zeroblob(8)"),
    ("outcomes", 12, "ueid", "unhex('01' || hex(zeroblob(32)))"),
    ("outcomes", 16, "device_id", "NULL, ueid = NULL"),
    ("outcomes", 3, "image", "zeroblob(32)"),
    ("outcomes", 3, "image", "NULL"),
    ("outcomes", 3, "steps", "'[]'"),
    ("outcomes", 3, "console", "x''"),
    ("entries", 14, "device_id", "zeroblob(8)"),
    ("entries", 14, "implementation_id", "zeroblob(32)"),
    ("entries", 14, "record", "x'00'"),
    ("programs", 2, "attempt", "5"),
    ("programs", 2, "step", "'on-pass'"),
    ("programs", 2, "command", "'x'"),
    ("programs", 2, "succeeded", "0"),
    ("programs", 2, "text", "'x'"),
    ("programs", 2, "milliseconds", "13"),
    ("programs", 2, "output", "x''"),
    ("withdrawals", 10, "entry", "3"),
    ("withdrawals", 10, "reason", "'x'"),
    ("exports", 19, "verifier", "'x'"),
    ("exports", 19, "profile", "'x'"),
    ("exports", 19, "first", "2"),
    ("exports", 19, "last", "3"),
    ("exports", 19, "parts", "4"),
    ("exports", 19, "sha256", "zeroblob(32)"),
];

fn stray(table: &str, row: u64, parent: &str) -> Problem {
    Stray(table.to_owned(), row, parent.to_owned())
}

/// Statements, and all the problems that they make.
type Edits = Vec<(&'static str, Vec<Problem>)>;

fn edits_of_the_origin() -> Edits {
    vec![
        ("UPDATE origin SET station_key = zeroblob(32)", vec![Origin]),
        ("UPDATE origin SET station_key = x'00'", vec![Origin]),
        ("UPDATE origin SET batch = 'x'", vec![Origin]),
        ("UPDATE origin SET continues_format = 2", vec![Origin]),
        ("UPDATE origin SET continues_number = 22", vec![Origin]),
        ("UPDATE origin SET continues_head = zeroblob(32)", vec![Origin]),
        (
            "UPDATE origin SET continues_format = 2, continues_number = 22, continues_head = zeroblob(32)",
            vec![Origin],
        ),
        ("UPDATE origin SET hash = zeroblob(32)", vec![Origin, Previous(1)]),
        ("DELETE FROM origin", vec![Origin, Previous(1)]),
        ("INSERT INTO origin SELECT * FROM origin", vec![Origin]),
    ]
}

fn edits_of_the_chain() -> Edits {
    vec![
        ("SELECT 1", vec![]),
        ("UPDATE links SET time = 0 WHERE number = 3", vec![Hash(3), Clock(3)]),
        ("UPDATE links SET time = time + 600000 WHERE number = 3", vec![Hash(3), Clock(4)]),
        ("UPDATE links SET kind = 'export' WHERE number = 3", vec![Column(3, "kind")]),
        ("UPDATE links SET kind = 'x' WHERE number = 3", vec![Column(3, "kind")]),
        (
            "UPDATE links SET previous = zeroblob(32) WHERE number = 3",
            vec![Previous(3), Hash(3)],
        ),
        ("UPDATE links SET previous = x'00' WHERE number = 1", vec![Column(1, "previous")]),
        ("UPDATE links SET hash = zeroblob(32) WHERE number = 3", vec![Hash(3), Previous(4)]),
        ("UPDATE links SET hash = zeroblob(32) WHERE number = 22", vec![Hash(22)]),
        (
            "UPDATE links SET number = 23 WHERE number = 22;
             UPDATE attempts SET link = 23 WHERE link = 22",
            vec![Number(21, 23), Hash(23), CutOff(23, 22)],
        ),
        (
            "UPDATE links SET number = 23 WHERE number = 22",
            vec![stray("attempts", 22, "links"), Number(21, 23), Column(23, "kind"), CutOff(23, 22)],
        ),
        (
            "UPDATE links SET number = 0 WHERE number = 1; UPDATE attempts SET link = 0 WHERE link = 1;
             UPDATE outcomes SET attempt = 0 WHERE attempt = 1",
            vec![
                stray("programs", 2, "attempts"),
                stray("programs", 4, "attempts"),
                Number(0, 0),
                Hash(0),
                Number(0, 2),
                Hash(3),
            ],
        ),
        (
            "UPDATE links SET number = -1 WHERE number = 1; UPDATE attempts SET link = -1 WHERE link = 1;
             UPDATE programs SET attempt = 5 WHERE attempt = 1; UPDATE outcomes SET attempt = -1 WHERE attempt = 1",
            vec![
                Number(0, u64::MAX),
                Hash(u64::MAX),
                Number(u64::MAX, 2),
                Hash(2),
                Column(3, "outcomes.attempt"),
                Hash(4),
            ],
        ),
        (
            "UPDATE links SET number = 99 WHERE number = 8; UPDATE links SET number = 8 WHERE number = 11;
             UPDATE links SET number = 11 WHERE number = 99",
            vec![
                Previous(8),
                Hash(8),
                Previous(9),
                Clock(9),
                Previous(11),
                Hash(11),
                Clock(11),
                Previous(12),
            ],
        ),
        // What SQLite keeps of the highest number.
        ("UPDATE sqlite_sequence SET seq = 21", vec![CutOff(22, 21)]),
        ("UPDATE sqlite_sequence SET seq = 23", vec![CutOff(22, 23)]),
        ("DELETE FROM sqlite_sequence", vec![CutOff(22, 0)]),
        ("INSERT INTO sqlite_sequence VALUES ('links', 23)", vec![CutOff(22, 23)]),
    ]
}

/// Rows that are gone, with and without their link.
fn deletions() -> Edits {
    vec![
        ("DELETE FROM attempts WHERE link = 22", vec![Column(22, "kind")]),
        (
            "DELETE FROM attempts WHERE link = 1",
            vec![
                stray("outcomes", 3, "attempts"),
                stray("programs", 2, "attempts"),
                stray("programs", 4, "attempts"),
                Column(1, "kind"),
            ],
        ),
        ("DELETE FROM outcomes WHERE link = 6", vec![Column(6, "kind")]),
        (
            "DELETE FROM outcomes WHERE link = 14",
            vec![stray("entries", 3, "outcomes"), Column(14, "kind")],
        ),
        ("DELETE FROM entries WHERE number = 3", vec![Column(14, "kind"), Entry(18, 2, 4)]),
        (
            "DELETE FROM entries WHERE number = 2",
            vec![stray("withdrawals", 10, "entries"), Column(9, "kind"), Entry(14, 1, 3)],
        ),
        ("DELETE FROM entries WHERE number = 5", vec![Column(21, "kind")]),
        ("DELETE FROM programs WHERE link = 2", vec![Column(2, "kind")]),
        ("DELETE FROM withdrawals", vec![Column(10, "kind")]),
        ("DELETE FROM exports", vec![Column(19, "kind")]),
        (
            "DELETE FROM links WHERE number = 2; DELETE FROM programs WHERE link = 2",
            vec![Number(1, 3), Previous(3)],
        ),
        (
            "DELETE FROM links WHERE number = 2",
            vec![stray("programs", 2, "links"), Number(1, 3), Previous(3)],
        ),
        (
            "DELETE FROM links WHERE number = 14; DELETE FROM outcomes WHERE link = 14;
             DELETE FROM entries WHERE link = 14",
            vec![Number(13, 15), Previous(15), Entry(18, 2, 4)],
        ),
        (
            "DELETE FROM links WHERE number = 22; DELETE FROM attempts WHERE link = 22",
            vec![CutOff(21, 22)],
        ),
        (
            "DELETE FROM links; DELETE FROM attempts; DELETE FROM outcomes; DELETE FROM entries;
             DELETE FROM programs; DELETE FROM withdrawals; DELETE FROM exports",
            vec![CutOff(0, 22)],
        ),
    ]
}

/// Rows that were added.
fn insertions() -> Edits {
    vec![
        ("INSERT INTO attempts VALUES (23, '', NULL, NULL)", vec![stray("attempts", 23, "links")]),
        (
            "INSERT INTO outcomes SELECT 23, 22, result, error, failure, text, seen, serial_number,
                device_id, ueid, image, steps, console FROM outcomes WHERE link = 6",
            vec![stray("outcomes", 23, "links")],
        ),
        (
            "INSERT INTO entries SELECT 23, 6, zeroblob(8), implementation_id, zeroblob(33), zeroblob(65),
                record FROM entries WHERE number = 5",
            vec![stray("entries", 6, "outcomes")],
        ),
        (
            "INSERT INTO entries SELECT 6, 6, zeroblob(8), implementation_id, zeroblob(33), zeroblob(65),
                record FROM entries WHERE number = 5",
            vec![Column(6, "kind"), Entry(9, 6, 2)],
        ),
        (
            "INSERT INTO programs SELECT 23, attempt, step, command, succeeded, text, milliseconds, output
                FROM programs WHERE link = 2",
            vec![stray("programs", 23, "links")],
        ),
        (
            "INSERT INTO programs SELECT 22, attempt, step, command, succeeded, text, milliseconds, output
                FROM programs WHERE link = 2",
            vec![Column(22, "kind")],
        ),
        ("INSERT INTO withdrawals VALUES (23, 3, '')", vec![stray("withdrawals", 23, "links")]),
        ("INSERT INTO withdrawals VALUES (6, 3, '')", vec![Column(6, "kind")]),
        (
            "INSERT INTO exports VALUES (23, '', '', 1, 1, 1, zeroblob(32))",
            vec![stray("exports", 23, "links")],
        ),
        ("INSERT INTO exports VALUES (1, '', '', 1, 1, 1, zeroblob(32))", vec![Column(1, "kind")]),
    ]
}

/// Columns that cannot be so, and what refers to nothing.
fn impossible_values() -> Edits {
    vec![
        ("UPDATE outcomes SET result = 'known' WHERE link = 3", vec![Column(3, "kind")]),
        ("UPDATE outcomes SET result = 'good' WHERE link = 6", vec![Column(6, "kind")]),
        ("UPDATE outcomes SET result = 'known' WHERE link = 6", vec![Column(6, "result")]),
        ("UPDATE outcomes SET result = 'failed' WHERE link = 12", vec![Column(12, "result")]),
        ("UPDATE outcomes SET error = NULL WHERE link = 6", vec![Column(6, "result")]),
        ("UPDATE outcomes SET text = NULL WHERE link = 6", vec![Column(6, "result")]),
        ("UPDATE outcomes SET failure = 8 WHERE link = 3", vec![Column(3, "result")]),
        ("UPDATE outcomes SET failure = 300 WHERE link = 6", vec![Column(6, "failure")]),
        ("UPDATE outcomes SET seen = NULL WHERE link = 12", vec![Column(12, "result")]),
        (
            "UPDATE outcomes SET ueid = zeroblob(33) WHERE link = 12",
            vec![Column(12, "outcomes.ueid")],
        ),
        ("UPDATE outcomes SET ueid = NULL WHERE link = 12", vec![Column(12, "outcomes.ueid")]),
        ("UPDATE outcomes SET device_id = NULL WHERE link = 12", vec![Column(12, "outcomes.ueid")]),
        ("UPDATE outcomes SET steps = ' ' || steps WHERE link = 3", vec![Column(3, "steps")]),
        ("UPDATE outcomes SET steps = '[[1, 2]]' WHERE link = 3", vec![Column(3, "steps")]),
        ("UPDATE programs SET milliseconds = -1 WHERE link = 2", vec![Column(2, "milliseconds")]),
        (
            "UPDATE entries SET ueid = zeroblob(33) WHERE number = 3",
            vec![Column(14, "entries.ueid")],
        ),
        (
            "UPDATE entries SET public_key = zeroblob(65) WHERE number = 3",
            vec![Column(14, "public_key")],
        ),
        (
            "UPDATE outcomes SET attempt = 7 WHERE link = 6",
            vec![stray("outcomes", 6, "attempts"), Hash(6)],
        ),
        (
            "UPDATE outcomes SET seen = 9 WHERE link = 12",
            vec![stray("outcomes", 12, "entries"), Hash(12)],
        ),
        (
            "UPDATE programs SET attempt = 6 WHERE link = 7",
            vec![stray("programs", 7, "attempts"), Hash(7)],
        ),
        ("UPDATE withdrawals SET entry = 6", vec![stray("withdrawals", 10, "entries"), Hash(10)]),
        ("UPDATE exports SET last = 6", vec![stray("exports", 19, "entries"), Hash(19)]),
    ]
}

/// Facts at the place of others.
fn reorderings() -> Edits {
    vec![
        ("UPDATE entries SET number = 6 WHERE number = 5", vec![Hash(21), Entry(21, 4, 6)]),
        (
            "UPDATE entries SET number = 9 WHERE number = 3; UPDATE entries SET number = 3 WHERE number = 4;
             UPDATE entries SET number = 4 WHERE number = 9",
            vec![Hash(14), Entry(14, 2, 4), Hash(18), Entry(18, 4, 3), Entry(21, 3, 5)],
        ),
        (
            "UPDATE entries SET link = 99 WHERE number = 3; UPDATE entries SET link = 14 WHERE number = 4;
             UPDATE entries SET link = 18 WHERE number = 3",
            vec![Hash(14), Entry(14, 2, 4), Hash(18), Entry(18, 4, 3), Entry(21, 3, 5)],
        ),
        (
            "UPDATE entries SET link = 16 WHERE number = 5",
            vec![Column(16, "kind"), Entry(18, 5, 4), Column(21, "kind")],
        ),
        (
            "UPDATE attempts SET link = 99 WHERE link = 1; UPDATE attempts SET link = 1 WHERE link = 22;
             UPDATE attempts SET link = 22 WHERE link = 99",
            vec![Hash(1), Hash(22)],
        ),
    ]
}

/// Statements that change a [`sample`], and all the problems that they make, without those that SQLite itself reports.
/// Each column of each table is changed by one that begins with `UPDATE table SET column =`.
pub fn edits() -> Vec<(String, Vec<Problem>)> {
    let value = |(table, link, column, value): &(&str, u64, &str, &str)| {
        let key = if *table == "links" { "number" } else { "link" };
        (format!("UPDATE {table} SET {column} = {value} WHERE {key} = {link}"), vec![Hash(*link)])
    };
    let others = [
        edits_of_the_origin(),
        edits_of_the_chain(),
        deletions(),
        insertions(),
        impossible_values(),
        reorderings(),
    ];
    let others = others.into_iter().flatten();
    let others = others.map(|(edit, problems)| (edit.to_owned(), problems));
    OTHER_VALUES.iter().map(value).chain(others).collect()
}

/// Changes the ledger as a person can who removes its triggers and puts them back, and removes the head beside it.
pub fn tamper(path: &Path, edit: &str) {
    let raw = Connection::open(path).unwrap();
    let triggers: Vec<(String, String)> = raw
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let tables: u16 = raw
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    // Insert, update and delete, of each.
    assert_eq!(triggers.len(), 3 * usize::from(tables));
    assert!([1, 7, 8].contains(&tables), "formats 1, 2 and 3");
    raw.execute_batch(
        "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; BEGIN",
    )
    .unwrap();
    for (name, _) in &triggers {
        raw.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    raw.execute_batch(edit).expect(edit);
    for (_, statement) in triggers {
        raw.execute_batch(&statement).unwrap();
    }
    raw.execute_batch("COMMIT").unwrap();
    drop(raw);
    // A copy has no head beside it.
    let _ = fs::remove_file(head_file_of(path));
}
