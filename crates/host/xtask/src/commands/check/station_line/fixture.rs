// SPDX-License-Identifier: Apache-2.0

//! What stands on the line: parts in QEMU, a serial adapter, and the station that follows their consoles.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use serialport::{SerialPort as _, TTYPort};
use xtask::qemu::{Console, Machine, Qemu};

/// How long the station may take for what it does next.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A part in QEMU, which waits to be started. Its port is a link, as udev makes one to a USB adapter: it is there as
/// long as the part.
pub struct Part {
    qemu: Qemu,
    link: PathBuf,
    device: PathBuf,
}

impl Part {
    /// The part of that number, which keeps what is written to it in `folder`, with the image in `flash`. `port` is
    /// the name of the link.
    pub fn new(flash: &Path, folder: &Path, port: &str, number: u32) -> Result<Self> {
        let file = format!("{number}.uicr");
        let mut qemu = Machine {
            image: flash,
            folder,
            arguments: &[&format!("--device={file}"), &format!("--seed={number}")],
            shift: None,
            console: Console::Port,
            is_paused: true,
            plugin: None,
        }
        .start()?;
        let link = folder.join(port);
        symlink(qemu.port()?, &link)?;
        Ok(Self { qemu, link, device: folder.join(file) })
    }

    pub fn switch_on(&mut self) -> Result<()> {
        Ok(self.qemu.monitor("cont")?)
    }

    /// Waits until so many of its words are written, and takes its power away.
    pub fn cut_after(self, words: usize) -> Result<()> {
        let written = || {
            // It may not be there yet.
            let page = fs::read(&self.device).unwrap_or_default();
            page.chunks(4).filter(|word| *word != [0xFF; 4]).count()
        };
        let begin = Instant::now();
        while written() < words {
            ensure!(begin.elapsed() < TIMEOUT, "the part does not write {words} words");
        }
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Before QEMU ends: then another program may get a terminal of that name. Only a check that fails leaves it.
        let _ = fs::remove_file(&self.link);
    }
}

/// A serial adapter between two ports, that of the station and that of the part. It stays when the part goes.
pub struct Adapter {
    pub station: String,
    pub part: String,
    /// Kept open, so that the adapter's side does not end with the program that has opened a port.
    _ports: [TTYPort; 2],
}

impl Adapter {
    pub fn new() -> Result<Self> {
        let [(a, station), (b, part)] = [TTYPort::pair()?, TTYPort::pair()?];
        let name = |port: &TTYPort| port.name().context("a pseudo terminal without a name");
        let names = [name(&station)?, name(&part)?];
        for (from, to) in [(a.try_clone_native()?, b.try_clone_native()?), (b, a)] {
            thread::spawn(move || carry(from, to));
        }
        let [name_of_station, name_of_part] = names;
        Ok(Self { station: name_of_station, part: name_of_part, _ports: [station, part] })
    }
}

/// Carries bytes until one of the ports is closed.
fn carry(mut from: TTYPort, mut to: TTYPort) {
    let mut buffer = [0; 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(count) if to.write_all(&buffer[..count]).is_ok() => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            _ => return,
        }
    }
}

/// QEMU in the background, by its file of [`Machine::in_background`]. It ends with this at the latest.
pub struct Background(pub PathBuf);

impl Drop for Background {
    fn drop(&mut self) {
        let pid = fs::read_to_string(&self.0).ok().and_then(|text| text.trim().parse().ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // It may be about to end by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// A station that follows parts.
pub struct Station {
    child: Child,
    /// Its lines on standard output, until it has ended.
    events: Receiver<String>,
}

impl Station {
    /// Starts `station provision` in `folder`, and waits until it waits for parts.
    pub fn start(program: &Path, folder: &Path, options: &[&str]) -> Result<Self> {
        let mut child = Command::new(program)
            .args(["provision", "--json"])
            .args(options)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let (output, errors) = output.zip(errors).context("pipes from the station")?;
        let (send, events) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(output)
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| send.send(line))
        });
        let station = Self { child, events };
        let mut errors = BufReader::new(errors);
        let mut line = String::new();
        errors.read_line(&mut line)?;
        ensure!(line.starts_with("Waiting for parts on "), "the station is not ready: {line}");
        // Its other messages are not needed, but must be read, or it would wait for that.
        thread::spawn(move || errors.read_to_end(&mut Vec::new()));
        Ok(station)
    }

    /// The next thing that happens, which must be one of these.
    pub fn expect_one_of(&self, events: &[&str]) -> Result<Value> {
        let line = self.events.recv_timeout(TIMEOUT);
        let line = line.with_context(|| format!("the station does not come to {events:?}"))?;
        let happened: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        ensure!(events.iter().any(|event| happened["event"] == *event), "{line}, not {events:?}");
        Ok(happened)
    }

    /// The next thing that happens, which must be this.
    pub fn expect(&self, event: &str) -> Result<Value> {
        self.expect_one_of(&[event])
    }

    /// Presses Enter.
    pub fn press_enter(&self) -> Result<()> {
        let mut stdin = self.child.stdin.as_ref().context("the station's standard input")?;
        Ok(stdin.write_all(b"\n")?)
    }

    /// Presses Ctrl-C.
    pub fn press_ctrl_c(&self) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), Signal::INT)?)
    }

    /// Waits for its end: what it has counted, and its exit code.
    pub fn end(mut self) -> Result<(Value, Option<i32>)> {
        let end = self.expect("end")?;
        match self.events.recv_timeout(TIMEOUT) {
            Err(mpsc::RecvTimeoutError::Disconnected) => Ok((end, self.child.wait()?.code())),
            other => bail!("the station goes on after {end}: {other:?}"),
        }
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        // It has ended, unless the check fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
