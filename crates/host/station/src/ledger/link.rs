// SPDX-License-Identifier: Apache-2.0

//! One link of the chain, the fact that it says, and its hash.

use std::collections::HashMap;
use std::convert::Infallible;

use jiff::Timestamp;
use minicbor::Encoder;
use minicbor::encode::Error as EncodeError;
use provisioning::{ImplementationId, Measurement, PublicKey, Ueid};
use rusqlite::types::{FromSql, Value, ValueRef};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{Problem, Text};
use crate::{DeviceId, Identity};

/// 32 zero bytes: no link's hash. What stood as the previous hash in link 1 before format 3 had [`super::Origin`].
pub const GENESIS: [u8; 32] = [0; 32];

// The statements that insert a link and the rows of its fact, in the order of their columns.
pub(super) const INSERT_LINK: &str = "INSERT INTO links VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(super) const INSERT_ATTEMPT: &str = "INSERT INTO attempts VALUES (?, ?, ?, ?)";
pub(super) const INSERT_OUTCOME: &str =
    "INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(super) const INSERT_ENTRY: &str = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)";
pub(super) const INSERT_PROGRAM: &str = "INSERT INTO programs VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
pub(super) const INSERT_WITHDRAWAL: &str = "INSERT INTO withdrawals VALUES (?, ?, ?)";
pub(super) const INSERT_EXPORT: &str = "INSERT INTO exports VALUES (?, ?, ?, ?, ?, ?, ?)";

/// Every column of links, whatever their kind. Columns of the same name have that of their table before it.
macro_rules! links {
    ($which:literal) => {
        concat!(
            "SELECT links.*, \
     attempts.link AS \"attempts.link\", attempts.port, attempts.batch, \
        attempts.serial_number AS \"attempts.serial_number\", \
     outcomes.link AS \"outcomes.link\", outcomes.attempt AS \"outcomes.attempt\", outcomes.result, outcomes.error, \
        outcomes.failure, outcomes.text AS \"outcomes.text\", outcomes.seen, \
        outcomes.serial_number AS \"outcomes.serial_number\", outcomes.device_id AS \"outcomes.device_id\", \
        outcomes.ueid AS \"outcomes.ueid\", outcomes.image, outcomes.steps, outcomes.console, \
     entries.number AS \"entries.number\", entries.device_id AS \"entries.device_id\", entries.implementation_id, \
        entries.ueid AS \"entries.ueid\", entries.public_key, entries.record, \
     programs.link AS \"programs.link\", programs.attempt AS \"programs.attempt\", programs.step, programs.command, \
        programs.succeeded, programs.text AS \"programs.text\", programs.milliseconds, programs.output, \
     withdrawals.link AS \"withdrawals.link\", withdrawals.entry, withdrawals.reason, \
     exports.link AS \"exports.link\", exports.verifier, exports.profile, exports.first, exports.last, exports.parts, \
        exports.sha256, \
     (SELECT link FROM withdrawals WHERE entry = entries.number) AS withdrawn \
     FROM links \
     LEFT JOIN attempts ON attempts.link = links.number \
     LEFT JOIN outcomes ON outcomes.link = links.number \
     LEFT JOIN entries ON entries.link = links.number \
     LEFT JOIN programs ON programs.link = links.number \
     LEFT JOIN withdrawals ON withdrawals.link = links.number \
     LEFT JOIN exports ON exports.link = links.number",
            $which
        )
    };
}

/// All of them, in their order.
pub(super) const LINKS: &str = links!(" ORDER BY links.number");

