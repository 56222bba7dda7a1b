// SPDX-License-Identifier: Apache-2.0

//! What was measured before: a file with an entry a line, and the comparison with its last one.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::civil;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::thousands;

/// By how many percent a total may grow.
pub const TOLERANCE: u64 = 2;

/// One measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, as YYYY-MM-DD.
    pub date: Date,
    /// The commit that was measured, with a `+` where something was changed since.
    pub commit: String,
    /// The board, as west names it. Of [`Figures::Host`], what the station does, and the processor and system on which.
    pub board: String,
    /// The SDK and Zephyr that it was built with; entries without it are of SDK 2.7.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdk: Option<String>,
    /// The compilers that built it.
    pub compilers: Vec<String>,
    /// What was measured.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What is measured of an image, or of the station.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Figures {
    /// Bytes.
    Size {
        /// All of the image.
        flash: u64,
        /// Variables and stacks.
        ram: u64,
        /// Flash by crate, with the sum `flash`.
        crates: BTreeMap<String, u64>,
    },
    /// A run from an erased part to success.
    Bench {
        /// All of the run.
        instructions: u64,
        /// By step, with the sum `instructions`.
        steps: BTreeMap<String, u64>,
        /// The most bytes of the main stack in use.
        stack: u64,
        /// All bytes of the main stack.
        stack_size: u64,
    },
    /// One thing that the station does, on the machine in place of a board.
    Host {
        /// All that it takes.
        instructions: u64,
        /// By crate, with the sum `instructions`.
        crates: BTreeMap<String, u64>,
    },
}

impl Figures {
    /// Their name in the file.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Size { .. } => "size",
            Self::Bench { .. } => "bench",
            Self::Host { .. } => "host",
        }
    }

    /// What must not grow.
    fn totals(&self) -> BTreeMap<String, u64> {
        let totals = match *self {
            Self::Size { flash, ram, .. } => vec![("flash", flash), ("RAM", ram)],
            Self::Bench { instructions, stack, .. } => {
                vec![("instructions", instructions), ("stack", stack)]
            }
            Self::Host { instructions, .. } => vec![("instructions", instructions)],
        };
        totals.into_iter().map(|(name, figure)| (String::from(name), figure)).collect()
    }

    /// What the first total is made of.
    const fn parts(&self) -> &BTreeMap<String, u64> {
        match self {
            Self::Size { crates, .. } | Self::Host { crates, .. } => crates,
            Self::Bench { steps, .. } => steps,
        }
    }

    fn is_sum(&self) -> bool {
        let (Self::Size { flash: total, .. }
        | Self::Bench { instructions: total, .. }
        | Self::Host { instructions: total, .. }) = self;
        let parts = self.parts().values();
        parts.copied().try_fold(0, u64::checked_add) == Some(*total)
    }
}

/// A day of the Gregorian calendar, written as YYYY-MM-DD and in no other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date(civil::Date);

/// A text that is no [`Date`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{0}\" is no date, write it as YYYY-MM-DD")]
pub struct DateError(String);

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        // jiff takes other forms of ISO 8601, too.
        let date = text.parse().ok().filter(|date: &civil::Date| date.to_string() == text);
        date.map(Self).ok_or_else(|| DateError(String::from(text)))
    }
}

impl TryFrom<String> for Date {
    type Error = DateError;

