// SPDX-License-Identifier: Apache-2.0

//! A record is believed as a modelled part has made it, and in no other form.

mod common;

use common::{id, made_by};
use coset::cbor::value::Value;
use coset::{
    CborSerializable, CoseKeyBuilder, CoseSign1Builder, Header, HeaderBuilder,
    TaggedCborSerializable, iana,
};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use provisioning::{
    DUMMY_PUBLIC_KEY, IdentityKeySource, ImplementationId, Measurement, Nonce, PublicKey, Ueid,
    VERSION,
};
use silicon::Soc;
use station::part::{PartError, check};
use station::record::{RecordError, VerifiedRecord, Wanted, decode, verify};

const ANY: Wanted = Wanted { implementation_id: None, nonce: None, allow_dummy: false };

#[test]
fn the_record_of_each_part_is_believed() {
    for soc in Soc::ALL.iter().copied() {
        for source in [IdentityKeySource::Generated, IdentityKeySource::Driver] {
            let nonce = Nonce([0x11; 32]);
            let (text, public_key) = made_by(soc, source, Some(nonce));
            let wanted =
                Wanted { implementation_id: Some(id()), nonce: Some(nonce), allow_dummy: false };
            let record = verify(&decode(&text).unwrap(), &wanted).unwrap();
            assert_eq!(record.identity.public_key, public_key);
            assert_eq!(record.identity.implementation_id, id());
            assert_eq!(record.identity.device_id.to_string(), "0707070707070707");
            assert_eq!(record.nonce, nonce);
            assert_eq!(record.software.measurement, Measurement::of(&[]));
            assert_eq!(record.software.version, VERSION);
        }
    }
}

#[test]
fn a_good_record_of_another_part_is_not_the_one_wanted() {
    let (text, _) = made_by(Soc::Nrf5340, IdentityKeySource::Generated, None);
    let bytes = decode(&text).unwrap();
    let wanted = ImplementationId::from_bytes([0x11; 32]).unwrap();
    assert_eq!(
        verify(&bytes, &Wanted { implementation_id: Some(wanted), ..ANY }),
        Err(RecordError::ImplementationId { found: id(), wanted })
    );
    let nonce = Some(Nonce([0x22; 32]));
    assert_eq!(verify(&bytes, &Wanted { nonce, ..ANY }), Err(RecordError::Nonce));
}

#[test]
fn the_dummy_key_is_believed_on_request_only() {
    let (text, _) = made_by(Soc::Nrf5340, IdentityKeySource::Dummy, None);
    let bytes = decode(&text).unwrap();
    assert_eq!(verify(&bytes, &ANY), Err(RecordError::Dummy));
    let record = verify(&bytes, &Wanted { allow_dummy: true, ..ANY }).unwrap();
    assert_eq!(record.identity.public_key, DUMMY_PUBLIC_KEY);
}

#[test]
fn no_flipped_bit_and_no_cut_is_believed() {
    let (text, _) = made_by(Soc::Nrf9160, IdentityKeySource::Generated, None);
    let bytes = decode(&text).unwrap();
    for at in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        assert!(verify(&flipped, &ANY).is_err(), "bit {at}");
    }
    for end in 0..bytes.len() {
        assert!(verify(&bytes[..end], &ANY).is_err(), "{end} bytes");
    }
    assert!(verify(&[&bytes[..], &[0]].concat(), &ANY).is_err(), "a byte too many");
    for end in 0..text.len() {
        assert!(decode(&text[..end]).and_then(|bytes| verify(&bytes, &ANY)).is_err());
    }
    assert_eq!(decode(&format!("{text}=")), Err(RecordError::Text));
    assert_eq!(decode(&text.replacen('g', "+", 1)), Err(RecordError::Text));
}

