// SPDX-License-Identifier: Apache-2.0

//! Judges what is in a part, from its UICR page alone. It shares no code with the procedure that wrote it:
//! addresses, values and rules are written down here once more, from the same manuals.

use p256::SecretKey;
use p256::elliptic_curve::sec1::ToSec1Point;
use silicon::{Family, KeySlot, Silicon, Soc, UICR_WORDS, platform, seed_drivers};

/// What a part must hold.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The implementation ID.
    pub implementation_id: [u8; 32],
    /// The public identity key as the run has reported it, if it has.
    pub public_key: Option<[u8; 65]>,
}

/// What is wrong with the part, of whatever family; empty if it is a provisioned one.
#[must_use]
pub fn problems_of(part: &Silicon, wanted: &Wanted) -> Vec<String> {
    match part.soc().family() {
        Family::CryptoCell => problems(part.soc(), part.page(), wanted),
        Family::Cracen => seed_problems(part, wanted),
    }
}

/// The same for a part whose keys are derived from a seed.
fn seed_problems(part: &Silicon, wanted: &Wanted) -> Vec<String> {
    let mut problems = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            problems.push(what);
        }
    };

    // OTP begins at 0x500 of UICR, and has 0x140 words: four of the lifecycle state, eight of the implementation ID.
    let page = part.page();
    let is_blank = |words: &[u32]| words.iter().all(|word| *word == !0);
    must(is_blank(&page[..0x140]), String::from("a UICR register is written"));
    must(page[0x140] == 0, format!("lifecycle word {:#010x}", page[0x140]));
    must(is_blank(&page[0x141..0x144]), format!("lifecycle words {:08x?}", &page[0x141..0x144]));
    let id: Vec<u8> = page[0x144..0x14C].iter().flat_map(|word| word.to_le_bytes()).collect();
    must(id == wanted.implementation_id, format!("implementation ID {id:02x?}"));
    must(is_blank(&page[0x14C..]), String::from("other words of UICR are written"));

    // VALUE, DEST, METADATA, RPOLICY, which is LOCKED (2) for a seed.
    let slots = part.key_store().as_chunks::<7>().0;
    for (number, slot) in slots.iter().enumerate() {
        let [value @ .., dest, metadata, policy] = slot;
        let (dest_wanted, metadata_wanted, policy_wanted) = match number {
            183 => (0x5004_8410, 0x0150_0010, 2),
            184 => (0x5004_8420, !0, 2),
            185 => (0x5004_8430, !0, 2),
            // What the driver writes when it is used, ROTATING, and takes back where that was cut off at its end.
            248 | 249 if slots[248][6] == !0 && slots[249][6] == !0 => continue,
            248 => (0x5181_0040, 0x02C0_0000, 1),
            249 => (0x5181_0050, !0, 1),
            _ => {
                // To the KMU a slot without a policy is erased, whatever a cut has left in it.
                must(*policy == !0, format!("slot {number} is written: {slot:08x?}"));
                continue;
            }
        };
        let is_as_written =
            (*dest, *metadata, *policy) == (dest_wanted, metadata_wanted, policy_wanted);
        must(is_as_written, format!("slot {number}: {slot:08x?}"));
        // A random word is all ones or all zeros once in 2^31.
        let is_random = value.iter().all(|word| ![0, !0].contains(word));
        must(is_random, format!("slot {number} is not random: {value:08x?}"));
        let is_twin = slots[..number].iter().any(|other| other[..4] == *value);
        must(!is_twin, format!("slot {number} holds the same as another"));
    }

    // By the model's own generator, on a part of its own.
    let mut other = Silicon::with_memory(part.soc(), [0; 32], &part.memory());
    let mut found = [0; 65];
    let exported = seed_drivers::public_key(&mut other, &mut found);
    must(exported.is_ok(), String::from("the seed gives no identity key"));
    must(
        wanted.public_key.is_none_or(|wanted| wanted == found),
        String::from("the identity key is another than the one reported"),
    );
    problems
}

