// SPDX-License-Identifier: Apache-2.0

//! The command `cargo station`.

mod report;

use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use base16ct::lower::encode_string as hex;
use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use p256::pkcs8::{EncodePublicKey, LineEnding};
use provisioning::{DUMMY_PUBLIC_KEY, ImplementationId, Ueid};
use report::Report;
use serde_json::json;
use station::batch::{self, Bench, Parts, Plan, check};
use station::console::Outcome;
use station::export::{self, Options, Profile};
use station::ledger::{Ledger, LedgerError, Row};
use station::port::{self, Log, SerialPort, Timeouts, follow};
use station::record::{self, Wanted};
use station::simulated::Seed;

/// Follows parts on a production line, keeps their records in a ledger, and exports it for a verifier.
///
/// Results go to standard output, all else to standard error. The exit code is 0 where all is well, 1 where
/// a part, a record or the ledger is not, 2 where the command cannot be carried out.
#[derive(Parser)]
#[command(name = "cargo station", bin_name = "cargo station")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The ledger
    #[arg(long, global = true, value_name = "FILE", default_value = "ledger.db")]
    ledger: PathBuf,
    /// Print JSON, an object a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Follow parts while they are provisioned, check their records and enter them in the ledger
    Provision(Provision),
    /// Check the ledger: its numbers, its chain of hashes, and every record in it
    Audit {
        /// The head that was written down earlier, which must still be in the chain
        #[arg(long, value_name = "HASH", value_parser = hash)]
        head: Option<[u8; 32]>,
        /// Do not take entries of the test-only key for a problem
        #[arg(long)]
        allow_dummy: bool,
    },
    /// Write what an attestation verifier has to be told of the parts, as CBOR and as JSON templates
    Export {
        /// psa-2025 (Veraison since August 2026), or psa-iot-1 (before)
        #[arg(long, value_parser = profile)]
        profile: Profile,
        /// The folder for comid.json, corim.json and endorsements.cbor; created where it is missing
        #[arg(long, value_name = "FOLDER", default_value = "endorsements")]
        output: PathBuf,
        /// Export these entries only, as FIRST..LAST: no part may be exported to one verifier twice
        #[arg(long, value_name = "RANGE", value_parser = range)]
        entries: Option<RangeInclusive<u64>>,
        /// The vendor in the class of each part
        #[arg(long)]
        vendor: Option<String>,
        /// The model in the class of each part
        #[arg(long)]
        model: Option<String>,
        /// Replace the files of an earlier export
        #[arg(long)]
        overwrite: bool,
        /// Export the test-only key, too, with which anybody can pass for the part
        #[arg(long)]
        allow_dummy: bool,
    },
    /// List the entries
    List,
    /// Show the entry of a part
    Show {
        /// The UEID, 66 hexadecimal digits
        #[arg(value_name = "UEID", value_parser = ueid)]
        ueid: Ueid,
    },
    /// Check a console log on standard input, without the ledger
    Verify {
        /// The implementation ID that the part must have, 64 hexadecimal digits; else it may have any
        #[arg(long, value_name = "HEX")]
        implementation_id: Option<ImplementationId>,
        /// Take a part with the test-only key, which everybody knows
        #[arg(long)]
        allow_dummy: bool,
    },
}

#[derive(Args)]
struct Provision {
    /// The port of a part's console, such as /dev/ttyACM0; may be given several times
    #[arg(long, value_name = "PORT", required_unless_present = "simulate")]
    port: Vec<String>,
    /// The speed of the ports
    #[arg(long, default_value_t = port::DEFAULT_BAUD)]
    baud: u32,
    /// How many parts, on all ports together; one for each port where it is not given
    #[arg(long, value_name = "N", conflicts_with = "simulate")]
    parts: Option<NonZeroUsize>,
    /// Provision N modelled parts, which need no port
    #[arg(long, value_name = "N", conflicts_with = "port")]
    simulate: Option<NonZeroUsize>,
    /// Make everything random in the modelled parts depend on N alone
    #[arg(long, value_name = "N", requires = "simulate")]
    seed: Option<u64>,
    /// The implementation ID that parts must have, 64 hexadecimal digits; modelled parts get it
    #[arg(long, value_name = "HEX", required_unless_present = "simulate")]
    implementation_id: Option<ImplementationId>,
    /// Take a part with the test-only key, which everybody knows
    #[arg(long)]
    allow_dummy: bool,
    /// Refuse a part whose image did not ask for a nonce
    #[arg(long)]
    require_nonce: bool,
    /// Take an image on modelled silicon, in QEMU for example, whose keys are no secret
    #[arg(long, conflicts_with = "simulate")]
    allow_modelled: bool,
    /// How long to wait for the first line of a part
    #[arg(long, value_name = "SECONDS", value_parser = seconds(), default_value_t = Timeouts::default().start.as_secs())]
    start_timeout: u64,
    /// How long a part may be silent in its run
    #[arg(long, value_name = "SECONDS", value_parser = seconds(), default_value_t = Timeouts::default().line.as_secs())]
    line_timeout: u64,
    /// How long a part's run may take
    #[arg(long, value_name = "SECONDS", value_parser = seconds(), default_value_t = Timeouts::default().run.as_secs())]
    run_timeout: u64,
}

