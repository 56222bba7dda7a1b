// SPDX-License-Identifier: Apache-2.0

//! What the operator is asked for: serial numbers. A scanner is a keyboard.

use std::fmt;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// When the operator is asked for the serial number of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scan {
    /// Never.
    #[default]
    No,
    /// Before its run: a port looks at its console only then.
    Before,
    /// When its run is over. It is entered only then.
    After,
}

/// What the operator is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The serial number of the next part.
    Next,
    /// The serial number of the part whose run is over.
    Last,
    /// Whether the next part is in its place.
    Start,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Next => "scan the serial number of the next part",
            Self::Last => "scan the serial number of this part",
            Self::Start => "press Enter when the next part is in its place",
        })
    }
}

/// The lines that the operator types or scans. One port at a time has the operator's ear.
#[derive(Debug)]
pub struct Answers(Mutex<Receiver<String>>);

impl Answers {
    /// Those that come here.
    #[must_use]
    pub const fn new(lines: Receiver<String>) -> Self {
        Self(Mutex::new(lines))
    }

    /// Asks with `ask` and waits for a line that `take` takes, until `stop`, or until no more lines can come: `None`
    /// then. `take` gives the reason why it does not take one, which `refuse` gets.
    pub(super) fn answer<T>(
        &self,
        stop: impl Fn() -> bool,
        ask: impl Fn(),
        mut take: impl FnMut(&str) -> Result<T, String>,
        refuse: impl Fn(String),
    ) -> Option<T> {
        const WAIT: Duration = Duration::from_millis(50);
        let lines = loop {
            if stop() {
                return None;
            }
            match self.0.try_lock() {
                Ok(lines) => break lines,
                Err(std::sync::TryLockError::WouldBlock) => std::thread::sleep(WAIT),
                Err(std::sync::TryLockError::Poisoned(lines)) => break lines.into_inner(),
            }
        };
        // What was scanned before it was asked for may be of any part.
        while let Ok(line) = lines.try_recv() {
            refuse(format!("\"{}\" was scanned before it was asked for", line.escape_debug()));
        }
        ask();
        loop {
            if stop() {
                return None;
            }
            match lines.recv_timeout(WAIT) {
                Ok(line) => match take(line.trim()) {
                    Ok(answer) => return Some(answer),
                    Err(reason) => {
                        refuse(reason);
                        ask();
                    }
                },
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}
