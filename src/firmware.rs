// SPDX-License-Identifier: Apache-2.0

use core::ffi::{c_char, c_int};

use log::{error, info, warn};
use nrf_keys::Drivers;
use provisioning::{
    Cause, Config, Failure, IdentityKeySource, ImplementationId, Level, Nonce, Written, provision,
};
use silicon::boot::{self, Model};
use zephyr::kconfig;

/// The module name in the log lines.
const NAME: &str = "provisioning_image";

/// Whether this image is for `cargo xtask bench`.
const MEASURE: bool = matches!(kconfig::CONFIG_PROVISIONING_MEASURED.as_bytes(), b"yes");

/// What CMakeLists.txt has refused already; this is what holds where a build goes around it.
const IMPLEMENTATION_ID: ImplementationId =
    match ImplementationId::from_hex(kconfig::CONFIG_PROVISIONING_IMPLEMENTATION_ID) {
        Ok(id) => id,
        Err(_) => {
            panic!("CONFIG_PROVISIONING_IMPLEMENTATION_ID must be 64 hexadecimal digits, not all F")
        }
    };

/// One that Kconfig knows, so that the image has the code of no other.
const IDENTITY_KEY: IdentityKeySource =
    match IdentityKeySource::from_name(kconfig::CONFIG_PROVISIONING_IDENTITY_KEY) {
        Some(source) => source,
        None => panic!("CONFIG_PROVISIONING_IDENTITY_KEY is no source of identity keys"),
    };

/// In its range by Kconfig.
const SEED: u32 = kconfig::CONFIG_SILICON_MODEL_SEED as u32;

unsafe extern "C" {
    /// `k_panic()` of Zephyr, a macro (`src/kernel_panic.c`).
    fn provisioning_kernel_panic() -> !;
    /// Reads a line of the console (`src/console_line.c`).
    fn provisioning_console_line(line: *mut c_char, size: usize) -> c_int;
    /// Clears the dead part of this thread's stack (`src/clear_stack.c`).
    fn provisioning_clear_stack();
    /// Cycles since reset (`src/measure.c`, with `MEASURE` only).
    fn provisioning_cycles() -> u32;
    /// Bytes of this thread's stack that were ever used, and its size (`src/measure.c`, with `MEASURE` only).
    fn provisioning_stack_used(size: *mut u32) -> u32;
}

/// Called once by zephyr-lang-rust, from Zephyr's main thread.
// SAFETY: no other symbol of the image has this name.
#[unsafe(no_mangle)]
extern "C" fn rust_main() {
    // SAFETY: the main thread is the only one that logs through Rust, and it has not logged yet. A
    // logger that is set already is no reason not to provision.
    let _ = unsafe { zephyr::set_logger() };

    let result = run();
    if MEASURE {
        let mut size = 0;
        // SAFETY: `size` is valid for the write.
        let used = unsafe { provisioning_stack_used(&raw mut size) };
        info!(target: NAME, "Measured: {used} of {size} bytes of main stack");
    }
    // SAFETY: it writes below this frame only, where nothing lives.
    unsafe { provisioning_clear_stack() };
    if let Err(failure) = result {
        if let Some(failure) = failure {
            error!(target: NAME, "{failure}");
        }
        // SAFETY: k_panic() may be called from any thread; it does not return.
        unsafe { provisioning_kernel_panic() }
    }
}

/// Without a failure in its error, it has said itself why there is no part.
///
/// In a frame of its own, which is dead when the stack is cleared; inlined, it would live on in its caller's.
#[inline(never)]
fn run() -> Result<(), Option<Failure>> {
    let model = boot::power_on(
        kconfig::CONFIG_SILICON_MODEL_SOC,
        kconfig::CONFIG_SILICON_MODEL_STATE,
        SEED,
    )
    .map_err(|error| {
        error!(target: NAME, "No part to provision: {error}");
        None
    })?;
    if let Some(Model { soc, seed }) = model {
        warn!(target: NAME, "modelled {soc}, seed {seed}: nothing that is written here is secret");
    }

    // SAFETY: the only `Drivers` of the image, used from the main thread; no other code of the image
    // calls the key drivers.
    let mut drivers = unsafe { Drivers::new() };
    let config = Config {
        implementation_id: IMPLEMENTATION_ID,
        identity_key: IDENTITY_KEY,
        resume: matches!(kconfig::CONFIG_PROVISIONING_IN_PROVISIONING.as_bytes(), b"resume"),
        record: !matches!(kconfig::CONFIG_PROVISIONING_RECORD_KIND.as_bytes(), b"none"),
        nonce: match kconfig::CONFIG_PROVISIONING_RECORD_KIND.as_bytes() {
            b"asked" => Some(
                ask_for_nonce()
                    .ok_or(Failure { cause: Cause::NoNonce, written: Written::Nothing })?,
            ),
            _ => None,
        },
    };
    provision(&mut drivers, &config, |event| {
        // SAFETY: it only reads a counter.
        let cycles = if MEASURE { unsafe { provisioning_cycles() } } else { 0 };
        match event.level() {
            Level::Info => info!(target: NAME, "{event}"),
            Level::Warning => warn!(target: NAME, "{event}"),
        }
        if MEASURE {
            info!(target: NAME, "Measured: {cycles} cycles");
        }
    })
    .map(|_| ())
    .map_err(Some)
}

/// What the station sends before the run. Empty lines are noise of a port that was just opened.
fn ask_for_nonce() -> Option<Nonce> {
    info!(target: NAME, "{}", Nonce::PROMPT);
    let mut line = [0_u8; 64];
    loop {
        // SAFETY: `line` is valid for the write of as many bytes as it has.
        let length = unsafe { provisioning_console_line(line.as_mut_ptr().cast(), line.len()) };
        match usize::try_from(length).ok()? {
            0 => {}
            length => return Nonce::from_hex(str::from_utf8(line.get(..length)?).ok()?),
        }
    }
}
