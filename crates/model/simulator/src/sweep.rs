// SPDX-License-Identifier: Apache-2.0

//! Loss of power at every write of a run, and again at every write of the run after it.
//!
//! A [`Case`] is a part, a source of its identity key, a seed, and the cuts, one a run; a last run is not cut. Its
//! name replays it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use provisioning::{Cause, Config, Failure, IdentityKeySource, Piece, PublicKey, Written};
use rayon::prelude::*;
use silicon::power::Cut;
use silicon::{Family, Memory, Silicon, Soc};
use thiserror::Error;

use crate::inspector::{self, Wanted};
use crate::{run, testing};

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
    /// Whether a torn seed is completed. The name does not say so.
    pub complete_seed: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.soc, self.identity_key.name(), self.seed)?;
        self.cuts.iter().try_for_each(|cut| write!(f, "-{cut}"))
    }
}

/// The text is not the name of a [`Case`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a replay ID is a part, a key source, a seed and cuts: nrf5340-generated-1-17t3-2a")]
pub struct NotACase;

impl FromStr for Case {
    type Err = NotACase;

    fn from_str(text: &str) -> Result<Self, NotACase> {
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(NotACase);
        let soc = next()?.parse().map_err(|_| NotACase)?;
        let identity_key = IdentityKeySource::from_name(next()?).ok_or(NotACase)?;
        let seed = next()?.parse().map_err(|_| NotACase)?;
        let cuts = parts.map(|cut| cut.parse().map_err(|_| NotACase)).collect::<Result<_, _>>()?;
        Ok(Self { soc, identity_key, seed, cuts, complete_seed: false })
    }
}

/// How a case ended, by its last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
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
    /// What the part keeps at the end.
    pub memory: Box<Memory>,
    /// How it ended, or which promise was broken.
    pub verdict: Result<Ending, String>,
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
    let config = Config { complete_seed: case.complete_seed, ..testing::config(case.identity_key) };
    let mut part = Silicon::erased(case.soc, [0; 32]);
    let mut runs = Vec::new();
    let mut torn = false;
    let mut verdict = Ok(Ending::Completed);
    for (number, cut) in (0_u8..).zip(case.cuts.iter().map(Some).chain([None])) {
        let mut seed = [number; 32];
        seed[..8].copy_from_slice(&case.seed.to_le_bytes());
        part.restart(seed);
        if let Some(cut) = cut {
            part.cut(*cut);
        }
        let before = part.memory();
        let mut lines = Vec::new();
        let result;
        (part, result) = run(part, &config, |event| lines.push(event.to_string()));
        if let Err(failure) = &result {
            lines.push(failure.to_string());
        }
        torn |= part.has_torn_word();
        let wanted = Wanted {
            implementation_id: *config.implementation_id.as_bytes(),
            public_key: result.as_ref().ok().map(|key| *key.as_bytes()),
        };
        let problems = inspector::problems_of(&part, &wanted);
        let judged = match cut {
            Some(_) if part.illegal_access().is_none() => judge_cut(&part, &result),
            None if part.illegal_access().is_none() => {
                let (before, left) = (what_is_ours(before), what_is_ours(part.memory()));
                judge_last(&result, torn, &problems, before == left)
            }
            _ => Err(format!("{:?}", part.illegal_access())),
        };
        runs.push(Run { lines, result, writes: part.writes() });
        verdict = verdict.and(judged.map_err(|what| format!("run {}: {what}", number + 1)));
    }
    Played { runs, memory: Box::new(part.memory()), verdict }
}

/// All but the slots of an nRF54L15 that its driver writes for itself, whoever uses it.
fn what_is_ours(mut memory: Memory) -> Memory {
    for slot in [186, 248, 249] {
        memory.key_store[7 * slot..][..7].fill(!0);
    }
    memory
}

/// A run that lost power is judged by that alone: it must have lost it.
fn judge_cut(part: &Silicon, result: &Result<PublicKey, Failure>) -> Result<Ending, String> {
    match (part.is_off(), result) {
        (false, _) => Err(String::from("the cut did not fire")),
        (true, Ok(_)) => Err(String::from("\"Success!\" after power was lost")),
        (true, Err(_)) => Ok(Ending::Completed),
    }
}

