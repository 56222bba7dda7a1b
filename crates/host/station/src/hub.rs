// SPDX-License-Identifier: Apache-2.0

//! The hub: a PostgreSQL database to which several stations push their ledgers, and which tells where two of them
//! have the same part.
//!
//! A station's file stays its truth. The hub keeps a copy of each link, and constraints keep the copy a chain
//! (`hub.sql`). Of the entries it makes the parts: the first claim of a part wins, a second one is a conflict, and no
//! station is held up by either. A part that two claim is not exported until one of them withdraws it.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use station::hub::{Config, Hub};
//! let config = Config::new("postgres://line-2@hub.example/hub")?.with_ca("ca.pem".into());
//! let mut hub = Hub::connect(&config)?;
//! # let mut ledger = station::ledger::Ledger::open("ledger.db".as_ref())?;
//! ledger.set_signer(station::station_key::StationKey::read("station.key".as_ref())?, None)?;
//! let pushed = hub.push(&ledger, &mut |_| Ok(()), &mut |_, _| ())?;
//! # Ok(()) }
//! ```

mod audit;
mod claims;
mod compare;
mod config;
mod conflicts;
mod connection;
mod error;
mod export;
mod look_up;
mod of_batch;
mod owner;
mod password;
mod push;
mod reading;
mod restore;
mod sent;
mod snapshot;
mod status;
mod submission;

pub use audit::{AuditOptions, Guard, HubAudit, HubProblem, LedgerAudit};
pub use compare::Agreement;
pub use config::Config;
pub use conflicts::OwnConflict;
pub use error::{Alarm, HubError};
pub use export::{ExportPart, HubExport};
pub use look_up::{Elsewhere, Same, Sought};
pub use of_batch::CheckRecord;
pub use owner::{Enrolled, Kind};
pub use push::{BATCH, Pushed};
pub use reading::{Claim, Contest, Listed, Listing};
pub use restore::Which;
pub use sent::{any as sent_anywhere, get as sent};
pub use status::{Conflict, StationStatus, Status};
pub use submission::Submission;

use std::thread;
use std::time::{Duration, Instant};

use connection::{Connection, Running};
use tokio_postgres::Client;

/// The version of the hub's tables that this program works with: that of the last migration.
pub const VERSION: i32 = 1;

/// For how long a push goes on trying while nothing gets through.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The first pause before another try. Each next one is twice as long, up to [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause before another try.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A hub, and the connection to it while there is one.
pub struct Hub {
    config: Config,
    connection: Option<Connection>,
}

impl Hub {
    /// Connects to a hub, and sees that it has the tables that this program works with.
    ///
    /// # Errors
    /// It cannot be reached, its certificate is not good, the role may not log in, or there is no hub.
    pub fn connect(config: &Config) -> Result<Self, HubError> {
        let mut hub = Self::new(config);
        hub.call(async |_| Ok(()))?;
        Ok(hub)
    }

    /// A hub that is connected to when something is asked of it.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { config: config.clone(), connection: None }
    }

    /// Does this over the connection, which is made where there is none, once: see [`HubError::is_transient`].
    fn call<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, HubError>,
    ) -> Result<T, HubError> {
        let mut connection = self.take()?;
        let result = connection.call(&self.config, work);
        // After an error nobody knows what is still on its way.
        if result.is_ok() {
            self.connection = Some(connection);
        }
        result
    }

    /// The connection, or a new one.
    fn take(&mut self) -> Result<Connection, HubError> {
        match self.connection.take() {
            Some(connection) if !connection.is_closed() => Ok(connection),
            _ => Connection::to_hub(&self.config),
        }
    }

    /// Waits for what was begun over the connection.
    fn wait<T>(&mut self, running: Running<T>) -> Result<T, HubError> {
        let (connection, result) = running.wait();
        if result.is_ok() {
            self.connection = Some(connection);
        }
        result
    }
}

/// When to try again, and when to give up.
struct Retry {
    pause: Duration,
    since: Instant,
    patience: Duration,
}

impl Retry {
    fn new(patience: Duration) -> Self {
        Self { pause: SHORTEST_PAUSE, since: Instant::now(), patience }
    }

    /// Something got through.
    fn progress(&mut self) {
        *self = Self::new(self.patience);
    }

    /// Waits, unless there was no progress for too long: then it is false.
    fn wait(&mut self) -> bool {
        let goes_on = self.since.elapsed() < self.patience;
        if goes_on {
            // Two that were in each other's way do not come back at the same moment.
            let mut random = [0; 2];
            let _ = getrandom::fill(&mut random);
            let part = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
            thread::sleep(self.pause.mul_f64(0.5 + part / 2.0));
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
        goes_on
    }
}
