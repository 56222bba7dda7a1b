// SPDX-License-Identifier: Apache-2.0

//! What is appended, and what the ledger says of it: whether it knows the part.

use jiff::Timestamp;
use provisioning::Measurement;
use rusqlite::{
    Connection, OptionalExtension, ToSql, Transaction, TransactionBehavior, params,
    params_from_iter,
};

use super::format::Format;
use super::link::INSERT_LINK;
use super::{
    Attempt, End, Entry, Export, Fact, Failed, GENESIS, Ledger, LedgerError, Link, Outcome,
    Problem, Program, Receipt, Refusal, Step, Text, Withdrawal,
};
use crate::transcript::Transcript;
use crate::{Identity, VERSION};

/// The word for a part that the ledger refuses: [`Failed::error`].
pub const SEEN_BEFORE: &str = "seen-before";

// The statements of an append. None may read more rows the longer the ledger gets.
pub(super) const LAST: &str =
    "SELECT number, hash, time FROM links WHERE number = (SELECT max(number) FROM links)";
const ORIGIN: &str = "SELECT hash FROM origin";
const HIGHEST: &str = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?1";
const LAST_ENTRY: &str = "SELECT coalesce(max(number), 0) FROM entries";
const SEEN_DEVICE_ID: &str = "SELECT number FROM entries WHERE device_id = ?1 \
    AND NOT EXISTS (SELECT 1 FROM withdrawals WHERE entry = entries.number)";
const SEEN_PART: &str = "SELECT number FROM entries WHERE ueid = ?1 AND device_id = ?2";
const SEEN_UEID: &str = "SELECT number FROM entries WHERE ueid = ?1";
const SEEN_PUBLIC_KEY: &str = "SELECT number FROM entries WHERE public_key = ?1";
const SERIAL_NUMBER: &str = "SELECT outcomes.serial_number FROM entries \
    JOIN outcomes ON outcomes.link = entries.link WHERE entries.number = ?1";
pub(super) const SEEN_SERIAL_NUMBER: &str = "SELECT entries.number FROM outcomes \
    JOIN entries ON entries.link = outcomes.link WHERE outcomes.serial_number = ?1 \
    AND NOT EXISTS (SELECT 1 FROM withdrawals WHERE entry = entries.number)";
const FAILED_BEFORE: &str = "SELECT EXISTS (SELECT 1 FROM outcomes WHERE serial_number = ?1 AND result = 'failed') \
    OR EXISTS (SELECT 1 FROM attempts LEFT JOIN outcomes ON outcomes.attempt = attempts.link \
        WHERE attempts.serial_number = ?1 AND attempts.link <> ?3 AND outcomes.link IS NULL) \
    OR EXISTS (SELECT 1 FROM outcomes WHERE device_id = ?2 AND result = 'failed')";

// One that is asked while a station waits for its hub. Entries are numbered in the order of their links.
pub(super) const LAST_ENTRY_UP_TO: &str =
    "SELECT number FROM entries WHERE link <= ?1 ORDER BY link DESC LIMIT 1";

// One that is asked before an export, which has to follow the last one.
pub(super) const GIVEN: &str = "SELECT coalesce(max(last), 0) FROM exports WHERE verifier = ?1";

/// What is to be kept.
#[derive(Clone, Debug)]
pub enum New {
    /// A run has begun. It is kept when the station is killed from now on; a loss of power may take it, until
    /// something else is kept.
    Attempt(Attempt),
    /// A run has ended.
    Outcome(Box<NewOutcome>),
    /// A command around a run was carried out.
    Program(Program),
    /// The part of an entry was erased on purpose.
    Withdrawal(Withdrawal),
    /// A verifier was given entries.
    Export(Export),
}

/// The attempt that has ended.
#[derive(Clone, Debug)]
pub enum Begun {
    /// That of this link.
    Link(u64),
    /// One that is to be kept with its outcome.
    Now(Attempt),
}

