// SPDX-License-Identifier: Apache-2.0

//! Whether another station has a part.

use super::{Hub, HubError};
use crate::Identity;
use crate::ledger::Origin;

// By an index for each of the four. A ledger has the parts of the one that it continues.
const PART: &str = "WITH RECURSIVE own AS ( \
        SELECT station, predecessor FROM hub.stations WHERE origin = $5 \
        UNION SELECT s.station, s.predecessor FROM hub.stations s JOIN own ON s.station = own.predecessor) \
    SELECT s.role, p.entry, p.device_id = $1, p.ueid = $2, p.public_key = $3, p.serial_number = $4 \
    FROM hub.parts p JOIN hub.stations s USING (station) \
    WHERE (p.ueid = $2 OR p.public_key = $3 OR (p.device_id = $1 AND p.withdrawn IS NULL) \
        OR (p.serial_number = $4 AND p.withdrawn IS NULL)) \
    AND p.station NOT IN (SELECT station FROM own) \
    ORDER BY p.ueid = $2 DESC, p.device_id = $1 DESC, p.station, p.link LIMIT 1";

/// A part that another station has entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// The role of that station.
    pub station: String,
    /// The number of its entry.
    pub entry: u64,
    /// What is the same.
    pub same: Same,
}

/// What two claims have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column of the hub")]
pub struct Same {
    /// The part.
    pub device_id: bool,
    /// The identity key, by its UEID.
    pub ueid: bool,
    /// The identity key.
    pub public_key: bool,
    /// The serial number.
    pub serial_number: bool,
}

impl Hub {
    /// The part of another station that has something in common with this one: the same key, or, if it was not
    /// withdrawn, the same device ID or serial number. `own` is the ledger that asks, whose own parts do not count.
    ///
    /// # Errors
    /// The hub cannot be asked.
    pub fn look_up(
        &mut self,
        identity: &Identity,
        serial_number: Option<&str>,
        own: &Origin,
    ) -> Result<Option<Elsewhere>, HubError> {
        let config = self.config.clone();
        let (ueid, own) = (identity.ueid(), own.hash());
        let (device_id, ueid) = (identity.device_id.0.as_slice(), ueid.as_bytes().as_slice());
        let public_key = identity.public_key.as_bytes().as_slice();
        self.call(async |client| {
            let found = client
                .query_opt(PART, &[&device_id, &ueid, &public_key, &serial_number, &own.as_slice()])
                .await
                .map_err(|error| HubError::of(&config, error))?;
            Ok(found.map(|row| Elsewhere {
                station: row.get(0),
                entry: row.get::<_, i64>(1).cast_unsigned(),
                same: Same {
                    device_id: row.get(2),
                    ueid: row.get(3),
                    public_key: row.get(4),
                    serial_number: row.get::<_, Option<bool>>(5).unwrap_or_default(),
                },
            }))
        })
    }
}

impl Same {
    /// In words: `device ID and serial number`.
    #[must_use]
    pub fn words(&self) -> String {
        let words = [
            (self.device_id, "device ID"),
            // A key without its UEID is no part of ours.
            (self.ueid || self.public_key, "identity key"),
            (self.serial_number, "serial number"),
        ];
        let words: Vec<_> = words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
        words.join(" and ")
    }
}
