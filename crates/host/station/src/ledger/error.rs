// SPDX-License-Identifier: Apache-2.0

//! What can go wrong with the ledger, in the words that a line operator reads.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{ErrorCode, ffi};
use thiserror::Error;

use super::{BUSY_TIMEOUT, CheckpointProblem, Problem, VERSION};

/// Why a ledger cannot be used. Of an append that fails so, nothing is acknowledged; [`super::Ledger::append`] says what
/// is kept.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// The operating system says no.
    #[error("{}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
    /// There is no ledger, or only an empty file.
    #[error("{}: there is no ledger here", .0.display())]
    Missing(PathBuf),
    /// Something else. The file is left as it is.
    #[error(
        "{}: this is not a ledger, or the file next to it that ends in -wal belongs to another database; both were \
         left alone",
        .0.display()
    )]
    NotALedger(PathBuf),
    /// A ledger of a format that this program does not know. The file is left as it is.
    #[error(
        "{}: this ledger has format {}, and this program knows formats 1 to {VERSION}. Use the program that made \
         it, or name another ledger; the file was left alone",
        .0.display(),
        .1
    )]
    Version(PathBuf, i32),
    /// A ledger of this older format, to which nothing is appended. The file is left as it is.
    #[error(
        "{}: this ledger has format {}, to which nothing is appended any more. Continue it in a new one, which knows \
         its parts: station init --continues {} --ledger NEW; nothing was changed",
        .0.display(),
        .1,
        .0.display()
    )]
    Old(PathBuf, i32),
    /// There is a file where a ledger was to begin.
    #[error("{}: there is a file of this name already. Name another one; nothing was changed", .0.display())]
    Exists(PathBuf),
    /// The ledger that was to be continued has no links.
    #[error(
        "{}: this ledger has no links, so there is nothing to continue. Begin a new one without --continues",
        .0.display()
    )]
    Empty(PathBuf),
    /// The ledger is continued in another one.
    #[error(
        "{}: this ledger is continued in {new}, and nothing is appended to it any more. Name that one with --ledger or \
         in the station file. Only if that one was never made, remove {}; nothing was changed",
        path.display(),
        marker.display()
    )]
    Continued {
        /// The ledger.
        path: PathBuf,
        /// The one that continues it.
        new: String,
        /// The file that says so.
        marker: PathBuf,
    },
    /// The ledger ends with this link, which is not the one that is continued.
    #[error(
        "{}: this ledger ends with link {}, which is not the one that is continued: a station went on with it, or this \
         is another ledger. If you are just continuing it, end each station that writes it, and try again",
        .0.display(),
        .1
    )]
    OtherEnd(PathBuf, u64),
    /// The ledger is gone, but its write-ahead log, which can hold entries, is there.
    #[error(
        "{}: the ledger is gone or empty, but the file next to it that ends in -wal is there and can hold \
         entries. Put the ledger back; nothing was changed",
        .0.display()
    )]
    LogOnly(PathBuf),
    /// There is no ledger, or only an empty file, and this file of its head says that it had so many
    /// links.
    #[error(
        "{}: the ledger is gone, and it had {} links. Put it back, with the file next to it that ends in -wal \
         if there is one, or restore it from a backup. Only if a new ledger is to be begun, remove {}, which \
         keeps its head; nothing was changed",
        .0.display(),
        .2,
        .1.display()
    )]
    Gone(PathBuf, PathBuf, u64),
    /// The ledger ends before the link that was its last one.
    #[error(
        "{}: the ledger ends with link {last}, and it had {seen} links. If it was copied or moved, the file \
         next to it that ends in -wal was left behind: put it back. Else restore the ledger from its last \
         backup. Only if no later one is left, remove {}, which keeps its head, and start the parts of the lost \
         entries again: they print their records anew; nothing was changed",
        path.display(),
        file.display()
    )]
    Shorter {
        /// The ledger.
        path: PathBuf,
        /// The file of its head.
        file: PathBuf,
        /// Its last link.
        last: u64,
        /// What the file of its head says.
        seen: u64,
    },
    /// The link of this number is not the one whose hash is in this file of the head.
    #[error(
        "{}: link {} is not the one that this station has seen: this is another ledger, the file next to it \
         that ends in -wal is another one's, or someone has changed it. Put the ledger back, or restore it from \
         a backup. Only if this is the ledger to go on with, remove {}, which keeps its head; nothing was \
         changed",
        .0.display(),
        .2,
        .1.display()
    )]
    Other(PathBuf, PathBuf, u64),
    /// A file of the head holds something else.
    #[error(
        "{}: this is not the head of a ledger, a link's number and its hash. If you have named it with \
         --head-file, name another file. Else audit a copy of the ledger without it, then remove it; nothing \
         was changed",
        .0.display()
    )]
    NotAHead(PathBuf),
    /// There is no right to write the file, or its folder.
    #[error(
        "{}: this user must have the right to write the ledger and its folder. Start the station as the user whose \
         ledger it is; nothing was changed",
        .0.display()
    )]
    ReadOnly(PathBuf),
    /// A transaction other than an append was cut off and is not undone. The file is left as it is.
    #[error(
        "{}: a program was cut off while it wrote this file. If the ledger was just being created, remove the \
         file and the one next to it that ends in -journal. Else stop the line and keep both; nothing was \
         changed",
        .0.display()
    )]
    Unfinished(PathBuf),
    /// The folder is on a file system on which SQLite cannot keep a write-ahead log.
    #[error(
        "{}: SQLite cannot keep a write-ahead log here. Use a disk of this machine, not a network share",
        .0.display()
    )]
    FileSystem(PathBuf),
    /// The clock is before the last link, or before the program was built.
    #[error(
        "{}: the clock says {now}, which is before {since}. Nothing was kept. Set the clock; if it is right, and was \
         wrong before, use --accept-clock",
        path.display()
    )]
    Clock {
        /// The ledger.
        path: PathBuf,
        /// What the clock says.
        now: Timestamp,
        /// The time of the last link, or the day on which the program was built.
        since: Timestamp,
    },
    /// Another program has had the ledger for longer than [`BUSY_TIMEOUT`].
    #[error(
        "{}: another program has been using the ledger for {} seconds. Nothing was kept; try again",
        .0.display(),
        BUSY_TIMEOUT.as_secs()
    )]
    Busy(PathBuf),
    /// As [`LedgerError::Busy`], when links were appended and the files that say so were to be written.
    #[error(
        "{}: another program has been using the ledger for {} seconds. What was appended is in the ledger, and was not \
         reported: look it up, station list. A part that is in it is KNOWN when it is started again",
        .0.display(),
        BUSY_TIMEOUT.as_secs()
    )]
    BusyHead(PathBuf),
    /// The ledger has no station key, and was to be signed.
    #[error(
        "{}: this ledger has no station key, so it cannot be signed. Continue it in one that has: station init \
         --continues {} --ledger NEW; or leave the key out",
        .0.display(),
        .0.display()
    )]
    NoStationKey(PathBuf),
    /// The station key is not that of the ledger.
    #[error(
        "{}: the station key is not that of this ledger, which another station has begun. Name its key, or the ledger \
         of this station. If the key is lost: station init --continues {} --ledger NEW",
        .0.display(),
        .0.display()
    )]
    OtherStationKey(PathBuf),
    /// A checkpoint, in this file, and the ledger do not agree.
    #[error("{}: {}: {}. Nothing was appended", .0.display(), .1.display(), .2)]
    Checkpoint(PathBuf, PathBuf, #[source] CheckpointProblem),
    /// The ledger was tampered with.
    #[error("{}: {}. {}", .0.display(), .1, advice_on_damage(.1))]
    Damaged(PathBuf, #[source] Problem),
    /// SQLite says no.
    #[error("{}: {}{}", .0.display(), .1, advice(.1))]
    Sqlite(PathBuf, #[source] rusqlite::Error),
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
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(path.to_owned()),
            Some(ErrorCode::NotADatabase) => Self::NotALedger(path.to_owned()),
            _ => Self::Sqlite(path.to_owned(), error),
        }
    }
}