/// How a run has ended, in the station's eyes.
#[derive(Clone, Debug)]
pub struct NewOutcome {
    /// Which run.
    pub attempt: Begun,
    /// How.
    pub end: NewEnd,
    /// The part's serial number, where one was asked for.
    pub serial_number: Option<String>,
    /// The measurement of the image, where a good record has said it.
    pub image: Option<Measurement>,
    /// How long each step has taken.
    pub steps: Vec<Step>,
    /// What the console has shown.
    pub console: Transcript,
}

/// How a run has ended, before the ledger has looked whether it knows the part.
#[derive(Clone, Debug)]
pub enum NewEnd {
    /// With a checked record, whose part is to be entered.
    Good(NewEntry),
    /// Otherwise.
    Failed(Failed),
}

/// A checked record that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Who the part is, as the record says.
    pub identity: Identity,
    /// The record's bytes as received.
    pub record: Vec<u8>,
}

/// What was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The link, which is the last of them where an attempt was kept with its outcome.
    pub link: Receipt,
    /// What became of an entry, where there is one: its number and the hash of its link.
    pub entry: Option<Result<Receipt, Refusal>>,
    /// Whether an earlier run of the same part is known that was not good: by its serial number, or by its device
    /// ID. Of an outcome only.
    pub is_retry: bool,
}

impl Ledger {
    /// Appends, and returns when it would outlive a loss of power; attempts alone outlive a killed process only.
    ///
    /// All is committed at once, so that much costs one sync. Each part is judged on its own, also against those
    /// before it in `news`: the answers are in their order.
    ///
    /// # Errors
    /// Another program has the ledger, links were taken off its end, the clock is wrong, or a file cannot be written.
    /// Nothing of `news` is acknowledged then. Where it is a file of the head or of a checkpoint that cannot be
    /// written, or [`LedgerError::BusyHead`], it is in the ledger nevertheless.
    pub fn append(&mut self, news: &[New]) -> Result<Vec<Kept>, LedgerError> {
        let error = |error| LedgerError::of(&self.path, error);
        let durable = !news.iter().all(|new| matches!(new, New::Attempt(_)));
        // In WAL mode FULL syncs the log in each commit, so that a transaction that was acknowledged outlives a
        // loss of power; NORMAL does not (sqlite.org/pragma.html#pragma_synchronous).
        let synchronous = if durable { "FULL" } else { "NORMAL" };
        self.connection.pragma_update(None, "synchronous", synchronous).map_err(error)?;
        // Immediate: what is read here must still hold when it is written.
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
                .map_err(error)?;
        // Asked while no program can begin to continue it.
        self.check_not_continued()?;
        let (mut last, mut time) = last(&transaction, self.format).map_err(error)?;
        let highest = highest(&transaction, self.format).map_err(error)?;
        if last.number != highest {
            // To go on would give a number for the second time and hide what is missing.
            let problem = Problem::CutOff(last.number, highest);
            return Err(LedgerError::Damaged(self.path.clone(), problem));
        }
        let mut kept = Vec::with_capacity(news.len());
        for new in news {
            let mut put = |fact| {
                let (now, clock_accepted) = self.now(time)?;
                time = now;
                let (author, version) = (self.author.clone(), VERSION.to_owned());
                let (number, previous) = (last.number + 1, last.hash);
                let mut link = Link {
                    number,
                    time,
                    clock_accepted,
                    author,
                    version,
                    fact,
                    previous,
                    hash: GENESIS,
                };
                link.hash = link.computed_hash();
                insert(&transaction, &link).map_err(error)?;
                last = Receipt { number, hash: link.hash };
                Ok::<_, LedgerError>(last)
            };
            kept.push(match new {
                New::Attempt(attempt) => Kept::link(put(Fact::Attempt(attempt.clone()))?),
                New::Program(program) => Kept::link(put(Fact::Program(program.clone()))?),
                New::Withdrawal(withdrawal) => {
                    Kept::link(put(Fact::Withdrawal(withdrawal.clone()))?)
                }
                New::Export(export) => Kept::link(put(Fact::Export(export.clone()))?),
                New::Outcome(new) => {
                    let attempt = match &new.attempt {
                        Begun::Link(link) => *link,
                        Begun::Now(attempt) => put(Fact::Attempt(attempt.clone()))?.number,
                    };
                    let (outcome, refusal) = judge(&transaction, attempt, new).map_err(error)?;
                    let is_retry = failed_before(&transaction, &outcome).map_err(error)?;
                    let number = match &outcome.end {
                        End::Good(entry) => Some(entry.number),
                        _ => None,
                    };
                    let link = put(Fact::Outcome(Box::new(outcome)))?;
                    let entry = number.map(|number| Receipt { number, hash: link.hash });
                    Kept { link, entry: entry.map(Ok).or(refusal.map(Err)), is_retry }
                }
            });
        }
        transaction.commit().map_err(error)?;
        if durable {
            self.keep_head(&last)?;
        }
        Ok(kept)
    }
}

