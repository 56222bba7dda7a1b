// SPDX-License-Identifier: Apache-2.0

//! A station that is killed at random: what it has acknowledged is in the ledger, whole, and it goes on. The head
//! beside the ledger has all that was acknowledged, and never more than the ledger.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{fs, thread};

use station::ledger::{Ledger, LedgerError, head_file_of};

const KILLS: usize = 1000;
/// Kills before a new ledger is begun, so that some hit its creation.
const KILLS_PER_LEDGER: usize = 10;

/// Each has its own ledgers, and makes its share of the kills.
const THREADS: usize = 2;
const _: () = assert!(KILLS.is_multiple_of(KILLS_PER_LEDGER * THREADS));

/// Which entries were acknowledged: number and hash as the station has printed them.
type Acknowledged = BTreeMap<u64, String>;

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
            send.send((event["number"].as_u64().unwrap(), hash)).unwrap();
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
    for (number, hash) in read {
        assert!(acknowledged.insert(number, hash).is_none(), "number {number} was given twice");
    }
}

/// Whether there is a ledger; it must be whole and have everything that was acknowledged.
fn check(path: &str, acknowledged: &Acknowledged, behind: &mut Behind) -> bool {
    let ledger = match Ledger::open(path.as_ref()) {
        Ok(ledger) => ledger,
        Err(LedgerError::Missing(_)) if acknowledged.is_empty() => return false,
        Err(error) => panic!("{error}"),
    };
    let audit = ledger.audit(None, |_| Ok(()), |_| ()).unwrap();
    assert!(audit.is_clean(), "{:?}", audit.problems);
    let mut hashes = BTreeMap::new();
    ledger
        .walk::<LedgerError>(
            None,
            |_| Ok(()),
            |found| {
                let hash = found.row.unwrap().hash;
                let hash =
                    hash.iter().fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
                hashes.insert(found.number, hash);
                Ok(())
            },
        )
        .unwrap();
    for (number, hash) in acknowledged {
        assert_eq!(hashes.get(number), Some(hash), "entry {number} was acknowledged");
    }
    let head = fs::read_to_string(head_file_of(path.as_ref())).ok();
    let kept = head.map(|head| {
        let (number, hash) = head.trim_end().split_once(' ').unwrap();
        let number = number.parse().unwrap();
        assert_eq!(hashes[&number], hash, "the head of an entry that is there");
        number
    });
    let last = acknowledged.keys().last().copied();
    assert!(kept >= last, "entry {last:?} was acknowledged, and the head was {kept:?}");
    behind.0 += usize::from(kept < hashes.keys().last().copied());
    true
}

/// What the kills of one thread have met.
#[derive(Default)]
struct Met {
    /// Entries that were acknowledged.
    entries: usize,
    /// Kills before there was a ledger.
    early: usize,
    behind: Behind,
}

/// Kills stations at this ledger, and lets one that is not killed go on with it.
fn kill_at(path: &str, met: &mut Met) {
    let mut acknowledged = Acknowledged::new();
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
        met.early += usize::from(!check(path, &acknowledged, &mut met.behind));
    }
    let status = Command::new(env!("CARGO_BIN_EXE_station"))
        .args(["provision", "--simulate", "2", "--ledger", path])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert!(check(path, &acknowledged, &mut met.behind));
    met.entries += acknowledged.len();
    // Some were killed between an entry and its head: the next opening has brought it up.
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
            all.behind.0 += met.behind.0;
        }
    });
    let Met { entries, early, behind } = all;
    assert!(entries > KILLS, "{entries} entries");
    assert!(early > 0, "no kill came before there was a ledger");
    assert!(behind.0 > 0, "no kill came between an entry and its head");
}
