// SPDX-License-Identifier: Apache-2.0

//! Keys that are stored: two HUKs and an identity key, each in slots of the KMU, as on parts with a CryptoCell.
//!
//! They are written one after the other: MKEK, MEXT, identity key. No bit set in any slot of a key is blank. A slot whose
//! permissions are complete is whole, since they are written last and close the slot. All else is torn.

use zeroize::Zeroizing;

use crate::console::Event;
use crate::device::{Device, DriverError, Huk};
use crate::failure::{Cause, Piece};
use crate::huk::{HukKey, HukSize, KeyCheckValue};
use crate::identity::{
    self, DUMMY_PUBLIC_KEY, IdentityKey, IdentityKeySource, ProofError, PublicKey, PublicPoint,
};
use crate::keys::{Keys, claim, derives_again};
use crate::procedure::{Config, draw};
use crate::record::Record;
use crate::verdict::{Check, Verdict};

/// A part whose keys are stored.
pub trait StoredKeyDevice: Device {
    /// How long its HUKs are. Nothing can go wrong: it is a property of the part.
    fn huk_size(&self) -> HukSize;

    /// Looks at each KMU slot that holds a part of `huk`.
    ///
    /// # Errors
    /// The driver's error.
    fn huk_slots(&mut self, huk: Huk) -> Result<KeySlots, DriverError>;

    /// Looks at each KMU slot that holds a part of the identity key.
    ///
    /// # Errors
    /// The driver's error.
    fn identity_key_slots(&mut self) -> Result<KeySlots, DriverError>;

    /// Writes one HUK to its slots, which must be blank. A part whose HUKs are shorter takes as many bytes
    /// of `key` as they have.
    ///
    /// # Errors
    /// The driver's error. Some slots may be written by then.
    fn write_huk(&mut self, huk: Huk, key: &HukKey) -> Result<(), DriverError>;

    /// Whether an identity key is stored, as the driver sees it. What it looks at is not documented, so
    /// this alone does not tell a whole key from a torn one: see [`StoredKeyDevice::identity_key_slots`].
    fn identity_key_is_written(&mut self) -> bool;

    /// Encrypts `key` under the MKEK and writes it. The driver wants a key in RAM, not in flash.
    ///
    /// # Errors
    /// The driver's error. Some slots may be written by then.
    fn write_identity_key(&mut self, key: &mut IdentityKey) -> Result<(), DriverError>;

    /// Generates an identity key in the driver and writes it.
    ///
    /// # Errors
    /// The driver's error. Some slots may be written by then.
    fn write_random_identity_key(&mut self) -> Result<(), DriverError>;

    /// Writes the SDK's test-only identity key, which everybody knows.
    ///
    /// # Errors
    /// The driver's error. Some slots may be written by then.
    fn write_dummy_identity_key(&mut self) -> Result<(), DriverError>;

    /// Reads and decrypts the identity key into `key`.
    ///
    /// # Errors
    /// The driver's error; what `key` holds then is not a key.
    fn read_identity_key(&mut self, key: &mut IdentityKey) -> Result<(), DriverError>;

    /// Hands `key` back to the driver, which clears it.
    fn free_identity_key(&mut self, key: &mut IdentityKey);
}

/// How many of the KMU slots of one key are in which state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySlots {
    /// Slots that the key takes: two, but a HUK on CryptoCell 310 takes one.
    pub total: u32,
    /// Slots in which no bit is written.
    pub blank: u32,
    /// Slots whose header is the one with which the driver closes a slot, and whose value the CPU cannot
    /// read if it is a HUK's.
    pub whole: u32,
    /// Slots of a HUK whose permissions are set and whose value the CPU can read.
    pub exposed: u32,
}

impl KeySlots {
    /// No bit of the key is written.
    #[must_use]
    pub const fn are_blank(self) -> bool {
        self.total > 0 && self.blank == self.total
    }

