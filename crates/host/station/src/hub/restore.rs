// SPDX-License-Identifier: Apache-2.0

//! A lost ledger, written anew from the hub: the same links with the same hashes.

use std::path::Path;

use base16ct::lower::encode_string as hex;

use super::audit::{LEDGERS, LedgerAudit};
use super::snapshot::Snapshot;
use super::{Config, Hub, HubError};
use crate::ledger::{Audit, Beginning, Checkpoint, Entry, Ledger, Link, Origin, Receipt};

const CONTENTS: &str = "SELECT l.number, l.content FROM hub.links l WHERE l.station = ";
const LAST_NOTE: &str =
    "SELECT c.note FROM hub.checkpoints c WHERE c.station = $1 ORDER BY c.number DESC LIMIT 1";

/// Which ledger of the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that this role pushes now: which no other of its ledgers continues.
    OfRole(String),
    /// The one with this hash of its origin.
    Origin([u8; 32]),
}

impl Hub {
    /// Writes a ledger anew as the hub has it, and gives what it begins with and what an audit of it has found. With a
    /// problem, there is no ledger.
    ///
    /// `check_record` is asked of each entry. `progress` gets how many links were written, and how many there are.
    ///
    /// # Errors
    /// There is a file of this name, the hub has no such ledger or several, its last link is not signed by its station,
    /// what the hub has is not a chain, a head was kept that it does not have, or the hub cannot be read or the file
    /// written.
    pub fn restore(
        config: &Config,
        which: &Which,
        path: &Path,
        head_file: Option<&Path>,
        check_record: impl Fn(&Entry) -> Result<(), String> + Sync,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Origin, Audit), HubError> {
        Ledger::check_place(path)?;
        let mut hub = Snapshot::of(config)?;
        let ledger = find(&mut hub, which)?;
        let head = signed_head(&mut hub, &ledger)?;
        let audit = Ledger::restore(
            path,
            head_file,
            &ledger.origin,
            |new| carry(&mut hub, &ledger, head, new, progress),
            check_record,
        )?;
        Ok((ledger.origin, audit))
    }
}

fn find(hub: &mut Snapshot, which: &Which) -> Result<LedgerAudit, HubError> {
    let ledgers: Vec<_> = hub.rows(LEDGERS, &[])?.iter().map(LedgerAudit::new).collect();
    let is_wanted = |ledger: &&LedgerAudit| match which {
        Which::Origin(origin) => ledger.origin_hash == *origin,
        Which::OfRole(role) => {
            let goes_on = |later: &LedgerAudit| {
                later.predecessor == Some(ledger.station) && later.role == ledger.role
            };
            ledger.role == *role && !ledgers.iter().any(goes_on)
        }
    };
    let found: Vec<_> = ledgers.iter().filter(is_wanted).collect();
    let ledger = match found[..] {
        [ledger] => ledger,
        [] => {
            let what = match which {
                Which::OfRole(role) => format!("of the role {role}"),
                Which::Origin(origin) => format!("with the origin {}", hex(origin)),
            };
            return Err(HubError::NoLedger(format!(
                "the hub has no ledger {what}. See: station hub status"
            )));
        }
        ref several => {
            let several: Vec<_> = several.iter().map(|ledger| hex(&ledger.origin_hash)).collect();
            return Err(HubError::NoLedger(format!(
                "the hub has several ledgers of this role. Say which, by its origin: --origin {}",
                several.join(" or --origin ")
            )));
        }
    };
    if ledger.origin.hash() != ledger.origin_hash {
        let name = ledger.name();
        return Err(HubError::NoLedger(format!(
            "{name}: its origin is not that of its station key, its batch and the ledger that it continues. Nothing was \
             restored. Audit the hub: station audit --hub"
        )));
    }
    Ok(ledger.clone())
}

/// The last link, which the station must have signed: else anybody who can write to the hub could have made it.
fn signed_head(hub: &mut Snapshot, ledger: &LedgerAudit) -> Result<Receipt, HubError> {
    let last = hub.rows(super::push::LAST, &[&ledger.station])?;
    let last =
        last.first().map_or(Receipt { number: 0, hash: ledger.origin_hash }, |row| Receipt {
            number: row.get::<_, i64>(0).cast_unsigned(),
            hash: super::push::to_hash(row.get(1)),
        });
    let notes = hub.rows(LAST_NOTE, &[&ledger.station])?;
    let note = notes.first().map(|row| row.get::<_, &str>(0));
    let signed = note.zip(ledger.origin.verifier()).and_then(|(note, verifier)| {
        Checkpoint::open(note.as_bytes(), &verifier).ok().map(|checkpoint| checkpoint.head)
    });
    if last.number > 0 && signed != Some(last) {
        let (name, number) = (ledger.name(), last.number);
        return Err(HubError::NoLedger(format!(
            "{name}: its last link, {number}, is not signed by its station key, so someone else may have made it. Nothing \
             was restored. Audit the hub: station audit --hub"
        )));
    }
    Ok(last)
}

fn carry(
    hub: &mut Snapshot,
    ledger: &LedgerAudit,
    head: Receipt,
    new: &mut Beginning<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), HubError> {
    let mut last = Receipt { number: 0, hash: ledger.origin_hash };
    let mut cursor = hub.cursor(&format!("{CONTENTS}{} ORDER BY l.number", ledger.station))?;
    while let Some(rows) = hub.next(&mut cursor)? {
        for row in rows {
            let number = row.get::<_, i64>(0).cast_unsigned();
            let link = Link::from_content(row.get(1))
                .ok()
                .filter(|link| link.number == last.number + 1 && link.previous == last.hash)
                .ok_or(HubError::Content(number, last.number))?;
            new.put(&link)?;
            last = Receipt { number: link.number, hash: link.hash };
        }
        progress(last.number, head.number);
    }
    // What was signed is what was written.
    if last == head { Ok(()) } else { Err(HubError::Content(head.number, last.number)) }
}
