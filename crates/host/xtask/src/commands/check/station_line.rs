// SPDX-License-Identifier: Apache-2.0

//! The station follows live consoles of parts in QEMU, as it follows a line: parts are entered and known again, by an
//! image that asks for a nonce or one that does not; a part whose power is lost in mid-run, and its port with it, is
//! completed or named torn when it is back; steps start QEMU and end it; and a part with another image is refused.

mod fixture;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use xtask::qemu::{Console, Machine};

use super::{Project, zephyr};
use fixture::{Adapter, Background, Part, Station};

/// The default in Kconfig.
const ID: &str = "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD";

/// All of OTP that is written, and some of the HUKs.
const CUT_AFTER: usize = 9;

/// A line, and what its ledger must have.
struct Line {
    station: PathBuf,
    /// Of the ledger, the ports and the parts.
    folder: tempfile::TempDir,
    /// The image that asks for no nonce.
    image: PathBuf,
    /// The image that asks for one.
    asking: PathBuf,
    entries: u64,
    attempts: u64,
}

/// A part's device ID is its number.
fn device(number: u32) -> String {
    format!("{number:016}")
}

impl Line {
    fn part(&self, flash: &Path, port: &str, number: u32) -> Result<Part> {
        Part::new(flash, self.folder.path(), port, number)
    }

    fn follow(&self, options: &[&str]) -> Result<Station> {
        Station::start(&self.station, self.folder.path(), options)
    }

    /// Waits for the station's end, after so many runs: good, known and failed ones.
    fn close(&mut self, station: Station, runs: [u64; 3], code: i32) -> Result<()> {
        let (end, exit) = station.end()?;
        let [good, known, failed] = runs;
        let begun: u64 = runs.iter().sum();
        self.entries += good;
        self.attempts += begun;
        for (count, wanted) in [
            ("begun", begun),
            ("good", good),
            ("known", known),
            ("failed", failed),
            // No part that fails here has proven who it is, so no later run is known to be its retry.
            ("retried", 0),
            ("ledger_entries", self.entries),
        ] {
            ensure!(end[count] == wanted, "{count} is not {wanted}: {end}");
        }
        ensure!(exit == Some(code), "the station's exit code is {exit:?}, not {code}");
        Ok(())
    }

    /// What a command prints that ends with exit code 0.
    fn run(&self, arguments: &[&str]) -> Result<String> {
        Ok(duct::cmd(&self.station, arguments).dir(self.folder.path()).read()?)
    }

    fn json(&self, arguments: &[&str]) -> Result<Value> {
        let printed = self.run(&[arguments, &["--json"]].concat())?;
        serde_json::from_str(&printed).context(printed)
    }

    /// The attempt of an event, with what was printed.
    fn attempt(&self, event: &Value) -> Result<Value> {
        self.json(&["attempts", &event["attempt"].to_string()])
    }

    /// One part is refused, and its port given up.
    fn refuses(&mut self, flash: &Path, number: u32, options: &[&str], error: &str) -> Result<()> {
        let mut part = self.part(flash, "left", number)?;
        let always = ["--port", "left", "--implementation-id", ID, "--give-up-after", "1"];
        let station = self.follow(&[&always, options].concat())?;
        part.switch_on()?;
        let refused = station.expect("not-entered")?;
        ensure!(refused["error"] == error, "{refused}");
        station.expect("given-up")?;
        self.close(station, [0, 0, 1], 1)
    }

