// SPDX-License-Identifier: Apache-2.0

//! Pseudo terminals, which are serial ports to the station.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serialport::{SerialPort as _, TTYPort};
use station::port::DEFAULT_BAUD;

/// Some systems mind when two threads make pseudo terminals at once.
static PAIR: Mutex<()> = Mutex::new(());

/// macOS sets no speed on a pseudo terminal.
pub const BAUD: u32 = if cfg!(target_os = "macos") { 0 } else { DEFAULT_BAUD };

/// The part's end, the name of the station's end, and what keeps that one there until it is opened.
pub fn pair() -> (TTYPort, String, TTYPort) {
    let _guard = PAIR.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut part, end) = TTYPort::pair().unwrap();
    part.set_timeout(Duration::from_secs(60)).unwrap();
    let name = end.name().unwrap();
    (part, name, end)
}
