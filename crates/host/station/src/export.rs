// SPDX-License-Identifier: Apache-2.0

//! Identities as endorsements for the Veraison verifier: each file a CoRIM (draft-ietf-rats-corim) with one
//! CoMID, whose attester verification keys tell which public key belongs to which implementation ID and
//! instance ID. It is signed where there is a [`Signer`].
//!
//! What a verifier takes was read from its code, which decided where a draft says something else:
//!
//! | | `psa-iot-1` | `psa-2025-text` | `psa-2025` |
//! |---|---|---|---|
//! | taken by veraison/services | b667abf (August 2024) to before d4c39f7 | d4c39f7 (April 2026) to before 8cb3fc7 | from 8cb3fc7 (August 2026) |
//! | its releases | v0.0.2409 to v0.0.2604 | v0.0.2605 to v0.0.2608 | none up to v0.0.2608 |
//! | veraison/corim there (`go.mod`) | be7ec48 to effcd0f | 2fa49d7 and b8653a7 | 7ca6407 |
//! | read there | `scheme/psa-iot/corim.go` at ccc65e2 | veraison/corim, `profiles/psa/psa.go` | the same |
//! | draft-fdb-rats-psa-endorsements | revision 04, sections 3.1, 3.2 and 3.4 | revision 08, same sections | the same |
//! | implementation ID in CBOR | tag 600 | tag 560 | tag 560 |
//! | implementation ID in a template | type `psa.impl-id` | type `bytes` | type `bytes` |
//! | profile in CBOR | bare text (veraison/eat, `profile.go`) | the same | tag 32 (veraison/corim, `corim/profile.go`, since 5985ee8) |
//! | profile in a template | text | text | type `uri` and value |
//! | unsigned: media type | `application/corim-unsigned+cbor` to v0.0.2602, `application/rim+cbor` from v0.0.2603 | `application/rim+cbor` | the same |
//! | signed: `application/rim+cose` | from v0.0.2505 | yes | yes |
//!
//! All have in common:
//!
//! - The instance ID is a UEID (tag 550); [`InstanceIds`] says which of a part's two. The key (tag 554) is a PEM text with its BEGIN and END lines
//!   (veraison/corim, `comid/cryptokey.go`); the example in the draft has the base64 text alone, which the
//!   verifier refuses.
//! - An identifier is text. The verifier takes a UUID as bare bytes only (veraison/swid, `tagid.go`), and the
//!   crate `corim` can write it with tag 37 only.
//! - Triples are looked up one by one, whatever CoMID they came in, so that parts may be in one file or in
//!   several. A file has at most [`Options::max_bytes`], by default about 15,000 parts with one instance ID and half as
//!   many with both: see [`DEFAULT_MAX_BYTES`].
//! - A part with two keys on record is refused, even where they are equal (veraison/services,
//!   `scheme/common/corim.go`). One export names a part once. The same part in two exports is the caller's
//!   to avoid.

mod certificates;
mod corim;
mod files;
mod instance_id;
mod key;
#[cfg(feature = "pkcs11")]
mod pkcs11;
mod profile;
mod signed;
mod template;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;

use base16ct::lower::encode_string;
use p256::pkcs8::{EncodePublicKey, LineEnding};
use provisioning::{ImplementationId, PublicKey};
use sha2::{Digest, Sha256};
use thiserror::Error;

pub use certificates::{CertificateError, Chain};
pub use files::{COMID_FILE, CORIM_FILE, ENDORSEMENTS_FILE, SIGNED_FILE, remove, write};
pub use instance_id::InstanceIds;
pub use key::{KeyError, SigningKey};
pub use profile::Profile;
pub use signed::{SignError, Signer, SignerName};

use crate::Identity;

/// Parts in one export: the verifier reads no CBOR array with more items (fxamacker/cbor, `decode.go`), and
/// all files of an export are held in memory. Where each part has two instance IDs, half as many are in a file.
pub const MAX_PARTS: usize = 131_072;

/// Bytes in one file, where the caller does not say otherwise: 4 MiB less 16 KiB.
///
/// The provisioning service hands a file on to Veraison's trusted services in one gRPC message, which may have
/// 4 MiB: the default of grpc-go (`server.go`), which `vts/trustedservices/trustedservices_grpc.go` leaves
/// alone. Besides the file the message has its media type and three lengths (`SubmitEndorsementsRequest` in
/// `proto/vts.proto`), less than 200 bytes. The rest of the 16 KiB is for the signature and the certificates
/// of a CoRIM that is signed by another program; one that is signed here has them within the limit.
pub const DEFAULT_MAX_BYTES: usize = 4 * 1024 * 1024 - 16 * 1024;

