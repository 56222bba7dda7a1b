// SPDX-License-Identifier: Apache-2.0

//! `man`: the manual of an installed station.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man;

use super::Error;
use crate::Cli;

/// Print the man page, or write those of all commands into a folder
#[derive(clap::Args)]
pub struct ManPages {
    /// The folder for station.1 and a page for each command; created if it is missing
    folder: Option<PathBuf>,
}

/// Carries the command out.
pub fn run(options: &ManPages) -> Result<bool, Error> {
    let Some(folder) = &options.folder else {
        let mut page = Vec::new();
        // Without a page for `help`, as in a folder.
        Man::new(Cli::command().disable_help_subcommand(true)).render(&mut page)?;
        io::stdout().write_all(&page)?;
        return Ok(true);
    };
    let named = |error: io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(named)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(named)?;
    Ok(true)
}
