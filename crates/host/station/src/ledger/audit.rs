// SPDX-License-Identifier: Apache-2.0

//! Whether the ledger is whole.

use rusqlite::{Connection, ErrorCode};
use thiserror::Error;

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
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// SQLite's own check of the file complains.
    #[error("the file is damaged: {0}")]
    File(String),
    /// These tables, indexes or triggers are missing, changed, or too many. Their names are escaped: a person who
    /// changed them also chose the names.
    #[error(
        "its tables and triggers are not those of a ledger, someone changed what guards it: {}",
        .0.escape_debug()
    )]
    Schema(String),
    /// After the first number comes the second, which is not the next.
    #[error("entry {1} follows entry {0}: numbers are missing or were changed")]
    Number(u64, u64),
    /// A column does not have the form that it must have; for `ueid`: it is not that of the public key.
    #[error("entry {}: its {}", .0, column(.1))]
    Column(u64, &'static str),
    /// The previous hash is not the hash of the entry before.
    #[error("entry {0}: it does not follow the entry before it")]
    Previous(u64),
    /// The hash is not that of the entry's content.
    #[error("entry {0}: its content was changed")]
    Hash(u64),
    /// The caller's check of the record complains.
    #[error("entry {0}: its record is bad: {1}")]
    Record(u64, String),
    /// The last entry is the first number, but entries up to the second were appended.
    #[error(
        "the last entry is {0}, but the highest number ever given is {1}: the end of the ledger was changed"
    )]
    CutOff(u64, u64),
    /// The expected head is not the hash of an entry.
    #[error(
        "the expected head is not the hash of an entry: entries were taken off the end or replaced, or this is another \
         ledger"
    )]
    Head,
}

fn column(name: &str) -> String {
    match name {
        "ueid" => String::from("UEID is not that of its public key"),
        name => format!("{name} does not have the form that it must have"),
    }
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

/// An entry as a walk finds it.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Its number, as it stands in the file.
    pub number: u64,
    /// What it holds; `None` where its form is bad, which is then one of its problems.
    pub row: Option<&'a Row>,
    /// What is wrong with it.
    pub problems: &'a [Problem],
}

/// Why a walk did not come to its end.
enum Stop<E> {
    Sqlite(rusqlite::Error),
    Problem(Problem),
    Caller(E),
}

impl<E> From<rusqlite::Error> for Stop<E> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Ledger {
    /// As [`Ledger::walk`], for a caller that only needs what is wrong. `progress` gets, after each entry, how
    /// many were read.
    ///
    /// # Errors
    /// The file cannot be read, or its tables and triggers were changed. What is wrong with the rest of
    /// its content is not an error but a problem.
    pub fn audit(
        &self,
        expected_head: Option<[u8; 32]>,
        check_record: impl FnMut(&Row) -> Result<(), String>,
        mut progress: impl FnMut(u64),
    ) -> Result<Audit, LedgerError> {
        let mut entries = 0;
        self.walk(expected_head, check_record, |_| {
            entries += 1;
            progress(entries);
            Ok(())
        })
    }

