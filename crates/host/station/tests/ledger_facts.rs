// SPDX-License-Identifier: Apache-2.0

//! What the ledger makes of what it is told: the time, parts that come back, serial numbers, retries, consoles.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::{
    BANNERS, Turned, attempt, enter, entries, entry, failure, id, kit_line, links, outcome, run,
    run_messages, run_of,
};
use jiff::{SignedDuration, Timestamp};
use provisioning::console::{ModelledSilicon, NONCE_PROMPT, RECORD_PREFIX};
use provisioning::{Config, IdentityKeySource, Nonce};
use rusqlite::Connection;
use silicon::{Silicon, Soc};
use station::clock::{Clock as _, SystemClock, built};
use station::ledger::{
    Attempt, Audit, Begun, End, Entry, Failed, Kept, Ledger, LedgerError, Link, New, NewEnd,
    NewEntry, NewOutcome, Problem, Refusal, Withdrawal, is_good_text,
};
use station::transcript::Transcript;
use tempfile::TempDir;

fn ledger() -> (TempDir, PathBuf, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let ledger = Ledger::open_or_create(&path).unwrap();
    (folder, path, ledger)
}

fn audit(ledger: &Ledger) -> Audit {
    ledger.audit(None, |_| Ok(()), |_| ()).unwrap()
}

fn begin(ledger: &mut Ledger) -> Result<Vec<Kept>, LedgerError> {
    ledger.append(&[New::Attempt(attempt("port"))])
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// Noon of the day after the program was built: a time of a working line.
fn noon() -> Timestamp {
    built() + SignedDuration::from_hours(36)
}

#[test]
fn a_link_has_the_time_of_the_clock_to_the_millisecond() {
    let (_folder, _, mut ledger) = ledger();
    let clock = Turned::at(noon() + SignedDuration::from_nanos(1_999_999));
    ledger.set_clock(Arc::new(clock.clone()), false);
    begin(&mut ledger).unwrap();
    clock.set(noon() + seconds(1));
    enter(&mut ledger, &entries([1])).unwrap();
    let times: Vec<_> = links(&ledger).iter().map(|link| link.time).collect();
    let first = noon() + SignedDuration::from_millis(1);
    assert_eq!(times, [first, noon() + seconds(1), noon() + seconds(1)]);
    // The machine's.
    let (_folder, _, mut ledger) = self::ledger();
    let before = Timestamp::from_millisecond(SystemClock.now().as_millisecond()).unwrap();
    begin(&mut ledger).unwrap();
    let time = links(&ledger)[0].time;
    assert!((before..=SystemClock.now()).contains(&time), "{time}");
}

#[test]
fn a_clock_that_was_set_back_keeps_nothing_unless_it_is_accepted() {
    let (_folder, path, mut ledger) = ledger();
    let clock = Turned::at(noon());
    ledger.set_clock(Arc::new(clock.clone()), false);
    enter(&mut ledger, &entries([1])).unwrap();
    let head = ledger.head().unwrap();
    for behind in [seconds(2), seconds(3), SignedDuration::from_hours(24 * 365)] {
        clock.set(noon() - behind);
        let begun = Instant::now();
        for error in [ledger.check_clock().unwrap_err(), begin(&mut ledger).unwrap_err()] {
            let text = error.to_string();
            let LedgerError::Clock { now, since, .. } = error else { panic!("{error:?}") };
            assert_eq!((now, since), (noon() - behind, noon()));
            assert!(text.contains("Nothing was kept") && text.contains("--accept-clock"), "{text}");
            assert!(text.starts_with(path.to_str().unwrap()), "{text}");
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "it is not waited for");
        assert_eq!(ledger.head().unwrap(), head);
    }
    // A year is before the program was built; here it is only the last link that is later.
    clock.set(noon() - seconds(5));
    ledger.set_clock(Arc::new(clock.clone()), true);
    ledger.check_clock().unwrap();
    begin(&mut ledger).unwrap();
    // From there it goes on, and is accepted no more often than it must be.
    ledger.set_clock(Arc::new(clock.clone()), false);
    clock.set(noon() - seconds(4));
    ledger.check_clock().unwrap();
    begin(&mut ledger).unwrap();
    let flags: Vec<_> =
        links(&ledger).iter().map(|link| (link.number, link.clock_accepted)).collect();
    assert_eq!(flags, [(1, false), (2, false), (3, true), (4, false)]);
    let found = audit(&ledger);
    assert_eq!((found.clocks_accepted, found.problems), (vec![3], vec![]));
}

#[test]
fn a_clock_that_steps_back_a_little_is_waited_for() {
    let (_folder, _, mut ledger) = ledger();
    let clock = Turned::at(noon());
    ledger.set_clock(Arc::new(clock.clone()), false);
    begin(&mut ledger).unwrap();
    clock.set(noon() - SignedDuration::from_millis(1_900));
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(300));
            clock.set(noon() + SignedDuration::from_millis(7));
        });
        let begun = Instant::now();
        begin(&mut ledger).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(250));
    });
    let last = links(&ledger).pop().unwrap();
    assert_eq!((last.time, last.clock_accepted), (noon() + SignedDuration::from_millis(7), false));
    // One that stands still is not waited for without end.
    clock.set(noon());
    let begun = Instant::now();
    assert!(matches!(begin(&mut ledger), Err(LedgerError::Clock { .. })));
    let waited = begun.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(8)).contains(&waited), "{waited:?}");
}

