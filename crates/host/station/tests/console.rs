// SPDX-License-Identifier: Apache-2.0

//! The follower against consoles: good ones, and every way in which they can be damaged.

use proptest::prelude::*;
use provisioning::{Event, Failure, Ueid};
use simulator::sweep::{self, Case};
use station::console::{
    ConsoleError, Follower, MAX_LINE, MAX_NOISE, NONCE_PROMPT, Outcome, RECORD_PREFIX, Step,
};

const MODELLED: &str = "modelled nRF5340, seed 1: nothing that is written here is secret";
const FAILURE: &str = "Failure: the MKEK is torn, a run was cut off. The part cannot be used: erase it with ERASEALL and \
     start again. [28]";

/// How lines look on their way.
#[derive(Clone, Copy, Debug)]
enum Style {
    Kit,
    NativeSim,
    Simulator,
}

const STYLES: [Style; 3] = [Style::Kit, Style::NativeSim, Style::Simulator];

impl Style {
    fn line(self, message: &str) -> String {
        let level = match message {
            _ if message == MODELLED || message == Event::DummyKey.message() => "WARN",
            _ if message.starts_with("Failure") || message.starts_with("No part") => "ERROR",
            _ => "INFO",
        };
        let other = ["*** ", "E: ", "W: ", "ERROR:silicon", "WARN:silicon"];
        match self {
            Self::Simulator => format!("{message}\n"),
            Self::NativeSim if other.iter().any(|other| message.starts_with(other)) => {
                format!("{message}\n")
            }
            Self::NativeSim => format!("{level}:provisioning_image: {message}\n"),
            Self::Kit => Self::NativeSim.line(message).replace('\n', "\r\n"),
        }
    }

    fn log(self, messages: &[String]) -> Vec<u8> {
        messages.iter().flat_map(|message| self.line(message).into_bytes()).collect()
    }
}

/// Shorter than a real one, so that every byte can be changed to every other; each `part` has its own.
fn record(part: u8) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..60_usize).map(|at| char::from(alphabet[(at * 7 + usize::from(part)) % 64])).collect()
}

fn ueid(part: u8) -> Ueid {
    let mut bytes = [part; 33];
    bytes[0] = 1;
    Ueid::from_bytes(bytes).unwrap()
}

fn already(part: u8) -> String {
    Failure::already_provisioned(ueid(part)).to_string()
}

fn messages(events: &[Event]) -> Vec<String> {
    events.iter().map(ToString::to_string).collect()
}

/// The messages of a run that ends well and has these events before the record.
fn run(part: u8, events: &[Event]) -> Vec<String> {
    let mut lines = messages(events);
    lines.push(format!("{RECORD_PREFIX}{}", record(part)));
    lines.push(Event::Success.to_string());
    lines
}

const FRESH: [Event; 4] = [
    Event::LifecycleVerified,
    Event::LifecycleSwitched,
    Event::GeneratingHuks,
    Event::WritingIdentityKey,
];
const DUMMY: [Event; 5] = [
    Event::LifecycleVerified,
    Event::LifecycleSwitched,
    Event::GeneratingHuks,
    Event::DummyKey,
    Event::WritingIdentityKey,
];

