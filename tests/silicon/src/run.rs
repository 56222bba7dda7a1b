// SPDX-License-Identifier: Apache-2.0

//! The test, stage by stage, with a reset between two of them.

use log::{error, info, warn};
use nrf_keys::Drivers;
use provisioning::{
    Cause, Config, Event, Failure, HukSize, IdentityKeySource, ImplementationId, provision,
};
use silicon::Soc;

use crate::assumptions::{Assumption, TARGET, conclude, not_seen_here, report, report_limit};
use crate::notes::{Notes, notes, restart};
use crate::part::{self, model};
use crate::{by_hand, cuts, provisioned};

/// Kconfig's values.
pub mod kconfig {
    #![allow(dead_code, missing_docs)]
    include!(concat!(env!("OUT_DIR"), "/kconfig.rs"));
}

/// What the procedure writes.
pub const ID: ImplementationId = match ImplementationId::from_bytes([0x51; 32]) {
    Ok(id) => id,
    Err(_) => panic!("an implementation ID"),
};

/// What the image may use of its stack: half a kilobyte stays free.
const STACK: u32 = kconfig::CONFIG_MAIN_STACK_SIZE as u32 - 512;

const STAGES: [fn(&mut Notes); 7] = [
    by_hand::on_a_blank_part,
    by_hand::after_otp_was_written_twice,
    by_hand::after_a_closed_slot_was_written,
    by_hand::after_an_open_slot_was_written_twice,
    run_procedure,
    provisioned::on_a_provisioned_part,
    provisioned::after_a_key_was_stored_twice,
];

/// Called once by zephyr-lang-rust, from Zephyr's main thread.
// SAFETY: no other symbol of the image has this name.
#[unsafe(no_mangle)]
extern "C" fn rust_main() {
    // SAFETY: the main thread is the only one that logs through Rust, and it has not logged yet.
    let _ = unsafe { zephyr::set_logger() };
    let notes = notes();
    let goes_on = notes.take_restart();
    if !goes_on {
        if notes.starts > 0 {
            warn!(target: TARGET, "A reset in stage {} was not this test's: it begins anew.", notes.stage);
        }
        notes.forget();
    }
    model::power_on(notes);
    if !goes_on && !begin(notes) {
        info!(target: TARGET, "Nothing was written.");
        return;
    }
    notes.starts += 1;
    while let Some(stage) = STAGES.get(notes.stage as usize) {
        stage(notes);
        notes.stage += 1;
        if (notes.stage as usize) < STAGES.len() {
            restart(notes);
        }
    }
    conclude(notes);
    info!(target: TARGET, "end");
    notes.forget();
}

/// Says what is lost, and asks, if this is a real part; whether the test may begin.
fn begin(notes: &mut Notes) -> bool {
    info!(target: TARGET, "board: {}", part::board());
    info!(target: TARGET, "SDK: {}", part::sdk());
    if let Some([part, variant]) = part::ficr() {
        info!(target: TARGET, "part: {part:08x} {variant:08x}");
    }
    warn!(target: TARGET, "This test writes to OTP and to key slots of this part: lifecycle state, implementation ID,");
    warn!(target: TARGET, "HUKs, identity key, slots 40 to 63 and 100 to 111, and the end of OTP. Only an ERASEALL takes that back,");
    warn!(target: TARGET, "and it destroys all that is on the part. Do not use a part that you want to keep.");
    if !by_hand::is_blank() {
        error!(target: TARGET, "This part is not blank. Erase it first: west flash --recover, which destroys all that is on it.");
        return false;
    }
    if !cfg!(CONFIG_SILICON_TEST_ASK) {
        return cuts::take(notes, kconfig::CONFIG_SILICON_TEST_CUTS);
    }
    warn!(target: TARGET, "Type yes and Enter to go on, or yes and cuts, such as yes 3000000 9000000:");
    let mut line = [0; 120];
    let line = match line_of_console(&mut line) {
        Some(line) => line,
        None => return false,
    };
    match line.trim_ascii().strip_prefix("yes") {
        Some("") => cuts::take(notes, kconfig::CONFIG_SILICON_TEST_CUTS),
        Some(text) if text.starts_with(' ') => cuts::take(notes, text),
        _ => false,
    }
}

fn line_of_console(line: &mut [u8]) -> Option<&str> {
    unsafe extern "C" {
        fn silicon_test_line(line: *mut core::ffi::c_char, size: usize) -> core::ffi::c_int;
    }
    // SAFETY: the line is valid for the write of as many bytes as it has.
    let length = unsafe { silicon_test_line(line.as_mut_ptr().cast(), line.len()) };
    str::from_utf8(line.get(..usize::try_from(length).ok()?)?).ok()
}

