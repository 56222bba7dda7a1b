// SPDX-License-Identifier: Apache-2.0

//! Who works with the ledger.

use std::sync::Arc;

use station::clock::SystemClock;
use station::ledger::{Author, Ledger, LedgerError, is_good_text};
use station::station_file::StationFile;

use super::Place;

/// Who works with the ledger.
#[derive(clap::Args)]
pub struct AuthorOptions {
    /// Keep this name of the operator with what is entered
    #[arg(long, value_name = "NAME", value_parser = name)]
    operator: Option<String>,
    /// Keep this name of the station with what is entered
    #[arg(long, value_name = "NAME", value_parser = name)]
    station_name: Option<String>,
    /// Accept a clock that was set back since the last entry, or is not set
    #[arg(long)]
    accept_clock: bool,
}

impl AuthorOptions {
    /// Opens the ledger to write to it, in this name.
    pub fn open(&self, place: &Place) -> Result<Ledger, LedgerError> {
        let mut ledger = place.open_or_create()?;
        ledger.set_author(self.author(&place.file));
        ledger.set_clock(Arc::new(SystemClock), self.accept_clock);
        Ok(ledger)
    }

    /// As the ledger keeps it.
    pub fn author(&self, file: &StationFile) -> Author {
        let station = self.station_name.clone().or_else(|| file.station.clone());
        Author { station, operator: self.operator.clone() }
    }
}

/// A name that the ledger keeps.
pub fn name(text: &str) -> Result<String, String> {
    if is_good_text(text) {
        Ok(text.to_owned())
    } else {
        Err(String::from("a text has 1 to 128 characters, and none of them controls a terminal"))
    }
}
