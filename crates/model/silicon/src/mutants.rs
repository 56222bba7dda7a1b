// SPDX-License-Identifier: Apache-2.0

//! Ways to break the model on purpose, to see that a test tells. Only with the feature `mutants`;
//! without it, `Silicon::is` is never true and costs nothing.

use crate::Silicon;

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
}

impl Mutant {
    /// Every mutant.
    pub const ALL: [Self; 12] = [
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
}

impl Silicon {
    /// Breaks the part from now on, or mends it.
    #[cfg(feature = "mutants")]
    pub fn mutate(&mut self, mutant: Option<Mutant>) {
        self.mutant = mutant;
    }

    /// Whether the part is broken in this way.
    #[cfg(feature = "mutants")]
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Whether the part is broken in this way.
    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) const fn is(&self, _: Mutant) -> bool {
        false
    }
}
