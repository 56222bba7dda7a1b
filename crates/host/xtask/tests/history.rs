// SPDX-License-Identifier: Apache-2.0

//! The history: what it takes, what it refuses, and what it compares.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use xtask::history::{Change, Date, Entry, Figures, History, HistoryError, compare};

fn parts(parts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    parts.iter().map(|(name, figure)| (String::from(*name), *figure)).collect()
}

fn size(ram: u64, crates: &[(&str, u64)]) -> Figures {
    let flash = crates.iter().map(|(_, bytes)| bytes).sum();
    Figures::Size { flash, ram, crates: parts(crates) }
}

fn bench(stack: u64, steps: &[(&str, u64)]) -> Figures {
    let instructions = steps.iter().map(|(_, count)| count).sum();
    Figures::Bench { instructions, steps: parts(steps), stack, stack_size: 12_288 }
}

fn host(crates: &[(&str, u64)]) -> Figures {
    let instructions = crates.iter().map(|(_, count)| count).sum();
    Figures::Host { instructions, crates: parts(crates) }
}

fn entry(board: &str, figures: Figures) -> Entry {
    Entry {
        date: "2026-11-23".parse().unwrap(),
        commit: String::from("0123456789ab"),
        board: String::from(board),
        sdk: None,
        compilers: vec![String::from("rustc version 1")],
        figures,
    }
}

fn change(name: &str, old: u64, new: u64) -> Change {
    Change { name: String::from(name), old, new }
}

/// A file with this content, in a folder that goes when the test ends.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("measured.jsonl");
    fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn two_percent_pass_and_a_byte_more_fails() {
    let old = size(10_000, &[("p256", 50_000)]);
    for (ram, flash, is_too_much) in [
        (10_000, 50_000, false),
        (10_200, 51_000, false),
        (10_201, 50_000, true),
        (10_000, 51_001, true),
        (10_201, 40_000, true),
        (9_000, 51_001, true),
        (1, 1, false),
    ] {
        let changes = compare(&old, &size(ram, &[("p256", flash)]));
        assert_eq!(changes.is_too_much(), is_too_much, "{ram} {flash}");
    }
    let old = bench(9_000, &[("boot", 5_000), ("HUKs", 5_000)]);
    for (stack, huks, is_too_much) in
        [(9_180, 5_200, false), (9_181, 5_000, true), (9_000, 5_201, true), (100, 1, false)]
    {
        let changes = compare(&old, &bench(stack, &[("boot", 5_000), ("HUKs", huks)]));
        assert_eq!(changes.is_too_much(), is_too_much, "{stack} {huks}");
    }
}

#[test]
fn what_the_station_takes_grows_by_two_percent_and_names_the_crate() {
    let old = host(&[("ring", 90_000), ("station", 10_000)]);
    assert!(!compare(&old, &host(&[("ring", 90_000), ("station", 12_000)])).is_too_much());
    let changes = compare(&old, &host(&[("ring", 89_000), ("station", 10_000), ("serde", 3_001)]));
    assert!(changes.is_too_much());
    assert_eq!(changes.totals, [change("instructions", 100_000, 102_001)]);
    assert_eq!(changes.parts, [change("serde", 0, 3_001), change("ring", 90_000, 89_000)]);
}

#[test]
fn what_was_nothing_may_not_become_something() {
    assert!(change("RAM", 0, 1).is_too_much());
    assert!(!change("RAM", 0, 0).is_too_much());
    assert!(!change("RAM", u64::MAX, u64::MAX).is_too_much());
    assert!(change("RAM", u64::MAX / 2, u64::MAX).is_too_much());
}

