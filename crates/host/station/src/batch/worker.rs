// SPDX-License-Identifier: Apache-2.0

//! The thread of a port.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use provisioning::{Event, Measurement, Nonce};

use super::operator::{Answers, Question, Scan};
use super::uplink::Desk;
use super::writer::Request;
use super::{Batch, Connect, Control, Done, Entered, Notice, Parts, Progress, Verdict};
use crate::console::{ConsoleError, Observed, RunEnd};
use crate::hub::{Elsewhere, Sought};
use crate::image;
use crate::ledger::{
    Attempt, Begun, Failed, Kept, New, NewEnd, NewEntry, NewOutcome, Program, Refusal, Step, Text,
    is_good_text,
};
use crate::part::{PartError, check};
use crate::port::{Arrival, FollowError, Source, Timeouts, follow};
use crate::record::Wanted;
use crate::simulated::Simulated;
use crate::steps::{self, Moment, StepError};
use crate::transcript::Transcript;

/// From one attempt to open a port that is lost to the next.
const RECONNECT: Duration = Duration::from_millis(200);

/// Follows the parts of one port.
pub struct Worker<'a> {
    pub batch: &'a Batch,
    pub number: usize,
    pub name: String,
    /// What its steps are told.
    pub told: steps::Part,
    pub control: &'a Control,
    pub progress: &'a Progress,
    pub answers: Option<&'a Answers>,
    /// The hub, where there is one.
    pub hub: Option<&'a Desk>,
    pub notices: SyncSender<Notice>,
    pub requests: SyncSender<Request<'a>>,
    /// Whether the next part begins when the last one is kept.
    pub waits: bool,
    /// Whether the operator knows that something comes that is not the image's.
    pub noisy: Cell<bool>,
}

/// What the station has seen of a run.
#[derive(Debug, Default)]
struct Run {
    /// The link of its attempt, once that is kept.
    attempt: Option<u64>,
    begun: Option<Instant>,
    steps: Vec<Step>,
    /// The step that goes on, and since when.
    step: Option<(&'static str, Instant)>,
}

/// How a run has ended, in the station's eyes.
type Ended = Result<(NewEntry, Measurement), PartError>;

impl Worker<'_> {
    pub fn work(self, parts: Parts) {
        match parts {
            Parts::Connected(mut port) => self.follow_port(&mut *port),
            Parts::Simulated(soc, seed, id) => loop {
                let number = self.progress.made.fetch_add(1, Ordering::Relaxed);
                if self.batch.parts.is_some_and(|parts| number >= parts) || self.control.is_ending()
                {
                    return;
                }
                match seed.of_part(number) {
                    Ok(seed) => {
                        self.part(&mut Simulated::new(soc, seed, id), None);
                    }
                    Err(error) => {
                        self.notice(Notice::Lost(self.number, error));
                        return;
                    }
                }
            },
        }
    }

    fn follow_port(&self, port: &mut dyn Connect) {
        let mut connected = None;
        let mut lost = false;
        let mut serial_number = None;
        let mut in_place = false;
        loop {
            if self.is_given_up() {
                self.notice(Notice::GivenUp(self.number));
                return;
            }
            if self.is_over() {
                return;
            }
            let Some(source) = &mut connected else {
                match port.connect() {
                    Ok(source) => {
                        connected = Some(source);
                        if lost {
                            self.notice(Notice::Back(self.number));
                        }
                    }
                    Err(error) => {
                        if !lost {
                            self.notice(Notice::Lost(self.number, error));
                        }
                        lost = true;
                        thread::sleep(RECONNECT);
                    }
                }
                continue;
            };
            if self.batch.scan == Scan::Before && serial_number.is_none() {
                serial_number = self.serial_number(Question::Next);
                if serial_number.is_none() {
                    continue;
                }
            } else if self.batch.steps.before.is_some() && !in_place {
                // What comes before its run may erase the part: the operator says when it is in its place.
                in_place = self.ask(Question::Start, |_| Ok(())).is_some();
                if !in_place {
                    continue;
                }
            }
            match self.part(&mut **source, serial_number.clone()) {
                Followed::Run => (serial_number, in_place) = (None, false),
                Followed::Nothing => {}
                Followed::Lost(error) => {
                    connected = None;
                    lost = true;
                    if let Some(error) = error {
                        // A kit has its port on board: what was lost may be that of the part before.
                        self.notice(Notice::Lost(self.number, error));
                    } else {
                        (serial_number, in_place) = (None, false);
                        self.notice(Notice::Lost(self.number, io::ErrorKind::BrokenPipe.into()));
                    }
                }
            }
        }
    }

