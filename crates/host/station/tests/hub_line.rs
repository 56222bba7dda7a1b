// SPDX-License-Identifier: Apache-2.0

//! Batches beside a real hub: one that is gone for a day, killed again and again, silent; two stations that take the
//! same part. `uplink.rs` plays the hub, and needs no server.
#![cfg(unix)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::postgres::{Server, TestHub, TestStation};
use common::proxy::{Fault, Proxy};
use common::{id, links};
use rustix::process::{Pid, Signal, kill_process};
use silicon::Soc;
use station::batch::uplink::{Amount, HubNotice, Uplink};
use station::batch::{self, Batch, BatchError, Control, Done, Notice, Parts, Port, Verdict};
use station::hub::{Config, HubError};
use station::ledger::{Fact, Ledger};
use station::part::PartError;
use station::record::Wanted;
use station::simulated::Seed;
use station::steps;

const SECOND: Duration = Duration::from_secs(1);

/// What a batch has come to.
#[derive(Default)]
struct Ran {
    done: Vec<Done>,
    hub: Vec<HubNotice>,
}

impl Ran {
    fn good(&self) -> usize {
        self.done.iter().filter(|done| matches!(done.verdict, Verdict::Good(_))).count()
    }

    /// What was last said to be pending.
    fn pending(&self) -> Amount {
        let pending = |notice: &HubNotice| match notice {
            HubNotice::Pending(pending) => Some(*pending),
            _ => None,
        };
        self.hub.iter().rev().find_map(pending).unwrap()
    }
}

/// A hub for a batch, which is tried again more often than a real line does.
fn uplink(config: &Config, station: &TestStation, is_required: bool) -> Result<Uplink, HubError> {
    let read = station.open(station.ledger.path());
    let mut uplink = Uplink::new(config, read, is_required, Box::new(|_| Ok(())))?;
    uplink.times.pause = SECOND / 10;
    uplink.times.longest_pause = SECOND / 2;
    uplink.times.interval = SECOND;
    Ok(uplink)
}

/// Provisions so many modelled parts, the same for the same number.
fn provision(
    station: &mut TestStation,
    config: &Config,
    (count, seed): (usize, Seed),
) -> Result<Ran, BatchError> {
    let port = |n| Port {
        name: format!("simulated-{n}"),
        parts: Parts::Simulated(Soc::Nrf5340, seed, id()),
        told: steps::Part::default(),
    };
    let batch = Batch {
        require_nonce: true,
        allow_modelled: true,
        ..Batch::new(Some(count), Wanted { implementation_id: Some(id()), ..Wanted::default() })
    };
    let uplink = uplink(config, station, false).unwrap();
    let mut ran = Ran::default();
    let (control, ports) = (Control::default(), (0..8).map(port).collect());
    batch::run_with_hub(
        &batch,
        ports,
        &mut station.ledger,
        &control,
        None,
        Some(uplink),
        |notice| match notice {
            Notice::Done(_, done) => ran.done.push(*done),
            Notice::Hub(notice) => ran.hub.push(notice),
            _ => {}
        },
    )?;
    Ok(ran)
}

