// SPDX-License-Identifier: Apache-2.0

//! What the operator's page shows of a line: what each port does, and how the last part on it has ended.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use provisioning::Ueid;

use crate::batch::uplink::HubNotice;
use crate::batch::{Counts, Done, Entered, Notice, Question, Verdict};
use crate::console::{Observed, RUN_STEPS};
use crate::ledger::{End, Run};

/// A line, as the notices of a batch have left it.
#[derive(Clone, Debug)]
pub struct Line {
    /// What stands above the ports: station, batch and operator, where they have names.
    pub about: About,
    /// When the batch began.
    pub begun: Timestamp,
    /// How many runs have ended, and how.
    pub counts: Counts,
    /// What becomes of the parts at the hub, where there is one.
    pub hub: Option<AtHub>,
    /// The ports, in the order of the command line.
    pub ports: Vec<Arc<Port>>,
    /// Whether it is of a ledger, which does not say everything.
    pub is_of_ledger: bool,
    /// Whether the batch is over.
    pub ended: bool,
    /// Grows with each change.
    pub version: u64,
}

/// Whose line it is.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The name of the station.
    pub station: Option<String>,
    /// The name of the batch.
    pub batch: Option<String>,
    /// The name of the operator.
    pub operator: Option<String>,
    /// How many good parts are wanted.
    pub parts: Option<usize>,
}

impl About {
    /// What stands at the top.
    #[must_use]
    pub fn title(&self) -> &str {
        self.station.as_deref().unwrap_or("Station")
    }
}

/// What becomes of the parts at the hub.
#[derive(Clone, Debug, Default)]
pub struct AtHub {
    /// Parts that it does not have yet.
    pub pending: u64,
    /// Whether it cannot be used.
    pub is_away: bool,
    /// Whether it contradicts the ledger.
    pub is_alarm: bool,
    /// Parts of this station that another one claims, too.
    pub conflicts: usize,
}

/// A port, and what is on it.
#[derive(Clone, Debug, Default)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// The run that goes on.
    pub running: Option<Running>,
    /// How the last run has ended, until the next one begins.
    pub last: Option<Ended>,
    /// Why the port is lost.
    pub lost: Option<String>,
    /// What the operator is asked for.
    pub asked: Option<Question>,
    /// What else the operator is told, until something happens on the port.
    pub note: Option<String>,
    /// Whether the port is given up.
    pub given_up: bool,
    /// Runs that have failed on it: a page that has missed a failure sees it here.
    pub failed: usize,
    /// [`Line::version`] of its last change.
    pub version: u64,
}

/// A run that goes on.
#[derive(Clone, Debug)]
pub struct Running {
    /// What the part does, in the words of its console.
    pub step: String,
    /// Steps that are done, of [`RUN_STEPS`].
    pub done: u64,
}

/// How a run has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How.
    pub result: Ending,
    /// The part's serial number.
    pub serial_number: Option<String>,
    /// What happened and what to do.
    pub text: String,
    /// The number of the failure, where the part has said one.
    pub failure: Option<u8>,
    /// Who the part is, where it was entered.
    pub ueid: Option<Ueid>,
    /// The number of the part's entry.
    pub entry: Option<u64>,
    /// The link of the attempt.
    pub attempt: u64,
    /// When.
    pub time: Timestamp,
}

/// The three ends of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The part is entered, and the step behind it is done.
    Pass,
    /// The part was entered before.
    Known,
    /// The part cannot leave the line.
    Fail,
}

/// What a port shows first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for a part.
    Waiting,
    /// It waits for the operator: a serial number, or a part in its place.
    Asked,
    /// A part runs.
    Running,
    /// A run has ended, and the next one has not begun.
    Ended(Ending),
    /// The port is lost.
    Lost,
    /// The port is given up.
    GivenUp,
}

