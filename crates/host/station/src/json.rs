// SPDX-License-Identifier: Apache-2.0

//! What `--json` prints: one object a line. Its members stand in alphabetical order.

pub mod hub;

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::path::{self, Path};
use std::time::Duration;

use provisioning::{DeviceId, ImplementationId, Measurement, Ueid};
use serde::{Serialize, Serializer};
use station::batch::uplink::Amount;
use station::batch::{Counts, Done, Entered, Verdict};
use station::export::{Files, Profile};
use station::ledger::{Audit, Entry, Found, Link, Origin, Problem, Receipt, Run};
use station::log::{self, GoodRun, NoRun};
use station::part::PartError;
use station::port::list::Listed;
use station::record::{Software, VerifiedRecord};
use station::submit::Taken;

use crate::commands::time;

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

/// A run that has ended.
pub fn done<'a>(port: &'a str, done: &'a Done) -> impl Display + 'a {
    #[derive(Serialize)]
    struct Object<'a> {
        attempt: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        device_id: Option<Text<DeviceId>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'static str>,
        event: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        hash: Option<Hex<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        implementation_id: Option<Text<ImplementationId>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
        port: &'a str,
        retry: bool,
        seconds: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        serial_number: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        station: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        ueid: Option<Text<Ueid>>,
    }
    let bare = Object {
        attempt: done.attempt,
        device_id: None,
        error: None,
        event: "not-entered",
        failure: None,
        hash: None,
        implementation_id: None,
        number: None,
        port,
        retry: done.is_retry,
        seconds: done.time.as_secs_f64(),
        serial_number: done.serial_number.as_deref(),
        station: None,
        text: None,
        ueid: None,
    };
    Line(match &done.verdict {
        Verdict::Good(Entered { receipt, identity }) => Object {
            device_id: Some(Text(identity.device_id)),
            event: "entered",
            hash: Some(Hex(&receipt.hash)),
            implementation_id: Some(Text(identity.implementation_id)),
            number: Some(receipt.number),
            ueid: Some(Text(identity.ueid())),
            ..bare
        },
        Verdict::NotDone(Entered { receipt, identity }, error) => Object {
            device_id: Some(Text(identity.device_id)),
            error: Some("step"),
            event: "not-done",
            hash: Some(Hex(&receipt.hash)),
            implementation_id: Some(Text(identity.implementation_id)),
            number: Some(receipt.number),
            text: Some(error.to_string()),
            ueid: Some(Text(identity.ueid())),
            ..bare
        },
        Verdict::Known(number, identity) => Object {
            device_id: Some(Text(identity.device_id)),
            event: "known",
            implementation_id: Some(Text(identity.implementation_id)),
            number: Some(*number),
            ueid: Some(Text(identity.ueid())),
            ..bare
        },
        Verdict::Failed(error) => {
            let (number, ueid) = match error {
                PartError::Refused(refusal, ueid) => (Some(refusal.number()), Some(Text(*ueid))),
                PartError::Elsewhere(found) => (Some(found.entry), None),
                _ => (None, None),
            };
            let station = match error {
                PartError::Elsewhere(found) => Some(&*found.station),
                _ => None,
            };
            let (name, failure) = (Some(error.name()), error.failure());
            Object {
                error: name,
                failure,
                number,
                station,
                text: Some(error.at_port()),
                ueid,
                ..bare
            }
        }
    })
}

/// Something about a port, in one word, and in words for people where there are any.
pub fn port_event(port: &str, event: &'static str, text: Option<String>) -> impl Display {
    #[derive(Serialize)]
    struct Object<'a> {
        event: &'static str,
        port: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    }
    Line(Object { event, port, text })
}

/// The end of a batch that took so long, the ledger then, and what its hub does not have.
pub fn end(
    counts: &Counts,
    time: Duration,
    entries: u64,
    head: &Receipt,
    pending: Option<Amount>,
) -> impl Display {
    #[derive(Serialize)]
    struct Object<'a> {
        begun: usize,
        event: &'static str,
        failed: usize,
        good: usize,
        known: usize,
        ledger_entries: u64,
        ledger_head: Hex<'a>,
        ledger_links: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        pending_links: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pending_parts: Option<u64>,
        retried: usize,
        seconds: f64,
    }
    let Counts { good, known, failed, retried } = *counts;
    Line(Object {
        begun: good + known + failed,
        event: "end",
        failed,
        good,
        known,
        ledger_entries: entries,
        ledger_head: Hex(&head.hash),
        ledger_links: head.number,
        pending_links: pending.map(|pending| pending.links),
        pending_parts: pending.map(|pending| pending.parts),
        retried,
        seconds: time.as_secs_f64(),
    })
}

