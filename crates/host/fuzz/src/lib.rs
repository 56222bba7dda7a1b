// SPDX-License-Identifier: Apache-2.0

//! What the station does with input that comes from outside, each as a function of arbitrary bytes that panics
//! where the station does something that it must not do.
//!
//! `cargo xtask fuzz` has libFuzzer call them with what it makes of the [`corpus`]. `cargo test` calls them with the
//! corpus itself, and with each input in `regressions/` on which one of them once failed.
#![forbid(unsafe_code)]

pub mod console;
pub mod corpus;
pub mod export;
pub mod ledger;
pub mod record;

/// A target, and the name of its folder in the corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 4] = [
    ("console", console::check),
    ("record", record::check),
    ("ledger", ledger::check),
    ("export", export::check),
];
