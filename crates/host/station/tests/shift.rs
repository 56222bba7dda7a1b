// SPDX-License-Identifier: Apache-2.0

//! A whole shift on many ports, compressed: parts that fail, cables that are pulled, garbage, a station that is
//! killed and started again, idle hours. Every part that was touched is in the ledger, and none twice.
#![cfg(target_os = "linux")]

mod common;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use common::line::{failed, part, port};
use common::{ID, Random, kit_line};
use jiff::Timestamp;
use provisioning::Nonce;
use provisioning::console::NONCE_PROMPT;
use station::batch::{self, Batch, Connect, Control, Notice, Parts, Port, Verdict};
use station::clock::Clock;
use station::ledger::{Fact, Ledger, LedgerError, Link, Runs};
use station::port::{Arrival, Source};
use station::record::Wanted;
use station::steps;

/// Ports at once.
const PORTS: usize = 64;
/// Parts on each.
const PARTS: usize = 3;
/// How often the station is killed.
const KILLS: usize = 10;
/// How long an operator waits for a verdict before the part is started again.
const PATIENCE: Duration = Duration::from_millis(800);
/// Of a hundred runs, those that fail in the part.
const FAILING: usize = 2;

/// What was done to parts.
#[derive(Default)]
struct Bench {
    /// Parts that have got a nonce, and so have done something, by their device ID; how often.
    touched: Mutex<HashMap<u8, usize>>,
    /// Parts that are done.
    done: AtomicUsize,
    /// The shift is over: nobody starts anything any more.
    over: AtomicBool,
    /// Held while a station is started, which wants all of its ports, and while a cable is pulled.
    cables: RwLock<()>,
}

/// A fixture: a port with a name that stays, and parts that come on it.
struct Fixture {
    link: PathBuf,
    random: Random,
    master: File,
}

impl Fixture {
    fn new(folder: &Path, number: u64) -> Self {
        let link = folder.join(format!("port{number:02}"));
        let master = plug(&link);
        Self { link, random: Random(number), master }
    }

