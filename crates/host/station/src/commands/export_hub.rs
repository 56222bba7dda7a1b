// SPDX-License-Identifier: Apache-2.0

//! `export --hub`: the parts of all stations for an attestation verifier, each once; and what a station's own export leaves
//! out, since the hub holds it back.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use station::export::{self, Files};
use station::hub::{Agreement, Config, Hub, HubError, HubExport, Submission};
use station::ledger::Ledger;

use super::{Error, check_record, printable, say};

/// What may leave the hub for a verifier, said to the operator where something is held back. `None` where the hub is not
/// good.
pub fn select(
    config: &Config,
    verifier: &str,
    allow_dummy: bool,
    json: bool,
) -> Result<Option<HubExport>, Error> {
    if let Some(begun) = Hub::connect(config)?.unsettled(verifier)? {
        return Err(unsettled(&begun).into());
    }
    // Drawn on standard error, and only on a terminal.
    let bar =
        ProgressBar::no_length().with_style(ProgressStyle::with_template("{spinner} {pos} links")?);
    let export = HubExport::of(
        config,
        verifier,
        allow_dummy,
        &|entry| check_record(entry, true),
        &mut |links| bar.set_position(links),
    )?;
    bar.finish_and_clear();
    if !export.audit.is_clean() {
        let mut out = io::stdout().lock();
        if json {
            let problems: Vec<_> = export.audit.problems.iter().map(ToString::to_string).collect();
            writeln!(out, "{}", serde_json::json!({ "good": false, "problems": problems }))?;
        } else {
            for problem in &export.audit.problems {
                writeln!(out, "problem: {}", printable(&problem.to_string()))?;
            }
        }
        say("error: the hub is NOT GOOD. Nothing was exported. Audit it: station audit --hub");
        return Ok(None);
    }
    report(&export, verifier);
    Ok(Some(export))
}

/// What is left out, and what to do.
fn report(export: &HubExport, verifier: &str) {
    for conflict in &export.held_back {
        say(format_args!("held back: {}", super::hub::words(conflict)));
    }
    if export.dummies > 0 {
        say("warning: the part with the test-only key was left out (--allow-dummy)");
    }
    if export.more > 0 {
        say(format_args!(
            "note: there are {} parts more than a verifier takes at once. Export again for those",
            export.more
        ));
    }
    let verifier = printable(verifier);
    for (role, entry) in &export.withdrawn {
        say(format_args!(
            "warning: {verifier} has entry {entry} of {role}, which was withdrawn since. Have it removed there"
        ));
    }
    for (role, entry) in &export.contested {
        say(format_args!(
            "warning: {verifier} has entry {entry} of {role}, which another station claims since. Have it removed there \
             until the conflict is settled: station hub status"
        ));
    }
    for (role, entry) in &export.unclear {
        say(format_args!(
            "note: entry {entry} of {role} was in conflict, and {role} has exported for {verifier} itself. It was left out \
             here. If {role} had left it out, too, have {role} export it: station export --entries {entry}..{entry}"
        ));
    }
}

/// Why nothing leaves for a verifier while a submission is not settled, and what to do.
pub fn unsettled(begun: &Submission) -> String {
    let Submission { verifier, role, parts, time, .. } = begun;
    let verifier = printable(verifier);
    format!(
        "on {time:.0} the role {role} has begun to submit {parts} parts to {verifier}, and it is not known whether \
         {verifier} has them, so nothing else leaves the hub for it. On the machine where that was, in the same folder, \
         give the same command again: station submit --hub. If that cannot help, ask the keeper of the verifier whether it \
         has these parts, and tell the hub: station submit --hub --for NAME --settle"
    )
}

/// Keeps at the hub what is given, and writes the files.
pub fn give(
    config: &Config,
    verifier: &str,
    profile: &str,
    export: &HubExport,
    files: &[Files],
    write: impl FnOnce() -> Result<(), export::ExportError>,
) -> Result<(), Error> {
    let sha256 =
        files.iter().fold(Sha256::new(), |hash, file| hash.chain_update(&file.endorsements));
    let mut hub = Hub::connect(config)?;
    hub.give(verifier, profile, sha256.finalize().into(), &export.parts, write)??;
    Ok(())
}

/// The entries of a ledger that its hub holds back from export, with what to do about each.
///
/// # Errors
/// The hub cannot be asked, contradicts the ledger, or does not have all of its entries yet.
pub fn held_back(config: &Config, ledger: &Ledger) -> Result<BTreeSet<u64>, Error> {
    let pushed = match Hub::agreement(config, ledger).map_err(unknown)? {
        Agreement::Alarm(alarm) => return Err(HubError::Alarm(alarm).into()),
        Agreement::Same(last) => last.number,
        Agreement::Unknown => 0,
    };
    if ledger.entries_up_to(pushed)? < ledger.entries()? {
        return Err(unknown(
            "the hub does not have all entries of this ledger yet. Push them first: station push",
        ));
    }
    let mut hub = Hub::connect(config).map_err(unknown)?;
    let held = hub.conflicts_of(&ledger.origin()?).map_err(unknown)?;
    for conflict in &held {
        let entry = conflict.entry;
        say(format_args!(
            "held back: {}. Entry {entry} was left out. When that is settled, export it: --entries {entry}..{entry}",
            super::hub::words_of_own(conflict)
        ));
    }
    Ok(held.into_iter().map(|conflict| conflict.entry).collect())
}

/// Why it is not known what the hub holds back.
fn unknown(why: impl Display) -> Error {
    format!(
        "{why}. Nothing was exported, since a part that another station claims, too, must not leave. To export without the \
         hub, with such parts among them: --without-hub"
    )
    .into()
}