/// An entry that was withdrawn, and the verifiers that were given it.
pub fn withdrawn<'a>(entry: u64, link: &'a Receipt, verifiers: &'a [String]) -> impl Display + 'a {
    #[derive(Serialize)]
    struct Object<'a> {
        entry: u64,
        event: &'static str,
        hash: Hex<'a>,
        link: u64,
        verifiers: &'a [String],
    }
    let (hash, link) = (Hex(&link.hash), link.number);
    Line(Object { entry, event: "withdrawn", hash, link, verifiers })
}

/// A ledger that was begun.
pub fn begun<'a>(
    ledger: &'a Path,
    key: &'a Path,
    vkey: &'a str,
    origin: &'a Origin,
) -> impl Display + 'a {
    #[derive(Serialize)]
    struct Object<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        batch: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        continues_format: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        continues_head: Option<Hex<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        continues_links: Option<u64>,
        key: Text<path::Display<'a>>,
        ledger: Text<path::Display<'a>>,
        vkey: &'a str,
    }
    let old = origin.continues.as_ref();
    Line(Object {
        batch: origin.batch.as_deref(),
        continues_format: old.map(|old| old.format),
        continues_head: old.map(|old| Hex(&old.head)),
        continues_links: old.map(|old| old.number),
        key: Text(key.display()),
        ledger: Text(ledger.display()),
        vkey,
    })
}

/// What an audit found.
pub fn audit(found: &Audit) -> impl Display {
    #[derive(Serialize)]
    struct Object<'a> {
        attempts: u64,
        clocks_accepted: &'a [u64],
        entries: u64,
        head: Hex<'a>,
        links: u64,
        problems: Vec<Text<&'a Problem>>,
        unfinished: u64,
        unlisted_problems: u64,
    }
    Line(Object {
        attempts: found.attempts,
        clocks_accepted: &found.clocks_accepted,
        entries: found.entries,
        head: Hex(&found.head.hash),
        links: found.head.number,
        problems: texts(&found.problems),
        unfinished: found.unfinished,
        unlisted_problems: found.unlisted,
    })
}

/// What is wrong with a ledger, and why nothing was exported.
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
        is_signed: bool,
        parts: usize,
    }
    let piece = |files: &Files| {
        let [comid, corim, endorsements] = files.names();
        let Files { is_signed, parts, .. } = *files;
        File { bytes: files.endorsements.len(), comid, corim, endorsements, is_signed, parts }
    };
    let files: Vec<_> = export.iter().map(piece).collect();
    let bytes = files.iter().map(|file| file.bytes).sum();
    let parts = files.iter().map(|file| file.parts).sum();
    Line(Object { bytes, files, folder, parts, profile: profile.name() })
}

/// A file of endorsements that a verifier has.
pub fn submitted(file: &str, bytes: usize, id: &str, taken: Taken) -> String {
    #[derive(Serialize)]
    struct Object<'a> {
        bytes: usize,
        file: &'a str,
        id: &'a str,
        taken: &'static str,
    }
    let taken = match taken {
        Taken::Now => "now",
        Taken::Before => "before",
    };
    Line(Object { bytes, file, id, taken }).to_string()
}

/// An entry. `image` is what its record says of the image, and `run` the run that has brought it.
pub fn entry(
    found: &Found<'_>,
    entry: &Entry,
    image: Option<&Software>,
    run: Option<&Run>,
) -> String {
    #[derive(Serialize)]
    struct Object<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        attempt: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        batch: Option<&'a str>,
        device_id: Text<DeviceId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        hash: Option<Hex<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        image_sha256: Option<Text<Measurement>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        image_version: Option<&'a str>,
        implementation_id: Text<ImplementationId>,
        link: u64,
        number: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        operator: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        port: Option<&'a str>,
        problems: Vec<Text<&'a Problem>>,
        public_key: Hex<'a>,
        record: Hex<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        serial_number: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        station: Option<&'a str>,
        time: String,
        ueid: Text<Ueid>,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        withdrawn: Option<u64>,
    }
    let link = found.link;
    let attempt = run.map(Run::attempt);
    Line(Object {
        attempt: run.map(|run| run.begun.number),
        batch: attempt.and_then(|attempt| attempt.batch.as_deref()),
        device_id: Text(entry.identity.device_id),
        hash: link.map(|link| Hex(&link.hash)),
        image_sha256: image.map(|image| Text(image.measurement)),
        image_version: image.map(|image| &image.version[..]),
        implementation_id: Text(entry.identity.implementation_id),
        link: found.number,
        number: entry.number,
        operator: link.and_then(|link| link.author.operator.as_deref()),
        port: attempt.map(|attempt| &attempt.port[..]),
        problems: texts(found.problems),
        public_key: Hex(entry.identity.public_key.as_bytes()),
        record: Hex(&entry.record),
        serial_number: link.and_then(Link::serial_number),
        station: link.and_then(|link| link.author.station.as_deref()),
        time: time(link),
        ueid: Text(entry.identity.ueid()),
        version: link.map(|link| &link.version[..]),
        withdrawn: found.withdrawn,
    })
    .to_string()
}