#[test]
fn crates_are_named_with_the_largest_growth_first() {
    let old = size(100, &[("p256", 1_000), ("sha2", 500), ("gone", 70), ("core", 30), ("same", 9)]);
    let new = size(90, &[("p256", 1_001), ("sha2", 900), ("added", 60), ("core", 10), ("same", 9)]);
    let changes = compare(&old, &new);
    assert_eq!(changes.totals, [change("flash", 1_609, 1_980), change("RAM", 100, 90)]);
    assert_eq!(
        changes.parts,
        [
            change("sha2", 500, 900),
            change("added", 0, 60),
            change("p256", 1_000, 1_001),
            change("core", 30, 10),
            change("gone", 70, 0),
        ]
    );
    assert_eq!(changes.parts[0].to_string(), "sha2: 500 to 900 (+400, +80.00 %)");
    assert_eq!(changes.parts[1].to_string(), "added: new, 60");
    assert_eq!(changes.parts[2].to_string(), "p256: 1,000 to 1,001 (+1, +0.10 %)");
    assert_eq!(changes.parts[3].to_string(), "core: 30 to 10 (-20, -66.66 %)");
    assert_eq!(changes.parts[4].to_string(), "gone: gone, was 70");
}

#[test]
fn a_crate_may_grow_where_the_whole_does_not() {
    let changes = compare(&size(1, &[("a", 100), ("b", 100)]), &size(1, &[("a", 150), ("b", 50)]));
    assert!(!changes.is_too_much());
    assert_eq!(changes.totals, []);
    assert_eq!(changes.parts.len(), 2);
}

#[test]
fn entries_are_appended_and_read_back() {
    let (_folder, path) = file("");
    let entries = [
        entry("nrf9160dk/nrf9160", size(100, &[("p256", 1_000)])),
        entry("mps2/an521/cpu0", size(200, &[("p256", 2_000)])),
    ];
    History::open(&path).unwrap().append(&entries).unwrap();
    let mut history = History::open(&path).unwrap();
    assert_eq!(history.last("size", "nrf9160dk/nrf9160"), Some(&entries[0]));
    assert_eq!(history.last("size", "mps2/an521/cpu0"), Some(&entries[1]));
    assert_eq!(history.last("size", "nrf5340dk/nrf5340/cpuapp"), None);
    assert_eq!(history.last("bench", "mps2/an521/cpu0"), None);

    let before = fs::read_to_string(&path).unwrap();
    let run = entry("mps2/an521/cpu0", bench(9_000, &[("boot", 5), ("HUKs", 6)]));
    let later = entry("mps2/an521/cpu0", size(300, &[("p256", 3_000)]));
    history.append(std::slice::from_ref(&run)).unwrap();
    history.append(std::slice::from_ref(&later)).unwrap();
    assert_eq!(history.last("size", "mps2/an521/cpu0"), Some(&later));
    let history = History::open(&path).unwrap();
    assert_eq!(history.last("bench", "mps2/an521/cpu0"), Some(&run));
    assert_eq!(history.last("size", "mps2/an521/cpu0"), Some(&later));
    // What was there is there still, and each entry is a line.
    let after = fs::read_to_string(&path).unwrap();
    assert_eq!(after.strip_prefix(&before).unwrap().lines().count(), 2);
}

#[test]
fn the_format_of_the_file_stays() {
    let line = r#"{"date":"2026-11-23","commit":"0123456789ab","board":"mps2/an521/cpu0","compilers":["rustc version 1"],"kind":"bench","instructions":11,"steps":{"HUKs":6,"boot":5},"stack":9000,"stack_size":12288}
{"date":"2026-11-23","commit":"0123456789ab","board":"nrf9160dk/nrf9160","compilers":["rustc version 1"],"kind":"size","flash":1000,"ram":100,"crates":{"p256":1000}}
{"date":"2026-11-23","commit":"0123456789ab","board":"nrf9160dk/nrf9160","sdk":"SDK 3.1.0, Zephyr 4.1.99","compilers":["rustc version 1"],"kind":"size","flash":1000,"ram":100,"crates":{"p256":1000}}
{"date":"2026-11-23","commit":"0123456789ab","board":"an entry audited, x86_64 linux","compilers":["rustc version 1"],"kind":"host","instructions":7,"crates":{"ring":4,"station":3}}
"#;
    let (_folder, path) = file("");
    let old = entry("nrf9160dk/nrf9160", size(100, &[("p256", 1_000)]));
    let new = Entry { sdk: Some(String::from("SDK 3.1.0, Zephyr 4.1.99")), ..old.clone() };
    let audit = entry("an entry audited, x86_64 linux", host(&[("station", 3), ("ring", 4)]));
    let run = entry("mps2/an521/cpu0", bench(9_000, &[("boot", 5), ("HUKs", 6)]));
    let entries = [run, old, new, audit];
    History::open(&path).unwrap().append(&entries).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), line);
    // What is written can be read.
    assert_eq!(History::open(&path).unwrap().last("size", "nrf9160dk/nrf9160"), Some(&entries[2]));
}

