// SPDX-License-Identifier: Apache-2.0

//! Loss of power at every write of a run, and again at every write of the run after it.
//!
//! A [`Case`] is a part, a source of its identity key, a seed, and the cuts, one a run; one more run is left
//! alone at the end. Its name replays it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use provisioning::{
    Cause, Config, Failure, IdentityKeySource, ImplementationId, Piece, PublicKey, Written,
};
use silicon::power::{Cut, Reach};
use silicon::{Silicon, Soc, UICR_WORDS};

use crate::inspector::{self, Wanted};
use crate::run;

/// The implementation ID of every case. No word is like another, or like erased OTP.
const ID: &str = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";

/// What is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The part.
    pub soc: Soc,
    /// Where its identity key comes from.
    pub identity_key: IdentityKeySource,
    /// Decides everything random.
    pub seed: u64,
    /// Where each run but the last loses power.
    pub cuts: Vec<Cut>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.soc, self.identity_key.name(), self.seed)?;
        self.cuts.iter().try_for_each(|cut| write!(f, "-{cut}"))
    }
}

/// A text that is no [`Case`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACase;

impl fmt::Display for NotACase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a replay ID is a part, a key source, a seed and cuts: nrf5340-generated-1-17t3-2a",
        )
    }
}

impl std::error::Error for NotACase {}

impl FromStr for Case {
    type Err = NotACase;

    fn from_str(text: &str) -> Result<Self, NotACase> {
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(NotACase);
        let soc = next()?.parse().map_err(|_| NotACase)?;
        let identity_key = IdentityKeySource::from_name(next()?).ok_or(NotACase)?;
        let seed = next()?.parse().map_err(|_| NotACase)?;
        let cuts = parts.map(|cut| cut.parse().map_err(|_| NotACase)).collect::<Result<_, _>>()?;
        Ok(Self { soc, identity_key, seed, cuts })
    }
}

/// How a case ended, by its last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The part is provisioned: by this run, or by the one that was cut off at its very end.
    Completed,
    /// The run stopped and named this as torn.
    Stopped(&'static str),
}

/// One run of a case.
#[derive(Clone, Debug)]
pub struct Run {
    /// What the console showed.
    pub lines: Vec<String>,
    /// How it ended.
    pub result: Result<PublicKey, Failure>,
    /// How many writes it made.
    pub writes: u32,
}

/// A case that was played to its end.
#[derive(Clone, Debug)]
pub struct Played {
    /// One run per cut, and the last.
    pub runs: Vec<Run>,
    /// The UICR page at the end.
    pub page: Box<[u32; UICR_WORDS]>,
    /// How it ended, or what must not be.
    pub verdict: Result<Outcome, String>,
}

impl Played {
    /// Writes of the last run.
    ///
    /// # Panics
    /// Never: there is always a last run.
    #[must_use]
    pub fn last_writes(&self) -> u32 {
        self.runs.last().expect("a run without a cut").writes
    }
}

/// Plays a case.
///
/// # Panics
/// This thread provisions a part already.
#[must_use]
pub fn play(case: &Case) -> Played {
    let id: ImplementationId = ID.parse().expect("64 digits");
    let config = Config::new(id, case.identity_key);
    let mut part = Silicon::erased(case.soc, [0; 32]);
    let mut runs = Vec::new();
    let mut torn = false;
    let mut verdict = Ok(Outcome::Completed);
    for (number, cut) in (0_u8..).zip(case.cuts.iter().map(Some).chain([None])) {
        let mut seed = [number; 32];
        seed[..8].copy_from_slice(&case.seed.to_le_bytes());
        part.restart(seed);
        if let Some(cut) = cut {
            part.cut(*cut);
        }
        let before = *part.page();
        let mut lines = Vec::new();
        let result;
        (part, result) = run(part, &config, |event| lines.push(event.to_string()));
        if let Err(failure) = &result {
            lines.push(failure.to_string());
        }
        torn |= part.has_torn_word();
        let wanted = Wanted {
            implementation_id: *id.as_bytes(),
            public_key: result.as_ref().ok().map(|key| *key.as_bytes()),
        };
        let problems = inspector::problems(case.soc, part.page(), &wanted);
        let judged = match cut {
            Some(_) if part.fault().is_none() => judge_cut(&part, &result),
            None if part.fault().is_none() => {
                judge_last(&result, torn, &problems, *part.page() == before)
            }
            _ => Err(format!("{:?}", part.fault())),
        };
        runs.push(Run { lines, result, writes: part.writes() });
        verdict = verdict.and(judged.map_err(|what| format!("run {}: {what}", number + 1)));
    }
    Played { runs, page: Box::new(*part.page()), verdict }
}

/// A run that lost power says nothing of the part; it only must have lost it.
fn judge_cut(part: &Silicon, result: &Result<PublicKey, Failure>) -> Result<Outcome, String> {
    match (part.is_off(), result) {
        (false, _) => Err(String::from("the cut did not fire")),
        (true, Ok(_)) => Err(String::from("\"Success!\" after power was lost")),
        (true, Err(_)) => Ok(Outcome::Completed),
    }
}

