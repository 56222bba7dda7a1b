// SPDX-License-Identifier: Apache-2.0

//! The station file: the one in the documentation, and what is wrong in others.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::ID;
use station::station_file::{FileError, StationFile, Timeouts};
use station::steps::Step;

const PATH: &str = "/line/2/left.toml";

fn parse(text: &str) -> Result<StationFile, FileError> {
    StationFile::parse(text, Path::new(PATH))
}

/// The line of an error, and what it says of it.
#[track_caller]
fn wrong(text: &str) -> (usize, String) {
    match parse(text).unwrap_err() {
        FileError::Content { line, problem, path } => {
            assert_eq!(path, Path::new(PATH));
            assert!(problem.ends_with('.') && !problem.contains(['\n', '\r']), "{problem}");
            (line, problem)
        }
        error => panic!("{error}"),
    }
}

/// The file in the documentation.
fn documented() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/station.rst");
    let page = fs::read_to_string(page).unwrap();
    let (_, block) = page.split_once(".. code-block:: toml\n\n").unwrap();
    let lines = block.lines().take_while(|line| line.is_empty() || line.starts_with("   "));
    lines.map(|line| line.get(3..).unwrap_or_default().to_owned() + "\n").collect()
}

#[test]
fn the_file_of_the_documentation_says_what_it_seems_to_say() {
    let file = parse(&documented()).unwrap();
    let some = |text: &str| Some(String::from(text));
    let path = |name: &str| Some(PathBuf::from(name));
    assert_eq!(file.path, Path::new(PATH));
    assert_eq!((file.station, file.batch), (some("line 2, left"), some("2026-W48")));
    let id = file.implementation_id.unwrap().to_string();
    assert!(id.starts_with("0011223344"), "{id}");
    assert_eq!(file.image, path("/line/2/build/zephyr/zephyr.hex"));
    assert_eq!(
        (file.ledger, file.head_file),
        (path("/line/2/ledger.db"), path("/mnt/backup/line-2-head"))
    );
    assert_eq!((file.require_nonce, file.baud), (Some(true), Some(115_200)));
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let timeouts = Timeouts { start: seconds(90), line: seconds(20), run: seconds(120) };
    assert_eq!(file.timeouts, timeouts);

    let ports: Vec<_> =
        file.ports.iter().map(|port| (&port.port[..], port.programmer.as_deref())).collect();
    let by_id = "/dev/serial/by-id/usb-SEGGER_J-Link_0010500";
    assert_eq!(
        ports,
        [
            (&format!("{by_id}12345-if00")[..], Some("1050012345")),
            (&format!("{by_id}54321-if00"), Some("1050054321")),
        ]
    );
    for (port, fixture) in file.ports.iter().zip(["left", "right"]) {
        let expected = BTreeMap::from([(String::from("fixture"), String::from(fixture))]);
        assert_eq!(port.variables, expected);
    }

    let step = |words: &[&str], seconds| {
        Step::new(words).unwrap().with_timeout(Duration::from_secs(seconds)).in_folder("/line/2")
    };
    let before = [
        ["nrfutil", "device", "program", "--serial-number", "{programmer}"],
        ["--firmware", "build/zephyr/zephyr.hex", "--options", "", ""],
    ]
    .concat();
    let options =
        "chip_erase_mode=ERASE_RANGES_TOUCHED_BY_FIRMWARE,verify=VERIFY_READ,reset=RESET_SYSTEM";
    let before: Vec<_> =
        before.into_iter().filter(|word| !word.is_empty()).chain([options]).collect();
    assert_eq!(file.before, Some(step(&before, 60)));
    let on_pass = ["./print-label.py", "--printer", "label {fixture}", "{ueid}"];
    assert_eq!(file.on_pass, Some(step(&on_pass, 10)));
    assert_eq!(file.on_fail, Some(step(&["./red-light.sh", "{fixture}", "{outcome}"], 10)));
}

/// The keys that a table may have, as an error lists them.
fn keys(table: &str) -> BTreeSet<String> {
    let (_, problem) = wrong(&format!("{table}\nxyz = 1"));
    let (_, known) = problem.split_once("there is no key `xyz` here. Write ").unwrap();
    known.split('`').skip(1).step_by(2).map(String::from).collect()
}

