// SPDX-License-Identifier: Apache-2.0

//! The differential test: the stand-in drivers on the host and the SDK's own drivers in a Zephyr image do the same
//! things to a part, and the results are compared line by line and word by word.
//!
//! [`SCENARIOS`] is the list. `tests/differential` of the application runs it on the SDK's drivers, and
//! compares with what the host gave while that image was built.
#![no_std]

#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "std")]
pub mod host;
mod list;
#[cfg(seed_keys)]
mod seed;
#[cfg(seed_keys)]
mod seed_list;
#[cfg(stored_keys)]
mod stored;

use core::fmt::{self, Display};

use provisioning::{
    Config, Device, DriverError, Huk, HukSize, IdentityKeySource, ImplementationId, KeyCheckValue,
    provision,
};
use silicon::faults::Fault;
use silicon::power::Cut;
use silicon::states::{State, Writes};
use silicon::{Family, IllegalAccess, Silicon, Soc, nvmc};

pub use list::{POWER_LOSS, SCENARIOS};
#[cfg(seed_keys)]
pub use seed_list::{SEED_POWER_LOSS, SEED_SCENARIOS, SEED_WRITES};

/// The implementation ID with which scenarios provision.
pub const IMPLEMENTATION_ID: ImplementationId =
    id("D1FFD1FFD1FFD1FFD1FFD1FFD1FFD1FFD1FFD1FFD1FFD1FFD1FFD1FFD1FFD1FF");

const fn id(text: &str) -> ImplementationId {
    match ImplementationId::from_hex(text) {
        Ok(id) => id,
        Err(_) => panic!("not an implementation ID"),
    }
}

/// The seed of every scenario's part.
pub const SEED: [u8; 32] = [0xD1; 32];
const SEED_AFTER_RESTART: [u8; 32] = [0xD2; 32];

/// How long the HUKs of a part are.
///
/// # Panics
/// Never: the modelled parts have HUKs of 128 or 256 bits.
#[must_use]
pub const fn huk_size(soc: Soc) -> HukSize {
    HukSize::from_bits(8 * soc.huk_size()).expect("HUKs of 128 or 256 bits")
}

/// What is done to a part, and from where it begins.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Unique, but for the cut.
    pub name: &'static str,
    /// The only part for which it makes sense; most are for every part.
    pub only: Option<Soc>,
    /// What the part holds before.
    pub start: Start,
    /// Which call goes wrong.
    pub fault: Option<Fault>,
    /// Where power is lost.
    pub cut: Option<Cut>,
    /// What is done to it, in order.
    pub actions: &'static [Action],
}

/// What a part holds before the first action.
#[derive(Clone, Copy, Debug)]
pub enum Start {
    /// That of a modelled state.
    State(State),
    /// Erased but for the lifecycle halfwords PROVISIONING, SECURED, padding and DECOMMISSIONED; where they are words, each
    /// is the halfword twice.
    Lifecycle([u16; 4]),
    /// Erased but for the first bytes of the implementation ID.
    ImplementationId([u8; 4]),
    /// Erased but for one word.
    Word(u32, u32),
    /// Erased but for so many bytes of zeros from the lifecycle on.
    Zeros(u32),
    /// A key slot of an nRF54L15 holds this: value, destination, metadata, policy.
    #[cfg(seed_keys)]
    Slot(u32, [u32; 7]),
}

/// One thing that is done to the part, through the bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The whole procedure.
    Provision(IdentityKeySource),
    /// `Device::enter_provisioning`
    EnterProvisioning,
    /// `Device::write_implementation_id_word`
    WriteIdWord(u32, u32),
    /// `Device::write_huk`, with a key that is always the same
    WriteHuk(Huk),
    /// `Device::derive_from_huk`
    DeriveFromHuk(Huk),
    /// `Device::write_identity_key`, with a key that is always the same
    WriteIdentityKey,
    /// `Device::write_random_identity_key`
    WriteRandomIdentityKey,
    /// `Device::read_identity_key`
    ReadIdentityKey,
    /// The whole procedure, on a part with a seed, which completes a torn one
    ProvisionCompleting,
    /// `SeedDevice::write_seed`, with a seed that is always the same
    WriteSeed,
    /// `SeedDevice::complete_seed`, with a seed that is always the same
    CompleteSeed,
    /// `SeedDevice::public_identity_key`
    ExportPublicKey,
    /// `SeedDevice::sign`
    Sign,
    /// Power comes back; the generator's noise is another one
    Restart,
}

/// The drivers of one family of parts.
pub trait UnderTest: Device {
    /// Does what the drivers of this family alone can.
    ///
    /// # Errors
    /// The driver's error.
    ///
    /// # Panics
    /// It is nothing for this family.
    fn act(
        &mut self,
        action: Action,
        line: &mut impl FnMut(&dyn Display),
    ) -> Result<(), DriverError>;
}