/// The run after the last cut completes the part, or stops over a torn piece without touching it.
fn judge_last(
    result: &Result<PublicKey, Failure>,
    torn: bool,
    problems: &[String],
    untouched: bool,
) -> Result<Outcome, String> {
    let complete = match result {
        Ok(_) => true,
        Err(Failure { cause: Cause::AlreadyProvisioned, .. }) => {
            if !untouched {
                return Err(String::from("a complete part was written to"));
            }
            true
        }
        Err(_) => false,
    };
    if complete {
        return match problems {
            [] if torn => Err(String::from("completed over a torn write")),
            [] => Ok(Outcome::Completed),
            _ => Err(format!("completed, but {}", problems.join("; "))),
        };
    }
    let Err(failure) = result else { return Err(String::from("neither success nor failure")) };
    let piece = match failure.cause {
        Cause::LifecycleUnreadable(_) => "lifecycle",
        Cause::Torn(Piece::ImplementationId) => "implementation ID",
        Cause::Torn(Piece::Huk(huk)) => huk.name(),
        Cause::Torn(Piece::IdentityKey) => "identity key",
        _ => return Err(format!("stopped for another reason: {failure}")),
    };
    if failure.written != Written::Nothing || !untouched {
        return Err(format!("written to, and then stopped over a torn {piece}"));
    }
    if problems.is_empty() {
        return Err(format!("stopped over a torn {piece} of a good part"));
    }
    if !failure.to_string().contains("erase it with ERASEALL") {
        return Err(format!("the line does not say that an erase is needed: {failure}"));
    }
    Ok(Outcome::Stopped(piece))
}

/// What a sweep is over.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The parts.
    pub socs: Vec<Soc>,
    /// The sources of the identity key.
    pub identity_keys: Vec<IdentityKeySource>,
    /// Decides everything random.
    pub seed: u64,
}

/// How many cases of a part and a key source ended how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Writes of a run without a cut.
    pub writes: u32,
    /// Cases by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
}

/// What a sweep found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// By part and key source, in the order of the plan.
    pub tallies: Vec<((Soc, IdentityKeySource), Tally)>,
    /// Replay ID and what must not be.
    pub violations: Vec<(Case, String)>,
}

impl Report {
    /// All cases.
    #[must_use]
    pub fn cases(&self) -> u64 {
        let judged: u64 = self.tallies.iter().flat_map(|(_, tally)| tally.outcomes.values()).sum();
        judged + self.violations.len() as u64
    }
}

/// Three ways to lose power at one write. Which bits a torn write has differs from write to write.
fn cuts_at(write: u32) -> [Cut; 3] {
    [Reach::Before, Reach::Torn(5 * write), Reach::After].map(|reach| Cut { write, reach })
}

/// Plays every case of the plan: each single cut, and each second cut in the run after it. `progress` gets
/// the number of first cuts that are done and of all of them.
///
/// # Panics
/// A run without a cut makes no write, so that there is nothing to sweep over.
#[must_use]
pub fn sweep(plan: &Plan, mut progress: impl FnMut(usize, usize)) -> Report {
    let mut report = Report::default();
    let mut first_cuts = Vec::new();
    for soc in &plan.socs {
        for identity_key in &plan.identity_keys {
            let (soc, identity_key) = (*soc, *identity_key);
            let case = Case { soc, identity_key, seed: plan.seed, cuts: Vec::new() };
            let played = play(&case);
            let writes = played.last_writes();
            assert!(writes > 0, "{case}: no writes");
            let index = report.tallies.len();
            let mut tally = Tally { writes, ..Tally::default() };
            enter(&mut tally, &mut report.violations, case.clone(), played.verdict);
            report.tallies.push(((soc, identity_key), tally));
            for cut in (1..=writes).flat_map(cuts_at) {
                first_cuts.push((index, Case { cuts: vec![cut], ..case.clone() }));
            }
        }
    }

    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            let (next, first_cuts, sender) = (&next, &first_cuts, sender.clone());
            scope.spawn(move || {
                while let Some((index, case)) = first_cuts.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let mut cases = Vec::new();
                    let played = play(case);
                    for cut in (1..=played.last_writes()).flat_map(cuts_at) {
                        let cuts = vec![case.cuts[0], cut];
                        let second = Case { cuts, ..case.clone() };
                        let verdict = play(&second).verdict;
                        cases.push((second, verdict));
                    }
                    cases.push((case.clone(), played.verdict));
                    if sender.send((*index, cases)).is_err() {
                        return; // whoever wanted to know has gone
                    }
                }
            });
        }
        drop(sender);
        for (done, (index, cases)) in (1..).zip(receiver) {
            for (case, verdict) in cases {
                enter(&mut report.tallies[index].1, &mut report.violations, case, verdict);
            }
            progress(done, first_cuts.len());
        }
    });
    report
}

fn enter(
    tally: &mut Tally,
    violations: &mut Vec<(Case, String)>,
    case: Case,
    verdict: Result<Outcome, String>,
) {
    match verdict {
        Ok(outcome) => *tally.outcomes.entry(outcome).or_default() += 1,
        Err(what) => violations.push((case, what)),
    }
}
