// SPDX-License-Identifier: Apache-2.0

//! A batch of parts: each port is followed by a thread of its own, and one thread writes the ledger.
//!
//! A batch goes on until as many good parts are entered as were wanted, or until it is told to end: what runs is
//! then finished first. A run that was not entered does not count. A port waits for a part for ever, and one that
//! is lost is connected again when it is back. A batch of modelled parts makes as many as were wanted.
//!
//! Each run is kept in the ledger when it begins, before a part that asks for a nonce gets one, and again when it
//! ends. So every part that was touched is in the ledger, even if the station is killed.
//!
//! With a hub ([`uplink`]), a part is entered when no other station has it, as far as the hub can say that in time.

mod operator;
pub mod uplink;
mod worker;
mod writer;

use std::cell::Cell;
use std::fmt::{self, Debug};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use provisioning::{ImplementationId, Measurement};
use silicon::Soc;
use thiserror::Error;

pub use operator::{Answers, Question, Scan};

use crate::Identity;
use crate::clock::{Clock, SystemClock};
use crate::console::{ConsoleError, Observed};
use crate::hub::HubError;
use crate::ledger::{Ledger, LedgerError, Receipt};
use crate::part::PartError;
use crate::port::{Source, Timeouts};
use crate::record::Wanted;
use crate::simulated::Seed;
use crate::steps::{self, Moment, Step, StepError};
use uplink::{Amount, Desk, HubNotice, Uplink};
use worker::Worker;

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
    /// What the steps are told of each part, before anything is known of it: station, operator, batch, programmer, and
    /// the port's own variables.
    pub told: steps::Part,
}

/// The parts of a port.
pub enum Parts {
    /// Those that an operator connects to it.
    Connected(Box<dyn Connect>),
    /// Modelled parts.
    Simulated(Soc, Seed, ImplementationId),
}

/// The commands that are carried out around each part of a port.
#[derive(Debug, Default)]
pub struct Steps {
    /// Before its run, for example to program it: what the operator starts is this.
    pub before: Option<Step>,
    /// After the part was entered.
    pub on_pass: Option<Step>,
    /// After it was not.
    pub on_fail: Option<Step>,
}

impl Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connected(_) => "Connected",
            Self::Simulated(..) => "Simulated",
        })
    }
}

/// Opens a port, and opens it again after it was lost.
pub trait Connect: Send {
    /// Opens the port.
    ///
    /// # Errors
    /// It is not there, or cannot be used, now.
    fn connect(&mut self) -> io::Result<Box<dyn Source + Send>>;
}

