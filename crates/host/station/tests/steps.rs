// SPDX-License-Identifier: Apache-2.0

//! Steps of the line, with real programs.
#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use provisioning::Measurement;
use serde_json::Value;
use station::ledger::Receipt;
use station::record::Software;
use station::steps::{
    CommandError, End, Moment, OUTPUT_KEPT, Part, Ran, Step, StepError, is_variable_name,
};

/// A shell with this script, which is how the tests write a program.
fn sh(script: &str) -> Step {
    Step::new(&["sh", "-c", &script.replace('{', "{{").replace('}', "}}")]).unwrap()
}

fn run(step: &Step) -> Result<Ran, StepError> {
    step.run(Moment::Before, &Part::default(), || false)
}

fn failed(step: &Step) -> Ran {
    *run(step).unwrap_err().0
}

/// A part of which everything is known.
fn known() -> Part {
    let some = |text: &str| Some(String::from(text));
    let mut part = Part {
        batch: some("48"),
        error: some("seen-before"),
        operator: some("Zoë"),
        outcome: some("entered"),
        port: some("/dev/ttyACM0"),
        programmer: some("1050012345"),
        station: some("line 2, \"left\" $HOME; `id` 'x' *"),
        text: some("two\nlines"),
        variables: BTreeMap::from([(String::from("fixture"), String::from("A 1"))]),
        ..Part::default()
    };
    part.identify(&common::entry(7).identity);
    part.enter(&Receipt { number: 7, hash: [0xA5; 32] });
    let measurement = Measurement([0xC7; 32]);
    part.measure(&Software { measurement, version: String::new() });
    part
}

#[test]
fn the_exit_code_decides() {
    assert!(matches!(run(&sh("exit 0")).unwrap().end, End::Code(0)));
    assert!(matches!(failed(&sh("exit 3")).end, End::Code(3)));
    assert!(matches!(failed(&sh("kill -9 $$")).end, End::Signal(9)));
}

#[test]
fn output_and_errors_are_kept_in_their_order() {
    let ran = run(&sh("echo one; echo two >&2; echo three; echo four >&2")).unwrap();
    assert_eq!((&ran.output[..], ran.cut), ("one\ntwo\nthree\nfour\n", 0));
    let ran = failed(&sh("echo before; echo error: no probe >&2; exit 1"));
    assert_eq!(ran.output, "before\nerror: no probe\n");
}

#[test]
fn the_end_of_a_long_output_is_kept() {
    for (count, cut) in
        [(OUTPUT_KEPT, 0), (OUTPUT_KEPT + 1, 1), (5_000_000, 5_000_000 - OUTPUT_KEPT)]
    {
        let step = sh(&format!("head -c {count} /dev/zero | tr '\\0' x; exit 1"));
        let ran = failed(&step);
        assert_eq!(ran.cut, cut);
        let mark = format!("[{cut} bytes before this were cut off]\n");
        let mark = if cut == 0 { "" } else { &mark };
        assert_eq!(ran.output, format!("{mark}{}", "x".repeat(OUTPUT_KEPT)));
    }
    // A character is not cut in two.
    let ran =
        run(&sh(&format!("head -c {OUTPUT_KEPT} /dev/zero | tr '\\0' x; printf 'ä'"))).unwrap();
    assert_eq!((ran.cut, ran.output.ends_with("xä")), (2, true));
    let ran = run(&sh(&format!("printf ää; head -c {} /dev/zero", OUTPUT_KEPT - 1))).unwrap();
    assert_eq!(ran.cut, 4);
    // What is no text is kept as well as it can be.
    assert_eq!(run(&sh("printf 'a\\377b'")).unwrap().output, "a\u{FFFD}b");
}

#[test]
fn a_step_that_never_ends_is_ended_after_its_time() {
    let time = Duration::from_millis(300);
    let begin = Instant::now();
    let ran = failed(&Step::parse("yes").unwrap().with_timeout(time));
    assert!(matches!(ran.end, End::TimedOut(limit) if limit == time), "{:?}", ran.end);
    assert!(ran.output.len() < OUTPUT_KEPT + 100 && ran.cut > 0, "{}", ran.output.len());
    assert!(ran.duration >= time && ran.duration <= begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(30));
}

/// Runs a program that starts another one. Both write `alive` after two seconds, if they live so long; whether one
/// did.
fn family(folder: &Path, step: impl FnOnce(Step) -> Ran) -> (Ran, bool) {
    let file = folder.join("alive");
    let script = format!("(sleep 2; echo >> '{0}') & sleep 2; echo >> '{0}'", file.display());
    let ran = step(sh(&script));
    thread::sleep(Duration::from_secs(3));
    (ran, file.exists())
}

