// SPDX-License-Identifier: Apache-2.0

//! What the runs of a ledger say about a line: yield, failures, parts per hour, time by step.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::DeviceId;
use crate::ledger::{End, Failed, Run};

/// Figures of the runs that were added.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Runs that have begun.
    pub attempts: u64,
    /// Those that have entered their part, and the step behind it was carried out if there is one.
    pub good: u64,
    /// Those of a part that was in the ledger already.
    pub known: u64,
    /// Those of a part that cannot leave the line.
    pub failed: u64,
    /// Those that did not end while the station ran.
    pub unfinished: u64,
    /// Failures, by what failed and by port.
    pub failures: BTreeMap<(Cause, String), u64>,
    /// Runs by the hour in which they ended, in hours since 1970: good, and not.
    pub hours: BTreeMap<i64, Hour>,
    /// The time of each step, in the order in which they were met.
    pub steps: Vec<Time>,
    /// The time of each good run.
    pub runs: Time,
    parts: HashMap<Part, Tries>,
    /// Failed runs of which nobody knows the part.
    unknown: u64,
}

/// What has failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The part has said this number: `provisioning::Cause::code`.
    Failure(u8),
    /// The station has this word for it: `PartError::name`.
    Error(String),
}

/// Runs of an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hour {
    /// Good ones.
    pub good: u64,
    /// Failed ones.
    pub failed: u64,
}

/// How long something took, each time.
#[derive(Clone, Debug, Default)]
pub struct Time {
    /// What.
    pub name: String,
    milliseconds: Vec<u32>,
}

/// What is known of a part whose runs are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    SerialNumber(String),
    DeviceId(DeviceId),
}

/// The runs of one part.
#[derive(Clone, Copy, Debug)]
struct Tries {
    first_good: bool,
    good: bool,
}

/// A yield: so many parts of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Yield {
    /// Good parts.
    pub good: u64,
    /// Parts.
    pub parts: u64,
}

impl Yield {
    /// In per cent. `None` where there is no part.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a percentage is shown with one decimal")]
    pub fn percent(self) -> Option<f64> {
        (self.parts > 0).then(|| 100.0 * self.good as f64 / self.parts as f64)
    }
}

impl Stats {
    /// Counts a run. Runs of one part must come in their order.
    pub fn add(&mut self, run: &Run) {
        self.add_at(run, &run.attempt().port);
    }

    /// Counts a run on a port that has this name, where several stations have ports.
    pub fn add_at(&mut self, run: &Run, port: &str) {
        self.attempts += 1;
        let Some((outcome, ended)) = run.outcome().zip(run.ended.as_ref()) else {
            self.unfinished += 1;
            let tried = run.serial_number().map(|text| Part::SerialNumber(text.to_owned()));
            self.try_part(tried, false);
            return;
        };
        let tried = run
            .serial_number()
            .map(|text| Part::SerialNumber(text.to_owned()))
            .or(outcome.part().map(|(device_id, _)| Part::DeviceId(device_id)));
        let hour = self.hours.entry(ended.time.as_second().div_euclid(3600)).or_default();
        match &outcome.end {
            End::Good(_) if run.not_done => {
                self.failed += 1;
                hour.failed += 1;
                let cause = (Cause::Error(String::from("step")), port.to_owned());
                *self.failures.entry(cause).or_default() += 1;
                self.try_part(tried, false);
            }
            End::Good(_) => {
                self.good += 1;
                hour.good += 1;
                self.try_part(tried, true);
                self.runs.add(milliseconds(run.begun.time, ended.time));
            }
            // The part was counted when it was entered.
            End::Known { .. } => self.known += 1,
            End::Failed(Failed { error, failure, .. }) => {
                self.failed += 1;
                hour.failed += 1;
                let cause = failure.map_or_else(|| Cause::Error(error.clone()), Cause::Failure);
                *self.failures.entry((cause, port.to_owned())).or_default() += 1;
                self.try_part(tried, false);
            }
        }
        for step in &outcome.steps {
            self.step(&step.name, step.milliseconds);
        }
    }

