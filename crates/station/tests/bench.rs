// SPDX-License-Identifier: Apache-2.0

//! The station on real ports: pseudo terminals, on which a thread plays the part. A live QEMU is followed by
//! `.ci/station-qemu` of the application.
#![cfg(unix)]

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use provisioning::{Config, IdentityKeySource, ImplementationId, Nonce};
use serde_json::Value;
use serialport::{SerialPort, TTYPort};
use silicon::{Silicon, Soc};
use tempfile::TempDir;

const ID: &str = "C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7";

/// A station on some ports.
struct Station {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// What it has printed.
    events: Vec<Value>,
    folder: TempDir,
    /// The other ends of its ports.
    ports: Vec<File>,
}

impl Station {
    /// Starts a station on so many ports, and waits until it waits for parts.
    fn start(ports: usize, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_station"));
        command.args(["provision", "--json", "--implementation-id", ID]).args(arguments);
        let mut masters = Vec::new();
        for _ in 0..ports {
            let (master, slave) = TTYPort::pair().unwrap();
            command.arg("--port").arg(slave.name().unwrap());
            // SAFETY: nobody else has it any more.
            let master = unsafe { OwnedFd::from_raw_fd(master.into_raw_fd()) };
            // A clone is not inherited by the station, which would keep the port alive.
            masters.push(File::from(master.try_clone().unwrap()));
        }
        let mut child = command
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("Waiting for parts on "), "{line}");
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout, events: Vec::new(), folder, ports: masters }
    }

    /// Plays a part on a port.
    fn play(&mut self, port: usize, console: &[u8]) {
        self.ports[port].write_all(console).unwrap();
    }

    /// Waits for the next event; whether there was one.
    fn next(&mut self) -> bool {
        let mut line = String::new();
        if self.stdout.read_line(&mut line).unwrap() == 0 {
            return false;
        }
        self.events.push(serde_json::from_str(&line).unwrap());
        true
    }

    /// Waits for the end of the station, which is to have that exit code.
    fn end(mut self, code: i32) -> (Vec<Value>, TempDir) {
        while self.next() {}
        assert_eq!(self.child.wait().unwrap().code(), Some(code), "{:?}", self.events);
        (self.events, self.folder)
    }
}

/// What a part prints on its console, as a kit does. The seed decides which part.
fn part(seed: u8, nonce: Option<Nonce>, runs: usize) -> Vec<u8> {
    part_of(vec![seed; 32], nonce, runs)
}

/// As `part`. The first eight bytes of the seed are the device ID.
fn part_of(seed: Vec<u8>, nonce: Option<Nonce>, runs: usize) -> Vec<u8> {
    let id: ImplementationId = ID.parse().unwrap();
    let mut part = Silicon::erased(Soc::Nrf5340, seed.try_into().unwrap());
    let mut console = String::new();
    for _ in 0..runs {
        console = String::from("*** Booting nRF Connect SDK v2.7.0 ***\r\n");
        let config = Config { nonce, ..Config::new(id, IdentityKeySource::Generated) };
        let (same, result) = simulator::run(part, &config, |event| {
            write!(console, "INFO:provisioning_image: {event}\r\n").unwrap();
        });
        if let Err(failure) = result {
            write!(console, "ERROR:provisioning_image: {failure}\r\n").unwrap();
            console += "E: >>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0\r\n";
        }
        part = same;
    }
    console.into_bytes()
}

fn names<'a>(events: &'a [Value], name: &str) -> Vec<&'a str> {
    events.iter().filter_map(|event| event[name].as_str()).collect()
}

#[test]
fn parts_on_two_ports_are_entered() {
    let mut station = Station::start(2, &["--parts", "4"]);
    station.play(0, &part(1, None, 1));
    assert!(station.next());
    // Nobody has to know on which port the rest will be.
    for seed in [2, 3, 4] {
        station.play(1, &part(seed, None, 1));
        assert!(station.next());
    }
    let (events, _folder) = station.end(0);
    assert_eq!(names(&events, "event"), ["entered", "entered", "entered", "entered", "end"]);
    let devices = [1, 2, 3, 4].map(|seed| format!("{seed:02x}").repeat(8));
    assert_eq!(names(&events, "device_id"), devices);
}

#[test]
fn a_part_whose_record_was_lost_prints_it_again() {
    let mut station = Station::start(1, &["--parts", "2", "--line-timeout", "1"]);
    // The cable slips before the record comes.
    let console = part(1, None, 1);
    station.play(0, &console[..console.len() - 200]);
    assert!(station.next());
    station.play(0, &part(1, None, 2));
    let (events, _folder) = station.end(1);
    assert_eq!(names(&events, "error"), ["line-timeout"]);
    assert_eq!(names(&events, "event"), ["not-entered", "entered", "end"]);
}

