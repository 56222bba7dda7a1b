// SPDX-License-Identifier: Apache-2.0

//! The provisioning record: what a part says of itself at the end of its run, signed by its identity key.
//!
//! A record is a CBOR array of two items:
//! 1. a PSA attestation token (RFC 9783), which is a tagged `COSE_Sign1` (RFC 9052, section 4.2) with ES256,
//! 2. the public identity key as a `COSE_Key` (RFC 9053, section 7.1.1).
//!
//! The claims of the token, of which a verifier needs no other to know the part:
//!
//! | Claim | Key | Value | RFC 9783 |
//! |---|---|---|---|
//! | Nonce | 10 | 32 bytes | 4.1.1 |
//! | Instance ID | 256 | [`Ueid`]: `0x01`, SHA-256 of the public key as SEC 1 writes it uncompressed | 4.2.1 |
//! | Profile | 265 | `tag:psacertified.org,2023:psa#tfm` | 4.5.2 |
//! | Boot seed | 268 | 32 bytes, others in each run | 4.3.2 |
//! | Client ID | 2394 | 1: a caller in the secure world | 4.1.2 |
//! | Security lifecycle | 2395 | 0x2000: PSA `RoT` Provisioning | 4.3.1 |
//! | Implementation ID | 2396 | 32 bytes | 4.2.2 |
//! | Software components | 2399 | One: this image | 4.4.1 |
//! | Device ID | -65537 | [`DeviceId`], for private use (RFC 8392, section 9.1.1) | |
//!
//! The software component has these attributes:
//!
//! | Attribute | Key | Value | RFC 9783 |
//! |---|---|---|---|
//! | Measurement type | 1 | `PRoT` | 4.4.1.1 |
//! | Measurement value | 2 | [`Measurement`] | 4.4.1.2 |
//! | Version | 4 | [`VERSION`] | 4.4.1.3 |
//! | Signer ID | 5 | 32 zeros | 4.4.1.4 |
//!
//! The signer ID "MUST be present" (4.4.1.4) and is 32, 48 or 64 bytes long (section 4.4.1). Nobody signs this
//! image and there is no manifest to take it from, so it is zeros, which are the hash of no key.
//!
//! The device ID is a proprietary claim, which RFC 9711, appendix E.5 calls "a supported use case". RFC 9783 allows
//! it: "the receiver MUST NOT error out on claims it does not understand" (section 5.1.3, and by it 5.2.).

use core::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};

use sha2::{Digest, Sha256};

use crate::identity::{PublicKey, Ueid};
use crate::implementation_id::ImplementationId;

/// Bytes in a record. Each of its items has a fixed length.
pub const RECORD_SIZE: usize = CLAIMS_START + CLAIMS_SIZE + 2 + SIGNATURE_SIZE + KEY_SIZE;

/// Where the claims begin in a record, and how many bytes they have.
const CLAIMS_START: usize = 11;
const CLAIMS_SIZE: usize = 293 + VERSION.len();
/// `r || s` of ES256 (RFC 9053, section 2.1).
const SIGNATURE_SIZE: usize = 64;
/// The `COSE_Key`.
const KEY_SIZE: usize = 77;

/// The version of this image.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Its attribute, and the CBOR of its length, which is one byte.
const VERSION_HEAD: [u8; 2] = {
    assert!(VERSION.len() < 24);
    let [.., length] = VERSION.len().to_be_bytes();
    [0x04, 0x60 | length]
};

/// Characters of a record in base64url (RFC 4648, section 5) without padding.
const TEXT_SIZE: usize = (RECORD_SIZE * 4).div_ceil(3);

/// The CBOR of [`CLAIMS_SIZE`] as the length of a byte string.
const CLAIMS_HEAD: [u8; 3] = {
    let [.., high, low] = CLAIMS_SIZE.to_be_bytes();
    [0x59, high, low]
};

/// What makes a record fresh: chosen by who wants it, or else by the part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub [u8; 32]);

impl Nonce {
    /// Reads 64 hexadecimal digits; `None` where these are none.
    #[must_use]
    pub const fn from_hex(text: &str) -> Option<Self> {
        // All ones is a nonce like any other.
        match crate::implementation_id::bytes_from_hex(text) {
            Ok(bytes) => Some(Self(bytes)),
            Err(_) => None,
        }
    }
}

/// What a run draws anew, so that no two records are the same.
#[derive(Clone, Copy)]
pub(crate) struct Freshness {
    pub(crate) nonce: Nonce,
    pub(crate) boot_seed: [u8; 32],
}

impl Freshness {
    /// Of 32 bytes from the random generator, which must not be shown: a generator that repeats itself may have
    /// given them before, as a key. `nonce` is what the record is to hold, if somebody has asked for it.
    pub(crate) fn new(random: &[u8; 32], public_key: &PublicKey, nonce: Option<Nonce>) -> Self {
        let hash = |label: &str| {
            let hash = Sha256::new().chain_update(label).chain_update(random);
            hash.chain_update(public_key.as_bytes()).finalize().into()
        };
        Self {
            nonce: nonce.unwrap_or_else(|| Nonce(hash("provisioning record: nonce"))),
            boot_seed: hash("provisioning record: boot seed"),
        }
    }
}

/// What an image is: SHA-256 of the bytes that were programmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement(pub [u8; 32]);

