// SPDX-License-Identifier: Apache-2.0

//! Mutation testing: cargo-mutants changes the code in one place after the other, and each change must make a
//! test fail. A change that no test notices is a gap in the tests, or is accepted for a reason that stands in
//! `docs/mutants.jsonl`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;

use serde::Deserialize;
use thiserror::Error;

/// The version whose mutants the list knows. Another one may make others.
pub const VERSION: &str = "27.1.0";

/// Code that is changed, and the tests that must notice. Paths are those of the repository.
struct Group {
    name: &'static str,
    /// Where its files are: what a path begins with.
    prefixes: &'static [&'static str],
    /// Arguments of cargo-mutants.
    arguments: &'static [&'static str],
    /// Arguments of cargo test. Tests that take half a minute and kill no mutant alone are left out.
    tests: &'static [&'static str],
}

const GROUPS: [Group; 2] = [
    Group {
        name: "part",
        prefixes: &["crates/image/provisioning/src", "crates/image/nrf-keys/src"],
        // A time-out of its own, since cargo-mutants would derive one from the tests of the changed crate alone.
        arguments: &["--test-package=provisioning,nrf-keys,simulator", "--timeout=240"],
        tests: &[],
    },
    Group {
        name: "station",
        prefixes: &[
            "crates/host/station/src/record",
            "crates/host/station/src/ledger",
            "crates/host/station/src/console",
        ],
        arguments: &["--test-package=station"],
        tests: &["--lib", "--bins", "--test=[!k]*"], // all but kill
    },
];

/// How many parts with arbitrary content a mutant of the procedure meets.
const CASES: &str = "500";

/// A survivor that is accepted: a line of `docs/mutants.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The mutant, as cargo-mutants names it, without line and column.
    pub mutant: String,
    /// Why no test needs to notice it.
    pub why: String,
}

/// Why mutants cannot be tried, or their list cannot be used.
#[derive(Debug, Error)]
pub enum MutantsError {
    /// A file cannot be read or written.
    #[error("{path}: {1}", path = .0.display())]
    File(PathBuf, #[source] io::Error),
    /// A line of the list is not an entry.
    #[error("{path}, line {1}: {2}", path = .0.display())]
    Entry(PathBuf, usize, #[source] serde_json::Error),
    /// A line of the list has an empty reason.
    #[error("{path}, line {1}: the reason is missing", path = .0.display())]
    NoReason(PathBuf, usize),
    /// The outcomes have another form than that of [`VERSION`].
    #[error("the outcomes: {0}")]
    Form(#[source] serde_json::Error),
    /// No mutant can be judged.
    #[error("the tests fail as it is")]
    Baseline,
    /// A mutant with an outcome that [`VERSION`] does not have.
    #[error("{0}: {1}")]
    Outcome(String, String),
    /// A file that is not tested in this way.
    #[error("{0}: no mutants are made of it. The scope is in crates/host/xtask/src/mutants.rs.")]
    Scope(String),
    /// A program cannot be started.
    #[error("{0} cannot be started: {1}")]
    Start(&'static str, #[source] io::Error),
    /// Another cargo-mutants, or none.
    #[error(
        "cargo-mutants {VERSION} is needed: cargo install cargo-mutants --version {VERSION} --locked"
    )]
    Version,
    /// cargo-mutants has failed.
    #[error("cargo mutants failed ({0}), see {path}", path = .1.display())]
    Failed(ExitStatus, PathBuf),
    /// The files have nothing to change.
    #[error("there are no mutants in these files")]
    None,
}

/// What came of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A test fails.
    Killed,
    /// A test no longer ends.
    Endless,
    /// All tests pass.
    Survived,
    /// It does not compile, so it is none.
    Unviable,
    /// Its tests were stopped from outside.
    Untried,
}

/// A mutant that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// As cargo-mutants names it.
    pub name: String,
    /// What came of it.
    pub fate: Fate,
}

