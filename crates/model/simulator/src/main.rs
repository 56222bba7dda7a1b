// SPDX-License-Identifier: Apache-2.0

//! The command `simulator`, in the repository `cargo sim`.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use log::LevelFilter;
use provisioning::console::ModelledSilicon;
use provisioning::{Config, IdentityKeySource, ImplementationId, Nonce};
use silicon::{Family, Memory, Silicon, Soc};
use simulator::device_file::{DeviceFile, soc_of};
use simulator::sweep::{self, Case, Ending, Scope, Tally};
use simulator::{dump, run};

/// Provisions a modelled part as the firmware does.
///
/// Console lines of the part go to standard output, all else to standard error. The exit code is 0 on
/// success, 1 on a `Failure:` of the part, 2 where the command cannot be carried out.
#[derive(Parser)]
#[command(name = "simulator", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    provision: Provision,
}

#[derive(Subcommand)]
enum Command {
    /// Show a part's UICR, OTP and KMU as a table, protected values as the hardware shows them
    Dump {
        /// The part's UICR image
        #[arg(long, value_name = "FILE")]
        device: PathBuf,
        /// The modelled part: nrf5340, nrf9160 or nrf54l15; without it, what is in FILE must tell
        #[arg(long, value_name = "SOC")]
        soc: Option<Soc>,
    },
    /// Lose power at every write of a run, and at every write of the run after it; exit code 1 if a part
    /// ends up neither provisioned nor stopped
    Sweep {
        /// The modelled part; without it, every part
        #[arg(long, value_name = "SOC")]
        soc: Option<Soc>,
        /// Where the identity key comes from; without it, each source
        #[arg(long, value_name = "SOURCE", value_parser = identity_key_source)]
        identity_key: Option<IdentityKeySource>,
        /// Make everything random in the parts depend on N alone
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
        /// Complete a seed whose write was cut off
        #[arg(long)]
        complete_seed: bool,
    },
    /// Play one case of a sweep again, and show each run of it and what is left; exit code 2 if one of its
    /// cuts cannot be
    Replay {
        /// The replay ID that the sweep has named
        #[arg(value_name = "ID")]
        case: Case,
        /// Complete a seed whose write was cut off
        #[arg(long)]
        complete_seed: bool,
    },
    /// ERASEALL: make a part blank again, keys and OTP included
    Erase {
        /// The part's UICR image
        #[arg(long, value_name = "FILE")]
        device: PathBuf,
    },
}

#[derive(Args)]
struct Provision {
    /// Keep the part's UICR in FILE, a raw image of 4 KiB, or 11 KiB with the key slots of an nRF54L15; created erased
    /// where it is missing
    #[arg(long, value_name = "FILE")]
    device: Option<PathBuf>,
    /// Make everything random in the part depend on N alone; else the operating system gives N, which is shown
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where the identity key comes from: generated, driver or dummy
    #[arg(long, value_name = "SOURCE", default_value = "generated", value_parser = identity_key_source)]
    identity_key: IdentityKeySource,
    /// Refuse a part that an earlier run has left in PROVISIONING, as the C sample does
    #[arg(long)]
    no_resume: bool,
    /// Complete a seed whose write was cut off, instead of refusing it
    #[arg(long, conflicts_with = "no_resume")]
    complete_seed: bool,
    /// Print no provisioning record
    #[arg(long)]
    no_record: bool,
    /// What the record is to hold, 64 hexadecimal digits; else a random number
    #[arg(long, value_name = "HEX", value_parser = nonce, conflicts_with = "no_record")]
    nonce: Option<Nonce>,
    /// The implementation ID, 64 hexadecimal digits
    #[arg(
        long,
        value_name = "HEX",
        default_value = "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD"
    )]
    implementation_id: ImplementationId,
    /// The modelled part: nrf5340 (8-word HUKs), nrf9160 (4-word HUKs) or nrf54l15 (a seed); else an nrf5340, or what
    /// a FILE that is not erased tells
    #[arg(long, value_name = "SOC")]
    soc: Option<Soc>,
}

fn identity_key_source(name: &str) -> Result<IdentityKeySource, String> {
    IdentityKeySource::from_name(name)
        .ok_or_else(|| String::from("the sources are generated, driver and dummy"))
}

fn nonce(text: &str) -> Result<Nonce, String> {
    Nonce::from_hex(text)
        .ok_or_else(|| String::from("a nonce has 64 hexadecimal digits (32 bytes)"))
}

type Error = Box<dyn std::error::Error>;

/// The part where neither option nor content says which.
const DEFAULT_SOC: Soc = Soc::Nrf5340;

