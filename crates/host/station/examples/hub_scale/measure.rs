// SPDX-License-Identifier: Apache-2.0

//! The measurements.

#[allow(dead_code, reason = "each example uses another part of it")]
#[path = "../parts/mod.rs"]
mod parts;
#[expect(dead_code, reason = "the tests use the rest of it")]
#[path = "../../tests/common/postgres.rs"]
mod postgres;

use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use postgres::{TestHub, TestStation, shared};
use silicon::Soc;
use station::batch::uplink::Uplink;
use station::batch::{self, Batch, Control, Notice, Parts, Port, Verdict};
use station::hub::{AuditOptions, Hub, HubAudit};
use station::ledger::Ledger;
use station::record::Wanted;
use station::simulated::Seed;
use station::steps;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Entries at which parts are pushed one by one.
const SIZES: [u64; 5] = [5_000, 50_000, 500_000, 1_000_000, 5_000_000];
/// Parts that are pushed one by one.
const SINGLE: u64 = 200;
/// Rounds of what is measured in turn.
const ROUNDS: usize = 5;
/// Rounds of what takes long.
const LONG_ROUNDS: usize = 3;
/// Stations side by side.
const STATIONS: usize = 8;
/// Ports of each.
const PORTS: usize = 4;

pub fn run() -> Result<()> {
    let mut numbers = std::env::args().skip(1);
    let entries = numbers.next().map_or(Ok(500_000), |number| number.parse())?;
    let each = numbers.next().map_or(Ok(2_500), |number| number.parse())?;
    let server = shared();
    let version = server.sql("postgres", "postgres", "SELECT version()")?;
    let cores = thread::available_parallelism()?;
    println!("{version}\n{cores} cores");
    {
        let hub = TestHub::on(Arc::clone(&server));
        let mut station = hub.station("scale");
        let entries = grow(&hub, &mut station, entries)?;
        print_sizes(&hub, entries)?;
        audits(&station, entries)?;
    }
    for round in 1..=LONG_ROUNDS {
        for with_hub in [false, true] {
            let hub = TestHub::on(Arc::clone(&server));
            let rate = end_to_end(&hub, each, with_hub)?;
            let how = if with_hub { "until all are at the hub" } else { "without a hub" };
            println!(
                "round {round}: {STATIONS} stations x {each} modelled parts: {rate:.1} parts/s {how}"
            );
        }
    }
    println!("{} MiB of memory", parts::peak_memory());
    Ok(())
}

/// What is counted here fits.
fn float(number: u64) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

/// Pushes so many entries, and a few more one by one. It gives how many they are in all.
fn grow(hub: &TestHub, station: &mut TestStation, count: u64) -> Result<u64> {
    let mut connection = Hub::connect(&station.config)?;
    let ledger = &mut station.ledger;
    let mut entries = 0;
    for size in SIZES.into_iter().filter(|size| *size < count).chain([count]) {
        parts::append(ledger, entries + 1, size - entries)?;
        let begun = Instant::now();
        let pushed = connection.push(ledger, &mut parts::check, &mut |_, _| ())?;
        let time = begun.elapsed().as_secs_f64();
        println!(
            "up to {:>8} links: {:6.0} links/s, {:6.0} parts/s in bulk",
            2 * size,
            float(pushed.links) / time,
            float(pushed.links / 2) / time
        );
        entries = size;
        // What a growing hub does by itself now and then is not a part of a push.
        hub.sql("VACUUM ANALYZE");
        let mut single = Vec::new();
        for _ in 0..SINGLE {
            entries += 1;
            parts::append(ledger, entries, 1)?;
            let begun = Instant::now();
            connection.push(ledger, &mut parts::check, &mut |_, _| ())?;
            single.push(begun.elapsed());
        }
        single.sort();
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "at    {:>8} links: a part alone {:.2} ms (the slowest tenth from {:.2} ms)",
            2 * size,
            milliseconds(single[single.len() / 2]),
            milliseconds(single[single.len() * 9 / 10]),
        );
    }
    println!("{} MiB of memory", parts::peak_memory());
    Ok(entries)
}

