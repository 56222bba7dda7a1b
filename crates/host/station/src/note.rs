// SPDX-License-Identifier: Apache-2.0

//! Signed notes: text, and below it lines of signatures, in the form of <https://c2sp.org/signed-note@v1.0.0> with its
//! Ed25519 signatures.

use std::fmt::{self, Display};
use std::str::FromStr;

use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::station_key::StationKey;

/// The type of the signatures: the byte for Ed25519 in a key's ID, and before its public key.
const ED25519: u8 = 0x01;
/// What a line of a signature begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";
/// More bytes than a note has: one with many signatures of witnesses.
pub const MOST: usize = 1 << 20;

/// Who has signed: the name, and the public key. Its text is `NAME+ID+KEY`, as the note package of Go's
/// `golang.org/x/mod/sumdb` writes a verifier key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: VerifyingKey,
}

/// Why a note proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoteError {
    /// It is no note.
    #[error("this is not a signed note")]
    NotANote,
    /// No signature is of the verifier's key.
    #[error("no signature in it is of this key")]
    Unsigned,
    /// The signature of the verifier's key is wrong.
    #[error("the signature of this key is wrong")]
    BadSignature,
}

/// The text is not that of a verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this is not a verifier key, NAME+ID+KEY, of an Ed25519 key")]
pub struct NotAVerifier;

impl Verifier {
    /// A verifier of this name and Ed25519 key, as RFC 8032 encodes it. `None` where a name or a key cannot be so.
    #[must_use]
    pub fn new(name: &str, key: &[u8; 32]) -> Option<Self> {
        let key = VerifyingKey::from_bytes(key).ok()?;
        is_name(name).then(|| Self { name: name.to_owned(), key })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key: Ed25519, as RFC 8032 encodes it.
    #[must_use]
    pub fn key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The text of a note that this key has signed, with its last line end.
    ///
    /// # Errors
    /// It is no note, or is not signed by this key.
    pub fn open<'a>(&self, note: &'a [u8]) -> Result<&'a str, NoteError> {
        let (text, signatures) = split(note).ok_or(NoteError::NotANote)?;
        let mut is_signed = false;
        for line in signatures.lines() {
            let (name, signature) = signature_of(line).ok_or(NoteError::NotANote)?;
            let Some((id, signature)) = signature.split_first_chunk() else {
                return Err(NoteError::NotANote);
            };
            // Those of others say nothing, and are no fault.
            if name != self.name || *id != key_id(&self.name, &self.key.to_bytes()) {
                continue;
            }
            let is_good = Signature::from_slice(signature)
                .is_ok_and(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok());
            if !is_good {
                return Err(NoteError::BadSignature);
            }
            is_signed = true;
        }
        if !is_signed {
            return Err(NoteError::Unsigned);
        }
        Ok(text)
    }
}

/// The text of a note, whoever has signed it: nothing that it says is proven.
#[must_use]
pub fn unverified_text(note: &[u8]) -> Option<&str> {
    split(note).map(|(text, _)| text)
}

/// The text and the signatures of a note.
fn split(note: &[u8]) -> Option<(&str, &str)> {
    let note = str::from_utf8(note).ok().filter(|note| note.len() <= MOST)?;
    let is_text = |c: char| c == '\n' || !c.is_ascii_control();
    // The last empty line is between them.
    let end = note.rfind("\n\n")?;
    let (text, signatures) = (&note[..=end], &note[end + 2..]);
    (note.chars().all(is_text) && !signatures.is_empty() && signatures.ends_with('\n'))
        .then_some((text, signatures))
}

/// Name and bytes of the line of a signature.
fn signature_of(line: &str) -> Option<(&str, Vec<u8>)> {
    let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
    let signature = Base64::decode_vec(signature).ok()?;
    is_name(name).then_some((name, signature))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

fn key_id(name: &str, key: &[u8; 32]) -> [u8; 4] {
    let hash = Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(key);
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
    [a, b, c, d]
}

/// Signs `text`, which ends with a line end, in this name.
#[must_use]
pub fn sign(text: &str, name: &str, key: &StationKey) -> String {
    let signature = [&key_id(name, &key.public())[..], &key.sign(text.as_bytes())].concat();
    format!("{text}\n{DASH}{name} {}\n", Base64::encode_string(&signature))
}

impl Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.to_bytes();
        let id = u32::from_be_bytes(key_id(&self.name, &key));
        write!(
            f,
            "{}+{id:08x}+{}",
            self.name,
            Base64::encode_string(&[&[ED25519][..], &key].concat())
        )
    }
}

impl FromStr for Verifier {
    type Err = NotAVerifier;

