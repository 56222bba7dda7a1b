// SPDX-License-Identifier: Apache-2.0

//! A file in the place of the ledger.

use std::fs;
use std::path::Path;

use station::export::{DEFAULT_MAX_BYTES, Options, Profile, export};
use station::ledger::{GENESIS, Ledger, LedgerError, NewEntry, Receipt, Row};
use station::record::{self, Wanted};
use tempfile::TempDir;

use crate::corpus;

/// What a write-ahead log begins with: sqlite.org/fileformat2.html, section 4.1.
const LOG: [[u8; 4]; 2] = [[0x37, 0x7F, 0x06, 0x82], [0x37, 0x7F, 0x06, 0x83]];

/// The file is refused, or its problems are found, or it is a ledger whose entries are a chain of records that
/// parts have signed. Where it may be written to, the same holds after an append.
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

/// The entries, if an audit finds nothing to complain of.
fn read(path: &Path) -> Result<Option<Vec<Row>>, LedgerError> {
    let ledger = Ledger::open(path)?;
    let mut rows = Vec::new();
    let audit = ledger.walk::<LedgerError>(None, check_record, |found| {
        rows.extend(found.row.cloned());
        Ok(())
    })?;
    for problem in &audit.problems {
        assert!(!problem.to_string().is_empty());
    }
    if !audit.is_clean() {
        assert!(!audit.problems.is_empty());
        return Ok(None);
    }
    assert_eq!(audit.entries, rows.len() as u64);
    assert_eq!(ledger.head()?, audit.head);

    let mut last = Receipt { number: 0, hash: GENESIS };
    for row in &rows {
        assert!(
            corpus::parts().iter().any(|part| part.record.identity == row.identity),
            "no part has signed this: {row:?}"
        );
        assert_eq!((row.number, row.previous), (last.number + 1, last.hash), "the chain");
        assert_eq!(row.hash, row.computed_hash());
        last = Receipt { number: row.number, hash: row.hash };
    }
    assert_eq!(last, audit.head);
    if let Some(first) = rows.first() {
        // The head of a ledger that begins like this one is in it, and no other is.
        assert!(ledger.audit(Some(first.hash), |_| Ok(()), |_| ())?.is_clean());
        assert!(!ledger.audit(Some([0xA5; 32]), |_| Ok(()), |_| ())?.is_clean());
        let options = Options {
            profile: Profile::Psa2025,
            head: last.hash,
            vendor: None,
            model: None,
            max_bytes: DEFAULT_MAX_BYTES,
        };
        let files = export(&options, rows.iter().map(|row| row.identity)).expect("an export");
        assert_eq!(files.iter().map(|files| files.parts).sum::<usize>(), rows.len());
    }
    Ok(Some(rows))
}

/// What the command `audit` checks of each entry.
fn check_record(row: &Row) -> Result<(), String> {
    let wanted = Wanted { allow_dummy: true, ..Wanted::default() };
    match record::verify(&row.record, &wanted) {
        Ok(record) if record.identity == row.identity => Ok(()),
        Ok(_) => Err(String::from("of another part")),
        Err(error) => Err(error.to_string()),
    }
}

/// Appends the last part of the corpus, and reads the ledger again.
fn append(path: &Path) -> Result<Option<Vec<Row>>, LedgerError> {
    let part = corpus::parts().last().expect("there are parts");
    let entry = NewEntry {
        identity: part.record.identity,
        port: String::from("/dev/ttyACM9"),
        record: part.bytes.clone(),
    };
    let mut ledger = Ledger::open_or_create(path)?;
    let answers = ledger.append(&[entry])?;
    assert_eq!(answers.len(), 1);
    let rows = read(path)?;
    if let Some(rows) = &rows {
        let kept = rows.iter().any(|row| row.identity == part.record.identity);
        assert!(kept, "what was acknowledged is kept: {answers:?}");
    }
    Ok(rows)
}
