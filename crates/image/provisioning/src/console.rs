// SPDX-License-Identifier: Apache-2.0

//! The console protocol: each line that the image prints, for those who print it and for those who read it.
//!
//! Scripts, the station, the benchmark and the tests read these lines, so their texts are an interface. They
//! stand here, and in [`crate::Cause`] those of the failures; nowhere else. A run prints, in this order:
//!
//! 1. [`BOOT_BANNERS`], which are Zephyr's, where they are not left out.
//! 2. [`ModelledSilicon`] or [`NoPart`], on modelled silicon only.
//! 3. [`NONCE_PROMPT`], where the image is built to ask.
//! 4. [`Event`]s, and with `CONFIG_PROVISIONING_MEASURE` a [`Measured`] after each.
//! 5. [`Event::Success`], or a [`crate::Failure`] and then [`FATAL_ERROR`] and [`HALTED`], which are Zephyr's.

use core::fmt;

use crate::record::Record;

/// The target of the image's log records. zephyr-lang-rust's logger prints it after the level.
pub const LOG_TARGET: &str = "provisioning_image";

/// What stands before each message of the image on a part's console. `cargo sim` prints the bare message.
pub const LOG_PREFIXES: [&str; 3] =
    ["INFO:provisioning_image: ", "WARN:provisioning_image: ", "ERROR:provisioning_image: "];

/// What all [`LOG_PREFIXES`] end with.
pub const LOG_PREFIX_END: &str = ":provisioning_image: ";

/// Parts of the lines that Zephyr prints when it boots: `lib/os/banner.c` of nRF Connect SDK and Zephyr.
pub const BOOT_BANNERS: [&str; 2] = ["*** Booting ", "*** Using Zephyr OS "];

/// Part of the line that Zephyr prints when an image crashes, or panics after a failure: `kernel/fatal.c`.
pub const FATAL_ERROR: &str = ">>> ZEPHYR FATAL ERROR ";

/// Part of the last line after a crash: `kernel/fatal.c` of Zephyr, and `src/fatal_error.c`.
pub const HALTED: &str = "Halting system";

/// The line of an image that waits for a nonce, before it looks at the part.
pub const NONCE_PROMPT: &str = "Waiting for a nonce: 64 hexadecimal digits and a line end";

/// What stands before the record on its line: base64url without padding (RFC 4648, section 5) follows.
pub const RECORD_PREFIX: &str = "Provisioning record: ";

/// What the line of a failed run begins with: [`crate::Failure`].
pub const FAILURE_PREFIX: &str = "Failure: ";

/// What follows [`FAILURE_PREFIX`] for a part that is complete already; its UEID is next.
pub const ALREADY_PROVISIONED_PREFIX: &str = "already provisioned, UEID ";

/// What the line of an image begins with that finds no modelled part: [`NoPart`].
pub const NO_PART_PREFIX: &str = "No part to provision: ";

/// What [`ModelledSilicon`] begins with.
pub const MODELLED_PREFIX: &str = "modelled ";

/// What [`ModelledSilicon`] ends with.
pub const MODELLED_SUFFIX: &str = ": nothing that is written here is secret";

/// The message of the image in a line of a part's console, or nothing where another module logs.
#[must_use]
pub fn message(line: &str) -> Option<&str> {
    LOG_PREFIXES.iter().find_map(|prefix| line.strip_prefix(prefix))
}

/// A step of the procedure that is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The part was in ASSEMBLY.
    LifecycleVerified,
    /// The part was in PROVISIONING: an earlier run has begun, or ended.
    Resuming,
    /// The part is in PROVISIONING.
    LifecycleSwitched,
    /// The HUKs are about to be written.
    GeneratingHuks,
    /// The MKEK is there, and the MEXT is about to be written.
    #[cfg(stored_keys)]
    GeneratingMext,
    /// Both HUKs are there.
    #[cfg(stored_keys)]
    KeepingHuks,
    /// A HUK from an earlier run works, which is all that can be known of it.
    #[cfg(stored_keys)]
    HuksNotProven,
    /// The slots of a seed that are missing are about to be written.
    #[cfg(seed_keys)]
    CompletingSeed,
    /// The HUKs of a seed work, which is all that can be known of it, even if this run has written it.
    #[cfg(seed_keys)]
    SeedNotProven,
    /// The identity key about to be written is the test-only one.
    #[cfg(stored_keys)]
    DummyKey,
    /// The identity key is about to be written.
    #[cfg(stored_keys)]
    WritingIdentityKey,
    /// Everything was read back and checked, and this is what the part says of itself.
    Record(&'a Record),
    /// The part is provisioned.
    Success,
}

/// How loud an [`Event`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Info,
    /// Not for production.
    Warning,
}

