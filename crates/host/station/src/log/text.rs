// SPDX-License-Identifier: Apache-2.0

//! The lines of a log as the console had them, whatever a terminal program or an editor has made of them.
//!
//! Only what is around the text of a line is taken away: nothing in it is changed, and nothing is put in its place.

use std::io::{self, BufReader, Cursor, Read};

use crate::console::MAX_LINE;

/// By so many bytes from its beginning a log is known for what it is.
const HEAD: usize = 4 * 1024;

/// What is kept of a line, in bytes or, of UTF-16, in units. It is more than a console's line may have, at each end.
const MOST_KEPT: usize = 3 * MAX_LINE;

/// The first bytes of files that are no text, and what the file is.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"\x1F\x8B", "compressed with gzip"),
    (b"BZh", "compressed with bzip2"),
    (b"\xFD7zXZ\0", "compressed with xz"),
    (b"\x28\xB5\x2F\xFD", "compressed with zstd"),
    (b"\x04\x22\x4D\x18", "compressed with lz4"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive"),
    (b"%PDF-", "a PDF document"),
    (b"{\\rtf", "a document in rich text format"),
    (b"SQLite format 3\0", "an SQLite file, as a ledger is"),
    (b"\xFF\xFE\0\0", "text in UTF-32"),
    (b"\0\0\xFE\xFF", "text in UTF-32"),
];

/// How terminal programs write the time before a line; a space follows, or nothing. `#` is a digit, `*` at least one,
/// `@` a letter.
///
/// No line of a part begins like this: the messages of the image and of its drivers begin with a letter, and the time
/// of Zephyr's own logging, `[00:00:01.234,000]`, is another form.
const STAMPS: &[&str] = &[
    "[##:##:##.###]",                 // tio
    "[####-##-##T##:##:##.###]",      // tio, as ISO 8601
    "[####-##-## ##:##:##]",          // minicom
    "[####-##-## ##:##:##.###]",      // minicom, extended; Tera Term
    "[* ##:##:##.###]",               // Tera Term, elapsed: with days
    "[@@@ @@@ ## ##:##:##.### ####]", // Tera Term before 4.97
    "##:##:##.### ->",                // Arduino IDE
    "##:##:##.### >",                 // PlatformIO
    "@@@ ## ##:##:##",                // ts
    "##:##:##",                       // ts -s, ts -i
    "##:##:##.*",                     // the same with %.T
    "####-##-## ##:##:##",            // IDF monitor, and ts as many use it
    "####-##-## ##:##:##.*",
    "####-##-##T##:##:##", // ISO 8601: ts, logs of CI
    "####-##-##T##:##:##.*",
    "####-##-##T##:##:##Z",
    "####-##-##T##:##:##.*Z",
    "####-##-##T##:##:##+####",
    "####-##-##T##:##:##.*+####",
    "####-##-##T##:##:##-####",
    "####-##-##T##:##:##.*-####",
];

/// A line.
#[derive(Debug)]
pub struct Line {
    /// Its number, from 1, as an editor counts.
    pub number: u64,
    /// What the console had of it.
    pub text: Vec<u8>,
    /// Whether its end has come, and not only that of the log.
    pub is_whole: bool,
}

/// The lines of a log that have text, one after the other. A few kilobytes are kept of it.
#[derive(Debug)]
pub struct Lines<R> {
    bytes: io::Bytes<BufReader<io::Chain<Cursor<Vec<u8>>, R>>>,
    /// How two bytes make a unit, where the log is UTF-16. Elsewhere a byte is one.
    utf16: Option<ByteOrder>,
    /// What has come of the line.
    line: Vec<u16>,
    /// How many line ends have come.
    ends: u64,
    /// The last unit.
    last: u16,
    /// A carriage return has come that ends a line if no line feed follows.
    is_returned: bool,
    /// What a log without a run is.
    kind: Kind,
}

/// What the beginning of a log looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no beginning.
    Empty,
    /// Something that [`SIGNATURES`] knows.
    Known(&'static str),
    /// No text.
    Binary,
    /// Text.
    Text,
}

