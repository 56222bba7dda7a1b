// SPDX-License-Identifier: Apache-2.0

//! `page`: a ledger in a browser; and the options of a page, which `provision` has too.

use std::net::SocketAddr;
use std::path::PathBuf;

use station::page::line::About;
use station::page::{Options, Page};

use super::{Error, say};

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

impl Access {
    fn options(&self, address: SocketAddr) -> Result<Options, Error> {
        Ok(Options::new(address, self.page_token.as_ref(), self.page_host.clone())?)
    }
}

impl PageOptions {
    /// Shows a batch, if it is to be shown.
    pub fn of_batch(&self, ports: &[String], about: About) -> Result<Option<Page>, Error> {
        let Some(address) = self.page else { return Ok(None) };
        let page = Page::of_batch(self.access.options(address)?, ports, about)?;
        say(format_args!("The line is shown at http://{}/", page.address()));
        Ok(Some(page))
    }
}
