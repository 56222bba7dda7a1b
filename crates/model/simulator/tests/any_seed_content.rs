// SPDX-License-Identifier: Apache-2.0

//! Any content of an nRF54L15 as the starting state, as `any_content` has it of the parts that store their keys: no
//! crash, no `Success!` and no "already provisioned" on a bad part, and no write to a part that is not ours to write.
//!
//! A case follows from its number alone. `PROVISIONING_CASES` says how many are played, and
//! `PROVISIONING_FIRST_CASE` where they begin, to replay one.

use std::sync::LazyLock;

use provisioning::{
    Cause, Config, Event, Failure, IdentityKeySource, ImplementationId, Piece, Written,
};
use silicon::power::Cut;
use silicon::{ERASED, IllegalAccess, Memory, Silicon, Soc};
use simulator::inspector::{self, Wanted};
use simulator::run;
use simulator::testing::{self, ID, SplitMix64};

/// Two words look erased, written or not.
const ID_WITH_GAPS: &str = "FFFFFFFF0405060708090A0BFFFFFFFF101112131415161718191A1B1C1D1EFE";

/// OTP begins with the four words of the lifecycle state, and goes on with the eight of the implementation ID.
const OTP: usize = 0x140;
const ID_WORDS: std::ops::Range<usize> = 0x144..0x14C;

/// The slots of the seed, the one behind them in which the driver makes its note, and what a slot holds behind its
/// value.
const SEED: std::ops::Range<usize> = 183..186;
const NOTE: usize = 186;
/// The driver's own two slots, of which it makes a note in the same way.
const OWN: std::ops::Range<usize> = 248..250;
const OWN_NOTE: u32 = 0xF802;
const SLOT: usize = 7;
const DEST: usize = 4;
const METADATA: usize = 5;
const POLICY: usize = 6;

/// What the driver writes to the three slots, and what its note says: slot 183, three slots.
const SEED_DEST: [u32; 3] = [0x5004_8410, 0x5004_8420, 0x5004_8430];
const SEED_METADATA: [u32; 3] = [0x0150_0010, ERASED, ERASED];
const NOTE_METADATA: u32 = 0xB703;
const ROTATING: u32 = 1;
const LOCKED: u32 = 2;
const REVOKED: u32 = 0;

fn slot(memory: &Memory, number: usize) -> &[u32] {
    &memory.key_store[SLOT * number..][..SLOT]
}

/// Both of the driver's own slots hold something, or neither.
fn own_are_alike(memory: &Memory) -> bool {
    let mut own = OWN.map(|number| [ERASED, REVOKED].contains(&slot(memory, number)[POLICY]));
    own.next() == own.next()
}

/// The driver cannot be used at all: it cannot write its own slots, or cannot push them.
fn driver_is_stuck(memory: &Memory) -> bool {
    let note = slot(memory, NOTE);
    if OWN.clone().all(|number| slot(memory, number)[POLICY] == ERASED) {
        let is_seed_begun = SEED.clone().any(|number| slot(memory, number)[POLICY] != ERASED);
        return match note[POLICY] {
            ERASED => false,
            ROTATING => note[METADATA] == NOTE_METADATA && is_seed_begun,
            _ => true,
        };
    }
    OWN.clone().any(|number| {
        let slot = slot(memory, number);
        [ERASED, REVOKED].contains(&slot[POLICY]) || !goes_to_cracen(slot[DEST])
    })
}

/// The modelled memory of CRACEN: its protected RAM, and the seed register.
fn goes_to_cracen(dest: u32) -> bool {
    (0x5181_0040..0x5181_0060).contains(&dest) || SEED_DEST.contains(&dest)
}

/// What this project may do to a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ours {
    /// Nothing: no run begins in this state or leaves it behind.
    No,
    /// Write what is missing.
    Complete,
    /// Check it.
    Check,
}