#[test]
fn a_part_that_was_erased_since_is_set_aside() {
    let mut station = Station::start(1, &["--parts", "2"]);
    station.play(0, &part(1, None, 1));
    assert!(station.next());
    let other_identity = part_of([[1; 8], [2; 8], [2; 8], [2; 8]].concat(), None, 1);
    station.play(0, &other_identity);
    let (events, _folder) = station.end(1);
    assert_eq!(names(&events, "error"), ["seen-before"]);
    assert!(names(&events, "text")[0].contains("entry 1 with another identity"), "{events:?}");
}

#[test]
fn a_part_that_asks_gets_a_nonce_and_an_old_record_will_not_do() {
    for (honest, code) in [(true, 0), (false, 1)] {
        let station = Station::start(1, &["--require-nonce"]);
        let mut master = station.ports[0].try_clone().unwrap();
        let player = thread::spawn(move || {
            master
                .write_all(format!("INFO:provisioning_image: {}\r\n", Nonce::PROMPT).as_bytes())
                .unwrap();
            let mut line = String::new();
            BufReader::new(&mut master).read_line(&mut line).unwrap();
            let nonce = Nonce::from_hex(line.trim()).unwrap();
            let nonce = if honest { nonce } else { Nonce([0; 32]) };
            // Without the boot lines, which came before the question.
            let console = part(1, Some(nonce), 1);
            let begin = console.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            master.write_all(&console[begin..]).unwrap();
        });
        player.join().unwrap();
        let (events, _folder) = station.end(code);
        if honest {
            assert_eq!(names(&events, "event"), ["entered", "end"]);
        } else {
            assert_eq!(names(&events, "error"), ["record"]);
            assert!(events[0]["text"].as_str().unwrap().contains("another nonce"), "{events:?}");
        }
    }
    // An image that does not ask.
    let mut station = Station::start(1, &["--require-nonce"]);
    station.play(0, &part(1, None, 1));
    let (events, _folder) = station.end(1);
    assert_eq!(names(&events, "error"), ["no-nonce"]);
}

#[test]
fn modelled_silicon_is_taken_on_request_only() {
    let mut console =
        b"WARN:provisioning_image: modelled nrf5340, seed 1: nothing that is written \
                        here is secret\r\n"
            .to_vec();
    let run = part(1, None, 1);
    let begin = run.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    console.extend(&run[begin..]);
    let mut station = Station::start(1, &[]);
    station.play(0, &console);
    let (events, _folder) = station.end(1);
    assert_eq!(names(&events, "error"), ["modelled"]);
    let mut station = Station::start(1, &["--allow-modelled"]);
    station.play(0, &console);
    let (events, _folder) = station.end(0);
    assert_eq!(names(&events, "event"), ["entered", "end"]);
}

#[test]
fn what_is_no_good_run_enters_nothing() {
    let good = part(1, None, 1);
    let text = String::from_utf8(good.clone()).unwrap();
    let twisted = text.replace("Provisioning record: gtK", "Provisioning record: gtL");
    let interleaved = {
        let other = String::from_utf8(part(2, None, 1)).unwrap();
        let mut lines: Vec<&str> =
            text.lines().zip(other.lines()).flat_map(|(a, b)| [a, b]).collect();
        lines.push("");
        lines.join("\r\n")
    };
    let other_product = {
        let id = ImplementationId::from_bytes([0xC8; 32]).unwrap();
        let mut console = String::new();
        let config = Config::new(id, IdentityKeySource::Generated);
        let _ = simulator::run(Silicon::erased(Soc::Nrf5340, [5; 32]), &config, |event| {
            write!(console, "INFO:provisioning_image: {event}\r\n").unwrap();
        });
        console
    };
    for (console, error) in [
        (twisted.as_str(), "record"),
        (&interleaved, "console"),
        (&text.replace("Generating", "Gener\u{0}ting"), "console"),
        (&other_product, "record"),
        (
            "ERROR:provisioning_image: Failure: the part has a MKEK already. Nothing was written to the part. Set it aside, or erase it with ERASEALL and start again. [10]\r\n",
            "failed",
        ),
        (&text[..text.len() - 30], "line-timeout"),
        ("", "start-timeout"),
    ] {
        let mut station = Station::start(1, &["--line-timeout", "1", "--start-timeout", "3"]);
        station.play(0, console.as_bytes());
        let (events, folder) = station.end(1);
        assert_eq!(names(&events, "error"), [error], "{events:?}");
        let ledger = station::ledger::Ledger::open(&folder.path().join("ledger.db")).unwrap();
        assert_eq!(ledger.head().unwrap().number, 0);
    }
}

#[test]
fn a_port_that_is_pulled_ends_its_bench_only() {
    let mut station = Station::start(2, &["--parts", "2"]);
    drop(station.ports.remove(0));
    assert!(station.next());
    for seed in [1, 2] {
        station.play(0, &part(seed, None, 1));
        assert!(station.next());
    }
    let (events, _folder) = station.end(1);
    let mut seen = names(&events, "event");
    seen.sort_unstable();
    assert_eq!(seen, ["end", "entered", "entered", "not-entered"]);
    assert_eq!(names(&events, "error"), ["port"]);
}
