// SPDX-License-Identifier: Apache-2.0

//! Failing drivers: each driver call returns each of its documented errors, an undocumented one, or claims
//! success without doing anything; what it reads has a flipped bit once, or from then on. `Success!` appears
//! only where the inspector agrees.
//!
//! A fault is one call of one run. Every call of every run is tried, from every start.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use provisioning::{
    Cause, DUMMY_PUBLIC_KEY, Device, DeviceId, DriverError, Event, Failure, Huk, HukKey, HukSize,
    IdentityKey, IdentityKeySource, KeyCheckValue, KeySlots, Lifecycle, PublicKey, StoredKeyDevice,
    StoredKeys, Ueid, Written, provision,
};
use rayon::prelude::*;
use silicon::states::Writes;
use silicon::{IllegalAccess, Silicon, Soc, UICR_WORDS, drivers};
use simulator::inspector::{self, Wanted};
use simulator::testing::{config, id, public_key};
use simulator::with_drivers;

/// A driver error that is in no header.
const UNDOCUMENTED: i32 = -0x07FF_FFFF;

/// A method of [`Device`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Lifecycle,
    EnterProvisioning,
    ImplementationId,
    WriteImplementationIdWord,
    HukSlots,
    IdentityKeySlots,
    WriteHuk,
    DeriveFromHuk,
    IdentityKeyIsWritten,
    WriteIdentityKey,
    WriteRandomIdentityKey,
    WriteDummyIdentityKey,
    ReadIdentityKey,
    FreeIdentityKey,
    FillRandom,
}

impl Method {
    const ALL: [Self; 15] = [
        Self::Lifecycle,
        Self::EnterProvisioning,
        Self::ImplementationId,
        Self::WriteImplementationIdWord,
        Self::HukSlots,
        Self::IdentityKeySlots,
        Self::WriteHuk,
        Self::DeriveFromHuk,
        Self::IdentityKeyIsWritten,
        Self::WriteIdentityKey,
        Self::WriteRandomIdentityKey,
        Self::WriteDummyIdentityKey,
        Self::ReadIdentityKey,
        Self::FreeIdentityKey,
        Self::FillRandom,
    ];

    /// Every error, since nothing relies on which driver returns which.
    fn errors(self) -> Vec<Effect> {
        if matches!(self, Self::IdentityKeyIsWritten | Self::FreeIdentityKey) {
            return Vec::new();
        }
        let codes = drivers::CODES.into_iter().chain([drivers::INVALID_ARGUMENT, UNDOCUMENTED]);
        codes.map(Effect::Error).collect()
    }

    /// The bits of what it reads that are flipped; a lifecycle state becomes the one so many places later.
    fn bits(self) -> &'static [u32] {
        match self {
            Self::Lifecycle => &[1, 2, 3],
            // One a word, in each of its bytes.
            Self::ImplementationId => &[0, 39, 72, 111, 144, 183, 216, 255],
            // Of each of the four counts.
            Self::HukSlots | Self::IdentityKeySlots => {
                &[0, 1, 2, 31, 32, 33, 34, 63, 64, 65, 66, 95, 96, 97, 98, 127]
            }
            Self::DeriveFromHuk => &[0, 127],
            Self::IdentityKeyIsWritten => &[0],
            Self::ReadIdentityKey => &[0, 128, 255],
            Self::FillRandom => &[7, 255],
            Self::EnterProvisioning
            | Self::WriteImplementationIdWord
            | Self::WriteHuk
            | Self::WriteIdentityKey
            | Self::WriteRandomIdentityKey
            | Self::WriteDummyIdentityKey
            | Self::FreeIdentityKey => &[],
        }
    }

    fn lies(self, from_then_on: bool) -> Vec<Effect> {
        self.bits().iter().map(|bit| Effect::FlipsBit { bit: *bit, from_then_on }).collect()
    }
}

/// What a call does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Nothing, and returns an error.
    Error(i32),
    /// Nothing, and returns success. What is left in the caller's hands is what it put there.
    ClaimsSuccess,
    /// Its work, and then returns an error; or fails, and claims success.
    InvertsAnswer,
    /// Its work, and then a bit of what it read is flipped: in this call, or in each from this one on.
    FlipsBit { bit: u32, from_then_on: bool },
}

/// The `nth` call of a method, from 1, goes wrong.
#[derive(Clone, Copy, Debug)]
struct Fault {
    method: Method,
    nth: u32,
    effect: Effect,
}

