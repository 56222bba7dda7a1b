// SPDX-License-Identifier: Apache-2.0

//! The implementation ID: which immutable root of trust a part has.

use core::fmt;

/// Bytes in an implementation ID (RFC 9783, section 4.2.2; `BL_STORAGE_IMPLEMENTATION_ID_SIZE`).
pub const IMPLEMENTATION_ID_SIZE: usize = 32;

/// An implementation ID that can be written to a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImplementationId([u8; IMPLEMENTATION_ID_SIZE]);

/// Why a text is no implementation ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImplementationIdError {
    /// Not 64 characters.
    Length,
    /// A character that is no hexadecimal digit.
    Digit,
    /// All ones: no part that holds it can be told from an erased one.
    Erased,
}

impl ImplementationId {
    /// Reads 64 hexadecimal digits, the first two being the first byte in OTP.
    ///
    /// # Errors
    /// Any other length or character, and the ID of an erased part.
    pub const fn from_hex(text: &str) -> Result<Self, ImplementationIdError> {
        match bytes_from_hex(text) {
            Ok(bytes) => Self::from_bytes(bytes),
            Err(error) => Err(error),
        }
    }

    /// Takes the bytes in the order in which they stand in OTP.
    ///
    /// # Errors
    /// The ID of an erased part.
    pub const fn from_bytes(
        bytes: [u8; IMPLEMENTATION_ID_SIZE],
    ) -> Result<Self, ImplementationIdError> {
        let mut i = 0;
        while i < bytes.len() {
            if bytes[i] != 0xFF {
                return Ok(Self(bytes));
            }
            i += 1;
        }
        Err(ImplementationIdError::Erased)
    }

    /// The bytes in the order in which they stand in OTP.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; IMPLEMENTATION_ID_SIZE] {
        &self.0
    }
}

/// Reads 64 hexadecimal digits, the first two being the first byte.
pub(crate) const fn bytes_from_hex(text: &str) -> Result<[u8; 32], ImplementationIdError> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return Err(ImplementationIdError::Length);
    }
    let mut bytes = [0; 32];
    let mut i = 0;
    while i < bytes.len() {
        let (Some(high), Some(low)) = (nibble(digits[2 * i]), nibble(digits[2 * i + 1])) else {
            return Err(ImplementationIdError::Digit);
        };
        bytes[i] = high << 4 | low;
        i += 1;
    }
    Ok(bytes)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl core::str::FromStr for ImplementationId {
    type Err = ImplementationIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_hex(text)
    }
}

impl fmt::Display for ImplementationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for ImplementationIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "an implementation ID has 64 hexadecimal digits (32 bytes)",
            Self::Digit => "an implementation ID has hexadecimal digits only (0-9, a-f, A-F)",
            Self::Erased => "an implementation ID of only F cannot be told from an erased part",
        })
    }
}

impl core::error::Error for ImplementationIdError {}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;
    use std::string::String;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_is_no_id() {
        let good = "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD";
        assert!(ImplementationId::from_hex(good).is_ok());
        assert_eq!(ImplementationId::from_hex(""), Err(ImplementationIdError::Length));
        assert_eq!(ImplementationId::from_hex(&good[1..]), Err(ImplementationIdError::Length));
        assert_eq!(
            ImplementationId::from_hex(&format!("{good}0")),
            Err(ImplementationIdError::Length)
        );
        assert_eq!(
            ImplementationId::from_hex(&good.replace('D', "G")),
            Err(ImplementationIdError::Digit)
        );
        assert_eq!(
            ImplementationId::from_hex(&"fF".repeat(32)),
            Err(ImplementationIdError::Erased)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_but_the_erased_ones_survive(bytes: [u8; 32]) {
            let text = bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
            let erased = bytes == [0xFF; 32];
            for text in [text.to_uppercase(), text] {
                let id = ImplementationId::from_hex(&text);
                prop_assert_eq!(id.map(|id| *id.as_bytes()).ok(), (!erased).then_some(bytes));
            }
        }

        #[test]
        fn any_text_gets_an_answer(text: String) {
            prop_assert_eq!(text.parse::<ImplementationId>(), ImplementationId::from_hex(&text));
        }
    }
}
