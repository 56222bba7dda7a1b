// SPDX-License-Identifier: Apache-2.0

//! Why a part was not provisioned, in the words of the operator who holds it.

use core::fmt;

use crate::{DriverError, Huk, Lifecycle, Ueid};

/// A provisioning run that did not reach its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub cause: Cause,
    /// Whether the run had begun to write.
    pub written: Written,
    /// Which part it is, if it is a complete one. Not in the cause, which is handed on more often: 750 bytes less.
    pub ueid: Option<Ueid>,
}

impl Failure {
    pub(crate) const fn new(cause: Cause, written: Written) -> Self {
        Self { cause, written, ueid: None }
    }

    /// The image has waited for a nonce in vain.
    #[must_use]
    pub const fn no_nonce() -> Self {
        Self::new(Cause::NoNonce, Written::Nothing)
    }

    /// The part is complete, and was before this run.
    #[must_use]
    pub const fn already_provisioned(ueid: Ueid) -> Self {
        Self { cause: Cause::AlreadyProvisioned, written: Written::Nothing, ueid: Some(ueid) }
    }
}

/// What helps where something was written.
const ERASE: &str = "erase it with ERASEALL and start again.";

/// What a failed run has done to the part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Nothing: the part is as it was.
    Nothing,
    /// Something: the part is half provisioned.
    Something,
}

/// What went wrong. Each cause has a number of its own, see [`Cause::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The lifecycle state cannot be read.
    LifecycleUnreadable(DriverError),
    /// The part is in another state than ASSEMBLY.
    NotInAssembly(Lifecycle),
    /// The lifecycle state PROVISIONING was not written.
    LifecycleNotWritten(DriverError),
    /// The lifecycle state reads back as another one than PROVISIONING.
    LifecycleMismatch(Lifecycle),
    /// The implementation ID cannot be read.
    ImplementationIdUnreadable(DriverError),
    /// OTP holds an implementation ID already, and not this image's.
    ImplementationIdTaken,
    /// The implementation ID was not written.
    ImplementationIdNotWritten(DriverError),
    /// The implementation ID reads back differently.
    ImplementationIdMismatch,
    /// The slots of a HUK cannot be inspected.
    HukUnreadable(Huk, DriverError),
    /// A HUK is written already.
    HukTaken(Huk),
    /// A HUK was not written.
    HukNotWritten(Huk, DriverError),
    /// A slot of a HUK is blank after the write.
    HukIncomplete(Huk),
    /// The CPU can read a slot of a HUK.
    HukExposed(Huk),
    /// CryptoCell cannot use a HUK.
    HukUnusable(Huk, DriverError),
    /// Both HUKs derive the same key, so they are not random.
    HuksEqual,
    /// An identity key is stored already.
    IdentityKeyTaken,
    /// The random generator failed.
    NoRandom(DriverError),
    /// The random generator gave no valid private key in any try.
    NoPrivateKey,
    /// The identity key was not written.
    IdentityKeyNotWritten(DriverError),
    /// No identity key is stored after the write.
    IdentityKeyMissing,
    /// The identity key cannot be read back.
    IdentityKeyUnreadable(DriverError),
    /// What was read back is no secp256r1 private key.
    IdentityKeyInvalid,
    /// What was read back is another key than the one written.
    IdentityKeyMismatch,
    /// A signature by the identity key does not verify.
    SelfTestFailed,
    /// The slots of the identity key cannot be inspected.
    IdentityKeySlotsUnreadable(DriverError),
    /// A slot of the identity key is blank after the write.
    IdentityKeyIncomplete,
    /// A write of this piece was cut off: what is there may be any part of what was meant.
    Torn(Piece),
    /// Everything is there and was checked, since an earlier run.
    AlreadyProvisioned,
    /// The part has the test-only identity key, and this image is not for it.
    IdentityKeyIsDummy,
    /// The random generator claims success and gives zeros.
    RandomIsZero,
    /// The image waits for a nonce, and none came.
    NoNonce,
    /// OTP holds zeros where lifecycle and implementation ID are.
    StorageZeroed,
    /// The random generator gives the same number again.
    RandomRepeats,
    /// CryptoCell derives from a HUK what the key that was written does not give.
    HukMismatch(Huk),
    /// The second look at the part has not found what the first one did.
    LooksDisagree,
}

