// SPDX-License-Identifier: Apache-2.0

//! The append-only ledger of provisioned parts: one SQLite file.
//!
//! It is a chain of links, numbered from 1 without holes, and each has the hash of the one before it, so that none
//! can be changed without a trace. A link says one [`Fact`]: that a run has begun (an attempt), how it ended (an
//! outcome, with an entry where the part is good), that a command was carried out around it, that an entry was
//! withdrawn, or that a verifier was given entries. Entries have numbers of their own, without holes, too.
//!
//! An attempt that has no outcome is of a station that ended in mid-run.
//!
//! The hash of a link is SHA-256 over a CBOR array, deterministically encoded (RFC 8949, section 4.2.1). Columns
//! that may be missing are `null` then.
//!
//! | Element | Column          | CBOR type                                            |
//! |---------|-----------------|------------------------------------------------------|
//! | 0       | number          | unsigned integer                                     |
//! | 1       | time            | integer: milliseconds since 1970, UTC                |
//! | 2       | clock\_accepted | boolean                                              |
//! | 3       | station         | text                                                 |
//! | 4       | operator        | text                                                 |
//! | 5       | version         | text: of the program                                 |
//! | 6       | previous        | byte string of 32: the hash before; zeros in link 1  |
//! | 7       | kind            | text                                                 |
//! | 8       |                 | array: the fact's columns, in the order of its table |
//!
//! The ninth element has the columns of `schema.sql` without `link`. That of an outcome has one more, the array of
//! its entry's columns or `null`.
//!
//! What makes it append-only are constraints and triggers in the file, which hold for every program
//! that writes to it. They do not stop a person who removes them first. [`Ledger::audit`] does not
//! stop that person either, but shows it, if a hash of the ledger was written down elsewhere.
//!
//! Beside the ledger is its last head ([`head_file_of`]), and in one more file where the caller says so. Each
//! opening looks whether the ledger still has that link, before it changes anything. It finds:
//!
//! - a ledger that is gone, or of which there is an older copy;
//! - a ledger without its write-ahead log (`-wal`), which can hold all of its last entries: without the
//!   log SQLite sees an older ledger that is whole;
//! - the log of another ledger: SQLite takes it for this one's, since nothing in a log says whose it is, and
//!   shows pages of both, which are then not the ledger that had this head.
//!
//! What an opening cannot find: all of this where the head's files are gone too; a log, damaged or
//! another's, that leaves the link of the head as it is, which an audit shows as broken chain or damaged
//! file; and links that were committed and not yet acknowledged.

mod audit;
mod error;
mod head;
mod link;
mod runs;
mod text;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};
use provisioning::Measurement;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior,
    named_params, params,
};

pub use audit::{Audit, Found, PROBLEMS_LISTED, Problem};
use tempfile::TempDir;

pub use error::LedgerError;
pub use head::head_file_of;
pub use link::{
    Attempt, Author, End, Entry, Export, Fact, Failed, GENESIS, Link, Outcome, Program, Receipt,
    Refusal, Step, Withdrawal,
};
pub use runs::{Run, Runs};
pub use text::Text;

use crate::clock::{Clock, SystemClock, built};
use crate::transcript::Transcript;
use crate::{Identity, VERSION as PROGRAM_VERSION};
use audit::check_schema;
use head::beside;
use link::steps_to_json;

/// How long a program waits for another that has the ledger, before it gives up.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What tells a ledger from other SQLite files: `PRAGMA application_id`, `PLdg` as four bytes.
pub const APPLICATION_ID: i32 = 0x504C_6467;

/// The version of the format: `PRAGMA user_version`.
pub const VERSION: i32 = 2;

const SCHEMA: &str = include_str!("ledger/schema.sql");

/// The word for a part that the ledger refuses: [`Failed::error`].
pub const SEEN_BEFORE: &str = "seen-before";

/// A clock that is behind by less than this is waited for: what sets a clock may step it.
const CLOCK_STEP: SignedDuration = SignedDuration::from_secs(2);

// The statements of an append. None may read more rows the longer the ledger gets.
const LAST: &str =
    "SELECT number, hash, time FROM links WHERE number = (SELECT max(number) FROM links)";
const HASH: &str = "SELECT hash FROM links WHERE number = ?1";
const HIGHEST: &str = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'links'";
const LAST_ENTRY: &str = "SELECT coalesce(max(number), 0) FROM entries";
const SEEN_DEVICE_ID: &str = "SELECT number, link FROM entries WHERE device_id = ?1 \
    AND NOT EXISTS (SELECT 1 FROM withdrawals WHERE entry = entries.number)";
const SEEN_UEID: &str = "SELECT number, link FROM entries WHERE ueid = ?1";
const SEEN_PUBLIC_KEY: &str = "SELECT number, link FROM entries WHERE public_key = ?1";
const SEEN_SERIAL_NUMBER: &str = "SELECT entries.number, entries.link FROM outcomes \
    JOIN entries ON entries.link = outcomes.link WHERE outcomes.serial_number = ?1 \
    AND NOT EXISTS (SELECT 1 FROM withdrawals WHERE entry = entries.number)";
