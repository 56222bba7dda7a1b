// SPDX-License-Identifier: Apache-2.0

//! What a page reads of the hub, again and again: its ledgers, the links behind those that were read before, the links
//! of one run.

use std::time::SystemTime;

use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row};

use super::audit::LedgerAudit;
use super::look_up::Same;
use super::push::to_hash;
use super::status::time;
use super::{Hub, HubError};
use crate::ledger::{Checkpoint, CheckpointProblem, FOUND, Link, Origin, PartName, Receipt};

// The first columns are those of an audit.
const LEDGERS: &str = "SELECT s.station, s.role, s.key, s.batch, s.continues_format, s.continues_number, s.continues_head, \
        s.origin, s.predecessor, last.number, last.hash, last.time, signed.note, signed.pushed \
    FROM hub.stations s \
    LEFT JOIN LATERAL (SELECT l.number, l.hash, l.time FROM hub.links l WHERE l.station = s.station \
        ORDER BY l.number DESC LIMIT 1) last ON true \
    LEFT JOIN LATERAL (SELECT c.note, c.pushed FROM hub.checkpoints c WHERE c.station = s.station \
        ORDER BY c.number DESC LIMIT 1) signed ON true \
    ORDER BY s.station";
const CONTESTS: &str = "SELECT c.station, a.role, e.entry, ao.attempt, c.holder_station, b.role, p.entry, bo.attempt, \
        c.device_id, c.ueid, c.public_key, c.serial_number, c.found \
    FROM hub.open_conflicts c \
    JOIN hub.entries e ON (e.station, e.link) = (c.station, c.link) \
    JOIN hub.parts p ON (p.station, p.link) = (c.holder_station, c.holder_link) \
    JOIN hub.outcomes ao ON (ao.station, ao.link) = (c.station, c.link) \
    JOIN hub.outcomes bo ON (bo.station, bo.link) = (c.holder_station, c.holder_link) \
    JOIN hub.stations a ON a.station = c.station JOIN hub.stations b ON b.station = c.holder_station \
    ORDER BY c.found, c.station, c.link";
const FROM: &str = "SELECT l.content FROM hub.links l WHERE l.station = $1 AND l.number >= $2 ORDER BY l.number LIMIT $3";
const AT: &str = "SELECT l.content FROM hub.links l WHERE l.station = $1 AND l.number = ANY($2) ORDER BY l.number";

/// What the hub has at one moment.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The ledgers, in the order in which the hub came to know them.
    pub ledgers: Vec<Listed>,
    /// The conflicts that are open, the oldest first.
    pub contests: Vec<Contest>,
}

/// A ledger at the hub.
#[derive(Clone, Debug)]
pub struct Listed {
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
    /// Its last link; number 0 and the origin where it has none. It was not verified.
    pub head: Receipt,
    /// The time of that link, by the station's clock.
    pub time: Option<Timestamp>,
    /// Its last checkpoint, if its signature is good; whether it is of a link of the chain, the caller sees by the hash.
    pub checkpoint: Option<Result<Checkpoint, CheckpointProblem>>,
    /// When that came, by the hub's clock.
    pub pushed: Option<Timestamp>,
}

/// A conflict that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contest {
    /// The claim that came second.
    pub second: Claim,
    /// The claim that is the part.
    pub holder: Claim,
    /// What is the same.
    pub same: Same,
    /// When the hub saw it.
    pub found: Timestamp,
}

/// An entry of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The number of the ledger at the hub.
    pub station: i32,
    /// The role that pushes it.
    pub role: String,
    /// The number of the entry.
    pub entry: u64,
    /// The link of its attempt.
    pub attempt: u64,
}

impl Hub {
    /// What the hub has, at one moment.
    ///
    /// # Errors
    /// The hub cannot be asked.
    pub fn listing(&mut self) -> Result<Listing, HubError> {
        let config = self.config.clone();
        let (ledgers, contests) = self.call(async |client| {
            let error = |error| HubError::of(&config, error);
            let begin = client
                .build_transaction()
                .isolation_level(IsolationLevel::RepeatableRead)
                .read_only(true);
            let moment = begin.start().await.map_err(error)?;
            let ledgers = moment.query(LEDGERS, &[]).await.map_err(error)?;
            let contests = moment.query(CONTESTS, &[]).await.map_err(error)?;
            moment.commit().await.map_err(error)?;
            Ok((ledgers, contests))
        })?;
        Ok(Listing {
            ledgers: ledgers.iter().map(listed).collect(),
            contests: contests.iter().map(contest).collect(),
        })
    }

