// SPDX-License-Identifier: Apache-2.0

//! What a hub costs as it grows: pushes a ledger of made-up parts with good records, in bulk up to some sizes, and part by
//! part at each of them; then audits the hub, in one thread and on all cores in turn.
//!
//! The hub is made in an empty database of the owner, who may make roles. In the URL, {} stands for the role; each has to
//! get in without a password, as over a socket with trust.
//!
//! `cargo run --release --example hub_scale -- "host=/run/postgresql user={} dbname=hub" OWNER 1000000 [FOLDER]`

#[allow(dead_code, reason = "each example uses another part of it")]
mod parts;

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use station::hub::{AuditOptions, Config, Hub, HubAudit, Kind};
use station::ledger::{Ledger, Origin};
use station::station_key::StationKey;

/// Entries at which parts are pushed one by one.
const SIZES: [u64; 5] = [5_000, 50_000, 500_000, 1_000_000, 5_000_000];
/// Parts that are pushed one by one.
const SINGLE: u64 = 200;
/// Rounds of audits, of which the median is printed.
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("which hub?")?;
    let owner = arguments.next().ok_or("who owns it?")?;
    let count: u64 = arguments.next().ok_or("how many entries?")?.parse()?;
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder)?;
    let config = |role: &str| Config::new(&url.replace("{}", role));
    Hub::init(&config(&owner)?)?;
    let key = StationKey::generate()?;
    Hub::connect(&config(&owner)?)?.enroll("scale", Kind::Station(key.public()), None)?;
    let origin = Origin { station_key: Some(key.public()), ..Origin::default() };
    let mut ledger = Ledger::begin(&folder.path().join("ledger"), None, &origin)?;
    ledger.set_signer(key, None)?;
    let mut hub = Hub::connect(&config("scale")?)?;
    let mut entries = 0;
    for size in SIZES.into_iter().filter(|size| *size < count).chain([count]) {
        parts::append(&mut ledger, entries + 1, size - entries)?;
        let begun = Instant::now();
        let pushed = hub.push(&ledger, &mut parts::check, &mut |_, _| ())?;
        let links = u32::try_from(pushed.links)?;
        let rate = f64::from(links) / begun.elapsed().as_secs_f64();
        entries = size;
        let mut single = Vec::new();
        for _ in 0..SINGLE {
            entries += 1;
            parts::append(&mut ledger, entries, 1)?;
            let begun = Instant::now();
            hub.push(&ledger, &mut parts::check, &mut |_, _| ())?;
            single.push(begun.elapsed());
        }
        single.sort();
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "up to {:>8} links: {rate:6.0} links/s in bulk; a part alone {:.2} ms (the slowest tenth from {:.2} ms)",
            2 * size,
            milliseconds(single[single.len() / 2]),
            milliseconds(single[single.len() * 9 / 10]),
        );
    }
    println!("{} MiB of memory", parts::peak_memory());
    drop(hub);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (times, threads) in times.iter_mut().zip([Some(NonZeroUsize::MIN), None]) {
            let begun = Instant::now();
            let mut options =
                AuditOptions { check_record: &parts::check, threads, progress: &mut |_| () };
            let audit = HubAudit::of(&config("scale")?, &mut options)?;
            times.push(begun.elapsed());
            if !audit.is_clean() || audit.parts != entries {
                return Err(format!("{audit:?}").into());
            }
        }
    }
    let pairs: Vec<_> = times[0].iter().zip(&times[1]).collect();
    for (one, all) in &pairs {
        let (one, all) = (one.as_secs_f64(), all.as_secs_f64());
        println!(
            "audit of {entries} entries: {one:.1} s in one thread, {all:.1} s on all cores: {:.2} times",
            one / all
        );
    }
    println!("{} MiB of memory", parts::peak_memory());
    Ok(())
}
