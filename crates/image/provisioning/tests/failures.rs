// SPDX-License-Identifier: Apache-2.0

//! Each cause of failure: which line it gives, what was written by then, and that nothing follows it.

use provisioning::console::RECORD_PREFIX;
use provisioning::{
    Cause, Config, Device, DeviceId, DriverError, Event, Failure, Huk, HukKey, HukSize,
    IdentityKey, IdentityKeySource, KeyCheckValue, KeySlots, Lifecycle, Piece, PublicKey,
    StoredKeyDevice, StoredKeys, Ueid, Written, provision,
};

const ID: [u8; 32] = [0xC7; 32];
const CODE: DriverError = DriverError::from_raw(-0x1234);

/// What a call of a [`Part`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Done,
    LeftOut,
}

/// What is wrong with a [`Part`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// That call returns an error.
    Error(Call),
    /// That call claims success and does nothing.
    Ignored(Call),
    /// The n-th read of the lifecycle fails.
    LifecycleRead(u32),
    /// The n-th read of the implementation ID fails.
    IdRead(u32),
    /// The n-th inspection of a HUK fails.
    HukInspection(u32),
    /// The n-th inspection of a HUK shows this.
    HukShows(u32, KeySlots),
    /// The n-th inspection of the identity key shows this.
    IdentityKeyShows(u32, KeySlots),
    /// The n-th request for random bytes fails.
    Random(u32),
    /// The random generator gives zeros.
    RandomZeros,
    /// The n-th number of the random generator is zero.
    RandomZero(u32),
    /// The n-th number of the random generator is the first one again.
    RandomAgain(u32),
    /// That HUK is written with a flipped bit.
    HukFlips(Huk),
    /// The n-th derivation gives something else.
    Derivation(u32),
    /// The n-th read of the identity key gives another one.
    KeyRead(u32),
    /// OTP holds zeros only.
    StorageZeroed,
    /// The lifecycle at the start.
    Lifecycle(Lifecycle),
    /// OTP has this implementation ID at the start.
    Id(u8),
    /// That HUK is there at the start.
    Huk(Huk),
    /// An identity key is there at the start.
    IdentityKey,
    /// A slot of an identity key is there at the start, which the driver does not see.
    IdentityKeySlot,
    /// The n-th inspection of the identity key fails.
    IdentityKeyInspection(u32),
    /// One slot of the identity key stays blank.
    IdentityKeySlotBlank,
    /// The driver does not see the identity key that was written.
    IdentityKeyUnseen,
    /// After the write the lifecycle reads back as this.
    LifecycleReadsAs(Lifecycle),
    /// The implementation ID reads back with a flipped bit.
    IdFlips,
    /// One slot of that HUK is neither blank nor whole.
    HukTorn(Huk),
    /// One slot of the identity key is neither blank nor whole.
    IdentityKeyTorn,
    /// One slot of that HUK stays blank.
    HukSlotBlank(Huk),
    /// One slot of that HUK can be read.
    HukReadable(Huk),
    /// The identity key reads back as zeros, as one bit off.
    KeyReadsZero,
    KeyFlips,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    EnterProvisioning,
    WriteId,
    WriteHuk(Huk),
    Derive(Huk),
    WriteKey,
    ReadKey,
}

const BLANK: KeySlots = KeySlots { total: 2, blank: 2, whole: 0, exposed: 0 };
const WHOLE: KeySlots = KeySlots { total: 2, blank: 0, whole: 2, exposed: 0 };

fn key_slots(written: bool) -> KeySlots {
    if written { WHOLE } else { BLANK }
}

/// A part in plain memory, honest but for its fault.
struct Part {
    fault: Fault,
    lifecycle: Lifecycle,
    id: [u8; 32],
    huks: [Option<[u8; 32]>; 2],
    key: Option<[u8; 32]>,
    /// Calls that change the part, in order.
    writes: Vec<Call>,
    /// Words of the implementation ID that were written.
    id_words: usize,
    lifecycle_reads: u32,
    id_reads: u32,
    inspections: u32,
    identity_key_inspections: u32,
    random_requests: u32,
    derivations: u32,
    key_reads: u32,
    freed: bool,
}