fn resumed(huks: Event<'static>) -> Vec<Event<'static>> {
    let mut events = vec![Event::Resuming, huks, Event::WritingIdentityKey];
    if huks != Event::GeneratingHuks {
        events.insert(2, Event::HuksNotProven);
    }
    events
}

fn complete(part: u8) -> Vec<String> {
    let mut lines = messages(&[Event::Resuming, Event::HuksNotProven]);
    lines.push(format!("{RECORD_PREFIX}{}", record(part)));
    lines.push(already(part));
    lines
}

/// Every kind of run that ends well, and its outcome.
fn good_runs(part: u8) -> Vec<(Vec<String>, Outcome)> {
    let provisioned = |dummy_warned, resumed| Outcome::Provisioned {
        record: record(part),
        dummy_warned,
        resumed,
    };
    vec![
        (run(part, &FRESH), provisioned(false, false)),
        (run(part, &DUMMY), provisioned(true, false)),
        (run(part, &resumed(Event::GeneratingHuks)), provisioned(false, true)),
        (run(part, &resumed(Event::GeneratingMext)), provisioned(false, true)),
        (run(part, &resumed(Event::KeepingHuks)), provisioned(false, true)),
        (complete(part), Outcome::AlreadyProvisioned { record: record(part), ueid: ueid(part) }),
    ]
}

type Result = std::result::Result<Outcome, ConsoleError>;

/// Follows chunks to their end.
fn follow<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Step>, Result) {
    let mut follower = Follower::new();
    let mut steps = Vec::new();
    for mut chunk in chunks {
        loop {
            match follower.push(&mut chunk) {
                Ok(Some(step)) => steps.push(step),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(follower.push(&mut &b"more"[..]), Err(error.clone()));
                    assert_eq!(follower.end(), Err(error.clone()));
                    return (steps, Err(error));
                }
            }
        }
        assert!(chunk.is_empty(), "bytes were left");
    }
    (steps, follower.end())
}

fn outcome(bytes: &[u8]) -> Result {
    follow([bytes]).1
}

/// The lines of a kit's console, without what it boots with.
fn kit(lines: &[&str]) -> Result {
    outcome(&Style::Kit.log(&lines.iter().map(ToString::to_string).collect::<Vec<_>>()))
}

const BANNERS: [&str; 2] =
    ["*** Booting nRF Connect SDK v2.7.0 ***", "*** Using Zephyr OS v3.6.99 ***"];

#[test]
fn every_kind_of_run_is_followed() {
    for style in STYLES {
        for (lines, expected) in good_runs(1) {
            let boot = BANNERS.map(String::from);
            assert_eq!(outcome(&style.log(&lines)), Ok(expected.clone()), "{style:?}");
            assert_eq!(
                outcome(&style.log(&[&boot[..], &lines].concat())),
                Ok(expected),
                "{style:?}"
            );
        }
    }
}

#[test]
fn steps_come_in_order() {
    let mut lines = vec![BANNERS[0].to_owned(), MODELLED.to_owned(), NONCE_PROMPT.to_owned()];
    lines.extend(run(1, &DUMMY));
    // A driver warns of its own on a part and on the model.
    let driver = "W: WARNING: Using a dummy identity key not meant for production!";
    let model = "WARN:silicon::drivers: identity_key: the dummy key is not for production";
    lines.insert(8, driver.to_owned());
    lines.insert(9, model.to_owned());
    lines.push(String::from("E: >>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0"));
    let (steps, result) = follow([&Style::Kit.log(&lines)[..]]);
    let mut expected = vec![Step::Modelled, Step::NonceWanted];
    expected.extend(DUMMY.map(Step::Event));
    expected.push(Step::Other(driver.to_owned()));
    expected.push(Step::Other(model.to_owned()));
    expected.push(Step::Record(record(1)));
    expected.push(Step::Finished);
    assert_eq!(steps, expected);
    assert!(matches!(result, Ok(Outcome::Provisioned { dummy_warned: true, .. })));

    // The image may look for its part only after it has the nonce.
    lines.swap(1, 2);
    let (steps, swapped) = follow([&Style::Kit.log(&lines)[..]]);
    assert_eq!(steps[..2], [Step::NonceWanted, Step::Modelled]);
    assert_eq!(swapped, result);
}

#[test]
fn failures_are_outcomes_at_any_point() {
    let failed = |code| {
        let line = if code == Some(28) { FAILURE } else { "No part to provision: x" };
        Ok(Outcome::Failed { line: line.to_owned(), code })
    };
    for style in STYLES {
        for count in 0..FRESH.len() {
            let mut lines = messages(&FRESH[..count]);
            lines.push(FAILURE.to_owned());
            lines.push(String::from("E: >>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0"));
            assert_eq!(outcome(&style.log(&lines)), failed(Some(28)));
        }
    }
    assert_eq!(kit(&[NONCE_PROMPT, FAILURE]), failed(Some(28)));
    assert_eq!(kit(&["No part to provision: x"]), failed(None));
    assert_eq!(kit(&[NONCE_PROMPT, "No part to provision: x"]), failed(None));
}

