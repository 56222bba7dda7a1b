// SPDX-License-Identifier: Apache-2.0

//! Checks on a blank part, before the procedure: UICR, KMU and CryptoCell's library, on words and slots that no
//! product uses.
//!
//! Each stage ends with an access that a part should ignore, and that freezes the model. The next one, after a
//! reset, looks at what has become of it.

use silicon::platform::perm;
use silicon::vectors::Vector;
use silicon::{ERASED, KeySlot};

use crate::assumptions::{Assumption, not_seen_here, report, report_limit};
use crate::notes::Notes;
use crate::part::{self, Selected, SlotWord, Words};
use crate::run::{cycles, drivers, soc};

/// Near the end of OTP, where NSIB has no data: PS, UICR, OTP[n]. The SDK does not use the very last word.
const OTP_WORD: u32 = 0x00FF_83F4;
/// The one before it, to take the time.
const OTP_WORD_TO_TIME: u32 = OTP_WORD - 4;

/// What the CPU reads where it may not read: nRF9161 PS, KMU, "Access control". Not the model's constant.
pub const READ_DENIED: u32 = 0xDEAD_DEAD;

/// Key slots that no library reserves.
mod slots {
    use silicon::KeySlot;

    pub const AS_HUK: KeySlot = 100;
    pub const AS_IDENTITY_KEY: KeySlot = 101;
    pub const OPEN: KeySlot = 102;
    pub const BY_LIBRARY: KeySlot = 103;
    /// And the one behind it.
    pub const VECTOR: KeySlot = 104;
    /// Two for each word of an identity key's two slots.
    pub const IS_STORED: KeySlot = 40;
    pub const SELECTED_ANEW: KeySlot = 106;
}

/// Words of two slots: DEST, VALUE and PERM of each.
const IDENTITY_KEY_WORDS: usize = 12;

/// All that this test writes to, but for what the procedure writes.
pub fn is_blank() -> bool {
    let is_blank = |slot| part::slot(slot) == [ERASED; 6];
    [OTP_WORD, OTP_WORD_TO_TIME].into_iter().all(|word| part::read(word) == ERASED)
        && (2..8).chain(40..64).chain(100..112).all(is_blank)
}

const VALUE: [u32; 4] = [0x1111_1111, 0x2222_2222, 0x3333_3333, 0x4444_4444];

/// What the CPU reads of a slot.
fn words(dest: u32, perm: u32, value: [u32; 4]) -> [u32; 6] {
    let [a, b, c, d] = value;
    [dest, perm, a, b, c, d]
}

/// Reads and writes that are allowed. Ends with a second write to a halfword of OTP.
pub fn on_a_blank_part(notes: &mut Notes) {
    notes.device_id = drivers::device_id();
    draw(notes);

    let mut otp = |what, written: Option<u32>, predicted: u32| {
        if let Some(word) = written {
            part::write(OTP_WORD, word);
        }
        report(notes, what, Words(&[predicted]), Words(&[part::read(OTP_WORD)]));
    };
    otp(Assumption::OtpErased, None, ERASED);
    otp(Assumption::OtpHalfword, Some(0xFFFF_1234), 0xFFFF_1234);
    otp(Assumption::OtpOtherHalf, Some(0x5678_FFFF), 0x5678_1234);
    match cycles() {
        Some(before) => {
            part::write(OTP_WORD_TO_TIME, 0);
            let taken = cycles().unwrap_or(before).wrapping_sub(before);
            // 100 us at 64 MHz.
            report_limit(notes, Assumption::OtpTime, 6400, taken);
        }
        None => not_seen_here(notes, Assumption::OtpTime, "time stands still"),
    }

    slot_as_a_huk(notes);
    let slot = slots::AS_IDENTITY_KEY;
    write_slot(slot, &[&VALUE_WORDS[..], &[(SlotWord::Perm, perm::READ_ONLY)]]);
    let predicted = words(ERASED, perm::READ_ONLY, VALUE);
    let seen = part::slot(slot);
    report(notes, Assumption::SlotOfIdentityKey, Words(&predicted), Words(&seen));

    let slot = slots::SELECTED_ANEW;
    let dest = part::aes_address(0);
    write_slot(slot, &[&[(SlotWord::Dest, dest)]]);
    write_slot(slot, &[&VALUE_WORDS]);
    let predicted = words(dest, ERASED, VALUE);
    report(notes, Assumption::SelectedAnew, Words(&predicted), Words(&part::slot(slot)));

    library(notes);
    derivation(notes);
    is_stored(notes);
    part::write(OTP_WORD, 0xFFFF_0034);
}

