// SPDX-License-Identifier: Apache-2.0

//! Consoles of measured runs, and what is not taken for one.

use std::fmt::{Display, Write as _};
use std::sync::LazyLock;

use provisioning::console::{
    BOOT_BANNERS, FATAL_ERROR, LOG_PREFIXES, Measured, ModelledSilicon, RECORD_PREFIX,
};
use provisioning::{Cause, Event, Failure, Written};
use xtask::console::{ConsoleError, Run, STEPS, is_last, parse};

const INFO: &str = LOG_PREFIXES[0];
const WARN: &str = LOG_PREFIXES[1];
const ERROR: &str = LOG_PREFIXES[2];

/// A measured run of an image in QEMU.
static CONSOLE: LazyLock<String> = LazyLock::new(|| {
    let mut console = format!("{}Zephyr OS ***\r\n", BOOT_BANNERS[0]);
    let mut line = |level: &str, message: &dyn Display| {
        write!(console, "{level}{message}\r\n").unwrap();
    };
    line(WARN, &ModelledSilicon { part: "nrf5340", seed: 1 });
    for (message, cycles) in [
        (Event::LifecycleVerified.message(), 178_147),
        (Event::LifecycleSwitched.message(), 18_411_386),
        (Event::GeneratingHuks.message(), 18_443_665),
        (Event::WritingIdentityKey.message(), 18_823_781),
        (&*format!("{RECORD_PREFIX}gtKEQ6EBJqBYracKWCBJUZ7c"), 57_758_956),
        (Event::Success.message(), 57_907_574),
    ] {
        line(INFO, &message);
        line(INFO, &Measured::Cycles(cycles));
    }
    line(INFO, &Measured::Stack { used: 9_992, size: 12_288 });
    console
});

#[test]
fn a_run_is_read() {
    let run = parse(&CONSOLE).unwrap();
    assert_eq!(
        run,
        Run {
            cycles: [178_147, 18_411_386, 18_443_665, 18_823_781, 57_758_956, 57_907_574],
            stack: 9_992,
            stack_size: 12_288,
        }
    );
    assert_eq!(parse(&CONSOLE.replace('\r', "")), Ok(run));
}

/// The loop of 200,000 instructions that was timed at two speeds, with a cycle or two for the reads.
#[test]
fn cycles_are_instructions() {
    for (cycles, shift) in [(512_002, 7), (256_001, 6)] {
        let run = Run { cycles: [cycles; STEPS.len()], stack: 0, stack_size: 0 };
        assert_eq!(run.instructions(shift), [200_000; STEPS.len()]);
    }
}

#[test]
fn no_line_of_a_run_may_be_missing() {
    let counts = |line: &&str| line.starts_with(INFO);
    assert_eq!(CONSOLE.lines().filter(counts).count(), 2 * STEPS.len() + 1);
    for missing in CONSOLE.lines().filter(counts) {
        let without: String =
            CONSOLE.split_inclusive('\n').filter(|line| line.trim_end() != missing).collect();
        let error = parse(&without).unwrap_err();
        assert!(!matches!(error, ConsoleError::Backwards(_)), "{missing}: {error}");
    }
    // Nothing else is needed.
    let least: String =
        CONSOLE.split_inclusive('\n').filter(|line| line.starts_with(INFO)).collect();
    assert!(parse(&least).is_ok());
}

#[test]
fn a_console_that_is_cut_anywhere_is_no_run() {
    for end in 0..CONSOLE.len() {
        assert!(parse(&CONSOLE[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn a_cut_line_is_no_figure() {
    for (whole, cut) in [
        ("18443665 cycles", "18443665 cyc"),
        ("18443665 cycles", "18443665"),
        ("18443665 cycles", " cycles"),
        ("18443665 cycles", "+18443665 cycles"),
        ("18443665 cycles", "99999999999999999999 cycles"),
        // So many nanoseconds that they do not fit.
        ("57907574 cycles", "18446744073709551615 cycles"),
        ("9992 of 12288 bytes", "9992 of bytes"),
        ("9992 of 12288 bytes", "9992 bytes"),
        ("9992 of 12288 bytes", "12289 of 12288 bytes"),
        ("Success!", "Success"),
        ("Provisioning record: ", "Provisioning rec"),
    ] {
        let console = CONSOLE.replace(whole, cut);
        assert_ne!(console, *CONSOLE);
        let error = parse(&console).unwrap_err();
        assert!(matches!(error, ConsoleError::Unexpected(_)), "{cut}: {error}");
    }
}

#[test]
fn a_clock_that_goes_backwards_is_told() {
    let console = CONSOLE.replace("18823781", "18443664");
    assert!(
        matches!(parse(&console), Err(ConsoleError::Backwards(line)) if line.contains("18443664"))
    );
}

#[test]
fn other_runs_are_not_measured() {
    let resumed = CONSOLE.replace(Event::LifecycleVerified.message(), Event::Resuming.message());
    assert!(matches!(parse(&resumed), Err(ConsoleError::Unexpected(_))));
    let twice = format!("{0}{0}", *CONSOLE);
    assert!(matches!(parse(&twice), Err(ConsoleError::Unexpected(_))));
    let unmeasured: String =
        CONSOLE.split_inclusive('\n').filter(|line| !line.contains("Measured")).collect();
    assert!(matches!(parse(&unmeasured), Err(ConsoleError::Unexpected(_))));
    let stack = Measured::Stack { used: 9_992, size: 12_288 };
    let failure = Failure { cause: Cause::RandomIsZero, written: Written::Nothing, ueid: None };
    let failed = format!("{INFO}{stack}\n{ERROR}{failure}\n");
    assert!(matches!(parse(&failed), Err(ConsoleError::Unexpected(_))));
}

#[test]
fn the_last_line_ends_the_wait() {
    let last = CONSOLE.lines().filter(|line| is_last(line)).collect::<Vec<_>>();
    assert_eq!(last, [CONSOLE.lines().last().unwrap()]);
    assert!(is_last(&format!("[00:00:01] os: {FATAL_ERROR}4: Kernel panic on CPU 0")));
}
