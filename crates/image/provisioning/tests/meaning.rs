// SPDX-License-Identifier: Apache-2.0

//! Small facts on which the procedure, the image and the station rest: when a key is blank or whole, and which
//! console lines are warnings.

use provisioning::{Event, KeySlots, Level};

#[test]
fn a_key_is_blank_or_whole_if_all_of_its_slots_are() {
    for total in 0..=3 {
        for blank in 0..=total {
            for whole in 0..=total - blank {
                for exposed in 0..=total {
                    let slots = KeySlots { total, blank, whole, exposed };
                    // A key that takes no slot is neither.
                    assert_eq!(slots.are_blank(), total > 0 && blank == total, "{slots:?}");
                    assert_eq!(slots.are_whole(), total > 0 && whole == total, "{slots:?}");
                }
            }
        }
    }
}

#[test]
fn counts_that_no_part_gives_are_neither_blank_nor_whole() {
    let slots = KeySlots { total: 2, blank: 3, whole: 3, exposed: 0 };
    assert!(!slots.are_blank() && !slots.are_whole());
}

#[test]
fn the_dummy_key_is_a_warning_and_a_good_run_has_none() {
    assert_eq!(Event::DummyKey.level(), Level::Warning);
    for event in [
        Event::LifecycleVerified,
        Event::Resuming,
        Event::LifecycleSwitched,
        Event::GeneratingHuks,
        Event::GeneratingMext,
        Event::KeepingHuks,
        Event::WritingIdentityKey,
        Event::Success,
    ] {
        assert_eq!(event.level(), Level::Info, "{event}");
    }
}
