// SPDX-License-Identifier: Apache-2.0

//! `station submit`: what the ledger says that a verifier has is what the verifier has, whatever happens between.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use common::certificates::{Certificates, secret};
use common::verifier::{Fault, Settings, Verifier, answer, failed, parts};
use tempfile::TempDir;

/// A station in a folder of its own.
struct Station(TempDir);

impl Station {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with_parts(count: u32) -> Self {
        let station = Self::new();
        station.provision(count);
        station
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn provision(&self, count: u32) {
        let output = self.run(&["provision", "--simulate", &count.to_string()]);
        assert!(output.status.success(), "{output:?}");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_station"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn submit(&self, verifier: &Verifier, arguments: &[&str]) -> Output {
        self.run(&submit(&verifier.url(), arguments))
    }

    /// What it says on standard error of what is not taken.
    #[track_caller]
    fn refused(&self, verifier: &Verifier, arguments: &[&str]) -> String {
        let output = self.submit(verifier, arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    #[track_caller]
    fn taken(&self, verifier: &Verifier, arguments: &[&str]) -> String {
        let output = self.submit(verifier, arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// How many entries there are behind those that the ledger says the verifier has.
    fn not_given(&self) -> usize {
        let export =
            ["export", "--profile", "psa-2025", "--for", "acme", "--json", "--output", "x"];
        // In a copy, since an export that goes well is kept.
        let copy = tempfile::tempdir().unwrap();
        for file in fs::read_dir(self.path()).unwrap().map(|file| file.unwrap().path()) {
            if file.is_file() {
                fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
            }
        }
        let output = self.command(&export).current_dir(copy.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let line = String::from_utf8(output.stdout).unwrap();
        match line.lines().next() {
            None => 0,
            Some(line) => {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                usize::try_from(line["parts"].as_u64().unwrap()).unwrap()
            }
        }
    }

    /// The files of the only outbox, but for its lock.
    fn outbox(&self) -> Vec<String> {
        let mut names = Vec::new();
        for folder in fs::read_dir(self.path().join("ledger.db-outbox")).unwrap() {
            for file in fs::read_dir(folder.unwrap().path()).unwrap() {
                names.push(file.unwrap().file_name().into_string().unwrap());
            }
        }
        names.retain(|name| name != "lock");
        names.sort();
        names
    }

    fn folder_of_outbox(&self) -> PathBuf {
        let mut folders = fs::read_dir(self.path().join("ledger.db-outbox")).unwrap();
        folders.next().unwrap().unwrap().path()
    }
}

/// The arguments of a submission to the verifier called acme.
fn submit<'a>(url: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    let begin = ["submit", "--verifier", url, "--for", "acme", "--profile", "psa-2025"];
    [&begin[..], arguments].concat()
}

/// So many parts, each once.
#[track_caller]
fn has_each_once(verifier: &Verifier, count: usize) {
    let mut parts = parts(verifier);
    assert_eq!(parts.len(), count);
    parts.sort();
    parts.dedup();
    assert_eq!(parts.len(), count, "a part is there twice");
}

/// That what was given to a verifier is not known.
const IS_KEPT: &str = "give the same command again";

#[test]
fn a_verifier_is_given_each_part_once() {
    let station = Station::with_parts(3);
    let verifier = Verifier::new();
    let said = station.taken(&verifier, &[]);
    assert!(said.contains("endorsements.cbor (") && said.contains("): taken"), "{said}");
    has_each_once(&verifier, 3);
    assert_eq!((station.not_given(), station.outbox()), (0, vec![]));
    let said = station.taken(&verifier, &[]);
    assert!(said.contains("acme has everything"), "{said}");
    assert_eq!(verifier.requests().len(), 1);

    station.provision(2);
    let output = station.submit(&verifier, &["--json"]);
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&line["file"], &line["taken"]), (&"endorsements.cbor".into(), &"now".into()));
    assert!(line["id"].as_str().unwrap().starts_with("ledger-"));
    assert_eq!(line["bytes"].as_u64().unwrap(), verifier.taken()[1].len() as u64);
    has_each_once(&verifier, 5);
    // The ledger is still whole, and shows who has what.
    assert!(station.run(&["audit"]).status.success());
    // Another verifier has nothing of it.
    let other = Verifier::new();
    let url = other.url();
    let arguments = ["submit", "--verifier", &url, "--for", "other", "--profile", "psa-2025"];
    assert!(station.run(&arguments).status.success());
    has_each_once(&other, 5);
}

#[test]
fn what_is_refused_is_not_given() {
    let station = Station::with_parts(2);
    let verifier = Verifier::new();
    verifier.has([
        failed("no\u{1b}[2J way\u{202e}"),
        answer(404, &[], ""),
        answer(401, &[], r#"{"detail": "invalid token"}"#),
        answer(302, &[("Location", "https://elsewhere.example")], ""),
    ]);
    for says in ["no?[2J way?", "Is this the address", "--token-file", "https://elsewhere.example"]
    {
        let said = station.refused(&verifier, &[]);
        assert!(said.contains(says), "{said}");
        assert!(said.contains("The verifier has nothing of this"), "{said}");
        assert!(!said.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{said:?}");
        assert_eq!((station.not_given(), station.outbox()), (2, vec![]));
    }
    // Nothing is left of it: another profile is no other bytes of the same.
    let old = "application/corim-unsigned+cbor; profile=\"http://arm.com/psa/iot/1\"";
    let older = Verifier::with(Settings { media_types: vec![old.into()], ..Settings::default() });
    let said = station.refused(&older, &[]);
    assert!(said.contains("http://arm.com/psa/iot/1"), "{said}");
    let url = older.url();
    let arguments = ["submit", "--verifier", &url, "--for", "acme", "--profile", "psa-iot-1"];
    let output = station.run(&arguments);
    assert!(output.status.success(), "{output:?}");
    has_each_once(&older, 2);
    assert_eq!(station.not_given(), 0);
}

/// What is not known is sent again as it was, before anything else, though there are new parts, another signer, and
/// other options by then.
#[test]
fn what_may_have_been_taken_is_sent_again_as_it_was() {
    for is_taken in [true, false] {
        let station = Station::with_parts(2);
        Certificates::new(|_| ()).write(station.path());
        let signed = ["--sign-key", "key.pem", "--cert-chain", "chain.pem"];
        let verifier = Verifier::new();
        verifier.has([0, 60, 100].map(|after| Fault::Close { is_taken, after }));
        let said = station.refused(&verifier, &signed);
        assert!(said.contains(IS_KEPT) && said.contains("entries 1 to 2"), "{said}");
        assert!(said.contains("ledger.db-outbox"), "{said}");
        assert_eq!(verifier.taken().len(), usize::from(is_taken));
        assert_eq!(station.not_given(), 2);
        let kept = ["comid.json", "corim.json", "endorsements.cose", "submission.json"];
        assert_eq!(station.outbox(), kept);

        let export = station.run(&["export", "--profile", "psa-2025", "--for", "acme"]);
        assert_eq!(export.status.code(), Some(2), "{export:?}");
        let said = String::from_utf8(export.stderr).unwrap();
        assert!(said.contains("entries 1 to 2") && said.contains("station submit"), "{said}");
        assert!(!station.path().join("endorsements").exists());

        station.provision(3);
        Certificates::new(|_| ()).write(station.path());
        let said = station.taken(&verifier, &[&signed[..], &["--vendor", "ACME"]].concat());
        assert!(said.contains("are sent once more, as they were"), "{said}");
        let first = if is_taken { "taken before" } else { "taken" };
        assert!(said.lines().next().unwrap().ends_with(&format!("bytes): {first}")), "{said}");
        has_each_once(&verifier, 5);
        assert_eq!(verifier.taken().len(), 2);
        // All that was sent of the first two was one thing.
        let bodies: Vec<_> = verifier.requests().into_iter().map(|request| request.body).collect();
        assert!(bodies[..4].iter().all(|body| *body == bodies[0]), "other bytes were sent");
        assert_eq!((station.not_given(), station.outbox()), (0, vec![]));
    }
}

/// The station is killed when the verifier has taken the parts, and has not said so yet.
#[cfg(unix)]
#[test]
fn a_killed_station_gives_no_part_twice() {
    let station = Station::with_parts(2);
    let verifier = Verifier::new();
    let child = Arc::new(Mutex::new(None::<Child>));
    let killed = Arc::clone(&child);
    verifier.has([Fault::TakenThen(Arc::new(move || {
        let mut child = loop {
            // It may not be in its place yet.
            if let Some(child) = killed.lock().unwrap().take() {
                break child;
            }
        };
        child.kill().unwrap();
        child.wait().unwrap();
        *killed.lock().unwrap() = Some(child);
    }))]);
    let url = verifier.url();
    let mut command = station.command(&submit(&url, &[]));
    let started = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    *child.lock().unwrap() = Some(started);
    while verifier.taken().is_empty() || child.lock().unwrap().is_none() {
        std::thread::yield_now();
    }
    assert_eq!(station.not_given(), 2);
    assert_eq!(station.outbox().len(), 4);
    station.provision(1);
    let said = station.taken(&verifier, &[]);
    assert!(said.contains("taken before"), "{said}");
    has_each_once(&verifier, 3);
    assert_eq!((station.not_given(), station.outbox()), (0, vec![]));
}

/// The station is killed when the ledger says that the verifier has the parts, and the outbox is still there.
#[test]
fn what_the_ledger_says_already_is_not_sent_again() {
    let station = Station::with_parts(2);
    let verifier = Verifier::new();
    let copy = tempfile::tempdir().unwrap();
    let (from, to) = (station.path().to_owned(), copy.path().to_owned());
    verifier.has([Fault::Then(Arc::new(move || {
        let folders = fs::read_dir(from.join("ledger.db-outbox")).unwrap();
        for file in fs::read_dir(folders.last().unwrap().unwrap().path()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }))]);
    station.taken(&verifier, &[]);
    for file in fs::read_dir(copy.path()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), station.folder_of_outbox().join(file.file_name())).unwrap();
    }
    assert_eq!(station.outbox().len(), 4);
    let said = station.taken(&verifier, &[]);
    assert!(said.contains("has everything"), "{said}");
    assert_eq!(verifier.requests().len(), 1);
    assert_eq!(station.outbox(), [""; 0]);
}

/// Files are made before `submission.json`, which makes them count.
#[test]
fn what_was_not_begun_is_made_anew() {
    let station = Station::with_parts(1);
    let verifier = Verifier::new();
    verifier.has([failed("not now")]);
    station.refused(&verifier, &[]);
    for name in ["endorsements-1.cbor", "endorsements.cose", "comid.json"] {
        fs::write(station.folder_of_outbox().join(name), "half").unwrap();
    }
    station.provision(1);
    station.taken(&verifier, &[]);
    has_each_once(&verifier, 2);
    assert_eq!(station.outbox(), [""; 0]);
}

#[test]
fn an_export_of_several_files_is_given_when_all_are_taken() {
    let station = Station::with_parts(4);
    let verifier = Verifier::new();
    let nothing = || Fault::Then(Arc::new(|| ()));
    let split = ["--max-bytes", "1000"];
    verifier.has([nothing(), failed("disk full")]);
    let said = station.refused(&verifier, &split);
    // The first is there, so it is not certain that nothing is.
    assert!(said.contains("endorsements-2.cbor: ") && said.contains(IS_KEPT), "{said}");
    assert_eq!(station.not_given(), 4);
    let said = station.taken(&verifier, &split);
    assert!(said.contains("endorsements-1.cbor (") && said.contains("taken before"), "{said}");
    has_each_once(&verifier, 4);
    assert_eq!((station.not_given(), station.outbox()), (0, vec![]));
}

#[test]
fn the_keeper_of_the_verifier_settles_what_is_not_known() {
    let lost = || [0, 60, 100].map(|after| Fault::Close { is_taken: true, after });
    for (settle, left) in [("taken", 0), ("not-taken", 2)] {
        let station = Station::with_parts(2);
        let verifier = Verifier::new();
        verifier.has(lost());
        station.refused(&verifier, &[]);
        // What the station does by itself cannot help: the certificate has expired meanwhile, for example.
        verifier.has([failed("certificate chain verification failed: expired")]);
        let said = station.refused(&verifier, &[]);
        assert!(said.contains(IS_KEPT) && said.contains("--settle"), "{said}");
        let output = station.run(&["submit", "--for", "acme", "--settle", settle]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!((station.not_given(), station.outbox()), (left, vec![]));
        let output = station.run(&["submit", "--for", "acme", "--settle", settle]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

#[test]
fn an_outbox_that_was_changed_is_not_sent() {
    let station = Station::with_parts(2);
    let verifier = Verifier::new();
    verifier.has([0; 3].map(|after| Fault::Close { is_taken: false, after }));
    station.refused(&verifier, &[]);
    let sent = verifier.requests().len();
    let folder = station.folder_of_outbox();
    let [file, state] = ["endorsements.cbor", "submission.json"].map(|name| folder.join(name));
    let (good, good_state) = (fs::read(&file).unwrap(), fs::read_to_string(&state).unwrap());
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    fs::write(&file, bad).unwrap();
    let said = station.refused(&verifier, &[]);
    assert!(said.contains("a file was changed") && said.contains("--settle"), "{said}");
    fs::remove_file(&file).unwrap();
    let said = station.refused(&verifier, &[]);
    assert!(said.contains("endorsements.cbor"), "{said}");
    fs::write(&file, good).unwrap();
    for (from, to) in [
        ("\"acme\"", "\"other\""),
        ("\"endorsements.cbor\"", "\"../../ledger.db\""),
        ("\"first\": 1", "\"first\": 3"),
        ("{", ""),
    ] {
        let changed = good_state.replacen(from, to, 1);
        assert_ne!(changed, good_state);
        fs::write(&state, changed).unwrap();
        let said = station.refused(&verifier, &[]);
        assert!(said.contains("does not hold what was begun"), "{said}");
    }
    // Of another ledger, or of this one before it was restored from a backup.
    fs::write(&state, good_state.replace("\"first\": 1", "\"first\": 2")).unwrap();
    let said = station.refused(&verifier, &[]);
    assert!(said.contains("Restore the ledger"), "{said}");
    assert_eq!(verifier.requests().len(), sent, "something was sent");
    fs::write(&state, good_state).unwrap();
    station.taken(&verifier, &[]);
    has_each_once(&verifier, 2);
}

#[test]
fn two_stations_do_not_submit_to_one_verifier_at_once() {
    let station = Arc::new(Station::with_parts(2));
    let verifier = Verifier::new();
    let (url, other) = (verifier.url(), Arc::clone(&station));
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    verifier.has([Fault::Then(Arc::new(move || {
        let export = ["export", "--profile", "psa-2025", "--for", "acme"];
        for arguments in [&submit(&url, &[])[..], &export] {
            let output = other.run(arguments);
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            heard.lock().unwrap().push(String::from_utf8(output.stderr).unwrap());
        }
    }))]);
    station.taken(&verifier, &[]);
    let said = said.lock().unwrap();
    assert_eq!(said.len(), 2);
    assert!(said.iter().all(|said| said.contains("Wait until it has ended")), "{said:?}");
    has_each_once(&verifier, 2);
}

#[test]
fn files_are_sent_as_they_are_and_the_ledger_stays_as_it_is() {
    let station = Station::with_parts(4);
    let output = station.run(&["export", "--profile", "psa-2025", "--max-bytes", "1000"]);
    assert!(output.status.success(), "{output:?}");
    let verifier = Verifier::new();
    let url = verifier.url();
    let mut files: Vec<_> = fs::read_dir(station.path().join("endorsements"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cbor"))
        .map(|path| path.to_str().unwrap().to_owned())
        .collect();
    files.sort();
    assert!(files.len() > 1);
    let arguments: Vec<_> = ["submit", "--verifier", &url]
        .into_iter()
        .chain(files.iter().map(String::as_str))
        .collect();
    let output = station.run(&arguments);
    assert!(output.status.success(), "{output:?}");
    has_each_once(&verifier, 4);
    assert_eq!(station.not_given(), 4);
    assert!(!station.path().join("ledger.db-outbox").exists());

    for (more, says) in [
        (&["--profile", "psa-2025"][..], "cannot be used with"),
        (&["--for", "acme"], "cannot be used with"),
        (&["--vendor", "ACME"], "Export again"),
        (&["ledger.db"], "no endorsements"),
        (&["no-such-file"], "no-such-file"),
    ] {
        let output = station.run(&[&arguments[..], more].concat());
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(says), "{said}");
    }
    let output = station.run(&["submit", "--verifier", &url]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[cfg(unix)]
#[test]
fn a_token_comes_from_a_file_that_nobody_else_can_read() {
    let station = Station::with_parts(1);
    let verifier =
        Verifier::with(Settings { token: Some("abc.def".into()), ..Settings::default() });
    let token = secret(station.path(), "token", "abc.def\n");
    common::certificates::set_rights(&token, 0o644);
    let said = station.refused(&verifier, &["--token-file", "token"]);
    assert!(said.contains("chmod 600"), "{said}");
    common::certificates::set_rights(&token, 0o600);
    let said = station.refused(&verifier, &[]);
    assert!(said.contains("invalid token"), "{said}");
    station.taken(&verifier, &["--token-file", "token"]);
    has_each_once(&verifier, 1);
}

#[test]
fn a_ledger_that_is_not_there_or_not_good_is_not_submitted() {
    let station = Station::new();
    let verifier = Verifier::new();
    let said = station.refused(&verifier, &[]);
    assert!(said.contains("ledger.db"), "{said}");
    assert!(!station.path().join("ledger.db-outbox").exists());
    let station = Station::with_parts(2);
    let output = station.submit(&verifier, &["--head", &"01".repeat(32)]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(verifier.requests().is_empty());
}
