// SPDX-License-Identifier: Apache-2.0

//! Tells the program when it was built, so that it notices a clock that was not set. `SOURCE_DATE_EPOCH` makes it
//! the same for every build (reproducible-builds.org/docs/source-date-epoch).

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let seconds: u64 = given.unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    });
    // Days, so that the builds of a day are the same.
    println!("cargo::rustc-env=STATION_BUILT_DAY={}", seconds / 86_400);
}