/// Calls by method.
type Calls = [u32; Method::ALL.len()];

/// Drivers of which one call goes wrong.
struct Faulty<'d, D> {
    inner: &'d mut D,
    fault: Option<Fault>,
    log: Log,
}

/// What the drivers were asked, and what they answered.
#[derive(Default)]
struct Log {
    calls: Calls,
    struck: bool,
    answers: Answers,
}

/// What was read last.
#[derive(Default)]
struct Answers {
    lifecycle: Option<Lifecycle>,
    implementation_id: Option<[u8; 32]>,
    huk_slots: [Option<KeySlots>; Huk::ALL.len()],
    identity_key_slots: Option<KeySlots>,
    /// The public half.
    identity_key: Option<PublicKey>,
}

impl Answers {
    /// What of it is not so in a good part.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.lifecycle != Some(Lifecycle::Provisioning) {
            problems.push(format!("the lifecycle was read as {:?}", self.lifecycle));
        }
        if self.implementation_id != Some(*id().as_bytes()) {
            problems.push(format!("the ID was read as {:02x?}", self.implementation_id));
        }
        // The CPU may read the identity key's, so its count of exposed slots does not matter.
        let identity_key_slots =
            self.identity_key_slots.map(|slots| KeySlots { exposed: 0, ..slots });
        for slots in self.huk_slots.into_iter().chain([identity_key_slots]) {
            let whole = |total| KeySlots { total, blank: 0, whole: total, exposed: 0 };
            if slots.is_none_or(|slots| slots.total == 0 || slots != whole(slots.total)) {
                problems.push(format!("the slots were read as {slots:?}"));
            }
        }
        problems
    }
}

impl<D: StoredKeyDevice> Faulty<'_, D> {
    /// Counts a call; what goes wrong with it.
    fn strike(&mut self, method: Method) -> Option<Effect> {
        let calls = &mut self.log.calls[method as usize];
        *calls += 1;
        let fault = self.fault.filter(|fault| fault.method == method)?;
        let from_then_on = matches!(fault.effect, Effect::FlipsBit { from_then_on: true, .. });
        let strikes = *calls == fault.nth || (from_then_on && *calls > fault.nth);
        self.log.struck |= strikes;
        strikes.then_some(fault.effect)
    }

    /// A call that reads nothing.
    fn act(
        &mut self,
        method: Method,
        call: impl FnOnce(&mut D) -> Result<(), DriverError>,
    ) -> Result<(), DriverError> {
        self.fill(method, &mut (), |inner, ()| call(inner), |(), _| ())
    }

    /// A call that reads something into `value`.
    fn fill<T: ?Sized>(
        &mut self,
        method: Method,
        value: &mut T,
        call: impl FnOnce(&mut D, &mut T) -> Result<(), DriverError>,
        flip: impl FnOnce(&mut T, u32),
    ) -> Result<(), DriverError> {
        match self.strike(method) {
            None => call(self.inner, value),
            Some(Effect::Error(code)) => Err(DriverError::from_raw(code)),
            Some(Effect::ClaimsSuccess) => Ok(()),
            Some(Effect::InvertsAnswer) => match call(self.inner, value) {
                Ok(()) => Err(DriverError::from_raw(UNDOCUMENTED)),
                Err(_) => Ok(()),
            },
            Some(Effect::FlipsBit { bit, .. }) => {
                call(self.inner, value)?;
                flip(value, bit);
                Ok(())
            }
        }
    }
}

fn flip_byte(bytes: &mut [u8], bit: u32) {
    bytes[bit as usize / 8] ^= 1 << (bit % 8);
}

fn flip_count(slots: &mut KeySlots, bit: u32) {
    let counts = [&mut slots.total, &mut slots.blank, &mut slots.whole, &mut slots.exposed];
    *counts.into_iter().nth(bit as usize / 32).unwrap() ^= 1 << (bit % 32);
}

