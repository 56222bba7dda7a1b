// SPDX-License-Identifier: Apache-2.0

//! All links of a ledger, in their order: one thread reads them, and hashes and records are checked on all cores.

use jiff::Timestamp;
use rusqlite::Rows;
use rusqlite::types::FromSql;

use super::append::highest;
use super::format::Format;
use super::link::Places;
use super::{Audit, Entry, Fact, Found, GENESIS, Ledger, Link, PROBLEMS_LISTED, Problem, Receipt};
use crate::in_order::in_order;

/// Links that a thread gets at once: what it costs to hand them over is little beside what it costs to check them.
const CHUNK: usize = 16;

/// Why a walk did not come to its end.
pub(crate) enum Stop<E> {
    Sqlite(rusqlite::Error),
    Problem(Problem),
    Caller(E),
}

impl<E> From<rusqlite::Error> for Stop<E> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// A link as it was read.
struct Row {
    number: u64,
    /// What it says, and which hash it should have, where that is known.
    link: Result<(Link, Option<[u8; 32]>), Problem>,
    hash: [u8; 32],
    entry: Option<u64>,
    withdrawn: Option<u64>,
}

/// A link, and what of it does not depend on other links.
pub(crate) struct Checked {
    /// Its number, as it stands in the file.
    pub(crate) number: u64,
    /// What it says.
    pub(crate) link: Result<Link, Problem>,
    /// Its hash, as it stands in the file.
    pub(crate) hash: [u8; 32],
    /// The hash that it should have.
    pub(crate) computed: Option<[u8; 32]>,
    /// The number of its entry, as it stands in the file.
    pub(crate) entry: Option<u64>,
    /// The link that withdraws its entry.
    pub(crate) withdrawn: Option<u64>,
    /// What is wrong with its record.
    pub(crate) record: Result<(), String>,
}

pub(super) fn walk<E>(
    ledger: &Ledger,
    audit: &mut Audit,
    expected_head: Option<[u8; 32]>,
    check_record: impl Fn(&Entry) -> Result<(), String> + Sync,
    each: impl FnMut(Found<'_>) -> Result<(), E>,
) -> Result<(), Stop<E>> {
    let Ledger { connection, format, .. } = ledger;
    let mut statement = connection.prepare(format.links())?;
    let places = Places::of(&statement);
    let mut rows = statement.query([])?;
    let mut end = Ok(());
    let mut order = Order::new(audit, expected_head, format.has_order_of_time(), each);
    let next = || {
        let mut chunk = Vec::new();
        while end.is_ok() && chunk.len() < CHUNK {
            match read(&mut rows, &places, *format) {
                Ok(Some(row)) => chunk.push(row),
                Ok(None) => break,
                // What was read before it is still to be given.
                Err(error) => end = Err(error),
            }
        }
        (!chunk.is_empty()).then_some(chunk)
    };
    let work = |chunk: Vec<Row>| -> Vec<Checked> {
        chunk.into_iter().map(|row| check(row, &check_record)).collect()
    };
    in_order(ledger.threads, next, work, |chunk| {
        chunk.into_iter().try_for_each(|checked| order.take(checked))
    })?;
    let (audit, head_found) = order.end();
    end?;
    let highest = highest(connection, *format)?;
    if audit.head.number != highest {
        audit.add(Problem::CutOff(audit.head.number, highest));
    }
    if !head_found {
        audit.add(Problem::Head);
    }
    Ok(())
}

fn read(rows: &mut Rows<'_>, places: &Places, format: Format) -> rusqlite::Result<Option<Row>> {
    let Some(row) = rows.next()? else { return Ok(None) };
    let integer = |column| -> rusqlite::Result<_> {
        Ok(<Option<i64>>::column_result(places.get(row, column)?)?.map(i64::cast_unsigned))
    };
    Ok(Some(Row {
        number: places.number(row),
        link: format.read(row, places),
        hash: places
            .get(row, "hash")
            .ok()
            .and_then(|hash| <[u8; 32]>::column_result(hash).ok())
            .unwrap_or(GENESIS),
        entry: integer("entries.number")?,
        withdrawn: integer("withdrawn")?,
    }))
}

fn check(row: Row, check_record: &impl Fn(&Entry) -> Result<(), String>) -> Checked {
    let Row { number, link, hash, entry, withdrawn } = row;
    let (link, computed) = match link {
        Ok((link, computed)) => {
            let computed = computed.unwrap_or_else(|| link.computed_hash());
            (Ok(link), Some(computed))
        }
        Err(problem) => (Err(problem), None),
    };
    let record = link.as_ref().ok().and_then(Link::entry).map_or(Ok(()), check_record);
    Checked { number, link, hash, computed, entry, withdrawn, record }
}

/// What of a link depends on those before it.
pub(crate) struct Order<'a, F> {
    audit: &'a mut Audit,
    expected_head: Option<[u8; 32]>,
    head_found: bool,
    /// Whether a link may not be older than the one before it.
    has_order_of_time: bool,
    each: F,
    problems: Vec<Problem>,
    /// That of the last link.
    time: Timestamp,
    last_entry: u64,
    /// Attempts that have an outcome.
    ended: u64,
}

