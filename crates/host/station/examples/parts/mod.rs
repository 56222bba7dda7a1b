// SPDX-License-Identifier: Apache-2.0

//! Made-up parts with records that verify, many and quickly: as entries of a ledger, and as consoles.

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use coset::cbor::value::Value;
use coset::{
    CborSerializable, CoseKeyBuilder, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable, iana,
};
use p256::ProjectivePoint;
use p256::elliptic_curve::sec1::ToSec1Point;
use provisioning::console::RECORD_PREFIX;
use provisioning::{Event, ImplementationId, Measurement, PublicKey, Ueid};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use station::export::{DEFAULT_MAX_BYTES, InstanceIds, Options, Profile};
use station::ledger::{Attempt, Begun, Ledger, New, NewEnd, NewEntry, NewOutcome, Step};
use station::port::{Arrival, Source};
use station::record::{self, Wanted};
use station::transcript::Transcript;
use station::{DeviceId, Identity};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Parts that are made and appended at once.
const SLICE: usize = 1_000;

/// The measurement that all records have.
const MEASUREMENT: [u8; 32] = [4; 32];

/// What a fresh run prints before its record.
const EVENTS: [Event<'static>; 4] = [
    Event::LifecycleVerified,
    Event::LifecycleSwitched,
    Event::GeneratingHuks,
    Event::WritingIdentityKey,
];

/// Makes parts, one after the other. The number of a part is its private key, too.
pub struct Maker {
    number: u64,
    point: ProjectivePoint,
    random: SystemRandom,
}

impl Maker {
    /// `first` is the number of the first part.
    pub fn new(first: u64) -> Self {
        let point = ProjectivePoint::GENERATOR * p256::Scalar::from(first);
        Self { number: first, point, random: SystemRandom::new() }
    }

    /// The next part.
    pub fn part(&mut self) -> Result<Part> {
        let sec1 = self.point.to_affine().to_sec1_point(false);
        let mut scalar = [0; 32];
        scalar[24..].copy_from_slice(&self.number.to_be_bytes());
        let key = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &scalar,
            sec1.as_bytes(),
            &self.random,
        )?;
        let identity = Identity {
            device_id: DeviceId(self.number.to_le_bytes()),
            implementation_id: ImplementationId::from_bytes([0xAA; 32])?,
            public_key: PublicKey::from_sec1_bytes(sec1.as_bytes()).ok_or("no point")?,
        };
        let record = record(&identity, &key, &self.random)?;
        let part = Part { number: self.number, identity, record };
        self.number += 1;
        self.point += ProjectivePoint::GENERATOR;
        Ok(part)
    }

    /// The next parts.
    pub fn parts(&mut self, count: u64) -> Result<Vec<Part>> {
        (0..count).map(|_| self.part()).collect()
    }
}

/// A part that was provisioned.
pub struct Part {
    pub number: u64,
    pub identity: Identity,
    pub record: Vec<u8>,
}

impl Part {
    /// What a kit prints of its run.
    pub fn console(&self) -> String {
        let record = Base64UrlUnpadded::encode_string(&self.record);
        let lines = EVENTS.iter().map(ToString::to_string);
        let lines = lines.chain([format!("{RECORD_PREFIX}{record}"), Event::Success.to_string()]);
        lines.flat_map(|line| [line, String::from("\r\n")]).collect()
    }

    /// What a station keeps of its run: two links.
    pub fn kept(self) -> New {
        let mut console = Transcript::default();
        console.push(self.console().as_bytes());
        let serial_number = Some(self.serial_number());
        let port = "/dev/ttyACM0".to_owned();
        let names = ["lifecycle", "implementation-id", "huk", "identity-key", "end"];
        let step = |name: &str| Step { name: name.to_owned(), milliseconds: 100 };
        New::Outcome(Box::new(NewOutcome {
            attempt: Begun::Now(Attempt {
                port,
                serial_number: serial_number.clone(),
                batch: None,
            }),
            end: NewEnd::Good(NewEntry { identity: self.identity, record: self.record }),
            serial_number,
            image: Some(Measurement(MEASUREMENT)),
            steps: names.map(step).into(),
            console,
        }))
    }

    /// Its serial number.
    pub fn serial_number(&self) -> String {
        format!("SN-{}", self.number)
    }
}

