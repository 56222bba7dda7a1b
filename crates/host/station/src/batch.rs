// SPDX-License-Identifier: Apache-2.0

//! A batch of parts: each port is followed by a thread of its own, and one thread writes the ledger.
//!
//! A batch on ports is over when as many parts are entered as were wanted; a run that was not entered does not
//! count. It also ends when there is no port left: one is given up when no run begins on it within
//! [`Timeouts::start`], when it is lost, and after [`Plan::give_up_after`] runs in a row that were not entered.
//! While as many parts are on their way as are still wanted, the other ports wait for how these end. A batch of
//! modelled parts makes so many, and is over then.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Instant;

use provisioning::{ImplementationId, Nonce, Ueid};

use crate::Identity;
use crate::console::{ConsoleError, Outcome, Step};
use crate::ledger::{Ledger, LedgerError, NewEntry, Receipt, Refusal};
use crate::port::{FollowError, SerialPort, Source, TimeOut, Timeouts, follow};
use crate::record::{self, RecordError, Wanted};
use crate::simulated::{Seed, Simulated};

/// Entries that are committed at once, at most. One commit costs a sync of the disk, however many.
const GROUP: usize = 64;

/// Events that wait to be shown, at most. Then ports wait, too, until some were: what a console prints
/// meanwhile waits in the buffers of the operating system.
pub const EVENTS_WAITING: usize = 256;

/// Where parts are provisioned, one after the other.
#[derive(Debug)]
pub struct Bench {
    /// Its name, which the ledger keeps.
    pub name: String,
    /// What is on it.
    pub parts: Parts,
}

/// The parts of a bench.
#[derive(Debug)]
pub enum Parts {
    /// Whatever an operator connects to the port.
    Port(SerialPort),
    /// Modelled parts.
    Simulated(Seed, ImplementationId),
}

/// What a batch is to be.
#[derive(Debug)]
pub struct Plan {
    /// How many parts are to be entered, on all benches together; of modelled parts, how many are made.
    /// Ports on which parts run at the same time may enter more.
    pub parts: usize,
    /// What their records have to be. A nonce is chosen for each.
    pub wanted: Wanted,
    /// Whether an image that does not ask for a nonce is refused.
    pub require_nonce: bool,
    /// Whether a port may be that of an image on modelled silicon.
    pub allow_modelled: bool,
    /// After so many runs in a row that were not entered, a port is given up.
    pub give_up_after: usize,
    /// How long a part may take. The time for the start runs from the end of the run before, whatever comes
    /// meanwhile that is no run.
    pub timeouts: Timeouts,
}

/// What happens in a batch, by the number of the bench.
#[derive(Debug)]
pub enum Event {
    /// The console of a part has shown something.
    Step(usize, Step),
    /// A part is done.
    Done(usize, Result<Entered, PartError>),
    /// The port is given up after [`Plan::give_up_after`] runs in a row that were not entered.
    GivenUp(usize),
}

/// A part that is in the ledger, for good.
#[derive(Clone, Copy, Debug)]
pub struct Entered {
    /// Its entry.
    pub receipt: Receipt,
    /// Who it is.
    pub identity: Identity,
}

/// Why a part is not in the ledger.
#[derive(Debug)]
pub enum PartError {
    /// Its console could not be followed to the end.
    Follow(FollowError),
    /// Its run failed, in its own words.
    Failed(String),
    /// Its record is not believed, or not the one wanted.
    Record(RecordError),
    /// It says it is complete already, as another part than the one in its record.
    OtherPart(Ueid),
    /// It is none: the image runs on modelled silicon.
    Modelled,
    /// Its image has not asked for a nonce.
    NoNonce,
    /// The ledger has it, or something of it, already.
    Refused(Refusal, Ueid),
    /// A modelled part could not be made.
    NoSeed(io::Error),
}

/// A part whose record is good, on its way to the ledger.
struct Checked {
    bench: usize,
    entry: NewEntry,
}

