// SPDX-License-Identifier: Apache-2.0

//! The hub beside a batch: it is asked whether another station has a part before the part is entered, and is sent what
//! was kept.
//!
//! Two threads talk to it, each over a connection of its own. One asks: ports that want to know at the same time are
//! answered together, and none waits for longer than [`Times::look_up`]. After that the hub counts as away, and nobody
//! waits for it until it is back. The other one sends. A batch does not wait for either when it is over, but for
//! [`Times::end`]: what is then on its way is at the hub as a whole or not at all, and the next push goes on from there.

mod look_ups;
mod pushes;

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::hub::{Elsewhere, HubError, OwnConflict, Sought};
use crate::ledger::{Ledger, LedgerError};
use crate::part::PartError;
use look_ups::Ask;

/// Asks a hub, over a connection of its own.
pub trait LookUp: Send {
    /// Whether other stations have these, an answer for each in their order. With none, whether the hub answers.
    ///
    /// # Errors
    /// The hub cannot be asked.
    fn look_up(&mut self, sought: &[Sought]) -> Result<Vec<Option<Elsewhere>>, HubError>;
}

/// Sends a ledger to a hub, over connections of its own to both.
pub trait Push: Send {
    /// Sends what the hub lacks.
    ///
    /// # Errors
    /// The hub cannot be used, or contradicts the ledger.
    fn push(&mut self) -> Result<(), HubError>;

    /// What the hub is known to have, without asking it.
    ///
    /// # Errors
    /// The ledger cannot be read.
    fn at_hub(&mut self) -> Result<Amount, HubError>;

    /// The parts of the ledger that another station claims, too.
    ///
    /// # Errors
    /// The hub cannot be asked.
    fn conflicts(&mut self) -> Result<Vec<OwnConflict>, HubError>;
}

/// How much of a ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Entries.
    pub parts: u64,
    /// Links, those of the entries among them.
    pub links: u64,
}

impl Amount {
    /// All of a ledger.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn of(ledger: &Ledger) -> Result<Self, LedgerError> {
        Ok(Self { parts: ledger.entries()?, links: ledger.kept_head()?.number })
    }
}

/// The hub of a batch.
pub struct Uplink {
    /// Asks it.
    pub look_ups: Box<dyn LookUp>,
    /// Sends what was kept.
    pub pushes: Box<dyn Push>,
    /// Whether nothing is entered while the hub cannot be asked. Else it is entered, and sent later.
    pub is_required: bool,
    /// Why the hub cannot be reached, where that is known before the batch begins.
    pub away: Option<String>,
    /// How long it is waited for.
    pub times: Times,
}

/// How long a hub is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// For an answer about a part. It is in the time of a run, and an operator waits for it.
    pub look_up: Duration,
    /// For more to send, when something was kept.
    pub gather: Duration,
    /// Until it is looked whether there is something to send or to learn, though nothing was kept.
    pub interval: Duration,
    /// Before another try, when the hub is away. Each next pause is twice as long.
    pub pause: Duration,
    /// As long as a pause gets.
    pub longest_pause: Duration,
    /// For what is still to be sent, when the batch is over.
    pub end: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            look_up: Duration::from_secs(2),
            gather: Duration::from_millis(200),
            interval: Duration::from_secs(10),
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
            end: Duration::from_secs(10),
        }
    }
}

/// What [`super::Notice::Hub`] reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubNotice {
    /// The hub cannot be used. It is said once, until it is back.
    Away {
        /// The reason.
        why: String,
        /// Whether the hub is required, so that no run begins any more.
        ends_batch: bool,
    },
    /// The hub is back.
    Back,
    /// So much is to be sent.
    Pending(Amount),
    /// Another station claims a part of this ledger, too. Each is said once.
    Conflict(Box<OwnConflict>),
    /// The hub contradicts the ledger, or the ledger is damaged. Nothing is entered any more.
    Alarm(String),
}

/// What a thread says to the batch.
enum Said {
    Notice(HubNotice),
    /// The batch is over.
    Over,
}

/// What the hub is used for. One may be possible without the other.
#[derive(Clone, Copy)]
enum Use {
    LookUp,
    Push,
}

