// SPDX-License-Identifier: Apache-2.0

//! The station follows live consoles of parts in QEMU: of the image, and of one that asks for a nonce. Parts are
//! entered, known again, audited and exported; a part whose power is lost in the middle of a run is not entered,
//! and is when it has been completed.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xtask::qemu::{Console, Machine, Qemu};

use super::{Project, zephyr};

/// The default in Kconfig.
const ID: &str = "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD";

/// How long the station may take for a few parts.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A part in QEMU, which waits to be started.
struct Part {
    qemu: Qemu,
    port: String,
    device: PathBuf,
}

impl Part {
    fn new(elf: &Path, folder: &Path, number: u32, seed: u32) -> Result<Self> {
        let file = format!("{number}.uicr");
        let mut qemu = Machine {
            elf,
            folder,
            arguments: &[&format!("--device={file}"), &format!("--seed={seed}")],
            shift: None,
            console: Console::Port,
            is_paused: true,
        }
        .start()?;
        Ok(Self { port: qemu.port()?, qemu, device: folder.join(file) })
    }

    /// Waits until so many words of the part are written.
    fn wait_for_words(&self, words: usize) {
        loop {
            // It may not be there yet.
            let page = fs::read(&self.device).unwrap_or_default();
            if page.chunks(4).filter(|word| *word != [0xFF; 4]).count() >= words {
                return;
            }
        }
    }
}

/// What the station has done.
struct Shift {
    code: Option<i32>,
    events: Vec<Value>,
}

impl Shift {
    /// The device IDs of entries.
    fn entered(&self) -> Vec<&str> {
        let entered = self.events.iter().filter(|event| event["event"] == "entered");
        let mut entered: Vec<_> = entered.filter_map(|event| event["device_id"].as_str()).collect();
        entered.sort_unstable();
        entered
    }

    fn is_entered(&self, devices: &[&str]) -> bool {
        self.code == Some(0) && self.entered() == devices
    }

    /// Whether it ends in failure, and its first event has this error.
    fn is_refused(&self, error: &str) -> bool {
        self.code == Some(1) && self.first("error") == error
    }

    fn first(&self, field: &str) -> &str {
        self.events.first().and_then(|event| event[field].as_str()).unwrap_or_default()
    }
}

struct Line {
    station: PathBuf,
    folder: tempfile::TempDir,
}

impl Line {
    /// Starts the parts under the station. With `cut_after` the first one loses its power after so many words.
    fn provision(
        &self,
        mut parts: Vec<Part>,
        options: &[&str],
        cut_after: Option<usize>,
    ) -> Result<Shift> {
        let mut arguments = vec!["provision", "--json", "--implementation-id", ID];
        for part in &parts {
            arguments.extend(["--port", &part.port]);
        }
        // No operator starts a part again.
        arguments.extend(["--give-up-after", "1"]);
        arguments.extend(options);
        let (errors, writer) = io::pipe()?;
        let station = duct::cmd(&self.station, arguments)
            .dir(self.folder.path())
            .stdin_null()
            .stderr_file(writer)
            .stdout_capture()
            .unchecked()
            .start()?;
        let mut errors = BufReader::new(errors);
        let mut line = String::new();
        errors.read_line(&mut line)?;
        let is_ready = line.starts_with("Waiting for parts on ");
        // Its other messages are not needed, but must be read, or it would wait for that.
        thread::spawn(move || errors.read_to_end(&mut Vec::new()));
        if is_ready {
            for part in &mut parts {
                part.qemu.monitor("cont")?;
            }
        }
        if let Some(words) = cut_after.filter(|_| is_ready) {
            let part = parts.remove(0);
            part.wait_for_words(words);
            drop(part);
        }
        let output = if is_ready { station.wait_timeout(TIMEOUT)? } else { None };
        let Some(output) = output else {
            station.kill()?;
            return Err(anyhow::anyhow!("the station does not come to its end, after \"{line}\""));
        };
        let events = String::from_utf8_lossy(&output.stdout);
        let events = events.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(Shift { code: output.status.code(), events })
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        Ok(duct::cmd(&self.station, arguments).dir(self.folder.path()).read()?)
    }
}

pub fn run(project: &Project) -> Result<()> {
    let (image, asking) = (zephyr::mps2(project)?, zephyr::mps2_nonce(project)?);
    let line = Line { station: project.program("station")?, folder: tempfile::tempdir()? };
    let part = |number, seed| Part::new(&image, line.folder.path(), number, seed);
    let asking = |number| Part::new(&asking, line.folder.path(), number, number);
    let modelled = "--allow-modelled";

    // Not by mistake: its keys are not secret.
    let shift = line.provision(vec![part(0, 9)?], &[], None)?;
    ensure!(shift.is_refused("modelled"), "{:?}", shift.events);
    let shift = line.provision(vec![part(1, 1)?], &[modelled], None)?;
    ensure!(shift.is_entered(&["0000000000000001"]), "{:?}", shift.events);
    let shift = line.provision(vec![part(1, 1)?], &[modelled], None)?;
    ensure!(shift.is_refused("seen-before"), "{:?}", shift.events);
    ensure!(shift.events[0]["number"] == 1, "{:?}", shift.events);

    let nonce = [modelled, "--require-nonce"];
    let shift = line.provision(vec![asking(2)?, asking(3)?], &nonce, None)?;
    ensure!(shift.is_entered(&["0000000000000002", "0000000000000003"]), "{:?}", shift.events);
    let shift = line.provision(vec![part(4, 4)?], &nonce, None)?;
    ensure!(shift.is_refused("no-nonce"), "{:?}", shift.events);

    // Nine words of OTP, and some of the HUKs.
    let shift = line.provision(vec![part(5, 5)?], &[modelled, "--line-timeout", "3"], Some(9))?;
    let errors = ["port", "line-timeout", "console"];
    ensure!(errors.iter().any(|error| shift.is_refused(error)), "{:?}", shift.events);
    ensure!(shift.entered().is_empty(), "{:?}", shift.events);
    thread::sleep(Duration::from_millis(100));
    let shift = line.provision(vec![part(5, 5)?], &[modelled], None)?;
    let is_torn = shift.code == Some(1) && shift.first("text").contains("is torn");
    ensure!(is_torn || shift.is_entered(&["0000000000000005"]), "{:?}", shift.events);

    let audited = line.run(&["audit"])?;
    ensure!(audited.contains("all of them good"), "{audited}");
    let exported = line.run(&["export", "--profile", "psa-2025", "--json"])?;
    let exported: Value = serde_json::from_str(&exported).context("what export prints")?;
    let parts = if is_torn { 3 } else { 4 };
    ensure!(exported["parts"] == parts, "{exported}");
    println!(
        "ok: {parts} parts entered from live consoles, the one without power afterwards was {}",
        if is_torn { "torn and stopped" } else { "completed" }
    );
    Ok(())
}