#[test]
fn a_clock_that_was_never_set_is_refused() {
    let (_folder, _, mut ledger) = ledger();
    let clock = Turned::at(Timestamp::UNIX_EPOCH);
    ledger.set_clock(Arc::new(clock.clone()), false);
    for time in [Timestamp::UNIX_EPOCH, built() - SignedDuration::from_millis(1)] {
        clock.set(time);
        let error = begin(&mut ledger).unwrap_err();
        let LedgerError::Clock { now, since, .. } = error else { panic!("{error:?}") };
        assert_eq!((now, since), (time, built()));
        assert!(matches!(ledger.check_clock(), Err(LedgerError::Clock { .. })));
    }
    // The day of the build is that of the program, not that of a test: whole, and not in the future.
    assert_eq!(built().as_second() % 86_400, 0);
    assert!(built() <= Timestamp::now() && built() > "2025-01-01T00:00:00Z".parse().unwrap());
    clock.set(built());
    begin(&mut ledger).unwrap();
    // Accepted each time: none of these is a time.
    clock.set(built() - SignedDuration::from_hours(1));
    ledger.set_clock(Arc::new(clock.clone()), true);
    enter(&mut ledger, &entries([1])).unwrap();
    let found = audit(&ledger);
    assert_eq!((found.clocks_accepted, found.problems), (vec![2, 3], vec![]));
}

#[test]
fn an_earlier_time_that_nobody_has_accepted_is_a_problem() {
    let (_folder, path, mut ledger) = ledger();
    let clock = Turned::at(noon());
    ledger.set_clock(Arc::new(clock.clone()), true);
    begin(&mut ledger).unwrap();
    clock.set(noon() - seconds(60));
    begin(&mut ledger).unwrap();
    assert_eq!(audit(&ledger).problems, []);
    // Someone takes the note away, with the hash that the link should have then.
    let mut link = links(&ledger).pop().unwrap();
    assert!(link.clock_accepted);
    drop(ledger);
    link.clock_accepted = false;
    let hash =
        link.computed_hash().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    common::edits::tamper(
        &path,
        &format!("UPDATE links SET clock_accepted = 0, hash = x'{hash}' WHERE number = 2"),
    );
    assert_eq!(audit(&Ledger::open(&path).unwrap()).problems, [Problem::Clock(2)]);
}

