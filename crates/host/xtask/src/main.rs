// SPDX-License-Identifier: Apache-2.0

//! The command `cargo xtask`.

mod commands;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use commands::check::Check;
use commands::check::fuzz::{self, Fuzz};
use commands::history::Keep;
use commands::mutants::Mutants;
use commands::silicon_report::SiliconReport;
use commands::size::Size;
use commands::{bench, bench_host, check, mutants, silicon_report, size};

/// Checks the project, measures the image and compares it with what was measured before, and measures the tests.
///
/// The exit code is 0 where all is well, 1 where a check fails, something grew by more than 2 % or a mutant
/// survives, and 2 where the command cannot be carried out.
#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run all checks of the project, and name each that cannot run here
    ///
    /// It installs nothing: .ci/run does, and then runs this. Its last line counts the steps.
    Check(Check),
    /// Build the image with its default options, and count its flash and RAM, in all and by crate
    Size(Size),
    /// Run the image in QEMU, and count its instructions, step by step, and the stack that it takes; or count those of the
    /// station
    Bench {
        /// What the station takes for each part on this machine, by crate: it needs Valgrind and no Zephyr
        #[arg(long)]
        host: bool,
        #[command(flatten)]
        keep: Keep,
    },
    /// Have libFuzzer call the station's console, record, ledger and export, on stable Rust
    ///
    /// It needs a C++ compiler. An input on which one fails, takes more than 25 seconds or more than 512 MB is
    /// kept in target/fuzz-found.
    Fuzz(Fuzz),
    /// Change the code of part and station in one place after the other, and see that a test fails each time
    ///
    /// Mutants that survive must be in docs/mutants.jsonl, with a reason, and what is there must survive. It needs
    /// cargo-mutants, and takes more than an hour for all files.
    Mutants(Mutants),
    /// Print the table of what tests/silicon has found out about a part
    SiliconReport(SiliconReport),
}

fn main() -> ExitCode {
    // The manifest's folder is <root>/crates/host/xtask.
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.ancestors().nth(3).unwrap_or(manifest);
    let result = match Cli::parse().command {
        Command::Check(options) => check::run(root, &options),
        Command::Size(options) => size::run(root, options),
        Command::Bench { host: true, keep } => bench_host::run(root, &keep),
        Command::Bench { host: false, keep } => bench::run(root, &keep),
        Command::Fuzz(options) => fuzz::run(root, &options),
        Command::Mutants(options) => mutants::run(root, &options),
        Command::SiliconReport(options) => silicon_report::run(&options),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {}", commands::whole(&error));
        ExitCode::from(2)
    })
}
