// SPDX-License-Identifier: Apache-2.0

//! The command `cargo station`.

mod commands;
mod json;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use commands::{
    Place, attempts, audit, export, list, ports, provision, replace, show, stats, verify,
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
    /// The ledger
    #[arg(long, global = true, value_name = "FILE", default_value = "ledger.db")]
    ledger: PathBuf,
    /// Keep a second copy of the ledger's head in this file, on another disk for example
    #[arg(long, global = true, value_name = "FILE")]
    head_file: Option<PathBuf>,
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
    let Cli { command, ledger, head_file, json } = Cli::parse();
    let place = Place { ledger, head_file };
    let result = match &command {
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
    };
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
