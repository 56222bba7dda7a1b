// SPDX-License-Identifier: Apache-2.0

//! The key slots of an nRF54L15: the KMU's own memory, SICR, which nobody else can read or write.
//!
//! The rules are those of the nRF54L15 datasheet, chapter "KMU — Key management unit": a slot is erased, provisioned or
//! revoked, and the KMU's tasks are all that leads from one to the other. Where a loss of power cuts a provisioning off,
//! the slot is not provisioned (datasheet of nRF54LM20A, "Provisioning"); here the word of the policy, written last,
//! decides.

use thiserror::Error;

use crate::illegal_access::IllegalAccess;
use crate::uicr::{ERASED, KeySlot};

/// Key slots: `KMU_KEYSLOTNUM` of the MDK.
pub const KMU_SLOTS: u32 = 250;
/// Words that are kept of a slot: VALUE, DEST, METADATA, RPOLICY.
pub const SLOT_WORDS: usize = 7;
/// Words of all slots.
pub const KEY_STORE_WORDS: usize = SLOT_WORDS * KMU_SLOTS as usize;

const VALUE: usize = 0;
const DEST: usize = 4;
const METADATA: usize = 5;
const POLICY: usize = 6;

/// What a revoked slot holds in the place of its policy.
const REVOKED: u32 = 0;

/// When a slot may be revoked, as `nrfx_kmu_rpolicy_t` and `lib_kmu.h` number it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokePolicy {
    /// Erased by a revocation, and free again.
    Rotating = 1,
    /// Never.
    Locked = 2,
    /// Revoked for good.
    Revoked = 3,
}

/// What a slot is provisioned with.
#[derive(Clone, Copy)]
pub struct SlotContent {
    /// The asset.
    pub value: [u32; 4],
    /// Where it is pushed to.
    pub dest: u32,
    /// What can be read.
    pub metadata: u32,
    /// When it may be revoked.
    pub policy: RevokePolicy,
}

/// What the KMU's ERROR and REVOKED events say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KmuEvent {
    /// ERROR.
    #[error("the KMU reports an error")]
    Error,
    /// REVOKED, where that is not what was asked for.
    #[error("the key slot is revoked")]
    Revoked,
}

/// The slots, word by word.
pub(crate) struct KeyStore {
    words: [u32; KEY_STORE_WORDS],
}

/// A word that a task writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotWrite {
    /// The index among all words.
    pub(crate) index: usize,
    pub(crate) old: u32,
    pub(crate) new: u32,
}

/// Whether the word with this index is the one that decides what a slot is.
pub(crate) const fn is_decisive(index: usize) -> bool {
    index % SLOT_WORDS == POLICY
}

impl KeyStore {
    /// As Erase All leaves it.
    pub(crate) const fn erased() -> Self {
        Self { words: [ERASED; KEY_STORE_WORDS] }
    }

    /// Every word, past all protection.
    pub(crate) const fn words(&self) -> &[u32; KEY_STORE_WORDS] {
        &self.words
    }

    /// Every word, past all protection.
    pub(crate) const fn words_mut(&mut self) -> &mut [u32; KEY_STORE_WORDS] {
        &mut self.words
    }

    fn slot(&self, slot: KeySlot) -> Result<&[u32], IllegalAccess> {
        if slot >= KMU_SLOTS {
            return Err(IllegalAccess::NoSuchSlot(slot));
        }
        let first = SLOT_WORDS * slot as usize;
        Ok(&self.words[first..first + SLOT_WORDS])
    }

    /// `TASKS_READMETADATA`.
    pub(crate) fn metadata(&self, slot: KeySlot) -> Result<Result<u32, KmuEvent>, IllegalAccess> {
        let words = self.slot(slot)?;
        Ok(match words[POLICY] {
            ERASED => Err(KmuEvent::Error),
            REVOKED => Err(KmuEvent::Revoked),
            _ => Ok(words[METADATA]),
        })
    }

    /// The words that `TASKS_PROVISION` writes to an erased slot, the one that decides last. What a provisioning that was
    /// cut off has left in it is written over: RRAM takes any value again.
    ///
    /// # Errors
    /// The slot is not erased. No driver provisions one that is not.
    pub(crate) fn provision(
        &self,
        slot: KeySlot,
        content: &SlotContent,
    ) -> Result<[SlotWrite; SLOT_WORDS], IllegalAccess> {
        let words = self.slot(slot)?;
        if words[POLICY] != ERASED {
            return Err(IllegalAccess::SlotTaken(slot));
        }
        let mut new = [0; SLOT_WORDS];
        new[VALUE..DEST].copy_from_slice(&content.value);
        new[DEST] = content.dest;
        new[METADATA] = content.metadata;
        new[POLICY] = content.policy as u32;
        Ok(self.writes(slot, new))
    }

    /// The words that `TASKS_REVOKE` writes, the one that decides first. `seen` is what the KMU takes the slot's policy for.
    pub(crate) fn revoke(
        &self,
        slot: KeySlot,
        seen: impl Fn(u32) -> u32,
    ) -> Result<Result<[SlotWrite; SLOT_WORDS], KmuEvent>, IllegalAccess> {
        const ROTATING: u32 = RevokePolicy::Rotating as u32;
        const LOCKED: u32 = RevokePolicy::Locked as u32;

        let policy = match seen(self.slot(slot)?[POLICY]) {
            ERASED | REVOKED | LOCKED => return Ok(Err(KmuEvent::Error)),
            ROTATING => ERASED,
            _ => REVOKED,
        };
        let mut new = [ERASED; SLOT_WORDS];
        new[POLICY] = policy;
        let mut writes = self.writes(slot, new);
        writes.rotate_right(1);
        Ok(Ok(writes))
    }

