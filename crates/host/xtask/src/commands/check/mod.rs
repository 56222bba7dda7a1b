// SPDX-License-Identifier: Apache-2.0

//! `cargo xtask check`: all checks of the project, as steps that stand on their own.

mod checkpoint;
mod constant_time;
mod device_files;
pub mod fuzz;
mod host;
mod hub;
mod page;
mod ram_search;
mod signed;
mod silicon;
mod station_line;
mod tfm;
mod twister;
mod zephyr;

use std::cell::OnceCell;
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::PossibleValuesParser;
use duct::Expression;
use thiserror::Error;
use xtask::build::{self, BuildError};
use xtask::workspace::{self, Workspace};

use super::whole;
use zephyr::Sccache;

/// Its arguments.
#[derive(Args)]
pub struct Check {
    /// Run what a person runs before a commit: it needs no Zephyr, and takes about two minutes when all is built
    #[arg(long)]
    quick: bool,
    /// Run this step only; may be given several times
    #[arg(long, value_name = "STEP", conflicts_with = "quick",
        value_parser = PossibleValuesParser::new(STEPS.map(|step| step.name)))]
    only: Vec<String>,
    /// A Zephyr workspace, by the folder that holds .west; may be given several times
    ///
    /// All steps run with the first one, and the short list of scenarios with each further one. Without this option they
    /// are those that the environment lists in `PROVISIONING_WORKSPACES`, else those that the file .workspaces lists,
    /// else those that are registered.
    #[arg(long = "workspace", value_name = "FOLDER")]
    workspaces: Vec<PathBuf>,
    /// List the steps, and run none
    #[arg(long)]
    list: bool,
}

/// A check.
struct Step {
    name: &'static str,
    about: &'static str,
    is_quick: bool,
    run: fn(&Project) -> Result<()>,
}

/// All of them, in the order in which they run. Those that follow `twister` need its images, but for `size` and
/// `bench`, which build their own.
const STEPS: [Step; 30] = [
    quick(
        "formatting",
        "rustfmt, of the workspace, the firmware and the Twister applications",
        host::formatting,
    ),
    quick("lints", "clippy, of all targets", host::lints),
    quick("host-tests", "cargo test", host::tests),
    quick("rustdoc", "the documentation of the crates, without warnings", host::rustdoc),
    quick("documents", "docs/, by Sphinx and without warnings", host::documents),
    quick("workflows", ".github/workflows, by actionlint", host::workflows),
    slow("checkpoint", "Go's note package opens the station's checkpoints", checkpoint::run),
    slow("hub", "the stations' hub, on a PostgreSQL server of its own", hub::run),
    slow("fuzzing", "libFuzzer, on the inputs of the station, for a minute", fuzz::a_minute),
    slow("signed", "the endorsements that the station signs, also in an HSM", signed::run),
    slow("page", "the station's page in Chromium, with rules of accessibility", page::run),
    slow("no-std", "the crates of the image, for a part", host::no_std),
    slow("implementation-id", "a bad implementation ID fails the build", zephyr::implementation_id),
    slow("changed-id", "a build folder takes a changed implementation ID", zephyr::changed_id),
    slow("twister", "all scenarios, built, and run where no board is needed", twister::full),
    slow("no-record", "no record is printed without CONFIG_PROVISIONING_RECORD", zephyr::no_record),
    slow(
        "network-core",
        "the image for the network core is built where it is asked for",
        zephyr::network_core,
    ),
    slow(
        "lock-file",
        "another lock file than src/firmware.lock fails the build",
        zephyr::lock_file,
    ),
    slow(
        "otp-address",
        "another address of OTP than the part's fails the build",
        zephyr::otp_address,
    ),
    slow("no-model", "no image for a real part has modelled silicon", zephyr::no_model),
    slow("size", "flash, RAM and panics, as cargo xtask size", zephyr::size),
    slow("bench", "instructions and stack, as cargo xtask bench", zephyr::bench),
    slow("real-console", "the station verifies the consoles of real images", zephyr::real_console),
    slow("device-files", "one part, three programs: the same files and lines", device_files::run),
    slow("tfm", "TF-M secures what real images have provisioned, and attests", tfm::run),
    slow("silicon", "the assumptions about a part are those of docs/board.rst", silicon::run),
    slow("ram-search", "no piece of a key is left in RAM or printed", ram_search::run),
    slow(
        "constant-time",
        "neither a branch nor an address depends on a private key or on k",
        constant_time::run,
    ),
    slow("station", "the station follows live consoles of parts in QEMU", station_line::run),
    slow(
        "other-sdks",
        "the short list of scenarios, with each further workspace",
        twister::other_workspaces,
    ),
];

const fn quick(name: &'static str, about: &'static str, run: fn(&Project) -> Result<()>) -> Step {
    Step { name, about, is_quick: true, run }
}

const fn slow(name: &'static str, about: &'static str, run: fn(&Project) -> Result<()>) -> Step {
    Step { name, about, is_quick: false, run }
}

/// Why a step cannot run on this machine. That is no failure.
#[derive(Debug, Error)]
#[error("{0}")]
struct NotHere(String);

/// What came of a step.
enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Outcome {
    /// That of a step that ends with an error: some are not the project's.
    fn of(error: &anyhow::Error) -> Self {
        let lacks_zephyr =
            matches!(error.downcast_ref(), Some(BuildError::NoWorkspace | BuildError::NoRust(_)));
        if lacks_zephyr || error.is::<NotHere>() {
            Self::Skipped(error.to_string())
        } else {
            Self::Failed(whole(error))
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.pad("passed"),
            Self::Failed(_) => f.pad("FAILED"),
            Self::Skipped(_) => f.pad("skipped"),
        }
    }
}

