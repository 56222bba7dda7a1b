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
//! The hash of a link is SHA-256 over a CBOR array, deterministically encoded (RFC 8949, section 4.2.1). It has the
//! columns of the link's row in `links` but `hash`, and behind them an array for each row of the fact, with the columns
//! of that row but `link`. Columns are in the order of `schema.sql`, as SQLite has them: an integer, a text, a byte
//! string, or `null`.
//!
//! | Element | Column             | CBOR type                                                      |
//! |---------|--------------------|----------------------------------------------------------------|
//! | 0       | `number`           | integer                                                        |
//! | 1       | `time`             | integer: milliseconds since 1970, UTC                          |
//! | 2       | `clock_accepted`   | integer: 0 or 1                                                |
//! | 3       | `station`          | text or `null`                                                 |
//! | 4       | `operator`         | text or `null`                                                 |
//! | 5       | `version`          | text: of the program                                           |
//! | 6       | `kind`             | text: `attempt`, `outcome`, `program`, `withdrawal`, `export`  |
//! | 7       | `previous`         | byte string of 32: the hash before; in link 1 the origin's     |
//! | 8       |                    | array: the row in `attempts`, `outcomes`, `programs`, `withdrawals` or `exports` |
//! | 9       |                    | array: the row in `entries`, only of an outcome that has one   |
//!
//! What the chain begins with is the [`Origin`], one row in `origin`: whose ledger it is, and which one it continues. Its
//! hash is SHA-256 over the deterministic CBOR array of the columns of that row but `hash`:
//!
//! | Element | Column             | CBOR type                                                      |
//! |---------|--------------------|----------------------------------------------------------------|
//! | 0       | `station_key`      | byte string of 32: an Ed25519 public key (RFC 8032), or `null` |
//! | 1       | `batch`            | text or `null`                                                 |
//! | 2       | `continues_format` | integer, or `null` as the next two                             |
//! | 3       | `continues_number` | integer: the last link of the ledger that it continues         |
//! | 4       | `continues_head`   | byte string of 32: the hash of that link                       |
//!
//! A ledger that continues another one has all of its links, chained anew from its own origin
//! ([`Ledger::continue_in`]). Ledgers of formats 1 and 2 are read, and nothing is appended to them.
//!
//! What a console has shown, and a program printed, is packed: see [`Text`].
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
//! The head can be signed with the station key ([`Checkpoint`]): then it can be kept where nobody is trusted to keep it
//! unchanged.
//!
//! What an opening cannot find: all of this where the head's files are gone too; a log, damaged or
//! another's, that leaves the link of the head as it is, which an audit shows as broken chain or damaged
//! file; and links that were committed and not yet acknowledged.

mod append;
mod audit;
mod begin;
mod checkpoint;
mod content;
mod error;
mod follow;
mod format;
mod head;
mod link;
mod origin;
mod restore;
mod runs;
mod text;
mod walk;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, OptionalExtension};
use tempfile::TempDir;

pub use append::{Begun, Kept, New, NewEnd, NewEntry, NewOutcome, SEEN_BEFORE};
pub use audit::{Audit, Found, PROBLEMS_LISTED, Problem};
pub use begin::{Beginning, continued_file_of};
pub use checkpoint::{Checkpoint, CheckpointProblem};
pub use content::ContentError;
pub use error::LedgerError;
pub use follow::{FOUND, PartName};
pub use head::head_file_of;
pub use link::{
    Attempt, Author, End, Entry, Export, Fact, Failed, GENESIS, Link, Outcome, Program, Receipt,
    Refusal, Step, Withdrawal,
};
pub use origin::{Continued, Origin};
pub use runs::{Run, Runs};
pub use text::Text;
pub(crate) use walk::{Checked, Order, Stop};

use crate::clock::{Clock, SystemClock, built};
use crate::in_order;
use append::{GIVEN, LAST_ENTRY_UP_TO, SEEN_SERIAL_NUMBER, entry_of, last, last_entry};
use audit::check_schema;
use begin::{create, fill, look_for};
use checkpoint::Signer;
use format::Format;
use head::beside;

