// SPDX-License-Identifier: Apache-2.0

//! Which families of parts a program is for: an image for the one that its Kconfig says, so that it has no code and no
//! texts of the other, and a program of the host for both.

use std::{env, fs};

fn main() {
    println!("cargo::rustc-check-cfg=cfg(seed_keys, stored_keys)");
    println!("cargo::rerun-if-env-changed=DOTCONFIG");
    let families = match (env::var("DOTCONFIG"), env::var("CARGO_CFG_TARGET_OS").as_deref()) {
        // Set by zephyr-lang-rust.
        (Ok(dotconfig), Ok("none")) => {
            println!("cargo::rerun-if-changed={dotconfig}");
            let config = fs::read_to_string(&dotconfig).unwrap_or_else(|error| {
                panic!("cannot read the Kconfig output {dotconfig}: {error}")
            });
            let is_seed = config.lines().any(|line| line == "CONFIG_PROVISIONING_SEED_KEYS=y");
            if is_seed { &["seed_keys"][..] } else { &["stored_keys"] }
        }
        _ => &["seed_keys", "stored_keys"],
    };
    for family in families {
        println!("cargo::rustc-cfg={family}");
    }
}
