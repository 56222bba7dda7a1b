// SPDX-License-Identifier: Apache-2.0

//! The figures of a shift, of one ledger or of all that a hub has.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashSet;

use jiff::Timestamp;

use super::book::{Book, Place, Shown};
use crate::ledger::Run;
use crate::stats::Stats;

/// Which runs are shown.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those that began at this time or later.
    pub since: Option<Timestamp>,
    /// Those of this station, by its role at the hub.
    pub station: Option<String>,
    /// Those on this port.
    pub port: Option<String>,
    /// Those with this result: `Run::result`.
    pub result: Option<String>,
}

impl Filter {
    fn has_station(&self, book: &Book) -> bool {
        let role = book.place.as_ref().map(|place| &*place.role);
        self.station.is_none() || role == self.station.as_deref()
    }

    fn contains(&self, run: &Run) -> bool {
        self.since.is_none_or(|since| run.begun.time >= since)
            && self.port.as_ref().is_none_or(|port| run.attempt().port == *port)
    }

    fn has_result(&self, run: &Run) -> bool {
        match self.result.as_deref() {
            None => true,
            // All that are not good.
            Some("not-good") => run.result() != "good",
            Some(result) => run.result() == result,
        }
    }
}

/// What is known of a shift.
#[derive(Default)]
pub struct Shift {
    /// Its figures.
    pub stats: Stats,
    /// The last runs with the result that is looked for, the newest first.
    pub last: Vec<Shown>,
    /// Whether older runs of it are not in memory.
    pub is_cut: bool,
    /// Every port that was seen.
    pub ports: Vec<String>,
}

impl Shift {
    /// That of the runs in these books, the last `count` of which are listed.
    pub fn of<'a>(
        books: impl IntoIterator<Item = &'a Book>,
        filter: &Filter,
        count: usize,
    ) -> Self {
        let books: Vec<_> = books.into_iter().filter(|book| filter.has_station(book)).collect();
        let is_alone = books.len() < 2;
        let mut seen = HashSet::new();
        let (mut runs, mut ports, mut programs) = (Vec::new(), Vec::new(), Vec::new());
        // A ledger that continues another one has its runs, too, and knows the end of those that it saw end.
        for book in books.iter().rev() {
            let of_book = runs.len();
            let ended = book.runs().map(Cow::Borrowed).chain(book.open().map(Cow::Owned));
            for run in ended.filter(|run| filter.contains(run)) {
                let root = book.place.as_ref().map(|place| place.root);
                if is_alone || seen.insert((root, run.begun.number, run.begun.time)) {
                    runs.push((book.place.as_ref(), run));
                }
            }
            // Attempts have the numbers of links, which only grow.
            let mut attempts: Vec<_> =
                runs[of_book..].iter().map(|(_, run)| run.begun.number).collect();
            attempts.sort_unstable();
            let is_of_these = |attempt| attempts.binary_search(&attempt).is_ok();
            programs.extend(book.programs().filter(|program| is_of_these(program.attempt)));
            ports.extend(book.runs().map(|run| run.attempt().port.clone()));
            ports.sort_unstable();
            ports.dedup();
        }
        if !is_alone {
            // A part may have been on several stations. Those that go on are behind all others.
            runs.sort_by_key(|(_, run)| {
                run.ended.as_ref().map_or(Timestamp::MAX, |ended| ended.time)
            });
        }
        let mut stats = Stats::default();
        for (place, run) in &runs {
            match place {
                None => stats.add(run),
                Some(place) => {
                    stats.add_at(run, &format!("{}: {}", place.role, run.attempt().port));
                }
            }
        }
        for program in programs {
            stats.add_program(&program.step, program.milliseconds);
        }
        runs.retain(|(_, run)| filter.has_result(run));
        runs.sort_by_key(|(_, run)| Reverse((run.begun.time, run.begun.number)));
        if is_alone {
            // Also where the clock was set back.
            runs.sort_by_key(|(_, run)| Reverse(run.begun.number));
        }
        runs.truncate(count);
        let shown = |(place, run): (Option<&Place>, Cow<'_, Run>)| Shown {
            place: place.cloned(),
            run: run.into_owned(),
        };
        Self {
            stats,
            last: runs.into_iter().map(shown).collect(),
            is_cut: books.iter().any(|book| book.is_cut(filter.since)),
            ports,
        }
    }
}
