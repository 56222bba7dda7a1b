// SPDX-License-Identifier: Apache-2.0

//! A model of what provisioning touches in an nRF5340 or nRF91: UICR with its OTP, the NVMC that
//! writes it, the KMU that guards its key slots, and the CryptoCell platform that uses the keys.
//!
//! The model is stricter than silicon: where silicon ignores an access or gives no promise, the
//! model refuses it by name ([`IllegalAccess`]) and freezes, so that nothing after it counts.
//!
//! Modelled:
//! - UICR as flash: bits only clear; OTP takes each halfword once; words only, aligned ([`Silicon`]).
//! - FICR: the device ID, which the seed gives.
//! - KMU: slot selection, permissions, write-once slots, `0xDEADDEAD`, push.
//! - CryptoCell: CTR_DRBG, SP 800-108 derivation from key slots, a key wrapped under the MKEK.
//! - The calls that reach both: `nrfx_nvmc` ([`nvmc`]), and the CryptoCell platform library, PSA Crypto
//!   and Zephyr's random generator ([`platform`]), any of which can be made to fail ([`faults`]).
//! - The SDK's key drivers, as stand-ins with its error codes ([`drivers`]). In a Zephyr image the SDK's
//!   own drivers can take their place; they then call the two modules above through C.
//!
//! Not modelled: time, the flash and RAM of the application, debug and erase protection, the network
//! core, how a key slot is revoked, the NVMC's non-secure mode, CryptoCell's registers and self-tests.
//! The cipher with which Nordic's library wraps the identity key is not public; the model wraps it
//! with AES in a way of its own, so slots 6 and 7 hold other bytes than silicon would.
#![cfg_attr(not(feature = "std"), no_std)]

pub mod boot;
mod cryptocell;
#[cfg(device_file)]
mod device;
pub mod drivers;
#[cfg(any(feature = "std", silicon_model))]
mod exports;
pub mod faults;
pub mod mutants;
pub mod nvmc;
pub mod platform;
pub mod power;
mod soc;
mod uicr;

#[cfg(any(feature = "std", silicon_model))]
pub use exports::with_installed;
#[cfg(feature = "std")]
pub use exports::{install, remove};
pub use soc::{Soc, UnknownSoc};
#[cfg(feature = "std")]
pub use uicr::Backing;
pub use uicr::{
    ERASED, IllegalAccess, KeySlot, READ_DENIED, Silicon, UICR_BASE, UICR_SIZE, UICR_WORDS,
};

pub mod states;
pub mod vectors;
