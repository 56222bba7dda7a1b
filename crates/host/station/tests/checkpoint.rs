// SPDX-License-Identifier: Apache-2.0

//! Checkpoints: a ledger that was rolled back, forked, exchanged or is not signed does not agree with them.

mod common;

use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base16ct::lower::encode_string as hex;
use common::edits::tamper;
use common::{attempt, audited, enter, entry, links};
use jiff::Timestamp;
use station::clock::Clock;
use station::ledger::{
    Checkpoint, CheckpointProblem, Ledger, LedgerError, New, Origin, Receipt, head_file_of,
};
use station::note::{self, Verifier};
use station::station_key::StationKey;
use tempfile::TempDir;

/// A ledger that is signed, in a folder of its own, with the file of its key and that of its checkpoint.
struct Signed {
    _folder: TempDir,
    path: PathBuf,
    key: PathBuf,
    file: PathBuf,
}

impl Signed {
    /// With this key, and without links.
    fn with(key: &StationKey, batch: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [path, key_file, file] =
            ["ledger.db", "station.key", "checkpoint"].map(|name| folder.path().join(name));
        key.write(&key_file).unwrap();
        let origin = Origin {
            station_key: Some(key.public()),
            batch: batch.map(str::to_owned),
            continues: None,
        };
        Ledger::begin(&path, None, &origin).unwrap();
        Self { _folder: folder, path, key: key_file, file }
    }

    fn new() -> Self {
        Self::with(&StationKey::generate().unwrap(), None)
    }

    fn key(&self) -> StationKey {
        StationKey::read(&self.key).unwrap()
    }

    /// Opens it as a station does.
    fn open(&self) -> Result<Ledger, LedgerError> {
        let mut ledger = Ledger::open_or_create(&self.path)?;
        ledger.set_signer(self.key(), Some(&self.file))?;
        Ok(ledger)
    }

    /// Enters these parts, with a checkpoint behind them.
    fn enter(&self, parts: impl IntoIterator<Item = u8>) {
        let mut ledger = self.open().unwrap();
        enter(&mut ledger, &common::entries(parts)).unwrap();
        ledger.finish().unwrap();
    }

    fn note(&self) -> Vec<u8> {
        fs::read(&self.file).unwrap()
    }

    /// What the ledger that is there now says of a checkpoint.
    fn check(&self, note: &[u8]) -> Result<Checkpoint, CheckpointProblem> {
        Ledger::open(&self.path).unwrap().check_checkpoint(note).unwrap()
    }

    /// The checkpoint's link.
    fn signed(&self) -> u64 {
        self.check(&self.note()).unwrap().head.number
    }
}

/// Puts a copy of a ledger back, with nothing beside it.
fn restore(path: &Path, copy: &[u8]) {
    for end in ["-wal", "-shm", "-head"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(end);
        let _ = fs::remove_file(PathBuf::from(beside));
    }
    fs::write(path, copy).unwrap();
}

#[test]
fn a_checkpoint_is_the_signed_head() {
    let signed = Signed::new();
    signed.open().unwrap().finish().unwrap();
    let ledger = Ledger::open(&signed.path).unwrap();
    let origin = ledger.origin().unwrap();
    assert_eq!(origin.name(), format!("station-ledger/{}", hex(&origin.hash())));
    let name = origin.name();
    let empty = Checkpoint { name: name.clone(), head: Receipt { number: 0, hash: origin.hash() } };
    assert_eq!(signed.check(&signed.note()), Ok(empty));
    drop(ledger);

    signed.enter([1, 2]);
    let head = Ledger::open(&signed.path).unwrap().head().unwrap();
    assert_eq!(head.number, 4);
    let checkpoint = Checkpoint { name: name.clone(), head };
    assert_eq!(signed.check(&signed.note()), Ok(checkpoint.clone()));
    let note = String::from_utf8(signed.note()).unwrap();
    assert_eq!(note, checkpoint.sign(&signed.key()));
    let lines: Vec<_> = note.lines().collect();
    assert_eq!(lines[..2], [&name, "4"]);
    assert_eq!((lines[2].len(), lines[3]), (44, ""));
    assert!(lines[4].starts_with(&format!("\u{2014} {name} ")), "{note}");
    // And the library's own.
    let mut ledger = signed.open().unwrap();
    assert_eq!(ledger.checkpoint(head), Some(note));
    // It still agrees when the ledger has gone on.
    enter(&mut ledger, &[entry(3)]).unwrap();
    assert_eq!(signed.check(checkpoint.sign(&signed.key()).as_bytes()), Ok(checkpoint));
}

