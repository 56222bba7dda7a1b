// SPDX-License-Identifier: Apache-2.0

//! Parts whose keys are derived from a seed: what a run writes and reports, what it makes of what it finds, and which
//! line each failure gives.

use coset::cbor::value::Value;
use coset::{CborSerializable, CoseSign1, TaggedCborSerializable};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use provisioning::{
    Cause, Config, Device, DeviceId, DriverError, Event, Failure, Huk, IdentityKeySource,
    ImplementationId, KeyCheckValue, Lifecycle, Note, Piece, SEED_SIZE, Seed, SeedDevice, SeedKeys,
    SeedSlots, Written, provision,
};
use sha2::{Digest, Sha256};

const ID: [u8; 32] = [0xC7; 32];
const CODE: DriverError = DriverError::from_raw(-0x1234);

const BLANK: SeedSlots = SeedSlots { total: 3, blank: 3, whole: 0, revoked: 0, note: Note::Absent };
const WHOLE: SeedSlots = SeedSlots { total: 3, blank: 0, whole: 3, revoked: 0, note: Note::Absent };

/// A call of the part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    EnterProvisioning,
    WriteIdWord,
    InspectSeed,
    WriteSeed,
    CompleteSeed,
    Derive,
    Export,
    Sign,
    Random,
}

/// What that call does instead of its work, counted from 1.
#[derive(Clone, Copy)]
enum Fault {
    None,
    Error(Call, u32),
    Ignored(Call, u32),
    /// It does its work, and then a bit of what it gives is another.
    Flips(Call, u32),
    /// The slots show this.
    Shows(u32, SeedSlots),
}

struct Part {
    fault: Fault,
    lifecycle: Lifecycle,
    id: [u8; 32],
    seed: Option<[u8; SEED_SIZE]>,
    /// What is in the slots besides that seed.
    slots: Option<SeedSlots>,
    /// MKEK and MEXT are the same.
    has_one_huk: bool,
    calls: Vec<Call>,
}

#[derive(PartialEq, Eq)]
enum Work {
    Done,
    LeftOut,
    Flipped,
}

impl Part {
    fn new(fault: Fault) -> Self {
        Self {
            fault,
            lifecycle: Lifecycle::Assembly,
            id: [0xFF; 32],
            seed: None,
            slots: None,
            has_one_huk: false,
            calls: Vec::new(),
        }
    }

    /// As a run leaves it that has come to its end.
    fn provisioned() -> Self {
        Self {
            lifecycle: Lifecycle::Provisioning,
            id: ID,
            seed: Some([5; SEED_SIZE]),
            ..Self::new(Fault::None)
        }
    }

    fn call(&mut self, call: Call) -> Result<Work, DriverError> {
        self.calls.push(call);
        let count = self.count(call);
        match self.fault {
            Fault::Error(faulty, n) if (faulty, n) == (call, count) => Err(CODE),
            Fault::Ignored(faulty, n) if (faulty, n) == (call, count) => Ok(Work::LeftOut),
            Fault::Flips(faulty, n) if (faulty, n) == (call, count) => Ok(Work::Flipped),
            _ => Ok(Work::Done),
        }
    }

    fn count(&self, call: Call) -> u32 {
        self.calls.iter().filter(|made| **made == call).count().try_into().unwrap()
    }

    fn has_written(&self) -> bool {
        [Call::EnterProvisioning, Call::WriteIdWord, Call::WriteSeed, Call::CompleteSeed]
            .iter()
            .any(|call| self.count(*call) > 0)
    }

    /// A derivation of this test's own: Nordic's is not published.
    fn derived(&self, label: &str) -> Result<[u8; 32], DriverError> {
        let seed = self.seed.ok_or(CODE)?;
        Ok(Sha256::new().chain_update(label).chain_update(seed).finalize().into())
    }

    fn signing_key(&self) -> Result<SigningKey, DriverError> {
        Ok(SigningKey::from_slice(&self.derived("identity key")?).unwrap())
    }
}

