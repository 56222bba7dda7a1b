// SPDX-License-Identifier: Apache-2.0

//! Any UICR content as the starting state: no crash, no illegal access, no `Success!` and no "already
//! provisioned" on a bad part, and no write to a part that is not ours to write.
//!
//! A case follows from its number alone. `PROVISIONING_CASES` says how many are played, and
//! `PROVISIONING_FIRST_CASE` where they begin, to replay one.

use std::ops::Range;
use std::sync::LazyLock;
use std::time::Instant;

use proptest::prelude::*;
use provisioning::{
    Cause, Config, DUMMY_PUBLIC_KEY, Event, Failure, IdentityKeySource, ImplementationId,
    PublicKey, Ueid, Written,
};
use silicon::power::Cut;
use silicon::states::State;
use silicon::{ERASED, Silicon, Soc, UICR_WORDS};
use simulator::inspector::{self, Wanted};
use simulator::run;
use simulator::testing::{self, ID, SplitMix64};

type Page = [u32; UICR_WORDS];

/// The default in Kconfig, which `silicon::states` uses.
const EXAMPLE_ID: &str = "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD";
/// Two words look erased, written or not.
const ID_WITH_GAPS: &str = "FFFFFFFF0405060708090A0BFFFFFFFF101112131415161718191A1B1C1D1EFE";

/// The key slots that any part uses.
const SLOTS: Range<usize> = 2..8;
/// The first word of a slot's header and of its value.
const CONFIG: usize = 0x100;
const VALUE: usize = 0x200;

/// What a slot of the part holds when it is closed: DEST, if it matters, and PERM.
fn closed(soc: Soc, slot: usize) -> Option<(Option<u32>, u32)> {
    const HUK: u32 = 0xFFFF_FFFC;
    const IDENTITY: u32 = 0xFFFF_FFFA;
    match (soc, slot) {
        (_, 6 | 7) => Some((None, IDENTITY)),
        (Soc::Nrf5340, 2 | 4) => Some((Some(0x5084_5400), HUK)),
        (Soc::Nrf5340, 3 | 5) => Some((Some(0x5084_5410), HUK)),
        (Soc::Nrf9160, 2 | 4) => Some((Some(0x5084_1400), HUK)),
        _ => None,
    }
}

/// The first word of OTP.
fn otp(soc: Soc) -> usize {
    match soc {
        Soc::Nrf5340 => 0x40,
        Soc::Nrf9160 => 0x42,
        Soc::Nrf54l15 => unreachable!("the bases are parts with a CryptoCell"),
    }
}

/// How much of a piece is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Blank,
    Whole,
    Other,
}

fn slot_progress(soc: Soc, page: &Page, slot: usize) -> Progress {
    let header = &page[CONFIG + 2 * slot..][..2];
    let value = &page[VALUE + 4 * slot..][..4];
    let (dest, perm) = closed(soc, slot).expect("a slot that the part uses");
    if header.iter().chain(value).all(|word| *word == ERASED) {
        Progress::Blank
    } else if header[1] == perm
        && dest.is_none_or(|dest| dest == header[0])
        // Of an identity key, which can be read, a word that was left out shows.
        && (slot < 6 || !value.contains(&ERASED))
    {
        Progress::Whole
    } else {
        Progress::Other
    }
}

/// What this project may do to a part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ours {
    /// Nothing: no run begins in this state or leaves it behind.
    No,
    /// Write what is missing.
    Complete,
    /// Check it.
    Check,
}

/// The rule, written down once more: the state is ASSEMBLY or PROVISIONING alone, and in ASSEMBLY there is no
/// key; each word of the ID, and each key, is blank or whole; none is whole behind one that is blank.
fn ours(soc: Soc, page: &Page, id: &[u8; 32]) -> Ours {
    let lifecycle = &page[otp(soc)..][..2];
    // The halfword between SECURED and DECOMMISSIONED is not a state.
    let provisioning = match (lifecycle[0], lifecycle[1] >> 16) {
        (0xFFFF_FFFF, 0xFFFF) => false,
        (0xFFFF_0000, 0xFFFF) => true,
        _ => return Ours::No,
    };
    let found = &page[otp(soc) + 2..][..8];
    let wanted = id.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
    let id_whole = wanted.clone().eq(found.iter().copied());
    let id_blank = found.iter().all(|word| *word == ERASED);
    let id_words = found.iter().zip(wanted).all(|(found, word)| *found == word || *found == ERASED);
    if !(id_whole || id_blank || (provisioning && id_words)) {
        return Ours::No;
    }
    let mut behind = provisioning && id_whole;
    for key in [2..4, 4..6, 6..8] {
        let used = || key.clone().filter(|slot| closed(soc, *slot).is_some());
        let all = |progress| used().all(|slot| slot_progress(soc, page, slot) == progress);
        if all(Progress::Blank) {
            behind = false;
        } else if !behind || !all(Progress::Whole) {
            return Ours::No;
        }
    }
    if behind { Ours::Check } else { Ours::Complete }
}

