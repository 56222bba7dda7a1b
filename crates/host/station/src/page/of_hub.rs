// SPDX-License-Identifier: Apache-2.0

//! A hub on a page: a book for each ledger that it has. A thread of its own reads on, so that no page waits for a hub that
//! is gone; what a person looks up is read over another connection.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;

use super::book::{Book, Changed, Place, RUNS, Shown, Whole, trim};
use super::of_ledger::Reading;
use super::shift::{Filter, Shift};
use super::source::{AtHub, GO, Kind, Source, Unread};
use crate::hub::{Config, Contest, Hub, HubError, Listed};
use crate::ledger::{CheckpointProblem, PartName, Receipt};

/// How long the hub may take for one answer to the thread that reads on.
const READ: Duration = Duration::from_secs(10);

/// How long it may take for an answer to a person.
const LOOK_UP: Duration = Duration::from_secs(5);

/// How often the hub is asked for something new.
const LOOK: Duration = Duration::from_secs(2);

/// The longest pause before a hub that is gone is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A hub, and what was read of it.
pub struct OfHub {
    /// Host and database.
    pub name: String,
    config: Config,
    state: Mutex<State>,
    look_ups: Mutex<Hub>,
    stopped: AtomicBool,
}

#[derive(Default)]
struct State {
    ledgers: BTreeMap<i32, OfStation>,
    contests: Vec<Contest>,
    /// Since when the hub cannot be read, and why.
    away: Option<(Timestamp, String)>,
    /// Whether everything was read once.
    is_read: bool,
    /// Grows with each change.
    version: u64,
}

/// A ledger at the hub.
struct OfStation {
    listed: Listed,
    book: Book,
    /// Why nothing more is read of it.
    problem: Option<Unread>,
}

/// What is said of the hub itself.
pub struct Facts {
    /// Its ledgers, in the order in which it came to know them.
    pub stations: Vec<Station>,
    /// Conflicts that are open.
    pub contests: Vec<Contest>,
    /// What is wrong: the ledger, and why.
    pub problems: Vec<(String, Unread)>,
}

/// A ledger at the hub, as far as it was read.
pub struct Station {
    /// Which one.
    pub place: Place,
    /// The batch for which it was begun.
    pub batch: Option<String>,
    /// The one that continues it.
    pub continued_by: Option<i32>,
    /// Its last link.
    pub head: Receipt,
    /// The time of that, by the station's clock.
    pub time: Option<Timestamp>,
    /// Entries that were not withdrawn.
    pub parts: u64,
    /// Runs that have ended.
    pub ended: u64,
    /// The last link that its station has signed; `None` where there is none.
    pub signed: Option<Result<u64, String>>,
    /// When the hub was last sent something new, by its own clock.
    pub pushed: Option<Timestamp>,
    /// Who signs it, as a verifier key.
    pub verifier: Option<String>,
}

/// What a page of the hub shows.
pub struct View {
    /// How far the reading is.
    pub reading: Reading,
    /// The figures.
    pub shift: Shift,
    /// What is said of the hub.
    pub facts: Facts,
}

impl OfHub {
    /// A hub that nothing was read of, after a first look.
    ///
    /// # Errors
    /// It cannot be used, and that will not go by itself.
    pub fn new(config: &Config) -> Result<Self, HubError> {
        let config = config.clone().read_only();
        let name = config.to_string();
        let look_ups = Hub::new(&config.clone().with_patience(LOOK_UP, Duration::ZERO));
        let mut of = Self {
            name,
            config: config.with_patience(READ, Duration::ZERO),
            state: Mutex::default(),
            look_ups: Mutex::new(look_ups),
            stopped: AtomicBool::new(false),
        };
        match Hub::new(&of.config).listing() {
            Ok(_) => {}
            Err(error) if error.is_transient() => {
                let state = of.state.get_mut().unwrap_or_else(PoisonError::into_inner);
                state.away = Some((Timestamp::now(), error.to_string()));
            }
            Err(error) => return Err(error),
        }
        Ok(of)
    }

