// SPDX-License-Identifier: Apache-2.0

//! Parts that derive their keys from a seed, nRF54L15: those that are not as the image leaves them, and what becomes of
//! each.

use nrf_keys::SeedDrivers;
use silicon::ikg::{SEED_SLOT, SEED_SLOTS};
use silicon::seed_drivers::{INVALIDATION_SLOT, NOTE_METADATA, NOTE_SLOT, SECONDARY_METADATA};
use silicon::{ERASED, KeySlot, RevokePolicy, SLOT_WORDS, Silicon, Soc, UICR_WORDS};

use crate::fate::{Fate, Image, Tfm, Wrote};

/// What is wrong with a part: the state after a run that was cut off, or one that no run leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Nothing.
    None,
    /// Nothing; and NSIB's public key is in its key slots.
    NsibKey,
    /// UICR does not close its debug ports: the line has not done so yet.
    OpenPorts,
    /// One of the ports' four words is blank, by its place in [`PORTS`], as after a loss of power between them.
    BlankPortWord(usize),
    /// The ports' words hold some other value.
    OddPorts,
    /// A run that was cut off after the lifecycle state.
    OnlyLifecycle,
    /// After the implementation ID.
    OnlyId,
    /// The same, and the debug ports are open.
    OnlyIdOpenPorts,
    /// Half of the bits of the lifecycle state.
    TornLifecycle,
    /// A run that was cut off in the implementation ID.
    TornId,
    /// After the first slot of the seed.
    OneSlot,
    /// After the second.
    TwoSlots,
    /// After the third, before the driver took back its note.
    NoteLeft,
    /// The implementation ID alone is blank.
    BlankId,
    /// One bit of the seed differs.
    OtherSeed,
    /// What the SDK's `provision.hex` for MCUboot alone leaves: zeros from lifecycle state and implementation ID on.
    ZerosInOtp,
    /// Nothing was ever written, and the line has closed the debug ports.
    Blank,
    /// Nothing was ever written.
    Erased,
}

/// The indices of both debug ports' words in UICR: `PROTECT0` and `PROTECT1` of APPROTECT and SECUREAPPROTECT, MDK,
/// `nrf54l15_application.svd`.
const PORTS: [usize; 4] = [0, 7, 8, 15];

/// Closes a port. The MDK names the value that leaves it open alone, which is that of an erased word.
const CLOSED: u32 = 0x50FA_50FA;

/// NSIB's first public key, `BL_PUBKEY` of `west ncs-provision`, in two slots.
const NSIB_SLOT: KeySlot = 242;
/// sdk-nrf, "Setting up KMU metadata and destination addresses for production": Ed25519, verification, read-only.
const NSIB_METADATA: u32 = 0x113A_0030;
/// The same: the driver's push area.
const PUSH_AREA: u32 = 0x2000_0000;

/// Half of a word's bits.
const HALF: u32 = 0x00FF_00FF;

impl Defect {
    /// Every one.
    pub const ALL: [Self; 21] = [
        Self::None,
        Self::NsibKey,
        Self::OpenPorts,
        Self::BlankPortWord(0),
        Self::BlankPortWord(1),
        Self::BlankPortWord(2),
        Self::BlankPortWord(3),
        Self::OddPorts,
        Self::OnlyLifecycle,
        Self::OnlyId,
        Self::OnlyIdOpenPorts,
        Self::TornLifecycle,
        Self::TornId,
        Self::OneSlot,
        Self::TwoSlots,
        Self::NoteLeft,
        Self::BlankId,
        Self::OtherSeed,
        Self::ZerosInOtp,
        Self::Blank,
        Self::Erased,
    ];

    /// Makes it of a part that is provisioned, past all protection.
    pub fn apply(self, part: &mut Silicon) {
        let lifecycle = lifecycle(part.soc());
        let id = lifecycle + 4;
        match self {
            Self::None => {}
            Self::NsibKey => {
                for index in 0..2 {
                    let dest = PUSH_AREA + 16 * index;
                    let metadata = if index == 0 { NSIB_METADATA } else { SECONDARY_METADATA };
                    set_slot(
                        part,
                        NSIB_SLOT + index,
                        0x2420_0242,
                        dest,
                        metadata,
                        RevokePolicy::Locked,
                    );
                }
            }
            Self::OpenPorts => PORTS.into_iter().for_each(|word| part.page_mut()[word] = ERASED),
            Self::BlankPortWord(place) => part.page_mut()[PORTS[place]] = ERASED,
            Self::OddPorts => PORTS.into_iter().for_each(|word| part.page_mut()[word] = 1),
            Self::OnlyLifecycle => {
                Self::OnlyId.apply(part);
                Self::BlankId.apply(part);
            }
            Self::OnlyId => erase_slots(part, SEED_SLOT, SEED_SLOTS),
            Self::OnlyIdOpenPorts => {
                Self::OnlyId.apply(part);
                Self::OpenPorts.apply(part);
            }
            Self::TornLifecycle => {
                Self::OnlyLifecycle.apply(part);
                part.page_mut()[lifecycle] = HALF;
            }
            Self::TornId => {
                Self::OnlyId.apply(part);
                part.page_mut()[id + 4..id + 8].fill(ERASED);
            }
            Self::OneSlot => {
                Self::NoteLeft.apply(part);
                erase_slots(part, SEED_SLOT + 1, 2);
            }
            Self::TwoSlots => {
                Self::NoteLeft.apply(part);
                erase_slots(part, SEED_SLOT + 2, 1);
            }
            Self::NoteLeft => {
                set_slot(part, NOTE_SLOT, 0, 0, NOTE_METADATA, RevokePolicy::Rotating);
            }
            Self::BlankId => part.page_mut()[id..id + 8].fill(ERASED),
            Self::OtherSeed => part.key_store_mut()[first_word(SEED_SLOT)] ^= 1,
            Self::ZerosInOtp => {
                Self::Blank.apply(part);
                // Behind the implementation ID the addresses of slots, and the number of keys.
                part.page_mut()[lifecycle..lifecycle + 15].fill(0);
            }
            Self::Blank => {
                Self::Erased.apply(part);
                close_ports(part);
            }
            Self::Erased => {
                part.page_mut().fill(ERASED);
                part.key_store_mut().fill(ERASED);
            }
        }
    }
}

