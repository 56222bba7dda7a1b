// SPDX-License-Identifier: Apache-2.0

//! What can only be seen of all ledgers together: rows without a link, what no two parts may share, conflicts, exports.

use tokio_postgres::Row;

use super::row::TABLES;
use super::{HubAudit, HubProblem};
use crate::hub::HubError;
use crate::hub::snapshot::Snapshot;
use crate::ledger::PROBLEMS_LISTED;

/// Rows of no link that are named.
const NAMED: usize = 10;

/// The claim that a withdrawal withdraws, worked out anew: up the ledgers that were continued, as long as they have the
/// same entry under the same number. The first of them has the lowest number.
const WITHDRAWALS: &str = "WITH RECURSIVE up AS ( \
        SELECT w.station, w.link AS withdrawal, e.link, e.station AS claimed_by \
        FROM hub.withdrawals w JOIN hub.entries e ON (e.station, e.entry) = (w.station, w.entry) \
        UNION ALL \
        SELECT up.station, up.withdrawal, up.link, old.station \
        FROM up JOIN hub.stations s ON s.station = up.claimed_by \
        JOIN hub.entries mine ON (mine.station, mine.link) = (up.claimed_by, up.link) \
        JOIN hub.entries old ON (old.station, old.link) = (s.predecessor, up.link) \
        WHERE up.link <= s.continues_number AND (old.ueid, old.device_id) = (mine.ueid, mine.device_id)), \
    claims AS (SELECT station, withdrawal, link, min(claimed_by) AS claimed_by FROM up GROUP BY 1, 2, 3) \
    SELECT w.station, w.link FROM hub.withdrawals w \
    LEFT JOIN claims c ON (c.station, c.withdrawal) = (w.station, w.link) \
    WHERE (w.claimed_by, w.claim) IS DISTINCT FROM (c.claimed_by, c.link)";

/// It is before the ledger, and has the link that is continued, or else is of the same role.
const PREDECESSORS: &str = "SELECT s.station, s.predecessor FROM hub.stations s \
    LEFT JOIN hub.stations o ON o.station = s.predecessor AND o.station < s.station \
    WHERE s.predecessor IS NOT NULL AND (s.continues_number IS NULL OR o.station IS NULL OR NOT (o.role = s.role OR EXISTS \
        (SELECT FROM hub.links l WHERE (l.station, l.number, l.hash) = (o.station, s.continues_number, s.continues_head))))";

const CONFLICTS: &str = "SELECT c.station, c.link, c.holder_station, c.holder_link FROM hub.conflicts c \
    LEFT JOIN hub.entries e ON (e.station, e.link) = (c.station, c.link) \
    LEFT JOIN hub.parts p ON (p.station, p.link) = (c.holder_station, c.holder_link) \
    WHERE (c.device_id, c.ueid, c.public_key, c.serial_number) IS DISTINCT FROM \
        (e.device_id = p.device_id, e.ueid = p.ueid, e.public_key = p.public_key, \
        coalesce(e.serial_number = p.serial_number, false)) \
    OR NOT (c.device_id OR c.ueid OR c.public_key OR c.serial_number) \
    OR (c.station, c.link) = (c.holder_station, c.holder_link)";

/// Each claim that was ever in conflict has a row in `contested` as its entry says, and no other claim has one.
const CONTESTED: &str = "SELECT coalesce(t.station, c.station), coalesce(t.link, c.link) FROM hub.contested t \
    FULL JOIN (SELECT DISTINCT station, link FROM hub.conflicts) c ON (c.station, c.link) = (t.station, t.link) \
    LEFT JOIN hub.entries e ON (e.station, e.link) = (t.station, t.link) \
    WHERE t.station IS NULL OR c.station IS NULL \
    OR (t.device_id, t.ueid, t.public_key, t.serial_number) IS DISTINCT FROM \
        (e.device_id, e.ueid, e.public_key, e.serial_number) \
    ORDER BY 1, 2";

