// SPDX-License-Identifier: Apache-2.0

//! Loss of power at any write: invariants I1, I2, I4 and I5.

use provisioning::IdentityKeySource;
use silicon::power::{Cut, Reach};
use silicon::states::Writes;
use silicon::{Family, Soc};
use simulator::sweep::{Case, Chain, Ending, Report, Scope, play, sweep};
use simulator::testing::{SplitMix64, play_range};

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
    let scope = Scope {
        socs: Soc::CRYPTOCELL.to_vec(),
        identity_keys: IdentityKeySource::ALL.to_vec(),
        seed: 1,
        complete_seed: false,
    };
    let report = sweep(&scope, |_| ());
    no_violations(&report);
    assert_eq!(report.tallies.len(), 6);
    for ((soc, source), tally) in &report.tallies {
        assert_eq!(tally.writes, Writes::of(*soc).identity_key, "{soc} {source:?}");
        // Every ending was met.
        let pieces = ["MEXT", "MKEK", "identity key", "implementation ID", "lifecycle"];
        let endings: Vec<Ending> = tally.endings.keys().copied().collect();
        assert_eq!(endings[0], Ending::Completed);
        assert_eq!(endings[1..], pieces.map(Ending::Stopped));
    }
}

/// The same for a part whose keys are derived from a seed, also between the words of a key slot.
#[test]
fn every_cut_of_a_seed_completes_or_stops() {
    let pieces = ["driver slots", "implementation ID", "lifecycle", "seed"];
    for complete_seed in [false, true] {
        let socs = vec![Soc::Nrf54l15];
        let scope = Scope { socs, identity_keys: Vec::new(), seed: 1, complete_seed };
        let report = sweep(&scope, |_| ());
        no_violations(&report);
        let [(_, tally)] = &report.tallies[..] else { panic!("one source") };
        // Lifecycle and implementation ID; the driver's own two slots and the seed's three, each behind a note that is
        // taken back.
        assert_eq!(tally.writes, 1 + 8 + (7 + 7 + 6 + 7) + (7 + 7 + 6 + 6 + 7));
        let endings: Vec<Ending> = tally.endings.keys().copied().collect();
        // A seed cannot be completed where the driver has lost its own slots as well: it gives no random numbers.
        let stopped = pieces.map(Ending::Stopped);
        assert_eq!(endings, [Ending::Completed].into_iter().chain(stopped).collect::<Vec<_>>());
    }
}

/// Up to five cuts in a row, each at any write of its run and with any of its bits.
#[test]
fn ten_thousand_chains_of_random_cuts_complete_or_stop() {
    let ends = play_range(0..10_000, chain);
    assert!(ends.is_ok(), "{ends:?}");
}

/// The error is the case that broke a promise, and which.
fn chain(seed: u64) -> Result<u8, String> {
    let mut random = SplitMix64::new(seed);
    let soc = *random.one_of(Soc::ALL);
    let identity_key = match soc.family() {
        Family::CryptoCell => *random.one_of(&IdentityKeySource::ALL),
        Family::Cracen => IdentityKeySource::Generated,
    };
    let complete_seed = random.below(2) == 0;
    let case = Case { soc, identity_key, seed, cuts: Vec::new(), complete_seed };
    let mut chain = Chain::new(case);
    let (mut writes, _) = chain.end();
    for _ in 0..=random.below(5) {
        if writes == 0 {
            break; // stopped over a torn piece, or complete
        }
        let write = 1 + random.below(writes);
        let reach = match random.below(3) {
            0 => Reach::Before,
            1 => Reach::Torn(random.below(32)),
            _ => Reach::After,
        };
        chain.cut(Cut { write, reach });
        let verdict;
        (writes, verdict) = chain.end();
        verdict.map_err(|what| format!("{:?}: {what}", chain.case()))?;
    }
    Ok(0)
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
    assert_eq!(first.memory, second.memory);
    assert_eq!(first.runs.len(), 3);
    assert_eq!(format!("{:?}", first.runs), format!("{:?}", second.runs));
    assert_eq!(first.verdict, Ok(Ending::Stopped("MEXT")));
}

#[test]
fn a_chain_ends_as_the_case_does_that_is_played_anew() {
    for name in
        ["nrf5340-driver-7-3a-30t4", "nrf54l15-generated-2-9b-20t1-4a", "nrf9160-dummy-3-2a-999b"]
    {
        let whole: Case = name.parse().unwrap();
        let mut chain = Chain::new(Case { cuts: Vec::new(), ..whole.clone() });
        for (number, cut) in whole.cuts.iter().enumerate() {
            let played = play(&Case { cuts: whole.cuts[..number].to_vec(), ..whole.clone() });
            assert_eq!(chain.end(), (played.last_writes(), played.verdict), "{name}, run {number}");
            chain.cut(*cut);
        }
        let played = play(&whole);
        assert_eq!(chain.end(), (played.last_writes(), played.verdict), "{name}");
        assert_eq!(*chain.case(), whole);
    }
}

#[test]
fn other_replay_ids_are_refused() {
    for name in ["", "nrf5340", "nrf5340-generated", "nrf5340-generated-x", "nrf5340-generated-1-"]
    {
        assert!(name.parse::<Case>().is_err(), "{name}");
    }
}
