// SPDX-License-Identifier: Apache-2.0

//! What can go wrong with the hub, in the words that an operator reads.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use base16ct::lower::encode_string as hex;
use thiserror::Error;
use tokio_postgres::error::SqlState;

use crate::ledger::{LedgerError, Receipt};

/// Why the hub cannot be used. What it has acknowledged before is kept.
#[derive(Debug, Error)]
pub enum HubError {
    /// The name of the hub cannot be read.
    #[error("this is not a hub ({0}). Write postgres://ROLE@HOST/DATABASE")]
    Url(String),
    /// It has a password in it.
    #[error(
        "the name of the hub has a password in it, which other users of this machine can read. Change that password, \
         and put the new one into a file that only you can read: password_file in the station file, or ~/.pgpass"
    )]
    PasswordInUrl,
    /// A file with a password cannot be used.
    #[error("{}: {}", .0.display(), .1)]
    PasswordFile(PathBuf, String),
    /// The hub is elsewhere, and nothing says which certificates are good.
    #[error(
        "{0} is another machine, so the connection has to be encrypted, and the server's certificate checked. Name the \
         certificate of the authority that has signed it: ca = \"FILE.pem\" below [hub] in the station file, or --ca"
    )]
    NoCa(String),
    /// An authority is named, and TLS is switched off.
    #[error(
        "the name of the hub says sslmode=disable, and an authority is named. Leave one of them out"
    )]
    TlsDisabled,
    /// The certificates of the authority cannot be read.
    #[error("{}: {}. It has to hold certificates in PEM", .0.display(), .1)]
    Ca(PathBuf, String),
    /// The server has no TLS.
    #[error(
        "{0}: the server does not encrypt. Nothing was sent. Have its administrator set ssl = on in postgresql.conf, \
         with a certificate"
    )]
    NoTls(String),
    /// The server's certificate is not good.
    #[error(
        "{0}: the certificate of the server is not good: {1}. Nothing was sent: someone may be between here and the \
         hub. Check the name of the hub, and the authority's certificate that the station file names"
    )]
    Certificate(String, String),
    /// The server cannot be reached, or is not ready.
    #[error("{0} cannot be reached: {1}")]
    Unreachable(String, String),
    /// The role may not log in.
    #[error(
        "{0}: {1}. Check the role in the name of the hub, and its password: password_file in the station file, or \
         ~/.pgpass"
    )]
    Login(String, String),
    /// No answer.
    #[error("{} has not answered for {} seconds", .0, .1.as_secs())]
    Silent(String, Duration),
    /// The database has no hub.
    #[error("{0}: there is no hub in this database. The hub's owner makes one: station hub init")]
    NotAHub(String),
    /// The hub's tables have another version.
    #[error(
        "{}: the hub has version {}, and this program works with version {}. {}",
        .0, .1, super::VERSION, advice_on_version(*.1)
    )]
    Version(String, i32),
    /// The role may not do this.
    #[error("{0}: {1}. Is the role enrolled? The hub's owner does it: station hub enroll")]
    Right(String, String),
    /// The ledger is signed by nobody.
    #[error(
        "this ledger has no station key, so nobody could tell whose it is. Make a key and a ledger that goes on with \
         this one: station init --continues LEDGER"
    )]
    NoKey,
    /// Nobody signs what is sent.
    #[error(
        "what is sent to the hub is signed by the station key. Give --key, or key = \"FILE\" in the station file"
    )]
    NoSigner,
    /// The role is not enrolled with this key.
    #[error(
        "the hub does not know the key of this station with the role {role}. Have the hub's owner enroll it: station hub \
         enroll {role} --key {verifier}"
    )]
    NotEnrolled {
        /// The role that has logged in.
        role: String,
        /// The verifier key of the ledger.
        verifier: String,
    },
    /// Another role has begun this ledger at the hub.
    #[error("the hub has this ledger as that of the role {0}. Log in as {0}")]
    OtherRole(String),
    /// The file and the hub contradict each other.
    #[error("ALARM: {0}")]
    Alarm(#[from] Alarm),
    /// The record of an entry is bad.
    #[error(
        "link {0}: its record is bad: {1}. It was not sent. Stop the line and audit the ledger"
    )]
    Record(u64, String),
    /// The ledger says no.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Nothing was given to the verifier, since the hub has changed meanwhile.
    #[error(
        "another program has exported for this verifier meanwhile, or a part was withdrawn or claimed by another station. \
         Nothing was kept as given. Export again"
    )]
    Meanwhile,
    /// A submission is settled already.
    #[error(
        "somebody has settled this submission meanwhile, with --settle or by sending it again. Submit again, which begins \
         with what the hub says now"
    )]
    Settled,
    /// The hub has no such ledger.
    #[error("{0}")]
    NoLedger(String),
    /// What the hub has of a ledger is not good.
    #[error(
        "link {0}: what the hub has is not the content of a link that follows link {1}. Audit the hub: station audit --hub"
    )]
    Content(u64, u64),
    /// The hub has less of a ledger than it had.
    #[error(
        "the hub lacks link {0}, which it had: it was restored from a backup, or somebody has taken links away. Have every \
         station push, and audit the hub: station audit --hub"
    )]
    Lacks(u64),
    /// A file cannot be read or written.
    #[error("{}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
    /// A role cannot be enrolled.
    #[error("{0}")]
    Enrol(String),
    /// The tables cannot be made.
    #[error("{0}: the tables of the hub cannot be made: {1}")]
    Migration(String, String),
    /// PostgreSQL says something else.
    #[error("{hub}: {}", with_detail(.error))]
    Database {
        /// The hub.
        hub: String,
        /// What it says.
        #[source]
        error: tokio_postgres::Error,
    },
}

