// SPDX-License-Identifier: Apache-2.0

//! The scenarios: data only.

use provisioning::Huk;
use provisioning::IdentityKeySource::{Driver, Dummy, Generated};
use silicon::faults::Effect::{self, Error, Nothing};
use silicon::faults::{Call, Fault};
use silicon::states::State;
use silicon::{Soc, dest_address, perm_address, value_address};

use crate::Action::{
    self, DeriveFromHuk, EnterProvisioning, Provision, ReadIdentityKey, Restart, WriteHuk,
    WriteIdWord, WriteIdentityKey, WriteRandomIdentityKey,
};
use crate::Scenario;
use crate::Start::{self, ImplementationId, Lifecycle, Word, Zeros};

pub(crate) const ERASED: Start = Start::State(State::Erased);
pub(crate) const PROVISION: &[Action] = &[Provision(Generated)];
/// Halfword that is still erased.
pub(crate) const F: u16 = 0xFFFF;

/// The words of [`crate::IMPLEMENTATION_ID`], which are all the same.
const ID: u32 = 0xFFD1_FFD1;
pub(crate) const ID0: Action = WriteIdWord(0, ID);
pub(crate) const ID1: Action = WriteIdWord(1, ID);
pub(crate) const ID2: Action = WriteIdWord(2, ID);
pub(crate) const ID3: Action = WriteIdWord(3, ID);
pub(crate) const ID4: Action = WriteIdWord(4, ID);
pub(crate) const ID5: Action = WriteIdWord(5, ID);
pub(crate) const ID6: Action = WriteIdWord(6, ID);
pub(crate) const ID7: Action = WriteIdWord(7, ID);
const MKEK: Action = WriteHuk(Huk::Mkek);
const MEXT: Action = WriteHuk(Huk::Mext);
pub(crate) const GO: Action = Provision(Generated);

pub(crate) const fn scenario(
    name: &'static str,
    start: Start,
    actions: &'static [Action],
) -> Scenario {
    Scenario { name, only: None, start, fault: None, cut: None, actions }
}

/// Provisioning of an erased part in which the `nth` of these calls goes wrong.
const fn fault(name: &'static str, call: Call, nth: u32, effect: Effect) -> Scenario {
    let fault = Some(Fault { call, nth, effect });
    Scenario { fault, ..scenario(name, ERASED, PROVISION) }
}

/// The same where the driver generates the identity key.
const fn driver_fault(name: &'static str, call: Call, effect: Effect) -> Scenario {
    Scenario { actions: &[Provision(Driver)], ..fault(name, call, 1, effect) }
}

/// The same on a part whose HUKs take two slots each.
const fn two_slot_fault(name: &'static str, nth: u32, effect: Effect) -> Scenario {
    let all = fault(name, Call::KmuWriteKeySlot, nth, effect);
    Scenario { only: Some(Soc::Nrf5340), ..all }
}

/// Provisioning where a word of a key slot is written already; nothing is locked by it.
const fn taken(name: &'static str, address: u32) -> Scenario {
    scenario(name, Word(address, 0xFFFF_FFFB), PROVISION)
}

const fn dest(slot: u32) -> u32 {
    dest_address(slot)
}

const fn perm(slot: u32) -> u32 {
    perm_address(slot)
}

const fn value(slot: u32, word: u32) -> u32 {
    value_address(slot) + 4 * word
}

