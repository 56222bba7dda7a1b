// SPDX-License-Identifier: Apache-2.0

//! A write that is left out or stops half-way, while the run goes on: a skipped instruction. "Success!" appears
//! only on a part that is word for word the one of a run without it.

use provisioning::{Event, IdentityKeySource};
use rayon::prelude::*;
use silicon::power::{Cut, Reach};
use silicon::states::Writes;
use silicon::{ERASED, Memory, Silicon, Soc, UICR_WORDS};
use simulator::run;
use simulator::testing::config;

/// Words of the identity key in slots 6 and 7: KEYSLOT.KEY is at 0x800.
const IDENTITY_KEY: std::ops::Range<usize> = 0x218..0x220;

/// What a run leaves, whether it printed "Success!", and its writes.
fn play(
    soc: Soc,
    source: IdentityKeySource,
    memory: &Memory,
    lapse: Option<Cut>,
) -> (Memory, bool, u32) {
    let mut part = Silicon::with_memory(soc, [2; 32], memory);
    if let Some(lapse) = lapse {
        part.lapse(lapse);
    }
    let mut success = false;
    let (part, _) = run(part, &config(source), |event| success |= event == Event::Success);
    assert!(!part.is_off());
    (part.memory(), success, part.writes())
}

/// Erased, and what is left of runs that were cut off behind these writes.
fn starts(soc: Soc, source: IdentityKeySource, writes: &[u32]) -> Vec<Memory> {
    let cuts = writes.iter().map(|write| Some(Cut { write: *write, reach: Reach::After }));
    let memory = |cut: Option<Cut>| {
        let mut part = Silicon::erased(soc, [1; 32]);
        if let Some(cut) = cut {
            part.cut(cut);
            part = run(part, &config(source), |_| ()).0;
            assert!(part.is_off());
        }
        part.memory()
    };
    [None].into_iter().chain(cuts).map(memory).collect()
}

/// Leaves out each write of a run from this start: how many cases there are, and in how many the key of "Success!" is
/// another one, which only the driver knows. The error is the first case in which somebody else knows it.
fn lapses(soc: Soc, source: IdentityKeySource, start: &Memory) -> Result<(u32, u32), String> {
    let (good, success, writes) = play(soc, source, start, None);
    assert!(success);
    let (mut cases, mut unknown) = (0, 0);
    for write in 1..=writes {
        for reach in [Reach::Before, Reach::Torn(0), Reach::Torn(7), Reach::Torn(15)] {
            let case = Cut { write, reach };
            let (left, success, _) = play(soc, source, start, Some(case));
            cases += 1;
            if !success || left == good {
                continue;
            }
            // Only the driver knows the key that it has made; a word that is missing shows.
            let differ: Vec<_> =
                (0..UICR_WORDS).filter(|at| left.page[*at] != good.page[*at]).collect();
            let known = source != IdentityKeySource::Driver
                || reach == Reach::Before
                || !differ.iter().all(|at| IDENTITY_KEY.contains(at));
            if known {
                return Err(format!("{soc}, {source:?}, {case}: false Success!, {differ:#x?}"));
            }
            unknown += 1;
        }
    }
    Ok((cases, unknown))
}

#[test]
fn no_write_can_be_left_out_or_halved_unnoticed() {
    let mut all = Vec::new();
    for soc in Soc::CRYPTOCELL {
        let Writes { lifecycle, implementation_id, mkek, mext, .. } = Writes::of(soc);
        for source in IdentityKeySource::ALL {
            // Within the implementation ID, or behind a piece.
            let writes = [lifecycle, 5, implementation_id, mkek, mext];
            all.extend(starts(soc, source, &writes).into_iter().map(|start| (soc, source, start)));
        }
    }
    let counts: Vec<_> =
        all.par_iter().map(|(soc, source, start)| lapses(*soc, *source, start)).collect();
    // In their order, so that the first bad one is named.
    let (mut cases, mut unknown) = (0, 0);
    for count in counts {
        let (of_start, unknown_of_start) = count.unwrap();
        cases += of_start;
        unknown += unknown_of_start;
    }
    assert!(cases > 3000, "{cases} cases");
    // Both parts, six starts, eight words, three ways.
    assert_eq!(unknown, 2 * 6 * 8 * 3);
}

/// Nobody reads a seed, so only its value can be another one unnoticed. What is written is random then all the same,
/// but for the words that were left out; the procedure says that the value is not proven. Of the driver's own slots
/// nobody reads the metadata either.
#[test]
fn of_a_seed_only_its_value_can_be_another_one_unnoticed() {
    /// Words of a slot: its value, and the one that decides.
    const SLOT: usize = 7;
    const VALUE: std::ops::Range<usize> = 0..4;
    const DEST: usize = 4;
    const POLICY: usize = 6;
    const SEED: std::ops::Range<usize> = 183..186;
    const NOTE: usize = 186;
    /// Those that the driver writes when it is first used.
    const OWN: std::ops::Range<usize> = 248..250;

    let (soc, source) = (Soc::Nrf54l15, IdentityKeySource::Generated);
    let (mut cases, mut unknown) = (0, 0);
    // Erased, within the implementation ID, and before the seed.
    for start in starts(soc, source, &[5, 9]) {
        let (good, success, writes) = play(soc, source, &start, None);
        assert!(success);
        for write in 1..=writes {
            for reach in [Reach::Before, Reach::Torn(0), Reach::Torn(7), Reach::Torn(15)] {
                let case = Cut { write, reach };
                let (left, success, _) = play(soc, source, &start, Some(case));
                cases += 1;
                if !success {
                    continue;
                }
                assert_eq!(left.page, good.page, "{case}: false Success!");
                let words = left.key_store.iter().zip(&good.key_store);
                let differ: Vec<_> =
                    (0..).zip(words).filter(|(_, (left, good))| left != good).collect();
                // The slot of the note is free again, whatever is in it.
                let is_known = differ.iter().any(|(at, _): &(usize, _)| match at / SLOT {
                    NOTE => left.key_store[SLOT * NOTE + POLICY] != ERASED,
                    slot if SEED.contains(&slot) => !VALUE.contains(&(at % SLOT)),
                    slot if OWN.contains(&slot) => [DEST, POLICY].contains(&(at % SLOT)),
                    _ => true,
                });
                assert!(!is_known, "{case}: false Success!, {differ:x?}");
                unknown += u32::from(differ.iter().any(|(at, _)| SEED.contains(&(at / SLOT))));
            }
        }
    }
    // Three starts, twelve words, four ways.
    assert_eq!(unknown, 3 * 12 * 4);
    assert!(cases > 400, "{cases} cases");
}