/// The words that a run may write.
fn is_in_reach(soc: Soc, index: usize) -> bool {
    let slot = match index {
        CONFIG..VALUE => (index - CONFIG) / 2,
        VALUE.. => (index - VALUE) / 4,
        _ => return index == otp(soc) || (otp(soc) + 2..otp(soc) + 10).contains(&index),
    };
    closed(soc, slot).is_some()
}

/// A part to start with.
#[derive(Clone, Debug)]
struct Start {
    soc: Soc,
    page: Page,
    id: ImplementationId,
    source: IdentityKeySource,
}

/// What is wrong with a part that is said to be good.
///
/// Two things do not count, since the procedure promises nothing about them:
/// - Words that a run may not write. They must be as they were, which is checked elsewhere, and are
///   judged as if erased. One lies in OTP, between the halfwords of SECURED and DECOMMISSIONED.
/// - The value of a slot that was closed before the run: the CPU cannot read a HUK's, and of an identity
///   key's any value without an erased word decrypts to some key. No run closes a slot whose value is not written.
fn problems(start: &Start, page: &Page, public_key: Option<PublicKey>) -> Vec<String> {
    let mut judged = *page;
    for (index, word) in judged.iter_mut().enumerate() {
        if index == otp(start.soc) + 1 {
            *word |= 0xFFFF;
        } else if !is_in_reach(start.soc, index) {
            *word = ERASED;
        }
    }
    let wanted = Wanted {
        implementation_id: *start.id.as_bytes(),
        public_key: public_key.map(|key| *key.as_bytes()),
    };
    let mut problems = inspector::problems(start.soc, &judged, &wanted);
    for slot in SLOTS.filter(|slot| closed(start.soc, *slot).is_some()) {
        if slot_progress(start.soc, &start.page, slot) == Progress::Whole {
            let values = [format!("slot {slot} is not random"), format!("slot {slot} holds")];
            problems.retain(|problem| !values.iter().any(|value| problem.starts_with(value)));
        }
    }
    problems
}

/// How a run ended: the number of its cause, 0 for `Success!`.
type End = u8;

/// Every way in which a run ends from some content, if its drivers are honest.
const ENDS: [End; 11] = [SUCCESS, 1, 2, 6, 10, 15, 16, 23, 28, ALREADY_PROVISIONED, 30];
const SUCCESS: End = 0;
const ALREADY_PROVISIONED: End = 29;

