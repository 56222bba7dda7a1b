// SPDX-License-Identifier: Apache-2.0

//! Provisions a modelled part with this project's procedure, and has TF-M take it on: the SDK's and TF-M's own
//! sources, from the workspace. Each start of TF-M is a machine that was reset; the part and the notes of the test
//! outlive it.
#![no_std]

#[cfg(not(target_os = "none"))]
compile_error!("this is a Zephyr image: build it with west");

#[cfg(target_os = "none")]
mod fate;
#[cfg(target_os = "none")]
mod kept;
#[cfg(target_os = "none")]
mod run;
#[cfg(all(target_os = "none", seed_keys))]
mod seed;
#[cfg(all(target_os = "none", not(seed_keys)))]
mod stored;
#[cfg(target_os = "none")]
mod token;

#[cfg(all(target_os = "none", seed_keys))]
use seed as part;
#[cfg(all(target_os = "none", not(seed_keys)))]
use stored as part;
