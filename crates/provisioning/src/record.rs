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
//! | Client ID | 2394 | 1: a caller in the secure world | 4.1.2 |
//! | Security lifecycle | 2395 | 0x2000: PSA `RoT` Provisioning | 4.3.1 |
//! | Implementation ID | 2396 | 32 bytes | 4.2.2 |
//! | Device ID | -65537 | [`DeviceId`], for private use (RFC 8392, section 9.1.1) | |
//!
//! There is no boot seed, which RFC 9783, section 4.3.2 leaves to the sender: what makes one boot differ from
//! another is TF-M's. There are no software components (4.4.1) either, for no boot loader has measured any
//! before this image.

use core::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use minicbor::Encoder;
use minicbor::data::Tag;
use minicbor::encode::Error;
use minicbor::encode::write::{Cursor, EndOfSlice};

use crate::{ImplementationId, PublicKey, Ueid};

/// Bytes in a record. Each of its items has a fixed length.
pub const RECORD_SIZE: usize = 326;

/// Bytes in the claims of a token, and in the structure that is signed.
const CLAIMS_SIZE: usize = 173;
const TO_BE_SIGNED_SIZE: usize = 192;

/// Characters of a record in base64url (RFC 4648, section 5) without padding.
const TEXT_SIZE: usize = (RECORD_SIZE * 4).div_ceil(3);

/// `{1: -7}`: the algorithm is ES256 (RFC 9053, section 2.1).
const PROTECTED_HEADER: [u8; 3] = [0xA1, 0x01, 0x26];

/// What makes a record fresh: chosen by who wants it, or else random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub [u8; 32]);

impl Nonce {
    /// The console line by which an image asks for one.
    pub const PROMPT: &'static str = "Waiting for a nonce: 64 hexadecimal digits and a line end";

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
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claims {
    pub(crate) nonce: Nonce,
    pub(crate) implementation_id: ImplementationId,
    pub(crate) device_id: DeviceId,
    pub(crate) public_key: PublicKey,
}

impl Claims {
    /// The claims as CBOR: their keys are in the order of RFC 8949, section 4.2.1.
    fn encode(&self) -> [u8; CLAIMS_SIZE] {
        let mut bytes = [0; CLAIMS_SIZE];
        fill(&mut bytes, |cbor| {
            cbor.map(7)?;
            cbor.u8(10)?.bytes(&self.nonce.0)?;
            cbor.u16(256)?.bytes(Ueid::of(&self.public_key).as_bytes())?;
            cbor.u16(265)?.str("tag:psacertified.org,2023:psa#tfm")?;
            cbor.u16(2394)?.u8(1)?;
            cbor.u16(2395)?.u16(0x2000)?;
            cbor.u16(2396)?.bytes(self.implementation_id.as_bytes())?;
            cbor.i32(-65537)?.bytes(&self.device_id.0)?;
            Ok(())
        });
        bytes
    }
}

/// A record of which the signature is still missing.
pub(crate) struct Unsigned {
    claims: [u8; CLAIMS_SIZE],
    public_key: PublicKey,
}

impl Unsigned {
    pub(crate) fn new(claims: &Claims) -> Self {
        Self { claims: claims.encode(), public_key: claims.public_key }
    }

    /// What the signature is made over: `Sig_structure` of RFC 9052, section 4.4.
    pub(crate) fn to_be_signed(&self) -> [u8; TO_BE_SIGNED_SIZE] {
        let mut bytes = [0; TO_BE_SIGNED_SIZE];
        fill(&mut bytes, |cbor| {
            cbor.array(4)?.str("Signature1")?.bytes(&PROTECTED_HEADER)?.bytes(&[])?;
            cbor.bytes(&self.claims)?;
            Ok(())
        });
        bytes
    }

    pub(crate) fn sign(&self, signature: &[u8; 64]) -> Record {
        let [_, point @ ..] = self.public_key.as_bytes();
        let (x, y) = point.split_at(32);
        let mut bytes = [0; RECORD_SIZE];
        fill(&mut bytes, |cbor| {
            cbor.array(2)?;
            // COSE_Sign1
            cbor.tag(Tag::new(18))?.array(4)?.bytes(&PROTECTED_HEADER)?.map(0)?;
            cbor.bytes(&self.claims)?.bytes(signature)?;
            // COSE_Key: its type is EC2, its algorithm ES256, its curve P-256.
            cbor.map(5)?.i8(1)?.i8(2)?.i8(3)?.i8(-7)?.i8(-1)?.i8(1)?;
            cbor.i8(-2)?.bytes(x)?.i8(-3)?.bytes(y)?;
            Ok(())
        });
        Record(bytes)
    }
}

/// Encodes into an array that is as long as the result, which does not depend on any value.
fn fill(
    bytes: &mut [u8],
    encode: impl FnOnce(&mut Encoder<Cursor<&mut [u8]>>) -> Result<(), Error<EndOfSlice>>,
) {
    let size = bytes.len();
    let mut encoder = Encoder::new(Cursor::new(bytes));
    let result = encode(&mut encoder);
    debug_assert!(result.is_ok() && encoder.writer().position() == size, "{result:?}");
}

/// A record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Record([u8; RECORD_SIZE]);

impl Record {
    /// The CBOR.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; RECORD_SIZE] {
        &self.0
    }
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
