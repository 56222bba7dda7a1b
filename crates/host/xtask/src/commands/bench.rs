// SPDX-License-Identifier: Apache-2.0

//! `cargo xtask bench`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use xtask::console::{self, STEPS};
use xtask::elf::Elf;
use xtask::history::Figures;
use xtask::qemu::{BOARD, Console, Machine};
use xtask::{build, thousands};

use super::history::{Keep, conclude, prepare};

/// Nanoseconds of virtual time for an instruction, as a power of two.
const SHIFT: u32 = 7;

/// Runs it.
pub fn run(root: &Path, keep: &Keep) -> Result<ExitCode> {
    let (environment, history) = prepare(root)?;
    eprintln!("building for {BOARD}");
    // With the DSP extension, as the kits.
    let options = ["-DCONFIG_PROVISIONING_MEASURE=y", "-DCONFIG_PROVISIONING_DSP=y"];
    let image = build::build(root, &environment, "build-bench", BOARD, &options)?;
    let data = fs::read(&image.elf).with_context(|| image.elf.display().to_string())?;
    let compilers = Elf::parse(&data)?.compilers();

    let folder = image.elf.parent().unwrap_or(root);
    let run = |shift| -> Result<_> {
        let machine = Machine {
            image: &image.elf,
            folder,
            arguments: &[],
            shift: Some(shift),
            console: Console::Captured,
            is_paused: false,
            plugin: None,
        };
        Ok(console::parse(&machine.start()?.read_until(console::is_last)?)?)
    };
    let measured = run(SHIFT)?;
    let ends = measured.instructions(SHIFT);
    // Where time is halved, the same instructions must be counted: else the image waits somewhere, and
    // its time tells nothing of its instructions.
    let again = run(SHIFT - 1)?.instructions(SHIFT - 1);
    let instructions = ends[STEPS.len() - 1];
    let difference = instructions.abs_diff(again[STEPS.len() - 1]);
    if difference > instructions / 1_000 {
        bail!(
            "{} instructions at {} ns each, but {difference} more or less at {} ns: the image waits for \
             time to pass. Find out where.",
            thousands(instructions),
            1 << SHIFT,
            1 << (SHIFT - 1)
        );
    }

    let begins = [0].into_iter().chain(ends);
    let taken =
        STEPS.iter().zip(ends).zip(begins).map(|((step, end), begin)| (step.name, end - begin));
    println!("\n{BOARD:43} {:>12}", "instructions");
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
    conclude(
        root,
        Some(&environment),
        history,
        keep,
        vec![(String::from(BOARD), compilers, figures)],
    )
}
