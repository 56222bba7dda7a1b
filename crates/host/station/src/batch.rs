// SPDX-License-Identifier: Apache-2.0

//! A batch of parts: each port is followed by a thread of its own, and one thread writes the ledger.
//!
//! A batch on ports is over when as many parts are entered as were wanted; a run that was not entered does not
//! count. It also ends when there is no port left: one is given up when no run begins on it within
//! [`Timeouts::start`], when it is lost, and after [`Batch::give_up_after`] runs in a row that were not entered.
//! While as many parts are on their way as are still wanted, the other ports wait for how these end. A batch of
//! modelled parts makes so many, and is over then.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Instant;

use provisioning::{ImplementationId, Nonce};
use silicon::Soc;

use crate::Identity;
use crate::console::{ConsoleError, Observed, RunEnd};
use crate::ledger::{Ledger, LedgerError, NewEntry, Receipt};
use crate::part::{PartError, check};
use crate::port::{FollowError, SerialPort, Source, TimeOut, Timeouts, follow};
use crate::record::Wanted;
use crate::simulated::{Seed, Simulated};

/// Entries that are committed at once, at most. One commit costs a sync of the disk, however many.
const GROUP: usize = 64;

/// Notices that wait to be shown, at most. Then the ports wait, too, and what a console prints meanwhile waits
/// in the buffers of the operating system.
pub const NOTICES_WAITING: usize = 256;

/// A port of the line, on which parts are provisioned one after the other.
#[derive(Debug)]
pub struct Port {
    /// Its name, which the ledger keeps.
    pub name: String,
    /// Which parts come on it.
    pub parts: Parts,
}

/// The parts of a port.
#[derive(Debug)]
pub enum Parts {
    /// Those that an operator connects to it.
    Serial(SerialPort),
    /// Modelled parts.
    Simulated(Soc, Seed, ImplementationId),
}

/// What a batch is to do.
#[derive(Debug)]
pub struct Batch {
    /// How many parts are to be entered, on all ports together; of modelled parts, how many are made.
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
    /// How long a part may take. The time for the start runs from the end of the run before; what comes
    /// meanwhile and is not a run does not stop it.
    pub timeouts: Timeouts,
}

/// What [`run`] reports, with the index of the port.
#[derive(Debug)]
pub enum Notice {
    /// The console of a part has shown something.
    Observed(usize, Observed),
    /// A part is done.
    Done(usize, Result<Entered, PartError>),
    /// The port is given up after [`Batch::give_up_after`] runs in a row that were not entered.
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

/// A part whose record is good, on its way to the ledger.
struct Checked {
    port: usize,
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
    /// For each port, runs in a row that were not entered.
    failed: Vec<AtomicUsize>,
    /// The ledger cannot be written.
    stop: AtomicBool,
}

impl Progress {
    fn new(ports: usize) -> Self {
        Self {
            made: AtomicUsize::new(0),
            hopeful: AtomicUsize::new(0),
            entered: AtomicUsize::new(0),
            failed: (0..ports).map(|_| AtomicUsize::new(0)).collect(),
            stop: AtomicBool::new(false),
        }
    }

    fn begin(&self) {
        self.hopeful.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, port: usize) {
        self.failed[port].store(0, Ordering::Relaxed);
        self.entered.fetch_add(1, Ordering::Relaxed);
    }

