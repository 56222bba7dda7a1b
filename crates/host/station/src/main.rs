// SPDX-License-Identifier: Apache-2.0

//! The command `station`, in the repository `cargo station`.

mod commands;
mod echo;
mod json;
mod report;

use std::env;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use commands::{
    Error, Place, attempts, audit, completions, export, hub, init, list, man, page, ports,
    provision, push, replace, restore, say, show, stats, submit, verify,
};
use station::hub::HubError;
use station::ledger::LedgerError;

/// Follows parts on a production line, keeps their records in a ledger, and exports it for a verifier.
///
/// Results go to standard output, everything else to standard error. The exit code is 0 if all is well, 1 if a
/// part, a record or the ledger is not, 2 if the command cannot be carried out, or if nobody reads its results to
/// the end, as in a pipe to `head`.
#[derive(Parser)]
#[command(name = "station", version = station::VERSION)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The ledger [default: ledger.db]
    #[arg(long, global = true, value_name = "FILE", help_heading = EVERYWHERE)]
    ledger: Option<PathBuf>,
    /// Keep a second copy of the ledger's head in this file, on another disk for example
    #[arg(long, global = true, value_name = "FILE", help_heading = EVERYWHERE)]
    head_file: Option<PathBuf>,
    /// What stays the same on this station, in TOML: ports, programmers, ledger, implementation ID, image, time-outs,
    /// steps. Options of the command line go before it
    #[arg(long, global = true, value_name = "FILE", help_heading = EVERYWHERE)]
    station_file: Option<PathBuf>,
    /// Print JSON, an object a line
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    Init(init::Init),
    Provision(Box<provision::Provision>),
    /// List the serial ports of this machine, and what to give as --port
    Ports,
    Audit(audit::Audit),
    Export(export::Export),
    Submit(Box<submit::Submit>),
    /// List the entries
    List,
    Show(show::Show),
    Attempts(attempts::Attempts),
    Stats(stats::Stats),
    Page(page::PageCommand),
    Replace(replace::Replace),
    Restore(restore::Restore),
    Push(push::Push),
    Hub(hub::HubCommand),
    Verify(verify::Verify),
    Completions(completions::Completions),
    Man(man::ManPages),
}

/// What stands above the options that every command has.
const EVERYWHERE: &str = "Options of every command";

/// The first argument that the alias in `.cargo/config.toml` gives. The environment would not tell: a program that
/// a cargo command has started passes its variables on to a station that is called by its own name.
const BY_ALIAS: &str = "--called-as-cargo-station";

/// The command line. Help and errors have the name that the program was called by.
fn command_line() -> Cli {
    let mut arguments: Vec<_> = env::args_os().collect();
    let by_alias = arguments.get(1).is_some_and(|first| first == BY_ALIAS);
    if by_alias {
        arguments.remove(1);
    }
    let name = if by_alias { "cargo station" } else { "station" };
    let matches = Cli::command().bin_name(name).get_matches_from(arguments);
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

fn main() -> ExitCode {
    let cli = command_line();
    let is_batch = matches!(cli.command, Command::Provision(_));
    let result = run(cli);
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            complain(is_batch, &error);
            let is_loss = error.downcast_ref().is_some_and(LedgerError::is_loss)
                || error.downcast_ref().is_some_and(HubError::is_loss);
            ExitCode::from(if is_loss { 1 } else { 2 })
        }
    }
}

/// Says why a command was not carried out.
fn complain(is_batch: bool, error: &Error) {
    // What ledgers, ports and files say has types of its own.
    let is_unread = error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
    if !is_unread {
        say(format_args!("error: {error}"));
    } else if is_batch {
        say(
            "error: nobody reads standard output any more, so lines about parts are lost. The ledger has each part \
             that was entered: list it",
        );
    } else {
        say("error: nobody reads standard output any more, so the rest was not printed");
    }
}

fn run(cli: Cli) -> Result<bool, Error> {
    let Cli { command, ledger, head_file, station_file, json } = cli;
    let place = Place::new(ledger, head_file, station_file.as_deref())?;
    match &command {
        Command::Init(options) => init::run(options, &place, json),
        Command::Provision(options) => provision::run(options, &place, json),
        Command::Ports => ports::run(json),
        Command::Audit(options) => audit::run(options, &place, json),
        Command::Export(options) => export::run(options, &place, json),
        Command::Submit(options) => submit::run(options, &place, json),
        Command::List => list::run(&place, json),
        Command::Show(options) => show::run(options, &place, json),
        Command::Attempts(options) => attempts::run(options, &place, json),
        Command::Stats(options) => stats::run(options, &place, json),
        Command::Page(options) => page::run(options, &place),
        Command::Replace(options) => replace::run(options, &place, json),
        Command::Restore(options) => restore::run(options, &place, json),
        Command::Push(options) => push::run(options, &place, json),
        Command::Hub(options) => hub::run(options, &place, json),
        Command::Verify(options) => verify::run(options, json),
        Command::Completions(options) => completions::run(options),
        Command::Man(options) => man::run(options),
    }
}
