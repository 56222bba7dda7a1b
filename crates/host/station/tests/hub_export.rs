// SPDX-License-Identifier: Apache-2.0

//! What leaves the hub, and what a station's own export leaves out: each part once for each verifier, and none that two
//! stations claim.
#![cfg(unix)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::entry;
use common::postgres::TestHub;
use common::signed::{Station, any, audit, true_part};
use provisioning::PublicKey;
use station::hub::{Config, Hub, HubError, HubExport, Kind};
use station::ledger::{Export, New, Withdrawal};

/// What may leave for a verifier.
fn export(config: &Config, verifier: &str) -> HubExport {
    HubExport::of(config, verifier, false, &any, &mut |_| ()).unwrap()
}

/// Exports, and gives the public keys that the verifier got.
fn give(config: &Config, verifier: &str) -> Result<Vec<PublicKey>, HubError> {
    let export = export(config, verifier);
    let keys = export.parts.iter().map(|part| part.identity.public_key).collect();
    let mut hub = Hub::connect(config)?;
    hub.give(verifier, "psa-2025", [7; 32], &export.parts, || Ok::<_, ()>(()))?.unwrap();
    Ok(keys)
}

fn keys(parts: impl IntoIterator<Item = u8>) -> Vec<PublicKey> {
    parts.into_iter().map(|n| entry(n).identity.public_key).collect()
}

