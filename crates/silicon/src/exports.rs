// SPDX-License-Identifier: Apache-2.0

//! The modelled part that answers C, and the C symbols that it answers: those of the drivers, or, where
//! the SDK's own drivers are linked, those of the layer below them.
//!
//! The names have to be the SDK's, so nothing of this module may be linked into an image for a real
//! part: it is compiled for the desk (`std`) and where Kconfig says `SILICON_MODEL` (`build.rs`).

#[cfg(any(feature = "std", not(sdk_drivers)))]
mod drivers;
#[cfg(sdk_drivers)]
mod sdk;

use core::cell::RefCell;

use crate::Silicon;
use crate::platform::Code;

/// `-ENODEV`: no part is installed.
const NO_PART: Code = -19;

#[cfg(feature = "std")]
std::thread_local! {
    // One part a thread, so that tests and batches run side by side.
    static PART: RefCell<Option<Silicon>> = const { RefCell::new(None) };
}

#[cfg(not(feature = "std"))]
static PART: critical_section::Mutex<RefCell<Option<Silicon>>> =
    critical_section::Mutex::new(RefCell::new(Some(Silicon::erased(crate::Soc::Nrf5340, [0; 32]))));

#[cfg(feature = "std")]
fn with_slot<T>(access: impl FnOnce(&mut Option<Silicon>) -> T) -> T {
    PART.with_borrow_mut(access)
}

#[cfg(not(feature = "std"))]
fn with_slot<T>(access: impl FnOnce(&mut Option<Silicon>) -> T) -> T {
    critical_section::with(|cs| access(&mut PART.borrow_ref_mut(cs)))
}

/// Puts `part` under the drivers of this thread, and gives back the one that was there.
#[cfg(feature = "std")]
#[must_use]
pub fn install(part: Silicon) -> Option<Silicon> {
    with_slot(|slot| slot.replace(part))
}

/// Takes this thread's part away from the drivers.
#[cfg(feature = "std")]
pub fn remove() -> Option<Silicon> {
    with_slot(Option::take)
}

/// Lends the part under the drivers to `access`; `None` where there is none.
pub fn with_installed<T>(access: impl FnOnce(&mut Silicon) -> T) -> Option<T> {
    with_slot(|slot| slot.as_mut().map(access))
}

/// Lends the part to `access`, or gives `absent` where there is none.
pub(crate) fn with_part<T>(absent: T, access: impl FnOnce(&mut Silicon) -> T) -> T {
    with_slot(|slot| slot.as_mut().map_or(absent, access))
}
