// SPDX-License-Identifier: Apache-2.0

//! Why a verifier has not taken endorsements, and whether that is certain.

use std::io::ErrorKind;

use thiserror::Error;
use ureq::Timeout;
use ureq::http::StatusCode;

use super::AddressError;

/// Endorsements that the verifier has not taken, as far as is known.
#[derive(Debug, Error)]
#[error("{error}")]
pub struct NotTaken {
    /// Why.
    #[source]
    pub error: SubmitError,
    /// Whether it is certain that it does not have them.
    pub is_certain: bool,
}

/// Why no verifier can be reached in this way.
#[derive(Debug, Error)]
pub enum ConnectionError {
    /// The address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The file of the certificate authorities has none.
    #[error("there is no certificate among the certificate authorities. They must be PEM")]
    NoCa,
    /// The token cannot be sent.
    #[error("the token has other characters than a token can have: letters, digits and -._~+/=")]
    Token,
}

/// Why a verifier has not taken endorsements.
#[derive(Debug, Error)]
pub enum SubmitError {
    /// There is no connection.
    #[error("the verifier cannot be reached: {0}")]
    Unreachable(#[source] Box<ureq::Error>),
    /// It has not answered, or not to the end.
    #[error("the verifier has not answered: {0}")]
    NoAnswer(#[source] Box<ureq::Error>),
    /// It refuses them.
    #[error("the verifier refuses this: {status}{why}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it says, and what to do.
        why: String,
    },
    /// It does not know the media type.
    #[error(
        "the verifier does not take {sent}. It takes: {takes}. Export in the profile of this version of Veraison \
         (--profile)"
    )]
    MediaType {
        /// The media type that was sent.
        sent: String,
        /// What it takes, by its own words.
        takes: String,
    },
    /// It sends the station elsewhere.
    #[error(
        "the verifier is not here: it names {to} instead ({status}). If that is right, give it as the address"
    )]
    Moved {
        /// The status.
        status: StatusCode,
        /// Where to.
        to: String,
    },
    /// It has a fault.
    #[error("the verifier has a fault: {status}{why}")]
    Fault {
        /// The status.
        status: StatusCode,
        /// What it says.
        why: String,
    },
    /// What has answered is no provisioning API.
    #[error(
        "this is no answer of a verifier's provisioning API ({status}): {what}. Is the address right?"
    )]
    NotASession {
        /// The status.
        status: StatusCode,
        /// What is wrong with the answer.
        what: String,
    },
    /// It has looked at them, and does not take them.
    #[error("the verifier does not take the endorsements: {0}")]
    Failed(String),
    /// Its own services have lost each other.
    #[error("the verifier does not know what has become of the endorsements: {0}")]
    Lost(String),
    /// It has others of this name.
    #[error(
        "the verifier has endorsements of the same identifier with other bytes, as of the same parts that were signed \
         once more: {0}"
    )]
    Other(String),
    /// The session is not over.
    #[error("the verifier was still processing the endorsements after {0} seconds")]
    Stuck(u64),
    /// The session cannot be looked at.
    #[error(
        "the verifier is processing the endorsements, and its session cannot be looked at: {0}"
    )]
    NoSession(String),
}

impl SubmitError {
    /// Whether this answer leaves no doubt that the verifier did not take what was sent with it.
    pub(super) const fn is_certain(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Refused { .. }
            | Self::MediaType { .. }
            | Self::Moved { .. }
            | Self::Failed(_) => true,
            Self::NoAnswer(_)
            | Self::Fault { .. }
            | Self::NotASession { .. }
            | Self::Lost(_)
            | Self::Other(_)
            | Self::Stuck(_)
            | Self::NoSession(_) => false,
        }
    }

    /// Whether the same once more may be answered.
    pub(super) const fn is_worth_another_try(&self) -> bool {
        matches!(self, Self::NoAnswer(_) | Self::Fault { .. } | Self::Lost(_))
    }
}

/// Whether there was a connection at all decides whether anything was sent.
pub(super) fn no_answer(error: ureq::Error) -> SubmitError {
    let is_unsent = match &error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::InvalidProxyUrl
        | ureq::Error::BadUri(_)
        | ureq::Error::Tls(_)
        | ureq::Error::TlsRequired
        | ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => true,
        ureq::Error::Rustls(error) => is_bad_certificate(error),
        ureq::Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(error) => is_bad_certificate(error),
            None => matches!(
                error.kind(),
                ErrorKind::ConnectionRefused
                    | ErrorKind::HostUnreachable
                    | ErrorKind::NetworkUnreachable
            ),
        },
        _ => false,
    };
    let error = Box::new(error);
    if is_unsent { SubmitError::Unreachable(error) } else { SubmitError::NoAnswer(error) }
}

/// The certificate is looked at before anything is sent.
const fn is_bad_certificate(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(_))
}