fn exporter(hub: &TestHub) -> Config {
    let role = hub.role("export");
    let mut owner = Hub::connect(&hub.config(&hub.owner())).unwrap();
    owner.enroll(&role, Kind::Exporter, None).unwrap();
    hub.config(&role)
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn each_part_leaves_once_for_each_verifier_and_conflicts_are_held_back() {
    let hub = TestHub::new();
    let (mut one, mut two) = (Station::new(&hub, "line-1"), Station::new(&hub, "line-2"));
    let exporter = exporter(&hub);
    one.enter([1, 2, 3]);
    two.enter([3, 4]);
    one.push().unwrap();
    two.push().unwrap();
    assert_eq!(give(&exporter, "v").unwrap(), keys([1, 2, 4]));
    assert_eq!(give(&exporter, "v").unwrap(), []);
    assert_eq!(give(&exporter, "w").unwrap(), keys([1, 2, 4]));
    let held = export(&exporter, "v").held_back;
    let [conflict] = &held[..] else { panic!("{held:?}") };
    assert_eq!(conflict.second, (two.role.clone(), 1));
    assert_eq!(conflict.holder, (one.role.clone(), 3));
    // What comes later leaves later; line-2 finds that it never had part 3.
    one.enter([5]);
    let withdrawal = |entry| {
        New::Withdrawal(Withdrawal { entry, reason: String::from("it was the other line's") })
    };
    two.ledger.append(&[withdrawal(1)]).unwrap();
    one.push().unwrap();
    two.push().unwrap();
    assert_eq!(give(&exporter, "v").unwrap(), keys([3, 5]));
    // A part that the verifier has is withdrawn, and another is claimed by a second station.
    one.ledger.append(&[withdrawal(1)]).unwrap();
    two.enter([2]);
    one.push().unwrap();
    two.push().unwrap();
    let found = export(&exporter, "v");
    assert_eq!(found.parts, []);
    assert_eq!(found.withdrawn, [(one.role.clone(), 1)]);
    assert_eq!(found.contested, [(one.role.clone(), 2)]);
    assert_eq!(export(&exporter, "x").parts.len(), 3);
    assert_eq!(audit(&hub).problems, []);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn two_exporters_at_once_give_no_part_twice_and_nothing_is_kept_without_its_files() {
    let hub = TestHub::new();
    let mut one = Station::new(&hub, "line-1");
    let exporter = exporter(&hub);
    one.enter([1, 2, 3]);
    one.push().unwrap();
    let (first, second) = (export(&exporter, "v"), export(&exporter, "v"));
    let give = |export: &HubExport, write: Result<(), &'static str>| {
        let mut hub = Hub::connect(&exporter).unwrap();
        hub.give("v", "psa-2025", [7; 32], &export.parts, || write)
    };
    assert_eq!(give(&first, Err("disk full")).unwrap(), Err("disk full"));
    assert_eq!(hub.sql("SELECT count(*) FROM hub.exported"), "0");
    give(&first, Ok(())).unwrap().unwrap();
    let error = give(&second, Ok(())).unwrap_err();
    assert!(matches!(error, HubError::Meanwhile), "{error}");
    assert_eq!(hub.sql("SELECT count(*) FROM hub.exported"), "3");
    // A conflict that came after the parts were read.
    let mut two = Station::new(&hub, "line-2");
    let third = HubExport::of(&exporter, "w", false, &any, &mut |_| ()).unwrap();
    two.enter([2]);
    two.push().unwrap();
    let mut connected = Hub::connect(&exporter).unwrap();
    let error = connected
        .give("w", "psa-2025", [7; 32], &third.parts, || -> Result<(), ()> { panic!("written") })
        .unwrap_err();
    assert!(matches!(error, HubError::Meanwhile), "{error}");
    assert_eq!(hub.sql("SELECT count(*) FROM hub.exports"), "1");
    // A station may not say what a verifier was given.
    let mut connected = Hub::connect(&one.config).unwrap();
    let error = connected.give("w", "p", [7; 32], &third.parts, || Ok::<_, ()>(())).unwrap_err();
    assert!(matches!(error, HubError::Right(..)), "{error}");
    assert_eq!(audit(&hub).problems, []);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn what_a_station_has_exported_itself_does_not_leave_the_hub_again() {
    let hub = TestHub::new();
    let (mut one, mut two) = (Station::new(&hub, "line-1"), Station::new(&hub, "line-2"));
    let exporter = exporter(&hub);
    one.enter([1, 2, 3]);
    two.enter([3, 4]);
    one.push().unwrap();
    two.push().unwrap();
    let export_of = |first, last| {
        New::Export(Export {
            verifier: String::from("v"),
            profile: String::from("psa-2025"),
            first,
            last,
            parts: 2,
            sha256: [7; 32],
        })
    };
    // Without its entry 3, which was held back.
    one.ledger.append(&[export_of(1, 3)]).unwrap();
    one.enter([5]);
    one.push().unwrap();
    assert_eq!(export(&exporter, "w").parts.len(), 4);
    assert_eq!(give(&exporter, "v").unwrap(), keys([5, 4]));
    // The conflict is settled: only line-1 knows that the verifier does not have the part.
    let reason = String::from("it was the other line's");
    two.ledger.append(&[New::Withdrawal(Withdrawal { entry: 1, reason })]).unwrap();
    two.push().unwrap();
    let found = export(&exporter, "v");
    assert_eq!((&found.parts[..], &found.unclear[..]), (&[][..], &[(one.role.clone(), 3)][..]));
    // With a new key line-1 goes on in a new ledger, which exports the rest of the old entries.
    one.enter([6]);
    one.push().unwrap();
    let mut one = one.with_new_key(&hub);
    one.enter([7]);
    one.ledger.append(&[export_of(4, 6)]).unwrap();
    one.enter([8]);
    one.push().unwrap();
    assert_eq!(give(&exporter, "v").unwrap(), keys([8]));
    assert_eq!(give(&exporter, "w").unwrap(), keys([1, 2, 3, 5, 6, 4, 7, 8]));
    assert_eq!(audit(&hub).problems, []);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_verifier_has_any_name_and_the_test_only_key_stays_here() {
    let hub = TestHub::new();
    let (mut one, mut two) = (Station::new(&hub, "line-1"), Station::new(&hub, "line-2"));
    let exporter = exporter(&hub);
    one.enter([1]);
    one.push().unwrap();
    let names = ["it's", "a\\'b", "\\", "''", "E'x' OR true --", "Übung \u{202e}"];
    for name in names {
        assert_eq!(give(&exporter, name).unwrap(), keys([1]), "{name:?}");
        assert_eq!(give(&exporter, name).unwrap(), [], "{name:?}");
    }
    assert_eq!(hub.sql("SELECT count(*) FROM hub.exported"), names.len().to_string());
    // What stands for the hub is that of the heads of all ledgers.
    let head = || export(&exporter, "v").head;
    let first = head();
    assert_eq!(head(), first);
    two.enter([2]);
    two.push().unwrap();
    let second = head();
    one.enter([3]);
    one.push().unwrap();
    assert!(first != second && second != head() && first != head());
    let mut dummy = entry(4);
    dummy.identity.public_key = provisioning::DUMMY_PUBLIC_KEY;
    common::enter(&mut one.ledger, &[dummy]).unwrap()[0].unwrap();
    one.push().unwrap();
    let with = |allow| HubExport::of(&exporter, "v", allow, &any, &mut |_| ()).unwrap();
    let count = |found: HubExport| (found.parts.len(), found.dummies);
    assert_eq!((count(with(false)), count(with(true))), ((3, 1), (4, 0)));
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn nothing_leaves_a_hub_that_is_not_good_and_only_what_leaves_is_verified() {
    let hub = TestHub::new();
    let mut one = Station::new(&hub, "line-1");
    let exporter = exporter(&hub);
    one.enter([1, 2]);
    one.push().unwrap();
    give(&exporter, "v").unwrap();
    one.enter([3]);
    one.push().unwrap();
    let doubt = |bad: u64| {
        move |entry: &station::ledger::Entry| {
            if entry.number == bad { Err("no".to_owned()) } else { Ok(()) }
        }
    };
    let with = |bad| HubExport::of(&exporter, "v", false, &doubt(bad), &mut |_| ()).unwrap();
    assert_eq!(with(2).parts.len(), 1);
    let found = with(3);
    assert_eq!((found.parts.len(), found.audit.problems.len()), (0, 1));
    hub.tamper("parts", "UPDATE hub.parts SET implementation_id = sha256('x') WHERE entry = 1");
    let found = with(0);
    assert_eq!((found.parts.len(), found.audit.problems.len()), (0, 1));
}

/// The program `station`.
fn station(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_station")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn the_commands_audit_export_and_restore() {
    let hub = TestHub::new();
    let (mut one, mut two) = (Station::new(&hub, "line-1"), Station::new(&hub, "line-2"));
    let exporter = hub.url(exporter(&hub).role());
    let parts: Vec<_> = [1, 2].map(true_part).to_vec();
    for part in &parts {
        common::enter(&mut one.ledger, std::slice::from_ref(part)).unwrap()[0].unwrap();
    }
    // One that two stations claim; and one in the ledger of line-2 alone.
    common::enter(&mut two.ledger, &parts[1..]).unwrap()[0].unwrap();
    one.push().unwrap();
    two.push().unwrap();
    let folder = hub.folder.path();
    let run_in = |out: &str, more: &[&str]| {
        let output = folder.join(out);
        let profile = ["export", "--profile", "psa-2025", "--output", output.to_str().unwrap()];
        let ran = station(&[&profile, more].concat());
        (ran.status.code(), text(&ran.stdout), text(&ran.stderr), output)
    };
    // From the hub.
    let (code, out, err, output) = run_in("hub", &["--hub", &exporter, "--for", "v"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.starts_with("1 parts as psa-2025 in "), "{out}");
    assert!(err.starts_with("held back: entry 1 of line-2"), "{err}");
    assert!(output.join("endorsements.cbor").exists());
    let (code, out, err, _) = run_in("again", &["--hub", &exporter, "--for", "v"]);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    assert!(err.contains("v has everything already"), "{err}");
    let (code, _, err, _) = run_in("none", &["--hub", &exporter]);
    assert_eq!(code, Some(2));
    assert!(err.contains("--for NAME"), "{err}");
    let (code, out, err, _) = run_in("hub", &["--hub", &exporter, "--for", "w"]);
    assert_eq!(code, Some(2), "{out}{err}");
    assert!(err.contains("there is an earlier export"), "{err}");
    assert_eq!(hub.sql("SELECT count(*) FROM hub.exports"), "1", "nothing is kept as given");

    // A station's own, which asks the hub that its station file names.
    let file = folder.join("station.toml");
    let write = |url: &str| {
        let ledger = one.path.display();
        fs::write(&file, format!("ledger = \"{ledger}\"\n[hub]\nurl = \"{url}\"\n")).unwrap();
    };
    write(&hub.url(&one.role));
    let own = ["--station-file", file.to_str().unwrap()];
    let (code, out, err, _) = run_in("own", &own);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.starts_with("1 parts as"), "{out}");
    assert!(err.contains("Entry 2 was left out"), "{err}");
    let (code, out, _, _) = run_in("without", &[&own[..], &["--without-hub"]].concat());
    assert_eq!(code, Some(0));
    assert!(out.starts_with("2 parts as"), "{out}");
    write(&hub.url(&one.role).replace("host=", "host=/nowhere"));
    let (code, out, err, output) = run_in("unreachable", &own);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("--without-hub") && err.contains("Nothing was exported"), "{err}");
    assert!(!output.exists());
    write(&hub.url(&one.role));
    common::enter(&mut one.ledger, &[true_part(3)]).unwrap()[0].unwrap();
    let (code, _, err, _) = run_in("unpushed", &own);
    assert_eq!(code, Some(2));
    assert!(err.contains("Push them first"), "{err}");
    one.push().unwrap();

    // The audit, with the ledger at hand.
    let ledger = |path: &Path| path.to_str().unwrap().to_owned();
    let audited = station(&["audit", "--hub", &exporter, "--ledger", &ledger(&one.path)]);
    let (out, err) = (text(&audited.stdout), text(&audited.stderr));
    assert_eq!(audited.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("2 ledgers, 3 parts, 8 links, all of it good"), "{out}");
    assert!(out.contains("as the hub has it, up to link 6"), "{out}");
    let audited = station(&["audit", "--hub", &exporter, "--json", "--ledger", &ledger(&one.path)]);
    let json: serde_json::Value = serde_json::from_slice(&audited.stdout).unwrap();
    assert_eq!((&json["good"], &json["parts"]), (&true.into(), &3.into()));
    let of_station = station(&["audit", "--hub", "--station-file", own[1]]);
    assert_eq!(of_station.status.code(), Some(0), "{}", text(&of_station.stderr));

    // The ledger is lost, and written anew.
    let new = folder.join("new.db");
    let restore = ["restore", "--hub", &hub.url(&one.role), "--ledger", new.to_str().unwrap()];
    let restored = station(&restore);
    let (out, err) = (text(&restored.stdout), text(&restored.stderr));
    assert_eq!(restored.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("restored, 3 entries, 6 links"), "{out}");
    assert_eq!(station(&["audit", "--ledger", new.to_str().unwrap()]).status.code(), Some(0));
    let again = station(&restore);
    assert_eq!(again.status.code(), Some(2));

    // A ledger that was begun anew contradicts the hub: exit code 1.
    hub.tamper("attempts", "UPDATE hub.attempts SET port = E'x\\x1b[31m' WHERE station = 2");
    let audited = station(&["audit", "--hub", &exporter, "--ledger", &ledger(&one.path)]);
    assert_eq!(audited.status.code(), Some(1));
    let out = text(&audited.stdout);
    assert!(out.contains("problem: ledger 2 of line-2") && out.contains("NOT GOOD"), "{out}");
    let (code, out, err, output) = run_in("bad", &["--hub", &exporter, "--for", "w"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(err.contains("the hub is NOT GOOD. Nothing was exported"), "{err}");
    assert!(!output.exists());
}
