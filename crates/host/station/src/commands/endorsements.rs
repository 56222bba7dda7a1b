// SPDX-License-Identifier: Apache-2.0

//! Which parts are exported, and how their endorsements are made: what `export` and `submit` share.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use jiff::Timestamp;
use provisioning::DUMMY_PUBLIC_KEY;
use sha2::{Digest, Sha256};
use station::Identity;
use station::export::{
    self, Chain, Files, InstanceIds, Options, Profile, Signer, SignerName, SigningKey,
};
use station::hub::Config;
use station::ledger::{self, Audit, Entry, Fact, Ledger, Link, New};

use super::author::{AuthorOptions, name};
use super::export_hub;
use super::{Error, Place, check_record, hash, print_problems, say};
use crate::json;

/// What endorsements say besides the identities.
#[derive(clap::Args)]
pub struct EndorsementOptions {
    /// The instance IDs by which a verifier finds a part, by the version of TF-M that parts get
    #[arg(long, value_parser = instance_ids(), default_value = InstanceIds::Both.name())]
    instance_id: InstanceIds,
    /// The head that was written down earlier, which must still be in the chain
    #[arg(long, value_name = "HASH", value_parser = hash)]
    pub head: Option<[u8; 32]>,
    /// The vendor in the class of each part
    #[arg(long)]
    vendor: Option<String>,
    /// The model in the class of each part
    #[arg(long)]
    model: Option<String>,
    /// Begin another file (endorsements-1.cbor, endorsements-2.cbor, ...) where one would have more bytes
    #[arg(long, value_name = "BYTES", default_value_t = export::DEFAULT_MAX_BYTES)]
    pub max_bytes: usize,
    /// Also export the test-only key, with which anybody can pretend to be the part
    #[arg(long)]
    pub allow_dummy: bool,
    #[command(flatten)]
    signing: SigningOptions,
}

/// Who signs the endorsements.
#[derive(clap::Args)]
struct SigningOptions {
    /// Sign with this P-256 key: a PEM file with right 0600, or the PKCS#11 URI of a key in an HSM
    #[arg(long, value_name = "FILE or URI", requires = "cert_chain")]
    sign_key: Option<String>,
    /// The certificate of the signing key (PEM), and behind it those of its issuers, in this file or in further ones
    #[arg(long, value_name = "FILE", requires = "sign_key")]
    cert_chain: Vec<PathBuf>,
    /// The name of the signer [default: the subject of the certificate]
    #[arg(long, value_name = "NAME", value_parser = name, requires = "sign_key")]
    signer_name: Option<String>,
    /// The URI of the signer
    #[arg(long, value_name = "URI", requires = "sign_key")]
    signer_uri: Option<String>,
    /// Until when the endorsements are valid, such as 2030-01-31T00:00Z [default: as long as the certificates]
    #[arg(long, value_name = "TIME", requires = "sign_key")]
    valid_until: Option<Timestamp>,
}

/// The profiles by their names.
pub fn profiles() -> impl TypedValueParser<Value = Profile> {
    PossibleValuesParser::new(Profile::ALL.map(Profile::name))
        .try_map(|name| Profile::from_name(&name).ok_or("no profile has this name"))
}

fn instance_ids() -> impl TypedValueParser<Value = InstanceIds> {
    let help = |ids| match ids {
        InstanceIds::Both => "Both, for every TF-M, and for updates in the field",
        InstanceIds::Tfm21 => {
            "TF-M up to 2.1, in nRF Connect SDK up to 3.1; the UEID of the record"
        }
        InstanceIds::Tfm22 => "TF-M from 2.2 on, in nRF Connect SDK from 3.2 on",
    };
    let value = |ids: InstanceIds| PossibleValue::new(ids.name()).help(help(ids));
    PossibleValuesParser::new(InstanceIds::ALL.map(value))
        .try_map(|name| InstanceIds::from_name(&name).ok_or("no instance ID has this name"))
}

impl EndorsementOptions {
    /// Whether they say nothing.
    pub fn are_as_usual(&self) -> bool {
        let Self { instance_id, head, vendor, model, max_bytes, allow_dummy, signing } = self;
        *instance_id == InstanceIds::Both
            && head.is_none()
            && vendor.is_none()
            && model.is_none()
            && *max_bytes == export::DEFAULT_MAX_BYTES
            && !allow_dummy
            && signing.sign_key.is_none()
    }

    /// Who signs, if the endorsements are to be signed.
    pub fn signer(&self) -> Result<Option<Signer>, Error> {
        let SigningOptions { sign_key, cert_chain, signer_name, signer_uri, valid_until } =
            &self.signing;
        let Some(key) = sign_key else { return Ok(None) };
        // First what asks for no PIN.
        let chain = Chain::read(cert_chain, Timestamp::now())?;
        let name =
            SignerName { name: signer_name.clone(), uri: signer_uri.clone(), until: *valid_until };
        Ok(Some(Signer::new(SigningKey::open(key)?, chain, name)?))
    }

    /// Makes the endorsements of these parts. `head` is that of the ledger, or stands for what the hub has.
    pub fn make(
        &self,
        profile: Profile,
        signer: Option<&Signer>,
        head: [u8; 32],
        identities: impl IntoIterator<Item = Identity>,
    ) -> Result<Vec<Files>, Error> {
        let options = Options {
            profile,
            instance_ids: self.instance_id,
            head,
            vendor: self.vendor.clone(),
            model: self.model.clone(),
            max_bytes: self.max_bytes,
        };
        Ok(match signer {
            Some(signer) => export::export_signed(&options, signer, identities)?,
            None => export::export(&options, identities)?,
        })
    }
}