const FAILED_BEFORE: &str = "SELECT EXISTS (SELECT 1 FROM outcomes WHERE serial_number = ?1 AND result = 'failed') \
    OR EXISTS (SELECT 1 FROM attempts LEFT JOIN outcomes ON outcomes.attempt = attempts.link \
        WHERE attempts.serial_number = ?1 AND outcomes.link IS NULL) \
    OR EXISTS (SELECT 1 FROM outcomes WHERE device_id = ?2 AND result = 'failed')";
const INSERT_LINK: &str = "INSERT INTO links VALUES (\
    :number, :time, :clock_accepted, :station, :operator, :version, :kind, :previous, :hash)";
const INSERT_ATTEMPT: &str = "INSERT INTO attempts VALUES (?1, ?2, ?3, ?4)";
const INSERT_OUTCOME: &str = "INSERT INTO outcomes VALUES (\
    :link, :attempt, :result, :error, :failure, :text, :seen, :serial_number, :device_id, :ueid, :image, :steps, \
    :console)";
const INSERT_ENTRY: &str = "INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const INSERT_PROGRAM: &str = "INSERT INTO programs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const INSERT_WITHDRAWAL: &str = "INSERT INTO withdrawals VALUES (?1, ?2, ?3)";
const INSERT_EXPORT: &str = "INSERT INTO exports VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// How often a copy is tried of a ledger that another program writes.
const COPIES: usize = 5;

/// What is to be kept.
#[derive(Clone, Debug)]
pub enum New {
    /// A run has begun. It is kept when the station is killed from now on; a loss of power may take it, until
    /// something else is kept.
    Attempt(Attempt),
    /// A run has ended.
    Outcome(Box<NewOutcome>),
    /// A command around a run was carried out.
    Program(Program),
    /// The part of an entry was erased on purpose.
    Withdrawal(Withdrawal),
    /// A verifier was given entries.
    Export(Export),
}

/// The attempt that has ended.
#[derive(Clone, Debug)]
pub enum Begun {
    /// That of this link.
    Link(u64),
    /// One that is to be kept with its outcome.
    Now(Attempt),
}

/// How a run has ended, in the station's eyes.
#[derive(Clone, Debug)]
pub struct NewOutcome {
    /// Which run.
    pub attempt: Begun,
    /// How.
    pub end: NewEnd,
    /// The part's serial number, where one was asked for.
    pub serial_number: Option<String>,
    /// The measurement of the image, where a good record has said it.
    pub image: Option<Measurement>,
    /// How long each step has taken.
    pub steps: Vec<Step>,
    /// What the console has shown.
    pub console: Transcript,
}

/// How a run has ended, before the ledger has looked whether it knows the part.
#[derive(Clone, Debug)]
pub enum NewEnd {
    /// With a checked record, whose part is to be entered.
    Good(NewEntry),
    /// Otherwise.
    Failed(Failed),
}

/// A checked record that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Who the part is, as the record says.
    pub identity: Identity,
    /// The record's bytes as received.
    pub record: Vec<u8>,
}

/// What was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The link, which is the last of them where an attempt was kept with its outcome.
    pub link: Receipt,
    /// What became of an entry, where there is one: its number and the hash of its link.
    pub entry: Option<Result<Receipt, Refusal>>,
    /// Whether an earlier run of the same part is known that was not good: by its serial number, or by its device
    /// ID. Of an outcome only.
    pub is_retry: bool,
}

/// A rule for a serial number, or any other text that an operator gives: one to 128 characters, none of them a
/// control character, and no space at either end.
#[must_use]
pub fn is_good_text(text: &str) -> bool {
    (1..=128).contains(&text.chars().count())
        && !text.contains(char::is_control)
        && text.trim() == text
}

/// A ledger that is open.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    connection: Connection,
    /// The files that keep the head.
    head_files: Vec<PathBuf>,
    /// What they hold, as far as this program knows.
    kept: Receipt,
    author: Author,
    clock: Arc<dyn Clock>,
    accept_clock: bool,
    /// The copy of a ledger that cannot be opened where it is.
    _copy: Option<TempDir>,
}

impl Ledger {
    /// Opens a ledger to append to it, and creates it where there is no file or an empty one.
    ///
    /// Several programs may have it open at once; one at a time appends.
    ///
    /// # Errors
    /// The file cannot be opened, is not a ledger or is one of another version, its tables and triggers were
    /// changed, or it is not the one whose head was kept.
    pub fn open_or_create(path: &Path) -> Result<Self, LedgerError> {
        Self::open_or_create_with(path, None)
    }

