// SPDX-License-Identifier: Apache-2.0

//! The modelled part that answers C, and the C symbols under which it does:
//!
//! - `for_bindings`: the functions of `nrf_keys.h`, which the bindings of this project call. The stand-in
//!   drivers answer.
//! - `for_cryptocell`: the functions and the register that the SDK's own drivers of these parts use. The modelled NVMC,
//!   CryptoCell library, PSA Crypto and random generator answer, and the SDK's drivers answer the bindings.
//! - `for_cracen`: the same for an nRF54L15, where the modelled RRAMC, KMU and CRACEN answer.
//!
//! A program has one of them. The names are the SDK's, so nothing of this module may be linked into an image
//! for a real part: it is compiled for the host (`std`) and where Kconfig says `SILICON_MODEL` (`build.rs`).

#[cfg(any(feature = "std", not(sdk_drivers)))]
mod for_bindings;
#[cfg(all(sdk_drivers, seed_keys))]
mod for_cracen;
#[cfg(all(sdk_drivers, not(seed_keys)))]
mod for_cryptocell;

use core::cell::RefCell;

use crate::part::Silicon;
use crate::platform::Code;
#[cfg(not(feature = "std"))]
use crate::soc::Soc;

/// `-ENODEV`: no part is installed.
const NO_PART: Code = -19;

#[cfg(feature = "std")]
std::thread_local! {
    // One part a thread, so that tests and batches run side by side. It stays where it is, so that no other
    // memory of the program ever holds its keys.
    static PART: RefCell<Option<Box<Silicon>>> = const { RefCell::new(None) };
}

#[cfg(not(feature = "std"))]
static PART: critical_section::Mutex<RefCell<Silicon>> =
    critical_section::Mutex::new(RefCell::new(Silicon::erased(Soc::Nrf5340, [0; 32])));

/// Puts `part` under the drivers of this thread, and gives back the one that was there.
#[cfg(feature = "std")]
#[expect(
    clippy::must_use_candidate,
    reason = "there may be none, and then there is nothing to keep"
)]
pub fn install(part: Box<Silicon>) -> Option<Box<Silicon>> {
    PART.replace(Some(part))
}

/// Takes this thread's part away from the drivers.
#[cfg(feature = "std")]
#[expect(clippy::must_use_candidate, reason = "as `install`")]
pub fn remove() -> Option<Box<Silicon>> {
    PART.take()
}

/// Lends the part under the drivers to `access`; `None` where there is none.
#[cfg(feature = "std")]
pub fn with_installed<T>(access: impl FnOnce(&mut Silicon) -> T) -> Option<T> {
    PART.with_borrow_mut(|part| part.as_deref_mut().map(access))
}

/// Lends the part under the drivers to `access`.
#[cfg(not(feature = "std"))]
pub fn with_installed<T>(access: impl FnOnce(&mut Silicon) -> T) -> Option<T> {
    critical_section::with(|cs| Some(access(&mut PART.borrow_ref_mut(cs))))
}

/// # Safety
/// `bytes` must be valid for reads of `size` bytes, or `size` be 0.
#[cfg(sdk_drivers)]
unsafe fn input<'a>(bytes: *const u8, size: usize) -> &'a [u8] {
    if size == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts(bytes, size) }
}

/// # Safety
/// `bytes` must be valid for reads and writes of `size` bytes, or `size` be 0.
#[cfg(sdk_drivers)]
unsafe fn output<'a>(bytes: *mut u8, size: usize) -> &'a mut [u8] {
    if size == 0 {
        return &mut [];
    }
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts_mut(bytes, size) }
}

/// Lends the part to `access`, or gives `absent` where there is none.
pub(crate) fn with_part<T>(absent: T, access: impl FnOnce(&mut Silicon) -> T) -> T {
    with_installed(access).unwrap_or(absent)
}