#[test]
fn what_a_step_has_started_is_ended_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (ran, is_alive) =
        family(folder.path(), |step| failed(&step.with_timeout(Duration::from_millis(100))));
    assert!(matches!(ran.end, End::TimedOut(_)) && !is_alive, "{ran:?}");
    // The test would notice.
    let (_, is_alive) = family(folder.path(), |step| run(&step).unwrap());
    assert!(is_alive);
}

#[test]
fn a_step_is_asked_to_end_before_it_is_killed() {
    let time = Duration::from_millis(300);
    let asked = sh("trap 'echo put away; exit 0' TERM; echo on; while :; do sleep 0.1; done");
    let ran = failed(&asked.with_timeout(time));
    assert!(matches!(ran.end, End::TimedOut(_)), "{ran:?}");
    // The shell may say that its sleep was ended.
    assert!(ran.output.starts_with("on\n") && ran.output.ends_with("put away\n"), "{ran:?}");
    assert!(ran.duration < Duration::from_secs(2), "{ran:?}");

    let stubborn = sh("trap '' TERM; echo on; while :; do sleep 0.1; done");
    let ran = failed(&stubborn.with_timeout(time));
    assert!(matches!(ran.end, End::TimedOut(_)), "{ran:?}");
    assert_eq!(ran.output, "on\n");
    assert!(ran.duration < Duration::from_secs(20), "{ran:?}");
}

#[test]
fn a_stop_ends_a_step() {
    let stop = AtomicBool::new(false);
    let stopped = || stop.load(Ordering::Relaxed);
    let folder = tempfile::tempdir().unwrap();
    let (ran, is_alive) = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(200));
            stop.store(true, Ordering::Relaxed);
        });
        family(folder.path(), |step| {
            *step.run(Moment::Before, &Part::default(), stopped).unwrap_err().0
        })
    });
    assert!(matches!(ran.end, End::Stopped) && !is_alive, "{ran:?}");
    // None is begun any more.
    let file = folder.path().join("begun");
    let touch = Step::new(&["touch", file.to_str().unwrap()]).unwrap();
    let ran = touch.run(Moment::Before, &Part::default(), stopped).unwrap_err().0;
    assert!(matches!(ran.end, End::Stopped) && !file.exists(), "{ran:?}");
}

#[test]
fn a_program_that_was_left_running_does_not_hold_the_station() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let gone = folder.path().join("gone");
    // It holds both ends, writes on, and is still there when the step has ended.
    let server = format!(
        "while [ ! -e '{0}' ]; do sleep 0.1; echo late; done; echo > '{1}'",
        go.display(),
        gone.display()
    );
    let ran = run(&sh(&format!("({server}) & echo started"))).unwrap();
    assert!(ran.output.starts_with("started\n"), "{ran:?}");
    assert!(ran.duration < Duration::from_secs(20), "{ran:?}");
    assert!(!gone.exists());
    thread::sleep(Duration::from_millis(500));
    fs::write(go, "").unwrap();
    let begin = Instant::now();
    while !gone.exists() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it was ended, too");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_part_is_on_standard_input() {
    for (moment, name) in
        [(Moment::Before, "before"), (Moment::OnPass, "on-pass"), (Moment::OnFail, "on-fail")]
    {
        let ran = Step::parse("cat").unwrap().run(moment, &known(), || false).unwrap();
        let object: Value = serde_json::from_str(&ran.output).unwrap();
        // A map of this crate is sorted: so are the members.
        assert_eq!(ran.output, format!("{object}\n"));
        assert_eq!(object["step"], name);
        let identity = common::entry(7).identity;
        for (member, value) in [
            ("batch", Value::from("48")),
            ("device_id", identity.device_id.to_string().into()),
            ("error", "seen-before".into()),
            ("hash", "a5".repeat(32).into()),
            ("image_sha256", "c7".repeat(32).into()),
            ("implementation_id", identity.implementation_id.to_string().into()),
            ("number", 7.into()),
            ("operator", "Zoë".into()),
            ("outcome", "entered".into()),
            ("port", "/dev/ttyACM0".into()),
            ("programmer", "1050012345".into()),
            ("public_key", base16ct::lower::encode_string(identity.public_key.as_bytes()).into()),
            ("text", "two\nlines".into()),
            ("ueid", identity.ueid().to_string().into()),
            ("variables", serde_json::json!({ "fixture": "A 1" })),
        ] {
            assert_eq!(object[member], value, "{member}");
        }
    }
    // What is not known is not there.
    assert_eq!(run(&Step::parse("cat").unwrap()).unwrap().output, "{\"step\":\"before\"}\n");
}

#[test]
fn a_step_need_not_read_its_input() {
    // More than a pipe takes.
    let part = Part { text: Some("x".repeat(100_000)), ..Part::default() };
    for script in ["exit 0", "sleep 0.2", "exec 0<&-; sleep 0.2", "head -c 1 > /dev/null"] {
        let ran = sh(script).run(Moment::Before, &part, || false).unwrap();
        assert!(ran.duration < Duration::from_secs(20), "{script}: {ran:?}");
    }
}

