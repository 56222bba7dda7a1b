// SPDX-License-Identifier: Apache-2.0

//! What an operator sees: the station on a terminal of 80 columns, as `vt100` shows it.
#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::ID;
use common::line::{failed, part, port};
use rustix::termios::{
    LocalModes, OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize,
};
use tempfile::TempDir;
use vt100::{Color, Parser};

const COLUMNS: u16 = 80;
const ROWS: u16 = 24;

/// What has come so far, as the terminal has it.
struct Seen {
    screen: Parser,
    bells: usize,
    raw: Vec<u8>,
}

/// A station with a keyboard and a screen.
struct Desk {
    station: Child,
    seen: Arc<Mutex<Seen>>,
    keyboard: File,
    ports: Vec<(File, String)>,
    _folder: TempDir,
}

impl Desk {
    fn new(ports: usize, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (master, name) = port();
        tcsetwinsize(
            master.as_fd(),
            Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 },
        )
        .unwrap();
        // As a shell leaves a terminal: a line end is also a return.
        let mut modes = tcgetattr(master.as_fd()).unwrap();
        modes.output_modes |= OutputModes::OPOST | OutputModes::ONLCR;
        modes.local_modes |= LocalModes::ECHO | LocalModes::ICANON;
        tcsetattr(master.as_fd(), OptionalActions::Now, &modes).unwrap();
        let screen = || File::options().read(true).write(true).open(&name).unwrap();
        let ports: Vec<_> = (0..ports).map(|_| port()).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_station"));
        command.args(["provision", "--implementation-id", ID]).args(arguments);
        for (_, name) in &ports {
            command.args(["--port", name]);
        }
        let station = command
            .current_dir(folder.path())
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .envs(variables.iter().copied())
            .stdin(Stdio::from(screen()))
            .stdout(Stdio::from(screen()))
            .stderr(Stdio::from(screen()))
            .spawn()
            .unwrap();
        // The scrollback is read as rows of a screen without end.
        let seen = Seen { screen: Parser::new(ROWS, COLUMNS, 1000), bells: 0, raw: Vec::new() };
        let seen = Arc::new(Mutex::new(seen));
        let (mut reader, writer) = (master.try_clone().unwrap(), Arc::clone(&seen));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // At the end of the station the terminal is gone.
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let mut seen = writer.lock().unwrap();
                seen.bells += buffer[..count].split(|byte| *byte == 7).count() - 1;
                seen.screen.process(&buffer[..count]);
                seen.raw.extend(&buffer[..count]);
            }
        });
        Self { station, seen, keyboard: master, ports, _folder: folder }
    }

    /// Waits until a row of the screen has all of these texts, and gives it.
    #[track_caller]
    fn row(&self, texts: &[&str]) -> String {
        let since = Instant::now();
        loop {
            let seen = self.seen.lock().unwrap();
            let rows: Vec<String> = seen.screen.screen().rows(0, COLUMNS).collect();
            drop(seen);
            if let Some(row) = rows.iter().find(|row| texts.iter().all(|text| row.contains(text))) {
                return row.clone();
            }
            assert!(since.elapsed() < Duration::from_secs(30), "{texts:?}: {rows:#?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The colour behind a text on the screen, where it stands last.
    #[track_caller]
    fn colour(&self, text: &str) -> Color {
        let seen = self.seen.lock().unwrap();
        let screen = seen.screen.screen();
        let place = screen.rows(0, COLUMNS).enumerate().filter_map(|(y, row)| {
            let x = row[..row.find(text)?].chars().count();
            Some((u16::try_from(y).unwrap(), u16::try_from(x).unwrap()))
        });
        let (y, x) = place.last().unwrap_or_else(|| panic!("{text}: {}", screen.contents()));
        screen.cell(y, x).unwrap().bgcolor()
    }

    fn play(&mut self, port: usize, console: &[u8]) {
        self.ports[port].0.write_all(console).unwrap();
    }

    /// The end of a port's name, as its row begins.
    fn name(&self, port: usize) -> &str {
        &self.ports[port].1
    }

    fn end(mut self, code: i32) -> Arc<Mutex<Seen>> {
        assert_eq!(self.station.wait().unwrap().code(), Some(code));
        // What it has written last is still to be read.
        thread::sleep(Duration::from_millis(200));
        Arc::clone(&self.seen)
    }
}

#[test]
fn each_port_has_a_row_with_its_step_and_then_its_verdict() {
    let mut desk = Desk::new(2, &[], &[]);
    for port in 0..2 {
        desk.row(&[desk.name(port), "waiting for a part"]);
    }
    // Each port is at a step of its own part.
    let (good, other) = (part(1, None, 1), part(2, None, 1));
    let until = |console: &[u8], text: &str| {
        let text = text.as_bytes();
        let at = console.windows(text.len()).position(|window| window == text).unwrap();
        at + console[at..].iter().position(|byte| *byte == b'\n').unwrap() + 1
    };
    let (huk, lifecycle) =
        (until(&good, "Generating random HUK"), until(&other, "Successfully verified"));
    desk.play(0, &good[..huk]);
    desk.play(1, &other[..lifecycle]);
    desk.row(&[desk.name(0), "Generating random HUK keys"]);
    desk.row(&[desk.name(1), "Successfully verified PSA lifecycle"]);
    desk.play(0, &good[huk..]);
    let row = desk.row(&[desk.name(0), "  PASS   ", "entered as 1"]);
    assert!(row.chars().count() <= usize::from(COLUMNS), "{row}");
    assert_eq!(desk.colour("  PASS   "), Color::Idx(2), "green");
    desk.row(&[desk.name(1), "Successfully verified PSA lifecycle"]);
    desk.play(1, &other[lifecycle..]);
    desk.row(&[desk.name(1), "  PASS   ", "entered as 2"]);
    assert_eq!(desk.seen.lock().unwrap().bells, 0);

    desk.play(1, failed().as_bytes());
    desk.row(&[desk.name(1), "  FAIL   "]);
    assert_eq!(desk.colour("  FAIL   "), Color::Idx(1), "red");
    assert_eq!(desk.seen.lock().unwrap().bells, 1, "it rings once");
    desk.play(0, &part(1, None, 2));
    desk.row(&[desk.name(0), "  KNOWN  ", "Take it out"]);
    assert_eq!(desk.colour("  KNOWN  "), Color::Idx(3), "yellow");
    // The next part takes the verdict away.
    desk.play(0, &good[..huk]);
    desk.row(&[desk.name(0), "Generating random HUK keys"]);
    desk.row(&["batch", "2 good"]);

    // Ctrl-C, as the terminal sends it: the child is not in its foreground here.
    let id = desk.station.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    desk.row(&["Ending: what runs is finished first"]);
    desk.play(0, &good[huk..]);
    let seen = desk.end(1);
    let seen = seen.lock().unwrap();
    let mut all = Parser::new(200, COLUMNS, 0);
    all.process(&seen.raw);
    let contents = all.screen().contents();
    // A line for each part stays, and no row does.
    for (line, count) in [
        (": PASS: entered as 1, UEID 01", 1),
        (": PASS: entered as 2, UEID 01", 1),
        (": KNOWN: entry 1 has this part already", 2),
    ] {
        assert_eq!(contents.matches(line).count(), count, "{line}: {contents}");
    }
    assert_eq!(contents.matches(": FAIL: the part says: Failure").count(), 1, "{contents}");
    assert!(contents.contains("5 runs: 2 good, 2 known already, 1 failed"), "{contents}");
    assert!(contents.contains("Its head, to write down: "), "{contents}");
    assert!(!contents.contains("waiting for a part"), "{contents}");
    assert!(!contents.contains("parts/h"), "{contents}");
}

#[test]
fn no_color_is_respected() {
    let mut desk = Desk::new(1, &["--parts", "1"], &[("NO_COLOR", "1")]);
    desk.play(0, failed().as_bytes());
    desk.row(&[desk.name(0), "  FAIL   "]);
    assert_eq!(desk.colour("  FAIL   "), Color::Default);
    desk.play(0, &part(1, None, 1));
    let seen = desk.end(1);
    let seen = seen.lock().unwrap();
    let colours =
        seen.raw.windows(3).filter(|bytes| bytes == b"\x1b[3" || bytes == b"\x1b[4").count();
    assert_eq!(colours, 0, "{}", seen.raw.escape_ascii());
}

#[test]
fn a_scanner_is_a_keyboard() {
    let mut desk = Desk::new(2, &["--scan", "--parts", "2"], &[]);
    let asked = desk.row(&["scan the serial number of the next part"]);
    let port = usize::from(!asked.contains(desk.name(0)));
    writeln!(desk.keyboard, "SN-7").unwrap();
    // What is scanned would tear the rows.
    desk.row(&["batch", "0 of 2 good"]);
    assert!(!tcgetattr(&desk.keyboard).unwrap().local_modes.contains(LocalModes::ECHO));
    // The other port is next, whatever the first one does.
    desk.row(&[desk.name(1 - port), "scan the serial number of the next part"]);
    desk.play(port, &part(1, None, 1));
    desk.row(&[desk.name(port), "  PASS   ", "SN-7, entered as 1"]);
    writeln!(desk.keyboard, "SN-7").unwrap();
    desk.row(&["SN-7", "is the serial number of entry 1"]);
    writeln!(desk.keyboard, "SN-8").unwrap();
    // Then it is the first one's turn again, which still shows its verdict.
    desk.row(&[desk.name(port), "  PASS   ", "scan the serial number"]);
    desk.play(1 - port, &part(2, None, 1));
    desk.row(&["SN-8, entered as 2"]);
    let keyboard = desk.keyboard.try_clone().unwrap();
    desk.end(0);
    let modes = tcgetattr(&keyboard).unwrap().local_modes;
    assert!(modes.contains(LocalModes::ECHO), "as it was");
}

#[test]
fn an_idle_and_a_lost_port_say_so() {
    // A name of its own: the system may give that of a pseudo terminal to another one.
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("part");
    let (pulled, name) = port();
    std::os::unix::fs::symlink(name, &link).unwrap();
    let arguments = ["--parts", "1", "--start-timeout", "1", "--port", link.to_str().unwrap()];
    let mut desk = Desk::new(1, &arguments, &[]);
    desk.row(&[desk.name(0), "no part has begun for 1 s"]);
    std::fs::remove_file(&link).unwrap();
    drop(pulled);
    desk.row(&["/part ", "the port is lost"]);
    desk.play(0, &part(1, None, 1));
    desk.end(0);
}

#[test]
fn a_plain_pipe_has_no_rows_and_no_colours() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_station"))
        .args(["provision", "--simulate", "2", "--seed", "1"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(!printed.contains('\x1b') && printed.contains(": PASS: entered as 1, "), "{printed}");
}

#[test]
fn a_hub_that_is_away_is_told_once_and_what_is_pending_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name).to_str().unwrap().to_owned();
    let (ledger, key) = (path("ledger.db"), path("station.key"));
    let init = Command::new(env!("CARGO_BIN_EXE_station"))
        .args(["init", "--ledger", &ledger, "--key", &key])
        .output()
        .unwrap();
    assert!(init.status.success(), "{init:?}");
    // Nobody listens on this port.
    let hub = "postgres://line-1@127.0.0.1:1/hub";
    let arguments = ["--ledger", &ledger, "--key", &key, "--hub", hub, "--parts", "2"];
    let mut desk = Desk::new(1, &arguments, &[]);
    desk.row(&["the hub cannot be used: 127.0.0.1:1/hub cannot be reached"]);
    for number in 1..=2 {
        desk.row(&[
            "batch",
            &format!("{} of 2 good", number - 1),
            &format!("hub: {} pending", number - 1),
        ]);
        desk.play(0, &part(number, None, 1));
        desk.row(&[desk.name(0), "  PASS   ", &format!("entered as {number}")]);
    }
    let seen = desk.end(0);
    let seen = seen.lock().unwrap();
    let mut all = Parser::new(200, COLUMNS, 0);
    all.process(&seen.raw);
    let contents = all.screen().contents();
    assert_eq!(contents.matches("the hub cannot be used").count(), 1, "{contents}");
    assert!(contents.contains("The hub does not have 2 parts in 4 links yet"), "{contents}");
}
