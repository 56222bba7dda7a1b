// SPDX-License-Identifier: Apache-2.0

//! Whether the hub is whole: each chain, each record and each checkpoint, and whether the tables beside the links say what
//! the links say, no more and no less. The hub's constraints demand the most of it; what an audit finds was done by a person
//! who can switch them off, or by a broken disk. It also sees whether they are in place.

mod guards;
mod problem;
mod row;
mod whole;

use std::num::NonZeroUsize;

use tokio_postgres::Row;

pub use guards::Guard;
pub use problem::HubProblem;

use super::snapshot::{Cursor, Snapshot};
use super::{Config, HubError};
use crate::in_order::{self, in_order};
use crate::ledger::{
    Audit, Checkpoint, CheckpointProblem, Continued, Entry, Found, Order, Origin, PROBLEMS_LISTED,
    Receipt, Stop,
};
use crate::note::Verifier;
use row::TABLES;

pub(super) const LEDGERS: &str = "SELECT s.station, s.role, s.key, s.batch, s.continues_format, s.continues_number, \
        s.continues_head, s.origin, s.predecessor, \
        EXISTS (SELECT FROM hub.enrolled n WHERE (n.role, n.key) = (s.role, s.key)) \
    FROM hub.stations s ORDER BY s.station";
const CHECKPOINTS: &str = "SELECT c.number, c.note, l.hash FROM hub.checkpoints c \
    LEFT JOIN hub.links l ON (l.station, l.number) = (c.station, c.number) WHERE c.station = ";

/// What an audit of the hub found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubAudit {
    /// Each ledger.
    pub ledgers: Vec<LedgerAudit>,
    /// Parts, withdrawn ones, too.
    pub parts: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// What is wrong, up to [`PROBLEMS_LISTED`].
    pub problems: Vec<HubProblem>,
    /// How many more problems there are.
    pub unlisted: u64,
}

/// What an audit found of one ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerAudit {
    /// Its number at the hub.
    pub station: i32,
    /// The role that pushes it.
    pub role: String,
    /// What it begins with.
    pub origin: Origin,
    /// The hash of that, as it stands at the hub.
    pub origin_hash: [u8; 32],
    /// The ledger at the hub that it continues.
    pub predecessor: Option<i32>,
    /// Its entries.
    pub entries: u64,
    /// Its attempts.
    pub attempts: u64,
    /// Its links.
    pub links: u64,
    /// Its last link; number 0 and the origin where it has none.
    pub head: Receipt,
    /// The last link that its station has signed; 0 where it has signed none.
    pub signed: u64,
}

/// How an audit goes about it.
pub struct AuditOptions<'a> {
    /// What is asked of the record of each entry.
    pub check_record: &'a (dyn Fn(&Entry) -> Result<(), String> + Sync),
    /// How many threads check; else there is one for each core.
    pub threads: Option<NonZeroUsize>,
    /// Gets, now and then, how many links were read.
    pub progress: &'a mut dyn FnMut(u64),
}

impl HubAudit {
    /// Audits the hub as it is at one moment, while stations go on pushing.
    ///
    /// # Errors
    /// The hub cannot be read. What is wrong with it is not an error but a problem.
    pub fn of(config: &Config, options: &mut AuditOptions<'_>) -> Result<Self, HubError> {
        Self::at(&mut Snapshot::of(config)?, options)
    }

    /// Audits the hub as it is in this snapshot.
    pub(super) fn at(hub: &mut Snapshot, options: &mut AuditOptions<'_>) -> Result<Self, HubError> {
        let threads = options.threads.unwrap_or_else(in_order::threads);
        let mut audit = Self {
            ledgers: Vec::new(),
            parts: 0,
            checkpoints: 0,
            problems: Vec::new(),
            unlisted: 0,
        };
        guards::check(hub, &mut audit)?;
        let mut rows = [0; TABLES.len()];
        for row in hub.rows(LEDGERS, &[])? {
            let mut ledger = LedgerAudit::new(&row);
            if ledger.origin.hash() != ledger.origin_hash {
                audit.add(HubProblem::Origin(ledger.name()));
            }
            if !row.get::<_, bool>(9) {
                audit.add(HubProblem::NotEnrolled(ledger.name()));
            }
            audit.check_links(hub, &mut ledger, options, threads, &mut rows)?;
            audit.check_notes(hub, &mut ledger, threads)?;
            audit.ledgers.push(ledger);
        }
        let [.., parts] = rows;
        audit.parts = parts;
        whole::check(hub, &mut audit, rows)?;
        Ok(audit)
    }

