// SPDX-License-Identifier: Apache-2.0

//! UICR, the NVMC that writes it, and the KMU that guards its key slots.
//!
//! The rules are those of the product specifications of nRF5340, nRF9160 and nRF9161, chapters
//! "KMU — Key management unit", "NVMC — Non-volatile memory controller" and "UICR".

use core::fmt;

use zeroize::Zeroizing;

use crate::Soc;
use crate::cryptocell::Entropy;
use crate::faults::{Call, Effect, Fault, Noise, Plan};
use crate::mutants::Mutant;
use crate::power::{Cut, Power};

/// The address of UICR: MDK, `NRF_UICR_S_BASE`.
pub const UICR_BASE: u32 = 0x00FF_8000;
/// Words in the UICR page.
pub const UICR_WORDS: usize = 1024;
/// Bytes in the UICR page.
pub const UICR_SIZE: usize = 4 * UICR_WORDS;
/// An erased word.
pub const ERASED: u32 = 0xFFFF_FFFF;
/// What the KMU returns for a key word that may not be read (chapter KMU, "Usage").
pub const READ_DENIED: u32 = 0xDEAD_DEAD;

/// Key headers, 8 bytes a slot: MDK, `UICR_KEYSLOT_Type::CONFIG` at 0x400, DEST before PERM.
const KEYSLOT_CONFIG: u32 = UICR_BASE + 0x400;
/// Key values, 16 bytes a slot: MDK, `UICR_KEYSLOT_Type::KEY` at 0x800.
const KEYSLOT_KEY: u32 = UICR_BASE + 0x800;
/// Behind the last word of UICR.
const UICR_END: u32 = UICR_BASE + 0x1000;
/// Key slots in the KMU.
const SLOTS: u32 = 128;

/// The bits of a slot's PERM word: MDK, `UICR_KEYSLOT_CONFIG_PERM_*`. 1 allows, 0 forbids.
const PERM_WRITE: u32 = 1 << 0;
const PERM_READ: u32 = 1 << 1;
const PERM_PUSH: u32 = 1 << 2;
/// 1 is active, 0 is revoked.
const PERM_STATE: u32 = 1 << 16;

/// A key slot's number, 0 to 127. `SELECTKEYSLOT` takes the number plus one.
pub type KeySlot = u32;

/// An access that no driver may make. The model refuses it and freezes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IllegalAccess {
    /// UICR is read and written in words.
    Misaligned(u32),
    /// Not an address in UICR.
    OutsideUicr(u32),
    /// A write while the NVMC is not in write mode.
    WriteNotEnabled(u32),
    /// A write that would set a bit that is clear.
    SetsBits(u32),
    /// OTP takes each halfword once.
    OtpWrittenTwice(u32),
    /// A write to a key slot that is not the selected one.
    SlotNotSelected(u32),
    /// A write to a key slot whose write permission is taken away.
    SlotLocked(u32),
    /// A key slot takes each word once, and so its permissions.
    SlotWrittenTwice(u32),
    /// There is no such key slot.
    NoSuchSlot(u32),
    /// A push without a selected slot, without a destination, or without permission.
    PushRefused(u32),
    /// The part is frozen: an access was illegal before this one, power was lost, or the file behind the
    /// part failed.
    Frozen,
}

impl fmt::Display for IllegalAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned(address) => write!(f, "{address:#010x} is not word-aligned"),
            Self::OutsideUicr(address) => write!(f, "{address:#010x} is not in UICR"),
            Self::WriteNotEnabled(address) => {
                write!(f, "write to {address:#010x} with the NVMC not in write mode")
            }
            Self::SetsBits(address) => {
                write!(f, "write to {address:#010x} would set a bit that is clear")
            }
            Self::OtpWrittenTwice(address) => {
                write!(f, "second write to the OTP halfword at {address:#010x}")
            }
            Self::SlotNotSelected(address) => {
                write!(f, "write to {address:#010x}, whose key slot is not selected")
            }
            Self::SlotLocked(address) => {
                write!(f, "write to {address:#010x}, whose key slot is locked")
            }
            Self::SlotWrittenTwice(address) => {
                write!(f, "second write to the key slot word at {address:#010x}")
            }
            Self::NoSuchSlot(number) => write!(f, "SELECTKEYSLOT = {number}: no such key slot"),
            Self::PushRefused(number) => write!(f, "push of key slot {number} is not permitted"),
            Self::Frozen => f.write_str("the part is frozen"),
        }
    }
}

