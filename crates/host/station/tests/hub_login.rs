// SPDX-License-Identifier: Apache-2.0

//! How a station logs in at the hub: TLS, whose certificate is always checked, and passwords, which nobody else reads.
#![cfg(unix)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::postgres::{HOST, Server, TestHub};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use station::hub::{Config, Hub, HubError, Kind};

/// A hub with a role that has a password, and the file of it.
fn hub(server: Arc<Server>) -> (TestHub, String, PathBuf) {
    let hub = TestHub::on(server);
    let (role, file) = (hub.role("line-1"), hub.folder.path().join("password"));
    let mut owner = Hub::connect(&hub.config(&hub.owner())).unwrap();
    owner.enroll(&role, Kind::Station([1; 32]), Some(&file)).unwrap();
    (hub, role, file)
}

fn url(hub: &TestHub, role: &str, host: &str) -> Config {
    Config::new(&format!("postgres://{role}@{host}:{}/{}", hub.server.port, hub.database)).unwrap()
}

#[track_caller]
fn refused(config: &Config) -> (HubError, String) {
    let error = Hub::connect(config).err().expect("it is let in");
    let text = error.to_string();
    (error, text)
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_certificate_is_believed_that_the_named_authority_has_signed_for_this_host() {
    let (hub, role, password) = hub(Arc::new(Server::start()));
    let good = url(&hub, &role, HOST).with_ca(hub.server.ca()).with_password_file(password.clone());
    let mut connected = Hub::connect(&good).unwrap();
    connected.status().unwrap();
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND usename = ";
    assert_eq!(hub.sql(&format!("{encrypted}'{role}'")), "1");
    // Another host's name.
    let (error, text) = refused(
        &url(&hub, &role, "127.0.0.1")
            .with_ca(hub.server.ca())
            .with_password_file(password.clone()),
    );
    assert!(matches!(error, HubError::Certificate(..)), "{text}");
    assert!(text.contains("not valid for name"), "{text}");
    assert!(text.contains("Check the name of the hub"), "{text}");
    // Another authority, of the same name and of another.
    let file = hub.folder.path().join("other.pem");
    for name in [None, Some("another")] {
        let mut other = CertificateParams::new(Vec::new()).unwrap();
        other.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        if let Some(name) = name {
            other.distinguished_name.push(DnType::CommonName, name);
        }
        let other = other.self_signed(&KeyPair::generate().unwrap()).unwrap();
        fs::write(&file, other.pem()).unwrap();
        let config = url(&hub, &role, HOST).with_ca(file.clone());
        let (error, text) = refused(&config.with_password_file(password.clone()));
        assert!(matches!(error, HubError::Certificate(..)), "{text}");
        assert!(text.contains("the authority that was named has not signed it"), "{text}");
        assert!(!error.is_transient());
    }
    // No certificates at all.
    for (content, why) in
        [("", "there is no certificate in it"), ("-----BEGIN CERTIFICATE-----\nAA\n", "PEM")]
    {
        fs::write(&file, content).unwrap();
        let (error, text) = refused(&url(&hub, &role, HOST).with_ca(file.clone()));
        assert!(matches!(error, HubError::Ca(..)), "{text}");
        assert!(text.contains(why), "{text}");
    }
    let (error, _) = refused(&url(&hub, &role, HOST).with_ca(hub.folder.path().join("none")));
    assert!(matches!(error, HubError::Ca(..)), "{error}");
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_server_that_does_not_encrypt_gets_nothing() {
    let server = Server::start_in(tempfile::tempdir().unwrap(), "ssl = off");
    let ca = server.ca();
    let (hub, role, password) = hub(Arc::new(server));
    let (error, text) =
        refused(&url(&hub, &role, HOST).with_ca(ca).with_password_file(password.clone()));
    assert!(matches!(error, HubError::NoTls(_)), "{text}");
    assert!(text.contains("Nothing was sent"), "{text}");
    // On this machine it may be so, where no authority is named.
    Hub::connect(&url(&hub, &role, HOST).with_password_file(password)).unwrap();
}

/// Without a server: nothing is sent anywhere.
#[test]
fn another_machine_is_not_spoken_to_without_an_authority() {
    for host in ["hub.example", "192.0.2.1", "localhost.example", "[2001:db8::1]"] {
        for mode in ["", "?sslmode=disable", "?sslmode=prefer", "?sslmode=require"] {
            let config = Config::new(&format!("postgres://line-1@{host}/hub{mode}")).unwrap();
            let (error, text) = refused(&config);
            assert!(matches!(error, HubError::NoCa(_)), "{host}{mode}: {text}");
            assert!(text.contains("Name the certificate of the authority"), "{text}");
        }
    }
    let config = Config::new("host=localhost hostaddr=192.0.2.1 user=line-1 dbname=hub").unwrap();
    assert!(matches!(refused(&config).0, HubError::NoCa(_)));
    let config = Config::new("postgres://line-1@localhost/hub?sslmode=require").unwrap();
    assert!(matches!(refused(&config).0, HubError::NoCa(_)));
    let config = Config::new("postgres://line-1@hub.example/hub?sslmode=disable").unwrap();
    assert!(matches!(refused(&config.with_ca("ca.pem".into())).0, HubError::TlsDisabled));
}

#[test]
fn a_hub_has_a_role_and_a_database_and_no_password() {
    for (url, why) in [
        ("postgres://hub.example/hub", "it has no role"),
        ("postgres://line-1@hub.example", "it has no database"),
        ("user=line-1 dbname=hub", "it has no host"),
        ("hub.example", "Write postgres://ROLE@HOST/DATABASE"),
    ] {
        let text = Config::new(url).err().unwrap().to_string();
        assert!(text.contains(why), "{url}: {text}");
    }
    for url in
        ["postgres://line-1:geheim@hub.example/hub", "host=h user=u dbname=d password=geheim"]
    {
        let error = Config::new(url).err().unwrap();
        assert!(matches!(error, HubError::PasswordInUrl));
        assert!(!error.to_string().contains("geheim"), "{error}");
    }
}

fn password_file(folder: &Path, content: &str, mode: u32) -> PathBuf {
    let file = folder.join("a.password");
    fs::write(&file, content).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    file
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_password_comes_from_a_file_that_nobody_else_can_read() {
    let (hub, role, file) = hub(Arc::new(Server::start()));
    let here = || url(&hub, &role, HOST);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let password = fs::read_to_string(&file).unwrap();
    assert_eq!(password.trim().len(), 43, "32 random bytes");
    Hub::connect(&here().with_password_file(file.clone())).unwrap();
    // The server has only what checks it, and never saw it.
    let kept = hub.sql(&format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'"));
    assert!(kept.starts_with("SCRAM-SHA-256$"), "{kept}");
    assert!(!hub.server.log().contains(password.trim()));
    let folder = hub.folder.path();
    for mode in [0o640, 0o604, 0o620, 0o666] {
        let (error, text) =
            refused(&here().with_password_file(password_file(folder, &password, mode)));
        assert!(matches!(error, HubError::PasswordFile(..)), "{text}");
        assert!(text.contains("chmod 600"), "{text}");
    }
    let (error, text) = refused(&here().with_password_file(password_file(folder, "\n", 0o600)));
    assert!(matches!(error, HubError::PasswordFile(..)), "{text}");
    let (error, text) = refused(&here().with_password_file(folder.join("none")));
    assert!(matches!(error, HubError::PasswordFile(..)), "{text}");
    let (error, text) =
        refused(&here().with_password_file(password_file(folder, "wrong\n", 0o600)));
    assert!(matches!(error, HubError::Login(..)), "{text}");
    assert!(text.contains("password_file in the station file"), "{text}");
    assert!(!error.is_transient());
    let windows = password_file(folder, &format!("{}\r\n", password.trim()), 0o600);
    Hub::connect(&here().with_password_file(windows)).unwrap();
    // Once enrolled, a password file is not written over.
    let mut owner = Hub::connect(&hub.config(&hub.owner())).unwrap();
    let again = owner.enroll(&role, Kind::Station([1; 32]), Some(&file));
    assert!(matches!(again, Err(HubError::Io(..))), "{again:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), password);
    // A new one takes the place of the old one.
    let new = folder.join("new.password");
    assert!(!owner.enroll(&role, Kind::Station([1; 32]), Some(&new)).unwrap().is_new);
    Hub::connect(&here().with_password_file(new)).unwrap();
    assert!(matches!(refused(&here().with_password_file(file)).0, HubError::Login(..)));
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_role_is_enrolled_as_what_it_is_and_nothing_else() {
    let hub = TestHub::new();
    let mut owner = Hub::connect(&hub.config(&hub.owner())).unwrap();
    let key = Kind::Station([1; 32]);
    let long = "x".repeat(64);
    for name in [
        "",
        "Line",
        "line 1",
        "li\"ne",
        "li'ne",
        "hub_station",
        "pg_x",
        "postgres",
        "public",
        "ü",
        &long,
    ] {
        let error = owner.enroll(name, key, None).unwrap_err();
        assert!(matches!(error, HubError::Enrol(_)), "{name}: {error}");
    }
    // One that no rule holds for.
    let (admin, member) = (hub.role("admin"), hub.role("member"));
    hub.sql(&format!("CREATE ROLE \"{admin}\" LOGIN SUPERUSER; CREATE ROLE \"{member}\" LOGIN; GRANT {} TO \"{member}\"", hub.owner()));
    for name in [&admin, &member] {
        let error = owner.enroll(name, key, None).unwrap_err();
        assert!(error.to_string().contains("may do anything at the hub"), "{error}");
    }
    // A key is one station's; a failed enrolment leaves nothing.
    let (one, two) = (hub.role("line-1"), hub.role("line-2"));
    assert!(owner.enroll(&one, key, None).unwrap().is_new);
    assert!(!owner.enroll(&one, key, None).unwrap().is_new);
    let file = hub.folder.path().join("password");
    let error = owner.enroll(&two, key, Some(&file)).unwrap_err();
    assert!(error.to_string().contains(&format!("is that of the station {one}")), "{error}");
    assert!(!file.exists());
    assert_eq!(hub.sql(&format!("SELECT count(*) FROM pg_roles WHERE rolname = '{two}'")), "0");
    // A second key of the same station is taken.
    owner.enroll(&one, Kind::Station([2; 32]), None).unwrap();
    // A station enrolls nobody.
    let mut station = Hub::connect(&hub.config(&one)).unwrap();
    let error = station.enroll(&two, Kind::Station([3; 32]), None).unwrap_err();
    assert!(matches!(error, HubError::Right(..)), "{error}");
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_database_that_is_no_hub_or_of_another_version_is_named() {
    let hub = TestHub::new();
    let owner = hub.config(&hub.owner());
    // There is nothing to be done twice.
    assert_eq!(Hub::init(&owner).unwrap(), 0);
    let elsewhere =
        hub.url(&hub.owner()).replace(&format!("dbname={}", hub.database), "dbname=postgres");
    let (error, text) = refused(&Config::new(&elsewhere).unwrap());
    assert!(matches!(error, HubError::NotAHub(_)), "{text}");
    let nowhere = hub.url(&hub.owner()).replace("dbname=", "dbname=no");
    assert!(matches!(refused(&Config::new(&nowhere).unwrap()).0, HubError::Login(..)));
    // One who owns no database makes no hub there.
    let error = Hub::init(&Config::new(&elsewhere).unwrap()).unwrap_err();
    assert!(matches!(error, HubError::Right(..)), "{error}");
    hub.sql("UPDATE hub.refinery_schema_history SET version = 2");
    let (error, text) = refused(&owner);
    assert!(matches!(error, HubError::Version(_, 2)), "{text}");
    assert!(text.contains("Install the program that the other stations have"), "{text}");
}
