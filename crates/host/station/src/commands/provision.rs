// SPDX-License-Identifier: Apache-2.0

//! `provision`: parts on the line, into the ledger.

use std::io::{self, BufRead};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use std::{process, thread};

use clap::builder::RangedU64ValueParser;
use clap::{ValueEnum, value_parser};
use provisioning::ImplementationId;
use silicon::Soc;
use station::batch::uplink::Uplink;
use station::batch::{
    self, Answers, Batch, BatchError, Connect, Control, Parts, Port, Scan, Steps,
};
use station::clock::SystemClock;
use station::image;
use station::page::Copies;
use station::page::line::About;
use station::port::names::{PortName, resolve};
use station::port::{self, SerialPort, Source, Timeouts};
use station::record::Wanted;
use station::simulated::Seed;
use station::station_file::{self, StationFile};
use station::steps::{self, CommandError, Moment, Step};

use super::author::{AuthorOptions, name};
use super::hub_options::HubOptions;
use super::page::PageOptions;
use super::{Error, Place, check_record, say};
use crate::echo::Silence;
use crate::report::{Report, Screen};

/// Follow parts while they are provisioned, check their records and enter them in the ledger
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub struct Provision {
    /// The port of a part's console, such as /dev/ttyACM0, or a pattern for several; may be given several times
    ///
    /// Best a name that stays the same when the port is plugged in again: station ports lists them.
    #[arg(long, value_name = "PORT")]
    port: Vec<String>,
    /// The speed of the ports [default: 115200]
    #[arg(long)]
    baud: Option<u32>,
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
    #[arg(long, value_name = "HEX")]
    implementation_id: Option<ImplementationId>,
    /// The image that parts must have, zephyr.bin or zephyr.hex: a record of another one is refused
    #[arg(long, value_name = "FILE", conflicts_with = "simulate")]
    image: Option<PathBuf>,
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
    /// Run this command before each part, when a line on standard input has begun it: to program it, for example
    ///
    /// A variable in braces, such as {port} or {programmer}, is replaced, and no shell is between. They are in
    /// the environment, too, and the part is on standard input as JSON. If the command does not end with exit code 0,
    /// the run is not begun.
    #[arg(long, value_name = "COMMAND", value_parser = step, conflicts_with = "simulate")]
    before: Option<Step>,
    /// Run this command after each part that was entered
    #[arg(long, value_name = "COMMAND", value_parser = step, conflicts_with = "simulate")]
    on_pass: Option<Step>,
    /// Run this command after each part that was not entered, one that is known already among them
    #[arg(long, value_name = "COMMAND", value_parser = step, conflicts_with = "simulate")]
    on_fail: Option<Step>,
    /// Keep this name of the batch with each part
    #[arg(long, value_name = "NAME", value_parser = name)]
    batch: Option<String>,
    #[command(flatten)]
    author: AuthorOptions,
    /// After how long an idle port is mentioned; after a step before it, how long a part may take to begin [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds())]
    start_timeout: Option<u64>,
    /// How long a part may be silent in its run [default: 20]
    #[arg(long, value_name = "SECONDS", value_parser = seconds())]
    line_timeout: Option<u64>,
    /// How long a part's run may take [default: 120]
    #[arg(long, value_name = "SECONDS", value_parser = seconds())]
    run_timeout: Option<u64>,
    #[command(flatten)]
    page: PageOptions,
    /// Enter nothing while the hub cannot be asked whether another station has the part
    ///
    /// Without it, parts are entered all the same, and sent to the hub when it is back.
    #[arg(long)]
    require_hub: bool,
    #[command(flatten)]
    hub: HubOptions,
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

fn step(line: &str) -> Result<Step, CommandError> {
    Step::parse(line)
}

/// The implementation ID that is the default in Kconfig.
const EXAMPLE_ID: &str = "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD";

/// Carries the command out.
pub fn run(options: &Provision, place: &Place, json: bool) -> Result<bool, Error> {
    let file = &place.file;
    let told = steps::Part {
        station: options.author.author(file).station,
        operator: options.author.author(file).operator,
        batch: options.batch.clone().or_else(|| file.batch.clone()),
        ..steps::Part::default()
    };
    let batch = batch(options, file, told.batch.clone())?;
    let ports = match options.simulate {
        Some(_) => modelled(options, batch.wanted.implementation_id.as_ref(), &told)?,
        None => connected(options, file, &batch, &told)?,
    };

    let mut ledger = options.author.open(place)?;
    ledger.check_clock()?;
    let uplink = uplink(options, place)?;
    let names: Vec<String> = ports.iter().map(|port| port.name.clone()).collect();
    if options.simulate.is_none() {
        let until = if batch.parts.is_some() { "" } else { " Ctrl-C ends the batch." };
        let asks_first = batch.scan == Scan::Before || batch.steps.before.is_some();
        let start = if asks_first { "" } else { " Start them now." };
        say(format_args!("Waiting for parts on {}.{start}{until}", names.join(", ")));
    }
    let about = About {
        station: told.station.clone(),
        batch: told.batch.clone(),
        operator: told.operator.clone(),
        parts: batch.parts,
    };
    let copies = Copies {
        hub: options.hub.config_if_any(place)?.map(|hub| hub.to_string()),
        checkpoint: options.author.checkpoint(file),
    };
    let page = options.page.of_batch(place, &names, about, copies)?;
    let screen = Screen::new(json);
    let control = Arc::new(Control::default());
    end_on_signals(&control, &screen)?;
    let asks = batch.scan != Scan::No || batch.steps.before.is_some();
    let answers = asks.then(typed_lines);
    let _silence = screen.has_rows().then(Silence::begin).flatten();
    let mut report = Report::new(names, options.simulate.is_some(), batch.parts, json, screen);
    let answers = answers.as_ref();
    let result =
        batch::run_with_hub(&batch, ports, &mut ledger, &control, answers, uplink, |notice| {
            report.show(&notice);
            if let Some(page) = &page {
                page.notice(&notice);
            }
        });
    drop(page);
    let all_good = report.end(batch.parts, ledger.entries()?, &ledger.head()?);
    result.map_err(|error| -> Error {
        match error {
            BatchError::Ledger(error) => error.into(),
            BatchError::Hub(error) => error.into(),
            error @ BatchError::NoHub(_) => error.into(),
        }
    })?;
    ledger.finish()?;
    Ok(all_good?)
}

/// The hub of the batch, if there is one, after a first look.
fn uplink(options: &Provision, place: &Place) -> Result<Option<Uplink>, Error> {
    let is_required = options.require_hub || place.file.hub.required == Some(true);
    let Some(config) = options.hub.config_if_any(place)? else {
        let missing = "which hub is required? Give --hub URL, or url = \"URL\" below [hub] in the station file";
        return if is_required { Err(missing.into()) } else { Ok(None) };
    };
    // Whoever has entered a part with the test-only key has said so then.
    let check_record = Box::new(|entry: &_| check_record(entry, true));
    let ledger = options.author.open_beside(place)?;
    match Uplink::new(&config, ledger, is_required, check_record) {
        Ok(uplink) => Ok(Some(uplink)),
        Err(error) if error.is_transient() => Err(BatchError::NoHub(error.to_string()).into()),
        Err(error) => Err(error.into()),
    }
}

/// What is to be done, as the command line says it, and else the station file.
fn batch(options: &Provision, file: &StationFile, name: Option<String>) -> Result<Batch, Error> {
    let id = match options.implementation_id.or(file.implementation_id) {
        Some(id) => id,
        None if options.simulate.is_some() => EXAMPLE_ID.parse()?,
        None => {
            return Err(
                "which implementation ID must the parts have? Give --implementation-id, or a \
                        --station-file that has it"
                    .into(),
            );
        }
    };
    let image = match options.image.as_ref().or(file.image.as_ref()) {
        Some(image) if options.simulate.is_none() => Some(image::measurement(image)?),
        _ => None,
    };
    let seconds = |given: Option<u64>, in_file: Option<Duration>, default| {
        given.map(Duration::from_secs).or(in_file).unwrap_or(default)
    };
    let default = Timeouts::default();
    let step = |given: &Option<Step>, in_file: &Option<Step>| match options.simulate {
        Some(_) => None,
        None => given.clone().or_else(|| in_file.clone()),
    };
    Ok(Batch {
        parts: options.simulate.or(options.parts).map(NonZeroUsize::get),
        wanted: Wanted {
            implementation_id: Some(id),
            nonce: None,
            allow_dummy: options.allow_dummy,
        },
        image,
        require_nonce: options.require_nonce || file.require_nonce == Some(true),
        // --simulate asks for modelled parts.
        allow_modelled: options.allow_modelled || options.simulate.is_some(),
        give_up_after: options.give_up_after.map(NonZeroUsize::get),
        timeouts: Timeouts {
            start: seconds(options.start_timeout, file.timeouts.start, default.start),
            line: seconds(options.line_timeout, file.timeouts.line, default.line),
            run: seconds(options.run_timeout, file.timeouts.run, default.run),
        },
        name,
        scan: match options.scan {
            None => Scan::No,
            Some(When::Before) => Scan::Before,
            Some(When::After) => Scan::After,
        },
        steps: Steps {
            before: step(&options.before, &file.before),
            on_pass: step(&options.on_pass, &file.on_pass),
            on_fail: step(&options.on_fail, &file.on_fail),
        },
        clock: Arc::new(SystemClock),
    })
}

/// Ports of modelled parts for each core: while some wait for the disk, others make parts.
const PORTS_PER_CORE: usize = 10;

/// Ports of modelled parts.
fn modelled(
    options: &Provision,
    id: Option<&ImplementationId>,
    told: &steps::Part,
) -> Result<Vec<Port>, Error> {
    let seed = options.seed.map_or(Seed::System, Seed::Number);
    let id = id.ok_or("modelled parts have an implementation ID")?;
    let port = |n| Port {
        name: format!("simulated-{n}"),
        parts: Parts::Simulated(options.soc, seed, *id),
        told: told.clone(),
    };
    let ports = PORTS_PER_CORE * thread::available_parallelism()?.get();
    Ok((1..=ports).map(port).collect())
}

/// The ports of the line, open.
fn connected(
    options: &Provision,
    file: &StationFile,
    batch: &Batch,
    told: &steps::Part,
) -> Result<Vec<Port>, Error> {
    let baud = options.baud.or(file.baud).unwrap_or(port::DEFAULT_BAUD);
    // Those of the command line are in the place of those of the file, whose programmers are not theirs.
    let names: Vec<(PortName, steps::Part)> = if options.port.is_empty() {
        let tell = |(name, port): (PortName, &station_file::Port)| {
            let (programmer, variables) = (port.programmer.clone(), port.variables.clone());
            (name, steps::Part { programmer, variables, ..told.clone() })
        };
        file.resolve()?.into_iter().map(tell).collect()
    } else {
        resolve(&options.port)?.into_iter().map(|name| (name, told.clone())).collect()
    };
    if names.is_empty() {
        return Err(
            "on which ports are the parts? Give --port, or a --station-file that has ports; \
                    station ports lists those of this machine"
                .into(),
        );
    }
    let open = |(name, mut told): (PortName, steps::Part)| {
        for (step, moment) in [
            (&batch.steps.before, Moment::Before),
            (&batch.steps.on_pass, Moment::OnPass),
            (&batch.steps.on_fail, Moment::OnFail),
        ] {
            if let Some(step) = step {
                step.check(moment, &told.variables)?;
            }
        }
        let first = Some(name.open(baud)?);
        told.port = Some(name.as_str().to_owned());
        let shown = name.as_str().to_owned();
        let parts = Parts::Connected(Box::new(Reconnecting { name, baud, first }));
        Ok(Port { name: shown, parts, told })
    };
    names.into_iter().map(open).collect()
}

/// A port that is opened again after it was lost.
struct Reconnecting {
    name: PortName,
    baud: u32,
    /// The port as it was opened when the station started.
    first: Option<SerialPort>,
}

impl Connect for Reconnecting {
    fn connect(&mut self) -> io::Result<Box<dyn Source + Send>> {
        match self.first.take() {
            Some(port) => Ok(Box::new(port)),
            None => self
                .name
                .open(self.baud)
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
            Silence::end();
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