    /// A run that has begun will not be entered.
    fn fail(&self, port: usize) {
        self.failed[port].fetch_add(1, Ordering::Relaxed);
        self.hopeful.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Provisions the parts of a batch and enters them in the ledger. `on_notice` gets everything that happens, in
/// order for each port; a part is in the ledger for good before its notice comes. A slow `on_notice` holds the
/// ports up, and nothing is lost.
///
/// # Errors
/// The ledger cannot be written. Parts without a notice may still be in it.
pub fn run(
    batch: &Batch,
    ports: Vec<Port>,
    ledger: &mut Ledger,
    mut on_notice: impl FnMut(Notice),
) -> Result<(), LedgerError> {
    let progress = Progress::new(ports.len());
    // Both bounded: parts that are faster than the screen or the disk wait for it, and memory does not grow.
    let (notices, happened) = mpsc::sync_channel(NOTICES_WAITING);
    let (checked, to_enter) = mpsc::sync_channel(GROUP);
    thread::scope(|scope| {
        for (number, port) in ports.into_iter().enumerate() {
            let worker = Worker {
                batch,
                number,
                name: port.name,
                progress: &progress,
                notices: notices.clone(),
                checked: checked.clone(),
            };
            scope.spawn(move || worker.work(port.parts));
        }
        drop(checked);
        let progress = &progress;
        let writer = scope.spawn(move || {
            let result = write(ledger, &to_enter, progress, &notices);
            // Nothing that is still on its way can be entered.
            progress.stop.store(result.is_err(), Ordering::Relaxed);
            result
        });
        for notice in happened {
            on_notice(notice);
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
    notices: &SyncSender<Notice>,
) -> Result<(), LedgerError> {
    while let Ok(first) = to_enter.recv() {
        let group: Vec<Checked> =
            std::iter::once(first).chain(to_enter.try_iter().take(GROUP - 1)).collect();
        let (ports, entries): (Vec<_>, Vec<_>) =
            group.into_iter().map(|Checked { port, entry }| (port, entry)).unzip();
        let answers = ledger.append(&entries)?;
        for ((port, entry), answer) in ports.into_iter().zip(entries).zip(answers) {
            let identity = entry.identity;
            // A caller that has stopped listening does not need it.
            let tell = |result| _ = notices.send(Notice::Done(port, result));
            match answer {
                Ok(receipt) => {
                    progress.enter(port);
                    tell(Ok(Entered { receipt, identity }));
                }
                Err(refusal) => {
                    tell(Err(PartError::Refused(refusal, identity.ueid())));
                    // After the notice: a port is given up after the last run that it is given up for.
                    progress.fail(port);
                }
            }
        }
    }
    Ok(())
}

/// Follows the parts of one port.
struct Worker<'a> {
    batch: &'a Batch,
    number: usize,
    name: String,
    progress: &'a Progress,
    notices: SyncSender<Notice>,
    checked: SyncSender<Checked>,
}

impl Worker<'_> {
    fn work(self, parts: Parts) {
        match parts {
            Parts::Serial(mut port) => self.follow_port(&mut port),
            Parts::Simulated(soc, seed, id) => self.make_parts(soc, seed, id),
        }
    }

    fn make_parts(&self, soc: Soc, seed: Seed, id: ImplementationId) {
        loop {
            let number = self.progress.made.fetch_add(1, Ordering::Relaxed);
            if number >= self.batch.parts || self.is_stopped() {
                return;
            }
            let result = match seed.of_part(number) {
                Ok(seed) => {
                    let mut part = Simulated::new(soc, seed, id);
                    self.part(&mut part, &self.batch.timeouts, || self.is_stopped()).1
                }
                Err(error) => Err(PartError::NoSeed(error)),
            };
            if self.tell(result).is_break() {
                return;
            }
        }
    }

    fn follow_port(&self, port: &mut SerialPort) {
        let Timeouts { start, .. } = self.batch.timeouts;
        let failed = &self.progress.failed[self.number];
        let is_given_up = || failed.load(Ordering::Relaxed) >= self.batch.give_up_after;
        // Since when the port waits for a run, and whether the operator knows that something else comes.
        let mut since = Instant::now();
        let mut noise_reported = false;
        while !self.is_over() {
            if is_given_up() {
                let _ = self.notices.send(Notice::GivenUp(self.number));
                return;
            }
            let left = start.saturating_sub(since.elapsed());
            let timeouts = Timeouts { start: left, ..self.batch.timeouts };
            let (begun, result) = self.part(port, &timeouts, || self.is_over() || is_given_up());
            if begun {
                (since, noise_reported) = (Instant::now(), false);
            }
            let result = match result {
                // While it waited, the last part was entered or refused.
                Err(PartError::Follow(FollowError::Stopped)) if !begun => continue,
                Err(PartError::Follow(FollowError::TimeOut(TimeOut::Start(_)))) => {
                    // If all parts that are wanted are on their way, one is needed here only if one of them
                    // fails.
                    if self.progress.hopeful.load(Ordering::Relaxed) >= self.batch.parts {
                        since = Instant::now();
                        continue;
                    }
                    Err(PartError::Follow(FollowError::TimeOut(TimeOut::Start(start))))
                }
                Err(PartError::Follow(FollowError::Console(ConsoleError::Noise)))
                    if noise_reported =>
                {
                    continue;
                }
                result => result,
            };
            noise_reported |=
                matches!(result, Err(PartError::Follow(FollowError::Console(ConsoleError::Noise))));
            if self.tell(result).is_break() {
                return;
            }
        }
    }

    /// Hands on what became of a part; whether another one may come on this port.
    fn tell(&self, result: Result<NewEntry, PartError>) -> ControlFlow<()> {
        let goes_on = match result {
            // The ledger may have failed.
            Ok(entry) => self.checked.send(Checked { port: self.number, entry }).is_ok(),
            Err(error) => {
                let ends_port = error.ends_port();
                let _ = self.notices.send(Notice::Done(self.number, Err(error)));
                !ends_port
            }
        };
        if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn is_stopped(&self) -> bool {
        self.progress.stop.load(Ordering::Relaxed)
    }

    /// Whether the station need not wait for another part.
    fn is_over(&self) -> bool {
        self.progress.entered.load(Ordering::Relaxed) >= self.batch.parts || self.is_stopped()
    }

    /// One part, from its first line to a good record, and whether its run has begun. Before that, `is_over`
    /// ends the wait for it.
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
        let on_observed = |observed: &Observed| {
            modelled |= *observed == Observed::Modelled;
            // What the model says as it boots does not belong to a run.
            if *observed != Observed::Modelled && !begun.replace(true) {
                self.progress.begin();
            }
            let _ = self.notices.send(Notice::Observed(self.number, observed.clone()));
        };
        let end = follow(source, timeouts, Instant::now, stop, give_nonce, on_observed)?;
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
        check(&text, named, &Wanted { nonce, ..self.batch.wanted }).map(|(record, bytes)| {
            NewEntry { identity: record.identity, port: self.name.clone(), record: bytes }
        })
    }
}