#[test]
fn the_file_of_the_documentation_has_every_key() {
    let file: toml::Table = toml::from_str(&documented()).unwrap();
    let names = |table: &toml::Table| table.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&file), keys(""));
    assert_eq!(names(file["timeouts"].as_table().unwrap()), keys("[timeouts]"));
    assert_eq!(names(file["ports"][0].as_table().unwrap()), keys("[[ports]]"));
    let steps = file["steps"].as_table().unwrap();
    assert_eq!(names(steps), keys("[steps]"));
    for (name, step) in steps {
        assert_eq!(names(step.as_table().unwrap()), keys(&format!("[steps.{name}]")));
    }
}

#[test]
fn every_key_may_be_left_out() {
    let path = PathBuf::from(PATH);
    assert_eq!(parse("").unwrap(), StationFile { path, ..StationFile::default() });
    let file = parse("[[ports]]\nport = 'COM3'\n[steps.before]\ncommand = 'flash {port}'").unwrap();
    assert_eq!((&file.ports[0].port[..], &file.ports[0].programmer), ("COM3", &None));
    // A name is no path, and a step without its time has the usual one.
    assert_eq!(file.before, Some(Step::parse("flash {port}").unwrap().in_folder("/line/2")));
}

#[test]
fn a_path_is_relative_to_the_file() {
    let text = "image = '../zephyr.bin'\nledger = '/var/ledger.db'\n[steps.before]\ncommand = 'x'";
    for (path, image, folder) in [
        ("/line/2/left.toml", "/line/2/../zephyr.bin", Some("/line/2")),
        ("line/left.toml", "line/../zephyr.bin", Some("line")),
        ("left.toml", "../zephyr.bin", None),
    ] {
        let file = StationFile::parse(text, Path::new(path)).unwrap();
        assert_eq!(file.image.unwrap(), Path::new(image));
        assert_eq!(file.ledger.unwrap(), Path::new("/var/ledger.db"));
        let step = Step::parse("x").unwrap();
        let step = folder.map_or(step.clone(), |folder| step.in_folder(folder));
        assert_eq!(file.before, Some(step));
    }
}

/// Checks each of these files: the line of what is wrong in it, what it is, and what to write instead.
#[track_caller]
fn check(files: &[(&str, usize, &str, &str)]) {
    for (text, line, what, advice) in files {
        let (found, problem) = wrong(text);
        assert_eq!(found, *line, "{problem}\n{text}");
        assert!(problem.contains(what) && problem.contains(advice), "{problem}\n{text}");
    }
}

#[test]
fn a_key_that_is_not_known_or_missing_is_named() {
    check(&[
        ("bauds = 115200", 1, "there is no key `bauds` here", "`baud`"),
        ("\n[timeouts]\nstop = 1", 3, "there is no key `stop` here", "`start`, `line`, `run`"),
        ("[[ports]]\nname = 'COM3'", 2, "there is no key `name` here", "`port`"),
        ("[steps.after]\ncommand = 'x'", 1, "there is no key `after` here", "`on_pass`"),
        (
            "[steps.before]\ncommand = 'x'\nshell = true",
            3,
            "no key `shell`",
            "`command` or `timeout`",
        ),
        ("baud = 1\n[[ports]]\nprogrammer = '1'", 2, "the key `port` is missing", "Add it"),
        ("[steps.before]\ntimeout = 1", 1, "the key `command` is missing", "Add it"),
    ]);
}

#[test]
fn what_is_not_toml_is_named() {
    check(&[
        ("baud = 9600\nbaud = 9600", 2, "this is not TOML (duplicate key", "the one before"),
        ("\nstation = line 2", 2, "this is not TOML", "Look at the line"),
        ("station = 'line 2\nbaud = 9600", 1, "this is not TOML", "Look at the line"),
    ]);
}

