// SPDX-License-Identifier: Apache-2.0

//! The commands, a file each, and what they share.

pub mod attempts;
pub mod audit;
pub mod audit_hub;
pub mod author;
pub mod completions;
pub mod endorsements;
pub mod export;
pub mod export_hub;
pub mod hub;
pub mod hub_options;
pub mod init;
pub mod list;
pub mod man;
pub mod page;
pub mod ports;
pub mod provision;
pub mod push;
pub mod replace;
pub mod restore;
pub mod selection;
pub mod show;
pub mod stats;
pub mod submit;
mod submit_hub;
pub mod verify;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use provisioning::{DeviceId, Ueid};
use station::ledger::{Audit, Entry, Ledger, LedgerError, Link, head_file_of};
use station::record::{self, Wanted};
use station::row;
use station::station_file::StationFile;

use crate::json;

/// Why a command cannot be carried out.
pub type Error = Box<dyn std::error::Error>;

/// Tells the operator a line. Where nobody reads standard error, the exit code is left; `eprintln!` would panic.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The ledger, and the file that shows that it is the same ledger as before.
pub struct Place {
    /// The ledger.
    pub ledger: PathBuf,
    /// Whether someone has named it.
    pub is_named: bool,
    /// One more file that keeps its head.
    pub head_file: Option<PathBuf>,
    /// What stays the same on this station; empty where no file says it.
    pub file: StationFile,
}

impl Place {
    /// What the command line says, else the station file, else the usual names.
    pub fn new(
        ledger: Option<PathBuf>,
        head_file: Option<PathBuf>,
        station_file: Option<&Path>,
    ) -> Result<Self, Error> {
        let file = station_file.map(StationFile::read).transpose()?.unwrap_or_default();
        let ledger = ledger.or_else(|| file.ledger.clone());
        let head_file = head_file.or_else(|| file.head_file.clone());
        let is_named = ledger.is_some();
        let ledger = ledger.unwrap_or_else(|| "ledger.db".into());
        Ok(Self { ledger, is_named, head_file, file })
    }

    /// Opens it.
    fn open(&self) -> Result<Ledger, Error> {
        if let Some(file) = &self.head_file
            && !file.try_exists()?
        {
            let file = file.display();
            return Err(format!(
                "{file}: no head was kept here; name the file that provision has written"
            )
            .into());
        }
        Ok(Ledger::open_with(self.file()?, self.head_file.as_deref())?)
    }

    /// Opens it to read it, beside a station of this program that writes it.
    fn open_beside(&self) -> Result<Ledger, LedgerError> {
        Ledger::open_with(self.file()?, self.head_file.as_deref())
    }

    /// Opens it.
    fn open_or_create(&self) -> Result<Ledger, LedgerError> {
        Ledger::open_or_create_with(self.file()?, self.head_file.as_deref())
    }

    /// Whether a head of it was kept: then it was there.
    fn has_head(&self) -> bool {
        let head = head_file_of(&self.ledger);
        head.exists() || self.head_file.as_ref().is_some_and(|file| file.exists())
    }

    /// The ledger's file, which SQLite would call a disk error if it is a folder.
    fn file(&self) -> Result<&Path, LedgerError> {
        if self.ledger.is_dir() {
            let file = self.ledger.join("ledger.db");
            let why = format!(
                "this is a folder, and a ledger is a file. Name a file in it, such as {}",
                file.display()
            );
            let error = io::Error::new(io::ErrorKind::IsADirectory, why);
            return Err(LedgerError::Io(self.ledger.clone(), error));
        }
        Ok(&self.ledger)
    }
}

fn hash(text: &str) -> Result<[u8; 32], String> {
    bytes(text).ok_or_else(|| String::from("a hash has 64 hexadecimal digits"))
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let length = base16ct::mixed::decode(text, &mut bytes).ok()?.len();
    (length == N).then_some(bytes)
}

/// What is in the ledger may be the test-only key's.
const ANY_KEY: Wanted = Wanted { implementation_id: None, nonce: None, allow_dummy: true };

/// What the ledger keeps must be what its record says.
fn check_record(entry: &Entry, allow_dummy: bool) -> Result<(), String> {
    let wanted = Wanted { allow_dummy, ..ANY_KEY };
    let record = record::verify(&entry.record, &wanted).map_err(|error| error.to_string())?;
    if record.identity == entry.identity {
        Ok(())
    } else {
        Err(String::from("it is of another part than the entry says"))
    }
}

/// Prints the ledger's problems; those of links only where they were not printed with them.
fn print_problems(found: &Audit, of_links: bool, out: &mut impl Write) -> io::Result<()> {
    for problem in &found.problems {
        if of_links || !problem.is_of_a_link() {
            writeln!(out, "problem: {problem}")?;
        }
    }
    if of_links && found.unlisted > 0 {
        writeln!(out, "and {} problems more", found.unlisted)?;
    }
    Ok(())
}

/// A text of the ledger without characters that control a terminal, which someone may have put into the file.
fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control(), "?")
}

/// When a link was appended, as RFC 3339 writes it, with milliseconds.
pub fn time(link: Option<&Link>) -> String {
    link.map_or_else(String::new, row::time)
}

/// The last words of a command that has shown what is in the ledger: what is wrong with it.
fn ended(found: &Audit, json: bool) -> Result<bool, Error> {
    if !found.is_clean() {
        let mut out = io::stdout().lock();
        if json {
            writeln!(out, "{}", json::not_exported(found))?;
        } else {
            print_problems(found, true, &mut out)?;
        }
    }
    Ok(is_good(found))
}

/// Whether a ledger is good; if it is not, the operator is told.
fn is_good(found: &Audit) -> bool {
    if !found.is_clean() {
        say("error: the ledger is NOT GOOD. Stop the line and audit it");
    }
    found.is_clean()
}

/// Whether a text names a part, by its device ID or its UEID, as both are printed.
fn is_identity(text: &str, device_id: DeviceId, ueid: Ueid) -> bool {
    text.eq_ignore_ascii_case(&device_id.to_string())
        || text.eq_ignore_ascii_case(&ueid.to_string())
}
