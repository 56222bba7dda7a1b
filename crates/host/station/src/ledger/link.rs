// SPDX-License-Identifier: Apache-2.0

//! One link of the chain, the fact that it says, and its hash.

use jiff::Timestamp;
use minicbor::Encoder;
use minicbor::encode::Error as EncodeError;
use provisioning::{ImplementationId, Measurement, PublicKey, Ueid};
use rusqlite::types::FromSql;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{Problem, Text};
use crate::{DeviceId, Identity};

/// What stands as the previous hash in link 1: 32 zero bytes.
pub const GENESIS: [u8; 32] = [0; 32];

/// Every column of every link, whatever its kind.
pub(super) const LINKS: &str = "SELECT links.*, \
     attempts.link AS a, attempts.port, attempts.batch, attempts.serial_number AS a_serial_number, \
     outcomes.link AS o, outcomes.attempt AS o_attempt, outcomes.result, outcomes.error, outcomes.failure, \
        outcomes.text AS o_text, outcomes.seen, outcomes.serial_number AS o_serial_number, \
        outcomes.device_id AS o_device_id, outcomes.ueid AS o_ueid, outcomes.image, outcomes.steps, \
        outcomes.console, \
     entries.number AS entry, entries.device_id, entries.implementation_id, entries.ueid, entries.public_key, \
        entries.record, \
     programs.link AS p, programs.attempt AS p_attempt, programs.step, programs.command, programs.succeeded, \
        programs.text AS p_text, programs.milliseconds, programs.output, \
     withdrawals.link AS w, withdrawals.entry AS w_entry, withdrawals.reason, \
     exports.link AS x, exports.verifier, exports.profile, exports.first, exports.last, exports.parts, \
        exports.sha256, \
     (SELECT link FROM withdrawals WHERE entry = entries.number) AS withdrawn \
     FROM links \
     LEFT JOIN attempts ON attempts.link = links.number \
     LEFT JOIN outcomes ON outcomes.link = links.number \
     LEFT JOIN entries ON entries.link = links.number \
     LEFT JOIN programs ON programs.link = links.number \
     LEFT JOIN withdrawals ON withdrawals.link = links.number \
     LEFT JOIN exports ON exports.link = links.number";

/// That something is kept: a link of the chain, or an entry and the hash of its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The number; the first is 1.
    pub number: u64,
    /// The link's hash, which stands for it and for every link before it.
    pub hash: [u8; 32],
}

/// Who works with the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Author {
    /// The name of the station.
    pub station: Option<String>,
    /// The operator.
    pub operator: Option<String>,
}

/// A link as it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number; the first is 1.
    pub number: u64,
    /// When it was appended, to the millisecond.
    pub time: Timestamp,
    /// Whether the operator has accepted a clock that was before the link's predecessor, or before the program was
    /// built.
    pub clock_accepted: bool,
    /// Who appended it.
    pub author: Author,
    /// The version of the program that did.
    pub version: String,
    /// What it says.
    pub fact: Fact,
    /// The hash of the link before it, or [`GENESIS`].
    pub previous: [u8; 32],
    /// Its own hash, as it stands in the file; [`Link::computed_hash`] is what it should be.
    pub hash: [u8; 32],
}

/// What a link says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A run has begun.
    Attempt(Attempt),
    /// A run has ended.
    Outcome(Box<Outcome>),
    /// A command around a run was carried out.
    Program(Program),
    /// The part of an entry was erased on purpose.
    Withdrawal(Withdrawal),
    /// A verifier was given entries.
    Export(Export),
}

/// A run has begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// The port on which the part is.
    pub port: String,
    /// The batch.
    pub batch: Option<String>,
    /// The part's serial number, where it was asked for before the run.
    pub serial_number: Option<String>,
}

/// How a run has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The link of its attempt.
    pub attempt: u64,
    /// How it ended.
    pub end: End,
    /// The part's serial number, where one was asked for.
    pub serial_number: Option<String>,
    /// The measurement of the image, where a good record has said it.
    pub image: Option<Measurement>,
    /// How long each step has taken, in their order.
    pub steps: Vec<Step>,
    /// What the console has shown.
    pub console: Text,
}

