// SPDX-License-Identifier: Apache-2.0

//! Resets in the procedure, and what they leave.

use core::fmt;

use log::{error, info};
use provisioning::IMPLEMENTATION_ID_SIZE;
use silicon::platform::{perm, slot};
use silicon::{ERASED, KeySlot};

use crate::assumptions::TARGET;
use crate::notes::Notes;
use crate::part;
use crate::run::{ID, soc};

/// Takes the cuts from a text, one for each run of the procedure; whether each of them is one.
pub fn take(notes: &mut Notes, text: &str) -> bool {
    notes.cuts = [[0; 12]; 16];
    let mut words = text.split_ascii_whitespace();
    for (room, word) in notes.cuts.iter_mut().zip(&mut words) {
        // The last byte stays zero.
        match room.split_last_mut().and_then(|(_, room)| room.get_mut(..word.len())) {
            Some(room) if is_cut(word) => room.copy_from_slice(word.as_bytes()),
            _ => {
                error!(target: TARGET, "\"{word}\" is no cut");
                return false;
            }
        }
    }
    if words.next().is_some() {
        error!(target: TARGET, "more than {} cuts", notes.cuts.len());
        return false;
    }
    true
}

/// Arms the next cut, if there is one for this run of the procedure.
pub fn arm(notes: &mut Notes) -> bool {
    let Some(text) = notes.cuts.get(notes.next_cut as usize) else { return false };
    let size = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    let text = str::from_utf8(&text[..size]).unwrap_or_default();
    if text.is_empty() {
        return false;
    }
    notes.next_cut += 1;
    info!(target: TARGET, "cut {}: {text}", notes.next_cut);
    arm_text(text);
    true
}

/// In cycles.
#[cfg(not(CONFIG_BOARD_NATIVE_SIM))]
mod in_time {
    unsafe extern "C" {
        fn silicon_test_reset_in(cycles: u64);
    }

    pub fn is_cut(text: &str) -> bool {
        text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u64>().is_ok_and(|n| n > 0)
    }

    pub fn arm_text(text: &str) {
        // SAFETY: the interrupt that comes resets the machine.
        unsafe { silicon_test_reset_in(text.parse().unwrap_or(0)) }
    }

    pub fn disarm() {
        // SAFETY: as above.
        unsafe { silicon_test_reset_in(0) }
    }
}
#[cfg(not(CONFIG_BOARD_NATIVE_SIM))]
pub use in_time::disarm;
#[cfg(not(CONFIG_BOARD_NATIVE_SIM))]
use in_time::{arm_text, is_cut};

/// By the model, in writes.
#[cfg(CONFIG_BOARD_NATIVE_SIM)]
mod in_writes {
    use silicon::power::Cut;
    use silicon::with_installed;

    pub fn is_cut(text: &str) -> bool {
        text.parse::<Cut>().is_ok()
    }

    pub fn arm_text(text: &str) {
        if let Ok(cut) = text.parse() {
            with_installed(|part| part.cut(cut));
        }
    }

    pub fn disarm() {
        with_installed(|part| {
            part.cut(Cut { write: u32::MAX, reach: silicon::power::Reach::Before })
        });
    }
}
#[cfg(CONFIG_BOARD_NATIVE_SIM)]
pub use in_writes::disarm;
#[cfg(CONFIG_BOARD_NATIVE_SIM)]
use in_writes::{arm_text, is_cut};

/// How far a piece is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Whole,
    Torn,
    Blank,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "w",
            Self::Torn => "t",
            Self::Blank => "-",
        })
    }
}

/// Looks at what a cut has left, by code that is not the procedure's, and notes whether it is in order: whole
/// pieces, at most one torn one, blank ones. The pieces are words of OTP and key slots, as the procedure writes them.
pub fn inspect(notes: &mut Notes) {
    let otp = soc().bl_storage();
    let lifecycle = word(part::read(otp), 0xFFFF_0000);
    let mut id = [Piece::Blank; IMPLEMENTATION_ID_SIZE / 4];
    let wanted = ID.as_bytes().as_chunks::<4>().0;
    for ((piece, address), wanted) in id.iter_mut().zip((otp + 8..).step_by(4)).zip(wanted) {
        *piece = word(part::read(address), u32::from_le_bytes(*wanted));
    }
    let huk = soc().slots_per_huk();
    let huks = [slot::MKEK, slot::MEXT].into_iter().flat_map(|first| first..first + huk);
    let huks = huks.map(|slot| key_slot(slot, perm::PUSH_ONLY));
    let identity_key = [slot::KIDENT, slot::KIDENT + 1].map(|slot| key_slot(slot, perm::READ_ONLY));

    let mut left = [Piece::Blank; 16];
    let pieces = core::iter::once(lifecycle).chain(id).chain(huks).chain(identity_key);
    let count = left.iter_mut().zip(pieces).map(|(left, piece)| *left = piece).count();
    let left = &left[..count];
    let whole = left.iter().take_while(|piece| **piece == Piece::Whole).count();
    let torn = usize::from(left.get(whole) == Some(&Piece::Torn));
    let is_in_order = left[whole + torn..].iter().all(|piece| *piece == Piece::Blank);
    // One before the first write, or after the last, says nothing.
    let is_between = whole < count && left.iter().any(|piece| *piece != Piece::Blank);
    notes.cuts_made += u32::from(is_between);
    notes.cuts_in_order += u32::from(is_between && is_in_order);
    info!(target: TARGET, "cut {} has left: {}", notes.next_cut, Left(left));
}

fn word(found: u32, wanted: u32) -> Piece {
    match found {
        ERASED => Piece::Blank,
        found if found == wanted => Piece::Whole,
        _ => Piece::Torn,
    }
}

fn key_slot(slot: KeySlot, perm: u32) -> Piece {
    match part::slot(slot) {
        [ERASED, ERASED, ERASED, ERASED, ERASED, ERASED] => Piece::Blank,
        [_, found, ..] if found == perm => Piece::Whole,
        _ => Piece::Torn,
    }
}

struct Left<'a>(&'a [Piece]);

impl fmt::Display for Left<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (otp, slots) = self.0.split_at(1 + IMPLEMENTATION_ID_SIZE / 4);
        f.write_str("OTP ")?;
        otp.iter().try_for_each(|piece| piece.fmt(f))?;
        f.write_str(", slots ")?;
        slots.iter().try_for_each(|piece| piece.fmt(f))?;
        f.write_str(" (w whole, t torn, - blank)")
    }
}