/// What a read gives at each point of a slot's writing.
fn slot_as_a_huk(notes: &mut Notes) {
    let dest = part::aes_address(0);
    let [first, second, ..] = VALUE;
    let slot = Selected::new(slots::AS_HUK);
    let see = |notes: &mut Notes, what, predicted: [u32; 6]| {
        report(notes, what, Words(&predicted), Words(&slot.words()));
    };
    see(notes, Assumption::SlotErased, [ERASED; 6]);
    slot.write(SlotWord::Dest, dest);
    see(notes, Assumption::SlotWithDest, words(dest, ERASED, [ERASED; 4]));
    let (head, tail) = VALUE_WORDS.split_at(2);
    head.iter().for_each(|(word, value)| slot.write(*word, *value));
    see(notes, Assumption::SlotWithHalf, words(dest, ERASED, [first, second, ERASED, ERASED]));
    tail.iter().for_each(|(word, value)| slot.write(*word, *value));
    see(notes, Assumption::SlotOpen, words(dest, ERASED, VALUE));
    slot.write(SlotWord::Perm, perm::PUSH_ONLY);
    see(notes, Assumption::SlotOfHuk, words(dest, perm::PUSH_ONLY, [READ_DENIED; 4]));
    drop(slot);
    let seen = part::slot_not_selected(slots::AS_HUK);
    report(notes, Assumption::SlotNotSelected, Words(&[READ_DENIED; 6]), Words(&seen));
}

/// VALUE, word by word.
const VALUE_WORDS: [(SlotWord, u32); 4] = [
    (SlotWord::Value(0), VALUE[0]),
    (SlotWord::Value(1), VALUE[1]),
    (SlotWord::Value(2), VALUE[2]),
    (SlotWord::Value(3), VALUE[3]),
];

/// Writes words of a slot while it is selected.
pub fn write_slot(slot: KeySlot, words: &[&[(SlotWord, u32)]]) {
    let slot = Selected::new(slot);
    for (word, value) in words.iter().copied().flatten() {
        slot.write(*word, *value);
    }
}

fn library(notes: &mut Notes) {
    let slot = slots::BY_LIBRARY;
    let dest = part::aes_address(0);
    let code = part::write_key_slot(slot, dest, perm::PUSH_ONLY, &[0x5A; 16]);
    let predicted = words(dest, perm::PUSH_ONLY, [READ_DENIED; 4]);
    let seen = part::slot(slot);
    let what = Assumption::LibrarySlot;
    let predicted = format_args!("{}", Words(&predicted));
    match code {
        0 => report(notes, what, predicted, Words(&seen)),
        code => report(notes, what, predicted, Code(code)),
    }
}

fn derivation(notes: &mut Notes) {
    let Some(Vector { key, label, context, expected, .. }) = Vector::of(soc()) else {
        return;
    };
    let mut code = 0;
    for (index, key) in (0..).zip(key.as_chunks::<16>().0) {
        let (slot, dest) = (slots::VECTOR + index, part::aes_address(index));
        code |= part::write_key_slot(slot, dest, perm::PUSH_ONLY, key);
    }
    let mut derived = [0; 32];
    let derived = &mut derived[..expected.len()];
    code |= part::derive(slots::VECTOR, label, context, derived);
    match code {
        0 => report(notes, Assumption::Derivation, Hex(expected), Hex(derived)),
        code => report(notes, Assumption::Derivation, Hex(expected), Code(code)),
    }
}