/// How a run has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With an entry.
    Good(Entry),
    /// The part is in the ledger already, as it is now.
    Known {
        /// Its entry.
        seen: u64,
        /// Which part it is.
        part: (DeviceId, Ueid),
    },
    /// The part cannot leave the line.
    Failed(Failed),
}

/// Why a part cannot leave the line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failed {
    /// One word for it: `PartError::name`.
    pub error: String,
    /// The number of the cause, where the part has said one: `provisioning::Cause::code`.
    pub failure: Option<u8>,
    /// What happened.
    pub text: String,
    /// The entry that has something of the part.
    pub seen: Option<u64>,
    /// Which part it is, where a good record has said it.
    pub part: Option<(DeviceId, Ueid)>,
}

/// A part that may leave the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number; the first is 1, and there are no gaps.
    pub number: u64,
    /// Who the part is.
    pub identity: Identity,
    /// The record's bytes as received.
    pub record: Vec<u8>,
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// From the step before to this one.
    pub milliseconds: u64,
}

/// A command around a run was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The link of the attempt.
    pub attempt: u64,
    /// `before`, `on-pass` or `on-fail`.
    pub step: String,
    /// The command line.
    pub command: String,
    /// Whether it did what it should.
    pub succeeded: bool,
    /// How it ended, in words.
    pub text: String,
    /// How long it took.
    pub milliseconds: u64,
    /// What it printed.
    pub output: Text,
}

/// The part of an entry was erased on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// The entry.
    pub entry: u64,
    /// Why.
    pub reason: String,
}

/// A verifier was given entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The name of the verifier.
    pub verifier: String,
    /// The profile of the endorsements.
    pub profile: String,
    /// The first entry that it may have been given.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// How many parts the endorsements name.
    pub parts: u64,
    /// SHA-256 of the endorsements.
    pub sha256: [u8; 32],
}

/// Why an entry is not kept: each carries the number of the entry that is in the way.
///
/// They are looked for in this order, and the first is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The part is in the ledger, as it is now.
    #[error("this part is in the ledger already, as entry {0}. Nothing was kept")]
    Known(u64),
    /// The part is in the ledger with another identity: it was erased and provisioned again.
    #[error(
        "this part is in the ledger as entry {0} with another identity, so it was erased since. Set it aside. \
         Nothing was kept. If it was erased on purpose, withdraw the old entry first: station replace {0}"
    )]
    SeenDeviceId(u64),
    /// Another part has this UEID, which means the same public key; or this one had it before it was erased.
    #[error(
        "the part of entry {0} has the same UEID, so both have the same identity key. Set both aside. Nothing was \
         kept"
    )]
    SeenUeid(u64),
    /// Another part has this public key with another UEID, which no entry of this program can have.
    #[error(
        "entry {0} has the same public key under another UEID, so the ledger is damaged. Stop and audit it. \
         Nothing was kept"
    )]
    SeenPublicKey(u64),
    /// Another part has this serial number.
    #[error(
        "the part of entry {0} has the same serial number. Check both labels; if one was read wrongly, start the \
         part again and give the right one. Nothing was kept"
    )]
    SeenSerialNumber(u64),
}

impl Refusal {
    /// The number of the entry that is in the way.
    #[must_use]
    pub const fn number(&self) -> u64 {
        match self {
            Self::Known(number)
            | Self::SeenDeviceId(number)
            | Self::SeenUeid(number)
            | Self::SeenPublicKey(number)
            | Self::SeenSerialNumber(number) => *number,
        }
    }
}

impl End {
    /// `good`, `known` or `failed`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Good(_) => "good",
            Self::Known { .. } => "known",
            Self::Failed(_) => "failed",
        }
    }
}

