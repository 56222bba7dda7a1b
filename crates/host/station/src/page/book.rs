// SPDX-License-Identifier: Apache-2.0

//! What the page has read of a ledger. It reads on from where it was, and every link is verified on the way
//! ([`Ledger::follow`]); the hash of each is kept, so that a run that is looked up later is known to be in the chain.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::ledger::{
    End, Fact, GENESIS, Ledger, LedgerError, Link, PartName, Program, Receipt, Run, Runs, Text,
};
use crate::stats::Stats;

/// Runs that are kept in memory for figures and lists, the last ones: a day of 64 ports that take a minute for each part.
pub const RUNS: usize = 100_000;

/// Links that are read in one go. A station that writes never waits for a reader.
const GO: u32 = 500;

/// A ledger, and what was read of it.
pub struct Book {
    ledger: Ledger,
    /// The last link that was read.
    head: Receipt,
    /// The hash of each link that was read, the first one's first.
    hashes: Vec<[u8; 32]>,
    open: Runs,
    /// The last runs, without consoles and records.
    runs: VecDeque<Run>,
    /// Commands around them, without their output.
    programs: VecDeque<Program>,
    entries: u64,
    /// Runs that were read, kept or not.
    ended: u64,
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
}

/// Which runs are shown.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those that began at this time or later.
    pub since: Option<Timestamp>,
    /// Those on this port.
    pub port: Option<String>,
    /// Those with this result: `Run::result`.
    pub result: Option<String>,
}

impl Filter {
    fn contains(&self, run: &Run) -> bool {
        self.since.is_none_or(|since| run.begun.time >= since)
            && self.port.as_ref().is_none_or(|port| run.attempt().port == *port)
    }
}

/// What is known of a shift.
pub struct Shift {
    /// Its figures.
    pub stats: Stats,
    /// The last runs with the result that is looked for, the newest first.
    pub last: Vec<Run>,
    /// Whether older runs of it are not in memory.
    pub is_cut: bool,
    /// Every port that was seen.
    pub ports: Vec<String>,
    /// The last link, entries, and attempts.
    pub head: Receipt,
    /// Entries in the ledger.
    pub entries: u64,
    /// Runs in the ledger that have ended.
    pub ended: u64,
}

/// A run with everything around it.
pub struct Whole {
    /// The run.
    pub run: Run,
    /// The commands around it.
    pub programs: Vec<Program>,
}

