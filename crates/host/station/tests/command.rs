// SPDX-License-Identifier: Apache-2.0

//! `cargo station` as a person uses it.

mod common;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::edits::{edits, sample, tamper};
use common::{kit_line, record_in, run_messages};
use provisioning::console::{ModelledSilicon, NONCE_PROMPT, RECORD_PREFIX};
use provisioning::{Cause, Config, Failure, IdentityKeySource, Written};
use serde_json::Value;
use silicon::{Silicon, Soc};
use station::ledger::{Attempt, Begun, Ledger, New, NewEnd, NewEntry, NewOutcome};
use station::transcript::Transcript;
use tempfile::TempDir;

/// A station in a folder of its own.
struct Station(TempDir);

impl Station {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn start(&self, arguments: &[&str], stdin: &[u8]) -> Output {
        let mut station = Command::new(env!("CARGO_BIN_EXE_station"))
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read it may be gone.
        let _ = station.stdin.take().unwrap().write_all(stdin);
        station.wait_with_output().unwrap()
    }

    /// Runs a command that is to end with that code, and gives its standard output.
    #[track_caller]
    fn run(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.start(arguments, b"");
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// As `run`, for objects a line.
    #[track_caller]
    fn json(&self, code: i32, arguments: &[&str]) -> Vec<Value> {
        self.run(code, &[arguments, &["--json"]].concat())
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Verifies a log, which is to end with that code, and gives its standard output.
    #[track_caller]
    fn verify(&self, code: i32, arguments: &[&str], log: &str) -> String {
        let output = self.start(&[&["verify"], arguments].concat(), log.as_bytes());
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that cannot be carried out, and gives its complaint.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.start(arguments, b"");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    }
}

/// What `cargo sim` prints of a part in the last of so many runs, after the line about the model.
fn console(source: IdentityKeySource, runs: usize) -> String {
    let part = Silicon::erased(Soc::Nrf9160, [0x31; 32]);
    let messages = run_messages(part, &Config::new(common::id(), source), runs);
    messages.join("\n") + "\n"
}

/// A console whose record has another first byte.
fn with_bad_record(console: &str) -> String {
    let bad = console.replace(&format!("{RECORD_PREFIX}gtK"), &format!("{RECORD_PREFIX}htK"));
    assert_ne!(bad, console);
    bad
}

/// Appends an entry, as a station would that believes the record.
fn append(ledger: &mut Ledger, identity: station::Identity, record: Vec<u8>) {
    let outcome = NewOutcome {
        attempt: Begun::Now(Attempt { port: String::from("port"), ..Attempt::default() }),
        end: NewEnd::Good(NewEntry { identity, record }),
        serial_number: None,
        image: None,
        steps: Vec::new(),
        console: Transcript::default(),
    };
    let kept = ledger.append(&[New::Outcome(Box::new(outcome))]).unwrap();
    kept[0].entry.unwrap().unwrap();
}

/// Appends an entry whose record is of another part: a new chain can be made by anybody, a signature cannot.
fn append_forged(folder: &Path) {
    let mut ledger = Ledger::open_or_create(&folder.join("ledger.db")).unwrap();
    let (mut identity, record) = checked(&console(IdentityKeySource::Generated, 1));
    identity.device_id = station::DeviceId([9; 8]);
    append(&mut ledger, identity, record);
}

/// The part in a console, and its record.
fn checked(console: &str) -> (station::Identity, Vec<u8>) {
    let text = record_in(console.lines());
    let wanted = station::record::Wanted { allow_dummy: true, ..Default::default() };
    let (record, bytes) = station::part::check(text, None, &wanted).unwrap();
    (record.identity, bytes)
}

#[test]
fn from_blank_parts_to_endorsements_in_one_command_each() {
    let station = Station::new();
    let printed = station.run(0, &["provision", "--simulate", "20"]);
    assert_eq!(printed.matches(": entered as ").count(), 20, "{printed}");
    assert!(printed.contains("20 of 20 parts entered"), "{printed}");
    let runs = "20 runs: 20 good, 0 known already, 0 failed; 0 of them retries";
    assert!(printed.contains(runs), "{printed}");
    let ledger = "The ledger has 20 entries in 40 links. Its head, to write down: ";
    assert!(printed.contains(ledger), "{printed}");
    let head = printed.trim_end().rsplit(' ').next().unwrap();

    let audited = station.run(0, &["audit", "--head", head]);
    assert_eq!(audited, format!("20 entries, 20 attempts, all of them good. Head: {head}\n"));
    for profile in ["psa-iot-1", "psa-2025-text", "psa-2025"] {
        let exported = station.run(0, &["export", "--profile", profile, "--output", profile]);
        assert!(
            exported.starts_with(&format!("20 parts as {profile} in {profile}: ")),
            "{exported}"
        );
        for file in ["comid.json", "corim.json", "endorsements.cbor"] {
            assert!(station.path().join(profile).join(file).exists());
        }
    }
    // What is there is not written over.
    let complaint = station.refused(&["export", "--profile", "psa-2025", "--output", "psa-2025"]);
    assert!(complaint.contains("there is an earlier export"), "{complaint}");
    station.run(0, &["export", "--profile", "psa-2025", "--output", "psa-2025", "--overwrite"]);
}

#[test]
fn every_part_is_in_the_list_and_can_be_shown() {
    let station = Station::new();
    let entered = station.json(0, &["provision", "--simulate", "7"]);
    let (end, entered) = entered.split_last().unwrap();
    assert_eq!(entered.len(), 7);
    assert_eq!(
        [&end["event"], &end["good"], &end["ledger_entries"]],
        ["end", "7", "7"]
            .map(|text| {
                serde_json::from_str::<Value>(text).unwrap_or_else(|_| Value::from(text))
            })
            .each_ref()
    );
    let list = station.run(0, &["list"]);
    assert_eq!(list.lines().count(), 8, "{list}");
    for (part, row) in entered.iter().zip(station.json(0, &["list"])) {
        for name in ["number", "hash", "device_id", "ueid", "implementation_id"] {
            assert_eq!(part[name], row[name], "{name}");
        }
        let ueid = part["ueid"].as_str().unwrap();
        assert!(list.contains(ueid));
        let shown = station.run(0, &["show", ueid]);
        assert!(shown.contains(part["device_id"].as_str().unwrap()), "{shown}");
        assert!(shown.contains(" bytes, signed by the key below"), "{shown}");
        assert!(shown.contains("-----BEGIN PUBLIC KEY-----"), "{shown}");
        // SHA-256 of nothing: a modelled part has no image of its own.
        let image = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert!(shown.contains(&format!("image              0.1.0, SHA-256 {image}\n")), "{shown}");
        let mut row = row;
        row["image_version"] = "0.1.0".into();
        row["image_sha256"] = image.into();
        assert_eq!(station.json(0, &["show", ueid]), [row]);
    }
    assert_eq!(station.run(1, &["show", &format!("01{}", "00".repeat(32))]), "");
}

#[test]
fn the_serial_ports_are_listed() {
    let station = Station::new();
    let ports = station::port::list::list().unwrap();
    let text = station.run(0, &["ports"]);
    let objects = station.json(0, &["ports"]);
    assert_eq!(objects.len(), ports.len());
    for (port, object) in ports.iter().zip(&objects) {
        let argument = port.argument().to_str().unwrap();
        assert_eq!(
            (&object["name"], &object["argument"]),
            (&port.name.clone().into(), &argument.into())
        );
        assert!(text.contains(&format!("\n    --port {argument}\n")), "{text}");
    }
    let output = station.start(&["ports"], b"");
    let says_none = output.stderr.starts_with(b"There is no serial port. Connect");
    assert_eq!(says_none, ports.is_empty(), "{output:?}");
}

#[test]
fn a_part_is_entered_once() {
    let station = Station::new();
    station.run(0, &["provision", "--simulate", "3", "--seed", "1"]);
    let again = station.json(0, &["provision", "--simulate", "4", "--seed", "1"]);
    let known: Vec<_> = again.iter().filter(|event| event["event"] == "known").collect();
    assert_eq!(known.len(), 3, "{again:?}");
    let end = again.last().unwrap();
    assert_eq!([&end["begun"], &end["good"], &end["known"]], [4, 1, 3]);
    let printed = station.run(0, &["provision", "--simulate", "1", "--seed", "1"]);
    assert!(printed.contains("KNOWN: entry "), "{printed}");
    assert!(printed.contains(" has this part already. Take it out"), "{printed}");
    assert_eq!(station.json(0, &["list"]).len(), 4);
    station.run(0, &["audit"]);
}

#[test]
fn a_changed_ledger_shows() {
    let station = Station::new();
    station.run(0, &["provision", "--simulate", "3"]);
    let ledger = rusqlite::Connection::open(station.path().join("ledger.db")).unwrap();
    ledger
        .execute_batch(
            "DROP TRIGGER entries_are_not_changed;
             UPDATE entries SET record = x'00' WHERE number = 2;",
        )
        .unwrap();
    drop(ledger);
    // No command does anything with it.
    for command in [
        &["audit"][..],
        &["list"],
        &["show", &format!("01{}", "00".repeat(32))],
        &["export", "--profile", "psa-2025"],
        &["provision", "--simulate", "1"],
    ] {
        let output = station.start(command, b"");
        assert_eq!((output.status.code(), output.stdout), (Some(1), vec![]), "{command:?}");
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(complaint.contains("guards it: entries_are_not_changed"), "{complaint}");
    }
    assert!(!station.path().join("endorsements").exists());
}

/// What is in a folder, if there is one.
fn contents(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = files
        .map(|file| file.unwrap().path())
        .map(|file| (file.clone(), fs::read(file).unwrap()))
        .collect();
    files.sort();
    files
}

/// Each kind of edit that an audit sees.
#[test]
fn nothing_leaves_a_tampered_ledger() {
    let line = Station::new();
    // Whose records are good.
    let parts = [1, 2, 3, 4, 5].map(|seed| {
        let config = Config::new(common::id(), IdentityKeySource::Generated);
        let messages = run_messages(Silicon::erased(Soc::Nrf5340, [seed; 32]), &config, 1);
        let (identity, record) = checked(&messages.join("\n"));
        NewEntry { identity, record }
    });
    let ueids = parts.each_ref().map(|part| part.identity.ueid().to_string());
    sample(&line.path().join("ledger.db"), parts);
    let export = ["export", "--profile", "psa-2025"];
    line.run(0, &export);
    let earlier = contents(&line.path().join("endorsements"));
    assert_eq!(earlier.len(), 3);

    for (edit, problems) in &edits() {
        let station = Station::new();
        let (ledger, output) =
            (station.path().join("ledger.db"), station.path().join("endorsements"));
        fs::copy(line.path().join("ledger.db"), &ledger).unwrap();
        tamper(&ledger, edit);
        let code = i32::from(!problems.is_empty());
        let assert_printed = |printed: &str| {
            for problem in problems {
                assert!(printed.contains(&problem.to_string()), "{edit}: {problem}: {printed}");
            }
        };

        // An empty folder stays one, an earlier export stays as it is, and a range is no way around.
        if code == 1 {
            let exported = station.start(&export, b"");
            assert_eq!(exported.status.code(), Some(1), "{edit}");
            assert_printed(&String::from_utf8(exported.stdout).unwrap());
            let complaint = String::from_utf8(exported.stderr).unwrap();
            assert!(complaint.contains("NOT GOOD. Nothing was exported"), "{complaint}");
            assert!(!output.exists(), "{edit}");
            fs::create_dir(&output).unwrap();
            for (file, content) in &earlier {
                fs::write(output.join(file.file_name().unwrap()), content).unwrap();
            }
            let before = contents(&output);
            station.run(1, &[&export[..], &["--overwrite"]].concat());
            let range = ["--overwrite", "--entries", "1..2", "--json"];
            let printed = station.run(1, &[&export[..], &range].concat());
            let line: Value = serde_json::from_str(&printed).unwrap();
            assert!(!line["problems"].as_array().unwrap().is_empty());
            assert!(contents(&output) == before, "{edit}: an output file was changed");
        } else {
            station.run(0, &export);
        }

        // The list has all that can be read, and what is wrong.
        let list = station.run(code, &["list"]);
        assert_printed(&list);
        let rows = station.json(code, &["list"]);
        assert_eq!(rows.iter().any(|row| row["problems"] != Value::Array(vec![])), code == 1);
        for row in rows.iter().filter_map(|row| row["ueid"].as_str()) {
            assert!(list.contains(row), "{edit}");
        }
        let listed = rows.iter().flat_map(|row| row["problems"].as_array().unwrap());
        let listed: Vec<_> = listed.map(|problem| problem.as_str().unwrap()).collect();
        for problem in problems {
            assert!(listed.contains(&problem.to_string().as_str()), "{edit}: {listed:?}");
        }

        // A part is shown with what is wrong with it.
        for ueid in &ueids {
            let row = rows.iter().find(|row| row["ueid"] == **ueid);
            let shown = station.start(&["show", ueid], b"");
            assert_eq!(shown.status.code(), Some(code), "{edit}");
            let text = String::from_utf8(shown.stdout).unwrap();
            let complaint = String::from_utf8(shown.stderr).unwrap();
            assert_eq!(complaint.contains("the ledger is NOT GOOD"), code == 1, "{complaint}");
            assert_eq!(complaint.contains("no entry is of the part"), row.is_none(), "{complaint}");
            for problem in row.iter().flat_map(|row| row["problems"].as_array().unwrap()) {
                let problem = format!("NOT GOOD: {}", problem.as_str().unwrap());
                assert!(text.contains(&problem), "{edit}: {text}");
            }
        }
    }
}

/// A whole new chain shows by the head that was written down, and by the records that nobody else can sign.
#[test]
fn an_export_is_of_the_ledger_whose_head_was_written_down() {
    let station = Station::new();
    station.run(0, &["provision", "--simulate", "3"]);
    let heads: Vec<_> = station.json(0, &["list"]).iter().map(|row| row["hash"].clone()).collect();
    let export = |code, arguments: &[&str]| {
        let export = ["export", "--profile", "psa-2025", "--overwrite"];
        station.run(code, &[&export, arguments].concat())
    };
    for head in &heads {
        export(0, &["--head", head.as_str().unwrap()]);
    }
    let before = contents(&station.path().join("endorsements"));
    let printed = export(1, &["--head", &("00".repeat(31) + "01")]);
    assert!(printed.contains("the expected head is not the hash of a link"), "{printed}");
    assert!(contents(&station.path().join("endorsements")) == before);

    append_forged(station.path());
    let problem = "link 8: its record is bad: it is of another part than the entry says";
    for printed in [export(1, &[]), export(1, &["--entries", "4..4"]), station.run(1, &["list"])] {
        assert!(printed.contains(problem), "{printed}");
    }
    assert!(contents(&station.path().join("endorsements")) == before);
    // Of the others the records are good.
    export(0, &["--entries", "1..3"]);
}

#[test]
fn a_lost_ledger_is_reported_by_every_command() {
    let station = Station::new();
    let head = station.path().join("elsewhere");
    let head_file = ["--head-file", head.to_str().unwrap()];
    station.run(0, &[&["provision", "--simulate", "3"], &head_file[..]].concat());
    assert_eq!(fs::read(&head).unwrap(), fs::read(station.path().join("ledger.db-head")).unwrap());
    for command in [
        &["audit"][..],
        &["list"],
        &["show", &format!("01{}", "00".repeat(32))],
        &["export", "--profile", "psa-2025"],
        &["provision", "--simulate", "1"],
    ] {
        let _ = fs::remove_file(station.path().join("ledger.db"));
        // Beside the ledger and elsewhere, and then elsewhere alone.
        for _ in 0..2 {
            let output = station.start(&[command, &head_file].concat(), b"");
            assert_eq!((output.status.code(), output.stdout), (Some(1), vec![]), "{command:?}");
            let complaint = String::from_utf8(output.stderr).unwrap();
            assert!(complaint.contains("the ledger is gone, and it had 6 links"), "{complaint}");
            assert!(!station.path().join("ledger.db").exists());
            let _ = fs::remove_file(station.path().join("ledger.db-head"));
        }
        fs::copy(&head, station.path().join("ledger.db-head")).unwrap();
    }
}

#[test]
fn the_audit_reads_each_record() {
    let station = Station::new();
    station.run(0, &["provision", "--simulate", "2"]);
    let audited = station.json(0, &["audit"]);
    assert_eq!(audited[0]["problems"], Value::Array(Vec::new()));
    let head = "00".repeat(31) + "01";
    let other = station.run(1, &["audit", "--head", &head]);
    assert!(other.contains("the expected head is not the hash of a link"), "{other}");

    append_forged(station.path());
    let audited = station.run(1, &["audit"]);
    let problem = "link 6: its record is bad: it is of another part than the entry says";
    assert!(audited.contains(problem), "{audited}");
}

#[test]
fn entries_are_exported_in_ranges() {
    let station = Station::new();
    station.run(0, &["provision", "--simulate", "5"]);
    let exported = station.json(
        0,
        &["export", "--profile", "psa-2025", "--instance-id", "tfm-2.1", "--entries", "2..4"],
    );
    assert_eq!(exported[0]["parts"], 3);
    let comid: Value =
        serde_json::from_slice(&fs::read(station.path().join("endorsements/comid.json")).unwrap())
            .unwrap();
    assert_eq!(comid["triples"]["attester-verification-keys"].as_array().unwrap().len(), 3);
    for range in ["0..3", "2..6"] {
        let complaint = station.refused(&[
            "export",
            "--profile",
            "psa-2025",
            "--overwrite",
            "--entries",
            range,
        ]);
        assert!(complaint.contains("the ledger has 5 entries"), "{complaint}");
    }
    for range in ["4..2", "4", "a..b"] {
        let complaint = station.refused(&[
            "export",
            "--profile",
            "psa-2025",
            "--overwrite",
            "--entries",
            range,
        ]);
        assert!(complaint.contains("FIRST..LAST"), "{complaint}");
    }
}

#[test]
fn an_export_that_no_verifier_takes_at_once_is_split_with_a_warning() {
    let station = Station::new();
    station.run(0, &["provision", "--simulate", "5"]);
    let export = ["export", "--profile", "psa-2025", "--instance-id", "tfm-2.1", "--overwrite"];
    let whole = station.json(0, &export);
    let files = &whole[0]["files"];
    assert_eq!(files.as_array().unwrap().len(), 1);
    assert_eq!(files[0]["endorsements"], "endorsements.cbor");
    assert_eq!((&files[0]["parts"], &files[0]["bytes"]), (&5.into(), &whole[0]["bytes"]));

    let export = [&export[..], &["--max-bytes", "1000"]].concat();
    let output = station.start(&export, b"");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(warning.starts_with("warning: one file would have more than 1000 bytes"), "{warning}");
    assert!(warning.contains("There are 3: send each of them"), "{warning}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 3, "{printed}");
    let split = station.json(0, &export);
    let files = split[0]["files"].as_array().unwrap();
    assert_eq!(files.len(), 3);
    let mut sum = [0, 0];
    for ((file, line), number) in files.iter().zip(lines).zip(1..) {
        let [parts, bytes] = ["parts", "bytes"].map(|name| file[name].as_u64().unwrap());
        assert!(bytes <= 1000);
        sum = [sum[0] + parts, sum[1] + bytes];
        let names = [
            (format!("comid-{number}.json"), "comid"),
            (format!("corim-{number}.json"), "corim"),
            (format!("endorsements-{number}.cbor"), "endorsements"),
        ];
        for (name, member) in names {
            assert!(line.contains(&name), "{line}");
            assert_eq!(file[member], name);
            let length =
                fs::metadata(station.path().join("endorsements").join(name)).unwrap().len();
            assert!(length == bytes || member != "endorsements");
        }
        assert!(
            line.starts_with(&format!("{parts} parts as psa-2025 in endorsements: ")),
            "{line}"
        );
        assert!(line.contains(&format!("({bytes} bytes)")), "{line}");
    }
    assert_eq!(sum, [5, split[0]["bytes"].as_u64().unwrap()]);
    assert_eq!(split[0]["parts"], 5);
    // No file of the export that was one.
    assert_eq!(contents(&station.path().join("endorsements")).len(), 9);

    let said = station.refused(&[&export[..6], &["--max-bytes", "100"]].concat());
    assert!(said.contains("a file with one part has 6"), "{said}");
}

#[test]
fn a_log_is_verified() {
    let station = Station::new();
    let verify = |code, arguments: &[&str], log: &str| station.verify(code, arguments, log);
    let log = console(IdentityKeySource::Generated, 1);
    let good = verify(0, &[], &log);
    assert!(good.contains("good: UEID 01"), "{good}");
    assert!(good.contains("device ID 3131313131313131"), "{good}");
    verify(0, &["--implementation-id", &"C7".repeat(32)], &log);
    // A part that is complete prints its record again.
    verify(0, &[], &console(IdentityKeySource::Generated, 2));

    let other = verify(1, &["--implementation-id", &"C8".repeat(32)], &log);
    assert!(other.contains("the implementation ID of the record is c7c7"), "{other}");
    let dummy = console(IdentityKeySource::Dummy, 1);
    let refused = verify(1, &[], &dummy);
    assert!(refused.contains("test-only key"), "{refused}");
    verify(0, &["--allow-dummy"], &dummy);
    let bad = verify(1, &[], &with_bad_record(&log));
    assert!(bad.starts_with("standard input:1: run 1: NOT GOOD: the "), "{bad}");
    for (log, error) in [
        ("", "no-run"),
        ("Hello\n", "no-run"),
        (&log[..log.len() - 2], "console"),
        (&log[40..], "console"),
    ] {
        let printed = verify(1, &["--json"], log);
        let event: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!([&event["event"], &event["error"], &event["file"]], ["bad", error, "-"]);
    }
    let failure =
        Failure { cause: Cause::RandomIsZero, written: Written::Nothing, ueid: None }.to_string();
    let failed = verify(1, &[], &format!("{failure}\n"));
    assert!(failed.contains(&format!("the part says: {failure}")), "{failed}");
    assert!(!station.path().join("ledger.db").exists(), "a ledger was made");
}

/// Each run of each file has a verdict, and a file that cannot be read stops nothing.
#[test]
fn every_run_of_every_log_is_verified() {
    let station = Station::new();
    let run = |runs| console(IdentityKeySource::Generated, runs);
    let (good, again) = (run(1), run(2));
    let failure = Failure { cause: Cause::RandomIsZero, written: Written::Nothing, ueid: None };
    let shift =
        [&good, "Hello\n", &with_bad_record(&good), &format!("{failure}\n"), &again].concat();
    // As a PowerShell redirects it, from a program that ends lines with CR LF.
    let mark = [0xFEFF].into_iter();
    let utf16: Vec<u8> = mark
        .chain(shift.replace('\n', "\r\r\n").encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let stamp = "\n[12:34:56.789] \x1B[32m";
    let stamped = format!("{stamp}{}", good.trim_end().replace('\n', stamp));
    for (name, content) in [
        ("shift.log", shift.as_bytes()),
        ("utf-16.log", &utf16),
        ("stamped.log", stamped.as_bytes()),
        ("empty.log", b""),
        ("shift.gz", b"\x1F\x8B\x08\0\0\0\0\0"),
    ] {
        fs::write(station.path().join(name), content).unwrap();
    }

    let printed = station.run(1, &["verify", "shift.log", "utf-16.log", "stamped.log"]);
    let count = good.lines().count();
    let lines = [1, count + 2, 2 * count + 2, 2 * count + 3];
    for file in ["shift.log", "utf-16.log"] {
        for (line, (verdict, number)) in lines.into_iter().zip([
            ("good: UEID 01", 1),
            ("NOT GOOD: the record ", 2),
            ("NOT GOOD: the part says: Failure: ", 3),
            ("good: UEID 01", 4),
        ]) {
            let expected = format!("{file}:{line}: run {number}: {verdict}");
            assert!(printed.contains(&expected), "{expected}: {printed}");
        }
    }
    assert!(printed.contains("\nstamped.log:2: run 1: good: UEID 01"), "{printed}");
    assert!(printed.ends_with("\nRuns: 5 good, 4 NOT GOOD.\n"), "{printed}");
    assert!(!station.run(0, &["verify", "stamped.log"]).contains("Runs: "));

    let events = station.json(1, &["verify", "shift.log", "empty.log", "shift.gz"]);
    let members = |name| events.iter().map(|event| event[name].clone()).collect::<Vec<_>>();
    let file = "shift.log";
    assert_eq!(members("file"), [file, file, file, file, "empty.log", "shift.gz"]);
    assert_eq!(members("event"), ["good", "bad", "bad", "good", "bad", "bad"]);
    let none = || Value::Null;
    let errors = ["record", "failed", "no-run", "no-run"].map(Value::from);
    let [record, failed, empty, gzip] = errors;
    assert_eq!(members("error"), [none(), record, failed, none(), empty, gzip]);
    let numbers = |numbers: [usize; 4]| {
        numbers.map(Value::from).into_iter().chain([none(), none()]).collect::<Vec<_>>()
    };
    assert_eq!(members("run"), numbers([1, 2, 3, 4]));
    assert_eq!(members("line"), numbers(lines));
    assert_eq!(events[3]["ueid"], events[0]["ueid"]);
    assert!(events[5]["text"].as_str().unwrap().contains("the file is compressed with gzip. "));

    // What cannot be read is named, after the rest was judged.
    let output =
        station.start(&["verify", "nowhere.log", "-", ".", "stamped.log"], good.as_bytes());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.starts_with("standard input:1: run 1: good: "), "{printed}");
    assert!(printed.contains("stamped.log:2: run 1: good: "), "{printed}");
    let complaint = String::from_utf8(output.stderr).unwrap();
    let complaints: Vec<_> = complaint.lines().collect();
    assert!(complaints[0].starts_with("error: nowhere.log cannot be read: "), "{complaint}");
    assert!(complaints[1].starts_with("error: . cannot be read: "), "{complaint}");
    assert_eq!(complaints.len(), 2);
    assert!(!station.path().join("ledger.db").exists(), "a ledger was made");
}

/// A true record is not a fresh one, or a real part's.
#[test]
fn what_a_log_does_not_prove_is_said() {
    let station = Station::new();
    let verify = |code, arguments: &[&str], log: &str| station.verify(code, arguments, log);
    let own = console(IdentityKeySource::Generated, 1);
    let not_proven = |arguments: &[&str], log: &str| {
        let printed = verify(0, arguments, log);
        let event: Value =
            serde_json::from_str(&verify(0, &[arguments, &["--json"]].concat(), log)).unwrap();
        let words = event["not_proven"].as_array().unwrap();
        assert_eq!(printed.matches("\n    not proven: that ").count(), words.len(), "{printed}");
        (printed, words.iter().map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>())
    };
    let (printed, words) = not_proven(&[], &own);
    assert!(printed.contains("fresh: the image asked for no nonce"), "{printed}");
    assert_eq!(words, ["no-nonce"]);

    let nonce = "5A".repeat(32);
    let mut config = Config::new(common::id(), IdentityKeySource::Generated);
    config.nonce = provisioning::Nonce::from_hex(&nonce);
    let part = Silicon::erased(Soc::Nrf9160, [0x31; 32]);
    let asked = [vec![NONCE_PROMPT.to_owned()], run_messages(part, &config, 1)].concat().join("\n");
    let (printed, words) = not_proven(&[], &asked);
    assert!(printed.contains("its nonce may be anybody's"), "{printed}");
    assert_eq!(words, ["any-nonce"]);
    assert_eq!(not_proven(&["--nonce", &nonce], &asked).1, Vec::<String>::new());
    let refused = verify(1, &["--nonce", &"5B".repeat(32)], &asked);
    assert!(refused.contains("NOT GOOD: the record has another nonce"), "{refused}");
    let said = station.refused(&["verify", "--nonce", &nonce[2..]]);
    assert!(said.contains("a nonce has 64 hexadecimal digits"), "{said}");

    let modelled = ModelledSilicon { part: "nrf9160", seed: 49 }.to_string() + "\n" + &own;
    let (printed, words) = not_proven(&["--allow-modelled"], &modelled);
    assert!(printed.contains("modelled silicon, whose keys are not secret"), "{printed}");
    assert_eq!(words, ["no-nonce", "modelled"]);
    let dummy = console(IdentityKeySource::Dummy, 1);
    let (printed, words) = not_proven(&["--allow-dummy"], &dummy);
    assert!(printed.contains("everybody knows the test-only key"), "{printed}");
    assert_eq!(words, ["no-nonce", "dummy-key"]);
}

/// Modelled silicon says so before its run, bare or as an image does.
#[test]
fn modelled_silicon_is_verified_on_request_only() {
    let station = Station::new();
    let verify = |code, arguments: &[&str], log: &str| station.verify(code, arguments, log);
    let log = console(IdentityKeySource::Generated, 1);
    let line = ModelledSilicon { part: "nrf9160", seed: 49 }.to_string();
    for line in [format!("{line}\n"), kit_line(&line)] {
        let modelled = format!("{line}{log}");
        let refused = verify(1, &[], &modelled);
        assert!(refused.contains("run 1: NOT GOOD: this is modelled silicon"), "{refused}");
        let event: Value = serde_json::from_str(&verify(1, &["--json"], &modelled)).unwrap();
        assert_eq!([&event["event"], &event["error"]], ["bad", "modelled"]);
        assert!(verify(0, &["--allow-modelled"], &modelled).contains("good: UEID 01"));
        // A bad record stays bad.
        verify(1, &["--allow-modelled"], &with_bad_record(&modelled));
    }
    assert!(!station.path().join("ledger.db").exists(), "a ledger was made");
}

#[test]
fn the_dummy_key_gets_in_and_out_on_request_only() {
    let station = Station::new();
    station.run(0, &["provision", "--simulate", "2"]);
    let mut ledger = Ledger::open_or_create(&station.path().join("ledger.db")).unwrap();
    let (identity, record) = checked(&console(IdentityKeySource::Dummy, 1));
    append(&mut ledger, identity, record);
    drop(ledger);

    let audited = station.run(1, &["audit"]);
    assert!(audited.contains("link 6: its record is bad"), "{audited}");
    station.run(0, &["audit", "--allow-dummy"]);
    let parts = |arguments: &[&str]| {
        let export = ["export", "--profile", "psa-2025", "--overwrite"];
        station.json(0, &[&export, arguments].concat())[0]["parts"].clone()
    };
    assert_eq!(parts(&[]), 2);
    assert_eq!(parts(&["--allow-dummy"]), 3);
}

#[test]
fn wrong_usage_is_explained_and_makes_no_ledger() {
    let station = Station::new();
    let no_port = "/dev/there-is-no-such-port";
    let some_id = "C7".repeat(32);
    // Windows does not tell the two apart.
    let no_such_port = if cfg!(windows) { "or it is not there" } else { "there is no port" };
    for (arguments, complaint) in [
        (&["provision"][..], "--implementation-id"),
        (&["provision", "--implementation-id", &some_id], "--port"),
        (&["provision", "--port", no_port], "--implementation-id"),
        (&["provision", "--port", no_port, "--implementation-id", "C7"], "64 hexadecimal digits"),
        (&["provision", "--port", no_port, "--implementation-id", &some_id], no_such_port),
        (&["provision", "--simulate", "0"], "--simulate"),
        (&["provision", "--simulate", "1", "--line-timeout", "0"], "--line-timeout"),
        (&["provision", "--port", no_port, "--give-up-after", "0"], "--give-up-after"),
        (&["provision", "--simulate", "1", "--port", no_port], "cannot be used with"),
        (&["export", "--profile", "psa"], "psa-iot-1, psa-2025-text, psa-2025"),
        (&["export", "--profile", "psa-2025"], "there is no ledger here"),
        (&["audit"], "there is no ledger here"),
        (&["audit", "--head", "12"], "64 hexadecimal digits"),
        (&["list"], "there is no ledger here"),
        (&["show", "01ab"], "there is no ledger here"),
        (&["audit", "--head-file", "nowhere"], "nowhere: no head was kept here"),
    ] {
        let said = station.refused(arguments);
        assert!(said.contains(complaint), "{arguments:?}: {said}");
        assert!(!station.path().join("ledger.db").exists(), "{arguments:?} made a ledger");
    }
    fs::write(station.path().join("letter.txt"), "Dear all").unwrap();
    let said = station.refused(&["provision", "--simulate", "1", "--ledger", "letter.txt"]);
    assert!(said.contains("this is not a ledger"), "{said}");
    assert_eq!(fs::read(station.path().join("letter.txt")).unwrap(), b"Dear all");
}
