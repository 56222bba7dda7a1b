// SPDX-License-Identifier: Apache-2.0

//! What `cargo xtask size` and `cargo xtask bench` do with their figures.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use xtask::build::{self, Environment};
use xtask::history::{self, Change, Date, Entry, Figures, History, TOLERANCE};

/// Whether to record figures.
#[derive(Args)]
pub struct Keep {
    /// Append the figures to docs/measured.jsonl, whatever they are
    #[arg(long)]
    record: bool,
    /// The day of the entry; else that of the last commit
    #[arg(long, value_name = "YYYY-MM-DD", requires = "record")]
    date: Option<Date>,
}

/// The file that keeps the figures.
pub const HISTORY: &str = "docs/measured.jsonl";

/// The environment of a build, and the history: both are needed, and are looked for before anything is built.
pub fn prepare(root: &Path) -> Result<(Environment, History)> {
    let environment = Environment::zephyr(root, &[build::TARGET])?;
    Ok((environment, History::open(&root.join(HISTORY))?))
}

/// Compares what was measured with the history, or appends it. The environment is that of images.
pub fn conclude(
    root: &Path,
    environment: Option<&Environment>,
    mut history: History,
    keep: &Keep,
    measured: Vec<(String, Vec<String>, Figures)>,
) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    let sdk =
        environment.map(|environment| Ok::<_, anyhow::Error>(environment.version()?.to_string()));
    let sdk = sdk.transpose()?;
    println!();
    for (board, compilers, figures) in &measured {
        let kind = figures.kind();
        let Some(last) = history.last(kind, board) else {
            println!("{kind} of {board}: nothing is recorded yet");
            if !keep.record {
                // Nothing to compare with is no success.
                code = ExitCode::from(2);
            }
            continue;
        };
        println!("{kind} of {board}, since {} ({}):", last.commit, last.date);
        if let (Some(before), Some(sdk)) = (&last.sdk, &sdk)
            && before != sdk
        {
            println!("  with {sdk} instead of {before}");
        }
        if last.compilers != *compilers {
            println!("  built by {}", compilers.join(", "));
            println!("  instead of {}", last.compilers.join(", "));
        }
        let changes = history::compare(&last.figures, figures);
        if changes.totals.is_empty() && changes.parts.is_empty() {
            println!("  as it was");
        }
        for total in &changes.totals {
            let mark = if total.is_too_much() { ", more than allowed" } else { "" };
            println!("  {total}{mark}");
        }
        let too_much = changes.is_too_much() && !keep.record;
        let told = |part: &&Change| keep.record || part.growth() > 0;
        if keep.record || too_much {
            for part in changes.parts.iter().filter(told) {
                println!("    {part}");
            }
        }
        if too_much {
            println!(
                "  It may grow by {TOLERANCE} %. If it must grow by more, run this with --record."
            );
            code = ExitCode::from(1);
        }
    }
    if keep.record {
        let commit = commit(root)?;
        let date = match keep.date {
            Some(date) => date,
            None => git(root, &["show", "-s", "--format=%cs", "HEAD"])?.parse()?,
        };
        let entries: Vec<_> = measured
            .into_iter()
            .map(|(board, compilers, figures)| Entry {
                date,
                commit: commit.clone(),
                board,
                sdk: sdk.clone(),
                compilers,
                figures,
            })
            .collect();
        history.append(&entries)?;
        println!("recorded in {HISTORY}");
    }
    Ok(code)
}

/// The last commit, with a `+` if anything but the history was changed since.
fn commit(root: &Path) -> Result<String> {
    let mut commit = git(root, &["rev-parse", "--short=12", "HEAD"])?;
    if !git(root, &["status", "--porcelain", "--", ".", &format!(":!{HISTORY}")])?.is_empty() {
        commit.push('+');
    }
    Ok(commit)
}

fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    Ok(duct::cmd("git", arguments).dir(root).read()?)
}