impl<D: StoredKeyDevice> Device for Faulty<'_, D> {
    type Keys = StoredKeys;

    // A register that no check depends on.
    fn device_id(&mut self) -> DeviceId {
        self.inner.device_id()
    }

    fn lifecycle(&mut self) -> Result<Lifecycle, DriverError> {
        const STATES: [Lifecycle; 4] = [
            Lifecycle::Assembly,
            Lifecycle::Provisioning,
            Lifecycle::Secured,
            Lifecycle::Decommissioned,
        ];
        let mut state = None;
        self.fill(
            Method::Lifecycle,
            &mut state,
            |inner, state| inner.lifecycle().map(|found| *state = Some(found)),
            |state, further| {
                *state = state.map(|state| STATES[(state as usize + further as usize) % 4]);
            },
        )?;
        // What the bindings make of a state that the driver has left alone.
        self.log.answers.lifecycle = state;
        state.ok_or(DriverError::from_raw(0))
    }

    fn enter_provisioning(&mut self) -> Result<(), DriverError> {
        self.act(Method::EnterProvisioning, D::enter_provisioning)
    }

    fn implementation_id(&mut self) -> Result<[u8; 32], DriverError> {
        let mut id = [0; 32];
        self.fill(
            Method::ImplementationId,
            &mut id,
            |inner, id| inner.implementation_id().map(|found| *id = found),
            |id, bit| flip_byte(id, bit),
        )?;
        self.log.answers.implementation_id = Some(id);
        Ok(id)
    }

    fn write_implementation_id_word(&mut self, index: u32, word: u32) -> Result<(), DriverError> {
        self.act(Method::WriteImplementationIdWord, |inner| {
            inner.write_implementation_id_word(index, word)
        })
    }

    fn derive_from_huk(&mut self, huk: Huk, value: &mut KeyCheckValue) -> Result<(), DriverError> {
        self.fill(
            Method::DeriveFromHuk,
            value,
            |inner, value| inner.derive_from_huk(huk, value),
            |value, bit| flip_byte(value.expose_mut(), bit),
        )
    }

    fn fill_random(&mut self, bytes: &mut [u8; 32]) -> Result<(), DriverError> {
        self.fill(Method::FillRandom, bytes, D::fill_random, |bytes, bit| flip_byte(bytes, bit))
    }
}

impl<D: StoredKeyDevice> StoredKeyDevice for Faulty<'_, D> {
    fn huk_size(&self) -> HukSize {
        self.inner.huk_size()
    }

    fn huk_slots(&mut self, huk: Huk) -> Result<KeySlots, DriverError> {
        // What the bindings make of words that the driver has left alone: all zero, and not denied.
        let total = self.inner.huk_slots(huk)?.total;
        let mut slots = KeySlots { total, blank: 0, whole: 0, exposed: total };
        self.fill(
            Method::HukSlots,
            &mut slots,
            |inner, slots| inner.huk_slots(huk).map(|found| *slots = found),
            flip_count,
        )?;
        self.log.answers.huk_slots[huk as usize] = Some(slots);
        Ok(slots)
    }

    fn identity_key_slots(&mut self) -> Result<KeySlots, DriverError> {
        // As above; a header of zeros is the one that is asked for, since that is of zeros too.
        let total = self.inner.identity_key_slots()?.total;
        let mut slots = KeySlots { total, blank: 0, whole: total, exposed: 0 };
        self.fill(
            Method::IdentityKeySlots,
            &mut slots,
            |inner, slots| inner.identity_key_slots().map(|found| *slots = found),
            flip_count,
        )?;
        self.log.answers.identity_key_slots = Some(slots);
        Ok(slots)
    }

    fn write_huk(&mut self, huk: Huk, key: &HukKey) -> Result<(), DriverError> {
        self.act(Method::WriteHuk, |inner| inner.write_huk(huk, key))
    }

    fn identity_key_is_written(&mut self) -> bool {
        let mut written = false;
        let read = self.fill(
            Method::IdentityKeyIsWritten,
            &mut written,
            |inner, written| {
                *written = inner.identity_key_is_written();
                Ok(())
            },
            |written, _| *written ^= true,
        );
        read.expect("it has no error to return");
        written
    }

    fn write_identity_key(&mut self, key: &mut IdentityKey) -> Result<(), DriverError> {
        self.act(Method::WriteIdentityKey, |inner| inner.write_identity_key(key))
    }

    fn write_random_identity_key(&mut self) -> Result<(), DriverError> {
        self.act(Method::WriteRandomIdentityKey, D::write_random_identity_key)
    }

    fn write_dummy_identity_key(&mut self) -> Result<(), DriverError> {
        self.act(Method::WriteDummyIdentityKey, D::write_dummy_identity_key)
    }

    fn read_identity_key(&mut self, key: &mut IdentityKey) -> Result<(), DriverError> {
        let result = self.fill(Method::ReadIdentityKey, key, D::read_identity_key, |key, bit| {
            flip_byte(key.expose_mut(), bit);
        });
        self.log.answers.identity_key = key.public_key();
        result
    }

    fn free_identity_key(&mut self, key: &mut IdentityKey) {
        let freed = self.act(Method::FreeIdentityKey, |inner| {
            inner.free_identity_key(key);
            Ok(())
        });
        freed.expect("it has no error to return");
    }
}

