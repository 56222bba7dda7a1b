// SPDX-License-Identifier: Apache-2.0

//! What a part keeps without power, over a reset of the machine.

#[cfg(seed_keys)]
use silicon::KEY_STORE_WORDS;
use silicon::{Silicon, UICR_WORDS};

/// UICR, and the key slots of a part that has them elsewhere.
#[repr(C)]
pub struct Kept {
    page: [u32; UICR_WORDS],
    #[cfg(seed_keys)]
    key_store: [u32; KEY_STORE_WORDS],
}

impl Kept {
    /// Takes it from a part.
    pub fn take(&mut self, part: &Silicon) {
        self.page.copy_from_slice(part.page());
        #[cfg(seed_keys)]
        self.key_store.copy_from_slice(part.key_store());
    }

    /// Gives it to a part.
    pub fn put(&self, part: &mut Silicon) {
        part.page_mut().copy_from_slice(&self.page);
        #[cfg(seed_keys)]
        part.key_store_mut().copy_from_slice(&self.key_store);
    }

    /// Its words, in the order of `Silicon::words`.
    pub fn words(&self) -> impl Iterator<Item = u32> {
        let words = self.page.iter();
        #[cfg(seed_keys)]
        let words = words.chain(&self.key_store);
        words.copied()
    }
}