impl Fact {
    /// The kind of the link.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Attempt(_) => "attempt",
            Self::Outcome(_) => "outcome",
            Self::Program(_) => "program",
            Self::Withdrawal(_) => "withdrawal",
            Self::Export(_) => "export",
        }
    }
}

impl Outcome {
    /// Which part it is, where that is known.
    #[must_use]
    pub const fn device_id(&self) -> Option<[u8; 8]> {
        match &self.end {
            End::Good(entry) => Some(entry.identity.device_id.0),
            End::Known { part, .. } | End::Failed(Failed { part: Some(part), .. }) => {
                Some(part.0.0)
            }
            End::Failed(_) => None,
        }
    }

    /// Its UEID, where that is known.
    #[must_use]
    pub fn ueid(&self) -> Option<Ueid> {
        match &self.end {
            End::Good(entry) => Some(entry.identity.ueid()),
            End::Known { part, .. } | End::Failed(Failed { part: Some(part), .. }) => Some(part.1),
            End::Failed(_) => None,
        }
    }

    /// The columns of an end that are not those of an entry: error, failure, text, seen, and the part.
    pub(super) fn failed(&self) -> Failed {
        match &self.end {
            End::Good(_) => Failed::default(),
            End::Known { seen, part } => {
                Failed { seen: Some(*seen), part: Some(*part), ..Failed::default() }
            }
            End::Failed(failed) => failed.clone(),
        }
    }
}

/// The steps as the ledger keeps them: a JSON array of names and milliseconds.
pub(super) fn steps_to_json(steps: &[Step]) -> String {
    let pairs: Vec<_> = steps.iter().map(|step| (&step.name, step.milliseconds)).collect();
    serde_json::to_string(&pairs).expect("names and numbers")
}

impl Link {
    /// The entry that it brings.
    #[must_use]
    pub fn entry(&self) -> Option<&Entry> {
        match &self.fact {
            Fact::Outcome(outcome) => match &outcome.end {
                End::Good(entry) => Some(entry),
                _ => None,
            },
            _ => None,
        }
    }

    /// The serial number of its part, where one was asked for.
    #[must_use]
    pub fn serial_number(&self) -> Option<&str> {
        match &self.fact {
            Fact::Attempt(attempt) => attempt.serial_number.as_deref(),
            Fact::Outcome(outcome) => outcome.serial_number.as_deref(),
            _ => None,
        }
    }

    /// The hash that this link should have: see the [module](super) for the format.
    ///
    /// # Panics
    /// Never: a `Vec` takes what is encoded.
    #[must_use]
    pub fn computed_hash(&self) -> [u8; 32] {
        let mut encoder = Encoder::new(Vec::new());
        self.encode(&mut encoder).expect("a Vec takes what is written to it");
        Sha256::digest(encoder.into_writer()).into()
    }

