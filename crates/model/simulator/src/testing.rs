// SPDX-License-Identifier: Apache-2.0

//! What sweeps and tests of provisioned parts share.

use std::collections::BTreeMap;
use std::env;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use provisioning::{Config, IdentityKey, IdentityKeySource, ImplementationId, PublicKey};
use rayon::prelude::*;
use silicon::platform::{self, slot};
use silicon::{KeySlot, Silicon, Soc, UICR_BASE, UICR_WORDS, value_address};

/// An implementation ID of which no word is like another, or like erased OTP.
pub const ID: &str = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";

/// [`ID`] as a value.
///
/// # Panics
/// Never: it has 64 digits.
#[must_use]
pub fn id() -> ImplementationId {
    ID.parse().expect("64 digits")
}

/// A run with [`ID`] and this source of the identity key.
#[must_use]
pub fn config(identity_key: IdentityKeySource) -> Config {
    Config::new(id(), identity_key)
}

/// A HUK as it stands in the KMU, by its first slot: 32 bytes, or 16 on an nRF91.
#[must_use]
pub fn huk(part: &Silicon, first: KeySlot) -> Vec<u8> {
    let words = &part.page()[(value_address(first) - UICR_BASE) as usize / 4..];
    words[..part.soc().huk_size() / 4].iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The private identity key, if slots and MKEK give one. The part must not be frozen.
pub fn identity_key(part: &mut Silicon) -> Option<IdentityKey> {
    let mut key = IdentityKey::empty();
    let code = platform::identity_key_retrieve(part, slot::KIDENT, key.expose_mut());
    (code == 0).then_some(key)
}

/// The public half of the identity key in a page.
#[must_use]
pub fn public_key(soc: Soc, page: &[u32; UICR_WORDS]) -> Option<PublicKey> {
    identity_key(&mut Silicon::with_page(soc, [0; 32], *page))?.public_key()
}

/// How many cases ended how: by the number of the cause, 0 for `Success!`.
pub type Ends = BTreeMap<u8, u64>;

/// Plays cases that follow from their number alone, on all cores, and gives how many there were. `PROVISIONING_CASES` says
/// how many are played, else it is 20,000, and `PROVISIONING_FIRST_CASE` where they begin, to replay one.
///
/// # Panics
/// A case must not end as it did, or panics; the message says how to replay it. Or one of the variables is no number.
#[must_use]
pub fn play_cases(play: impl Fn(u64) -> Result<u8, String> + Sync) -> (u64, Ends) {
    let number = |variable, default| {
        env::var(variable).map_or(default, |text| text.parse().expect(variable))
    };
    let cases = number("PROVISIONING_CASES", 20_000);
    let first = number("PROVISIONING_FIRST_CASE", 0);
    match play_range(first..first + cases, play) {
        Ok(ends) => (cases, ends),
        Err((case, what)) => {
            panic!("{what}\nPROVISIONING_FIRST_CASE={case} PROVISIONING_CASES=1 plays it again")
        }
    }
}

/// Plays the cases with these numbers, on all cores. What is found is the same on any number of them.
///
/// # Errors
/// A case must not end as it did, or panics: the number of the first such case, and what it did.
pub fn play_range(
    cases: Range<u64>,
    play: impl Fn(u64) -> Result<u8, String> + Sync,
) -> Result<Ends, (u64, String)> {
    // Cases behind a bad one need not be played; those before it have to, since one of them may be the first.
    let first_bad = AtomicU64::new(u64::MAX);
    let (ends, bad) = cases
        .into_par_iter()
        .filter(|case| *case < first_bad.load(Ordering::Relaxed))
        .fold(<(Ends, Option<_>)>::default, |(mut ends, mut bad), case| {
            let played = catch_unwind(AssertUnwindSafe(|| play(case)))
                .unwrap_or_else(|_| Err(String::from("a panic")));
            match played {
                Ok(end) => *ends.entry(end).or_default() += 1,
                Err(what) => {
                    first_bad.fetch_min(case, Ordering::Relaxed);
                    bad = first(bad, Some((case, what)));
                }
            }
            (ends, bad)
        })
        .reduce(Default::default, |(mut ends, bad), (others, other_bad)| {
            for (end, count) in others {
                *ends.entry(end).or_default() += count;
            }
            (ends, first(bad, other_bad))
        });
    bad.map_or(Ok(ends), Err)
}

/// The one with the lower number.
fn first(one: Option<(u64, String)>, other: Option<(u64, String)>) -> Option<(u64, String)> {
    one.into_iter().chain(other).min_by_key(|(case, _)| *case)
}

/// Random numbers that follow from a seed alone, on every machine: Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", 2014.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The numbers of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub const fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `end`, without `end`.
    ///
    /// # Panics
    /// `end` is 0.
    pub fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.word() % u64::from(end)).expect("it is below a u32")
    }

    /// A number of the range.
    ///
    /// # Panics
    /// The range is empty, or longer than `u32::MAX`.
    pub fn among(&mut self, range: Range<usize>) -> usize {
        let length = u32::try_from(range.len()).expect("a short range");
        range.start + self.below(length) as usize
    }

    /// One of the items.
    ///
    /// # Panics
    /// There is none, or more than `u32::MAX`.
    pub fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.among(0..items.len())]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Runs it on so many threads, whatever the machine has.
    fn on<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
    }

    /// Some ends, and each case takes another time.
    fn end_of(case: u64) -> u8 {
        let mut random = SplitMix64::new(case);
        std::thread::sleep(Duration::from_micros(random.below(200).into()));
        u8::try_from(random.below(5)).unwrap()
    }

    #[test]
    fn the_ends_are_the_same_on_any_number_of_threads() {
        let alone = on(1, || play_range(70..570, |case| Ok(end_of(case))));
        assert_eq!(alone.as_ref().unwrap().values().sum::<u64>(), 500);
        for threads in [2, 3, 7] {
            assert_eq!(on(threads, || play_range(70..570, |case| Ok(end_of(case)))), alone);
        }
    }

    #[test]
    fn of_several_bad_cases_the_first_is_named_on_any_number_of_threads() {
        for threads in [1, 2, 3, 7] {
            let play = |case| {
                let end = end_of(case);
                assert!(case != 333, "the first bad one is told by a panic");
                if case > 333 && case % 10 == 1 { Err(format!("case {case}")) } else { Ok(end) }
            };
            let found = on(threads, || play_range(0..600, play));
            assert_eq!(found, Err((333, String::from("a panic"))), "{threads} threads");
            let found = on(threads, || play_range(334..600, play));
            assert_eq!(found, Err((341, String::from("case 341"))), "{threads} threads");
        }
    }
}
