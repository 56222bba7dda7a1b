// SPDX-License-Identifier: Apache-2.0

//! Parts whose keys are stored: CryptoCell.

use core::marker::PhantomData;

use provisioning::{
    Device, DeviceId, DriverError, Huk, HukKey, HukSize, IMPLEMENTATION_ID_SIZE, IdentityKey,
    KeyCheckValue, KeySlots, Lifecycle, StoredKeyDevice, StoredKeys,
};

use crate::{check, huk_number, raw};

/// The key drivers of the part that the program runs on.
pub struct Drivers {
    huk_size: HukSize,
    // Not Send: the modelled part on a host belongs to one thread.
    _not_send: PhantomData<*mut ()>,
}

impl Drivers {
    /// Takes hold of the drivers of a part whose HUKs are as long as this.
    ///
    /// # Safety
    /// The drivers are not reentrant: while this value lives, nothing else may call them, neither
    /// another `Drivers` nor C code, in another thread or in an interrupt.
    #[must_use]
    pub unsafe fn new(huk_size: HukSize) -> Self {
        Self { huk_size, _not_send: PhantomData }
    }
}

/// What an erased word of UICR reads.
const ERASED: u32 = 0xFFFF_FFFF;
/// What the CPU reads from a key slot that it may not read: nRF9161 PS, KMU, "Access control".
const READ_DENIED: u32 = 0xDEAD_DEAD;

fn key_slots(key: u32) -> Result<KeySlots, DriverError> {
    let mut slots = KeySlots { total: 1, blank: 0, whole: 0, exposed: 0 };
    let mut index = 0;
    while index < slots.total {
        let mut words = [0; 6];
        let mut closed = [0; 2];
        // An interrupt that used the KMU would move the selection away from the slot under inspection.
        let total = critical_section::with(|_| {
            // SAFETY: the arrays are valid for the writes of the six and two words that the header names.
            unsafe { raw::nrf_keys_slot_read(key, index, words.as_mut_ptr(), closed.as_mut_ptr()) }
        });
        // No key has more slots than the KMU; what is no such number is an error.
        slots.total = match u32::try_from(total) {
            Ok(total @ 1..=128) => total,
            _ => return Err(DriverError::from_raw(total)),
        };
        let [dest, perm, value @ ..] = words;
        let readable = key != raw::NRF_KEYS_IDENTITY && value != [READ_DENIED; 4];
        slots.blank += u32::from(words == [ERASED; 6]);
        slots.exposed += u32::from(perm != ERASED && readable);
        // A word of the identity key that was left out shows: that a word is all ones by chance happens to one
        // part in 2^29, which is then refused. A HUK is compared otherwise.
        slots.whole += u32::from([dest, perm] == closed && !readable && !value.contains(&ERASED));
        index += 1;
    }
    Ok(slots)
}

impl Device for Drivers {
    type Keys = StoredKeys;

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
        crate::derive_from_huk(self.huk_size, huk, value)
    }

    fn fill_random(&mut self, bytes: &mut [u8; 32]) -> Result<(), DriverError> {
        crate::fill_random(bytes)
    }
}

impl StoredKeyDevice for Drivers {
    fn huk_size(&self) -> HukSize {
        self.huk_size
    }

    fn huk_slots(&mut self, huk: Huk) -> Result<KeySlots, DriverError> {
        key_slots(huk_number(huk))
    }

    fn identity_key_slots(&mut self) -> Result<KeySlots, DriverError> {
        key_slots(raw::NRF_KEYS_IDENTITY)
    }

    fn write_huk(&mut self, huk: Huk, key: &HukKey) -> Result<(), DriverError> {
        // SAFETY: the key is valid for reads of the 32 bytes that the header names.
        check(unsafe { raw::nrf_keys_huk_write(huk_number(huk), key.expose().as_ptr()) })
    }

    fn identity_key_is_written(&mut self) -> bool {
        // SAFETY: no arguments; `Drivers::new` rules out a concurrent call.
        unsafe { raw::identity_key_is_written() }
    }

    fn write_identity_key(&mut self, key: &mut IdentityKey) -> Result<(), DriverError> {
        // SAFETY: the key is 32 bytes, valid for reads and writes (the C type is not const).
        check(unsafe { raw::identity_key_write_key(key.expose_mut().as_mut_ptr()) })
    }

    fn write_random_identity_key(&mut self) -> Result<(), DriverError> {
        // SAFETY: no arguments; `Drivers::new` rules out a concurrent call.
        check(unsafe { raw::nrf_keys_identity_key_write_random() })
    }

    fn write_dummy_identity_key(&mut self) -> Result<(), DriverError> {
        // SAFETY: no arguments; `Drivers::new` rules out a concurrent call.
        check(unsafe { raw::nrf_keys_identity_key_write_dummy() })
    }

    fn read_identity_key(&mut self, key: &mut IdentityKey) -> Result<(), DriverError> {
        // SAFETY: the key is valid for the write of the 32 bytes that the header names.
        check(unsafe { raw::identity_key_read(key.expose_mut().as_mut_ptr()) })
    }

    fn free_identity_key(&mut self, key: &mut IdentityKey) {
        // SAFETY: the key is valid for the write of the 32 bytes that the header names.
        unsafe { raw::identity_key_free(key.expose_mut().as_mut_ptr()) }
    }
}
