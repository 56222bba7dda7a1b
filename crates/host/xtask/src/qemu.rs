// SPDX-License-Identifier: Apache-2.0

//! Runs an image of mps2/an521/cpu0 in QEMU. Everything that runs one does it with this command line.

use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::iter;
use std::mem;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use thiserror::Error;

/// The program.
pub const QEMU: &str = "qemu-system-arm";
/// The board that it is, as west names it.
pub const BOARD: &str = "mps2/an521/cpu0";

/// A run takes a few seconds.
const TIMEOUT: Duration = Duration::from_secs(300);
/// QEMU opens its sockets at once, and answers on them at once.
const ANSWER: Duration = Duration::from_secs(120);

/// Sockets, in a folder of their own.
const MONITOR: &str = "monitor";
const DEBUGGER: &str = "debugger";

/// Where the machine has the image: `CONFIG_FLASH_BASE_ADDRESS` of the board.
const FLASH: &str = "0x10000000";

/// What QEMU does with an image.
#[derive(Clone, Debug)]
pub struct Machine<'a> {
    /// The image: `zephyr.elf`, or `zephyr.bin`, which alone has the bytes between sections as a part's flash has them.
    pub image: &'a Path,
    /// The folder of QEMU, where the modelled part's file is if its path is relative.
    pub folder: &'a Path,
    /// The command line of the image, without its own name. None of the arguments has a comma.
    pub arguments: &'a [&'a str],
    /// Makes each instruction take 2^shift ns of virtual time, and the run the same each time; without it time is
    /// the host's.
    pub shift: Option<u32>,
    /// Where the image prints.
    pub console: Console<'a>,
    /// Whether it waits to be started, by the monitor or a debugger, and listens to a debugger.
    pub is_paused: bool,
    /// A plugin, with its arguments behind commas.
    pub plugin: Option<&'a str>,
}

/// Where an image prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console<'a> {
    /// To [`Qemu::read_until`].
    Captured,
    /// To a pseudo terminal: [`Qemu::port`].
    Port,
    /// To this serial port, which is there already.
    At(&'a str),
}

/// Why an image did not run to its end.
#[derive(Debug, Error)]
pub enum QemuError {
    /// The program is not there.
    #[error("{QEMU} cannot be started: {0}. Install QEMU.")]
    Start(#[source] io::Error),
    /// QEMU has ended, after this console.
    #[error("{0}\nQEMU ended before the run did")]
    Ended(String),
    /// The run goes on after the time that it may take, with this console.
    #[error("{0}\nthe run did not end in {seconds} seconds", seconds = .1.as_secs())]
    Endless(String, Duration),
    /// QEMU does not listen, or does not answer.
    #[error("QEMU does not answer on its {0}: {1}")]
    Socket(&'static str, #[source] io::Error),
    /// A debugger's command is refused, with this answer.
    #[error("QEMU answers {1:?} to the debugger's {0}")]
    Debugger(String, String),
}

impl Machine<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new(QEMU);
        command
            .args("-machine mps2-an521 -cpu cortex-m33 -m 16 -display none -net none".split(' '));
        // As in the kits.
        command.args(["-global", "sse-200.CPU0_DSP=on"]);
        if let Some(shift) = self.shift {
            command.args(["-rtc", "clock=vm", "-icount"]);
            command.arg(format!("shift={shift},align=off,sleep=off"));
        }
        // The image reads its command line, whose first word is else its path; a longer one takes longer.
        let mut semihosting = String::from("enable=on,target=native,arg=image");
        for argument in self.arguments {
            semihosting.push_str(",arg=");
            semihosting.push_str(argument);
        }
        command.args(["-semihosting-config", &semihosting]);
        if let Some(plugin) = self.plugin {
            command.args(["-plugin", plugin]);
        }
        let console = match self.console {
            Console::Captured => "stdio",
            Console::Port => "pty",
            Console::At(port) => port,
        };
        command.args(["-serial", console]);
        let image = self.image.display();
        if self.image.extension().is_some_and(|extension| extension == "bin") {
            command.args(["-device", &format!("loader,file={image},addr={FLASH},force-raw=on")]);
        } else {
            command.arg("-kernel").arg(self.image);
        }
        command.current_dir(self.folder);
        command
    }

    /// The same command, with what it listens to.
    fn command_with(&self, sockets: &Path) -> Command {
        let socket = |name| format!("{},server=on,wait=off", sockets.join(name).display());
        let mut command = self.command();
        command.args(["-monitor", &format!("unix:{}", socket(MONITOR))]);
        if self.is_paused {
            command.arg("-S");
            let debugger = format!("socket,id=debugger,path={}", socket(DEBUGGER));
            command.args(["-chardev", &debugger]);
            command.args(["-gdb", "chardev:debugger"]);
        }
        command
    }

