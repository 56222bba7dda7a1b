// SPDX-License-Identifier: Apache-2.0

//! The follower against consoles: good ones, and every way in which they can be damaged.

mod common;

use std::time::Instant;

use common::consoles::{
    DUMMY, FAILURE, FRESH, FRESH_SEED, MODELLED, NO_PART, STYLES, Style, already, complete,
    fragment, good_runs, messages, record, run, ueid,
};
use common::{BANNERS, PANIC};
use proptest::prelude::*;
use provisioning::console::{
    ALREADY_PROVISIONED_PREFIX, FAILURE_PREFIX, LOG_PREFIXES, ModelledSilicon, NONCE_PROMPT,
    RECORD_PREFIX,
};
use provisioning::{Config, Event, Failure, IdentityKeySource, Nonce};
use rayon::prelude::*;
use silicon::{Family, Silicon, Soc};
use simulator::sweep::{self, Case};
use station::console::{ConsoleError, Follower, MAX_LINE, MAX_NOISE, Observed, RunEnd};
use station::port::{self, Timeouts};
use station::record::Wanted;
use station::simulated::Simulated;

type Result = std::result::Result<RunEnd, ConsoleError>;

/// Follows chunks to their end.
fn follow<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Observed>, Result) {
    let mut follower = Follower::new();
    let mut seen = Vec::new();
    for mut chunk in chunks {
        loop {
            match follower.push(&mut chunk) {
                Ok(Some(observed)) => seen.push(observed),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(follower.push(&mut &b"more"[..]), Err(error.clone()));
                    assert_eq!(follower.end(), Err(error.clone()));
                    return (seen, Err(error));
                }
            }
        }
        assert!(chunk.is_empty(), "bytes were left");
    }
    (seen, follower.end())
}

fn end_of(bytes: &[u8]) -> Result {
    follow([bytes]).1
}

/// The lines of a kit's console, without what it boots with.
fn kit(lines: &[&str]) -> Result {
    end_of(&Style::Kit.log(&lines.iter().map(ToString::to_string).collect::<Vec<_>>()))
}

#[test]
fn every_kind_of_run_is_followed() {
    for style in STYLES {
        for (lines, expected) in good_runs(1) {
            let boot = BANNERS.map(String::from);
            assert_eq!(end_of(&style.log(&lines)), Ok(expected.clone()), "{style:?}");
            assert_eq!(
                end_of(&style.log(&[&boot[..], &lines].concat())),
                Ok(expected),
                "{style:?}"
            );
        }
    }
}

#[test]
fn what_is_observed_comes_in_order() {
    let mut lines = vec![BANNERS[0].to_owned(), MODELLED.clone(), NONCE_PROMPT.to_owned()];
    lines.extend(run(1, &DUMMY));
    // A driver warns of its own on a part and on the model.
    let driver = "W: WARNING: Using a dummy identity key not meant for production!";
    let model = "WARN:silicon::drivers: identity_key: the dummy key is not for production";
    lines.insert(8, driver.to_owned());
    lines.insert(9, model.to_owned());
    lines.push(String::from(PANIC));
    let (seen, result) = follow([&Style::Kit.log(&lines)[..]]);
    let mut expected = vec![Observed::Modelled, Observed::NonceWanted];
    expected.extend(DUMMY.map(Observed::Event));
    expected.push(Observed::Other(driver.to_owned()));
    expected.push(Observed::Other(model.to_owned()));
    expected.push(Observed::Record(record(1)));
    expected.push(Observed::Finished);
    assert_eq!(seen, expected);
    assert!(matches!(result, Ok(RunEnd::Provisioned { dummy_warned: true, .. })));

    // The image may look for its part only after it has the nonce.
    lines.swap(1, 2);
    let (seen, swapped) = follow([&Style::Kit.log(&lines)[..]]);
    assert_eq!(seen[..2], [Observed::NonceWanted, Observed::Modelled]);
    assert_eq!(swapped, result);
}

