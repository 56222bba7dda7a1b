// SPDX-License-Identifier: Apache-2.0

//! Where a part's UICR page is kept beside its memory.

#[cfg(device_file)]
use crate::device;

/// Where the UICR page of a modelled part is kept beside its memory.
#[cfg(feature = "std")]
pub trait Backing {
    /// Keeps a word that was just written. `offset` is in bytes from the start of the page.
    ///
    /// # Errors
    /// The word could not be kept; the part freezes.
    fn store(&mut self, offset: usize, word: u32) -> std::io::Result<()>;
}

/// A word could not be kept. It is logged why.
pub(crate) struct NotKept;

/// A [`Backing`], the image's device file, or neither.
pub(crate) struct Copies {
    #[cfg(feature = "std")]
    pub(crate) backing: Option<Box<dyn Backing>>,
    #[cfg(device_file)]
    pub(crate) in_device_file: bool,
}

impl Copies {
    pub(crate) const NONE: Self = Self {
        #[cfg(feature = "std")]
        backing: None,
        #[cfg(device_file)]
        in_device_file: false,
    };

    /// Keeps the word with this index, where words are kept.
    #[cfg_attr(
        not(any(feature = "std", device_file)),
        expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "nothing is kept there")
    )]
    pub(crate) fn store(&mut self, index: usize, word: u32) -> Result<(), NotKept> {
        #[cfg(feature = "std")]
        if let Some(backing) = &mut self.backing
            && let Err(error) = backing.store(4 * index, word)
        {
            log::error!("the device file cannot be written: {error}");
            return Err(NotKept);
        }
        #[cfg(device_file)]
        if self.in_device_file && !device::store(4 * index, word) {
            log::error!("the device file cannot be written");
            return Err(NotKept);
        }
        #[cfg(not(any(feature = "std", device_file)))]
        let _ = (index, word);
        Ok(())
    }
}
