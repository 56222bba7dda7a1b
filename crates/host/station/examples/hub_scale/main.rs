// SPDX-License-Identifier: Apache-2.0

//! What a hub costs as it grows. It pushes a ledger of made-up parts with good records, in bulk up to some sizes, and part by
//! part at each of them; prints the bytes of each table; audits the hub, in one thread and on all cores in turn; and has
//! eight stations provision modelled parts until all are at the hub, with a hub and without one in turn.
//!
//! `cargo run --release -p station --example hub_scale -- [ENTRIES [PARTS]]`
//!
//! ENTRIES are made up (500,000, which are 1,000,000 links), PARTS are modelled for each of the eight stations (2,500). It
//! starts a PostgreSQL server of its own, with the settings of the package, from the programs that are installed, and
//! removes it; its data is where temporary files are (`TMPDIR`). `STATION_TEST_POSTGRES` gives another server, as for the
//! tests: the URL of its superuser.

#[cfg(unix)]
mod measure;

use std::error::Error;

#[cfg(unix)]
fn main() -> Result<(), Box<dyn Error>> {
    measure::run()
}

#[cfg(not(unix))]
fn main() -> Result<(), Box<dyn Error>> {
    Err("the server that it starts needs Unix".into())
}
