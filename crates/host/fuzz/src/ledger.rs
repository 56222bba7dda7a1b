// SPDX-License-Identifier: Apache-2.0

//! A file in the place of the ledger.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use station::export::{DEFAULT_MAX_BYTES, InstanceIds, Options, Profile, export};
use station::ledger::{
    Attempt, Begun, Entry, Fact, Ledger, LedgerError, Link, New, NewEnd, NewEntry, NewOutcome,
    Receipt, Runs,
};
use station::record::{self, Wanted};
use station::transcript::Transcript;
use tempfile::TempDir;

use crate::corpus;

/// What a write-ahead log begins with: sqlite.org/fileformat2.html, section 4.1.
const LOG: [[u8; 4]; 2] = [[0x37, 0x7F, 0x06, 0x82], [0x37, 0x7F, 0x06, 0x83]];

/// The file is refused, or its problems are found, or it is a ledger whose links are a chain, whose entries have records
/// that parts have signed, and which has accounted for every attempt. Where it may be written to, the same holds after
/// an append.
///
/// Behind the ledger there may be its write-ahead log.
///
/// # Panics
/// The station does something that it must not do.
pub fn check(data: &[u8]) {
    let folder = folder();
    let path = folder.path().join("ledger.db");
    let end = data.windows(4).position(|bytes| LOG.iter().any(|log| log == bytes));
    let (file, log) = data.split_at(end.unwrap_or(data.len()));
    fs::write(&path, file).expect("the ledger is written");
    if !log.is_empty() {
        fs::write(folder.path().join("ledger.db-wal"), log).expect("the log is written");
    }
    let before = with_message(read(&path)).flatten();
    let after = with_message(append(&path));
    if let (Some(before), Some(after)) = (before, after) {
        let after = after.expect("a good ledger is a good one after an append");
        assert_eq!(after[..before.len()], before, "an append leaves what was there");
    }
}

/// In memory where the system has such a place.
fn folder() -> TempDir {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { TempDir::new_in(shared) } else { TempDir::new() }.expect("a folder")
}

fn with_message<T>(result: Result<T, LedgerError>) -> Option<T> {
    result.inspect_err(|error| assert!(!error.to_string().is_empty())).ok()
}

/// The links, if an audit finds nothing to complain of.
fn read(path: &Path) -> Result<Option<Vec<Link>>, LedgerError> {
    let ledger = Ledger::open(path)?;
    let (mut links, mut withdrawn) = (Vec::new(), HashSet::new());
    let audit = ledger.walk::<LedgerError>(None, check_record, |found| {
        if let Some(link) = found.link {
            unpack(link);
            links.push(link.clone());
        }
        withdrawn.extend(found.withdrawn.map(|_| found.number));
        Ok(())
    })?;
    for problem in &audit.problems {
        assert!(!problem.to_string().is_empty());
    }
    if !audit.is_clean() {
        assert!(!audit.problems.is_empty());
        return Ok(None);
    }
    assert_eq!(ledger.head()?, audit.head);
    let genesis = ledger.hash_at(0)?.expect("every chain begins with a hash");
    assert_eq!(check_chain(genesis, &links), audit.head);

    // Every attempt is accounted for.
    let mut runs = Runs::default();
    let ended = links.iter().filter_map(|link| runs.take(link)).count() as u64;
    assert_eq!(
        (ended + audit.unfinished, runs.unfinished().count() as u64),
        (audit.attempts, audit.unfinished)
    );

    // Two that were not withdrawn do not share a part; no two share a key.
    let (mut entries, mut parts, mut keys) = (0, HashSet::new(), HashSet::new());
    let mut identities = Vec::new();
    for link in &links {
        let Some(Entry { number, identity, .. }) = link.entry() else { continue };
        entries += 1;
        assert_eq!(*number, entries);
        let signed = corpus::parts().iter().any(|part| part.record.identity == *identity);
        assert!(signed, "no part has signed this: {link:?}");
        assert!(
            keys.insert(*identity.public_key.as_bytes()),
            "a key for the second time: {link:?}"
        );
        if !withdrawn.contains(&link.number) {
            assert!(parts.insert(identity.device_id.0), "a part for the second time: {link:?}");
            identities.push(*identity);
        }
    }
    assert_eq!((audit.entries, ledger.entries()?), (entries, entries));
    if let Some(first) = links.first() {
        // The head of a ledger that begins like this one is in it, and no other is.
        assert!(ledger.audit(Some(first.hash), |_| Ok(()), |_| ())?.is_clean());
        assert!(!ledger.audit(Some([0xA5; 32]), |_| Ok(()), |_| ())?.is_clean());
    }
    if !identities.is_empty() {
        let options = Options {
            profile: Profile::Psa2025,
            instance_ids: InstanceIds::Both,
            head: audit.head.hash,
            vendor: None,
            model: None,
            max_bytes: DEFAULT_MAX_BYTES,
        };
        let files = export(&options, identities.iter().copied()).expect("an export");
        assert_eq!(files.iter().map(|files| files.parts).sum::<usize>(), identities.len());
    }
    Ok(Some(links))
}

