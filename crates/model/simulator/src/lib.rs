// SPDX-License-Identifier: Apache-2.0

//! Provisions modelled parts on a desk.
//!
//! What runs is the firmware's: the procedure, the bindings and the C symbols that they call. Only
//! what answers these symbols is modelled, by the crate `silicon`.

pub mod device_file;
pub mod dump;
pub mod inspector;
pub mod sweep;

use nrf_keys::Drivers;
use provisioning::{Config, Event, Failure, HukSize, PublicKey, provision};
use silicon::Silicon;

/// Provisions `part` as the firmware does, and gives back what became of it.
///
/// The part belongs to the calling thread meanwhile; other threads can run their own.
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
    let huk_size =
        HukSize::from_bits(8 * part.soc().huk_size()).expect("a part's HUKs have a size");
    assert!(silicon::install(Box::new(part)).is_none(), "this thread provisions a part already");
    // SAFETY: the drivers work on this thread's part, and nothing but `provision` calls them until it
    // is removed.
    let mut drivers = unsafe { Drivers::new(huk_size) };
    let result = provision(&mut drivers, config, &mut report).and_then(|part| {
        report(part.success()?);
        Ok(*part.public_key())
    });
    let part = silicon::remove().expect("the part was installed above");
    (*part, result)
}
