// SPDX-License-Identifier: Apache-2.0

//! What a console has shown, or a program printed, in bounded memory.

/// Bytes that are kept at most, half of them from the beginning and half from the end.
pub const MAX: usize = 32 * 1024;

/// Bytes that came, of many the first and the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    bytes: Vec<u8>,
    left_out: usize,
}

impl Transcript {
    /// Takes what came next.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Twice as many, so that not every byte moves the others.
        if self.bytes.len() > 2 * MAX {
            self.shorten();
        }
    }

    /// What came, with a line in the place of what was left out.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.shorten();
        if self.left_out > 0 {
            let line = format!("\r\n[{} bytes were left out here]\r\n", self.left_out);
            self.bytes.splice(MAX / 2..MAX / 2, line.into_bytes());
        }
        self.bytes
    }

    fn shorten(&mut self) {
        if let Some(more) = self.bytes.len().checked_sub(MAX).filter(|more| *more > 0) {
            self.bytes.drain(MAX / 2..MAX / 2 + more);
            self.left_out += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_stay() {
        for (count, pieces) in [(MAX, 1), (MAX + 1, 1), (10 * MAX, 7), (MAX, 1000)] {
            let mut transcript = Transcript::default();
            let all: Vec<u8> = (0..count).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect();
            for piece in all.chunks(count.div_ceil(pieces)) {
                transcript.push(piece);
                assert!(transcript.bytes.len() <= 2 * MAX);
            }
            let bytes = transcript.into_bytes();
            let (head, tail) = (&all[..MAX / 2], &all[count - MAX / 2..]);
            if count <= MAX {
                assert_eq!(bytes, all);
                continue;
            }
            let line = format!("\r\n[{} bytes were left out here]\r\n", count - MAX);
            assert!(bytes == [head, line.as_bytes(), tail].concat(), "{count} in {pieces}");
        }
    }
}
