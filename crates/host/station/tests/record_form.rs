// SPDX-License-Identifier: Apache-2.0

//! A record is believed in one form only: the one in which a part writes it. Each other form here is signed by
//! the right key, and says the same.

mod common;

use coset::cbor::value::Value;
use coset::{AsCborValue, CborSerializable, CoseSign1};
use hex_literal::hex;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use provisioning::IdentityKeySource;
use silicon::Soc;
use station::record::{RecordError, Wanted, decode, verify};

const DUMMY: Wanted = Wanted { implementation_id: None, nonce: None, allow_dummy: true };

/// The private half of the test-only key.
const KEY: [u8; 32] = hex!("A9B454B26D6F90A4EA31193564CBA91FEC6F9A002A7DC0504B92A1937134585F");

fn record() -> Vec<u8> {
    let (text, _) = common::made_by(Soc::Nrf5340, IdentityKeySource::Dummy, None);
    decode(&text).unwrap()
}

/// The record with its claims changed, and signed.
fn with_claims(record: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut items = Value::from_slice(record).unwrap().into_array().unwrap();
    let Value::Tag(18, token) = &mut items[0] else { panic!() };
    let mut signed = CoseSign1::from_cbor_value(token.as_ref().clone()).unwrap();
    change(signed.payload.as_mut().unwrap());
    let key = SigningKey::from_slice(&KEY).unwrap();
    let signature: Signature = key.sign(&signed.tbs_data(b""));
    signed.signature = signature.to_bytes().to_vec();
    **token = signed.to_cbor_value().unwrap();
    Value::Array(items).to_vec().unwrap()
}

/// Puts other bytes in the place of those, which are there once.
fn replace(bytes: &mut Vec<u8>, old: &[u8], new: &[u8]) {
    let found: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    let [at] = found[..] else { panic!("{old:02x?} is there {} times", found.len()) };
    bytes.splice(at..at + old.len(), new.iter().copied());
}

#[test]
fn claims_have_one_form() {
    let record = record();
    assert!(verify(&with_claims(&record, |_| ()), &DUMMY).is_ok(), "signed anew, it is good");
    // The implementation ID: its key, the head of its bytes.
    let good = hex!("19095C 5820 C7C7");
    for other in [
        &hex!("1A0000095C 5820 C7C7")[..], // the key in four bytes
        &hex!("C242095C 5820 C7C7"),       // as a big number
        &hex!("19095C 590020 C7C7"),       // the length in two bytes
    ] {
        let other = with_claims(&record, |claims| replace(claims, &good, other));
        assert_eq!(
            verify(&other, &DUMMY),
            Err(RecordError::Structure("claims in their shortest form"))
        );
    }
    // In two pieces: RFC 8949, section 3.2.3.
    let whole = [&hex!("19095C 5820")[..], &[0xC7; 32]].concat();
    let pieces = [&hex!("19095C 5F 41C7 581F")[..], &[0xC7; 31], &hex!("FF")].concat();
    let other = with_claims(&record, |claims| replace(claims, &whole, &pieces));
    assert_eq!(
        verify(&other, &DUMMY),
        Err(RecordError::Structure("claims in their shortest form"))
    );
}

#[test]
fn what_is_around_the_claims_has_one_form() {
    let good = record();
    let error = Err(RecordError::Structure("CBOR in its shortest form"));
    for (old, new) in [
        (&hex!("82D284")[..], &hex!("9802D284")[..]), // two items, their number in two bytes
        (&hex!("82D284"), &hex!("82D81284")),         // the tag
        (&hex!("D284"), &hex!("D29804")),             // four items
    ] {
        let mut other = good.clone();
        replace(&mut other, old, new);
        assert_eq!(verify(&other, &DUMMY), error, "{new:02x?}");
    }
}
