// SPDX-License-Identifier: Apache-2.0

//! The image that is programmed into parts, and what a part's record must say of it.
//!
//! An image measures itself: SHA-256 of its bytes in flash, from the first to the last. These are the bytes of
//! `zephyr.bin`. In `zephyr.hex`, bytes between two sections may be missing: the flash keeps them erased, as ones.

use std::fmt::{self, Display};
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ihex::{ReaderError, Record};
use provisioning::Measurement;
use silicon::Soc;
use thiserror::Error;

/// Bytes without data after which another image begins: an erase page of nRF5340 and nRF91. The linker leaves less
/// between two sections.
const GAP: u32 = 4096;

/// From UICR to the end of its page: product specifications, memory map.
const UICR_SIZE: u32 = 4096;

/// Where the flash of the nRF5340's network core is: product specification, memory map.
const NETWORK_CORE: Range<u32> = 0x0100_0000..0x0104_0000;

/// What the record of a part must say that this image, `zephyr.bin` or `zephyr.hex`, has provisioned.
///
/// # Errors
/// The file cannot be read, is another one, or has more than one image.
pub fn measurement(path: &Path) -> Result<Measurement, ImageError> {
    let error = |problem| ImageError { path: path.to_owned(), problem };
    let bytes = fs::read(path).map_err(|source| error(Problem::Read(source)))?;
    let extension = path.extension().map(|it| it.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        _ if bytes.starts_with(b"\x7FELF") => Err(Problem::Elf),
        Some("bin") if bytes.is_empty() => Err(Problem::Empty),
        Some("bin") if pieces(&bytes).is_ok() => Err(Problem::HexInBin),
        Some("bin") => Ok(Measurement::of(&bytes)),
        Some("hex") => flash(&bytes).map(|flash| Measurement::of(&flash)),
        _ => Err(Problem::Kind),
    }
    .map_err(error)
}

/// Checks that a record is that of the image.
///
/// # Errors
/// It is that of another one.
pub fn check(found: Measurement, wanted: Measurement) -> Result<(), OtherImage> {
    if found == wanted { Ok(()) } else { Err(OtherImage { found, wanted }) }
}

/// The bytes in flash of the only image in an Intel HEX file.
fn flash(text: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut pieces = pieces(text)?;
    pieces.retain(|piece| !piece.bytes.is_empty());
    pieces.sort_by_key(|piece| piece.start);
    let mut regions: Vec<Region> = Vec::new();
    let mut flash = Vec::new();
    for Piece { start, bytes } in pieces {
        let end = u64::from(start) + bytes.len() as u64;
        match regions.last_mut() {
            Some(last) if u64::from(start) < last.end => return Err(Problem::Overlap(start)),
            Some(last) if u64::from(start) - last.end < u64::from(GAP) => {
                // Its last byte is less than a gap away from its first one.
                let gap = usize::try_from(u64::from(start) - last.end).unwrap_or_default();
                flash.resize(flash.len() + gap, 0xFF);
                last.end = end;
            }
            _ => regions.push(Region { start, end }),
        }
        flash.extend(bytes);
    }
    match regions[..] {
        [] => Err(Problem::Empty),
        [ref region] if region.memory() == Memory::Flash => Ok(flash),
        _ => Err(Problem::Regions(regions)),
    }
}

/// Bytes at an address.
struct Piece {
    start: u32,
    bytes: Vec<u8>,
}

/// What the records of an Intel HEX file hold, in their order.
fn pieces(text: &[u8]) -> Result<Vec<Piece>, Problem> {
    let text = str::from_utf8(text).map_err(|_| Problem::NotHex)?;
    let mut pieces = Vec::new();
    let mut base = 0;
    let mut has_end = false;
    for (index, line) in text.lines().map(str::trim).enumerate().filter(|(_, it)| !it.is_empty()) {
        let damaged = |error| Problem::Damaged { line: index + 1, error };
        if has_end {
            return Err(Problem::AfterEnd(index + 1));
        }
        match Record::from_record_string(line).map_err(damaged)? {
            Record::Data { offset, value } => {
                // At most 16 bits on top of the base, whose lowest 16 bits are 0, or which has 20 bits.
                pieces.push(Piece { start: base + u32::from(offset), bytes: value });
            }
            Record::ExtendedLinearAddress(high) => base = u32::from(high) << 16,
            Record::ExtendedSegmentAddress(segment) => base = u32::from(segment) << 4,
            // Where it starts to run is not in flash.
            Record::StartLinearAddress(_) | Record::StartSegmentAddress { .. } => {}
            Record::EndOfFile => has_end = true,
        }
    }
    if has_end { Ok(pieces) } else { Err(Problem::NoEnd) }
}

/// Bytes without a gap: from the first to behind the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    start: u32,
    end: u64,
}

/// What is at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    Flash,
    Uicr,
    NetworkCore,
    /// RAM or nothing.
    Other,
}

impl Region {
    fn memory(self) -> Memory {
        let is_uicr =
            |soc: &Soc| (soc.uicr_base()..soc.uicr_base() + UICR_SIZE).contains(&self.start);
        if Soc::ALL.iter().any(is_uicr) {
            Memory::Uicr
        } else if NETWORK_CORE.contains(&self.start) {
            Memory::NetworkCore
        } else if self.start < 0x2000_0000 {
            // Of the part, or of a board in QEMU.
            Memory::Flash
        } else {
            Memory::Other
        }
    }
}

impl Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.memory() {
            Memory::Flash => "",
            Memory::Uicr => " (UICR)",
            Memory::NetworkCore => " (network core)",
            Memory::Other => " (not flash)",
        };
        write!(f, "{:#010x} to {:#010x}{what}", self.start, self.end - 1)
    }
}

/// Why the measurement of an image is not known.
#[derive(Debug, Error)]
#[error("{}: {problem} Give the image's own zephyr.bin or zephyr.hex.", path.display())]
pub struct ImageError {
    path: PathBuf,
    #[source]
    problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug, Error)]
enum Problem {
    #[error("the image cannot be read ({0}).")]
    Read(#[source] io::Error),
    #[error("this is neither a .bin nor a .hex file.")]
    Kind,
    #[error("this is an ELF file, whose bytes between sections can be others than in flash.")]
    Elf,
    #[error("this file of the type .bin is an Intel HEX file.")]
    HexInBin,
    #[error("there is no image in this file.")]
    Empty,
    #[error("this is not an Intel HEX file.")]
    NotHex,
    #[error("line {line} is damaged ({error}).")]
    Damaged {
        line: usize,
        #[source]
        error: ReaderError,
    },
    #[error("its end is missing, so the file was cut off.")]
    NoEnd,
    #[error("line {0} stands behind the end of the image, as if two files were joined.")]
    AfterEnd(usize),
    #[error("it has two contents for address {0:#010x}.")]
    Overlap(u32),
    #[error(
        "it has more than one image, or data outside of flash, as sysbuild's merged.hex may: {}. Which of it a part \
         would measure is not known.",
        list(.0)
    )]
    Regions(Vec<Region>),
}

fn list(regions: &[Region]) -> String {
    regions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A part that was provisioned by another image than the one wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the part was provisioned by an image with SHA-256 {found}, not by the one with {wanted}")]
pub struct OtherImage {
    /// What the record says.
    pub found: Measurement,
    /// What was wanted.
    pub wanted: Measurement,
}
