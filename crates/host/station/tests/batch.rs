// SPDX-License-Identifier: Apache-2.0

//! A batch on real ports: pseudo terminals, on which a thread plays the part. `cargo xtask check --only station`
//! has it follow a live QEMU.
#![cfg(unix)]

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::line::{failed, part, part_of, port};
use common::{ID, kit_line, run_messages};
use provisioning::console::{ModelledSilicon, NONCE_PROMPT, RECORD_PREFIX};
use provisioning::{Config, IdentityKeySource, ImplementationId, Nonce};
use serde_json::Value;
use silicon::{Silicon, Soc};
use station::batch::{
    self, Batch, Connect, Control, NOTICES_WAITING, Notice, Parts, Port, Verdict,
};
use station::console::Observed;
use station::ledger::Ledger;
use station::port::{self, Source, Timeouts};
use station::record::Wanted;
use station::steps;
use tempfile::TempDir;

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
            let (master, name) = port();
            command.arg("--port").arg(name);
            masters.push(master);
        }
        let mut child = command
            .current_dir(folder.path())
            .stdin(Stdio::piped())
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

    /// Types or scans a line.
    fn scan(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
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

    /// How many attempts its ledger has.
    fn attempts(&self) -> u64 {
        let ledger = Ledger::open(&self.folder.path().join("ledger.db")).unwrap();
        ledger.audit(None, |_| Ok(()), |_| ()).unwrap().attempts
    }

    /// Waits for the end of the station, which is to have that exit code.
    fn end(mut self, code: i32) -> (Vec<Value>, TempDir) {
        while self.next() {}
        assert_eq!(self.child.wait().unwrap().code(), Some(code), "{:?}", self.events);
        (self.events, self.folder)
    }
}

/// Good, known, failed and retried, at the end.
fn counts(events: &[Value]) -> [u64; 4] {
    let end = events.last().unwrap();
    let counts = ["good", "known", "failed", "retried"].map(|name| end[name].as_u64().unwrap());
    assert_eq!(end["begun"].as_u64().unwrap(), counts[..3].iter().sum::<u64>(), "they add up");
    counts
}

fn names<'a>(events: &'a [Value], name: &str) -> Vec<&'a str> {
    events.iter().filter_map(|event| event[name].as_str()).collect()
}

#[test]
fn parts_on_two_ports_are_entered() {
    let mut station = Station::start(2, &["--parts", "4"]);
    station.play(0, &part(1, None, 1));
    assert!(station.next());
    // The rest may come on any port.
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
    assert!(station.next());
    // The run that failed does not count.
    station.play(0, &part(2, None, 1));
    let (events, _folder) = station.end(1);
    assert_eq!(names(&events, "error"), ["line-timeout"]);
    assert_eq!(names(&events, "event"), ["not-entered", "entered", "entered", "end"]);
    assert_eq!(counts(&events), [2, 0, 1, 0]);
}

#[test]
fn a_part_that_was_erased_since_is_set_aside() {
    let mut station = Station::start(1, &["--parts", "2"]);
    station.play(0, &part(1, None, 1));
    assert!(station.next());
    let other_identity = part_of([[1; 8], [2; 8], [2; 8], [2; 8]].concat(), None, 1);
    station.play(0, &other_identity);
    assert!(station.next());
    station.play(0, &part(2, None, 1));
    let (events, _folder) = station.end(1);
    assert_eq!(names(&events, "event"), ["entered", "not-entered", "entered", "end"]);
    assert_eq!(names(&events, "error"), ["seen-before"]);
    assert!(names(&events, "text")[0].contains("entry 1 with another identity"), "{events:?}");
}