/// C2SP's example of a checkpoint has the form that is read here; its public key is not published with it.
#[test]
fn a_text_of_another_form_is_no_checkpoint() {
    let key = StationKey::generate().unwrap();
    let name = "example.com/behind-the-sofa";
    let verifier = Verifier::new(name, &key.public()).unwrap();
    let open = |text: &str| Checkpoint::open(note::sign(text, name, &key).as_bytes(), &verifier);
    let text = format!("{name}\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n");
    let checkpoint = open(&text).unwrap();
    assert_eq!((&checkpoint.name[..], checkpoint.head.number), (name, 20_852_163));
    assert_eq!(checkpoint.sign(&key), note::sign(&text, name, &key));
    assert_eq!(open(&format!("{text}more\n")).unwrap(), checkpoint);
    for bad in [
        "\n",
        &text.replace(name, ""),
        &text.replace(name, "example.com/another"),
        &text.replace("2085", "02085"),
        &text.replace("2085", "+2085"),
        &text.replace("20852163", "99999999999999999999"),
        &text.replace("CsUY", ""),
        &text.replace("CsUY", "CsUYCsUY"),
        &text.replace("q2I=", "q2I"),
        &text.replace("q2I=", "q2J="),
        &format!("{text}\nmore\n"),
        &format!("{text}more\n\n"),
        &format!("{name}\n20852163\n"),
    ] {
        assert_eq!(open(bad), Err(CheckpointProblem::NotACheckpoint), "{bad:?}");
    }
    // The example itself, which is of another key.
    let example = format!(
        "{text}\n\u{2014} {name} Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE\
         +xeMcTOAYQ8=\n"
    );
    let opened = Checkpoint::open(example.as_bytes(), &verifier);
    assert_eq!(opened, Err(CheckpointProblem::Unsigned));
}

#[test]
fn a_ledger_that_was_rolled_back_is_found() {
    let signed = Signed::new();
    signed.enter([1, 2]);
    let copy = fs::read(&signed.path).unwrap();
    signed.enter([3]);
    let note = signed.note();
    restore(&signed.path, &copy);
    assert!(
        audited(&Ledger::open(&signed.path).unwrap()).0.is_clean(),
        "this is what cannot be seen"
    );
    assert_eq!(signed.check(&note), Err(CheckpointProblem::RolledBack(4, 6)));
    // Nor does the station go on with it, or sign it.
    let error = signed.open().unwrap_err();
    assert!(
        matches!(error, LedgerError::Checkpoint(_, _, CheckpointProblem::RolledBack(4, 6))),
        "{error:?}"
    );
    assert!(error.is_loss());
    assert_eq!(signed.note(), note);
}

#[test]
fn a_ledger_that_was_forked_is_found() {
    let signed = Signed::new();
    signed.enter([1, 2]);
    let (copy, at_4) = (fs::read(&signed.path).unwrap(), signed.note());
    signed.enter([3]);
    let note = signed.note();
    // Another part in the place of the last one, and more behind it.
    restore(&signed.path, &copy);
    fs::remove_file(&signed.file).unwrap();
    signed.enter([4, 5]);
    assert!(signed.check(&signed.note()).is_ok());
    assert!(signed.check(&at_4).is_ok(), "of before the fork");
    assert_eq!(signed.check(&note), Err(CheckpointProblem::Forked(6)));
    fs::write(&signed.file, &note).unwrap();
    let error = signed.open().unwrap_err();
    assert!(
        matches!(error, LedgerError::Checkpoint(_, _, CheckpointProblem::Forked(6))),
        "{error:?}"
    );
    assert!(error.is_loss());
}

