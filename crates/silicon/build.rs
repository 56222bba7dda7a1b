// SPDX-License-Identifier: Apache-2.0

//! Lets the stand-in drivers into a Zephyr image only where its Kconfig asks for modelled silicon.
//!
//! They carry the names of the SDK's drivers, so an image for a real part must not contain them at all.

use std::{env, fs};

fn main() {
    println!("cargo::rustc-check-cfg=cfg(silicon_model)");
    println!("cargo::rerun-if-env-changed=DOTCONFIG");
    // Set by zephyr-lang-rust; a plain cargo build has the feature `std` instead.
    let Ok(dotconfig) = env::var("DOTCONFIG") else { return };
    println!("cargo::rerun-if-changed={dotconfig}");
    let config = fs::read_to_string(&dotconfig)
        .unwrap_or_else(|error| panic!("cannot read the Kconfig output {dotconfig}: {error}"));
    if config.lines().any(|line| line == "CONFIG_SILICON_MODEL=y") {
        println!("cargo::rustc-cfg=silicon_model");
    }
}
