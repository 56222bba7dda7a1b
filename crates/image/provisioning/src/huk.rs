// SPDX-License-Identifier: Apache-2.0

//! A hardware unique key that is about to be written, and how to tell later that the KMU holds it.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// How long the HUKs of a part are: `HUK_SIZE_BYTES` of `hw_unique_key.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HukSize {
    /// On CryptoCell 310: nRF91 Series.
    Bits128,
    /// On CryptoCell 312: nRF5340.
    Bits256,
}

impl HukSize {
    /// The size of so many bits; `None` where no part has HUKs of it.
    #[must_use]
    pub const fn from_bits(bits: usize) -> Option<Self> {
        match bits {
            128 => Some(Self::Bits128),
            256 => Some(Self::Bits256),
            _ => None,
        }
    }

    /// The label of a [`KeyCheckValue`]: as long as makes a message of one block. The counter takes a byte, the
    /// zero behind the label another, and the length in bits one or two.
    #[must_use]
    pub const fn label(self) -> &'static [u8] {
        match self {
            Self::Bits128 => &LABEL,
            Self::Bits256 => LABEL.split_at(12).0,
        }
    }

    /// AES blocks in a HUK.
    #[must_use]
    pub const fn blocks(self) -> u8 {
        match self {
            Self::Bits128 => 1,
            Self::Bits256 => 2,
        }
    }
}

/// Room for one HUK, cleared when it goes out of scope: 32 bytes, of which CryptoCell 310 uses 16.
#[derive(ZeroizeOnDrop)]
pub struct HukKey([u8; 32]);

impl HukKey {
    /// Room for a key; all zero.
    #[must_use]
    pub const fn empty() -> Self {
        Self([0; 32])
    }

    /// The key's bytes, for a generator to fill.
    pub fn expose_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }

    /// The key's bytes.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Clears the key.
    pub fn clear(&mut self) {
        self.0.zeroize();
    }

    /// What CryptoCell must derive from this key.
    #[must_use]
    pub fn check_value(&self, size: HukSize) -> KeyCheckValue {
        match size {
            HukSize::Bits128 => {
                let [key @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = &self.0;
                check_value(&Aes128::new(key.into()), size)
            }
            HukSize::Bits256 => check_value(&Aes256::new((&self.0).into()), size),
        }
    }
}

/// The label under which a HUK's [`KeyCheckValue`] is derived, of which [`HukSize::label`] takes as much as it has
/// room for. Nothing else derives under it.
const LABEL: [u8; 13] = *b"huk-selfcheck";

/// As many bytes derived from a HUK as it has itself, which tell whether two keys are the same and nothing else of
/// them. Behind 16 there are zeros where the HUK has no more.
#[derive(PartialEq, Eq, ZeroizeOnDrop)]
pub struct KeyCheckValue([u8; 32]);

impl KeyCheckValue {
    /// Room for a value; all zero.
    #[must_use]
    pub const fn empty() -> Self {
        Self([0; 32])
    }

    /// The bytes, for a driver to fill.
    pub fn expose_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }
}

/// NIST SP 800-108r1, section 4.1 (counter mode) with AES-CMAC, as `nrf_cc3xx_platform_kmu_shadow_key_derive` is
/// documented in `nrf_cc3xx_platform_kmu.h`: a counter of one byte, the label, a zero, no context, and the length
/// in bits, which takes as few bytes as it can. For both lengths that is what the SDK's vectors for silicon show,
/// `tests/lib/hw_unique_key`, and for no others.
///
/// Of CMAC (NIST SP 800-38B, section 6.2) only what a message of one whole block takes: the crate `cmac`
/// is 700 bytes larger. The tests compare both.
fn check_value<C>(cipher: &C, size: HukSize) -> KeyCheckValue
where
    C: BlockCipherEncrypt<BlockSize = aes::cipher::consts::U16>,
{
    let mut subkey = Zeroizing::new([0; 16]);
    cipher.encrypt_block((&mut *subkey).into());
    *subkey = double(*subkey);

    let label = size.label();
    let mut value = KeyCheckValue::empty();
    for (counter, block) in (1..).zip(value.0.as_chunks_mut::<16>().0).take(size.blocks().into()) {
        block[0] = counter;
        block[1..].iter_mut().zip(label).for_each(|(byte, label)| *byte = *label);
        match size {
            HukSize::Bits128 => block[15] = 128,
            HukSize::Bits256 => block[14] = 1,
        }
        block.iter_mut().zip(subkey.iter()).for_each(|(byte, subkey)| *byte ^= subkey);
        cipher.encrypt_block(block.into());
    }
    value
}

/// Multiplication by x in GF(2^128), without a branch on the key.
fn double(block: [u8; 16]) -> [u8; 16] {
    let number = u128::from_be_bytes(block);
    ((number << 1) ^ ((number >> 127) * 0x87)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use cmac::{Cmac, Mac};
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cleared_key_is_zeros() {
        let mut key = HukKey::empty();
        key.expose_mut().fill(0x5A);
        key.clear();
        assert_eq!(key.expose(), &[0; 32]);
    }

    /// The derivation as SP 800-108r1 has it, through the CMAC of the library.
    fn by_library<M: Mac + KeyInit>(key: &[u8], label: &[u8], bits: &[u8]) -> [u8; 32] {
        let mut value = [0; 32];
        for (counter, block) in (1..).zip(value.chunks_mut(16)).take(key.len() / 16) {
            let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
            for part in [&[counter][..], label, &[0], bits] {
                mac.update(part);
            }
            block.copy_from_slice(&mac.finalize().into_bytes());
        }
        value
    }

    proptest! {
        #[test]
        fn check_values_are_the_librarys(bytes: [u8; 32]) {
            let mut key = HukKey::empty();
            *key.expose_mut() = bytes;
            let [short, long] = [HukSize::Bits128, HukSize::Bits256].map(|size| key.check_value(size));
            prop_assert_eq!(
                short.0,
                by_library::<Cmac<Aes128>>(&bytes[..16], b"huk-selfcheck", &[128])
            );
            prop_assert_eq!(long.0, by_library::<Cmac<Aes256>>(&bytes, b"huk-selfchec", &[1, 0]));
        }
    }

    #[test]
    fn subkeys_of_nist_sp_800_38b() {
        // Appendix D.1, AES-128: CIPH(0), K1 and K2. CIPH(0) begins with a clear bit, K1 with a set one.
        let l = hex!("7df76b0c1ab899b33e42f047b91b546f");
        let k1 = hex!("fbeed618357133667c85e08f7236a8de");
        let k2 = hex!("f7ddac306ae266ccf90bc11ee46d513b");
        assert_eq!((double(l), double(k1)), (k1, k2));
    }

    #[test]
    fn the_other_half_of_a_short_key_does_not_count() {
        let mut key = HukKey::empty();
        let values: Vec<_> = (0..32)
            .map(|at| {
                key.expose_mut()[at] ^= 1;
                [HukSize::Bits128, HukSize::Bits256].map(|size| key.check_value(size).0)
            })
            .collect();
        assert!(values.windows(2).all(|pair| pair[0][1] != pair[1][1]));
        assert!(values[..16].windows(2).all(|pair| pair[0][0] != pair[1][0]));
        assert!(values[15..].windows(2).all(|pair| pair[0][0] == pair[1][0]));
    }
}