impl core::error::Error for IllegalAccess {}

/// Where the UICR page of a modelled part is kept beside its memory.
#[cfg(feature = "std")]
pub trait Backing {
    /// Keeps a word that was just written.
    ///
    /// # Errors
    /// The word could not be kept; the part freezes.
    fn store(&mut self, offset: usize, word: u32) -> std::io::Result<()>;
}

/// One modelled part.
pub struct Silicon {
    soc: Soc,
    device_id: [u32; 2],
    page: [u32; UICR_WORDS],
    /// The KMU's `SELECTKEYSLOT`: 0 is none.
    selected: u32,
    write_enabled: bool,
    fault: Option<IllegalAccess>,
    plan: Option<Plan>,
    power: Power,
    #[cfg(feature = "mutants")]
    pub(crate) mutant: Option<Mutant>,
    pub(crate) entropy: Entropy,
    #[cfg(feature = "std")]
    backing: Option<Box<dyn Backing>>,
    #[cfg(device_file)]
    in_file: bool,
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
            soc,
            device_id: device_id(&seed),
            page,
            selected: 0,
            write_enabled: false,
            fault: None,
            plan: None,
            power: Power::ON,
            #[cfg(feature = "mutants")]
            mutant: None,
            entropy: Entropy::new(seed),
            #[cfg(feature = "std")]
            backing: None,
            #[cfg(device_file)]
            in_file: false,
        }
    }

    /// Puts another part, erased, in the place of this one, without a second page in memory.
    pub fn replace(&mut self, soc: Soc, seed: [u8; 32]) {
        self.soc = soc;
        self.device_id = device_id(&seed);
        self.page.fill(ERASED);
        self.restart(seed);
    }

    /// Power comes back: only what is in UICR has stayed. The noise of the generator is another one, also with the
    /// same seed where the content is another one.
    pub fn restart(&mut self, seed: [u8; 32]) {
        self.selected = 0;
        self.write_enabled = false;
        self.fault = None;
        self.plan = None;
        self.power = Power::ON;
        #[cfg(device_file)]
        {
            self.in_file = false;
        }
        #[cfg(feature = "mutants")]
        self.mutate(None);
        self.entropy.restart(seed);
    }

    /// `FICR.INFO.DEVICEID`: the first eight bytes of the seed that the part began with. It is not in the page.
    #[must_use]
    pub const fn device_id(&self) -> [u32; 2] {
        self.device_id
    }

    /// Keeps each write in `backing` too, from now on.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn with_backing(mut self, backing: Box<dyn Backing>) -> Self {
        self.backing = Some(backing);
        self
    }

    /// Keeps each write in the image's device file too, from now on.
    #[cfg(device_file)]
    pub(crate) fn keep_in_file(&mut self) {
        self.in_file = true;
    }

    /// Which part this is.
    #[must_use]
    pub const fn soc(&self) -> Soc {
        self.soc
    }

    /// The UICR page as it is, past all protection: for inspectors, not for drivers.
    #[must_use]
    pub const fn page(&self) -> &[u32; UICR_WORDS] {
        &self.page
    }

    /// The UICR page, past all protection: for whoever decides what a part holds at the start.
    pub const fn page_mut(&mut self) -> &mut [u32; UICR_WORDS] {
        &mut self.page
    }

    /// Makes a call go wrong that is still to come.
    pub fn plan(&mut self, fault: Fault) {
        self.plan = Some(Plan::new(fault));
    }

    /// Breaks the random generator, for as long as the part exists.
    pub fn break_noise(&mut self, noise: Noise) {
        self.entropy.noise = noise;
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

    /// Whether the planned fault has struck; without one there is nothing left to strike.
    #[must_use]
    pub fn plan_is_done(&self) -> bool {
        self.plan.is_none_or(|plan| plan.has_struck())
    }

    /// From the noise of the random generator.
    pub(crate) fn draw_entropy(&mut self) -> Zeroizing<[u8; 32]> {
        self.entropy.draw(&self.page)
    }

    /// What this call does instead of its work, if it is the one planned to go wrong.
    pub(crate) fn strike(&mut self, call: Call) -> Option<Effect> {
        self.plan.as_mut()?.strike(call)
    }

    /// The first illegal access, if there was one.
    #[must_use]
    pub const fn fault(&self) -> Option<IllegalAccess> {
        self.fault
    }

    /// Puts the NVMC into write mode or back into read-only mode (`NVMC.CONFIG`).
    pub fn enable_write(&mut self, enabled: bool) {
        self.write_enabled = enabled;
    }

    /// Writes the KMU's `SELECTKEYSLOT`: a slot's number plus one, or 0 for none.
    ///
    /// # Errors
    /// There is no such slot, or the part is frozen.
    pub fn select(&mut self, number: u32) -> Result<(), IllegalAccess> {
        self.attempt(|part| {
            if number > SLOTS {
                return Err(IllegalAccess::NoSuchSlot(number));
            }
            part.selected = number;
            Ok(())
        })
    }

    /// What `SELECTKEYSLOT` holds.
    #[cfg(sdk_drivers)]
    pub(crate) const fn selected(&self) -> u32 {
        self.selected
    }

    /// Reads a word of UICR as the CPU would.
    ///
    /// A key slot that is not selected, or whose value may not be read, gives [`READ_DENIED`].
    ///
    /// # Errors
    /// The address is no word of UICR, or the part is frozen.
    pub fn read(&mut self, address: u32) -> Result<u32, IllegalAccess> {
        self.attempt(|part| {
            let index = word_index(address)?;
            let word = part.page[index];
            let Some(slot) = slot_of(address) else { return Ok(word) };
            let perm = part.page[perm_index(slot)];
            let readable = (perm & PERM_READ != 0 || part.is(Mutant::ReadPermissionIgnored))
                && perm & PERM_STATE != 0;
            let denied = part.selected != slot + 1 || (address >= KEYSLOT_KEY && !readable);
            Ok(match denied {
                true if part.is(Mutant::DeniedLooksErased) => ERASED,
                true => READ_DENIED,
                false => word,
            })
        })
    }

    /// Writes a word of UICR through the NVMC. A halfword of ones leaves that half of OTP alone.
    ///
    /// # Errors
    /// Any access that the rules forbid, or the part is frozen.
    pub fn write(&mut self, address: u32, value: u32) -> Result<(), IllegalAccess> {
        self.attempt(|part| part.write_word(address, value))
    }

    fn write_word(&mut self, address: u32, value: u32) -> Result<(), IllegalAccess> {
        let index = word_index(address)?;
        if !self.write_enabled {
            return Err(IllegalAccess::WriteNotEnabled(address));
        }
        let old = self.page[index];
        if let Some(slot) = slot_of(address) {
            let perm = self.page[perm_index(slot)];
            if self.selected != slot + 1 {
                return Err(IllegalAccess::SlotNotSelected(address));
            }
            if perm & PERM_WRITE == 0 && !self.is(Mutant::SlotWrittenTwice) {
                return Err(IllegalAccess::SlotLocked(address));
            }
            if old != ERASED && !self.is(Mutant::SlotWrittenTwice) {
                return Err(IllegalAccess::SlotWrittenTwice(address));
            }
        } else if address >= self.soc.otp_base() {
            for shift in [0, 16] {
                let written = old >> shift & 0xFFFF != 0xFFFF;
                if written && value >> shift & 0xFFFF != 0xFFFF && !self.is(Mutant::OtpWrittenTwice)
                {
                    return Err(IllegalAccess::OtpWrittenTwice(address + shift / 8));
                }
            }
        } else if value & !old != 0 {
            return Err(IllegalAccess::SetsBits(address));
        }
        let mut new = if self.is(Mutant::BitsSetBack) { value } else { old & value };
        if new != old {
            new = self.power.write(old, new);
        }
        self.page[index] = new;
        #[cfg(feature = "std")]
        if let Some(backing) = &mut self.backing
            && let Err(error) = backing.store(4 * index, new)
        {
            log::error!("the device file cannot be written: {error}");
            return Err(IllegalAccess::Frozen);
        }
        #[cfg(device_file)]
        if self.in_file && !crate::device::store(4 * index, new) {
            log::error!("the device file cannot be written");
            return Err(IllegalAccess::Frozen);
        }
        Ok(())
    }

    /// Pushes the selected slot's value to its destination (`TASKS_PUSH_KEYSLOT`).
    ///
    /// # Errors
    /// No slot is selected, or its permissions or its destination do not allow a push.
    pub(crate) fn push(&mut self) -> Result<(u32, [u32; 4]), IllegalAccess> {
        self.attempt(|part| {
            let slot = part.selected.checked_sub(1).ok_or(IllegalAccess::PushRefused(0))?;
            let perm = part.page[perm_index(slot)];
            let dest = part.page[perm_index(slot) - 1];
            if perm & PERM_PUSH == 0 || perm & PERM_STATE == 0 || dest == ERASED {
                return Err(IllegalAccess::PushRefused(slot));
            }
            let first = (KEYSLOT_KEY - UICR_BASE) as usize / 4 + 4 * slot as usize;
            let mut value = [0; 4];
            value.copy_from_slice(&part.page[first..first + 4]);
            Ok((dest, value))
        })
    }

    /// Runs one access, unless the part is frozen; an illegal one freezes it.
    fn attempt<T>(
        &mut self,
        access: impl FnOnce(&mut Self) -> Result<T, IllegalAccess>,
    ) -> Result<T, IllegalAccess> {
        if self.fault.is_some() || self.power.off {
            return Err(IllegalAccess::Frozen);
        }
        let result = access(self);
        if self.power.off {
            return Err(IllegalAccess::Frozen);
        }
        if let Err(error) = result {
            log::error!("illegal access: {error}");
            if !self.is(Mutant::NotFrozen) {
                self.fault = Some(error);
            }
        }
        result
    }

    /// The address of a slot's PERM word.
    #[must_use]
    pub const fn perm_address(slot: KeySlot) -> u32 {
        Self::dest_address(slot) + 4
    }

    /// The address of a slot's DEST word.
    #[must_use]
    pub const fn dest_address(slot: KeySlot) -> u32 {
        KEYSLOT_CONFIG + 8 * slot
    }

    /// The address of the first of a slot's four VALUE words.
    #[must_use]
    pub const fn value_address(slot: KeySlot) -> u32 {
        KEYSLOT_KEY + 16 * slot
    }
}

