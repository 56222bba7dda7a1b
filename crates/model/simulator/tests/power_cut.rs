// SPDX-License-Identifier: Apache-2.0

//! Each write reaches the device file as it happens, so a run that dies leaves just what it wrote.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use provisioning::{Config, IdentityKeySource, Written};
use silicon::power::{Cut, Reach};
use silicon::states::Writes;
use silicon::{Backing, ERASED, Silicon, Soc, UICR_WORDS};
use simulator::device_file::{DeviceFile, soc_of};
use simulator::{run, testing};

/// A device file that takes so many words and no more.
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
    testing::config(IdentityKeySource::Generated)
}

/// Provisions the part in `path`, which dies after `writes` words; `None` if that was the whole run.
fn provision_until(path: &Path, soc: Soc, writes: usize) -> Option<usize> {
    let mut file = DeviceFile::open_or_create(path, silicon::Family::CryptoCell).unwrap();
    let page = file.read().unwrap().page;
    let stored = Rc::new(Cell::new(0));
    let dying = Dying { file, left: writes, stored: Rc::clone(&stored) };
    let part = Silicon::with_page(soc, [9; 32], page).with_backing(Box::new(dying));
    let (_, result) = run(part, &config(), |_| ());
    result.is_err().then_some(stored.get())
}

#[test]
fn a_run_that_dies_leaves_what_it_wrote_and_is_not_taken_for_a_good_one() {
    let folder = tempfile::tempdir().unwrap();
    for soc in Soc::CRYPTOCELL {
        let whole = folder.path().join(format!("{soc}.bin"));
        assert_eq!(provision_until(&whole, soc, usize::MAX), None);
        let whole = DeviceFile::open(&whole).unwrap().read().unwrap().page;

        let mut previous = [ERASED; UICR_WORDS];
        let mut writes = 0;
        loop {
            let path = folder.path().join(format!("{soc}-{writes}.bin"));
            let Some(stored) = provision_until(&path, soc, writes) else { break };
            assert_eq!(stored, writes, "the run went on after its death");
            let page = DeviceFile::open(&path).unwrap().read().unwrap().page;
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
        // DEST of the identity key's two slots reaches the file as well, though no bit of it changes.
        assert_eq!(writes, usize::try_from(Writes::of(soc).identity_key + 2).unwrap());
    }
}

/// A torn lifecycle state may show no part, but nothing shows the wrong one.
#[test]
fn no_torn_write_makes_a_part_look_like_the_other() {
    for soc in Soc::CRYPTOCELL {
        let mut write = 0;
        loop {
            write += 1;
            let mut part = Silicon::erased(soc, [9; 32]);
            part.cut(Cut { write, reach: Reach::Torn(7 * write) });
            let (part, result) = run(part, &config(), |_| ());
            if result.is_ok() {
                break;
            }
            let found = soc_of(part.page()).map(|(soc, _)| soc);
            assert!(
                found == Some(soc) || (write == 1 && found.is_none()),
                "{soc}, {write}: {found:?}"
            );
        }
        assert!(write > 20);
    }
}

/// Which part an erased page with these words shows, each an index and a value. The first word of an nRF5340's OTP is
/// 0x40, that of an nRF91's 0x42; DEST of slot 2 is 0x104.
fn shown(words: &[(usize, u32)]) -> Option<(Soc, &'static str)> {
    let mut page = [ERASED; UICR_WORDS];
    for (index, word) in words {
        page[*index] = *word;
    }
    soc_of(&page)
}

#[test]
fn an_erased_page_shows_no_part() {
    assert_eq!(shown(&[]), None);
}

#[test]
fn a_register_shows_no_part() {
    assert_eq!(shown(&[(0, 0x50FA_50FA)]), None);
}

#[test]
fn the_lifecycle_shows_the_part() {
    let by_otp = |soc| Some((soc, "the lifecycle state in OTP"));
    assert_eq!(shown(&[(0x40, 0xFFFF_FFFE)]), by_otp(Soc::Nrf5340));
    assert_eq!(shown(&[(0x41, 0x0000_FFFF)]), by_otp(Soc::Nrf5340));
    assert_eq!(shown(&[(0x42, 0xFFFF_0000)]), by_otp(Soc::Nrf9160));
    assert_eq!(shown(&[(0x42, 0)]), by_otp(Soc::Nrf9160));
    assert_eq!(shown(&[(0x42, 0), (0x43, 0x0000_FFFF)]), by_otp(Soc::Nrf9160));
}

#[test]
fn an_implementation_id_is_not_taken_for_a_lifecycle() {
    // That of an nRF5340 in ASSEMBLY lies where an nRF91 has its lifecycle.
    assert_eq!(shown(&[(0x42, 0xAAAA_AAAA), (0x43, 0xAAAA_AAAA)]), None);
    assert_eq!(shown(&[(0x42, 0xFFFF_0000), (0x43, 0xAAAA_AAAA)]), None);
    assert_eq!(shown(&[(0x42, 0), (0x43, 0)]), None);
}

#[test]
fn the_destination_of_a_huk_shows_the_part() {
    let by_slots = |soc| Some((soc, "the destinations of its HUKs"));
    assert_eq!(shown(&[(0x104, 0x5084_5400)]), by_slots(Soc::Nrf5340));
    assert_eq!(shown(&[(0x106, 0x5084_5410)]), by_slots(Soc::Nrf5340));
    assert_eq!(shown(&[(0x108, 0x5084_5400)]), by_slots(Soc::Nrf5340));
    assert_eq!(shown(&[(0x10A, 0x5084_5410)]), by_slots(Soc::Nrf5340));
    assert_eq!(shown(&[(0x104, 0x5084_1400)]), by_slots(Soc::Nrf9160));
    assert_eq!(shown(&[(0x108, 0x5084_1400)]), by_slots(Soc::Nrf9160));
}

#[test]
fn another_destination_shows_no_part() {
    assert_eq!(shown(&[(0x104, 0xFFFF_FFFE)]), None);
    assert_eq!(shown(&[(0x102, 0x5084_5400)]), None, "slot 1 is of no HUK");
}

#[test]
fn a_page_that_contradicts_itself_shows_no_part() {
    assert_eq!(shown(&[(0x104, 0x5084_5400), (0x108, 0x5084_1400)]), None);
    assert_eq!(shown(&[(0x40, 0xFFFF_0000), (0x104, 0x5084_1400)]), None);
    assert_eq!(shown(&[(0x42, 0xFFFF_0000), (0x104, 0x5084_5400)]), None);
}
