// SPDX-License-Identifier: Apache-2.0

//! Modelled parts on ports of their own: the messages of a kit's console, bare, from the firmware's own procedure.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use provisioning::console::NONCE_PROMPT;
use provisioning::{Config, IdentityKeySource, ImplementationId, Nonce};
use sha2::{Digest, Sha256};
use silicon::{Silicon, Soc};

use crate::port::{Arrival, Source};

/// Where the random numbers of modelled parts come from.
#[derive(Clone, Copy, Debug)]
pub enum Seed {
    /// The operating system: each part is another one.
    System,
    /// This number: the same parts each time.
    Number(u64),
}

impl Seed {
    /// The seed of the n-th part.
    ///
    /// # Errors
    /// The operating system has no random numbers.
    pub fn of_part(self, n: usize) -> io::Result<[u8; 32]> {
        match self {
            Self::System => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed)?;
                Ok(seed)
            }
            Self::Number(number) => {
                let n = n as u64;
                Ok(Sha256::digest([number.to_be_bytes(), n.to_be_bytes()].concat()).into())
            }
        }
    }
}

/// A blank part whose image waits for a nonce (`CONFIG_PROVISIONING_RECORD_NONCE`).
#[derive(Debug)]
pub struct Simulated {
    soc: Soc,
    seed: [u8; 32],
    implementation_id: ImplementationId,
    /// What is still to be read of the console.
    console: Vec<u8>,
    read: usize,
}

impl Simulated {
    /// A part that has just been started.
    #[must_use]
    pub fn new(soc: Soc, seed: [u8; 32], implementation_id: ImplementationId) -> Self {
        let console = format!("{NONCE_PROMPT}\r\n").into_bytes();
        Self { soc, seed, implementation_id, console, read: 0 }
    }

    fn run(&mut self, nonce: Nonce) {
        let source = IdentityKeySource::Generated;
        let config = Config { nonce: Some(nonce), ..Config::new(self.implementation_id, source) };
        let mut console = String::new();
        let mut print = |line: &dyn std::fmt::Display| {
            let _ = write!(console, "{line}\r\n"); // writing to a String cannot fail
        };
        let part = Silicon::erased(self.soc, self.seed);
        let (_, result) = simulator::run(part, &config, |event| print(&event));
        if let Err(failure) = result {
            print(&failure);
        }
        self.console.extend(console.into_bytes());
    }
}

impl Source for Simulated {
    fn read(&mut self, buffer: &mut [u8], _: Duration) -> io::Result<Arrival> {
        let left = &self.console[self.read..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.read += count;
        Ok(if count == 0 { Arrival::Nothing } else { Arrival::Bytes(count) })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let text = str::from_utf8(bytes).map_err(io::Error::other)?;
        let nonce = Nonce::from_hex(text.trim()).ok_or(io::ErrorKind::InvalidInput)?;
        self.run(nonce);
        Ok(())
    }
}
