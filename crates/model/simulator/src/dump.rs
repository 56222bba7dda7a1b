// SPDX-License-Identifier: Apache-2.0

//! A part's UICR as a table.

use std::fmt::{self, Write as _};

use provisioning::Lifecycle;
use silicon::{
    ERASED, Family, IllegalAccess, KMU_SLOTS, KmuEvent, READ_DENIED, Silicon, Soc, dest_address,
    drivers, perm_address, value_address,
};

/// What each named word of UICR is: MDK, `NRF_UICR_Type`.
fn registers(soc: Soc) -> &'static [(u32, &'static str)] {
    match soc {
        Soc::Nrf5340 => &[
            (0x000, "APPROTECT"),
            (0x010, "VREGHVOUT"),
            (0x014, "HFXOCNT"),
            (0x01C, "SECUREAPPROTECT"),
            (0x020, "ERASEPROTECT"),
            (0x024, "TINSTANCE"),
            (0x028, "NFCPINS"),
        ],
        Soc::Nrf9160 => &[
            (0x000, "APPROTECT"),
            (0x014, "XOSC32M"),
            (0x01C, "HFXOSRC"),
            (0x020, "HFXOCNT"),
            (0x024, "APPNVMCPOFGUARD"),
            (0x02C, "SECUREAPPROTECT"),
            (0x030, "ERASEPROTECT"),
        ],
        // MDK, nrf54l15_application.svd.
        Soc::Nrf54l15 => &[
            (0x000, "APPROTECT.PROTECT0"),
            (0x01C, "APPROTECT.PROTECT1"),
            (0x020, "SECUREAPPROTECT.PROTECT0"),
            (0x03C, "SECUREAPPROTECT.PROTECT1"),
            (0x040, "AUXAPPROTECT.PROTECT0"),
            (0x05C, "AUXAPPROTECT.PROTECT1"),
            (0x060, "ERASEPROTECT.PROTECT0"),
            (0x07C, "ERASEPROTECT.PROTECT1"),
            (0x080, "BOOTCONF"),
        ],
    }
}

/// What the platform library keeps in a key slot: `nrf_cc3xx_platform_defines.h`.
fn slot_name(slot: u32, soc: Soc) -> &'static str {
    match (slot, soc.slots_per_huk()) {
        (2, 1) => "MKEK",
        (2, _) => "MKEK, low half",
        (3, 2) => "MKEK, high half",
        (4, 1) => "MEXT",
        (4, _) => "MEXT, low half",
        (5, 2) => "MEXT, high half",
        (6, _) => "identity key, first half, encrypted",
        (7, _) => "identity key, second half, encrypted",
        _ => "",
    }
}

/// What the SDK keeps in a key slot of an nRF54L15.
fn seed_slot_name(slot: u32) -> &'static str {
    match slot {
        183 => "seed, first third",
        184 => "seed, second third",
        185 => "seed, last third",
        186 => "the driver's note: a write of several slots has begun",
        248 | 249 => "random numbers of the driver's own",
        _ => "",
    }
}

/// A state of the lifecycle that has a word of its own.
fn lifecycle_word(word: u32, state: &str) -> String {
    format!("lifecycle: {state}{}", if word == 0 { "" } else { " torn" })
}

/// The states in a word of the lifecycle: each halfword is one, entered when it is all zeros.
fn lifecycle_name(word: u32, low: &str, high: &str) -> String {
    let states = [(word & 0xFFFF, low), (word >> 16, high)].into_iter().filter_map(
        |(half, state)| match half {
            0xFFFF => None,
            0 => Some(state.to_owned()),
            _ => Some(format!("{state} torn")),
        },
    );
    format!("lifecycle: {}", states.collect::<Vec<_>>().join(", "))
}