    /// Gives every entry to `each`, in order, until it fails, and checks the file, its tables and
    /// triggers, the form of each entry, the chain of hashes, and that nothing was taken off the end.
    /// Everything that leaves the ledger leaves it here. It is the ledger of one moment, of which one entry is in
    /// memory, while a station may go on writing.
    ///
    /// What was given is only known to be good when the walk has ended without a problem: the chain is
    /// known to be whole at its head.
    ///
    /// Someone who can write to the file can also make a new chain, or take entries off the end and hide it.
    /// `expected_head` shows both: the hash of any entry, written down elsewhere before, which must
    /// still be in the chain. `check_record` is asked of each entry whose form is right.
    ///
    /// # Errors
    /// The file cannot be read, its tables and triggers were changed, or `each` fails. What is wrong with
    /// the rest of its content is not an error but a problem.
    pub fn walk<E: From<LedgerError>>(
        &self,
        expected_head: Option<[u8; 32]>,
        check_record: impl FnMut(&Row) -> Result<(), String>,
        each: impl FnMut(Found<'_>) -> Result<(), E>,
    ) -> Result<Audit, E> {
        let head = Receipt { number: 0, hash: GENESIS };
        let mut audit = Audit { entries: 0, head, problems: Vec::new(), unlisted: 0 };
        let snapshot = self.connection.unchecked_transaction();
        let walked = snapshot.map_err(Stop::from).and_then(|_snapshot| {
            // First: what a query does depends on it, and one of a view may never end.
            check_schema(&self.connection)?
                .map_or(Ok(()), |problem| Err(Stop::Problem(problem)))?;
            check_file(&self.connection, &mut audit)?;
            walk(&self.connection, &mut audit, expected_head, check_record, each)
        });
        match walked {
            Ok(()) => Ok(audit),
            // Pages that SQLite cannot make sense of: found, not failed.
            Err(Stop::Sqlite(error))
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) =>
            {
                audit.add(Problem::File(error.to_string()));
                Ok(audit)
            }
            Err(Stop::Sqlite(error)) => Err(self.error(error).into()),
            Err(Stop::Problem(problem)) => Err(self.damaged(problem).into()),
            Err(Stop::Caller(error)) => Err(error),
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

/// Whether the tables, indexes and triggers are those of a new ledger, and no others. It reads SQLite's own
/// table of them, which no view can stand in for.
pub(super) fn check_schema(connection: &Connection) -> rusqlite::Result<Option<Problem>> {
    let new = Connection::open_in_memory()?;
    new.execute_batch(SCHEMA)?;
    let (found, expected) = (schema(connection)?, schema(&new)?);
    let missing = expected.iter().filter(|object| !found.contains(object));
    let added = found.iter().filter(|object| !expected.contains(object));
    let mut names: Vec<_> = missing.chain(added).map(|[_, name, ..]| name.as_str()).collect();
    names.sort_unstable();
    names.dedup(); // one that was changed is both missing and added
    Ok((!names.is_empty()).then(|| Problem::Schema(names.join(", "))))
}

/// Type, name, table and statement of everything in the database.
fn schema(connection: &Connection) -> rusqlite::Result<Vec<[String; 4]>> {
    connection
        .prepare("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema")?
        .query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?
        .collect()
}

fn walk<E>(
    connection: &Connection,
    audit: &mut Audit,
    expected_head: Option<[u8; 32]>,
    mut check_record: impl FnMut(&Row) -> Result<(), String>,
    mut each: impl FnMut(Found<'_>) -> Result<(), E>,
) -> Result<(), Stop<E>> {
    let mut head_found = expected_head.is_none_or(|head| head == GENESIS);
    let mut statement =
        connection.prepare(&format!("SELECT {COLUMNS} FROM entries ORDER BY number"))?;
    let mut rows = statement.query([])?;
    let mut problems = Vec::new();
    while let Some(row) = rows.next()? {
        let (last, number) = (audit.head, number(row));
        if number != last.number.wrapping_add(1) {
            problems.push(Problem::Number(last.number, number));
        }
        let entry = match Row::read(row) {
            Ok(entry) => {
                let hash = entry.computed_hash();
                head_found |= expected_head == Some(hash);
                if entry.previous != last.hash {
                    problems.push(Problem::Previous(number));
                }
                if entry.hash != hash {
                    problems.push(Problem::Hash(number));
                }
                if let Err(why) = check_record(&entry) {
                    problems.push(Problem::Record(number, why));
                }
                Some(entry)
            }
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        // As it stands in the file, so that one changed entry is not a problem of all that follow.
        audit.head = Receipt { number, hash: row.get("hash").unwrap_or(GENESIS) };
        audit.entries += 1;
        each(Found { number, row: entry.as_ref(), problems: &problems }).map_err(Stop::Caller)?;
        problems.drain(..).for_each(|problem| audit.add(problem));
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

impl Problem {
    /// Whether it is a problem of a single entry, which [`Found`] has.
    #[must_use]
    pub const fn is_of_an_entry(&self) -> bool {
        match self {
            Self::Number(..)
            | Self::Column(..)
            | Self::Previous(_)
            | Self::Hash(_)
            | Self::Record(..) => true,
            Self::File(_) | Self::Schema(_) | Self::CutOff(..) | Self::Head => false,
        }
    }
}
