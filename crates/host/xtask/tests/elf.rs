// SPDX-License-Identifier: Apache-2.0

//! Small images, made here, and what is counted of them.

use std::collections::BTreeMap;

use object::build::elf::{Builder, SectionData};
use object::{Endianness, elf};
use xtask::elf::{C, Elf, NAMELESS, Size, Symbol, by_crate, owner, symbols};
use xtask::panics::{needless, panics};

/// Address, size, and the load address if it takes flash.
type Section = (u64, u64, Option<u64>);

const TEXT: Section = (0x1000, 0x300, Some(0x1000));
/// Behind a gap of 16 bytes in flash.
const DATA: Section = (0x2000_0000, 0x40, Some(0x1310));
/// Behind a gap of 32 bytes in RAM.
const NOINIT: Section = (0x2000_0060, 0x400, None);

/// Name, address as in the symbol table, size, index of the section, type.
type Named = (&'static str, u64, u64, usize, elf::SymbolType);

const SHA2: &str = "_RNvNtCs5B8Yj0elX4i_4sha26sha25611compress256";
const SCALAR: &str = "_RNvMNtNtCskAr7auoJWmo_4p25610arithmetic6scalarNtB2_6Scalar8multiply";

/// An executable as GNU ld makes it, with a segment for each section.
fn image(sections: &[Section], named: &[Named]) -> Vec<u8> {
    let mut image = Builder::new(Endianness::Little, false);
    image.header.e_type = elf::ET_EXEC;
    image.header.e_machine = elf::EM_ARM;
    image.header.e_phoff = 0x34;
    let mut offset = 0x1000;
    let mut ids = Vec::new();
    for (address, size, flash) in sections {
        let section = image.sections.add();
        section.name = b"section"[..].into();
        section.sh_flags = elf::SHF_ALLOC;
        section.sh_addr = *address;
        section.sh_offset = offset;
        section.sh_size = *size;
        section.sh_addralign = 4;
        if flash.is_some() {
            section.sh_type = elf::SHT_PROGBITS;
            let size = usize::try_from(*size).unwrap();
            section.data = SectionData::Data(vec![0xA5; size].into());
        } else {
            section.sh_type = elf::SHT_NOBITS;
            section.data = SectionData::UninitializedData(*size);
        }
        let id = section.id();
        ids.push(id);
        let segment = image.segments.add();
        segment.p_type = elf::PT_LOAD;
        segment.p_offset = offset;
        segment.p_vaddr = *address;
        segment.p_paddr = flash.unwrap_or(*address);
        segment.p_filesz = flash.map_or(0, |_| *size);
        segment.p_memsz = *size;
        segment.p_align = 4;
        segment.sections.push(id);
        offset += 0x1000;
    }
    let comment = image.sections.add();
    comment.name = b".comment"[..].into();
    comment.sh_type = elf::SHT_PROGBITS;
    comment.sh_addralign = 1;
    comment.data = SectionData::Data(b"rustc version 1\0GCC: 12\0rustc version 1\0"[..].into());
    for (name, kind, data) in [
        (&b".symtab"[..], elf::SHT_SYMTAB, SectionData::Symbol),
        (b".strtab", elf::SHT_STRTAB, SectionData::String),
        (b".shstrtab", elf::SHT_STRTAB, SectionData::SectionString),
    ] {
        if named.is_empty() && kind == elf::SHT_SYMTAB {
            continue;
        }
        let section = image.sections.add();
        section.name = name.into();
        section.sh_type = kind;
        section.sh_addralign = 1;
        section.data = data;
    }
    for (name, address, size, section, kind) in named {
        let symbol = image.symbols.add();
        symbol.name = name.as_bytes().into();
        symbol.section = Some(ids[*section]);
        symbol.set_st_info(elf::STB_GLOBAL, *kind);
        symbol.st_value = *address;
        symbol.st_size = *size;
    }
    image.set_section_sizes();
    let mut data = Vec::new();
    image.write(&mut data).unwrap();
    data
}

fn usual() -> Vec<u8> {
    image(
        &[TEXT, DATA, NOINIT],
        &[
            ("main", 0x1001, 0x100, 0, elf::STT_FUNC),
            // An alias; then one that begins in another.
            ("also_main", 0x1001, 0x100, 0, elf::STT_FUNC),
            (SHA2, 0x1101, 0x80, 0, elf::STT_FUNC),
            (SCALAR, 0x1171, 0x20, 0, elf::STT_FUNC),
            ("label", 0x1200, 0, 0, elf::STT_FUNC),
            // A longer one at the same address, and an object that follows a function at once.
            ("a_part", 0x1241, 0x10, 0, elf::STT_FUNC),
            ("the_whole", 0x1241, 0x40, 0, elf::STT_FUNC),
            ("table", 0x1280, 0x40, 0, elf::STT_OBJECT),
            ("section", 0x1000, 0x300, 0, elf::STT_SECTION),
            ("counter", 0x2000_0000, 0x8, 1, elf::STT_OBJECT),
            ("z_main_stack", 0x2000_0060, 0x400, 2, elf::STT_OBJECT),
        ],
    )
}

fn symbol(name: &str, krate: &str, size: u64, is_flash: bool) -> Symbol {
    Symbol { name: name.into(), krate: krate.into(), size, is_flash }
}

#[test]
fn flash_and_ram_are_counted_from_the_first_to_the_last_byte() {
    let data = usual();
    let size = Elf::parse(&data).unwrap().size().unwrap();
    // 0x1000 to 0x1350, and 0x2000_0000 to 0x2000_0460.
    assert_eq!(size, Size { flash: 0x350, ram: 0x460 });
}

#[test]
fn an_image_without_variables_takes_no_ram() {
    let data = image(&[TEXT], &[("main", 0x1001, 0x100, 0, elf::STT_FUNC)]);
    let size = Elf::parse(&data).unwrap().size().unwrap();
    assert_eq!(size, Size { flash: 0x300, ram: 0 });
}

#[test]
fn symbols_are_demangled_and_count_each_byte_once() {
    let data = usual();
    assert_eq!(
        symbols(&Elf::parse(&data).unwrap()),
        [
            symbol("also_main", C, 0x100, true),
            symbol("sha2::sha256::compress256", "sha2", 0x80, true),
            // Its first 16 bytes are those of the one before.
            symbol("<p256::arithmetic::scalar::Scalar>::multiply", "p256", 0x10, true),
            symbol("the_whole", C, 0x40, true),
            symbol("table", C, 0x40, true),
            symbol("counter", C, 0x8, true),
            symbol("z_main_stack", C, 0x400, false),
        ]
    );
}

#[test]
fn the_crates_sum_up_to_the_flash() {
    let data = usual();
    let crates = by_crate(&Elf::parse(&data).unwrap()).unwrap();
    let expected = [("p256", 0x10), ("sha2", 0x80), (C, 0x188), (NAMELESS, 0x350 - 0x218)];
    let expected = expected.map(|(name, size)| (String::from(name), size));
    assert_eq!(crates, BTreeMap::from(expected));
}

/// As a compiler leaves them: after one another, with and without a 0 between, and behind a message.
const FILES: &[u8] = b"index out of bounds/c/registry/src/i-01/crypto-bigint-0.7.10/src/uint/shr.rs\0\
    src/lib.rs\0/sdk/lang/zephyr/src/printk.rs/c/registry/src/i-01/crypto-bigint-0.7.10/src/limb.rs\0Success!.rst";

#[test]
fn what_can_panic_is_told_by_its_files() {
    let mut data = usual();
    let at = data.iter().position(|byte| *byte == 0xA5).unwrap();
    assert!(panics(&Elf::parse(&data).unwrap()).is_empty());
    data[at..at + FILES.len()].copy_from_slice(FILES);
    let found = panics(&Elf::parse(&data).unwrap());
    let told: Vec<_> = found
        .iter()
        .map(|panic| (panic.krate.as_str(), panic.files.join(" "), panic.why.is_some()))
        .collect();
    assert_eq!(
        told,
        [
            ("crypto-bigint", String::from("uint/shr.rs limb.rs"), true),
            ("src/lib.rs", String::from("src/lib.rs"), false),
            ("zephyr", String::from("printk.rs"), true),
        ]
    );
}

#[test]
fn formatting_that_nothing_needs_is_found() {
    let float = "_ZN4core3fmt5float29float_to_decimal_common_exact17h0123456789abcdefE";
    let data = image(&[TEXT], &[(float, 0x1001, 0x100, 0, elf::STT_FUNC)]);
    let found = needless(&Elf::parse(&data).unwrap());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, "core::fmt::float::float_to_decimal_common_exact");
    assert!(needless(&Elf::parse(&usual()).unwrap()).is_empty());
}

