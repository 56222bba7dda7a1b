// SPDX-License-Identifier: Apache-2.0

//! Endorsements to a verifier: Veraison's provisioning API.
//!
//! What it does was read from veraison/services (`provisioning/api/handler.go` and
//! `vts/trustedservices/trustedservices_grpc.go`, v0.0.2409 to 6b88102), from its client (veraison/apiclient,
//! `provisioning/provisioning.go` at ab8774e) and from its description (veraison/docs,
//! `api/endorsement-provisioning/README.md` at 5d17472):
//!
//! - `POST endorsement-provisioning/v1/submit` takes a CoRIM; its media type has the profile, which must be that of the
//!   CoRIM. A media type that is not known is refused with 415 before the body is read.
//! - 200 has a session that is over: `success` or `failed`. So 200 alone says nothing. 201 has the `Location` of a
//!   session that is `processing`, which is looked at until it is over.
//! - The same bytes once more do no harm. From v0.0.2603 on the session has failed, for a reason that says so
//!   (veraison/corim-store, `pkg/store/store.go`: `already in store (digests match)` at e966b3e, `token already in
//!   store` at d1c9b85), which is success here. Before, they are stored again, and read once (`kvstore/sql.go`,
//!   `SELECT DISTINCT`; `kvstore/memory.go`).
//! - Other bytes with the same part do harm: a verifier that finds a part in two files refuses the part
//!   (`scheme/common/corim.go`). So what was sent, and maybe taken, is sent again as it was: see [`outbox`].

mod address;
mod answer;
mod corim_file;
mod error;
pub mod outbox;

use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::http::{Response, StatusCode, Uri, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};
use zeroize::Zeroizing;

pub use address::AddressError;
pub use answer::harmless;
pub use corim_file::{NotACorim, Submission};
pub use error::{ConnectionError, NotTaken, SubmitError};

use answer::{Session, Status, problem};
use error::no_answer;

/// The media type of a session.
const SESSION: &str = "application/vnd.veraison.provisioning-session+json";

/// How a verifier is reached.
pub struct Connection {
    /// Its address: `https://HOST:PORT`, and a path where the API is not at the root.
    pub url: String,
    /// The certificate authorities that it may have its certificate from, PEM. `None`: those that the system trusts.
    pub ca: Option<Vec<u8>>,
    /// What says that this station may provision, sent as a bearer token.
    pub token: Option<Zeroizing<String>>,
    /// The longest wait for an answer.
    pub timeout: Duration,
    /// The longest wait for a session to be over.
    pub patience: Duration,
    /// The time between two looks at a session, and before a second try.
    pub pause: Duration,
}

/// How often endorsements are sent where no answer says what has become of them.
const TRIES: u32 = 3;

/// A verifier.
pub struct Verifier {
    agent: Agent,
    submit: Uri,
    token: Option<Zeroizing<String>>,
    patience: Duration,
    pause: Duration,
}

/// Endorsements that the verifier has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It has taken them.
    Now,
    /// It had these very bytes already.
    Before,
}