/// The last link, and its time; where there is none, number 0 and the hash of the origin.
pub(super) fn last(
    connection: &Connection,
    format: Format,
) -> rusqlite::Result<(Receipt, Timestamp)> {
    let last = connection
        .prepare_cached(format.last())?
        .query_row([], |row| {
            let receipt =
                Receipt { number: row.get::<_, i64>(0)?.cast_unsigned(), hash: row.get(1)? };
            Ok((receipt, Timestamp::from_millisecond(row.get(2)?).unwrap_or(Timestamp::MAX)))
        })
        .optional()?;
    match last {
        Some(last) => Ok(last),
        None => Ok((Receipt { number: 0, hash: format.genesis(connection)? }, Timestamp::MIN)),
    }
}

/// What stands in link 1 as the hash of the link before it.
pub(super) fn origin_hash(connection: &Connection) -> rusqlite::Result<[u8; 32]> {
    let hash = connection.prepare_cached(ORIGIN)?.query_row([], |row| row.get(0)).optional()?;
    Ok(hash.unwrap_or(GENESIS))
}

pub(super) fn last_entry(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(LAST_ENTRY)?
        .query_row([], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))
}

/// The highest number that was ever given, which AUTOINCREMENT keeps.
pub(super) fn highest(connection: &Connection, format: Format) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(HIGHEST)?
        .query_row([format.chain()], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))
}

/// The entry that a statement finds.
pub(super) fn entry_of(
    connection: &Connection,
    statement: &str,
    parameters: &[&dyn ToSql],
) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached(statement)?
        .query_row(parameters, |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))
        .optional()
}

fn seen(
    connection: &Connection,
    identity: &Identity,
    serial_number: Option<&str>,
) -> rusqlite::Result<Option<Refusal>> {
    let Identity { device_id, public_key, .. } = identity;
    let ueid = identity.ueid();
    let (device_id, ueid, key) = (&device_id.0, ueid.as_bytes(), public_key.as_bytes());
    let find = |statement, parameters: &[&dyn ToSql]| entry_of(connection, statement, parameters);
    let same_device = find(SEEN_DEVICE_ID, &[device_id])?;
    let same_part = find(SEEN_PART, &[ueid, device_id])?;
    Ok(match (same_device, same_part) {
        (Some(device), Some(part)) if device == part => {
            // One of the labels was read wrongly, or is another part's.
            let label: Option<String> = connection
                .prepare_cached(SERIAL_NUMBER)?
                .query_row([part.cast_signed()], |row| row.get(0))?;
            let differs = label.as_deref().zip(serial_number).is_some_and(|(old, new)| old != new);
            Some(if differs { Refusal::OtherSerialNumber(part) } else { Refusal::Known(part) })
        }
        (Some(number), _) => Some(Refusal::SeenDeviceId(number)),
        (None, Some(number)) => Some(Refusal::Withdrawn(number)),
        (None, None) => {
            if let Some(number) = find(SEEN_UEID, &[ueid])? {
                Some(Refusal::SeenUeid(number))
            } else if let Some(number) = find(SEEN_PUBLIC_KEY, &[key])? {
                Some(Refusal::SeenPublicKey(number))
            } else {
                // Without one this is NULL, which equals nothing.
                find(SEEN_SERIAL_NUMBER, &[&serial_number])?.map(Refusal::SeenSerialNumber)
            }
        }
    })
}

