// SPDX-License-Identifier: Apache-2.0

//! What the bindings call, under the C names of `nrf_keys.h`: the stand-in drivers.

use core::ffi::c_int;

use super::{NO_PART, with_part};
use crate::drivers::{self, SlotOfKey};
#[cfg(seed_keys)]
use crate::key_store::KmuEvent;
use crate::part::Silicon;
use crate::platform::{self, Code};
#[cfg(seed_keys)]
use crate::seed_drivers::{self, SlotOfSeed};
use crate::soc::Family;

/// Runs a driver that returns a code.
fn call(driver: impl FnOnce(&mut Silicon) -> Code) -> c_int {
    with_part(NO_PART, driver)
}

#[unsafe(no_mangle)]
extern "C" fn identity_key_is_written() -> bool {
    with_part(false, drivers::identity_key_is_written)
}

/// # Safety
/// `key` must be valid for reads and writes of 32 bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn identity_key_read(key: *mut [u8; 32]) -> c_int {
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    let key = unsafe { &mut *key };
    call(|part| drivers::read_identity_key(part, key))
}

/// # Safety
/// `key` must be valid for reads and writes of 32 bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn identity_key_free(key: *mut [u8; 32]) {
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    platform::identity_key_free(unsafe { &mut *key });
}

/// # Safety
/// `key` must be valid for reads of 32 bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn identity_key_write_key(key: *mut [u8; 32]) -> c_int {
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    let key = unsafe { &*key };
    call(|part| drivers::write_identity_key(part, key))
}

/// # Safety
/// `words` must be valid for the write of two u32.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_keys_device_id(words: *mut [u32; 2]) {
    // SAFETY: the caller's promise.
    unsafe { words.write(with_part([0; 2], |part| part.device_id())) }
}

/// # Safety
/// `state` must be valid for the write of a u32.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_keys_lifecycle_read(state: *mut u32) -> i32 {
    match with_part(Err(NO_PART), drivers::lifecycle) {
        Ok(found) => {
            // SAFETY: the caller's promise.
            unsafe { state.write(found) };
            0
        }
        Err(code) => code,
    }
}

#[unsafe(no_mangle)]
extern "C" fn nrf_keys_lifecycle_enter_provisioning() -> i32 {
    call(drivers::enter_provisioning)
}

/// # Safety
/// `id` must be valid for reads and writes of 32 bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_keys_implementation_id_read(id: *mut [u8; 32]) -> i32 {
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    let id = unsafe { &mut *id };
    call(|part| {
        drivers::read_implementation_id(part, id);
        0
    })
}

#[unsafe(no_mangle)]
extern "C" fn nrf_keys_implementation_id_write_word(index: u32, word: u32) -> i32 {
    call(|part| drivers::write_implementation_id_word(part, index, word))
}

/// # Safety
/// `words` must be valid for the write of six words, `closed` for that of two.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_keys_slot_read(
    key: u32,
    index: u32,
    words: *mut [u32; 6],
    closed: *mut [u32; 2],
) -> i32 {
    match with_part(Err(NO_PART), |part| drivers::key_slot(part, key, index)) {
        Ok(SlotOfKey { words: found, closed: closed_as, total }) => {
            // SAFETY: the caller's promise.
            unsafe { words.write(found) };
            // SAFETY: the caller's promise.
            unsafe { closed.write(closed_as) };
            total.cast_signed()
        }
        Err(code) => code,
    }
}

/// # Safety
/// `key` must be valid for reads of 32 bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_keys_huk_write(huk: u32, key: *const [u8; 32]) -> i32 {
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    let key = unsafe { &*key };
    call(|part| drivers::write_huk(part, huk, key))
}

/// # Safety
/// `label` must be valid for reads of `label_size` bytes, `derived` for reads and writes of `size`.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_keys_huk_derive(
    huk: u32,
    label: *const u8,
    label_size: u32,
    derived: *mut u8,
    size: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    let label = unsafe { core::slice::from_raw_parts(label, label_size as usize) };
    // SAFETY: the caller's promise.
    let derived = unsafe { core::slice::from_raw_parts_mut(derived, size as usize) };
    call(|part| match part.soc().family() {
        Family::CryptoCell => drivers::derive_from_huk(part, huk, label, derived),
        #[cfg(seed_keys)]
        Family::Cracen => seed_drivers::derive_from_huk(part, huk, label, derived),
    })
}

#[unsafe(no_mangle)]
extern "C" fn nrf_keys_identity_key_write_random() -> i32 {
    call(drivers::write_random_identity_key)
}

#[unsafe(no_mangle)]
extern "C" fn nrf_keys_identity_key_write_dummy() -> i32 {
    call(drivers::write_dummy_identity_key)
}

/// # Safety
/// `buffer` must be valid for reads and writes of `size` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_keys_random(buffer: *mut u8, size: u32) -> i32 {
    // SAFETY: the caller's promise.
    let bytes = unsafe { core::slice::from_raw_parts_mut(buffer, size as usize) };
    call(|part| match part.soc().family() {
        Family::CryptoCell => platform::csrand_get(part, bytes),
        #[cfg(seed_keys)]
        Family::Cracen => seed_drivers::csrand_get(part, bytes),
    })
}

/// # Safety
/// `metadata` must be valid for the write of two words.
#[cfg(seed_keys)]
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_keys_seed_slot_read(index: u32, metadata: *mut [u32; 2]) -> i32 {
    match with_part(Err(NO_PART), |part| seed_drivers::seed_slot(part, index)) {
        Ok(SlotOfSeed { metadata: found, written }) => {
            // SAFETY: the caller's promise.
            unsafe { metadata.write([found.unwrap_or_default(), written]) };
            // NRF_KEYS_SLOT_* of the header.
            match found {
                Err(KmuEvent::Error) => 0,
                Ok(_) => 1,
                Err(KmuEvent::Revoked) => 2,
            }
        }
        Err(code) => code,
    }
}

/// # Safety
/// `seed` must be valid for reads of 48 bytes.
#[cfg(seed_keys)]
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_keys_seed_write(seed: *const [u8; 48]) -> i32 {
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    let seed = unsafe { &*seed };
    call(|part| seed_drivers::write_seed(part, seed))
}

/// # Safety
/// `seed` must be valid for reads of 48 bytes.
#[cfg(seed_keys)]
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_keys_seed_complete(seed: *const [u8; 48]) -> i32 {
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    let seed = unsafe { &*seed };
    call(|part| seed_drivers::complete_seed(part, seed))
}

/// # Safety
/// `public_key` must be valid for reads and writes of 65 bytes.
#[cfg(seed_keys)]
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_keys_public_identity_key(public_key: *mut [u8; 65]) -> i32 {
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    let public_key = unsafe { &mut *public_key };
    call(|part| seed_drivers::public_key(part, public_key).err().unwrap_or_default())
}

/// # Safety
/// `digest` must be valid for reads of 32 bytes, `signature` for reads and writes of 64.
#[cfg(seed_keys)]
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_keys_sign(digest: *const [u8; 32], signature: *mut [u8; 64]) -> i32 {
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    let digest = unsafe { &*digest };
    // SAFETY: as above.
    let signature = unsafe { &mut *signature };
    call(|part| seed_drivers::sign(part, digest, signature).err().unwrap_or_default())
}
