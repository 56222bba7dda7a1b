// SPDX-License-Identifier: Apache-2.0

//! The list of accepted survivors, against what cargo-mutants tells.

use std::fs;
use std::path::{Path, PathBuf};

use xtask::mutants::{Accepted, Fate, Tried, accepted, judge, lasting_name, outcomes, scope};

fn tried(name: &str, fate: Fate) -> Tried {
    Tried { name: String::from(name), fate }
}

fn listed(mutants: &[&str]) -> Vec<Accepted> {
    let entry = |mutant: &&str| Accepted { mutant: String::from(*mutant), why: String::from("so") };
    mutants.iter().map(entry).collect()
}

fn all() -> Vec<String> {
    scope(&[]).unwrap()
}

const SURVIVOR: &str = "crates/host/station/src/record.rs:12:5: replace + with - in claims";
const SAME: &str = "crates/host/station/src/record.rs:17:9: replace + with - in claims";
const LISTED: &str = "crates/host/station/src/record.rs: replace + with - in claims";
const OTHER: &str =
    "crates/host/station/src/console.rs:1:1: replace a::b -> c with Ok(Default::default())";

#[test]
fn a_survivor_is_accepted_wherever_its_line_is() {
    assert_eq!(lasting_name(SURVIVOR), LISTED);
    assert_eq!(
        lasting_name(OTHER),
        "crates/host/station/src/console.rs: replace a::b -> c with Ok(Default::default())"
    );
    let verdict = judge(&[tried(SURVIVOR, Fate::Survived)], &listed(&[LISTED]), &all());
    assert!(verdict.is_good(), "{verdict:?}");
}

#[test]
fn another_survivor_is_not() {
    let mutants = [tried(SURVIVOR, Fate::Survived), tried(OTHER, Fate::Survived)];
    let verdict = judge(&mutants, &listed(&[LISTED]), &all());
    assert_eq!(verdict.survivors, [OTHER]);
    assert!(verdict.stale.is_empty() && !verdict.is_good());
}

#[test]
fn each_of_two_that_have_one_name_is_listed() {
    let mutants = [tried(SURVIVOR, Fate::Survived), tried(SAME, Fate::Survived)];
    assert_eq!(judge(&mutants, &listed(&[LISTED]), &all()).survivors, [SAME]);
    assert!(judge(&mutants, &listed(&[LISTED, LISTED]), &all()).is_good());
    let mutants = [tried(SURVIVOR, Fate::Survived), tried(SAME, Fate::Killed)];
    assert_eq!(judge(&mutants, &listed(&[LISTED, LISTED]), &all()).stale, [LISTED]);
}

#[test]
fn an_accepted_one_that_is_killed_or_gone_is_told() {
    for fate in [Fate::Killed, Fate::Endless, Fate::Unviable] {
        let verdict = judge(&[tried(SURVIVOR, fate)], &listed(&[LISTED]), &all());
        assert_eq!((verdict.stale, verdict.survivors.len()), (vec![String::from(LISTED)], 0));
    }
    let gone = judge(&[tried(OTHER, Fate::Killed)], &listed(&[LISTED]), &all());
    assert_eq!(gone.stale, [LISTED]);
    // In a file that was not looked at, it may be there.
    let console = scope(&[PathBuf::from("crates/host/station/src/console.rs")]).unwrap();
    assert!(judge(&[tried(OTHER, Fate::Killed)], &listed(&[LISTED]), &console).is_good());
}

#[test]
fn one_that_was_stopped_is_told_and_no_more() {
    for list in [&[][..], &[LISTED]] {
        let verdict = judge(&[tried(SURVIVOR, Fate::Untried)], &listed(list), &all());
        assert_eq!(
            (&verdict.untried[..], verdict.is_good()),
            (&[String::from(SURVIVOR)][..], false)
        );
        assert!(verdict.survivors.is_empty() && verdict.stale.is_empty());
    }
}

#[test]
fn only_the_scope_is_looked_at() {
    for file in ["crates/host/station/src/ledger/audit.rs", "crates/image/nrf-keys/src/lib.rs"] {
        assert_eq!(scope(&[PathBuf::from(file)]).unwrap(), [file]);
    }
    for file in ["crates/host/station/src/port.rs", "src/lib.rs", ""] {
        assert!(
            scope(&[PathBuf::from(file)])
                .unwrap_err()
                .to_string()
                .contains("no mutants are made of it")
        );
    }
}

#[test]
fn outcomes_are_read() {
    let mutant = |name: &str, summary: &str| {
        format!(
            r#"{{"scenario":{{"Mutant":{{"name":"{name}","genre":"FnValue"}}}},"summary":"{summary}","phase_results":[]}}"#
        )
    };
    let baseline = |summary: &str| format!(r#"{{"scenario":"Baseline","summary":"{summary}"}}"#);
    let file = |outcomes: &[String]| {
        format!(r#"{{"outcomes":[{}],"total_mutants":4}}"#, outcomes.join(","))
    };
    let mutants = [
        baseline("Success"),
        mutant("a", "CaughtMutant"),
        mutant("b", "MissedMutant"),
        mutant("c", "Timeout"),
        mutant("d", "Unviable"),
        mutant("e", "Failure"),
    ];
    let expected = [
        tried("a", Fate::Killed),
        tried("b", Fate::Survived),
        tried("c", Fate::Endless),
        tried("d", Fate::Unviable),
        tried("e", Fate::Untried),
    ];
    assert_eq!(outcomes(&file(&mutants)).unwrap(), expected);
    assert_eq!(
        outcomes(&file(&[baseline("Failure")])).unwrap_err().to_string(),
        "the tests fail as it is"
    );
    assert_eq!(outcomes(&file(&[mutant("a", "Else")])).unwrap_err().to_string(), "a: Else");
    assert!(outcomes("{}").is_err());
}

#[test]
fn each_entry_of_the_list_has_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mutants.jsonl");
    for (line, error) in [
        (r#"{"mutant":"a","why":" "}"#, "line 1: the reason is missing"),
        (r#"{"mutant":"a"}"#, "line 1: missing field `why`"),
        (r#"{"mutant":"a","why":"b","else":1}"#, "line 1: unknown field"),
        ("", ""),
    ] {
        fs::write(&path, format!("{line}\n")).unwrap();
        match accepted(&path) {
            Err(found) => assert!(found.to_string().contains(error), "{found}"),
            Ok(entries) => panic!("{entries:?}"),
        }
    }
    assert!(accepted(&folder.path().join("none")).is_err());
    // The one that counts.
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/mutants.jsonl");
    let entries = accepted(&list).unwrap();
    assert!(entries.iter().all(|entry| lasting_name(&entry.mutant) == entry.mutant));
    assert!(entries.is_sorted(), "sorted, so that two branches do not differ in it");
}
