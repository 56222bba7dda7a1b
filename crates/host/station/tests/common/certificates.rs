// SPDX-License-Identifier: Apache-2.0

//! A manufacturer's certificates: a root, an intermediate that it has issued, and a signing key with its certificate.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

/// Their texts, PEM.
pub struct Certificates {
    pub root: String,
    pub intermediate: String,
    pub leaf: String,
    /// The signing key, PKCS#8.
    pub key: String,
}

impl Certificates {
    /// With this change of the signing key's certificate.
    pub fn new(change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::with_key(&KeyPair::generate().unwrap(), change)
    }

    pub fn with_key(key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let pair = || KeyPair::generate().unwrap();
        let root = CertifiedIssuer::self_signed(authority("Example root"), pair()).unwrap();
        let intermediate =
            CertifiedIssuer::signed_by(authority("Example factory"), pair(), &root).unwrap();
        let mut params = params("Example endorsements");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        change(&mut params);
        let leaf = params.signed_by(key, &intermediate).unwrap();
        Self {
            root: root.pem(),
            intermediate: intermediate.pem(),
            leaf: leaf.pem(),
            key: key.serialize_pem(),
        }
    }

    /// The chain as a file has it, from the signing key's on.
    pub fn chain(&self) -> String {
        [&self.leaf[..], &self.intermediate, &self.root].concat()
    }

    /// Writes `key.pem` and `chain.pem` into a folder, and gives their paths.
    pub fn write(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let chain = folder.join("chain.pem");
        fs::write(&chain, self.chain()).unwrap();
        (secret(folder, "key.pem", &self.key), chain)
    }
}

/// A name, valid from 2020 to 2040.
pub fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Example");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params
}

pub fn authority(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// A file that only its owner may read.
pub fn secret(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    set_rights(&path, 0o600);
    path
}

#[cfg(unix)]
pub fn set_rights(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
pub fn set_rights(_: &Path, _: u32) {}
