// SPDX-License-Identifier: Apache-2.0

//! Runs are found in logs of every form, and nothing else is taken for one.

mod common;

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{self, Cursor, Read};
use std::num::NonZeroUsize;

use common::consoles::{
    FAILURE, FRESH, MODELLED, STYLES, Style, complete, fragment, good_runs, record, run,
};
use common::{BANNERS, PANIC, id, run_messages};
use proptest::prelude::*;
use provisioning::console::{LOG_PREFIXES, NONCE_PROMPT, RECORD_PREFIX};
use provisioning::{Config, Event, IdentityKeySource, Nonce};
use rayon::prelude::*;
use silicon::{Silicon, Soc};
use station::console::{ConsoleError, MAX_LINE, MAX_NOISE, RunEnd};
use station::log::{Accepted, LogError, NoRun, NotProven, Run, Runs, check_runs};
use station::part::PartError;
use station::record::{RecordError, Wanted};

/// All that is in a log, which can be read.
fn items(log: impl Read) -> Vec<Result<Run, NoRun>> {
    let item = |item| match item {
        Ok(run) => Ok(run),
        Err(LogError::NoRun(why)) => Err(why),
        Err(LogError::Read(error)) => panic!("{error}"),
    };
    Runs::new(log).unwrap().map(item).collect()
}

/// The runs of a log that has some.
#[track_caller]
fn runs(log: &[u8]) -> Vec<Run> {
    items(log).into_iter().collect::<Result<_, _>>().unwrap()
}

/// The ends of the runs of a log that has some.
#[track_caller]
fn ends(log: &[u8]) -> Vec<Result<RunEnd, ConsoleError>> {
    runs(log).into_iter().map(|run| run.end).collect()
}

/// Why there is no run in a log.
#[track_caller]
fn no_run(log: &[u8]) -> NoRun {
    match &mut items(log)[..] {
        [Err(why)] => why.clone(),
        items => panic!("{items:?}"),
    }
}

fn kit(lines: &[&str]) -> Vec<u8> {
    lines.iter().flat_map(|line| Style::Kit.line(line).into_bytes()).collect()
}

fn good_run(part: u8) -> Vec<u8> {
    Style::Kit.log(&run(part, &FRESH))
}

/// How a good run ends.
#[expect(clippy::unnecessary_wraps, reason = "it is compared with what may be an error")]
fn provisioned(part: u8) -> Result<RunEnd, ConsoleError> {
    Ok(good_runs(part).swap_remove(0).1)
}

const VERIFIED: &str = Event::LifecycleVerified.message();
const SWITCHED: &str = Event::LifecycleSwitched.message();

#[test]
fn every_run_is_given_with_its_number_and_its_line() {
    let parts: Vec<_> = good_runs(1).into_iter().zip(good_runs(2)).collect();
    for style in STYLES {
        let mut log = String::new();
        let mut expected = Vec::new();
        let mut print = |line: &str| {
            log += &style.line(line);
            log.lines().count() as u64
        };
        let runs_of_both = parts.iter().flat_map(|(one, two)| [one, two]);
        for ((lines, end), number) in runs_of_both.zip(1..) {
            let has_asked = number % 2 == 0;
            let is_modelled = number % 3 == 0;
            print("Hello");
            print(BANNERS[0]);
            let mut at = None;
            if is_modelled {
                at = Some(print(&MODELLED));
            }
            if has_asked {
                let line = print(NONCE_PROMPT);
                at = at.or(Some(line));
            }
            for line in lines {
                let line = print(line);
                at = at.or(Some(line));
            }
            print(PANIC);
            print("[00:00:05.123,000] <inf> app: what an application prints");
            let line = at.unwrap();
            expected.push(Run { number, line, is_modelled, has_asked, end: Ok(end.clone()) });
        }
        assert_eq!(runs(log.as_bytes()), expected, "{style:?}");
    }
}

