// SPDX-License-Identifier: Apache-2.0

//! Stand-ins for the SDK's key drivers: what `hw_unique_key`, `identity_key` and `bl_storage` do to
//! a part, and the codes that they return, as nRF Connect SDK v2.7.0 documents them in its headers.
//!
//! They call the same layer below them as the SDK's own drivers ([`crate::nvmc`], [`crate::platform`]),
//! which is what makes the two comparable.

use log::{error, warn};
use zeroize::Zeroizing;

use crate::kmu::{self, perm, slot};
use crate::nvmc;
use crate::part::Silicon;
use crate::platform::{self, Code};
use crate::soc::{Family, Soc};
use crate::uicr::{ERASED, KeySlot, READ_DENIED};

/// `-EREADLCS` of `bl_storage.h`.
pub const LIFECYCLE_UNREADABLE: Code = -114;
/// `-EINVALIDLCS` of `bl_storage.h`.
pub const LIFECYCLE_INVALID: Code = -115;
/// `-HW_UNIQUE_KEY_ERR_MISSING` of `hw_unique_key.h`.
pub const HUK_MISSING: Code = -0x16501;
/// `-HW_UNIQUE_KEY_ERR_WRITE_FAILED` of `hw_unique_key.h`.
pub const HUK_WRITE_FAILED: Code = -0x16502;
/// `-HW_UNIQUE_KEY_ERR_DERIVE_FAILED` of `hw_unique_key.h`.
pub const HUK_DERIVE_FAILED: Code = -0x16504;
/// `-IDENTITY_KEY_ERR_MKEK_MISSING` of `identity_key.h`.
pub const IDENTITY_KEY_MKEK_MISSING: Code = -0x15501;
/// `-IDENTITY_KEY_ERR_MISSING` of `identity_key.h`.
pub const IDENTITY_KEY_MISSING: Code = -0x15502;
/// `-IDENTITY_KEY_ERR_READ_FAILED` of `identity_key.h`.
pub const IDENTITY_KEY_READ_FAILED: Code = -0x15503;
/// `-IDENTITY_KEY_ERR_WRITE_FAILED` of `identity_key.h`.
pub const IDENTITY_KEY_WRITE_FAILED: Code = -0x15504;
/// `-IDENTITY_KEY_ERR_GENERATION_FAILED` of `identity_key.h`.
pub const IDENTITY_KEY_GENERATION_FAILED: Code = -0x15505;
/// `-EINVAL`.
pub const INVALID_ARGUMENT: Code = -22;

/// Every code that the drivers return besides 0 and those of a wrong argument.
pub const CODES: [Code; 10] = [
    LIFECYCLE_UNREADABLE,
    LIFECYCLE_INVALID,
    HUK_MISSING,
    HUK_WRITE_FAILED,
    HUK_DERIVE_FAILED,
    IDENTITY_KEY_MKEK_MISSING,
    IDENTITY_KEY_MISSING,
    IDENTITY_KEY_READ_FAILED,
    IDENTITY_KEY_WRITE_FAILED,
    IDENTITY_KEY_GENERATION_FAILED,
];

/// The lifecycle states that [`lifecycle`] gives: values of `nrf_keys_lifecycle_read`, see `nrf_keys.h`.
pub const ASSEMBLY: u32 = 1;
/// Keys are being written, or were.
pub const PROVISIONING: u32 = 2;
/// TF-M has taken over.
pub const SECURED: u32 = 3;
/// Out of use.
pub const DECOMMISSIONED: u32 = 4;

/// Offsets in `struct bl_storage_data` of `bl_storage.h`.
pub(crate) const LCS_PROVISIONING: u32 = 0;
pub(crate) const LCS_SECURED: u32 = 2;
pub(crate) const LCS_DECOMMISSIONED: u32 = 6;
const IMPLEMENTATION_ID: u32 = 8;

