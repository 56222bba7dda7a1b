// SPDX-License-Identifier: Apache-2.0

//! The procedure, from the first look at the part to the last check.

use zeroize::Zeroizing;

use crate::console::Event;
use crate::device::{Device, Huk, KeySlots, Lifecycle};
use crate::failure::{Cause, Failure, Piece, Written};
use crate::huk::{HukKey, KeyCheckValue};
use crate::identity::{
    self, DUMMY_PUBLIC_KEY, IdentityKey, IdentityKeySource, ProofError, PublicKey, PublicPoint,
    Ueid,
};
use crate::implementation_id::{IMPLEMENTATION_ID_SIZE, ImplementationId};
use crate::record::{Claims, Freshness, Measurement, Nonce, Record};
use crate::verdict::{Check, Verdict};

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
    /// The nonce that the record must hold, so that it is known to be fresh; without it, the part makes one.
    pub nonce: Option<Nonce>,
    /// Which image this is. The record says so.
    pub measurement: Measurement,
}

impl Config {
    /// The default of Kconfig: a part is resumed, and its record is reported, with a nonce of its own. The image
    /// has no bytes.
    #[must_use]
    pub fn new(implementation_id: ImplementationId, identity_key: IdentityKeySource) -> Self {
        Self {
            implementation_id,
            identity_key,
            resume: true,
            record: true,
            nonce: None,
            measurement: Measurement::of(&[]),
        }
    }
}

/// A part that is provisioned, as two looks at it have found.
#[derive(Clone, Copy, Debug)]
pub struct Provisioned {
    public_key: PublicKey,
    verdict: Verdict,
    /// By an earlier run.
    already: bool,
}

impl Provisioned {
    /// The public identity key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// "Success!", for the console. It is to be reported when the stack of the run is cleared.
    ///
    /// The first look has found the part good, or there would be no such value. This asks for the verdict of the
    /// second one.
    ///
    /// # Errors
    /// [`Cause::LooksDisagree`], or [`Cause::AlreadyProvisioned`].
    pub fn success(&self) -> Result<Event<'static>, Failure> {
        match (self.verdict.holds(), self.already) {
            (true, false) => Ok(Event::Success),
            (true, true) => Err(Failure::already_provisioned(Ueid::of(&self.public_key))),
            (false, false) => Err(Failure::new(Cause::LooksDisagree, Written::Something)),
            (false, true) => Err(Failure::new(Cause::LooksDisagree, Written::Nothing)),
        }
    }
}

