// SPDX-License-Identifier: Apache-2.0

//! The rules of UICR: its registers, its OTP and its KMU key slots, and the registers of the NVMC and the
//! KMU that decide about an access.
//!
//! [`Uicr`] says what an access gives, or why it is refused, and knows nothing of what can go wrong: the part
//! above it decides what a loss of power leaves of a write, and freezes where an access was refused.
//!
//! The rules are those of the product specifications of nRF5340, nRF9160 and nRF9161, chapters
//! "KMU — Key management unit", "NVMC — Non-volatile memory controller" and "UICR".

use crate::illegal_access::IllegalAccess;
#[cfg(seed_keys)]
use crate::soc::Family;
use crate::soc::Soc;

/// The address of UICR on the parts with a CryptoCell: MDK, `NRF_UICR_S_BASE`.
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
/// Bytes in UICR, as an address counts them.
const UICR_BYTES: u32 = 0x1000;
/// OTP in the UICR of an nRF54L15, of 320 words: MDK, `nrf54l15_application.svd`.
#[cfg(seed_keys)]
const OTP_OF_RRAM: core::ops::Range<u32> = 0x500..0x500 + 4 * 320;
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

/// The address of a slot's DEST word.
#[must_use]
pub const fn dest_address(slot: KeySlot) -> u32 {
    KEYSLOT_CONFIG + 8 * slot
}

/// The address of a slot's PERM word.
#[must_use]
pub const fn perm_address(slot: KeySlot) -> u32 {
    dest_address(slot) + 4
}

/// The address of the first of a slot's four VALUE words.
#[must_use]
pub const fn value_address(slot: KeySlot) -> u32 {
    KEYSLOT_KEY + 16 * slot
}

/// A rule that a mutant of the model leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A write clears bits and sets none.
    ClearsBitsOnly,
    /// OTP takes each halfword once.
    OtpOnce,
    /// A key slot takes each word once, and none after it was closed.
    SlotOnce,
    /// The CPU reads a key only where the slot's permissions allow it.
    ReadPermission,
    /// What the CPU may not read shows as [`READ_DENIED`].
    DenialShows,
}

/// The rules that hold: all of them, or all but one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    off: Option<Rule>,
}

impl Rules {
    /// As on silicon.
    pub(crate) const ALL: Self = Self { off: None };

    /// All but this one.
    pub(crate) const fn without(rule: Rule) -> Self {
        Self { off: Some(rule) }
    }

    fn hold(self, rule: Rule) -> bool {
        self.off != Some(rule)
    }
}

/// A permitted write: which word of the page it changes, from what to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    /// The index in the page.
    pub(crate) index: usize,
    /// What the word is.
    pub(crate) old: u32,
    /// What it becomes; the same where the write changes no bit.
    pub(crate) new: u32,
}

/// A UICR page under its rules.
pub(crate) struct Uicr {
    soc: Soc,
    page: [u32; UICR_WORDS],
    /// The KMU's `SELECTKEYSLOT`: 0 is none.
    selected: u32,
    /// The NVMC's write mode.
    write_enabled: bool,
}

impl Uicr {
    /// A page of this part, as it is at power-on.
    pub(crate) const fn new(soc: Soc, page: &[u32; UICR_WORDS]) -> Self {
        Self { soc, page: *page, selected: 0, write_enabled: false }
    }

    /// Which part the page is of.
    pub(crate) const fn soc(&self) -> Soc {
        self.soc
    }

    /// The words as they are, past all protection.
    pub(crate) const fn page(&self) -> &[u32; UICR_WORDS] {
        &self.page
    }

    /// The words, past all protection.
    pub(crate) const fn page_mut(&mut self) -> &mut [u32; UICR_WORDS] {
        &mut self.page
    }

    /// ERASEALL, and from now on the page of this part.
    pub(crate) fn erase(&mut self, soc: Soc) {
        self.soc = soc;
        self.page.fill(ERASED);
    }

    /// Power comes back: the registers are reset, the page stays.
    pub(crate) fn reset(&mut self) {
        self.selected = 0;
        self.write_enabled = false;
    }