    /// Three parts on two ports, each with a nonce. One of them comes twice.
    fn enters(&mut self) -> Result<()> {
        let mut left = self.part(&self.asking, "left", 2)?;
        let mut right = self.part(&self.asking, "right", 3)?;
        let station = self.follow(&[
            "--port",
            "left",
            "--port",
            "right",
            "--implementation-id",
            ID,
            "--allow-modelled",
            "--require-nonce",
            "--parts",
            "3",
        ])?;
        left.switch_on()?;
        right.switch_on()?;
        let mut entered = [station.expect("entered")?, station.expect("entered")?];
        entered.sort_by_key(|event| event["device_id"].to_string());
        let [second, third] = &entered;
        for (event, port, number) in [(second, "left", 2), (third, "right", 3)] {
            ensure!(event["device_id"] == device(number) && event["port"] == port, "{event}");
        }

        drop(left);
        ensure!(station.expect("lost")?["port"] == "left", "the other port is lost");
        let mut left = self.part(&self.asking, "left", 2)?;
        station.expect("back")?;
        left.switch_on()?;
        let known = station.expect("known")?;
        for member in ["number", "ueid", "port"] {
            ensure!(known[member] == second[member], "{member} of {known} is not that of {second}");
        }
        ensure!(known.get("error").is_none(), "{known}");

        drop(right);
        station.expect("lost")?;
        let mut right = self.part(&self.asking, "right", 4)?;
        station.expect("back")?;
        right.switch_on()?;
        let entered = station.expect("entered")?;
        ensure!(entered["device_id"] == device(4), "{entered}");
        // A part that was known is no failure, and none of the three.
        self.close(station, [3, 1, 0], 0)
    }

    /// A shift as a station file describes it, with a loss of power in mid-run. Whether the part could be completed.
    fn goes_on_after_a_loss_of_power(&mut self) -> Result<bool> {
        let file = format!(
            "station = 'line 2'\n\
             batch = '48'\n\
             implementation_id = '{ID}'\n\
             image = '{}'\n\
             ledger = 'ledger.db'\n\
             [[ports]]\n\
             port = 'left'\n",
            self.asking.display()
        );
        fs::write(self.folder.path().join("line.toml"), file)?;
        // The attempt of this image is kept when it gets its nonce, before it writes anything.
        let mut part = self.part(&self.asking, "left", 5)?;
        let station = self.follow(&["--station-file", "line.toml", "--allow-modelled"])?;
        part.switch_on()?;
        part.cut_after(CUT_AFTER)?;
        let cut = station.expect("not-entered")?;
        ensure!(cut["error"] == "port" && cut["port"] == "left", "{cut}");
        station.expect("lost")?;

        let mut part = self.part(&self.asking, "left", 5)?;
        station.expect("back")?;
        part.switch_on()?;
        // Keys that are torn cannot be completed, and the part says so.
        let again = station.expect_one_of(&["entered", "not-entered"])?;
        let is_torn = again["event"] == "not-entered";
        if is_torn {
            let text = again["text"].as_str().unwrap_or_default();
            ensure!(again["error"] == "failed" && text.contains("is torn"), "{again}");
        } else {
            ensure!(again["device_id"] == device(5), "{again}");
        }
        let kept = &self.attempt(&cut)?["attempt"];
        for (member, value) in [("result", "failed"), ("batch", "48"), ("station", "line 2")] {
            ensure!(kept[member] == value, "{member} of {kept}");
        }
        station.press_ctrl_c()?;
        let failed = 1 + u64::from(is_torn);
        self.close(station, [2 - failed, 0, failed], 1)?;
        Ok(is_torn)
    }

