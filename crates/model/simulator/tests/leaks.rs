// SPDX-License-Identifier: Apache-2.0

//! No piece of a key, or of the seed of one, stays in the memory of the process: not in statics, on the heap, in
//! thread-local storage or on any stack. The dead part of the stack is cleared first, as the image does. The same is
//! looked for in the RAM of the Cortex-M33 image, under the SDK's drivers, by `tests/differential`.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::{env, fs, ptr, thread};

use nrf_keys::{Drivers, SeedDrivers};
use provisioning::{IdentityKeySource, provision};
use silicon::faults::{Call, Effect, Fault};
use silicon::power::{Cut, Reach};
use silicon::{Family, Silicon, Soc, ikg};
use simulator::huk_size;
use simulator::testing::{config, huk, identity_key};
use zeroize::Zeroize;

/// Bytes that have to be there to call it a piece.
const PIECE: usize = 8;
/// This process knows the keys only with these bits flipped, so that it does not find its own copy.
const MASK: u8 = 0xA5;
/// Set for the process that only prints the keys.
const PRINT: &str = "PROVISIONING_PRINT_KEYS";

/// What happens to a part.
#[derive(Clone, Copy, Debug)]
struct Path {
    soc: Soc,
    source: IdentityKeySource,
    fault: Option<Fault>,
    cut: Option<Cut>,
}

/// Success and failure, on each part and with each source of a secret key.
fn paths() -> Vec<Path> {
    let fault = |call, nth| Some(Fault { call, nth, effect: Effect::Error });
    let faults = [
        None,
        fault(Call::CsrandGet, 4),
        fault(Call::KmuWriteKeySlot, 1),
        fault(Call::KmuWriteKeySlot, 2),
        fault(Call::ShadowKeyDerive, 2),
        fault(Call::ShadowKeyDerive, 4),
        fault(Call::PsaExportKey, 1),
        fault(Call::PsaDestroyKey, 1),
        fault(Call::IdentityKeyStore, 1),
        fault(Call::IdentityKeyRetrieve, 1),
        fault(Call::CsrandGet, 3),
    ];
    let cuts = [12, 20, 30].map(|write| Some(Cut { write, reach: Reach::Torn(9) }));
    let mut paths = Vec::new();
    for soc in Soc::CRYPTOCELL {
        for source in [IdentityKeySource::Generated, IdentityKeySource::Driver] {
            paths.extend(faults.map(|fault| Path { soc, source, fault, cut: None }));
            paths.extend(cuts.map(|cut| Path { soc, source, fault: None, cut }));
        }
    }
    let (soc, source) = (Soc::Nrf54l15, IdentityKeySource::Generated);
    // The note is the first slot that is provisioned, and the one that is revoked.
    let faults = [
        None,
        fault(Call::CsrandGet, 3),
        fault(Call::KmuProvision, 2),
        fault(Call::KmuProvision, 4),
        fault(Call::KmuRevoke, 1),
        fault(Call::IkgCmac, 2),
        fault(Call::IkgCmac, 4),
        fault(Call::IkgPublicKey, 1),
        fault(Call::IkgPublicKey, 2),
        fault(Call::IkgSign, 1),
    ];
    paths.extend(faults.map(|fault| Path { soc, source, fault, cut: None }));
    let cuts = [16, 20, 24, 30].map(|write| Some(Cut { write, reach: Reach::Torn(9) }));
    paths.extend(cuts.map(|cut| Path { soc, source, fault: None, cut }));
    paths
}

/// Provisions the part of this thread on that path. In a frame of its own, which is dead afterwards.
#[inline(never)]
fn run(path: &Path, number: u8) {
    let mut part = Box::new(Silicon::erased(path.soc, [number; 32]));
    if let Some(fault) = path.fault {
        part.arm(fault);
    }
    if let Some(cut) = path.cut {
        part.cut(cut);
    }
    silicon::install(part);
    let config = config(path.source);
    match path.soc.family() {
        Family::CryptoCell => {
            // SAFETY: the drivers work on this thread's part, and only `provision` calls them.
            let mut drivers = unsafe { Drivers::new(huk_size(path.soc)) };
            let _ = provision(&mut drivers, &config, |_| ());
        }
        Family::Cracen => {
            // SAFETY: as above.
            let mut drivers = unsafe { SeedDrivers::new() };
            let _ = provision(&mut drivers, &config, |_| ());
        }
    }
}

/// As the image does at its end: what is below the caller's frame is dead. Without it, the search finds pieces that
/// the model's cipher leaves behind, as drivers and CryptoCell's library do on a part.
#[inline(never)]
#[expect(clippy::large_stack_arrays, reason = "it is there to cover the stack")]
fn clear_stack() {
    let mut dead = [0_u8; 512 * 1024];
    for byte in &mut dead {
        // SAFETY: a byte of the array. Volatile, so that the write is not left out.
        unsafe { ptr::from_mut(byte).write_volatile(0) };
    }
}

/// The keys that are in the part: HUK words that are written, or the seed's, and the identity key if it is there.
fn keys_in(part: &mut Silicon) -> Vec<Vec<u8>> {
    part.restart([0; 32]);
    if part.soc().family() == Family::Cracen {
        // Slots of seven words, of which the first four are the value.
        let slots = &part.key_store().as_chunks::<7>().0[183..186];
        let mut keys: Vec<Vec<u8>> = slots
            .iter()
            .map(|slot| slot[..4].iter().flat_map(|word| word.to_le_bytes()).collect())
            .collect();
        keys.extend(ikg::private_key(part).map(|key| key.to_vec()));
        return keys;
    }
    let mut keys = vec![huk(part, 2), huk(part, 4)];
    // Slot 7 closed: the key is whole.
    if part.page()[0x10F] == 0xFFFF_FFFA {
        keys.extend(identity_key(part).map(|key| key.expose().to_vec()));
    }
    keys
}

