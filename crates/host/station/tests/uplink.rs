// SPDX-License-Identifier: Apache-2.0

//! A batch and its hub, which is played here: what a hub does that is slow, silent, away, or of another opinion.
//! `hub_line.rs` has the same with a real one.

mod common;

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use common::{id, links};
use provisioning::{DeviceId, Ueid};
use silicon::Soc;
use station::batch::uplink::{Amount, HubNotice, LookUp, Push, Times, Uplink};
use station::batch::{
    self, Answers, Batch, BatchError, Connect, Control, Done, Notice, Parts, Port, Scan, Verdict,
};
use station::hub::{Alarm, Elsewhere, HubError, OwnConflict, Same, Sought};
use station::ledger::{End, Fact, Ledger};
use station::part::PartError;
use station::port::{Arrival, Source};
use station::record::Wanted;
use station::simulated::Seed;
use station::steps;
use tempfile::TempDir;

const MILLISECOND: Duration = Duration::from_millis(1);

/// A hub that does what a test wants.
#[derive(Default)]
struct Fake {
    /// It is gone.
    is_away: AtomicBool,
    /// It takes a question, and answers when this is false again.
    is_silent: Mutex<bool>,
    speaks: Condvar,
    /// So often, a question finds a connection that is broken.
    broken: AtomicUsize,
    /// It leaves questions without an answer.
    is_short: AtomicBool,
    /// How long an answer takes.
    delay: Duration,
    /// What is asked at once, for each question.
    asked: Mutex<Vec<usize>>,
    /// Parts of another station, and how much of them is the same.
    elsewhere: Mutex<Option<Elsewhere>>,
    /// What a push raises.
    alarm: Mutex<Option<Alarm>>,
    conflicts: Mutex<Vec<OwnConflict>>,
    pushes: AtomicUsize,
    /// The last link that it has.
    links: AtomicUsize,
}

fn unreachable() -> HubError {
    HubError::Unreachable(String::from("hub/test"), String::from("connection refused"))
}

impl Fake {
    fn answer(&self) -> Result<(), HubError> {
        let mut is_silent = self.is_silent.lock().unwrap();
        while *is_silent {
            is_silent = self.speaks.wait(is_silent).unwrap();
        }
        if self.is_away.load(Ordering::Relaxed) { Err(unreachable()) } else { Ok(()) }
    }

    fn speak(&self) {
        *self.is_silent.lock().unwrap() = false;
        self.speaks.notify_all();
    }
}

struct Asking(Arc<Fake>);

impl LookUp for Asking {
    fn look_up(&mut self, sought: &[Sought]) -> Result<Vec<Option<Elsewhere>>, HubError> {
        let fake = &self.0;
        fake.answer()?;
        if fake
            .broken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
            .is_ok()
        {
            return Err(unreachable());
        }
        if !sought.is_empty() {
            thread::sleep(fake.delay);
            fake.asked.lock().unwrap().push(sought.len());
        }
        let answers = if fake.is_short.load(Ordering::Relaxed) { 0 } else { sought.len() };
        Ok(vec![fake.elsewhere.lock().unwrap().clone(); answers])
    }
}

struct Sending(Arc<Fake>, Ledger);

impl Push for Sending {
    fn push(&mut self) -> Result<(), HubError> {
        let Self(fake, ledger) = self;
        fake.pushes.fetch_add(1, Ordering::Relaxed);
        fake.answer()?;
        if let Some(alarm) = fake.alarm.lock().unwrap().clone() {
            return Err(alarm.into());
        }
        let links = usize::try_from(ledger.head().unwrap().number).unwrap();
        fake.links.store(links, Ordering::Relaxed);
        Ok(())
    }

    fn at_hub(&mut self) -> Result<Amount, HubError> {
        let links = self.0.links.load(Ordering::Relaxed) as u64;
        Ok(Amount { parts: self.1.entries_up_to(links)?, links })
    }

    fn conflicts(&mut self) -> Result<Vec<OwnConflict>, HubError> {
        Ok(self.0.conflicts.lock().unwrap().clone())
    }
}

/// A batch, and what it has said.
struct Line {
    fake: Arc<Fake>,
    times: Times,
    folder: TempDir,
    ledger: Ledger,
    done: Vec<Done>,
    hub: Vec<HubNotice>,
    control: Control,
}

