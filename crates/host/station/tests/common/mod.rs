// SPDX-License-Identifier: Apache-2.0

//! What several tests share: modelled parts and what they print, entries of a ledger, random numbers.
#![allow(dead_code, reason = "each test is a program of its own and uses some of it")]

pub mod consoles;
pub mod edits;
#[cfg(unix)]
pub mod terminal;

use std::sync::LazyLock;

use p256::ecdsa::SigningKey;
use provisioning::console::{
    FAILURE_PREFIX, LOG_PREFIXES, MODELLED_PREFIX, NO_PART_PREFIX, RECORD_PREFIX,
};
use provisioning::{Config, Event, IdentityKeySource, ImplementationId, Nonce, PublicKey};
use silicon::{Silicon, Soc};
use station::ledger::NewEntry;
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
