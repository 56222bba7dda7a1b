// SPDX-License-Identifier: Apache-2.0

//! The station at a console: its time-outs by a clock that the test turns, and real pseudo terminals.

mod common;

use std::cell::Cell;
use std::collections::VecDeque;
use std::error::Error as _;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::kit_line;
use provisioning::Event;
use provisioning::console::{ModelledSilicon, NONCE_PROMPT, RECORD_PREFIX};
use station::console::{ConsoleError, Observed, RunEnd};
use station::port::{
    Arrival, DEFAULT_BAUD, FollowError, SerialPort, Source, TimeOut, Timeouts, follow,
};

const NONCE: [u8; 32] = [0xA5; 32];

/// A record of a real one's length.
fn record() -> String {
    "hEOhASag".repeat(60)
}

/// The lines of a good run, one by one, as a kit prints them.
fn lines() -> Vec<String> {
    let record = format!("{RECORD_PREFIX}{}", record());
    let lines = [
        Event::LifecycleVerified.message(),
        Event::LifecycleSwitched.message(),
        Event::GeneratingHuks.message(),
        Event::WritingIdentityKey.message(),
        &record,
        Event::Success.message(),
    ];
    lines.map(kit_line).to_vec()
}

fn provisioned() -> RunEnd {
    RunEnd::Provisioned { record: record(), dummy_warned: false, resumed: false }
}

/// A console whose time passes only while the station waits.
struct Console<'a> {
    /// What comes, and at which second.
    script: VecDeque<(u64, Vec<u8>)>,
    time: &'a Cell<Duration>,
    /// What follows the script: silence, or the loss of the console.
    is_lost: bool,
    /// Whether it takes what is sent.
    is_deaf: bool,
    sent: Vec<u8>,
}

impl<'a> Console<'a> {
    fn new(script: &[(u64, String)], time: &'a Cell<Duration>) -> Self {
        let script = script.iter().map(|(at, text)| (*at, text.clone().into_bytes())).collect();
        Self { script, time, is_lost: false, is_deaf: false, sent: Vec::new() }
    }
}

