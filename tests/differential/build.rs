// SPDX-License-Identifier: Apache-2.0

//! Runs every scenario with the stand-in drivers, here on the host, and writes down what it gave, for the image to
//! compare with.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use differential::{Scenario, host};
use silicon::{ERASED, Family, Soc};

fn main() {
    println!("cargo::rerun-if-env-changed=DOTCONFIG");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(seed_keys)");
    let dotconfig = env::var("DOTCONFIG").expect("this test is built by west");
    println!("cargo::rerun-if-changed={dotconfig}");
    let config = fs::read_to_string(&dotconfig)
        .unwrap_or_else(|error| panic!("cannot read the Kconfig output {dotconfig}: {error}"));
    let soc: Soc = config
        .lines()
        .find_map(|line| line.strip_prefix("CONFIG_SILICON_MODEL_SOC_NAME=\"")?.strip_suffix('"'))
        .expect("Kconfig names a part")
        .parse()
        .expect("the part is modelled");

    if soc.family() == Family::Cracen {
        println!("cargo::rustc-cfg=seed_keys");
    }
    let mut code = format!(
        "/// The part of the list.\nconst SOC: silicon::Soc = silicon::Soc::{soc:?};\n\n\
         /// What the host gave, scenario by scenario.\nstatic EXPECTED: &[differential::Expected] = &[\n"
    );
    for scenario in Scenario::for_part(soc) {
        let observed = host::run(&scenario, soc);
        let words: Vec<(usize, u32)> =
            observed.words.into_iter().enumerate().filter(|(_, word)| *word != ERASED).collect();
        writeln!(
            code,
            "    // {scenario}\n    differential::Expected {{ lines: &{:?}, words: &{words:#010x?} }},",
            observed.lines
        )
        .expect("a String takes it");
    }
    code.push_str("];\n");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("expected.rs"), code).expect("cargo's own folder");
}
