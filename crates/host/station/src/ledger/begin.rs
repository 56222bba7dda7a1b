// SPDX-License-Identifier: Apache-2.0

//! A ledger that begins: without links, or with those of the ledger that it continues.
//!
//! A ledger that continues another one has all of its links, with their numbers, times, authors and facts, chained anew
//! from its own origin, which names the old head. So it knows the old parts and refuses them by the same constraints, and
//! withdrawals, exports and figures go on; nothing has to look into the old file any more. What the chain of the old file
//! must be to have become these links can be computed from it: [`Ledger::carried_head`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::append::insert;
use super::format::Format;
use super::head::{beside, write_whole};
use super::{
    APPLICATION_ID, Continued, Entry, GENESIS, Ledger, LedgerError, Link, Origin, Receipt, VERSION,
    absolute, connect, gone, head_files, heads, size, sync, write_ahead,
};

/// The file beside a ledger that says in which one it is continued.
#[must_use]
pub fn continued_file_of(ledger: &Path) -> PathBuf {
    beside(ledger, "-continued")
}

impl Ledger {
    /// Begins a ledger with this origin, and opens it to append to it.
    ///
    /// # Errors
    /// There is a file of this name, or there was a ledger; or it cannot be written.
    pub fn begin(
        path: &Path,
        head_file: Option<&Path>,
        origin: &Origin,
    ) -> Result<Self, LedgerError> {
        Self::begin_with(path, head_file, origin, |_| Ok(()))
    }

