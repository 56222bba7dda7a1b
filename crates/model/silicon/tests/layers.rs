// SPDX-License-Identifier: Apache-2.0

//! No module of the model uses one above it. The order is that of the crate's documentation.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules, from the bottom up, as the list in `lib.rs` has them.
fn layers() -> Vec<String> {
    let text = fs::read_to_string(source().join("lib.rs")).unwrap();
    let list = text.split("//! ```text\n").nth(1).unwrap().split("//! ```").next().unwrap();
    list.lines()
        .map(|line| line.trim_start_matches("//! ").split("  ").next().unwrap())
        .flat_map(|names| names.split(", ").map(str::to_owned))
        .collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The source files of a module, those of the modules within it included.
fn files(module: &str) -> Vec<PathBuf> {
    let mut files = vec![source().join(format!("{module}.rs"))];
    if let Ok(folder) = fs::read_dir(source().join(module)) {
        files.extend(folder.map(|entry| entry.unwrap().path()));
    }
    files
}

#[test]
fn each_module_has_its_place() {
    let mut listed = layers();
    let mut found: Vec<String> = fs::read_dir(source())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && path.file_stem().unwrap() != "lib")
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    listed.sort();
    found.sort();
    assert_eq!(listed, found);
}

#[test]
fn a_module_uses_only_those_below_it() {
    let layers = layers();
    for (place, module) in layers.iter().enumerate() {
        for file in files(module) {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for used in code.filter_map(|line| line.split("crate::").nth(1)) {
                // By its path, so that nothing hides behind the names at the crate's root.
                let used =
                    used.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap();
                let below = layers[..place].iter().any(|layer| layer == used);
                assert!(below, "{}: crate::{used}", file.display());
            }
        }
    }
}
