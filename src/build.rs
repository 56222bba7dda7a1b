// SPDX-License-Identifier: Apache-2.0

//! Kconfig's options as cfg and constants, and the Rust declarations of the C headers.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;
use std::{env, fs};

use bindgen::callbacks::{ItemInfo, ItemKind, ParseCallbacks};

/// What the bindings of the key drivers declare by hand, since host programs use them too.
const NRF_KEYS: &str = "../crates/image/nrf-keys/include/nrf_keys.h";

/// A name that a header declares.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Constant(String),
    Function(String),
}

#[derive(Debug, Default)]
struct Names(Rc<RefCell<BTreeSet<Name>>>);

impl ParseCallbacks for Names {
    fn item_name(&self, item: ItemInfo<'_>) -> Option<String> {
        let name = String::from(item.name);
        match item.kind {
            ItemKind::Function => self.0.borrow_mut().insert(Name::Function(name)),
            ItemKind::Var => self.0.borrow_mut().insert(Name::Constant(name)),
            _ => false,
        };
        None
    }
}

fn main() {
    let dotconfig = env::var("DOTCONFIG").expect("this package is firmware: west builds it");
    println!("cargo::rerun-if-changed={dotconfig}");
    zephyr_build::export_kconfig_bool_options();
    zephyr_build::build_kconfig_mod();

    declare("glue.h", "provisioning_.*");
    let names = declare(NRF_KEYS, "(nrf_keys|identity_key|NRF_KEYS)_.*");
    // Two functions in an array must be of one type.
    let checks: String = names
        .iter()
        .map(|name| match name {
            Name::Constant(name) => {
                format!("const _: () = assert!(header::{name} == raw::{name});\n")
            }
            Name::Function(name) => {
                format!("const _: () = {{ let _ = [header::{name}, raw::{name}]; }};\n")
            }
        })
        .collect();
    fs::write(out("nrf_keys_checks.rs"), checks).expect("OUT_DIR can be written");
}

/// Writes the Rust declarations of a header into a file of its name, and gives the names in it.
fn declare(header: &str, items: &str) -> BTreeSet<Name> {
    println!("cargo::rerun-if-changed={header}");
    let target = env::var("TARGET").expect("cargo sets it");
    let names = Rc::default();
    let stem = PathBuf::from(header).with_extension("rs");
    bindgen::builder()
        .header(header)
        .clang_args([format!("--target={target}"), String::from("-ffreestanding")])
        .use_core()
        .allowlist_item(items)
        .parse_callbacks(Box::new(Names(Rc::clone(&names))))
        .generate()
        .unwrap_or_else(|error| panic!("{header}: {error}"))
        .write_to_file(out(stem.file_name().and_then(|name| name.to_str()).expect("a file")))
        .unwrap_or_else(|error| panic!("{header}: {error}"));
    names.take()
}

fn out(file: &str) -> PathBuf {
    PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join(file)
}