/// TF-M's test key, which the SDK's `identity_key_write_dummy` writes: TF-M,
/// `platform/ext/common/template/tfm_initial_attestation_key.pem`.
const DUMMY_KEY: [u8; 32] = [
    0xA9, 0xB4, 0x54, 0xB2, 0x6D, 0x6F, 0x90, 0xA4, 0xEA, 0x31, 0x19, 0x35, 0x64, 0xCB, 0xA9, 0x1F,
    0xEC, 0x6F, 0x9A, 0x00, 0x2A, 0x7D, 0xC0, 0x50, 0x4B, 0x92, 0xA1, 0x93, 0x71, 0x34, 0x58, 0x5F,
];

/// `read_life_cycle_state`.
///
/// # Errors
/// OTP holds no state.
pub fn lifecycle(part: &mut Silicon) -> Result<u32, Code> {
    let storage = part.soc().bl_storage();
    let family = part.soc().family();
    let mut entered = |offset| {
        let (field, erased) = match family {
            Family::CryptoCell => (nvmc::otp_halfword_read(part, storage + offset).into(), 0xFFFF),
            // Words in the place of halfwords.
            #[cfg(seed_keys)]
            Family::Cracen => (nvmc::uicr_word_read(part, storage + 2 * offset), ERASED),
        };
        match field {
            0 => Ok(true),
            field if field == erased => Ok(false),
            _ => Err(LIFECYCLE_UNREADABLE),
        }
    };
    let provisioning = entered(LCS_PROVISIONING)?;
    let secured = entered(LCS_SECURED)?;
    let decommissioned = entered(LCS_DECOMMISSIONED)?;
    match (provisioning, secured, decommissioned) {
        (false, false, false) => Ok(ASSEMBLY),
        (true, false, false) => Ok(PROVISIONING),
        (true, true, false) => Ok(SECURED),
        (true, true, true) => Ok(DECOMMISSIONED),
        _ => Err(LIFECYCLE_UNREADABLE),
    }
}

/// `update_life_cycle_state(BL_STORAGE_LCS_PROVISIONING)`.
pub fn enter_provisioning(part: &mut Silicon) -> Code {
    match lifecycle(part) {
        Err(code) => code,
        Ok(ASSEMBLY) => {
            let storage = part.soc().bl_storage();
            match part.soc().family() {
                Family::CryptoCell => nvmc::halfword_write(part, storage + LCS_PROVISIONING, 0),
                #[cfg(seed_keys)]
                Family::Cracen => nvmc::word_write(part, storage + 2 * LCS_PROVISIONING, 0),
            }
            0
        }
        Ok(PROVISIONING) => 0,
        Ok(_) => LIFECYCLE_INVALID,
    }
}

/// `read_implementation_id_from_otp`.
pub fn read_implementation_id(part: &mut Silicon, id: &mut [u8; 32]) {
    let first = implementation_id_address(part.soc());
    for (address, bytes) in (first..).step_by(4).zip(id.chunks_exact_mut(4)) {
        bytes.copy_from_slice(&nvmc::uicr_word_read(part, address).to_le_bytes());
    }
}

/// Writes one of the eight words of the implementation ID to OTP.
pub fn write_implementation_id_word(part: &mut Silicon, index: u32, word: u32) -> Code {
    if index >= 8 {
        return INVALID_ARGUMENT;
    }
    let address = implementation_id_address(part.soc()) + 4 * index;
    match part.soc().family() {
        Family::CryptoCell => nvmc::word_write(part, address, word),
        #[cfg(seed_keys)]
        Family::Cracen => {
            if !nvmc::otp_word_write(part, address, word) {
                return platform::EIO;
            }
        }
    }
    0
}

/// Behind the lifecycle state's four fields.
fn implementation_id_address(soc: Soc) -> u32 {
    let field = match soc.family() {
        Family::CryptoCell => 2,
        #[cfg(seed_keys)]
        Family::Cracen => 4,
    };
    soc.bl_storage() + IMPLEMENTATION_ID / 2 * field
}

/// `hw_unique_key_write`, which does not check whether the slots are blank.
pub fn write_huk(part: &mut Silicon, huk: u32, key: &[u8; 32]) -> Code {
    let size = part.soc().huk_size();
    match huk {
        0 => write_huk_slots(part, slot::MKEK, &key[..size]),
        1 => write_huk_slots(part, slot::MEXT, &key[..size]),
        _ => INVALID_ARGUMENT,
    }
}

