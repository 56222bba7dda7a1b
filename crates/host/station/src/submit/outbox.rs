// SPDX-License-Identifier: Apache-2.0

//! Endorsements that were made for a verifier, and of which it is not known yet that it has them.
//!
//! A verifier refuses a part that it finds in two files, and for good. So what is sent is kept until the ledger says
//! that the verifier has it: a folder beside the ledger, `LEDGER-outbox/` and a name of 16 digits for each verifier, has
//! the files, and then `submission.json`, which says which entries they are. Whatever happens between, a lost answer, a
//! killed station, a loss of power, these very bytes are sent again, with which a verifier that has them already is
//! content.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base16ct::lower::encode_string;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use thiserror::Error;

use crate::export::{self, ExportError, Files};
use crate::ledger;

/// Says which entries the files are.
const STATE_FILE: &str = "submission.json";
const LOCK_FILE: &str = "lock";
/// Bytes of a SHA-256 hash.
const HASH_SIZE: usize = 32;

/// The folder of a verifier, in which no other program works meanwhile.
#[derive(Debug)]
pub struct Outbox {
    folder: PathBuf,
    verifier: String,
    _lock: File,
}

/// What was begun and is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// What the ledger is to keep of it.
    pub export: ledger::Export,
    /// The files, in order.
    pub files: Vec<PendingFile>,
}

/// One of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingFile {
    /// Its name.
    pub name: String,
    /// The endorsements.
    pub endorsements: Vec<u8>,
}

