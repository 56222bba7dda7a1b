// SPDX-License-Identifier: Apache-2.0

//! What a fuzzer begins with: consoles, records and ledgers of modelled parts.
//!
//! `cargo run -p fuzz` makes the files anew. It must be run when what a part prints has changed: `cargo test`
//! fails until then.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use provisioning::console::{
    FAILURE_PREFIX, LOG_PREFIXES, ModelledSilicon, NONCE_PROMPT, RECORD_PREFIX,
};
use provisioning::{Config, Event, Failure, IdentityKeySource, ImplementationId};
use rusqlite::{Connection, named_params};
use silicon::power::{Cut, Reach};
use silicon::{Silicon, Soc};
use station::ledger::{GENESIS, Ledger, Row};
use station::record::{self, VerifiedRecord, Wanted};

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

/// Two ledgers, the second with a write-ahead log behind it that holds its last entries. Their pages are small,
/// so that a fuzzer finds what is in them.
fn ledgers() -> Vec<(String, Vec<u8>)> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    drop(Ledger::open_or_create(&path).expect("a new ledger"));
    let mut rows = ledger_rows().into_iter();
    let connection = Connection::open(&path).expect("SQLite opens a ledger");
    let run = |statement: &str| connection.execute_batch(statement).expect(statement);
    rows.by_ref().take(2).for_each(|row| insert(&connection, &row));
    run("PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM; PRAGMA journal_mode = WAL");
    let closed = fs::read(&path).expect("the ledger");
    run("PRAGMA wal_autocheckpoint = 0");
    rows.for_each(|row| insert(&connection, &row));
    let log = fs::read(folder.path().join("ledger.db-wal")).expect("the log");
    let open = [fs::read(&path).expect("the ledger"), log].concat();
    vec![(String::from("closed.db"), closed), (String::from("open.db"), open)]
}

/// All parts but the last, which is left for an append, with times that are the same each time.
#[must_use]
pub fn ledger_rows() -> Vec<Row> {
    let mut previous = GENESIS;
    let kept = &parts()[..GOOD.len() - 1];
    (1_u64..)
        .zip(kept)
        .map(|(number, part)| {
            let mut row = Row {
                number,
                time: format!("2026-01-01T00:00:0{number}.000Z"),
                port: String::from("/dev/ttyACM0"),
                identity: part.record.identity,
                record: part.bytes.clone(),
                previous,
                hash: GENESIS,
            };
            row.hash = row.computed_hash();
            previous = row.hash;
            row
        })
        .collect()
}

fn insert(connection: &Connection, row: &Row) {
    let statement = "INSERT INTO entries VALUES (:number, :time, :port, :device_id, :implementation_id, :ueid, \
                     :public_key, :record, :previous, :hash)";
    connection
        .execute(
            statement,
            named_params! {
                ":number": row.number.cast_signed(),
                ":time": row.time,
                ":port": row.port,
                ":device_id": row.identity.device_id.0,
                ":implementation_id": row.identity.implementation_id.as_bytes(),
                ":ueid": row.identity.ueid().as_bytes(),
                ":public_key": row.identity.public_key.as_bytes(),
                ":record": row.record,
                ":previous": row.previous,
                ":hash": row.hash,
            },
        )
        .expect("the ledger takes what follows its last entry");
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
