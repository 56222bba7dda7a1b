// SPDX-License-Identifier: Apache-2.0

//! The comparison.

use core::fmt::{self, Display, Write};

use differential::{Expected, SEED, Scenario};
use log::{error, info};
#[cfg(not(seed_keys))]
use nrf_keys::Drivers;
#[cfg(seed_keys)]
use nrf_keys::SeedDrivers as Drivers;
use silicon::mutants::Mutant;
use silicon::{ERASED, Silicon, with_installed};

include!(concat!(env!("OUT_DIR"), "/expected.rs"));

/// Called once by zephyr-lang-rust, from Zephyr's main thread.
// SAFETY: no other symbol of the image has this name.
#[unsafe(no_mangle)]
extern "C" fn rust_main() {
    // SAFETY: the main thread is the only one that logs through Rust, and it has not logged yet.
    let _ = unsafe { zephyr::set_logger() };
    // SAFETY: the only drivers of the image, used from the main thread; what else calls the drivers
    // (the vectors) does so while they are not used.
    #[cfg(not(seed_keys))]
    let mut drivers = unsafe { Drivers::new(differential::huk_size(SOC)) };
    // SAFETY: as above.
    #[cfg(seed_keys)]
    let mut drivers = unsafe { Drivers::new() };

    let derived = crate::vectors::derive(SOC);
    info!(
        "the SDK's vectors: {}",
        match derived {
            Some(true) => "derived",
            Some(false) => "NOT derived",
            None => "none for this part",
        }
    );

    let (mut scenarios, mut differences, mut leaks) = (0, 0, 0);
    for (scenario, expected) in Scenario::for_part(SOC).zip(EXPECTED) {
        scenarios += 1;
        differences += differences_in(&mut drivers, &scenario, expected, None);
        leaks += leaks_of(&mut drivers, &scenario);
    }
    info!("scenarios: {scenarios} run, {differences} differences");

    let searched = crate::leaks::report(scenarios, leaks);

    let mut killed = 0;
    let mutants = Mutant::of(SOC);
    for mutant in mutants.iter().copied() {
        // The differences that it logs are those that are wanted.
        let killer = Scenario::for_part(SOC)
            .zip(EXPECTED)
            .find(|(scenario, expected)| {
                differences_in(&mut drivers, scenario, expected, Some(mutant)) > 0
            })
            .map(|(scenario, _)| scenario);
        match killer {
            Some(scenario) => {
                killed += 1;
                info!("mutant {mutant:?}: killed by \"{scenario}\"");
            }
            None => error!("mutant {mutant:?}: killed by no scenario"),
        }
    }
    let mutants = mutants.len();
    info!("mutants: {killed} of {mutants} killed");

    let passed = derived != Some(false)
        && scenarios == EXPECTED.len()
        && differences == 0
        && searched
        && killed == mutants;
    info!("PROJECT EXECUTION {}", if passed { "SUCCESSFUL" } else { "FAILED" });
}

/// Runs one scenario on the part, and logs and counts where it comes out differently.
#[inline(never)]
fn differences_in(
    drivers: &mut Drivers,
    scenario: &Scenario,
    expected: &Expected,
    mutant: Option<Mutant>,
) -> u32 {
    let mut check = Check { scenario, lines: expected.lines, differences: 0 };
    with_installed(|part| {
        part.replace(SOC, SEED);
        part.mutate(mutant);
        // A part that refuses to begin is frozen, which its lines will show.
        let _ = scenario.prepare(part);
    });
    let with_part = |access: fn(&mut Silicon)| {
        with_installed(access);
    };
    scenario.run(drivers, with_part, |line| check.line(line));
    with_installed(|part| {
        scenario.conclude(part, |line| check.line(line));
        check.end_of_lines();
        let mut words = expected.words.iter().copied().peekable();
        for (place, word) in part.words().enumerate() {
            let wanted = words.next_if(|(at, _)| *at == place).map_or(ERASED, |(_, word)| word);
            if word != wanted {
                check.differs(format_args!(
                    "word {place:#x}: stand-ins {wanted:08x}, SDK {word:08x}"
                ));
            }
        }
    });
    check.differences
}

/// Does it all again with the same seed, and so with the same keys, which are known by now; clears the stack
/// as the image does, and searches RAM for them.
fn leaks_of(drivers: &mut Drivers, scenario: &Scenario) -> u32 {
    with_installed(crate::leaks::remember);
    run_apart(drivers, scenario);
    crate::leaks::clear_stack();
    let part = with_installed(|part| (&raw const *part).addr()).unwrap_or_default();
    crate::leaks::search(scenario, part)
}

/// In a frame of its own, which is dead when the stack is cleared; inlined, it would live on in its caller's.
#[inline(never)]
fn run_apart(drivers: &mut Drivers, scenario: &Scenario) {
    with_installed(|part| {
        part.replace(SOC, SEED);
        let _ = scenario.prepare(part);
    });
    let with_part = |access: fn(&mut Silicon)| {
        with_installed(access);
    };
    scenario.run(drivers, with_part, |_| ());
}

struct Check<'a> {
    scenario: &'a Scenario,
    /// What is still to come.
    lines: &'static [&'static str],
    differences: u32,
}

impl Check<'_> {
    fn line(&mut self, line: &dyn Display) {
        let wanted = self.lines.split_off_first().copied().unwrap_or("no more lines");
        let mut rest = Rest(wanted);
        if write!(rest, "{line}").is_err() || !rest.0.is_empty() {
            self.differs(format_args!("stand-ins \"{wanted}\", SDK \"{line}\""));
        }
    }

    fn end_of_lines(&mut self) {
        while let Some(wanted) = self.lines.split_off_first() {
            self.differs(format_args!("stand-ins \"{wanted}\", SDK no more lines"));
        }
    }

    fn differs(&mut self, what: fmt::Arguments<'_>) {
        self.differences += 1;
        error!("difference in \"{}\": {what}", self.scenario);
    }
}

/// Takes what is written to it off the front of a text; an error where that is not there.
struct Rest(&'static str);

impl Write for Rest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}
