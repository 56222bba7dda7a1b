// SPDX-License-Identifier: Apache-2.0

//! A ledger in a folder that its reader cannot write to: another user's, a mounted backup's.
#![cfg(unix)]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use station::ledger::{Attempt, Ledger, New, head_file_of};
use tempfile::TempDir;

/// A user who is nobody here: root may write everywhere.
const NOBODY: u32 = 65_534;

/// A station that another user can start, with a folder for its temporary files and one for what it exports.
struct Reader {
    folder: TempDir,
    is_root: bool,
}

impl Reader {
    fn new() -> Self {
        let folder = open_folder();
        // By another program: a file that this one has open for writing cannot be run by another thread.
        let copied = Command::new("cp")
            .args([env!("CARGO_BIN_EXE_station"), "station"])
            .current_dir(folder.path())
            .status();
        assert!(copied.unwrap().success());
        for name in ["tmp", "exported"] {
            let folder = folder.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        }
        let is_root = fs::metadata(folder.path()).unwrap().uid() == 0;
        Self { folder, is_root }
    }

    /// Starts it; nothing may be left of its temporary files.
    fn start(&self, ledger: &Path, arguments: &[&str]) -> Output {
        let mut station = Command::new(self.folder.path().join("station"));
        station.arg("--ledger").arg(ledger).args(arguments);
        let temporary = self.folder.path().join("tmp");
        station.env("TMPDIR", &temporary).current_dir(self.folder.path());
        if self.is_root {
            station.uid(NOBODY).gid(NOBODY);
        }
        let output = station.output().unwrap();
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "a copy was left");
        output
    }

    fn run(&self, ledger: &Path, arguments: &[&str]) -> String {
        let output = self.start(ledger, arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A folder that everybody may look into.
fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Who may not write to a folder and its files, until this is dropped.
struct Closed(PathBuf);

impl Closed {
    fn new(folder: &Path) -> Self {
        for file in fs::read_dir(folder).unwrap() {
            fs::set_permissions(file.unwrap().path(), Permissions::from_mode(0o444)).unwrap();
        }
        fs::set_permissions(folder, Permissions::from_mode(0o555)).unwrap();
        // Else the test shows nothing.
        let is_root = fs::metadata(folder).unwrap().uid() == 0;
        assert!(is_root || File::create(folder.join("x")).is_err());
        Self(folder.to_owned())
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        fs::set_permissions(&self.0, Permissions::from_mode(0o755)).unwrap();
        for file in fs::read_dir(&self.0).unwrap() {
            fs::set_permissions(file.unwrap().path(), Permissions::from_mode(0o644)).unwrap();
        }
    }
}

/// Everything in a folder: names, contents, and when they were changed.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>, SystemTime)> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files
        .map(|file| {
            let changed = fs::metadata(&file).unwrap().modified().unwrap();
            (file.clone(), fs::read(&file).unwrap(), changed)
        })
        .collect();
    files.sort();
    files
}

/// A ledger with three entries, which are in its log alone: its files as a killed station leaves them.
fn killed() -> (TempDir, PathBuf) {
    let folder = open_folder();
    let path = folder.path().join("ledger.db");
    let status = Command::new(env!("CARGO_BIN_EXE_station"))
        .args(["provision", "--simulate", "3", "--seed", "1", "--ledger"])
        .arg(&path)
        .output()
        .unwrap()
        .status;
    assert!(status.success());
    let log = folder.path().join("ledger.db-wal");
    let raw = Connection::open(&path).unwrap();
    raw.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    ledger.append(&[New::Attempt(Attempt::default())]).unwrap();
    // The last one to close it, and it has read.
    raw.query_row("SELECT 1 FROM links", [], |_| Ok(())).unwrap();
    drop(ledger);
    drop(raw);
    assert!(fs::metadata(log).unwrap().len() > 0);
    (folder, path)
}

/// Lists, audits, shows and exports the ledger from a folder that cannot be written, and gives what is printed.
fn read_all(reader: &Reader, path: &Path) -> Vec<String> {
    let folder = path.parent().unwrap();
    let closed = Closed::new(folder);
    let before = contents(folder);
    let mut printed = Vec::new();
    for arguments in [
        &["list", "--json"][..],
        &["audit", "--json"],
        &["show", "2", "--json"],
        &["export", "--json", "--overwrite", "--profile", "psa-2025", "--output", "exported"],
    ] {
        printed.push(reader.run(path, arguments));
        assert_eq!(contents(folder), before, "{arguments:?} has changed something");
    }
    printed.extend(
        ["comid.json", "corim.json"].map(|file| {
            fs::read_to_string(reader.folder.path().join("exported").join(file)).unwrap()
        }),
    );
    assert!(!reader.start(path, &["provision", "--simulate", "1"]).status.success());
    assert_eq!(contents(folder), before, "a writer has changed something");
    drop(closed);
    printed
}

#[test]
fn a_ledger_is_read_where_nothing_can_be_written() {
    let reader = Reader::new();
    let (folder, path) = killed();
    let beside = |end: &str| path.with_file_name(format!("ledger.db{end}"));
    // A log and its index; the log alone, as a copy has it.
    let with_index = read_all(&reader, &path);
    assert!(with_index[0].lines().count() == 3 && with_index[1].contains("\"unfinished\":1"));
    let kept = fs::read(beside("-wal")).unwrap();
    let _ = fs::remove_file(beside("-shm"));
    assert_eq!(read_all(&reader, &path), with_index);
    assert_eq!(fs::read(beside("-wal")).unwrap(), kept);
    // No log: what a ledger that was closed leaves.
    drop(Ledger::open_or_create(&path).unwrap());
    assert!(!beside("-wal").exists());
    assert_eq!(read_all(&reader, &path), with_index);
    // As where it can be written.
    let output = Command::new(env!("CARGO_BIN_EXE_station"))
        .args(["list", "--json", "--ledger"])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), with_index[0]);
    drop(folder);
}

