// SPDX-License-Identifier: Apache-2.0

//! The certificates that vouch for the key that signs endorsements.

use std::path::{Path, PathBuf};
use std::{fs, io};

use jiff::Timestamp;
use p256::ecdsa::VerifyingKey;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use thiserror::Error;
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert,
};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

/// A chain of certificates: first that of the key, and each further one is of the issuer of the one before it.
pub struct Chain {
    der: Vec<Vec<u8>>,
    subject: String,
    key: VerifyingKey,
    /// From when and until when all of them are valid.
    validity: (Timestamp, Timestamp),
}

/// What is wrong with the certificates.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// The operating system says no.
    #[error("{}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
    /// There is none in the file.
    #[error("{}: there is no certificate in this file. It must be PEM", .0.display())]
    None(PathBuf),
    /// One of the file cannot be read.
    #[error("{}: certificate {number} of this file cannot be read: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Which certificate of it, from 1.
        number: usize,
        /// What is wrong with it.
        why: String,
    },
    /// One is not valid yet.
    #[error(
        "the certificate of {subject} is not valid before {from}, and it is {now}. Is the clock right?"
    )]
    NotYet {
        /// Whose.
        subject: String,
        /// When its validity begins.
        from: Timestamp,
        /// The time by the clock.
        now: Timestamp,
    },
    /// One is not valid any more.
    #[error("the certificate of {subject} was valid until {until}, and it is {now}. Use a new one")]
    Expired {
        /// Whose.
        subject: String,
        /// When its validity ended.
        until: Timestamp,
        /// The time by the clock.
        now: Timestamp,
    },
    /// They are not in order.
    #[error(
        "the certificates are not in order: that of {subject} was issued by {issuer}, and after it comes that of \
         {next}. Give the certificate of the key first, then that of its issuer, and so on"
    )]
    Order {
        /// Whose the earlier one is.
        subject: String,
        /// Who has issued it.
        issuer: String,
        /// Whose the later one is.
        next: String,
    },
    /// The first may not sign endorsements.
    #[error("the certificate of {subject}, the first, {why}")]
    Use {
        /// Whose.
        subject: String,
        /// Why not.
        why: &'static str,
    },
    /// A signature of the chain, or a right in it, does not hold.
    #[error("the certificates do not hold together: {0}")]
    Chain(#[source] webpki::Error),
}

/// One certificate.
struct Link {
    der: CertificateDer<'static>,
    certificate: Certificate,
}

impl Link {
    fn subject(&self) -> String {
        self.certificate.tbs_certificate().subject().to_string()
    }

    /// From when and until when it is valid. A time that no clock shows, such as the end of the year 9999, is the last
    /// that does.
    fn validity(&self) -> (Timestamp, Timestamp) {
        let validity = self.certificate.tbs_certificate().validity();
        let time = |time: x509_cert::time::Time| {
            let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
            Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
        };
        (time(validity.not_before), time(validity.not_after))
    }
}

impl Chain {
    /// Reads the certificates of these PEM files, in order, and checks that they are a chain that is valid at this time,
    /// and that the first may sign.
    ///
    /// The last one is believed, as by a verifier that has it, or its issuer, as its root. Revocation is not checked.
    ///
    /// # Errors
    /// A file cannot be read, or the chain does not hold.
    pub fn read(paths: &[PathBuf], now: Timestamp) -> Result<Self, CertificateError> {
        let mut links = Vec::new();
        for path in paths {
            read(path, &mut links)?;
        }
        let Some(first) = links.first() else {
            return Err(CertificateError::None(paths.first().cloned().unwrap_or_default()));
        };
        check_order(&links)?;
        let mut valid = first.validity();
        for link in &links {
            let (from, until) = link.validity();
            let subject = || link.subject();
            if now < from {
                return Err(CertificateError::NotYet { subject: subject(), from, now });
            }
            if now > until {
                return Err(CertificateError::Expired { subject: subject(), until, now });
            }
            valid = (valid.0.max(from), valid.1.min(until));
        }
        let key = signing_key(first)?;
        check_signatures(&links, now)?;
        Ok(Self {
            subject: first.subject(),
            key,
            validity: valid,
            der: links.into_iter().map(|link| link.der.to_vec()).collect(),
        })
    }

