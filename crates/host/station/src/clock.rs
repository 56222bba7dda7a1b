// SPDX-License-Identifier: Apache-2.0

//! The time, that of the machine or that of a test.

use std::fmt::Debug;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

/// When this program was built, or what `SOURCE_DATE_EPOCH` said then, by whole days: no clock of a line can be
/// before it.
///
/// # Panics
/// Never: the build script writes a number.
#[must_use]
pub fn built() -> Timestamp {
    let day = env!("STATION_BUILT_DAY").parse().expect("the build script writes a number");
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * i64::min(day, 1_000_000))
}

/// What tells the time.
pub trait Clock: Debug + Send + Sync {
    /// The time of day.
    fn now(&self) -> Timestamp;
    /// A time that only goes on, for durations.
    fn instant(&self) -> Instant;
}

/// That of the machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}
