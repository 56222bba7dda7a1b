// SPDX-License-Identifier: Apache-2.0

//! Runs every scenario on the modelled part with the SDK's drivers, and compares line by line and word by word
//! with what the stand-ins gave on the host. Then does it again with a model that is broken on purpose, once for
//! each way, and wants a difference.
#![no_std]

#[cfg(not(target_os = "none"))]
compile_error!("this is a Zephyr image: build it with west, or run the crates' tests");

#[cfg(target_os = "none")]
mod compare;
#[cfg(target_os = "none")]
mod leaks;
#[cfg(target_os = "none")]
mod vectors;
