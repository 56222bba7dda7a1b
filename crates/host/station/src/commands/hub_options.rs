// SPDX-License-Identifier: Apache-2.0

//! Which hub a command is about.

use std::path::PathBuf;

use station::hub::Config;

use super::{Error, Place};

/// Which hub, and how to log in there. A station file says the same below `[hub]`.
#[derive(clap::Args, Default)]
pub struct HubOptions {
    /// The hub, such as `postgres://line-2@hub.example/hub`. A password is never a part of it
    #[arg(long, value_name = "URL")]
    hub: Option<String>,
    /// The certificate of the authority that has signed the hub's, in PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The file of the password, which only its owner may read. Without it, libpq's: PGPASSFILE, ~/.pgpass
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// The hub in the ledger's place, where it is asked for.
#[derive(clap::Args)]
pub struct HubInstead {
    /// Not the ledger but the hub: this one, such as `postgres://name@hub.example/hub`, or that of the station file
    #[arg(long, value_name = "URL", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "it is there, and has a value or none")]
    hub: Option<Option<String>>,
    /// The certificate of the authority that has signed the hub's, in PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The file of the password, which only its owner may read. Without it, libpq's: PGPASSFILE, ~/.pgpass
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl HubInstead {
    /// The hub, if it is asked for.
    pub fn config(&self, place: &Place) -> Result<Option<Config>, Error> {
        match &self.hub {
            None => Ok(None),
            Some(_) => self.options().config(place).map(Some),
        }
    }

    /// The hub that the station file has, asked for or not.
    pub fn of_station(&self, place: &Place) -> Result<Option<Config>, Error> {
        self.options().config_if_any(place)
    }

    fn options(&self) -> HubOptions {
        let Self { hub, ca, password_file } = self;
        HubOptions {
            hub: hub.clone().flatten(),
            ca: ca.clone(),
            password_file: password_file.clone(),
        }
    }
}

impl HubOptions {
    /// What options of other names say.
    pub const fn new(
        hub: Option<String>,
        ca: Option<PathBuf>,
        password_file: Option<PathBuf>,
    ) -> Self {
        Self { hub, ca, password_file }
    }

    /// The hub that is meant.
    pub fn config(&self, place: &Place) -> Result<Config, Error> {
        self.config_if_any(place)?.ok_or_else(|| {
            "which hub? Give --hub URL, or url = \"URL\" below [hub] in the station file".into()
        })
    }

    /// The hub that is meant, where one is.
    pub fn config_if_any(&self, place: &Place) -> Result<Option<Config>, Error> {
        let file = &place.file.hub;
        let Some(url) = self.hub.as_ref().or(file.url.as_ref()) else { return Ok(None) };
        let mut config = Config::new(url)?;
        if let Some(ca) = self.ca.as_ref().or(file.ca.as_ref()) {
            config = config.with_ca(ca.clone());
        }
        // The file's password is that of the file's role.
        let of_file = file.password_file.as_ref().filter(|_| self.hub.is_none());
        if let Some(password) = self.password_file.as_ref().or(of_file) {
            config = config.with_password_file(password.clone());
        }
        Ok(Some(config))
    }
}
