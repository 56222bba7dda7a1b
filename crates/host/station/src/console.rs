// SPDX-License-Identifier: Apache-2.0

//! Follows what one part prints while it is provisioned: bytes in, what was observed out. It does no input or output itself.
//!
//! The order of the lines is that of `provisioning::provision`, and anything else ends in an error, since
//! what was read may then be of two parts, or of two runs. The record is taken as text: of its characters
//! only the alphabet is checked here. A character of it that was changed, lost or added on the way is found
//! when the signature in the record is checked.

use std::mem;

use provisioning::console::{
    ALREADY_PROVISIONED_PREFIX, BOOT_BANNERS, FAILURE_PREFIX, FATAL_ERROR, LOG_PREFIX_END,
    LOG_PREFIXES, MODELLED_PREFIX, MODELLED_SUFFIX, NO_PART_PREFIX, NONCE_PROMPT, RECORD_PREFIX,
};
use provisioning::{Cause, Event, Failure, Ueid, console};
use thiserror::Error;

/// How many bytes of a line there may be before its line feed.
pub const MAX_LINE: usize = 2 * 1024;

/// How many bytes may come until the first line of the provisioning image has: boot messages, and what a
/// cable picks up while it is plugged in.
pub const MAX_NOISE: usize = 64 * 1024;

/// The number of a part that is complete already, whose line is not a failed run's.
const ALREADY_CODE: u8 = Cause::AlreadyProvisioned.code();

/// Each event, and the events that it may follow directly. The first two begin a run, and
/// [`Event::Success`] follows the record.
const EVENTS: &[(Event, &[Event])] = &[
    (Event::LifecycleVerified, &[]),
    (Event::Resuming, &[]),
    (Event::LifecycleSwitched, &[Event::LifecycleVerified]),
    (Event::GeneratingHuks, &[Event::LifecycleSwitched, Event::Resuming]),
    (Event::GeneratingMext, &[Event::Resuming]),
    (Event::KeepingHuks, &[Event::Resuming]),
    (Event::DummyKey, &[Event::GeneratingHuks, Event::GeneratingMext, Event::KeepingHuks]),
    (
        Event::WritingIdentityKey,
        &[Event::GeneratingHuks, Event::GeneratingMext, Event::KeepingHuks, Event::DummyKey],
    ),
    (Event::HuksNotProven, &[Event::Resuming, Event::GeneratingMext, Event::KeepingHuks]),
    (Event::CompletingSeed, &[Event::Resuming]),
    (Event::SeedNotProven, &[Event::Resuming, Event::GeneratingHuks, Event::CompletingSeed]),
    (Event::Success, &[]),
];

/// The record of a part that was complete before follows this, and what was not proven of its keys.
const BEFORE_OLD_RECORD: Event = Event::Resuming;

/// Which record may follow an event, with what was said behind it to be not proven.
const fn record_after(last: Event, not_proven: Option<Event>) -> Option<Last> {
    match (last, not_proven) {
        (Event::WritingIdentityKey, None)
        | (Event::GeneratingHuks | Event::CompletingSeed, Some(Event::SeedNotProven)) => {
            Some(Last::Record)
        }
        (BEFORE_OLD_RECORD, Some(Event::HuksNotProven | Event::SeedNotProven)) => {
            Some(Last::OldRecord)
        }
        _ => None,
    }
}

/// What must be said to be not proven between the two.
const fn wants_not_proven(last: Event, next: Event) -> Option<Event<'static>> {
    match (last, next) {
        (
            Event::GeneratingMext | Event::KeepingHuks,
            Event::DummyKey | Event::WritingIdentityKey,
        ) => Some(Event::HuksNotProven),
        _ => None,
    }
}

/// What the console has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// The image runs on modelled silicon, whose keys are not secret.
    Modelled,
    /// The part waits for a nonce: 64 hexadecimal digits and a line end.
    NonceWanted,
    /// The procedure has come to this point.
    Event(Event<'static>),
    /// The record, base64url.
    Record(String),
    /// A line of another module, a driver's for example, to show to the operator and no more.
    Other(String),
    /// The run is over: [`Follower::end`] says how.
    Finished,
}

/// What a bar counts of a run: the steps up to the record, and its end.
pub const RUN_STEPS: u64 = 6;