    /// Asks for the serial number of a part, which the ledger must not have.
    fn serial_number(&self, question: Question) -> Option<String> {
        let take = |text: &str| {
            if !is_good_text(text) {
                return Err(String::from(
                    "this is no serial number: it has 1 to 128 characters, and none of them controls a terminal",
                ));
            }
            let (send, answer) = mpsc::sync_channel(1);
            let request = Request::EntryOf(text.to_owned(), send);
            let asked = self.requests.send(request).ok().and_then(|()| answer.recv().ok());
            match asked.flatten() {
                // The part may be that of the entry; the ledger looks.
                _ if question != Question::Next => Ok(text.to_owned()),
                Some(entry) => Err(format!(
                    "\"{text}\" is the serial number of entry {entry}. Check the label"
                )),
                None => match self.elsewhere(text) {
                    Some(Elsewhere { station, entry, .. }) => Err(format!(
                        "\"{text}\" is the serial number of entry {entry} of the station {station}. Check the label"
                    )),
                    None => Ok(text.to_owned()),
                },
            }
        };
        self.ask(question, take)
    }

    /// The part of another station with this serial number, as far as that is known before a run.
    fn elsewhere(&self, serial_number: &str) -> Option<Elsewhere> {
        let sought = Sought { identity: None, serial_number: Some(serial_number.to_owned()) };
        // Without an answer, the part is looked up when its run is over.
        self.hub?.look_up(sought).ok().flatten()
    }

    /// Asks the operator, and waits for an answer that `take` takes. Without one before a run nobody can say which
    /// part comes, and the batch ends: the keyboard is gone, or it ends anyway.
    fn ask<T>(&self, question: Question, take: impl FnMut(&str) -> Result<T, String>) -> Option<T> {
        let is_last = question == Question::Last;
        let answer = self.answers.and_then(|answers| {
            answers.answer(
                || if is_last { self.control.is_stopped() } else { self.is_over() },
                || self.notice(Notice::Asked(self.number, question)),
                take,
                |reason| self.notice(Notice::NotTaken(self.number, reason)),
            )
        });
        match &answer {
            Some(_) => self.notice(Notice::Taken(self.number)),
            None if !is_last => self.control.end(),
            None => {}
        }
        answer
    }

    fn notice(&self, notice: Notice) {
        // A caller that has stopped listening does not need it.
        let _ = self.notices.send(notice);
    }

    /// Whether no run may begin any more.
    fn is_over(&self) -> bool {
        let good = self.progress.good.load(Ordering::Relaxed);
        self.batch.parts.is_some_and(|parts| good >= parts)
            || self.control.is_ending()
            || self.is_given_up()
    }

    /// Whether too many runs of this port have entered nothing. The last of them counts when it is kept.
    fn is_given_up(&self) -> bool {
        let failed = self.progress.failed[self.number].load(Ordering::Relaxed);
        self.batch.give_up_after.is_some_and(|runs| failed >= runs)
    }

    /// Keeps something and waits until it is kept. `None` where the ledger cannot be written.
    fn keep(&self, new: New) -> Option<Kept> {
        let (send, answer) = mpsc::sync_channel(1);
        let answered = Box::new(move |kept| _ = send.send(kept));
        self.requests.send(Request::Keep(new, answered)).ok()?;
        answer.recv().ok()
    }

    fn attempt(&self, serial_number: Option<&String>) -> Attempt {
        Attempt {
            port: self.name.clone(),
            batch: self.batch.name.clone(),
            serial_number: serial_number.cloned(),
        }
    }