    /// What was read is whole at every moment, even if a thread has panicked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads on until it is stopped.
    pub fn follow(&self) {
        let mut hub = Hub::new(&self.config);
        let mut pause = Duration::from_millis(500);
        while !self.is_stopped() {
            match self.turn(&mut hub) {
                Ok(()) => {
                    pause = Duration::from_millis(500);
                    thread::park_timeout(LOOK);
                }
                Err(error) => {
                    self.state().is_away(error.to_string());
                    thread::park_timeout(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Ends the reading, also in the middle of it.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Takes in what the hub has now.
    fn turn(&self, hub: &mut Hub) -> Result<(), HubError> {
        let listing = hub.listing()?;
        let ledgers: Vec<_> = listing.ledgers.iter().map(|ledger| ledger.station).collect();
        self.state().list(listing.ledgers, listing.contests);
        for ledger in ledgers {
            loop {
                let next = self.state().next(ledger);
                let Some(from) = next else { break };
                if self.is_stopped() {
                    return Ok(());
                }
                let links = match hub.follow(ledger, from, GO) {
                    Ok(links) => Ok(links),
                    Err(error @ (HubError::Content(..) | HubError::Lacks(_))) => Err(error.into()),
                    Err(error) => return Err(error),
                };
                self.state().take(ledger, links);
            }
        }
        let mut state = self.state();
        if !state.is_read {
            state.is_read = true;
            state.version += 1;
        }
        Ok(())
    }

    /// Grows with each change.
    pub fn version(&self) -> u64 {
        self.state().version
    }

    /// What a page shows.
    pub fn view(&self, filter: &Filter, count: usize) -> View {
        let state = self.state();
        let books = state.ledgers.values().map(|of| &of.book);
        View {
            reading: state.reading(),
            shift: Shift::of(books, filter, count),
            facts: state.facts(),
        }
    }

    /// The runs of a part on all stations, the newest first.
    ///
    /// # Errors
    /// The hub cannot be read, or a run is not that of the chain.
    pub fn runs_of(&self, text: &str) -> Result<Vec<Shown>, Unread> {
        let mut hub = self.look_ups()?;
        let mut attempts = Vec::new();
        for name in PartName::all_of(text) {
            for found in hub.attempts_of(&name)? {
                if !attempts.contains(&found) {
                    attempts.push(found);
                }
            }
        }
        let (mut seen, mut runs) = (HashSet::new(), Vec::new());
        for (ledger, attempt) in attempts {
            let Some((place, Whole { run, .. })) = self.whole_by(&mut hub, ledger, attempt)? else {
                continue;
            };
            // A ledger that continues another one has its runs, too, and stands before it.
            if seen.insert((place.root, run.begun.number, run.begun.time)) {
                runs.push(Shown { place: Some(place), run });
            }
        }
        Ok(runs)
    }

    /// A run with its console and what the commands around it have printed. `None` where it was not read.
    ///
    /// # Errors
    /// The hub cannot be read, or a link of it is not that of the chain.
    pub fn whole(&self, ledger: i32, attempt: u64) -> Result<Option<(Place, Whole)>, Unread> {
        self.whole_by(&mut *self.look_ups()?, ledger, attempt)
    }

    fn whole_by(
        &self,
        hub: &mut Hub,
        ledger: i32,
        attempt: u64,
    ) -> Result<Option<(Place, Whole)>, Unread> {
        let found = self.state().ledgers.get(&ledger).map(|of| of.book.links_of(attempt));
        let Some(numbers) = found else { return Ok(None) };
        let links = AtHub { hub, ledger }.links_at(&numbers);
        let mut state = self.state();
        let Some(of) = state.ledgers.get_mut(&ledger) else { return Ok(None) };
        let whole = links.and_then(|links| {
            of.book.whole(links).map_err(|Changed(link)| HubError::Content(link, link - 1).into())
        });
        match whole {
            Ok(whole) => Ok(of.book.place.clone().zip(whole)),
            Err(unread) => {
                of.see(&unread);
                state.version += 1;
                Err(unread)
            }
        }
    }

    /// The connection for what a person looks up, where there is a hub now.
    fn look_ups(&self) -> Result<MutexGuard<'_, Hub>, Unread> {
        if let Some((_, text)) = &self.state().away {
            let text = format!("the hub cannot be read just now: {text}");
            return Err(Unread { text, kind: Kind::Away });
        }
        Ok(self.look_ups.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// Takes what the hub says that it has.
    fn list(&mut self, ledgers: Vec<Listed>, contests: Vec<Contest>) {
        let mut is_new = self.away.take().is_some() || self.contests != contests;
        self.contests = contests;
        let there: HashSet<_> = ledgers.iter().map(|listed| listed.station).collect();
        for (_, of) in self.ledgers.iter_mut().filter(|(ledger, _)| !there.contains(ledger)) {
            of.see(&HubError::Lacks(of.book.head.number).into());
        }
        for listed in ledgers {
            let root = listed.predecessor.and_then(|old| self.ledgers.get(&old));
            let root = root.and_then(|old| old.book.place.as_ref());
            let root = root.map_or(listed.station, |place| place.root);
            let of = self.ledgers.entry(listed.station).or_insert_with(|| {
                let role = listed.role.as_str().into();
                let place = Place { ledger: listed.station, root, role };
                is_new = true;
                OfStation::new(listed.clone(), Book::new(Some(place), listed.origin.hash()))
            });
            is_new |= of.list(listed);
        }
        self.version += u64::from(is_new);
    }

    /// Behind which link something of a ledger is to be read.
    fn next(&self, ledger: i32) -> Option<Receipt> {
        let of = self.ledgers.get(&ledger)?;
        let is_behind = of.book.head.number < of.listed.head.number;
        (of.problem.is_none() && is_behind).then_some(of.book.head)
    }

    /// Takes links that follow the last one.
    fn take(&mut self, ledger: i32, links: Result<Vec<crate::ledger::Link>, Unread>) {
        self.version += 1;
        let Some(of) = self.ledgers.get_mut(&ledger) else { return };
        match links {
            // The hub has said that there are some.
            Ok(links) if links.is_empty() => of.see(&HubError::Lacks(of.listed.head.number).into()),
            Ok(links) => links.into_iter().for_each(|link| of.book.take(link)),
            Err(unread) => of.see(&unread),
        }
        let mut books: Vec<_> = self.ledgers.values_mut().map(|of| &mut of.book).collect();
        trim(&mut books, RUNS);
    }

    fn is_away(&mut self, text: String) {
        // Since when it is gone does not change with each try.
        if self.away.as_ref().is_none_or(|(_, before)| *before != text) {
            let since = self.away.take().map_or_else(Timestamp::now, |(since, _)| since);
            self.away = Some((since, text));
            self.version += 1;
        }
    }

    fn reading(&self) -> Reading {
        if let Some((since, text)) = &self.away {
            return Reading::Away { since: *since, text: text.clone() };
        }
        if self.is_read {
            return Reading::Done;
        }
        let of = |number: fn(&OfStation) -> u64| self.ledgers.values().map(number).sum();
        Reading::Goes(of(|of| of.book.head.number), of(|of| of.listed.head.number))
    }

    fn facts(&self) -> Facts {
        let continued_by = |ledger| {
            let later = self.ledgers.values().find(|of| of.listed.predecessor == Some(ledger));
            later.map(|of| of.listed.station)
        };
        let stations = self.ledgers.values();
        let problems = stations.clone().filter_map(|of| Some((of.name(), of.problem.clone()?)));
        Facts {
            problems: problems.collect(),
            contests: self.contests.clone(),
            stations: stations.filter_map(|of| of.facts(continued_by(of.listed.station))).collect(),
        }
    }
}

impl OfStation {
    const fn new(listed: Listed, book: Book) -> Self {
        Self { listed, book, problem: None }
    }

    fn name(&self) -> String {
        format!("ledger {} of {}", self.listed.station, self.listed.role)
    }

    /// Something of it was not read. What was damaged stays so.
    fn see(&mut self, unread: &Unread) {
        if self.problem.as_ref().is_none_or(|problem| problem.kind != Kind::Damage)
            && unread.kind != Kind::Away
        {
            self.problem = Some(unread.clone());
        }
    }

    /// Takes what the hub says of it, and compares it with what was read; whether it is something new.
    fn list(&mut self, listed: Listed) -> bool {
        let before = self.problem.clone();
        let head = listed.head;
        let is_new = self.listed.pushed != listed.pushed
            || self.listed.head != head
            || self.listed.checkpoint != listed.checkpoint;
        // It was missing before, and may be back.
        if before.as_ref().is_some_and(|problem| problem.kind == Kind::Lack) {
            self.problem = None;
        }
        let origin = listed.origin.hash();
        if origin != listed.origin_hash || origin != self.listed.origin.hash() {
            let text = "its origin is not that of its key, its batch and the ledger that it continues, or it is another \
                        ledger than before. Audit the hub: station audit --hub; then start this page again";
            self.see(&Unread { text: text.to_owned(), kind: Kind::Damage });
        } else if head.number < self.book.head.number {
            self.see(&HubError::Lacks(self.book.head.number).into());
        } else if head.number == self.book.head.number && head.hash != self.book.head.hash {
            self.see(&HubError::Content(head.number, head.number.saturating_sub(1)).into());
        }
        self.listed = listed;
        is_new || before != self.problem
    }

    fn facts(&self, continued_by: Option<i32>) -> Option<Station> {
        let Self { listed, book, .. } = self;
        let signed = listed.checkpoint.as_ref().map(|checkpoint| match checkpoint {
            Ok(checkpoint) => {
                let Receipt { number, hash } = checkpoint.head;
                match book.hash_at(number) {
                    Some(read) if read != hash => {
                        Err(CheckpointProblem::Forked(number).to_string())
                    }
                    // Also what was not read so far: its signature is good.
                    _ => Ok(number),
                }
            }
            Err(problem) => Err(problem.to_string()),
        });
        Some(Station {
            place: book.place.clone()?,
            batch: listed.origin.batch.clone(),
            continued_by,
            head: book.head,
            time: book.time,
            parts: book.entries.saturating_sub(book.withdrawn),
            ended: book.ended,
            signed,
            pushed: listed.pushed,
            verifier: listed.origin.verifier().map(|verifier| verifier.to_string()),
        })
    }
}

/// Reads a hub in a thread of its own, until it is dropped.
pub struct Reader {
    of: Arc<OfHub>,
    thread: thread::Thread,
}

impl Reader {
    /// Begins to read.
    ///
    /// # Errors
    /// A thread cannot be had.
    pub fn of(hub: &Arc<OfHub>) -> std::io::Result<Self> {
        let of = Arc::clone(hub);
        let thread = thread::Builder::new().name(String::from("hub")).spawn(move || of.follow())?;
        Ok(Self { of: Arc::clone(hub), thread: thread.thread().clone() })
    }
}

impl Drop for Reader {
    /// What it waits for may take a while, and nobody needs it any more.
    fn drop(&mut self) {
        self.of.stop();
        self.thread.unpark();
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reader").field(&self.of.name).finish()
    }
}
