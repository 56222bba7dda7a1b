// SPDX-License-Identifier: Apache-2.0

//! The exported files as a verifier reads them, with other libraries than the ones that wrote them.

mod common;

use std::collections::HashSet;
use std::fs;
use std::slice::from_ref;

use corim::cbor::DecodeLimits;
use corim::profile::ProfileRegistry;
use corim::profile::psa::PsaProfile;
use corim::types::common::{ClassIdChoice, CryptoKey, InstanceIdChoice};
use corim::types::corim::ProfileChoice;
use corim::validate::{
    ValidatedCorim, decode_and_validate_structure_with_limits, validate_corim_profile,
};
use coset::cbor::value::Value;
use hex_literal::hex;
use p256::ecdsa::VerifyingKey;
use p256::pkcs8::DecodePublicKey;
use proptest::prelude::*;
use provisioning::{DUMMY_PUBLIC_KEY, ImplementationId, PublicKey};
use serde_json::json;
use sha2::{Digest, Sha256};
use station::export::{
    COMID_FILE, CORIM_FILE, DEFAULT_MAX_BYTES, ENDORSEMENTS_FILE, ExportError, Files, InstanceIds,
    MAX_PARTS, Options, Profile, write as write_export,
};
use station::{DeviceId, Identity};

/// What comes before the 65 bytes of a point in a `SubjectPublicKeyInfo`: RFC 5480, section 2, with the
/// curve secp256r1.
const SPKI_OF_P256: [u8; 26] = hex!("3059301306072A8648CE3D020106082A8648CE3D030107034200");

/// A part; equal numbers give equal ones. Key number 0 is TF-M's dummy key.
fn part(implementation: u8, key: u8) -> Identity {
    let public_key = match key {
        0 => DUMMY_PUBLIC_KEY,
        scalar => common::public_key(scalar),
    };
    Identity {
        device_id: DeviceId([key; 8]),
        implementation_id: ImplementationId::from_bytes([implementation; 32]).unwrap(),
        public_key,
    }
}

fn options(profile: Profile) -> Options {
    Options {
        profile,
        instance_ids: InstanceIds::Tfm21,
        head: [0xA5; 32],
        vendor: None,
        model: None,
        max_bytes: DEFAULT_MAX_BYTES,
    }
}

/// An export that is one file.
fn export(
    options: &Options,
    parts: impl IntoIterator<Item = Identity>,
) -> Result<Files, ExportError> {
    let mut export = station::export::export(options, parts)?;
    assert_eq!(export.len(), 1);
    assert_eq!(export[0].number, None);
    Ok(export.remove(0))
}

fn of_product(profile: Profile) -> Options {
    Options { vendor: Some("Example".into()), model: Some("Sensor".into()), ..options(profile) }
}

/// RFC 4648, section 4, written anew.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut padded = [0; 4];
        padded[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(padded);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize % 64];
            text.push(if i <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// The key as a PEM text: RFC 7468, sections 2 and 13.
fn pem(key: &PublicKey) -> String {
    let spki = base64(&[&SPKI_OF_P256[..], key.as_bytes()].concat());
    format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----",
        &spki[..64],
        &spki[64..]
    )
}

/// The 33 bytes of the instance ID: RFC 9783, section 4.2.1.
fn ueid(key: &PublicKey) -> Vec<u8> {
    [&[0x01][..], &Sha256::digest(key.as_bytes())].concat()
}

fn map(entries: Vec<(u8, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (Value::from(key), value)).collect())
}

fn tag(number: u64, inner: impl Into<Value>) -> Value {
    Value::Tag(number, Box::new(inner.into()))
}

fn read(cbor: &[u8]) -> Value {
    let mut rest = cbor;
    let value = coset::cbor::from_reader(&mut rest).unwrap();
    assert!(rest.is_empty());
    // Shortest lengths and no indefinite ones: RFC 8949, section 4.2.1, which the older verifier asks for.
    assert_eq!(write(&value), cbor);
    value
}