/// A claim that waits is in conflict with every part that stands in its way.
const NO_CONFLICT: &str = "WITH waiting AS ( \
        SELECT DISTINCT e.station, e.link, e.device_id, e.ueid, e.public_key, e.serial_number \
        FROM hub.conflicts c JOIN hub.entries e ON (e.station, e.link) = (c.station, c.link) \
        WHERE NOT EXISTS (SELECT FROM hub.parts p WHERE (p.station, p.link) = (c.station, c.link)) \
        AND NOT EXISTS (SELECT FROM hub.withdrawals w WHERE (w.claimed_by, w.claim) = (c.station, c.link))), \
    pairs AS ( \
        SELECT w.station, w.link, p.station AS of, p.link AS at FROM waiting w JOIN hub.parts p ON p.ueid = w.ueid \
        UNION SELECT w.station, w.link, p.station, p.link FROM waiting w JOIN hub.parts p ON p.public_key = w.public_key \
        UNION SELECT w.station, w.link, p.station, p.link FROM waiting w \
            JOIN hub.parts p ON p.device_id = w.device_id AND p.withdrawn IS NULL \
        UNION SELECT w.station, w.link, p.station, p.link FROM waiting w \
            JOIN hub.parts p ON p.serial_number = w.serial_number AND p.withdrawn IS NULL) \
    SELECT pairs.station, pairs.link, pairs.of, pairs.at FROM pairs WHERE NOT EXISTS (SELECT FROM hub.conflicts c \
        WHERE (c.station, c.link, c.holder_station, c.holder_link) = (pairs.station, pairs.link, pairs.of, pairs.at))";

const EXPORTS: &str = "SELECT x.export, x.parts, coalesce(given.parts, 0) FROM hub.exports x \
    LEFT JOIN (SELECT d.export, d.verifier, count(*) AS parts FROM hub.exported d \
        JOIN hub.parts p ON (p.station, p.link) = (d.station, d.link) GROUP BY 1, 2) given \
        ON (given.export, given.verifier) = (x.export, x.verifier) \
    WHERE x.parts <> coalesce(given.parts, 0) ORDER BY x.export";

/// A submission that the verifier has taken is an export of the same.
const SUBMISSIONS: &str = "SELECT s.submission FROM hub.submissions s \
    LEFT JOIN hub.settled d ON d.submission = s.submission LEFT JOIN hub.exports x ON x.export = d.export \
    WHERE d.export IS NOT NULL AND ((x.verifier, x.profile, x.sha256, x.parts) IS DISTINCT FROM \
            (s.verifier, s.profile, s.sha256, cardinality(s.links)::bigint) \
        OR EXISTS (SELECT FROM unnest(s.stations, s.links) AS part (station, link) WHERE NOT EXISTS \
            (SELECT FROM hub.exported e WHERE (e.verifier, e.station, e.link, e.export) = \
                (s.verifier, part.station, part.link, d.export)))) \
    UNION ALL SELECT d.submission FROM hub.settled d WHERE NOT EXISTS \
        (SELECT FROM hub.submissions s WHERE s.submission = d.submission) \
    ORDER BY 1";

/// What no two parts may share, what it is called, and among which parts.
const SHARED: [(&str, &str, &str); 4] = [
    ("encode(ueid, 'hex')", "UEID", "true"),
    ("encode(public_key, 'hex')", "public key", "true"),
    ("encode(device_id, 'hex')", "device ID", "withdrawn IS NULL"),
    ("serial_number", "serial number", "withdrawn IS NULL AND serial_number IS NOT NULL"),
];