/// What a run begins with.
struct Start {
    soc: Soc,
    source: IdentityKeySource,
    /// `erased`, the cut that an earlier run ended with, or `complete`.
    name: String,
    page: [u32; UICR_WORDS],
    /// The calls of a run in which nothing goes wrong.
    calls: Calls,
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.soc, self.source.name(), self.name)
    }
}

/// What a run gave.
struct Run {
    part: Silicon,
    log: Log,
    events: Vec<&'static str>,
    result: Result<PublicKey, Failure>,
}

fn run(part: Silicon, source: IdentityKeySource, fault: Option<Fault>) -> Run {
    // A run that panicked has left its part behind.
    drop(silicon::remove());
    let mut events = Vec::new();
    let (part, (log, result)) = with_drivers(part, |inner| {
        let mut device = Faulty { inner, fault, log: Log::default() };
        let result = provision(&mut device, &config(source), |event| events.push(event.message()))
            .and_then(|part| {
                events.push(part.success()?.message());
                Ok(*part.public_key())
            });
        (device.log, result)
    });
    Run { part, log, events, result }
}

/// Erased, cut off behind each piece, within a piece, and complete.
static STARTS: LazyLock<Vec<Start>> = LazyLock::new(|| {
    let mut starts = Vec::new();
    for soc in Soc::CRYPTOCELL {
        let Writes { lifecycle, implementation_id, mkek, mext, .. } = Writes::of(soc);
        let whole = [lifecycle, 5, implementation_id, mkek, mext].map(|write| format!("{write}a"));
        let torn = [1, 5, 11, mkek + 2, mext + 2, mext + 7].map(|write| format!("{write}t9"));
        for source in IdentityKeySource::ALL {
            let mut add = |name: String, page: [u32; UICR_WORDS]| {
                let part = Silicon::with_page(soc, [2; 32], page);
                let calls = run(part, source, None).log.calls;
                starts.push(Start { soc, source, name, page, calls });
            };
            let erased = || Silicon::erased(soc, [1; 32]);
            add(String::from("erased"), *erased().page());
            for cut in whole.iter().chain(&torn) {
                let mut part = erased();
                part.cut(cut.parse().unwrap());
                let part = run(part, source, None).part;
                assert!(part.is_off(), "{cut} did not fire");
                add(cut.clone(), *part.page());
            }
            let complete = run(erased(), source, None);
            assert!(complete.result.is_ok(), "{:?}", complete.result);
            add(String::from("complete"), *complete.part.page());
        }
    }
    starts
});

