// SPDX-License-Identifier: Apache-2.0

//! A link as bytes: what it becomes is what it was, and nothing else becomes a link.

mod common;

use std::sync::LazyLock;

use common::edits::sample;
use common::{entries, links};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use station::ledger::{ContentError, Ledger, LedgerError, Link, Problem, Receipt};

/// The links of a ledger that has facts of every kind.
static ALL: LazyLock<Vec<Link>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let parts = entries(1..=5).try_into().unwrap();
    sample(&path, parts);
    links(&Ledger::open(&path).unwrap())
});

#[test]
fn every_link_is_read_from_its_content_as_it_was() {
    let links = &*ALL;
    let mut kinds: Vec<_> = links.iter().map(|link| link.fact.kind()).collect();
    for link in links {
        let content = link.content();
        assert_eq!(link.hash, *Sha256::digest(&content));
        assert_eq!(Link::from_content(&content).as_ref(), Ok(link));
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, ["attempt", "export", "outcome", "program", "withdrawal"]);
}

#[test]
fn bytes_that_a_link_does_not_give_are_no_link() {
    for link in ALL.iter() {
        let content = link.content();
        for end in 0..content.len() {
            assert!(Link::from_content(&content[..end]).is_err(), "{end} of {link:?}");
        }
        let longer = [&content[..], &[0]].concat();
        assert_eq!(Link::from_content(&longer), Err(ContentError::NotALink));
        // The same values otherwise encoded: the array without its length; the number in two bytes.
        let rest = &content[1..];
        let indefinite = [&[0x9F], rest, &[0xFF]].concat();
        assert_eq!(Link::from_content(&indefinite), Err(ContentError::NotALink));
        if link.number < 24 {
            let number = u8::try_from(link.number).unwrap();
            assert_eq!(rest[0], number);
            let wide = [&content[..1], &[0x18, number], &rest[1..]].concat();
            assert_eq!(Link::from_content(&wide), Err(ContentError::NotALink));
        }
    }
}

#[test]
fn a_column_of_another_form_is_named() {
    let link = ALL.iter().find(|link| link.entry().is_some()).unwrap();
    let (content, entry) = (link.content(), link.entry().unwrap());
    let ueid = entry.identity.ueid();
    let at = content.windows(33).rposition(|window| window == ueid.as_bytes()).unwrap();
    let mut other = content.clone();
    other[at + 5] ^= 1;
    let problem = Problem::Column(link.number, "entries.ueid");
    assert_eq!(Link::from_content(&other), Err(ContentError::Form(problem)));
}

proptest! {
    /// Whatever is taken gives the same bytes again, so that no two contents are the same link.
    #[test]
    fn what_is_taken_is_given_back(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut content = which.get(&ALL).content();
        let at = at.index(content.len());
        content[at] = byte;
        if let Ok(link) = Link::from_content(&content) {
            prop_assert_eq!(&link.content(), &content);
            prop_assert!(link.hash == *Sha256::digest(&content));
        }
    }
}

#[test]
fn links_are_read_from_one_number_to_another_and_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    sample(&path, entries(1..=5).try_into().unwrap());
    let ledger = Ledger::open(&path).unwrap();
    let all = links(&ledger);
    let last = |number: u64| {
        let hash = ledger.hash_at(number).unwrap().unwrap();
        Receipt { number, hash }
    };
    let end = all.len() as u64;
    for first in 0..=end {
        for until in [first, first + 1, end, end + 9] {
            let found = ledger.links_after(last(first), until).unwrap();
            let expected = all.iter().filter(|link| (first + 1..=until).contains(&link.number));
            assert!(found.iter().map(|(link, _)| link).eq(expected), "{first} to {until}");
            assert!(found.iter().all(|(link, content)| link.content() == *content));
        }
    }
    let other = Receipt { hash: [1; 32], ..last(3) };
    let error = ledger.links_after(other, end).unwrap_err();
    assert!(matches!(error, LedgerError::Damaged(_, Problem::Previous(4))), "{error:?}");
}