    fn encode(
        &self,
        e: &mut Encoder<Vec<u8>>,
    ) -> Result<(), EncodeError<std::convert::Infallible>> {
        let text =
            |e: &mut Encoder<Vec<u8>>, text: &Option<String>| e.encode(text.as_deref()).map(|_| ());
        fn bytes(
            e: &mut Encoder<Vec<u8>>,
            bytes: Option<&[u8]>,
        ) -> Result<(), EncodeError<std::convert::Infallible>> {
            match bytes {
                Some(bytes) => e.bytes(bytes)?,
                None => e.null()?,
            };
            Ok(())
        }
        e.array(9)?.u64(self.number)?.i64(self.time.as_millisecond())?.bool(self.clock_accepted)?;
        text(e, &self.author.station)?;
        text(e, &self.author.operator)?;
        e.str(&self.version)?.bytes(&self.previous)?.str(self.fact.kind())?;
        match &self.fact {
            Fact::Attempt(Attempt { port, batch, serial_number }) => {
                e.array(3)?.str(port)?;
                text(e, batch)?;
                text(e, serial_number)?;
            }
            Fact::Outcome(outcome) => {
                let Failed { error, failure, text: words, seen, part } = outcome.failed();
                let is_failed = matches!(outcome.end, End::Failed(_));
                e.array(13)?.u64(outcome.attempt)?.str(outcome.end.name())?;
                e.encode(is_failed.then_some(error))?.encode(failure)?;
                e.encode(is_failed.then_some(words))?.encode(seen)?;
                text(e, &outcome.serial_number)?;
                bytes(e, part.as_ref().map(|(device, _)| &device.0[..]))?;
                bytes(e, part.as_ref().map(|(_, ueid)| &ueid.as_bytes()[..]))?;
                bytes(e, outcome.image.as_ref().map(|image| &image.0[..]))?;
                e.str(&steps_to_json(&outcome.steps))?.bytes(&outcome.console.0)?;
                match &outcome.end {
                    End::Good(Entry { number, identity, record }) => {
                        e.array(6)?.u64(*number)?.bytes(&identity.device_id.0)?;
                        e.bytes(identity.implementation_id.as_bytes())?;
                        e.bytes(identity.ueid().as_bytes())?;
                        e.bytes(identity.public_key.as_bytes())?.bytes(record)?;
                    }
                    _ => _ = e.null()?,
                }
            }
            Fact::Program(program) => {
                e.array(7)?.u64(program.attempt)?.str(&program.step)?.str(&program.command)?;
                e.bool(program.succeeded)?.str(&program.text)?.u64(program.milliseconds)?;
                e.bytes(&program.output.0)?;
            }
            Fact::Withdrawal(Withdrawal { entry, reason }) => {
                e.array(2)?.u64(*entry)?.str(reason)?;
            }
            Fact::Export(export) => {
                e.array(6)?.str(&export.verifier)?.str(&export.profile)?;
                e.u64(export.first)?.u64(export.last)?.u64(export.parts)?.bytes(&export.sha256)?;
            }
        }
        Ok(())
    }

    /// Reads one row of [`LINKS`] and checks its form: types, lengths, that it has the row that its kind has and no
    /// other, and that the UEID is the public key's. A file that was tampered with can hold anything.
    pub(super) fn read(row: &rusqlite::Row<'_>) -> Result<Self, Problem> {
        let get = Columns(row);
        let kind: String = get.get("kind")?;
        let fact = match kind.as_str() {
            "attempt" => Fact::Attempt(Attempt {
                port: get.get("port")?,
                batch: get.get("batch")?,
                serial_number: get.get("a_serial_number")?,
            }),
            "outcome" => Fact::Outcome(Box::new(get.outcome()?)),
            "program" => Fact::Program(Program {
                attempt: get.number("p_attempt")?,
                step: get.get("step")?,
                command: get.get("command")?,
                succeeded: get.get("succeeded")?,
                text: get.get("p_text")?,
                milliseconds: get.number("milliseconds")?,
                output: Text(get.get("output")?),
            }),
            "withdrawal" => Fact::Withdrawal(Withdrawal {
                entry: get.number("w_entry")?,
                reason: get.get("reason")?,
            }),
            "export" => Fact::Export(Export {
                verifier: get.get("verifier")?,
                profile: get.get("profile")?,
                first: get.number("first")?,
                last: get.number("last")?,
                parts: get.number("parts")?,
                sha256: get.get("sha256")?,
            }),
            _ => return Err(get.bad("kind")),
        };
        // In no other table than its kind's.
        for (column, kind_of) in [
            ("a", "attempt"),
            ("o", "outcome"),
            ("p", "program"),
            ("w", "withdrawal"),
            ("x", "export"),
        ] {
            if get.get::<Option<i64>>(column)?.is_some() != (kind == kind_of) {
                return Err(get.bad("kind"));
            }
        }
        let is_good =
            matches!(&fact, Fact::Outcome(outcome) if matches!(outcome.end, End::Good(_)));
        if get.get::<Option<i64>>("entry")?.is_some() != is_good {
            return Err(get.bad("kind"));
        }
        Ok(Self {
            number: number(row),
            time: Timestamp::from_millisecond(get.get("time")?).map_err(|_| get.bad("time"))?,
            clock_accepted: get.get("clock_accepted")?,
            author: Author { station: get.get("station")?, operator: get.get("operator")? },
            version: get.get("version")?,
            fact,
            previous: get.get("previous")?,
            hash: get.get("hash")?,
        })
    }
}

