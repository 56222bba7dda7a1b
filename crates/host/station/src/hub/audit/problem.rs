// SPDX-License-Identifier: Apache-2.0

//! What can be wrong with a hub, in the words that its owner reads.

use thiserror::Error;

use super::Guard;
use crate::ledger::{CheckpointProblem, Problem};

/// Something that is wrong with a hub. Ledgers are named by their role and their number at the hub; tables are those of
/// the schema `hub`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HubProblem {
    /// What guards the tables is not as the hub makes it: a constraint, trigger, function, view, policy or right.
    #[error(
        "the {0} {words}: the hub may not refuse any more what it has to. Find out who has done it, and why. Have the hub's \
         owner put it back as `hub.sql` has it, and audit again: what was done in between and leaves no trace, such as an \
         export that should have been refused, is not found", words = .1.words()
    )]
    Guard(String, Guard),
    /// A link of the ledger.
    #[error("{0}, {1}")]
    Link(String, Problem),
    /// The origin of a ledger is not the hash of its key, its batch and the ledger that it continues.
    #[error(
        "{0}: its origin is not that of its station key, its batch and the ledger that it continues"
    )]
    Origin(String),
    /// The role of a ledger is not enrolled with its key.
    #[error("{0}: its role was never enrolled with its station key")]
    NotEnrolled(String),
    /// A ledger names another one that it cannot continue.
    #[error("{0}: it does not continue ledger {1}")]
    Predecessor(String, i32),
    /// The row of a table beside a link is not what the link says.
    #[error(
        "{0}, link {1}: its row in {2} is not what the link says: it was changed, removed or added"
    )]
    Row(String, u64, &'static str),
    /// The claim of a link is neither a part nor a conflict, though none withdrew it.
    #[error("{0}, link {1}: its part is missing: it is neither in parts nor in conflicts")]
    NoPart(String, u64),
    /// A table has so many rows, and the links say so many.
    #[error("the table {table} has {found} rows, and the links say {expected}{}", list(.rows))]
    Count {
        /// The table.
        table: &'static str,
        /// Rows in it.
        found: u64,
        /// Rows that it should have.
        expected: u64,
        /// Some that are of no link: number of the ledger at the hub, and of the link.
        rows: Vec<(i32, u64)>,
    },
    /// A withdrawal names another claim than that of its entry.
    #[error("ledger {0}, link {1}: the hub has taken it for the withdrawal of another entry")]
    Withdrawal(i32, u64),
    /// So many parts share what no two may have.
    #[error("{count} parts have the same {what}, {value}")]
    Shared {
        /// What is the same.
        what: &'static str,
        /// How many parts.
        count: u64,
        /// It.
        value: String,
    },
    /// The row of a claim in `contested` is missing, or is not what its entry says.
    #[error(
        "ledger {0}, link {1}: its row in contested is not what its entry and its conflicts say: it was changed, removed \
         or added"
    )]
    Contested(i32, u64),
    /// A conflict is not what the two entries say.
    #[error(
        "the conflict of ledger {0}, link {1}, with ledger {2}, link {3}, is not what their entries say: it was changed or \
         added"
    )]
    Conflict(i32, u64, i32, u64),
    /// Two claims have something in common, and there is no conflict of them.
    #[error(
        "ledger {0}, link {1}, claims what the part of ledger {2}, link {3}, has, and their conflict is missing: the part \
         may have left"
    )]
    NoConflict(i32, u64, i32, u64),
    /// A checkpoint is not signed by the station's key, or not a checkpoint of the ledger.
    #[error("{0}, the checkpoint of link {1}: {2}")]
    Checkpoint(String, u64, CheckpointProblem),
    /// What was signed is not the link that the hub has.
    #[error("{0}, link {1}: its station has signed another link than the hub has")]
    SignedOther(String, u64),
    /// The last link is not signed.
    #[error(
        "{ledger}: the station has signed its links up to {signed}, and not the last one, {last}. Have it push once more, \
         with its station key: station push"
    )]
    Unsigned {
        /// The ledger.
        ledger: String,
        /// Its last link.
        last: u64,
        /// The last one that is signed; 0 where none is.
        signed: u64,
    },
    /// An export names another number of parts than there are.
    #[error(
        "export {0}: it says {1} parts, and {2} are kept as given: rows of exported were removed or added"
    )]
    Export(i32, i64, i64),
    /// A submission that was taken is not the export that it has become.
    #[error(
        "submission {0}: it was taken, and the export that it has become is missing or another one: rows of submissions, \
         settled, exports or exported were changed, removed or added"
    )]
    Submission(i32),
}

fn list(rows: &[(i32, u64)]) -> String {
    let rows: Vec<_> =
        rows.iter().map(|(ledger, link)| format!("ledger {ledger}, link {link}")).collect();
    if rows.is_empty() { String::new() } else { format!(". Of no link: {}", rows.join("; ")) }
}
