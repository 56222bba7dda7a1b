// SPDX-License-Identifier: Apache-2.0

//! What a push to a hub costs as the hub's tables grow: makes a ledger of made-up parts in a folder that is removed
//! afterwards, pushes it, and prints how many links a second each tenth of it took.
//!
//! The hub is an empty one, in which the role is enrolled with the key of 32 bytes 0x01; docs/hub.rst says how to make
//! it.
//!
//! `cargo run --release --example hub_cost -- URL 100000 [FOLDER]`

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use p256::ProjectivePoint;
use p256::elliptic_curve::sec1::ToSec1Point;
use provisioning::{ImplementationId, PublicKey};
use station::hub::{Config, Hub};
use station::ledger::{Attempt, Begun, Ledger, New, NewEnd, NewEntry, NewOutcome, Origin};
use station::transcript::Transcript;
use station::{DeviceId, Identity};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("which hub?")?;
    let count: u64 = arguments.next().ok_or("how many links?")?.parse()?;
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder)?;
    let path = folder.path().join("ledger");
    let ledger = ledger(&path, count / 2)?;
    let mut hub = Hub::connect(&Config::new(&url)?)?;
    let begun = Instant::now();
    let (mut since, mut last) = (begun, 0);
    let pushed = hub.push(&ledger, &mut |_| None, &mut |_| Ok(()), &mut |at, of| {
        if (at - last) * 10 >= of || at == of {
            #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
            let rate = (at - last) as f64 / since.elapsed().as_secs_f64();
            println!("{at:>9} links: {rate:6.0} links/s");
            (since, last) = (Instant::now(), at);
        }
    })?;
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    let rate = pushed.links as f64 / begun.elapsed().as_secs_f64();
    println!("{} links: {rate:.0} links/s", pushed.links);
    Ok(())
}

/// A ledger of so many good runs, each two links.
fn ledger(path: &std::path::Path, parts: u64) -> Result<Ledger, Box<dyn Error>> {
    drop(Ledger::open_or_create(path)?);
    let origin = Origin { station_key: Some([1; 32]), ..Origin::default() };
    let file = rusqlite::Connection::open(path)?;
    let trigger: String = file.query_row(
        "SELECT sql FROM sqlite_schema WHERE name = 'origin_is_not_changed'",
        [],
        |row| row.get(0),
    )?;
    file.execute_batch("DROP TRIGGER origin_is_not_changed")?;
    file.execute(
        "UPDATE origin SET station_key = ?, hash = ?",
        [[1u8; 32].to_vec(), origin.hash().to_vec()],
    )?;
    file.execute_batch(&trigger)?;
    drop(file);
    let mut ledger = Ledger::open_or_create(path)?;
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
