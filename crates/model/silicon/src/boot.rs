// SPDX-License-Identifier: Apache-2.0

//! Puts a modelled part under a Zephyr image, by its Kconfig and its command line.

use thiserror::Error;

#[cfg(device_file)]
use crate::device;
use crate::entropy;
use crate::exports::with_part;
use crate::soc::Soc;
use crate::states::State;

/// What was put under the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// The part.
    pub soc: Soc,
    /// What decides everything random in it.
    pub seed: u64,
}

/// Installs the part that Kconfig describes.
///
/// Where the image has a command line, `--seed=N` overrides Kconfig's seed, and the part in the file of
/// `--device=FILE` overrides Kconfig's state.
///
/// # Errors
/// There is no such part, or the command line is wrong.
pub fn power_on(soc: &str, state: &str, seed: u32) -> Result<Model, BootError> {
    let soc = soc.parse().map_err(|_| BootError::UnknownName)?;
    let state: State = state.parse().map_err(|_| BootError::UnknownName)?;
    let number = seed_option()?.unwrap_or(seed.into());
    // In place: the page of a part is half of the image's stack.
    with_part(Err(BootError::UnknownName), |part| {
        part.replace(soc, entropy::seed(number));
        #[cfg(device_file)]
        if let Some(file) = device::file_option() {
            part.load_from(file).map_err(|device::Unusable| BootError::Device)?;
            part.keep_in_device_file();
            return Ok(());
        }
        state.apply(part).map_err(|_| BootError::UnknownName)
    })?;
    Ok(Model { soc, seed: number })
}

fn seed_option() -> Result<Option<u64>, BootError> {
    #[cfg(device_file)]
    if let Some(text) = device::seed_option() {
        let seed = text.to_str().ok().and_then(|text| text.parse().ok());
        return seed.map(Some).ok_or(BootError::Seed);
    }
    Ok(None)
}

/// Why there is no part to provision. Nothing was written anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BootError {
    /// Kconfig names a part or a state that is not modelled.
    #[error("Kconfig names a part or a state that is not modelled")]
    UnknownName,
    /// What stands behind `--seed=` is not a seed.
    #[error("--seed= must be followed by a decimal number below 2^64")]
    Seed,
    /// The file behind `--device=` cannot be used; the console says why.
    #[error("the file of --device= cannot be used")]
    Device,
}