    /// As [`Ledger::open_or_create`], with one more file that keeps the head, on another disk for example.
    ///
    /// # Errors
    /// As there, or that file cannot be read or written.
    pub fn open_or_create_with(path: &Path, head_file: Option<&Path>) -> Result<Self, LedgerError> {
        let path = absolute(path)?;
        let heads = heads(&head_files(&path, head_file)?)?;
        // The log before the ledger: one that another process creates just now may have both, but
        // never the log alone.
        let log = size(&beside(&path, "-wal"))?.unwrap_or(0);
        match size(&path)? {
            // SQLite would take the ledger for new and delete the log.
            None | Some(0) if log > 0 => return Err(LedgerError::LogOnly(path)),
            None | Some(0) if !heads.is_empty() => return Err(gone(path, heads)),
            None => create(&path)?,
            Some(0) => fill(&path)?,
            Some(_) => {}
        }
        // Looked at without the right to write, so that a file that is not a ledger stays as it is.
        let Self { head_files, .. } = Self::open_with(&path, head_file)?;
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut ledger = Self::new(path, connection, head_files);
        // In WAL mode FULL syncs the log in each commit, so that a transaction that was acknowledged
        // outlives a loss of power; NORMAL does not (sqlite.org/pragma.html#pragma_synchronous).
        // macOS needs fullfsync for it to reach the medium; elsewhere it means nothing.
        ledger
            .connection
            .execute_batch("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON")
            .map_err(|error| ledger.error(error))?;
        write_ahead(&ledger.path, &ledger.connection)?;
        ledger.check_schema()?;
        // A ledger that no head was kept of, or whose last links were committed by a program that was
        // killed then. An empty ledger has nothing to lose.
        if ledger.head()?.number > 0 {
            ledger.keep_head()?;
        }
        Ok(ledger)
    }

