// SPDX-License-Identifier: Apache-2.0

//! CRACEN's isolated key generator: MKEK, MEXT and the identity key, made of the seed whenever they are used.
//!
//! Nordic has not published how it derives them; here each is a hash of the seed. So a seed has other keys here than
//! on silicon. What is derived from MKEK and MEXT in turn is NIST SP 800-108 in the form of the PSA Certified Crypto API.

use aes::Aes256;
use cmac::{Cmac, Mac};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::faults::{Call, Effect};
use crate::illegal_access::IllegalAccess;
use crate::part::Silicon;
use crate::uicr::KeySlot;

/// Where the seed begins: `CONFIG_CRACEN_IKG_SEED_KMU_SLOT`.
pub const SEED_SLOT: KeySlot = 183;
/// How many slots it takes.
pub const SEED_SLOTS: u32 = 3;

/// `PSA_ERROR_INVALID_ARGUMENT`: what the driver makes of a seed that cannot be pushed.
pub const NO_SEED: i32 = -135;

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

/// `cracen_prepare_ik_key`: pushes the seed once after each power-on, and locks its register.
fn prepare(part: &mut Silicon) -> Result<(), i32> {
    if part.seed_is_locked() {
        return Ok(());
    }
    for slot in SEED_SLOT..SEED_SLOT + SEED_SLOTS {
        part.push_slot(slot).map_err(|_| NO_SEED)?;
    }
    part.lock_seed();
    Ok(())
}

fn key(part: &mut Silicon, key: GeneratedKey, counter: u8) -> Result<Zeroizing<[u8; 32]>, i32> {
    prepare(part)?;
    let seed = part.pushed_seed().map_err(|_: IllegalAccess| NO_SEED)?;
    let mut hash = Sha256::new_with_prefix(b"a key of the modelled generator");
    hash.update([key as u8, counter]);
    for word in seed {
        hash.update(word.to_le_bytes());
    }
    Ok(Zeroizing::new(hash.finalize().into()))
}

/// The first candidate that is a private key.
fn identity_key(part: &mut Silicon) -> Result<SigningKey, i32> {
    for counter in 0..=u8::MAX {
        let bytes = key(part, GeneratedKey::Identity, counter)?;
        if let Ok(key) = SigningKey::from_slice(&*bytes) {
            return Ok(key);
        }
    }
    Err(NO_SEED)
}

/// The private identity key, which no program on a part can get: for tests that look for it where it must not be.
///
/// # Errors
/// There is no seed.
pub fn private_key(part: &mut Silicon) -> Result<Zeroizing<[u8; 32]>, i32> {
    identity_key(part).map(|key| Zeroizing::new(key.to_bytes().into()))
}

/// `psa_export_public_key`: SEC 1, section 2.3.3, uncompressed.
///
/// # Errors
/// There is no seed, or an armed fault strikes.
pub fn public_key(part: &mut Silicon, bytes: &mut [u8; 65]) -> Result<(), i32> {
    match part.strike(Call::IkgPublicKey) {
        Some(Effect::Error) => return Err(NO_SEED),
        Some(Effect::Nothing) => return Ok(()),
        None => {}
    }
    let key = identity_key(part)?;
    bytes.copy_from_slice(key.verifying_key().to_sec1_point(false).as_bytes());
    Ok(())
}

/// `psa_sign_hash`: ECDSA, `r || s`.
///
/// # Errors
/// As [`public_key`].
pub fn sign(part: &mut Silicon, digest: &[u8; 32], bytes: &mut [u8; 64]) -> Result<(), i32> {
    match part.strike(Call::IkgSign) {
        Some(Effect::Error) => return Err(NO_SEED),
        Some(Effect::Nothing) => return Ok(()),
        None => {}
    }
    let signature: Signature = identity_key(part)?.sign_prehash(digest).map_err(|_| NO_SEED)?;
    bytes.copy_from_slice(&signature.to_bytes());
    Ok(())
}

/// `PSA_ALG_SP800_108_COUNTER_CMAC` of the PSA Certified Crypto API, with MKEK or MEXT, an AES key of 256 bits:
/// NIST SP 800-108r1, section 4.1, with K0 behind the input of each block (section 4, "key control").
///
/// # Errors
/// As [`public_key`].
pub fn derive(
    part: &mut Silicon,
    from: GeneratedKey,
    label: &[u8],
    context: &[u8],
    output: &mut [u8],
) -> Result<(), i32> {
    match part.strike(Call::IkgDerive) {
        Some(Effect::Error) => return Err(NO_SEED),
        Some(Effect::Nothing) => return Ok(()),
        None => {}
    }
    let key = key(part, from, 0)?;
    let bits = u32::try_from(8 * output.len()).map_err(|_| NO_SEED)?.to_be_bytes();
    let cmac = |pieces: &[&[u8]]| {
        let mut mac = <Cmac<Aes256> as aes::cipher::KeyInit>::new((&*key).into());
        for piece in pieces {
            mac.update(piece);
        }
        mac.finalize().into_bytes()
    };
    let control = cmac(&[label, &[0], context, &bits]);
    for (counter, chunk) in (1_u32..).zip(output.chunks_mut(16)) {
        let block = cmac(&[&counter.to_be_bytes(), label, &[0], context, &bits, &control]);
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    Ok(())
}
