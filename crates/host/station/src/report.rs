// SPDX-License-Identifier: Apache-2.0

//! What a batch shows: bars on a terminal, lines elsewhere, JSON for machines.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use station::batch::{Entered, Notice};
use station::console::Observed;
use station::ledger::Receipt;
use station::part::PartError;

use crate::json;
use base16ct::lower::encode_string as hex;

/// Shows what happens in a batch, and counts it.
pub struct Report {
    names: Vec<String>,
    json: bool,
    bars: Option<Bars>,
    /// The first error of standard output: a reader that is gone does not stop a line.
    output: io::Result<()>,
    begun: Instant,
    entered: usize,
    refused: usize,
}

struct Bars {
    batch: ProgressBar,
    ports: Vec<ProgressBar>,
}

/// What a bar counts of a run: the five messages and the record.
const MESSAGES: u64 = 6;

impl Report {
    /// A report on these ports, which do so many parts.
    pub fn new(names: Vec<String>, parts: usize, json: bool) -> Self {
        let bars = (!json && io::stderr().is_terminal()).then(|| Bars::new(&names, parts));
        let begun = Instant::now();
        Self { names, json, bars, output: Ok(()), begun, entered: 0, refused: 0 }
    }

    /// Shows one notice. What is on standard output then is final.
    pub fn show(&mut self, notice: &Notice) {
        match notice {
            Notice::Observed(port, observed) => self.observed(*port, observed),
            Notice::Done(port, result) => match result {
                Ok(entered) => self.entered(*port, entered),
                Err(error) => self.refused(*port, error),
            },
            Notice::GivenUp(port) => self.given_up(*port),
        }
    }

    fn observed(&mut self, port: usize, observed: &Observed) {
        if let Some(bars) = &self.bars {
            let bar = &bars.ports[port];
            match observed {
                Observed::NonceWanted => bar.reset(),
                Observed::Event(event) => {
                    if matches!(bar.position(), MESSAGES..) {
                        bar.reset();
                    }
                    bar.inc(1);
                    bar.set_message(event.message());
                }
                Observed::Record(_) => {
                    bar.inc(1);
                    bar.set_message("Provisioning record");
                }
                Observed::Modelled | Observed::Other(_) | Observed::Finished => {}
            }
        }
        if let Observed::Other(line) = observed {
            self.note(&format!("{}: {line}", self.names[port]));
        }
    }

    fn entered(&mut self, port: usize, entered: &Entered) {
        let Entered { receipt: Receipt { number, .. }, identity } = entered;
        self.entered += 1;
        let name = &self.names[port];
        if let Some(bars) = &self.bars {
            bars.batch.inc(1);
            bars.ports[port].set_message(format!("entered as {number}, UEID {}", identity.ueid()));
        }
        if self.json {
            let line = json::entered(name, entered).to_string();
            self.line(&line);
        } else if self.bars.is_none() {
            let line = format!("{name}: entered as {number}, UEID {}", identity.ueid());
            self.line(&line);
        }
    }

    fn refused(&mut self, port: usize, error: &PartError) {
        self.refused += 1;
        let name = self.names[port].clone();
        if self.json {
            self.line(&json::not_entered(&name, error));
        } else {
            self.line(&format!("{name}: NOT ENTERED: {}", error.at_port()));
        }
    }

    fn given_up(&mut self, port: usize) {
        let name = self.names[port].clone();
        if self.json {
            self.line(&json::given_up(&name));
        } else {
            self.line(&format!(
                "{name}: GIVEN UP, too many runs in a row were not entered (--give-up-after). Check the \
                 fixture, the image and the parts, then start the station again"
            ));
        }
    }

    /// The last words on the batch. `head` is the ledger's last entry.
    ///
    /// # Errors
    /// Something could not be printed.
    pub fn end(mut self, parts: usize, head: &Receipt) -> io::Result<bool> {
        let time = self.begun.elapsed();
        if let Some(bars) = self.bars.take() {
            bars.ports.iter().for_each(ProgressBar::finish_and_clear);
            bars.batch.finish_and_clear();
        }
        let Self { entered, refused, .. } = self;
        let missing = parts.saturating_sub(entered);
        if self.json {
            self.line(&json::end(entered, refused, missing, time, head));
        } else {
            self.line(&format!("{entered} of {parts} parts entered in {}", Seconds(time)));
            if refused > 0 {
                self.line(&format!("{refused} runs were not entered"));
            }
            self.line(&format!(
                "The ledger has {} entries. Its head, to write down: {}",
                head.number,
                hex(&head.hash)
            ));
        }
        self.output.map(|()| refused == 0 && missing == 0)
    }

    fn line(&mut self, line: &dyn Display) {
        let print = || {
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "{line}").and_then(|()| stdout.flush())
        };
        if self.output.is_ok() {
            self.output = match &self.bars {
                Some(bars) => bars.batch.suspend(print),
                None => print(),
            };
        }
    }

    /// Something that is not a result.
    fn note(&self, line: &str) {
        match &self.bars {
            Some(bars) => bars.batch.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }
}

impl Bars {
    fn new(names: &[String], wanted: usize) -> Self {
        let style = |template| {
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
        };
        let all = MultiProgress::new();
        let ports = names
            .iter()
            .map(|name| {
                let bar = all.add(ProgressBar::new(MESSAGES));
                bar.set_style(style("{prefix:14!} {bar:12} {msg}"));
                bar.set_prefix(name.clone());
                bar.set_message("waiting for a part");
                bar
            })
            .collect();
        let batch = all.add(ProgressBar::new(wanted as u64));
        let rate = |state: &ProgressState, f: &mut dyn fmt::Write| {
            let _ = write!(f, "{:.0} parts/s", state.per_sec()); // the bar has its own errors
        };
        batch.set_style(
            style("{prefix:14!} {bar:40} {pos} of {len}, {rate} (about {eta} to go)")
                .with_key("rate", rate),
        );
        batch.set_prefix("batch");
        batch.tick();
        Self { batch, ports }
    }
}

/// A duration with one decimal.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}