impl Measurement {
    /// Measures an image. A modelled part has none of its own, which is measured as no bytes.
    #[must_use]
    pub fn of(image: &[u8]) -> Self {
        Self(Sha256::digest(image).into())
    }
}

impl fmt::Display for Measurement {
    /// As `sha256sum` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// `FICR.INFO.DEVICEID`, which the factory gives to each part: its two words, least significant byte first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceId(pub [u8; 8]);

impl fmt::Display for DeviceId {
    /// As the product specification and debuggers show it: one 64-bit number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a token says.
#[derive(Clone, Copy)]
pub(crate) struct Claims {
    pub(crate) freshness: Freshness,
    pub(crate) measurement: Measurement,
    pub(crate) implementation_id: ImplementationId,
    pub(crate) device_id: DeviceId,
    pub(crate) public_key: PublicKey,
}

/// A record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Record([u8; RECORD_SIZE]);

/// It is made in place, since a copy of it is half a kilobyte of stack.
impl Record {
    /// Room for a record; all zero.
    pub(crate) const fn empty() -> Self {
        Self([0; RECORD_SIZE])
    }

    /// Writes all but the signature.
    ///
    /// CBOR in the deterministic encoding of RFC 8949, section 4.2.1. What does not change from record to record is
    /// written down here as bytes: an encoder is a kilobyte larger. The tests compare with one.
    ///
    /// Not inlined, so that the list of parts is gone when the key signs.
    #[inline(never)]
    pub(crate) fn claim(&mut self, claims: &Claims) {
        let ueid = Ueid::of(&claims.public_key);
        let [_, point @ ..] = claims.public_key.as_bytes();
        let (x, y) = point.split_at(32);
        let parts: [&[u8]; 24] = [
            // An array of two; the tag 18, COSE_Sign1, of four: the protected header {1: -7}, {}, the payload.
            b"\x82\xD2\x84\x43\xA1\x01\x26\xA0",
            &CLAIMS_HEAD,
            // A map of nine; 10, 32 bytes
            b"\xA9\x0A\x58\x20",
            &claims.freshness.nonce.0,
            // 256, 33 bytes
            b"\x19\x01\x00\x58\x21",
            ueid.as_bytes(),
            // 265, 33 characters; 268, 32 bytes
            b"\x19\x01\x09\x78\x21tag:psacertified.org,2023:psa#tfm\x19\x01\x0C\x58\x20",
            &claims.freshness.boot_seed,
            // 2394, 1; 2395, 0x2000; 2396, 32 bytes
            b"\x19\x09\x5A\x01\x19\x09\x5B\x19\x20\x00\x19\x09\x5C\x58\x20",
            claims.implementation_id.as_bytes(),
            // 2399, an array of one map of four: 1, 4 characters; 2, 32 bytes
            b"\x19\x09\x5F\x81\xA4\x01\x64PRoT\x02\x58\x20",
            &claims.measurement.0,
            // 4, characters; 5, 32 bytes
            &VERSION_HEAD,
            VERSION.as_bytes(),
            b"\x05\x58\x20",
            &[0; 32],
            // -65537, 8 bytes
            b"\x3A\x00\x01\x00\x00\x48",
            &claims.device_id.0,
            // The signature, 64 bytes.
            b"\x58\x40",
            &[0; SIGNATURE_SIZE],
            // A map of five: kty EC2, alg ES256, crv P-256, x and y of 32 bytes.
            b"\xA5\x01\x02\x03\x26\x20\x01\x21\x58\x20",
            x,
            b"\x22\x58\x20",
            y,
        ];
        let mut rest = self.0.as_mut_slice();
        for part in parts {
            rest = put(rest, part);
        }
        debug_assert!(rest.is_empty());
    }

    /// What the signature is made over: SHA-256 of the `Sig_structure` of RFC 9052, section 4.4.
    pub(crate) fn digest(&self) -> [u8; 32] {
        // An array of four: the context, the protected header, no other data, the payload.
        let hash = Sha256::new_with_prefix(b"\x84\x6ASignature1\x43\xA1\x01\x26\x40");
        let payload = self.0.get(CLAIMS_START..CLAIMS_START + CLAIMS_SIZE).unwrap_or_default();
        hash.chain_update(CLAIMS_HEAD).chain_update(payload).finalize().into()
    }

    /// Writes the signature.
    pub(crate) fn sign(&mut self, signature: &[u8; SIGNATURE_SIZE]) {
        put(self.0.get_mut(CLAIMS_START + CLAIMS_SIZE + 2..).unwrap_or_default(), signature);
    }

    /// The CBOR.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; RECORD_SIZE] {
        &self.0
    }
}

/// Copies `part` to the beginning of `room`, and gives what is behind it. There is always room, which the tests
/// check; nothing here can panic.
fn put<'a>(room: &'a mut [u8], part: &[u8]) -> &'a mut [u8] {
    debug_assert!(part.len() <= room.len());
    room.iter_mut().zip(part).for_each(|(byte, part)| *byte = *part);
    room.get_mut(part.len()..).unwrap_or_default()
}

impl fmt::Display for Record {
    /// In base64url (RFC 4648, section 5) without padding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; TEXT_SIZE];
        f.write_str(Base64UrlUnpadded::encode(&self.0, &mut text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
