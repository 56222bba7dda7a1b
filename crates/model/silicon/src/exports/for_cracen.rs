// SPDX-License-Identifier: Apache-2.0

//! What the SDK's own drivers of an nRF54L15 use, under the C names of `nrfx_rramc.h`, `nrfx_kmu.h` and `nrf_cracen.h`, and
//! what `zephyr/cracen.c` of this crate asks, which is the rest of CRACEN.

use core::ffi::{c_int, c_void};

use sha2::{Digest, Sha256};

use super::{NO_PART, input, output, with_part};
use crate::faults::{Call, Effect};
use crate::ikg::{self, GeneratedKey};
use crate::key_store::{KmuEvent, RevokePolicy, SlotContent};
use crate::nvmc;
use crate::part::Silicon;
use crate::platform;
use crate::uicr::{KeySlot, READ_DENIED};

const EACCES: c_int = 13;
const EFAULT: c_int = 14;
const EINVAL: c_int = 22;

/// What nrfx makes of the KMU's events.
fn result(result: Result<(), KmuEvent>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(KmuEvent::Revoked) => -EACCES,
        Err(KmuEvent::Error) => -EFAULT,
    }
}

// nrfx_rramc.h

#[unsafe(no_mangle)]
extern "C" fn nrfx_rramc_word_read(address: u32) -> u32 {
    with_part(READ_DENIED, |part| nvmc::uicr_word_read(part, address))
}

#[unsafe(no_mangle)]
extern "C" fn nrfx_rramc_word_write(address: u32, value: u32) {
    with_part((), |part| nvmc::word_write(part, address, value));
}

fn otp(part: &Silicon, index: u32) -> u32 {
    part.soc().otp_base().wrapping_add(4 * index)
}

#[unsafe(no_mangle)]
extern "C" fn nrfx_rramc_otp_word_read(index: u32) -> u32 {
    with_part(READ_DENIED, |part| nvmc::uicr_word_read(part, otp(part, index)))
}

#[unsafe(no_mangle)]
extern "C" fn nrfx_rramc_otp_word_write(index: u32, value: u32) -> bool {
    with_part(false, |part| nvmc::otp_word_write(part, otp(part, index), value))
}

#[unsafe(no_mangle)]
extern "C" fn nrfx_rramc_write_enable_set(enable: bool, _write_buffer_size: u32) {
    with_part((), |part| part.enable_write(enable));
}

// nrfx_kmu.h

/// `nrfx_kmu_key_slot_data_t` of `zephyr/include/cracen/nrfx_kmu.h`.
#[repr(C)]
struct SlotData {
    value: [u32; 4],
    revoke_policy: u32,
    dest: u32,
    metadata: u32,
}

/// # Safety
/// `data` must be valid for reads.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrfx_kmu_key_slot_provision(data: *const SlotData, slot: KeySlot) -> c_int {
    // SAFETY: the caller's promise.
    let SlotData { value, revoke_policy, dest, metadata } = unsafe { &*data };
    let policy = match revoke_policy {
        1 => RevokePolicy::Rotating,
        2 => RevokePolicy::Locked,
        3 => RevokePolicy::Revoked,
        _ => return -EINVAL,
    };
    let content = SlotContent { value: *value, dest: *dest, metadata: *metadata, policy };
    with_part(NO_PART, |part| match part.strike(Call::KmuProvision) {
        Some(Effect::Error) => -EFAULT,
        Some(Effect::Nothing) => 0,
        None => result(part.provision_slot(slot, &content)),
    })
}

#[unsafe(no_mangle)]
extern "C" fn nrfx_kmu_key_slots_revoke(slot: KeySlot, count: u32) -> c_int {
    with_part(NO_PART, |part| {
        result((slot..slot.saturating_add(count)).try_for_each(|slot| {
            match part.strike(Call::KmuRevoke) {
                Some(Effect::Error) => Err(KmuEvent::Error),
                Some(Effect::Nothing) => Ok(()),
                None => part.revoke_slot(slot),
            }
        }))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nrfx_kmu_key_slots_push(slot: KeySlot, count: u32) -> c_int {
    with_part(NO_PART, |part| {
        result((slot..slot.saturating_add(count)).try_for_each(|slot| part.push_slot(slot)))
    })
}

/// No driver call that a test makes blocks a slot.
#[unsafe(no_mangle)]
extern "C" fn nrfx_kmu_key_slots_push_block(_slot: KeySlot, _count: u32) -> c_int {
    -EFAULT
}

/// # Safety
/// `metadata` must be valid for the write of a word.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrfx_kmu_key_slot_metadata_read(slot: KeySlot, metadata: *mut u32) -> c_int {
    match with_part(Err(KmuEvent::Error), |part| part.slot_metadata(slot)) {
        Ok(found) => {
            // SAFETY: the caller's promise.
            unsafe { metadata.write(found) };
            0
        }
        Err(event) => result(Err(event)),
    }
}

/// Whether the KMU reports this of each of these slots.
fn all_report(slot: KeySlot, count: u32, event: KmuEvent) -> bool {
    with_part(false, |part| {
        (slot..slot.saturating_add(count)).all(|slot| part.slot_metadata(slot) == Err(event))
    })
}

/// # Safety
/// `is_empty` must be valid for the write.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrfx_kmu_key_slots_empty_check(
    slot: KeySlot,
    count: u32,
    is_empty: *mut bool,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { is_empty.write(all_report(slot, count, KmuEvent::Error)) };
    0
}

/// # Safety
/// `is_revoked` must be valid for the write.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrfx_kmu_key_slots_revoked_check(
    slot: KeySlot,
    count: u32,
    is_revoked: *mut bool,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { is_revoked.write(all_report(slot, count, KmuEvent::Revoked)) };
    0
}

