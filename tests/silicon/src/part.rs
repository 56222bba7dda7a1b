// SPDX-License-Identifier: Apache-2.0

//! The part below the SDK's key drivers: `part.h`. And the modelled one, where there is no other.

use core::ffi::{CStr, c_char};
use core::fmt;

use silicon::{KeySlot, dest_address, perm_address, value_address};

mod c {
    use core::ffi::c_char;

    unsafe extern "C" {
        pub fn silicon_test_select(number: u32);
        pub fn silicon_test_read(address: u32) -> u32;
        pub fn silicon_test_write(address: u32, word: u32);
        pub fn silicon_test_aes_address() -> u32;
        pub fn silicon_test_write_key_slot(slot: u32, dest: u32, perm: u32, key: *const u8) -> i32;
        pub fn silicon_test_derive(
            slot: u32,
            label: *const u8,
            label_size: u32,
            context: *const u8,
            context_size: u32,
            derived: *mut u8,
            size: u32,
        ) -> i32;
        pub fn silicon_test_identity_key_is_stored(slot: u32) -> bool;
        pub fn silicon_test_identity_key_store(slot: u32, key: *const u8) -> i32;
        pub fn silicon_test_identity_key_retrieve(slot: u32, key: *mut u8) -> i32;
        pub fn silicon_test_has_clock() -> bool;
        pub fn silicon_test_ficr(words: *mut u32) -> bool;
        pub fn silicon_test_sdk() -> *const c_char;
        pub fn silicon_test_board() -> *const c_char;
    }
}

/// Words as the console shows them.
pub struct Words<'a>(pub &'a [u32]);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            write!(f, "{}{word:08x}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// A word of UICR that is not in a key slot.
pub fn read(address: u32) -> u32 {
    // SAFETY: the address is one of UICR's, which secure code may read.
    unsafe { c::silicon_test_read(address) }
}

/// Writes a word of UICR that is not in a key slot.
pub fn write(address: u32, word: u32) {
    // SAFETY: the address is one of UICR's; what a write does to it is what this test is for.
    unsafe { c::silicon_test_write(address, word) }
}

/// A key slot that stays selected: nRF5340 PS, KMU, "Writing to a key slot", selects a slot once for all of its words.
pub struct Selected(KeySlot);

impl Selected {
    /// Selects it.
    pub fn new(slot: KeySlot) -> Self {
        // SAFETY: the number of a slot.
        unsafe { c::silicon_test_select(slot + 1) };
        Self(slot)
    }

    /// DEST, PERM and VALUE, as the CPU sees them.
    pub fn words(&self) -> [u32; 6] {
        addresses(self.0).map(read)
    }

    /// Writes DEST, PERM, or a word of VALUE.
    pub fn write(&self, word: SlotWord, value: u32) {
        let [dest, perm, first, ..] = addresses(self.0);
        let address = match word {
            SlotWord::Dest => dest,
            SlotWord::Perm => perm,
            SlotWord::Value(index) => first + 4 * index,
        };
        write(address, value);
    }
}

impl Drop for Selected {
    fn drop(&mut self) {
        // SAFETY: none.
        unsafe { c::silicon_test_select(0) };
    }
}

/// A word of a key slot.
#[derive(Clone, Copy)]
pub enum SlotWord {
    Dest,
    Perm,
    /// By its index.
    Value(u32),
}

fn addresses(slot: KeySlot) -> [u32; 6] {
    let value = value_address(slot);
    [dest_address(slot), perm_address(slot), value, value + 4, value + 8, value + 12]
}

/// DEST, PERM and VALUE of a key slot, as the CPU sees them.
pub fn slot(slot: KeySlot) -> [u32; 6] {
    Selected::new(slot).words()
}

/// The same while no slot is selected.
pub fn slot_not_selected(slot: KeySlot) -> [u32; 6] {
    addresses(slot).map(read)
}

/// Where a slot of a HUK is pushed to.
pub fn aes_address(index: u32) -> u32 {
    // SAFETY: no arguments.
    unsafe { c::silicon_test_aes_address() + 16 * index }
}

/// `nrf_cc3xx_platform_kmu_write_key_slot`
pub fn write_key_slot(slot: KeySlot, dest: u32, perm: u32, key: &[u8; 16]) -> i32 {
    // SAFETY: the key has the size that the header names.
    unsafe { c::silicon_test_write_key_slot(slot, dest, perm, key.as_ptr()) }
}

/// `nrf_cc3xx_platform_kmu_shadow_key_derive`
pub fn derive(slot: KeySlot, label: &[u8], context: &[u8], derived: &mut [u8]) -> i32 {
    let size = |bytes: &[u8]| bytes.len() as u32; // a few bytes each
    // SAFETY: each pointer is valid for the size that follows it.
    unsafe {
        c::silicon_test_derive(
            slot,
            label.as_ptr(),
            size(label),
            context.as_ptr(),
            size(context),
            derived.as_mut_ptr(),
            size(derived),
        )
    }
}

/// `nrf_cc3xx_platform_identity_key_is_stored`
pub fn identity_key_is_stored(slot: KeySlot) -> bool {
    // SAFETY: no pointers.
    unsafe { c::silicon_test_identity_key_is_stored(slot) }
}

/// `nrf_cc3xx_platform_identity_key_store`
pub fn identity_key_store(slot: KeySlot, key: &[u8; 32]) -> i32 {
    // SAFETY: the key has the size that the header names.
    unsafe { c::silicon_test_identity_key_store(slot, key.as_ptr()) }
}

/// `nrf_cc3xx_platform_identity_key_retrieve`
pub fn identity_key_retrieve(slot: KeySlot, key: &mut [u8; 32]) -> i32 {
    // SAFETY: as above.
    unsafe { c::silicon_test_identity_key_retrieve(slot, key.as_mut_ptr()) }
}

/// Whether a clock runs that the image does not need. On `native_sim` one always does.
pub fn has_clock() -> Option<bool> {
    // SAFETY: no arguments.
    (!cfg!(CONFIG_BOARD_NATIVE_SIM)).then(|| unsafe { c::silicon_test_has_clock() })
}

/// Number and variant of the part, from FICR. The model has neither.
pub fn ficr() -> Option<[u32; 2]> {
    let mut words = [0; 2];
    // SAFETY: room for two words.
    unsafe { c::silicon_test_ficr(words.as_mut_ptr()) }.then_some(words)
}

/// What the image was built with.
pub fn sdk() -> &'static str {
    // SAFETY: no arguments.
    text(unsafe { c::silicon_test_sdk() })
}

