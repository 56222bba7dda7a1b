// SPDX-License-Identifier: Apache-2.0

//! `export`: the ledger for an attestation verifier.

use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use station::export::{self, Files, Profile};
use station::hub::Config;
use station::submit::outbox::Outbox;

use super::author::{AuthorOptions, name};
use super::endorsements::{EndorsementOptions, Wanted, given, profiles, remember, select};
use super::export_hub;
use super::hub_options::HubInstead;
use super::{Error, Place, printable, say};
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
    /// The folder for comid.json, corim.json and endorsements.cbor, or endorsements.cose if they are signed; created if
    /// it is missing
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
    #[command(flatten)]
    endorsements: EndorsementOptions,
    /// Replace the files of an earlier export
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    hub: HubInstead,
    /// Do not ask the hub of the station file which entries it holds back: a part that another station claims, too, may
    /// leave then, and one of the two may be a copy
    #[arg(long, conflicts_with = "hub")]
    without_hub: bool,
}

fn range(text: &str) -> Result<RangeInclusive<u64>, String> {
    text.split_once("..")
        .and_then(|(first, last)| Some(first.parse().ok()?..=last.parse().ok()?))
        .filter(|range| !range.is_empty())
        .ok_or_else(|| String::from("a range of entries is FIRST..LAST, such as 1..500"))
}

/// Sees to it that no other program changes meanwhile what the verifier was given.
fn lock(place: &Place, verifier: &str) -> Result<Outbox, Error> {
    // There is a ledger.
    drop(place.open()?);
    let outbox = Outbox::lock(&place.ledger, verifier)?;
    match outbox.begun()? {
        None => Ok(outbox),
        Some(begun) => Err(format!(
            "entries {} to {} were begun to be submitted to this verifier, and it is not known whether it has them. End \
             that first: station submit",
            begun.first, begun.last
        )
        .into()),
    }
}

/// Carries the command out.
pub fn run(arguments: &Export, place: &Place, json: bool) -> Result<bool, Error> {
    let Export { profile, output, verifier, author, entries, endorsements, .. } = arguments;
    if let Some(config) = arguments.hub.config(place)? {
        return run_hub(arguments, &config, json);
    }
    let signer = endorsements.signer()?;
    let hub = if arguments.without_hub { None } else { arguments.hub.of_station(place)? };
    let verifier = verifier.as_deref();
    let wanted = Wanted { options: endorsements, verifier, entries: entries.as_ref(), hub };
    let _outbox = verifier.map(|name| lock(place, name)).transpose()?;
    let Some(selected) = select(&wanted, place, json)? else { return Ok(false) };
    if let Some(verifier) = verifier
        && selected.identities.is_empty()
    {
        say(format_args!("{} has everything already; nothing was written", printable(verifier)));
        return Ok(true);
    }
    let range = (selected.given + 1, selected.audit.entries);
    let head = selected.audit.head.hash;
    let files = endorsements.make(*profile, signer.as_ref(), head, selected.identities)?;
    export::write(&files, output, arguments.overwrite)?;
    // After the files: if this fails, the next export has the same parts, and finds the files in its way.
    if let Some(verifier) = verifier {
        remember(author, place, given(verifier, *profile, range, &files))?;
    }
    print(arguments, &files, json)
}

/// Exports what the hub has for a verifier.
fn run_hub(arguments: &Export, config: &Config, json: bool) -> Result<bool, Error> {
    let Export { profile, output, verifier, endorsements, .. } = arguments;
    let Some(verifier) = verifier else {
        return Err("for which verifier? The hub keeps what each was given: --for NAME".into());
    };
    if endorsements.head.is_some() || arguments.entries.is_some() {
        return Err("--head and --entries are of a ledger. Leave them out".into());
    }
    let signer = endorsements.signer()?;
    let Some(selected) = export_hub::select(config, verifier, endorsements.allow_dummy, json)?
    else {
        return Ok(false);
    };
    if selected.parts.is_empty() {
        say(format_args!("{} has everything already; nothing was written", printable(verifier)));
        return Ok(true);
    }
    let identities = selected.parts.iter().map(|part| part.identity);
    let files = endorsements.make(*profile, signer.as_ref(), selected.head, identities)?;
    let write = || export::write(&files, output, arguments.overwrite);
    export_hub::give(config, verifier, profile.name(), &selected, &files, write)?;
    print(arguments, &files, json)
}

/// Says what was written.
fn print(arguments: &Export, files: &[Files], json: bool) -> Result<bool, Error> {
    let Export { profile, output, endorsements, .. } = arguments;
    if files.len() > 1 {
        say(format_args!(
            "warning: one file would have more than {} bytes (--max-bytes), which is more than a verifier takes. \
             There are {}: send each of them",
            endorsements.max_bytes,
            files.len()
        ));
    }
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", json::exported(files, *profile, output))?;
        return Ok(true);
    }
    for piece in files {
        let folder = output.display();
        let [comid, corim, endorsements] = piece.names();
        let (parts, bytes) = (piece.parts, piece.endorsements.len());
        writeln!(
            out,
            "{parts} parts as {profile} in {folder}: {endorsements} ({bytes} bytes), {comid}, {corim}"
        )?;
    }
    Ok(true)
}
