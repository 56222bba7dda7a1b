// SPDX-License-Identifier: Apache-2.0

//! How long the procedure takes on a modelled part, and how many parts a second the host can do.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use provisioning::{Config, IdentityKeySource};
use rayon::prelude::*;
use silicon::{Silicon, Soc};
use simulator::run;

fn config() -> Config {
    let id = "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD";
    Config::new(id.parse().expect("64 digits"), IdentityKeySource::Generated)
}

/// From an erased part to success. Each seed is a part of its own, since signatures take longer for some keys.
fn provision(soc: Soc, number: u64) {
    let part = Silicon::erased(soc, silicon::seed(number));
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
    let begin = Instant::now();
    (0..parts).into_par_iter().for_each(|number| provision(soc, number));
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
        for soc in Soc::CRYPTOCELL {
            group.bench_function(soc.name(), |bencher| {
                bencher.iter_custom(|parts| measure(soc, parts));
            });
        }
        group.finish();
    }
    criterion.final_summary();
}