/// The language of the CoMID's texts.
const LANGUAGE: &str = "en";

/// What the endorsements say besides the identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which verifier they are for.
    pub profile: Profile,
    /// By which instance IDs it finds a part.
    pub instance_ids: InstanceIds,
    /// The hash at the head of the ledger. It is in the identifiers, so that an export can be traced.
    pub head: [u8; 32],
    /// Who makes the parts. No verifier asks for it, and where it is given, the reference values must give
    /// the same: the verifier looks for them with the class of the key (`scheme/psa-iot/scheme.go`).
    pub vendor: Option<String>,
    /// What the parts are. The same holds as for the vendor.
    pub model: Option<String>,
    /// The most bytes that a verifier takes in one file of endorsements, such as [`DEFAULT_MAX_BYTES`].
    pub max_bytes: usize,
}

/// The contents of exported files: of all of an export, or of a piece that a verifier takes at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Which piece of the export they are, from 1. None if they are all of it.
    pub number: Option<usize>,
    /// [`COMID_FILE`], JSON.
    pub comid: Vec<u8>,
    /// [`CORIM_FILE`], JSON.
    pub corim: Vec<u8>,
    /// The CoRIM (tag 501) with the CoMID (tag 506): [`ENDORSEMENTS_FILE`]. Signed, it is the payload of a
    /// `COSE_Sign1` (tag 18): [`SIGNED_FILE`].
    pub endorsements: Vec<u8>,
    /// Whether it is signed.
    pub is_signed: bool,
    /// How many parts they name.
    pub parts: usize,
}

/// Why there is no export.
#[derive(Debug, Error)]
pub enum ExportError {
    /// No identity was given. A CoMID without triples is invalid.
    #[error("there is no part to export; provision one first")]
    Empty,
    /// More than [`MAX_PARTS`] identities were given.
    #[error("more than {MAX_PARTS} parts, which no verifier takes at once; export fewer at a time")]
    TooMany,
    /// A file of [`Options::max_bytes`] cannot hold one part.
    #[error(
        "a file with one part has {needed} bytes already, and {max_bytes} are allowed; allow more"
    )]
    TooSmall {
        /// The bytes of a file with one part.
        needed: usize,
        /// Those that it may have.
        max_bytes: usize,
    },
    /// The CoRIM cannot be built, for the reason of the crate that builds it.
    #[error("the endorsements cannot be built, please report this: {0}")]
    Encoding(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// There is a file of an earlier export, and it was not to be overwritten.
    #[error(
        "{}: there is an earlier export; name another folder, or say that it is to be overwritten",
        .0.display()
    )]
    Exists(PathBuf),
    /// The operating system says no.
    #[error("{}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
}

/// One part, as the files name it.
struct Part {
    implementation_id: ImplementationId,
    public_key: PublicKey,
    /// The public key as a PEM text (RFC 7468, section 13).
    key: String,
}

/// Makes endorsements from identities, in their order: as few files as [`Options::max_bytes`] allows, each with
/// identifiers of its own. The same input gives the same bytes.
///
/// An identity that comes again is left out, since the verifier refuses a part that has two keys.
///
/// Everything is held in memory: 100,000 parts with one instance ID each take 180 MB at the peak in files of
/// [`DEFAULT_MAX_BYTES`], 320 MB in one file, and 93 MB as files.
///
/// # Errors
/// There is no identity, or there are too many, a file cannot hold one, or the CoRIM cannot be built.
pub fn export(
    options: &Options,
    identities: impl IntoIterator<Item = Identity>,
) -> Result<Vec<Files>, ExportError> {
    make(options, None, identities)
}

/// As [`export`], with each file signed. A key in a file gives the same signature each time, an HSM another one.
///
/// # Errors
/// As those of [`export`], and it cannot be signed.
pub fn export_signed(
    options: &Options,
    signer: &Signer,
    identities: impl IntoIterator<Item = Identity>,
) -> Result<Vec<Files>, ExportError> {
    make(options, Some(signer), identities)
}