/// As the real ones, but that no pause takes seconds; and an answer may take as long as a machine with much to do needs.
const TIMES: Times = Times {
    look_up: Duration::from_secs(30),
    gather: Duration::from_millis(1),
    interval: Duration::from_millis(50),
    pause: Duration::from_millis(20),
    longest_pause: Duration::from_millis(40),
    end: Duration::from_secs(60),
};

/// How long a hub that is silent is waited for: longer than a thread of this machine waits for its turn.
const SILENT: Duration = Duration::from_secs(2);

fn batch_of(count: usize) -> Batch {
    let wanted = Wanted { implementation_id: Some(id()), ..Wanted::default() };
    Batch { allow_modelled: true, ..Batch::new(Some(count), wanted) }
}

impl Line {
    fn new(fake: Fake) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open_or_create(&folder.path().join("ledger.db")).unwrap();
        let control = Control::default();
        let (fake, times) = (Arc::new(fake), TIMES);
        Self { fake, times, folder, ledger, done: Vec::new(), hub: Vec::new(), control }
    }

    fn uplink(&self, is_required: bool) -> Uplink {
        let read = Ledger::open(&self.folder.path().join("ledger.db")).unwrap();
        Uplink {
            look_ups: Box::new(Asking(Arc::clone(&self.fake))),
            pushes: Box::new(Sending(Arc::clone(&self.fake), read)),
            is_required,
            away: None,
            times: self.times,
        }
    }

    /// Provisions so many parts on so many ports. `on` gets what happens.
    fn run(
        &mut self,
        ports: usize,
        count: usize,
        is_required: bool,
        mut on: impl FnMut(&Notice, &Fake),
    ) -> Result<(), BatchError> {
        let port = |n| Port {
            name: format!("simulated-{n}"),
            parts: Parts::Simulated(Soc::Nrf5340, Seed::System, id()),
            told: steps::Part::default(),
        };
        let (batch, uplink) = (batch_of(count), self.uplink(is_required));
        let ports = (0..ports).map(port).collect();
        let Self { fake, ledger, done, hub: said, control, .. } = self;
        batch::run_with_hub(&batch, ports, ledger, control, None, Some(uplink), |notice| {
            on(&notice, fake);
            match notice {
                Notice::Done(_, run) => done.push(*run),
                Notice::Hub(notice) => said.push(notice),
                _ => {}
            }
        })
    }

    fn good(&self) -> usize {
        self.done.iter().filter(|done| matches!(done.verdict, Verdict::Good(_))).count()
    }

    /// The words of the runs that have failed.
    fn errors(&self) -> Vec<&'static str> {
        let error = |done: &Done| match &done.verdict {
            Verdict::Failed(error) => Some(error.name()),
            _ => None,
        };
        self.done.iter().filter_map(error).collect()
    }

    /// What was said of the hub, but for what is pending.
    fn said(&self) -> Vec<&HubNotice> {
        self.hub.iter().filter(|notice| !matches!(notice, HubNotice::Pending(_))).collect()
    }

    /// What was last said to be pending.
    fn pending(&self) -> Option<Amount> {
        let pending = |notice: &HubNotice| match notice {
            HubNotice::Pending(pending) => Some(*pending),
            _ => None,
        };
        self.hub.iter().rev().find_map(pending)
    }
}

const NOTHING: Same =
    Same { device_id: false, ueid: false, public_key: false, serial_number: false };

fn elsewhere(same: Same, is_withdrawn: bool) -> Elsewhere {
    Elsewhere { station: String::from("line-1"), entry: 3, is_withdrawn, same }
}

#[test]
fn what_was_entered_is_sent_and_nothing_is_pending() {
    let mut line = Line::new(Fake::default());
    line.run(8, 20, false, |_, _| ()).unwrap();
    assert_eq!(line.good(), 20);
    assert_eq!(line.fake.links.load(Ordering::Relaxed), 40);
    assert_eq!(line.said(), [&HubNotice::Back; 0]);
    assert_eq!(line.pending(), Some(Amount::default()));
    // What is pending is said when it has changed.
    let pending = |notice: &HubNotice| match notice {
        HubNotice::Pending(pending) => Some(*pending),
        _ => None,
    };
    let pending: Vec<_> = line.hub.iter().filter_map(pending).collect();
    assert!(pending.windows(2).all(|two| two[0] != two[1]), "{pending:?}");
    // The time that the hub has taken is in the ledger.
    let steps = links(&line.ledger).into_iter().filter_map(|link| match link.fact {
        Fact::Outcome(outcome) => Some(outcome.steps),
        _ => None,
    });
    assert!(steps.into_iter().all(|steps| steps.last().unwrap().name == "hub"));
}