/// What a run writes, in this order, and what a run that was cut off leaves torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The implementation ID in OTP.
    ImplementationId,
    /// A HUK in the KMU.
    Huk(Huk),
    /// The identity key in the KMU.
    IdentityKey,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImplementationId => f.write_str("implementation ID"),
            Self::Huk(huk) => huk.fmt(f),
            Self::IdentityKey => f.write_str("identity key"),
        }
    }
}

impl Cause {
    /// The number of the cause: unique, never 0, and never given to another cause.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::LifecycleUnreadable(_) => 1,
            Self::NotInAssembly(_) => 2,
            Self::LifecycleNotWritten(_) => 3,
            Self::LifecycleMismatch(_) => 4,
            Self::ImplementationIdUnreadable(_) => 5,
            Self::ImplementationIdTaken => 6,
            Self::ImplementationIdNotWritten(_) => 7,
            Self::ImplementationIdMismatch => 8,
            Self::HukUnreadable(..) => 9,
            Self::HukTaken(_) => 10,
            Self::HukNotWritten(..) => 11,
            Self::HukIncomplete(_) => 12,
            Self::HukExposed(_) => 13,
            Self::HukUnusable(..) => 14,
            Self::HuksEqual => 15,
            Self::IdentityKeyTaken => 16,
            Self::NoRandom(_) => 17,
            Self::NoPrivateKey => 18,
            Self::IdentityKeyNotWritten(_) => 19,
            Self::IdentityKeyMissing => 20,
            Self::IdentityKeyUnreadable(_) => 21,
            Self::IdentityKeyInvalid => 22,
            Self::IdentityKeyMismatch => 23,
            Self::SelfTestFailed => 24,
            // 25 was that of a bad configuration, which now fails the build.
            Self::IdentityKeySlotsUnreadable(_) => 26,
            Self::IdentityKeyIncomplete => 27,
            Self::Torn(_) => 28,
            Self::AlreadyProvisioned => 29,
            Self::IdentityKeyIsDummy => 30,
            Self::RandomIsZero => 31,
            Self::NoNonce => 32,
            Self::StorageZeroed => 33,
            Self::RandomRepeats => 34,
            Self::HukMismatch(_) => 35,
            Self::LooksDisagree => 36,
        }
    }

    /// The driver's error behind the cause, where there is one.
    #[must_use]
    pub const fn driver_error(self) -> Option<DriverError> {
        match self {
            Self::LifecycleUnreadable(error)
            | Self::LifecycleNotWritten(error)
            | Self::ImplementationIdUnreadable(error)
            | Self::ImplementationIdNotWritten(error)
            | Self::HukUnreadable(_, error)
            | Self::HukNotWritten(_, error)
            | Self::HukUnusable(_, error)
            | Self::NoRandom(error)
            | Self::IdentityKeyNotWritten(error)
            | Self::IdentityKeyUnreadable(error)
            | Self::IdentityKeySlotsUnreadable(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LifecycleUnreadable(_) => f.write_str("cannot read the PSA lifecycle state"),
            Self::NotInAssembly(state) => {
                write!(f, "the PSA lifecycle state is {state}, not ASSEMBLY")
            }
            Self::LifecycleNotWritten(_) => {
                f.write_str("cannot set the PSA lifecycle state PROVISIONING")
            }
            Self::LifecycleMismatch(state) => {
                write!(f, "the PSA lifecycle state reads back as {state}, not PROVISIONING")
            }
            Self::ImplementationIdUnreadable(_) => f.write_str("cannot read the implementation ID"),
            Self::ImplementationIdTaken => {
                f.write_str("the part has another implementation ID already")
            }
            Self::ImplementationIdNotWritten(_) => {
                f.write_str("cannot write the implementation ID")
            }
            Self::ImplementationIdMismatch => {
                f.write_str("the implementation ID reads back differently")
            }
            Self::HukUnreadable(huk, _) => write!(f, "cannot inspect the KMU slots of the {huk}"),
            Self::HukTaken(huk) => {
                write!(f, "the part has a {huk} already, as after a start of TF-M too early")
            }
            Self::HukNotWritten(huk, _) => write!(f, "cannot write the {huk}"),
            Self::HukIncomplete(huk) => write!(f, "a KMU slot of the {huk} is still blank"),
            Self::HukExposed(huk) => write!(f, "the CPU can read a KMU slot of the {huk}"),
            Self::HukUnusable(huk, _) => write!(f, "CryptoCell cannot use the {huk}"),
            Self::HuksEqual => f.write_str("MKEK and MEXT are the same key"),
            Self::IdentityKeyTaken => f.write_str("the part has an identity key already"),
            Self::NoRandom(_) => f.write_str("the random generator does not work"),
            Self::NoPrivateKey => f.write_str("the random generator gives no valid private key"),
            Self::IdentityKeyNotWritten(_) => f.write_str("cannot write the identity key"),
            Self::IdentityKeyMissing => f.write_str("no identity key is stored after the write"),
            Self::IdentityKeyUnreadable(_) => f.write_str("cannot read the identity key back"),
            Self::IdentityKeyInvalid => f.write_str("the identity key reads back as no valid key"),
            Self::IdentityKeyMismatch => f.write_str("the identity key reads back differently"),
            Self::SelfTestFailed => f.write_str("a signature by the identity key does not verify"),
            Self::IdentityKeySlotsUnreadable(_) => {
                f.write_str("cannot inspect the KMU slots of the identity key")
            }
            Self::IdentityKeyIncomplete => {
                f.write_str("a KMU slot of the identity key is still blank")
            }
            Self::Torn(piece) => write!(f, "the {piece} is torn, a run was cut off"),
            Self::AlreadyProvisioned => f.write_str("already provisioned"),
            Self::RandomIsZero => f.write_str("the random generator gives zeros"),
            Self::NoNonce => f.write_str("no nonce came over the console"),
            Self::IdentityKeyIsDummy => f.write_str("the part has the test-only identity key"),
            Self::StorageZeroed => {
                f.write_str("OTP holds zeros, as provision.hex for MCUboot alone leaves them")
            }
            Self::RandomRepeats => f.write_str("the random generator repeats itself"),
            Self::HukMismatch(huk) => write!(f, "the {huk} is another key than the one written"),
            Self::LooksDisagree => f.write_str("two looks at the part do not agree"),
        }
    }
}

