// SPDX-License-Identifier: Apache-2.0

//! The list itself, on the stand-in drivers: complete, repeatable, and broken by a broken model.

use std::collections::BTreeSet;

use differential::{POWER_LOSS, SCENARIOS, SEED, Scenario, desk, writes};
use silicon::mutants::Mutant;
use silicon::{Silicon, Soc, drivers};

#[test]
fn names_are_unique() {
    for soc in Soc::ALL {
        let names: BTreeSet<String> = Scenario::for_part(soc).map(|it| it.to_string()).collect();
        assert_eq!(names.len(), Scenario::for_part(soc).count());
        let cuts = POWER_LOSS.len() * 3 * usize::try_from(writes(soc)).unwrap();
        assert!(names.len() > cuts + 85, "{soc}: {}", names.len());
    }
    assert!(SCENARIOS.iter().chain(POWER_LOSS).all(|scenario| scenario.cut.is_none()));
}

#[test]
fn each_scenario_begins_and_its_fault_strikes() {
    for soc in Soc::ALL {
        for scenario in Scenario::for_part(soc) {
            let mut part = Silicon::erased(soc, SEED);
            assert_eq!(scenario.prepare(&mut part), Ok(()), "{scenario}");
            let outcome = desk::run(&scenario, soc);
            assert!(outcome.lines.len() > 1, "{scenario}: {outcome:?}");
            assert!(
                !outcome.lines.iter().any(|line| line.contains("did not strike")),
                "{scenario:?}"
            );
            assert_eq!(outcome, desk::run(&scenario, soc), "{scenario}");
        }
    }
}

#[test]
fn the_cuts_are_at_every_write() {
    for soc in Soc::ALL {
        let erased = desk::run(&SCENARIOS[0], soc);
        assert_eq!(erased.lines.last(), Some(&format!("{} writes", writes(soc))));
    }
}

/// A driver code that no scenario meets could differ without anybody seeing it.
#[test]
fn each_driver_error_is_met_on_each_part() {
    for soc in Soc::ALL {
        let lines: Vec<String> =
            Scenario::for_part(soc).flat_map(|scenario| desk::run(&scenario, soc).lines).collect();
        for code in drivers::CODES {
            let code = provisioning::DriverError::from_raw(code);
            let met = lines.iter().any(|line| {
                line.contains(&format!("driver error {code})")) // of the procedure
                    || line.ends_with(&format!("driver error {code}")) // of a single call
            });
            assert!(met, "{soc}: {code}");
        }
    }
}

#[test]
fn scenarios_differ_from_one_another() {
    for soc in Soc::ALL {
        let mut seen = BTreeSet::new();
        for scenario in Scenario::for_part(soc) {
            let outcome = desk::run(&scenario, soc);
            // Faults that are told by the same line, on parts that look the same, are the only twins.
            if scenario.fault.is_none() && scenario.cut.is_none() {
                assert!(seen.insert((outcome.lines, outcome.page)), "{soc}: {scenario}");
            }
        }
    }
}

#[test]
fn every_mutant_makes_some_scenario_come_out_differently() {
    for soc in Soc::ALL {
        for mutant in Mutant::ALL {
            let found = Scenario::for_part(soc).any(|scenario| {
                let mut part = Silicon::erased(soc, SEED);
                part.mutate(Some(mutant));
                desk::run_on(&scenario, part) != desk::run(&scenario, soc)
            });
            assert!(found, "{soc}: nothing tells {mutant:?}");
        }
    }
}
