// SPDX-License-Identifier: Apache-2.0

//! `cargo xtask mutants`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, value_parser};
use xtask::mutants::{self, Fate};

/// Its arguments.
#[derive(Args)]
pub struct Mutants {
    /// Only this file, such as crates/host/station/src/record.rs; may be given several times
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// How many mutants to build and test at a time; else one for each core, up to 4
    #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(1..=64))]
    jobs: Option<u8>,
}

/// Runs it.
pub fn run(root: &Path, Mutants { file: files, jobs }: &Mutants) -> Result<ExitCode> {
    let scope = mutants::scope(files)?;
    let accepted = mutants::accepted(&root.join("docs/mutants.jsonl"))?;
    let tried = mutants::run(root, &scope, jobs.map(usize::from))?;
    let verdict = mutants::judge(&tried, &accepted, &scope);
    let count = |fate| tried.iter().filter(|mutant| mutant.fate == fate).count();
    let survived = count(Fate::Survived);
    println!(
        "{} mutants: {} killed, {} never end, {survived} survived, of which {} are accepted, {} do not compile",
        tried.len(),
        count(Fate::Killed),
        count(Fate::Endless),
        survived - verdict.survivors.len(),
        count(Fate::Unviable)
    );
    for name in &verdict.survivors {
        println!("no test notices: {name}");
    }
    for name in &verdict.untried {
        println!("stopped from outside, try its file again: {name}");
    }
    for name in &verdict.stale {
        println!("accepted, but killed or gone: {name}");
    }
    if verdict.is_good() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("Write a test, or keep docs/mutants.jsonl true.");
    Ok(ExitCode::from(1))
}