/// The rule, written down once more: the state is ASSEMBLY or PROVISIONING alone; each word of the ID is blank or
/// whole; the seed is blank, or whole behind a whole ID; no slot is revoked, and no note is there, or that of a
/// seed of which nothing is written, or of one that is to be completed, or that of the driver's own slots, if it is not
/// stuck between the two.
fn ours(memory: &Memory, id: &[u8; 32], complete_seed: bool) -> Ours {
    let otp = &memory.page[OTP..];
    // The third word is not a state.
    let provisioning = match [otp[0], otp[1], otp[3]] {
        [ERASED, ERASED, ERASED] => false,
        [0, ERASED, ERASED] => true,
        _ => return Ours::No,
    };
    let found = &memory.page[ID_WORDS];
    let wanted = id.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
    let id_whole = wanted.clone().eq(found.iter().copied());
    let id_blank = found.iter().all(|word| *word == ERASED);
    let id_words = found.iter().zip(wanted).all(|(found, word)| *found == word || *found == ERASED);
    if !(id_whole || id_blank || (provisioning && id_words)) {
        return Ours::No;
    }
    let note = slot(memory, NOTE);
    let has_note = match note[POLICY] {
        ERASED => false,
        REVOKED => return Ours::No,
        _ if note[METADATA] == NOTE_METADATA => true,
        _ if note[METADATA] == OWN_NOTE && own_are_alike(memory) => false,
        _ => return Ours::No,
    };
    let mut written = 0;
    for (number, metadata) in SEED.zip(SEED_METADATA) {
        let slot = slot(memory, number);
        match slot[POLICY] {
            ERASED => {}
            REVOKED => return Ours::No,
            _ if slot[METADATA] == metadata => written += 1,
            _ => return Ours::No,
        }
    }
    match (written, has_note) {
        (0, _) => Ours::Complete,
        _ if !provisioning || !id_whole => Ours::No,
        (3, false) => Ours::Check,
        (_, true) if complete_seed => Ours::Complete,
        _ => Ours::No,
    }
}

/// A part to start with.
#[derive(Clone)]
struct Start {
    memory: Memory,
    id: ImplementationId,
    complete_seed: bool,
}

/// What is wrong with a part that is said to be good. Words that a run may not write are judged as if erased; so is, of
/// slots that were there before, what nobody can read: value, policy, and a destination that works.
fn problems(start: &Start, left: &Memory, public_key: Option<[u8; 65]>) -> Vec<String> {
    let mut judged = left.clone();
    for (index, word) in judged.page.iter_mut().enumerate() {
        if index != OTP && !ID_WORDS.contains(&index) && ![OTP + 1, OTP + 3].contains(&index) {
            *word = ERASED;
        }
    }
    for (index, word) in judged.key_store.iter_mut().enumerate() {
        if !SEED.chain([NOTE]).chain(OWN).any(|number| number == index / SLOT) {
            *word = ERASED;
        }
    }
    // Slots of the driver's that another has written may be revoked for good, and then it cannot be used any more.
    let policies = OWN.map(|number| slot(&start.memory, number)[POLICY]);
    if policies.into_iter().any(|policy| ![ERASED, ROTATING].contains(&policy)) {
        let own = SLOT * OWN.start..SLOT * OWN.end;
        judged.key_store[own.clone()].copy_from_slice(&start.memory.key_store[own]);
    }
    let wanted = Wanted { implementation_id: *start.id.as_bytes(), public_key };
    let part = Silicon::with_memory(Soc::Nrf54l15, [0; 32], &judged);
    let mut problems = inspector::problems_of(&part, &wanted);
    for number in SEED.chain(OWN).filter(|number| slot(&start.memory, *number)[POLICY] != ERASED) {
        problems.retain(|problem| !problem.starts_with(&format!("slot {number}")));
    }
    if slot(&start.memory, NOTE)[METADATA] == OWN_NOTE {
        problems.retain(|problem| !problem.starts_with("slot 186"));
    }
    problems
}

/// How a run ended: the number of its cause, 0 for `Success!`.
type End = u8;

/// Every way in which a run ends from some content, if its drivers are honest.
const ENDS: [End; 13] = [SUCCESS, 1, 2, 6, 14, 17, 28, ALREADY_PROVISIONED, 33, 38, 39, 41, 44];
const SUCCESS: End = 0;
const ALREADY_PROVISIONED: End = 29;