fn write_huk_slots(part: &mut Silicon, huk: KeySlot, key: &[u8]) -> Code {
    for (index, value) in (0..).zip(key.as_chunks().0) {
        let dest = part.soc().aes_key_register(index);
        let slot = huk + index;
        let code = platform::kmu_write_key_slot(part, slot, dest, perm::PUSH_ONLY, value);
        if code != 0 {
            error!("hw_unique_key: key slot {slot}: {code}");
            return HUK_WRITE_FAILED;
        }
    }
    0
}

/// One slot of a key of `nrf_keys.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotOfKey {
    /// DEST, PERM and the four words of VALUE, as the CPU sees them.
    pub words: [u32; 6],
    /// What DEST and PERM are in a slot that was written to its end.
    pub closed: [u32; 2],
    /// How many slots the key takes.
    pub total: u32,
}

/// Looks at a slot of a key of `nrf_keys.h`, by the slot's index in the key.
///
/// # Errors
/// There is no such key, or it has no such slot.
pub fn key_slot(part: &mut Silicon, key: u32, index: u32) -> Result<SlotOfKey, Code> {
    let (first, total) = match key {
        0 => (slot::MKEK, part.soc().slots_per_huk()),
        1 => (slot::MEXT, part.soc().slots_per_huk()),
        2 => (slot::KIDENT, 2),
        _ => return Err(INVALID_ARGUMENT),
    };
    if index >= total {
        return Err(INVALID_ARGUMENT);
    }
    let words = read_slot(part, first + index);
    let closed = match first {
        slot::KIDENT => [words[0], perm::READ_ONLY],
        _ => [part.soc().aes_key_register(index), perm::PUSH_ONLY],
    };
    Ok(SlotOfKey { words, closed, total })
}

/// `hw_unique_key_derive_key` without a context.
pub fn derive_from_huk(part: &mut Silicon, huk: u32, label: &[u8], derived: &mut [u8]) -> Code {
    let first = match huk {
        0 => slot::MKEK,
        1 => slot::MEXT,
        _ => return INVALID_ARGUMENT,
    };
    if !huk_is_written(part, first) {
        return HUK_MISSING;
    }
    let bits = 8 * part.soc().huk_size();
    match platform::shadow_key_derive(part, first, bits, label, &[], derived) {
        0 => 0,
        code => {
            error!("hw_unique_key: the derivation failed: {code}");
            HUK_DERIVE_FAILED
        }
    }
}

/// `identity_key_is_written`.
pub fn identity_key_is_written(part: &mut Silicon) -> bool {
    platform::identity_key_is_stored(part, slot::KIDENT)
}

/// `identity_key_write_key`.
pub fn write_identity_key(part: &mut Silicon, key: &[u8; 32]) -> Code {
    if !huk_is_written(part, slot::MKEK) {
        error!("identity_key: the MKEK is missing");
        return IDENTITY_KEY_MKEK_MISSING;
    }
    match platform::identity_key_store(part, slot::KIDENT, key) {
        0 => 0,
        code => {
            error!("identity_key: the key cannot be stored: {code}");
            IDENTITY_KEY_WRITE_FAILED
        }
    }
}

/// `identity_key_write_random`.
pub fn write_random_identity_key(part: &mut Silicon) -> Code {
    let mut key = Zeroizing::new([0; 32]);
    match generate_identity_key(part, &mut key) {
        Ok(()) => write_identity_key(part, &key),
        Err(code) => {
            error!("identity_key: no key was generated: {code}");
            IDENTITY_KEY_GENERATION_FAILED
        }
    }
}

fn generate_identity_key(part: &mut Silicon, key: &mut [u8; 32]) -> Result<(), Code> {
    let check = |code| if code == 0 { Ok(()) } else { Err(code) };
    check(platform::psa_crypto_init(part))?;
    let generated = platform::psa_generate_key(part)?;
    if platform::psa_export_key(part, &generated, key)? != key.len() {
        return Err(INVALID_ARGUMENT);
    }
    check(platform::psa_destroy_key(part))
}

