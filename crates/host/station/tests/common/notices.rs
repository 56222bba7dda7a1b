// SPDX-License-Identifier: Apache-2.0

//! What a batch tells a page, made by hand.

use std::time::Duration;

use provisioning::{Cause, Event, Failure, Huk, Written};
use station::batch::{Done, Entered, Notice, Verdict};
use station::console::Observed;
use station::ledger::Receipt;
use station::page::Page;
use station::page::line::About;
use station::part::PartError;

use super::common::entry;

pub fn about() -> About {
    About {
        station: Some("Line 2, left".into()),
        batch: Some("2026-W48".into()),
        operator: Some("Anna".into()),
        parts: Some(500),
    }
}

fn done(port: usize, verdict: Verdict, serial_number: Option<&str>) -> Notice {
    let serial_number = serial_number.map(str::to_owned);
    let done =
        Done { verdict, serial_number, attempt: 1, is_retry: false, time: Duration::from_secs(1) };
    Notice::Done(port, Box::new(done))
}

pub fn pass(port: usize, number: u64, serial_number: Option<&str>) -> Notice {
    let identity = entry(u8::try_from(number % 200 + 1).unwrap()).identity;
    let receipt = Receipt { number, hash: [7; 32] };
    done(port, Verdict::Good(Entered { receipt, identity }), serial_number)
}

pub fn known(port: usize, number: u64) -> Notice {
    done(port, Verdict::Known(number, entry(1).identity), None)
}

/// A part that fails in its own words.
pub fn fail(port: usize) -> Notice {
    let failure = Failure { cause: Cause::HukTaken(Huk::Mkek), written: Written::Nothing, ueid: None };
    failed(port, &failure.to_string(), Some(failure.cause.code()))
}

/// A part that fails in these words.
pub fn failed(port: usize, line: &str, code: Option<u8>) -> Notice {
    done(port, Verdict::Failed(PartError::Failed { line: line.into(), code }), None)
}

/// A run is at this step, of six.
pub fn running(page: &Page, port: usize, step: usize) {
    let events = [Event::LifecycleVerified, Event::LifecycleSwitched, Event::GeneratingHuks, Event::WritingIdentityKey];
    for event in events.into_iter().take(step) {
        page.notice(&Notice::Observed(port, Observed::Event(event)));
    }
}
