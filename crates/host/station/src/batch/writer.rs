// SPDX-License-Identifier: Apache-2.0

//! The thread that writes the ledger.

use std::sync::mpsc::{Receiver, SyncSender};

use super::uplink::{Amount, Desk};
use crate::ledger::{Kept, Ledger, LedgerError, New};

/// Requests that are carried out with one commit, at most, or with two. One commit costs a sync of the disk, however many.
pub const GROUP: usize = 64;

/// What the threads of the ports want of the ledger.
pub enum Request<'a> {
    /// To keep something. The answer is given when it is kept.
    Keep(New, Answer<'a>),
    /// To know which entry has a serial number.
    EntryOf(String, SyncSender<Option<u64>>),
}

type Answer<'a> = Box<dyn FnOnce(Kept) + Send + 'a>;

/// What is kept with one commit.
#[derive(Default)]
struct Group<'a> {
    news: Vec<New>,
    answers: Vec<Answer<'a>>,
}

impl<'a> Group<'a> {
    fn add(&mut self, new: New, answer: Answer<'a>) {
        self.news.push(new);
        self.answers.push(answer);
    }

    fn keep(self, ledger: &mut Ledger) -> Result<(), LedgerError> {
        if self.news.is_empty() {
            return Ok(());
        }
        let kept = ledger.append(&self.news)?;
        kept.into_iter().zip(self.answers).for_each(|(kept, answer)| answer(kept));
        Ok(())
    }
}

/// Carries out what comes until nothing can come any more.
pub fn write(
    ledger: &mut Ledger,
    requests: &Receiver<Request<'_>>,
    hub: Option<&Desk>,
) -> Result<(), LedgerError> {
    while let Ok(first) = requests.recv() {
        let group = std::iter::once(first).chain(requests.try_iter().take(GROUP - 1));
        let (mut begun, mut others) = (Group::default(), Group::default());
        for request in group {
            match request {
                // A run that begins need not wait for the disk, on which one that has ended may have to.
                Request::Keep(new @ New::Attempt(_), answer) => begun.add(new, answer),
                Request::Keep(new, answer) => others.add(new, answer),
                Request::EntryOf(text, answer) => {
                    // Who does not listen any more does not need it.
                    let _ = answer.send(ledger.entry_of_serial_number(&text)?);
                }
            }
        }
        begun.keep(ledger)?;
        let is_synced = !others.news.is_empty();
        others.keep(ledger)?;
        // Attempts alone are not sent: a loss of power may take them.
        if let Some(hub) = hub.filter(|_| is_synced) {
            hub.kept(Amount::of(ledger)?);
        }
    }
    Ok(())
}