/// What is known of a link that is not good and brings no entry.
pub fn bad_link(found: &Found<'_>) -> impl Display {
    #[derive(Serialize)]
    struct Object<'a> {
        link: u64,
        problems: Vec<Text<&'a Problem>>,
    }
    Line(Object { link: found.number, problems: texts(found.problems) })
}

/// Problems of the ledger that no link has.
pub fn problems(problems: &[&Problem]) -> impl Display {
    #[derive(Serialize)]
    struct Object<'a> {
        problems: Vec<Text<&'a Problem>>,
    }
    Line(Object { problems: problems.iter().copied().map(Text).collect() })
}

/// A serial port of the machine. Vendor and product ID have four hexadecimal digits, as lsusb prints them.
pub fn port(port: &Listed) -> String {
    #[derive(Serialize)]
    struct Object<'a> {
        argument: Cow<'a, str>,
        links: Vec<Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        manufacturer: Option<&'a str>,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        product: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        product_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        serial_number: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        vendor_id: Option<String>,
    }
    let usb = port.usb.as_ref();
    Line(Object {
        argument: port.argument().to_string_lossy(),
        links: port.links.iter().map(|link| link.to_string_lossy()).collect(),
        manufacturer: usb.and_then(|usb| usb.manufacturer.as_deref()),
        name: &port.name,
        product: usb.and_then(|usb| usb.product.as_deref()),
        product_id: usb.map(|usb| format!("{:04x}", usb.pid)),
        serial_number: usb.and_then(|usb| usb.serial_number.as_deref()),
        vendor_id: usb.map(|usb| format!("{:04x}", usb.vid)),
    })
    .to_string()
}

/// A run in a log whose record is good.
pub fn good<'a>(file: &'a str, run: &log::Run, good: &'a GoodRun) -> impl Display + 'a {
    #[derive(Serialize)]
    struct Object<'a> {
        device_id: Text<DeviceId>,
        event: &'static str,
        file: &'a str,
        image_sha256: Text<Measurement>,
        image_version: &'a str,
        implementation_id: Text<ImplementationId>,
        line: u64,
        not_proven: Vec<&'static str>,
        public_key: Hex<'a>,
        run: u64,
        ueid: Text<Ueid>,
    }
    let VerifiedRecord { identity, software, .. } = &good.record;
    Line(Object {
        device_id: Text(identity.device_id),
        event: "good",
        file,
        image_sha256: Text(software.measurement),
        image_version: &software.version,
        implementation_id: Text(identity.implementation_id),
        line: run.line,
        not_proven: good.not_proven.iter().map(|what| what.name()).collect(),
        public_key: Hex(identity.public_key.as_bytes()),
        run: run.number,
        ueid: Text(identity.ueid()),
    })
}

/// A run in a log that is not good.
pub fn bad(file: &str, run: &log::Run, error: &PartError) -> impl Display {
    #[derive(Serialize)]
    struct Object<'a> {
        error: &'static str,
        event: &'static str,
        file: &'a str,
        line: u64,
        run: u64,
        text: String,
    }
    Line(Object {
        error: error.name(),
        event: "bad",
        file,
        line: run.line,
        run: run.number,
        text: error.in_log(),
    })
}

/// A log without a run.
pub fn no_run(file: &str, why: &NoRun) -> impl Display {
    #[derive(Serialize)]
    struct Object<'a> {
        error: &'static str,
        event: &'static str,
        file: &'a str,
        text: String,
    }
    Line(Object { error: "no-run", event: "bad", file, text: why.in_log() })
}

#[cfg(test)]
mod tests {
    use station::Identity;
    use station::console::ConsoleError;
    use station::hub::{Elsewhere, OwnConflict, Same};
    use station::ledger::{Attempt, Author, End, Fact, Outcome, Refusal};
    use station::log::NotProven;

    use super::*;