    /// Writes `NVMC.CONFIG`: write mode, or read-only mode.
    pub(crate) fn enable_write(&mut self, enabled: bool) {
        self.write_enabled = enabled;
    }

    /// Writes `SELECTKEYSLOT`: a slot's number plus one, or 0 for none.
    ///
    /// # Errors
    /// There is no such slot.
    pub(crate) fn select(&mut self, number: u32) -> Result<(), IllegalAccess> {
        if number > SLOTS {
            return Err(IllegalAccess::NoSuchSlot(number));
        }
        self.selected = number;
        Ok(())
    }

    /// What `SELECTKEYSLOT` holds.
    #[cfg(all(sdk_drivers, not(seed_keys)))]
    pub(crate) const fn selected(&self) -> u32 {
        self.selected
    }

    /// What the CPU reads at an address.
    ///
    /// # Errors
    /// The address is not that of a word in UICR.
    pub(crate) fn read(&self, address: u32, rules: Rules) -> Result<u32, IllegalAccess> {
        let index = self.word_index(address)?;
        let word = self.page[index];
        #[cfg(seed_keys)]
        if self.soc.family() == Family::Cracen {
            return Ok(word);
        }
        let Some(slot) = slot_of(address) else { return Ok(word) };
        let perm = self.page[perm_index(slot)];
        let readable =
            (perm & PERM_READ != 0 || !rules.hold(Rule::ReadPermission)) && perm & PERM_STATE != 0;
        let denied = self.selected != slot + 1 || (address >= KEYSLOT_KEY && !readable);
        if !denied {
            return Ok(word);
        }
        Ok(if rules.hold(Rule::DenialShows) { READ_DENIED } else { ERASED })
    }

    /// What writing a word through the NVMC changes. A halfword of ones leaves that half of OTP alone.
    ///
    /// # Errors
    /// The rule that forbids the write.
    pub(crate) fn write(
        &self,
        address: u32,
        value: u32,
        rules: Rules,
    ) -> Result<Write, IllegalAccess> {
        let index = self.word_index(address)?;
        if !self.write_enabled {
            return Err(IllegalAccess::WriteNotEnabled(address));
        }
        let old = self.page[index];
        #[cfg(seed_keys)]
        if self.soc.family() == Family::Cracen {
            let is_otp = OTP_OF_RRAM.contains(&(address - self.soc.uicr_base()));
            if is_otp && old != ERASED && rules.hold(Rule::OtpOnce) {
                return Err(IllegalAccess::OtpWrittenTwice(address));
            }
            // RRAM takes any value again.
            return Ok(Write { index, old, new: value });
        }
        if let Some(slot) = slot_of(address) {
            let perm = self.page[perm_index(slot)];
            if self.selected != slot + 1 {
                return Err(IllegalAccess::SlotNotSelected(address));
            }
            if perm & PERM_WRITE == 0 && rules.hold(Rule::SlotOnce) {
                return Err(IllegalAccess::SlotLocked(address));
            }
            if old != ERASED && rules.hold(Rule::SlotOnce) {
                return Err(IllegalAccess::SlotWrittenTwice(address));
            }
        } else if address >= self.soc.otp_base() {
            for shift in [0, 16] {
                let written = old >> shift & 0xFFFF != 0xFFFF;
                if written && value >> shift & 0xFFFF != 0xFFFF && rules.hold(Rule::OtpOnce) {
                    return Err(IllegalAccess::OtpWrittenTwice(address + shift / 8));
                }
            }
        } else if value & !old != 0 {
            return Err(IllegalAccess::SetsBits(address));
        }
        let new = if rules.hold(Rule::ClearsBitsOnly) { old & value } else { value };
        Ok(Write { index, old, new })
    }

    /// The index in the page of the word at `address`.
    fn word_index(&self, address: u32) -> Result<usize, IllegalAccess> {
        let base = self.soc.uicr_base();
        if !(base..base + UICR_BYTES).contains(&address) {
            return Err(IllegalAccess::OutsideUicr(address));
        }
        if !address.is_multiple_of(4) {
            return Err(IllegalAccess::Misaligned(address));
        }
        Ok((address - base) as usize / 4)
    }

