// SPDX-License-Identifier: Apache-2.0

//! What differs between families of parts: their keys. The procedure is the same for all.

#[cfg(seed_keys)]
mod seed;
#[cfg(stored_keys)]
mod stored;

use crate::console::Event;
use crate::device::{Device, Huk};
use crate::failure::Cause;
use crate::huk::KeyCheckValue;
use crate::identity::PublicKey;
use crate::procedure::Config;
use crate::record::{Claims, Freshness, Record};
use crate::verdict::Verdict;

#[cfg(seed_keys)]
pub use seed::{Note, SEED_SIZE, Seed, SeedDevice, SeedKeys, SeedSlots};
#[cfg(stored_keys)]
pub use stored::{KeySlots, StoredKeyDevice, StoredKeys};

/// The keys of a part of type `D`, as a run of the procedure handles them: what is there and what is missing, and what
/// has to be in RAM meanwhile. The procedure calls the methods in this order.
///
/// A value is cleared when it goes out of scope, and what is written is cleared at once.
pub trait Keys<D> {
    /// Nothing is known, and no key is in RAM.
    fn empty() -> Self;

    /// Looks at each key, without a write; whether all are whole. `may_be_there`: whether all that is written before
    /// the keys is whole. Else there must be none.
    ///
    /// # Errors
    /// A key that is not fit to go on with.
    fn inspect(
        &mut self,
        device: &mut D,
        config: &Config,
        may_be_there: bool,
    ) -> Result<bool, Cause>;

    /// Draws what is missing, without a write.
    ///
    /// # Errors
    /// The random generator gives no keys.
    fn choose(&mut self, device: &mut D, config: &Config) -> Result<(), Cause>;

    /// Writes what is missing, and verifies all that shows without the private identity key.
    ///
    /// # Errors
    /// What was not written, or does not verify.
    fn write(
        &mut self,
        device: &mut D,
        config: &Config,
        report: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Cause>;

    /// Verifies what an earlier run has written, as [`Keys::write`] does what is new.
    ///
    /// # Errors
    /// What does not verify.
    fn verify(&mut self, device: &mut D, report: &mut impl FnMut(Event<'_>)) -> Result<(), Cause>;

    /// Has the identity key prove itself by the signature of the record.
    ///
    /// # Errors
    /// It does not.
    fn prove(
        &mut self,
        device: &mut D,
        config: &Config,
        record: &mut Record,
    ) -> Result<PublicKey, Cause>;

    /// Looks at all keys once more, and counts what has held.
    ///
    /// # Errors
    /// The driver's.
    fn look_again(&self, device: &mut D, verdict: &mut Verdict) -> Result<(), Cause>;

    /// Clears what is in RAM.
    fn release(&mut self, device: &mut D);

    /// Refuses an identity that is not what `config` asks for.
    ///
    /// # Errors
    /// It is another.
    fn judge(&self, config: &Config, public_key: &PublicKey) -> Result<(), Cause>;
}

/// Puts into the record what is claimed of the part.
fn claim(
    device: &mut impl Device,
    config: &Config,
    random: &[u8; 32],
    public_key: PublicKey,
    record: &mut Record,
) {
    record.claim(&Claims {
        freshness: Freshness::new(random, &public_key, config.nonce),
        measurement: config.measurement,
        implementation_id: config.implementation_id,
        device_id: device.device_id(),
        public_key,
    });
}

/// Derives from a HUK once more; whether that gives what it gave first.
fn derives_again(device: &mut impl Device, huk: Huk, first: &KeyCheckValue) -> Result<bool, Cause> {
    let mut derived = KeyCheckValue::empty();
    device.derive_from_huk(huk, &mut derived).map_err(|error| Cause::HukUnusable(huk, error))?;
    Ok(derived == *first)
}
