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

/// How a case ended, or which promise was broken.
pub type Verdict = Result<Ending, String>;

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
    pub verdict: Verdict,
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
    let mut runs = Vec::new();
    let mut part = Between::ERASED;
    for (number, cut) in (0..).zip(case.cuts.iter().copied().map(Some).chain([None])) {
        let mut lines = Vec::new();
        let (result, writes, after) =
            part.run(case, number, cut, |line| lines.push(line.to_string()));
        runs.push(Run { lines, result, writes });
        part = after;
    }
    Played { runs, memory: Box::new(part.memory), verdict: part.verdict }
}

/// A part without power, before a run of a case or behind its last one. With the number of the run and its cut it decides
/// all that comes then.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Between {
    memory: Memory,
    /// Whether a write of an earlier run was torn.
    torn: bool,
    /// That of the runs until now.
    verdict: Verdict,
}

impl Between {
    const ERASED: Self =
        Self { memory: Memory::ERASED, torn: false, verdict: Ok(Ending::Completed) };

    /// Plays the run of this number, counted from 0: how it ended, how many writes it made, and what it has left. `print`
    /// gets the lines of its console.
    fn run(
        &self,
        case: &Case,
        number: u8,
        cut: Option<Cut>,
        mut print: impl FnMut(&dyn fmt::Display),
    ) -> (Result<PublicKey, Failure>, u32, Self) {
        let config =
            Config { complete_seed: case.complete_seed, ..testing::config(case.identity_key) };
        // The seed of the part, which decides its device ID, and that of the run.
        let mut part = Silicon::with_memory(case.soc, [0; 32], &self.memory);
        let mut seed = [number; 32];
        seed[..8].copy_from_slice(&case.seed.to_le_bytes());
        part.restart(seed);
        if let Some(cut) = cut {
            part.cut(cut);
        }
        let result;
        (part, result) = run(part, &config, |event| print(&event));
        if let Err(failure) = &result {
            print(failure);
        }
        let memory = part.memory();
        let torn = self.torn | part.has_torn_word();
        let judged = match cut {
            _ if part.illegal_access().is_some() => Err(format!("{:?}", part.illegal_access())),
            Some(_) => judge_cut(&part, &result),
            None => {
                let wanted = Wanted {
                    implementation_id: *config.implementation_id.as_bytes(),
                    public_key: result.as_ref().ok().map(|key| *key.as_bytes()),
                };
                let problems = inspector::problems_of(&part, &wanted);
                let untouched = what_is_ours(self.memory.clone()) == what_is_ours(memory.clone());
                judge_last(&result, torn, &problems, untouched)
            }
        };
        let judged = judged.map_err(|what| format!("run {}: {what}", number + 1));
        let after = Self { memory, torn, verdict: self.verdict.clone().and(judged) };
        (result, part.writes(), after)
    }

    /// As [`Between::run`], where nobody looks at the console.
    fn run_unseen(&self, case: &Case, number: u8, cut: Option<Cut>) -> (u32, Self) {
        let (_, writes, after) = self.run(case, number, cut, |_| ());
        (writes, after)
    }
}

/// A case that is played run by run, where [`play`] would begin anew for each cut more.
#[derive(Clone, Debug)]
pub struct Chain {
    case: Case,
    part: Between,
    /// The number of the next run.
    number: u8,
}

impl Chain {
    /// Before the first run of a case that has no cuts yet.
    ///
    /// # Panics
    /// It has some.
    #[must_use]
    pub fn new(case: Case) -> Self {
        assert!(case.cuts.is_empty(), "{case} has cuts already");
        Self { case, part: Between::ERASED, number: 0 }
    }

    /// The case until now.
    #[must_use]
    pub const fn case(&self) -> &Case {
        &self.case
    }

    /// Plays the next run without a cut: how many writes it makes, and the verdict of the case with it as the last one.
    pub fn end(&self) -> (u32, Verdict) {
        let (writes, part) = self.part.run_unseen(&self.case, self.number, None);
        (writes, part.verdict)
    }

    /// Plays the next run with a cut.
    pub fn cut(&mut self, cut: Cut) {
        (_, self.part) = self.part.run_unseen(&self.case, self.number, Some(cut));
        self.case.cuts.push(cut);
        self.number += 1;
    }
}

