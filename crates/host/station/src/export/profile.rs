// SPDX-License-Identifier: Apache-2.0

//! Which verifier endorsements are for.

use std::fmt;

/// Which verifier the endorsements are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The older scheme of Veraison, of its releases v0.0.2409 to v0.0.2604.
    PsaIot1,
    /// As [`Profile::Psa2025`] with the profile as bare text, for Veraison v0.0.2605 to v0.0.2608.
    Psa2025Text,
    /// draft-fdb-rats-psa-endorsements-08, version 1.0.0 of its profile, for Veraison after v0.0.2608.
    Psa2025,
}

impl Profile {
    /// Every profile, the oldest first.
    pub const ALL: [Self; 3] = [Self::PsaIot1, Self::Psa2025Text, Self::Psa2025];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PsaIot1 => "psa-iot-1",
            Self::Psa2025Text => "psa-2025-text",
            Self::Psa2025 => "psa-2025",
        }
    }

    /// The profile of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The URI that stands in the CoRIM.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::PsaIot1 => "http://arm.com/psa/iot/1",
            Self::Psa2025Text | Self::Psa2025 => "tag:arm.com,2025:psa#1.0.0",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
