// SPDX-License-Identifier: Apache-2.0

//! A file for each subcommand.

pub mod bench;
pub mod bench_host;
pub mod check;
pub mod history;
pub mod mutants;
pub mod silicon_report;
pub mod size;

/// The message of an error, with those of its causes that it does not have in itself.
pub fn whole(error: &anyhow::Error) -> String {
    error.chain().skip(1).map(ToString::to_string).fold(error.to_string(), |text, cause| {
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}