impl Part {
    fn new(fault: Fault) -> Self {
        let mut part = Self {
            fault,
            lifecycle: Lifecycle::Assembly,
            id: [0xFF; 32],
            huks: [None; 2],
            key: None,
            writes: Vec::new(),
            id_words: 0,
            lifecycle_reads: 0,
            id_reads: 0,
            inspections: 0,
            identity_key_inspections: 0,
            random_requests: 0,
            derivations: 0,
            key_reads: 0,
            freed: false,
        };
        match fault {
            Fault::Lifecycle(state) => part.lifecycle = state,
            Fault::Id(byte) => part.id = [byte; 32],
            Fault::Huk(huk) => part.huks[huk as usize] = Some([9; 32]),
            Fault::StorageZeroed => {
                part.lifecycle = Lifecycle::Decommissioned;
                part.id = [0; 32];
            }
            Fault::IdentityKey => part.key = Some([1; 32]),
            _ => {}
        }
        part
    }

    /// Counts a call that writes.
    fn write(&mut self, call: Call) -> Result<Work, DriverError> {
        self.writes.push(call);
        self.call(call)
    }

    fn call(&self, call: Call) -> Result<Work, DriverError> {
        match self.fault {
            Fault::Error(faulty) if faulty == call => Err(CODE),
            Fault::Ignored(faulty) if faulty == call => Ok(Work::LeftOut),
            _ => Ok(Work::Done),
        }
    }

    fn store_key(&mut self, key: [u8; 32]) -> Result<(), DriverError> {
        if self.write(Call::WriteKey)? == Work::Done {
            self.key = Some(key);
        }
        Ok(())
    }
}

impl Device for Part {
    type Keys = StoredKeys;

    fn device_id(&mut self) -> DeviceId {
        DeviceId([0xDE; 8])
    }

    fn lifecycle(&mut self) -> Result<Lifecycle, DriverError> {
        self.lifecycle_reads += 1;
        match self.fault {
            Fault::LifecycleRead(n) if n == self.lifecycle_reads => Err(CODE),
            Fault::LifecycleReadsAs(state) if self.lifecycle_reads == 2 => Ok(state),
            _ => Ok(self.lifecycle),
        }
    }

    fn enter_provisioning(&mut self) -> Result<(), DriverError> {
        if self.write(Call::EnterProvisioning)? == Work::Done {
            self.lifecycle = Lifecycle::Provisioning;
        }
        Ok(())
    }

    fn implementation_id(&mut self) -> Result<[u8; 32], DriverError> {
        self.id_reads += 1;
        let mut id = self.id;
        match self.fault {
            Fault::IdRead(n) if n == self.id_reads => return Err(CODE),
            Fault::IdFlips if self.id_reads == 3 => id[31] ^= 1,
            _ => {}
        }
        Ok(id)
    }

    fn write_implementation_id_word(&mut self, index: u32, word: u32) -> Result<(), DriverError> {
        self.id_words += 1;
        // The eight words count as one write.
        if self.writes.last() == Some(&Call::WriteId) {
            self.writes.pop();
        }
        if self.write(Call::WriteId)? == Work::Done {
            let bytes = &mut self.id.as_chunks_mut::<4>().0[index as usize];
            assert_eq!(*bytes, [0xFF; 4], "OTP is written once");
            *bytes = word.to_le_bytes();
        }
        Ok(())
    }

    fn derive_from_huk(&mut self, huk: Huk, value: &mut KeyCheckValue) -> Result<(), DriverError> {
        self.derivations += 1;
        if self.call(Call::Derive(huk))? == Work::Done {
            let mut key = HukKey::empty();
            *key.expose_mut() = self.huks[huk as usize].ok_or(CODE)?;
            *value = key.check_value(self.huk_size());
        }
        if self.fault == Fault::Derivation(self.derivations) {
            value.expose_mut()[31] ^= 1;
        }
        Ok(())
    }