fn write(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    coset::cbor::into_writer(value, &mut bytes).unwrap();
    bytes
}

/// The CoMID in a CoRIM.
fn comid_of(corim: &mut Value) -> &mut Vec<u8> {
    corim.as_tag_mut().unwrap().1.as_map_mut().unwrap()[1].1.as_array_mut().unwrap()[0]
        .as_tag_mut()
        .unwrap()
        .1
        .as_bytes_mut()
        .unwrap()
}

fn json(text: &[u8]) -> serde_json::Value {
    serde_json::from_slice(text).unwrap()
}

/// The CoRIM as the crate `corim` reads it. What it does not know of `psa-iot-1` is put into its terms first.
fn decode(profile: Profile, files: &Files) -> ValidatedCorim {
    let mut corim = read(&files.endorsements);
    if profile == Profile::PsaIot1 {
        let mut comid = read(comid_of(&mut corim));
        let triples = &mut comid.as_map_mut().unwrap()[2].1.as_map_mut().unwrap()[0].1;
        for triple in triples.as_array_mut().unwrap() {
            let class = &mut triple.as_array_mut().unwrap()[0].as_map_mut().unwrap()[0].1;
            let (number, _) = class.as_map_mut().unwrap()[0].1.as_tag_mut().unwrap();
            assert_eq!(*number, 600);
            *number = 560;
        }
        *comid_of(&mut corim) = write(&comid);
    }
    let validated =
        decode_and_validate_structure_with_limits(&write(&corim), &DecodeLimits::default())
            .unwrap();
    let mut registry = ProfileRegistry::new();
    registry.register(Box::new(PsaProfile::new()));
    validate_corim_profile(&validated.corim, &validated.comids, &registry).unwrap();
    validated
}

/// Implementation ID, UEID and key of each triple.
fn triples(validated: &ValidatedCorim) -> Vec<(Vec<u8>, Vec<u8>, String)> {
    let [comid] = &validated.comids[..] else { panic!("not one CoMID") };
    let keys = comid.triples.attest_key_triples.as_ref().unwrap();
    keys.iter()
        .map(|triple| {
            let environment = triple.environment();
            let class = environment.class.as_ref().unwrap();
            let (
                Some(ClassIdChoice::Bytes(id)),
                Some(InstanceIdChoice::Ueid(ueid)),
                [CryptoKey::PkixBase64Key(key)],
            ) = (&class.class_id, &environment.instance, triple.keys())
            else {
                panic!("{triple:?}")
            };
            assert!(environment.group.is_none() && triple.conditions().is_none());
            (id.clone(), ueid.clone(), key.clone())
        })
        .collect()
}

fn expected_triples(parts: &[Identity]) -> Vec<(Vec<u8>, Vec<u8>, String)> {
    parts
        .iter()
        .map(|part| {
            let id = part.implementation_id.as_bytes().to_vec();
            (id, ueid(&part.public_key), pem(&part.public_key))
        })
        .collect()
}