impl Book {
    /// A ledger that nothing was read of.
    pub fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            head: Receipt { number: 0, hash: GENESIS },
            hashes: Vec::new(),
            open: Runs::default(),
            runs: VecDeque::new(),
            programs: VecDeque::new(),
            entries: 0,
            ended: 0,
            problem: None,
        }
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
                    let all = self.ledger.head().map_or(self.head.number, |head| head.number);
                    return Reading::Goes(self.head.number, all);
                }
                Err(error) => return self.stopped(&error),
            }
        }
    }

    fn stopped(&mut self, error: &LedgerError) -> Reading {
        let is_damage = matches!(error, LedgerError::Damaged(..));
        let text = error.to_string();
        if is_damage {
            self.problem = Some(text.clone());
        }
        Reading::Stopped { text, is_damage }
    }

    /// Reads one go; whether that was all.
    fn read_some(&mut self) -> Result<bool, LedgerError> {
        let mut links = Vec::new();
        let head = self.ledger.follow(self.head, GO, |link| links.push(link))?;
        let is_all = links.len() < GO as usize;
        for link in links {
            self.take(link);
        }
        self.head = head;
        Ok(is_all)
    }

    fn take(&mut self, link: Link) {
        self.hashes.push(link.hash);
        self.entries += u64::from(link.entry().is_some());
        if let Some(mut run) = self.open.take(&link) {
            self.ended += 1;
            strip(&mut run);
            push(&mut self.runs, run);
        } else if let Fact::Program(mut program) = link.fact {
            if program.step == "on-pass"
                && !program.succeeded
                && let Some(run) = self.run_mut(program.attempt)
            {
                run.not_done = true;
            }
            program.output = Text::default();
            push(&mut self.programs, program);
        }
    }

    fn run_mut(&mut self, attempt: u64) -> Option<&mut Run> {
        self.runs.iter_mut().rev().find(|run| run.begun.number == attempt)
    }

    /// The last link that is in the file, read or not.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last(&self) -> Result<u64, LedgerError> {
        self.ledger.head().map(|head| head.number)
    }

    /// The runs of a shift, the last `count` of which are listed.
    pub fn shift(&self, filter: &Filter, count: usize) -> Shift {
        let mut stats = Stats::default();
        let of_shift = || self.runs.iter().filter(|run| filter.contains(run));
        let mut last = Vec::new();
        let open: Vec<_> = self.open.open().cloned().map(Run::unfinished).collect();
        let open = open.iter().filter(|run| filter.contains(run));
        for run in of_shift().chain(open.clone()) {
            stats.add(run);
        }
        // Attempts have the numbers of links, which only grow.
        let mut attempts: Vec<_> = of_shift().map(|run| run.begun.number).collect();
        attempts.sort_unstable();
        for program in &self.programs {
            if attempts.binary_search(&program.attempt).is_ok() {
                stats.add_program(&program.step, program.milliseconds);
            }
        }
        let is_wanted =
            |run: &&Run| filter.result.as_deref().is_none_or(|result| is_result(run, result));
        last.extend(of_shift().rev().filter(is_wanted).take(count).cloned());
        last.extend(open.filter(is_wanted).cloned());
        last.sort_by_key(|run| std::cmp::Reverse(run.begun.number));
        last.truncate(count);
        let mut ports: Vec<_> = self.runs.iter().map(|run| run.attempt().port.clone()).collect();
        ports.sort_unstable();
        ports.dedup();
        let is_older = |run: &Run| filter.since.is_none_or(|since| run.begun.time >= since);
        Shift {
            stats,
            last,
            is_cut: self.runs.len() == RUNS && self.runs.front().is_some_and(is_older),
            ports,
            head: self.head,
            entries: self.entries,
            ended: self.ended,
        }
    }

    /// The runs of a part, in the whole ledger, the newest first.
    ///
    /// # Errors
    /// The file cannot be read, or a run is not that of the chain.
    pub fn runs_of(&mut self, text: &str) -> Result<Vec<Run>, LedgerError> {
        let mut attempts = Vec::new();
        for name in PartName::all_of(text) {
            attempts.extend(self.ledger.attempts_of(&name)?);
        }
        attempts.sort_unstable_by(|a, b| b.cmp(a));
        attempts.dedup();
        let mut runs = Vec::new();
        for attempt in attempts {
            runs.extend(self.whole(attempt)?.map(|whole| whole.run));
        }
        Ok(runs)
    }

    /// A run with its console and what the commands around it have printed. `None` where it was not read.
    ///
    /// # Errors
    /// The file cannot be read, or a link of it is not that of the chain.
    pub fn whole(&mut self, attempt: u64) -> Result<Option<Whole>, LedgerError> {
        let links = self.ledger.links_of_attempt(attempt)?;
        let (mut begun, mut ended, mut programs) = (None, None, Vec::new());
        for link in links {
            let place = usize::try_from(link.number - 1).unwrap_or(usize::MAX);
            match self.hashes.get(place) {
                Some(hash) if *hash == link.hash => {}
                // It was appended since.
                None => continue,
                Some(_) => {
                    let error = self.ledger.other_than_read(link.number);
                    self.stopped(&error);
                    return Err(error);
                }
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

    /// The last run of each port, and the ones that go on, newer than this.
    pub fn last_of_ports(&self, age: SignedDuration, now: Timestamp) -> Vec<(String, Option<Run>)> {
        let mut ports: Vec<(String, Option<Run>)> = Vec::new();
        let open: Vec<_> = self.open.open().cloned().map(Run::unfinished).collect();
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
}

/// A result by its name; all that are not good by `not-good`.
fn is_result(run: &Run, result: &str) -> bool {
    if result == "not-good" { run.result() != "good" } else { run.result() == result }
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

fn push<T>(kept: &mut VecDeque<T>, one: T) {
    if kept.len() == RUNS {
        kept.pop_front();
    }
    kept.push_back(one);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Attempt, Begun, Failed, New, NewEnd, NewOutcome};
    use crate::transcript::Transcript;

    #[test]
    fn a_long_ledger_is_read_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open_or_create(&folder.path().join("ledger.db")).unwrap();
        let failed = || {
            New::Outcome(Box::new(NewOutcome {
                attempt: Begun::Now(Attempt { port: "left".into(), ..Attempt::default() }),
                end: NewEnd::Failed(Failed::default()),
                serial_number: None,
                image: None,
                steps: Vec::new(),
                console: Transcript::default(),
            }))
        };
        // Each is two links.
        let runs = u64::from(GO) / 2 + 1;
        ledger.append(&(0..runs).map(|_| failed()).collect::<Vec<_>>()).unwrap();
        let mut book = Book::new(ledger);
        assert_eq!(book.read(Duration::ZERO), Reading::Goes(u64::from(GO), 2 * runs));
        assert_eq!(book.shift(&Filter::default(), 3).stats.failed, runs - 1);
        assert_eq!(book.read(Duration::ZERO), Reading::Done);
        let shift = book.shift(&Filter::default(), 3);
        assert_eq!((shift.stats.failed, shift.ended, shift.last.len()), (runs, runs, 3));
        assert_eq!(shift.head, book.ledger.head().unwrap());
    }
}
