// SPDX-License-Identifier: Apache-2.0

//! CRACEN's seed register, which only the KMU writes, and which nobody reads but the key generator. Beside it CRACEN's
//! protected RAM, of which nothing is modelled but that the KMU can write to it.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::illegal_access::IllegalAccess;

/// Words of a seed: `HUK_SIZE_WORDS` of `hw_unique_key.h` for CRACEN.
pub(crate) const SEED_WORDS: usize = 12;

/// `NRF_CRACEN->SEED`: where the SDK's driver has the seed's slots pushed to.
pub const SEED_REGISTER: u32 = 0x5004_8410;

/// CRACEN's protected RAM for AES keys: `CRACEN_PROTECTED_RAM_AES_KEY0` and its size, MDK.
const PROTECTED_RAM: core::ops::Range<u32> = 0x5181_0040..0x5181_0060;

/// The register, empty at power-on.
#[derive(ZeroizeOnDrop)]
pub(crate) struct SeedRegister {
    words: [u32; SEED_WORDS],
    /// Which slots of four words have come.
    #[zeroize(skip)]
    pushed: [bool; 3],
    #[zeroize(skip)]
    locked: bool,
    /// Whether the driver has set CRACEN up: `cracen_init`.
    #[zeroize(skip)]
    pub(crate) is_on: bool,
}

impl SeedRegister {
    pub(crate) const EMPTY: Self =
        Self { words: [0; SEED_WORDS], pushed: [false; 3], locked: false, is_on: false };

    /// Power-on.
    pub(crate) fn clear(&mut self) {
        self.words.zeroize();
        self.pushed = [false; 3];
        self.locked = false;
        self.is_on = false;
    }

    /// Takes a slot. Behind the lock it would be ignored without a word.
    pub(crate) fn push(&mut self, dest: u32, value: &[u32; 4]) -> Result<(), IllegalAccess> {
        if PROTECTED_RAM.contains(&dest) {
            return Ok(());
        }
        let offset = dest.wrapping_sub(SEED_REGISTER);
        let slot = (offset / 16) as usize;
        let words = self.words.as_chunks_mut::<4>().0.get_mut(slot);
        let (Some(words), true) = (words, offset.is_multiple_of(16)) else {
            return Err(IllegalAccess::NotOnThisPart(dest));
        };
        if self.locked {
            return Err(IllegalAccess::SeedRegister);
        }
        *words = *value;
        self.pushed[slot] = true;
        Ok(())
    }

    pub(crate) const fn lock(&mut self) {
        self.locked = true;
    }

    pub(crate) const fn is_locked(&self) -> bool {
        self.locked
    }

    /// The seed.
    pub(crate) fn whole(&self) -> Result<&[u32; SEED_WORDS], IllegalAccess> {
        if self.pushed == [true; 3] { Ok(&self.words) } else { Err(IllegalAccess::SeedRegister) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_slots_make_a_seed() {
        let mut register = SeedRegister::EMPTY;
        for slot in 0..3 {
            assert_eq!(register.whole(), Err(IllegalAccess::SeedRegister));
            assert_eq!(register.push(SEED_REGISTER + 16 * slot, &[slot; 4]), Ok(()));
        }
        assert_eq!(register.whole(), Ok(&[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]));
        register.lock();
        assert!(register.is_locked());
        assert_eq!(register.push(SEED_REGISTER, &[9; 4]), Err(IllegalAccess::SeedRegister));
        register.clear();
        assert!(!register.is_locked());
        assert_eq!(register.whole(), Err(IllegalAccess::SeedRegister));
    }

    #[test]
    fn a_push_elsewhere_is_refused() {
        for dest in [0, SEED_REGISTER - 16, SEED_REGISTER + 4, SEED_REGISTER + 48] {
            let mut register = SeedRegister::EMPTY;
            let refused = register.push(dest, &[1; 4]);
            assert_eq!(refused, Err(IllegalAccess::NotOnThisPart(dest)), "{dest:#x}");
        }
    }
}