    fn try_from(text: String) -> Result<Self, DateError> {
        text.parse()
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A history that was read.
pub struct History {
    path: PathBuf,
    text: String,
    entries: Vec<Entry>,
}

/// Why a history cannot be used. It was left alone.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// It cannot be read.
    #[error(
        "cannot read the history {path}: {1}. Check it out again; an empty file begins a new one.",
        path = .0.display()
    )]
    Unreadable(PathBuf, #[source] io::Error),
    /// A line of it is not as it was written.
    #[error("{path}, line {1}: {2}. The file was left alone; check it out again.", path = .0.display())]
    Damaged(PathBuf, usize, #[source] LineError),
    /// It cannot be written.
    #[error("cannot write the history {path}: {1}. It is as it was.", path = .0.display())]
    Unwritable(PathBuf, #[source] io::Error),
}

/// Why a line is not an entry.
#[derive(Debug, Error)]
pub enum LineError {
    /// It has no end.
    #[error("the line is cut")]
    Cut,
    /// It has another form.
    #[error(transparent)]
    Form(#[from] serde_json::Error),
    /// Its figures contradict each other.
    #[error("the parts are not the sum of the total")]
    Sum,
}

impl History {
    /// Reads all of it.
    ///
    /// # Errors
    /// If it is not there, or any line of it is damaged.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let text = fs::read_to_string(path)
            .map_err(|error| HistoryError::Unreadable(path.to_owned(), error))?;
        let entries = text
            .split_inclusive('\n')
            .zip(1..)
            .map(|(line, number)| {
                entry(line).map_err(|what| HistoryError::Damaged(path.to_owned(), number, what))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { path: path.to_owned(), text, entries })
    }

    /// The last entry of this kind and board.
    #[must_use]
    pub fn last(&self, kind: &str, board: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.figures.kind() == kind && entry.board == board)
    }

    /// Appends `entries`: afterwards the file has all of them, or is as it was.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), HistoryError> {
        let mut text = self.text.clone();
        let written = entries.iter().try_for_each(|entry| {
            text.push_str(&serde_json::to_string(entry)?);
            text.push('\n');
            Ok(())
        });
        let written = written.and_then(|()| {
            // In the same folder, or it could not be renamed.
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
            file.write_all(text.as_bytes())?;
            // Nobody but the owner may read a temporary file.
            file.as_file().set_permissions(fs::metadata(&self.path)?.permissions())?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            Ok(())
        });
        written.map_err(|error| HistoryError::Unwritable(self.path.clone(), error))?;
        self.text = text;
        self.entries.extend_from_slice(entries);
        Ok(())
    }
}

fn entry(line: &str) -> Result<Entry, LineError> {
    let line = line.strip_suffix('\n').ok_or(LineError::Cut)?;
    let entry: Entry = serde_json::from_str(line)?;
    if entry.figures.is_sum() { Ok(entry) } else { Err(LineError::Sum) }
}

/// A figure that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Of which total, crate or step.
    pub name: String,
    /// What it was, 0 if it was not there.
    pub old: u64,
    /// What it is, 0 if it is no more.
    pub new: u64,
}

impl Change {
    /// By how much it has grown.
    #[must_use]
    pub fn growth(&self) -> i128 {
        i128::from(self.new) - i128::from(self.old)
    }

    /// Whether it has grown by more than [`TOLERANCE`].
    #[must_use]
    pub fn is_too_much(&self) -> bool {
        u128::from(self.new) * 100 > u128::from(self.old) * u128::from(100 + TOLERANCE)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, old, new } = self;
        let sign = if new < old { '-' } else { '+' };
        let by = new.abs_diff(*old);
        write!(f, "{name}: ")?;
        match (old, new) {
            (0, _) => write!(f, "new, {}", thousands(*new)),
            (_, 0) => write!(f, "gone, was {}", thousands(*old)),
            _ => {
                let percent = u128::from(by) * 10_000 / u128::from(*old);
                write!(f, "{} to {} ({sign}{}, ", thousands(*old), thousands(*new), thousands(by))?;
                write!(f, "{sign}{}.{:02} %)", percent / 100, percent % 100)
            }
        }
    }
}

/// What has changed between two entries of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Flash and RAM, or instructions and stack, or instructions.
    pub totals: Vec<Change>,
    /// Crates or steps, the largest growth first.
    pub parts: Vec<Change>,
}

impl Comparison {
    /// Whether a total has grown by more than [`TOLERANCE`]. Parts may, for others shrink.
    #[must_use]
    pub fn is_too_much(&self) -> bool {
        self.totals.iter().any(Change::is_too_much)
    }
}

/// Compares figures of one kind.
#[must_use]
pub fn compare(old: &Figures, new: &Figures) -> Comparison {
    Comparison {
        totals: changes(&old.totals(), &new.totals()),
        parts: changes(old.parts(), new.parts()),
    }
}

/// What differs, the largest growth first.
fn changes(old: &BTreeMap<String, u64>, new: &BTreeMap<String, u64>) -> Vec<Change> {
    let figure = |figures: &BTreeMap<_, _>, name| figures.get(name).copied().unwrap_or_default();
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    let mut changes: Vec<_> = new
        .keys()
        .chain(gone)
        .map(|name| Change { name: name.clone(), old: figure(old, name), new: figure(new, name) })
        .filter(|change| change.growth() != 0)
        .collect();
    changes.sort_by_key(|change| (-change.growth(), change.name.clone()));
    changes
}
