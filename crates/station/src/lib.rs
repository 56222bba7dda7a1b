// SPDX-License-Identifier: Apache-2.0

//! The station of a production line: follows the console of a part that is being provisioned, checks the
//! record that it prints, keeps it in a ledger, and exports the ledger for a verifier.

pub mod identity;

pub use identity::Identity;
pub use provisioning::DeviceId;
