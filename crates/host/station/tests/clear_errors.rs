// SPDX-License-Identifier: Apache-2.0

//! What the operating system refuses, in a line that says what to do, and with exit code 2.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use station::ledger::VERSION;
use tempfile::TempDir;

const EXPORT: [&str; 3] = ["export", "--profile", "psa-2025"];

/// A folder with a ledger of three parts, `ledger.db`.
fn line() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let provisioned = station(folder.path(), &["provision", "--simulate", "3"]).output().unwrap();
    assert_eq!(provisioned.status.code(), Some(0), "{provisioned:?}");
    folder
}

fn station(folder: &Path, arguments: &[&str]) -> Command {
    let mut station = Command::new(env!("CARGO_BIN_EXE_station"));
    station.args(arguments).current_dir(folder).stdin(Stdio::null());
    station
}

/// The one line of a command that cannot be carried out.
#[track_caller]
fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(said.starts_with("error: "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// A pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// As in `station list | head -1`, with a reader that is gone before the first line.
#[test]
fn a_command_whose_output_nobody_reads_says_so() {
    let line = line();
    let list = station(line.path(), &["list", "--json"]).output().unwrap();
    let first: serde_json::Value =
        serde_json::from_slice(list.stdout.split(|&byte| byte == b'\n').next().unwrap()).unwrap();
    let ueid = first["ueid"].as_str().unwrap();
    for command in [
        &["list"][..],
        &["list", "--json"],
        &["audit"],
        &["show", ueid],
        &["show", ueid, "--json"],
        &EXPORT,
        &["verify"],
        &["completions", "bash"],
        &["man"],
    ] {
        let output = station(line.path(), command).stdout(unread()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command:?}: {output:?}");
        let said = complaint(&output);
        assert!(said.contains("nobody reads standard output any more"), "{command:?}: {said}");
    }
}

/// The pipe of a shell, in which the reader ends after its line and before the writer.
#[cfg(unix)]
#[test]
fn a_pipe_to_head_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    // More than fits into a pipe.
    let provisioned =
        station(folder.path(), &["provision", "--simulate", "1000"]).output().unwrap();
    assert_eq!(provisioned.status.code(), Some(0));
    let pipe = "\"$1\" list | head -n 2; echo \"${PIPESTATUS[0]}\"";
    let output = Command::new("bash")
        .args(["-c", pipe, "bash", env!("CARGO_BIN_EXE_station")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 3, "{printed}");
    assert!(lines[0].starts_with("number") && lines[1].starts_with("     1  "), "{printed}");
    assert_eq!(lines[2], "2");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: nobody reads standard output any more"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// A panic would be code 101.
#[test]
fn where_nobody_reads_complaints_the_exit_code_is_the_same() {
    let line = line();
    let unknown = format!("01{}", "00".repeat(32));
    for (command, code) in [
        (&["list", "--ledger", "nowhere"][..], 2),
        (&["show", &unknown], 1),
        (&["no-such-command"], 2),
        (&["export", "--profile", "psa-2025", "--max-bytes", "1000"], 0),
    ] {
        let status = station(line.path(), command).stderr(unread()).output().unwrap().status;
        assert_eq!(status.code(), Some(code), "{command:?}");
    }
}

/// The parts go on, and are entered.
#[test]
fn a_batch_whose_output_nobody_reads_is_entered_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let provision = ["provision", "--simulate", "5"];
    let output = station(folder.path(), &provision).stdout(unread()).output().unwrap();
    assert!(complaint(&output).contains("nobody reads standard output any more"), "{output:?}");
    let list = station(folder.path(), &["list", "--json"]).output().unwrap();
    assert_eq!(String::from_utf8(list.stdout).unwrap().lines().count(), 5);
}

#[test]
fn a_folder_is_no_ledger() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("line 3")).unwrap();
    for command in [&["list"][..], &["audit"], &EXPORT, &["provision", "--simulate", "1"]] {
        for name in ["line 3", "line 3/", "."] {
            let arguments = [command, &["--ledger", name]].concat();
            let said = complaint(&station(folder.path(), &arguments).output().unwrap());
            assert!(said.contains("this is a folder, and a ledger is a file"), "{said}");
            assert!(said.contains("ledger.db"), "{said}");
        }
    }
    let head = ["provision", "--simulate", "1", "--head-file", "line 3"];
    let said = complaint(&station(folder.path(), &head).output().unwrap());
    assert!(said.contains("line 3: "), "{said}");
    assert_eq!(fs::read_dir(folder.path().join("line 3")).unwrap().count(), 0);
}