fn make(
    options: &Options,
    signer: Option<&Signer>,
    identities: impl IntoIterator<Item = Identity>,
) -> Result<Vec<Files>, ExportError> {
    let parts = each_once(identities)?;
    let at_once = parts_in_a_file(options, signer, &parts)?;
    let is_split = parts.len() > at_once;
    (1..)
        .zip(parts.chunks(at_once))
        .map(|(number, parts)| files(options, signer, is_split.then_some(number), parts))
        .collect()
}

fn each_once(identities: impl IntoIterator<Item = Identity>) -> Result<Vec<Part>, ExportError> {
    let mut parts = Vec::new();
    let mut seen = HashSet::new();
    for identity in identities {
        let Identity { implementation_id, public_key, device_id: _ } = identity;
        if !seen.insert((*implementation_id.as_bytes(), *public_key.as_bytes())) {
            continue;
        }
        if parts.len() == MAX_PARTS {
            return Err(ExportError::TooMany);
        }
        let mut key = p256::PublicKey::from_sec1_bytes(public_key.as_bytes())
            .map_err(encoding)?
            .to_public_key_pem(LineEnding::LF)
            .map_err(encoding)?;
        // Veraison's own texts end without a line end.
        key.truncate(key.trim_end().len());
        parts.push(Part { implementation_id, public_key, key });
    }
    Ok(parts)
}

/// By how many bytes the lengths of a file with many parts can be longer than those of a file with one: that of
/// the triples from 1 to 5, that of the CoMID from 3 to 5, and that of a signed CoRIM from 3 to 5.
const LONGER_LENGTHS: usize = 4 + 2 + 2;

/// How many parts fit into a file. Each of them takes as many bytes as another: its IDs and its key have a fixed
/// size, and vendor and model are those of all.
fn parts_in_a_file(
    options: &Options,
    signer: Option<&Signer>,
    parts: &[Part],
) -> Result<usize, ExportError> {
    let size = |parts| -> Result<usize, ExportError> {
        let unsigned = corim::unsigned(options, &identifier(options, parts), parts)?;
        Ok(match signer {
            Some(signer) => signer.size(unsigned)?,
            None => unsigned.len(),
        })
    };
    let max_bytes = options.max_bytes;
    let one = size(parts.get(..1).ok_or(ExportError::Empty)?)?;
    if one > max_bytes {
        return Err(ExportError::TooSmall { needed: one, max_bytes });
    }
    let Some(two) = parts.get(..2) else {
        return Ok(1);
    };
    let each = size(two)? - one;
    let fitting = 1 + (max_bytes - one).saturating_sub(LONGER_LENGTHS) / each;
    Ok(fitting.min(MAX_PARTS / options.instance_ids.count()))
}

fn files(
    options: &Options,
    signer: Option<&Signer>,
    number: Option<usize>,
    parts: &[Part],
) -> Result<Files, ExportError> {
    let id = identifier(options, parts);
    let unsigned = corim::unsigned(options, &id, parts)?;
    Ok(Files {
        number,
        comid: template::comid(options, &comid_id(&id), parts)?,
        corim: template::corim(options.profile, &id)?,
        endorsements: match signer {
            Some(signer) => signer.sign(unsigned)?,
            None => unsigned,
        },
        is_signed: signer.is_some(),
        parts: parts.len(),
    })
}

/// The identifier of the CoRIM with these parts.
///
/// The head alone would give two ranges of one ledger, two files of one export, or two profiles, the same
/// identifier, and the verifier refuses the second CoRIM.
fn identifier(options: &Options, parts: &[Part]) -> String {
    let Options { profile, instance_ids, head, vendor, model, max_bytes: _ } = options;
    let mut contents = Sha256::new_with_prefix(profile.name());
    for text in [Some(instance_ids.name()), vendor.as_deref(), model.as_deref()] {
        // Length first, so that no two exports are hashed as the same bytes.
        contents.update(text.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
        contents.update(text.unwrap_or_default());
    }
    for part in parts {
        contents.update(part.implementation_id.as_bytes());
        contents.update(part.public_key.as_bytes());
    }
    format!("ledger-{}-{}", encode_string(head), encode_string(&contents.finalize()))
}

/// The identifier of the CoMID in the CoRIM of that identifier.
fn comid_id(corim_id: &str) -> String {
    format!("{corim_id}-keys")
}

fn encoding(error: impl std::error::Error + Send + Sync + 'static) -> ExportError {
    ExportError::Encoding(Box::new(error))
}