/// Provisions a part; how that ended, or what must not be.
fn play(start: &Start) -> Result<End, String> {
    let config = Config {
        complete_seed: start.complete_seed,
        ..Config::new(start.id, IdentityKeySource::Generated)
    };
    // A run that panicked has left its part behind.
    drop(silicon::remove());
    let part = Silicon::with_memory(Soc::Nrf54l15, [2; 32], &start.memory);
    let mut success = false;
    let (part, result) = run(part, &config, |event| success |= event == Event::Success);
    let (before, left) = (&start.memory, part.memory());
    let claim = || match &result {
        Ok(_) => Event::Success.to_string(),
        Err(failure) => failure.to_string(),
    };
    let must = |holds, what: &str| if holds { Ok(()) } else { Err(format!("{what}: {}", claim())) };
    must(success == result.is_ok(), "\"Success!\" is not what the result says")?;

    // What no driver writes, and the KMU says so when it is used.
    let note = slot(before, NOTE);
    let own_stay =
        OWN.clone().any(|number| [LOCKED, REVOKED].contains(&slot(before, number)[POLICY]));
    let is_stuck = match note[POLICY] {
        ERASED => false,
        // The driver revokes what its note names before it takes the note back.
        ROTATING => note[METADATA] == OWN_NOTE && own_stay,
        _ => true,
    };
    let goes_elsewhere = SEED.zip(SEED_DEST).any(|(number, dest)| {
        let slot = slot(before, number);
        slot[POLICY] != ERASED && slot[DEST] != dest
    });
    if let Some(access) = part.illegal_access() {
        let is_expected = match access {
            IllegalAccess::SlotTaken(slot) => is_stuck && slot as usize == NOTE,
            IllegalAccess::NotOnThisPart(_) | IllegalAccess::SeedRegister => {
                goes_elsewhere || driver_is_stuck(before)
            }
            _ => false,
        };
        must(is_expected, &access.to_string())?;
    }

    // Whoever uses the driver has it revoke what its note names, if it has no slots of its own yet. A seed that it has
    // written is locked.
    let is_revoked = ![ERASED, REVOKED].contains(&note[POLICY])
        && note[METADATA] == NOTE_METADATA
        && OWN.clone().all(|number| slot(before, number)[POLICY] == ERASED)
        && SEED
            .clone()
            .any(|number| ![ERASED, LOCKED, REVOKED].contains(&slot(before, number)[POLICY]));

    // What was there is there still. An erased slot holds nothing, and the note and two slots are the driver's.
    let page = before.page.iter().zip(&left.page).enumerate().all(|(index, (before, after))| {
        let may_be_written = (index == OTP && *after == 0) || ID_WORDS.contains(&index);
        before == after || (*before == ERASED && may_be_written)
    });
    let slots = (0..).zip(before.key_store.iter().zip(&left.key_store)).all(
        |(index, (before_word, after_word)): (usize, _)| {
            let number = index / SLOT;
            let was_erased = slot(before, number)[POLICY] == ERASED;
            let is_drivers = number == NOTE || OWN.contains(&number) || is_revoked;
            before_word == after_word || is_drivers || (SEED.contains(&number) && was_erased)
        },
    );
    must(page && slots, "a word was written that is not ours")?;
    let untouched = before.page == left.page
        && SEED.clone().all(|number| is_revoked || slot(before, number) == slot(&left, number));
    let (cause, nothing) = match result {
        Ok(_) => (None, false),
        Err(Failure { cause, written, .. }) => (Some(cause), written == Written::Nothing),
    };
    must(untouched || !nothing, "it was written to")?;

    let expected = match ours(before, start.id.as_bytes(), start.complete_seed) {
        Ours::No => nothing && !matches!(cause, Some(Cause::AlreadyProvisioned)),
        Ours::Complete => match cause {
            None => true,
            // The second where a seed is to be completed.
            Some(Cause::NoRandom(_) | Cause::Torn(Piece::Seed)) => {
                driver_is_stuck(before) && nothing
            }
            // A note that cannot be taken back, or not without being revoked for good.
            Some(Cause::SeedNotWritten(_) | Cause::SeedRevoked) => {
                (is_stuck || is_revoked) && !nothing
            }
            Some(Cause::HukUnusable(..)) => goes_elsewhere,
            _ => false,
        },
        Ours::Check => match cause {
            Some(Cause::AlreadyProvisioned) => nothing,
            Some(Cause::HukUnusable(..)) => nothing && (goes_elsewhere || driver_is_stuck(before)),
            _ => false,
        },
    };
    must(expected, "the part is not what it was taken for")?;

    let key = match (&result, cause) {
        (Ok(key), _) => Some(*key.as_bytes()),
        (_, Some(Cause::AlreadyProvisioned)) => None,
        (_, cause) => return Ok(cause.map_or(SUCCESS, Cause::code)),
    };
    let problems = problems(start, &left, key);
    must(problems.is_empty(), &problems.join("; "))?;
    Ok(cause.map_or(SUCCESS, Cause::code))
}

