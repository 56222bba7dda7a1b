// SPDX-License-Identifier: Apache-2.0

//! The commands around the origin of a ledger: `init`, what a station key does in the others, `audit` against what was
//! kept elsewhere, and the ledgers of older formats.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use common::edits::tamper;
use common::formats::OLD;
use serde_json::Value;
use station::ledger::{Ledger, continued_file_of, head_file_of};
use station::station_key::StationKey;
use tempfile::TempDir;

/// A folder in which commands run.
struct Line(TempDir);

impl Line {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a command, which is given as words.
    fn start(&self, command: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_station"))
            .args(command.split(' '))
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs a command that is to end with this code, and gives its standard output.
    #[track_caller]
    fn run(&self, code: i32, command: &str) -> String {
        let output = self.start(command);
        assert_eq!(output.status.code(), Some(code), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The one line of a command that ends with this code and does nothing.
    #[track_caller]
    fn refused(&self, code: i32, command: &str) -> String {
        let before = self.files();
        let output = self.start(command);
        assert_eq!(output.status.code(), Some(code), "{command}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("error: ") && said.lines().count() == 1, "{said}");
        assert!(self.files() == before, "{command} has changed files");
        said
    }

    /// Every file but those that readers of SQLite leave, with its content.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = fs::read_dir(&self.0).unwrap().map(|file| file.unwrap().path());
        let is_kept = |file: &PathBuf| {
            file.is_file()
                && !["-wal", "-shm"].iter().any(|end| file.to_str().unwrap().ends_with(end))
        };
        let mut files: Vec<_> =
            files.filter(is_kept).map(|file| (file.clone(), fs::read(&file).unwrap())).collect();
        files.sort();
        files
    }
}

#[test]
fn init_makes_a_key_and_a_ledger_that_has_it() {
    let line = Line::new();
    let printed = line.run(0, "init --batch lot-8");
    let key = StationKey::read(&line.path("station.key")).unwrap();
    let ledger = Ledger::open(&line.path("ledger.db")).unwrap();
    let origin = ledger.origin().unwrap();
    assert_eq!(origin.station_key, Some(key.public()));
    assert_eq!(origin.batch.as_deref(), Some("lot-8"));
    assert_eq!(origin.continues, None);
    assert!(audited(&ledger));
    let vkey = origin.verifier().unwrap().to_string();
    assert!(printed.contains(&format!("to write down: {vkey}\n")), "{printed}");
    // What it prints is taken.
    line.run(0, &format!("audit --vkey {vkey}"));
}

fn audited(ledger: &Ledger) -> bool {
    ledger.audit(None, |_| Ok(()), |_| ()).unwrap().is_clean()
}

#[test]
fn nothing_is_written_over() {
    let line = Line::new();
    line.run(0, "init");
    let key = fs::read(line.path("station.key")).unwrap();
    let said = line.refused(2, "init");
    assert!(said.contains("there is a file of this name already"), "{said}");
    // Nor is a key made where there is a ledger.
    line.refused(2, "init --key another.key");
    // Another ledger of the same station has the same key.
    let printed = line.run(0, "init --ledger second.db --batch lot-9");
    assert!(printed.contains("the station key was there and is taken"), "{printed}");
    assert!(fs::read(line.path("station.key")).unwrap() == key);
    // A file that is no key stays as it is.
    fs::write(line.path("notes"), "x").unwrap();
    #[cfg(unix)]
    set_rights(&line.path("notes"), 0o600);
    let said = line.refused(2, "init --ledger third.db --key notes");
    assert!(said.contains("this is not a station key"), "{said}");
    // A ledger that is gone is not begun anew.
    line.run(0, "provision --simulate 1 --key station.key");
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(line.path(&format!("ledger.db{end}")));
    }
    for command in ["init", "provision --simulate 1 --key station.key"] {
        let said = line.refused(1, command);
        assert!(said.contains("the ledger is gone, and it had 2 links"), "{said}");
    }
}

#[cfg(unix)]
fn set_rights(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(unix)]
#[test]
fn a_key_that_others_may_read_is_not_used() {
    let line = Line::new();
    line.run(0, "init");
    set_rights(&line.path("station.key"), 0o640);
    for command in ["provision --simulate 1 --key station.key", "init --ledger second.db"] {
        let said = line.refused(2, command);
        assert!(said.contains("others may read this key"), "{said}");
        assert!(said.contains("chmod 600 station.key"), "{said}");
    }
    set_rights(&line.path("station.key"), 0o600);
    line.run(0, "provision --simulate 1 --key station.key");
}

#[test]
fn a_station_with_a_key_makes_no_ledger_without_one() {
    let line = Line::new();
    line.run(0, "init");
    let command = "provision --simulate 1 --key station.key --ledger";
    let said = line.refused(2, &format!("{command} other.db"));
    assert!(said.contains("there is no ledger here") && said.contains("station init"), "{said}");
    line.run(0, "provision --simulate 1 --ledger keyless.db");
    let said = line.refused(2, &format!("{command} keyless.db"));
    assert!(said.contains("this ledger has no station key"), "{said}");
    assert!(said.contains("station init --continues"), "{said}");
    line.run(0, "init --ledger strange.db --key strange.key");
    let said = line.refused(2, &format!("{command} strange.db"));
    assert!(said.contains("the station key is not that of this ledger"), "{said}");
    let said = line.refused(2, "provision --simulate 1 --key none.key");
    assert!(said.contains("there is no station key here"), "{said}");
    let said = line.refused(2, "provision --simulate 1 --checkpoint checkpoint");
    assert!(said.contains("a checkpoint is signed by the station key"), "{said}");
}

#[test]
fn what_appends_writes_the_checkpoint() {
    let line = Line::new();
    let toml = "key = \"line.key\"\ncheckpoint = \"checkpoint\"\nledger = \"line.db\"\n";
    fs::write(line.path("line.toml"), toml).unwrap();
    let signed = |links: u64| {
        let note = fs::read_to_string(line.path("checkpoint")).unwrap();
        assert_eq!(note.lines().nth(1), Some(&links.to_string()[..]), "{note}");
        line.run(0, "audit --station-file line.toml --checkpoint checkpoint");
    };
    line.run(0, "init --station-file line.toml");
    signed(0);
    line.run(0, "provision --simulate 5 --station-file line.toml");
    signed(10);
    line.run(0, "replace 2 --reason erased --station-file line.toml");
    signed(11);
    line.run(0, "export --profile psa-2025 --for veraison --station-file line.toml");
    signed(12);
    // Of a ledger that is not signed just now, it is still one.
    line.run(0, "provision --simulate 1 --ledger line.db");
    line.run(0, "audit --ledger line.db --checkpoint checkpoint");
    assert!(!line.path("ledger.db").exists());
}

/// The problems that an audit prints.
fn problems(line: &Line, arguments: &str) -> Vec<String> {
    let printed = line.run(1, &format!("audit --json {arguments}"));
    let audit: Value = serde_json::from_str(&printed).unwrap();
    let problems = audit["problems"].as_array().unwrap();
    problems.iter().map(|problem| problem.as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_audit_with_a_checkpoint_says_what_happened() {
    let line = Line::new();
    let provision = "provision --simulate 1 --key station.key --checkpoint checkpoint --ledger";
    for ledger in ["ledger.db", "other.db"] {
        line.run(0, &format!("init --batch {ledger} --ledger {ledger}"));
    }
    line.run(0, &format!("{provision} ledger.db"));
    let earlier = fs::read(line.path("ledger.db")).unwrap();
    line.run(0, &format!("{provision} ledger.db"));
    let ok = line.run(0, "audit --checkpoint checkpoint");
    assert!(ok.contains("all of them good"), "{ok}");
    let assert_problem = |arguments: &str, expected: &str| {
        let found = problems(&line, arguments);
        assert!(matches!(&found[..], [one] if one.contains(expected)), "{found:?}");
        let printed = line.run(1, &format!("audit {arguments}"));
        assert!(printed.contains(expected) && printed.contains("NOT GOOD"), "{printed}");
    };
    assert_problem("--checkpoint checkpoint --ledger other.db", "the checkpoint of another ledger");
    line.run(0, "provision --simulate 1 --ledger keyless.db");
    assert_problem("--checkpoint checkpoint --ledger keyless.db", "the ledger has no station key");
    let note = fs::read_to_string(line.path("checkpoint")).unwrap();
    fs::write(
        line.path("unsigned"),
        note.replace(" wR", " xR").replacen("\u{2014} s", "\u{2014} x", 1),
    )
    .unwrap();
    assert_problem("--checkpoint unsigned", "not signed by the station key");
    fs::write(line.path("changed"), note.replacen("\n4\n", "\n3\n", 1)).unwrap();
    assert_problem("--checkpoint changed", "the signature of the checkpoint is wrong");
    fs::write(line.path("cut"), &note[..note.len() - 9]).unwrap();
    assert_problem("--checkpoint cut", "this is not a checkpoint");
    let said = line.refused(2, "audit --checkpoint none");
    assert!(said.contains("none: "), "{said}");
    let other = Ledger::open(&line.path("other.db")).unwrap().origin().unwrap();
    let vkey = other.verifier().unwrap();
    assert_problem(&format!("--vkey {vkey}"), "is not that of the verifier key");
    assert_problem(
        &format!("--vkey {vkey} --ledger keyless.db"),
        "is not that of the verifier key",
    );
    // An older copy, and then one that has gone on in another way.
    for end in ["-wal", "-shm", "-head"] {
        let _ = fs::remove_file(line.path(&format!("ledger.db{end}")));
    }
    fs::write(line.path("ledger.db"), earlier).unwrap();
    let rolled_back = "the ledger ends with link 2, and its station has signed link 4";
    assert_problem("--checkpoint checkpoint", rolled_back);
    let output = line.start(&format!("{provision} ledger.db"));
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(1), &b""[..]));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(rolled_back) && said.contains("put the last ledger back"), "{said}");
    line.run(0, "provision --simulate 1");
    assert_problem("--checkpoint checkpoint", "link 4 is not the one that the station has signed");
    // An origin that was changed.
    tamper(&line.path("ledger.db"), "UPDATE origin SET batch = 'x'");
    assert_problem("--allow-dummy", "its origin");
}

#[test]
fn the_commands_take_an_old_ledger() {
    for old in &OLD {
        let line = Line::new();
        old.put(&line.path("ledger.db"));
        let audit = line.run(0, &format!("audit --head {}", old.head));
        assert!(audit.contains(&format!("Head: {}\n", old.head)), "{audit}");
        assert_eq!(line.run(0, "list").lines().count() as u64, 1 + old.entries);
        let shown = line.run(0, "show 1");
        assert!(shown.contains("signed by the key below"), "{shown}");
        line.run(0, "stats");
        let attempts = line.run(0, "attempts").lines().count() - 1;
        assert_eq!(attempts, if old.format == 1 { 0 } else { 9 });
        line.run(0, "export --profile psa-2025 --output all");
        for command in [
            "provision --simulate 1",
            "replace 1 --reason erased",
            "export --profile psa-2025 --for veraison --output new",
        ] {
            let said = line.refused(2, command);
            assert!(said.contains(&format!("this ledger has format {}, ", old.format)), "{said}");
            assert!(said.contains("station init --continues "), "{said}");
        }
        assert!(!line.path("new").exists());

        // As the error says.
        let printed = line.run(0, "init --continues ledger.db --ledger new.db");
        let format = format!("of format {} with {} links", old.format, old.links);
        assert!(printed.contains(&format), "{printed}");
        line.run(0, "audit --ledger new.db");
        line.run(0, "audit --ledger new.db --continues ledger.db");
        // A head that was written down of the old one is the new one's, and any other is in the old file.
        line.run(0, &format!("audit --ledger new.db --head {}", old.head));
        let first: String = {
            let links = common::links(&Ledger::open(&line.path("ledger.db")).unwrap());
            base16ct::lower::encode_string(&links[0].hash)
        };
        line.run(1, &format!("audit --ledger new.db --head {first}"));
        line.run(0, &format!("audit --ledger new.db --head {first} --continues ledger.db"));
        line.run(
            1,
            &format!("audit --ledger new.db --head {} --continues ledger.db", "11".repeat(32)),
        );
        // The same parts as the old program has entered.
        if old.format == 1 {
            let again = line.run(0, "provision --simulate 3 --seed 5 --ledger new.db");
            assert_eq!(again.matches(": KNOWN: ").count(), 3, "{again}");
        }
        line.run(0, "replace 1 --reason erased --ledger new.db");
        line.run(0, "export --profile psa-2025 --for veraison --ledger new.db --output rest");
        // It is continued once.
        let said = line.refused(2, "init --continues ledger.db --ledger third.db");
        assert!(said.contains("this ledger is continued in"), "{said}");
        assert!(continued_file_of(&line.path("ledger.db")).exists());
    }
}

/// A station whose key is lost, and one that begins to sign.
#[test]
fn a_ledger_goes_on_with_another_key() {
    let line = Line::new();
    line.run(0, "provision --simulate 3 --seed 1");
    line.run(0, "init --continues ledger.db --ledger second.db --key second.key");
    fs::remove_file(line.path("second.key")).unwrap();
    line.run(0, "init --continues second.db --ledger third.db --key third.key");
    let again = line.run(0, "provision --simulate 3 --seed 1 --ledger third.db --key third.key");
    assert_eq!(again.matches(": KNOWN: ").count(), 3, "{again}");
    line.run(0, "audit --ledger third.db --continues second.db");
    line.run(0, "audit --ledger second.db --continues ledger.db");
    for old in ["ledger.db", "second.db"] {
        let said = line.refused(2, &format!("provision --simulate 1 --ledger {old}"));
        assert!(said.contains("this ledger is continued in"), "{said}");
    }
    // The wrong old file, and one that was changed.
    line.run(1, "audit --ledger third.db --continues ledger.db");
    line.run(1, "audit --ledger ledger.db --continues second.db");
    tamper(&line.path("second.db"), "UPDATE attempts SET port = 'x' WHERE link = 1");
    line.run(1, "audit --ledger third.db --continues second.db");
}

#[test]
fn files_of_the_old_ledger_are_not_taken_for_the_new_one() {
    let line = Line::new();
    let both = "--head-file head --key station.key --checkpoint checkpoint";
    line.run(0, "init");
    line.run(0, &format!("provision --simulate 1 {both}"));
    let said = line.refused(2, "init --continues ledger.db --ledger new.db --head-file head");
    assert!(said.contains("head: ") && said.contains("Name another"), "{said}");
    fs::write(line.path("line.toml"), "checkpoint = \"checkpoint\"\n").unwrap();
    let init = "init --continues ledger.db --ledger new.db --station-file line.toml";
    let said = line.refused(2, init);
    assert!(said.contains("checkpoint: ") && said.contains("Name another"), "{said}");
    fs::remove_file(line.path("checkpoint")).unwrap();
    line.run(0, init);
    assert!(head_file_of(&line.path("new.db")).exists());
    line.run(0, "audit --ledger new.db --checkpoint checkpoint");
}

/// A killed `init` leaves no part of a ledger, and can be carried out again.
#[test]
fn a_kill_leaves_the_new_ledger_whole_or_not_there() {
    let line = Line::new();
    line.run(0, "provision --simulate 60");
    let old = fs::read(line.path("ledger.db")).unwrap();
    let (mut missing, mut whole) = (0, 0);
    // Later each time, until it was ready often enough, however long it takes here.
    let mut delay = Duration::ZERO;
    while whole < 5 {
        delay = delay * 8 / 7 + Duration::from_millis(1);
        assert!(delay < Duration::from_secs(60), "init does not end");
        let mut init = Command::new(env!("CARGO_BIN_EXE_station"))
            .args("init --continues ledger.db --ledger new.db".split(' '))
            .current_dir(&line.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(delay);
        init.kill().unwrap(); // SIGKILL
        init.wait().unwrap();
        let marker = continued_file_of(&line.path("ledger.db"));
        if line.path("new.db").exists() {
            whole += 1;
            assert!(marker.exists(), "the old one may be gone on with");
            line.run(0, "audit --ledger new.db --continues ledger.db");
        } else {
            missing += 1;
            let _ = fs::remove_file(&marker); // as the error says
        }
        // The key is whole, too.
        if line.path("station.key").exists() {
            StationKey::read(&line.path("station.key")).unwrap();
        }
        let _ = fs::remove_file(marker);
        for end in ["", "-wal", "-shm", "-head", "-head.new"] {
            let _ = fs::remove_file(line.path(&format!("new.db{end}")));
        }
    }
    assert!(missing > 5, "{missing} killed early");
    assert!(fs::read(line.path("ledger.db")).unwrap() == old);
}
