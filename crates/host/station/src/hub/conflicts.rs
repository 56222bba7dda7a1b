// SPDX-License-Identifier: Apache-2.0

//! The open conflicts of one ledger, which a batch tells of, and an export leaves out. [`super::Status`] has all of them,
//! and counts every part.

use provisioning::{DeviceId, Ueid};

use super::look_up::{Elsewhere, Same};
use super::{Hub, HubError};
use crate::ledger::Origin;

// Seen from either side. A ledger has the claims of the one that it continues.
const OWN: &str = "WITH RECURSIVE own AS ( \
        SELECT station, predecessor FROM hub.stations WHERE origin = $1 \
        UNION SELECT s.station, s.predecessor FROM hub.stations s JOIN own ON s.station = own.predecessor) \
    SELECT mine.entry, mine.device_id, mine.ueid, s.role, theirs.entry, \
        EXISTS (SELECT FROM hub.withdrawals w WHERE (w.claimed_by, w.claim) = (theirs.station, theirs.link)), \
        c.device_id, c.ueid, c.public_key, c.serial_number \
    FROM hub.open_conflicts c \
    CROSS JOIN LATERAL (VALUES \
        (c.station, c.link, c.holder_station, c.holder_link), \
        (c.holder_station, c.holder_link, c.station, c.link)) \
        AS side (station, link, other_station, other_link) \
    JOIN own ON own.station = side.station \
    JOIN hub.entries mine ON (mine.station, mine.link) = (side.station, side.link) \
    JOIN hub.entries theirs ON (theirs.station, theirs.link) = (side.other_station, side.other_link) \
    JOIN hub.stations s ON s.station = side.other_station \
    ORDER BY mine.entry, s.role, theirs.entry";

/// A part of a ledger that another station claims, too, and neither has withdrawn: it is held back from export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnConflict {
    /// The number of the ledger's own entry.
    pub entry: u64,
    /// Its device ID.
    pub device_id: DeviceId,
    /// Its UEID.
    pub ueid: Ueid,
    /// The claim of the other station.
    pub other: Elsewhere,
}

impl Hub {
    /// The open conflicts in which the ledger with this origin takes part.
    ///
    /// # Errors
    /// The hub cannot be asked.
    pub fn conflicts_of(&mut self, own: &Origin) -> Result<Vec<OwnConflict>, HubError> {
        let (config, own) = (self.config.clone(), own.hash());
        self.call(async |client| {
            let rows = client
                .query(OWN, &[&own.as_slice()])
                .await
                .map_err(|error| HubError::of(&config, error))?;
            // The tables have no other lengths.
            let conflict = |row: &tokio_postgres::Row| {
                Some(OwnConflict {
                    entry: row.get::<_, i64>(0).cast_unsigned(),
                    device_id: DeviceId(row.get::<_, &[u8]>(1).try_into().ok()?),
                    ueid: Ueid::from_bytes(row.get::<_, &[u8]>(2).try_into().ok()?)?,
                    other: Elsewhere {
                        station: row.get(3),
                        entry: row.get::<_, i64>(4).cast_unsigned(),
                        is_withdrawn: row.get(5),
                        same: Same {
                            device_id: row.get(6),
                            ueid: row.get(7),
                            public_key: row.get(8),
                            serial_number: row.get(9),
                        },
                    },
                })
            };
            Ok(rows.iter().filter_map(conflict).collect())
        })
    }
}
