// SPDX-License-Identifier: Apache-2.0

//! `cargo xtask silicon-report`: the table of a console of `tests/silicon`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use xtask::silicon::Report;

/// Its argument.
#[derive(Args)]
pub struct SiliconReport {
    /// The console of tests/silicon: what a terminal has kept, or Twister's handler.log
    log: PathBuf,
}

/// Prints it.
pub fn run(SiliconReport { log }: &SiliconReport) -> Result<ExitCode> {
    let of_file = || log.display().to_string();
    let console = fs::read(log).with_context(of_file)?;
    print!("{}", Report::read(&String::from_utf8_lossy(&console)).with_context(of_file)?);
    Ok(ExitCode::SUCCESS)
}
