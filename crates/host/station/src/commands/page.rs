// SPDX-License-Identifier: Apache-2.0

//! `page`: a ledger in a browser; and the options of a page, which `provision` has too.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;

use station::page::line::About;
use station::page::{Options, Page};

use super::{Error, Place, say};

/// A page beside the batch.
#[derive(clap::Args)]
pub struct PageOptions {
    /// Show the line in a browser, at this address, such as 127.0.0.1:8080; it can only be looked at
    #[arg(long, value_name = "ADDRESS:PORT")]
    page: Option<SocketAddr>,
    #[command(flatten)]
    access: Access,
}

/// Who may read a page.
#[derive(clap::Args)]
pub struct Access {
    /// The file with the token that requests to the page must carry; needed where other machines reach it
    #[arg(long, value_name = "FILE")]
    page_token: Option<PathBuf>,
    /// A name by which browsers reach the page, such as that of a reverse proxy; may be given several times
    #[arg(long, value_name = "NAME")]
    page_host: Vec<String>,
}

/// Show a ledger in a browser: the line, a shift's figures, every run; it can only be looked at
///
/// A station may write it meanwhile; provision --page shows more of a line.
#[derive(clap::Args)]
pub struct PageCommand {
    /// Where browsers find it
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    #[command(flatten)]
    access: Access,
}

/// Carries the command out, until it is ended.
pub fn run(options: &PageCommand, place: &Place) -> Result<bool, Error> {
    let about = About { station: place.file.station.clone(), ..About::default() };
    let ledger = place.open()?;
    let (end, ended) = mpsc::channel();
    ctrlc::set_handler(move || _ = end.send(()))?;
    let page = Page::of_ledger(options.access.options(options.listen)?, ledger, about)?;
    say(format_args!("The ledger is shown at http://{}/ Ctrl-C ends it.", page.address()));
    ended.recv()?;
    Ok(true)
}

impl Access {
    fn options(&self, address: SocketAddr) -> Result<Options, Error> {
        Ok(Options::new(address, self.page_token.as_ref(), self.page_host.clone())?)
    }
}

impl PageOptions {
    /// Shows a batch, if it is to be shown.
    pub fn of_batch(
        &self,
        place: &Place,
        ports: &[String],
        about: About,
    ) -> Result<Option<Page>, Error> {
        let Some(address) = self.page else { return Ok(None) };
        let options = self.access.options(address)?;
        let page = Page::of_batch(options, place.open_beside()?, ports, about)?;
        say(format_args!("The line is shown at http://{}/", page.address()));
        Ok(Some(page))
    }
}