    /// Whose the first is, as RFC 4514 writes it.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// From when and until when all of them are valid.
    #[must_use]
    pub const fn validity(&self) -> (Timestamp, Timestamp) {
        self.validity
    }

    /// The public key of the first.
    pub(super) const fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The certificates, DER.
    pub(super) fn der(&self) -> &[Vec<u8>] {
        &self.der
    }
}

fn read(path: &Path, links: &mut Vec<Link>) -> Result<(), CertificateError> {
    let pem = fs::read(path).map_err(|error| CertificateError::Io(path.to_owned(), error))?;
    let before = links.len();
    for (number, der) in (1..).zip(CertificateDer::pem_slice_iter(&pem)) {
        let unreadable =
            |why: String| CertificateError::Unreadable { path: path.to_owned(), number, why };
        let der = der.map_err(|error| unreadable(error.to_string()))?;
        let certificate =
            Certificate::from_der(&der).map_err(|error| unreadable(error.to_string()))?;
        links.push(Link { der, certificate });
    }
    if links.len() == before { Err(CertificateError::None(path.to_owned())) } else { Ok(()) }
}

fn check_order(links: &[Link]) -> Result<(), CertificateError> {
    for pair in links.windows(2) {
        let [link, next] = pair else { continue };
        let issuer = link.certificate.tbs_certificate().issuer();
        if issuer != next.certificate.tbs_certificate().subject() {
            return Err(CertificateError::Order {
                subject: link.subject(),
                issuer: issuer.to_string(),
                next: next.subject(),
            });
        }
    }
    Ok(())
}

/// The key of the first certificate, which must be one that signs what is no certificate: veraison/corim demands this
/// where it checks the chain (`corim/x509chain.go`, `validateLeafSigningCert`).
fn signing_key(first: &Link) -> Result<VerifyingKey, CertificateError> {
    let wrong = |why| CertificateError::Use { subject: first.subject(), why };
    let certificate = first.certificate.tbs_certificate();
    let unreadable = |_| wrong("has an extension that cannot be read");
    let constraints = certificate.get_extension::<BasicConstraints>().map_err(unreadable)?;
    if constraints.is_some_and(|(_, constraints)| constraints.ca) {
        return Err(wrong(
            "is of a certificate authority. Give one that a certificate authority has issued",
        ));
    }
    let usage = certificate.get_extension::<KeyUsage>().map_err(unreadable)?;
    if usage.is_some_and(|(_, usage)| !usage.digital_signature()) {
        return Err(wrong("is not for digital signatures (key usage)"));
    }
    let key = certificate.subject_public_key_info().to_der().map_err(unreadable)?;
    p256::pkcs8::DecodePublicKey::from_public_key_der(&key).map_err(|_| {
        wrong("is not of a key of the curve P-256, with which endorsements are signed")
    })
}

/// Endorsements have no purpose of their own among the extended key usages.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// The signature and rights of each certificate but the last, whose issuer is not here. A self-signed one is its own
/// issuer.
fn check_signatures(links: &[Link], now: Timestamp) -> Result<(), CertificateError> {
    let [first, rest @ ..] = links else { return Ok(()) };
    let (last, between) = match rest.split_last() {
        Some((last, between)) => (last, between),
        None => (first, rest),
    };
    let tbs = last.certificate.tbs_certificate();
    if rest.is_empty() && tbs.issuer() != tbs.subject() {
        return Ok(());
    }
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let anchor = anchor_from_trusted_cert(&last.der).map_err(CertificateError::Chain)?;
    let between: Vec<_> = between.iter().map(|link| link.der.clone()).collect();
    EndEntityCert::try_from(&first.der)
        .and_then(|certificate| {
            let algorithms = webpki::ALL_VERIFICATION_ALGS;
            let anchors = [anchor];
            certificate
                .verify_for_usage(algorithms, &anchors, &between, time, AnyUsage, None, None)
                .map(drop)
        })
        .map_err(CertificateError::Chain)
}
