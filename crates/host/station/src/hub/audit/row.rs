// SPDX-License-Identifier: Apache-2.0

//! A link at the hub, and the rows beside it.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::LedgerAudit;
use crate::ledger::{Checked, ContentError, End, Entry, Fact, GENESIS, Link, Problem};

/// The tables that have rows beside links.
pub(super) const TABLES: [&str; 5] = ["attempts", "outcomes", "entries", "withdrawals", "parts"];

// Where the columns of a table begin: the first shows whether there is a row.
const ATTEMPTS: usize = 6;
const OUTCOMES: usize = 10;
const ENTRIES: usize = 18;
const WITHDRAWALS: usize = 25;
const PARTS: usize = 28;
const BEGINNINGS: [usize; 5] = [ATTEMPTS, OUTCOMES, ENTRIES, WITHDRAWALS, PARTS];
const PART_WITHDRAWN: usize = PARTS + 7;
/// Whether it is the claim of the ledger that this one continues.
const CARRIED: usize = PART_WITHDRAWN + 1;
/// Whether it was in conflict.
const LOST: usize = CARRIED + 1;
/// Whether it was withdrawn.
const WITHDRAWN: usize = LOST + 1;

/// The links of a ledger with all that is beside them, in their order.
pub(super) fn statement(ledger: &LedgerAudit) -> String {
    let station = ledger.station;
    // No ledger has the number 0.
    let (predecessor, last) = match (ledger.predecessor, &ledger.origin.continues) {
        (Some(predecessor), Some(old)) => (predecessor, old.number.cast_signed()),
        _ => (0, 0),
    };
    format!(
        "SELECT l.number, l.previous, l.hash, l.kind, l.time, l.content, \
            a.link, a.port, a.batch, a.serial_number, \
            o.link, o.attempt, o.result, o.error, o.failure, o.serial_number, o.device_id, o.ueid, \
            e.link, e.entry, e.device_id, e.implementation_id, e.ueid, e.public_key, e.serial_number, \
            w.link, w.entry, w.reason, \
            p.link, p.entry, p.device_id, p.implementation_id, p.ueid, p.public_key, p.serial_number, \
                p.withdrawn IS NOT NULL, \
            old.link IS NOT NULL, \
            e.link IS NOT NULL AND EXISTS \
                (SELECT FROM hub.conflicts c WHERE (c.station, c.link) = (e.station, e.link)), \
            e.link IS NOT NULL AND EXISTS \
                (SELECT FROM hub.withdrawals x WHERE (x.claimed_by, x.claim) = (e.station, e.link)) \
        FROM hub.links l \
        LEFT JOIN hub.attempts a ON a.station = {station} AND a.link = l.number \
        LEFT JOIN hub.outcomes o ON o.station = {station} AND o.link = l.number \
        LEFT JOIN hub.entries e ON e.station = {station} AND e.link = l.number \
        LEFT JOIN hub.withdrawals w ON w.station = {station} AND w.link = l.number \
        LEFT JOIN hub.parts p ON p.station = {station} AND p.link = l.number \
        LEFT JOIN hub.entries old ON old.station = {predecessor} AND old.link = l.number AND l.number <= {last} \
            AND old.ueid = e.ueid AND old.device_id = e.device_id \
        WHERE l.station = {station} ORDER BY l.number"
    )
}

/// A link that was checked, and what is wrong with the rows beside it.
pub(super) struct CheckedRow {
    pub(super) link: Checked,
    /// Tables whose row is not what the link says.
    pub(super) differ: Vec<&'static str>,
    /// The claim is neither a part nor a conflict.
    pub(super) is_lost: bool,
    /// Which of the [`TABLES`] have a row.
    pub(super) rows: [bool; 5],
}

/// Checks what does not depend on other links.
pub(super) fn check(row: &Row, check_record: &dyn Fn(&Entry) -> Result<(), String>) -> CheckedRow {
    let number = row.try_get(0).map_or(0, i64::cast_unsigned);
    let hash = row.try_get(2).ok().and_then(|hash: &[u8]| hash.try_into().ok()).unwrap_or(GENESIS);
    let content: &[u8] = row.try_get(5).unwrap_or_default();
    let computed = digest(&SHA256, content).as_ref().try_into().ok();
    let rows = BEGINNINGS.map(|at| row.try_get(at).is_ok_and(|link: Option<i64>| link.is_some()));
    let mut checked = CheckedRow {
        link: Checked {
            number,
            link: Err(Problem::Column(number, "content")),
            hash,
            computed,
            entry: row
                .try_get::<_, Option<i64>>(ENTRIES + 1)
                .ok()
                .flatten()
                .map(i64::cast_unsigned),
            withdrawn: None,
            record: Ok(()),
        },
        differ: Vec::new(),
        is_lost: false,
        rows,
    };
    let link = match Link::from_content(content) {
        Ok(link) => link,
        Err(problem) => {
            if let ContentError::Form(problem) = problem {
                checked.link.link = Err(problem);
            }
            return checked;
        }
    };
    let is_link = same(row, 0, link.number.cast_signed())
        && same(row, 1, &link.previous[..])
        && same(row, 3, link.fact.kind())
        && same(row, 4, to_sql(link.time));
    if !is_link {
        checked.differ.push("links");
    }
    for (table, is_right) in TABLES.iter().zip([
        attempt(row, &link),
        outcome(row, &link),
        entry(row, &link, ENTRIES),
        withdrawal(row, &link),
        part(row, &link),
    ]) {
        if !is_right {
            checked.differ.push(table);
        }
    }
    let is = |at| row.try_get(at).unwrap_or(false);
    // What was carried over is the claim of the ledger before.
    checked.is_lost =
        link.entry().is_some() && if is(CARRIED) { is(LOST) } else { !rows[4] && !is(LOST) };
    checked.link.record = link.entry().map_or(Ok(()), check_record);
    // What the chain is made of is the column.
    checked.link.link = Ok(Link { hash, ..link });
    checked
}

