// SPDX-License-Identifier: Apache-2.0

//! What a page has read of one ledger, link by link from the first one: the figures of its runs, and what it takes to
//! show one of them. It is in memory without consoles and records. The hash of each link is kept, so that a run that is
//! looked up later is known to be in the chain.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::ledger::{End, Fact, Link, Program, Receipt, Run, Runs, Text};

/// Runs that are kept in memory for figures and lists, the last ones of all ledgers together: a day of 64 ports that take
/// a minute for each part.
pub const RUNS: usize = 100_000;

/// What was read of a ledger.
pub struct Book {
    /// Which ledger of a hub it is; `None` for the one ledger of a station.
    pub place: Option<Place>,
    /// The last link that was read.
    pub head: Receipt,
    /// Its time.
    pub time: Option<Timestamp>,
    /// The hash of each link that was read, the first one's first.
    hashes: Vec<[u8; 32]>,
    /// Of each link that ends a run, or is of a command around it: the run's attempt, and its own number.
    beside: Vec<(u64, u64)>,
    open: Runs,
    /// The last runs, in the order in which they have ended.
    runs: VecDeque<Run>,
    /// Commands around them.
    programs: VecDeque<Program>,
    /// When the last run began that was dropped from memory.
    dropped: Option<Timestamp>,
    /// Entries.
    pub entries: u64,
    /// Entries that were withdrawn.
    pub withdrawn: u64,
    /// Runs that have ended, in memory or not.
    pub ended: u64,
}

/// Which ledger of a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number at the hub.
    pub ledger: i32,
    /// The first of the ledgers that it continues, one after the other: all of them have the same runs. Its own number
    /// where it continues none.
    pub root: i32,
    /// The role that pushes it, which is the name of the station at the hub.
    pub role: Arc<str>,
}

/// A run, and where it is.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Which ledger of a hub has it.
    pub place: Option<Place>,
    /// The run.
    pub run: Run,
}

/// A run with everything around it.
pub struct Whole {
    /// The run.
    pub run: Run,
    /// The commands around it.
    pub programs: Vec<Program>,
}

/// A link is another one than was read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed(pub u64);

impl Book {
    /// A ledger that nothing was read of. Its first link has `origin` as the hash of the one before it.
    pub fn new(place: Option<Place>, origin: [u8; 32]) -> Self {
        Self {
            place,
            head: Receipt { number: 0, hash: origin },
            time: None,
            hashes: Vec::new(),
            beside: Vec::new(),
            open: Runs::default(),
            runs: VecDeque::new(),
            programs: VecDeque::new(),
            dropped: None,
            entries: 0,
            withdrawn: 0,
            ended: 0,
        }
    }

    /// Takes the link that follows the last one.
    pub fn take(&mut self, link: Link) {
        let Link { number, hash, time, .. } = link;
        self.head = Receipt { number, hash };
        self.time = Some(time);
        self.hashes.push(hash);
        self.entries += u64::from(link.entry().is_some());
        match &link.fact {
            Fact::Outcome(outcome) => self.beside.push((outcome.attempt, number)),
            Fact::Program(program) => self.beside.push((program.attempt, number)),
            Fact::Withdrawal(_) => self.withdrawn += 1,
            Fact::Attempt(_) | Fact::Export(_) => {}
        }
        if let Some(mut run) = self.open.take(&link) {
            self.ended += 1;
            strip(&mut run);
            self.runs.push_back(run);
        } else if let Fact::Program(mut program) = link.fact {
            if program.step == "on-pass"
                && !program.succeeded
                && let Some(run) = self.run_mut(program.attempt)
            {
                run.not_done = true;
            }
            (program.output, program.command) = (Text::default(), String::new());
            self.programs.push_back(program);
        }
    }

    fn run_mut(&mut self, attempt: u64) -> Option<&mut Run> {
        self.runs.iter_mut().rev().find(|run| run.begun.number == attempt)
    }

