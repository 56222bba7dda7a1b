// SPDX-License-Identifier: Apache-2.0

//! Where a console's bytes come from, and how long the station waits for them.

use std::fmt;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use crate::console::{AGAIN, ConsoleError, Follower, Outcome, Step};

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
    /// The end: nothing can come any more.
    End,
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

/// A console that was recorded, or that another program reads.
///
/// A read waits as long as the reader does. What is sent to the part goes nowhere: in a recorded console
/// the part has its nonce already.
#[derive(Debug)]
pub struct Log<R>(pub R);

impl<R: Read> Source for Log<R> {
    fn read(&mut self, buffer: &mut [u8], _: Duration) -> io::Result<Arrival> {
        match self.0.read(buffer) {
            Ok(0) => Ok(Arrival::End),
            Ok(count) => Ok(Arrival::Bytes(count)),
            Err(error) => interrupted(error),
        }
    }

    fn write_all(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// A signal ends a read early, which is no loss.
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
/// `now` is the clock, [`Instant::now`] but for tests. Where `stop` says so, it ends within 100 ms. `nonce` is asked
/// where the part asks for one, and gives what is sent: the record must contain it. `on_step` gets each
/// step as it happens. Nothing is read after the end of the run.
///
/// # Errors
/// The console shows no run of one part, is lost, or shows nothing for too long; or `stop` said so.
pub fn follow(
    source: &mut (impl Source + ?Sized),
    timeouts: &Timeouts,
    now: impl Fn() -> Instant,
    stop: impl Fn() -> bool,
    mut nonce: impl FnMut() -> [u8; 32],
    mut on_step: impl FnMut(&Step),
) -> Result<Outcome, FollowError> {
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
                while let Some(step) = follower.push(&mut bytes)? {
                    on_step(&step);
                    match step {
                        Step::Finished => return Ok(follower.end()?),
                        Step::NonceWanted => {
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
            Arrival::End => return Ok(follower.end()?),
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
#[derive(Debug)]
pub struct OpenError {
    name: String,
    error: serialport::Error,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use serialport::ErrorKind::{Io, NoDevice};
        let Self { name, error } = self;
        match error.kind() {
            Io(io::ErrorKind::NotFound) => {
                write!(f, "there is no port {name}. Check the cable and the name of the port.")
            }
            Io(io::ErrorKind::PermissionDenied) => write!(
                f,
                "this account may not use the port {name}. Add it to the group that owns the port, on \
                 many systems dialout, and log in again."
            ),
            // Windows says so of a port that is not there, too.
            NoDevice => write!(
                f,
                "another program is using the port {name}, or it is not there. Close the other program, \
                 and check the cable and the name of the port."
            ),
            _ => write!(
                f,
                "{name} cannot be used as a serial port ({error}). Check the name of the port and --baud."
            ),
        }
    }
}

impl std::error::Error for OpenError {}

/// A part that was silent for longer than this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeOut {
    /// [`Timeouts::start`] has passed.
    Start(Duration),
    /// [`Timeouts::line`] has passed.
    Line(Duration),
    /// [`Timeouts::run`] has passed.
    Run(Duration),
}

impl fmt::Display for TimeOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(time) => write!(
                f,
                "no line of the provisioning image came within {time:?}. Nothing was entered in the \
                 ledger: check the cable, the port and --baud, start the part again, or wait longer with \
                 --start-timeout."
            ),
            Self::Line(time) => write!(
                f,
                "the part stopped in mid-run, no line came for {time:?}. Nothing was entered in the \
                 ledger: start the part again, it will print its record again, or wait longer with \
                 --line-timeout."
            ),
            Self::Run(time) => write!(
                f,
                "the run was not over after {time:?}. Nothing was entered in the ledger: start the part \
                 again, it will print its record again, or wait longer with --run-timeout."
            ),
        }
    }
}

impl std::error::Error for TimeOut {}

/// Why a run was not followed to its end.
#[derive(Debug)]
pub enum FollowError {
    /// What the console shows is no run of one part.
    Console(ConsoleError),
    /// The part took too long.
    TimeOut(TimeOut),
    /// The console is gone.
    Lost(io::Error),
    /// The nonce did not reach the part.
    NotSent(io::Error),
    /// The operator has stopped the station.
    Stopped,
}

impl From<ConsoleError> for FollowError {
    fn from(error: ConsoleError) -> Self {
        Self::Console(error)
    }
}

impl From<TimeOut> for FollowError {
    fn from(error: TimeOut) -> Self {
        Self::TimeOut(error)
    }
}

impl fmt::Display for FollowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Console(error) => error.fmt(f),
            Self::TimeOut(error) => error.fmt(f),
            Self::Lost(error) => {
                write!(f, "the console is gone ({error}). Nothing was entered in the ledger: {AGAIN}")
            }
            Self::NotSent(error) => write!(
                f,
                "the nonce could not be sent ({error}). Nothing was entered in the ledger: {AGAIN}"
            ),
            Self::Stopped => f.write_str(
                "the station was stopped before the run was over. Nothing was entered in the ledger: \
                 start the part again, it will print its record again.",
            ),
        }
    }
}

impl std::error::Error for FollowError {}
