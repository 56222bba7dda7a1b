// SPDX-License-Identifier: Apache-2.0

//! What an image with `CONFIG_PROVISIONING_MEASURE` logs while it provisions an erased part.

use std::fmt;

use provisioning::Event;
use provisioning::console::RECORD_PREFIX;

/// Nanoseconds of a cycle of mps2-an521's FPGAIO counter: QEMU clocks it with 20 MHz.
const CYCLE_NS: u64 = 50;

/// What stands before each message of the image, behind the level.
const TARGET: &str = ":provisioning_image: ";
const MEASURED: &str = "Measured: ";
const CYCLES: &str = " cycles";
const OF: &str = " of ";
const STACK: &str = " bytes of main stack";

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

/// Why a console tells of no measured run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsoleError {
    /// It ends, or goes on, without this line.
    Missing(String),
    /// A line that no run from an erased part to success has, or that is cut.
    Unexpected(String),
    /// A clock that goes backwards, in this line.
    Backwards(String),
}

impl fmt::Display for ConsoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(line) => write!(
                f,
                "the console lacks \"{line}\". The run did not come to its end, or the image was not \
                 built with CONFIG_PROVISIONING_MEASURE."
            ),
            Self::Unexpected(line) => {
                write!(f, "the console has \"{line}\", which no measured run to success has there.")
            }
            Self::Backwards(line) => write!(
                f,
                "\"{line}\" is less than before: the cycle counter has wrapped. Measure a shorter run."
            ),
        }
    }
}

impl std::error::Error for ConsoleError {}

/// Whether nothing that counts comes behind `line`: the figures of the stack come after success and
/// failure alike.
#[must_use]
pub fn is_last(line: &str) -> bool {
    message(line).is_some_and(|message| message.starts_with(MEASURED) && message.ends_with(STACK))
        || line.contains("FATAL ERROR")
}

/// Reads a whole console. Lines of others than the image are skipped; a last line without its end is
/// cut and counts as missing.
///
/// # Errors
/// If it is anything but one measured run from an erased part to success.
pub fn parse(console: &str) -> Result<Run, ConsoleError> {
    let lines = console.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let mut messages = lines.filter_map(message).skip_while(|line| line.starts_with("modelled "));
    let mut next = |expected: &str| {
        messages.next().ok_or_else(|| ConsoleError::Missing(String::from(expected)))
    };
    let mut cycles = [0; STEPS.len()];
    let mut before = 0;
    for (step, cycles) in STEPS.iter().zip(&mut cycles) {
        let line = next(step.message)?;
        let is_it = match step.message {
            RECORD_PREFIX => line.starts_with(RECORD_PREFIX),
            message => line == message,
        };
        if !is_it {
            return Err(ConsoleError::Unexpected(String::from(line)));
        }
        let line = next("Measured: ... cycles")?;
        *cycles = number(line.strip_prefix(MEASURED).and_then(|line| line.strip_suffix(CYCLES)))
            .filter(|cycles| *cycles <= u64::MAX / CYCLE_NS)
            .ok_or_else(|| ConsoleError::Unexpected(String::from(line)))?;
        if *cycles < before {
            return Err(ConsoleError::Backwards(String::from(line)));
        }
        before = *cycles;
    }
    let line = next("Measured: ... of ... bytes of main stack")?;
    let figures = line.strip_prefix(MEASURED).and_then(|line| line.strip_suffix(STACK));
    let (stack, stack_size) = figures
        .and_then(|figures| figures.split_once(OF))
        .and_then(|(used, size)| Some((number(Some(used))?, number(Some(size))?)))
        .filter(|(used, size)| used <= size)
        .ok_or_else(|| ConsoleError::Unexpected(String::from(line)))?;
    match messages.next() {
        Some(line) => Err(ConsoleError::Unexpected(String::from(line))),
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

/// What the image says, without what its logger puts before it.
fn message(line: &str) -> Option<&str> {
    let (level, message) = line.trim_end_matches('\r').split_once(TARGET)?;
    matches!(level, "INFO" | "WARN" | "ERROR").then_some(message)
}

/// Digits and nothing else: `parse` alone would take a sign.
fn number(text: Option<&str>) -> Option<u64> {
    let text = text?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
