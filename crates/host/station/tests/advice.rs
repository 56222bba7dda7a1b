// SPDX-License-Identifier: Apache-2.0

//! What people read of an error: one line that says what happened and what to do where they are.

mod common;

use std::io;
use std::time::Duration;

use common::id;
use provisioning::{DUMMY_PUBLIC_KEY, ImplementationIdError, Ueid};
use station::console::ConsoleError;
use station::ledger::Refusal;
use station::log::NoRun;
use station::part::PartError;
use station::port::{FollowError, TimeOut};
use station::record::RecordError;

/// What a console, at a port or in a log, can show.
fn of_a_console() -> Vec<PartError> {
    let line = || String::from("\"INFO:provisioning_image: x\"");
    [
        ConsoleError::Noise,
        ConsoleError::Silent,
        ConsoleError::MissedStart(line()),
        ConsoleError::Garbage(line()),
        ConsoleError::Interleaved(line()),
        ConsoleError::OutOfOrder { line: line(), after: "x" },
        ConsoleError::Restarted(line()),
        ConsoleError::TooLong(line()),
        ConsoleError::Crashed(line()),
        ConsoleError::SecondRecord,
        ConsoleError::NoRecord,
        ConsoleError::Cut("x"),
    ]
    .map(|error| PartError::Follow(error.into()))
    .into()
}

/// What can be wrong with a record.
fn of_a_record() -> Vec<PartError> {
    [
        RecordError::Text,
        RecordError::Structure("CBOR"),
        RecordError::Claim("nonce"),
        RecordError::PublicKey,
        RecordError::Signature,
        RecordError::InstanceId,
        RecordError::Profile(String::from("a\nb")),
        RecordError::ClientId(-1),
        RecordError::Lifecycle(0x3000),
        RecordError::ErasedImplementationId(ImplementationIdError::Erased),
        RecordError::ImplementationId { found: id(), wanted: id() },
        RecordError::Nonce,
        RecordError::Dummy,
    ]
    .map(PartError::Record)
    .into_iter()
    .chain([PartError::OtherPart(Ueid::of(&DUMMY_PUBLIC_KEY)), PartError::Modelled])
    .collect()
}

/// What happens at a port only: what is said of it, and what helps.
fn of_a_port() -> [(PartError, &'static str, &'static str); 8] {
    let time = Duration::from_secs(60);
    let no_seed = PartError::NoSeed(io::ErrorKind::Unsupported.into());
    let [start, line, run] = [TimeOut::Start(time), TimeOut::Line(time), TimeOut::Run(time)]
        .map(|time_out| PartError::Follow(time_out.into()));
    let lost = PartError::Follow(FollowError::Lost(io::ErrorKind::BrokenPipe.into()));
    let not_sent = PartError::Follow(FollowError::NotSent(io::ErrorKind::TimedOut.into()));
    [
        (start, "within 60s", "--start-timeout"),
        (line, "for 60s", "--line-timeout"),
        (run, "after 60s", "--run-timeout"),
        (lost, "(broken pipe)", "check the cable"),
        (not_sent, "(timed out)", "check the cable"),
        (PartError::Follow(FollowError::Stopped), "was stopped", "start the part again"),
        (PartError::NoNonce, "did not ask for a nonce", "--require-nonce"),
        (no_seed, "no random numbers (unsupported)", "start the station again"),
    ]
}

fn assert_is_one_sentence_or_more(text: &str) {
    assert!(text.ends_with('.') && !text.contains("..") && !text.contains("  "), "{text}");
    assert!(!text.contains('\n'), "{text}");
}

#[test]
fn at_a_port_an_error_says_that_nothing_was_entered_and_what_to_do() {
    let errors = of_a_console().into_iter().chain(of_a_record());
    let mut texts = Vec::new();
    for error in errors.chain(of_a_port().map(|(error, ..)| error)) {
        let text = error.at_port();
        let (what, advice) = text.split_once(". Nothing was entered in the ledger: ").unwrap();
        assert_eq!(what, error.to_string());
        assert!(!advice.is_empty());
        assert_is_one_sentence_or_more(&text);
        assert!(!texts.contains(&text), "{text}");
        texts.push(text);
    }
    for (error, what, advice) in of_a_port() {
        let text = error.at_port();
        let (before, after) = text.split_once(". Nothing was entered in the ledger: ").unwrap();
        assert!(before.contains(what) && after.contains(advice), "{text}");
    }
}

/// Wherever the part itself is good, its record comes once more.
#[test]
fn at_a_port_a_console_that_was_not_understood_is_played_again() {
    for error in of_a_console() {
        let text = error.at_port();
        assert!(text.contains("start the part again"), "{text}");
    }
    for (error, ..) in of_a_port() {
        if let PartError::Follow(_) = error {
            let text = error.at_port();
            assert!(text.contains("start the part again"), "{text}");
        }
    }
    let two_records = PartError::Follow(ConsoleError::SecondRecord.into()).at_port();
    assert!(two_records.contains("close other programs on that port"), "{two_records}");
}

/// Nobody is at a port, and no ledger is open.
#[test]
fn in_a_log_an_error_speaks_of_a_log() {
    let mut texts = Vec::new();
    for error in of_a_console().into_iter().chain(of_a_record()) {
        let text = error.in_log();
        let (what, advice) = text.split_at(error.to_string().len());
        assert_eq!(what, error.to_string());
        let advice = advice.strip_prefix(". ").unwrap();
        assert!(advice.starts_with(|c: char| c.is_ascii_uppercase()), "{text}");
        assert_is_one_sentence_or_more(&text);
        for of_a_port in ["cable", " port", "baud", "edger", "entered", "-timeout"] {
            assert!(!text.contains(of_a_port), "{of_a_port}: {text}");
        }
        assert!(!texts.contains(&text), "{text}");
        texts.push(text);
    }
}

#[test]
fn of_a_log_without_a_run_it_is_said_what_to_verify() {
    for why in [
        NoRun::Empty,
        NoRun::Known("compressed with gzip"),
        NoRun::Binary,
        NoRun::Strange(7, String::from("\"x\"")),
        NoRun::Nothing,
    ] {
        let text = why.in_log();
        let advice = text.strip_prefix(&why.to_string()).unwrap().strip_prefix(". ").unwrap();
        assert!(
            ["Record ", "Verify ", "If ", "Check "].iter().any(|verb| advice.starts_with(verb))
        );
        assert_is_one_sentence_or_more(&text);
    }
}

/// A failed run names its remedy itself, and the ledger what to do with a part that it knows.
#[test]
fn what_has_its_own_advice_gets_no_other() {
    let line = String::from("Failure: it failed. Do this. [1]");
    let failed = PartError::Failed { line, code: Some(1) };
    assert_eq!(failed.at_port(), "the part says: Failure: it failed. Do this. [1]");
    assert_eq!(failed.in_log(), failed.at_port());
    let refusal = Refusal::SeenDeviceId(7);
    let refused = PartError::Refused(refusal, Ueid::of(&DUMMY_PUBLIC_KEY));
    assert_eq!(refused.at_port(), refusal.to_string());
}
