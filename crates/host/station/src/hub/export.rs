// SPDX-License-Identifier: Apache-2.0

//! What leaves the hub for a verifier: the parts of all stations, each once.

use std::collections::{BTreeMap, HashSet};

use provisioning::{DUMMY_PUBLIC_KEY, ImplementationId, PublicKey};
use ring::digest::{Context, SHA256};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use super::snapshot::Snapshot;
use super::status::{CONFLICTS, Conflict, conflict};
use super::{AuditOptions, Config, Hub, HubAudit, HubError};
use crate::export::MAX_PARTS;
use crate::ledger::{Entry, Fact, Link};
use crate::{DeviceId, Identity};

/// The parts that may leave, and whether another station has ever claimed them.
const PARTS: &str = "SELECT p.station, p.link, p.entry, p.device_id, p.implementation_id, p.public_key, \
        EXISTS (SELECT FROM hub.conflicts c WHERE (c.holder_station, c.holder_link) = (p.station, p.link)) \
            OR EXISTS (SELECT FROM hub.conflicts c WHERE (c.station, c.link) = (p.station, p.link)), \
        s.role \
    FROM hub.exportable p JOIN hub.stations s ON s.station = p.station";
/// What stations have exported themselves.
const BY_STATIONS: &str = "SELECT l.station, l.content FROM hub.links l WHERE l.kind = 'export' ORDER BY l.station, l.number";
/// Parts that the verifier has from the hub and should not have any more: withdrawn, or claimed by two.
const TO_REMOVE: &str = "SELECT s.role, p.entry, p.withdrawn IS NOT NULL FROM hub.exported d \
    JOIN hub.parts p ON (p.station, p.link) = (d.station, d.link) JOIN hub.stations s ON s.station = p.station \
    WHERE d.verifier = $1 AND NOT EXISTS \
        (SELECT FROM hub.exportable e WHERE (e.station, e.link) = (p.station, p.link)) \
    ORDER BY p.station, p.link";
const GIVE: &str = "INSERT INTO hub.exports (verifier, profile, parts, sha256) VALUES ($1, $2, $3, $4) RETURNING export";
const GIVEN: &str = "INSERT INTO hub.exported (verifier, station, link, export) \
    SELECT $1, *, $4 FROM unnest($2::integer[], $3::bigint[])";

/// What is to leave the hub.
#[derive(Clone, Debug)]
pub struct HubExport {
    /// What the audit before has found. If it has found a problem, there are no parts.
    pub audit: HubAudit,
    /// The parts, in the order of ledgers and links; [`MAX_PARTS`] at most.
    pub parts: Vec<ExportPart>,
    /// How many more there are.
    pub more: u64,
    /// Parts with the test-only key, which were left out.
    pub dummies: u64,
    /// Parts that two stations claim, which are held back.
    pub held_back: Vec<Conflict>,
    /// Parts that the verifier was given, and that were withdrawn since: role and entry.
    pub withdrawn: Vec<(String, u64)>,
    /// Parts that the verifier was given, and that another station claims since: role and entry.
    pub contested: Vec<(String, u64)>,
    /// Entries that a station's own export for this verifier covers, and that were in conflict with another's: whether
    /// the verifier has them only the station knows.
    pub unclear: Vec<(String, u64)>,
    /// A hash over the heads of all ledgers.
    pub head: [u8; 32],
}

/// A part that leaves the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportPart {
    /// The number of its ledger at the hub.
    pub station: i32,
    /// Its link.
    pub link: u64,
    /// Who it is.
    pub identity: Identity,
}

impl HubExport {
    /// Audits the hub, and gives what may leave it for this verifier, of the same moment. `check_record` is asked of the
    /// entries that leave.
    ///
    /// # Errors
    /// The hub cannot be read. What is wrong with it is in the audit.
    pub fn of(
        config: &Config,
        verifier: &str,
        allow_dummy: bool,
        check_record: &(dyn Fn(&Entry) -> Result<(), String> + Sync),
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, HubError> {
        let mut hub = Snapshot::of(config)?;
        let given = given_by_stations(&mut hub, verifier)?;
        let mut parts = Vec::new();
        let (mut more, mut dummies) = (0, 0);
        let mut unclear = Vec::new();
        let mut cursor = hub.cursor(&format!(
            "{PARTS} WHERE NOT EXISTS (SELECT FROM hub.exported d WHERE d.verifier = {} \
             AND (d.station, d.link) = (p.station, p.link)) ORDER BY p.station, p.link",
            literal(verifier)
        ))?;
        while let Some(rows) = hub.next(&mut cursor)? {
            for row in &rows {
                let (part, entry) = part(row)?;
                let was_contested: bool = row.get(6);
                if given.contains(part.station, part.link, entry) {
                    if was_contested {
                        unclear.push((row.get(7), entry));
                    }
                } else if part.identity.public_key == DUMMY_PUBLIC_KEY && !allow_dummy {
                    dummies += 1;
                } else if parts.len() == MAX_PARTS {
                    more += 1;
                } else {
                    parts.push(part);
                }
            }
        }
        let held_back = hub.rows(CONFLICTS, &[])?.iter().map(conflict).collect();
        let (mut withdrawn, mut contested) = (Vec::new(), Vec::new());
        for row in hub.rows(TO_REMOVE, &[&verifier])? {
            let list = if row.get(2) { &mut withdrawn } else { &mut contested };
            list.push((row.get(0), row.get::<_, i64>(1).cast_unsigned()));
        }
        let leaving: HashSet<[u8; 65]> =
            parts.iter().map(|part| *part.identity.public_key.as_bytes()).collect();
        let check = |entry: &Entry| {
            // A record that stays here is not verified: it takes most of the time. The chain covers it.
            if leaving.contains(entry.identity.public_key.as_bytes()) {
                check_record(entry)
            } else {
                Ok(())
            }
        };
        let mut options = AuditOptions { check_record: &check, threads: None, progress };
        let audit = HubAudit::at(&mut hub, &mut options)?;
        if !audit.is_clean() {
            parts.clear();
        }
        let mut heads = Context::new(&SHA256);
        audit.ledgers.iter().for_each(|ledger| heads.update(&ledger.head.hash));
        let mut head = [0; 32];
        head.copy_from_slice(heads.finish().as_ref());
        Ok(Self { audit, parts, more, dummies, held_back, withdrawn, contested, unclear, head })
    }
}

/// A text in SQL, for a statement that takes no parameters.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn part(row: &Row) -> Result<(ExportPart, u64), HubError> {
    let (station, link, entry) = (row.get(0), row.get::<_, i64>(1), row.get::<_, i64>(2));
    let identity = || {
        Some(Identity {
            device_id: DeviceId(row.get::<_, &[u8]>(3).try_into().ok()?),
            implementation_id: ImplementationId::from_bytes(
                row.get::<_, &[u8]>(4).try_into().ok()?,
            )
            .ok()?,
            public_key: PublicKey::from_sec1_bytes(row.get(5))?,
        })
    };
    let link = link.cast_unsigned();
    // What no entry can be; the audit would find it, too.
    let identity = identity().ok_or(HubError::Content(link, link.saturating_sub(1)))?;
    Ok((ExportPart { station, link, identity }, entry.cast_unsigned()))
}

