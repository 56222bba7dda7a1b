// SPDX-License-Identifier: Apache-2.0

//! The last head that a station has seen, kept in files of their own: what shows that a ledger is gone, was cut
//! short, or is another one.
//!
//! A file holds one line, the number of the link and its hash. It is written after the link is committed and
//! before the link is acknowledged. So it has every link that was acknowledged, and never one that is not in
//! the ledger: a station that was killed between the two leaves a head that is behind.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base16ct::{lower, mixed};

use super::{LedgerError, Receipt};

/// The file beside a ledger.
#[must_use]
pub fn head_file_of(ledger: &Path) -> PathBuf {
    beside(ledger, "-head")
}

/// The file whose name is that of `path` and `end`.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// What stands in the file, if there is one.
pub(super) fn read(file: &Path) -> Result<Option<Receipt>, LedgerError> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LedgerError::Io(file.to_owned(), error)),
    };
    let head = str::from_utf8(&text).ok().and_then(parse);
    head.map(Some).ok_or_else(|| LedgerError::NotAHead(file.to_owned()))
}

fn parse(text: &str) -> Option<Receipt> {
    let (number, digits) = text.trim_end().split_once(' ')?;
    let mut hash = [0; 32];
    let length = mixed::decode(digits, &mut hash).ok()?.len();
    let number = number.parse().ok().filter(|number| *number > 0)?;
    (length == hash.len()).then_some(Receipt { number, hash })
}

/// Puts `head` into the file, durably and whole: after a loss of power it has the old head or the new one.
/// One program at a time may do so.
pub(super) fn write(file: &Path, head: &Receipt) -> Result<(), LedgerError> {
    let text = format!("{} {}\n", head.number, lower::encode_string(&head.hash));
    write_whole(file, &text).map_err(|error| LedgerError::Io(file.to_owned(), error))
}

/// Puts a text into the file so.
pub(super) fn write_whole(file: &Path, text: &str) -> io::Result<()> {
    // The name is always the same: what a killed program has left is written over.
    let new = beside(file, ".new");
    let mut written = File::create(&new)?;
    written.write_all(text.as_bytes())?;
    // On the disk before it gets its name, so that no loss of power leaves an empty file under it.
    written.sync_all()?;
    drop(written);
    fs::rename(&new, file)?;
    // The name is the folder's; Windows syncs no folder.
    #[cfg(unix)]
    File::open(file.parent().unwrap_or(file))?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("head");
        assert_eq!(read(&file).unwrap(), None);
        assert!(
            matches!(read(folder.path()), Err(LedgerError::Io(..))),
            "none, and not unreadable"
        );
        for number in [1, 70_000, u64::MAX] {
            let head = Receipt { number, hash: [0xA5; 32] };
            // What a killed program has left.
            fs::write(folder.path().join("head.new"), "99999 and something longer than a head")
                .unwrap();
            write(&file, &head).unwrap();
            assert_eq!(read(&file).unwrap(), Some(head));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
        let hash = "a5".repeat(32);
        assert!(parse(&format!("7 {hash}")).is_some());
        for bad in [
            "",
            "\n",
            "7",
            "7 ",
            &hash,
            &format!("0 {hash}"),
            &format!("-1 {hash}"),
            &format!("7 {hash}00"),
            &format!("7 {}", &hash[2..]),
            &format!("7 {hash} 8"),
            &format!(" 7 {hash}"),
            &format!("7  {hash}"),
            &format!("7 {hash}\n7 {hash}\n"),
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
            fs::write(&file, bad).unwrap();
            assert!(matches!(read(&file), Err(LedgerError::NotAHead(_))), "{bad:?}");
        }
    }
}