/// Good runs, bad ones and cut ones, more than the threads have in memory at once.
#[test]
fn runs_are_checked_the_same_in_the_same_order_on_any_number_of_threads() {
    let mut log = Vec::new();
    for n in 0..700_u32 {
        match n % 7 {
            3 => log.extend(kit(&[VERIFIED, "Hello"])),
            5 => log.extend(kit(&[VERIFIED, &FAILURE])),
            // With a record that is none.
            _ => log.extend(good_run(n.to_le_bytes()[0])),
        }
    }
    // One whose record is true, as the last.
    let part = Silicon::erased(Soc::Nrf5340, [7; 32]);
    let config = Config::new(id(), IdentityKeySource::Generated);
    simulator::run(part, &config, |event| log.extend(kit(&[&event.to_string()]))).1.unwrap();
    let checked = |log: &[u8], threads| {
        let mut found = Vec::new();
        let threads = NonZeroUsize::new(threads).unwrap();
        let runs = Runs::new(log).unwrap();
        check_runs(runs, &Accepted::default(), threads, |run| {
            found.push(format!("{run:?}"));
            Ok::<_, ()>(())
        })
        .unwrap();
        found
    };
    let accepted = Accepted::default();
    let alone: Vec<_> = Runs::new(&log[..])
        .unwrap()
        .map(|run| format!("{:?}", run.map(|run| (run.clone(), run.check(&accepted)))))
        .collect();
    assert_eq!(alone.len(), 701);
    assert!(alone[700].contains("Ok(GoodRun"), "{}", alone[700]);
    for threads in [1, 2, 3, 7] {
        assert_eq!(checked(&log, threads), alone, "{threads} threads");
        assert_eq!(checked(b"Hello\n", threads), ["Err(NoRun(Nothing))"], "{threads} threads");
    }
    // What does not want more gets no more.
    let mut taken = 0;
    let end =
        check_runs(Runs::new(&log[..]).unwrap(), &accepted, NonZeroUsize::new(3).unwrap(), |_| {
            taken += 1;
            if taken < 40 { Ok(()) } else { Err("enough") }
        });
    assert_eq!((end, taken), (Err("enough"), 40));
}

/// One thread has each run when it has ended, and not when others have.
#[test]
fn of_a_log_that_is_being_written_each_run_is_given_when_it_has_ended() {
    struct Written<'a> {
        runs: Vec<Vec<u8>>,
        rest: Cursor<Vec<u8>>,
        given: &'a Cell<usize>,
        taken: &'a Cell<usize>,
    }

    impl Read for Written<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.rest.position() == self.rest.get_ref().len() as u64
                && let Some(run) = self.runs.pop()
            {
                // The head of the log is read first, to see what it is.
                assert!(self.given.get() <= self.taken.get() + 24, "a run was held back");
                self.given.set(self.given.get() + 1);
                self.rest = Cursor::new(run);
            }
            self.rest.read(buffer)
        }
    }

    let (given, taken) = (Cell::new(0), Cell::new(0));
    let runs: Vec<_> = (0..100).map(good_run).collect();
    assert!(runs.iter().all(|run| run.len() > 200), "24 are more than a head");
    let rest = Cursor::default();
    let log = Written { runs, rest, given: &given, taken: &taken };
    let take = |_| {
        taken.set(taken.get() + 1);
        Ok::<_, ()>(())
    };
    check_runs(Runs::new(log).unwrap(), &Accepted::default(), NonZeroUsize::MIN, take).unwrap();
    assert_eq!(taken.get(), 100);
}

#[test]
fn after_a_bad_run_the_next_one_is_judged() {
    let record = format!("{RECORD_PREFIX}{}", record(1));
    let garbage = |line: &str| ConsoleError::Garbage(format!("\"{line}\""));
    let bad: &[(&[&str], ConsoleError)] = &[
        (&[VERIFIED, "Hello"], garbage("Hello")),
        // What is left of the run is passed over, and so is what follows it.
        (&[VERIFIED, "Hello", SWITCHED, &record, Event::Success.message()], garbage("Hello")),
        (&[VERIFIED, "Hello", &FAILURE, PANIC], garbage("Hello")),
        (&[NONCE_PROMPT, "Hello", VERIFIED, SWITCHED, &record], garbage("Hello")),
        (&[VERIFIED, PANIC, "Hello"], ConsoleError::Crashed(format!("\"{PANIC}\""))),
        (
            &[SWITCHED, &record, Event::Success.message()],
            ConsoleError::MissedStart(format!("\"{SWITCHED}\"")),
        ),
        (
            &[VERIFIED, SWITCHED, &"x".repeat(9 * MAX_LINE)],
            ConsoleError::TooLong(format!("\"{}...\"", "x".repeat(80))),
        ),
    ];
    for (lines, error) in bad {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let mut log = Style::Simulator.log(&lines);
        let count = lines.len() as u64;
        log.extend(good_run(1));
        log.extend(&log.clone());
        let runs = runs(&log);
        let ends: Vec<_> = runs.iter().map(|run| run.end.clone()).collect();
        let once = [Err(error.clone()), provisioned(1)];
        assert_eq!(ends, [&once[..], &once].concat(), "{lines:?}");
        let begins: Vec<_> = runs.iter().map(|run| (run.number, run.line)).collect();
        let again = count + 7;
        assert_eq!(begins, [(1, 1), (2, count + 1), (3, again), (4, again + count)], "{lines:?}");
    }
}

