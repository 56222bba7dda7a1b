// SPDX-License-Identifier: Apache-2.0

//! The station as an installed program.

use std::fs;
use std::process::{Command, Output};

/// With the variables that cargo sets for what it starts, which are no sign of `cargo station`.
fn start(arguments: &[&str]) -> Output {
    let mut station = Command::new(env!("CARGO_BIN_EXE_station"));
    station.env("CARGO", "cargo").env("CARGO_PKG_NAME", "station");
    station.args(arguments).output().unwrap()
}

/// What a command prints that ends with that code.
#[track_caller]
fn printed(code: i32, arguments: &[&str]) -> String {
    let output = start(arguments);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// What `cargo station` puts before the arguments, from where it stands.
fn alias() -> String {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../.cargo/config.toml");
    let config = fs::read_to_string(config).unwrap();
    config
        .lines()
        .find_map(|line| {
            line.strip_prefix("station = \"run --package station -- ")?.strip_suffix('"')
        })
        .unwrap()
        .to_owned()
}

#[test]
fn it_has_the_version_of_its_package() {
    let version = concat!("station ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(printed(0, &["--version"]), version);
    assert_eq!(printed(0, &[&alias(), "--version"]), version);
    assert_eq!(station::VERSION, env!("CARGO_PKG_VERSION"));
}

#[test]
fn it_calls_itself_as_it_was_called() {
    let alias = &alias()[..];
    for (arguments, code) in [(&["--help"][..], 0), (&["no-such-command"], 2), (&[], 2)] {
        let own = printed(code, arguments);
        assert!(own.contains("Usage: station "), "{own}");
        let through_cargo = printed(code, &[&[alias], arguments].concat());
        assert!(through_cargo.contains("Usage: cargo station "), "{through_cargo}");
        assert_eq!(
            through_cargo.replace("cargo station", "station"),
            own.replace("cargo station", "station")
        );
    }
    for (command, usage) in [("show", "show [OPTIONS]"), ("export", "export [OPTIONS]")] {
        let own = printed(0, &[command, "--help"]);
        assert!(own.contains(&format!("Usage: station {usage}")), "{own}");
        let through_cargo = printed(0, &[alias, command, "--help"]);
        assert!(
            through_cargo.contains(&format!("Usage: cargo station {usage}")),
            "{through_cargo}"
        );
    }
    // It is no option: behind a command, or twice, it is as unknown as any other.
    printed(2, &["list", alias]);
    printed(2, &[alias, alias]);
}

/// As on Windows, where the file is station.exe.
#[cfg(unix)]
#[test]
fn it_has_its_name_whatever_the_file_is_called() {
    use std::os::unix::process::CommandExt;
    let mut station = Command::new(env!("CARGO_BIN_EXE_station"));
    let output = station.arg0("other.exe").args(["list", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("Usage: station list"), "{help}");
}

/// The commands that the help lists.
fn commands() -> Vec<String> {
    let help = printed(0, &["--help"]);
    let list = help.split("\nCommands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().map(|line| line.split_whitespace().next().unwrap().to_owned());
    let names: Vec<_> = names.filter(|name| name != "help").collect();
    assert!(names.len() >= 8 && names.iter().any(|name| name == "provision"), "{names:?}");
    names
}

/// Each command, and an option that only one of them has.
#[test]
fn completions_have_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(0, &["completions", shell]);
        for command in commands() {
            let is_there = script
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
                .any(|word| word == command);
            assert!(is_there, "{shell}: {command}");
        }
        for word in ["max-bytes", "psa-2025-text"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        assert!(!script.contains("cargo station"), "{shell}");
    }
    assert!(printed(2, &["completions", "none"]).contains("bash"));
}

/// What bash offers, asked as a person at a terminal does.
#[cfg(unix)]
#[test]
fn bash_completes_a_command_and_a_profile() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("station.bash");
    fs::write(&script, printed(0, &["completions", "bash"])).unwrap();
    let offered = |words: &[&str]| {
        let ask = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                   _station \"$1\" \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"; \
                   printf '%s\\n' \"${COMPREPLY[@]}\"";
        let output =
            Command::new("bash").args(["-c", ask, "bash"]).arg(&script).args(words).output();
        let output = output.unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let offered = String::from_utf8(output.stdout).unwrap();
        offered.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered(&["station", "prov"]), ["provision"]);
    assert_eq!(
        offered(&["station", "export", "--profile", "psa-2025"]),
        ["psa-2025-text", "psa-2025"]
    );
    for command in commands() {
        assert!(offered(&["station", ""]).contains(&command), "{command}");
    }
}

#[test]
fn the_manual_has_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man").join("man1");
    assert_eq!(printed(0, &["man", pages.to_str().unwrap()]), "");
    let page = |name: &str| fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
    let main = page("station");
    assert!(printed(0, &["man"]) == main, "{main}");
    for command in commands() {
        let roff = command.replace('-', "\\-");
        assert!(main.contains(&format!("station\\-{roff}(1)")), "{command}: {main}");
        let page = page(&format!("station-{command}"));
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
        assert!(page.contains(&format!("station\\-{roff}")), "{page}");
    }
    assert!(page("station-export").contains("max\\-bytes"));
    // What stands below a command has a page, too.
    let below = |name: &str| name.starts_with("station-hub-");
    let pages_of_commands = fs::read_dir(&pages)
        .unwrap()
        .filter(|page| !below(page.as_ref().unwrap().file_name().to_str().unwrap()));
    assert_eq!(pages_of_commands.count(), 1 + commands().len());

    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let complaint = printed(2, &["man", file.to_str().unwrap()]);
    assert!(complaint.starts_with(&format!("error: {}: ", file.display())), "{complaint}");
}
