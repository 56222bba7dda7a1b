// SPDX-License-Identifier: Apache-2.0

//! The append-only ledger of provisioned parts: one SQLite file.
//!
//! Entries are numbered from 1 without holes, and each has the hash of the one before it, so that
//! none can be changed without a trace. The hash of an entry is SHA-256 over a CBOR array of its
//! other columns, deterministically encoded (RFC 8949, section 4.2.1):
//!
//! | Element | Column            | CBOR type                                             |
//! |---------|-------------------|-------------------------------------------------------|
//! | 0       | number            | unsigned integer                                      |
//! | 1       | time              | text: UTC, RFC 3339, with milliseconds                |
//! | 2       | port              | text                                                  |
//! | 3       | device\_id        | byte string of 8                                      |
//! | 4       | implementation\_id| byte string of 32                                     |
//! | 5       | ueid              | byte string of 33                                     |
//! | 6       | public\_key       | byte string of 65                                     |
//! | 7       | record            | byte string                                           |
//! | 8       | previous          | byte string of 32: the hash before; zeros in entry 1  |
//!
//! What makes it append-only are constraints and triggers in the file, which hold for every program
//! that writes to it. They do not stop a person who removes them first. [`Ledger::audit`] does not
//! stop that person either, but shows it, if a hash of the ledger was written down elsewhere.
//!
//! Beside the ledger is its last head ([`head_file_of`]), and in one more file where the caller says so. Each
//! opening looks whether the ledger still has that entry, before it changes anything. It finds:
//!
//! - a ledger that is gone, or of which there is an older copy;
//! - a ledger without its write-ahead log (`-wal`), which can hold all of its last entries: without the
//!   log SQLite sees an older ledger that is whole;
//! - the log of another ledger: SQLite takes it for this one's, since nothing in a log says whose it is, and
//!   shows pages of both, which are then not the ledger that had this head.
//!
//! What an opening cannot find: all of this where the head's files are gone too; a log, damaged or
//! another's, that leaves the entry of the head as it is, which an audit shows as broken chain or damaged
//! file; and entries that were committed and not yet acknowledged.

mod audit;
mod entry;
mod error;
mod head;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, named_params,
};

pub use audit::{Audit, Found, PROBLEMS_LISTED, Problem};
pub use entry::{GENESIS, NewEntry, Receipt, Refusal, Row};
pub use error::LedgerError;
pub use head::head_file_of;

use crate::Identity;
use audit::check_schema;
use entry::Content;
use head::beside;

/// How long a program waits for another that has the ledger, before it gives up.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What tells a ledger from other SQLite files: `PRAGMA application_id`, `PLdg` as four bytes.
pub const APPLICATION_ID: i32 = 0x504C_6467;

/// The version of the format: `PRAGMA user_version`.
pub const VERSION: i32 = 1;

const SCHEMA: &str = include_str!("ledger/schema.sql");

// The statements of an append. None may read more entries the longer the ledger gets.
const LAST: &str =
    "SELECT number, hash FROM entries WHERE number = (SELECT max(number) FROM entries)";
const HASH: &str = "SELECT hash FROM entries WHERE number = ?1";
const HIGHEST: &str = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'entries'";
const SEEN_DEVICE_ID: &str = "SELECT number FROM entries WHERE device_id = ?1";
const SEEN_UEID: &str = "SELECT number FROM entries WHERE ueid = ?1";
const SEEN_PUBLIC_KEY: &str = "SELECT number FROM entries WHERE public_key = ?1";
const INSERT: &str = "INSERT INTO entries (\
        number, time, port, device_id, implementation_id, ueid, public_key, record, previous, hash\
    ) VALUES (\
        :number, :time, :port, :device_id, :implementation_id, :ueid, :public_key, :record, \
        :previous, :hash\
    )";

/// A ledger that is open.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    connection: Connection,
    /// The files that keep the head.
    head_files: Vec<PathBuf>,
    /// What they hold, as far as this program knows.
    kept: Receipt,
}

