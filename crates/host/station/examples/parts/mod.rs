// SPDX-License-Identifier: Apache-2.0

//! Made-up parts with records that verify, many and quickly.

use std::error::Error;
use std::path::Path;

use coset::cbor::value::Value;
use coset::{
    CborSerializable, CoseKeyBuilder, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable, iana,
};
use p256::ProjectivePoint;
use p256::elliptic_curve::sec1::ToSec1Point;
use provisioning::{ImplementationId, PublicKey, Ueid};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use station::ledger::{Attempt, Begun, Ledger, New, NewEnd, NewEntry, NewOutcome};
use station::transcript::Transcript;
use station::{DeviceId, Identity};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Appends good runs of so many new parts: two links each.
///
/// `first` is the number of the first one, which is its private key, too.
pub fn append(ledger: &mut Ledger, first: u64, count: u64) -> Result<()> {
    let generator = ProjectivePoint::GENERATOR;
    let mut point = generator * p256::Scalar::from(first);
    let random = SystemRandom::new();
    let mut parts = first..first + count;
    loop {
        let mut slice = Vec::new();
        for n in parts.by_ref().take(1_000) {
            slice.push(part(n, &point, &random)?);
            point += generator;
        }
        if slice.is_empty() {
            return Ok(());
        }
        ledger.append(&slice)?;
    }
}

/// A good run of part `n`.
fn part(n: u64, point: &ProjectivePoint, random: &SystemRandom) -> Result<New> {
    let sec1 = point.to_affine().to_sec1_point(false);
    let public_key = PublicKey::from_sec1_bytes(sec1.as_bytes()).ok_or("no point")?;
    let mut scalar = [0; 32];
    scalar[24..].copy_from_slice(&n.to_be_bytes());
    let key = EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        &scalar,
        sec1.as_bytes(),
        random,
    )?;
    let identity = Identity {
        device_id: DeviceId(n.to_le_bytes()),
        implementation_id: ImplementationId::from_bytes([0xAA; 32])?,
        public_key,
    };
    let record = record(&identity, &key, random)?;
    let serial_number = Some(format!("SN-{n}"));
    let port = "/dev/ttyACM0".to_owned();
    Ok(New::Outcome(Box::new(NewOutcome {
        attempt: Begun::Now(Attempt { port, serial_number: serial_number.clone(), batch: None }),
        end: NewEnd::Good(NewEntry { identity, record }),
        serial_number,
        image: None,
        steps: Vec::new(),
        console: Transcript::default(),
    })))
}

/// As a part signs it: an array of a `COSE_Sign1` and a `COSE_Key`.
fn record(identity: &Identity, key: &EcdsaKeyPair, random: &SystemRandom) -> Result<Vec<u8>> {
    let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
    let component = [
        (1, Value::from("PRoT")),
        (2, bytes(&[4; 32])),
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

/// What the ledger keeps must be what its record says.
pub fn check(entry: &station::ledger::Entry) -> std::result::Result<(), String> {
    let wanted = station::record::Wanted { allow_dummy: true, ..Default::default() };
    let record =
        station::record::verify(&entry.record, &wanted).map_err(|error| error.to_string())?;
    if record.identity == entry.identity { Ok(()) } else { Err(String::from("another part")) }
}

/// The most memory that this program has had, in MiB.
pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0)
        / 1024
}
