// SPDX-License-Identifier: Apache-2.0

//! `provision`: parts on the line, into the ledger.

use std::io::{self, BufRead};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use std::{process, thread};

use clap::builder::RangedU64ValueParser;
use clap::{ValueEnum, value_parser};
use provisioning::ImplementationId;
use silicon::Soc;
use station::batch::{self, Answers, Batch, Connect, Control, Parts, Port, Scan};
use station::clock::SystemClock;
use station::port::{self, SerialPort, Source, Timeouts};
use station::record::Wanted;
use station::simulated::Seed;

use super::author::{AuthorOptions, name};
use super::{Error, Place};
use crate::report::{Report, Screen};

/// Follow parts while they are provisioned, check their records and enter them in the ledger
#[derive(clap::Args)]
pub struct Provision {
    /// The port of a part's console, such as /dev/ttyACM0; may be given several times
    #[arg(long, value_name = "PORT", required_unless_present = "simulate")]
    port: Vec<String>,
    /// The speed of the ports
    #[arg(long, default_value_t = port::DEFAULT_BAUD)]
    baud: u32,
    /// Go on until N good parts are entered, on all ports together [default: until Ctrl-C]
    #[arg(long, value_name = "N", conflicts_with = "simulate")]
    parts: Option<NonZeroUsize>,
    /// Provision N modelled parts, which need no port
    #[arg(long, value_name = "N", conflicts_with = "port")]
    simulate: Option<NonZeroUsize>,
    /// Which part the modelled ones are: nrf5340, nrf9160 or nrf54l15
    #[arg(long, requires = "simulate", default_value = "nrf5340")]
    soc: Soc,
    /// Derive everything random in the modelled parts from N alone
    #[arg(long, value_name = "N", requires = "simulate")]
    seed: Option<u64>,
    /// The implementation ID that parts must have, 64 hexadecimal digits; it is given to modelled parts
    #[arg(long, value_name = "HEX", required_unless_present = "simulate")]
    implementation_id: Option<ImplementationId>,
    /// Accept a part with the test-only key, which everybody knows
    #[arg(long)]
    allow_dummy: bool,
    /// Refuse a part whose image did not ask for a nonce
    #[arg(long)]
    require_nonce: bool,
    /// Accept modelled silicon, in QEMU for example, whose keys are not secret
    #[arg(long, conflicts_with = "simulate")]
    allow_modelled: bool,
    /// Give a port up after this many runs in a row that have entered nothing [default: never]
    #[arg(long, value_name = "RUNS", conflicts_with = "simulate")]
    give_up_after: Option<NonZeroUsize>,
    /// Ask for the serial number of each part, before its run or after it: a scanner is a keyboard
    #[arg(
        long,
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "before",
        conflicts_with = "simulate"
    )]
    scan: Option<When>,
    /// Keep this name of the batch with each part
    #[arg(long, value_name = "NAME", value_parser = name)]
    batch: Option<String>,
    #[command(flatten)]
    author: AuthorOptions,
    /// After how long an idle port is mentioned
    #[arg(long, value_name = "SECONDS", value_parser = seconds(), default_value_t = Timeouts::default().start.as_secs())]
    start_timeout: u64,
    /// How long a part may be silent in its run
    #[arg(long, value_name = "SECONDS", value_parser = seconds(), default_value_t = Timeouts::default().line.as_secs())]
    line_timeout: u64,
    /// How long a part's run may take
    #[arg(long, value_name = "SECONDS", value_parser = seconds(), default_value_t = Timeouts::default().run.as_secs())]
    run_timeout: u64,
}

/// When a serial number is asked for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum When {
    /// Before the run
    Before,
    /// After the run
    After,
}

/// A time-out ends within a day.
fn seconds() -> RangedU64ValueParser {
    value_parser!(u64).range(1..=86_400)
}

/// The implementation ID that is the default in Kconfig.
const EXAMPLE_ID: &str = "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD";

