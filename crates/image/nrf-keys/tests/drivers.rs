// SPDX-License-Identifier: Apache-2.0

//! What becomes of what the C side says. The C side is this file: each of its functions gives what a test has
//! laid out for it.

use std::cell::RefCell;

use nrf_keys::{Drivers, SeedDrivers};
use provisioning::{
    Device, DeviceId, DriverError, Huk, HukKey, HukSize, IdentityKey, KeyCheckValue, KeySlots,
    Lifecycle, Note, Seed, SeedDevice, SeedSlots, StoredKeyDevice,
};

const CLOSED: [u32; 2] = [0x0000_BEEF, 0xFFFF_0000];
const ERASED: u32 = 0xFFFF_FFFF;
const DENIED: u32 = 0xDEAD_DEAD;
const EINVAL: i32 = -22;

/// What the C side gives, and what it was asked.
struct Part {
    /// What each function gives that gives a code.
    code: i32,
    lifecycle: u32,
    is_written: bool,
    /// What is laid out in DEST, PERM and VALUE of each slot.
    slots: Vec<[u32; 6]>,
    /// How many slots it says there are, where that is another number.
    total: Option<i32>,
    calls: Vec<String>,
    /// State, metadata, and what that is where the driver has written it, of each slot of a seed and of the note.
    seed_slots: [(i32, [u32; 2]); 4],
}

thread_local! {
    static PART: RefCell<Part> = const {
        RefCell::new(Part {
            code: 0,
            lifecycle: 1,
            is_written: false,
            slots: Vec::new(),
            total: None,
            calls: Vec::new(),
            seed_slots: [(0, [0; 2]); 4],
        })
    };
}

fn part<T>(access: impl FnOnce(&mut Part) -> T) -> T {
    PART.with_borrow_mut(access)
}

fn called(call: &str) -> i32 {
    part(|part| {
        part.calls.push(call.to_owned());
        part.code
    })
}

fn drivers() -> Drivers {
    // SAFETY: the C side is of this thread, and has nothing that is not reentrant.
    unsafe { Drivers::new(HukSize::Bits256) }
}

macro_rules! c {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty $body:block)*) => {$(
        // SAFETY: no other function of the test program has this name.
        #[unsafe(no_mangle)]
        extern "C" fn $name($($argument: $type),*) -> $result $body
    )*};
}

/// Writes to an array of the caller.
fn fill<T: Copy>(array: *mut T, values: &[T]) {
    // SAFETY: the bindings give an array of as many items as the header names, and no more are written.
    unsafe { array.copy_from_nonoverlapping(values.as_ptr(), values.len()) };
}

/// Reads 32 bytes of the caller.
fn bytes(array: *const u8) -> [u8; 32] {
    // SAFETY: the bindings give 32 bytes.
    unsafe { array.cast::<[u8; 32]>().read() }
}

