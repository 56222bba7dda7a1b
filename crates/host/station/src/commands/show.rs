// SPDX-License-Identifier: Apache-2.0

//! `show`: the entry of a part.

use std::collections::HashMap;
use std::io::{self, Write};

use base16ct::lower::encode_string as hex;
use p256::pkcs8::{EncodePublicKey, LineEnding};
use station::ledger::{Entry, Fact, Link, Problem, Run, Runs};
use station::record;

use super::{ANY_KEY, Error, Place, check_record, is_good, is_identity, printable, say, time};
use crate::json;

/// Show the entry of a part
#[derive(clap::Args)]
pub struct Show {
    /// Its UEID (66 hexadecimal digits), device ID (16), serial number, or the number of the entry
    #[arg(value_name = "PART")]
    part: String,
}

/// Whether a text names the part of an entry, by its UEID, its device ID, its serial number or the entry's number.
pub fn is_part(text: &str, entry: &Entry, link: &Link) -> bool {
    is_identity(text, entry.identity.device_id, entry.identity.ueid())
        || link.serial_number() == Some(text)
        || text.parse() == Ok(entry.number)
}

/// An entry that is shown, with what was wrong with it.
struct Shown {
    /// `None` where the link of its attempt cannot be read.
    run: Option<Run>,
    link: Link,
    entry: Entry,
    withdrawn: Option<u64>,
    as_json: String,
    problems: Vec<String>,
}

/// Carries the command out.
pub fn run(options: &Show, place: &Place, json: bool) -> Result<bool, Error> {
    let ledger = place.open()?;
    let mut shown = Vec::new();
    let mut runs = Runs::default();
    let mut withdrawals = HashMap::new();
    // Which entry has the serial number shows with its run only, so each record that is shown is verified there.
    let audit = ledger.walk::<Error>(
        None,
        |_| Ok(()),
        |found| {
            let Some(link) = found.link else { return Ok(()) };
            if let Fact::Withdrawal(withdrawal) = &link.fact {
                withdrawals.insert(withdrawal.entry, (withdrawal.reason.clone(), link.clone()));
            }
            let run = runs.take(link);
            let Some(entry) = link.entry() else { return Ok(()) };
            if !is_part(&options.part, entry, link) {
                return Ok(());
            }
            let mut problems: Vec<_> = found.problems.to_vec();
            if let Err(why) = check_record(entry, true) {
                problems.push(Problem::Record(found.number, why));
            }
            let found = station::ledger::Found { problems: &problems, ..found };
            let record = record::verify(&entry.record, &ANY_KEY).ok();
            let as_json = json::entry(
                &found,
                entry,
                record.as_ref().map(|record| &record.software),
                run.as_ref(),
            );
            let problems = problems.iter().map(ToString::to_string).collect();
            let (link, entry, withdrawn) = (link.clone(), entry.clone(), found.withdrawn);
            shown.push(Shown { run, link, entry, withdrawn, as_json, problems });
            Ok(())
        },
    )?;
    let mut out = io::stdout().lock();
    for (n, shown) in shown.iter().enumerate() {
        if json {
            writeln!(out, "{}", shown.as_json)?;
        } else {
            if n > 0 {
                writeln!(out)?;
            }
            show_entry(shown, withdrawals.get(&shown.entry.number), &mut out)?;
        }
    }
    if shown.is_empty() {
        say(format_args!(
            "no entry is of the part {}: no UEID, device ID, serial number or entry is this. If it was refused, \
             station attempts --part finds it",
            options.part.escape_debug()
        ));
    }
    let records_are_good = shown.iter().all(|shown| shown.problems.is_empty());
    Ok(is_good(&audit) && records_are_good && !shown.is_empty())
}

fn show_entry(
    shown: &Shown,
    withdrawal: Option<&(String, Link)>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let Shown { run, link, entry, withdrawn, problems, .. } = shown;
    let attempt = run.as_ref().map(Run::attempt);
    let key = p256::PublicKey::from_sec1_bytes(entry.identity.public_key.as_bytes())?
        .to_public_key_pem(LineEnding::LF)?;
    let verdict = if problems.is_empty() { "signed by the key below" } else { "NOT GOOD" };
    let mut line = |name: &str, value: &str| writeln!(out, "{name:18} {}", printable(value));
    line("entry", &entry.number.to_string())?;
    line("time", &time(Some(link)))?;
    for (name, value) in [
        ("port", attempt.map(|attempt| &attempt.port[..])),
        ("serial number", link.serial_number()),
        ("batch", attempt.and_then(|attempt| attempt.batch.as_deref())),
        ("station", link.author.station.as_deref()),
        ("operator", link.author.operator.as_deref()),
    ] {
        if let Some(value) = value {
            line(name, value)?;
        }
    }
    line("version", &link.version)?;
    if let Some(run) = run {
        line("attempt", &run.begun.number.to_string())?;
    }
    line("UEID", &entry.identity.ueid().to_string())?;
    line("device ID", &entry.identity.device_id.to_string())?;
    line("implementation ID", &entry.identity.implementation_id.to_string())?;
    line("hash", &hex(&link.hash))?;
    line("record", &format!("{} bytes, {verdict}", entry.record.len()))?;
    if let Ok(record) = record::verify(&entry.record, &ANY_KEY) {
        let record::Software { version, measurement } = record.software;
        line("image", &format!("{version}, SHA-256 {measurement}"))?;
    }
    if let Some(link) = withdrawn {
        line("withdrawn", &format!("by link {link}: the part was erased on purpose"))?;
    }
    if let Some((reason, link)) = withdrawal {
        line("  reason", reason)?;
        line("  time", &time(Some(link)))?;
        if let Some(operator) = &link.author.operator {
            line("  operator", operator)?;
        }
    }
    for problem in problems {
        writeln!(out, "NOT GOOD: {problem}")?;
    }
    write!(out, "{key}")?;
    Ok(())
}