/// What is not as the list says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Survivors that are not accepted, as cargo-mutants names them.
    pub survivors: Vec<String>,
    /// Accepted mutants that were killed, or are no longer there.
    pub stale: Vec<String>,
    /// Mutants that must be tried again, as cargo-mutants names them.
    pub untried: Vec<String>,
}

impl Verdict {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.survivors.is_empty() && self.stale.is_empty() && self.untried.is_empty()
    }
}

/// Reads the list of accepted survivors.
///
/// # Errors
/// The file cannot be read, or a line is no entry or has no reason.
pub fn accepted(path: &Path) -> Result<Vec<Accepted>, MutantsError> {
    let text = read(path)?;
    let entry = |(number, line): (usize, &str)| {
        let entry: Accepted = serde_json::from_str(line)
            .map_err(|error| MutantsError::Entry(path.to_owned(), number, error))?;
        if entry.why.trim().is_empty() {
            return Err(MutantsError::NoReason(path.to_owned(), number));
        }
        Ok(entry)
    };
    (1..).zip(text.lines()).map(entry).collect()
}

fn read(path: &Path) -> Result<String, MutantsError> {
    fs::read_to_string(path).map_err(|error| MutantsError::File(path.to_owned(), error))
}

/// Reads the `outcomes.json` of cargo-mutants.
///
/// # Errors
/// It is not of the form that [`VERSION`] writes, or the tests fail without any change.
pub fn outcomes(json: &str) -> Result<Vec<Tried>, MutantsError> {
    #[derive(Deserialize)]
    struct Outcomes {
        outcomes: Vec<Outcome>,
    }
    #[derive(Deserialize)]
    struct Outcome {
        scenario: Scenario,
        summary: String,
    }
    #[derive(Deserialize)]
    enum Scenario {
        Baseline,
        Mutant { name: String },
    }
    let read: Outcomes = serde_json::from_str(json).map_err(MutantsError::Form)?;
    let mut tried = Vec::new();
    for Outcome { scenario, summary } in read.outcomes {
        let fate = match (&scenario, &summary[..]) {
            (Scenario::Baseline, "Success") => continue,
            (Scenario::Mutant { .. }, "CaughtMutant") => Fate::Killed,
            (Scenario::Mutant { .. }, "Timeout") => Fate::Endless,
            (Scenario::Mutant { .. }, "MissedMutant") => Fate::Survived,
            (Scenario::Mutant { .. }, "Unviable") => Fate::Unviable,
            (Scenario::Baseline, _) => return Err(MutantsError::Baseline),
            (Scenario::Mutant { .. }, "Failure") => Fate::Untried,
            (Scenario::Mutant { name }, other) => {
                return Err(MutantsError::Outcome(name.clone(), String::from(other)));
            }
        };
        if let Scenario::Mutant { name } = scenario {
            tried.push(Tried { name, fate });
        }
    }
    Ok(tried)
}