/// What the image was built for.
pub fn board() -> &'static str {
    // SAFETY: no arguments.
    text(unsafe { c::silicon_test_board() })
}

fn text(text: *const c_char) -> &'static str {
    // SAFETY: a literal of C.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("?")
}

/// Nothing is modelled.
#[cfg(not(CONFIG_SILICON_MODEL))]
pub mod model {
    use crate::notes::Notes;

    pub fn power_on(_: &Notes) {}

    pub fn keep(_: &mut Notes) {}

    pub fn is_off() -> bool {
        false
    }
}

#[cfg(CONFIG_SILICON_MODEL)]
pub mod model {
    //! The modelled part: erased at power-on, and kept over resets by the notes.

    use log::info;
    use provisioning::console::ModelledSilicon;
    use silicon::{Soc, seed, with_installed};

    use crate::assumptions::TARGET;
    use crate::notes::Notes;
    use crate::run::kconfig::{CONFIG_SILICON_MODEL_SEED, CONFIG_SILICON_MODEL_SOC_NAME};

    /// Puts the part under the drivers, as it was left, with other random numbers in each start.
    pub fn power_on(notes: &Notes) {
        let soc: Soc = CONFIG_SILICON_MODEL_SOC_NAME.parse().expect("Kconfig names a part");
        let number = CONFIG_SILICON_MODEL_SEED as u64; // not negative, by Kconfig
        with_installed(|part| {
            part.replace(soc, seed(number));
            if notes.starts > 0 {
                part.page_mut().copy_from_slice(&notes.page);
            }
            part.restart(seed(number + u64::from(notes.starts)));
        });
        if notes.starts == 0 {
            info!(target: TARGET, "{}", ModelledSilicon { part: soc.name(), seed: number });
        }
    }

    /// Before a reset.
    pub fn keep(notes: &mut Notes) {
        with_installed(|part| notes.page.copy_from_slice(part.page()));
    }

    /// Whether a cut has taken the power away.
    pub fn is_off() -> bool {
        with_installed(|part| part.is_off()) == Some(true)
    }
}
