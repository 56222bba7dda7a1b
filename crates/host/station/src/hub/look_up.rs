// SPDX-License-Identifier: Apache-2.0

//! Whether another station has a part.

use super::{Hub, HubError};
use crate::Identity;
use crate::ledger::Origin;

// For each of the parts that are looked for, by an index for each of the four. A ledger has the parts of the one that it
// continues.
const PARTS: &str = "WITH RECURSIVE own AS ( \
        SELECT station, predecessor FROM hub.stations WHERE origin = $5 \
        UNION SELECT s.station, s.predecessor FROM hub.stations s JOIN own ON s.station = own.predecessor) \
    SELECT sought.number, found.* \
    FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::text[]) WITH ORDINALITY \
        AS sought (device_id, ueid, public_key, serial_number, number) \
    CROSS JOIN LATERAL ( \
        SELECT s.role, p.entry, p.withdrawn IS NOT NULL, p.device_id = sought.device_id, p.ueid = sought.ueid, \
            p.public_key = sought.public_key, p.serial_number = sought.serial_number \
        FROM hub.parts p JOIN hub.stations s USING (station) \
        WHERE (p.ueid = sought.ueid OR p.public_key = sought.public_key \
            OR (p.device_id = sought.device_id AND p.withdrawn IS NULL) \
            OR (p.serial_number = sought.serial_number AND p.withdrawn IS NULL)) \
        AND p.station NOT IN (SELECT station FROM own) \
        ORDER BY p.ueid = sought.ueid DESC, p.device_id = sought.device_id DESC, p.station, p.link LIMIT 1) found";

/// What is looked for: a part, or a serial number before its part is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// Who the part is.
    pub identity: Option<Identity>,
    /// Its serial number.
    pub serial_number: Option<String>,
}

/// A part that another station has entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// The role of that station.
    pub station: String,
    /// The number of its entry.
    pub entry: u64,
    /// Whether that station has withdrawn the entry. The key stays taken.
    pub is_withdrawn: bool,
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
        let serial_number = serial_number.map(str::to_owned);
        let sought = Sought { identity: Some(*identity), serial_number };
        Ok(self.look_up_all(&[sought], own)?.pop().flatten())
    }

    /// As [`Hub::look_up`], for several at once: an answer for each, in their order. Nothing is sought in vain: with
    /// none, it shows whether the hub answers.
    ///
    /// # Errors
    /// The hub cannot be asked.
    pub fn look_up_all(
        &mut self,
        sought: &[Sought],
        own: &Origin,
    ) -> Result<Vec<Option<Elsewhere>>, HubError> {
        let config = self.config.clone();
        let own = own.hash();
        let of = |bytes: &dyn Fn(&Identity) -> Vec<u8>| -> Vec<_> {
            sought.iter().map(|sought| sought.identity.as_ref().map(bytes)).collect()
        };
        let device_ids = of(&|identity| identity.device_id.0.to_vec());
        let ueids = of(&|identity| identity.ueid().as_bytes().to_vec());
        let keys = of(&|identity| identity.public_key.as_bytes().to_vec());
        let serial_numbers: Vec<_> = sought.iter().map(|sought| &sought.serial_number).collect();
        let mut answers = vec![None; sought.len()];
        self.call(async |client| {
            let rows = client
                .query(PARTS, &[&device_ids, &ueids, &keys, &serial_numbers, &own.as_slice()])
                .await
                .map_err(|error| HubError::of(&config, error))?;
            for row in rows {
                let is = |column| row.get::<_, Option<bool>>(column).unwrap_or_default();
                let number = usize::try_from(row.get::<_, i64>(0) - 1).ok();
                if let Some(answer) = number.and_then(|number| answers.get_mut(number)) {
                    *answer = Some(Elsewhere {
                        station: row.get(1),
                        entry: row.get::<_, i64>(2).cast_unsigned(),
                        is_withdrawn: row.get(3),
                        same: Same {
                            device_id: is(4),
                            ueid: is(5),
                            public_key: is(6),
                            serial_number: is(7),
                        },
                    });
                }
            }
            Ok(())
        })?;
        Ok(answers)
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
