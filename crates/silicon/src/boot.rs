// SPDX-License-Identifier: Apache-2.0

//! Puts a modelled part under a Zephyr image, by the names in its Kconfig.

use crate::Soc;

/// Installs the part that Kconfig describes, and tells which one; on real silicon there is none.
///
/// # Errors
/// No part or no state has that name.
pub fn power_on(soc: &str, state: &str, seed: u32) -> Result<Option<Soc>, UnknownName> {
    #[cfg(silicon_model)]
    {
        let soc = soc.parse().map_err(|_| UnknownName)?;
        let state: crate::states::State = state.parse().map_err(|_| UnknownName)?;
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&seed.to_le_bytes());
        // In place: the page of a part is half of the image's stack.
        crate::exports::with_part(Err(UnknownName), |part| {
            part.replace(soc, bytes);
            state.apply(part).map_err(|_| UnknownName)
        })?;
        Ok(Some(soc))
    }
    #[cfg(not(silicon_model))]
    {
        let _ = (soc, state, seed);
        Ok(None)
    }
}

/// Kconfig names a part or a state that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownName;
