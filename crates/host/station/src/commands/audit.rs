// SPDX-License-Identifier: Apache-2.0

//! `audit`: whether the ledger is whole.

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use base16ct::lower::encode_string as hex;
use indicatif::{ProgressBar, ProgressStyle};
use station::ledger::{Ledger, LedgerError, Origin, Problem};
use station::note::{MOST, Verifier};

use super::audit_hub;
use super::hub_options::HubInstead;
use super::{Error, Place, check_record, hash, print_problems};
use crate::json;

/// Check the ledger: its numbers, its chain of hashes, and every record in it
///
/// With --hub, the hub: every ledger at it, the signature of each checkpoint, and that its tables say what the links say, no
/// more and no less. A ledger that is at hand is compared with it.
#[derive(clap::Args)]
pub struct Audit {
    /// The head that was written down earlier, which must still be in the chain
    #[arg(long, value_name = "HASH", value_parser = hash)]
    head: Option<[u8; 32]>,
    /// The checkpoint that was kept elsewhere: its station must have signed it, and the chain must have its head
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// The verifier key that station init has printed, which must be that of the ledger
    #[arg(long, value_name = "VKEY")]
    vkey: Option<Verifier>,
    /// The ledger that this one continues: audit it, too, and compare
    #[arg(long, value_name = "OLD")]
    continues: Option<PathBuf>,
    /// Accept entries of the test-only key
    #[arg(long)]
    allow_dummy: bool,
    #[command(flatten)]
    hub: HubInstead,
}

/// Carries the command out.
pub fn run(options: &Audit, place: &Place, json: bool) -> Result<bool, Error> {
    let allow_dummy = options.allow_dummy;
    if let Some(config) = options.hub.config(place)? {
        let Audit { head, checkpoint, vkey, continues, .. } = options;
        if head.is_some() || checkpoint.is_some() || vkey.is_some() || continues.is_some() {
            return Err("--head, --checkpoint, --vkey and --continues are of a ledger. The hub has its checkpoints".into());
        }
        return audit_hub::run(&config, place, allow_dummy, json);
    }
    let ledger = place.open()?;
    let (head, against) = compare(options, &ledger)?;
    // Drawn on standard error, and only on a terminal.
    let bar = ProgressBar::new(ledger.head()?.number)
        .with_style(ProgressStyle::with_template("{bar:40} {pos} of {len} links")?);
    let mut found = ledger.audit(
        head,
        |entry| check_record(entry, allow_dummy),
        |links| bar.set_position(links),
    )?;
    bar.finish_and_clear();
    found.problems.extend(against);

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

/// The head that is still to be found in the chain, and in what the ledger differs from what was kept elsewhere.
fn compare(options: &Audit, ledger: &Ledger) -> Result<(Option<[u8; 32]>, Vec<Problem>), Error> {
    let Audit { head, checkpoint, vkey, continues, allow_dummy, hub: _ } = options;
    let mut problems = Vec::new();
    let mut head = *head;
    let needs_origin = head.is_some() || vkey.is_some() || continues.is_some();
    let origin = if needs_origin { ledger.origin()? } else { Origin::default() };
    if let Some(vkey) = vkey
        && origin.verifier().as_ref() != Some(vkey)
    {
        problems.push(Problem::StationKey);
    }
    if let Some(file) = checkpoint {
        let read = |error| LedgerError::Io(file.clone(), error);
        let mut note = Vec::new();
        // One byte more than a note may have.
        let file = fs::File::open(file).map_err(read)?;
        file.take(MOST as u64 + 1).read_to_end(&mut note).map_err(read)?;
        problems.extend(ledger.check_checkpoint(&note)?.err().map(Problem::Checkpoint));
    }
    // One that was written down of the old ledger.
    if head.is_some() && origin.continues.map(|old| old.head) == head {
        head = None;
    }
    if let Some(file) = continues {
        let old = Ledger::open(file)?;
        let carried = old.carried_head(&origin, |entry| check_record(entry, *allow_dummy))?;
        if ledger.hash_at(carried.number)? != Some(carried.hash) {
            problems.push(Problem::Carried(carried.number));
        }
        let found = old.audit(head, |_| Ok(()), |_| ())?;
        if !found.problems.contains(&Problem::Head) {
            head = None;
        }
    }
    Ok((head, problems))
}
