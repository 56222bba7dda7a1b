// SPDX-License-Identifier: Apache-2.0

//! Identities as endorsements for the Veraison verifier: each file an unsigned CoRIM (draft-ietf-rats-corim) with one
//! CoMID, whose attester verification keys tell which public key belongs to which implementation ID and
//! instance ID.
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
//!
//! All have in common:
//!
//! - The instance ID is a UEID (tag 550). The key (tag 554) is a PEM text with its BEGIN and END lines
//!   (veraison/corim, `comid/cryptokey.go`); the example in the draft has the base64 text alone, which the
//!   verifier refuses.
//! - An identifier is text. The verifier takes a UUID as bare bytes only (veraison/swid, `tagid.go`), and the
//!   crate `corim` can write it with tag 37 only.
//! - Triples are looked up one by one, whatever CoMID they came in, so that parts may be in one file or in
//!   several. A file has at most [`Options::max_bytes`], about 15,000 parts by default: see
//!   [`DEFAULT_MAX_BYTES`].
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
use provisioning::{ImplementationId, PublicKey, Ueid};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use thiserror::Error;

use crate::Identity;

/// Parts in one export: the verifier reads no CBOR array with more items (fxamacker/cbor, `decode.go`), and
/// all files of an export are held in memory.
pub const MAX_PARTS: usize = 131_072;

/// Bytes in one file, where the caller does not say otherwise: 4 MiB less 16 KiB.
///
/// The provisioning service hands a file on to Veraison's trusted services in one gRPC message, which may have
/// 4 MiB: the default of grpc-go (`server.go`), which `vts/trustedservices/trustedservices_grpc.go` leaves
/// alone. Besides the file the message has its media type and three lengths (`SubmitEndorsementsRequest` in
/// `proto/vts.proto`), less than 200 bytes. The rest of the 16 KiB is for the signature and the certificates
/// of a CoRIM that is signed before it is sent.
pub const DEFAULT_MAX_BYTES: usize = 4 * 1024 * 1024 - 16 * 1024;

/// The template of the CoMID, for `cocli comid create --template`.
pub const COMID_FILE: &str = "comid.json";
/// The template of the CoRIM, for `cocli corim create --template`.
pub const CORIM_FILE: &str = "corim.json";
/// The unsigned CoRIM.
pub const ENDORSEMENTS_FILE: &str = "endorsements.cbor";

/// What an export that is one file consists of. See [`Files::names`] for others.
const FILES: [&str; 3] = [COMID_FILE, CORIM_FILE, ENDORSEMENTS_FILE];

/// The language of the CoMID's texts.
const LANGUAGE: &str = "en";
/// An implementation ID in CBOR, as `psa-iot-1` has it: draft-fdb-rats-psa-endorsements-04, section 3.2.
const TAG_PSA_IMPLEMENTATION_ID: u64 = 600;

/// Which verifier the endorsements are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The older scheme of Veraison, of its releases v0.0.2409 to v0.0.2604.
    PsaIot1,
    /// As [`Profile::Psa2025`] with the profile as bare text, for Veraison v0.0.2605 to v0.0.2608.
    Psa2025Text,
    /// draft-fdb-rats-psa-endorsements-08, version 1.0.0 of its profile, for Veraison after v0.0.2608.
    Psa2025,
}