    /// Opens a ledger that is there, to read it. A station may go on writing.
    ///
    /// SQLite keeps two more files next to the ledger while it is open, even by readers only, and a
    /// reader may leave them there. Where it cannot, a copy in the folder for temporary files is read, and nothing is
    /// written to the ledger's.
    ///
    /// # Errors
    /// There is no ledger, the file cannot be opened, is not a ledger or is one of another version, its tables
    /// and triggers were changed, or it is not the one whose head was kept.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        Self::open_with(path, None)
    }

    /// As [`Ledger::open`], with one more file in which the head was kept.
    ///
    /// # Errors
    /// As there, or that file cannot be read.
    pub fn open_with(path: &Path, head_file: Option<&Path>) -> Result<Self, LedgerError> {
        let path = absolute(path)?;
        let head_files = head_files(&path, head_file)?;
        let heads = heads(&head_files)?;
        if size(&path)?.unwrap_or(0) == 0 {
            return Err(gone(path, heads));
        }
        let (connection, copy) = connect_to_read(&path)?;
        let ledger = Self { _copy: copy, ..Self::new(path, connection, head_files) };
        let pragma = |name| ledger.connection.pragma_query_value(None, name, |row| row.get(0));
        let id = pragma("application_id").map_err(|error| ledger.error(error))?;
        let version = pragma("user_version").map_err(|error| ledger.error(error))?;
        match (id, version) {
            (APPLICATION_ID, VERSION) => {}
            (APPLICATION_ID, other) if other > 0 => {
                return Err(LedgerError::Version(ledger.path, other));
            }
            _ => return Err(LedgerError::NotALedger(ledger.path)),
        }
        // Before any query of the entries: one of a view in their place may never end.
        ledger.check_schema()?;
        for (file, head) in heads {
            ledger.check_head(file, head)?;
        }
        Ok(ledger)
    }

    fn check_schema(&self) -> Result<(), LedgerError> {
        match check_schema(&self.connection).map_err(|error| self.error(error))? {
            Some(problem) => Err(self.damaged(problem)),
            None => Ok(()),
        }
    }

    /// Whether the ledger has the link that was its last one when `file` was written.
    fn check_head(&self, file: PathBuf, head: Receipt) -> Result<(), LedgerError> {
        let hash = self
            .connection
            .query_row(HASH, [head.number.cast_signed()], |row| row.get::<_, [u8; 32]>(0))
            .optional()
            .map_err(|error| self.error(error))?;
        match hash {
            Some(hash) if hash == head.hash => Ok(()),
            Some(_) => Err(LedgerError::Other(self.path.clone(), file, head.number)),
            None => {
                let last = self.head()?.number;
                Err(LedgerError::Shorter { path: self.path.clone(), file, last, seen: head.number })
            }
        }
    }

    /// Keeps the head of the ledger. Its link is committed, and must not be acknowledged before.
    fn keep_head(&mut self) -> Result<(), LedgerError> {
        let error = |error| LedgerError::of(&self.path, error);
        // Nobody else appends or keeps a head meanwhile, so that no head is written over by an older one.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(error)?;
        let (last, _) = last(&transaction).map_err(error)?;
        for file in &self.head_files {
            head::write(file, &last)?;
        }
        self.kept = last;
        Ok(())
    }

    /// Says who works with the ledger from now on.
    pub fn set_author(&mut self, author: Author) {
        self.author = author;
    }

    /// Takes the time from this clock. With `accept` it may be one that was set back, or was never set: the links
    /// say so.
    pub fn set_clock(&mut self, clock: Arc<dyn Clock>, accept: bool) {
        (self.clock, self.accept_clock) = (clock, accept);
    }

    /// Whether the clock would be accepted for the next link.
    ///
    /// # Errors
    /// It would not, or the file cannot be read.
    pub fn check_clock(&self) -> Result<(), LedgerError> {
        let (_, time) = last(&self.connection).map_err(|error| self.error(error))?;
        self.now(time).map(|_| ())
    }

    /// The time for the next link, and whether its clock had to be accepted. `last` is that of the last link.
    fn now(&self, last: Timestamp) -> Result<(Timestamp, bool), LedgerError> {
        let read = || {
            let now = self.clock.now().as_millisecond();
            Timestamp::from_millisecond(now).unwrap_or(Timestamp::MAX)
        };
        let mut now = read();
        let deadline = Instant::now() + CLOCK_STEP.unsigned_abs();
        while now < last && last.duration_since(now) < CLOCK_STEP && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
            now = read();
        }
        match now {
            _ if now >= last && now >= built() => Ok((now, false)),
            _ if self.accept_clock => Ok((now, true)),
            _ => Err(LedgerError::Clock { path: self.path.clone(), now, since: last.max(built()) }),
        }
    }

    /// Appends, and returns when it would outlive a loss of power; attempts alone outlive a killed process only.
    ///
    /// All is committed at once, so that much costs one sync. Each part is judged on its own, also against those
    /// before it in `news`: the answers are in their order.
    ///
    /// # Errors
    /// Another program has the ledger, links were taken off its end, the clock is wrong, or a file cannot be written.
    /// Nothing of `news` is acknowledged then. Where it is a file of the head that cannot be written, it is in the
    /// ledger nevertheless.
    pub fn append(&mut self, news: &[New]) -> Result<Vec<Kept>, LedgerError> {
        let error = |error| LedgerError::of(&self.path, error);
        let durable = !news.iter().all(|new| matches!(new, New::Attempt(_)));
        // In WAL mode FULL syncs the log in each commit, so that a transaction that was acknowledged outlives a
        // loss of power; NORMAL does not (sqlite.org/pragma.html#pragma_synchronous).
        let synchronous = if durable { "FULL" } else { "NORMAL" };
        self.connection.pragma_update(None, "synchronous", synchronous).map_err(error)?;
        // Immediate: what is read here must still hold when it is written.
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
                .map_err(error)?;
        let (mut last, mut time) = last(&transaction).map_err(error)?;
        let highest = highest(&transaction).map_err(error)?;
        if last.number != highest {
            // To go on would give a number for the second time and hide what is missing.
            let problem = Problem::CutOff(last.number, highest);
            return Err(LedgerError::Damaged(self.path.clone(), problem));
        }
        let mut kept = Vec::with_capacity(news.len());
        for new in news {
            let mut put = |fact| {
                let (now, clock_accepted) = self.now(time)?;
                time = now;
                let (author, version) = (self.author.clone(), PROGRAM_VERSION.to_owned());
                let (number, previous) = (last.number + 1, last.hash);
                let mut link = Link {
                    number,
                    time,
                    clock_accepted,
                    author,
                    version,
                    fact,
                    previous,
                    hash: GENESIS,
                };
                link.hash = link.computed_hash();
                insert(&transaction, &link).map_err(error)?;
                last = Receipt { number, hash: link.hash };
                Ok::<_, LedgerError>(last)
            };
            kept.push(match new {
                New::Attempt(attempt) => Kept::link(put(Fact::Attempt(attempt.clone()))?),
                New::Program(program) => Kept::link(put(Fact::Program(program.clone()))?),
                New::Withdrawal(withdrawal) => {
                    Kept::link(put(Fact::Withdrawal(withdrawal.clone()))?)
                }
                New::Export(export) => Kept::link(put(Fact::Export(export.clone()))?),
                New::Outcome(new) => {
                    let attempt = match &new.attempt {
                        Begun::Link(link) => *link,
                        Begun::Now(attempt) => put(Fact::Attempt(attempt.clone()))?.number,
                    };
                    let (outcome, refusal) = judge(&transaction, attempt, new).map_err(error)?;
                    let device_id = outcome.device_id();
                    let is_retry = failed_before(&transaction, &outcome.serial_number, device_id)
                        .map_err(error)?;
                    let number = match &outcome.end {
                        End::Good(entry) => Some(entry.number),
                        _ => None,
                    };
                    let link = put(Fact::Outcome(Box::new(outcome)))?;
                    let entry = number.map(|number| Receipt { number, hash: link.hash });
                    Kept { link, entry: entry.map(Ok).or(refusal.map(Err)), is_retry }
                }
            });
        }
        transaction.commit().map_err(error)?;
        if durable && last != self.kept {
            self.keep_head()?;
        }
        Ok(kept)
    }

    /// The last link's number, which is how many there are, and its hash; 0 and [`GENESIS`] where
    /// there is none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn head(&self) -> Result<Receipt, LedgerError> {
        last(&self.connection).map(|(last, _)| last).map_err(|error| self.error(error))
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn entries(&self) -> Result<u64, LedgerError> {
        last_entry(&self.connection).map_err(|error| self.error(error))
    }

    /// The entry of the part with this serial number.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn entry_of_serial_number(&self, text: &str) -> Result<Option<u64>, LedgerError> {
        let seen = number_of(&self.connection, SEEN_SERIAL_NUMBER, text);
        seen.map(|seen| seen.map(|(number, _)| number)).map_err(|error| self.error(error))
    }

    fn new(path: PathBuf, connection: Connection, head_files: Vec<PathBuf>) -> Self {
        Self {
            path,
            connection,
            head_files,
            kept: Receipt { number: 0, hash: GENESIS },
            author: Author::default(),
            clock: Arc::new(SystemClock),
            accept_clock: false,
            _copy: None,
        }
    }

    fn error(&self, error: rusqlite::Error) -> LedgerError {
        LedgerError::of(&self.path, error)
    }

    fn damaged(&self, problem: Problem) -> LedgerError {
        LedgerError::Damaged(self.path.clone(), problem)
    }
}

