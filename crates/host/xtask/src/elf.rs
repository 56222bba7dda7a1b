// SPDX-License-Identifier: Apache-2.0

//! The linked image: how much flash and RAM it takes, and what takes them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use object::read::elf::{ElfFile32, ProgramHeader};
use object::{
    Endianness, Object, ObjectSection, ObjectSegment, ObjectSymbol, SectionFlags, SectionKind,
    SymbolKind, elf,
};
use rustc_demangle::try_demangle;
use thiserror::Error;

/// Who has what is not Rust: Zephyr, the SDK, its libraries, the C library and the C glue.
pub const C: &str = "zephyr and SDK (C)";
/// What has no symbol: string literals and other constants, tables that the linker makes, padding.
pub const NAMELESS: &str = "constants and padding without a symbol";

/// Where a Cortex-M has its RAM, whatever the part (Armv8-M Architecture Reference Manual, system
/// address map). All below is code memory.
const SRAM: Range<u64> = 0x2000_0000..0x4000_0000;

/// An image.
pub struct Elf<'data> {
    file: ElfFile32<'data, Endianness>,
}

/// Why a file is not an image that can be measured.
#[derive(Debug, Error)]
pub enum ElfError {
    /// It is not a 32-bit ELF file, or a damaged one.
    #[error("not an image that can be measured: {0}. Build it anew.")]
    Format(#[from] object::Error),
    /// It has no symbols.
    #[error("not an image that can be measured: it has no symbols. Build it anew.")]
    NoSymbols,
    /// No segment of it has bytes for flash.
    #[error("not an image that can be measured: nothing of it is loaded to flash. Build it anew.")]
    NoFlash,
    /// Its symbols have this many bytes, which are more than are loaded.
    #[error(
        "not an image that can be measured: its symbols have {0} bytes, which is more than it has. \
         Build it anew."
    )]
    TooManyBytes(u64),
    /// These words are in the names of so many symbols.
    #[error("{1} symbols of the image, and not one, have {0:?} in their names")]
    NotOneSymbol([&'static str; 2], usize),
}

/// Address and size of symbols, by their names in the file.
pub type Addresses = BTreeMap<String, (u64, u64)>;

/// The one symbol whose name has all of `parts`.
///
/// # Errors
/// If there is none, or another.
pub fn only(addresses: &Addresses, parts: [&'static str; 2]) -> Result<(u64, u64), ElfError> {
    let is_it = |name: &str| parts.iter().all(|part| name.contains(part));
    let found: Vec<_> = addresses.iter().filter(|(name, _)| is_it(name)).collect();
    match found[..] {
        [(_, symbol)] => Ok(*symbol),
        _ => Err(ElfError::NotOneSymbol(parts, found.len())),
    }
}

/// Bytes that an image takes, as the linker counts them: from the first to the last in each memory,
/// with the gaps between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Code, constants, and the initial values of variables.
    pub flash: u64,
    /// Variables and stacks.
    pub ram: u64,
}

/// A function or an object of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name, demangled and without the hash if it is Rust's.
    pub name: String,
    /// The crate whose code it is, or [`C`].
    pub krate: String,
    /// Bytes that no symbol before it has.
    pub size: u64,
    /// Whether it takes flash: code, constants, and variables with an initial value.
    pub is_flash: bool,
}

impl<'data> Elf<'data> {
    /// Reads `data`, a 32-bit ELF executable with its symbols.
    ///
    /// # Errors
    /// Where it is anything else.
    pub fn parse(data: &'data [u8]) -> Result<Self, ElfError> {
        let elf = Self { file: ElfFile32::parse(data)? };
        if elf.file.symbols().next().is_none() {
            return Err(ElfError::NoSymbols);
        }
        Ok(elf)
    }

    /// What the image takes of each memory.
    ///
    /// # Errors
    /// If nothing of it is loaded.
    pub fn size(&self) -> Result<Size, ElfError> {
        let loaded = self.file.segments().filter_map(|segment| {
            // By the load address: initial values of RAM are in flash.
            let address = segment.elf_program_header().p_paddr(self.file.endian()).into();
            let (_, size) = segment.file_range();
            (size > 0).then_some(address..end(address, size))
        });
        let used = self.file.sections().filter(is_in_memory).filter_map(|section| {
            let address = section.address();
            SRAM.contains(&address).then(|| address..end(address, section.size()))
        });
        let flash = extent(loaded.filter(|range| !SRAM.contains(&range.start)));
        if flash == 0 {
            return Err(ElfError::NoFlash);
        }
        Ok(Size { flash, ram: extent(used) })
    }

