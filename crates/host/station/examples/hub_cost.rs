// SPDX-License-Identifier: Apache-2.0

//! What a push to a hub costs as the hub's tables grow: makes a ledger of made-up parts in a folder that is removed
//! afterwards, pushes it, and prints how many links a second each tenth of it took. Records are not checked: the parts
//! have none.
//!
//! OWNER is the hub's owner and an empty database of its own, STATION the same database and the role that pushes, such
//! as `postgres://hub_owner@localhost/hub` and `postgres://line-1@localhost/hub`; the role is enrolled.
//!
//! `cargo run --release --example hub_cost -- OWNER STATION 100000 [FOLDER]`

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use p256::ProjectivePoint;
use p256::elliptic_curve::sec1::ToSec1Point;
use provisioning::{ImplementationId, PublicKey};
use station::hub::{Config, Hub, Kind};
use station::ledger::{Attempt, Begun, Ledger, New, NewEnd, NewEntry, NewOutcome, Origin};
use station::station_key::StationKey;
use station::transcript::Transcript;
use station::{DeviceId, Identity};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut url = || arguments.next().ok_or("OWNER and STATION are missing");
    let (owner, station) = (Config::new(&url()?)?, Config::new(&url()?)?);
    let count: u64 = arguments.next().ok_or("how many links?")?.parse()?;
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder)?;
    let key = StationKey::generate()?;
    Hub::init(&owner)?;
    Hub::connect(&owner)?.enroll(station.role(), Kind::Station(key.public()), None)?;
    let ledger = ledger(&folder.path().join("ledger"), key, count / 2)?;
    let mut hub = Hub::connect(&station)?;
    let begun = Instant::now();
    let (mut since, mut last) = (begun, 0);
    let pushed = hub.push(&ledger, &mut |_| Ok(()), &mut |at, of| {
        if (at - last) * 10 >= of || at == of {
            println!("{at:>9} links: {:6.0} links/s", rate(at - last, since.elapsed()));
            (since, last) = (Instant::now(), at);
        }
    })?;
    println!("{} links: {:.0} links/s", pushed.links, rate(pushed.links, begun.elapsed()));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
fn rate(links: u64, time: Duration) -> f64 {
    links as f64 / time.as_secs_f64()
}

/// A ledger of so many good runs, each two links.
fn ledger(path: &Path, key: StationKey, parts: u64) -> Result<Ledger, Box<dyn Error>> {
    let origin = Origin { station_key: Some(key.public()), ..Origin::default() };
    let mut ledger = Ledger::begin(path, None, &origin)?;
    ledger.set_signer(key, None)?;
    let mut point = ProjectivePoint::GENERATOR;
    let mut n = 0;
    while n < parts {
        let mut slice = Vec::new();
        for _ in 0..1_000.min(parts - n) {
            n += 1;
            slice.push(part(n, &point)?);
            point += ProjectivePoint::GENERATOR;
        }
        ledger.append(&slice)?;
    }
    Ok(ledger)
}

/// A good run of made-up part `n`.
fn part(n: u64, point: &ProjectivePoint) -> Result<New, Box<dyn Error>> {
    let point = point.to_affine().to_sec1_point(false);
    let entry = NewEntry {
        identity: Identity {
            device_id: DeviceId(n.to_le_bytes()),
            implementation_id: ImplementationId::from_bytes([0xAA; 32])?,
            public_key: PublicKey::from_sec1_bytes(point.as_bytes()).ok_or("no point")?,
        },
        record: vec![0x5A; 400],
    };
    let serial_number = Some(format!("SN-{n}"));
    let port = "/dev/ttyACM0".to_owned();
    Ok(New::Outcome(Box::new(NewOutcome {
        attempt: Begun::Now(Attempt { port, serial_number: serial_number.clone(), batch: None }),
        end: NewEnd::Good(entry),
        serial_number,
        image: None,
        steps: Vec::new(),
        console: Transcript::default(),
    })))
}