    fn fill_random(&mut self, bytes: &mut [u8; 32]) -> Result<(), DriverError> {
        self.random_requests += 1;
        if self.fault == Fault::Random(self.random_requests) {
            return Err(CODE);
        }
        bytes.fill(match self.fault {
            Fault::RandomZeros => 0,
            Fault::RandomZero(n) if n == self.random_requests => 0,
            Fault::RandomAgain(n) if n == self.random_requests => 0x41,
            _ => 0x40 + u8::try_from(self.random_requests).unwrap(),
        });
        Ok(())
    }
}

impl StoredKeyDevice for Part {
    fn huk_size(&self) -> HukSize {
        HukSize::Bits256
    }

    fn huk_slots(&mut self, huk: Huk) -> Result<KeySlots, DriverError> {
        self.inspections += 1;
        if self.fault == Fault::HukInspection(self.inspections) {
            return Err(CODE);
        }
        let slots = key_slots(self.huks[huk as usize].is_some());
        Ok(match self.fault {
            Fault::HukShows(n, shown) if n == self.inspections => shown,
            Fault::HukSlotBlank(faulty) if faulty == huk && slots == WHOLE => {
                KeySlots { blank: 1, whole: 1, ..slots }
            }
            Fault::HukReadable(faulty) if faulty == huk && slots == WHOLE => {
                KeySlots { whole: 1, exposed: 1, ..slots }
            }
            Fault::HukTorn(faulty) if faulty == huk && slots == WHOLE => {
                KeySlots { whole: 1, ..slots }
            }
            _ => slots,
        })
    }

    fn identity_key_slots(&mut self) -> Result<KeySlots, DriverError> {
        self.identity_key_inspections += 1;
        let slots = key_slots(self.key.is_some());
        Ok(match self.fault {
            Fault::IdentityKeyInspection(n) if n == self.identity_key_inspections => {
                return Err(CODE);
            }
            Fault::IdentityKeyShows(n, shown) if n == self.identity_key_inspections => shown,
            Fault::IdentityKeySlot => KeySlots { blank: 1, ..BLANK },
            Fault::IdentityKeySlotBlank if slots == WHOLE => {
                KeySlots { blank: 1, whole: 1, ..slots }
            }
            Fault::IdentityKeyTorn if slots == WHOLE => KeySlots { whole: 1, ..slots },
            _ => slots,
        })
    }

    fn write_huk(&mut self, huk: Huk, key: &HukKey) -> Result<(), DriverError> {
        assert_ne!(key.expose(), &[0; 32], "no random key");
        if self.write(Call::WriteHuk(huk))? == Work::Done {
            let mut key = *key.expose();
            key[31] ^= u8::from(self.fault == Fault::HukFlips(huk));
            self.huks[huk as usize] = Some(key);
        }
        Ok(())
    }

    fn identity_key_is_written(&mut self) -> bool {
        self.key.is_some() && self.fault != Fault::IdentityKeyUnseen
    }

    fn write_identity_key(&mut self, key: &mut IdentityKey) -> Result<(), DriverError> {
        self.store_key(*key.expose())
    }

    fn write_random_identity_key(&mut self) -> Result<(), DriverError> {
        self.store_key([3; 32])
    }

    fn write_dummy_identity_key(&mut self) -> Result<(), DriverError> {
        self.store_key([
            0xA9, 0xB4, 0x54, 0xB2, 0x6D, 0x6F, 0x90, 0xA4, 0xEA, 0x31, 0x19, 0x35, 0x64, 0xCB,
            0xA9, 0x1F, 0xEC, 0x6F, 0x9A, 0x00, 0x2A, 0x7D, 0xC0, 0x50, 0x4B, 0x92, 0xA1, 0x93,
            0x71, 0x34, 0x58, 0x5F,
        ])
    }

    fn read_identity_key(&mut self, key: &mut IdentityKey) -> Result<(), DriverError> {
        assert_eq!(key.expose(), &[0; 32], "a copy of the key was left behind");
        self.key_reads += 1;
        if self.call(Call::ReadKey)? == Work::Done {
            *key.expose_mut() = self.key.ok_or(CODE)?;
        }
        match self.fault {
            Fault::KeyReadsZero => key.expose_mut().fill(0),
            Fault::KeyFlips => key.expose_mut()[31] ^= 1,
            Fault::KeyRead(n) if n == self.key_reads => key.expose_mut()[31] ^= 1,
            _ => {}
        }
        Ok(())
    }

