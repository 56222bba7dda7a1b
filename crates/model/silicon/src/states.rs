// SPDX-License-Identifier: Apache-2.0

//! Parts to begin a test with, and how far a run has got after how many writes.

use core::str::FromStr;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::drivers::{self, LCS_DECOMMISSIONED, LCS_PROVISIONING, LCS_SECURED};
use crate::illegal_access::IllegalAccess;
use crate::nvmc;
use crate::part::Silicon;
use crate::platform;
#[cfg(seed_keys)]
use crate::seed_drivers;
use crate::soc::{Family, Soc};

/// What a modelled part has gone through before the image starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// ERASEALL.
    Erased,
    /// A whole provisioning run, with the implementation ID that is the default in Kconfig.
    Provisioned,
    /// Provisioned, and taken over by TF-M.
    Secured,
    /// Secured, and taken out of use.
    Decommissioned,
    /// A lifecycle that no part can have: bits of one halfword are cleared, others not.
    CorruptOtp,
}

/// The words of the default implementation ID.
const EXAMPLE_ID: [u32; 8] = [
    0xAAAA_AAAA,
    0xAAAA_AAAA,
    0xBBBB_BBBB,
    0xBBBB_BBBB,
    0xCCCC_CCCC,
    0xCCCC_CCCC,
    0xDDDD_DDDD,
    0xDDDD_DDDD,
];

impl State {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Erased, Self::Provisioned, Self::Secured, Self::Decommissioned, Self::CorruptOtp];

    /// The name in Kconfig.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Erased => "erased",
            Self::Provisioned => "provisioned",
            Self::Secured => "secured",
            Self::Decommissioned => "decommissioned",
            Self::CorruptOtp => "corrupt-otp",
        }
    }

    /// Takes an erased part to this state.
    ///
    /// # Errors
    /// The part was not erased.
    pub fn apply(self, part: &mut Silicon) -> Result<(), IllegalAccess> {
        let halfwords: &[(u32, u16)] = match self {
            Self::Erased => &[],
            Self::Provisioned => &[(LCS_PROVISIONING, 0)],
            Self::Secured => &[(LCS_PROVISIONING, 0), (LCS_SECURED, 0)],
            Self::Decommissioned => {
                &[(LCS_PROVISIONING, 0), (LCS_SECURED, 0), (LCS_DECOMMISSIONED, 0)]
            }
            Self::CorruptOtp => &[(LCS_PROVISIONING, 0x00FF)],
        };
        let storage = part.soc().bl_storage();
        for (offset, value) in halfwords {
            match part.soc().family() {
                Family::CryptoCell => nvmc::halfword_write(part, storage + offset, *value),
                // Words in the place of halfwords.
                #[cfg(seed_keys)]
                Family::Cracen => nvmc::word_write(part, storage + 2 * offset, u32::from(*value)),
            }
        }
        if matches!(self, Self::Provisioned | Self::Secured | Self::Decommissioned) {
            for (index, word) in (0..).zip(EXAMPLE_ID) {
                drivers::write_implementation_id_word(part, index, word);
            }
            match part.soc().family() {
                Family::CryptoCell => {
                    for huk in [0, 1] {
                        let mut key = Zeroizing::new([0; 32]);
                        platform::csrand_get(part, key.as_mut());
                        drivers::write_huk(part, huk, &key);
                    }
                    drivers::write_random_identity_key(part);
                }
                #[cfg(seed_keys)]
                Family::Cracen => {
                    let mut seed = Zeroizing::new([0; 48]);
                    seed_drivers::csrand_get(part, seed.as_mut());
                    seed_drivers::write_seed(part, &seed);
                }
            }
        }
        part.illegal_access().map_or(Ok(()), Err)
    }
}

/// The text is not the name of a [`State`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the states are erased, provisioned, secured, decommissioned and corrupt-otp")]
pub struct UnknownState;

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.name() == name).ok_or(UnknownState)
    }
}

/// How many writes it takes to provision an erased part up to the end of each piece, in the procedure's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writes {
    /// The lifecycle: one write.
    pub lifecycle: u32,
    /// Eight words more.
    pub implementation_id: u32,
    /// DEST, four words of VALUE, and PERM of each slot.
    pub mkek: u32,
    /// As many again.
    pub mext: u32,
    /// The whole run: two slots, whose DEST stays erased.
    pub identity_key: u32,
}

impl Writes {
    /// Those of a part.
    #[must_use]
    pub const fn of(soc: Soc) -> Self {
        let huk = 6 * soc.slots_per_huk();
        Self {
            lifecycle: 1,
            implementation_id: 1 + 8,
            mkek: 1 + 8 + huk,
            mext: 1 + 8 + 2 * huk,
            identity_key: 1 + 8 + 2 * huk + 5 * 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_can_be_had_from_an_erased_part() {
        let expected = [Ok(1), Ok(2), Ok(3), Ok(4), Err(drivers::LIFECYCLE_UNREADABLE)];
        for soc in Soc::CRYPTOCELL {
            for (state, lifecycle) in State::ALL.into_iter().zip(expected) {
                let mut part = Silicon::erased(soc, [0; 32]);
                assert_eq!(state.apply(&mut part), Ok(()));
                assert_eq!(drivers::lifecycle(&mut part), lifecycle);
                let keyed = matches!(lifecycle, Ok(2..=4));
                assert_eq!(drivers::identity_key_is_written(&mut part), keyed);
                assert_eq!(state.name().parse(), Ok(state));
            }
        }
    }
}
