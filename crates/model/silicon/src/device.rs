// SPDX-License-Identifier: Apache-2.0

//! The file in which a Zephyr image on native_sim or QEMU keeps its part, and the image's command line:
//! `zephyr/device.h`.

use core::ffi::{CStr, c_char};

unsafe extern "C" {
    fn silicon_option_seed() -> *const c_char;
    fn silicon_option_device() -> *const c_char;
    fn silicon_device_open(path: *const c_char, size: u32) -> bool;
    fn silicon_device_read(offset: u32, bytes: *mut u8, size: u32) -> bool;
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

/// Fills what a part keeps from a file, to which [`store`] writes from now on: these words, one slice behind the other.
///
/// # Errors
/// The file cannot be used.
pub(crate) fn load(file: &CStr, kept: &mut [&mut [u32]]) -> Result<(), Unusable> {
    let size = |words: &[u32]| u32::try_from(4 * words.len()).map_err(|_| Unusable);
    let mut total = 0;
    for words in kept.iter() {
        total += size(words)?;
    }
    // SAFETY: `file` is a text.
    if !unsafe { silicon_device_open(file.as_ptr(), total) } {
        return Err(Unusable);
    }
    let mut offset = 0;
    for words in kept {
        let size = size(words)?;
        // SAFETY: the words are valid for the write of so many bytes, of which any are words.
        if !unsafe { silicon_device_read(offset, words.as_mut_ptr().cast(), size) } {
            return Err(Unusable);
        }
        words.iter_mut().for_each(|word| *word = u32::from_le(*word));
        offset += size;
    }
    Ok(())
}

/// Writes a word to the file; whether that went well.
pub(crate) fn store(offset: usize, word: u32) -> bool {
    let Ok(offset) = u32::try_from(offset) else { return false };
    let bytes = word.to_le_bytes();
    // SAFETY: the word is valid for reads of the four bytes that the header names.
    unsafe { silicon_device_store(offset, &raw const bytes) }
}
