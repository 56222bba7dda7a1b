// SPDX-License-Identifier: Apache-2.0

//! `list`: the entries of the ledger.

use std::io::{self, Write};

use station::ledger::{Entry, Found, Link, Runs};

use super::{Error, Place, check_record, is_good, print_problems, time};
use crate::json;

/// Carries the command out.
pub fn run(place: &Place, json: bool) -> Result<bool, Error> {
    let ledger = place.open()?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if !json {
        writeln!(out, "{:>6}  {:24}  {:16}  UEID", "number", "time", "device ID")?;
    }
    let mut runs = Runs::default();
    let check = |entry: &Entry| check_record(entry, true);
    let found = ledger.walk::<Error>(None, check, |found| {
        let run = found.link.and_then(|link| runs.take(link));
        // An attempt that is good has nothing to list.
        let Some(entry) = found.link.and_then(Link::entry) else {
            if !found.problems.is_empty() {
                list_problems(&found, json, &mut out)?;
            }
            return Ok(());
        };
        if json {
            writeln!(out, "{}", json::entry(&found, entry, None, run.as_ref()))?;
            return Ok(());
        }
        let Entry { number, identity, .. } = entry;
        let time = time(found.link);
        write!(out, "{number:>6}  {time}  {}  {}", identity.device_id, identity.ueid())?;
        writeln!(out, "{}", if found.withdrawn.is_some() { "  withdrawn" } else { "" })?;
        list_problems(&found, false, &mut out)
    })?;
    if json {
        // Those of links are with them.
        let rest: Vec<_> =
            found.problems.iter().filter(|problem| !problem.is_of_a_link()).collect();
        if !rest.is_empty() {
            writeln!(out, "{}", json::problems(&rest))?;
        }
    } else {
        print_problems(&found, false, &mut out)?;
    }
    out.flush()?;
    Ok(is_good(&found))
}

fn list_problems(found: &Found<'_>, json: bool, out: &mut impl Write) -> Result<(), Error> {
    if json {
        writeln!(out, "{}", json::bad_link(found))?;
    } else {
        for problem in found.problems {
            writeln!(out, "NOT GOOD: {problem}")?;
        }
    }
    Ok(())
}