/// A text is one, or none. What a clean ledger has, the station has packed, or someone who has made the whole chain.
fn unpack(link: &Link) {
    let text = match &link.fact {
        Fact::Outcome(outcome) => outcome.console.unpack(link.entry()),
        Fact::Program(program) => program.output.unpack(None),
        _ => None,
    };
    assert!(text.is_none_or(|text| text.len() < 1 << 17));
}

/// The last of these links, which are a chain that begins with this hash.
fn check_chain(genesis: [u8; 32], links: &[Link]) -> Receipt {
    let mut last = Receipt { number: 0, hash: genesis };
    for link in links {
        assert_eq!((link.number, link.previous), (last.number + 1, last.hash), "the chain");
        assert_eq!(link.hash, link.computed_hash());
        last = Receipt { number: link.number, hash: link.hash };
    }
    last
}

/// What the command `audit` checks of each entry.
fn check_record(entry: &Entry) -> Result<(), String> {
    let wanted = Wanted { allow_dummy: true, ..Wanted::default() };
    match record::verify(&entry.record, &wanted) {
        Ok(record) if record.identity == entry.identity => Ok(()),
        Ok(_) => Err(String::from("of another part")),
        Err(error) => Err(error.to_string()),
    }
}

/// Appends a run of the last part of the corpus, and reads the ledger again.
fn append(path: &Path) -> Result<Option<Vec<Link>>, LedgerError> {
    let part = corpus::parts().last().expect("there are parts");
    let entry = NewEntry { identity: part.record.identity, record: part.bytes.clone() };
    let outcome = NewOutcome {
        attempt: Begun::Now(Attempt { port: String::from("/dev/ttyACM9"), ..Attempt::default() }),
        end: NewEnd::Good(entry),
        serial_number: Some(String::from("SN-9")),
        image: None,
        steps: Vec::new(),
        console: Transcript::default(),
    };
    let mut ledger = Ledger::open_or_create(path)?;
    // After any time that the file may say.
    ledger.set_clock(Arc::new(corpus::Ticking::default()), true);
    let kept = ledger.append(&[New::Outcome(Box::new(outcome))])?;
    assert_eq!(kept.len(), 1);
    let links = read(path)?;
    if let Some(links) = &links {
        let last = links.last().expect("it was kept");
        assert_eq!((last.number, last.hash), (kept[0].link.number, kept[0].link.hash));
        let entry = kept[0].entry.expect("the ledger judges an entry");
        let is_there = links
            .iter()
            .filter_map(Link::entry)
            .any(|entry| entry.identity == part.record.identity);
        assert!(is_there || entry.is_err(), "what was acknowledged is kept: {kept:?}");
        assert_eq!(entry.is_ok(), last.entry().is_some());
    }
    Ok(links)
}
