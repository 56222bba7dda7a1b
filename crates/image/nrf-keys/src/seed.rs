// SPDX-License-Identifier: Apache-2.0

//! Parts whose keys are derived from a seed: CRACEN.

use core::marker::PhantomData;

use provisioning::{
    Device, DeviceId, DriverError, Huk, HukSize, IMPLEMENTATION_ID_SIZE, KeyCheckValue, Lifecycle,
    Note, Seed, SeedDevice, SeedKeys, SeedSlots,
};

use crate::{check, raw};

/// Slots of a seed: 48 bytes.
const SLOTS: u32 = 3;
/// The index of the slot in which the driver notes that it is about to write several.
const NOTE: u32 = 3;

/// MKEK and MEXT are AES keys of 256 bits, and as many are derived from each.
const DERIVED: HukSize = HukSize::Bits256;

/// The key drivers of the part that the program runs on.
pub struct SeedDrivers {
    // Not Send: the modelled part on a host belongs to one thread.
    _not_send: PhantomData<*mut ()>,
}

impl SeedDrivers {
    /// Takes hold of the drivers.
    ///
    /// # Safety
    /// As for `Drivers::new`: while this value lives, nothing else may call the drivers.
    #[must_use]
    pub unsafe fn new() -> Self {
        Self { _not_send: PhantomData }
    }
}

/// The state of a slot, and whether its metadata is what the driver writes.
fn slot(index: u32) -> Result<(u32, bool), DriverError> {
    let mut metadata = [0; 2];
    // SAFETY: `metadata` is valid for the write of the two words that the header names.
    let state = unsafe { raw::nrf_keys_seed_slot_read(index, metadata.as_mut_ptr()) };
    let [found, written] = metadata;
    match u32::try_from(state) {
        Ok(state @ raw::NRF_KEYS_SLOT_BLANK..=raw::NRF_KEYS_SLOT_REVOKED) => {
            Ok((state, found == written))
        }
        _ => Err(DriverError::from_raw(state)),
    }
}

impl Device for SeedDrivers {
    type Keys = SeedKeys;

    fn device_id(&mut self) -> DeviceId {
        crate::device_id()
    }

    fn lifecycle(&mut self) -> Result<Lifecycle, DriverError> {
        crate::lifecycle()
    }

    fn enter_provisioning(&mut self) -> Result<(), DriverError> {
        crate::enter_provisioning()
    }

    fn implementation_id(&mut self) -> Result<[u8; IMPLEMENTATION_ID_SIZE], DriverError> {
        crate::implementation_id()
    }

    fn write_implementation_id_word(&mut self, index: u32, word: u32) -> Result<(), DriverError> {
        crate::write_implementation_id_word(index, word)
    }

    fn derive_from_huk(&mut self, huk: Huk, value: &mut KeyCheckValue) -> Result<(), DriverError> {
        crate::derive_from_huk(DERIVED, huk, value)
    }

    fn fill_random(&mut self, bytes: &mut [u8; 32]) -> Result<(), DriverError> {
        crate::fill_random(bytes)
    }
}

impl SeedDevice for SeedDrivers {
    fn seed_slots(&mut self) -> Result<SeedSlots, DriverError> {
        let mut slots =
            SeedSlots { total: SLOTS, blank: 0, whole: 0, revoked: 0, note: Note::Absent };
        for index in 0..SLOTS {
            match slot(index)? {
                (raw::NRF_KEYS_SLOT_BLANK, _) => slots.blank += 1,
                (raw::NRF_KEYS_SLOT_REVOKED, _) => slots.revoked += 1,
                (_, is_as_written) => slots.whole += u32::from(is_as_written),
            }
        }
        match slot(NOTE)? {
            (raw::NRF_KEYS_SLOT_BLANK, _) => {}
            // The driver could not note anything there again.
            (raw::NRF_KEYS_SLOT_REVOKED, _) => slots.revoked += 1,
            (_, true) => slots.note = Note::OfSeed,
            (_, false) => slots.note = Note::OfOthers,
        }
        Ok(slots)
    }

    fn write_seed(&mut self, seed: &Seed) -> Result<(), DriverError> {
        // SAFETY: the seed is valid for reads of the 48 bytes that the header names.
        check(unsafe { raw::nrf_keys_seed_write(seed.expose().as_ptr()) })
    }

    fn complete_seed(&mut self, seed: &Seed) -> Result<(), DriverError> {
        // SAFETY: as above.
        check(unsafe { raw::nrf_keys_seed_complete(seed.expose().as_ptr()) })
    }

    fn public_identity_key(&mut self, public_key: &mut [u8; 65]) -> Result<(), DriverError> {
        // SAFETY: the key is valid for the write of the 65 bytes that the header names.
        check(unsafe { raw::nrf_keys_public_identity_key(public_key.as_mut_ptr()) })
    }

    fn sign(&mut self, digest: &[u8; 32], signature: &mut [u8; 64]) -> Result<(), DriverError> {
        // SAFETY: both are valid for the 32 and 64 bytes that the header names.
        check(unsafe { raw::nrf_keys_sign(digest.as_ptr(), signature.as_mut_ptr()) })
    }
}