    /// As a reader of the lines had it from the first version on.
    #[test]
    #[allow(clippy::too_many_lines, reason = "one value of each kind")]
    fn the_members_are_in_alphabetical_order() {
        let receipt = Receipt { number: 7, hash: [0xA5; 32] };
        let public_key = provisioning::DUMMY_PUBLIC_KEY;
        let implementation_id = ImplementationId::from_bytes([0xC7; 32]).unwrap();
        let identity = Identity { device_id: DeviceId([1; 8]), implementation_id, public_key };
        let software =
            Software { measurement: Measurement([2; 32]), version: String::from("1.0\"0") };
        let nonce = provisioning::Nonce([3; 32]);
        let record = VerifiedRecord { identity, nonce, software: software.clone() };
        let entry = Entry { number: 3, identity, record: vec![1, 2] };
        let text = || Some(String::from("x"));
        let in_log = log::Run {
            number: 1,
            line: 2,
            is_modelled: false,
            has_asked: false,
            end: Err(ConsoleError::SecondRecord),
        };
        let link = |fact| Link {
            number: 7,
            time: jiff::Timestamp::UNIX_EPOCH,
            clock_accepted: false,
            author: Author { station: text(), operator: text() },
            version: String::from("0"),
            fact,
            previous: [0; 32],
            hash: [1; 32],
        };
        let outcome = Outcome {
            attempt: 6,
            end: End::Good(entry.clone()),
            serial_number: text(),
            image: None,
            steps: vec![],
            console: station::ledger::Text::default(),
        };
        let ended = link(Fact::Outcome(Box::new(outcome)));
        let attempt = Attempt { port: String::from("p"), batch: text(), serial_number: None };
        let run = Run {
            begun: link(Fact::Attempt(attempt)),
            ended: Some(ended.clone()),
            not_done: false,
        };
        let problems = [Problem::Hash(7)];
        let found =
            Found { number: 7, link: Some(&ended), withdrawn: Some(9), problems: &problems };
        let done = |verdict| Done {
            verdict,
            serial_number: text(),
            attempt: 6,
            is_retry: true,
            time: Duration::from_millis(1500),
        };
        let refused = PartError::Refused(Refusal::SeenDeviceId(7), identity.ueid());
        let failed = PartError::Failed { line: String::from("Failure"), code: Some(8) };
        let same = Same { device_id: true, ueid: true, public_key: true, serial_number: false };
        let other =
            Elsewhere { station: String::from("line-1"), entry: 3, is_withdrawn: false, same };
        let elsewhere = PartError::Elsewhere(Box::new(other.clone()));
        let (device_id, ueid) = (identity.device_id, identity.ueid());
        let conflict = OwnConflict { entry: 7, device_id, ueid, other };
        let audited = Audit {
            entries: 7,
            attempts: 8,
            unfinished: 1,
            clocks_accepted: vec![3],
            head: receipt,
            problems: problems.to_vec(),
            unlisted: 1,
        };
        let files = Files {
            number: None,
            comid: vec![],
            corim: vec![],
            endorsements: vec![1],
            is_signed: true,
            parts: 1,
        };
        let listed = Listed {
            name: String::from("port"),
            links: vec!["by-id".into()],
            usb: Some(serialport::UsbPortInfo {
                vid: 1,
                pid: 2,
                serial_number: Some(String::from("3")),
                manufacturer: Some(String::from("4")),
                product: Some(String::from("5")),
            }),
        };
        for line in [
            super::done("port", &done(Verdict::Good(Entered { receipt, identity }))).to_string(),
            super::done("port", &done(Verdict::Known(7, identity))).to_string(),
            super::done("port", &done(Verdict::Failed(refused))).to_string(),
            super::done("port", &done(Verdict::Failed(failed))).to_string(),
            port_event("port", "idle", text()).to_string(),
            end(&Counts::default(), Duration::from_millis(1500), 7, &receipt, None).to_string(),
            end(&Counts::default(), Duration::ZERO, 7, &receipt, Some(Amount::default()))
                .to_string(),
            super::done("port", &done(Verdict::Failed(elsewhere))).to_string(),
            hub::event("hub-away", String::from("text")).to_string(),
            hub::conflict(&conflict, String::from("text")).to_string(),
            withdrawn(7, &receipt, &[String::from("v")]).to_string(),
            audit(&audited).to_string(),
            not_exported(&audited).to_string(),
            exported(&[files], Profile::Psa2025, Path::new("folder")).to_string(),
            submitted("file", 1, "id", Taken::Before),
            super::entry(&found, &entry, None, None),
            super::entry(&found, &entry, Some(&software), Some(&run)),
            bad_link(&found).to_string(),
            super::problems(&[&problems[0]]).to_string(),
            port(&listed),
            port(&Listed { usb: None, ..listed }),
            good("file", &in_log, &GoodRun { record, not_proven: vec![NotProven::NoNonce] })
                .to_string(),
            bad("file", &in_log, &PartError::Modelled).to_string(),
            no_run("file", &NoRun::Empty).to_string(),
        ] {
            // A map of this crate is sorted.
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(value.to_string(), line);
        }
    }
}
