// SPDX-License-Identifier: Apache-2.0

//! Ports for a station, and what parts print on them.

use std::fs::File;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

use provisioning::{Cause, Config, Event, Failure, Huk, IdentityKeySource, Nonce, Written};
use silicon::{Silicon, Soc};

use super::terminal::pair;
use super::{BANNERS, PANIC, id, kit_line, run_messages};

/// A pseudo terminal: the part's end, and the name of the station's.
pub fn port() -> (File, String) {
    let (master, name, _) = pair();
    // SAFETY: nobody else has it any more.
    let master = unsafe { OwnedFd::from_raw_fd(master.into_raw_fd()) };
    // A clone is not inherited by the station, which would keep the port alive.
    (File::from(master.try_clone().unwrap()), name)
}

/// What a part prints on its console, as a kit does. The seed decides which part.
pub fn part(seed: u8, nonce: Option<Nonce>, runs: usize) -> Vec<u8> {
    part_of(vec![seed; 32], nonce, runs)
}

/// As `part`. The first eight bytes of the seed are the device ID.
pub fn part_of(seed: Vec<u8>, nonce: Option<Nonce>, runs: usize) -> Vec<u8> {
    let config = Config { nonce, ..Config::new(id(), IdentityKeySource::Generated) };
    let part = Silicon::erased(Soc::Nrf5340, seed.try_into().unwrap());
    let messages = run_messages(part, &config, runs);
    let mut console = format!("{}\r\n", BANNERS[0]);
    console.extend(messages.iter().map(|message| kit_line(message)));
    if messages.last().is_none_or(|last| last != Event::Success.message()) {
        console.extend([PANIC, "\r\n"]);
    }
    console.into_bytes()
}

/// A line that a run ends with, and nothing is entered.
pub fn failed() -> String {
    let cause = Cause::HukTaken(Huk::Mkek);
    kit_line(&Failure { cause, written: Written::Nothing, ueid: None }.to_string())
}
