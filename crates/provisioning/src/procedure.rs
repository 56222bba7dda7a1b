// SPDX-License-Identifier: Apache-2.0

//! The procedure, from the first look at the part to the last check.

use core::fmt;

use zeroize::Zeroizing;

use crate::failure::{Cause, Failure, Written};
use crate::identity::{self, ProofError};
use crate::{
    DUMMY_PUBLIC_KEY, Device, DriverError, Huk, IMPLEMENTATION_ID_SIZE, IdentityKey,
    IdentityKeySource, ImplementationId, Lifecycle, PublicKey,
};

/// What a production line decides.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Written to OTP.
    pub implementation_id: ImplementationId,
    /// Where the identity key comes from.
    pub identity_key: IdentityKeySource,
}

/// A step that the console tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The part was in ASSEMBLY.
    LifecycleVerified,
    /// The part is in PROVISIONING.
    LifecycleSwitched,
    /// The HUKs are about to be written.
    GeneratingHuks,
    /// The identity key about to be written is the test-only one.
    DummyKey,
    /// The identity key is about to be written.
    WritingIdentityKey,
    /// Everything was read back and checked.
    Success,
}

/// How loud an [`Event`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Info,
    /// Not for production.
    Warning,
}

impl Event {
    /// How loud it is.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::DummyKey => Level::Warning,
            _ => Level::Info,
        }
    }

    /// The console line. All but the warning are the C sample's, which scripts wait for.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::LifecycleVerified => "Successfully verified PSA lifecycle state ASSEMBLY!",
            Self::LifecycleSwitched => "Successfully switched to PSA lifecycle state PROVISIONING!",
            Self::GeneratingHuks => "Generating random HUK keys (including MKEK)",
            Self::DummyKey => {
                "WARNING: the identity key is the test-only dummy key, do not ship this part"
            }
            Self::WritingIdentityKey => "Writing the identity key to KMU",
            Self::Success => "Success!",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

/// Provisions `device` and gives its public identity key. `report` gets each [`Event`] as it happens.
///
/// What can be found out without a write is found out before the first one: the lifecycle state, that
/// OTP and KMU are free, and that the random generator gives a key.
///
/// # Errors
/// The first thing that goes wrong ends the run. [`Failure::written`] tells whether anything was written
/// by then; a part that is not in ASSEMBLY is never written to.
pub fn provision(
    device: &mut impl Device,
    config: &Config,
    mut report: impl FnMut(Event),
) -> Result<PublicKey, Failure> {
    let failed = |written| move |cause| Failure { cause, written };

    check_is_blank(device, config, &mut report).map_err(failed(Written::Nothing))?;
    let mut key = IdentityKey::empty();
    let public_key = choose_identity_key(device, config.identity_key, &mut key)
        .map_err(failed(Written::Nothing))?;

    enter_provisioning(device).map_err(failed(Written::Something))?;
    report(Event::LifecycleSwitched);
    // Before any key, so that no fully keyed part can lack it.
    write_implementation_id(device, &config.implementation_id)
        .map_err(failed(Written::Something))?;
    report(Event::GeneratingHuks);
    write_huks(device).map_err(failed(Written::Something))?;
    if config.identity_key == IdentityKeySource::Dummy {
        report(Event::DummyKey);
    }
    report(Event::WritingIdentityKey);
    write_identity_key(device, config.identity_key, &mut key)
        .map_err(failed(Written::Something))?;
    let public_key =
        verify_identity_key(device, &mut key, public_key).map_err(failed(Written::Something))?;
    report(Event::Success);
    Ok(public_key)
}

/// Step 1: the part is in ASSEMBLY and has nothing yet.
fn check_is_blank(
    device: &mut impl Device,
    config: &Config,
    report: &mut impl FnMut(Event),
) -> Result<(), Cause> {
    match device.lifecycle().map_err(Cause::LifecycleUnreadable)? {
        Lifecycle::Assembly => report(Event::LifecycleVerified),
        other => return Err(Cause::NotInAssembly(other)),
    }
    let id = device.implementation_id().map_err(Cause::ImplementationIdUnreadable)?;
    if !is_erased(&id) && id != *config.implementation_id.as_bytes() {
        return Err(Cause::ImplementationIdTaken);
    }
    for huk in Huk::ALL {
        let slots = device.huk_slots(huk).map_err(|error| Cause::HukUnreadable(huk, error))?;
        if !slots.are_blank() {
            return Err(Cause::HukTaken(huk));
        }
    }
    // The driver's own word is no proof that each slot is free.
    let slots = device.identity_key_slots().map_err(Cause::IdentityKeySlotsUnreadable)?;
    if !slots.are_blank() || device.identity_key_is_written() {
        return Err(Cause::IdentityKeyTaken);
    }
    Ok(())
}