/// `identity_key_write_dummy`.
pub fn write_dummy_identity_key(part: &mut Silicon) -> Code {
    warn!("identity_key: the dummy key is not for production");
    write_identity_key(part, &DUMMY_KEY)
}

/// `identity_key_read`.
pub fn read_identity_key(part: &mut Silicon, key: &mut [u8; 32]) -> Code {
    if !huk_is_written(part, slot::MKEK) {
        return IDENTITY_KEY_MKEK_MISSING;
    }
    if !identity_key_is_written(part) {
        return IDENTITY_KEY_MISSING;
    }
    match platform::identity_key_retrieve(part, slot::KIDENT, key) {
        0 => 0,
        code => {
            error!("identity_key: the key cannot be retrieved: {code}");
            IDENTITY_KEY_READ_FAILED
        }
    }
}

/// `hw_unique_key_is_written`: any word in any of its slots.
fn huk_is_written(part: &mut Silicon, huk: KeySlot) -> bool {
    (huk..huk + part.soc().slots_per_huk()).any(|slot| read_slot(part, slot) != [ERASED; 6])
}

/// DEST, PERM and the four VALUE words of a slot, read as the drivers do; a frozen part denies all.
fn read_slot(part: &mut Silicon, slot: KeySlot) -> [u32; 6] {
    kmu::read_key_slot(part, slot).unwrap_or([READ_DENIED; 6])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::illegal_access::IllegalAccess;
    use crate::soc::Soc;
    use crate::uicr::{UICR_BASE, value_address};

    fn write_lifecycle(part: &mut Silicon, offset: u32, value: u16) {
        let storage = part.soc().bl_storage();
        nvmc::halfword_write(part, storage + offset, value);
    }

    fn parts() -> [Silicon; 2] {
        Soc::CRYPTOCELL.map(|soc| Silicon::erased(soc, [1; 32]))
    }

    #[test]
    fn lifecycle_goes_from_assembly_to_provisioning() {
        for mut part in parts() {
            assert_eq!(lifecycle(&mut part), Ok(ASSEMBLY));
            assert_eq!(enter_provisioning(&mut part), 0);
            assert_eq!(lifecycle(&mut part), Ok(PROVISIONING));
            assert_eq!(enter_provisioning(&mut part), 0, "nothing left to do");
            write_lifecycle(&mut part, LCS_SECURED, 0);
            assert_eq!(lifecycle(&mut part), Ok(SECURED));
            assert_eq!(enter_provisioning(&mut part), LIFECYCLE_INVALID);
            write_lifecycle(&mut part, LCS_DECOMMISSIONED, 0);
            assert_eq!(lifecycle(&mut part), Ok(DECOMMISSIONED));
            assert_eq!(part.illegal_access(), None);
        }
    }

    #[test]
    fn any_other_lifecycle_content_is_unreadable() {
        for words in [[0x7FFF, 0xFFFF, 0xFFFF], [0xFFFF, 0, 0xFFFF], [0, 0xFFFF, 0], [0, 1, 0xFFFF]]
        {
            for mut part in parts() {
                for (offset, word) in
                    [LCS_PROVISIONING, LCS_SECURED, LCS_DECOMMISSIONED].into_iter().zip(words)
                {
                    write_lifecycle(&mut part, offset, word);
                }
                assert_eq!(lifecycle(&mut part), Err(LIFECYCLE_UNREADABLE), "{words:x?}");
                assert_eq!(enter_provisioning(&mut part), LIFECYCLE_UNREADABLE);
            }
        }
    }

    #[test]
    fn implementation_id_comes_back() {
        for mut part in parts() {
            let id: [u8; 32] = core::array::from_fn(|i| u8::try_from(i).unwrap());
            let mut found = [0; 32];
            read_implementation_id(&mut part, &mut found);
            assert_eq!(found, [0xFF; 32]);
            for (index, word) in (0..).zip(id.as_chunks().0) {
                assert_eq!(
                    write_implementation_id_word(&mut part, index, u32::from_le_bytes(*word)),
                    0
                );
            }
            read_implementation_id(&mut part, &mut found);
            assert_eq!(found, id);
            assert_eq!(write_implementation_id_word(&mut part, 8, 0), INVALID_ARGUMENT);
            assert_eq!(part.illegal_access(), None);
            write_implementation_id_word(&mut part, 7, 0); // OTP is written once
            assert!(matches!(part.illegal_access(), Some(IllegalAccess::OtpWrittenTwice(_))));
        }
    }

    const LABEL: &[u8] = b"thirteenbytes";

    fn write_huks(part: &mut Silicon) {
        for huk in [0, 1] {
            assert_eq!(write_huk(part, huk, &[0x40 + u8::try_from(huk).unwrap(); 32]), 0);
        }
    }

    #[test]
    fn huks_are_written_once_and_closed() {
        for mut part in parts() {
            let total = part.soc().slots_per_huk();
            for key in [0, 1] {
                let slot = key_slot(&mut part, key, 0).unwrap();
                assert_eq!((slot.words, slot.total), ([ERASED; 6], total));
                assert_eq!(derive_from_huk(&mut part, key, LABEL, &mut [0; 16]), HUK_MISSING);
                assert_eq!(key_slot(&mut part, key, total), Err(INVALID_ARGUMENT));
            }
            write_huks(&mut part);
            let mut derived = [[0; 16]; 2];
            for (key, derived) in (0..).zip(&mut derived) {
                for index in 0..total {
                    let SlotOfKey { words, closed, .. } = key_slot(&mut part, key, index).unwrap();
                    assert_eq!(words[..2], closed);
                    assert_eq!(words[2..], [READ_DENIED; 4]);
                }
                assert_eq!(derive_from_huk(&mut part, key, LABEL, derived), 0);
            }
            assert_ne!(derived[0], derived[1]);
            assert_eq!(key_slot(&mut part, 3, 0), Err(INVALID_ARGUMENT));
            assert_eq!(part.illegal_access(), None);
            assert_eq!(write_huk(&mut part, 1, &[7; 32]), HUK_WRITE_FAILED);
            assert!(matches!(part.illegal_access(), Some(IllegalAccess::SlotLocked(_))));
        }
    }

    #[test]
    fn one_huk_can_be_written_alone() {
        for mut part in parts() {
            assert_eq!(write_huk(&mut part, 1, &[7; 32]), 0);
            assert_eq!(derive_from_huk(&mut part, 1, LABEL, &mut [0; 16]), 0);
            assert_eq!(derive_from_huk(&mut part, 0, LABEL, &mut [0; 16]), HUK_MISSING);
            assert_eq!(write_huk(&mut part, 2, &[7; 32]), INVALID_ARGUMENT);
        }
    }

    #[test]
    fn identity_key_needs_the_mkek_and_comes_back() {
        for mut part in parts() {
            let mut key = [0; 32];
            assert!(!identity_key_is_written(&mut part));
            assert_eq!(write_identity_key(&mut part, &[7; 32]), IDENTITY_KEY_MKEK_MISSING);
            assert_eq!(read_identity_key(&mut part, &mut key), IDENTITY_KEY_MKEK_MISSING);
            write_huks(&mut part);
            assert_eq!(read_identity_key(&mut part, &mut key), IDENTITY_KEY_MISSING);
            assert_eq!(write_identity_key(&mut part, &[7; 32]), 0);
            assert!(identity_key_is_written(&mut part));
            assert_eq!(read_identity_key(&mut part, &mut key), 0);
            assert_eq!(key, [7; 32]);
            let value = (value_address(6) - UICR_BASE) as usize / 4;
            assert!(!part.page()[value..value + 8].contains(&0x0707_0707), "kept encrypted");
            assert_eq!(write_identity_key(&mut part, &[8; 32]), IDENTITY_KEY_WRITE_FAILED);
            assert!(matches!(part.illegal_access(), Some(IllegalAccess::SlotLocked(_))));
        }
    }

    #[test]
    fn the_dummy_key_is_tf_ms() {
        for mut part in parts() {
            let mut key = [0; 32];
            write_huks(&mut part);
            assert_eq!(write_dummy_identity_key(&mut part), 0);
            assert_eq!(read_identity_key(&mut part, &mut key), 0);
            assert_eq!(key, DUMMY_KEY);
        }
    }
}
