// SPDX-License-Identifier: Apache-2.0

//! Where a ledger's file and the hub part.

use super::push::{HASH, LAST, STATION, to_hash};
use super::snapshot::Snapshot;
use super::{Alarm, Config, Hub, HubError};
use crate::ledger::{Ledger, Receipt};

/// How a ledger's file and the hub agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// The hub has nothing of the ledger.
    Unknown,
    /// The hub has the file's links up to this one, and none that the file lacks.
    Same(Receipt),
    /// They contradict each other, from the link on that the alarm names.
    Alarm(Alarm),
}

impl Hub {
    /// Compares a ledger's file with the hub, link by link where it must be. Nothing is sent.
    ///
    /// # Errors
    /// The hub or the ledger cannot be read.
    pub fn agreement(config: &Config, ledger: &Ledger) -> Result<Agreement, HubError> {
        let mut hub = Snapshot::of(config)?;
        let origin = ledger.origin()?.hash();
        let found = hub.rows(STATION, &[&origin.as_slice()])?;
        let Some(station) = found.first().map(|row| row.get::<_, i32>(0)) else {
            return Ok(Agreement::Unknown);
        };
        let last = hub.rows(LAST, &[&station])?;
        let there = last.first().map_or(Receipt { number: 0, hash: origin }, |row| Receipt {
            number: row.get::<_, i64>(0).cast_unsigned(),
            hash: to_hash(row.get(1)),
        });
        let here = ledger.head()?;
        let mut both = |number: u64| -> Result<([u8; 32], [u8; 32]), HubError> {
            let row = hub.rows(HASH, &[&station, &number.cast_signed()])?;
            let there = row.first().map_or([0; 32], |row| to_hash(row.get(0)));
            Ok((ledger.hash_at(number)?.unwrap_or_default(), there))
        };
        // Each hash stands for all links before it, so the first that differs can be halved down to.
        let (mut same, mut other) = (0, here.number.min(there.number));
        let (mut a, mut b) = both(other)?;
        if a != b && other > 0 {
            while other - same > 1 {
                let middle = same + (other - same) / 2;
                let (here, there) = both(middle)?;
                if here == there {
                    same = middle;
                } else {
                    (other, a, b) = (middle, here, there);
                }
            }
            return Ok(Agreement::Alarm(Alarm::Fork { number: other, here: a, there: b }));
        }
        Ok(if here.number < there.number {
            Agreement::Alarm(Alarm::Behind { here: here.number, there })
        } else {
            Agreement::Same(there)
        })
    }
}
