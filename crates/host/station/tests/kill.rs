// SPDX-License-Identifier: Apache-2.0

//! A station that is killed at random: what it has acknowledged is in the ledger, whole, and so is every run that it
//! has begun; and it goes on. The head beside the ledger has all that was acknowledged, and never more than the ledger.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{fs, thread};

use common::audited;
use station::ledger::{Audit, End, Fact, Ledger, LedgerError, Link, head_file_of};

const KILLS: usize = 1000;
/// Kills before a new ledger is begun, so that some hit its creation.
const KILLS_PER_LEDGER: usize = 10;

/// Each has its own ledgers, and makes its share of the kills.
const THREADS: usize = 2;
const _: () = assert!(KILLS.is_multiple_of(KILLS_PER_LEDGER * THREADS));

/// Which entries were acknowledged: for each number the link of its attempt, and the hash, as the station has printed
/// them.
type Acknowledged = BTreeMap<u64, (u64, String)>;

/// How often a head was behind its ledger.
#[derive(Default)]
struct Behind(usize);

/// When a station is killed.
struct Kill {
    /// After so many acknowledgements were read,
    acknowledged: usize,
    /// and this time more.
    delay: Duration,
}

/// Starts a station, kills it, and adds what it had acknowledged by then.
fn start_and_kill(ledger: &str, kill: &Kill, acknowledged: &mut Acknowledged) {
    let mut station = Command::new(env!("CARGO_BIN_EXE_station"))
        .args(["provision", "--simulate", "1000000", "--json", "--ledger", ledger])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(station.stdout.take().unwrap());
    let (send, entered) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut line = String::new();
        // A line without its end was not acknowledged.
        while stdout.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(event["event"], "entered", "{line}");
            let hash = event["hash"].as_str().unwrap().to_owned();
            let number = |name| event[name].as_u64().unwrap();
            send.send((number("number"), (number("attempt"), hash))).unwrap();
            line.clear();
        }
    });
    let mut read: Vec<_> = entered.iter().take(kill.acknowledged).collect();
    assert_eq!(read.len(), kill.acknowledged, "the station has ended by itself");
    thread::sleep(kill.delay);
    station.kill().unwrap(); // SIGKILL
    station.wait().unwrap();
    read.extend(entered);
    reader.join().unwrap();
    for (number, entered) in read {
        assert!(acknowledged.insert(number, entered).is_none(), "number {number} was given twice");
    }
}

/// The attempts without an outcome, by their links, and their ports.
type CutOff = BTreeMap<u64, String>;

