// SPDX-License-Identifier: Apache-2.0

//! `page`: a ledger or a hub in a browser; and the options of a page, which `provision` has too.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;

use station::page::line::About;
use station::page::{Copies, Options, Page};

use super::hub_options::HubInstead;
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

/// Show a ledger in a browser: the line, a shift's figures, every run; or all stations of a hub. It can only be looked at
///
/// A station may write it meanwhile; provision --page shows more of a line.
#[derive(clap::Args)]
pub struct PageCommand {
    /// Where browsers find it
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    #[command(flatten)]
    access: Access,
    /// The file of the ledger's last checkpoint, to say how far the station has signed
    #[arg(long, value_name = "FILE", conflicts_with = "hub")]
    checkpoint: Option<PathBuf>,
    #[command(flatten)]
    hub: HubInstead,
}

/// Carries the command out, until it is ended.
pub fn run(options: &PageCommand, place: &Place) -> Result<bool, Error> {
    let site = options.access.options(options.listen)?;
    let (what, page) = match options.hub.config(place)? {
        Some(hub) => ("hub", Page::of_hub(site, &hub)?),
        None => ("ledger", of_ledger(options, place, site)?),
    };
    let (end, ended) = mpsc::channel();
    ctrlc::set_handler(move || _ = end.send(()))?;
    say(format_args!("The {what} is shown at http://{}/ Ctrl-C ends it.", page.address()));
    ended.recv()?;
    Ok(true)
}

fn of_ledger(options: &PageCommand, place: &Place, site: Options) -> Result<Page, Error> {
    let about = About { station: place.file.station.clone(), ..About::default() };
    let ledger = place.open()?;
    let copies = Copies {
        hub: options.hub.of_station(place)?.map(|hub| hub.to_string()),
        checkpoint: options.checkpoint.clone().or_else(|| place.file.checkpoint.clone()),
    };
    Ok(Page::of_ledger(Options { copies, ..site }, ledger, about)?)
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
        copies: Copies,
    ) -> Result<Option<Page>, Error> {
        let Some(address) = self.page else { return Ok(None) };
        let options = Options { copies, ..self.access.options(address)? };
        let page = Page::of_batch(options, place.open_beside()?, ports, about)?;
        say(format_args!("The line is shown at http://{}/", page.address()));
        Ok(Some(page))
    }
}
