// SPDX-License-Identifier: Apache-2.0

//! What a ledger of so many made-up parts costs: to append to it as it grows, to find a part, to audit it, and to export
//! a range of it; and its file, and the memory that each of these takes. The ledger is in a folder that is removed
//! afterwards.
//!
//! `cargo run --release -p station --example ledger_cost -- 1000000 [FOLDER]`

#[allow(dead_code, reason = "each example uses another part of it")]
mod parts;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use parts::{Maker, Part, Result};
use station::DeviceId;
use station::export::export;
use station::ledger::{Entry, Ledger, Link, PartName};

/// Outcomes in a commit, as many as the station puts in one at most.
const SLICE: u64 = 64;
/// Parts that are appended one by one, each with a commit of its own.
const SINGLE: u64 = 200;
/// Parts that are looked for.
const SOUGHT: u64 = 1_000;
/// Parts that are exported, of as many as there are.
const EXPORTED: u64 = 100_000;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().ok_or("how many entries?")?.parse()?;
    if count < 100 {
        return Err("100 entries at least: their first and last tenths are compared".into());
    }
    // The temporary folder may be in memory, where a sync costs nothing.
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder)?;
    let path = folder.path().join("ledger");
    println!("{count} entries, each with its attempt: two links");
    append(&path, count)?;
    let mut ledger = Ledger::open_or_create(&path)?;
    let bytes = std::fs::metadata(&path)?.len();
    println!("file: {} MiB, {} bytes an entry", bytes >> 20, bytes / count);
    find(&ledger, count)?;
    let all = thread::available_parallelism()?;
    for threads in [NonZeroUsize::MIN, all] {
        ledger.set_threads(threads);
        let taken = measured(|| {
            let audit = ledger.audit(None, parts::check, |_| ())?;
            if audit.is_clean() && audit.entries == count + SINGLE {
                Ok(())
            } else {
                Err(format!("{audit:?}").into())
            }
        })?;
        taken.print(&format!("audit, threads: {threads}"), count);
    }
    let taken = measured(|| export_range(&ledger, count))?;
    taken.print(&format!("export of {}", EXPORTED.min(count)), count);
    Ok(())
}

/// How long something took, and the most memory that there was meanwhile.
struct Taken {
    time: Duration,
    memory: u64,
}

impl Taken {
    fn print(&self, what: &str, entries: u64) {
        println!(
            "{what}: {:.1} s, {:.4} ms an entry of the ledger, {} MiB of memory",
            self.time.as_secs_f64(),
            micros(self.time, entries) / 1e3,
            self.memory
        );
    }
}

fn measured(work: impl FnOnce() -> Result<()>) -> Result<Taken> {
    parts::forget_peak();
    let begun = Instant::now();
    work()?;
    Ok(Taken { time: begun.elapsed(), memory: parts::peak_memory() })
}

/// Microseconds for each.
#[allow(clippy::cast_precision_loss, reason = "there are not so many")]
fn micros(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}

/// Appends all in slices, and then some one by one. The parts are made outside of the time.
fn append(path: &Path, count: u64) -> Result<()> {
    let mut ledger = Ledger::open_or_create(path)?;
    let mut maker = Maker::new(1);
    parts::forget_peak();
    let tenth = count / 10;
    let mut all = Duration::ZERO;
    let mut first = 1;
    for (last, is_told) in [(tenth, true), (count - tenth, false), (count, true)] {
        let begins = first;
        let (mut taken, mut slowest) = (Duration::ZERO, Duration::ZERO);
        while first <= last {
            let slice = SLICE.min(last + 1 - first);
            let news: Vec<_> = maker.parts(slice)?.into_iter().map(Part::kept).collect();
            let begun = Instant::now();
            let answers = ledger.append(&news)?;
            let time = begun.elapsed();
            if let Some(refusal) = answers.into_iter().find_map(|kept| kept.entry?.err()) {
                return Err(refusal.into());
            }
            (taken, slowest, first) = (taken + time, slowest.max(time), first + slice);
        }
        all += taken;
        if is_told {
            println!(
                "append, {SLICE} in a commit, entries {begins} to {last}: {:.0} us an entry, slowest commit {:.1} ms",
                micros(taken, last + 1 - begins),
                slowest.as_secs_f64() * 1e3
            );
        }
    }
    println!(
        "append, all: {:.1} s, {:.0} us an entry, {} MiB of memory",
        all.as_secs_f64(),
        micros(all, count),
        parts::peak_memory()
    );
    let singles: Vec<_> = maker.parts(SINGLE)?.into_iter().map(Part::kept).collect();
    let begun = Instant::now();
    for new in singles {
        ledger.append(&[new])?;
    }
    println!("append, one in a commit: {:.0} us an entry", micros(begun.elapsed(), SINGLE));
    Ok(())
}

