// SPDX-License-Identifier: Apache-2.0

//! `completions`: the command line for a shell.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use super::Error;
use crate::Cli;

/// Print what a shell needs to complete the command line of an installed station
#[derive(clap::Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

/// Carries the command out.
pub fn run(options: &Completions) -> Result<bool, Error> {
    // Not to standard output at once: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "station", &mut script);
    io::stdout().write_all(&script)?;
    Ok(true)
}
