// SPDX-License-Identifier: Apache-2.0

//! The procedure, from the first look at the part to the last check.

use crate::console::Event;
use crate::device::{Device, Lifecycle};
use crate::failure::{Cause, Failure, Piece, Written};
use crate::identity::{IdentityKeySource, PublicKey, Ueid};
use crate::implementation_id::{IMPLEMENTATION_ID_SIZE, ImplementationId};
use crate::keys::Keys;
use crate::record::{Measurement, Nonce, Record};
use crate::verdict::{Check, Verdict};

/// What a production line decides.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Written to OTP.
    pub implementation_id: ImplementationId,
    /// Where the identity key comes from.
    pub identity_key: IdentityKeySource,
    /// Whether a part that is in PROVISIONING already is looked at and completed, or refused.
    pub resume: bool,
    /// Whether a seed whose write was cut off is completed, or refused. Only parts that have one heed it.
    pub complete_seed: bool,
    /// Whether the part's record is reported.
    pub record: bool,
    /// The nonce that the record must hold, so that it is known to be fresh; without it, the part makes one.
    pub nonce: Option<Nonce>,
    /// Which image this is. The record says so.
    pub measurement: Measurement,
}

impl Config {
    /// The default of Kconfig: a part is resumed, a torn seed refused, and its record is reported, with a nonce of its
    /// own. The image has no bytes.
    #[must_use]
    pub fn new(implementation_id: ImplementationId, identity_key: IdentityKeySource) -> Self {
        Self {
            implementation_id,
            identity_key,
            resume: true,
            complete_seed: false,
            record: true,
            nonce: None,
            measurement: Measurement::of(&[]),
        }
    }
}

/// A part that is provisioned, as two looks at it have found.
#[derive(Clone, Copy, Debug)]
pub struct Provisioned {
    public_key: PublicKey,
    verdict: Verdict,
    /// By an earlier run.
    already: bool,
}

impl Provisioned {
    /// The public identity key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// "Success!", for the console. It is to be reported when the stack of the run is cleared.
    ///
    /// The first look has found the part good, or there would be no such value. This asks for the verdict of the
    /// second one.
    ///
    /// # Errors
    /// [`Cause::LooksDisagree`], or [`Cause::AlreadyProvisioned`].
    pub fn success(&self) -> Result<Event<'static>, Failure> {
        match (self.verdict.holds(), self.already) {
            (true, false) => Ok(Event::Success),
            (true, true) => Err(Failure::already_provisioned(Ueid::of(&self.public_key))),
            (false, false) => Err(Failure::new(Cause::LooksDisagree, Written::Something)),
            (false, true) => Err(Failure::new(Cause::LooksDisagree, Written::Nothing)),
        }
    }
}

