// SPDX-License-Identifier: Apache-2.0

//! `stats`: what the runs say about the line.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;
use station::chart;
use station::ledger::{Fact, Link};
use station::stats::{self, Hour, Yield, hour};

use super::selection::Selection;
use super::{Error, Place, printable, say};

/// Show yield, failures, parts per hour and the time of each step
#[derive(clap::Args)]
pub struct Stats {
    /// As comma-separated values: table, name, figure, value
    #[arg(long)]
    csv: bool,
    /// Also draw parts per hour and failures into this file, as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    selection: Selection,
}

/// Carries the command out.
pub fn run(options: &Stats, place: &Place, json: bool) -> Result<bool, Error> {
    let ledger = place.open()?;
    let mut stats = stats::Stats::default();
    let mut programs = Vec::new();
    let mut attempts = std::collections::HashSet::new();
    let found = options.selection.walk(
        &ledger,
        |found| {
            if let Some(Link { fact: Fact::Program(program), .. }) = found.link {
                programs.push((program.attempt, program.step.clone(), program.milliseconds));
            }
            Ok(())
        },
        |run| {
            attempts.insert(run.begun.number);
            stats.add(run);
            Ok(())
        },
    )?;
    for (_, step, milliseconds) in
        programs.iter().filter(|(attempt, ..)| attempts.contains(attempt))
    {
        stats.add_program(step, *milliseconds);
    }
    if let Some(file) = &options.svg {
        fs::write(file, chart::svg(&stats)?)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        say(format_args!("the chart is in {}", file.display()));
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    if json {
        print_json(&stats, &mut out)?;
    } else if options.csv {
        print_csv(&stats, &mut out)?;
    } else {
        print_tables(&stats, &mut out)?;
    }
    out.flush()?;
    drop(out);
    super::ended(&found, json)
}

fn print_tables(stats: &stats::Stats, out: &mut impl Write) -> Result<(), Error> {
    for (name, count) in stats.counts() {
        let name = match name {
            "known" => "known already",
            "failed-part-unknown" => "failed, part unknown",
            name => name,
        };
        writeln!(out, "{name:22} {count:>8}")?;
    }
    for (name, Yield { good, parts }, percent) in [
        ("first-pass yield", stats.first_pass(), stats.first_pass().percent()),
        ("yield after retests", stats.after_retests(), stats.after_retests().percent()),
    ] {
        if let Some(percent) = percent {
            writeln!(out, "{name:22} {percent:>7.1}%  {good} of {parts} parts")?;
        }
    }
    if let Some(rate) = stats.parts_per_hour() {
        writeln!(
            out,
            "{:22} {rate:>8.1}  over {} hours with runs",
            "parts per hour",
            stats.hours.len()
        )?;
    }
    if !stats.failures.is_empty() {
        writeln!(out, "\n{:22} {:>8}  port", "what failed", "runs")?;
        for ((cause, port), count) in stats.failures_by_count() {
            let (cause, port) = (printable(&cause.to_string()), printable(port));
            writeln!(out, "{cause:22} {count:>8}  {port}")?;
        }
    }
    if !stats.hours.is_empty() {
        writeln!(out, "\n{:22} {:>8} {:>8}", "hour", "good", "failed")?;
        for (hours, Hour { good, failed }) in &stats.hours {
            writeln!(out, "{:22} {good:>8} {failed:>8}", hour(*hours))?;
        }
    }
    if stats.times().next().is_some() {
        let [step, count, median, most, longest] =
            ["step, in ms", "runs", "median", "95 %", "longest"];
        writeln!(out, "\n{step:22} {count:>8} {median:>8} {most:>8} {longest:>8}")?;
        for (name, time) in stats.times() {
            let [median, most, longest] =
                [50, 95, 100].map(|n| time.percentile(n).unwrap_or_default());
            let name = printable(name);
            writeln!(out, "{name:22} {:>8} {median:>8} {most:>8} {longest:>8}", time.count())?;
        }
    }
    Ok(())
}

fn print_csv(stats: &stats::Stats, out: &mut impl Write) -> Result<(), Error> {
    let mut csv = csv::Writer::from_writer(out);
    let mut row = |table: &str, name: &str, figure: &str, value: String| {
        csv.write_record([table, name, figure, &value])
    };
    row("table", "name", "figure", String::from("value"))?;
    for (name, count) in stats.counts() {
        row("counts", name, "runs", count.to_string())?;
    }
    for (name, figures) in
        [("first-pass", stats.first_pass()), ("after-retests", stats.after_retests())]
    {
        row("yield", name, "good", figures.good.to_string())?;
        row("yield", name, "parts", figures.parts.to_string())?;
    }
    for ((cause, port), count) in stats.failures_by_count() {
        // Ports and causes are the station's own words.
        row("failures", &cause.to_string(), port, count.to_string())?;
    }
    for (hours, Hour { good, failed }) in &stats.hours {
        row("hours", &hour(*hours), "good", good.to_string())?;
        row("hours", &hour(*hours), "failed", failed.to_string())?;
    }
    for (name, time) in stats.times() {
        row("steps", name, "runs", time.count().to_string())?;
        for (figure, percent) in [("median-ms", 50), ("95-percent-ms", 95), ("longest-ms", 100)] {
            row("steps", name, figure, time.percentile(percent).unwrap_or_default().to_string())?;
        }
    }
    Ok(csv.flush()?)
}

fn print_json(stats: &stats::Stats, out: &mut impl Write) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Share {
        good: u64,
        parts: u64,
        percent: Option<f64>,
    }
    #[derive(Serialize)]
    struct Failure<'a> {
        cause: String,
        port: &'a str,
        runs: u64,
    }
    #[derive(Serialize)]
    struct InHour {
        failed: u64,
        good: u64,
        hour: String,
    }
    #[derive(Serialize)]
    struct Step<'a> {
        longest_ms: Option<u32>,
        median_ms: Option<u32>,
        name: &'a str,
        ninety_five_percent_ms: Option<u32>,
        runs: usize,
    }
    #[derive(Serialize)]
    struct Object<'a> {
        after_retests: Share,
        failed: u64,
        failed_part_unknown: u64,
        failures: Vec<Failure<'a>>,
        first_pass: Share,
        good: u64,
        hours: Vec<InHour>,
        known: u64,
        parts_per_hour: Option<f64>,
        runs: u64,
        steps: Vec<Step<'a>>,
        unfinished: u64,
    }
    let parts = |figures: Yield| Share {
        good: figures.good,
        parts: figures.parts,
        percent: figures.percent(),
    };
    let object = Object {
        after_retests: parts(stats.after_retests()),
        failed: stats.failed,
        failed_part_unknown: stats.unknown(),
        failures: stats
            .failures_by_count()
            .into_iter()
            .map(|((cause, port), runs)| Failure { cause: cause.to_string(), port, runs })
            .collect(),
        first_pass: parts(stats.first_pass()),
        good: stats.good,
        hours: stats
            .hours
            .iter()
            .map(|(hours, Hour { good, failed })| InHour {
                failed: *failed,
                good: *good,
                hour: hour(*hours),
            })
            .collect(),
        known: stats.known,
        parts_per_hour: stats.parts_per_hour(),
        runs: stats.attempts,
        steps: stats
            .times()
            .map(|(name, time)| Step {
                longest_ms: time.percentile(100),
                median_ms: time.percentile(50),
                name,
                ninety_five_percent_ms: time.percentile(95),
                runs: time.count(),
            })
            .collect(),
        unfinished: stats.unfinished,
    };
    Ok(writeln!(out, "{}", serde_json::to_string(&object)?)?)
}
