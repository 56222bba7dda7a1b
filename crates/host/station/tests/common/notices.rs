// SPDX-License-Identifier: Apache-2.0

//! What a batch tells a page, made by hand, and a ledger of a shift.
#![allow(dead_code, reason = "each test is a program of its own and uses some of it")]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use provisioning::{Cause, Event, Failure, Huk, Written};
use station::batch::{Done, Entered, Notice, Verdict};
use station::console::Observed;
use station::ledger::{
    Attempt, Begun, Failed, Ledger, New, NewEnd, NewOutcome, Program, Receipt, Step, Text,
};
use station::page::line::About;
use station::page::{Copies, Options, Page};
use station::part::PartError;
use station::transcript::Transcript;
use tempfile::TempDir;

use super::common::{Random, Turned, entry};

pub fn about() -> About {
    About {
        station: Some("Line 2, left".into()),
        batch: Some("2026-W48".into()),
        operator: Some("Anna".into()),
        parts: Some(500),
    }
}

pub fn options() -> Options {
    Options {
        address: "127.0.0.1:0".parse().unwrap(),
        token: None,
        hosts: vec![],
        copies: Copies::default(),
    }
}

/// A page of a batch on these ports, and the folder of its empty ledger.
pub fn page(names: &[&str]) -> (Page, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    drop(Ledger::open_or_create(&file).unwrap());
    let names: Vec<_> = names.iter().map(|&name| name.into()).collect();
    let page = Page::of_batch(options(), Ledger::open(&file).unwrap(), &names, about()).unwrap();
    (page, folder)
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
    let (line, code) = words();
    failed(port, &line, code)
}

/// A part that fails in these words.
pub fn failed(port: usize, line: &str, code: Option<u8>) -> Notice {
    done(port, Verdict::Failed(PartError::Failed { line: line.into(), code }), None)
}

fn words() -> (String, Option<u8>) {
    let cause = Cause::HukTaken(Huk::Mkek);
    let failure = Failure { cause, written: Written::Nothing, ueid: None };
    (failure.to_string(), Some(failure.cause.code()))
}

/// A run is at this step, of six.
pub fn running(page: &Page, port: usize, step: usize) {
    let events = [
        Event::LifecycleVerified,
        Event::LifecycleSwitched,
        Event::GeneratingHuks,
        Event::WritingIdentityKey,
    ];
    for event in events.into_iter().take(step) {
        page.notice(&Notice::Observed(port, Observed::Event(event)));
    }
}

/// A console that would like to be more than text.
pub const HOSTILE: &str = "\u{1b}[31mred\u{1b}[0m <script>document.title='taken'</script> <img src=x \
                           onerror=\"document.title='taken'\"> &lt;b&gt; \u{202e}gpj.exe \u{5e9}\u{5dc}\u{5d5}\u{5dd} \
                           ' \" `";

/// Appends a shift's runs on four ports, from so many hours ago until now: 180 good ones, 23 of the others.
pub fn shift(ledger: &mut Ledger, hours: i64) {
    let begin = Timestamp::now() - SignedDuration::from_hours(hours);
    let clock = Turned::at(begin);
    // Soon after midnight, UTC, the hours before are before the day on which the program was built.
    ledger.set_clock(std::sync::Arc::new(clock.clone()), true);
    let mut random = Random(19);
    let (words, code) = words();
    let mut good = 0;
    for n in 0..203_i64 {
        let port =
            format!("/dev/line/{}", ["left-1", "left-2", "right-1", "right-2"][random.below(4)]);
        let time = begin + SignedDuration::from_millis(hours * 3_600_000 * n / 203);
        clock.set(time);
        let serial_number = Some(format!("A-{n:04}"));
        let attempt = Attempt { port, batch: Some("2026-W48".into()), serial_number };
        let serial_number = attempt.serial_number.clone();
        let number = ledger.append(&[New::Attempt(attempt)]).unwrap()[0].link.number;
        let (end, console): (_, &str) = if n % 9 == 4 || good == 180 {
            let failed = |error: &str, failure, text: &str| {
                NewEnd::Failed(Failed {
                    error: error.into(),
                    failure,
                    text: text.into(),
                    ..Failed::default()
                })
            };
            match random.below(5) {
                0 => {
                    (failed("line-timeout", None, "the part has printed nothing for 20 s"), HOSTILE)
                }
                1 => (
                    failed(
                        "failed",
                        Some(34),
                        "the part says: Failure: the random generator repeats itself. [34]",
                    ),
                    HOSTILE,
                ),
                2 => (failed("console", None, HOSTILE), HOSTILE),
                _ => {
                    (failed("failed", code, &format!("the part says: {words}")), "INFO: hello\r\n")
                }
            }
        } else {
            good += 1;
            (NewEnd::Good(entry(good)), "INFO:provisioning_image: Success!\r\n")
        };
        clock.set(
            time + SignedDuration::from_millis(900 + i64::try_from(random.below(700)).unwrap()),
        );
        let step = |name: &str, milliseconds| Step { name: name.into(), milliseconds };
        let steps = vec![
            step("nonce", 40 + random.below(20) as u64),
            step("lifecycle", 12),
            step("huk", 420 + random.below(300) as u64),
            step("identity-key", 310 + random.below(60) as u64),
        ];
        let mut shown = Transcript::default();
        shown.push(console.as_bytes());
        let outcome = NewOutcome {
            attempt: Begun::Link(number),
            end,
            serial_number,
            image: None,
            steps,
            console: shown,
        };
        ledger.append(&[New::Outcome(Box::new(outcome))]).unwrap();
        if n % 20 == 3 {
            let mut output = Transcript::default();
            output.push(HOSTILE.as_bytes());
            ledger
                .append(&[New::Program(Program {
                    attempt: number,
                    step: "on-fail".into(),
                    command: "./red-light.sh <b>left</b>".into(),
                    succeeded: true,
                    text: "ended with exit code 0".into(),
                    milliseconds: 80,
                    output: Text::pack(output, None),
                })])
                .unwrap();
        }
    }
}
