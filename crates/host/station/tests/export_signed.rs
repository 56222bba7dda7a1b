// SPDX-License-Identifier: Apache-2.0

//! Signed endorsements, as a verifier reads them: coset and the crate `corim` for the form, p256 and rcgen's ring for
//! keys and certificates. `cargo xtask check --only signed` has them verified by Python's libraries.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::certificates::{Certificates, authority, params, secret, set_rights};
use corim::cbor::DecodeLimits;
use corim::types::signed::{CoseX509, decode_and_validate_signed_corim_structure_with_limits};
use coset::cbor::value::Value;
use coset::iana::{self, Algorithm};
use coset::{CborSerializable, ContentType, CoseSign1, Label, TaggedCborSerializable};
use jiff::Timestamp;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::{DecodePrivateKey, LineEnding};
use provisioning::ImplementationId;
use rcgen::{CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use station::export::{
    CertificateError, Chain, DEFAULT_MAX_BYTES, ExportError, InstanceIds, KeyError, Options,
    Profile, SIGNED_FILE, SignError, Signer, SignerName, SigningKey, export, export_signed,
};
use station::secret_file::SecretFileError;
use station::{DeviceId, Identity};
use tempfile::TempDir;

fn now() -> Timestamp {
    "2026-11-27T12:00:00Z".parse().unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn parts(count: u8) -> Vec<Identity> {
    (1..=count)
        .map(|number| Identity {
            device_id: DeviceId([number; 8]),
            implementation_id: ImplementationId::from_bytes([0x11; 32]).unwrap(),
            public_key: common::public_key(number),
        })
        .collect()
}

fn options(profile: Profile) -> Options {
    Options {
        profile,
        instance_ids: InstanceIds::Both,
        head: [0xA5; 32],
        vendor: None,
        model: None,
        max_bytes: DEFAULT_MAX_BYTES,
    }
}

/// Reads these certificates from a file each.
fn chain(certificates: &[&str]) -> Result<Chain, CertificateError> {
    chain_at(certificates, now())
}

fn chain_at(certificates: &[&str], now: Timestamp) -> Result<Chain, CertificateError> {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> =
        (0..certificates.len()).map(|number| folder.path().join(format!("{number}.pem"))).collect();
    for (path, certificate) in paths.iter().zip(certificates) {
        fs::write(path, certificate).unwrap();
    }
    Chain::read(&paths, now)
}

fn open_key(pem: &str) -> Result<SigningKey, KeyError> {
    let folder = tempfile::tempdir().unwrap();
    SigningKey::open(secret(folder.path(), "key.pem", pem).to_str().unwrap())
}

fn signer(certificates: &Certificates, chain: Chain, name: SignerName) -> Signer {
    Signer::new(open_key(&certificates.key).unwrap(), chain, name).unwrap()
}

fn public_key(certificates: &Certificates) -> VerifyingKey {
    VerifyingKey::from(p256::SecretKey::from_pkcs8_pem(&certificates.key).unwrap().public_key())
}

fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

/// What stands under a label of the protected header that coset has no name for.
fn protected(message: &CoseSign1, label: i64) -> &Value {
    let rest = &message.protected.header.rest;
    &rest.iter().find(|(found, _)| *found == Label::Int(label)).unwrap().1
}

fn verify(message: &CoseSign1, key: &VerifyingKey) {
    message
        .verify_signature(b"", |signature, signed| {
            key.verify(signed, &Signature::from_slice(signature).unwrap())
        })
        .unwrap();
}

#[test]
fn a_signed_export_has_the_form_that_the_verifier_reads() {
    let certificates = Certificates::new(|_| ());
    let chains: [&[&str]; 3] = [
        &[&certificates.leaf],
        &[&certificates.leaf, &certificates.intermediate],
        &[&certificates.leaf, &certificates.intermediate, &certificates.root],
    ];
    for profile in Profile::ALL {
        let options = options(profile);
        let unsigned = export(&options, parts(3)).unwrap().remove(0);
        assert!(!unsigned.is_signed);
        for chain in chains {
            let signer = signer(&certificates, self::chain(chain).unwrap(), SignerName::default());
            let files = export_signed(&options, &signer, parts(3)).unwrap();
            let [file] = &files[..] else { panic!("{} files", files.len()) };
            assert!(file.is_signed);
            assert_eq!(file.names()[2], SIGNED_FILE);
            assert_eq!((&file.comid, &file.corim), (&unsigned.comid, &unsigned.corim));
            // By this byte corim-store tells it from an unsigned one (pkg/util/util.go): tag 18.
            assert_eq!(file.endorsements[0], 0xD2);

            let message = CoseSign1::from_tagged_slice(&file.endorsements).unwrap();
            assert_eq!(message.payload.as_deref(), Some(&unsigned.endorsements[..]));
            assert!(message.unprotected.is_empty());
            let header = &message.protected.header;
            assert_eq!(header.alg, Some(coset::Algorithm::Assigned(Algorithm::ES256)));
            assert_eq!(
                header.content_type,
                Some(ContentType::Text(String::from("application/rim+cbor")))
            );
            assert!(header.key_id.is_empty());
            assert_eq!(header.rest.len(), 2, "{:?}", header.rest);
            let ders: Vec<_> = chain.iter().map(|pem| Value::from(der(pem))).collect();
            let expected = match &ders[..] {
                [one] => one.clone(),
                _ => Value::Array(ders),
            };
            let x5chain = iana::HeaderParameter::X5Chain as i64;
            assert_eq!(*protected(&message, x5chain), expected);
            verify(&message, &public_key(&certificates));
        }
    }
}

/// draft-ietf-rats-corim, `corim-meta-map`: signer (0) with name (0) and URI (1), validity (1) from (0) and to (1).
#[test]
fn the_meta_says_who_has_signed_and_until_when() {
    let certificates = Certificates::new(|params| {
        params.not_before = date_time_ymd(2021, 2, 3);
        params.not_after = date_time_ymd(2031, 2, 3);
    });
    let meta = |name: SignerName| {
        let chain = chain(&[&certificates.chain()]).unwrap();
        let signer = signer(&certificates, chain, name);
        let file = export_signed(&options(Profile::Psa2025), &signer, parts(1)).unwrap().remove(0);
        let message = CoseSign1::from_tagged_slice(&file.endorsements).unwrap();
        let meta = protected(&message, 8).as_bytes().unwrap();
        // Its first encoding is its only one.
        let value = Value::from_slice(meta).unwrap();
        assert_eq!(value.clone().to_vec().unwrap(), *meta);
        value
    };
    let map = |entries: Vec<(u8, Value)>| {
        Value::Map(entries.into_iter().map(|(key, value)| (Value::from(key), value)).collect())
    };
    let at = |text: &str| Value::Tag(1, Box::new(time(text).as_second().into()));
    // The later beginning and the earlier end of all certificates.
    let validity = |until: &str| map(vec![(0, at("2021-02-03T00:00:00Z")), (1, at(until))]);
    assert_eq!(
        meta(SignerName::default()),
        map(vec![
            (0, map(vec![(0, "O=Example,CN=Example endorsements".into())])),
            (1, validity("2031-02-03T00:00:00Z")),
        ])
    );
    let name = SignerName {
        name: Some("ACME".into()),
        uri: Some("https://acme.example/endorsements".into()),
        until: Some(time("2028-05-06T07:08:09Z")),
    };
    let uri = Value::Tag(32, Box::new("https://acme.example/endorsements".into()));
    assert_eq!(
        meta(name),
        map(vec![
            (0, map(vec![(0, "ACME".into()), (1, uri)])),
            (1, validity("2028-05-06T07:08:09Z")),
        ])
    );
}

#[test]
fn the_crate_corim_takes_it() {
    let certificates = Certificates::new(|_| ());
    let chain = chain(&[&certificates.chain()]).unwrap();
    let signer = signer(&certificates, chain, SignerName::default());
    let file = export_signed(&options(Profile::Psa2025), &signer, parts(3)).unwrap().remove(0);
    let (message, validated) = decode_and_validate_signed_corim_structure_with_limits(
        &file.endorsements,
        None,
        &DecodeLimits::default(),
    )
    .unwrap();
    let Some(CoseX509::Chain(chain)) = &message.protected().x5chain else { panic!("no x5chain") };
    assert_eq!(chain.len(), 3);
    assert_eq!(validated.comids[0].triples.attest_key_triples.as_ref().unwrap().len(), 6);
}

/// What was sent and maybe not taken is sent again: other bytes would be refused.
#[test]
fn the_same_input_gives_the_same_bytes() {
    let certificates = Certificates::new(|_| ());
    let made = || {
        let chain = chain(&[&certificates.chain()]).unwrap();
        let signer = signer(&certificates, chain, SignerName::default());
        export_signed(&options(Profile::Psa2025), &signer, parts(3)).unwrap()
    };
    assert_eq!(made(), made());
}

/// Every limit at which a file takes one part more, one less, and the one between.
#[test]
fn files_are_below_the_limit_with_their_signature() {
    let certificates = Certificates::new(|_| ());
    let chain = chain(&[&certificates.chain()]).unwrap();
    let signer = signer(&certificates, chain, SignerName::default());
    let make = |count, max_bytes| {
        let options = Options { max_bytes, ..options(Profile::Psa2025) };
        export_signed(&options, &signer, parts(count))
    };
    let sizes: Vec<_> = (1..=20)
        .map(|count| make(count, DEFAULT_MAX_BYTES).unwrap()[0].endorsements.len())
        .collect();
    for (&size, count) in sizes.iter().zip(1..) {
        for max_bytes in [size - 1, size, size + 1] {
            let export = make(20, max_bytes);
            if max_bytes < sizes[0] {
                let error = export.unwrap_err();
                assert!(
                    matches!(error, ExportError::TooSmall { needed, .. } if needed == sizes[0]),
                    "{error}"
                );
                continue;
            }
            let export = export.unwrap();
            assert!(export.iter().all(|file| file.endorsements.len() <= max_bytes));
            assert_eq!(export.iter().map(|file| file.parts).sum::<usize>(), 20);
            let fewest = if max_bytes < size { count - 1 } else { count }.max(2) - 1;
            assert!(export[0].parts >= fewest, "{max_bytes}: {} parts", export[0].parts);
            for file in &export {
                let message = CoseSign1::from_tagged_slice(&file.endorsements).unwrap();
                verify(&message, &public_key(&certificates));
            }
        }
    }
}

#[test]
fn a_file_is_below_the_limit_where_lengths_grow() {
    let certificates = Certificates::new(|_| ());
    let chain = chain(&[&certificates.leaf]).unwrap();
    let signer = signer(&certificates, chain, SignerName::default());
    let template = parts(1)[0];
    let many = |count: u32| {
        (0..count).map(move |number| {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&number.to_be_bytes());
            Identity { implementation_id: ImplementationId::from_bytes(id).unwrap(), ..template }
        })
    };
    let export = |count, max_bytes| {
        let options = Options { max_bytes, ..options(Profile::Psa2025) };
        export_signed(&options, &signer, many(count)).unwrap()
    };
    // From 65,536 bytes on, lengths take two bytes more; from 256 triples on, which are 128 parts, one more.
    for count in 120..132 {
        let size = export(count, usize::MAX)[0].endorsements.len();
        for max_bytes in size - 12..size + 12 {
            let files = export(150, max_bytes);
            let longest = files.iter().map(|file| file.endorsements.len()).max().unwrap();
            assert!(longest <= max_bytes, "{longest} of {max_bytes}");
            assert!(files[0].parts + 1 >= count as usize, "{} parts", files[0].parts);
        }
    }
}

#[test]
fn a_key_is_read_from_what_openssl_writes() {
    let pair = KeyPair::generate().unwrap();
    let certificates = Certificates::with_key(&pair, |_| ());
    let secret = p256::SecretKey::from_pkcs8_pem(&pair.serialize_pem()).unwrap();
    let sec1 = secret.to_sec1_pem(LineEnding::LF).unwrap();
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    for pem in [
        certificates.key.clone(),
        sec1.to_string(),
        format!("{parameters}{}", *sec1),
        certificates.key.replace('\n', "\r\n"),
        format!("Key of line 2\n\n{}\n\n", certificates.key),
    ] {
        let chain = chain(&[&certificates.leaf]).unwrap();
        let key = open_key(&pem).unwrap();
        assert!(Signer::new(key, chain, SignerName::default()).is_ok(), "{pem}");
    }
}

#[test]
fn a_key_that_cannot_sign_says_why() {
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    let certificates = Certificates::new(|_| ());
    let encrypted = certificates.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for (content, says) in [
        (&p384[..], "no private key of the curve P-256"),
        (&ed25519, "no private key of the curve P-256"),
        (&encrypted, "is encrypted"),
        (&certificates.leaf, "there is no private key in this file"),
        ("", "there is no private key in this file"),
        (&certificates.key[..120], "there is no private key in this file"),
    ] {
        let error = open_key(content).err().unwrap();
        assert!(matches!(&error, KeyError::Content(..)), "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.to_string().contains("key.pem: "), "{error}");
    }
    let error = SigningKey::open("/no/such/key").err().unwrap();
    assert!(matches!(error, KeyError::File(SecretFileError::Io(..))), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let long = secret(folder.path(), "long.pem", &"x".repeat(65 * 1024));
    let error = SigningKey::open(long.to_str().unwrap()).err().unwrap();
    assert!(matches!(error, KeyError::File(SecretFileError::TooLong(_))), "{error}");
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (key, _) = Certificates::new(|_| ()).write(folder.path());
    for mode in [0o604, 0o640, 0o644, 0o660, 0o620, 0o602, 0o601, 0o777] {
        set_rights(&key, mode);
        let error = SigningKey::open(key.to_str().unwrap()).err().unwrap();
        let said = error.to_string();
        assert!(matches!(error, KeyError::File(SecretFileError::Open { .. })), "{said}");
        assert!(said.contains(&format!("rights {mode:04o}")), "{said}");
        assert!(said.contains(&format!("chmod 600 {}", key.display())), "{said}");
    }
    for mode in [0o600, 0o400] {
        set_rights(&key, mode);
        assert!(SigningKey::open(key.to_str().unwrap()).is_ok(), "{mode:o}");
    }
}

#[cfg(not(feature = "pkcs11"))]
#[test]
fn a_station_without_pkcs11_says_so() {
    let error = SigningKey::open("pkcs11:object=x?module-path=y").err().unwrap();
    assert!(error.to_string().contains("--features pkcs11"), "{error}");
}

#[test]
fn the_key_must_be_that_of_the_first_certificate() {
    let certificates = Certificates::new(|_| ());
    let other = Certificates::new(|_| ());
    let chain = chain(&[&certificates.chain()]).unwrap();
    let error = Signer::new(open_key(&other.key).unwrap(), chain, SignerName::default());
    let error = error.err().unwrap();
    assert!(matches!(error, SignError::OtherKey(_)), "{error}");
    assert!(error.to_string().contains("CN=Example endorsements"), "{error}");
}

#[test]
fn certificates_must_be_in_order() {
    let certificates = Certificates::new(|_| ());
    let Certificates { leaf, intermediate, root, .. } = &certificates;
    // The order of files, and in a file.
    assert!(chain(&[&format!("{leaf}{intermediate}"), root]).is_ok());
    for wrong in [
        &[&root[..], intermediate, leaf][..],
        &[leaf, root],
        &[leaf, root, intermediate],
        &[leaf, leaf],
    ] {
        let error = chain(wrong).err().unwrap();
        assert!(matches!(error, CertificateError::Order { .. }), "{error}");
        assert!(error.to_string().contains("of its issuer, and so on"), "{error}");
    }
}

/// Another authority of the same name, so that only the signature tells them apart.
#[test]
fn a_certificate_that_another_authority_has_issued_is_refused() {
    let certificates = Certificates::new(|_| ());
    let other = Certificates::new(|_| ());
    for forged in [
        &[&certificates.leaf[..], &other.intermediate][..],
        &[&certificates.leaf, &other.intermediate, &other.root],
        &[&certificates.leaf, &certificates.intermediate, &other.root],
    ] {
        let error = chain(forged).err().unwrap();
        assert!(matches!(error, CertificateError::Chain(_)), "{error}");
    }
}

#[test]
fn a_certificate_must_be_valid_now() {
    let certificates = Certificates::new(|params| {
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
    });
    let all = certificates.chain();
    for good in ["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"] {
        assert!(chain_at(&[&all], time(good)).is_ok(), "{good}");
    }
    let early = chain_at(&[&all], time("2025-12-31T23:59:59Z")).err().unwrap();
    assert!(matches!(early, CertificateError::NotYet { .. }), "{early}");
    assert!(early.to_string().contains("Is the clock right?"), "{early}");
    let late = chain_at(&[&all], time("2027-01-01T00:00:01Z")).err().unwrap();
    assert!(matches!(late, CertificateError::Expired { .. }), "{late}");
    assert!(late.to_string().contains("CN=Example endorsements"), "{late}");
    // The last is looked at as well, though it is believed.
    let late = chain_at(&[&certificates.intermediate], time("2040-01-01T00:00:01Z")).err().unwrap();
    assert!(matches!(late, CertificateError::Expired { .. }), "{late}");
}

#[test]
fn a_certificate_that_may_not_sign_is_refused() {
    let of = |change: fn(&mut CertificateParams)| {
        let error = chain(&[&Certificates::new(change).chain()]).err().unwrap();
        assert!(matches!(error, CertificateError::Use { .. }), "{error}");
        error.to_string()
    };
    let said = of(|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement]);
    assert!(said.contains("not for digital signatures"), "{said}");
    let said = of(|params| params.is_ca = authority("x").is_ca);
    assert!(said.contains("certificate authority"), "{said}");
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let error = chain(&[&Certificates::with_key(&p384, |_| ()).chain()]).err().unwrap();
    assert!(error.to_string().contains("curve P-256"), "{error}");
    // Without key usage, and with any purpose, it may.
    let any = Certificates::new(|params| {
        params.key_usages = Vec::new();
        params.is_ca = IsCa::ExplicitNoCa;
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::CodeSigning];
    });
    assert!(chain(&[&any.chain()]).is_ok());
}

#[test]
fn a_self_signed_certificate_stands_alone() {
    let pair = KeyPair::generate().unwrap();
    let mut own = params("Alone");
    own.distinguished_name.push(DnType::CountryName, "NO");
    let certificate = own.self_signed(&pair).unwrap();
    let chain = chain(&[&certificate.pem()]).unwrap();
    let key = open_key(&pair.serialize_pem()).unwrap();
    assert!(Signer::new(key, chain, SignerName::default()).is_ok());
}

#[test]
fn files_without_certificates_are_named() {
    let certificates = Certificates::new(|_| ());
    let error = chain(&[&certificates.leaf, "no certificate"]).err().unwrap();
    assert!(matches!(&error, CertificateError::None(path) if path.ends_with("1.pem")), "{error}");
    let damaged = format!(
        "{}-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        certificates.leaf
    );
    let error = chain(&[&damaged]).err().unwrap();
    assert!(matches!(&error, CertificateError::Unreadable { number: 2, .. }), "{error}");
    let error = Chain::read(&[PathBuf::from("/no/such/file")], now()).err().unwrap();
    assert!(matches!(error, CertificateError::Io(..)), "{error}");
    assert!(matches!(Chain::read(&[], now()), Err(CertificateError::None(_))));
}

#[test]
fn endorsements_are_not_valid_for_longer_than_the_certificates() {
    let certificates = Certificates::new(|_| ());
    let signer = |until: &str| {
        let chain = chain(&[&certificates.chain()]).unwrap();
        let name = SignerName { until: Some(time(until)), ..SignerName::default() };
        Signer::new(open_key(&certificates.key).unwrap(), chain, name)
    };
    assert!(signer("2040-01-01T00:00:00Z").is_ok());
    for wrong in ["2040-01-01T00:00:01Z", "2020-01-01T00:00:00Z", "1999-01-01T00:00:00Z"] {
        let error = signer(wrong).err().unwrap();
        assert!(matches!(error, SignError::Validity { .. }), "{error}");
    }
}

#[test]
fn a_signer_has_an_absolute_uri() {
    let certificates = Certificates::new(|_| ());
    let signer = |uri: &str| {
        let chain = chain(&[&certificates.chain()]).unwrap();
        let name = SignerName { uri: Some(uri.into()), ..SignerName::default() };
        Signer::new(open_key(&certificates.key).unwrap(), chain, name)
    };
    for good in ["https://example.com", "urn:example:line-2", "tag:example.com,2026:x"] {
        assert!(signer(good).is_ok(), "{good}");
    }
    for bad in ["", "example.com", "://x", "https:", "https://a b", "1x:y", "https://\u{1b}[2J"] {
        let error = signer(bad).err().unwrap();
        assert!(matches!(error, SignError::Uri(_)), "{error}");
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }
}

/// A station in a folder of its own, with two parts, a key and its certificates.
struct Station(TempDir);

impl Station {
    fn new() -> Self {
        let station = Self(tempfile::tempdir().unwrap());
        let output = station.start(&["provision", "--simulate", "2"]);
        assert!(output.status.success(), "{output:?}");
        Certificates::new(|_| ()).write(station.path());
        station
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn start(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_station"))
            .args(arguments)
            .current_dir(self.path())
            .output()
            .unwrap()
    }

    fn export(&self, arguments: &[&str]) -> Output {
        self.start(&[&["export", "--profile", "psa-2025"], arguments].concat())
    }

    /// What a command says that is not carried out and writes nothing.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.export(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(!self.path().join("endorsements").exists());
        String::from_utf8(output.stderr).unwrap()
    }
}

const SIGNED: [&str; 4] = ["--sign-key", "key.pem", "--cert-chain", "chain.pem"];

#[test]
fn a_station_exports_signed_endorsements() {
    let station = Station::new();
    let output = station.export(&SIGNED);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let folder = station.path().join("endorsements");
    let bytes = fs::read(folder.join("endorsements.cose")).unwrap();
    let expected =
        format!("2 parts as psa-2025 in endorsements: endorsements.cose ({} bytes)", bytes.len());
    assert!(said.starts_with(&expected), "{said}");
    assert!(!folder.join("endorsements.cbor").exists());
    let pem = fs::read_to_string(station.path().join("key.pem")).unwrap();
    let key = p256::SecretKey::from_pkcs8_pem(&pem).unwrap().public_key();
    verify(&CoseSign1::from_tagged_slice(&bytes).unwrap(), &key.into());

    // An unsigned one in its place leaves nothing of it.
    let output = station.export(&["--overwrite", "--json"]);
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(line["files"][0]["is_signed"], false);
    assert!(!folder.join("endorsements.cose").exists());
    let output = station.export(&[&SIGNED[..], &["--overwrite", "--json"]].concat());
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(line["files"][0]["is_signed"], true);
    assert_eq!(line["files"][0]["endorsements"], "endorsements.cose");
    assert!(!folder.join("endorsements.cbor").exists());
}

#[test]
fn what_cannot_be_signed_is_not_exported() {
    let station = Station::new();
    let said = station.refused(&["--sign-key", "key.pem"]);
    assert!(said.contains("--cert-chain"), "{said}");
    let said = station.refused(&["--cert-chain", "chain.pem"]);
    assert!(said.contains("--sign-key"), "{said}");
    let said = station.refused(&[&SIGNED[..], &["--signer-uri", "nowhere"]].concat());
    assert!(said.contains("is not the URI of a signer"), "{said}");
    let said = station.refused(&[&SIGNED[..], &["--valid-until", "2050-01-01T00:00Z"]].concat());
    assert!(said.contains("cannot be valid until"), "{said}");
    let other = Certificates::new(|_| ());
    secret(station.path(), "key.pem", &other.key);
    let said = station.refused(&SIGNED);
    assert!(said.contains("not that of the certificate"), "{said}");
    #[cfg(unix)]
    {
        set_rights(&station.path().join("key.pem"), 0o644);
        let said = station.refused(&SIGNED);
        assert!(said.contains("chmod 600"), "{said}");
    }
}