impl Observed {
    /// How far a run is when its console shows this, of [`RUN_STEPS`], and what it does then.
    #[must_use]
    pub const fn step(&self) -> Option<(u64, &'static str)> {
        Some(match self {
            Self::NonceWanted => (0, "Nonce"),
            Self::Record(_) => (5, "Provisioning record"),
            Self::Event(event) => {
                let step = match event {
                    Event::LifecycleVerified | Event::Resuming => 1,
                    Event::LifecycleSwitched => 2,
                    Event::GeneratingHuks
                    | Event::GeneratingMext
                    | Event::KeepingHuks
                    | Event::CompletingSeed => 3,
                    Event::WritingIdentityKey => 4,
                    Event::Record(_) => 5,
                    Event::Success => RUN_STEPS,
                    Event::HuksNotProven | Event::SeedNotProven | Event::DummyKey => return None,
                };
                (step, event.message())
            }
            Self::Modelled | Self::Other(_) | Self::Finished => return None,
        })
    }
}

/// How a run ended, by the line that ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// The part was provisioned by this run.
    Provisioned {
        /// The record, base64url.
        record: String,
        /// The console has warned of the test-only identity key. The key in the record is the proof.
        dummy_warned: bool,
        /// An earlier run had begun.
        resumed: bool,
    },
    /// The part was complete, and was left as it is.
    AlreadyProvisioned {
        /// The record, base64url.
        record: String,
        /// The UEID that the part has named. It must be that of the record's key, or the lines are of two
        /// parts.
        ueid: Ueid,
    },
    /// The part was not provisioned.
    Failed {
        /// The part's own words: what failed, and what to do.
        line: String,
        /// The number of the cause, see `provisioning::Cause::code`; `None` where there was no part to provision.
        code: Option<u8>,
    },
}

/// Why what a console shows is not one run of one part: what happened. What to do about it is in
/// [`crate::advice`].
///
/// A line in an error is escaped and shortened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConsoleError {
    /// More than [`MAX_NOISE`] bytes without a line of the provisioning image.
    #[error("{} KiB came that are not the provisioning image's", MAX_NOISE / 1024)]
    Noise,
    /// The stream ended without a line of the provisioning image.
    #[error("the console ended without a line of the provisioning image")]
    Silent,
    /// The first line is not one that begins a run.
    #[error("the beginning of the run was missed, the first line is {0}")]
    MissedStart(String),
    /// A line that the image does not print.
    #[error("the console shows a line that the provisioning image does not print, {0}")]
    Garbage(String),
    /// A message inside a line of something else.
    #[error("two lines are mixed into one, {0}")]
    Interleaved(String),
    /// A message that may not come at this point.
    #[error("the line {line} came after \"{after}\", where it cannot be")]
    OutOfOrder {
        /// The line.
        line: String,
        /// What came before it.
        after: &'static str,
    },
    /// A line that begins a run, in mid-run.
    #[error("the part was restarted in mid-run, with {0}")]
    Restarted(String),
    /// A line of more than [`MAX_LINE`] bytes.
    #[error("a line has more than {MAX_LINE} bytes, it begins with {0}")]
    TooLong(String),
    /// The image has crashed.
    #[error("the image on the part has crashed, {0}")]
    Crashed(String),
    /// A second record.
    #[error("the part printed two records")]
    SecondRecord,
    /// The end of a good run without a record.
    #[error(
        "the part is provisioned and printed no record, as its image was built without \
         CONFIG_PROVISIONING_RECORD"
    )]
    NoRecord,
    /// The stream ended in mid-run. This came last.
    #[error("the console ended in mid-run, after \"{0}\"")]
    Cut(&'static str),
}

/// Follows one run of one part.
///
/// It keeps at most one line of [`MAX_LINE`] bytes and the record. What comes after the end of the run,
/// such as Zephyr's words on the panic after a failure, is ignored.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    /// What has come of the line.
    line: Vec<u8>,
    /// How many bytes have come before the run, its first line among them.
    early: usize,
    last: Last,
    record: String,
    resumed: bool,
    dummy_warned: bool,
    /// What was said behind `last` to be not proven.
    not_proven: Option<Event<'static>>,
    end: Option<Result<RunEnd, ConsoleError>>,
}

/// The last line of the provisioning image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Nothing,
    NoncePrompt,
    Event(Event<'static>),
    /// Of a part that this run has completed.
    Record,
    /// Of a part that was complete.
    OldRecord,
}