/// What a batch is to do.
#[derive(Debug)]
pub struct Batch {
    /// How many good parts are to be entered, on all ports together; of modelled parts, how many are made. Ports on
    /// which parts run at the same time may enter more. Without it, until it is ended.
    pub parts: Option<usize>,
    /// What their records have to be. A nonce is chosen for each.
    pub wanted: Wanted,
    /// The measurement of the image that parts must have.
    pub image: Option<Measurement>,
    /// Whether an image that does not ask for a nonce is refused.
    pub require_nonce: bool,
    /// Whether a port may be that of an image on modelled silicon.
    pub allow_modelled: bool,
    /// After so many runs in a row that have entered nothing, a port is given up.
    pub give_up_after: Option<usize>,
    /// How long a run that has begun may take, and after which time the operator is told that a port is idle.
    pub timeouts: Timeouts,
    /// The name of the batch, which the ledger keeps.
    pub name: Option<String>,
    /// When the operator is asked for a serial number.
    pub scan: Scan,
    /// The commands around each part.
    pub steps: Steps,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Batch {
    /// A batch of so many parts, whose records have to be like this, and nothing else: no image, no operator and no
    /// commands, with the system's clock and the usual time-outs.
    #[must_use]
    pub fn new(parts: Option<usize>, wanted: Wanted) -> Self {
        Self {
            parts,
            wanted,
            image: None,
            require_nonce: false,
            allow_modelled: false,
            give_up_after: None,
            timeouts: Timeouts::default(),
            name: None,
            scan: Scan::No,
            steps: Steps::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

/// What [`run`] reports, with the index of the port.
#[derive(Debug)]
pub enum Notice {
    /// The console of a part has shown something.
    Observed(usize, Observed),
    /// A run has begun.
    Begun(usize),
    /// A run has ended.
    Done(usize, Box<Done>),
    /// Nothing has come from the port for [`Timeouts::start`].
    Idle(usize, Duration),
    /// Something comes from the port, and it is not the provisioning image's.
    Noise(usize, ConsoleError),
    /// The port is lost.
    Lost(usize, io::Error),
    /// It is back.
    Back(usize),
    /// The operator is asked for something.
    Asked(usize, Question),
    /// The operator's answer was not taken, for this reason.
    NotTaken(usize, String),
    /// The operator's answer was taken.
    Taken(usize),
    /// A step has begun.
    Step(usize, Moment),
    /// A step after a part that was not entered has failed.
    StepFailed(usize, StepError),
    /// The port is given up after [`Batch::give_up_after`] runs in a row that have entered nothing.
    GivenUp(usize),
    /// What there is to say of the hub.
    Hub(HubNotice),
}

/// Why a batch has ended before it was over.
#[derive(Debug, Error)]
pub enum BatchError {
    /// The ledger cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The hub contradicts the ledger.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The hub is needed, and away.
    #[error(
        "the hub cannot be used, and without it no part may be entered here (--require-hub, or required = true): {0}. \
         Start the station again when it is back"
    )]
    NoHub(String),
}

/// A run that has ended.
#[derive(Debug)]
pub struct Done {
    /// How it ended.
    pub verdict: Verdict,
    /// The part's serial number, where one was asked for.
    pub serial_number: Option<String>,
    /// The link of its attempt.
    pub attempt: u64,
    /// Whether an earlier run of the same part was not good.
    pub is_retry: bool,
    /// How long the run took.
    pub time: Duration,
}

/// How a run has ended.
#[derive(Debug)]
pub enum Verdict {
    /// The part is in the ledger now, for good.
    Good(Entered),
    /// The part was in the ledger already, as it is now: as this entry.
    Known(u64, Identity),
    /// The part is in the ledger, and the step behind it has failed: it is not done.
    NotDone(Entered, StepError),
    /// The part cannot leave the line.
    Failed(PartError),
}

/// A part that is in the ledger, for good.
#[derive(Clone, Copy, Debug)]
pub struct Entered {
    /// Its entry: number, and hash of its link.
    pub receipt: Receipt,
    /// Who it is.
    pub identity: Identity,
}

/// How many runs have ended, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The part was entered.
    pub good: usize,
    /// It was in the ledger already.
    pub known: usize,
    /// It cannot leave the line.
    pub failed: usize,
    /// Of all of these, those of parts with an earlier run that was not good.
    pub retried: usize,
}

impl Counts {
    /// Counts a run.
    pub const fn count(&mut self, done: &Done) {
        match done.verdict {
            Verdict::Good(_) => self.good += 1,
            Verdict::Known(..) => self.known += 1,
            Verdict::NotDone(..) | Verdict::Failed(_) => self.failed += 1,
        }
        self.retried += done.is_retry as usize;
    }

