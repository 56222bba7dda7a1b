// SPDX-License-Identifier: Apache-2.0

//! Loss of power at a write. From there on the part is dead: no later access changes or shows anything.
//!
//! A cut has a name, `17b`, `17t3` or `17a`: before write 17, within it, or behind it.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// When power is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// At which write since power-on, from 1. Writes that change no bit do not count.
    pub write: u32,
    /// How far that write gets.
    pub reach: Reach,
}

/// How far a write gets before power is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// No bit is written.
    Before,
    /// Some bits are written, the lowest first, and not all: with `m` bits to write, as many as the
    /// number modulo `m - 1`, and one. A single bit cannot be torn; then it is not written.
    Torn(u32),
    /// Every bit is written, and nothing after it.
    After,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reach {
            Reach::Before => write!(f, "{}b", self.write),
            Reach::Torn(number) => write!(f, "{}t{number}", self.write),
            Reach::After => write!(f, "{}a", self.write),
        }
    }
}

impl Cut {
    /// The three ways to lose power at one write. Which bits a torn write has differs from write to write.
    #[must_use]
    pub fn at(write: u32) -> [Self; 3] {
        [Reach::Before, Reach::Torn(5 * write), Reach::After].map(|reach| Self { write, reach })
    }
}

/// The text is not the name of a [`Cut`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a cut is the number of a write and b, t with a number, or a: 17b, 17t3, 17a")]
pub struct NotACut;

impl FromStr for Cut {
    type Err = NotACut;

    fn from_str(text: &str) -> Result<Self, NotACut> {
        let at = text.find(|c: char| !c.is_ascii_digit()).ok_or(NotACut)?;
        let (write, reach) = text.split_at(at);
        let reach = match reach {
            "b" => Reach::Before,
            "a" => Reach::After,
            _ => {
                let number = reach.strip_prefix('t').ok_or(NotACut)?;
                Reach::Torn(number.parse().map_err(|_| NotACut)?)
            }
        };
        let write = write.parse().ok().filter(|write| *write > 0).ok_or(NotACut)?;
        Ok(Self { write, reach })
    }
}

/// The power of a part, and how many writes it has made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Power {
    pub(crate) cut: Option<Cut>,
    pub(crate) lapse: Option<Cut>,
    pub(crate) writes: u32,
    pub(crate) off: bool,
    pub(crate) torn: bool,
}

impl Power {
    pub(crate) const ON: Self = Self { cut: None, lapse: None, writes: 0, off: false, torn: false };

    /// Counts a write that changes a word from `old` to `new`; what becomes of the word.
    pub(crate) fn write(&mut self, old: u32, new: u32) -> u32 {
        if new == old {
            return new;
        }
        self.writes += 1;
        let now = |cut: Option<Cut>| cut.filter(|cut| cut.write == self.writes);
        if let Some(cut) = now(self.cut) {
            self.off = true;
            let left = cut.reach.of(old, new);
            self.torn = left != old && left != new;
            left
        } else {
            now(self.lapse).map_or(new, |lapse| lapse.reach.of(old, new))
        }
    }
}

impl Reach {
    /// What a write from `old` to `new` leaves that gets so far.
    fn of(self, old: u32, new: u32) -> u32 {
        match self {
            Self::Before => old,
            Self::Torn(number) => tear(old, new, number),
            Self::After => new,
        }
    }
}

fn tear(old: u32, new: u32, number: u32) -> u32 {
    let mut left = old & !new;
    let bits = left.count_ones();
    if bits < 2 {
        return old;
    }
    for _ in 0..=number % (bits - 1) {
        left &= left - 1; // the lowest bit is written
    }
    new | left
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_torn_write_has_some_bits_and_not_all() {
        for number in 0..100 {
            for (old, new) in
                [(0xFFFF_FFFF, 0), (0xFFFF_FFFF, 0xFFFF_FFFC), (0xFFFF_0000, 0x1234_0000)]
            {
                let torn = tear(old, new, number);
                assert!(torn != old && torn != new);
                assert_eq!((torn & !old, new & !torn), (0, 0), "between both");
            }
        }
        assert_eq!(tear(0xFFFF_FFFF, 0, 0), 0xFFFF_FFFE);
        assert_eq!(tear(0xFFFF_FFFF, 0, 30), 0x8000_0000);
        assert_eq!(tear(3, 1, 7), 3, "a single bit");
    }

    #[test]
    fn cuts_have_names() {
        for name in ["1b", "17t0", "43t4294967295", "9a"] {
            assert_eq!(name.parse::<Cut>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn other_names_are_refused() {
        for name in ["", "b", "1", "0b", "1t", "1tx", "1bb", "1c", "1é"] {
            assert_eq!(name.parse::<Cut>(), Err(NotACut), "{name}");
        }
    }
}