    fn free_identity_key(&mut self, key: &mut IdentityKey) {
        self.freed = true;
        key.clear();
    }
}

fn run(
    part: &mut Part,
    identity_key: IdentityKeySource,
) -> (Vec<&'static str>, Result<PublicKey, Failure>) {
    let id = "C7".repeat(ID.len());
    let config = Config::new(id.parse().unwrap(), identity_key);
    let mut events = Vec::new();
    let result = provision(part, &config, |event| events.push(event.message())).and_then(|part| {
        events.push(part.success()?.message());
        Ok(*part.public_key())
    });
    (events, result)
}

const ALL_WRITES: [Call; 5] = [
    Call::EnterProvisioning,
    Call::WriteId,
    Call::WriteHuk(Huk::Mkek),
    Call::WriteHuk(Huk::Mext),
    Call::WriteKey,
];

#[test]
fn a_good_part_gets_everything_in_order() {
    for source in IdentityKeySource::ALL {
        let mut part = Part::new(Fault::None);
        let (mut events, result) = run(&mut part, source);
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(part.writes, ALL_WRITES);
        assert_eq!(part.id, ID);
        assert!(part.freed);
        // What the record says is tested in `record.rs`.
        assert_eq!(events.remove(events.len() - 2), "Provisioning record: ");
        let mut expected = vec![
            Event::LifecycleVerified,
            Event::LifecycleSwitched,
            Event::GeneratingHuks,
            Event::WritingIdentityKey,
            Event::Success,
        ];
        if source == IdentityKeySource::Dummy {
            expected.insert(3, Event::DummyKey);
        }
        let expected: Vec<_> = expected.into_iter().map(Event::message).collect();
        assert_eq!(events, expected);
    }
}

#[test]
fn an_id_that_is_there_already_is_kept() {
    let mut part = Part::new(Fault::Id(ID[0]));
    let (_, result) = run(&mut part, IdentityKeySource::Generated);
    assert!(result.is_ok(), "{result:?}");
    assert!(!part.writes.contains(&Call::WriteId));
}