#[test]
fn a_run_may_fail_at_any_point() {
    let failed = |code| {
        let line = if code == Some(28) { &FAILURE } else { &NO_PART };
        Ok(RunEnd::Failed { line: line.to_string(), code })
    };
    for style in STYLES {
        for count in 0..FRESH.len() {
            let mut lines = messages(&FRESH[..count]);
            lines.push(FAILURE.clone());
            lines.push(String::from(PANIC));
            assert_eq!(end_of(&style.log(&lines)), failed(Some(28)));
        }
    }
    assert_eq!(kit(&[NONCE_PROMPT, &FAILURE]), failed(Some(28)));
    assert_eq!(kit(&[&NO_PART]), failed(None));
    assert_eq!(kit(&[NONCE_PROMPT, &NO_PART]), failed(None));
}

/// What comes after the end of a run does not matter.
#[test]
fn the_first_end_counts() {
    let mut log = Style::Kit.log(&complete(1));
    log.extend(PANIC.bytes().chain(*b"\r\n\xFF\x00"));
    log.extend(Style::Kit.log(&run(2, &FRESH)));
    log.extend(b"x".repeat(2 * MAX_NOISE));
    assert_eq!(end_of(&log), Ok(good_runs(1)[5].1.clone()));
}

/// The console of `cargo sim`, bare and as a kit prints the same lines.
#[test]
fn the_console_of_the_simulator_is_followed() {
    for soc in Soc::ALL.iter().copied() {
        let sources = match soc.family() {
            Family::CryptoCell => &IdentityKeySource::ALL[..],
            // The identity key is derived, whatever was asked for.
            Family::Cracen => &[IdentityKeySource::Generated],
        };
        for source in sources.iter().copied() {
            for runs in [1, 2] {
                let config = Config::new(common::id(), source);
                let mut lines = vec![ModelledSilicon { part: soc.name(), seed: 7 }.to_string()];
                let part = Silicon::erased(soc, [7; 32]);
                lines.extend(common::run_messages(part, &config, runs));
                let text = common::record_in(lines.iter().map(String::as_str)).to_owned();
                for style in STYLES {
                    let (seen, result) = follow([&style.log(&lines)[..]]);
                    assert_eq!(seen[0], Observed::Modelled);
                    assert!(seen.contains(&Observed::Record(text.clone())), "{seen:?}");
                    match result.unwrap() {
                        RunEnd::Provisioned { dummy_warned, resumed: false, .. } => {
                            let is_dummy = source == IdentityKeySource::Dummy;
                            assert_eq!((runs, dummy_warned), (1, is_dummy));
                        }
                        RunEnd::AlreadyProvisioned { .. } => assert_eq!(runs, 2),
                        end => panic!("{end:?}"),
                    }
                }
            }
        }
    }
}

/// The console of the station's own modelled parts.
#[test]
fn the_console_of_a_simulated_port_is_followed() {
    for (soc, events) in [(Soc::Nrf5340, FRESH), (Soc::Nrf54l15, FRESH_SEED)] {
        let mut port = Simulated::new(soc, [7; 32], common::id());
        let nonce = [0xA5; 32];
        let mut seen = Vec::new();
        let end = port::follow(
            &mut port,
            &Timeouts::default(),
            Instant::now,
            || false,
            || nonce,
            |observed| seen.push(observed.clone()),
        );
        let RunEnd::Provisioned { record, dummy_warned: false, resumed: false } = end.unwrap()
        else {
            panic!("{seen:?}")
        };
        let mut expected = vec![Observed::NonceWanted];
        expected.extend(events.map(Observed::Event));
        expected.extend([Observed::Record(record.clone()), Observed::Finished]);
        assert_eq!(seen, expected);
        let wanted = Wanted { nonce: Some(Nonce(nonce)), ..Wanted::default() };
        station::part::check(&record, None, &wanted).unwrap();
    }
}

