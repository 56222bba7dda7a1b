// SPDX-License-Identifier: Apache-2.0

//! Provisions a Nordic part for Trusted Firmware-M.
//!
//! [`provision`] takes a part from the PSA lifecycle state *Device assembly and test* to *PRoT
//! Provisioning* and gives it its keys. It sees the part through the [`Device`] trait, which on
//! silicon is `nrf_keys::Drivers`. Nothing here knows whether the part is real.
#![no_std]
#![forbid(unsafe_code)]

pub mod console;
mod curve;
mod device;
mod failure;
mod huk;
mod identity;
mod implementation_id;
mod keys;
mod procedure;
mod record;
mod scalar;
mod verdict;

pub use console::{Event, Level};
pub use device::{Device, DriverError, Huk, Lifecycle};
pub use failure::{Cause, CauseRow, Failure, Piece, Remedy, Written};
pub use huk::{HukKey, HukSize, KeyCheckValue};
pub use identity::{
    DUMMY_PUBLIC_KEY, IDENTITY_KEY_SIZE, IdentityKey, IdentityKeySource, PublicKey, Ueid,
};
pub use implementation_id::{IMPLEMENTATION_ID_SIZE, ImplementationId, ImplementationIdError};
#[cfg(stored_keys)]
pub use keys::{KeySlots, StoredKeyDevice, StoredKeys};
#[cfg(seed_keys)]
pub use keys::{Note, SEED_SIZE, Seed, SeedDevice, SeedKeys, SeedSlots};
pub use procedure::{Config, Provisioned, provision};
pub use record::{DeviceId, Measurement, Nonce, RECORD_SIZE, Record, VERSION};
