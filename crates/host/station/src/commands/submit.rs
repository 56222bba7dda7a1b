// SPDX-License-Identifier: Apache-2.0

//! `submit`: endorsements to an attestation verifier.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use station::export::Profile;
use station::ledger;
use station::secret_file;
use station::submit::outbox::{Outbox, Pending};
use station::submit::{Connection, NotTaken, Submission, Taken, Verifier};
use zeroize::Zeroizing;

use super::author::{AuthorOptions, name};
use super::endorsements::{EndorsementOptions, Wanted, given, profiles, remember, select};
use super::hub_options::HubOptions;
use super::{Error, Place, printable, say, submit_hub};
use crate::json;

/// Send endorsements to a verifier, and remember in the ledger, or at the hub, that it has them
///
/// With --for, it exports what the verifier was not given yet, sends it, and only when the verifier has taken it the
/// ledger says so; with --hub, it is what the hub has of all stations, and the hub says so. With files, which export has written, it sends these, and the ledger stays as it is.
#[derive(clap::Args)]
pub struct Submit {
    /// Files of endorsements to send, such as endorsements/endorsements.cose
    #[arg(value_name = "FILE", required_unless_present = "name", conflicts_with = "name")]
    files: Vec<PathBuf>,
    /// Where Veraison's provisioning service is: https, host and port
    #[arg(long, value_name = "URL", required_unless_present = "settle")]
    verifier: Option<String>,
    /// Send what this verifier was not given yet, and remember in the ledger that it has it: NAME is any name
    #[arg(long = "for", id = "name", value_name = "NAME", value_parser = name)]
    name: Option<String>,
    /// By the version of Veraison, as for export
    #[arg(long, value_parser = profiles(), required_unless_present_any = ["files", "settle"],
        conflicts_with = "files")]
    pub(super) profile: Option<Profile>,
    /// Trust these certificate authorities alone, PEM [default: those that the system trusts]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The bearer token that the verifier asks for, in a file with right 0600
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The longest wait for an answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    timeout: u32,
    /// The longest wait until the verifier has processed a file, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    patience: u32,
    /// Instead of sending anything: say what has become of a submission that was not finished, as the verifier's keeper
    /// has found out
    #[arg(long, value_enum, requires = "name")]
    pub(super) settle: Option<Settle>,
    /// Do not ask the hub of the station file which entries it holds back: a part that another station claims, too, may
    /// leave then, and one of the two may be a copy
    #[arg(long, requires = "name")]
    without_hub: bool,
    /// Not the ledger's parts but those of the hub: this one, such as `postgres://name@hub.example/hub`, or that of the
    /// station file
    #[arg(long, value_name = "URL", num_args = 0..=1, requires = "name", conflicts_with = "without_hub")]
    #[expect(clippy::option_option, reason = "it is there, and has a value or none")]
    hub: Option<Option<String>>,
    /// The certificate of the authority that has signed the hub's, in PEM
    #[arg(long, value_name = "FILE", requires = "hub")]
    hub_ca: Option<PathBuf>,
    /// The file of the password at the hub, which only its owner may read. Without it, libpq's: PGPASSFILE, ~/.pgpass
    #[arg(long, value_name = "FILE", requires = "hub")]
    hub_password_file: Option<PathBuf>,
    #[command(flatten)]
    author: AuthorOptions,
    #[command(flatten)]
    pub(super) endorsements: EndorsementOptions,
}

/// What has become of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Settle {
    /// The verifier has all of it: the ledger, or the hub, is to say so
    Taken,
    /// The verifier has nothing of it: it is exported anew
    NotTaken,
}

/// Carries the command out.
pub fn run(arguments: &Submit, place: &Place, json: bool) -> Result<bool, Error> {
    let Some(name) = &arguments.name else {
        if !arguments.endorsements.are_as_usual() {
            return Err(
                "what files say was said when they were exported. Export again, with these options"
                    .into(),
            );
        }
        let verifier = verifier(arguments)?;
        for path in &arguments.files {
            let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let name = path.display().to_string();
            send(&verifier, &name, &bytes, json)?.map_err(|error| format!("{name}: {error}"))?;
        }
        return Ok(true);
    };
    if let Some(url) = &arguments.hub {
        let (ca, password_file) = (arguments.hub_ca.clone(), arguments.hub_password_file.clone());
        let config = HubOptions::new(url.clone(), ca, password_file).config(place)?;
        return submit_hub::run(arguments, name, &config, place, json);
    }
    // There is one, and from here on no other program changes what the verifier was given.
    drop(place.open()?);
    let outbox = Outbox::lock(&place.ledger, name)?;
    if let Some(settle) = arguments.settle {
        return settled(arguments, place, &outbox, settle);
    }
    let verifier = verifier(arguments)?;
    if let Some(begun) = outbox.begun()? {
        if is_kept(place, &begun)? {
            outbox.end()?;
        } else if let Some(pending) = outbox.pending()? {
            say(format_args!(
                "note: entries {} to {} were sent before, and it is not known whether {} has them: they are sent once \
                 more, as they were",
                begun.first,
                begun.last,
                printable(name)
            ));
            deliver(arguments, place, &outbox, &verifier, &pending, true, json)?;
        }
    }
    let options = &arguments.endorsements;
    let Some(profile) = arguments.profile else { return Err("--profile is missing".into()) };
    let hub =
        if arguments.without_hub { None } else { HubOptions::default().config_if_any(place)? };
    let wanted = Wanted { options, verifier: Some(name), entries: None, hub };
    let Some(selected) = select(&wanted, place, json)? else { return Ok(false) };
    if selected.identities.is_empty() {
        say(format_args!("{} has everything", printable(name)));
        return Ok(true);
    }
    let signer = options.signer()?;
    let range = (selected.given + 1, selected.audit.entries);
    let head = selected.audit.head.hash;
    let files = options.make(profile, signer.as_ref(), head, selected.identities)?;
    let pending = outbox.begin(given(name, profile, range, &files), &files)?;
    drop(files);
    deliver(arguments, place, &outbox, &verifier, &pending, false, json)?;
    Ok(true)
}

