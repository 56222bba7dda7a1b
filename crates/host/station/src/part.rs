// SPDX-License-Identifier: Apache-2.0

//! What becomes of a part whose run was followed: a checked record, or why there is none.

use std::io;

use provisioning::Ueid;
use thiserror::Error;

use crate::hub::{Elsewhere, Same};
use crate::image::OtherImage;
use crate::ledger::{Refusal, SEEN_BEFORE};
use crate::port::{FollowError, TimeOut};
use crate::record::{self, RecordError, Wanted};
use crate::steps::StepError;

/// Checks the record of a part, and that it is of the part that has named itself, if one has.
///
/// # Errors
/// The record is not believed, not the one wanted, or that of another part.
pub fn check(
    text: &str,
    named: Option<Ueid>,
    wanted: &Wanted,
) -> Result<(record::VerifiedRecord, Vec<u8>), PartError> {
    let bytes = record::decode(text)?;
    let record = record::verify(&bytes, wanted)?;
    match named {
        Some(ueid) if ueid != record.identity.ueid() => Err(PartError::OtherPart(ueid)),
        _ => Ok((record, bytes)),
    }
}

/// Why a part is not in the ledger, or a run in a log is not good: what happened. For people,
/// [`PartError::at_port`] and [`PartError::in_log`] add what to do about it.
#[derive(Debug, Error)]
pub enum PartError {
    /// Its console could not be followed to the end.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// Its run failed, in its own words.
    #[error("the part says: {line}")]
    Failed {
        /// Those words.
        line: String,
        /// The number of the cause; `None` where there was no part to provision.
        code: Option<u8>,
    },
    /// Its record is not believed, or not the one wanted.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// It says it is complete already, as another part than the one in its record.
    #[error("the part calls itself {0}, and its record is another part's")]
    OtherPart(Ueid),
    /// The image runs on modelled silicon.
    #[error("this is modelled silicon, whose keys are not secret")]
    Modelled,
    /// Its image has not asked for a nonce.
    #[error("the image did not ask for a nonce")]
    NoNonce,
    /// It has another image than the line's.
    #[error(transparent)]
    OtherImage(#[from] OtherImage),
    /// Nobody has said which part it is.
    #[error("no serial number was given for the part")]
    NoSerialNumber,
    /// The step before its run has failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The ledger has it, or something of it, already.
    #[error("{0}")]
    Refused(#[source] Refusal, Ueid),
    /// Another station has it, or something of it, already.
    #[error("{}", words(.0))]
    Elsewhere(Box<Elsewhere>),
    /// The hub has to say whether another station has it, and cannot. Or nothing may be entered any more.
    #[error("the hub could not say whether another station has this part: {0}")]
    NoHub(String),
    /// A modelled part could not be made.
    #[error("the operating system has no random numbers ({0})")]
    NoSeed(#[source] io::Error),
}

impl PartError {
    /// The number of the cause, where the part has said one: `provisioning::Cause::code`.
    #[must_use]
    pub const fn failure(&self) -> Option<u8> {
        match self {
            Self::Failed { code, .. } => *code,
            _ => None,
        }
    }

    /// One word for it, for machines.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Follow(FollowError::TimeOut(TimeOut::Start(_))) => "start-timeout",
            Self::Follow(FollowError::TimeOut(TimeOut::Line(_))) => "line-timeout",
            Self::Follow(FollowError::TimeOut(TimeOut::Run(_))) => "run-timeout",
            Self::Follow(FollowError::Console(_)) => "console",
            Self::Follow(FollowError::Lost(_) | FollowError::NotSent(_)) => "port",
            Self::Follow(FollowError::Stopped) => "stopped",
            Self::Failed { .. } => "failed",
            Self::Record(_) | Self::OtherPart(_) => "record",
            Self::Modelled => "modelled",
            Self::NoNonce => "no-nonce",
            Self::OtherImage(_) => "image",
            Self::NoSerialNumber => "no-serial-number",
            Self::Step(_) => "step",
            Self::Refused(..) => SEEN_BEFORE,
            Self::Elsewhere(_) => "seen-elsewhere",
            Self::NoHub(_) => "no-hub",
            Self::NoSeed(_) => "no-random-numbers",
        }
    }
}

/// What another station has of a part, and what to do.
fn words(Elsewhere { station, entry, is_withdrawn, same }: &Elsewhere) -> String {
    let key = same.ueid || same.public_key;
    match (key, same) {
        (true, Same { device_id: true, .. }) if *is_withdrawn => format!(
            "entry {entry} of the station {station} was withdrawn, and this part still has the identity of that entry. \
             Nothing was entered. Erase it, then start it again"
        ),
        (true, Same { device_id: true, .. }) => format!(
            "the station {station} has this part already, as its entry {entry}. Nothing was entered here. Take it out, \
             and give it to that line"
        ),
        (true, _) => format!(
            "the part of entry {entry} of the station {station} has the same identity key. Set both aside. Nothing was \
             entered"
        ),
        (false, Same { device_id: true, .. }) => format!(
            "the station {station} has this part as its entry {entry} with another identity, so it was erased since. Set \
             it aside. Nothing was entered. If it was erased on purpose, withdraw the old entry first, on the station \
             {station}: station replace {entry}"
        ),
        (false, _) => format!(
            "the part of entry {entry} of the station {station} has the same serial number. Check both labels; if one \
             was read wrongly, start the part again and give the right one. Nothing was entered"
        ),
    }
}
