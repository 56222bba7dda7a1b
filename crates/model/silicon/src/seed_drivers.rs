// SPDX-License-Identifier: Apache-2.0

//! Stand-ins for what the SDK does with the seed of an nRF54L15: `hw_unique_key_cracen_kmu.c` and `cracen_psa_kmu.c` of
//! sdk-nrf 3.4.99.

use log::error;
use zeroize::Zeroize;

use crate::drivers::{HUK_DERIVE_FAILED, HUK_WRITE_FAILED, INVALID_ARGUMENT};
use crate::faults::{Call, Effect};
use crate::ikg::{self, GeneratedKey, SEED_SLOT, SEED_SLOTS};
use crate::key_store::{KmuEvent, RevokePolicy, SlotContent};
use crate::part::Silicon;
use crate::platform::Code;
use crate::seed_register::SEED_REGISTER;
use crate::uicr::KeySlot;

/// `PROVISIONING_SLOT`: what the driver notes there while it writes several slots.
pub const NOTE_SLOT: KeySlot = 186;

/// `kmu_metadata` of the seed's first slot: scheme SEED, 384 bits, policy LOCKED.
pub const SEED_METADATA: u32 = 0x0150_0010;
/// `SECONDARY_SLOT_METADATA_VALUE`.
pub const SECONDARY_METADATA: u32 = 0xFFFF_FFFF;
/// The first slot and how many: `set_provisioning_in_progress`.
pub const NOTE_METADATA: u32 = SEED_SLOT << 8 | SEED_SLOTS;

/// A slot of a seed, or the driver's note, as `nrf_keys.h` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotOfSeed {
    /// The metadata; what the KMU reports where there is none.
    pub metadata: Result<u32, KmuEvent>,
    /// What it is where the driver has written the slot.
    pub written: u32,
}

/// Looks at a slot of the seed by its index, or at the note: index 3.
///
/// # Errors
/// There is no such slot.
pub fn seed_slot(part: &mut Silicon, index: u32) -> Result<SlotOfSeed, Code> {
    let (slot, written) = match index {
        0 => (SEED_SLOT, SEED_METADATA),
        1 | 2 => (SEED_SLOT + index, SECONDARY_METADATA),
        3 => (NOTE_SLOT, NOTE_METADATA),
        _ => return Err(INVALID_ARGUMENT),
    };
    Ok(SlotOfSeed { metadata: part.slot_metadata(slot), written })
}

/// `hw_unique_key_write`.
pub fn write_seed(part: &mut Silicon, seed: &[u8; 48]) -> Code {
    if provision(part, seed).is_err() {
        error!("hw_unique_key: the seed was not written");
        return HUK_WRITE_FAILED;
    }
    0
}

/// `cracen_kmu_provision`, for a seed.
fn provision(part: &mut Silicon, seed: &[u8; 48]) -> Result<(), KmuEvent> {
    clean_up(part)?;
    for slot in SEED_SLOT..SEED_SLOT + SEED_SLOTS {
        if part.slot_metadata(slot) != Err(KmuEvent::Error) {
            return Err(KmuEvent::Error);
        }
    }
    let note = SlotContent {
        value: [0; 4],
        dest: 0,
        metadata: NOTE_METADATA,
        policy: RevokePolicy::Rotating,
    };
    provision_slot(part, NOTE_SLOT, &note)?;
    for (index, bytes) in (0..).zip(seed.as_chunks().0) {
        let provisioned = provision_slot_of_seed(part, index, bytes);
        if provisioned.is_err() {
            // It cannot revoke a slot that is locked.
            let _ = clean_up(part);
            return provisioned;
        }
    }
    revoke_slot(part, NOTE_SLOT)
}

/// What `nrf_keys_seed_complete` promises. The SDK's driver has nothing like it.
pub fn complete_seed(part: &mut Silicon, seed: &[u8; 48]) -> Code {
    let mut complete = || -> Result<(), KmuEvent> {
        for (index, bytes) in (0..).zip(seed.as_chunks().0) {
            match part.slot_metadata(SEED_SLOT + index) {
                Ok(_) => {}
                Err(KmuEvent::Error) => provision_slot_of_seed(part, index, bytes)?,
                Err(KmuEvent::Revoked) => return Err(KmuEvent::Revoked),
            }
        }
        revoke_slot(part, NOTE_SLOT)
    };
    if complete().is_err() {
        error!("the seed was not completed");
        return HUK_WRITE_FAILED;
    }
    0
}