#[test]
fn a_damaged_history_is_refused_by_line_and_left_alone() {
    let good = r#"{"date":"2026-11-23","commit":"0123456789ab","board":"nrf9160dk/nrf9160","compilers":[],"kind":"size","flash":1000,"ram":100,"crates":{"core":400,"p256":600}}"#;
    let (_folder, path) = file(&format!("{good}\n{good}\n"));
    assert!(History::open(&path).is_ok());
    for bad in [
        good.to_string(),
        format!("{}\n", &good[..good.len() - 1]),
        format!("{good}{good}\n"),
        String::from("\n"),
        String::from("<<<<<<< HEAD\n"),
        format!("{}\n", good.replace("\"size\"", "\"weight\"")),
        format!("{}\n", good.replace("\"ram\":100,", "")),
        format!("{}\n", good.replace("\"ram\":100", "\"ram\":-100")),
        format!("{}\n", good.replace("\"ram\":100", "\"ram\":100.5")),
        format!("{}\n", good.replace("2026-11-23", "2026-11-31")),
        format!("{}\n", good.replace("600", "601")),
        format!("{}\n", good.replace("600", "18446744073709551615")),
    ] {
        let text = format!("{good}\n{good}\n{bad}");
        let (_folder, path) = file(&text);
        let error = History::open(&path).err().unwrap_or_else(|| panic!("it took {bad}"));
        assert!(matches!(error, HistoryError::Damaged(_, 3, _)), "{bad}: {error}");
        assert!(error.to_string().contains("line 3"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_missing_history_is_told_and_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("measured.jsonl");
    let error = History::open(&path).err().unwrap();
    assert!(matches!(error, HistoryError::Unreadable(..)), "{error}");
    assert!(!path.exists());
    // Bytes that are no text are not cut down to some that are.
    fs::write(&path, b"\xFF\xFE\n").unwrap();
    assert!(matches!(History::open(&path), Err(HistoryError::Unreadable(..))));
}

#[cfg(unix)]
#[test]
fn an_append_leaves_no_other_file_and_the_same_permissions() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let (folder, path) = file("");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let before = fs::metadata(&path).unwrap().ino();
    let mut history = History::open(&path).unwrap();
    history.append(&[entry("a", size(1, &[("p256", 1)]))]).unwrap();
    let after = fs::metadata(&path).unwrap();
    // Another file took its name: no moment in which it is half written.
    assert_ne!(after.ino(), before);
    assert_eq!(after.permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn an_append_that_fails_is_told() {
    let (folder, path) = file("");
    let mut history = History::open(&path).unwrap();
    drop(folder);
    let error = history.append(&[entry("a", size(1, &[("p256", 1)]))]).unwrap_err();
    assert!(matches!(error, HistoryError::Unwritable(..)), "{error}");
    assert_eq!(history.last("size", "a"), None);
}

#[test]
fn dates_are_days() {
    for good in ["2026-11-23", "2024-02-29", "2000-02-29", "1999-12-31", "2026-04-30"] {
        assert_eq!(good.parse::<Date>().unwrap().to_string(), good);
    }
    for bad in [
        "",
        "2026-11-31",
        "2026-02-29",
        "1900-02-29",
        "2026-13-01",
        "2026-00-01",
        "2026-01-00",
        "2026-1-1",
        "26-11-23",
        "2026/11/23",
        "2026-11-23 ",
        "2026-11-2x",
        "+026-11-23",
        "2026-11-023",
        "２026-11-23",
    ] {
        assert!(bad.parse::<Date>().is_err(), "{bad}");
    }
}
