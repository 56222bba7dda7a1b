// SPDX-License-Identifier: Apache-2.0

//! Runs scenarios on the stand-in drivers, on the host.

use std::boxed::Box;
use std::string::{String, ToString};
use std::vec::Vec;

use nrf_keys::{Drivers, SeedDrivers};
use silicon::{Family, Silicon, Soc};

use crate::{SEED, Scenario, UnderTest, huk_size};

/// What a scenario gave.
#[derive(Debug, PartialEq, Eq)]
pub struct Observed {
    /// The console lines and results.
    pub lines: Vec<String>,
    /// What the part keeps at the end, in the order of a device file.
    pub words: Vec<u32>,
}

/// Puts a part through a scenario.
///
/// # Panics
/// This thread has a part installed already, or the scenario cannot begin.
#[must_use]
pub fn run(scenario: &Scenario, soc: Soc) -> Observed {
    run_on(scenario, Silicon::erased(soc, SEED))
}

/// Puts an erased part through a scenario.
///
/// # Panics
/// This thread has a part installed already.
#[must_use]
pub fn run_on(scenario: &Scenario, mut part: Silicon) -> Observed {
    let soc = part.soc();
    let mut lines = Vec::new();
    // A part that refuses to begin is frozen, which its lines will show.
    let _ = scenario.prepare(&mut part);
    assert!(silicon::install(Box::new(part)).is_none(), "this thread has a part already");
    match soc.family() {
        Family::CryptoCell => {
            // SAFETY: the drivers work on this thread's part, and nothing but `run_with` calls them.
            let mut drivers = unsafe { Drivers::new(huk_size(soc)) };
            run_with(scenario, &mut drivers, &mut lines);
        }
        Family::Cracen => {
            // SAFETY: as above.
            let mut drivers = unsafe { SeedDrivers::new() };
            run_with(scenario, &mut drivers, &mut lines);
        }
    }
    let part = silicon::remove().expect("the part was installed above");
    scenario.conclude(&part, |line| lines.push(line.to_string()));
    Observed { lines, words: part.words().collect() }
}

fn run_with(scenario: &Scenario, drivers: &mut impl UnderTest, lines: &mut Vec<String>) {
    let with_part = |access: fn(&mut Silicon)| {
        silicon::with_installed(access);
    };
    scenario.run(drivers, with_part, |line| lines.push(line.to_string()));
}
