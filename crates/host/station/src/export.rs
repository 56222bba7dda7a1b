// SPDX-License-Identifier: Apache-2.0

//! Identities as endorsements for the Veraison verifier: an unsigned CoRIM (draft-ietf-rats-corim) with one
//! CoMID, whose attester verification keys tell which public key belongs to which implementation ID and
//! instance ID.
//!
//! What a verifier takes was read from its code, which decided where a draft says something else:
//!
//! | | `psa-iot-1` | `psa-2025` |
//! |---|---|---|
//! | taken by veraison/services | b667abf (August 2024) to d4c39f7 (March 2026) | from 8cb3fc7 (August 2026) |
//! | read there | `scheme/psa-iot/corim.go` at ccc65e2 | veraison/corim, `profiles/psa/psa.go` |
//! | draft-fdb-rats-psa-endorsements | revision 04, sections 3.1, 3.2 and 3.4 | revision 08, same sections |
//! | implementation ID in CBOR | tag 600 | tag 560 |
//! | implementation ID in a template | type `psa.impl-id` | type `bytes` |
//! | profile in CBOR | bare text (veraison/eat, `profile.go`) | tag 32 (veraison/corim, `corim/profile.go`) |
//! | profile in a template | text | type `uri` and value |
//!
//! Both have in common:
//!
//! - The instance ID is a UEID (tag 550). The key (tag 554) is a PEM text with its BEGIN and END lines
//!   (veraison/corim, `comid/cryptokey.go`); the example in the draft has the base64 text alone, which the
//!   verifier refuses.
//! - An identifier is text. The verifier takes a UUID as bare bytes only (veraison/swid, `tagid.go`), and the
//!   crate `corim` can write it with tag 37 only.
//! - Triples are looked up one by one, whatever CoMID they came in, so that one CoMID holds them all. It may
//!   hold [`MAX_PARTS`]. The verifier takes a request of up to 4 MiB (gRPC's default, which
//!   `vts/trustedservices/trustedservices_grpc.go` leaves alone), about 15,000 parts: a longer ledger is
//!   exported in ranges.
//! - A part with two keys on record is refused, even where they are equal (veraison/services,
//!   `scheme/common/corim.go`). One export names a part once. The same part in two exports is the caller's
//!   to avoid.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use base16ct::lower::encode_string;
use base64ct::{Base64, Encoding};
use corim::builder::{ComidBuilder, CorimBuilder};
use corim::cbor::value::Value;
use corim::cbor::{self, DecodeLimits};
use corim::types::common::{ClassIdChoice, CryptoKey, InstanceIdChoice, TagIdChoice};
use corim::types::corim::{ConciseTagChoice, CorimId, ProfileChoice};
use corim::types::environment::{ClassMap, EnvironmentMap};
use corim::types::tags::{TAG_BYTES, TAG_URI};
use corim::types::triples::AttestKeyTriple;
use p256::pkcs8::{EncodePublicKey, LineEnding};
use provisioning::{ImplementationId, Ueid};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use thiserror::Error;

use crate::Identity;

/// Parts in one export: the verifier reads no CBOR array with more items (fxamacker/cbor, `decode.go`).
pub const MAX_PARTS: usize = 131_072;

/// The template of the CoMID, for `cocli comid create --template`.
pub const COMID_FILE: &str = "comid.json";
/// The template of the CoRIM, for `cocli corim create --template`.
pub const CORIM_FILE: &str = "corim.json";
/// The unsigned CoRIM.
pub const ENDORSEMENTS_FILE: &str = "endorsements.cbor";

/// The language of the CoMID's texts.
const LANGUAGE: &str = "en";
/// An implementation ID in CBOR, as `psa-iot-1` has it: draft-fdb-rats-psa-endorsements-04, section 3.2.
const TAG_PSA_IMPLEMENTATION_ID: u64 = 600;

/// Which verifier the endorsements are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The older scheme of Veraison.
    PsaIot1,
    /// draft-fdb-rats-psa-endorsements-08, version 1.0.0 of its profile.
    Psa2025,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 2] = [Self::PsaIot1, Self::Psa2025];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PsaIot1 => "psa-iot-1",
            Self::Psa2025 => "psa-2025",
        }
    }

    /// The profile of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The URI that stands in the CoRIM.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::PsaIot1 => "http://arm.com/psa/iot/1",
            Self::Psa2025 => "tag:arm.com,2025:psa#1.0.0",
        }
    }

    /// The type of an implementation ID in a template.
    const fn class_id_type(self) -> &'static str {
        match self {
            Self::PsaIot1 => "psa.impl-id",
            Self::Psa2025 => "bytes",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the endorsements say besides the identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which verifier they are for.
    pub profile: Profile,
    /// The hash at the head of the ledger. It is in the identifiers, so that an export can be traced.
    pub head: [u8; 32],
    /// Who makes the parts. No verifier asks for it, and where it is given, the reference values must give
    /// the same: the verifier looks for them with the class of the key (`scheme/psa-iot/scheme.go`).
    pub vendor: Option<String>,
    /// What the parts are. The same holds as for the vendor.
    pub model: Option<String>,
}

