// SPDX-License-Identifier: Apache-2.0

//! Endorsements as CBOR: an unsigned CoRIM with one CoMID.

use corim::builder::{ComidBuilder, CorimBuilder};
use corim::cbor::value::Value;
use corim::cbor::{self, DecodeLimits};
use corim::types::common::{ClassIdChoice, CryptoKey, InstanceIdChoice, TagIdChoice};
use corim::types::corim::{ConciseTagChoice, CorimId, ProfileChoice};
use corim::types::environment::{ClassMap, EnvironmentMap};
use corim::types::tags::{TAG_BYTES, TAG_URI};
use corim::types::triples::AttestKeyTriple;

use super::{ExportError, LANGUAGE, Options, Part, Profile, comid_id, encoding};

/// An implementation ID in CBOR, as `psa-iot-1` has it: draft-fdb-rats-psa-endorsements-04, section 3.2.
const TAG_PSA_IMPLEMENTATION_ID: u64 = 600;

/// The CoRIM of this identifier (tag 501), with these parts.
pub fn unsigned(options: &Options, id: &str, parts: &[Part]) -> Result<Vec<u8>, ExportError> {
    let mut comid = ComidBuilder::new(TagIdChoice::Text(comid_id(id))).set_language(LANGUAGE);
    for part in parts {
        for instance_id in options.instance_ids.of(&part.public_key) {
            comid = comid.add_attest_key_triple(triple(options, part, &instance_id));
        }
    }
    let comid = cbor::encode(&comid.build().map_err(encoding)?).map_err(encoding)?;
    let comid = in_profile(options.profile, comid)?;
    let corim = CorimBuilder::new(CorimId::Text(id.to_owned()))
        .set_profile(ProfileChoice::Uri(options.profile.uri().to_owned()))
        .add_tag(ConciseTagChoice::Comid(comid))
        .build_bytes()
        .map_err(encoding)?;
    in_profile(options.profile, corim)
}

/// Which key the part of this instance ID has.
fn triple(options: &Options, part: &Part, instance_id: &[u8]) -> AttestKeyTriple {
    AttestKeyTriple::new(
        EnvironmentMap {
            class: Some(ClassMap {
                class_id: Some(ClassIdChoice::Bytes(part.implementation_id.as_bytes().into())),
                vendor: options.vendor.clone(),
                model: options.model.clone(),
                ..ClassMap::default()
            }),
            instance: Some(InstanceIdChoice::Ueid(instance_id.into())),
            group: None,
        },
        vec![CryptoKey::PkixBase64Key(part.key.clone())],
        None,
    )
}

/// Turns what the crate `corim` writes for `psa-2025` into what the verifier of the profile reads: the crate
/// knows no tag 600 and no profile without a tag.
fn in_profile(profile: Profile, bytes: Vec<u8>) -> Result<Vec<u8>, ExportError> {
    if profile == Profile::Psa2025 {
        return Ok(bytes);
    }
    // The bytes are our own, and no value is shorter than one of them.
    let mut limits = DecodeLimits::default();
    limits.max_input_bytes = bytes.len();
    limits.max_values = bytes.len();
    let mut value: Value = cbor::decode_exact_with_limits(&bytes, &limits).map_err(encoding)?;
    drop(bytes);
    retag(profile, &mut value);
    cbor::encode(&value).map_err(encoding)
}

/// In our CoRIM only an implementation ID has tag 560, and only the profile has tag 32.
fn retag(profile: Profile, value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|value| retag(profile, value)),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, value)| retag(profile, value)),
        Value::Tag(tag @ TAG_BYTES, _) if profile == Profile::PsaIot1 => {
            *tag = TAG_PSA_IMPLEMENTATION_ID;
        }
        Value::Tag(TAG_URI, uri) => *value = std::mem::replace(uri.as_mut(), Value::Null),
        Value::Tag(_, inner) => retag(profile, inner),
        _ => {}
    }
}
