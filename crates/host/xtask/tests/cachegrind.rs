// SPDX-License-Identifier: Apache-2.0

//! What is read of cachegrind's output, and what one thing has taken of it.

use xtask::cachegrind::{C, CachegrindError, Counts, each, parse};

/// As cachegrind 3.19 writes it, shortened.
const OUTPUT: &str = "desc: I1 cache:         32768 B, 64 B, 8-way associative
cmd: figure audit folder 100
events: Ir
fl=./csu/../csu/libc-start.c
fn=__libc_start_main@@GLIBC_2.34
128 2
134 3
fl=???
fn=ring_core_0_17_14__p256_mul_mont
0 1000
fn=__ecp_nistz256_mul_montq
0 4000
fn=_ZN7station6record6verify17h0123456789abcdefE
0 70
fn=_ZN4ring2ec7suite_b5ecdsa17h0123456789abcdefE
0 5
fn=sqlite3VdbeExec
0 600
summary: 5680
";

fn counts(counts: &[(&str, u64)]) -> Counts {
    counts.iter().map(|(krate, count)| (String::from(*krate), *count)).collect()
}

#[test]
fn instructions_are_counted_by_crate() {
    let expected = counts(&[(C, 605), ("ring", 5005), ("station", 70)]);
    assert_eq!(parse(OUTPUT).unwrap(), expected);
}

#[test]
fn output_that_is_cut_or_of_another_form_is_refused() {
    let cut = OUTPUT.replace("0 600\n", "");
    assert!(matches!(parse(&cut), Err(CachegrindError::Sum)));
    let end = OUTPUT.rfind("summary").unwrap();
    assert!(matches!(parse(&OUTPUT[..end]), Err(CachegrindError::Sum)));
    for (from, to) in [
        ("events: Ir", "events: Ir I1mr ILmr"),
        ("0 600", "0 600 0 0"),
        ("0 600", "0"),
        ("fn=__libc", "__libc"),
        ("summary: 5680", "summary: many"),
    ] {
        let other = OUTPUT.replace(from, to);
        assert!(matches!(parse(&other), Err(CachegrindError::Form(_))), "{other}");
    }
}

#[test]
fn what_it_takes_to_begin_is_not_counted() {
    let few = counts(&[("station", 1_000), ("ring", 5_000), ("core", 70)]);
    let many = counts(&[("station", 1_400), ("ring", 25_000), ("core", 60), ("coset", 800)]);
    let expected = counts(&[("station", 1), ("ring", 50), ("coset", 2)]);
    assert_eq!(each((100, &few), (500, &many)).unwrap(), expected);
    for (few, many) in
        [((100, &few), (100, &many)), ((500, &few), (100, &many)), ((1, &many), (2, &many))]
    {
        assert!(matches!(each(few, many), Err(CachegrindError::NoMore)));
    }
}
