// SPDX-License-Identifier: Apache-2.0

//! `replace`: an entry whose part was erased on purpose.

use std::io::{self, Write};

use station::ledger::{Fact, New, Withdrawal};

use super::author::{AuthorOptions, name};
use super::show::is_part;
use super::{Error, Place};
use crate::json;

/// Withdraw the entry of a part that was erased on purpose, so that the part may be entered anew
///
/// The entry stays in the ledger and is exported no more. A verifier that has it must be told.
#[derive(clap::Args)]
pub struct Replace {
    /// The part, by the UEID, device ID or serial number of its entry, or by the entry's number
    #[arg(value_name = "PART")]
    part: String,
    /// Why the part was erased
    #[arg(long, value_name = "TEXT", value_parser = name)]
    reason: String,
    #[command(flatten)]
    author: AuthorOptions,
}

/// Carries the command out.
pub fn run(options: &Replace, place: &Place, json: bool) -> Result<bool, Error> {
    // Opened to read first: where there is no ledger, none is made.
    let mut entries = Vec::new();
    let (mut withdrawn, mut given) = (None, Vec::new());
    let audit = place.open()?.walk::<Error>(
        None,
        |_| Ok(()),
        |found| {
            let Some(link) = found.link else { return Ok(()) };
            if let Fact::Export(export) = &link.fact {
                given.push(export.clone());
            }
            let Some(entry) = link.entry() else { return Ok(()) };
            if is_part(&options.part, entry, link) {
                match found.withdrawn {
                    Some(link) => withdrawn = Some((entry.number, link)),
                    None => entries.push(entry.number),
                }
            }
            Ok(())
        },
    )?;
    if !audit.is_clean() {
        return super::ended(&audit, json);
    }
    let part = options.part.escape_debug();
    let entry = match (&entries[..], withdrawn) {
        ([entry], _) => *entry,
        ([], Some((entry, link))) => {
            return Err(format!(
                "entry {entry} was withdrawn already, by link {link}. Start the part again to enter it anew"
            )
            .into());
        }
        ([], None) => return Err(format!("no entry is of the part {part}").into()),
        (entries, _) => {
            let all: Vec<_> = entries.iter().map(ToString::to_string).collect();
            return Err(format!(
                "the entries {} are of {part}. Name the one by its UEID",
                all.join(", ")
            )
            .into());
        }
    };
    let mut ledger = options.author.open(place)?;
    let withdrawal = Withdrawal { entry, reason: options.reason.clone() };
    let kept = ledger.append(&[New::Withdrawal(withdrawal)])?;
    ledger.finish()?;
    let link = kept[0].link;
    let mut verifiers: Vec<_> = given
        .into_iter()
        .filter(|export| (export.first..=export.last).contains(&entry))
        .map(|export| export.verifier)
        .collect();
    verifiers.sort_unstable();
    verifiers.dedup();
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", json::withdrawn(entry, &link, &verifiers))?;
    } else {
        writeln!(
            out,
            "entry {entry} is withdrawn, by link {}. Start the part again: it is entered anew",
            link.number
        )?;
        for verifier in verifiers {
            writeln!(
                out,
                "{} was given this entry: have it removed there",
                super::printable(&verifier)
            )?;
        }
    }
    Ok(true)
}