#[test]
fn a_ledger_of_another_version_is_named_and_left_alone() {
    let line = line();
    let file = line.path().join("ledger.db");
    // The next one, and any. Those that there were are read: tests/init.rs.
    for version in [VERSION + 1, 99] {
        let ledger = rusqlite::Connection::open(&file).unwrap();
        ledger.pragma_update(None, "user_version", version).unwrap();
        drop(ledger);
        let before = fs::read(&file).unwrap();
        for command in [&["list"][..], &["audit"], &EXPORT, &["provision", "--simulate", "1"]] {
            let said = complaint(&station(line.path(), command).output().unwrap());
            assert!(said.contains(&format!("this ledger has format {version}, ")), "{said}");
        }
        assert!(fs::read(&file).unwrap() == before);
    }
}

/// Rights bind everybody but root, as whom tests may run: then the station is another user's.
#[cfg(unix)]
mod rights {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;

    use super::*;

    /// Whom the system gives files of nobody's.
    const NOBODY: u32 = 65_534;

    /// The line, whose ledger and folder have these rights for everybody, and the station that is bound by them.
    struct Bound(TempDir);

    impl Bound {
        fn new(folder: u32, ledger: u32, head: u32) -> Self {
            let line = line();
            // In a folder that everybody may use, whatever those above the repository are. By another program: a
            // file that this one has open for writing cannot be run by another thread.
            let copied = Command::new("cp")
                .args([env!("CARGO_BIN_EXE_station"), "station"])
                .current_dir(line.path())
                .status();
            assert!(copied.unwrap().success());
            for (name, mode) in
                [("station", 0o755), ("ledger.db", ledger), ("ledger.db-head", head), (".", folder)]
            {
                let file = line.path().join(name);
                fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
            }
            Self(line)
        }

        fn run(&self, arguments: &[&str]) -> Output {
            let mut station = Command::new(self.0.path().join("station"));
            station.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
            if fs::metadata(self.0.path()).unwrap().uid() == 0 {
                station.uid(NOBODY).gid(NOBODY);
            }
            station.output().unwrap()
        }
    }

    impl Drop for Bound {
        /// Or else it could not be removed.
        fn drop(&mut self) {
            fs::set_permissions(self.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    const PROVISION: [&str; 3] = ["provision", "--simulate", "1"];

    #[track_caller]
    fn names_the_right(output: &Output, file: &str) {
        let said = complaint(output);
        assert!(said.contains(file), "{said}");
        assert!(
            said.contains("Permission denied") || said.contains("must have the right"),
            "{said}"
        );
    }

    #[test]
    fn a_ledger_that_cannot_be_read() {
        let line = Bound::new(0o777, 0o000, 0o644);
        for command in [&["list"][..], &["audit"], &EXPORT, &PROVISION] {
            names_the_right(&line.run(command), "ledger.db");
        }
    }

    #[test]
    fn a_head_that_cannot_be_read() {
        let line = Bound::new(0o777, 0o666, 0o000);
        for command in [&["list"][..], &["audit"], &EXPORT, &PROVISION] {
            names_the_right(&line.run(command), "ledger.db-head");
        }
    }

    #[test]
    fn a_ledger_that_cannot_be_written() {
        names_the_right(&Bound::new(0o777, 0o444, 0o644).run(&PROVISION), "ledger.db");
    }

    #[test]
    fn a_folder_that_cannot_be_written() {
        let line = Bound::new(0o555, 0o666, 0o666);
        names_the_right(&line.run(&PROVISION), "ledger.db");
        let other = [&PROVISION[..], &["--ledger", "new.db"]].concat();
        names_the_right(&line.run(&other), "new.db");
        assert!(!line.0.path().join("new.db").exists());
    }

    #[test]
    fn a_folder_for_an_export_that_cannot_be_written() {
        let line = Bound::new(0o777, 0o666, 0o666);
        let output = line.0.path().join("of root");
        fs::create_dir(&output).unwrap();
        fs::set_permissions(&output, fs::Permissions::from_mode(0o555)).unwrap();
        names_the_right(&line.run(&[&EXPORT[..], &["--output", "of root"]].concat()), "of root");
        names_the_right(
            &line.run(&[&EXPORT[..], &["--output", "of root/x"]].concat()),
            "of root/x",
        );
        assert_eq!(fs::read_dir(&output).unwrap().count(), 0);
    }

    /// Each of the refusals above is one of the rights alone.
    #[test]
    fn with_all_rights_nothing_is_refused() {
        let line = Bound::new(0o777, 0o666, 0o666);
        for command in [&["list"][..], &["audit"], &EXPORT, &PROVISION] {
            let output = line.run(command);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        }
    }
}

/// Another error than a pipe without a reader is not passed over.
#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_named() {
    let line = line();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let said = complaint(&station(line.path(), &["list"]).stdout(full).output().unwrap());
    assert!(said.contains("No space left on device"), "{said}");
}
