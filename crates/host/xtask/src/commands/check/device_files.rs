// SPDX-License-Identifier: Apache-2.0

//! One part, three programs: the host simulator, the `native_sim` executable and the image in QEMU give the same
//! device file for the same seed, and each recognises a part that another has provisioned. Verifiers that are not
//! this project's take their records.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use provisioning::Event;
use provisioning::console::{
    ALREADY_PROVISIONED_PREFIX, FAILURE_PREFIX, FATAL_ERROR, RECORD_PREFIX, message,
};
use xtask::qemu::{Console, Machine};

use super::{NotHere, Project, read, zephyr};

/// The last one is the largest.
const SEEDS: [&str; 3] = ["1", "4711", "18446744073709551615"];

/// How the lines of a run begin that all three print.
const LINES: [&str; 8] = [
    Event::LifecycleVerified.message(),
    Event::LifecycleSwitched.message(),
    Event::GeneratingHuks.message(),
    Event::GeneratingMext.message(),
    Event::WritingIdentityKey.message(),
    RECORD_PREFIX,
    Event::Success.message(),
    FAILURE_PREFIX,
];

/// A program that provisions a modelled part.
#[derive(Clone, Copy)]
enum Program {
    Host,
    NativeSim,
    Qemu,
}

struct Programs {
    simulator: PathBuf,
    native_sim: PathBuf,
    mps2: PathBuf,
    folder: tempfile::TempDir,
}

impl Programs {
    /// The whole output of a run on the part in `file`.
    fn run(&self, program: Program, file: &str, seed: &str) -> Result<String> {
        let folder = self.folder.path();
        let options = [format!("--device={file}"), format!("--seed={seed}")];
        let command = match program {
            Program::Host => duct::cmd(&self.simulator, options),
            Program::NativeSim => {
                duct::cmd(&self.native_sim, options.into_iter().chain(["-stop_at=5".into()]))
            }
            Program::Qemu => {
                let machine = Machine {
                    image: &self.mps2,
                    folder,
                    arguments: &[&options[0], &options[1]],
                    shift: Some(7),
                    console: Console::Captured,
                    is_paused: false,
                    plugin: None,
                };
                let is_last = |line: &str| {
                    line.contains(Event::Success.message()) || line.contains(FATAL_ERROR)
                };
                return Ok(machine.start()?.read_until(is_last)?);
            }
        };
        // A refusal is an output, too.
        let output = command
            .dir(folder)
            .stdin_null()
            .stderr_to_stdout()
            .stdout_capture()
            .unchecked()
            .run()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }
}

/// The lines that are compared, without what a logger puts before them.
fn messages(output: &str) -> Vec<&str> {
    let messages = output.lines().map(|line| message(line).unwrap_or(line));
    let messages = messages.filter(|line| LINES.iter().any(|start| line.starts_with(start)));
    messages.collect()
}

/// In QEMU there is an image to measure, so the record is another one.
fn without_record<'a>(messages: &[&'a str]) -> Vec<&'a str> {
    let is_record = |line: &str| line.starts_with(RECORD_PREFIX);
    messages.iter().map(|line| if is_record(line) { RECORD_PREFIX } else { line }).collect()
}

pub fn run(project: &Project) -> Result<()> {
    let (native_sim, mps2) = (zephyr::native_sim(project)?, zephyr::mps2(project)?);
    let python = project.python("verifier-venv", "cbor2, pycose")?;
    let objcopy = "arm-none-eabi-objcopy";
    if which::which(objcopy).is_err() {
        return Err(NotHere(format!("{objcopy} is missing")).into());
    }
    let programs = Programs {
        simulator: project.program("simulator")?,
        native_sim,
        mps2,
        folder: tempfile::tempdir()?,
    };
    // What QEMU loads. In zephyr.bin, which is made for a part, the gaps between sections are ones and not zeros.
    let image = programs.path("image.bin");
    duct::cmd!(objcopy, "-O", "binary", &programs.mps2, &image).run()?;
    let verifier = project.verifier("stock_verifier.py");
    let verify = |messages: &[&str], image: Option<&Path>| {
        let arguments = [verifier.as_path()].into_iter().chain(image);
        duct::cmd(&python, arguments).stdin_bytes(messages.join("\n")).run()
    };
    for seed in SEEDS {
        let files = ["host", "native_sim", "qemu"].map(|name| format!("{seed}-{name}.uicr"));
        let host = programs.run(Program::Host, &files[0], seed)?;
        let native_sim = programs.run(Program::NativeSim, &files[1], seed)?;
        let qemu = programs.run(Program::Qemu, &files[2], seed)?;
        let [host, native_sim, qemu] = [&host, &native_sim, &qemu].map(|output| messages(output));
        ensure!(host.contains(&Event::Success.message()), "the simulator has failed: {host:#?}");
        let page = read(&programs.path(&files[0]))?;
        for file in &files {
            ensure!(read(&programs.path(file))? == page, "{file} differs from {}", files[0]);
        }
        ensure!(host == native_sim, "native_sim prints other lines: {native_sim:#?}, {host:#?}");
        ensure!(
            without_record(&host) == without_record(&qemu),
            "the image in QEMU prints other lines: {qemu:#?}, {host:#?}"
        );
        verify(&host, None)?;
        verify(&qemu, Some(&image))?;
        // Each finds a part that another has provisioned, and leaves it alone.
        let complete = format!("{FAILURE_PREFIX}{ALREADY_PROVISIONED_PREFIX}01");
        for (maker, taker) in [(0, Program::NativeSim), (1, Program::Qemu), (2, Program::Host)] {
            let file = &files[maker];
            let output = programs.run(taker, file, "1")?;
            ensure!(
                messages(&output).iter().any(|line| line.starts_with(&complete)),
                "{file} is not recognised:\n{output}"
            );
            ensure!(read(&programs.path(file))? == page, "{file} was changed");
        }
    }
    for program in [Program::NativeSim, Program::Qemu] {
        let content = b"not a part";
        fs::write(programs.path("short.uicr"), content)?;
        let output = programs.run(program, "short.uicr", "1")?;
        let error = "error: short.uicr: 10 bytes is not a UICR image";
        ensure!(output.contains(error), "a bad file is not refused:\n{output}");
        ensure!(read(&programs.path("short.uicr"))? == content, "a bad file was changed");
    }
    println!("ok: same files and lines for 3 seeds, 9 parts recognised, 2 bad files refused");
    Ok(())
}