    /// The words of a command that starts QEMU and leaves it running in the background, with its process ID in the
    /// file `pid` until it ends. It is in no folder, so all paths have to be absolute.
    #[must_use]
    pub fn in_background(&self, pid: &Path) -> Vec<String> {
        let mut command = self.command();
        command.args(["-monitor", "none", "-daemonize", "-pidfile"]).arg(pid);
        let words = iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect()
    }

    /// Starts QEMU.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(&self) -> Result<Qemu, QemuError> {
        // What it prints itself stands between the lines of the image.
        let (reader, writer) = io::pipe().map_err(QemuError::Start)?;
        let sockets = tempfile::tempdir().map_err(QemuError::Start)?;
        let mut command = self.command_with(sockets.path());
        command.stdin(Stdio::null()).stderr(writer.try_clone().map_err(QemuError::Start)?);
        let child = command.stdout(writer).spawn().map_err(QemuError::Start)?;
        Ok(Qemu { child, lines: lines(reader), sockets, monitor: None })
    }
}

/// All lines until QEMU ends.
fn lines(reader: PipeReader) -> Receiver<Vec<u8>> {
    let (lines, received) = mpsc::channel();
    // It ends when QEMU does, at the latest when it is killed.
    thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            if lines.send(mem::take(&mut line)).is_err() {
                break;
            }
        }
    });
    received
}

/// An image that runs. QEMU never ends by itself: it is stopped when this is dropped.
pub struct Qemu {
    child: Child,
    lines: Receiver<Vec<u8>>,
    sockets: TempDir,
    monitor: Option<UnixStream>,
}

impl Qemu {
    /// Reads the console up to a line for which `is_last` is true, and gives all lines, with that one.
    ///
    /// # Errors
    /// If no such line comes before QEMU ends, or in five minutes.
    pub fn read_until(&mut self, is_last: impl Fn(&str) -> bool) -> Result<String, QemuError> {
        self.read_bytes_until(is_last).map(|console| text(&console))
    }

    /// As [`Self::read_until`], and gives the bytes that were printed.
    ///
    /// # Errors
    /// If no such line comes before QEMU ends, or in five minutes.
    pub fn read_bytes_until(
        &mut self,
        is_last: impl Fn(&str) -> bool,
    ) -> Result<Vec<u8>, QemuError> {
        let end = Instant::now() + TIMEOUT;
        let mut console = Vec::new();
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    console.extend_from_slice(&line);
                    if is_last(text(&line).trim_end()) {
                        return Ok(console);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(QemuError::Endless(text(&console), TIMEOUT));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(QemuError::Ended(text(&console)));
                }
            }
        }
    }

    /// The path of the pseudo terminal of [`Console::Port`].
    ///
    /// # Errors
    /// If QEMU ends without naming it.
    pub fn port(&mut self) -> Result<String, QemuError> {
        let path = |line: &str| {
            let (_, path) = line.split_once("char device redirected to ")?;
            path.split_whitespace().next().map(String::from)
        };
        let said = self.read_until(|line| path(line).is_some())?;
        said.lines().find_map(path).ok_or(QemuError::Ended(said))
    }

    /// Gives a command to QEMU's monitor, such as `cont`.
    ///
    /// # Errors
    /// If QEMU has ended.
    pub fn monitor(&mut self, command: &str) -> Result<(), QemuError> {
        let failed = |error| QemuError::Socket(MONITOR, error);
        if self.monitor.is_none() {
            self.monitor = Some(connect(&self.sockets.path().join(MONITOR)).map_err(failed)?);
        }
        self.monitor
            .as_mut()
            .map_or(Ok(()), |monitor| monitor.write_all(format!("{command}\n").as_bytes()))
            .map_err(failed)
    }

    /// A debugger on a machine that is paused.
    ///
    /// # Errors
    /// If QEMU has ended.
    pub fn debugger(&self) -> Result<Debugger, QemuError> {
        let failed = |error| QemuError::Socket(DEBUGGER, error);
        let socket = connect(&self.sockets.path().join(DEBUGGER)).map_err(failed)?;
        socket.set_read_timeout(Some(ANSWER)).map_err(failed)?;
        Ok(Debugger { socket: BufReader::new(socket) })
    }

    /// Waits until QEMU has ended, as the monitor has asked for by `quit`.
    ///
    /// # Errors
    /// If it goes on.
    pub fn wait(mut self) -> Result<(), QemuError> {
        match self.read_until(|_| false) {
            Err(QemuError::Ended(_)) => Ok(()),
            other => other.map(drop),
        }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended on its own account.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// QEMU may be about to open the socket.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let end = Instant::now() + ANSWER;
    loop {
        match UnixStream::connect(path) {
            Err(error) if Instant::now() > end => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(20)),
            connected => return connected,
        }
    }
}

