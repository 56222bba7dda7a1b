// SPDX-License-Identifier: Apache-2.0

//! The calls of Nordic's CryptoCell platform library, of PSA Crypto and of Zephyr's random generator
//! that the key drivers make, with the codes that their headers document.
//!
//! What the headers leave open is modelled as the worst case for the caller; the fidelity page of
//! the documentation lists each such choice.

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::cryptocell::{self, CtrDrbg};
use crate::faults::{Call, Effect};
use crate::kmu::{read_key_slot, write_key_slot};
use crate::mutants::Mutant;
use crate::part::Silicon;
use crate::uicr::{ERASED, KeySlot};

pub use crate::kmu::{perm, slot};

/// 0, or a negative code of the called library.
pub type Code = i32;

/// `NRF_CC3XX_PLATFORM_ERROR_INTERNAL` of `nrf_cc3xx_platform_defines.h`, as those below.
pub const INTERNAL: Code = -0x7002;
/// `NRF_CC3XX_PLATFORM_ERROR_KMU_INVALID_SLOT`.
pub const KMU_INVALID_SLOT: Code = -0x701A;
/// `NRF_CC3XX_PLATFORM_ERROR_KMU_WRITE_KEY_FAILED`.
pub const KMU_WRITE_KEY_FAILED: Code = -0x701D;
/// `NRF_CC3XX_PLATFORM_ERROR_INVALID_PARAM`.
pub const INVALID_PARAM: Code = -0x7022;
/// `NRF_CC3XX_PLATFORM_ERROR_IDENTITY_KEY_INVALID_SLOT`.
pub const IDENTITY_KEY_INVALID_SLOT: Code = -0x7024;
/// `NRF_CC3XX_PLATFORM_ERROR_KIDENT_WRITE_KEY_FAILED`.
pub const KIDENT_WRITE_KEY_FAILED: Code = -0x7026;
/// `NRF_CC3XX_PLATFORM_ERROR_KIDENT_READ_KEY_FAILED`.
pub const KIDENT_READ_KEY_FAILED: Code = -0x7027;

/// `PSA_ERROR_BAD_STATE` of the PSA Certified Crypto API, as those below.
pub const PSA_BAD_STATE: Code = -137;
/// `PSA_ERROR_NOT_SUPPORTED`.
pub const PSA_NOT_SUPPORTED: Code = -134;
/// `PSA_ERROR_BUFFER_TOO_SMALL`.
pub const PSA_BUFFER_TOO_SMALL: Code = -138;
/// `PSA_ERROR_INVALID_HANDLE`.
pub const PSA_INVALID_HANDLE: Code = -136;
/// `PSA_ERROR_HARDWARE_FAILURE`.
pub const PSA_HARDWARE_FAILURE: Code = -147;
/// `PSA_ERROR_INSUFFICIENT_ENTROPY`.
pub const PSA_INSUFFICIENT_ENTROPY: Code = -148;

/// `-EIO`, for `sys_csrand_get`.
pub const EIO: Code = -5;

/// Returns early where this call goes wrong: with `error`, or with `nothing` where it claims success.
macro_rules! struck {
    ($part:expr, $call:expr, $error:expr, $nothing:expr) => {
        match $part.strike($call) {
            Some(Effect::Error) => return $error,
            Some(Effect::Nothing) => return $nothing,
            None => {}
        }
    };
}

fn new_drbg(part: &mut Silicon, personalization: &[u8]) -> CtrDrbg {
    CtrDrbg::new(part.draw_entropy(), personalization)
}

/// `nrf_cc3xx_platform_kmu_write_key_slot`.
pub fn kmu_write_key_slot(
    part: &mut Silicon,
    slot: KeySlot,
    dest: u32,
    perm: u32,
    key: &[u8; 16],
) -> Code {
    struck!(part, Call::KmuWriteKeySlot, KMU_WRITE_KEY_FAILED, 0);
    if !(slot::FIRST..=slot::LAST).contains(&slot) {
        return KMU_INVALID_SLOT;
    }
    write_key_slot(part, slot, dest, perm, key).map_or(KMU_WRITE_KEY_FAILED, |()| 0)
}

/// `nrf_cc3xx_platform_kmu_shadow_key_derive`.
pub fn shadow_key_derive(
    part: &mut Silicon,
    slot: KeySlot,
    key_bits: usize,
    label: &[u8],
    context: &[u8],
    output: &mut [u8],
) -> Code {
    /// "up to 64 bytes long", both.
    const LONGEST: usize = 64;

    struck!(part, Call::ShadowKeyDerive, INTERNAL, 0);
    let sizes = [label.len(), context.len()];
    // The counter has one byte.
    let output_fits = output.len() <= 255 * 16;
    if key_bits != 8 * part.soc().huk_size()
        || sizes.iter().any(|size| *size > LONGEST)
        || !output_fits
    {
        return INVALID_PARAM;
    }
    let label = if part.is(Mutant::LabelIgnored) { &[] } else { label };
    cryptocell::derive(part, slot, label, context, output).map_or(INTERNAL, |()| 0)
}

