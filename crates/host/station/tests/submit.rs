// SPDX-License-Identifier: Apache-2.0

//! Endorsements to a verifier that behaves as Veraison's sources say, and to one with faults.

mod common;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::certificates::{Certificates, authority, params};
use common::verifier::{Fault, PSA_2025, SESSION, SUBMIT, Settings, Verifier, answer, failed};
use jiff::Timestamp;
use provisioning::ImplementationId;
use rcgen::{CertifiedIssuer, KeyPair, SanType};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use station::export::{
    Chain, DEFAULT_MAX_BYTES, InstanceIds, Options, Profile, Signer, SignerName, SigningKey,
    export, export_signed,
};
use station::submit::{
    Connection, ConnectionError, NotACorim, NotTaken, Submission, SubmitError, Taken,
    Verifier as Client,
};
use station::{DeviceId, Identity};
use zeroize::Zeroizing;

fn endorsements(profile: Profile, parts: u8, signer: Option<&Signer>) -> Vec<u8> {
    let options = Options {
        profile,
        instance_ids: InstanceIds::Both,
        head: [0xA5; 32],
        vendor: None,
        model: None,
        max_bytes: DEFAULT_MAX_BYTES,
    };
    let parts = (1..=parts).map(|number| Identity {
        device_id: DeviceId([number; 8]),
        implementation_id: ImplementationId::from_bytes([0x11; 32]).unwrap(),
        public_key: common::public_key(number),
    });
    let files = match signer {
        Some(signer) => export_signed(&options, signer, parts),
        None => export(&options, parts),
    };
    files.unwrap().remove(0).endorsements
}

fn unsigned() -> Vec<u8> {
    endorsements(Profile::Psa2025, 2, None)
}

fn signer() -> Signer {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::new(|_| ());
    let (key, chain) = certificates.write(folder.path());
    let chain = Chain::read(&[chain], Timestamp::now()).unwrap();
    let key = SigningKey::open(key.to_str().unwrap()).unwrap();
    Signer::new(key, chain, SignerName::default()).unwrap()
}

fn connection(url: &str) -> Connection {
    Connection {
        url: url.to_owned(),
        ca: None,
        token: None,
        timeout: Duration::from_secs(10),
        patience: Duration::from_secs(10),
        pause: Duration::from_millis(10),
    }
}

fn submit(connection: Connection, bytes: &[u8]) -> Result<Taken, NotTaken> {
    Client::new(connection).unwrap().submit(&Submission::read(bytes).unwrap())
}

fn to(verifier: &Verifier, bytes: &[u8]) -> Result<Taken, NotTaken> {
    submit(connection(&verifier.url()), bytes)
}

/// What is said where it is certain that nothing was taken.
#[track_caller]
fn certain(result: Result<Taken, NotTaken>) -> SubmitError {
    let NotTaken { error, is_certain } = result.unwrap_err();
    assert!(is_certain, "{error}");
    error
}

#[track_caller]
fn uncertain(result: Result<Taken, NotTaken>) -> SubmitError {
    let NotTaken { error, is_certain } = result.unwrap_err();
    assert!(!is_certain, "{error}");
    error
}

#[test]
fn endorsements_are_submitted_as_the_api_has_it() {
    let signer = signer();
    for (profile, uri) in [
        (Profile::PsaIot1, "http://arm.com/psa/iot/1"),
        (Profile::Psa2025Text, PSA_2025),
        (Profile::Psa2025, PSA_2025),
    ] {
        for (signer, name) in [(None, "rim+cbor"), (Some(&signer), "rim+cose")] {
            let media_type = format!("application/{name}; profile=\"{uri}\"");
            let verifier = Verifier::with(Settings {
                media_types: vec![media_type.clone()],
                ..Settings::default()
            });
            let bytes = endorsements(profile, 2, signer);
            assert_eq!(to(&verifier, &bytes).unwrap(), Taken::Now);
            let requests = verifier.requests();
            let [request] = &requests[..] else { panic!("{} requests", requests.len()) };
            assert_eq!((&request.method[..], &request.path[..]), ("POST", SUBMIT));
            assert_eq!(request.header("content-type"), Some(&media_type[..]));
            assert_eq!(request.header("accept"), Some(SESSION));
            assert_eq!(request.header("authorization"), None);
            assert_eq!(request.body, bytes);
        }
    }
}