    /// Address and size of each symbol, by its name in the file. The lowest bit of a function's address, which
    /// says that it is Thumb code, is cleared.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let symbols = self.file.symbols().filter_map(|symbol| {
            let is_code = symbol.kind() == SymbolKind::Text;
            let address = if is_code { symbol.address() & !1 } else { symbol.address() };
            let name = symbol.name().ok().filter(|name| !name.is_empty())?;
            Some((String::from(name), (address, symbol.size())))
        });
        symbols.collect()
    }

    /// The words in flash that are in this range, such as addresses, which a function keeps behind its code.
    #[must_use]
    pub fn words(&self, range: Range<u32>) -> BTreeSet<u32> {
        let mut words = BTreeSet::new();
        for section in self.file.sections().filter(is_in_memory) {
            let data = section.data().unwrap_or_default();
            let skip = section.address().next_multiple_of(4) - section.address();
            let aligned = data.get(usize::try_from(skip).unwrap_or_default()..).unwrap_or_default();
            words.extend(aligned.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)));
        }
        words.retain(|word| range.contains(word));
        words
    }

    /// The paths of Rust source files that are in flash: the locations of panics name them.
    #[must_use]
    pub fn rust_files(&self) -> BTreeSet<String> {
        let is_path = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+@".contains(byte);
        let mut files = BTreeSet::new();
        for section in self.file.sections().filter(is_in_memory).filter(|section| !is_code(section))
        {
            let data = section.data().unwrap_or_default();
            // Its bytes are those of a path, up to a 0 or another text.
            for text in data.split(|byte| !is_path(byte)) {
                let text = String::from_utf8_lossy(text);
                for (end, extension) in text.match_indices(".rs") {
                    let path = &text[..end + extension.len()];
                    // What follows another path at once begins behind it.
                    let path = path.rsplit(".rs/").next().unwrap_or(path);
                    if path.len() > extension.len() {
                        files.insert(String::from(path));
                    }
                }
            }
        }
        files
    }

    /// The compilers that the image was built with, as each has left its name, such as
    /// `rustc version 1.96.0`.
    #[must_use]
    pub fn compilers(&self) -> Vec<String> {
        let comment = self.file.section_by_name(".comment");
        let data = comment.and_then(|section| section.data().ok()).unwrap_or_default();
        let names = data.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let mut names: Vec<_> =
            names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// Whether `section` is in memory when the image runs.
fn is_in_memory<'data>(section: &impl ObjectSection<'data>) -> bool {
    matches!(section.flags(), SectionFlags::Elf { sh_flags, .. } if sh_flags.contains(elf::SHF_ALLOC))
        && section.size() > 0
}

/// Whether `section` has instructions.
fn is_code<'data>(section: &impl ObjectSection<'data>) -> bool {
    matches!(section.flags(), SectionFlags::Elf { sh_flags, .. } if sh_flags.contains(elf::SHF_EXECINSTR))
}

fn end(address: u64, size: u64) -> u64 {
    address.saturating_add(size)
}

/// From the first to the last of `ranges`.
fn extent(ranges: impl Iterator<Item = Range<u64>>) -> u64 {
    ranges
        .reduce(|all, range| all.start.min(range.start)..all.end.max(range.end))
        .map_or(0, |all| all.end - all.start)
}

/// All functions and objects of the image, by their address. None counts a byte twice: where symbols
/// overlap, such as aliases, the first has it, of these the longest.
#[must_use]
pub fn symbols(elf: &Elf<'_>) -> Vec<Symbol> {
    let mut found: Vec<_> = elf
        .file
        .symbols()
        .filter_map(|symbol| {
            let section = elf.file.section_by_index(symbol.section_index()?).ok()?;
            let is_flash = section.kind() != SectionKind::UninitializedData;
            let is_code = symbol.kind() == SymbolKind::Text;
            if !is_in_memory(&section) || !(is_code || symbol.kind() == SymbolKind::Data) {
                return None;
            }
            // The lowest bit of a function's address says that it is Thumb code.
            let address = if is_code { symbol.address() & !1 } else { symbol.address() };
            let name = symbol.name_bytes().ok()?;
            Some((address, symbol.size(), String::from_utf8_lossy(name).into_owned(), is_flash))
        })
        .collect();
    // Names decide among aliases, so that each build gives the same.
    found.sort_by(|a, b| (a.0, b.1, &a.2).cmp(&(b.0, a.1, &b.2)));
    let mut counted = 0;
    found
        .into_iter()
        .filter_map(|(address, size, name, is_flash)| {
            let until = end(address, size);
            let size = until.saturating_sub(address.max(counted));
            counted = counted.max(until);
            let (krate, name) = owner(&name);
            (size > 0).then_some(Symbol { name, krate, size, is_flash })
        })
        .collect()
}

/// Bytes of flash of each crate, of [`C`], and of what is [`NAMELESS`]; their sum is [`Size::flash`].
///
/// # Errors
/// If nothing of the image is loaded.
pub fn by_crate(elf: &Elf<'_>) -> Result<BTreeMap<String, u64>, ElfError> {
    let mut crates = BTreeMap::new();
    for symbol in symbols(elf).into_iter().filter(|symbol| symbol.is_flash) {
        *crates.entry(symbol.krate).or_default() += symbol.size;
    }
    let named = crates.values().sum();
    let flash = elf.size()?.flash;
    let rest = flash.checked_sub(named).ok_or(ElfError::TooManyBytes(named))?;
    if rest > 0 {
        *crates.entry(String::from(NAMELESS)).or_default() += rest;
    }
    Ok(crates)
}

/// The crate of a symbol, and its name for people.
///
/// A method counts for the crate of the type that it is of, or for that of the trait if the type is
/// built in. Code that was inlined counts where it ended up, which the symbol cannot tell.
#[must_use]
pub fn owner(symbol: &str) -> (String, String) {
    // Constants that the compiler itself has named.
    if symbol.starts_with("anon.") || symbol.starts_with(".Lanon.") {
        return (String::from(NAMELESS), String::from(symbol));
    }
    // zephyr-lang-rust calls it by this name.
    if symbol == "rust_main" {
        return (String::from("rustapp"), String::from(symbol));
    }
    match try_demangle(symbol) {
        Ok(name) => {
            let name = format!("{name:#}");
            (String::from(first_crate(&name).unwrap_or("core")), name)
        }
        Err(_) => (String::from(C), String::from(symbol)),
    }
}

/// The first path of `name` begins with the crate: `core::fmt::write`, `<p256::Scalar>::invert`,
/// `<[u8; 32] as base16ct::Encode>::encode`.
fn first_crate(name: &str) -> Option<&str> {
    name.match_indices("::").find_map(|(colons, _)| {
        let start = name[..colons]
            .rfind(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(0, |before| before + 1);
        // `<T>::f` and `{closure#0}::f` have no name before the colons.
        (start < colons).then(|| &name[start..colons])
    })
}