/// Carries the command out.
pub fn run(options: &Provision, place: &Place, json: bool) -> Result<bool, Error> {
    let id = match options.implementation_id {
        Some(id) => id,
        None => EXAMPLE_ID.parse()?, // of modelled parts only
    };
    let ports: Vec<Port> = if options.simulate.is_some() {
        let seed = options.seed.map_or(Seed::System, Seed::Number);
        (1..=thread::available_parallelism()?.get())
            .map(|n| Port {
                name: format!("simulated-{n}"),
                parts: Parts::Simulated(options.soc, seed, id),
            })
            .collect()
    } else {
        let open = |name: &String| {
            let first = Some(SerialPort::open(name, options.baud)?);
            let port = Reconnecting { name: name.clone(), baud: options.baud, first };
            Ok::<_, port::OpenError>(Port {
                name: name.clone(),
                parts: Parts::Connected(Box::new(port)),
            })
        };
        options.port.iter().map(open).collect::<Result<_, _>>()?
    };
    let wanted = options.simulate.or(options.parts).map(NonZeroUsize::get);
    let batch = Batch {
        parts: wanted,
        wanted: Wanted {
            implementation_id: Some(id),
            nonce: None,
            allow_dummy: options.allow_dummy,
        },
        image: None,
        require_nonce: options.require_nonce,
        // --simulate asks for modelled parts.
        allow_modelled: options.allow_modelled || options.simulate.is_some(),
        give_up_after: options.give_up_after.map(NonZeroUsize::get),
        timeouts: Timeouts {
            start: Duration::from_secs(options.start_timeout),
            line: Duration::from_secs(options.line_timeout),
            run: Duration::from_secs(options.run_timeout),
        },
        name: options.batch.clone(),
        scan: match options.scan {
            None => Scan::No,
            Some(When::Before) => Scan::Before,
            Some(When::After) => Scan::After,
        },
        clock: Arc::new(SystemClock),
    };

    let mut ledger = place.open_or_create()?;
    ledger.set_author(options.author.author());
    ledger.set_clock(Arc::new(SystemClock), options.author.accept_clock);
    ledger.check_clock()?;
    let names: Vec<String> = ports.iter().map(|port| port.name.clone()).collect();
    if options.simulate.is_none() {
        let until = if wanted.is_some() { "" } else { " Ctrl-C ends the batch." };
        eprintln!("Waiting for parts on {}. Start them now.{until}", names.join(", "));
    }
    let screen = Screen::new(json);
    let control = Arc::new(Control::default());
    end_on_signals(&control, &screen)?;
    let answers = options.scan.is_some().then(typed_lines);
    let mut report = Report::new(names, wanted, json, screen);
    let result = batch::run(&batch, ports, &mut ledger, &control, answers.as_ref(), |notice| {
        report.show(&notice)
    });
    let all_good = report.end(wanted, ledger.entries()?, &ledger.head()?);
    result?;
    Ok(all_good?)
}

/// A port that is opened again after it was lost.
struct Reconnecting {
    name: String,
    baud: u32,
    /// The port as it was opened when the station started.
    first: Option<SerialPort>,
}

impl Connect for Reconnecting {
    fn connect(&mut self) -> io::Result<Box<dyn Source + Send>> {
        match self.first.take() {
            Some(port) => Ok(Box::new(port)),
            None => SerialPort::open(&self.name, self.baud)
                .map(|port| Box::new(port) as Box<dyn Source + Send>)
                .map_err(io::Error::other),
        }
    }
}

/// Ctrl-C, and what else ends a program: the first finishes what runs, the second does not.
fn end_on_signals(control: &Arc<Control>, screen: &Screen) -> Result<(), Error> {
    /// How long the second one leaves for what is still to be kept.
    const REST: Duration = Duration::from_secs(1);
    let (control, screen) = (Arc::clone(control), screen.clone());
    let signals = AtomicUsize::new(0);
    ctrlc::set_handler(move || {
        if signals.fetch_add(1, Ordering::Relaxed) == 0 {
            control.end();
            screen.note(&"Ending: what runs is finished first. Once more stops it at once.");
        } else {
            control.stop();
            thread::sleep(REST);
            process::exit(1);
        }
    })?;
    Ok(())
}

/// The lines that come on standard input.
fn typed_lines() -> Answers {
    let (send, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    Answers::new(lines)
}