/// veraison/services to v0.0.2602.
#[test]
fn an_older_verifier_has_another_name_for_unsigned_endorsements() {
    let old = "application/corim-unsigned+cbor; profile=\"http://arm.com/psa/iot/1\"";
    let verifier =
        Verifier::with(Settings { media_types: vec![old.into()], ..Settings::default() });
    let bytes = endorsements(Profile::PsaIot1, 1, None);
    assert_eq!(to(&verifier, &bytes).unwrap(), Taken::Now);
    assert_eq!(verifier.requests().len(), 2);
    assert_eq!(verifier.taken(), [bytes]);
}

#[test]
fn a_verifier_of_another_profile_says_what_it_takes() {
    let other = "application/rim+cbor; profile=\"http://arm.com/psa/iot/1\"";
    let verifier =
        Verifier::with(Settings { media_types: vec![other.into()], ..Settings::default() });
    let error = certain(to(&verifier, &unsigned()));
    assert!(matches!(error, SubmitError::MediaType { .. }), "{error}");
    let said = error.to_string();
    assert!(
        said.contains(other) && said.contains(PSA_2025) && said.contains("--profile"),
        "{said}"
    );
    assert_eq!(verifier.requests().len(), 1);
}

/// The refusal comes before the body, and is read though the body was never sent.
#[test]
fn a_refusal_of_a_long_file_is_not_lost() {
    let verifier = Verifier::with(Settings { media_types: vec![], ..Settings::default() });
    let mut bytes = unsigned();
    // A verifier has not looked at it by then.
    let submission = bytes.clone();
    bytes.resize(4 << 20, 0);
    assert!(Submission::read(&submission).is_ok());
    let client = Client::new(connection(&verifier.url())).unwrap();
    let error = certain(client.submit(&Submission::read(&bytes).unwrap()));
    assert!(matches!(error, SubmitError::MediaType { .. }), "{error}");
}

#[test]
fn a_failed_session_is_a_failure_though_the_status_is_200() {
    let verifier = Verifier::new();
    verifier.has([failed("certificate chain verification failed")]);
    let error = certain(to(&verifier, &unsigned()));
    assert!(matches!(&error, SubmitError::Failed(_)), "{error}");
    assert!(error.to_string().contains("certificate chain verification failed"), "{error}");
    assert_eq!(verifier.requests().len(), 1);
    // Without a reason, too.
    let body = r#"{"status": "failed", "expiry": "x"}"#;
    verifier.has([answer(200, &[("Content-Type", SESSION)], body)]);
    assert!(matches!(certain(to(&verifier, &unsigned())), SubmitError::Failed(_)));
}

#[test]
fn what_a_verifier_says_is_shown_harmlessly() {
    let verifier = Verifier::new();
    verifier.has([
        failed("bad\u{1b}[2J\u{202e}\r\nsuccess\u{9b}"),
        answer(
            400,
            &[("Content-Type", "application/problem+json")],
            r#"{"detail":"a\u001b]0;b\u0007"}"#,
        ),
        answer(302, &[("Location", "https://example.com/\u{9b}31m")], ""),
        answer(200, &[("Content-Type", "text/\u{9b}html")], ""),
    ]);
    for _ in 0..4 {
        let said = to(&verifier, &unsigned()).unwrap_err().to_string();
        assert!(!said.contains(|c: char| c.is_control() || c == '\u{202e}'), "{said:?}");
    }
}

