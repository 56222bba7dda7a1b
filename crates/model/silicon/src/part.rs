// SPDX-License-Identifier: Apache-2.0

//! One modelled part: UICR under its rules, and what can happen to it. Here a write can be cut off by a loss of
//! power, a call can be made to fail, the noise is drawn, and a refused access freezes everything after it.

#[cfg(device_file)]
use core::ffi::CStr;

use zeroize::Zeroizing;

#[cfg(feature = "std")]
use crate::backing::Backing;
use crate::backing::{Copies, NotKept};
#[cfg(device_file)]
use crate::device::{self, Unusable};
use crate::entropy::Entropy;
use crate::faults::{ArmedFault, Call, Effect, Fault, Noise};
use crate::illegal_access::IllegalAccess;
#[cfg(seed_keys)]
use crate::key_store::{
    KEY_STORE_WORDS, KeyStore, KmuEvent, RevokePolicy, SlotContent, SlotWrite, is_decisive,
};
use crate::mutants::Mutant;
use crate::power::{Cut, Power};
#[cfg(seed_keys)]
use crate::seed_register::{SEED_WORDS, SeedRegister};
#[cfg(seed_keys)]
use crate::soc::Family;
use crate::soc::Soc;
#[cfg(seed_keys)]
use crate::uicr::KeySlot;
use crate::uicr::{ERASED, Rules, UICR_WORDS, Uicr};

/// The KMU of an nRF54L15: datasheet, "KMU — Key management unit".
#[cfg(seed_keys)]
const KMU_OF_CRACEN: u32 = 0x5004_5000;

/// One modelled part.
pub struct Silicon {
    uicr: Uicr,
    /// Of an nRF54L15; else it stays erased.
    #[cfg(seed_keys)]
    key_store: KeyStore,
    /// What the KMU has pushed to CRACEN's seed register since power-on.
    #[cfg(seed_keys)]
    seed: SeedRegister,
    device_id: [u32; 2],
    /// The first illegal access. It freezes the part.
    refused: Option<IllegalAccess>,
    armed: Option<ArmedFault>,
    power: Power,
    #[cfg(feature = "mutants")]
    mutant: Option<Mutant>,
    entropy: Entropy,
    copies: Copies,
}

/// What a part keeps without power.
#[cfg(seed_keys)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// UICR.
    pub page: [u32; UICR_WORDS],
    /// The key slots of an nRF54L15; else erased.
    pub key_store: [u32; KEY_STORE_WORDS],
}

#[cfg(seed_keys)]
impl Memory {
    /// As ERASEALL leaves it.
    pub const ERASED: Self =
        Self { page: [ERASED; UICR_WORDS], key_store: [ERASED; KEY_STORE_WORDS] };
}

const fn device_id(seed: &[u8; 32]) -> [u32; 2] {
    [
        u32::from_le_bytes([seed[0], seed[1], seed[2], seed[3]]),
        u32::from_le_bytes([seed[4], seed[5], seed[6], seed[7]]),
    ]
}

impl Silicon {
    /// A part as ERASEALL leaves it. `seed` decides everything random in it.
    #[must_use]
    pub const fn erased(soc: Soc, seed: [u8; 32]) -> Self {
        Self::with_page(soc, seed, [ERASED; UICR_WORDS])
    }

    /// A part with this UICR page.
    #[must_use]
    pub const fn with_page(soc: Soc, seed: [u8; 32], page: [u32; UICR_WORDS]) -> Self {
        Self {
            uicr: Uicr::new(soc, &page),
            #[cfg(seed_keys)]
            key_store: KeyStore::erased(),
            #[cfg(seed_keys)]
            seed: SeedRegister::EMPTY,
            device_id: device_id(&seed),
            refused: None,
            armed: None,
            power: Power::ON,
            #[cfg(feature = "mutants")]
            mutant: None,
            entropy: Entropy::new(seed),
            copies: Copies::NONE,
        }
    }