/// What the ledger says of an outcome: whether it knows the part.
fn judge(
    connection: &Connection,
    attempt: u64,
    new: &NewOutcome,
) -> rusqlite::Result<(Outcome, Option<Refusal>)> {
    let (end, refusal) = match &new.end {
        NewEnd::Failed(failed) => (End::Failed(failed.clone()), None),
        NewEnd::Good(NewEntry { identity, record }) => {
            let part = (identity.device_id, identity.ueid());
            let refusal = seen(connection, identity, new.serial_number.as_deref())?;
            let end = match refusal {
                None => {
                    let number = last_entry(connection)? + 1;
                    End::Good(Entry { number, identity: *identity, record: record.clone() })
                }
                Some(Refusal::Known(seen)) => End::Known { seen, part },
                Some(refusal) => End::Failed(Failed {
                    error: SEEN_BEFORE.to_owned(),
                    text: refusal.to_string(),
                    seen: Some(refusal.number()),
                    part: Some(part),
                    failure: None,
                }),
            };
            (end, refusal)
        }
    };
    let entry = match &end {
        End::Good(entry) => Some(entry),
        _ => None,
    };
    let NewOutcome { serial_number, image, steps, console, .. } = new.clone();
    let console = Text::pack(console, entry);
    Ok((Outcome { attempt, end, serial_number, image, steps, console }, refusal))
}

/// Whether another run of the part of an outcome is known that was not good.
fn failed_before(connection: &Connection, outcome: &Outcome) -> rusqlite::Result<bool> {
    let Outcome { attempt, serial_number, .. } = outcome;
    connection.prepare_cached(FAILED_BEFORE)?.query_row(
        params![
            serial_number,
            outcome.part().map(|(device_id, _)| device_id.0),
            attempt.cast_signed()
        ],
        |row| row.get(0),
    )
}

pub(super) fn insert(connection: &Connection, link: &Link) -> rusqlite::Result<()> {
    let mut columns = link.columns();
    columns.push(link.hash.to_vec().into());
    connection.prepare_cached(INSERT_LINK)?.execute(params_from_iter(columns))?;
    for (statement, columns) in link.fact.rows() {
        let columns = std::iter::once(link.number.cast_signed().into()).chain(columns);
        connection.prepare_cached(statement)?.execute(params_from_iter(columns))?;
    }
    Ok(())
}

impl Kept {
    const fn link(link: Receipt) -> Self {
        Self { link, entry: None, is_retry: false }
    }
}

#[cfg(test)]
mod tests {
    use provisioning::{ImplementationId, PublicKey};
    use rusqlite::StatementStatus;
    use rusqlite::config::DbConfig;

    use super::super::link::{
        INSERT_ATTEMPT, INSERT_ENTRY, INSERT_EXPORT, INSERT_OUTCOME, INSERT_PROGRAM,
        INSERT_WITHDRAWAL,
    };
    use super::*;
    use crate::DeviceId;

