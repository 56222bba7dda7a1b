// SPDX-License-Identifier: Apache-2.0

//! What the procedure needs from a part.

use core::fmt;

use crate::huk::KeyCheckValue;
use crate::implementation_id::IMPLEMENTATION_ID_SIZE;
use crate::keys::Keys;
use crate::record::DeviceId;

/// A part that can be provisioned, as its drivers show it.
///
/// Each method is one driver call. None of them retries, and none writes what is written already. What the part's
/// keys are is a property of it: [`Device::Keys`], and the trait that this asks for.
pub trait Device: Sized {
    /// Which keys the part has, and how they come into it.
    type Keys: Keys<Self>;

    /// Reads which part it is. Nothing can go wrong: it is a register.
    fn device_id(&mut self) -> DeviceId;

    /// Reads the lifecycle state from OTP.
    ///
    /// # Errors
    /// The driver's error, also where OTP holds no state that a part can be in.
    fn lifecycle(&mut self) -> Result<Lifecycle, DriverError>;

    /// Writes the lifecycle state PROVISIONING to OTP.
    ///
    /// # Errors
    /// The driver's error, also where the part is not in ASSEMBLY.
    fn enter_provisioning(&mut self) -> Result<(), DriverError>;

    /// Reads the implementation ID from OTP; an erased part gives `0xFF` bytes.
    ///
    /// # Errors
    /// The driver's error.
    fn implementation_id(&mut self) -> Result<[u8; IMPLEMENTATION_ID_SIZE], DriverError>;

    /// Writes one word of the implementation ID, 0 to 7, to OTP, where it must be erased. The first byte
    /// in OTP is the lowest of the word.
    ///
    /// # Errors
    /// The driver's error.
    fn write_implementation_id_word(&mut self, index: u32, word: u32) -> Result<(), DriverError>;

    /// Derives from `huk` under a label of this project, so that the key can be told from others.
    ///
    /// # Errors
    /// The driver's error; what `value` holds then was not derived.
    fn derive_from_huk(&mut self, huk: Huk, value: &mut KeyCheckValue) -> Result<(), DriverError>;

    /// Fills `bytes` from the cryptographically secure random generator.
    ///
    /// # Errors
    /// The driver's error; what `bytes` holds then is not random.
    fn fill_random(&mut self, bytes: &mut [u8; 32]) -> Result<(), DriverError>;
}

/// A state of the PSA security lifecycle (Arm DEN 0079, Platform Security Model 1.1, section 3.1), as
/// `bl_storage.h` keeps it in OTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// Device assembly and test: OTP is erased.
    Assembly,
    /// PRoT provisioning.
    Provisioning,
    /// Secured: TF-M has taken over.
    Secured,
    /// Decommissioned.
    Decommissioned,
}

impl Lifecycle {
    /// The name in the console messages, which is the SDK's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assembly => "ASSEMBLY",
            Self::Provisioning => "PROVISIONING",
            Self::Secured => "SECURED",
            Self::Decommissioned => "DECOMMISSIONED",
        }
    }
}

impl fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A hardware unique key in the KMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Huk {
    /// Master Key Encryption Key.
    Mkek,
    /// Master key for Encrypting EXTernal storage.
    Mext,
}

impl Huk {
    /// Every HUK, in the order in which the driver writes them.
    pub const ALL: [Self; 2] = [Self::Mkek, Self::Mext];

    /// The name in the console messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mkek => "MKEK",
            Self::Mext => "MEXT",
        }
    }
}

impl fmt::Display for Huk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error of a C driver: the code as it came.
///
/// Those of nRF Connect SDK are in `bl_storage.h`, `hw_unique_key.h` and `identity_key.h`, whose ranges do not
/// overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriverError {
    raw: i32,
}

impl DriverError {
    /// Keeps the driver's code as it is.
    #[must_use]
    pub const fn from_raw(raw: i32) -> Self {
        Self { raw }
    }
}

impl fmt::Display for DriverError {
    /// The code as the headers write it: errno values in decimal, key driver codes in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.raw < 0 { "-" } else { "" };
        let size = self.raw.unsigned_abs();
        if size < 0x1000 { write!(f, "{sign}{size}") } else { write!(f, "{sign}{size:#x}") }
    }
}
