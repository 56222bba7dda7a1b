// SPDX-License-Identifier: Apache-2.0

//! The names under which the model refuses an access.

use thiserror::Error;

/// An access that no driver may make. The model refuses it and freezes.
///
/// The number is the address of the access, or what was written to `SELECTKEYSLOT`, or a slot's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IllegalAccess {
    /// UICR is read and written in words.
    #[error("{0:#010x} is not word-aligned")]
    Misaligned(u32),
    /// Not an address in UICR.
    #[error("{0:#010x} is not in UICR")]
    OutsideUicr(u32),
    /// A write while the NVMC is not in write mode.
    #[error("write to {0:#010x} with the NVMC not in write mode")]
    WriteNotEnabled(u32),
    /// A write that would set a bit that is clear.
    #[error("write to {0:#010x} would set a bit that is clear")]
    SetsBits(u32),
    /// OTP takes each halfword once.
    #[error("second write to the OTP halfword at {0:#010x}")]
    OtpWrittenTwice(u32),
    /// A write to a key slot that is not the selected one.
    #[error("write to {0:#010x}, whose key slot is not selected")]
    SlotNotSelected(u32),
    /// A write to a key slot whose write permission is taken away.
    #[error("write to {0:#010x}, whose key slot is locked")]
    SlotLocked(u32),
    /// A key slot takes each word once, and so its permissions.
    #[error("second write to the key slot word at {0:#010x}")]
    SlotWrittenTwice(u32),
    /// There is no such key slot.
    #[error("SELECTKEYSLOT = {0}: no such key slot")]
    NoSuchSlot(u32),
    /// A provisioning of a key slot that is not erased.
    #[cfg(seed_keys)]
    #[error("key slot {0} is provisioned, and not erased")]
    SlotTaken(u32),
    /// A task of the KMU that writes, while the RRAMC is not in write mode.
    #[cfg(seed_keys)]
    #[error("key slot {0} is to be written with the RRAMC not in write mode")]
    SlotWriteNotEnabled(u32),
    /// A push that overwrites a key register behind its lock, or an access to one that nothing was pushed to.
    #[cfg(seed_keys)]
    #[error("the key generator has no seed, or a locked one")]
    SeedRegister,
    /// The part has no such hardware.
    #[cfg(seed_keys)]
    #[error("this part has nothing at {0:#010x}")]
    NotOnThisPart(u32),
    /// A push without a selected slot, without a destination, or without permission.
    #[error("push of key slot {0} is not permitted")]
    PushRefused(u32),
    /// The part is frozen: an access was illegal before this one, power was lost, or the file behind the
    /// part failed.
    #[error("the part is frozen")]
    Frozen,
}