type ByteOrder = fn([u8; 2]) -> u16;

impl<R: Read> Lines<R> {
    /// The lines of what `log` gives.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn new(mut log: R) -> io::Result<Self> {
        let mut head = Vec::new();
        log.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
        let utf16 = byte_order(&head);
        let kind = kind(&head, utf16.is_some());
        Ok(Self {
            bytes: BufReader::new(Cursor::new(head).chain(log)).bytes(),
            utf16,
            line: Vec::new(),
            ends: 0,
            last: 0,
            is_returned: false,
            kind,
        })
    }

    /// What the log is, for one without a run.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The next line with text in it.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn next(&mut self) -> io::Result<Option<Line>> {
        while let Some(unit) = self.unit()? {
            let last = std::mem::replace(&mut self.last, unit);
            let number = self.ends + 1;
            match u8::try_from(unit) {
                Ok(b'\n') => {
                    self.ends += 1;
                    self.is_returned = false;
                }
                Ok(b'\r') => self.is_returned |= last != u16::from(b'\n'),
                _ => {
                    self.ends += u64::from(std::mem::take(&mut self.is_returned));
                    if self.line.len() == MOST_KEPT {
                        // The beginning is for an error, and the end is where a run may begin.
                        self.line.drain(MAX_LINE..2 * MAX_LINE);
                    }
                    self.line.push(unit);
                    continue;
                }
            }
            if let Some(line) = self.take(number, true) {
                return Ok(Some(line));
            }
        }
        Ok(self.take(self.ends + 1, false))
    }

    /// The line that has come, if it has text.
    fn take(&mut self, number: u64, is_whole: bool) -> Option<Line> {
        let line = std::mem::take(&mut self.line);
        let text = match self.utf16 {
            // Each unit was a byte.
            None => line.iter().map(|unit| unit.to_le_bytes()[0]).collect(),
            Some(_) => String::from_utf16_lossy(&line).into_bytes(),
        };
        let text = bare(&text);
        (!text.is_empty()).then_some(Line { number, text, is_whole })
    }

    fn unit(&mut self) -> io::Result<Option<u16>> {
        let Some(first) = self.bytes.next().transpose()? else { return Ok(None) };
        let Some(byte_order) = self.utf16 else { return Ok(Some(first.into())) };
        let second = self.bytes.next().transpose()?;
        // Half a unit at the end is none that a line can have.
        Ok(Some(second.map_or(0xFFFD, |second| byte_order([first, second]))))
    }
}

/// The byte order of a log in UTF-16, by its content: a part that gets power may begin with the bytes of a byte order
/// mark, too, and not each program writes one.
fn byte_order(head: &[u8]) -> Option<ByteOrder> {
    let (units, _) = head.as_chunks();
    let is_text = |unit| matches!(unit, 0x09 | 0x0A | 0x0D | 0x1B | 0x20..=0x7E);
    [u16::from_le_bytes as ByteOrder, u16::from_be_bytes].into_iter().find(|byte_order| {
        let count = units.iter().filter(|unit| is_text(byte_order(**unit))).count();
        let is_marked = units.first().is_some_and(|unit| byte_order(*unit) == 0xFEFF);
        // What is text in one byte each gives no such unit at all.
        count > if is_marked { units.len() / 16 } else { units.len() / 4 * 3 }
    })
}

fn kind(head: &[u8], is_utf16: bool) -> Kind {
    if head.is_empty() {
        return Kind::Empty;
    }
    if let Some((_, what)) = SIGNATURES.iter().find(|(bytes, _)| head.starts_with(bytes)) {
        return Kind::Known(what);
    }
    let is_strange = |c: &char| {
        *c == char::REPLACEMENT_CHARACTER || c.is_control() && !"\t\n\r\x1B".contains(*c)
    };
    let text = String::from_utf8_lossy(head);
    let strange = text.chars().filter(is_strange).count();
    if !is_utf16 && strange > text.chars().count() / 8 { Kind::Binary } else { Kind::Text }
}

