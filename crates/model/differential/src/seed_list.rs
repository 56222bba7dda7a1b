// SPDX-License-Identifier: Apache-2.0

//! The scenarios of parts with a seed: data only.

use provisioning::Huk;
use silicon::faults::Effect::{self, Error, Nothing};
use silicon::faults::{Call, Fault};
use silicon::states::State;

use crate::Action::{
    CompleteSeed, DeriveFromHuk, EnterProvisioning, ExportPublicKey, ProvisionCompleting, Restart,
    Sign, WriteIdWord, WriteSeed,
};
use crate::Scenario;
use crate::Start::{self, ImplementationId, Lifecycle, Slot, Zeros};
use crate::list::{ERASED, F, GO, ID0, ID1, ID2, ID3, ID4, ID5, ID6, ID7, PROVISION, scenario};

const NONE: u32 = 0xFFFF_FFFF;

/// Provisioning of an erased part in which the `nth` of these calls goes wrong, and once more after a restart.
const fn fault(name: &'static str, call: Call, nth: u32, effect: Effect) -> Scenario {
    let fault = Some(Fault { call, nth, effect });
    Scenario { fault, ..scenario(name, ERASED, &[GO, Restart, GO]) }
}

/// Provisioning, and completing, of a part with one key slot written.
const fn taken(name: &'static str, slot: u32, dest: u32, metadata: u32, policy: u32) -> Scenario {
    // No key for the leak search, which would find it in this list.
    let words = [0x11, 0x22, 0x33, 0x44, dest, metadata, policy];
    scenario(name, Slot(slot, words), &[GO, ProvisionCompleting, WriteSeed, CompleteSeed])
}

const ROTATING: u32 = 1;
const LOCKED: u32 = 2;
const REVOKED: u32 = 0;

/// How many writes a run takes: lifecycle and implementation ID; the driver's own two slots and the seed's three, each
/// behind a note that is taken back.
pub const SEED_WRITES: u32 = 1 + 8 + (7 + 7 + 6 + 7) + (7 + 7 + 6 + 6 + 7);

