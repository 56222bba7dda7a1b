// SPDX-License-Identifier: Apache-2.0

//! `include/nrf_keys.h` in Rust, by hand, so that programs of the host need no libclang. The header says what each
//! function does; the build of the firmware reads it with bindgen and refuses it where the two differ.
#![allow(missing_docs)]

use core::ffi::c_int;

pub const NRF_KEYS_LIFECYCLE_ASSEMBLY: u32 = 1;
pub const NRF_KEYS_LIFECYCLE_PROVISIONING: u32 = 2;
pub const NRF_KEYS_LIFECYCLE_SECURED: u32 = 3;
pub const NRF_KEYS_LIFECYCLE_DECOMMISSIONED: u32 = 4;

pub const NRF_KEYS_MKEK: u32 = 0;
pub const NRF_KEYS_MEXT: u32 = 1;
pub const NRF_KEYS_IDENTITY: u32 = 2;

pub const NRF_KEYS_SLOT_BLANK: u32 = 0;
pub const NRF_KEYS_SLOT_WRITTEN: u32 = 1;
pub const NRF_KEYS_SLOT_REVOKED: u32 = 2;

unsafe extern "C" {
    pub fn identity_key_is_written() -> bool;
    pub fn identity_key_read(key: *mut u8) -> c_int;
    pub fn identity_key_free(key: *mut u8);
    pub fn identity_key_write_key(key: *mut u8) -> c_int;

    pub fn nrf_keys_lifecycle_read(state: *mut u32) -> i32;
    pub fn nrf_keys_lifecycle_enter_provisioning() -> i32;
    pub fn nrf_keys_implementation_id_read(id: *mut u8) -> i32;
    pub fn nrf_keys_implementation_id_write_word(index: u32, word: u32) -> i32;
    pub fn nrf_keys_slot_read(key: u32, index: u32, words: *mut u32, closed: *mut u32) -> i32;
    pub fn nrf_keys_huk_write(huk: u32, key: *const u8) -> i32;
    pub fn nrf_keys_huk_derive(
        huk: u32,
        label: *const u8,
        label_size: u32,
        derived: *mut u8,
        size: u32,
    ) -> i32;
    pub fn nrf_keys_identity_key_write_random() -> i32;
    pub fn nrf_keys_identity_key_write_dummy() -> i32;
    pub fn nrf_keys_seed_slot_read(index: u32, metadata: *mut u32) -> i32;
    pub fn nrf_keys_seed_write(seed: *const u8) -> i32;
    pub fn nrf_keys_seed_complete(seed: *const u8) -> i32;
    pub fn nrf_keys_public_identity_key(public_key: *mut u8) -> i32;
    pub fn nrf_keys_sign(digest: *const u8, signature: *mut u8) -> i32;
    pub fn nrf_keys_device_id(words: *mut u32);
    pub fn nrf_keys_random(buffer: *mut u8, size: u32) -> i32;
}
