// SPDX-License-Identifier: Apache-2.0

//! A ledger's file on a page: what was read of it, what the hub has acknowledged of it, and its last checkpoint.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::book::{Book, Changed, RUNS, Shown, Whole, trim};
use super::source::{GO, Kind, Source, Unread};
use crate::hub;
use crate::ledger::{GENESIS, Ledger, LedgerError, PartName, Receipt};

/// Where else something of a ledger is kept.
#[derive(Clone, Debug, Default)]
pub struct Copies {
    /// The name of the hub that it is pushed to ([`hub::Config`]'s `Display`), where there is one.
    pub hub: Option<String>,
    /// The file of its last checkpoint.
    pub checkpoint: Option<PathBuf>,
}

/// A ledger, and what was read of it. It reads on from where it was.
pub struct OfLedger {
    ledger: Ledger,
    copies: Copies,
    pub book: Book,
    /// Why nothing more is read: the ledger is not good.
    problem: Option<String>,
}

/// How far the reading is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Everything was read.
    Done,
    /// So many links of so many.
    Goes(u64, u64),
    /// It cannot be read now, or is not good.
    Stopped {
        /// Why.
        text: String,
        /// Whether the ledger is not good.
        is_damage: bool,
    },
    /// The hub cannot be read.
    Away {
        /// Since when.
        since: Timestamp,
        /// Why.
        text: String,
    },
}

/// What is said of the ledger itself.
pub struct Facts {
    /// The last link that was read.
    pub head: Receipt,
    /// Entries.
    pub entries: u64,
    /// Runs that have ended.
    pub ended: u64,
    /// What the hub has.
    pub pushed: Pushed,
    /// What the station has signed.
    pub signed: Signed,
    /// Who signs it, as a verifier key.
    pub verifier: Option<String>,
}

/// What the hub has acknowledged of a ledger.
#[derive(Debug, PartialEq, Eq)]
pub enum Pushed {
    /// No hub is named, and none has ever had it.
    NoHub,
    /// No hub is named, and this one has acknowledged a link of this number.
    NotNamed(String, u64),
    /// This hub has acknowledged it so far.
    Until {
        /// The hub.
        hub: String,
        /// The last link that it has acknowledged; 0 where none is known.
        last: u64,
        /// Links behind that one.
        links: u64,
        /// Entries in those.
        parts: u64,
    },
    /// This hub has acknowledged a link of this number that the ledger does not have.
    Contradicts(String, u64),
    /// It is not known.
    Unknown(String),
}

/// What the station has signed of a ledger, last.
#[derive(Debug, PartialEq, Eq)]
pub enum Signed {
    /// The ledger has no station key.
    NoKey,
    /// No file is named.
    NoFile,
    /// None was written to this file.
    NotYet(PathBuf),
    /// Up to this link.
    Until {
        /// Its number; 0 where the ledger had none.
        number: u64,
        /// Its time.
        time: Option<Timestamp>,
        /// Links behind it.
        beyond: u64,
    },
    /// It proves nothing, or contradicts the ledger.
    Problem(String),
}

impl OfLedger {
    /// A ledger that nothing was read of.
    pub fn new(ledger: Ledger, copies: Copies) -> Self {
        // What cannot be read is said by the first reading.
        let origin = ledger.hash_at(0).ok().flatten().unwrap_or(GENESIS);
        Self { ledger, copies, book: Book::new(None, origin), problem: None }
    }

    /// Reads on, for so long at most.
    pub fn read(&mut self, time: Duration) -> Reading {
        let begin = Instant::now();
        loop {
            if let Some(problem) = &self.problem {
                return Reading::Stopped { text: problem.clone(), is_damage: true };
            }
            match self.read_some() {
                Ok(true) => return Reading::Done,
                Ok(false) if begin.elapsed() < time => {}
                Ok(false) => {
                    let read = self.book.head.number;
                    let all = self.last().unwrap_or(read);
                    return Reading::Goes(read, all);
                }
                Err(unread) => {
                    let Unread { text, kind } = self.seen(unread);
                    return Reading::Stopped { text, is_damage: kind == Kind::Damage };
                }
            }
        }
    }

    /// Reads one go; whether that was all.
    fn read_some(&mut self) -> Result<bool, Unread> {
        let links = Source::follow(&mut self.ledger, self.book.head)?;
        let is_all = links.len() < GO as usize;
        for link in links {
            self.book.take(link);
        }
        trim(&mut [&mut self.book], RUNS);
        Ok(is_all)
    }

    /// A ledger that was damaged stays so.
    fn seen(&mut self, unread: Unread) -> Unread {
        if unread.kind == Kind::Damage {
            self.problem = Some(unread.text.clone());
        }
        unread
    }