/// Creates a ledger that has its name only when it is whole: a killed process leaves none.
fn create(path: &Path) -> Result<(), LedgerError> {
    let io = |error| LedgerError::Io(path.to_owned(), error);
    let folder = path.parent().unwrap_or(path);
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no such permissions"))]
    let mut builder = tempfile::Builder::new();
    // Permissions as those of any new file; those of a temporary file exclude other users.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    // The path alone: closing a file drops the locks that SQLite holds on it in the same process
    // (sqlite.org/howtocorrupt.html, section 2.2).
    let new = builder.tempfile_in(folder).map_err(io)?.into_temp_path();
    fill(&new)?;
    match new.persist_noclobber(path) {
        Ok(()) => Ok(()),
        // Another process was first.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(io(error.error)),
    }
}

/// Makes a ledger of an empty file, unless another process just did.
fn fill(path: &Path) -> Result<(), LedgerError> {
    let error = |error| LedgerError::of(path, error);
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // EXTRA also syncs the folder after the rollback journal of this transaction is gone. A journal
    // that came back with the power would undo the creation, and the entries with it.
    connection.execute_batch("PRAGMA synchronous = EXTRA; PRAGMA fullfsync = ON").map_err(error)?;
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
    let objects: i64 = transaction
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(error)?;
    if objects == 0 {
        transaction.execute_batch(SCHEMA).map_err(error)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(error)?;
        transaction.pragma_update(None, "user_version", VERSION).map_err(error)?;
        transaction.commit().map_err(error)?;
        write_ahead(path, &connection)?;
    }
    Ok(())
}

/// Has the file use a write-ahead log: readers and a writer do not wait for each other. It stays so.
fn write_ahead(path: &Path, connection: &Connection) -> Result<(), LedgerError> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    let switch =
        || connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0));
    let mut mode: rusqlite::Result<String> = switch();
    // Where two switch at once, SQLite fails for one without waiting. That one waits for a turn of
    // its own and looks again.
    while let Err(error) = &mode
        && error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
        && Instant::now() < deadline
    {
        connection
            .execute_batch("BEGIN EXCLUSIVE; COMMIT")
            .map_err(|error| LedgerError::of(path, error))?;
        mode = switch();
    }
    match mode.map_err(|error| LedgerError::of(path, error))?.as_str() {
        "wal" => Ok(()),
        _ => Err(LedgerError::FileSystem(path.to_owned())),
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, LedgerError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| LedgerError::of(path, error))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| LedgerError::of(path, error))?;
    Ok(connection)
}

/// Opens a ledger to read it, and makes a copy where SQLite cannot have its own files beside it.
fn connect_to_read(path: &Path) -> Result<(Connection, Option<TempDir>), LedgerError> {
    let connect = |path: &Path| {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        // Its files are opened by the first query.
        let read = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
        read.map_err(|error| LedgerError::of(path, error)).map(|()| connection)
    };
    let io = |error| LedgerError::Io(path.to_owned(), error);
    let error = match connect(path) {
        Ok(connection) => return Ok((connection, None)),
        Err(LedgerError::Sqlite(_, error)) if is_no_right(&error) => error,
        // The caller looks at what it is.
        Err(error) => return Err(error),
    };
    // A right to read is enough.
    fs::File::open(path).map_err(io)?;
    let log = beside(path, "-wal");
    let folder = tempfile::tempdir().map_err(io)?;
    let copy = folder.path().join("ledger");
    // Whoever writes it meanwhile changes one of these.
    let state = || Ok::<_, LedgerError>((modified(path)?, modified(&log)?));
    for _ in 0..COPIES {
        let before = state()?;
        fs::copy(path, &copy).map_err(io)?;
        if before.1.is_some() {
            fs::copy(&log, beside(&copy, "-wal")).map_err(io)?;
        }
        if state()? == before {
            return Ok((connect(&copy)?, Some(folder)));
        }
    }
    Err(LedgerError::Sqlite(path.to_owned(), error))
}