/// The columns of a row of [`LINKS`].
struct Columns<'a>(&'a rusqlite::Row<'a>);

impl Columns<'_> {
    fn bad(&self, column: &'static str) -> Problem {
        Problem::Column(number(self.0), column)
    }

    fn get<T: FromSql>(&self, column: &'static str) -> Result<T, Problem> {
        self.0.get(column).map_err(|_| self.bad(column))
    }

    fn number(&self, column: &'static str) -> Result<u64, Problem> {
        u64::try_from(self.get::<i64>(column)?).map_err(|_| self.bad(column))
    }

    fn outcome(&self) -> Result<Outcome, Problem> {
        let seen = self.get::<Option<i64>>("seen")?;
        let seen =
            seen.map(|seen| u64::try_from(seen).map_err(|_| self.bad("seen"))).transpose()?;
        let device_id = self.get::<Option<[u8; 8]>>("o_device_id")?.map(DeviceId);
        let ueid = self.get::<Option<[u8; 33]>>("o_ueid")?;
        let ueid = ueid.map(|ueid| Ueid::from_bytes(ueid).ok_or(self.bad("o_ueid"))).transpose()?;
        let (error, words) =
            (self.get::<Option<String>>("error")?, self.get::<Option<String>>("o_text")?);
        let failure: Option<u8> = self.get("failure")?;
        let part = device_id.zip(ueid);
        if device_id.is_some() != ueid.is_some() {
            return Err(self.bad("o_ueid"));
        }
        let result: String = self.get("result")?;
        let end = match (result.as_str(), error, words, failure, seen, part) {
            ("good", None, None, None, None, None) => End::Good(self.entry()?),
            ("known", None, None, None, Some(seen), Some(part)) => End::Known { seen, part },
            ("failed", Some(error), Some(text), failure, seen, part) => {
                End::Failed(Failed { error, failure, text, seen, part })
            }
            _ => return Err(self.bad("result")),
        };
        let steps: String = self.get("steps")?;
        let pairs: Vec<(String, u64)> =
            serde_json::from_str(&steps).map_err(|_| self.bad("steps"))?;
        let steps_read: Vec<_> =
            pairs.into_iter().map(|(name, milliseconds)| Step { name, milliseconds }).collect();
        // The hash is over the text: no other text may mean the same.
        if steps_to_json(&steps_read) != steps {
            return Err(self.bad("steps"));
        }
        Ok(Outcome {
            attempt: self.number("o_attempt")?,
            end,
            serial_number: self.get("o_serial_number")?,
            image: self.get::<Option<[u8; 32]>>("image")?.map(Measurement),
            steps: steps_read,
            console: Text(self.get("console")?),
        })
    }

    fn entry(&self) -> Result<Entry, Problem> {
        let implementation_id = ImplementationId::from_bytes(self.get("implementation_id")?)
            .map_err(|_| self.bad("implementation_id"))?;
        let public_key = PublicKey::from_sec1_bytes(&self.get::<[u8; 65]>("public_key")?)
            .ok_or(self.bad("public_key"))?;
        let device_id = DeviceId(self.get("device_id")?);
        let identity = Identity { device_id, implementation_id, public_key };
        if self.get::<[u8; 33]>("ueid")? != *identity.ueid().as_bytes() {
            return Err(self.bad("ueid"));
        }
        Ok(Entry { number: self.number("entry")?, identity, record: self.get("record")? })
    }
}

/// The number of a row. SQLite has no other than an integer in a column that is INTEGER PRIMARY KEY;
/// where that was changed too, it is 0, which no link has.
pub(super) fn number(row: &rusqlite::Row<'_>) -> u64 {
    row.get::<_, i64>("number").unwrap_or_default().cast_unsigned()
}
