// SPDX-License-Identifier: Apache-2.0

//! A run as a row of a table.

use serde::Serialize;

use crate::ledger::{End, Entry, Failed, Link, Outcome, Run};

/// A run as a row of a table, or a line of JSON: its members in alphabetical order.
#[derive(Serialize)]
pub struct Row {
    /// The link of its attempt.
    pub attempt: u64,
    /// The batch.
    pub batch: Option<String>,
    /// Which part it was, where that is known.
    pub device_id: Option<String>,
    /// The entry that it has brought, or that is in its way.
    pub entry: Option<u64>,
    /// One word for why it failed: `PartError::name`.
    pub error: Option<String>,
    /// The number that the part has said.
    pub failure: Option<u8>,
    /// The measurement of the image.
    pub image_sha256: Option<String>,
    /// The operator.
    pub operator: Option<String>,
    /// The port.
    pub port: String,
    /// `good`, `not-done`, `known`, `failed` or `unfinished`.
    pub result: &'static str,
    /// How long it took.
    pub seconds: Option<f64>,
    /// The part's serial number.
    pub serial_number: Option<String>,
    /// The station.
    pub station: Option<String>,
    /// Why it failed.
    pub text: Option<String>,
    /// When it began, as RFC 3339 writes it.
    pub time: String,
    /// Who the part is, where that is known.
    pub ueid: Option<String>,
    /// The version of the program.
    pub version: String,
}

impl Row {
    /// That of a run.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        let outcome = run.outcome();
        let failed = outcome.and_then(|outcome| match &outcome.end {
            End::Failed(failed) => Some(failed),
            _ => None,
        });
        let entry = outcome.and_then(|outcome| match &outcome.end {
            End::Good(Entry { number, .. }) => Some(*number),
            End::Known { seen, .. } => Some(*seen),
            End::Failed(Failed { seen, .. }) => *seen,
        });
        let part = outcome.and_then(Outcome::part);
        let author = &run.begun.author;
        Self {
            attempt: run.begun.number,
            batch: run.attempt().batch.clone(),
            device_id: part.map(|(device_id, _)| device_id.to_string()),
            entry,
            error: failed.map(|failed| failed.error.clone()),
            failure: failed.and_then(|failed| failed.failure),
            image_sha256: outcome.and_then(|o| o.image).map(|image| image.to_string()),
            operator: author.operator.clone(),
            port: run.attempt().port.clone(),
            result: run.result(),
            seconds: run
                .ended
                .as_ref()
                .map(|ended| ended.time.duration_since(run.begun.time).as_secs_f64()),
            serial_number: run.serial_number().map(ToOwned::to_owned),
            station: author.station.clone(),
            text: failed.map(|failed| failed.text.clone()),
            time: time(&run.begun),
            ueid: part.map(|(_, ueid)| ueid.to_string()),
            version: run.begun.version.clone(),
        }
    }

    /// A spreadsheet takes a cell that begins with one of these for a formula, and what the cell holds may be of
    /// the part or of a scanner (owasp.org, CSV Injection).
    #[must_use]
    pub fn without_formulas(mut self) -> Self {
        let texts = [
            &mut self.batch,
            &mut self.operator,
            &mut self.serial_number,
            &mut self.station,
            &mut self.text,
        ];
        for text in texts.into_iter().flatten().chain([&mut self.port]) {
            if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
                text.insert(0, '\'');
            }
        }
        self
    }

    /// What it was about, in one word: the failure's number, or the error's.
    #[must_use]
    pub fn why(&self) -> String {
        match (self.failure, &self.error) {
            (Some(failure), _) => format!("failure {failure}"),
            (None, Some(error)) => error.clone(),
            (None, None) if self.result == "not-done" => String::from("step on-pass"),
            (None, None) => String::new(),
        }
    }
}

/// When a link was appended, as RFC 3339 writes it, with milliseconds.
#[must_use]
pub fn time(link: &Link) -> String {
    format!("{:.3}", link.time)
}
