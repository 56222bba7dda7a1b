// SPDX-License-Identifier: Apache-2.0

//! Keys that are derived: one random seed in slots of the KMU, from which an isolated key generator makes MKEK, MEXT
//! and the identity key whenever they are used, as on parts with a CRACEN. None of them is ever in RAM.
//!
//! How the generator derives them is not published. So nobody can say what a seed's public key must be, not even who
//! has written it: it is known by use alone.

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::console::Event;
use crate::device::{Device, DriverError, Huk};
use crate::failure::{Cause, Piece};
use crate::huk::KeyCheckValue;
use crate::identity::PublicKey;
use crate::keys::{Keys, claim, derives_again};
use crate::procedure::{Config, draw};
use crate::record::Record;
use crate::verdict::{Check, Verdict};

/// Bytes in a seed: `HUK_SIZE_BYTES` of `hw_unique_key.h` for CRACEN.
pub const SEED_SIZE: usize = 48;

/// A part whose keys are derived from a seed.
pub trait SeedDevice: Device {
    /// Looks at each KMU slot that holds a part of the seed, and at the one in which the driver notes that it is
    /// about to write several.
    ///
    /// # Errors
    /// The driver's error.
    fn seed_slots(&mut self) -> Result<SeedSlots, DriverError>;

    /// Writes the seed to its slots, which must be blank.
    ///
    /// # Errors
    /// The driver's error. Some slots may be written by then.
    fn write_seed(&mut self, seed: &Seed) -> Result<(), DriverError>;

    /// Writes what a write that was cut off has left blank, each slot with its part of `seed`, and takes the driver's note
    /// back. Slots that are written stay as they are.
    ///
    /// # Errors
    /// The driver's error. Further slots may be written by then.
    fn complete_seed(&mut self, seed: &Seed) -> Result<(), DriverError>;

    /// Exports the public identity key: a point as SEC 1, section 2.3.3 writes it uncompressed.
    ///
    /// # Errors
    /// The driver's error; what `public_key` holds then is no key.
    fn public_identity_key(&mut self, public_key: &mut [u8; 65]) -> Result<(), DriverError>;

    /// Has the identity key sign a SHA-256 hash by ECDSA: `r || s`.
    ///
    /// # Errors
    /// The driver's error; what `signature` holds then is none.
    fn sign(&mut self, digest: &[u8; 32], signature: &mut [u8; 64]) -> Result<(), DriverError>;
}

/// How many of the KMU slots of a seed are in which state. What is in none of them holds something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeedSlots {
    /// Slots that a seed takes.
    pub total: u32,
    /// Slots without metadata: nothing is in them, as far as the KMU says.
    pub blank: u32,
    /// Slots whose metadata is what the driver writes.
    pub whole: u32,
    /// Slots that were revoked, that of the note included.
    pub revoked: u32,
    /// What the driver has noted.
    pub note: Note,
}

/// The driver's note that it is about to write several slots. It is there until all are written, and where it is, the
/// driver revokes these slots before its next write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// No write has begun that has not come to its end.
    Absent,
    /// A write of the seed has.
    OfSeed,
    /// A write of other keys has.
    OfOthers,
}

impl SeedSlots {
    /// Nothing of a seed is written.
    ///
    /// A note of the seed alone does not matter: the driver makes it before the first slot, and takes it back before
    /// it writes again.
    #[must_use]
    pub const fn are_blank(self) -> bool {
        self.total > 0 && self.blank == self.total
    }

    /// Every slot is written, and the driver has said so.
    ///
    /// With the note still there, the last slot may be torn: no document says in which order the KMU writes the words
    /// of a slot.
    #[must_use]
    pub const fn are_whole(self) -> bool {
        self.total > 0 && self.whole == self.total && matches!(self.note, Note::Absent)
    }

    /// A write of the seed was cut off behind its first slot, and left nothing but whole slots and blank ones.
    ///
    /// Nothing can have been derived from such a seed, unless all that is missing is that the note is taken back.
    #[must_use]
    pub const fn can_be_completed(self) -> bool {
        self.whole > 0
            && self.revoked == 0
            && self.whole.saturating_add(self.blank) == self.total
            && matches!(self.note, Note::OfSeed)
    }
}

/// A seed that is about to be written, cleared when it goes out of scope.
#[derive(ZeroizeOnDrop)]
pub struct Seed([u8; SEED_SIZE]);

impl Seed {
    /// Room for a seed; all zero.
    #[must_use]
    pub const fn empty() -> Self {
        Self([0; SEED_SIZE])
    }

    /// The bytes, for a generator to fill.
    pub fn expose_mut(&mut self) -> &mut [u8; SEED_SIZE] {
        &mut self.0
    }

    /// The bytes.
    #[must_use]
    pub const fn expose(&self) -> &[u8; SEED_SIZE] {
        &self.0
    }

    /// Clears the seed.
    pub fn clear(&mut self) {
        self.0.zeroize();
    }
}

/// The keys of a [`SeedDevice`].
pub struct SeedKeys {
    /// The new one, until it is written.
    seed: Seed,
    /// A part of one is written already, and stays.
    is_begun: bool,
    /// What MKEK and MEXT have derived.
    values: [KeyCheckValue; 2],
    public_key: [u8; 65],
}

