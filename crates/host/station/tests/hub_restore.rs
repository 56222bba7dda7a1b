// SPDX-License-Identifier: Apache-2.0

//! Each way to lose a ledger, a key or a hub, and the way back, as the manual has it ("Recovery").
#![cfg(unix)]

mod common;

use std::fs;
use std::path::Path;

use common::postgres::TestHub;
use common::signed::{Station, any, audit, copy};
use common::{enter, entry, links};
use station::hub::{Alarm, Hub, HubError, Which};
use station::ledger::{Ledger, LedgerError, Link, head_file_of};

fn restore(station: &Station, path: &Path) -> Result<station::ledger::Audit, HubError> {
    let which = Which::OfRole(station.role.clone());
    Hub::restore(&station.config, &which, path, None, any, &mut |_, _| ()).map(|(_, audit)| audit)
}

/// The files of a ledger are gone: its disk is.
fn lose(path: &Path) {
    let pattern = format!("{}*", path.display());
    for file in glob::glob(&pattern).unwrap() {
        fs::remove_file(file.unwrap()).unwrap();
    }
}

fn contents(links: &[Link]) -> Vec<Vec<u8>> {
    links.iter().map(Link::content).collect()
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_ledger_whose_disk_is_lost_is_written_anew_and_goes_on() {
    let hub = TestHub::new();
    let mut one = Station::new(&hub, "line-1");
    one.ledger.append(&common::edits::facts([1, 2, 3, 4, 5].map(entry))).unwrap();
    // More than are fetched at once.
    one.enter(6..=180);
    one.push().unwrap();
    let (before, head) = (contents(&links(&one.ledger)), one.ledger.head().unwrap());
    let Station { role, config, path, key, ledger } = one;
    drop(ledger);
    lose(&path);
    assert!(!path.exists());
    let (origin, found) =
        Hub::restore(&config, &Which::OfRole(role.clone()), &path, None, any, &mut |_, _| ())
            .unwrap();
    assert!(found.is_clean());
    assert_eq!((found.head, found.entries), (head, 180));
    let ledger = Ledger::open_or_create(&path).unwrap();
    assert_eq!(contents(&links(&ledger)), before);
    assert_eq!(ledger.origin().unwrap(), origin);
    assert_eq!(ledger.kept_head().unwrap(), head);
    // Nothing else is left in the folder.
    let mut names: Vec<_> = fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["ledger.db", "ledger.db-head", "ledger.db-shm", "ledger.db-wal", "station.key"]
    );
    drop(ledger);
    // It knows its parts, and goes on with its key.
    let nothing = Ledger::open(&path).unwrap();
    let mut one = Station { role, config, path, key, ledger: nothing }.open();
    assert!(enter(&mut one.ledger, &[entry(3)]).unwrap()[0].is_err());
    one.enter([190]);
    assert_eq!(one.push().unwrap().links, 4);
    assert_eq!(audit(&hub).problems, []);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn nothing_is_restored_over_a_file_or_without_what_was_acknowledged() {
    let hub = TestHub::new();
    let mut one = Station::new(&hub, "line-1");
    one.enter(1..=10);
    one.push().unwrap();
    // There is the ledger, or something else, or the log of it.
    let error = restore(&one, &one.path).unwrap_err();
    assert!(matches!(error, HubError::Ledger(LedgerError::Exists(_))), "{error}");
    let other = one.path.with_extension("other");
    fs::write(&other, "").unwrap();
    let error = restore(&one, &other).unwrap_err();
    assert!(matches!(error, HubError::Ledger(LedgerError::Exists(_))), "{error}");
    assert_eq!(fs::read(&other).unwrap(), b"");
    fs::remove_file(&other).unwrap();
    fs::write(one.path.with_extension("other-wal"), "x").unwrap();
    let error = restore(&one, &other).unwrap_err();
    assert!(matches!(error, HubError::Ledger(LedgerError::LogOnly(_))), "{error}");
    fs::remove_file(one.path.with_extension("other-wal")).unwrap();
    // The station had more than the hub has: the head says so.
    one.enter([11]);
    fs::copy(head_file_of(&one.path), head_file_of(&other)).unwrap();
    let error = restore(&one, &other).unwrap_err();
    let HubError::Ledger(LedgerError::Shorter { path, last, seen, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!((path, *last, *seen), (&other, 20, 22));
    assert!(error.to_string().contains("start the parts of the lost entries again"), "{error}");
    assert!(!other.exists());
    // Somebody who knows what is lost removes the head.
    fs::remove_file(head_file_of(&other)).unwrap();
    assert!(restore(&one, &other).unwrap().is_clean());
    assert_eq!(Ledger::open(&other).unwrap().entries().unwrap(), 10);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn what_the_station_has_not_signed_or_is_no_chain_is_not_restored() {
    let hub = TestHub::new();
    let mut one = Station::new(&hub, "line-1");
    let other = one.path.with_extension("other");
    let none = restore(&one, &other).unwrap_err().to_string();
    assert!(none.starts_with("the hub has no ledger of the role line-1"), "{none}");
    one.enter(1..=10);
    one.push().unwrap();
    let origin = Which::Origin([7; 32]);
    let none = Hub::restore(&one.config, &origin, &other, None, any, &mut |_, _| ()).unwrap_err();
    assert!(none.to_string().starts_with("the hub has no ledger with the origin 0707"), "{none}");
    // A record that is bad: the audit says so, and there is no ledger.
    let doubt = |entry: &station::ledger::Entry| match entry.number {
        4 => Err("no".to_owned()),
        _ => Ok(()),
    };
    let which = Which::OfRole(one.role.clone());
    let (_, found) =
        Hub::restore(&one.config, &which, &other, None, doubt, &mut |_, _| ()).unwrap();
    assert_eq!(found.problems.len(), 1);
    let guarded = "SET session_replication_role = replica; ALTER TABLE hub.links DISABLE TRIGGER ALL; \
        ALTER TABLE hub.links DROP CONSTRAINT links_check; ALTER TABLE hub.checkpoints DISABLE TRIGGER ALL; \
        ALTER TABLE hub.stations DISABLE TRIGGER ALL;";
    for (n, (edit, why)) in [
        ("DELETE FROM hub.checkpoints", "link, 20, is not signed"),
        ("DELETE FROM hub.links WHERE number = 20", "link, 19, is not signed"),
        ("DELETE FROM hub.links WHERE number = 3", "link 4: what the hub has is not the content"),
        (
            "UPDATE hub.links SET content = content || '\\x00' WHERE number = 3",
            "link 3: what the hub has is not the content of a link that follows link 2",
        ),
        (
            "UPDATE hub.links SET content = overlay(content placing 'x' from position('dev' in content) for 1) \
             WHERE number = 3",
            "link 4: what the hub has is not the content of a link that follows link 3",
        ),
        (
            "UPDATE hub.links SET content = overlay(content placing 'x' from position('0.1.0' in content) for 1), \
             hash = sha256('x') WHERE number = 20",
            "link, 20, is not signed",
        ),
        ("UPDATE hub.stations SET batch = 'x'", "its origin is not that of its station key"),
    ]
    .iter()
    .enumerate()
    {
        let copy = copy(&hub, &format!("r{n}"));
        copy.sql(&format!("{guarded} {edit}"));
        let at = |station: &Station| copy.config(&station.role);
        let error = Hub::restore(&at(&one), &which, &other, None, any, &mut |_, _| ()).unwrap_err();
        assert!(error.to_string().contains(why), "{edit}: {error}");
        assert!(!other.exists() && !head_file_of(&other).exists());
    }
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_station_that_lost_its_key_goes_on_with_a_new_one_and_no_part_is_claimed_twice() {
    let hub = TestHub::new();
    let (mut one, mut two) = (Station::new(&hub, "line-1"), Station::new(&hub, "line-2"));
    one.enter(1..=10);
    one.push().unwrap();
    two.enter(11..=12);
    two.push().unwrap();
    // The key alone, or the whole disk with it.
    let path = one.path.clone();
    lose(&path);
    fs::remove_file(&one.key).unwrap();
    restore(&one, &path).unwrap();
    let mut one = one.with_new_key(&hub);
    one.enter([13]);
    one.push().unwrap();
    let found = audit(&hub);
    assert_eq!(found.problems, []);
    assert_eq!(found.parts, 13);
    assert_eq!(hub.sql("SELECT count(*) FROM hub.conflicts"), "0");
    // The role's ledger is now the one that goes on.
    let again = one.path.with_extension("again");
    restore(&one, &again).unwrap();
    assert_eq!(contents(&links(&Ledger::open(&again).unwrap())), contents(&links(&one.ledger)));
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_lost_hub_is_made_anew_from_the_stations() {
    let hub = TestHub::new();
    let (mut one, mut two) = (Station::new(&hub, "line-1"), Station::new(&hub, "line-2"));
    one.enter(1..=10);
    two.enter(10..=20);
    for station in [&one, &two] {
        station.push().unwrap();
    }
    let parts = "SELECT s.key, p.entry, p.ueid FROM hub.parts p JOIN hub.stations s USING (station) ORDER BY 1, 2";
    let before = hub.sql(parts);
    let new = TestHub::on(hub.server.clone());
    for station in [&one, &two] {
        station.enroll(&new);
    }
    let (one, two) = (one.at(&new), two.at(&new));
    for station in [&one, &two] {
        station.push().unwrap();
    }
    let found = audit(&new);
    assert_eq!(found.problems, []);
    assert_eq!(new.sql(parts), before);
    assert_eq!(new.sql("SELECT count(*) FROM hub.open_conflicts"), "1");
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_hub_that_was_restored_from_a_backup_gets_what_it_lacks_again() {
    let hub = TestHub::new();
    let (mut one, mut two) = (Station::new(&hub, "line-1"), Station::new(&hub, "line-2"));
    one.enter(1..=10);
    one.push().unwrap();
    let backup = copy(&hub, "backup");
    one.enter(11..=15);
    assert_eq!(one.push().unwrap().again, 0);
    two.enter(15..=16);
    two.push().unwrap();
    // The backup takes the hub's place, under its name.
    let rename = format!("DROP DATABASE {0} WITH (FORCE); ", hub.database);
    hub.server.sql("postgres", "postgres", &rename).unwrap();
    let rename = format!("ALTER DATABASE {} RENAME TO {}", backup.database, hub.database);
    hub.server.sql("postgres", "postgres", &rename).unwrap();
    // line-2 was enrolled before the backup, and has pushed since.
    assert_eq!(two.push().unwrap().links, 4);
    let pushed = one.push().unwrap();
    assert_eq!((pushed.links, pushed.again), (10, 10));
    assert_eq!(audit(&hub).problems, []);
    assert_eq!(hub.sql("SELECT count(*) FROM hub.open_conflicts"), "1");
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_station_that_was_rolled_back_is_stopped_and_restored_from_the_hub() {
    let hub = TestHub::new();
    let mut one = Station::new(&hub, "line-1");
    one.enter(1..=5);
    one.push().unwrap();
    // A backup of the whole folder, with the head, that is put back a day later.
    let Station { role, config, path, key, ledger } = one;
    drop(ledger);
    let backup = path.with_extension("backup");
    fs::copy(&path, &backup).unwrap();
    let head = fs::read(head_file_of(&path)).unwrap();
    let nothing = Ledger::open(&path).unwrap();
    let mut one = Station { role, config, path: path.clone(), key, ledger: nothing }.open();
    one.enter(6..=8);
    one.push().unwrap();
    let there = one.ledger.head().unwrap();
    lose(&path);
    fs::copy(&backup, &path).unwrap();
    fs::write(head_file_of(&path), head).unwrap();
    let mut one = one.open();
    let error = one.push().unwrap_err();
    let behind = Alarm::Behind { here: 10, there };
    assert!(matches!(&error, HubError::Alarm(alarm) if *alarm == behind), "{error}");
    // It went on nevertheless.
    one.enter([9]);
    let error = one.push().unwrap_err();
    assert!(error.to_string().starts_with("ALARM"), "{error}");
    // The way back: the file is kept aside, the ledger restored, and the parts of the lost entries are started again.
    let aside = path.with_extension("aside");
    drop(std::mem::replace(&mut one.ledger, Ledger::open(&path).unwrap()));
    fs::copy(&path, &aside).unwrap();
    lose(&path);
    restore(&one, &path).unwrap();
    let mut one = one.open();
    assert_eq!(one.ledger.head().unwrap(), there);
    one.enter([9]);
    one.push().unwrap();
    assert_eq!(audit(&hub).problems, []);
    assert_eq!(audit(&hub).parts, 9);
}
