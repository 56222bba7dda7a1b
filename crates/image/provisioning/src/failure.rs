// SPDX-License-Identifier: Apache-2.0

//! Why a part was not provisioned, in the words of the operator who holds it.

use core::fmt;

use crate::console::FAILURE_PREFIX;
use crate::device::{DriverError, Huk, Lifecycle};
use crate::identity::Ueid;

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

/// What an operator can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Set the part aside, or erase it and start again.
    SetAside,
    /// The fault may be gone at the next start.
    TryOnceMore,
    /// The part asked for a nonce, and got none.
    SendNonce,
    /// The part cannot be used until it is erased, whatever this run has done.
    Erase,
    /// The part is good.
    Nothing,
}

/// What a failed run has done to the part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Nothing: the part is as it was.
    Nothing,
    /// Something: the part is half provisioned.
    Something,
}

/// A row of [`Cause::ALL`]: all that there is to say of a [`Cause`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CauseRow {
    /// [`Cause::code`].
    pub code: u8,
    /// What the console says, with the cause's fields in braces.
    pub text: &'static str,
    /// What the console says to do where nothing was written.
    pub remedy: Remedy,
    /// What the documentation says to do: `docs/failures.rst`.
    pub advice: &'static str,
}

/// The table of causes: number, name and fields; text on the console; remedy, and advice in the documentation.
macro_rules! causes {
    ($(
        $(#[$attribute:meta])*
        $code:literal $name:ident $(($($field:ident: $type:ident),+))?:
            $text:literal,
            $remedy:ident, $advice:literal;
    )+) => {
        /// What went wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Cause {
            $($(#[$attribute])* $name $(($($type),+))?,)+
        }

        impl Cause {
            /// Every cause, in the order of the numbers.
            #[allow(unused_doc_comments)] // each attribute is also that of the variant
            pub const ALL: &[CauseRow] = &[$(
                $(#[$attribute])*
                CauseRow { code: $code, text: $text, remedy: Remedy::$remedy, advice: $advice },
            )+];

            /// The number of the cause: unique, never 0, and never given to another cause.
            #[must_use]
            #[allow(unused_doc_comments)]
            pub const fn code(self) -> u8 {
                match self {
                    $($(#[$attribute])* Self::$name { .. } => $code,)+
                }
            }

            /// What an operator can do where nothing was written.
            #[must_use]
            #[allow(unused_doc_comments)]
            pub const fn remedy(self) -> Remedy {
                match self {
                    $($(#[$attribute])* Self::$name { .. } => Remedy::$remedy,)+
                }
            }

            /// The driver's error behind the cause, where there is one.
            #[must_use]
            #[allow(unused_doc_comments)]
            pub const fn driver_error(self) -> Option<DriverError> {
                match self {
                    $($(#[$attribute])* Self::$name $(($($field),+))? => driver_error!($($($field: $type),+)?),)+
                }
            }
        }

        impl fmt::Display for Cause {
            #[allow(unused_doc_comments)]
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $($(#[$attribute])* Self::$name $(($($field),+))? => text!(f, $text $(, $($field: $type),+)?),)+
                }
            }
        }
    };
}

/// Writes the text of a cause. One without fields to show is no format, which takes less flash.
macro_rules! text {
    ($f:ident, $text:literal) => { $f.write_str($text) };
    ($f:ident, $text:literal, $error:ident: DriverError) => {{
        let _ = $error;
        $f.write_str($text)
    }};
    ($f:ident, $text:literal, $field:ident: $type:ident $(, $error:ident: DriverError)?) => {{
        $(let _ = $error;)?
        write!($f, $text)
    }};
}

/// The field of a cause that is the driver's error.
macro_rules! driver_error {
    ($error:ident: DriverError) => { Some($error) };
    ($other:ident: $type:ident, $error:ident: DriverError) => {{ let _ = $other; Some($error) }};
    ($($other:ident: $type:ident)?) => {{ $(let _ = $other;)? None }};
}

causes! {
    /// The lifecycle state cannot be read.
    1 LifecycleUnreadable(error: DriverError):
        "cannot read the PSA lifecycle state",
        SetAside, "OTP holds no state that a part can have (driver error -114), or the driver failed. Erase \
         the part; if it happens again, scrap it.";
    /// The part is in another state than ASSEMBLY.
    2 NotInAssembly(state: Lifecycle):
        "the PSA lifecycle state is {state}, not ASSEMBLY",
        SetAside, "PROVISIONING (only without CONFIG_PROVISIONING_RESUME): the part was provisioned before, \
         or a run was cut off. SECURED: TF-M runs on it. DECOMMISSIONED: it is out of use. Erase \
         it only if nobody needs its identity.";
    /// The lifecycle state PROVISIONING was not written.
    3 LifecycleNotWritten(error: DriverError):
        "cannot set the PSA lifecycle state PROVISIONING",
        SetAside, "Erase the part and start again.";
    /// The lifecycle state reads back as another one than PROVISIONING.
    4 LifecycleMismatch(state: Lifecycle):
        "the PSA lifecycle state reads back as {state}, not PROVISIONING",
        SetAside, "Erase the part and start again.";
    /// The implementation ID cannot be read.
    5 ImplementationIdUnreadable(error: DriverError):
        "cannot read the implementation ID",
        SetAside, "Erase the part and start again.";
    /// OTP holds an implementation ID already, and not this image's.
    6 ImplementationIdTaken:
        "the part has another implementation ID already",
        SetAside, "It was prepared for another product. Check the image, or erase the part.";
    /// The implementation ID was not written.
    7 ImplementationIdNotWritten(error: DriverError):
        "cannot write the implementation ID",
        SetAside, "Erase the part and start again.";
    /// The implementation ID reads back differently.
    8 ImplementationIdMismatch:
        "the implementation ID reads back differently",
        SetAside, "Erase the part and start again.";
    /// The slots of a HUK cannot be inspected.
    #[cfg(stored_keys)]
    9 HukUnreadable(huk: Huk, error: DriverError):
        "cannot inspect the KMU slots of the {huk}",
        SetAside, "Erase the part and start again.";
    /// A HUK is written already.
    #[cfg(stored_keys)]
    10 HukTaken(huk: Huk):
        "the part has a {huk} already, as after a start of TF-M too early",
        SetAside, "Something else wrote keys to a part in ASSEMBLY: TF-M, for example, which writes HUKs \
         itself when it is started too early. Erase the part, and program this image first.";
    /// A HUK was not written.
    #[cfg(stored_keys)]
    11 HukNotWritten(huk: Huk, error: DriverError):
        "cannot write the {huk}",
        SetAside, "Erase the part and start again.";
    /// A slot of a HUK is blank after the write.
    #[cfg(stored_keys)]
    12 HukIncomplete(huk: Huk):
        "a KMU slot of the {huk} is still blank",
        SetAside, "Erase the part and start again.";
    /// The CPU can read a slot of a HUK.
    #[cfg(stored_keys)]
    13 HukExposed(huk: Huk):
        "the CPU can read a KMU slot of the {huk}",
        SetAside, "Erase the part and start again.";
    /// Nothing can be derived from a HUK.
    14 HukUnusable(huk: Huk, error: DriverError):
        "the {huk} cannot be used",
        SetAside, "Erase the part and start again.";
    /// Both HUKs derive the same key, so they are not random.
    15 HuksEqual:
        "MKEK and MEXT are the same key",
        SetAside, "Erase the part and start again; if it happens again, scrap it.";
    /// An identity key is stored already.
    #[cfg(stored_keys)]
    16 IdentityKeyTaken:
        "the part has an identity key already",
        SetAside, "Something else wrote keys to a part in ASSEMBLY. Erase the part, and program this image \
         first.";
    /// The random generator failed.
    17 NoRandom(error: DriverError):
        "the random generator does not work",
        TryOnceMore, "Try once more. If it happens again, scrap the part.";
    /// The random generator gave no valid private key in any try.
    #[cfg(stored_keys)]
    18 NoPrivateKey:
        "the random generator gives no valid private key",
        TryOnceMore, "Try once more. If it happens again, scrap the part.";
    /// The identity key was not written.
    #[cfg(stored_keys)]
    19 IdentityKeyNotWritten(error: DriverError):
        "cannot write the identity key",
        SetAside, "Erase the part and start again.";
    /// No identity key is stored after the write.
    #[cfg(stored_keys)]
    20 IdentityKeyMissing:
        "no identity key is stored after the write",
        SetAside, "Erase the part and start again.";
    /// The identity key cannot be read back.
    #[cfg(stored_keys)]
    21 IdentityKeyUnreadable(error: DriverError):
        "cannot read the identity key back",
        SetAside, "Erase the part and start again.";
    /// What was read back is no secp256r1 private key.
    22 IdentityKeyInvalid:
        "the identity key reads back as no valid key",
        SetAside, "Erase the part and start again.";
    /// What was read back is another key than the one written.
    #[cfg(stored_keys)]
    23 IdentityKeyMismatch:
        "the identity key reads back differently",
        SetAside, "Erase the part and start again; if it happens again, scrap it.";
    /// A signature by the identity key does not verify.
    24 SelfTestFailed:
        "a signature by the identity key does not verify",
        SetAside, "Erase the part and start again; if it happens again, scrap it.";
    // 25 was that of a bad configuration, which now fails the build.
    /// The slots of the identity key cannot be inspected.
    #[cfg(stored_keys)]
    26 IdentityKeySlotsUnreadable(error: DriverError):
        "cannot inspect the KMU slots of the identity key",
        SetAside, "Erase the part and start again.";
    /// A slot of the identity key is blank after the write.
    #[cfg(stored_keys)]
    27 IdentityKeyIncomplete:
        "a KMU slot of the identity key is still blank",
        SetAside, "Erase the part and start again.";
    /// A write of this piece was cut off: what is there may be any part of what was meant.
    28 Torn(piece: Piece):
        "the {piece} is torn, a run was cut off",
        Erase, "Erase the part and start again.";
    /// Everything is there and was checked, since an earlier run.
    29 AlreadyProvisioned:
        "already provisioned",
        Nothing, "Nothing: the part is good. Put it with the finished ones.";
    /// The part has the test-only identity key, and this image is not for it.
    #[cfg(stored_keys)]
    30 IdentityKeyIsDummy:
        "the part has the test-only identity key",
        SetAside, "Do not ship it. Erase the part and start again.";
    /// The random generator claims success and gives zeros.
    31 RandomIsZero:
        "the random generator gives zeros",
        TryOnceMore, "Try once more. If it happens again, scrap the part.";
    /// The image waits for a nonce, and none came.
    32 NoNonce:
        "no nonce came over the console",
        SendNonce, "The part is as it was. Start it again and send 64 hexadecimal digits and a line end; \
         cargo station does.";
    /// OTP holds zeros where lifecycle and implementation ID are.
    33 StorageZeroed:
        "OTP holds zeros, as provision.hex for MCUboot alone leaves them",
        SetAside, "The SDK's provision.hex for MCUboot without NSIB writes 52 bytes of zeros, from lifecycle \
         and implementation ID on. Erase the part, and do not program that file before this image.";
    /// The random generator gives the same number again.
    34 RandomRepeats:
        "the random generator repeats itself",
        TryOnceMore, "Try once more. If it happens again, scrap the part.";
    /// CryptoCell derives from a HUK what the key that was written does not give.
    #[cfg(stored_keys)]
    35 HukMismatch(huk: Huk):
        "the {huk} is another key than the one written",
        SetAside, "Erase the part and start again; if it happens again, scrap it.";
    /// The second look at the part has not found what the first one did.
    36 LooksDisagree:
        "two looks at the part do not agree",
        SetAside, "If something was written, erase the part and start again. If it happens again, look for \
         what disturbs the part: supply, clock, radiation.";
    /// The slots of the seed cannot be inspected.
    #[cfg(seed_keys)]
    37 SeedUnreadable(error: DriverError):
        "cannot inspect the KMU slots of the seed",
        SetAside, "Erase the part and start again.";
    /// A seed is written already.
    #[cfg(seed_keys)]
    38 SeedTaken:
        "the part has a seed already, as after a start of TF-M too early",
        SetAside, "Something else wrote keys to a part in ASSEMBLY: TF-M, for example, which writes a seed \
         itself when it is started too early. Erase the part, and program this image first.";
    /// The seed was not written.
    #[cfg(seed_keys)]
    39 SeedNotWritten(error: DriverError):
        "cannot write the seed",
        SetAside, "Erase the part and start again.";
    /// A slot of the seed is blank after the write.
    #[cfg(seed_keys)]
    40 SeedIncomplete:
        "a KMU slot of the seed is still blank",
        SetAside, "Erase the part and start again.";
    /// A slot of the seed was revoked.
    #[cfg(seed_keys)]
    41 SeedRevoked:
        "a KMU slot of the seed is revoked",
        Erase, "Something has destroyed the seed on purpose. Erase the part and start again.";
    /// The public identity key cannot be exported.
    #[cfg(seed_keys)]
    42 PublicKeyUnreadable(error: DriverError):
        "cannot export the public identity key",
        SetAside, "Erase the part and start again.";
    /// The identity key does not sign.
    #[cfg(seed_keys)]
    43 NotSigned(error: DriverError):
        "the identity key does not sign",
        SetAside, "Erase the part and start again.";
    /// The driver has noted that it was about to write other keys, and would destroy them before it writes a seed.
    #[cfg(seed_keys)]
    44 OtherKeysUnfinished:
        "a write of other keys to the KMU was cut off",
        SetAside, "To write a seed would destroy what there is of these keys. Let the program finish that was \
         writing them, or erase the part and start again.";
}

/// What a run writes, in this order, and what a run that was cut off leaves torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The implementation ID in OTP.
    ImplementationId,
    /// A HUK in the KMU.
    #[cfg(stored_keys)]
    Huk(Huk),
    /// The identity key in the KMU.
    #[cfg(stored_keys)]
    IdentityKey,
    /// The seed of the key generator in the KMU.
    #[cfg(seed_keys)]
    Seed,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImplementationId => f.write_str("implementation ID"),
            #[cfg(stored_keys)]
            Self::Huk(huk) => huk.fmt(f),
            #[cfg(stored_keys)]
            Self::IdentityKey => f.write_str("identity key"),
            #[cfg(seed_keys)]
            Self::Seed => f.write_str("seed"),
        }
    }
}

impl fmt::Display for Failure {
    /// One line: what failed, the driver's code, what it did to the part, what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ERASE: &str = "erase it with ERASEALL and start again.";

        write!(f, "{FAILURE_PREFIX}{}", self.cause)?;
        if let Some(ueid) = self.ueid {
            write!(f, ", UEID {ueid}")?;
        }
        if let Some(error) = self.cause.driver_error() {
            write!(f, " (driver error {error})")?;
        }
        let (state, advice) = match (self.written, self.cause.remedy()) {
            (_, Remedy::Erase) => ("The part cannot be used: ", ERASE),
            (Written::Something, _) => ("The part is half provisioned: do not ship it, ", ERASE),
            (Written::Nothing, remedy) => (
                "Nothing was written to the part. ",
                match remedy {
                    Remedy::Nothing => "It is good and checked.",
                    Remedy::TryOnceMore => "Try once more, then set it aside.",
                    Remedy::SendNonce => {
                        "Start it again and send 64 hexadecimal digits and a line end."
                    }
                    _ if matches!(self.cause, Cause::NotInAssembly(Lifecycle::Provisioning)) => {
                        "It was provisioned before, or a run was cut off."
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
            Cause::SeedUnreadable(error),
            Cause::SeedTaken,
            Cause::SeedNotWritten(error),
            Cause::SeedIncomplete,
            Cause::SeedRevoked,
            Cause::PublicKeyUnreadable(error),
            Cause::NotSigned(error),
            Cause::OtherKeysUnfinished,
        ]);
        assert!(causes.iter().map(|cause| cause.code()).eq(Cause::ALL.iter().map(|row| row.code)));
        causes
    }

    #[test]
    fn codes_are_unique_and_not_zero() {
        let codes: BTreeSet<u8> = every_cause().iter().map(|cause| cause.code()).collect();
        assert_eq!(codes.len(), Cause::ALL.len());
        assert!(Cause::ALL.is_sorted_by_key(|row| row.code));
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
                let torn = cause.remedy() == Remedy::Erase;
                let about_part = match written {
                    Written::Nothing if !torn => "Nothing was written",
                    _ => "ERASEALL",
                };
                assert!(line.contains(about_part), "{line}");
                if cause.driver_error().is_some() {
                    assert!(line.contains("(driver error -0x16502)"), "{line}");
                }
                // What to do with a part that must be erased does not depend on what this run has written.
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
