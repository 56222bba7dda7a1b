// SPDX-License-Identifier: Apache-2.0

//! `restore`: a lost ledger, written anew from the hub.

use std::io::{self, Write};

use base16ct::lower::encode_string as hex;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use station::hub::{Hub, Which};
use station::station_key::StationKey;

use super::hub_options::HubOptions;
use super::{Error, Place, check_record, hash, print_problems, say};

/// Write a lost ledger anew, as the hub has it
///
/// It is audited before it gets its name, and nothing is written over. What the station has not pushed before it lost its
/// ledger is not in it: the parts of those runs are started again, and print their records anew.
#[derive(clap::Args)]
pub struct Restore {
    /// The role whose ledger it is [default: the one that logs in]
    #[arg(long, value_name = "NAME", conflicts_with = "origin")]
    role: Option<String>,
    /// The ledger with this hash of its origin, where a role has several
    #[arg(long, value_name = "HASH", value_parser = hash)]
    origin: Option<[u8; 32]>,
    #[command(flatten)]
    hub: HubOptions,
}

/// Carries the command out.
pub fn run(options: &Restore, place: &Place, json: bool) -> Result<bool, Error> {
    let config = options.hub.config(place)?;
    let which = options.origin.map_or_else(
        || Which::OfRole(options.role.as_deref().unwrap_or_else(|| config.role()).to_owned()),
        Which::Origin,
    );
    // Drawn on standard error, and only on a terminal.
    let bar = ProgressBar::no_length()
        .with_style(ProgressStyle::with_template("{bar:40} {pos} of {len} links")?);
    let restored = Hub::restore(
        &config,
        &which,
        place.file()?,
        place.head_file.as_deref(),
        |entry| check_record(entry, true),
        &mut |at, of| {
            bar.set_length(of);
            bar.set_position(at);
        },
    );
    bar.finish_and_clear();
    let (origin, found) = restored?;
    let mut out = io::stdout().lock();
    if !found.is_clean() {
        print_problems(&found, true, &mut out)?;
        say(
            "error: what the hub has is NOT GOOD. Nothing was restored. Audit the hub: station audit --hub",
        );
        return Ok(false);
    }
    let (links, entries, head) = (found.head.number, found.entries, hex(&found.head.hash));
    if json {
        writeln!(out, "{}", json!({ "links": links, "entries": entries, "head": head }))?;
    } else {
        let ledger = place.ledger.display();
        writeln!(out, "{ledger}: restored, {entries} entries, {links} links. Head: {head}")?;
    }
    say(
        "Runs that had not been pushed are not in it. Start the parts again that came last: one that the ledger knows \
         says so, and one that it does not know prints its record anew",
    );
    if let Some(file) = &place.file.key {
        match StationKey::read(file) {
            Ok(key) if origin.station_key == Some(key.public()) => {}
            Ok(_) => say(format_args!(
                "warning: {} is not the key of this ledger. Put that one back, or go on in a new ledger with a new key: \
                 station init --continues {}",
                file.display(),
                place.ledger.display()
            )),
            Err(error) => say(format_args!("warning: {error}")),
        }
    }
    Ok(true)
}