#[test]
fn ports_that_ask_at_the_same_time_are_answered_together() {
    let mut line = Line::new(Fake { delay: 1000 * MILLISECOND, ..Fake::default() });
    line.run(64, 64, false, |_, _| ()).unwrap();
    assert_eq!(line.good(), 64);
    let asked = line.fake.asked.lock().unwrap();
    assert_eq!(asked.iter().sum::<usize>(), 64);
    assert!(asked.len() < 64 / 2, "one after the other: {asked:?}");
    assert_eq!(line.said(), [&HubNotice::Back; 0]);
}

#[test]
fn a_hub_that_is_silent_costs_no_part_and_no_more_than_the_limit_once() {
    let mut line = Line::new(Fake { is_silent: Mutex::new(true), ..Fake::default() });
    line.times = Times { look_up: SILENT, end: SILENT, ..TIMES };
    line.run(64, 192, false, |_, _| ()).unwrap();
    assert_eq!(line.good(), 192);
    let [HubNotice::Away { why, ends_batch: false }] = line.said()[..] else {
        panic!("{:?}", line.said())
    };
    assert!(why.contains("has not answered for 2 seconds"), "{why}");
    assert_eq!(line.pending(), Some(Amount { parts: 192, links: 384 }));
    // Each port has waited at most once: what the ledger says of it is a limit, once for each port.
    let waited = links(&line.ledger).into_iter().filter_map(|link| match link.fact {
        Fact::Outcome(outcome) => outcome.steps.last().map(|step| step.milliseconds),
        _ => None,
    });
    let waited: Vec<_> = waited.filter(|time| *time >= 1_900).collect();
    assert!(!waited.is_empty() && waited.len() <= 64, "{waited:?}");
    line.fake.speak();
}

#[test]
fn a_hub_that_is_away_for_a_while_gets_everything_when_it_is_back() {
    let mut line = Line::new(Fake { is_away: AtomicBool::new(true), ..Fake::default() });
    let mut good = 0;
    line.run(4, 60, false, |notice, fake| match notice {
        Notice::Done(..) => {
            good += 1;
            if good == 30 {
                fake.is_away.store(false, Ordering::Relaxed);
            }
        }
        // Parts that come meanwhile are looked up again from now on.
        Notice::Hub(HubNotice::Back) => assert!(good >= 30),
        _ => {}
    })
    .unwrap();
    assert_eq!(line.good(), 60);
    assert_eq!(line.fake.links.load(Ordering::Relaxed), 120);
    let [HubNotice::Away { why, ends_batch: false }, rest @ ..] = &line.said()[..] else {
        panic!("{:?}", line.said())
    };
    assert!(why.contains("hub/test cannot be reached: connection refused"), "{why}");
    assert!(matches!(rest, [] | [HubNotice::Back]), "{rest:?}");
    assert_eq!(line.pending(), Some(Amount::default()));
}

#[test]
fn a_connection_that_has_broken_is_no_hub_that_is_away() {
    let mut line = Line::new(Fake { broken: AtomicUsize::new(1), ..Fake::default() });
    line.run(1, 5, true, |notice, fake| {
        if matches!(notice, Notice::Done(..)) {
            fake.broken.store(1, Ordering::Relaxed);
        }
    })
    .unwrap();
    assert_eq!(line.good(), 5);
    assert_eq!(line.said(), [&HubNotice::Back; 0]);
}

