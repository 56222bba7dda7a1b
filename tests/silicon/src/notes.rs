// SPDX-License-Identifier: Apache-2.0

//! What outlives a reset.

use crate::assumptions::{Assumption, bit};
use crate::part::model;
use crate::run::cycles;

/// All zeros at power-on.
#[repr(C)]
pub struct Notes {
    /// The reset before this start was the test's own: [`RESTARTED`]. Any other begins the test anew.
    pub restarted: u32,
    /// Starts of this image since the test has begun: the number of this one.
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
    /// Cuts that came between two writes, and those of them that left whole pieces, at most one torn one, and blank
    /// ones, in order.
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

    /// Whether the test goes on after a reset of its own. It does so once for each.
    pub fn take_restart(&mut self) -> bool {
        core::mem::take(&mut self.restarted) == RESTARTED
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

/// No value that memory has by chance.
const RESTARTED: u32 = 0x5AFE_0E5E;

/// Resets the machine. What is modelled is as it was.
pub fn restart(notes: &mut Notes) -> ! {
    model::keep(notes);
    notes.restarted = RESTARTED;
    let_the_uart_end();
    // SAFETY: no arguments.
    unsafe { test_restart() }
}

/// Called by the interrupt of a cut, before the reset: what it interrupts does not go on.
// SAFETY: no other symbol of the image has this name.
#[unsafe(no_mangle)]
extern "C" fn silicon_test_before_reset() {
    let notes = notes();
    model::keep(notes);
    notes.restarted = RESTARTED;
}

/// The last character is on its way, and a reset would cut it off: some milliseconds, where cycles are counted.
fn let_the_uart_end() {
    let begin = cycles();
    for _ in 0..1_000_000 {
        let taken = cycles().zip(begin).map(|(now, begin)| now.wrapping_sub(begin));
        if taken.is_none_or(|taken| taken > 256_000) {
            return;
        }
    }
}
