// SPDX-License-Identifier: Apache-2.0

//! `verify`: recorded consoles, without the ledger.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;

use provisioning::{ImplementationId, Nonce};
use station::log::{Accepted, GoodRun, LogError, Run, Runs, check_runs};
use station::part::PartError;
use station::record::{VerifiedRecord, Wanted};

use super::{Error, bytes, printable, say};
use crate::json;

/// Check each run in console logs, without the ledger
#[derive(clap::Args)]
pub struct Verify {
    /// Logs, as terminal programs record them; - is standard input [default: -]
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
    files: Vec<PathBuf>,
    /// The implementation ID that the parts must have, 64 hexadecimal digits [default: any]
    #[arg(long, value_name = "HEX")]
    implementation_id: Option<ImplementationId>,
    /// The nonce that was sent to the part in its run, which the record must contain, 64 hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<Nonce>,
    /// Accept a part with the test-only key, which everybody knows
    #[arg(long)]
    allow_dummy: bool,
    /// Accept modelled silicon, in cargo sim for example, whose keys are not secret
    #[arg(long)]
    allow_modelled: bool,
}

fn nonce(text: &str) -> Result<Nonce, String> {
    bytes(text).map(Nonce).ok_or_else(|| String::from("a nonce has 64 hexadecimal digits"))
}

/// Carries the command out.
pub fn run(options: &Verify, json: bool) -> Result<bool, Error> {
    let record = Wanted {
        implementation_id: options.implementation_id,
        nonce: options.nonce,
        allow_dummy: options.allow_dummy,
    };
    let accepted = Accepted { record, modelled: options.allow_modelled };
    let mut report = Report { json, out: io::stdout().lock(), good: 0, bad: 0, without_runs: 0 };
    let mut unread = Vec::new();
    for file in &options.files {
        match open(file).and_then(|(log, threads)| Ok((Runs::new(log)?, threads))) {
            Ok((runs, threads)) => check_runs(runs, &accepted, threads, |run| match run {
                Ok((run, checked)) => report.run(file, &run, &checked),
                Err(LogError::NoRun(why)) => report.no_run(file, &why),
                Err(LogError::Read(error)) => {
                    unread.push((file, error));
                    Ok(())
                }
            })?,
            Err(error) => unread.push((file, error)),
        }
    }
    let is_good = report.end()?;
    if unread.is_empty() {
        return Ok(is_good);
    }
    let line = |(file, error): &(&PathBuf, _)| format!("{} cannot be read: {error}", name(file));
    Err(unread.iter().map(line).collect::<Vec<_>>().join("\nerror: ").into())
}

fn is_standard_input(file: &Path) -> bool {
    file == Path::new("-")
}

/// The log, and in how many threads it is checked: of one that is still being written each run is to be told when it
/// ends.
fn open(file: &Path) -> io::Result<(Box<dyn Read>, NonZeroUsize)> {
    if !is_standard_input(file) {
        let log = File::open(file)?;
        let is_whole = log.metadata()?.is_file();
        let threads =
            if is_whole { thread::available_parallelism() } else { Ok(NonZeroUsize::MIN) };
        return Ok((Box::new(log), threads.unwrap_or(NonZeroUsize::MIN)));
    }
    let input = io::stdin().lock();
    if input.is_terminal() {
        say("Paste the console of parts, and end it with Ctrl+D.");
    }
    Ok((Box::new(input), NonZeroUsize::MIN))
}

/// What people call a log.
fn name(file: &Path) -> String {
    if is_standard_input(file) {
        String::from("standard input")
    } else {
        printable(&file.display().to_string())
    }
}

/// Prints what becomes of each run, and counts them.
struct Report<'a> {
    json: bool,
    out: io::StdoutLock<'a>,
    good: u64,
    bad: u64,
    without_runs: u64,
}

impl Report<'_> {
    fn run(
        &mut self,
        file: &Path,
        run: &Run,
        result: &Result<GoodRun, PartError>,
    ) -> io::Result<()> {
        *if result.is_ok() { &mut self.good } else { &mut self.bad } += 1;
        let out = &mut self.out;
        if self.json {
            let file = file.to_string_lossy();
            return match result {
                Ok(good) => writeln!(out, "{}", json::good(&file, run, good)),
                Err(error) => writeln!(out, "{}", json::bad(&file, run, error)),
            };
        }
        write!(out, "{}:{}: run {}: ", name(file), run.line, run.number)?;
        match result {
            Ok(GoodRun { record: VerifiedRecord { identity, software, .. }, not_proven }) => {
                writeln!(out, "good: UEID {}", identity.ueid())?;
                writeln!(out, "    device ID {}", identity.device_id)?;
                writeln!(out, "    implementation ID {}", identity.implementation_id)?;
                writeln!(out, "    image {}, SHA-256 {}", software.version, software.measurement)?;
                for what in not_proven {
                    writeln!(out, "    not proven: {what}")?;
                }
                Ok(())
            }
            Err(error) => writeln!(out, "NOT GOOD: {}", error.in_log()),
        }
    }

    fn no_run(&mut self, file: &Path, why: &station::log::NoRun) -> io::Result<()> {
        self.without_runs += 1;
        if self.json {
            writeln!(self.out, "{}", json::no_run(&file.to_string_lossy(), why))
        } else {
            writeln!(self.out, "{}: NOT GOOD: {}", name(file), why.in_log())
        }
    }

    /// Counts, for people, where there is more than one verdict; whether all are good.
    fn end(mut self) -> io::Result<bool> {
        let Self { json, good, bad, without_runs, .. } = self;
        if !json && good + bad + without_runs > 1 {
            write!(self.out, "Runs: {good} good, {bad} NOT GOOD.")?;
            if without_runs > 0 {
                write!(self.out, " Logs without a run: {without_runs}.")?;
            }
            writeln!(self.out)?;
        }
        Ok(bad + without_runs == 0)
    }
}