impl Device for Part {
    type Keys = SeedKeys;

    fn device_id(&mut self) -> DeviceId {
        DeviceId([0xDE; 8])
    }

    fn lifecycle(&mut self) -> Result<Lifecycle, DriverError> {
        Ok(self.lifecycle)
    }

    fn enter_provisioning(&mut self) -> Result<(), DriverError> {
        self.call(Call::EnterProvisioning)?;
        self.lifecycle = Lifecycle::Provisioning;
        Ok(())
    }

    fn implementation_id(&mut self) -> Result<[u8; 32], DriverError> {
        Ok(self.id)
    }

    fn write_implementation_id_word(&mut self, index: u32, word: u32) -> Result<(), DriverError> {
        self.call(Call::WriteIdWord)?;
        self.id.as_chunks_mut::<4>().0[index as usize] = word.to_le_bytes();
        Ok(())
    }

    fn derive_from_huk(&mut self, huk: Huk, value: &mut KeyCheckValue) -> Result<(), DriverError> {
        let work = self.call(Call::Derive)?;
        *value.expose_mut() = self.derived(if self.has_one_huk { "HUK" } else { huk.name() })?;
        value.expose_mut()[31] ^= u8::from(work == Work::Flipped);
        Ok(())
    }

    fn fill_random(&mut self, bytes: &mut [u8; 32]) -> Result<(), DriverError> {
        match self.call(Call::Random)? {
            Work::Done => bytes.fill(0x40 + u8::try_from(self.count(Call::Random)).unwrap()),
            Work::LeftOut => bytes.fill(0),
            // That of the first call.
            Work::Flipped => bytes.fill(0x41),
        }
        Ok(())
    }
}

impl SeedDevice for Part {
    fn seed_slots(&mut self) -> Result<SeedSlots, DriverError> {
        self.call(Call::InspectSeed)?;
        if let Fault::Shows(n, slots) = self.fault
            && n == self.count(Call::InspectSeed)
        {
            return Ok(slots);
        }
        Ok(self.slots.unwrap_or(if self.seed.is_some() { WHOLE } else { BLANK }))
    }

    fn write_seed(&mut self, seed: &Seed) -> Result<(), DriverError> {
        assert_eq!(self.id, ID, "no key before the implementation ID");
        assert!(self.seed.is_none() && self.slots.is_none_or(SeedSlots::are_blank));
        if self.call(Call::WriteSeed)? == Work::Done {
            self.seed = Some(*seed.expose());
            self.slots = None;
        }
        Ok(())
    }

    fn complete_seed(&mut self, seed: &Seed) -> Result<(), DriverError> {
        assert_eq!(self.id, ID, "no key before the implementation ID");
        assert!(self.slots.is_some_and(SeedSlots::can_be_completed));
        if self.call(Call::CompleteSeed)? == Work::Done {
            self.seed = Some(*seed.expose());
            self.slots = None;
        }
        Ok(())
    }

    fn public_identity_key(&mut self, public_key: &mut [u8; 65]) -> Result<(), DriverError> {
        let work = self.call(Call::Export)?;
        let key = self.signing_key()?;
        if work != Work::LeftOut {
            public_key.copy_from_slice(key.verifying_key().to_sec1_point(false).as_bytes());
        }
        public_key[64] ^= u8::from(work == Work::Flipped);
        Ok(())
    }

    fn sign(&mut self, digest: &[u8; 32], signature: &mut [u8; 64]) -> Result<(), DriverError> {
        let work = self.call(Call::Sign)?;
        let made: Signature = self.signing_key()?.sign_prehash(digest).unwrap();
        if work != Work::LeftOut {
            signature.copy_from_slice(&made.to_bytes());
        }
        signature[63] ^= u8::from(work == Work::Flipped);
        Ok(())
    }
}

fn config() -> Config {
    let id = ImplementationId::from_bytes(ID).unwrap();
    Config::new(id, IdentityKeySource::Generated)
}

