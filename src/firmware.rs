// SPDX-License-Identifier: Apache-2.0

use core::ffi::{c_char, c_int};

use log::{error, info, warn};
use nrf_keys::Drivers;
use provisioning::{
    Config, Event, Failure, HukSize, IdentityKeySource, ImplementationId, Level, Measurement,
    Nonce, Provisioned, provision,
};
use silicon::boot;
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

/// That of the part, so that the image has AES with keys of no other size.
const HUK_SIZE: HukSize = match HukSize::from_bits(kconfig::CONFIG_PROVISIONING_HUK_BITS as usize) {
    Some(size) => size,
    None => panic!("CONFIG_PROVISIONING_HUK_BITS is no size of a HUK"),
};

/// In its range by Kconfig.
const SEED: u32 = kconfig::CONFIG_SILICON_MODEL_SEED as u32;

unsafe extern "C" {
    /// `k_panic()` of Zephyr, a macro (`src/kernel_panic.c`).
    fn provisioning_kernel_panic() -> !;
    /// Reads a line of the console (`src/console_line.c`).
    fn provisioning_console_line(line: *mut c_char, size: usize) -> c_int;
    /// The bytes of this image in flash, as they were programmed (`src/image.c`).
    fn provisioning_image(size: *mut usize) -> *const u8;
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
    let mut stack = [0; 2];
    if MEASURE {
        // SAFETY: the second is valid for the write.
        stack[0] = unsafe { provisioning_stack_used(&raw mut stack[1]) };
    }
    // SAFETY: it writes below this frame only, where nothing lives.
    unsafe { provisioning_clear_stack() };
    match result.and_then(|part| part.success().map_err(Some)) {
        Ok(success) => {
            report(success);
            if MEASURE {
                let [used, size] = stack;
                info!(target: NAME, "Measured: {used} of {size} bytes of main stack");
            }
        }
        Err(failure) => {
            if let Some(failure) = failure {
                error!(target: NAME, "{failure}");
            }
            // SAFETY: k_panic() may be called from any thread; it does not return.
            unsafe { provisioning_kernel_panic() }
        }
    }
}

/// A line of the console.
fn report(event: Event<'_>) {
    // SAFETY: it only reads a counter.
    let cycles = if MEASURE { unsafe { provisioning_cycles() } } else { 0 };
    match event.level() {
        Level::Info => info!(target: NAME, "{event}"),
        Level::Warning => warn!(target: NAME, "{event}"),
    }
    if MEASURE {
        info!(target: NAME, "Measured: {cycles} cycles");
    }
}

/// Without a failure in its error, it has said itself why there is no part.
///
/// In a frame of its own, which is dead when the stack is cleared; inlined, it would live on in its caller's.
#[inline(never)]
fn run() -> Result<Provisioned, Option<Failure>> {
    let model = boot::power_on(
        kconfig::CONFIG_SILICON_MODEL_SOC,
        kconfig::CONFIG_SILICON_MODEL_STATE,
        SEED,
    )
    .map_err(|error| {
        error!(target: NAME, "No part to provision: {error}");
        None
    })?;
    if let Some(model) = model {
        warn!(target: NAME, "{model}");
    }

    // SAFETY: the only `Drivers` of the image, used from the main thread; no other code of the image
    // calls the key drivers.
    let mut drivers = unsafe { Drivers::new(HUK_SIZE) };
    let config = Config {
        implementation_id: IMPLEMENTATION_ID,
        identity_key: IDENTITY_KEY,
        resume: matches!(kconfig::CONFIG_PROVISIONING_IN_PROVISIONING.as_bytes(), b"resume"),
        record: !matches!(kconfig::CONFIG_PROVISIONING_RECORD_KIND.as_bytes(), b"none"),
        nonce: match kconfig::CONFIG_PROVISIONING_RECORD_KIND.as_bytes() {
            b"asked" => Some(ask_for_nonce().ok_or(Failure::no_nonce())?),
            _ => None,
        },
        measurement: measure_image(),
    };
    provision(&mut drivers, &config, report).map_err(Some)
}

/// What `sha256sum` gives of `zephyr.bin`.
fn measure_image() -> Measurement {
    let mut size = 0;
    // SAFETY: `size` is valid for the write.
    let image = unsafe { provisioning_image(&raw mut size) };
    if size == 0 {
        return Measurement::of(&[]);
    }
    // SAFETY: so many bytes of flash are there by the linker script, and nothing writes them.
    Measurement::of(unsafe { core::slice::from_raw_parts(image, size) })
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
