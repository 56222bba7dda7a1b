// SPDX-License-Identifier: Apache-2.0

//! The test, start by start: a part is provisioned, and then, for each defect, made defective, looked at by this
//! project's procedure, and started twice with TF-M.

use log::{error, info};
use provisioning::{Config, Event, Failure, IdentityKeySource, ImplementationId, provision};
use silicon::{ERASED, Soc, with_installed};

use crate::fate::{Fate, Image, Tfm, Wrote};
use crate::kept::Kept;
use crate::part::{Defect, close_ports, drivers, expected, is_of_keys, secured_words};
use crate::token;

const ID: ImplementationId = match ImplementationId::from_bytes([0xC7; 32]) {
    Ok(id) => id,
    Err(_) => panic!("an implementation ID"),
};

/// `psa/error.h`.
const PSA_ERROR_NOT_PERMITTED: i32 = -133;

/// What outlives a reset: all zeros at power-on.
#[repr(C)]
struct Notes {
    /// Starts of this image, before this one.
    starts: u32,
    /// The index of the defect, and how often TF-M has been started on that part.
    defect: u32,
    tfm_starts: u32,
    /// What was found out about this part.
    image: u32,
    tfm: [u32; 2],
    differences: u32,
    /// Of the part that was provisioned.
    public_key: [u8; 65],
    good: Kept,
    /// The part, as it is.
    part: Kept,
}

unsafe extern "C" {
    fn test_retained(size: usize) -> *mut Notes;
    fn test_restart() -> !;
    fn tfm_test_crypto_as_non_secure() -> i32;
    fn tfm_test_wants_closed_ports() -> bool;
    fn tfm_test_show_bl_storage();
    fn silicon_option_device() -> *const core::ffi::c_char;
    fn tfm_main() -> i32;
}

/// The notes. A reference from before must not be used after this.
fn notes() -> &'static mut Notes {
    // SAFETY: no arguments.
    let notes = unsafe { test_retained(size_of::<Notes>()) };
    // SAFETY: NULL, or so many bytes, aligned for 64 bits, which any value may have.
    unsafe { notes.as_mut() }.expect("memory outlives a reset")
}

fn soc() -> Soc {
    zephyr::kconfig::CONFIG_SILICON_MODEL_SOC_NAME.parse().expect("Kconfig names a part")
}

/// Whether TF-M is to start on a part that another program has left in a file, with `--device=FILE`, and no more.
fn is_on_a_file() -> bool {
    // SAFETY: no arguments.
    !unsafe { silicon_option_device() }.is_null()
}

/// Called once by zephyr-lang-rust, from Zephyr's main thread.
// SAFETY: no other symbol of the image has this name.
#[unsafe(no_mangle)]
extern "C" fn rust_main() {
    // SAFETY: the main thread is the only one that logs through Rust, and it has not logged yet.
    let _ = unsafe { zephyr::set_logger() };
    if is_on_a_file() {
        let state = zephyr::kconfig::CONFIG_SILICON_MODEL_STATE_NAME; // the file overrides it
        match silicon::boot::power_on(soc().name(), state, 1) {
            // SAFETY: the main thread.
            Ok(_) => drop(unsafe { tfm_main() }),
            Err(error) => error!("{error}"),
        }
        return;
    }
    let notes = notes();
    notes.starts += 1;
    // Other random numbers in each start.
    with_installed(|part| part.replace(soc(), silicon::seed(u64::from(notes.starts))));
    if notes.starts == 1 {
        prepare(notes);
    }
    if notes.tfm_starts == 2 {
        take(notes);
        let after = look(notes);
        judge(notes, after);
        notes.defect += 1;
        notes.tfm_starts = 0;
    }
    let Some(defect) = Defect::ALL.get(notes.defect as usize) else {
        let passed = if notes.differences == 0 { "SUCCESSFUL" } else { "FAILED" };
        info!("parts: {} started, {} differences", Defect::ALL.len(), notes.differences);
        info!("PROJECT EXECUTION {passed}");
        return;
    };
    if notes.tfm_starts == 0 {
        with_installed(|part| {
            notes.good.put(part);
            defect.apply(part);
            notes.part.take(part);
        });
        notes.image = look(notes) as u32;
    }
    take(notes);
    // SAFETY: the main thread; it ends in `tfm_test_end`.
    unsafe { tfm_main() };
}

/// Puts the part under the drivers, as it was left.
fn take(notes: &Notes) {
    with_installed(|part| {
        part.replace(soc(), silicon::seed(u64::from(notes.starts)));
        notes.part.put(part);
    });
}

/// Provisions a part with this project's procedure.
fn prepare(notes: &mut Notes) {
    match run(|event| info!("{event}")) {
        Ok(public_key) => notes.public_key = public_key,
        Err(failure) => {
            error!("{failure}");
            notes.differences += 1;
        }
    }
    with_installed(|part| {
        // Not before: the image must read and write the part.
        close_ports(part);
        notes.good.take(part);
    });
}