#[test]
fn a_variable_stays_one_argument() {
    let part = known();
    let print = "for argument; do printf '[%s]' \"$argument\"; done";
    let words =
        ["sh", "-c", print, "sh", "{station}", "--port={port}:{fixture}", "{{}}", "{number}"];
    let words: Vec<_> = words.into_iter().map(String::from).collect();
    let station = part.station.clone().unwrap();
    let expected = format!("[{station}][--port=/dev/ttyACM0:A 1][{{}}][7]");
    let step = Step::new(&words).unwrap();
    assert_eq!(step.run(Moment::OnPass, &part, || false).unwrap().output, expected);
    // The same as a person writes it.
    let line = format!(
        "sh -c '{}' sh {{station}} \"--port={{port}}:{{fixture}}\" {{{{}}}} {{number}}",
        print.replace('\'', "'\\''")
    );
    assert_eq!(Step::parse(&line).unwrap(), step);
    let ran = step.run(Moment::OnPass, &part, || false).unwrap();
    assert_eq!(ran.output, expected);
    // The command that is kept can be typed into a shell again.
    let again =
        Step::new(&["sh", "-c", &ran.command.replace('{', "{{").replace('}', "}}")]).unwrap();
    assert_eq!(run(&again).unwrap().output, expected);
}

#[test]
fn a_variable_is_in_the_environment() {
    let script =
        "echo \"$STATION_PORT|$STATION_PROGRAMMER|$STATION_FIXTURE|$STATION_STEP|$STATION_TEXT\"";
    let ran = sh(script).run(Moment::OnFail, &known(), || false).unwrap();
    assert_eq!(ran.output, "/dev/ttyACM0|1050012345|A 1|on-fail|two\nlines\n");
    // A zero byte, which a console may show, is in no environment.
    let part = Part { text: Some(String::from("a\0b")), ..Part::default() };
    let ran = sh("echo $STATION_TEXT ${STATION_UEID-unset}").run(Moment::OnFail, &part, || false);
    assert_eq!(ran.unwrap().output, "a?b unset\n");
}

#[test]
fn a_variable_without_a_value_stops_the_step() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("begun");
    let step = Step::new(&["touch", file.to_str().unwrap(), "{operator}"]).unwrap();
    let error = run(&step).unwrap_err();
    assert!(matches!(&error.0.end, End::NoValue(name) if name == "operator"), "{error:?}");
    assert!(error.to_string().contains("the station does not know {operator} here"), "{error}");
    assert!(error.0.command.ends_with("'{operator}'"), "{}", error.0.command);
    assert!(!file.exists());
}

#[test]
fn a_variable_has_to_be_known_at_that_moment() {
    let own = BTreeMap::from([(String::from("fixture"), String::from("1"))]);
    let check = |name: &str, moment| {
        Step::new(&["x", &format!("-{{{name}}}-")]).unwrap().check(moment, &own)
    };
    for name in ["batch", "operator", "port", "programmer", "station", "step", "fixture"] {
        for moment in [Moment::Before, Moment::OnPass, Moment::OnFail] {
            check(name, moment).unwrap();
        }
    }
    for name in ["device_id", "error", "hash", "image_sha256", "implementation_id", "number"]
        .into_iter()
        .chain(["outcome", "public_key", "text", "ueid"])
    {
        check(name, Moment::OnPass).unwrap();
        check(name, Moment::OnFail).unwrap();
        let error = check(name, Moment::Before).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("the step before has no variable {{{name}}}. ")),
            "{error}"
        );
        assert!(
            error.ends_with(
                "batch, operator, port, programmer, serial_number, station, step, fixture."
            ),
            "{error}"
        );
    }
    for name in ["serial", "Port", "variables"] {
        assert!(
            matches!(check(name, Moment::OnPass), Err(CommandError::Variable { .. })),
            "{name}"
        );
    }
}

#[test]
fn every_member_is_a_variable() {
    let ran = Step::parse("cat").unwrap().run(Moment::OnPass, &known(), || false).unwrap();
    let object: BTreeMap<String, Value> = serde_json::from_str(&ran.output).unwrap();
    for name in object.keys().filter(|name| *name != "variables") {
        let step = Step::new(&["echo", &format!("{{{name}}}")]).unwrap();
        step.check(Moment::OnPass, &BTreeMap::new()).unwrap();
        let ran = step.run(Moment::OnPass, &known(), || false).unwrap();
        let value = object[name].as_str().map_or(object[name].to_string(), String::from);
        assert_eq!(ran.output, format!("{value}\n"));
        assert!(!is_variable_name(name), "{name}");
    }
    for (name, is_one) in
        [("fixture_2", true), ("2fixture", false), ("", false), ("Fixture", false), ("a-b", false)]
    {
        assert_eq!(is_variable_name(name), is_one, "{name}");
    }
    assert!(!is_variable_name("variables"));
}

