// SPDX-License-Identifier: Apache-2.0

//! The command `cargo station`.

fn main() {}
