// SPDX-License-Identifier: Apache-2.0

//! The C side of the application, as `build.rs` reads it from `glue.h`; and a check that the bindings of
//! `nrf-keys`, which are written by hand, are those of their header.

include!(concat!(env!("OUT_DIR"), "/glue.rs"));

/// What `nrf_keys.h` declares. Only compared.
mod header {
    #![allow(dead_code)]
    include!(concat!(env!("OUT_DIR"), "/nrf_keys.rs"));
}

use nrf_keys::raw;
include!(concat!(env!("OUT_DIR"), "/nrf_keys_checks.rs"));