/// Which words it looks at: a digit for each number of words that are written, 1 where it sees a key. Each is two slots
/// of its own, since the library selects slots itself.
fn is_stored(notes: &mut Notes) {
    let slot_words = || {
        let dest = (SlotWord::Dest, part::aes_address(0));
        let perm = (SlotWord::Perm, perm::READ_ONLY);
        core::iter::once(dest).chain(VALUE_WORDS).chain([perm])
    };
    let mut seen = [b'0'; IDENTITY_KEY_WORDS];
    for (number, seen) in (1..).zip(&mut seen) {
        let first = slots::IS_STORED + 2 * (number - 1);
        // The second slot first.
        for (slot, count) in [(first + 1, number.min(6)), (first, number.saturating_sub(6))] {
            let selected = Selected::new(slot);
            for (word, value) in slot_words().take(count as usize) {
                selected.write(word, value);
            }
        }
        if part::identity_key_is_stored(first) {
            *seen = b'1';
        }
    }
    let seen = str::from_utf8(&seen).unwrap_or("?");
    report(notes, Assumption::IsStored, "000000111111", seen);
}

/// Ends with a write to a slot that is closed.
pub fn after_otp_was_written_twice(notes: &mut Notes) {
    draw(notes);
    report(notes, Assumption::OtpTwice, Words(&[0x5678_1234]), Words(&[part::read(OTP_WORD)]));
    let predicted = words(part::aes_address(0), perm::PUSH_ONLY, [READ_DENIED; 4]);
    let seen = part::slot(slots::AS_HUK);
    report(notes, Assumption::SlotOfHukLater, Words(&predicted), Words(&seen));
    write_slot(slots::AS_IDENTITY_KEY, &[&[(SlotWord::Value(0), 0)]]);
}

/// Ends with a second write to a slot that is open.
pub fn after_a_closed_slot_was_written(notes: &mut Notes) {
    draw(notes);
    report_random(notes);
    let predicted = words(ERASED, perm::READ_ONLY, VALUE);
    let seen = part::slot(slots::AS_IDENTITY_KEY);
    report(notes, Assumption::ClosedSlotWritten, Words(&predicted), Words(&seen));
    write_slot(slots::OPEN, &[&VALUE_WORDS, &[(SlotWord::Value(0), 0)]]);
}

/// Ends with a second key for a slot, by CryptoCell's library.
pub fn after_an_open_slot_was_written_twice(notes: &mut Notes) {
    let predicted = words(ERASED, ERASED, VALUE);
    let seen = part::slot(slots::OPEN);
    report(notes, Assumption::OpenSlotWrittenTwice, Words(&predicted), Words(&seen));
    let (slot, dest) = (slots::AS_IDENTITY_KEY, part::aes_address(0));
    let code = part::write_key_slot(slot, dest, perm::PUSH_ONLY, &[0xA5; 16]);
    let predicted = Code(silicon::platform::KMU_WRITE_KEY_FAILED);
    report(notes, Assumption::LibraryRefuses, predicted, Code(code));
}

/// What has become of it.
pub fn after_a_key_was_written_twice(notes: &mut Notes) {
    let predicted = words(ERASED, perm::READ_ONLY, VALUE);
    let seen = part::slot(slots::AS_IDENTITY_KEY);
    report(notes, Assumption::LibraryLeaves, Words(&predicted), Words(&seen));
}

/// Two draws, into the notes.
fn draw(notes: &mut Notes) {
    let first = 2 * (notes.starts as usize - 1);
    for draw in notes.random.iter_mut().skip(first).take(2) {
        drivers::random(draw);
    }
    let is_the_same = drivers::device_id() == notes.device_id;
    if !is_the_same {
        notes.device_id = [0; 2];
    }
}

/// All draws, and the device ID, which each start has compared.
fn report_random(notes: &mut Notes) {
    let draws = &notes.random;
    let repeats = (1..draws.len()).any(|index| draws[..index].contains(&draws[index]));
    let is_good = !repeats && !draws.contains(&[0; 32]);
    report(notes, Assumption::Random, "yes", if is_good { "yes" } else { "no" });
    notes.random = [[0; 32]; 6];
    let is_good = ![[0; 2], [ERASED; 2]].contains(&notes.device_id);
    report(notes, Assumption::DeviceId, "yes", if is_good { "yes" } else { "no" });
}

/// A code of CryptoCell's library, as its headers write it.
pub struct Code(pub i32);

impl core::fmt::Display for Code {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        provisioning::DriverError::from_raw(self.0).fmt(f)
    }
}

/// Bytes, as hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl core::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