impl Source for Console<'_> {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<Arrival> {
        assert!(timeout <= Duration::from_millis(100), "a stop would wait for {timeout:?}");
        assert!(!timeout.is_zero(), "the station does not wait");
        let late = self.time.get() + timeout;
        let Some((at, bytes)) = self.script.front_mut() else {
            self.time.set(late);
            let lost = Err(io::ErrorKind::BrokenPipe.into());
            return if self.is_lost { lost } else { Ok(Arrival::Nothing) };
        };
        let due = Duration::from_secs(*at);
        if due > late {
            self.time.set(late);
            return Ok(Arrival::Nothing);
        }
        self.time.set(due.max(self.time.get()));
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        bytes.drain(..count);
        if bytes.is_empty() {
            self.script.pop_front();
        }
        Ok(Arrival::Bytes(count))
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sent.extend(bytes);
        if self.is_deaf { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

type Result = std::result::Result<RunEnd, FollowError>;

/// Follows the console with the usual time-outs, and gives what was observed.
fn play(console: &mut Console<'_>) -> (Result, Vec<Observed>) {
    play_with(console, &Timeouts::default())
}

fn play_with(console: &mut Console<'_>, timeouts: &Timeouts) -> (Result, Vec<Observed>) {
    let begin = Instant::now();
    let time = console.time;
    let mut seen = Vec::new();
    let result = follow(
        console,
        timeouts,
        || begin + time.get(),
        || false,
        || NONCE,
        |observed| seen.push(observed.clone()),
    );
    (result, seen)
}

/// Follows the script, and gives the second at which the station was done.
fn play_script(script: &[(u64, String)]) -> (Result, u64) {
    let time = Cell::new(Duration::ZERO);
    let (result, _) = play(&mut Console::new(script, &time));
    (result, time.get().as_secs())
}

#[test]
fn a_run_is_followed() {
    let time = Cell::default();
    let mut console = Console::new(&[(59, lines().concat())], &time);
    let (result, seen) = play(&mut console);
    assert_eq!(result.unwrap(), provisioned());
    let events = [
        Event::LifecycleVerified,
        Event::LifecycleSwitched,
        Event::GeneratingHuks,
        Event::WritingIdentityKey,
    ];
    let mut expected = events.map(Observed::Event).to_vec();
    expected.extend([Observed::Record(record()), Observed::Finished]);
    assert_eq!(seen, expected);
    assert!(console.sent.is_empty(), "nobody has asked");
}

#[test]
fn a_part_may_take_its_time_and_no_more() {
    let lines = lines();
    let prompt = kit_line(NONCE_PROMPT);
    let modelled = kit_line(&ModelledSilicon { part: "nrf5340", seed: 1 }.to_string());
    let noise = || (0..200).map(|at| (at, String::from("noise\n")));
    let driver = |from: u64| (from..200).step_by(15).map(|at| (at, String::from("W: text\r\n")));
    let (start, run) = (Duration::from_secs(60), Duration::from_secs(120));
    let silence = Duration::from_secs(20);
    for (script, expected, at) in [
        (vec![], TimeOut::Start(start), 60),
        (noise().collect(), TimeOut::Start(start), 60),
        // Neither half a line nor what the model says counts.
        (vec![(50, lines[0].trim_end().to_owned())], TimeOut::Start(start), 60),
        (vec![(50, modelled)], TimeOut::Start(start), 60),
        (vec![(50, lines[0].clone())], TimeOut::Line(silence), 70),
        (vec![(50, prompt)], TimeOut::Line(silence), 70),
        (vec![(50, lines[0].clone()), (69, lines[1].clone())], TimeOut::Line(silence), 89),
        ((10..99).map(|at| (at, lines[0][..1].to_owned())).collect(), TimeOut::Start(start), 60),
        ([(50, lines[0].clone())].into_iter().chain(driver(51)).collect(), TimeOut::Run(run), 170),
    ] {
        let (result, second) = play_script(&script);
        let Err(FollowError::TimeOut(error)) = result else { panic!("{result:?} of {script:?}") };
        assert_eq!((error, second), (expected, at), "{script:?}");
    }
    // The slowest good run.
    let times = [59, 78, 97, 116, 135, 154];
    let script: Vec<_> = times.into_iter().zip(lines).collect();
    let (result, second) = play_script(&script);
    assert_eq!((result.unwrap(), second), (provisioned(), 154));
}

#[test]
fn a_read_does_not_wait_longer_than_is_left() {
    let time = Cell::new(Duration::ZERO);
    let begun = [(0, lines()[0].clone())];
    for (script, limits) in
        [(&[][..], [150, 1000, 1000]), (&begun, [1000, 150, 1000]), (&begun, [1000, 1000, 150])]
    {
        let [start, line, run] = limits.map(Duration::from_millis);
        time.set(Duration::ZERO);
        let mut console = Console::new(script, &time);
        let (result, _) = play_with(&mut console, &Timeouts { start, line, run });
        assert!(matches!(result, Err(FollowError::TimeOut(_))), "{result:?}");
        assert_eq!(time.get(), Duration::from_millis(150), "{limits:?}");
    }
}

#[test]
fn what_has_come_counts_however_late_it_is_read() {
    let time = Cell::new(Duration::ZERO);
    let begin = Instant::now();
    let mut console = Console::new(&[(0, lines().concat())], &time);
    // The station is held up for an hour at the first line.
    let hold = |_: &Observed| time.set(Duration::from_secs(3600));
    let clock = || begin + time.get();
    let stop = AtomicBool::new(false);
    let result = follow(
        &mut console,
        &Timeouts::default(),
        clock,
        || stop.load(Ordering::Relaxed),
        || NONCE,
        hold,
    );
    assert_eq!(result.unwrap(), provisioned());
}

#[test]
fn a_nonce_is_sent_once_and_only_if_it_is_wanted() {
    let time = Cell::default();
    let mut console = Console::new(&[(0, kit_line(NONCE_PROMPT)), (1, lines().concat())], &time);
    let (result, seen) = play(&mut console);
    assert_eq!(result.unwrap(), provisioned());
    assert_eq!(seen[0], Observed::NonceWanted);
    assert_eq!(console.sent, format!("{}\r\n", "a5".repeat(32)).into_bytes());

    let mut console = Console::new(&[(0, kit_line(NONCE_PROMPT)), (1, lines().concat())], &time);
    console.is_deaf = true;
    let (result, _) = play(&mut console);
    assert!(matches!(result, Err(FollowError::NotSent(_))), "{result:?}");
}

#[test]
fn a_lost_console_and_a_bad_one_end_the_run() {
    let time = Cell::default();
    let mut console = Console::new(&[(0, lines()[0].clone())], &time);
    console.is_lost = true;
    let (result, seen) = play(&mut console);
    assert!(matches!(result, Err(FollowError::Lost(_))), "{result:?}");
    assert_eq!(seen.len(), 1);

    let (result, _) = play_script(&[(0, lines()[0].clone()), (1, lines()[0].clone())]);
    let is_restart = matches!(result, Err(FollowError::Console(ConsoleError::Restarted(_))));
    assert!(is_restart, "{result:?}");
}

#[test]
fn a_stop_is_obeyed_at_the_next_read() {
    let time = Cell::new(Duration::ZERO);
    let begin = Instant::now();
    for wanted in 0..3 {
        let script = [(0, lines()[0].clone()), (1, lines()[1].clone()), (2, lines()[2..].concat())];
        let mut console = Console::new(&script, &time);
        time.set(Duration::ZERO);
        let stop = AtomicBool::new(wanted == 0);
        let mut count = 0;
        let on_observed = |_: &Observed| {
            count += 1;
            stop.store(count == wanted, Ordering::Relaxed);
        };
        let clock = || begin + time.get();
        let result = follow(
            &mut console,
            &Timeouts::default(),
            clock,
            || stop.load(Ordering::Relaxed),
            || NONCE,
            on_observed,
        );
        assert!(matches!(result, Err(FollowError::Stopped)), "{result:?}");
        assert_eq!(count, wanted);
    }
}

#[test]
fn an_error_gives_the_error_behind_it() {
    let lost = FollowError::Lost(io::ErrorKind::BrokenPipe.into());
    assert!(lost.source().unwrap().is::<io::Error>());
    let missing = SerialPort::open("/there/is/no/such/port", DEFAULT_BAUD).unwrap_err();
    assert!(missing.source().unwrap().is::<serialport::Error>());
    assert!(FollowError::Stopped.source().is_none());
    // Those that only pass another error on are that error.
    assert!(FollowError::Console(ConsoleError::Noise).source().is_none());
}

#[test]
fn another_file_than_a_port_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letter.txt");
    let missing = folder.path().join("tty");
    std::fs::write(&file, "Dear all").unwrap();
    // Windows does not tell the two apart.
    let no_port = if cfg!(windows) { "or it is not there" } else { "there is no port" };
    for (path, complaint) in [(&missing, no_port), (&file, "letter.txt")] {
        let name = path.to_str().unwrap();
        let text = SerialPort::open(name, DEFAULT_BAUD).unwrap_err().to_string();
        assert!(text.contains(name) && text.contains(complaint), "{text}");
        assert!(text.contains("heck the") && text.contains("name of the port"), "{text}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"Dear all");
}

/// A part at the other end of a pseudo terminal.
#[cfg(unix)]
mod terminal {
    use std::io::Write;
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;

    use common::terminal::{BAUD, pair};
    use serialport::TTYPort;

    use super::*;

    /// Lets `part` play at one end while the station follows the other. The part gets everything that
    /// the station has observed.
    fn play(
        part: impl FnOnce(TTYPort, Receiver<Observed>) -> Option<TTYPort> + Send,
        stop: impl Fn() -> bool,
    ) -> Result {
        let (terminal, name, end) = pair();
        let mut console = SerialPort::open(&name, BAUD).unwrap();
        drop(end);
        let (sender, seen) = channel();
        thread::scope(|scope| {
            let part = scope.spawn(|| part(terminal, seen));
            let on_observed = |observed: &Observed| {
                // A part that was unplugged does not listen.
                let _ = sender.send(observed.clone());
            };
            let timeouts = Timeouts::default();
            let result = follow(&mut console, &timeouts, Instant::now, stop, || NONCE, on_observed);
            // A part that still waits for one would wait for ever.
            drop(sender);
            // Its end is open until here: a terminal that is closed forgets what was not read yet.
            drop(part.join().unwrap());
            result
        })
    }

    fn wait_for(seen: &Receiver<Observed>, event: Event<'static>) {
        assert!(
            seen.iter().any(|observed| observed == Observed::Event(event)),
            "{event} was not seen"
        );
    }

    #[test]
    fn a_part_is_followed() {
        let result = play(
            |mut part, _| {
                part.write_all(b"\0\xFF*** Booting Zephyr OS ***\r\n").unwrap();
                for bytes in lines().concat().as_bytes().chunks(7) {
                    part.write_all(bytes).unwrap();
                }
                Some(part)
            },
            || false,
        );
        assert_eq!(result.unwrap(), provisioned());
    }

    #[test]
    fn a_part_gets_its_nonce() {
        let result = play(
            |mut part, _| {
                part.write_all(kit_line(NONCE_PROMPT).as_bytes()).unwrap();
                let mut nonce = [0; 66];
                part.read_exact(&mut nonce).unwrap();
                assert_eq!(nonce[..], *format!("{}\r\n", "a5".repeat(32)).as_bytes());
                part.write_all(lines().concat().as_bytes()).unwrap();
                Some(part)
            },
            || false,
        );
        assert_eq!(result.unwrap(), provisioned());
    }

    #[test]
    fn a_cable_is_pulled() {
        let result = play(
            |mut part, seen| {
                part.write_all(lines()[..3].concat().as_bytes()).unwrap();
                wait_for(&seen, Event::GeneratingHuks);
                None
            },
            || false,
        );
        assert!(matches!(result, Err(FollowError::Lost(_))), "{result:?}");
    }

    #[test]
    fn the_operator_stops_the_station() {
        let stop = AtomicBool::new(false);
        let result = play(
            |mut part, seen| {
                part.write_all(lines()[0].as_bytes()).unwrap();
                wait_for(&seen, Event::LifecycleVerified);
                stop.store(true, Ordering::Relaxed);
                Some(part)
            },
            || stop.load(Ordering::Relaxed),
        );
        assert!(matches!(result, Err(FollowError::Stopped)), "{result:?}");
    }

    #[test]
    fn a_quiet_port_is_no_lost_one() {
        let (mut part, name, end) = pair();
        let mut console = SerialPort::open(&name, BAUD).unwrap();
        drop(end);
        let mut buffer = [0; 8];
        let mut read = || console.read(&mut buffer, Duration::from_millis(10)).unwrap();
        assert_eq!(read(), Arrival::Nothing);
        part.write_all(b"x").unwrap();
        // The terminal takes its time, of which a read may see more than one piece.
        let arrived = std::iter::repeat_with(&mut read).find(|read| *read != Arrival::Nothing);
        assert_eq!(arrived, Some(Arrival::Bytes(1)));
        assert_eq!(read(), Arrival::Nothing);

        let timeouts = Timeouts { start: Duration::from_millis(30), ..Timeouts::default() };
        let result = follow(&mut console, &timeouts, Instant::now, || false, || NONCE, |_| ());
        assert!(matches!(result, Err(FollowError::TimeOut(TimeOut::Start(_)))), "{result:?}");
    }

    #[test]
    fn a_port_is_for_one_program() {
        let (_part, name, _end) = pair();
        let first = SerialPort::open(&name, BAUD).unwrap();
        let text = SerialPort::open(&name, BAUD).unwrap_err().to_string();
        assert!(
            text.contains("another program is using the port") && text.contains(&name),
            "{text}"
        );
        drop(first);
        assert!(SerialPort::open(&name, BAUD).is_ok());
    }
}
