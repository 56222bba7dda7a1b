// SPDX-License-Identifier: Apache-2.0

//! `provision`: parts on the line, into the ledger.

use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::value_parser;
use provisioning::ImplementationId;
use silicon::Soc;
use station::batch::{self, Batch, Parts, Port};
use station::port::{self, SerialPort, Timeouts};
use station::record::Wanted;
use station::simulated::Seed;

use super::{Error, Place};
use crate::report::Report;

/// Follow parts while they are provisioned, check their records and enter them in the ledger
#[derive(clap::Args)]
pub struct Provision {
    /// The port of a part's console, such as /dev/ttyACM0; may be given several times
    #[arg(long, value_name = "PORT", required_unless_present = "simulate")]
    port: Vec<String>,
    /// The speed of the ports
    #[arg(long, default_value_t = port::DEFAULT_BAUD)]
    baud: u32,
    /// Go on until N parts are entered, on all ports together [default: one for each port]
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
    /// Give a port up after this many runs in a row that were not entered
    #[arg(long, value_name = "RUNS", default_value = "10", conflicts_with = "simulate")]
    give_up_after: NonZeroUsize,
    /// How long to wait for the first line of a part
    #[arg(long, value_name = "SECONDS", value_parser = seconds(), default_value_t = Timeouts::default().start.as_secs())]
    start_timeout: u64,
    /// How long a part may be silent in its run
    #[arg(long, value_name = "SECONDS", value_parser = seconds(), default_value_t = Timeouts::default().line.as_secs())]
    line_timeout: u64,
    /// How long a part's run may take
    #[arg(long, value_name = "SECONDS", value_parser = seconds(), default_value_t = Timeouts::default().run.as_secs())]
    run_timeout: u64,
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
            let parts = Parts::Serial(SerialPort::open(name, options.baud)?);
            Ok::<_, port::OpenError>(Port { name: name.clone(), parts })
        };
        options.port.iter().map(open).collect::<Result<_, _>>()?
    };
    let wanted = options.simulate.or(options.parts).map_or(ports.len(), NonZeroUsize::get);
    let batch = Batch {
        parts: wanted,
        wanted: Wanted {
            implementation_id: Some(id),
            nonce: None,
            allow_dummy: options.allow_dummy,
        },
        require_nonce: options.require_nonce,
        // --simulate asks for modelled parts.
        allow_modelled: options.allow_modelled || options.simulate.is_some(),
        give_up_after: options.give_up_after.get(),
        timeouts: Timeouts {
            start: Duration::from_secs(options.start_timeout),
            line: Duration::from_secs(options.line_timeout),
            run: Duration::from_secs(options.run_timeout),
        },
    };

    let mut ledger = place.open_or_create()?;
    let names: Vec<String> = ports.iter().map(|port| port.name.clone()).collect();
    if options.simulate.is_none() {
        eprintln!("Waiting for parts on {}. Start them now.", names.join(", "));
    }
    let mut report = Report::new(names, wanted, json);
    let result = batch::run(&batch, ports, &mut ledger, |event| report.show(&event));
    let all_entered = report.end(wanted, &ledger.head()?);
    result?;
    Ok(all_entered?)
}
