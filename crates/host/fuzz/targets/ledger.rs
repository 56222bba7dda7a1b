// SPDX-License-Identifier: Apache-2.0

//! Fuzzes [`fuzz::ledger`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::ledger::check(data));