/// Shows the log lines of the modelled drivers, which on a part are console lines of other modules.
fn show_log(level: LevelFilter) {
    env_logger::Builder::new()
        .filter_level(level)
        .format(|out, record| {
            writeln!(out, "{}: {}", record.level().as_str().to_lowercase(), record.args())
        })
        .init();
}

/// The first argument that the alias in `.cargo/config.toml` gives.
const BY_ALIAS: &str = "--called-as-cargo-sim";

/// The command line. Help and errors have the name that the program was called by.
fn command_line() -> Cli {
    let mut arguments: Vec<_> = env::args_os().collect();
    let by_alias = arguments.get(1).is_some_and(|first| first == BY_ALIAS);
    if by_alias {
        arguments.remove(1);
    }
    let name = if by_alias { "cargo sim" } else { "simulator" };
    let matches = Cli::command().bin_name(name).get_matches_from(arguments);
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

fn main() -> ExitCode {
    let cli = command_line();
    // Drivers log much on parts that have lost power, and none of it matters.
    let cuts_power = matches!(cli.command, Some(Command::Sweep { .. } | Command::Replay { .. }));
    show_log(if cuts_power { LevelFilter::Off } else { LevelFilter::Info });
    let result = match cli.command {
        None => provision(&cli.provision),
        Some(Command::Dump { device, soc }) => show(&device, soc),
        Some(Command::Erase { device }) => erase(&device),
        Some(Command::Sweep { soc, identity_key, seed, complete_seed }) => run_sweep(&Scope {
            socs: soc.map_or_else(|| Soc::ALL.to_vec(), |soc| vec![soc]),
            identity_keys: identity_key
                .map_or_else(|| IdentityKeySource::ALL.to_vec(), |source| vec![source]),
            seed,
            complete_seed,
        }),
        Some(Command::Replay { case, complete_seed }) => replay(&Case { complete_seed, ..case }),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(2)
    })
}

/// Before a file is created for a part that cannot be.
fn check_source(soc: Soc, identity_key: IdentityKeySource) -> Result<(), Error> {
    if soc.family() == Family::Cracen && identity_key != IdentityKeySource::Generated {
        return Err(format!("an {soc} derives its identity key: there is no other source").into());
    }
    Ok(())
}

fn provision(options: &Provision) -> Result<ExitCode, Error> {
    check_source(options.soc.unwrap_or(DEFAULT_SOC), options.identity_key)?;
    let number = match options.seed {
        Some(number) => number,
        None => getrandom::u64()?,
    };
    let seed = silicon::seed(number);
    let part = match &options.device {
        Some(path) => {
            let family = options.soc.unwrap_or(DEFAULT_SOC).family();
            let mut file = DeviceFile::open_or_create(path, family)?;
            let memory = file.read()?;
            // A blank part may be of any kind, as far as its size allows.
            let soc = match options.soc {
                None if memory == Memory::ERASED && file.family() == family => DEFAULT_SOC,
                soc => choose_soc(path, file.family(), &memory, soc)?,
            };
            Silicon::with_memory(soc, seed, &memory).with_backing(Box::new(file))
        }
        None => Silicon::erased(options.soc.unwrap_or(DEFAULT_SOC), seed),
    };
    check_source(part.soc(), options.identity_key)?;
    let model = ModelledSilicon { part: part.soc().name(), seed: number };
    let config = Config {
        resume: !options.no_resume,
        complete_seed: options.complete_seed,
        record: !options.no_record,
        nonce: options.nonce,
        ..Config::new(options.implementation_id, options.identity_key)
    };

    // A part goes on when its console is gone, and so does this; the first error is reported at the end.
    let mut console = Ok(());
    let mut print = |line: &dyn std::fmt::Display| {
        if console.is_ok() {
            let mut stdout = io::stdout().lock();
            console = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
        }
    };
    print(&model);
    let (_, result) = run(part, &config, |event| print(&event));
    let code = match result {
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => {
            print(&failure);
            eprintln!("kernel panic: the part halts");
            ExitCode::from(1)
        }
    };
    console?;
    Ok(code)
}

