// SPDX-License-Identifier: Apache-2.0

//! What an audit of a ledger costs: makes a ledger of made-up parts with good records in a folder that is removed
//! afterwards, and audits it in turn as it was done before (p256 verifies, in one thread), with ring in one thread, and
//! with ring on all cores.
//!
//! `cargo run --release -p station --example audit_cost -- 100000 [FOLDER]`

#[allow(dead_code, reason = "each example uses another part of it")]
mod parts;

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use coset::cbor::value::Value;
use coset::{AsCborValue, CborSerializable, CoseSign1};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use station::ledger::{Entry, Ledger};

/// Rounds, of which the median is printed.
const ROUNDS: usize = 5;

/// How a record is verified.
type Check = fn(&Entry) -> Result<(), String>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().ok_or("how many entries?")?.parse()?;
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder)?;
    let path = folder.path().join("ledger");
    let mut ledger = Ledger::open_or_create(&path)?;
    parts::append(&mut ledger, 1, count)?;
    let bytes = std::fs::metadata(&path)?.len();
    println!("{count} entries, {bytes} bytes, {} MiB of memory", parts::peak_memory());
    let one = NonZeroUsize::MIN;
    let all = thread::available_parallelism()?;
    let ways: [(&str, Check, NonZeroUsize); 4] = [
        ("p256, one thread", with_p256, one),
        ("ring, one thread", parts::check, one),
        ("ring, all cores ", parts::check, all),
        ("chain, all cores", |_| Ok(()), all),
    ];
    let mut times = vec![Vec::new(); ways.len()];
    for _ in 0..ROUNDS {
        for (times, (_, check, threads)) in times.iter_mut().zip(ways) {
            ledger.set_threads(threads);
            let begun = Instant::now();
            let audit = ledger.audit(None, check, |_| ())?;
            times.push(begun.elapsed());
            if !audit.is_clean() || audit.entries != count {
                return Err(format!("{audit:?}").into());
            }
        }
    }
    for ((way, ..), mut times) in ways.into_iter().zip(times) {
        times.sort();
        let each = |at: usize| {
            times[at].as_secs_f64() * 1e3 / f64::from(u32::try_from(count).unwrap_or(u32::MAX))
        };
        println!(
            "{way}: {:.4} ms an entry ({:.4} to {:.4})",
            each(ROUNDS / 2),
            each(0),
            each(ROUNDS - 1)
        );
    }
    println!("{} MiB of memory", parts::peak_memory());
    Ok(())
}

/// The record read as it is, and verified by p256 as it was.
fn with_p256(entry: &Entry) -> Result<(), String> {
    let error = || String::from("bad");
    let read = |bytes: &[u8]| {
        let value = Value::from_slice(bytes).ok()?;
        let mut shortest = Vec::new();
        coset::cbor::into_writer(&value, &mut shortest).ok()?;
        (shortest == bytes).then_some(value)
    };
    let items = read(&entry.record).and_then(|value| value.into_array().ok()).ok_or_else(error)?;
    let Some(Value::Tag(18, token)) = items.into_iter().next() else { return Err(error()) };
    let token = CoseSign1::from_cbor_value(*token).map_err(|_| error())?;
    token.payload.as_deref().and_then(read).ok_or_else(error)?;
    let key = VerifyingKey::from_sec1_bytes(entry.identity.public_key.as_bytes());
    let key = key.map_err(|_| error())?;
    token
        .verify_signature(b"", |signature, data| {
            key.verify(data, &Signature::from_slice(signature)?)
        })
        .map_err(|_| error())
}
