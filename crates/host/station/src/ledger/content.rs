// SPDX-License-Identifier: Apache-2.0

//! A link as the bytes that its hash is over, to be sent elsewhere and read again.

use std::convert::Infallible;

use minicbor::data::Type;
use minicbor::decode::Error as DecodeError;
use minicbor::{Decoder, Encoder};
use rusqlite::types::{Value, ValueRef};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::link::{Columns, LINKS_BETWEEN, Places, encode};
use super::{Ledger, LedgerError, Link, Problem, Receipt};

/// The columns of a link, in their order.
const LINK: &[&str] =
    &["number", "time", "clock_accepted", "station", "operator", "version", "kind", "previous"];

/// The columns of a fact's rows, by its kind, in their order. The first name is that of the column that shows that
/// there is such a row.
const FACTS: &[(&str, &str, &[&str])] = &[
    ("attempt", "attempts.link", &["port", "batch", "attempts.serial_number"]),
    (
        "outcome",
        "outcomes.link",
        &[
            "outcomes.attempt",
            "result",
            "error",
            "failure",
            "outcomes.text",
            "seen",
            "outcomes.serial_number",
            "outcomes.device_id",
            "outcomes.ueid",
            "image",
            "steps",
            "console",
        ],
    ),
    (
        "program",
        "programs.link",
        &[
            "programs.attempt",
            "step",
            "command",
            "succeeded",
            "programs.text",
            "milliseconds",
            "output",
        ],
    ),
    ("withdrawal", "withdrawals.link", &["entry", "reason"]),
    ("export", "exports.link", &["verifier", "profile", "first", "last", "parts", "sha256"]),
];

/// The columns of an outcome's entry, in their order.
const ENTRY: &[&str] = &[
    "entries.number",
    "entries.device_id",
    "implementation_id",
    "entries.ueid",
    "public_key",
    "record",
];

/// Why bytes are not those of a link.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ContentError {
    /// They are not the CBOR of a link, or not its deterministic encoding.
    #[error("this is not the content of a link")]
    NotALink,
    /// A column does not have the form that it must have.
    #[error(transparent)]
    Form(#[from] Problem),
}

impl From<DecodeError> for ContentError {
    fn from(_: DecodeError) -> Self {
        Self::NotALink
    }
}

impl Link {
    /// The deterministic CBOR whose SHA-256 is the link's hash: see the [module](super) for the format.
    ///
    /// # Panics
    /// Never: a `Vec` takes what is encoded.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        self.encode(&mut encoder).expect("a Vec takes what is written to it");
        encoder.into_writer()
    }

    /// The link of this content. Its hash is that of the content.
    ///
    /// # Errors
    /// The bytes are not what [`Link::content`] gives for any link: other bytes may not mean the same.
    pub fn from_content(content: &[u8]) -> Result<Self, ContentError> {
        let mut decoder = Decoder::new(content);
        let rows = read_rows(&mut decoder)?;
        let hash = Sha256::digest(content);
        let columns = |column: &str| {
            Ok(match column {
                "hash" => ValueRef::Blob(&hash),
                _ => rows
                    .iter()
                    .find(|(name, _)| *name == column)
                    .map_or(ValueRef::Null, |(_, value)| value.into()),
            })
        };
        let number = match columns("number") {
            Ok(ValueRef::Integer(number)) => number.cast_unsigned(),
            _ => return Err(ContentError::NotALink),
        };
        let link = Self::of(&Columns { number, column: &columns })?;
        if link.content() == content { Ok(link) } else { Err(ContentError::NotALink) }
    }

    fn encode(&self, e: &mut Encoder<Vec<u8>>) -> Result<(), minicbor::encode::Error<Infallible>> {
        let (columns, rows) = (self.columns(), self.fact.rows());
        e.array((columns.len() + rows.len()) as u64)?;
        columns.iter().try_for_each(|column| encode(e, column))?;
        for (_, columns) in rows {
            e.array(columns.len() as u64)?;
            columns.iter().try_for_each(|column| encode(e, column))?;
        }
        Ok(())
    }
}

/// Every column that a content has, by the name that a query of the links gives it.
fn read_rows(d: &mut Decoder<'_>) -> Result<Vec<(&'static str, Value)>, ContentError> {
    let elements = d.array()?.ok_or(ContentError::NotALink)?;
    let mut rows = read_columns(d, LINK)?;
    let Some((_, Value::Text(kind))) = rows.iter().find(|(name, _)| *name == "kind") else {
        return Err(ContentError::NotALink);
    };
    let fact = FACTS.iter().find(|(name, ..)| name == kind);
    let (_, is_there, columns) = *fact.ok_or(ContentError::NotALink)?;
    rows.push((is_there, Value::Integer(1)));
    rows.extend(read_row(d, columns)?);
    match elements.checked_sub(LINK.len() as u64) {
        Some(1) => {}
        Some(2) => rows.extend(read_row(d, ENTRY)?),
        _ => return Err(ContentError::NotALink),
    }
    Ok(rows)
}

fn read_row(
    d: &mut Decoder<'_>,
    columns: &[&'static str],
) -> Result<Vec<(&'static str, Value)>, ContentError> {
    match d.array()? {
        Some(length) if length == columns.len() as u64 => read_columns(d, columns),
        _ => Err(ContentError::NotALink),
    }
}

fn read_columns(
    d: &mut Decoder<'_>,
    columns: &[&'static str],
) -> Result<Vec<(&'static str, Value)>, ContentError> {
    columns.iter().map(|name| Ok((*name, read_value(d)?))).collect()
}

fn read_value(d: &mut Decoder<'_>) -> Result<Value, ContentError> {
    Ok(match d.datatype()? {
        Type::Null => d.null().map(|()| Value::Null)?,
        Type::String => Value::Text(d.str()?.to_owned()),
        Type::Bytes => Value::Blob(d.bytes()?.to_owned()),
        _ => Value::Integer(d.i64()?),
    })
}

impl Ledger {
    /// The links that follow `last`, in their order, up to the number `end`, each with its content. Each was checked:
    /// it follows the one before it, the first `last`, and has the hash of its content. What it says was not.
    ///
    /// # Errors
    /// The file cannot be read, or one of them is bad.
    pub fn links_after(
        &self,
        last: Receipt,
        end: u64,
    ) -> Result<Vec<(Link, Vec<u8>)>, LedgerError> {
        let first = last.number.saturating_add(1);
        let read = || -> rusqlite::Result<Result<Vec<_>, _>> {
            let mut statement = self.connection.prepare_cached(LINKS_BETWEEN)?;
            let places = Places::of(&statement);
            let numbers = [first.cast_signed(), end.cast_signed()];
            statement.query_map(numbers, |row| Ok(Link::read(row, &places)))?.collect()
        };
        let links: Vec<Link> =
            read().map_err(|error| self.error(error))?.map_err(|problem| self.damaged(problem))?;
        let mut before = last;
        let checked = links.into_iter().map(|link| {
            let content = link.content();
            let problem = if link.number != before.number + 1 {
                Some(Problem::Number(before.number, link.number))
            } else if link.previous != before.hash {
                Some(Problem::Previous(link.number))
            } else if link.hash != *Sha256::digest(&content) {
                Some(Problem::Hash(link.number))
            } else {
                None
            };
            before = Receipt { number: link.number, hash: link.hash };
            problem.map_or(Ok((link, content)), |problem| Err(self.damaged(problem)))
        });
        checked.collect()
    }
}
