// SPDX-License-Identifier: Apache-2.0

//! Checks what this project assumes about a part, where no document and no source says it: one line for each
//! assumption, with what was predicted and what was seen. On the model all must be as predicted; on a part, each
//! difference is a finding. docs/fidelity.rst has the list, and `cargo xtask silicon-report` makes its table of a console.
//!
//! The part is lost: it is written to where only an ERASEALL erases.
#![no_std]
// Kconfig has more options than cargo can know.
#![allow(unexpected_cfgs)]

#[cfg(not(target_os = "none"))]
compile_error!("this is a Zephyr image: build it with west");

#[cfg(target_os = "none")]
mod assumptions;
#[cfg(target_os = "none")]
mod by_hand;
#[cfg(target_os = "none")]
mod cuts;
#[cfg(target_os = "none")]
mod notes;
#[cfg(target_os = "none")]
mod part;
#[cfg(target_os = "none")]
mod provisioned;
#[cfg(target_os = "none")]
mod run;
