// SPDX-License-Identifier: Apache-2.0

//! The check of a record.

use base64ct::{Base64UrlUnpadded, Encoding};
use coset::cbor::value::Value;
use coset::{AsCborValue, CborSerializable, CoseSign1};
use minicbor::Decoder;
use minicbor::data::Type;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use provisioning::{DUMMY_PUBLIC_KEY, ImplementationId, Nonce};
use station::record::{RecordError, VerifiedRecord, Wanted, decode, verify};

use crate::corpus;

/// The private half of [`DUMMY_PUBLIC_KEY`], which everybody knows.
const DUMMY_KEY: [u8; 32] = [
    0xA9, 0xB4, 0x54, 0xB2, 0x6D, 0x6F, 0x90, 0xA4, 0xEA, 0x31, 0x19, 0x35, 0x64, 0xCB, 0xA9, 0x1F,
    0xEC, 0x6F, 0x9A, 0x00, 0x2A, 0x7D, 0xC0, 0x50, 0x4B, 0x92, 0xA1, 0x93, 0x71, 0x34, 0x58, 0x5F,
];

/// Whatever is signed.
const ANY: Wanted = Wanted { implementation_id: None, nonce: None, allow_dummy: true };

/// Only what a part has signed is believed, and a text is that of one record only. The same bytes are then
/// signed by the test-only key, so that all that is behind the signature is reached: what is believed is what
/// another decoder reads.
///
/// # Panics
/// The station does something that it must not do.
pub fn check(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data)
        && let Ok(bytes) = decode(text)
    {
        assert_eq!(
            Base64UrlUnpadded::encode_string(&bytes),
            text,
            "another text of the same record"
        );
        check_bytes(&bytes);
    }
    check_bytes(data);
}

fn check_bytes(bytes: &[u8]) {
    match verify(bytes, &ANY) {
        Ok(record) => {
            assert!(
                corpus::parts().iter().any(|part| part.record == record),
                "no part has signed this: {record:?}"
            );
            check_record(bytes, &record);
        }
        Err(error) => {
            let _ = error.to_string();
        }
    }
    if let Some(bytes) = signed_anew(bytes)
        && let Ok(record) = verify(&bytes, &ANY)
    {
        check_record(&bytes, &record);
    }
}

/// A record that is believed.
fn check_record(bytes: &[u8], record: &VerifiedRecord) {
    assert_eq!(verify(bytes, &ANY).as_ref(), Ok(record), "it is another one now");
    let id = record.identity.implementation_id;
    let known = record.identity.public_key == DUMMY_PUBLIC_KEY;
    let wanted =
        Wanted { implementation_id: Some(id), nonce: Some(record.nonce), allow_dummy: known };
    assert_eq!(verify(bytes, &wanted).as_ref(), Ok(record));
    if known {
        let wanted = Wanted { allow_dummy: false, ..wanted };
        assert_eq!(verify(bytes, &wanted), Err(RecordError::Dummy));
    }
    let mut nonce = record.nonce.0;
    nonce[31] ^= 1;
    let wanted = Wanted { nonce: Some(Nonce(nonce)), ..wanted };
    assert_eq!(verify(bytes, &wanted), Err(RecordError::Nonce));
    let mut other = *id.as_bytes();
    other[0] ^= 2;
    if let Ok(other) = ImplementationId::from_bytes(other) {
        let wanted = Wanted { implementation_id: Some(other), ..wanted };
        let error = verify(bytes, &wanted).expect_err("another product");
        assert!(matches!(error, RecordError::ImplementationId { .. }), "{error}");
    }
    let claims = claims(bytes).expect("what is believed is well-formed");
    assert_eq!(claims.ueid, record.identity.ueid().as_bytes());
    assert_eq!(claims.nonce, record.nonce.0);
    assert_eq!(claims.implementation_id, id.as_bytes());
}

/// The same record, its token signed by the test-only key.
fn signed_anew(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut items = Value::from_slice(bytes).ok()?.into_array().ok()?;
    let Some(Value::Tag(_, token)) = items.first_mut() else {
        return None;
    };
    let mut signed = CoseSign1::from_cbor_value(token.as_ref().clone()).ok()?;
    let key = SigningKey::from_slice(&DUMMY_KEY).ok()?;
    let signature: Signature = key.sign(&signed.tbs_data(b""));
    signed.signature = signature.to_bytes().to_vec();
    **token = signed.to_cbor_value().ok()?;
    Value::Array(items).to_vec().ok()
}

/// What every verifier reads.
struct Claims<'a> {
    nonce: &'a [u8],
    ueid: &'a [u8],
    implementation_id: &'a [u8],
}

/// Reads them as a decoder does that knows no other form of a value than the usual one.
fn claims(bytes: &[u8]) -> Result<Claims<'_>, minicbor::decode::Error> {
    let mut outer = Decoder::new(bytes);
    outer.array()?;
    outer.tag()?;
    outer.array()?;
    outer.bytes()?;
    outer.skip()?;
    let mut payload = Decoder::new(outer.bytes()?);
    let mut claims = Claims { nonce: &[], ueid: &[], implementation_id: &[] };
    let mut count = payload.map()?.unwrap_or(u64::MAX);
    while count > 0 && payload.datatype()? != Type::Break {
        count -= 1;
        let key = payload.probe().i64().ok();
        payload.skip()?;
        let value = match key {
            Some(10) => &mut claims.nonce,
            Some(256) => &mut claims.ueid,
            Some(2396) => &mut claims.implementation_id,
            _ => {
                payload.skip()?;
                continue;
            }
        };
        *value = payload.bytes()?;
    }
    Ok(claims)
}