/// The part in a device file: the one that is wanted, or else the one that size and content show.
fn choose_soc(
    path: &Path,
    family: Family,
    memory: &Memory,
    wanted: Option<Soc>,
) -> Result<Soc, Error> {
    let name = path.display();
    if let Some(wanted) = wanted
        && wanted.family() != family
    {
        return Err(format!("{name}: a file of this size is not an {wanted}'s").into());
    }
    if family == Family::Cracen {
        return Ok(Soc::Nrf54l15);
    }
    match (wanted, soc_of(&memory.page)) {
        (Some(wanted), Some((found, why))) if wanted != found => {
            eprintln!("warning: {name}: taken for an {wanted}'s, but {why} is an {found}'s");
            Ok(wanted)
        }
        (Some(wanted), _) => Ok(wanted),
        (None, Some((found, why))) => {
            eprintln!("{name}: taken for an {found}'s, by {why}");
            Ok(found)
        }
        (None, None) => Err(format!(
            "{name}: nothing in it tells which part it is of; say so with --soc nrf5340 or --soc nrf9160"
        )
        .into()),
    }
}

fn show(path: &Path, soc: Option<Soc>) -> Result<ExitCode, Error> {
    let mut file = DeviceFile::open(path)?;
    let memory = file.read()?;
    // Nothing random happens in a part that is only read.
    let soc = choose_soc(path, file.family(), &memory, soc)?;
    let mut part = Silicon::with_memory(soc, [0; 32], &memory);
    io::stdout().write_all(dump::dump(&mut part)?.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn erase(path: &Path) -> Result<ExitCode, Error> {
    DeviceFile::open(path)?.erase()?;
    eprintln!("{}: erased", path.display());
    Ok(ExitCode::SUCCESS)
}

/// The pieces that can be torn, in the order in which they are written.
const PIECES: [&str; 7] =
    ["lifecycle", "implementation ID", "MKEK", "MEXT", "identity key", "driver slots", "seed"];

fn run_sweep(scope: &Scope) -> Result<ExitCode, Error> {
    let begin = Instant::now();
    // Drawn on standard error, and only on a terminal.
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
        "{bar:40} {pos} of {len} cut points, {elapsed} (about {eta} to go)",
    )?);
    let report = sweep::sweep(scope, |all| {
        bar.set_length(all as u64);
        bar.inc(1);
    });
    bar.finish_and_clear();

    let mut out = io::stdout().lock();
    writeln!(out, "{:27}{:>12}  stopped, and named as torn:", "", "")?;
    write!(out, "{:9} {:10} {:>6} {:>12}", "part", "key", "writes", "provisioned")?;
    for piece in PIECES {
        write!(out, " {piece:>17}")?;
    }
    writeln!(out)?;
    for ((soc, source), Tally { writes, endings }) in &report.tallies {
        let count = |ending| endings.get(&ending).copied().unwrap_or_default();
        let completed = count(Ending::Completed);
        write!(out, "{:9} {:10} {writes:>6} {completed:>12}", soc.name(), source.name())?;
        for piece in PIECES {
            write!(out, " {:>17}", count(Ending::Stopped(piece)))?;
        }
        writeln!(out)?;
    }
    for (case, what) in &report.violations {
        let option = if scope.complete_seed { "--complete-seed " } else { "" };
        writeln!(out, "violation: {what} (replay {option}{case})")?;
    }
    writeln!(
        out,
        "{} cases in {:.1} s: {} violations",
        report.cases(),
        begin.elapsed().as_secs_f32(),
        report.violations.len()
    )?;
    Ok(if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn replay(case: &Case) -> Result<ExitCode, Error> {
    let played = sweep::play(case);
    // Without its cut it would be another case.
    let mut runs = (1..).zip(&played.runs).zip(&case.cuts);
    if let Some(((number, run), cut)) = runs.find(|((_, run), cut)| cut.write > run.writes) {
        let (writes, at) = (run.writes, cut.write);
        return Err(format!(
            "{case}: run {number} makes {writes} writes, so it cannot lose power at write {at}"
        )
        .into());
    }
    let mut out = io::stdout().lock();
    let cuts = case.cuts.iter().map(|cut| format!("power lost at write {cut}"));
    let ends = cuts.chain([String::from("not cut")]);
    for ((number, run), end) in (1..).zip(&played.runs).zip(ends) {
        writeln!(out, "run {number}, {} writes, {end}:", run.writes)?;
        for line in &run.lines {
            writeln!(out, "    {line}")?;
        }
    }
    let mut part = Silicon::with_memory(case.soc, [0; 32], &played.memory);
    write!(out, "\n{}\n", dump::dump(&mut part)?)?;
    match played.verdict {
        Ok(Ending::Completed) => writeln!(out, "verdict: provisioned")?,
        Ok(Ending::Stopped(piece)) => writeln!(out, "verdict: stopped, {piece} torn")?,
        Err(what) => {
            writeln!(out, "verdict: violation, {what}")?;
            return Ok(ExitCode::from(1));
        }
    }
    Ok(ExitCode::SUCCESS)
}
