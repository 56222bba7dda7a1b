// SPDX-License-Identifier: Apache-2.0

//! `verify`: a recorded console, without the ledger.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use provisioning::ImplementationId;
use station::console::{Observed, RunEnd};
use station::part::{PartError, check};
use station::port::{Log, Timeouts, follow};
use station::record::{self, Wanted};

use super::Error;
use crate::json;

/// Check a console log on standard input, without the ledger
#[derive(clap::Args)]
pub struct Verify {
    /// The implementation ID that the part must have, 64 hexadecimal digits [default: any]
    #[arg(long, value_name = "HEX")]
    implementation_id: Option<ImplementationId>,
    /// Accept a part with the test-only key, which everybody knows
    #[arg(long)]
    allow_dummy: bool,
    /// Accept modelled silicon, in cargo sim for example, whose keys are not secret
    #[arg(long)]
    allow_modelled: bool,
}

/// A log is read as fast as it comes.
const NO_TIMEOUTS: Timeouts =
    Timeouts { start: Duration::MAX, line: Duration::MAX, run: Duration::MAX };

/// Carries the command out.
pub fn run(options: &Verify, json: bool) -> Result<bool, Error> {
    let Verify { implementation_id, allow_dummy, allow_modelled } = *options;
    let wanted = &Wanted { implementation_id, nonce: None, allow_dummy };
    if io::stdin().is_terminal() {
        eprintln!("Paste the console of a part, and end it with Ctrl+D.");
    }
    let mut modelled = false;
    let end = follow(
        &mut Log(io::stdin().lock()),
        &NO_TIMEOUTS,
        Instant::now,
        || false,
        || [0; 32], // goes nowhere
        |step| modelled |= *step == Observed::Modelled,
    );
    let checked = end.map_err(PartError::Follow).and_then(|end| match end {
        RunEnd::Failed { line, code } => Err(PartError::Failed { line, code }),
        _ if modelled && !allow_modelled => Err(PartError::Modelled),
        RunEnd::Provisioned { record, .. } => check(&record, None, wanted),
        RunEnd::AlreadyProvisioned { record, ueid } => check(&record, Some(ueid), wanted),
    });
    let mut out = io::stdout().lock();
    match (&checked, json) {
        (Ok((record::VerifiedRecord { identity, software, .. }, _)), false) => {
            writeln!(out, "good: UEID {}", identity.ueid())?;
            writeln!(out, "      device ID {}", identity.device_id)?;
            writeln!(out, "      implementation ID {}", identity.implementation_id)?;
            writeln!(out, "      image {}, SHA-256 {}", software.version, software.measurement)?;
        }
        (Ok((record, _)), true) => writeln!(out, "{}", json::good(record))?,
        (Err(error), false) => writeln!(out, "NOT GOOD: {}", error.in_log())?,
        (Err(error), true) => writeln!(out, "{}", json::bad(error))?,
    }
    Ok(checked.is_ok())
}
