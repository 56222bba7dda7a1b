// SPDX-License-Identifier: Apache-2.0

//! A hub that is cut off, killed, silent, full, or in a deadlock: nothing that it has acknowledged is lost, nothing is
//! there twice, and no batch is there in half.
#![cfg(unix)]

mod common;

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::postgres::{Server, TestHub, TestStation, push};
use common::proxy::{Fault, Proxy};
use common::{attempt, enter, entries, entry, run};
use station::hub::{BATCH, Config, Hub, HubError, Pushed};
use station::ledger::{Ledger, New, NewEnd};
use tempfile::TempDir;

const SECOND: Duration = Duration::from_secs(1);

/// Over TCP, through a proxy.
fn through(hub: &TestHub, proxy: &Proxy, role: &str, call: Duration, patience: Duration) -> Config {
    hub.sql(&format!("ALTER ROLE \"{role}\" PASSWORD 'secret'"));
    let file = hub.folder.path().join(format!("{role}.password"));
    fs::write(&file, "secret\n").unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    Config::new(&format!("postgres://{role}@127.0.0.1:{}/{}", proxy.port, hub.database))
        .unwrap()
        .with_password_file(file)
        .with_patience(call, patience)
}

/// `acknowledged` gets each number that the hub has acknowledged.
fn push_with(
    config: &Config,
    ledger: &Ledger,
    acknowledged: &mut dyn FnMut(u64),
) -> Result<Pushed, HubError> {
    Hub::new(config).push(ledger, &mut |_| Ok(()), &mut |at, _| acknowledged(at))
}

/// Many links: attempts, of which nothing is known, and one that ended.
fn fill(ledger: &mut Ledger, links: u64) {
    let many: Vec<_> = (2..links).map(|_| New::Attempt(attempt("/dev/ttyACM0"))).collect();
    ledger.append(&many).unwrap();
    ledger.append(&[run(common::failure(), None)]).unwrap();
}

