// SPDX-License-Identifier: Apache-2.0

//! Stand-ins for what the SDK does with the seed of an nRF54L15: `hw_unique_key_cracen_kmu.c`, and of the CRACEN driver
//! `cracen_psa_kmu.c`, `hardware.c` and `common.c`, all of sdk-nrf 3.4.99.
//!
//! The driver fills two slots with random numbers of its own, which it pushes over keys in CRACEN's protected RAM, and
//! refuses all work without them. It writes them when it is first used, with the same note as for a seed.

use log::error;
use zeroize::{Zeroize, Zeroizing};

use crate::drivers::{HUK_DERIVE_FAILED, HUK_WRITE_FAILED, INVALID_ARGUMENT};
use crate::faults::{Call, Effect};
use crate::ikg::{self, GeneratedKey, SEED_SLOT, SEED_SLOTS};
use crate::key_store::{KmuEvent, RevokePolicy, SlotContent};
use crate::part::Silicon;
use crate::platform::{self, Code};
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

/// `PROTECTED_RAM_INVALIDATION_DATA_SLOT1`, and the one behind it: random numbers of the driver's own.
pub const INVALIDATION_SLOT: KeySlot = 248;
/// `kmu_metadata` of the first: scheme PROTECTED, AES, 256 bits, policy ROTATING, usage ENCRYPT.
pub const INVALIDATION_METADATA: u32 = 0x02C0_0000;
/// What the driver notes while it writes them.
const INVALIDATION_NOTE: u32 = INVALIDATION_SLOT << 8 | 2;
/// `CRACEN_PROTECTED_RAM_AES_KEY0` of the MDK.
const PROTECTED_RAM: u32 = 0x5181_0040;

/// `PSA_ERROR_INVALID_ARGUMENT`: what the driver makes of a seed that cannot be pushed.
pub const NO_SEED: Code = -135;
/// `PSA_ERROR_HARDWARE_FAILURE`.
pub const HARDWARE_FAILURE: Code = -147;

/// `PSA_ALG_SP800_108_COUNTER_MAC_INIT_CAPACITY` in bits: what the driver derives counts as this long, since
/// `hw_unique_key_derive_key` sets no capacity.
const DERIVED_BITS: u32 = 0x1FFF_FFFF_u32.wrapping_mul(8);

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
    let mut metadata = part.slot_metadata(slot);
    if index == 3 && metadata == Ok(INVALIDATION_NOTE) {
        let is_written = [0, 1].map(|slot| part.slot_metadata(INVALIDATION_SLOT + slot).is_ok());
        if is_written[0] == is_written[1] {
            metadata = Err(KmuEvent::Error);
        }
    }
    Ok(SlotOfSeed { metadata, written })
}

/// `cracen_init`, which every use of the driver begins with.
fn init(part: &mut Silicon) -> Result<(), KmuEvent> {
    if part.cracen_is_on() {
        return Ok(());
    }
    let slots = INVALIDATION_SLOT..INVALIDATION_SLOT + 2;
    if slots.clone().all(|slot| part.slot_metadata(slot) == Err(KmuEvent::Error)) {
        let mut random = Zeroizing::new([0; 32]);
        if platform::csrand_get(part, &mut *random) != 0 {
            return Err(KmuEvent::Error);
        }
        provision(part, &INVALIDATION, &*random)?;
    }
    for slot in slots {
        part.push_slot(slot)?;
    }
    part.turn_cracen_on();
    Ok(())
}

/// `sys_csrand_get`, where PSA Crypto is behind Zephyr's random generator.
pub fn csrand_get(part: &mut Silicon, bytes: &mut [u8]) -> Code {
    if init(part).is_err() { platform::EIO } else { platform::csrand_get(part, bytes) }
}

