// SPDX-License-Identifier: Apache-2.0

//! Fuzzes [`fuzz::console`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::console::check(data));
