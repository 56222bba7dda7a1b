// SPDX-License-Identifier: Apache-2.0

//! The station key: an Ed25519 key with which a station signs what its ledger holds.
//!
//! It is in a file of its own, as PKCS#8 in PEM (RFC 8410), which only its owner may read. `station init` makes it;
//! nothing writes over it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signer, SigningKey};
use p256::pkcs8::der::asn1::OctetStringRef;
use p256::pkcs8::{
    AlgorithmIdentifierRef, LineEnding, ObjectIdentifier, PrivateKeyInfoRef, SecretDocument,
};
use thiserror::Error;
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// Ed25519 (RFC 8410, section 3), without parameters.
const ALGORITHM: AlgorithmIdentifierRef<'_> =
    AlgorithmIdentifierRef { oid: ObjectIdentifier::new_unwrap("1.3.101.112"), parameters: None };
/// What stands before the 32 bytes of a key: it is an octet string in one (RFC 8410, section 7).
const OCTETS: [u8; 2] = [0x04, 32];
/// What the label of the PEM says (RFC 7468, section 10).
const LABEL: &str = "PRIVATE KEY";
/// More bytes than the file of a key has.
const MOST: usize = 4096;

/// A station's secret key. It is cleared when it goes out of scope.
#[derive(ZeroizeOnDrop)]
pub struct StationKey(SigningKey);

/// Why there is no station key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The operating system says no.
    #[error("{}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
    /// There is none.
    #[error(
        "{}: there is no station key here. Put the file back, from a backup; or make a key, and a ledger that is signed \
         by it: station init",
        .0.display()
    )]
    Missing(PathBuf),
    /// Others than its owner may read or write the file.
    #[error(
        "{}: others may read this key or write to it. Take that right away: chmod 600 {}. If others have had it, make \
         a new key: station init --continues LEDGER",
        .0.display(),
        .0.display()
    )]
    Rights(PathBuf),
    /// The file holds something else.
    #[error(
        "{}: this is not a station key, which is Ed25519 as PKCS#8 in PEM, without a password. Name another file",
        .0.display()
    )]
    NotAKey(PathBuf),
    /// There is a file where a key was to be written.
    #[error("{}: there is a file of this name already, and no key is written over. Name another one", .0.display())]
    Exists(PathBuf),
}

impl StationKey {
    /// Makes a key.
    ///
    /// # Errors
    /// The operating system has no random numbers.
    pub fn generate() -> io::Result<Self> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *secret).map_err(io::Error::from)?;
        Ok(Self(SigningKey::from_bytes(&secret)))
    }

    /// The key of this secret, for tests with published keys.
    #[cfg(test)]
    pub(crate) fn of(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// Reads a key.
    ///
    /// # Errors
    /// The file cannot be read, others may read it, or it is not a station key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let io = |error| KeyError::Io(path.to_owned(), error);
        let mut file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => KeyError::Missing(path.to_owned()),
            _ => io(error),
        })?;
        // Of the file that is open, whatever has its name meanwhile.
        if is_open_to_others(&file).map_err(io)? {
            return Err(KeyError::Rights(path.to_owned()));
        }
        // All its room at once: a buffer that grows leaves copies behind.
        let mut text = Zeroizing::new(Vec::with_capacity(MOST));
        (&mut file).take(MOST as u64).read_to_end(&mut text).map_err(io)?;
        Self::from_pem(&text).ok_or_else(|| KeyError::NotAKey(path.to_owned()))
    }

    // Not by the traits of ed25519-dalek: they leave copies of the key behind.
    fn from_pem(text: &[u8]) -> Option<Self> {
        let (label, document) = SecretDocument::from_pem(str::from_utf8(text).ok()?).ok()?;
        let key: PrivateKeyInfoRef<'_> = document.decode_msg().ok()?;
        let secret = key.private_key.as_bytes().strip_prefix(&OCTETS)?.try_into().ok()?;
        (label == LABEL && key.algorithm == ALGORITHM).then(|| Self(SigningKey::from_bytes(secret)))
    }

    fn to_pem(&self) -> Zeroizing<String> {
        let mut octets = Zeroizing::new([0; 34]);
        octets[..2].copy_from_slice(&OCTETS);
        octets[2..].copy_from_slice(self.0.as_bytes());
        let octets = OctetStringRef::new(&*octets).expect("34 bytes are few");
        SecretDocument::encode_msg(&PrivateKeyInfoRef::new(ALGORITHM, octets))
            .and_then(|document| document.to_pem(LABEL, LineEnding::LF))
            .expect("a key has a DER and a PEM")
    }

    /// Writes the key into a new file that only its owner may read. The file is whole or not there.
    ///
    /// # Errors
    /// There is a file of this name, or it cannot be written.
    ///
    /// # Panics
    /// Never: every key can be encoded.
    pub fn write(&self, path: &Path) -> Result<(), KeyError> {
        let io = |error| KeyError::Io(path.to_owned(), error);
        let text = self.to_pem();
        let path = &std::path::absolute(path).map_err(io)?;
        let folder = path.parent().unwrap_or(path);
        // Its rights exclude others from the beginning.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
        file.write_all(text.as_bytes()).map_err(io)?;
        file.as_file().sync_all().map_err(io)?;
        file.persist_noclobber(path).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => KeyError::Exists(path.clone()),
            _ => io(error.error),
        })?;
        // The name is the folder's; Windows syncs no folder.
        #[cfg(unix)]
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        Ok(())
    }

    /// The public key, as RFC 8032 encodes it.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// Whether the file's rights let others read or write it.