/// Torn, begun and finished, by [`Ours`]; and those with another past.
static BASES: LazyLock<[Vec<Start>; 4]> = LazyLock::new(|| {
    let mut bases = [const { Vec::new() }; 4];
    for text in [ID, ID_WITH_GAPS] {
        let id = text.parse().unwrap();
        let config = Config::new(id, IdentityKeySource::Generated);
        let mut cut_at = |cut: Option<Cut>| {
            let mut part = Silicon::erased(Soc::Nrf54l15, [1; 32]);
            if let Some(cut) = cut {
                part.cut(cut);
            }
            let (part, _) = run(part, &config, |_| ());
            assert_eq!((part.illegal_access(), part.is_off()), (None, cut.is_some()));
            let start = Start { memory: part.memory(), id, complete_seed: false };
            bases[ours(&start.memory, id.as_bytes(), false) as usize].push(start.clone());
            (part.writes(), start)
        };
        let (writes, complete) = cut_at(None);
        for cut in (1..=writes).flat_map(Cut::at) {
            cut_at(Some(cut));
        }
        // Secured, decommissioned, and a loader's zeros over it.
        let mut other = |words: std::ops::Range<usize>| {
            let mut start = complete.clone();
            start.memory.page[words].fill(0);
            bases[3].push(start);
        };
        other(OTP + 1..OTP + 2);
        other(OTP + 1..OTP + 4);
        other(OTP..ID_WORDS.end);
    }
    bases
});

fn start(case: u64) -> Start {
    let mut random = SplitMix64::new(case);
    let kind = *random.one_of(&[0, 0, 1, 1, 2, 3]);
    let mut start = random.one_of(&BASES[kind]).clone();
    start.complete_seed = random.below(2) == 0;
    if random.below(16) == 0 {
        start.id = random.one_of(&[ID, ID_WITH_GAPS]).parse().unwrap();
    }
    for _ in 0..random.below(7).max(random.below(7)) {
        edit(&mut start, &mut random);
    }
    start
}

/// Changes a word, of those that matter most times, or a whole slot.
fn edit(start: &mut Start, random: &mut SplitMix64) {
    let Start { memory, id, .. } = start;
    let number = random.among(SEED.start..NOTE + 3);
    // The driver's own slots are numbered as if they were behind the note.
    let number = if number > NOTE { OWN.start + number - NOTE - 1 } else { number };
    let kind = random.below(32);
    if let 28.. = kind {
        // A slot is erased, or becomes like one of its like.
        let from = random.among(SEED.start - 1..NOTE + 1);
        memory.key_store.copy_within(SLOT * from..SLOT * (from + 1), SLOT * number);
        return;
    }
    let word = match kind {
        0..5 => &mut memory.page[random.among(OTP..OTP + 4)],
        5..10 => &mut memory.page[random.among(ID_WORDS)],
        10 => &mut memory.page[random.among(0..OTP)],
        11 => &mut memory.page[random.among(ID_WORDS.end..0x400)],
        12 => &mut memory.key_store[random.among(0..SLOT * 250)],
        13..16 => &mut memory.key_store[SLOT * number + random.among(0..DEST)],
        16..18 => &mut memory.key_store[SLOT * number + DEST],
        18..22 => &mut memory.key_store[SLOT * number + METADATA],
        _ => &mut memory.key_store[SLOT * number + POLICY],
    };
    let bit = 1 << random.below(32);
    *word = match random.below(10) {
        0 => 0,
        1 | 2 => ERASED,
        3 => *word & !bit,
        4 => *word | bit,
        5 => *random.one_of(&[ROTATING, LOCKED, 3]),
        6 => *random.one_of(&SEED_DEST),
        7 => *random.one_of(&[SEED_METADATA[0], NOTE_METADATA, OWN_NOTE]),
        8 => u32::from_le_bytes(*random.one_of(id.as_bytes().as_chunks().0)),
        _ => u32::try_from(random.word() >> 32).unwrap(),
    };
}

#[test]
fn any_content_is_left_alone_or_completed() {
    LazyLock::force(&BASES);
    let (cases, ends) = testing::play_cases(|case| play(&start(case)));
    eprintln!("{cases} cases, by number of the cause: {ends:?}");
    if cases >= 20_000 {
        assert!(ends.keys().eq(&ENDS), "an end was not met, or should not have been: {ends:?}");
        let through = ends[&SUCCESS] + ends[&ALREADY_PROVISIONED];
        assert!(through * 20 >= cases, "only {through} of {cases} runs went through");
    }
}
