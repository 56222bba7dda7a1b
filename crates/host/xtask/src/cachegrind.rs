// SPDX-License-Identifier: Apache-2.0

//! Instructions that a program takes on this machine, by crate, as Valgrind's cachegrind counts them.
//!
//! Valgrind shows a program the same CPU each time and runs one thread after the other, so a program that does the same
//! takes the same instructions, but for what hash maps and signatures take at random.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use thiserror::Error;

use crate::elf;

/// Who has what is not Rust, and not ring's.
pub const C: &str = "SQLite and the C library";

/// Instructions by crate, and of [`C`].
pub type Counts = BTreeMap<String, u64>;

/// Why instructions were not counted.
#[derive(Debug, Error)]
pub enum CachegrindError {
    /// Valgrind, or the program, was not carried out or has failed.
    #[error("{0} under Valgrind has failed: {1}. Run it alone to see why.")]
    Failed(String, #[source] io::Error),
    /// What was counted is not there.
    #[error("cannot read what cachegrind has counted: {0}")]
    Unreadable(#[from] io::Error),
    /// A line of what was counted has another form.
    #[error("cachegrind has written {0:?}, which is another form than that of its manual")]
    Form(String),
    /// Functions and sum do not agree.
    #[error("what cachegrind has written is cut: the sum at its end is another one")]
    Sum,
    /// There is nothing to compare.
    #[error("doing it more often has taken no more instructions")]
    NoMore,
}

/// The version of Valgrind. `None` where it is missing.
#[must_use]
pub fn version() -> Option<String> {
    duct::cmd!("valgrind", "--version").stderr_null().read().ok()
}

/// Runs a program with these arguments, and counts its instructions.
///
/// # Errors
/// Valgrind or the program fails.
pub fn count(program: &Path, arguments: &[&str]) -> Result<Counts, CachegrindError> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let program = program.display().to_string();
    let options = [
        "--tool=cachegrind",
        "--cache-sim=no",
        "--branch-sim=no",
        "--demangle=no",
        "--quiet",
        &format!("--cachegrind-out-file={}", out.display()),
        &program,
    ];
    let all = options.into_iter().chain(arguments.iter().copied());
    // It warns of caches that it does not simulate.
    duct::cmd("valgrind", all).stderr_null().stdout_null().run().map_err(|error| {
        CachegrindError::Failed(format!("{program} {}", arguments.join(" ")), error)
    })?;
    parse(&fs::read_to_string(out)?)
}

/// Reads what cachegrind writes (Valgrind manual, "Cachegrind Output File Format"): the name of a function, and behind it
/// lines with the number of a line in its source and how many instructions that has taken.
///
/// # Errors
/// It has another form, or the sum at its end is another one.
pub fn parse(text: &str) -> Result<Counts, CachegrindError> {
    let (mut counts, mut krate, mut sum) = (Counts::new(), None, None);
    for line in text.lines() {
        let form = || CachegrindError::Form(line.to_owned());
        if let Some(name) = line.strip_prefix("fn=") {
            krate = Some(owner(name));
        } else if let Some(summary) = line.strip_prefix("summary: ") {
            sum = Some(summary.parse::<u64>().map_err(|_| form())?);
        } else if line.starts_with(|c: char| c.is_ascii_digit()) {
            let count = line.split_once(' ').and_then(|(_, count)| count.parse::<u64>().ok());
            let krate = krate.clone().ok_or_else(form)?;
            *counts.entry(krate).or_default() += count.ok_or_else(form)?;
        } else if line.starts_with("events:") && line != "events: Ir" {
            return Err(form());
        }
    }
    if sum == Some(counts.values().sum()) { Ok(counts) } else { Err(CachegrindError::Sum) }
}

fn owner(symbol: &str) -> String {
    // What ring has of assembly and C.
    if symbol.contains("ring_core_") || symbol.contains("ecp_nistz256") {
        return String::from("ring");
    }
    match elf::owner(symbol).0 {
        krate if krate == elf::C => String::from(C),
        krate => krate,
    }
}

/// What one thing takes, of the counts where it was done so often and more often: what it takes to begin is in both.
///
/// # Errors
/// It has taken no more.
pub fn each(few: (u64, &Counts), many: (u64, &Counts)) -> Result<Counts, CachegrindError> {
    let more = many.0.checked_sub(few.0).filter(|more| *more > 0).ok_or(CachegrindError::NoMore)?;
    let taken = many.1.iter().map(|(krate, count)| {
        // What is random may have taken less.
        let before = few.1.get(krate).copied().unwrap_or_default();
        (krate.clone(), count.saturating_sub(before) / more)
    });
    let counts: Counts = taken.filter(|(_, count)| *count > 0).collect();
    if counts.is_empty() { Err(CachegrindError::NoMore) } else { Ok(counts) }
}
