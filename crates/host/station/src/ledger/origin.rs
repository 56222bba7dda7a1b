// SPDX-License-Identifier: Apache-2.0

//! What a ledger begins with: its one row in `origin`, and its hash.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::link::hash_of;
use super::{Ledger, LedgerError, Problem};

/// What a ledger begins with. Link 1 has its hash as that of the link before it.
///
/// It has nothing random: a station that begins a second ledger with the same key and batch has the same origin, and
/// shows so that the first is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The public key of the station whose ledger it is: Ed25519, as RFC 8032 encodes it. A ledger without one is
    /// signed by nobody.
    pub station_key: Option<[u8; 32]>,
    /// The batch for which it was begun.
    pub batch: Option<String>,
    /// The ledger that it continues, whose links it has.
    pub continues: Option<Continued>,
}

/// A ledger that another one continues, by its last link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continued {
    /// The version of its format.
    pub format: u32,
    /// The number of its last link.
    pub number: u64,
    /// The hash of that link.
    pub head: [u8; 32],
}

const INSERT: &str = "INSERT INTO origin VALUES (?, ?, ?, ?, ?, ?)";
const READ: &str = "SELECT station_key, batch, continues_format, continues_number, continues_head, hash FROM origin";

impl Origin {
    /// The columns of its row, without the last, which is `hash`.
    fn columns(&self) -> Vec<Value> {
        let continues = self.continues.as_ref();
        vec![
            self.station_key.map(|key| key.to_vec()).into(),
            self.batch.clone().into(),
            continues.map(|old| i64::from(old.format)).into(),
            continues.map(|old| old.number.cast_signed()).into(),
            continues.map(|old| old.head.to_vec()).into(),
        ]
    }

    /// SHA-256 over its columns: see the [module](super) for the format.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        hash_of(&self.columns())
    }

    /// Puts it into a new ledger.
    pub(super) fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        let columns = self.columns().into_iter().chain([self.hash().to_vec().into()]);
        connection.execute(INSERT, rusqlite::params_from_iter(columns)).map(|_| ())
    }

    /// What stands in a ledger. A file that was tampered with can hold anything.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Result<Self, Problem>> {
        let mut statement = connection.prepare_cached(READ)?;
        let mut rows = statement.query([])?;
        let origin = match rows.next()? {
            Some(row) => Self::of(row),
            None => None,
        };
        let is_the_only_one = rows.next()?.is_none();
        Ok(origin.filter(|_| is_the_only_one).ok_or(Problem::Origin))
    }

    /// A row whose hash is right.
    fn of(row: &rusqlite::Row<'_>) -> Option<Self> {
        let (format, number): (Option<u32>, Option<i64>) = (row.get(2).ok()?, row.get(3).ok()?);
        let continues = match (format, number, row.get(4).ok()?) {
            (None, None, None) => None,
            (Some(format), Some(number), Some(head)) => {
                Some(Continued { format, number: u64::try_from(number).ok()?, head })
            }
            _ => return None,
        };
        let origin = Self { station_key: row.get(0).ok()?, batch: row.get(1).ok()?, continues };
        (row.get::<_, [u8; 32]>(5).ok()? == origin.hash()).then_some(origin)
    }
}

impl Ledger {
    /// What the ledger begins with; one of format 1 or 2 begins with nothing.
    ///
    /// # Errors
    /// The file cannot be read, or its origin was changed.
    pub fn origin(&self) -> Result<Origin, LedgerError> {
        self.format
            .origin(&self.connection)
            .map_err(|error| self.error(error))?
            .map_err(|problem| self.damaged(problem))
    }
}