/// The index in the page of the word at `address`.
fn word_index(address: u32) -> Result<usize, IllegalAccess> {
    if !(UICR_BASE..UICR_END).contains(&address) {
        return Err(IllegalAccess::OutsideUicr(address));
    }
    if !address.is_multiple_of(4) {
        return Err(IllegalAccess::Misaligned(address));
    }
    Ok((address - UICR_BASE) as usize / 4)
}

/// The key slot that a UICR address belongs to, if any.
const fn slot_of(address: u32) -> Option<KeySlot> {
    if address >= KEYSLOT_KEY {
        Some((address - KEYSLOT_KEY) / 16)
    } else if address >= KEYSLOT_CONFIG {
        Some((address - KEYSLOT_CONFIG) / 8)
    } else {
        None
    }
}

const fn perm_index(slot: KeySlot) -> usize {
    (Silicon::perm_address(slot) - UICR_BASE) as usize / 4
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OTP: u32 = 0x00FF_8110;
    const VALUE: u32 = Silicon::value_address(2);
    const DEST: u32 = Silicon::dest_address(2);
    const PERM: u32 = Silicon::perm_address(2);

    fn part() -> Silicon {
        let mut part = Silicon::erased(Soc::Nrf5340, [0; 32]);
        part.enable_write(true);
        part
    }

    /// A part with slot 2 selected and written, with these permissions.
    fn keyed(perm: u32) -> Silicon {
        let mut part = part();
        part.select(3).unwrap();
        for word in 0..4 {
            part.write(VALUE + 4 * word, 0x1111_1111 * (word + 1)).unwrap();
        }
        part.write(DEST, 0x5084_5400).unwrap();
        part.write(PERM, perm).unwrap();
        part
    }

    /// The access is refused by that name, changes nothing, and freezes the part.
    fn refused(mut part: Silicon, address: u32, value: u32, expected: IllegalAccess) {
        let before = *part.page();
        assert_eq!(part.write(address, value), Err(expected));
        assert_eq!(*part.page(), before);
        assert_eq!(part.fault(), Some(expected));
        assert_eq!(part.read(UICR_BASE), Err(IllegalAccess::Frozen));
        assert_eq!(part.write(OTP + 0x40, 0), Err(IllegalAccess::Frozen));
        assert_eq!(*part.page(), before);
    }

    #[test]
    fn refuses_what_is_no_word_of_uicr() {
        refused(part(), UICR_BASE + 2, 0, IllegalAccess::Misaligned(UICR_BASE + 2));
        refused(part(), UICR_BASE - 4, 0, IllegalAccess::OutsideUicr(UICR_BASE - 4));
        refused(part(), UICR_END, 0, IllegalAccess::OutsideUicr(UICR_END));
        let outside = IllegalAccess::OutsideUicr(0);
        assert_eq!(part().read(0), Err(outside));
        assert_eq!(part().read(UICR_BASE + 1), Err(IllegalAccess::Misaligned(UICR_BASE + 1)));
    }

    #[test]
    fn refuses_a_write_without_write_mode() {
        let mut part = part();
        part.enable_write(false);
        refused(part, OTP, 0, IllegalAccess::WriteNotEnabled(OTP));
    }

    #[test]
    fn otp_takes_each_halfword_once() {
        for soc in Soc::ALL {
            let mut part = Silicon::erased(soc, [0; 32]);
            part.enable_write(true);
            part.write(OTP, 0xFFFF_0000).unwrap();
            part.write(OTP, 0x1234_FFFF).unwrap();
            assert_eq!(part.read(OTP), Ok(0x1234_0000));
            refused(part, OTP, 0xFFFF_0000, IllegalAccess::OtpWrittenTwice(OTP));
        }
        let mut part = part();
        part.write(OTP, 0x1234_FFFF).unwrap();
        refused(part, OTP, 0x1234_FFFF, IllegalAccess::OtpWrittenTwice(OTP + 2));
    }

    #[test]
    fn registers_only_lose_bits() {
        let mut part = part();
        part.write(UICR_BASE, 0x50FA_50FA).unwrap();
        part.write(UICR_BASE, 0x5000_0000).unwrap();
        assert_eq!(part.read(UICR_BASE), Ok(0x5000_0000));
        refused(part, UICR_BASE, 0x5000_0001, IllegalAccess::SetsBits(UICR_BASE));
    }

    #[test]
    fn a_slot_is_written_while_it_is_selected_and_once() {
        refused(part(), VALUE, 0, IllegalAccess::SlotNotSelected(VALUE));
        let mut other = part();
        other.select(4).unwrap();
        refused(other, VALUE, 0, IllegalAccess::SlotNotSelected(VALUE));
        let open = !PERM_READ; // locked for reading, not for writing
        refused(keyed(open), VALUE, 0, IllegalAccess::SlotWrittenTwice(VALUE));
        refused(keyed(open), DEST, 0, IllegalAccess::SlotWrittenTwice(DEST));
        refused(keyed(open), PERM, 0, IllegalAccess::SlotWrittenTwice(PERM));
        for address in [VALUE, DEST, PERM] {
            refused(keyed(0xFFFF_FFFC), address, 0, IllegalAccess::SlotLocked(address));
        }
    }

    #[test]
    fn there_are_128_slots() {
        assert_eq!(part().select(128), Ok(()));
        assert_eq!(part().select(129), Err(IllegalAccess::NoSuchSlot(129)));
    }

    #[test]
    fn a_slot_is_read_while_it_is_selected_and_readable() {
        let mut blank = part();
        assert_eq!(blank.read(VALUE), Ok(READ_DENIED), "not selected");
        blank.select(3).unwrap();
        assert_eq!(blank.read(VALUE), Ok(ERASED));
        assert_eq!(blank.read(PERM), Ok(ERASED));

        let mut locked = keyed(0xFFFF_FFFC);
        assert_eq!(locked.read(VALUE), Ok(READ_DENIED));
        assert_eq!(locked.read(PERM), Ok(0xFFFF_FFFC));
        assert_eq!(locked.read(DEST), Ok(0x5084_5400));

        let mut readable = keyed(0xFFFF_FFFA);
        assert_eq!(readable.read(VALUE + 4), Ok(0x2222_2222));
        readable.select(0).unwrap();
        assert_eq!(readable.read(VALUE + 4), Ok(READ_DENIED), "not selected");
        assert_eq!(keyed(0xFFFE_FFFA).read(VALUE), Ok(READ_DENIED), "revoked");
    }

    #[test]
    fn a_slot_is_pushed_where_it_may_be() {
        let value = [0x1111_1111, 0x2222_2222, 0x3333_3333, 0x4444_4444];
        assert_eq!(keyed(0xFFFF_FFFC).push(), Ok((0x5084_5400, value)));
        let refused = Err(IllegalAccess::PushRefused(2));
        assert_eq!(keyed(0xFFFF_FFFA).push(), refused, "no permission");
        assert_eq!(keyed(0xFFFE_FFFC).push(), refused, "revoked");
        let mut blank = part();
        blank.select(3).unwrap();
        assert_eq!(blank.push(), refused, "no destination");
        assert_eq!(part().push(), Err(IllegalAccess::PushRefused(0)), "not selected");
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
