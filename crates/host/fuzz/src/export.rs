// SPDX-License-Identifier: Apache-2.0

//! The export of any identities.

use std::collections::HashSet;

use corim::cbor::DecodeLimits;
use corim::profile::ProfileRegistry;
use corim::profile::psa::PsaProfile;
use corim::validate::{decode_and_validate_structure_with_limits, validate_corim_profile};
use coset::cbor::value::Value;
use provisioning::{DeviceId, ImplementationId};
use station::Identity;
use station::export::{
    DEFAULT_MAX_BYTES, ExportError, Files, InstanceIds, Options, Profile, export,
};

use crate::corpus;

/// The export is refused, or two decoders of CBOR and one of JSON read it, and find each part once.
///
/// The first byte says which profile and instance IDs, whether there are vendor and model, and in its upper half how many KiB a
/// file may have, if it is not 0. Vendor and model are texts, each behind its length. Each 33 bytes then are a
/// part: which of the corpus's keys, and an implementation ID.
///
/// # Panics
/// The station does something that it must not do.
pub fn check(data: &[u8]) {
    let Some((options, identities)) = read(data) else {
        return;
    };
    let mut seen = HashSet::new();
    let ids = options.instance_ids;
    let wanted: Vec<_> = identities
        .iter()
        .flat_map(|identity| {
            let class = identity.implementation_id.as_bytes().to_vec();
            let instances = ids.of(&identity.public_key).into_iter();
            instances.map(move |instance| (class.clone(), instance.to_vec()))
        })
        .filter(|triple| seen.insert(triple.clone()))
        .collect();
    match export(&options, identities) {
        Ok(export) => {
            let mut rest = &wanted[..];
            for (files, number) in export.iter().zip(1..) {
                assert_eq!(files.number, (export.len() > 1).then_some(number));
                assert!(files.endorsements.len() <= options.max_bytes);
                let (wanted, after) = rest.split_at(files.parts * ids.count());
                check_files(&options, files, wanted);
                rest = after;
            }
            assert!(rest.is_empty());
        }
        Err(ExportError::Empty) => assert!(wanted.is_empty()),
        // Vendor and model may have a file full with one part.
        Err(ExportError::TooSmall { needed, max_bytes }) => assert!(needed > max_bytes),
        Err(error) => panic!("no export of {} parts: {error}", wanted.len()),
    }
}

/// The identities that the bytes stand for.
fn read(data: &[u8]) -> Option<(Options, Vec<Identity>)> {
    let (flags, mut rest) = data.split_first()?;
    let mut text = |is_there: bool| {
        let (length, bytes) = rest.split_first().filter(|_| is_there)?;
        let (text, after) = bytes.split_at_checked(usize::from(*length))?;
        rest = after;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    let vendor = text(flags & 2 != 0);
    let model = text(flags & 4 != 0);
    let (profile, instance_ids) = match flags & 9 {
        0 => (Profile::PsaIot1, InstanceIds::Tfm21),
        1 => (Profile::Psa2025, InstanceIds::Tfm22),
        8 => (Profile::Psa2025Text, InstanceIds::Tfm21),
        _ => (Profile::Psa2025, InstanceIds::Both),
    };
    let max_bytes = match flags >> 4 {
        0 => DEFAULT_MAX_BYTES,
        kib => 1024 * usize::from(kib),
    };
    let parts = corpus::parts();
    let identities = rest
        .chunks_exact(33)
        .filter_map(|piece| {
            let part = &parts[usize::from(piece[0]) % parts.len()];
            Some(Identity {
                device_id: DeviceId([piece[0]; 8]),
                implementation_id: ImplementationId::from_bytes(piece[1..].try_into().ok()?)
                    .ok()?,
                public_key: part.record.identity.public_key,
            })
        })
        .collect();
    let head = [*flags; 32];
    Some((Options { profile, instance_ids, head, vendor, model, max_bytes }, identities))
}

fn check_files(options: &Options, files: &Files, wanted: &[(Vec<u8>, Vec<u8>)]) {
    assert_eq!(files.parts * options.instance_ids.count(), wanted.len());
    if options.profile != Profile::PsaIot1 {
        let mut profiles = ProfileRegistry::new();
        profiles.register(Box::new(PsaProfile::new()));
        let validated = decode_and_validate_structure_with_limits(
            &files.endorsements,
            &DecodeLimits::default(),
        )
        .expect("the CoRIM is well-formed");
        validate_corim_profile(&validated.corim, &validated.comids, &profiles)
            .expect("the profile takes it");
    }
    // The other decoder, which knows nothing of a CoRIM.
    let corim = untag(501, value(&files.endorsements));
    let Value::Array(tags) = entry(&corim, 1) else { panic!("no tags in {corim:?}") };
    let Value::Tag(506, comid) = &tags[0] else { panic!("no CoMID in {tags:?}") };
    let comid = value(comid.as_bytes().expect("a CoMID is in bytes"));
    let Value::Array(triples) = entry(entry(&comid, 4), 3) else { panic!("no triples") };
    let found: Vec<_> = triples.iter().map(part).collect();
    assert_eq!(found, wanted);

    let comid: serde_json::Value = serde_json::from_slice(&files.comid).expect("JSON");
    let keys = &comid["triples"]["attester-verification-keys"];
    assert_eq!(keys.as_array().expect("an array").len(), wanted.len());
    let class = &keys[0]["environment"]["class"];
    assert_eq!(class["vendor"].as_str(), options.vendor.as_deref());
    assert_eq!(class["model"].as_str(), options.model.as_deref());
    let corim: serde_json::Value = serde_json::from_slice(&files.corim).expect("JSON");
    assert!(corim["corim-id"].is_string());
}

/// Implementation ID and UEID of a triple.
fn part(triple: &Value) -> (Vec<u8>, Vec<u8>) {
    let environment = &triple.as_array().expect("a triple")[0];
    let bytes = |value: &Value| {
        let (_, bytes) = value.as_tag().expect("a tag");
        bytes.as_bytes().expect("bytes").clone()
    };
    (bytes(entry(entry(environment, 0), 0)), bytes(entry(environment, 1)))
}

fn value(bytes: &[u8]) -> Value {
    let mut rest = bytes;
    let value = coset::cbor::from_reader(&mut rest).expect("CBOR");
    assert!(rest.is_empty());
    value
}

fn untag(number: u64, value: Value) -> Value {
    match value {
        Value::Tag(tag, inner) if tag == number => *inner,
        other => panic!("no tag {number} in {other:?}"),
    }
}

fn entry(map: &Value, key: u8) -> &Value {
    let entries = map.as_map().expect("a map");
    let found = entries.iter().find(|(found, _)| *found == Value::from(key));
    &found.unwrap_or_else(|| panic!("no {key} in {map:?}")).1
}
