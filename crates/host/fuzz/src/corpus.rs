// SPDX-License-Identifier: Apache-2.0

//! What a fuzzer begins with: consoles, records and ledgers of modelled parts.
//!
//! `cargo run -p fuzz` makes the files anew. It must be run when what a part prints has changed: `cargo test`
//! fails until then.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use provisioning::console::{
    FAILURE_PREFIX, LOG_PREFIXES, ModelledSilicon, NONCE_PROMPT, RECORD_PREFIX,
};
use provisioning::{Config, Event, Failure, IdentityKeySource, ImplementationId};
use rusqlite::Connection;
use silicon::power::{Cut, Reach};
use silicon::{Silicon, Soc};
use station::clock::Clock;
use station::ledger::{
    Attempt, Author, Begun, Export, Failed, Ledger, New, NewEnd, NewEntry, NewOutcome, Program,
    Step, Text, Withdrawal,
};
use station::record::{self, VerifiedRecord, Wanted};
use station::transcript::Transcript;

/// The names of the targets' folders.
pub const FOLDERS: [&str; 4] = ["console", "record", "ledger", "export"];

/// The parts that end with a record: what they are, where their identity key is from, and where their first run
/// loses power.
const GOOD: [(Soc, IdentityKeySource, Option<Cut>); 5] = [
    (Soc::Nrf5340, IdentityKeySource::Generated, None),
    (Soc::Nrf9160, IdentityKeySource::Generated, None),
    (Soc::Nrf5340, IdentityKeySource::Driver, Some(Cut { write: 4, reach: Reach::After })),
    (Soc::Nrf5340, IdentityKeySource::Dummy, None),
    (Soc::Nrf9160, IdentityKeySource::Driver, None),
];

/// A modelled part that was provisioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it printed in its last run.
    pub lines: Vec<String>,
    /// Its record as text.
    pub text: String,
    /// The same as bytes.
    pub bytes: Vec<u8>,
    /// What is in it.
    pub record: VerifiedRecord,
}

/// The parts, which are the same each time. The second-last has the test-only key.
pub fn parts() -> &'static [Part] {
    static PARTS: OnceLock<Vec<Part>> = OnceLock::new();
    PARTS.get_or_init(|| {
        GOOD.iter().zip(1..).map(|((soc, source, cut), n)| part(*soc, *source, *cut, n)).collect()
    })
}

fn part(soc: Soc, source: IdentityKeySource, cut: Option<Cut>, number: u8) -> Part {
    let lines = lines(soc, source, cut, number);
    let text = lines.iter().find_map(|line| line.strip_prefix(RECORD_PREFIX)).map(str::to_owned);
    let text = text.unwrap_or_else(|| panic!("part {number} ends without a record: {lines:?}"));
    let bytes = record::decode(&text).expect("a part prints base64url");
    let wanted = Wanted { allow_dummy: true, ..Wanted::default() };
    let record = record::verify(&bytes, &wanted).expect("a part prints a good record");
    Part { lines, text, bytes, record }
}

/// What a part prints in its last run.
fn lines(soc: Soc, source: IdentityKeySource, cut: Option<Cut>, number: u8) -> Vec<String> {
    let id = ImplementationId::from_bytes([number; 32]).expect("it is not erased");
    let config = Config::new(id, source);
    let mut part = Silicon::erased(soc, [number; 32]);
    if let Some(cut) = cut {
        part.cut(cut);
        (part, _) = simulator::run(part, &config, |_| ());
        assert!(part.is_off(), "the cut has not fired");
        part.restart([!number; 32]);
    }
    let mut lines = Vec::new();
    let (_, result) = simulator::run(part, &config, |event| lines.push(event.to_string()));
    lines.extend(result.err().map(|failure| failure.to_string()));
    lines
}

/// The files of a target: names and contents.
///
/// # Panics
/// The station does not take the parts.
#[must_use]
pub fn files(target: &str) -> Vec<(String, Vec<u8>)> {
    match target {
        "console" => consoles(),
        "record" => records(),
        "ledger" => ledgers(),
        "export" => exports(),
        _ => panic!("there is no target {target}"),
    }
}