/// Runs it.
pub fn run(root: &Path, Check { quick, only, workspaces, list }: &Check) -> Result<ExitCode> {
    let is_wanted = |step: &&Step| {
        (!quick || step.is_quick) && (only.is_empty() || only.iter().any(|name| name == step.name))
    };
    let steps = STEPS.iter().filter(is_wanted);
    if *list {
        for Step { name, about, .. } in steps {
            println!("{name:18} {about}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let project = Project::new(root, workspaces)?;
    let mut done = Vec::new();
    for step in steps {
        println!("\n== {}: {}", step.name, step.about);
        let begin = Instant::now();
        let outcome = match (step.run)(&project) {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::of(&error),
        };
        match &outcome {
            Outcome::Passed => {}
            Outcome::Failed(why) => println!("FAILED: {}: {why}", step.name),
            Outcome::Skipped(why) => println!("not run here: {}, since {why}", step.name),
        }
        done.push((step, outcome, begin.elapsed()));
    }
    drop(project);
    Ok(summary(&done))
}

fn summary(done: &[(&Step, Outcome, Duration)]) -> ExitCode {
    println!("\n== summary");
    for (step, outcome, time) in done {
        let why = match outcome {
            Outcome::Skipped(why) => &why[..],
            Outcome::Passed | Outcome::Failed(_) => "",
        };
        let line = format!("{outcome:8} {:18} {:>5} s  {why}", step.name, time.as_secs());
        println!("{}", line.trim_end());
    }
    let count =
        |is: fn(&Outcome) -> bool| done.iter().filter(|(_, outcome, _)| is(outcome)).count();
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
    let skipped_too = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
    // Alone on its line, for programs that count.
    println!("{} passed, {failed} failed{skipped_too}", done.len() - failed - skipped);
    if failed > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS }
}

/// What the steps work on.
struct Project {
    root: PathBuf,
    /// This program. A step that builds the workspace may put a new file in its place, and then the system no
    /// longer knows the path.
    xtask: String,
    /// Those to build in. None, if none is named or registered.
    workspaces: Vec<Workspace>,
    /// Started by the first step that builds images, if it is installed.
    sccache: OnceCell<Option<Sccache>>,
}

impl Project {
    fn new(root: &Path, workspaces: &[PathBuf]) -> Result<Self> {
        let xtask = env::current_exe()?.to_string_lossy().into_owned();
        let mut workspaces = workspace::named(root, workspaces)?;
        if workspaces.is_empty() {
            workspaces.extend(build::registered().into_iter().map(Workspace::around));
        }
        Ok(Self { root: root.to_owned(), xtask, workspaces, sccache: OnceCell::new() })
    }

    fn cargo(&self, arguments: &str) -> Expression {
        duct::cmd("cargo", arguments.split_whitespace()).dir(&self.root)
    }

    /// Builds a program of the workspace as `cargo station` and `cargo sim` do, and gives its path.
    fn program(&self, package: &str) -> Result<PathBuf> {
        self.cargo(&format!("build --quiet --locked -p {package}")).run()?;
        Ok(self.root.join("target/debug").join(package))
    }

    /// The files of a pattern under the root, sorted.
    fn files(&self, pattern: &str) -> Result<Vec<PathBuf>> {
        let root = glob::Pattern::escape(&self.root.to_string_lossy());
        Ok(glob::glob(&format!("{root}/{pattern}"))?.collect::<Result<_, _>>()?)
    }

    /// A file that Twister leaves, by its path in `twister-out`.
    fn twister(&self, path: &str) -> Result<PathBuf> {
        let found = self.twister_files(path)?.into_iter().find(|file| file.is_file());
        found.ok_or_else(|| NotHere(format!("Twister has not left {path}")).into())
    }

    /// What Twister leaves, by a pattern for its path in `twister-out`. That of Zephyr 4.1.99 has a folder for the toolchain
    /// in the board's.
    fn twister_files(&self, pattern: &str) -> Result<Vec<PathBuf>> {
        let mut files = self.files(&format!("twister-out/{pattern}"))?;
        if let Some((board, rest)) = pattern.split_once('/') {
            files.extend(self.files(&format!("twister-out/{board}/*/{rest}"))?);
        }
        Ok(files)
    }

    /// A Python that has these packages: of an environment in `target`, or that of the machine.
    fn python(&self, environment: &str, packages: &str) -> Result<PathBuf> {
        let own = self.root.join("target").join(environment).join("bin/python");
        // Not by its name alone: for duct that would be a file in this folder.
        let machine = || which::which("python3").unwrap_or_default();
        let python = if own.is_file() { own } else { machine() };
        let import = format!("import {packages}");
        let imported = duct::cmd!(&python, "-c", import).stderr_null().unchecked().run();
        if imported.is_ok_and(|output| output.status.success()) {
            Ok(python)
        } else {
            Err(NotHere(format!("Python lacks one of these packages: {packages}")).into())
        }
    }

    /// A verifier that is not made of this project's code.
    fn verifier(&self, name: &str) -> PathBuf {
        self.root.join("crates/host/xtask/verifiers").join(name)
    }
}

/// Reads a file.
fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}