#[test]
fn the_cbor_has_the_tags_and_keys_of_the_draft() {
    let parts = [part(0x11, 0), part(0x22, 1)];
    for profile in Profile::ALL {
        for options in [options(profile), of_product(profile)] {
            let files = export(&options, parts).unwrap();
            let id = json(&files.corim)["corim-id"].as_str().unwrap().to_owned();
            let triples = parts.iter().map(|part| {
                let class_id = part.implementation_id.as_bytes().to_vec();
                let mut class = vec![match profile {
                    Profile::PsaIot1 => (0, tag(600, class_id)), // class-id
                    Profile::Psa2025Text | Profile::Psa2025 => (0, tag(560, class_id)),
                }];
                if options.vendor.is_some() {
                    class.extend([(1, "Example".into()), (2, "Sensor".into())]); // vendor, model
                }
                Value::Array(vec![
                    map(vec![
                        (0, map(class)),                       // class
                        (1, tag(550, ueid(&part.public_key))), // instance
                    ]),
                    Value::Array(vec![tag(554, pem(&part.public_key))]),
                ])
            });
            let comid = map(vec![
                (0, "en".into()),                                     // language
                (1, map(vec![(0, format!("{id}-keys").into())])),     // tag-identity: tag-id
                (4, map(vec![(3, Value::Array(triples.collect()))])), // triples: attest-key-triples
            ]);
            let corim = map(vec![
                (0, id.into()),                                   // id
                (1, Value::Array(vec![tag(506, write(&comid))])), // tags
                match profile {
                    Profile::PsaIot1 => (3, "http://arm.com/psa/iot/1".into()), // profile
                    Profile::Psa2025Text => (3, "tag:arm.com,2025:psa#1.0.0".into()),
                    Profile::Psa2025 => (3, tag(32, "tag:arm.com,2025:psa#1.0.0")),
                },
            ]);
            assert_eq!(read(&files.endorsements), tag(501, corim), "{profile}");
        }
    }
}

#[test]
fn the_crate_corim_takes_its_own_cbor() {
    let parts = [part(0x11, 0), part(0x22, 1)];
    for profile in Profile::ALL {
        let validated = decode(profile, &export(&options(profile), parts).unwrap());
        assert_eq!(validated.corim.profile, Some(ProfileChoice::Uri(profile.uri().to_owned())));
        assert_eq!(triples(&validated), expected_triples(&parts));
    }
}

/// What a JSON value looks like: names, types and nesting, and those texts that are fixed.
fn shape(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                (name.clone(), if name == "type" { value.clone() } else { shape(value) })
            })
            .collect(),
        serde_json::Value::Array(items) => items.iter().map(shape).collect(),
        serde_json::Value::String(_) => "text".into(),
        serde_json::Value::Number(_) => "number".into(),
        other => panic!("{other} is in no template"),
    }
}

/// The examples have the structure, and no value, of veraison/services: `comid-psa-ta.json` and
/// `corim-psa.json` in `scheme/psa-iot/test/corim/src`, at commit 8cb3fc7 for `psa-2025`, at v0.0.2605 to
/// v0.0.2608 for `psa-2025-text`, and before commit d4c39f7 for `psa-iot-1`. The first key there is of a part
/// alone, the second of one with its product.
#[test]
fn the_templates_have_the_structure_of_published_ones() {
    let example = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/export_examples/");
        json(&fs::read(format!("{folder}{name}.json")).unwrap())
    };
    for profile in Profile::ALL {
        let corim = example(&format!("corim-{profile}"));
        // The CoMID is the same file at all these releases and at 8cb3fc7.
        let comid_profile = match profile {
            Profile::Psa2025Text => Profile::Psa2025,
            other => other,
        };
        let comid = example(&format!("comid-{comid_profile}"));
        let keys = &comid["triples"]["attester-verification-keys"];
        for (options, key) in [(options(profile), &keys[0]), (of_product(profile), &keys[1])] {
            let files = export(&options, [part(0x11, 0), part(0x22, 1)]).unwrap();
            let mut expected = comid.clone();
            expected["triples"]["attester-verification-keys"] = json!([key, key]);
            assert_eq!(shape(&json(&files.comid)), shape(&expected), "{profile}");
            assert_eq!(shape(&json(&files.corim)), shape(&corim), "{profile}");
            assert_eq!(json(&files.corim)["profile"], corim["profile"]);
        }
    }
}

