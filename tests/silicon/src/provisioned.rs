// SPDX-License-Identifier: Apache-2.0

//! Checks on a part that the procedure has provisioned.

use provisioning::{Cause, Failure, Ueid};
use silicon::platform::{KIDENT_WRITE_KEY_FAILED, perm, slot};
use silicon::{ERASED, KeySlot};

use crate::assumptions::{Assumption, report};
use crate::by_hand::{Code, READ_DENIED};
use crate::notes::Notes;
use crate::part::{self, Selected, SlotWord, Words};
use crate::run::{procedure, soc};

/// Two slots for a known key, and two for a torn one.
const KNOWN: KeySlot = 108;
const TORN: KeySlot = 110;

/// A key that everybody may know.
const KEY: [u8; 32] = [0x5A; 32];

/// Ends with a second identity key for the same slots.
pub fn on_a_provisioned_part(notes: &mut Notes) {
    // OTP begins with the lifecycle state.
    let lifecycle = part::read(soc().bl_storage());
    report(notes, Assumption::Lifecycle, Words(&[0xFFFF_0000]), Words(&[lifecycle]));

    let already = Failure::already_provisioned(Ueid::from_bytes([1; 33]).expect("a UEID"));
    let seen = procedure(|_| ()).err().map_or(0, Cause::code);
    report(notes, Assumption::Again, already.cause.code(), seen);

    let mkek = part::slot(slot::MKEK);
    let predicted =
        [part::aes_address(0), perm::PUSH_ONLY, READ_DENIED, READ_DENIED, READ_DENIED, READ_DENIED];
    report(notes, Assumption::Mkek, Words(&predicted), Words(&mkek));

    let [[dest, perm, ..], [next_dest, next_perm, ..]] =
        [slot::KIDENT, slot::KIDENT + 1].map(part::slot);
    let predicted = [ERASED, perm::READ_ONLY, ERASED, perm::READ_ONLY];
    let seen = [dest, perm, next_dest, next_perm];
    report(notes, Assumption::IdentityKey, Words(&predicted), Words(&seen));

    known_key(notes);
    torn_key(notes);
    let code = part::identity_key_store(KNOWN, &[0xA5; 32]);
    report(notes, Assumption::StoredTwice, Code(KIDENT_WRITE_KEY_FAILED), Code(code));
}

fn known_key(notes: &mut Notes) {
    let mut key = KEY;
    let code = part::identity_key_store(KNOWN, &key);
    let [_, _, value @ ..] = part::slot(KNOWN);
    let is_clear = value == [0x5A5A_5A5A; 4] || value == [ERASED; 4];
    match code {
        0 => {
            let seen = if is_clear { "not encrypted" } else { "encrypted" };
            report(notes, Assumption::Wrapped, "encrypted", seen);
        }
        code => report(notes, Assumption::Wrapped, "encrypted", Code(code)),
    }
    key.fill(0);
    let code = part::identity_key_retrieve(KNOWN, &mut key);
    match code {
        0 => {
            let seen = if key == KEY { "the same" } else { "another" };
            report(notes, Assumption::Retrieved, "the same", seen);
        }
        code => report(notes, Assumption::Retrieved, "the same", Code(code)),
    }
    // For after the reset.
    notes.known_slot = part::slot(KNOWN);
}

/// The first slot is that of the known key.
fn torn_key(notes: &mut Notes) {
    let [_, perm, value @ ..] = notes.known_slot;
    let slot = Selected::new(TORN);
    for (word, value) in (0..).zip(value) {
        slot.write(SlotWord::Value(word), value);
    }
    slot.write(SlotWord::Perm, perm);
    drop(slot);
    let code = part::identity_key_retrieve(TORN, &mut [0; 32]);
    report(notes, Assumption::RetrievedTorn, Code(0), Code(code));
}

/// What has become of it.
pub fn after_a_key_was_stored_twice(notes: &mut Notes) {
    let is_unchanged = part::slot(KNOWN) == notes.known_slot;
    let seen = if is_unchanged { "unchanged" } else { "changed" };
    report(notes, Assumption::StoredTwiceLeaves, "unchanged", seen);
}
