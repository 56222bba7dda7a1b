// SPDX-License-Identifier: Apache-2.0

//! `audit --hub`: whether the hub is whole, and agrees with the ledger at hand.

use std::io::{self, Write};

use base16ct::lower::encode_string as hex;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use station::hub::{Agreement, AuditOptions, Config, Hub, HubAudit};

use super::{Error, Place, check_record, say};

/// Carries the command out.
pub fn run(config: &Config, place: &Place, allow_dummy: bool, json: bool) -> Result<bool, Error> {
    // Drawn on standard error, and only on a terminal.
    let bar =
        ProgressBar::no_length().with_style(ProgressStyle::with_template("{spinner} {pos} links")?);
    let mut options = AuditOptions {
        check_record: &|entry| check_record(entry, allow_dummy),
        threads: None,
        progress: &mut |links| bar.set_position(links),
    };
    let found = HubAudit::of(config, &mut options)?;
    bar.finish_and_clear();
    let here = agreement(config, place)?;
    let mut out = io::stdout().lock();
    if json {
        print_json(&found, here.as_ref(), &mut out)?;
    } else {
        print(&found, &mut out)?;
        if let Some(here) = &here {
            writeln!(out, "{}: {}", place.ledger.display(), words(here))?;
        }
    }
    Ok(found.is_clean() && !matches!(here, Some(Agreement::Alarm(_))))
}

/// How the ledger at hand agrees with the hub; `None` where there is none, and none was named.
fn agreement(config: &Config, place: &Place) -> Result<Option<Agreement>, Error> {
    if !place.is_named && !place.ledger.try_exists()? && !place.has_head() {
        say("note: there is no ledger here to compare with the hub. Name one with --ledger");
        return Ok(None);
    }
    Ok(Some(Hub::agreement(config, &place.open()?)?))
}

fn words(agreement: &Agreement) -> String {
    match agreement {
        Agreement::Unknown => String::from("the hub has nothing of this ledger"),
        Agreement::Same(last) => {
            format!("as the hub has it, up to link {}, the last one of the hub", last.number)
        }
        Agreement::Alarm(alarm) => format!("ALARM: {alarm}"),
    }
}

fn print(found: &HubAudit, out: &mut impl Write) -> io::Result<()> {
    for problem in &found.problems {
        writeln!(out, "problem: {}", super::printable(&problem.to_string()))?;
    }
    if found.unlisted > 0 {
        writeln!(out, "and {} problems more", found.unlisted)?;
    }
    for ledger in &found.ledgers {
        writeln!(
            out,
            "{}: {} entries, {} attempts, {} links. Head: {}",
            ledger.name(),
            ledger.entries,
            ledger.attempts,
            ledger.links,
            hex(&ledger.head.hash)
        )?;
    }
    let verdict = if found.is_clean() { "all of it good" } else { "NOT GOOD" };
    let (ledgers, parts, links) = (found.ledgers.len(), found.parts, found.links_read());
    writeln!(out, "{ledgers} ledgers, {parts} parts, {links} links, {verdict}")
}

fn print_json(
    found: &HubAudit,
    here: Option<&Agreement>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let ledgers: Vec<_> = found
        .ledgers
        .iter()
        .map(|ledger| {
            json!({
                "ledger": ledger.station,
                "role": ledger.role,
                "entries": ledger.entries,
                "attempts": ledger.attempts,
                "links": ledger.links,
                "head": hex(&ledger.head.hash),
                "signed": ledger.signed,
            })
        })
        .collect();
    let problems: Vec<_> = found.problems.iter().map(ToString::to_string).collect();
    let line = json!({
        "good": found.is_clean(),
        "parts": found.parts,
        "ledgers": ledgers,
        "problems": problems,
        "unlisted": found.unlisted,
        "here": here.map(words),
    });
    writeln!(out, "{line}")?;
    Ok(())
}