impl Last {
    const fn text(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::NoncePrompt => NONCE_PROMPT,
            Self::Event(event) => event.message(),
            Self::Record | Self::OldRecord => "Provisioning record",
        }
    }
}

impl Follower {
    /// A follower of a part that has not printed anything yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a line of the provisioning image has come that belongs to a run.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.last != Last::Nothing || self.end.is_some()
    }

    /// Whether the image waits for its nonce, or has it and has not begun yet.
    pub(crate) fn is_at_prompt(&self) -> bool {
        self.last == Last::NoncePrompt
    }

    /// Takes bytes off the front of `bytes` until something was observed, or all of them, and gives `None` then.
    /// How the stream was cut into pieces does not matter.
    ///
    /// # Errors
    /// These are not the lines of one run of one part. Each later call gives the same error.
    pub fn push(&mut self, bytes: &mut &[u8]) -> Result<Option<Observed>, ConsoleError> {
        while let Some((byte, rest)) = bytes.split_first() {
            match &self.end {
                Some(Err(error)) => return Err(error.clone()),
                Some(Ok(_)) => {
                    *bytes = &[];
                    break;
                }
                None => {}
            }
            *bytes = rest;
            match self.take(*byte) {
                Ok(None) => {}
                Ok(observed) => return Ok(observed),
                Err(error) => {
                    self.end = Some(Err(error.clone()));
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// How the run ended. To be called after [`Observed::Finished`], or when no more bytes can come.
    ///
    /// # Errors
    /// The stream ended before the run did, or [`Follower::push`] has given an error.
    pub fn end(self) -> Result<RunEnd, ConsoleError> {
        self.end.unwrap_or(match self.last {
            Last::Nothing => Err(ConsoleError::Silent),
            last => Err(ConsoleError::Cut(last.text())),
        })
    }

    fn take(&mut self, byte: u8) -> Result<Option<Observed>, ConsoleError> {
        let early = !self.has_started();
        if early {
            self.early += 1;
            if self.early > MAX_NOISE {
                return Err(ConsoleError::Noise);
            }
        }
        if byte == b'\n' {
            let line = mem::take(&mut self.line);
            return self.judge(line.strip_suffix(b"\r").unwrap_or(&line));
        }
        if self.line.len() == MAX_LINE {
            if !early {
                return Err(ConsoleError::TooLong(excerpt(&self.line)));
            }
            // What is kept is still longer than any line that a run begins with.
            self.line.drain(..MAX_LINE / 2);
        }
        self.line.push(byte);
        Ok(None)
    }

    /// Takes a whole line, without its end.
    fn judge(&mut self, line: &[u8]) -> Result<Option<Observed>, ConsoleError> {
        if self.last != Last::Nothing {
            return self.advance(Line::read(line)?, line);
        }
        let message = first_message(line);
        match Line::read(message) {
            Err(_) | Ok(Line::Boot | Line::Crash | Line::Other) => Ok(None),
            Ok(Line::Modelled) => Ok(Some(Observed::Modelled)),
            Ok(known) => self.advance(known, message),
        }
    }

    /// Takes the next line, if it may be the next one.
    fn advance(&mut self, line: Line<'_>, bytes: &[u8]) -> Result<Option<Observed>, ConsoleError> {
        let last = self.last;
        let starting = matches!(last, Last::Nothing | Last::NoncePrompt);
        let out_of_order = || match last {
            Last::Nothing => ConsoleError::MissedStart(excerpt(bytes)),
            _ => ConsoleError::OutOfOrder { line: excerpt(bytes), after: last.text() },
        };
        let restarted = || ConsoleError::Restarted(excerpt(bytes));
        Ok(Some(match line {
            Line::Other => Observed::Other(String::from_utf8_lossy(bytes).into_owned()),
            Line::Crash => return Err(ConsoleError::Crashed(excerpt(bytes))),
            Line::Modelled if starting => Observed::Modelled,
            Line::NoncePrompt if last == Last::Nothing => {
                self.last = Last::NoncePrompt;
                Observed::NonceWanted
            }
            Line::Boot | Line::Modelled | Line::NoncePrompt => return Err(restarted()),
            Line::Event(Event::Success, _) => match last {
                Last::Record => self.finish(RunEnd::Provisioned {
                    record: self.record.clone(),
                    dummy_warned: self.dummy_warned,
                    resumed: self.resumed,
                }),
                Last::Event(last) if record_after(last, self.not_proven) == Some(Last::Record) => {
                    return Err(ConsoleError::NoRecord);
                }
                _ => return Err(out_of_order()),
            },
            Line::Event(event, after) => {
                if after.is_empty() {
                    if !starting {
                        return Err(restarted());
                    }
                } else if !matches!(last, Last::Event(last)
                    if after.contains(&last) && self.not_proven == wants_not_proven(last, event))
                {
                    return Err(out_of_order());
                }
                self.resumed |= event == Event::Resuming;
                self.dummy_warned |= event == Event::DummyKey;
                // It says more of the event before it, and what comes next is what that one allows.
                self.not_proven =
                    matches!(event, Event::HuksNotProven | Event::SeedNotProven).then_some(event);
                if self.not_proven.is_none() {
                    self.last = Last::Event(event);
                }
                Observed::Event(event)
            }
            Line::Record(record) => {
                self.last = match last {
                    Last::Event(last) => {
                        record_after(last, self.not_proven).ok_or_else(out_of_order)?
                    }
                    Last::Record | Last::OldRecord => return Err(ConsoleError::SecondRecord),
                    _ => return Err(out_of_order()),
                };
                record.clone_into(&mut self.record);
                Observed::Record(record.to_owned())
            }
            Line::AlreadyProvisioned(ueid) => match last {
                Last::OldRecord => {
                    self.finish(RunEnd::AlreadyProvisioned { record: self.record.clone(), ueid })
                }
                Last::Event(BEFORE_OLD_RECORD) => {
                    return Err(ConsoleError::NoRecord);
                }
                _ => return Err(out_of_order()),
            },
            Line::Failure(line, code) => {
                self.finish(RunEnd::Failed { line: line.to_owned(), code: Some(code) })
            }
            Line::NoPart(line) if starting => {
                self.finish(RunEnd::Failed { line: line.to_owned(), code: None })
            }
            Line::NoPart(_) => return Err(out_of_order()),
        }))
    }

    fn finish(&mut self, end: RunEnd) -> Observed {
        self.end = Some(Ok(end));
        Observed::Finished
    }
}

/// A line that may be on a console.
#[derive(Clone, Copy)]
enum Line<'a> {
    /// Zephyr's, when it boots.
    Boot,
    /// Zephyr's, when an image crashes.
    Crash,
    /// The model's, when it boots.
    Modelled,
    NoncePrompt,
    /// With the events that it may follow.
    Event(Event<'static>, &'static [Event<'static>]),
    /// The record, base64url.
    Record(&'a str),
    AlreadyProvisioned(Ueid),
    /// The message, and the number of the cause.
    Failure(&'a str, u8),
    /// The message.
    NoPart(&'a str),
    /// Another module's.
    Other,
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8]) -> Result<Self, ConsoleError> {
        let garbage = || ConsoleError::Garbage(excerpt(line));
        if !line.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(garbage());
        }
        let text = str::from_utf8(line).map_err(|_| garbage())?;
        // A part that resets in the middle of a line ends it with the banner.
        if BOOT_BANNERS.iter().any(|banner| text.contains(banner)) {
            return Ok(Self::Boot);
        }
        let ours = console::message(text);
        let message = ours.unwrap_or(text);
        if let Some((event, after)) = EVENTS.iter().find(|(event, _)| event.message() == message) {
            return Ok(Self::Event(*event, after));
        }
        if message == NONCE_PROMPT {
            return Ok(Self::NoncePrompt);
        }
        let prefixes = [RECORD_PREFIX, FAILURE_PREFIX, NO_PART_PREFIX];
        let content = prefixes.iter().find_map(|prefix| message.strip_prefix(prefix));
        if is_mixed(content.unwrap_or(message)) {
            return Err(ConsoleError::Interleaved(excerpt(line)));
        }
        if let Some(record) = message.strip_prefix(RECORD_PREFIX) {
            let is_base64url =
                |byte| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
            let is_record = !record.is_empty() && record.bytes().all(is_base64url);
            return if is_record { Ok(Self::Record(record)) } else { Err(garbage()) };
        }
        if message.starts_with(FAILURE_PREFIX) {
            return Self::failure(message).ok_or_else(garbage);
        }
        if message.starts_with(NO_PART_PREFIX) {
            return Ok(Self::NoPart(message));
        }
        if message.starts_with(MODELLED_PREFIX) && message.ends_with(MODELLED_SUFFIX) {
            return Ok(Self::Modelled);
        }
        if ours.is_some() || !is_log_line(text) {
            return Err(garbage());
        }
        Ok(if text.contains(FATAL_ERROR) { Self::Crash } else { Self::Other })
    }

    /// Reads the line of a failed run, which ends with the number of the cause.
    fn failure(message: &'a str) -> Option<Self> {
        let (text, number) = message.strip_suffix(']')?.rsplit_once(" [")?;
        let code =
            number.parse().ok().filter(|code: &u8| *code > 0 && code.to_string() == number)?;
        let already = text.strip_prefix(FAILURE_PREFIX)?.strip_prefix(ALREADY_PROVISIONED_PREFIX);
        if code != ALREADY_CODE && already.is_none() {
            return Some(Self::Failure(message, code));
        }
        // This one counts as good, so each character of it must be as the part prints it.
        let mut ueid = [0; 33];
        for (byte, digits) in ueid.iter_mut().zip(already?.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        }
        let ueid = Ueid::from_bytes(ueid)?;
        let expected = Failure::already_provisioned(ueid);
        (expected.to_string() == message).then_some(Self::AlreadyProvisioned(ueid))
    }
}

/// The message in the first line of a run: a glitch when the part gets power looks like bytes right before it.
fn first_message(line: &[u8]) -> &[u8] {
    let start = LOG_PREFIXES
        .iter()
        .filter_map(|prefix| {
            let windows = &mut line.windows(prefix.len());
            windows.rposition(|window| window == prefix.as_bytes()).map(|at| at + prefix.len())
        })
        .max();
    &line[start.unwrap_or(0)..]
}

/// How a line may begin a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// The image boots: a banner of Zephyr's, the line about the model, or the prompt for a nonce.
    Boot,
    /// The procedure begins.
    Procedure,
}

/// Whether a run begins with this line, wherever the run before it was left.
pub(crate) fn beginning(line: &[u8]) -> Option<Beginning> {
    match Line::read(first_message(line)).ok()? {
        Line::Boot | Line::Modelled | Line::NoncePrompt => Some(Beginning::Boot),
        Line::Event(event, []) if event != Event::Success => Some(Beginning::Procedure),
        _ => None,
    }
}

/// Whether something that only the provisioning image prints stands somewhere in a line.
pub(crate) fn has_message(line: &[u8]) -> bool {
    is_mixed(&String::from_utf8_lossy(line))
}

/// Whether a message of the provisioning image, or its beginning, stands somewhere in `text`.
fn is_mixed(text: &str) -> bool {
    let prefixes = [NONCE_PROMPT, RECORD_PREFIX, FAILURE_PREFIX, NO_PART_PREFIX, LOG_PREFIX_END];
    EVENTS
        .iter()
        .map(|(event, _)| event.message())
        .chain(prefixes)
        .any(|message| text.contains(message))
}

/// Whether this is how a driver logs: Zephyr's minimal logging prints `E: text`, the Rust model
/// `ERROR:module: text`.
fn is_log_line(text: &str) -> bool {
    let Some((head, _)) = text.split_once(": ") else {
        return false;
    };
    match head.split_once(':') {
        None => matches!(head, "E" | "W" | "I" | "D"),
        Some((level, module)) => {
            matches!(level, "ERROR" | "WARN" | "INFO" | "DEBUG" | "TRACE")
                && !module.is_empty()
                && module
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b':'))
        }
    }
}

/// What an error shows of a line.
pub(crate) fn excerpt(line: &[u8]) -> String {
    const LENGTH: usize = 80;
    let dots = if line.len() > LENGTH { "..." } else { "" };
    format!("\"{}{dots}\"", line[..line.len().min(LENGTH)].escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded() {
        let mut follower = Follower::new();
        let noise = b"x".repeat(MAX_NOISE);
        assert_eq!(follower.push(&mut &noise[..]), Ok(None));
        assert!(follower.line.len() <= MAX_LINE && follower.line.capacity() <= 2 * MAX_LINE);
    }
}
