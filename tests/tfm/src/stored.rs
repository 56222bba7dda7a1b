// SPDX-License-Identifier: Apache-2.0

//! Parts that store their keys, CryptoCell: those that are not as the image leaves them, and what becomes of each.

use nrf_keys::Drivers;
use provisioning::HukSize;
use silicon::{
    ERASED, KeySlot, Silicon, Soc, UICR_BASE, dest_address, perm_address, slot, value_address,
};

use crate::fate::{Fate, Image, Tfm, Wrote};

/// What is wrong with a part: the state after a run that was cut off, or one that no run leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Nothing.
    None,
    /// UICR does not close its debug ports: the line has not done so yet.
    OpenPorts,
    /// A run that was cut off after the lifecycle state.
    OnlyLifecycle,
    /// After the implementation ID.
    OnlyId,
    /// After the MKEK.
    OnlyMkek,
    /// After both HUKs.
    OnlyHuks,
    /// Half of the bits of the lifecycle state.
    TornLifecycle,
    /// A run that was cut off in the implementation ID.
    TornId,
    /// In the value of the MEXT.
    TornMext,
    /// In the value of the identity key.
    TornIdentityKey,
    /// Before the identity key's second slot was closed.
    OpenIdentityKey,
    /// The implementation ID alone is blank.
    BlankId,
    /// The MEXT alone is blank.
    BlankMext,
    /// One bit of the identity key differs.
    OtherIdentityKey,
    /// What the SDK's `provision.hex` for MCUboot alone leaves: zeros from lifecycle state and implementation ID on.
    ZerosInOtp,
    /// Nothing was ever written.
    Erased,
}

/// How many the identity key has: `nrf_cc3xx_platform_identity_key.h`, "uses 2".
const IDENTITY_KEY_SLOTS: u32 = 2;

/// Half of a word's bits.
const HALF: u32 = 0x00FF_00FF;

impl Defect {
    /// Every one.
    pub const ALL: [Self; 16] = [
        Self::None,
        Self::OpenPorts,
        Self::OnlyLifecycle,
        Self::OnlyId,
        Self::OnlyMkek,
        Self::OnlyHuks,
        Self::TornLifecycle,
        Self::TornId,
        Self::TornMext,
        Self::TornIdentityKey,
        Self::OpenIdentityKey,
        Self::BlankId,
        Self::BlankMext,
        Self::OtherIdentityKey,
        Self::ZerosInOtp,
        Self::Erased,
    ];

    /// Makes it of a part that is provisioned, past all protection.
    pub fn apply(self, part: &mut Silicon) {
        let huk = part.soc().slots_per_huk();
        let (mkek, mext) = ((slot::MKEK, huk), (slot::MEXT, huk));
        let identity_key = (slot::KIDENT, IDENTITY_KEY_SLOTS);
        match self {
            Self::None => {}
            Self::OpenPorts => {
                ports(part.soc()).into_iter().for_each(|port| change(part, port, |_| ERASED))
            }
            Self::OnlyLifecycle => {
                erase_id(part);
                erase_keys(part, [mkek, mext, identity_key]);
            }
            Self::OnlyId => erase_keys(part, [mkek, mext, identity_key]),
            Self::OnlyMkek => erase_keys(part, [mext, identity_key]),
            Self::OnlyHuks => erase_keys(part, [identity_key]),
            Self::TornLifecycle => {
                Self::Erased.apply(part);
                // The state PROVISIONING is the lower halfword.
                let lifecycle = part.soc().bl_storage();
                change(part, lifecycle, |word| word & !0x0000_00FF);
            }
            Self::TornId => {
                Self::OnlyId.apply(part);
                let id = id(part);
                (4..8).for_each(|word| change(part, id + 4 * word, |_| ERASED));
            }
            Self::TornMext => {
                // The driver writes a key's slots one after the other.
                erase_keys(part, [(slot::MEXT + 1, huk - 1), identity_key]);
                change(part, perm_address(slot::MEXT), |_| ERASED);
                change(part, value_address(slot::MEXT) + 12, |word| word | HALF);
            }
            Self::TornIdentityKey => {
                erase_keys(part, [(slot::KIDENT + 1, 1)]);
                change(part, perm_address(slot::KIDENT), |_| ERASED);
                change(part, value_address(slot::KIDENT) + 12, |word| word | HALF);
            }
            Self::OpenIdentityKey => {
                change(part, perm_address(slot::KIDENT + 1), |_| ERASED);
            }
            Self::BlankId => erase_id(part),
            Self::BlankMext => erase_keys(part, [mext]),
            Self::OtherIdentityKey => change(part, value_address(slot::KIDENT), |word| word ^ 1),
            Self::ZerosInOtp => {
                Self::Erased.apply(part);
                let otp = part.soc().bl_storage();
                (0..13).for_each(|word| change(part, otp + 4 * word, |_| 0));
            }
            Self::Erased => part.page_mut().fill(ERASED),
        }
    }
}

