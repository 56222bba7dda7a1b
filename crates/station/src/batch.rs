// SPDX-License-Identifier: Apache-2.0

//! A batch of parts: each port is followed by a thread of its own, and one thread writes the ledger.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;
use std::time::Instant;

use provisioning::{ImplementationId, Nonce, Ueid};

use crate::Identity;
use crate::console::{Outcome, Step};
use crate::ledger::{Ledger, LedgerError, NewEntry, Receipt, Refusal};
use crate::port::{FollowError, SerialPort, Source, TimeOut, Timeouts, follow};
use crate::record::{self, RecordError, Wanted};
use crate::simulated::{Seed, Simulated};

/// Entries that are committed at once, at most. One commit costs a sync of the disk, however many.
const GROUP: usize = 64;

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
    /// How many parts, on all benches together. Ports on which parts begin at the same time may do more.
    pub parts: usize,
    /// What their records have to be. A nonce is chosen for each.
    pub wanted: Wanted,
    /// Whether an image that does not ask for a nonce is refused.
    pub require_nonce: bool,
    /// Whether a port may be that of an image on modelled silicon.
    pub allow_modelled: bool,
    /// How long a part may take.
    pub timeouts: Timeouts,
}

/// What happens in a batch, by the number of the bench.
#[derive(Debug)]
pub enum Event {
    /// The console of a part has shown something.
    Step(usize, Step),
    /// A part is done.
    Done(usize, Result<Entered, PartError>),
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

/// Provisions the parts of a batch and enters them in the ledger. `on_event` is told of everything, in order
/// for each bench; a part is in the ledger for good before it is told so.
///
/// # Errors
/// The ledger cannot be written. Parts whose entry was not told of may still be in it.
pub fn run(
    plan: &Plan,
    benches: Vec<Bench>,
    ledger: &mut Ledger,
    mut on_event: impl FnMut(Event),
) -> Result<(), LedgerError> {
    let begun = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let (events, happened) = mpsc::channel();
    // Bounded: parts that are faster than the disk wait for it, and memory does not grow.
    let (checked, to_enter) = mpsc::sync_channel(GROUP);
    thread::scope(|scope| {
        for (number, bench) in benches.into_iter().enumerate() {
            let worker = Worker {
                plan,
                number,
                name: bench.name,
                begun: &begun,
                stop: &stop,
                events: events.clone(),
                checked: checked.clone(),
            };
            scope.spawn(move || worker.work(bench.parts));
        }
        drop(checked);
        let stop = &stop;
        let writer = scope.spawn(move || {
            let result = write(ledger, &to_enter, &events);
            // Nothing that is still on its way can be entered.
            stop.store(result.is_err(), Ordering::Relaxed);
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
    events: &Sender<Event>,
) -> Result<(), LedgerError> {
    while let Ok(first) = to_enter.recv() {
        let group: Vec<Checked> =
            std::iter::once(first).chain(to_enter.try_iter().take(GROUP - 1)).collect();
        let (benches, entries): (Vec<_>, Vec<_>) =
            group.into_iter().map(|Checked { bench, entry }| (bench, entry)).unzip();
        let answers = ledger.append(&entries)?;
        for ((bench, entry), answer) in benches.into_iter().zip(entries).zip(answers) {
            let identity = entry.identity;
            let result = match answer {
                Ok(receipt) => Ok(Entered { receipt, identity }),
                Err(refusal) => Err(PartError::Refused(refusal, identity.ueid())),
            };
            // Whoever does not listen any more does not need to know.
            let _ = events.send(Event::Done(bench, result));
        }
    }
    Ok(())
}

/// Follows the parts of one bench.
struct Worker<'a> {
    plan: &'a Plan,
    number: usize,
    name: String,
    /// Parts that were begun, on all benches.
    begun: &'a AtomicUsize,
    stop: &'a AtomicBool,
    events: Sender<Event>,
    checked: SyncSender<Checked>,
}

impl Worker<'_> {
    fn work(self, mut parts: Parts) {
        loop {
            let result = match &mut parts {
                // An operator decides on which port the next part is: all wait until enough have begun.
                Parts::Port(port) => {
                    if self.is_over() {
                        return;
                    }
                    self.part(port, true)
                }
                Parts::Simulated(seed, id) => {
                    let number = self.begun.fetch_add(1, Ordering::Relaxed);
                    if number >= self.plan.parts || self.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    match seed.of_part(number) {
                        Ok(seed) => self.part(&mut Simulated::new(seed, *id), false),
                        Err(error) => Err(PartError::NoSeed(error)),
                    }
                }
            };
            match result {
                Ok(entry) => {
                    if self.checked.send(Checked { bench: self.number, entry }).is_err() {
                        return; // the ledger has failed
                    }
                }
                Err(PartError::Follow(FollowError::Stopped)) if self.is_over() => return,
                Err(error) => {
                    let ends_bench = error.ends_bench();
                    let _ = self.events.send(Event::Done(self.number, Err(error)));
                    if ends_bench {
                        return;
                    }
                }
            }
        }
    }

    /// Whether there is no use in waiting for another part.
    fn is_over(&self) -> bool {
        self.begun.load(Ordering::Relaxed) >= self.plan.parts || self.stop.load(Ordering::Relaxed)
    }

    /// One part, from its first line to a good record. It is counted when it begins, if `count` says so.
    fn part(&self, source: &mut impl Source, count: bool) -> Result<NewEntry, PartError> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|error| PartError::NoSeed(error.into()))?;
        let mut asked = false;
        let give_nonce = || {
            asked = true;
            nonce
        };
        let mut modelled = false;
        let waiting = Cell::new(count);
        let stop = || {
            if waiting.get() { self.is_over() } else { self.stop.load(Ordering::Relaxed) }
        };
        let on_step = |step: &Step| {
            if waiting.replace(false) {
                self.begun.fetch_add(1, Ordering::Relaxed);
            }
            modelled |= *step == Step::Modelled;
            let _ = self.events.send(Event::Step(self.number, step.clone()));
        };
        let outcome = follow(source, &self.plan.timeouts, Instant::now, stop, give_nonce, on_step)
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
        check(&text, named, &Wanted { nonce, ..self.plan.wanted })
            .map(|(identity, record)| NewEntry { identity, port: self.name.clone(), record })
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
) -> Result<(Identity, Vec<u8>), PartError> {
    let bytes = record::decode(text).map_err(PartError::Record)?;
    let identity = record::verify(&bytes, wanted).map_err(PartError::Record)?.identity;
    match named {
        Some(ueid) if ueid != identity.ueid() => Err(PartError::OtherPart(ueid)),
        _ => Ok((identity, bytes)),
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