fn withdraw(ledger: &mut Ledger, entry: u64) -> Result<Vec<Kept>, LedgerError> {
    ledger.append(&[New::Withdrawal(Withdrawal { entry, reason: String::from("repaired") })])
}

/// Part `n` after it was erased and provisioned again: as part `key` is now.
fn again(n: u8, key: u8) -> NewEntry {
    let mut again = entry(key);
    again.identity.device_id = entry(n).identity.device_id;
    again
}

/// What became of one entry.
fn enter_one(ledger: &mut Ledger, entry: NewEntry, serial_number: &str) -> Result<u64, Refusal> {
    let kept = ledger.append(&[run(NewEnd::Good(entry), Some(serial_number))]).unwrap();
    kept[0].entry.unwrap().map(|entry| entry.number)
}

#[test]
fn a_part_comes_back_when_its_entry_is_withdrawn() {
    let (_folder, _, mut ledger) = ledger();
    assert_eq!(enter_one(&mut ledger, entry(1), "SN-1"), Ok(1));
    assert_eq!(enter_one(&mut ledger, entry(2), "SN-2"), Ok(2));
    // Not before.
    assert_eq!(enter_one(&mut ledger, again(1, 11), "SN-1"), Err(Refusal::SeenDeviceId(1)));
    assert_eq!(enter_one(&mut ledger, entry(3), "SN-1"), Err(Refusal::SeenSerialNumber(1)));
    assert_eq!(ledger.entry_of_serial_number("SN-1").unwrap(), Some(1));
    withdraw(&mut ledger, 1).unwrap();
    assert_eq!(ledger.entry_of_serial_number("SN-1").unwrap(), None);
    // It was not erased, whatever its label says.
    assert_eq!(enter_one(&mut ledger, entry(1), "SN-1"), Err(Refusal::Withdrawn(1)));
    assert_eq!(enter_one(&mut ledger, entry(1), "SN-9"), Err(Refusal::Withdrawn(1)));
    // Under the same device ID and serial number, with another identity.
    assert_eq!(enter_one(&mut ledger, again(1, 11), "SN-1"), Ok(3));
    assert_eq!(ledger.entry_of_serial_number("SN-1").unwrap(), Some(3));
    assert_eq!(ledger.entries().unwrap(), 3);
    // Now that entry holds: the part is known, and the old identity is never taken again, from this part or another.
    assert_eq!(enter_one(&mut ledger, again(1, 11), "SN-1"), Err(Refusal::Known(3)));
    assert_eq!(enter_one(&mut ledger, entry(1), "SN-1"), Err(Refusal::SeenDeviceId(3)));
    assert_eq!(enter_one(&mut ledger, again(4, 1), "SN-4"), Err(Refusal::SeenUeid(1)));
    assert_eq!(enter_one(&mut ledger, again(1, 12), "SN-1"), Err(Refusal::SeenDeviceId(3)));
    assert_eq!(enter_one(&mut ledger, entry(3), "SN-1"), Err(Refusal::SeenSerialNumber(3)));
    // And once more.
    withdraw(&mut ledger, 3).unwrap();
    assert_eq!(enter_one(&mut ledger, again(1, 11), "SN-1"), Err(Refusal::Withdrawn(3)));
    assert_eq!(enter_one(&mut ledger, entry(1), "SN-1"), Err(Refusal::Withdrawn(1)));
    assert_eq!(enter_one(&mut ledger, again(1, 12), "SN-1"), Ok(4));
    // Others are not concerned.
    assert_eq!(enter_one(&mut ledger, entry(2), "SN-2"), Err(Refusal::Known(2)));
    let found = audit(&ledger);
    assert_eq!((found.entries, found.unfinished, found.problems), (4, 0, vec![]));
    let mut withdrawn = Vec::new();
    ledger
        .walk::<LedgerError>(
            None,
            |_| Ok(()),
            |found| {
                let by = found.withdrawn;
                withdrawn.extend(found.link.and_then(Link::entry).map(|entry| (entry.number, by)));
                Ok(())
            },
        )
        .unwrap();
    let by = |entry: u64| withdrawn.iter().find(|(number, _)| *number == entry).unwrap().1;
    assert!(by(1) < by(3) && by(1).is_some() && by(2).is_none() && by(4).is_none());
}

