// SPDX-License-Identifier: Apache-2.0

//! Runs the image in QEMU and takes its whole RAM each time when it has ended: on an erased part, on the part that
//! this gave, and on erased parts where the run ends in a fault, a failed assert or a panic of Rust while it holds
//! keys. Searches RAM and console for any eight bytes of the part's HUKs, of its private identity key, and of the
//! number k of its signature. The model itself is left out: its UICR is not RAM. A canary proves that the search
//! finds such bytes. The dead part of the stack must have been cleared, and after a crash all of it.
//!
//! `verifiers/part_secrets.py` takes the keys from the device file, by code that is not this project's.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64ct::{Base64UrlUnpadded, Encoding};
use provisioning::Event;
use provisioning::console::{ALREADY_PROVISIONED_PREFIX, FATAL_ERROR, HALTED, RECORD_PREFIX};
use xtask::elf::{self, Addresses, Elf};
use xtask::qemu::{Console, Machine};

use super::{Project, read, zephyr};

/// So many bytes of a secret are a find.
const PIECE: usize = 8;

/// The part of the main stack that may be in use after a run to success.
const LIVE: usize = 4_096;

/// How a run ends while it holds keys.
struct Crash {
    name: &'static str,
    /// Where a failed assert and a panic of Rust go on in C; for a fault, an address that has no code.
    goes_on_at: Option<&'static str>,
}

const CRASHES: [Crash; 3] = [
    Crash { name: "a fault", goes_on_at: None },
    Crash { name: "an assert", goes_on_at: Some("assert_post_action") },
    Crash { name: "a panic of Rust", goes_on_at: Some("rust_panic_wrap") },
];
const NO_CODE: u32 = 0xE000_0000;

/// The image.
struct Image<'a> {
    elf: &'a Path,
    symbols: Addresses,
    folder: &'a Path,
}

/// What is left of a run.
struct Remains {
    console: Vec<u8>,
    /// Without the model's part.
    ram: Vec<u8>,
}

impl Image<'_> {
    fn symbol(&self, name: &str) -> Result<(u64, u64)> {
        self.symbols.get(name).copied().with_context(|| format!("the image has no {name}"))
    }

    /// First address and length.
    fn ram(&self) -> Result<(u64, usize)> {
        let (start, end) = (self.symbol("_image_ram_start")?.0, self.symbol("_image_ram_end")?.0);
        Ok((start, usize::try_from(end - start)?))
    }

    /// Where an object is in what [`Self::run`] gives of RAM.
    fn place(&self, (address, size): (u64, u64)) -> Result<std::ops::Range<usize>> {
        let at = usize::try_from(address - self.ram()?.0)?;
        Ok(at..at + usize::try_from(size)?)
    }

    /// Runs the image to its end, or to a crash.
    fn run(&self, part: &str, crash: Option<&Crash>) -> Result<Remains> {
        let dump = self.folder.join("ram");
        let _ = fs::remove_file(&dump); // that of the run before
        let mut qemu = Machine {
            image: self.elf,
            folder: self.folder,
            arguments: &[&format!("--device={part}"), "--seed=5"],
            shift: Some(7),
            console: Console::Captured,
            is_paused: crash.is_some(),
            plugin: None,
        }
        .start()?;
        // It must be kept: QEMU stops the image when a debugger goes.
        let mut debugger = None;
        if let Some(crash) = crash {
            let to = match crash.goes_on_at {
                Some(name) => u32::try_from(self.symbol(name)?.0)?,
                None => NO_CODE,
            };
            // Where the run holds the identity key and verifies its signature.
            let (from, _) = elf::only(&self.symbols, ["PublicPoint", "verifies"])?;
            debugger.insert(qemu.debugger()?).jump(from, to)?;
        }
        let is_success = |line: &str| crash.is_none() && line.contains(Event::Success.message());
        let console = qemu.read_bytes_until(|line| line.contains(HALTED) || is_success(line))?;
        // The image has cleared its stack before its last line, and idles or halts after it.
        thread::sleep(Duration::from_secs(1));
        let (start, length) = self.ram()?;
        qemu.monitor(&format!("memsave {start:#x} {length} \"ram\""))?;
        qemu.monitor("quit")?;
        qemu.wait()?;
        drop(debugger);
        let mut ram = read(&dump)?;
        ensure!(ram.len() == length, "QEMU has saved {} of {length} bytes", ram.len());
        let part = self.place(elf::only(&self.symbols, ["silicon", "exports4PART"])?)?;
        ensure!(part.len() > 4_096, "the modelled part has {} bytes only", part.len());
        ram[part].fill(0);
        Ok(Remains { console, ram })
    }

    /// Searches what is left of the run `what` for pieces of keys. The last `live` bytes of the main stack may be
    /// in use.
    fn search(
        &self,
        what: &str,
        remains: &Remains,
        secrets: &[Vec<u8>],
        live: usize,
    ) -> Result<()> {
        let keys = pieces(secrets);
        let found = |data: &[u8]| -> Vec<usize> {
            let windows = data.windows(PIECE).enumerate();
            windows.filter(|(_, bytes)| keys.contains(*bytes)).map(|(at, _)| at).collect()
        };
        let hits = found(&remains.ram);
        if let Some(first) = hits.first() {
            let address = self.ram()?.0 + *first as u64;
            bail!(
                "after {what} {} pieces of a key are in RAM, the first at {address:#x}",
                hits.len()
            );
        }
        let stack = self.place(self.symbol("z_main_stack")?)?;
        let dead = &remains.ram[stack.start..stack.end - live];
        ensure!(!dead.is_empty(), "the main stack has no part that must be cleared");
        ensure!(dead.iter().all(|byte| *byte == 0), "after {what} the stack is not cleared");

        let mut canary = remains.ram.clone();
        let piece = keys.first().context("there is no key to search for")?;
        canary[64..64 + PIECE].copy_from_slice(piece);
        ensure!(found(&canary) == [64], "the search does not find its canary");

        // What is printed: as bytes, as hexadecimal digits, and as what base64url stands for.
        let console = String::from_utf8_lossy(&remains.console);
        let mut shown = vec![remains.console.clone()];
        for digits in
            console.split(|c: char| !c.is_ascii_hexdigit()).filter(|text| text.len() >= 16)
        {
            for text in [digits, &digits[1..]] {
                shown.push(base16ct::mixed::decode_vec(&text[..text.len() & !1])?);
            }
        }
        for record in records(&console) {
            shown.push(Base64UrlUnpadded::decode_vec(record)?);
        }
        for data in shown {
            ensure!(found(&data).is_empty(), "after {what} a piece of a key is on the console");
        }
        Ok(())
    }
}