impl State {
    /// Whether nothing goes on until somebody comes, and it is not that the next part is put in.
    #[must_use]
    pub const fn wants_somebody(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running | Self::Ended(Ending::Pass))
    }

    /// The state as a word, for style sheet and script.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Asked => "asked",
            Self::Running => "running",
            Self::Ended(Ending::Pass) => "pass",
            Self::Ended(Ending::Known) => "known",
            Self::Ended(Ending::Fail) => "fail",
            Self::Lost => "lost",
            Self::GivenUp => "given-up",
        }
    }

    /// The state as the operator reads it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "READY",
            Self::Asked => "SCAN",
            Self::Running => "RUNNING",
            Self::Ended(Ending::Pass) => "PASS",
            Self::Ended(Ending::Known) => "KNOWN",
            Self::Ended(Ending::Fail) => "FAIL",
            Self::Lost => "NO PORT",
            Self::GivenUp => "STOPPED",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Port {
    /// What it shows first. A port that is lost may have lost the part that has ended, whose verdict is in
    /// [`Port::last`] until the next run.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self { given_up: true, .. } => State::GivenUp,
            Self { lost: Some(_), .. } => State::Lost,
            Self { asked: Some(Question::Last), .. } => State::Asked,
            Self { running: Some(_), .. } => State::Running,
            Self { last: Some(ended), .. } => State::Ended(ended.result),
            Self { asked: Some(_), .. } => State::Asked,
            _ => State::Waiting,
        }
    }

    /// Its state as the operator reads it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match (self.state(), self.asked) {
            (State::Asked, Some(Question::Start)) => "PLACE",
            (state, _) => state.word(),
        }
    }
}

impl Line {
    /// A line with these ports, which waits for parts.
    #[must_use]
    pub fn new(names: &[String], about: About, now: Timestamp) -> Self {
        let port = |name: &String| Arc::new(Port { name: name.clone(), ..Port::default() });
        Self {
            about,
            begun: now,
            counts: Counts::default(),
            hub: None,
            ports: names.iter().map(port).collect(),
            is_of_ledger: false,
            ended: false,
            version: 0,
        }
    }

    /// Takes in what a ledger says of each port: its last run, if that is not long ago.
    pub fn take_runs(&mut self, runs: &[(String, Option<Run>)]) {
        let mut ports = Vec::new();
        for (number, (name, run)) in runs.iter().enumerate() {
            let mut port = Port { name: name.clone(), ..Port::default() };
            if let Some(run) = run {
                port.last = Ended::of_run(run);
                let running = Running { step: String::from("begun"), done: 0 };
                port.running = port.last.is_none().then_some(running);
            }
            let old = self.ports.get(number).filter(|old| old.name == *name);
            let seen = |port: &Port| (port.state(), port.last.as_ref().map(|ended| ended.attempt));
            match old {
                Some(old) if seen(old) == seen(&port) => ports.push(Arc::clone(old)),
                old => {
                    let is_failure = port.state() == State::Ended(Ending::Fail);
                    port.failed = old.map_or(0, |old| old.failed) + usize::from(is_failure);
                    port.version = self.version + 1;
                    ports.push(Arc::new(port));
                }
            }
        }
        let is_same = ports.len() == self.ports.len()
            && ports.iter().zip(&self.ports).all(|(new, old)| Arc::ptr_eq(new, old));
        if !is_same {
            self.version += 1;
            self.ports = ports;
        }
    }

    /// Takes what has happened in.
    pub fn take(&mut self, notice: &Notice, now: Timestamp) {
        match notice {
            Notice::Observed(port, observed) => self.observed(*port, observed),
            Notice::Begun(port) => self.change(*port, |port| {
                let running = Running { step: String::from("begun"), done: 0 };
                // A part that runs is on a port that is there.
                *port = Port {
                    running: Some(running),
                    name: std::mem::take(&mut port.name),
                    failed: port.failed,
                    ..Port::default()
                };
            }),
            Notice::Done(port, done) => {
                self.counts.count(done);
                self.change(*port, |port| {
                    let ended = Ended::of(done, now);
                    port.failed += usize::from(ended.result == Ending::Fail);
                    (port.running, port.asked, port.note) = (None, None, None);
                    port.last = Some(ended);
                });
            }
            Notice::Idle(port, time) => {
                let seconds = time.as_secs();
                self.note(
                    *port,
                    format!("No part for {seconds} s: start one, or check cable and image"),
                );
            }
            Notice::Noise(port, error) => self.note(*port, error.to_string()),
            Notice::Lost(port, error) => self.change(*port, |port| {
                (port.running, port.asked, port.note) = (None, None, None);
                port.lost = Some(error.to_string());
            }),
            Notice::Back(port) => self.change(*port, |port| port.lost = None),
            Notice::Asked(port, question) => {
                self.change(*port, |port| port.asked = Some(*question));
            }
            Notice::Taken(port) => {
                self.change(*port, |port| (port.asked, port.note) = (None, None));
            }
            Notice::NotTaken(port, reason) => self.note(*port, reason.clone()),
            Notice::Step(port, moment) => self.change(*port, |port| {
                let done = port.running.as_ref().map_or(0, |running| running.done);
                port.running = Some(Running { step: format!("step {moment}"), done });
            }),
            Notice::StepFailed(port, error) => self.note(*port, error.to_string()),
            Notice::GivenUp(port) => self.change(*port, |port| port.given_up = true),
            Notice::Hub(notice) => self.at_hub(notice),
        }
    }

