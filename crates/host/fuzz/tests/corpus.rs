// SPDX-License-Identifier: Apache-2.0

//! The corpus is what today's parts and today's station make, and no target fails on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fuzz::TARGETS;
use fuzz::corpus;
use station::console::{ConsoleError, Follower, RunEnd};
use station::ledger::{Ledger, LedgerError, Link};

const AGAIN: &str = "make it anew: cargo run -p fuzz";

fn files(folder: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target);
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    files.map(|file| file.unwrap().path()).collect()
}

fn replay(target: &str) {
    let (_, check) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let corpus = files("corpus", target);
    assert!(!corpus.is_empty(), "{AGAIN}");
    for file in corpus.into_iter().chain(files("regressions", target)) {
        println!("{}", file.display());
        check(&fs::read(file).unwrap());
    }
    check(b"");
}

#[test]
fn the_command_has_a_version_and_makes_no_corpus_then() {
    let printed =
        Command::new(env!("CARGO_BIN_EXE_corpus")).arg("--version").output().unwrap().stdout;
    let version = concat!("corpus ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(String::from_utf8(printed).unwrap(), version);
}

#[test]
fn consoles() {
    replay("console");
}

#[test]
fn records() {
    replay("record");
}

#[test]
fn ledgers() {
    replay("ledger");
}

#[test]
fn exports() {
    replay("export");
}

#[test]
fn the_consoles_are_what_their_names_say() {
    for (name, console) in corpus::files("console") {
        let mut follower = Follower::new();
        let mut rest = &console[..];
        while follower.push(&mut rest).is_ok_and(|step| step.is_some()) {}
        let end = follower.end();
        let is_so = match &name[..] {
            "complete-kit" => matches!(end, Ok(RunEnd::AlreadyProvisioned { .. })),
            "torn-kit" => matches!(end, Ok(RunEnd::Failed { .. })),
            "crash" => matches!(end, Err(ConsoleError::Crashed(_))),
            _ => matches!(end, Ok(RunEnd::Provisioned { .. })),
        };
        assert!(is_so, "{name} ends with {end:?}");
    }
}

#[test]
fn the_corpus_is_of_today() {
    for target in ["console", "record", "export"] {
        let mut made = corpus::files(target);
        made.sort();
        let mut found: Vec<_> = files("corpus", target)
            .into_iter()
            .map(|file| {
                (file.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(file).unwrap())
            })
            .collect();
        found.sort();
        assert!(found == made, "the corpus of {target} is old, {AGAIN}");
    }
}

/// The links of a ledger that is good.
fn links(path: &Path) -> Vec<Link> {
    let ledger = Ledger::open(path).unwrap();
    let mut links = Vec::new();
    let audit = ledger
        .walk::<LedgerError>(
            None,
            |_| Ok(()),
            |found| {
                links.extend(found.link.cloned());
                Ok(())
            },
        )
        .unwrap();
    assert_eq!(audit.problems, []);
    links
}

/// A log has random numbers in it, and each link the station's version, so the ledgers are compared by what they say.
#[test]
fn the_ledgers_are_of_today() {
    assert_eq!(files("corpus", "ledger").len(), 2, "{AGAIN}");
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        let pages = u32::from_be_bytes(bytes[28..32].try_into().unwrap()) as usize * 512;
        fs::write(&path, &bytes[..pages]).unwrap();
        if bytes.len() > pages {
            fs::write(folder.path().join(format!("{name}-wal")), &bytes[pages..]).unwrap();
        }
        path
    };
    let mut counts = Vec::new();
    for (name, made) in corpus::files("ledger") {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/ledger").join(&name);
        let mut found = links(&write(&format!("found-{name}"), &fs::read(file).expect(AGAIN)));
        let made = links(&write(&format!("made-{name}"), &made));
        for (found, made) in found.iter_mut().zip(&made) {
            found.version.clone_from(&made.version);
            (found.previous, found.hash) = (made.previous, made.hash);
        }
        assert!(found == made, "{name} is old, {AGAIN}");
        counts.push((name, made.len()));
    }
    assert_eq!(counts, [(String::from("closed.db"), 10), (String::from("open.db"), 20)]);
}
