// SPDX-License-Identifier: Apache-2.0

//! What can be done to a ledger of five entries, and what shows of it.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use station::ledger::Problem::{self, Column, CutOff, Hash, Number, Previous};
use station::ledger::head_file_of;

/// Statements, and all the problems that they make, without those that SQLite itself reports.
pub const EDITS: &[(&str, &[Problem])] = &[
    ("SELECT 1", &[]),
    ("UPDATE entries SET time = '2026-01-01T00:00:00.000Z' WHERE number = 3", &[Hash(3)]),
    ("UPDATE entries SET port = 'x' WHERE number = 3", &[Hash(3)]),
    ("UPDATE entries SET device_id = x'0000000000000000' WHERE number = 3", &[Hash(3)]),
    ("UPDATE entries SET implementation_id = zeroblob(32) WHERE number = 3", &[Hash(3)]),
    ("UPDATE entries SET ueid = zeroblob(33) WHERE number = 3", &[Column(3, "ueid")]),
    ("UPDATE entries SET public_key = zeroblob(65) WHERE number = 3", &[Column(3, "public_key")]),
    ("UPDATE entries SET record = x'00' WHERE number = 3", &[Hash(3)]),
    ("UPDATE entries SET previous = zeroblob(32) WHERE number = 3", &[Previous(3), Hash(3)]),
    ("UPDATE entries SET hash = zeroblob(32) WHERE number = 3", &[Hash(3), Previous(4)]),
    ("UPDATE entries SET previous = x'00' WHERE number = 1", &[Column(1, "previous")]),
    ("UPDATE entries SET port = 'x' WHERE number = 1", &[Hash(1)]),
    ("UPDATE entries SET port = 'x' WHERE number = 5", &[Hash(5)]),
    ("UPDATE entries SET number = 6 WHERE number = 5", &[Number(4, 6), Hash(6), CutOff(6, 5)]),
    ("UPDATE entries SET number = 0 WHERE number = 1", &[Number(0, 0), Hash(0), Number(0, 2)]),
    (
        "UPDATE entries SET number = -1 WHERE number = 1",
        &[Number(0, u64::MAX), Hash(u64::MAX), Number(u64::MAX, 2)],
    ),
    ("DELETE FROM entries WHERE number = 1", &[Number(0, 2), Previous(2)]),
    ("DELETE FROM entries WHERE number = 3", &[Number(2, 4), Previous(4)]),
    ("DELETE FROM entries WHERE number = 5", &[CutOff(4, 5)]),
    ("DELETE FROM entries", &[CutOff(0, 5)]),
    (
        "UPDATE entries SET number = 9 WHERE number = 2;
         UPDATE entries SET number = 2 WHERE number = 4;
         UPDATE entries SET number = 4 WHERE number = 9",
        &[Previous(2), Hash(2), Previous(3), Previous(4), Hash(4), Previous(5)],
    ),
    ("UPDATE sqlite_sequence SET seq = 4", &[CutOff(5, 4)]),
    ("UPDATE sqlite_sequence SET seq = 6", &[CutOff(5, 6)]),
    ("DELETE FROM sqlite_sequence", &[CutOff(5, 0)]),
    ("INSERT INTO sqlite_sequence VALUES ('entries', 7)", &[CutOff(5, 7)]),
];

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
    assert_eq!(triggers.len(), 3);
    raw.pragma_update(None, "ignore_check_constraints", true).unwrap();
    for (name, _) in &triggers {
        raw.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    raw.execute_batch(edit).expect(edit);
    for (_, statement) in triggers {
        raw.execute_batch(&statement).unwrap();
    }
    drop(raw);
    // A copy has no head beside it.
    let _ = fs::remove_file(head_file_of(path));
}