/// The messages of a run, and how it ends.
fn run(part: &mut Part) -> (Vec<String>, Result<(), Failure>) {
    let mut lines = Vec::new();
    let result = provision(part, &config(), |event| lines.push(event.message().to_owned()))
        .and_then(|part| part.success().map(drop));
    (lines, result)
}

fn cause(mut part: Part) -> (Cause, Written) {
    let failure = run(&mut part).1.unwrap_err();
    assert_eq!(part.has_written(), failure.written == Written::Something, "{failure}");
    (failure.cause, failure.written)
}

#[test]
fn a_blank_part_gets_a_seed_after_its_implementation_id() {
    let mut part = Part::new(Fault::None);
    let (lines, result) = run(&mut part);
    assert_eq!(
        lines,
        [
            Event::LifecycleVerified,
            Event::LifecycleSwitched,
            Event::GeneratingHuks,
            Event::SeedNotProven
        ]
        .map(Event::message)
        .into_iter()
        .chain(["Provisioning record: "])
        .collect::<Vec<_>>()
    );
    result.unwrap();
    let mut seed = [0x41; SEED_SIZE];
    seed[32..].fill(0x42);
    assert_eq!(part.seed, Some(seed), "both draws, and nothing of the third");
}

#[test]
fn the_record_is_signed_by_the_key_that_the_part_exports() {
    let mut part = Part::new(Fault::None);
    let mut record = None;
    provision(&mut part, &config(), |event| {
        if let Event::Record(made) = event {
            record = Some(*made);
        }
    })
    .unwrap();
    // An array of two: the token, and the public key.
    let record = record.unwrap();
    let Value::Array(items) = Value::from_slice(record.as_bytes()).unwrap() else { panic!() };
    let [token, _] = <[Value; 2]>::try_from(items).unwrap();
    let token = CoseSign1::from_tagged_slice(&token.to_vec().unwrap()).unwrap();
    let key = VerifyingKey::from(part.signing_key().unwrap());
    token
        .verify_signature(&[], |signature, message| {
            key.verify(message, &Signature::from_slice(signature).unwrap())
        })
        .unwrap();
}

#[test]
fn a_complete_part_is_left_as_it_is() {
    let mut part = Part::provisioned();
    let (lines, result) = run(&mut part);
    assert_eq!(result.unwrap_err().cause, Cause::AlreadyProvisioned);
    assert_eq!(lines[0], Event::Resuming.message());
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(!part.has_written());
}

#[test]
fn a_run_that_was_cut_off_before_the_seed_is_completed() {
    for (id, note) in [([0xFF; 32], Note::Absent), (ID, Note::Absent), (ID, Note::OfSeed)] {
        let mut part = Part { id, seed: None, ..Part::provisioned() };
        // The driver's note, and nothing behind it.
        part.slots = Some(SeedSlots { note, ..BLANK });
        run(&mut part).1.unwrap();
        assert!(part.seed.is_some());
    }
}

#[test]
fn slots_that_are_not_blank_and_not_whole_end_the_run() {
    let torn = Cause::Torn(Piece::Seed);
    for (slots, wanted) in [
        // Cut off between slots, after the last, and in one that is neither.
        (SeedSlots { blank: 2, whole: 1, note: Note::OfSeed, ..BLANK }, torn),
        (SeedSlots { note: Note::OfSeed, ..WHOLE }, torn),
        (SeedSlots { blank: 1, whole: 2, ..BLANK }, torn),
        (SeedSlots { blank: 0, whole: 2, ..BLANK }, torn),
        (SeedSlots { blank: 2, revoked: 1, ..BLANK }, Cause::SeedRevoked),
        (SeedSlots { blank: 0, revoked: 3, ..BLANK }, Cause::SeedRevoked),
        (SeedSlots { revoked: 1, ..BLANK }, Cause::SeedRevoked),
        // What the driver would destroy first.
        (SeedSlots { note: Note::OfOthers, ..BLANK }, Cause::OtherKeysUnfinished),
        (SeedSlots { note: Note::OfOthers, ..WHOLE }, Cause::OtherKeysUnfinished),
        // A part that has no such slots.
        (SeedSlots { total: 0, blank: 0, ..BLANK }, torn),
    ] {
        let part = Part { slots: Some(slots), ..Part::provisioned() };
        assert_eq!(cause(part), (wanted, Written::Nothing), "{slots:?}");
    }
}