    /// How many runs have begun, when all have ended.
    #[must_use]
    pub const fn begun(&self) -> usize {
        self.good + self.known + self.failed
    }
}

/// Ends a batch, from a signal's handler for example.
#[derive(Debug, Default)]
pub struct Control {
    ending: AtomicBool,
    stopped: AtomicBool,
}

impl Control {
    /// No run begins any more, and what runs is finished.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// What runs is stopped and kept as not finished.
    pub fn stop(&self) {
        self.end();
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether [`Control::end`] was called.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Whether [`Control::stop`] was called, or the ledger cannot be written.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// How far a batch is, for all its threads.
#[derive(Debug)]
struct Progress {
    /// Modelled parts that were made.
    made: AtomicUsize,
    /// Good parts that this batch has entered.
    good: AtomicUsize,
    /// For each port, runs in a row that have entered nothing.
    failed: Vec<AtomicUsize>,
}

impl Progress {
    fn new(ports: usize) -> Self {
        Self {
            made: AtomicUsize::new(0),
            good: AtomicUsize::new(0),
            failed: (0..ports).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    fn count(&self, port: usize, verdict: &Verdict) {
        match verdict {
            Verdict::Good(_) => {
                self.failed[port].store(0, Ordering::Relaxed);
                self.good.fetch_add(1, Ordering::Relaxed);
            }
            Verdict::Known(..) | Verdict::NotDone(..) | Verdict::Failed(_) => {
                self.failed[port].fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Provisions the parts of a batch and enters them in the ledger, until `control` ends it or it is over. `answers`
/// are the lines that the operator types or scans. `on_notice` gets everything that happens, in order for each
/// port; a part is in the ledger for good before its notice comes. A slow `on_notice` holds the ports up, and
/// nothing is lost.
///
/// # Errors
/// The ledger cannot be written. Parts without a notice may still be in it.
pub fn run(
    batch: &Batch,
    ports: Vec<Port>,
    ledger: &mut Ledger,
    control: &Control,
    answers: Option<&Answers>,
    on_notice: impl FnMut(Notice),
) -> Result<(), LedgerError> {
    match run_with_hub(batch, ports, ledger, control, answers, None, on_notice) {
        Ok(()) => Ok(()),
        Err(BatchError::Ledger(error)) => Err(error),
        Err(BatchError::Hub(_) | BatchError::NoHub(_)) => unreachable!("there is no hub"),
    }
}

/// As [`run`], with a hub: it is asked whether another station has a part before the part is entered, and is sent what
/// was kept. What is not sent when the batch is over stays pending.
///
/// # Errors
/// The ledger cannot be written, the hub contradicts it, or the hub is required and away. Parts without a notice may
/// still be in the ledger.
pub fn run_with_hub(
    batch: &Batch,
    ports: Vec<Port>,
    ledger: &mut Ledger,
    control: &Control,
    answers: Option<&Answers>,
    uplink: Option<Uplink>,
    mut on_notice: impl FnMut(Notice),
) -> Result<(), BatchError> {
    let amount = Amount::of(ledger)?;
    let (desk, mail) = uplink.map(|uplink| Desk::open(uplink, amount)).unzip();
    let desk = desk.as_ref();
    let progress = Progress::new(ports.len());
    // Both bounded: parts that are faster than the screen or the disk wait for it, and memory does not grow.
    let (notices, happened) = mpsc::sync_channel(NOTICES_WAITING);
    let (requests, to_write) = mpsc::sync_channel(writer::GROUP);
    thread::scope(|scope| {
        for (number, port) in ports.into_iter().enumerate() {
            let worker = Worker {
                batch,
                number,
                name: port.name,
                told: port.told,
                control,
                progress: &progress,
                answers,
                hub: desk,
                notices: notices.clone(),
                requests: requests.clone(),
                waits: matches!(port.parts, Parts::Connected(_)),
                noisy: Cell::new(false),
            };
            scope.spawn(move || worker.work(port.parts));
        }
        if let Some(mail) = mail {
            let notices = notices.clone();
            scope.spawn(move || {
                mail.each(|notice| {
                    match &notice {
                        HubNotice::Away { ends_batch: true, .. } => control.end(),
                        HubNotice::Alarm(_) => control.stop(),
                        _ => {}
                    }
                    // A caller that has stopped listening does not need it.
                    let _ = notices.send(Notice::Hub(notice));
                });
            });
        }
        drop((requests, notices));
        let writer = scope.spawn(move || {
            let result = writer::write(ledger, &to_write, desk);
            if result.is_err() {
                // Nothing that is still on its way can be kept.
                control.stop();
            }
            if let Some(desk) = desk {
                desk.close();
            }
            result
        });
        for notice in happened {
            on_notice(notice);
        }
        match writer.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    let Some(desk) = desk else { return Ok(()) };
    match (desk.alarm(), desk.no_hub()) {
        (Some(alarm), _) => Err(BatchError::Hub(alarm)),
        (None, Some(why)) => Err(BatchError::NoHub(why)),
        (None, None) => Ok(()),
    }
}