c! {
    fn identity_key_is_written() -> bool { part(|part| part.is_written) }
    fn identity_key_read(key: *mut u8) -> i32 { fill(key, &[0x55; 32]); called("read") }
    fn identity_key_free(key: *mut u8) -> () { fill(key, &[0xF4; 32]) }
    fn identity_key_write_key(key: *mut u8) -> i32 { called(&format!("write {:?}", &bytes(key)[..2])) }
    fn nrf_keys_lifecycle_read(state: *mut u32) -> i32 {
        fill(state, &[part(|part| part.lifecycle)]);
        called("lifecycle")
    }
    fn nrf_keys_lifecycle_enter_provisioning() -> i32 { called("enter") }
    fn nrf_keys_implementation_id_read(id: *mut u8) -> i32 { fill(id, &[0x1D; 32]); called("ID") }
    fn nrf_keys_implementation_id_write_word(index: u32, word: u32) -> i32 {
        called(&format!("ID word {index} {word:x}"))
    }
    fn nrf_keys_slot_read(key: u32, index: u32, words: *mut u32, closed: *mut u32) -> i32 {
        part(|part| {
            // A loop over slots that does not end would fill the memory.
            assert!(part.calls.len() < 1_000, "asked for slots without end");
            part.calls.push(format!("slot {key} {index}"));
            let Some(slot) = part.slots.get(index as usize) else {
                return EINVAL;
            };
            fill(words, slot);
            fill(closed, &CLOSED);
            part.total.unwrap_or_else(|| part.slots.len().try_into().unwrap())
        })
    }
    fn nrf_keys_huk_write(huk: u32, key: *const u8) -> i32 {
        called(&format!("HUK {huk} {:?}", &bytes(key)[..2]))
    }
    fn nrf_keys_huk_derive(huk: u32, label: *const u8, label_size: u32, derived: *mut u8, size: u32) -> i32 {
        // SAFETY: the caller's promise.
        let label = unsafe { std::slice::from_raw_parts(label, label_size as usize) };
        fill(derived, &vec![0xDE; size as usize]);
        called(&format!("derive {huk} {}", label.escape_ascii()))
    }
    fn nrf_keys_identity_key_write_random() -> i32 { called("random identity key") }
    fn nrf_keys_identity_key_write_dummy() -> i32 { called("dummy identity key") }
    fn nrf_keys_seed_slot_read(index: u32, metadata: *mut u32) -> i32 {
        let (state, words) = part(|part| part.seed_slots[index as usize]);
        fill(metadata, &words);
        state
    }
    fn nrf_keys_seed_write(seed: *const u8) -> i32 {
        // SAFETY: the bindings give 48 bytes.
        let seed = unsafe { seed.cast::<[u8; 48]>().read() };
        called(&format!("seed {} {}", seed[0], seed[47]))
    }
    fn nrf_keys_seed_complete(seed: *const u8) -> i32 {
        // SAFETY: as above.
        let seed = unsafe { seed.cast::<[u8; 48]>().read() };
        called(&format!("completion {} {}", seed[0], seed[47]))
    }
    fn nrf_keys_public_identity_key(public_key: *mut u8) -> i32 {
        fill(public_key, &[0x04; 65]);
        called("export")
    }
    fn nrf_keys_sign(digest: *const u8, signature: *mut u8) -> i32 {
        fill(signature, &[0x51; 64]);
        called(&format!("sign {:?}", &bytes(digest)[..2]))
    }
    fn nrf_keys_device_id(words: *mut u32) -> () { fill(words, &[0x0403_0201, 0x0807_0605]) }
    fn nrf_keys_random(buffer: *mut u8, size: u32) -> i32 {
        fill(buffer, &vec![0xA5; size as usize]);
        called(&format!("random {size}"))
    }
}

/// A slot with such a header and value.
const fn slot([dest, perm]: [u32; 2], value: u32) -> [u32; 6] {
    [dest, perm, value, value, value, value]
}

const BLANK: [u32; 6] = [ERASED; 6];

fn huk(slots: &[[u32; 6]]) -> Result<KeySlots, DriverError> {
    part(|part| part.slots = slots.to_vec());
    drivers().huk_slots(Huk::Mkek)
}

fn identity(slots: &[[u32; 6]]) -> Result<KeySlots, DriverError> {
    part(|part| part.slots = slots.to_vec());
    drivers().identity_key_slots()
}

fn counts(total: u32, blank: u32, whole: u32, exposed: u32) -> KeySlots {
    KeySlots { total, blank, whole, exposed }
}

#[test]
fn each_state_of_a_huk_slot_is_counted() {
    let whole = slot(CLOSED, DENIED);
    assert_eq!(huk(&[BLANK]), Ok(counts(1, 1, 0, 0)));
    assert_eq!(huk(&[whole]), Ok(counts(1, 0, 1, 0)));
    assert_eq!(huk(&[whole, whole]), Ok(counts(2, 0, 2, 0)));
    assert_eq!(huk(&[BLANK, whole]), Ok(counts(2, 1, 1, 0)));
    assert_eq!(huk(&[BLANK, BLANK]), Ok(counts(2, 2, 0, 0)));
    // Closed, and the CPU can read it all the same.
    assert_eq!(huk(&[slot(CLOSED, 7), whole]), Ok(counts(2, 0, 1, 1)));
    assert_eq!(huk(&[slot(CLOSED, 7), slot(CLOSED, 8)]), Ok(counts(2, 0, 0, 2)));
    // The CPU may not read it, and it is not closed as the driver closes it.
    assert_eq!(huk(&[slot([CLOSED[0], 0], DENIED)]), Ok(counts(1, 0, 0, 0)));
    assert_eq!(huk(&[slot([0, CLOSED[1]], DENIED)]), Ok(counts(1, 0, 0, 0)));
    // Not closed yet: DEST alone, or VALUE too.
    assert_eq!(huk(&[slot([CLOSED[0], ERASED], ERASED)]), Ok(counts(1, 0, 0, 0)));
    assert_eq!(huk(&[slot([CLOSED[0], ERASED], 7)]), Ok(counts(1, 0, 0, 0)));
    // One word is not what the CPU reads where it may not.
    let mut torn = whole;
    torn[5] = ERASED;
    assert_eq!(huk(&[torn]), Ok(counts(1, 0, 0, 1)));
    // A word of an erased slot that is not erased.
    for word in 0..6 {
        let mut written = BLANK;
        written[word] = 0xFFFF_FFFE;
        assert_eq!(huk(&[written]).unwrap().blank, 0, "word {word}");
    }
}