/// Writes what a program on the part could read: registers, OTP and key slots. Erased words are left out, and a
/// protected value stands as the hardware shows it.
///
/// # Errors
/// The part refuses to be read, which a part that was just powered on does not.
///
/// # Panics
/// Never: a `String` takes what is written to it.
pub fn dump(part: &mut Silicon) -> Result<String, IllegalAccess> {
    let mut out = String::new();
    let soc = part.soc();
    let storage = soc.bl_storage();
    let mut line = |text: fmt::Arguments<'_>| writeln!(out, "{text}").expect("a String takes it");

    let lifecycle = match drivers::lifecycle(part) {
        Ok(drivers::ASSEMBLY) => Lifecycle::Assembly.name(),
        Ok(drivers::PROVISIONING) => Lifecycle::Provisioning.name(),
        Ok(drivers::SECURED) => Lifecycle::Secured.name(),
        Ok(drivers::DECOMMISSIONED) => Lifecycle::Decommissioned.name(),
        Ok(_) | Err(_) => "none that a part can have",
    };
    line(format_args!("Part: {soc}"));
    line(format_args!("PSA lifecycle state: {lifecycle}"));

    line(format_args!("\nUICR registers"));
    for address in (soc.uicr_base()..soc.otp_base()).step_by(4) {
        let name = registers(soc).iter().find(|(offset, _)| soc.uicr_base() + offset == address);
        let word = part.read(address)?;
        match name {
            Some((_, name)) => line(format_args!("  {address:08X}  {word:08X}  {name}")),
            None if word != ERASED => line(format_args!("  {address:08X}  {word:08X}")),
            None => {}
        }
    }

    line(format_args!("\nOTP, words that are not erased"));
    let otp_end = match soc.family() {
        Family::CryptoCell => dest_address(0),
        Family::Cracen => soc.otp_base() + 4 * 0x140,
    };
    for address in (soc.otp_base()..otp_end).step_by(4) {
        let word = part.read(address)?;
        if word != ERASED {
            let name = match (soc.family(), address - storage) {
                (Family::CryptoCell, 0) => lifecycle_name(word, "PROVISIONING", "SECURED"),
                (Family::CryptoCell, 4) => lifecycle_name(word, "padding", "DECOMMISSIONED"),
                (Family::Cracen, 0) => lifecycle_word(word, "PROVISIONING"),
                (Family::Cracen, 4) => lifecycle_word(word, "SECURED"),
                (Family::Cracen, 8) => lifecycle_word(word, "padding"),
                (Family::Cracen, 12) => lifecycle_word(word, "DECOMMISSIONED"),
                (Family::CryptoCell, 8..40) | (Family::Cracen, 16..48) => {
                    String::from("implementation ID")
                }
                _ => String::new(),
            };
            line(format_args!("  {address:08X}  {word:08X}  {name}"));
        }
    }

    line(format_args!("\nKMU key slots that are not erased"));
    if soc.family() == Family::Cracen {
        // Nobody can read more of them.
        line(format_args!("  slot  METADATA"));
        for slot in 0..KMU_SLOTS {
            match part.slot_metadata(slot) {
                Ok(metadata) => {
                    line(format_args!("  {slot:4}  {metadata:08X}  {}", seed_slot_name(slot)));
                }
                Err(KmuEvent::Revoked) => line(format_args!("  {slot:4}  revoked")),
                Err(KmuEvent::Error) => {}
            }
        }
        return part.illegal_access().map_or(Ok(out), Err);
    }
    line(format_args!("  slot  DEST      PERM      VALUE"));
    for slot in 0..128 {
        part.select(slot + 1)?;
        let dest = part.read(dest_address(slot))?;
        let perm = part.read(perm_address(slot))?;
        let mut value = [0; 4];
        for (address, word) in (value_address(slot)..).step_by(4).zip(&mut value) {
            *word = part.read(address)?;
        }
        if dest == ERASED && perm == ERASED && value == [ERASED; 4] {
            continue;
        }
        let [a, b, c, d] = value;
        let protected = if value == [READ_DENIED; 4] { " (not readable)" } else { "" };
        line(format_args!(
            "  {slot:4}  {dest:08X}  {perm:08X}  {a:08X} {b:08X} {c:08X} {d:08X}{protected}  {}",
            slot_name(slot, soc)
        ));
    }
    part.select(0)?;
    Ok(out)
}
