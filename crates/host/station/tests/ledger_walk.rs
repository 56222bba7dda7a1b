// SPDX-License-Identifier: Apache-2.0

//! What a walk on several threads finds is what one thread finds, in the same order.

mod common;

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use common::edits::{edits, sample, tamper};
use common::{Random, enter, entries, entry};
use station::ledger::{Audit, Entry, Ledger, LedgerError, Link, Problem, head_file_of};

/// What a caller gets of each link.
type Each = (u64, Option<Link>, Option<u64>, Vec<Problem>);

/// What a walk gives, and what it finds; `None` where the ledger does not even open.
fn walked(path: &Path, threads: usize) -> Option<(Vec<Each>, Result<Audit, String>)> {
    let mut ledger = Ledger::open(path).ok()?;
    ledger.set_threads(NonZeroUsize::new(threads).unwrap());
    let mut links = Vec::new();
    let check = |entry: &Entry| match entry.number % 5 {
        4 => Err(format!("entry {} is not liked", entry.number)),
        _ => Ok(()),
    };
    let audit = ledger.walk::<LedgerError>(Some([0xA5; 32]), check, |found| {
        links.push((found.number, found.link.cloned(), found.withdrawn, found.problems.to_vec()));
        Ok(())
    });
    Some((links, audit.map_err(|error| error.to_string())))
}

/// Whether all numbers of threads find the same, and how many problems.
fn compare(path: &Path, what: &str) -> usize {
    let one = walked(path, 1);
    for threads in [2, 5] {
        assert_eq!(walked(path, threads), one, "{what}, {threads} threads");
    }
    one.map_or(0, |(_, audit)| audit.map_or(0, |audit| audit.problems.len()))
}

#[test]
fn every_edit_is_found_alike_by_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let (good, path) = (folder.path().join("good"), folder.path().join("ledger"));
    sample(&good, [1, 2, 3, 4, 5].map(entry));
    let mut problems = 0;
    for (edit, _) in edits() {
        fs::copy(&good, &path).unwrap();
        tamper(&path, &edit);
        problems += compare(&path, &edit);
    }
    assert!(problems > 300, "{problems}");
}

#[test]
fn damage_anywhere_in_many_links_is_found_alike() {
    let folder = tempfile::tempdir().unwrap();
    let (good, path) = (folder.path().join("good"), folder.path().join("ledger"));
    enter(&mut Ledger::open_or_create(&good).unwrap(), &entries(1..=150)).unwrap();
    let mut random = Random(1);
    let mut problems = 0;
    for _ in 0..25 {
        fs::copy(&good, &path).unwrap();
        let changes: Vec<_> = (0..=random.below(6))
            .map(|_| {
                let link = 1 + random.below(300);
                let columns = ["time = 0", "hash = zeroblob(32)", "version = 'x'", "kind = 'x'"];
                format!("UPDATE links SET {} WHERE number = {link}", columns[random.below(4)])
            })
            .collect();
        tamper(&path, &changes.join(";"));
        problems += compare(&path, &changes.join(";"));
    }
    assert!(problems > 800, "{problems}");
    let bytes = fs::read(&good).unwrap();
    for page in 1..bytes.len() / 4096 {
        let mut bytes = bytes.clone();
        bytes[page * 4096..(page + 1) * 4096].fill(0xA5);
        fs::write(&path, bytes).unwrap();
        let _ = fs::remove_file(head_file_of(&path));
        compare(&path, &format!("page {page}"));
    }
}

#[test]
fn a_caller_that_stops_has_got_every_link_until_then_and_none_after() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let mut ledger = Ledger::open_or_create(&path).unwrap();
    enter(&mut ledger, &entries(1..=150)).unwrap();
    for threads in 1..=4 {
        ledger.set_threads(NonZeroUsize::new(threads).unwrap());
        for end in [1, 15, 16, 17, 150, 300] {
            let mut given = Vec::new();
            let result = ledger.walk(
                None,
                |_| Ok(()),
                |found| {
                    given.push(found.number);
                    if found.number < end {
                        Ok(())
                    } else {
                        Err(LedgerError::Missing(path.clone()))
                    }
                },
            );
            assert!(matches!(result, Err(LedgerError::Missing(_))), "{result:?}");
            assert_eq!(given, (1..=end).collect::<Vec<_>>());
        }
    }
}
