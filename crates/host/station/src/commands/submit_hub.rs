// SPDX-License-Identifier: Apache-2.0

//! `submit --hub`: the parts of all stations to an attestation verifier, each once.

use station::hub::{Config, Hub};
use station::submit::outbox::Outbox;

use super::endorsements::given;
use super::submit::{Settle, Submit, send_pending, verifier};
use super::{Error, Place, export_hub, printable, say};

/// Carries the command out.
///
/// The hub is told what is about to be sent before the verifier is, and what has become of it afterwards. In between the
/// files are kept as they are, in an outbox of the hub beside the ledger, or where that would be.
pub fn run(
    arguments: &Submit,
    name: &str,
    config: &Config,
    place: &Place,
    json: bool,
) -> Result<bool, Error> {
    let options = &arguments.endorsements;
    if options.head.is_some() {
        return Err("--head is of a ledger. Leave it out".into());
    }
    let outbox = Outbox::lock(&place.ledger.with_file_name("hub"), &format!("{name} at {config}"))?;
    let mut hub = Hub::connect(config)?;
    let begun = hub.unsettled(name)?;
    if let Some(settle) = arguments.settle {
        let Some(begun) = begun else {
            if settle == Settle::NotTaken && outbox.is_told()? {
                outbox.end()?;
                say(
                    "what was kept here of it is removed: these parts are sent anew by the next submit",
                );
                return Ok(true);
            }
            return Err("no submission to this verifier is unfinished".into());
        };
        hub.settle(begun.number, settle == Settle::Taken)?;
        if outbox.begun()?.is_some() {
            outbox.end()?;
        }
        let parts = begun.parts;
        match settle {
            Settle::Taken => {
                say(format_args!("the hub says now that the verifier has these {parts} parts"));
            }
            Settle::NotTaken => {
                say(format_args!("these {parts} parts are sent anew by the next submit"));
            }
        }
        return Ok(true);
    }
    let verifier = verifier(arguments)?;
    match (begun, outbox.begun()?) {
        (Some(begun), Some(kept)) if begun.sha256 == kept.sha256 => {
            if let Some(pending) = outbox.pending()? {
                let what = format!("{} parts", begun.parts);
                say(format_args!(
                    "note: {what} were sent before, and it is not known whether {} has them: they are sent once more, as \
                     they were",
                    printable(name)
                ));
                outbox.told()?;
                // Without a refusal that is certain, since it is sent again.
                send_pending(&verifier, &outbox, &pending, &what, true, json)?;
                taken(config, begun.number, &what)?;
                outbox.end()?;
            }
        }
        (Some(begun), _) => return Err(export_hub::unsettled(&begun).into()),
        // The verifier may have it, and no hub says so: in other files it would refuse these parts for good.
        (None, Some(kept)) if outbox.is_told()? && !hub.has_settled(name, kept.sha256)? => {
            return Err(unknown_to_the_hub(kept.parts, name, &outbox).into());
        }
        // The hub was never told, and so neither was the verifier; or somebody has settled it.
        (None, Some(_)) => outbox.end()?,
        (None, None) => {}
    }
    let Some(profile) = arguments.profile else { return Err("--profile is missing".into()) };
    let signer = options.signer()?;
    let Some(selected) = export_hub::select(config, name, options.allow_dummy, json)? else {
        return Ok(false);
    };
    if selected.parts.is_empty() {
        say(format_args!("{} has everything", printable(name)));
        return Ok(true);
    }
    let identities = selected.parts.iter().map(|part| part.identity);
    let files = options.make(profile, signer.as_ref(), selected.head, identities)?;
    let parts = selected.parts.len();
    let export = given(&format!("{name} at {config}"), profile, (1, parts as u64), &files);
    let sha256 = export.sha256;
    let pending = outbox.begin(export, &files)?;
    drop(files);
    // A new connection: the audit before has taken its time.
    let mut hub = Hub::connect(config)?;
    let number = hub.begin_submission(name, profile.name(), sha256, &selected.parts)?;
    outbox.told()?;
    let what = format!("{parts} parts");
    if let Some(refusal) = send_pending(&verifier, &outbox, &pending, &what, false, json)? {
        Hub::connect(config)?.settle(number, false)?;
        outbox.end()?;
        return Err(
            format!("{refusal}. The verifier has nothing of this, and the hub says so").into()
        );
    }
    taken(config, number, &what)?;
    outbox.end()?;
    Ok(true)
}

/// Has the hub keep that the verifier has it. Over a new connection: the verifier may have taken its time.
fn taken(config: &Config, submission: i32, what: &str) -> Result<(), Error> {
    let kept = Hub::connect(config).and_then(|mut hub| hub.settle(submission, true));
    kept.map_err(|error| {
        format!(
            "{error}. The verifier has these {what}, and the hub does not know it yet: give the same command again, and they \
             are sent once more, which does no harm"
        )
        .into()
    })
}

/// What was sent, or was about to be, and the hub does not know; and what to do.
fn unknown_to_the_hub(parts: u64, verifier: &str, outbox: &Outbox) -> String {
    let verifier = printable(verifier);
    format!(
        "here {parts} parts were begun to be submitted to {verifier}, and the hub knows nothing of it: it was restored from a \
         backup that is older. Have every station push, and ask the keeper of the verifier whether it has these parts. If it \
         has not: station submit --hub --for NAME --settle not-taken. If it has: before other parts come, have the hub keep \
         it by station export --hub --for NAME, throw the files of that away, and remove {}",
        outbox.folder().display()
    )
}