#[test]
fn the_same_once_more_is_taken_before() {
    let verifier = Verifier::new();
    let signer = signer();
    for bytes in [unsigned(), endorsements(Profile::Psa2025, 3, Some(&signer))] {
        assert_eq!(to(&verifier, &bytes).unwrap(), Taken::Now);
        assert_eq!(to(&verifier, &bytes).unwrap(), Taken::Before);
    }
    // v0.0.2603 to v0.0.2607 say it in other words.
    verifier.has([failed("submit endorsements failed: already in store (digests match)")]);
    assert_eq!(to(&verifier, &unsigned()).unwrap(), Taken::Before);
    assert_eq!(verifier.taken().len(), 2);
}

/// Signed with another key: a verifier that has the first has these parts, and it is no error to be ignored.
#[test]
fn other_bytes_of_the_same_parts_are_neither_taken_nor_refused() {
    let verifier = Verifier::new();
    let (first, second) = (signer(), signer());
    to(&verifier, &endorsements(Profile::Psa2025, 3, Some(&first))).unwrap();
    let error = uncertain(to(&verifier, &endorsements(Profile::Psa2025, 3, Some(&second))));
    assert!(matches!(error, SubmitError::Other(_)), "{error}");
    verifier.has([failed("already in store but digests differ")]);
    assert!(matches!(uncertain(to(&verifier, &unsigned())), SubmitError::Other(_)));
}

fn later(looks: Option<usize>, fails: Option<&'static str>) -> Fault {
    Fault::Later { looks, fails, location: None }
}

#[test]
fn a_session_is_followed_until_it_is_over() {
    let verifier = Verifier::new();
    for looks in [0, 1, 5] {
        verifier.has([later(Some(looks), None)]);
        let before = verifier.requests().len();
        assert_eq!(
            to(&verifier, &endorsements(Profile::Psa2025, 1 + u8::try_from(looks).unwrap(), None))
                .unwrap(),
            Taken::Now
        );
        let requests = verifier.requests();
        assert_eq!(requests.len() - before, 1 + looks + 1);
        assert_eq!(requests.last().unwrap().header("accept"), Some(SESSION));
    }
    verifier.has([later(Some(2), Some("no such profile"))]);
    let error = certain(to(&verifier, &unsigned()));
    assert!(error.to_string().contains("no such profile"), "{error}");
    verifier.has([later(Some(2), Some("token already in store"))]);
    assert_eq!(to(&verifier, &unsigned()).unwrap(), Taken::Before);
}

#[test]
fn a_session_that_is_never_over_is_given_up() {
    let verifier = Verifier::new();
    verifier.has([later(None, None)]);
    let begin = Instant::now();
    let patience = Duration::from_millis(300);
    let error =
        uncertain(submit(Connection { patience, ..connection(&verifier.url()) }, &unsigned()));
    assert!(matches!(error, SubmitError::Stuck(_)), "{error}");
    assert!(begin.elapsed() >= patience);
    assert_eq!(verifier.requests().iter().filter(|request| request.method == "POST").count(), 1);
}

/// The token goes to the verifier alone.
#[test]
fn a_session_elsewhere_is_not_looked_at() {
    let (verifier, elsewhere) = (Verifier::new(), Verifier::new());
    let port = verifier.address.port();
    for location in [
        format!("{}/endorsement-provisioning/v1/session/0", elsewhere.url()),
        format!("//{}/endorsement-provisioning/v1/session/0", elsewhere.address),
        format!("http://127.0.0.1:{port}@{}/x", elsewhere.address),
        String::new(),
        String::from("http://\u{9b}31m"),
    ] {
        verifier.has([Fault::Later {
            looks: Some(0),
            fails: None,
            location: Some(location.clone()),
        }]);
        let error = uncertain(to(&verifier, &unsigned()));
        assert!(matches!(error, SubmitError::NoSession(_)), "{location}: {error}");
        assert!(!error.to_string().contains('\u{9b}'), "{error}");
    }
    assert!(elsewhere.requests().is_empty());
    let absolute = format!("{}/endorsement-provisioning/v1/session/0", verifier.url());
    verifier.has([Fault::Later { looks: Some(0), fails: None, location: Some(absolute) }]);
    assert_eq!(to(&verifier, &endorsements(Profile::Psa2025, 9, None)).unwrap(), Taken::Now);
}