    /// As [`Ledger::begin`], with the links that `carry` gives. If it fails there is no ledger.
    ///
    /// # Errors
    /// As there, or `carry` fails, or the links are none that a ledger can have.
    pub fn begin_with(
        path: &Path,
        head_file: Option<&Path>,
        origin: &Origin,
        carry: impl FnOnce(&mut Beginning<'_>) -> Result<(), LedgerError>,
    ) -> Result<Self, LedgerError> {
        let path = absolute(path)?;
        if look_for(&path, head_file)?.is_some() || !create(&path, origin, carry)? {
            return Err(LedgerError::Exists(path));
        }
        Self::open_or_create_with(&path, head_file)
    }

    /// Begins a ledger that continues this one, which was opened to read it, for the station with this key: nothing is
    /// appended to this one any more. Each of its entries is asked of `check_record`.
    ///
    /// # Errors
    /// As [`Ledger::begin`]; or this one is not good, has no links, is continued already, or cannot be marked as
    /// continued.
    pub fn continue_in(
        &self,
        path: &Path,
        head_file: Option<&Path>,
        station_key: Option<[u8; 32]>,
        batch: Option<String>,
        check_record: impl Fn(&Entry) -> Result<(), String> + Sync,
    ) -> Result<Self, LedgerError> {
        let path = absolute(path)?;
        if look_for(&path, head_file)?.is_some() {
            return Err(LedgerError::Exists(path));
        }
        self.check_not_continued()?;
        let marker = continued_file_of(&self.path);
        let text = format!("{}\n", path.display());
        write_whole(&marker, &text).map_err(|error| LedgerError::Io(marker.clone(), error))?;
        let continued = self.wait_for_writers().and_then(|()| {
            let Receipt { number, hash: head } = self.head()?;
            if number == 0 {
                return Err(LedgerError::Empty(self.path.clone()));
            }
            let format = self.format.version().unsigned_abs();
            let continues = Some(Continued { format, number, head });
            let origin = Origin { station_key, batch, continues };
            Self::begin_with(&path, head_file, &origin, |new| {
                self.carry(&origin, check_record, |link| new.put(link)).map(|_| ())
            })
        });
        if continued.is_err() {
            // There is none that it is continued in.
            let _ = fs::remove_file(&marker);
        }
        continued
    }

    /// The last of this ledger's links in one that continues it with this origin: its number and hash there.
    ///
    /// # Errors
    /// This ledger cannot be read, is not good, or does not end with the link that the origin names.
    pub fn carried_head(
        &self,
        origin: &Origin,
        check_record: impl Fn(&Entry) -> Result<(), String> + Sync,
    ) -> Result<Receipt, LedgerError> {
        self.carry(origin, check_record, |_| Ok(()))
    }

    /// Gives its links as they are in a ledger that continues it with this origin, and says which is the last one.
    fn carry(
        &self,
        origin: &Origin,
        check_record: impl Fn(&Entry) -> Result<(), String> + Sync,
        mut put: impl FnMut(&Link) -> Result<(), LedgerError>,
    ) -> Result<Receipt, LedgerError> {
        let mut last = Receipt { number: 0, hash: origin.hash() };
        let mut time = Timestamp::MIN;
        let audit = self.walk(None, check_record, |found| {
            if let Some(problem) = found.problems.first() {
                return Err(self.damaged(problem.clone()));
            }
            let Some(link) = found.link else { return Ok(()) };
            let facts = self.format.facts(&self.connection, link, last.number + 1);
            for fact in facts.map_err(|error| self.error(error))? {
                let mut link = Link {
                    number: last.number + 1,
                    time: link.time,
                    // In format 1 nobody was asked.
                    clock_accepted: link.clock_accepted || link.time < time,
                    author: link.author.clone(),
                    version: link.version.clone(),
                    fact,
                    previous: last.hash,
                    hash: GENESIS,
                };
                link.hash = link.computed_hash();
                put(&link)?;
                (last, time) = (Receipt { number: link.number, hash: link.hash }, link.time);
            }
            Ok(())
        })?;
        if let Some(problem) = audit.problems.first() {
            return Err(self.damaged(problem.clone()));
        }
        let end = origin.continues.map(|old| Receipt { number: old.number, hash: old.head });
        if end != Some(audit.head) {
            return Err(LedgerError::OtherEnd(self.path.clone(), audit.head.number));
        }
        Ok(last)
    }

    /// Whether it may be appended to.
    pub(super) fn check_not_continued(&self) -> Result<(), LedgerError> {
        let marker = continued_file_of(&self.path);
        match fs::read_to_string(&marker) {
            Ok(new) => {
                let (path, new) = (self.path.clone(), new.trim_end().to_owned());
                Err(LedgerError::Continued { path, new, marker })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(LedgerError::Io(marker, error)),
        }
    }

    /// Waits until a station that is just appending is ready: its next append finds the ledger continued. What a
    /// program of an older format does cannot be known.
    fn wait_for_writers(&self) -> Result<(), LedgerError> {
        if self.format == Format::Three {
            connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?
                .execute_batch("BEGIN IMMEDIATE; ROLLBACK")
                .map_err(|error| self.error(error))?;
        }
        // Its last link may be that of an attempt, which no commit has synced, and the new origin names it.
        sync(&beside(&self.path, "-wal"))
    }
}

/// A ledger that is being made.
#[derive(Debug)]
pub struct Beginning<'a> {
    path: &'a Path,
    connection: &'a Connection,
}

impl Beginning<'_> {
    /// Puts a link into it as it is. It must follow the last one.
    ///
    /// # Errors
    /// It does not, or says what a ledger cannot have, or the file cannot be written.
    pub fn put(&mut self, link: &Link) -> Result<(), LedgerError> {
        insert(self.connection, link).map_err(|error| LedgerError::of(self.path, error))
    }
}

/// How long the file of a ledger is, which may be one that is to be made, if nothing says that it was lost.
pub(super) fn look_for(path: &Path, head_file: Option<&Path>) -> Result<Option<u64>, LedgerError> {
    let heads = heads(&head_files(path, head_file)?)?;
    // The log before the ledger: one that another process creates just now may have both, but
    // never the log alone.
    let log = size(&beside(path, "-wal"))?.unwrap_or(0);
    match size(path)? {
        // SQLite would take the ledger for new and delete the log.
        None | Some(0) if log > 0 => Err(LedgerError::LogOnly(path.to_owned())),
        None | Some(0) if !heads.is_empty() => Err(gone(path.to_owned(), heads)),
        size => Ok(size),
    }
}