/// The hub has everything that the stations have, once.
#[track_caller]
fn is_whole(hub: &TestHub, stations: &[&TestStation]) {
    let (mut links, mut entries) = (0, 0);
    for station in stations {
        assert_eq!(station.last(), station.ledger.head().unwrap().number);
        links += station.ledger.head().unwrap().number;
        entries += station.ledger.entries().unwrap();
    }
    assert_eq!(hub.sql("SELECT count(*) FROM hub.links"), links.to_string());
    assert_eq!(hub.sql("SELECT count(*) FROM hub.entries"), entries.to_string());
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_day_without_the_hub_costs_no_part() {
    const PARTS: usize = 350;
    let hub = TestHub::on(Arc::new(Server::start()));
    let mut stations = ["line-1", "line-2", "line-3"].map(|name| hub.station(name));
    // A part was entered and sent before; and the hub is gone.
    for station in &mut stations {
        let config = station.config.clone();
        let ran = provision(station, &config, (1, Seed::System)).unwrap();
        assert_eq!((ran.good(), ran.pending()), (1, Amount::default()));
    }
    hub.server.stop_immediately();
    thread::scope(|scope| {
        for station in &mut stations {
            scope.spawn(|| {
                let config = station.config.clone();
                // Shifts, between which the station is switched off.
                for shift in 1..=2 {
                    let ran = provision(station, &config, (PARTS / 2, Seed::System)).unwrap();
                    assert_eq!(ran.good(), PARTS / 2);
                    let away = |notice: &&HubNotice| {
                        matches!(notice, HubNotice::Away { ends_batch: false, .. })
                    };
                    assert_eq!(ran.hub.iter().filter(away).count(), 1, "once, not for each part");
                    let parts = (shift * PARTS / 2) as u64;
                    assert_eq!(ran.pending(), Amount { parts, links: 2 * parts });
                }
            });
        }
    });
    hub.server.restart();
    assert_eq!(hub.sql("SELECT count(*) FROM hub.entries"), "3", "it was gone");
    thread::scope(|scope| {
        for station in &mut stations {
            scope.spawn(|| {
                let config = station.config.clone();
                let ran = provision(station, &config, (1, Seed::System)).unwrap();
                assert_eq!((ran.good(), ran.pending()), (1, Amount::default()));
            });
        }
    });
    let [one, two, three] = &stations;
    is_whole(&hub, &[one, two, three]);
    assert_eq!(hub.sql("SELECT count(*) FROM hub.exportable"), (3 * (PARTS + 2)).to_string());
    assert_eq!(hub.sql("SELECT count(*) FROM hub.conflicts"), "0");
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_hub_that_is_killed_again_and_again_costs_no_part() {
    const PARTS: usize = 400;
    let hub = TestHub::on(Arc::new(Server::start()));
    let mut stations = ["line-1", "line-2"].map(|name| hub.station(name));
    let is_over = AtomicBool::new(false);
    let mut kills = 0;
    thread::scope(|scope| {
        let working: Vec<_> = stations
            .iter_mut()
            .map(|station| {
                let is_over = &is_over;
                scope.spawn(move || {
                    let config = station.config.clone();
                    let mut good = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        let ran = provision(station, &config, (PARTS / 4, Seed::System)).unwrap();
                        assert_eq!(ran.good(), PARTS / 4, "{:?}", ran.hub);
                        good += ran.good();
                    }
                    good
                })
            })
            .collect();
        while kills < 8 {
            // At any moment of a push, or of a look-up.
            thread::sleep(Duration::from_millis(150 + 130 * kills));
            hub.server.kill();
            kills += 1;
            thread::sleep(SECOND / 4);
            hub.server.restart();
        }
        is_over.store(true, Ordering::Relaxed);
        for station in working {
            assert!(station.join().unwrap() >= PARTS / 4);
        }
    });
    for station in &mut stations {
        station.push().unwrap();
    }
    let [one, two] = &stations;
    is_whole(&hub, &[one, two]);
    let entries = one.ledger.entries().unwrap() + two.ledger.entries().unwrap();
    assert_eq!(hub.sql("SELECT count(*) FROM hub.exportable"), entries.to_string());
    println!("{kills} kills, {entries} parts");
}

/// Over TCP, through a proxy.
fn through(hub: &TestHub, proxy: &Proxy, role: &str) -> Config {
    hub.sql(&format!("ALTER ROLE \"{role}\" PASSWORD 'secret'"));
    let file = hub.folder.path().join("password");
    fs::write(&file, "secret\n").unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let url = format!("postgres://{role}@127.0.0.1:{}/{}", proxy.port, hub.database);
    Config::new(&url).unwrap().with_password_file(file)
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn a_hub_that_goes_silent_holds_no_port_up() {
    let hub = TestHub::new();
    let mut one = hub.station("line-1");
    let proxy = Proxy::to(hub.server.port);
    let config = through(&hub, &proxy, &one.role);
    // The first question is put, and nothing comes back: neither to it, nor to what follows.
    proxy.set(Fault::SilentFrom(b"sought"));
    let ran = provision(&mut one, &config, (60, Seed::System)).unwrap();
    assert!(proxy.fired() > 0);
    assert_eq!(ran.good(), 60);
    let away: Vec<_> =
        ran.hub.iter().filter(|notice| matches!(notice, HubNotice::Away { .. })).collect();
    assert!(!away.is_empty());
    let waited: Vec<_> = links(&one.ledger)
        .into_iter()
        .filter_map(|link| match link.fact {
            Fact::Outcome(outcome) => outcome.steps.last().map(|step| step.milliseconds),
            _ => None,
        })
        .collect();
    // The limit is 2 s; what is more is this machine's.
    assert!(waited.iter().all(|time| *time < 10_000), "{waited:?}");
    let slow = waited.iter().filter(|time| **time >= 1_000).count();
    assert!((1..=8 * away.len()).contains(&slow), "once for each of 8 ports: {waited:?}");
    proxy.set(Fault::None);
    let ran = provision(&mut one, &config, (1, Seed::System)).unwrap();
    assert_eq!(ran.pending(), Amount::default());
    is_whole(&hub, &[&one]);
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn the_same_part_at_two_stations_is_a_conflict_offline_and_refused_online() {
    let hub = TestHub::on(Arc::new(Server::start()));
    let (mut one, mut two) = (hub.station("line-1"), hub.station("line-2"));
    let (config_1, config_2) = (one.config.clone(), two.config.clone());
    hub.server.stop_immediately();
    for (station, config) in [(&mut one, &config_1), (&mut two, &config_2)] {
        // Part 0 of this number at both, and two of its own.
        assert_eq!(provision(station, config, (1, Seed::Number(1))).unwrap().good(), 1);
        assert_eq!(provision(station, config, (2, Seed::System)).unwrap().good(), 2);
    }
    hub.server.restart();
    // The next batches send them, hear of it, and go on.
    let ran = provision(&mut one, &config_1, (1, Seed::Number(2))).unwrap();
    assert_eq!((ran.good(), ran.pending()), (1, Amount::default()));
    let conflicts = |ran: &Ran| {
        let conflict = |notice: &HubNotice| match notice {
            HubNotice::Conflict(conflict) => {
                let other = &conflict.other;
                assert_eq!(other.same.words(), "device ID and identity key");
                Some((conflict.entry, other.station.clone(), other.entry))
            }
            _ => None,
        };
        ran.hub.iter().filter_map(conflict).collect::<Vec<_>>()
    };
    let ran = provision(&mut two, &config_2, (1, Seed::System)).unwrap();
    assert_eq!((ran.good(), ran.pending()), (1, Amount::default()));
    assert_eq!(conflicts(&ran), [(1, one.role.clone(), 1)]);
    let ran = provision(&mut one, &config_1, (1, Seed::System)).unwrap();
    assert_eq!(ran.good(), 1);
    assert_eq!(conflicts(&ran), [(1, two.role.clone(), 1)]);
    // One part, one conflict, and no export of it; what else they have may leave.
    is_whole(&hub, &[&one, &two]);
    assert_eq!(hub.sql("SELECT count(*) FROM hub.parts"), "8");
    assert_eq!(hub.sql("SELECT count(*) FROM hub.conflicts"), "1");
    let exportable =
        hub.sql("SELECT station || '.' || entry FROM hub.exportable ORDER BY station, entry");
    assert_eq!(exportable, "1.2\n1.3\n1.4\n1.5\n2.2\n2.3\n2.4");
    // Online, a part of the other is not entered.
    let ran = provision(&mut two, &config_2, (1, Seed::Number(2))).unwrap();
    let [Done { verdict: Verdict::Failed(PartError::Elsewhere(found)), .. }] = &ran.done[..] else {
        panic!("{:?}", ran.done)
    };
    assert_eq!((&found.station, found.entry), (&one.role, 4));
    assert_eq!(hub.sql("SELECT count(*) FROM hub.conflicts"), "1");
}

/// `station provision` with the ledger of a station.
fn run(station: &TestStation, url: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_station"))
        .args(["provision", "--simulate", "2", "--hub", url, "--ledger"])
        .arg(station.ledger.path())
        .arg("--key")
        .arg(&station.key)
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn the_program_says_what_the_hub_has() {
    let hub = TestHub::on(Arc::new(Server::start()));
    let one = hub.station("line-1");
    let url = hub.url(&one.role);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let output = run(&one, &url, &["--require-hub"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).ends_with("\nThe hub has all of it\n"), "{output:?}");
    // A copy, which is put back when more was sent.
    let copies = ["", "-wal", "-head", "-hub"].map(|end| {
        let file = format!("{}{end}", one.ledger.path().display());
        (fs::read(&file).ok(), file)
    });
    assert_eq!(run(&one, &url, &[]).status.code(), Some(0));
    is_whole(&hub, &[&one]);

    hub.server.stop_immediately();
    let output = run(&one, &url, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let errors = text(&output.stderr);
    assert_eq!(errors.matches("the hub cannot be used: ").count(), 1, "{errors}");
    assert!(errors.contains("parts are entered here, pending"), "{errors}");
    let pending = "The hub does not have 2 parts in 4 links yet: they are pending";
    assert!(text(&output.stdout).contains(pending), "{output:?}");
    let output = run(&one, &url, &["--json"]);
    let stdout = text(&output.stdout);
    assert!(stdout.contains("\"event\":\"hub-away\""), "{stdout}");
    assert!(stdout.contains("\"pending_links\":8,\"pending_parts\":4"), "{stdout}");
    let links = one.ledger.head().unwrap().number;
    let output = run(&one, &url, &["--require-hub"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("cannot be reached"), "{output:?}");
    assert!(text(&output.stderr).contains("without it no part may be entered here"), "{output:?}");
    assert_eq!(one.ledger.head().unwrap().number, links, "nothing has begun");

    hub.server.restart();
    let output = run(&one, &url, &["--require-hub"]);
    assert!(text(&output.stdout).ends_with("\nThe hub has all of it\n"), "{output:?}");
    // The file is rolled back.
    let TestStation { ledger, role, config, key } = one;
    let path = ledger.path().to_owned();
    drop(ledger);
    for (content, file) in &copies {
        match content {
            Some(content) => fs::write(file, content).unwrap(),
            None => _ = fs::remove_file(file),
        }
    }
    let _ = fs::remove_file(format!("{}-shm", path.display()));
    let one = TestStation { ledger: Ledger::open(&path).unwrap(), role, config, key };
    let before = one.ledger.head().unwrap();
    let output = run(&one, &url, &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let errors = text(&output.stderr);
    assert!(errors.starts_with("error: ALARM: the hub has 20 links of this ledger"), "{errors}");
    assert_eq!(one.ledger.head().unwrap(), before, "nothing was entered");
}

/// `station provision --json` while its hub is away, which comes back when the program has said so and has entered a part;
/// and the events that it has printed, when it has ended: with `ends_at`, by Ctrl-C when it says that, else by itself.
fn run_while_it_comes_back(
    hub: &TestHub,
    station: &TestStation,
    ends_at: Option<&str>,
) -> (Vec<serde_json::Value>, Option<i32>) {
    hub.server.stop_immediately();
    let mut child = Command::new(env!("CARGO_BIN_EXE_station"))
        .args(["provision", "--simulate", "1000000", "--json", "--hub", &hub.url(&station.role)])
        .args(["--ledger".as_ref(), station.ledger.path().as_os_str()])
        .args(["--key".as_ref(), station.key.as_os_str()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut events, mut entered) = (Vec::<serde_json::Value>::new(), 0);
    for line in lines {
        let event: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        entered += usize::from(event["event"] == "entered");
        if entered == 1 && event["event"] == "entered" {
            hub.server.restart();
        }
        if ends_at.is_some_and(|end| event["event"] == end) {
            kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        }
        if event["event"] != "entered" {
            events.push(event);
        }
    }
    assert!(entered > 0);
    (events, child.wait().unwrap().code())
}

#[test]
#[ignore = "needs a PostgreSQL server: cargo xtask check --only hub"]
fn machines_are_told_what_becomes_of_the_hub() {
    let hub = TestHub::on(Arc::new(Server::start()));
    let one = hub.station("line-1");
    assert_eq!(run(&one, &hub.url(&one.role), &[]).status.code(), Some(0));
    let names = |events: &[serde_json::Value]| -> Vec<String> {
        events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    };
    // The hub is back: all of it is sent.
    let (events, code) = run_while_it_comes_back(&hub, &one, Some("hub-back"));
    assert_eq!(code, Some(0), "{events:?}");
    assert_eq!(names(&events), ["hub-away", "hub-back", "end"], "{events:?}");
    let text = |event: &serde_json::Value| event["text"].as_str().unwrap().to_owned();
    assert!(text(&events[0]).contains("parts are entered here, pending"), "{events:?}");
    assert_eq!(text(&events[1]), "the hub is back");
    let pending =
        |end: &serde_json::Value| (end["pending_parts"].clone(), end["pending_links"].clone());
    assert_eq!(pending(&events[2]), (0.into(), 0.into()));
    is_whole(&hub, &[&one]);
    // The hub is back, and has another link 4: the ledger is a copy, from which someone has gone on.
    hub.sql(
        "ALTER TABLE hub.links DISABLE TRIGGER ALL; ALTER TABLE hub.links DROP CONSTRAINT links_check; \
         UPDATE hub.links SET hash = sha256('x') WHERE number = (SELECT max(number) FROM hub.links)",
    );
    let (events, code) = run_while_it_comes_back(&hub, &one, None);
    assert_eq!(code, Some(1), "{events:?}");
    let mut found = names(&events);
    // Runs that were stopped, and whether the look-ups have been answered again by then.
    found.retain(|name| !["not-entered", "hub-back"].contains(&name.as_str()));
    assert_eq!(found, ["hub-away", "alarm", "end"], "{events:?}");
    let alarm = events.iter().find(|event| event["event"] == "alarm").unwrap();
    assert!(text(alarm).starts_with("ALARM: the hub has another link"), "{alarm}");
    assert!(text(alarm).ends_with("Nothing is entered any more, and the batch ends"), "{alarm}");
    let (parts, links) = pending(events.last().unwrap());
    assert!(parts.as_u64() > Some(0) && links.as_u64() >= parts.as_u64(), "{events:?}");
}

/// A mistake of the set-up is said at once, and no part is touched.
#[test]
fn a_ledger_that_no_hub_can_take_is_refused_before_a_part_is() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_station"))
            .args(["provision", "--simulate", "1"])
            .args(arguments)
            .current_dir(&folder)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(run(&["--require-hub"]).contains("which hub is required?"));
    assert!(
        run(&["--hub", "postgres://line-1:secret@localhost/hub"]).contains("has a password in it")
    );
    assert!(run(&["--hub", "postgres://line-1@localhost/hub"]).contains("no station key"));
}
