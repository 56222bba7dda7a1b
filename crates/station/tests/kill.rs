// SPDX-License-Identifier: Apache-2.0

//! A station that is killed at random: what it has acknowledged is in the ledger, whole, and it goes on.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use station::ledger::{Ledger, LedgerError};

const KILLS: usize = 1000;
/// Kills before a new ledger is begun, so that some hit its creation.
const KILLS_PER_LEDGER: usize = 10;

/// Which entries were acknowledged: number and hash as the station has printed them.
type Acknowledged = BTreeMap<u64, String>;

/// Starts a station, kills it after `delay`, and adds what it had acknowledged by then.
fn start_and_kill(ledger: &str, delay: Duration, acknowledged: &mut Acknowledged) {
    let mut station = Command::new(env!("CARGO_BIN_EXE_station"))
        .args(["provision", "--simulate", "1000000", "--json", "--ledger", ledger])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(station.stdout.take().unwrap());
    let reader = thread::spawn(move || {
        let mut entered = Vec::new();
        let mut line = String::new();
        // A line without its end was not acknowledged.
        while stdout.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(event["event"], "entered", "{line}");
            let hash = event["hash"].as_str().unwrap().to_owned();
            entered.push((event["number"].as_u64().unwrap(), hash));
            line.clear();
        }
        entered
    });
    thread::sleep(delay);
    station.kill().unwrap(); // SIGKILL
    station.wait().unwrap();
    for (number, hash) in reader.join().unwrap() {
        assert!(acknowledged.insert(number, hash).is_none(), "number {number} was given twice");
    }
}

/// Whether there is a ledger; it must be whole and have everything that was acknowledged.
fn check(ledger: &str, acknowledged: &Acknowledged) -> bool {
    let ledger = match Ledger::open(ledger.as_ref()) {
        Ok(ledger) => ledger,
        Err(LedgerError::Missing(_)) if acknowledged.is_empty() => return false,
        Err(error) => panic!("{error}"),
    };
    let audit = ledger.audit(None, |_| Ok(()), |_| ()).unwrap();
    assert!(audit.is_clean(), "{:?}", audit.problems);
    let mut hashes = BTreeMap::new();
    ledger
        .entries::<LedgerError>(|row| {
            let hash =
                row.hash.iter().fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
            hashes.insert(row.number, hash);
            Ok(())
        })
        .unwrap();
    for (number, hash) in acknowledged {
        assert_eq!(hashes.get(number), Some(hash), "entry {number} was acknowledged");
    }
    true
}

#[test]
fn no_acknowledged_entry_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (mut entries, mut created, mut with_acknowledged) = (0, 0, 0);
    for batch in 0..KILLS / KILLS_PER_LEDGER {
        let path = folder.path().join(format!("{batch}.db"));
        let path = path.to_str().unwrap();
        let mut acknowledged = Acknowledged::new();
        for _ in 0..KILLS_PER_LEDGER {
            let mut random = [0; 4];
            getrandom::fill(&mut random).unwrap();
            // Up to 50 ms, and more often early, where a ledger is created and opened.
            let delay = u64::from(u32::from_le_bytes(random) % 50_000) >> (random[0] % 4);
            let before = acknowledged.len();
            start_and_kill(path, Duration::from_micros(delay), &mut acknowledged);
            with_acknowledged += usize::from(acknowledged.len() > before);
            created += usize::from(check(path, &acknowledged));
        }
        // A station that is not killed goes on with it.
        let status = Command::new(env!("CARGO_BIN_EXE_station"))
            .args(["provision", "--simulate", "2", "--ledger", path])
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        assert!(check(path, &acknowledged));
        entries += acknowledged.len();
        for end in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{path}{end}"));
        }
    }
    // The kills have hit what they were to hit: before there is a ledger, and while it is written.
    assert!(created < KILLS && with_acknowledged > KILLS / 10, "{created}, {with_acknowledged}");
    assert!(entries > KILLS, "{entries} entries");
}