impl LedgerError {
    /// The same of a ledger that is to be at this path.
    pub(super) fn at(self, path: &Path) -> Self {
        match self {
            Self::Other(_, file, number) => Self::Other(path.to_owned(), file, number),
            Self::Shorter { file, last, seen, .. } => {
                Self::Shorter { path: path.to_owned(), file, last, seen }
            }
            other => other,
        }
    }

    /// Whether the ledger was lost, damaged or changed, and not only cannot be used now.
    #[must_use]
    pub const fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::LogOnly(_)
                | Self::Gone(..)
                | Self::Shorter { .. }
                | Self::Other(..)
                | Self::Damaged(..)
                | Self::OtherEnd(..)
                | Self::Checkpoint(
                    _,
                    _,
                    CheckpointProblem::RolledBack(..)
                        | CheckpointProblem::Forked(_)
                        | CheckpointProblem::OtherLedger(_)
                )
        )
    }
}

/// What to do about what SQLite says.
fn advice(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen) => {
            ". Check that it is a file, and that this user may write to its folder"
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            ". The file is damaged, or the one next to it that ends in -wal is another ledger's. Stop \
             the line and keep both as they are"
        }
        _ => "",
    }
}

/// What to do about a ledger that was tampered with.
const fn advice_on_damage(problem: &Problem) -> &'static str {
    match problem {
        Problem::Schema(_) => {
            "Stop the line, keep the file as it is, and restore the ledger from a backup; nothing was changed"
        }
        _ => "Stop the line and audit the ledger",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sqlite_says_comes_with_advice() {
        let error = |code| {
            let failure = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            LedgerError::of(Path::new("ledger"), failure).to_string()
        };
        assert!(error(ffi::SQLITE_CANTOPEN).ends_with("may write to its folder"));
        assert!(
            error(ffi::SQLITE_READONLY)
                .starts_with("ledger: this user must have the right to write")
        );
        assert!(error(ffi::SQLITE_CORRUPT).ends_with("keep both as they are"));
        let plain = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        assert_eq!(error(ffi::SQLITE_FULL), format!("ledger: {plain}"));
    }
}
