// SPDX-License-Identifier: Apache-2.0

//! `cargo xtask fuzz`: libFuzzer calls each target of `crates/host/fuzz`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, value_parser};

use super::{NotHere, Project};

/// Its arguments.
#[derive(Args)]
pub struct Fuzz {
    /// For how long, in all
    #[arg(long, default_value_t = 60, value_parser = value_parser!(u64).range(4..))]
    seconds: u64,
}

/// The targets, and how long their inputs may be.
const TARGETS: [(&str, u32); 4] =
    [("console", 8_192), ("record", 2_048), ("ledger", 32_768), ("export", 4_096)];

/// Counts which branches run and what is compared, by LLVM's own pass, which a stable compiler has, too.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Where an input is kept on which a target fails.
const FOUND: &str = "target/fuzz-found";

/// Runs it.
pub fn run(root: &Path, Fuzz { seconds }: &Fuzz) -> Result<ExitCode> {
    fuzz(&Project::new(root, &[])?, *seconds)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn a_minute(project: &Project) -> Result<()> {
    fuzz(project, 60)
}

/// Each target has its share of the time. An input may take 25 seconds and 512 MB.
fn fuzz(project: &Project, seconds: u64) -> Result<()> {
    if which::which("c++").is_err() {
        return Err(NotHere(String::from("a C++ compiler is missing")).into());
    }
    // With --target, the flags are not for what the build itself runs.
    let host = duct::cmd!("rustc", "--print", "host-tuple").read()?;
    let bins = TARGETS.map(|(name, _)| format!("--bin {name}")).join(" ");
    let build = "build --locked --profile fuzz --package fuzz --features libfuzzer --target";
    project.cargo(&format!("{build} {host} {bins}")).env("RUSTFLAGS", COVERAGE).run()?;

    fs::create_dir_all(project.root.join(FOUND)).context(FOUND)?;
    let work = tempfile::tempdir()?;
    let share = seconds / TARGETS.len() as u64;
    let mut failed = Vec::new();
    for (name, length) in TARGETS {
        let folder = work.path().join(name);
        fs::create_dir_all(&folder)?;
        let seeds = ["corpus", "regressions"].map(|kind| format!("crates/host/fuzz/{kind}/{name}"));
        let seeds = seeds.into_iter().filter(|seeds| project.root.join(seeds).is_dir());
        let options = [
            format!("-max_len={length}"),
            format!("-max_total_time={share}"),
            String::from("-timeout=25"),
            String::from("-rss_limit_mb=512"),
            String::from("-print_final_stats=1"),
            format!("-artifact_prefix={FOUND}/{name}-"),
            folder.to_string_lossy().into_owned(),
        ];
        let program = project.root.join(format!("target/{host}/fuzz/{name}"));
        let output = duct::cmd(program, options.into_iter().chain(seeds))
            .dir(&project.root)
            .stderr_to_stdout()
            .stdout_capture()
            .unchecked()
            .run()?;
        let log = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            println!("{name:8} {}", figures(&log));
            continue;
        }
        failed.push(name);
        let lines: Vec<_> = log.lines().collect();
        println!("{}\n{name} FAILED", lines[lines.len().saturating_sub(60)..].join("\n"));
        if !project.files(&format!("{FOUND}/{name}-*"))?.is_empty() {
            println!(
                "The input is in {FOUND}. Put it into crates/host/fuzz/regressions/{name}, where \
                 cargo test -p fuzz tries it."
            );
        }
    }
    if !failed.is_empty() {
        bail!("an input was found for {}", failed.join(", "));
    }
    Ok(())
}

/// What libFuzzer says at its end, in a line.
fn figures(log: &str) -> String {
    let figure = |before: &str| {
        let number = log.lines().find_map(|line| line.strip_prefix(before))?;
        number.split_whitespace().next()
    };
    let figure = |before| figure(before).unwrap_or("?");
    format!(
        "{} executions, {} a second, {} MB",
        figure("Done "),
        figure("stat::average_exec_per_sec:"),
        figure("stat::peak_rss_mb:")
    )
}
