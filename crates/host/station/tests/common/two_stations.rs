// SPDX-License-Identifier: Apache-2.0

//! A hub with two stations that contradict each other in one part.

use station::hub::{Config, Hub, Kind};
use station::ledger::{Begun, Failed, New, NewEnd, NewOutcome};
use station::transcript::Transcript;

use super::common::postgres::{TestHub, TestStation};
use super::common::{attempt, entry, outcome, run};
use super::notices::{HOSTILE, shift};

/// Someone who only reads.
pub fn reader(hub: &TestHub) -> Config {
    let role = hub.role("reader");
    Hub::connect(&hub.config(&hub.owner())).unwrap().enroll(&role, Kind::Reader, None).unwrap();
    hub.config(&role)
}

/// A part that fails, with a console that would like to be more.
pub fn failed(port: &str) -> New {
    let mut console = Transcript::default();
    console.push(HOSTILE.as_bytes());
    let failed = Failed { error: "console".into(), text: HOSTILE.into(), ..Failed::default() };
    let outcome = outcome(Begun::Now(attempt(port)), NewEnd::Failed(failed));
    New::Outcome(Box::new(NewOutcome { console, ..outcome }))
}

/// A hub with two stations: a shift of 203 runs on one, and two parts and a failed run on the other, which has the first
/// part, too.
pub fn two_stations(hub: &TestHub) -> [TestStation; 2] {
    let mut stations = [1, 2].map(|n| hub.station(&format!("line-{n}")));
    let [one, two] = &mut stations;
    shift(&mut one.ledger, 7);
    one.push().unwrap();
    let new = [
        run(NewEnd::Good(entry(1)), Some("A-0000")),
        run(NewEnd::Good(entry(190)), Some("B-0002")),
        failed("/dev/line/left-1"),
    ];
    two.ledger.append(&new).unwrap();
    two.push().unwrap();
    stations
}
