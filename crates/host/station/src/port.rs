// SPDX-License-Identifier: Apache-2.0

//! Where a console's bytes come from, and how long the station waits for them.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::console::{ConsoleError, Follower, Observed, RunEnd};

/// The speed of the kits' consoles, in baud.
pub const DEFAULT_BAUD: u32 = 115_200;

/// The longest that one call of a port waits, so that a stop is noticed.
const READ_TIME: Duration = Duration::from_millis(100);

/// What one read has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// So many bytes.
    Bytes(usize),
    /// Nothing within the time.
    Nothing,
}

/// A console.
pub trait Source {
    /// Waits at most `timeout` for bytes, and puts what has come into `buffer`, which is not empty.
    ///
    /// # Errors
    /// The console is lost.
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<Arrival>;

    /// Sends `bytes` to the part.
    ///
    /// # Errors
    /// They were not sent, or not all of them.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// The console of a part on a serial port: 8 data bits, no parity, 1 stop bit, no flow control.
#[derive(Debug)]
pub struct SerialPort(Box<dyn serialport::SerialPort>);

impl SerialPort {
    /// Opens the port of that name, which no other program can open then. `baud` is its speed.
    ///
    /// # Errors
    /// There is no such port, another program has it, or it cannot be set up.
    pub fn open(name: &str, baud: u32) -> Result<Self, OpenError> {
        // Exclusive, 8N1 and without flow control are the crate's defaults.
        serialport::new(name, baud)
            .timeout(READ_TIME)
            .open()
            .map(Self)
            .map_err(|error| OpenError { name: name.to_owned(), error })
    }
}

impl Source for SerialPort {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<Arrival> {
        self.0.set_timeout(timeout)?;
        match self.0.read(buffer) {
            // A port has no end of its own: the adapter was unplugged.
            Ok(0) => Err(io::ErrorKind::BrokenPipe.into()),
            Ok(count) => Ok(Arrival::Bytes(count)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(Arrival::Nothing),
            Err(error) => interrupted(error),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        // The last read may have been given less.
        self.0.set_timeout(READ_TIME)?;
        self.0.write_all(bytes)
    }
}

/// A signal ends a read early, which does no harm.
fn interrupted(error: io::Error) -> io::Result<Arrival> {
    if error.kind() == io::ErrorKind::Interrupted { Ok(Arrival::Nothing) } else { Err(error) }
}

/// How long a part may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the first line of the run.
    pub start: Duration,
    /// From one line of the run to the next.
    pub line: Duration,
    /// From the first line of the run to its end.
    pub run: Duration,
}

impl Default for Timeouts {
    /// A minute to start the part by hand, and 20 seconds for the longest step, the arithmetic of P-256.
    fn default() -> Self {
        Self {
            start: Duration::from_secs(60),
            line: Duration::from_secs(20),
            run: Duration::from_secs(120),
        }
    }
}

impl Timeouts {
    /// How long is left at `now`. A run has `begun` at its first line, and `last` is when a line came last,
    /// or when the station began to wait.
    fn left(
        &self,
        now: Instant,
        begun: Option<Instant>,
        last: Instant,
    ) -> Result<Duration, TimeOut> {
        let left = |limit: Duration, since: Instant| {
            limit.checked_sub(now.duration_since(since)).filter(|left| !left.is_zero())
        };
        let Some(begun) = begun else {
            return left(self.start, last).ok_or(TimeOut::Start(self.start));
        };
        let line = left(self.line, last).ok_or(TimeOut::Line(self.line))?;
        let run = left(self.run, begun).ok_or(TimeOut::Run(self.run))?;
        Ok(line.min(run))
    }
}

/// Follows one run on `source` to its end.
///
/// `now` is the clock: [`Instant::now`], or that of a test. It ends within 100 ms after `stop` is true. Where the
/// part asks for a nonce, the one that `nonce` gives is sent: the record must contain it. `on_observed` gets
/// what the console shows, as it comes. Nothing is read after the end of the run.
///
/// # Errors
/// The console does not show one run of one part, is lost, or shows nothing for too long; or `stop` was true.
pub fn follow(
    source: &mut (impl Source + ?Sized),
    timeouts: &Timeouts,
    now: impl Fn() -> Instant,
    stop: impl Fn() -> bool,
    mut nonce: impl FnMut() -> [u8; 32],
    mut on_observed: impl FnMut(&Observed),
) -> Result<RunEnd, FollowError> {
    let mut follower = Follower::new();
    let mut buffer = [0; 1024];
    let mut begun = None;
    let mut last = now();
    let mut left = timeouts.left(last, begun, last)?;
    loop {
        if stop() {
            return Err(FollowError::Stopped);
        }
        match source.read(&mut buffer, left.min(READ_TIME)).map_err(FollowError::Lost)? {
            Arrival::Bytes(count) => {
                let mut bytes = &buffer[..count.min(buffer.len())];
                while let Some(observed) = follower.push(&mut bytes)? {
                    on_observed(&observed);
                    match observed {
                        Observed::Finished => return Ok(follower.end()?),
                        Observed::NonceWanted => {
                            source.write_all(&line(nonce())).map_err(FollowError::NotSent)?;
                        }
                        _ => {}
                    }
                    if follower.has_started() {
                        last = now();
                        begun = begun.or(Some(last));
                    }
                }
            }
            Arrival::Nothing => {}
        }
        // After the read: what has come by now counts, however late the station gets to read it.
        left = timeouts.left(now(), begun, last)?;
    }
}

/// A nonce as the part reads it.
fn line(nonce: [u8; 32]) -> Vec<u8> {
    (base16ct::lower::encode_string(&nonce) + "\r\n").into_bytes()
}

/// Why a port cannot be opened.
#[derive(Debug, Error)]
#[error("{}", explain(name, error))]
pub struct OpenError {
    name: String,
    #[source]
    error: serialport::Error,
}

fn explain(name: &str, error: &serialport::Error) -> String {
    use serialport::ErrorKind::{Io, NoDevice};
    match error.kind() {
        Io(io::ErrorKind::NotFound) => {
            format!("there is no port {name}. Check the cable and the name of the port.")
        }
        Io(io::ErrorKind::PermissionDenied) => format!(
            "this account may not use the port {name}. Add it to the group that owns the port, on many systems \
             dialout, and log in again."
        ),
        // Windows says so of a port that is not there, too.
        NoDevice => format!(
            "another program is using the port {name}, or it is not there. Close the other program, and check \
             the cable and the name of the port."
        ),
        _ => format!(
            "{name} cannot be used as a serial port ({error}). Check the name of the port and --baud."
        ),
    }
}

/// A part that was silent for longer than this. What to do about it is in [`crate::advice`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TimeOut {
    /// [`Timeouts::start`] has passed.
    #[error("no line of the provisioning image came within {0:?}")]
    Start(Duration),
    /// [`Timeouts::line`] has passed.
    #[error("the part stopped in mid-run, no line came for {0:?}")]
    Line(Duration),
    /// [`Timeouts::run`] has passed.
    #[error("the run was not over after {0:?}")]
    Run(Duration),
}

/// Why a run was not followed to its end. What to do about it is in [`crate::advice`].
#[derive(Debug, Error)]
pub enum FollowError {
    /// What the console shows is not one run of one part.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// The part took too long.
    #[error(transparent)]
    TimeOut(#[from] TimeOut),
    /// The console is gone.
    #[error("the console is gone ({0})")]
    Lost(#[source] io::Error),
    /// The nonce did not reach the part.
    #[error("the nonce could not be sent ({0})")]
    NotSent(#[source] io::Error),
    /// The operator has stopped the station.
    #[error("the station was stopped before the run was over")]
    Stopped,
}
