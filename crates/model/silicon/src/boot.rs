// SPDX-License-Identifier: Apache-2.0

//! Puts a modelled part under a Zephyr image, by its Kconfig and its command line.

use core::fmt;

use crate::Soc;

/// What was put under the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// The part.
    pub soc: Soc,
    /// What decides everything random in it.
    pub seed: u64,
}

impl fmt::Display for Model {
    /// The line by which each console of a modelled part begins, so that nobody takes it for a real one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { soc, seed } = self;
        write!(f, "modelled {soc}, seed {seed}: nothing that is written here is secret")
    }
}

/// Installs the part that Kconfig describes; on real silicon there is none.
///
/// Where the image has a command line, `--seed=N` goes before Kconfig's seed, and the part kept in the
/// file of `--device=FILE` before Kconfig's state.
///
/// # Errors
/// There is no such part, or the command line cannot be followed.
pub fn power_on(soc: &str, state: &str, seed: u32) -> Result<Option<Model>, BootError> {
    #[cfg(silicon_model)]
    {
        let soc = soc.parse().map_err(|_| BootError::UnknownName)?;
        let state: crate::states::State = state.parse().map_err(|_| BootError::UnknownName)?;
        let seed = seed_option()?.unwrap_or(seed.into());
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        // In place: the page of a part is half of the image's stack.
        crate::exports::with_part(Err(BootError::UnknownName), |part| {
            part.replace(soc, bytes);
            #[cfg(device_file)]
            if crate::device::load(part).map_err(|()| BootError::Device)? {
                return Ok(());
            }
            state.apply(part).map_err(|_| BootError::UnknownName)
        })?;
        Ok(Some(Model { soc, seed }))
    }
    #[cfg(not(silicon_model))]
    {
        let _ = (soc, state, seed);
        Ok(None)
    }
}

#[cfg(silicon_model)]
fn seed_option() -> Result<Option<u64>, BootError> {
    #[cfg(device_file)]
    if let Some(text) = crate::device::seed_option() {
        let seed = text.to_str().ok().and_then(|text| text.parse().ok());
        return seed.map(Some).ok_or(BootError::Seed);
    }
    Ok(None)
}

/// Why there is no part to provision. Nothing was written anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError {
    /// Kconfig names a part or a state that there is not.
    UnknownName,
    /// What stands behind `--seed=` is no number that a seed can be.
    Seed,
    /// The file behind `--device=` cannot be used; the console says why.
    Device,
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownName => "Kconfig names a modelled part that there is not",
            Self::Seed => "--seed= must be followed by a decimal number below 2^64",
            Self::Device => "the file of --device= cannot be used",
        })
    }
}

impl core::error::Error for BootError {}
