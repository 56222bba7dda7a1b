// SPDX-License-Identifier: Apache-2.0

//! Endorsements that a key in an HSM signs, through PKCS#11. The HSM is `SoftHSM`.
#![cfg(feature = "pkcs11")]

mod common;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::certificates::{Certificates, secret, set_rights};
use coset::{CoseSign1, TaggedCborSerializable};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePrivateKey;
use tempfile::TempDir;

const PIN: &str = "73-hsm-74";

/// Where distributions have it; `SOFTHSM2_MODULE` names another one.
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];

/// A station with two parts, and a token `Line 2` that has the signing key, as `sign`, and no file of it.
struct Line {
    folder: TempDir,
    module: PathBuf,
    key: VerifyingKey,
}

impl Line {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let module = env::var_os("SOFTHSM2_MODULE").map(PathBuf::from);
        let module = module
            .or_else(|| MODULES.iter().map(PathBuf::from).find(|module| module.exists()))
            .expect("SoftHSM's libsofthsm2.so");
        let tokens = folder.path().join("tokens");
        fs::create_dir(&tokens).unwrap();
        let settings = format!("directories.tokendir = {}\n", tokens.display());
        fs::write(folder.path().join("softhsm2.conf"), settings).unwrap();
        let certificates = Certificates::new(|_| ());
        let (key, _) = certificates.write(folder.path());
        let secret = p256::SecretKey::from_pkcs8_pem(&certificates.key).unwrap();
        let line = Self { module, key: secret.public_key().into(), folder };
        line.tool(&[
            "--init-token",
            "--free",
            "--label",
            "Line 2",
            "--so-pin",
            "1234",
            "--pin",
            PIN,
        ]);
        line.import(&key, "sign", "01");
        fs::remove_file(key).unwrap();
        common::certificates::secret(line.path(), "pin", &format!("{PIN}\n"));
        let output = line.station(&["provision", "--simulate", "2"]);
        assert!(output.status.success(), "{output:?}");
        line
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).stdin(Stdio::null());
        command.env("SOFTHSM2_CONF", self.path().join("softhsm2.conf"));
        command
    }

    fn tool(&self, arguments: &[&str]) {
        let output = self.command("softhsm2-util").args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn import(&self, key: &Path, label: &str, id: &str) {
        let key = key.to_str().unwrap();
        let token = ["--token", "Line 2", "--pin", PIN];
        self.tool(&[&["--import", key, "--label", label, "--id", id], &token[..]].concat());
    }

    fn station(&self, arguments: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_station")).args(arguments).output().unwrap()
    }

    /// Exports with the key of this URI, to which the module is added.
    fn export(&self, uri: &str, arguments: &[&str]) -> Output {
        let uri = format!("{uri}module-path={}", self.module.display());
        let export =
            ["export", "--profile", "psa-2025", "--sign-key", &uri, "--cert-chain", "chain.pem"];
        self.station(&[&export, arguments].concat())
    }

    #[track_caller]
    fn refused(&self, uri: &str) -> String {
        let output = self.export(uri, &[]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(!self.path().join("endorsements").exists());
        String::from_utf8(output.stderr).unwrap()
    }
}

const KEY: &str = "pkcs11:token=Line%202;object=sign?pin-source=pin&";

#[test]
#[ignore = "needs SoftHSM: cargo xtask check --only signed"]
fn a_key_in_an_hsm_signs_endorsements() {
    let line = Line::new();
    for (uri, split) in [
        (KEY, false),
        ("pkcs11:object=sign;type=private?pin-source=file:pin&", false),
        ("pkcs11:token=Line%202;id=%01?pin-source=pin&", true),
    ] {
        let arguments: &[&str] = if split { &["--max-bytes", "2500"] } else { &[] };
        let output = line.export(uri, &[arguments, &["--overwrite"]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let folder = line.path().join("endorsements");
        let mut count = 0;
        for file in fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
            if file.extension().is_some_and(|extension| extension == "cose") {
                let message = CoseSign1::from_tagged_slice(&fs::read(file).unwrap()).unwrap();
                message
                    .verify_signature(b"", |signature, signed| {
                        line.key.verify(signed, &Signature::from_slice(signature).unwrap())
                    })
                    .unwrap();
                count += 1;
            }
        }
        assert_eq!(count, if split { 2 } else { 1 });
    }
}

#[test]
#[ignore = "needs SoftHSM: cargo xtask check --only signed"]
fn an_hsm_that_does_not_sign_says_why() {
    let line = Line::new();
    for (uri, says) in [
        (
            "pkcs11:token=Line%203;object=sign?pin-source=pin&",
            "0 tokens that are called \"Line 3\"",
        ),
        ("pkcs11:token=Line%203;object=sign?pin-source=pin&", "It has: \"Line 2\""),
        ("pkcs11:token=Line%202;object=seal?pin-source=pin&", "the token has 0 private keys"),
        (
            "pkcs11:token=Line%202;object=sign;id=%02?pin-source=pin&",
            "the token has 0 private keys",
        ),
        ("pkcs11:token=Line%202;object=sign?", "pin-source="),
        ("pkcs11:token=Line%202;object=sign?pin-value=1234&", "pin-source="),
        ("pkcs11:token=Line%202;object=sign?pin-source=no-such-file&", "no-such-file"),
    ] {
        let said = line.refused(uri);
        assert!(said.contains(says), "{said}");
        assert!(!said.contains("1234"), "{said}");
    }
    secret(line.path(), "wrong", "1111");
    let said = line.refused("pkcs11:object=sign?pin-source=wrong&");
    assert!(said.contains("refuses the PIN"), "{said}");
    set_rights(&line.path().join("pin"), 0o640);
    let said = line.refused(KEY);
    assert!(said.contains("chmod 600"), "{said}");
    set_rights(&line.path().join("pin"), 0o600);

    // Another key of the same label: which one is meant is not guessed.
    let other = Certificates::new(|_| ()).write(line.path()).0;
    line.import(&other, "sign", "02");
    let said = line.refused(KEY);
    assert!(said.contains("the token has 2 private keys"), "{said}");
    // And the chain is by now that of the second one.
    let said = line.refused("pkcs11:object=sign;id=%01?pin-source=pin&");
    assert!(said.contains("not that of the certificate"), "{said}");
    let output = line.export("pkcs11:object=sign;id=%02?pin-source=pin&", &[]);
    assert!(output.status.success(), "{output:?}");
}

/// It signs with 96 bytes.
#[test]
#[ignore = "needs SoftHSM: cargo xtask check --only signed"]
fn a_key_of_another_curve_is_refused() {
    let line = Line::new();
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let key = secret(line.path(), "p384.pem", &pair.serialize_pem());
    line.import(&key, "long", "03");
    let said = line.refused("pkcs11:object=long?pin-source=pin&");
    assert!(said.contains("signed with 96 bytes"), "{said}");
}

#[test]
fn a_library_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    Certificates::new(|_| ()).write(folder.path());
    for module in ["/no/such/module.so", "chain.pem"] {
        let uri = format!("pkcs11:object=sign?module-path={module}");
        let export =
            ["export", "--profile", "psa-2025", "--sign-key", &uri, "--cert-chain", "chain.pem"];
        let station = Command::new(env!("CARGO_BIN_EXE_station"))
            .args(export)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(station.status.code(), Some(2), "{station:?}");
        let said = String::from_utf8(station.stderr).unwrap();
        assert!(
            said.contains(&format!("{module}: this PKCS#11 module cannot be loaded")),
            "{said}"
        );
    }
}