/// The procedure on the part, cut off as often as there are cuts.
fn run_procedure(notes: &mut Notes) {
    if !notes.has(Assumption::LibraryLeaves) {
        by_hand::after_a_key_was_written_twice(notes);
    }
    if notes.next_cut > 0 {
        cuts::inspect(notes);
    }
    let is_armed = cuts::arm(notes);
    let begin = cycles();
    let result = procedure(|event| match cycles().zip(begin) {
        Some((now, begin)) => {
            info!(target: TARGET, "{event} [at {} cycles]", now.wrapping_sub(begin));
        }
        None => info!(target: TARGET, "{event}"),
    });
    cuts::disarm();
    if model::is_off() {
        // The number of the stage stays: the procedure is next.
        restart(notes);
    }
    if is_armed {
        warn!(target: TARGET, "cut {} was not reached", notes.next_cut);
        notes.next_cut -= 1;
    }
    if let Some((now, begin)) = cycles().zip(begin) {
        info!(target: TARGET, "the procedure took {} cycles", now.wrapping_sub(begin));
    }
    report_run(notes, result);
}

fn report_run(notes: &mut Notes, result: Result<(), Cause>) {
    let (made, in_order) = (notes.cuts_made, notes.cuts_in_order);
    if made > 0 {
        let seen = format_args!("{in_order} of {made}");
        report(notes, Assumption::Cuts, format_args!("{made} of {made}"), seen);
    } else if notes.next_cut > 0 {
        not_seen_here(notes, Assumption::Cuts, "no cut came between two writes");
    }
    match stack_used() {
        Some(used) => report_limit(notes, Assumption::Stack, STACK, used),
        None => not_seen_here(notes, Assumption::Stack, "the stack is the host's"),
    }
    match part::has_clock() {
        Some(runs) => report(notes, Assumption::Clock, "no", if runs { "yes" } else { "no" }),
        None => not_seen_here(notes, Assumption::Clock, "the clock is the host's"),
    }
    match result {
        Ok(()) => report(notes, Assumption::Success, "Success!", Event::Success),
        // The last cut came after the last write.
        Err(Cause::AlreadyProvisioned) if notes.next_cut > 0 => {
            report(
                notes,
                Assumption::Success,
                Cause::AlreadyProvisioned,
                Cause::AlreadyProvisioned,
            );
        }
        Err(cause) => {
            // A cut may have torn a piece, which the procedure must refuse. Then nothing is left to do here.
            if notes.next_cut > 0 && matches!(cause, Cause::Torn(_)) {
                info!(target: TARGET, "the procedure refuses this part: {cause}");
            } else {
                report(notes, Assumption::Success, "Success!", cause);
            }
            notes.stage = STAGES.len() as u32;
        }
    }
}

/// This project's procedure. A part that is complete already is an error.
pub fn procedure(report: impl FnMut(Event<'_>)) -> Result<(), Cause> {
    let size = HukSize::from_bits(kconfig::CONFIG_PROVISIONING_HUK_BITS as usize);
    // SAFETY: the only `Drivers` of the image that lives, used from the main thread.
    let mut drivers = unsafe { Drivers::new(size.expect("Kconfig has a size of a HUK")) };
    let config = Config::new(ID, IdentityKeySource::Generated);
    let result = provision(&mut drivers, &config, report).and_then(|part| part.success().map(drop));
    result.map_err(|Failure { cause, .. }| cause)
}

/// Which part this image is for.
pub fn soc() -> Soc {
    if kconfig::CONFIG_PROVISIONING_HUK_BITS == 256 { Soc::Nrf5340 } else { Soc::Nrf9160 }
}

/// Of the drivers, what no `Device` shows by itself.
pub mod drivers {
    use nrf_keys::raw;

    pub fn device_id() -> [u32; 2] {
        let mut words = [0; 2];
        // SAFETY: room for two words.
        unsafe { raw::nrf_keys_device_id(words.as_mut_ptr()) };
        words
    }

    /// Zeros where there are none.
    pub fn random(bytes: &mut [u8; 32]) {
        // SAFETY: room for as many bytes.
        if unsafe { raw::nrf_keys_random(bytes.as_mut_ptr(), 32) } != 0 {
            bytes.fill(0);
        }
    }
}

/// What the board has counted.
#[cfg(CONFIG_PROVISIONING_MEASURE)]
mod measured {
    unsafe extern "C" {
        fn provisioning_cycles() -> u32;
        fn provisioning_stack_used(size: *mut u32) -> u32;
    }

    pub fn cycles() -> Option<u32> {
        // SAFETY: no arguments.
        Some(unsafe { provisioning_cycles() })
    }

    pub fn stack_used() -> Option<u32> {
        // SAFETY: room for a word.
        Some(unsafe { provisioning_stack_used(&mut 0) })
    }
}

/// Nothing counts on this board.
#[cfg(not(CONFIG_PROVISIONING_MEASURE))]
mod measured {
    pub fn cycles() -> Option<u32> {
        None
    }

    pub fn stack_used() -> Option<u32> {
        None
    }
}

pub use measured::cycles;
use measured::stack_used;