    /// Steps start QEMU and end it, and only parts with one image are entered.
    fn carries_out_steps(&mut self, project: &Project) -> Result<()> {
        let path = |name| self.folder.path().join(name);
        let adapter = Adapter::new()?;
        let (image, pid) = (path("image.bin"), path("qemu.pid"));
        let qemu = Background(pid.clone());
        let before = Machine {
            image: &image,
            folder: self.folder.path(),
            arguments: &[&format!("--device={}", path("6.uicr").display()), "--seed=6"],
            shift: None,
            console: Console::At(&adapter.part),
            is_paused: false,
            plugin: None,
        };
        let before = command(before.in_background(&pid))?;
        let python = project.python("verifier-venv", "hashlib, json")?;
        let after = [python, project.verifier("line_step.py"), pid];
        let after = command(after.map(|word| word.display().to_string()))?;
        let wanted = self.image.display().to_string();
        let station = self.follow(&[
            "--port",
            &adapter.station,
            "--implementation-id",
            ID,
            "--allow-modelled",
            "--image",
            &wanted,
            "--operator",
            "Ada",
            "--before",
            &before,
            "--on-pass",
            &after,
            "--on-fail",
            &after,
        ])?;

        fs::copy(&self.image, &image)?;
        station.expect("asked")?;
        station.press_enter()?;
        let entered = station.expect("entered")?;
        ensure!(entered["device_id"] == device(6), "{entered}");
        ensure!(!qemu.0.exists(), "the step after the run has not ended QEMU");

        // The same part, programmed with another image.
        fs::copy(&self.asking, &image)?;
        station.expect("asked")?;
        station.press_enter()?;
        let refused = station.expect("not-entered")?;
        let text = refused["text"].as_str().unwrap_or_default();
        let [wanted, other] = [sha256(&self.image)?, sha256(&self.asking)?];
        let is_named = text.contains(&wanted) && text.contains(&other);
        ensure!(refused["error"] == "image" && is_named, "{refused}");

        // A step that cannot start the part.
        fs::remove_file(&image)?;
        station.expect("asked")?;
        station.press_enter()?;
        let not_begun = station.expect("not-entered")?;
        ensure!(not_begun["error"] == "step", "{not_begun}");
        station.expect("asked")?;
        station.press_ctrl_c()?;
        self.close(station, [1, 0, 2], 1)?;

        let label = format!("label: entry {}, device {}, by Ada\n", entered["number"], device(6));
        for (event, image, started, step, output) in [
            (&entered, json!(wanted), true, "on-pass", &label[..]),
            (&refused, Value::Null, true, "on-fail", "red light: image\n"),
            (&not_begun, Value::Null, false, "on-fail", "red light: step\n"),
        ] {
            let attempt = self.attempt(event)?;
            ensure!(attempt["attempt"]["image_sha256"] == image, "{attempt}");
            let programs = attempt["programs"].as_array().map(Vec::as_slice).unwrap_or_default();
            let [first, second] = programs else { bail!("not two programs: {attempt}") };
            for (program, member, value) in [
                (first, "step", json!("before")),
                (first, "command", json!(before)),
                (first, "succeeded", json!(started)),
                (second, "step", json!(step)),
                (second, "command", json!(after)),
                (second, "succeeded", json!(true)),
                (second, "output", json!(output)),
            ] {
                ensure!(program[member] == value, "{member} is not {value}: {program}");
            }
            let complaint = first["output"].as_str().unwrap_or_default();
            ensure!(started || complaint.contains("image.bin"), "{first}");
        }
        Ok(())
    }
}

/// A command as the station takes it.
fn command(words: impl IntoIterator<Item = String>) -> Result<String> {
    let words: Vec<_> = words.into_iter().collect();
    Ok(shlex::try_join(words.iter().map(String::as_str))?)
}

/// As docs/record.rst says that a person gets it.
fn sha256(file: &Path) -> Result<String> {
    let printed = duct::cmd!("sha256sum", file).read()?;
    Ok(printed.split_whitespace().next().context("a hash")?.to_owned())
}

pub fn run(project: &Project) -> Result<()> {
    let [image, asking] = zephyr::mps2_flash(project)?;
    let station = project.program("station")?;
    let folder = tempfile::tempdir()?;
    let mut line = Line { station, folder, image: image.clone(), asking, entries: 0, attempts: 0 };
    // Not by mistake: its keys are not secret.
    line.refuses(&image, 1, &[], "modelled")?;
    line.refuses(&image, 1, &["--allow-modelled", "--require-nonce"], "no-nonce")?;
    line.enters()?;
    let is_torn = line.goes_on_after_a_loss_of_power()?;
    line.carries_out_steps(project)?;

    let Line { entries, attempts, .. } = line;
    let audited = line.run(&["audit"])?;
    let verdict = format!("{entries} entries, {attempts} attempts, all of them good");
    ensure!(audited.contains(&verdict), "{audited}");
    let exported = line.json(&["export", "--profile", "psa-2025"])?;
    ensure!(exported["parts"] == entries, "{exported}");
    println!(
        "ok: {entries} parts entered in {attempts} runs, the one that had lost its power was {}",
        if is_torn { "torn and stopped" } else { "completed" }
    );
    Ok(())
}
