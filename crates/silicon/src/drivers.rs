// SPDX-License-Identifier: Apache-2.0

//! Stand-ins for the SDK's key drivers: what `hw_unique_key`, `identity_key` and `bl_storage` do to
//! a part, and the codes that they return, as nRF Connect SDK v2.7.0 documents them in its headers.

use log::{error, warn};
use p256::SecretKey;
use zeroize::Zeroizing;

use crate::cryptocell::{self, CtrDrbg, perm, slot};
use crate::{ERASED, IllegalAccess, KeySlot, READ_DENIED, Silicon};

/// Negative codes as the drivers return them; 0 is success.
pub type Code = i32;

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
/// `-EIO`: an access that `bl_storage` cannot report, since on silicon it would be a bus fault.
pub const IO_ERROR: Code = -5;
/// `-EINVAL`.
pub const INVALID_ARGUMENT: Code = -22;

/// Values of `nrf_keys_lifecycle_read`, see `nrf_keys.h`.
const ASSEMBLY: u32 = 1;
const PROVISIONING: u32 = 2;
const SECURED: u32 = 3;
const DECOMMISSIONED: u32 = 4;

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

type Access<T> = Result<T, IllegalAccess>;

/// `read_life_cycle_state`.
///
/// # Errors
/// OTP holds no state.
pub fn lifecycle(part: &mut Silicon) -> Result<u32, Code> {
    let mut entered = |offset| match read_otp_halfword(part, offset) {
        Ok(0xFFFF) => Ok(false),
        Ok(0x0000) => Ok(true),
        Ok(_) => Err(LIFECYCLE_UNREADABLE),
        Err(_) => Err(IO_ERROR),
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
        Ok(ASSEMBLY) => write_otp_halfword(part, LCS_PROVISIONING, 0).map_or(IO_ERROR, |()| 0),
        Ok(PROVISIONING) => 0,
        Ok(_) => LIFECYCLE_INVALID,
    }
}