/// As much of GDB's remote protocol as moves the program counter.
pub struct Debugger {
    socket: BufReader<UnixStream>,
}

impl Debugger {
    /// Runs to the address `from`, and goes on at the address `to`.
    ///
    /// # Errors
    /// If the run does not come to `from`.
    pub fn jump(&mut self, from: u64, to: u32) -> Result<(), QemuError> {
        // QEMU sets a register only for a debugger that has asked for their names.
        self.ask("qXfer:features:read:target.xml:0,ffb", |answer| answer.starts_with(['m', 'l']))?;
        self.ask(&format!("Z0,{from:x},2"), |answer| answer == "OK")?;
        self.ask("c", |answer| answer.starts_with("T05"))?;
        self.ask(&format!("z0,{from:x},2"), |answer| answer == "OK")?;
        // Register 15, with its lowest byte first.
        self.ask(&format!("Pf={:08x}", to.swap_bytes()), |answer| answer == "OK")?;
        self.send("c")
    }

    fn send(&mut self, command: &str) -> Result<(), QemuError> {
        let sum = command.bytes().fold(0, u8::wrapping_add);
        let packet = format!("${command}#{sum:02x}");
        self.socket
            .get_mut()
            .write_all(packet.as_bytes())
            .map_err(|error| QemuError::Socket(DEBUGGER, error))
    }

    fn ask(&mut self, command: &str, is_good: impl Fn(&str) -> bool) -> Result<(), QemuError> {
        self.send(command)?;
        let answer = self.answer().map_err(|error| QemuError::Socket(DEBUGGER, error))?;
        if is_good(&answer) {
            Ok(())
        } else {
            Err(QemuError::Debugger(String::from(command), answer))
        }
    }

    /// The next packet, without its frame: `+$answer#sum`, of which `+` acknowledges the command.
    fn answer(&mut self) -> io::Result<String> {
        let mut packet = Vec::new();
        self.socket.read_until(b'#', &mut packet)?;
        let mut sum = [0; 2];
        io::Read::read_exact(&mut self.socket, &mut sum)?;
        self.socket.get_mut().write_all(b"+")?;
        let packet = String::from_utf8_lossy(&packet).into_owned();
        let answer = packet.trim_start_matches('+').trim_start_matches('$');
        Ok(String::from(answer.trim_end_matches('#')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> String {
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    fn machine(image: &Path) -> Machine<'_> {
        Machine {
            image,
            folder: Path::new("/"),
            arguments: &["--device=1.uicr", "--seed=1"],
            shift: Some(7),
            console: Console::Port,
            is_paused: false,
            plugin: Some("trace.so,out=trace"),
        }
    }

    #[test]
    fn the_image_gets_its_arguments() {
        let command = words(&machine(Path::new("/zephyr.elf")).command_with(Path::new("/")));
        for part in [
            "-icount shift=7,align=off,sleep=off",
            "arg=image,arg=--device=1.uicr,arg=--seed=1 ",
            "-serial pty",
            "-kernel /zephyr.elf",
            "-plugin trace.so,out=trace ",
        ] {
            assert!(command.contains(part), "{command}");
        }
        assert!(!command.contains("-S"), "{command}");
    }

    #[test]
    fn the_bytes_of_flash_are_loaded_as_they_are() {
        let command = words(&machine(Path::new("/zephyr.bin")).command_with(Path::new("/")));
        let loaded = "-device loader,file=/zephyr.bin,addr=0x10000000,force-raw=on";
        assert!(command.contains(loaded) && !command.contains("-kernel"), "{command}");
    }

    #[test]
    fn it_runs_in_the_background_on_a_port_that_is_there() {
        let machine =
            Machine { console: Console::At("/dev/pts/1"), ..machine(Path::new("/zephyr.elf")) };
        let words = machine.in_background(Path::new("/pid"));
        assert_eq!(words[0], QEMU);
        let command = words.join(" ");
        for part in ["-serial /dev/pts/1", "-monitor none", "-daemonize -pidfile /pid"] {
            assert!(command.contains(part), "{command}");
        }
    }
}