/// What comes behind the end of a run is of no interest.
#[test]
fn the_first_end_counts() {
    let mut log = Style::Kit.log(&complete(1));
    log.extend(b"E: >>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0\r\n\xFF\x00");
    log.extend(Style::Kit.log(&run(2, &FRESH)));
    log.extend(b"x".repeat(2 * MAX_NOISE));
    assert_eq!(outcome(&log), Ok(good_runs(1)[5].1.clone()));
}

/// The lines of the procedure itself, after power was lost at each write of a first run, before, in and
/// after it.
#[test]
fn the_order_is_the_procedures() {
    let mut kinds = [0; 4];
    for source in ["generated", "driver", "dummy"] {
        for cut in
            (1..).flat_map(|write| [format!("{write}b"), format!("{write}t7"), format!("{write}a")])
        {
            let case: Case = format!("nrf9160-{source}-1-{cut}").parse().unwrap();
            let played = sweep::play(&case);
            if played.verdict.as_ref().is_err_and(|what| what.contains("did not fire")) {
                break;
            }
            let [_, last] = &played.runs[..] else { panic!("{case}") };
            let mut lines = last.lines.clone();
            let is_good = |line: &String| {
                line == Event::Success.message() || line.contains("already provisioned")
            };
            if !lines.iter().any(|line| line.starts_with(RECORD_PREFIX))
                && let Some(at) = lines.iter().position(is_good)
            {
                lines.insert(at, format!("{RECORD_PREFIX}{}", record(1)));
            }
            let is_dummy = source == "dummy";
            let kind = match (outcome(&Style::Kit.log(&lines)), &last.result) {
                (Ok(Outcome::Provisioned { dummy_warned, resumed, .. }), Ok(_)) => {
                    assert_eq!(dummy_warned, is_dummy, "{case}");
                    usize::from(resumed)
                }
                (Ok(Outcome::AlreadyProvisioned { ueid, .. }), Err(failure)) => {
                    assert_eq!(*failure, Failure::already_provisioned(ueid), "{case}");
                    2
                }
                (Ok(Outcome::Failed { line, code }), Err(failure)) => {
                    assert_eq!((line, code), (failure.to_string(), Some(failure.cause.code())));
                    3
                }
                other => panic!("{case}: {other:?} of {lines:?}"),
            };
            kinds[kind] += 1;
        }
    }
    assert!(kinds.iter().all(|count| *count > 0), "{kinds:?}");
}

