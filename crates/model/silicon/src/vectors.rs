// SPDX-License-Identifier: Apache-2.0

//! The vectors with which the SDK tests key derivation on real parts: `tests/lib/hw_unique_key`.

use hex_literal::hex;

use crate::soc::Soc;

/// A key derivation as silicon does it.
#[derive(Clone, Copy, Debug)]
pub struct Vector {
    /// The part on which it holds.
    pub soc: Soc,
    /// The HUK.
    pub key: &'static [u8],
    /// Label of SP 800-108.
    pub label: &'static [u8],
    /// Context of SP 800-108.
    pub context: &'static [u8],
    /// The derived key.
    pub expected: &'static [u8],
}

/// One vector a part.
pub const VECTORS: [Vector; 2] = [
    Vector {
        soc: Soc::Nrf5340,
        key: &hex!("c5a808ebe31ea5b4e9441a764558d88b402633a8cd2d51678def00243052d73d"),
        label: &hex!("e275ab25003b15e1a198785b4e57439a"),
        context: &hex!("69a799d53229b7c71bf133562d311cf3"),
        expected: &hex!("c9d2b7d58141adcbd64baca0d1db5e3608605533186e323b73a877e3a43e838d"),
    },
    Vector {
        soc: Soc::Nrf9160,
        key: &hex!("199ae3c79dd0168c3eeea846ea4edc6e"),
        label: &hex!("29d6a68d3ffb391f036dd53be354e4029a695a"),
        context: &hex!("58fdf5a08f8efc421055aee5f46d257440d485"),
        expected: &hex!("65295e2ecb6e6c403a3876c99ff7fc71"),
    },
];

impl Vector {
    /// The vector for a part. There is none for an nRF54L15, whose HUKs nobody can choose.
    #[must_use]
    pub const fn of(soc: Soc) -> Option<&'static Self> {
        match soc {
            Soc::Nrf5340 => Some(&VECTORS[0]),
            Soc::Nrf9160 => Some(&VECTORS[1]),
            #[cfg(seed_keys)]
            Soc::Nrf54l15 => None,
        }
    }
}
