// SPDX-License-Identifier: Apache-2.0

//! Reading on: what was appended since a link that was seen before, and what belongs to one run. A page reads so,
//! again and again, where [`Ledger::walk`] would read the whole ledger each time.

use rusqlite::{Params, ToSql};

use super::link::Places;
use super::{Ledger, LedgerError, Link, Problem, Receipt};
use crate::DeviceId;

/// A part, by what an engineer has of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartName {
    /// Its serial number.
    SerialNumber(String),
    /// Its device ID.
    DeviceId(DeviceId),
    /// Its UEID.
    Ueid([u8; 33]),
}

impl PartName {
    /// What a text can be: a serial number, and a device ID or a UEID as both are printed.
    #[must_use]
    pub fn all_of(text: &str) -> Vec<Self> {
        fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
            let mut bytes = [0; N];
            let length = base16ct::mixed::decode(text, &mut bytes).ok()?.len();
            (length == N).then_some(bytes)
        }
        let mut names = vec![Self::SerialNumber(text.to_owned())];
        names.extend(bytes(text).map(|mut id: [u8; 8]| {
            // It is printed as one number.
            id.reverse();
            Self::DeviceId(DeviceId(id))
        }));
        names.extend(bytes(text).map(Self::Ueid));
        names
    }
}

/// Attempts that a search gives, at most: the last ones.
pub const FOUND: u32 = 100;

impl Ledger {
    /// Gives at most `limit` links behind `from` to `each`, and the last one's receipt. Each is whole and follows the
    /// one before it, and `from` is still in the ledger. With the number 0, it is before the first link.
    ///
    /// What is given can be trusted as far as `from` can: all of it, if the caller has come from the first link.
    ///
    /// # Errors
    /// The file cannot be read, or the chain does not hold.
    pub fn follow(
        &self,
        from: Receipt,
        limit: u32,
        mut each: impl FnMut(Link),
    ) -> Result<Receipt, LedgerError> {
        let sql = format!("SELECT * FROM ({}) WHERE number >= ?1 LIMIT ?2", self.format.links());
        let mut last = from;
        if from.number == 0 {
            let genesis = self.format.genesis(&self.connection);
            last.hash = genesis.map_err(|error| self.error(error))?;
        }
        let mut is_there = from.number == 0;
        self.rows(
            &sql,
            (from.number.cast_signed(), i64::from(limit) + i64::from(!is_there)),
            |link| {
                if !is_there {
                    is_there = link.number == from.number && link.hash == from.hash;
                    return if is_there { Ok(()) } else { Err(Problem::Head) };
                }
                if link.number != last.number + 1 {
                    return Err(Problem::Number(last.number, link.number));
                }
                if link.previous != last.hash {
                    return Err(Problem::Previous(link.number));
                }
                last = Receipt { number: link.number, hash: link.hash };
                each(link);
                Ok(())
            },
        )?;
        if is_there { Ok(last) } else { Err(self.damaged(Problem::Head)) }
    }

    /// The links of these numbers, where they are there. Each has the hash of its content; whether it is in the chain,
    /// the caller sees by the hash.
    ///
    /// # Errors
    /// The file cannot be read, or a link is not whole.
    pub fn links_at(&self, numbers: &[u64]) -> Result<Vec<Link>, LedgerError> {
        let sql = format!("SELECT * FROM ({}) WHERE number = ?1", self.format.links());
        let mut links = Vec::new();
        for number in numbers {
            self.rows(&sql, [number.cast_signed()], |link| {
                links.push(link);
                Ok(())
            })?;
        }
        Ok(links)
    }

    /// The last attempts of a part, [`FOUND`] at most, the newest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn attempts_of(&self, part: &PartName) -> Result<Vec<u64>, LedgerError> {
        let (first, second, value): (_, _, &dyn ToSql) = match part {
            PartName::SerialNumber(text) => (
                "SELECT link FROM attempts WHERE serial_number = ?1",
                "SELECT attempt FROM outcomes WHERE serial_number = ?1",
                text,
            ),
            PartName::DeviceId(id) => (
                "SELECT attempt FROM outcomes WHERE device_id = ?1",
                "SELECT attempt FROM outcomes JOIN entries ON entries.link = outcomes.link \
                 WHERE entries.device_id = ?1",
                &id.0,
            ),
            PartName::Ueid(ueid) => (
                "SELECT attempt FROM outcomes WHERE ueid = ?1",
                "SELECT attempt FROM outcomes JOIN entries ON entries.link = outcomes.link \
                 WHERE entries.ueid = ?1",
                ueid,
            ),
        };
        let sql = format!("{first} UNION {second} ORDER BY 1 DESC LIMIT {FOUND}");
        let read = || -> rusqlite::Result<_> {
            self.connection
                .prepare(&sql)?
                .query_map([value], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))?
                .collect()
        };
        read().map_err(|error| self.error(error))
    }

    /// What to say of a link that was another one when it was read before.
    #[must_use]
    pub fn other_than_read(&self, link: u64) -> LedgerError {
        self.damaged(Problem::Hash(link))
    }

    /// Gives each link of a query of all links whose hash is that of its content.
    fn rows(
        &self,
        sql: &str,
        parameters: impl Params,
        mut each: impl FnMut(Link) -> Result<(), Problem>,
    ) -> Result<(), LedgerError> {
        let mut statement =
            self.connection.prepare_cached(sql).map_err(|error| self.error(error))?;
        let places = Places::of(&statement);
        let mut rows = statement.query(parameters).map_err(|error| self.error(error))?;
        while let Some(row) = rows.next().map_err(|error| self.error(error))? {
            let link = self.format.read(row, &places).and_then(|(link, hash)| {
                if link.hash == hash.unwrap_or_else(|| link.computed_hash()) {
                    each(link)
                } else {
                    Err(Problem::Hash(link.number))
                }
            });
            link.map_err(|problem| self.damaged(problem))?;
        }
        Ok(())
    }
}