impl Event<'_> {
    /// How loud it is.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            #[cfg(stored_keys)]
            Self::DummyKey => Level::Warning,
            _ => Level::Info,
        }
    }

    /// The console line, up to the record if it has one. Those of a run from ASSEMBLY are the C sample's,
    /// which scripts wait for.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::LifecycleVerified => "Successfully verified PSA lifecycle state ASSEMBLY!",
            Self::LifecycleSwitched => "Successfully switched to PSA lifecycle state PROVISIONING!",
            Self::Resuming => "Found PSA lifecycle state PROVISIONING, looking at what is there",
            #[cfg(stored_keys)]
            Self::GeneratingMext => "Generating random MEXT key, keeping the MKEK",
            #[cfg(stored_keys)]
            Self::KeepingHuks => "Keeping the HUK keys that are there",
            Self::GeneratingHuks => "Generating random HUK keys (including MKEK)",
            #[cfg(stored_keys)]
            Self::HuksNotProven => {
                "Not proven: the values of HUK keys from an earlier run. Proven: they work and differ"
            }
            #[cfg(seed_keys)]
            Self::CompletingSeed => "Completing the seed, whose write was cut off",
            #[cfg(seed_keys)]
            Self::SeedNotProven => {
                "Not proven: the value of the seed, which nothing shows. Proven: MKEK and MEXT work and differ"
            }
            #[cfg(stored_keys)]
            Self::DummyKey => {
                "WARNING: the identity key is the test-only dummy key, do not ship this part"
            }
            #[cfg(stored_keys)]
            Self::WritingIdentityKey => "Writing the identity key to KMU",
            Self::Record(_) => RECORD_PREFIX,
            Self::Success => "Success!",
        }
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())?;
        if let Self::Record(record) = self { record.fmt(f) } else { Ok(()) }
    }
}

/// The line by which each console of a modelled part begins, so that nobody takes it for a real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelledSilicon<'a> {
    /// The part that is modelled, such as `nrf5340`.
    pub part: &'a str,
    /// What decides everything random in it.
    pub seed: u64,
}

impl fmt::Display for ModelledSilicon<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, seed } = self;
        write!(f, "{MODELLED_PREFIX}{part}, seed {seed}{MODELLED_SUFFIX}")
    }
}

/// The line of an image on modelled silicon whose part cannot be made, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPart<E>(pub E);

impl<E: fmt::Display> fmt::Display for NoPart<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NO_PART_PREFIX}{}", self.0)
    }
}

/// A line for `cargo xtask bench`, printed with `CONFIG_PROVISIONING_MEASURE` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// Cycles from reset until the message before was due.
    Cycles(u32),
    /// Of the main stack, in bytes, after the run.
    Stack {
        /// The most that was ever in use.
        used: u32,
        /// All of it.
        size: u32,
    },
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cycles(cycles) => write!(f, "Measured: {cycles} cycles"),
            Self::Stack { used, size } => {
                write!(f, "Measured: {used} of {size} bytes of main stack")
            }
        }
    }
}

impl Measured {
    /// Reads a message.
    #[must_use]
    pub fn parse(message: &str) -> Option<Self> {
        let figures = message.strip_prefix("Measured: ")?;
        if let Some(cycles) = figures.strip_suffix(" cycles") {
            return Some(Self::Cycles(number(cycles)?));
        }
        let (used, size) = figures.strip_suffix(" bytes of main stack")?.split_once(" of ")?;
        Some(Self::Stack { used: number(used)?, size: number(size)? })
    }
}

/// Digits and nothing else: `parse` alone would take a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;
    use crate::{Cause, Failure, Ueid};

    #[test]
    fn prefixes_are_those_of_the_log_target() {
        for (prefix, level) in LOG_PREFIXES.into_iter().zip(["INFO", "WARN", "ERROR"]) {
            assert_eq!(prefix, std::format!("{level}:{LOG_TARGET}: "));
            assert!(prefix.ends_with(LOG_PREFIX_END));
            assert_eq!(message(&std::format!("{prefix}text")), Some("text"));
        }
        for line in ["DEBUG:provisioning_image: text", "INFO:other: text", "text", ""] {
            assert_eq!(message(line), None, "{line}");
        }
    }

    #[test]
    fn a_complete_part_says_so_as_the_station_reads_it() {
        let ueid = Ueid::from_bytes([1; 33]).unwrap();
        let failure = Failure::already_provisioned(ueid);
        assert_eq!(failure.cause, Cause::AlreadyProvisioned);
        let beginning = std::format!("{FAILURE_PREFIX}{ALREADY_PROVISIONED_PREFIX}{ueid}");
        assert!(failure.to_string().starts_with(&beginning));
    }

    #[test]
    fn lines_about_the_model_have_their_prefixes() {
        let line = ModelledSilicon { part: "nrf5340", seed: 7 }.to_string();
        assert_eq!(line, "modelled nrf5340, seed 7: nothing that is written here is secret");
        assert!(line.starts_with(MODELLED_PREFIX) && line.ends_with(MODELLED_SUFFIX));
        assert_eq!(NoPart("why").to_string(), "No part to provision: why");
        assert!(NoPart("").to_string().starts_with(NO_PART_PREFIX));
    }

    #[test]
    fn measured_lines_are_read_as_they_are_printed() {
        for measured in
            [Measured::Cycles(0), Measured::Cycles(u32::MAX), Measured::Stack { used: 1, size: 2 }]
        {
            assert_eq!(Measured::parse(&measured.to_string()), Some(measured));
        }
        for message in [
            "Measured: +1 cycles",
            "Measured:  cycles",
            "Measured: 4294967296 cycles",
            "Measured: 1 of bytes of main stack",
            "Measured: 1 bytes of main stack",
            "Measured: 1 of -2 bytes of main stack",
            "Measured: 1",
            "Success!",
        ] {
            assert_eq!(Measured::parse(message), None, "{message}");
        }
    }
}
