// SPDX-License-Identifier: Apache-2.0

//! The thread that writes the ledger.

use std::sync::mpsc::{Receiver, SyncSender};

use crate::ledger::{Kept, Ledger, LedgerError, New};

/// Requests that are carried out with one commit, at most. One commit costs a sync of the disk, however many.
pub const GROUP: usize = 64;

/// What the threads of the ports want of the ledger.
pub enum Request<'a> {
    /// To keep something. The answer is given when it is kept.
    Keep(New, Box<dyn FnOnce(Kept) + Send + 'a>),
    /// To know which entry has a serial number.
    EntryOf(String, SyncSender<Option<u64>>),
}

/// Carries out what comes until nothing can come any more.
pub fn write(ledger: &mut Ledger, requests: &Receiver<Request<'_>>) -> Result<(), LedgerError> {
    while let Ok(first) = requests.recv() {
        let group = std::iter::once(first).chain(requests.try_iter().take(GROUP - 1));
        let (mut news, mut answers) = (Vec::new(), Vec::new());
        for request in group {
            match request {
                Request::Keep(new, answer) => {
                    news.push(new);
                    answers.push(answer);
                }
                Request::EntryOf(text, answer) => {
                    // Who does not listen any more does not need it.
                    let _ = answer.send(ledger.entry_of_serial_number(&text)?);
                }
            }
        }
        if news.is_empty() {
            continue;
        }
        for (kept, answer) in ledger.append(&news)?.into_iter().zip(answers) {
            answer(kept);
        }
    }
    Ok(())
}
