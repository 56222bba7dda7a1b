// SPDX-License-Identifier: Apache-2.0

//! What the SDK's own drivers of parts with a CryptoCell use, under the C names of `nrfx_nvmc.h`, `nrf_cc3xx_platform_*.h`, PSA Crypto and
//! Zephyr's random generator, and the KMU's register.
//!
//! `zephyr/abi_cryptocell.c` of this crate checks these signatures against the SDK's headers.

use core::cell::RefCell;
use core::ffi::{c_int, c_uint, c_void};
use core::slice;
use core::sync::atomic::{AtomicU32, Ordering};

use critical_section::Mutex;

use super::{NO_PART, input, output, with_part};
use crate::nvmc;
use crate::part::Silicon;
use crate::platform::{self, Code, PSA_INVALID_HANDLE, PSA_NOT_SUPPORTED, PsaKey};
use crate::uicr::READ_DENIED;

/// The KMU as `zephyr/include/cryptocell/nrf.h` declares it: the drivers store to its register.
#[repr(C)]
struct Kmu {
    select_key_slot: AtomicU32,
}

#[unsafe(export_name = "silicon_kmu")]
static KMU: Kmu = Kmu { select_key_slot: AtomicU32::new(0) };

/// Runs a call on the part, which sees the key slot that is selected now and may select another.
fn call<T>(absent: T, access: impl FnOnce(&mut Silicon) -> T) -> T {
    with_part(absent, |part| {
        let selected = KMU.select_key_slot.load(Ordering::Relaxed);
        if selected != part.selected() {
            // Refused by name: the access that follows finds the part frozen.
            let _ = part.select(selected);
        }
        let result = access(part);
        KMU.select_key_slot.store(part.selected(), Ordering::Relaxed);
        result
    })
}

// nrfx_nvmc.h

#[unsafe(no_mangle)]
extern "C" fn nrfx_nvmc_uicr_word_read(address: *const u32) -> u32 {
    // An address of the part, not of this program: it is never followed. All of UICR is below 2^32.
    let address = u32::try_from(address.addr()).unwrap_or(u32::MAX);
    call(READ_DENIED, |part| nvmc::uicr_word_read(part, address))
}

#[unsafe(no_mangle)]
extern "C" fn nrfx_nvmc_otp_halfword_read(address: u32) -> u16 {
    call(0xDEAD, |part| nvmc::otp_halfword_read(part, address))
}

#[unsafe(no_mangle)]
extern "C" fn nrfx_nvmc_halfword_write(address: u32, value: u16) {
    call((), |part| nvmc::halfword_write(part, address, value));
}

#[unsafe(no_mangle)]
extern "C" fn nrfx_nvmc_word_write(address: u32, value: u32) {
    call((), |part| nvmc::word_write(part, address, value));
}

/// # Safety
/// `words` must be aligned and valid for reads of `count` words.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrfx_nvmc_words_write(address: u32, words: *const u32, count: u32) {
    // SAFETY: the caller's promise.
    let words = unsafe { slice::from_raw_parts(words, count as usize) };
    call((), |part| nvmc::words_write(part, address, words.iter().copied()));
}

#[unsafe(no_mangle)]
extern "C" fn nrfx_nvmc_write_done_check() -> bool {
    true // a write takes no time here
}

// hal/nrf_ficr.h

#[unsafe(no_mangle)]
extern "C" fn nrf_ficr_deviceid_get(_ficr: *const c_void, index: u32) -> u32 {
    let words = with_part([0; 2], |part| part.device_id());
    words.get(index as usize).copied().unwrap_or_default()
}

// nrf_cc3xx_platform_kmu.h

/// # Safety
/// `key` must be valid for reads of 16 bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_cc3xx_platform_kmu_write_key_slot(
    slot: u32,
    dest: u32,
    perm: u32,
    key: *const [u8; 16],
) -> c_int {
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    let key = unsafe { &*key };
    call(NO_PART, |part| platform::kmu_write_key_slot(part, slot, dest, perm, key))
}

/// # Safety
/// Each pointer must be valid for the size that follows it.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_cc3xx_platform_kmu_shadow_key_derive(
    slot: u32,
    key_bits: c_uint,
    label: *const u8,
    label_size: usize,
    context: *const u8,
    context_size: usize,
    derived: *mut u8,
    derived_size: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    let (label, context) = unsafe { (input(label, label_size), input(context, context_size)) };
    // SAFETY: the caller's promise.
    let derived = unsafe { output(derived, derived_size) };
    call(NO_PART, |part| {
        platform::shadow_key_derive(part, slot, key_bits as usize, label, context, derived)
    })
}

// nrf_cc3xx_platform_identity_key.h

/// # Safety
/// `key` must be valid for reads of 32 bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_cc3xx_platform_identity_key_store(
    slot: u32,
    key: *const [u8; 32],
) -> c_int {
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    let key = unsafe { &*key };
    call(NO_PART, |part| platform::identity_key_store(part, slot, key))
}

#[unsafe(no_mangle)]
extern "C" fn nrf_cc3xx_platform_identity_key_is_stored(slot: u32) -> bool {
    call(false, |part| platform::identity_key_is_stored(part, slot))
}

/// # Safety
/// `key` must be valid for reads and writes of 32 bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_cc3xx_platform_identity_key_retrieve(
    slot: u32,
    key: *mut [u8; 32],
) -> c_int {
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    let key = unsafe { &mut *key };
    call(NO_PART, |part| platform::identity_key_retrieve(part, slot, key))
}

