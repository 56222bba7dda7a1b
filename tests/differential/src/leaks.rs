// SPDX-License-Identifier: Apache-2.0

//! Searches the RAM of the image for pieces of the part's keys: eight bytes of any HUK, seed or identity key, in
//! the order of bytes, of 32-bit words, of 64-bit words or backwards.
//!
//! Only in QEMU: on native_sim the image has no RAM of its own, and its stack is the host's.

use core::cell::RefCell;

use critical_section::Mutex;
use differential::Scenario;
#[cfg(target_arch = "arm")]
use log::error;
use log::info;
use silicon::Silicon;
#[cfg(seed_keys)]
use silicon::ikg;
#[cfg(not(seed_keys))]
use silicon::{ERASED, UICR_BASE, platform, value_address};

/// Bytes that have to be there to call it a piece.
const PIECE: usize = 8;
/// Orders of bytes in which a key is looked for.
const ORDERS: usize = 4;

/// The keys of the part under test: both HUKs or the seed as they stand in the KMU, and the identity key.
struct Keys {
    bytes: [[u8; 96]; ORDERS],
    /// How many of the 96 are a key; the others are zero.
    size: usize,
    /// A bit for each pair of bytes with which a piece can begin.
    begins: [u32; 2048],
}

static KEYS: Mutex<RefCell<Keys>> =
    Mutex::new(RefCell::new(Keys { bytes: [[0; 96]; ORDERS], size: 0, begins: [0; 2048] }));

/// A piece of a key that is there on purpose.
static CANARY: Mutex<RefCell<[u8; PIECE]>> = Mutex::new(RefCell::new([0; PIECE]));

unsafe extern "C" {
    /// Of the linker script: where the RAM of the image begins and ends.
    static _image_ram_start: u8;
    static _image_ram_end: u8;
    /// `src/clear_stack.c` of the application.
    fn provisioning_clear_stack();
}

/// The seed, and the identity key that the generator makes of it, which no driver ever has.
#[cfg(seed_keys)]
fn keys_of(part: &mut Silicon) -> [u8; 96] {
    let mut bytes = [0; 96];
    let slots = part.key_store().as_chunks::<7>().0;
    for (bytes, slot) in bytes.chunks_exact_mut(16).zip(&slots[183..186]) {
        // An erased slot holds no key, and there are many like it in RAM.
        if slot[6] != !0 {
            for (bytes, word) in bytes.chunks_exact_mut(4).zip(slot) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
        }
    }
    // Restarted, since a part that lost power or is frozen uses no key.
    part.restart([0; 32]);
    if ikg::push_seed(part)
        && let Ok(key) = ikg::private_key(part)
    {
        bytes[64..].copy_from_slice(&*key);
    }
    bytes
}