    /// Follows one part, and hands on what became of it.
    fn part(&self, source: &mut (impl Source + ?Sized), serial_number: Option<String>) -> Followed {
        let run = RefCell::new(Run::default());
        let mut source = Recorded { source, transcript: Transcript::default(), run: &run };
        let ready = self.before(&mut source, &run, serial_number.as_ref());
        let ended = ready.and_then(|()| self.record_of(&mut source, &run, serial_number.as_ref()));
        let transcript = source.transcript;
        let run = run.into_inner();
        let has_begun = run.begun.is_some();
        let ended = match ended {
            Err(PartError::Follow(FollowError::Stopped)) if !has_begun => return Followed::Nothing,
            Err(PartError::Follow(FollowError::Console(error @ ConsoleError::Noise)))
                if !has_begun =>
            {
                if !self.noisy.replace(true) {
                    self.notice(Notice::Noise(self.number, error));
                }
                return Followed::Nothing;
            }
            Err(PartError::Follow(FollowError::Lost(error))) if !has_begun => {
                return Followed::Lost(Some(error));
            }
            ended => ended,
        };
        let is_lost =
            matches!(ended, Err(PartError::Follow(FollowError::Lost(_) | FollowError::NotSent(_))));
        self.hand_on(run, ended, serial_number, transcript);
        if is_lost { Followed::Lost(None) } else { Followed::Run }
    }

    /// Carries the step before a run out, if there is one.
    fn before(
        &self,
        source: &mut impl Source,
        run: &RefCell<Run>,
        serial_number: Option<&String>,
    ) -> Result<(), PartError> {
        let Some(step) = &self.batch.steps.before else { return Ok(()) };
        // What has come until now is not of this run.
        let mut old = [0; 1024];
        while let Arrival::Bytes(_) =
            source.read(&mut old, Duration::from_millis(1)).map_err(FollowError::Lost)?
        {
            if self.control.is_stopped() {
                break;
            }
        }
        self.begin(run, serial_number);
        let Some(attempt) = run.borrow().attempt else { return Err(FollowError::Stopped.into()) };
        let mut told = self.told.clone();
        told.serial_number = serial_number.cloned();
        self.step(step, Moment::Before, &told, attempt).map_err(PartError::Step)
    }

    /// Carries a step out, and keeps what it has printed.
    fn step(
        &self,
        step: &steps::Step,
        moment: Moment,
        told: &steps::Part,
        attempt: u64,
    ) -> Result<(), StepError> {
        self.notice(Notice::Step(self.number, moment));
        let result = step.run(moment, told, || self.control.is_stopped());
        let ran = match &result {
            Ok(ran) => ran,
            Err(StepError(ran)) => ran,
        };
        let mut output = Transcript::default();
        output.push(ran.output.as_bytes());
        let program = Program {
            attempt,
            step: moment.to_string(),
            command: ran.command.clone(),
            succeeded: result.is_ok(),
            text: ran.end.to_string(),
            milliseconds: milliseconds(ran.duration),
            output: Text::pack(output, None),
        };
        // If the ledger has failed, the batch ends with its error.
        let _ = self.keep(New::Program(program));
        result.map(|_| ())
    }

    /// Carries the step after a run out, if there is one, and says how the run has ended.
    fn finish(&self, mut done: Done, image: Option<Measurement>) {
        let is_good = matches!(done.verdict, Verdict::Good(_));
        let steps = &self.batch.steps;
        let (step, moment) = if is_good {
            (&steps.on_pass, Moment::OnPass)
        } else {
            (&steps.on_fail, Moment::OnFail)
        };
        if let Some(step) = step {
            let mut told = self.told.clone();
            tell(&mut told, &done);
            told.image_sha256 = image.map(|image| image.to_string());
            match (self.step(step, moment, &told, done.attempt), &done.verdict) {
                (Err(error), Verdict::Good(entered)) => {
                    done.verdict = Verdict::NotDone(*entered, error);
                }
                (Err(error), _) => self.notice(Notice::StepFailed(self.number, error)),
                (Ok(()), _) => {}
            }
        }
        self.progress.count(self.number, &done.verdict);
        self.notice(Notice::Done(self.number, Box::new(done)));
    }

