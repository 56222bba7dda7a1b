// SPDX-License-Identifier: Apache-2.0

//! `attempts`: every run that touched the line.

use std::io::{self, Write};

use serde::Serialize;
use station::escaped;
use station::ledger::{Entry, Fact, Ledger, Link, Program, Run, Runs, Text};
use station::row::Row;

use super::selection::Selection;
use super::{Error, Place, printable, say};

/// List every run, good or not, or show one with its console
#[derive(clap::Args)]
pub struct Attempts {
    /// Show this attempt, with what its console and the programs around it have printed
    #[arg(value_name = "NUMBER", conflicts_with_all = ["failed", "csv"])]
    number: Option<u64>,
    /// Those that were not good
    #[arg(long)]
    failed: bool,
    /// As comma-separated values
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    selection: Selection,
}

fn print(row: &Row, out: &mut impl Write) -> Result<(), Error> {
    let entry = row.entry.map(|entry| entry.to_string()).unwrap_or_default();
    let (port, why) = (printable(&row.port), printable(&row.why()));
    let serial = row.serial_number.as_ref().map(|text| format!(", {}", printable(text)));
    let (device, serial) =
        (row.device_id.as_deref().unwrap_or_default(), serial.unwrap_or_default());
    let Row { attempt, time, result, .. } = row;
    writeln!(
        out,
        "{attempt:>7}  {time:24}  {result:10}  {why:20}  {entry:>6}  {device:16}  {port}{serial}"
    )?;
    Ok(())
}

/// Carries the command out.
pub fn run(options: &Attempts, place: &Place, json: bool) -> Result<bool, Error> {
    let ledger = place.open()?;
    if let Some(number) = options.number {
        return show(number, &ledger, json);
    }
    let out = io::BufWriter::new(io::stdout().lock());
    let mut each: Box<dyn FnMut(Row) -> Result<(), Error>> = if json {
        let mut out = out;
        Box::new(move |row| Ok(writeln!(out, "{}", serde_json::to_string(&row)?)?))
    } else if options.csv {
        let mut csv = csv::Writer::from_writer(out);
        Box::new(move |row| Ok(csv.serialize(row.without_formulas())?))
    } else {
        let mut out = out;
        writeln!(
            out,
            "{:>7}  {:24}  {:10}  {:20}  {:>6}  {:16}  port, serial number",
            "attempt", "time", "result", "why", "entry", "device ID"
        )?;
        Box::new(move |row| print(&row, &mut out))
    };
    let found = options.selection.walk(
        &ledger,
        |_| Ok(()),
        |run| {
            if options.failed && run.result() == "good" { Ok(()) } else { each(Row::of(run)) }
        },
    )?;
    drop(each);
    super::ended(&found, json)
}

/// Shows one attempt.
fn show(number: u64, ledger: &Ledger, json: bool) -> Result<bool, Error> {
    let (mut run, mut programs) = (None, Vec::new());
    let mut runs = Runs::new(ledger.not_done()?);
    let found = ledger.walk::<Error>(
        None,
        |_| Ok(()),
        |found| {
            if let Some(Link { fact: Fact::Program(program), .. }) = found.link
                && program.attempt == number
            {
                programs.push(program.clone());
            }
            let ended = found.link.and_then(|link| runs.take(link));
            run = ended.filter(|ended| ended.begun.number == number).or(run.take());
            Ok(())
        },
    )?;
    let run = run.or_else(|| runs.unfinished().find(|run| run.begun.number == number));
    if let Some(run) = &run {
        let entry = run.ended.as_ref().and_then(Link::entry);
        let console = run.outcome().map(|outcome| unpacked(&outcome.console, entry));
        let mut out = io::stdout().lock();
        if json {
            print_json(run, console.as_deref(), &programs, &mut out)?;
        } else {
            print_one(run, console.as_deref(), &programs, &mut out)?;
        }
    } else {
        say(format_args!("there is no attempt {number}. station attempts lists them"));
    }
    Ok(super::ended(&found, json)? && run.is_some())
}

fn print_json(
    run: &Run,
    console: Option<&str>,
    programs: &[Program],
    out: &mut impl Write,
) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Step<'a> {
        name: &'a str,
        seconds: f64,
    }
    #[derive(Serialize)]
    struct Carried<'a> {
        command: &'a str,
        output: String,
        seconds: f64,
        step: &'a str,
        succeeded: bool,
        text: &'a str,
    }
    #[derive(Serialize)]
    struct Shown<'a> {
        attempt: Row,
        console: Option<&'a str>,
        programs: Vec<Carried<'a>>,
        steps: Vec<Step<'a>>,
    }
    let steps = run.outcome().map(|outcome| &outcome.steps[..]).unwrap_or_default();
    let shown = Shown {
        attempt: Row::of(run),
        console,
        programs: programs
            .iter()
            .map(|program| Carried {
                command: &program.command,
                output: unpacked(&program.output, None),
                seconds: seconds(program.milliseconds),
                step: &program.step,
                succeeded: program.succeeded,
                text: &program.text,
            })
            .collect(),
        steps: steps
            .iter()
            .map(|step| Step { name: &step.name, seconds: seconds(step.milliseconds) })
            .collect(),
    };
    Ok(writeln!(out, "{}", serde_json::to_string(&shown)?)?)
}

fn print_one(
    run: &Run,
    console: Option<&str>,
    programs: &[Program],
    out: &mut impl Write,
) -> Result<(), Error> {
    let row = Row::of(run);
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let seconds_text = |seconds: f64| format!("{seconds:.3} s");
    for (name, value) in [
        ("attempt", number(Some(row.attempt))),
        ("time", Some(row.time)),
        ("port", Some(row.port)),
        ("serial number", row.serial_number),
        ("batch", row.batch),
        ("station", row.station),
        ("operator", row.operator),
        ("version", Some(row.version)),
        ("result", Some(row.result.to_owned())),
        ("failure", number(row.failure.map(u64::from))),
        ("error", row.error),
        ("text", row.text),
        ("entry", number(row.entry)),
        ("device ID", row.device_id),
        ("UEID", row.ueid),
        ("image", row.image_sha256.map(|hash| format!("SHA-256 {hash}"))),
        ("time taken", row.seconds.map(seconds_text)),
    ] {
        if let Some(value) = value {
            writeln!(out, "{name:18} {}", printable(&value))?;
        }
    }
    for step in run.outcome().map(|outcome| &outcome.steps[..]).unwrap_or_default() {
        let name = format!("  {}", printable(&step.name));
        writeln!(out, "{name:18} {}", seconds_text(seconds(step.milliseconds)))?;
    }
    if let Some(console) = console {
        writeln!(out, "console:")?;
        console.lines().try_for_each(|line| writeln!(out, "  {line}"))?;
    }
    for program in programs {
        let (step, command) = (printable(&program.step), printable(&program.command));
        let time = seconds_text(seconds(program.milliseconds));
        writeln!(out, "{step}: {command} ({}, {time}):", printable(&program.text))?;
        unpacked(&program.output, None).lines().try_for_each(|line| writeln!(out, "  {line}"))?;
    }
    Ok(())
}

/// A text of the ledger, escaped.
fn unpacked(text: &Text, entry: Option<&Entry>) -> String {
    let text = text.unpack(entry);
    text.map_or_else(|| String::from("(damaged)"), |text| escaped::console(&text))
}

#[allow(clippy::cast_precision_loss, reason = "no run takes so long")]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}
