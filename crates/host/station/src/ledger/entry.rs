// SPDX-License-Identifier: Apache-2.0

//! One entry of the ledger, and its hash.

use provisioning::{ImplementationId, PublicKey};
use rusqlite::types::FromSql;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::Problem;
use crate::{DeviceId, Identity};

/// What stands as the previous hash in entry 1: 32 zero bytes.
pub const GENESIS: [u8; 32] = [0; 32];

/// The columns of an entry, in the order in which they are hashed, and the hash.
pub(super) const COLUMNS: &str = "number, time, port, device_id, implementation_id, ueid, \
    public_key, record, previous, hash";

/// A checked record that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Who the part is, as the record says.
    pub identity: Identity,
    /// The console port on which the record came.
    pub port: String,
    /// The record's bytes as received.
    pub record: Vec<u8>,
}

/// That an entry is kept: it outlives a killed process and a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The entry's number; the first is 1.
    pub number: u64,
    /// The entry's hash, which stands for it and for every entry before it.
    pub hash: [u8; 32],
}

/// Why an entry is not kept: each carries the number of the entry that has it already.
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
         Nothing was kept"
    )]
    SeenDeviceId(u64),
    /// Another part has this UEID, which means the same public key.
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
}

/// An entry as it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number; the first is 1.
    pub number: u64,
    /// When it was appended: UTC as RFC 3339 writes it, with milliseconds.
    pub time: String,
    /// The console port on which the record came.
    pub port: String,
    /// Who the part is.
    pub identity: Identity,
    /// The record's bytes as received.
    pub record: Vec<u8>,
    /// The hash of the entry before it, or [`GENESIS`].
    pub previous: [u8; 32],
    /// Its own hash, as it stands in the file; [`Row::computed_hash`] is what it should be.
    pub hash: [u8; 32],
}

/// What is hashed of an entry: an array, which is encoded deterministically (RFC 8949, section 4.2.1).
#[derive(minicbor::Encode)]
#[cbor(array)]
pub(super) struct Content<'a> {
    #[n(0)]
    pub(super) number: u64,
    #[n(1)]
    pub(super) time: &'a str,
    #[n(2)]
    pub(super) port: &'a str,
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(super) device_id: &'a [u8],
    #[cbor(n(4), with = "minicbor::bytes")]
    pub(super) implementation_id: &'a [u8],
    #[cbor(n(5), with = "minicbor::bytes")]
    pub(super) ueid: &'a [u8],
    #[cbor(n(6), with = "minicbor::bytes")]
    pub(super) public_key: &'a [u8],
    #[cbor(n(7), with = "minicbor::bytes")]
    pub(super) record: &'a [u8],
    #[cbor(n(8), with = "minicbor::bytes")]
    pub(super) previous: &'a [u8],
}

impl Content<'_> {
    pub(super) fn hash(&self) -> [u8; 32] {
        let bytes = minicbor::to_vec(self).expect("a Vec takes what is written to it");
        Sha256::digest(bytes).into()
    }
}

impl Row {
    /// The hash that this entry should have: see the [module](super) for the format.
    ///
    /// # Panics
    /// Never: a `Vec` takes what is encoded.
    #[must_use]
    pub fn computed_hash(&self) -> [u8; 32] {
        Content {
            number: self.number,
            time: &self.time,
            port: &self.port,
            device_id: &self.identity.device_id.0,
            implementation_id: self.identity.implementation_id.as_bytes(),
            ueid: self.identity.ueid().as_bytes(),
            public_key: self.identity.public_key.as_bytes(),
            record: &self.record,
            previous: &self.previous,
        }
        .hash()
    }

    /// Reads one row of [`COLUMNS`] and checks its form: types, lengths, and that the UEID is the
    /// public key's. A file that was tampered with can hold anything.
    pub(super) fn read(row: &rusqlite::Row<'_>) -> Result<Self, Problem> {
        fn get<T: FromSql>(row: &rusqlite::Row<'_>, column: &'static str) -> Result<T, Problem> {
            row.get(column).map_err(|_| Problem::Column(number(row), column))
        }
        let bad = |column| Problem::Column(number(row), column);
        let implementation_id = ImplementationId::from_bytes(get(row, "implementation_id")?)
            .map_err(|_| bad("implementation_id"))?;
        let public_key = PublicKey::from_sec1_bytes(&get::<[u8; 65]>(row, "public_key")?)
            .ok_or(bad("public_key"))?;
        let device_id = DeviceId(get(row, "device_id")?);
        let identity = Identity { device_id, implementation_id, public_key };
        if get::<[u8; 33]>(row, "ueid")? != *identity.ueid().as_bytes() {
            return Err(bad("ueid"));
        }
        Ok(Self {
            number: number(row),
            time: get(row, "time")?,
            port: get(row, "port")?,
            identity,
            record: get(row, "record")?,
            previous: get(row, "previous")?,
            hash: get(row, "hash")?,
        })
    }
}

/// The number of a row. SQLite has no other than an integer in a column that is INTEGER PRIMARY KEY;
/// where that was changed too, it is 0, which no entry has.
pub(super) fn number(row: &rusqlite::Row<'_>) -> u64 {
    row.get::<_, i64>("number").unwrap_or_default().cast_unsigned()
}

impl Refusal {
    /// The number of the entry that is in the way.
    #[must_use]
    pub const fn number(&self) -> u64 {
        match self {
            Self::Known(number)
            | Self::SeenDeviceId(number)
            | Self::SeenUeid(number)
            | Self::SeenPublicKey(number) => *number,
        }
    }
}