#[test]
fn a_part_of_another_station_is_not_entered() {
    let key = Same { ueid: true, public_key: true, ..NOTHING };
    let device = Same { device_id: true, ..NOTHING };
    for (same, is_withdrawn, text) in [
        (Same { device_id: true, ..key }, false, "Take it out, and give it to that line"),
        (Same { device_id: true, ..key }, true, "Erase it, then start it again"),
        (device, false, "on the station line-1: station replace 3"),
        (key, false, "Set both aside"),
        (Same { serial_number: true, ..NOTHING }, false, "Check both labels"),
    ] {
        let found = elsewhere(same, is_withdrawn);
        let mut line =
            Line::new(Fake { elsewhere: Mutex::new(Some(found.clone())), ..Fake::default() });
        line.run(1, 1, false, |_, _| ()).unwrap();
        assert_eq!(line.errors(), ["seen-elsewhere"]);
        let [Done { verdict: Verdict::Failed(PartError::Elsewhere(there)), .. }] = &line.done[..]
        else {
            panic!("{:?}", line.done)
        };
        assert_eq!(**there, found);
        // As any run that has failed.
        let all = links(&line.ledger);
        let [_, outcome] = &all[..] else { panic!("{all:?}") };
        let Fact::Outcome(outcome) = &outcome.fact else { panic!("{outcome:?}") };
        let End::Failed(failed) = &outcome.end else { panic!("{outcome:?}") };
        assert_eq!(failed.error, "seen-elsewhere");
        assert!(failed.text.contains(text) && failed.text.contains("line-1"), "{}", failed.text);
        assert!(failed.text.contains("Nothing was entered"), "{}", failed.text);
        assert!(failed.part.is_some(), "which part it was");
        assert_eq!(line.ledger.entries().unwrap(), 0);
    }
}

#[test]
fn a_required_hub_that_is_away_ends_the_batch() {
    let mut line = Line::new(Fake::default());
    let mut good = 0;
    let result = line.run(4, 10_000, true, |notice, fake| {
        if let Notice::Done(_, done) = notice {
            good += usize::from(matches!(done.verdict, Verdict::Good(_)));
            if good == 10 {
                fake.is_away.store(true, Ordering::Relaxed);
            }
        }
    });
    let Err(BatchError::NoHub(why)) = result else { panic!("{result:?}") };
    assert!(why.contains("cannot be reached"), "{why}");
    // What was not looked up was not entered, and no port took another part.
    assert!(line.errors().iter().all(|error| *error == "no-hub"), "{:?}", line.errors());
    assert!(line.errors().len() <= 4, "{}", line.errors().len());
    assert_eq!(line.good(), usize::try_from(line.ledger.entries().unwrap()).unwrap());
    assert!(
        matches!(line.said()[..], [HubNotice::Away { ends_batch: true, .. }, ..]),
        "{:?}",
        line.said()
    );
    let text = |done: &Done| match &done.verdict {
        Verdict::Failed(error) => Some(error.at_port()),
        _ => None,
    };
    for text in line.done.iter().filter_map(text) {
        assert!(text.contains("Nothing was entered in the ledger: set the part aside"), "{text}");
        assert!(text.contains("when the hub is back, it will print its record again"), "{text}");
    }
}