    /// The chain of a ledger, and the rows beside it.
    fn check_links(
        &mut self,
        hub: &mut Snapshot,
        ledger: &mut LedgerAudit,
        options: &mut AuditOptions<'_>,
        threads: NonZeroUsize,
        rows: &mut [u64; TABLES.len()],
    ) -> Result<(), HubError> {
        let (name, before) = (ledger.name(), self.links_read());
        let mut chain = Audit::new(ledger.origin_hash);
        let mut order = Order::new(&mut chain, None, true, nothing);
        let cursor = hub.cursor(&row::statement(ledger))?;
        let check_record = options.check_record;
        let work = |chunk: Vec<Row>| -> Vec<_> {
            chunk.iter().map(|row| row::check(row, check_record)).collect()
        };
        each(hub, cursor, threads, work, |chunk| {
            for checked in chunk {
                let number = checked.link.number;
                ledger.links += 1;
                for (count, is_there) in rows.iter_mut().zip(checked.rows) {
                    *count += u64::from(is_there);
                }
                for table in checked.differ {
                    self.add(HubProblem::Row(name.clone(), number, table));
                }
                if checked.is_lost {
                    self.add(HubProblem::NoPart(name.clone(), number));
                }
                // Nothing is given on that could stop it.
                let _: Result<(), Stop<HubError>> = order.take(checked.link);
                (options.progress)(before + ledger.links);
            }
        })?;
        let (chain, _) = order.end();
        ledger.entries = chain.entries;
        ledger.attempts = chain.attempts;
        ledger.head = chain.head;
        for problem in &chain.problems {
            self.add(HubProblem::Link(name.clone(), problem.clone()));
        }
        self.unlisted += chain.unlisted;
        Ok(())
    }

    /// What the station of a ledger has signed of it.
    fn check_notes(
        &mut self,
        hub: &mut Snapshot,
        ledger: &mut LedgerAudit,
        threads: NonZeroUsize,
    ) -> Result<(), HubError> {
        let name = ledger.name();
        let verifier = ledger.origin.verifier();
        let cursor = hub.cursor(&format!("{CHECKPOINTS}{} ORDER BY c.number", ledger.station))?;
        let work = |chunk: Vec<Row>| -> Vec<_> {
            chunk.iter().map(|row| check_note(row, verifier.as_ref())).collect()
        };
        each(hub, cursor, threads, work, |chunk| {
            for (number, result) in chunk {
                self.checkpoints += 1;
                match result {
                    Ok(true) => ledger.signed = ledger.signed.max(number),
                    Ok(false) => self.add(HubProblem::SignedOther(name.clone(), number)),
                    Err(problem) => {
                        self.add(HubProblem::Checkpoint(name.clone(), number, problem));
                    }
                }
            }
        })?;
        let last = ledger.head.number;
        if ledger.signed < last {
            self.add(HubProblem::Unsigned { ledger: name, last, signed: ledger.signed });
        }
        Ok(())
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// The number of links of all ledgers.
    #[must_use]
    pub fn links_read(&self) -> u64 {
        self.ledgers.iter().map(|ledger| ledger.links).sum()
    }

    fn add(&mut self, problem: HubProblem) {
        if self.problems.len() < PROBLEMS_LISTED {
            self.problems.push(problem);
        } else {
            self.unlisted += 1;
        }
    }
}

impl LedgerAudit {
    pub(super) fn new(row: &Row) -> Self {
        let bytes = |at| row.get::<_, Option<&[u8]>>(at);
        let hash = |at| bytes(at).and_then(|hash| hash.try_into().ok());
        let format = row.get::<_, Option<i32>>(4).map(i32::cast_unsigned);
        let number = row.get::<_, Option<i64>>(5).map(i64::cast_unsigned);
        let continues = match (format, number, hash(6)) {
            (Some(format), Some(number), Some(head)) => Some(Continued { format, number, head }),
            _ => None,
        };
        let origin_hash = hash(7).unwrap_or_default();
        Self {
            station: row.get(0),
            role: row.get(1),
            origin: Origin { station_key: hash(2), batch: row.get(3), continues },
            origin_hash,
            predecessor: row.get(8),
            entries: 0,
            attempts: 0,
            links: 0,
            head: Receipt { number: 0, hash: origin_hash },
            signed: 0,
        }
    }

    /// What people call it: a role can have several.
    #[must_use]
    pub fn name(&self) -> String {
        format!("ledger {} of {}", self.station, self.role)
    }
}

/// What is given on of a link.
#[expect(clippy::unnecessary_wraps, reason = "others can fail")]
fn nothing(_: Found<'_>) -> Result<(), HubError> {
    Ok(())
}

/// The number that a checkpoint stands under, and whether it is the link of that number that was signed.
fn check_note(row: &Row, verifier: Option<&Verifier>) -> (u64, Result<bool, CheckpointProblem>) {
    let number = row.get::<_, i64>(0).cast_unsigned();
    let note: &str = row.get(1);
    let hash: Option<&[u8]> = row.get(2);
    let Some(verifier) = verifier else { return (number, Err(CheckpointProblem::NoKey)) };
    let is_of_the_link =
        |found: Checkpoint| found.head.number == number && hash == Some(&found.head.hash[..]);
    (number, Checkpoint::open(note.as_bytes(), verifier).map(is_of_the_link))
}

/// Has `work` done on the rows of a cursor on all cores, and gives what comes of it to `take`, in order.
fn each<R: Send>(
    hub: &mut Snapshot,
    mut cursor: Cursor,
    threads: NonZeroUsize,
    work: impl Fn(Vec<Row>) -> R + Sync,
    mut take: impl FnMut(R),
) -> Result<(), HubError> {
    let mut end = Ok(());
    let next = || match hub.next(&mut cursor) {
        Ok(rows) => rows,
        Err(error) => {
            end = Err(error);
            None
        }
    };
    in_order(threads, next, work, |result| {
        take(result);
        Ok::<_, HubError>(())
    })?;
    end
}