/// What an error shows of a line.
fn shown(line: &str) -> String {
    let dots = if line.len() > 80 { "..." } else { "" };
    format!("\"{}{dots}\"", &line[..line.len().min(80)])
}

#[test]
fn a_restart_begins_the_next_run() {
    let [info, warning, _] = LOG_PREFIXES;
    for (restart, line) in [
        (kit(&[BANNERS[0]]), BANNERS[0].to_owned()),
        (kit(&[&MODELLED]), format!("{warning}{}", *MODELLED)),
        (kit(&[NONCE_PROMPT]), format!("{info}{NONCE_PROMPT}")),
        (vec![], format!("{info}{VERIFIED}")),
    ] {
        let log = [kit(&[VERIFIED, SWITCHED]), restart, good_run(1)].concat();
        let restarted = ConsoleError::Restarted(shown(&line));
        assert_eq!(ends(&log), [Err(restarted), provisioned(1)], "{line}");
    }
    // Without a banner, a part that resets in the middle of a line goes on in the same line.
    let log = [&kit(&[VERIFIED])[..], b"INFO:provisioning_image: Successf", &good_run(1)].concat();
    let ends = ends(&log);
    assert!(matches!(ends[0], Err(ConsoleError::Interleaved(_))), "{ends:?}");
    assert_eq!(ends[1..], [provisioned(1)]);
    // Whatever resets it, the last run may be cut off.
    let log = [good_run(1), kit(&[BANNERS[0], VERIFIED])].concat();
    assert_eq!(self::ends(&log), [provisioned(1), Err(ConsoleError::Cut(VERIFIED))]);
}