#[test]
fn a_ledger_is_read_while_another_user_writes_it() {
    let reader = Reader::new();
    let (folder, path) = killed();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    let mut attempts = 4;
    for index in [0o444, 0o0] {
        for _ in 0..5 {
            // The writer has its files open; the reader may read the index of the log, or not.
            ledger.append(&[New::Attempt(Attempt::default())]).unwrap();
            attempts += 1;
            let closed = Closed::new(folder.path());
            let shm = path.with_file_name("ledger.db-shm");
            fs::set_permissions(&shm, Permissions::from_mode(index)).unwrap();
            let audit = reader.run(&path, &["audit", "--json"]);
            assert!(audit.contains(&format!("\"attempts\":{attempts},")), "{audit}");
            drop(closed);
        }
    }
    assert!(path.with_file_name("ledger.db-wal").exists());
}

#[test]
fn a_ledger_is_copied_while_another_user_writes_it() {
    let reader = Reader::new();
    let (folder, path) = killed();
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    let raw = Connection::open(&path).unwrap();
    raw.query_row("SELECT 1 FROM links", [], |_| Ok(())).unwrap();
    let _closed = Closed::new(folder.path());
    // Without the index of the log, SQLite cannot read it where it is.
    fs::set_permissions(path.with_file_name("ledger.db-shm"), Permissions::from_mode(0o0)).unwrap();
    let stop = &AtomicBool::new(false);
    let outputs: Vec<_> = thread::scope(|scope| {
        scope.spawn(move || {
            // Bursts of attempts, the log written back and begun anew, and a rest.
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..20 {
                    ledger.append(&[New::Attempt(Attempt::default())]).unwrap();
                }
                raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
                thread::sleep(Duration::from_millis(200));
            }
        });
        let outputs = (0..20).map(|_| reader.start(&path, &["audit", "--json"])).collect();
        stop.store(true, Ordering::Relaxed);
        outputs
    });
    for output in outputs {
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(String::from_utf8(output.stdout).unwrap().contains("\"problems\":[]"));
    }
}

#[test]
fn a_writer_is_told_what_it_lacks() {
    let reader = Reader::new();
    let (folder, path) = killed();
    let complaint_of = |ledger: &Path| {
        let before = contents(folder.path());
        let output = reader.start(ledger, &["provision", "--simulate", "1"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_eq!(contents(folder.path()), before);
        String::from_utf8(output.stderr).unwrap()
    };
    let closed = Closed::new(folder.path());
    let complaint = complaint_of(&path);
    assert!(complaint.contains("ledger.db: this user must have the right to write"), "{complaint}");
    // Nor is one made.
    let complaint = complaint_of(&folder.path().join("other.db"));
    assert!(complaint.contains("denied"), "{complaint}");
    // The file can be written, and its log cannot be made.
    drop(closed);
    drop(Ledger::open_or_create(&path).unwrap());
    let closed = Closed::new(folder.path());
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let complaint = complaint_of(&path);
    assert!(complaint.contains("ledger.db: this user must have the right to write"), "{complaint}");
    drop(closed);
}

#[test]
fn a_loss_is_seen_in_a_copy_too() {
    let reader = Reader::new();
    let (folder, path) = killed();
    let head = fs::read_to_string(head_file_of(&path)).unwrap();
    let (_, hash) = head.split_once(' ').unwrap();
    fs::write(head_file_of(&path), format!("99 {hash}")).unwrap();
    let closed = Closed::new(folder.path());
    let output = reader.start(&path, &["list"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("it had 99 links"), "{complaint}");
    drop(closed);
    // Nothing that cannot be read is read.
    fs::set_permissions(&path, Permissions::from_mode(0o0)).unwrap();
    let output = reader.start(&path, &["list"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("ledger.db") && complaint.contains("denied"), "{complaint}");
}