/// Whether SQLite could not open or make a file.
fn is_no_right(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// Length and time of the last change.
fn modified(path: &Path) -> Result<Option<(u64, SystemTime)>, LedgerError> {
    let of = |file: fs::Metadata| Ok((file.len(), file.modified()?));
    match fs::metadata(path).and_then(of) {
        Ok(state) => Ok(Some(state)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::Io(path.to_owned(), error)),
    }
}

/// SQLite takes some relative names for something else than files: `:memory:` and `file:...`.
fn absolute(path: &Path) -> Result<PathBuf, LedgerError> {
    std::path::absolute(path).map_err(|error| LedgerError::Io(path.to_owned(), error))
}

/// Asked by name: to open and close the file would drop the locks of this process on it.
fn size(path: &Path) -> Result<Option<u64>, LedgerError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::Io(path.to_owned(), error)),
    }
}

/// Where the head of the ledger is kept: beside it, and where the caller says.
fn head_files(path: &Path, other: Option<&Path>) -> Result<Vec<PathBuf>, LedgerError> {
    let mut files = vec![head_file_of(path)];
    if let Some(other) = other {
        files.push(absolute(other)?);
    }
    Ok(files)
}

/// The heads that were kept, each with its file. To be read before the ledger, to which a station may append
/// meanwhile: it never has less than its head.
fn heads(files: &[PathBuf]) -> Result<Vec<(PathBuf, Receipt)>, LedgerError> {
    let mut heads = Vec::new();
    for file in files {
        heads.extend(head::read(file)?.map(|head| (file.clone(), head)));
    }
    Ok(heads)
}

/// The error for a ledger that is not there, of which these heads were kept.
fn gone(path: PathBuf, heads: Vec<(PathBuf, Receipt)>) -> LedgerError {
    match heads.into_iter().next() {
        Some((file, head)) => LedgerError::Gone(path, file, head.number),
        None => LedgerError::Missing(path),
    }
}

/// The last link, and its time.
fn last(connection: &Connection) -> rusqlite::Result<(Receipt, Timestamp)> {
    connection
        .prepare_cached(LAST)?
        .query_row([], |row| {
            let receipt =
                Receipt { number: row.get::<_, i64>(0)?.cast_unsigned(), hash: row.get(1)? };
            Ok((receipt, Timestamp::from_millisecond(row.get(2)?).unwrap_or(Timestamp::MAX)))
        })
        .optional()
        .map(|last| last.unwrap_or((Receipt { number: 0, hash: GENESIS }, Timestamp::MIN)))
}

fn last_entry(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(LAST_ENTRY)?
        .query_row([], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))
}

/// The highest number that was ever given, which AUTOINCREMENT keeps.
fn highest(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(HIGHEST)?
        .query_row([], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))
}

/// Number and link of the entry that a statement finds.
fn number_of(
    connection: &Connection,
    statement: &str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<Option<(u64, u64)>> {
    connection
        .prepare_cached(statement)?
        .query_row([value], |row| {
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned()))
        })
        .optional()
}

fn seen(
    connection: &Connection,
    identity: &Identity,
    serial_number: Option<&str>,
) -> rusqlite::Result<Option<Refusal>> {
    let find = |statement, value: &[u8]| {
        Ok::<_, rusqlite::Error>(number_of(connection, statement, value)?.map(|(number, _)| number))
    };
    let same_device = find(SEEN_DEVICE_ID, &identity.device_id.0)?;
    let same_ueid = find(SEEN_UEID, identity.ueid().as_bytes())?;
    match (same_device, same_ueid) {
        (Some(device), Some(ueid)) if device == ueid => return Ok(Some(Refusal::Known(device))),
        (Some(number), _) => return Ok(Some(Refusal::SeenDeviceId(number))),
        (None, Some(number)) => return Ok(Some(Refusal::SeenUeid(number))),
        (None, None) => {}
    }
    if let Some(number) = find(SEEN_PUBLIC_KEY, identity.public_key.as_bytes())? {
        return Ok(Some(Refusal::SeenPublicKey(number)));
    }
    let Some(serial_number) = serial_number else { return Ok(None) };
    let number = number_of(connection, SEEN_SERIAL_NUMBER, serial_number)?;
    Ok(number.map(|(number, _)| Refusal::SeenSerialNumber(number)))
}