// hal/nrf_cracen.h, hal/nrf_ficr.h

#[unsafe(no_mangle)]
extern "C" fn nrf_cracen_seedram_lock_check(_cracen: *const c_void) -> bool {
    with_part(false, |part| part.seed_is_locked())
}

#[unsafe(no_mangle)]
extern "C" fn nrf_cracen_seedram_lock_enable_set(_cracen: *mut c_void, enable: bool) {
    if enable {
        with_part((), Silicon::lock_seed);
    }
}

#[unsafe(no_mangle)]
extern "C" fn nrf_ficr_deviceid_get(_ficr: *const c_void, index: u32) -> u32 {
    let words = with_part([0; 2], |part| part.device_id());
    words.get(index as usize).copied().unwrap_or_default()
}

// zephyr/cracen.c

#[unsafe(no_mangle)]
extern "C" fn silicon_cracen_is_on() -> bool {
    with_part(false, |part| part.cracen_is_on())
}

#[unsafe(no_mangle)]
extern "C" fn silicon_cracen_turn_on() {
    with_part((), Silicon::turn_cracen_on);
}

/// # Safety
/// `buffer` must be valid for `size` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn silicon_random(buffer: *mut u8, size: usize) -> c_int {
    // SAFETY: the caller's promise.
    let bytes = unsafe { output(buffer, size) };
    with_part(NO_PART, |part| platform::csrand_get(part, bytes))
}

/// # Safety
/// `bytes` must be valid for `size` bytes, `digest` for the write of 32.
#[unsafe(no_mangle)]
unsafe extern "C" fn silicon_sha256(bytes: *const u8, size: usize, digest: *mut [u8; 32]) {
    // SAFETY: the caller's promise.
    let hash = Sha256::digest(unsafe { input(bytes, size) });
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    unsafe { digest.write(hash.into()) };
}

fn generated(result: Option<Result<(), ikg::Failed>>) -> c_int {
    match result {
        Some(Ok(())) => 0,
        _ => -EFAULT,
    }
}

#[unsafe(no_mangle)]
extern "C" fn silicon_ikg_has_seed() -> c_int {
    if with_part(false, ikg::has_seed) { 0 } else { -EFAULT }
}

/// # Safety
/// `point` must be valid for reads and writes of 64 bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn silicon_ikg_public_key(point: *mut [u8; 64]) -> c_int {
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    let point = unsafe { &mut *point };
    generated(with_part(None, |part| Some(ikg::public_key(part, point))))
}

/// # Safety
/// `digest` must be valid for reads of 32 bytes, `signature` for reads and writes of 64.
#[unsafe(no_mangle)]
unsafe extern "C" fn silicon_ikg_sign(digest: *const [u8; 32], signature: *mut [u8; 64]) -> c_int {
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    let digest = unsafe { &*digest };
    // SAFETY: as above.
    let signature = unsafe { &mut *signature };
    generated(with_part(None, |part| Some(ikg::sign(part, digest, signature))))
}

/// # Safety
/// `bytes` must be valid for `size` bytes, `mac` for the write of 16.
#[unsafe(no_mangle)]
unsafe extern "C" fn silicon_ikg_cmac(
    key: u32,
    bytes: *const u8,
    size: usize,
    mac: *mut [u8; 16],
) -> c_int {
    // SAFETY: the caller's promise.
    let bytes = unsafe { input(bytes, size) };
    let key = match key {
        1 => GeneratedKey::Mkek,
        2 => GeneratedKey::Mext,
        _ => return -EINVAL,
    };
    match with_part(Err(ikg::Failed), |part| ikg::cmac(part, key, &[bytes])) {
        Ok(made) => {
            // SAFETY: the caller's promise; an array of bytes has no alignment.
            unsafe { mac.write(made) };
            0
        }
        Err(ikg::Failed) => -EFAULT,
    }
}
