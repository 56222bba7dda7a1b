// SPDX-License-Identifier: Apache-2.0

//! Lets the model's C symbols into a Zephyr image only where its Kconfig asks for modelled silicon, and
//! only those that the chosen drivers leave open; and the memory of parts with a seed only where the image is for one.
//!
//! They carry the names of the SDK's functions, so an image for a real part must not contain them at all.

use std::{env, fs};

fn main() {
    println!("cargo::rustc-check-cfg=cfg(silicon_model, sdk_drivers, device_file, seed_keys)");
    println!("cargo::rerun-if-env-changed=DOTCONFIG");
    // Set by zephyr-lang-rust; a program for the host has the feature `std` instead.
    let (Ok(dotconfig), Ok("none")) =
        (env::var("DOTCONFIG"), env::var("CARGO_CFG_TARGET_OS").as_deref())
    else {
        println!("cargo::rustc-cfg=seed_keys");
        return;
    };
    println!("cargo::rerun-if-changed={dotconfig}");
    let config = fs::read_to_string(&dotconfig)
        .unwrap_or_else(|error| panic!("cannot read the Kconfig output {dotconfig}: {error}"));
    for (option, cfg) in [
        ("SILICON_MODEL", "silicon_model"),
        ("SILICON_MODEL_SDK_DRIVERS", "sdk_drivers"),
        ("SILICON_MODEL_DEVICE_FILE", "device_file"),
        ("PROVISIONING_SEED_KEYS", "seed_keys"),
    ] {
        if config.lines().any(|line| line == format!("CONFIG_{option}=y")) {
            println!("cargo::rustc-cfg={cfg}");
        }
    }
}
