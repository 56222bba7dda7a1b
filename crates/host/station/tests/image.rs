// SPDX-License-Identifier: Apache-2.0

//! The measurement of an image, from its .bin and its .hex.

use std::error::Error as _;
use std::fs;
use std::path::PathBuf;

use hex_literal::hex;
use ihex::{Record, create_object_file_representation};
use proptest::collection::vec;
use proptest::prelude::*;
use provisioning::Measurement;
use station::image::{ImageError, check, measurement};
use tempfile::TempDir;

/// Measures a file with that name and content.
fn measure(name: &str, content: impl AsRef<[u8]>) -> Result<Measurement, ImageError> {
    let (_folder, path) = file(name, content);
    measurement(&path)
}

fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

/// Records of these bytes from an address on, each of so many.
fn records(start: usize, bytes: &[u8], size: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let mut address = start;
    let mut rest = bytes;
    while !rest.is_empty() {
        // A record does not go beyond the 64 KiB of its base.
        let room = 0x1_0000 - (address & 0xFFFF);
        let (value, behind) = rest.split_at(size.min(rest.len()).min(room));
        let [high, offset] =
            [address >> 16, address & 0xFFFF].map(|half| u16::try_from(half).unwrap());
        records.push(Record::ExtendedLinearAddress(high));
        records.push(Record::Data { offset, value: value.to_vec() });
        address += value.len();
        rest = behind;
    }
    records
}

fn hex_file(records: &[Record]) -> String {
    create_object_file_representation(&[records, &[Record::EndOfFile]].concat()).unwrap()
}

/// An Intel HEX file with these bytes at these addresses.
fn hex_of(pieces: &[(usize, &[u8])]) -> String {
    let records: Vec<_> =
        pieces.iter().flat_map(|(start, bytes)| records(*start, bytes, 16)).collect();
    hex_file(&records)
}

