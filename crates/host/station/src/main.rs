// SPDX-License-Identifier: Apache-2.0

//! The command `cargo station`.

mod json;
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
use silicon::Soc;
use station::batch::{self, Batch, Parts, Port, check};
use station::console::{Observed, RunEnd};
use station::export::{self, Options, Profile};
use station::ledger::{Audit, Ledger, LedgerError, Problem, Row};
use station::port::{self, Log, SerialPort, Timeouts, follow};
use station::record::{self, Wanted};
use station::simulated::Seed;

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

/// The ledger, and the file that shows that it is the same ledger as before.
struct Place {
    ledger: PathBuf,
    head_file: Option<PathBuf>,
}

impl Place {
    fn open(&self) -> Result<Ledger, Error> {
        if let Some(file) = &self.head_file
            && !file.try_exists()?
        {
            let file = file.display();
            return Err(format!(
                "{file}: no head was kept here; name the file that provision has written"
            )
            .into());
        }
        Ok(Ledger::open_with(&self.ledger, self.head_file.as_deref())?)
    }

    fn open_or_create(&self) -> Result<Ledger, LedgerError> {
        Ledger::open_or_create_with(&self.ledger, self.head_file.as_deref())
    }
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
        /// Accept entries of the test-only key
        #[arg(long)]
        allow_dummy: bool,
    },
    /// Write the parts' public keys for an attestation verifier, as CBOR and as JSON templates
    ///
    /// The ledger is audited first, and nothing is written if there is a problem. Only the records that are
    /// exported are verified.
    Export {
        /// psa-2025 (Veraison since August 2026), or psa-iot-1 (before)
        #[arg(long, value_parser = profile)]
        profile: Profile,
        /// The folder for comid.json, corim.json and endorsements.cbor; created if it is missing
        #[arg(long, value_name = "FOLDER", default_value = "endorsements")]
        output: PathBuf,
        /// Export these entries only, as FIRST..LAST: no part may be exported to one verifier twice
        #[arg(long, value_name = "RANGE", value_parser = range)]
        entries: Option<RangeInclusive<u64>>,
        /// The head that was written down earlier, which must still be in the chain
        #[arg(long, value_name = "HASH", value_parser = hash)]
        head: Option<[u8; 32]>,
        /// The vendor in the class of each part
        #[arg(long)]
        vendor: Option<String>,
        /// The model in the class of each part
        #[arg(long)]
        model: Option<String>,
        /// Replace the files of an earlier export
        #[arg(long)]
        overwrite: bool,
        /// Also export the test-only key, with which anybody can pretend to be the part
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
        /// The implementation ID that the part must have, 64 hexadecimal digits [default: any]
        #[arg(long, value_name = "HEX")]
        implementation_id: Option<ImplementationId>,
        /// Accept a part with the test-only key, which everybody knows
        #[arg(long)]
        allow_dummy: bool,
        /// Accept modelled silicon, in cargo sim for example, whose keys are not secret
        #[arg(long)]
        allow_modelled: bool,
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
    /// Go on until N parts are entered, on all ports together [default: one for each port]
    #[arg(long, value_name = "N", conflicts_with = "simulate")]
    parts: Option<NonZeroUsize>,
    /// Provision N modelled parts, which need no port
    #[arg(long, value_name = "N", conflicts_with = "port")]
    simulate: Option<NonZeroUsize>,
    /// Which part the modelled ones are: nrf5340, nrf9160 or nrf54l15
    #[arg(long, requires = "simulate", default_value = "nrf5340")]
    soc: Soc,
    /// Derive everything random in the modelled parts from N alone
    #[arg(long, value_name = "N", requires = "simulate")]
    seed: Option<u64>,
    /// The implementation ID that parts must have, 64 hexadecimal digits; it is given to modelled parts
    #[arg(long, value_name = "HEX", required_unless_present = "simulate")]
    implementation_id: Option<ImplementationId>,
    /// Accept a part with the test-only key, which everybody knows
    #[arg(long)]
    allow_dummy: bool,
    /// Refuse a part whose image did not ask for a nonce
    #[arg(long)]
    require_nonce: bool,
    /// Accept modelled silicon, in QEMU for example, whose keys are not secret
    #[arg(long, conflicts_with = "simulate")]
    allow_modelled: bool,
    /// Give a port up after this many runs in a row that were not entered
    #[arg(long, value_name = "RUNS", default_value = "10", conflicts_with = "simulate")]
    give_up_after: NonZeroUsize,
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
    let Cli { command, ledger, head_file, json } = Cli::parse();
    let place = Place { ledger, head_file };
    let result = match command {
        Command::Provision(options) => provision(&options, &place, json),
        Command::Audit { head, allow_dummy } => audit(&place, head, allow_dummy, json),
        Command::Export {
            profile,
            output,
            entries,
            head,
            vendor,
            model,
            overwrite,
            allow_dummy,
        } => {
            let options = Options { profile, head: [0; 32], vendor, model };
            let selection = Selection { entries, expected_head: head, allow_dummy };
            export(&place, options, &selection, &output, overwrite, json)
        }
        Command::List => list(&place, json),
        Command::Show { ueid } => show(&place, &ueid, json),
        Command::Verify { implementation_id, allow_dummy, allow_modelled } => {
            let wanted = Wanted { implementation_id, nonce: None, allow_dummy };
            verify(&wanted, allow_modelled, json)
        }
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

/// The implementation ID that is the default in Kconfig.
const EXAMPLE_ID: &str = "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD";

fn provision(options: &Provision, place: &Place, json: bool) -> Result<bool, Error> {
    let id = match options.implementation_id {
        Some(id) => id,
        None => EXAMPLE_ID.parse()?, // of modelled parts only
    };
    let ports: Vec<Port> = if options.simulate.is_some() {
        let seed = options.seed.map_or(Seed::System, Seed::Number);
        (1..=thread::available_parallelism()?.get())
            .map(|n| Port {
                name: format!("simulated-{n}"),
                parts: Parts::Simulated(options.soc, seed, id),
            })
            .collect()
    } else {
        let open = |name: &String| {
            let parts = Parts::Serial(SerialPort::open(name, options.baud)?);
            Ok::<_, port::OpenError>(Port { name: name.clone(), parts })
        };
        options.port.iter().map(open).collect::<Result<_, _>>()?
    };
    let wanted = options.simulate.or(options.parts).map_or(ports.len(), NonZeroUsize::get);
    let batch = Batch {
        parts: wanted,
        wanted: Wanted {
            implementation_id: Some(id),
            nonce: None,
            allow_dummy: options.allow_dummy,
        },
        require_nonce: options.require_nonce,
        // --simulate asks for modelled parts.
        allow_modelled: options.allow_modelled || options.simulate.is_some(),
        give_up_after: options.give_up_after.get(),
        timeouts: Timeouts {
            start: Duration::from_secs(options.start_timeout),
            line: Duration::from_secs(options.line_timeout),
            run: Duration::from_secs(options.run_timeout),
        },
    };

    let mut ledger = place.open_or_create()?;
    let names: Vec<String> = ports.iter().map(|port| port.name.clone()).collect();
    if options.simulate.is_none() {
        eprintln!("Waiting for parts on {}. Start them now.", names.join(", "));
    }
    let mut report = Report::new(names, wanted, json);
    let result = batch::run(&batch, ports, &mut ledger, |event| report.show(&event));
    let all_entered = report.end(wanted, &ledger.head()?);
    result?;
    Ok(all_entered?)
}

/// What is in the ledger may be the test-only key's.
const ANY_KEY: Wanted = Wanted { implementation_id: None, nonce: None, allow_dummy: true };

/// What the ledger keeps must be what its record says.
fn check_record(row: &Row, allow_dummy: bool) -> Result<(), String> {
    let wanted = Wanted { allow_dummy, ..ANY_KEY };
    let record = record::verify(&row.record, &wanted).map_err(|error| error.to_string())?;
    if record.identity == row.identity {
        Ok(())
    } else {
        Err(String::from("it is of another part than the entry says"))
    }
}

/// Prints the ledger's problems; those of entries only where they were not printed with their entries.
fn print_problems(found: &Audit, of_entries: bool, out: &mut impl Write) -> io::Result<()> {
    for problem in &found.problems {
        if of_entries || !problem.is_of_an_entry() {
            writeln!(out, "problem: {problem}")?;
        }
    }
    if of_entries && found.unlisted > 0 {
        writeln!(out, "and {} problems more", found.unlisted)?;
    }
    Ok(())
}

fn texts(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

fn audit(
    place: &Place,
    head: Option<[u8; 32]>,
    allow_dummy: bool,
    json: bool,
) -> Result<bool, Error> {
    let ledger = place.open()?;
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
        writeln!(out, "{}", json::audit(&found))?;
    } else {
        print_problems(&found, true, &mut out)?;
        let verdict = if found.is_clean() { "all of them good" } else { "NOT GOOD" };
        writeln!(out, "{} entries, {verdict}. Head: {}", found.entries, hex(&found.head.hash))?;
    }
    Ok(found.is_clean())
}

/// Which entries are exported, and of which ledger.
struct Selection {
    entries: Option<RangeInclusive<u64>>,
    expected_head: Option<[u8; 32]>,
    allow_dummy: bool,
}

impl Selection {
    fn contains(&self, number: u64) -> bool {
        self.entries.as_ref().is_none_or(|entries| entries.contains(&number))
    }
}

fn export(
    place: &Place,
    options: Options,
    selection: &Selection,
    output: &Path,
    overwrite: bool,
    json: bool,
) -> Result<bool, Error> {
    let ledger = place.open()?;
    let mut identities = Vec::new();
    let mut left_out = 0;
    // A record that stays here is not verified: it takes most of the time. The chain covers it.
    let check = |row: &Row| {
        if selection.contains(row.number) { check_record(row, true) } else { Ok(()) }
    };
    let found = ledger.walk::<Error>(selection.expected_head, check, |found| {
        match found.row.filter(|row| selection.contains(row.number)) {
            Some(row) if row.identity.public_key == DUMMY_PUBLIC_KEY && !selection.allow_dummy => {
                left_out += 1;
            }
            Some(row) => identities.push(row.identity),
            None => {}
        }
        Ok(())
    })?;
    if !found.is_clean() {
        if json {
            writeln!(io::stdout().lock(), "{}", json::not_exported(&found))?;
        } else {
            print_problems(&found, true, &mut io::stdout().lock())?;
        }
        eprintln!(
            "error: the ledger is NOT GOOD. Nothing was exported. Stop the line and audit it"
        );
        return Ok(false);
    }
    if let Some(entries) = &selection.entries
        && (*entries.start() == 0 || *entries.end() > found.entries)
    {
        return Err(format!("the ledger has {} entries", found.entries).into());
    }
    if left_out > 0 {
        eprintln!("warning: the part with the test-only key was left out (--allow-dummy)");
    }
    let options = Options { head: found.head.hash, ..options };
    let files = export::export(&options, identities)?;
    files.write(output, overwrite)?;
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", json::exported(&files, options.profile, output))?;
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

/// A text of the ledger without characters that control a terminal, which someone may have put into the file.
fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control(), "?")
}

fn list(place: &Place, json: bool) -> Result<bool, Error> {
    let ledger = place.open()?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if !json {
        writeln!(out, "{:>6}  {:24}  {:16}  UEID", "number", "time", "device ID")?;
    }
    let check = |row: &Row| check_record(row, true);
    let found = ledger.walk::<Error>(None, check, |found| {
        if json {
            writeln!(out, "{}", json::entry(&found, None))?;
            return Ok(());
        }
        if let Some(Row { number, time, identity, .. }) = found.row {
            let time = printable(time);
            writeln!(out, "{number:>6}  {time}  {}  {}", identity.device_id, identity.ueid())?;
        }
        for problem in found.problems {
            writeln!(out, "NOT GOOD: {problem}")?;
        }
        Ok(())
    })?;
    if json {
        // Those of entries are with their entries.
        let rest: Vec<_> =
            found.problems.iter().filter(|problem| !problem.is_of_an_entry()).collect();
        if !rest.is_empty() {
            writeln!(out, "{}", json::problems(&rest))?;
        }
    } else {
        print_problems(&found, false, &mut out)?;
    }
    out.flush()?;
    if !found.is_clean() {
        eprintln!("error: the ledger is NOT GOOD. Stop the line and audit it");
    }
    Ok(found.is_clean())
}

fn show(place: &Place, ueid: &Ueid, json: bool) -> Result<bool, Error> {
    let ledger = place.open()?;
    let mut shown = None;
    let is_wanted = |row: &Row| row.identity.ueid() == *ueid;
    let check = |row: &Row| if is_wanted(row) { check_record(row, true) } else { Ok(()) };
    let audit = ledger.walk::<Error>(None, check, |found| {
        if let Some(row) = found.row.filter(|row| is_wanted(row)) {
            let record = record::verify(&row.record, &ANY_KEY).ok();
            let line = json::entry(&found, record.as_ref().map(|record| &record.software));
            shown = Some((line, row.clone(), texts(found.problems)));
        }
        Ok(())
    })?;
    if let Some((line, row, problems)) = &shown {
        let mut out = io::stdout().lock();
        if json {
            writeln!(out, "{line}")?;
        } else {
            show_entry(row, problems, &mut out)?;
        }
    } else {
        eprintln!("no entry has the UEID {ueid}");
    }
    if !audit.is_clean() {
        eprintln!("error: the ledger is NOT GOOD. Stop the line and audit it");
    }
    Ok(shown.is_some() && audit.is_clean())
}

fn show_entry(row: &Row, problems: &[String], out: &mut impl Write) -> Result<(), Error> {
    let key = p256::PublicKey::from_sec1_bytes(row.identity.public_key.as_bytes())?
        .to_public_key_pem(LineEnding::LF)?;
    let verdict = if problems.is_empty() { "signed by the key below" } else { "NOT GOOD" };
    writeln!(out, "entry              {}", row.number)?;
    writeln!(out, "time               {}", printable(&row.time))?;
    writeln!(out, "port               {}", printable(&row.port))?;
    writeln!(out, "UEID               {}", row.identity.ueid())?;
    writeln!(out, "device ID          {}", row.identity.device_id)?;
    writeln!(out, "implementation ID  {}", row.identity.implementation_id)?;
    writeln!(out, "hash               {}", hex(&row.hash))?;
    writeln!(out, "record             {} bytes, {verdict}", row.record.len())?;
    if let Ok(record) = record::verify(&row.record, &ANY_KEY) {
        let record::Software { version, measurement } = record.software;
        writeln!(out, "image              {version}, SHA-256 {measurement}")?;
    }
    for problem in problems {
        writeln!(out, "NOT GOOD: {problem}")?;
    }
    write!(out, "{key}")?;
    Ok(())
}

/// A log is read as fast as it comes.
const NO_TIMEOUTS: Timeouts =
    Timeouts { start: Duration::MAX, line: Duration::MAX, run: Duration::MAX };

fn verify(wanted: &Wanted, allow_modelled: bool, json: bool) -> Result<bool, Error> {
    if io::stdin().is_terminal() {
        eprintln!("Paste the console of a part, and end it with Ctrl+D.");
    }
    let mut modelled = false;
    let end = follow(
        &mut Log(io::stdin().lock()),
        &NO_TIMEOUTS,
        Instant::now,
        || false,
        || [0; 32], // goes nowhere
        |step| modelled |= *step == Observed::Modelled,
    );
    let checked = end.map_err(batch::PartError::Follow).and_then(|end| match end {
        RunEnd::Failed { line, .. } => Err(batch::PartError::Failed(line)),
        _ if modelled && !allow_modelled => Err(batch::PartError::Modelled),
        RunEnd::Provisioned { record, .. } => check(&record, None, wanted),
        RunEnd::AlreadyProvisioned { record, ueid } => check(&record, Some(ueid), wanted),
    });
    let mut out = io::stdout().lock();
    match (&checked, json) {
        (Ok((record::VerifiedRecord { identity, software, .. }, _)), false) => {
            writeln!(out, "good: UEID {}", identity.ueid())?;
            writeln!(out, "      device ID {}", identity.device_id)?;
            writeln!(out, "      implementation ID {}", identity.implementation_id)?;
            writeln!(out, "      image {}, SHA-256 {}", software.version, software.measurement)?;
        }
        (Ok((record, _)), true) => writeln!(out, "{}", json::good(record))?,
        (Err(error), false) => writeln!(out, "NOT GOOD: {error}")?,
        (Err(error), true) => writeln!(out, "{}", json::bad(error))?,
    }
    Ok(checked.is_ok())
}