    /// The hash of a link that was read.
    pub fn hash_at(&self, number: u64) -> Option<[u8; 32]> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        self.hashes.get(place).copied()
    }

    /// The links of a run: its attempt, its outcome and its commands, as far as they were read.
    pub fn links_of(&self, attempt: u64) -> Vec<u64> {
        let later = self.beside.partition_point(|(_, link)| *link < attempt);
        let beside = self.beside[later..].iter().filter(|(of, _)| *of == attempt);
        [attempt].into_iter().chain(beside.map(|(_, link)| *link)).collect()
    }

    /// The run that these links are of, if they are those that were read; `None` where there is no such run.
    pub fn whole(&self, links: Vec<Link>) -> Result<Option<Whole>, Changed> {
        let (mut begun, mut ended, mut programs) = (None, None, Vec::new());
        for link in links {
            match self.hash_at(link.number) {
                Some(hash) if hash == link.hash => {}
                // It was appended since.
                None => continue,
                Some(_) => return Err(Changed(link.number)),
            }
            match &link.fact {
                Fact::Attempt(_) => begun = Some(link),
                Fact::Outcome(_) => ended = Some(link),
                Fact::Program(program) => programs.push(program.clone()),
                _ => {}
            }
        }
        let not_done =
            programs.iter().any(|program| program.step == "on-pass" && !program.succeeded);
        Ok(begun.map(|begun| Whole { run: Run { begun, ended, not_done }, programs }))
    }

    /// The runs that are in memory, in the order in which they have ended.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.runs.iter()
    }

    /// The runs that go on, or were cut off.
    pub fn open(&self) -> impl Iterator<Item = Run> {
        self.open.open().cloned().map(Run::unfinished)
    }

    /// Commands around runs that are in memory.
    pub fn programs(&self) -> impl Iterator<Item = &Program> {
        self.programs.iter()
    }

    /// Whether runs that began at this time or later are not in memory any more. `None`: at any time.
    pub fn is_cut(&self, since: Option<Timestamp>) -> bool {
        self.dropped.is_some_and(|dropped| since.is_none_or(|since| dropped >= since))
    }

    /// The last run of each port, and the ones that go on, newer than this.
    pub fn last_of_ports(&self, age: SignedDuration, now: Timestamp) -> Vec<(String, Option<Run>)> {
        let mut ports: Vec<(String, Option<Run>)> = Vec::new();
        let open: Vec<_> = self.open().collect();
        for run in self.runs.iter().chain(&open) {
            let port = &run.attempt().port;
            let time = run.ended.as_ref().unwrap_or(&run.begun).time;
            let run = (now.duration_since(time) < age).then(|| run.clone());
            match ports.iter_mut().find(|(name, _)| name == port) {
                Some((_, last)) => *last = run,
                None => ports.push((port.clone(), run)),
            }
        }
        ports.sort_by(|(a, _), (b, _)| a.cmp(b));
        ports
    }

    fn oldest(&self) -> Option<Timestamp> {
        self.runs.front().map(|run| run.begun.time)
    }

    fn drop_oldest(&mut self) {
        self.dropped = self.runs.pop_front().map(|run| run.begun.time).max(self.dropped);
        let first = self.runs.front().map_or(u64::MAX, |run| run.begun.number);
        while self.programs.front().is_some_and(|program| program.attempt < first) {
            self.programs.pop_front();
        }
    }
}

/// Drops the oldest runs of all from memory, until no more than so many are there.
pub fn trim(books: &mut [&mut Book], most: usize) {
    let mut runs: usize = books.iter().map(|book| book.runs.len()).sum();
    while runs > most {
        // Of two that have the same run, the one that is continued drops it first, so that it is not seen twice.
        let oldest = books.iter_mut().filter(|book| !book.runs.is_empty());
        let Some(book) = oldest.min_by_key(|book| book.oldest()) else { return };
        book.drop_oldest();
        runs -= 1;
    }
}

/// What the figures do not need takes most of the memory.
fn strip(run: &mut Run) {
    if let Some(Link { fact: Fact::Outcome(outcome), .. }) = &mut run.ended {
        outcome.console = Text::default();
        if let End::Good(entry) = &mut outcome.end {
            entry.record = Vec::new();
        }
    }
}