/// The entries that stations have given a verifier themselves, as their ledgers say.
#[derive(Default)]
struct Given {
    /// For each ledger: the last link of it that the exporting ledger has, and the first and the last entry.
    ranges: BTreeMap<i32, Vec<(u64, u64, u64)>>,
}

impl Given {
    fn contains(&self, station: i32, link: u64, entry: u64) -> bool {
        self.ranges.get(&station).is_some_and(|ranges| {
            ranges.iter().any(|(last_link, first, last)| {
                link <= *last_link && (*first..=*last).contains(&entry)
            })
        })
    }
}

fn given_by_stations(hub: &mut Snapshot, verifier: &str) -> Result<Given, HubError> {
    let ledgers: BTreeMap<i32, Option<(i32, u64)>> = hub
        .rows("SELECT station, predecessor, continues_number FROM hub.stations", &[])?
        .iter()
        .map(|row| {
            let before = row.get::<_, Option<i32>>(1).zip(row.get::<_, Option<i64>>(2));
            (row.get(0), before.map(|(station, last)| (station, last.cast_unsigned())))
        })
        .collect();
    let mut given = Given::default();
    let mut cursor = hub.cursor(BY_STATIONS)?;
    while let Some(rows) = hub.next(&mut cursor)? {
        for row in &rows {
            let content: &[u8] = row.get(1);
            let Ok(Link { fact: Fact::Export(export), .. }) = Link::from_content(content) else {
                continue; // The audit finds it.
            };
            if export.verifier != verifier {
                continue;
            }
            // The same entries have the same numbers in the ledgers that this one continues.
            let (mut station, mut last_link) = (row.get(0), u64::MAX);
            loop {
                let range = (last_link, export.first, export.last);
                given.ranges.entry(station).or_default().push(range);
                match ledgers.get(&station) {
                    Some(Some((before, last))) if *before < station => {
                        (station, last_link) = (*before, last_link.min(*last));
                    }
                    _ => break,
                }
            }
        }
    }
    Ok(given)
}

impl Hub {
    /// Keeps at the hub that a verifier is given these parts, and has the files written that it is given: both or
    /// neither, but for a hub that is lost in that moment.
    ///
    /// # Errors
    /// The role may not export, the hub has changed since the parts were read, it cannot be reached, or `write` fails.
    pub fn give<E>(
        &mut self,
        verifier: &str,
        profile: &str,
        sha256: [u8; 32],
        parts: &[ExportPart],
        write: impl FnOnce() -> Result<(), E>,
    ) -> Result<Result<(), E>, HubError> {
        let config = self.config.clone();
        self.call(async |client| {
            give(client, &config, verifier, profile, sha256, parts, write).await
        })
    }
}

async fn give<E>(
    client: &mut Client,
    config: &Config,
    verifier: &str,
    profile: &str,
    sha256: [u8; 32],
    parts: &[ExportPart],
    write: impl FnOnce() -> Result<(), E>,
) -> Result<Result<(), E>, HubError> {
    let error = |error: tokio_postgres::Error| match error.code() {
        Some(&SqlState::UNIQUE_VIOLATION | &SqlState::RAISE_EXCEPTION) => HubError::Meanwhile,
        _ => HubError::of(config, error),
    };
    let transaction = client.transaction().await.map_err(error)?;
    let count = i64::try_from(parts.len()).unwrap_or(i64::MAX);
    let row = transaction
        .query_one(GIVE, &[&verifier, &profile, &count, &sha256.as_slice()])
        .await
        .map_err(error)?;
    let export: i32 = row.get(0);
    let stations: Vec<_> = parts.iter().map(|part| part.station).collect();
    let links: Vec<_> = parts.iter().map(|part| part.link.cast_signed()).collect();
    transaction.execute(GIVEN, &[&verifier, &stations, &links, &export]).await.map_err(error)?;
    // Another exporter for this verifier waits, and then finds them given.
    if let Err(error) = write() {
        return Ok(Err(error));
    }
    transaction.commit().await.map_err(error)?;
    Ok(Ok(()))
}
