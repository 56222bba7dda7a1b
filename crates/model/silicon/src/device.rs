// SPDX-License-Identifier: Apache-2.0

//! The file in which a Zephyr image on native_sim or QEMU keeps its part, and the image's command line:
//! `zephyr/device.h`.

use core::ffi::{CStr, c_char};

use crate::uicr::UICR_WORDS;

unsafe extern "C" {
    fn silicon_option_seed() -> *const c_char;
    fn silicon_option_device() -> *const c_char;
    fn silicon_device_load(path: *const c_char, page: *mut [u32; UICR_WORDS]) -> bool;
    fn silicon_device_store(offset: u32, word: *const [u8; 4]) -> bool;
}

/// What stands behind `--seed=`, if it is there.
pub(crate) fn seed_option() -> Option<&'static CStr> {
    // SAFETY: no arguments.
    let text = unsafe { silicon_option_seed() };
    // SAFETY: the header promises NULL or a text that stays.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

/// What stands behind `--device=`, if it is there.
pub(crate) fn file_option() -> Option<&'static CStr> {
    // SAFETY: no arguments.
    let text = unsafe { silicon_option_device() };
    // SAFETY: as above.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

/// The file cannot be used. The console says why.
pub(crate) struct Unusable;

/// Fills the page from a file, to which [`store`] writes from now on.
///
/// # Errors
/// The file cannot be used.
pub(crate) fn load(file: &CStr, page: &mut [u32; UICR_WORDS]) -> Result<(), Unusable> {
    // SAFETY: `file` is a text, and the page has the 4096 bytes that the header names.
    if !unsafe { silicon_device_load(file.as_ptr(), page) } {
        return Err(Unusable);
    }
    for word in page {
        *word = u32::from_le(*word);
    }
    Ok(())
}

/// Writes a word of the page to the file; whether that went well.
pub(crate) fn store(offset: usize, word: u32) -> bool {
    let Ok(offset) = u32::try_from(offset) else { return false };
    let bytes = word.to_le_bytes();
    // SAFETY: the word is valid for reads of the four bytes that the header names.
    unsafe { silicon_device_store(offset, &raw const bytes) }
}
