// SPDX-License-Identifier: Apache-2.0

//! What a hub has acknowledged, in a file beside the ledger: so a station knows without a network what is still to be
//! sent, and a hub that was restored from a backup shows.
//!
//! Nothing rests on it: a push begins where the hub ends. It is not synced; what a loss of power takes from it is said
//! to be pending once more.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use base16ct::{lower, mixed};

use super::HubError;
use crate::ledger::{Ledger, Receipt};

/// The last link of this ledger that the hub of this name ([`super::Config`]'s `Display`) has acknowledged, where that
/// is known.
///
/// # Errors
/// The file cannot be read.
pub fn get(ledger: &Ledger, hub: &str) -> Result<Option<Receipt>, HubError> {
    Ok(any(ledger)?.filter(|(name, _)| name == hub).map(|(_, last)| last))
}

/// The hub that has acknowledged something of this ledger last, and the last link that it did, where that is known.
///
/// # Errors
/// The file cannot be read.
pub fn any(ledger: &Ledger) -> Result<Option<(String, Receipt)>, HubError> {
    let file = file(ledger);
    match fs::read_to_string(&file) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(HubError::Io(file, error)),
    }
}

/// Keeps it, whole or not at all.
pub(super) fn put(ledger: &Ledger, hub: &str, last: Receipt) -> Result<(), HubError> {
    let file = file(ledger);
    let write = || {
        let folder = file.parent().unwrap_or(&file);
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(new, "{} {} {hub}", last.number, lower::encode_string(&last.hash))?;
        new.persist(&file).map(|_| ()).map_err(|error| error.error)
    };
    write().map_err(|error| HubError::Io(file.clone(), error))
}

fn file(ledger: &Ledger) -> PathBuf {
    let mut name = ledger.path().as_os_str().to_owned();
    name.push("-hub");
    name.into()
}

/// What stands in the file. Anything else is as good as nothing.
fn parse(text: &str) -> Option<(String, Receipt)> {
    let mut words = text.trim_end().splitn(3, ' ');
    let number = words.next()?.parse().ok()?;
    let mut hash = [0; 32];
    let length = mixed::decode(words.next()?, &mut hash).ok()?.len();
    let hub = words.next()?.to_owned();
    (length == hash.len()).then_some((hub, Receipt { number, hash }))
}
