// SPDX-License-Identifier: Apache-2.0

//! From Kconfig to [`Config`], and from the procedure's events to Zephyr's log.

use core::fmt;

use log::{error, info, warn};
#[cfg(not(CONFIG_PROVISIONING_SEED_KEYS))]
use nrf_keys::Drivers;
#[cfg(CONFIG_PROVISIONING_SEED_KEYS)]
use nrf_keys::SeedDrivers;
#[cfg(not(CONFIG_PROVISIONING_SEED_KEYS))]
use provisioning::HukSize;
#[cfg(CONFIG_SILICON_MODEL)]
use provisioning::console;
use provisioning::console::{LOG_TARGET, Measured, NONCE_PROMPT};
use provisioning::{
    Config, Event, Failure, IdentityKeySource, ImplementationId, Level, Measurement, Nonce,
    Provisioned, provision,
};

use crate::glue;

/// Kconfig's values. `zephyr::kconfig` has them, too, but its build script (of 2025) does not notice when they change,
/// and an image would keep an old implementation ID.
mod kconfig {
    include!(concat!(env!("OUT_DIR"), "/kconfig.rs"));
}

/// Whether this image is for `cargo xtask bench`.
const MEASURE: bool = cfg!(CONFIG_PROVISIONING_MEASURE);

/// What CMakeLists.txt has refused already; this is what holds where a build goes around it.
const IMPLEMENTATION_ID: ImplementationId =
    match ImplementationId::from_hex(kconfig::CONFIG_PROVISIONING_IMPLEMENTATION_ID) {
        Ok(id) => id,
        Err(_) => {
            panic!("CONFIG_PROVISIONING_IMPLEMENTATION_ID must be 64 hexadecimal digits, not all F")
        }
    };

/// A constant, so that the image has the code of no other source. Of a seed the identity key is always derived.
const IDENTITY_KEY: IdentityKeySource = if cfg!(CONFIG_PROVISIONING_IDENTITY_KEY_DRIVER) {
    IdentityKeySource::Driver
} else if cfg!(CONFIG_PROVISIONING_IDENTITY_KEY_DUMMY) {
    IdentityKeySource::Dummy
} else {
    IdentityKeySource::Generated
};

/// That of the part, so that the image has AES with keys of no other size.
#[cfg(not(CONFIG_PROVISIONING_SEED_KEYS))]
const HUK_SIZE: HukSize = match HukSize::from_bits(kconfig::CONFIG_PROVISIONING_HUK_BITS as usize) {
    Some(size) => size,
    None => panic!("CONFIG_PROVISIONING_HUK_BITS is no size of a HUK"),
};

/// Why no part was provisioned.
enum Stop {
    /// The part that Kconfig and the command line describe cannot be modelled.
    #[cfg(CONFIG_SILICON_MODEL)]
    NoPart(silicon::boot::BootError),
    Failed(Failure),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(CONFIG_SILICON_MODEL)]
            Self::NoPart(error) => console::NoPart(error).fmt(f),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
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
        stack[0] = unsafe { glue::provisioning_stack_used(&raw mut stack[1]) };
    }
    // SAFETY: it writes below this frame only, where nothing lives.
    unsafe { glue::provisioning_clear_stack() };
    match result.and_then(|part| part.success().map_err(Stop::Failed)) {
        Ok(success) => {
            report(success);
            if MEASURE {
                let [used, size] = stack;
                info!(target: LOG_TARGET, "{}", Measured::Stack { used, size });
            }
        }
        Err(stop) => {
            error!(target: LOG_TARGET, "{stop}");
            // SAFETY: k_panic() may be called from any thread; it does not return.
            unsafe { glue::provisioning_kernel_panic() }
        }
    }
}

/// A line of the console.
fn report(event: Event<'_>) {
    // SAFETY: it only reads a counter.
    let cycles = if MEASURE { unsafe { glue::provisioning_cycles() } } else { 0 };
    match event.level() {
        Level::Info => info!(target: LOG_TARGET, "{event}"),
        Level::Warning => warn!(target: LOG_TARGET, "{event}"),
    }
    if MEASURE {
        info!(target: LOG_TARGET, "{}", Measured::Cycles(cycles));
    }
}

/// In a frame of its own, which is dead when the stack is cleared; inlined, it would live on in its caller's.
#[inline(never)]
fn run() -> Result<Provisioned, Stop> {
    #[cfg(CONFIG_SILICON_MODEL)]
    power_on_model().map_err(Stop::NoPart)?;

    // SAFETY: the only drivers of the image, used from the main thread; no other code of the image calls them.
    #[cfg(not(CONFIG_PROVISIONING_SEED_KEYS))]
    let mut drivers = unsafe { Drivers::new(HUK_SIZE) };
    // SAFETY: as above.
    #[cfg(CONFIG_PROVISIONING_SEED_KEYS)]
    let mut drivers = unsafe { SeedDrivers::new() };
    let nonce = if cfg!(CONFIG_PROVISIONING_RECORD_NONCE) {
        Some(ask_for_nonce().ok_or(Stop::Failed(Failure::no_nonce()))?)
    } else {
        None
    };
    let config = Config {
        implementation_id: IMPLEMENTATION_ID,
        identity_key: IDENTITY_KEY,
        resume: cfg!(CONFIG_PROVISIONING_RESUME),
        complete_seed: cfg!(CONFIG_PROVISIONING_COMPLETE_SEED),
        record: cfg!(CONFIG_PROVISIONING_RECORD),
        nonce,
        measurement: measure_image(),
    };
    provision(&mut drivers, &config, report).map_err(Stop::Failed)
}

/// Puts a modelled part under the drivers, and says so.
#[cfg(CONFIG_SILICON_MODEL)]
fn power_on_model() -> Result<(), silicon::boot::BootError> {
    let model = silicon::boot::power_on(
        kconfig::CONFIG_SILICON_MODEL_SOC_NAME,
        kconfig::CONFIG_SILICON_MODEL_STATE_NAME,
        kconfig::CONFIG_SILICON_MODEL_SEED as u32, // in its range by Kconfig
    )?;
    let line = console::ModelledSilicon { part: model.soc.name(), seed: model.seed };
    warn!(target: LOG_TARGET, "{line}");
    Ok(())
}

/// What `sha256sum` gives of `zephyr.bin`.
fn measure_image() -> Measurement {
    let mut size = 0;
    // SAFETY: `size` is valid for the write.
    let image = unsafe { glue::provisioning_image(&raw mut size) };
    if size == 0 {
        return Measurement::of(&[]);
    }
    // SAFETY: so many bytes of flash are there by the linker script, and nothing writes them.
    Measurement::of(unsafe { core::slice::from_raw_parts(image, size) })
}

/// What the station sends before the run. Empty lines are noise of a port that was just opened.
fn ask_for_nonce() -> Option<Nonce> {
    info!(target: LOG_TARGET, "{}", NONCE_PROMPT);
    let mut line = [0_u8; 64];
    loop {
        // SAFETY: `line` is valid for the write of as many bytes as it has.
        let length =
            unsafe { glue::provisioning_console_line(line.as_mut_ptr().cast(), line.len()) };
        match usize::try_from(length).ok()? {
            0 => {}
            length => return Nonce::from_hex(str::from_utf8(line.get(..length)?).ok()?),
        }
    }
}