/// A line without byte order mark, escape sequences and the time before it.
fn bare(line: &[u8]) -> Vec<u8> {
    let line = line.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(line);
    let mut text = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((byte, tail)) = rest.split_first() {
        let escape = escape_length(rest);
        if escape == 0 {
            text.push(*byte);
            rest = tail;
        } else {
            rest = &rest[escape..];
        }
    }
    text.drain(..stamp_length(&text));
    text
}

/// How many bytes at the beginning are a control sequence of ECMA-48, such as a colour, or designate a character set.
///
/// Other control characters stay where they are: a damaged line must be found.
fn escape_length(text: &[u8]) -> usize {
    let skip = |from: usize, bytes: std::ops::RangeInclusive<u8>| {
        from + text[from..].iter().take_while(|byte| bytes.contains(byte)).count()
    };
    let (at, last) = match text {
        [0x1B, b'[', ..] => (skip(skip(2, 0x30..=0x3F), 0x20..=0x2F), 0x40..=0x7E),
        [0x1B, 0x20..=0x2F, ..] => (skip(1, 0x20..=0x2F), 0x30..=0x7E),
        _ => return 0,
    };
    if text.get(at).is_some_and(|byte| last.contains(byte)) { at + 1 } else { 0 }
}

/// How many bytes at the beginning are the time.
fn stamp_length(text: &[u8]) -> usize {
    let lengths = STAMPS.iter().filter_map(|stamp| {
        let rest = after(text, stamp)?;
        match rest.first() {
            None => Some(text.len()),
            Some(b' ') => Some(text.len() - rest.len() + 1),
            Some(_) => None,
        }
    });
    lengths.max().unwrap_or_default()
}

/// What follows a time of this form.
fn after<'a>(text: &'a [u8], stamp: &str) -> Option<&'a [u8]> {
    stamp.bytes().try_fold(text, |rest, wanted| {
        let count = match wanted {
            b'#' => rest.first()?.is_ascii_digit().into(),
            b'*' => rest.iter().take_while(|byte| byte.is_ascii_digit()).count(),
            b'@' => rest.first()?.is_ascii_alphabetic().into(),
            wanted => usize::from(*rest.first()? == wanted),
        };
        (count > 0).then(|| &rest[count..])
    })
}

#[cfg(test)]
mod tests {
    use provisioning::Event;
    use provisioning::console::{
        BOOT_BANNERS, FAILURE_PREFIX, LOG_PREFIXES, MODELLED_PREFIX, NO_PART_PREFIX, NONCE_PROMPT,
        RECORD_PREFIX,
    };

    use super::*;

    /// Of what a part prints, nothing is taken away.
    #[test]
    fn no_line_of_a_part_begins_like_the_time() {
        let events =
            [Event::LifecycleVerified, Event::Resuming, Event::Success].map(Event::message);
        let own = [FAILURE_PREFIX, MODELLED_PREFIX, NO_PART_PREFIX, NONCE_PROMPT, RECORD_PREFIX];
        let drivers = ["E: 12:34:56 ", "W: ", "ERROR:silicon: 12:34:56 ", "TRACE:a::b: "];
        for line in [&events[..], &own, &BOOT_BANNERS, &LOG_PREFIXES, &drivers].concat() {
            assert_eq!(bare(line.as_bytes()), line.as_bytes());
        }
    }

    #[test]
    fn each_form_of_the_time_is_taken_away_once_and_whole() {
        for stamp in STAMPS {
            let stamp = stamp.replace('#', "1").replace('*', "123").replace('@', "x");
            let bare = |text: String| String::from_utf8(bare(text.as_bytes())).unwrap();
            assert_eq!(bare(format!("{stamp} E: text")), "E: text");
            assert_eq!(bare(format!("{stamp} {stamp} E: text")), format!("{stamp} E: text"));
            assert_eq!(bare(stamp.clone()), "");
            for before in [stamp.clone(), format!("x{stamp} "), format!(" {stamp} ")] {
                assert_ne!(bare(format!("{before}E: text")), "E: text");
            }
        }
    }
}
