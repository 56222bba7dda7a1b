// SPDX-License-Identifier: Apache-2.0

//! The files of an export in a folder.

use std::path::{Path, PathBuf};
use std::{fs, io};

use tempfile::NamedTempFile;

use super::{ExportError, Files};

/// The template of the CoMID, for `cocli comid create --template`.
pub const COMID_FILE: &str = "comid.json";
/// The template of the CoRIM, for `cocli corim create --template`.
pub const CORIM_FILE: &str = "corim.json";
/// The CoRIM, where it is unsigned.
pub const ENDORSEMENTS_FILE: &str = "endorsements.cbor";
/// The CoRIM, where it is signed.
pub const SIGNED_FILE: &str = "endorsements.cose";

/// What an export that is one file can consist of. See [`Files::names`] for others.
const FILES: [&str; 4] = [COMID_FILE, CORIM_FILE, ENDORSEMENTS_FILE, SIGNED_FILE];

impl Files {
    /// Their names: [`COMID_FILE`], [`CORIM_FILE`], and [`ENDORSEMENTS_FILE`] or [`SIGNED_FILE`], with the number of
    /// the piece before the dot, as in `endorsements-2.cbor`, where they are not all of the export.
    #[must_use]
    pub fn names(&self) -> [String; 3] {
        let endorsements = if self.is_signed { SIGNED_FILE } else { ENDORSEMENTS_FILE };
        [COMID_FILE, CORIM_FILE, endorsements].map(|name| {
            match (self.number, name.split_once('.')) {
                (Some(number), Some((stem, end))) => format!("{stem}-{number}.{end}"),
                _ => name.to_owned(),
            }
        })
    }

    fn contents(&self) -> [&[u8]; 3] {
        [&self.comid, &self.corim, &self.endorsements]
    }
}

/// Writes the files of an export into `folder`, which is created where it is missing. Each file is there whole or
/// not at all. If there is a file of another export and `overwrite` is not set, nothing is written; if it is
/// set, all files of another export go, so that none of its parts is sent with those of this one.
///
/// # Errors
/// A file exists and is not to be overwritten, or the folder or a file cannot be written.
pub fn write(export: &[Files], folder: &Path, overwrite: bool) -> Result<(), ExportError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| ExportError::Io(path, error)
    };
    fs::create_dir_all(folder).map_err(io(folder))?;
    let mut earlier = exported_files(folder).map_err(io(folder))?;
    if let Some(path) = earlier.first()
        && !overwrite
    {
        return Err(ExportError::Exists(path.clone()));
    }
    let mut written = Vec::new();
    for (name, bytes) in
        export.iter().flat_map(|files| files.names().into_iter().zip(files.contents()))
    {
        let path = folder.join(name);
        let mut file = NamedTempFile::new_in(folder).map_err(io(&path))?;
        io::Write::write_all(&mut file, bytes).map_err(io(&path))?;
        // On the disk before it gets its name, so that a power cut leaves no empty file under it.
        file.as_file().sync_all().map_err(io(&path))?;
        earlier.retain(|earlier| *earlier != path);
        written.push((path, file));
    }
    for (path, file) in written {
        let named = if overwrite { file.persist(&path) } else { file.persist_noclobber(&path) };
        match named {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(ExportError::Exists(path));
            }
            Err(error) => return Err(ExportError::Io(path, error.error)),
        }
    }
    for path in earlier {
        fs::remove_file(&path).map_err(io(&path))?;
    }
    Ok(())
}

/// Removes the files of an export from a folder.
///
/// # Errors
/// The folder cannot be read, or a file stays.
pub fn remove(folder: &Path) -> Result<(), ExportError> {
    let io = |path: &Path, error| ExportError::Io(path.to_owned(), error);
    for path in exported_files(folder).map_err(|error| io(folder, error))? {
        fs::remove_file(&path).map_err(|error| io(&path, error))?;
    }
    Ok(())
}

/// The files of an earlier export in the folder, sorted.
fn exported_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        if file.file_name().to_str().is_some_and(is_exported) && file.path().try_exists()? {
            found.push(file.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file of an export can have this name.
fn is_exported(name: &str) -> bool {
    FILES.iter().filter_map(|file| file.split_once('.')).any(|(stem, end)| {
        let number =
            name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(end)?.strip_suffix('.'));
        number.is_some_and(|number| {
            number.is_empty()
                || number.strip_prefix('-').is_some_and(|number| number.parse::<usize>().is_ok())
        })
    })
}
