// SPDX-License-Identifier: Apache-2.0

//! Stations with a station key, whose ledgers a hub has, signed.

use std::path::PathBuf;
use std::sync::Arc;

use provisioning::IdentityKeySource;
use silicon::{Silicon, Soc};
use station::hub::{AuditOptions, Config, Hub, HubAudit, HubError, Kind, Pushed};
use station::ledger::{Entry, Ledger, NewEntry, Origin};
use station::record::{Wanted, decode, verify};
use station::station_key::StationKey;

use super::edits::facts;
use super::postgres::{Server, TestHub};
use super::{enter, entries, entry, id, record_in, run_messages};

/// A station, its files, and how it logs in at the hub.
pub struct Station {
    pub role: String,
    pub config: Config,
    pub path: PathBuf,
    pub key: PathBuf,
    pub ledger: Ledger,
}

/// A record that nobody doubts.
#[expect(clippy::unnecessary_wraps, reason = "a check of records gives a result")]
pub fn any(_: &Entry) -> Result<(), String> {
    Ok(())
}

impl Station {
    /// A new one, with a new key, enrolled at the hub.
    pub fn new(hub: &TestHub, name: &str) -> Self {
        let folder = hub.folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        let (path, key) = (folder.join("ledger.db"), folder.join("station.key"));
        let made = StationKey::generate().unwrap();
        made.write(&key).unwrap();
        let origin = Origin { station_key: Some(made.public()), ..Origin::default() };
        let ledger = Ledger::begin(&path, None, &origin).unwrap();
        let role = hub.role(name);
        let station = Self { config: hub.config(&role), role, path, key, ledger }.signed();
        station.enroll(hub);
        station
    }

    /// The same station at its ledger's file as it is now.
    pub fn open(self) -> Self {
        let ledger = Ledger::open_or_create(&self.path).unwrap();
        Self { ledger, ..self }.signed()
    }

    fn signed(mut self) -> Self {
        self.ledger.set_signer(StationKey::read(&self.key).unwrap(), None).unwrap();
        self
    }

    /// Has the hub's owner enroll its role with its key.
    pub fn enroll(&self, hub: &TestHub) {
        let kind = Kind::Station(StationKey::read(&self.key).unwrap().public());
        Hub::connect(&hub.config(&hub.owner())).unwrap().enroll(&self.role, kind, None).unwrap();
    }

    /// The same station at another hub, or at what became of its hub.
    pub fn at(self, hub: &TestHub) -> Self {
        Self { config: hub.config(&self.role), ..self }
    }

    pub fn enter(&mut self, numbers: impl IntoIterator<Item = u8>) {
        for answer in enter(&mut self.ledger, &entries(numbers)).unwrap() {
            answer.unwrap();
        }
    }

    pub fn push(&self) -> Result<Pushed, HubError> {
        let mut hub = Hub::connect(&self.config)?;
        hub.push(&self.ledger, &mut any, &mut |_, _| ())
    }
}

/// A hub of two stations, which have all that a hub can have: every kind of link, a withdrawn part, a conflict that is
/// open, one that is settled, a ledger that was continued by another key, and an export. It was audited.
///
/// | Ledger | Links  | What                                                                             |
/// |--------|--------|----------------------------------------------------------------------------------|
/// | 1      | 1..22  | line-1: the [`facts`] of parts 1 to 5: entry 2, part 2, is withdrawn               |
/// | 2      | 1..12  | line-2: parts 5 (in conflict with line-1), 2 (too: its key was known), 6, 7, 8, 9  |
/// | 3      | 1..14  | line-2 with a new key: the same, and part 10                                       |
pub struct Whole {
    pub hub: TestHub,
    pub one: Station,
    pub two: Station,
}

impl Whole {
    pub fn new() -> Self {
        let hub = TestHub::new();
        let (mut one, mut two) = (Station::new(&hub, "line-1"), Station::new(&hub, "line-2"));
        one.ledger.append(&facts([1, 2, 3, 4, 5].map(entry))).unwrap();
        one.push().unwrap();
        two.enter([5, 2, 6, 7, 8, 9]);
        two.push().unwrap();
        let mut two = two.with_new_key(&hub);
        two.enter([10]);
        two.push().unwrap();
        Self { hub, one, two }
    }
}

impl Station {
    /// The station has lost its key: it makes a new one, and a ledger that continues the old one.
    pub fn with_new_key(self, hub: &TestHub) -> Self {
        let Self { role, config, path, ledger, .. } = self;
        drop(ledger);
        let old = Ledger::open(&path).unwrap();
        let (path, key) = (path.with_extension("2.db"), path.with_extension("2.key"));
        let made = StationKey::generate().unwrap();
        made.write(&key).unwrap();
        let ledger = old.continue_in(&path, None, Some(made.public()), None, any).unwrap();
        let station = Self { role, config, path, key, ledger }.signed();
        station.enroll(hub);
        station
    }
}

/// What an audit of a hub finds, in so many threads.
pub fn audit_in(config: &Config, threads: Option<usize>) -> HubAudit {
    let threads = threads.map(|threads| threads.try_into().unwrap());
    let mut options = AuditOptions { check_record: &any, threads, progress: &mut |_| () };
    HubAudit::of(config, &mut options).unwrap()
}

/// What an audit of a hub finds, by whoever reads it.
pub fn audit(hub: &TestHub) -> HubAudit {
    audit_in(&hub.config("postgres"), None)
}

/// A copy of the hub's database as it is now. Nobody may be connected to it.
pub fn copy(hub: &TestHub, name: &str) -> TestHub {
    let server: Arc<Server> = Arc::clone(&hub.server);
    let database = format!("{}_{name}", hub.database);
    let sql = format!("CREATE DATABASE {database} TEMPLATE {}", hub.database);
    // A connection that was just closed may still be there.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while let Err(why) = server.sql("postgres", "postgres", &sql) {
        assert!(std::time::Instant::now() < deadline, "{why}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    TestHub { server, database, folder: tempfile::tempdir().unwrap() }
}

/// Part `n`, with a record that verifies.
pub fn true_part(n: u8) -> NewEntry {
    let config = provisioning::Config::new(id(), IdentityKeySource::Generated);
    let messages = run_messages(Silicon::erased(Soc::Nrf5340, [n; 32]), &config, 1);
    let record = decode(record_in(messages.iter().map(String::as_str))).unwrap();
    let identity = verify(&record, &Wanted::default()).unwrap().identity;
    NewEntry { identity, record }
}
