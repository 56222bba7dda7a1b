// SPDX-License-Identifier: Apache-2.0

//! Kconfig's options as cfg and constants.

use std::env;

fn main() {
    let dotconfig = env::var("DOTCONFIG").expect("this test is built by west");
    println!("cargo::rerun-if-changed={dotconfig}");
    zephyr_build::export_kconfig_bool_options();
    zephyr_build::build_kconfig_mod();
}
