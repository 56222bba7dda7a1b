// SPDX-License-Identifier: Apache-2.0

//! The nRF Connect SDK's key drivers as a [`provisioning::Device`]: [`Drivers`] for parts whose keys are stored,
//! [`SeedDrivers`] for those whose keys are derived from a seed.
//!
//! All `unsafe` that the firmware needs for its drivers is in this crate. The C side is declared in
//! `include/nrf_keys.h`: under Zephyr on a Nordic part it is the SDK's `hw_unique_key`,
//! `identity_key` and `bl_storage`, elsewhere the stand-in drivers of the crate `silicon`, or the SDK's again, on modelled silicon.
#![no_std]

pub mod raw;
#[cfg(seed_keys)]
mod seed;
#[cfg(stored_keys)]
mod stored;

use core::ffi::c_int;

use provisioning::{
    DeviceId, DriverError, Huk, HukSize, IMPLEMENTATION_ID_SIZE, KeyCheckValue, Lifecycle,
};

#[cfg(seed_keys)]
pub use seed::SeedDrivers;
#[cfg(stored_keys)]
pub use stored::Drivers;

/// 0 is success for every driver; all else is its error code.
fn check(code: i32) -> Result<(), DriverError> {
    if code == 0 { Ok(()) } else { Err(DriverError::from_raw(code)) }
}

// The drivers return `int`, the glue `int32_t`; the parts and every host have 32-bit `int`.
const _: () = assert!(size_of::<c_int>() == size_of::<i32>());

fn huk_number(huk: Huk) -> u32 {
    match huk {
        Huk::Mkek => raw::NRF_KEYS_MKEK,
        Huk::Mext => raw::NRF_KEYS_MEXT,
    }
}

// What each family of parts does in the same way. The owner of the drivers rules out concurrent calls.

fn device_id() -> DeviceId {
    let mut words = [0_u32; 2];
    // SAFETY: `words` is valid for the write of the two words that the header names.
    unsafe { raw::nrf_keys_device_id(words.as_mut_ptr()) };
    DeviceId((u64::from(words[1]) << 32 | u64::from(words[0])).to_le_bytes())
}

fn lifecycle() -> Result<Lifecycle, DriverError> {
    let mut state = 0;
    // SAFETY: `state` is valid for the write of one u32 during the call.
    check(unsafe { raw::nrf_keys_lifecycle_read(&raw mut state) })?;
    match state {
        raw::NRF_KEYS_LIFECYCLE_ASSEMBLY => Ok(Lifecycle::Assembly),
        raw::NRF_KEYS_LIFECYCLE_PROVISIONING => Ok(Lifecycle::Provisioning),
        raw::NRF_KEYS_LIFECYCLE_SECURED => Ok(Lifecycle::Secured),
        raw::NRF_KEYS_LIFECYCLE_DECOMMISSIONED => Ok(Lifecycle::Decommissioned),
        // A state that no header has: what the driver said is all that there is to report.
        unknown => Err(DriverError::from_raw(unknown.cast_signed())),
    }
}

fn enter_provisioning() -> Result<(), DriverError> {
    // SAFETY: no arguments; the owner of the drivers rules out a concurrent call.
    check(unsafe { raw::nrf_keys_lifecycle_enter_provisioning() })
}

fn implementation_id() -> Result<[u8; IMPLEMENTATION_ID_SIZE], DriverError> {
    let mut id = [0; IMPLEMENTATION_ID_SIZE];
    // SAFETY: `id` is valid for the write of the 32 bytes that the header names.
    check(unsafe { raw::nrf_keys_implementation_id_read(id.as_mut_ptr()) })?;
    Ok(id)
}

fn write_implementation_id_word(index: u32, word: u32) -> Result<(), DriverError> {
    // SAFETY: plain numbers; the owner of the drivers rules out a concurrent call.
    check(unsafe { raw::nrf_keys_implementation_id_write_word(index, word) })
}

fn fill_random(bytes: &mut [u8; 32]) -> Result<(), DriverError> {
    // SAFETY: `bytes` is valid for the write of its 32 bytes.
    check(unsafe { raw::nrf_keys_random(bytes.as_mut_ptr(), 32) })
}

/// As many bytes as a HUK of this size has, under a label of the same length on each part.
fn derive_from_huk(size: HukSize, huk: Huk, value: &mut KeyCheckValue) -> Result<(), DriverError> {
    let label = size.label();
    // No label is longer than a block. Without one, the derived value would not be the expected one.
    let label_size = u32::try_from(label.len()).unwrap_or_default();
    let label = label.as_ptr();
    let derived = value.expose_mut().as_mut_ptr();
    let bytes = 16 * u32::from(size.blocks());
    // SAFETY: the label is valid for reads of `label_size` bytes, and `derived` for the write of `bytes`.
    check(unsafe { raw::nrf_keys_huk_derive(huk_number(huk), label, label_size, derived, bytes) })
}