/// A time-out ends within a day.
fn seconds() -> RangedU64ValueParser {
    value_parser!(u64).range(1..=86_400)
}

fn profile(name: &str) -> Result<Profile, String> {
    Profile::from_name(name).ok_or_else(|| String::from("the profiles are psa-iot-1 and psa-2025"))
}

fn range(text: &str) -> Result<RangeInclusive<u64>, String> {
    text.split_once("..")
        .and_then(|(first, last)| Some(first.parse().ok()?..=last.parse().ok()?))
        .filter(|range| !range.is_empty())
        .ok_or_else(|| String::from("a range of entries is FIRST..LAST, such as 1..500"))
}

fn hash(text: &str) -> Result<[u8; 32], String> {
    bytes(text).ok_or_else(|| String::from("a hash has 64 hexadecimal digits"))
}

fn ueid(text: &str) -> Result<Ueid, String> {
    bytes(text)
        .and_then(Ueid::from_bytes)
        .ok_or_else(|| String::from("a UEID has 66 hexadecimal digits, and begins with 01"))
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let length = base16ct::mixed::decode(text, &mut bytes).ok()?.len();
    (length == N).then_some(bytes)
}

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let Cli { command, ledger, json } = Cli::parse();
    let result = match command {
        Command::Provision(options) => provision(&options, &ledger, json),
        Command::Audit { head, allow_dummy } => audit(&ledger, head, allow_dummy, json),
        Command::Export { profile, output, entries, vendor, model, overwrite, allow_dummy } => {
            let options = Options { profile, head: [0; 32], vendor, model };
            let selection = Selection { entries, allow_dummy };
            export(&ledger, options, &selection, &output, overwrite, json)
        }
        Command::List => list(&ledger, json),
        Command::Show { ueid } => show(&ledger, &ueid, json),
        Command::Verify { implementation_id, allow_dummy } => {
            verify(&Wanted { implementation_id, nonce: None, allow_dummy }, json)
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// The implementation ID that is the default in Kconfig.
const EXAMPLE_ID: &str = "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD";

fn provision(options: &Provision, path: &Path, json: bool) -> Result<bool, Error> {
    let id = match options.implementation_id {
        Some(id) => id,
        None => EXAMPLE_ID.parse()?, // of modelled parts only
    };
    let benches: Vec<Bench> = if options.simulate.is_some() {
        let seed = options.seed.map_or(Seed::System, Seed::Number);
        (1..=thread::available_parallelism()?.get())
            .map(|n| Bench { name: format!("simulated-{n}"), parts: Parts::Simulated(seed, id) })
            .collect()
    } else {
        let open = |name: &String| {
            let parts = Parts::Port(SerialPort::open(name, options.baud)?);
            Ok::<_, port::OpenError>(Bench { name: name.clone(), parts })
        };
        options.port.iter().map(open).collect::<Result<_, _>>()?
    };
    let parts = options.simulate.or(options.parts).map_or(benches.len(), NonZeroUsize::get);
    let plan = Plan {
        parts,
        wanted: Wanted {
            implementation_id: Some(id),
            nonce: None,
            allow_dummy: options.allow_dummy,
        },
        require_nonce: options.require_nonce,
        allow_modelled: options.allow_modelled,
        timeouts: Timeouts {
            start: Duration::from_secs(options.start_timeout),
            line: Duration::from_secs(options.line_timeout),
            run: Duration::from_secs(options.run_timeout),
        },
    };

    let mut ledger = Ledger::open_or_create(path)?;
    let names: Vec<String> = benches.iter().map(|bench| bench.name.clone()).collect();
    if options.simulate.is_none() {
        eprintln!("Waiting for parts on {}. Start them now.", names.join(", "));
    }
    let mut report = Report::new(names, parts, json);
    let result = batch::run(&plan, benches, &mut ledger, |event| report.show(&event));
    let all_entered = report.end(parts, &ledger.head()?);
    result?;
    Ok(all_entered?)
}

/// What the ledger keeps must be what its record says.
fn check_record(row: &Row, allow_dummy: bool) -> Result<(), String> {
    let wanted = Wanted { allow_dummy, ..Wanted::default() };
    let record = record::verify(&row.record, &wanted).map_err(|error| error.to_string())?;
    if record.identity == row.identity {
        Ok(())
    } else {
        Err(String::from("it is of another part than the entry says"))
    }
}

fn audit(
    path: &Path,
    head: Option<[u8; 32]>,
    allow_dummy: bool,
    json: bool,
) -> Result<bool, Error> {
    let ledger = Ledger::open(path)?;
    // Drawn on standard error, and only on a terminal.
    let bar = ProgressBar::new(ledger.head()?.number)
        .with_style(ProgressStyle::with_template("{bar:40} {pos} of {len} entries")?);
    let found = ledger.audit(
        head,
        |row| check_record(row, allow_dummy),
        |entries| bar.set_position(entries),
    )?;
    bar.finish_and_clear();

    let mut out = io::stdout().lock();
    if json {
        let problems: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
        let line = json!({
            "entries": found.entries,
            "head": hex(&found.head.hash),
            "problems": problems,
            "unlisted_problems": found.unlisted,
        });
        writeln!(out, "{line}")?;
    } else {
        for problem in &found.problems {
            writeln!(out, "problem: {problem}")?;
        }
        if found.unlisted > 0 {
            writeln!(out, "and {} problems more", found.unlisted)?;
        }
        let verdict = if found.is_clean() { "all of them good" } else { "NOT GOOD" };
        writeln!(out, "{} entries, {verdict}. Head: {}", found.entries, hex(&found.head.hash))?;
    }
    Ok(found.is_clean())
}

/// Which entries are exported.
struct Selection {
    entries: Option<RangeInclusive<u64>>,
    allow_dummy: bool,
}

fn export(
    path: &Path,
    options: Options,
    selection: &Selection,
    output: &Path,
    overwrite: bool,
    json: bool,
) -> Result<bool, Error> {
    let ledger = Ledger::open(path)?;
    let head = ledger.head()?;
    if let Some(entries) = &selection.entries
        && (*entries.start() == 0 || *entries.end() > head.number)
    {
        return Err(format!("the ledger has {} entries", head.number).into());
    }
    let mut identities = Vec::new();
    let mut left_out = 0;
    ledger.entries::<LedgerError>(|row| {
        if selection.entries.as_ref().is_none_or(|entries| entries.contains(&row.number)) {
            if row.identity.public_key == DUMMY_PUBLIC_KEY && !selection.allow_dummy {
                left_out += 1;
            } else {
                identities.push(row.identity);
            }
        }
        Ok(())
    })?;
    if left_out > 0 {
        eprintln!("warning: the part with the test-only key was left out (--allow-dummy)");
    }
    let options = Options { head: head.hash, ..options };
    let files = export::export(&options, identities)?;
    files.write(output, overwrite)?;
    let mut out = io::stdout().lock();
    if json {
        let line = json!({
            "profile": options.profile.name(),
            "parts": files.parts,
            "folder": output,
            "bytes": files.endorsements.len(),
        });
        writeln!(out, "{line}")?;
    } else {
        let folder = output.display();
        writeln!(
            out,
            "{} parts as {} in {folder}: {} ({} bytes), {}, {}",
            files.parts,
            options.profile,
            export::ENDORSEMENTS_FILE,
            files.endorsements.len(),
            export::COMID_FILE,
            export::CORIM_FILE
        )?;
    }
    Ok(true)
}

fn as_json(row: &Row) -> serde_json::Value {
    json!({
        "number": row.number,
        "time": row.time,
        "port": row.port,
        "device_id": row.identity.device_id.to_string(),
        "implementation_id": row.identity.implementation_id.to_string(),
        "ueid": row.identity.ueid().to_string(),
        "public_key": hex(row.identity.public_key.as_bytes()),
        "record": hex(&row.record),
        "previous": hex(&row.previous),
        "hash": hex(&row.hash),
    })
}

fn list(path: &Path, json: bool) -> Result<bool, Error> {
    let ledger = Ledger::open(path)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if !json {
        writeln!(out, "{:>6}  {:24}  {:16}  UEID", "number", "time", "device ID")?;
    }
    ledger.entries::<Error>(|row| {
        if json {
            writeln!(out, "{}", as_json(&row))?;
        } else {
            let Row { number, time, identity, .. } = row;
            writeln!(out, "{number:>6}  {time}  {}  {}", identity.device_id, identity.ueid())?;
        }
        Ok(())
    })?;
    out.flush()?;
    Ok(true)
}

fn show(path: &Path, ueid: &Ueid, json: bool) -> Result<bool, Error> {
    let Some(row) = Ledger::open(path)?.find(ueid)? else {
        eprintln!("no entry has the UEID {ueid}");
        return Ok(false);
    };
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", as_json(&row))?;
        return Ok(true);
    }
    let key = p256::PublicKey::from_sec1_bytes(row.identity.public_key.as_bytes())?
        .to_public_key_pem(LineEnding::LF)?;
    let verdict = match check_record(&row, true) {
        Ok(()) => String::from("signed by the key below"),
        Err(why) => format!("NOT GOOD: {why}"),
    };
    writeln!(out, "entry              {}", row.number)?;
    writeln!(out, "time               {}", row.time)?;
    writeln!(out, "port               {}", row.port)?;
    writeln!(out, "UEID               {ueid}")?;
    writeln!(out, "device ID          {}", row.identity.device_id)?;
    writeln!(out, "implementation ID  {}", row.identity.implementation_id)?;
    writeln!(out, "hash               {}", hex(&row.hash))?;
    writeln!(out, "record             {} bytes, {verdict}", row.record.len())?;
    write!(out, "{key}")?;
    Ok(true)
}

/// A log is read as fast as it comes.
const NO_TIMEOUTS: Timeouts =
    Timeouts { start: Duration::MAX, line: Duration::MAX, run: Duration::MAX };

fn verify(wanted: &Wanted, json: bool) -> Result<bool, Error> {
    if io::stdin().is_terminal() {
        eprintln!("Paste the console of a part, and end it with Ctrl+D.");
    }
    let outcome = follow(
        &mut Log(io::stdin().lock()),
        &NO_TIMEOUTS,
        Instant::now,
        || false,
        || [0; 32], // goes nowhere
        |_| (),
    );
    let checked = outcome.map_err(batch::PartError::Follow).and_then(|outcome| match outcome {
        Outcome::Provisioned { record, .. } => check(&record, None, wanted),
        Outcome::AlreadyProvisioned { record, ueid } => check(&record, Some(ueid), wanted),
        Outcome::Failed { line, .. } => Err(batch::PartError::Failed(line)),
    });
    let mut out = io::stdout().lock();
    match (&checked, json) {
        (Ok((identity, _)), false) => {
            writeln!(out, "good: UEID {}", identity.ueid())?;
            writeln!(out, "      device ID {}", identity.device_id)?;
            writeln!(out, "      implementation ID {}", identity.implementation_id)?;
        }
        (Ok((identity, _)), true) => {
            let line = json!({
                "event": "good",
                "ueid": identity.ueid().to_string(),
                "device_id": identity.device_id.to_string(),
                "implementation_id": identity.implementation_id.to_string(),
                "public_key": hex(identity.public_key.as_bytes()),
            });
            writeln!(out, "{line}")?;
        }
        (Err(error), false) => writeln!(out, "NOT GOOD: {error}")?,
        (Err(error), true) => {
            let line = json!({ "event": "bad", "error": error.name(), "text": error.to_string() });
            writeln!(out, "{line}")?;
        }
    }
    Ok(checked.is_ok())
}