#[test]
fn the_templates_say_what_the_cbor_says() {
    let parts = [part(0x11, 0), part(0x22, 1)];
    for profile in Profile::ALL {
        let files = export(&of_product(profile), parts).unwrap();
        let mut corim = read(&files.endorsements);
        let comid = read(comid_of(&mut corim));
        let template = json(&files.comid);
        assert_eq!(json(&files.corim)["corim-id"], text(corim.as_tag().unwrap().1, 0));
        assert_eq!(template["lang"], text(&comid, 0));
        assert_eq!(template["tag-identity"]["id"], text(&comid.as_map().unwrap()[1].1, 0));
        let keys = template["triples"]["attester-verification-keys"].as_array().unwrap();
        assert_eq!(keys.len(), parts.len());
        for (key, part) in keys.iter().zip(&parts) {
            let environment = &key["environment"];
            let class = &environment["class"];
            assert_eq!(class["id"]["value"], base64(part.implementation_id.as_bytes()));
            assert_eq!(class["vendor"], "Example");
            assert_eq!(class["model"], "Sensor");
            assert_eq!(environment["instance"]["value"], base64(&ueid(&part.public_key)));
            assert_eq!(key["verification-keys"][0]["value"], pem(&part.public_key));
        }
    }
}

/// The text at one place of a map.
fn text(map: &Value, place: usize) -> &str {
    map.as_map().unwrap()[place].1.as_text().unwrap()
}

#[test]
fn the_key_is_the_one_of_the_part() {
    for number in 0..=20 {
        let part = part(0x11, number);
        let files = export(&options(Profile::Psa2025), [part]).unwrap();
        let [(_, ueid, key)] = &triples(&decode(Profile::Psa2025, &files))[..] else { panic!() };
        let key = VerifyingKey::from_public_key_pem(key).unwrap();
        assert_eq!(key.to_sec1_point(false).as_bytes(), part.public_key.as_bytes());
        assert_eq!(ueid[0], 0x01);
        assert_eq!(ueid[1..], Sha256::digest(key.to_sec1_point(false).as_bytes())[..]);
    }
}

#[test]
fn the_identifiers_follow_from_the_ledger_and_the_contents() {
    let parts = [part(0x11, 0), part(0x22, 1)];
    let base = options(Profile::Psa2025);
    let reference = export(&base, parts).unwrap();
    assert_eq!(export(&base, parts).unwrap(), reference, "the same input gives other bytes");
    // Where the part was seen is not in the files.
    let moved = parts.map(|part| Identity { device_id: DeviceId([0; 8]), ..part });
    assert_eq!(export(&base, moved).unwrap(), reference);

    let id = |options: &Options, parts: &[Identity]| {
        let files = export(options, parts.iter().copied()).unwrap();
        let id = json(&files.corim)["corim-id"].as_str().unwrap().to_owned();
        let comid = json(&files.comid)["tag-identity"]["id"].as_str().unwrap().to_owned();
        assert_ne!(id, comid);
        // Go's UUID reader takes texts of these lengths, and the verifier would then see bytes.
        assert!(![32, 36, 38, 45].contains(&id.len()) && ![32, 36, 38, 45].contains(&comid.len()));
        id
    };
    let a = |text: &str| Some(text.to_owned());
    let mut ids = vec![
        id(&base, &parts),
        id(&options(Profile::PsaIot1), &parts),
        id(&options(Profile::Psa2025Text), &parts),
        id(&Options { head: [0; 32], ..base.clone() }, &parts),
        id(&base, &parts[..1]),
        id(&base, &[parts[1], parts[0]]),
        id(&base, &[part(0x11, 0), part(0x11, 1)]),
        id(&Options { vendor: a("ab"), ..base.clone() }, &parts),
        id(&Options { model: a("ab"), ..base.clone() }, &parts),
        id(&Options { vendor: a("a"), model: a("b"), ..base.clone() }, &parts),
        id(&Options { vendor: a("ab"), model: a(""), ..base.clone() }, &parts),
    ];
    assert!(ids[0].contains(&"a5".repeat(32)), "{} does not name the ledger", ids[0]);
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn an_empty_ledger_is_named() {
    for profile in Profile::ALL {
        let error = export(&options(profile), []).unwrap_err();
        assert!(matches!(error, ExportError::Empty));
        assert!(error.to_string().contains("no part"), "{error}");
    }
}

#[test]
fn one_comid_has_many_implementation_ids() {
    let parts: Vec<_> = (0..=254).map(|number| part(number, number % 4)).collect();
    for profile in Profile::ALL {
        let files = export(&options(profile), parts.iter().copied()).unwrap();
        assert_eq!(files.parts, 255);
        assert_eq!(triples(&decode(profile, &files)), expected_triples(&parts));
    }
}

#[test]
fn a_part_is_named_once() {
    let (first, second) = (part(0x11, 1), part(0x11, 2));
    // The same key under another implementation ID is another environment.
    let other = part(0x22, 1);
    let again = Identity { device_id: DeviceId([0xEE; 8]), ..first };
    let files = export(&options(Profile::Psa2025), [first, second, again, other, second]).unwrap();
    assert_eq!(files.parts, 3);
    assert_eq!(files, export(&options(Profile::Psa2025), [first, second, other]).unwrap());
}

/// As many parts as can be told apart, with one key between them.
fn numbered(count: usize) -> impl Iterator<Item = Identity> {
    let template = part(0, 0);
    (0..count).map(move |number| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        Identity { implementation_id: ImplementationId::from_bytes(id).unwrap(), ..template }
    })
}