/// The software component of a good record, with changes.
fn component(changes: &[(i64, Option<Value>)]) -> Value {
    let good = [
        (1, Value::from("PRoT")),
        (2, Value::Bytes(vec![4; 32])),
        (4, Value::from("1.2.3")),
        (5, Value::Bytes(vec![0; 32])),
    ];
    let value = |(key, value): &(i64, Value)| {
        let change = changes.iter().find(|(changed, _)| changed == key);
        let value = change.map_or(Some(value), |(_, value)| value.as_ref())?;
        Some((Value::from(*key), value.clone()))
    };
    Value::Array(vec![Value::Map(good.iter().filter_map(value).collect())])
}

/// A record with the claims of a good one, changed, and signed by the right key.
fn forged(change: impl FnOnce(&mut Vec<(Value, Value)>)) -> Result<VerifiedRecord, RecordError> {
    let header = HeaderBuilder::new().algorithm(iana::Algorithm::ES256);
    forged_with(change, header.build(), Header::default(), |key| key)
}

/// As `forged`, with these headers and another key beside the token.
fn forged_with(
    change: impl FnOnce(&mut Vec<(Value, Value)>),
    protected: Header,
    unprotected: Header,
    change_key: impl FnOnce(CoseKeyBuilder) -> CoseKeyBuilder,
) -> Result<VerifiedRecord, RecordError> {
    let key = SigningKey::from_slice(&[9; 32]).unwrap();
    let point = key.verifying_key().to_sec1_point(false);
    let public_key = PublicKey::from_sec1_bytes(point.as_bytes()).unwrap();
    let mut claims: Vec<(Value, Value)> = [
        (10, Value::Bytes(vec![1; 32])),
        (256, Value::Bytes(Ueid::of(&public_key).as_bytes().to_vec())),
        (265, Value::Text(String::from("tag:psacertified.org,2023:psa#tfm"))),
        (268, Value::Bytes(vec![3; 32])),
        (2394, Value::from(1)),
        (2395, Value::from(0x2000)),
        (2396, Value::Bytes(id().as_bytes().to_vec())),
        (2399, component(&[])),
        (-65537, Value::Bytes(vec![2; 8])),
    ]
    .map(|(key, value)| (Value::from(key), value))
    .to_vec();
    change(&mut claims);
    let token = CoseSign1Builder::new()
        .protected(protected)
        .unprotected(unprotected)
        .payload(Value::Map(claims).to_vec().unwrap())
        .create_signature(b"", |data| {
            let signature: Signature = key.sign(data);
            signature.to_bytes().to_vec()
        })
        .build();
    let cose_key = CoseKeyBuilder::new_ec2_pub_key(
        iana::EllipticCurve::P_256,
        public_key.as_bytes()[1..33].to_vec(),
        public_key.as_bytes()[33..].to_vec(),
    )
    .algorithm(iana::Algorithm::ES256);
    let cose_key = change_key(cose_key).build();
    let items = [token.to_tagged_vec().unwrap(), cose_key.to_vec().unwrap()];
    verify(&[&[0x82], &items[0][..], &items[1][..]].concat(), &ANY)
}

#[test]
fn each_claim_is_checked() {
    forged(|_| ()).unwrap();
    let set = |at: usize, value: Value| forged(move |claims| claims[at].1 = value);
    // A minor state of the lifecycle, another caller in the secure world, and unknown claims are fine.
    set(5, Value::from(0x20FF)).unwrap();
    set(4, Value::from(7)).unwrap();
    forged(|claims| claims.push((Value::from(2400), Value::from("https://veraison.example"))))
        .unwrap();

    assert_eq!(set(1, Value::Bytes(vec![1; 33])), Err(RecordError::InstanceId));
    let profile = String::from("PSA_IOT_PROFILE_1");
    assert_eq!(set(2, Value::Text(profile.clone())), Err(RecordError::Profile(profile)));
    for caller in [0, -1] {
        assert_eq!(set(4, Value::from(caller)), Err(RecordError::ClientId(caller.into())));
    }
    for state in [0, 0x1000, 0x1FFF, 0x2100, 0x3000, 0x6000] {
        assert_eq!(set(5, Value::from(state)), Err(RecordError::Lifecycle(state.into())));
    }
    let erased = set(6, Value::Bytes(vec![0xFF; 32]));
    assert!(matches!(erased, Err(RecordError::ErasedImplementationId(_))), "{erased:?}");

    let names = [
        "nonce",
        "instance ID",
        "profile",
        "boot seed",
        "client ID",
        "security lifecycle",
        "implementation ID",
        "software component",
        "device ID",
    ];
    for (at, name) in names.into_iter().enumerate() {
        let missing = forged(|claims| drop(claims.remove(at)));
        assert_eq!(missing, Err(RecordError::Claim(name)));
        let twice = forged(|claims| claims.push(claims[at].clone()));
        assert_eq!(twice, Err(RecordError::Claim(name)));
        for value in [Value::Null, Value::Bytes(vec![1; 31]), Value::Array(Vec::new())] {
            assert_eq!(set(at, value), Err(RecordError::Claim(name)));
        }
    }
}

