// SPDX-License-Identifier: Apache-2.0

//! By which instance IDs an export names a part.

mod common;

use coset::cbor::value::Value;
use coset::{CborSerializable, CoseKeyBuilder, iana};
use hex_literal::hex;
use provisioning::{ImplementationId, PublicKey};
use sha2::{Digest, Sha256};
use station::export::{DEFAULT_MAX_BYTES, Files, InstanceIds, MAX_PARTS, Options, Profile, export};
use station::{DeviceId, Identity};

fn part(public_key: PublicKey) -> Identity {
    Identity {
        device_id: DeviceId([1; 8]),
        implementation_id: ImplementationId::from_bytes([0x11; 32]).unwrap(),
        public_key,
    }
}

fn options(profile: Profile, instance_ids: InstanceIds) -> Options {
    Options {
        profile,
        instance_ids,
        head: [0xA5; 32],
        vendor: None,
        model: None,
        max_bytes: DEFAULT_MAX_BYTES,
    }
}

fn one(options: &Options, keys: &[PublicKey]) -> Files {
    let files = export(options, keys.iter().copied().map(part)).unwrap();
    let [file] = &files[..] else { panic!("{} files", files.len()) };
    file.clone()
}

fn child(value: &Value, key: i64) -> &Value {
    let key = Value::from(key);
    &value.as_map().unwrap().iter().find(|(found, _)| *found == key).unwrap().1
}

fn untag(value: &Value) -> &Value {
    value.as_tag().unwrap().1
}

/// Instance ID and key of each triple, from the CBOR.
fn triples(files: &Files) -> Vec<(Vec<u8>, String)> {
    let corim = Value::from_slice(&files.endorsements).unwrap();
    let comid = untag(&child(untag(&corim), 1).as_array().unwrap()[0]).as_bytes().unwrap();
    let comid = Value::from_slice(comid).unwrap();
    let triples = child(child(&comid, 4), 3).as_array().unwrap();
    triples
        .iter()
        .map(|triple| {
            let [environment, keys] = &triple.as_array().unwrap()[..] else { panic!("{triple:?}") };
            let instance = untag(child(environment, 1)).as_bytes().unwrap().clone();
            (instance, untag(&keys.as_array().unwrap()[0]).as_text().unwrap().to_owned())
        })
        .collect()
}

/// The instance ID of TF-M to 2.1.
fn of_point(key: &PublicKey) -> Vec<u8> {
    [&[0x01][..], &Sha256::digest(key.as_bytes())].concat()
}

/// That of TF-M from 2.2 on, with another encoder than the station's.
fn of_cose_key(key: &PublicKey) -> Vec<u8> {
    let (x, y) = key.as_bytes()[1..].split_at(32);
    let key = CoseKeyBuilder::new_ec2_pub_key(iana::EllipticCurve::P_256, x.to_vec(), y.to_vec());
    [&[0x01][..], &Sha256::digest(key.build().to_vec().unwrap())].concat()
}

/// RFC 9679, section 6: a key, and its thumbprint. TF-M's `t_cose_key_encode` encodes the same members in the same
/// order; `cargo xtask check --only tfm` compares with the token of TF-M itself.
#[test]
fn from_tfm_2_2_on_it_is_the_thumbprint_of_the_key() {
    let point = hex!(
        "04"
        "65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d"
        "1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c"
    );
    let key = PublicKey::from_sec1_bytes(&point).unwrap();
    let files = one(&options(Profile::Psa2025, InstanceIds::Tfm22), &[key]);
    let [(instance, _)] = &triples(&files)[..] else { panic!("not one triple") };
    let thumbprint = hex!("01" "496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec");
    assert_eq!(instance[..], thumbprint);
}

#[test]
fn a_part_is_named_by_each_instance_id_with_the_same_key() {
    let keys = [1, 2, 3].map(common::public_key);
    for profile in Profile::ALL {
        let named = |ids| triples(&one(&options(profile, ids), &keys));
        let ids = |of: fn(&PublicKey) -> Vec<u8>| keys.iter().map(of).collect::<Vec<_>>();
        let instances = |ids| named(ids).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(instances(InstanceIds::Tfm21), ids(of_point));
        assert_eq!(instances(InstanceIds::Tfm22), ids(of_cose_key));
        let both: Vec<_> = keys.iter().flat_map(|key| [of_point(key), of_cose_key(key)]).collect();
        assert_eq!(instances(InstanceIds::Both), both);
        for (pair, single) in named(InstanceIds::Both).chunks(2).zip(named(InstanceIds::Tfm21)) {
            assert_eq!([&pair[0].1, &pair[1].1], [&single.1; 2], "another key");
        }
    }
}

#[test]
fn the_templates_name_the_same_instance_ids() {
    use base64ct::{Base64, Encoding};
    let keys = [1, 2].map(common::public_key);
    for ids in InstanceIds::ALL {
        let files = one(&options(Profile::Psa2025, ids), &keys);
        assert_eq!(files.parts, 2);
        let comid: serde_json::Value = serde_json::from_slice(&files.comid).unwrap();
        let found = comid["triples"]["attester-verification-keys"].as_array().unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|key| {
                let id = key["environment"]["instance"]["value"].as_str().unwrap();
                (Base64::decode_vec(id).unwrap(), key["verification-keys"][0]["value"].as_str())
            })
            .collect();
        let expected = triples(&files);
        let expected: Vec<_> =
            expected.iter().map(|(id, key)| (id.clone(), Some(&key[..]))).collect();
        assert_eq!(found, expected);
    }
}

/// A verifier refuses another CoRIM of the same identifier.
#[test]
fn other_instance_ids_make_another_identifier() {
    let id = |ids| {
        let files = one(&options(Profile::Psa2025, ids), &[common::public_key(1)]);
        let corim: serde_json::Value = serde_json::from_slice(&files.corim).unwrap();
        corim["corim-id"].as_str().unwrap().to_owned()
    };
    let mut found = InstanceIds::ALL.map(id);
    found.sort();
    assert!(found.windows(2).all(|pair| pair[0] != pair[1]), "{found:?}");
}

/// The verifier reads no array of more triples, so a file has half as many parts.
#[test]
fn a_file_has_no_more_triples_than_the_verifier_reads() {
    let template = part(common::public_key(1));
    let parts = (0..=MAX_PARTS / 2).map(|number| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        Identity { implementation_id: ImplementationId::from_bytes(id).unwrap(), ..template }
    });
    let options = Options { max_bytes: usize::MAX, ..options(Profile::PsaIot1, InstanceIds::Both) };
    let files = export(&options, parts).unwrap();
    assert_eq!(files.iter().map(|file| file.parts).collect::<Vec<_>>(), [MAX_PARTS / 2, 1]);
    assert_eq!(triples(&files[0]).len(), MAX_PARTS);
}

#[test]
fn instance_ids_have_names() {
    for ids in InstanceIds::ALL {
        assert_eq!(InstanceIds::from_name(ids.name()), Some(ids));
        assert_eq!(ids.to_string(), ids.name());
    }
    assert_eq!(InstanceIds::ALL.map(InstanceIds::name), ["both", "tfm-2.1", "tfm-2.2"]);
    assert_eq!(InstanceIds::from_name("tfm-2.3"), None);
}
