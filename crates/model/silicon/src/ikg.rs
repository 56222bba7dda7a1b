// SPDX-License-Identifier: Apache-2.0

//! CRACEN's isolated key generator: MKEK, MEXT and the identity key, made of the seed in its register whenever they are
//! used.
//!
//! Nordic has not published how it derives them; here each is a hash of the seed. So a seed has other keys here than
//! on silicon.

use aes::Aes256;
use cmac::{Cmac, Mac};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::faults::{Call, Effect};
use crate::mutants::Mutant;
use crate::part::Silicon;
use crate::uicr::KeySlot;

/// Where the seed begins: `CONFIG_CRACEN_IKG_SEED_KMU_SLOT`.
pub const SEED_SLOT: KeySlot = 183;
/// How many slots it takes.
pub const SEED_SLOTS: u32 = 3;

/// The generator has made no key: it has no seed, or an armed fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// A key that the generator makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeneratedKey {
    /// `CRACEN_BUILTIN_MKEK_ID`.
    Mkek,
    /// `CRACEN_BUILTIN_MEXT_ID`.
    Mext,
    /// `CRACEN_BUILTIN_IDENTITY_KEY_ID`.
    Identity,
}

/// Has the KMU push the seed. Whether there is a whole one.
pub fn push_seed(part: &mut Silicon) -> bool {
    (SEED_SLOT..SEED_SLOT + SEED_SLOTS).all(|slot| part.push_slot(slot).is_ok())
}

/// Whether a whole seed was pushed.
pub(crate) fn has_seed(part: &mut Silicon) -> bool {
    part.pushed_seed().is_ok()
}

fn key(part: &mut Silicon, key: GeneratedKey, counter: u8) -> Result<Zeroizing<[u8; 32]>, Failed> {
    let key = match key {
        GeneratedKey::Mext if part.is(Mutant::HuksAreOne) => GeneratedKey::Mkek,
        key => key,
    };
    let seed = part.pushed_seed().map_err(|_| Failed)?;
    let mut hash = Sha256::new_with_prefix(b"a key of the modelled generator");
    hash.update([key as u8, counter]);
    for word in seed {
        hash.update(word.to_le_bytes());
    }
    Ok(Zeroizing::new(hash.finalize().into()))
}

/// The first candidate that is a private key.
fn identity_key(part: &mut Silicon) -> Result<SigningKey, Failed> {
    for counter in 0..=u8::MAX {
        let bytes = key(part, GeneratedKey::Identity, counter)?;
        if let Ok(key) = SigningKey::from_slice(&*bytes) {
            return Ok(key);
        }
    }
    Err(Failed)
}

/// The private identity key, which no program on a part can get: for tests that look for it where it must not be.
///
/// # Errors
/// There is no seed.
pub fn private_key(part: &mut Silicon) -> Result<Zeroizing<[u8; 32]>, Failed> {
    identity_key(part).map(|key| Zeroizing::new(key.to_bytes().into()))
}

/// The public identity key: a point, `x || y`.
///
/// # Errors
/// There is none.
pub fn public_key(part: &mut Silicon, point: &mut [u8; 64]) -> Result<(), Failed> {
    match part.strike(Call::IkgPublicKey) {
        Some(Effect::Error) => return Err(Failed),
        Some(Effect::Nothing) => return Ok(()),
        None => {}
    }
    let key = identity_key(part)?;
    point.copy_from_slice(&key.verifying_key().to_sec1_point(false).as_bytes()[1..]);
    Ok(())
}

/// Signs with the identity key: ECDSA, `r || s`.
///
/// # Errors
/// There is none.
pub fn sign(part: &mut Silicon, digest: &[u8; 32], bytes: &mut [u8; 64]) -> Result<(), Failed> {
    match part.strike(Call::IkgSign) {
        Some(Effect::Error) => return Err(Failed),
        Some(Effect::Nothing) => return Ok(()),
        None => {}
    }
    let other = [0; 32];
    let digest = if part.is(Mutant::OtherHashSigned) { &other } else { digest };
    let signature: Signature = identity_key(part)?.sign_prehash(digest).map_err(|_| Failed)?;
    bytes.copy_from_slice(&signature.to_bytes());
    Ok(())
}

/// AES-CMAC with MKEK or MEXT, keys of 256 bits, which CRACEN's AES engine takes from the generator.
///
/// # Errors
/// There is no such key.
pub fn cmac(part: &mut Silicon, with: GeneratedKey, input: &[&[u8]]) -> Result<[u8; 16], Failed> {
    match part.strike(Call::IkgCmac) {
        Some(Effect::Error) => return Err(Failed),
        Some(Effect::Nothing) => return Ok([0; 16]),
        None => {}
    }
    let key = key(part, with, 0)?;
    let mut mac = <Cmac<Aes256> as aes::cipher::KeyInit>::new((&*key).into());
    for piece in input {
        mac.update(piece);
    }
    Ok(mac.finalize().into_bytes().into())
}
