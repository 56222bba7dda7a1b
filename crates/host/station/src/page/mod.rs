// SPDX-License-Identifier: Apache-2.0

//! A page that shows a line in a browser: to the operator what each port does, to the engineer what the ledger says, or
//! all ledgers of a hub.
//!
//! It only reads. The line never waits for it: what happens on the line goes into a [`Line`] behind a lock that is
//! held for a copy of pointers, and the page's own thread looks at it ten times a second while somebody watches. A
//! browser gets the newest state when it can take one, not each that there was; one that takes nothing for
//! [`WRITE_TIMEOUT`] is dropped.

mod book;
mod engineer;
mod frame;
mod guard;
pub mod line;
mod of_hub;
mod of_ledger;
mod operator;
mod server;
mod shift;
mod source;
mod text;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use jiff::Timestamp;
use thiserror::Error;
use tokio::runtime;
use tokio::sync::watch;

use crate::batch::Notice;
use crate::hub::{Config, HubError};
use crate::ledger::Ledger;
pub use guard::{Token, TokenError};
use line::{About, Line};
use of_hub::{OfHub, Reader};
pub use of_ledger::Copies;
use of_ledger::OfLedger;
use server::Shelf;
pub use server::{CONNECTIONS, WRITE_TIMEOUT};

/// Where the page is, and for whom.
#[derive(Debug)]
pub struct Options {
    /// Where it listens.
    pub address: SocketAddr,
    /// What each request must carry; beyond loopback there must be one.
    pub token: Option<Token>,
    /// The names by which browsers reach it, besides addresses and `localhost`: those of a reverse proxy.
    pub hosts: Vec<String>,
    /// Where else something of the ledger is kept, to say so.
    pub copies: Copies,
}

/// Why there is no page.
#[derive(Debug, Error)]
pub enum PageError {
    /// It would be open to everybody.
    #[error(
        "{0} can be reached from other machines, and everybody there would see the line. Give --page-token FILE, or \
         listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    /// The address cannot be had.
    #[error(
        "the page cannot listen on {0} ({1}). Is another station's page there? Choose another port"
    )]
    Listen(SocketAddr, #[source] io::Error),
    /// A thread cannot be had.
    #[error("the page cannot begin ({0})")]
    Thread(#[source] io::Error),
    /// The hub cannot be used, and that will not go by itself.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// A page that is shown until it is dropped.
#[derive(Debug)]
pub struct Page {
    address: SocketAddr,
    line: Arc<Mutex<Line>>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    /// Who reads the hub.
    _reader: Option<Reader>,
}

impl Page {
    /// Shows a batch on these ports, and the ledger that it writes, which is opened anew to be read.
    ///
    /// # Errors
    /// The address cannot be had, or may not be without a token.
    pub fn of_batch(
        options: Options,
        ledger: Ledger,
        ports: &[String],
        about: About,
    ) -> Result<Self, PageError> {
        let copies = options.copies.clone();
        let line = Line::new(ports, about, Timestamp::now());
        Self::start(options, Shelf::of_ledger(OfLedger::new(ledger, copies)), line, None)
    }

    /// Shows a ledger that another station may write: the last run of each port stands for the line.
    ///
    /// # Errors
    /// As [`Page::of_batch`].
    pub fn of_ledger(options: Options, ledger: Ledger, about: About) -> Result<Self, PageError> {
        let line = Line { is_of_ledger: true, ..Line::new(&[], about, Timestamp::now()) };
        let copies = options.copies.clone();
        Self::start(options, Shelf::of_ledger(OfLedger::new(ledger, copies)), line, None)
    }

    /// Shows a hub: what all stations have pushed, and go on pushing. What is on a port now it does not know, so it has no
    /// page for operators.
    ///
    /// # Errors
    /// As [`Page::of_batch`], or the hub cannot be used. One that is only gone comes back by itself.
    pub fn of_hub(options: Options, hub: &Config) -> Result<Self, PageError> {
        check(&options)?;
        let about = About { station: Some(format!("Hub {hub}")), ..About::default() };
        let hub = Arc::new(OfHub::new(hub)?);
        let reader = Reader::of(&hub).map_err(PageError::Thread)?;
        let line = Line::new(&[], about, Timestamp::now());
        Self::start(options, Shelf::of_hub(hub), line, Some(reader))
    }

    fn start(
        options: Options,
        shelf: Shelf,
        line: Line,
        reader: Option<Reader>,
    ) -> Result<Self, PageError> {
        check(&options)?;
        let line = Arc::new(Mutex::new(line));
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(3)
            .build()
            .map_err(PageError::Thread)?;
        let listener = {
            let _in_it = runtime.enter();
            server::listen(options.address)
        };
        let listener = listener.map_err(|error| PageError::Listen(options.address, error))?;
        let address = listener.local_addr().map_err(PageError::Thread)?;
        let (stop, stopped) = watch::channel(false);
        let site = server::Site::new(Arc::clone(&line), shelf, options);
        let thread = thread::Builder::new()
            .name(String::from("page"))
            .spawn(move || {
                runtime.block_on(server::serve(listener, site, stopped));
                // What is read of the ledger may go on, and nobody needs it any more.
                runtime.shutdown_background();
            })
            .map_err(PageError::Thread)?;
        Ok(Self { address, line, stop, thread: Some(thread), _reader: reader })
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes in what has happened on the line.
    pub fn notice(&self, notice: &Notice) {
        lock(&self.line).take(notice, Timestamp::now());
    }
}

impl Drop for Page {
    /// Says to every browser that the batch is over.
    fn drop(&mut self) {
        lock(&self.line).end();
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it has said what is wrong with it
        }
    }
}

/// Nobody reaches it from elsewhere without a token.
fn check(options: &Options) -> Result<(), PageError> {
    if options.token.is_none() && !options.address.ip().is_loopback() {
        return Err(PageError::Open(options.address));
    }
    Ok(())
}

/// A line is whole at every moment, even if a thread has panicked.
fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For `Options` from a command line.
impl Options {
    /// Those of a page that is told so much: a token stands in a file.
    ///
    /// # Errors
    /// The file of the token cannot be used.
    pub fn new(
        address: SocketAddr,
        token: Option<&PathBuf>,
        hosts: Vec<String>,
    ) -> Result<Self, TokenError> {
        let token = token.map(|file| Token::read(file)).transpose()?;
        Ok(Self { address, token, hosts, copies: Copies::default() })
    }
}