#[test]
fn an_entry_is_withdrawn_once() {
    let (_folder, _, mut ledger) = ledger();
    enter(&mut ledger, &entries([1, 2])).unwrap();
    withdraw(&mut ledger, 1).unwrap();
    let head = ledger.head().unwrap();
    for (entry, complaint) in [(1, "has a withdrawal of this entry"), (3, "has no such entry")] {
        let error = withdraw(&mut ledger, entry).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    }
    assert_eq!(ledger.head().unwrap(), head);
    withdraw(&mut ledger, 2).unwrap();
    assert!(audit(&ledger).is_clean());
}

#[test]
fn a_withdrawn_part_is_told_what_it_lacks() {
    let text = Refusal::Withdrawn(7).to_string();
    assert!(text.contains("entry 7") && text.contains("Erase it"), "{text}");
    for refusal in [
        Refusal::Known(7),
        Refusal::SeenDeviceId(7),
        Refusal::Withdrawn(7),
        Refusal::SeenUeid(7),
        Refusal::SeenPublicKey(7),
        Refusal::SeenSerialNumber(7),
    ] {
        assert_eq!(refusal.number(), 7);
        let text = refusal.to_string();
        assert!(text.contains("entry 7") && text.contains("Nothing was entered"), "{text}");
    }
}

#[test]
fn a_serial_number_is_of_one_entry() {
    let (_folder, _, mut ledger) = ledger();
    // One of a run that was not good is free.
    ledger.append(&[run(failure(), Some("SN-1"))]).unwrap();
    assert_eq!(ledger.entry_of_serial_number("SN-1").unwrap(), None);
    assert_eq!(enter_one(&mut ledger, entry(1), "SN-1"), Ok(1));
    let kept = ledger
        .append(&[
            run(NewEnd::Good(entry(2)), Some("SN-1")),
            run(NewEnd::Good(entry(3)), Some("SN-3")),
            run(NewEnd::Good(entry(4)), Some("SN-3")), // in the same call
            run_of(entry(5)),                          // without one
            run_of(entry(6)),
            run(NewEnd::Good(entry(1)), Some("SN-7")), // a known part, with another label
        ])
        .unwrap();
    let answers: Vec<_> =
        kept.iter().map(|kept| kept.entry.unwrap().map(|entry| entry.number)).collect();
    assert_eq!(
        answers,
        [
            Err(Refusal::SeenSerialNumber(1)),
            Ok(2),
            Err(Refusal::SeenSerialNumber(2)),
            Ok(3),
            Ok(4),
            Err(Refusal::OtherSerialNumber(1)),
        ]
    );
    assert_eq!(ledger.entry_of_serial_number("SN-3").unwrap(), Some(2));
    assert_eq!(ledger.entry_of_serial_number("SN-7").unwrap(), None);
    assert_eq!(ledger.entry_of_serial_number("sn-3").unwrap(), None, "to the letter");
    assert!(audit(&ledger).is_clean());
}

#[test]
fn a_serial_number_can_be_typed_and_printed() {
    let longest = "x".repeat(128);
    for good in ["1", "SN-1", "a b", "Ä/№ 7", &longest] {
        assert!(is_good_text(good), "{good:?}");
    }
    let longer = "x".repeat(129);
    for bad in
        ["", " ", " 1", "1 ", "1\n", "\t1", "a\0b", "a\u{1b}[2Jb", "a\u{7f}", "a\u{85}b", &longer]
    {
        assert!(!is_good_text(bad), "{bad:?}");
    }
}