impl<D: SeedDevice> Keys<D> for SeedKeys {
    fn empty() -> Self {
        Self {
            seed: Seed::empty(),
            is_begun: false,
            values: [KeyCheckValue::empty(), KeyCheckValue::empty()],
            public_key: [0; 65],
        }
    }

    fn inspect(
        &mut self,
        device: &mut D,
        config: &Config,
        may_be_there: bool,
    ) -> Result<bool, Cause> {
        let slots = device.seed_slots().map_err(Cause::SeedUnreadable)?;
        if slots.note == Note::OfOthers {
            return Err(Cause::OtherKeysUnfinished);
        }
        if slots.revoked > 0 {
            return Err(Cause::SeedRevoked);
        }
        match (slots.are_blank(), may_be_there) {
            (true, _) => Ok(false),
            (false, false) => Err(Cause::SeedTaken),
            (false, true) if slots.are_whole() => Ok(true),
            (false, true) if slots.can_be_completed() && config.complete_seed => {
                self.is_begun = true;
                Ok(false)
            }
            (false, true) => Err(Cause::Torn(Piece::Seed)),
        }
    }

    fn choose(&mut self, device: &mut D, _: &Config) -> Result<(), Cause> {
        let mut random = Zeroizing::new([[0; 32]; 2]);
        for bytes in random.iter_mut() {
            draw(device, bytes).map_err(|cause| match cause {
                // The driver needs two slots of its own, and cannot write them beside a torn seed.
                Cause::NoRandom(_) if self.is_begun => Cause::Torn(Piece::Seed),
                cause => cause,
            })?;
        }
        let [first, second] = &*random;
        // Nothing shows later that a seed is not random.
        if first[..16] == second[..16] {
            return Err(Cause::RandomRepeats);
        }
        let (head, tail) = self.seed.expose_mut().split_at_mut(32);
        head.iter_mut().zip(first).for_each(|(byte, random)| *byte = *random);
        tail.iter_mut().zip(second).for_each(|(byte, random)| *byte = *random);
        Ok(())
    }

    fn write(
        &mut self,
        device: &mut D,
        _: &Config,
        report: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Cause> {
        let written = if self.is_begun {
            report(Event::CompletingSeed);
            device.complete_seed(&self.seed)
        } else {
            report(Event::GeneratingHuks);
            device.write_seed(&self.seed)
        };
        self.seed.clear();
        written.map_err(Cause::SeedNotWritten)?;
        self.verify(device, report)
    }

    fn verify(&mut self, device: &mut D, report: &mut impl FnMut(Event<'_>)) -> Result<(), Cause> {
        verify(device, &mut self.values)?;
        report(Event::SeedNotProven);
        Ok(())
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
        device.public_identity_key(&mut self.public_key).map_err(Cause::PublicKeyUnreadable)?;
        let public_key =
            PublicKey::from_sec1_bytes(&self.public_key).ok_or(Cause::IdentityKeyInvalid)?;
        claim(device, config, &random, public_key, record);
        let mut signature = [0; 64];
        let digest = record.digest();
        device.sign(&digest, &mut signature).map_err(Cause::NotSigned)?;
        if !public_key.verifies(&digest, &signature) {
            return Err(Cause::SelfTestFailed);
        }
        record.sign(&signature);
        Ok(public_key)
    }

    fn look_again(&self, device: &mut D, verdict: &mut Verdict) -> Result<(), Cause> {
        let slots = device.seed_slots().map_err(Cause::SeedUnreadable)?;
        verdict.count(Check::FirstSlots, slots.are_whole());
        verdict.count(Check::SecondSlots, slots.blank == 0 && slots.revoked == 0);
        verdict.count(Check::ThirdSlots, slots.note == Note::Absent);
        for ((huk, first), check) in
            Huk::ALL.into_iter().zip(&self.values).zip([Check::MkekValue, Check::MextValue])
        {
            verdict.count(check, derives_again(device, huk, first)?);
        }
        let mut again = [0; 65];
        device.public_identity_key(&mut again).map_err(Cause::PublicKeyUnreadable)?;
        verdict.count(Check::IdentityKeyValue, again == self.public_key);
        Ok(())
    }

    fn release(&mut self, _: &mut D) {
        self.seed.clear();
    }

    fn judge(&self, _: &Config, _: &PublicKey) -> Result<(), Cause> {
        Ok(())
    }
}

/// Each slot must be written, and the keys that the generator makes of the seed must work and differ.
fn verify(device: &mut impl SeedDevice, values: &mut [KeyCheckValue; 2]) -> Result<(), Cause> {
    let slots = device.seed_slots().map_err(Cause::SeedUnreadable)?;
    if slots.revoked > 0 {
        return Err(Cause::SeedRevoked);
    }
    if slots.blank > 0 {
        return Err(Cause::SeedIncomplete);
    }
    if !slots.are_whole() {
        return Err(Cause::Torn(Piece::Seed));
    }
    for (huk, value) in Huk::ALL.into_iter().zip(values.iter_mut()) {
        device.derive_from_huk(huk, value).map_err(|error| Cause::HukUnusable(huk, error))?;
    }
    if values[0] == values[1] { Err(Cause::HuksEqual) } else { Ok(()) }
}
