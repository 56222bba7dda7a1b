// SPDX-License-Identifier: Apache-2.0

//! The record, read by another implementation of CBOR and COSE than the one that wrote it.

use coset::cbor::value::{Integer, Value};
use coset::iana::Ec2KeyParameter::{Crv, X, Y};
use coset::iana::{self, EnumI64};
use coset::{CborSerializable, CoseKey, CoseSign1, Label, TaggedCborSerializable};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use provisioning::{
    Config, Device, DeviceId, DriverError, Event, Huk, HukKey, HukSize, IdentityKey,
    IdentityKeySource, KeyCheckValue, KeySlots, Lifecycle, Measurement, Nonce, PublicKey,
    RECORD_SIZE, Record, StoredKeyDevice, StoredKeys, Ueid, VERSION, provision,
};
use sha2::{Digest, Sha256};

const ID: &str = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";
const NONCE: Nonce = Nonce([0x5A; 32]);
const DEVICE_ID: DeviceId = DeviceId([1, 2, 3, 4, 5, 6, 7, 0xF8]);

/// A part on which all is well, and complete from the start. Its identity key is 32 bytes of that value.
struct Part(u8);

impl Device for Part {
    type Keys = StoredKeys;

    fn device_id(&mut self) -> DeviceId {
        DEVICE_ID
    }

    fn lifecycle(&mut self) -> Result<Lifecycle, DriverError> {
        Ok(Lifecycle::Provisioning)
    }

    fn enter_provisioning(&mut self) -> Result<(), DriverError> {
        unreachable!("a complete part is not written to")
    }

    fn implementation_id(&mut self) -> Result<[u8; 32], DriverError> {
        Ok(std::array::from_fn(|at| u8::try_from(at).unwrap()))
    }

    fn write_implementation_id_word(&mut self, _: u32, _: u32) -> Result<(), DriverError> {
        unreachable!("a complete part is not written to")
    }

    fn derive_from_huk(&mut self, huk: Huk, value: &mut KeyCheckValue) -> Result<(), DriverError> {
        value.expose_mut().fill(huk as u8);
        Ok(())
    }

    fn fill_random(&mut self, bytes: &mut [u8; 32]) -> Result<(), DriverError> {
        bytes.fill(0x42);
        Ok(())
    }
}

impl StoredKeyDevice for Part {
    fn huk_size(&self) -> HukSize {
        HukSize::Bits128
    }

    fn huk_slots(&mut self, _: Huk) -> Result<KeySlots, DriverError> {
        Ok(KeySlots { total: 2, blank: 0, whole: 2, exposed: 0 })
    }

    fn identity_key_slots(&mut self) -> Result<KeySlots, DriverError> {
        Ok(KeySlots { total: 2, blank: 0, whole: 2, exposed: 0 })
    }

    fn write_huk(&mut self, _: Huk, _: &HukKey) -> Result<(), DriverError> {
        unreachable!("a complete part is not written to")
    }

    fn identity_key_is_written(&mut self) -> bool {
        true
    }

    fn write_identity_key(&mut self, _: &mut IdentityKey) -> Result<(), DriverError> {
        unreachable!("a complete part is not written to")
    }

    fn write_random_identity_key(&mut self) -> Result<(), DriverError> {
        unreachable!("a complete part is not written to")
    }

    fn write_dummy_identity_key(&mut self) -> Result<(), DriverError> {
        unreachable!("a complete part is not written to")
    }

    fn read_identity_key(&mut self, key: &mut IdentityKey) -> Result<(), DriverError> {
        key.expose_mut().fill(self.0);
        Ok(())
    }

    fn free_identity_key(&mut self, key: &mut IdentityKey) {
        key.clear();
    }
}

fn public_key(byte: u8) -> PublicKey {
    let mut key = IdentityKey::empty();
    key.expose_mut().fill(byte);
    key.public_key().unwrap()
}

fn record(byte: u8, nonce: Option<Nonce>) -> Record {
    let source = IdentityKeySource::Generated;
    let config = Config {
        nonce,
        measurement: Measurement([0xF1; 32]),
        ..Config::new(ID.parse().unwrap(), source)
    };
    let mut records = Vec::new();
    provision(&mut Part(byte), &config, |event| {
        if let Event::Record(record) = event {
            records.push(*record);
        }
    })
    .unwrap();
    assert_eq!(records.len(), 1);
    records[0]
}

/// The token, and the key beside it.
fn parts(record: &Record) -> (CoseSign1, CoseKey) {
    let Value::Array(items) = Value::from_slice(record.as_bytes()).unwrap() else { panic!() };
    let [token, key] = <[Value; 2]>::try_from(items).unwrap();
    let token = token.to_vec().unwrap();
    (
        CoseSign1::from_tagged_slice(&token).unwrap(),
        CoseKey::from_slice(&key.to_vec().unwrap()).unwrap(),
    )
}

