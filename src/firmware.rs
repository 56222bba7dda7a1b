// SPDX-License-Identifier: Apache-2.0

use core::fmt;

use log::{error, info, warn};
use nrf_keys::Drivers;
use provisioning::{
    Cause, Config, Failure, IdentityKeySource, ImplementationId, Level, Written, provision,
};
use silicon::boot::{self, BootError, Model};
use zephyr::kconfig;

/// The module name in the log lines.
const NAME: &str = "provisioning_image";

/// What CMakeLists.txt has refused already; this is what holds where a build goes around it.
const IMPLEMENTATION_ID: ImplementationId =
    match ImplementationId::from_hex(kconfig::CONFIG_PROVISIONING_IMPLEMENTATION_ID) {
        Ok(id) => id,
        Err(_) => {
            panic!("CONFIG_PROVISIONING_IMPLEMENTATION_ID must be 64 hexadecimal digits, not all F")
        }
    };

unsafe extern "C" {
    /// `k_panic()` of Zephyr, a macro (`src/kernel_panic.c`).
    fn provisioning_kernel_panic() -> !;
    /// Clears the dead part of this thread's stack (`src/clear_stack.c`).
    fn provisioning_clear_stack();
}

/// Called once by zephyr-lang-rust, from Zephyr's main thread.
// SAFETY: no other symbol of the image has this name.
#[unsafe(no_mangle)]
extern "C" fn rust_main() {
    // SAFETY: the main thread is the only one that logs through Rust, and it has not logged yet. A
    // logger that is set already is no reason not to provision.
    let _ = unsafe { zephyr::set_logger() };

    let result = run();
    // SAFETY: it writes below this frame only, where nothing lives.
    unsafe { provisioning_clear_stack() };
    if let Err(stop) = result {
        error!(target: NAME, "{stop}");
        // SAFETY: k_panic() may be called from any thread; it does not return.
        unsafe { provisioning_kernel_panic() }
    }
}

/// Why the image panics.
enum Stop {
    Failure(Failure),
    /// On modelled silicon only.
    Boot(BootError),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure(failure) => failure.fmt(f),
            Self::Boot(error) => write!(f, "No part to provision: {error}"),
        }
    }
}

/// In a frame of its own, which is dead when the stack is cleared; inlined, it would live on in its caller's.
#[inline(never)]
fn run() -> Result<(), Stop> {
    let bad_configuration =
        || Stop::Failure(Failure { cause: Cause::BadConfiguration, written: Written::Nothing });
    let identity_key = IdentityKeySource::from_name(kconfig::CONFIG_PROVISIONING_IDENTITY_KEY)
        .ok_or_else(bad_configuration)?;
    let seed =
        u32::try_from(kconfig::CONFIG_SILICON_MODEL_SEED).map_err(|_| bad_configuration())?;
    let model = boot::power_on(
        kconfig::CONFIG_SILICON_MODEL_SOC,
        kconfig::CONFIG_SILICON_MODEL_STATE,
        seed,
    )
    .map_err(Stop::Boot)?;
    if let Some(Model { soc, seed }) = model {
        warn!(target: NAME, "modelled {soc}, seed {seed}: nothing that is written here is secret");
    }

    // SAFETY: the only `Drivers` of the image, used from the main thread; no other code of the image
    // calls the key drivers.
    let mut drivers = unsafe { Drivers::new() };
    let config = Config {
        implementation_id: IMPLEMENTATION_ID,
        identity_key,
        resume: matches!(kconfig::CONFIG_PROVISIONING_IN_PROVISIONING.as_bytes(), b"resume"),
    };
    provision(&mut drivers, &config, |event| match event.level() {
        Level::Info => info!(target: NAME, "{event}"),
        Level::Warning => warn!(target: NAME, "{event}"),
    })
    .map(|_| ())
    .map_err(Stop::Failure)
}