#[cfg(unix)]
fn is_open_to_others(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

/// Windows keeps rights in lists, which the folder of the user is expected to set.
#[cfg(not(unix))]
fn is_open_to_others(_: &File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use hex_literal::hex;

    use super::*;

    /// The example of RFC 8410, section 10.3, without attributes and public key.
    const EXAMPLE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    /// Its public key, of section 10.1.
    const PUBLIC: [u8; 32] =
        hex!("19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");

    /// A file of this content, which nobody else may read.
    fn file(content: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, content).unwrap();
        file
    }

    #[test]
    fn a_key_is_read_and_written_as_the_rfc_does() {
        let key = StationKey::read(file(EXAMPLE).path()).unwrap();
        assert_eq!(key.public(), PUBLIC);
        assert_eq!(*key.to_pem(), EXAMPLE);
    }

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn a_key_signs_as_the_rfc_does() {
        let secret = hex!("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        let key = StationKey::of(&secret);
        let signature = hex!(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
        assert_eq!(key.sign(&[0x72]), signature);
    }

    #[test]
    fn a_key_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("station.key");
        let key = StationKey::generate().unwrap();
        key.write(&path).unwrap();
        let written = fs::read(&path).unwrap();
        assert_eq!(StationKey::read(&path).unwrap().public(), key.public());
        let other = StationKey::generate().unwrap();
        assert_ne!(other.public(), key.public());
        assert!(matches!(other.write(&path), Err(KeyError::Exists(_))));
        assert!(fs::read(&path).unwrap() == written);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert!(matches!(key.write(&path.join("below")), Err(KeyError::Io(..))));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("station.key");
        StationKey::generate().unwrap().write(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for (mode, is_good) in [
            (0o640, false),
            (0o604, false),
            (0o620, false),
            (0o602, false),
            (0o610, false),
            (0o400, true),
            (0o600, true),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match StationKey::read(&path) {
                Ok(_) => assert!(is_good, "{mode:o}"),
                Err(error) => {
                    assert!(!is_good && matches!(error, KeyError::Rights(_)), "{mode:o}: {error}");
                    assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())));
                }
            }
        }
    }

    #[test]
    fn what_is_no_station_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let missing = StationKey::read(&folder.path().join("none"));
        assert!(matches!(missing, Err(KeyError::Missing(_))));
        assert!(matches!(
            StationKey::read(folder.path()),
            Err(KeyError::Io(..) | KeyError::Rights(_))
        ));
        let x25519 = EXAMPLE.replace("K2VwBC", "K2VuBC");
        let longer = EXAMPLE.replace("BCIEI", "BCIEH");
        let public = "-----BEGIN PUBLIC KEY-----\n\
            MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
            -----END PUBLIC KEY-----\n";
        let label = EXAMPLE.replace("PRIVATE", "ENCRYPTED PRIVATE");
        let twice = EXAMPLE.repeat(2);
        for bad in ["", "\n", &x25519, &longer, public, &label, &twice, &EXAMPLE[..60]] {
            let read = StationKey::read(file(bad).path());
            assert!(matches!(read, Err(KeyError::NotAKey(_))), "{bad}");
        }
    }
}
