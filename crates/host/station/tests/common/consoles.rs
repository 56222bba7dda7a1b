// SPDX-License-Identifier: Apache-2.0

//! Consoles line by line: every kind of run that ends well, in the styles that consoles have, and pieces of them.

use std::sync::LazyLock;

use proptest::prelude::*;
use provisioning::console::{ModelledSilicon, NONCE_PROMPT, NoPart, RECORD_PREFIX};
use provisioning::{Cause, Event, Failure, Huk, Piece, Ueid, Written};
use station::console::RunEnd;

use super::{BANNERS, log_prefix};

pub static MODELLED: LazyLock<String> =
    LazyLock::new(|| ModelledSilicon { part: "nrf5340", seed: 1 }.to_string());
pub static FAILURE: LazyLock<String> = LazyLock::new(|| {
    let cause = Cause::Torn(Piece::Huk(Huk::Mkek));
    Failure { cause, written: Written::Nothing, ueid: None }.to_string()
});
pub static NO_PART: LazyLock<String> = LazyLock::new(|| NoPart("x").to_string());

/// How lines look on their way.
#[derive(Clone, Copy, Debug)]
pub enum Style {
    Kit,
    NativeSim,
    Simulator,
}

pub const STYLES: [Style; 3] = [Style::Kit, Style::NativeSim, Style::Simulator];

impl Style {
    pub fn line(self, message: &str) -> String {
        let other = ["*** ", "E: ", "W: ", "ERROR:silicon", "WARN:silicon"];
        match self {
            Self::Simulator => format!("{message}\n"),
            Self::NativeSim if other.iter().any(|other| message.starts_with(other)) => {
                format!("{message}\n")
            }
            Self::NativeSim => format!("{}{message}\n", log_prefix(message)),
            Self::Kit => Self::NativeSim.line(message).replace('\n', "\r\n"),
        }
    }

    pub fn log(self, messages: &[String]) -> Vec<u8> {
        messages.iter().flat_map(|message| self.line(message).into_bytes()).collect()
    }
}

/// Shorter than a real one, so that every byte can be changed to every other; each `part` has its own.
pub fn record(part: u8) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..60_usize).map(|at| char::from(alphabet[(at * 7 + usize::from(part)) % 64])).collect()
}

pub fn ueid(part: u8) -> Ueid {
    let mut bytes = [part; 33];
    bytes[0] = 1;
    Ueid::from_bytes(bytes).unwrap()
}

pub fn already(part: u8) -> String {
    Failure::already_provisioned(ueid(part)).to_string()
}

pub fn messages(events: &[Event]) -> Vec<String> {
    events.iter().map(ToString::to_string).collect()
}

/// The messages of a run that ends well and has these events before the record.
pub fn run(part: u8, events: &[Event]) -> Vec<String> {
    let mut lines = messages(events);
    lines.push(format!("{RECORD_PREFIX}{}", record(part)));
    lines.push(Event::Success.to_string());
    lines
}

pub const FRESH: [Event; 4] = [
    Event::LifecycleVerified,
    Event::LifecycleSwitched,
    Event::GeneratingHuks,
    Event::WritingIdentityKey,
];
pub const DUMMY: [Event; 5] = [
    Event::LifecycleVerified,
    Event::LifecycleSwitched,
    Event::GeneratingHuks,
    Event::DummyKey,
    Event::WritingIdentityKey,
];

/// A part whose keys are derived from a seed.
pub const FRESH_SEED: [Event; 4] = [
    Event::LifecycleVerified,
    Event::LifecycleSwitched,
    Event::GeneratingHuks,
    Event::SeedNotProven,
];

pub fn resumed_seed(seed: Event<'static>) -> [Event<'static>; 3] {
    [Event::Resuming, seed, Event::SeedNotProven]
}

pub fn resumed(huks: Event<'static>) -> Vec<Event<'static>> {
    let mut events = vec![Event::Resuming, huks, Event::WritingIdentityKey];
    if huks != Event::GeneratingHuks {
        events.insert(2, Event::HuksNotProven);
    }
    events
}

pub fn complete(part: u8) -> Vec<String> {
    complete_but_for(part, Event::HuksNotProven)
}

pub fn complete_but_for(part: u8, not_proven: Event<'static>) -> Vec<String> {
    let mut lines = messages(&[Event::Resuming, not_proven]);
    lines.push(format!("{RECORD_PREFIX}{}", record(part)));
    lines.push(already(part));
    lines
}

/// Every kind of run that ends well, and its end.
pub fn good_runs(part: u8) -> Vec<(Vec<String>, RunEnd)> {
    let provisioned =
        |dummy_warned, resumed| RunEnd::Provisioned { record: record(part), dummy_warned, resumed };
    vec![
        (run(part, &FRESH), provisioned(false, false)),
        (run(part, &DUMMY), provisioned(true, false)),
        (run(part, &resumed(Event::GeneratingHuks)), provisioned(false, true)),
        (run(part, &resumed(Event::GeneratingMext)), provisioned(false, true)),
        (run(part, &resumed(Event::KeepingHuks)), provisioned(false, true)),
        (complete(part), RunEnd::AlreadyProvisioned { record: record(part), ueid: ueid(part) }),
        (run(part, &FRESH_SEED), provisioned(false, false)),
        (run(part, &resumed_seed(Event::GeneratingHuks)), provisioned(false, true)),
        (run(part, &resumed_seed(Event::CompletingSeed)), provisioned(false, true)),
        (
            complete_but_for(part, Event::SeedNotProven),
            RunEnd::AlreadyProvisioned { record: record(part), ueid: ueid(part) },
        ),
    ]
}

/// Pieces of consoles.
pub fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let mut known = messages(&DUMMY);
    known.extend(complete(1));
    known.extend(run(2, &resumed(Event::KeepingHuks)));
    known.extend([NONCE_PROMPT, &MODELLED, &FAILURE, BANNERS[0], "E: text"].map(String::from));
    let known = prop::sample::select(known);
    prop_oneof![
        8 => (known.clone(), prop::sample::select(STYLES.to_vec()))
            .prop_map(|(message, style)| style.line(&message).into_bytes()),
        1 => (known, any::<prop::sample::Index>())
            .prop_map(|(message, end)| message.as_bytes()[..end.index(message.len())].to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => Just(b"\n".to_vec()),
    ]
}