/// What the ledger says of an outcome: whether it knows the part.
fn judge(
    connection: &Connection,
    attempt: u64,
    new: &NewOutcome,
) -> rusqlite::Result<(Outcome, Option<Refusal>)> {
    let (end, refusal) = match &new.end {
        NewEnd::Failed(failed) => (End::Failed(failed.clone()), None),
        NewEnd::Good(NewEntry { identity, record }) => {
            let part = (identity.device_id, identity.ueid());
            let refusal = seen(connection, identity, new.serial_number.as_deref())?;
            let end = match refusal {
                None => {
                    let number = last_entry(connection)? + 1;
                    End::Good(Entry { number, identity: *identity, record: record.clone() })
                }
                Some(Refusal::Known(seen)) => End::Known { seen, part },
                Some(refusal) => End::Failed(Failed {
                    error: SEEN_BEFORE.to_owned(),
                    text: refusal.to_string(),
                    seen: Some(refusal.number()),
                    part: Some(part),
                    failure: None,
                }),
            };
            (end, refusal)
        }
    };
    let entry = match &end {
        End::Good(entry) => Some(entry),
        _ => None,
    };
    let NewOutcome { serial_number, image, steps, console, .. } = new.clone();
    let console = Text::pack(console, entry);
    Ok((Outcome { attempt, end, serial_number, image, steps, console }, refusal))
}

fn failed_before(
    connection: &Connection,
    serial_number: &Option<String>,
    device_id: Option<[u8; 8]>,
) -> rusqlite::Result<bool> {
    if serial_number.is_none() && device_id.is_none() {
        return Ok(false);
    }
    connection
        .prepare_cached(FAILED_BEFORE)?
        .query_row(params![serial_number, device_id], |row| row.get(0))
}

fn insert(connection: &Connection, link: &Link) -> rusqlite::Result<()> {
    let number = link.number.cast_signed();
    connection.prepare_cached(INSERT_LINK)?.execute(named_params! {
        ":number": number,
        ":time": link.time.as_millisecond(),
        ":clock_accepted": link.clock_accepted,
        ":station": link.author.station,
        ":operator": link.author.operator,
        ":version": link.version,
        ":kind": link.fact.kind(),
        ":previous": link.previous,
        ":hash": link.hash,
    })?;
    let put = |statement, parameters: &[&dyn rusqlite::ToSql]| {
        connection.prepare_cached(statement)?.execute(parameters).map(|_| ())
    };
    match &link.fact {
        Fact::Attempt(Attempt { port, batch, serial_number }) => {
            put(INSERT_ATTEMPT, params![number, port, batch, serial_number])
        }
        Fact::Outcome(outcome) => insert_outcome(connection, number, outcome),
        Fact::Program(program) => put(
            INSERT_PROGRAM,
            params![
                number,
                program.attempt.cast_signed(),
                program.step,
                program.command,
                program.succeeded,
                program.text,
                program.milliseconds.cast_signed(),
                program.output.0,
            ],
        ),
        Fact::Withdrawal(Withdrawal { entry, reason }) => {
            put(INSERT_WITHDRAWAL, params![number, entry.cast_signed(), reason])
        }
        Fact::Export(export) => put(
            INSERT_EXPORT,
            params![
                number,
                export.verifier,
                export.profile,
                export.first.cast_signed(),
                export.last.cast_signed(),
                export.parts.cast_signed(),
                export.sha256,
            ],
        ),
    }
}

fn insert_outcome(connection: &Connection, link: i64, outcome: &Outcome) -> rusqlite::Result<()> {
    let Failed { error, failure, text, seen, part } = outcome.failed();
    let is_failed = matches!(outcome.end, End::Failed(_));
    connection.prepare_cached(INSERT_OUTCOME)?.execute(named_params! {
        ":link": link,
        ":attempt": outcome.attempt.cast_signed(),
        ":result": outcome.end.name(),
        ":error": is_failed.then_some(error),
        ":failure": failure,
        ":text": is_failed.then_some(text),
        ":seen": seen.map(u64::cast_signed),
        ":serial_number": outcome.serial_number,
        ":device_id": part.map(|(device_id, _)| device_id.0),
        ":ueid": part.map(|(_, ueid)| *ueid.as_bytes()),
        ":image": outcome.image.map(|image| image.0),
        ":steps": steps_to_json(&outcome.steps),
        ":console": outcome.console.0,
    })?;
    if let End::Good(Entry { number, identity, record }) = &outcome.end {
        connection.prepare_cached(INSERT_ENTRY)?.execute(params![
            number.cast_signed(),
            link,
            identity.device_id.0,
            identity.implementation_id.as_bytes(),
            identity.ueid().as_bytes(),
            identity.public_key.as_bytes(),
            record,
        ])?;
    }
    Ok(())
}

impl Kept {
    const fn link(link: Receipt) -> Self {
        Self { link, entry: None, is_retry: false }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rusqlite::config::DbConfig;

    use super::*;

    fn ledger() -> (tempfile::TempDir, Ledger) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open_or_create(&folder.path().join("ledger")).unwrap();
        (folder, ledger)
    }