    /// Whether RRAMC or NVMC are in write mode.
    #[cfg(seed_keys)]
    pub(crate) const fn is_write_enabled(&self) -> bool {
        self.write_enabled
    }

    /// The destination and the value of the selected slot (`TASKS_PUSH_KEYSLOT`).
    ///
    /// # Errors
    /// No slot is selected, or its permissions or its destination do not allow a push.
    pub(crate) fn push(&self) -> Result<(u32, [u32; 4]), IllegalAccess> {
        let slot = self.selected.checked_sub(1).ok_or(IllegalAccess::PushRefused(0))?;
        let perm = self.page[perm_index(slot)];
        let dest = self.page[perm_index(slot) - 1];
        if perm & PERM_PUSH == 0 || perm & PERM_STATE == 0 || dest == ERASED {
            return Err(IllegalAccess::PushRefused(slot));
        }
        let first = (value_address(slot) - UICR_BASE) as usize / 4;
        let mut value = [0; 4];
        value.copy_from_slice(&self.page[first..first + 4]);
        Ok((dest, value))
    }
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
    (perm_address(slot) - UICR_BASE) as usize / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTP: u32 = 0x00FF_8110;
    const UICR_END: u32 = 0x00FF_9000;
    const VALUE: u32 = value_address(2);
    const DEST: u32 = dest_address(2);
    const PERM: u32 = perm_address(2);

    fn read(uicr: &Uicr, address: u32) -> Result<u32, IllegalAccess> {
        uicr.read(address, Rules::ALL)
    }

    fn write(uicr: &mut Uicr, address: u32, value: u32) {
        let Write { index, new, .. } = uicr.write(address, value, Rules::ALL).unwrap();
        uicr.page[index] = new;
    }

    fn refusal(uicr: &Uicr, address: u32, value: u32) -> Option<IllegalAccess> {
        uicr.write(address, value, Rules::ALL).err()
    }

    fn erased(soc: Soc) -> Uicr {
        let mut uicr = Uicr::new(soc, &[ERASED; UICR_WORDS]);
        uicr.enable_write(true);
        uicr
    }

    fn blank() -> Uicr {
        erased(Soc::Nrf5340)
    }

    /// Slot 2 is selected, and written with these permissions.
    fn keyed(perm: u32) -> Uicr {
        let mut uicr = blank();
        uicr.select(3).unwrap();
        for word in 0..4 {
            write(&mut uicr, VALUE + 4 * word, 0x1111_1111 * (word + 1));
        }
        write(&mut uicr, DEST, 0x5084_5400);
        write(&mut uicr, PERM, perm);
        uicr
    }

    #[test]
    fn words_are_aligned() {
        let misaligned = |address| Some(IllegalAccess::Misaligned(address));
        assert_eq!(refusal(&blank(), UICR_BASE + 2, 0), misaligned(UICR_BASE + 2));
        assert_eq!(read(&blank(), UICR_BASE + 1).err(), misaligned(UICR_BASE + 1));
    }

    #[test]
    fn uicr_has_a_beginning_and_an_end() {
        let outside = |address| Some(IllegalAccess::OutsideUicr(address));
        assert_eq!(refusal(&blank(), UICR_BASE - 4, 0), outside(UICR_BASE - 4));
        assert_eq!(refusal(&blank(), UICR_END, 0), outside(UICR_END));
        assert_eq!(read(&blank(), 0).err(), outside(0));
    }

    #[test]
    fn a_write_needs_write_mode() {
        let mut uicr = blank();
        uicr.enable_write(false);
        assert_eq!(refusal(&uicr, OTP, 0), Some(IllegalAccess::WriteNotEnabled(OTP)));
    }

    #[test]
    fn otp_takes_each_halfword_once() {
        for soc in Soc::CRYPTOCELL {
            let mut uicr = erased(soc);
            write(&mut uicr, OTP, 0xFFFF_0000);
            write(&mut uicr, OTP, 0x1234_FFFF);
            assert_eq!(read(&uicr, OTP), Ok(0x1234_0000));
            let twice = Some(IllegalAccess::OtpWrittenTwice(OTP));
            assert_eq!(refusal(&uicr, OTP, 0xFFFF_0000), twice);
        }
        let mut uicr = blank();
        write(&mut uicr, OTP, 0x1234_FFFF);
        let twice = Some(IllegalAccess::OtpWrittenTwice(OTP + 2));
        assert_eq!(refusal(&uicr, OTP, 0x1234_FFFF), twice);
    }

