// SPDX-License-Identifier: Apache-2.0

//! What can panic in an image for a part, and why it may.
//!
//! A panic that the compiler cannot rule out keeps three things in the image: the name of its source file,
//! code that formats its message, and the call. The source files of this project are not among them, but
//! for the one that logs; what remains is the dependencies'.

use std::collections::BTreeMap;

use crate::elf::{Elf, Symbol, symbols};

/// The firmware's own source file: its package is the folder in which cargo runs.
const FIRMWARE: &str = "firmware.rs";

/// Source files whose panics may be in an image for a part: their crate, and what would have to happen.
pub const EXPECTED: [(&str, &str); 10] = [
    ("aes", "a word of the cipher beyond its eight, checked in each round"),
    ("block-buffer", "a cut behind the end of the data, checked where a block is filled"),
    ("crypto-bigint", "a shift or a limb beyond its number, checked in the course of an inversion"),
    ("elliptic-curve", "a field element that is not as long as the curve says"),
    ("primefield", "a field element that is not as long as the curve says"),
    ("primeorder", "a digit of a scalar beyond its table"),
    (FIRMWARE, "nothing: the logger notes in which file each message is"),
    ("rfc6979", "a nonce that is not as long as the order of the curve"),
    ("subtle", "a nonce or a half of a signature that is zero"),
    ("zephyr", "the console refuses a character"),
];

/// What formats messages that nothing in the image has: numbers with a fraction, structures for debugging,
/// cut strings; and what grows on a heap.
const NEEDLESS: [&str; 6] = [
    "core::fmt::float",
    "core::fmt::builders",
    "flt2dec",
    "core::str::slice_error_fail",
    "core::cell::panic",
    "alloc::",
];

/// A crate of which something can panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    /// The crate, or where the path of its file does not tell one, that path.
    pub krate: String,
    /// The files, from the folder `src`.
    pub files: Vec<String>,
    /// What would have to happen; `None` where nobody has said so yet.
    pub why: Option<&'static str>,
}

/// What can panic, by crate.
#[must_use]
pub fn panics(elf: &Elf<'_>) -> Vec<Panic> {
    let mut crates = BTreeMap::<_, Vec<_>>::new();
    for path in elf.rust_files() {
        let (krate, file) = krate(&path);
        crates.entry(String::from(krate)).or_default().push(String::from(file));
    }
    crates
        .into_iter()
        .map(|(krate, files)| {
            let why = EXPECTED.iter().find(|(name, _)| *name == krate).map(|(_, why)| *why);
            Panic { krate, files, why }
        })
        .collect()
}

/// Functions that format or allocate what the image has no use for.
#[must_use]
pub fn needless(elf: &Elf<'_>) -> Vec<Symbol> {
    let is_needless = |symbol: &Symbol| NEEDLESS.iter().any(|part| symbol.name.contains(part));
    symbols(elf).into_iter().filter(is_needless).collect()
}

/// The crate of a source file, by the folder that holds its `src`, and the rest of the path.
fn krate(path: &str) -> (&str, &str) {
    // The firmware is built in its own folder, and the text before may run into the path.
    if path.ends_with(FIRMWARE) {
        return (FIRMWARE, FIRMWARE);
    }
    let Some((folder, file)) = path.rsplit_once("/src/") else { return (path, path) };
    let name = folder.rsplit('/').next().unwrap_or(folder);
    // Those of a registry have their version behind.
    let version = name.rmatch_indices('-').find(|(at, _)| {
        name[at + 1..].starts_with(|first: char| first.is_ascii_digit())
            && name[*at..].contains('.')
    });
    (version.map_or(name, |(at, _)| &name[..at]), file)
}

#[cfg(test)]
mod tests {
    use super::krate;

    #[test]
    fn a_path_tells_its_crate() {
        for (path, expected) in [
            (
                "/home/me/.cargo/registry/src/index-0123/crypto-bigint-0.7.10/src/uint/shr.rs",
                "crypto-bigint",
            ),
            ("/x/wnaf-0.14.0-rc.1/src/lib.rs", "wnaf"),
            ("/sdk/modules/lang/rust/zephyr/src/printk.rs", "zephyr"),
            ("/rustc/0123abcd/library/core/src/fmt/mod.rs", "core"),
            ("crates/image/nrf-keys/src/lib.rs", "nrf-keys"),
            ("hdfirmware.rs", "firmware.rs"),
            ("x.rs", "x.rs"),
        ] {
            assert_eq!(krate(path).0, expected);
        }
        assert_eq!(krate("/x/p256-0.14.0/src/arithmetic/scalar.rs").1, "arithmetic/scalar.rs");
    }
}
