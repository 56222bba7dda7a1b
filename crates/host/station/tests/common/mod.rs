// SPDX-License-Identifier: Apache-2.0

//! What several tests share: modelled parts and what they print, entries of a ledger, random numbers.
#![allow(dead_code, reason = "each test is a program of its own and uses some of it")]

pub mod certificates;
pub mod consoles;
pub mod edits;
pub mod formats;
#[cfg(unix)]
pub mod line;
#[cfg(unix)]
pub mod postgres;
#[cfg(unix)]
pub mod proxy;
#[cfg(unix)]
pub mod signed;
#[cfg(unix)]
pub mod terminal;
pub mod verifier;

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Instant;

use jiff::Timestamp;
use p256::ecdsa::SigningKey;
use provisioning::console::{
    FAILURE_PREFIX, LOG_PREFIXES, MODELLED_PREFIX, NO_PART_PREFIX, RECORD_PREFIX,
};
use provisioning::{Config, Event, IdentityKeySource, ImplementationId, Nonce, PublicKey};
use silicon::{Silicon, Soc};
use station::clock::Clock;
use station::ledger::{
    Attempt, Audit, Begun, Failed, Ledger, LedgerError, Link, New, NewEnd, NewEntry, NewOutcome,
    Receipt, Refusal,
};
use station::transcript::Transcript;
use station::{DeviceId, Identity};

/// The lines that Zephyr prints when it boots, as nRF Connect SDK v2.7.0 does.
pub const BANNERS: [&str; 2] =
    ["*** Booting nRF Connect SDK v2.7.0 ***", "*** Using Zephyr OS v3.6.99 ***"];

/// What Zephyr prints when an image panics after a failure.
pub const PANIC: &str = "E: >>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0";

/// The implementation ID of the modelled parts, as 64 digits.
pub const ID: &str = "C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7C7";

pub fn id() -> ImplementationId {
    ID.parse().unwrap()
}

/// What stands before a message of the image on a part's console.
pub fn log_prefix(message: &str) -> &'static str {
    let [info, warning, error] = LOG_PREFIXES;
    if [FAILURE_PREFIX, NO_PART_PREFIX].iter().any(|prefix| message.starts_with(prefix)) {
        error
    } else if message == Event::DummyKey.message() || message.starts_with(MODELLED_PREFIX) {
        warning
    } else {
        info
    }
}

/// A message of the image as a line of a kit's console.
pub fn kit_line(message: &str) -> String {
    format!("{}{message}\r\n", log_prefix(message))
}

/// What the image prints in the last of `runs` runs on a part: bare messages.
pub fn run_messages(mut part: Silicon, config: &Config, runs: usize) -> Vec<String> {
    let mut messages = Vec::new();
    for _ in 0..runs {
        messages.clear();
        let (same, result) = simulator::run(part, config, |event| messages.push(event.to_string()));
        messages.extend(result.err().map(|failure| failure.to_string()));
        part = same;
    }
    messages
}

/// The text of the record that a modelled part prints, and its public key as the procedure gives it.
pub fn made_by(soc: Soc, source: IdentityKeySource, nonce: Option<Nonce>) -> (String, PublicKey) {
    let config = Config { nonce, ..Config::new(id(), source) };
    let mut text = String::new();
    let (_, result) = simulator::run(Silicon::erased(soc, [7; 32]), &config, |event| {
        if let Event::Record(record) = event {
            text = record.to_string();
        }
    });
    (text, result.unwrap())
}

/// The text of the record among the messages of a run.
pub fn record_in<'a>(mut messages: impl Iterator<Item = &'a str>) -> &'a str {
    messages.find_map(|message| message.strip_prefix(RECORD_PREFIX)).unwrap()
}

/// The public key whose private key is this number.
pub fn public_key(scalar: u8) -> PublicKey {
    let mut bytes = [0; 32];
    bytes[31] = scalar;
    let key = SigningKey::from_slice(&bytes).unwrap();
    PublicKey::from_sec1_bytes(key.verifying_key().to_sec1_point(false).as_bytes()).unwrap()
}

/// The entry of made-up part `n`, from 1 to 200, whose private key is the number n.
pub fn entry(n: u8) -> NewEntry {
    static ENTRIES: LazyLock<Vec<NewEntry>> = LazyLock::new(|| (1..=200).map(make_entry).collect());
    ENTRIES[usize::from(n) - 1].clone()
}

fn make_entry(n: u8) -> NewEntry {
    NewEntry {
        identity: Identity {
            device_id: DeviceId([n, 2, 3, 4, 5, 6, 7, 8]),
            implementation_id: ImplementationId::from_bytes([0xAA; 32]).unwrap(),
            public_key: public_key(n),
        },
        record: vec![n; 400],
    }
}

pub fn entries(numbers: impl IntoIterator<Item = u8>) -> Vec<NewEntry> {
    numbers.into_iter().map(entry).collect()
}

/// What is kept of a run on this port when it begins.
pub fn attempt(port: &str) -> Attempt {
    Attempt { port: port.to_owned(), ..Attempt::default() }
}

/// What is kept of a run when it ends.
pub fn outcome(attempt: Begun, end: NewEnd) -> NewOutcome {
    let console = Transcript::default();
    NewOutcome { attempt, end, serial_number: None, image: None, steps: Vec::new(), console }
}

/// A run that has ended so, with its attempt.
pub fn run(end: NewEnd, serial_number: Option<&str>) -> New {
    let outcome = outcome(Begun::Now(attempt("/dev/tty0")), end);
    let serial_number = serial_number.map(str::to_owned);
    New::Outcome(Box::new(NewOutcome { serial_number, ..outcome }))
}

/// A good run, with its attempt.
pub fn run_of(entry: NewEntry) -> New {
    run(NewEnd::Good(entry), None)
}

/// An end that is not good.
pub fn failure() -> NewEnd {
    let (error, text) = (String::from("failed"), String::from("the part says: Failure: no"));
    NewEnd::Failed(Failed { error, text, failure: Some(8), ..Failed::default() })
}

/// Appends a good run of each, which takes two links, and gives what became of the entries.
pub fn enter(
    ledger: &mut Ledger,
    entries: &[NewEntry],
) -> Result<Vec<Result<Receipt, Refusal>>, LedgerError> {
    let runs: Vec<_> = entries.iter().cloned().map(run_of).collect();
    let kept = ledger.append(&runs)?;
    Ok(kept.into_iter().map(|kept| kept.entry.expect("the ledger judges an entry")).collect())
}

/// A clock that the test turns.
#[derive(Clone, Debug)]
pub struct Turned(Arc<Mutex<Timestamp>>);

impl Turned {
    pub fn at(time: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(time)))
    }

    pub fn set(&self, time: Timestamp) {
        *self.0.lock().unwrap() = time;
    }
}

impl Clock for Turned {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// Numbers from a fixed seed: `SplitMix64`.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) >> 32).unwrap() % bound
    }

    pub fn coin(&mut self) -> bool {
        self.below(2) == 1
    }
}

/// Every link of a ledger, and what an audit finds.
pub fn audited(ledger: &Ledger) -> (Audit, Vec<Link>) {
    let mut links = Vec::new();
    let audit = ledger
        .walk::<LedgerError>(
            None,
            |_| Ok(()),
            |found| {
                links.push(found.link.unwrap().clone());
                Ok(())
            },
        )
        .unwrap();
    (audit, links)
}

/// Every link of a ledger.
pub fn links(ledger: &Ledger) -> Vec<Link> {
    audited(ledger).1
}