#[test]
fn a_checkpoint_of_another_ledger_is_found() {
    let signed = Signed::new();
    signed.enter([1]);
    // Of another station, and of another batch of this one.
    let others = [Signed::new(), Signed::with(&signed.key(), Some("lot 8"))];
    for other in &others {
        other.enter([1]);
        let name = Ledger::open(&other.path).unwrap().origin().unwrap().name();
        let expected = Err(CheckpointProblem::OtherLedger(name.clone()));
        assert_eq!(signed.check(&other.note()), expected);
        fs::copy(&other.file, &signed.file).unwrap();
        let error = signed.open().unwrap_err();
        assert!(
            matches!(&error, LedgerError::Checkpoint(_, _, CheckpointProblem::OtherLedger(found)) if *found == name)
        );
        assert!(error.is_loss());
        assert_eq!(signed.note(), other.note(), "nothing was written over");
    }
    // A ledger without a key.
    let keyless = Signed::new();
    fs::remove_file(&keyless.path).unwrap();
    fs::remove_file(head_file_of(&keyless.path)).unwrap_or(());
    enter(&mut Ledger::open_or_create(&keyless.path).unwrap(), &[entry(1)]).unwrap();
    assert_eq!(keyless.check(&others[0].note()), Err(CheckpointProblem::NoKey));
    let error = keyless.open().unwrap_err();
    assert!(matches!(error, LedgerError::NoStationKey(_)), "{error:?}");
}

#[test]
fn a_checkpoint_that_the_station_has_not_signed_is_found() {
    let signed = Signed::new();
    signed.enter([1]);
    let checkpoint = signed.check(&signed.note()).unwrap();
    let stranger = StationKey::generate().unwrap();
    let forged = checkpoint.sign(&stranger);
    assert_eq!(signed.check(forged.as_bytes()), Err(CheckpointProblem::Unsigned));
    let head = Receipt { number: 1, ..checkpoint.head };
    let other = Checkpoint { head, ..checkpoint.clone() }.sign(&signed.key());
    let (note, other) = (String::from_utf8(signed.note()).unwrap(), other);
    // The text of one with the signature of the other.
    let (text, _) = other.split_once("\n\n").unwrap();
    let (_, signature) = note.split_once("\n\n").unwrap();
    let mixed = format!("{text}\n\n{signature}");
    assert_eq!(signed.check(mixed.as_bytes()), Err(CheckpointProblem::BadSignature));
    for bad in ["", "x", &note[..note.len() - 1]] {
        assert_eq!(signed.check(bad.as_bytes()), Err(CheckpointProblem::NotACheckpoint), "{bad:?}");
        fs::write(&signed.file, bad).unwrap();
        let error = signed.open().unwrap_err();
        assert!(matches!(error, LedgerError::Checkpoint(_, _, CheckpointProblem::NotACheckpoint)));
        assert_eq!(
            fs::read_to_string(&signed.file).unwrap(),
            bad,
            "a file of something else stays"
        );
    }
    // A witness beside it says nothing, and is no fault.
    let (_, more) = forged.split_once("\n\n").unwrap();
    assert_eq!(signed.check(format!("{note}{more}").as_bytes()), Ok(checkpoint));
}

#[test]
fn the_key_must_be_that_of_the_ledger() {
    let signed = Signed::new();
    let mut ledger = Ledger::open_or_create(&signed.path).unwrap();
    let error = ledger.set_signer(StationKey::generate().unwrap(), None).unwrap_err();
    assert!(matches!(error, LedgerError::OtherStationKey(_)), "{error:?}");
    ledger.set_signer(signed.key(), None).unwrap();
    // Without a file nothing is written.
    enter(&mut ledger, &[entry(1)]).unwrap();
    ledger.finish().unwrap();
    assert!(!signed.file.exists());
    let debug = format!("{ledger:?}");
    assert!(debug.contains("Signer") && !debug.to_lowercase().contains("secret"), "{debug}");
}

/// A clock whose other time stands still until it is told to go on.
#[derive(Clone, Debug)]
struct Standing(Arc<Mutex<Instant>>);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn instant(&self) -> Instant {
        *self.0.lock().unwrap()
    }
}

