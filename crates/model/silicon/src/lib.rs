// SPDX-License-Identifier: Apache-2.0

//! A model of what provisioning touches in an nRF5340 or nRF91: UICR with its OTP, the NVMC that writes it, the
//! KMU that guards its key slots, and the CryptoCell platform that uses the keys; and in an nRF54L15: UICR in RRAM, the
//! KMU with its own memory, and CRACEN's key generator. C code finds the model under one
//! of three sets of symbols: `exports::for_bindings` is `nrf_keys.h`, which the bindings of this project call and the
//! stand-in drivers of this crate answer; `exports::for_cryptocell` and `exports::for_cracen` are what lies below the SDK's
//! own drivers, which then answer the bindings themselves. An image for a real part has neither.
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
//! - nRF54L15: key slots with metadata and revocation, the push to the seed register, and keys that follow from the seed
//!   ([`ikg`]).
//! - The SDK's key drivers, as stand-ins with its error codes ([`drivers`], [`seed_drivers`]). In a Zephyr image the SDK's
//!   own drivers can take their place; they then call the two modules above through C.
//!
//! Not modelled: time, the flash and RAM of the application, debug and erase protection, the network
//! core, how a key slot is revoked, the NVMC's non-secure mode, CryptoCell's registers and self-tests.
//! The cipher with which Nordic's library wraps the identity key is not public; the model wraps it
//! with AES in a way of its own, so slots 6 and 7 hold other bytes than silicon would.
//!
//! The modules, from the bottom up. Each uses only those listed before it, which `tests/layers.rs` checks.
//! ```text
//! soc, vectors                       what differs between the parts
//! illegal_access, uicr               the rules: what an access gives, or why it is refused
//! key_store, seed_register           those of an nRF54L15's KMU
//! faults, power, entropy, mutants    what can go wrong
//! device, backing                    where the page is kept beside memory
//! part                               one part: its page under the rules, and what goes wrong with it
//! nvmc, kmu, cryptocell, ikg, platform  the calls that reach a part
//! drivers, seed_drivers, states      the stand-in drivers, and the states they leave a part in
//! exports, boot                      what C sees, and the part under a Zephyr image
//! ```
#![cfg_attr(not(feature = "std"), no_std)]

mod backing;
#[cfg(silicon_model)]
pub mod boot;
mod cryptocell;
#[cfg(device_file)]
mod device;
pub mod drivers;
mod entropy;
#[cfg(any(feature = "std", silicon_model))]
mod exports;
pub mod faults;
#[cfg(seed_keys)]
pub mod ikg;
mod illegal_access;
#[cfg(seed_keys)]
mod key_store;
mod kmu;
pub mod mutants;
pub mod nvmc;
mod part;
pub mod platform;
pub mod power;
#[cfg(seed_keys)]
pub mod seed_drivers;
#[cfg(seed_keys)]
mod seed_register;
mod soc;
pub mod states;
mod uicr;
pub mod vectors;

#[cfg(feature = "std")]
pub use backing::Backing;
pub use entropy::seed;
#[cfg(any(feature = "std", silicon_model))]
pub use exports::with_installed;
#[cfg(feature = "std")]
pub use exports::{install, remove};
pub use illegal_access::IllegalAccess;
#[cfg(seed_keys)]
pub use key_store::{KEY_STORE_WORDS, KMU_SLOTS, KmuEvent, RevokePolicy, SLOT_WORDS, SlotContent};
pub use kmu::slot;
#[cfg(seed_keys)]
pub use part::Memory;
pub use part::Silicon;
#[cfg(seed_keys)]
pub use seed_register::SEED_REGISTER;
pub use soc::{Family, Soc, UnknownSoc};
pub use uicr::{
    ERASED, KeySlot, READ_DENIED, UICR_BASE, UICR_SIZE, UICR_WORDS, dest_address, perm_address,
    value_address,
};
