// SPDX-License-Identifier: Apache-2.0

//! A modelled part in a file: its UICR page as a raw image of 4 KiB, words little-endian, the byte at offset 0 being the
//! first one of UICR. Behind it an nRF54L15 has its key slots, so the size tells the family of a part.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use silicon::{
    Backing, ERASED, Family, KEY_STORE_WORDS, Memory, Soc, UICR_BASE, UICR_SIZE, UICR_WORDS,
    dest_address,
};
use thiserror::Error;

/// A device file. No other process can open it while it is open here.
#[derive(Debug)]
pub struct DeviceFile {
    path: PathBuf,
    file: File,
    family: Family,
}

/// Why a device file cannot be used. The file is left as it is.
#[derive(Debug, Error)]
pub enum DeviceFileError {
    /// The operating system refuses.
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// Another run has it.
    #[error("{0}: another run is using it")]
    InUse(PathBuf),
    /// Its size in bytes, which is not that of a part.
    #[error(
        "{0}: {1} bytes is not a UICR image, which has {UICR_SIZE}, or {SEED_PART_SIZE} for an nRF54L15; the file was \
         left alone"
    )]
    Size(PathBuf, u64),
}

/// Bytes that are kept of an nRF54L15.
const SEED_PART_SIZE: usize = UICR_SIZE + 4 * KEY_STORE_WORDS;

/// Bytes that are kept of a part.
const fn size_of(family: Family) -> usize {
    match family {
        Family::CryptoCell => UICR_SIZE,
        Family::Cracen => SEED_PART_SIZE,
    }
}

impl DeviceFile {
    /// Opens the file, and creates it erased where it is missing: a part of this family.
    ///
    /// # Errors
    /// The file cannot be opened, another run has it, or no part has its size.
    pub fn open_or_create(path: &Path, family: Family) -> Result<Self, DeviceFileError> {
        let io = |error| DeviceFileError::Io(path.to_owned(), error);
        if !path.try_exists().map_err(io)? {
            // Filled before it gets its name, so that a killed run leaves a whole file or none.
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let mut new =
                tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(io)?;
            new.write_all(&vec![0xFF; size_of(family)]).map_err(io)?;
            match new.persist_noclobber(path) {
                Ok(_) => {}
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io(error.error)),
            }
        }
        Self::open(path)
    }

    /// Opens a file that is there.
    ///
    /// # Errors
    /// The file cannot be opened, another run has it, or no part has its size.
    pub fn open(path: &Path) -> Result<Self, DeviceFileError> {
        let io = |error| DeviceFileError::Io(path.to_owned(), error);
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DeviceFileError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let size = file.metadata().map_err(io)?.len();
        let mut families = [Family::CryptoCell, Family::Cracen].into_iter();
        match families.find(|family| size == size_of(*family) as u64) {
            Some(family) => Ok(Self { path: path.to_owned(), file, family }),
            None => Err(DeviceFileError::Size(path.to_owned(), size)),
        }
    }

    /// Which family the part in the file is of.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// What the part in the file keeps.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&mut self) -> Result<Memory, DeviceFileError> {
        let mut bytes = vec![0; size_of(self.family)];
        self.at(0)
            .and_then(|file| file.read_exact(&mut bytes))
            .map_err(|error| DeviceFileError::Io(self.path.clone(), error))?;
        let mut memory = Memory::ERASED;
        let words = memory.page.iter_mut().chain(&mut memory.key_store);
        for (word, bytes) in words.zip(bytes.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Ok(memory)
    }

    /// ERASEALL, as far as it reaches UICR and key slots.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn erase(&mut self) -> Result<(), DeviceFileError> {
        let erased = vec![0xFF; size_of(self.family)];
        self.at(0)
            .and_then(|file| file.write_all(&erased))
            .map_err(|error| DeviceFileError::Io(self.path.clone(), error))
    }

    fn at(&mut self, offset: usize) -> io::Result<&mut File> {
        self.file.seek(SeekFrom::Start(offset as u64))?;
        Ok(&mut self.file)
    }
}

/// Which part with a CryptoCell a UICR page is of, and what in it shows that; `None` where it may be of either, as an
/// erased one may.
///
/// OTP begins two words earlier on an nRF5340, and a run writes the lifecycle state before all else. The key
/// slots of a HUK name the register to which they are pushed.
#[must_use]
pub fn soc_of(page: &[u32; UICR_WORDS]) -> Option<(Soc, &'static str)> {
    let words = |address: u32| &page[((address - UICR_BASE) / 4) as usize..];
    let [nrf5340, nrf9160] = [Soc::Nrf5340, Soc::Nrf9160].map(|soc| &words(soc.otp_base())[..2]);
    let by_otp = if nrf5340 != [ERASED; 2] {
        Some(Soc::Nrf5340)
    } else if [[0xFFFF_0000, ERASED], [0, ERASED], [0, 0x0000_FFFF]]
        .iter()
        .any(|state| nrf9160 == state)
    {
        // PROVISIONING, SECURED, DECOMMISSIONED. On an nRF5340 an implementation ID would have to begin so, in a
        // part without a lifecycle state.
        Some(Soc::Nrf9160)
    } else {
        None
    };
    // MKEK and MEXT begin at slots 2 and 4.
    let by_slots = |soc: Soc| {
        (0..soc.slots_per_huk()).any(|index| {
            let register = soc.aes_key_register(index);
            [2, 4].iter().any(|slot| words(dest_address(slot + index))[0] == register)
        })
    };
    let why = |soc| match (by_otp == Some(soc), by_slots(soc)) {
        (true, _) => Some("the lifecycle state in OTP"),
        (_, true) => Some("the destinations of its HUKs"),
        _ => None,
    };
    match Soc::CRYPTOCELL.map(|soc| why(soc).map(|why| (soc, why))) {
        [found, None] | [None, found] => found,
        _ => None, // both
    }
}

impl Backing for DeviceFile {
    /// One write per word, straight to the operating system: what a killed run has written stays.
    fn store(&mut self, offset: usize, word: u32) -> io::Result<()> {
        self.at(offset)?.write_all(&word.to_le_bytes())
    }
}