    /// How SQLite would run `statement`, with the triggers that it fires.
    fn plan(connection: &Connection, statement: &str) -> Vec<String> {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let steps = statement.raw_query().mapped(|row| row.get("detail"));
        steps.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn an_append_reads_as_much_of_a_long_ledger_as_of_a_short_one() {
        let (_folder, ledger) = ledger();
        let connection = &ledger.connection;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRIGGER_EQP, true).unwrap();
        let scans = |statement| {
            let plan = plan(connection, statement);
            plan.iter().any(|step| step.starts_with("SCAN") && step.contains("entries"))
        };
        assert!(scans("SELECT number FROM entries WHERE port = ''"), "what a scan looks like");
        for statement in [LAST, HASH, HIGHEST, SEEN_DEVICE_ID, SEEN_UEID, SEEN_PUBLIC_KEY, INSERT] {
            assert!(!scans(statement), "{:?}", plan(connection, statement));
        }
        // The trigger's look-ups are in the plan of the insert: number, previous, and one per unique column.
        let insert = plan(connection, INSERT);
        let searches = insert.iter().filter(|step| step.starts_with("SEARCH entries")).count();
        assert_eq!(searches, 5, "{insert:?}");
    }

    #[test]
    fn the_file_is_synced_in_each_commit_and_says_what_it_is() {
        let (_folder, ledger) = ledger();
        let number = |name| -> i32 {
            ledger.connection.pragma_query_value(None, name, |row| row.get(0)).unwrap()
        };
        assert_eq!(number("synchronous"), 2); // FULL
        assert_eq!(number("busy_timeout"), 10_000);
        assert_eq!(number("application_id"), APPLICATION_ID);
        assert_eq!(number("user_version"), VERSION);
        let mode: String =
            ledger.connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    }

    #[test]
    fn a_ledger_that_stays_busy_is_reported() {
        let (_folder, mut ledger) = ledger();
        let other = Connection::open(&ledger.path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        ledger.connection.busy_timeout(Duration::ZERO).unwrap();
        assert!(matches!(ledger.append(&[]), Err(LedgerError::Busy(_))));
        assert_eq!(ledger.head().unwrap().number, 0, "readers do not wait");
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(ledger.append(&[]).unwrap(), []);
    }

    #[test]
    fn the_switch_to_a_log_waits_for_another_program() {
        static OTHER: Mutex<Option<Connection>> = Mutex::new(None);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE t (c); BEGIN IMMEDIATE").unwrap();
        *OTHER.lock().unwrap() = Some(other);
        let mut connection = Connection::open(&path).unwrap();
        // The other goes when it is waited for, and not before.
        let wait = |_| OTHER.lock().unwrap().take().is_some();
        connection.busy_handler(Some(wait)).unwrap();
        write_ahead(&path, &connection).unwrap();
        assert!(OTHER.lock().unwrap().is_none());
    }

    #[test]
    fn a_ledger_that_another_process_created_first_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        fs::write(&path, "theirs").unwrap();
        create(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        // No file can have this name, so there is none of another process.
        assert!(matches!(create(&folder.path().join("x".repeat(300))), Err(LedgerError::Io(..))));
    }

    /// For Windows, what is below a file is missing.
    #[cfg(unix)]
    #[test]
    fn a_file_that_cannot_be_asked_for_its_size_is_no_missing_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(size(file.path()).unwrap(), Some(0));
        assert_eq!(size(&file.path().with_extension("none")).unwrap(), None);
        assert!(matches!(size(&file.path().join("below")), Err(LedgerError::Io(..))));
    }

    #[test]
    fn only_a_damaged_file_is_a_problem_and_other_errors_end_a_walk() {
        let (_folder, mut ledger) = ledger();
        let entry = NewEntry {
            identity: Identity {
                device_id: provisioning::DeviceId([1; 8]),
                implementation_id: provisioning::ImplementationId::from_bytes([0xAA; 32]).unwrap(),
                public_key: provisioning::DUMMY_PUBLIC_KEY,
            },
            port: String::new(),
            record: Vec::new(),
        };
        ledger.append(&[entry]).unwrap()[0].unwrap();
        let stop = ledger.connection.get_interrupt_handle();
        let walked = ledger.walk::<LedgerError>(
            None,
            |_| Ok(()),
            |_| {
                stop.interrupt();
                Ok(())
            },
        );
        assert!(matches!(walked, Err(LedgerError::Sqlite(..))), "{walked:?}");
    }

    #[test]
    fn every_name_is_that_of_a_file() {
        for name in [":memory:", "file:x?mode=memory", "ledger"] {
            assert!(absolute(Path::new(name)).unwrap().is_absolute());
        }
        assert!(matches!(Ledger::open_or_create(Path::new("")), Err(LedgerError::Io(..))));
    }
}
