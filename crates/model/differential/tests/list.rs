// SPDX-License-Identifier: Apache-2.0

//! The list itself, on the stand-in drivers: complete, repeatable, and broken by a broken model.

use std::collections::BTreeSet;

use differential::{
    POWER_LOSS, SCENARIOS, SEED, SEED_POWER_LOSS, SEED_SCENARIOS, SEED_WRITES, Scenario, host,
};
use silicon::mutants::Mutant;
use silicon::states::Writes;
use silicon::{Family, Silicon, Soc, drivers};

/// How many writes a run takes.
fn writes(soc: Soc) -> u32 {
    match soc.family() {
        Family::CryptoCell => Writes::of(soc).identity_key,
        Family::Cracen => SEED_WRITES,
    }
}

#[test]
fn names_are_unique() {
    for soc in Soc::ALL.iter().copied() {
        let names: BTreeSet<String> = Scenario::for_part(soc).map(|it| it.to_string()).collect();
        assert_eq!(names.len(), Scenario::for_part(soc).count());
        let (power_loss, listed) = match soc.family() {
            Family::CryptoCell => (POWER_LOSS.len(), 85),
            Family::Cracen => (SEED_POWER_LOSS.len(), 80),
        };
        let cuts = power_loss * 3 * usize::try_from(writes(soc)).unwrap();
        assert!(names.len() > cuts + listed, "{soc}: {}", names.len());
    }
    let all = [SCENARIOS, POWER_LOSS, SEED_SCENARIOS, SEED_POWER_LOSS];
    assert!(all.into_iter().flatten().all(|scenario| scenario.cut.is_none()));
}

#[test]
fn each_scenario_begins_and_its_fault_strikes() {
    for soc in Soc::ALL.iter().copied() {
        for scenario in Scenario::for_part(soc) {
            let mut part = Silicon::erased(soc, SEED);
            assert_eq!(scenario.prepare(&mut part), Ok(()), "{scenario}");
            let observed = host::run(&scenario, soc);
            assert!(observed.lines.len() > 1, "{scenario}: {observed:?}");
            assert!(
                !observed.lines.iter().any(|line| line.contains("did not strike")),
                "{scenario:?}"
            );
            assert_eq!(observed, host::run(&scenario, soc), "{scenario}");
        }
    }
}

#[test]
fn the_cuts_are_at_every_write() {
    for soc in Soc::ALL.iter().copied() {
        let erased = Scenario::for_part(soc).next().unwrap();
        let erased = host::run(&erased, soc);
        assert_eq!(erased.lines.last(), Some(&format!("{} writes", writes(soc))));
    }
}

/// A driver code that no scenario meets could differ, and no test would see it.
#[test]
fn each_driver_error_is_met_on_each_part() {
    for soc in Soc::CRYPTOCELL {
        let lines: Vec<String> =
            Scenario::for_part(soc).flat_map(|scenario| host::run(&scenario, soc).lines).collect();
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
    for soc in Soc::ALL.iter().copied() {
        let mut seen = BTreeSet::new();
        for scenario in Scenario::for_part(soc) {
            let observed = host::run(&scenario, soc);
            // Only faults that give the same line on parts that look the same may be twins.
            if scenario.fault.is_none() && scenario.cut.is_none() {
                assert!(seen.insert((observed.lines, observed.words)), "{soc}: {scenario}");
            }
        }
    }
}

#[test]
fn every_mutant_is_killed_by_some_scenario() {
    for soc in Soc::ALL.iter().copied() {
        for mutant in Mutant::of(soc).iter().copied() {
            let killed = Scenario::for_part(soc).any(|scenario| {
                let mut part = Silicon::erased(soc, SEED);
                part.mutate(Some(mutant));
                host::run_on(&scenario, part) != host::run(&scenario, soc)
            });
            assert!(killed, "{soc}: no scenario kills {mutant:?}");
        }
    }
}