/// How a part is named, by its number.
type Name = fn(u64) -> PartName;

/// Looks for parts that are there, all over the ledger, and for some that are not.
fn find(ledger: &Ledger, count: u64) -> Result<()> {
    let numbers: Vec<u64> = (0..SOUGHT).map(|n| 1 + n * (count - 1) / SOUGHT).collect();
    let begun = Instant::now();
    for number in &numbers {
        if ledger.entry_of_serial_number(&format!("SN-{number}"))? != Some(*number) {
            return Err(format!("entry {number} was not found").into());
        }
    }
    println!("find the entry of a serial number: {:.0} us", micros(begun.elapsed(), SOUGHT));
    let begun = Instant::now();
    for number in &numbers {
        if ledger.entry_of_serial_number(&format!("SN-0{number}"))?.is_some() {
            return Err("another entry was found".into());
        }
    }
    println!("find none: {:.0} us", micros(begun.elapsed(), SOUGHT));
    let names: [(&str, Name); 2] = [
        ("serial number", |number| PartName::SerialNumber(format!("SN-{number}"))),
        ("device ID", |number| PartName::DeviceId(DeviceId(number.to_le_bytes()))),
    ];
    for (what, name) in names {
        let begun = Instant::now();
        for number in &numbers {
            if ledger.attempts_of(&name(*number))? != [2 * number - 1] {
                return Err(format!("the attempt of part {number} was not found").into());
            }
        }
        println!("find the attempts of a {what}: {:.0} us", micros(begun.elapsed(), SOUGHT));
    }
    let part = Maker::new(count / 2).part()?;
    let name = PartName::Ueid(*part.identity.ueid().as_bytes());
    let begun = Instant::now();
    if ledger.attempts_of(&name)? != [2 * (count / 2) - 1] {
        return Err("the attempt of a UEID was not found".into());
    }
    println!("find the attempts of a UEID: {:.0} us", micros(begun.elapsed(), 1));
    Ok(())
}

/// Exports a range in the middle as the command does: the chain of all is verified, and the records of these.
fn export_range(ledger: &Ledger, count: u64) -> Result<()> {
    let exported = EXPORTED.min(count);
    let first = (count - exported) / 2 + 1;
    let range = first..first + exported;
    let check =
        |entry: &Entry| if range.contains(&entry.number) { parts::check(entry) } else { Ok(()) };
    let mut identities = Vec::new();
    let audit = ledger.walk::<Box<dyn std::error::Error>>(None, check, |found| {
        let entry = found.link.and_then(Link::entry);
        identities.extend(
            entry.filter(|entry| range.contains(&entry.number)).map(|entry| entry.identity),
        );
        Ok(())
    })?;
    if !audit.is_clean() {
        return Err(format!("{audit:?}").into());
    }
    let files = export(&parts::options(audit.head.hash), identities)?;
    let (parts, bytes) =
        files.iter().fold((0, 0), |(n, b), file| (n + file.parts, b + file.endorsements.len()));
    println!("{} files of endorsements, {parts} parts, {} MiB", files.len(), bytes >> 20);
    Ok(())
}