/// Every scenario, the same for stand-ins and SDK, on `native_sim` and in QEMU.
pub const SCENARIOS: &[Scenario] = &[
    // An erased part, and each source of its identity key.
    scenario("erased", ERASED, PROVISION),
    scenario("erased, driver's key", ERASED, &[Provision(Driver)]),
    scenario("erased, dummy key", ERASED, &[Provision(Dummy)]),
    // What was provisioned stays as it is.
    scenario("provisioned twice", ERASED, &[Provision(Generated), Provision(Generated)]),
    scenario("PROVISIONING", Start::State(State::Provisioned), PROVISION),
    scenario("SECURED", Start::State(State::Secured), PROVISION),
    scenario("DECOMMISSIONED", Start::State(State::Decommissioned), PROVISION),
    // PROVISIONING, SECURED, padding, DECOMMISSIONED in OTP.
    scenario("bare PROVISIONING", Lifecycle([0, F, F, F]), PROVISION),
    scenario("bare SECURED", Lifecycle([0, 0, F, F]), PROVISION),
    scenario("bare DECOMMISSIONED", Lifecycle([0, 0, F, 0]), PROVISION),
    scenario("MCUboot's provision.hex", Zeros(44), PROVISION),
    scenario("corrupt OTP, half a state", Lifecycle([0x00FF, F, F, F]), PROVISION),
    scenario("corrupt OTP, a bit of SECURED", Lifecycle([0, 0x7FFF, F, F]), PROVISION),
    scenario("corrupt OTP, a bit is left", Lifecycle([0, 0, F, 0x0001]), PROVISION),
    scenario("corrupt OTP, SECURED alone", Lifecycle([F, 0, F, F]), PROVISION),
    scenario("corrupt OTP, DECOMMISSIONED alone", Lifecycle([F, F, F, 0]), PROVISION),
    scenario("corrupt OTP, SECURED skipped", Lifecycle([0, F, F, 0]), PROVISION),
    scenario("padding written", Lifecycle([F, F, 0, F]), PROVISION),
    scenario("start of another ID", ImplementationId([0x5A; 4]), PROVISION),
    scenario("start of the same ID", ImplementationId([0xD1, 0xFF, 0xD1, 0xFF]), PROVISION),
    // Each key slot written already. On nRF91 slots 3 and 5 belong to no key.
    taken("slot 2, DEST written", dest(2)),
    taken("slot 2, PERM written", perm(2)),
    taken("slot 2, first word written", value(2, 0)),
    taken("slot 2, last word written", value(2, 3)),
    taken("slot 3, DEST written", dest(3)),
    taken("slot 3, PERM written", perm(3)),
    taken("slot 3, first word written", value(3, 0)),
    taken("slot 3, last word written", value(3, 3)),
    taken("slot 4, DEST written", dest(4)),
    taken("slot 4, PERM written", perm(4)),
    taken("slot 4, first word written", value(4, 0)),
    taken("slot 4, last word written", value(4, 3)),
    taken("slot 5, DEST written", dest(5)),
    taken("slot 5, PERM written", perm(5)),
    taken("slot 5, first word written", value(5, 0)),
    taken("slot 5, last word written", value(5, 3)),
    taken("slot 6, DEST written", dest(6)),
    taken("slot 6, PERM written", perm(6)),
    taken("slot 6, first word written", value(6, 0)),
    taken("slot 6, last word written", value(6, 3)),
    taken("slot 7, DEST written", dest(7)),
    taken("slot 7, PERM written", perm(7)),
    taken("slot 7, first word written", value(7, 0)),
    taken("slot 7, last word written", value(7, 3)),
    // Each call below the drivers fails, or claims success and does nothing.
    fault("lifecycle not written", Call::HalfwordWrite, 1, Nothing),
    fault("ID's 1st word not written", Call::WordWrite, 1, Nothing),
    fault("ID's 8th word not written", Call::WordWrite, 8, Nothing),
    fault("1st key slot fails", Call::KmuWriteKeySlot, 1, Error),
    fault("2nd key slot fails", Call::KmuWriteKeySlot, 2, Error),
    two_slot_fault("3rd key slot fails", 3, Error),
    two_slot_fault("4th key slot fails", 4, Error),
    fault("1st key slot not written", Call::KmuWriteKeySlot, 1, Nothing),
    fault("2nd key slot not written", Call::KmuWriteKeySlot, 2, Nothing),
    two_slot_fault("3rd key slot not written", 3, Nothing),
    two_slot_fault("4th key slot not written", 4, Nothing),
    fault("MKEK derives nothing", Call::ShadowKeyDerive, 1, Error),
    fault("MEXT derives nothing", Call::ShadowKeyDerive, 2, Error),
    fault("MKEK derives zeros", Call::ShadowKeyDerive, 1, Nothing),
    fault("MEXT derives zeros", Call::ShadowKeyDerive, 2, Nothing),
    fault("MKEK derives zeros at the second look", Call::ShadowKeyDerive, 3, Nothing),
    fault("MEXT derives zeros at the second look", Call::ShadowKeyDerive, 4, Nothing),
    fault("identity key not stored", Call::IdentityKeyStore, 1, Error),
    fault("identity key lost", Call::IdentityKeyStore, 1, Nothing),
    fault("identity key not retrieved", Call::IdentityKeyRetrieve, 1, Error),
    fault("identity key retrieved as zeros", Call::IdentityKeyRetrieve, 1, Nothing),
    fault("identity key retrieved once", Call::IdentityKeyRetrieve, 2, Error),
    fault("identity key retrieved as zeros then", Call::IdentityKeyRetrieve, 2, Nothing),
    fault("no random key", Call::CsrandGet, 1, Error),
    fault("random key of zeros", Call::CsrandGet, 1, Nothing),
    fault("no random MKEK", Call::CsrandGet, 2, Error),
    fault("random MKEK of zeros", Call::CsrandGet, 2, Nothing),
    fault("no random MEXT", Call::CsrandGet, 3, Error),
    fault("random MEXT of zeros", Call::CsrandGet, 3, Nothing),
    fault("no random nonce", Call::CsrandGet, 4, Error),
    fault("random nonce of zeros", Call::CsrandGet, 4, Nothing),
    driver_fault("PSA does not start", Call::PsaCryptoInit, Error),
    driver_fault("PSA generates no key", Call::PsaGenerateKey, Error),
    driver_fault("PSA generates zeros", Call::PsaGenerateKey, Nothing),
    driver_fault("PSA exports no key", Call::PsaExportKey, Error),
    driver_fault("PSA exports nothing", Call::PsaExportKey, Nothing),
    driver_fault("PSA does not destroy", Call::PsaDestroyKey, Error),
    // What a run that was cut off leaves, with the words of the ID of this list.
    scenario("ID whole", ERASED, &[EnterProvisioning, ID0, ID1, ID2, ID3, ID4, ID5, ID6, ID7, GO]),
    scenario("ID half", ERASED, &[EnterProvisioning, ID0, ID1, ID2, ID3, GO]),
    scenario("ID torn", ERASED, &[EnterProvisioning, ID0, WriteIdWord(1, 0xFFFF_FFD1), GO]),
    scenario("ID another", ERASED, &[EnterProvisioning, WriteIdWord(7, 0x5A5A_5A5A), GO]),
    scenario("MKEK whole, ID blank", ERASED, &[EnterProvisioning, MKEK, GO]),
    scenario(
        "MKEK whole",
        ERASED,
        &[EnterProvisioning, ID0, ID1, ID2, ID3, ID4, ID5, ID6, ID7, MKEK, GO],
    ),
    scenario(
        "MEXT whole, MKEK blank",
        ERASED,
        &[EnterProvisioning, ID0, ID1, ID2, ID3, ID4, ID5, ID6, ID7, MEXT, GO],
    ),
    scenario(
        "HUKs whole",
        ERASED,
        &[EnterProvisioning, ID0, ID1, ID2, ID3, ID4, ID5, ID6, ID7, MKEK, MEXT, GO],
    ),
    scenario("dummy key found", ERASED, &[Provision(Dummy), GO]),
    scenario("no dummy key found", ERASED, &[Provision(Driver), Provision(Dummy)]),
    // Drivers out of the procedure's order, for the codes that it never sees.
    scenario("lifecycle set twice", ERASED, &[EnterProvisioning, EnterProvisioning]),
    scenario("lifecycle set back", Lifecycle([0, 0, F, F]), &[EnterProvisioning]),
    scenario("lifecycle of no state set", Lifecycle([F, 0, F, F]), &[EnterProvisioning]),
    scenario("HUKs missing", ERASED, &[DeriveFromHuk(Huk::Mkek), DeriveFromHuk(Huk::Mext)]),
    scenario("HUKs written twice", ERASED, &[MKEK, MEXT, MKEK]),
    scenario(
        "HUKs derive",
        ERASED,
        &[MKEK, MEXT, DeriveFromHuk(Huk::Mkek), DeriveFromHuk(Huk::Mext)],
    ),
    scenario("identity key without MKEK", ERASED, &[WriteIdentityKey, ReadIdentityKey]),
    scenario("random identity key without MKEK", ERASED, &[WriteRandomIdentityKey]),
    scenario("identity key missing", ERASED, &[MKEK, MEXT, ReadIdentityKey]),
    scenario(
        "identity key read",
        ERASED,
        &[MKEK, MEXT, WriteIdentityKey, ReadIdentityKey, ReadIdentityKey],
    ),
    // What silicon refuses.
    scenario("identity key written twice", ERASED, &[Provision(Generated), WriteIdentityKey]),
    scenario(
        "ID written twice",
        ERASED,
        &[Provision(Generated), WriteIdWord(3, 0x5A5A_5A5A), Provision(Generated)],
    ),
];

/// Each of these loses power at each write.
pub const POWER_LOSS: &[Scenario] = &[
    scenario("power lost", ERASED, &[Provision(Generated), Restart, Provision(Generated)]),
    scenario("power lost, driver's key", ERASED, &[Provision(Driver), Restart, Provision(Driver)]),
    scenario("power lost, dummy key", ERASED, &[Provision(Dummy), Restart, Provision(Dummy)]),
];