    fn writes(&self, slot: KeySlot, new: [u32; SLOT_WORDS]) -> [SlotWrite; SLOT_WORDS] {
        let first = SLOT_WORDS * slot as usize;
        core::array::from_fn(|word| SlotWrite {
            index: first + word,
            old: self.words[first + word],
            new: new[word],
        })
    }

    /// `TASKS_PUSH`: where it goes, and the value.
    pub(crate) fn push(
        &self,
        slot: KeySlot,
    ) -> Result<Result<(u32, [u32; 4]), KmuEvent>, IllegalAccess> {
        let words = self.slot(slot)?;
        Ok(match words[POLICY] {
            ERASED => Err(KmuEvent::Error),
            REVOKED => Err(KmuEvent::Revoked),
            _ => Ok((words[DEST], [words[0], words[1], words[2], words[3]])),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: KeySlot = 183;

    fn content(policy: RevokePolicy) -> SlotContent {
        SlotContent { value: [1, 2, 3, 4], dest: 0x5004_8410, metadata: 0x0150_0010, policy }
    }

    fn store(store: &mut KeyStore, writes: impl IntoIterator<Item = SlotWrite>) {
        for SlotWrite { index, old, new } in writes {
            assert_eq!(store.words[index], old);
            store.words[index] = new;
        }
    }

    fn provisioned(policy: RevokePolicy) -> KeyStore {
        let mut slots = KeyStore::erased();
        let writes = slots.provision(SLOT, &content(policy)).unwrap();
        store(&mut slots, writes);
        slots
    }

    #[test]
    fn an_erased_slot_gives_nothing() {
        let slots = KeyStore::erased();
        assert_eq!(slots.metadata(SLOT), Ok(Err(KmuEvent::Error)));
        assert_eq!(slots.push(SLOT), Ok(Err(KmuEvent::Error)));
        assert_eq!(slots.revoke(SLOT, |policy| policy), Ok(Err(KmuEvent::Error)));
    }

    #[test]
    fn a_provisioned_slot_shows_its_metadata_and_is_pushed() {
        let slots = provisioned(RevokePolicy::Locked);
        assert_eq!(slots.metadata(SLOT), Ok(Ok(0x0150_0010)));
        assert_eq!(slots.push(SLOT), Ok(Ok((0x5004_8410, [1, 2, 3, 4]))));
        let again = slots.provision(SLOT, &content(RevokePolicy::Locked));
        assert_eq!(again, Err(IllegalAccess::SlotTaken(SLOT)));
        assert_eq!(slots.metadata(SLOT + 1), Ok(Err(KmuEvent::Error)), "no other slot");
    }

    #[test]
    fn the_policy_decides_what_a_revocation_does() {
        for (policy, after) in [
            (RevokePolicy::Locked, Ok(0x0150_0010)),
            (RevokePolicy::Rotating, Err(KmuEvent::Error)),
            (RevokePolicy::Revoked, Err(KmuEvent::Revoked)),
        ] {
            let mut slots = provisioned(policy);
            let writes = slots.revoke(SLOT, |policy| policy).unwrap();
            assert_eq!(writes.is_err(), policy == RevokePolicy::Locked);
            store(&mut slots, writes.into_iter().flatten());
            assert_eq!(slots.metadata(SLOT), Ok(after));
            if policy == RevokePolicy::Revoked {
                assert_eq!(slots.push(SLOT), Ok(Err(KmuEvent::Revoked)));
                assert_eq!(slots.revoke(SLOT, |policy| policy), Ok(Err(KmuEvent::Error)));
                assert!(slots.provision(SLOT, &content(policy)).is_err());
                assert_eq!(slots.words()[SLOT as usize * SLOT_WORDS..][..4], [ERASED; 4]);
            }
            if policy == RevokePolicy::Rotating {
                assert!(slots.provision(SLOT, &content(policy)).is_ok(), "free again");
                assert_eq!(*slots.words(), [ERASED; KEY_STORE_WORDS]);
            }
        }
    }

    #[test]
    fn a_provisioning_that_is_cut_off_leaves_the_slot_erased() {
        for count in 0..SLOT_WORDS {
            let mut slots = KeyStore::erased();
            let writes = slots.provision(SLOT, &content(RevokePolicy::Locked)).unwrap();
            store(&mut slots, writes.into_iter().take(count));
            assert_eq!(slots.metadata(SLOT), Ok(Err(KmuEvent::Error)), "{count}");
            let writes = slots.provision(SLOT, &content(RevokePolicy::Locked)).unwrap();
            store(&mut slots, writes);
            assert_eq!(slots.push(SLOT), Ok(Ok((0x5004_8410, [1, 2, 3, 4]))));
        }
    }

    #[test]
    fn there_are_250_slots() {
        let none = IllegalAccess::NoSuchSlot(250);
        let slots = KeyStore::erased();
        assert!(slots.metadata(249).is_ok());
        assert_eq!(slots.metadata(250), Err(none));
        assert_eq!(slots.push(250), Err(none));
        assert_eq!(slots.revoke(250, |policy| policy), Err(none));
        assert_eq!(slots.provision(250, &content(RevokePolicy::Locked)), Err(none));
    }
}
