// SPDX-License-Identifier: Apache-2.0

//! Faults that a test arms: one call of the layer below the drivers goes wrong, or the random generator does.

/// A call of the layer below the drivers. Calls that only read UICR return no error and are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `nrfx_nvmc_halfword_write`.
    HalfwordWrite,
    /// `nrfx_nvmc_word_write`, `nrfx_rramc_word_write`.
    WordWrite,
    /// `nrf_cc3xx_platform_kmu_write_key_slot`.
    KmuWriteKeySlot,
    /// `nrf_cc3xx_platform_kmu_shadow_key_derive`.
    ShadowKeyDerive,
    /// `nrf_cc3xx_platform_identity_key_store`.
    IdentityKeyStore,
    /// `nrf_cc3xx_platform_identity_key_retrieve`.
    IdentityKeyRetrieve,
    /// `psa_crypto_init`.
    PsaCryptoInit,
    /// `psa_generate_key`.
    PsaGenerateKey,
    /// `psa_export_key`.
    PsaExportKey,
    /// `psa_destroy_key`.
    PsaDestroyKey,
    /// `sys_csrand_get`.
    CsrandGet,
    /// `nrfx_rramc_otp_word_write`.
    OtpWordWrite,
    /// `nrfx_kmu_key_slot_provision`.
    KmuProvision,
    /// `nrfx_kmu_key_slots_revoke`, of one slot.
    KmuRevoke,
    /// The key generator makes the public identity key.
    IkgPublicKey,
    /// It signs with the identity key.
    IkgSign,
    /// An AES-CMAC with MKEK or MEXT of the key generator. A derivation makes one, and one for each block that it gives.
    IkgCmac,
}

/// What the call does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It returns an error; a call that returns nothing does nothing.
    Error,
    /// It claims success and does nothing.
    Nothing,
}

/// The `nth` such call, counted from 1, goes wrong, and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which call.
    pub call: Call,
    /// Which of them, from 1.
    pub nth: u32,
    /// How.
    pub effect: Effect,
}

/// The noise from which the random generator draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// As it should be: no two power-ons have the same.
    Fresh,
    /// Broken: each power-on of the part begins with what the first one began with.
    RepeatsAtPowerOn,
    /// Broken: every part and every power-on have the same.
    SameInAllParts,
}

/// A fault that waits for its call, and how many such calls there were.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArmedFault {
    fault: Fault,
    calls: u32,
}

impl ArmedFault {
    pub(crate) const fn new(fault: Fault) -> Self {
        Self { fault, calls: 0 }
    }

    pub(crate) const fn has_struck(&self) -> bool {
        self.calls >= self.fault.nth
    }

    /// Counts a call; the effect, if it is the one.
    pub(crate) fn strike(&mut self, call: Call) -> Option<Effect> {
        if call != self.fault.call {
            return None;
        }
        self.calls += 1;
        (self.calls == self.fault.nth).then_some(self.fault.effect)
    }
}