impl Scenario {
    /// The scenarios for one part: those of the list, and provisioning with each source of the identity
    /// key that loses power at each write in each of three ways, and is begun again.
    pub fn for_part(soc: Soc) -> impl Iterator<Item = Self> {
        let (listed, power_loss, writes) = match soc.family() {
            Family::CryptoCell => (SCENARIOS, POWER_LOSS, Writes::of(soc).identity_key),
            #[cfg(seed_keys)]
            Family::Cracen => (SEED_SCENARIOS, SEED_POWER_LOSS, SEED_WRITES),
        };
        let cuts = power_loss.iter().flat_map(move |scenario| {
            (1..=writes).flat_map(Cut::at).map(|cut| Self { cut: Some(cut), ..*scenario })
        });
        let listed = listed.iter().copied();
        listed.filter(move |scenario| scenario.only.is_none_or(|only| only == soc)).chain(cuts)
    }

    /// Brings an erased part to where the scenario begins.
    ///
    /// # Errors
    /// The part was not erased.
    pub fn prepare(&self, part: &mut Silicon) -> Result<(), IllegalAccess> {
        let storage = part.soc().bl_storage();
        // Bytes of a lifecycle field.
        let field = match part.soc().family() {
            Family::CryptoCell => 2,
            #[cfg(seed_keys)]
            Family::Cracen => 4,
        };
        match self.start {
            Start::State(state) => state.apply(part)?,
            Start::Lifecycle(halfwords) => {
                for (address, value) in (storage..).step_by(field as usize).zip(halfwords) {
                    match value {
                        0xFFFF => {}
                        _ if field == 2 => nvmc::halfword_write(part, address, value),
                        _ => nvmc::word_write(part, address, u32::from(value) * 0x1_0001),
                    }
                }
            }
            Start::ImplementationId(bytes) => {
                nvmc::words_write(part, storage + 4 * field, [u32::from_le_bytes(bytes)]);
            }
            Start::Zeros(size) => nvmc::words_write(part, storage, (0..size / 4).map(|_| 0)),
            Start::Word(address, value) => {
                let first = part.soc().uicr_base();
                part.page_mut()[(address - first) as usize / 4] = value;
            }
            #[cfg(seed_keys)]
            Start::Slot(slot, words) => {
                part.key_store_mut()[7 * slot as usize..][..7].copy_from_slice(&words);
            }
        }
        if let Some(fault) = self.fault {
            part.arm(fault);
        }
        if let Some(cut) = self.cut {
            part.cut(cut);
        }
        part.illegal_access().map_or(Ok(()), Err)
    }

    /// Runs the actions, a line or more each. `with_part` lends the part that is under `device`.
    pub fn run(
        &self,
        device: &mut impl UnderTest,
        mut with_part: impl FnMut(fn(&mut Silicon)),
        mut line: impl FnMut(&dyn Display),
    ) {
        for action in self.actions {
            if *action == Action::Restart {
                with_part(|part| part.restart(SEED_AFTER_RESTART));
            } else {
                action.run(device, &mut line);
            }
        }
    }

    /// Describes the part when the actions are done.
    pub fn conclude(&self, part: &Silicon, mut line: impl FnMut(&dyn Display)) {
        match part.illegal_access() {
            Some(access) => line(&format_args!("illegal access: {access}")),
            None => line(&"no illegal access"),
        }
        if part.is_armed() {
            line(&"the armed fault did not strike");
        }
        line(&format_args!("{} writes", part.writes()));
    }
}

impl Action {
    fn run(self, device: &mut impl UnderTest, line: &mut impl FnMut(&dyn Display)) {
        let result = match self {
            Self::Provision(_) | Self::ProvisionCompleting => {
                let source = match self {
                    Self::Provision(source) => source,
                    _ => IdentityKeySource::Generated,
                };
                let complete_seed = self == Self::ProvisionCompleting;
                let config = Config { complete_seed, ..Config::new(IMPLEMENTATION_ID, source) };
                match provision(device, &config, |event| line(&event)) {
                    Ok(part) => {
                        line(&format_args!("public key {}", Hex(part.public_key().as_bytes())));
                        match part.success() {
                            Ok(success) => line(&success),
                            Err(failure) => line(&failure),
                        }
                    }
                    Err(failure) => line(&failure),
                }
                return;
            }
            Self::Restart => return, // not the device's to do
            Self::EnterProvisioning => device.enter_provisioning(),
            Self::WriteIdWord(index, word) => device.write_implementation_id_word(index, word),
            Self::DeriveFromHuk(huk) => {
                let mut value = KeyCheckValue::empty();
                let result = device.derive_from_huk(huk, &mut value);
                line(&format_args!("derived {}", Hex(value.expose_mut())));
                result
            }
            special => device.act(special, line),
        };
        match result {
            Ok(()) => line(&format_args!("{self:?}: done")),
            Err(error) => line(&Refused(self, error)),
        }
    }
}

impl Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        self.cut.map_or(Ok(()), |cut| write!(f, ", cut {cut}"))
    }
}

struct Refused(Action, DriverError);

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: driver error {}", self.0, self.1)
    }
}

/// Bytes as hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What the host gave for a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The lines.
    pub lines: &'static [&'static str],
    /// Place and value of each word that is not erased, in the order of a device file.
    pub words: &'static [(usize, u32)],
}
