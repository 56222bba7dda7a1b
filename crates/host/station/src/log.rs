// SPDX-License-Identifier: Apache-2.0

//! Logs: consoles that were recorded, with any number of runs in them, in whatever form a terminal program keeps them.
//!
//! A log is text in one byte a character (ASCII, UTF-8, Latin-1) or in UTF-16, with or without byte order mark, with
//! any line ends and the last one missing, with colours and with the time before each line.
//!
//! What a log shows was not heard by this program. A record in it is true by its signature; whether it is fresh, only
//! the one knows who has sent its nonce.

mod text;

use std::io::{self, Read};
use std::mem;
use std::num::NonZeroUsize;

use provisioning::DUMMY_PUBLIC_KEY;
use thiserror::Error;

use crate::console::{
    Beginning, ConsoleError, Follower, Observed, RunEnd, beginning, excerpt, has_message,
};
use crate::in_order::in_order;
use crate::part::{PartError, check};
use crate::port::FollowError;
use crate::record::{VerifiedRecord, Wanted};
use text::{Kind, Line, Lines};

/// The runs in a log, one after the other.
///
/// Lines between runs are passed over. After a run that ends in an error, such as a line that no part prints, the rest
/// of it is passed over, too, until a run begins. However long the log is, a few kilobytes are kept of it.
///
/// It gives [`LogError::NoRun`] once where there is no run, and [`LogError::Read`] as its last.
#[derive(Debug)]
pub struct Runs<R> {
    lines: Lines<R>,
    follower: Follower,
    /// How many runs have ended.
    number: u64,
    /// The line at which the run begins.
    begins: Option<u64>,
    /// A line about the model has come since the last run that has ended as a run does.
    is_modelled: bool,
    /// The image has asked for a nonce.
    has_asked: bool,
    /// What of the run before is passed over.
    rest: Option<Rest>,
    /// The first line that is nearly one of the image's, while there was no run.
    strange: Option<(u64, String)>,
    is_over: bool,
}

/// What is left of a run that has ended in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// Everything after the prompt for a nonce: the procedure of that run may still begin.
    AfterPrompt,
    /// A part of the procedure.
    Procedure,
}

/// A run in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its number, from 1.
    pub number: u64,
    /// The line at which it begins, from 1, as an editor counts.
    pub line: u64,
    /// Whether the image runs on modelled silicon, whose keys are not secret.
    pub is_modelled: bool,
    /// Whether the image has asked for a nonce.
    pub has_asked: bool,
    /// How it has ended.
    pub end: Result<RunEnd, ConsoleError>,
}

/// What a run has to be besides one of a part that was provisioned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accepted {
    /// What its record has to be.
    pub record: Wanted,
    /// Whether modelled silicon will do.
    pub modelled: bool,
}

/// A run whose record is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoodRun {
    /// What the record says.
    pub record: VerifiedRecord,
    /// What is not proven all the same.
    pub not_proven: Vec<NotProven>,
}

/// What a true record in a log does not prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotProven {
    /// The part has chosen the nonce itself.
    #[error(
        "that the record is fresh: the image asked for no nonce, so nothing tells the record from a copy of an old one"
    )]
    NoNonce,
    /// The part was given a nonce, and it is not known which.
    #[error(
        "that the record is fresh: its nonce may be anybody's. If you sent one in this run, give it with --nonce"
    )]
    AnyNonce,
    /// The keys of modelled silicon are not secret.
    #[error("that there is a part: this is modelled silicon, whose keys are not secret")]
    Modelled,
    /// Everybody knows the key.
    #[error("that a part has signed: everybody knows the test-only key")]
    DummyKey,
}

impl NotProven {
    /// One word for it, for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoNonce => "no-nonce",
            Self::AnyNonce => "any-nonce",
            Self::Modelled => "modelled",
            Self::DummyKey => "dummy-key",
        }
    }
}

/// Why there are no more runs in a log.
#[derive(Debug, Error)]
pub enum LogError {
    /// It cannot be read any further.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It has no run.
    #[error(transparent)]
    NoRun(#[from] NoRun),
}

/// Why there is no run in a log, as far as that can be told. What to do about it is in [`crate::advice`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoRun {
    /// Nothing is in it.
    #[error("the log is empty")]
    Empty,
    /// It is another kind of file; which.
    #[error("no run of the provisioning image is in it: the file is {0}")]
    Known(&'static str),
    /// It is no text.
    #[error("no run of the provisioning image is in it: the file is binary")]
    Binary,
    /// A line has something of the image's, and is none of its lines.
    #[error(
        "no run of the provisioning image is in it: line {0} is nearly one of the image's, {1}"
    )]
    Strange(u64, String),
    /// No line is the image's.
    #[error("no run of the provisioning image is in it")]
    Nothing,
}