#[test]
fn as_many_parts_as_the_verifier_takes() {
    // In one file: what a verifier with another limit for a message takes.
    let options = Options { max_bytes: usize::MAX, ..options(Profile::PsaIot1) };
    let files = export(&options, numbered(MAX_PARTS)).unwrap();
    assert_eq!(files.parts, MAX_PARTS);
    let mut corim: Value = coset::cbor::from_reader(&files.endorsements[..]).unwrap();
    let comid: Value = coset::cbor::from_reader(&comid_of(&mut corim)[..]).unwrap();
    let triples = &comid.as_map().unwrap()[2].1.as_map().unwrap()[0].1;
    assert_eq!(triples.as_array().unwrap().len(), 131_072);

    let error = export(&options, numbered(MAX_PARTS + 1)).unwrap_err();
    assert!(matches!(error, ExportError::TooMany));
    assert!(error.to_string().contains("131072"), "{error}");
}

/// Every limit at which a file takes one part more, one less, and the one between: from one part in a file to all
/// in one.
#[test]
fn an_export_is_split_below_the_limit() {
    let parts: Vec<_> = (0..40).map(|number| part(number / 4, number % 4)).collect();
    for profile in Profile::ALL {
        let sizes: Vec<_> = (1..=parts.len())
            .map(|count| {
                let files = export(&of_product(profile), parts[..count].iter().copied()).unwrap();
                files.endorsements.len()
            })
            .collect();
        for (&size, count) in sizes.iter().zip(1..) {
            for max_bytes in [size - 1, size, size + 1] {
                let options = Options { max_bytes, ..of_product(profile) };
                let export = station::export::export(&options, parts.iter().copied());
                if max_bytes < sizes[0] {
                    let error = export.unwrap_err();
                    assert!(matches!(error, ExportError::TooSmall { .. }));
                    assert!(error.to_string().contains(&size.to_string()), "{error}");
                    continue;
                }
                let export = export.unwrap();
                check_split(&options, &export, &parts);
                // Full, but for the bytes that the lengths may need: a part takes a hundred times as many.
                let fewest = if max_bytes < size { count - 1 } else { count }.max(2) - 1;
                assert!(export[0].parts >= fewest, "{max_bytes}: {} parts", export[0].parts);
            }
        }
    }
}

