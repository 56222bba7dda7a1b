// SPDX-License-Identifier: Apache-2.0

//! Endorsements as JSON templates for `cocli`.

use base64ct::{Base64, Encoding};
use serde::{Serialize, Serializer};

use super::{ExportError, LANGUAGE, Options, Part, Profile, encoding};

impl Profile {
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

/// The template of the CoMID of this identifier, with these parts.
pub fn comid(options: &Options, comid_id: &str, parts: &[Part]) -> Result<Vec<u8>, ExportError> {
    template(&ComidTemplate {
        lang: LANGUAGE,
        tag_identity: TagIdentity { id: comid_id, version: 0 },
        triples: TriplesTemplate { keys: Keys { options, parts } },
    })
}

/// The template of the CoRIM of this identifier.
pub fn corim(profile: Profile, corim_id: &str) -> Result<Vec<u8>, ExportError> {
    template(&CorimTemplate { corim_id, profile: profile.template() })
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
        let Options { profile, vendor, model, instance_ids, .. } = self.options;
        let triples = self.parts.iter().flat_map(|part| {
            instance_ids
                .of(&part.public_key)
                .into_iter()
                .map(move |instance_id| (part, instance_id))
        });
        serializer.collect_seq(triples.map(|(part, instance_id)| KeyTemplate {
            environment: EnvironmentTemplate {
                class: ClassTemplate {
                    id: typed(profile.class_id_type(), base64(part.implementation_id.as_bytes())),
                    model: model.as_deref(),
                    vendor: vendor.as_deref(),
                },
                instance: typed("ueid", base64(&instance_id)),
            },
            verification_keys: [typed("pkix-base64-key", &part.key)],
        }))
    }
}

/// The triple of one instance ID.
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