impl Ledger {
    /// Opens a ledger to append to it, and creates it where there is no file or an empty one.
    ///
    /// Several programs may have it open at once; one at a time appends.
    ///
    /// # Errors
    /// The file cannot be opened, is not a ledger or is one of a later version, its tables and triggers were
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
        let kept = Receipt { number: 0, hash: GENESIS };
        let mut ledger = Self { path, connection, head_files, kept };
        // In WAL mode FULL syncs the log in each commit, so that a transaction that was acknowledged
        // outlives a loss of power; NORMAL does not (sqlite.org/pragma.html#pragma_synchronous).
        // macOS needs fullfsync for it to reach the medium; elsewhere it means nothing.
        ledger
            .connection
            .execute_batch("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON")
            .map_err(|error| ledger.error(error))?;
        write_ahead(&ledger.path, &ledger.connection)?;
        ledger.check_schema()?;
        // A ledger that no head was kept of, or whose last entries were committed by a program that was
        // killed then. An empty ledger has nothing to lose.
        if ledger.head()?.number > 0 {
            ledger.keep_head()?;
        }
        Ok(ledger)
    }

    /// Opens a ledger that is there, to read it. A station may go on writing.
    ///
    /// SQLite keeps two more files next to the ledger while it is open, even by readers only, and a
    /// reader may leave them there. So the folder must be one that can be written to.
    ///
    /// # Errors
    /// There is no ledger, the file cannot be opened, is not a ledger or is one of a later version, its tables
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
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let kept = Receipt { number: 0, hash: GENESIS };
        let ledger = Self { path, connection, head_files, kept };
        let pragma = |name| ledger.connection.pragma_query_value(None, name, |row| row.get(0));
        let id = pragma("application_id").map_err(|error| ledger.error(error))?;
        let version = pragma("user_version").map_err(|error| ledger.error(error))?;
        match (id, version) {
            (APPLICATION_ID, VERSION) => {}
            (APPLICATION_ID, later) if later > VERSION => {
                return Err(LedgerError::Newer(ledger.path, later));
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

    /// Whether the ledger has the entry that was its last one when `file` was written.
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

    /// Keeps the head of the ledger. Its entry is committed, and must not be acknowledged before.
    fn keep_head(&mut self) -> Result<(), LedgerError> {
        let error = |error| LedgerError::of(&self.path, error);
        // Nobody else appends or keeps a head meanwhile, so that no head is written over by an older one.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(error)?;
        let last = last(&transaction).map_err(error)?;
        for file in &self.head_files {
            head::write(file, &last)?;
        }
        self.kept = last;
        Ok(())
    }

    /// Appends what the ledger has not seen, and returns when it would outlive a loss of power.
    ///
    /// All entries are committed at once, so that many cost one sync. Each is judged on its own, also
    /// against those before it in `entries`: the answers are in their order.
    ///
    /// # Errors
    /// Another program has the ledger, entries were taken off its end, or a file cannot be written.
    /// Nothing of `entries` is acknowledged then. Where it is a file of the head that cannot be written,
    /// they are in the ledger nevertheless.
    pub fn append(
        &mut self,
        entries: &[NewEntry],
    ) -> Result<Vec<Result<Receipt, Refusal>>, LedgerError> {
        let error = |error| LedgerError::of(&self.path, error);
        // Immediate: what is read here must still hold when it is written.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(error)?;
        let mut last = last(&transaction).map_err(error)?;
        let highest = highest(&transaction).map_err(error)?;
        if last.number != highest {
            // To go on would give a number for the second time and hide what is missing.
            let problem = Problem::CutOff(last.number, highest);
            return Err(LedgerError::Damaged(self.path.clone(), problem));
        }
        // By SQLite, so that no other library for dates is needed.
        let time: String = transaction
            .query_row("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')", [], |row| row.get(0))
            .map_err(error)?;
        let mut answers = Vec::with_capacity(entries.len());
        for entry in entries {
            if let Some(refusal) = seen(&transaction, &entry.identity).map_err(error)? {
                answers.push(Err(refusal));
            } else {
                last = insert(&transaction, last, &time, entry).map_err(error)?;
                answers.push(Ok(last));
            }
        }
        transaction.commit().map_err(error)?;
        if last != self.kept {
            self.keep_head()?;
        }
        Ok(answers)
    }

    /// The last entry's number, which is how many there are, and its hash; 0 and [`GENESIS`] where
    /// there is none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn head(&self) -> Result<Receipt, LedgerError> {
        last(&self.connection).map_err(|error| self.error(error))
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

fn last(connection: &Connection) -> rusqlite::Result<Receipt> {
    connection
        .prepare_cached(LAST)?
        .query_row([], |row| {
            Ok(Receipt { number: row.get::<_, i64>(0)?.cast_unsigned(), hash: row.get(1)? })
        })
        .optional()
        .map(|last| last.unwrap_or(Receipt { number: 0, hash: GENESIS }))
}

/// The highest number that was ever given, which AUTOINCREMENT keeps.
fn highest(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(HIGHEST)?
        .query_row([], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))
}

fn seen(connection: &Connection, identity: &Identity) -> rusqlite::Result<Option<Refusal>> {
    let number_of = |statement, value: &[u8]| {
        connection
            .prepare_cached(statement)?
            .query_row([value], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))
            .optional()
    };
    let same_device = number_of(SEEN_DEVICE_ID, &identity.device_id.0)?;
    let same_ueid = number_of(SEEN_UEID, identity.ueid().as_bytes())?;
    match (same_device, same_ueid) {
        (Some(device), Some(ueid)) if device == ueid => return Ok(Some(Refusal::Known(device))),
        (Some(number), _) => return Ok(Some(Refusal::SeenDeviceId(number))),
        (None, Some(number)) => return Ok(Some(Refusal::SeenUeid(number))),
        (None, None) => {}
    }
    let number = number_of(SEEN_PUBLIC_KEY, identity.public_key.as_bytes())?;
    Ok(number.map(Refusal::SeenPublicKey))
}

fn insert(
    connection: &Connection,
    last: Receipt,
    time: &str,
    entry: &NewEntry,
) -> rusqlite::Result<Receipt> {
    let NewEntry { identity, port, record } = entry;
    let (number, ueid) = (last.number + 1, identity.ueid());
    let content = Content {
        number,
        time,
        port,
        device_id: &identity.device_id.0,
        implementation_id: identity.implementation_id.as_bytes(),
        ueid: ueid.as_bytes(),
        public_key: identity.public_key.as_bytes(),
        record,
        previous: &last.hash,
    };
    let hash = content.hash();
    connection.prepare_cached(INSERT)?.execute(named_params! {
        ":number": number.cast_signed(),
        ":time": content.time,
        ":port": content.port,
        ":device_id": content.device_id,
        ":implementation_id": content.implementation_id,
        ":ueid": content.ueid,
        ":public_key": content.public_key,
        ":record": content.record,
        ":previous": content.previous,
        ":hash": hash,
    })?;
    Ok(Receipt { number, hash })
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