/// What this project's procedure does with the part that is under the drivers; the notes keep it as it was.
fn look(notes: &Notes) -> Image {
    match run(|_| ()) {
        Ok(_) => Image::Completes,
        Err(Failure { cause: provisioning::Cause::AlreadyProvisioned, .. }) => {
            let same = |part: &mut silicon::Silicon| part.words().eq(notes.part.words());
            if with_installed(same) == Some(true) { Image::FindsGood } else { Image::Changes }
        }
        Err(_) => Image::Refuses,
    }
}

fn run(report: impl FnMut(Event<'_>)) -> Result<[u8; 65], Failure> {
    let part = provision(&mut drivers(), &Config::new(ID, IdentityKeySource::Generated), report)?;
    part.success()?;
    Ok(*part.public_key().as_bytes())
}

/// TF-M has come to an end: `enum tfm_test_end`. It returns where TF-M runs on a part in a file.
// SAFETY: no other symbol of the image has this name.
#[unsafe(no_mangle)]
extern "C" fn tfm_test_end(how: u32) {
    if is_on_a_file() {
        match how {
            1 => info!("TF-M resets the part"),
            2 => panic!("TF-M has stopped"),
            _ => {
                // SAFETY: no arguments, and nothing else uses the drivers meanwhile.
                unsafe { tfm_test_show_bl_storage() };
                return show_token();
            }
        }
    } else {
        note_end(how, notes());
    }
    // SAFETY: no arguments.
    unsafe { test_restart() }
}

fn note_end(how: u32, notes: &mut Notes) {
    let end = match how {
        1 => Tfm::Resets,
        2 => Tfm::Panics,
        _ => attest(notes),
    };
    info!("start {} of TF-M: {end:?}", notes.tfm_starts + 1);
    if let Some(noted) = notes.tfm.get_mut(notes.tfm_starts as usize) {
        *noted = end as u32;
    }
    notes.tfm_starts += 1;
    with_installed(|part| notes.part.take(part));
}

/// For verifiers on the host, which have the record. In pieces, since this console breaks long lines.
fn show_token() {
    match token::get(&mut [0; token::MAX_SIZE]) {
        Ok(token) => token.chunks(32).for_each(|piece| info!("token: {}", token::Hex(piece))),
        Err(status) => error!("no token: {status}"),
    }
}

/// Asks the TF-M that runs for a token, and checks it.
fn attest(notes: &Notes) -> Tfm {
    let mut buffer = [0; token::MAX_SIZE];
    let token = match token::get(&mut buffer) {
        Ok(token) => token,
        Err(status) => {
            info!("no token: {status}");
            return Tfm::DoesNotAttest;
        }
    };
    info!("a token of {} bytes", token.len());
    // SAFETY: no arguments.
    if unsafe { tfm_test_crypto_as_non_secure() } != PSA_ERROR_NOT_PERMITTED {
        return Tfm::LendsTheKey;
    }
    let claims = match token::read(token, &notes.public_key) {
        Ok(Some(claims)) => claims,
        Ok(None) => return Tfm::AttestsOtherKey,
        Err(_) => return Tfm::DoesNotAttest,
    };
    let is_of_this_part = claims.lifecycle == 0x3000
        && claims.nonce == token::CHALLENGE
        && claims.instance_id == token::instance_id(&notes.public_key);
    match claims.implementation_id {
        id if is_of_this_part && id == ID.as_bytes() => Tfm::Attests,
        id if is_of_this_part && id == [0xFF; 32] => Tfm::AttestsBlankId,
        _ => Tfm::AttestsOtherClaims,
    }
}

/// Compares what was found with what is expected of this defect.
fn judge(notes: &mut Notes, image_after: Image) {
    let Some(&defect) = Defect::ALL.get(notes.defect as usize) else { return };
    let (image, tfm) = (Image::from_number(notes.image), notes.tfm.map(Tfm::from_number));
    let found = Fate { image, tfm, wrote: wrote(notes, defect), image_after };
    info!("{defect:?}: {found:?}");
    // SAFETY: no arguments.
    let expected = expected(defect, unsafe { tfm_test_wants_closed_ports() });
    let is_secured =
        secured_words(soc()).into_iter().all(|word| notes.part.words().nth(word) == Some(0));
    if found != expected || (found.tfm[0] == Tfm::Resets && !is_secured) {
        error!("difference: {defect:?}: expected {expected:?}");
        notes.differences += 1;
    }
}

/// What TF-M has changed on the part that had this defect.
fn wrote(notes: &Notes, defect: Defect) -> Wrote {
    let compare = |part: &mut silicon::Silicon| {
        notes.good.put(part);
        defect.apply(part);
        let (mut keys, mut secured) = (false, false);
        for (index, (before, after)) in part.words().zip(notes.part.words()).enumerate() {
            match before != after {
                false => {}
                true if secured_words(soc()).contains(&index) => secured = true,
                true if is_of_keys(soc(), index) && before == ERASED => keys = true,
                true => return Wrote::Other,
            }
        }
        match (keys, secured) {
            (false, false) => Wrote::Nothing,
            (true, false) => Wrote::Keys,
            (false, true) => Wrote::Secured,
            (true, true) => Wrote::KeysAndSecured,
        }
    };
    with_installed(compare).unwrap_or(Wrote::Other)
}
