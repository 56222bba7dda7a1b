// SPDX-License-Identifier: Apache-2.0

//! What the CryptoCell platform library does for the key drivers.

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use cmac::{Cmac, Mac};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::illegal_access::IllegalAccess;
use crate::part::Silicon;
use crate::uicr::KeySlot;

/// Bytes in an AES block, and in a key slot.
const BLOCK: usize = 16;

/// CTR_DRBG with AES-128 and no derivation function: NIST SP 800-90A rev. 1, section 10.2.1.
///
/// `nrf_cc3xx_platform_ctr_drbg.h` promises CTR_DRBG with a 16-byte key. That the library derives
/// its seed in another way cannot be seen from its output.
#[derive(ZeroizeOnDrop)]
pub struct CtrDrbg {
    key: [u8; BLOCK],
    counter: [u8; BLOCK],
}

impl CtrDrbg {
    /// Seeds the generator from entropy (section 10.2.1.3.1).
    pub(crate) fn new(mut seed: Zeroizing<[u8; 32]>, personalization: &[u8]) -> Self {
        for (byte, personal) in seed.iter_mut().zip(personalization) {
            *byte ^= personal;
        }
        let mut drbg = Self { key: [0; BLOCK], counter: [0; BLOCK] };
        drbg.update(&seed);
        drbg
    }

    /// `CTR_DRBG_Generate` without additional input (section 10.2.1.5.1).
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        let cipher = Aes128::new(&self.key.into());
        for chunk in bytes.chunks_mut(BLOCK) {
            let block = Zeroizing::new(self.next_block(&cipher));
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        self.update(&[0; 2 * BLOCK]);
    }

    /// `CTR_DRBG_Update` (section 10.2.1.2).
    fn update(&mut self, provided: &[u8; 2 * BLOCK]) {
        let cipher = Aes128::new(&self.key.into());
        self.key = self.next_block(&cipher);
        let counter = self.next_block(&cipher);
        self.counter = counter;
        for (byte, given) in self.key.iter_mut().chain(&mut self.counter).zip(provided) {
            *byte ^= given;
        }
    }

    fn next_block(&mut self, cipher: &Aes128) -> [u8; BLOCK] {
        self.counter = u128::from_be_bytes(self.counter).wrapping_add(1).to_be_bytes();
        let mut block = self.counter.into();
        cipher.encrypt_block(&mut block);
        block.into()
    }
}

/// What the KMU pushed to CryptoCell's AES key registers: 128 or 256 bits.
#[derive(ZeroizeOnDrop)]
struct PushedKey {
    bytes: [u8; 2 * BLOCK],
    #[zeroize(skip)]
    size: usize,
}

impl PushedKey {
    /// Pushes the key that begins in `slot`. Each slot must aim at its own section of the key register.
    fn push(part: &mut Silicon, slot: KeySlot) -> Result<Self, IllegalAccess> {
        let soc = part.soc();
        let mut key = Self { bytes: [0; 2 * BLOCK], size: soc.huk_size() };
        for index in 0..soc.slots_per_huk() {
            part.select(slot + index + 1)?;
            let (dest, mut words) = part.push()?;
            part.select(0)?;
            let first = BLOCK * index as usize;
            for (bytes, word) in key.bytes[first..].chunks_exact_mut(4).zip(words) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            words.zeroize();
            if dest != soc.aes_key_register(index) {
                return Err(IllegalAccess::PushRefused(slot + index));
            }
        }
        Ok(key)
    }

    fn cmac(&self, message: &[&[u8]]) -> [u8; BLOCK] {
        fn tag<M: Mac + KeyInit>(key: &[u8], message: &[&[u8]]) -> [u8; BLOCK] {
            let mut mac = <M as KeyInit>::new_from_slice(key).expect("the size of an AES key");
            for piece in message {
                mac.update(piece);
            }
            let mut tag = [0; BLOCK];
            tag.copy_from_slice(&mac.finalize().into_bytes());
            tag
        }
        let key = &self.bytes[..self.size];
        if self.size == BLOCK {
            tag::<Cmac<Aes128>>(key, message)
        } else {
            tag::<Cmac<Aes256>>(key, message)
        }
    }
}