/// `cracen_prepare_ik_key`: pushes the seed once after each power-on, and locks its register.
fn prepare(part: &mut Silicon) -> Result<(), Code> {
    if !part.seed_is_locked() {
        if !ikg::push_seed(part) {
            return Err(NO_SEED);
        }
        part.lock_seed();
    }
    if ikg::has_seed(part) { Ok(()) } else { Err(NO_SEED) }
}

/// `psa_crypto_init` and `psa_export_public_key`, of the key generator's identity key.
///
/// # Errors
/// `PSA_ERROR_*`.
pub fn public_key(part: &mut Silicon, bytes: &mut [u8; 65]) -> Result<(), Code> {
    init(part).map_err(|_| HARDWARE_FAILURE)?;
    prepare(part)?;
    // SEC 1, section 2.3.3: uncompressed.
    let [form, point @ ..] = bytes;
    *form = 4;
    ikg::public_key(part, point).map_err(|ikg::Failed| NO_SEED)
}

/// `psa_crypto_init` and `psa_sign_hash`, with that key.
///
/// # Errors
/// `PSA_ERROR_*`.
pub fn sign(part: &mut Silicon, digest: &[u8; 32], bytes: &mut [u8; 64]) -> Result<(), Code> {
    init(part).map_err(|_| HARDWARE_FAILURE)?;
    prepare(part)?;
    ikg::sign(part, digest, bytes).map_err(|ikg::Failed| NO_SEED)
}

/// A key of several slots, as the driver provisions it.
struct KeyOfSlots {
    first: KeySlot,
    /// Of its first slot.
    metadata: u32,
    policy: RevokePolicy,
    /// Where its first slot is pushed to.
    dest: u32,
}

const SEED: KeyOfSlots = KeyOfSlots {
    first: SEED_SLOT,
    metadata: SEED_METADATA,
    policy: RevokePolicy::Locked,
    dest: SEED_REGISTER,
};
const INVALIDATION: KeyOfSlots = KeyOfSlots {
    first: INVALIDATION_SLOT,
    metadata: INVALIDATION_METADATA,
    policy: RevokePolicy::Rotating,
    dest: PROTECTED_RAM,
};

/// `psa_crypto_init` and `hw_unique_key_write`.
pub fn write_seed(part: &mut Silicon, seed: &[u8; 48]) -> Code {
    if init(part).is_err() {
        return HARDWARE_FAILURE;
    }
    let mut write = || -> Result<(), KmuEvent> {
        provision(part, &SEED, seed)?;
        // `cracen_kmu_get_builtin_key`: the driver looks at what it has imported.
        part.slot_metadata(SEED_SLOT)?;
        clean_up(part)
    };
    if write().is_err() {
        error!("hw_unique_key: the seed was not written");
        return HUK_WRITE_FAILED;
    }
    0
}