/// Only with [`PRINT`], in a process of its own: prints the keys of every path, masked.
#[test]
fn prints_the_keys() {
    if env::var_os(PRINT).is_none() {
        return; // the parent of the process that does
    }
    for (number, path) in (1..).zip(paths()) {
        run(&path, number);
        for key in keys_in(&mut silicon::remove().unwrap()) {
            print!("key {number} ");
            for byte in key {
                print!("{:02x}", byte ^ MASK);
            }
            println!();
        }
    }
}

/// The masked pieces of one part's keys: in the order of bytes, of 32-bit and 64-bit words, and backwards.
struct Pieces {
    all: Vec<[u8; PIECE]>,
    /// The first two bytes of any, not masked. Not on the stack: that is to stay as the run has left it.
    begins: Vec<bool>,
}

impl Pieces {
    fn of(keys: &[Vec<u8>]) -> Self {
        let mut pieces = Vec::new();
        for key in keys {
            for word in [1, 4, 8, key.len()] {
                let mut ordered = key.clone();
                ordered.chunks_mut(word).for_each(<[u8]>::reverse);
                pieces.extend(
                    ordered.windows(PIECE).map(|piece| <[u8; PIECE]>::try_from(piece).unwrap()),
                );
            }
        }
        // Erased words are not a key.
        pieces
            .retain(|piece| piece.iter().filter(|byte| **byte ^ MASK != 0xFF).count() > PIECE / 2);
        pieces.sort_unstable();
        pieces.dedup();
        let mut begins = vec![false; 1 << 16];
        for piece in &pieces {
            begins[usize::from(u16::from_be_bytes([piece[0] ^ MASK, piece[1] ^ MASK]))] = true;
        }
        Self { all: pieces, begins }
    }

    /// The addresses of all pieces in the memory that this process can write to, but for `except`.
    fn find(&self, except: std::ops::Range<usize>) -> Vec<usize> {
        let mut found = Vec::new();
        for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
            let mut fields = line.split_whitespace();
            let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
            if !rights.starts_with("rw") {
                continue;
            }
            let (from, to) = range.split_once('-').unwrap();
            let address = |text| usize::from_str_radix(text, 16).unwrap();
            let (from, to) = (address(from), address(to));
            let mut pair = 0_u16;
            let mut at = from;
            while at < to {
                // Most of the memory is zero: eight bytes at once, where no piece can begin in them.
                if pair.is_multiple_of(0x100) && !self.begins[0] && at.is_multiple_of(8) {
                    // SAFETY: eight bytes of a mapping, which ends with a page, as below.
                    let word = unsafe { ptr::with_exposed_provenance::<u64>(at).read_volatile() };
                    if word == 0 {
                        at += 8;
                        pair = 0;
                        continue;
                    }
                }
                // SAFETY: a byte of a mapping of this process that can be read; no other thread unmaps.
                let byte =
                    |at: usize| unsafe { ptr::with_exposed_provenance::<u8>(at).read_volatile() };
                pair = pair << 8 | u16::from(byte(at));
                let begin = at.wrapping_sub(1);
                at += 1;
                if !self.begins[usize::from(pair)]
                    || begin < from
                    || begin + PIECE > to
                    || except.contains(&begin)
                {
                    continue;
                }
                let mut here: [u8; PIECE] = std::array::from_fn(|i| byte(begin + i) ^ MASK);
                if self.all.binary_search(&here).is_ok() {
                    found.push(begin);
                }
                // At one of the masked pieces it is a piece that is not masked, and is not to be found as such.
                here.zeroize();
            }
        }
        found
    }
}

#[test]
fn no_piece_of_a_key_stays_in_memory() {
    let printed = Command::new(env::current_exe().unwrap())
        .args(["--exact", "prints_the_keys", "--nocapture"])
        .env(PRINT, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let paths = paths();
    let mut searched = 0;
    for (number, path) in (1_u8..).zip(&paths) {
        let keys: Vec<Vec<u8>> = printed
            .lines()
            .filter_map(|line| line.split_once(&format!("key {number} ")).map(|(_, key)| key))
            .map(|key| {
                let byte = |at| u8::from_str_radix(&key[at..at + 2], 16).unwrap();
                (0..key.len()).step_by(2).map(byte).collect()
            })
            .collect();
        let pieces = Pieces::of(&keys);
        if pieces.all.is_empty() {
            continue; // the path ends before there is a key
        }
        searched += 1;
        // A stack of its own, which no other path has used.
        let found = thread::scope(|scope| {
            let search = || {
                run(path, number);
                clear_stack();
                let part = silicon::with_installed(|part| ptr::from_mut(part).expose_provenance())
                    .unwrap();
                let found = pieces.find(part..part + size_of::<Silicon>());
                // The canary: the search finds a piece that is there.
                let canary: Box<[u8]> = pieces.all[0].iter().map(|byte| byte ^ MASK).collect();
                let at = canary.as_ptr().expose_provenance();
                assert!(pieces.find(part..part + size_of::<Silicon>()).contains(&at), "{path:?}");
                silicon::remove();
                found
            };
            thread::Builder::new()
                .stack_size(4 << 20)
                .spawn_scoped(scope, search)
                .unwrap()
                .join()
                .unwrap()
        });
        assert!(found.is_empty(), "{path:?}: {found:#x?}");
    }
    assert!(searched > paths.len() / 2, "{searched} of {} paths have keys", paths.len());
}