impl<R: Read> Runs<R> {
    /// The runs in what `log` gives.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn new(log: R) -> io::Result<Self> {
        Ok(Self {
            lines: Lines::new(log)?,
            follower: Follower::new(),
            number: 0,
            begins: None,
            is_modelled: false,
            has_asked: false,
            rest: None,
            strange: None,
            is_over: false,
        })
    }

    /// Takes a line; gives the run that it has ended.
    fn take(&mut self, line: &Line) -> Option<Run> {
        if let Some(rest) = self.rest {
            match (beginning(&line.text)?, rest) {
                (Beginning::Procedure, Rest::AfterPrompt) => {
                    self.rest = Some(Rest::Procedure);
                    return None;
                }
                _ => self.rest = None,
            }
        }
        let text = [&line.text[..], b"\n"].concat();
        if !self.follower.has_started() {
            // Of a log, any number of other lines may come first.
            self.follower = Follower::new();
        } else if !line.is_whole {
            // What was cut off is no line, unless it is the last one of a run.
            let mut last = self.follower.clone();
            let is_last = last.push(&mut &text[..]) == Ok(Some(Observed::Finished));
            return is_last.then(|| {
                self.follower = last;
                self.end()
            });
        }
        let was_started = self.follower.has_started();
        let observed = self.follower.push(&mut &text[..]);
        if self.follower.has_started() {
            self.begins.get_or_insert(line.number);
        }
        match observed {
            Ok(Some(Observed::Modelled)) => {
                self.is_modelled = true;
                if !was_started {
                    self.begins = Some(line.number);
                }
            }
            Ok(Some(Observed::NonceWanted)) => self.has_asked = true,
            Ok(Some(Observed::Finished)) => return Some(self.end()),
            Ok(Some(_)) => {}
            Ok(None) => {
                if self.number == 0 && self.strange.is_none() && has_message(&line.text) {
                    self.strange = Some((line.number, excerpt(&line.text)));
                }
            }
            Err(_) => {
                let run = self.end();
                // The next run may begin with the line that this one has ended in.
                self.take(line);
                return Some(run);
            }
        }
        None
    }

    /// Ends the run.
    fn end(&mut self) -> Run {
        let is_at_prompt = self.follower.is_at_prompt();
        let end = mem::take(&mut self.follower).end();
        self.number += 1;
        let run = Run {
            number: self.number,
            line: self.begins.take().unwrap_or_default(),
            is_modelled: self.is_modelled,
            has_asked: mem::take(&mut self.has_asked),
            end,
        };
        match run.end {
            // The next image says itself what it runs on.
            Ok(_) => self.is_modelled = false,
            Err(ConsoleError::Restarted(_)) => {}
            Err(_) if is_at_prompt => self.rest = Some(Rest::AfterPrompt),
            Err(_) => self.rest = Some(Rest::Procedure),
        }
        run
    }

    fn no_run(&mut self) -> NoRun {
        match (self.lines.kind(), self.strange.take()) {
            (Kind::Empty, _) => NoRun::Empty,
            (Kind::Known(what), _) => NoRun::Known(what),
            (_, Some((line, text))) => NoRun::Strange(line, text),
            (Kind::Binary, None) => NoRun::Binary,
            (Kind::Text, None) => NoRun::Nothing,
        }
    }
}

impl<R: Read> Iterator for Runs<R> {
    type Item = Result<Run, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            match self.lines.next() {
                Ok(Some(line)) => {
                    if let Some(run) = self.take(&line) {
                        return Some(Ok(run));
                    }
                }
                Ok(None) => {
                    self.is_over = true;
                    if self.follower.has_started() {
                        return Some(Ok(self.end()));
                    }
                    if self.number == 0 {
                        return Some(Err(self.no_run().into()));
                    }
                }
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error.into()));
                }
            }
        }
        None
    }
}

/// Runs that a thread gets at once: what it costs to hand them over is little beside what it costs to check them.
const CHUNK: usize = 16;

/// Checks every run of a log, in so many threads while this one reads on, and gives each with what became of it to `take`,
/// in the order of the log, until `take` fails. A few hundred runs are in memory.
///
/// With more than one thread many runs are read before the first is given, and with one each when it has ended: so one is
/// for a log that is still being written.
///
/// # Errors
/// `take` fails.
pub fn check_runs<R: Read, E>(
    runs: Runs<R>,
    accepted: &Accepted,
    threads: NonZeroUsize,
    mut take: impl FnMut(Result<(Run, Result<GoodRun, PartError>), LogError>) -> Result<(), E>,
) -> Result<(), E> {
    let check = |run: Result<Run, LogError>| {
        run.map(|run| {
            let checked = run.check(accepted);
            (run, checked)
        })
    };
    if threads == NonZeroUsize::MIN {
        return runs.map(check).try_for_each(take);
    }
    let mut runs = runs.fuse();
    let next = || {
        let chunk: Vec<_> = runs.by_ref().take(CHUNK).collect();
        (!chunk.is_empty()).then_some(chunk)
    };
    let work = |chunk: Vec<_>| chunk.into_iter().map(check).collect::<Vec<_>>();
    in_order(threads, next, work, |chunk| chunk.into_iter().try_for_each(&mut take))
}

impl Run {
    /// Checks the record of the run.
    ///
    /// # Errors
    /// The run has not ended well, or its record is not believed or not accepted.
    pub fn check(&self, accepted: &Accepted) -> Result<GoodRun, PartError> {
        let (text, named) = match &self.end {
            Ok(RunEnd::Provisioned { record, .. }) => (record, None),
            Ok(RunEnd::AlreadyProvisioned { record, ueid }) => (record, Some(*ueid)),
            Ok(RunEnd::Failed { line, code }) => {
                return Err(PartError::Failed { line: line.clone(), code: *code });
            }
            Err(error) => return Err(FollowError::from(error.clone()).into()),
        };
        if self.is_modelled && !accepted.modelled {
            return Err(PartError::Modelled);
        }
        let (record, _) = check(text, named, &accepted.record)?;
        let freshness = match (accepted.record.nonce, self.has_asked) {
            (Some(_), _) => None,
            (None, true) => Some(NotProven::AnyNonce),
            (None, false) => Some(NotProven::NoNonce),
        };
        let is_dummy = record.identity.public_key == DUMMY_PUBLIC_KEY;
        let not_proven = [
            freshness,
            self.is_modelled.then_some(NotProven::Modelled),
            is_dummy.then_some(NotProven::DummyKey),
        ];
        Ok(GoodRun { record, not_proven: not_proven.into_iter().flatten().collect() })
    }
}