#[test]
fn the_compilers_leave_their_names() {
    let data = usual();
    assert_eq!(Elf::parse(&data).unwrap().compilers(), ["GCC: 12", "rustc version 1"]);
}

#[test]
fn what_is_no_image_is_refused() {
    let data = usual();
    assert!(Elf::parse(b"").is_err());
    assert!(Elf::parse(b"not an image").is_err());
    assert!(Elf::parse(&data[..data.len() / 2]).is_err());
    let stripped = image(&[TEXT], &[]);
    assert!(Elf::parse(&stripped).err().unwrap().to_string().contains("no symbols"));
    let empty = image(&[NOINIT], &[("z_main_stack", 0x2000_0060, 0x400, 0, elf::STT_OBJECT)]);
    assert!(Elf::parse(&empty).unwrap().size().is_err());
    // Symbols of more than there is, as a damaged table has.
    let too_long = image(&[TEXT], &[("main", 0x1001, 0x301, 0, elf::STT_FUNC)]);
    assert!(by_crate(&Elf::parse(&too_long).unwrap()).is_err());
}

#[test]
fn cut_anywhere_it_never_panics() {
    let data = usual();
    for end in 0..data.len() {
        if let Ok(elf) = Elf::parse(&data[..end]) {
            let _ = (elf.size(), elf.compilers(), by_crate(&elf));
        }
    }
}

