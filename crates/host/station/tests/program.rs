// SPDX-License-Identifier: Apache-2.0

//! The station as an installed program.

use std::fs;
use std::process::{Command, Output};

fn start(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_station")).args(arguments).output().unwrap()
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

/// This test, like all that cargo starts, has cargo's variables in its environment, and so has the station here.
#[test]
fn it_calls_itself_as_it_was_called() {
    assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
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
