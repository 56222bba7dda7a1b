// SPDX-License-Identifier: Apache-2.0

//! `list`: the entries of the ledger.

use std::io::{self, Write};

use station::ledger::Row;

use super::{Error, Place, check_record, print_problems, printable, say};
use crate::json;

/// Carries the command out.
pub fn run(place: &Place, json: bool) -> Result<bool, Error> {
    let ledger = place.open()?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if !json {
        writeln!(out, "{:>6}  {:24}  {:16}  UEID", "number", "time", "device ID")?;
    }
    let check = |row: &Row| check_record(row, true);
    let found = ledger.walk::<Error>(None, check, |found| {
        if json {
            writeln!(out, "{}", json::entry(&found, None))?;
            return Ok(());
        }
        if let Some(Row { number, time, identity, .. }) = found.row {
            let time = printable(time);
            writeln!(out, "{number:>6}  {time}  {}  {}", identity.device_id, identity.ueid())?;
        }
        for problem in found.problems {
            writeln!(out, "NOT GOOD: {problem}")?;
        }
        Ok(())
    })?;
    if json {
        // Those of entries are with their entries.
        let rest: Vec<_> =
            found.problems.iter().filter(|problem| !problem.is_of_an_entry()).collect();
        if !rest.is_empty() {
            writeln!(out, "{}", json::problems(&rest))?;
        }
    } else {
        print_problems(&found, false, &mut out)?;
    }
    out.flush()?;
    if !found.is_clean() {
        say("error: the ledger is NOT GOOD. Stop the line and audit it");
    }
    Ok(found.is_clean())
}
