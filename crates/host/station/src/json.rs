// SPDX-License-Identifier: Apache-2.0

//! What `--json` prints: one object a line. Its members stand in alphabetical order.

use std::fmt::{self, Display};
use std::path::Path;
use std::time::Duration;

use provisioning::{DeviceId, ImplementationId, Measurement, Ueid};
use serde::{Serialize, Serializer};
use station::batch::Entered;
use station::export::{Files, Profile};
use station::ledger::{Audit, Found, Problem, Receipt};
use station::part::PartError;
use station::record::{Software, VerifiedRecord};

use base16ct::lower::encode_string as hex;

/// Prints itself as a line.
struct Line<T>(T);

impl<T: Serialize> Display for Line<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&self.0).map_err(|_| fmt::Error)?)
    }
}

/// Bytes as hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(self.0))
    }
}

/// A value as the text that it prints.
struct Text<T>(T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

fn texts(problems: &[Problem]) -> Vec<Text<&Problem>> {
    problems.iter().map(Text).collect()
}

/// A part that was entered.
pub fn entered<'a>(port: &'a str, Entered { receipt, identity }: &'a Entered) -> impl Display + 'a {
    #[derive(Serialize)]
    struct Object<'a> {
        device_id: Text<DeviceId>,
        event: &'static str,
        hash: Hex<'a>,
        implementation_id: Text<ImplementationId>,
        number: u64,
        port: &'a str,
        ueid: Text<Ueid>,
    }
    Line(Object {
        device_id: Text(identity.device_id),
        event: "entered",
        hash: Hex(&receipt.hash),
        implementation_id: Text(identity.implementation_id),
        number: receipt.number,
        port,
        ueid: Text(identity.ueid()),
    })
}

/// A run that was not entered. Entry and UEID are those of a part that the ledger has already.
pub fn not_entered<'a>(port: &'a str, error: &'a PartError) -> impl Display + 'a {
    #[derive(Serialize)]
    struct Object<'a> {
        error: &'static str,
        event: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
        port: &'a str,
        text: Text<&'a PartError>,
        #[serde(skip_serializing_if = "Option::is_none")]
        ueid: Option<Text<Ueid>>,
    }
    let (number, ueid) = match error {
        PartError::Refused(refusal, ueid) => (Some(refusal.number()), Some(Text(*ueid))),
        _ => (None, None),
    };
    Line(Object {
        error: error.name(),
        event: "not-entered",
        number,
        port,
        text: Text(error),
        ueid,
    })
}

/// A port that was given up.
pub fn given_up(port: &str) -> impl Display {
    #[derive(Serialize)]
    struct Object<'a> {
        event: &'static str,
        port: &'a str,
    }
    Line(Object { event: "given-up", port })
}

/// The end of a batch that took so long, and the head of the ledger then.
pub fn end(
    entered: usize,
    not_entered: usize,
    missing: usize,
    time: Duration,
    head: &Receipt,
) -> impl Display {
    #[derive(Serialize)]
    struct Object<'a> {
        entered: usize,
        event: &'static str,
        ledger_entries: u64,
        ledger_head: Hex<'a>,
        missing: usize,
        not_entered: usize,
        seconds: f64,
    }
    Line(Object {
        entered,
        event: "end",
        ledger_entries: head.number,
        ledger_head: Hex(&head.hash),
        missing,
        not_entered,
        seconds: time.as_secs_f64(),
    })
}

/// What an audit found.
pub fn audit(found: &Audit) -> impl Display {
    #[derive(Serialize)]
    struct Object<'a> {
        entries: u64,
        head: Hex<'a>,
        problems: Vec<Text<&'a Problem>>,
        unlisted_problems: u64,
    }
    Line(Object {
        entries: found.entries,
        head: Hex(&found.head.hash),
        problems: texts(&found.problems),
        unlisted_problems: found.unlisted,
    })
}

/// Why nothing was exported.
pub fn not_exported(found: &Audit) -> impl Display {
    #[derive(Serialize)]
    struct Object<'a> {
        problems: Vec<Text<&'a Problem>>,
        unlisted_problems: u64,
    }
    Line(Object { problems: texts(&found.problems), unlisted_problems: found.unlisted })
}

/// Files that were exported into a folder.
pub fn exported(export: &[Files], profile: Profile, folder: &Path) -> impl Display {
    #[derive(Serialize)]
    struct Object<'a> {
        bytes: usize,
        files: Vec<File>,
        folder: &'a Path,
        parts: usize,
        profile: &'static str,
    }
    #[derive(Serialize)]
    struct File {
        bytes: usize,
        comid: String,
        corim: String,
        endorsements: String,
        parts: usize,
    }
    let piece = |files: &Files| {
        let [comid, corim, endorsements] = files.names();
        let (bytes, parts) = (files.endorsements.len(), files.parts);
        File { bytes, comid, corim, endorsements, parts }
    };
    let files: Vec<_> = export.iter().map(piece).collect();
    let bytes = files.iter().map(|file| file.bytes).sum();
    let parts = files.iter().map(|file| file.parts).sum();
    Line(Object { bytes, files, folder, parts, profile: profile.name() })
}