    /// Every slot was written to its end: the permissions, which are written last, are complete.
    #[must_use]
    pub const fn are_whole(self) -> bool {
        self.total > 0 && self.whole == self.total
    }
}

/// The first key that is not whole. All behind it are blank.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// Both.
    Huks,
    Mext,
    IdentityKey,
    Nothing,
}

/// The keys of a [`StoredKeyDevice`].
pub struct StoredKeys {
    missing: Missing,
    /// New ones, until they are written.
    huks: [HukKey; 2],
    /// What each HUK on the part has derived.
    values: [KeyCheckValue; 2],
    /// The new one, until it is written; then what was read back.
    identity_key: IdentityKey,
    /// Of the new one, if this image has made it.
    public: Option<PublicPoint>,
}

impl<D: StoredKeyDevice> Keys<D> for StoredKeys {
    fn empty() -> Self {
        Self {
            missing: Missing::Huks,
            huks: [HukKey::empty(), HukKey::empty()],
            values: [KeyCheckValue::empty(), KeyCheckValue::empty()],
            identity_key: IdentityKey::empty(),
            public: None,
        }
    }

    fn inspect(&mut self, device: &mut D, _: &Config, may_be_there: bool) -> Result<bool, Cause> {
        // This image writes no key in ASSEMBLY, and none behind a blank piece.
        let mut may_be_there = may_be_there;
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
        self.missing = match (mkek, mext, identity_key) {
            (false, ..) => Missing::Huks,
            (_, false, _) => Missing::Mext,
            (.., false) => Missing::IdentityKey,
            _ => Missing::Nothing,
        };
        Ok(self.missing == Missing::Nothing)
    }

    fn choose(&mut self, device: &mut D, config: &Config) -> Result<(), Cause> {
        self.public = choose_identity_key(device, config.identity_key, &mut self.identity_key)?;
        choose_huks(device, &mut self.huks, &self.identity_key)
    }