#[test]
fn a_command_that_is_none_is_refused() {
    for (line, error, advice) in [
        ("", CommandError::Empty, "Write the program"),
        ("  ", CommandError::Empty, "Write the program"),
        ("''", CommandError::Empty, "Write the program"),
        ("nrfutil 'x", CommandError::Quote(String::from("nrfutil 'x")), "Close it"),
        ("x {port", CommandError::Brace(String::from("{port")), "as in {port}"),
        ("x port}", CommandError::Brace(String::from("port}")), "Write {{ and }}"),
        ("x {}", CommandError::Brace(String::from("{}")), "as in {port}"),
        ("x '{a b}'", CommandError::Brace(String::from("{a b}")), "as in {port}"),
    ] {
        let found = Step::parse(line).unwrap_err();
        assert_eq!(found, error);
        assert!(found.to_string().contains(advice), "{found}");
    }
    assert_eq!(Step::new(&[] as &[&str]), Err(CommandError::Empty));
}

#[test]
fn a_step_runs_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("tools").join("flash");
    fs::create_dir(folder.path().join("tools")).unwrap();
    fs::write(&program, "#!/bin/sh\npwd; echo \"$@\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let step = Step::parse("tools/flash zephyr.hex").unwrap().in_folder(folder.path());
    let expected = format!("{}\nzephyr.hex\n", folder.path().canonicalize().unwrap().display());
    assert_eq!(run(&step).unwrap().output, expected);
    // One without a folder in its name is not looked for there.
    fs::rename(&program, folder.path().join("flash-of-this-test")).unwrap();
    let step = Step::parse("flash-of-this-test").unwrap().in_folder(folder.path());
    assert!(matches!(failed(&step).end, End::NotFound(_)));
}

#[test]
fn a_program_that_cannot_be_run_is_named() {
    let missing = run(&Step::parse("there-is-no-such-program --x").unwrap()).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "the step before, `there-is-no-such-program --x`, was not run: there is no program \
         there-is-no-such-program. Check its name, or give its whole path. Nothing was entered: put that right and \
         start the part again."
    );
    assert!(missing.source().is_none());

    let folder = tempfile::tempdir().unwrap();
    let letter = folder.path().join("letter");
    fs::write(&letter, "Dear all").unwrap();
    let refused = run(&Step::new(&[letter.to_str().unwrap()]).unwrap()).unwrap_err();
    assert!(refused.source().unwrap().is::<io::Error>());
    assert!(refused.to_string().contains("could not be run (Permission denied"), "{refused}");

    fs::write(&letter, "#!/there/is/no/interpreter\n").unwrap();
    fs::set_permissions(&letter, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = run(&Step::new(&[letter.to_str().unwrap()]).unwrap()).unwrap_err();
    assert!(matches!(refused.0.end, End::NotStarted(_)), "{refused}");
}

#[test]
fn an_error_says_what_the_program_said_and_what_it_means() {
    let say = |script: &str, moment| {
        sh(script)
            .with_timeout(Duration::from_millis(500))
            .run(moment, &Part::default(), || false)
            .unwrap_err()
            .to_string()
    };
    let text = say("echo busy; printf 'error: no\\033[2J probe\\n\\n'; exit 3", Moment::Before);
    assert!(text.starts_with("the step before, `sh -c "), "{text}");
    assert!(
        text.ends_with(
            "`, ended with exit code 3. Nothing was entered: put that right and start the part again. The last line \
             of the step: error: no[2J probe"
        ),
        "{text}"
    );
    let text = say("printf '10%%\\r20%%\\r'; kill -15 $$", Moment::OnPass);
    assert!(
        text.contains("`, was ended by signal 15. The part is in the ledger all the same: "),
        "{text}"
    );
    assert!(text.ends_with("The last line of the step: 20%"), "{text}");
    let text = say("head -c 5000 /dev/zero | tr '\\0' x; exit 1", Moment::OnPass);
    assert!(text.ends_with(&format!("of the step: {}…", "x".repeat(200))), "{text}");
    let text = say("sleep 60", Moment::OnFail);
    assert!(
        text.contains("`, took longer than 500ms and was ended. If it needs longer, "),
        "{text}"
    );
    assert!(
        text.ends_with("The part is not in the ledger: put that right before the next part."),
        "{text}"
    );
    let stopped = sh("x").run(Moment::Before, &Part::default(), || true).unwrap_err().to_string();
    assert!(
        stopped.contains("was not completed, since the station was stopped. Nothing"),
        "{stopped}"
    );
}