fn is_retry(ledger: &mut Ledger, new: New) -> bool {
    ledger.append(&[new]).unwrap()[0].is_retry
}

#[test]
fn a_retry_is_of_a_part_that_was_not_good_before() {
    let (_folder, _, mut ledger) = ledger();
    let run = |end, serial_number| run(end, Some(serial_number));
    // By its serial number.
    assert!(!is_retry(&mut ledger, run(failure(), "SN-1")), "the first run");
    assert!(is_retry(&mut ledger, run(failure(), "SN-1")));
    assert!(!is_retry(&mut ledger, run(NewEnd::Good(entry(2)), "SN-2")), "another part");
    assert!(is_retry(&mut ledger, run(NewEnd::Good(entry(1)), "SN-1")));
    assert!(
        is_retry(&mut ledger, run(NewEnd::Good(entry(1)), "SN-1")),
        "known, after it had failed"
    );
    assert!(!is_retry(&mut ledger, run(NewEnd::Good(entry(2)), "SN-2")), "known, and always good");
    // By its device ID: a run that was refused has one.
    assert!(!is_retry(&mut ledger, run_of(again(2, 12))));
    assert!(is_retry(&mut ledger, run_of(again(2, 13))));
    // A part of which nothing is known.
    assert!(!is_retry(&mut ledger, self::run(failure(), None)));
    assert!(!is_retry(&mut ledger, self::run(failure(), None)));
}

#[test]
fn a_run_that_has_not_ended_makes_the_next_one_a_retry() {
    let (_folder, _, mut ledger) = ledger();
    let attempt = |serial_number: &str| Attempt {
        serial_number: Some(serial_number.to_owned()),
        ..attempt("port")
    };
    let ended = |attempt, serial_number: &str| {
        let serial_number = Some(serial_number.to_owned());
        New::Outcome(Box::new(NewOutcome { serial_number, ..outcome(attempt, failure()) }))
    };
    // Its own attempt does not, kept before or with it.
    let link = ledger.append(&[New::Attempt(attempt("SN-1"))]).unwrap()[0].link.number;
    assert!(!is_retry(&mut ledger, ended(Begun::Link(link), "SN-1")));
    assert!(!is_retry(&mut ledger, ended(Begun::Now(attempt("SN-2")), "SN-2")));
    // One of a station that was killed does.
    let killed = ledger.append(&[New::Attempt(attempt("SN-3"))]).unwrap()[0].link.number;
    let link = ledger.append(&[New::Attempt(attempt("SN-3"))]).unwrap()[0].link.number;
    assert!(is_retry(&mut ledger, ended(Begun::Link(link), "SN-3")));
    assert!(is_retry(&mut ledger, run(NewEnd::Good(entry(1)), Some("SN-3"))));
    let found = audit(&ledger);
    assert_eq!((found.unfinished, found.problems), (1, vec![]));
    assert!(links(&ledger).iter().any(|link| link.number == killed));
}

/// What an outcome keeps of the part's console, and how many bytes it takes.
fn keep_console(
    entry: Option<NewEntry>,
    console: &[u8],
) -> (Option<Vec<u8>>, usize, Option<Entry>) {
    let (_folder, path, mut ledger) = ledger();
    let mut transcript = Transcript::default();
    transcript.push(console);
    let end = entry.map_or_else(failure, NewEnd::Good);
    let outcome = NewOutcome { console: transcript, ..outcome(Begun::Now(attempt("port")), end) };
    ledger.append(&[New::Outcome(Box::new(outcome))]).unwrap();
    let link = links(&ledger).pop().unwrap();
    let station::ledger::Fact::Outcome(outcome) = &link.fact else { panic!("{link:?}") };
    let entry = link.entry().cloned();
    (outcome.console.unpack(entry.as_ref()), packed_size(&path), entry)
}

fn packed_size(path: &Path) -> usize {
    let raw = Connection::open(path).unwrap();
    let packed: Vec<u8> =
        raw.query_row("SELECT console FROM outcomes", [], |row| row.get(0)).unwrap();
    packed.len()
}

