// SPDX-License-Identifier: Apache-2.0

//! Provisions modelled parts on the host.
//!
//! The procedure, the bindings and the C symbols that they call are the firmware's. Only what answers these symbols
//! is modelled, by the crate `silicon`.

pub mod device_file;
pub mod dump;
pub mod inspector;
pub mod sweep;
pub mod testing;

use nrf_keys::Drivers;
use provisioning::{Config, Event, Failure, HukSize, PublicKey, provision};
use silicon::{Silicon, Soc};

/// How long the HUKs of a part are.
///
/// # Panics
/// Never: the modelled parts have HUKs of 128 or 256 bits.
#[must_use]
pub fn huk_size(soc: Soc) -> HukSize {
    HukSize::from_bits(8 * soc.huk_size()).expect("HUKs of 128 or 256 bits")
}

/// Puts `part` under the drivers of this thread for as long as `access` uses them, and gives it back. Other threads
/// can have their own part meanwhile.
///
/// # Panics
/// This thread has a part already.
pub fn with_drivers<T>(part: Silicon, access: impl FnOnce(&mut Drivers) -> T) -> (Silicon, T) {
    let huk_size = huk_size(part.soc());
    assert!(silicon::install(Box::new(part)).is_none(), "this thread provisions a part already");
    // SAFETY: the drivers work on this thread's part, and only `access` calls them until it is removed.
    let mut drivers = unsafe { Drivers::new(huk_size) };
    let result = access(&mut drivers);
    let part = silicon::remove().expect("the part was installed above");
    (*part, result)
}

/// Provisions `part` as the firmware does, and gives it back.
///
/// # Errors
/// The procedure's [`Failure`].
///
/// # Panics
/// If `report` provisions a part itself.
pub fn run(
    part: Silicon,
    config: &Config,
    mut report: impl FnMut(Event<'_>),
) -> (Silicon, Result<PublicKey, Failure>) {
    with_drivers(part, |drivers| {
        let part = provision(drivers, config, &mut report)?;
        report(part.success()?);
        Ok(*part.public_key())
    })
}
