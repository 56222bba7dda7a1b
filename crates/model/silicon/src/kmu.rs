// SPDX-License-Identifier: Apache-2.0

//! Whole key slots: which are reserved, with which permissions they are closed, and in which order the words of
//! one are read and written.

use crate::illegal_access::IllegalAccess;
use crate::mutants::Mutant;
use crate::nvmc;
use crate::part::Silicon;
use crate::uicr::{KeySlot, dest_address, perm_address, value_address};

/// The key slots that the CryptoCell platform library reserves: `nrf_cc3xx_platform_defines.h`.
pub mod slot {
    use crate::uicr::KeySlot;

    /// `NRF_KMU_SLOT_MKEK`.
    pub const MKEK: KeySlot = 2;
    /// `NRF_KMU_SLOT_MEXT`.
    pub const MEXT: KeySlot = 4;
    /// `NRF_KMU_SLOT_KIDENT`, and the one behind it.
    pub const KIDENT: KeySlot = 6;
    /// The first slot that `nrf_cc3xx_platform_kmu_write_key_slot` takes.
    pub(crate) const FIRST: KeySlot = 2;
    /// `NRF_KMU_LAST_SLOT`.
    pub(crate) const LAST: KeySlot = 127;
    /// `NRF_KMU_LAST_IDENTTY_KEY_SLOT`.
    pub(crate) const LAST_IDENTITY: KeySlot = 126;
}

/// The permissions that are written: `nrf_cc3xx_platform_kmu.h`.
pub mod perm {
    /// `NRF_CC3XX_PLATFORM_KMU_DEFAULT_PERMISSIONS`: pushed only.
    pub const PUSH_ONLY: u32 = 0xFFFF_FFFC;
    /// `NRF_CC3XX_PLATFORM_KMU_IDENTITY_KEY_PERMISSIONS`: read only.
    pub const READ_ONLY: u32 = 0xFFFF_FFFA;
}

/// DEST, PERM and the four VALUE words of a slot, as the CPU sees them.
pub(crate) fn read_key_slot(part: &mut Silicon, slot: KeySlot) -> Result<[u32; 6], IllegalAccess> {
    part.select(slot + 1)?;
    let mut words = [part.read(dest_address(slot))?, part.read(perm_address(slot))?, 0, 0, 0, 0];
    for (address, word) in (value_address(slot)..).step_by(4).zip(&mut words[2..]) {
        *word = part.read(address)?;
    }
    part.select(0)?;
    Ok(words)
}

/// Writes a key slot: DEST, then VALUE, then PERM, which closes it (nRF5340 PS, KMU, "Writing to a key
/// slot").
pub(crate) fn write_key_slot(
    part: &mut Silicon,
    slot: KeySlot,
    dest: u32,
    perm: u32,
    value: &[u8; 16],
) -> Result<(), IllegalAccess> {
    part.select(slot + 1)?;
    nvmc::write(part, dest_address(slot), [dest]);
    let words = value.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    nvmc::write(part, value_address(slot), words);
    let perm = if part.is(Mutant::SlotLeftOpen) { perm | 1 } else { perm };
    nvmc::write(part, perm_address(slot), [perm]);
    // Refused where one of the writes was: the part is frozen.
    part.select(0)
}
