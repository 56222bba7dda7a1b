// SPDX-License-Identifier: Apache-2.0

//! By which instance ID a verifier finds a part.

use std::fmt;

use provisioning::{PublicKey, Ueid};
use sha2::{Digest, Sha256};

/// Which instance IDs the endorsements of a part name.
///
/// A token has the instance ID that TF-M computes from the public key (TF-M,
/// `secure_fw/partitions/initial_attestation/attest_asymmetric_key.c`), and a verifier looks the part up by it.
/// Endorsements with the other one are taken, and never found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceIds {
    /// 0x01 and SHA-256 of the public key as a point (SEC 1, uncompressed): TF-M up to 2.1, in nRF Connect SDK up to
    /// 3.1. It is the UEID of the record.
    Tfm21,
    /// 0x01 and SHA-256 of the public key as a `COSE_Key` with the members kty, crv, x and y, which is the thumbprint of
    /// RFC 9679: TF-M from 2.2 on, in nRF Connect SDK from 3.2 on.
    Tfm22,
    /// Both, each in a triple of its own with the same key: whichever TF-M a part gets, also by an update in the field.
    Both,
}

impl InstanceIds {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Both, Self::Tfm21, Self::Tfm22];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tfm21 => "tfm-2.1",
            Self::Tfm22 => "tfm-2.2",
            Self::Both => "both",
        }
    }

    /// The choice of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ids| ids.name() == name)
    }

    /// How many a part has.
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Self::Tfm21 | Self::Tfm22 => 1,
            Self::Both => 2,
        }
    }

    /// Those of the part with this public key.
    #[must_use]
    pub fn of(self, key: &PublicKey) -> Vec<[u8; 33]> {
        match self {
            Self::Tfm21 => vec![*Ueid::of(key).as_bytes()],
            Self::Tfm22 => vec![thumbprint(key)],
            Self::Both => vec![*Ueid::of(key).as_bytes(), thumbprint(key)],
        }
    }
}

impl fmt::Display for InstanceIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// 0x01 and the thumbprint of the key, as `t_cose_key_encode` of TF-M (`lib/ext/t_cose/src/t_cose_key.c`) encodes it:
/// RFC 9679, sections 3 and 4.2.
fn thumbprint(key: &PublicKey) -> [u8; 33] {
    // {1: 2, -1: 1, -2: x, -3: y}: EC2, P-256, and coordinates of 32 bytes.
    const KTY_CRV_X: [u8; 8] = [0xA4, 0x01, 0x02, 0x20, 0x01, 0x21, 0x58, 0x20];
    const Y: [u8; 3] = [0x22, 0x58, 0x20];
    // The first byte says that the point is uncompressed.
    let (x, y) = key.as_bytes()[1..].split_at(32);
    let hash =
        Sha256::new().chain_update(KTY_CRV_X).chain_update(x).chain_update(Y).chain_update(y);
    let mut id = [0x01; 33];
    id[1..].copy_from_slice(&hash.finalize());
    id
}
