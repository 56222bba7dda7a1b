// SPDX-License-Identifier: Apache-2.0

//! Who works with the ledger.

use std::path::PathBuf;
use std::sync::Arc;

use station::clock::SystemClock;
use station::ledger::{Author, Ledger, is_good_text};
use station::station_file::StationFile;
use station::station_key::StationKey;

use super::{Error, Place};

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
    #[command(flatten)]
    key: KeyOptions,
}

/// With which key the ledger's heads are signed.
#[derive(clap::Args)]
pub struct KeyOptions {
    /// The station key, made by station init: it must be that of the ledger
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Keep the ledger's last head in this file, signed by the station key: an audit compares the ledger with it
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl AuthorOptions {
    /// Opens the ledger to write to it, in this name.
    pub fn open(&self, place: &Place) -> Result<Ledger, Error> {
        let mut ledger = self.key.open(place)?;
        ledger.set_author(self.author(&place.file));
        ledger.set_clock(Arc::new(SystemClock), self.accept_clock);
        Ok(ledger)
    }

    /// Opens it once more, to read and to sign what is sent elsewhere while it is written.
    pub fn open_beside(&self, place: &Place) -> Result<Ledger, Error> {
        let mut ledger = place.open_beside()?;
        if let Some(key) = self.key.key.as_ref().or(place.file.key.as_ref()) {
            ledger.set_signer(StationKey::read(key)?, None)?;
        }
        Ok(ledger)
    }

    /// The file of the last checkpoint, if there is one.
    pub fn checkpoint(&self, file: &StationFile) -> Option<PathBuf> {
        self.key.checkpoint.clone().or_else(|| file.checkpoint.clone())
    }

    /// As the ledger keeps it.
    pub fn author(&self, file: &StationFile) -> Author {
        let station = self.station_name.clone().or_else(|| file.station.clone());
        Author { station, operator: self.operator.clone() }
    }
}

impl KeyOptions {
    /// Opens the ledger to write to it, or to its head.
    pub fn open(&self, place: &Place) -> Result<Ledger, Error> {
        let key = self.key.as_ref().or(place.file.key.as_ref());
        let checkpoint = self.checkpoint.as_ref().or(place.file.checkpoint.as_ref());
        if checkpoint.is_some() && key.is_none() {
            return Err("a checkpoint is signed by the station key. Give --key, or a --station-file that has it; \
                        station init makes one"
                .into());
        }
        let key = key.map(|key| StationKey::read(key)).transpose()?;
        // It would be one without a station key.
        if key.is_some() && !place.ledger.try_exists()? && !place.has_head() {
            return Err(format!(
                "{}: there is no ledger here. Begin one that has the station key: station init",
                place.ledger.display()
            )
            .into());
        }
        let mut ledger = place.open_or_create()?;
        if let Some(key) = key {
            ledger.set_signer(key, checkpoint.map(PathBuf::as_path))?;
        }
        Ok(ledger)
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
