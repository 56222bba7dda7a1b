// SPDX-License-Identifier: Apache-2.0

//! Whether the ledger is whole.

use rusqlite::{Connection, ErrorCode};
use thiserror::Error;

use super::format::Format;
use super::walk::{Stop, walk};
use super::{CheckpointProblem, Entry, GENESIS, Ledger, LedgerError, Link, Receipt};

/// Problems that an audit lists. It counts the others, so that a ruined ledger fits into memory.
pub const PROBLEMS_LISTED: usize = 100;

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Entries that were read.
    pub entries: u64,
    /// Attempts that were read.
    pub attempts: u64,
    /// Those of them that have no outcome: the station ended in mid-run.
    pub unfinished: u64,
    /// Links whose clock was before that of the link before, or before the program was built, and was accepted: up
    /// to [`PROBLEMS_LISTED`] of them.
    pub clocks_accepted: Vec<u64>,
    /// The last link: what to write down elsewhere, and to expect in the next audit.
    pub head: Receipt,
    /// What is wrong, in the order in which it was found, up to [`PROBLEMS_LISTED`].
    pub problems: Vec<Problem>,
    /// How many more problems there are.
    pub unlisted: u64,
}

/// Something that is wrong with a ledger. Numbers are those of links, as they stand in the file.
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
    /// The row in `origin` is missing, is not the only one, or its hash is not that of its content.
    #[error("its origin, the station key, the batch and the ledger that it continues, was changed")]
    Origin,
    /// After the first number comes the second, which is not the next.
    #[error("link {1} follows link {0}: numbers are missing or were changed")]
    Number(u64, u64),
    /// A column does not have the form that it must have; for `entries.ueid`: it is not that of the public key.
    #[error("link {}: its {}", .0, column(.1))]
    Column(u64, &'static str),
    /// The previous hash is not the hash of the link before.
    #[error("link {0}: it does not follow the link before it")]
    Previous(u64),
    /// The hash is not that of the link's content.
    #[error("link {0}: its content was changed")]
    Hash(u64),
    /// The caller's check of the record complains.
    #[error("link {0}: its record is bad: {1}")]
    Record(u64, String),
    /// The number of its entry is the second, and the one before has the first.
    #[error("link {0}: entry {2} follows entry {1}: numbers are missing or were changed")]
    Entry(u64, u64, u64),
    /// Its time is before that of the link before, and nobody has accepted the clock.
    #[error("link {0}: its time is before that of the link before it, and was not accepted")]
    Clock(u64),
    /// The row of the first table with this number refers to a row of the second that is not there.
    #[error(
        "row {1} of the table {0} refers to a row of {2} that is not there: rows were added or removed"
    )]
    Stray(String, u64, String),
    /// The last link is the first number, but links up to the second were appended.
    #[error(
        "the last link is {0}, but the highest number ever given is {1}: the end of the ledger was changed"
    )]
    CutOff(u64, u64),
    /// The ledger does not agree with a checkpoint.
    #[error("{0}")]
    Checkpoint(CheckpointProblem),
    /// The expected verifier key is not that of the ledger.
    #[error(
        "the station key, the batch or the ledger that is continued is not that of the verifier key: this is another \
         ledger, or its origin was made anew"
    )]
    StationKey,
    /// Up to this link the ledger should have what is in the one that it continues.
    #[error(
        "the links up to {0} are not those of the ledger that is continued: they were changed when they were carried \
         over or since, or that is another ledger"
    )]
    Carried(u64),
    /// The expected head is not the hash of a link.
    #[error(
        "the expected head is not the hash of a link: links were taken off the end or replaced, or this is another \
         ledger"
    )]
    Head,
}

fn column(name: &str) -> String {
    match name {
        "entries.ueid" => String::from("UEID is not that of its public key"),
        "kind" => String::from("kind is not that of its rows, or a row is missing"),
        name => format!("{name} does not have the form that it must have"),
    }
}

impl Audit {
    /// Of a chain that begins with this hash, before the first link.
    pub(crate) const fn new(origin: [u8; 32]) -> Self {
        Self {
            entries: 0,
            attempts: 0,
            unfinished: 0,
            clocks_accepted: Vec::new(),
            head: Receipt { number: 0, hash: origin },
            problems: Vec::new(),
            unlisted: 0,
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn add(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_LISTED {
            self.problems.push(problem);
        } else {
            self.unlisted += 1;
        }
    }
}

/// A link as a walk finds it.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Its number, as it stands in the file.
    pub number: u64,
    /// What it says; `None` where its form is bad, which is then one of its problems.
    pub link: Option<&'a Link>,
    /// The link that withdraws its entry, if there is one.
    pub withdrawn: Option<u64>,
    /// What is wrong with it.
    pub problems: &'a [Problem],
}

impl Ledger {
    /// As [`Ledger::walk`], for a caller that only needs what is wrong. `progress` gets, after each link, how
    /// many were read.
    ///
    /// # Errors
    /// The file cannot be read, or its tables and triggers were changed. What is wrong with the rest of
    /// its content is not an error but a problem.
    pub fn audit(
        &self,
        expected_head: Option<[u8; 32]>,
        check_record: impl Fn(&Entry) -> Result<(), String> + Sync,
        mut progress: impl FnMut(u64),
    ) -> Result<Audit, LedgerError> {
        let mut links = 0;
        self.walk(expected_head, check_record, |_| {
            links += 1;
            progress(links);
            Ok(())
        })
    }