/// Creates a ledger that has its name only when it is whole: a killed process leaves none. Says whether it was not there.
pub(super) fn create(
    path: &Path,
    origin: &Origin,
    carry: impl FnOnce(&mut Beginning<'_>) -> Result<(), LedgerError>,
) -> Result<bool, LedgerError> {
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
    fill(&new, origin, carry)?;
    match new.persist_noclobber(path) {
        Ok(()) => Ok(true),
        // Another process was first.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(io(error.error)),
    }
}

/// Makes a ledger of an empty file, unless another process just did.
pub(super) fn fill<E: From<LedgerError>>(
    path: &Path,
    origin: &Origin,
    carry: impl FnOnce(&mut Beginning<'_>) -> Result<(), E>,
) -> Result<(), E> {
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
        transaction.execute_batch(Format::Three.schema()).map_err(error)?;
        origin.insert(&transaction).map_err(error)?;
        carry(&mut Beginning { path, connection: &transaction })?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(error)?;
        transaction.pragma_update(None, "user_version", VERSION).map_err(error)?;
        transaction.commit().map_err(error)?;
        write_ahead(path, &connection)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use tempfile::TempDir;

    use super::super::link::Places;
    use super::super::{Attempt, Fact, New};
    use super::*;

    fn folder() -> (TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
        (folder, old, new)
    }

    fn continued(old: &Path, new: &Path) -> Result<Ledger, LedgerError> {
        Ledger::open(old)?.continue_in(new, None, None, None, |_| Ok(()))
    }

    /// Format 1 took the time as the clock had it.
    #[test]
    fn a_clock_that_went_back_in_format_1_is_accepted() {
        let (_folder, old, new) = folder();
        let raw = Connection::open(&old).unwrap();
        raw.execute_batch(include_str!("../../tests/ledgers/format_1.sql")).unwrap();
        raw.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        raw.pragma_update(None, "user_version", 1).unwrap();
        let trigger: String = raw
            .query_row(
                "SELECT sql FROM sqlite_schema WHERE name = 'entries_are_not_changed'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        raw.execute_batch(
            "DROP TRIGGER entries_are_not_changed;
             UPDATE entries SET time = '2026-11-27T14:00:00.000Z' WHERE number = 2",
        )
        .unwrap();
        let mut hash = GENESIS;
        for number in 1..=3 {
            raw.execute("UPDATE entries SET previous = ?1 WHERE number = ?2", (hash, number))
                .unwrap();
            let links = Format::One.links();
            let mut statement = raw.prepare(links).unwrap();
            let places = Places::of(&statement);
            let mut rows = statement.query([]).unwrap();
            for _ in 1..number {
                rows.next().unwrap();
            }
            hash = Format::One.read(rows.next().unwrap().unwrap(), &places).unwrap().1.unwrap();
            raw.execute("UPDATE entries SET hash = ?1 WHERE number = ?2", (hash, number)).unwrap();
        }
        raw.execute_batch(&trigger).unwrap();
        assert!(Ledger::open(&old).unwrap().audit(None, |_| Ok(()), |_| ()).unwrap().is_clean());
        let ledger = continued(&old, &new).unwrap();
        let found = ledger.audit(None, |_| Ok(()), |_| ()).unwrap();
        assert_eq!(found.problems, []);
        assert_eq!(found.clocks_accepted, [3], "the attempt of the second entry");
    }

    /// An append that has begun when a ledger is continued is carried over; the next one is refused.
    #[test]
    fn an_append_that_is_on_its_way_is_waited_for() {
        let (_folder, old, new) = folder();
        let mut running = Ledger::open_or_create(&old).unwrap();
        let attempt = New::Attempt(Attempt::default());
        running.append(std::slice::from_ref(&attempt)).unwrap();
        running.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        thread::scope(|scope| {
            let continuing = scope.spawn(|| continued(&old, &new));
            let deadline = Instant::now() + Duration::from_secs(60);
            while !continued_file_of(&old).exists() {
                assert!(Instant::now() < deadline, "nothing says that it is continued");
                thread::sleep(Duration::from_millis(1));
            }
            // It would have been ready by now.
            thread::sleep(Duration::from_millis(200));
            let (last, now) = (running.head().unwrap(), Timestamp::now());
            let mut link = Link {
                number: last.number + 1,
                time: Timestamp::from_millisecond(now.as_millisecond()).unwrap(),
                clock_accepted: false,
                author: super::super::Author::default(),
                version: String::new(),
                fact: Fact::Attempt(Attempt::default()),
                previous: last.hash,
                hash: GENESIS,
            };
            link.hash = link.computed_hash();
            insert(&running.connection, &link).unwrap();
            running.connection.execute_batch("COMMIT").unwrap();
            let continued = continuing.join().unwrap().unwrap();
            assert_eq!(continued.head().unwrap().number, 2);
            assert_eq!(continued.origin().unwrap().continues.unwrap().head, link.hash);
        });
        let error = running.append(&[attempt]).unwrap_err();
        assert!(matches!(error, LedgerError::Continued { .. }), "{error:?}");
    }
}