/// How long a program waits for another that has the ledger, before it gives up.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What tells a ledger from other SQLite files: `PRAGMA application_id`, `PLdg` as four bytes.
pub const APPLICATION_ID: i32 = 0x504C_6467;

/// The version of the format: `PRAGMA user_version`.
pub const VERSION: i32 = 3;

const SCHEMA: &str = include_str!("ledger/schema.sql");

/// A clock that is behind by less than this is waited for: what sets a clock may step it.
const CLOCK_STEP: SignedDuration = SignedDuration::from_secs(2);

/// More than a file system's times of change are behind the clock.
const CLOCK_TICK: Duration = Duration::from_millis(20);

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
    format: Format,
    /// The files that keep the head.
    head_files: Vec<PathBuf>,
    author: Author,
    clock: Arc<dyn Clock>,
    accept_clock: bool,
    /// Who signs its checkpoints.
    signer: Option<Signer>,
    /// How many threads check what a walk reads.
    threads: NonZeroUsize,
    /// The copy of a ledger that cannot be opened where it is.
    _copy: Option<TempDir>,
}

impl Ledger {
    /// Opens a ledger to append to it, and creates it where there is no file or an empty one: without a station key.
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
        let origin = Origin::default();
        match look_for(&path, head_file)? {
            // Or another process was first.
            None => _ = create(&path, &origin, |_| Ok(()))?,
            Some(0) => fill(&path, &origin, |_| Ok(()))?,
            Some(_) => {}
        }
        // Looked at without the right to write, so that a file that is not a ledger stays as it is.
        let head_files = {
            let found = Self::open_with(&path, head_file)?;
            found.check_format()?;
            found.check_not_continued()?;
            found.head_files
        };
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut ledger = Self::new(path, connection, head_files);
        if ledger.connection.is_readonly(MAIN_DB).map_err(|error| ledger.error(error))? {
            return Err(LedgerError::ReadOnly(ledger.path));
        }
        // macOS needs fullfsync for what is synced to reach the medium; elsewhere it means nothing. The triggers look
        // after references, and SQLite would scan tables for them.
        ledger
            .connection
            .execute_batch(
                "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA foreign_keys = OFF",
            )
            .map_err(|error| ledger.error(error))?;
        write_ahead(&ledger.path, &ledger.connection)?;
        ledger.check_schema()?;
        ledger.origin()?;
        // A ledger that no head was kept of, or whose last links were committed by a program that was
        // killed then. An empty ledger has nothing to lose.
        let head = ledger.head()?;
        if head.number > 0 {
            // Its link may be that of an attempt, which no commit has synced.
            sync(&beside(&ledger.path, "-wal"))?;
            ledger.keep_head(&head)?;
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
        let mut ledger = Self { _copy: copy, ..Self::new(path, connection, head_files) };
        let pragma = |name| ledger.connection.pragma_query_value(None, name, |row| row.get(0));
        let id = pragma("application_id").map_err(|error| ledger.error(error))?;
        let version = pragma("user_version").map_err(|error| ledger.error(error))?;
        ledger.format = match (id, Format::of(version)) {
            (APPLICATION_ID, Some(format)) => format,
            (APPLICATION_ID, None) if version > 0 => {
                return Err(LedgerError::Version(ledger.path, version));
            }
            _ => return Err(LedgerError::NotALedger(ledger.path)),
        };
        // Before any query of the entries: one of a view in their place may never end.
        ledger.check_schema()?;
        for (file, head) in heads {
            ledger.check_head(file, head)?;
        }
        Ok(ledger)
    }

    /// Whether something can be appended to it.
    fn check_format(&self) -> Result<(), LedgerError> {
        match self.format {
            Format::Three => Ok(()),
            old => Err(LedgerError::Old(self.path.clone(), old.version())),
        }
    }