/// The name without line and column, which change with every line above it.
#[must_use]
pub fn lasting_name(name: &str) -> String {
    match name.splitn(4, ':').collect::<Vec<_>>()[..] {
        [file, line, column, what] if is_number(line) && is_number(column) => {
            format!("{file}:{what}")
        }
        _ => String::from(name),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Compares the mutants with the list. Where two have the same name in one function, both are in the list. Of
/// the list, only what is in `files` counts.
#[must_use]
pub fn judge(tried: &[Tried], accepted: &[Accepted], files: &[String]) -> Verdict {
    let is_in_files = |mutant: &str| files.iter().any(|file| mutant.starts_with(file));
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in accepted.iter().filter(|entry| is_in_files(&entry.mutant)) {
        *left.entry(&entry.mutant).or_default() += 1;
    }
    let mut verdict = Verdict::default();
    for mutant in tried {
        let (Fate::Survived | Fate::Untried) = mutant.fate else { continue };
        let listed = left.get_mut(&lasting_name(&mutant.name)[..]).filter(|count| **count > 0);
        let is_listed = listed.map(|count| *count -= 1).is_some();
        if mutant.fate == Fate::Untried {
            verdict.untried.push(mutant.name.clone());
        } else if !is_listed {
            verdict.survivors.push(mutant.name.clone());
        }
    }
    for (name, count) in left {
        verdict.stale.extend((0..count).map(|_| String::from(name)));
    }
    verdict
}

/// Where the mutants are, as [`judge`] wants it: all of the scope, or those of `files`, which are named from the
/// root of the repository.
///
/// # Errors
/// A file is not in the scope.
pub fn scope(files: &[PathBuf]) -> Result<Vec<String>, MutantsError> {
    let known = |file: &PathBuf| {
        let file = file.to_string_lossy().replace('\\', "/");
        if GROUPS.iter().flat_map(|group| group.prefixes).any(|prefix| file.starts_with(prefix)) {
            return Ok(file);
        }
        Err(MutantsError::Scope(file))
    };
    if files.is_empty() {
        let all = GROUPS.iter().flat_map(|group| group.prefixes);
        return Ok(all.map(|prefix| String::from(*prefix)).collect());
    }
    files.iter().map(known).collect()
}

/// Runs cargo-mutants on the scope, and gives what came of each mutant. It shows its progress itself.
///
/// # Errors
/// cargo-mutants is not there, or cannot do its work.
pub fn run(root: &Path, scope: &[String], jobs: Option<usize>) -> Result<Vec<Tried>, MutantsError> {
    let version = Command::new("cargo").args(["mutants", "--version"]).output();
    let version = version.map_err(|error| MutantsError::Start("cargo", error))?;
    if String::from_utf8_lossy(&version.stdout).trim() != format!("cargo-mutants {VERSION}") {
        return Err(MutantsError::Version);
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let jobs = jobs.unwrap_or(cores.min(4)).to_string();
    let mut tried = Vec::new();
    for group in &GROUPS {
        let files: Vec<_> = scope
            .iter()
            .filter(|file| group.prefixes.iter().any(|prefix| file.starts_with(prefix)))
            // A file, a module without its .rs, or a folder.
            .flat_map(|file| [file.clone(), format!("{file}.rs"), format!("{file}/**")])
            .collect();
        if files.is_empty() {
            continue;
        }
        let output = root.join("target").join(format!("mutants-{}", group.name));
        let _ = fs::remove_dir_all(&output); // else it would keep a copy of the last run's
        fs::create_dir_all(&output).map_err(|error| MutantsError::File(output.clone(), error))?;
        // A mutant may take memory without end, and the machine with it.
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -v 8388608 && exec cargo \"$@\"", "sh"])
            .args([
                "mutants",
                "--profile=mutants",
                "--colors=never",
                "--no-shuffle",
                "--jobs",
                &jobs,
            ])
            .arg("--dir")
            .arg(root)
            .arg("--output")
            .arg(&output)
            .args(group.arguments)
            .args(files.iter().flat_map(|file| ["--file", file]))
            .arg("--")
            .args(group.tests)
            .env("PROVISIONING_CASES", CASES)
            .env_remove("CARGO_TARGET_DIR");
        // The ledger's tests sync, and each job has a copy of the sources with a target folder of its own.
        let memory = Path::new("/dev/shm");
        if std::env::var_os("TMPDIR").is_none() && memory.is_dir() {
            command.env("TMPDIR", memory);
        }
        let status = command
            .status()
            .map_err(|error| MutantsError::Start("sh, which starts cargo mutants,", error))?;
        // 2: some were missed. 3: the tests of some did not end.
        if !matches!(status.code(), Some(0 | 2 | 3)) {
            return Err(MutantsError::Failed(status, output));
        }
        let file = output.join("mutants.out/outcomes.json");
        tried.extend(outcomes(&read(&file)?)?);
    }
    if tried.is_empty() {
        return Err(MutantsError::None);
    }
    Ok(tried)
}