fn provision_slot_of_seed(
    part: &mut Silicon,
    index: u32,
    bytes: &[u8; 16],
) -> Result<(), KmuEvent> {
    let mut content = SlotContent {
        value: [0; 4],
        dest: SEED_REGISTER + 16 * index,
        metadata: if index == 0 { SEED_METADATA } else { SECONDARY_METADATA },
        policy: RevokePolicy::Locked,
    };
    for (word, bytes) in content.value.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let provisioned = provision_slot(part, SEED_SLOT + index, &content);
    content.value.zeroize();
    provisioned
}

/// `clean_up_unfinished_provisioning`.
fn clean_up(part: &mut Silicon) -> Result<(), KmuEvent> {
    let Ok(note) = part.slot_metadata(NOTE_SLOT) else { return Ok(()) };
    for slot in (note >> 8..).take((note & 0xFF) as usize) {
        if revoke_slot(part, slot).is_err() && part.slot_metadata(slot) != Err(KmuEvent::Error) {
            return Err(KmuEvent::Error);
        }
    }
    revoke_slot(part, NOTE_SLOT)
}

/// `cracen_kmu_key_slot_provision`.
fn provision_slot(
    part: &mut Silicon,
    slot: KeySlot,
    content: &SlotContent,
) -> Result<(), KmuEvent> {
    match part.strike(Call::KmuProvision) {
        Some(Effect::Error) => return Err(KmuEvent::Error),
        Some(Effect::Nothing) => return Ok(()),
        None => {}
    }
    part.enable_write(true);
    let result = part.provision_slot(slot, content);
    part.enable_write(false);
    result
}

/// `cracen_kmu_key_slots_revoke`, of one slot.
fn revoke_slot(part: &mut Silicon, slot: KeySlot) -> Result<(), KmuEvent> {
    match part.strike(Call::KmuRevoke) {
        Some(Effect::Error) => return Err(KmuEvent::Error),
        Some(Effect::Nothing) => return Ok(()),
        None => {}
    }
    part.enable_write(true);
    let result = part.revoke_slot(slot);
    part.enable_write(false);
    result
}