impl fmt::Display for Failure {
    /// One line: what failed, the driver's code, what it did to the part, what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure: {}", self.cause)?;
        if let Some(ueid) = self.ueid {
            write!(f, ", UEID {ueid}")?;
        }
        if let Some(error) = self.cause.driver_error() {
            write!(f, " (driver error {error})")?;
        }
        let (state, advice) = match (self.written, self.cause) {
            (_, Cause::Torn(_)) => ("The part cannot be used: ", ERASE),
            (Written::Something, _) => ("The part is half provisioned: do not ship it, ", ERASE),
            (Written::Nothing, cause) => (
                "Nothing was written to the part. ",
                match cause {
                    Cause::AlreadyProvisioned => "It is good and checked.",
                    Cause::NotInAssembly(Lifecycle::Provisioning) => {
                        "It was provisioned before, or a run was cut off."
                    }
                    Cause::NoRandom(_)
                    | Cause::NoPrivateKey
                    | Cause::RandomIsZero
                    | Cause::RandomRepeats => "Try once more, then set it aside.",
                    Cause::NoNonce => {
                        "Start it again and send 64 hexadecimal digits and a line end."
                    }
                    _ => "Set it aside, or erase it with ERASEALL and start again.",
                },
            ),
        };
        write!(f, ". {state}{advice} [{}]", self.cause.code())
    }
}

