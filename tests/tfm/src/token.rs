// SPDX-License-Identifier: Apache-2.0

//! The token of TF-M's attestation partition, checked by other code than that which made it: COSE (RFC 9052,
//! section 4.4) and the claims of profile `PSA_IOT_PROFILE_1` (draft-tschofenig-rats-psa-token-07), which is the
//! SDK's default.

use core::fmt;

use minicbor::decode::Error;
use minicbor::{Decoder, Encoder};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

/// The nonce of the request: 32 bytes.
pub const CHALLENGE: [u8; 32] = [0x5A; 32];

/// `PSA_INITIAL_ATTEST_MAX_TOKEN_SIZE`, as `tfm.cmake` has it.
pub const MAX_SIZE: usize = 0x250;

/// TF-M, `tfm_attest_iat_defs.h`.
mod claim {
    pub const LIFECYCLE: i64 = -75002;
    pub const IMPLEMENTATION_ID: i64 = -75003;
    pub const NONCE: i64 = -75008;
    pub const INSTANCE_ID: i64 = -75009;
}

/// Bytes as digits, for verifiers on the host.
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a token says of the part.
#[derive(Default)]
pub struct Claims<'a> {
    pub lifecycle: u64,
    pub implementation_id: &'a [u8],
    pub instance_id: &'a [u8],
    pub nonce: &'a [u8],
}

unsafe extern "C" {
    fn psa_initial_attest_get_token(
        challenge: *const u8,
        challenge_size: usize,
        token: *mut u8,
        token_buffer_size: usize,
        token_size: *mut usize,
    ) -> i32;
    fn tfm_test_hashes_cose_key() -> bool;
}

/// The instance ID that this TF-M gives a part with this public key, a point as SEC 1 writes it: 0x01 and a hash, to
/// TF-M 2.1 of the point, which is the UEID of the record, and then of a `COSE_Key` with the four members of RFC 9679.
pub fn instance_id(public_key: &[u8; 65]) -> [u8; 33] {
    let mut hash = Sha256::new();
    // SAFETY: no arguments.
    if unsafe { tfm_test_hashes_cose_key() } {
        let (x, y) = public_key[1..].split_at(32);
        // kty: EC2, crv: P-256, x, y.
        hash.update([0xA4, 0x01, 0x02, 0x20, 0x01, 0x21, 0x58, 0x20]);
        hash.update(x);
        hash.update([0x22, 0x58, 0x20]);
        hash.update(y);
    } else {
        hash.update(public_key);
    }
    let mut id = [0x01; 33];
    id[1..].copy_from_slice(&hash.finalize());
    id
}

/// Asks TF-M for a token, as the non-secure side does.
///
/// # Errors
/// The status that TF-M gives.
pub fn get(buffer: &mut [u8]) -> Result<&[u8], i32> {
    let mut size = 0;
    // SAFETY: all are valid for the sizes given.
    let status = unsafe {
        psa_initial_attest_get_token(
            CHALLENGE.as_ptr(),
            CHALLENGE.len(),
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut size,
        )
    };
    if status != 0 {
        return Err(status);
    }
    buffer.get(..size).ok_or(i32::MIN)
}

/// The claims; `None` where the signature is not that of the key.
///
/// # Errors
/// It is no token.
pub fn read<'a>(token: &'a [u8], public_key: &[u8]) -> Result<Option<Claims<'a>>, Error> {
    let no_token = || Error::message("no COSE_Sign1");
    let mut decoder = Decoder::new(token);
    decoder.tag()?;
    if decoder.array()? != Some(4) {
        return Err(no_token());
    }
    let protected = decoder.bytes()?;
    decoder.skip()?;
    let payload = decoder.bytes()?;
    let signature = Signature::from_slice(decoder.bytes()?).map_err(|_| no_token())?;

    let mut signed = [0; 640];
    let mut encoder = Encoder::new(minicbor::encode::write::Cursor::new(&mut signed[..]));
    encoder
        .array(4)
        .and_then(|encoder| encoder.str("Signature1"))
        .and_then(|encoder| encoder.bytes(protected))
        .and_then(|encoder| encoder.bytes(&[]))
        .and_then(|encoder| encoder.bytes(payload))
        .map_err(|_| no_token())?;
    let size = encoder.writer().position();
    let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| no_token())?;
    if key.verify(&signed[..size], &signature).is_err() {
        return Ok(None);
    }

    let mut claims = Claims::default();
    let mut decoder = Decoder::new(payload);
    let entries = decoder.map()?.ok_or_else(no_token)?;
    for _ in 0..entries {
        match decoder.i64()? {
            claim::LIFECYCLE => claims.lifecycle = decoder.u64()?,
            claim::IMPLEMENTATION_ID => claims.implementation_id = decoder.bytes()?,
            claim::INSTANCE_ID => claims.instance_id = decoder.bytes()?,
            claim::NONCE => claims.nonce = decoder.bytes()?,
            _ => decoder.skip()?,
        }
    }
    Ok(Some(claims))
}
