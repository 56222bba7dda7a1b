// SPDX-License-Identifier: Apache-2.0

//! What a second, independent look at a part has found.

use core::hint::black_box;

/// The checks that have held, each as a word of its own. A fault that skips a check, or the whole look, or
/// flips some bits of the word, does not make it the one word that means that all have held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict(u32);

/// A check of the second look. Which slots are the first, the second and the third, the keys of the part say.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(crate) enum Check {
    Lifecycle,
    ImplementationId,
    FirstSlots,
    SecondSlots,
    MkekValue,
    MextValue,
    ThirdSlots,
    IdentityKeyValue,
}

/// One word a check, such that any two sets of checks have sums that differ in ten bits or more.
const WORDS: [u32; 8] = [
    0x797D_76DE,
    0x44DC_DA6A,
    0xA850_1E2C,
    0x8775_1D4C,
    0xAA99_E079,
    0x598B_88DB,
    0x2481_74E5,
    0x61B3_39FF,
];

/// That every check has held.
const ALL_HELD: u32 = {
    let mut sum = 0;
    let mut at = 0;
    while at < WORDS.len() {
        sum ^= WORDS[at];
        at += 1;
    }
    sum
};

impl Verdict {
    /// Nothing was looked at.
    pub(crate) const fn new() -> Self {
        Self(0)
    }

    /// Counts a check if it has held.
    pub(crate) fn count(&mut self, check: Check, held: bool) {
        if held {
            self.0 ^= WORDS[check as usize];
        }
    }

    /// Whether every check has held. The compiler is not to know how that came about: it would leave out what
    /// follows from the first look.
    pub(crate) fn holds(self) -> bool {
        black_box(self.0) == ALL_HELD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_sets_of_checks_come_near() {
        // The sums of two sets differ in the sum of what is in one of them only.
        for set in 1..1 << WORDS.len() {
            let members = WORDS.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
            let sum = members.fold(0, |sum, (_, word)| sum ^ word);
            assert!(sum.count_ones() >= 10, "{set:#010b}");
        }
    }

    #[test]
    fn only_all_checks_hold() {
        use Check::*;
        let all = [
            Lifecycle,
            ImplementationId,
            FirstSlots,
            SecondSlots,
            MkekValue,
            MextValue,
            ThirdSlots,
            IdentityKeyValue,
        ];
        let verdict = |missing: Option<usize>| {
            let mut verdict = Verdict::new();
            for (at, check) in all.into_iter().enumerate() {
                verdict.count(check, Some(at) != missing);
            }
            verdict
        };
        assert!(verdict(None).holds());
        assert!((0..8).all(|missing| !verdict(Some(missing)).holds()));
        assert!(!Verdict::new().holds());
    }
}