/// # Safety
/// `key` must be valid for reads and writes of 32 bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrf_cc3xx_platform_identity_key_free(key: *mut [u8; 32]) {
    // SAFETY: the caller's promise; an array of bytes has no alignment.
    platform::identity_key_free(unsafe { &mut *key });
}

// psa/crypto.h

/// `psa_key_attributes_t` of `zephyr/include/cryptocell/psa/crypto.h`.
#[repr(C)]
struct PsaKeyAttributes {
    usage: u32,
    lifetime: u32,
    kind: u16,
    bits: usize,
}

/// `PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1)`.
const SECP_R1_KEY_PAIR: u16 = 0x7112;
/// `PSA_KEY_USAGE_EXPORT`.
const USAGE_EXPORT: u32 = 1;
/// `PSA_KEY_LIFETIME_VOLATILE`.
const VOLATILE: u32 = 0;
/// The only key ID that this model gives.
const KEY_ID: u32 = 0x4000_0000;

static PSA_KEY: Mutex<RefCell<Option<PsaKey>>> = Mutex::new(RefCell::new(None));

#[unsafe(no_mangle)]
extern "C" fn psa_crypto_init() -> Code {
    call(NO_PART, platform::psa_crypto_init)
}

/// # Safety
/// `attributes` must be valid.
#[unsafe(no_mangle)]
unsafe extern "C" fn psa_set_key_usage_flags(attributes: *mut PsaKeyAttributes, usage: u32) {
    // SAFETY: the caller's promise.
    unsafe { (*attributes).usage = usage };
}

/// # Safety
/// `attributes` must be valid.
#[unsafe(no_mangle)]
unsafe extern "C" fn psa_set_key_lifetime(attributes: *mut PsaKeyAttributes, lifetime: u32) {
    // SAFETY: the caller's promise.
    unsafe { (*attributes).lifetime = lifetime };
}

/// # Safety
/// `attributes` must be valid.
#[unsafe(no_mangle)]
unsafe extern "C" fn psa_set_key_type(attributes: *mut PsaKeyAttributes, kind: u16) {
    // SAFETY: the caller's promise.
    unsafe { (*attributes).kind = kind };
}

/// # Safety
/// `attributes` must be valid.
#[unsafe(no_mangle)]
unsafe extern "C" fn psa_set_key_bits(attributes: *mut PsaKeyAttributes, bits: usize) {
    // SAFETY: the caller's promise.
    unsafe { (*attributes).bits = bits };
}

/// # Safety
/// `attributes` must be valid, and `id` for the write of one ID.
#[unsafe(no_mangle)]
unsafe extern "C" fn psa_generate_key(attributes: *const PsaKeyAttributes, id: *mut u32) -> Code {
    // SAFETY: the caller's promise.
    let attributes = unsafe { &*attributes };
    // The drivers generate keys of this kind; others are not modelled.
    if attributes.kind != SECP_R1_KEY_PAIR
        || attributes.bits != 256
        || attributes.lifetime != VOLATILE
        || attributes.usage & USAGE_EXPORT == 0
    {
        return PSA_NOT_SUPPORTED;
    }
    match call(Err(NO_PART), platform::psa_generate_key) {
        Ok(key) => {
            critical_section::with(|cs| PSA_KEY.borrow_ref_mut(cs).replace(key));
            // SAFETY: the caller's promise.
            unsafe { id.write(KEY_ID) };
            0
        }
        Err(code) => code,
    }
}

/// # Safety
/// `buffer` must be valid for `size` bytes, and `exported` for the write of one `size_t`.
#[unsafe(no_mangle)]
unsafe extern "C" fn psa_export_key(
    id: u32,
    buffer: *mut u8,
    size: usize,
    exported: *mut usize,
) -> Code {
    // SAFETY: the caller's promise.
    let bytes = unsafe { output(buffer, size) };
    let result = critical_section::with(|cs| {
        let key = PSA_KEY.borrow_ref(cs);
        let key = key.as_ref().filter(|_| id == KEY_ID).ok_or(PSA_INVALID_HANDLE)?;
        call(Err(NO_PART), |part| platform::psa_export_key(part, key, bytes))
    });
    match result {
        Ok(size) => {
            // SAFETY: the caller's promise.
            unsafe { exported.write(size) };
            0
        }
        Err(code) => code,
    }
}

#[unsafe(no_mangle)]
extern "C" fn psa_destroy_key(id: u32) -> Code {
    let destroyed = critical_section::with(|cs| {
        let mut key = PSA_KEY.borrow_ref_mut(cs);
        // In place: what is moved out of a static leaves its bytes there.
        key.as_mut().map(PsaKey::clear).and_then(|()| key.take())
    });
    if id != KEY_ID || destroyed.is_none() {
        return PSA_INVALID_HANDLE;
    }
    call(NO_PART, platform::psa_destroy_key)
}

// zephyr/random/random.h

/// # Safety
/// `buffer` must be valid for `size` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn z_impl_sys_csrand_get(buffer: *mut u8, size: usize) -> c_int {
    // SAFETY: the caller's promise.
    let bytes = unsafe { output(buffer, size) };
    call(NO_PART, |part| platform::csrand_get(part, bytes))
}