    /// The batch is over.
    pub fn end(&mut self) {
        self.ended = true;
        self.version += 1;
    }

    fn observed(&mut self, port: usize, observed: &Observed) {
        if let Some((done, step)) = observed.step() {
            self.change(port, |port| {
                // What a part says behind its run is not a run.
                if let Some(running) = &mut port.running {
                    *running = Running { step: step.to_owned(), done };
                }
            });
        }
    }

    fn at_hub(&mut self, notice: &HubNotice) {
        self.version += 1;
        let hub = self.hub.get_or_insert_default();
        match notice {
            HubNotice::Away { .. } => hub.is_away = true,
            HubNotice::Back => hub.is_away = false,
            HubNotice::Pending(amount) => hub.pending = amount.parts,
            HubNotice::Conflict(_) => hub.conflicts += 1,
            HubNotice::Alarm(_) => hub.is_alarm = true,
        }
    }

    fn note(&mut self, port: usize, text: String) {
        self.change(port, |port| port.note = Some(text));
    }

    /// A page that reads the port at this moment keeps it as it was.
    fn change(&mut self, port: usize, change: impl FnOnce(&mut Port)) {
        self.version += 1;
        if let Some(port) = self.ports.get_mut(port) {
            let port = Arc::make_mut(port);
            change(port);
            port.version = self.version;
        }
    }
}

impl Ended {
    /// How a run of a ledger has ended, if it has.
    fn of_run(run: &Run) -> Option<Self> {
        let (outcome, link) = run.outcome().zip(run.ended.as_ref())?;
        let mut ueid = None;
        let (result, entry, failure, text) = match &outcome.end {
            End::Good(entry) if run.not_done => {
                let text = format!("Entered as {}, but the step on-pass has failed", entry.number);
                (Ending::Fail, Some(entry.number), None, text)
            }
            End::Good(entry) => {
                ueid = Some(entry.identity.ueid());
                (Ending::Pass, Some(entry.number), None, format!("Entered as {}", entry.number))
            }
            End::Known { seen, .. } => (Ending::Known, Some(*seen), None, TAKE_IT_OUT.to_owned()),
            End::Failed(failed) => (Ending::Fail, None, failed.failure, failed.text.clone()),
        };
        Some(Self {
            result,
            serial_number: run.serial_number().map(ToOwned::to_owned),
            text,
            failure,
            ueid,
            entry,
            attempt: run.begun.number,
            time: link.time,
        })
    }

    fn of(done: &Done, now: Timestamp) -> Self {
        let mut ueid = None;
        let (result, entry, failure, text) = match &done.verdict {
            Verdict::Good(Entered { receipt, identity }) => {
                ueid = Some(identity.ueid());
                (Ending::Pass, Some(receipt.number), None, format!("Entered as {}", receipt.number))
            }
            Verdict::Known(entry, _) => (Ending::Known, Some(*entry), None, TAKE_IT_OUT.to_owned()),
            Verdict::NotDone(Entered { receipt, .. }, error) => {
                let text = format!("Entered as {}, but {error}", receipt.number);
                (Ending::Fail, Some(receipt.number), None, text)
            }
            Verdict::Failed(error) => (Ending::Fail, None, error.failure(), error.at_port()),
        };
        Self {
            result,
            serial_number: done.serial_number.clone(),
            text,
            failure,
            ueid,
            entry,
            attempt: done.attempt,
            time: now,
        }
    }
}

/// What is done with a part that is known.
const TAKE_IT_OUT: &str = "Same part again: take it out";

/// How far a run is, in per cent.
#[must_use]
pub fn percent(done: u64) -> u64 {
    100 * done.min(RUN_STEPS) / RUN_STEPS
}
