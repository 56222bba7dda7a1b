// SPDX-License-Identifier: Apache-2.0

//! `station submit --hub`: what the hub says that a verifier has is what the verifier has, whatever happens between, and no
//! part is sent twice, from wherever.
#![cfg(unix)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use common::postgres::{Server, TestHub};
use common::signed::{Station, audit, true_part};
use common::verifier::{Fault, Verifier, failed, parts};
use station::hub::{Hub, Kind};
use station::ledger::{New, Withdrawal};

/// A hub with the parts 1 and 2 of line-1, and 2 and 3 of line-2, of which 2 is in conflict; and who exports.
struct Line {
    hub: TestHub,
    one: Station,
    two: Station,
    url: String,
    /// Where the exporter works.
    folder: PathBuf,
}

/// The arguments that name the verifier and what it is given.
const FOR: [&str; 5] = ["submit", "--for", "acme", "--profile", "psa-2025"];

impl Line {
    fn new() -> Self {
        Self::on(TestHub::new())
    }

    fn on(hub: TestHub) -> Self {
        let (one, two) = (Station::new(&hub, "line-1"), Station::new(&hub, "line-2"));
        let role = hub.role("export");
        let mut owner = Hub::connect(&hub.config(&hub.owner())).unwrap();
        owner.enroll(&role, Kind::Exporter, None).unwrap();
        let (url, folder) = (hub.url(&role), hub.folder.path().join("export"));
        std::fs::create_dir(&folder).unwrap();
        let mut line = Self { hub, one, two, url, folder };
        line.enter(true, &[1, 2]);
        line.enter(false, &[2, 3]);
        line
    }

    /// Enters parts on one of the stations, and pushes them.
    fn enter(&mut self, on_first: bool, numbers: &[u8]) {
        let station = if on_first { &mut self.one } else { &mut self.two };
        for number in numbers {
            let answers = common::enter(&mut station.ledger, &[true_part(*number)]).unwrap();
            answers[0].as_ref().unwrap();
        }
        station.push().unwrap();
    }

    fn withdraw(&mut self, on_first: bool, entry: u64) {
        let station = if on_first { &mut self.one } else { &mut self.two };
        let reason = String::from("it was the other line's");
        station.ledger.append(&[New::Withdrawal(Withdrawal { entry, reason })]).unwrap();
        station.push().unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run_in(&self.folder, &[arguments, &["--hub", &self.url]].concat())
    }