    /// Keeps how a run has ended, and says so when it is kept.
    fn hand_on(
        &self,
        run: Run,
        ended: Ended,
        mut serial_number: Option<String>,
        console: Transcript,
    ) {
        let now = self.batch.clock.instant();
        let time = run.begun.map_or(Duration::ZERO, |begun| now.duration_since(begun));
        let mut steps = run.steps;
        steps.extend(run.step.map(|(name, since)| step(name, now.duration_since(since))));
        if self.batch.scan == Scan::After && serial_number.is_none() {
            serial_number = self.serial_number(Question::Last);
        }
        let ended = match ended {
            Ok(_) if self.batch.scan != Scan::No && serial_number.is_none() => {
                Err(PartError::NoSerialNumber)
            }
            ended => ended,
        };
        let (ended, part) = match (ended, self.hub) {
            (Ok((entry, image)), Some(hub)) => {
                let identity = entry.identity;
                let since = self.batch.clock.instant();
                let serial_number = serial_number.clone();
                let sought = Sought { identity: Some(identity), serial_number };
                let answer = hub.may_enter(sought).map(|()| (entry, image));
                if matches!(answer, Err(PartError::NoHub(_))) {
                    // Before this port takes its next part.
                    self.control.end();
                }
                steps.push(step("hub", self.batch.clock.instant().duration_since(since)));
                (answer, Some((identity.device_id, identity.ueid())))
            }
            (ended, _) => (ended, None),
        };
        let (end, image, result) = match ended {
            Ok((entry, image)) => (NewEnd::Good(entry.clone()), Some(image), Ok(entry.identity)),
            Err(error) => {
                let failed = Failed {
                    error: error.name().to_owned(),
                    failure: error.failure(),
                    text: error.to_string(),
                    seen: None,
                    part,
                };
                (NewEnd::Failed(failed), None, Err(error))
            }
        };
        let attempt = match run.attempt {
            Some(link) => Begun::Link(link),
            None => Begun::Now(self.attempt(serial_number.as_ref())),
        };
        let outcome = NewOutcome {
            attempt,
            end,
            serial_number: serial_number.clone(),
            image,
            steps,
            console,
        };
        let (number, progress, notices) = (self.number, self.progress, self.notices.clone());
        let begun = run.attempt;
        // Modelled parts come faster than the disk is: they do not wait for it.
        let (send, done) = mpsc::sync_channel(1);
        let send = self.waits.then_some(send);
        let kept = move |kept: Kept| {
            let verdict = match (result, kept.entry) {
                (Ok(identity), Some(Ok(receipt))) => Verdict::Good(Entered { receipt, identity }),
                (Ok(identity), Some(Err(Refusal::Known(entry)))) => Verdict::Known(entry, identity),
                (Ok(identity), Some(Err(refusal))) => {
                    Verdict::Failed(PartError::Refused(refusal, identity.ueid()))
                }
                (Ok(_), None) => unreachable!("the ledger has judged the entry"),
                (Err(error), _) => Verdict::Failed(error),
            };
            let attempt = begun.unwrap_or(kept.link.number - 1);
            let is_retry = kept.is_retry;
            let done = Done { verdict, serial_number, attempt, is_retry, time };
            if let Some(send) = send {
                let _ = send.send(done);
            } else {
                progress.count(number, &done.verdict);
                let _ = notices.send(Notice::Done(number, Box::new(done)));
            }
        };
        // If the ledger has failed, the batch ends with its error.
        let _ = self.requests.send(Request::Keep(New::Outcome(Box::new(outcome)), Box::new(kept)));
        if self.waits
            && let Ok(done) = done.recv()
        {
            self.finish(done, image);
        }
    }

    /// Follows a part and checks its record.
    fn record_of(
        &self,
        source: &mut impl Source,
        run: &RefCell<Run>,
        serial_number: Option<&String>,
    ) -> Ended {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|error| PartError::NoSeed(error.into()))?;
        let mut asked = false;
        let give_nonce = || {
            asked = true;
            nonce
        };
        let mut modelled = false;
        let clock = &self.batch.clock;
        let since = clock.instant();
        let told = Cell::new(false);
        let stop = || {
            if run.borrow().begun.is_some() {
                return self.control.is_stopped();
            }
            let idle = self.batch.timeouts.start;
            if !told.get() && clock.instant().duration_since(since) >= idle {
                told.set(true);
                self.notice(Notice::Idle(self.number, idle));
            }
            self.is_over()
        };
        let on_observed = |observed: &Observed| {
            modelled |= *observed == Observed::Modelled;
            // What the model says as it boots does not belong to a run.
            if *observed != Observed::Modelled && run.borrow().begun.is_none() {
                self.begin(run, serial_number);
            }
            run.borrow_mut().observe(observed, clock.instant());
            self.notice(Notice::Observed(self.number, observed.clone()));
        };
        // A part that a step has prepared is to begin; another one may come at any time.
        let has_begun = run.borrow().begun.is_some();
        let start = if has_begun { self.batch.timeouts.start } else { Duration::MAX };
        let timeouts = Timeouts { start, ..self.batch.timeouts };
        let end = follow(source, &timeouts, || clock.instant(), stop, give_nonce, on_observed)?;
        let (text, named) = match end {
            RunEnd::Provisioned { record, .. } => (record, None),
            RunEnd::AlreadyProvisioned { record, ueid } => (record, Some(ueid)),
            RunEnd::Failed { line, code } => return Err(PartError::Failed { line, code }),
        };
        if modelled && !self.batch.allow_modelled {
            return Err(PartError::Modelled);
        }
        if !asked && self.batch.require_nonce {
            return Err(PartError::NoNonce);
        }
        let nonce = asked.then_some(Nonce(nonce));
        let (record, bytes) = check(&text, named, &Wanted { nonce, ..self.batch.wanted })?;
        let image = record.software.measurement;
        if let Some(wanted) = self.batch.image {
            image::check(image, wanted)?;
        }
        Ok((NewEntry { identity: record.identity, record: bytes }, image))
    }

    /// Keeps that a run has begun, before the part gets its nonce.
    fn begin(&self, run: &RefCell<Run>, serial_number: Option<&String>) {
        let kept = self.keep(New::Attempt(self.attempt(serial_number)));
        let mut run = run.borrow_mut();
        run.begun = Some(self.batch.clock.instant());
        run.attempt = kept.map(|kept| kept.link.number);
        self.noisy.set(false);
        self.notice(Notice::Begun(self.number));
    }
}

