// SPDX-License-Identifier: Apache-2.0

//! What the procedure needs from a part.

use core::fmt;

use crate::huk::{HukKey, HukSize, KeyCheckValue};
use crate::identity::IdentityKey;
use crate::implementation_id::IMPLEMENTATION_ID_SIZE;
use crate::record::DeviceId;

/// A part that can be provisioned, as its drivers show it.
///
/// Each method is one driver call. None of them retries, and none writes what is written already.
pub trait Device {
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

    /// How long its HUKs are. Nothing can go wrong: it is a property of the part.
    fn huk_size(&self) -> HukSize;

    /// Looks at each KMU slot that holds a part of `huk`.
    ///
    /// # Errors
    /// The driver's error.
    fn huk_slots(&mut self, huk: Huk) -> Result<KeySlots, DriverError>;

    /// Looks at each KMU slot that holds a part of the identity key.
    ///
    /// # Errors
    /// The driver's error.
    fn identity_key_slots(&mut self) -> Result<KeySlots, DriverError>;

    /// Writes one HUK to its slots, which must be blank. A part whose HUKs are shorter takes as many bytes
    /// of `key` as they have.
    ///
    /// # Errors
    /// The driver's error. Some slots may be written by then.
    fn write_huk(&mut self, huk: Huk, key: &HukKey) -> Result<(), DriverError>;

    /// Lets CryptoCell derive as many bytes from `huk` as it has, under [`HukSize::label`], by which the key can be
    /// told from others.
    ///
    /// # Errors
    /// The driver's error; what `value` holds then was not derived.
    fn derive_from_huk(&mut self, huk: Huk, value: &mut KeyCheckValue) -> Result<(), DriverError>;

    /// Whether an identity key is stored, as the driver sees it. What it looks at is not documented, so
    /// this alone does not tell a whole key from a torn one: see [`Device::identity_key_slots`].
    fn identity_key_is_written(&mut self) -> bool;

    /// Encrypts `key` under the MKEK and writes it. The driver wants a key in RAM, not in flash.
    ///
    /// # Errors
    /// The driver's error. Some slots may be written by then.
    fn write_identity_key(&mut self, key: &mut IdentityKey) -> Result<(), DriverError>;

    /// Generates an identity key in the driver and writes it.
    ///
    /// # Errors
    /// The driver's error. Some slots may be written by then.
    fn write_random_identity_key(&mut self) -> Result<(), DriverError>;

    /// Writes the SDK's test-only identity key, which everybody knows.
    ///
    /// # Errors
    /// The driver's error. Some slots may be written by then.
    fn write_dummy_identity_key(&mut self) -> Result<(), DriverError>;

    /// Reads and decrypts the identity key into `key`.
    ///
    /// # Errors
    /// The driver's error; what `key` holds then is not a key.
    fn read_identity_key(&mut self, key: &mut IdentityKey) -> Result<(), DriverError>;

    /// Hands `key` back to the driver, which clears it.
    fn free_identity_key(&mut self, key: &mut IdentityKey);

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

/// How many of the KMU slots of one key are in which state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySlots {
    /// Slots that the key takes: two, but a HUK on CryptoCell 310 takes one.
    pub total: u32,
    /// Slots in which no bit is written.
    pub blank: u32,
    /// Slots whose header is the one with which the driver closes a slot, and whose value the CPU cannot
    /// read if it is a HUK's.
    pub whole: u32,
    /// Slots of a HUK whose permissions are set and whose value the CPU can read.
    pub exposed: u32,
}

impl KeySlots {
    /// No bit of the key is written.
    #[must_use]
    pub const fn are_blank(self) -> bool {
        self.total > 0 && self.blank == self.total
    }

    /// Every slot was written to its end: the permissions, which are written last, are complete.
    #[must_use]
    pub const fn are_whole(self) -> bool {
        self.total > 0 && self.whole == self.total
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
