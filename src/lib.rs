// SPDX-License-Identifier: Apache-2.0

//! The Zephyr application: joins the drivers to the procedure, and nothing more.
#![cfg_attr(target_os = "none", no_std)]
// Kconfig has more options than cargo can know.
#![allow(unexpected_cfgs)]

#[cfg(not(target_os = "none"))]
compile_error!(
    "this package is firmware and is built by `west build -b BOARD`; on a host, run `cargo sim`"
);

#[cfg(target_os = "none")]
mod firmware;
#[cfg(target_os = "none")]
mod glue;
