// SPDX-License-Identifier: Apache-2.0

//! `hub`: what the hub's owner does, and what the hub has.

use std::io::{self, Write};
use std::path::PathBuf;

use base16ct::lower::encode_string as hex;
use serde_json::json;
use station::hub::{Conflict, Hub, Kind, OwnConflict, Status, Submission};
use station::note::Verifier;

use super::export_hub::unsettled;
use super::hub_options::HubOptions;
use super::{Error, Place, printable, say};

/// The hub, to which several stations push their ledgers: a PostgreSQL database
#[derive(clap::Args)]
pub struct HubCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Make the hub's tables, or bring them up to date. The role has to own the database, and to have CREATEROLE
    Init(Init),
    Enroll(Box<Enroll>),
    Status(StatusOptions),
}

#[derive(clap::Args)]
struct Init {
    #[command(flatten)]
    hub: HubOptions,
}

/// Let a station in, or someone who reads or exports. Its role is made where it is missing
#[derive(clap::Args)]
struct Enroll {
    /// The name of the role, with which it logs in
    #[arg(value_name = "NAME")]
    name: String,
    /// A station: it may push ledgers of this verifier key, which `station init` has printed
    #[arg(long, value_name = "KEY", required_unless_present_any = ["reader", "exporter"])]
    key: Option<Verifier>,
    /// Someone who reads, and audits
    #[arg(long, conflicts_with_all = ["key", "exporter"])]
    reader: bool,
    /// Someone who exports for verifiers, and reads
    #[arg(long, conflicts_with = "key")]
    exporter: bool,
    /// Give it a new random password, and write that into this new file. Bring the file to its machine
    #[arg(long, value_name = "FILE")]
    new_password: Option<PathBuf>,
    #[command(flatten)]
    hub: HubOptions,
}

/// Show the ledgers that the hub has, the parts that two stations claim, and what was begun to be submitted and is not
/// settled. The exit code is 1 if there is such a part
#[derive(clap::Args)]
struct StatusOptions {
    #[command(flatten)]
    hub: HubOptions,
}

/// Carries the command out.
pub fn run(command: &HubCommand, place: &Place, json: bool) -> Result<bool, Error> {
    match &command.action {
        Action::Init(options) => init(options, place, json),
        Action::Enroll(options) => enroll(options, place, json),
        Action::Status(options) => {
            let status = Hub::connect(&options.hub.config(place)?)?.status()?;
            print(&status, json, &mut io::stdout().lock())?;
            Ok(status.conflicts.is_empty())
        }
    }
}

fn init(options: &Init, place: &Place, json: bool) -> Result<bool, Error> {
    let config = options.hub.config(place)?;
    let steps = Hub::init(&config)?;
    let mut out = io::stdout().lock();
    match (json, steps) {
        (true, _) => writeln!(out, "{}", json!({ "steps": steps }))?,
        (false, 0) => writeln!(out, "{config}: the hub is up to date")?,
        (false, _) => {
            writeln!(out, "{config}: the hub's tables are made. Enroll each station now")?;
        }
    }
    Ok(true)
}

fn enroll(options: &Enroll, place: &Place, json: bool) -> Result<bool, Error> {
    let Enroll { name, key, reader, new_password, hub, .. } = options;
    let kind = match (key, reader) {
        (Some(key), _) => Kind::Station(*key.key()),
        (None, true) => Kind::Reader,
        (None, false) => Kind::Exporter,
    };
    let config = hub.config(place)?;
    let enrolled = Hub::connect(&config)?.enroll(name, kind, new_password.as_deref())?;
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", json!({ "role": name, "new": enrolled.is_new }))?;
        return Ok(true);
    }
    let made = if enrolled.is_new { "made and enrolled" } else { "enrolled" };
    writeln!(out, "{name}: the role is {made}")?;
    match new_password {
        Some(file) => writeln!(
            out,
            "{}: its password. Move the file to its machine, and name it in the station file: password_file",
            file.display()
        )?,
        None if enrolled.is_new => say(
            "It has no password, so it can log in only as the server's administrator arranges (pg_hba.conf). For a \
             password, enroll it once more with --new-password FILE",
        ),
        None => {}
    }
    Ok(true)
}

fn print(status: &Status, json: bool, out: &mut impl Write) -> Result<(), Error> {
    for station in &status.stations {
        let time = station.time.map(|time| format!("{time:.3}"));
        if json {
            let line = json!({
                "station": station.station,
                "role": station.role,
                "key": hex(&station.key),
                "batch": station.batch,
                "links": station.links,
                "parts": station.parts,
                "time": time,
            });
            writeln!(out, "{line}")?;
        } else {
            let batch = station
                .batch
                .as_deref()
                .map_or(String::new(), |batch| format!(", batch {}", printable(batch)));
            writeln!(
                out,
                "{}{batch}: {} parts, {} links, the last of {}",
                station.role,
                station.parts,
                station.links,
                time.as_deref().unwrap_or("never")
            )?;
        }
    }
    for conflict in &status.conflicts {
        if json {
            let Conflict { second, holder, same, found } = conflict;
            let line = json!({
                "conflict": same.words(),
                "second": { "role": second.0, "entry": second.1 },
                "first": { "role": holder.0, "entry": holder.1 },
                "time": format!("{found:.3}"),
            });
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "CONFLICT: {}", words(conflict))?;
        }
    }
    for begun in &status.unsettled {
        if json {
            let Submission { number, verifier, role, parts, time, .. } = begun;
            let line = json!({
                "submission": number,
                "verifier": verifier,
                "role": role,
                "parts": parts,
                "time": format!("{time:.3}"),
            });
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "NOT SETTLED: {}", unsettled(begun))?;
        }
    }
    Ok(())
}

/// A conflict, and what to do.
pub fn words(conflict: &Conflict) -> String {
    let Conflict { second, holder, same, .. } = conflict;
    format!(
        "entry {} of {} has the same {} as entry {} of {}. Neither leaves the hub until one is withdrawn: find both \
         parts, see \"Conflicts\" in the manual",
        second.1,
        second.0,
        same.words(),
        holder.1,
        holder.0
    )
}

/// A part of the own ledger that another station claims, too, and what to do.
pub fn words_of_own(OwnConflict { entry, device_id, ueid, other }: &OwnConflict) -> String {
    let same = other.same.words();
    let what = format!(
        "the part of entry {entry}, device ID {device_id}, UEID {ueid}, has the same {same} as entry {} of the station {}",
        other.entry, other.station
    );
    format!(
        "{what}. Find it and set it aside: neither entry leaves the hub until one of the two is withdrawn (station \
         replace), see \"Conflicts\" in the manual"
    )
}
