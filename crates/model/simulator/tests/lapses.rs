// SPDX-License-Identifier: Apache-2.0

//! A write that is left out or stops half-way, while the run goes on: a skipped instruction. "Success!" appears
//! only on a part that is word for word the one of a run without it.

use provisioning::{Event, IdentityKeySource};
use silicon::power::{Cut, Reach};
use silicon::states::Writes;
use silicon::{Silicon, Soc, UICR_WORDS};
use simulator::run;
use simulator::testing::config;

/// Words of the identity key in slots 6 and 7: KEYSLOT.KEY is at 0x800.
const IDENTITY_KEY: std::ops::Range<usize> = 0x218..0x220;

/// The page that a run leaves, whether it printed "Success!", and its writes.
fn play(
    soc: Soc,
    source: IdentityKeySource,
    page: &[u32; UICR_WORDS],
    lapse: Option<Cut>,
) -> ([u32; UICR_WORDS], bool, u32) {
    let mut part = Silicon::with_page(soc, [2; 32], *page);
    if let Some(lapse) = lapse {
        part.lapse(lapse);
    }
    let mut success = false;
    let (part, _) = run(part, &config(source), |event| success |= event == Event::Success);
    assert!(!part.is_off());
    (*part.page(), success, part.writes())
}

/// Erased, and what is left of runs that were cut off within the implementation ID or behind a piece.
fn starts(soc: Soc, source: IdentityKeySource) -> Vec<[u32; UICR_WORDS]> {
    let Writes { lifecycle, implementation_id, mkek, mext, .. } = Writes::of(soc);
    let cuts = [lifecycle, 5, implementation_id, mkek, mext]
        .map(|write| Some(Cut { write, reach: Reach::After }));
    let page = |cut: Option<Cut>| {
        let mut part = Silicon::erased(soc, [1; 32]);
        if let Some(cut) = cut {
            part.cut(cut);
            part = run(part, &config(source), |_| ()).0;
            assert!(part.is_off());
        }
        *part.page()
    };
    [None].into_iter().chain(cuts).map(page).collect()
}

#[test]
fn no_write_can_be_left_out_or_halved_unnoticed() {
    let (mut cases, mut unknown) = (0, 0);
    for soc in Soc::CRYPTOCELL {
        for source in IdentityKeySource::ALL {
            for start in starts(soc, source) {
                let (good, success, writes) = play(soc, source, &start, None);
                assert!(success);
                for write in 1..=writes {
                    for reach in [Reach::Before, Reach::Torn(0), Reach::Torn(7), Reach::Torn(15)] {
                        let case = Cut { write, reach };
                        let (page, success, _) = play(soc, source, &start, Some(case));
                        cases += 1;
                        if !success || page == good {
                            continue;
                        }
                        // Only the driver knows the key that it has made; a word that is missing shows.
                        let differ: Vec<_> =
                            (0..UICR_WORDS).filter(|at| page[*at] != good[*at]).collect();
                        let known = source != IdentityKeySource::Driver
                            || reach == Reach::Before
                            || !differ.iter().all(|at| IDENTITY_KEY.contains(at));
                        assert!(!known, "{soc}, {source:?}, {case}: false Success!, {differ:#x?}");
                        unknown += 1;
                    }
                }
            }
        }
    }
    assert!(cases > 3000, "{cases} cases");
    // Both parts, six starts, eight words, three ways.
    assert_eq!(unknown, 2 * 6 * 8 * 3);
}
