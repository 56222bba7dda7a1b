// SPDX-License-Identifier: Apache-2.0

//! Fuzzes [`fuzz::record`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::record::check(data));