    #[test]
    fn registers_only_lose_bits() {
        let mut uicr = blank();
        write(&mut uicr, UICR_BASE, 0x50FA_50FA);
        write(&mut uicr, UICR_BASE, 0x5000_0000);
        assert_eq!(read(&uicr, UICR_BASE), Ok(0x5000_0000));
        let sets_bits = Some(IllegalAccess::SetsBits(UICR_BASE));
        assert_eq!(refusal(&uicr, UICR_BASE, 0x5000_0001), sets_bits);
    }

    #[test]
    fn a_slot_is_written_while_it_is_selected() {
        let not_selected = Some(IllegalAccess::SlotNotSelected(VALUE));
        let mut uicr = blank();
        assert_eq!(refusal(&uicr, VALUE, 0), not_selected);
        uicr.select(4).unwrap();
        assert_eq!(refusal(&uicr, VALUE, 0), not_selected, "another is");
    }

    #[test]
    fn a_slot_takes_each_word_once() {
        let open = keyed(!PERM_READ); // locked for reading, not for writing
        for address in [VALUE, DEST, PERM] {
            let twice = Some(IllegalAccess::SlotWrittenTwice(address));
            assert_eq!(refusal(&open, address, 0), twice);
        }
    }

    #[test]
    fn a_closed_slot_takes_no_word() {
        for address in [VALUE, DEST, PERM] {
            let locked = Some(IllegalAccess::SlotLocked(address));
            assert_eq!(refusal(&keyed(0xFFFF_FFFC), address, 0), locked);
        }
    }

    #[test]
    fn there_are_128_slots() {
        assert_eq!(blank().select(128), Ok(()));
        assert_eq!(blank().select(129), Err(IllegalAccess::NoSuchSlot(129)));
    }

    #[test]
    fn a_slot_is_read_while_it_is_selected() {
        let mut uicr = blank();
        assert_eq!(read(&uicr, VALUE), Ok(READ_DENIED));
        uicr.select(3).unwrap();
        assert_eq!(read(&uicr, VALUE), Ok(ERASED));
        assert_eq!(read(&uicr, PERM), Ok(ERASED));
    }

    #[test]
    fn a_locked_slot_shows_its_header_alone() {
        let locked = keyed(0xFFFF_FFFC);
        assert_eq!(read(&locked, VALUE), Ok(READ_DENIED));
        assert_eq!(read(&locked, PERM), Ok(0xFFFF_FFFC));
        assert_eq!(read(&locked, DEST), Ok(0x5084_5400));
    }

    #[test]
    fn a_readable_slot_shows_its_value_until_it_is_revoked() {
        let mut readable = keyed(0xFFFF_FFFA);
        assert_eq!(read(&readable, VALUE + 4), Ok(0x2222_2222));
        readable.select(0).unwrap();
        assert_eq!(read(&readable, VALUE + 4), Ok(READ_DENIED), "not selected");
        assert_eq!(read(&keyed(0xFFFE_FFFA), VALUE), Ok(READ_DENIED), "revoked");
    }

    #[test]
    fn a_slot_is_pushed_where_it_may_be() {
        let value = [0x1111_1111, 0x2222_2222, 0x3333_3333, 0x4444_4444];
        assert_eq!(keyed(0xFFFF_FFFC).push(), Ok((0x5084_5400, value)));
        let refused = Err(IllegalAccess::PushRefused(2));
        assert_eq!(keyed(0xFFFF_FFFA).push(), refused, "no permission");
        assert_eq!(keyed(0xFFFE_FFFC).push(), refused, "revoked");
        let mut uicr = blank();
        uicr.select(3).unwrap();
        assert_eq!(uicr.push(), refused, "no destination");
        assert_eq!(blank().push(), Err(IllegalAccess::PushRefused(0)), "not selected");
    }
}