#[test]
fn a_part_that_asks_gets_a_nonce_and_an_old_record_will_not_do() {
    for (honest, code) in [(true, 0), (false, 1)] {
        let station =
            Station::start(1, &["--require-nonce", "--give-up-after", "1", "--parts", "1"]);
        let mut master = station.ports[0].try_clone().unwrap();
        let player = thread::spawn(move || {
            master.write_all(kit_line(NONCE_PROMPT).as_bytes()).unwrap();
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
    let mut station = Station::start(1, &["--require-nonce", "--give-up-after", "1"]);
    station.play(0, &part(1, None, 1));
    let (events, _folder) = station.end(1);
    assert_eq!(names(&events, "error"), ["no-nonce"]);
}

#[test]
fn modelled_silicon_is_taken_on_request_only() {
    let modelled = ModelledSilicon { part: "nrf5340", seed: 1 }.to_string();
    let mut console = kit_line(&modelled).into_bytes();
    let run = part(1, None, 1);
    let begin = run.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    console.extend(&run[begin..]);
    let mut station = Station::start(1, &["--give-up-after", "1"]);
    station.play(0, &console);
    let (events, _folder) = station.end(1);
    assert_eq!(names(&events, "error"), ["modelled"]);
    let mut station = Station::start(1, &["--allow-modelled", "--parts", "1"]);
    station.play(0, &console);
    let (events, _folder) = station.end(0);
    assert_eq!(names(&events, "event"), ["entered", "end"]);
}

#[test]
fn a_bad_run_enters_nothing() {
    let good = part(1, None, 1);
    let text = String::from_utf8(good.clone()).unwrap();
    let twisted = text.replace(&format!("{RECORD_PREFIX}gtK"), &format!("{RECORD_PREFIX}gtL"));
    let interleaved = {
        let other = String::from_utf8(part(2, None, 1)).unwrap();
        let mut lines: Vec<&str> =
            text.lines().zip(other.lines()).flat_map(|(a, b)| [a, b]).collect();
        lines.push("");
        lines.join("\r\n")
    };
    let other_product = {
        let id = ImplementationId::from_bytes([0xC8; 32]).unwrap();
        let config = Config::new(id, IdentityKeySource::Generated);
        let messages = run_messages(Silicon::erased(Soc::Nrf5340, [5; 32]), &config, 1);
        messages.iter().map(|message| kit_line(message)).collect::<String>()
    };
    for (console, error) in [
        (twisted.as_str(), "record"),
        (&interleaved, "console"),
        (&text.replace("Generating", "Gener\u{0}ting"), "console"),
        (&other_product, "record"),
        (&failed(), "failed"),
        (&text[..text.len() - 30], "line-timeout"),
    ] {
        let once = ["--give-up-after", "1", "--line-timeout", "1"];
        let mut station = Station::start(1, &once);
        station.play(0, console.as_bytes());
        let (events, folder) = station.end(1);
        assert_eq!(names(&events, "error"), [error], "{events:?}");
        let ledger = Ledger::open(&folder.path().join("ledger.db")).unwrap();
        assert_eq!(ledger.entries().unwrap(), 0);
        assert_eq!(ledger.head().unwrap().number, 2, "an attempt and its outcome");
    }
}

/// A port whose other end is a pseudo terminal that can be replaced, as an adapter that is plugged in again.
struct Socket {
    link: std::path::PathBuf,
    master: Option<File>,
}

impl Socket {
    fn plug(&mut self) {
        let (master, name) = port();
        let new = self.link.with_extension("new");
        std::os::unix::fs::symlink(name, &new).unwrap();
        std::fs::rename(new, &self.link).unwrap();
        self.master = Some(master);
    }

    fn unplug(&mut self) {
        std::fs::remove_file(&self.link).unwrap();
        self.master = None;
    }
}

#[test]
fn a_port_that_is_lost_is_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut socket = Socket { link: folder.path().join("port"), master: None };
    socket.plug();
    let mut station = Station::start(1, &["--parts", "3", "--port", socket.link.to_str().unwrap()]);
    // Idle.
    socket.unplug();
    assert!(station.next());
    thread::sleep(Duration::from_millis(500));
    socket.plug();
    assert!(station.next());
    // In mid-run.
    let console = part(1, None, 1);
    socket.master.as_mut().unwrap().write_all(&console[..console.len() / 2]).unwrap();
    // The other port is not held up.
    station.play(0, &part(2, None, 1));
    assert!(station.next());
    socket.unplug();
    assert!(station.next() && station.next());
    socket.plug();
    assert!(station.next());
    socket.master.as_mut().unwrap().write_all(&part(1, None, 2)).unwrap();
    assert!(station.next());
    station.play(0, &part(3, None, 1));
    let (events, _folder) = station.end(1);
    assert_eq!(
        names(&events, "event"),
        ["lost", "back", "entered", "not-entered", "lost", "back", "entered", "entered", "end"]
    );
    assert_eq!(names(&events, "error"), ["port"]);
    assert_eq!(counts(&events), [3, 0, 1, 0]);
}

#[test]
fn an_idle_port_waits_for_ever() {
    let mut station = Station::start(2, &["--parts", "1", "--start-timeout", "1"]);
    assert!(station.next() && station.next());
    // It is mentioned once.
    thread::sleep(Duration::from_millis(2500));
    station.play(1, &part(1, None, 1));
    let (events, _folder) = station.end(0);
    assert_eq!(names(&events, "event"), ["idle", "idle", "entered", "end"]);
    assert!(names(&events, "text")[0].contains("no part has begun for 1 s"), "{events:?}");
}

/// Enters a part on port 0, and has the station read the first half of what another one prints there.
fn begin_a_second_part(station: &mut Station, console: &[u8]) {
    station.play(0, &part(2, None, 1));
    assert!(station.next());
    station.play(0, &console[..console.len() / 2]);
    // Until it was read.
    while station.attempts() < 2 {
        thread::yield_now();
    }
}

fn signal(station: &Station, signal: &str) {
    let id = station.child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

#[test]
fn a_batch_that_is_ended_finishes_what_runs() {
    for name in ["-INT", "-TERM"] {
        let mut station = Station::start(2, &[]);
        let console = part(1, None, 1);
        begin_a_second_part(&mut station, &console);
        signal(&station, name);
        thread::sleep(Duration::from_millis(300));
        // No part begins any more.
        station.play(1, &part(3, None, 1));
        station.play(0, &console[console.len() / 2..]);
        let (events, _folder) = station.end(0);
        assert_eq!(names(&events, "event"), ["entered", "entered", "end"]);
        assert_eq!(counts(&events), [2, 0, 0, 0]);
        assert_eq!(events[2]["ledger_entries"], 2);
    }
}

#[test]
fn a_second_signal_ends_at_once_and_names_what_is_not_finished() {
    let mut station = Station::start(1, &[]);
    let console = part(1, None, 1);
    begin_a_second_part(&mut station, &console);
    signal(&station, "-INT");
    thread::sleep(Duration::from_millis(300));
    let since = std::time::Instant::now();
    signal(&station, "-INT");
    let (events, folder) = station.end(1);
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    assert_eq!(names(&events, "event"), ["entered", "not-entered", "end"]);
    assert_eq!(names(&events, "error"), ["stopped"]);
    let ledger = Ledger::open(&folder.path().join("ledger.db")).unwrap();
    assert_eq!((ledger.entries().unwrap(), ledger.head().unwrap().number), (1, 4));
}

#[test]
fn failed_runs_do_not_use_the_batch_up() {
    let mut station = Station::start(2, &["--parts", "2", "--give-up-after", "3"]);
    let mut play = |port, console: &[u8]| {
        station.play(port, console);
        assert!(station.next());
    };
    // More than are wanted, on either port, but never three in a row.
    for seed in [1, 2] {
        play(0, failed().as_bytes());
        play(1, failed().as_bytes());
        play(0, failed().as_bytes());
        play(0, &part(seed, None, 1));
    }
    let (events, _folder) = station.end(1);
    assert_eq!(names(&events, "error"), ["failed"; 6]);
    assert_eq!(names(&events, "event").iter().filter(|name| **name == "entered").count(), 2);
    assert_eq!(counts(&events), [2, 0, 6, 0]);
}

#[test]
fn a_batch_in_which_everything_fails_has_an_end() {
    let mut station = Station::start(2, &["--parts", "10", "--give-up-after", "3"]);
    station.play(1, &part(1, None, 1));
    assert!(station.next());
    // A part that resets for ever, and one that is started again for ever.
    for _ in 0..3 {
        station.play(0, failed().as_bytes());
        assert!(station.next());
    }
    assert!(station.next());
    let known = part(1, None, 2);
    for _ in 0..3 {
        station.play(1, &known);
        assert!(station.next());
    }
    let (events, _folder) = station.end(1);
    assert_eq!(names(&events, "error"), ["failed"; 3]);
    assert_eq!(names(&events, "event").iter().filter(|name| **name == "given-up").count(), 2);
    assert_eq!(counts(&events), [1, 3, 3, 0]);
}

#[test]
fn noise_is_mentioned_and_waited_out() {
    // Whole lines and pieces, of a part's console and of another.
    let noises = ["noise\r\n", "x", "E: text\r\n", "*** Booting Zephyr OS ***\r\n"];
    let mut station = Station::start(noises.len(), &["--start-timeout", "60"]);
    let babbling = AtomicUsize::new(1);
    let mut ports: Vec<_> = station.ports.iter().map(|port| port.try_clone().unwrap()).collect();
    thread::scope(|scope| {
        for (port, noise) in ports.iter_mut().zip(noises) {
            let (babbling, noise) = (&babbling, noise.repeat(64));
            scope.spawn(move || {
                while babbling.load(Ordering::Relaxed) > 0 {
                    port.write_all(noise.as_bytes()).unwrap();
                }
                port.write_all(b"\r\n").unwrap();
            });
        }
        for _ in noises {
            assert!(station.next());
        }
        babbling.store(0, Ordering::Relaxed);
    });
    for (port, seed) in (0..noises.len()).zip(1..) {
        station.play(port, &part(seed, None, 1));
        assert!(station.next());
    }
    signal(&station, "-INT");
    let (events, _folder) = station.end(0);
    // Each port mentions it once, and has its part then.
    let mut seen = names(&events, "event");
    seen.retain(|name| *name != "end");
    assert_eq!(seen[..4], ["noise"; 4], "{events:?}");
    assert_eq!(seen[4..], ["entered"; 4], "{events:?}");
    assert!(names(&events, "text")[0].contains("64 KiB came"), "{events:?}");
}

/// A port that is there once.
struct Once(Option<port::SerialPort>);

impl Connect for Once {
    fn connect(&mut self) -> std::io::Result<Box<dyn Source + Send>> {
        Ok(Box::new(self.0.take().ok_or(std::io::ErrorKind::NotFound)?))
    }
}

#[test]
fn a_chatty_console_waits_until_it_is_shown() {
    const LINES: usize = 20_000;
    let line = format!("E: {}\r\n", "x".repeat(1000));
    // What is on its way through the terminal and the station's own buffer, generously.
    let slack = 256 * 1024 / line.len();

    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open_or_create(&folder.path().join("ledger")).unwrap();
    let (mut master, name) = port();
    let port = port::SerialPort::open(&name, port::DEFAULT_BAUD).unwrap();
    let port = Once(Some(port));
    let batch = Batch {
        give_up_after: Some(1),
        timeouts: Timeouts { run: Duration::from_secs(3600), ..Timeouts::default() },
        ..Batch::new(Some(1), Wanted::default())
    };
    let parts = Parts::Connected(Box::new(port));
    let port = Port { name: String::from("port"), parts, told: steps::Part::default() };
    let control = Control::default();
    let written = AtomicUsize::new(0);
    thread::scope(|scope| {
        let written = &written;
        // The result keeps the part's end open until all is over.
        let _part = scope.spawn(move || {
            let console = part(1, None, 1);
            let mut lines = console.split_inclusive(|byte| *byte == b'\n');
            for first in lines.by_ref().take(2) {
                master.write_all(first).unwrap();
            }
            for _ in 0..LINES {
                master.write_all(line.as_bytes()).unwrap();
                written.fetch_add(1, Ordering::Relaxed);
            }
            for rest in lines {
                master.write_all(rest).unwrap();
            }
            master
        });
        let (mut shown, mut entered) = (0, 0);
        batch::run(&batch, vec![port], &mut ledger, &control, None, |event| match event {
            Notice::Observed(_, Observed::Other(_)) => {
                if shown == 0 {
                    while written.load(Ordering::Relaxed) < NOTICES_WAITING {
                        thread::yield_now();
                    }
                }
                // Slower than what comes.
                if shown < LINES / 10 {
                    thread::sleep(Duration::from_micros(100));
                }
                shown += 1;
                let waiting = written.load(Ordering::Relaxed).saturating_sub(shown);
                assert!(waiting <= NOTICES_WAITING + slack, "{waiting} lines wait");
            }
            Notice::Done(_, done) => {
                assert!(matches!(done.verdict, Verdict::Good(_)), "{done:?}");
                entered += 1;
            }
            Notice::Observed(..) | Notice::Begun(_) => {}
            notice => panic!("{notice:?}"),
        })
        .unwrap();
        assert_eq!((shown, entered), (LINES, 1), "nothing is lost");
    });
}

#[test]
fn a_serial_number_is_asked_for_before_a_run() {
    let mut station = Station::start(1, &["--parts", "2", "--scan"]);
    assert!(station.next());
    // The console waits until the station knows which part it is.
    station.play(0, &part(1, None, 1));
    station.scan("  SN-1 ");
    assert!(station.next() && station.next());
    // Not twice, and nothing that cannot be one.
    station.scan("SN-1");
    assert!(station.next() && station.next());
    station.scan("");
    assert!(station.next() && station.next());
    station.scan("SN-2");
    station.play(0, &failed().into_bytes());
    assert!(station.next() && station.next());
    // The part that has failed comes back.
    station.scan("SN-2");
    station.play(0, &part(2, None, 1));
    let (events, folder) = station.end(1);
    assert_eq!(
        names(&events, "event"),
        [
            "asked",
            "entered",
            "asked",
            "not-taken",
            "asked",
            "not-taken",
            "asked",
            "not-entered",
            "asked",
            "entered",
            "end"
        ]
    );
    assert_eq!(names(&events, "serial_number"), ["SN-1", "SN-2", "SN-2"]);
    assert!(names(&events, "text")[2].contains("the serial number of entry 1"), "{events:?}");
    assert_eq!(counts(&events), [2, 0, 1, 1], "the second run of SN-2 is a retry");
    let ledger = Ledger::open(&folder.path().join("ledger.db")).unwrap();
    assert_eq!(ledger.entry_of_serial_number("SN-2").unwrap(), Some(2));
}

#[test]
fn a_serial_number_is_asked_for_after_a_run() {
    let mut station = Station::start(2, &["--parts", "2", "--scan=after"]);
    // Scanned before anybody asked: it may be of any part.
    station.scan("SN-0");
    let keyboard = station.child.stdin.as_ref().unwrap();
    while rustix::io::ioctl_fionread(keyboard).unwrap() > 0 {
        thread::yield_now();
    }
    station.play(0, &part(1, None, 1));
    assert!(station.next() && station.next());
    station.scan("SN-1");
    assert!(station.next());
    station.play(1, &part(2, None, 1));
    assert!(station.next());
    // One label on two parts.
    station.scan("SN-1");
    assert!(station.next());
    station.play(1, &part(2, None, 2));
    assert!(station.next());
    station.scan("SN-2");
    let (events, folder) = station.end(1);
    assert_eq!(
        names(&events, "event"),
        ["not-taken", "asked", "entered", "asked", "not-entered", "asked", "entered", "end"]
    );
    assert_eq!(names(&events, "serial_number"), ["SN-1", "SN-1", "SN-2"]);
    assert_eq!(names(&events, "error"), ["seen-before"]);
    assert_eq!(counts(&events), [2, 0, 1, 1], "its device ID tells the retry");

    // A part that is known under another label.
    let ledger = folder.path().join("ledger.db");
    let ledger = ["--ledger", ledger.to_str().unwrap()];
    let mut station =
        Station::start(1, &[&["--give-up-after", "2", "--scan=after"], &ledger[..]].concat());
    for (label, event) in [("SN-2", "known"), ("SN-3", "not-entered")] {
        station.play(0, &part(2, None, 2));
        assert!(station.next());
        station.scan(label);
        assert!(station.next());
        assert_eq!(station.events.last().unwrap()["event"], event, "{:?}", station.events);
    }
    let (events, _folder) = station.end(1);
    assert!(
        names(&events, "text")[2].contains("entry 2, with another serial number"),
        "{events:?}"
    );
}

/// A command that writes its standard input and a variable into a file of the folder of the ledger.
fn tell(folder: &TempDir, name: &str, code: u8) -> String {
    let file = folder.path().join(name);
    let file = file.display();
    let script =
        format!("cat >> {file}; echo $STATION_PORT >> {file}; echo said {name}; exit {code}");
    format!("sh -c '{script}'")
}

#[test]
fn steps_are_carried_out_around_each_part() {
    let folder = tempfile::tempdir().unwrap();
    let [before, pass, fail] = ["before", "pass", "fail"].map(|name| tell(&folder, name, 0));
    let mut station = Station::start(
        1,
        &[
            "--parts",
            "1",
            "--before",
            &before,
            "--on-pass",
            &pass,
            "--on-fail",
            &fail,
            "--batch",
            "b7",
        ],
    );
    // What comes before the part is in its place is of no run.
    station.play(0, &part(9, None, 1));
    assert!(station.next());
    station.scan("");
    while station.attempts() < 1 {
        thread::yield_now();
    }
    // What the step has started.
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    while read("before").lines().count() < 2 {
        thread::yield_now();
    }
    station.play(0, failed().as_bytes());
    assert!(station.next() && station.next());
    station.scan("");
    while read("before").lines().count() < 4 {
        thread::yield_now();
    }
    station.play(0, &part(1, None, 1));
    let (events, line) = station.end(1);
    assert_eq!(names(&events, "event"), ["asked", "not-entered", "asked", "entered", "end"]);
    let json = |name: &str| -> Value {
        let told = read(name);
        let mut lines = told.lines().rev();
        assert_eq!(lines.next(), events[1]["port"].as_str());
        serde_json::from_str(lines.next().unwrap()).unwrap()
    };
    assert_eq!(json("before")["batch"], "b7");
    assert_eq!(
        (&json("fail")["outcome"], &json("fail")["error"]),
        (&"failed".into(), &"failed".into())
    );
    let pass = json("pass");
    for name in ["device_id", "ueid", "number", "hash", "implementation_id"] {
        assert_eq!(pass[name], events[3][name], "{name}");
    }
    assert_eq!(pass["outcome"], "good");
    // What they have printed is in the attempt.
    let attempt = events[3]["attempt"].to_string();
    let shown = Command::new(env!("CARGO_BIN_EXE_station"))
        .args(["attempts", &attempt, "--json"])
        .current_dir(line.path())
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let programs = shown["programs"].as_array().unwrap();
    assert_eq!(
        programs.iter().map(|p| p["step"].as_str().unwrap()).collect::<Vec<_>>(),
        ["before", "on-pass"]
    );
    assert_eq!(programs[0]["output"], "said before\n");
    assert_eq!(programs[1]["text"], "exit code 0");
}

/// As kits do, which have their port on board.
#[test]
fn a_part_that_brings_its_port_is_begun_by_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut socket = Socket { link: folder.path().join("port"), master: None };
    socket.plug();
    let port = socket.link.to_str().unwrap();
    let mut station = Station::start(0, &["--parts", "2", "--before", "true", "--port", port]);
    for number in 1..=2 {
        assert!(station.next());
        station.scan("");
        if number == 2 {
            // Another question has no answer, and ends the station.
            station.child.stdin = None;
        }
        while station.attempts() < number && station.child.try_wait().unwrap().is_none() {
            thread::yield_now();
        }
        let console = part(u8::try_from(number).unwrap(), None, 1);
        socket.master.as_mut().unwrap().write_all(&console).unwrap();
        while station.events.last().unwrap()["event"] != "entered" {
            assert!(station.next());
        }
        socket.unplug();
        socket.plug();
    }
    let (events, _folder) = station.end(0);
    assert_eq!(
        names(&events, "event"),
        ["asked", "entered", "asked", "lost", "back", "entered", "end"]
    );
}

#[test]
fn a_step_that_fails_decides() {
    let folder = tempfile::tempdir().unwrap();
    let bad = tell(&folder, "bad", 3);
    // Before: the run is not begun.
    let mut station = Station::start(1, &["--give-up-after", "1", "--before", &bad]);
    assert!(station.next());
    station.scan("");
    let (events, line) = station.end(1);
    assert_eq!(names(&events, "event"), ["asked", "not-entered", "given-up", "end"]);
    assert_eq!(names(&events, "error"), ["step"]);
    let text = names(&events, "text")[1];
    assert!(text.contains("exit code 3") && text.contains("said bad"), "{text}");
    assert_eq!(Ledger::open(&line.path().join("ledger.db")).unwrap().entries().unwrap(), 0);
    // Behind a good part: it is in the ledger, and not done.
    let mut station = Station::start(1, &["--give-up-after", "1", "--on-pass", &bad]);
    station.play(0, &part(1, None, 1));
    let (events, line) = station.end(1);
    assert_eq!(names(&events, "event"), ["not-done", "given-up", "end"]);
    assert_eq!(counts(&events), [0, 0, 1, 0]);
    assert_eq!(Ledger::open(&line.path().join("ledger.db")).unwrap().entries().unwrap(), 1);
    // It is not taken for a good run later on.
    let station = |arguments: &[&str]| -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_station"))
            .args(arguments)
            .current_dir(line.path())
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    assert_eq!(station(&["attempts", "--failed", "--json"])["result"], "not-done");
    let stats = station(&["stats", "--json"]);
    assert_eq!([&stats["good"], &stats["failed"], &stats["first_pass"]["good"]], [0, 1, 0]);
    assert_eq!(stats["failures"][0]["cause"], "step");
    // Behind a bad one: it is mentioned.
    let mut station = Station::start(1, &["--give-up-after", "1", "--on-fail", &bad]);
    station.play(0, failed().as_bytes());
    let (events, _line) = station.end(1);
    assert_eq!(names(&events, "event"), ["step-failed", "not-entered", "given-up", "end"]);
}

#[test]
fn a_part_that_does_not_begin_after_its_step_has_failed() {
    let mut station =
        Station::start(1, &["--give-up-after", "1", "--before", "true", "--start-timeout", "1"]);
    assert!(station.next());
    station.scan("");
    let (events, _folder) = station.end(1);
    assert_eq!(names(&events, "error"), ["start-timeout"]);
}

#[test]
fn an_image_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    // A modelled part measures nothing.
    let (good, other) = (folder.path().join("zephyr.bin"), folder.path().join("other.bin"));
    std::fs::write(&other, [0xA5; 5000]).unwrap();
    std::fs::write(&good, []).unwrap();
    let mut station =
        Station::start(1, &["--give-up-after", "1", "--image", other.to_str().unwrap()]);
    station.play(0, &part(1, None, 1));
    let (events, _line) = station.end(1);
    assert_eq!(names(&events, "error"), ["image"]);
    assert!(names(&events, "text")[0].contains("by an image with SHA-256 e3b0c442"), "{events:?}");
}

#[test]
fn a_station_file_says_it_all() {
    let (master, name) = port();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("line.toml");
    let text = format!(
        "station = \"L1\"\nbatch = \"b7\"\nimplementation_id = \"{ID}\"\nledger = \"the.db\"\n[[ports]]\nport = \"{name}\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let mut master = master;
    let arguments = ["provision", "--json", "--parts", "1", "--station-file"];
    let station = Command::new(env!("CARGO_BIN_EXE_station"))
        .args(arguments)
        .arg(&file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // A terminal keeps what comes before somebody opens it.
    master.write_all(&part(1, None, 1)).unwrap();
    let output = station.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = Command::new(env!("CARGO_BIN_EXE_station"))
        .args(["list", "--json", "--station-file"])
        .arg(&file)
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!([&shown["station"], &shown["batch"]], ["L1", "b7"]);
    assert!(folder.path().join("the.db").exists());
}