    /// Counts the time of a command around a run.
    pub fn add_program(&mut self, step: &str, milliseconds: u64) {
        self.step(step, milliseconds);
    }

    /// Parts that were good in their first run, of all parts. A run that failed before anything told which part it
    /// was counts as a part of its own.
    #[must_use]
    pub fn first_pass(&self) -> Yield {
        self.yield_of(|tries| tries.first_good)
    }

    /// Parts that were good in the end.
    #[must_use]
    pub fn after_retests(&self) -> Yield {
        self.yield_of(|tries| tries.good)
    }

    /// Failed runs of which nobody knows the part: without serial numbers a retest of it cannot be told from the
    /// first run of another one.
    #[must_use]
    pub const fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Good parts an hour, over the hours in which something ran.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a rate is shown with one decimal")]
    pub fn parts_per_hour(&self) -> Option<f64> {
        (!self.hours.is_empty()).then(|| self.good as f64 / self.hours.len() as f64)
    }

    /// The counts, each with its name.
    #[must_use]
    pub const fn counts(&self) -> [(&'static str, u64); 6] {
        [
            ("runs", self.attempts),
            ("good", self.good),
            ("known", self.known),
            ("failed", self.failed),
            ("unfinished", self.unfinished),
            ("failed-part-unknown", self.unknown),
        ]
    }

    /// The time of each step, and then of the whole of each good run.
    pub fn times(&self) -> impl Iterator<Item = (&str, &Time)> {
        let runs = std::iter::once(("run", &self.runs)).filter(|(_, time)| time.count() > 0);
        self.steps.iter().map(|time| (&time.name[..], time)).chain(runs)
    }

    /// Failures, the most frequent first.
    #[must_use]
    pub fn failures_by_count(&self) -> Vec<((&Cause, &str), u64)> {
        let mut failures: Vec<_> = self
            .failures
            .iter()
            .map(|((cause, port), count)| ((cause, &port[..]), *count))
            .collect();
        failures.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        failures
    }

    fn yield_of(&self, is_good: impl Fn(&Tries) -> bool) -> Yield {
        let good = self.parts.values().filter(|tries| is_good(tries)).count() as u64;
        Yield { good, parts: self.parts.len() as u64 + self.unknown }
    }

    fn try_part(&mut self, part: Option<Part>, good: bool) {
        match part {
            Some(part) => {
                let tries = self.parts.entry(part).or_insert(Tries { first_good: good, good });
                tries.good |= good;
            }
            None => self.unknown += 1,
        }
    }

    fn step(&mut self, name: &str, milliseconds: u64) {
        let place = self.steps.iter().position(|step| step.name == name).unwrap_or_else(|| {
            self.steps.push(Time { name: name.to_owned(), milliseconds: Vec::new() });
            self.steps.len() - 1
        });
        self.steps[place].add(milliseconds);
    }
}

impl Time {
    fn add(&mut self, milliseconds: u64) {
        self.milliseconds.push(u32::try_from(milliseconds).unwrap_or(u32::MAX));
    }

    /// How often it was taken.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.milliseconds.len()
    }

    /// The time that so many per cent of all were within, in milliseconds: 50 is the median, 100 the longest.
    /// `None` where there is none.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Option<u32> {
        let mut sorted = self.milliseconds.clone();
        let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
        (place < sorted.len()).then(|| *sorted.select_nth_unstable(place).1)
    }
}

/// The hour of a number of hours since 1970, UTC.
#[must_use]
pub fn hour(hours: i64) -> String {
    Timestamp::from_second(3600 * hours)
        .map_or_else(|_| String::from("?"), |time| time.strftime("%Y-%m-%dT%H:%MZ").to_string())
}

fn milliseconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_millisecond() - from.as_millisecond()).unwrap_or_default()
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failure(number) => write!(f, "failure {number}"),
            Self::Error(word) => f.write_str(word),
        }
    }
}
