// SPDX-License-Identifier: Apache-2.0

//! Runs an image in QEMU, which counts its instructions.

use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::console::is_last;

/// A run takes a few seconds.
const TIMEOUT: Duration = Duration::from_secs(300);

/// QEMU never ends by itself.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended on its own account.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the image `elf` of mps2/an521/cpu0 with 2^`shift` ns of virtual time for each instruction, until
/// it has no more to say, and gives its console.
///
/// # Errors
/// If QEMU cannot be started or ends, or the run takes more than five minutes.
pub fn run(elf: &Path, shift: u32) -> Result<String, Box<dyn Error>> {
    let mut qemu = Command::new("qemu-system-arm")
        .args(
            "-machine mps2-an521 -cpu cortex-m33 -m 16 -display none -net none -rtc clock=vm"
                .split(' '),
        )
        .args(["-icount", &format!("shift={shift},align=off,sleep=off")])
        // The image reads its command line, which else holds the path of the image, and takes longer for
        // a longer one.
        .args("-semihosting-config enable=on,target=native,arg=bench".split(' '))
        .args("-monitor none -serial stdio -kernel".split(' '))
        .arg(elf)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map(Running)
        .map_err(|error| format!("qemu-system-arm cannot be started: {error}. Install QEMU."))?;
    let stdout = qemu.0.stdout.take().ok_or("QEMU has no standard output")?;
    let mut stderr = qemu.0.stderr.take().ok_or("QEMU has no standard error")?;
    let (lines, received) = mpsc::channel();
    // It ends when QEMU does, at the latest when it is killed.
    thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = Vec::new();
        while stdout.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
            line.clear();
        }
    });
    let end = Instant::now() + TIMEOUT;
    let mut console = String::new();
    loop {
        match received.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                console.push_str(&line);
                if is_last(line.trim_end()) {
                    return Ok(console);
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("{console}\nthe run did not end in five minutes").into());
            }
            Err(RecvTimeoutError::Disconnected) => {
                let mut why = String::new();
                stderr.read_to_string(&mut why)?;
                return Err(format!("{console}{why}\nQEMU ended before the run did").into());
            }
        }
    }
}