#[test]
fn a_value_in_place_of_a_table_is_named() {
    check(&[
        ("timeouts = 5", 1, "integer `5` is wrong here", "Write [timeouts]"),
        ("steps = 'x'", 1, "string \"x\" is wrong here", "[steps.before]"),
        ("[steps]\nbefore = 'flash'", 2, "string \"flash\" is wrong here", "command = "),
        ("ports = 5", 1, "integer `5` is wrong here", "Write [[ports]] before each port"),
        ("[ports]\nport = 'COM3'", 1, "map is wrong here", "Write [[ports]] before each port"),
        ("ports = ['COM3']", 1, "string \"COM3\" is wrong here", "port = \"NAME\""),
    ]);
}

#[test]
fn text_that_is_none_is_named() {
    check(&[
        (
            "[[ports]]\nport = 'COM3'\nprogrammer = 1050012345",
            3,
            "1050012345 is a number",
            "Write \"1050012345\" in quotes",
        ),
        ("station = true", 1, "true is not text", "in quotes"),
        ("batch = ''", 1, "this text is empty", "leave the key out"),
        ("\nstation = \"line\\n2\"", 2, "\"line\\n2\" has a line end", "without"),
        (
            "[[ports]]\nport = 'COM3'\nvariables = { a = 1 }",
            3,
            "1 is a number",
            "Write \"1\" in quotes",
        ),
        (
            "[[ports]]\nport = 'COM3'\n[ports.variables]\na = 'x'\nPort = 'x'",
            5,
            "Port cannot be the name",
            "a to z",
        ),
        (
            "[[ports]]\nport = 'COM3'\nvariables = { ueid = '1' }",
            3,
            "ueid cannot be the name",
            "none that every",
        ),
    ]);
}

#[test]
fn a_number_out_of_its_range_is_named() {
    check(&[
        ("baud = 0", 1, "0 is not the speed of a port", "115200"),
        ("baud = -9600", 1, "-9600 is not the speed of a port", "115200"),
        ("baud = '115200'", 1, "\"115200\" is not the speed of a port", "such as 115200"),
        ("[timeouts]\nstart = 60\nline = 0", 3, "0 is not a time-out", "from 1 to 86400"),
        ("[timeouts]\nstart = 86401", 2, "86401 is not a time-out", "from 1 to 86400"),
        ("[timeouts]\nrun = 1.5", 2, "1.5 is not a time-out", "whole seconds"),
        ("[timeouts]\nrun = '60 s'", 2, "\"60 s\" is not a time-out", "such as 60"),
        ("[steps.on_pass]\ncommand = 'x'\ntimeout = 0", 3, "0 is not a time-out", "from 1"),
        ("require_nonce = 'yes'", 1, "\"yes\" is neither true nor false", "without quotes"),
        ("require_nonce = 1", 1, "1 is neither true nor false", "without quotes"),
    ]);
}

#[test]
fn an_implementation_id_that_is_none_is_named() {
    let id = |digits: &str| format!("\n\nimplementation_id = '{digits}'");
    let [short, odd] = [id(&ID[1..]), id(&format!("{}G", &ID[1..]))];
    let erased = id(&"F".repeat(64));
    check(&[
        (&short, 3, ", of 63 characters: an implementation ID has 64", "Write the 64"),
        (&odd, 3, "hexadecimal digits only", "in quotes"),
        (&erased, 3, "cannot be told from an erased part", "the product's"),
        ("implementation_id = 0x0011", 1, "17 is not an implementation ID", "in quotes"),
    ]);
}

#[test]
fn a_command_that_is_none_is_named() {
    check(&[
        (
            "[steps.before]\ncommand = ''",
            2,
            "the command of the step is empty",
            "Write the program",
        ),
        (
            "[steps.before]\ncommand = []",
            2,
            "the command of the step is empty",
            "Write the program",
        ),
        ("[steps.before]\ncommand = \"x 'y\"", 2, "a quote in the command x 'y", "Close it"),
        (
            "[steps.before]\ncommand = ['x', 1]",
            2,
            "[\"x\", 1] is not a command",
            "as a list of words",
        ),
        ("[steps.before]\n\ncommand = 'x {port'", 3, "the braces in {port", "as in {port}"),
        (
            "[steps.before]\ncommand = 'x {ueid}'",
            2,
            "the step before has no variable {ueid}",
            "programmer",
        ),
        (
            "[steps.on_fail]\ncommand = 'x {fixture}'",
            2,
            "step on-fail has no variable {fixture}",
            "device_id",
        ),
    ]);
}