impl Verifier {
    /// Prepares the connection; nothing is sent.
    ///
    /// # Errors
    /// The address, the certificate authorities or the token cannot be used.
    pub fn new(connection: Connection) -> Result<Self, ConnectionError> {
        let Connection { url, ca, token, timeout, patience, pause } = connection;
        let submit = address::submit(&url)?;
        if token.as_ref().is_some_and(|token| !is_token(token)) {
            return Err(ConnectionError::Token);
        }
        let roots = match ca {
            None => RootCerts::PlatformVerifier,
            Some(pem) => {
                let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
                    .map(|der| Ok(Certificate::from_der(&der?).to_owned()))
                    .collect::<Result<_, rustls::pki_types::pem::Error>>()
                    .map_err(|_| ConnectionError::NoCa)?;
                if certificates.is_empty() {
                    return Err(ConnectionError::NoCa);
                }
                RootCerts::Specific(Arc::new(certificates))
            }
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(roots)
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let mut config = Agent::config_builder()
            .tls_config(tls)
            .user_agent(concat!("station/", env!("CARGO_PKG_VERSION")))
            .accept(SESSION)
            .http_status_as_error(false)
            // The token is for this address alone.
            .max_redirects(0)
            .timeout_global(Some(timeout));
        if address::is_loopback(&submit) {
            config = config.proxy(None);
        }
        Ok(Self { agent: config.build().new_agent(), submit, token, patience, pause })
    }

    /// Gives the verifier these endorsements, and waits until it has taken them. Where an answer is missing they are
    /// sent again, as they are.
    ///
    /// # Errors
    /// It has not taken them, or it is not known.
    pub fn submit(&self, submission: &Submission<'_>) -> Result<Taken, NotTaken> {
        let mut is_certain = true;
        for tries in 1.. {
            match self.try_once(submission) {
                Ok(taken) => return Ok(taken),
                Err(error) if error.is_worth_another_try() && tries < TRIES => {
                    is_certain = false;
                    thread::sleep(self.pause * tries);
                }
                Err(error) => {
                    let is_certain = is_certain && error.is_certain();
                    return Err(NotTaken { error, is_certain });
                }
            }
        }
        unreachable!("there is a last try")
    }

    /// Sends them once; by each of its names, where releases have different ones for the media type.
    fn try_once(&self, submission: &Submission<'_>) -> Result<Taken, SubmitError> {
        self.find()?;
        let mut refused = None;
        for media_type in submission.media_types() {
            let mut request = self
                .agent
                .post(&self.submit)
                .header(header::CONTENT_TYPE, &media_type)
                // So that a refusal comes before the body, and is not lost with the connection.
                .header(header::EXPECT, "100-continue");
            if let Some(token) = &self.token {
                request = request.header(header::AUTHORIZATION, bearer(token).as_str());
            }
            let answer = request.send(submission.bytes()).map_err(no_answer)?;
            if answer.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
                refused.get_or_insert((media_type, takes(&answer)));
                continue;
            }
            return self.follow(answer);
        }
        let (sent, takes) = refused.unwrap_or_default();
        Err(SubmitError::MediaType { sent, takes })
    }

    /// Looks the name up, which a proxy does by itself: the error of a failed look-up is like that of a lost connection.
    fn find(&self) -> Result<(), SubmitError> {
        let is_direct = self.agent.config().proxy().is_none();
        let host = self.submit.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if is_direct && (host, 443).to_socket_addrs().is_err() {
            return Err(SubmitError::Unreachable(Box::new(ureq::Error::HostNotFound)));
        }
        Ok(())
    }

    /// What has become of the endorsements that were answered with this.
    fn follow(&self, answer: Response<Body>) -> Result<Taken, SubmitError> {
        let status = answer.status();
        if !matches!(status, StatusCode::OK | StatusCode::CREATED) {
            return Err(refusal(answer));
        }
        let location = text_of(&answer, header::LOCATION);
        let session = session(answer)?;
        match session.status {
            Status::Processing => {}
            over => return over_with(over, session.failure_reason),
        }
        let session = location
            .ok_or_else(|| String::from("it does not say where it is"))
            .and_then(|location| address::session(&self.submit, &location))
            .map_err(SubmitError::NoSession)?;
        self.wait(&session)
    }

    /// Looks at a session until it is over.
    fn wait(&self, session: &Uri) -> Result<Taken, SubmitError> {
        let begin = Instant::now();
        loop {
            thread::sleep(self.pause);
            let looked = self.look(session);
            let is_late = begin.elapsed() >= self.patience;
            match looked {
                Ok(Session { status: Status::Processing, .. }) if is_late => {
                    return Err(SubmitError::Stuck(self.patience.as_secs()));
                }
                Ok(Session { status: Status::Processing, .. }) => {}
                Ok(Session { status, failure_reason }) => return over_with(status, failure_reason),
                Err(error) if error.is_worth_another_try() && !is_late => {}
                Err(error) => return Err(SubmitError::NoSession(error.to_string())),
            }
        }
    }

