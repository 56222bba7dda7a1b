// SPDX-License-Identifier: Apache-2.0

//! What a batch shows: a row for each port on a terminal, lines elsewhere, JSON for machines.

mod hub;

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use base16ct::lower::encode_string as hex;
use console::Style;
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use station::batch::uplink::Amount;
use station::batch::{Counts, Done, Entered, Notice, Verdict};
use station::console::{Observed, RUN_STEPS};
use station::ledger::Receipt;

use crate::json;

/// Shows what happens in a batch, and counts it.
pub struct Report {
    names: Vec<String>,
    json: bool,
    screen: Screen,
    rows: Option<Rows>,
    /// For each port, the verdict that its row shows before anything else.
    verdicts: Vec<String>,
    /// The first error of standard output: a reader that is gone does not stop a line.
    output: io::Result<()>,
    begun: Instant,
    counts: Counts,
    /// A port was given up.
    given_up: bool,
    /// What the hub does not have yet, where there is a hub.
    pending: Option<Amount>,
}

/// Where something is printed without the rows being torn.
#[derive(Clone)]
pub struct Screen(Option<MultiProgress>);

struct Rows {
    batch: ProgressBar,
    ports: Vec<ProgressBar>,
}

/// About a port that is given up.
const GIVEN_UP: &str = "GIVEN UP, too many runs in a row have entered nothing (--give-up-after). Check the fixture, the \
                        image and the parts, then start the station again";

/// How old what is on the screen may be.
const DRAW_TIME: Duration = Duration::from_millis(100);

/// Columns of a port's name in its row.
const NAME: usize = 20;

impl Screen {
    /// Standard error, with rows on a terminal.
    pub fn new(json: bool) -> Self {
        Self((!json && io::stderr().is_terminal()).then(MultiProgress::new))
    }

    /// Whether there are rows, which are drawn again and again.
    pub const fn has_rows(&self) -> bool {
        self.0.is_some()
    }

    /// Something that is not a result.
    pub fn note(&self, line: &dyn Display) {
        // A reader that is gone does not stop a line.
        self.suspend(|| _ = writeln!(io::stderr(), "{line}"));
    }

    fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(rows) => rows.suspend(print),
            None => print(),
        }
    }
}

impl Report {
    /// A report on these ports, of modelled parts or of others, which do so many parts.
    pub fn new(
        names: Vec<String>,
        is_modelled: bool,
        parts: Option<usize>,
        json: bool,
        screen: Screen,
    ) -> Self {
        let verdicts = vec![String::new(); names.len()];
        // Modelled parts have no place on the line that somebody looks at.
        let shown = if is_modelled { &[] } else { &names[..] };
        let rows = screen.0.as_ref().map(|all| Rows::new(all, shown, parts));
        let begun = Instant::now();
        Self {
            names,
            json,
            screen,
            rows,
            verdicts,
            output: Ok(()),
            begun,
            counts: Counts::default(),
            given_up: false,
            pending: None,
        }
    }

    /// Shows one notice. What is on standard output then is final.
    pub fn show(&mut self, notice: &Notice) {
        match notice {
            Notice::Observed(port, observed) => self.observed(*port, observed),
            Notice::Begun(port) => {
                self.verdicts[*port].clear();
                self.row(*port, |row| {
                    row.set_position(0);
                    row.set_message("begun");
                });
            }
            Notice::Done(port, done) => self.done(*port, done),
            Notice::Idle(port, time) => self.port(
                *port,
                "idle",
                &format!(
                    "no part has begun for {} s. Start one, or check cable and image",
                    time.as_secs()
                ),
            ),
            Notice::Noise(port, error) => self.port(*port, "noise", &error.to_string()),
            Notice::Lost(port, error) => self.port(
                *port,
                "lost",
                &format!(
                    "the port is lost ({error}). Connect it again: the station goes on by itself"
                ),
            ),
            Notice::Back(port) => self.port(*port, "back", "the port is back"),
            Notice::Asked(port, question) => self.port(*port, "asked", &question.to_string()),
            Notice::NotTaken(port, reason) => self.port(*port, "not-taken", reason),
            Notice::Taken(port) => self.row(*port, |row| row.set_message("waiting for the part")),
            Notice::Step(port, moment) => self.row(*port, |row| {
                row.set_message(format!("step {moment}"));
            }),
            Notice::StepFailed(port, error) => {
                self.port(*port, "step-failed", &error.to_string());
            }
            Notice::GivenUp(port) => {
                self.given_up = true;
                self.port(*port, "given-up", GIVEN_UP);
            }
            Notice::Hub(notice) => self.hub(notice),
        }
    }

    fn observed(&self, port: usize, observed: &Observed) {
        if let Observed::Other(line) = observed {
            let name = &self.names[port];
            self.screen.note(&format_args!("{name}: {line}"));
        }
        if let Some((position, message)) = observed.step() {
            self.row(port, |row| {
                row.set_position(position);
                row.set_message(message);
            });
        }
    }