    /// Gives every link to `each`, in order, until it fails, and checks the file, its tables and
    /// triggers, the form of each link, the chain of hashes, and that nothing was taken off the end.
    /// Everything that leaves the ledger leaves it here. It is the ledger of one moment, of which a few hundred links are
    /// in memory, while a station may go on writing.
    ///
    /// Hashes and records are checked on all cores: see [`Ledger::set_threads`].
    ///
    /// What was given is only known to be good when the walk has ended without a problem: the chain is
    /// known to be whole at its head.
    ///
    /// Someone who can write to the file can also make a new chain, or take links off the end and hide it.
    /// `expected_head` shows both: the hash of any link, written down elsewhere before, which must
    /// still be in the chain. `check_record` is asked of each entry whose form is right.
    ///
    /// # Errors
    /// The file cannot be read, its tables and triggers were changed, or `each` fails. What is wrong with
    /// the rest of its content is not an error but a problem.
    pub fn walk<E: From<LedgerError>>(
        &self,
        expected_head: Option<[u8; 32]>,
        check_record: impl Fn(&Entry) -> Result<(), String> + Sync,
        each: impl FnMut(Found<'_>) -> Result<(), E>,
    ) -> Result<Audit, E> {
        let mut audit = Audit::new(GENESIS);
        let snapshot = self.connection.unchecked_transaction();
        let walked = snapshot.map_err(Stop::from).and_then(|_snapshot| {
            // First: what a query does depends on it, and one of a view may never end.
            check_schema(&self.connection, self.format)?
                .map_or(Ok(()), |problem| Err(Stop::Problem(problem)))?;
            for check in [check_file, check_references] {
                match check(&self.connection, &mut audit) {
                    // What can be read is still to be given.
                    Err(error) if is_damage(&error) => audit.add(Problem::File(error.to_string())),
                    result => result?,
                }
            }
            if let Err(problem) = self.format.origin(&self.connection)? {
                audit.add(problem);
            }
            // As it stands in the file, so that a changed origin is not a problem of link 1, too.
            audit.head.hash = self.format.genesis(&self.connection)?;
            walk(self, &mut audit, expected_head, check_record, each)
        });
        match walked {
            Ok(()) => Ok(audit),
            // Pages that SQLite cannot make sense of: found, not failed.
            Err(Stop::Sqlite(error)) if is_damage(&error) => {
                audit.add(Problem::File(error.to_string()));
                Ok(audit)
            }
            Err(Stop::Sqlite(error)) => Err(self.error(error).into()),
            Err(Stop::Problem(problem)) => Err(self.damaged(problem).into()),
            Err(Stop::Caller(error)) => Err(error),
        }
    }
}

/// Whether SQLite cannot make sense of a page.
fn is_damage(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
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

/// Whether everything is there that a row refers to, such as its link.
fn check_references(connection: &Connection, audit: &mut Audit) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let number = row.get::<_, i64>(1)?.cast_unsigned();
        audit.add(Problem::Stray(row.get(0)?, number, row.get(2)?));
    }
    Ok(())
}

/// Whether the tables, indexes and triggers are those of a new ledger, and no others. It reads SQLite's own
/// table of them, which no view can stand in for.
pub(super) fn check_schema(
    connection: &Connection,
    format: Format,
) -> rusqlite::Result<Option<Problem>> {
    let new = Connection::open_in_memory()?;
    new.execute_batch(format.schema())?;
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

impl Problem {
    /// Whether it is a problem of a single link, which [`Found`] has.
    #[must_use]
    pub const fn is_of_a_link(&self) -> bool {
        match self {
            Self::Number(..)
            | Self::Column(..)
            | Self::Previous(_)
            | Self::Hash(_)
            | Self::Entry(..)
            | Self::Clock(_)
            | Self::Record(..) => true,
            Self::File(_)
            | Self::Schema(_)
            | Self::Origin
            | Self::Stray(..)
            | Self::CutOff(..)
            | Self::Checkpoint(_)
            | Self::StationKey
            | Self::Carried(_)
            | Self::Head => false,
        }
    }
}