/// Provisions a part; how that ended, or what must not be.
fn play(start: &Start) -> Result<End, String> {
    let soc = start.soc;
    let config = Config::new(start.id, start.source);
    // A run that panicked has left its part behind.
    drop(silicon::remove());
    let part = Silicon::with_page(soc, [2; 32], start.page);
    let mut success = false;
    let (part, result) = run(part, &config, |event| success |= event == Event::Success);
    let page = part.page();
    let claim = || match &result {
        Ok(_) => Event::Success.to_string(),
        Err(failure) => failure.to_string(),
    };
    let must = |holds, what: &str| if holds { Ok(()) } else { Err(format!("{what}: {}", claim())) };

    if let Some(access) = part.illegal_access() {
        return Err(format!("{access}: {}", claim()));
    }
    must(success == result.is_ok(), "\"Success!\" is not what the result says")?;

    // What was there is there still: only erased words are written, and one half of the lifecycle's.
    let kept = start.page.iter().zip(page).enumerate().all(|(index, (before, after))| {
        let entered = index == otp(soc) && (*before, *after) == (ERASED, 0xFFFF_0000);
        before == after || entered || (*before == ERASED && is_in_reach(soc, index))
    });
    must(kept, "a word was written that is not ours")?;
    let untouched = *page == start.page;
    let (cause, nothing) = match result {
        Ok(_) => (None, false),
        Err(Failure { cause, written, .. }) => (Some(cause), written == Written::Nothing),
    };
    must(untouched || !nothing, "it was written to")?;

    let expected = match ours(soc, &start.page, start.id.as_bytes()) {
        Ours::No => nothing && !matches!(cause, Some(Cause::AlreadyProvisioned)),
        // Only HUKs that somebody else chose keep a run from its end.
        Ours::Complete => matches!(cause, None | Some(Cause::HuksEqual)),
        Ours::Check => {
            nothing
                && matches!(
                    cause,
                    Some(
                        Cause::AlreadyProvisioned
                            | Cause::HuksEqual
                            | Cause::IdentityKeyIsDummy
                            | Cause::IdentityKeyMismatch
                    )
                )
        }
    };
    must(expected, "the part is not what it was taken for")?;

    let ueid = match (&result, cause) {
        (Ok(public_key), _) => Ueid::of(public_key),
        (Err(Failure { ueid: Some(ueid), .. }), _) => *ueid,
        (_, cause) => return Ok(cause.map_or(SUCCESS, Cause::code)),
    };
    let problems = problems(start, page, result.ok());
    must(problems.is_empty(), &problems.join("; "))?;
    // The inspector has compared the key of a run that reported one.
    let key = result.ok().or_else(|| testing::public_key(soc, page));
    must(key.map(|key| Ueid::of(&key)) == Some(ueid), "another key is stored")?;
    let dummy = key == Some(DUMMY_PUBLIC_KEY);
    must(dummy == (start.source == IdentityKeySource::Dummy), "the key is of another source")?;
    Ok(cause.map_or(SUCCESS, Cause::code))
}

/// A part before its edits.
struct Base {
    soc: Soc,
    page: Page,
    id: ImplementationId,
}

/// By [`Ours`]: torn, begun and finished; and those with another past.
static BASES: LazyLock<[Vec<Base>; 4]> = LazyLock::new(|| {
    let mut bases = [const { Vec::new() }; 4];
    for soc in Soc::CRYPTOCELL {
        for source in IdentityKeySource::ALL {
            let text = if source == IdentityKeySource::Driver { ID_WITH_GAPS } else { ID };
            let id = text.parse().unwrap();
            let config = Config::new(id, source);
            let mut cut_at = |cut: Option<Cut>| {
                let mut part = Silicon::erased(soc, [1; 32]);
                if let Some(cut) = cut {
                    part.cut(cut);
                }
                let (part, _) = run(part, &config, |_| ());
                assert_eq!((part.illegal_access(), part.is_off()), (None, cut.is_some()));
                let page = *part.page();
                let kind = ours(soc, &page, id.as_bytes());
                bases[kind as usize].push(Base { soc, page, id });
                part.writes()
            };
            for cut in (1..=cut_at(None)).flat_map(Cut::at) {
                cut_at(Some(cut));
            }
        }
        for state in State::ALL {
            let mut part = Silicon::erased(soc, [1; 32]);
            state.apply(&mut part).unwrap();
            let id = EXAMPLE_ID.parse().unwrap();
            bases[3].push(Base { soc, page: *part.page(), id });
        }
    }
    bases
});

fn start(case: u64) -> Start {
    let mut random = SplitMix64::new(case);
    let kind = *random.one_of(&[0, 0, 1, 1, 2, 3]);
    let base = random.one_of(&BASES[kind]);
    let source = *random.one_of(&IdentityKeySource::ALL);
    let id = match random.below(16) {
        0 => random.one_of(&[ID, ID_WITH_GAPS, EXAMPLE_ID]).parse().unwrap(),
        _ => base.id,
    };
    let mut start = Start { soc: base.soc, page: base.page, id, source };
    // Many edits rather than few: a run to the end takes a hundred times as long as any other.
    for _ in 0..random.below(9).max(random.below(9)) {
        edit(&mut start, &mut random);
    }
    start
}