    fn look(&self, url: &Uri) -> Result<Session, SubmitError> {
        let mut request = self.agent.get(url);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, bearer(token).as_str());
        }
        let answer = request.call().map_err(no_answer)?;
        if answer.status() == StatusCode::OK { session(answer) } else { Err(refusal(answer)) }
    }
}

/// RFC 6750, section 2.1.
fn is_token(token: &str) -> bool {
    !token.is_empty() && token.chars().all(|c| c.is_ascii_alphanumeric() || "-._~+/=".contains(c))
}

fn bearer(token: &str) -> Zeroizing<String> {
    Zeroizing::new(["Bearer ", token].concat())
}

fn text_of(answer: &Response<Body>, name: header::HeaderName) -> Option<String> {
    Some(String::from_utf8_lossy(answer.headers().get(name)?.as_bytes()).into_owned())
}

/// What a verifier takes: it says so in a header of its refusal.
fn takes(answer: &Response<Body>) -> String {
    text_of(answer, header::ACCEPT)
        .map_or_else(|| String::from("(it does not say)"), |text| harmless(&text))
}

/// Longer answers are none of a verifier.
const MAX_ANSWER: u64 = 64 * 1024;

fn body_of(answer: Response<Body>) -> Result<Vec<u8>, SubmitError> {
    let status = answer.status();
    let body = answer.into_body().into_with_config().limit(MAX_ANSWER).read_to_vec();
    body.map_err(|error| match error {
        ureq::Error::BodyExceedsLimit(_) => {
            let what = format!("it has more than {MAX_ANSWER} bytes");
            SubmitError::NotASession { status, what }
        }
        error => no_answer(error),
    })
}

/// An answer that has no session.
fn refusal(answer: Response<Body>) -> SubmitError {
    let status = answer.status();
    if status.is_redirection() {
        let to = text_of(&answer, header::LOCATION).unwrap_or_default();
        return SubmitError::Moved { status, to: harmless(&to) };
    }
    if status.is_success() {
        let what = String::from("no session has this status");
        return SubmitError::NotASession { status, what };
    }
    // A body that cannot be read says nothing more than the status.
    let why = body_of(answer).map(|body| problem(&body)).unwrap_or_default();
    if !status.is_client_error() || status == StatusCode::REQUEST_TIMEOUT {
        return SubmitError::Fault { status, why };
    }
    let advice = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ". Give the token of someone who may provision (--token-file)"
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            ". Is this the address of the provisioning service?"
        }
        StatusCode::PAYLOAD_TOO_LARGE => ". Make smaller files (--max-bytes)",
        StatusCode::TOO_MANY_REQUESTS => ". Try again later",
        _ => "",
    };
    SubmitError::Refused { status, why: why + advice }
}

fn session(answer: Response<Body>) -> Result<Session, SubmitError> {
    let status = answer.status();
    let not_a_session = |what| SubmitError::NotASession { status, what };
    let media_type = text_of(&answer, header::CONTENT_TYPE).unwrap_or_default();
    let bare = media_type.split(';').next().unwrap_or_default().trim();
    if !bare.eq_ignore_ascii_case(SESSION) {
        return Err(not_a_session(format!("its media type is {:?}", harmless(&media_type))));
    }
    serde_json::from_slice(&body_of(answer)?)
        .map_err(|error| not_a_session(format!("its session cannot be read, {error}")))
}

/// What a session has come to that is over.
fn over_with(status: Status, reason: Option<String>) -> Result<Taken, SubmitError> {
    if status == Status::Success {
        return Ok(Taken::Now);
    }
    let reason = reason.unwrap_or_else(|| String::from("it does not say why"));
    match answer::Failure::of(&reason) {
        answer::Failure::HasIt => Ok(Taken::Before),
        answer::Failure::HasOther => Err(SubmitError::Other(harmless(&reason))),
        answer::Failure::Lost => Err(SubmitError::Lost(harmless(&reason))),
        answer::Failure::Refused => Err(SubmitError::Failed(harmless(&reason))),
    }
}
