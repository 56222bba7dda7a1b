// SPDX-License-Identifier: Apache-2.0

//! Checkpoints: the head of a ledger, signed by its station, to be kept elsewhere. A ledger that was rolled back or
//! written anew does not agree with them.
//!
//! A checkpoint is a signed note in the form of <https://c2sp.org/tlog-checkpoint>: a line that names the ledger, the
//! number of its links, and the hash of the last one in base64. The name is `station-ledger/` and the hash of the
//! [`Origin`] in hexadecimal digits, so that it stands for the station key, the batch and the ledger that is continued;
//! the signature has the same name. What the third line has is the head of a chain and not the root of a Merkle tree: who
//! asks for proofs of consistency between two checkpoints needs the links between them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base16ct::lower::encode_string as hex;
use base64ct::{Base64, Encoding};
use thiserror::Error;

use super::head::write_whole;
use super::{Ledger, LedgerError, Origin, Receipt, absolute, head};
use crate::note::{self, NoteError, Verifier};
use crate::station_key::StationKey;

/// What the name of a ledger begins with.
const NAME: &str = "station-ledger/";

/// A checkpoint is written at most so often while a station appends: to write it costs a sync of the disk, as each group
/// of parts does. The head beside the ledger has every part; a checkpoint that is a second behind is a good one.
const EVERY: Duration = Duration::from_secs(1);

/// The head of a ledger, in the form in which it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the ledger.
    pub name: String,
    /// Its last link; where there is none, number 0 and the hash of its origin.
    pub head: Receipt,
}

/// What is wrong with a checkpoint, or with its ledger.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CheckpointProblem {
    /// The ledger has no station key, so nobody signs it.
    #[error(
        "the ledger has no station key, so this checkpoint is not of it. Name the ledger that the station has signed; \
         one that is signed from now on begins with station init --continues"
    )]
    NoKey,
    /// It is something else.
    #[error(
        "this is not a checkpoint, or it is damaged. Name the file that provision --checkpoint has written"
    )]
    NotACheckpoint,
    /// It is of a ledger of this name.
    #[error(
        "this is the checkpoint of another ledger, {}: another one was put in the place of the ledger, or the wrong \
         file was named. Compare the name with the verifier key that station init has printed",
        .0.escape_debug()
    )]
    OtherLedger(String),
    /// It is not signed by the station of the ledger.
    #[error(
        "the checkpoint is not signed by the station key of this ledger, so it proves nothing. Take the checkpoint from \
         where it was kept first"
    )]
    Unsigned,
    /// The signature is wrong.
    #[error(
        "the signature of the checkpoint is wrong, so someone has changed it, or it is damaged. Take the checkpoint \
         from where it was kept first"
    )]
    BadSignature,
    /// The ledger ends with the first link, and the station has signed the second.
    #[error(
        "the ledger ends with link {0}, and its station has signed link {1}: links were taken off its end, or this is \
         an older copy. Stop the line, keep the file, and put the last ledger back"
    )]
    RolledBack(u64, u64),
    /// The link of this number is not the one that was signed.
    #[error(
        "link {0} is not the one that the station has signed: the ledger was written anew from this link or one before \
         it. Stop the line, keep the file, and restore the ledger from a backup"
    )]
    Forked(u64),
}

impl Origin {
    /// The name of the ledger in its checkpoints.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{NAME}{}", hex(&self.hash()))
    }

    /// Who signs the ledger: `None` where it has no station key.
    #[must_use]
    pub fn verifier(&self) -> Option<Verifier> {
        Verifier::new(&self.name(), self.station_key.as_ref()?)
    }
}

impl Checkpoint {
    /// Its text, with the last line end.
    fn text(&self) -> String {
        let Self { name, head } = self;
        format!("{name}\n{}\n{}\n", head.number, Base64::encode_string(&head.hash))
    }

    /// Its note, signed in the name of the ledger.
    #[must_use]
    pub fn sign(&self, key: &StationKey) -> String {
        note::sign(&self.text(), &self.name, key)
    }

    /// What a text says, with lines behind it that say more.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (name, number) = (lines.next()?.to_owned(), lines.next()?);
        let mut hash = [0; 32];
        let length = Base64::decode(lines.next()?, &mut hash).ok()?.len();
        let parsed = Self { name, head: Receipt { number: number.parse().ok()?, hash } };
        // No other way to write a number is one.
        let is_whole = length == 32
            && parsed.head.number.to_string() == number
            && !parsed.name.is_empty()
            && lines.all(|line| !line.is_empty());
        is_whole.then_some(parsed)
    }

    /// What a note says that this verifier has signed.
    ///
    /// # Errors
    /// It is no checkpoint, or not signed by the verifier.
    pub fn open(note: &[u8], verifier: &Verifier) -> Result<Self, CheckpointProblem> {
        let text = verifier.open(note).map_err(|error| match error {
            NoteError::NotANote => CheckpointProblem::NotACheckpoint,
            NoteError::BadSignature => CheckpointProblem::BadSignature,
            NoteError::Unsigned => match unverified(note) {
                None => CheckpointProblem::NotACheckpoint,
                Some(Self { name, .. }) if name != verifier.name() => {
                    CheckpointProblem::OtherLedger(name)
                }
                Some(_) => CheckpointProblem::Unsigned,
            },
        })?;
        Self::parse(text)
            .filter(|checkpoint| checkpoint.name == verifier.name())
            .ok_or(CheckpointProblem::NotACheckpoint)
    }
}

