// SPDX-License-Identifier: Apache-2.0

//! The follower at the edges of what it takes: lengths, numbers, and what a line of a driver may look like.

use provisioning::Event;
use provisioning::console::{
    ALREADY_PROVISIONED_PREFIX, FAILURE_PREFIX, LOG_PREFIXES, MODELLED_PREFIX, MODELLED_SUFFIX,
    NONCE_PROMPT, RECORD_PREFIX,
};
use station::console::{ConsoleError, Follower, MAX_LINE, MAX_NOISE, Observed, RunEnd};

/// What is observed on a console, and its end.
fn follow(console: &str) -> (Vec<Observed>, Result<RunEnd, ConsoleError>) {
    let mut follower = Follower::new();
    let mut seen = Vec::new();
    let mut rest = console.as_bytes();
    while let Ok(Some(observed)) = follower.push(&mut rest) {
        seen.push(observed);
    }
    (seen, follower.end())
}

/// A run that has begun, and then this line.
fn after_the_start(line: &str) -> Result<RunEnd, ConsoleError> {
    follow(&format!("{}\n{line}\n", Event::LifecycleVerified)).1
}

#[test]
fn the_limits_are_those_that_are_documented() {
    assert_eq!((MAX_LINE, MAX_NOISE), (2_048, 65_536));
}

#[test]
fn a_part_is_modelled_where_the_whole_line_says_so() {
    let seen = |message: String| follow(&format!("{}{message}\n", LOG_PREFIXES[1])).0;
    assert_eq!(seen(format!("{MODELLED_PREFIX}x{MODELLED_SUFFIX}")), [Observed::Modelled]);
    assert_eq!(seen(format!("{MODELLED_PREFIX}x")), []);
    assert_eq!(seen(format!("x{MODELLED_SUFFIX}")), []);
}

#[test]
fn an_excerpt_has_eighty_bytes_and_says_when_there_are_more() {
    for (length, dots) in [(79, ""), (80, ""), (81, "..."), (200, "...")] {
        let line = "x".repeat(length);
        let shown = format!("\"{}{dots}\"", "x".repeat(length.min(80)));
        assert_eq!(after_the_start(&line), Err(ConsoleError::Garbage(shown)), "{length}");
    }
}

#[test]
fn a_line_of_the_most_bytes_is_taken_and_no_longer_one() {
    let line = |length: usize| format!("E: {}", "x".repeat(length - 3));
    let cut = Err(ConsoleError::Cut(Event::LifecycleVerified.message()));
    assert_eq!(after_the_start(&line(MAX_LINE)), cut);
    let error = after_the_start(&line(MAX_LINE + 1));
    assert!(matches!(error, Err(ConsoleError::TooLong(_))), "{error:?}");
}

#[test]
fn noise_of_the_most_bytes_is_taken_and_no_more() {
    let lines = "noise \u{7f}\n".repeat(MAX_NOISE / 8);
    assert_eq!(lines.len(), MAX_NOISE);
    assert_eq!(follow(&lines).1, Err(ConsoleError::Silent));
    assert_eq!(follow(&format!("{lines}x")).1, Err(ConsoleError::Noise));
    // The line that begins the run counts too.
    let first = format!("{}\n", Event::LifecycleVerified);
    let fits = &lines[first.len().next_multiple_of(8)..];
    let cut = Err(ConsoleError::Cut(Event::LifecycleVerified.message()));
    assert_eq!(follow(&format!("{fits}{first}")).1, cut);
    // And then no more: a run may be as long as it likes.
    let run = format!("{fits}{first}{}", "E: driver\n".repeat(MAX_NOISE / 10));
    assert_eq!(follow(&run).1, cut);
}

