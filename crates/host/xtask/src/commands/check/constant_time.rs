// SPDX-License-Identifier: Apache-2.0

//! Runs the image in QEMU on several blank parts, each with other secrets, and compares what a plugin has written:
//! all instructions of the key pair and of the signature, and all addresses that they read and write. They must be the
//! same for each part, since else a branch or an address depends on a private key or on the number k of a signature.
//!
//! The verification of the signature is traced, too. It branches on bits of public numbers, which differ from part to
//! part: the comparison must find it, else it finds nothing.
//!
//! Not seen are instructions that take longer for some operands, such as a division; there must be none.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use provisioning::Event;
use provisioning::console::HALTED;
use rustc_demangle::demangle;
use xtask::elf::{self, Addresses, Elf};
use xtask::qemu::{Console, Machine};
use xtask::thousands;

use super::{NotHere, Project, read, zephyr};

/// What has to take the same steps for all secrets: the key pair's multiplication, and the signature.
const SECRET: [[&str; 2]; 2] = [["curve", "multiply_generator"], ["IdentityKey", "4sign"]];
/// What need not.
const PUBLIC: [&str; 2] = ["PublicPoint", "verifies"];

/// Parts. Each bit of a secret is the same in all of them with a probability of 1 in 128.
const PARTS: u32 = 8;

/// So many bytes are an event of the trace: an address, and what there is about it.
const EVENT: usize = 8;
const BEGIN: u32 = 0;
const EXECUTE: u32 = 1;
const END: u32 = 3;

type Word = [u8; EVENT];

fn parts_of(word: Word) -> (u32, u32) {
    let word = u64::from_le_bytes(word);
    (u32::try_from(word >> 32).unwrap_or(u32::MAX), u32::try_from(word & 0xFFFF_FFFF).unwrap_or(0))
}

/// A call of a function: from its first event to its last.
fn calls(trace: &[u8]) -> Result<Vec<&[Word]>> {
    let (events, rest) = trace.as_chunks::<EVENT>();
    ensure!(rest.is_empty(), "the trace ends in an event");
    let mut calls = Vec::new();
    let mut begin = None;
    for (at, event) in events.iter().enumerate() {
        match parts_of(*event).0 {
            BEGIN => begin = Some(at),
            END => calls.push(&events[begin.take().context("an end without a beginning")?..at]),
            _ => {}
        }
    }
    ensure!(begin.is_none(), "a function has not returned");
    Ok(calls)
}

/// Where two calls part: the last instruction that both have executed.
fn parting<'a>(one: &'a [Word], other: &[Word]) -> Option<&'a [Word]> {
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    (same < one.len().max(other.len())).then(|| &one[..same])
}

/// A name for people of the place that an event is at.
fn place(addresses: &Addresses, address: u64) -> String {
    let around =
        |(_, (start, size)): &(&String, &(u64, u64))| (*start..start + size).contains(&address);
    addresses.iter().find(around).map_or_else(
        || format!("{address:#x}"),
        |(name, (start, _))| format!("{:#}+{:#x}", demangle(name), address - start),
    )
}

/// Builds the plugin for the QEMU that is here.
fn plugin(project: &Project) -> Result<String> {
    let said = duct::cmd!(xtask::qemu::QEMU, "--version")
        .read()
        .map_err(|_| NotHere(format!("{} is missing", xtask::qemu::QEMU)))?;
    let major: u32 = said
        .split("version ")
        .nth(1)
        .and_then(|version| version.split('.').next()?.parse().ok())
        .with_context(|| format!("QEMU does not tell its version: {said}"))?;
    let help = duct::cmd!(xtask::qemu::QEMU, "-help").read()?;
    if !help.contains("-plugin") {
        return Err(NotHere(String::from("this QEMU was built without plugins")).into());
    }
    let interface = if major < 9 { "1" } else { "2" };
    let build = project.cargo("build --quiet --locked -p qemu-trace");
    build.env("QEMU_PLUGIN_VERSION", interface).run()?;
    let suffix = std::env::consts::DLL_SUFFIX;
    Ok(format!("{}/target/debug/libqemu_trace{suffix}", project.root.display()))
}

/// Runs the image on a blank part, and gives the trace.
fn trace(elf: &Path, plugin: &str, folder: &Path, part: u32) -> Result<Vec<u8>> {
    let out = folder.join("trace");
    let plugin = format!("{plugin},out={}", out.display());
    let mut qemu = Machine {
        image: elf,
        folder,
        // Names of one length: the image keeps them on the stack.
        arguments: &[&format!("--device=part-{part}.uicr"), &format!("--seed={part}")],
        shift: Some(7),
        console: Console::Captured,
        is_paused: false,
        plugin: Some(&plugin),
    }
    .start()?;
    let success = Event::Success.message();
    let console = qemu.read_until(|line| line.contains(success) || line.contains(HALTED))?;
    ensure!(console.contains(success), "{console}");
    qemu.monitor("quit")?;
    qemu.wait()?;
    read(&out)
}

pub fn run(project: &Project) -> Result<()> {
    let elf = zephyr::mps2_dsp(project)?;
    let addresses = Elf::parse(&read(&elf)?)?.addresses();
    let secret = SECRET.map(|parts| elf::only(&addresses, parts));
    let mut functions = Vec::new();
    for function in secret.into_iter().chain([elf::only(&addresses, PUBLIC)]) {
        functions.push(function?.0);
    }
    let arguments: Vec<_> =
        functions.iter().map(|address| format!("function={address:x}")).collect();
    let plugin = format!("{},{}", plugin(project)?, arguments.join(","));

    let folder = tempfile::tempdir()?;
    let one = trace(&elf, &plugin, folder.path(), 1)?;
    let one = calls(&one)?;
    let called: Vec<_> = one.iter().map(|call| u64::from(parts_of(call[0]).1)).collect();
    ensure!(called == functions, "the functions were called in another order, or not at all");
    let mut seen = 0;
    for part in 2..=PARTS {
        let other = trace(&elf, &plugin, folder.path(), part)?;
        let other = calls(&other)?;
        ensure!(other.len() == one.len(), "part {part} has made other calls");
        for (number, (one, other)) in one.iter().zip(&other).enumerate() {
            match (number < SECRET.len(), parting(one, other)) {
                (true, Some(same)) => {
                    let last = same.iter().rev().map(|event| parts_of(*event));
                    let last = last.clone().find(|(kind, _)| *kind == EXECUTE).unwrap_or_default();
                    bail!(
                        "a branch or an address depends on a secret: part {part} leaves the steps of part 1 \
                         after {} events, at {}, in a call of {}",
                        thousands(same.len() as u64),
                        place(&addresses, u64::from(last.1)),
                        place(&addresses, functions[number])
                    );
                }
                (false, Some(_)) => seen += 1,
                _ => {}
            }
        }
        fs::remove_file(folder.path().join("trace"))?;
    }
    ensure!(
        seen == PARTS - 1,
        "the verification has branched alike for different parts: the comparison finds nothing"
    );
    let counts: Vec<_> =
        one[..SECRET.len()].iter().map(|call| thousands(call.len() as u64)).collect();
    println!(
        "ok: the key pair and the signature of {PARTS} parts have the same {} instructions and addresses; their \
         verifications, which branch on public numbers, were told apart",
        counts.join(" and ")
    );
    Ok(())
}
