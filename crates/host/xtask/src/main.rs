// SPDX-License-Identifier: Apache-2.0

//! The command `cargo xtask`.

use std::collections::BTreeMap;
use std::error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Args, Parser, Subcommand, value_parser};
use xtask::console::{self, STEPS};
use xtask::elf::{self, Elf};
use xtask::history::{self, Change, Date, Entry, Figures, History, TOLERANCE};
use xtask::mutants::{self, Fate};
use xtask::{build, panics, qemu, thousands};

/// Measures the image and compares it with what was measured before, and measures the tests.
///
/// The exit code is 0 where nothing grew by more than 2 % and no mutant survives, 1 where something did,
/// 2 where the command cannot be carried out.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand)]
enum What {
    /// Build the image with its default options, and count its flash and RAM, in all and by crate
    Size {
        /// A board, as west names it; may be given several times. Without it: nrf5340dk/nrf5340/cpuapp,
        /// nrf9160dk/nrf9160 and mps2/an521/cpu0
        #[arg(long, value_name = "BOARD", value_parser = board)]
        board: Vec<String>,
        #[command(flatten)]
        keep: Keep,
    },
    /// Run the image in QEMU, and count its instructions, step by step, and the stack that it takes
    Bench {
        #[command(flatten)]
        keep: Keep,
    },
    /// Change the code of part and station in one place after the other, and see that a test notices each
    ///
    /// Survivors must be in docs/mutants.jsonl, with a reason, and what is there must survive. It takes
    /// cargo-mutants, and more than an hour for all files.
    Mutants {
        /// Only this file, such as crates/host/station/src/record.rs; may be given several times
        #[arg(long, value_name = "FILE")]
        file: Vec<PathBuf>,
        /// How many mutants to build and test at a time; else one for each core, up to 4
        #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(1..=64))]
        jobs: Option<u8>,
    },
}

#[derive(Args)]
struct Keep {
    /// Append the figures to docs/measured.jsonl, whatever they are
    #[arg(long)]
    record: bool,
    /// The day of the entry; else that of the last commit
    #[arg(long, value_name = "YYYY-MM-DD", requires = "record")]
    date: Option<Date>,
}

/// It becomes the name of a folder, and an argument of west.
fn board(name: &str) -> Result<String, String> {
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@'))
    };
    if name.split('/').all(is_name) {
        Ok(String::from(name))
    } else {
        Err(String::from("a board is named as in nrf5340dk/nrf5340/cpuapp"))
    }
}

type Error = Box<dyn error::Error>;

/// Where the image runs in QEMU.
const QEMU_BOARD: &str = "mps2/an521/cpu0";
/// Nanoseconds of virtual time for an instruction, as a power of two.
const SHIFT: u32 = 7;

/// What an image is to be measured by.
struct Goal {
    board: &'static str,
    /// Name, flash and RAM in bytes. The C sample is `provisioning_image` of nRF Connect SDK v2.7.0,
    /// without sysbuild, as it is and with Kconfig trimmed like this image's.
    rows: &'static [(&'static str, u64, u64)],
}

const GOALS: [Goal; 3] = [
    Goal {
        board: "nrf5340dk/nrf5340/cpuapp",
        rows: &[
            ("limit", 67_000, 15_900),
            ("C sample", 103_644, 28_984),
            ("C sample, trimmed", 79_264, 25_336),
        ],
    },
    Goal {
        board: "nrf9160dk/nrf9160",
        rows: &[("limit", 69_400, 15_700), ("C sample", 99_164, 28_648)],
    },
    // With the modelled part: no sample to compare with.
    Goal { board: QEMU_BOARD, rows: &[] },
];

fn main() -> ExitCode {
    // The manifest's folder is <root>/crates/host/xtask.
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.ancestors().nth(3).unwrap_or(manifest);
    let result = match Cli::parse().command {
        What::Size { board, keep } => size(root, board, &keep),
        What::Bench { keep } => bench(root, &keep),
        What::Mutants { file, jobs } => mutants(root, &file, jobs),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(2)
    })
}