fn consoles() -> Vec<(String, Vec<u8>)> {
    let bare =
        |lines: &[String]| lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
    let [info, warning, error] = LOG_PREFIXES;
    let kit = |lines: &[String]| {
        let prefix = |line: &str| match line {
            _ if line.starts_with(FAILURE_PREFIX) => error,
            _ if line == Event::DummyKey.message() => warning,
            _ => info,
        };
        let line = |line: &String| format!("{}{line}\r\n", prefix(line));
        lines.iter().flat_map(|text| line(text).into_bytes()).collect::<Vec<u8>>()
    };
    let parts = parts();
    let cut = Cut { write: 12, reach: Reach::Torn(1) };
    let torn = lines(Soc::Nrf5340, IdentityKeySource::Generated, Some(cut), 6);
    let mut complete = parts[1].lines.clone();
    complete.retain(|line| line.starts_with(RECORD_PREFIX));
    complete.insert(0, Event::Resuming.to_string());
    complete.insert(1, Event::HuksNotProven.to_string());
    complete.push(Failure::already_provisioned(parts[1].record.identity.ueid()).to_string());
    let mut asking = vec![String::from(NONCE_PROMPT)];
    asking.extend(parts[1].lines.iter().cloned());
    let mut driver = b"*** Booting nRF Connect SDK v2.7.0 ***\r\n\xFF\0".to_vec();
    driver.extend(kit(&parts[2].lines));
    let modelled = ModelledSilicon { part: Soc::Nrf5340.name(), seed: 1 };
    let mut crash = format!("{warning}{modelled}\n").into_bytes();
    crash.extend(kit(&parts[0].lines[..3]));
    crash.extend(b"E: a driver's own words\nERROR:silicon: an illegal access\r\nE: >>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0\r\n");
    let consoles = [
        ("fresh-bare", bare(&parts[0].lines)),
        ("asking-bare", bare(&asking)),
        ("fresh-kit", kit(&parts[1].lines)),
        ("resumed-kit", driver),
        ("dummy-kit", kit(&parts[3].lines)),
        ("complete-kit", kit(&complete)),
        ("torn-kit", kit(&torn)),
        ("crash", crash),
    ];
    consoles.map(|(name, console)| (String::from(name), console)).into()
}

fn records() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> =
        (1..).zip(parts()).map(|(n, part)| (format!("{n}.cbor"), part.bytes.clone())).collect();
    files.push((String::from("1.txt"), parts()[0].text.clone().into_bytes()));
    files
}

/// A second from one time to the next, from a day on that is after every build of the station.
#[derive(Debug, Default)]
pub struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        let day: Timestamp = "2100-01-01T00:00:00Z".parse().expect("a time");
        day + SignedDuration::from_secs(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// Of the [`facts`], those in the first ledger.
pub const CLOSED: usize = 7;

/// Two ledgers, the second with a write-ahead log behind it that holds its last links. Their pages are small,
/// so that a fuzzer finds what is in them.
fn ledgers() -> Vec<(String, Vec<u8>)> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let clock = Arc::new(Ticking::default());
    let open = || {
        let mut ledger = Ledger::open_or_create(&path).expect("a ledger");
        ledger.set_clock(Arc::<Ticking>::clone(&clock), false);
        let text = |text: &str| Some(String::from(text));
        ledger.set_author(Author { station: text("bench 3"), operator: text("kim") });
        ledger
    };
    let facts = facts();
    let (first, second) = facts.split_at(CLOSED);
    open().append(first).expect("the ledger takes them");
    let connection = Connection::open(&path).expect("SQLite opens a ledger");
    let run = |statement: &str| connection.execute_batch(statement).expect(statement);
    run("PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM; PRAGMA journal_mode = WAL");
    let closed = fs::read(&path).expect("the ledger");
    // A reader of what is there holds off that the log is written back.
    run("BEGIN; SELECT 1 FROM links");
    open().append(second).expect("the ledger takes them");
    let log = fs::read(folder.path().join("ledger.db-wal")).expect("the log");
    let open = [fs::read(&path).expect("the ledger"), log].concat();
    vec![(String::from("closed.db"), closed), (String::from("open.db"), open)]
}

