// SPDX-License-Identifier: Apache-2.0

//! What every seed must give.

use std::collections::HashSet;

use proptest::prelude::*;
use provisioning::{Cause, Event, IdentityKeySource, Written};
use rayon::prelude::*;
use silicon::states::State;
use silicon::{ERASED, Silicon, Soc, UICR_WORDS, seed};
use simulator::run;
use simulator::testing::{config, huk};

/// 10,000 seeds over both parts and both random sources: the identity key is valid (it has a public
/// key, which the procedure got from the key read back), and no two keys of any kind are the same.
#[test]
fn ten_thousand_seeds_give_valid_and_different_keys() {
    const SEEDS: u64 = 10_000;
    let keys: Vec<_> = (0..SEEDS)
        .into_par_iter()
        .map(|number| {
            let soc = Soc::CRYPTOCELL[usize::from(number % 2 == 0)];
            let random = [IdentityKeySource::Generated, IdentityKeySource::Driver];
            let source = random[usize::from(number % 4 < 2)];
            let part = Silicon::erased(soc, seed(number));
            let (part, result) = run(part, &config(source), |_| ());
            (part.illegal_access(), result, [2, 4].map(|slot| huk(&part, slot)))
        })
        .collect();
    // In their order, so that the first bad one is named.
    let (mut huks, mut public_keys) = (HashSet::new(), HashSet::new());
    for (number, (illegal_access, result, of_part)) in keys.into_iter().enumerate() {
        assert_eq!(illegal_access, None, "seed {number}");
        let public_key = result.unwrap_or_else(|failure| panic!("seed {number}: {failure}"));
        for huk in of_part {
            assert!(huks.insert(huk), "seed {number}");
        }
        assert!(public_keys.insert(*public_key.as_bytes()), "seed {number}");
    }
    assert_eq!(huks.len(), 20_000);
    assert_eq!(public_keys.len(), 10_000);
}

#[test]
fn all_modelled_states_but_erased_end_in_a_failure_without_a_write() {
    for soc in Soc::CRYPTOCELL {
        for state in State::ALL {
            let mut part = Silicon::erased(soc, seed(1));
            state.apply(&mut part).unwrap();
            let before = *part.page();
            let (part, result) = run(part, &config(IdentityKeySource::Generated), |_| ());
            assert_eq!(part.illegal_access(), None);
            if state == State::Erased {
                assert!(result.is_ok());
            } else {
                assert_eq!(result.unwrap_err().written, Written::Nothing);
                assert_eq!(*part.page(), before);
            }
        }
    }
}

#[test]
fn a_written_key_slot_stops_the_run_before_the_first_write() {
    for soc in Soc::CRYPTOCELL {
        let slots = 2..8;
        for slot in slots {
            for index in [0x100 + 2 * slot, 0x101 + 2 * slot, 0x200 + 4 * slot, 0x203 + 4 * slot] {
                let mut page = [ERASED; UICR_WORDS];
                page[index] = 0xFFFF_FFFB; // nothing is locked by it
                let part = Silicon::with_page(soc, seed(1), page);
                let (part, result) = run(part, &config(IdentityKeySource::Generated), |_| ());
                // CryptoCell 310 leaves the second slot of each HUK alone, and so do we.
                if soc == Soc::Nrf9160 && matches!(slot, 3 | 5) {
                    assert!(result.is_ok());
                    continue;
                }
                let failure = result.unwrap_err();
                assert_eq!(failure.written, Written::Nothing, "word {index:#x}: {failure}");
                let taken = match slot {
                    6.. => failure.cause == Cause::IdentityKeyTaken,
                    _ => matches!(failure.cause, Cause::HukTaken(_)),
                };
                assert!(taken, "word {index:#x}: {failure}");
                assert_eq!(*part.page(), page);
            }
        }
    }
}

proptest! {
    /// A few words of an erased part are anything: no crash, no illegal access, and nothing is
    /// written unless the lifecycle is ASSEMBLY.
    #[test]
    fn any_start_is_survived(
        words in prop::collection::vec((0..0x220_usize, prop_oneof![Just(0), Just(0xFFFF_0000), any::<u32>()]), 0..6),
        soc in prop::sample::select(Soc::CRYPTOCELL.to_vec()),
        number: u64,
    ) {
        let mut page = [ERASED; UICR_WORDS];
        for (index, word) in words {
            page[index] = word;
        }
        let mut events = Vec::new();
        let part = Silicon::with_page(soc, seed(number), page);
        let (part, result) = run(part, &config(IdentityKeySource::Generated), |event| events.push(event.message()));
        prop_assert_eq!(part.illegal_access(), None);
        prop_assert_eq!(result.is_ok(), events.contains(&Event::Success.message()));
        if let Err(failure) = result
            && failure.written == Written::Nothing
        {
            prop_assert_eq!(*part.page(), page);
        }
    }
}