#[test]
fn a_checkpoint_is_written_at_most_once_a_second_and_at_the_end() {
    let signed = Signed::new();
    let clock = Standing(Arc::new(Mutex::new(Instant::now())));
    let mut ledger = signed.open().unwrap();
    ledger.set_clock(Arc::new(clock.clone()), false);
    let mut enter = |part, milliseconds| {
        *clock.0.lock().unwrap() += Duration::from_millis(milliseconds);
        enter(&mut ledger, &[entry(part)]).unwrap();
        signed.signed()
    };
    assert_eq!(enter(1, 0), 2, "the first at once");
    assert_eq!(enter(2, 0), 2);
    assert_eq!(enter(3, 999), 2);
    assert_eq!(enter(4, 1), 8);
    assert_eq!(enter(5, 500), 8);
    // An attempt is not synced, and not signed.
    ledger.append(&[New::Attempt(attempt("port"))]).unwrap();
    assert_eq!(ledger.head().unwrap().number, 11);
    ledger.finish().unwrap();
    assert_eq!(signed.signed(), 10);
}

#[test]
fn an_older_checkpoint_is_not_written_over_a_later_one() {
    let signed = Signed::new();
    let mut early = signed.open().unwrap();
    enter(&mut early, &[entry(1)]).unwrap();
    enter(&mut early, &[entry(2)]).unwrap(); // within a second, so it waits
    // Another program, a replacement for example, signs more meanwhile.
    signed.enter([3]);
    assert_eq!(signed.signed(), 6);
    early.finish().unwrap();
    assert_eq!(signed.signed(), 6);
}

/// A disk that is gone stops the line, as that of the head file does.
#[test]
fn a_checkpoint_that_cannot_be_written_is_an_error() {
    let signed = Signed::new();
    let mut ledger = Ledger::open_or_create(&signed.path).unwrap();
    let file = signed.path.parent().unwrap().join("gone/checkpoint");
    fs::create_dir(file.parent().unwrap()).unwrap();
    ledger.set_signer(signed.key(), Some(&file)).unwrap();
    fs::remove_dir(file.parent().unwrap()).unwrap();
    let error = enter(&mut ledger, &[entry(1)]).unwrap_err();
    assert!(matches!(&error, LedgerError::Io(found, _) if *found == file), "{error:?}");
    // As documented, what was appended is there.
    assert_eq!(links(&ledger).len(), 2);
}

/// What a person with the ledger's file but without the key can do to a whole ledger.
#[test]
fn an_origin_that_was_made_anew_has_another_name() {
    let signed = Signed::new();
    signed.enter([1]);
    let note = signed.note();
    let origin = Ledger::open(&signed.path).unwrap().origin().unwrap();
    let other = Origin { batch: Some(String::from("x")), ..origin };
    let mut previous = other.hash();
    let mut edit = format!("UPDATE origin SET batch = 'x', hash = x'{}';", hex(&previous));
    for mut link in links(&Ledger::open(&signed.path).unwrap()) {
        link.previous = previous;
        let anew = link.computed_hash();
        let (before, hash) = (hex(&previous), hex(&anew));
        let number = link.number;
        write!(
            edit,
            "UPDATE links SET previous = x'{before}', hash = x'{hash}' WHERE number = {number};"
        )
        .unwrap();
        previous = anew;
    }
    tamper(&signed.path, &edit);
    assert!(
        audited(&Ledger::open(&signed.path).unwrap()).0.is_clean(),
        "this is what cannot be seen"
    );
    assert!(matches!(signed.check(&note), Err(CheckpointProblem::OtherLedger(_))));
}

/// A station that is killed leaves a whole checkpoint, of a link that is there.
#[test]
fn a_kill_leaves_no_checkpoint_ahead_of_the_ledger() {
    let signed = Signed::new();
    let mut last = 0;
    for kill in 0..30 {
        let mut station = Command::new(env!("CARGO_BIN_EXE_station"))
            .args(["provision", "--simulate", "1000000", "--json"])
            .arg("--ledger")
            .arg(&signed.path)
            .arg("--key")
            .arg(&signed.key)
            .arg("--checkpoint")
            .arg(&signed.file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(station.stdout.take().unwrap());
        let mut line = String::new();
        // A checkpoint is written before the first part is reported.
        for _ in 0..=kill % 5 {
            assert!(stdout.read_line(&mut line).unwrap() > 0, "the station has ended by itself");
        }
        station.kill().unwrap();
        station.wait().unwrap();
        let number = signed.signed();
        assert!(number > last, "link {number} after {last}");
        last = number;
    }
}