/// Everything that a ledger keeps: all parts but the last, which is left for an append, and every other kind of fact.
#[must_use]
pub fn facts() -> Vec<New> {
    let attempt = |serial_number: Option<&str>| Attempt {
        port: String::from("/dev/ttyACM0"),
        batch: Some(String::from("lot 7")),
        serial_number: serial_number.map(String::from),
    };
    let console = |lines: &[String]| {
        let mut transcript = Transcript::default();
        for line in lines {
            transcript.push(format!("{line}\r\n").as_bytes());
        }
        transcript
    };
    let run = |end, serial_number: Option<&str>, part: &Part| {
        New::Outcome(Box::new(NewOutcome {
            attempt: Begun::Now(attempt(serial_number)),
            end,
            serial_number: serial_number.map(String::from),
            image: Some(part.record.software.measurement),
            steps: vec![Step { name: String::from("huk"), milliseconds: 70 }],
            console: console(&part.lines),
        }))
    };
    let good = |part: &Part, serial_number| {
        let entry = NewEntry { identity: part.record.identity, record: part.bytes.clone() };
        run(NewEnd::Good(entry), serial_number, part)
    };
    let program = |attempt, step: &str| {
        New::Program(Program {
            attempt,
            step: String::from(step),
            command: String::from("lamp"),
            succeeded: true,
            text: String::from("exit code 0"),
            milliseconds: 12,
            output: Text::pack(console(&[String::from("on")]), None),
        })
    };
    let failed = Failed {
        error: String::from("failed"),
        failure: Some(8),
        text: String::from("the part says: Failure"),
        ..Failed::default()
    };
    let withdrawal = Withdrawal { entry: 2, reason: String::from("repaired") };
    let export = Export {
        verifier: String::from("veraison"),
        profile: String::from("psa-2025"),
        first: 1,
        last: 3,
        parts: 2,
        sha256: [0x5A; 32],
    };
    let parts = parts();
    vec![
        good(&parts[0], Some("SN-1")),
        program(1, "on-pass"),
        run(NewEnd::Failed(failed), None, &parts[1]),
        program(4, "on-fail"),
        good(&parts[1], None),
        New::Withdrawal(withdrawal),
        New::Attempt(attempt(None)),
        // The second ledger goes on here.
        good(&parts[0], Some("SN-1")), // known
        good(&parts[2], Some("SN-1")), // refused
        good(&parts[2], Some("SN-3")),
        New::Export(export),
        good(&parts[3], None),
        New::Attempt(attempt(Some("SN-4"))),
    ]
}

fn exports() -> Vec<(String, Vec<u8>)> {
    let part = |number: u8| [&[number][..], &[number.wrapping_mul(7); 32]].concat();
    let product =
        [&b"\x07\x07Example\x06Sensor"[..], &part(0), &part(1), &part(0), &part(3)].concat();
    let old = [&b"\x00"[..], &part(2), &part(4)].concat();
    // In files of 1 KiB, which hold two parts.
    let split = [&b"\x18"[..], &part(0), &part(1), &part(2), &part(3), &part(4)].concat();
    [("psa-2025", product), ("psa-2025-text-split", split), ("psa-iot-1", old)]
        .map(|(name, bytes)| (String::from(name), bytes))
        .into()
}

/// Writes the files of all targets, in the place of those that are there.
///
/// # Errors
/// The operating system says no.
///
/// # Panics
/// The station does not take the parts.
pub fn write(folder: &Path) -> std::io::Result<()> {
    for target in FOLDERS {
        let folder = folder.join(target);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        for (name, content) in files(target) {
            fs::write(folder.join(name), content)?;
        }
    }
    Ok(())
}
