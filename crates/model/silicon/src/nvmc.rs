// SPDX-License-Identifier: Apache-2.0

//! The calls of `nrfx_nvmc.h` that the key drivers make, and those of `nrfx_rramc.h`, which do the same on an nRF54L15.
//!
//! Only one of them returns an error: where the part refuses an access, it logs the reason and freezes, a write is
//! lost, and a read gives [`READ_DENIED`], which is neither erased nor a lifecycle state.

use crate::faults::Call;
#[cfg(seed_keys)]
use crate::faults::Effect;
use crate::mutants::Mutant;
use crate::part::Silicon;
#[cfg(seed_keys)]
use crate::uicr::ERASED;
use crate::uicr::READ_DENIED;

/// `nrfx_nvmc_uicr_word_read`.
pub fn uicr_word_read(part: &mut Silicon, address: u32) -> u32 {
    part.read(address).unwrap_or(READ_DENIED)
}

/// `nrfx_nvmc_otp_halfword_read`: OTP is read in words.
pub fn otp_halfword_read(part: &mut Silicon, address: u32) -> u16 {
    // An odd address stays odd, and is refused.
    let word = uicr_word_read(part, address & !2);
    let [a, b, c, d] = word.to_le_bytes();
    u16::from_le_bytes(if address & 2 == 0 { [a, b] } else { [c, d] })
}

/// `nrfx_nvmc_halfword_write`: a word whose other half is ones.
pub fn halfword_write(part: &mut Silicon, address: u32, value: u16) {
    if part.strike(Call::HalfwordWrite).is_some() {
        return;
    }
    let other = if part.is(Mutant::WrongHalfword) { 2 } else { 0 };
    let shift = 8 * ((address ^ other) & 2);
    write(part, address & !2, [!(0xFFFF << shift) | u32::from(value) << shift]);
}

/// `nrfx_nvmc_word_write`.
pub fn word_write(part: &mut Silicon, address: u32, word: u32) {
    if part.strike(Call::WordWrite).is_some() {
        return;
    }
    write(part, address, [word]);
}

/// `nrfx_rramc_otp_word_write`, by the word's address: whether the word was erased, and was written.
#[cfg(seed_keys)]
pub fn otp_word_write(part: &mut Silicon, address: u32, word: u32) -> bool {
    match part.strike(Call::OtpWordWrite) {
        Some(Effect::Error) => return false,
        Some(Effect::Nothing) => return true,
        None => {}
    }
    if part.read(address) != Ok(ERASED) {
        return false;
    }
    write(part, address, [word]);
    true
}

/// `nrfx_nvmc_words_write`.
pub fn words_write(part: &mut Silicon, address: u32, words: impl IntoIterator<Item = u32>) {
    write(part, address, words);
}

/// Writes word after word in write mode. What comes after a refused word finds the part frozen.
pub(crate) fn write(part: &mut Silicon, first: u32, words: impl IntoIterator<Item = u32>) {
    part.enable_write(true);
    for (address, word) in (first..).step_by(4).zip(words) {
        if part.write(address, word).is_err() {
            break;
        }
    }
    part.enable_write(false);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::illegal_access::IllegalAccess;
    use crate::power::{Cut, Reach};
    use crate::soc::Soc;
    use crate::uicr::{ERASED, UICR_BASE};

    const OTP: u32 = 0x00FF_8110;

    fn part() -> Silicon {
        Silicon::erased(Soc::Nrf9160, [0; 32])
    }

    #[test]
    fn a_halfword_leaves_the_other_half_alone() {
        let mut part = part();
        halfword_write(&mut part, OTP + 2, 0x1234);
        assert_eq!(uicr_word_read(&mut part, OTP), 0x1234_FFFF);
        halfword_write(&mut part, OTP, 0x5678);
        assert_eq!(otp_halfword_read(&mut part, OTP), 0x5678);
        assert_eq!(otp_halfword_read(&mut part, OTP + 2), 0x1234);
        assert_eq!(part.illegal_access(), None);
    }

    #[test]
    fn odd_addresses_are_refused() {
        let mut read = part();
        otp_halfword_read(&mut read, OTP + 1);
        assert_eq!(read.illegal_access(), Some(IllegalAccess::Misaligned(OTP + 1)));
        let mut written = part();
        halfword_write(&mut written, OTP + 3, 0);
        assert_eq!(written.illegal_access(), Some(IllegalAccess::Misaligned(OTP + 1)));
    }

    #[test]
    fn words_end_at_the_first_that_is_refused() {
        let mut part = part();
        words_write(&mut part, OTP + 4, [1]);
        words_write(&mut part, OTP, [0, 0, 0]);
        assert_eq!(part.illegal_access(), Some(IllegalAccess::OtpWrittenTwice(OTP + 4)));
        let index = (OTP - UICR_BASE) as usize / 4;
        assert_eq!(part.page()[index..index + 3], [0, 1, ERASED]);
        assert_eq!(uicr_word_read(&mut part, OTP), READ_DENIED, "frozen");
    }

    #[test]
    fn nothing_happens_after_the_cut() {
        for (reach, word) in
            [(Reach::Before, 0xFFFF_FFFF), (Reach::Torn(15), 0xFFFF_0000), (Reach::After, 0)]
        {
            let mut part = Silicon::erased(Soc::Nrf5340, [0; 32]);
            part.cut(Cut { write: 2, reach });
            word_write(&mut part, OTP, 0x1234_5678);
            word_write(&mut part, OTP, 0xFFFF_FFFF); // changes nothing, so it does not count
            assert!(!part.is_off());
            word_write(&mut part, OTP + 4, 0);
            assert!(part.is_off());
            word_write(&mut part, OTP + 8, 0);
            assert_eq!(uicr_word_read(&mut part, OTP), READ_DENIED);
            assert_eq!((part.writes(), part.illegal_access()), (2, None));
            part.restart([1; 32]);
            let words = [OTP, OTP + 4, OTP + 8].map(|at| uicr_word_read(&mut part, at));
            assert_eq!(words, [0x1234_5678, word, 0xFFFF_FFFF]);
        }
    }
}