#[test]
fn each_error_has_its_name() {
    use ConsoleError as E;
    let record = format!("{RECORD_PREFIX}{}", record(1));
    let record = record.as_str();
    let [verified, switched, huks, writing] = FRESH.map(Event::message);
    let resuming = Event::Resuming.message();
    let unproven = Event::HuksNotProven.message();
    let success = Event::Success.message();
    let already = already(1);
    let long = "x".repeat(MAX_LINE);
    let name = |result: Result| match result {
        Err(E::Noise) => "noise",
        Err(E::Silent) => "silent",
        Err(E::MissedStart(_)) => "missed start",
        Err(E::Garbage(_)) => "garbage",
        Err(E::Interleaved(_)) => "interleaved",
        Err(E::OutOfOrder { .. }) => "out of order",
        Err(E::Restarted(_)) => "restarted",
        Err(E::TooLong(_)) => "too long",
        Err(E::Crashed(_)) => "crashed",
        Err(E::SecondRecord) => "second record",
        Err(E::NoRecord) => "no record",
        Err(E::Cut(_)) => "cut",
        Ok(_) => "none",
    };
    for (lines, expected) in [
        (&[][..], "silent"),
        (&["Hello", "", BANNERS[0], MODELLED], "silent"),
        (&[switched], "missed start"),
        (&[record], "missed start"),
        (&[success], "missed start"),
        (&[&already], "missed start"),
        (&[verified, "Hello"], "garbage"),
        (&[verified, ""], "garbage"),
        (&[verified, "Sw\x07itched"], "garbage"),
        (&[verified, "Sw\u{e4}tched"], "garbage"),
        (&[verified, "E: one\0E: two"], "garbage"),
        (&[verified, "E: one\rE: two"], "garbage"),
        (&[verified, "Failure: no number"], "garbage"),
        (&[verified, "Failure: no such number [0]"], "garbage"),
        (&[verified, "Failure: no such number [256]"], "garbage"),
        (&[verified, "Failure: no number as it is printed [+3]"], "garbage"),
        (&[resuming, unproven, record, &already.replace("29", "28")], "garbage"),
        (&[resuming, unproven, record, &already.replace("UEID 01", "UEID 02")], "garbage"),
        (&[resuming, unproven, record, &already.replace("UEID 010", "UEID 01")], "garbage"),
        (&[resuming, unproven, record, "Failure: something else [29]"], "garbage"),
        (&[resuming, RECORD_PREFIX], "garbage"),
        (&[resuming, "Provisioning record: AA=="], "garbage"),
        (&[resuming, "Provisioning record: AA+/"], "garbage"),
        (&[verified, "Generating Success!"], "interleaved"),
        (&[verified, "GeneraINFO:provisioning_image: ting"], "interleaved"),
        (&[resuming, "Provisioning record: AAProvisioning record: BB"], "interleaved"),
        (&[verified, "Failure: aFailure: b [2]"], "interleaved"),
        (&[verified, "E: Waiting, Success!"], "interleaved"),
        (&[verified, huks], "out of order"),
        (&[verified, switched, switched], "out of order"),
        (&[verified, switched, Event::KeepingHuks.message()], "out of order"),
        (&[resuming, switched], "out of order"),
        (&[resuming, writing], "out of order"),
        (&[verified, record], "out of order"),
        (&[verified, &already], "out of order"),
        (&[resuming, huks, writing, record, &already], "out of order"),
        (&[resuming, unproven, record, success], "out of order"),
        (&[verified, success], "out of order"),
        (&[verified, "No part to provision: x"], "out of order"),
        (&[NONCE_PROMPT, switched], "out of order"),
        (&[verified, verified], "restarted"),
        (&[verified, resuming], "restarted"),
        (&[verified, switched, BANNERS[0]], "restarted"),
        (&[verified, switched, BANNERS[1]], "restarted"),
        (&[verified, "Successf*** Booting nRF Connect SDK ***"], "restarted"),
        (&[verified, MODELLED], "restarted"),
        (&[verified, NONCE_PROMPT], "restarted"),
        (&[NONCE_PROMPT, NONCE_PROMPT], "restarted"),
        (&[NONCE_PROMPT, BANNERS[0]], "restarted"),
        (&[verified, &long], "too long"),
        (&[verified, "E: >>> ZEPHYR FATAL ERROR 2: Stack overflow on CPU 0"], "crashed"),
        (&[resuming, unproven, record, record], "second record"),
        (&[verified, switched, huks, writing, record, record], "second record"),
        (&[verified, switched, huks, writing, success], "no record"),
        (&[resuming, &already], "no record"),
        (&[resuming, record], "out of order"),
        (&[resuming, unproven, unproven], "out of order"),
        (&[resuming, Event::KeepingHuks.message(), writing], "out of order"),
        (&[resuming, unproven, writing], "out of order"),
        (&[resuming, huks, unproven], "out of order"),
        (&[verified], "cut"),
        (&[NONCE_PROMPT], "cut"),
    ] {
        assert_eq!(name(kit(lines)), expected, "{lines:?}");
    }
}

