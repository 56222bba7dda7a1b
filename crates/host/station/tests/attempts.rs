// SPDX-License-Identifier: Apache-2.0

//! What is told of the runs of a line: attempts, stats, and the rework of a part.

mod common;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use common::entry;
use jiff::Timestamp;
use provisioning::Measurement;
use serde_json::{Value, json};
use station::clock::{Clock, SystemClock};
use station::ledger::{
    Attempt, Author, Begun, Failed, Ledger, New, NewEnd, NewOutcome, Program, Step, Text,
};
use station::transcript::Transcript;
use tempfile::TempDir;

/// A clock that a test sets, in milliseconds since 1970.
#[derive(Debug)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::Relaxed)).unwrap()
    }

    fn instant(&self) -> Instant {
        SystemClock.instant()
    }
}

/// A ledger whose runs a test makes up.
struct Shift {
    ledger: Ledger,
    hands: Arc<Hands>,
    folder: TempDir,
}

/// 2030-01-01T00:00Z.
const MIDNIGHT: i64 = 1_893_456_000_000;
const HOUR: i64 = 3_600_000;

impl Shift {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open_or_create(&folder.path().join("ledger.db")).unwrap();
        let hands = Arc::new(Hands(AtomicI64::new(MIDNIGHT)));
        ledger.set_clock(Arc::clone(&hands) as Arc<dyn Clock>, false);
        Self { ledger, hands, folder }
    }

    fn work(&mut self, operator: &str) {
        let (station, operator) = (Some(String::from("line 1")), Some(operator.to_owned()));
        self.ledger.set_author(Author { station, operator });
    }

    fn begin(&mut self, port: &str, serial_number: Option<&str>) -> u64 {
        let serial_number = serial_number.map(ToOwned::to_owned);
        let batch = Some(String::from("b7"));
        let attempt = Attempt { port: port.to_owned(), batch, serial_number };
        self.ledger.append(&[New::Attempt(attempt)]).unwrap()[0].link.number
    }

    /// Ends a run after so many milliseconds.
    fn end(&mut self, attempt: u64, serial_number: Option<&str>, end: NewEnd, milliseconds: i64) {
        self.hands.0.fetch_add(milliseconds, Ordering::Relaxed);
        let mut console = Transcript::default();
        console.push(b"E: \x1b[31mred\r\n=1+1\r\n");
        let outcome = NewOutcome {
            attempt: Begun::Link(attempt),
            image: matches!(end, NewEnd::Good(_)).then_some(Measurement([0xAB; 32])),
            end,
            serial_number: serial_number.map(ToOwned::to_owned),
            steps: vec![Step { name: String::from("huk"), milliseconds: 70 }],
            console,
        };
        self.ledger.append(&[New::Outcome(Box::new(outcome))]).unwrap();
    }

    fn run(&mut self, port: &str, serial_number: Option<&str>, end: NewEnd, milliseconds: i64) {
        let attempt = self.begin(port, serial_number);
        self.end(attempt, serial_number, end, milliseconds);
    }
}

fn failed(error: &str, failure: Option<u8>) -> NewEnd {
    let (error, text) = (error.to_owned(), String::from("=HYPERLINK(\"x\")"));
    NewEnd::Failed(Failed { error, failure, text, ..Failed::default() })
}

fn good(n: u8) -> NewEnd {
    NewEnd::Good(entry(n))
}

/// A shift of three hours, with what happens in one.
fn shift() -> Shift {
    let mut shift = Shift::new();
    shift.work("ann");
    shift.run("a", Some("S1"), good(1), 1000); // 1, 2
    shift.run("a", Some("S2"), failed("failed", Some(8)), 500); // 3, 4
    shift.run("a", Some("S2"), good(2), 2000); // 5, 6: the retest
    shift.hands.0.fetch_add(HOUR, Ordering::Relaxed);
    shift.work("bob");
    shift.run("b", None, failed("console", None), 100); // 7, 8
    shift.run("b", None, failed("console", None), 100); // 9, 10
    shift.run("b", None, good(3), 3000); // 11, 12
    shift.run("b", None, good(3), 3000); // 13, 14: known
    shift.hands.0.fetch_add(HOUR, Ordering::Relaxed);
    // It is killed in this run.
    shift.begin("a", Some("S4")); // 15
    shift
}

