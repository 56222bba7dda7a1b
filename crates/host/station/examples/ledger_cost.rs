// SPDX-License-Identifier: Apache-2.0

//! What an entry of the ledger costs as the ledger grows: appends the runs of made-up parts in slices of 16, each
//! synced, to a ledger in a folder that is removed afterwards, and prints the time per entry.
//!
//! `cargo run --release --example ledger_cost -- 100000 [FOLDER]`

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use p256::ecdsa::SigningKey;
use provisioning::{ImplementationId, PublicKey};
use station::ledger::{Attempt, Begun, Ledger, New, NewEnd, NewEntry, NewOutcome};
use station::transcript::Transcript;
use station::{DeviceId, Identity};

const SLICE: u64 = 16;
const BLOCK: u64 = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().ok_or("how many entries?")?.parse()?;
    // The temporary folder may be in memory, where a sync costs nothing.
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder)?;
    let path = folder.path().join("ledger");
    let mut ledger = Ledger::open_or_create(&path)?;
    let (mut block, mut slowest) = (Duration::ZERO, Duration::ZERO);
    let mut first = 1;
    while first <= count {
        // A slice ends where a block does, so that a block is 1,000 entries.
        let end = (first + SLICE).min((first - 1) / BLOCK * BLOCK + BLOCK + 1).min(count + 1);
        let slice = (first..end).map(part).collect::<Result<Vec<_>, _>>()?;
        let begun = Instant::now();
        let answers = ledger.append(&slice)?;
        let taken = begun.elapsed();
        if let Some(refusal) = answers.into_iter().find_map(|kept| kept.entry?.err()) {
            return Err(refusal.into());
        }
        (block, slowest) = (block + taken, slowest.max(taken));
        first = end;
        let done = first - 1;
        if done % BLOCK == 0 {
            if [1, 2, 5, 10, 20, 50].contains(&(done / BLOCK)) || done % (100 * BLOCK) == 0 {
                let each = block.as_secs_f64() * 1e6 / 1e3;
                let slowest = slowest.as_secs_f64() * 1e3;
                println!(
                    "{done:>9} entries: {each:6.0} us per entry, slowest slice {slowest:6.1} ms"
                );
            }
            (block, slowest) = (Duration::ZERO, Duration::ZERO);
        }
    }
    let begun = Instant::now();
    let audit = ledger.audit(None, |_| Ok(()), |_| ())?;
    println!(
        "audit of {} entries: {:.1} s, {} problems",
        audit.entries,
        begun.elapsed().as_secs_f64(),
        audit.problems.len()
    );
    drop(ledger);
    println!("file: {} bytes per entry", std::fs::metadata(&path)?.len() / count.max(1));
    Ok(())
}

/// A good run of made-up part `n`, whose private key is the number n.
fn part(n: u64) -> Result<New, Box<dyn Error>> {
    let mut scalar = [0; 32];
    scalar[24..].copy_from_slice(&n.to_be_bytes());
    let point = SigningKey::from_slice(&scalar)?.verifying_key().to_sec1_point(false);
    let entry = NewEntry {
        identity: Identity {
            device_id: DeviceId(n.to_le_bytes()),
            implementation_id: ImplementationId::from_bytes([0xAA; 32])?,
            public_key: PublicKey::from_sec1_bytes(point.as_bytes()).ok_or("no point")?,
        },
        record: vec![0x5A; 300],
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
