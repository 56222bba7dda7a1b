// SPDX-License-Identifier: Apache-2.0

//! Each write reaches the device file as it happens, so a run that dies leaves just what it wrote.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use provisioning::{Config, IdentityKeySource, Written};
use silicon::power::{Cut, Reach};
use silicon::{Backing, Silicon, Soc};
use simulator::device_file::{DeviceFile, soc_of};
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
            assert_eq!(
                soc_of(&page).map(|(soc, _)| soc),
                (writes > 0).then_some(soc),
                "{soc}, {writes}"
            );
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

/// A lifecycle state that is torn may not tell, but nothing tells the wrong part.
#[test]
fn no_torn_write_makes_a_part_look_like_the_other() {
    for soc in Soc::ALL {
        let mut write = 0;
        loop {
            write += 1;
            let mut part = Silicon::erased(soc, [9; 32]);
            part.cut(Cut { write, reach: Reach::Torn(7 * write) });
            let (part, result) = run(part, &config(), |_| ());
            if result.is_ok() {
                break;
            }
            let told = soc_of(part.page()).map(|(soc, _)| soc);
            assert!(
                told == Some(soc) || (write == 1 && told.is_none()),
                "{soc}, {write}: {told:?}"
            );
        }
        assert!(write > 20);
    }
}

#[test]
fn a_page_that_could_be_of_either_part_tells_none() {
    let told = |words: &[(usize, u32)]| {
        let mut page = [0xFFFF_FFFF; silicon::UICR_WORDS];
        for (index, word) in words {
            page[*index] = *word;
        }
        soc_of(&page)
    };
    let otp = |soc| Some((soc, "the lifecycle state in OTP"));
    let slots = |soc| Some((soc, "the destinations of its HUKs"));
    // The first word of each part's OTP is 0x40 or 0x42; that of slot 2 is 0x104.
    for (words, expected) in [
        (&[][..], None),
        (&[(0, 0x50FA_50FA)], None),
        (&[(0x40, 0xFFFF_FFFE)], otp(Soc::Nrf5340)),
        (&[(0x41, 0x0000_FFFF)], otp(Soc::Nrf5340)),
        (&[(0x42, 0xFFFF_0000)], otp(Soc::Nrf9160)),
        (&[(0x42, 0)], otp(Soc::Nrf9160)),
        (&[(0x42, 0), (0x43, 0x0000_FFFF)], otp(Soc::Nrf9160)),
        // What an implementation ID of an nRF5340 in ASSEMBLY may be.
        (&[(0x42, 0xAAAA_AAAA), (0x43, 0xAAAA_AAAA)], None),
        (&[(0x42, 0xFFFF_0000), (0x43, 0xAAAA_AAAA)], None),
        (&[(0x42, 0), (0x43, 0)], None),
        (&[(0x104, 0x5084_5400)], slots(Soc::Nrf5340)),
        (&[(0x106, 0x5084_5410)], slots(Soc::Nrf5340)),
        (&[(0x108, 0x5084_5400)], slots(Soc::Nrf5340)),
        (&[(0x10A, 0x5084_5410)], slots(Soc::Nrf5340)),
        (&[(0x104, 0x5084_1400)], slots(Soc::Nrf9160)),
        (&[(0x108, 0x5084_1400)], slots(Soc::Nrf9160)),
        (&[(0x104, 0xFFFF_FFFE)], None),
        (&[(0x102, 0x5084_5400)], None), // slot 1 is no HUK's
        // Both at once.
        (&[(0x104, 0x5084_5400), (0x108, 0x5084_1400)], None),
        (&[(0x40, 0xFFFF_0000), (0x104, 0x5084_1400)], None),
        (&[(0x42, 0xFFFF_0000), (0x104, 0x5084_5400)], None),
    ] {
        assert_eq!(told(words), expected, "{words:x?}");
    }
}
