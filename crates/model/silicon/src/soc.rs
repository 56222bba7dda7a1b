// SPDX-License-Identifier: Apache-2.0

//! What differs between the parts.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// A part that can be modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Soc {
    /// Application core of an nRF5340: CryptoCell 312, HUKs of 256 bits in two key slots each.
    Nrf5340,
    /// nRF9160, as nRF9161 and nRF9151: CryptoCell 310, HUKs of 128 bits in one key slot each.
    Nrf9160,
    /// Application core of an nRF54L15: CRACEN, whose key generator derives all keys from a seed.
    #[cfg(seed_keys)]
    Nrf54l15,
}

/// How a part has its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// CryptoCell: HUKs and an identity key in the key slots of UICR, which the NVMC writes.
    CryptoCell,
    /// CRACEN: a seed in the KMU's own memory, and UICR in RRAM.
    #[cfg(seed_keys)]
    Cracen,
}

impl Soc {
    /// Every part that this program knows.
    pub const ALL: &'static [Self] = &[
        Self::Nrf5340,
        Self::Nrf9160,
        #[cfg(seed_keys)]
        Self::Nrf54l15,
    ];
    /// The parts of [`Family::CryptoCell`].
    pub const CRYPTOCELL: [Self; 2] = [Self::Nrf5340, Self::Nrf9160];

    /// How it has its keys.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Nrf5340 | Self::Nrf9160 => Family::CryptoCell,
            #[cfg(seed_keys)]
            Self::Nrf54l15 => Family::Cracen,
        }
    }

    /// The name on the command line and in Kconfig.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nrf5340 => "nrf5340",
            Self::Nrf9160 => "nrf9160",
            #[cfg(seed_keys)]
            Self::Nrf54l15 => "nrf54l15",
        }
    }

    /// The address of UICR: MDK, `NRF_UICR_S_BASE`, and `NRF_UICR_S_BASE` of nRF54L15.
    #[must_use]
    pub const fn uicr_base(self) -> u32 {
        match self {
            Self::Nrf5340 | Self::Nrf9160 => 0x00FF_8000,
            #[cfg(seed_keys)]
            Self::Nrf54l15 => 0x00FF_D000,
        }
    }

    /// The address of the first OTP word: MDK, `NRF_UICR_Type::OTP` at 0x100 in
    /// `nrf5340_application.h`, at 0x108 in `nrf9160.h` and at 0x500 in `nrf54l15_application.svd`.
    #[must_use]
    pub const fn otp_base(self) -> u32 {
        match self {
            Self::Nrf5340 => 0x00FF_8100,
            Self::Nrf9160 => 0x00FF_8108,
            #[cfg(seed_keys)]
            Self::Nrf54l15 => 0x00FF_D500,
        }
    }

    /// The address of the bootloader storage, `PM_PROVISION_ADDRESS`: the SDK's
    /// `cmake/partition_manager.cmake` lays it at the start of OTP.
    #[must_use]
    pub const fn bl_storage(self) -> u32 {
        self.otp_base()
    }

    /// The size of a HUK in bytes: `HUK_SIZE_BYTES` of `hw_unique_key.h`. On an nRF54L15, where no HUK is stored, 0.
    #[must_use]
    pub const fn huk_size(self) -> usize {
        16 * self.slots_per_huk() as usize
    }

    /// How many key slots of 128 bits one HUK takes.
    #[must_use]
    pub const fn slots_per_huk(self) -> u32 {
        match self {
            Self::Nrf5340 => 2,
            Self::Nrf9160 => 1,
            #[cfg(seed_keys)]
            Self::Nrf54l15 => 0,
        }
    }

    /// The address of CryptoCell's AES key register to which the KMU pushes a key's slot, by the slot's index in
    /// the key: `NRF_CC3XX_PLATFORM_KMU_AES_ADDR` and `_2` of `nrf_cc3xx_platform_kmu.h`. An nRF54L15 has none.
    #[must_use]
    pub const fn aes_key_register(self, index: u32) -> u32 {
        let base = match self {
            Self::Nrf5340 => 0x5084_5400,
            Self::Nrf9160 => 0x5084_1400,
            #[cfg(seed_keys)]
            Self::Nrf54l15 => return 0,
        };
        base + 16 * index
    }
}

/// The text is not the name of a modelled part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the parts are nrf5340, nrf9160 and nrf54l15")]
pub struct UnknownSoc;

impl FromStr for Soc {
    type Err = UnknownSoc;

    fn from_str(name: &str) -> Result<Self, UnknownSoc> {
        Self::ALL.iter().copied().find(|soc| soc.name() == name).ok_or(UnknownSoc)
    }
}

impl fmt::Display for Soc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