    fn check_schema(&self) -> Result<(), LedgerError> {
        match check_schema(&self.connection, self.format).map_err(|error| self.error(error))? {
            Some(problem) => Err(self.damaged(problem)),
            None => Ok(()),
        }
    }

    /// Whether the ledger has the link that was its last one when `file` was written.
    fn check_head(&self, file: PathBuf, head: Receipt) -> Result<(), LedgerError> {
        match self.hash_at(head.number)? {
            Some(hash) if hash == head.hash => Ok(()),
            Some(_) => Err(LedgerError::Other(self.path.clone(), file, head.number)),
            None => {
                let last = self.head()?.number;
                Err(LedgerError::Shorter { path: self.path.clone(), file, last, seen: head.number })
            }
        }
    }

    /// The hash of the link of this number, as it stands in the file; for 0, that of the origin.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn hash_at(&self, number: u64) -> Result<Option<[u8; 32]>, LedgerError> {
        if number == 0 {
            let genesis = self.format.genesis(&self.connection);
            return genesis.map(Some).map_err(|error| self.error(error));
        }
        self.connection
            .query_row(
                &format!("SELECT hash FROM {} WHERE number = ?1", self.format.chain()),
                [number.cast_signed()],
                |row| row.get(0),
            )
            .optional()
            .map_err(|error| self.error(error))
    }

    /// Keeps this head, whose link is synced and must not be acknowledged before.
    fn keep_head(&mut self, head: &Receipt) -> Result<(), LedgerError> {
        self.alone(|ledger| {
            for file in &ledger.head_files {
                let kept = head::read(file).ok().flatten();
                if kept.is_none_or(|kept| kept.number < head.number) {
                    head::write(file, head)?;
                }
            }
            match &mut ledger.signer {
                Some(signer) => signer.take(*head, ledger.clock.instant()),
                None => Ok(()),
            }
        })
    }

    /// Writes files that say what is in the ledger, while no other program does so: none is written over by an older
    /// one.
    fn alone(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let begun = self.connection.execute_batch("BEGIN IMMEDIATE");
        begun.map_err(|error| match self.error(error) {
            LedgerError::Busy(path) => LedgerError::BusyHead(path),
            error => error,
        })?;
        let written = write(self);
        // There is nothing in it.
        let ended = self.connection.execute_batch("ROLLBACK").map_err(|error| self.error(error));
        written.and(ended)
    }

    /// Where the ledger is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
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

    /// Has a walk check hashes and records in so many threads; else there is one for each core. What it finds is the
    /// same.
    pub const fn set_threads(&mut self, threads: NonZeroUsize) {
        self.threads = threads;
    }

    /// Whether the clock would be accepted for the next link.
    ///
    /// # Errors
    /// It would not, or the file cannot be read.
    pub fn check_clock(&self) -> Result<(), LedgerError> {
        let (_, time) = last(&self.connection, self.format).map_err(|error| self.error(error))?;
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

    /// The last link's number, which is how many there are, and its hash; 0 and the hash of the origin where
    /// there is none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn head(&self) -> Result<Receipt, LedgerError> {
        last(&self.connection, self.format).map(|(last, _)| last).map_err(|error| self.error(error))
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn entries(&self) -> Result<u64, LedgerError> {
        last_entry(&self.connection).map_err(|error| self.error(error))
    }

    /// How many of the entries are in links up to this number.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn entries_up_to(&self, link: u64) -> Result<u64, LedgerError> {
        let link = i64::try_from(link).unwrap_or(i64::MAX);
        entry_of(&self.connection, LAST_ENTRY_UP_TO, &[&link])
            .map(Option::unwrap_or_default)
            .map_err(|error| self.error(error))
    }

    /// The last entry that this verifier may have been given; 0 where it was given none.
    ///
    /// # Errors
    /// The file cannot be read, or has an older format, which does not remember what it will be given now.
    pub fn given_to(&self, verifier: &str) -> Result<u64, LedgerError> {
        self.check_format()?;
        self.connection
            .query_row(GIVEN, [verifier], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))
            .map_err(|error| self.error(error))
    }

    /// The attempts whose part was entered, and whose step behind it has failed: they are not done.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn not_done(&self) -> Result<BTreeSet<u64>, LedgerError> {
        if self.format == Format::One {
            return Ok(BTreeSet::new());
        }
        let read = || -> rusqlite::Result<_> {
            self.connection
                .prepare("SELECT attempt FROM programs WHERE step = 'on-pass' AND succeeded = 0")?
                .query_map([], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))?
                .collect()
        };
        read().map_err(|error| self.error(error))
    }

    /// The entry of the part with this serial number.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn entry_of_serial_number(&self, text: &str) -> Result<Option<u64>, LedgerError> {
        entry_of(&self.connection, SEEN_SERIAL_NUMBER, &[&text]).map_err(|error| self.error(error))
    }

    fn new(path: PathBuf, connection: Connection, head_files: Vec<PathBuf>) -> Self {
        Self {
            path,
            connection,
            format: Format::Three,
            head_files,
            author: Author::default(),
            clock: Arc::new(SystemClock),
            accept_clock: false,
            signer: None,
            threads: in_order::threads(),
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
    let error = |error| LedgerError::of(path, error);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(error)?;
    // Without it SQLite plans a statement anew for each new value that a partial index might depend on
    // (sqlite.org/queryplanner-ng.html#qpstab).
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(error)?;
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
    let error = match connect(path) {
        Ok(connection) => return Ok((connection, None)),
        Err(error) if is_no_right(&error) => error,
        // The caller looks at what it is.
        Err(error) => return Err(error),
    };
    if !path.is_file() {
        return Err(error);
    }
    // Else a change that is made right after it was asked for could have the same time as the one before.
    let rest = || thread::sleep(CLOCK_TICK);
    let (copy, folder) = copy_to_read(path, Instant::now() + BUSY_TIMEOUT, rest)?;
    Ok((connect(&copy)?, Some(folder)))
}

/// Copies a ledger and its log, of one moment. `rest` is called between the question when they were changed and a copy.
fn copy_to_read(
    path: &Path,
    deadline: Instant,
    rest: impl Fn(),
) -> Result<(PathBuf, TempDir), LedgerError> {
    let io = |error| LedgerError::Io(path.to_owned(), error);
    let log = beside(path, "-wal");
    // Whoever writes it meanwhile changes one of these.
    let state = || Ok::<_, LedgerError>((modified(path)?, modified(&log)?));
    while Instant::now() < deadline {
        let before = state()?;
        rest();
        // Each in a folder of its own: a copy has the rights of the file, which may be none to write.
        let folder = tempfile::tempdir().map_err(io)?;
        let copy = folder.path().join("ledger");
        let log = before.1.map(|_| fs::copy(&log, beside(&copy, "-wal"))).transpose();
        let copied = fs::copy(path, &copy).and(log);
        if state()? == before {
            copied.map_err(io)?;
            return Ok((copy, folder));
        }
    }
    Err(LedgerError::Busy(path.to_owned()))
}

/// Whether SQLite could not open or make a file.
fn is_no_right(error: &LedgerError) -> bool {
    match error {
        LedgerError::ReadOnly(_) => true,
        LedgerError::Sqlite(_, error) => error.sqlite_error_code() == Some(ErrorCode::CannotOpen),
        _ => false,
    }
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

/// Waits until what was written to a log is on the disk. SQLite holds no lock on it that closing it could drop.
fn sync(log: &Path) -> Result<(), LedgerError> {
    match fs::OpenOptions::new().write(true).open(log).and_then(|log| log.sync_all()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LedgerError::Io(log.to_owned(), error))
        }
        _ => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Mutex;

    use super::*;

    fn ledger() -> (TempDir, Ledger) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open_or_create(&folder.path().join("ledger")).unwrap();
        (folder, ledger)
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
        // The tables' own words, which are the same on every system.
        assert!(!SCHEMA.contains('\r'));
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

    /// What was appended is in the ledger then, and the error does not say that it is not.
    #[test]
    fn a_head_that_waits_too_long_is_reported() {
        let (_folder, mut ledger) = ledger();
        let other = Connection::open(&ledger.path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        ledger.connection.busy_timeout(Duration::ZERO).unwrap();
        let head = Receipt { number: 1, hash: [1; 32] };
        let error = ledger.keep_head(&head).unwrap_err();
        assert!(matches!(error, LedgerError::BusyHead(_)), "{error:?}");
        assert!(!error.to_string().contains("Nothing was kept"), "{error}");
        assert!(matches!(ledger.finish(), Err(LedgerError::BusyHead(_))));
        other.execute_batch("ROLLBACK").unwrap();
        ledger.keep_head(&head).unwrap();
        assert_eq!(ledger.kept_head().unwrap(), head);
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
        assert!(!create(&path, &Origin::default(), |_| Ok(())).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        // No file can have this name, so there is none of another process.
        let path = folder.path().join("x".repeat(300));
        let created = create(&path, &Origin::default(), |_| Ok(()));
        assert!(matches!(created, Err(LedgerError::Io(..))));
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
        // More than are read ahead.
        ledger.append(&vec![New::Attempt(Attempt::default()); 10_000]).unwrap();
        ledger.set_threads(NonZeroUsize::new(2).unwrap());
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

    /// What changes at a rest, ledger and log of the copy, and how many rests there are.
    type Case<'a> = (&'a dyn Fn(i32), &'a [u8], Option<&'a [u8]>, i32);

    #[test]
    fn a_copy_is_of_one_moment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let log = beside(&path, "-wal");
        let append = |file: &Path| {
            let mut file = fs::OpenOptions::new().append(true).open(file).unwrap();
            io::Write::write_all(&mut file, b"x").unwrap();
        };
        let append_until = |end: i32, rest: i32, file: &Path| {
            if rest < end {
                append(file);
            }
        };
        let rests = Cell::new(0);
        let copy = |deadline, changes: &dyn Fn(i32)| {
            fs::write(&path, "ledger").unwrap();
            fs::write(&log, "log").unwrap();
            rests.set(0);
            copy_to_read(&path, Instant::now() + deadline, || {
                rests.set(rests.get() + 1);
                changes(rests.get());
            })
        };
        let (minute, moment) = (Duration::from_secs(60), Duration::from_millis(50));
        let cases: [Case<'_>; 4] = [
            (&|_| (), b"ledger", Some(b"log"), 1),
            (&|rest| append_until(3, rest, &path), b"ledgerxx", Some(b"log"), 3),
            (&|rest| append_until(3, rest, &log), b"ledger", Some(b"logxx"), 3),
            (&|_| _ = fs::remove_file(&log), b"ledger", None, 2),
        ];
        for (changes, ledger, log, count) in cases {
            let (copied, folder) = copy(minute, changes).unwrap();
            assert_eq!(fs::read(&copied).unwrap(), ledger);
            assert_eq!(fs::read(beside(&copied, "-wal")).ok().as_deref(), log);
            assert_eq!(rests.get(), count);
            assert!(copied.starts_with(folder.path()));
        }
        // Where there is no such moment, there is no copy.
        for file in [&path, &log] {
            let error = copy(moment, &|_| append(file)).unwrap_err();
            assert!(matches!(error, LedgerError::Busy(_)), "{error:?}");
            assert!(rests.get() > 1);
        }
        let gone = copy(minute, &|_| _ = fs::remove_file(&path));
        assert!(matches!(gone, Err(LedgerError::Io(..))), "{gone:?}");
    }

    #[test]
    fn every_name_is_that_of_a_file() {
        for name in [":memory:", "file:x?mode=memory", "ledger"] {
            assert!(absolute(Path::new(name)).unwrap().is_absolute());
        }
        assert!(matches!(Ledger::open_or_create(Path::new("")), Err(LedgerError::Io(..))));
    }
}
