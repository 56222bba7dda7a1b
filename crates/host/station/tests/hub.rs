// SPDX-License-Identifier: Apache-2.0

//! Stations and their hub, on a real PostgreSQL server: what a push does, and when it raises an alarm.
#![cfg(unix)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use common::postgres::{Server, TestHub, begin, push};
use common::{attempt, enter, entries, entry, failure, run};
use station::hub::{Alarm, BATCH, Hub, HubError, sent};
use station::ledger::{Checkpoint, Ledger, New, head_file_of};
use station::station_key::StationKey;

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn two_stations_that_take_the_same_part_give_one_part_and_one_conflict() {
    let hub = TestHub::new();
    let (mut one, mut two) = (hub.station("line-1"), hub.station("line-2"));
    enter(&mut one.ledger, &entries(1..=3)).unwrap();
    enter(&mut two.ledger, &[entry(3), entry(4)]).unwrap();
    let pushed = one.push().unwrap();
    assert_eq!((pushed.links, pushed.again), (6, 0));
    assert_eq!(pushed.last, one.ledger.head().unwrap());
    assert_eq!(two.push().unwrap().links, 4);
    // Again: there is nothing to send.
    assert_eq!(one.push().unwrap().links, 0);
    assert_eq!(hub.sql("SELECT count(*) FROM hub.links"), "10");
    assert_eq!(hub.sql("SELECT count(*) FROM hub.parts"), "4");
    // The last link of each is signed.
    for (station, number) in [(&one, 1), (&two, 2)] {
        let note = hub.sql(&format!("SELECT note FROM hub.checkpoints WHERE station = {number}"));
        let verifier = station.ledger.origin().unwrap().verifier().unwrap();
        let checkpoint = Checkpoint::open(note.as_bytes(), &verifier).unwrap();
        assert_eq!(checkpoint.head, station.ledger.head().unwrap());
    }
    assert_eq!(
        hub.sql(
            "SELECT station, link, holder_station, holder_link, device_id, ueid, public_key, serial_number \
             FROM hub.conflicts"
        ),
        "2|2|1|6|t|t|t|f"
    );
    // The part is held back, the three others are not.
    assert_eq!(hub.sql("SELECT station, entry FROM hub.exportable ORDER BY 1, 2"), "1|1\n1|2\n2|2");
    let status = Hub::connect(&one.config).unwrap().status().unwrap();
    let [conflict] = &status.conflicts[..] else { panic!("{status:?}") };
    assert_eq!(conflict.second, (two.role.clone(), 1));
    assert_eq!(conflict.holder, (one.role.clone(), 3));
    assert_eq!(conflict.same.words(), "device ID and identity key");
    let stations: Vec<_> =
        status.stations.iter().map(|s| (s.role.as_str(), s.links, s.parts)).collect();
    assert_eq!(stations, [(&*one.role, 6, 3), (&*two.role, 4, 1)]);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn only_what_was_acknowledged_is_sent_and_the_file_beside_the_ledger_says_so() {
    let hub = TestHub::new();
    let mut one = hub.station("line-1");
    let name = one.config.to_string();
    assert_eq!(sent(&one.ledger, &name).unwrap(), None);
    // An attempt alone was not synced; a loss of power may take it, and another link come in its place.
    one.ledger.append(&[New::Attempt(attempt("port"))]).unwrap();
    assert_eq!(one.push().unwrap().links, 0);
    enter(&mut one.ledger, &entries(1..=1)).unwrap();
    one.ledger.append(&[New::Attempt(attempt("port"))]).unwrap();
    assert_eq!(one.push().unwrap().links, 3);
    assert_eq!(sent(&one.ledger, &name).unwrap().unwrap().number, 3);
    assert_eq!(sent(&one.ledger, "another hub").unwrap(), None);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_bad_record_and_a_changed_link_are_not_sent() {
    let hub = TestHub::new();
    let mut one = hub.station("line-1");
    enter(&mut one.ledger, &entries(1..=3)).unwrap();
    let mut station = Hub::connect(&one.config).unwrap();
    let error = station
        .push(
            &one.ledger,
            &mut |entry| if entry.number == 2 { Err("no".into()) } else { Ok(()) },
            &mut |_, _| (),
        )
        .unwrap_err();
    assert!(matches!(error, HubError::Record(4, _)), "{error}");
    assert!(error.is_loss());
    let path = one.ledger.path().to_owned();
    let head = fs::read(head_file_of(&path)).unwrap();
    common::edits::tamper(&path, "UPDATE attempts SET port = 'x' WHERE link = 5");
    fs::write(head_file_of(&path), head).unwrap();
    let ledger = one.open(&path);
    let error = station.push(&ledger, &mut |_| Ok(()), &mut |_, _| ()).unwrap_err();
    assert!(matches!(error, HubError::Ledger(_)), "{error}");
    assert!(error.to_string().contains("link 5: its content was changed"), "{error}");
    assert_eq!(hub.sql("SELECT count(*) FROM hub.links"), "0");
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_station_is_told_how_to_be_let_in() {
    let hub = TestHub::new();
    let mut one = hub.station("line-1");
    enter(&mut one.ledger, &entries(1..=1)).unwrap();
    let path = hub.folder.path();
    // No key: nobody could tell whose ledger it is.
    let keyless = Ledger::open_or_create(&path.join("keyless.db")).unwrap();
    let push = |ledger: &Ledger| push(&one.config, ledger).unwrap_err();
    let error = push(&keyless);
    assert!(matches!(error, HubError::NoKey), "{error}");
    let key = path.join("other.key");
    StationKey::generate().unwrap().write(&key).unwrap();
    let mut other = begin(&path.join("other.db"), &key);
    enter(&mut other, &entries(1..=1)).unwrap();
    let error = push(&other);
    assert!(matches!(error, HubError::NotEnrolled { .. }), "{error}");
    let verifier = other.origin().unwrap().verifier().unwrap();
    let advice = format!("station hub enroll {} --key {verifier}", one.role);
    assert!(error.to_string().contains(&advice), "{error}");
    // Nobody signs.
    let unsigned = Ledger::open(one.ledger.path()).unwrap();
    assert!(matches!(push(&unsigned), HubError::NoSigner));
    // Another station's ledger.
    let mut two = hub.station("line-2");
    enter(&mut two.ledger, &entries(1..=1)).unwrap();
    two.push().unwrap();
    let error = push(&two.ledger);
    assert!(matches!(&error, HubError::OtherRole(role) if *role == two.role), "{error}");
    assert!([&error].iter().all(|error| !error.is_transient() && !error.is_loss()));
}

/// A copy of a ledger and its head.
fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
    for end in ["-wal", "-head"] {
        let name = |path: &Path| format!("{}{end}", path.display());
        if Path::new(&name(from)).exists() {
            fs::copy(name(from), name(to)).unwrap();
        }
    }
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_file_that_was_forked_or_rolled_back_raises_an_alarm() {
    let hub = TestHub::new();
    let mut one = hub.station("line-1");
    let path = hub.folder.path().join("copy.db");
    enter(&mut one.ledger, &entries(1..=5)).unwrap();
    copy(one.ledger.path(), &path);
    enter(&mut one.ledger, &entries(6..=8)).unwrap();
    one.push().unwrap();
    let before = hub.sql("SELECT * FROM hub.links");
    let push = |ledger: &Ledger| push(&one.config, ledger).unwrap_err();
    // The copy lacks the last links.
    let mut copied = one.open(&path);
    let error = push(&copied);
    let there = one.ledger.head().unwrap();
    assert!(
        matches!(&error, HubError::Alarm(Alarm::Behind { here: 10, there: found }) if *found == there),
        "{error}"
    );
    assert!(error.is_loss());
    // It goes on by itself: first shorter than the hub's, then longer.
    for part in [20, 30, 40, 50, 60] {
        enter(&mut copied, &entries(part..=part)).unwrap();
        let (here, there) = (common::links(&copied)[10].hash, common::links(&one.ledger)[10].hash);
        let error = push(&copied);
        let HubError::Alarm(alarm) = error else { panic!("{error}") };
        assert_eq!(alarm, Alarm::Fork { number: 11, here, there });
        let text = alarm.to_string();
        for hash in [here, there] {
            assert!(text.contains(&base16ct::lower::encode_string(&hash)), "{text}");
        }
    }
    // One with the same origin that has nothing in common: begun anew with the same key.
    let mut anew = begin(&hub.folder.path().join("anew.db"), &one.key);
    let error = push(&anew);
    assert!(matches!(error, HubError::Alarm(Alarm::Behind { here: 0, .. })), "{error}");
    enter(&mut anew, &entries(7..=7)).unwrap();
    assert!(matches!(push(&anew), HubError::Alarm(Alarm::Fork { number: 1, .. })));
    assert_eq!(hub.sql("SELECT * FROM hub.links"), before);
    // The true one goes on.
    enter(&mut one.ledger, &entries(9..=9)).unwrap();
    assert_eq!(one.push().unwrap().links, 2);
}

/// Two copies of a ledger are pushed at the same moment: the second one sees it in the middle.
#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_fork_that_comes_in_the_middle_of_a_push_raises_an_alarm() {
    let batch = usize::try_from(BATCH).unwrap();
    // The other copy ends in the middle of a batch of this one, or behind it.
    for others in [100, 3 * batch] {
        let hub = TestHub::new();
        let mut one = hub.station("line-1");
        let many = |count: usize, port| vec![New::Attempt(attempt(port)); count];
        one.ledger.append(&many(batch, "port")).unwrap();
        let path = hub.folder.path().join("copy.db");
        let last = [run(failure(), None)];
        copy(one.ledger.path(), &path);
        let mut copied = one.open(&path);
        copied.append(&many(others, "another")).unwrap();
        copied.append(&last).unwrap();
        one.ledger.append(&many(batch + 10, "port")).unwrap();
        one.ledger.append(&last).unwrap();
        let mut other_is_sent = false;
        let error = Hub::connect(&one.config)
            .unwrap()
            .push(&one.ledger, &mut |_| Ok(()), &mut |_, _| {
                if !other_is_sent {
                    other_is_sent = true;
                    let mut station = Hub::connect(&one.config).unwrap();
                    station.push(&copied, &mut |_| Ok(()), &mut |_, _| ()).unwrap();
                }
            })
            .unwrap_err();
        let HubError::Alarm(Alarm::Fork { number, .. }) = error else { panic!("{error}") };
        assert_eq!(number, BATCH + 1);
        assert_eq!(
            hub.sql("SELECT count(*), max(number) FROM hub.links"),
            format!("{0}|{0}", batch + others + 2)
        );
    }
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_hub_that_was_restored_from_a_backup_gets_the_links_again() {
    let hub = TestHub::on(Arc::new(Server::start()));
    let mut one = hub.station("line-1");
    let mut two = hub.station("line-2");
    enter(&mut one.ledger, &entries(1..=5)).unwrap();
    one.push().unwrap();
    let data = hub.server.data();
    let backup = hub.server.path().join("backup");
    let copy_all = |from: &Path, to: &Path| {
        assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    };
    hub.server.stop_immediately();
    copy_all(&data, &backup);
    hub.server.restart();
    enter(&mut one.ledger, &entries(6..=8)).unwrap();
    enter(&mut two.ledger, &entries(8..=9)).unwrap();
    one.push().unwrap();
    two.push().unwrap();
    enter(&mut one.ledger, &entries(10..=10)).unwrap();
    hub.server.stop_immediately();
    fs::remove_dir_all(&data).unwrap();
    copy_all(&backup, &data);
    let _ = fs::remove_file(data.join("postmaster.pid"));
    hub.server.restart();
    assert_eq!(hub.sql("SELECT count(*) FROM hub.links"), "10");
    let pushed = one.push().unwrap();
    assert_eq!((pushed.links, pushed.again), (8, 6));
    let pushed = two.push().unwrap();
    assert_eq!((pushed.links, pushed.again), (4, 4));
    assert_eq!(two.push().unwrap().again, 0);
    assert_eq!(hub.sql("SELECT count(*) FROM hub.parts"), "10");
    assert_eq!(hub.sql("SELECT count(*) FROM hub.open_conflicts"), "1");
}

/// No plan reads a whole table, and no part costs more rows the more there are.
#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_push_reads_by_indexes_alone_and_as_much_as_the_one_before() {
    let hub = TestHub::on(Arc::new(Server::start()));
    let mut stations = [hub.station("line-1"), hub.station("line-2")];
    let read = || {
        let rows = hub.sql(
            "SELECT pg_stat_force_next_flush(); \
             SELECT relname, seq_scan, coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables \
             WHERE schemaname = 'hub' ORDER BY relname",
        );
        let rows = rows.lines().filter(|row| row.contains('|'));
        rows.map(|row| {
            let row: Vec<_> = row.split('|').collect();
            (row[0].to_owned(), row[1].parse::<i64>().unwrap(), row[2].parse::<i64>().unwrap())
        })
        .collect::<Vec<_>>()
    };
    let mut costs = Vec::new();
    let mut part = 0;
    for n in 0..9 {
        let station = &mut stations[n % 2];
        // One in ten is the other station's already.
        let numbers: Vec<u8> =
            if n == 8 { vec![1, 41, 81] } else { (part + 1..=part + 20).collect() };
        part += 20;
        for slice in numbers.chunks(5) {
            let slice: Vec<_> = slice.iter().map(|n| entry(*n)).collect();
            enter(&mut station.ledger, &slice).unwrap();
        }
        let before = read();
        station.push().unwrap();
        let after = read();
        let change = |(before, after): (&(String, i64, i64), &(String, i64, i64))| {
            (after.0.clone(), after.1 - before.1, after.2 - before.2)
        };
        let change: Vec<_> = before.iter().zip(&after).map(change).collect();
        let scanned: Vec<_> = change
            .iter()
            .filter(|(name, scans, _)| *scans > 0 && name != "refinery_schema_history")
            .collect();
        assert_eq!(scanned, Vec::<&(String, i64, i64)>::new(), "push {n}");
        costs.push(change.iter().map(|(_, _, fetched)| fetched).sum::<i64>());
    }
    // The first ones begin their ledgers.
    let slack = costs[2] / 10;
    for (n, cost) in costs[..8].iter().enumerate().skip(3) {
        assert!((cost - costs[2]).abs() <= slack, "push {n}: {costs:?}");
    }
}
