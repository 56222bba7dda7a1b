// SPDX-License-Identifier: Apache-2.0

//! The formats of a ledger, and how those before this program's are read. Nothing is appended to them.
//!
//! Format 2 is a chain as in format 3, without an origin: link 1 has 32 zeros as the hash before it.
//!
//! Format 1 knows entries only, which are a chain of their own, also from zeros. The hash of an entry is SHA-256 over a
//! deterministic CBOR array:
//!
//! | Element | Column              | CBOR type                              |
//! |---------|---------------------|----------------------------------------|
//! | 0       | `number`            | integer                                |
//! | 1       | `time`              | text: UTC, RFC 3339, with milliseconds |
//! | 2       | `port`              | text                                   |
//! | 3       | `device_id`         | byte string of 8                       |
//! | 4       | `implementation_id` | byte string of 32                      |
//! | 5       | `ueid`              | byte string of 33                      |
//! | 6       | `public_key`        | byte string of 65                      |
//! | 7       | `record`            | byte string                            |
//! | 8       | `previous`          | byte string of 32: the hash before     |
//!
//! It is read as links that each say a good outcome of an attempt 0, which there is not.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use super::append::{LAST, origin_hash};
use super::link::{Columns, LINKS, Places, hash_of};
use super::{
    Attempt, Author, End, Entry, Fact, GENESIS, Link, Origin, Outcome, Problem, SCHEMA, Text,
    VERSION,
};

/// The format of a ledger: `PRAGMA user_version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Entries only.
    One,
    /// All runs, without an origin.
    Two,
    /// This program's.
    Three,
}

/// As [`LINKS`], of format 1.
const LINKS_1: &str = "SELECT *, number AS \"entries.number\", device_id AS \"entries.device_id\", \
    ueid AS \"entries.ueid\", NULL AS withdrawn FROM entries ORDER BY number";
/// As [`LAST`], of format 1; its time is not asked for.
const LAST_1: &str =
    "SELECT number, hash, 0 FROM entries WHERE number = (SELECT max(number) FROM entries)";

impl Format {
    pub(super) const fn of(version: i32) -> Option<Self> {
        match version {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            VERSION => Some(Self::Three),
            _ => None,
        }
    }

    pub(super) const fn version(self) -> i32 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => VERSION,
        }
    }

    /// The statements that make its tables.
    pub(super) const fn schema(self) -> &'static str {
        match self {
            Self::One => include_str!("format/schema_1.sql"),
            Self::Two => include_str!("format/schema_2.sql"),
            Self::Three => SCHEMA,
        }
    }

    /// The statement for all links, in their order.
    pub(super) const fn links(self) -> &'static str {
        match self {
            Self::One => LINKS_1,
            Self::Two | Self::Three => LINKS,
        }
    }

    /// The statement for the last link.
    pub(super) const fn last(self) -> &'static str {
        match self {
            Self::One => LAST_1,
            Self::Two | Self::Three => LAST,
        }
    }

    /// The table that is the chain.
    pub(super) const fn chain(self) -> &'static str {
        match self {
            Self::One => "entries",
            Self::Two | Self::Three => "links",
        }
    }

    /// Whether a link may not be older than the one before it.
    pub(super) const fn has_order_of_time(self) -> bool {
        !matches!(self, Self::One)
    }

    /// What the ledger begins with. The older ones begin with nothing.
    pub(super) fn origin(
        self,
        connection: &Connection,
    ) -> rusqlite::Result<Result<Origin, Problem>> {
        match self {
            Self::One | Self::Two => Ok(Ok(Origin::default())),
            Self::Three => Origin::read(connection),
        }
    }

    /// What stands in link 1 as the hash of the link before it.
    pub(super) fn genesis(self, connection: &Connection) -> rusqlite::Result<[u8; 32]> {
        match self {
            Self::One | Self::Two => Ok(GENESIS),
            Self::Three => origin_hash(connection),
        }
    }

    /// Reads a row of [`Format::links`], and says which hash it should have, where that is not
    /// [`Link::computed_hash`].
    pub(super) fn read(
        self,
        row: &Row<'_>,
        places: &Places,
    ) -> Result<(Link, Option<[u8; 32]>), Problem> {
        match self {
            Self::One => read_1(row, places).map(|(link, hash)| (link, Some(hash))),
            Self::Two | Self::Three => Link::read(row, places).map(|link| (link, None)),
        }
    }

    /// What a link says when it is carried over into this program's format, where its first link gets this number.
    pub(super) fn facts(
        self,
        connection: &Connection,
        link: &Link,
        next: u64,
    ) -> rusqlite::Result<Vec<Fact>> {
        match (self, link.entry()) {
            (Self::One, Some(entry)) => {
                let port = port_1(connection, entry.number)?;
                let attempt = Fact::Attempt(Attempt { port, ..Attempt::default() });
                Ok(vec![attempt, Fact::Outcome(Box::new(good(next, entry.clone())))])
            }
            _ => Ok(vec![link.fact.clone()]),
        }
    }
}

/// Reads an entry of format 1 as the link of a good outcome.
fn read_1(row: &Row<'_>, places: &Places) -> Result<(Link, [u8; 32]), Problem> {
    let get = Columns { number: places.number(row), column: &|name| places.get(row, name) };
    let text: String = get.get("time")?;
    let time: Timestamp = text.parse().map_err(|_| get.bad("time"))?;
    let entry = get.entry()?;
    let previous: [u8; 32] = get.get("previous")?;
    let mut columns = vec![Value::from(entry.number.cast_signed())];
    columns.extend([text.into(), get.get::<String>("port")?.into()]);
    // All but the number, as in the other formats.
    columns.extend(entry.columns().into_iter().skip(1));
    columns.push(previous.to_vec().into());
    let link = Link {
        number: get.number,
        time,
        clock_accepted: false,
        author: Author::default(),
        version: String::from(VERSION_1),
        fact: Fact::Outcome(Box::new(good(0, entry))),
        previous,
        hash: get.get("hash")?,
    };
    Ok((link, hash_of(&columns)))
}

/// What stands for the version of the program, which format 1 does not say.
const VERSION_1: &str = "format 1";

/// A good outcome of which nothing else is known.
fn good(attempt: u64, entry: Entry) -> Outcome {
    Outcome {
        attempt,
        end: End::Good(entry),
        serial_number: None,
        image: None,
        steps: Vec::new(),
        console: Text::default(),
    }
}

/// The port of an entry of format 1.
fn port_1(connection: &Connection, entry: u64) -> rusqlite::Result<String> {
    connection
        .prepare_cached("SELECT port FROM entries WHERE number = ?1")?
        .query_row([entry.cast_signed()], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use sha2::{Digest, Sha256};

    use super::*;

    /// A file is compared with these statements to the letter: where they change, its version must.
    #[test]
    fn the_schemas_are_those_of_their_versions() {
        for (version, hash) in [
            (1, hex!("bb03456be87cae7139e8ca232e38e85f9d58fd811db368d5799b9618af11f722")),
            (2, hex!("ae47fda9737368f279b7bcbb67ab46c0b36e56795c51ebac7a4e6bf16248c7ed")),
            (3, hex!("b7349300f6500609f2a23a6785a79cf39c67a678d2416b1e0a5571ea586fb8c6")),
        ] {
            let format = Format::of(version).unwrap();
            assert_eq!(format.version(), version);
            assert_eq!(Sha256::digest(format.schema())[..], hash, "format {version}");
        }
        assert_eq!(VERSION, 3);
        for version in [-1, 0, 4] {
            assert_eq!(Format::of(version), None);
        }
    }
}