#[test]
fn each_fault_ends_the_run_with_its_own_cause() {
    use Written::{Nothing, Something};
    // The fault, the cause, whether the line says that something was written, and the writes.
    let cases = [
        (Fault::LifecycleRead(1), Cause::LifecycleUnreadable(CODE), Nothing, 0),
        (
            Fault::Lifecycle(Lifecycle::Secured),
            Cause::NotInAssembly(Lifecycle::Secured),
            Nothing,
            0,
        ),
        (
            Fault::Lifecycle(Lifecycle::Decommissioned),
            Cause::NotInAssembly(Lifecycle::Decommissioned),
            Nothing,
            0,
        ),
        (Fault::IdRead(1), Cause::ImplementationIdUnreadable(CODE), Nothing, 0),
        (Fault::Id(0), Cause::ImplementationIdTaken, Nothing, 0),
        (Fault::HukInspection(1), Cause::HukUnreadable(Huk::Mkek, CODE), Nothing, 0),
        (Fault::HukInspection(2), Cause::HukUnreadable(Huk::Mext, CODE), Nothing, 0),
        (Fault::Huk(Huk::Mkek), Cause::HukTaken(Huk::Mkek), Nothing, 0),
        (Fault::Huk(Huk::Mext), Cause::HukTaken(Huk::Mext), Nothing, 0),
        (Fault::IdentityKey, Cause::IdentityKeyTaken, Nothing, 0),
        (Fault::IdentityKeySlot, Cause::IdentityKeyTaken, Nothing, 0),
        (Fault::IdentityKeyInspection(1), Cause::IdentityKeySlotsUnreadable(CODE), Nothing, 0),
        (Fault::IdentityKeyInspection(2), Cause::IdentityKeySlotsUnreadable(CODE), Something, 5),
        (Fault::IdentityKeySlotBlank, Cause::IdentityKeyIncomplete, Something, 5),
        (Fault::HukTorn(Huk::Mext), Cause::Torn(Piece::Huk(Huk::Mext)), Something, 4),
        (Fault::IdentityKeyTorn, Cause::Torn(Piece::IdentityKey), Something, 5),
        (Fault::IdentityKeyUnseen, Cause::IdentityKeyMissing, Something, 5),
        (Fault::Random(1), Cause::NoRandom(CODE), Nothing, 0),
        (Fault::RandomZeros, Cause::NoPrivateKey, Nothing, 0),
        (Fault::Error(Call::EnterProvisioning), Cause::LifecycleNotWritten(CODE), Something, 1),
        (Fault::LifecycleRead(2), Cause::LifecycleUnreadable(CODE), Something, 1),
        (
            Fault::Ignored(Call::EnterProvisioning),
            Cause::LifecycleMismatch(Lifecycle::Assembly),
            Something,
            1,
        ),
        (
            Fault::LifecycleReadsAs(Lifecycle::Secured),
            Cause::LifecycleMismatch(Lifecycle::Secured),
            Something,
            1,
        ),
        (Fault::IdRead(2), Cause::ImplementationIdUnreadable(CODE), Something, 1),
        (Fault::Error(Call::WriteId), Cause::ImplementationIdNotWritten(CODE), Something, 2),
        (Fault::Ignored(Call::WriteId), Cause::ImplementationIdMismatch, Something, 2),
        (Fault::IdRead(3), Cause::ImplementationIdUnreadable(CODE), Something, 2),
        (Fault::IdFlips, Cause::ImplementationIdMismatch, Something, 2),
        (
            Fault::Error(Call::WriteHuk(Huk::Mkek)),
            Cause::HukNotWritten(Huk::Mkek, CODE),
            Something,
            3,
        ),
        (
            Fault::Error(Call::WriteHuk(Huk::Mext)),
            Cause::HukNotWritten(Huk::Mext, CODE),
            Something,
            4,
        ),
        (Fault::Ignored(Call::WriteHuk(Huk::Mkek)), Cause::HukIncomplete(Huk::Mkek), Something, 4),
        (Fault::Ignored(Call::WriteHuk(Huk::Mext)), Cause::HukIncomplete(Huk::Mext), Something, 4),
        (Fault::HukFlips(Huk::Mkek), Cause::HukMismatch(Huk::Mkek), Something, 4),
        (Fault::HukFlips(Huk::Mext), Cause::HukMismatch(Huk::Mext), Something, 4),
        (Fault::Derivation(1), Cause::HukMismatch(Huk::Mkek), Something, 4),
        (Fault::Derivation(2), Cause::HukMismatch(Huk::Mext), Something, 4),
        (Fault::HukInspection(3), Cause::HukUnreadable(Huk::Mkek, CODE), Something, 4),
        (Fault::HukSlotBlank(Huk::Mkek), Cause::HukIncomplete(Huk::Mkek), Something, 4),
        (Fault::HukSlotBlank(Huk::Mext), Cause::HukIncomplete(Huk::Mext), Something, 4),
        (Fault::HukReadable(Huk::Mkek), Cause::HukExposed(Huk::Mkek), Something, 4),
        (Fault::HukReadable(Huk::Mext), Cause::HukExposed(Huk::Mext), Something, 4),
        (Fault::Error(Call::Derive(Huk::Mkek)), Cause::HukUnusable(Huk::Mkek, CODE), Something, 4),
        (Fault::Error(Call::Derive(Huk::Mext)), Cause::HukUnusable(Huk::Mext, CODE), Something, 4),
        (Fault::Error(Call::WriteKey), Cause::IdentityKeyNotWritten(CODE), Something, 5),
        (Fault::Ignored(Call::WriteKey), Cause::IdentityKeyMissing, Something, 5),
        (Fault::Random(2), Cause::NoRandom(CODE), Nothing, 0),
        (Fault::Random(3), Cause::NoRandom(CODE), Nothing, 0),
        (Fault::RandomZero(2), Cause::RandomIsZero, Nothing, 0),
        (Fault::RandomZero(3), Cause::RandomIsZero, Nothing, 0),
        (Fault::RandomAgain(2), Cause::RandomRepeats, Nothing, 0),
        (Fault::RandomAgain(3), Cause::RandomRepeats, Nothing, 0),
        (Fault::StorageZeroed, Cause::StorageZeroed, Nothing, 0),
        (Fault::Random(4), Cause::NoRandom(CODE), Something, 5),
        (Fault::RandomZero(4), Cause::RandomIsZero, Something, 5),
        (Fault::Error(Call::ReadKey), Cause::IdentityKeyUnreadable(CODE), Something, 5),
        (Fault::Ignored(Call::ReadKey), Cause::IdentityKeyInvalid, Something, 5),
        (Fault::KeyReadsZero, Cause::IdentityKeyInvalid, Something, 5),
        (Fault::KeyFlips, Cause::IdentityKeyMismatch, Something, 5),
        (Fault::KeyRead(1), Cause::IdentityKeyMismatch, Something, 5),
    ];
    check(&cases);
}