/// The drivers of the image.
pub fn drivers() -> Drivers {
    let size = HukSize::from_bits(zephyr::kconfig::CONFIG_PROVISIONING_HUK_BITS as usize);
    // SAFETY: the only drivers of the image that live, used from the main thread.
    unsafe { Drivers::new(size.expect("Kconfig has a size of a HUK")) }
}

/// The addresses of APPROTECT and SECUREAPPROTECT: MDK, `NRF_UICR_Type`.
const fn ports(soc: Soc) -> [u32; 2] {
    let secure = match soc {
        Soc::Nrf5340 => 0x1C,
        Soc::Nrf9160 => 0x2C,
    };
    [UICR_BASE, UICR_BASE + secure]
}

/// Closes both debug ports from the next reset on, as a line does with `nrfutil device protection-set`.
pub fn close_ports(part: &mut Silicon) {
    ports(part.soc()).into_iter().for_each(|port| change(part, port, |_| 0));
}

/// The words that TF-M writes to secure a part, by their index among all that the part keeps: APPROTECT, SECUREAPPROTECT,
/// and the lifecycle state. All are zero then.
pub fn secured_words(soc: Soc) -> [usize; 3] {
    let [approtect, secure_approtect] = ports(soc);
    [approtect, secure_approtect, soc.bl_storage()].map(index)
}

/// Whether a word, by this index, is in the key slots of the HUKs.
pub fn is_of_keys(soc: Soc, word: usize) -> bool {
    let slots = [slot::MKEK, slot::MEXT].into_iter().flat_map(|huk| huk..huk + soc.slots_per_huk());
    slots.into_iter().any(|slot| {
        (0..2).any(|header| index(dest_address(slot) + 4 * header) == word)
            || (0..4).any(|value| index(value_address(slot) + 4 * value) == word)
    })
}

const fn index(address: u32) -> usize {
    (address - UICR_BASE) as usize / 4
}

/// What is expected of a part with this defect. Where TF-M secures a part that the image refuses, the image is the
/// last check. `wants_closed_ports`: this TF-M does not close the debug ports itself.
pub const fn expected(defect: Defect, wants_closed_ports: bool) -> Fate {
    use Image::{Completes, FindsGood, Refuses};
    use Tfm::{Attests, AttestsBlankId, AttestsOtherKey, Panics, Resets};
    let (image, tfm, wrote, image_after) = match defect {
        Defect::OpenPorts if wants_closed_ports => {
            (FindsGood, [Panics, Panics], Wrote::Nothing, FindsGood)
        }
        Defect::None | Defect::OpenPorts => (FindsGood, [Resets, Attests], Wrote::Secured, Refuses),
        // TF-M makes HUKs of its own where there are none, and stops for want of an identity key.
        Defect::OnlyLifecycle | Defect::TornId | Defect::Erased => {
            (Completes, [Panics, Panics], Wrote::Keys, Refuses)
        }
        Defect::OnlyId => (Completes, [Panics, Panics], Wrote::Keys, Completes),
        Defect::OnlyMkek | Defect::OnlyHuks => {
            (Completes, [Panics, Panics], Wrote::Nothing, Completes)
        }
        Defect::TornLifecycle | Defect::ZerosInOtp => {
            (Refuses, [Panics, Panics], Wrote::Keys, Refuses)
        }
        Defect::TornMext => (Refuses, [Panics, Panics], Wrote::Nothing, Refuses),
        // Nothing in TF-M knows which key it should be.
        Defect::TornIdentityKey => (Refuses, [Resets, AttestsOtherKey], Wrote::Secured, Refuses),
        Defect::OpenIdentityKey => (Refuses, [Resets, Attests], Wrote::Secured, Refuses),
        Defect::BlankId => (Refuses, [Resets, AttestsBlankId], Wrote::Secured, Refuses),
        // Secured, and does not run.
        Defect::BlankMext => (Refuses, [Resets, Panics], Wrote::Secured, Refuses),
        // Only the record tells: it has the public key from before.
        Defect::OtherIdentityKey => (FindsGood, [Resets, AttestsOtherKey], Wrote::Secured, Refuses),
    };
    Fate { image, tfm, wrote, image_after }
}

/// The address of the implementation ID: `struct bl_storage_data`.
fn id(part: &Silicon) -> u32 {
    part.soc().bl_storage() + 8
}

fn erase_id(part: &mut Silicon) {
    let id = id(part);
    (0..8).for_each(|word| change(part, id + 4 * word, |_| ERASED));
}

/// Keys, each by its first slot and how many it has.
fn erase_keys<const N: usize>(part: &mut Silicon, keys: [(KeySlot, u32); N]) {
    for slot in keys.into_iter().flat_map(|(first, count)| first..first + count) {
        change(part, dest_address(slot), |_| ERASED);
        change(part, perm_address(slot), |_| ERASED);
        (0..4).for_each(|word| change(part, value_address(slot) + 4 * word, |_| ERASED));
    }
}

fn change(part: &mut Silicon, address: u32, change: impl FnOnce(u32) -> u32) {
    if let Some(word) = part.page_mut().get_mut(index(address)) {
        *word = change(*word);
    }
}
