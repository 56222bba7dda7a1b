// SPDX-License-Identifier: Apache-2.0

//! The thread that asks the hub.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use super::{LookUp, Shared, Times, Use};
use crate::hub::{Elsewhere, Sought};

/// What is asked at once, at most: more than a line has ports.
const GROUP: usize = 256;

/// Before a question is put again over a new connection.
const AGAIN: Duration = Duration::from_millis(50);

/// A question, until when somebody waits for the answer, and where that goes.
pub(super) struct Ask {
    pub sought: Sought,
    pub until: Instant,
    pub answer: SyncSender<Result<Option<Elsewhere>, String>>,
}

/// Answers what is asked until the batch is over. While the hub is away nobody asks, and it is tried from time to time.
pub(super) fn answer(
    mut hub: Box<dyn LookUp>,
    asks: &Receiver<Ask>,
    shared: &Shared,
    times: &Times,
) {
    let mut pause = times.pause;
    loop {
        let is_away = shared.away(Use::LookUp).is_some();
        let wait = if is_away { pause } else { times.interval };
        let first = match asks.recv_timeout(wait) {
            Ok(ask) => Some(ask),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let begun = Instant::now();
        let group = first.into_iter().chain(asks.try_iter().take(GROUP - 1));
        let group: Vec<_> = group.filter(|ask| begun < ask.until).collect();
        // With nothing to ask, it is seen whether the hub is there.
        let limit = if is_away { begun } else { begun + times.look_up };
        let until = group.iter().map(|ask| ask.until).min().unwrap_or(limit);
        let sought: Vec<_> = group.iter().map(|ask| ask.sought.clone()).collect();
        let result = loop {
            match hub.look_up(&sought) {
                // A connection that has broken since it was used last says nothing about the hub.
                Err(error) if error.is_transient() && Instant::now() + AGAIN < until => {
                    thread::sleep(AGAIN);
                }
                result => break result,
            }
        };
        let (away, answers) = match result {
            Ok(answers) if begun.elapsed() <= times.look_up => (None, Ok(answers)),
            // Nobody could wait for this, so the hub stays away.
            Ok(answers) => (shared.away(Use::LookUp), Ok(answers)),
            Err(error) => (Some(error.to_string()), Err(error.to_string())),
        };
        pause = if away.is_some() { (pause * 2).min(times.longest_pause) } else { times.pause };
        shared.set(Use::LookUp, away);
        let mut answers = answers.map(Vec::into_iter);
        for ask in group {
            let answer = match &mut answers {
                Ok(answers) => answers.next().map_or_else(|| Err(SHORT.to_owned()), Ok),
                Err(why) => Err(why.clone()),
            };
            // Whoever does not wait any more has decided without it.
            let _ = ask.answer.try_send(answer);
        }
    }
}

/// A hub that answers less than it was asked.
const SHORT: &str = "the hub has not answered every question";