#[test]
fn a_slot_of_the_identity_key_can_be_read_and_is_not_exposed() {
    let whole = slot(CLOSED, 0x1234_5678);
    assert_eq!(identity(&[whole, whole, whole]), Ok(counts(3, 0, 3, 0)));
    assert_eq!(identity(&[whole, BLANK]), Ok(counts(2, 1, 1, 0)));
    assert_eq!(identity(&[slot([CLOSED[0], 0], 7)]), Ok(counts(1, 0, 0, 0)));
    // A word that was left out.
    for word in 2..6 {
        let mut one = whole;
        one[word] = ERASED;
        assert_eq!(identity(&[whole, one]), Ok(counts(2, 0, 1, 0)), "word {word}");
    }
}

#[test]
fn the_slots_are_asked_for_one_by_one_and_by_the_key() {
    for (key, ask) in [
        (0, (|| drivers().huk_slots(Huk::Mkek)) as fn() -> _),
        (1, || drivers().huk_slots(Huk::Mext)),
        (2, || drivers().identity_key_slots()),
    ] {
        part(|part| {
            part.slots = vec![BLANK; 3];
            part.calls.clear();
        });
        assert_eq!(ask(), Ok(counts(3, 3, 0, 0)));
        let asked = part(|part| part.calls.clone());
        assert_eq!(asked, (0..3).map(|index| format!("slot {key} {index}")).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_no_number_of_slots_is_an_error() {
    for (total, expected) in [
        (0, Err(DriverError::from_raw(0))),
        (129, Err(DriverError::from_raw(129))),
        (EINVAL, Err(DriverError::from_raw(EINVAL))),
        (128, Ok(counts(128, 128, 0, 0))),
        (1, Ok(counts(1, 1, 0, 0))),
    ] {
        part(|part| {
            part.total = Some(total);
            part.slots = vec![BLANK; 200];
        });
        assert_eq!(drivers().huk_slots(Huk::Mext), expected, "{total}");
    }
    // It fails at a slot that is not the first.
    part(|part| part.total = Some(3));
    assert_eq!(huk(&[BLANK, BLANK]), Err(DriverError::from_raw(EINVAL)));
}

#[test]
fn every_lifecycle_state_has_its_number() {
    for (number, expected) in [
        (1, Ok(Lifecycle::Assembly)),
        (2, Ok(Lifecycle::Provisioning)),
        (3, Ok(Lifecycle::Secured)),
        (4, Ok(Lifecycle::Decommissioned)),
        (0, Err(DriverError::from_raw(0))),
        (5, Err(DriverError::from_raw(5))),
        (0xFFFF_FFFE, Err(DriverError::from_raw(-2))),
    ] {
        part(|part| part.lifecycle = number);
        assert_eq!(drivers().lifecycle(), expected, "{number}");
    }
}

/// Calls every function that gives a code.
fn call_all() -> Vec<Result<(), DriverError>> {
    let mut drivers = drivers();
    let mut key = IdentityKey::empty();
    key.expose_mut()[..2].copy_from_slice(&[1, 2]);
    let mut huk = HukKey::empty();
    huk.expose_mut()[..2].copy_from_slice(&[3, 4]);
    vec![
        drivers.lifecycle().map(|_| ()),
        drivers.enter_provisioning(),
        drivers.implementation_id().map(|id| assert_eq!(id, [0x1D; 32])),
        drivers.write_implementation_id_word(5, 0xABCD),
        drivers.write_huk(Huk::Mkek, &huk),
        drivers.write_huk(Huk::Mext, &huk),
        drivers.derive_from_huk(Huk::Mkek, &mut KeyCheckValue::empty()),
        drivers.derive_from_huk(Huk::Mext, &mut KeyCheckValue::empty()),
        drivers.write_identity_key(&mut key),
        drivers.write_random_identity_key(),
        drivers.write_dummy_identity_key(),
        drivers.read_identity_key(&mut key),
        drivers.fill_random(&mut [0; 32]),
    ]
}

#[test]
fn each_call_reaches_its_driver_and_each_code_comes_back() {
    for code in [0, -1, 1, i32::MIN] {
        part(|part| {
            part.code = code;
            part.calls.clear();
        });
        let expected = if code == 0 { Ok(()) } else { Err(DriverError::from_raw(code)) };
        assert_eq!(call_all(), vec![expected; 13]);
        let calls = part(|part| part.calls.clone());
        assert_eq!(
            calls,
            [
                "lifecycle",
                "enter",
                "ID",
                "ID word 5 abcd",
                "HUK 0 [3, 4]",
                "HUK 1 [3, 4]",
                "derive 0 huk-selfchec",
                "derive 1 huk-selfchec",
                "write [1, 2]",
                "random identity key",
                "dummy identity key",
                "read",
                "random 32",
            ]
        );
    }
}

#[test]
fn what_the_drivers_give_is_what_the_caller_gets() {
    part(|part| part.code = 0);
    let mut drivers = drivers();
    assert_eq!(drivers.device_id(), DeviceId([1, 2, 3, 4, 5, 6, 7, 8]));
    for is_written in [true, false] {
        part(|part| part.is_written = is_written);
        assert_eq!(drivers.identity_key_is_written(), is_written);
    }
    let mut key = IdentityKey::empty();
    drivers.read_identity_key(&mut key).unwrap();
    assert_eq!(key.expose_mut(), &[0x55; 32]);
    drivers.free_identity_key(&mut key);
    assert_eq!(key.expose_mut(), &[0xF4; 32]);
    let mut derived = KeyCheckValue::empty();
    drivers.derive_from_huk(Huk::Mext, &mut derived).unwrap();
    assert_eq!(derived.expose_mut(), &[0xDE; 32]);
    assert_eq!(drivers.huk_size(), HukSize::Bits256);
    let mut random = [0; 33];
    drivers.fill_random(random.first_chunk_mut().unwrap()).unwrap();
    assert_eq!(random[..32], [0xA5; 32]);
    assert_eq!(random[32], 0);
}

fn seed_drivers() -> SeedDrivers {
    // SAFETY: as for the others.
    unsafe { SeedDrivers::new() }
}

#[test]
fn slots_of_a_seed_are_counted_by_state_and_metadata() {
    let blank = (0, [0, 7]);
    let whole = (1, [7, 7]);
    let other = (1, [6, 7]);
    let revoked = (2, [0, 7]);
    let slots = |blank, whole, revoked, note| SeedSlots { total: 3, blank, whole, revoked, note };
    for (laid_out, expected) in [
        ([blank; 4], slots(3, 0, 0, Note::Absent)),
        ([whole, whole, whole, blank], slots(0, 3, 0, Note::Absent)),
        ([whole, blank, blank, other], slots(2, 1, 0, Note::OfOthers)),
        ([other, revoked, whole, revoked], slots(0, 1, 2, Note::Absent)),
        ([blank, blank, blank, whole], slots(3, 0, 0, Note::OfSeed)),
    ] {
        part(|part| part.seed_slots = laid_out);
        assert_eq!(seed_drivers().seed_slots(), Ok(expected));
    }
}

#[test]
fn what_is_no_state_of_a_slot_is_an_error() {
    for code in [-22, 3, i32::MAX] {
        for index in 0..4 {
            part(|part| {
                part.seed_slots = [(1, [7, 7]); 4];
                part.seed_slots[index].0 = code;
            });
            assert_eq!(seed_drivers().seed_slots(), Err(DriverError::from_raw(code)));
        }
    }
}

#[test]
fn seeds_and_signatures_go_through_as_they_are() {
    let mut seed = Seed::empty();
    seed.expose_mut()[0] = 1;
    seed.expose_mut()[47] = 2;
    let mut public_key = [0; 65];
    let mut signature = [0; 64];
    let mut value = KeyCheckValue::empty();
    let mut drivers = seed_drivers();
    for code in [0, -5] {
        part(|part| part.code = code);
        let expected = if code == 0 { Ok(()) } else { Err(DriverError::from_raw(code)) };
        assert_eq!(drivers.write_seed(&seed), expected);
        assert_eq!(drivers.complete_seed(&seed), expected);
        assert_eq!(drivers.public_identity_key(&mut public_key), expected);
        assert_eq!(drivers.sign(&[9; 32], &mut signature), expected);
        assert_eq!(drivers.derive_from_huk(Huk::Mext, &mut value), expected);
        assert_eq!(drivers.enter_provisioning(), expected);
    }
    assert_eq!((public_key, signature), ([0x04; 65], [0x51; 64]));
    assert_eq!(value.expose_mut(), &[0xDE; 32]);
    let calls = part(|part| part.calls.clone());
    let expected =
        ["seed 1 2", "completion 1 2", "export", "sign [9, 9]", "derive 1 huk-selfchec", "enter"];
    assert_eq!(calls[..6], expected);
}
