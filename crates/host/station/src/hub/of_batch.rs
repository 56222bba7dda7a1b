// SPDX-License-Identifier: Apache-2.0

//! A hub for a batch.

use std::time::Duration;

use super::{Config, Elsewhere, Hub, HubError, OwnConflict, Sought, sent};
use crate::batch::uplink::{Amount, LookUp, Push, Times, Uplink};
use crate::ledger::{Entry, Ledger, Origin};

/// How long a batch waits for the hub when it begins.
const FIRST: Duration = Duration::from_secs(5);

/// How long a call of a push may take: what is silent for longer is away. The batch does not wait for it.
const CALL: Duration = Duration::from_secs(30);

/// For how long a push goes on trying before the hub counts as away. The batch tries again later.
const PATIENCE: Duration = Duration::from_secs(2);

/// Checks the record of an entry before it is sent.
pub type CheckRecord = Box<dyn FnMut(&Entry) -> Result<(), String> + Send>;

impl Uplink {
    /// The hub of a batch, which is compared with the ledger first. `ledger` is a second connection to the one that the
    /// batch writes, to read what is sent; it needs its [signer](Ledger::set_signer), too.
    ///
    /// # Errors
    /// The ledger or the station is not made for a hub, or hub and ledger contradict each other ([`HubError::is_loss`]).
    /// A hub that is required cannot be used; one that is not is away when the batch begins.
    pub fn new(
        config: &Config,
        ledger: Ledger,
        is_required: bool,
        check_record: CheckRecord,
    ) -> Result<Self, HubError> {
        let times = Times::default();
        let first = config.clone().with_patience(FIRST, Duration::ZERO);
        let away = match Hub::new(&first).compare(&ledger) {
            Ok(_) => None,
            Err(error) if is_required || error.is_loss() || is_of_this_machine(&error) => {
                return Err(error);
            }
            Err(error) => Some(error.to_string()),
        };
        if ledger.checkpoint(ledger.kept_head()?).is_none() {
            return Err(HubError::NoSigner);
        }
        let asks = config.clone().with_patience(times.look_up, Duration::ZERO);
        let sends = config.clone().with_patience(CALL, PATIENCE);
        let look_ups = Asking { hub: Hub::new(&asks), own: ledger.origin()? };
        let name = config.to_string();
        let pushes = Sending { hub: Hub::new(&sends), name, ledger, at_hub: 0, check_record };
        Ok(Self {
            look_ups: Box::new(look_ups),
            pushes: Box::new(pushes),
            is_required,
            away,
            times,
        })
    }
}

/// Whether it is for the operator to put right, and will not go by itself.
const fn is_of_this_machine(error: &HubError) -> bool {
    matches!(
        error,
        HubError::NoKey
            | HubError::PasswordFile(..)
            | HubError::NoCa(_)
            | HubError::TlsDisabled
            | HubError::Ca(..)
            | HubError::Ledger(_)
            | HubError::Io(..)
    )
}

struct Asking {
    hub: Hub,
    own: Origin,
}

impl LookUp for Asking {
    fn look_up(&mut self, sought: &[Sought]) -> Result<Vec<Option<Elsewhere>>, HubError> {
        self.hub.look_up_all(sought, &self.own)
    }
}

struct Sending {
    hub: Hub,
    /// The name of the hub.
    name: String,
    ledger: Ledger,
    /// The last link that the hub has said to have.
    at_hub: u64,
    check_record: CheckRecord,
}

impl Push for Sending {
    fn push(&mut self) -> Result<(), HubError> {
        let Self { hub, ledger, check_record, .. } = self;
        let pushed = hub.push(ledger, check_record, &mut |_, _| ())?;
        self.at_hub = pushed.last.number;
        Ok(())
    }

    fn at_hub(&mut self) -> Result<Amount, HubError> {
        let sent = sent::get(&self.ledger, &self.name)?.map_or(0, |last| last.number);
        let links = sent.max(self.at_hub);
        Ok(Amount { parts: self.ledger.entries_up_to(links)?, links })
    }

    fn conflicts(&mut self) -> Result<Vec<OwnConflict>, HubError> {
        self.hub.conflicts_of(&self.ledger.origin()?)
    }
}
