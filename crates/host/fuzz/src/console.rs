// SPDX-License-Identifier: Apache-2.0

//! The follower of a console, and the reader of a log.

use provisioning::Event;
use provisioning::console::{ALREADY_PROVISIONED_PREFIX, FAILURE_PREFIX, RECORD_PREFIX};
use station::console::{ConsoleError, Follower, Observed, RunEnd};
use station::log::Runs;

/// What a follower keeps, as characters of its `Debug`: five for each byte of a line, one for each of the
/// record, and the excerpts of an error.
const MOST_KEPT: usize = 20 * 1024;

/// What a console was taken for.
type Taken = (Vec<Observed>, Result<RunEnd, ConsoleError>);

/// The console is taken for the same, whatever pieces it comes in; little of it is kept; what a run is said to
/// have ended with was on the console; and in a log of it that run is found.
///
/// # Panics
/// The station does something that it must not do.
pub fn check(data: &[u8]) {
    let whole = follow([data], |_| 0);
    assert_eq!(follow(data.chunks(1), |_| 0), whole, "byte by byte");
    // To look after each byte would take more time than all the rest.
    assert_eq!(follow(pieces(data), |follower| format!("{follower:?}").len()), whole, "in pieces");
    let was_there = |text: &str| data.windows(text.len()).any(|window| window == text.as_bytes());
    let count = |observed| whole.0.iter().filter(|found| **found == observed).count();
    match &whole.1 {
        Ok(end) => {
            assert_eq!((count(Observed::Finished), whole.0.last()), (1, Some(&Observed::Finished)));
            match end {
                RunEnd::Provisioned { record, .. } => {
                    assert!(was_there(&format!("{RECORD_PREFIX}{record}")));
                    assert!(was_there(Event::Success.message()));
                }
                RunEnd::AlreadyProvisioned { record, ueid } => {
                    assert!(was_there(&format!("{RECORD_PREFIX}{record}")));
                    let complete = format!("{FAILURE_PREFIX}{ALREADY_PROVISIONED_PREFIX}{ueid}");
                    assert!(was_there(&complete));
                }
                RunEnd::Failed { line, .. } => assert!(was_there(line)),
            }
        }
        Err(error) => {
            assert_eq!(count(Observed::Finished), 0);
            let _ = error.to_string();
        }
    }
    let runs: Vec<_> = Runs::new(data).expect("bytes can be read").collect();
    assert!(!runs.is_empty(), "a log without a run says so");
    // With these, a log may be in UTF-16, or coloured, and a carriage return alone ends a line of it: then it is
    // another text.
    let is_plain = !data.iter().any(|byte| matches!(byte, 0 | 0x1B))
        && !data.windows(2).any(|pair| pair[0] == b'\r' && pair[1] != b'\n');
    if whole.1.is_ok() && is_plain {
        let ends = runs.into_iter().filter_map(|run| run.ok().map(|run| run.end));
        assert!(ends.into_iter().any(|end| end == whole.1), "the run is not found");
    }
}

/// Feeds a follower, and looks after each piece how much it keeps.
fn follow<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    size: impl Fn(&Follower) -> usize,
) -> Taken {
    let mut follower = Follower::new();
    let mut seen = Vec::new();
    for mut piece in pieces {
        while !piece.is_empty() {
            let observed = follower.push(&mut piece);
            assert!(size(&follower) <= MOST_KEPT, "too much is kept: {follower:?}");
            match observed {
                Ok(Some(observed)) => seen.push(observed),
                Ok(None) => assert!(piece.is_empty(), "something was left"),
                Err(error) => {
                    assert_eq!(follower.push(&mut &b"more"[..]), Err(error.clone()), "it stays");
                    assert_eq!(follower.end(), Err(error.clone()));
                    return (seen, Err(error));
                }
            }
        }
    }
    (seen, follower.end())
}

/// Cuts the console into pieces that depend on what is in it.
fn pieces(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    // Knuth's generator for MMIX.
    let mut state = data.iter().fold(1, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(*byte));
    std::iter::from_fn(move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let length = 1 + usize::from((state >> 40).to_le_bytes()[0]);
        let (piece, rest) = data.split_at(length.min(data.len()));
        data = rest;
        (!piece.is_empty()).then_some(piece)
    })
}