/// `read_implementation_id_from_otp`.
pub fn read_implementation_id(part: &mut Silicon, id: &mut [u8; 32]) -> Code {
    let first = part.soc().bl_storage() + IMPLEMENTATION_ID;
    for (address, bytes) in (first..).step_by(4).zip(id.chunks_exact_mut(4)) {
        let Ok(word) = part.read(address) else { return IO_ERROR };
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    0
}

/// Writes the implementation ID to OTP.
pub fn write_implementation_id(part: &mut Silicon, id: &[u8; 32]) -> Code {
    let first = part.soc().bl_storage() + IMPLEMENTATION_ID;
    let words = id.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    write_words(part, first, words).map_or(IO_ERROR, |()| 0)
}

/// `hw_unique_key_write_random`.
pub fn write_random_huks(part: &mut Silicon) -> Code {
    if [slot::MKEK, slot::MEXT].into_iter().any(|huk| huk_is_written(part, huk)) {
        error!("hw_unique_key: a key is written already");
        return HUK_WRITE_FAILED;
    }
    let soc = part.soc();
    let mut random = Zeroizing::new([0; 64]);
    CtrDrbg::new(&mut part.entropy, b"HUK").fill(random.as_mut());
    for (huk, key) in [slot::MKEK, slot::MEXT].into_iter().zip(random.chunks(soc.huk_size())) {
        for (index, value) in (0..).zip(key.as_chunks().0) {
            let dest = soc.aes_key_register(index);
            if let Err(fault) = write_key_slot(part, huk + index, dest, perm::PUSH_ONLY, value) {
                error!("hw_unique_key: key slot {}: {fault}", huk + index);
                return HUK_WRITE_FAILED;
            }
        }
    }
    if [slot::MKEK, slot::MEXT].into_iter().all(|huk| huk_is_written(part, huk)) {
        0
    } else {
        HUK_WRITE_FAILED
    }
}

/// Slots of a HUK: in all, written, and closed to the CPU.
///
/// # Errors
/// There is no such HUK, or the part is frozen.
pub fn huk_slots(part: &mut Silicon, huk: u32) -> Result<[u32; 3], Code> {
    let first = huk_slot(huk)?;
    let total = part.soc().slots_per_huk();
    let (mut written, mut locked) = (0, 0);
    for slot in first..first + total {
        let content = read_key_slot(part, slot).map_err(|_| IO_ERROR)?;
        written += u32::from(content != [ERASED; 6]);
        locked += u32::from(content[1] != ERASED && content[2..] == [READ_DENIED; 4]);
    }
    Ok([total, written, locked])
}

/// `hw_unique_key_derive_key` with this project's label.
pub fn derive_from_huk(part: &mut Silicon, huk: u32, derived: &mut [u8; 16]) -> Code {
    let first = match huk_slot(huk) {
        Ok(first) => first,
        Err(code) => return code,
    };
    if !huk_is_written(part, first) {
        return HUK_MISSING;
    }
    cryptocell::derive(part, first, b"provision-check", &[], derived)
        .map_or(HUK_DERIVE_FAILED, |()| 0)
}

/// `identity_key_is_written`: any word in either slot.
pub fn identity_key_is_written(part: &mut Silicon) -> bool {
    key_slot_is_written(part, slot::KIDENT) || key_slot_is_written(part, slot::KIDENT + 1)
}

/// `identity_key_write_key`.
pub fn write_identity_key(part: &mut Silicon, key: &[u8; 32]) -> Code {
    if !huk_is_written(part, slot::MKEK) {
        error!("identity_key: the MKEK is missing");
        return IDENTITY_KEY_MKEK_MISSING;
    }
    match store_identity_key(part, key) {
        Ok(()) => 0,
        Err(fault) => {
            error!("identity_key: the key slots cannot be written: {fault}");
            IDENTITY_KEY_WRITE_FAILED
        }
    }
}

/// `identity_key_write_random`.
pub fn write_random_identity_key(part: &mut Silicon) -> Code {
    let mut key = Zeroizing::new([0; 32]);
    let mut drbg = CtrDrbg::new(&mut part.entropy, b"identity key");
    // One candidate in 2^32 is no scalar; four in a row are a broken generator.
    for _ in 0..4 {
        drbg.fill(key.as_mut());
        if SecretKey::from_slice(key.as_ref()).is_ok() {
            return write_identity_key(part, &key);
        }
    }
    IDENTITY_KEY_GENERATION_FAILED
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
    retrieve_identity_key(part, key).map_or(IDENTITY_KEY_READ_FAILED, |()| 0)
}

/// `sys_csrand_get`.
pub fn fill_random(part: &mut Silicon, bytes: &mut [u8]) -> Code {
    CtrDrbg::new(&mut part.entropy, b"sys_csrand_get").fill(bytes);
    0
}

/// The first slot of a HUK of `nrf_keys.h`.
const fn huk_slot(huk: u32) -> Result<KeySlot, Code> {
    match huk {
        0 => Ok(slot::MKEK),
        1 => Ok(slot::MEXT),
        _ => Err(INVALID_ARGUMENT),
    }
}

/// `hw_unique_key_is_written`: any word in any of its slots. A frozen part has no blank slots.
fn huk_is_written(part: &mut Silicon, huk: KeySlot) -> bool {
    (huk..huk + part.soc().slots_per_huk()).any(|slot| key_slot_is_written(part, slot))
}

fn key_slot_is_written(part: &mut Silicon, slot: KeySlot) -> bool {
    read_key_slot(part, slot) != Ok([ERASED; 6])
}

/// DEST, PERM and the four VALUE words of a slot, as the CPU sees them.
fn read_key_slot(part: &mut Silicon, slot: KeySlot) -> Access<[u32; 6]> {
    part.select(slot + 1)?;
    let mut words = [
        part.read(Silicon::dest_address(slot))?,
        part.read(Silicon::perm_address(slot))?,
        0,
        0,
        0,
        0,
    ];
    for (address, word) in (Silicon::value_address(slot)..).step_by(4).zip(&mut words[2..]) {
        *word = part.read(address)?;
    }
    part.select(0)?;
    Ok(words)
}

/// `nrf_cc3xx_platform_kmu_write_key_slot`: the value and its destination, and the permissions, which
/// close the slot, last (the SDK's `tests/lib/hw_unique_key_tfm/README.txt` writes in this order).
pub(crate) fn write_key_slot(
    part: &mut Silicon,
    slot: KeySlot,
    dest: u32,
    perm: u32,
    value: &[u8; 16],
) -> Access<()> {
    part.select(slot + 1)?;
    let words = value.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    write_words(part, Silicon::value_address(slot), words)?;
    write_words(part, Silicon::dest_address(slot), [dest])?;
    write_words(part, Silicon::perm_address(slot), [perm])?;
    part.select(0)
}

/// `nrf_cc3xx_platform_identity_key_store`. Nothing is pushed, so DEST stays erased.
fn store_identity_key(part: &mut Silicon, key: &[u8; 32]) -> Access<()> {
    let mut wrapped = Zeroizing::new(*key);
    cryptocell::wrap(part, slot::MKEK, &mut wrapped)?;
    for (slot, value) in (slot::KIDENT..).zip(wrapped.as_chunks().0) {
        write_key_slot(part, slot, ERASED, perm::READ_ONLY, value)?;
    }
    Ok(())
}

/// `nrf_cc3xx_platform_identity_key_retrieve`.
fn retrieve_identity_key(part: &mut Silicon, key: &mut [u8; 32]) -> Access<()> {
    for (slot, bytes) in (slot::KIDENT..).zip(key.as_chunks_mut::<16>().0) {
        let content = read_key_slot(part, slot)?;
        for (bytes, word) in bytes.chunks_exact_mut(4).zip(&content[2..]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }
    cryptocell::unwrap(part, slot::MKEK, key)
}

/// `nrfx_nvmc_otp_halfword_read` at an offset in the bootloader storage.
fn read_otp_halfword(part: &mut Silicon, offset: u32) -> Access<u32> {
    let address = part.soc().bl_storage() + offset;
    let word = part.read(address & !3)?;
    Ok(word >> (8 * (address & 3)) & 0xFFFF)
}

/// `nrfx_nvmc_halfword_write` at an offset in the bootloader storage: a word whose other half is ones.
pub(crate) fn write_otp_halfword(part: &mut Silicon, offset: u32, value: u16) -> Access<()> {
    let address = part.soc().bl_storage() + offset;
    let shift = 8 * (address & 3);
    let word = !(0xFFFF << shift) | u32::from(value) << shift;
    write_words(part, address & !3, [word])
}

/// `nrfx_nvmc_words_write`.
fn write_words(part: &mut Silicon, first: u32, words: impl IntoIterator<Item = u32>) -> Access<()> {
    part.enable_write(true);
    let result =
        (first..).step_by(4).zip(words).try_for_each(|(address, word)| part.write(address, word));
    part.enable_write(false);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Soc;

    fn parts() -> [Silicon; 2] {
        Soc::ALL.map(|soc| Silicon::erased(soc, [1; 32]))
    }

    #[test]
    fn lifecycle_goes_from_assembly_to_provisioning() {
        for mut part in parts() {
            assert_eq!(lifecycle(&mut part), Ok(ASSEMBLY));
            assert_eq!(enter_provisioning(&mut part), 0);
            assert_eq!(lifecycle(&mut part), Ok(PROVISIONING));
            assert_eq!(enter_provisioning(&mut part), 0, "nothing left to do");
            write_otp_halfword(&mut part, LCS_SECURED, 0).unwrap();
            assert_eq!(lifecycle(&mut part), Ok(SECURED));
            assert_eq!(enter_provisioning(&mut part), LIFECYCLE_INVALID);
            write_otp_halfword(&mut part, LCS_DECOMMISSIONED, 0).unwrap();
            assert_eq!(lifecycle(&mut part), Ok(DECOMMISSIONED));
            assert_eq!(part.fault(), None);
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
                    write_otp_halfword(&mut part, offset, word).unwrap();
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
            assert_eq!(read_implementation_id(&mut part, &mut found), 0);
            assert_eq!(found, [0xFF; 32]);
            assert_eq!(write_implementation_id(&mut part, &id), 0);
            assert_eq!(read_implementation_id(&mut part, &mut found), 0);
            assert_eq!(found, id);
            assert_eq!(write_implementation_id(&mut part, &id), IO_ERROR, "OTP is written once");
            assert!(matches!(part.fault(), Some(IllegalAccess::OtpWrittenTwice(_))));
        }
    }

    #[test]
    fn huks_are_written_once_and_closed() {
        for mut part in parts() {
            let total = part.soc().slots_per_huk();
            for huk in [0, 1] {
                assert_eq!(huk_slots(&mut part, huk), Ok([total, 0, 0]));
                assert_eq!(derive_from_huk(&mut part, huk, &mut [0; 16]), HUK_MISSING);
            }
            assert_eq!(write_random_huks(&mut part), 0);
            let mut derived = [[0; 16]; 2];
            for (huk, derived) in (0..).zip(&mut derived) {
                assert_eq!(huk_slots(&mut part, huk), Ok([total, total, total]));
                assert_eq!(derive_from_huk(&mut part, huk, derived), 0);
            }
            assert_ne!(derived[0], derived[1]);
            let page = *part.page();
            assert_eq!(write_random_huks(&mut part), HUK_WRITE_FAILED);
            assert_eq!(page, *part.page());
            assert_eq!(huk_slots(&mut part, 2), Err(INVALID_ARGUMENT));
            assert_eq!(part.fault(), None);
        }
    }

    #[test]
    fn identity_key_needs_the_mkek_and_comes_back() {
        for mut part in parts() {
            let mut key = [0; 32];
            assert!(!identity_key_is_written(&mut part));
            assert_eq!(write_identity_key(&mut part, &[7; 32]), IDENTITY_KEY_MKEK_MISSING);
            assert_eq!(read_identity_key(&mut part, &mut key), IDENTITY_KEY_MKEK_MISSING);
            assert_eq!(write_random_huks(&mut part), 0);
            assert_eq!(read_identity_key(&mut part, &mut key), IDENTITY_KEY_MISSING);
            assert_eq!(write_identity_key(&mut part, &[7; 32]), 0);
            assert!(identity_key_is_written(&mut part));
            assert_eq!(read_identity_key(&mut part, &mut key), 0);
            assert_eq!(key, [7; 32]);
            let value = (Silicon::value_address(6) - crate::UICR_BASE) as usize / 4;
            assert!(!part.page()[value..value + 8].contains(&0x0707_0707), "kept encrypted");
            assert_eq!(write_identity_key(&mut part, &[8; 32]), IDENTITY_KEY_WRITE_FAILED);
            assert!(matches!(part.fault(), Some(IllegalAccess::SlotLocked(_))));
        }
    }

    #[test]
    fn the_dummy_key_is_tf_ms() {
        for mut part in parts() {
            let mut key = [0; 32];
            assert_eq!(write_random_huks(&mut part), 0);
            assert_eq!(write_dummy_identity_key(&mut part), 0);
            assert_eq!(read_identity_key(&mut part, &mut key), 0);
            assert_eq!(key, DUMMY_KEY);
        }
    }
}
