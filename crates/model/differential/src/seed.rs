// SPDX-License-Identifier: Apache-2.0

//! What only the drivers of parts with a seed do.

use core::fmt::Display;

use nrf_keys::SeedDrivers;
use provisioning::{DriverError, Seed, SeedDevice};

use crate::{Action, Hex, UnderTest};

impl UnderTest for SeedDrivers {
    fn act(
        &mut self,
        action: Action,
        line: &mut impl FnMut(&dyn Display),
    ) -> Result<(), DriverError> {
        let mut seed = Seed::empty();
        match action {
            Action::WriteSeed => {
                seed.expose_mut().fill(0x17);
                self.write_seed(&seed)
            }
            Action::CompleteSeed => {
                seed.expose_mut().fill(0x42);
                self.complete_seed(&seed)
            }
            Action::ExportPublicKey => {
                let mut key = [0; 65];
                self.public_identity_key(&mut key)?;
                line(&format_args!("public key {}", Hex(&key)));
                Ok(())
            }
            Action::Sign => {
                let mut signature = [0; 64];
                self.sign(&[0x5A; 32], &mut signature)?;
                line(&format_args!("signature {}", Hex(&signature)));
                Ok(())
            }
            _ => panic!("{action:?} is nothing for this part"),
        }
    }
}
