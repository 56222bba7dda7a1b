// SPDX-License-Identifier: Apache-2.0

//! Consoles of measured runs, and what is not taken for one.

use xtask::console::{ConsoleError, Run, STEPS, is_last, parse};

const CONSOLE: &str = "*** Booting Zephyr OS ***\r
WARN:provisioning_image: modelled nrf5340, seed 1: nothing that is written here is secret\r
INFO:provisioning_image: Successfully verified PSA lifecycle state ASSEMBLY!\r
INFO:provisioning_image: Measured: 178147 cycles\r
INFO:provisioning_image: Successfully switched to PSA lifecycle state PROVISIONING!\r
INFO:provisioning_image: Measured: 18411386 cycles\r
INFO:provisioning_image: Generating random HUK keys (including MKEK)\r
INFO:provisioning_image: Measured: 18443665 cycles\r
INFO:provisioning_image: Writing the identity key to KMU\r
INFO:provisioning_image: Measured: 18823781 cycles\r
INFO:provisioning_image: Provisioning record: gtKEQ6EBJqBYracKWCBJUZ7c\r
INFO:provisioning_image: Measured: 57758956 cycles\r
INFO:provisioning_image: Success!\r
INFO:provisioning_image: Measured: 57907574 cycles\r
INFO:provisioning_image: Measured: 9992 of 12288 bytes of main stack\r
";

#[test]
fn a_run_is_read() {
    let run = parse(CONSOLE).unwrap();
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
    let counts = |line: &&str| line.contains("INFO:");
    assert_eq!(CONSOLE.lines().filter(counts).count(), 2 * STEPS.len() + 1);
    for missing in CONSOLE.lines().filter(counts) {
        let without: String =
            CONSOLE.split_inclusive('\n').filter(|line| line.trim_end() != missing).collect();
        let error = parse(&without).unwrap_err();
        assert!(!matches!(error, ConsoleError::Backwards(_)), "{missing}: {error}");
    }
    // Nothing else is needed.
    let least: String =
        CONSOLE.split_inclusive('\n').filter(|line| line.contains("INFO:")).collect();
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
        assert_ne!(console, CONSOLE);
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
    let resumed = CONSOLE.replace(
        "Successfully verified PSA lifecycle state ASSEMBLY!",
        "Found PSA lifecycle state PROVISIONING, looking at what is there",
    );
    assert!(matches!(parse(&resumed), Err(ConsoleError::Unexpected(_))));
    let twice = format!("{CONSOLE}{CONSOLE}");
    assert!(matches!(parse(&twice), Err(ConsoleError::Unexpected(_))));
    let unmeasured: String =
        CONSOLE.split_inclusive('\n').filter(|line| !line.contains("Measured")).collect();
    assert!(matches!(parse(&unmeasured), Err(ConsoleError::Unexpected(_))));
    let failed = "INFO:provisioning_image: Measured: 9992 of 12288 bytes of main stack\n\
        ERROR:provisioning_image: Failure: the random generator gives zeros [31]\n";
    assert!(matches!(parse(failed), Err(ConsoleError::Unexpected(_))));
}

#[test]
fn the_last_line_ends_the_wait() {
    let last = CONSOLE.lines().filter(|line| is_last(line)).collect::<Vec<_>>();
    assert_eq!(last, ["INFO:provisioning_image: Measured: 9992 of 12288 bytes of main stack"]);
    assert!(is_last("[00:00:01] os: >>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0"));
}