/// Gets the identity key ready, as far as it is ours to make, and its public key where it is known.
fn choose_identity_key(
    device: &mut impl Device,
    source: IdentityKeySource,
    key: &mut IdentityKey,
) -> Result<Option<PublicKey>, Cause> {
    match source {
        IdentityKeySource::Generated => identity::generate(key, |bytes| device.fill_random(bytes))
            .map_err(Cause::NoRandom)?
            .ok_or(Cause::NoPrivateKey)
            .map(Some),
        IdentityKeySource::Driver => Ok(None),
        IdentityKeySource::Dummy => Ok(Some(DUMMY_PUBLIC_KEY)),
    }
}

/// Step 2: the lifecycle state PROVISIONING, read back.
fn enter_provisioning(device: &mut impl Device) -> Result<(), Cause> {
    device.enter_provisioning().map_err(Cause::LifecycleNotWritten)?;
    match device.lifecycle().map_err(Cause::LifecycleUnreadable)? {
        Lifecycle::Provisioning => Ok(()),
        other => Err(Cause::LifecycleMismatch(other)),
    }
}

/// Step 3: the implementation ID, read back. OTP takes each halfword once, so the same ID is kept.
fn write_implementation_id(device: &mut impl Device, id: &ImplementationId) -> Result<(), Cause> {
    let found = device.implementation_id().map_err(Cause::ImplementationIdUnreadable)?;
    if is_erased(&found) {
        device.write_implementation_id(id).map_err(Cause::ImplementationIdNotWritten)?;
    }
    let found = device.implementation_id().map_err(Cause::ImplementationIdUnreadable)?;
    if found == *id.as_bytes() { Ok(()) } else { Err(Cause::ImplementationIdMismatch) }
}

/// Step 4: the HUKs. Each slot must be written and locked, and CryptoCell must be able to use each key.
fn write_huks(device: &mut impl Device) -> Result<(), Cause> {
    device.write_random_huks().map_err(Cause::HukNotWritten)?;
    for huk in Huk::ALL {
        let slots = device.huk_slots(huk).map_err(|error| Cause::HukUnreadable(huk, error))?;
        if !slots.are_written() {
            return Err(Cause::HukIncomplete(huk));
        }
        if !slots.are_locked() {
            return Err(Cause::HukExposed(huk));
        }
    }
    let mut derived = Zeroizing::new([[0; 16]; Huk::ALL.len()]);
    for (huk, derived) in Huk::ALL.into_iter().zip(derived.iter_mut()) {
        device.derive_from_huk(huk, derived).map_err(|error| Cause::HukUnusable(huk, error))?;
    }
    if derived[0] == derived[1] { Err(Cause::HuksEqual) } else { Ok(()) }
}

/// Step 5: the identity key, of which no copy stays in `key`.
fn write_identity_key(
    device: &mut impl Device,
    source: IdentityKeySource,
    key: &mut IdentityKey,
) -> Result<(), Cause> {
    let written = match source {
        IdentityKeySource::Generated => device.write_identity_key(key),
        IdentityKeySource::Driver => device.write_random_identity_key(),
        IdentityKeySource::Dummy => device.write_dummy_identity_key(),
    };
    key.clear();
    written.map_err(Cause::IdentityKeyNotWritten)?;
    let slots = device.identity_key_slots().map_err(Cause::IdentityKeySlotsUnreadable)?;
    if slots.are_blank() || !device.identity_key_is_written() {
        return Err(Cause::IdentityKeyMissing);
    }
    if slots.are_written() { Ok(()) } else { Err(Cause::IdentityKeyIncomplete) }
}

/// Step 6: the identity key, read back and made to sign.
fn verify_identity_key(
    device: &mut impl Device,
    key: &mut IdentityKey,
    expected: Option<PublicKey>,
) -> Result<PublicKey, Cause> {
    let mut challenge = [0; 32];
    device.fill_random(&mut challenge).map_err(Cause::NoRandom)?;
    let proof = read_and_prove(device, key, &challenge, expected.as_ref());
    device.free_identity_key(key);
    key.clear();
    proof
}

fn read_and_prove(
    device: &mut impl Device,
    key: &mut IdentityKey,
    challenge: &[u8],
    expected: Option<&PublicKey>,
) -> Result<PublicKey, Cause> {
    let read: Result<(), DriverError> = device.read_identity_key(key);
    read.map_err(Cause::IdentityKeyUnreadable)?;
    key.prove(challenge, expected).map_err(|error| match error {
        ProofError::Invalid => Cause::IdentityKeyInvalid,
        ProofError::Mismatch => Cause::IdentityKeyMismatch,
        ProofError::Signature => Cause::SelfTestFailed,
    })
}

fn is_erased(id: &[u8; IMPLEMENTATION_ID_SIZE]) -> bool {
    id.iter().all(|byte| *byte == 0xFF)
}