impl Profile {
    /// Every profile, the oldest first.
    pub const ALL: [Self; 3] = [Self::PsaIot1, Self::Psa2025Text, Self::Psa2025];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PsaIot1 => "psa-iot-1",
            Self::Psa2025Text => "psa-2025-text",
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
            Self::Psa2025Text | Self::Psa2025 => "tag:arm.com,2025:psa#1.0.0",
        }
    }

    /// The type of an implementation ID in a template.
    const fn class_id_type(self) -> &'static str {
        match self {
            Self::PsaIot1 => "psa.impl-id",
            Self::Psa2025Text | Self::Psa2025 => "bytes",
        }
    }

    /// The profile in a template.
    const fn template(self) -> ProfileTemplate {
        match self {
            Self::PsaIot1 | Self::Psa2025Text => ProfileTemplate::Text(self.uri()),
            Self::Psa2025 => ProfileTemplate::Typed(typed("uri", self.uri())),
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
    ueid: Ueid,
    /// The public key as a PEM text (RFC 7468, section 13).
    key: String,
}

/// Makes endorsements from identities, in their order: as few files as [`Options::max_bytes`] allows, each with
/// identifiers of its own. The same input gives the same bytes.
///
/// An identity that comes again is left out, since the verifier refuses a part that has two keys.
///
/// Everything is held in memory: 100,000 parts take 180 MB at the peak in files of [`DEFAULT_MAX_BYTES`], 320 MB in
/// one file, and 93 MB as files.
///
/// # Errors
/// There is no identity, or there are too many, a file cannot hold one, or the CoRIM cannot be built.
pub fn export(
    options: &Options,
    identities: impl IntoIterator<Item = Identity>,
) -> Result<Vec<Files>, ExportError> {
    let parts = each_once(identities)?;
    let at_once = parts_in_a_file(options, &parts)?;
    let is_split = parts.len() > at_once;
    (1..)
        .zip(parts.chunks(at_once))
        .map(|(number, parts)| files(options, is_split.then_some(number), parts))
        .collect()
}

fn each_once(identities: impl IntoIterator<Item = Identity>) -> Result<Vec<Part>, ExportError> {
    let mut parts = Vec::new();
    let mut seen = HashSet::new();
    for identity in identities {
        let Identity { implementation_id, public_key, device_id: _ } = identity;
        let ueid = identity.ueid();
        if !seen.insert((*implementation_id.as_bytes(), *ueid.as_bytes())) {
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
        parts.push(Part { implementation_id, public_key, ueid, key });
    }
    Ok(parts)
}

/// By how many bytes the lengths of a file with many parts can be longer than those of a file with one: that of
/// the triples from 1 to 5, and that of the CoMID from 3 to 5.
const LONGER_LENGTHS: usize = 4 + 2;

/// How many parts fit into a file. Each of them takes as many bytes as another: its IDs and its key have a fixed
/// size, and vendor and model are those of all.
fn parts_in_a_file(options: &Options, parts: &[Part]) -> Result<usize, ExportError> {
    let size = |parts| Ok(endorsements(options, &identifier(options, parts), parts)?.len());
    let max_bytes = options.max_bytes;
    let one = size(parts.get(..1).ok_or(ExportError::Empty)?)?;
    if one > max_bytes {
        return Err(ExportError::TooSmall { needed: one, max_bytes });
    }
    let Some(two) = parts.get(..2) else {
        return Ok(1);
    };
    let each = size(two)? - one;
    Ok(1 + (max_bytes - one).saturating_sub(LONGER_LENGTHS) / each)
}

fn files(options: &Options, number: Option<usize>, parts: &[Part]) -> Result<Files, ExportError> {
    let id = identifier(options, parts);
    Ok(Files {
        number,
        endorsements: endorsements(options, &id, parts)?,
        comid: template(&ComidTemplate {
            lang: LANGUAGE,
            tag_identity: TagIdentity { id: &comid_id(&id), version: 0 },
            triples: TriplesTemplate { keys: Keys { options, parts } },
        })?,
        corim: template(&CorimTemplate { corim_id: &id, profile: options.profile.template() })?,
        parts: parts.len(),
    })
}

/// The identifier of the CoRIM with these parts.
///
/// The head alone would give two ranges of one ledger, two files of one export, or two profiles, the same
/// identifier, and the verifier refuses the second CoRIM.
fn identifier(options: &Options, parts: &[Part]) -> String {
    let mut contents = Sha256::new_with_prefix(options.profile.name());
    for text in [&options.vendor, &options.model] {
        // Length first, so that no two exports are hashed as the same bytes.
        let text = text.as_ref().map(String::as_bytes);
        contents.update(text.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
        contents.update(text.unwrap_or_default());
    }
    for part in parts {
        contents.update(part.implementation_id.as_bytes());
        contents.update(part.public_key.as_bytes());
    }
    format!("ledger-{}-{}", encode_string(&options.head), encode_string(&contents.finalize()))
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
    /// Their names: [`COMID_FILE`], [`CORIM_FILE`] and [`ENDORSEMENTS_FILE`], with the number of the piece before
    /// the dot, as in `endorsements-2.cbor`, where they are not all of the export.
    #[must_use]
    pub fn names(&self) -> [String; 3] {
        FILES.map(|name| match (self.number, name.split_once('.')) {
            (Some(number), Some((stem, end))) => format!("{stem}-{number}.{end}"),
            _ => name.to_owned(),
        })
    }

    fn contents(&self) -> [&[u8]; 3] {
        [&self.comid, &self.corim, &self.endorsements]
    }
}

/// Writes the files of an export into `folder`, which is created where it is missing. Each file is there whole or
/// not at all. If there is a file of another export and `overwrite` is not set, nothing is written; if it is
/// set, all files of another export go, so that none of its parts is sent with those of this one.
///
/// # Errors
/// A file exists and is not to be overwritten, or the folder or a file cannot be written.
pub fn write(export: &[Files], folder: &Path, overwrite: bool) -> Result<(), ExportError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| ExportError::Io(path, error)
    };
    fs::create_dir_all(folder).map_err(io(folder))?;
    let mut earlier = exported_files(folder).map_err(io(folder))?;
    if let Some(path) = earlier.first()
        && !overwrite
    {
        return Err(ExportError::Exists(path.clone()));
    }
    let mut written = Vec::new();
    for (name, bytes) in
        export.iter().flat_map(|files| files.names().into_iter().zip(files.contents()))
    {
        let path = folder.join(name);
        let mut file = NamedTempFile::new_in(folder).map_err(io(&path))?;
        io::Write::write_all(&mut file, bytes).map_err(io(&path))?;
        // On the disk before it gets its name, so that a power cut leaves no empty file under it.
        file.as_file().sync_all().map_err(io(&path))?;
        earlier.retain(|earlier| *earlier != path);
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
    for path in earlier {
        fs::remove_file(&path).map_err(io(&path))?;
    }
    Ok(())
}

/// The files of an earlier export in the folder, sorted.
fn exported_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        if file.file_name().to_str().is_some_and(is_exported) && file.path().try_exists()? {
            found.push(file.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file of an export can have this name.
fn is_exported(name: &str) -> bool {
    FILES.iter().filter_map(|file| file.split_once('.')).any(|(stem, end)| {
        let number =
            name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(end)?.strip_suffix('.'));
        number.is_some_and(|number| {
            number.is_empty()
                || number.strip_prefix('-').is_some_and(|number| number.parse::<usize>().is_ok())
        })
    })
}