#[test]
fn a_fault_in_the_second_look_ends_the_run() {
    use Written::Something;
    let cases = [
        (Fault::LifecycleRead(3), Cause::LifecycleUnreadable(CODE), Something, 5),
        (Fault::IdRead(4), Cause::ImplementationIdUnreadable(CODE), Something, 5),
        (Fault::HukInspection(5), Cause::HukUnreadable(Huk::Mkek, CODE), Something, 5),
        (Fault::HukInspection(6), Cause::HukUnreadable(Huk::Mext, CODE), Something, 5),
        (Fault::Derivation(3), Cause::LooksDisagree, Something, 5),
        (Fault::Derivation(4), Cause::LooksDisagree, Something, 5),
        (Fault::IdentityKeyInspection(3), Cause::IdentityKeySlotsUnreadable(CODE), Something, 5),
        (Fault::KeyRead(2), Cause::LooksDisagree, Something, 5),
    ];
    check(&cases);
}

/// A slot that is torn, blank or exposed the second time, with all else as it should be.
#[test]
fn slots_that_changed_before_the_second_look_end_the_run() {
    for shown in [
        KeySlots { whole: 1, ..WHOLE },
        KeySlots { blank: 1, ..WHOLE },
        KeySlots { exposed: 1, ..WHOLE },
    ] {
        let huks = [Fault::HukShows(5, shown), Fault::HukShows(6, shown)];
        let key = Fault::IdentityKeyShows(3, shown);
        // The CPU may read the identity key.
        let faults = huks.into_iter().chain((shown.exposed == 0).then_some(key));
        let cases: Vec<_> =
            faults.map(|fault| (fault, Cause::LooksDisagree, Written::Something, 5)).collect();
        check(&cases);
    }
}

/// Runs each fault on an erased part, and wants the cause, what the line says was written, and so many writes.
fn check(cases: &[(Fault, Cause, Written, usize)]) {
    for &(fault, cause, written, writes) in cases {
        let mut part = Part::new(fault);
        let (events, result) = run(&mut part, IdentityKeySource::Generated);
        assert_eq!(result, Err(Failure { cause, written, ueid: None }), "{fault:?}");
        assert_eq!(part.writes, ALL_WRITES[..writes], "{fault:?}");
        assert!(!events.contains(&Event::Success.message()), "{fault:?}");
        assert_eq!(
            part.freed,
            part.key_reads > 0 || matches!(fault, Fault::Random(4) | Fault::RandomZero(4))
        );
        let told = events.contains(&RECORD_PREFIX);
        assert!(!told, "{fault:?}: a record of a part that is not whole");
    }
}

#[test]
fn a_driver_that_writes_another_dummy_key_is_found_out() {
    let mut part = Part::new(Fault::KeyFlips);
    let (_, result) = run(&mut part, IdentityKeySource::Dummy);
    assert_eq!(result.unwrap_err().cause, Cause::IdentityKeyMismatch);
}

