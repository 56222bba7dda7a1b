// SPDX-License-Identifier: Apache-2.0

//! What can go wrong with the ledger, as a line operator is told.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};

use super::{BUSY_TIMEOUT, Problem, VERSION};

/// Why a ledger cannot be used. Of an append that fails so, nothing is kept and nothing acknowledged.
#[derive(Debug)]
pub enum LedgerError {
    /// The operating system says no.
    Io(PathBuf, io::Error),
    /// There is no ledger, or only an empty file.
    Missing(PathBuf),
    /// Something else. The file is left as it is.
    NotALedger(PathBuf),
    /// A ledger of this later version. The file is left as it is.
    Newer(PathBuf, i32),
    /// The ledger is gone, but its write-ahead log, which can hold entries, is there.
    LogOnly(PathBuf),
    /// A transaction that is no append was cut off and is not undone. The file is left as it is.
    Unfinished(PathBuf),
    /// The folder is on a file system on which SQLite cannot keep a write-ahead log.
    FileSystem(PathBuf),
    /// Another program has had the ledger for longer than [`BUSY_TIMEOUT`].
    Busy(PathBuf),
    /// The ledger was tampered with.
    Damaged(PathBuf, Problem),
    /// SQLite says no.
    Sqlite(PathBuf, rusqlite::Error),
}

impl LedgerError {
    pub(super) fn of(path: &Path, error: rusqlite::Error) -> Self {
        // Only a ledger that was being made of an empty file has a rollback journal.
        if let Some(failure) = error.sqlite_error()
            && failure.extended_code == ffi::SQLITE_READONLY_ROLLBACK
        {
            return Self::Unfinished(path.to_owned());
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy) => Self::Busy(path.to_owned()),
            Some(ErrorCode::NotADatabase) => Self::NotALedger(path.to_owned()),
            _ => Self::Sqlite(path.to_owned(), error),
        }
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Missing(path) => write!(f, "{}: there is no ledger here", path.display()),
            Self::NotALedger(path) => {
                write!(f, "{}: this is no ledger; the file was left alone", path.display())
            }
            Self::Newer(path, version) => write!(
                f,
                "{}: this ledger has version {version}, and this program knows {VERSION}. Use the \
                 newer program; the file was left alone",
                path.display()
            ),
            Self::LogOnly(path) => write!(
                f,
                "{}: the ledger is gone or empty, but the file next to it that ends in -wal is \
                 there and can hold entries. Put the ledger back; nothing was changed",
                path.display()
            ),
            Self::Unfinished(path) => write!(
                f,
                "{}: a program was cut off while it wrote this file. If the ledger was just being \
                 created, remove the file and the one next to it that ends in -journal. Else stop \
                 the line and keep both; nothing was changed",
                path.display()
            ),
            Self::FileSystem(path) => write!(
                f,
                "{}: SQLite cannot keep a write-ahead log here. Use a disk of this machine, not a \
                 network share",
                path.display()
            ),
            Self::Busy(path) => write!(
                f,
                "{}: another program has been using the ledger for {} seconds. Nothing was kept; \
                 try again",
                path.display(),
                BUSY_TIMEOUT.as_secs()
            ),
            Self::Damaged(path, problem) => {
                write!(f, "{}: {problem}. Stop the line and audit the ledger", path.display())
            }
            Self::Sqlite(path, error) => match error.sqlite_error_code() {
                Some(ErrorCode::CannotOpen) => write!(
                    f,
                    "{}: {error}. A ledger must be in a folder that can be written to, even to read \
                     it",
                    path.display()
                ),
                Some(ErrorCode::DatabaseCorrupt) => write!(
                    f,
                    "{}: {error}. Stop the line and keep the file as it is",
                    path.display()
                ),
                _ => write!(f, "{}: {error}", path.display()),
            },
        }
    }
}

impl std::error::Error for LedgerError {}