/// Those from one number to another, in their order.
pub(super) const LINKS_BETWEEN: &str =
    links!(" WHERE links.number BETWEEN ?1 AND ?2 ORDER BY links.number");

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
    /// The hash of the link before it; in link 1 that of the [origin](super::Origin::hash).
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
    #[error("this part is in the ledger already, as entry {0}. Nothing was entered")]
    Known(u64),
    /// The part is in the ledger with another identity: it was erased and provisioned again.
    #[error(
        "this part is in the ledger as entry {0} with another identity, so it was erased since. Set it aside. \
         Nothing was entered. If it was erased on purpose, withdraw the old entry first: station replace {0}"
    )]
    SeenDeviceId(u64),
    /// The part's entry was withdrawn, and the part is as it was.
    #[error(
        "entry {0} of this part was withdrawn, and the part still has the identity of that entry. Nothing was \
         entered. Erase it, then start it again"
    )]
    Withdrawn(u64),
    /// Another part has this UEID, which means the same public key; or this one had it before it was erased.
    #[error(
        "the part of entry {0} has the same UEID, so both have the same identity key. Set both aside. Nothing was \
         entered"
    )]
    SeenUeid(u64),
    /// Another part has this public key with another UEID, which no entry of this program can have.
    #[error(
        "entry {0} has the same public key under another UEID, so the ledger is damaged. Stop and audit it. \
         Nothing was entered"
    )]
    SeenPublicKey(u64),
    /// The part is in the ledger, as it is now, with another serial number.
    #[error(
        "this part is in the ledger already, as entry {0}, with another serial number. Check its label, and what entry \
         {0} says. Nothing was entered"
    )]
    OtherSerialNumber(u64),
    /// Another part has this serial number.
    #[error(
        "the part of entry {0} has the same serial number. Check both labels; if one was read wrongly, start the \
         part again and give the right one. Nothing was entered"
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
            | Self::Withdrawn(number)
            | Self::SeenUeid(number)
            | Self::SeenPublicKey(number)
            | Self::SeenSerialNumber(number)
            | Self::OtherSerialNumber(number) => *number,
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

    /// Its rows: for each the statement that inserts it, and its columns without the first, which is `link`.
    pub(super) fn rows(&self) -> Vec<(&'static str, Vec<Value>)> {
        match self {
            Self::Attempt(Attempt { port, batch, serial_number }) => vec![(
                INSERT_ATTEMPT,
                vec![port.clone().into(), batch.clone().into(), serial_number.clone().into()],
            )],
            Self::Outcome(outcome) => {
                let mut rows = vec![(INSERT_OUTCOME, outcome.columns())];
                if let End::Good(entry) = &outcome.end {
                    rows.push((INSERT_ENTRY, entry.columns()));
                }
                rows
            }
            Self::Program(program) => vec![(
                INSERT_PROGRAM,
                vec![
                    integer(program.attempt),
                    program.step.clone().into(),
                    program.command.clone().into(),
                    program.succeeded.into(),
                    program.text.clone().into(),
                    integer(program.milliseconds),
                    program.output.0.clone().into(),
                ],
            )],
            Self::Withdrawal(Withdrawal { entry, reason }) => {
                vec![(INSERT_WITHDRAWAL, vec![integer(*entry), reason.clone().into()])]
            }
            Self::Export(export) => vec![(
                INSERT_EXPORT,
                vec![
                    export.verifier.clone().into(),
                    export.profile.clone().into(),
                    integer(export.first),
                    integer(export.last),
                    integer(export.parts),
                    export.sha256.to_vec().into(),
                ],
            )],
        }
    }
}

impl Outcome {
    /// Which part it is, where that is known.
    #[must_use]
    pub fn part(&self) -> Option<(DeviceId, Ueid)> {
        match &self.end {
            End::Good(Entry { identity, .. }) => Some((identity.device_id, identity.ueid())),
            End::Known { part, .. } => Some(*part),
            End::Failed(failed) => failed.part,
        }
    }

    /// The columns of its row, without `link`.
    fn columns(&self) -> Vec<Value> {
        let (failed, seen, part) = match &self.end {
            End::Good(_) => (None, None, None),
            End::Known { seen, part } => (None, Some(*seen), Some(part)),
            End::Failed(failed) => (Some(failed), failed.seen, failed.part.as_ref()),
        };
        vec![
            integer(self.attempt),
            self.end.name().to_owned().into(),
            failed.map(|failed| failed.error.clone()).into(),
            failed.and_then(|failed| failed.failure).into(),
            failed.map(|failed| failed.text.clone()).into(),
            seen.map(integer).into(),
            self.serial_number.clone().into(),
            part.map(|(device_id, _)| device_id.0.to_vec()).into(),
            part.map(|(_, ueid)| ueid.as_bytes().to_vec()).into(),
            self.image.map(|image| image.0.to_vec()).into(),
            steps_to_json(&self.steps).into(),
            self.console.0.clone().into(),
        ]
    }
}