/// A part as a run leaves it that was cut off after so many of its writes.
fn cut_off_after(writes: usize) -> Part {
    let mut part = Part::new(Fault::None);
    for write in &ALL_WRITES[..writes] {
        match write {
            Call::EnterProvisioning => part.lifecycle = Lifecycle::Provisioning,
            Call::WriteId => part.id = ID,
            Call::WriteHuk(huk) => part.huks[*huk as usize] = Some([5 + *huk as u8; 32]),
            Call::WriteKey => part.key = Some([3; 32]),
            _ => unreachable!("not a write"),
        }
    }
    part
}

#[test]
fn a_run_that_was_cut_off_is_resumed_with_what_is_missing() {
    for source in IdentityKeySource::ALL {
        for writes in 1..ALL_WRITES.len() {
            let mut part = cut_off_after(writes);
            let (events, result) = run(&mut part, source);
            assert!(result.is_ok(), "{result:?}");
            assert_eq!(part.writes, ALL_WRITES[writes..]);
            assert_eq!(events.first(), Some(&Event::Resuming.message()));
            assert_eq!(events.last(), Some(&Event::Success.message()));
            assert_eq!(events.contains(&Event::KeepingHuks.message()), writes == 4);
            assert_eq!(events.contains(&Event::HuksNotProven.message()), writes >= 3);
        }
    }
}

#[test]
fn a_mext_that_is_missing_is_written_alone() {
    let mut part = cut_off_after(3);
    let (events, result) = run(&mut part, IdentityKeySource::Generated);
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(part.writes, [Call::WriteHuk(Huk::Mext), Call::WriteKey]);
    assert!(events.contains(&Event::GeneratingMext.message()));
}

#[test]
fn words_of_the_id_that_are_missing_are_written() {
    for whole in [0..4, 4..32, 0..28] {
        let mut part = cut_off_after(1);
        part.id[whole.clone()].copy_from_slice(&ID[whole]);
        let (_, result) = run(&mut part, IdentityKeySource::Generated);
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(part.id, ID);
    }
}

/// OTP takes each halfword once, and this write would change nothing.
#[test]
fn a_word_of_the_id_that_is_erased_anyway_is_not_written() {
    let config = Config::new(
        format!("{}FFFFFFFF", "C7".repeat(28)).parse().unwrap(),
        IdentityKeySource::Generated,
    );
    let mut part = Part::new(Fault::None);
    assert!(provision(&mut part, &config, |_| ()).is_ok());
    assert_eq!(part.id_words, 7);
}

#[test]
fn a_complete_part_says_so_and_is_left_alone() {
    let mut part = cut_off_after(5);
    let (events, result) = run(&mut part, IdentityKeySource::Generated);
    let mut key = IdentityKey::empty();
    key.expose_mut().fill(3);
    let ueid = Ueid::of(&key.public_key().unwrap());
    let failure = result.unwrap_err();
    assert_eq!(failure, Failure::already_provisioned(ueid));
    assert_eq!(
        events,
        [Event::Resuming, Event::HuksNotProven]
            .map(Event::message)
            .into_iter()
            .chain([RECORD_PREFIX])
            .collect::<Vec<_>>()
    );
    assert!(part.writes.is_empty());
    assert!(part.freed);
    assert!(
        failure.to_string().contains(&format!("already provisioned, UEID {ueid}")),
        "{failure}"
    );
}