/// Checks all of it. `rows` has how many rows of each of the [`TABLES`] are beside a link.
pub(super) fn check(
    hub: &mut Snapshot,
    audit: &mut HubAudit,
    rows: [u64; 5],
) -> Result<(), HubError> {
    let tables = TABLES.into_iter().zip(rows).map(|(table, rows)| (table, "link", rows));
    let checkpoints = audit.checkpoints;
    let links = audit.links_read();
    for (table, column, expected) in
        tables.chain([("links", "number", links), ("checkpoints", "number", checkpoints)])
    {
        count(hub, audit, table, column, expected)?;
    }
    list(hub, audit, WITHDRAWALS, |row| HubProblem::Withdrawal(row.get(0), number(row, 1)))?;
    let names: Vec<_> =
        audit.ledgers.iter().map(|ledger| (ledger.station, ledger.name())).collect();
    list(hub, audit, PREDECESSORS, |row| {
        let station: i32 = row.get(0);
        let name = names.iter().find(|(number, _)| *number == station);
        HubProblem::Predecessor(name.map_or(String::new(), |(_, name)| name.clone()), row.get(1))
    })?;
    shared(hub, audit)?;
    let pair = |row: &Row| (row.get(0), number(row, 1), row.get(2), number(row, 3));
    list(hub, audit, CONTESTED, |row| HubProblem::Contested(row.get(0), number(row, 1)))?;
    list(hub, audit, CONFLICTS, |row| {
        let (station, link, holder, at) = pair(row);
        HubProblem::Conflict(station, link, holder, at)
    })?;
    // Few claims wait, and submissions are few: each is looked up by the indexes.
    hub.execute("SET LOCAL enable_nestloop = on")?;
    list(hub, audit, NO_CONFLICT, |row| {
        let (station, link, holder, at) = pair(row);
        HubProblem::NoConflict(station, link, holder, at)
    })?;
    list(hub, audit, SUBMISSIONS, |row| HubProblem::Submission(row.get(0)))?;
    hub.execute("SET LOCAL enable_nestloop = off")?;
    list(hub, audit, EXPORTS, |row| HubProblem::Export(row.get(0), row.get(1), row.get(2)))
}

fn number(row: &Row, at: usize) -> u64 {
    row.get::<_, i64>(at).cast_unsigned()
}

/// Each row of a statement is a problem.
fn list(
    hub: &mut Snapshot,
    audit: &mut HubAudit,
    statement: &str,
    problem: impl Fn(&Row) -> HubProblem,
) -> Result<(), HubError> {
    let mut cursor = hub.cursor(statement)?;
    while let Some(rows) = hub.next(&mut cursor)? {
        for row in &rows {
            audit.add(problem(row));
        }
    }
    Ok(())
}

/// Whether a table has the rows that were seen beside links, and no more.
fn count(
    hub: &mut Snapshot,
    audit: &mut HubAudit,
    table: &'static str,
    column: &str,
    expected: u64,
) -> Result<(), HubError> {
    let counted = hub.rows(&format!("SELECT count(*) FROM hub.{table}"), &[])?;
    let found = counted.first().map_or(0, |row| number(row, 0));
    if found == expected {
        return Ok(());
    }
    let stray = match table {
        "links" => "SELECT x.station, x.number FROM hub.links x \
            LEFT JOIN hub.stations s ON s.station = x.station WHERE s.station IS NULL"
            .to_owned(),
        _ => format!(
            "SELECT x.station, x.{column} FROM hub.{table} x \
             LEFT JOIN hub.links l ON (l.station, l.number) = (x.station, x.{column}) WHERE l.station IS NULL"
        ),
    };
    let rows = hub.rows(&format!("{stray} ORDER BY 1, 2 LIMIT {NAMED}"), &[])?;
    let rows = rows.iter().map(|row| (row.get(0), number(row, 1))).collect();
    audit.add(HubProblem::Count { table, found, expected, rows });
    Ok(())
}

/// Without the indexes, which may be what is broken.
fn shared(hub: &mut Snapshot, audit: &mut HubAudit) -> Result<(), HubError> {
    hub.execute("SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off")?;
    for (value, what, among) in SHARED {
        let statement = format!(
            "SELECT {value}, count(*) FROM hub.parts WHERE {among} GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT {PROBLEMS_LISTED}"
        );
        list(hub, audit, &statement, |row| HubProblem::Shared {
            what,
            count: number(row, 1),
            value: row.get(0),
        })?;
    }
    hub.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = on; SET LOCAL enable_bitmapscan = on")
}
