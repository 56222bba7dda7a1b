// SPDX-License-Identifier: Apache-2.0

//! Checks the project, measures the firmware image, and compares it with what was measured before.
//!
//! [`elf`] reads the linked image, [`panics`] what can panic in it, [`console`] what an image with
//! `CONFIG_PROVISIONING_MEASURE` logs, and [`history`] keeps and compares the figures. None of these needs
//! Zephyr; [`build`] and [`qemu`] do. [`cachegrind`] counts the instructions of the host's programs. [`mutants`] has nothing to do with the image: it measures the tests. [`silicon`] reads
//! what `tests/silicon` has found out about a part.
#![forbid(unsafe_code)]

pub mod build;
pub mod cachegrind;
pub mod console;
pub mod elf;
pub mod history;
pub mod mutants;
pub mod panics;
pub mod qemu;
pub mod silicon;
pub mod twister;
pub mod workspace;

/// A number with commas between its thousands, as the tables print it.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
