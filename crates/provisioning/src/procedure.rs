// SPDX-License-Identifier: Apache-2.0

//! The procedure, from the first look at the part to the last check.

use core::fmt;

use zeroize::Zeroizing;

use crate::failure::{Cause, Failure, Piece, Written};
use crate::identity::{self, ProofError, PublicPoint};
use crate::record::{Claims, Unsigned};
use crate::{
    DUMMY_PUBLIC_KEY, Device, Huk, HukKey, IMPLEMENTATION_ID_SIZE, IdentityKey, IdentityKeySource,
    ImplementationId, KeySlots, Lifecycle, Nonce, PublicKey, Record, Ueid,
};

/// What a production line decides.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Written to OTP.
    pub implementation_id: ImplementationId,
    /// Where the identity key comes from.
    pub identity_key: IdentityKeySource,
    /// Whether a part that is in PROVISIONING already is looked at and completed, or refused.
    pub resume: bool,
    /// Whether the part's record is reported.
    pub record: bool,
    /// What the record is to hold, so that it is known to be fresh; else a random number.
    pub nonce: Option<Nonce>,
}

impl Config {
    /// The default of Kconfig: a part is resumed, its record is reported, and nobody wants a nonce in it.
    #[must_use]
    pub const fn new(implementation_id: ImplementationId, identity_key: IdentityKeySource) -> Self {
        Self { implementation_id, identity_key, resume: true, record: true, nonce: None }
    }
}

/// A step that the console tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The part was in ASSEMBLY.
    LifecycleVerified,
    /// The part was in PROVISIONING: an earlier run has begun, or ended.
    Resuming,
    /// The part is in PROVISIONING.
    LifecycleSwitched,
    /// The HUKs are about to be written.
    GeneratingHuks,
    /// The MKEK is there, and the MEXT is about to be written.
    GeneratingMext,
    /// Both HUKs are there.
    KeepingHuks,
    /// The identity key about to be written is the test-only one.
    DummyKey,
    /// The identity key is about to be written.
    WritingIdentityKey,
    /// Everything was read back and checked, and this is what the part says of itself.
    Record(&'a Record),
    /// The part is provisioned.
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

impl Event<'_> {
    /// What stands before the record on its line.
    pub const RECORD_PREFIX: &'static str = "Provisioning record: ";

    /// How loud it is.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::DummyKey => Level::Warning,
            _ => Level::Info,
        }
    }

    /// The console line, up to the record if it has one. Those of a run from ASSEMBLY are the C sample's,
    /// which scripts wait for.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::LifecycleVerified => "Successfully verified PSA lifecycle state ASSEMBLY!",
            Self::LifecycleSwitched => "Successfully switched to PSA lifecycle state PROVISIONING!",
            Self::Resuming => "Found PSA lifecycle state PROVISIONING, looking at what is there",
            Self::GeneratingMext => "Generating random MEXT key, keeping the MKEK",
            Self::KeepingHuks => "Keeping the HUK keys that are there",
            Self::GeneratingHuks => "Generating random HUK keys (including MKEK)",
            Self::DummyKey => {
                "WARNING: the identity key is the test-only dummy key, do not ship this part"
            }
            Self::WritingIdentityKey => "Writing the identity key to KMU",
            Self::Record(_) => Self::RECORD_PREFIX,
            Self::Success => "Success!",
        }
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())?;
        if let Self::Record(record) = self { record.fmt(f) } else { Ok(()) }
    }
}