/// The contents of the exported files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// [`COMID_FILE`], JSON.
    pub comid: Vec<u8>,
    /// [`CORIM_FILE`], JSON.
    pub corim: Vec<u8>,
    /// [`ENDORSEMENTS_FILE`], CBOR: the CoRIM (tag 501) with the CoMID (tag 506).
    pub endorsements: Vec<u8>,
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
    /// The CoRIM cannot be built, for the reason of the crate that builds it.
    #[error("the endorsements cannot be built, please report this: {0}")]
    Encoding(#[source] Box<dyn std::error::Error + Send + Sync>),
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
    ueid: Ueid,
    /// The public key as a PEM text (RFC 7468, section 13).
    key: String,
}

/// Makes endorsements from identities, in their order. The same input gives the same bytes.
///
/// An identity that comes again is left out, since the verifier refuses a part that has two keys.
///
/// Everything is held in memory: 100,000 parts take up to 320 MB at the peak, and 93 MB as files.
///
/// # Errors
/// There is no identity, or there are too many, or the CoRIM cannot be built.
pub fn export(
    options: &Options,
    identities: impl IntoIterator<Item = Identity>,
) -> Result<Files, ExportError> {
    let mut parts = Vec::new();
    let mut seen = HashSet::new();
    let mut contents = Sha256::new_with_prefix(options.profile.uri());
    for text in [&options.vendor, &options.model] {
        // Length first, so that no two exports are hashed as the same bytes.
        let text = text.as_ref().map(String::as_bytes);
        contents.update(text.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
        contents.update(text.unwrap_or_default());
    }
    for identity in identities {
        let Identity { implementation_id, public_key, device_id: _ } = identity;
        let ueid = identity.ueid();
        if !seen.insert((*implementation_id.as_bytes(), *ueid.as_bytes())) {
            continue;
        }
        if parts.len() == MAX_PARTS {
            return Err(ExportError::TooMany);
        }
        contents.update(implementation_id.as_bytes());
        contents.update(public_key.as_bytes());
        let mut key = p256::PublicKey::from_sec1_bytes(public_key.as_bytes())
            .map_err(encoding)?
            .to_public_key_pem(LineEnding::LF)
            .map_err(encoding)?;
        // Veraison's own texts end without a line end.
        key.truncate(key.trim_end().len());
        parts.push(Part { implementation_id, ueid, key });
    }
    drop(seen);
    if parts.is_empty() {
        return Err(ExportError::Empty);
    }
    // The head alone would give two ranges of one ledger, or two profiles, the same identifier, and the
    // verifier refuses the second CoRIM.
    let id =
        format!("ledger-{}-{}", encode_string(&options.head), encode_string(&contents.finalize()));
    Ok(Files {
        endorsements: endorsements(options, &id, &parts)?,
        comid: template(&ComidTemplate {
            lang: LANGUAGE,
            tag_identity: TagIdentity { id: &comid_id(&id), version: 0 },
            triples: TriplesTemplate { keys: Keys { options, parts: &parts } },
        })?,
        corim: template(&CorimTemplate {
            corim_id: &id,
            profile: match options.profile {
                Profile::PsaIot1 => ProfileTemplate::Text(options.profile.uri()),
                Profile::Psa2025 => ProfileTemplate::Typed(typed("uri", options.profile.uri())),
            },
        })?,
        parts: parts.len(),
    })
}

/// The identifier of the CoMID in the CoRIM of that identifier.
fn comid_id(corim_id: &str) -> String {
    format!("{corim_id}-keys")
}

fn endorsements(options: &Options, id: &str, parts: &[Part]) -> Result<Vec<u8>, ExportError> {
    let comid = ComidBuilder::new(TagIdChoice::Text(comid_id(id))).set_language(LANGUAGE);
    let comid = parts.iter().fold(comid, |comid, part| {
        comid.add_attest_key_triple(AttestKeyTriple::new(
            EnvironmentMap {
                class: Some(ClassMap {
                    class_id: Some(ClassIdChoice::Bytes(part.implementation_id.as_bytes().into())),
                    vendor: options.vendor.clone(),
                    model: options.model.clone(),
                    ..ClassMap::default()
                }),
                instance: Some(InstanceIdChoice::Ueid(part.ueid.as_bytes().into())),
                group: None,
            },
            vec![CryptoKey::PkixBase64Key(part.key.clone())],
            None,
        ))
    });
    let comid = cbor::encode(&comid.build().map_err(encoding)?).map_err(encoding)?;
    let comid = in_profile(options.profile, comid)?;
    let corim = CorimBuilder::new(CorimId::Text(id.to_owned()))
        .set_profile(ProfileChoice::Uri(options.profile.uri().to_owned()))
        .add_tag(ConciseTagChoice::Comid(comid))
        .build_bytes()
        .map_err(encoding)?;
    in_profile(options.profile, corim)
}

/// Turns what the crate `corim` writes for `psa-2025` into what the verifier of the profile reads: for
/// `psa-iot-1`, the crate knows no tag 600 and no profile without a tag.
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
    retag(&mut value);
    cbor::encode(&value).map_err(encoding)
}

