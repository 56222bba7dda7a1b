// SPDX-License-Identifier: Apache-2.0

//! What a verifier must be told about a file of endorsements: media type and profile.

use minicbor::Decoder;
use minicbor::data::{Tag, Type};
use minicbor::decode::Error;
use thiserror::Error;

use crate::export::Profile;

/// Endorsements that can be submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission<'a> {
    bytes: &'a [u8],
    is_signed: bool,
    id: String,
    profile: String,
}

/// Why a file cannot be submitted.
#[derive(Debug, Error)]
pub enum NotACorim {
    /// It is none.
    #[error("these are no endorsements, signed or unsigned: {0}")]
    Form(#[from] Error),
    /// It has no profile that a media type can name.
    #[error("these endorsements have no profile that a verifier could be told")]
    Profile,
}

impl<'a> Submission<'a> {
    /// Looks into the bytes of a file: a CoRIM (tag 501), or a `COSE_Sign1` (tag 18) around one.
    ///
    /// # Errors
    /// It is none, or has no profile.
    pub fn read(bytes: &'a [u8]) -> Result<Self, NotACorim> {
        let mut decoder = Decoder::new(bytes);
        let is_signed = decoder.probe().tag()? == Tag::new(18);
        let corim = if is_signed { payload(&mut decoder)? } else { bytes };
        let (id, profile) = id_and_profile(corim)?;
        let profile = profile.filter(|profile| {
            !profile.is_empty()
                && profile.chars().all(|c| c.is_ascii_graphic() && !"\"\\".contains(c))
        });
        Ok(Self { bytes, is_signed, id, profile: profile.ok_or(NotACorim::Profile)? })
    }

    /// The bytes of the file.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The identifier of the CoRIM.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its media types, the likely one first: `handler/schemeimplementationwrapper.go` in veraison/services. Verifiers
    /// of the older profile have two names for an unsigned one (`scheme/psa-iot/scheme.go` to v0.0.2602).
    #[must_use]
    pub fn media_types(&self) -> Vec<String> {
        let names: &[&str] = match (self.is_signed, self.profile == Profile::PsaIot1.uri()) {
            (true, _) => &["rim+cose"],
            (false, false) => &["rim+cbor"],
            (false, true) => &["rim+cbor", "corim-unsigned+cbor"],
        };
        let profile = &self.profile;
        names.iter().map(|name| format!("application/{name}; profile=\"{profile}\"")).collect()
    }
}

/// The payload of a `COSE_Sign1`.
fn payload<'a>(decoder: &mut Decoder<'a>) -> Result<&'a [u8], Error> {
    decoder.tag()?;
    if decoder.array()? != Some(4) {
        return Err(Error::message("this is no COSE_Sign1"));
    }
    decoder.bytes()?;
    decoder.skip()?;
    decoder.bytes()
}

/// Identifier (0) and profile (3) of a CoRIM.
fn id_and_profile(corim: &[u8]) -> Result<(String, Option<String>), Error> {
    let mut decoder = Decoder::new(corim);
    if decoder.tag()? != Tag::new(501) {
        return Err(Error::message("this is no CoRIM"));
    }
    let entries = decoder.map()?.ok_or_else(|| Error::message("a map of unknown length"))?;
    let (mut id, mut profile) = (None, None);
    for _ in 0..entries {
        match decoder.i64()? {
            0 if decoder.datatype()? == Type::String => id = Some(decoder.str()?.to_owned()),
            3 => {
                // With the tag of a URI, or without.
                if decoder.datatype()? == Type::Tag && decoder.tag()? != Tag::new(32) {
                    decoder.skip()?;
                } else {
                    profile = Some(decoder.str()?.to_owned());
                }
            }
            _ => decoder.skip()?,
        }
    }
    Ok((id.unwrap_or_default(), profile))
}