/// Both HUKs, and the identity key.
#[cfg(not(seed_keys))]
fn keys_of(part: &mut Silicon) -> [u8; 96] {
    let soc = part.soc();
    let mut bytes = [0; 96];
    let words = soc.huk_size() / 4;
    for (huk, slot) in
        bytes[..64].chunks_exact_mut(32).zip([platform::slot::MKEK, platform::slot::MEXT])
    {
        let first = (value_address(slot) - UICR_BASE) as usize / 4;
        for (bytes, word) in huk.chunks_exact_mut(4).zip(&part.page()[first..first + words]) {
            // An erased word is no key, and there are many like it in RAM.
            let word = if *word == ERASED { 0 } else { *word };
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }
    // Restarted, since a part that lost power or is frozen decrypts nothing.
    part.restart([0; 32]);
    let mut key = [0; 32];
    let stored = platform::identity_key_is_stored(part, platform::slot::KIDENT)
        && platform::identity_key_retrieve(part, platform::slot::KIDENT, &mut key) == 0;
    if stored {
        for ((bytes, half), dummy) in
            bytes[64..].chunks_mut(16).zip(key.chunks(16)).zip(DUMMY.chunks(16))
        {
            if half != dummy {
                bytes.copy_from_slice(half);
            }
        }
    }
    bytes
}

/// Takes down the keys that are in the part. In a frame of its own, which is dead when RAM is searched.
#[inline(never)]
pub fn remember(part: &mut Silicon) {
    let bytes = keys_of(part);
    critical_section::with(|cs| {
        let mut keys = KEYS.borrow_ref_mut(cs);
        keys.size = bytes.len();
        for (order, of_order) in keys.bytes.iter_mut().enumerate() {
            *of_order = bytes;
            match order {
                1 => of_order.chunks_exact_mut(4).for_each(<[u8]>::reverse),
                2 => of_order.chunks_exact_mut(8).for_each(<[u8]>::reverse),
                3 => of_order.chunks_exact_mut(32).for_each(<[u8]>::reverse),
                _ => {}
            }
        }
        keys.begins = [0; 2048];
        for order in 0..ORDERS {
            for at in 0..=keys.size - PIECE {
                let [begin, next] = [keys.bytes[order][at], keys.bytes[order][at + 1]];
                if is_piece(&keys.bytes[order][at..at + PIECE]) {
                    keys.begins[usize::from(begin) * 8 + usize::from(next) / 32] |=
                        1 << (next % 32);
                }
            }
        }
        CANARY.borrow_ref_mut(cs).copy_from_slice(&bytes[64..64 + PIECE]);
    });
}

/// Everybody knows the dummy key; the SDK's driver has it in its data. Half of it is there where a write was
/// cut off.
#[cfg(not(seed_keys))]
const DUMMY: [u8; 32] = [
    0xA9, 0xB4, 0x54, 0xB2, 0x6D, 0x6F, 0x90, 0xA4, 0xEA, 0x31, 0x19, 0x35, 0x64, 0xCB, 0xA9, 0x1F,
    0xEC, 0x6F, 0x9A, 0x00, 0x2A, 0x7D, 0xC0, 0x50, 0x4B, 0x92, 0xA1, 0x93, 0x71, 0x34, 0x58, 0x5F,
];

/// Clears the stack as the image does at the end of its run. Inlined, so that the caller's frame is the
/// last that is left.
#[inline(always)]
pub fn clear_stack() {
    // SAFETY: it writes below this frame only, where nothing lives.
    unsafe { provisioning_clear_stack() }
}

/// Searches RAM, and logs and counts what it finds. `part` is where the model is: its UICR is no RAM.
#[cfg(target_arch = "arm")]
#[inline(never)]
pub fn search(scenario: &Scenario, part: usize) -> u32 {
    critical_section::with(|cs| {
        let keys = KEYS.borrow_ref(cs);
        let canary = CANARY.borrow_ref(cs);
        let own = [
            (&raw const *keys).addr()..(&raw const *keys).addr() + size_of::<Keys>(),
            part..part + size_of::<Silicon>(),
        ];
        let canary = (&raw const *canary).addr();
        let mut canary_seen = keys.bytes[0][64..64 + PIECE] == [0; PIECE]; // then there is none
        let mut leaks = 0;
        let first = &raw const _image_ram_start;
        let size = (&raw const _image_ram_end).addr() - first.addr() - PIECE;
        let mut at = 0;
        while at < size {
            let address = first.addr() + at;
            if let Some(own) = own.iter().find(|own| own.contains(&address)) {
                at = own.end - first.addr();
                continue;
            }
            if keys.holds_piece_at(first.wrapping_add(at)) {
                if address.abs_diff(canary) < PIECE {
                    // A neighbour of the canary can be a piece by the byte beside it.
                    canary_seen |= address == canary;
                } else {
                    leaks += 1;
                    if leaks == 1 {
                        error!("leak in \"{scenario}\": a piece of a key at {address:#010x}");
                    }
                }
            }
            at += 1;
        }
        if !canary_seen {
            leaks += 1;
            error!("leak search in \"{scenario}\": the canary was not found");
        }
        leaks
    })
}

/// There is no RAM to search.
#[cfg(not(target_arch = "arm"))]
pub fn search(_: &Scenario, _: usize) -> u32 {
    0
}

impl Keys {
    /// Whether the eight bytes at `address` are a piece of a key.
    #[cfg(target_arch = "arm")]
    fn holds_piece_at(&self, address: *const u8) -> bool {
        // SAFETY: eight bytes of this image's RAM, which nothing writes meanwhile: interrupts are locked.
        let byte = |at: usize| unsafe { address.add(at).read_volatile() };
        let [begin, next] = [byte(0), byte(1)];
        if self.begins[usize::from(begin) * 8 + usize::from(next) / 32] & 1 << (next % 32) == 0 {
            return false;
        }
        self.bytes.iter().any(|key| {
            (0..=self.size - PIECE).any(|from| {
                let piece = &key[from..from + PIECE];
                is_piece(piece) && piece.iter().enumerate().all(|(at, wanted)| byte(at) == *wanted)
            })
        })
    }
}

/// Eight bytes of a key, and not of the zeros where there is none.
fn is_piece(bytes: &[u8]) -> bool {
    bytes.iter().filter(|byte| **byte != 0).count() > PIECE / 2
}

/// Says what was found; whether it is as it should be.
pub fn report(scenarios: usize, leaks: u32) -> bool {
    if cfg!(target_arch = "arm") {
        info!(
            "leaks: {leaks} in {scenarios} scenarios, the canary was {}",
            if leaks == 0 { "found" } else { "perhaps lost" }
        );
    } else {
        info!("leaks: not searched, the image has no RAM of its own here");
    }
    leaks == 0
}