/// What the image says before its procedure holds for the procedure, whatever comes between.
#[test]
fn a_run_does_not_lose_what_was_said_before_it() {
    let procedure = run(1, &FRESH);
    let prompted = [MODELLED.clone(), NONCE_PROMPT.to_owned(), String::from("E: a\x07b")];
    let log = Style::Kit.log(&[&prompted[..], &procedure].concat());
    assert_eq!(ends(&log), [Err(ConsoleError::Garbage(String::from(r#""E: a\x07b""#)))]);
    // After a run that was not understood, a part may be modelled although its line is lost.
    let garbage = [MODELLED.clone(), VERIFIED.to_owned(), String::from("E: a\x07b")];
    for broken in [&garbage[..2], &garbage] {
        let log = Style::Kit.log(&[broken, &procedure, &procedure].concat());
        let modelled: Vec<_> =
            runs(&log).iter().map(|run| (run.end.is_ok(), run.is_modelled)).collect();
        assert_eq!(modelled, [(false, true), (true, true), (true, false)]);
    }
}

#[test]
fn a_line_that_was_cut_off_is_the_last_of_a_run_or_none() {
    for style in STYLES {
        for (lines, expected) in good_runs(1) {
            let log = style.log(&lines);
            let text = log.trim_ascii_end();
            for end in 1..log.len() {
                let cut = &log[..end];
                match &items(cut)[..] {
                    [Ok(run)] if end >= text.len() => assert_eq!(run.end, Ok(expected.clone())),
                    [Ok(run)] => assert!(matches!(run.end, Err(ConsoleError::Cut(_))), "{run:?}"),
                    [Err(_)] => assert!(!cut.contains(&b'\n'), "{end}"),
                    items => panic!("{items:?}"),
                }
            }
        }
    }
    // A run of one line.
    let failed = |log: &str| matches!(ends(log.as_bytes())[..], [Ok(RunEnd::Failed { .. })]);
    assert!(failed(&FAILURE) && failed(&Style::Kit.line(&FAILURE)));
}

/// How a file holds a text.
#[derive(Clone, Copy, Debug)]
enum Encoding {
    Bytes,
    Utf8Bom,
    Utf16(fn(u16) -> [u8; 2], bool),
}

const ENCODINGS: [Encoding; 6] = [
    Encoding::Bytes,
    Encoding::Utf8Bom,
    Encoding::Utf16(u16::to_le_bytes, true),
    Encoding::Utf16(u16::to_be_bytes, true),
    Encoding::Utf16(u16::to_le_bytes, false),
    Encoding::Utf16(u16::to_be_bytes, false),
];

impl Encoding {
    fn file(self, text: &str) -> Vec<u8> {
        match self {
            Self::Bytes => text.as_bytes().to_vec(),
            Self::Utf8Bom => format!("\u{FEFF}{text}").into_bytes(),
            Self::Utf16(to_bytes, has_bom) => {
                let mark = has_bom.then_some(0xFEFF);
                mark.into_iter().chain(text.encode_utf16()).flat_map(to_bytes).collect()
            }
        }
    }
}

const LINE_ENDS: [&str; 6] = ["\n", "\r\n", "\r\r\n", "\r\n\n", "\n\r", "\r"];

/// What each program writes before a line, see `log/text.rs`.
const STAMPS: [&str; 22] = [
    "",
    "[12:34:56.789] ",
    "[2026-11-27T12:34:56.789] ",
    "[2026-11-27 12:34:56] ",
    "[2026-11-27 12:34:56.789] ",
    "[0 00:00:01.123] ",
    "[123 00:00:01.123] ",
    "[Fri Nov 27 06:15:59.123 2026] ",
    "12:34:56.789 -> ",
    "12:34:56.789 > ",
    "Nov 27 12:34:56 ",
    "00:00:05 ",
    "12:34:56.789012 ",
    "2026-11-27 12:34:56 ",
    "2026-11-27 12:34:56.789 ",
    "2026-11-27T12:34:56 ",
    "2026-11-27T12:34:56.789 ",
    "2026-11-27T12:34:56Z ",
    "2026-11-27T12:34:56.7890123Z ",
    "2026-11-27T12:34:56+0100 ",
    "2026-11-27T12:34:56.789-0800 ",
    "2026-11-27T12:34:56.789+0000 ",
];

/// What colours a line: before it, in it and after it.
const COLOURS: [[&str; 3]; 4] = [
    ["", "", ""],
    ["\x1B[32m", "", "\x1B[0m"],
    ["\x1B[1;38;5;208m", "\x1B[m\x1B[K", "\x1B(B\x1B[m"],
    ["\x1B[?25l\x1B[2J\x1B[H", "", "\x1B[0K"],
];

/// The form of a log.
#[derive(Clone, Copy, Debug)]
struct Form {
    encoding: Encoding,
    line_end: &'static str,
    stamp: &'static str,
    colour: [&'static str; 3],
    /// Whether the last line has its end.
    is_whole: bool,
}

/// As the console has it.
const PLAIN: Form = Form {
    encoding: Encoding::Bytes,
    line_end: "\n",
    stamp: "",
    colour: COLOURS[0],
    is_whole: true,
};

impl Form {
    /// The lines, of ASCII, as a log of this form.
    fn log(self, lines: &[String]) -> Vec<u8> {
        let [before, within, after] = self.colour;
        let mut text = String::new();
        for line in lines {
            let (left, right) = line.split_at(line.len() / 2);
            let (stamp, end) = (self.stamp, self.line_end);
            let _ = write!(text, "{before}{stamp}{left}{within}{right}{after}{end}");
        }
        if !self.is_whole {
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
        }
        self.encoding.file(&text)
    }
}

fn form() -> impl Strategy<Value = Form> {
    (
        prop::sample::select(ENCODINGS.to_vec()),
        prop::sample::select(LINE_ENDS.to_vec()),
        prop::sample::select(STAMPS.to_vec()),
        prop::sample::select(COLOURS.to_vec()),
        any::<bool>(),
    )
        .prop_map(|(encoding, line_end, stamp, colour, is_whole)| Form {
            encoding,
            line_end,
            stamp,
            colour,
            is_whole,
        })
}

/// The lines of a console without their ends.
fn lines_of(style: Style, messages: &[String]) -> Vec<String> {
    let log = String::from_utf8(style.log(messages)).unwrap();
    log.lines().map(String::from).collect()
}

#[test]
fn each_form_is_read() {
    let lines: Vec<String> = good_runs(1)
        .iter()
        .zip(STYLES.iter().cycle())
        .flat_map(|((lines, _), style)| lines_of(*style, lines))
        .collect();
    let expected = runs(&PLAIN.log(&lines));
    assert_eq!(expected.len(), good_runs(1).len());
    let read = |form: Form| {
        let mut found = runs(&form.log(&lines));
        if form.line_end == "\r\n\n" {
            // An editor counts empty lines, too.
            for run in &mut found {
                run.line = run.line.div_ceil(2);
            }
        }
        assert_eq!(found, expected, "{form:?}");
    };
    for encoding in ENCODINGS {
        for line_end in LINE_ENDS {
            for is_whole in [true, false] {
                read(Form { encoding, line_end, is_whole, ..PLAIN });
            }
        }
    }
    for stamp in STAMPS {
        for colour in COLOURS {
            read(Form { stamp, colour, ..PLAIN });
        }
    }
}

/// With a byte order mark, little of it needs to be English.
#[test]
fn another_script_before_a_run_is_passed_over() {
    let mut lines = vec![String::from("\u{6e29}\u{5ea6}\u{8ba1}\u{6570}\u{636e}"); 1_000];
    lines.extend(lines_of(Style::Kit, &run(1, &FRESH)));
    for encoding in &ENCODINGS[..4] {
        let [run] = &runs(&encoding.file(&lines.join("\n")))[..] else { panic!("{encoding:?}") };
        assert_eq!((run.line, &run.end), (1_001, &provisioned(1)));
    }
}

/// Messages that are in order more often than not: whole runs, and pieces of them.
fn console() -> impl Strategy<Value = Vec<String>> {
    let known = [
        Event::LifecycleVerified.message(),
        Event::Resuming.message(),
        Event::Success.message(),
        NONCE_PROMPT,
        &MODELLED,
        &FAILURE,
        BANNERS[0],
        PANIC,
        "E: text",
        "Hello [12:34:56.789] ",
        "Success",
    ];
    let piece = prop_oneof![
        (0..10_usize, 1..3_u8, any::<prop::sample::Index>(), any::<bool>()).prop_map(
            |(kind, part, cut, is_cut)| {
                let mut lines = good_runs(part).swap_remove(kind).0;
                if is_cut {
                    lines.remove(cut.index(lines.len()));
                }
                lines
            }
        ),
        prop::sample::select(known.map(String::from).to_vec()).prop_map(|line| vec![line]),
    ];
    (prop::collection::vec(piece, 1..8), prop::sample::select(STYLES.to_vec()))
        .prop_map(|(pieces, style)| lines_of(style, &pieces.concat()))
}

/// Bytes after which nothing can be told any more.
#[derive(Debug)]
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}

/// A reader that gives few bytes at a time, and is interrupted before each.
struct Slow<R>(R, bool);

impl<R: Read> Read for Slow<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        let most = buffer.len().min(7);
        if self.1 {
            Err(io::ErrorKind::Interrupted.into())
        } else {
            self.0.read(&mut buffer[..most])
        }
    }
}

proptest! {
    /// The same is found in a log, whatever a terminal program has made of it.
    #[test]
    fn the_form_of_a_log_does_not_matter(lines in console(), form in form()) {
        let kept = |items: Vec<Result<Run, NoRun>>| -> Vec<_> {
            items.into_iter().map(|item| item.ok().map(|run| Run { line: 0, ..run })).collect()
        };
        // The end of a line may be missing after a good run only: of another line it is not known what is missing.
        let lines = [&lines[..], &[BANNERS[0].to_owned()], &run(1, &FRESH)].concat();
        let (expected, found) = (kept(items(&PLAIN.log(&lines)[..])), kept(items(&form.log(&lines)[..])));
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_are_survived(
        fragments in prop::collection::vec(fragment(), 0..12),
        bytes in prop::collection::vec(any::<u8>(), 0..10_000),
        at in any::<prop::sample::Index>(),
        form in form(),
    ) {
        let mut log = fragments.concat();
        let at = at.index(log.len() + 1);
        log.splice(at..at, bytes.iter().copied());
        let text: String = log.iter().map(|byte| char::from(byte & 0x7F)).collect();
        let text: Vec<_> = text.lines().map(String::from).collect();
        for log in [&bytes, &log, &form.log(&text)] {
            let found = items(&log[..]);
            prop_assert_eq!(&items(Slow(&log[..], false)), &found);
            // Each run has its own lines, and the reason for none comes alone.
            let mut last = 0;
            for (item, number) in found.iter().zip(1..) {
                if let Ok(run) = item {
                    prop_assert_eq!(run.number, number);
                    prop_assert!(run.line >= last, "{:?}", run);
                    last = run.line;
                } else {
                    prop_assert_eq!(found.len(), 1);
                }
            }
            for run in found.iter().flatten() {
                prop_assert!(run.check(&Accepted::default()).is_err());
            }
        }
    }
}

/// As in `tests/console.rs`, which changes what comes from a part to every other byte.
#[test]
fn a_changed_byte_shows_in_every_form() {
    let forms = [
        Form { line_end: "\r\n", ..PLAIN },
        Form { stamp: "[12:34:56.789] ", colour: COLOURS[2], ..PLAIN },
        Form { stamp: "12:34:56.789 -> ", line_end: "\r", is_whole: false, ..PLAIN },
        Form { encoding: ENCODINGS[2], ..PLAIN },
    ];
    let logs = forms.into_par_iter().flat_map_iter(|form| {
        [0, 5].map(|kind| {
            let (lines, expected) = good_runs(1).swap_remove(kind);
            (form.log(&lines_of(Style::Kit, &lines)), expected)
        })
    });
    logs.for_each(|(mut log, expected)| {
        for index in 0..log.len() {
            let original = log[index];
            for byte in *b"\n\r\x1B\0\xFF 0A:[]>" {
                log[index] = byte;
                for mut end in items(&log[..]).into_iter().flatten().filter_map(|run| run.end.ok())
                {
                    match (&mut end, &expected) {
                        // Its signature is checked.
                        (
                            RunEnd::Provisioned { record, .. },
                            RunEnd::Provisioned { record: expected, .. },
                        ) => record.clone_from(expected),
                        // They are compared.
                        (
                            RunEnd::AlreadyProvisioned { record, ueid },
                            RunEnd::AlreadyProvisioned { record: expected, ueid: own },
                        ) if record == expected || ueid == own => {
                            record.clone_from(expected);
                            *ueid = *own;
                        }
                        _ => {}
                    }
                    assert_eq!(end, expected, "{index} {byte}");
                }
            }
            log[index] = original;
        }
    });
}

/// A real console: what a modelled part prints in the last of so many runs.
fn real(nonce: Option<Nonce>, source: IdentityKeySource, runs: usize) -> Vec<String> {
    let config = Config { nonce, ..Config::new(id(), source) };
    run_messages(Silicon::erased(Soc::Nrf5340, [7; 32]), &config, runs)
}

#[test]
fn a_changed_character_of_the_record_is_found() {
    let lines = lines_of(Style::Kit, &real(None, IdentityKeySource::Generated, 1));
    let form = Form { stamp: STAMPS[3], colour: COLOURS[1], line_end: "\r\r\n", ..PLAIN };
    let log = form.log(&lines);
    let check = |log: &[u8]| {
        let checked = items(log).into_iter().flatten().map(|run| run.check(&Accepted::default()));
        checked.collect::<Vec<_>>()
    };
    assert!(matches!(check(&log)[..], [Ok(_)]));
    let find = |text: &str| {
        log.windows(text.len()).position(|window| window == text.as_bytes()).unwrap() + text.len()
    };
    let begin = find(RECORD_PREFIX);
    let length = log[begin..].iter().position(|byte| *byte == 0x1B).unwrap();
    assert_eq!(length, 603, "the record is not there as a whole");
    (begin..begin + length).into_par_iter().for_each(|index| {
        let others = b"\n\r\x1B\0\xFF [m".iter().copied();
        // A letter beside it, and two that are far away.
        for byte in others.chain([log[index] ^ 1, b'A', b'z']).filter(|byte| *byte != log[index]) {
            let mut changed = log.clone();
            changed[index] = byte;
            assert!(check(&changed).iter().all(Result::is_err), "{index} {byte}");
        }
        // Lost, doubled, and two of them swapped.
        let mut changed = log.clone();
        changed.remove(index);
        assert!(check(&changed).iter().all(Result::is_err), "{index} lost");
        changed.insert(index, log[index]);
        changed.insert(index, log[index]);
        assert!(check(&changed).iter().all(Result::is_err), "{index} doubled");
        let mut changed = log.clone();
        changed.swap(index, index - 1);
        let is_same = changed == log;
        assert!(is_same || check(&changed).iter().all(Result::is_err), "{index} swapped");
    });
}

#[test]
fn what_is_not_proven_is_named() {
    let generated = IdentityKeySource::Generated;
    let nonce = Nonce([0x5A; 32]);
    let prompt = NONCE_PROMPT.to_owned();
    let own = real(None, generated, 1);
    let asked = [vec![prompt], real(Some(nonce), generated, 1)].concat();
    let modelled = [vec![MODELLED.clone()], own.clone()].concat();
    let dummy = real(None, IdentityKeySource::Dummy, 2);
    let check = |lines: &[String], accepted: &Accepted| {
        let [run] = &runs(&Style::Kit.log(lines))[..] else { panic!("{lines:?}") };
        run.check(accepted)
    };
    let any =
        Accepted { record: Wanted { allow_dummy: true, ..Wanted::default() }, modelled: true };
    let sent = |nonce| Accepted { record: Wanted { nonce: Some(nonce), ..any.record }, ..any };
    let not_proven =
        |lines: &[String], accepted: &Accepted| check(lines, accepted).unwrap().not_proven;
    assert_eq!(not_proven(&own, &any), [NotProven::NoNonce]);
    assert_eq!(not_proven(&asked, &any), [NotProven::AnyNonce]);
    assert_eq!(not_proven(&asked, &sent(nonce)), []);
    assert_eq!(not_proven(&modelled, &any), [NotProven::NoNonce, NotProven::Modelled]);
    assert_eq!(not_proven(&dummy, &any), [NotProven::NoNonce, NotProven::DummyKey]);

    // And what is not accepted.
    let of_another_run = PartError::Record(RecordError::Nonce).to_string();
    for lines in [&asked, &own] {
        let error = check(lines, &sent(Nonce([1; 32]))).unwrap_err();
        assert_eq!(error.to_string(), of_another_run);
    }
    assert!(matches!(check(&modelled, &Accepted::default()), Err(PartError::Modelled)));
    let refused = check(&dummy, &Accepted::default());
    assert!(matches!(refused, Err(PartError::Record(RecordError::Dummy))));
    let failed = check(std::slice::from_ref(&FAILURE), &any);
    assert!(matches!(failed, Err(PartError::Failed { code: Some(28), .. })));
}

#[test]
fn a_log_without_a_run_is_named() {
    assert_eq!(no_run(b""), NoRun::Empty);
    for (beginning, what) in [
        (&b"\x1F\x8B\x08\0"[..], "compressed with gzip"),
        (b"BZh91AY", "compressed with bzip2"),
        (b"\xFD7zXZ\0\0", "compressed with xz"),
        (b"\x28\xB5\x2F\xFD\x04", "compressed with zstd"),
        (b"\x04\x22\x4D\x18d", "compressed with lz4"),
        (b"PK\x03\x04\x14", "a ZIP archive or an office document"),
        (b"7z\xBC\xAF\x27\x1C\0", "a 7-Zip archive"),
        (b"%PDF-1.7", "a PDF document"),
        (b"{\\rtf1\\ansi", "a document in rich text format"),
        (b"SQLite format 3\0", "an SQLite file, as a ledger is"),
        (b"\xFF\xFE\0\0I\0\0\0N\0\0\0", "text in UTF-32"),
        (b"\0\0\xFE\xFF\0\0\0I\0\0\0N", "text in UTF-32"),
    ] {
        assert_eq!(no_run(beginning), NoRun::Known(what));
    }
    let noise: Vec<u8> = (0..=255).cycle().take(5_000).collect();
    assert_eq!(no_run(&noise), NoRun::Binary);
    for text in [&b"Hello\n"[..], "Gr\u{fc}\u{df}e\r\n".as_bytes(), b"Gr\xFC\xDFe, many of them\n"]
    {
        assert_eq!(no_run(text), NoRun::Nothing);
    }
    // Between a boot loader's lines a line about the model is no run.
    assert_eq!(no_run(&kit(&["E: Hello", BANNERS[0], &MODELLED])), NoRun::Nothing);
    let strange = format!("Hello\n2026/331 12h34 {VERIFIED}\n");
    let line = shown(&format!("2026/331 12h34 {VERIFIED}"));
    assert_eq!(no_run(strange.as_bytes()), NoRun::Strange(2, line));
    // A run is a run, whatever stands before it.
    let log = [&b"PK\x03\x04\n\xFF\xFE\0\0"[..], &noise, b"\n", &good_run(1)].concat();
    assert_eq!(ends(&log), [provisioned(1)]);
    for glitch in [&b"\xFF\xFE"[..], b"\xFE\xFF", b"\0\xFF\xFE\r", b"\xEF\xBB"] {
        assert_eq!(ends(&[glitch, &good_run(1)].concat()), [provisioned(1)], "{glitch:?}");
    }
}

/// The time in another form is not guessed: the line is shown.
#[test]
fn a_time_of_another_form_is_shown() {
    for stamp in ["[12:34:56] ", "[00:00:01.234,000] <inf> ", "(12:34:56.789) ", "12:34:56.789"] {
        let form = Form { stamp, ..PLAIN };
        let kit = lines_of(Style::Kit, &run(1, &FRESH));
        let second = shown(&format!("{stamp}{}", kit[1]));
        // What stands before the first line may be a glitch.
        assert_eq!(ends(&form.log(&kit)), [Err(ConsoleError::Interleaved(second))]);
        let first = shown(&format!("{stamp}{VERIFIED}"));
        assert_eq!(no_run(&form.log(&run(1, &FRESH))), NoRun::Strange(1, first));
    }
    // Nor is there a second one, or one in a line.
    let twice = format!("{0}{0}E: text", STAMPS[1]);
    let within = format!("E: {}\x07", STAMPS[1]);
    for line in [twice, within] {
        let error = ends(&kit(&[VERIFIED, &line])).swap_remove(0).unwrap_err();
        assert!(matches!(error, ConsoleError::Garbage(_)), "{error}");
    }
}

/// An escape sequence is taken away where it is whole, and every other control character is found.
#[test]
fn other_control_characters_are_garbage() {
    let end = |line: &str| ends(&kit(&[VERIFIED, line])).swap_remove(0).unwrap_err();
    assert_eq!(end("E: \x1B[31mred\x1B[0m"), ConsoleError::Cut(VERIFIED));
    for line in [
        "E: \x1B[31",
        "E: \x1B[31\x07m",
        "E: \x1B",
        "E: \x1B(",
        "E: \x1B(\x07",
        "E: \x1Bc",
        "E: \x1B]0;title\x07",
        "E: \x07",
        "E: \x08",
        "E: \x7F",
        "E: \0",
        "E: \u{9B}31m",
    ] {
        assert!(matches!(end(line), ConsoleError::Garbage(_)), "{line:?}");
    }
}

#[test]
fn a_log_that_cannot_be_read_says_so_after_its_runs() {
    let log = good_run(1).repeat(30);
    let mut runs = Runs::new(Cursor::new(&log).chain(Broken)).unwrap();
    for _ in 0..30 {
        assert_eq!(runs.next().unwrap().unwrap().end, provisioned(1));
    }
    let error = runs.next().unwrap().unwrap_err();
    assert!(matches!(&error, LogError::Read(error) if error.to_string() == "the disk is gone"));
    assert!(runs.next().is_none());
    assert_eq!(Runs::new(Broken).unwrap_err().to_string(), "the disk is gone");
    assert!(Runs::new(io::empty()).unwrap().nth(1).is_none());
}

/// The same bytes again and again.
struct Again<'a> {
    bytes: &'a [u8],
    times: usize,
    rest: &'a [u8],
}

impl<'a> Again<'a> {
    fn new(bytes: &'a [u8], times: usize) -> Self {
        Self { bytes, times, rest: &[] }
    }
}

impl Read for Again<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() && self.times > 0 {
            self.times -= 1;
            self.rest = self.bytes;
        }
        self.rest.read(buffer)
    }
}

impl std::fmt::Debug for Again<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Again")
    }
}

