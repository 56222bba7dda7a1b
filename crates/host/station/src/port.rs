// SPDX-License-Identifier: Apache-2.0

//! Where a console's bytes come from, and how long the station waits for them.

pub mod list;
pub mod names;

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
pub struct SerialPort {
    port: Box<dyn serialport::SerialPort>,
    /// Of a port that was opened by its [`names::PortName`]. Behind the port, which has to be closed first.
    claim: Option<names::Claim>,
}

impl SerialPort {
    /// Opens the port of that name, which no other program can open then. `baud` is its speed.
    ///
    /// A port that is to be found again after it was lost is opened by its [`names::PortName`].
    ///
    /// # Errors
    /// There is no such port, another program has it, or it cannot be set up.
    pub fn open(name: &str, baud: u32) -> Result<Self, OpenError> {
        // Exclusive, 8N1 and without flow control are the crate's defaults.
        serialport::new(name, baud)
            .timeout(READ_TIME)
            .open()
            .map(|port| Self { port, claim: None })
            .map_err(|error| {
                // It may be back by now.
                let is_missing = error.kind() == serialport::ErrorKind::Io(io::ErrorKind::NotFound);
                let is_there = !is_missing && is_there(name);
                OpenError::Failed { name: name.to_owned(), is_there, error }
            })
    }
}

/// Whether the system has a port of that name now.
fn is_there(name: &str) -> bool {
    if cfg!(windows) {
        // The names of ports are not in the file system.
        let ports = serialport::available_ports().unwrap_or_default();
        ports.iter().any(|port| port.port_name.eq_ignore_ascii_case(name))
    } else {
        std::path::Path::new(name).exists()
    }
}

impl Source for SerialPort {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<Arrival> {
        self.port.set_timeout(timeout)?;
        match self.port.read(buffer) {
            // A port has no end of its own: the adapter was unplugged.
            Ok(0) => Err(io::ErrorKind::BrokenPipe.into()),
            Ok(count) => Ok(Arrival::Bytes(count)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(Arrival::Nothing),
            Err(error) => interrupted(error),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        // The last read may have been given less.
        self.port.set_timeout(READ_TIME)?;
        self.port.write_all(bytes)
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
pub enum OpenError {
    /// The system does not open it.
    #[error("{}", explain(name, *is_there, error))]
    Failed {
        /// The port.
        name: String,
        /// Whether the system had a port of that name.
        is_there: bool,
        /// What the system says.
        #[source]
        error: serialport::Error,
    },
    /// Another port of this station is the same one.
    #[error(
        "{name} is now the same port as {other}, which is in use. Connect the adapters as they were, or name them by \
         other links: station ports lists them."
    )]
    SamePort {
        /// The port.
        name: String,
        /// The one that is open.
        other: String,
    },
}

impl OpenError {
    /// Whether the port is not there now, so that it may come back. Every other error is there to stay, or lasts until
    /// somebody does something about it.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self, Self::Failed { is_there: false, .. })
    }

    /// The same error of the port by another name.
    fn of(mut self, port: String) -> Self {
        let (Self::Failed { name, .. } | Self::SamePort { name, .. }) = &mut self;
        *name = port;
        self
    }
}

fn explain(name: &str, is_there: bool, error: &serialport::Error) -> String {
    use serialport::ErrorKind::{Io, NoDevice};
    match error.kind() {
        _ if !is_there => {
            format!("there is no port {name}. Check the cable and the name of the port.")
        }
        Io(io::ErrorKind::PermissionDenied) => format!(
            "this account may not use the port {name}. Add it to the group that owns the port, on many systems \
             dialout, and log in again."
        ),
        NoDevice => format!(
            "another program is using the port {name}. Close the other program, and check the name of the port."
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
