// SPDX-License-Identifier: Apache-2.0

//! What the hub has, in short.

use std::time::SystemTime;

use jiff::Timestamp;
use tokio_postgres::Row;

use super::look_up::Same;
use super::submission::{Submission, UNSETTLED, submission};
use super::{Hub, HubError};

const STATIONS: &str = "SELECT s.station, s.role, s.key, s.batch, s.origin, coalesce(last.number, 0), last.time, \
        (SELECT count(*) FROM hub.parts p WHERE p.station = s.station AND p.withdrawn IS NULL) \
    FROM hub.stations s LEFT JOIN LATERAL \
        (SELECT number, time FROM hub.links l WHERE l.station = s.station ORDER BY number DESC LIMIT 1) last ON true \
    ORDER BY s.station";
pub(super) const CONFLICTS: &str = "SELECT a.role, e.entry, b.role, p.entry, \
        c.device_id, c.ueid, c.public_key, c.serial_number, c.found \
    FROM hub.open_conflicts c \
    JOIN hub.entries e ON (e.station, e.link) = (c.station, c.link) \
    JOIN hub.parts p ON (p.station, p.link) = (c.holder_station, c.holder_link) \
    JOIN hub.stations a ON a.station = c.station JOIN hub.stations b ON b.station = c.holder_station \
    ORDER BY c.found, c.station, c.link";

/// What the hub has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The ledgers, in the order in which the hub came to know them.
    pub stations: Vec<StationStatus>,
    /// The conflicts that are open.
    pub conflicts: Vec<Conflict>,
    /// The submissions of which it is not known whether the verifier has them, at most one for each verifier.
    pub unsettled: Vec<Submission>,
}

/// A ledger at the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationStatus {
    /// Its number at the hub.
    pub station: i32,
    /// The role that pushes it.
    pub role: String,
    /// The station's public key.
    pub key: Vec<u8>,
    /// The batch for which it was begun.
    pub batch: Option<String>,
    /// The hash of its origin.
    pub origin: Vec<u8>,
    /// The number of its last link; 0 where there is none.
    pub links: u64,
    /// The time of that link.
    pub time: Option<Timestamp>,
    /// Its parts that were not withdrawn.
    pub parts: u64,
}

/// Two stations claim a part, or something of it, and neither has withdrawn its entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The role of the station that came second, and the number of its entry.
    pub second: (String, u64),
    /// The role of the station whose claim is the part, and the number of its entry.
    pub holder: (String, u64),
    /// What is the same.
    pub same: Same,
    /// When the hub saw it.
    pub found: Timestamp,
}

impl Hub {
    /// What the hub has.
    ///
    /// # Errors
    /// The hub cannot be asked.
    pub fn status(&mut self) -> Result<Status, HubError> {
        let config = self.config.clone();
        self.call(async |client| {
            let error = |error| HubError::of(&config, error);
            let stations = client.query(STATIONS, &[]).await.map_err(error)?;
            let conflicts = client.query(CONFLICTS, &[]).await.map_err(error)?;
            let unsettled = client.query(UNSETTLED, &[&None::<&str>]).await.map_err(error)?;
            Ok(Status {
                stations: stations.iter().map(station).collect(),
                conflicts: conflicts.iter().map(conflict).collect(),
                unsettled: unsettled.iter().map(submission).collect(),
            })
        })
    }
}

fn station(row: &Row) -> StationStatus {
    StationStatus {
        station: row.get(0),
        role: row.get(1),
        key: row.get(2),
        batch: row.get(3),
        origin: row.get(4),
        links: row.get::<_, i64>(5).cast_unsigned(),
        time: row.get::<_, Option<SystemTime>>(6).map(time),
        parts: row.get::<_, i64>(7).cast_unsigned(),
    }
}

pub(super) fn conflict(row: &Row) -> Conflict {
    Conflict {
        second: (row.get(0), row.get::<_, i64>(1).cast_unsigned()),
        holder: (row.get(2), row.get::<_, i64>(3).cast_unsigned()),
        same: Same {
            device_id: row.get(4),
            ueid: row.get(5),
            public_key: row.get(6),
            serial_number: row.get(7),
        },
        found: time(row.get(8)),
    }
}

pub(super) fn time(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::MAX)
}