    /// Puts another part, erased, in the place of this one, without a second page in memory.
    pub fn replace(&mut self, soc: Soc, seed: [u8; 32]) {
        self.uicr.erase(soc);
        #[cfg(seed_keys)]
        self.key_store.words_mut().fill(ERASED);
        self.device_id = device_id(&seed);
        self.restart(seed);
    }

    /// Power comes back: only what is in UICR has stayed. The generator draws other noise than before, even from the
    /// same seed if the page has changed.
    pub fn restart(&mut self, seed: [u8; 32]) {
        self.uicr.reset();
        #[cfg(seed_keys)]
        self.seed.clear();
        self.refused = None;
        self.armed = None;
        self.power = Power::ON;
        #[cfg(device_file)]
        {
            self.copies.in_device_file = false;
        }
        #[cfg(feature = "mutants")]
        self.mutate(None);
        self.entropy.restart(seed);
    }

    /// Which part this is.
    #[must_use]
    pub const fn soc(&self) -> Soc {
        self.uicr.soc()
    }

    /// `FICR.INFO.DEVICEID`: the first eight bytes of the seed that the part began with. It is not in the page.
    #[must_use]
    pub const fn device_id(&self) -> [u32; 2] {
        self.device_id
    }

    /// The UICR page as it is, past all protection: for inspectors, not for drivers.
    #[must_use]
    pub const fn page(&self) -> &[u32; UICR_WORDS] {
        self.uicr.page()
    }

    /// The UICR page, past all protection: to set up a part before a run.
    pub const fn page_mut(&mut self) -> &mut [u32; UICR_WORDS] {
        self.uicr.page_mut()
    }

    /// Every word that the part keeps, in the order of a device file, past all protection.
    pub fn words(&self) -> impl Iterator<Item = u32> {
        let words = self.page().iter();
        #[cfg(seed_keys)]
        let words = words.chain(self.key_store());
        words.copied()
    }

