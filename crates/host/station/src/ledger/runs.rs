// SPDX-License-Identifier: Apache-2.0

//! The runs in a ledger: attempts with their outcomes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Attempt, Fact, Link, Outcome};

/// A run. It is of links that a walk has given.
#[derive(Clone, Debug)]
pub struct Run {
    /// The link of its attempt.
    pub begun: Link,
    /// The link of its outcome; `None` where the station has ended in mid-run.
    pub ended: Option<Link>,
    /// Whether its part was entered, and the step behind it has failed.
    pub not_done: bool,
}

/// Finds the outcome of each attempt while the links pass by, in their order.
#[derive(Debug, Default)]
pub struct Runs {
    /// Attempts without an outcome so far, by their links: as many as there are ports, and what was never ended.
    open: BTreeMap<u64, Link>,
    /// [`super::Ledger::not_done`].
    not_done: BTreeSet<u64>,
}

impl Runs {
    /// Those of a ledger in which these attempts are not done.
    #[must_use]
    pub const fn new(not_done: BTreeSet<u64>) -> Self {
        Self { open: BTreeMap::new(), not_done }
    }

    /// Takes the next link, and gives the run that it ends.
    pub fn take(&mut self, link: &Link) -> Option<Run> {
        match &link.fact {
            Fact::Attempt(_) => {
                self.open.insert(link.number, link.clone());
                None
            }
            Fact::Outcome(outcome) => {
                let begun = self.open.remove(&outcome.attempt)?;
                let not_done = self.not_done.contains(&begun.number);
                Some(Run { begun, ended: Some(link.clone()), not_done })
            }
            _ => None,
        }
    }

    /// The attempts that have not ended so far.
    pub fn open(&self) -> impl Iterator<Item = &Link> {
        self.open.values()
    }

    /// The runs that have not ended, when all links have passed by.
    pub fn unfinished(self) -> impl Iterator<Item = Run> {
        self.open.into_values().map(Run::unfinished)
    }
}

impl Run {
    /// One that has not ended.
    #[must_use]
    pub const fn unfinished(begun: Link) -> Self {
        Self { begun, ended: None, not_done: false }
    }

    /// What was kept when it began.
    ///
    /// # Panics
    /// Never: a run has the link of an attempt.
    #[must_use]
    pub fn attempt(&self) -> &Attempt {
        match &self.begun.fact {
            Fact::Attempt(attempt) => attempt,
            _ => unreachable!("a run begins with an attempt"),
        }
    }

    /// What was kept when it ended.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.ended.as_ref()?.fact {
            Fact::Outcome(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// The serial number of its part, where one was asked for.
    #[must_use]
    pub fn serial_number(&self) -> Option<&str> {
        self.ended.as_ref().and_then(Link::serial_number).or(self.begun.serial_number())
    }

    /// `good`, `not-done`, `known`, `failed` or `unfinished`.
    #[must_use]
    pub fn result(&self) -> &'static str {
        match self.outcome() {
            Some(_) if self.not_done => "not-done",
            Some(outcome) => outcome.end.name(),
            None => "unfinished",
        }
    }
}
