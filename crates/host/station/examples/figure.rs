// SPDX-License-Identifier: Apache-2.0

//! Does one thing that a station does, so often, in one thread: `cargo xtask bench --host` counts its instructions. First
//! `make` puts what it needs into a folder, of so many made-up parts.
//!
//! `cargo run --release -p station --example figure -- make|record|log|entry|audit|export|find|part FOLDER COUNT`

#[allow(dead_code, reason = "each example uses another part of it")]
mod parts;

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;

use base64ct::{Base64UrlUnpadded, Encoding};
use parts::{Maker, Part, Result};
use provisioning::{Config, IdentityKeySource};
use silicon::{Silicon, Soc};
use station::export::export;
use station::ledger::{Ledger, Link};
use station::log::{Accepted, Runs};
use station::record::{self, Wanted};

/// Outcomes in a commit, as many as the station puts in one at most.
const SLICE: usize = 64;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, folder, count] = &arguments[..] else {
        return Err("what, in which folder, and how often?".into());
    };
    let (folder, count): (_, u64) = (Path::new(folder), count.parse()?);
    let ledger = || -> Result<Ledger> {
        let mut ledger = Ledger::open(&folder.join("ledger"))?;
        ledger.set_threads(NonZeroUsize::MIN);
        Ok(ledger)
    };
    match &what[..] {
        "make" => make(folder, count),
        "record" => records(folder, count),
        "log" => log(folder, count, |_| Ok(())),
        "entry" => enter(folder, count),
        "audit" => {
            let audit = ledger()?.audit(None, parts::check, |_| ())?;
            same(audit.is_clean(), audit.entries == count)
        }
        "export" => export_all(&ledger()?, count),
        "find" => find(&ledger()?, count),
        "part" => provision(count),
        _ => Err(format!("{what} is nothing that is done here").into()),
    }
}

fn same(is_good: bool, is_all: bool) -> Result<()> {
    if is_good && is_all { Ok(()) } else { Err("it was not done, or not so often".into()) }
}

/// A ledger, the consoles of the same parts in a log, and their records, one a line.
fn make(folder: &Path, count: u64) -> Result<()> {
    let mut maker = Maker::new(1);
    let mut ledger = Ledger::open_or_create(&folder.join("ledger"))?;
    let mut log = File::create(folder.join("log"))?;
    let mut records = File::create(folder.join("records"))?;
    let mut left = count;
    while left > 0 {
        let slice = left.min(SLICE as u64);
        let parts = maker.parts(slice)?;
        for part in &parts {
            log.write_all(part.console().as_bytes())?;
            writeln!(records, "{}", Base64UrlUnpadded::encode_string(&part.record))?;
        }
        ledger.append(&parts.into_iter().map(Part::kept).collect::<Vec<_>>())?;
        left -= slice;
    }
    Ok(())
}

fn records(folder: &Path, count: u64) -> Result<()> {
    let text = fs::read_to_string(folder.join("records"))?;
    let mut done = 0;
    for line in text.lines() {
        black_box(record::verify(&record::decode(line)?, &Wanted::default())?);
        done += 1;
    }
    same(true, done == count)
}

/// Checks each run of the log, and gives it to `take`.
fn log(folder: &Path, count: u64, mut take: impl FnMut(Part) -> Result<()>) -> Result<()> {
    let mut done = 0;
    for run in Runs::new(File::open(folder.join("log"))?)? {
        let good = run?.check(&Accepted::default())?;
        done += 1;
        // What is entered is what was checked; its bytes are taken from the records, in the same order.
        take(Part { number: done, identity: good.record.identity, record: Vec::new() })?;
    }
    same(true, done == count)
}

/// As `log`, and enters the parts in a new ledger.
fn enter(folder: &Path, count: u64) -> Result<()> {
    let text = fs::read_to_string(folder.join("records"))?;
    let mut records = text.lines();
    let path = folder.join("entered");
    // Of a run before.
    for name in ["entered", "entered-head", "entered-wal", "entered-shm"] {
        let _ = fs::remove_file(folder.join(name));
    }
    let mut ledger = Ledger::open_or_create(&path)?;
    let mut slice = Vec::new();
    log(folder, count, |mut part| {
        part.record = record::decode(records.next().ok_or("a record is missing")?)?;
        slice.push(part.kept());
        if slice.len() == SLICE {
            ledger.append(&slice)?;
            slice.clear();
        }
        Ok(())
    })?;
    ledger.append(&slice)?;
    same(true, ledger.entries()? == count)
}

fn export_all(ledger: &Ledger, count: u64) -> Result<()> {
    let mut identities = Vec::new();
    let audit = ledger.walk::<Box<dyn std::error::Error>>(None, parts::check, |found| {
        identities.extend(found.link.and_then(Link::entry).map(|entry| entry.identity));
        Ok(())
    })?;
    let files = export(&parts::options(audit.head.hash), identities)?;
    let parts: usize = files.iter().map(|file| file.parts).sum();
    same(audit.is_clean(), parts as u64 == count)
}

fn find(ledger: &Ledger, count: u64) -> Result<()> {
    for number in 1..=count {
        same(true, ledger.entry_of_serial_number(&format!("SN-{number}"))? == Some(number))?;
    }
    Ok(())
}

/// Modelled parts, from erased to `Success!`.
fn provision(count: u64) -> Result<()> {
    let id = "C7".repeat(32).parse()?;
    let config = Config::new(id, IdentityKeySource::Generated);
    for number in 0..count {
        let part = Silicon::erased(Soc::Nrf5340, silicon::seed(number));
        let (_, result) = simulator::run(part, &config, |event| {
            black_box(event);
        });
        result.map_err(|failure| failure.to_string())?;
    }
    Ok(())
}
