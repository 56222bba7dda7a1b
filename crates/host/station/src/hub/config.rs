// SPDX-License-Identifier: Apache-2.0

//! Where the hub is, and how to log in there.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};

use super::HubError;
use super::password::Password;

/// How long a call to the hub may take, a batch of links for example.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long it may take until the hub has let the station in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Where the hub is, and how to log in there. Passwords are read from files, when they are needed.
#[derive(Clone)]
pub struct Config {
    /// Without a password.
    postgres: tokio_postgres::Config,
    role: String,
    database: String,
    ca: Option<PathBuf>,
    password_file: Option<PathBuf>,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) patience: Duration,
    /// Whether nothing can be written.
    pub(super) is_read_only: bool,
}

impl Config {
    /// From `postgres://ROLE@HOST:PORT/DATABASE`, or libpq's words, `host=… user=… dbname=…`.
    ///
    /// # Errors
    /// It is neither, has no role or no database, or has a password, which other users of the machine could read on
    /// the command line.
    pub fn new(url: &str) -> Result<Self, HubError> {
        let postgres: tokio_postgres::Config =
            url.parse().map_err(|error| HubError::Url(format!("{error}")))?;
        if postgres.get_password().is_some() {
            return Err(HubError::PasswordInUrl);
        }
        let role = postgres.get_user().ok_or_else(|| HubError::Url("it has no role".to_owned()))?;
        let database =
            postgres.get_dbname().ok_or_else(|| HubError::Url("it has no database".to_owned()))?;
        if postgres.get_hosts().is_empty() {
            return Err(HubError::Url("it has no host".to_owned()));
        }
        Ok(Self {
            role: role.to_owned(),
            database: database.to_owned(),
            postgres,
            ca: None,
            password_file: None,
            timeout: TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            patience: super::PATIENCE,
            is_read_only: false,
        })
    }

    /// Believes a server whose certificate this authority has signed: certificates in PEM. With it, TLS is used
    /// wherever the hub is.
    #[must_use]
    pub fn with_ca(self, file: PathBuf) -> Self {
        Self { ca: Some(file), ..self }
    }

    /// The password is in this file, which only its owner may read. Else libpq's password file has it.
    #[must_use]
    pub fn with_password_file(self, file: PathBuf) -> Self {
        Self { password_file: Some(file), ..self }
    }

    /// How long a call may take, and for how long a push goes on trying while nothing gets through.
    #[must_use]
    pub fn with_patience(self, call: Duration, patience: Duration) -> Self {
        Self { timeout: call, connect_timeout: call, patience, ..self }
    }

    /// The server refuses whatever would write, also to a role that may.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { is_read_only: true, ..self }
    }

    /// The role that logs in.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// The certificates that are believed, where TLS is used; `None` where it is not: on this machine alone.
    ///
    /// # Errors
    /// The hub is on another machine, and no authority is named, or TLS is switched off.
    pub(super) fn tls(&self) -> Result<Option<&PathBuf>, HubError> {
        let (mode, elsewhere) = (self.postgres.get_ssl_mode(), self.elsewhere());
        match (&self.ca, elsewhere) {
            (Some(_), _) if mode == SslMode::Disable => Err(HubError::TlsDisabled),
            (Some(ca), _) => Ok(Some(ca)),
            (None, None) if mode != SslMode::Require => Ok(None),
            (None, host) => Err(HubError::NoCa(host.unwrap_or_else(|| self.to_string()))),
        }
    }

    /// A host that is, or can be, another machine.
    fn elsewhere(&self) -> Option<String> {
        let by_name = self.postgres.get_hosts().iter().find_map(|host| match host {
            Host::Tcp(name) => {
                let is_here =
                    name.parse().map_or(name == "localhost", |ip: IpAddr| ip.is_loopback());
                (!is_here).then(|| name.clone())
            }
            #[cfg(unix)]
            Host::Unix(_) => None,
        });
        by_name.or_else(|| {
            let mut addresses = self.postgres.get_hostaddrs().iter();
            addresses.find(|ip| !ip.is_loopback()).map(IpAddr::to_string)
        })
    }

    /// What tokio-postgres takes, with the password where there is one.
    pub(super) fn postgres(&self) -> Result<tokio_postgres::Config, HubError> {
        let mut postgres = self.postgres.clone();
        let host = match self.postgres.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            // As libpq calls it.
            _ => "localhost".to_owned(),
        };
        let port = self.postgres.get_ports().first().copied().unwrap_or(5432);
        if let Some(password) =
            Password::find(self.password_file.as_deref(), &host, port, &self.database, &self.role)?
        {
            postgres.password(password.as_bytes());
        }
        let mode = if self.tls()?.is_some() { SslMode::Require } else { SslMode::Disable };
        postgres
            .ssl_mode(mode)
            .application_name("station")
            .connect_timeout(self.connect_timeout)
            .tcp_user_timeout(self.timeout)
            .keepalives_idle(Duration::from_secs(30));
        Ok(postgres)
    }
}

/// Host and database, for messages.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, host) in self.postgres.get_hosts().iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            match host {
                Host::Tcp(host) => write!(f, "{comma}{host}")?,
                #[cfg(unix)]
                Host::Unix(path) => write!(f, "{comma}{}", path.display())?,
            }
            let ports = self.postgres.get_ports();
            if let Some(port) = ports.get(n).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.database)
    }
}