/// What is wrong with a part that stores its keys; empty if it is a provisioned one.
///
/// # Panics
/// The part is none that stores its keys.
#[must_use]
pub fn problems(soc: Soc, page: &[u32; UICR_WORDS], wanted: &Wanted) -> Vec<String> {
    let mut problems = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            problems.push(what);
        }
    };

    // OTP begins at 0x100 or 0x108 of UICR; KEYSLOT.CONFIG is at 0x400, KEYSLOT.KEY at 0x800.
    let otp = match soc {
        Soc::Nrf5340 => 0x100 / 4,
        Soc::Nrf9160 => 0x108 / 4,
        Soc::Nrf54l15 => panic!("an nRF54L15 stores no key"),
    };
    must(page[..otp].iter().all(|word| *word == !0), String::from("a UICR register is written"));
    // PROVISIONING entered, SECURED not; padding and DECOMMISSIONED not.
    must(page[otp] == 0xFFFF_0000, format!("lifecycle word {:#010x}", page[otp]));
    must(page[otp + 1] == !0, format!("second lifecycle word {:#010x}", page[otp + 1]));
    let id: Vec<u8> = page[otp + 2..otp + 10].iter().flat_map(|word| word.to_le_bytes()).collect();
    must(id == wanted.implementation_id, format!("implementation ID {id:02x?}"));
    must(
        page[otp + 10..0x100].iter().all(|word| *word == !0),
        String::from("other OTP is written"),
    );

    let header = |slot: usize| [page[0x100 + 2 * slot], page[0x101 + 2 * slot]];
    let value = |slot: usize| &page[0x200 + 4 * slot..0x204 + 4 * slot];
    let huk_slots: &[(usize, u32)] = match soc {
        Soc::Nrf5340 => &[(2, 0x5084_5400), (3, 0x5084_5410), (4, 0x5084_5400), (5, 0x5084_5410)],
        Soc::Nrf9160 => &[(2, 0x5084_1400), (4, 0x5084_1400)],
        Soc::Nrf54l15 => &[],
    };
    for (slot, dest) in huk_slots {
        must(
            header(*slot) == [*dest, 0xFFFF_FFFC],
            format!("HUK slot {slot}: {:#010x?}", header(*slot)),
        );
    }
    for slot in [6, 7] {
        must(
            header(slot)[1] == 0xFFFF_FFFA,
            format!("identity slot {slot}: {:#010x?}", header(slot)),
        );
    }
    let used: Vec<usize> = huk_slots.iter().map(|(slot, _)| *slot).chain([6, 7]).collect();
    for slot in 0..128 {
        if used.contains(&slot) {
            // A random word is all ones or all zeros once in 2^31.
            let random = value(slot).iter().all(|word| ![0, !0].contains(word));
            must(random, format!("slot {slot} is not random: {:08x?}", value(slot)));
            let twin = used.iter().any(|other| *other < slot && value(*other) == value(slot));
            must(!twin, format!("slot {slot} holds the same as another"));
        } else {
            let blank = header(slot) == [!0; 2] && value(slot) == [!0; 4];
            must(blank, format!("slot {slot} is written"));
        }
    }

    match identity_key(soc, page) {
        None => must(false, String::from("the identity key is no secp256r1 private key")),
        Some(found) => must(
            wanted.public_key.is_none_or(|wanted| wanted == found),
            String::from("the identity key is another than the one reported"),
        ),
    }
    problems
}

/// The public half of the identity key in a page, by the model's own decryption.
fn identity_key(soc: Soc, page: &[u32; UICR_WORDS]) -> Option<[u8; 65]> {
    const KIDENT: KeySlot = 6;
    let mut part = Silicon::with_page(soc, [0; 32], *page);
    let mut key = [0; 32];
    if platform::identity_key_retrieve(&mut part, KIDENT, &mut key) != 0 {
        return None;
    }
    let key = SecretKey::from_slice(&key).ok()?;
    key.public_key().to_sec1_point(false).as_bytes().try_into().ok()
}