/// The run after the last cut completes the part, or stops over a torn piece without touching it.
fn judge_last(
    result: &Result<PublicKey, Failure>,
    torn: bool,
    problems: &[String],
    untouched: bool,
) -> Result<Ending, String> {
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
            [] => Ok(Ending::Completed),
            _ => Err(format!("completed, but {}", problems.join("; "))),
        };
    }
    let Err(failure) = result else { return Err(String::from("neither success nor failure")) };
    let piece = match failure.cause {
        Cause::LifecycleUnreadable(_) => "lifecycle",
        Cause::Torn(Piece::ImplementationId) => "implementation ID",
        Cause::Torn(Piece::Huk(huk)) => huk.name(),
        Cause::Torn(Piece::IdentityKey) => "identity key",
        Cause::Torn(Piece::Seed) => "seed",
        Cause::OtherKeysUnfinished => "driver slots",
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
    Ok(Ending::Stopped(piece))
}

/// What is swept.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The parts.
    pub socs: Vec<Soc>,
    /// The sources of the identity key.
    pub identity_keys: Vec<IdentityKeySource>,
    /// Decides everything random.
    pub seed: u64,
    /// Whether a torn seed is completed.
    pub complete_seed: bool,
}

/// How many cases of a part and a key source ended how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Writes of a run without a cut.
    pub writes: u32,
    /// Cases by ending.
    pub endings: BTreeMap<Ending, u64>,
}

/// What a sweep found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// By part and key source, in the order of the scope.
    pub tallies: Vec<((Soc, IdentityKeySource), Tally)>,
    /// Cases that broke a promise, and which.
    pub violations: Vec<(Case, String)>,
}

impl Report {
    /// All cases.
    #[must_use]
    pub fn cases(&self) -> u64 {
        let judged: u64 = self.tallies.iter().flat_map(|(_, tally)| tally.endings.values()).sum();
        judged + self.violations.len() as u64
    }
}

/// Plays every case of the scope, on all cores: each single cut, and each second cut in the run after it. `progress`
/// is called each time that a first cut is done, with the number of all first cuts.
///
/// # Panics
/// A run without a cut makes no write, so that there is nothing to cut.
#[must_use]
pub fn sweep(scope: &Scope, progress: impl Fn(usize) + Sync) -> Report {
    let mut report = Report::default();
    let mut first_cuts = Vec::new();
    for soc in &scope.socs {
        // The key generator is the only source that an nRF54L15 has.
        let sources = match soc.family() {
            Family::CryptoCell => &scope.identity_keys[..],
            Family::Cracen => &[IdentityKeySource::Generated],
        };
        for identity_key in sources {
            let (soc, identity_key) = (*soc, *identity_key);
            let (seed, complete_seed) = (scope.seed, scope.complete_seed);
            let case = Case { soc, identity_key, seed, cuts: Vec::new(), complete_seed };
            let played = play(&case);
            let writes = played.last_writes();
            assert!(writes > 0, "{case}: no writes");
            let index = report.tallies.len();
            for cut in (1..=writes).flat_map(Cut::at) {
                first_cuts.push((index, Case { cuts: vec![cut], ..case.clone() }));
            }
            let tally = Tally { writes, ..Tally::default() };
            report.tallies.push(((soc, identity_key), tally));
            let mut judged = Judged::default();
            judged.add(case, played.verdict);
            report.enter(index, judged);
        }
    }

    let all = first_cuts.len();
    let judged: Vec<(usize, Judged)> = first_cuts
        .into_par_iter()
        .map(|(index, case)| {
            let judged = play_with_second_cuts(case);
            progress(all);
            (index, judged)
        })
        .collect();
    for (index, judged) in judged {
        report.enter(index, judged);
    }
    report
}

/// Plays a case with one cut, and that cut followed by each cut of the next run.
fn play_with_second_cuts(case: Case) -> Judged {
    let mut judged = Judged::default();
    let played = play(&case);
    for cut in (1..=played.last_writes()).flat_map(Cut::at) {
        let second = Case { cuts: vec![case.cuts[0], cut], ..case.clone() };
        let verdict = play(&second).verdict;
        judged.add(second, verdict);
    }
    judged.add(case, played.verdict);
    judged
}

/// Some cases by their verdicts.
#[derive(Default)]
struct Judged {
    endings: BTreeMap<Ending, u64>,
    violations: Vec<(Case, String)>,
}

impl Judged {
    fn add(&mut self, case: Case, verdict: Result<Ending, String>) {
        match verdict {
            Ok(ending) => *self.endings.entry(ending).or_default() += 1,
            Err(what) => self.violations.push((case, what)),
        }
    }
}

impl Report {
    /// Enters cases of the tally with this index.
    fn enter(&mut self, index: usize, judged: Judged) {
        for (ending, count) in judged.endings {
            *self.tallies[index].1.endings.entry(ending).or_default() += count;
        }
        self.violations.extend(judged.violations);
    }
}
