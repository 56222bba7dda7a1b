// SPDX-License-Identifier: Apache-2.0

//! The thread that sends what was kept.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::thread;
use std::time::Instant;

use super::{HubNotice, Phase, Push, Shared, Times, Use};

/// Sends what is kept until the batch is over, and once more then.
pub(super) fn send(hub: Box<dyn Push>, shared: &Shared, times: &Times) {
    let mut sending = Sending { hub, shared, told: HashSet::new() };
    let mut pause = times.pause;
    let mut next = Instant::now();
    let mut next_conflicts = next;
    sending.count();
    loop {
        let why = shared.wait_until(next);
        if matches!(why, Why::Kept) {
            thread::sleep(times.gather);
        }
        let is_over = matches!(why, Why::Over);
        let result = sending.push();
        sending.count();
        match result {
            Pushed::Sent => {
                pause = times.pause;
                next = Instant::now() + times.interval;
                if is_over || Instant::now() >= next_conflicts {
                    sending.conflicts();
                    next_conflicts = Instant::now() + times.pause;
                }
            }
            Pushed::Away => {
                next = Instant::now() + pause;
                pause = (pause * 2).min(times.longest_pause);
            }
            Pushed::Alarm => {}
        }
        if is_over || matches!(result, Pushed::Alarm) {
            shared.state().phase = Phase::Closed;
            shared.changed.notify_all();
            return;
        }
    }
}

/// Why there is something to do.
enum Why {
    /// Something was kept.
    Kept,
    /// It is time.
    Time,
    /// The batch is over.
    Over,
}

/// What came of a push.
enum Pushed {
    Sent,
    Away,
    Alarm,
}

impl Shared {
    /// Waits until there is something to do, at the latest at `next`.
    fn wait_until(&self, next: Instant) -> Why {
        let mut state = self.state();
        loop {
            let rest = next.saturating_duration_since(Instant::now());
            let why = if state.phase == Phase::Closing {
                Why::Over
            } else if rest.is_zero() {
                Why::Time
            } else if state.kept && state.away[Use::Push as usize].is_none() {
                Why::Kept
            } else {
                let waited = self.changed.wait_timeout(state, rest);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            };
            state.kept = false;
            return why;
        }
    }
}

struct Sending<'a> {
    hub: Box<dyn Push>,
    shared: &'a Shared,
    /// Conflicts that the operator knows: the own entry, the other station, and its entry.
    told: HashSet<(u64, String, u64)>,
}

impl Sending<'_> {
    fn push(&mut self) -> Pushed {
        match self.hub.push() {
            Ok(()) => {
                self.shared.set(Use::Push, None);
                Pushed::Sent
            }
            Err(error) if error.is_loss() => {
                self.shared.alarm(error);
                Pushed::Alarm
            }
            Err(error) => {
                self.shared.set(Use::Push, Some(error.to_string()));
                Pushed::Away
            }
        }
    }

    fn count(&mut self) {
        // Where the ledger cannot be read, the next push says so.
        if let Ok(at_hub) = self.hub.at_hub() {
            self.shared.count(|state| state.at_hub = at_hub);
        }
    }

    fn conflicts(&mut self) {
        // If the hub has gone in between, the next push says so.
        for conflict in self.hub.conflicts().unwrap_or_default() {
            let other = &conflict.other;
            if self.told.insert((conflict.entry, other.station.clone(), other.entry)) {
                self.shared.say(HubNotice::Conflict(Box::new(conflict)));
            }
        }
    }
}