/// How far a batch is, for all its threads.
#[derive(Debug)]
struct Progress {
    /// Modelled parts that were made.
    made: AtomicUsize,
    /// Parts that have begun and not failed: in the ledger, or on their way there.
    hopeful: AtomicUsize,
    /// Parts that this batch has entered.
    entered: AtomicUsize,
    /// For each bench, runs in a row that were not entered.
    failed: Vec<AtomicUsize>,
    /// The ledger cannot be written.
    stop: AtomicBool,
}

impl Progress {
    fn new(benches: usize) -> Self {
        Self {
            made: AtomicUsize::new(0),
            hopeful: AtomicUsize::new(0),
            entered: AtomicUsize::new(0),
            failed: (0..benches).map(|_| AtomicUsize::new(0)).collect(),
            stop: AtomicBool::new(false),
        }
    }

    fn begin(&self) {
        self.hopeful.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, bench: usize) {
        self.failed[bench].store(0, Ordering::Relaxed);
        self.entered.fetch_add(1, Ordering::Relaxed);
    }

    /// A run that has begun will not be entered.
    fn fail(&self, bench: usize) {
        self.failed[bench].fetch_add(1, Ordering::Relaxed);
        self.hopeful.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Provisions the parts of a batch and enters them in the ledger. `on_event` is told of everything, in order
/// for each bench; a part is in the ledger for good before it is told so. A slow `on_event` holds the benches
/// up, and nothing is lost.
///
/// # Errors
/// The ledger cannot be written. Parts whose entry was not told of may still be in it.
pub fn run(
    plan: &Plan,
    benches: Vec<Bench>,
    ledger: &mut Ledger,
    mut on_event: impl FnMut(Event),
) -> Result<(), LedgerError> {
    let progress = Progress::new(benches.len());
    // Both bounded: parts that are faster than the screen or the disk wait for it, and memory does not grow.
    let (events, happened) = mpsc::sync_channel(EVENTS_WAITING);
    let (checked, to_enter) = mpsc::sync_channel(GROUP);
    thread::scope(|scope| {
        for (number, bench) in benches.into_iter().enumerate() {
            let worker = Worker {
                plan,
                number,
                name: bench.name,
                progress: &progress,
                events: events.clone(),
                checked: checked.clone(),
            };
            scope.spawn(move || worker.work(bench.parts));
        }
        drop(checked);
        let progress = &progress;
        let writer = scope.spawn(move || {
            let result = write(ledger, &to_enter, progress, &events);
            // Nothing that is still on its way can be entered.
            progress.stop.store(result.is_err(), Ordering::Relaxed);
            result
        });
        for event in happened {
            on_event(event);
        }
        match writer.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Enters what comes until nothing can come any more.
fn write(
    ledger: &mut Ledger,
    to_enter: &Receiver<Checked>,
    progress: &Progress,
    events: &SyncSender<Event>,
) -> Result<(), LedgerError> {
    while let Ok(first) = to_enter.recv() {
        let group: Vec<Checked> =
            std::iter::once(first).chain(to_enter.try_iter().take(GROUP - 1)).collect();
        let (benches, entries): (Vec<_>, Vec<_>) =
            group.into_iter().map(|Checked { bench, entry }| (bench, entry)).unzip();
        let answers = ledger.append(&entries)?;
        for ((bench, entry), answer) in benches.into_iter().zip(entries).zip(answers) {
            let identity = entry.identity;
            // Whoever does not listen any more does not need to know.
            let tell = |result| _ = events.send(Event::Done(bench, result));
            match answer {
                Ok(receipt) => {
                    progress.enter(bench);
                    tell(Ok(Entered { receipt, identity }));
                }
                Err(refusal) => {
                    tell(Err(PartError::Refused(refusal, identity.ueid())));
                    // Behind it: a port is given up after what it is given up for.
                    progress.fail(bench);
                }
            }
        }
    }
    Ok(())
}

/// Follows the parts of one bench.
struct Worker<'a> {
    plan: &'a Plan,
    number: usize,
    name: String,
    progress: &'a Progress,
    events: SyncSender<Event>,
    checked: SyncSender<Checked>,
}

impl Worker<'_> {
    fn work(self, parts: Parts) {
        match parts {
            Parts::Port(mut port) => self.follow_port(&mut port),
            Parts::Simulated(seed, id) => self.make_parts(seed, id),
        }
    }

    fn make_parts(&self, seed: Seed, id: ImplementationId) {
        loop {
            let number = self.progress.made.fetch_add(1, Ordering::Relaxed);
            if number >= self.plan.parts || self.is_stopped() {
                return;
            }
            let result = match seed.of_part(number) {
                Ok(seed) => {
                    let mut part = Simulated::new(seed, id);
                    self.part(&mut part, &self.plan.timeouts, || self.is_stopped()).1
                }
                Err(error) => Err(PartError::NoSeed(error)),
            };
            if self.tell(result).is_break() {
                return;
            }
        }
    }

    fn follow_port(&self, port: &mut SerialPort) {
        let Timeouts { start, .. } = self.plan.timeouts;
        let failed = &self.progress.failed[self.number];
        let is_given_up = || failed.load(Ordering::Relaxed) >= self.plan.give_up_after;
        // Since when the port waits for a run, and whether the operator knows that something else comes.
        let mut since = Instant::now();
        let mut noise_told = false;
        while !self.is_over() {
            if is_given_up() {
                let _ = self.events.send(Event::GivenUp(self.number));
                return;
            }
            let left = start.saturating_sub(since.elapsed());
            let timeouts = Timeouts { start: left, ..self.plan.timeouts };
            let (begun, result) = self.part(port, &timeouts, || self.is_over() || is_given_up());
            if begun {
                (since, noise_told) = (Instant::now(), false);
            }
            let result = match result {
                // While it waited, the last part was entered or refused.
                Err(PartError::Follow(FollowError::Stopped)) if !begun => continue,
                Err(PartError::Follow(FollowError::TimeOut(TimeOut::Start(_)))) => {
                    // Where all parts that are wanted are on their way, nobody is to start one here, unless
                    // one of them fails.
                    if self.progress.hopeful.load(Ordering::Relaxed) >= self.plan.parts {
                        since = Instant::now();
                        continue;
                    }
                    Err(PartError::Follow(FollowError::TimeOut(TimeOut::Start(start))))
                }
                Err(PartError::Follow(FollowError::Console(ConsoleError::Noise))) if noise_told => {
                    continue;
                }
                result => result,
            };
            noise_told |=
                matches!(result, Err(PartError::Follow(FollowError::Console(ConsoleError::Noise))));
            if self.tell(result).is_break() {
                return;
            }
        }
    }

    /// Hands on what became of a part; whether another one may come on this bench.
    fn tell(&self, result: Result<NewEntry, PartError>) -> ControlFlow<()> {
        let goes_on = match result {
            // The ledger may have failed.
            Ok(entry) => self.checked.send(Checked { bench: self.number, entry }).is_ok(),
            Err(error) => {
                let ends_bench = error.ends_bench();
                let _ = self.events.send(Event::Done(self.number, Err(error)));
                !ends_bench
            }
        };
        if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn is_stopped(&self) -> bool {
        self.progress.stop.load(Ordering::Relaxed)
    }

    /// Whether there is no use in waiting for another part.
    fn is_over(&self) -> bool {
        self.progress.entered.load(Ordering::Relaxed) >= self.plan.parts || self.is_stopped()
    }

    /// One part, from its first line to a good record, and whether its run has begun. It is not waited for where
    /// `is_over` says so.
    fn part(
        &self,
        source: &mut impl Source,
        timeouts: &Timeouts,
        is_over: impl Fn() -> bool,
    ) -> (bool, Result<NewEntry, PartError>) {
        let begun = Cell::new(false);
        let stop = || if begun.get() { self.is_stopped() } else { is_over() };
        let result = self.record_of(source, timeouts, stop, &begun);
        if begun.get() && result.is_err() {
            self.progress.fail(self.number);
        }
        (begun.get(), result)
    }

    /// Follows a part and checks its record. `begun` is set at the first line of the run.
    fn record_of(
        &self,
        source: &mut impl Source,
        timeouts: &Timeouts,
        stop: impl Fn() -> bool,
        begun: &Cell<bool>,
    ) -> Result<NewEntry, PartError> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|error| PartError::NoSeed(error.into()))?;
        let mut asked = false;
        let give_nonce = || {
            asked = true;
            nonce
        };
        let mut modelled = false;
        let on_step = |step: &Step| {
            modelled |= *step == Step::Modelled;
            // What the model says as it boots is no line of a run.
            if *step != Step::Modelled && !begun.replace(true) {
                self.progress.begin();
            }
            let _ = self.events.send(Event::Step(self.number, step.clone()));
        };
        let outcome = follow(source, timeouts, Instant::now, stop, give_nonce, on_step)
            .map_err(PartError::Follow)?;
        let (text, named) = match outcome {
            Outcome::Provisioned { record, .. } => (record, None),
            Outcome::AlreadyProvisioned { record, ueid } => (record, Some(ueid)),
            Outcome::Failed { line, .. } => return Err(PartError::Failed(line)),
        };
        if modelled && !self.plan.allow_modelled {
            return Err(PartError::Modelled);
        }
        if !asked && self.plan.require_nonce {
            return Err(PartError::NoNonce);
        }
        let nonce = asked.then_some(Nonce(nonce));
        check(&text, named, &Wanted { nonce, ..self.plan.wanted }).map(|(record, bytes)| NewEntry {
            identity: record.identity,
            port: self.name.clone(),
            record: bytes,
        })
    }
}

/// Checks the record of a part, and that it is of the part that has named itself, if one has.
///
/// # Errors
/// The record is not believed, not the one wanted, or that of another part.
pub fn check(
    text: &str,
    named: Option<Ueid>,
    wanted: &Wanted,
) -> Result<(record::Record, Vec<u8>), PartError> {
    let bytes = record::decode(text).map_err(PartError::Record)?;
    let record = record::verify(&bytes, wanted).map_err(PartError::Record)?;
    match named {
        Some(ueid) if ueid != record.identity.ueid() => Err(PartError::OtherPart(ueid)),
        _ => Ok((record, bytes)),
    }
}

impl PartError {
    /// Whether there is no use in waiting for another part on this bench: nobody starts one, or its port is
    /// gone.
    #[must_use]
    pub const fn ends_bench(&self) -> bool {
        matches!(
            self,
            Self::Follow(
                FollowError::TimeOut(TimeOut::Start(_))
                    | FollowError::Lost(_)
                    | FollowError::NotSent(_)
                    | FollowError::Stopped
            ) | Self::NoSeed(_)
        )
    }

    /// One word for it, for machines.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Follow(FollowError::TimeOut(TimeOut::Start(_))) => "start-timeout",
            Self::Follow(FollowError::TimeOut(TimeOut::Line(_))) => "line-timeout",
            Self::Follow(FollowError::TimeOut(TimeOut::Run(_))) => "run-timeout",
            Self::Follow(FollowError::Console(_)) => "console",
            Self::Follow(FollowError::Lost(_) | FollowError::NotSent(_)) => "port",
            Self::Follow(FollowError::Stopped) => "stopped",
            Self::Failed(_) => "failed",
            Self::Record(_) | Self::OtherPart(_) => "record",
            Self::Modelled => "modelled",
            Self::NoNonce => "no-nonce",
            Self::Refused(..) => "seen-before",
            Self::NoSeed(_) => "no-random-numbers",
        }
    }
}

impl fmt::Display for PartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Follow(error) => error.fmt(f),
            Self::Failed(line) => write!(f, "the part says: {line}"),
            Self::Record(error) => error.fmt(f),
            Self::OtherPart(ueid) => write!(
                f,
                "the part calls itself {ueid}, and its record is another part's. Nothing was entered. Start \
                 the part again, with no other program on its port."
            ),
            Self::Modelled => f.write_str(
                "this is modelled silicon, whose keys are no secret. Nothing was entered. Use \
                 --allow-modelled, and another ledger than that of the line.",
            ),
            Self::NoNonce => f.write_str(
                "the image did not ask for a nonce. Nothing was entered. Build it with \
                 CONFIG_PROVISIONING_RECORD_NONCE=y, or leave out --require-nonce.",
            ),
            Self::Refused(refusal, _) => refusal.fmt(f),
            Self::NoSeed(error) => {
                write!(
                    f,
                    "the operating system has no random numbers ({error}). Nothing was entered."
                )
            }
        }
    }
}

impl std::error::Error for PartError {}
