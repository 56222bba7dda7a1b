// SPDX-License-Identifier: Apache-2.0

//! `init`: the station key, and a ledger that begins with it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use station::ledger::{Ledger, LedgerError, Origin};
use station::station_key::StationKey;

use super::author::name;
use super::{Error, Place, check_record, say};
use crate::json;

/// Make the station key, and begin a ledger that is signed with it
///
/// Where the key is there already, it is taken as it is.
#[derive(clap::Args)]
pub struct Init {
    /// The file of the station key [default: station.key]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The batch for which the ledger is begun
    #[arg(long, value_name = "NAME", value_parser = name)]
    batch: Option<String>,
    /// Continue this ledger, of this format or an older one: the new one has its links, and knows its parts
    #[arg(long, value_name = "OLD")]
    continues: Option<PathBuf>,
}

/// Carries the command out.
pub fn run(options: &Init, place: &Place, json: bool) -> Result<bool, Error> {
    let file = &place.file;
    let key_file = options.key.as_ref().or(file.key.as_ref());
    let key_file = key_file.map_or(Path::new("station.key"), PathBuf::as_path);
    let path = place.file()?;
    // Before a key is made for nothing.
    if path.try_exists()? {
        return Err(LedgerError::Exists(path.to_owned()).into());
    }
    // Those of another ledger, which would be taken for what was lost of this one.
    for (other, option) in
        [(&place.head_file, "--head-file"), (&file.checkpoint, "checkpoint in the station file")]
    {
        if let Some(other) = other
            && other.try_exists()?
        {
            let other = other.display();
            return Err(format!(
                "{other}: this is of another ledger, and nothing is written over. Name another file: {option}"
            )
            .into());
        }
    }
    let old = options.continues.as_deref().map(Ledger::open).transpose()?;
    let is_new = !key_file.try_exists()?;
    let key = if is_new {
        let key = StationKey::generate()?;
        key.write(key_file)?;
        key
    } else {
        StationKey::read(key_file)?
    };
    let station_key = Some(key.public());
    let (head_file, batch) = (place.head_file.as_deref(), options.batch.clone());
    let begun = match &old {
        None => Ledger::begin(path, head_file, &Origin { station_key, batch, continues: None }),
        Some(old) => {
            old.continue_in(path, head_file, station_key, batch, |entry| check_record(entry, true))
        }
    };
    let mut ledger = begun?;
    ledger.set_signer(key, file.checkpoint.as_deref())?;
    ledger.finish()?;
    let origin = ledger.origin()?;
    let vkey = origin.verifier().ok_or("the ledger has no station key")?.to_string();
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", json::begun(path, key_file, &vkey, &origin))?;
        return Ok(true);
    }
    let (ledger, key_file) = (path.display(), key_file.display());
    let made = if is_new { "was made" } else { "was there and is taken" };
    writeln!(out, "{ledger}: the ledger is begun")?;
    if let Some(old) = &origin.continues {
        writeln!(
            out,
            "It has all that was in the old one, of format {} with {} links. Keep that file: heads that were written \
             down are in it",
            old.format, old.number
        )?;
    }
    writeln!(out, "{key_file}: the station key {made}. Back it up where nobody else can read it")?;
    writeln!(out, "The verifier key, to write down: {vkey}")?;
    if file.key.is_none() || file.ledger.is_none() {
        say("Put this into the station file:");
        say(format_args!("ledger = \"{ledger}\""));
        say(format_args!("key = \"{key_file}\""));
    }
    Ok(true)
}