/// Provisions `device`. `report` gets each [`Event`] as it happens, but for the last, which is
/// [`Provisioned::success`].
///
/// What can be found out without a write is found out before the first one: the lifecycle state, what is
/// in OTP and KMU already, and that the random generator gives keys.
///
/// # Resuming
/// Pieces are written one after the other: lifecycle, implementation ID, keys. So a run that was cut off leaves whole
/// pieces, at most one torn one, and blank pieces, in this order:
/// - Lifecycle: zeros. Whole or blank if all bits say so; the driver refuses any other.
/// - Implementation ID: eight words whose values are known. Each is whole, blank or torn by comparison.
/// - Keys: `Keys` of the part says which. Nobody can tell a half-written random number from a whole one.
///
/// Whole pieces are kept and checked, blank ones are written, and a torn one ends the run. So does any
/// other order, which no run of this procedure leaves.
///
/// # Errors
/// The first thing that goes wrong ends the run. [`Failure::written`] tells whether this run wrote
/// anything by then. A part that is complete already gives no error here: [`Provisioned::success`] fails for it.
pub fn provision(
    device: &mut impl Device,
    config: &Config,
    mut report: impl FnMut(Event<'_>),
) -> Result<Provisioned, Failure> {
    let mut written = Written::Nothing;
    run(device, config, &mut report, &mut written).map_err(|cause| Failure::new(cause, written))
}

fn run<D: Device>(
    device: &mut D,
    config: &Config,
    report: &mut impl FnMut(Event<'_>),
    written: &mut Written,
) -> Result<Provisioned, Cause> {
    let mut keys = D::Keys::empty();
    let missing = inspect(device, config, &mut keys, report)?;
    if missing == Missing::Nothing {
        verify_lifecycle(device)?;
        keys.verify(device, report)?;
        let part = prove(device, config, &mut keys, report)?;
        return Ok(Provisioned { already: true, ..part });
    }
    keys.choose(device, config)?;
    if missing == Missing::Lifecycle {
        *written = Written::Something;
        device.enter_provisioning().map_err(Cause::LifecycleNotWritten)?;
        verify_lifecycle(device)?;
        report(Event::LifecycleSwitched);
    } else {
        verify_lifecycle(device)?;
        *written = Written::Something;
    }
    // Before any key, so that no fully keyed part can lack it.
    write_implementation_id(device, &config.implementation_id)?;
    keys.write(device, config, report)?;
    prove(device, config, &mut keys, report)
}

/// What is not whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// All.
    Lifecycle,
    /// All but the lifecycle state, of which the keys are written last.
    Something,
    Nothing,
}

/// Looks at each piece, without a write. What is not fit to go on with ends the run.
fn inspect<D: Device>(
    device: &mut D,
    config: &Config,
    keys: &mut D::Keys,
    report: &mut impl FnMut(Event<'_>),
) -> Result<Missing, Cause> {
    let lifecycle = match device.lifecycle().map_err(Cause::LifecycleUnreadable)? {
        Lifecycle::Assembly => {
            report(Event::LifecycleVerified);
            false
        }
        Lifecycle::Provisioning if config.resume => {
            report(Event::Resuming);
            true
        }
        // OTP of zeros reads as that state, too, but no part gets into it that way.
        Lifecycle::Decommissioned
            if device.implementation_id().is_ok_and(|id| id == [0; IMPLEMENTATION_ID_SIZE]) =>
        {
            return Err(Cause::StorageZeroed);
        }
        other => return Err(Cause::NotInAssembly(other)),
    };
    let id = device.implementation_id().map_err(Cause::ImplementationIdUnreadable)?;
    let id = id_progress(&id, &config.implementation_id);
    let id_is_whole = match id {
        Progress::Blank => false,
        Progress::Whole => true,
        // Words that are whole or blank can be completed.
        Progress::Partial if lifecycle => false,
        Progress::Torn if lifecycle => return Err(Cause::Torn(Piece::ImplementationId)),
        _ => return Err(Cause::ImplementationIdTaken),
    };
    let keys_are_whole = keys.inspect(device, config, lifecycle && id_is_whole)?;
    Ok(match (lifecycle, keys_are_whole) {
        (false, _) => Missing::Lifecycle,
        (true, false) => Missing::Something,
        (true, true) => Missing::Nothing,
    })
}

/// How much of the implementation ID is in OTP.
enum Progress {
    /// No bit.
    Blank,
    /// All of it.
    Whole,
    /// Some of its words, and the others are blank.
    Partial,
    /// A word with some of its bits cleared, and no others.
    Torn,
    /// Bits that are not cleared in this ID.
    Other,
}

fn id_progress(found: &[u8; IMPLEMENTATION_ID_SIZE], id: &ImplementationId) -> Progress {
    let words = || found.as_chunks::<4>().0.iter().zip(id.as_bytes().as_chunks::<4>().0);
    if found == id.as_bytes() {
        Progress::Whole
    } else if found.iter().all(|byte| *byte == 0xFF) {
        Progress::Blank
    } else if words().all(|(found, id)| found == id || *found == ERASED_WORD) {
        Progress::Partial
    } else if found.iter().zip(id.as_bytes()).all(|(found, id)| found & id == *id) {
        Progress::Torn
    } else {
        Progress::Other
    }
}

/// 32 bytes from the random generator, or an error.
pub(crate) fn draw(device: &mut impl Device, bytes: &mut [u8; 32]) -> Result<(), Cause> {
    device.fill_random(bytes).map_err(Cause::NoRandom)?;
    if bytes[..16] == [0; 16] { Err(Cause::RandomIsZero) } else { Ok(()) }
}

/// The lifecycle state PROVISIONING, read once more.
fn verify_lifecycle(device: &mut impl Device) -> Result<(), Cause> {
    match device.lifecycle().map_err(Cause::LifecycleUnreadable)? {
        Lifecycle::Provisioning => Ok(()),
        other => Err(Cause::LifecycleMismatch(other)),
    }
}

/// The words of the implementation ID that are still erased, and then all of it read back. OTP takes each
/// halfword once, so what is there is kept.
fn write_implementation_id(device: &mut impl Device, id: &ImplementationId) -> Result<(), Cause> {
    let found = device.implementation_id().map_err(Cause::ImplementationIdUnreadable)?;
    let words = found.as_chunks::<4>().0.iter().zip(id.as_bytes().as_chunks::<4>().0);
    for (index, (found, word)) in (0..).zip(words) {
        if found != word && *found == ERASED_WORD {
            device
                .write_implementation_id_word(index, u32::from_le_bytes(*word))
                .map_err(Cause::ImplementationIdNotWritten)?;
        }
    }
    let found = device.implementation_id().map_err(Cause::ImplementationIdUnreadable)?;
    if found == *id.as_bytes() { Ok(()) } else { Err(Cause::ImplementationIdMismatch) }
}

/// The identity key, made to sign the record; the whole part, looked at once more; and then the record is reported.
/// No copy of the key stays in `keys`.
fn prove<D: Device>(
    device: &mut D,
    config: &Config,
    keys: &mut D::Keys,
    report: &mut impl FnMut(Event<'_>),
) -> Result<Provisioned, Cause> {
    let mut record = Record::empty();
    let proof = match keys.prove(device, config, &mut record) {
        Ok(public_key) => look_again(device, config, keys).map(|verdict| Provisioned {
            public_key,
            verdict,
            already: false,
        }),
        Err(cause) => Err(cause),
    };
    keys.release(device);
    let part = proof?;
    keys.judge(config, &part.public_key)?;
    // A record of a part that is not whole would be taken for one of a part that is.
    if config.record && part.verdict.holds() {
        report(Event::Record(&record));
    }
    Ok(part)
}

/// Everything that was written, read or used once more, whatever was found before: one fault can hide one look,
/// not both. `keys` holds what the first look has found.
#[inline(never)]
fn look_again<D: Device>(
    device: &mut D,
    config: &Config,
    keys: &D::Keys,
) -> Result<Verdict, Cause> {
    let mut verdict = Verdict::new();
    let lifecycle = device.lifecycle().map_err(Cause::LifecycleUnreadable)?;
    verdict.count(Check::Lifecycle, lifecycle == Lifecycle::Provisioning);
    let id = device.implementation_id().map_err(Cause::ImplementationIdUnreadable)?;
    verdict.count(Check::ImplementationId, id == *config.implementation_id.as_bytes());
    keys.look_again(device, &mut verdict)?;
    Ok(verdict)
}

/// Four bytes of erased OTP.
const ERASED_WORD: [u8; 4] = [0xFF; 4];