    /// Keeps each write in `backing` too, from now on.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn with_backing(mut self, backing: Box<dyn Backing>) -> Self {
        self.copies.backing = Some(backing);
        self
    }

    /// Takes what the part keeps from the image's device file.
    ///
    /// # Errors
    /// The file cannot be used.
    #[cfg(device_file)]
    pub(crate) fn load_from(&mut self, file: &CStr) -> Result<(), Unusable> {
        #[cfg(seed_keys)]
        if self.soc().family() == Family::Cracen {
            return device::load(file, &mut [self.uicr.page_mut(), self.key_store.words_mut()]);
        }
        device::load(file, &mut [self.uicr.page_mut()])
    }

    /// Keeps each write in the image's device file too, from now on.
    #[cfg(device_file)]
    pub(crate) fn keep_in_device_file(&mut self) {
        self.copies.in_device_file = true;
    }

    /// Makes a call go wrong that is still to come.
    pub fn arm(&mut self, fault: Fault) {
        self.armed = Some(ArmedFault::new(fault));
    }

    /// Whether an armed fault has still to strike.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.armed.is_some_and(|fault| !fault.has_struck())
    }

    /// What this call does instead of its work, if it is the one that goes wrong.
    pub(crate) fn strike(&mut self, call: Call) -> Option<Effect> {
        self.armed.as_mut()?.strike(call)
    }

    /// Breaks the random generator, for as long as the part exists.
    pub fn break_noise(&mut self, noise: Noise) {
        self.entropy.noise = noise;
    }

    /// From the noise of the random generator.
    pub(crate) fn draw_entropy(&mut self) -> Zeroizing<[u8; 32]> {
        if self.is(Mutant::RandomRepeats) {
            self.entropy.rewind();
        }
        self.entropy.draw(self.uicr.page())
    }

    /// Takes the power away at a write that is still to come.
    pub fn cut(&mut self, cut: Cut) {
        self.power.cut = Some(cut);
    }

    /// Makes a write that is still to come stop short, and nothing notices: the power stays on, as where an
    /// instruction was skipped.
    pub fn lapse(&mut self, lapse: Cut) {
        self.power.lapse = Some(lapse);
    }

    /// Writes since power-on that changed a bit, the one at which power was lost among them.
    #[must_use]
    pub const fn writes(&self) -> u32 {
        self.power.writes
    }

    /// Whether power was lost.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        self.power.off
    }

    /// Whether the write at which power was lost has left some of its bits, and not all.
    #[must_use]
    pub const fn has_torn_word(&self) -> bool {
        self.power.torn
    }

    /// Breaks the model from now on, or mends it.
    #[cfg(feature = "mutants")]
    pub fn mutate(&mut self, mutant: Option<Mutant>) {
        self.mutant = mutant;
    }

    /// In which way the model is broken.
    #[cfg(feature = "mutants")]
    const fn mutant(&self) -> Option<Mutant> {
        self.mutant
    }

    /// In which way the model is broken: in none, without the feature.
    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    const fn mutant(&self) -> Option<Mutant> {
        None
    }

    /// Whether the model is broken in this way.
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant() == Some(mutant)
    }

    /// The rules of UICR that hold.
    fn rules(&self) -> Rules {
        self.mutant().map_or(Rules::ALL, Mutant::rules)
    }

    /// The first illegal access, if there was one.
    #[must_use]
    pub const fn illegal_access(&self) -> Option<IllegalAccess> {
        self.refused
    }

    /// Puts the NVMC into write mode or back into read-only mode (`NVMC.CONFIG`).
    pub fn enable_write(&mut self, enabled: bool) {
        self.uicr.enable_write(enabled);
    }

    /// Writes the KMU's `SELECTKEYSLOT`: a slot's number plus one, or 0 for none.
    ///
    /// # Errors
    /// There is no such slot, or the part is frozen.
    pub fn select(&mut self, number: u32) -> Result<(), IllegalAccess> {
        self.attempt(|part| part.uicr.select(number))
    }

    /// What `SELECTKEYSLOT` holds.
    #[cfg(all(sdk_drivers, not(seed_keys)))]
    pub(crate) const fn selected(&self) -> u32 {
        self.uicr.selected()
    }

    /// Reads a word of UICR as the CPU would.
    ///
    /// A key slot that is not selected, or whose value may not be read, gives
    /// [`READ_DENIED`](crate::READ_DENIED).
    ///
    /// # Errors
    /// The address is not that of a word in UICR, or the part is frozen.
    pub fn read(&mut self, address: u32) -> Result<u32, IllegalAccess> {
        self.attempt(|part| part.uicr.read(address, part.rules()))
    }

    /// Writes a word of UICR through the NVMC. A halfword of ones leaves that half of OTP alone.
    ///
    /// # Errors
    /// Any access that the rules forbid, or the part is frozen.
    pub fn write(&mut self, address: u32, value: u32) -> Result<(), IllegalAccess> {
        self.attempt(|part| {
            let write = part.uicr.write(address, value, part.rules())?;
            let word = part.power.write(write.old, write.new);
            part.uicr.page_mut()[write.index] = word;
            part.copies.store(write.index, word).map_err(|NotKept| IllegalAccess::Frozen)
        })
    }

    /// Pushes the selected slot's value (`TASKS_PUSH_KEYSLOT`): where it goes, and the value.
    ///
    /// # Errors
    /// No slot is selected, its permissions or its destination do not allow a push, or the part is frozen.
    pub(crate) fn push(&mut self) -> Result<(u32, [u32; 4]), IllegalAccess> {
        self.attempt(|part| part.uicr.push())
    }

    /// Runs one access, unless the part is frozen; an illegal one freezes it.
    fn attempt<T>(
        &mut self,
        access: impl FnOnce(&mut Self) -> Result<T, IllegalAccess>,
    ) -> Result<T, IllegalAccess> {
        if self.refused.is_some() || self.power.off {
            return Err(IllegalAccess::Frozen);
        }
        let result = access(self);
        if self.power.off {
            return Err(IllegalAccess::Frozen);
        }
        if let Err(error) = result {
            log::error!("illegal access: {error}");
            if !self.is(Mutant::NotFrozen) {
                self.refused = Some(error);
            }
        }
        result
    }
}

