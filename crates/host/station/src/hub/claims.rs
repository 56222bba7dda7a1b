// SPDX-License-Identifier: Apache-2.0

//! A batch of links as the hub's tables have them: a column is an array, so that a statement takes a whole batch.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Transaction};

use crate::ledger::{End, Entry, Fact, Link, Outcome};

// A link that is there already is left as it is, and so is what belongs to it: the caller compares.
const LINKS: &str = "INSERT INTO hub.links (station, number, previous, hash, kind, time, content) \
    SELECT $1, * FROM unnest($2::bigint[], $3::bytea[], $4::bytea[], $5::text[], $6::timestamptz[], $7::bytea[]) \
    ON CONFLICT (station, number) DO NOTHING";
const ATTEMPTS: &str = "INSERT INTO hub.attempts (station, link, port, batch, serial_number) \
    SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[]) ON CONFLICT (station, link) DO NOTHING";
const OUTCOMES: &str = "INSERT INTO hub.outcomes \
    (station, link, attempt, result, error, failure, serial_number, device_id, ueid) \
    SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::smallint[], $7::text[], \
    $8::bytea[], $9::bytea[]) ON CONFLICT (station, link) DO NOTHING";
const ENTRIES: &str = "INSERT INTO hub.entries \
    (station, link, entry, device_id, implementation_id, ueid, public_key, serial_number) \
    SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[], \
    $8::text[]) ON CONFLICT (station, link) DO NOTHING";
const WITHDRAWALS: &str = "INSERT INTO hub.withdrawals (station, link, entry, reason) \
    SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::text[]) ON CONFLICT (station, link) DO NOTHING";
const TAKE_TURN: &str = "SELECT hub.take_turn(true)";

/// A link and its content.
type Sent = (Link, Vec<u8>);

/// Columns that follow the station's.
type Columns = Vec<Box<dyn ToSql + Sync + Send>>;

/// Inserts links with what they say, in an order in which a withdrawal is after what is before it in the chain, and
/// before what is behind it. It gives how many links were new.
pub(super) async fn insert(
    transaction: &Transaction<'_>,
    station: i32,
    links: &[Sent],
) -> Result<u64, Error> {
    let is_withdrawal = |(link, _): &Sent| matches!(link.fact, Fact::Withdrawal(_));
    if links.iter().any(is_withdrawal) {
        // From the start: two that want it in the middle would wait for each other.
        transaction.execute(TAKE_TURN, &[]).await?;
    }
    let mut new = 0;
    for part in links.split_inclusive(is_withdrawal) {
        new += put(transaction, LINKS, station, link_columns(part)).await?;
        for (statement, columns) in [
            (ATTEMPTS, attempts(part)),
            (OUTCOMES, outcomes(part)),
            (ENTRIES, entries(part)),
            (WITHDRAWALS, withdrawals(part)),
        ] {
            if let Some(columns) = columns {
                put(transaction, statement, station, columns).await?;
            }
        }
    }
    Ok(new)
}

async fn put(
    transaction: &Transaction<'_>,
    statement: &str,
    station: i32,
    columns: Columns,
) -> Result<u64, Error> {
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&station];
    parameters.extend(columns.iter().map(|column| &**column as &(dyn ToSql + Sync)));
    transaction.execute(statement, &parameters).await
}

/// One column of these rows.
fn column<R, T>(rows: &[R], of: impl Fn(&R) -> T) -> Box<dyn ToSql + Sync + Send>
where
    Vec<T>: ToSql + Sync + Send + 'static,
{
    Box::new(rows.iter().map(of).collect::<Vec<T>>())
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// To the millisecond, as a link has it.
fn time(time: Timestamp) -> SystemTime {
    let milliseconds = time.as_millisecond();
    let far = Duration::from_millis(milliseconds.unsigned_abs());
    if milliseconds < 0 { SystemTime::UNIX_EPOCH - far } else { SystemTime::UNIX_EPOCH + far }
}

fn link_columns(links: &[Sent]) -> Columns {
    vec![
        column(links, |(link, _)| integer(link.number)),
        column(links, |(link, _)| link.previous.to_vec()),
        column(links, |(link, _)| link.hash.to_vec()),
        column(links, |(link, _)| link.fact.kind()),
        column(links, |(link, _)| time(link.time)),
        column(links, |(_, content)| content.clone()),
    ]
}

fn attempts(links: &[Sent]) -> Option<Columns> {
    let rows: Vec<_> = links
        .iter()
        .filter_map(|(link, _)| match &link.fact {
            Fact::Attempt(attempt) => Some((link.number, attempt)),
            _ => None,
        })
        .collect();
    (!rows.is_empty()).then(|| {
        vec![
            column(&rows, |(link, _)| integer(*link)),
            column(&rows, |(_, attempt)| attempt.port.clone()),
            column(&rows, |(_, attempt)| attempt.batch.clone()),
            column(&rows, |(_, attempt)| attempt.serial_number.clone()),
        ]
    })
}

fn outcomes(links: &[Sent]) -> Option<Columns> {
    let rows: Vec<_> = links
        .iter()
        .filter_map(|(link, _)| match &link.fact {
            Fact::Outcome(outcome) => Some((link.number, &**outcome)),
            _ => None,
        })
        .collect();
    let failed = |outcome: &Outcome| match &outcome.end {
        End::Failed(failed) => Some((failed.error.clone(), failed.failure)),
        _ => None,
    };
    (!rows.is_empty()).then(|| {
        vec![
            column(&rows, |(link, _)| integer(*link)),
            column(&rows, |(_, outcome)| integer(outcome.attempt)),
            column(&rows, |(_, outcome)| outcome.end.name()),
            column(&rows, |(_, outcome)| failed(outcome).map(|(error, _)| error)),
            column(&rows, |(_, outcome)| failed(outcome)?.1.map(i16::from)),
            column(&rows, |(_, outcome)| outcome.serial_number.clone()),
            column(&rows, |(_, outcome)| Some(outcome.part()?.0.0.to_vec())),
            column(&rows, |(_, outcome)| Some(outcome.part()?.1.as_bytes().to_vec())),
        ]
    })
}

fn entries(links: &[Sent]) -> Option<Columns> {
    let rows: Vec<(&Link, &Entry)> =
        links.iter().filter_map(|(link, _)| Some((link, link.entry()?))).collect();
    (!rows.is_empty()).then(|| {
        vec![
            column(&rows, |(link, _)| integer(link.number)),
            column(&rows, |(_, entry)| integer(entry.number)),
            column(&rows, |(_, entry)| entry.identity.device_id.0.to_vec()),
            column(&rows, |(_, entry)| entry.identity.implementation_id.as_bytes().to_vec()),
            column(&rows, |(_, entry)| entry.identity.ueid().as_bytes().to_vec()),
            column(&rows, |(_, entry)| entry.identity.public_key.as_bytes().to_vec()),
            column(&rows, |(link, _)| link.serial_number().map(str::to_owned)),
        ]
    })
}

fn withdrawals(links: &[Sent]) -> Option<Columns> {
    let rows: Vec<_> = links
        .iter()
        .filter_map(|(link, _)| match &link.fact {
            Fact::Withdrawal(withdrawal) => Some((link.number, withdrawal)),
            _ => None,
        })
        .collect();
    (!rows.is_empty()).then(|| {
        vec![
            column(&rows, |(link, _)| integer(*link)),
            column(&rows, |(_, withdrawal)| integer(withdrawal.entry)),
            column(&rows, |(_, withdrawal)| withdrawal.reason.clone()),
        ]
    })
}
