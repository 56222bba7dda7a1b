// SPDX-License-Identifier: Apache-2.0

//! Which family of parts the image is for.

use std::{env, fs};

fn main() {
    println!("cargo::rustc-check-cfg=cfg(seed_keys)");
    println!("cargo::rerun-if-env-changed=DOTCONFIG");
    let dotconfig = env::var("DOTCONFIG").expect("this test is built by west");
    println!("cargo::rerun-if-changed={dotconfig}");
    let config = fs::read_to_string(&dotconfig)
        .unwrap_or_else(|error| panic!("cannot read the Kconfig output {dotconfig}: {error}"));
    if config.lines().any(|line| line == "CONFIG_PROVISIONING_SEED_KEYS=y") {
        println!("cargo::rustc-cfg=seed_keys");
    }
}