#[test]
fn the_software_component_is_checked() {
    let with = |changes: &[(i64, Option<Value>)]| {
        let component = component(changes);
        forged(move |claims| claims[7].1 = component)
    };
    let software = with(&[]).unwrap().software;
    assert_eq!((software.measurement.0, software.version.as_str()), ([4; 32], "1.2.3"));
    let bad = [
        (1, Value::from("BL"), "software component"),
        (2, Value::Bytes(vec![4; 31]), "measurement"),
        (4, Value::from(1), "software component"),
        // An image that somebody has signed is another one.
        (5, Value::Bytes([&[1][..], &[0; 31]].concat()), "signer ID"),
        (5, Value::Bytes(vec![0; 31]), "signer ID"),
    ];
    for (key, value, name) in bad {
        assert_eq!(with(&[(key, Some(value))]), Err(RecordError::Claim(name)), "{key}");
        assert_eq!(with(&[(key, None)]), Err(RecordError::Claim("software component")), "{key}");
    }
    for components in [vec![], vec![Value::Map(Vec::new()); 2]] {
        let result = forged(move |claims| claims[7].1 = Value::Array(components));
        assert_eq!(result, Err(RecordError::Claim("software component")));
    }
}

#[test]
fn nothing_stands_beside_what_a_part_writes() {
    let es256 = || HeaderBuilder::new().algorithm(iana::Algorithm::ES256);
    let empty = || Header::default();
    let sign1 = Err(RecordError::Structure("a COSE_Sign1 with ES256"));
    // A header that a verifier must understand or refuse: RFC 9052, section 3.1.
    let critical = es256().add_critical(iana::HeaderParameter::X5Chain).build();
    assert_eq!(forged_with(|_| (), critical, empty(), |key| key), sign1);
    let other = HeaderBuilder::new().algorithm(iana::Algorithm::ES384).build();
    assert_eq!(forged_with(|_| (), other, empty(), |key| key), sign1);
    assert_eq!(forged_with(|_| (), empty(), empty(), |key| key), sign1);
    // What is not signed can be anybody's.
    let unsigned = HeaderBuilder::new().key_id(vec![1]).build();
    assert_eq!(forged_with(|_| (), es256().build(), unsigned, |key| key), sign1);

    let key = Err(RecordError::Structure("a COSE_Key for ES256"));
    let changes: [fn(CoseKeyBuilder) -> CoseKeyBuilder; 2] = [
        |key| key.algorithm(iana::Algorithm::ES384),
        |key| key.param(iana::Ec2KeyParameter::D as i64, Value::Bytes(vec![9; 32])),
    ];
    for change in changes {
        assert_eq!(forged_with(|_| (), es256().build(), empty(), change), key);
    }
}

#[test]
fn a_part_has_the_name_that_it_gives_itself() {
    let (text, public_key) = made_by(Soc::Nrf5340, IdentityKeySource::Generated, None);
    let own = Ueid::of(&public_key);
    assert!(check(&text, Some(own), &ANY).is_ok());
    let other = Ueid::of(&DUMMY_PUBLIC_KEY);
    let error = check(&text, Some(other), &ANY).unwrap_err();
    assert!(matches!(error, PartError::OtherPart(ueid) if ueid == other), "{error}");
}