/// Changes a word, of those that matter most times, or a key.
fn edit(start: &mut Start, random: &mut SplitMix64) {
    let Start { soc, page, id, .. } = start;
    let otp = otp(*soc);
    let value = random.among(VALUE + 4 * SLOTS.start..VALUE + 4 * SLOTS.end);
    let index = match random.below(32) {
        0..4 => random.among(otp..otp + 2),
        4..10 => random.among(otp + 2..otp + 10),
        10..16 => random.among(CONFIG + 2 * SLOTS.start..CONFIG + 2 * SLOTS.end),
        16..22 => value,
        22..24 => random.among(0..otp),
        24..26 => random.among(otp + 10..CONFIG),
        26 => random.among(CONFIG + 2 * SLOTS.end..VALUE),
        27 => random.among(VALUE + 4 * SLOTS.end..UICR_WORDS),
        28..30 => return key_edit(page, random, |_, _| ERASED),
        _ => {
            let from = random.among(SLOTS);
            return key_edit(page, random, |page, (slot, word)| match word {
                _ if !SLOTS.contains(&(from + slot)) => ERASED,
                0..2 => page[CONFIG + 2 * (from + slot) + word],
                _ => page[VALUE + 4 * (from + slot) + word - 2],
            });
        }
    };
    let old = page[index];
    let bit = 1 << random.below(32);
    page[index] = match random.below(12) {
        0 => 0,
        1 | 2 => ERASED,
        3 => old & !bit,
        4 => old | bit,
        5 => old & 0xFFFF_0000,
        6 => old & 0x0000_FFFF,
        7 => old | *random.one_of(&[0xFFFF_0000, 0x0000_FFFF]),
        8 => *random.one_of(&[
            0x5084_5400,
            0x5084_5410,
            0x5084_1400,
            0xFFFF_FFFC,
            0xFFFF_FFFA,
            0xFFFF_0000,
            silicon::READ_DENIED,
        ]),
        9 => page[value],
        10 => u32::from_le_bytes(id.as_bytes().as_chunks().0[index % 8]),
        _ => u32::try_from(random.word() >> 32).unwrap(),
    };
}

/// Changes one or two slots; `word` gives what is in a word of a slot, the header first.
fn key_edit(page: &mut Page, random: &mut SplitMix64, word: impl Fn(&Page, (usize, usize)) -> u32) {
    let to = 2 * random.among(1..4);
    for slot in 0..=random.among(0..2) {
        for index in 0..6 {
            let new = word(page, (slot, index));
            match index {
                0..2 => page[CONFIG + 2 * (to + slot) + index] = new,
                _ => page[VALUE + 4 * (to + slot) + index - 2] = new,
            }
        }
    }
}

#[test]
fn any_content_is_left_alone_or_completed() {
    LazyLock::force(&BASES);
    let began = Instant::now();
    let (cases, ends) = testing::play_cases(|case| play(&start(case)));
    eprintln!("{cases} cases in {:?}, by number of the cause: {ends:?}", began.elapsed());
    if cases >= 20_000 {
        assert!(ends.keys().eq(&ENDS), "an end was not met, or should not have been");
        let through = ends[&SUCCESS] + ends[&ALREADY_PROVISIONED];
        assert!(through * 20 >= cases, "only {through} of {cases} runs went through");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Every word is anything, but for a state and an ID that let the run go on now and then.
    #[test]
    fn arbitrary_words_are_left_alone(
        words in prop::collection::vec(any::<u32>(), UICR_WORDS),
        lifecycle in prop::sample::select(vec![None, Some([ERASED; 2]), Some([0xFFFF_0000, ERASED])]),
        known_id: bool,
        erased_slots in prop::sample::subsequence(SLOTS.collect::<Vec<_>>(), 0..=SLOTS.len()),
        soc in prop::sample::select(Soc::CRYPTOCELL.to_vec()),
        source in prop::sample::select(IdentityKeySource::ALL.to_vec()),
    ) {
        let id: ImplementationId = ID.parse().unwrap();
        let mut page: Page = words.try_into().unwrap();
        if let Some(lifecycle) = lifecycle {
            page[otp(soc)..][..2].copy_from_slice(&lifecycle);
        }
        if known_id {
            for (word, bytes) in page[otp(soc) + 2..].iter_mut().zip(id.as_bytes().as_chunks().0) {
                *word = u32::from_le_bytes(*bytes);
            }
        }
        for slot in erased_slots {
            page[CONFIG + 2 * slot..][..2].fill(ERASED);
            page[VALUE + 4 * slot..][..4].fill(ERASED);
        }
        let played = play(&Start { soc, page, id, source });
        prop_assert!(played.is_ok(), "{:?}", played);
    }
}
