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

use nrf_keys::{Drivers, SeedDrivers};
use provisioning::{Config, Device, Event, Failure, HukSize, PublicKey, provision};
use silicon::{Family, Silicon, Soc};

/// How long the HUKs of a part are that stores them.
///
/// # Panics
/// The part stores none: it is an nRF54L15.
#[must_use]
pub fn huk_size(soc: Soc) -> HukSize {
    HukSize::from_bits(8 * soc.huk_size()).expect("HUKs of 128 or 256 bits")
}

/// Puts `part`, which stores its keys, under the drivers of this thread for as long as `access` uses them, and gives it
/// back. Other threads can have their own part meanwhile.
///
/// # Panics
/// This thread has a part already.
pub fn with_drivers<T>(part: Silicon, access: impl FnOnce(&mut Drivers) -> T) -> (Silicon, T) {
    let huk_size = huk_size(part.soc());
    installed(part, || {
        // SAFETY: the drivers work on this thread's part, and only `access` calls them until it is removed.
        access(&mut unsafe { Drivers::new(huk_size) })
    })
}

/// The same for a part whose keys are derived from a seed.
///
/// # Panics
/// This thread has a part already.
pub fn with_seed_drivers<T>(
    part: Silicon,
    access: impl FnOnce(&mut SeedDrivers) -> T,
) -> (Silicon, T) {
    installed(part, || {
        // SAFETY: as above.
        access(&mut unsafe { SeedDrivers::new() })
    })
}

fn installed<T>(part: Silicon, access: impl FnOnce() -> T) -> (Silicon, T) {
    assert!(silicon::install(Box::new(part)).is_none(), "this thread provisions a part already");
    let result = access();
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
    match part.soc().family() {
        Family::CryptoCell => with_drivers(part, |drivers| run_on(drivers, config, &mut report)),
        Family::Cracen => with_seed_drivers(part, |drivers| run_on(drivers, config, &mut report)),
    }
}

fn run_on(
    device: &mut impl Device,
    config: &Config,
    report: &mut impl FnMut(Event<'_>),
) -> Result<PublicKey, Failure> {
    let part = provision(device, config, &mut *report)?;
    report(part.success()?);
    Ok(*part.public_key())
}