/// The lines of the procedure itself, after power was lost at each write of a first run, before, in and
/// after it.
#[test]
fn the_order_is_the_procedures() {
    let mut kinds = [0; 4];
    for part in ["nrf9160-generated", "nrf9160-driver", "nrf9160-dummy", "nrf54l15-generated"] {
        for cut in
            (1..).flat_map(|write| [format!("{write}b"), format!("{write}t7"), format!("{write}a")])
        {
            let case: Case = format!("{part}-1-{cut}").parse().unwrap();
            let played = sweep::play(&case);
            if played.verdict.as_ref().is_err_and(|what| what.contains("did not fire")) {
                break;
            }
            let [_, last] = &played.runs[..] else { panic!("{case}") };
            let mut lines = last.lines.clone();
            let is_good = |line: &String| {
                line == Event::Success.message() || line.contains(ALREADY_PROVISIONED_PREFIX)
            };
            if !lines.iter().any(|line| line.starts_with(RECORD_PREFIX))
                && let Some(at) = lines.iter().position(is_good)
            {
                lines.insert(at, format!("{RECORD_PREFIX}{}", record(1)));
            }
            let is_dummy = part.ends_with("dummy");
            let kind = match (end_of(&Style::Kit.log(&lines)), &last.result) {
                (Ok(RunEnd::Provisioned { dummy_warned, resumed, .. }), Ok(_)) => {
                    assert_eq!(dummy_warned, is_dummy, "{case}");
                    usize::from(resumed)
                }
                (Ok(RunEnd::AlreadyProvisioned { ueid, .. }), Err(failure)) => {
                    assert_eq!(*failure, Failure::already_provisioned(ueid), "{case}");
                    2
                }
                (Ok(RunEnd::Failed { line, code }), Err(failure)) => {
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

/// The name of the error that the lines of a kit's console end in.
fn error_of(lines: &[&str]) -> &'static str {
    use ConsoleError as E;
    match kit(lines) {
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
    }
}

#[track_caller]
fn assert_errors(expected: &str, consoles: &[&[&str]]) {
    for lines in consoles {
        assert_eq!(error_of(lines), expected, "{lines:?}");
    }
}

// The messages of a good run.
const VERIFIED: &str = Event::LifecycleVerified.message();
const SWITCHED: &str = Event::LifecycleSwitched.message();
const HUKS: &str = Event::GeneratingHuks.message();
const WRITING: &str = Event::WritingIdentityKey.message();
const RESUMING: &str = Event::Resuming.message();
const UNPROVEN: &str = Event::HuksNotProven.message();
const SUCCESS: &str = Event::Success.message();

/// The message with the record of part 1.
fn record_line() -> String {
    format!("{RECORD_PREFIX}{}", record(1))
}

#[test]
fn a_console_without_a_run_is_silent() {
    assert_errors("silent", &[&[], &["Hello", "", BANNERS[0], &MODELLED]]);
}

#[test]
fn a_run_without_its_first_line_was_missed() {
    let (record, already) = (record_line(), already(1));
    assert_errors("missed start", &[&[SWITCHED], &[&record], &[SUCCESS], &[&already]]);
}

#[test]
fn a_line_that_no_image_prints_is_garbage() {
    assert_errors(
        "garbage",
        &[
            &[VERIFIED, "Hello"],
            &[VERIFIED, ""],
            &[VERIFIED, "Sw\x07itched"],
            &[VERIFIED, "Sw\u{e4}tched"],
            &[VERIFIED, "E: one\0E: two"],
            &[VERIFIED, "E: one\rE: two"],
            &[RESUMING, RECORD_PREFIX],
            &[RESUMING, &format!("{RECORD_PREFIX}AA==")],
            &[RESUMING, &format!("{RECORD_PREFIX}AA+/")],
        ],
    );
}

#[test]
fn a_failure_without_a_proper_number_is_garbage() {
    for text in [
        "no number",
        "no such number [0]",
        "no such number [256]",
        "no number as it is printed [+3]",
    ] {
        assert_errors("garbage", &[&[VERIFIED, &format!("{FAILURE_PREFIX}{text}")]]);
    }
}

#[test]
fn a_complete_part_says_so_in_these_words_only() {
    let (record, already) = (record_line(), already(1));
    for line in [
        already.replace("29", "28"),
        already.replace("UEID 01", "UEID 02"),
        already.replace("UEID 010", "UEID 01"),
        format!("{FAILURE_PREFIX}something else [29]"),
    ] {
        assert_errors("garbage", &[&[RESUMING, UNPROVEN, &record, &line]]);
    }
}

#[test]
fn two_lines_in_one_are_interleaved() {
    let [info, ..] = LOG_PREFIXES;
    assert_errors(
        "interleaved",
        &[
            &[VERIFIED, "Generating Success!"],
            &[VERIFIED, &format!("Genera{info}ting")],
            &[RESUMING, &format!("{RECORD_PREFIX}AA{RECORD_PREFIX}BB")],
            &[VERIFIED, &format!("{FAILURE_PREFIX}a{FAILURE_PREFIX}b [2]")],
            &[VERIFIED, &format!("E: Waiting, {SUCCESS}")],
        ],
    );
}

#[test]
fn a_message_in_another_place_is_out_of_order() {
    let (record, already) = (record_line(), already(1));
    let keeping = Event::KeepingHuks.message();
    assert_errors(
        "out of order",
        &[
            &[VERIFIED, HUKS],
            &[VERIFIED, SWITCHED, SWITCHED],
            &[VERIFIED, SWITCHED, keeping],
            &[RESUMING, SWITCHED],
            &[RESUMING, WRITING],
            &[VERIFIED, &record],
            &[VERIFIED, &already],
            &[RESUMING, HUKS, WRITING, &record, &already],
            &[RESUMING, UNPROVEN, &record, SUCCESS],
            &[VERIFIED, SUCCESS],
            &[VERIFIED, &NO_PART],
            &[NONCE_PROMPT, SWITCHED],
            &[RESUMING, &record],
            &[RESUMING, UNPROVEN, UNPROVEN],
            &[RESUMING, keeping, WRITING],
            &[RESUMING, UNPROVEN, WRITING],
            &[RESUMING, HUKS, UNPROVEN],
        ],
    );
}

#[test]
fn a_first_line_in_mid_run_is_a_restart() {
    assert_errors(
        "restarted",
        &[
            &[VERIFIED, VERIFIED],
            &[VERIFIED, RESUMING],
            &[VERIFIED, SWITCHED, BANNERS[0]],
            &[VERIFIED, SWITCHED, BANNERS[1]],
            &[VERIFIED, "Successf*** Booting nRF Connect SDK ***"],
            &[VERIFIED, &MODELLED],
            &[VERIFIED, NONCE_PROMPT],
            &[NONCE_PROMPT, NONCE_PROMPT],
            &[NONCE_PROMPT, BANNERS[0]],
        ],
    );
}

#[test]
fn a_long_line_a_crash_and_a_cut_have_their_names() {
    assert_errors("too long", &[&[VERIFIED, &"x".repeat(MAX_LINE)]]);
    let crash = "E: >>> ZEPHYR FATAL ERROR 2: Stack overflow on CPU 0";
    assert_errors("crashed", &[&[VERIFIED, crash]]);
    assert_errors("cut", &[&[VERIFIED], &[NONCE_PROMPT]]);
}

#[test]
fn a_run_has_one_record() {
    let (record, already) = (record_line(), already(1));
    assert_errors(
        "second record",
        &[
            &[RESUMING, UNPROVEN, &record, &record],
            &[VERIFIED, SWITCHED, HUKS, WRITING, &record, &record],
        ],
    );
    assert_errors(
        "no record",
        &[&[VERIFIED, SWITCHED, HUKS, WRITING, SUCCESS], &[RESUMING, &already]],
    );
}

/// What a part prints must not control a terminal.
#[test]
fn lines_are_shown_escaped_and_shortened() {
    let start = Style::Kit.line(Event::LifecycleVerified.message());
    let shown = |line: &[u8]| {
        let log = [start.as_bytes(), line, b"\n"].concat();
        end_of(&log).unwrap_err().to_string()
    };
    assert!(shown(b"\x1B[2J\xFF\"").ends_with(r#", "\x1b[2J\xff\"""#));
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
    assert!(matches!(end_of(log.as_bytes()), Ok(RunEnd::AlreadyProvisioned { .. })));
    // No line feed has to come.
    let log = format!("{start}{}", record(MAX_LINE + 1));
    assert!(matches!(end_of(log.as_bytes()), Err(ConsoleError::TooLong(_))));
}

#[test]
fn noise_is_skipped_and_bounded() {
    let (lines, expected) = good_runs(1).swap_remove(0);
    let log = Style::Kit.log(&lines);
    let after = |noise: &[u8]| end_of(&[noise, &log].concat());
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
fn a_cut_log_has_no_end() {
    for style in STYLES {
        for (lines, _) in good_runs(1) {
            let lines = [&[NONCE_PROMPT.to_owned()][..], &lines].concat();
            let log = style.log(&lines);
            for end in 0..log.len() {
                let result = end_of(&log[..end]);
                let expected = matches!(result, Err(ConsoleError::Cut(_) | ConsoleError::Silent));
                assert!(expected, "{end}: {result:?}");
            }
            // The station came too late; what is left of a nonce's prompt or of noise may be missing.
            let prompt = style.line(NONCE_PROMPT).len();
            let first = style.line(&lines[1]).len() - lines[1].len();
            for begin in prompt + first + 1..log.len() {
                assert!(end_of(&log[begin..]).is_err(), "{begin}");
            }
        }
    }
}

fn record_of(end: &RunEnd) -> Option<&str> {
    match end {
        RunEnd::Provisioned { record, .. } | RunEnd::AlreadyProvisioned { record, .. } => {
            Some(record)
        }
        RunEnd::Failed { .. } => None,
    }
}

/// Any byte becomes any other one that may be in a line, or one of each kind that may not. In the record that shows only in its signature.
#[test]
fn a_changed_byte_is_an_error_or_changes_nothing() {
    STYLES.into_par_iter().for_each(|style| {
        good_runs(1).into_par_iter().for_each(|(lines, expected)| {
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
                    match end_of(&log) {
                        Err(_) => {}
                        Ok(end) if in_record.contains(&index) => {
                            assert!(record_of(&end).is_some(), "{index} {byte}: {end:?}");
                        }
                        // The caller compares it with the record's.
                        Ok(RunEnd::AlreadyProvisioned { record: text, .. })
                            if in_ueid.contains(&index) =>
                        {
                            assert_eq!(text, record(1));
                        }
                        Ok(end) => assert_eq!(end, expected, "{index} {byte}"),
                    }
                }
                log[index] = original;
            }
        });
    });
}

/// A lost line about the dummy key cannot be noticed here; the record's key tells of it.
fn assert_nothing_changed(result: &Result, expected: &RunEnd, what: &str) {
    let Ok(mut end) = result.clone() else { return };
    if let (
        RunEnd::Provisioned { dummy_warned, .. },
        RunEnd::Provisioned { dummy_warned: expected, .. },
    ) = (&mut end, expected)
    {
        *dummy_warned = *expected;
    }
    assert_eq!(end, *expected, "{what}");
}

#[test]
fn lines_cannot_be_swapped_dropped_or_doubled() {
    for (lines, expected) in good_runs(1) {
        let lines = [&[BANNERS[0].to_owned(), NONCE_PROMPT.to_owned()][..], &lines].concat();
        let result = |lines: &[String]| end_of(&Style::Kit.log(lines));
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
        prop_assert_eq!(end_of(&bytes), Err(ConsoleError::Silent));
        let log = [Style::Kit.line(Event::Resuming.message()).as_bytes(), &bytes].concat();
        prop_assert!(end_of(&log).is_err());
    }

    /// Whatever comes, only a whole run of lines in order has an end.
    #[test]
    fn an_end_needs_its_lines(fragments in prop::collection::vec(fragment(), 0..12)) {
        let log = fragments.concat();
        let (seen, result) = follow([&log[..]]);
        prop_assert_eq!(result.is_ok(), seen.last() == Some(&Observed::Finished));
        if let Ok(end) = result && let Some(record) = record_of(&end) {
            let records = seen.iter().filter(|observed| matches!(observed, Observed::Record(_)));
            prop_assert!(records.eq([&Observed::Record(record.to_owned())]));
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
            if let Ok(end) = end_of(&mixed) {
                // With letters of the other part in it, a record is damaged, and its signature shows it.
                let is_of = |part| record_of(&end) == Some(&record(part));
                let is_torn = !is_of(1) && !is_of(2);
                prop_assert!(end == one.1 || end == two.1 || is_torn, "{end:?}");
            }
        }
    }
}