/// What a note says, whoever has signed it.
fn unverified(note: &[u8]) -> Option<Checkpoint> {
    Checkpoint::parse(note::unverified_text(note)?)
}

/// Who signs a ledger while it is open, and where the checkpoints go.
pub(super) struct Signer {
    key: StationKey,
    verifier: Verifier,
    file: Option<PathBuf>,
    /// A head that is kept, and not signed.
    waiting: Option<Receipt>,
    /// When the last checkpoint was written.
    written: Option<Instant>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

impl Signer {
    /// Takes the head that was just kept. One program at a time may do so.
    pub(super) fn take(&mut self, head: Receipt, now: Instant) -> Result<(), LedgerError> {
        self.waiting = Some(head);
        let is_due = self.written.is_none_or(|written| now.duration_since(written) >= EVERY);
        if is_due { self.write(now) } else { Ok(()) }
    }

    fn write(&mut self, now: Instant) -> Result<(), LedgerError> {
        let (Some(file), Some(head)) = (&self.file, self.waiting) else { return Ok(()) };
        let io = |error| LedgerError::Io(file.clone(), error);
        let there = read(file)?.and_then(|note| unverified(&note));
        // Another program may have signed more.
        if there.is_none_or(|there| there.head.number <= head.number) {
            let checkpoint = Checkpoint { name: self.verifier.name().to_owned(), head };
            write_whole(file, &checkpoint.sign(&self.key)).map_err(io)?;
        }
        (self.waiting, self.written) = (None, Some(now));
        Ok(())
    }
}

/// What stands in the file of a checkpoint, if there is one.
fn read(file: &Path) -> Result<Option<Vec<u8>>, LedgerError> {
    match fs::read(file) {
        Ok(note) => Ok(Some(note)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::Io(file.to_owned(), error)),
    }
}

impl Ledger {
    /// Has this key sign the ledger, and the last checkpoint be written to the file, at most once a second and by
    /// [`Ledger::finish`].
    ///
    /// # Errors
    /// It is not the key of the ledger, or the file cannot be read, or has a checkpoint that does not agree with the
    /// ledger.
    pub fn set_signer(&mut self, key: StationKey, file: Option<&Path>) -> Result<(), LedgerError> {
        let origin = self.origin()?;
        let Some(verifier) = origin.verifier() else {
            return Err(LedgerError::NoStationKey(self.path.clone()));
        };
        if origin.station_key != Some(key.public()) {
            return Err(LedgerError::OtherStationKey(self.path.clone()));
        }
        let file = file.map(absolute).transpose()?;
        if let Some(file) = &file
            && let Some(note) = read(file)?
            && let Err(problem) = self.check_checkpoint(&note)?
        {
            return Err(LedgerError::Checkpoint(self.path.clone(), file.clone(), problem));
        }
        let waiting = Some(self.kept_head()?);
        self.signer = Some(Signer { key, verifier, file, waiting, written: None });
        Ok(())
    }

    /// The last link that outlives a loss of power, and was acknowledged or may be: that beside the ledger.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn kept_head(&self) -> Result<Receipt, LedgerError> {
        let kept = self.head_files.first().map(|file| head::read(file)).transpose()?.flatten();
        let genesis = self.format.genesis(&self.connection).map_err(|error| self.error(error))?;
        Ok(kept.unwrap_or(Receipt { number: 0, hash: genesis }))
    }

    /// A checkpoint of this head, signed by the key of [`Ledger::set_signer`]; `None` where there is none.
    #[must_use]
    pub fn checkpoint(&self, head: Receipt) -> Option<String> {
        let Signer { key, verifier, .. } = self.signer.as_ref()?;
        Some(Checkpoint { name: verifier.name().to_owned(), head }.sign(key))
    }

    /// Writes the checkpoint of what was kept since the last one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(&mut self) -> Result<(), LedgerError> {
        self.alone(|ledger| match &mut ledger.signer {
            Some(signer) => signer.write(ledger.clock.instant()),
            None => Ok(()),
        })
    }

    /// Whether a checkpoint is signed by the station of this ledger, and its head is in the chain, which is known where
    /// an audit is good.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn check_checkpoint(
        &self,
        note: &[u8],
    ) -> Result<Result<Checkpoint, CheckpointProblem>, LedgerError> {
        let Some(verifier) = self.origin()?.verifier() else {
            return Ok(Err(CheckpointProblem::NoKey));
        };
        let checkpoint = match Checkpoint::open(note, &verifier) {
            Ok(checkpoint) => checkpoint,
            Err(problem) => return Ok(Err(problem)),
        };
        let Receipt { number, hash } = checkpoint.head;
        Ok(match self.hash_at(number)? {
            Some(found) if found == hash => Ok(checkpoint),
            Some(_) => Err(CheckpointProblem::Forked(number)),
            None => Err(CheckpointProblem::RolledBack(self.head()?.number, number)),
        })
    }
}