    /// The last link that is in the file, read or not.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last(&self) -> Result<u64, LedgerError> {
        self.ledger.head().map(|head| head.number)
    }

    /// The runs of a part, in the whole ledger, the newest first.
    ///
    /// # Errors
    /// The file cannot be read, or a run is not that of the chain.
    pub fn runs_of(&mut self, text: &str) -> Result<Vec<Shown>, Unread> {
        let mut attempts = Vec::new();
        for name in PartName::all_of(text) {
            attempts.extend(self.ledger.attempts_of(&name)?);
        }
        attempts.sort_unstable_by(|a, b| b.cmp(a));
        attempts.dedup();
        let mut runs = Vec::new();
        for attempt in attempts {
            let whole = self.whole(attempt)?;
            runs.extend(whole.map(|whole| Shown { place: None, run: whole.run }));
        }
        Ok(runs)
    }

    /// A run with its console and what the commands around it have printed. `None` where it was not read.
    ///
    /// # Errors
    /// The file cannot be read, or a link of it is not that of the chain.
    pub fn whole(&mut self, attempt: u64) -> Result<Option<Whole>, Unread> {
        let links = Source::links_at(&mut self.ledger, &self.book.links_of(attempt))
            .map_err(|unread| self.seen(unread))?;
        let whole = self.book.whole(links);
        whole.map_err(|Changed(link)| {
            let error = self.ledger.other_than_read(link);
            self.seen(error.into())
        })
    }

    /// What is said of the ledger itself.
    pub fn facts(&self) -> Facts {
        let verifier = self.ledger.origin().ok().and_then(|origin| origin.verifier());
        let unknown = |error: LedgerError| error.to_string();
        Facts {
            head: self.book.head,
            entries: self.book.entries,
            ended: self.book.ended,
            pushed: self.pushed().unwrap_or_else(|error| Pushed::Unknown(error.to_string())),
            signed: match verifier {
                Some(_) => self.signed().map_err(unknown).unwrap_or_else(Signed::Problem),
                None => Signed::NoKey,
            },
            verifier: verifier.map(|verifier| verifier.to_string()),
        }
    }

    fn pushed(&self) -> Result<Pushed, hub::HubError> {
        // Before the ledger, to which a station may append meanwhile.
        let anywhere = hub::sent_anywhere(&self.ledger)?;
        let Some(name) = &self.copies.hub else {
            return Ok(match anywhere {
                Some((name, last)) => Pushed::NotNamed(name, last.number),
                None => Pushed::NoHub,
            });
        };
        let name = name.clone();
        let last = match anywhere.filter(|(of, _)| *of == name) {
            Some((_, sent)) if self.ledger.hash_at(sent.number)? != Some(sent.hash) => {
                return Ok(Pushed::Contradicts(name, sent.number));
            }
            sent => sent.map_or(0, |(_, sent)| sent.number),
        };
        let links = self.last()?.saturating_sub(last);
        let before = if last == 0 { 0 } else { self.ledger.entries_up_to(last)? };
        let parts = self.ledger.entries()?.saturating_sub(before);
        Ok(Pushed::Until { hub: name, last, links, parts })
    }

    fn signed(&self) -> Result<Signed, LedgerError> {
        let Some(file) = &self.copies.checkpoint else { return Ok(Signed::NoFile) };
        // Before the ledger, as above.
        let note = match fs::read(file) {
            Ok(note) => note,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Signed::NotYet(file.clone()));
            }
            Err(error) => return Err(LedgerError::Io(file.clone(), error)),
        };
        let Receipt { number, hash } = match self.ledger.check_checkpoint(&note)? {
            Ok(checkpoint) => checkpoint.head,
            Err(problem) => return Ok(Signed::Problem(problem.to_string())),
        };
        // What was read is what counts, where that was read.
        if self.book.hash_at(number).is_some_and(|read| read != hash) {
            return Err(self.ledger.other_than_read(number));
        }
        let link = self.ledger.links_at(&[number])?.pop().filter(|link| link.hash == hash);
        Ok(Signed::Until {
            number,
            time: link.map(|link| link.time),
            beyond: self.last()?.saturating_sub(number),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::shift::{Filter, Shift};
    use super::*;
    use crate::ledger::{Attempt, Begun, Failed, New, NewEnd, NewOutcome};
    use crate::transcript::Transcript;

    fn failed() -> New {
        New::Outcome(Box::new(NewOutcome {
            attempt: Begun::Now(Attempt { port: "left".into(), ..Attempt::default() }),
            end: NewEnd::Failed(Failed::default()),
            serial_number: None,
            image: None,
            steps: Vec::new(),
            console: Transcript::default(),
        }))
    }

    /// A ledger of so many runs, of two links each.
    fn ledger(runs: u64) -> (tempfile::TempDir, OfLedger) {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open_or_create(&folder.path().join("ledger.db")).unwrap();
        ledger.append(&(0..runs).map(|_| failed()).collect::<Vec<_>>()).unwrap();
        (folder, OfLedger::new(ledger, Copies::default()))
    }

    fn shift(of: &OfLedger) -> Shift {
        Shift::of([&of.book], &Filter::default(), 3)
    }

    #[test]
    fn a_long_ledger_is_read_in_pieces() {
        let runs = u64::from(GO) / 2 + 1;
        let (_folder, mut of) = ledger(runs);
        assert_eq!(of.read(Duration::ZERO), Reading::Goes(u64::from(GO), 2 * runs));
        assert_eq!(shift(&of).stats.failed, runs - 1);
        assert_eq!(of.read(Duration::ZERO), Reading::Done);
        let shift = shift(&of);
        assert_eq!((shift.stats.failed, of.book.ended, shift.last.len()), (runs, runs, 3));
        assert_eq!(of.book.head, of.ledger.head().unwrap());
    }

    #[test]
    fn the_oldest_runs_leave_the_memory_and_the_figures_say_so() {
        let (_folder, mut of) = ledger(20);
        of.read(Duration::MAX);
        trim(&mut [&mut of.book], 20);
        assert!(!shift(&of).is_cut);
        trim(&mut [&mut of.book], 15);
        let cut = shift(&of);
        assert!(cut.is_cut);
        assert_eq!((cut.stats.failed, of.book.ended), (15, 20));
        // What was dropped is still found: its links are known.
        assert_eq!(of.whole(1).unwrap().unwrap().run.begun.number, 1);
        let later = Some(Timestamp::now());
        let filter = Filter { since: later, ..Filter::default() };
        assert!(!Shift::of([&of.book], &filter, 3).is_cut, "they began before it");
    }
}