#[test]
fn a_port_or_programmer_that_is_there_twice_is_named() {
    check(&[
        (
            "[[ports]]\nport = 'COM3'\n\n[[ports]]\nport = 'COM3'",
            5,
            "COM3 is on line 2 already",
            "once",
        ),
        (
            "[[ports]]\nport = 'COM3'\nprogrammer = '7'\n[[ports]]\nport = 'COM4'\nprogrammer = '7'",
            6,
            "the programmer 7 is that of the port COM3 already",
            "Give each port its own",
        ),
    ]);
}

#[test]
fn a_variable_of_one_port_is_needed_of_all() {
    let port = |n: u32, own: &str| format!("[[ports]]\nport = 'COM{n}'\nvariables = {{ {own} }}\n");
    let step = "[steps.before]\ncommand = 'x {fixture}'\n";
    let [first, second] = [port(1, "fixture = 'a'"), port(2, "fixture = 'b'")];
    assert_eq!(parse(&[&first, &second, step].concat()).unwrap().ports.len(), 2);
    let (line, problem) = wrong(&[&first, &port(2, ""), step].concat());
    assert_eq!(line, 8);
    assert!(
        problem.contains("no variable {fixture}") && problem.ends_with("That is so for COM2."),
        "{problem}"
    );
}

#[test]
fn an_error_names_the_file() {
    let text = parse("\nbaud = 0").unwrap_err().to_string();
    assert!(text.starts_with("/line/2/left.toml, line 2: 0 is not the speed"), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("left.toml");
    let missing = StationFile::read(&path).unwrap_err();
    let name = path.display().to_string();
    assert!(
        missing.to_string().contains(&name) && missing.to_string().contains("Check its name"),
        "{missing}"
    );
    assert!(missing.source().unwrap().is::<io::Error>());
    fs::write(&path, b"station = '\xFF'").unwrap();
    assert!(matches!(StationFile::read(&path), Err(FileError::Read { .. })));
    fs::write(&path, "station = 'line 2'\r\n").unwrap();
    assert_eq!(StationFile::read(&path).unwrap().station.as_deref(), Some("line 2"));
}

#[test]
fn ports_are_resolved_with_what_the_file_says_of_them() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["kit-1", "kit-2", "probe"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let in_folder = |name: &str| folder.path().join(name).display().to_string();
    let port =
        |name: &str, more: &str| format!("[[ports]]\nport = '{}'\n{more}\n", in_folder(name));
    let of_kits = "variables = { fixture = 'k' }";
    let file =
        parse(&[port("probe", "programmer = '7'"), port("kit-*", of_kits)].concat()).unwrap();
    let ports = file.resolve().unwrap();
    let names: Vec<_> =
        ports.iter().map(|(name, port)| (name.as_str(), port.programmer.as_deref())).collect();
    let [probe, kit_1, kit_2] = ["probe", "kit-1", "kit-2"].map(in_folder);
    assert_eq!(names, [(&probe[..], Some("7")), (&kit_1, None), (&kit_2, None)]);
    assert!(ports[1..].iter().all(|(_, port)| port.variables["fixture"] == "k"));

    let file = parse(&[port("probe", ""), port("kit-*", "programmer = '7'")].concat()).unwrap();
    let text = file.resolve().unwrap_err().to_string();
    assert!(text.starts_with(&format!("{PATH}, line 5: ")), "{text}");
    assert!(
        text.contains(&kit_1) && text.contains(&kit_2) && text.contains("with its own"),
        "{text}"
    );

    let file = parse(&[port("kit-*", ""), port("kit-2", "")].concat()).unwrap();
    let text = file.resolve().unwrap_err().to_string();
    assert_eq!(text, format!("{PATH}: the port {kit_2} is named twice. Name it once."));
    let file = parse(&port("usb-*", "")).unwrap();
    assert!(
        file.resolve()
            .unwrap_err()
            .to_string()
            .starts_with(&format!("{PATH}: no port has a name like "))
    );
}