pub(super) fn verifier(arguments: &Submit) -> Result<Verifier, Error> {
    let ca = arguments
        .ca
        .as_ref()
        .map(|path| fs::read(path).map_err(|error| format!("{}: {error}", path.display())));
    let token = arguments.token_file.as_ref().map(|path| -> Result<_, Error> {
        let bytes = secret_file::read(path)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| format!("{}: the token is no text", path.display()))?;
        Ok(Zeroizing::new(text.trim().to_owned()))
    });
    Ok(Verifier::new(Connection {
        url: arguments.verifier.clone().unwrap_or_default(),
        ca: ca.transpose()?,
        token: token.transpose()?,
        timeout: Duration::from_secs(arguments.timeout.into()),
        patience: Duration::from_secs(arguments.patience.into()),
        pause: Duration::from_secs(1),
    })?)
}

/// Sends a file, and prints that the verifier has it.
fn send(
    verifier: &Verifier,
    name: &str,
    bytes: &[u8],
    json: bool,
) -> Result<Result<(), NotTaken>, Error> {
    let submission = Submission::read(bytes).map_err(|error| format!("{name}: {error}"))?;
    let taken = match verifier.submit(&submission) {
        Ok(taken) => taken,
        Err(error) => return Ok(Err(error)),
    };
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", json::submitted(name, bytes.len(), submission.id(), taken))?;
    } else {
        let how = match taken {
            Taken::Now => "taken",
            Taken::Before => "taken before",
        };
        writeln!(out, "{name} ({} bytes): {how}", bytes.len())?;
    }
    Ok(Ok(()))
}

/// Sends what is pending, and has the ledger keep that the verifier has it.
fn deliver(
    arguments: &Submit,
    place: &Place,
    outbox: &Outbox,
    verifier: &Verifier,
    pending: &Pending,
    is_again: bool,
    json: bool,
) -> Result<(), Error> {
    let what = format!("entries {} to {}", pending.export.first, pending.export.last);
    if let Some(refusal) = send_pending(verifier, outbox, pending, &what, is_again, json)? {
        outbox.end()?;
        let text = format!("{refusal}. The verifier has nothing of this, and the ledger says so");
        return Err(text.into());
    }
    remember(&arguments.author, place, pending.export.clone())?;
    outbox.end()?;
    Ok(())
}

/// Sends what is pending, and gives why the verifier has nothing of it, where that is certain.
///
/// # Errors
/// It is not known whether the verifier has it.
pub(super) fn send_pending(
    verifier: &Verifier,
    outbox: &Outbox,
    pending: &Pending,
    what: &str,
    is_again: bool,
    json: bool,
) -> Result<Option<String>, Error> {
    for (number, file) in pending.files.iter().enumerate() {
        let sent = send(verifier, &file.name, &file.endorsements, json)?;
        let Err(NotTaken { error, is_certain }) = sent else { continue };
        let name = &file.name;
        if is_certain && number == 0 && !is_again {
            return Ok(Some(format!("{name}: {error}")));
        }
        return Err(format!(
            "{name}: {error}. It is not certain that the verifier has nothing of {what}, so they are kept in {} as they \
             were sent: give the same command again, and they are sent once more, which does no harm. If that cannot \
             help, ask the keeper of the verifier whether it has these endorsements, and tell the station with --settle",
            outbox.folder().display()
        )
        .into());
    }
    Ok(None)
}

/// Whether the ledger says already that the verifier has what was begun: the station was killed before it could forget
/// it.
fn is_kept(place: &Place, begun: &ledger::Export) -> Result<bool, Error> {
    let given = place.open()?.given_to(&begun.verifier)?;
    if given + 1 == begun.first {
        return Ok(false);
    }
    if given == begun.last {
        return Ok(true);
    }
    Err(format!(
        "entries {} to {} were begun to be sent, and by the ledger the verifier has them up to {given}: this is another \
         ledger, or an older one. Restore the ledger from its last backup",
        begun.first, begun.last
    )
    .into())
}

/// Believes the keeper of the verifier.
fn settled(
    arguments: &Submit,
    place: &Place,
    outbox: &Outbox,
    settle: Settle,
) -> Result<bool, Error> {
    let Some(begun) = outbox.begun()? else {
        return Err("no submission to this verifier is unfinished".into());
    };
    let (first, last) = (begun.first, begun.last);
    if settle == Settle::Taken && !is_kept(place, &begun)? {
        remember(&arguments.author, place, begun)?;
    }
    outbox.end()?;
    match settle {
        Settle::Taken => {
            say(format_args!(
                "the ledger says now that the verifier has entries {first} to {last}"
            ));
        }
        Settle::NotTaken => {
            say(format_args!("entries {first} to {last} are sent anew by the next submit"));
        }
    }
    Ok(true)
}