/// What an audit finds, every link, and what was cut off. The ledger must be whole, and every attempt in it accounted
/// for.
fn read(ledger: &Ledger) -> (Audit, Vec<Link>, CutOff) {
    let (audit, links) = audited(ledger);
    assert!(audit.is_clean(), "{:?}", audit.problems);
    let (mut begun, mut others) = (CutOff::new(), 0);
    for link in &links {
        match &link.fact {
            Fact::Attempt(attempt) => _ = begun.insert(link.number, attempt.port.clone()),
            Fact::Outcome(outcome) => {
                let begun = begun.remove(&outcome.attempt);
                assert!(begun.is_some(), "an outcome is of an attempt before it");
                others += u64::from(!matches!(outcome.end, End::Good(_)));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(audit.unfinished, begun.len() as u64);
    assert_eq!(audit.entries + others + audit.unfinished, audit.attempts);
    (audit, links, begun)
}

/// What an audit finds, if there is a ledger; it must be whole and have everything that was acknowledged.
fn check(path: &str, acknowledged: &Acknowledged, behind: &mut Behind) -> Option<(Audit, CutOff)> {
    let ledger = match Ledger::open(path.as_ref()) {
        Ok(ledger) => ledger,
        Err(LedgerError::Missing(_)) if acknowledged.is_empty() => return None,
        Err(error) => panic!("{error}"),
    };
    let (audit, links, cut_off) = read(&ledger);
    let hash_of = |link: &Link| {
        link.hash.iter().fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"))
    };
    let (mut entered, mut last) = (BTreeMap::new(), 0);
    for link in &links {
        if let Fact::Outcome(outcome) = &link.fact {
            last = link.number;
            if let End::Good(entry) = &outcome.end {
                entered.insert(entry.number, (link.number, (outcome.attempt, hash_of(link))));
            }
        }
    }
    let mut last_acknowledged = None;
    for (number, told) in acknowledged {
        let (link, found) = &entered[number];
        assert_eq!(found, told, "entry {number} was acknowledged");
        last_acknowledged = Some(*link);
    }
    let head = fs::read_to_string(head_file_of(path.as_ref())).ok();
    let kept = head.map(|head| {
        let (number, hash) = head.trim_end().split_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        let link = &links[usize::try_from(number).unwrap() - 1];
        assert_eq!(hash_of(link), hash, "the head of a link that is there");
        number
    });
    let known = kept.unwrap_or_default();
    assert!(
        kept >= last_acknowledged,
        "{last_acknowledged:?} was acknowledged, and the head was {kept:?}"
    );
    behind.0 += usize::from(known < last);
    Some((audit, cut_off))
}

/// What the kills of one thread have met.
#[derive(Default)]
struct Met {
    /// Entries that were acknowledged.
    entries: usize,
    /// Kills before there was a ledger.
    early: usize,
    /// Runs that were cut off.
    unfinished: u64,
    behind: Behind,
}

/// Kills stations at this ledger, and lets one that is not killed go on with it.
fn kill_at(path: &str, met: &mut Met) {
    let mut acknowledged = Acknowledged::new();
    let (mut unfinished, mut last) = (0, 0);
    for kill in 0..KILLS_PER_LEDGER {
        let mut random = [0; 5];
        getrandom::fill(&mut random).unwrap();
        let [count, micros @ ..] = random;
        let micros = u64::from(u32::from_le_bytes(micros));
        // The first ones while the ledger is created or opened, the others while it is written.
        let kill = if kill < 3 {
            Kill { acknowledged: 0, delay: Duration::from_micros(micros % 10_000) }
        } else {
            let acknowledged = usize::from(count % 16);
            Kill { acknowledged, delay: Duration::from_micros(micros % 3_000) }
        };
        start_and_kill(path, &kill, &mut acknowledged);
        match check(path, &acknowledged, &mut met.behind) {
            Some((audit, cut_off)) => {
                // Those of the station that was just killed.
                let ports: Vec<_> = cut_off.range(last + 1..).map(|(_, port)| port).collect();
                // A modelled part is made while the outcome of the one before is on its way: two of a port at most.
                let mut of_port = BTreeMap::<_, usize>::new();
                for port in &ports {
                    *of_port.entry(port).or_default() += 1;
                }
                assert!(of_port.values().all(|runs| *runs <= 2), "too many on a port: {ports:?}");
                (unfinished, last) = (audit.unfinished, audit.head.number);
            }
            None => met.early += 1,
        }
    }
    let status = Command::new(env!("CARGO_BIN_EXE_station"))
        .args(["provision", "--simulate", "2", "--ledger", path])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let (audit, _) = check(path, &acknowledged, &mut met.behind).unwrap();
    assert_eq!(audit.unfinished, unfinished, "nobody ends the runs that were cut off");
    met.unfinished += unfinished;
    met.entries += acknowledged.len();
    // Some were killed between a link and its head: the next opening has brought it up.
    assert!(Ledger::open(path.as_ref()).is_ok());
}

#[test]
fn no_acknowledged_entry_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let half = |thread: usize| {
        let mut met = Met::default();
        for batch in 0..KILLS / KILLS_PER_LEDGER / THREADS {
            let path = folder.path().join(format!("{thread}-{batch}.db"));
            let path = path.to_str().unwrap();
            kill_at(path, &mut met);
            if batch == 0 {
                fs::remove_file(path).unwrap();
                let error = Ledger::open_or_create(path.as_ref()).unwrap_err();
                assert!(matches!(error, LedgerError::Gone(..)), "{error:?}");
            }
            for end in ["", "-wal", "-shm", "-head", "-head.new"] {
                let _ = fs::remove_file(format!("{path}{end}"));
            }
        }
        met
    };
    let mut all = Met::default();
    thread::scope(|scope| {
        let half = &half;
        let halves: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || half(thread))).collect();
        for met in halves.into_iter().map(|half| half.join().unwrap()) {
            all.entries += met.entries;
            all.early += met.early;
            all.unfinished += met.unfinished;
            all.behind.0 += met.behind.0;
        }
    });
    let Met { entries, early, unfinished, behind } = all;
    assert!(entries > KILLS, "{entries} entries");
    assert!(early > 0, "no kill came before there was a ledger");
    assert!(unfinished > 0, "no kill came in a run");
    assert!(behind.0 > 0, "no kill came between a link and its head");
}

/// A part that has its nonce has begun, so from then on the ledger has its attempt.
#[cfg(unix)]
#[test]
fn no_attempt_is_lost() {
    use std::io::Write as _;

    use provisioning::console::NONCE_PROMPT;
    use provisioning::{Config, IdentityKeySource, Nonce};
    use serialport::TTYPort;
    use silicon::{Silicon, Soc};

    const KILLED: u8 = 20;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    // The port, and the station on it when it waits for parts.
    let start = || {
        let (part, name, _end) = common::terminal::pair();
        let mut station = Command::new(env!("CARGO_BIN_EXE_station"))
            .args(["provision", "--json", "--parts", "1", "--implementation-id", common::ID])
            .args(["--port", &name])
            .arg("--ledger")
            .arg(&path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(station.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("Waiting for parts on "), "{line}");
        (part, name, station)
    };
    let nonce_of = |part: &mut TTYPort| {
        write!(part, "{NONCE_PROMPT}\r\n").unwrap();
        let mut nonce = String::new();
        BufReader::new(part).read_line(&mut nonce).unwrap();
        Nonce::from_hex(nonce.trim()).unwrap()
    };
    let mut ports = Vec::new();
    for killed in 1..=KILLED {
        let (mut part, name, mut station) = start();
        nonce_of(&mut part);
        station.kill().unwrap(); // SIGKILL
        station.wait().unwrap();
        ports.push(name);
        let (audit, _, cut_off) = read(&Ledger::open(&path).unwrap());
        let killed = u64::from(killed);
        assert_eq!((audit.attempts, audit.unfinished, audit.entries), (killed, killed, 0));
        assert!(cut_off.values().eq(&ports), "{cut_off:?}");
    }
    let (mut part, _, mut station) = start();
    let nonce = Some(nonce_of(&mut part));
    let config = Config { nonce, ..Config::new(common::id(), IdentityKeySource::Generated) };
    for message in common::run_messages(Silicon::erased(Soc::Nrf5340, [7; 32]), &config, 1) {
        write!(part, "{message}\r\n").unwrap();
    }
    assert!(station.wait().unwrap().success());
    let (audit, ..) = read(&Ledger::open(&path).unwrap());
    let killed = u64::from(KILLED);
    assert_eq!((audit.attempts, audit.unfinished, audit.entries), (killed + 1, killed, 1));
}