/// Every scenario, the same for stand-ins and SDK, on `native_sim` and in QEMU.
pub const SEED_SCENARIOS: &[Scenario] = &[
    scenario("erased", ERASED, PROVISION),
    // What was provisioned stays as it is.
    scenario("provisioned twice", ERASED, &[GO, GO]),
    scenario("provisioned and restarted", ERASED, &[GO, Restart, GO]),
    scenario("PROVISIONING", Start::State(State::Provisioned), PROVISION),
    scenario("SECURED", Start::State(State::Secured), PROVISION),
    scenario("DECOMMISSIONED", Start::State(State::Decommissioned), PROVISION),
    // PROVISIONING, SECURED, padding, DECOMMISSIONED in OTP.
    scenario("bare PROVISIONING", Lifecycle([0, F, F, F]), PROVISION),
    scenario("bare SECURED", Lifecycle([0, 0, F, F]), PROVISION),
    scenario("bare DECOMMISSIONED", Lifecycle([0, 0, F, 0]), PROVISION),
    scenario("zeros over lifecycle and ID", Zeros(48), PROVISION),
    scenario("corrupt OTP, half a state", Lifecycle([0x00FF, F, F, F]), PROVISION),
    scenario("corrupt OTP, a bit of SECURED", Lifecycle([0, 0x7FFF, F, F]), PROVISION),
    scenario("corrupt OTP, SECURED alone", Lifecycle([F, 0, F, F]), PROVISION),
    scenario("corrupt OTP, DECOMMISSIONED alone", Lifecycle([F, F, F, 0]), PROVISION),
    scenario("corrupt OTP, SECURED skipped", Lifecycle([0, F, F, 0]), PROVISION),
    scenario("padding written", Lifecycle([F, F, 0, F]), PROVISION),
    scenario("start of another ID", ImplementationId([0x5A; 4]), PROVISION),
    scenario("start of the same ID", ImplementationId([0xD1, 0xFF, 0xD1, 0xFF]), PROVISION),
    // A key slot written already: of the seed, as the driver writes it and otherwise, the note, and the driver's own.
    taken("slot 183 written", 183, 0x5004_8410, 0x0150_0010, LOCKED),
    taken("slot 183 revoked", 183, NONE, NONE, REVOKED),
    taken("slot 184 written", 184, 0x5004_8420, NONE, LOCKED),
    taken("slot 184 revoked", 184, NONE, NONE, REVOKED),
    taken("slot 185 written", 185, 0x5004_8430, NONE, LOCKED),
    taken("slot 185 that can be revoked", 185, 0x5004_8430, NONE, ROTATING),
    taken("note of a seed", 186, 0, 0xB703, ROTATING),
    taken("note of another key", 186, 0, 0x1402, ROTATING),
    scenario(
        "note of the driver's own slots",
        Slot(186, [0, 0, 0, 0, 0, 0xF802, ROTATING]),
        &[ExportPublicKey, GO],
    ),
    taken("note revoked", 186, NONE, NONE, REVOKED),
    taken("note locked", 186, 0, 0xB703, LOCKED),
    taken("slot 248 alone", 248, 0x5181_0040, 0x02C0_0000, ROTATING),
    taken("slot 248 revoked", 248, NONE, NONE, REVOKED),
    taken("slot 249 alone", 249, 0x5181_0050, NONE, ROTATING),
    // Each call below the drivers fails, or claims success and does nothing. The driver's own slots come first: a note,
    // two slots, the note taken back; then the seed's.
    fault("lifecycle not written", Call::WordWrite, 1, Nothing),
    fault("ID's 1st word refused", Call::OtpWordWrite, 1, Error),
    fault("ID's 8th word refused", Call::OtpWordWrite, 8, Error),
    fault("ID's 1st word not written", Call::OtpWordWrite, 1, Nothing),
    fault("ID's 8th word not written", Call::OtpWordWrite, 8, Nothing),
    fault("driver's note fails", Call::KmuProvision, 1, Error),
    fault("driver's 1st slot fails", Call::KmuProvision, 2, Error),
    fault("driver's 2nd slot fails", Call::KmuProvision, 3, Error),
    fault("seed's note fails", Call::KmuProvision, 4, Error),
    fault("seed's 1st slot fails", Call::KmuProvision, 5, Error),
    fault("seed's 2nd slot fails", Call::KmuProvision, 6, Error),
    fault("seed's 3rd slot fails", Call::KmuProvision, 7, Error),
    fault("driver's note not written", Call::KmuProvision, 1, Nothing),
    fault("driver's 1st slot not written", Call::KmuProvision, 2, Nothing),
    fault("driver's 2nd slot not written", Call::KmuProvision, 3, Nothing),
    fault("seed's note not written", Call::KmuProvision, 4, Nothing),
    fault("seed's 1st slot not written", Call::KmuProvision, 5, Nothing),
    fault("seed's 2nd slot not written", Call::KmuProvision, 6, Nothing),
    fault("seed's 3rd slot not written", Call::KmuProvision, 7, Nothing),
    fault("driver's note cannot be taken back", Call::KmuRevoke, 1, Error),
    fault("seed's note cannot be taken back", Call::KmuRevoke, 2, Error),
    fault("driver's note not taken back", Call::KmuRevoke, 1, Nothing),
    fault("seed's note not taken back", Call::KmuRevoke, 2, Nothing),
    // A derivation is of three CMACs.
    fault("MKEK derives nothing", Call::IkgCmac, 1, Error),
    fault("MKEK derives half", Call::IkgCmac, 3, Error),
    fault("MEXT derives nothing", Call::IkgCmac, 4, Error),
    fault("MKEK derives zeros first", Call::IkgCmac, 2, Nothing),
    fault("MEXT derives zeros then", Call::IkgCmac, 6, Nothing),
    fault("MKEK derives another value at the second look", Call::IkgCmac, 7, Nothing),
    fault("MEXT derives another value at the second look", Call::IkgCmac, 10, Nothing),
    fault("no public key", Call::IkgPublicKey, 1, Error),
    fault("public key of zeros", Call::IkgPublicKey, 1, Nothing),
    fault("no public key at the second look", Call::IkgPublicKey, 2, Error),
    fault("public key of zeros at the second look", Call::IkgPublicKey, 2, Nothing),
    fault("no signature", Call::IkgSign, 1, Error),
    fault("signature of zeros", Call::IkgSign, 1, Nothing),
    fault("no random numbers for the driver", Call::CsrandGet, 1, Error),
    // What the driver has on its stack where no numbers come, it writes to its own slots: nothing to compare.
    fault("no random seed", Call::CsrandGet, 2, Error),
    fault("random seed of zeros", Call::CsrandGet, 2, Nothing),
    fault("half a random seed", Call::CsrandGet, 3, Error),
    fault("half a random seed of zeros", Call::CsrandGet, 3, Nothing),
    fault("no random nonce", Call::CsrandGet, 4, Error),
    fault("random nonce of zeros", Call::CsrandGet, 4, Nothing),
    // What a run that was cut off leaves, with the words of the ID of this list.
    scenario("ID whole", ERASED, &[EnterProvisioning, ID0, ID1, ID2, ID3, ID4, ID5, ID6, ID7, GO]),
    scenario("ID half", ERASED, &[EnterProvisioning, ID0, ID1, ID2, ID3, GO]),
    scenario("ID torn", ERASED, &[EnterProvisioning, ID0, WriteIdWord(1, 0xFFFF_FFD1), GO]),
    scenario("ID another", ERASED, &[EnterProvisioning, WriteIdWord(7, 0x5A5A_5A5A), GO]),
    scenario("seed whole, ID blank", ERASED, &[EnterProvisioning, WriteSeed, GO]),
    scenario(
        "seed whole",
        ERASED,
        &[EnterProvisioning, ID0, ID1, ID2, ID3, ID4, ID5, ID6, ID7, WriteSeed, GO],
    ),
    // Drivers out of the procedure's order.
    scenario("lifecycle set twice", ERASED, &[EnterProvisioning, EnterProvisioning]),
    scenario("lifecycle set back", Lifecycle([0, 0, F, F]), &[EnterProvisioning]),
    scenario("lifecycle of no state set", Lifecycle([F, 0, F, F]), &[EnterProvisioning]),
    scenario(
        "seed missing",
        ERASED,
        &[DeriveFromHuk(Huk::Mkek), DeriveFromHuk(Huk::Mext), ExportPublicKey, Sign],
    ),
    scenario("seed written twice", ERASED, &[WriteSeed, WriteSeed, Restart, WriteSeed]),
    scenario(
        "seed in use",
        ERASED,
        &[
            WriteSeed,
            DeriveFromHuk(Huk::Mkek),
            DeriveFromHuk(Huk::Mext),
            ExportPublicKey,
            Sign,
            Restart,
            Sign,
            ExportPublicKey,
            DeriveFromHuk(Huk::Mkek),
        ],
    ),
    scenario("nothing to complete", ERASED, &[CompleteSeed, WriteSeed, CompleteSeed]),
    scenario("ID written twice", ERASED, &[GO, WriteIdWord(3, 0x5A5A_5A5A), GO]),
    // What silicon refuses: the lock is not set again, so a second seed is pushed behind it.
    taken("seed of another destination", 184, 0x5004_8400, NONE, LOCKED),
];

/// Each of these loses power at each write.
pub const SEED_POWER_LOSS: &[Scenario] = &[
    scenario("power lost", ERASED, &[GO, Restart, GO]),
    scenario("power lost, completed", ERASED, &[GO, Restart, ProvisionCompleting]),
];