/// Appends good runs of so many new parts: two links each.
///
/// `first` is the number of the first one, which is its private key, too.
pub fn append(ledger: &mut Ledger, first: u64, count: u64) -> Result<()> {
    let mut maker = Maker::new(first);
    let mut left = count;
    while left > 0 {
        let slice = left.min(SLICE as u64);
        let news: Vec<_> = maker.parts(slice)?.into_iter().map(Part::kept).collect();
        ledger.append(&news)?;
        left -= slice;
    }
    Ok(())
}

/// As a part signs it: an array of a `COSE_Sign1` and a `COSE_Key`.
fn record(identity: &Identity, key: &EcdsaKeyPair, random: &SystemRandom) -> Result<Vec<u8>> {
    let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
    let component = [
        (1, Value::from("PRoT")),
        (2, bytes(&MEASUREMENT)),
        (4, Value::from("1.2.3")),
        (5, bytes(&[0; 32])),
    ];
    let map = |pairs: &[(i64, Value)]| {
        Value::Map(pairs.iter().map(|(key, value)| (Value::from(*key), value.clone())).collect())
    };
    let claims = map(&[
        (10, bytes(&[1; 32])),
        (256, bytes(Ueid::of(&identity.public_key).as_bytes())),
        (265, Value::from("tag:psacertified.org,2023:psa#tfm")),
        (268, bytes(&[2; 32])),
        (2394, Value::from(1)),
        (2395, Value::from(0x2000)),
        (2396, bytes(identity.implementation_id.as_bytes())),
        (2399, Value::Array(vec![map(&component)])),
        (-65537, bytes(&identity.device_id.0)),
    ]);
    let mut payload = Vec::new();
    coset::cbor::into_writer(&claims, &mut payload)?;
    let header = HeaderBuilder::new().algorithm(iana::Algorithm::ES256).build();
    let token = CoseSign1Builder::new()
        .protected(header)
        .payload(payload)
        .try_create_signature(b"", |data| {
            key.sign(random, data).map(|signature| signature.as_ref().to_vec())
        })
        .map_err(|_| "no signature")?
        .build();
    let [x, y] = [1..33, 33..65].map(|at| identity.public_key.as_bytes()[at].to_vec());
    let public = CoseKeyBuilder::new_ec2_pub_key(iana::EllipticCurve::P_256, x, y)
        .algorithm(iana::Algorithm::ES256)
        .build();
    let mut record = vec![0x82];
    record.extend(token.to_tagged_vec().map_err(|error| error.to_string())?);
    record.extend(public.to_vec().map_err(|error| error.to_string())?);
    Ok(record)
}

/// How parts are exported from a ledger with this head.
pub fn options(head: [u8; 32]) -> Options {
    Options {
        profile: Profile::Psa2025,
        instance_ids: InstanceIds::Both,
        head,
        vendor: None,
        model: None,
        max_bytes: DEFAULT_MAX_BYTES,
    }
}

/// What the ledger keeps must be what its record says.
pub fn check(entry: &station::ledger::Entry) -> std::result::Result<(), String> {
    let wanted = Wanted { allow_dummy: true, ..Default::default() };
    let record = record::verify(&entry.record, &wanted).map_err(|error| error.to_string())?;
    if record.identity == entry.identity { Ok(()) } else { Err(String::from("another part")) }
}

/// Consoles that were recorded, as a port on which one part comes after the other.
pub struct Replay {
    /// The next one is the last.
    consoles: Vec<Vec<u8>>,
    /// What is left of the part's.
    rest: Vec<u8>,
}

impl Replay {
    pub fn new(consoles: impl DoubleEndedIterator<Item = String>) -> Self {
        Self { consoles: consoles.rev().map(String::into_bytes).collect(), rest: Vec::new() }
    }
}

impl Source for Replay {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<Arrival> {
        if self.rest.is_empty() {
            let Some(console) = self.consoles.pop() else {
                thread::sleep(timeout.min(Duration::from_millis(1)));
                return Ok(Arrival::Nothing);
            };
            self.rest = console;
        }
        let count = self.rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        Ok(Arrival::Bytes(count))
    }

    fn write_all(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// The most memory that this program has had since [`forget_peak`], or since it began, in MiB. 0 where the system does
/// not say.
pub fn peak_memory() -> u64 {
    let status = fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0)
        / 1024
}

/// Has [`peak_memory`] begin anew: proc(5), `clear_refs`.
pub fn forget_peak() {
    let _ = fs::write(Path::new("/proc/self/clear_refs"), "5");
}