/// Plays a case, and says which promise was broken, if one was.
fn judge(start: &Start, fault: Fault) -> Result<(), String> {
    let part = Silicon::with_page(start.soc, [2; 32], start.page);
    let Run { part, log, events, result } = run(part, start.source, Some(fault));
    if !log.struck {
        return Err(String::from("the fault did not strike"));
    }
    if events.contains(&Event::Success.message()) != result.is_ok() {
        return Err(format!("{events:?}, and {result:?}"));
    }
    // Only a whole part prints a record.
    let already = matches!(result, Err(Failure { cause: Cause::AlreadyProvisioned, .. }));
    let records = events.iter().filter(|event| **event == "Provisioning record: ").count();
    if records != usize::from(result.is_ok() || already) {
        return Err(format!("{records} records, and {result:?}"));
    }
    if fault.effect == Effect::InvertsAnswer && (result.is_ok() || already) {
        return Err(format!("an answer was inverted, and {result:?}"));
    }
    if let Effect::Error(code) = fault.effect {
        let reported = result.as_ref().err().and_then(|failure| failure.cause.driver_error());
        if reported != Some(DriverError::from_raw(code)) {
            return Err(format!("error {code} was returned, and {result:?} reported"));
        }
    }
    if let Some(access) = part.illegal_access() {
        // A driver that reports a blank MEXT has it written. Where it is not blank, the KMU refuses the first word.
        let refused =
            matches!(access, IllegalAccess::SlotLocked(_) | IllegalAccess::SlotWrittenTwice(_));
        let misled = matches!(fault.effect, Effect::FlipsBit { .. })
            && fault.method == Method::HukSlots
            && refused
            && matches!(result, Err(Failure { cause: Cause::HukNotWritten(..), .. }))
            && *part.page() == start.page;
        if !misled {
            return Err(format!("{access}, and {result:?}"));
        }
    }
    if let Err(Failure { written: Written::Nothing, .. }) = result
        && *part.page() != start.page
    {
        return Err(format!("something was written, and {result:?}"));
    }

    let (reported, reported_key) = match result {
        Ok(public_key) => (Ueid::of(&public_key), Some(*public_key.as_bytes())),
        Err(Failure { ueid: Some(ueid), .. }) => (ueid, None),
        Err(_) => return Ok(()),
    };
    // A read that lies from then on hides what nothing else shows: the state, and a key that is not known beforehand.
    let hides = |what| {
        fault.method == what && matches!(fault.effect, Effect::FlipsBit { from_then_on: true, .. })
    };
    let known = match start.source {
        IdentityKeySource::Dummy => true,
        IdentityKeySource::Generated => result.is_ok(),
        IdentityKeySource::Driver => false,
    };
    let misread = hides(Method::ReadIdentityKey) && !known;
    let wanted = Wanted {
        implementation_id: *id().as_bytes(),
        public_key: reported_key.filter(|_| !misread),
    };
    let mut problems = inspector::problems(start.soc, part.page(), &wanted);
    if hides(Method::Lifecycle) {
        problems.retain(|problem| !problem.starts_with("lifecycle word"));
    }
    let key = if misread { log.answers.identity_key } else { public_key(start.soc, part.page()) };
    if key.map(|key| Ueid::of(&key)) != Some(reported) {
        problems.push(String::from("the UEID is that of another key"));
    }
    if (key == Some(DUMMY_PUBLIC_KEY)) != (start.source == IdentityKeySource::Dummy) {
        problems.push(String::from("the identity key is from another source"));
    }
    // The run must have heeded what the drivers reported.
    problems.extend(log.answers.problems());
    if problems.is_empty() {
        return Ok(());
    }
    let claim = result.map_or_else(|failure| failure.to_string(), |_| Event::Success.to_string());
    Err(format!("{claim}, but {}", problems.join("; ")).replace('\n', ""))
}

/// Plays each effect in each call of each start.
#[track_caller]
fn play_all(effects: impl Fn(Method) -> Vec<Effect>) {
    let mut cases = Vec::new();
    for start in STARTS.iter() {
        for (method, calls) in Method::ALL.into_iter().zip(start.calls) {
            for effect in effects(method) {
                cases.extend((1..=calls).map(|nth| (start, Fault { method, nth, effect })));
            }
        }
    }
    let mut violations: Vec<String> = cases
        .par_iter()
        .filter_map(|(start, fault)| {
            let judged = catch_unwind(AssertUnwindSafe(|| judge(start, *fault)))
                .unwrap_or_else(|_| Err(String::from("a panic")));
            judged.err().map(|what| format!("{start}: {fault:?}: {what}"))
        })
        .collect();
    violations.sort();
    eprintln!("{} cases", cases.len());
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn every_method_is_called_from_some_start() {
    assert_eq!(STARTS.len(), 2 * 3 * 13);
    for method in Method::ALL {
        assert_eq!(Method::ALL[method as usize], method);
        assert!(STARTS.iter().any(|start| start.calls[method as usize] > 0), "{method:?}");
    }
}

#[test]
fn an_error_ends_the_run_and_is_reported_as_it_came() {
    play_all(Method::errors);
}

#[test]
fn a_call_that_claims_success_does_not_pass_for_one() {
    play_all(|_| vec![Effect::ClaimsSuccess]);
}

/// A yes that becomes a no is the flip of one bit, below.
#[test]
fn an_answer_that_is_inverted_ends_the_run() {
    play_all(|method| match method {
        Method::IdentityKeyIsWritten | Method::FreeIdentityKey => Vec::new(),
        _ => vec![Effect::InvertsAnswer],
    });
}

#[test]
fn a_read_that_lies_once_gives_no_success_on_a_bad_part() {
    play_all(|method| method.lies(false));
}

#[test]
fn a_read_that_lies_from_then_on_hides_only_what_nothing_else_shows() {
    play_all(|method| method.lies(true));
}
