// SPDX-License-Identifier: Apache-2.0

//! `cargo xtask bench --host`.

use std::env::consts::{ARCH, OS};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use xtask::history::{Figures, History};
use xtask::{cachegrind, thousands};

use super::history::{HISTORY, Keep, conclude};

/// What is counted: what it is called, by whom, and how often it is done, few times and many.
const FIGURES: [(&str, &str, [u64; 2]); 7] = [
    ("a record verified", "record", [100, 500]),
    ("a run in a log checked", "log", [100, 500]),
    ("a run in a log checked and entered", "entry", [100, 500]),
    ("an entry audited", "audit", [100, 500]),
    ("an entry exported", "export", [100, 500]),
    ("an entry found", "find", [100, 500]),
    ("a modelled part provisioned", "part", [5, 25]),
];

/// Runs it.
pub fn run(root: &Path, keep: &Keep) -> Result<ExitCode> {
    let Some(valgrind) = cachegrind::version() else {
        bail!("Valgrind is missing, which counts the instructions of the station. Install it");
    };
    let history = History::open(&root.join(HISTORY))?;
    let program = build(root)?;
    let rustc = duct::cmd!("rustc", "--version").dir(root).read()?;
    let folder = tempfile::tempdir()?;
    let mut measured = Vec::new();
    for (name, what, counts) in FIGURES {
        eprintln!("counting: {name}");
        let count = |count: u64| -> Result<_> {
            let inputs = inputs(&program, folder.path(), count)?;
            let arguments = [what, &inputs.display().to_string(), &count.to_string()];
            Ok(cachegrind::count(&program, &arguments)?)
        };
        let (few, many) = (count(counts[0])?, count(counts[1])?);
        let each = cachegrind::each((counts[0], &few), (counts[1], &many))?;
        print(name, &each);
        let figures = Figures::Host { instructions: each.values().sum(), crates: each };
        // It is the processor's instructions that are counted.
        let name = format!("{name}, {ARCH} {OS}");
        measured.push((name, vec![rustc.clone(), valgrind.clone()], figures));
    }
    conclude(root, None, history, keep, measured)
}

/// The program that does what is counted.
fn build(root: &Path) -> Result<PathBuf> {
    let arguments = "build --release --locked --package station --example figure \
                     --message-format json-render-diagnostics";
    let messages = duct::cmd("cargo", arguments.split_whitespace()).dir(root).read()?;
    let executable = |line: &str| -> Option<PathBuf> {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = message["target"]["name"] == "figure";
        message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
    };
    messages.lines().find_map(executable).context("cargo has built no example of this name")
}

/// A folder with what is needed for so many: it is made when it is first asked for.
fn inputs(program: &Path, folder: &Path, count: u64) -> Result<PathBuf> {
    let inputs = folder.join(count.to_string());
    if !inputs.exists() {
        std::fs::create_dir(&inputs)?;
        duct::cmd!(program, "make", &inputs, count.to_string()).run()?;
    }
    Ok(inputs)
}

fn print(name: &str, each: &cachegrind::Counts) {
    println!("\n{name:47} {:>12}", "instructions");
    let mut crates: Vec<_> = each.iter().collect();
    crates.sort_by_key(|(name, count)| (u64::MAX - **count, *name));
    for (name, count) in crates {
        println!("  {name:45} {:>12}", thousands(*count));
    }
    println!("  {:45} {:>12}", "all", thousands(each.values().sum()));
}