/// What the threads know of the hub.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    said: Sender<Said>,
    is_required: bool,
}

#[derive(Default)]
struct State {
    /// For each use, why it is not possible.
    away: [Option<String>; 2],
    /// Why nothing may be entered any more.
    alarm: Option<HubError>,
    /// What is in the ledger for good.
    ledger: Amount,
    /// What of it the hub has.
    at_hub: Amount,
    /// What the operator was last told of the difference.
    pending: Option<Amount>,
    /// There may be more to send.
    kept: bool,
    /// Why the batch ends, where the hub is required.
    no_hub: Option<String>,
    phase: Phase,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// The batch goes on.
    #[default]
    Open,
    /// It is over, and what is left is sent.
    Closing,
    /// What could be sent was.
    Closed,
}

impl Shared {
    /// It is whole at every moment, even if a thread has panicked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, notice: HubNotice) {
        // A batch that is over does not listen any more.
        let _ = self.said.send(Said::Notice(notice));
    }

    fn away(&self, what: Use) -> Option<String> {
        self.state().away[what as usize].clone()
    }

    /// Whether the hub can be used for this, or why not. The operator hears only of what changes.
    fn set(&self, what: Use, away: Option<String>) {
        let mut state = self.state();
        let before = state.away.iter().any(Option::is_some);
        state.away[what as usize] = away;
        let reason = state.away.iter().flatten().next().cloned();
        match (before, reason) {
            (false, Some(why)) => {
                // What runs was finished with the hub's help.
                let ends_batch = self.is_required && state.phase == Phase::Open;
                if ends_batch {
                    state.no_hub.get_or_insert_with(|| why.clone());
                }
                self.say(HubNotice::Away { why, ends_batch });
            }
            (true, None) => self.say(HubNotice::Back),
            _ => {}
        }
    }

    /// Changes what is known, and says how much is still to be sent, where that has changed.
    fn count(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let State { ledger, at_hub, .. } = *state;
        let pending = Amount {
            parts: ledger.parts.saturating_sub(at_hub.parts),
            links: ledger.links.saturating_sub(at_hub.links),
        };
        if state.pending.replace(pending) != Some(pending) {
            self.say(HubNotice::Pending(pending));
        }
    }

    /// Whoever hears of it finds it set.
    fn alarm(&self, error: HubError) {
        let text = error.to_string();
        self.state().alarm = Some(error);
        self.say(HubNotice::Alarm(text));
    }
}

/// What the threads of a batch have of the hub.
pub(super) struct Desk {
    shared: Arc<Shared>,
    asks: Sender<Ask>,
    times: Times,
}

/// What the threads of the hub say, until the desk is closed.
pub(super) struct Mail(Receiver<Said>);

impl Desk {
    /// Has threads of their own talk to the hub. They are not waited for when they hang: a hub that is silent does not
    /// keep the station from ending. So much is in the ledger.
    pub fn open(uplink: Uplink, ledger: Amount) -> (Self, Mail) {
        let Uplink { look_ups, pushes, is_required, away, times } = uplink;
        let (said, mail) = mpsc::channel();
        let state = Mutex::new(State { ledger, ..State::default() });
        let changed = Condvar::new();
        let shared = Arc::new(Shared { state, changed, said, is_required });
        shared.set(Use::LookUp, away.clone());
        shared.set(Use::Push, away);
        let (asks, asked) = mpsc::channel();
        let theirs = Arc::clone(&shared);
        thread::spawn(move || look_ups::answer(look_ups, &asked, &theirs, &times));
        let theirs = Arc::clone(&shared);
        thread::spawn(move || pushes::send(pushes, &theirs, &times));
        (Self { shared, asks, times }, Mail(mail))
    }

