// SPDX-License-Identifier: Apache-2.0

//! What an image with `CONFIG_PROVISIONING_MEASURE` logs while it provisions an erased part.

use provisioning::Event;
use provisioning::console::{FATAL_ERROR, MODELLED_PREFIX, Measured, RECORD_PREFIX, message};
use thiserror::Error;

/// Nanoseconds of a cycle of mps2-an521's FPGAIO counter: QEMU clocks it with 20 MHz.
const CYCLE_NS: u64 = 50;

/// A part of a run, from the event before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What happens in it.
    pub name: &'static str,
    /// The message that ends it, or how it begins.
    message: &'static str,
}

/// The steps of a run from an erased part to success, with the lines themselves in the step that
/// follows.
pub const STEPS: [Step; 6] = [
    Step { name: "boot", message: Event::LifecycleVerified.message() },
    Step { name: "inspection, key pair, lifecycle", message: Event::LifecycleSwitched.message() },
    Step { name: "implementation ID", message: Event::GeneratingHuks.message() },
    Step { name: "HUKs", message: Event::WritingIdentityKey.message() },
    Step { name: "identity key, signature, verification", message: RECORD_PREFIX },
    Step { name: "printing the record", message: Event::Success.message() },
];

/// A run, measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Cycles since reset, at the end of each of [`STEPS`].
    pub cycles: [u64; STEPS.len()],
    /// The most bytes of the main stack that were in use.
    pub stack: u64,
    /// All bytes of the main stack.
    pub stack_size: u64,
}

/// Why a console is not that of a measured run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConsoleError {
    /// It ends, or goes on, without this line.
    #[error(
        "the console lacks \"{0}\". The run did not come to its end, or the image was not built with \
         CONFIG_PROVISIONING_MEASURE."
    )]
    Missing(String),
    /// A line that no run from an erased part to success has, or that is cut.
    #[error("the console has \"{0}\", which no measured run to success has there.")]
    Unexpected(String),
    /// A clock that goes backwards, in this line.
    #[error("\"{0}\" is less than before: the cycle counter has wrapped. Measure a shorter run.")]
    Backwards(String),
}

/// Whether nothing that counts follows `line`: the figures of the stack are last after success, and a failure
/// ends in a panic of Zephyr.
#[must_use]
pub fn is_last(line: &str) -> bool {
    let measured = message(line).and_then(Measured::parse);
    matches!(measured, Some(Measured::Stack { .. })) || line.contains(FATAL_ERROR)
}

/// Reads a whole console. Lines of others than the image are skipped; a last line without its end is
/// cut and counts as missing.
///
/// # Errors
/// If it is anything but one measured run from an erased part to success.
pub fn parse(console: &str) -> Result<Run, ConsoleError> {
    let lines = console.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let messages = lines.filter_map(|line| message(line.trim_end_matches('\r')));
    let mut messages = messages.skip_while(|line| line.starts_with(MODELLED_PREFIX));
    let mut next = |expected: &str| {
        messages.next().ok_or_else(|| ConsoleError::Missing(String::from(expected)))
    };
    let unexpected = |line: &str| ConsoleError::Unexpected(String::from(line));
    let mut cycles = [0; STEPS.len()];
    let mut before = 0;
    for (step, cycles) in STEPS.iter().zip(&mut cycles) {
        let line = next(step.message)?;
        let is_it = match step.message {
            RECORD_PREFIX => line.starts_with(RECORD_PREFIX),
            message => line == message,
        };
        if !is_it {
            return Err(unexpected(line));
        }
        let line = next("Measured: ... cycles")?;
        let Some(Measured::Cycles(measured)) = Measured::parse(line) else {
            return Err(unexpected(line));
        };
        *cycles = u64::from(measured);
        if *cycles < before {
            return Err(ConsoleError::Backwards(String::from(line)));
        }
        before = *cycles;
    }
    let line = next("Measured: ... of ... bytes of main stack")?;
    let (stack, stack_size) = match Measured::parse(line) {
        Some(Measured::Stack { used, size }) if used <= size => (used.into(), size.into()),
        _ => return Err(unexpected(line)),
    };
    match messages.next() {
        Some(line) => Err(unexpected(line)),
        None => Ok(Run { cycles, stack, stack_size }),
    }
}

impl Run {
    /// Instructions from reset to the end of each of [`STEPS`], of a run under
    /// QEMU's `-icount shift=SHIFT`, where each takes 2^`shift` ns.
    ///
    /// At shift 7 a cycle is 0.39 instructions, so that reading the counter costs no precision. The lines that
    /// are printed are counted, too.
    #[must_use]
    pub fn instructions(&self, shift: u32) -> [u64; STEPS.len()] {
        self.cycles.map(|cycles| (cycles * CYCLE_NS) >> shift)
    }
}
