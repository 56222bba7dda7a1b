// SPDX-License-Identifier: Apache-2.0

//! The vectors with which the SDK tests its drivers on real parts, on the modelled one.

#[cfg(not(seed_keys))]
use core::ffi::{c_int, c_uint};

use silicon::Soc;
#[cfg(not(seed_keys))]
use silicon::platform::slot::{MEXT, MKEK};
#[cfg(not(seed_keys))]
use silicon::vectors::Vector;
#[cfg(not(seed_keys))]
use silicon::with_installed;

#[cfg(not(seed_keys))]
unsafe extern "C" {
    /// `hw_unique_key.h`; its enum of key slots is an `unsigned int` on every target here.
    fn hw_unique_key_write(slot: c_uint, key: *const u8) -> c_int;
    /// `hw_unique_key.h`
    fn hw_unique_key_derive_key(
        slot: c_uint,
        context: *const u8,
        context_size: usize,
        label: *const u8,
        label_size: usize,
        output: *mut u8,
        output_size: u32,
    ) -> c_int;
    /// `nrf_cc3xx_platform_kmu.h`
    fn nrf_cc3xx_platform_kmu_shadow_key_derive(
        slot: u32,
        key_bits: c_uint,
        label: *const u8,
        label_size: usize,
        context: *const u8,
        context_size: usize,
        output: *mut u8,
        output_size: usize,
    ) -> c_int;
}

/// The SDK has no vectors for this part: how its keys follow from a seed is not published.
#[cfg(seed_keys)]
pub fn derive(_: Soc) -> Option<bool> {
    None
}

/// Writes each HUK through the SDK's driver and derives from it, through the driver and directly; whether that gives
/// what the vectors say.
#[cfg(not(seed_keys))]
pub fn derive(soc: Soc) -> Option<bool> {
    Some(is_derived(soc))
}

#[cfg(not(seed_keys))]
fn is_derived(soc: Soc) -> bool {
    let Some(Vector { key, label, context, expected, .. }) = Vector::of(soc) else {
        return false;
    };
    let bits = 8 * soc.huk_size() as c_uint;
    let size = expected.len();
    with_installed(|part| part.replace(soc, [0; 32]));
    [MKEK, MEXT].into_iter().all(|slot| {
        let mut by_driver = [0; 32];
        let mut directly = [0; 32];
        // SAFETY: the key has the size of a HUK.
        let written = unsafe { hw_unique_key_write(slot, key.as_ptr()) };
        // SAFETY: each pointer is valid for the size that follows it; 32 bytes hold any vector's key.
        let derived = unsafe {
            hw_unique_key_derive_key(
                slot,
                context.as_ptr(),
                context.len(),
                label.as_ptr(),
                label.len(),
                by_driver.as_mut_ptr(),
                size as u32,
            )
        };
        // SAFETY: as above.
        let derived_directly = unsafe {
            nrf_cc3xx_platform_kmu_shadow_key_derive(
                slot,
                bits,
                label.as_ptr(),
                label.len(),
                context.as_ptr(),
                context.len(),
                directly.as_mut_ptr(),
                size,
            )
        };
        [written, derived, derived_directly] == [0; 3]
            && by_driver[..size] == **expected
            && directly[..size] == **expected
    })
}
