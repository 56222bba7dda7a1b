// SPDX-License-Identifier: Apache-2.0

//! What outlives a reset.

use crate::assumptions::{Assumption, bit};
use crate::part::model;

/// All zeros at power-on.
#[repr(C)]
pub struct Notes {
    /// Starts of this image: the number of this one.
    pub starts: u32,
    /// Which stage is next.
    pub stage: u32,
    /// The assumptions that were found as predicted or otherwise, and those that cannot be seen here: a bit each.
    pub as_predicted: u64,
    pub differ: u64,
    pub not_seen: u64,
    pub device_id: [u32; 2],
    /// Two draws in each of three starts. They are no keys, and are never shown.
    pub random: [[u8; 32]; 6],
    /// One cut for each run of the procedure, as text that ends with a zero; and which is next.
    pub cuts: [[u8; 12]; 16],
    pub next_cut: u32,
    /// Cuts that were made, and those of them that left whole pieces, at most one torn one, and blank ones, in order.
    pub cuts_made: u32,
    pub cuts_in_order: u32,
    /// A slot, as it should be after the next reset.
    pub known_slot: [u32; 6],
    /// The part, as it was left.
    #[cfg(CONFIG_SILICON_MODEL)]
    pub page: [u32; silicon::UICR_WORDS],
}

impl Notes {
    /// Whether an assumption was reported.
    pub fn has(&self, what: Assumption) -> bool {
        (self.as_predicted | self.differ | self.not_seen) & bit(what) != 0
    }

    /// As at power-on.
    pub fn forget(&mut self) {
        // SAFETY: all zeros are notes, too.
        unsafe { core::ptr::from_mut(self).write_bytes(0, 1) }
    }
}

unsafe extern "C" {
    fn test_retained(size: usize) -> *mut Notes;
    fn test_restart() -> !;
}

/// The notes. A reference from before must not be used after this.
pub fn notes() -> &'static mut Notes {
    // SAFETY: no other arguments.
    let notes = unsafe { test_retained(size_of::<Notes>()) };
    // SAFETY: NULL, or so many bytes, aligned for 64 bits, which any value may have.
    unsafe { notes.as_mut() }.expect("memory outlives a reset")
}

/// Resets the machine. What is modelled is as it was.
pub fn restart(notes: &mut Notes) -> ! {
    model::keep(notes);
    // SAFETY: no arguments.
    unsafe { test_restart() }
}

/// Called by the interrupt of a cut, before the reset: what it interrupts does not go on.
// SAFETY: no other symbol of the image has this name.
#[unsafe(no_mangle)]
extern "C" fn silicon_test_before_reset() {
    model::keep(notes());
}