/// Why the outbox cannot be used.
#[derive(Debug, Error)]
pub enum OutboxError {
    /// The operating system says no.
    #[error("{}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
    /// Another program exports for the verifier.
    #[error("another program exports for this verifier ({}). Wait until it has ended", .0.display())]
    Busy(PathBuf),
    /// The files are not those that were made.
    #[error(
        "{}: this folder does not hold what was begun to be submitted: {why}. Restore it from a backup; or ask the \
         keeper of the verifier whether it has these endorsements, and say so with --settle", folder.display()
    )]
    Damaged {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The files cannot be written.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// What `submission.json` says.
#[derive(Deserialize, Serialize)]
struct State {
    verifier: String,
    profile: String,
    first: u64,
    last: u64,
    parts: u64,
    /// Of the files behind each other.
    sha256: String,
    files: Vec<String>,
    /// The hub was told, so they may have been sent. Of a submission from a hub.
    #[serde(default)]
    told: bool,
}

impl Outbox {
    /// The outbox of this verifier beside this ledger, until it goes out of scope.
    ///
    /// # Errors
    /// Another program has it, or the folder cannot be made.
    pub fn lock(ledger: &Path, verifier: &str) -> Result<Self, OutboxError> {
        let mut folder = OsString::from(ledger);
        folder.push("-outbox");
        // Not the name itself, which may have any characters.
        let name = encode_string(&Sha256::digest(verifier)[..8]);
        let folder = PathBuf::from(folder).join(name);
        let io = |path: &Path, error| OutboxError::Io(path.to_owned(), error);
        fs::create_dir_all(&folder).map_err(|error| io(&folder, error))?;
        let path = folder.join(LOCK_FILE);
        let lock = File::create(&path).map_err(|error| io(&path, error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, verifier: verifier.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OutboxError::Busy(folder)),
            Err(TryLockError::Error(error)) => Err(io(&path, error)),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn io(&self, name: &str, error: io::Error) -> OutboxError {
        OutboxError::Io(self.folder.join(name), error)
    }

    fn damaged(&self, why: impl Into<String>) -> OutboxError {
        OutboxError::Damaged { folder: self.folder.clone(), why: why.into() }
    }

    /// What the ledger is to keep of what was begun, without a look at the files. `None` if nothing was.
    ///
    /// # Errors
    /// The folder cannot be read, or holds something else.
    pub fn begun(&self) -> Result<Option<ledger::Export>, OutboxError> {
        Ok(self.state()?.map(|(export, _)| export))
    }

    /// Whether the hub was told of it: if not, nothing of it was sent.
    ///
    /// # Errors
    /// As [`Self::begun`].
    pub fn is_told(&self) -> Result<bool, OutboxError> {
        Ok(self.state()?.is_some_and(|(_, state)| state.told))
    }

    /// Keeps that the hub was told, before anything is sent.
    ///
    /// # Errors
    /// As [`Self::begun`], or the folder cannot be written.
    pub fn told(&self) -> Result<(), OutboxError> {
        match self.state()? {
            Some((_, state)) if !state.told => self.keep(&State { told: true, ..state }),
            _ => Ok(()),
        }
    }

    fn state(&self) -> Result<Option<(ledger::Export, State)>, OutboxError> {
        let text = match fs::read(self.folder.join(STATE_FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io(STATE_FILE, error)),
        };
        let state: State = serde_json::from_slice(&text)
            .map_err(|error| self.damaged(format!("{STATE_FILE} cannot be read, {error}")))?;
        let mut sha256 = [0; HASH_SIZE];
        let is_hash = base16ct::lower::decode(&state.sha256, &mut sha256)
            .is_ok_and(|bytes| bytes.len() == HASH_SIZE);
        if !is_hash || state.verifier != self.verifier || state.first > state.last {
            return Err(self.damaged(format!("{STATE_FILE} is of something else")));
        }
        let State { first, last, parts, .. } = state;
        let (verifier, profile) = (state.verifier.clone(), state.profile.clone());
        Ok(Some((ledger::Export { verifier, profile, first, last, parts, sha256 }, state)))
    }

    /// What was begun, with its files as they were made. `None` if nothing was.
    ///
    /// # Errors
    /// The folder cannot be read, or a file of it is another one.
    pub fn pending(&self) -> Result<Option<Pending>, OutboxError> {
        let Some((export, State { files: names, .. })) = self.state()? else { return Ok(None) };
        let mut files = Vec::new();
        let mut sha256 = Sha256::new();
        for name in names {
            let is_own = Path::new(&name).components().count() == 1;
            if !is_own {
                return Err(self.damaged(format!("{name:?} is not a file of it")));
            }
            let endorsements = fs::read(self.folder.join(&name))
                .map_err(|error| self.damaged(format!("{name}: {error}")))?;
            sha256.update(&endorsements);
            files.push(PendingFile { name, endorsements });
        }
        if sha256.finalize()[..] != export.sha256 {
            return Err(self.damaged("a file was changed"));
        }
        Ok(Some(Pending { export, files }))
    }

    /// Keeps what is about to be sent. When this has returned, a loss of power leaves it.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn begin(&self, export: ledger::Export, files: &[Files]) -> Result<Pending, OutboxError> {
        // What is left of one that was not begun.
        export::write(files, &self.folder, true)?;
        let pending: Vec<_> = files
            .iter()
            .map(|file| {
                let [_, _, name] = file.names();
                PendingFile { name, endorsements: file.endorsements.clone() }
            })
            .collect();
        let state = State {
            verifier: export.verifier.clone(),
            profile: export.profile.clone(),
            first: export.first,
            last: export.last,
            parts: export.parts,
            sha256: encode_string(&export.sha256),
            files: pending.iter().map(|file| file.name.clone()).collect(),
            told: false,
        };
        sync_folder(&self.folder).map_err(|error| self.io(STATE_FILE, error))?;
        self.keep(&state)?;
        Ok(Pending { export, files: pending })
    }

    fn keep(&self, state: &State) -> Result<(), OutboxError> {
        let io = |error| self.io(STATE_FILE, error);
        let mut file = NamedTempFile::new_in(&self.folder).map_err(io)?;
        serde_json::to_writer_pretty(&mut file, state).map_err(|error| io(error.into()))?;
        file.flush().and_then(|()| file.as_file().sync_all()).map_err(io)?;
        file.persist(self.folder.join(STATE_FILE)).map_err(|error| io(error.error))?;
        sync_folder(&self.folder).map_err(io)
    }

    /// Forgets it: the ledger says that the verifier has it, or it is certain that it does not.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn end(&self) -> Result<(), OutboxError> {
        // First what makes the rest count.
        fs::remove_file(self.folder.join(STATE_FILE))
            .map_err(|error| self.io(STATE_FILE, error))?;
        sync_folder(&self.folder).map_err(|error| self.io(STATE_FILE, error))?;
        Ok(export::remove(&self.folder)?)
    }
}

/// Names in a folder survive a loss of power only if the folder is synced. Windows has no such call.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "as on unix")]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
