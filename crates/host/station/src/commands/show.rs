// SPDX-License-Identifier: Apache-2.0

//! `show`: the entry of a part.

use std::io::{self, Write};

use base16ct::lower::encode_string as hex;
use p256::pkcs8::{EncodePublicKey, LineEnding};
use provisioning::Ueid;
use station::ledger::{Problem, Row};
use station::record;

use super::{ANY_KEY, Error, Place, bytes, check_record, printable, say};
use crate::json;

/// Show the entry of a part
#[derive(clap::Args)]
pub struct Show {
    /// The UEID, 66 hexadecimal digits
    #[arg(value_name = "UEID", value_parser = ueid)]
    ueid: Ueid,
}

fn ueid(text: &str) -> Result<Ueid, String> {
    bytes(text)
        .and_then(Ueid::from_bytes)
        .ok_or_else(|| String::from("a UEID has 66 hexadecimal digits, and begins with 01"))
}

fn texts(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// Carries the command out.
pub fn run(options: &Show, place: &Place, json: bool) -> Result<bool, Error> {
    let Show { ueid } = options;
    let ledger = place.open()?;
    let mut shown = None;
    let is_wanted = |row: &Row| row.identity.ueid() == *ueid;
    let check = |row: &Row| if is_wanted(row) { check_record(row, true) } else { Ok(()) };
    let audit = ledger.walk::<Error>(None, check, |found| {
        if let Some(row) = found.row.filter(|row| is_wanted(row)) {
            let record = record::verify(&row.record, &ANY_KEY).ok();
            let line = json::entry(&found, record.as_ref().map(|record| &record.software));
            shown = Some((line, row.clone(), texts(found.problems)));
        }
        Ok(())
    })?;
    if let Some((line, row, problems)) = &shown {
        let mut out = io::stdout().lock();
        if json {
            writeln!(out, "{line}")?;
        } else {
            show_entry(row, problems, &mut out)?;
        }
    } else {
        say(format_args!("no entry has the UEID {ueid}"));
    }
    if !audit.is_clean() {
        say("error: the ledger is NOT GOOD. Stop the line and audit it");
    }
    Ok(shown.is_some() && audit.is_clean())
}

fn show_entry(row: &Row, problems: &[String], out: &mut impl Write) -> Result<(), Error> {
    let key = p256::PublicKey::from_sec1_bytes(row.identity.public_key.as_bytes())?
        .to_public_key_pem(LineEnding::LF)?;
    let verdict = if problems.is_empty() { "signed by the key below" } else { "NOT GOOD" };
    writeln!(out, "entry              {}", row.number)?;
    writeln!(out, "time               {}", printable(&row.time))?;
    writeln!(out, "port               {}", printable(&row.port))?;
    writeln!(out, "UEID               {}", row.identity.ueid())?;
    writeln!(out, "device ID          {}", row.identity.device_id)?;
    writeln!(out, "implementation ID  {}", row.identity.implementation_id)?;
    writeln!(out, "hash               {}", hex(&row.hash))?;
    writeln!(out, "record             {} bytes, {verdict}", row.record.len())?;
    if let Ok(record) = record::verify(&row.record, &ANY_KEY) {
        let record::Software { version, measurement } = record.software;
        writeln!(out, "image              {version}, SHA-256 {measurement}")?;
    }
    for problem in problems {
        writeln!(out, "NOT GOOD: {problem}")?;
    }
    write!(out, "{key}")?;
    Ok(())
}
