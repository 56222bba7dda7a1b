// SPDX-License-Identifier: Apache-2.0

//! The key that signs endorsements.

use std::path::{Path, PathBuf};
use std::str;

use p256::ecdsa;
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::DecodePrivateKey;
use thiserror::Error;

use crate::secret_file::{self, SecretFileError};

#[cfg(feature = "pkcs11")]
use super::pkcs11;

/// What begins the name of a key in an HSM: RFC 7512, section 2.3.
const PKCS11: &str = "pkcs11:";

/// A P-256 private key.
///
/// That of a file clears itself when it goes out of scope; one in an HSM never leaves it.
pub struct SigningKey(Place);

enum Place {
    File(Box<ecdsa::SigningKey>),
    #[cfg(feature = "pkcs11")]
    Hsm(pkcs11::Key),
}

/// Why there is no key, or no signature.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file was not read.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// It holds no key that can sign.
    #[error("{}: {}", .0.display(), .1)]
    Content(PathBuf, &'static str),
    /// The key is in an HSM, and this program knows none.
    #[error(
        "this station was built without PKCS#11, so it cannot use a key in an HSM. Build it with --features pkcs11"
    )]
    NoHsm,
    /// The HSM says no.
    #[cfg(feature = "pkcs11")]
    #[error(transparent)]
    Hsm(#[from] pkcs11::HsmError),
    /// The key in the file has not signed.
    #[error("the key cannot sign: {0}")]
    Signing(#[source] ecdsa::Error),
}

impl SigningKey {
    /// The key of a PEM file (PKCS#8 or SEC 1, not encrypted, with right 0600), or, by its URI (RFC 7512), a key in an
    /// HSM.
    ///
    /// # Errors
    /// There is no such key, or the HSM refuses it.
    pub fn open(name: &str) -> Result<Self, KeyError> {
        if !name.starts_with(PKCS11) {
            return Self::read(Path::new(name));
        }
        #[cfg(feature = "pkcs11")]
        return Ok(Self(Place::Hsm(pkcs11::Key::open(name)?)));
        #[cfg(not(feature = "pkcs11"))]
        return Err(KeyError::NoHsm);
    }

    fn read(path: &Path) -> Result<Self, KeyError> {
        let content = |why| KeyError::Content(path.to_owned(), why);
        let pem = secret_file::read(path)?;
        let pem = str::from_utf8(&pem)
            .map_err(|_| content("this is no PEM text, which a signing key must be"))?;
        // What stands before the key, as the parameters that openssl writes, is no part of it.
        let block = |label: &str| {
            let (begin, end) =
                (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
            let pem = &pem[pem.find(&begin)?..];
            Some(&pem[..pem.find(&end)? + end.len()])
        };
        let key = if let Some(pem) = block("PRIVATE KEY") {
            p256::SecretKey::from_pkcs8_pem(pem).ok()
        } else if let Some(pem) = block("EC PRIVATE KEY") {
            p256::SecretKey::from_sec1_pem(pem).ok()
        } else if block("ENCRYPTED PRIVATE KEY").is_some() {
            return Err(content(
                "this key is encrypted. Give one that is not, with right 0600, or one in an HSM",
            ));
        } else {
            return Err(content("there is no private key in this file: PEM, PKCS#8 or SEC 1"));
        };
        let key = key.ok_or_else(|| content("this is no private key of the curve P-256"))?;
        Ok(Self(Place::File(Box::new(key.into()))))
    }

    /// The signature over the SHA-256 hash of this message: `r || s`.
    pub(super) fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyError> {
        match &self.0 {
            Place::File(key) => {
                let signature: ecdsa::Signature =
                    key.try_sign(message).map_err(KeyError::Signing)?;
                Ok(signature.to_bytes().into())
            }
            #[cfg(feature = "pkcs11")]
            Place::Hsm(key) => Ok(key.sign(message)?),
        }
    }
}