#[test]
fn a_seed_whose_write_was_cut_off_is_completed_where_that_is_asked_for() {
    let run = |part: &mut Part| {
        let config = Config { complete_seed: true, ..config() };
        let mut lines = Vec::new();
        let result = provision(part, &config, |event| lines.push(event.message()));
        (lines, result)
    };
    let cut_off = SeedSlots { blank: 2, whole: 1, note: Note::OfSeed, ..BLANK };
    let torn = Cause::Torn(Piece::Seed);
    for (slots, wanted) in [
        (cut_off, None),
        (SeedSlots { note: Note::OfSeed, ..WHOLE }, None),
        // What no write of the driver leaves that was cut off.
        (SeedSlots { note: Note::Absent, ..cut_off }, Some(torn)),
        (SeedSlots { whole: 0, ..cut_off }, Some(torn)),
        (SeedSlots { whole: u32::MAX, ..cut_off }, Some(torn)),
        (SeedSlots { revoked: 1, ..cut_off }, Some(Cause::SeedRevoked)),
        (SeedSlots { note: Note::OfOthers, ..cut_off }, Some(Cause::OtherKeysUnfinished)),
    ] {
        let mut part = Part { slots: Some(slots), seed: None, ..Part::provisioned() };
        let (lines, result) = run(&mut part);
        assert_eq!(result.as_ref().err().map(|failure| failure.cause), wanted, "{slots:?}");
        let completed = u32::from(wanted.is_none());
        assert_eq!((part.count(Call::CompleteSeed), part.count(Call::WriteSeed)), (completed, 0));
        assert_eq!(part.has_written(), wanted.is_none());
        if wanted.is_none() {
            assert_eq!(lines[1], "Completing the seed, whose write was cut off");
        }
    }
    // Where the implementation ID is missing, no run has begun a seed.
    let mut part = Part { slots: Some(cut_off), id: [0xFF; 32], ..Part::provisioned() };
    assert_eq!(run(&mut part).1.unwrap_err().cause, Cause::SeedTaken);
    for (fault, wanted) in [
        (Fault::Error(Call::CompleteSeed, 1), Cause::SeedNotWritten(CODE)),
        (Fault::Ignored(Call::CompleteSeed, 1), Cause::SeedIncomplete),
    ] {
        let mut part = Part { slots: Some(cut_off), fault, ..Part::provisioned() };
        let failure = run(&mut part).1.unwrap_err();
        assert_eq!((failure.cause, failure.written), (wanted, Written::Something));
    }
}

#[test]
fn a_seed_where_none_may_be_is_refused() {
    let early = Part { lifecycle: Lifecycle::Assembly, id: [0xFF; 32], ..Part::provisioned() };
    assert_eq!(cause(early), (Cause::SeedTaken, Written::Nothing));
    let without_id = Part { id: [0xFF; 32], ..Part::provisioned() };
    assert_eq!(cause(without_id), (Cause::SeedTaken, Written::Nothing));
}