/// Whether a column has this value.
#[expect(clippy::needless_pass_by_value, reason = "what is compared is small, and made for it")]
fn same<'a, T: FromSql<'a> + PartialEq>(row: &'a Row, at: usize, value: T) -> bool {
    row.try_get::<_, T>(at).is_ok_and(|found| found == value)
}

fn is_absent(row: &Row, at: usize) -> bool {
    same(row, at, None::<i64>)
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// To the millisecond, as a link has it.
fn to_sql(time: Timestamp) -> SystemTime {
    let milliseconds = time.as_millisecond();
    let far = Duration::from_millis(milliseconds.unsigned_abs());
    if milliseconds < 0 { SystemTime::UNIX_EPOCH - far } else { SystemTime::UNIX_EPOCH + far }
}

fn attempt(row: &Row, link: &Link) -> bool {
    let Fact::Attempt(attempt) = &link.fact else { return is_absent(row, ATTEMPTS) };
    same(row, ATTEMPTS, Some(integer(link.number)))
        && same(row, ATTEMPTS + 1, Some(attempt.port.as_str()))
        && same(row, ATTEMPTS + 2, attempt.batch.as_deref())
        && same(row, ATTEMPTS + 3, attempt.serial_number.as_deref())
}

fn outcome(row: &Row, link: &Link) -> bool {
    let Fact::Outcome(outcome) = &link.fact else { return is_absent(row, OUTCOMES) };
    let failed = match &outcome.end {
        End::Failed(failed) => Some(failed),
        _ => None,
    };
    let part = outcome.part();
    let device_id = part.as_ref().map(|(device_id, _)| &device_id.0[..]);
    let ueid = part.as_ref().map(|(_, ueid)| &ueid.as_bytes()[..]);
    same(row, OUTCOMES, Some(integer(link.number)))
        && same(row, OUTCOMES + 1, Some(integer(outcome.attempt)))
        && same(row, OUTCOMES + 2, Some(outcome.end.name()))
        && same(row, OUTCOMES + 3, failed.map(|failed| failed.error.as_str()))
        && same(row, OUTCOMES + 4, failed.and_then(|failed| failed.failure).map(i16::from))
        && same(row, OUTCOMES + 5, outcome.serial_number.as_deref())
        && same(row, OUTCOMES + 6, device_id)
        && same(row, OUTCOMES + 7, ueid)
}

/// The row of an entry, in `entries` or in `parts`.
fn entry(row: &Row, link: &Link, at: usize) -> bool {
    let Some(entry) = link.entry() else { return is_absent(row, at) };
    let identity = &entry.identity;
    same(row, at, Some(integer(link.number)))
        && same(row, at + 1, Some(integer(entry.number)))
        && same(row, at + 2, Some(&identity.device_id.0[..]))
        && same(row, at + 3, Some(&identity.implementation_id.as_bytes()[..]))
        && same(row, at + 4, Some(&identity.ueid().as_bytes()[..]))
        && same(row, at + 5, Some(&identity.public_key.as_bytes()[..]))
        && same(row, at + 6, link.serial_number())
}

fn withdrawal(row: &Row, link: &Link) -> bool {
    let Fact::Withdrawal(withdrawal) = &link.fact else { return is_absent(row, WITHDRAWALS) };
    same(row, WITHDRAWALS, Some(integer(link.number)))
        && same(row, WITHDRAWALS + 1, Some(integer(withdrawal.entry)))
        && same(row, WITHDRAWALS + 2, Some(withdrawal.reason.as_str()))
}

/// Whether the part, if there is one, is what the entry says, and withdrawn if there is a withdrawal.
fn part(row: &Row, link: &Link) -> bool {
    is_absent(row, PARTS)
        || entry(row, link, PARTS)
            && same(row, CARRIED, false)
            && row.try_get::<_, bool>(WITHDRAWN).is_ok_and(|is| same(row, PART_WITHDRAWN, is))
}
