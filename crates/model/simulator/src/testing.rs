// SPDX-License-Identifier: Apache-2.0

//! What sweeps and tests of provisioned parts share.

use std::ops::Range;

use provisioning::{Config, IdentityKey, IdentityKeySource, ImplementationId, PublicKey};
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