#[test]
fn a_session_that_is_gone_is_no_success() {
    let verifier = Verifier::new();
    let location = Some(String::from("/gone/1"));
    verifier.has([Fault::Later { looks: Some(0), fails: None, location }]);
    let error = uncertain(to(&verifier, &unsigned()));
    assert!(matches!(&error, SubmitError::NoSession(why) if why.contains("404")), "{error}");
}

#[test]
fn a_fault_of_the_verifier_is_tried_again() {
    for status in [500, 502, 503, 504, 408] {
        let verifier = Verifier::new();
        let fault = || answer(status, &[], "<html>");
        verifier.has([fault(), fault()]);
        assert_eq!(to(&verifier, &unsigned()).unwrap(), Taken::Now);
        assert_eq!(verifier.requests().len(), 3);
        verifier.has([fault(), fault(), fault()]);
        let error = uncertain(to(&verifier, &unsigned()));
        assert!(matches!(error, SubmitError::Fault { .. }), "{error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        assert_eq!(verifier.requests().len(), 6);
    }
}

/// The service that keeps the endorsements was lost in the middle.
#[test]
fn services_that_have_lost_each_other_are_no_refusal() {
    let verifier = Verifier::new();
    let lost = || failed("submit endorsements failed: rpc error: code = Unavailable desc = EOF");
    verifier.has([lost(), lost(), lost()]);
    let error = uncertain(to(&verifier, &unsigned()));
    assert!(matches!(error, SubmitError::Lost(_)), "{error}");
    verifier.has([lost()]);
    assert_eq!(to(&verifier, &unsigned()).unwrap(), Taken::Now);
}

#[test]
fn refusals_are_final_and_say_what_to_do() {
    for (status, says) in [
        (400, "empty body"),
        (401, "--token-file"),
        (403, "--token-file"),
        (404, "Is this the address"),
        (405, "Is this the address"),
        (406, "406"),
        (413, "--max-bytes"),
        (429, "Try again later"),
    ] {
        let verifier = Verifier::new();
        verifier.has([answer(status, &[], r#"{"detail":"empty body"}"#)]);
        let error = certain(to(&verifier, &unsigned()));
        assert!(matches!(error, SubmitError::Refused { .. }), "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(verifier.requests().len(), 1);
    }
    // Another path than the API's: the real 404.
    let verifier = Verifier::new();
    let error = certain(submit(connection(&format!("{}/elsewhere", verifier.url())), &unsigned()));
    assert!(error.to_string().contains("Is this the address"), "{error}");
}

/// Whatever came of it, what the second try says is not all that is known.
#[test]
fn a_refusal_after_a_lost_answer_is_not_certain() {
    let verifier = Verifier::new();
    verifier.has([Fault::Close { is_taken: true, after: 0 }, answer(403, &[], "")]);
    let error = uncertain(to(&verifier, &unsigned()));
    assert!(matches!(error, SubmitError::Refused { .. }), "{error}");
}

#[test]
fn a_lost_answer_costs_nothing() {
    for after in [0, 1, 20, 60, 100, 160, 200] {
        for is_taken in [false, true] {
            let verifier = Verifier::new();
            verifier.has([Fault::Close { is_taken, after }]);
            let taken = to(&verifier, &unsigned()).unwrap();
            assert_eq!(taken, if is_taken { Taken::Before } else { Taken::Now }, "{after}");
            assert_eq!(verifier.taken(), [unsigned()]);
            assert_eq!(verifier.requests().len(), 2);
        }
    }
    let verifier = Verifier::new();
    verifier.has([0, 60, 100].map(|after| Fault::Close { is_taken: true, after }));
    let error = uncertain(to(&verifier, &unsigned()));
    assert!(matches!(error, SubmitError::NoAnswer(_)), "{error}");
    assert_eq!(to(&verifier, &unsigned()).unwrap(), Taken::Before);
}

#[test]
fn an_answer_that_never_ends_is_ended() {
    let verifier = Verifier::new();
    verifier.has([Fault::Endless]);
    let error = uncertain(to(&verifier, &unsigned()));
    assert!(matches!(error, SubmitError::NotASession { .. }), "{error}");
    for fault in [Fault::Trickle, Fault::Silent] {
        verifier.has([fault.clone(), fault.clone(), fault]);
        let timeout = Duration::from_millis(300);
        let begin = Instant::now();
        let error =
            uncertain(submit(Connection { timeout, ..connection(&verifier.url()) }, &unsigned()));
        assert!(matches!(error, SubmitError::NoAnswer(_)), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    }
}

#[test]
fn a_redirection_is_not_followed() {
    let (verifier, elsewhere) = (Verifier::new(), Verifier::new());
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}{SUBMIT}", elsewhere.url());
        verifier.has([answer(status, &[("Location", &location)], "")]);
        let error = certain(to(&verifier, &unsigned()));
        assert!(matches!(error, SubmitError::Moved { .. }), "{error}");
        assert!(error.to_string().contains(&location), "{error}");
    }
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn what_is_no_session_is_no_success() {
    for (status, media_type, body) in [
        (200, "text/html", "<html>Welcome</html>"),
        (200, "application/json", r#"{"status": "success"}"#),
        (200, SESSION, ""),
        (200, SESSION, "success"),
        (200, SESSION, r#"{"status": "done"}"#),
        (200, SESSION, r#"{"expiry": "x"}"#),
        (202, SESSION, r#"{"status": "success"}"#),
        (204, SESSION, ""),
        (201, "text/html", ""),
    ] {
        let verifier = Verifier::new();
        verifier.has([answer(status, &[("Content-Type", media_type)], body)]);
        let error = uncertain(to(&verifier, &unsigned()));
        assert!(matches!(error, SubmitError::NotASession { .. }), "{error}");
        assert!(error.to_string().contains("Is the address right?"), "{error}");
    }
    // Parameters change nothing.
    let verifier = Verifier::new();
    let media_type = format!("{SESSION}; charset=utf-8");
    verifier.has([answer(200, &[("Content-Type", &media_type)], r#"{"status": "success"}"#)]);
    assert_eq!(to(&verifier, &unsigned()).unwrap(), Taken::Now);
}

#[test]
fn a_verifier_that_is_not_there_has_certainly_taken_nothing() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = certain(submit(connection(&format!("http://127.0.0.1:{port}")), &unsigned()));
    assert!(matches!(error, SubmitError::Unreachable(_)), "{error}");
    let error = certain(submit(connection("https://no-such-host.invalid"), &unsigned()));
    assert!(matches!(error, SubmitError::Unreachable(_)), "{error}");
}

#[test]
fn a_token_is_sent_and_asked_for() {
    let settings = || Settings { token: Some("abc.DEF-1~2+3/4=".into()), ..Settings::default() };
    let with = |verifier: &Verifier, token: &str| {
        let token = Some(Zeroizing::new(token.to_owned()));
        submit(Connection { token, ..connection(&verifier.url()) }, &unsigned())
    };
    let verifier = Verifier::with(settings());
    verifier.has([later(Some(1), None)]);
    assert_eq!(with(&verifier, "abc.DEF-1~2+3/4=").unwrap(), Taken::Now);
    let sent =
        |request: &common::verifier::Request| request.header("authorization").unwrap().to_owned();
    assert_eq!(
        verifier.requests().iter().map(sent).collect::<Vec<_>>(),
        ["Bearer abc.DEF-1~2+3/4="; 3]
    );
    for error in [to(&verifier, &unsigned()), with(&verifier, "other")] {
        let error = certain(error);
        assert!(error.to_string().contains("401"), "{error}");
        assert!(error.to_string().contains("invalid token"), "{error}");
    }
    for bad in ["", "a b", "a\r\nX: y", "é"] {
        let token = Some(Zeroizing::new(bad.to_owned()));
        let error = Client::new(Connection { token, ..connection("https://a") }).err().unwrap();
        assert!(matches!(error, ConnectionError::Token), "{error}");
    }
}

/// A verifier with a certificate for this name, and who has issued it.
fn with_tls(name: SanType) -> (Verifier, String) {
    let root =
        CertifiedIssuer::self_signed(authority("TLS root"), KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = params("Verifier");
    params.subject_alt_names = vec![name];
    let certificate = params.signed_by(&key, &root).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let settings = Settings { tls: Some(Arc::new(config)), ..Settings::default() };
    (Verifier::with(settings), root.pem())
}

#[test]
fn the_certificate_of_a_verifier_is_verified() {
    let loopback = SanType::IpAddress("127.0.0.1".parse().unwrap());
    let (verifier, root) = with_tls(loopback.clone());
    let trusting = |verifier: &Verifier, ca: Option<&str>| {
        let ca = ca.map(|pem| pem.as_bytes().to_vec());
        submit(Connection { ca, ..connection(&verifier.url()) }, &unsigned())
    };
    assert_eq!(trusting(&verifier, Some(&root)).unwrap(), Taken::Now);
    let (other, _) = with_tls(loopback);
    let (elsewhere, its_root) = with_tls(SanType::DnsName("veraison.example".try_into().unwrap()));
    for (verifier, ca) in [
        (&verifier, None), // what the system trusts
        (&other, Some(&root[..])),
        (&elsewhere, Some(&its_root)),
    ] {
        let error = certain(trusting(verifier, ca));
        assert!(matches!(error, SubmitError::Unreachable(_)), "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    assert!(other.requests().is_empty() && elsewhere.requests().is_empty());
    for ca in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"]
    {
        let ca = Some(ca.as_bytes().to_vec());
        let error = Client::new(Connection { ca, ..connection("https://a") }).err().unwrap();
        assert!(matches!(error, ConnectionError::NoCa), "{error}");
    }
}

#[test]
fn endorsements_go_nowhere_without_protection() {
    for url in ["http://veraison.example", "http://192.0.2.1:9443", "veraison.example"] {
        let error = Client::new(connection(url)).err().unwrap();
        assert!(matches!(error, ConnectionError::Address(_)), "{error}");
    }
    let error = Client::new(connection("https://me:secret@veraison.example")).err().unwrap();
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn only_endorsements_are_submitted() {
    let signed = endorsements(Profile::Psa2025, 1, Some(&signer()));
    for bytes in [unsigned(), signed] {
        let whole = Submission::read(&bytes).unwrap();
        assert!(whole.id().starts_with("ledger-a5a5"), "{}", whole.id());
        for length in 0..bytes.len().min(300) {
            assert!(Submission::read(&bytes[..length]).is_err(), "{length}");
        }
    }
    for other in [&b""[..], b"{}", b"\xA0", b"\xD9\x01\xF5\x00", b"\xD2\x84\x00"] {
        assert!(matches!(Submission::read(other), Err(NotACorim::Form(_))), "{other:?}");
    }
    // {0: "a"}, {0: "a", 3: 111(h'01')}, {3: "a\"b"}: no profile that a media type could have.
    for corim in [&b"\xA1\x00\x61a"[..], b"\xA2\x00\x61a\x03\xD8\x6F\x41\x01", b"\xA1\x03\x63a\"b"]
    {
        let corim = [b"\xD9\x01\xF5", corim].concat();
        assert!(matches!(Submission::read(&corim), Err(NotACorim::Profile)), "{corim:?}");
    }
}
