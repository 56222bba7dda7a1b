// SPDX-License-Identifier: Apache-2.0

//! `audit`: whether the ledger is whole.

use std::io::{self, Write};

use base16ct::lower::encode_string as hex;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Error, Place, check_record, hash, print_problems};
use crate::json;

/// Check the ledger: its numbers, its chain of hashes, and every record in it
#[derive(clap::Args)]
pub struct Audit {
    /// The head that was written down earlier, which must still be in the chain
    #[arg(long, value_name = "HASH", value_parser = hash)]
    head: Option<[u8; 32]>,
    /// Accept entries of the test-only key
    #[arg(long)]
    allow_dummy: bool,
}

/// Carries the command out.
pub fn run(options: &Audit, place: &Place, json: bool) -> Result<bool, Error> {
    let Audit { head, allow_dummy } = *options;
    let ledger = place.open()?;
    // Drawn on standard error, and only on a terminal.
    let bar = ProgressBar::new(ledger.head()?.number)
        .with_style(ProgressStyle::with_template("{bar:40} {pos} of {len} links")?);
    let found = ledger.audit(
        head,
        |entry| check_record(entry, allow_dummy),
        |links| bar.set_position(links),
    )?;
    bar.finish_and_clear();

    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", json::audit(&found))?;
    } else {
        print_problems(&found, true, &mut out)?;
        let verdict = if found.is_clean() { "all of them good" } else { "NOT GOOD" };
        for link in &found.clocks_accepted {
            writeln!(out, "note: link {link}: its clock was wrong or set back, and was accepted")?;
        }
        if found.unfinished > 0 {
            writeln!(
                out,
                "note: {} attempts have no outcome, the station ended in mid-run",
                found.unfinished
            )?;
        }
        writeln!(
            out,
            "{} entries, {} attempts, {verdict}. Head: {}",
            found.entries,
            found.attempts,
            hex(&found.head.hash)
        )?;
    }
    Ok(found.is_clean())
}