    /// Whether this may be entered, as far as the hub can say in time.
    ///
    /// # Errors
    /// Another station has it; or, with [`PartError::NoHub`], the hub cannot be asked and has to be, or nothing may be
    /// entered any more: then no run may begin, either.
    pub fn may_enter(&self, sought: Sought) -> Result<(), PartError> {
        let found = self.look_up(sought);
        if self.shared.state().alarm.is_some() {
            let why = "the ledger and the hub contradict each other";
            return Err(PartError::NoHub(why.to_owned()));
        }
        match found {
            Ok(Some(elsewhere)) => Err(PartError::Elsewhere(Box::new(elsewhere))),
            Err(why) if self.shared.is_required => {
                self.shared.state().no_hub.get_or_insert_with(|| why.clone());
                Err(PartError::NoHub(why))
            }
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// What another station has of this, or why the hub cannot say it now.
    pub fn look_up(&self, sought: Sought) -> Result<Option<Elsewhere>, String> {
        if let Some(why) = self.shared.away(Use::LookUp) {
            return Err(why);
        }
        let limit = self.times.look_up;
        let (send, answer) = mpsc::sync_channel(1);
        let ask = Ask { sought, until: Instant::now() + limit, answer: send };
        let asked = self.asks.send(ask).ok().and_then(|()| answer.recv_timeout(limit).ok());
        asked.unwrap_or_else(|| {
            let why = format!("the hub has not answered for {} seconds", limit.as_secs_f32());
            self.shared.set(Use::LookUp, Some(why.clone()));
            Err(why)
        })
    }

    /// So much is in the ledger now, for good.
    pub fn kept(&self, ledger: Amount) {
        self.shared.count(|state| (state.ledger, state.kept) = (ledger, true));
        self.shared.changed.notify_all();
    }

    /// Sends what is still to be sent, as far as that does not take too long.
    pub fn close(&self) {
        let shared = &self.shared;
        let mut state = shared.state();
        // One that is away is tried once more.
        let is_away = state.away.iter().any(Option::is_some);
        let limit = if is_away { self.times.look_up } else { self.times.end };
        let until = Instant::now() + limit;
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
        }
        shared.changed.notify_all();
        while state.phase == Phase::Closing && Instant::now() < until {
            let rest = until.saturating_duration_since(Instant::now());
            let waited = shared.changed.wait_timeout(state, rest);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        let _ = shared.said.send(Said::Over);
    }

    /// Why nothing may be entered any more, if that is so.
    pub fn alarm(&self) -> Option<HubError> {
        self.shared.state().alarm.take()
    }

    /// Why the hub, which is required, has ended the batch, if it has.
    pub fn no_hub(&self) -> Option<String> {
        self.shared.state().no_hub.take()
    }
}

impl Mail {
    /// Hands on what the threads of the hub say, until the desk is closed.
    pub fn each(self, mut on_notice: impl FnMut(HubNotice)) {
        for said in self.0 {
            match said {
                Said::Notice(notice) => on_notice(notice),
                Said::Over => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Alarm;

    /// A hub that has no other station's part, and another link than the ledger.
    struct Contradicts;

    impl LookUp for Contradicts {
        fn look_up(&mut self, sought: &[Sought]) -> Result<Vec<Option<Elsewhere>>, HubError> {
            Ok(vec![None; sought.len()])
        }
    }

    impl Push for Contradicts {
        fn push(&mut self) -> Result<(), HubError> {
            Err(Alarm::Fork { number: 1, here: [1; 32], there: [2; 32] }.into())
        }

        fn at_hub(&mut self) -> Result<Amount, HubError> {
            Ok(Amount::default())
        }

        fn conflicts(&mut self) -> Result<Vec<OwnConflict>, HubError> {
            Ok(Vec::new())
        }
    }

    /// Also while the batch has not stopped yet.
    #[test]
    fn nothing_may_be_entered_after_an_alarm_though_the_hub_answers() {
        let uplink = Uplink {
            look_ups: Box::new(Contradicts),
            pushes: Box::new(Contradicts),
            is_required: false,
            away: None,
            times: Times::default(),
        };
        let (desk, mail) = Desk::open(uplink, Amount { parts: 1, links: 2 });
        assert!(mail.0.iter().any(|said| matches!(said, Said::Notice(HubNotice::Alarm(_)))));
        let sought = Sought { identity: None, serial_number: Some(String::from("SN-1")) };
        assert_eq!(desk.look_up(sought.clone()), Ok(None));
        let found = desk.may_enter(sought);
        assert!(matches!(found, Err(PartError::NoHub(_))), "{found:?}");
    }
}