#[test]
fn a_required_hub_that_goes_away_when_all_is_entered_is_no_error() {
    let mut line = Line::new(Fake::default());
    // Nothing is sent, and nobody looks whether the hub is there, before the batch is over.
    line.times = Times { gather: SILENT, interval: 10 * SILENT, look_up: SILENT, ..TIMES };
    let mut good = 0;
    line.run(1, 3, true, |notice, fake| {
        good += usize::from(matches!(notice, Notice::Done(..)));
        fake.is_away.store(good == 3, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(line.good(), 3);
    assert!(
        matches!(line.said()[..], [HubNotice::Away { ends_batch: false, .. }]),
        "{:?}",
        line.said()
    );
}

#[test]
fn a_part_that_a_required_hub_does_not_answer_for_ends_the_batch() {
    let mut line = Line::new(Fake { is_short: AtomicBool::new(true), ..Fake::default() });
    let result = line.run(3, 10_000, true, |_, _| ());
    let Err(BatchError::NoHub(why)) = result else { panic!("{result:?}") };
    assert_eq!(why, "the hub has not answered every question");
    assert_eq!(line.said(), [&HubNotice::Back; 0], "it is there");
    assert!((1..=3).contains(&line.errors().len()), "{:?}", line.errors());
    assert_eq!(line.ledger.entries().unwrap(), 0);
    // One that is not required costs no part.
    let mut line = Line::new(Fake { is_short: AtomicBool::new(true), ..Fake::default() });
    line.run(3, 5, false, |_, _| ()).unwrap();
    assert_eq!(line.good(), 5);
}

#[test]
fn an_alarm_stops_the_batch_and_nothing_is_entered_any_more() {
    let mut line = Line::new(Fake::default());
    let alarm = Alarm::Fork { number: 7, here: [1; 32], there: [2; 32] };
    let mut good = 0;
    let mut entered_after = HashSet::new();
    let mut is_told = false;
    let raised = alarm.clone();
    let result = line.run(4, 10_000, false, |notice, fake| match notice {
        Notice::Done(_, done) => {
            if let Verdict::Good(entered) = &done.verdict {
                good += 1;
                if good == 10 {
                    *fake.alarm.lock().unwrap() = Some(raised.clone());
                }
                if is_told {
                    entered_after.insert(entered.receipt.number);
                }
            }
        }
        Notice::Hub(HubNotice::Alarm(text)) => {
            is_told = true;
            assert!(text.contains("the hub has another link 7 than this file"), "{text}");
        }
        _ => {}
    });
    match result {
        Err(BatchError::Hub(HubError::Alarm(found))) => assert_eq!(found, alarm),
        other => panic!("{other:?}"),
    }
    assert!(is_told);
    // What was on its way to the ledger already: two groups of 64, and one part of each port.
    assert!(entered_after.len() <= 2 * 64 + 4, "{entered_after:?}");
    assert!(
        line.errors().iter().all(|error| ["no-hub", "stopped"].contains(error)),
        "{:?}",
        line.errors()
    );
    assert!(line.good() < 10_000);
}

/// A port on which nothing comes.
struct Quiet;

impl Source for Quiet {
    fn read(&mut self, _: &mut [u8], _: Duration) -> io::Result<Arrival> {
        thread::sleep(MILLISECOND);
        Ok(Arrival::Nothing)
    }

    fn write_all(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

impl Connect for Quiet {
    fn connect(&mut self) -> io::Result<Box<dyn Source + Send>> {
        Ok(Box::new(Self))
    }
}

#[test]
fn a_label_of_another_station_is_not_taken_before_the_run() {
    let found = elsewhere(Same { serial_number: true, ..NOTHING }, false);
    let mut line = Line::new(Fake { elsewhere: Mutex::new(Some(found)), ..Fake::default() });
    let (keyboard, scanned) = mpsc::channel();
    let answers = Answers::new(scanned);
    let port = Port {
        name: String::from("port"),
        parts: Parts::Connected(Box::new(Quiet)),
        told: steps::Part::default(),
    };
    let batch = Batch { scan: Scan::Before, ..batch_of(1) };
    let (mut refused, mut questions) = (Vec::new(), 0);
    let uplink = line.uplink(false);
    let (ledger, control) = (&mut line.ledger, &line.control);
    let on_notice = |notice| match notice {
        Notice::Asked(..) if questions == 0 => {
            questions += 1;
            keyboard.send(String::from("A-0001")).unwrap();
        }
        Notice::NotTaken(_, why) => {
            refused.push(why);
            control.end();
        }
        _ => {}
    };
    batch::run_with_hub(
        &batch,
        vec![port],
        ledger,
        control,
        Some(&answers),
        Some(uplink),
        on_notice,
    )
    .unwrap();
    let text = "\"A-0001\" is the serial number of entry 3 of the station line-1. Check the label";
    assert_eq!(refused, [text]);
    assert_eq!(line.ledger.head().unwrap().number, 0, "no run has begun");
}

#[test]
fn each_conflict_is_said_once() {
    let conflict = |entry| OwnConflict {
        entry,
        device_id: DeviceId([7; 8]),
        ueid: Ueid::from_bytes([1; 33]).unwrap(),
        other: elsewhere(Same { serial_number: true, ..NOTHING }, false),
    };
    let mut line = Line::new(Fake { conflicts: Mutex::new(vec![conflict(1)]), ..Fake::default() });
    let mut told = 0;
    line.run(1, 200, false, |notice, fake| {
        if matches!(notice, Notice::Hub(HubNotice::Conflict(_))) {
            told += 1;
            *fake.conflicts.lock().unwrap() = vec![conflict(1), conflict(2)];
        }
    })
    .unwrap();
    assert_eq!(told, 2, "{:?}", line.said());
    assert!(line.fake.pushes.load(Ordering::Relaxed) > 2);
    assert_eq!(line.good(), 200, "no station is held up");
}
