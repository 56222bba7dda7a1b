// SPDX-License-Identifier: Apache-2.0

//! The list itself, on the stand-in drivers: complete, repeatable, and broken by a broken model.

use std::collections::BTreeSet;

use differential::{SCENARIOS, SEED, Scenario, desk};
use silicon::mutants::Mutant;
use silicon::{Silicon, Soc, drivers};

#[test]
fn names_are_unique() {
    let names: BTreeSet<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    assert_eq!(names.len(), SCENARIOS.len());
}

#[test]
fn each_scenario_begins_and_its_fault_strikes() {
    for soc in Soc::ALL {
        for scenario in Scenario::for_part(soc) {
            let mut part = Silicon::erased(soc, SEED);
            assert_eq!(scenario.prepare(&mut part), Ok(()), "{}", scenario.name);
            let outcome = desk::run(scenario, soc);
            assert!(outcome.lines.len() > 1, "{}: {outcome:?}", scenario.name);
            assert!(
                !outcome.lines.iter().any(|line| line.contains("did not strike")),
                "{scenario:?}"
            );
            assert_eq!(outcome, desk::run(scenario, soc), "{}", scenario.name);
        }
    }
}

/// A driver code that no scenario meets could differ without anybody seeing it.
#[test]
fn each_driver_error_is_met_on_each_part() {
    for soc in Soc::ALL {
        let lines: Vec<String> =
            Scenario::for_part(soc).flat_map(|scenario| desk::run(scenario, soc).lines).collect();
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
            let outcome = desk::run(scenario, soc);
            // Faults that are told by the same line, on parts that look the same, are the only twins.
            if scenario.fault.is_none() {
                assert!(seen.insert((outcome.lines, outcome.page)), "{soc}: {}", scenario.name);
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
                desk::run_on(scenario, part) != desk::run(scenario, soc)
            });
            assert!(found, "{soc}: nothing tells {mutant:?}");
        }
    }
}