/// All pieces of the secrets, in the order of bytes and of words turned round.
fn pieces(secrets: &[Vec<u8>]) -> BTreeSet<Vec<u8>> {
    let written = secrets.iter().filter(|secret| secret.iter().any(|byte| *byte != 0xFF));
    let mut pieces = BTreeSet::new();
    for secret in written {
        for word in [1, 4, 8, secret.len()] {
            let turned: Vec<_> =
                secret.chunks(word).flat_map(|word| word.iter().rev()).copied().collect();
            pieces.extend(turned.windows(PIECE).map(<[u8]>::to_vec));
        }
    }
    pieces
}

fn records(console: &str) -> Vec<&str> {
    let records = console.split(RECORD_PREFIX).skip(1).map(|rest| {
        let is_of_it = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        &rest[..rest.find(|c| !is_of_it(c)).unwrap_or(rest.len())]
    });
    records.filter(|record| !record.is_empty()).collect()
}

pub fn run(project: &Project) -> Result<()> {
    let elf = zephyr::mps2(project)?;
    let python = project.python("verifier-venv", "cbor2, cryptography")?;
    let folder = tempfile::tempdir()?;
    let symbols = Elf::parse(&read(&elf)?)?.addresses();
    let image = Image { elf: &elf, symbols, folder: folder.path() };
    let script = project.verifier("part_secrets.py");
    let device = folder.path().join("part.uicr");

    // The HUKs, the identity key and k of the part: the same in each crash, from the same state.
    let mut first = None;
    for (wanted, live) in [(Event::Success.message(), LIVE), (ALREADY_PROVISIONED_PREFIX, 0)] {
        let remains = image.run("part.uicr", None)?;
        let console = String::from_utf8_lossy(&remains.console);
        ensure!(console.contains(wanted), "{console}");
        let printed =
            duct::cmd!(&python, &script, &device).stdin_bytes(&*remains.console).read()?;
        let secrets =
            printed.lines().map(base16ct::mixed::decode_vec).collect::<Result<Vec<_>, _>>()?;
        image.search(&format!("\"{wanted}\""), &remains, &secrets, live)?;
        first.get_or_insert(secrets);
    }
    let secrets = first.unwrap_or_default();
    let page = read(&device)?;
    let mut searched = 0;
    for crash in &CRASHES {
        let part = format!("{}.uicr", crash.name).replace(' ', "-");
        let remains = image.run(&part, Some(crash))?;
        let console = String::from_utf8_lossy(&remains.console);
        ensure!(console.contains(FATAL_ERROR) && records(&console).is_empty(), "{console}");
        let again = read(&folder.path().join(part))?;
        ensure!(again == page, "the crashed run has written another part");
        image.search(crash.name, &remains, &secrets, 0)?;
        searched = remains.ram.len();
    }
    println!(
        "ok: no piece of a HUK, the identity key or k in {searched} bytes of RAM or on the console, after \
         success, failure, {}; the canary was found",
        CRASHES.map(|crash| crash.name).join(", ")
    );
    Ok(())
}
