// SPDX-License-Identifier: Apache-2.0

//! Text of parts, scanners and programs, made harmless to show: on a terminal or on a page.

use std::fmt::Write;

/// Characters that change the direction of the text around them, or that nobody sees (Unicode 16, section 23.2 and
/// UAX #9): with them a text can look like another one.
const fn is_hidden(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// A text on one line: control characters and hidden ones as Rust writes them, as `\x1b` or `\u{202e}`.
#[must_use]
pub fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        push(&mut line, c);
    }
    line
}

/// What a console has shown, line by line, each with its line feed; bytes that are not UTF-8 as `\xff`.
#[must_use]
pub fn console(bytes: &[u8]) -> String {
    let mut lines = String::with_capacity(bytes.len());
    for chunk in bytes.split_inclusive(|byte| *byte == b'\n') {
        let line = chunk.strip_suffix(b"\n").unwrap_or(chunk);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        for chunk in line.utf8_chunks() {
            chunk.valid().chars().for_each(|c| push(&mut lines, c));
            lines.extend(
                chunk.invalid().iter().flat_map(|byte| byte.escape_ascii()).map(char::from),
            );
        }
        lines.push('\n');
    }
    lines
}

fn push(line: &mut String, c: char) {
    match c {
        '\n' | '\r' | '\t' => line.extend(c.escape_default()),
        c if c.is_control() && c.is_ascii() => {
            let _ = write!(line, "\\x{:02x}", u32::from(c)); // a string takes everything
        }
        c if c.is_control() || is_hidden(c) => line.extend(c.escape_unicode()),
        c => line.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_deceive_is_written_out() {
        assert_eq!(line("\u{1b}[31mred\u{7}"), "\\x1b[31mred\\x07");
        assert_eq!(line("safe\u{202e}gpj.exe\u{2066}"), "safe\\u{202e}gpj.exe\\u{2066}");
        assert_eq!(line("a\u{200b}b\u{85}\u{feff}"), "a\\u{200b}b\\u{85}\\u{feff}");
        assert_eq!(line("one\ntwo\r\tthree"), "one\\ntwo\\r\\tthree");
        assert_eq!(line(r"C:\x1b"), r"C:\x1b");
        assert_eq!(line("\u{5d0}\u{5d1} Grün <b>"), "\u{5d0}\u{5d1} Grün <b>");
    }

    #[test]
    fn a_console_keeps_its_lines_and_its_characters() {
        assert_eq!(console(b"one\r\ntwo\rthree\n\nfour"), "one\ntwo\\rthree\n\nfour\n");
        assert_eq!(console("gr\u{fc}n\n".as_bytes()), "gr\u{fc}n\n");
        assert_eq!(console(b"\xff\x1b\xc3"), "\\xff\\x1b\\xc3\n");
        assert_eq!(console(b""), "");
    }
}