    /// At most `limit` links of this ledger behind `from`. Each is the content of a link and follows the one before it,
    /// and `from` is still there. With the number 0, `from` has the hash of the origin.
    ///
    /// # Errors
    /// The hub cannot be asked, or the chain does not hold.
    pub fn follow(
        &mut self,
        station: i32,
        from: Receipt,
        limit: u32,
    ) -> Result<Vec<Link>, HubError> {
        let first = from.number.max(1).cast_signed();
        let limit = i64::from(limit) + i64::from(from.number > 0);
        let mut links = self.links(FROM, &[&station, &first, &limit])?.into_iter();
        if from.number > 0 {
            match links.next() {
                Some(link) if link.number == from.number && link.hash == from.hash => {}
                Some(_) => return Err(HubError::Content(from.number, from.number - 1)),
                None => return Err(HubError::Lacks(from.number)),
            }
        }
        let mut last = from;
        let mut followed = Vec::with_capacity(links.len());
        for link in links {
            if link.number != last.number + 1 || link.previous != last.hash {
                return Err(HubError::Content(link.number, last.number));
            }
            last = Receipt { number: link.number, hash: link.hash };
            followed.push(link);
        }
        Ok(followed)
    }

    /// The links of these numbers, where they are there. Each has the hash of its content; whether it is in the chain,
    /// the caller sees by the hash.
    ///
    /// # Errors
    /// The hub cannot be asked, or a content is not that of a link.
    pub fn links_at(&mut self, station: i32, numbers: &[u64]) -> Result<Vec<Link>, HubError> {
        let numbers: Vec<_> = numbers.iter().map(|number| number.cast_signed()).collect();
        self.links(AT, &[&station, &numbers])
    }

    fn links(
        &mut self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Link>, HubError> {
        let config = self.config.clone();
        let rows = self.call(async |client| {
            client.query(statement, parameters).await.map_err(|error| HubError::of(&config, error))
        })?;
        let mut last = 0;
        let mut links = Vec::with_capacity(rows.len());
        for row in rows {
            let link = Link::from_content(row.get(0));
            let link = link.map_err(|_| HubError::Content(last + 1, last))?;
            last = link.number;
            links.push(link);
        }
        Ok(links)
    }

    /// The last attempts of a part in all ledgers, [`FOUND`] at most, the newest first: ledger and link. The tables beside
    /// the links say so, which only an audit compares with them.
    ///
    /// # Errors
    /// The hub cannot be asked.
    pub fn attempts_of(&mut self, part: &PartName) -> Result<Vec<(i32, u64)>, HubError> {
        let (found, value): (_, &(dyn ToSql + Sync)) = match part {
            PartName::SerialNumber(text) => (
                "SELECT station, link AS attempt FROM hub.attempts WHERE serial_number = $1 \
                 UNION SELECT station, attempt FROM hub.outcomes WHERE serial_number = $1",
                text,
            ),
            PartName::DeviceId(id) => {
                ("SELECT station, attempt FROM hub.outcomes WHERE device_id = $1", &&id.0[..])
            }
            PartName::Ueid(ueid) => {
                ("SELECT station, attempt FROM hub.outcomes WHERE ueid = $1", &&ueid[..])
            }
        };
        let statement = format!(
            "SELECT l.station, l.number FROM ({found}) found \
             JOIN hub.links l ON (l.station, l.number) = (found.station, found.attempt) \
             ORDER BY l.time DESC, l.station DESC, l.number DESC LIMIT {FOUND}"
        );
        let config = self.config.clone();
        self.call(async |client| {
            let error = |error| HubError::of(&config, error);
            let moment = client.build_transaction().read_only(true).start().await.map_err(error)?;
            // No index has these: a person who searches waits for a table to be read.
            moment.batch_execute("SET LOCAL enable_seqscan = on").await.map_err(error)?;
            let rows = moment.query(&statement, &[value]).await.map_err(error)?;
            moment.commit().await.map_err(error)?;
            Ok(rows.iter().map(|row| (row.get(0), number(row, 1))).collect())
        })
    }
}

fn number(row: &Row, at: usize) -> u64 {
    row.get::<_, i64>(at).cast_unsigned()
}

fn listed(row: &Row) -> Listed {
    let LedgerAudit { station, role, origin, origin_hash, predecessor, .. } = LedgerAudit::new(row);
    let head = match row.get::<_, Option<i64>>(9) {
        Some(number) => Receipt { number: number.cast_unsigned(), hash: to_hash(row.get(10)) },
        None => Receipt { number: 0, hash: origin_hash },
    };
    let of = |at| row.get::<_, Option<SystemTime>>(at).map(time);
    let checkpoint = row.get::<_, Option<&str>>(12).map(|note| match origin.verifier() {
        Some(verifier) => Checkpoint::open(note.as_bytes(), &verifier),
        None => Err(CheckpointProblem::NoKey),
    });
    let (time, pushed) = (of(11), of(13));
    Listed { station, role, origin, origin_hash, predecessor, head, time, checkpoint, pushed }
}

fn contest(row: &Row) -> Contest {
    let claim = |at| Claim {
        station: row.get(at),
        role: row.get(at + 1),
        entry: number(row, at + 2),
        attempt: number(row, at + 3),
    };
    Contest {
        second: claim(0),
        holder: claim(4),
        same: Same {
            device_id: row.get(8),
            ueid: row.get(9),
            public_key: row.get(10),
            serial_number: row.get(11),
        },
        found: time(row.get(12)),
    }
}
