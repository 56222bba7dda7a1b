// SPDX-License-Identifier: Apache-2.0

//! What the bindings count in a key's slots, for each content that a slot can have, alone and beside each
//! other one.

use nrf_keys::Drivers;
use provisioning::{DriverError, Huk, KeySlots, StoredKeyDevice};
use silicon::{ERASED, Silicon, Soc, UICR_WORDS};
use simulator::{huk_size, with_drivers};

/// A slot's DEST, PERM and VALUE; `None` in DEST stands for the register to which the slot is pushed.
type Content = (Option<u32>, u32, [u32; 4]);

/// What one slot adds to the counts: blank, whole, exposed.
type Counts = [u32; 3];

const RANDOM: [u32; 4] = [0x0102_0304, 0x1112_1314, 0x2122_2324, 0x3132_3334];
const BLANK: [u32; 4] = [ERASED; 4];
const PUSH_ONLY: u32 = 0xFFFF_FFFC;
const READ_ONLY: u32 = 0xFFFF_FFFA;

/// What stands in a slot, what it is as a HUK's, and what as the identity key's.
const CONTENTS: [(Content, Counts, Counts); 13] = [
    ((Some(ERASED), ERASED, BLANK), [1, 0, 0], [1, 0, 0]),
    // A run that was cut off: one word more each time, the first of them torn.
    ((Some(0xFFFF_FFF0), ERASED, BLANK), [0, 0, 0], [0, 0, 0]),
    ((None, ERASED, BLANK), [0, 0, 0], [0, 0, 0]),
    ((None, ERASED, [RANDOM[0], ERASED, ERASED, ERASED]), [0, 0, 0], [0, 0, 0]),
    ((None, ERASED, RANDOM), [0, 0, 0], [0, 0, 0]),
    ((None, 0xFFFF_FFFE, RANDOM), [0, 0, 1], [0, 0, 0]),
    ((None, PUSH_ONLY, RANDOM), [0, 1, 0], [0, 0, 0]),
    // The identity key's: its DEST may be any.
    ((Some(ERASED), ERASED, RANDOM), [0, 0, 0], [0, 0, 0]),
    ((Some(ERASED), READ_ONLY, RANDOM), [0, 0, 1], [0, 1, 0]),
    ((None, READ_ONLY, RANDOM), [0, 0, 1], [0, 1, 0]),
    // Closed, but pushed elsewhere; revoked; nothing but permissions.
    ((Some(0x5084_0000), PUSH_ONLY, RANDOM), [0, 0, 0], [0, 0, 0]),
    ((None, PUSH_ONLY & !(1 << 16), RANDOM), [0, 0, 0], [0, 0, 0]),
    ((Some(ERASED), 0xFFFF_FFFE, BLANK), [0, 0, 1], [0, 0, 0]),
];

fn put(
    page: &mut [u32; UICR_WORDS],
    soc: Soc,
    slot: usize,
    index: u32,
    (dest, perm, value): Content,
) {
    page[0x100 + 2 * slot] = dest.unwrap_or(soc.aes_key_register(index));
    page[0x101 + 2 * slot] = perm;
    page[0x200 + 4 * slot..][..4].copy_from_slice(&value);
}

/// What the bindings say of all three keys, of which the one that begins at `first` has these slots.
fn look(soc: Soc, first: usize, contents: &[Content]) -> [Result<KeySlots, DriverError>; 3] {
    let mut page = [ERASED; UICR_WORDS];
    for ((slot, index), content) in (first..).zip(0..).zip(contents) {
        put(&mut page, soc, slot, index, *content);
    }
    let (part, found) = with_drivers(Silicon::with_page(soc, [0; 32], page), |drivers| {
        [drivers.huk_slots(Huk::Mkek), drivers.huk_slots(Huk::Mext), drivers.identity_key_slots()]
    });
    assert_eq!((part.illegal_access(), *part.page()), (None, page));
    found
}

#[test]
fn each_slot_counts_for_what_it_holds_and_for_no_other_key() {
    for soc in Soc::CRYPTOCELL {
        let per_huk = soc.slots_per_huk();
        for (key, (first, total)) in [(2, per_huk), (4, per_huk), (6, 2)].into_iter().enumerate() {
            let counts = |index: usize| {
                let (_, huk, identity) = CONTENTS[index];
                if key == 2 { identity } else { huk }
            };
            // One slot has one content, two slots have each pair of contents.
            let pairs = if total == 2 { CONTENTS.len() } else { 1 };
            for (one, other) in (0..CONTENTS.len()).flat_map(|i| (0..pairs).map(move |j| (i, j))) {
                let indexes = &[one, other][..total as usize];
                let contents: Vec<Content> = indexes.iter().map(|i| CONTENTS[*i].0).collect();
                let sum = |what: usize| indexes.iter().map(|i| counts(*i)[what]).sum();
                let expected = KeySlots { total, blank: sum(0), whole: sum(1), exposed: sum(2) };
                let found = look(soc, first, &contents);
                assert_eq!(found[key], Ok(expected), "{soc}, slot {first}: {contents:08x?}");
                for (neighbour, slots) in (0..3).zip(found).filter(|(other, _)| *other != key) {
                    let total = if neighbour == 2 { 2 } else { per_huk };
                    let blank = KeySlots { total, blank: total, whole: 0, exposed: 0 };
                    assert_eq!(slots, Ok(blank), "{soc}, slot {first}: {contents:08x?}");
                }
            }
        }
    }
}

#[test]
fn a_part_that_does_not_answer_is_an_error() {
    assert!(silicon::remove().is_none());
    // SAFETY: nothing else on this thread calls the drivers.
    let mut drivers = unsafe { Drivers::new(huk_size(Soc::Nrf5340)) };
    let no_part = Err(DriverError::from_raw(-19)); // -ENODEV of the model
    assert_eq!(drivers.huk_slots(Huk::Mkek), no_part);
    assert_eq!(drivers.identity_key_slots(), no_part);
}
