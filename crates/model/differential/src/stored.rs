// SPDX-License-Identifier: Apache-2.0

//! What only the drivers of parts that store their keys do.

use core::fmt::Display;

use nrf_keys::Drivers;
use provisioning::{DriverError, HukKey, IdentityKey, StoredKeyDevice};

use crate::{Action, Hex, UnderTest};

impl UnderTest for Drivers {
    fn act(
        &mut self,
        action: Action,
        line: &mut impl FnMut(&dyn Display),
    ) -> Result<(), DriverError> {
        match action {
            Action::WriteHuk(huk) => {
                let mut key = HukKey::empty();
                key.expose_mut().fill(0x17 + huk as u8);
                self.write_huk(huk, &key)
            }
            Action::WriteIdentityKey => {
                let mut key = IdentityKey::empty();
                key.expose_mut().fill(0x42);
                self.write_identity_key(&mut key)
            }
            Action::WriteRandomIdentityKey => self.write_random_identity_key(),
            Action::ReadIdentityKey => {
                let mut key = IdentityKey::empty();
                let result = self.read_identity_key(&mut key);
                line(&format_args!("key {}", Hex(key.expose()))); // a modelled part's: no secret
                self.free_identity_key(&mut key);
                line(&format_args!("freed {}", Hex(key.expose())));
                result
            }
            _ => panic!("{action:?} is nothing for this part"),
        }
    }
}