#[test]
fn the_console_of_a_good_run_takes_less_than_a_hundred_bytes() {
    let nonce = Some(Nonce([0xA5; 32]));
    for soc in [Soc::Nrf5340, Soc::Nrf9160, Soc::Nrf54l15] {
        for source in
            [IdentityKeySource::Generated, IdentityKeySource::Driver, IdentityKeySource::Dummy]
        {
            let config = Config { nonce, ..Config::new(id(), source) };
            // A fresh part, and one that is started again, which says more.
            for (runs, limit) in [(1, 100), (2, 130)] {
                let messages = run_messages(Silicon::erased(soc, [7; 32]), &config, runs);
                let text =
                    messages.iter().find_map(|line| line.strip_prefix(RECORD_PREFIX)).unwrap();
                let wanted = station::record::Wanted { allow_dummy: true, ..Default::default() };
                let (record, bytes) = station::part::check(text, None, &wanted).unwrap();
                let entry = NewEntry { identity: record.identity, record: bytes };
                let modelled = ModelledSilicon { part: soc.name(), seed: 1 }.to_string();
                let lines = [&[String::from(NONCE_PROMPT)][..], &messages].concat();
                let kit: String = BANNERS
                    .iter()
                    .map(|banner| format!("{banner}\r\n"))
                    .chain(lines.iter().map(|line| kit_line(line)))
                    .collect();
                let bare = lines.join("\r\n") + "\r\n";
                let modelled = format!("{modelled}\r\n{bare}");
                for console in [kit, bare, modelled] {
                    assert!(console.len() > 800, "{console}");
                    let (unpacked, size, kept) =
                        keep_console(Some(entry.clone()), console.as_bytes());
                    assert_eq!(unpacked.as_deref(), Some(console.as_bytes()));
                    assert!(size < limit, "{size} bytes for {} {source:?}:\n{console}", soc.name());
                    assert_eq!(kept.unwrap().record, entry.record);
                }
            }
        }
    }
}

#[test]
fn a_console_without_an_entry_is_kept_too() {
    let noise: Vec<u8> = (0..3000_u32).map(|n| (n * n / 7).to_le_bytes()[0]).collect();
    for console in [&b""[..], b"\xFF\0", b"Failure: no", &noise] {
        let (unpacked, size, entry) = keep_console(None, console);
        assert_eq!((unpacked.as_deref(), entry), (Some(console), None));
        assert!(size < 40 + console.len() * 11 / 10, "{size}");
    }
}

/// Every end that a run can have, counted as an operator counts parts.
#[test]
fn every_attempt_is_accounted_for() {
    let (_folder, _, mut ledger) = ledger();
    ledger.append(&[New::Attempt(attempt("a")), New::Attempt(attempt("b"))]).unwrap();
    let news = [
        run_of(entry(1)),
        run_of(entry(1)),     // known
        run_of(again(1, 2)),  // refused
        run(failure(), None), // failed
        New::Outcome(Box::new(outcome(Begun::Link(1), NewEnd::Good(entry(3))))),
    ];
    ledger.append(&news).unwrap();
    let outcomes = links(&ledger)
        .iter()
        .filter(|link| matches!(&link.fact, station::ledger::Fact::Outcome(outcome) if !matches!(outcome.end, End::Good(_))))
        .count() as u64;
    let found = audit(&ledger);
    assert_eq!((found.entries, outcomes, found.unfinished), (2, 3, 1));
    assert_eq!(found.attempts, found.entries + outcomes + found.unfinished);
    // An outcome that the station has judged itself.
    let failed = Failed { seen: Some(1), ..Failed::default() };
    ledger
        .append(&[New::Outcome(Box::new(outcome(Begun::Link(2), NewEnd::Failed(failed))))])
        .unwrap();
    assert_eq!(audit(&ledger).unfinished, 0);
}
