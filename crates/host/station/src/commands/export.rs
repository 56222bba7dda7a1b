// SPDX-License-Identifier: Apache-2.0

//! `export`: the ledger for an attestation verifier.

use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use provisioning::DUMMY_PUBLIC_KEY;
use station::export::{self, Options, Profile};
use station::ledger::{Entry, Link};

use super::{Error, Place, check_record, hash, print_problems, say};
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

impl Export {
    fn contains(&self, number: u64) -> bool {
        self.entries.as_ref().is_none_or(|entries| entries.contains(&number))
    }
}

/// Carries the command out.
pub fn run(arguments: &Export, place: &Place, json: bool) -> Result<bool, Error> {
    let Export { output, overwrite, .. } = arguments;
    let ledger = place.open()?;
    let mut identities = Vec::new();
    let (mut left_out, mut withdrawn) = (0, 0);
    // A record that stays here is not verified: it takes most of the time. The chain covers it.
    let check = |entry: &Entry| {
        if arguments.contains(entry.number) { check_record(entry, true) } else { Ok(()) }
    };
    let found = ledger.walk::<Error>(arguments.head, check, |found| {
        let entry = found.link.and_then(Link::entry);
        match entry.filter(|entry| arguments.contains(entry.number)) {
            Some(_) if found.withdrawn.is_some() => withdrawn += 1,
            Some(entry)
                if entry.identity.public_key == DUMMY_PUBLIC_KEY && !arguments.allow_dummy =>
            {
                left_out += 1;
            }
            Some(entry) => identities.push(entry.identity),
            None => {}
        }
        Ok(())
    })?;
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
    let options = Options {
        profile: arguments.profile,
        head: found.head.hash,
        vendor: arguments.vendor.clone(),
        model: arguments.model.clone(),
        max_bytes: arguments.max_bytes,
    };
    let files = export::export(&options, identities)?;
    export::write(&files, output, *overwrite)?;
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
        writeln!(out, "{}", json::exported(&files, options.profile, output))?;
        return Ok(true);
    }
    for piece in &files {
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
