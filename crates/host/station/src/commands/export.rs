// SPDX-License-Identifier: Apache-2.0

//! `export`: the ledger for an attestation verifier.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use provisioning::DUMMY_PUBLIC_KEY;
use sha2::{Digest, Sha256};
use station::Identity;
use station::export::{self, Options, Profile};
use station::hub::Config;
use station::ledger::{self, Audit, Entry, Fact, Ledger, Link, New};

use super::author::{AuthorOptions, name};
use super::export_hub;
use super::hub_options::HubInstead;
use super::{Error, Place, check_record, hash, print_problems, printable, say};
use crate::json;

/// Write the parts' public keys for an attestation verifier, as CBOR and as JSON templates
///
/// The ledger is audited first, and nothing is written if there is a problem. Only the records that are
/// exported are verified.
#[derive(clap::Args)]
pub struct Export {
    /// By the version of Veraison: psa-iot-1 for v0.0.2409 to v0.0.2604, psa-2025-text for v0.0.2605 to
    /// v0.0.2608, psa-2025 since 18 August 2026
    #[arg(long, value_parser = profiles())]
    profile: Profile,
    /// The folder for comid.json, corim.json and endorsements.cbor; created if it is missing
    #[arg(long, value_name = "FOLDER", default_value = "endorsements")]
    output: PathBuf,
    /// Export what this verifier was not given yet, and remember in the ledger that it has it now: NAME is any name
    #[arg(long = "for", value_name = "NAME", value_parser = name, conflicts_with = "entries")]
    verifier: Option<String>,
    #[command(flatten)]
    author: AuthorOptions,
    /// Export these entries only, as FIRST..LAST: no part may be exported to one verifier twice
    #[arg(long, value_name = "RANGE", value_parser = range)]
    entries: Option<RangeInclusive<u64>>,
    /// The head that was written down earlier, which must still be in the chain
    #[arg(long, value_name = "HASH", value_parser = hash)]
    head: Option<[u8; 32]>,
    /// The vendor in the class of each part
    #[arg(long)]
    vendor: Option<String>,
    /// The model in the class of each part
    #[arg(long)]
    model: Option<String>,
    /// Begin another file (endorsements-1.cbor, endorsements-2.cbor, ...) where one would have more bytes
    #[arg(long, value_name = "BYTES", default_value_t = export::DEFAULT_MAX_BYTES)]
    max_bytes: usize,
    /// Replace the files of an earlier export
    #[arg(long)]
    overwrite: bool,
    /// Also export the test-only key, with which anybody can pretend to be the part
    #[arg(long)]
    allow_dummy: bool,
    #[command(flatten)]
    hub: HubInstead,
    /// Do not ask the hub of the station file which entries it holds back: a part that another station claims, too, may
    /// leave then, and one of the two may be a copy
    #[arg(long, conflicts_with = "hub")]
    without_hub: bool,
}

impl Export {
    /// What the endorsements say besides the identities.
    fn options(&self, head: [u8; 32]) -> Options {
        Options {
            profile: self.profile,
            head,
            vendor: self.vendor.clone(),
            model: self.model.clone(),
            max_bytes: self.max_bytes,
        }
    }
}

fn profiles() -> impl TypedValueParser<Value = Profile> {
    PossibleValuesParser::new(Profile::ALL.map(Profile::name))
        .try_map(|name| Profile::from_name(&name).ok_or("no profile has this name"))
}

fn range(text: &str) -> Result<RangeInclusive<u64>, String> {
    text.split_once("..")
        .and_then(|(first, last)| Some(first.parse().ok()?..=last.parse().ok()?))
        .filter(|range| !range.is_empty())
        .ok_or_else(|| String::from("a range of entries is FIRST..LAST, such as 1..500"))
}

/// What is to be exported.
struct Selected {
    identities: Vec<Identity>,
    /// The test-only key's entries, which were left out.
    left_out: usize,
    /// Entries that were withdrawn, and left out.
    withdrawn: usize,
    /// Those that the verifier was given before they were withdrawn.
    to_remove: Vec<String>,
    /// The last entry that the verifier was given.
    given: u64,
    audit: Audit,
}