#[test]
fn the_number_of_a_failure_is_one_that_a_part_prints() {
    for (number, is_good) in [
        ("1", true),
        ("28", true),
        ("255", true),
        ("0", false),
        ("01", false),
        ("+1", false),
        ("256", false),
        ("29", false), // a part that is complete says so in other words
        ("", false),
    ] {
        let line = format!("{FAILURE_PREFIX}it failed. [{number}]");
        let expected = if is_good {
            Ok(RunEnd::Failed { code: number.parse().ok(), line })
        } else {
            Err(ConsoleError::Garbage(format!("\"{line}\"")))
        };
        assert_eq!(after_the_start(&format!("{FAILURE_PREFIX}it failed. [{number}]")), expected);
    }
    for text in ["it failed. [1", "it failed.[1]", "it failed."] {
        let line = format!("{FAILURE_PREFIX}{text}");
        assert_eq!(after_the_start(&line), Err(ConsoleError::Garbage(format!("\"{line}\""))));
    }
    // The words of a complete part with the number of another failure.
    let line = format!("{FAILURE_PREFIX}{ALREADY_PROVISIONED_PREFIX}01{}. [28]", "00".repeat(32));
    assert!(matches!(after_the_start(&line), Err(ConsoleError::Garbage(_))));
}

#[test]
fn a_driver_logs_in_these_forms_only() {
    let others = |line: &str| {
        follow(&format!("{}\n{line}\n", Event::LifecycleVerified))
            .0
            .contains(&Observed::Other(line.to_owned()))
    };
    for line in [
        "E: text",
        "W: text",
        "I: text",
        "D: text",
        "ERROR:silicon: text",
        "WARN:a::b_9: text",
        "INFO:x: text",
        "DEBUG:x: text",
        "TRACE:x: text",
        "E: ",
    ] {
        assert!(others(line), "{line}");
    }
    for line in [
        "X: text",
        "E:text",
        "text",
        "ERROR: text",
        "ERROR:: text",
        "FATAL:x: text",
        "ERROR:X: text",
        "ERROR:a b: text",
        "EE: text",
        &format!("{}text", LOG_PREFIXES[0]),
    ] {
        assert!(!others(line), "{line}");
        assert!(
            matches!(
                after_the_start(line),
                Err(ConsoleError::Garbage(_) | ConsoleError::Interleaved(_))
            ),
            "{line}"
        );
    }
}

#[test]
fn an_error_names_the_line_before() {
    // What a complete part prints, with its record.
    let record = format!("{}\n{RECORD_PREFIX}AAAA", Event::HuksNotProven);
    for (console, after) in [
        (format!("{NONCE_PROMPT}\n{}\n", Event::Success), NONCE_PROMPT),
        (format!("{}\n{}\n", Event::Resuming, Event::Success), Event::Resuming.message()),
        (format!("{}\n{record}\n{}\n", Event::Resuming, Event::Success), "Provisioning record"),
    ] {
        let line = format!("\"{}\"", Event::Success);
        assert_eq!(follow(&console).1, Err(ConsoleError::OutOfOrder { line, after }), "{console}");
    }
    assert_eq!(follow(&format!("{NONCE_PROMPT}\n")).1, Err(ConsoleError::Cut(NONCE_PROMPT)));
    let cut = format!("{}\n{record}\n", Event::Resuming);
    assert_eq!(follow(&cut).1, Err(ConsoleError::Cut("Provisioning record")));
}

#[test]
fn a_run_has_started_with_its_first_line_and_not_with_noise() {
    let mut follower = Follower::new();
    assert!(!follower.has_started());
    follower.push(&mut &b"noise\nE: boot\n"[..]).unwrap();
    assert!(!follower.has_started());
    follower.push(&mut format!("{NONCE_PROMPT}\n").as_bytes()).unwrap();
    assert!(follower.has_started());
    // A run that ends before it begins has ended all the same.
    let mut follower = Follower::new();
    follower.push(&mut format!("{FAILURE_PREFIX}it failed. [1]\n").as_bytes()).unwrap();
    assert!(follower.has_started());
}
