// SPDX-License-Identifier: Apache-2.0

//! What is sent to a verifier rather than written into files: the hub knows of it before the verifier does, so that nobody
//! sends a part a second time while it is not known whether the verifier has it.

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::status::time;
use super::{ExportPart, Hub, HubError};

/// For [`submission`], all of them.
pub(super) const UNSETTLED: &str = "SELECT submission, verifier, role, cardinality(links), sha256, time \
    FROM hub.unsettled WHERE $1::text IS NULL OR verifier = $1 ORDER BY submission";
const SETTLED: &str = "SELECT EXISTS (SELECT FROM hub.submissions s JOIN hub.settled d USING (submission) \
    WHERE s.verifier = $1 AND s.sha256 = $2)";
const BEGIN: &str = "INSERT INTO hub.submissions (verifier, profile, sha256, stations, links) \
    VALUES ($1, $2, $3, $4, $5) RETURNING submission";
const EXPORT: &str = "INSERT INTO hub.exports (verifier, profile, parts, sha256) \
    SELECT verifier, profile, cardinality(links), sha256 FROM hub.unsettled WHERE submission = $1 RETURNING export";
const EXPORTED: &str = "INSERT INTO hub.exported (verifier, station, link, export) \
    SELECT s.verifier, part.station, part.link, $2 \
    FROM hub.submissions s, unnest(s.stations, s.links) AS part (station, link) WHERE s.submission = $1";
const SETTLE: &str = "INSERT INTO hub.settled (submission, export) VALUES ($1, $2)";

/// A submission that was begun, and of which it is not known whether the verifier has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Its number at the hub.
    pub number: i32,
    /// Whom it is for, as it is called at the hub.
    pub verifier: String,
    /// The role that has begun it.
    pub role: String,
    /// How many parts it is.
    pub parts: u64,
    /// SHA-256 of its files, one behind the other.
    pub sha256: [u8; 32],
    /// When it was begun.
    pub time: Timestamp,
}

impl Hub {
    /// The submission to this verifier that is not settled. There is one at most.
    ///
    /// # Errors
    /// The hub cannot be asked.
    pub fn unsettled(&mut self, verifier: &str) -> Result<Option<Submission>, HubError> {
        let config = self.config.clone();
        self.call(async |client| {
            let row = client.query_opt(UNSETTLED, &[&verifier]).await;
            let row = row.map_err(|error| HubError::of(&config, error))?;
            Ok(row.as_ref().map(submission))
        })
    }

    /// Whether a submission of these files to this verifier is settled.
    ///
    /// # Errors
    /// The hub cannot be asked.
    pub fn has_settled(&mut self, verifier: &str, sha256: [u8; 32]) -> Result<bool, HubError> {
        let config = self.config.clone();
        self.call(async |client| {
            let row = client.query_one(SETTLED, &[&verifier, &sha256.as_slice()]).await;
            Ok(row.map_err(|error| HubError::of(&config, error))?.get(0))
        })
    }

    /// Keeps at the hub that these parts are about to be sent to a verifier, in files with this hash, and gives the number
    /// of the submission. Nothing else leaves the hub for this verifier until it is settled.
    ///
    /// # Errors
    /// The role may not export, another submission to the verifier is not settled, the hub has changed since the parts were
    /// read, or it cannot be reached.
    pub fn begin_submission(
        &mut self,
        verifier: &str,
        profile: &str,
        sha256: [u8; 32],
        parts: &[ExportPart],
    ) -> Result<i32, HubError> {
        let config = self.config.clone();
        let stations: Vec<_> = parts.iter().map(|part| part.station).collect();
        let links: Vec<_> = parts.iter().map(|part| part.link.cast_signed()).collect();
        self.call(async |client| {
            let row = client
                .query_one(BEGIN, &[&verifier, &profile, &sha256.as_slice(), &stations, &links])
                .await;
            let row = row.map_err(|error| match error.code() {
                Some(&SqlState::RAISE_EXCEPTION) => HubError::Meanwhile,
                _ => HubError::of(&config, error),
            })?;
            Ok(row.get(0))
        })
    }

    /// Keeps at the hub what has become of a submission: the verifier was given its parts, or has nothing of it.
    ///
    /// # Errors
    /// It is settled already, the role may not export, or the hub cannot be reached.
    pub fn settle(&mut self, submission: i32, is_taken: bool) -> Result<(), HubError> {
        let config = self.config.clone();
        self.call(async |client| {
            let error = |error: tokio_postgres::Error| match error.code() {
                Some(&SqlState::UNIQUE_VIOLATION) => HubError::Settled,
                _ => HubError::of(&config, error),
            };
            let transaction = client.transaction().await.map_err(error)?;
            let mut export: Option<i32> = None;
            if is_taken {
                let row = transaction.query_opt(EXPORT, &[&submission]).await.map_err(error)?;
                let number = row.ok_or(HubError::Settled)?.get(0);
                transaction.execute(EXPORTED, &[&submission, &number]).await.map_err(error)?;
                export = Some(number);
            }
            transaction.execute(SETTLE, &[&submission, &export]).await.map_err(error)?;
            transaction.commit().await.map_err(error)
        })
    }
}

pub(super) fn submission(row: &Row) -> Submission {
    Submission {
        number: row.get(0),
        verifier: row.get(1),
        role: row.get(2),
        parts: u64::from(row.get::<_, i32>(3).cast_unsigned()),
        sha256: row.get::<_, &[u8]>(4).try_into().unwrap_or_default(),
        time: time(row.get(5)),
    }
}