/// The Zephyr tree, and the history: both are needed, and are looked for before anything is built.
fn prepare(root: &Path) -> Result<(PathBuf, History), Error> {
    let zephyr = build::registered().ok_or(
        "no Zephyr workspace is registered: set ZEPHYR_BASE or run west zephyr-export in one",
    )?;
    Ok((zephyr, History::open(&root.join("docs/measured.jsonl"))?))
}

fn size(root: &Path, boards: Vec<String>, keep: &Keep) -> Result<ExitCode, Error> {
    let (zephyr, history) = prepare(root)?;
    let boards = if boards.is_empty() {
        GOALS.iter().map(|goal| String::from(goal.board)).collect()
    } else {
        boards
    };
    let mut measured = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for board in boards {
        eprintln!("building for {board}");
        let image = build::build(root, &zephyr, "build-size", &board, &[])?;
        let data =
            fs::read(&image.elf).map_err(|error| format!("{}: {error}", image.elf.display()))?;
        let elf = Elf::parse(&data)?;
        let size = elf.size()?;
        // Where the linker ran, it has told the same.
        let linker = build::memory_regions(&image.log);
        for (region, figure) in [("FLASH", size.flash), ("RAM", size.ram)] {
            if let Some(linker) = linker.get(region).filter(|linker| **linker != figure) {
                return Err(format!(
                    "{board}: {figure} bytes of {region} were counted, but the linker says {linker}. \
                     Correct the counting in crates/host/xtask."
                )
                .into());
            }
        }
        let crates = elf::by_crate(&elf)?;
        print_size(&board, size, &crates);
        // With the modelled part: the model's panics say what was done wrong to it.
        if board != QEMU_BOARD && !print_panics(&elf) {
            code = ExitCode::from(1);
        }
        let figures = Figures::Size { flash: size.flash, ram: size.ram, crates };
        measured.push((board, elf.compilers(), figures));
    }
    let conclusion = conclude(root, history, keep, measured)?;
    Ok(if code == ExitCode::SUCCESS { conclusion } else { code })
}

/// What can still panic, and whether nothing else can.
fn print_panics(elf: &Elf<'_>) -> bool {
    println!("what can still panic");
    let mut all_expected = true;
    for panic in panics::panics(elf) {
        println!("  {:17} {}", panic.krate, panic.why.unwrap_or("UNEXPECTED"));
        if panic.why.is_none() {
            all_expected = false;
            println!("    {}", panic.files.join(", "));
        }
    }
    for symbol in panics::needless(elf) {
        all_expected = false;
        println!("  UNEXPECTED, {} bytes: {}", symbol.size, symbol.name);
    }
    if !all_expected {
        println!(
            "  Rule out what is unexpected, or say why it is there in crates/host/xtask/src/panics.rs."
        );
    }
    all_expected
}

fn print_size(board: &str, size: elf::Size, crates: &BTreeMap<String, u64>) {
    println!("\n{board:43} {:>9} {:>9}", "flash B", "RAM B");
    let row =
        |name, flash, ram| println!("  {name:41} {:>9} {:>9}", thousands(flash), thousands(ram));
    row("this image", size.flash, size.ram);
    let goal = GOALS.iter().find(|goal| goal.board == board);
    for (name, flash, ram) in goal.map_or(&[][..], |goal| goal.rows) {
        row(name, *flash, *ram);
    }
    println!("by crate");
    let mut crates: Vec<_> = crates.iter().collect();
    crates.sort_by_key(|(name, bytes)| (u64::MAX - **bytes, *name));
    for (name, bytes) in crates {
        println!("  {name:41} {:>9}", thousands(*bytes));
    }
}

