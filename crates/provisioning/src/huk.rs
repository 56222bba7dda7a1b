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

    /// What CryptoCell must derive from this key under [`HUK_CHECK_LABEL`].
    #[must_use]
    pub fn check_value(&self, size: HukSize) -> KeyCheckValue {
        match size {
            HukSize::Bits128 => {
                let [key @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = &self.0;
                check_value(&Aes128::new(key.into()))
            }
            HukSize::Bits256 => check_value(&Aes256::new((&self.0).into())),
        }
    }
}

/// The label under which a HUK's [`KeyCheckValue`] is derived. Nothing else derives under it.
///
/// As long as this, it makes the message that is authenticated one block.
pub const HUK_CHECK_LABEL: [u8; 13] = *b"huk-selfcheck";

/// Sixteen bytes derived from a HUK, which tell whether two keys are the same and nothing else of them.
#[derive(PartialEq, Eq, ZeroizeOnDrop)]
pub struct KeyCheckValue([u8; 16]);

impl KeyCheckValue {
    /// Room for a value; all zero.
    #[must_use]
    pub const fn empty() -> Self {
        Self([0; 16])
    }

    /// The bytes, for a driver to fill.
    pub fn expose_mut(&mut self) -> &mut [u8; 16] {
        &mut self.0
    }
}

/// NIST SP 800-108r1, section 4.1 (counter mode) with AES-CMAC, one iteration of 128 bits, as
/// `nrf_cc3xx_platform_kmu_shadow_key_derive` is documented in `nrf_cc3xx_platform_kmu.h`: a counter, the
/// label, a zero, no context, and the length in bits, each number in as few bytes as it needs.
///
/// Of CMAC (NIST SP 800-38B, section 6.2) only what a message of one whole block takes: the crate `cmac`
/// is 700 bytes larger. The tests compare both.
fn check_value<C>(cipher: &C) -> KeyCheckValue
where
    C: BlockCipherEncrypt<BlockSize = aes::cipher::consts::U16>,
{
    let mut message = [0; 16];
    message[0] = 1;
    message[1..14].copy_from_slice(&HUK_CHECK_LABEL);
    message[15] = 128;

    let mut block = Zeroizing::new([0; 16]);
    cipher.encrypt_block((&mut *block).into());
    let subkey = Zeroizing::new(double(*block));
    for ((byte, message), subkey) in block.iter_mut().zip(message).zip(subkey.iter()) {
        *byte = message ^ subkey;
    }
    cipher.encrypt_block((&mut *block).into());
    KeyCheckValue(*block)
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

    /// The message as SP 800-108r1 has it, through the CMAC of the library.
    fn by_library<M: Mac + KeyInit>(key: &[u8]) -> [u8; 16] {
        let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
        for part in [&[1][..], &HUK_CHECK_LABEL, &[0], &128_u8.to_be_bytes()] {
            mac.update(part);
        }
        mac.finalize().into_bytes().as_slice().try_into().unwrap()
    }

    proptest! {
        #[test]
        fn check_values_are_the_librarys(bytes: [u8; 32]) {
            let mut key = HukKey::empty();
            *key.expose_mut() = bytes;
            let [short, long] = [HukSize::Bits128, HukSize::Bits256].map(|size| key.check_value(size));
            prop_assert_eq!(short.0, by_library::<Cmac<Aes128>>(&bytes[..16]));
            prop_assert_eq!(long.0, by_library::<Cmac<Aes256>>(&bytes));
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
