// SPDX-License-Identifier: Apache-2.0

//! How long the procedure takes on a modelled part, and how many parts a second a desk can do.

use std::hint::black_box;
use std::num::NonZero;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use provisioning::{Config, IdentityKeySource};
use silicon::{ERASED, Silicon, Soc, UICR_WORDS};
use simulator::run;

fn config() -> Config {
    let id = "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD";
    Config::new(id.parse().expect("64 digits"), IdentityKeySource::Generated)
}

/// From an erased part to success. Each seed is a part of its own, since signatures take longer for some keys.
fn provision(soc: Soc, number: u64) {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    let part = Silicon::with_page(soc, seed, [ERASED; UICR_WORDS]);
    let (_, result) = run(part, &config(), |event| {
        black_box(event);
    });
    assert!(result.is_ok(), "an erased part is provisioned");
}

fn on_one_core(soc: Soc, parts: u64) -> Duration {
    let begin = Instant::now();
    for number in 0..parts {
        provision(soc, number);
    }
    begin.elapsed()
}

fn on_all_cores(soc: Soc, parts: u64) -> Duration {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let begin = Instant::now();
    thread::scope(|scope| {
        for first in (0..parts).take(threads) {
            scope.spawn(move || {
                for number in (first..parts).step_by(threads) {
                    provision(soc, number);
                }
            });
        }
    });
    begin.elapsed()
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(2))
        .measurement_time(Duration::from_secs(8))
        .sample_size(40)
        .configure_from_args();
    for (name, measure) in
        [("one core", on_one_core as fn(_, _) -> _), ("all cores", on_all_cores as fn(_, _) -> _)]
    {
        let mut group = criterion.benchmark_group(name);
        // One element is one part.
        group.throughput(Throughput::Elements(1));
        for soc in Soc::ALL {
            group.bench_function(soc.name(), |bencher| {
                bencher.iter_custom(|parts| measure(soc, parts));
            });
        }
        group.finish();
    }
    criterion.final_summary();
}
