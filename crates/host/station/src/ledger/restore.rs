// SPDX-License-Identifier: Apache-2.0

//! A ledger that is written anew from its links, which were kept elsewhere.

use std::fs::File;
use std::path::Path;

use tempfile::TempPath;

use super::begin::fill;
use super::head::beside;
use super::{
    Audit, Beginning, Entry, Ledger, LedgerError, Origin, absolute, head_files, heads, size,
};

impl Ledger {
    /// Whether a ledger could be restored under this name: there is no file of it.
    ///
    /// # Errors
    /// There is one, or the write-ahead log of one, which can hold its last entries.
    pub fn check_place(path: &Path) -> Result<(), LedgerError> {
        let path = absolute(path)?;
        if size(&path)?.is_some() {
            return Err(LedgerError::Exists(path));
        }
        // Beside a ledger it would be taken for that one's.
        match size(&beside(&path, "-wal"))? {
            None => Ok(()),
            Some(_) => Err(LedgerError::LogOnly(path)),
        }
    }

    /// Writes a ledger anew: with this origin, and the links that `carry` gives. It gets its name when it was audited,
    /// and found to have every head that was kept of it, beside it or in `head_file`; until then there is none. An audit
    /// with problems is given back, and there is no ledger.
    ///
    /// # Errors
    /// There is a file of this name, `carry` fails, the links are none that a ledger can have, a head was kept that they
    /// do not have, or a file cannot be written.
    pub fn restore<E: From<LedgerError>>(
        path: &Path,
        head_file: Option<&Path>,
        origin: &Origin,
        carry: impl FnOnce(&mut Beginning<'_>) -> Result<(), E>,
        check_record: impl Fn(&Entry) -> Result<(), String> + Sync,
    ) -> Result<Audit, E> {
        let path = absolute(path)?;
        Self::check_place(&path)?;
        let io = |error| LedgerError::Io(path.clone(), error);
        let folder = path.parent().unwrap_or(&path);
        // In a folder of its own, with what SQLite keeps beside it.
        let new_folder = tempfile::tempdir_in(folder).map_err(io)?;
        let new = new_folder.path().join("ledger");
        File::create_new(&new).map_err(io)?;
        fill(&new, origin, carry)?;
        let ledger = Self::open(&new)?;
        let audit = ledger.audit(None, check_record, |_| ())?;
        if !audit.is_clean() {
            return Ok(audit);
        }
        for (file, head) in heads(&head_files(&path, head_file)?)? {
            // In the name that it is to have.
            ledger.check_head(file, head).map_err(|error| error.at(&path))?;
        }
        drop(ledger);
        let new = TempPath::try_from_path(new).map_err(io)?;
        new.persist_noclobber(&path).map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => LedgerError::Exists(path.clone()),
            _ => io(error.error),
        })?;
        // The name is the folder's; Windows syncs no folder.
        #[cfg(unix)]
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        // Keeps its head.
        drop(Self::open_or_create_with(&path, head_file)?);
        Ok(audit)
    }
}
