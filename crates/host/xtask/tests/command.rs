// SPDX-License-Identifier: Apache-2.0

//! The command where there is no Zephyr, and what a linker says.

use std::path::Path;
use std::process::{Command, Output};

use xtask::build::memory_regions;

/// In a home without a registered workspace.
fn xtask(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .env("HOME", home)
        .env_remove("ZEPHYR_BASE")
        .output()
        .unwrap()
}

#[test]
fn it_has_a_version_and_is_called_through_cargo() {
    let home = tempfile::tempdir().unwrap();
    let printed = |arguments: &[&str]| {
        let output = xtask(home.path(), arguments);
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(printed(&["--version"]), concat!("xtask ", env!("CARGO_PKG_VERSION"), "\n"));
    assert!(printed(&["check", "--help"]).contains("Usage: cargo xtask check"));
}

#[test]
fn without_a_workspace_it_says_so_in_a_line() {
    let home = tempfile::tempdir().unwrap();
    for command in ["size", "bench"] {
        let output = xtask(home.path(), &[command]);
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.starts_with("error: no Zephyr workspace is registered"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn without_valgrind_the_stations_instructions_are_not_counted_and_it_says_so_in_a_line() {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["bench", "--host"])
        .env("PATH", home.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("error: Valgrind is missing"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_workspace_that_is_gone_is_not_registered() {
    let home = tempfile::tempdir().unwrap();
    let registry = home.path().join(".cmake/packages/Zephyr");
    std::fs::create_dir_all(&registry).unwrap();
    let gone = home.path().join("gone/share/zephyr-package/cmake");
    std::fs::write(registry.join("0123"), gone.to_str().unwrap()).unwrap();
    let output = xtask(home.path(), &["size"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no Zephyr workspace is registered"));
}

#[test]
fn a_check_that_cannot_run_here_is_named_and_counted() {
    let home = tempfile::tempdir().unwrap();
    let output = xtask(home.path(), &["check", "--only", "implementation-id", "--only", "twister"]);
    assert_eq!(output.status.code(), Some(0));
    let lines = String::from_utf8(output.stdout).unwrap();
    for step in ["implementation-id", "twister"] {
        let line = format!("not run here: {step}, since no Zephyr workspace is registered");
        assert!(lines.lines().any(|printed| printed.starts_with(&line)), "{lines}");
    }
    assert_eq!(lines.lines().last(), Some("0 passed, 0 failed, 2 skipped"));
}

#[test]
fn the_steps_are_listed() {
    let home = tempfile::tempdir().unwrap();
    let list = |arguments: &[&str]| {
        let output = xtask(home.path(), arguments);
        assert_eq!(output.status.code(), Some(0));
        let lines = String::from_utf8(output.stdout).unwrap();
        let steps = lines.lines().filter_map(|line| line.split(' ').next().map(String::from));
        steps.collect::<Vec<_>>()
    };
    let quick = list(&["check", "--list", "--quick"]);
    let wanted = ["formatting", "lints", "host-tests", "rustdoc", "documents", "workflows"];
    assert_eq!(quick, wanted);
    assert!(list(&["check", "--list"]).starts_with(&quick));
    assert_eq!(list(&["check", "--list", "--only", "bench"]), ["bench"]);
}

#[test]
fn bad_arguments_are_refused() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        &["size", "--board", "../../home"][..],
        &["size", "--board", "-d"],
        &["size", "--board", ""],
        &["size", "--date", "2026-11-23"],
        &["size", "--record", "--date", "2026-11-31"],
        &["bench", "--board", "mps2/an521/cpu0"],
        &["check", "--only", "nothing"],
        &["check", "--only", "lints", "--quick"],
        &["fuzz", "--seconds", "3"],
        &[],
    ] {
        let output = xtask(home.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!error.contains("workspace"), "{arguments:?}: {error}");
    }
}

#[test]
fn a_workspace_without_zephyr_is_refused_by_name() {
    let home = tempfile::tempdir().unwrap();
    let output = xtask(home.path(), &["check", "--only", "twister", "--workspace", "/dev/null"]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("/dev/null is no Zephyr workspace"), "{error}");
}

#[test]
fn the_linker_table_is_read_in_its_units() {
    let log = "[1/2] Linking\nMemory region         Used Size  Region Size  %age Used\n\
        \x20          FLASH:      107656 B         1 MB     10.27%\n\
        \x20            RAM:         20 KB       448 KB      4.46%\n\
        \x20       IDT_LIST:          0 GB        32 KB      0.00%\n\
        Generating files from zephyr.elf for board: nrf5340dk\n";
    let regions = memory_regions(log);
    assert_eq!(regions.get("FLASH"), Some(&107_656));
    assert_eq!(regions.get("RAM"), Some(&20_480));
    assert_eq!(regions.get("IDT_LIST"), Some(&0));
    assert_eq!(regions.len(), 3);
    assert!(memory_regions("ninja: no work to do.\n").is_empty());
}