/// All but the slots of an nRF54L15 that its driver writes for itself, whoever uses it.
fn what_is_ours(mut memory: Memory) -> Memory {
    for slot in [186, 248, 249] {
        memory.key_store[7 * slot..][..7].fill(!0);
    }
    memory
}

/// A run that lost power is judged by that alone: it must have lost it.
fn judge_cut(part: &Silicon, result: &Result<PublicKey, Failure>) -> Verdict {
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
) -> Verdict {
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

/// What a sweep found. It is the same, in the same order, on any number of cores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    sweep_with(scope, progress, &OnModel)
}

/// What the cases of a sweep are played on.
trait Player: Sync {
    /// A part behind its first run.
    type Part: PartialEq + Send + Sync;
    /// The writes of a run without a cut, and its verdict.
    fn whole(&self, case: &Case) -> (u32, Verdict);
    /// The part behind the first run, which is cut.
    fn first(&self, case: &Case) -> Self::Part;
    /// What comes of a part behind its first run. It depends on nothing else.
    fn rest(&self, case: &Case, part: &Self::Part) -> Rest;
}

/// What comes of a part behind its first run.
#[derive(Debug, PartialEq, Eq)]
struct Rest {
    /// Where the second run is not cut.
    whole: Verdict,
    /// For each cut of the second run.
    cut: Vec<(Cut, Verdict)>,
}

/// The modelled parts. Each run of each case is played, but for those that begin as another does: a cut behind a write leaves
/// what a cut before the next one does.
struct OnModel;

impl Player for OnModel {
    type Part = Between;

    fn whole(&self, case: &Case) -> (u32, Verdict) {
        let (writes, part) = Between::ERASED.run_unseen(case, 0, None);
        (writes, part.verdict)
    }

    fn first(&self, case: &Case) -> Between {
        Between::ERASED.run_unseen(case, 0, case.cuts.first().copied()).1
    }

    fn rest(&self, case: &Case, part: &Between) -> Rest {
        let (writes, whole) = part.run_unseen(case, 1, None);
        let mut last: Option<(Between, Verdict)> = None;
        let mut verdict_of = |cut| {
            let (_, part) = part.run_unseen(case, 1, Some(cut));
            match &last {
                Some((before, verdict)) if *before == part => verdict.clone(),
                _ => {
                    let (_, end) = part.run_unseen(case, 2, None);
                    last = Some((part, end.verdict.clone()));
                    end.verdict
                }
            }
        };
        let cuts = (1..=writes).flat_map(Cut::at);
        Rest { whole: whole.verdict, cut: cuts.map(|cut| (cut, verdict_of(cut))).collect() }
    }
}

fn sweep_with<P: Player>(scope: &Scope, progress: impl Fn(usize) + Sync, player: &P) -> Report {
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
            let (writes, verdict) = player.whole(&case);
            assert!(writes > 0, "{case}: no writes");
            let index = report.tallies.len();
            for cut in (1..=writes).flat_map(Cut::at) {
                first_cuts.push((index, Case { cuts: vec![cut], ..case.clone() }));
            }
            let tally = Tally { writes, ..Tally::default() };
            report.tallies.push(((soc, identity_key), tally));
            let mut judged = Judged::default();
            judged.add(case, verdict);
            report.enter(index, judged);
        }
    }

    let all = first_cuts.len();
    let parts: Vec<_> = first_cuts
        .into_par_iter()
        .map(|(index, case)| {
            let part = player.first(&case);
            (index, case, part)
        })
        .collect();
    // What comes of parts that are alike is played once.
    let alike: Vec<_> =
        parts.chunk_by(|one, other| (one.0, &one.2) == (other.0, &other.2)).collect();
    let judged: Vec<_> = alike
        .into_par_iter()
        .map(|alike| {
            let (index, case, part) = &alike[0];
            let rest = player.rest(case, part);
            let mut judged = Judged::default();
            for (_, case, _) in alike {
                for (cut, verdict) in &rest.cut {
                    let second = Case { cuts: vec![case.cuts[0], *cut], ..case.clone() };
                    judged.add(second, verdict.clone());
                }
                judged.add(case.clone(), rest.whole.clone());
                progress(all);
            }
            (*index, judged)
        })
        .collect();
    for (index, judged) in judged {
        report.enter(index, judged);
    }
    report
}

