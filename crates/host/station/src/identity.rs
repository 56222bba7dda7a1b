// SPDX-License-Identifier: Apache-2.0

//! Who a part is.

use provisioning::{DeviceId, ImplementationId, PublicKey, Ueid};

/// What a checked record says of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which part it is, for as long as it exists.
    pub device_id: DeviceId,
    /// Its root of trust.
    pub implementation_id: ImplementationId,
    /// Its public identity key.
    pub public_key: PublicKey,
}

impl Identity {
    /// The instance ID, which is the hash of the public key.
    #[must_use]
    pub fn ueid(&self) -> Ueid {
        Ueid::of(&self.public_key)
    }
}
