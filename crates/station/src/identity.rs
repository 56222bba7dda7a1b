// SPDX-License-Identifier: Apache-2.0

//! Who a part is.

use std::fmt;

use provisioning::{ImplementationId, PublicKey, Ueid};

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

/// `FICR.INFO.DEVICEID`, which the factory gives to each part: its two words, least significant byte first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceId(pub [u8; 8]);

impl fmt::Display for DeviceId {
    /// As the product specification and debuggers show it: one 64-bit number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