/// What an nRF54L15 has besides.
#[cfg(seed_keys)]
impl Silicon {
    /// A part that keeps this.
    #[must_use]
    pub fn with_memory(soc: Soc, seed: [u8; 32], memory: &Memory) -> Self {
        let mut part = Self::with_page(soc, seed, memory.page);
        *part.key_store_mut() = memory.key_store;
        part
    }

    /// What it keeps, as it is, past all protection.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory { page: *self.page(), key_store: *self.key_store() }
    }

    /// The KMU's key slots as they are, past all protection: [`SLOT_WORDS`](crate::SLOT_WORDS) words each.
    #[must_use]
    pub const fn key_store(&self) -> &[u32; KEY_STORE_WORDS] {
        self.key_store.words()
    }

    /// The KMU's key slots, past all protection: to set up a part before a run.
    pub const fn key_store_mut(&mut self) -> &mut [u32; KEY_STORE_WORDS] {
        self.key_store.words_mut()
    }

    /// Reads the metadata of a slot (`TASKS_READMETADATA`).
    ///
    /// # Errors
    /// What the KMU reports; [`KmuEvent::Error`] also where the part is frozen.
    pub fn slot_metadata(&mut self, slot: KeySlot) -> Result<u32, KmuEvent> {
        self.task(|part| part.key_store.metadata(slot))
    }

    /// Provisions an erased slot (`TASKS_PROVISION`).
    ///
    /// # Errors
    /// As [`Self::slot_metadata`].
    pub fn provision_slot(&mut self, slot: KeySlot, content: &SlotContent) -> Result<(), KmuEvent> {
        self.task(|part| {
            part.check_slot_write(slot)?;
            let lost = u32::from(part.is(Mutant::MetadataLost));
            let content = SlotContent { metadata: content.metadata ^ lost, ..*content };
            let writes = part.key_store.provision(slot, &content)?;
            part.write_slot(&writes).map(Ok)
        })
    }

    /// Revokes a slot (`TASKS_REVOKE`).
    ///
    /// # Errors
    /// As [`Self::slot_metadata`].
    pub fn revoke_slot(&mut self, slot: KeySlot) -> Result<(), KmuEvent> {
        const ROTATING: u32 = RevokePolicy::Rotating as u32;
        const LOCKED: u32 = RevokePolicy::Locked as u32;

        self.task(|part| {
            part.check_slot_write(slot)?;
            let seen = |policy| match (part.mutant(), policy) {
                (Some(Mutant::LockedSlotRevoked), LOCKED)
                | (Some(Mutant::RotatingSlotRevoked), ROTATING) => RevokePolicy::Revoked as u32,
                _ => policy,
            };
            match part.key_store.revoke(slot, seen)? {
                Ok(writes) => part.write_slot(&writes).map(Ok),
                Err(event) => Ok(Err(event)),
            }
        })
    }

    /// Pushes a slot to where it was provisioned for (`TASKS_PUSH`): of CRACEN's
    /// memory, only the seed register is modelled.
    ///
    /// # Errors
    /// As [`Self::slot_metadata`].
    pub fn push_slot(&mut self, slot: KeySlot) -> Result<(), KmuEvent> {
        self.task(|part| match part.key_store.push(slot)? {
            Ok(_) if part.is(Mutant::PushLost) && slot == 185 => Ok(Ok(())),
            Ok((dest, value)) => part.seed.push(dest, &value).map(Ok),
            Err(event) => Ok(Err(event)),
        })
    }

    /// Locks CRACEN's seed register until the next power-on (`SEEDLOCK`).
    pub fn lock_seed(&mut self) {
        self.seed.lock();
    }

    /// Whether it is locked.
    #[must_use]
    pub const fn seed_is_locked(&self) -> bool {
        self.seed.is_locked()
    }

    /// Whether the driver has set CRACEN up since power-on.
    pub(crate) const fn cracen_is_on(&self) -> bool {
        self.seed.is_on
    }

    /// The driver has set CRACEN up.
    pub(crate) const fn turn_cracen_on(&mut self) {
        self.seed.is_on = true;
    }

    /// The seed that was pushed, for the key generator.
    ///
    /// # Errors
    /// It is not complete.
    pub(crate) fn pushed_seed(&mut self) -> Result<&[u32; SEED_WORDS], IllegalAccess> {
        self.attempt(|part| part.seed.whole().map(|_| ()))?;
        self.seed.whole()
    }

    fn check_slot_write(&self, slot: KeySlot) -> Result<(), IllegalAccess> {
        if self.uicr.is_write_enabled() {
            Ok(())
        } else {
            Err(IllegalAccess::SlotWriteNotEnabled(slot))
        }
    }

    /// Word by word, until power is lost. The word that decides is written or not, and no other counts as torn: an erased
    /// slot is written over.
    fn write_slot(&mut self, writes: &[SlotWrite]) -> Result<(), IllegalAccess> {
        let torn = self.power.torn;
        for SlotWrite { index, old, new } in writes {
            if self.power.off {
                break;
            }
            let mut word = self.power.write(*old, *new);
            if is_decisive(*index) && word != *new {
                word = *old;
            }
            self.key_store.words_mut()[*index] = word;
            self.copies.store(UICR_WORDS + index, word).map_err(|NotKept| IllegalAccess::Frozen)?;
        }
        self.power.torn = torn;
        Ok(())
    }

    /// A task of the KMU of an nRF54L15.
    fn task<T>(
        &mut self,
        task: impl FnOnce(&mut Self) -> Result<Result<T, KmuEvent>, IllegalAccess>,
    ) -> Result<T, KmuEvent> {
        let result = self.attempt(|part| match part.soc().family() {
            Family::Cracen => task(part),
            Family::CryptoCell => Err(IllegalAccess::NotOnThisPart(KMU_OF_CRACEN)),
        });
        result.unwrap_or(Err(KmuEvent::Error))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::uicr::{UICR_BASE, dest_address, perm_address, value_address};

    const OTP: u32 = 0x00FF_8110;
    const VALUE: u32 = value_address(2);
    const DEST: u32 = dest_address(2);
    const PERM: u32 = perm_address(2);
    const UICR_END: u32 = 0x00FF_9000;

    fn part() -> Silicon {
        let mut part = Silicon::erased(Soc::Nrf5340, [0; 32]);
        part.enable_write(true);
        part
    }

    /// Slot 2 is selected, and written with these permissions.
    fn keyed(perm: u32) -> Silicon {
        let mut part = part();
        part.select(3).unwrap();
        for address in [VALUE, VALUE + 4, VALUE + 8, VALUE + 12, DEST] {
            part.write(address, 0x5084_5400).unwrap();
        }
        part.write(PERM, perm).unwrap();
        part
    }

    /// The access is refused by that name, changes nothing, and freezes the part.
    #[track_caller]
    fn freezes(mut part: Silicon, address: u32, value: u32, expected: IllegalAccess) {
        let before = *part.page();
        assert_eq!(part.write(address, value), Err(expected));
        assert_eq!(*part.page(), before);
        assert_eq!(part.illegal_access(), Some(expected));
        assert_eq!(part.read(UICR_BASE), Err(IllegalAccess::Frozen));
        assert_eq!(part.write(OTP + 0x40, 0), Err(IllegalAccess::Frozen));
        assert_eq!(*part.page(), before);
    }

    #[test]
    fn a_write_outside_uicr_freezes() {
        freezes(part(), UICR_BASE + 2, 0, IllegalAccess::Misaligned(UICR_BASE + 2));
        freezes(part(), UICR_BASE - 4, 0, IllegalAccess::OutsideUicr(UICR_BASE - 4));
        freezes(part(), UICR_END, 0, IllegalAccess::OutsideUicr(UICR_END));
    }

    #[test]
    fn a_read_outside_uicr_freezes() {
        for (address, expected) in [
            (0, IllegalAccess::OutsideUicr(0)),
            (UICR_BASE + 1, IllegalAccess::Misaligned(UICR_BASE + 1)),
        ] {
            let mut part = part();
            assert_eq!(part.read(address), Err(expected));
            assert_eq!(part.illegal_access(), Some(expected));
        }
    }

    #[test]
    fn a_write_without_write_mode_freezes() {
        let mut part = part();
        part.enable_write(false);
        freezes(part, OTP, 0, IllegalAccess::WriteNotEnabled(OTP));
    }

    #[test]
    fn a_second_write_to_otp_freezes() {
        for soc in Soc::CRYPTOCELL {
            let mut part = Silicon::erased(soc, [0; 32]);
            part.enable_write(true);
            part.write(OTP, 0xFFFF_0000).unwrap();
            part.write(OTP, 0x1234_FFFF).unwrap();
            assert_eq!(part.read(OTP), Ok(0x1234_0000));
            freezes(part, OTP, 0xFFFF_0000, IllegalAccess::OtpWrittenTwice(OTP));
        }
        let mut part = part();
        part.write(OTP, 0x1234_FFFF).unwrap();
        freezes(part, OTP, 0x1234_FFFF, IllegalAccess::OtpWrittenTwice(OTP + 2));
    }

    #[test]
    fn setting_a_bit_of_a_register_freezes() {
        let mut part = part();
        part.write(UICR_BASE, 0x50FA_50FA).unwrap();
        part.write(UICR_BASE, 0x5000_0000).unwrap();
        assert_eq!(part.read(UICR_BASE), Ok(0x5000_0000));
        freezes(part, UICR_BASE, 0x5000_0001, IllegalAccess::SetsBits(UICR_BASE));
    }

    #[test]
    fn a_write_to_a_slot_that_is_not_selected_freezes() {
        freezes(part(), VALUE, 0, IllegalAccess::SlotNotSelected(VALUE));
        let mut other = part();
        other.select(4).unwrap();
        freezes(other, VALUE, 0, IllegalAccess::SlotNotSelected(VALUE));
    }

    #[test]
    fn a_second_write_to_a_slot_freezes() {
        for address in [VALUE, DEST, PERM] {
            let open = keyed(!2); // locked for reading, not for writing
            freezes(open, address, 0, IllegalAccess::SlotWrittenTwice(address));
            freezes(keyed(0xFFFF_FFFC), address, 0, IllegalAccess::SlotLocked(address));
        }
    }

    #[test]
    fn selecting_no_slot_freezes() {
        let mut part = part();
        assert_eq!(part.select(128), Ok(()));
        let expected = IllegalAccess::NoSuchSlot(129);
        assert_eq!(part.select(129), Err(expected));
        assert_eq!(part.illegal_access(), Some(expected));
        assert_eq!(part.select(0), Err(IllegalAccess::Frozen));
    }

    #[test]
    fn a_refused_push_freezes() {
        let mut part = keyed(0xFFFF_FFFA);
        let expected = IllegalAccess::PushRefused(2);
        assert_eq!(part.push(), Err(expected));
        assert_eq!(part.illegal_access(), Some(expected));
        assert_eq!(part.push(), Err(IllegalAccess::Frozen));
    }

    proptest! {
        /// Whatever is accessed in whatever order: no bit is ever set, and a refusal changes nothing.
        #[test]
        fn no_access_sets_a_bit(
            accesses in prop::collection::vec((any::<bool>(), 0..=129_u32, UICR_BASE - 8..UICR_END + 8, any::<u32>()), 0..64),
        ) {
            let mut part = part();
            for (select, number, address, value) in accesses {
                let before = *part.page();
                let result = if select {
                    part.select(number)
                } else {
                    part.write(address, value)
                };
                for (old, new) in before.iter().zip(part.page()) {
                    prop_assert_eq!(new & !old, 0);
                }
                if result.is_err() {
                    prop_assert_eq!(&before, part.page());
                }
            }
        }
    }
}