/// The files of an export: each part is in one of them, in the order of the ledger, each is below the limit and
/// has identifiers of its own, and the same input gives the same bytes.
fn check_split(options: &Options, export: &[Files], parts: &[Identity]) {
    assert_eq!(export, station::export::export(options, parts.iter().copied()).unwrap());
    let mut found = Vec::new();
    let (mut ids, mut names) = (HashSet::new(), HashSet::new());
    for (files, number) in export.iter().zip(1..) {
        assert_eq!(files.number, (export.len() > 1).then_some(number));
        assert!(files.endorsements.len() <= options.max_bytes);
        let triples = triples(&decode(options.profile, files));
        assert_eq!(files.parts, triples.len());
        let template = json(&files.comid);
        let keys = template["triples"]["attester-verification-keys"].as_array().unwrap().len();
        assert_eq!(keys, files.parts);
        found.extend(triples);
        ids.insert(template["tag-identity"]["id"].as_str().unwrap().to_owned());
        ids.insert(json(&files.corim)["corim-id"].as_str().unwrap().to_owned());
        names.extend(files.names());
        // What a verifier would get of these parts alone.
        let range = &parts[found.len() - files.parts..found.len()];
        let alone =
            Files { number: files.number, ..self::export(options, range.to_vec()).unwrap() };
        assert!(*files == alone, "a file depends on the others");
    }
    assert_eq!(found, expected_triples(parts));
    assert_eq!((ids.len(), names.len()), (2 * export.len(), 3 * export.len()));
}

/// 15,000 parts and more, at which a message of gRPC is full.
#[test]
fn a_long_ledger_is_split_by_itself() {
    const { assert!(DEFAULT_MAX_BYTES < 4 << 20) };
    let parts: Vec<_> = numbered(20_000).collect();
    let options = options(Profile::Psa2025);
    let export = station::export::export(&options, parts.iter().copied()).unwrap();
    assert_eq!(export.len(), 2);
    assert_eq!(export[1].names(), ["comid-2.json", "corim-2.json", "endorsements-2.cbor"]);
    check_split(&options, &export, &parts);
    assert!(export[0].parts >= 15_000, "{} parts in the first file", export[0].parts);
}

#[test]
fn files_are_written_whole_and_not_twice() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("of the week").join("line 3");
    let old = export(&options(Profile::PsaIot1), [part(0x11, 0)]).unwrap();
    let new = export(&options(Profile::Psa2025), [part(0x11, 1)]).unwrap();
    let contents = || {
        [COMID_FILE, CORIM_FILE, ENDORSEMENTS_FILE].map(|name| fs::read(target.join(name)).unwrap())
    };
    let of = |files: &Files| [files.comid.clone(), files.corim.clone(), files.endorsements.clone()];
    let count = || fs::read_dir(&target).unwrap().count();

    write_export(from_ref(&old), &target, false).unwrap();
    assert_eq!(contents(), of(&old));
    let error = write_export(from_ref(&new), &target, false).unwrap_err();
    assert!(matches!(&error, ExportError::Exists(path) if *path == target.join(COMID_FILE)));
    assert!(error.to_string().contains("earlier export"), "{error}");
    assert_eq!(contents(), of(&old));
    assert_eq!(count(), 3, "something was left behind");
    write_export(from_ref(&new), &target, true).unwrap();
    assert_eq!(contents(), of(&new));
    assert_eq!(count(), 3, "something was left behind");

    // One file in the way keeps the others from being written.
    fs::remove_file(target.join(COMID_FILE)).unwrap();
    fs::remove_file(target.join(CORIM_FILE)).unwrap();
    let error = write_export(from_ref(&old), &target, false).unwrap_err();
    assert!(matches!(&error, ExportError::Exists(path) if *path == target.join(ENDORSEMENTS_FILE)));
    assert_eq!(count(), 1, "half an export was written");
}