    /// Provisions a part until the station has said that it is entered, as an operator would: again and again.
    fn work(&mut self, number: u8, bench: &Bench, entered: &Mutex<HashSet<String>>) {
        let device = format!("{number:02x}").repeat(8);
        let mut runs = 0;
        while !entered.lock().unwrap().contains(&device) {
            if bench.over.load(Ordering::Relaxed) {
                return;
            }
            // The part needs another try, or the station was killed before it could say that it is in the ledger.
            match self.run(number, runs, bench) {
                Ok(true) => runs += 1,
                Ok(false) => {}
                // The station is away, and will be back.
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
            let since = Instant::now();
            while since.elapsed() < PATIENCE && !entered.lock().unwrap().contains(&device) {
                thread::sleep(Duration::from_millis(10));
            }
        }
        bench.done.fetch_add(1, Ordering::Relaxed);
    }

    /// One run of a part; whether it has written the part.
    fn run(&mut self, number: u8, runs: usize, bench: &Bench) -> io::Result<bool> {
        match self.random.below(10) {
            0 => {
                // The cable is pulled, and plugged in again.
                let _pulled = bench.cables.read().unwrap();
                std::fs::remove_file(&self.link)?;
                thread::sleep(Duration::from_millis(20));
                self.master = plug(&self.link);
            }
            1 => self.master.write_all(&[0x55; 3000])?,
            _ => {}
        }
        // A nonce that came too late for the last run is not for this one.
        while !line(&self.master, Duration::from_millis(1))?.is_empty() {}
        self.master.write_all(format!("\r\n{}", kit_line(NONCE_PROMPT)).as_bytes())?;
        let answer = line(&self.master, Duration::from_millis(900))?;
        let Some(nonce) = Nonce::from_hex(answer.trim()) else { return Ok(false) };
        *bench.touched.lock().unwrap().entry(number).or_default() += 1;
        if self.random.below(100) < FAILING {
            self.master.write_all(failed().as_bytes())?;
            return Ok(false);
        }
        let console = part(number, Some(nonce), if runs == 0 { 1 } else { 2 });
        // Without the boot lines, which came before the question.
        let begin = console.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let (first, rest) = console[begin..].split_at((console.len() - begin) / 2);
        self.master.write_all(first)?;
        thread::sleep(Duration::from_millis(5));
        if self.random.below(100) < FAILING {
            // It loses its power in mid-run, and is started again.
            return Ok(false);
        }
        self.master.write_all(rest)?;
        Ok(true)
    }
}

fn plug(link: &Path) -> File {
    let (master, name) = port();
    let new = link.with_extension("new");
    std::os::unix::fs::symlink(name, &new).unwrap();
    std::fs::rename(new, link).unwrap();
    master
}

/// What comes from the station until a line has ended, or within this time nothing more.
fn line(mut master: &File, time: Duration) -> io::Result<String> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) };
    let mut line = Vec::new();
    while !line.ends_with(b"\n")
        && poll(&mut [PollFd::new(master, PollFlags::IN)], Some(&timeout))? > 0
    {
        let mut buffer = [0; 100];
        let count = master.read(&mut buffer)?;
        line.extend(&buffer[..count]);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn spawn(folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_station"))
        .args(["provision", "--json", "--require-nonce", "--implementation-id", ID])
        .args(["--line-timeout", "1", "--port", "port??"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Starts a station, and waits until it waits for parts.
fn start(folder: &Path, bench: &Bench) -> Child {
    let _plugged = bench.cables.write().unwrap();
    let mut station = spawn(folder);
    let mut errors = BufReader::new(station.stderr.take().unwrap());
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    assert!(line.starts_with("Waiting for parts on "), "{line}");
    // What else it says must be read, or it would wait for that.
    thread::spawn(move || io::copy(&mut errors, &mut io::sink()));
    station
}

/// What the ledger says of the shift.
#[derive(Debug, Default, PartialEq, Eq)]
struct Account {
    attempts: usize,
    entries: usize,
    not_good: usize,
    unfinished: usize,
    devices: HashSet<[u8; 8]>,
}

fn account(path: &Path) -> Account {
    let mut account = Account::default();
    let mut runs = Runs::default();
    let audit = Ledger::open(path)
        .unwrap()
        .walk::<LedgerError>(
            None,
            |_| Ok(()),
            |found| {
                let link = found.link.unwrap();
                account.attempts += usize::from(matches!(link.fact, Fact::Attempt(_)));
                runs.take(link);
                match (&link.fact, Link::entry(link)) {
                    (Fact::Outcome(_), Some(entry)) => {
                        account.entries += 1;
                        assert!(account.devices.insert(entry.identity.device_id.0), "twice");
                    }
                    (Fact::Outcome(_), None) => account.not_good += 1,
                    _ => {}
                }
                Ok(())
            },
        )
        .unwrap();
    assert!(audit.is_clean(), "{:?}", audit.problems);
    account.unfinished = runs.unfinished().count();
    assert_eq!(audit.unfinished, account.unfinished as u64);
    account
}

#[test]
fn every_part_of_a_shift_is_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::default();
    let entered = Mutex::new(HashSet::new());
    let fixtures: Vec<_> = (0..PORTS).map(|n| Fixture::new(folder.path(), n as u64)).collect();
    thread::scope(|scope| {
        let (bench, entered) = (&bench, &entered);
        // Kept, or a fixture whose parts are done would pull its port.
        let mut working = Vec::new();
        for (number, mut fixture) in fixtures.into_iter().enumerate() {
            working.push(scope.spawn(move || {
                for part in 0..PARTS {
                    let number = u8::try_from(1 + number * PARTS + part).unwrap();
                    fixture.work(number, bench, entered);
                }
                fixture
            }));
        }
        let mut random = Random(7);
        let since = Instant::now();
        for kill in 0..=KILLS {
            let mut station = start(folder.path(), bench);
            let stdout = BufReader::new(station.stdout.take().unwrap());
            let reader = scope.spawn(move || {
                // A line without its end was not printed: the rest of it is lost with the station.
                for line in stdout.lines().map_while(Result::ok) {
                    let Ok(event) = serde_json::from_str::<serde_json::Value>(&line) else {
                        return;
                    };
                    let known = event["event"] == "entered" || event["event"] == "known";
                    if let Some(device) = event["device_id"].as_str().filter(|_| known) {
                        entered.lock().unwrap().insert(device.to_owned());
                    }
                }
            });
            let (least, more) = (Duration::from_millis(50), random.below(400));
            let time = least + Duration::from_millis(more as u64);
            let begun = Instant::now();
            while bench.done.load(Ordering::Relaxed) < PORTS * PARTS
                && (kill == KILLS || begun.elapsed() < time)
            {
                assert!(
                    since.elapsed() < Duration::from_secs(120),
                    "{:?}",
                    account(&folder.path().join("ledger.db"))
                );
                thread::sleep(Duration::from_millis(20));
            }
            if kill < KILLS {
                station.kill().unwrap();
            } else {
                bench.over.store(true, Ordering::Relaxed);
                let id = station.id().to_string();
                assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
            }
            station.wait().unwrap();
            reader.join().unwrap();
        }
    });
    let account = account(&folder.path().join("ledger.db"));
    let touched = bench.touched.into_inner().unwrap();
    // Every part is in, once.
    assert_eq!(account.entries, PORTS * PARTS);
    assert_eq!(touched.len(), PORTS * PARTS);
    // Every touch is in: each needs an attempt that was kept before.
    let nonces: usize = touched.values().sum();
    assert!(account.attempts >= nonces, "{account:?}: {nonces} nonces");
    assert_eq!(account.attempts, account.entries + account.not_good + account.unfinished);
    assert!(account.not_good > 0, "nothing went wrong: {account:?}");
    println!(
        "{} attempts: {} entries, {} not good, {} unfinished; {nonces} times a part had a nonce",
        account.attempts, account.entries, account.not_good, account.unfinished
    );
}

/// A clock that goes on while a port is idle.
#[derive(Debug)]
struct Idle {
    start: Instant,
    seconds: AtomicI64,
}

impl Clock for Idle {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_893_456_000 + self.seconds.load(Ordering::Relaxed)).unwrap()
    }

    fn instant(&self) -> Instant {
        let seconds = u64::try_from(self.seconds.load(Ordering::Relaxed)).unwrap();
        self.start + Duration::from_secs(seconds)
    }
}

/// A port on which nothing happens for hours, then a part comes, and so on.
struct Quiet {
    clock: Arc<Idle>,
    parts: Vec<Vec<u8>>,
    idle: i64,
}

/// Hours of quiet before each part.
const HOURS: i64 = 4;

impl Source for Quiet {
    fn read(&mut self, buffer: &mut [u8], _: Duration) -> io::Result<Arrival> {
        if self.idle < HOURS * 3600 {
            self.idle += 10;
            self.clock.seconds.fetch_add(10, Ordering::Relaxed);
            return Ok(Arrival::Nothing);
        }
        let Some(part) = self.parts.last_mut() else { return Ok(Arrival::Nothing) };
        let count = part.len().min(buffer.len());
        buffer[..count].copy_from_slice(&part[..count]);
        part.drain(..count);
        if part.is_empty() {
            self.parts.pop();
            self.idle = 0;
        }
        Ok(Arrival::Bytes(count))
    }

    fn write_all(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

struct Once(Option<Quiet>);

impl Connect for Once {
    fn connect(&mut self) -> io::Result<Box<dyn Source + Send>> {
        Ok(Box::new(self.0.take().ok_or(io::ErrorKind::NotFound)?))
    }
}

#[test]
fn idle_hours_cost_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Idle { start: Instant::now(), seconds: AtomicI64::new(0) });
    let mut ledger = Ledger::open_or_create(&folder.path().join("ledger.db")).unwrap();
    ledger.set_clock(Arc::clone(&clock) as Arc<dyn Clock>, false);
    let parts = vec![part(2, None, 1), part(1, None, 1)];
    let quiet = Quiet { clock: Arc::clone(&clock), parts, idle: 0 };
    let port = Port {
        name: String::from("port"),
        parts: Parts::Connected(Box::new(Once(Some(quiet)))),
        told: steps::Part::default(),
    };
    let batch = Batch {
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        ..Batch::new(Some(2), Wanted::default())
    };
    let (mut idle, mut good) = (0, 0);
    batch::run(&batch, vec![port], &mut ledger, &Control::default(), None, |notice| match notice {
        Notice::Idle(..) => idle += 1,
        Notice::Done(_, done) => {
            assert!(matches!(done.verdict, Verdict::Good(_)), "{done:?}");
            good += 1;
        }
        Notice::Observed(..) | Notice::Begun(_) => {}
        notice => panic!("{notice:?}"),
    })
    .unwrap();
    assert_eq!((idle, good), (2, 2), "each quiet is mentioned once");
    assert!(clock.seconds.load(Ordering::Relaxed) >= 2 * HOURS * 3600);
}
