// SPDX-License-Identifier: Apache-2.0

//! `push`: the ledger to the hub.

use std::io::{self, Write};

use base16ct::lower::encode_string as hex;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use station::hub::Hub;

use super::author::KeyOptions;
use super::hub_options::HubOptions;
use super::{Error, Place, check_record, hub, say};

/// Send the hub what it does not have of the ledger
///
/// It may be stopped at any time, and begun again. The exit code is 1 if the file and the hub contradict each other.
#[derive(clap::Args)]
pub struct Push {
    /// Send entries of the test-only key, too
    #[arg(long)]
    allow_dummy: bool,
    #[command(flatten)]
    hub: HubOptions,
    #[command(flatten)]
    key: KeyOptions,
}

/// Carries the command out.
pub fn run(options: &Push, place: &Place, json: bool) -> Result<bool, Error> {
    let config = options.hub.config(place)?;
    // Where there is no ledger, none is made. To write, so that what a loss of power could take is synced first.
    place.open()?;
    let mut ledger = options.key.open(place)?;
    let mut hub = Hub::new(&config);
    // Drawn on standard error, and only on a terminal.
    let bar = ProgressBar::new(ledger.head()?.number)
        .with_style(ProgressStyle::with_template("{bar:40} {pos} of {len} links")?);
    let pushed =
        hub.push(&ledger, &mut |entry| check_record(entry, options.allow_dummy), &mut |at, _| {
            bar.set_position(at);
        });
    bar.finish_and_clear();
    let pushed = pushed?;
    ledger.finish()?;
    if pushed.again > 0 {
        say(format_args!(
            "note: the hub lacked {} links that it had acknowledged before, so it was restored from a backup. It has \
             them again",
            pushed.again
        ));
    }
    let conflicts = hub.status()?.conflicts;
    let own = conflicts.iter().filter(|found| {
        [&found.second.0, &found.holder.0].iter().any(|role| *role == config.role())
    });
    for conflict in own {
        say(format_args!("CONFLICT: {}", hub::words(conflict)));
    }
    let mut out = io::stdout().lock();
    let (links, last) = (pushed.links, pushed.last);
    if json {
        let line = json!({
            "links": links, "again": pushed.again, "number": last.number, "hash": hex(&last.hash),
        });
        writeln!(out, "{line}")?;
    } else {
        writeln!(
            out,
            "{links} links sent. The hub has {}. Head: {}",
            last.number,
            hex(&last.hash)
        )?;
    }
    Ok(true)
}
