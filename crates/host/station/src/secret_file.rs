// SPDX-License-Identifier: Apache-2.0

//! Files that hold a secret: a key, a PIN, a token.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

/// More than any of them has.
const MAX_BYTES: usize = 64 * 1024;

/// Why the secret was not read.
#[derive(Debug, Error)]
pub enum SecretFileError {
    /// The operating system says no.
    #[error("{}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
    /// Others than the owner may do something with the file.
    #[error(
        "{}: others can read or change this file (rights {mode:04o}), and it holds a secret. Give it right 0600: \
         chmod 600 {}",
        path.display(), path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its rights.
        mode: u32,
    },
    /// It is too long for a key, a PIN or a token.
    #[error("{}: this file is longer than a secret: more than {MAX_BYTES} bytes. Is it the right one?", .0.display())]
    TooLong(PathBuf),
}

/// Reads a file with a secret, which nobody but its owner may read or change. Windows has other rights, which are not
/// looked at. The buffer is cleared when it goes out of scope, and is never moved as it grows.
///
/// # Errors
/// The file cannot be read, others may, or it is too long.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    let io = |error| SecretFileError::Io(path.to_owned(), error);
    let file = File::open(path).map_err(io)?;
    // Of the file that is open: its name may stand for another one by now.
    check_rights(path, &file)?;
    let mut secret = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut secret).map_err(io)?;
    if secret.len() > MAX_BYTES {
        return Err(SecretFileError::TooLong(path.to_owned()));
    }
    Ok(secret)
}

#[cfg(unix)]
fn check_rights(path: &Path, file: &File) -> Result<(), SecretFileError> {
    use std::os::unix::fs::PermissionsExt;

    let metadata = file.metadata().map_err(|error| SecretFileError::Io(path.to_owned(), error))?;
    let mode = metadata.permissions().mode() & 0o7777;
    let of_others = mode & 0o077;
    if of_others == 0 { Ok(()) } else { Err(SecretFileError::Open { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "as on unix")]
fn check_rights(_: &Path, _: &File) -> Result<(), SecretFileError> {
    Ok(())
}