#[test]
fn every_error_says_what_happened_and_what_to_do() {
    let line = String::from("\"INFO:provisioning_image: x\"");
    let errors = [
        ConsoleError::Noise,
        ConsoleError::Silent,
        ConsoleError::MissedStart(line.clone()),
        ConsoleError::Garbage(line.clone()),
        ConsoleError::Interleaved(line.clone()),
        ConsoleError::OutOfOrder { line: line.clone(), after: "x" },
        ConsoleError::Restarted(line.clone()),
        ConsoleError::TooLong(line.clone()),
        ConsoleError::Crashed(line),
        ConsoleError::SecondRecord,
        ConsoleError::NoRecord,
        ConsoleError::Cut("x"),
    ];
    for (index, error) in errors.iter().enumerate() {
        let text = error.to_string();
        let (what, advice) = text.split_once(". Nothing was entered in the ledger: ").unwrap();
        assert!(!what.is_empty() && advice.contains("start the part again"), "{text}");
        assert!(text.ends_with('.') && !text.contains("  ") && !text.contains('\n'), "{text}");
        assert!(errors[..index].iter().all(|other| other.to_string() != text), "{text}");
    }
}

/// A terminal must not be told what to do by what a part prints.
#[test]
fn lines_are_shown_escaped_and_shortened() {
    let start = Style::Kit.line(Event::LifecycleVerified.message());
    let shown = |line: &[u8]| {
        let log = [start.as_bytes(), line, b"\n"].concat();
        outcome(&log).unwrap_err().to_string()
    };
    assert!(shown(b"\x1B[2J\xFF\"").contains(r#", "\x1b[2J\xff\"". Nothing"#));
    let text = shown(&[b'x'; MAX_LINE - 1]);
    assert!(text.contains(&format!("\"{}...\"", "x".repeat(80))), "{text}");
    assert!(text.len() < 400);
}

#[test]
fn a_line_may_be_so_long_and_no_longer() {
    let start = [Event::Resuming, Event::HuksNotProven].map(|event| format!("{event}\n")).concat();
    let record =
        |length: usize| format!("{RECORD_PREFIX}{:A<1$}", "", length - RECORD_PREFIX.len());
    let log = format!("{start}{}\n{}\n", record(MAX_LINE), already(1));
    assert!(matches!(outcome(log.as_bytes()), Ok(Outcome::AlreadyProvisioned { .. })));
    // No line feed has to come.
    let log = format!("{start}{}", record(MAX_LINE + 1));
    assert!(matches!(outcome(log.as_bytes()), Err(ConsoleError::TooLong(_))));
}

#[test]
fn noise_is_skipped_and_bounded() {
    let (lines, expected) = good_runs(1).swap_remove(0);
    let log = Style::Kit.log(&lines);
    let after = |noise: &[u8]| outcome(&[noise, &log].concat());
    for noise in [
        &b"\0"[..],
        b"\xFF\xFE\r\n\r\r\n",
        b"ssfully verified PSA lifecycle state ASS",
        b"INFO:provisioning_image: ",
        b"INFO:other: Hello\r\nE: >>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0\r\n",
        b"Failure: of a boot loader\n",
        &[0; MAX_LINE - 1],
        &[0; MAX_LINE],
        &[0; MAX_LINE + 1],
    ] {
        assert_eq!(after(noise), Ok(expected.clone()), "{:?}", &noise[..noise.len().min(20)]);
    }
    let room = MAX_NOISE - Style::Kit.line(&lines[0]).len();
    for noise in [&b"\n"[..], b"x", b"xxxxxx\n", b"\xFF", &[b'x'; MAX_LINE + 1]] {
        let mut noise = noise.repeat(MAX_NOISE / noise.len() + 1);
        noise.truncate(room);
        assert_eq!(after(&noise), Ok(expected.clone()));
        noise.push(b'\n');
        assert_eq!(after(&noise), Err(ConsoleError::Noise));
    }
}

#[test]
fn a_cut_log_has_no_outcome() {
    for style in STYLES {
        for (lines, _) in good_runs(1) {
            let lines = [&[NONCE_PROMPT.to_owned()][..], &lines].concat();
            let log = style.log(&lines);
            for end in 0..log.len() {
                let result = outcome(&log[..end]);
                let expected = matches!(result, Err(ConsoleError::Cut(_) | ConsoleError::Silent));
                assert!(expected, "{end}: {result:?}");
            }
            // The station came too late; what is left of a nonce's prompt or of noise is no loss.
            let prompt = style.line(NONCE_PROMPT).len();
            let first = style.line(&lines[1]).len() - lines[1].len();
            for begin in prompt + first + 1..log.len() {
                assert!(outcome(&log[begin..]).is_err(), "{begin}");
            }
        }
    }
}

fn record_of(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Provisioned { record, .. } | Outcome::AlreadyProvisioned { record, .. } => {
            Some(record)
        }
        Outcome::Failed { .. } => None,
    }
}

/// Any byte becomes any other one that may be in a line, or one of each kind that may not. In the record that shows only in its signature.
#[test]
fn a_changed_byte_is_an_error_or_changes_nothing() {
    for style in STYLES {
        for (lines, expected) in good_runs(1) {
            let mut log = style.log(&lines);
            let at = |text: &str| {
                let at = log.windows(text.len()).position(|window| window == text.as_bytes());
                at.map_or(0..0, |at| at..at + text.len())
            };
            let mut in_record = at(&record(1));
            // A carriage return that becomes a letter lengthens it.
            in_record.end += 1;
            let in_ueid = at(&ueid(1).to_string());
            for index in 0..log.len() {
                let original = log[index];
                for byte in (b' '..=b'~').chain(*b"\n\r\0\x80\xFF").filter(|byte| *byte != original)
                {
                    log[index] = byte;
                    match outcome(&log) {
                        Err(_) => {}
                        Ok(outcome) if in_record.contains(&index) => {
                            assert!(record_of(&outcome).is_some(), "{index} {byte}: {outcome:?}");
                        }
                        // The caller compares it with the record's.
                        Ok(Outcome::AlreadyProvisioned { record: text, .. })
                            if in_ueid.contains(&index) =>
                        {
                            assert_eq!(text, record(1));
                        }
                        Ok(outcome) => assert_eq!(outcome, expected, "{index} {byte}"),
                    }
                }
                log[index] = original;
            }
        }
    }
}

/// A lost line about the dummy key cannot be noticed here; the record's key tells of it.
fn assert_nothing_changed(result: &Result, expected: &Outcome, what: &str) {
    let Ok(mut outcome) = result.clone() else { return };
    if let (
        Outcome::Provisioned { dummy_warned, .. },
        Outcome::Provisioned { dummy_warned: expected, .. },
    ) = (&mut outcome, expected)
    {
        *dummy_warned = *expected;
    }
    assert_eq!(outcome, *expected, "{what}");
}

#[test]
fn lines_cannot_be_swapped_dropped_or_doubled() {
    for (lines, expected) in good_runs(1) {
        let lines = [&[BANNERS[0].to_owned(), NONCE_PROMPT.to_owned()][..], &lines].concat();
        let result = |lines: &[String]| outcome(&Style::Kit.log(lines));
        // The banner and the prompt may be missing, and nothing is known about the end before it has come.
        let run = 2..lines.len();
        for index in 0..lines.len() {
            let mut changed = lines.clone();
            changed.remove(index);
            let dropped = result(&changed);
            assert_nothing_changed(&dropped, &expected, "dropped");
            let is_dummy = lines[index] == Event::DummyKey.message();
            assert!(dropped.is_err() || !run.contains(&index) || is_dummy, "{}", lines[index]);

            let mut changed = lines.clone();
            changed.insert(index, lines[index].clone());
            let doubled = result(&changed);
            assert_nothing_changed(&doubled, &expected, "doubled");
            assert!(doubled.is_err() || index == 0 || index == lines.len() - 1, "{}", lines[index]);

            for other in 0..index {
                let mut changed = lines.clone();
                changed.swap(index, other);
                assert!(result(&changed).is_err(), "{index} {other} of {lines:?}");
            }
        }
    }
}

/// Two streams as one, each in pieces of these lengths in turn.
fn interleave(one: &[u8], two: &[u8], lengths: &[usize]) -> Vec<u8> {
    let mut streams = [one, two];
    let mut mixed = Vec::new();
    for (turn, length) in lengths.iter().enumerate() {
        let stream = &mut streams[turn % 2];
        let (piece, rest) = stream.split_at((*length).min(stream.len()));
        mixed.extend(piece);
        *stream = rest;
    }
    mixed.extend(streams.concat());
    mixed
}

/// Pieces of consoles.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let mut known = messages(&DUMMY);
    known.extend(complete(1));
    known.extend(run(2, &resumed(Event::KeepingHuks)));
    known.extend([NONCE_PROMPT, MODELLED, FAILURE, BANNERS[0], "E: text"].map(String::from));
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

proptest! {
    #[test]
    fn chunks_do_not_matter(
        fragments in prop::collection::vec(fragment(), 0..12),
        good in prop::option::of(0..6_usize),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut log = fragments.concat();
        if let Some(good) = good {
            log.splice(0..0, Style::Kit.log(&good_runs(1)[good].0));
        }
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(log.len() + 1)).collect();
        cuts.extend([0, log.len()]);
        cuts.sort_unstable();
        let whole = follow([&log[..]]);
        prop_assert_eq!(&follow(cuts.windows(2).map(|cut| &log[cut[0]..cut[1]])), &whole);
        prop_assert_eq!(&follow(log.chunks(1)), &whole);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..10_000)) {
        prop_assert_eq!(outcome(&bytes), Err(ConsoleError::Silent));
        let log = [Style::Kit.line(Event::Resuming.message()).as_bytes(), &bytes].concat();
        prop_assert!(outcome(&log).is_err());
    }

    /// Whatever comes, an outcome is told from a whole run of lines that are in order.
    #[test]
    fn an_outcome_needs_its_lines(fragments in prop::collection::vec(fragment(), 0..12)) {
        let log = fragments.concat();
        let (steps, result) = follow([&log[..]]);
        prop_assert_eq!(result.is_ok(), steps.last() == Some(&Step::Finished));
        if let Ok(outcome) = result && let Some(record) = record_of(&outcome) {
            let records = steps.iter().filter(|step| matches!(step, Step::Record(_)));
            prop_assert!(records.eq([&Step::Record(record.to_owned())]));
        }
    }

    /// Two parts on one line, cut at lines and at any byte.
    #[test]
    fn two_parts_do_not_become_one(
        one in 0..6_usize,
        two in 0..6_usize,
        style in prop::sample::select(STYLES.to_vec()),
        lines in prop::collection::vec(0..4_usize, 0..12),
        bytes in prop::collection::vec(prop_oneof![0..4_usize, 0..600_usize], 0..60),
    ) {
        let (one, two) = (good_runs(1).swap_remove(one), good_runs(2).swap_remove(two));
        let logs = [style.log(&one.0), style.log(&two.0)];
        // The same lengths, counted in bytes.
        let mut rest = [&one.0[..], &two.0[..]];
        let in_lines: Vec<usize> = lines.iter().enumerate().map(|(turn, count)| {
            let rest = &mut rest[turn % 2];
            let (taken, left) = rest.split_at((*count).min(rest.len()));
            *rest = left;
            style.log(taken).len()
        }).collect();
        for lengths in [in_lines, bytes] {
            let mixed = interleave(&logs[0], &logs[1], &lengths);
            if let Ok(outcome) = outcome(&mixed) {
                // Letters of the other part in a record that is none any more: its signature tells.
                let is_of = |part| record_of(&outcome) == Some(&record(part));
                let is_torn = !is_of(1) && !is_of(2);
                prop_assert!(outcome == one.1 || outcome == two.1 || is_torn, "{outcome:?}");
            }
        }
    }
}
