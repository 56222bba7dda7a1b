// SPDX-License-Identifier: Apache-2.0

//! Ways to break the model on purpose, to see that a test notices. Only with the feature `mutants`; without
//! it the model is never broken, and asking costs nothing.

use crate::soc::{Family, Soc};
use crate::uicr::{Rule, Rules};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A write sets bits that are clear.
    BitsSetBack,
    /// An OTP halfword takes a second write.
    OtpWrittenTwice,
    /// A key slot takes a second write, closed or not.
    SlotWrittenTwice,
    /// The CPU can read a key whose read permission is taken away.
    ReadPermissionIgnored,
    /// What the CPU may not read looks erased.
    DeniedLooksErased,
    /// The library writes the identity key with the permissions of a HUK.
    IdentityKeyPermissions,
    /// The library leaves a key slot open for another write.
    SlotLeftOpen,
    /// The library swaps the halves of the identity key.
    IdentityKeySwapped,
    /// A refused access is forgotten.
    NotFrozen,
    /// A halfword is written to the other half of its word.
    WrongHalfword,
    /// The random generator gives the same bytes again.
    RandomRepeats,
    /// The derivation leaves out the label.
    LabelIgnored,
    /// A key slot whose policy is LOCKED can be revoked.
    LockedSlotRevoked,
    /// A key slot whose policy is ROTATING is revoked for good.
    RotatingSlotRevoked,
    /// A key slot is provisioned with other metadata.
    MetadataLost,
    /// A push of the seed's last slot does not arrive.
    PushLost,
    /// The key generator makes one key of both HUKs.
    HuksAreOne,
    /// The key generator signs another hash.
    OtherHashSigned,
}

impl Mutant {
    /// Those of a model of this part.
    #[must_use]
    pub const fn of(soc: Soc) -> &'static [Self] {
        match soc.family() {
            Family::CryptoCell => &Self::OF_CRYPTOCELL,
            #[cfg(seed_keys)]
            Family::Cracen => &Self::OF_CRACEN,
        }
    }

    const OF_CRYPTOCELL: [Self; 12] = [
        Self::BitsSetBack,
        Self::OtpWrittenTwice,
        Self::SlotWrittenTwice,
        Self::ReadPermissionIgnored,
        Self::DeniedLooksErased,
        Self::IdentityKeyPermissions,
        Self::SlotLeftOpen,
        Self::IdentityKeySwapped,
        Self::NotFrozen,
        Self::WrongHalfword,
        Self::RandomRepeats,
        Self::LabelIgnored,
    ];

    #[cfg(seed_keys)]
    const OF_CRACEN: [Self; 8] = [
        Self::NotFrozen,
        Self::RandomRepeats,
        Self::LockedSlotRevoked,
        Self::RotatingSlotRevoked,
        Self::MetadataLost,
        Self::PushLost,
        Self::HuksAreOne,
        Self::OtherHashSigned,
    ];

    /// The rules of UICR that are left. The other mutants break what is above UICR.
    pub(crate) const fn rules(self) -> Rules {
        match self {
            Self::BitsSetBack => Rules::without(Rule::ClearsBitsOnly),
            Self::OtpWrittenTwice => Rules::without(Rule::OtpOnce),
            Self::SlotWrittenTwice => Rules::without(Rule::SlotOnce),
            Self::ReadPermissionIgnored => Rules::without(Rule::ReadPermission),
            Self::DeniedLooksErased => Rules::without(Rule::DenialShows),
            Self::IdentityKeyPermissions
            | Self::SlotLeftOpen
            | Self::IdentityKeySwapped
            | Self::NotFrozen
            | Self::WrongHalfword
            | Self::RandomRepeats
            | Self::LabelIgnored
            | Self::LockedSlotRevoked
            | Self::RotatingSlotRevoked
            | Self::MetadataLost
            | Self::PushLost
            | Self::HuksAreOne
            | Self::OtherHashSigned => Rules::ALL,
        }
    }
}