#[test]
fn what_cannot_be_resumed_ends_without_a_write() {
    let cases: [(fn() -> Part, Cause); 9] = [
        (
            || {
                let mut part = cut_off_after(1);
                part.id[5] = ID[5] | 0x08;
                part
            },
            Cause::Torn(Piece::ImplementationId),
        ),
        (
            || {
                let mut part = cut_off_after(1);
                part.id[31] = !ID[31];
                part
            },
            Cause::ImplementationIdTaken,
        ),
        (
            || Part { fault: Fault::HukTorn(Huk::Mkek), ..cut_off_after(4) },
            Cause::Torn(Piece::Huk(Huk::Mkek)),
        ),
        (
            || Part { fault: Fault::HukSlotBlank(Huk::Mext), ..cut_off_after(4) },
            Cause::Torn(Piece::Huk(Huk::Mext)),
        ),
        (
            || Part { fault: Fault::IdentityKeyTorn, ..cut_off_after(5) },
            Cause::Torn(Piece::IdentityKey),
        ),
        (
            || Part { fault: Fault::IdentityKeySlotBlank, ..cut_off_after(5) },
            Cause::Torn(Piece::IdentityKey),
        ),
        // Behind a blank piece there is nothing of ours.
        (|| Part { huks: [None, Some([6; 32])], ..cut_off_after(2) }, Cause::HukTaken(Huk::Mext)),
        (|| Part { huks: [Some([5; 32]); 2], ..cut_off_after(1) }, Cause::HukTaken(Huk::Mkek)),
        (|| Part { huks: [None; 2], ..cut_off_after(5) }, Cause::IdentityKeyTaken),
    ];
    for (part, cause) in cases {
        let mut part = part();
        let (events, result) = run(&mut part, IdentityKeySource::Generated);
        let failure = result.unwrap_err();
        assert_eq!((failure.cause, failure.written), (cause, Written::Nothing));
        assert!(part.writes.is_empty(), "{cause:?}");
        assert_eq!(events, [Event::Resuming.message()]);
    }
}

/// This image writes it in PROVISIONING only.
#[test]
fn a_torn_or_partial_id_in_assembly_is_not_ours() {
    let torn = [ID[0] | 0x08, 0xFF, 0xFF, 0xFF];
    let word = [ID[0]; 4];
    for begin in [torn, word] {
        let mut part = cut_off_after(0);
        part.id[..4].copy_from_slice(&begin);
        let (_, result) = run(&mut part, IdentityKeySource::Generated);
        assert_eq!(result.unwrap_err().cause, Cause::ImplementationIdTaken);
        assert!(part.writes.is_empty());
    }
}

#[test]
fn without_resume_all_but_assembly_is_refused() {
    for writes in 1..=ALL_WRITES.len() {
        let mut part = cut_off_after(writes);
        let config = Config {
            resume: false,
            ..Config::new("C7".repeat(ID.len()).parse().unwrap(), IdentityKeySource::Generated)
        };
        let failure = provision(&mut part, &config, |_| ()).unwrap_err();
        assert_eq!(failure.cause, Cause::NotInAssembly(Lifecycle::Provisioning));
        assert!(part.writes.is_empty());
    }
}

#[test]
fn the_dummy_key_does_not_pass_for_another() {
    let mut part = cut_off_after(4);
    part.write_dummy_identity_key().unwrap();
    part.writes.clear();
    let failure = run(&mut part, IdentityKeySource::Generated).1.unwrap_err();
    assert_eq!(failure.cause, Cause::IdentityKeyIsDummy);
    let failure = run(&mut part, IdentityKeySource::Dummy).1.unwrap_err();
    assert!(matches!(failure.cause, Cause::AlreadyProvisioned));
    let mut part = cut_off_after(5);
    let failure = run(&mut part, IdentityKeySource::Dummy).1.unwrap_err();
    assert_eq!(failure.cause, Cause::IdentityKeyMismatch);
}

#[test]
fn two_huks_that_are_the_same_are_found_out_on_a_part_that_has_them() {
    let mut part = cut_off_after(4);
    part.huks = [Some([5; 32]); 2];
    let failure = run(&mut part, IdentityKeySource::Generated).1.unwrap_err();
    assert_eq!(failure.cause, Cause::HuksEqual);
}

/// What the second look finds on a part that is complete already, where nothing was written.
#[test]
fn two_looks_that_disagree_make_no_good_part_of_a_complete_one() {
    for fault in [Fault::Derivation(3), Fault::Derivation(4), Fault::KeyRead(2)] {
        let mut part = Part { fault, ..cut_off_after(5) };
        let (events, result) = run(&mut part, IdentityKeySource::Generated);
        let failure = result.unwrap_err();
        assert_eq!((failure.cause, failure.written), (Cause::LooksDisagree, Written::Nothing));
        assert!(!events.contains(&RECORD_PREFIX), "{fault:?}");
    }
}