    fn done(&mut self, port: usize, done: &Done) {
        self.counts.count(done);
        let (word, look, text) = match &done.verdict {
            Verdict::Good(Entered { receipt, identity }) => {
                let text = format!("entered as {}, UEID {}", receipt.number, identity.ueid());
                ("PASS", Style::new().black().on_green(), text)
            }
            Verdict::Known(entry, _) => {
                let text = format!("entry {entry} has this part already. Take it out");
                ("KNOWN", Style::new().black().on_yellow(), text)
            }
            Verdict::NotDone(Entered { receipt, .. }, error) => {
                let text = format!("entered as {}, but {error}", receipt.number);
                ("FAIL", Style::new().white().on_red().bold(), text)
            }
            Verdict::Failed(error) => {
                ("FAIL", Style::new().white().on_red().bold(), error.at_port())
            }
        };
        let serial = done.serial_number.as_ref().map(|serial| format!("{serial}, "));
        let text = serial.unwrap_or_default() + &text;
        if let Some(rows) = &self.rows {
            rows.batch.set_position(self.counts.good as u64);
            // Until the next part begins.
            let block = look.clone().for_stderr().apply_to(format!("  {word:^5}  "));
            if let Some(row) = rows.ports.get(port) {
                row.set_position(RUN_STEPS);
                row.set_message(format!("{block} {text}"));
            }
            self.verdicts[port] = format!("{block} ");
            if word == "FAIL" {
                self.screen.suspend(|| _ = write!(io::stderr(), "\x07"));
            }
        }
        let name = &self.names[port];
        if self.json {
            let line = json::done(name, done).to_string();
            self.line(&line);
        } else {
            let word = look.apply_to(word);
            let line = format!("{name}: {word}: {text}");
            self.line(&line);
        }
    }

    /// Something about a port that is no result of a part.
    fn port(&mut self, port: usize, event: &'static str, text: &str) {
        let name = self.names[port].clone();
        // The last verdict stays until the next part begins: it may still be looked for.
        let verdict = &self.verdicts[port];
        self.row(port, |row| row.set_message(format!("{verdict}{text}")));
        if self.json {
            self.line(&json::port_event(&name, event, Some(text.to_owned())));
        } else {
            self.screen.note(&format_args!("{name}: {text}"));
        }
    }

    fn row(&self, port: usize, change: impl FnOnce(&ProgressBar)) {
        if let Some(row) = self.rows.as_ref().and_then(|rows| rows.ports.get(port)) {
            change(row);
        }
    }

    /// The last words on the batch, of which so many good parts were wanted. The ledger has so many entries, and
    /// `head` is its last link. Whether every run that has
    /// begun was of a good part, and no port was given up.
    ///
    /// # Errors
    /// Something could not be printed.
    pub fn end(mut self, parts: Option<usize>, entries: u64, head: &Receipt) -> io::Result<bool> {
        let time = self.begun.elapsed();
        if let Some(rows) = self.rows.take() {
            rows.ports.iter().for_each(ProgressBar::finish_and_clear);
            rows.batch.finish_and_clear();
        }
        let counts = self.counts;
        if self.json {
            self.line(&json::end(&counts, time, entries, head, self.pending));
        } else {
            let Counts { good, known, failed, retried } = counts;
            let of = parts.map(|parts| format!(" of {parts}")).unwrap_or_default();
            self.line(&format!("{good}{of} parts entered in {}", Seconds(time)));
            self.line(&format!(
                "{} runs: {good} good, {known} known already, {failed} failed; {retried} of them retries",
                counts.begun()
            ));
            self.line(&format!(
                "The ledger has {entries} entries in {} links. Its head, to write down: {}",
                head.number,
                hex(&head.hash)
            ));
            if let Some(pending) = self.pending {
                self.line(&hub::rest(pending));
            }
        }
        self.output.map(|()| counts.failed == 0 && !self.given_up)
    }

    fn line(&mut self, line: &dyn Display) {
        let print = || {
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "{line}").and_then(|()| stdout.flush())
        };
        if self.output.is_ok() {
            self.output = self.screen.suspend(print);
        }
    }
}

impl Rows {
    fn new(all: &MultiProgress, names: &[String], wanted: Option<usize>) -> Self {
        let style = |template: &str| {
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
        };
        let ports = names
            .iter()
            .map(|name| {
                let row = all.add(ProgressBar::new(RUN_STEPS));
                row.set_style(style(&format!("{{prefix:{NAME}!}} {{bar:6}} {{wide_msg}}")));
                row.set_prefix(ending(name));
                row.set_message("waiting for a part");
                row
            })
            .collect();
        let batch = all.add(ProgressBar::new(wanted.unwrap_or_default() as u64));
        let rate = |state: &ProgressState, f: &mut dyn fmt::Write| {
            let _ = write!(f, "{:.0}", 3600.0 * state.per_sec()); // the bar has its own errors
        };
        let template = if wanted.is_some() {
            "{prefix:5!} {bar:20} {pos} of {len} good{msg}, {rate} parts/h (about {eta} to go)"
        } else {
            "{prefix:5!} {pos} good{msg}, {rate} parts/h, {elapsed}"
        };
        batch.set_style(style(template).with_key("rate", rate));
        batch.set_prefix("batch");
        // Draws all rows: a row that changes often is not drawn each time, and its last change might never be.
        batch.enable_steady_tick(DRAW_TIME);
        Self { batch, ports }
    }
}

/// The end of a long name, which is where names of ports differ.
fn ending(name: &str) -> String {
    let length = name.chars().count();
    match length.checked_sub(NAME) {
        None | Some(0) => name.to_owned(),
        Some(more) => std::iter::once('…').chain(name.chars().skip(more + 1)).collect(),
    }
}

/// A duration with one decimal.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}
