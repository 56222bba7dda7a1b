// SPDX-License-Identifier: Apache-2.0

//! Ledgers that programs before this one have made.

use std::path::Path;

use rusqlite::Connection;
use station::ledger::APPLICATION_ID;

/// An old ledger: its format, what it has, and its head, as the program printed it that made it.
pub struct Old {
    pub format: i32,
    dump: &'static str,
    pub links: u64,
    pub entries: u64,
    pub head: &'static str,
    /// Links of a ledger that continues it.
    pub carried: u64,
}

pub const OLD: [Old; 2] = [
    Old {
        format: 1,
        dump: include_str!("../ledgers/format_1.sql"),
        links: 3,
        entries: 3,
        head: "89215c0e972ee15e6e5311169d2e0eb1b727c409280557c4710ccef89d278559",
        carried: 6,
    },
    Old {
        format: 2,
        dump: include_str!("../ledgers/format_2.sql"),
        links: 22,
        entries: 5,
        head: "12d7d45e951f3d125aea67c51a40cbe8483484ab4d747fafd5475c533a49553b",
        carried: 22,
    },
];

impl Old {
    /// Puts the ledger there, as it was.
    pub fn put(&self, path: &Path) {
        let raw = Connection::open(path).unwrap();
        raw.execute_batch(self.dump).unwrap();
        raw.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        raw.pragma_update(None, "user_version", self.format).unwrap();
        raw.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).unwrap();
    }
}