/// `hw_unique_key_derive_key` without a context.
pub fn derive_from_huk(part: &mut Silicon, huk: u32, label: &[u8], derived: &mut [u8]) -> Code {
    let key = match huk {
        0 => GeneratedKey::Mkek,
        1 => GeneratedKey::Mext,
        _ => return INVALID_ARGUMENT,
    };
    ikg::derive(part, key, label, &[], derived).map_or(HUK_DERIVE_FAILED, |()| 0)
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::signature::hazmat::PrehashVerifier;
    use p256::ecdsa::{Signature, VerifyingKey};

    use super::*;
    use crate::drivers::{self, LIFECYCLE_INVALID, LIFECYCLE_UNREADABLE};
    use crate::faults::Fault;
    use crate::illegal_access::IllegalAccess;
    use crate::power::{Cut, Reach};
    use crate::soc::Soc;

    fn part() -> Silicon {
        Silicon::erased(Soc::Nrf54l15, [7; 32])
    }

    fn with_seed(byte: u8) -> Silicon {
        let mut part = part();
        assert_eq!(write_seed(&mut part, &[byte; 48]), 0);
        part
    }

    fn metadata(part: &mut Silicon) -> [Result<u32, KmuEvent>; 4] {
        [0, 1, 2, 3].map(|index| seed_slot(part, index).unwrap().metadata)
    }

    const BLANK: Result<u32, KmuEvent> = Err(KmuEvent::Error);

    #[test]
    fn a_seed_takes_three_slots_and_leaves_no_note() {
        let mut part = with_seed(1);
        for index in 0..3 {
            let SlotOfSeed { metadata, written } = seed_slot(&mut part, index).unwrap();
            assert_eq!(metadata, Ok(written));
        }
        assert_eq!(metadata(&mut part)[3], BLANK);
        assert_eq!(seed_slot(&mut part, 4), Err(INVALID_ARGUMENT));
        assert_eq!(write_seed(&mut part, &[2; 48]), HUK_WRITE_FAILED);
        assert_eq!(part.illegal_access(), None, "the driver looks first");
    }

    #[test]
    fn keys_follow_from_the_seed_and_differ() {
        let derive = |byte: u8, huk| {
            let mut derived = [0; 32];
            assert_eq!(derive_from_huk(&mut with_seed(byte), huk, b"label", &mut derived), 0);
            derived
        };
        assert_eq!(derive(1, 0), derive(1, 0));
        assert_ne!(derive(1, 0), derive(1, 1));
        assert_ne!(derive(1, 0), derive(2, 0));
        assert_eq!(
            derive_from_huk(&mut part(), 0, b"label", &mut [0; 32]),
            HUK_DERIVE_FAILED,
            "no seed"
        );
        assert_eq!(derive_from_huk(&mut with_seed(1), 2, b"", &mut [0; 32]), INVALID_ARGUMENT);
    }

    #[test]
    fn the_identity_key_signs() {
        let mut part = with_seed(3);
        let mut public_key = [0; 65];
        let mut signature = [0; 64];
        ikg::public_key(&mut part, &mut public_key).unwrap();
        ikg::sign(&mut part, &[9; 32], &mut signature).unwrap();
        let key = VerifyingKey::from_sec1_bytes(&public_key).unwrap();
        key.verify_prehash(&[9; 32], &Signature::from_slice(&signature).unwrap()).unwrap();
        assert!(part.seed_is_locked());
        assert_eq!(part.push_slot(SEED_SLOT), Err(KmuEvent::Error), "behind the lock");
        assert_eq!(part.illegal_access(), Some(IllegalAccess::SeedRegister));
    }

    #[test]
    fn a_part_without_a_seed_has_no_identity() {
        assert!(ikg::public_key(&mut part(), &mut [0; 65]).is_err());
        assert!(ikg::sign(&mut part(), &[0; 32], &mut [0; 64]).is_err());
    }

    /// What the driver does after a cut: a note before the first slot it takes back, a slot that is locked it cannot.
    #[test]
    fn the_driver_is_stuck_behind_a_cut_between_slots() {
        for (writes, blank, can_go_on) in
            [(3, 3, true), (7, 3, true), (14, 2, false), (26, 0, false)]
        {
            let mut part = part();
            part.cut(Cut { write: writes, reach: Reach::After });
            assert_eq!(write_seed(&mut part, &[1; 48]), HUK_WRITE_FAILED);
            part.restart([8; 32]);
            let found = metadata(&mut part);
            assert_eq!(found[..3].iter().filter(|slot| **slot == BLANK).count(), blank);
            assert_eq!(found[3].is_ok(), writes >= 7, "{writes}");
            assert_eq!(write_seed(&mut part, &[2; 48]) == 0, can_go_on, "{writes}");
            assert_eq!(part.illegal_access(), None);
        }
    }

    #[test]
    fn a_seed_is_completed_behind_a_cut_at_any_word() {
        for write in 8..=26 {
            let mut part = part();
            part.cut(Cut { write, reach: Reach::After });
            assert_eq!(write_seed(&mut part, &[1; 48]), HUK_WRITE_FAILED);
            part.restart([8; 32]);
            let before = part.memory();
            assert_eq!(complete_seed(&mut part, &[2; 48]), 0, "{write}");
            assert_eq!(part.illegal_access(), None);
            for index in 0..3 {
                let SlotOfSeed { metadata, written } = seed_slot(&mut part, index).unwrap();
                assert_eq!(metadata, Ok(written));
            }
            assert_eq!(metadata(&mut part)[3], BLANK);
            // What was written stays.
            let slots = |words: &[u32]| words.as_chunks::<7>().0[183..186].to_vec();
            for (before, after) in slots(&before.key_store).iter().zip(slots(part.key_store())) {
                let kept = if before[6] == !0 { 0x0202_0202 } else { 0x0101_0101 };
                assert_eq!(after[..4], [kept; 4], "{write}");
            }
        }
        let mut revoked = with_seed(1);
        revoked.key_store_mut()[7 * 184 + 6] = 0;
        assert_eq!(complete_seed(&mut revoked, &[2; 48]), HUK_WRITE_FAILED);
        assert_eq!(complete_seed(&mut with_seed(1), &[2; 48]), HUK_WRITE_FAILED, "no note");
    }

    #[test]
    fn a_failed_slot_leaves_what_was_written() {
        for nth in 1..=4 {
            let mut part = part();
            part.arm(Fault { call: Call::KmuProvision, nth, effect: Effect::Error });
            assert_eq!(write_seed(&mut part, &[1; 48]), HUK_WRITE_FAILED);
            let whole = metadata(&mut part)[..3].iter().filter(|slot| slot.is_ok()).count();
            assert_eq!(whole, (nth as usize).saturating_sub(2));
        }
    }

    #[test]
    fn the_lifecycle_has_words() {
        let mut part = part();
        assert_eq!(drivers::lifecycle(&mut part), Ok(drivers::ASSEMBLY));
        assert_eq!(drivers::enter_provisioning(&mut part), 0);
        assert_eq!(drivers::lifecycle(&mut part), Ok(drivers::PROVISIONING));
        assert_eq!(part.page()[0x140..0x144], [0, !0, !0, !0]);
        part.page_mut()[0x141] = 0;
        assert_eq!(drivers::lifecycle(&mut part), Ok(drivers::SECURED));
        assert_eq!(drivers::enter_provisioning(&mut part), LIFECYCLE_INVALID);
        part.page_mut()[0x143] = 0;
        assert_eq!(drivers::lifecycle(&mut part), Ok(drivers::DECOMMISSIONED));
        for word in [0x0000_FFFF, 0xFFFF_0000, 1] {
            part.page_mut()[0x140] = word;
            assert_eq!(drivers::lifecycle(&mut part), Err(LIFECYCLE_UNREADABLE), "{word:#x}");
        }
    }

    #[test]
    fn the_implementation_id_is_behind_it_and_written_once() {
        let mut part = part();
        for index in 0..8 {
            assert_eq!(drivers::write_implementation_id_word(&mut part, index, index), 0);
        }
        let mut id = [0; 32];
        drivers::read_implementation_id(&mut part, &mut id);
        assert!(
            (0..).zip(id.as_chunks().0).all(|(index, word)| u32::from_le_bytes(*word) == index)
        );
        assert_eq!(part.page()[0x144..0x14C], [0, 1, 2, 3, 4, 5, 6, 7]);
        let again = drivers::write_implementation_id_word(&mut part, 3, 0);
        assert_eq!(again, crate::platform::EIO, "the driver looks first");
        assert_eq!(part.page()[0x147], 3);
        assert_eq!(part.illegal_access(), None);
    }

    #[test]
    fn a_second_write_to_otp_past_the_driver_freezes() {
        let mut part = part();
        part.enable_write(true);
        part.write(0x00FF_D500, 0).unwrap();
        assert!(part.write(0x00FF_D000, 0x1234).is_ok() && part.write(0x00FF_D000, !0).is_ok());
        let twice = IllegalAccess::OtpWrittenTwice(0x00FF_D500);
        assert_eq!(part.write(0x00FF_D500, !0), Err(twice));
        assert_eq!(part.illegal_access(), Some(twice));
    }

    #[test]
    fn the_kmu_writes_in_write_mode_and_on_this_part_only() {
        let mut locked = with_seed(1);
        assert_eq!(locked.revoke_slot(SEED_SLOT), Err(KmuEvent::Error));
        let refused = IllegalAccess::SlotWriteNotEnabled(SEED_SLOT);
        assert_eq!(locked.illegal_access(), Some(refused));
        let mut other = Silicon::erased(Soc::Nrf5340, [0; 32]);
        assert_eq!(other.slot_metadata(SEED_SLOT), Err(KmuEvent::Error));
        assert!(matches!(other.illegal_access(), Some(IllegalAccess::NotOnThisPart(_))));
    }
}