/// In our CoRIM only an implementation ID has tag 560, and only the profile has tag 32.
fn retag(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(retag),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, value)| retag(value)),
        Value::Tag(tag @ TAG_BYTES, _) => *tag = TAG_PSA_IMPLEMENTATION_ID,
        Value::Tag(TAG_URI, uri) => *value = std::mem::replace(uri.as_mut(), Value::Null),
        Value::Tag(_, inner) => retag(inner),
        _ => {}
    }
}

/// The template of the CoRIM, in the shape of veraison/services, `scheme/psa-iot/test/corim/src/corim-psa.json`.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct CorimTemplate<'a> {
    corim_id: &'a str,
    profile: ProfileTemplate,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ProfileTemplate {
    Text(&'static str),
    Typed(Typed<&'static str>),
}

/// A value beside the name of its type.
#[derive(Serialize)]
struct Typed<T> {
    #[serde(rename = "type")]
    name: &'static str,
    value: T,
}

const fn typed<T>(name: &'static str, value: T) -> Typed<T> {
    Typed { name, value }
}

/// The template of the CoMID, in the shape of veraison/services,
/// `scheme/psa-iot/test/corim/src/comid-psa-ta.json`.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ComidTemplate<'a> {
    lang: &'a str,
    tag_identity: TagIdentity<'a>,
    triples: TriplesTemplate<'a>,
}

#[derive(Serialize)]
struct TagIdentity<'a> {
    id: &'a str,
    version: u32,
}

#[derive(Serialize)]
struct TriplesTemplate<'a> {
    #[serde(rename = "attester-verification-keys")]
    keys: Keys<'a>,
}

/// The triples, each of which is made as it is written: all at once they would fill the memory.
struct Keys<'a> {
    options: &'a Options,
    parts: &'a [Part],
}

impl Serialize for Keys<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Options { profile, vendor, model, .. } = self.options;
        serializer.collect_seq(self.parts.iter().map(|part| KeyTemplate {
            environment: EnvironmentTemplate {
                class: ClassTemplate {
                    id: typed(profile.class_id_type(), base64(part.implementation_id.as_bytes())),
                    model: model.as_deref(),
                    vendor: vendor.as_deref(),
                },
                instance: typed("ueid", base64(part.ueid.as_bytes())),
            },
            verification_keys: [typed("pkix-base64-key", &part.key)],
        }))
    }
}

/// The triple of one part.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct KeyTemplate<'a> {
    environment: EnvironmentTemplate<'a>,
    verification_keys: [Typed<&'a str>; 1],
}

#[derive(Serialize)]
struct EnvironmentTemplate<'a> {
    class: ClassTemplate<'a>,
    instance: Typed<String>,
}

#[derive(Serialize)]
struct ClassTemplate<'a> {
    id: Typed<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor: Option<&'a str>,
}

fn base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

fn template(content: &impl Serialize) -> Result<Vec<u8>, ExportError> {
    let mut text = serde_json::to_vec_pretty(content).map_err(encoding)?;
    text.push(b'\n');
    Ok(text)
}

fn encoding(error: impl std::error::Error + Send + Sync + 'static) -> ExportError {
    ExportError::Encoding(Box::new(error))
}

impl Files {
    /// Writes the files into `folder`, which is created where it is missing. Each file is there whole or not
    /// at all. If one of them exists and `overwrite` is not set, nothing is written.
    ///
    /// # Errors
    /// A file exists and is not to be overwritten, or the folder or a file cannot be written.
    pub fn write(&self, folder: &Path, overwrite: bool) -> Result<(), ExportError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| ExportError::Io(path, error)
        };
        fs::create_dir_all(folder).map_err(io(folder))?;
        let mut written = Vec::new();
        for (name, bytes) in [
            (COMID_FILE, &self.comid),
            (CORIM_FILE, &self.corim),
            (ENDORSEMENTS_FILE, &self.endorsements),
        ] {
            let path = folder.join(name);
            if !overwrite && path.try_exists().map_err(io(&path))? {
                return Err(ExportError::Exists(path));
            }
            let mut file = NamedTempFile::new_in(folder).map_err(io(&path))?;
            io::Write::write_all(&mut file, bytes).map_err(io(&path))?;
            // On the disk before it gets its name, so that a power cut leaves no empty file under it.
            file.as_file().sync_all().map_err(io(&path))?;
            written.push((path, file));
        }
        for (path, file) in written {
            let named = if overwrite { file.persist(&path) } else { file.persist_noclobber(&path) };
            match named {
                Ok(_) => {}
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(ExportError::Exists(path));
                }
                Err(error) => return Err(ExportError::Io(path, error.error)),
            }
        }
        Ok(())
    }
}