#[test]
fn a_method_is_of_the_crate_of_its_type() {
    for (name, krate) in [
        (SHA2, "sha2"),
        (SCALAR, "p256"),
        // A generic function, a reference, a generic type that names another crate.
        (
            "_RINvNtNtNtNtCsdc7yVDgmnuA_3aes8backends4soft8fixslice4sbox9sub_bytestECsh5FK22RjWxS_7silicon",
            "aes",
        ),
        (
            "_RNvXs1i_NtCs6JiBJCfe1E0_4core3fmtRNtNtCsUNsgvi41QN_3der3tag3TagNtB6_7Display3fmtBA_",
            "der",
        ),
        (
            "_RNvXs6_NtCsjxETCPKyCnc_10primeorder6affineINtB5_11AffinePointNtCskAr7auoJWmo_4p2568NistP256EINtNtCsjyUOzDXLEQl_14elliptic_curve5point15DecompressPointBX_E10decompressCshyV1C0rasEA_12provisioning",
            "primeorder",
        ),
        // The older mangling; a type that is built in.
        ("_ZN4core3fmt5write17h0123456789abcdefE", "core"),
        ("_ZN37_$LT$u8$u20$as$u20$nrf_keys..Word$GT$4word17h0123456789abcdefE", "nrf_keys"),
        ("rust_main", "rustapp"),
        ("anon.0123456789abcdef.7", NAMELESS),
        ("z_main_stack", C),
        ("__aeabi_uldivmod", C),
        ("", C),
    ] {
        assert_eq!(owner(name).0, krate, "{name}");
    }
    assert_eq!(owner("_ZN4core3fmt5write17h0123456789abcdefE").1, "core::fmt::write");
}

#[test]
fn words_in_flash_are_found() {
    let data = image(&[TEXT], &[("main", 0x1001, 0x10, 0, elf::STT_FUNC)]);
    let words = |range| Elf::parse(&data).unwrap().words(range).into_iter().collect::<Vec<_>>();
    assert_eq!(words(0xA5A5_A5A5..0xA5A5_A5A6), [0xA5A5_A5A5]);
    assert!(words(0xA5A5_A5A6..0xFFFF_FFFF).is_empty());
}