/// Provisions `device`. `report` gets each [`Event`] as it happens, but for the last, which is
/// [`Provisioned::success`].
///
/// What can be found out without a write is found out before the first one: the lifecycle state, what is
/// in OTP and KMU already, and that the random generator gives keys.
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
/// anything by then. A part that is complete already gives no error here: [`Provisioned::success`] fails for it.
pub fn provision(
    device: &mut impl Device,
    config: &Config,
    mut report: impl FnMut(Event<'_>),
) -> Result<Provisioned, Failure> {
    let mut written = Written::Nothing;
    run(device, config, &mut report, &mut written).map_err(|cause| Failure::new(cause, written))
}

fn run(
    device: &mut impl Device,
    config: &Config,
    report: &mut impl FnMut(Event<'_>),
    written: &mut Written,
) -> Result<Provisioned, Cause> {
    let missing = inspect(device, config, report)?;
    if missing == Missing::Nothing {
        verify_lifecycle(device)?;
        let huks = verify_huks(device, [None, None])?;
        report(Event::HuksNotProven);
        verify_identity_key_slots(device)?;
        let key = &mut IdentityKey::empty();
        let part = verify_identity_key(device, config, &huks, key, None, report)?;
        return Ok(Provisioned { already: true, ..part });
    }
    let mut key = IdentityKey::empty();
    let public = choose_identity_key(device, config.identity_key, &mut key)?;
    let mut new_huks = [HukKey::empty(), HukKey::empty()];
    choose_huks(device, &mut new_huks, &key)?;

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
    let (event, new) = match missing {
        Missing::Lifecycle | Missing::ImplementationId | Missing::Huks => {
            (Event::GeneratingHuks, [true, true])
        }
        Missing::Mext => (Event::GeneratingMext, [false, true]),
        Missing::IdentityKey | Missing::Nothing => (Event::KeepingHuks, [false, false]),
    };
    report(event);
    let huks = write_huks(device, &mut new_huks, new)?;
    if new != [true, true] {
        report(Event::HuksNotProven);
    }
    if config.identity_key == IdentityKeySource::Dummy {
        report(Event::DummyKey);
    }
    report(Event::WritingIdentityKey);
    write_identity_key(device, config.identity_key, &mut key)?;
    verify_identity_key(device, config, &huks, &mut key, public, report)
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
        // OTP of zeros reads as that state, too, but no part gets into it that way.
        Lifecycle::Decommissioned
            if device.implementation_id().is_ok_and(|id| id == [0; IMPLEMENTATION_ID_SIZE]) =>
        {
            return Err(Cause::StorageZeroed);
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

    // This image writes no key in ASSEMBLY, and none behind a blank piece.
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

/// Makes the identity key and its public key, unless the driver makes the key.
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

/// Gets both HUKs ready, also where one is there already: a generator that repeats itself must not give a second
/// run what it gave the first one for another key.
fn choose_huks(
    device: &mut impl Device,
    huks: &mut [HukKey; 2],
    identity_key: &IdentityKey,
) -> Result<(), Cause> {
    for huk in huks.iter_mut() {
        draw(device, huk.expose_mut())?;
    }
    // The shorter keys have as many bytes. Nothing shows later that a HUK is not random.
    let [mkek, mext] = huks.each_ref().map(|huk| &huk.expose()[..16]);
    if mkek == mext || [mkek, mext].contains(&&identity_key.expose()[..16]) {
        return Err(Cause::RandomRepeats);
    }
    Ok(())
}

/// 32 bytes from the random generator, or an error.
fn draw(device: &mut impl Device, bytes: &mut [u8; 32]) -> Result<(), Cause> {
    device.fill_random(bytes).map_err(Cause::NoRandom)?;
    if bytes[..16] == [0; 16] { Err(Cause::RandomIsZero) } else { Ok(()) }
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

/// The HUKs that are `new`, of which no copy stays in `huks`; and both checked.
#[inline(never)]
fn write_huks(
    device: &mut impl Device,
    huks: &mut [HukKey; 2],
    new: [bool; 2],
) -> Result<[KeyCheckValue; 2], Cause> {
    let size = device.huk_size();
    let mut expected = [None, None];
    for (((huk, key), new), expected) in
        Huk::ALL.into_iter().zip(huks).zip(new).zip(expected.iter_mut())
    {
        if new {
            *expected = Some(key.check_value(size));
            device.write_huk(huk, key).map_err(|error| Cause::HukNotWritten(huk, error))?;
        }
        key.clear();
    }
    verify_huks(device, expected)
}

/// Each slot of each HUK must be written and closed, and CryptoCell must derive from each what is expected,
/// where that is known, and something that the other does not give.
fn verify_huks(
    device: &mut impl Device,
    expected: [Option<KeyCheckValue>; 2],
) -> Result<[KeyCheckValue; 2], Cause> {
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
    let mut derived = [KeyCheckValue::empty(), KeyCheckValue::empty()];
    for ((huk, derived), expected) in Huk::ALL.into_iter().zip(&mut derived).zip(expected) {
        device.derive_from_huk(huk, derived).map_err(|error| Cause::HukUnusable(huk, error))?;
        if expected.is_some_and(|expected| expected != *derived) {
            return Err(Cause::HukMismatch(huk));
        }
    }
    if derived[0] == derived[1] { Err(Cause::HuksEqual) } else { Ok(derived) }
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

/// The identity key, read back and made to sign the record; the whole part, looked at once more; and then the
/// record is reported. No copy of the key stays in `key`.
fn verify_identity_key(
    device: &mut impl Device,
    config: &Config,
    huks: &[KeyCheckValue; 2],
    key: &mut IdentityKey,
    expected: Option<PublicPoint>,
    report: &mut impl FnMut(Event<'_>),
) -> Result<Provisioned, Cause> {
    let mut record = Record::empty();
    let proof = match read_and_prove(device, config, key, expected, &mut record) {
        Ok(public_key) => look_again(device, config, huks, key).map(|verdict| Provisioned {
            public_key,
            verdict,
            already: false,
        }),
        Err(cause) => Err(cause),
    };
    device.free_identity_key(key);
    key.clear();
    let part = proof?;
    match (config.identity_key, part.public_key == DUMMY_PUBLIC_KEY) {
        (IdentityKeySource::Dummy, false) => return Err(Cause::IdentityKeyMismatch),
        // The same key as in all other parts with it, whether it was there before or the driver gave it.
        (IdentityKeySource::Generated | IdentityKeySource::Driver, true) => {
            return Err(Cause::IdentityKeyIsDummy);
        }
        _ => {}
    }
    // A record of a part that is not whole would be taken for one of a part that is.
    if config.record && part.verdict.holds() {
        report(Event::Record(&record));
    }
    Ok(part)
}

/// The record is what the key proves itself with: one signature does for both.
///
/// Not inlined, as the second look is not: their frames are then not there at the same time.
#[inline(never)]
fn read_and_prove(
    device: &mut impl Device,
    config: &Config,
    key: &mut IdentityKey,
    expected: Option<PublicPoint>,
    record: &mut Record,
) -> Result<PublicKey, Cause> {
    let mut random = Zeroizing::new([0; 32]);
    draw(device, &mut random)?;
    device.read_identity_key(key).map_err(Cause::IdentityKeyUnreadable)?;
    let public = match expected {
        Some(public) => public,
        None => key.public_point().ok_or(Cause::IdentityKeyInvalid)?,
    };
    let public_key = public.to_public_key();
    record.claim(&Claims {
        freshness: Freshness::new(&random, &public_key, config.nonce),
        measurement: config.measurement,
        implementation_id: config.implementation_id,
        device_id: device.device_id(),
        public_key,
    });
    match key.prove(&record.digest(), &*random, public) {
        Ok(signature) => {
            record.sign(&signature);
            Ok(public_key)
        }
        Err(ProofError::Invalid) => Err(Cause::IdentityKeyInvalid),
        Err(ProofError::Mismatch) => Err(Cause::IdentityKeyMismatch),
        Err(ProofError::Signature) => Err(Cause::SelfTestFailed),
    }
}

/// Everything that was written, read or used once more, whatever was found before: one fault can hide one look,
/// not both. `huks` and `key` are what the first look has found.
#[inline(never)]
fn look_again(
    device: &mut impl Device,
    config: &Config,
    huks: &[KeyCheckValue; 2],
    key: &IdentityKey,
) -> Result<Verdict, Cause> {
    let mut verdict = Verdict::new();
    let lifecycle = device.lifecycle().map_err(Cause::LifecycleUnreadable)?;
    verdict.count(Check::Lifecycle, lifecycle == Lifecycle::Provisioning);
    let id = device.implementation_id().map_err(Cause::ImplementationIdUnreadable)?;
    verdict.count(Check::ImplementationId, id == *config.implementation_id.as_bytes());
    for (huk, first) in Huk::ALL.into_iter().zip(huks) {
        let (slots_check, value_check) = match huk {
            Huk::Mkek => (Check::MkekSlots, Check::MkekValue),
            Huk::Mext => (Check::MextSlots, Check::MextValue),
        };
        let slots = device.huk_slots(huk).map_err(|error| Cause::HukUnreadable(huk, error))?;
        verdict.count(slots_check, slots.are_whole() && slots.blank == 0 && slots.exposed == 0);
        let mut derived = KeyCheckValue::empty();
        device
            .derive_from_huk(huk, &mut derived)
            .map_err(|error| Cause::HukUnusable(huk, error))?;
        verdict.count(value_check, derived == *first);
    }
    let slots = device.identity_key_slots().map_err(Cause::IdentityKeySlotsUnreadable)?;
    verdict.count(Check::IdentityKeySlots, slots.are_whole() && slots.blank == 0);
    let mut again = IdentityKey::empty();
    let read = device.read_identity_key(&mut again).map_err(Cause::IdentityKeyUnreadable);
    verdict.count(Check::IdentityKeyValue, again.expose() == key.expose());
    device.free_identity_key(&mut again);
    read.map(|()| verdict)
}

/// Four bytes of erased OTP.
const ERASED_WORD: [u8; 4] = [0xFF; 4];