    #[track_caller]
    fn taken(&self, verifier: &Verifier, arguments: &[&str]) -> String {
        let output = self.run(&[&FOR, &["--verifier", &verifier.url()][..], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    #[track_caller]
    fn refused(&self, verifier: &Verifier, arguments: &[&str]) -> String {
        let output = self.run(&[&FOR, &["--verifier", &verifier.url()][..], arguments].concat());
        refusal(output)
    }

    /// Links of the parts that the hub says acme has.
    fn given(&self) -> String {
        let sql = "SELECT coalesce(string_agg(station || '.' || link, ' ' ORDER BY station, link), '') FROM hub.exported";
        self.hub.sql(sql)
    }

    fn unsettled(&self) -> String {
        self.hub.sql("SELECT count(*) FROM hub.unsettled")
    }

    /// Whether an outbox of the hub has something.
    fn is_kept(&self) -> bool {
        let outbox = self.folder.join("hub-outbox");
        let mut folders = std::fs::read_dir(outbox).unwrap();
        folders.any(|folder| folder.unwrap().path().join("submission.json").exists())
    }
}

fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_station"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn refusal(output: Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// So many parts, each once.
#[track_caller]
fn has_each_once(verifier: &Verifier, count: usize) {
    let mut parts = parts(verifier);
    parts.sort();
    parts.dedup();
    assert_eq!((parts.len(), self::parts(verifier).len()), (count, count));
}

/// Every answer is lost, as often as it is tried.
fn lost(is_taken: bool) -> [Fault; 3] {
    [0, 60, 100].map(|after| Fault::Close { is_taken, after })
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn the_parts_of_all_stations_are_taken_once_and_conflicts_are_held_back() {
    let mut line = Line::new();
    let verifier = Verifier::new();
    let said = line.taken(&verifier, &[]);
    assert!(said.contains("endorsements.cbor (") && said.contains("): taken"), "{said}");
    assert!(said.contains("held back: entry 1 of line-2"), "{said}");
    has_each_once(&verifier, 2);
    assert_eq!((line.given().as_str(), line.unsettled().as_str()), ("1.2 2.4", "0"));
    assert!(!line.is_kept());
    let said = line.taken(&verifier, &[]);
    assert!(said.contains("acme has everything"), "{said}");
    assert_eq!(verifier.requests().len(), 1);
    // The conflict is settled, and a part comes.
    line.withdraw(false, 1);
    line.enter(true, &[4]);
    let said = line.taken(&verifier, &["--json"]);
    assert!(said.contains("\"taken\":\"now\""), "{said}");
    has_each_once(&verifier, 4);
    assert_eq!(line.given(), "1.2 1.4 1.6 2.4");
    assert_eq!(audit(&line.hub).problems, []);
    // What was submitted does not leave by an export.
    let export = ["export", "--profile", "psa-2025", "--for", "acme", "--output", "x"];
    let output = line.run(&export);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("has everything already"),
        "{output:?}"
    );
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn what_is_refused_is_not_given() {
    let line = Line::new();
    let verifier = Verifier::new();
    verifier.has([failed("no")]);
    let said = line.refused(&verifier, &[]);
    assert!(said.contains("The verifier has nothing of this, and the hub says so"), "{said}");
    assert_eq!((line.given().as_str(), line.unsettled().as_str()), ("", "0"));
    assert!(!line.is_kept());
    line.taken(&verifier, &[]);
    has_each_once(&verifier, 2);
    assert_eq!(line.given(), "1.2 2.4");
    assert_eq!(audit(&line.hub).problems, []);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn what_may_have_been_taken_is_sent_again_as_it_was_before_anything_else_leaves() {
    for is_taken in [true, false] {
        let mut line = Line::new();
        let verifier = Verifier::new();
        verifier.has(lost(is_taken));
        let said = line.refused(&verifier, &[]);
        assert!(said.contains("give the same command again"), "{said}");
        assert_eq!((line.given().as_str(), line.unsettled().as_str()), ("", "1"));
        assert!(line.is_kept());
        // Nobody else sends or writes these parts, from wherever.
        let elsewhere = tempfile::tempdir().unwrap();
        let url = verifier.url();
        let submit = [&FOR[..], &["--verifier", &url, "--hub", &line.url]].concat();
        let export = ["export", "--profile", "psa-2025", "--for", "acme", "--hub", &line.url];
        for arguments in [&submit[..], &export] {
            let said = refusal(run_in(elsewhere.path(), arguments));
            assert!(said.contains("has begun to submit 2 parts to acme"), "{said}");
            assert!(said.contains("--settle"), "{said}");
        }
        assert!(!elsewhere.path().join("endorsements").exists());
        let status = |more: &[&str]| {
            let output =
                run_in(elsewhere.path(), &[&["hub", "status", "--hub", &line.url], more].concat());
            // For the conflict, as ever.
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let said = status(&[]);
        assert!(said.lines().last().unwrap().starts_with("NOT SETTLED: on "), "{said}");
        assert!(said.contains("has begun to submit 2 parts to acme"), "{said}");
        let said = status(&["--json"]);
        let begun: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        assert_eq!((&begun["verifier"], &begun["parts"]), (&"acme".into(), &2.into()), "{begun}");
        // Meanwhile a part comes, and another line claims one that was sent.
        line.enter(true, &[4]);
        line.enter(false, &[1]);
        let said = line.taken(&verifier, &["--vendor", "ACME"]);
        assert!(said.contains("2 parts were sent before"), "{said}");
        let first = if is_taken { "taken before" } else { "taken" };
        assert!(said.lines().next().unwrap().ends_with(&format!("bytes): {first}")), "{said}");
        assert!(
            said.contains("which another station claims since. Have it removed there"),
            "{said}"
        );
        has_each_once(&verifier, 3);
        let bodies: Vec<_> = verifier.requests().into_iter().map(|request| request.body).collect();
        assert!(bodies[..4].iter().all(|body| *body == bodies[0]), "other bytes were sent");
        assert_eq!((line.given().as_str(), line.unsettled().as_str()), ("1.2 1.6 2.4", "0"));
        assert!(!line.is_kept());
        assert_eq!(audit(&line.hub).problems, []);
    }
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn the_keeper_of_the_verifier_settles_what_is_not_known_from_wherever() {
    for (settle, given) in [("taken", "1.2 2.4"), ("not-taken", "")] {
        let line = Line::new();
        let verifier = Verifier::new();
        verifier.has(lost(settle == "taken"));
        line.refused(&verifier, &[]);
        // A refusal now says nothing about the first time.
        verifier.has([failed("certificate chain verification failed: expired")]);
        let said = line.refused(&verifier, &[]);
        assert!(said.contains("--settle"), "{said}");
        assert_eq!(line.unsettled(), "1");
        let elsewhere = tempfile::tempdir().unwrap();
        let arguments = ["submit", "--for", "acme", "--settle", settle, "--hub", &line.url];
        let output = run_in(elsewhere.path(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!((line.given().as_str(), line.unsettled().as_str()), (given, "0"));
        let said = refusal(run_in(elsewhere.path(), &arguments));
        assert!(said.contains("no submission to this verifier is unfinished"), "{said}");
        // What is kept here is of no use any more.
        let sent = verifier.requests().len();
        let said = line.taken(&verifier, &[]);
        assert_eq!(said.contains("acme has everything"), settle == "taken", "{said}");
        assert_eq!(verifier.requests().len(), sent + usize::from(settle == "not-taken"));
        has_each_once(&verifier, 2);
        assert_eq!(line.given(), "1.2 2.4");
        assert!(!line.is_kept());
        assert_eq!(audit(&line.hub).problems, []);
    }
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_hub_that_is_older_than_a_submission_gets_no_other_one() {
    let line = Line::new();
    let verifier = Verifier::new();
    verifier.has(lost(true));
    line.refused(&verifier, &[]);
    // As a backup from before has it.
    line.hub.tamper("submissions", "DELETE FROM hub.submissions");
    for _ in 0..2 {
        let sent = verifier.requests().len();
        let said = line.refused(&verifier, &[]);
        assert!(said.contains("here 2 parts were begun to be submitted to acme"), "{said}");
        assert!(said.contains("was restored from a backup"), "{said}");
        assert_eq!(verifier.requests().len(), sent);
        assert!(line.is_kept());
    }
    let settle = |how| line.run(&["submit", "--for", "acme", "--settle", how]);
    assert!(refusal(settle("taken")).contains("no submission to this verifier is unfinished"));
    assert!(line.is_kept());
    assert_eq!(settle("not-taken").status.code(), Some(0));
    assert!(!line.is_kept());
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_hub_that_is_lost_in_between_is_told_later() {
    let line = Line::on(TestHub::on(Arc::new(Server::start())));
    let verifier = Verifier::new();
    let server = Arc::clone(&line.hub.server);
    verifier.has([Fault::Then(Arc::new(move || server.kill()))]);
    let said = line.refused(&verifier, &[]);
    assert!(
        said.contains("The verifier has these 2 parts, and the hub does not know it yet"),
        "{said}"
    );
    assert!(line.is_kept());
    line.hub.server.restart();
    assert_eq!((line.given().as_str(), line.unsettled().as_str()), ("", "1"));
    let said = line.taken(&verifier, &[]);
    assert!(said.contains("taken before") && said.contains("acme has everything"), "{said}");
    has_each_once(&verifier, 2);
    assert_eq!((line.given().as_str(), line.unsettled().as_str()), ("1.2 2.4", "0"));
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_hub_that_is_not_good_or_not_named_submits_nothing() {
    let line = Line::new();
    let verifier = Verifier::new();
    let said = line.refused(&verifier, &["--head", &"01".repeat(32)]);
    assert!(said.contains("--head is of a ledger"), "{said}");
    let url = verifier.url();
    let said = refusal(run_in(&line.folder, &[&FOR[..], &["--verifier", &url, "--hub"]].concat()));
    assert!(said.contains("which hub?"), "{said}");
    line.hub.tamper("attempts", "UPDATE hub.attempts SET port = 'x' WHERE station = 2");
    let output = line.run(&[&FOR[..], &["--verifier", &url]].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(verifier.requests().is_empty());
    assert_eq!((line.given().as_str(), line.unsettled().as_str()), ("", "0"));
}