#[test]
fn each_fault_of_a_call_has_its_failure() {
    let nothing = Written::Nothing;
    let something = Written::Something;
    for (fault, wanted) in [
        (Fault::Error(Call::InspectSeed, 1), (Cause::SeedUnreadable(CODE), nothing)),
        (Fault::Error(Call::Random, 1), (Cause::NoRandom(CODE), nothing)),
        (Fault::Error(Call::Random, 2), (Cause::NoRandom(CODE), nothing)),
        (Fault::Ignored(Call::Random, 1), (Cause::RandomIsZero, nothing)),
        (Fault::Ignored(Call::Random, 2), (Cause::RandomIsZero, nothing)),
        (Fault::Flips(Call::Random, 2), (Cause::RandomRepeats, nothing)),
        (Fault::Error(Call::WriteSeed, 1), (Cause::SeedNotWritten(CODE), something)),
        (Fault::Ignored(Call::WriteSeed, 1), (Cause::SeedIncomplete, something)),
        (Fault::Error(Call::InspectSeed, 2), (Cause::SeedUnreadable(CODE), something)),
        (
            Fault::Shows(2, SeedSlots { blank: 1, whole: 2, ..BLANK }),
            (Cause::SeedIncomplete, something),
        ),
        (
            Fault::Shows(2, SeedSlots { note: Note::OfSeed, ..WHOLE }),
            (Cause::Torn(Piece::Seed), something),
        ),
        (
            Fault::Shows(2, SeedSlots { whole: 2, revoked: 1, ..WHOLE }),
            (Cause::SeedRevoked, something),
        ),
        (Fault::Error(Call::Derive, 1), (Cause::HukUnusable(Huk::Mkek, CODE), something)),
        (Fault::Error(Call::Derive, 2), (Cause::HukUnusable(Huk::Mext, CODE), something)),
        (Fault::Error(Call::Export, 1), (Cause::PublicKeyUnreadable(CODE), something)),
        (Fault::Ignored(Call::Export, 1), (Cause::IdentityKeyInvalid, something)),
        (Fault::Flips(Call::Export, 1), (Cause::IdentityKeyInvalid, something)),
        (Fault::Error(Call::Random, 3), (Cause::NoRandom(CODE), something)),
        (Fault::Error(Call::Sign, 1), (Cause::NotSigned(CODE), something)),
        (Fault::Ignored(Call::Sign, 1), (Cause::SelfTestFailed, something)),
        (Fault::Flips(Call::Sign, 1), (Cause::SelfTestFailed, something)),
        // The second look.
        (Fault::Error(Call::InspectSeed, 3), (Cause::SeedUnreadable(CODE), something)),
        (Fault::Shows(3, BLANK), (Cause::LooksDisagree, something)),
        (
            Fault::Shows(3, SeedSlots { note: Note::OfSeed, ..WHOLE }),
            (Cause::LooksDisagree, something),
        ),
        (Fault::Error(Call::Derive, 3), (Cause::HukUnusable(Huk::Mkek, CODE), something)),
        (Fault::Error(Call::Derive, 4), (Cause::HukUnusable(Huk::Mext, CODE), something)),
        (Fault::Flips(Call::Derive, 1), (Cause::LooksDisagree, something)),
        (Fault::Flips(Call::Derive, 2), (Cause::LooksDisagree, something)),
        (Fault::Flips(Call::Derive, 3), (Cause::LooksDisagree, something)),
        (Fault::Flips(Call::Derive, 4), (Cause::LooksDisagree, something)),
        (Fault::Error(Call::Export, 2), (Cause::PublicKeyUnreadable(CODE), something)),
        (Fault::Ignored(Call::Export, 2), (Cause::LooksDisagree, something)),
        (Fault::Flips(Call::Export, 2), (Cause::LooksDisagree, something)),
    ] {
        assert_eq!(cause(Part::new(fault)), wanted);
    }
}

#[test]
fn huks_that_derive_the_same_are_no_huks() {
    let mut part = Part::new(Fault::None);
    part.has_one_huk = true;
    assert_eq!(cause(part), (Cause::HuksEqual, Written::Something));
}

#[test]
fn no_record_is_shown_of_a_part_that_two_looks_see_differently() {
    let mut part = Part::new(Fault::Flips(Call::Export, 2));
    let (lines, result) = run(&mut part);
    assert_eq!(result.unwrap_err().cause, Cause::LooksDisagree);
    assert!(!lines.iter().any(|line| line.starts_with("Provisioning record")), "{lines:?}");
}