/// `nrf_cc3xx_platform_identity_key_store`. Nothing is pushed, so DEST stays erased.
///
/// Worst case: it does not look whether the slots are free, and leaves it to the KMU to refuse.
pub fn identity_key_store(part: &mut Silicon, slot: KeySlot, key: &[u8; 32]) -> Code {
    struck!(part, Call::IdentityKeyStore, KIDENT_WRITE_KEY_FAILED, 0);
    if slot > slot::LAST_IDENTITY {
        return IDENTITY_KEY_INVALID_SLOT;
    }
    let mut wrapped = Zeroizing::new(*key);
    if cryptocell::wrap(part, slot::MKEK, &mut wrapped).is_err() {
        return KIDENT_WRITE_KEY_FAILED;
    }
    if part.is(Mutant::IdentityKeySwapped) {
        wrapped.rotate_left(16);
    }
    let perm =
        if part.is(Mutant::IdentityKeyPermissions) { perm::PUSH_ONLY } else { perm::READ_ONLY };
    for (slot, value) in (slot..).zip(wrapped.as_chunks().0) {
        if write_key_slot(part, slot, ERASED, perm, value).is_err() {
            return KIDENT_WRITE_KEY_FAILED;
        }
    }
    0
}

/// `nrf_cc3xx_platform_identity_key_is_stored`.
///
/// Worst case: it looks at the first slot alone, where a single written word is enough for it.
pub fn identity_key_is_stored(part: &mut Silicon, slot: KeySlot) -> bool {
    read_key_slot(part, slot) != Ok([ERASED; 6])
}

/// `nrf_cc3xx_platform_identity_key_retrieve`.
///
/// Worst case: a torn key is decrypted like a whole one, since nothing tells them apart.
pub fn identity_key_retrieve(part: &mut Silicon, slot: KeySlot, key: &mut [u8; 32]) -> Code {
    struck!(part, Call::IdentityKeyRetrieve, KIDENT_READ_KEY_FAILED, 0);
    if slot > slot::LAST_IDENTITY {
        return IDENTITY_KEY_INVALID_SLOT;
    }
    for (slot, bytes) in (slot..).zip(key.as_chunks_mut::<16>().0) {
        let Ok(content) = read_key_slot(part, slot) else { return KIDENT_READ_KEY_FAILED };
        for (bytes, word) in bytes.chunks_exact_mut(4).zip(&content[2..]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }
    cryptocell::unwrap(part, slot::MKEK, key).map_or(KIDENT_READ_KEY_FAILED, |()| 0)
}

/// `nrf_cc3xx_platform_identity_key_free`.
pub fn identity_key_free(key: &mut [u8; 32]) {
    key.zeroize();
}

/// `sys_csrand_get`.
pub fn csrand_get(part: &mut Silicon, bytes: &mut [u8]) -> Code {
    struck!(part, Call::CsrandGet, EIO, 0);
    new_drbg(part, b"sys_csrand_get").fill(bytes);
    0
}

/// The one volatile key that the modelled PSA Crypto holds at a time.
#[derive(ZeroizeOnDrop)]
pub struct PsaKey {
    bytes: [u8; 32],
}

impl PsaKey {
    /// Clears the key where it is.
    #[cfg(all(sdk_drivers, not(seed_keys)))]
    pub(crate) fn clear(&mut self) {
        self.bytes.zeroize();
    }
}

/// `psa_crypto_init`.
pub fn psa_crypto_init(part: &mut Silicon) -> Code {
    struck!(part, Call::PsaCryptoInit, PSA_INSUFFICIENT_ENTROPY, 0);
    0
}

/// `psa_generate_key` for a secp256r1 key pair: candidates that are not valid scalars are dropped.
///
/// # Errors
/// By an armed fault, or where four candidates in a row are not valid scalars (one in 2^32 is not).
pub fn psa_generate_key(part: &mut Silicon) -> Result<PsaKey, Code> {
    let mut key = PsaKey { bytes: [0; 32] };
    struck!(part, Call::PsaGenerateKey, Err(PSA_INSUFFICIENT_ENTROPY), Ok(key));
    let mut drbg = new_drbg(part, b"psa_generate_key");
    for _ in 0..4 {
        drbg.fill(&mut key.bytes);
        if p256::SecretKey::from_slice(&key.bytes).is_ok() {
            return Ok(key);
        }
    }
    Err(PSA_INSUFFICIENT_ENTROPY)
}

/// `psa_export_key`: the private key, big-endian, and how many bytes that is.
///
/// # Errors
/// By an armed fault, or where `bytes` is too small.
pub fn psa_export_key(part: &mut Silicon, key: &PsaKey, bytes: &mut [u8]) -> Result<usize, Code> {
    struck!(part, Call::PsaExportKey, Err(PSA_HARDWARE_FAILURE), Ok(0));
    let bytes = bytes.get_mut(..key.bytes.len()).ok_or(PSA_BUFFER_TOO_SMALL)?;
    bytes.copy_from_slice(&key.bytes);
    Ok(bytes.len())
}

/// `psa_destroy_key`; the caller drops the key.
pub fn psa_destroy_key(part: &mut Silicon) -> Code {
    struck!(part, Call::PsaDestroyKey, PSA_HARDWARE_FAILURE, 0);
    0
}