#[test]
fn a_bin_is_measured_as_sha256sum_does() {
    // FIPS 180-2, appendix B.1.
    let expected =
        Measurement(hex!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    assert_eq!(measure("zephyr.bin", b"abc").unwrap(), expected);
    assert_eq!(measure("ZEPHYR.BIN", b"abc").unwrap(), expected);
    // The same as GNU objcopy writes it.
    for text in [
        ":03000000616263D7\n:00000001FF\n",
        ":020000021000EC\r\n:03000000616263D7\r\n:0400000300000101F7\r\n:00000001FF\r\n",
    ] {
        assert_eq!(measure("zephyr.hex", text).unwrap(), expected, "{text}");
    }
}

#[test]
fn what_is_missing_between_sections_is_erased_flash() {
    let mut image = vec![0x11; 100];
    image.resize(100 + 4095, 0xFF);
    image.extend([0x22; 100]);
    let expected = measure("zephyr.bin", &image).unwrap();
    let pieces = [(0, &image[..100]), (100 + 4095, &image[100 + 4095..])];
    assert_eq!(measure("zephyr.hex", hex_of(&pieces)).unwrap(), expected);
    let [first, second] = pieces;
    assert_eq!(measure("zephyr.hex", hex_of(&[second, first])).unwrap(), expected);

    // A whole page is missing: another image begins.
    let text = hex_of(&[first, (second.0 + 1, second.1)]);
    let error = measure("merged.hex", text).unwrap_err().to_string();
    let list =
        "as sysbuild's merged.hex may: 0x00000000 to 0x00000063, 0x00001064 to 0x000010c7. Which";
    assert!(error.contains(list) && error.ends_with("own zephyr.bin or zephyr.hex."), "{error}");
}

#[test]
fn what_is_not_in_flash_is_named() {
    let image: (usize, &[u8]) = (0, &[1; 16]);
    let word: &[u8] = &[2; 4];
    for (address, name) in [
        (0x00FF_8000, "(UICR)"),
        (0x00FF_8100, "(UICR)"),
        (0x00FF_D500, "(UICR)"),
        (0x0100_0000, "(network core)"),
        (0x2000_0000, "(not flash)"),
    ] {
        let text = format!("{address:#010x} to {:#010x} {name}", address + 3);
        for file in [hex_of(&[image, (address, word)]), hex_of(&[(address, word)])] {
            let error = measure("merged.hex", file).unwrap_err().to_string();
            assert!(error.contains(&text), "{error}");
        }
    }
    // Where the image is does not matter, as long as it is in flash: in QEMU, for example.
    let expected = measure("zephyr.bin", image.1).unwrap();
    for start in [0, 0x8000, 0x1000_0000] {
        assert_eq!(measure("zephyr.hex", hex_of(&[(start, image.1)])).unwrap(), expected);
    }
}

#[test]
fn a_file_that_is_no_image_is_refused() {
    let good = hex_of(&[(0, &[7; 40])]);
    let lines: Vec<_> = good.lines().collect();
    let data = lines.iter().position(|line| line.starts_with(":10")).unwrap();
    let damaged = good.replacen("0707", "0708", 1);
    let joined = good.repeat(2);
    let cut = lines[..lines.len() - 1].join("\n");
    let twice = hex_of(&[(0, &[7; 40]), (39, &[7; 4])]);
    for (name, content, complaint) in [
        ("zephyr.elf", "\x7FELF".as_bytes(), "this is an ELF file"),
        ("zephyr.bin", b"\x7FELF", "this is an ELF file"),
        ("zephyr.hex", b"\x7FELF", "this is an ELF file"),
        ("zephyr.bin", good.as_bytes(), "is an Intel HEX file"),
        ("zephyr.bin", b"", "there is no image"),
        ("zephyr.hex", b":00000001FF", "there is no image"),
        ("zephyr.hex", b":0000000000\n:00000001FF", "there is no image"),
        ("zephyr.hex", b"", "its end is missing"),
        ("zephyr.hex", cut.as_bytes(), "its end is missing"),
        (
            "zephyr.hex",
            damaged.as_bytes(),
            &format!("line {} is damaged (invalid checksum", data + 1),
        ),
        ("zephyr.hex", b"Dear all", "line 1 is damaged (missing start code"),
        ("zephyr.hex", b"\xFF\xFE", "this is not an Intel HEX file"),
        (
            "zephyr.hex",
            joined.as_bytes(),
            &format!("line {} stands behind the end", lines.len() + 1),
        ),
        ("zephyr.hex", twice.as_bytes(), "two contents for address 0x00000027"),
        ("zephyr.uf2", b"UF2", "neither a .bin nor a .hex"),
        ("zephyr", b"abc", "neither a .bin nor a .hex"),
    ] {
        let (_folder, path) = file(name, content);
        let error = measurement(&path).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: ", path.display())), "{error}");
        assert!(error.contains(complaint), "{error} instead of {complaint}");
        assert!(error.ends_with(". Give the image's own zephyr.bin or zephyr.hex."), "{error}");
    }
    let missing = measurement(&PathBuf::from("/there/is/no/zephyr.bin")).unwrap_err();
    assert!(missing.to_string().contains("zephyr.bin: the image cannot be read ("), "{missing}");
    assert!(missing.source().is_some());
}

#[test]
fn a_part_of_another_image_is_refused() {
    let [wanted, other] = [b"abc", b"abd"].map(|image| measure("zephyr.bin", image).unwrap());
    assert_eq!(check(wanted, wanted), Ok(()));
    let text = check(other, wanted).unwrap_err().to_string();
    let expected = format!("an image with SHA-256 {other}, not by the one with {wanted}");
    assert!(text.contains(&expected), "{text}");
}

proptest! {
    /// Sections with gaps between them, anywhere in flash, in records of any length and order.
    #[test]
    fn a_hex_is_measured_as_its_bin(
        sections in vec((0_usize..500, vec(any::<u8>(), 1..700)), 1..20),
        start in 0_usize..0x000F_0000,
        size in 1_usize..=255,
        seed: u64,
    ) {
        let mut image = Vec::new();
        let mut groups = Vec::new();
        for (gap, bytes) in &sections {
            // The image begins with its first section.
            image.resize(image.len() + if image.is_empty() { 0 } else { *gap }, 0xFF);
            let pairs = records(start + image.len(), bytes, size);
            groups.extend(pairs.chunks(2).map(<[Record]>::to_vec));
            image.extend(bytes);
        }
        // Some order: each base stays with its record.
        let mut state = seed;
        groups.sort_by_cached_key(|_| {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            state >> 32
        });
        let text = hex_file(&groups.concat());
        prop_assert_eq!(measure("a.hex", text).unwrap(), Measurement::of(&image));
    }
}