    fn from_str(text: &str) -> Result<Self, NotAVerifier> {
        let parse = || {
            let (name, rest) = text.split_once('+')?;
            let (_, key) = rest.split_once('+')?;
            let key = Base64::decode_vec(key).ok()?;
            let verifier = Self::new(name, key.strip_prefix(&[ED25519])?.try_into().ok()?)?;
            // The ID, too, and no other text of the same bytes.
            (verifier.to_string() == text).then_some(verifier)
        };
        parse().ok_or(NotAVerifier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // From the documentation of the note package of golang.org/x/mod/sumdb.
    const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n";
    const SIGNATURE: &str = "\u{2014} PeterNeumann \
        x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const SECRET: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

    fn verifier() -> Verifier {
        VKEY.parse().unwrap()
    }

    fn note() -> String {
        format!("{TEXT}\n{SIGNATURE}")
    }

    fn key(secret: &[u8; 32]) -> StationKey {
        StationKey::of(secret)
    }

    #[test]
    fn the_published_note_is_verified_and_made_again() {
        assert_eq!(verifier().to_string(), VKEY);
        assert_eq!(verifier().open(note().as_bytes()), Ok(TEXT));
        let secret = Base64::decode_vec(SECRET).unwrap();
        let key = key(secret[1..].try_into().unwrap());
        assert_eq!(sign(TEXT, "PeterNeumann", &key), note());
        assert_eq!(Verifier::new("PeterNeumann", &key.public()), Some(verifier()));
    }

    #[test]
    fn signatures_of_others_say_nothing() {
        let other = sign("x\n", "PeterNeumann", &key(&[7; 32]));
        let (_, other) = other.split_once("\n\n").unwrap();
        // The same name with another key, and the same key ID with another name.
        let renamed = SIGNATURE.replace("PeterNeumann", "EnochRoot");
        for more in [other, &renamed] {
            let note = format!("{TEXT}\n{more}{SIGNATURE}{more}");
            assert_eq!(verifier().open(note.as_bytes()), Ok(TEXT));
            let note = format!("{TEXT}\n{more}");
            assert_eq!(verifier().open(note.as_bytes()), Err(NoteError::Unsigned));
        }
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let note = note();
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut changed = note.clone().into_bytes();
                changed[at] ^= 1 << bit;
                assert!(verifier().open(&changed).is_err(), "bit {bit} of {at}");
            }
        }
        let wrong = note.replace("If you", "If I");
        assert_eq!(verifier().open(wrong.as_bytes()), Err(NoteError::BadSignature));
        // One that is wrong beside one that is right.
        let both = format!("{note}{}", SIGNATURE.replace("JnAM=", "JnAI="));
        assert_eq!(verifier().open(both.as_bytes()), Err(NoteError::BadSignature));
        let short = note.replace("JnAM=", "JnA=");
        assert_eq!(verifier().open(short.as_bytes()), Err(NoteError::NotANote));
    }

    #[test]
    fn what_has_another_form_is_no_note() {
        let note = note();
        let id_only = format!("{TEXT}\n\u{2014} PeterNeumann x08g\n");
        for bad in [
            "",
            "\n",
            "\n\n",
            TEXT,
            &note[..note.len() - 1],
            &note.replace("\n\n", "\n"),
            &format!("{note}\n"),
            &format!("{note}x\n"),
            &note.replace("\u{2014} ", "- "),
            &note.replace("\u{2014} PeterNeumann", "\u{2014} "),
            &note.replace(" x08go", "  x08go"),
            &note.replace("JnAM=", "JnAM"),
            &note.replace("JnAM=", "JnAN="),
            &note.replace("Neumann ", "Neu+mann "),
            &note.replace('\n', "\r\n"),
            &note.replace("problem is", "problem\tis"),
            &id_only,
            &format!("{}{note}", "x".repeat(MOST)),
        ] {
            assert_eq!(verifier().open(bad.as_bytes()), Err(NoteError::NotANote), "{bad:?}");
        }
        assert_eq!(verifier().open(b"\xFF\n\n\n"), Err(NoteError::NotANote));
        assert_eq!(unverified_text(note.as_bytes()), Some(TEXT));
        // The last empty line is the one, and there may be others.
        let lines = sign("a\n\n\nb\n", "x", &key(&[7; 32]));
        let x = Verifier::new("x", &key(&[7; 32]).public()).unwrap();
        assert_eq!(x.open(lines.as_bytes()), Ok("a\n\n\nb\n"));
    }

    #[test]
    fn what_is_no_verifier_is_refused() {
        for bad in [
            "",
            "PeterNeumann",
            "PeterNeumann+c74f20a3",
            &VKEY.replace("c74f20a3", "c74f20a4"),
            &VKEY.replace("c74f20a3", "C74F20A3"),
            &VKEY.replace("+ARpc", "+AhpC"),
            &VKEY.replace("Peter", "Peter "),
            &VKEY[..VKEY.len() - 4],
            &format!("{VKEY}AAAA"),
            &format!("{VKEY} "),
            // Of the Go package's own tests: an unknown algorithm, and a key of another length.
            "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        ] {
            assert_eq!(bad.parse::<Verifier>(), Err(NotAVerifier), "{bad:?}");
        }
        for bad in ["", "a b", "a+b", "a\u{2003}b", "a\nb"] {
            assert_eq!(Verifier::new(bad, &key(&[7; 32]).public()), None, "{bad:?}");
        }
    }
}