    fn write(
        &mut self,
        device: &mut D,
        config: &Config,
        report: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Cause> {
        let (event, new) = match self.missing {
            Missing::Huks => (Event::GeneratingHuks, [true, true]),
            Missing::Mext => (Event::GeneratingMext, [false, true]),
            Missing::IdentityKey | Missing::Nothing => (Event::KeepingHuks, [false, false]),
        };
        report(event);
        write_huks(device, &mut self.huks, new, &mut self.values)?;
        if new != [true, true] {
            report(Event::HuksNotProven);
        }
        if config.identity_key == IdentityKeySource::Dummy {
            report(Event::DummyKey);
        }
        report(Event::WritingIdentityKey);
        write_identity_key(device, config.identity_key, &mut self.identity_key)
    }

    fn verify(&mut self, device: &mut D, report: &mut impl FnMut(Event<'_>)) -> Result<(), Cause> {
        verify_huks(device, &[None, None], &mut self.values)?;
        report(Event::HuksNotProven);
        verify_identity_key_slots(device)
    }

    /// Not inlined, as the second look is not: their frames are then not there at the same time.
    #[inline(never)]
    fn prove(
        &mut self,
        device: &mut D,
        config: &Config,
        record: &mut Record,
    ) -> Result<PublicKey, Cause> {
        let mut random = Zeroizing::new([0; 32]);
        draw(device, &mut random)?;
        device.read_identity_key(&mut self.identity_key).map_err(Cause::IdentityKeyUnreadable)?;
        let public = match self.public {
            Some(public) => public,
            None => self.identity_key.public_point().ok_or(Cause::IdentityKeyInvalid)?,
        };
        let public_key = public.to_public_key();
        claim(device, config, &random, public_key, record);
        match self.identity_key.prove(&record.digest(), &*random, public) {
            Ok(signature) => {
                record.sign(&signature);
                Ok(public_key)
            }
            Err(ProofError::Invalid) => Err(Cause::IdentityKeyInvalid),
            Err(ProofError::Mismatch) => Err(Cause::IdentityKeyMismatch),
            Err(ProofError::Signature) => Err(Cause::SelfTestFailed),
        }
    }

    fn look_again(&self, device: &mut D, verdict: &mut Verdict) -> Result<(), Cause> {
        for (huk, first) in Huk::ALL.into_iter().zip(&self.values) {
            let (slots_check, value_check) = match huk {
                Huk::Mkek => (Check::FirstSlots, Check::MkekValue),
                Huk::Mext => (Check::SecondSlots, Check::MextValue),
            };
            let slots = device.huk_slots(huk).map_err(|error| Cause::HukUnreadable(huk, error))?;
            verdict.count(slots_check, slots.are_whole() && slots.blank == 0 && slots.exposed == 0);
            verdict.count(value_check, derives_again(device, huk, first)?);
        }
        let slots = device.identity_key_slots().map_err(Cause::IdentityKeySlotsUnreadable)?;
        verdict.count(Check::ThirdSlots, slots.are_whole() && slots.blank == 0);
        let mut again = IdentityKey::empty();
        let read = device.read_identity_key(&mut again).map_err(Cause::IdentityKeyUnreadable);
        verdict.count(Check::IdentityKeyValue, again.expose() == self.identity_key.expose());
        device.free_identity_key(&mut again);
        read
    }

    fn release(&mut self, device: &mut D) {
        device.free_identity_key(&mut self.identity_key);
        self.identity_key.clear();
    }

    fn judge(&self, config: &Config, public_key: &PublicKey) -> Result<(), Cause> {
        match (config.identity_key, *public_key == DUMMY_PUBLIC_KEY) {
            (IdentityKeySource::Dummy, false) => Err(Cause::IdentityKeyMismatch),
            // The same key as in all other parts with it, whether it was there before or the driver gave it.
            (IdentityKeySource::Generated | IdentityKeySource::Driver, true) => {
                Err(Cause::IdentityKeyIsDummy)
            }
            _ => Ok(()),
        }
    }
}

/// Makes the identity key and its public key, unless the driver makes the key.
fn choose_identity_key(
    device: &mut impl StoredKeyDevice,
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
    device: &mut impl StoredKeyDevice,
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

/// The HUKs that are `new`, of which no copy stays in `huks`; and both checked.
#[inline(never)]
fn write_huks(
    device: &mut impl StoredKeyDevice,
    huks: &mut [HukKey; 2],
    new: [bool; 2],
    derived: &mut [KeyCheckValue; 2],
) -> Result<(), Cause> {
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
    verify_huks(device, &expected, derived)
}

/// Each slot of each HUK must be written and closed, and CryptoCell must derive from each what is expected,
/// where that is known, and something that the other does not give.
fn verify_huks(
    device: &mut impl StoredKeyDevice,
    expected: &[Option<KeyCheckValue>; 2],
    derived: &mut [KeyCheckValue; 2],
) -> Result<(), Cause> {
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
    for ((huk, derived), expected) in Huk::ALL.into_iter().zip(derived.iter_mut()).zip(expected) {
        device.derive_from_huk(huk, derived).map_err(|error| Cause::HukUnusable(huk, error))?;
        if expected.as_ref().is_some_and(|expected| expected != derived) {
            return Err(Cause::HukMismatch(huk));
        }
    }
    if derived[0] == derived[1] { Err(Cause::HuksEqual) } else { Ok(()) }
}

/// The identity key, of which no copy stays in `key`.
fn write_identity_key(
    device: &mut impl StoredKeyDevice,
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
fn verify_identity_key_slots(device: &mut impl StoredKeyDevice) -> Result<(), Cause> {
    let slots = device.identity_key_slots().map_err(Cause::IdentityKeySlotsUnreadable)?;
    if slots.are_blank() || !device.identity_key_is_written() {
        return Err(Cause::IdentityKeyMissing);
    }
    if slots.blank > 0 {
        return Err(Cause::IdentityKeyIncomplete);
    }
    if slots.are_whole() { Ok(()) } else { Err(Cause::Torn(Piece::IdentityKey)) }
}