#[test]
fn however_long_a_log_is_little_of_it_is_kept() {
    // As characters: the buffer, the head, a line, and what the follower keeps.
    const MOST_KEPT: usize = 200_000;
    let noise = b"x\0".repeat(MAX_LINE);
    let lines = "what an application prints\r\n".repeat(MAX_NOISE / 20);
    let bad = kit(&[VERIFIED, "Hello"]);
    let log = [&good_run(1)[..], &bad, lines.as_bytes(), &noise].concat();
    let mut runs = Runs::new(Again::new(&log, 200)).unwrap();
    for number in 1..=400 {
        let run = runs.next().unwrap().unwrap();
        assert_eq!(run.number, number);
        assert_eq!(run.end.is_ok(), number % 2 == 1, "{run:?}");
        assert!(format!("{runs:?}").len() < MOST_KEPT);
    }
    assert!(runs.next().is_none());
    // No line end at all, in a run and before one.
    for before in [&b""[..], &bad] {
        let mut runs = Runs::new(before.chain(Again::new(&noise, 5_000))).unwrap();
        let _ = runs.next().unwrap();
        assert!(runs.next().is_none());
        assert!(format!("{runs:?}").len() < MOST_KEPT);
    }
}

#[test]
fn a_log_of_thousands_of_runs_is_read_to_its_end() {
    let log = [good_run(1), Style::Kit.log(&complete(2))].concat();
    let runs = Runs::new(Again::new(&log, 5_000)).unwrap();
    assert_eq!(runs.filter(|run| run.as_ref().is_ok_and(|run| run.end.is_ok())).count(), 10_000);
}