/// What came of following a port.
enum Followed {
    /// A run, which was handed on.
    Run,
    /// No run, so that the same part may still come.
    Nothing,
    /// The port is lost, without a run and for this reason, or in a run.
    Lost(Option<io::Error>),
}

impl Run {
    fn observe(&mut self, observed: &Observed, now: Instant) {
        if let Some(name) = step_name(observed) {
            let ended = self.step.replace((name, now));
            self.steps.extend(ended.map(|(name, since)| step(name, now.duration_since(since))));
        }
    }
}

fn step(name: &str, time: Duration) -> Step {
    Step { name: name.to_owned(), milliseconds: milliseconds(time) }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What a step is told of a run that has ended.
fn tell(told: &mut steps::Part, done: &Done) {
    told.serial_number.clone_from(&done.serial_number);
    let (outcome, error, text) = match &done.verdict {
        Verdict::Good(entered) | Verdict::NotDone(entered, _) => {
            told.identify(&entered.identity);
            told.enter(&entered.receipt);
            ("good", None, None)
        }
        Verdict::Known(entry, identity) => {
            told.identify(identity);
            told.number = Some(*entry);
            ("known", None, None)
        }
        Verdict::Failed(error) => ("failed", Some(error.name()), Some(error.at_port())),
    };
    told.outcome = Some(outcome.to_owned());
    told.error = error.map(ToOwned::to_owned);
    told.text = text;
}

/// The step that begins with a line: what the part does until the next one.
const fn step_name(observed: &Observed) -> Option<&'static str> {
    Some(match observed {
        Observed::NonceWanted => "nonce",
        Observed::Record(_) => "end",
        Observed::Event(event) => match event {
            Event::LifecycleVerified => "lifecycle",
            Event::Resuming => "inspection",
            Event::LifecycleSwitched => "implementation-id",
            Event::GeneratingHuks | Event::GeneratingMext | Event::KeepingHuks => "huk",
            Event::CompletingSeed => "seed",
            Event::WritingIdentityKey => "identity-key",
            Event::HuksNotProven
            | Event::SeedNotProven
            | Event::DummyKey
            | Event::Record(_)
            | Event::Success => return None,
        },
        Observed::Modelled | Observed::Other(_) | Observed::Finished => return None,
    })
}

/// A console of which is kept what it has shown.
struct Recorded<'a, S: ?Sized> {
    source: &'a mut S,
    transcript: Transcript,
    /// If the ledger does not have its attempt, the part gets no nonce, and does nothing.
    run: &'a RefCell<Run>,
}

impl<S: Source + ?Sized> Source for Recorded<'_, S> {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<Arrival> {
        let arrival = self.source.read(buffer, timeout)?;
        if let Arrival::Bytes(count) = arrival {
            self.transcript.push(&buffer[..count.min(buffer.len())]);
        }
        Ok(arrival)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.run.borrow().attempt.is_some() {
            self.source.write_all(bytes)
        } else {
            Err(io::ErrorKind::Interrupted.into())
        }
    }
}