    fn ledger() -> (tempfile::TempDir, Ledger) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open_or_create(&folder.path().join("ledger")).unwrap();
        (folder, ledger)
    }

    /// How SQLite would run `statement`, with the triggers that it fires.
    fn plan(connection: &Connection, statement: &str) -> Vec<String> {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let steps = statement.raw_query().mapped(|row| row.get("detail"));
        steps.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn an_append_reads_as_much_of_a_long_ledger_as_of_a_short_one() {
        let (_folder, ledger) = ledger();
        let connection = &ledger.connection;
        let foreign_keys: bool =
            connection.pragma_query_value(None, "foreign_keys", |row| row.get(0)).unwrap();
        assert!(!foreign_keys, "SQLite would look for rows that refer to a new one");
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRIGGER_EQP, true).unwrap();
        let scans = |statement| {
            let plan = plan(connection, statement);
            // A query without a table is one row, and so is the origin; a highest number is the last row of its table.
            let highest = ["SEARCH links", "SEARCH entries", "SEARCH sqlite_sequence"];
            let scan = |step: &&String| {
                step.starts_with("SCAN")
                    && !["SCAN CONSTANT ROW", "SCAN origin"].contains(&step.as_str())
                    // SQLite calls a highest value so, too, for which it looks at every row.
                    || step.starts_with("SEARCH")
                        && !step.contains(" USING ")
                        && !highest.contains(&step.as_str())
            };
            plan.iter().filter(scan).cloned().collect::<Vec<_>>()
        };
        assert_eq!(scans("SELECT number FROM entries WHERE record = x''"), ["SCAN entries"]);
        assert_eq!(scans("SELECT max(first) FROM exports WHERE profile = ''"), ["SEARCH exports"]);
        for statement in [
            LAST,
            ORIGIN,
            HIGHEST,
            LAST_ENTRY,
            LAST_ENTRY_UP_TO,
            SEEN_DEVICE_ID,
            SEEN_PART,
            SEEN_UEID,
            SEEN_PUBLIC_KEY,
            SEEN_SERIAL_NUMBER,
            FAILED_BEFORE,
            GIVEN,
            INSERT_LINK,
            INSERT_ATTEMPT,
            INSERT_OUTCOME,
            INSERT_ENTRY,
            INSERT_PROGRAM,
            INSERT_WITHDRAWAL,
            INSERT_EXPORT,
        ] {
            assert_eq!(scans(statement), [""; 0], "{statement}");
        }
        // What a trigger looks up is in the plan: number, link, device ID, UEID, public key and serial number.
        let insert = plan(connection, INSERT_ENTRY);
        let searches = insert.iter().filter(|step| step.starts_with("SEARCH entries")).count();
        assert_eq!(searches, 6, "{insert:?}");
    }

    #[test]
    fn no_statement_is_planned_anew_for_each_part() {
        let (_folder, mut ledger) = ledger();
        for number in 0..3 {
            let serial_number = Some(format!("SN-{number}"));
            let attempt = Attempt { serial_number: serial_number.clone(), ..Attempt::default() };
            let key = p256::SecretKey::from_slice(&[number + 1; 32]).unwrap().public_key();
            let identity = Identity {
                device_id: DeviceId([number; 8]),
                implementation_id: ImplementationId::from_bytes([0xAA; 32]).unwrap(),
                public_key: PublicKey::from_sec1_bytes(&key.to_sec1_bytes()).unwrap(),
            };
            let outcome = NewOutcome {
                attempt: Begun::Now(attempt),
                end: NewEnd::Good(NewEntry { identity, record: vec![number] }),
                serial_number,
                image: None,
                steps: Vec::new(),
                console: Transcript::default(),
            };
            let kept = ledger.append(&[New::Outcome(Box::new(outcome))]).unwrap();
            assert!(matches!(kept[0].entry, Some(Ok(_))));
        }
        for statement in [SEEN_DEVICE_ID, SEEN_SERIAL_NUMBER, FAILED_BEFORE, INSERT_OUTCOME] {
            let statement = ledger.connection.prepare_cached(statement).unwrap();
            assert!(statement.get_status(StatementStatus::Run) >= 3);
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
        }
    }

    #[test]
    fn what_has_ended_is_synced_and_what_has_only_begun_is_not() {
        let (_folder, mut ledger) = ledger();
        let synchronous = |ledger: &Ledger| -> i32 {
            ledger.connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap()
        };
        let (full, normal) = (2, 1);
        let attempt = Attempt { port: String::from("port"), ..Attempt::default() };
        let outcome = |attempt| {
            New::Outcome(Box::new(NewOutcome {
                attempt,
                end: NewEnd::Failed(Failed::default()),
                serial_number: None,
                image: None,
                steps: Vec::new(),
                console: Transcript::default(),
            }))
        };
        let begun = || New::Attempt(attempt.clone());
        let now = || Begun::Now(attempt.clone());
        for (news, expected) in [
            (vec![begun()], normal),
            (vec![outcome(Begun::Link(1))], full),
            (vec![begun(), begun()], normal),
            (vec![begun(), outcome(now()), begun()], full),
        ] {
            ledger.append(&news).unwrap();
            assert_eq!(synchronous(&ledger), expected, "{news:?}");
        }
    }
}