/// The drivers of the image.
pub fn drivers() -> SeedDrivers {
    // SAFETY: the only drivers of the image that live, used from the main thread.
    unsafe { SeedDrivers::new() }
}

/// Closes both debug ports from the next reset on, as a line does with `nrfutil device protection-set`.
pub fn close_ports(part: &mut Silicon) {
    PORTS.into_iter().for_each(|word| part.page_mut()[word] = CLOSED);
}

/// The words that TF-M writes to secure a part, by their index among all that the part keeps: of the lifecycle state, the
/// word SECURED. It is zero then.
pub fn secured_words(soc: Soc) -> [usize; 1] {
    [lifecycle(soc) + 1]
}

/// Whether a word, by this index, is in the slots of the seed, or in those that the driver fills for itself.
pub fn is_of_keys(_: Soc, word: usize) -> bool {
    let slots = (SEED_SLOT..SEED_SLOT + SEED_SLOTS).chain(INVALIDATION_SLOT..INVALIDATION_SLOT + 2);
    slots.into_iter().any(|slot| {
        let first = UICR_WORDS + first_word(slot);
        (first..first + SLOT_WORDS).contains(&word)
    })
}

/// What is expected of a part with this defect. Where TF-M secures a part that the image refuses, or has not completed,
/// the image is the last check.
pub const fn expected(defect: Defect, _wants_closed_ports: bool) -> Fate {
    use Image::{Completes, FindsGood, Refuses};
    use Tfm::{Attests, AttestsBlankId, AttestsOtherKey, DoesNotAttest, Panics, Resets};
    let (image, tfm, wrote, image_after) = match defect {
        Defect::None | Defect::NsibKey | Defect::OddPorts => {
            (FindsGood, [Resets, Attests], Wrote::Secured, Refuses)
        }
        Defect::OpenPorts | Defect::BlankPortWord(_) => {
            (FindsGood, [Panics, Panics], Wrote::Nothing, FindsGood)
        }
        // TF-M makes a seed of its own where there is none, and looks for no other key.
        Defect::OnlyLifecycle | Defect::OnlyId | Defect::TornId => {
            (Completes, [Resets, AttestsOtherKey], Wrote::KeysAndSecured, Refuses)
        }
        Defect::OnlyIdOpenPorts => (Completes, [Panics, Panics], Wrote::Keys, FindsGood),
        Defect::TornLifecycle | Defect::ZerosInOtp => {
            (Refuses, [Panics, Panics], Wrote::Keys, Refuses)
        }
        Defect::Blank | Defect::Erased => (Completes, [Panics, Panics], Wrote::Keys, Refuses),
        // It looks at the first slot alone.
        Defect::OneSlot | Defect::TwoSlots => {
            (Refuses, [Resets, DoesNotAttest], Wrote::Secured, Refuses)
        }
        Defect::NoteLeft => (Refuses, [Resets, Attests], Wrote::Secured, Refuses),
        Defect::BlankId => (Refuses, [Resets, AttestsBlankId], Wrote::Secured, Refuses),
        // Only the record tells: it has the public key from before.
        Defect::OtherSeed => (FindsGood, [Resets, AttestsOtherKey], Wrote::Secured, Refuses),
    };
    Fate { image, tfm, wrote, image_after }
}

/// The index of the lifecycle state in UICR: four words, and the implementation ID behind them (`struct bl_storage_data`).
const fn lifecycle(soc: Soc) -> usize {
    (soc.bl_storage() - soc.uicr_base()) as usize / 4
}

/// The index of a slot's first word in the key store.
const fn first_word(slot: KeySlot) -> usize {
    SLOT_WORDS * slot as usize
}

fn erase_slots(part: &mut Silicon, first: KeySlot, count: u32) {
    for slot in first..first + count {
        part.key_store_mut()[first_word(slot)..][..SLOT_WORDS].fill(ERASED);
    }
}

fn set_slot(
    part: &mut Silicon,
    slot: KeySlot,
    value: u32,
    dest: u32,
    metadata: u32,
    policy: RevokePolicy,
) {
    let words = [value, value, value, value, dest, metadata, policy as u32];
    part.key_store_mut()[first_word(slot)..][..SLOT_WORDS].copy_from_slice(&words);
}