impl Entry {
    /// The columns of its row, without `link`.
    pub(super) fn columns(&self) -> Vec<Value> {
        let Identity { device_id, implementation_id, public_key } = &self.identity;
        vec![
            integer(self.number),
            device_id.0.to_vec().into(),
            implementation_id.as_bytes().to_vec().into(),
            self.identity.ueid().as_bytes().to_vec().into(),
            public_key.as_bytes().to_vec().into(),
            self.record.clone().into(),
        ]
    }
}

/// A number as SQLite has it.
fn integer(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
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

    /// The columns of its row, without the last, which is `hash`.
    pub(super) fn columns(&self) -> Vec<Value> {
        vec![
            integer(self.number),
            self.time.as_millisecond().into(),
            self.clock_accepted.into(),
            self.author.station.clone().into(),
            self.author.operator.clone().into(),
            self.version.clone().into(),
            self.fact.kind().to_owned().into(),
            self.previous.to_vec().into(),
        ]
    }

    /// The hash that this link should have: see the [module](super) for the format.
    ///
    /// # Panics
    /// Never: a `Vec` takes what is encoded.
    #[must_use]
    pub fn computed_hash(&self) -> [u8; 32] {
        Sha256::digest(self.content()).into()
    }

    /// Reads one row of [`LINKS`] and checks its form: types, lengths, that it has the row that its kind has and no
    /// other, and that the UEID is the public key's. A file that was tampered with can hold anything.
    pub(super) fn read(row: &rusqlite::Row<'_>, places: &Places) -> Result<Self, Problem> {
        Self::of(&Columns { number: places.number(row), column: &|name| places.get(row, name) })
    }

    /// As [`Link::read`], of columns from anywhere.
    pub(super) fn of(get: &Columns<'_>) -> Result<Self, Problem> {
        let kind: String = get.get("kind")?;
        let is_good = get.get::<Option<String>>("result")?.as_deref() == Some("good");
        // Its rows are in the table of its kind, and in no other.
        for (column, is_there) in [
            ("attempts.link", kind == "attempt"),
            ("outcomes.link", kind == "outcome"),
            ("entries.number", kind == "outcome" && is_good),
            ("programs.link", kind == "program"),
            ("withdrawals.link", kind == "withdrawal"),
            ("exports.link", kind == "export"),
        ] {
            if get.get::<Option<i64>>(column)?.is_some() != is_there {
                return Err(get.bad("kind"));
            }
        }
        let fact = match kind.as_str() {
            "attempt" => Fact::Attempt(Attempt {
                port: get.get("port")?,
                batch: get.get("batch")?,
                serial_number: get.get("attempts.serial_number")?,
            }),
            "outcome" => Fact::Outcome(Box::new(get.outcome()?)),
            "program" => Fact::Program(Program {
                attempt: get.number("programs.attempt")?,
                step: get.get("step")?,
                command: get.get("command")?,
                succeeded: get.get("succeeded")?,
                text: get.get("programs.text")?,
                milliseconds: get.number("milliseconds")?,
                output: Text(get.get("output")?),
            }),
            "withdrawal" => Fact::Withdrawal(Withdrawal {
                entry: get.number("entry")?,
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
        Ok(Self {
            number: get.number,
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

/// A column as SQLite has it, in CBOR.
pub(super) fn encode(
    e: &mut Encoder<Vec<u8>>,
    column: &Value,
) -> Result<(), EncodeError<Infallible>> {
    match column {
        Value::Null => e.null()?,
        Value::Integer(number) => e.i64(*number)?,
        Value::Real(number) => e.f64(*number)?,
        Value::Text(text) => e.str(text)?,
        Value::Blob(bytes) => e.bytes(bytes)?,
    };
    Ok(())
}

/// SHA-256 over the array of these columns.
pub(super) fn hash_of(columns: &[Value]) -> [u8; 32] {
    let mut encoder = Encoder::new(Vec::new());
    encoder
        .array(columns.len() as u64)
        .and_then(|e| columns.iter().try_for_each(|column| encode(e, column)))
        .expect("a Vec takes what is written to it");
    Sha256::digest(encoder.into_writer()).into()
}

/// The columns of a row of [`LINKS`], or of a content.
pub(super) struct Columns<'a> {
    /// The number of the link.
    pub(super) number: u64,
    /// The value of the column with this name.
    pub(super) column: &'a dyn Fn(&str) -> rusqlite::Result<ValueRef<'a>>,
}

impl Columns<'_> {
    pub(super) fn bad(&self, column: &'static str) -> Problem {
        Problem::Column(self.number, column)
    }

    pub(super) fn get<T: FromSql>(&self, column: &'static str) -> Result<T, Problem> {
        let value = (self.column)(column).map_err(|_| self.bad(column))?;
        T::column_result(value).map_err(|_| self.bad(column))
    }

    fn number(&self, column: &'static str) -> Result<u64, Problem> {
        u64::try_from(self.get::<i64>(column)?).map_err(|_| self.bad(column))
    }

    fn outcome(&self) -> Result<Outcome, Problem> {
        let seen = self.get::<Option<i64>>("seen")?;
        let seen =
            seen.map(|seen| u64::try_from(seen).map_err(|_| self.bad("seen"))).transpose()?;
        let device_id = self.get::<Option<[u8; 8]>>("outcomes.device_id")?.map(DeviceId);
        let ueid = self.get::<Option<[u8; 33]>>("outcomes.ueid")?;
        let ueid =
            ueid.map(|ueid| Ueid::from_bytes(ueid).ok_or(self.bad("outcomes.ueid"))).transpose()?;
        let (error, words) =
            (self.get::<Option<String>>("error")?, self.get::<Option<String>>("outcomes.text")?);
        let failure: Option<u8> = self.get("failure")?;
        let part = device_id.zip(ueid);
        if device_id.is_some() != ueid.is_some() {
            return Err(self.bad("outcomes.ueid"));
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
            attempt: self.number("outcomes.attempt")?,
            end,
            serial_number: self.get("outcomes.serial_number")?,
            image: self.get::<Option<[u8; 32]>>("image")?.map(Measurement),
            steps: steps_read,
            console: Text(self.get("console")?),
        })
    }

    pub(super) fn entry(&self) -> Result<Entry, Problem> {
        let implementation_id = ImplementationId::from_bytes(self.get("implementation_id")?)
            .map_err(|_| self.bad("implementation_id"))?;
        let public_key = PublicKey::from_sec1_bytes(&self.get::<[u8; 65]>("public_key")?)
            .ok_or(self.bad("public_key"))?;
        let device_id = DeviceId(self.get("entries.device_id")?);
        let identity = Identity { device_id, implementation_id, public_key };
        if self.get::<[u8; 33]>("entries.ueid")? != *identity.ueid().as_bytes() {
            return Err(self.bad("entries.ueid"));
        }
        Ok(Entry { number: self.number("entries.number")?, identity, record: self.get("record")? })
    }
}

/// Where the columns of a statement are. SQLite looks through all their names for each that is asked for, which takes
/// longer than to read the row.
pub(super) struct Places(HashMap<String, usize>);

impl Places {
    pub(super) fn of(statement: &rusqlite::Statement<'_>) -> Self {
        let names = statement.column_names().map(str::to_owned);
        // Of two that have the same name the first, as with SQLite: that of `links`.
        let mut places = HashMap::new();
        for (place, name) in names.enumerate() {
            places.entry(name).or_insert(place);
        }
        Self(places)
    }

    /// The value of the column with this name.
    pub(super) fn get<'a>(
        &self,
        row: &'a rusqlite::Row<'_>,
        name: &str,
    ) -> rusqlite::Result<ValueRef<'a>> {
        match self.0.get(name) {
            Some(place) => row.get_ref(*place),
            None => Err(rusqlite::Error::InvalidColumnName(name.to_owned())),
        }
    }

    /// The number of a row. SQLite has no other than an integer in a column that is INTEGER PRIMARY KEY;
    /// where that was changed too, it is 0, which no link has.
    pub(super) fn number(&self, row: &rusqlite::Row<'_>) -> u64 {
        match self.get(row, "number") {
            Ok(ValueRef::Integer(number)) => number.cast_unsigned(),
            _ => 0,
        }
    }
}