/// `cracen_kmu_provision`.
fn provision(part: &mut Silicon, key: &KeyOfSlots, bytes: &[u8]) -> Result<(), KmuEvent> {
    clean_up(part)?;
    let values = bytes.as_chunks().0;
    let mut total = 0;
    for (slot, _) in (key.first..).zip(values) {
        if part.slot_metadata(slot) != Err(KmuEvent::Error) {
            return Err(KmuEvent::Error);
        }
        total += 1;
    }
    let note = SlotContent {
        value: [0; 4],
        dest: 0,
        metadata: key.first << 8 | total,
        policy: RevokePolicy::Rotating,
    };
    provision_slot(part, NOTE_SLOT, &note)?;
    for (index, bytes) in (0..).zip(values) {
        let provisioned = provision_slot_of_key(part, key, index, bytes);
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
                Err(KmuEvent::Error) => provision_slot_of_key(part, &SEED, index, bytes)?,
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

fn provision_slot_of_key(
    part: &mut Silicon,
    key: &KeyOfSlots,
    index: u32,
    bytes: &[u8; 16],
) -> Result<(), KmuEvent> {
    let mut content = SlotContent {
        value: [0; 4],
        dest: key.dest + 16 * index,
        metadata: if index == 0 { key.metadata } else { SECONDARY_METADATA },
        policy: key.policy,
    };
    for (word, bytes) in content.value.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let provisioned = provision_slot(part, key.first + index, &content);
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

/// `psa_crypto_init` and `hw_unique_key_derive_key` without a context: `PSA_ALG_SP800_108_COUNTER_CMAC` of the PSA Certified Crypto API with
/// MKEK or MEXT, which is NIST SP 800-108r1, section 4.1, with K0 behind the input of each block (section 4, "key
/// control").
pub fn derive_from_huk(part: &mut Silicon, huk: u32, label: &[u8], derived: &mut [u8]) -> Code {
    let key = match huk {
        0 => GeneratedKey::Mkek,
        1 => GeneratedKey::Mext,
        _ => return INVALID_ARGUMENT,
    };
    if init(part).is_err() {
        return HARDWARE_FAILURE;
    }
    let mut derive = || -> Result<(), Code> {
        let bits = DERIVED_BITS.to_be_bytes();
        let mut cmac = |pieces: &[&[u8]]| {
            prepare(part)?;
            ikg::cmac(part, key, pieces).map_err(|ikg::Failed| NO_SEED)
        };
        let control = cmac(&[label, &[0], &bits])?;
        for (counter, chunk) in (1_u32..).zip(derived.chunks_mut(16)) {
            let block = cmac(&[&counter.to_be_bytes(), label, &[0], &bits, &control])?;
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    };
    derive().map_or(HUK_DERIVE_FAILED, |()| 0)
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

    fn erased() -> Silicon {
        Silicon::erased(Soc::Nrf54l15, [7; 32])
    }

    /// The driver was used before.
    fn part() -> Silicon {
        let mut part = erased();
        init(&mut part).unwrap();
        part.restart([8; 32]);
        part
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
        super::public_key(&mut part, &mut public_key).unwrap();
        sign(&mut part, &[9; 32], &mut signature).unwrap();
        let key = VerifyingKey::from_sec1_bytes(&public_key).unwrap();
        key.verify_prehash(&[9; 32], &Signature::from_slice(&signature).unwrap()).unwrap();
        assert!(part.seed_is_locked());
        assert_eq!(part.push_slot(SEED_SLOT), Err(KmuEvent::Error), "behind the lock");
        assert_eq!(part.illegal_access(), Some(IllegalAccess::SeedRegister));
    }

    /// Of all cuts, the one between the driver's own two slots is final. Then the note names them; else it says nothing.
    #[test]
    fn the_driver_needs_its_own_two_slots() {
        let mut whole = erased();
        init(&mut whole).unwrap();
        for write in 1..=whole.writes() {
            let mut part = erased();
            part.cut(Cut { write, reach: Reach::After });
            assert_eq!(csrand_get(&mut part, &mut [0; 32]), platform::EIO);
            part.restart([8; 32]);
            // The note takes seven words, and so does a slot; one of the second slot's is all ones.
            let is_stuck = (14..20).contains(&write);
            let note = seed_slot(&mut part, 3).unwrap().metadata;
            assert_eq!(note, if is_stuck { Ok(INVALIDATION_NOTE) } else { BLANK }, "{write}");
            assert_eq!(csrand_get(&mut part, &mut [0; 32]) == 0, !is_stuck, "{write}");
            assert_eq!(write_seed(&mut part, &[1; 48]) == 0, !is_stuck, "{write}");
            assert_eq!(part.illegal_access(), None);
        }
    }

    #[test]
    fn a_part_without_a_seed_has_no_identity() {
        assert_eq!(public_key(&mut part(), &mut [0; 65]), Err(NO_SEED));
        assert_eq!(sign(&mut part(), &[0; 32], &mut [0; 64]), Err(NO_SEED));
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
        assert_eq!(again, platform::EIO, "the driver looks first");
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
