// SPDX-License-Identifier: Apache-2.0

//! Each write reaches the device file as it happens, so a run that dies leaves just what it wrote.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use provisioning::{Config, IdentityKeySource, Written};
use silicon::{Backing, Silicon, Soc};
use simulator::device_file::DeviceFile;
use simulator::run;

/// A device file that takes so many words, and then nothing more.
struct Dying {
    file: DeviceFile,
    left: usize,
    stored: Rc<Cell<usize>>,
}

impl Backing for Dying {
    fn store(&mut self, offset: usize, word: u32) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
        self.file.store(offset, word)?;
        self.stored.set(self.stored.get() + 1);
        Ok(())
    }
}

fn config() -> Config {
    Config::new("C7".repeat(32).parse().unwrap(), IdentityKeySource::Generated)
}

/// Provisions the part in `path`, which dies after `writes` words; `None` if that was the whole run.
fn provision_until(path: &Path, soc: Soc, writes: usize) -> Option<usize> {
    let mut file = DeviceFile::open_or_create(path).unwrap();
    let page = file.read().unwrap();
    let stored = Rc::new(Cell::new(0));
    let dying = Dying { file, left: writes, stored: Rc::clone(&stored) };
    let part = Silicon::with_page(soc, [9; 32], page).with_backing(Box::new(dying));
    let (_, result) = run(part, &config(), |_| ());
    result.is_err().then_some(stored.get())
}

#[test]
fn a_run_that_dies_leaves_what_it_wrote_and_is_not_taken_for_a_good_one() {
    let folder = tempfile::tempdir().unwrap();
    for soc in Soc::ALL {
        let whole = folder.path().join(format!("{soc}.bin"));
        assert_eq!(provision_until(&whole, soc, usize::MAX), None);
        let whole = DeviceFile::open(&whole).unwrap().read().unwrap();

        let mut previous = [0xFFFF_FFFF; silicon::UICR_WORDS];
        let mut writes = 0;
        loop {
            let path = folder.path().join(format!("{soc}-{writes}.bin"));
            let Some(stored) = provision_until(&path, soc, writes) else { break };
            assert_eq!(stored, writes, "the run went on after its death");
            let page = DeviceFile::open(&path).unwrap().read().unwrap();
            let changed = page.iter().zip(&previous).filter(|(new, old)| new != old).count();
            assert!(changed <= 1, "write {writes} changed {changed} words");
            assert!(page.iter().zip(&whole).all(|(word, end)| word & end == *end));
            previous = page;

            let part = Silicon::with_page(soc, [10; 32], page);
            let (part, result) = run(part, &config(), |_| ());
            if let Err(failure) = result {
                assert_eq!(failure.written, Written::Nothing);
                assert_eq!(*part.page(), page);
            }
            writes += 1;
        }
        // Lifecycle, 8 words of implementation ID, 6 words for each slot of two HUKs and the key.
        let slots = 2 * usize::try_from(soc.slots_per_huk()).unwrap() + 2;
        assert_eq!(writes, 1 + 8 + 6 * slots);
    }
}