fn bench(root: &Path, keep: &Keep) -> Result<ExitCode, Error> {
    let (zephyr, history) = prepare(root)?;
    eprintln!("building for {QEMU_BOARD}");
    let options = ["-DCONFIG_PROVISIONING_MEASURE=y"];
    let image = build::build(root, &zephyr, "build-bench", QEMU_BOARD, &options)?;
    let data = fs::read(&image.elf).map_err(|error| format!("{}: {error}", image.elf.display()))?;
    let compilers = Elf::parse(&data)?.compilers();

    let run = |shift| -> Result<_, Error> { Ok(console::parse(&qemu::run(&image.elf, shift)?)?) };
    let measured = run(SHIFT)?;
    let ends = measured.instructions(SHIFT);
    // Where time is halved, the same instructions must be counted: else the image waits somewhere, and
    // its time tells nothing of its instructions.
    let again = run(SHIFT - 1)?.instructions(SHIFT - 1);
    let instructions = ends[STEPS.len() - 1];
    let difference = instructions.abs_diff(again[STEPS.len() - 1]);
    if difference > instructions / 1_000 {
        return Err(format!(
            "{} instructions at {} ns each, but {difference} more or less at {} ns: the image waits for \
             time to pass. Find out where.",
            thousands(instructions),
            1 << SHIFT,
            1 << (SHIFT - 1)
        )
        .into());
    }

    let begins = [0].into_iter().chain(ends);
    let taken =
        STEPS.iter().zip(ends).zip(begins).map(|((step, end), begin)| (step.name, end - begin));
    println!("\n{QEMU_BOARD:43} {:>12}", "instructions");
    for (name, taken) in taken.clone() {
        println!("  {name:41} {:>12}", thousands(taken));
    }
    println!("  {:41} {:>12}", "to \"Success!\"", thousands(instructions));
    println!("  {:41} {:>12}", "at half the time each, more or less by", thousands(difference));
    println!("main stack{:35} {:>10}", "", "bytes");
    println!("  {:41} {:>12}", "most in use", thousands(measured.stack));
    println!("  {:41} {:>12}", "CONFIG_MAIN_STACK_SIZE", thousands(measured.stack_size));
    let figures = Figures::Bench {
        instructions,
        steps: taken.map(|(name, taken)| (String::from(name), taken)).collect(),
        stack: measured.stack,
        stack_size: measured.stack_size,
    };
    conclude(root, history, keep, vec![(String::from(QEMU_BOARD), compilers, figures)])
}

fn mutants(root: &Path, files: &[PathBuf], jobs: Option<u8>) -> Result<ExitCode, Error> {
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

/// Compares what was measured with the history, or appends it.
fn conclude(
    root: &Path,
    mut history: History,
    keep: &Keep,
    measured: Vec<(String, Vec<String>, Figures)>,
) -> Result<ExitCode, Error> {
    let mut code = ExitCode::SUCCESS;
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
        let date = match &keep.date {
            Some(date) => date.clone(),
            None => git(root, &["show", "-s", "--format=%cs", "HEAD"])?.parse()?,
        };
        let entries: Vec<_> = measured
            .into_iter()
            .map(|(board, compilers, figures)| Entry {
                date: date.clone(),
                commit: commit.clone(),
                board,
                compilers,
                figures,
            })
            .collect();
        history.append(&entries)?;
        println!("recorded in docs/measured.jsonl");
    }
    Ok(code)
}

/// The last commit, with a `+` if anything but the history was changed since.
fn commit(root: &Path) -> Result<String, Error> {
    let mut commit = git(root, &["rev-parse", "--short=12", "HEAD"])?;
    if !git(root, &["status", "--porcelain", "--", ".", ":!docs/measured.jsonl"])?.is_empty() {
        commit.push('+');
    }
    Ok(commit)
}

fn git(root: &Path, arguments: &[&str]) -> Result<String, Error> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|error| format!("git cannot be started: {error}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("git {} failed: {}", arguments.join(" "), why.trim()).into());
    }
    Ok(String::from(String::from_utf8_lossy(&output.stdout).trim()))
}