#[test]
fn the_claims_are_those_of_the_part() {
    let (token, _) = parts(&record(3, Some(NONCE)));
    let claims = Value::from_slice(&token.payload.unwrap()).unwrap().into_map().unwrap();
    let key = public_key(3);
    let mut instance_id = vec![1];
    instance_id.extend(Sha256::digest(key.as_bytes()));
    assert_eq!(instance_id, Ueid::of(&key).as_bytes());
    let id: Vec<u8> = (0..32).collect();
    // RFC 9783, section 4, in the order of the keys.
    let component = [
        (1, Value::from("PRoT")),
        (2, Value::Bytes(vec![0xF1; 32])),
        (4, Value::from(VERSION)),
        (5, Value::Bytes(vec![0; 32])),
    ];
    let component = component.map(|(key, value)| (Value::from(key), value));
    let expected: [(i64, Value); 9] = [
        (10, Value::Bytes(NONCE.0.to_vec())),
        (256, Value::Bytes(instance_id)),
        (265, Value::Text(String::from("tag:psacertified.org,2023:psa#tfm"))),
        (268, Value::Bytes(hash("provisioning record: boot seed", 3))),
        (2394, Value::from(1)),
        (2395, Value::from(0x2000)),
        (2396, Value::Bytes(id)),
        (2399, Value::Array(vec![Value::Map(component.to_vec())])),
        (-65537, Value::Bytes(DEVICE_ID.0.to_vec())),
    ];
    let expected = expected.map(|(key, value)| (Value::Integer(Integer::from(key)), value));
    assert_eq!(claims, expected);
}

#[test]
fn the_identity_key_has_signed_it() {
    for byte in [1, 3, 0x7F] {
        let (token, key) = parts(&record(byte, None));
        assert_eq!(
            token.protected.header.alg,
            Some(coset::Algorithm::Assigned(iana::Algorithm::ES256))
        );
        assert!(token.unprotected.is_empty());
        let public_key = public_key(byte);
        let verifier = VerifyingKey::from_sec1_bytes(public_key.as_bytes()).unwrap();
        let verify = |signature: &[u8], data: &[u8]| {
            verifier.verify(data, &Signature::from_slice(signature).unwrap())
        };
        token.verify_signature(b"", verify).unwrap();
        assert!(token.verify_signature(b"something else", verify).is_err());

        // RFC 9053, section 7.1.1.
        assert_eq!(key.kty, coset::KeyType::Assigned(iana::KeyType::EC2));
        assert_eq!(key.alg, Some(coset::Algorithm::Assigned(iana::Algorithm::ES256)));
        let parameter = |name: iana::Ec2KeyParameter| {
            let label = Label::Int(name.to_i64());
            key.params.iter().find(|(found, _)| *found == label).map(|(_, value)| value.clone())
        };
        assert_eq!(parameter(Crv), Some(Value::from(iana::EllipticCurve::P_256.to_i64())));
        assert_eq!(parameter(X), Some(Value::Bytes(public_key.as_bytes()[1..33].to_vec())));
        assert_eq!(parameter(Y), Some(Value::Bytes(public_key.as_bytes()[33..].to_vec())));
    }
}

/// Of what `Part` calls random.
fn hash(label: &str, key: u8) -> Vec<u8> {
    let hash = Sha256::new().chain_update(label).chain_update([0x42; 32]);
    hash.chain_update(public_key(key).as_bytes()).finalize().to_vec()
}

#[test]
fn the_nonce_is_the_one_given_or_else_a_hash() {
    let nonce = |record: &Record| {
        let (token, _) = parts(record);
        let claims = Value::from_slice(&token.payload.unwrap()).unwrap().into_map().unwrap();
        claims[0].1.clone().into_bytes().unwrap()
    };
    assert_eq!(nonce(&record(3, Some(NONCE))), NONCE.0);
    assert_eq!(nonce(&record(3, None)), hash("provisioning record: nonce", 3));
    assert_eq!(nonce(&record(4, None)), hash("provisioning record: nonce", 4));
}

#[test]
fn every_record_is_as_long_as_the_documentation_says() {
    // Coordinates and signatures that begin with zeros have their full length too.
    for byte in 1..0xFF {
        let record = record(byte, None);
        assert_eq!(record.as_bytes().len(), RECORD_SIZE);
        // Nothing is left over behind the two items.
        let again = Value::from_slice(record.as_bytes()).unwrap().to_vec().unwrap();
        assert_eq!(again, record.as_bytes(), "not the deterministic encoding");
        let text = record.to_string();
        assert_eq!(format!("{record:?}"), text);
        assert_eq!(text.len(), 603);
        assert!(text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_'));
    }
}

#[test]
fn without_the_option_there_is_no_record() {
    let config =
        Config { record: false, ..Config::new(ID.parse().unwrap(), IdentityKeySource::Generated) };
    let failure = provision(&mut Part(3), &config, |event| {
        assert!(matches!(event, Event::Resuming | Event::HuksNotProven), "{event}");
    });
    assert_eq!(failure.unwrap().success().unwrap_err().cause.code(), 29);
}
