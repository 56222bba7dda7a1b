// SPDX-License-Identifier: Apache-2.0

//! Loss of power at any write: invariants I1, I2, I4 and I5.

use std::thread;

use provisioning::IdentityKeySource;
use silicon::Soc;
use silicon::power::{Cut, Reach};
use simulator::sweep::{Case, Outcome, Plan, Report, play, sweep};

#[track_caller]
fn no_violations(report: &Report) {
    for (case, what) in &report.violations {
        eprintln!("cargo sim replay {case}: {what}");
    }
    assert!(
        report.violations.is_empty(),
        "{} violations, the first: {:?}",
        report.violations.len(),
        report.violations[0]
    );
}

#[test]
fn every_cut_and_every_second_cut_completes_or_stops() {
    let plan =
        Plan { socs: Soc::ALL.to_vec(), identity_keys: IdentityKeySource::ALL.to_vec(), seed: 1 };
    let report = sweep(&plan, |_, _| ());
    no_violations(&report);
    assert_eq!(report.tallies.len(), 6);
    for ((soc, source), tally) in &report.tallies {
        // Lifecycle, 8 words of the ID, 6 words a slot of the HUKs, and 5 a slot of the identity key, whose
        // DEST stays erased.
        let writes = 1 + 8 + 6 * 2 * soc.slots_per_huk() + 5 * 2;
        assert_eq!(tally.writes, writes, "{soc} {source:?}");
        // Every end that there is has been met.
        let pieces = ["MEXT", "MKEK", "identity key", "implementation ID", "lifecycle"];
        let outcomes: Vec<Outcome> = tally.outcomes.keys().copied().collect();
        assert_eq!(outcomes[0], Outcome::Completed);
        assert_eq!(outcomes[1..], pieces.map(Outcome::Stopped));
    }
}

/// Up to five cuts in a row, each at any write of its run and with any of its bits.
#[test]
fn ten_thousand_chains_of_random_cuts_complete_or_stop() {
    const SEEDS: u64 = 10_000;
    let threads = thread::available_parallelism().map_or(1, usize::from) as u64;
    thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || {
                for seed in (first..SEEDS).step_by(usize::try_from(threads).unwrap()) {
                    chain(seed);
                }
            });
        }
    });
}

fn chain(seed: u64) {
    // SplitMix64: the chain must follow from the seed alone.
    let mut state = seed;
    let mut random = move |below: u64| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u32::try_from((z ^ (z >> 31)) % below).unwrap()
    };
    let soc = Soc::ALL[random(2) as usize];
    let identity_key = IdentityKeySource::ALL[random(3) as usize];
    let mut case = Case { soc, identity_key, seed, cuts: Vec::new() };
    let mut played = play(&case);
    for _ in 0..=random(5) {
        if played.last_writes() == 0 {
            break; // stopped over a torn piece, or complete
        }
        let write = 1 + random(played.last_writes().into());
        let reach = match random(3) {
            0 => Reach::Before,
            1 => Reach::Torn(random(32)),
            _ => Reach::After,
        };
        case.cuts.push(Cut { write, reach });
        played = play(&case);
        assert!(played.verdict.is_ok(), "cargo sim replay {case}: {:?}", played.verdict);
    }
}

#[test]
fn a_cut_that_does_not_fire_is_a_violation() {
    let case: Case = "nrf9160-generated-1-999b".parse().unwrap();
    assert_eq!(play(&case).verdict, Err(String::from("run 1: the cut did not fire")));
}

#[test]
fn a_replay_is_the_same_each_time() {
    let name = "nrf5340-driver-7-3a-30t4";
    let case: Case = name.parse().unwrap();
    assert_eq!(case.to_string(), name);
    let (first, second) = (play(&case), play(&case));
    assert_eq!(first.page, second.page);
    assert_eq!(first.runs.len(), 3);
    assert_eq!(format!("{:?}", first.runs), format!("{:?}", second.runs));
    assert_eq!(first.verdict, Ok(Outcome::Stopped("MEXT")));
    for name in ["", "nrf5340", "nrf5340-generated", "nrf5340-generated-x", "nrf5340-generated-1-"]
    {
        assert!(name.parse::<Case>().is_err(), "{name}");
    }
}