fn select(
    arguments: &Export,
    ledger: &Ledger,
    held_back: &BTreeSet<u64>,
) -> Result<Selected, Error> {
    let mut identities = Vec::new();
    let (mut left_out, mut withdrawn, mut to_remove) = (0, 0, Vec::new());
    // As a query says; and below as the links say, whose chain is verified.
    let expected = match &arguments.verifier {
        Some(verifier) => ledger.given_to(verifier)?,
        None => 0,
    };
    let mut given = 0;
    let contains = |number: u64| {
        number > expected && arguments.entries.as_ref().is_none_or(|range| range.contains(&number))
    };
    // A record that stays here is not verified: it takes most of the time. The chain covers it.
    let check = |entry: &Entry| {
        if contains(entry.number) { check_record(entry, true) } else { Ok(()) }
    };
    let audit = ledger.walk::<Error>(arguments.head, check, |found| {
        if let Some(Link { fact: Fact::Export(export), .. }) = found.link
            && Some(&export.verifier) == arguments.verifier.as_ref()
        {
            given = given.max(export.last);
        }
        let Some(entry) = found.link.and_then(Link::entry) else { return Ok(()) };
        let is_dummy = entry.identity.public_key == DUMMY_PUBLIC_KEY;
        match (contains(entry.number), found.withdrawn) {
            (true, Some(_)) => withdrawn += 1,
            (true, None) if held_back.contains(&entry.number) => {}
            (true, None) if is_dummy && !arguments.allow_dummy => left_out += 1,
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

/// Keeps in the ledger that a verifier was given these files.
fn remember(
    arguments: &Export,
    place: &Place,
    verifier: &str,
    (first, last): (u64, u64),
    files: &[export::Files],
) -> Result<(), Error> {
    let mut ledger = arguments.author.open(place)?;
    let sha256 =
        files.iter().fold(Sha256::new(), |hash, file| hash.chain_update(&file.endorsements));
    let export = ledger::Export {
        verifier: verifier.to_owned(),
        profile: arguments.profile.name().to_owned(),
        first,
        last,
        parts: files.iter().map(|file| file.parts as u64).sum(),
        sha256: sha256.finalize().into(),
    };
    ledger.append(&[New::Export(export)])?;
    ledger.finish()?;
    Ok(())
}

/// Carries the command out.
pub fn run(arguments: &Export, place: &Place, json: bool) -> Result<bool, Error> {
    let Export { output, overwrite, .. } = arguments;
    if let Some(config) = arguments.hub.config(place)? {
        return run_hub(arguments, &config, json);
    }
    let ledger = place.open()?;
    let held_back = match arguments.hub.of_station(place)? {
        Some(config) if !arguments.without_hub => export_hub::held_back(&config, &ledger)?,
        _ => BTreeSet::new(),
    };
    let Selected { identities, left_out, withdrawn, to_remove, given, audit: found } =
        select(arguments, &ledger, &held_back)?;
    drop(ledger);
    if !found.is_clean() {
        if json {
            writeln!(io::stdout().lock(), "{}", json::not_exported(&found))?;
        } else {
            print_problems(&found, true, &mut io::stdout().lock())?;
        }
        say("error: the ledger is NOT GOOD. Nothing was exported. Stop the line and audit it");
        return Ok(false);
    }
    if let Some(entries) = &arguments.entries
        && (*entries.start() == 0 || *entries.end() > found.entries)
    {
        return Err(format!("the ledger has {} entries", found.entries).into());
    }
    if left_out > 0 {
        say("warning: the part with the test-only key was left out (--allow-dummy)");
    }
    if withdrawn > 0 {
        say(format_args!("note: {withdrawn} entries that were withdrawn were left out"));
    }
    if !to_remove.is_empty() {
        say(format_args!(
            "warning: the verifier has entries that were withdrawn since: {}. Have them removed there",
            to_remove.join(", ")
        ));
    }
    if let Some(verifier) = &arguments.verifier
        && identities.is_empty()
    {
        say(format_args!("{} has everything already; nothing was written", printable(verifier)));
        return Ok(true);
    }
    let options = arguments.options(found.head.hash);
    let files = export::export(&options, identities)?;
    export::write(&files, output, *overwrite)?;
    // After the files: if this fails, the next export has the same parts, and finds the files in its way.
    if let Some(verifier) = &arguments.verifier {
        remember(arguments, place, verifier, (given + 1, found.entries), &files)?;
    }
    print(&files, &options, output, json)
}

/// Exports what the hub has for a verifier.
fn run_hub(arguments: &Export, config: &Config, json: bool) -> Result<bool, Error> {
    let Some(verifier) = &arguments.verifier else {
        return Err("for which verifier? The hub keeps what each was given: --for NAME".into());
    };
    if arguments.head.is_some() || arguments.entries.is_some() {
        return Err("--head and --entries are of a ledger. Leave them out".into());
    }
    let Some(selected) = export_hub::select(config, verifier, arguments.allow_dummy, json)? else {
        return Ok(false);
    };
    if selected.parts.is_empty() {
        say(format_args!("{} has everything already; nothing was written", printable(verifier)));
        return Ok(true);
    }
    let options = arguments.options(selected.head);
    let files = export::export(&options, selected.parts.iter().map(|part| part.identity))?;
    let write = || export::write(&files, &arguments.output, arguments.overwrite);
    export_hub::give(config, verifier, options.profile.name(), &selected, &files, write)?;
    print(&files, &options, &arguments.output, json)
}

/// Says what was written.
fn print(
    files: &[export::Files],
    options: &Options,
    output: &Path,
    json: bool,
) -> Result<bool, Error> {
    if files.len() > 1 {
        say(format_args!(
            "warning: one file would have more than {} bytes (--max-bytes), which is more than a verifier takes. \
             There are {}: send each of them",
            options.max_bytes,
            files.len()
        ));
    }
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", json::exported(files, options.profile, output))?;
        return Ok(true);
    }
    for piece in files {
        let (profile, folder) = (options.profile, output.display());
        let [comid, corim, endorsements] = piece.names();
        let (parts, bytes) = (piece.parts, piece.endorsements.len());
        writeln!(
            out,
            "{parts} parts as {profile} in {folder}: {endorsements} ({bytes} bytes), {comid}, {corim}"
        )?;
    }
    Ok(true)
}
