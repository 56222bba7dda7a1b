// SPDX-License-Identifier: Apache-2.0

//! Where a book is read from: a ledger's file, or a ledger at a hub.

use crate::hub::{Hub, HubError};
use crate::ledger::{Ledger, LedgerError, Link, Receipt};

/// Links that are read in one go. A station that writes never waits for a reader.
pub const GO: u32 = 256;

/// A chain of links that grows.
pub trait Source {
    /// At most [`GO`] links behind `from`: each is whole and follows the one before it, and `from` is still there.
    fn follow(&mut self, from: Receipt) -> Result<Vec<Link>, Unread>;

    /// The links of these numbers, where they are there, each with the hash of its content.
    fn links_at(&mut self, numbers: &[u64]) -> Result<Vec<Link>, Unread>;
}

/// Why something was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// In words.
    pub text: String,
    /// What it means.
    pub kind: Kind,
}

/// What it means that something was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was changed or damaged, and stays so.
    Damage,
    /// Something of it is not there any more, and may come back.
    Lack,
    /// It cannot be read now.
    Away,
}

/// One ledger at a hub.
pub struct AtHub<'a> {
    pub hub: &'a mut Hub,
    /// Its number there.
    pub ledger: i32,
}

impl Source for Ledger {
    fn follow(&mut self, from: Receipt) -> Result<Vec<Link>, Unread> {
        let mut links = Vec::new();
        Self::follow(self, from, GO, |link| links.push(link))?;
        Ok(links)
    }

    fn links_at(&mut self, numbers: &[u64]) -> Result<Vec<Link>, Unread> {
        Ok(Self::links_at(self, numbers)?)
    }
}

impl Source for AtHub<'_> {
    fn follow(&mut self, from: Receipt) -> Result<Vec<Link>, Unread> {
        Ok(self.hub.follow(self.ledger, from, GO)?)
    }

    fn links_at(&mut self, numbers: &[u64]) -> Result<Vec<Link>, Unread> {
        Ok(self.hub.links_at(self.ledger, numbers)?)
    }
}

impl From<LedgerError> for Unread {
    fn from(error: LedgerError) -> Self {
        let is_damage = matches!(error, LedgerError::Damaged(..));
        let kind = if is_damage { Kind::Damage } else { Kind::Away };
        Self { text: error.to_string(), kind }
    }
}

impl From<HubError> for Unread {
    fn from(error: HubError) -> Self {
        let kind = match error {
            HubError::Content(..) => Kind::Damage,
            HubError::Lacks(_) => Kind::Lack,
            _ => Kind::Away,
        };
        Self { text: error.to_string(), kind }
    }
}