/// Provisions `device` and gives its public identity key. `report` gets each [`Event`] as it happens.
///
/// What can be found out without a write is found out before the first one: the lifecycle state, what is
/// in OTP and KMU already, and that the random generator gives a key.
///
/// # Resuming
/// Pieces are written one after the other: lifecycle, implementation ID, MKEK, MEXT, identity key. So a run
/// that was cut off leaves whole pieces, at most one torn one, and blank pieces, in this order:
/// - Lifecycle: one halfword of zeros. Whole or blank if all bits say so; the driver refuses any other.
/// - Implementation ID: eight words whose values are known. Each is whole, blank or torn by comparison.
/// - A key: its slots. No bit set in any slot is blank. A slot whose permissions are complete is whole,
///   since they are written last and close the slot. All else is torn: nobody can tell a half-written
///   random number from a whole one.
///
/// Whole pieces are kept and checked, blank ones are written, and a torn one ends the run. So does any
/// other order, which no run of this procedure leaves.
///
/// # Errors
/// The first thing that goes wrong ends the run. [`Failure::written`] tells whether this run wrote
/// anything by then. A part that is complete already fails too, with [`Cause::AlreadyProvisioned`].
pub fn provision(
    device: &mut impl Device,
    config: &Config,
    mut report: impl FnMut(Event<'_>),
) -> Result<PublicKey, Failure> {
    let mut written = Written::Nothing;
    run(device, config, &mut report, &mut written).map_err(|cause| Failure { cause, written })
}

fn run(
    device: &mut impl Device,
    config: &Config,
    report: &mut impl FnMut(Event<'_>),
    written: &mut Written,
) -> Result<PublicKey, Cause> {
    let missing = inspect(device, config, report)?;
    if missing == Missing::Nothing {
        let public_key = verify_all(device, config, report)?;
        return Err(Cause::AlreadyProvisioned(Ueid::of(&public_key)));
    }
    let mut key = IdentityKey::empty();
    let public = choose_identity_key(device, config.identity_key, &mut key)?;
    let mut mext = HukKey::empty();
    if missing == Missing::Mext {
        device.fill_random(mext.expose_mut()).map_err(Cause::NoRandom)?;
        // Nothing shows later that a HUK is not random.
        if mext.expose()[..16] == [0; 16] {
            return Err(Cause::RandomIsZero);
        }
    }

    if missing == Missing::Lifecycle {
        *written = Written::Something;
        device.enter_provisioning().map_err(Cause::LifecycleNotWritten)?;
        verify_lifecycle(device)?;
        report(Event::LifecycleSwitched);
    } else {
        verify_lifecycle(device)?;
        *written = Written::Something;
    }
    // Before any key, so that no fully keyed part can lack it.
    write_implementation_id(device, &config.implementation_id)?;
    match missing {
        Missing::Lifecycle | Missing::ImplementationId | Missing::Huks => {
            report(Event::GeneratingHuks);
            device.write_random_huks().map_err(Cause::HukNotWritten)?;
        }
        Missing::Mext => {
            report(Event::GeneratingMext);
            device.write_huk(Huk::Mext, &mext).map_err(Cause::HukNotWritten)?;
        }
        Missing::IdentityKey | Missing::Nothing => report(Event::KeepingHuks),
    }
    verify_huks(device)?;
    if config.identity_key == IdentityKeySource::Dummy {
        report(Event::DummyKey);
    }
    report(Event::WritingIdentityKey);
    write_identity_key(device, config.identity_key, &mut key)?;
    let public_key = verify_identity_key(device, config, &mut key, public, report)?;
    report(Event::Success);
    Ok(public_key)
}

/// The first piece that is not whole. All behind it are blank.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Lifecycle,
    ImplementationId,
    /// Both.
    Huks,
    Mext,
    IdentityKey,
    Nothing,
}

/// Looks at each piece, without a write. What is not fit to go on with ends the run.
fn inspect(
    device: &mut impl Device,
    config: &Config,
    report: &mut impl FnMut(Event<'_>),
) -> Result<Missing, Cause> {
    let lifecycle = match device.lifecycle().map_err(Cause::LifecycleUnreadable)? {
        Lifecycle::Assembly => {
            report(Event::LifecycleVerified);
            false
        }
        Lifecycle::Provisioning if config.resume => {
            report(Event::Resuming);
            true
        }
        other => return Err(Cause::NotInAssembly(other)),
    };
    let id = device.implementation_id().map_err(Cause::ImplementationIdUnreadable)?;
    let id = id_progress(&id, &config.implementation_id);
    let id_is_whole = match id {
        Progress::Blank => false,
        Progress::Whole => true,
        // Words that are whole or blank can be completed.
        Progress::Partial if lifecycle => false,
        Progress::Torn if lifecycle => return Err(Cause::Torn(Piece::ImplementationId)),
        _ => return Err(Cause::ImplementationIdTaken),
    };

    // In ASSEMBLY there is no key of ours yet. Behind a blank piece there is none either.
    let mut may_be_there = lifecycle && id_is_whole;
    let mut key = |slots: KeySlots, piece, taken| match (slots.are_blank(), may_be_there) {
        (true, _) => {
            may_be_there = false;
            Ok(false)
        }
        (false, false) => Err(taken),
        (false, true) if slots.are_whole() => Ok(true),
        (false, true) => Err(Cause::Torn(piece)),
    };
    let mut huk = |huk| {
        let slots = device.huk_slots(huk).map_err(|error| Cause::HukUnreadable(huk, error))?;
        key(slots, Piece::Huk(huk), Cause::HukTaken(huk))
    };
    let mkek = huk(Huk::Mkek)?;
    let mext = huk(Huk::Mext)?;
    let slots = device.identity_key_slots().map_err(Cause::IdentityKeySlotsUnreadable)?;
    let identity_key = key(slots, Piece::IdentityKey, Cause::IdentityKeyTaken)?;
    // The driver's own word is no proof that each slot is free, but it can be one that none is.
    if !identity_key && device.identity_key_is_written() {
        return Err(Cause::IdentityKeyTaken);
    }
    Ok(match (lifecycle, id_is_whole, mkek, mext, identity_key) {
        (false, ..) => Missing::Lifecycle,
        (_, false, ..) => Missing::ImplementationId,
        (_, _, false, ..) => Missing::Huks,
        (_, _, _, false, _) => Missing::Mext,
        (.., false) => Missing::IdentityKey,
        _ => Missing::Nothing,
    })
}

/// How much of the implementation ID is in OTP.
enum Progress {
    /// No bit.
    Blank,
    /// All of it.
    Whole,
    /// Some of its words, and the others are blank.
    Partial,
    /// A word with some of its bits cleared, and no others.
    Torn,
    /// Bits that are not cleared in this ID.
    Other,
}

fn id_progress(found: &[u8; IMPLEMENTATION_ID_SIZE], id: &ImplementationId) -> Progress {
    let words = || found.as_chunks::<4>().0.iter().zip(id.as_bytes().as_chunks::<4>().0);
    if found == id.as_bytes() {
        Progress::Whole
    } else if found.iter().all(|byte| *byte == 0xFF) {
        Progress::Blank
    } else if words().all(|(found, id)| found == id || *found == ERASED_WORD) {
        Progress::Partial
    } else if found.iter().zip(id.as_bytes()).all(|(found, id)| found & id == *id) {
        Progress::Torn
    } else {
        Progress::Other
    }
}

/// Checks a part that has everything.
fn verify_all(
    device: &mut impl Device,
    config: &Config,
    report: &mut impl FnMut(Event<'_>),
) -> Result<PublicKey, Cause> {
    verify_lifecycle(device)?;
    verify_huks(device)?;
    verify_identity_key_slots(device)?;
    verify_identity_key(device, config, &mut IdentityKey::empty(), None, report)
}

/// Gets the identity key ready, as far as it is ours to make, and its public one where that is at hand.
fn choose_identity_key(
    device: &mut impl Device,
    source: IdentityKeySource,
    key: &mut IdentityKey,
) -> Result<Option<PublicPoint>, Cause> {
    match source {
        IdentityKeySource::Generated => identity::generate(key, |bytes| device.fill_random(bytes))
            .map_err(Cause::NoRandom)?
            .ok_or(Cause::NoPrivateKey)
            .map(Some),
        IdentityKeySource::Driver | IdentityKeySource::Dummy => Ok(None),
    }
}

/// The lifecycle state PROVISIONING, read once more.
fn verify_lifecycle(device: &mut impl Device) -> Result<(), Cause> {
    match device.lifecycle().map_err(Cause::LifecycleUnreadable)? {
        Lifecycle::Provisioning => Ok(()),
        other => Err(Cause::LifecycleMismatch(other)),
    }
}

/// The words of the implementation ID that are still erased, and then all of it read back. OTP takes each
/// halfword once, so what is there is kept.
fn write_implementation_id(device: &mut impl Device, id: &ImplementationId) -> Result<(), Cause> {
    let found = device.implementation_id().map_err(Cause::ImplementationIdUnreadable)?;
    let words = found.as_chunks::<4>().0.iter().zip(id.as_bytes().as_chunks::<4>().0);
    for (index, (found, word)) in (0..).zip(words) {
        if found != word && *found == ERASED_WORD {
            device
                .write_implementation_id_word(index, u32::from_le_bytes(*word))
                .map_err(Cause::ImplementationIdNotWritten)?;
        }
    }
    let found = device.implementation_id().map_err(Cause::ImplementationIdUnreadable)?;
    if found == *id.as_bytes() { Ok(()) } else { Err(Cause::ImplementationIdMismatch) }
}

/// Each slot of each HUK must be written and closed, and CryptoCell must be able to use each key.
fn verify_huks(device: &mut impl Device) -> Result<(), Cause> {
    for huk in Huk::ALL {
        let slots = device.huk_slots(huk).map_err(|error| Cause::HukUnreadable(huk, error))?;
        if slots.blank > 0 {
            return Err(Cause::HukIncomplete(huk));
        }
        if slots.exposed > 0 {
            return Err(Cause::HukExposed(huk));
        }
        if !slots.are_whole() {
            return Err(Cause::Torn(Piece::Huk(huk)));
        }
    }
    let mut derived = Zeroizing::new([[0; 16]; Huk::ALL.len()]);
    for (huk, derived) in Huk::ALL.into_iter().zip(derived.iter_mut()) {
        device.derive_from_huk(huk, derived).map_err(|error| Cause::HukUnusable(huk, error))?;
    }
    if derived[0] == derived[1] { Err(Cause::HuksEqual) } else { Ok(()) }
}

/// The identity key, of which no copy stays in `key`.
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
    verify_identity_key_slots(device)
}

/// Each slot of the identity key must be written to its end, and the driver must see the key.
fn verify_identity_key_slots(device: &mut impl Device) -> Result<(), Cause> {
    let slots = device.identity_key_slots().map_err(Cause::IdentityKeySlotsUnreadable)?;
    if slots.are_blank() || !device.identity_key_is_written() {
        return Err(Cause::IdentityKeyMissing);
    }
    if slots.blank > 0 {
        return Err(Cause::IdentityKeyIncomplete);
    }
    if slots.are_whole() { Ok(()) } else { Err(Cause::Torn(Piece::IdentityKey)) }
}

/// The identity key, read back and made to sign the record, which is reported.
fn verify_identity_key(
    device: &mut impl Device,
    config: &Config,
    key: &mut IdentityKey,
    expected: Option<PublicPoint>,
    report: &mut impl FnMut(Event<'_>),
) -> Result<PublicKey, Cause> {
    let mut nonce = Nonce([0; 32]);
    match config.nonce {
        Some(given) => nonce = given,
        None => device.fill_random(&mut nonce.0).map_err(Cause::NoRandom)?,
    }
    let mut proof = read_and_prove(device, config, key, nonce, expected);
    if proof.is_ok() && expected.is_none() {
        // Nothing to compare with but another read.
        let mut again = IdentityKey::empty();
        let read = device.read_identity_key(&mut again).map_err(Cause::IdentityKeyUnreadable);
        if let Err(cause) = read {
            proof = Err(cause);
        } else if again.expose() != key.expose() {
            proof = Err(Cause::IdentityKeyMismatch);
        }
        device.free_identity_key(&mut again);
    }
    device.free_identity_key(key);
    key.clear();
    let (public_key, record) = proof?;
    match (config.identity_key, public_key == DUMMY_PUBLIC_KEY) {
        (IdentityKeySource::Dummy, false) => return Err(Cause::IdentityKeyMismatch),
        // A part that came with this key, or whose driver gave it, is not to be told from others.
        (IdentityKeySource::Generated | IdentityKeySource::Driver, true) => {
            return Err(Cause::IdentityKeyIsDummy);
        }
        _ => {}
    }
    if config.record {
        report(Event::Record(&record));
    }
    Ok(public_key)
}

/// The record is what the key proves itself with: one signature does for both.
fn read_and_prove(
    device: &mut impl Device,
    config: &Config,
    key: &mut IdentityKey,
    nonce: Nonce,
    expected: Option<PublicPoint>,
) -> Result<(PublicKey, Record), Cause> {
    device.read_identity_key(key).map_err(Cause::IdentityKeyUnreadable)?;
    let public = match expected {
        Some(public) => public,
        None => key.public_point().ok_or(Cause::IdentityKeyInvalid)?,
    };
    let public_key = public.to_public_key();
    let record = Unsigned::new(&Claims {
        nonce,
        implementation_id: config.implementation_id,
        device_id: device.device_id(),
        public_key,
    });
    match key.prove(&record.to_be_signed(), public) {
        Ok(signature) => Ok((public_key, record.sign(&signature))),
        Err(ProofError::Invalid) => Err(Cause::IdentityKeyInvalid),
        Err(ProofError::Mismatch) => Err(Cause::IdentityKeyMismatch),
        Err(ProofError::Signature) => Err(Cause::SelfTestFailed),
    }
}

/// Four bytes of erased OTP.
const ERASED_WORD: [u8; 4] = [0xFF; 4];
