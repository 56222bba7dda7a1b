// SPDX-License-Identifier: Apache-2.0

//! The station of a production line: follows the console of a part that is being provisioned, checks the
//! record that it prints, keeps it in a ledger, and exports the ledger for a verifier.

pub mod advice;
pub mod batch;
pub mod chart;
pub mod clock;
pub mod console;
pub mod escaped;
pub mod export;
pub mod hub;
pub mod identity;
pub mod image;
mod in_order;
pub mod ledger;
pub mod log;
pub mod note;
pub mod page;
pub mod part;
pub mod port;
pub mod record;
pub mod row;
pub mod secret_file;
pub mod simulated;
pub mod station_file;
pub mod station_key;
pub mod stats;
pub mod steps;
pub mod submit;
pub mod transcript;

pub use identity::Identity;
pub use provisioning::DeviceId;

/// The version of this program, which each link of a ledger keeps.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