/// The hub has what the file has, once.
#[track_caller]
fn is_whole(hub: &TestHub, stations: &[&TestStation]) {
    let mut links = 0;
    for station in stations {
        let head = station.ledger.head().unwrap();
        assert_eq!(
            Hub::connect(&station.config).unwrap().last(&station.ledger.origin().unwrap()).unwrap(),
            head
        );
        links += head.number;
    }
    let count = |what: &str| hub.sql(&format!("SELECT count(*) FROM hub.{what}"));
    assert_eq!(count("links"), links.to_string());
    // Each link has what belongs to it.
    assert_eq!(count("links WHERE kind = 'attempt'"), count("attempts"));
    assert_eq!(count("links WHERE kind = 'outcome'"), count("outcomes"));
    assert_eq!(count("outcomes WHERE result = 'good'"), count("entries"));
    assert_eq!(count("links WHERE kind = 'withdrawal'"), count("withdrawals"));
    // Each claim is a part, or waits for one.
    assert_eq!(
        count(
            "entries e WHERE NOT EXISTS (SELECT FROM hub.parts p WHERE (p.station, p.link) = (e.station, e.link)) \
             AND NOT EXISTS (SELECT FROM hub.conflicts c WHERE (c.station, c.link) = (e.station, e.link))"
        ),
        "0"
    );
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_push_that_is_cut_off_at_any_byte_is_done_by_the_next_one() {
    let hub = TestHub::on(Arc::new(Server::start()));
    let mut one = hub.station("line-1");
    let proxy = Proxy::to(hub.server.port);
    let cut = through(&hub, &proxy, &one.role, SECOND * 10, Duration::ZERO);
    enter(&mut one.ledger, &entries(1..=2)).unwrap();
    push(&cut, &one.ledger).unwrap();
    let mut part = 4;
    enter(&mut one.ledger, &entries(3..=part)).unwrap();
    proxy.set(Fault::None);
    push(&cut, &one.ledger).unwrap();
    hub.wait_until_left(&one.role);
    // Of a push of two parts. All that follow have answers as long as these; requests get some bytes longer, as numbers do.
    let (requests, answers) = proxy.most();
    let mut lost = 0;
    let places =
        |all: usize, steps: usize| (1..=steps).map(move |step| (all * step).div_ceil(steps));
    // The last request is the COMMIT. Its answer has 18 bytes, of which none comes, or at least one is missing.
    let faults = places(requests, 35)
        .map(Fault::CutRequest)
        .chain(places(answers, 35).map(Fault::CutAnswer))
        .chain([Fault::CutBehind(b"COMMIT")])
        .chain((1..18).map(|missing| Fault::CutAnswer(answers - missing)));
    for fault in faults {
        part += 2;
        enter(&mut one.ledger, &entries(part - 1..=part)).unwrap();
        let before: u64 = one.ledger.head().unwrap().number - 4;
        proxy.set(fault.clone());
        let result = push(&cut, &one.ledger);
        // All of the batch, or nothing of it, when the server has done what it was asked, and the proxy has counted.
        hub.wait_until_left(&one.role);
        assert_eq!(proxy.fired(), 1, "{fault:?}");
        let there = one.last();
        assert!(there == before || there == before + 4, "{fault:?}: {there}");
        match result {
            Ok(pushed) => assert_eq!(pushed.last.number, there, "{fault:?}"),
            Err(error) => {
                assert!(error.is_transient(), "{fault:?}: {error}");
                lost += usize::from(there > before);
            }
        }
        proxy.set(Fault::None);
        let again = push(&cut, &one.ledger).unwrap();
        assert_eq!(again.links, before + 4 - there, "{fault:?}");
        assert_eq!(again.again, 0);
        is_whole(&hub, &[&one]);
    }
    assert_eq!(lost, 18, "how often the answer to a COMMIT was lost");
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_lost_answer_to_each_commit_costs_nothing() {
    let hub = TestHub::on(Arc::new(Server::start()));
    let mut one = hub.station("line-1");
    let links = 5 * BATCH;
    fill(&mut one.ledger, links);
    let proxy = Proxy::to(hub.server.port);
    let config = through(&hub, &proxy, &one.role, SECOND * 10, SECOND * 60);
    proxy.set(Fault::CutAfter(b"COMMIT"));
    // Each connection is cut after its first COMMIT, whose answer is lost: five, and the sixth finds all there.
    let pushed = push(&config, &one.ledger).unwrap();
    assert_eq!(proxy.fired(), 5);
    assert_eq!(pushed.last, one.ledger.head().unwrap());
    is_whole(&hub, &[&one]);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_hub_that_goes_silent_does_not_keep_a_station_waiting() {
    let hub = TestHub::on(Arc::new(Server::start()));
    let mut one = hub.station("line-1");
    enter(&mut one.ledger, &entries(1..=2)).unwrap();
    let proxy = Proxy::to(hub.server.port);
    let config = through(&hub, &proxy, &one.role, SECOND, Duration::ZERO);
    for fault in [
        Fault::Silent,
        Fault::SilentFrom(b"START TRANSACTION"),
        Fault::SilentFrom(b"INSERT INTO hub.links"),
        Fault::SilentFrom(b"INSERT INTO hub.entries"),
        Fault::SilentFrom(b"COMMIT"),
    ] {
        proxy.set(fault.clone());
        let begun = Instant::now();
        let error = push(&config, &one.ledger).expect_err(&format!("{fault:?}"));
        assert!(matches!(error, HubError::Silent(..)), "{fault:?}: {error}");
        assert!(error.is_transient());
        assert!(error.to_string().ends_with("has not answered for 1 seconds"), "{error}");
        assert!(begun.elapsed() < SECOND * 5, "{fault:?}");
        assert_eq!(proxy.fired(), 1, "{fault:?}");
        assert_eq!(one.last(), 0, "{fault:?}");
    }
    // The server gives up what it was in the middle of, and does not keep others waiting.
    proxy.set(Fault::None);
    assert_eq!(push(&config, &one.ledger).unwrap().links, 4);
    is_whole(&hub, &[&one]);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_server_that_stands_still_is_waited_for_and_no_longer_than_said() {
    let hub = TestHub::on(Arc::new(Server::start()));
    let mut one = hub.station("line-1");
    enter(&mut one.ledger, &entries(1..=2)).unwrap();
    let config = one.config.clone().with_patience(SECOND, SECOND * 3);
    hub.server.freeze(true);
    let begun = Instant::now();
    let error = push(&config, &one.ledger).unwrap_err();
    hub.server.freeze(false);
    assert!(matches!(error, HubError::Silent(..)), "{error}");
    assert!((SECOND * 3..SECOND * 20).contains(&begun.elapsed()));
    push(&config, &one.ledger).unwrap();
    is_whole(&hub, &[&one]);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_server_that_is_killed_or_restarted_in_mid_batch_loses_nothing() {
    let hub = TestHub::on(Arc::new(Server::start()));
    let mut one = hub.station("line-1");
    let config = one.config.clone().with_patience(SECOND * 10, SECOND * 60);
    for stop in [Server::kill, Server::stop_immediately, Server::kill] {
        let before = one.ledger.head().unwrap().number;
        fill(&mut one.ledger, 10 * BATCH);
        let mut acknowledged = before;
        let server = &hub.server;
        thread::scope(|scope| {
            let (tell, told) = std::sync::mpsc::channel();
            let stopper = scope.spawn(move || {
                let _: u64 = told.recv().unwrap();
                // In the middle of the next batch, or the one after that.
                thread::sleep(Duration::from_millis(30));
                stop(server);
                thread::sleep(Duration::from_millis(300));
                server.restart();
            });
            let mut is_told = false;
            push_with(&config, &one.ledger, &mut |at| {
                assert!(at > acknowledged, "{at} was acknowledged before");
                acknowledged = at;
                if !is_told && at > before + 2 * BATCH {
                    is_told = true;
                    tell.send(at).unwrap();
                }
            })
            .unwrap();
            stopper.join().unwrap();
        });
        assert_eq!(acknowledged, one.ledger.head().unwrap().number);
        is_whole(&hub, &[&one]);
    }
    let log = hub.server.log();
    assert!(log.contains("database system was not properly shut down"), "{log}");
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn what_was_acknowledged_before_the_server_was_killed_is_there_after_it() {
    let hub = TestHub::on(Arc::new(Server::start()));
    let mut one = hub.station("line-1");
    fill(&mut one.ledger, 15 * BATCH);
    let config = one.config.clone().with_patience(SECOND * 2, Duration::ZERO);
    let mut acknowledged = 0;
    let server = &hub.server;
    let error = push_with(&config, &one.ledger, &mut |at| {
        acknowledged = at;
        if at == 4 * BATCH {
            server.kill();
        }
    })
    .unwrap_err();
    assert!(error.is_transient(), "{error}");
    hub.server.restart();
    assert_eq!((acknowledged, one.last()), (4 * BATCH, 4 * BATCH));
    assert_eq!(push(&config, &one.ledger).unwrap().links, 11 * BATCH);
    is_whole(&hub, &[&one]);
}

/// A small file system in memory. It is gone when the test ends.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(megabytes: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m,mode=700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(folder.path())
            .output();
        let mounted = mounted.unwrap();
        assert!(
            mounted.status.success(),
            "a full disk can be tested only where file systems can be mounted: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
#[ignore = "needs a PostgreSQL server, and root: cargo xtask check --only hub"]
fn a_disk_that_fills_up_in_mid_batch_loses_nothing() {
    let disk = SmallDisk::mount(160);
    let folder = tempfile::tempdir_in(disk.0.path()).unwrap();
    fs::set_permissions(disk.0.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let settings = "min_wal_size = 32MB\nmax_wal_size = 48MB\n";
    let server = Arc::new(Server::start_in(folder, settings));
    let hub = TestHub::on(Arc::clone(&server));
    let mut one = hub.station("line-1");
    fill(&mut one.ledger, 30 * BATCH);
    let config = one.config.clone().with_patience(SECOND * 20, SECOND);
    let filler = disk.0.path().join("filler");
    let mut acknowledged = 0;
    let error = push_with(&config, &one.ledger, &mut |at| {
        acknowledged = at;
        if at == 3 * BATCH {
            // All but a few megabytes.
            let mut file = fs::File::create(&filler).unwrap();
            let megabyte = vec![0; 1 << 20];
            while std::io::Write::write_all(&mut file, &megabyte).is_ok() {}
            let length = file.metadata().unwrap().len();
            file.set_len(length.saturating_sub(4 << 20)).unwrap();
        }
    })
    .unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(server.log().contains("No space left on device"), "{}", server.log());
    assert!((3 * BATCH..30 * BATCH).contains(&acknowledged), "{acknowledged}");
    fs::remove_file(&filler).unwrap();
    // A server that could not write its log has stopped.
    if server.sql("postgres", "postgres", "SELECT 1").is_err() {
        let _ = fs::remove_file(server.data().join("postmaster.pid"));
        server.restart();
    }
    assert!(one.last() >= acknowledged);
    let whole = config.with_patience(SECOND * 20, SECOND * 30);
    push(&whole, &one.ledger).unwrap();
    is_whole(&hub, &[&one]);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn two_stations_that_wait_for_each_other_both_come_through() {
    let hub = TestHub::on(Arc::new(Server::start()));
    let mut stations = [hub.station("line-1"), hub.station("line-2")];
    // The hub takes parts in the order of their UEIDs. By their serial numbers the stations meet crosswise.
    let mut parts = entries(1..=4);
    parts.sort_by_key(|part| *part.identity.ueid().as_bytes());
    let [a, b, c, d] = <[_; 4]>::try_from(parts).unwrap();
    for (station, (first, second), serial_numbers) in
        [(0, (a, c), ["S1", "S2"]), (1, (b, d), ["S2", "S1"])]
    {
        let runs = [first, second]
            .into_iter()
            .zip(serial_numbers)
            .map(|(part, serial_number)| run(NewEnd::Good(part), Some(serial_number)));
        stations[station].ledger.append(&runs.collect::<Vec<_>>()).unwrap();
    }
    // Slowly, so that they do.
    hub.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$; \
         CREATE TRIGGER slow AFTER INSERT ON hub.parts FOR EACH ROW EXECUTE FUNCTION slow(); \
         CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END $$; \
         CREATE TRIGGER slowly BEFORE INSERT ON hub.parts FOR EACH ROW EXECUTE FUNCTION slowly()",
    );
    let pushed: Vec<_> = thread::scope(|scope| {
        let pushes = stations.iter().map(|station| {
            let (config, ledger) = (station.config.clone(), station.open(station.ledger.path()));
            scope.spawn(move || push(&config, &ledger).unwrap())
        });
        let pushes: Vec<_> = pushes.collect();
        pushes.into_iter().map(|push| push.join().unwrap()).collect()
    });
    assert!(pushed.iter().all(|pushed| pushed.links == 4), "{pushed:?}");
    assert!(hub.server.log().contains("deadlock detected"), "they have not met");
    is_whole(&hub, &[&stations[0], &stations[1]]);
    assert_eq!(hub.sql("SELECT count(*) FROM hub.parts"), "2");
    assert_eq!(hub.sql("SELECT count(*) FROM hub.conflicts"), "2");
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn many_stations_with_the_same_parts_give_each_part_once() {
    let hub = TestHub::on(Arc::new(Server::start()));
    let mut stations: Vec<_> = (1..=4).map(|n| hub.station(&format!("line-{n}"))).collect();
    for (n, station) in stations.iter_mut().enumerate() {
        let mut numbers: Vec<u8> = (1..=100).collect();
        if n % 2 == 1 {
            numbers.reverse();
        }
        for slice in numbers.chunks(10) {
            enter(&mut station.ledger, &slice.iter().map(|n| entry(*n)).collect::<Vec<_>>())
                .unwrap();
        }
    }
    thread::scope(|scope| {
        for station in &stations {
            let (config, ledger) = (station.config.clone(), station.open(station.ledger.path()));
            scope.spawn(move || push(&config, &ledger).unwrap());
        }
    });
    is_whole(&hub, &stations.iter().collect::<Vec<_>>());
    assert_eq!(hub.sql("SELECT count(*) FROM hub.parts"), "100");
    assert_eq!(hub.sql("SELECT count(*) FROM hub.conflicts"), "300");
    assert_eq!(hub.sql("SELECT count(*) FROM hub.exportable"), "0");
}