impl<'a, F> Order<'a, F> {
    /// Before the first link, which has to follow `audit.head`.
    pub(crate) fn new(
        audit: &'a mut Audit,
        expected_head: Option<[u8; 32]>,
        has_order_of_time: bool,
        each: F,
    ) -> Self {
        Self {
            head_found: expected_head.is_none_or(|head| head == audit.head.hash),
            audit,
            expected_head,
            has_order_of_time,
            each,
            problems: Vec::new(),
            time: Timestamp::MIN,
            last_entry: 0,
            ended: 0,
        }
    }

    /// After the last link: what was found, and whether the expected head was.
    pub(crate) fn end(self) -> (&'a mut Audit, bool) {
        self.audit.unfinished = self.audit.attempts.saturating_sub(self.ended);
        (self.audit, self.head_found)
    }

    /// Takes the next link.
    pub(crate) fn take<E>(&mut self, checked: Checked) -> Result<(), Stop<E>>
    where
        F: FnMut(Found<'_>) -> Result<(), E>,
    {
        let Checked { number, link, hash, computed, entry, withdrawn, record } = checked;
        let Self { audit, problems, .. } = self;
        let last = audit.head;
        if number != last.number.wrapping_add(1) {
            problems.push(Problem::Number(last.number, number));
        }
        let link = match link {
            Ok(link) => {
                self.head_found |= self.expected_head.is_some() && self.expected_head == computed;
                if link.previous != last.hash {
                    problems.push(Problem::Previous(number));
                }
                if Some(link.hash) != computed {
                    problems.push(Problem::Hash(number));
                }
                if link.time < self.time && !link.clock_accepted && self.has_order_of_time {
                    problems.push(Problem::Clock(number));
                }
                self.time = link.time;
                if let Some(entry) = link.entry() {
                    if entry.number != self.last_entry + 1 {
                        problems.push(Problem::Entry(number, self.last_entry, entry.number));
                    }
                    if let Err(why) = record {
                        problems.push(Problem::Record(number, why));
                    }
                }
                Some(link)
            }
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        if let Some(link) = &link {
            if link.clock_accepted && audit.clocks_accepted.len() < PROBLEMS_LISTED {
                audit.clocks_accepted.push(number);
            }
            audit.attempts += u64::from(matches!(link.fact, Fact::Attempt(_)));
            self.ended += u64::from(matches!(link.fact, Fact::Outcome(_)));
        }
        // As it stands in the file, so that one changed link is not a problem of all that follow.
        audit.head = Receipt { number, hash };
        if let Some(entry) = entry {
            audit.entries += 1;
            self.last_entry = entry;
        }
        let found = Found { number, link: link.as_ref(), withdrawn, problems };
        (self.each)(found).map_err(Stop::Caller)?;
        problems.drain(..).for_each(|problem| audit.add(problem));
        Ok(())
    }
}
