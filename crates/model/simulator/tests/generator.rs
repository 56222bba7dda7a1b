// SPDX-License-Identifier: Apache-2.0

//! A random generator that repeats itself at each power-on, or gives all parts the same. The part cannot notice
//! that; but nothing that is printed may be a piece of a key, and no two keys of a part may share one.

use std::collections::HashSet;

use base64ct::{Base64UrlUnpadded, Encoding};
use provisioning::{Cause, IdentityKeySource};
use silicon::faults::Noise;
use silicon::mutants::Mutant;
use silicon::power::{Cut, Reach};
use silicon::states::Writes;
use silicon::{Silicon, Soc};
use simulator::run;
use simulator::testing::{config, huk, identity_key};

const BROKEN: [Noise; 2] = [Noise::RepeatsAtPowerOn, Noise::SameInAllParts];
const SOURCES: [IdentityKeySource; 2] = [IdentityKeySource::Generated, IdentityKeySource::Driver];
/// Bytes that have to be the same to call it a piece.
const PIECE: usize = 8;

fn part(soc: Soc, seed: u8, noise: Noise) -> Silicon {
    let mut part = Silicon::erased(soc, [seed; 32]);
    part.break_noise(noise);
    part
}

/// What a run prints, and the part.
fn lines(part: Silicon, source: IdentityKeySource) -> (Silicon, Vec<String>) {
    let mut lines = Vec::new();
    let (part, result) = run(part, &config(source), |event| lines.push(event.to_string()));
    lines.extend(result.err().map(|failure| failure.to_string()));
    (part, lines)
}

/// The HUKs as they stand in the KMU, and the private identity key.
fn keys(part: &mut Silicon) -> Vec<Vec<u8>> {
    let identity_key = identity_key(part).unwrap().expose().to_vec();
    vec![huk(part, 2), huk(part, 4), identity_key]
}

/// The bytes of a line, those that its hexadecimal digits stand for, and those of a record.
fn shown(line: &str) -> Vec<Vec<u8>> {
    let mut shown = vec![line.as_bytes().to_vec()];
    for word in line.split([' ', ',', '.']) {
        if let Ok(bytes) = Base64UrlUnpadded::decode_vec(word) {
            shown.push(bytes);
        }
        let digits: Option<Vec<u8>> = (0..word.len() / 2)
            .map(|at| u8::from_str_radix(word.get(2 * at..2 * at + 2)?, 16).ok())
            .collect();
        shown.extend(digits);
    }
    shown
}

fn pieces(bytes: &[u8]) -> HashSet<&[u8]> {
    bytes.windows(PIECE).collect()
}

#[test]
fn nothing_that_is_printed_is_a_piece_of_a_key() {
    for noise in BROKEN {
        for soc in Soc::CRYPTOCELL {
            for source in SOURCES {
                let (mut one, mut console) = lines(part(soc, 1, noise), source);
                assert_eq!(console.last().unwrap(), "Success!");
                // The second run draws what the first has made its keys of.
                one.restart([2; 32]);
                let (mut one, again) = lines(one, source);
                assert!(again.last().unwrap().contains("already provisioned"), "{again:?}");
                // Another part, which draws what this one has.
                let (_, other) = lines(part(soc, 3, noise), source);
                console.extend(again);
                console.extend(other);
                assert_eq!(console.iter().filter(|line| line.starts_with("Prov")).count(), 3);
                one.restart([4; 32]);
                let keys = keys(&mut one);
                let secret: HashSet<&[u8]> = keys.iter().flat_map(|key| pieces(key)).collect();
                for line in &console {
                    for bytes in shown(line) {
                        let found = pieces(&bytes).intersection(&secret).count();
                        assert_eq!(found, 0, "{noise:?}, {soc}, {source:?}: {line}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_second_run_makes_no_key_that_an_earlier_one_is_like() {
    for noise in BROKEN {
        for soc in Soc::CRYPTOCELL {
            let Writes { lifecycle, implementation_id, mkek, mext, .. } = Writes::of(soc);
            for write in [lifecycle, implementation_id, mkek, mext] {
                let mut first = part(soc, 1, noise);
                first.cut(Cut { write, reach: Reach::After });
                let (mut first, _) = lines(first, IdentityKeySource::Generated);
                assert!(first.is_off());
                first.restart([2; 32]);
                let (mut first, console) = lines(first, IdentityKeySource::Generated);
                assert_eq!(console.last().unwrap(), "Success!", "{noise:?}, {soc}, {write}");
                first.restart([3; 32]);
                let keys = keys(&mut first);
                let all: HashSet<&[u8]> = keys.iter().flat_map(|key| pieces(key)).collect();
                let each: usize = keys.iter().map(|key| pieces(key).len()).sum();
                assert_eq!(all.len(), each, "{noise:?}, {soc}, {write}");
            }
        }
    }
}

/// A generator that draws the same number each time is noticed before the first write.
#[test]
fn a_generator_that_stands_still_is_refused() {
    for soc in Soc::CRYPTOCELL {
        let mut still = Silicon::erased(soc, [1; 32]);
        still.mutate(Some(Mutant::RandomRepeats));
        let (still, result) = run(still, &config(IdentityKeySource::Generated), |_| ());
        assert_eq!(result.unwrap_err().cause, Cause::RandomRepeats);
        assert_eq!(still.writes(), 0);
    }
}
