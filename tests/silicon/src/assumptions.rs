// SPDX-License-Identifier: Apache-2.0

//! What is assumed about a part, and the lines that say what was seen.

use core::fmt::{self, Display, Write};

use log::info;

use crate::notes::Notes;

/// The target of all lines.
pub const TARGET: &str = "silicon";

/// How much depends on an assumption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A document or the SDK's sources say it, and the procedure relies on it.
    Relied,
    /// No document says it. The model takes the worst case, and the procedure relies on neither.
    Assumed,
}

macro_rules! assumptions {
    ($($(#[$doc:meta])* $number:literal $name:ident $weight:ident $text:literal;)+) => {
        /// An assumption, and its number in docs/fidelity.rst, which is never given to another.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Assumption { $($(#[$doc])* $name = $number,)+ }

        impl Assumption {
            /// Every one, in the order of the numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            const fn weight(self) -> Weight {
                match self { $(Self::$name => Weight::$weight,)+ }
            }

            const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

assumptions! {
    1 DeviceId Relied "FICR.INFO.DEVICEID: neither blank nor zero, and the same after resets";
    2 OtpErased Relied "OTP word: erased";
    3 OtpHalfword Relied "OTP word: ffff1234 written";
    4 OtpOtherHalf Relied "OTP word: then 5678ffff";
    5 OtpTwice Relied "OTP word: then ffff0034, and a reset";
    6 OtpTime Assumed "OTP word: cycles that a write takes";
    7 SlotErased Relied "Slot (DEST, PERM, VALUE): erased";
    8 SlotWithDest Relied "Slot: DEST written";
    9 SlotNotSelected Assumed "Slot: closed as for a HUK, but not selected";
    10 SlotWithHalf Relied "Slot: two words of VALUE written, too";
    11 SlotOpen Relied "Slot: all of VALUE written";
    12 SlotOfHuk Relied "Slot: PERM written as for a HUK";
    13 SlotOfHukLater Relied "Slot: closed as for a HUK, after a reset";
    14 SlotOfIdentityKey Relied "Slot: PERM written as for an identity key";
    15 ClosedSlotWritten Relied "Slot: the same, VALUE written once more, and a reset";
    16 OpenSlotWrittenTwice Relied "Slot: no PERM, VALUE written twice, and a reset";
    17 LibrarySlot Relied "kmu_write_key_slot: the slot after it";
    18 LibraryRefuses Assumed "kmu_write_key_slot: its code for a closed slot";
    19 LibraryLeaves Relied "kmu_write_key_slot: that slot after a reset";
    20 Derivation Relied "shadow_key_derive: the SDK's vector";
    21 IsStored Assumed "identity_key_is_stored: after each word of the second slot, then of the first";
    22 Random Relied "sys_csrand_get: six draws in three starts differ, and none is zero";
    23 Lifecycle Relied "Lifecycle PROVISIONING: the first word of OTP";
    24 Success Relied "Procedure: how it ends on a blank part";
    25 Again Relied "Procedure: number of the failure on that part once more";
    26 Mkek Relied "MKEK: its first slot";
    27 IdentityKey Assumed "Identity key: DEST and PERM of its slots";
    28 Wrapped Relied "identity_key_store: a known key in VALUE";
    29 Retrieved Relied "identity_key_retrieve: that key";
    30 RetrievedTorn Assumed "identity_key_retrieve: its code where the second slot is blank";
    31 StoredTwice Assumed "identity_key_store: its code for closed slots";
    32 StoredTwiceLeaves Relied "identity_key_store: the first slot after that, and a reset";
    33 Stack Relied "Procedure: bytes of the main stack";
    34 Clock Relied "Procedure: a clock runs";
    35 Cuts Relied "Cuts: left whole pieces, at most one torn, then blank ones";
    36 SelectedAnew Assumed "Slot: DEST written, selected anew, VALUE written";
}

/// What an assumption's number is in the notes.
pub const fn bit(assumption: Assumption) -> u64 {
    1 << assumption as u32
}

/// One line on what was seen, which should be the text that was predicted.
pub fn report(notes: &mut Notes, what: Assumption, predicted: impl Display, seen: impl Display) {
    let mut texts = [Text::EMPTY, Text::EMPTY];
    // A text takes all that fits.
    let _ = write!(texts[0], "{predicted}");
    let _ = write!(texts[1], "{seen}");
    let is_as_predicted = texts[0] == texts[1];
    line(notes, what, is_as_predicted, &texts[0], &texts[1]);
}

/// One line on a figure, for which a limit is predicted. A counter that stands still has counted nothing.
pub fn report_limit(notes: &mut Notes, what: Assumption, limit: u32, seen: u32) {
    line(notes, what, (1..=limit).contains(&seen), &format_args!("1 to {limit}"), &seen);
}

/// One line on what cannot be seen on this board.
pub fn not_seen_here(notes: &mut Notes, what: Assumption, why: &str) {
    notes.not_seen |= bit(what);
    info!(target: TARGET, "S{:02} | not seen here | {} | {why}", what as u32, what.text());
}

fn line(
    notes: &mut Notes,
    what: Assumption,
    is_as_predicted: bool,
    predicted: &dyn Display,
    seen: &dyn Display,
) {
    let (weight, verdict) = match (what.weight(), is_as_predicted) {
        (Weight::Relied, true) => ("relied on", "as predicted"),
        (Weight::Relied, false) => ("relied on", "DIFFERS"),
        (Weight::Assumed, true) => ("assumed", "as predicted"),
        (Weight::Assumed, false) => ("assumed", "differs"),
    };
    let noted = if is_as_predicted { &mut notes.as_predicted } else { &mut notes.differ };
    *noted |= bit(what);
    info!(
        target: TARGET,
        "S{:02} | {verdict} | {weight} | {} | {predicted} | {seen}",
        what as u32,
        what.text()
    );
}

/// The last lines: what was not reported, and the counts.
pub fn conclude(notes: &Notes) {
    let all = Assumption::ALL.iter().copied();
    let count = |which: fn(&Notes, Assumption) -> bool| {
        all.clone().filter(|what| which(notes, *what)).count()
    };
    for what in all.clone().filter(|what| !notes.has(*what)) {
        info!(target: TARGET, "S{:02} | not run | {} |", what as u32, what.text());
    }
    info!(
        target: TARGET,
        "checks: {}, of which {} as predicted, {} DIFFER, {} differ where nothing depends on it, {} not seen here, {} \
         not run",
        Assumption::ALL.len(),
        count(|notes, what| notes.as_predicted & bit(what) != 0),
        count(|notes, what| notes.differ & bit(what) != 0 && what.weight() == Weight::Relied),
        count(|notes, what| notes.differ & bit(what) != 0 && what.weight() == Weight::Assumed),
        count(|notes, what| notes.not_seen & bit(what) != 0),
        count(|notes, what| !notes.has(what)),
    );
}

/// A line's worth of text.
#[derive(PartialEq, Eq)]
struct Text {
    bytes: [u8; 128],
    size: usize,
}

impl Text {
    const EMPTY: Self = Self { bytes: [0; 128], size: 0 };
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (room, byte) in self.bytes.iter_mut().skip(self.size).zip(text.bytes()) {
            *room = byte;
            self.size += 1;
        }
        Ok(())
    }
}

impl Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.bytes[..self.size]).unwrap_or("?"))
    }
}
