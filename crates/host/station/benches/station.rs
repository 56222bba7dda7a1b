// SPDX-License-Identifier: Apache-2.0

//! How long the station takes for what it does with each part, without the part: the parts are made up, with records that
//! verify. One element is one part.

#[allow(dead_code, reason = "the examples use the rest of it")]
#[path = "../examples/parts/mod.rs"]
mod parts;

use std::cell::RefCell;
use std::fs::{self, File};
use std::hint::black_box;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput};
use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use parts::{Maker, Part, Replay};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use station::batch::{self, Batch, Connect, Control, Parts, Port};
use station::export::export;
use station::ledger::{Ledger, LedgerError, Link, New};
use station::log::{Accepted, Runs, check_runs};
use station::port::Source;
use station::record::{self, Wanted};
use station::steps;

/// Parts in the ledger that is read, and in the log.
const ENTRIES: u64 = 2_000;
/// Outcomes in a commit, as many as the station puts in one at most.
const SLICE: u64 = 64;
/// Ports of a line on which parts come as fast as the station takes them.
const PORTS: u64 = 64;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .sample_size(20)
        .configure_from_args();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    parts::append(&mut ledger, 1, ENTRIES).unwrap();
    drop(ledger);
    check(&mut criterion, folder.path());
    read(&mut criterion, &path);
    append(&mut criterion);
    line(&mut criterion);
    criterion.final_summary();
}

fn ways() -> [(&'static str, NonZeroUsize); 2] {
    [("one thread", NonZeroUsize::MIN), ("all cores", thread::available_parallelism().unwrap())]
}

/// A record, and the consoles of many parts in one log.
fn check(criterion: &mut Criterion, folder: &Path) {
    let mut group = criterion.benchmark_group("check");
    group.throughput(Throughput::Elements(1));
    let part = Maker::new(7).part().unwrap();
    group.bench_function("record", |bencher| {
        bencher.iter(|| record::verify(black_box(&part.record), &Wanted::default()).unwrap());
    });
    // What of it is the signature, by the implementation that the station has and by the part's.
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let signature: Signature = key.sign(&part.record);
    let point = key.verifying_key().to_sec1_point(false);
    group.bench_function("signature alone, ring", |bencher| {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.as_bytes());
        let signature = signature.to_bytes();
        bencher.iter(|| key.verify(black_box(&part.record), &signature).unwrap());
    });
    group.bench_function("signature alone, p256", |bencher| {
        bencher.iter(|| {
            let key = VerifyingKey::from_sec1_bytes(black_box(point.as_bytes())).unwrap();
            key.verify(&part.record, &signature).unwrap();
        });
    });
    group.finish();
    let log = folder.join("log");
    let parts = Maker::new(1).parts(ENTRIES).unwrap();
    fs::write(&log, parts.iter().map(Part::console).collect::<String>()).unwrap();
    let mut group = criterion.benchmark_group("records in a log");
    group.throughput(Throughput::Elements(ENTRIES));
    for (name, threads) in ways() {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let runs = Runs::new(File::open(&log).unwrap()).unwrap();
                let mut good = 0;
                check_runs(runs, &Accepted::default(), threads, |run| {
                    good += u64::from(run.unwrap().1.is_ok());
                    Ok::<_, ()>(())
                })
                .unwrap();
                assert_eq!(good, ENTRIES);
            });
        });
    }
    group.finish();
}

/// Audit, export and look-ups of a ledger.
fn read(criterion: &mut Criterion, path: &Path) {
    let mut group = criterion.benchmark_group("audit");
    group.throughput(Throughput::Elements(ENTRIES));
    for (name, threads) in ways() {
        let mut ledger = Ledger::open(path).unwrap();
        ledger.set_threads(threads);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let audit = ledger.audit(None, parts::check, |_| ()).unwrap();
                assert!(audit.is_clean() && audit.entries == ENTRIES);
            });
        });
    }
    group.finish();

    let ledger = Ledger::open(path).unwrap();
    let mut group = criterion.benchmark_group("export");
    group.throughput(Throughput::Elements(ENTRIES));
    group.bench_function("all", |bencher| bencher.iter(|| export_all(&ledger)));
    group.finish();

    let mut group = criterion.benchmark_group("find");
    group.throughput(Throughput::Elements(1));
    group.bench_function("serial number", |bencher| {
        let mut number = 0;
        bencher.iter(|| {
            number = number % ENTRIES + 1;
            let found = ledger.entry_of_serial_number(&format!("SN-{number}"));
            assert_eq!(found.unwrap(), Some(number));
        });
    });
    group.finish();
}

fn export_all(ledger: &Ledger) {
    let mut identities = Vec::new();
    let audit = ledger.walk::<LedgerError>(None, parts::check, |found| {
        identities.extend(found.link.and_then(Link::entry).map(|entry| entry.identity));
        Ok(())
    });
    let files = export(&parts::options(audit.unwrap().head.hash), identities).unwrap();
    assert_eq!(files.iter().map(|file| file.parts as u64).sum::<u64>(), ENTRIES);
}

/// Good runs, as the station keeps them: an attempt and an outcome each.
fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    for (name, slice) in [("one in a commit", 1), ("64 in a commit", SLICE)] {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open_or_create(&folder.path().join("ledger")).unwrap();
        let maker = RefCell::new(Maker::new(1));
        let news = || -> Vec<New> {
            let parts = maker.borrow_mut().parts(slice).unwrap();
            parts.into_iter().map(Part::kept).collect()
        };
        group.throughput(Throughput::Elements(slice));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                news,
                |news| ledger.append(&news).unwrap(),
                BatchSize::NumIterations(16),
            );
        });
    }
    group.finish();
}

/// Recorded consoles on many ports at once: followed, checked and entered, with all that a batch does.
fn line(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("line");
    let mut maker = Maker::new(1);
    let each = ENTRIES / PORTS;
    group.throughput(Throughput::Elements(PORTS * each));
    group.bench_function("recorded consoles on 64 ports", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut taken = Duration::ZERO;
            for _ in 0..rounds {
                let ports: Vec<_> =
                    (0..PORTS).map(|n| port(n, &maker.parts(each).unwrap())).collect();
                taken += provision(ports, PORTS * each);
            }
            taken
        });
    });
    group.finish();
}

/// A port that is connected once.
struct Once(Option<Replay>);

impl Connect for Once {
    fn connect(&mut self) -> io::Result<Box<dyn Source + Send>> {
        let replay = self.0.take().ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(replay))
    }
}

fn port(number: u64, parts: &[Part]) -> Port {
    let replay = Replay::new(parts.iter().map(Part::console));
    Port {
        name: format!("/dev/line/{number:02}"),
        parts: Parts::Connected(Box::new(Once(Some(replay)))),
        told: steps::Part::default(),
    }
}

fn provision(ports: Vec<Port>, count: u64) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open_or_create(&folder.path().join("ledger")).unwrap();
    let batch = Batch::new(usize::try_from(count).ok(), Wanted::default());
    let begun = Instant::now();
    batch::run(&batch, ports, &mut ledger, &Control::default(), None, |_| ()).unwrap();
    let taken = begun.elapsed();
    assert_eq!(ledger.entries().unwrap(), count);
    taken
}