/// A verifier must not be given what is left of another export, which may have had more files or fewer.
#[test]
fn no_file_of_an_earlier_export_is_left_among_those_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let names = || {
        let files = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let of = |count| {
        let one = export(&options(Profile::Psa2025), [part(0x11, 0)]).unwrap();
        let max_bytes = one.endorsements.len();
        let options = Options { max_bytes, ..options(Profile::Psa2025) };
        station::export::export(&options, (0..count).map(|number| part(0x11, number))).unwrap()
    };
    // Not of an export, though its name begins or ends like one.
    let others = ["comid-.json", "comid-2.cbor", "comid.json.old", "endorsements-old.cbor", "x"];
    for name in others {
        fs::write(folder.path().join(name), "mine").unwrap();
    }
    for count in [3, 1, 2, 12, 11] {
        let export = of(count);
        assert_eq!(export.len(), usize::from(count));
        let mut expected: Vec<_> = export.iter().flat_map(Files::names).collect();
        expected.extend(others.map(String::from));
        expected.sort();
        let before = names();
        if before.len() > others.len() {
            let error = write_export(&export, folder.path(), false).unwrap_err();
            assert!(matches!(error, ExportError::Exists(_)), "{error}");
            assert_eq!(names(), before);
        }
        write_export(&export, folder.path(), true).unwrap();
        assert_eq!(names(), expected);
        for files in &export {
            let [comid, corim, endorsements] =
                files.names().map(|name| fs::read(folder.path().join(name)).unwrap());
            assert_eq!((&comid, &corim), (&files.comid, &files.corim));
            assert_eq!(endorsements, files.endorsements);
        }
    }
    for name in others {
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"mine");
    }
}

/// A link to nowhere looks as if nothing were there, like a file that comes while we write.
#[cfg(unix)]
#[test]
fn a_name_that_is_taken_meanwhile_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join(COMID_FILE);
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    let files = export(&options(Profile::Psa2025), [part(0x11, 0)]).unwrap();
    let error = write_export(&[files], folder.path(), false).unwrap_err();
    assert!(matches!(&error, ExportError::Exists(path) if *path == link));
    assert!(link.is_symlink());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "half an export was written");
}

#[test]
fn a_folder_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letter.txt");
    fs::write(&file, "Dear all").unwrap();
    let files = export(&options(Profile::Psa2025), [part(0x11, 0)]).unwrap();
    let error = write_export(&[files], &file, true).unwrap_err();
    assert!(matches!(error, ExportError::Io(..)));
    assert!(error.to_string().contains("letter.txt"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"Dear all");
}

#[test]
fn profiles_have_names() {
    for profile in Profile::ALL {
        assert_eq!(Profile::from_name(profile.name()), Some(profile));
        assert_eq!(profile.to_string(), profile.name());
    }
    assert_eq!(Profile::ALL.map(Profile::name), ["psa-iot-1", "psa-2025-text", "psa-2025"]);
    assert_eq!(Profile::from_name(""), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The entries keep their order, and of equal ones the first is kept.
    #[test]
    fn order_is_kept(numbers in prop::collection::vec((0_u8..4, 0_u8..8), 1..40)) {
        let parts: Vec<_> = numbers.iter().map(|&(id, key)| part(id, key)).collect();
        let mut once: Vec<Identity> = Vec::new();
        for part in &parts {
            if !once.contains(part) {
                once.push(*part);
            }
        }
        for profile in Profile::ALL {
            let files = export(&options(profile), parts.iter().copied()).unwrap();
            prop_assert_eq!(files.parts, once.len());
            prop_assert_eq!(triples(&decode(profile, &files)), expected_triples(&once));
            let keys = json(&files.comid);
            let keys = keys["triples"]["attester-verification-keys"].as_array().unwrap();
            let ids: Vec<_> =
                keys.iter().map(|key| &key["environment"]["instance"]["value"]).collect();
            let expected: Vec<_> =
                once.iter().map(|part| json!(base64(&ueid(&part.public_key)))).collect();
            prop_assert_eq!(ids, expected.iter().collect::<Vec<_>>());
        }
    }
}
