// SPDX-License-Identifier: Apache-2.0

//! Which runs of the ledger a command is about.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use station::ledger::{Audit, Found, Ledger, Run, Runs};

use super::{Error, is_identity};

/// Which runs.
#[derive(clap::Args)]
pub struct Selection {
    /// Runs that began at this time or later: a day such as 2026-11-27, or a time such as 2026-11-27T06:00Z (UTC)
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Runs that began until this time, that day's end where it is a day
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<Timestamp>,
    /// Runs on this port
    #[arg(long, value_name = "PORT")]
    port: Option<String>,
    /// Runs of this batch
    #[arg(long, value_name = "NAME")]
    batch: Option<String>,
    /// Runs of this station
    #[arg(long, value_name = "NAME")]
    station_name: Option<String>,
    /// Runs of this operator
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    /// Runs of this part, by its serial number, device ID (16 hexadecimal digits) or UEID (66)
    #[arg(long, value_name = "PART")]
    part: Option<String>,
}

fn since(text: &str) -> Result<Timestamp, String> {
    time(text, SignedDuration::ZERO)
}

fn until(text: &str) -> Result<Timestamp, String> {
    // To the last millisecond of the day.
    time(text, SignedDuration::from_hours(24) - SignedDuration::from_millis(1))
}

fn time(text: &str, in_day: SignedDuration) -> Result<Timestamp, String> {
    text.parse()
        .or_else(|_| {
            let day: Date = text.parse()?;
            TimeZone::UTC.to_timestamp(day.to_datetime(Time::midnight()))?.checked_add(in_day)
        })
        .map_err(|_| String::from("a time is 2026-11-27 or 2026-11-27T06:00Z"))
}

impl Selection {
    /// Gives each run that is selected to `each`, those that have ended in the order in which they did, and verifies
    /// the whole ledger. `every` gets every link. What was given is known to be good when the audit is.
    pub fn walk(
        &self,
        ledger: &Ledger,
        mut every: impl FnMut(&Found<'_>) -> Result<(), Error>,
        mut each: impl FnMut(&Run) -> Result<(), Error>,
    ) -> Result<Audit, Error> {
        let mut runs = Runs::new(ledger.not_done()?);
        let audit = ledger.walk::<Error>(
            None,
            |_| Ok(()),
            |found| {
                every(&found)?;
                match found.link.and_then(|link| runs.take(link)) {
                    Some(run) if self.contains(&run) => each(&run),
                    _ => Ok(()),
                }
            },
        )?;
        for run in runs.unfinished().filter(|run| self.contains(run)) {
            each(&run)?;
        }
        Ok(audit)
    }

    /// Whether a run is one of them.
    pub fn contains(&self, run: &Run) -> bool {
        fn is(wanted: Option<&String>, value: Option<&str>) -> bool {
            wanted.is_none_or(|wanted| value == Some(wanted))
        }
        let (attempt, author) = (run.attempt(), &run.begun.author);
        self.since.is_none_or(|since| run.begun.time >= since)
            && self.until.is_none_or(|until| run.begun.time <= until)
            && is(self.port.as_ref(), Some(&attempt.port))
            && is(self.batch.as_ref(), attempt.batch.as_deref())
            && is(self.station_name.as_ref(), author.station.as_deref())
            && is(self.operator.as_ref(), author.operator.as_deref())
            && self.part.as_ref().is_none_or(|part| is_of(run, part))
    }
}

fn is_of(run: &Run, part: &str) -> bool {
    run.serial_number() == Some(part)
        || run.outcome().is_some_and(|outcome| {
            outcome.part().is_some_and(|(device_id, ueid)| is_identity(part, device_id, ueid))
        })
}
