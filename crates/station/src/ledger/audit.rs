// SPDX-License-Identifier: Apache-2.0

//! Whether the ledger is whole.

use std::fmt;

use rusqlite::{Connection, ErrorCode};

use super::entry::{COLUMNS, number};
use super::{GENESIS, Ledger, LedgerError, Receipt, Row, SCHEMA, highest};

/// Problems that an audit lists. It counts the others, so that a ruined ledger fits into memory.
pub const PROBLEMS_LISTED: usize = 100;

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Entries that were read.
    pub entries: u64,
    /// The last of them: what to write down elsewhere, and to expect in the next audit.
    pub head: Receipt,
    /// What is wrong, in the order in which it was found, up to [`PROBLEMS_LISTED`].
    pub problems: Vec<Problem>,
    /// How many more problems there are.
    pub unlisted: u64,
}

/// Something that is wrong with a ledger. Numbers are those of entries, as they stand in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// SQLite's own check of the file complains.
    File(String),
    /// This table, index or trigger is missing, changed, or too many.
    Schema(String),
    /// After the first number comes the second, which is not the next.
    Number(u64, u64),
    /// A column has not the form that it must have; for `ueid`: it is not that of the public key.
    Column(u64, &'static str),
    /// The previous hash is not the hash of the entry before.
    Previous(u64),
    /// The hash is not that of the entry's content.
    Hash(u64),
    /// The caller's check of the record complains.
    Record(u64, String),
    /// The last entry is the first number, but entries up to the second were appended.
    CutOff(u64, u64),
    /// The expected head is no entry's hash.
    Head,
}

impl Audit {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    fn add(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_LISTED {
            self.problems.push(problem);
        } else {
            self.unlisted += 1;
        }
    }
}

impl Ledger {
    /// Reads every entry in order and checks the file, its tables and triggers, the form of each
    /// entry, the chain of hashes, and that nothing was taken off the end. It sees the ledger of one
    /// moment, while a station may go on writing.
    ///
    /// Who can write to the file can also make a new chain, or take entries off the end and hide it.
    /// `expected_head` shows both: the hash of any entry, written down elsewhere before, which must
    /// still be in the chain. `check_record` is given each entry whose form is right. `progress` is
    /// told after each entry how many were read.
    ///
    /// # Errors
    /// The file cannot be read. What is wrong with its content is no error but a problem.
    pub fn audit(
        &self,
        expected_head: Option<[u8; 32]>,
        check_record: impl Fn(&Row) -> Result<(), String>,
        progress: impl FnMut(u64),
    ) -> Result<Audit, LedgerError> {
        let head = Receipt { number: 0, hash: GENESIS };
        let mut audit = Audit { entries: 0, head, problems: Vec::new(), unlisted: 0 };
        let walked = self.connection.unchecked_transaction().and_then(|_snapshot| {
            check_file(&self.connection, &mut audit)?;
            check_schema(&self.connection, &mut audit)?;
            walk(&self.connection, &mut audit, expected_head, check_record, progress)
        });
        match walked {
            Ok(()) => Ok(audit),
            // Pages that SQLite cannot make sense of, or tables that are not there: found, not failed.
            Err(error)
                if matches!(
                    error.sqlite_error_code(),
                    Some(ErrorCode::DatabaseCorrupt | ErrorCode::Unknown)
                ) =>
            {
                audit.add(Problem::File(error.to_string()));
                Ok(audit)
            }
            Err(error) => Err(self.error(error)),
        }
    }
}

/// What SQLite can tell. `integrity_check` and not `quick_check`, since only it compares the indexes
/// with the table, and an index that lacks an entry lets its part in a second time.
fn check_file(connection: &Connection, audit: &mut Audit) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let message: String = row.get(0)?;
        if message != "ok" {
            audit.add(Problem::File(message));
        }
    }
    Ok(())
}

fn check_schema(connection: &Connection, audit: &mut Audit) -> rusqlite::Result<()> {
    for name in schema_differences(connection)? {
        audit.add(Problem::Schema(name));
    }
    Ok(())
}

/// The tables, indexes and triggers that are not as in a new ledger.
pub(super) fn schema_differences(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let new = Connection::open_in_memory()?;
    new.execute_batch(SCHEMA)?;
    let (found, expected) = (schema(connection)?, schema(&new)?);
    let missing = expected.iter().filter(|object| !found.contains(object));
    let added = found.iter().filter(|object| !expected.contains(object));
    let mut names: Vec<_> = missing.chain(added).map(|[_, name, ..]| name.clone()).collect();
    names.sort();
    names.dedup(); // one that was changed is both missing and added
    Ok(names)
}

/// Type, name, table and statement of everything in the database.
fn schema(connection: &Connection) -> rusqlite::Result<Vec<[String; 4]>> {
    connection
        .prepare("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema")?
        .query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?
        .collect()
}

fn walk(
    connection: &Connection,
    audit: &mut Audit,
    expected_head: Option<[u8; 32]>,
    check_record: impl Fn(&Row) -> Result<(), String>,
    mut progress: impl FnMut(u64),
) -> rusqlite::Result<()> {
    let mut head_found = expected_head.is_none_or(|head| head == GENESIS);
    let mut statement =
        connection.prepare(&format!("SELECT {COLUMNS} FROM entries ORDER BY number"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (last, number) = (audit.head, number(row));
        if number != last.number.wrapping_add(1) {
            audit.add(Problem::Number(last.number, number));
        }
        match Row::read(row) {
            Ok(entry) => {
                let hash = entry.computed_hash();
                head_found |= expected_head == Some(hash);
                if entry.previous != last.hash {
                    audit.add(Problem::Previous(number));
                }
                if entry.hash != hash {
                    audit.add(Problem::Hash(number));
                }
                if let Err(why) = check_record(&entry) {
                    audit.add(Problem::Record(number, why));
                }
            }
            Err(problem) => audit.add(problem),
        }
        // As it stands in the file, so that one changed entry is not a problem of all that follow.
        audit.head = Receipt { number, hash: row.get("hash").unwrap_or(GENESIS) };
        audit.entries += 1;
        progress(audit.entries);
    }
    let highest = highest(connection)?;
    if audit.head.number != highest {
        audit.add(Problem::CutOff(audit.head.number, highest));
    }
    if !head_found {
        audit.add(Problem::Head);
    }
    Ok(())
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(message) => write!(f, "the file is damaged: {message}"),
            Self::Schema(name) => {
                write!(f, "{name} is not as in a new ledger: someone changed what guards it")
            }
            Self::Number(last, found) => {
                write!(f, "entry {found} follows entry {last}: numbers are missing or were changed")
            }
            Self::Column(number, "ueid") => {
                write!(f, "entry {number}: its UEID is not that of its public key")
            }
            Self::Column(number, column) => {
                write!(f, "entry {number}: its {column} is not what it can be")
            }
            Self::Previous(number) => {
                write!(f, "entry {number}: it does not follow the entry before it")
            }
            Self::Hash(number) => write!(f, "entry {number}: its content was changed"),
            Self::Record(number, why) => write!(f, "entry {number}: its record is bad: {why}"),
            Self::CutOff(last, highest) => write!(
                f,
                "the last entry is {last}, but the highest number ever given is {highest}: the end \
                 of the ledger was changed"
            ),
            Self::Head => f.write_str(
                "the expected head is no entry's hash: entries were taken off the end or replaced, \
                 or this is another ledger",
            ),
        }
    }
}