/// The bytes of each table for each part: rows and what belongs to them, and indexes.
fn print_sizes(hub: &TestHub, entries: u64) -> Result<()> {
    hub.sql("VACUUM");
    let sizes = hub.sql(
        "SELECT relname, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class \
         WHERE relnamespace = 'hub'::regnamespace AND relkind = 'r' ORDER BY 2 + 3 DESC, 1",
    );
    let (mut rows, mut indexes) = (0.0, 0.0);
    for line in sizes.lines() {
        let fields: Vec<_> = line.split('|').collect();
        let [name, of_rows, of_indexes] = fields[..] else { return Err(line.into()) };
        let each = |bytes: &str| -> Result<f64> { Ok(bytes.parse::<f64>()? / float(entries)) };
        let (of_rows, of_indexes) = (each(of_rows)?, each(of_indexes)?);
        (rows, indexes) = (rows + of_rows, indexes + of_indexes);
        if of_rows + of_indexes >= 1.0 {
            println!("{name:<12} {of_rows:5.0} + {of_indexes:4.0} bytes of indexes for each part");
        }
    }
    println!(
        "all          {rows:5.0} + {indexes:4.0} bytes of indexes for each of {entries} parts"
    );
    let of_parts = hub.sql(
        "SELECT i.relname, pg_relation_size(i.oid) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid \
         WHERE x.indrelid = 'hub.parts'::regclass ORDER BY 1",
    );
    for line in of_parts.lines() {
        let (name, bytes) = line.split_once('|').ok_or(line)?;
        println!("index {name}: {:.0} bytes for each part", bytes.parse::<f64>()? / float(entries));
    }
    Ok(())
}

/// Audits in one thread and on all cores in turn, for their ratio.
fn audits(station: &TestStation, entries: u64) -> Result<()> {
    for _ in 0..ROUNDS {
        let mut times = [0.0; 2];
        for (time, threads) in times.iter_mut().zip([Some(NonZeroUsize::MIN), None]) {
            let begun = Instant::now();
            let mut options =
                AuditOptions { check_record: &parts::check, threads, progress: &mut |_| () };
            let audit = HubAudit::of(&station.config, &mut options)?;
            *time = begun.elapsed().as_secs_f64();
            if !audit.is_clean() || audit.parts != entries {
                return Err(format!("{audit:?}").into());
            }
        }
        let [one, all] = times;
        println!(
            "audit of {entries} entries: {one:.1} s in one thread, {all:.1} s on all cores: {:.2} times",
            one / all
        );
    }
    println!("{} MiB of memory", parts::peak_memory());
    Ok(())
}

/// Stations that provision side by side, each with its own ledger, until everything is where it is to be. Parts a second.
fn end_to_end(hub: &TestHub, each: usize, with_hub: bool) -> Result<f64> {
    let stations: Vec<_> = (1..=STATIONS).map(|n| hub.station(&format!("line-{n}"))).collect();
    let begun = Instant::now();
    let done = thread::scope(|scope| {
        let running: Vec<_> = stations
            .into_iter()
            .map(|station| {
                scope.spawn(move || {
                    provision(station, each, with_hub).map_err(|why| why.to_string())
                })
            })
            .collect();
        let ended = running.into_iter().map(|station| station.join().map_err(|_| "a panic"));
        ended.collect::<std::result::Result<Vec<_>, _>>()
    })?;
    let time = begun.elapsed().as_secs_f64();
    done.into_iter().collect::<std::result::Result<(), _>>()?;
    let all = STATIONS * each;
    let expected = if with_hub { all } else { 0 };
    let found = hub.sql("SELECT count(*) FROM hub.exportable");
    if found != expected.to_string() {
        return Err(format!("the hub has {found} parts that may leave").into());
    }
    Ok(float(all as u64) / time)
}

fn provision(mut station: TestStation, count: usize, with_hub: bool) -> Result<()> {
    let id = "c7".repeat(32).parse()?;
    let port = |n| Port {
        name: format!("simulated-{n}"),
        parts: Parts::Simulated(Soc::Nrf5340, Seed::System, id),
        told: steps::Part::default(),
    };
    let batch = Batch {
        require_nonce: true,
        allow_modelled: true,
        ..Batch::new(Some(count), Wanted { implementation_id: Some(id), ..Wanted::default() })
    };
    let uplink = || -> Result<Uplink> {
        let read: Ledger = station.open(station.ledger.path());
        Ok(Uplink::new(&station.config, read, false, Box::new(parts::check))?)
    };
    let uplink = if with_hub { Some(uplink()?) } else { None };
    let mut good = 0;
    batch::run_with_hub(
        &batch,
        (0..PORTS).map(port).collect(),
        &mut station.ledger,
        &Control::default(),
        None,
        uplink,
        |notice| {
            if let Notice::Done(_, done) = notice {
                good += usize::from(matches!(done.verdict, Verdict::Good(_)));
            }
        },
    )?;
    if with_hub {
        // What the batch has left.
        station.push()?;
    }
    if good == count { Ok(()) } else { Err(format!("{good} good parts of {count}").into()) }
}