/// Some cases by their verdicts.
#[derive(Default)]
struct Judged {
    endings: BTreeMap<Ending, u64>,
    violations: Vec<(Case, String)>,
}

impl Judged {
    fn add(&mut self, case: Case, verdict: Verdict) {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::testing::SplitMix64;

    fn scope() -> Scope {
        Scope {
            socs: Soc::ALL.to_vec(),
            identity_keys: IdentityKeySource::ALL.to_vec(),
            seed: 1,
            complete_seed: false,
        }
    }

    /// Some cases are bad, and each takes another time.
    struct MadeUp;

    impl MadeUp {
        fn verdict(name: &str) -> Verdict {
            let mut random = name.bytes().fold(SplitMix64::new(0), |mut random, byte| {
                SplitMix64::new(random.word() ^ u64::from(byte))
            });
            thread::sleep(Duration::from_micros(random.below(100).into()));
            match random.below(4) {
                0 => Err(format!("{name} is bad")),
                1 => Ok(Ending::Stopped("seed")),
                _ => Ok(Ending::Completed),
            }
        }
    }

    impl Player for MadeUp {
        type Part = String;

        fn whole(&self, case: &Case) -> (u32, Verdict) {
            (6, Self::verdict(&case.to_string()))
        }

        fn first(&self, case: &Case) -> String {
            // Some parts are like the one before.
            case.to_string().replace("2b", "1a")
        }

        fn rest(&self, _: &Case, part: &String) -> Rest {
            let cuts = (1..=6).flat_map(Cut::at);
            let cut = cuts.map(|cut| (cut, Self::verdict(&format!("{part}-{cut}")))).collect();
            Rest { whole: Self::verdict(part), cut }
        }
    }

    #[test]
    fn a_sweep_finds_the_same_in_the_same_order_on_any_number_of_threads() {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let progress = AtomicUsize::new(0);
            let count = |all| {
                assert_eq!(all, 7 * 18);
                progress.fetch_add(1, Ordering::Relaxed);
            };
            let report = pool.install(|| sweep_with(&scope(), count, &MadeUp));
            assert_eq!(progress.into_inner(), 7 * 18);
            report
        };
        let alone = on(1);
        assert_eq!(alone.cases(), 7 * (1 + 18 + 18 * 18));
        assert!(alone.violations.len() > 100);
        let case = |name: &str| -> Option<&String> {
            let case = alone.violations.iter().find(|(case, _)| case.to_string() == name);
            case.map(|(_, what)| what)
        };
        for (one, other) in (1..=6).flat_map(Cut::at).map(|cut| {
            let name = |first| format!("nrf5340-generated-1-{first}-{cut}");
            (name("1a"), name("2b"))
        }) {
            assert_eq!(case(&one), case(&other), "each of two that are alike is judged");
        }
        for threads in [2, 3, 7] {
            assert_eq!(on(threads), alone, "{threads} threads");
        }
    }

    /// A sweep plays what cases have in common once. Each of these is played from its beginning.
    #[test]
    fn a_case_of_a_sweep_ends_as_it_does_alone() {
        for soc in Soc::ALL {
            for complete_seed in [false, true] {
                let case = Case {
                    soc: *soc,
                    identity_key: IdentityKeySource::Generated,
                    seed: 1,
                    cuts: Vec::new(),
                    complete_seed,
                };
                let (writes, _) = OnModel.whole(&case);
                for first in (1..=writes).step_by(16).flat_map(Cut::at) {
                    let case = Case { cuts: vec![first], ..case.clone() };
                    let rest = OnModel.rest(&case, &OnModel.first(&case));
                    assert_eq!(rest.whole, play(&case).verdict, "{case}");
                    // Among them cuts behind a write, and before the next.
                    for (cut, verdict) in rest
                        .cut
                        .iter()
                        .skip(2)
                        .step_by(16)
                        .chain(rest.cut.iter().skip(3).step_by(48))
                    {
                        let case = Case { cuts: vec![first, *cut], ..case.clone() };
                        assert_eq!(*verdict, play(&case).verdict, "{case}");
                    }
                }
            }
        }
    }
}
