// SPDX-License-Identifier: Apache-2.0

//! `cargo xtask size`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use xtask::elf::{self, Elf};
use xtask::history::Figures;
use xtask::{build, panics, qemu, thousands};

use super::history::{Keep, conclude, prepare};

/// Its arguments.
#[derive(Args)]
pub struct Size {
    /// A board, as west names it; may be given several times. Without it: nrf5340dk/nrf5340/cpuapp,
    /// nrf9160dk/nrf9160 and mps2/an521/cpu0
    #[arg(long, value_name = "BOARD", value_parser = board)]
    board: Vec<String>,
    #[command(flatten)]
    keep: Keep,
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

/// What an image is to be measured by.
struct Goal {
    board: &'static str,
    /// Name, flash and RAM in bytes. The C sample is `provisioning_image` of nRF Connect SDK v2.7.0 without sysbuild, as
    /// it is and with Kconfig trimmed like this image's; for the nRF54L15 docs/size-and-time.rst says which it is.
    rows: &'static [(&'static str, u64, u64)],
}

const GOALS: [Goal; 4] = [
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
    // Only with an SDK that can read the lifecycle state of the part, so not measured without being asked for.
    Goal {
        board: "nrf54l15dk/nrf54l15/cpuapp",
        rows: &[("C sample", 54_008, 24_048), ("C sample, trimmed", 28_468, 20_456)],
    },
    // With the modelled part: no sample to compare with.
    Goal { board: qemu::BOARD, rows: &[] },
];

/// What is measured without `--board`.
const DEFAULT: [&str; 3] = ["nrf5340dk/nrf5340/cpuapp", "nrf9160dk/nrf9160", qemu::BOARD];

/// Runs it.
pub fn run(root: &Path, Size { board: boards, keep }: Size) -> Result<ExitCode> {
    let (environment, history) = prepare(root)?;
    let boards = if boards.is_empty() { DEFAULT.map(String::from).to_vec() } else { boards };
    let mut measured = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for board in boards {
        eprintln!("building for {board}");
        let image = build::build(root, &environment, "build-size", &board, &[])?;
        let data = fs::read(&image.elf).with_context(|| image.elf.display().to_string())?;
        let elf = Elf::parse(&data)?;
        let size = elf.size()?;
        // Where the linker ran, it has told the same.
        let linker = build::memory_regions(&image.log);
        for (region, figure) in [("FLASH", size.flash), ("RAM", size.ram)] {
            if let Some(linker) = linker.get(region).filter(|linker| **linker != figure) {
                bail!(
                    "{board}: {figure} bytes of {region} were counted, but the linker says {linker}. \
                     Correct the counting in crates/host/xtask."
                );
            }
        }
        let crates = elf::by_crate(&elf)?;
        print_size(&board, size, &crates);
        // With the modelled part: the model's panics say what was done wrong to it.
        if board != qemu::BOARD && !print_panics(&elf) {
            code = ExitCode::from(1);
        }
        let figures = Figures::Size { flash: size.flash, ram: size.ram, crates };
        measured.push((board, elf.compilers(), figures));
    }
    let conclusion = conclude(root, Some(&environment), history, &keep, measured)?;
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