fn station(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_station"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

#[track_caller]
fn printed(folder: &TempDir, code: i32, arguments: &[&str]) -> String {
    let output = station(folder.path(), arguments);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn lines(folder: &TempDir, code: i32, arguments: &[&str]) -> Vec<Value> {
    let printed = printed(folder, code, &[arguments, &["--json"]].concat());
    let value = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(value.to_string(), line, "the members are in alphabetical order");
        value
    };
    printed.lines().map(value).collect()
}

#[test]
fn every_run_is_listed() {
    let Shift { folder, ledger, .. } = shift();
    drop(ledger);
    let rows = lines(&folder, 0, &["attempts"]);
    let field = |name: &str| rows.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    assert_eq!(field("attempt"), [1, 3, 5, 7, 9, 11, 13, 15]);
    let results = ["good", "failed", "good", "failed", "failed", "good", "known", "unfinished"];
    assert_eq!(field("result"), results);
    assert_eq!(rows[1]["failure"], 8);
    assert_eq!(rows[3]["error"], "console");
    assert_eq!((&rows[6]["entry"], &rows[5]["entry"]), (&json!(3), &json!(3)));
    assert_eq!(rows[2]["seconds"], 2.0);
    assert_eq!(rows[0]["time"], "2030-01-01T00:00:00.000Z");
    assert_eq!(rows[0]["image_sha256"], "ab".repeat(32));
    let table = printed(&folder, 0, &["attempts"]);
    assert_eq!(table.lines().count(), 9, "{table}");
    assert!(table.lines().nth(2).unwrap().contains("failure 8"), "{table}");
    assert!(table.lines().nth(2).unwrap().ends_with("  a, S2"), "{table}");
    let rows = lines(&folder, 0, &["attempts", "--failed"]);
    assert_eq!(rows.len(), 5, "known and unfinished ones are not good either");
}

#[test]
fn runs_are_selected() {
    let Shift { folder, .. } = shift();
    let attempts = |arguments: &[&str]| {
        let rows = lines(&folder, 0, &[&["attempts"], arguments].concat());
        rows.iter().map(|row| row["attempt"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(attempts(&["--port", "b"]), [7, 9, 11, 13]);
    assert_eq!(attempts(&["--operator", "ann"]), [1, 3, 5]);
    assert_eq!(attempts(&["--batch", "b7"]).len(), 8);
    assert_eq!(attempts(&["--batch", "b8"]), [0_u64; 0]);
    assert_eq!(attempts(&["--station-name", "line 1", "--failed", "--port", "a"]), [3, 15]);
    assert_eq!(attempts(&["--part", "S2"]), [3, 5]);
    let device = entry(3).identity.device_id.to_string();
    assert_eq!(attempts(&["--part", &device]), [11, 13]);
    assert_eq!(attempts(&["--part", &entry(3).identity.ueid().to_string()]), [11, 13]);
    assert_eq!(attempts(&["--since", "2030-01-01T02:00Z"]), [15]);
    assert_eq!(attempts(&["--until", "2030-01-01T00:30Z"]), [1, 3, 5]);
    assert_eq!(attempts(&["--since", "2030-01-01", "--until", "2030-01-01"]).len(), 8);
    assert_eq!(attempts(&["--since", "2030-01-02"]), [0_u64; 0]);
    let wrong = station(folder.path(), &["attempts", "--since", "yesterday"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("a time is 2026-11-27"));
}

#[test]
fn one_run_is_shown_with_what_was_printed() {
    let mut shift = shift();
    let program = Program {
        attempt: 3,
        step: String::from("on-fail"),
        command: String::from("lamp red"),
        succeeded: false,
        text: String::from("exit code 3"),
        milliseconds: 250,
        output: {
            let mut output = Transcript::default();
            output.push(b"no \x07lamp\n");
            Text::pack(output, None)
        },
    };
    shift.ledger.append(&[New::Program(program)]).unwrap();
    let folder = shift.folder;
    let shown = printed(&folder, 0, &["attempts", "3"]);
    for line in [
        "failure            8",
        "serial number      S2",
        "  huk              0.070 s",
        "time taken         0.500 s",
        "  E: \\x1b[31mred",
        "  =1+1",
        "on-fail: lamp red (exit code 3, 0.250 s):",
        "  no \\x07lamp",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    let shown = lines(&folder, 0, &["attempts", "3"]);
    assert_eq!(shown[0]["console"], "E: \\x1b[31mred\n=1+1\n");
    assert_eq!(shown[0]["programs"][0]["output"], "no \\x07lamp\n");
    assert_eq!(shown[0]["attempt"]["failure"], 8);
    let unfinished = printed(&folder, 0, &["attempts", "15"]);
    assert!(unfinished.contains("result             unfinished"), "{unfinished}");
    let none = station(folder.path(), &["attempts", "2"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8(none.stderr).unwrap().contains("there is no attempt 2"));
}

#[test]
fn a_spreadsheet_finds_no_formula() {
    let Shift { folder, .. } = shift();
    let printed = printed(&folder, 0, &["attempts", "--csv"]);
    let mut csv = csv::Reader::from_reader(printed.as_bytes());
    let text = csv.headers().unwrap().iter().position(|name| name == "text").unwrap();
    let rows: Vec<_> = csv.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 8);
    assert_eq!(&rows[1][text], "'=HYPERLINK(\"x\")");
}

#[test]
fn the_figures_of_a_shift() {
    let Shift { folder, .. } = shift();
    let stats = &lines(&folder, 0, &["stats"])[0];
    let count = |name: &str| stats[name].as_u64().unwrap();
    assert_eq!(["runs", "good", "known", "failed", "unfinished"].map(count), [8, 3, 1, 3, 1]);
    // S1 and part 3 are good at first, S2 after a retest; two failed runs and S4 are of parts of which no more is
    // known.
    assert_eq!(stats["first_pass"]["good"], 2);
    assert_eq!(stats["first_pass"]["parts"], 6);
    assert_eq!(stats["after_retests"]["good"], 3);
    assert_eq!(stats["failed_part_unknown"], 2);
    let failures = json!([
        { "cause": "console", "port": "b", "runs": 2 },
        { "cause": "failure 8", "port": "a", "runs": 1 },
    ]);
    assert_eq!(stats["failures"], failures);
    let hours = json!([
        { "failed": 1, "good": 2, "hour": "2030-01-01T00:00Z" },
        { "failed": 2, "good": 1, "hour": "2030-01-01T01:00Z" },
    ]);
    assert_eq!(stats["hours"], hours);
    assert_eq!(stats["parts_per_hour"], 1.5);
    let run = json!({
        "longest_ms": 3000, "median_ms": 2000, "name": "run", "ninety_five_percent_ms": 3000, "runs": 3
    });
    assert_eq!(stats["steps"].as_array().unwrap().last(), Some(&run));
    let of_ann = &lines(&folder, 0, &["stats", "--operator", "ann"])[0];
    assert_eq!((&of_ann["runs"], &of_ann["first_pass"]["good"]), (&json!(3), &json!(1)));

    let table = printed(&folder, 0, &["stats"]);
    for line in [
        "first-pass yield          33.3%  2 of 6 parts",
        "yield after retests       50.0%  3 of 6 parts",
        "parts per hour              1.5  over 2 hours with runs",
        "console                       2  b",
        "huk                           7       70       70       70",
    ] {
        assert!(table.lines().any(|shown| shown == line), "{line}: {table}");
    }
    let csv = printed(&folder, 0, &["stats", "--csv"]);
    for line in ["counts,good,runs,3", "yield,first-pass,parts,6", "failures,failure 8,a,1"] {
        assert!(csv.lines().any(|shown| shown == line), "{line}: {csv}");
    }
}

#[test]
fn the_chart_shows_the_figures() {
    let Shift { folder, .. } = shift();
    printed(&folder, 0, &["stats", "--svg", "chart.svg"]);
    let chart = std::fs::read_to_string(folder.path().join("chart.svg")).unwrap();
    assert!(chart.starts_with("<svg "), "{chart}");
    for text in ["01-01 00:00", "failure 8", "console", "Failed runs by cause", "hour (UTC)"] {
        assert!(chart.contains(text), "{text}");
    }
    // One rectangle a bar: good and failed of two hours, and two causes; the background is one more.
    assert_eq!(chart.matches("#0072B2").count(), 2, "{chart}");
    assert_eq!(chart.matches("#D55E00").count(), 4, "{chart}");
    // An empty ledger has a chart, too.
    let empty = Shift::new();
    printed(&empty.folder, 0, &["stats", "--svg", "chart.svg"]);
    let chart = std::fs::read_to_string(empty.folder.path().join("chart.svg")).unwrap();
    assert!(chart.contains("No run has failed"), "{chart}");
}

#[test]
fn a_part_that_was_erased_on_purpose_comes_back() {
    let mut shift = shift();
    let mut again = entry(4);
    again.identity.device_id = entry(2).identity.device_id;
    // Without it the part is refused.
    shift.run("a", Some("S2"), NewEnd::Good(again.clone()), 1);
    let refused = lines(&shift.folder, 0, &["attempts", "--part", "S2"]);
    assert_eq!(refused.last().unwrap()["error"], "seen-before");
    assert!(refused.last().unwrap()["text"].as_str().unwrap().contains("station replace 2"));

    for (part, complaint) in [("S9", "no entry is of the part S9"), ("9", "no entry is")] {
        let output = station(shift.folder.path(), &["replace", part, "--reason", "x"]);
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(complaint), "{said}");
    }
    // The hands of this clock are ahead of the machine's.
    let early = station(shift.folder.path(), &["replace", "S2", "--reason", "erased for a test"]);
    assert_eq!(early.status.code(), Some(2));
    assert!(String::from_utf8(early.stderr).unwrap().contains("--accept-clock"));
    let reason = ["--reason", "erased for a test", "--operator", "ann", "--accept-clock"];
    let replaced = lines(&shift.folder, 0, &[&["replace", "S2"], &reason[..]].concat());
    assert_eq!(replaced[0]["entry"], 2);
    // The records of these entries are made up.
    let audited = &lines(&shift.folder, 1, &["audit"])[0];
    assert_eq!(audited["clocks_accepted"], json!([replaced[0]["link"]]), "it is named");
    let twice = station(shift.folder.path(), &[&["replace", "2"], &reason[..]].concat());
    assert!(String::from_utf8(twice.stderr).unwrap().contains("was withdrawn already"));

    shift.run("a", Some("S2"), NewEnd::Good(again), 1);
    let rows = lines(&shift.folder, 1, &["list"]);
    assert_eq!(rows[1]["withdrawn"], replaced[0]["link"]);
    assert_eq!((&rows[3]["number"], &rows[3]["serial_number"]), (&json!(4), &json!("S2")));
    assert_eq!(rows[3]["withdrawn"], Value::Null);
    let shown = printed(&shift.folder, 1, &["show", "S2"]);
    assert_eq!(shown.matches("withdrawn          by link").count(), 1, "{shown}");
    assert!(shown.contains("\n  reason           erased for a test\n"), "{shown}");
    assert!(shown.contains("\n  operator         ann\n"), "{shown}");
    assert_eq!(shown.matches("-----BEGIN PUBLIC KEY-----").count(), 2, "{shown}");
}

#[test]
fn no_part_goes_to_a_verifier_twice() {
    let folder = tempfile::tempdir().unwrap();
    printed(&folder, 0, &["provision", "--simulate", "3", "--seed", "1"]);
    let export = |code, arguments: &[&str]| {
        let output = station(
            folder.path(),
            &[&["export", "--profile", "psa-2025", "--json"], arguments].concat(),
        );
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    let parts = |printed: &str| serde_json::from_str::<Value>(printed).unwrap()["parts"].clone();
    assert_eq!(parts(&export(0, &["--for", "lab", "--output", "1"]).0), 3);
    // Nothing is new.
    let (printed_nothing, said) = export(0, &["--for", "lab", "--output", "2"]);
    assert!(printed_nothing.is_empty() && said.contains("lab has everything already"), "{said}");
    assert!(!folder.path().join("2").exists());
    // Another verifier has a memory of its own, and an export without a name has none.
    printed(&folder, 0, &["provision", "--simulate", "2", "--seed", "2"]);
    assert_eq!(parts(&export(0, &["--for", "lab", "--output", "2"]).0), 2);
    assert_eq!(parts(&export(0, &["--for", "field", "--output", "3"]).0), 5);
    assert_eq!(parts(&export(0, &["--output", "4"]).0), 5);
    // What was withdrawn is not given, and who has it is told.
    let replaced = lines(&folder, 0, &["replace", "4", "--reason", "test"]);
    assert_eq!(replaced[0]["verifiers"], json!(["field", "lab"]));
    printed(&folder, 0, &["provision", "--simulate", "1", "--seed", "3"]);
    let (given, said) = export(0, &["--for", "lab", "--output", "5"]);
    assert_eq!(parts(&given), 1);
    assert!(said.contains("the verifier has entries that were withdrawn since: 4."), "{said}");
    assert_eq!(parts(&export(0, &["--output", "6"]).0), 5);
    // An export that could not be written is not remembered.
    printed(&folder, 0, &["provision", "--simulate", "1", "--seed", "4"]);
    export(2, &["--for", "lab", "--output", "5"]);
    assert_eq!(parts(&export(0, &["--for", "lab", "--output", "7"]).0), 1);
    printed(&folder, 0, &["audit"]);
}
