// SPDX-License-Identifier: Apache-2.0

//! A signing key in an HSM, through PKCS#11.

mod uri;

use std::io;
use std::path::PathBuf;

use console::Term;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::secret_file::{self, SecretFileError};
use uri::Uri;

pub use uri::UriError;

/// A P-256 private key in a token. It signs there.
pub struct Key {
    session: Session,
    key: ObjectHandle,
}

/// Why the HSM does not sign.
#[derive(Debug, Error)]
pub enum HsmError {
    /// The URI of the key cannot be used.
    #[error("this is not the URI of a key: {0}")]
    Uri(#[from] UriError),
    /// The module of the HSM cannot be loaded.
    #[error("{}: this PKCS#11 module cannot be loaded: {}", .0.display(), .1)]
    Module(PathBuf, #[source] Error),
    /// There is not one token of that name.
    #[error("the HSM has {found} tokens that are {wanted}, and it must be one. It has: {all}")]
    Token {
        /// How many have what the URI says.
        found: usize,
        /// What the URI says.
        wanted: String,
        /// The labels of all.
        all: String,
    },
    /// There is not one key of that name.
    #[error(
        "the token has {0} private keys of an elliptic curve that are what the URI says, and it must be one. Name it \
         with object= (its label) or id="
    )]
    Key(usize),
    /// There is no PIN.
    #[error(
        "there is no PIN: nobody can be asked for it here. Give it in a file with right 0600: \
         pin-source=/path/of/the/file, behind the ? of the URI"
    )]
    NoPin,
    /// The file of the PIN was not read.
    #[error(transparent)]
    PinFile(#[from] SecretFileError),
    /// The PIN is not UTF-8.
    #[error("the PIN is no text in UTF-8")]
    PinText,
    /// The terminal did not give the PIN.
    #[error("the PIN cannot be read from the terminal: {0}")]
    Terminal(#[source] io::Error),
    /// The token refuses the PIN.
    #[error(
        "the HSM refuses the PIN: {0}. A token is locked after a few wrong ones: do not just try again"
    )]
    Pin(#[source] Error),
    /// The key is of another curve.
    #[error(
        "the HSM has signed with {0} bytes, and a key of the curve P-256 signs with 64: use such a key"
    )]
    Size(usize),
    /// The HSM says no.
    #[error("the HSM does not {0}: {1}")]
    Refused(&'static str, #[source] Error),
}

impl Key {
    /// Finds the key of this URI (RFC 7512), and logs in to its token.
    ///
    /// # Errors
    /// The URI cannot be used, there is not one such key, or the HSM refuses it.
    pub fn open(uri: &str) -> Result<Self, HsmError> {
        let uri: Uri = uri.parse()?;
        let module = &uri.module_path;
        let hsm = Pkcs11::new(module).map_err(|error| HsmError::Module(module.clone(), error))?;
        let initialized = hsm.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
        match initialized {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(HsmError::Refused("start", error)),
        }
        let slot = token(&hsm, &uri)?;
        let session = hsm
            .open_ro_session(slot)
            .map_err(|error| HsmError::Refused("open a session", error))?;
        match session.login(UserType::User, Some(&pin(&uri)?)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(HsmError::Pin(error)),
        }
        let mut wanted =
            vec![Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::KeyType(KeyType::EC)];
        wanted.extend(uri.object.map(|label| Attribute::Label(label.into_bytes())));
        wanted.extend(uri.id.map(Attribute::Id));
        let found = session
            .find_objects(&wanted)
            .map_err(|error| HsmError::Refused("show its keys", error))?;
        let [key] = found[..] else { return Err(HsmError::Key(found.len())) };
        Ok(Self { session, key })
    }

    /// The signature over the SHA-256 hash of this message: `r || s`.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], HsmError> {
        // CKM_ECDSA takes the hash; not every token can hash as well.
        let signature = self
            .session
            .sign(&Mechanism::Ecdsa, self.key, &Sha256::digest(message))
            .map_err(|error| HsmError::Refused("sign", error))?;
        signature.try_into().map_err(|signature: Vec<u8>| HsmError::Size(signature.len()))
    }
}

/// The one token that the URI names.
fn token(hsm: &Pkcs11, uri: &Uri) -> Result<Slot, HsmError> {
    let refused = |error| HsmError::Refused("show its tokens", error);
    let mut found = Vec::new();
    let mut all = Vec::new();
    for slot in hsm.get_slots_with_initialized_token().map_err(refused)? {
        let token = hsm.get_token_info(slot).map_err(refused)?;
        let is =
            |wanted: &Option<String>, has: &str| wanted.as_ref().is_none_or(|text| text == has);
        if is(&uri.token, token.label()) && is(&uri.serial, token.serial_number()) {
            found.push(slot);
        }
        all.push(format!("{:?}", token.label()));
    }
    match found[..] {
        [slot] => Ok(slot),
        _ => Err(HsmError::Token {
            found: found.len(),
            wanted: uri.describe_token(),
            all: if all.is_empty() { String::from("none") } else { all.join(", ") },
        }),
    }
}

fn pin(uri: &Uri) -> Result<AuthPin, HsmError> {
    let pin = if let Some(file) = &uri.pin_source {
        secret_file::read(file)?
    } else {
        let terminal = Term::stderr();
        if !terminal.is_term() {
            return Err(HsmError::NoPin);
        }
        terminal.write_str("PIN: ").map_err(HsmError::Terminal)?;
        Zeroizing::new(terminal.read_secure_line().map_err(HsmError::Terminal)?.into_bytes())
    };
    let pin = std::str::from_utf8(&pin).map_err(|_| HsmError::PinText)?;
    // A file ends with a line end, which is no part of the PIN.
    Ok(AuthPin::new(pin.trim_end_matches(['\r', '\n']).into()))
}
