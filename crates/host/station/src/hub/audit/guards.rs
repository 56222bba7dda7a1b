// SPDX-License-Identifier: Apache-2.0

//! Whether what guards the tables is in place: constraints, triggers and their functions, row-level security and its
//! policies, rights. What an owner takes away and puts back between two audits is not seen.

use std::collections::BTreeMap;

use super::{HubAudit, HubProblem};
use crate::hub::HubError;
use crate::hub::snapshot::Snapshot;

/// Reads them from the server.
const STATEMENT: &str = include_str!("guards.sql");

/// What the statement gives for the tables of `hub.sql`: a line each, a thing and behind a tab what it is.
const GUARDS: &str = include_str!("guards.txt");

/// What has become of a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// It is not there.
    Missing,
    /// It is another one, or is switched off.
    Changed,
    /// The hub has none of this name.
    Added,
}

impl Guard {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Missing => "is missing",
            Self::Changed => "was changed or switched off",
            Self::Added => "is none of the hub's own, and was added",
        }
    }
}

/// Compares the guards with those that the hub makes.
pub(super) fn check(hub: &mut Snapshot, audit: &mut HubAudit) -> Result<(), HubError> {
    let mut missing: BTreeMap<&str, &str> = GUARDS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once('\t').unwrap_or((line, "")))
        .collect();
    for row in hub.rows(STATEMENT, &[])? {
        let (thing, what): (&str, &str) = (row.get(0), row.get(1));
        let guard = match missing.remove(thing) {
            Some(expected) if expected == what => continue,
            Some(_) => Guard::Changed,
            None if is_harmless(thing) => continue,
            None => Guard::Added,
        };
        audit.add(HubProblem::Guard(thing.to_owned(), guard));
    }
    for thing in missing.into_keys() {
        audit.add(HubProblem::Guard(thing.to_owned(), Guard::Missing));
    }
    Ok(())
}

/// Whether it refuses something more, or lets more people read: what someone may add.
fn is_harmless(thing: &str) -> bool {
    [
        "constraint ",
        "NOT NULL ",
        "unique index ",
        "row-level security ",
        "right SELECT ",
        "right USAGE ",
    ]
    .iter()
    .any(|start| thing.starts_with(start))
}
