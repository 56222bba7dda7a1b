// SPDX-License-Identifier: Apache-2.0

//! The command `cargo station`.

mod commands;
mod json;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use commands::{
    Error, Place, attempts, audit, export, list, ports, provision, replace, show, stats, verify,
};
use station::ledger::LedgerError;

/// Follows parts on a production line, keeps their records in a ledger, and exports it for a verifier.
///
/// Results go to standard output, everything else to standard error. The exit code is 0 if all is well, 1 if a
/// part, a record or the ledger is not, 2 if the command cannot be carried out.
#[derive(Parser)]
#[command(name = "cargo station", bin_name = "cargo station")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The ledger [default: ledger.db]
    #[arg(long, global = true, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Keep a second copy of the ledger's head in this file, on another disk for example
    #[arg(long, global = true, value_name = "FILE")]
    head_file: Option<PathBuf>,
    /// What stays the same on this station, in TOML: ports, programmers, ledger, implementation ID, image, time-outs,
    /// steps. Options of the command line go before it
    #[arg(long, global = true, value_name = "FILE")]
    station_file: Option<PathBuf>,
    /// Print JSON, an object a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    Provision(provision::Provision),
    /// List the serial ports of this machine, and what to give as --port
    Ports,
    Audit(audit::Audit),
    Export(export::Export),
    /// List the entries
    List,
    Show(show::Show),
    Attempts(attempts::Attempts),
    Stats(stats::Stats),
    Replace(replace::Replace),
    Verify(verify::Verify),
}

fn main() -> ExitCode {
    let result = run(Cli::parse());
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            let is_loss = error.downcast_ref().is_some_and(LedgerError::is_loss);
            ExitCode::from(if is_loss { 1 } else { 2 })
        }
    }
}

fn run(cli: Cli) -> Result<bool, Error> {
    let Cli { command, ledger, head_file, station_file, json } = cli;
    let place = Place::new(ledger, head_file, station_file.as_deref())?;
    match &command {
        Command::Provision(options) => provision::run(options, &place, json),
        Command::Ports => ports::run(json),
        Command::Audit(options) => audit::run(options, &place, json),
        Command::Export(options) => export::run(options, &place, json),
        Command::List => list::run(&place, json),
        Command::Show(options) => show::run(options, &place, json),
        Command::Attempts(options) => attempts::run(options, &place, json),
        Command::Stats(options) => stats::run(options, &place, json),
        Command::Replace(options) => replace::run(options, &place, json),
        Command::Verify(options) => verify::run(options, json),
    }
}