/// Which entries are wanted.
pub struct Wanted<'a> {
    pub options: &'a EndorsementOptions,
    /// Those that this verifier was not given yet.
    pub verifier: Option<&'a str>,
    /// Those of this range.
    pub entries: Option<&'a RangeInclusive<u64>>,
    /// But for those that this hub holds back.
    pub hub: Option<Config>,
}

/// What is to be exported.
pub struct Selected {
    pub identities: Vec<Identity>,
    /// The test-only key's entries, which were left out.
    left_out: usize,
    /// Entries that were withdrawn, and left out.
    withdrawn: usize,
    /// Those that the verifier was given before they were withdrawn.
    to_remove: Vec<String>,
    /// The last entry that the verifier was given.
    pub given: u64,
    pub audit: Audit,
}

fn walk(
    wanted: &Wanted<'_>,
    ledger: &Ledger,
    held_back: &BTreeSet<u64>,
) -> Result<Selected, Error> {
    let mut identities = Vec::new();
    let (mut left_out, mut withdrawn, mut to_remove) = (0, 0, Vec::new());
    // As a query says; and below as the links say, whose chain is verified.
    let expected = match wanted.verifier {
        Some(verifier) => ledger.given_to(verifier)?,
        None => 0,
    };
    let mut given = 0;
    let contains = |number: u64| {
        number > expected && wanted.entries.as_ref().is_none_or(|range| range.contains(&number))
    };
    // A record that stays here is not verified: it takes most of the time. The chain covers it.
    let check = |entry: &Entry| {
        if contains(entry.number) { check_record(entry, true) } else { Ok(()) }
    };
    let audit = ledger.walk::<Error>(wanted.options.head, check, |found| {
        if let Some(Link { fact: Fact::Export(export), .. }) = found.link
            && Some(export.verifier.as_str()) == wanted.verifier
        {
            given = given.max(export.last);
        }
        let Some(entry) = found.link.and_then(Link::entry) else { return Ok(()) };
        let is_dummy = entry.identity.public_key == DUMMY_PUBLIC_KEY;
        match (contains(entry.number), found.withdrawn) {
            (true, Some(_)) => withdrawn += 1,
            (true, None) if held_back.contains(&entry.number) => {}
            (true, None) if is_dummy && !wanted.options.allow_dummy => left_out += 1,
            (true, None) => identities.push(entry.identity),
            (false, Some(_)) if entry.number <= expected => {
                to_remove.push(entry.number.to_string());
            }
            (false, _) => {}
        }
        Ok(())
    })?;
    if audit.is_clean() && given != expected {
        return Err("another program has exported for this verifier meanwhile. Export again".into());
    }
    Ok(Selected { identities, left_out, withdrawn, to_remove, given, audit })
}

/// What is to be exported, said to the operator where something is left out. `None` where the ledger is not good.
pub fn select(wanted: &Wanted<'_>, place: &Place, json: bool) -> Result<Option<Selected>, Error> {
    let ledger = place.open()?;
    let held_back = match &wanted.hub {
        Some(hub) => export_hub::held_back(hub, &ledger)?,
        None => BTreeSet::new(),
    };
    let selected = walk(wanted, &ledger, &held_back)?;
    drop(ledger);
    let Selected { left_out, withdrawn, to_remove, audit, .. } = &selected;
    if !audit.is_clean() {
        if json {
            writeln!(io::stdout().lock(), "{}", json::not_exported(audit))?;
        } else {
            print_problems(audit, true, &mut io::stdout().lock())?;
        }
        say("error: the ledger is NOT GOOD. Nothing was exported. Stop the line and audit it");
        return Ok(None);
    }
    if let Some(entries) = wanted.entries
        && (*entries.start() == 0 || *entries.end() > audit.entries)
    {
        return Err(format!("the ledger has {} entries", audit.entries).into());
    }
    if *left_out > 0 {
        say("warning: the part with the test-only key was left out (--allow-dummy)");
    }
    if *withdrawn > 0 {
        say(format_args!("note: {withdrawn} entries that were withdrawn were left out"));
    }
    if !to_remove.is_empty() {
        say(format_args!(
            "warning: the verifier has entries that were withdrawn since: {}. Have them removed there",
            to_remove.join(", ")
        ));
    }
    Ok(Some(selected))
}

/// The entries that a verifier is given, as the ledger keeps them.
pub fn given(
    verifier: &str,
    profile: Profile,
    (first, last): (u64, u64),
    files: &[Files],
) -> ledger::Export {
    let sha256 =
        files.iter().fold(Sha256::new(), |hash, file| hash.chain_update(&file.endorsements));
    ledger::Export {
        verifier: verifier.to_owned(),
        profile: profile.name().to_owned(),
        first,
        last,
        parts: files.iter().map(|file| file.parts as u64).sum(),
        sha256: sha256.finalize().into(),
    }
}

/// Keeps in the ledger that a verifier was given these entries.
pub fn remember(
    author: &AuthorOptions,
    place: &Place,
    export: ledger::Export,
) -> Result<(), Error> {
    let mut ledger = author.open(place)?;
    ledger.append(&[New::Export(export)])?;
    ledger.finish()?;
    Ok(())
}