impl core::error::Error for Failure {}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::BTreeSet;
    use std::string::ToString;
    use std::vec::Vec;

    use super::*;

    fn every_cause() -> Vec<Cause> {
        let error = DriverError::from_raw(-0x16502);
        let causes = Vec::from([
            Cause::LifecycleUnreadable(error),
            Cause::NotInAssembly(Lifecycle::Secured),
            Cause::LifecycleNotWritten(error),
            Cause::LifecycleMismatch(Lifecycle::Assembly),
            Cause::ImplementationIdUnreadable(error),
            Cause::ImplementationIdTaken,
            Cause::ImplementationIdNotWritten(error),
            Cause::ImplementationIdMismatch,
            Cause::HukUnreadable(Huk::Mkek, error),
            Cause::HukTaken(Huk::Mext),
            Cause::HukNotWritten(Huk::Mext, error),
            Cause::HukIncomplete(Huk::Mkek),
            Cause::HukExposed(Huk::Mext),
            Cause::HukUnusable(Huk::Mext, error),
            Cause::HuksEqual,
            Cause::IdentityKeyTaken,
            Cause::NoRandom(error),
            Cause::NoPrivateKey,
            Cause::IdentityKeyNotWritten(error),
            Cause::IdentityKeyMissing,
            Cause::IdentityKeyUnreadable(error),
            Cause::IdentityKeyInvalid,
            Cause::IdentityKeyMismatch,
            Cause::SelfTestFailed,
            Cause::IdentityKeySlotsUnreadable(error),
            Cause::IdentityKeyIncomplete,
            Cause::Torn(Piece::Huk(Huk::Mkek)),
            Cause::AlreadyProvisioned,
            Cause::IdentityKeyIsDummy,
            Cause::RandomIsZero,
            Cause::NoNonce,
            Cause::StorageZeroed,
            Cause::RandomRepeats,
            Cause::HukMismatch(Huk::Mkek),
            Cause::LooksDisagree,
        ]);
        // Adding a cause without listing it above leaves a hole here, or fails to compile in `code`. 25 is one.
        assert_eq!(usize::from(causes.last().unwrap().code()), causes.len() + 1);
        causes
    }

    #[test]
    fn codes_are_unique_and_not_zero() {
        let codes: BTreeSet<u8> = every_cause().iter().map(|cause| cause.code()).collect();
        assert_eq!(codes.len(), every_cause().len());
        assert!(!codes.contains(&0));
    }

    #[test]
    fn every_line_is_one_line_that_says_what_failed_and_what_to_do() {
        let mut lines = BTreeSet::new();
        for cause in every_cause() {
            for written in [Written::Nothing, Written::Something] {
                let line = Failure::new(cause, written).to_string();
                assert!(line.starts_with("Failure: "), "{line}");
                assert!(!line.contains('\n'), "{line}");
                assert!(line.contains(&cause.to_string()), "{line}");
                let torn = matches!(cause, Cause::Torn(_));
                let about_part = match written {
                    Written::Nothing if !torn => "Nothing was written",
                    _ => "ERASEALL",
                };
                assert!(line.contains(about_part), "{line}");
                if cause.driver_error().is_some() {
                    assert!(line.contains("(driver error -0x16502)"), "{line}");
                }
                // What to do with a torn piece does not depend on what this run has written.
                assert!(lines.insert(line) || torn);
            }
        }
    }

    #[test]
    fn driver_codes_print_as_the_headers_write_them() {
        for (raw, text) in [
            (-114, "-114"),
            (-0x16502, "-0x16502"),
            (-0x7028, "-0x7028"),
            (7, "7"),
            (i32::MIN, "-0x80000000"),
            (i32::MAX, "0x7fffffff"),
        ] {
            assert_eq!(DriverError::from_raw(raw).to_string(), text);
        }
    }
}