/// The file and the hub contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Alarm {
    /// Both have a link of this number, and they are not the same.
    #[error(
        "the hub has another link {number} than this file. Here: {}. At the hub: {}. The ledger was forked: it was \
         restored from a copy or rolled back, and went on, or someone has changed it. Nothing was sent. Stop the line, \
         keep the file as it is, and see \"Alarms\" in the manual",
        hex(here),
        hex(there)
    )]
    Fork {
        /// The first link that is not the same.
        number: u64,
        /// Its hash in the file.
        here: [u8; 32],
        /// Its hash at the hub.
        there: [u8; 32],
    },
    /// The hub has links that the file lacks.
    #[error(
        "the hub has {} links of this ledger, and this file ends with link {here}. The file was rolled back, or is an \
         older copy. Nothing was sent. Stop the line, keep the file as it is, and see \"Alarms\" in the manual",
        there.number
    )]
    Behind {
        /// The last link of the file.
        here: u64,
        /// The last one at the hub.
        there: Receipt,
    },
}

impl HubError {
    /// Whether it can go by itself: the same may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(..) | Self::Silent(..) => true,
            Self::Database { error, .. } => match error.code() {
                // Class 08: connection; 53: out of resources; 57P: shutting down, or starting.
                Some(code) => {
                    let class = &code.code()[..2];
                    class == "08"
                        || class == "53"
                        || class == "58"
                        || [
                            SqlState::T_R_DEADLOCK_DETECTED,
                            SqlState::T_R_SERIALIZATION_FAILURE,
                            SqlState::LOCK_NOT_AVAILABLE,
                            SqlState::QUERY_CANCELED,
                            SqlState::ADMIN_SHUTDOWN,
                            SqlState::CRASH_SHUTDOWN,
                            SqlState::CANNOT_CONNECT_NOW,
                            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                        ]
                        .contains(code)
                }
                // The connection broke.
                None => error.is_closed() || cause::<io::Error>(error).is_some(),
            },
            _ => false,
        }
    }

    /// Whether the ledger was lost, damaged or changed, and not only cannot be sent now.
    #[must_use]
    pub const fn is_loss(&self) -> bool {
        match self {
            Self::Alarm(_) | Self::Record(..) => true,
            Self::Ledger(error) => error.is_loss(),
            _ => false,
        }
    }

    /// What PostgreSQL has said to a statement.
    pub(super) fn of(hub: &impl ToString, error: tokio_postgres::Error) -> Self {
        let hub = hub.to_string();
        match error.code() {
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Self::Right(hub, message(&error)),
            _ => Self::Database { hub, error },
        }
    }

    /// What went wrong while connecting.
    pub(super) fn of_connect(hub: &impl ToString, error: tokio_postgres::Error) -> Self {
        let hub = hub.to_string();
        if let Some(error) = cause::<rustls::Error>(&error) {
            let why = match error {
                rustls::Error::InvalidCertificate(error) => match error {
                    // Another authority, of another name or of the same.
                    rustls::CertificateError::UnknownIssuer
                    | rustls::CertificateError::BadSignature => {
                        "the authority that was named has not signed it".to_owned()
                    }
                    other => other.to_string(),
                },
                other => other.to_string(),
            };
            return Self::Certificate(hub, why);
        }
        if error.to_string().contains("server does not support TLS")
            || whole(&error).contains("server does not support TLS")
        {
            return Self::NoTls(hub);
        }
        match error.code().map(SqlState::code) {
            Some("57P03" | "53300" | "57P01" | "57P02") => Self::Unreachable(hub, message(&error)),
            Some(code) if code.starts_with("28") || code == "3D000" => {
                Self::Login(hub, message(&error))
            }
            Some(_) => Self::of(&hub, error),
            None if cause::<io::Error>(&error).is_some() || error.is_closed() => {
                Self::Unreachable(hub, whole(&error))
            }
            // Such as a password that is wanted, and missing.
            None => Self::Login(hub, whole(&error)),
        }
    }
}

/// The first cause of this type.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        // What an I/O error wraps is not its source, but stands in its place.
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && let Some(found) = cause::<T>(inner)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error and its causes.
fn whole(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = error.source();
    }
    text
}

/// What the server itself has said.
fn message(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| whole(error), |error| error.message().to_owned())
}

fn with_detail(error: &tokio_postgres::Error) -> String {
    let detail = error.as_db_error().and_then(|error| error.detail());
    detail.map_or_else(|| message(error), |detail| format!("{} ({detail})", message(error)))
}

const fn advice_on_version(theirs: i32) -> &'static str {
    if theirs < super::VERSION {
        "Have the hub's owner bring it up to date: station hub init"
    } else {
        "Install the program that the other stations have"
    }
}