/// Derives `output` from the key that begins in `slot`: NIST SP 800-108r1, section 4.1 (counter
/// mode) with AES-CMAC, a counter of one byte and a length of two, as
/// `nrf_cc3xx_platform_kmu_shadow_key_derive` is documented in `nrf_cc3xx_platform_kmu.h`.
///
/// # Errors
/// The slot cannot be pushed to the AES key register.
pub(crate) fn derive(
    part: &mut Silicon,
    slot: KeySlot,
    label: &[u8],
    context: &[u8],
    output: &mut [u8],
) -> Result<(), IllegalAccess> {
    let key = PushedKey::push(part, slot)?;
    let bits = u16::try_from(8 * output.len()).expect("a derived key is a few blocks long");
    let bits = bits.to_be_bytes();
    // Measured: the SDK's own vectors for silicon come out with the shortest length only.
    let bits = if bits[0] == 0 { &bits[1..] } else { &bits[..] };
    for (counter, chunk) in (1_u8..).zip(output.chunks_mut(BLOCK)) {
        let message: [&[u8]; 5] = [&[counter], label, &[0], context, bits];
        let block = Zeroizing::new(key.cmac(&message));
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    Ok(())
}

/// Encrypts an identity key under a key derived from the MKEK, one key slot a block.
///
/// The library's own cipher is not public. Like the library's, the result has no room for a tag, so
/// a torn key cannot be distinguished from a whole one.
///
/// # Errors
/// The MKEK cannot be used.
pub(crate) fn wrap(
    part: &mut Silicon,
    mkek: KeySlot,
    key: &mut [u8; 32],
) -> Result<(), IllegalAccess> {
    crypt(part, mkek, key, Aes256::encrypt_block)
}

/// Undoes [`wrap`].
///
/// # Errors
/// The MKEK cannot be used.
pub(crate) fn unwrap(
    part: &mut Silicon,
    mkek: KeySlot,
    key: &mut [u8; 32],
) -> Result<(), IllegalAccess> {
    crypt(part, mkek, key, Aes256::decrypt_block)
}

fn crypt(
    part: &mut Silicon,
    mkek: KeySlot,
    key: &mut [u8; 32],
    apply: impl Fn(&Aes256, &mut Array<u8, aes::cipher::consts::U16>),
) -> Result<(), IllegalAccess> {
    let mut wrapping = Zeroizing::new([0; 32]);
    derive(part, mkek, b"identity-key", &[], wrapping.as_mut())?;
    let cipher = Aes256::new(&(*wrapping).into());
    for bytes in key.chunks_exact_mut(BLOCK) {
        let mut block = Array::try_from(&*bytes).expect("a block");
        apply(&cipher, &mut block);
        bytes.copy_from_slice(&block);
        block.zeroize();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;
    use crate::kmu::{perm, slot, write_key_slot};
    use crate::soc::Soc;
    use crate::vectors::{VECTORS, Vector};

    /// NIST CAVP, `drbgvectors_pr_false/CTR_DRBG.rsp`, [AES-128 no df], COUNT = 0.
    #[test]
    fn drbg_gives_what_nist_expects() {
        let mut drbg = CtrDrbg { key: [0; 16], counter: [0; 16] };
        drbg.update(&hex!("ed1e7f21ef66ea5d8e2a85b9337245445b71d6393a4eecb0e63c193d0f72f9a9"));
        drbg.update(&hex!("303fb519f0a4e17d6df0b6426aa0ecb2a36079bd48be47ad2a8dbfe48da3efad")); // reseed
        let mut bytes = [0; 64];
        drbg.fill(&mut bytes);
        drbg.fill(&mut bytes);
        assert_eq!(
            bytes,
            hex!(
                "f80111d08e874672f32f42997133a5210f7a9375e22cea70587f9cfafebe0f6a"
                "6aa2eb68e7dd9164536d53fa020fcab20f54caddfab7d6d91e5ffec1dfd8deaa"
            )
        );
    }

    /// A part whose key `slot` holds `key`, as the platform library would write it.
    fn part_with(soc: Soc, slot: KeySlot, key: &[u8]) -> Silicon {
        let mut part = Silicon::erased(soc, [0; 32]);
        for (index, value) in (0..).zip(key.chunks_exact(16)) {
            write_key_slot(
                &mut part,
                slot + index,
                soc.aes_key_register(index),
                perm::PUSH_ONLY,
                value.try_into().unwrap(),
            )
            .unwrap();
        }
        part
    }

    #[test]
    fn derives_what_the_sdk_expects_of_silicon() {
        for Vector { soc, key, label, context, expected } in VECTORS {
            for slot in [slot::MKEK, slot::MEXT] {
                let mut output = [0; 32];
                let output = &mut output[..expected.len()];
                let mut part = part_with(soc, slot, key);
                derive(&mut part, slot, label, context, output).unwrap();
                assert_eq!(output, expected, "{soc}");
            }
        }
    }

    #[test]
    fn derives_nothing_from_a_key_aimed_elsewhere() {
        let mut part = Silicon::erased(Soc::Nrf9160, [0; 32]);
        write_key_slot(&mut part, 2, 0x5084_1388, perm::PUSH_ONLY, &[7; 16]).unwrap();
        assert_eq!(
            derive(&mut part, 2, b"", b"", &mut [0; 16]),
            Err(IllegalAccess::PushRefused(2))
        );
    }

    #[test]
    fn wrapped_keys_come_back_under_the_same_mkek_only() {
        for soc in Soc::CRYPTOCELL {
            let mut part = part_with(soc, slot::MKEK, &[0x5A; 32][..soc.huk_size()]);
            let mut other = part_with(soc, slot::MKEK, &[0x5B; 32][..soc.huk_size()]);
            let mut key = [7; 32];
            wrap(&mut part, slot::MKEK, &mut key).unwrap();
            assert_ne!(key, [7; 32]);
            let wrapped = key;
            unwrap(&mut part, slot::MKEK, &mut key).unwrap();
            assert_eq!(key, [7; 32]);
            key = wrapped;
            unwrap(&mut other, slot::MKEK, &mut key).unwrap();
            assert_ne!(key, [7; 32]);
        }
    }

    #[test]
    fn personalization_decides_the_stream() {
        let (mut one, mut other) = ([0; 32], [0; 32]);
        let seed = || Zeroizing::new([1; 32]);
        CtrDrbg::new(seed(), b"same").fill(&mut one);
        CtrDrbg::new(seed(), b"other").fill(&mut other);
        assert_ne!(one, other);
        CtrDrbg::new(seed(), b"same").fill(&mut other);
        assert_eq!(one, other);
    }
}