/// An entry, or what is known of one that cannot be read. `image` is what its record says of the image.
pub fn entry(found: &Found<'_>, image: Option<&Software>) -> String {
    #[derive(Serialize)]
    struct Object<'a> {
        device_id: Text<DeviceId>,
        hash: Hex<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        image_sha256: Option<Text<Measurement>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        image_version: Option<&'a str>,
        implementation_id: Text<ImplementationId>,
        number: u64,
        port: &'a str,
        previous: Hex<'a>,
        problems: Vec<Text<&'a Problem>>,
        public_key: Hex<'a>,
        record: Hex<'a>,
        time: &'a str,
        ueid: Text<Ueid>,
    }
    #[derive(Serialize)]
    struct Unreadable<'a> {
        number: u64,
        problems: Vec<Text<&'a Problem>>,
    }
    let problems = texts(found.problems);
    let Some(row) = found.row else {
        return Line(Unreadable { number: found.number, problems }).to_string();
    };
    Line(Object {
        device_id: Text(row.identity.device_id),
        hash: Hex(&row.hash),
        image_sha256: image.map(|image| Text(image.measurement)),
        image_version: image.map(|image| &image.version[..]),
        implementation_id: Text(row.identity.implementation_id),
        number: row.number,
        port: &row.port,
        previous: Hex(&row.previous),
        problems,
        public_key: Hex(row.identity.public_key.as_bytes()),
        record: Hex(&row.record),
        time: &row.time,
        ueid: Text(row.identity.ueid()),
    })
    .to_string()
}

/// Problems of the ledger that no entry has.
pub fn problems(problems: &[&Problem]) -> impl Display {
    #[derive(Serialize)]
    struct Object<'a> {
        problems: Vec<Text<&'a Problem>>,
    }
    Line(Object { problems: problems.iter().copied().map(Text).collect() })
}

/// A log whose record is good.
pub fn good(VerifiedRecord { identity, software, .. }: &VerifiedRecord) -> impl Display {
    #[derive(Serialize)]
    struct Object<'a> {
        device_id: Text<DeviceId>,
        event: &'static str,
        image_sha256: Text<Measurement>,
        image_version: &'a str,
        implementation_id: Text<ImplementationId>,
        public_key: Hex<'a>,
        ueid: Text<Ueid>,
    }
    Line(Object {
        device_id: Text(identity.device_id),
        event: "good",
        image_sha256: Text(software.measurement),
        image_version: &software.version,
        implementation_id: Text(identity.implementation_id),
        public_key: Hex(identity.public_key.as_bytes()),
        ueid: Text(identity.ueid()),
    })
}

/// A log that is not believed.
pub fn bad(error: &PartError) -> impl Display {
    #[derive(Serialize)]
    struct Object<'a> {
        error: &'static str,
        event: &'static str,
        text: Text<&'a PartError>,
    }
    Line(Object { error: error.name(), event: "bad", text: Text(error) })
}

#[cfg(test)]
mod tests {
    use station::Identity;
    use station::ledger::Row;

    use super::*;

    /// As a reader of the lines had it from the first version on.
    #[test]
    fn the_members_are_in_alphabetical_order() {
        let receipt = Receipt { number: 7, hash: [0xA5; 32] };
        let public_key = provisioning::DUMMY_PUBLIC_KEY;
        let implementation_id = ImplementationId::from_bytes([0xC7; 32]).unwrap();
        let identity = Identity { device_id: DeviceId([1; 8]), implementation_id, public_key };
        let software =
            Software { measurement: Measurement([2; 32]), version: String::from("1.0\"0") };
        let nonce = provisioning::Nonce([3; 32]);
        let record = VerifiedRecord { identity, nonce, software: software.clone() };
        let row = Row {
            number: 7,
            time: String::new(),
            port: String::new(),
            identity,
            record: vec![1, 2],
            previous: [0; 32],
            hash: [1; 32],
        };
        let problems = [Problem::Hash(7)];
        let found = Found { number: 7, row: Some(&row), problems: &problems };
        let refused = PartError::Refused(station::ledger::Refusal::Known(7), identity.ueid());
        let audited = Audit { entries: 7, head: receipt, problems: problems.to_vec(), unlisted: 1 };
        let files =
            Files { number: None, comid: vec![], corim: vec![], endorsements: vec![1], parts: 1 };
        for line in [
            entered("port", &Entered { receipt, identity }).to_string(),
            not_entered("port", &refused).to_string(),
            not_entered("port", &PartError::NoNonce).to_string(),
            given_up("port").to_string(),
            end(1, 2, 3, Duration::from_millis(1500), &receipt).to_string(),
            audit(&audited).to_string(),
            not_exported(&audited).to_string(),
            exported(&[files], Profile::Psa2025, Path::new("folder")).to_string(),
            entry(&found, None),
            entry(&found, Some(&software)),
            entry(&Found { row: None, ..found }, None),
            super::problems(&[&problems[0]]).to_string(),
            good(&record).to_string(),
            bad(&PartError::Modelled).to_string(),
        ] {
            // A map of this crate is sorted.
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(value.to_string(), line);
        }
    }
}
