// SPDX-License-Identifier: Apache-2.0

//! What becomes of each part.

use crate::defects::Defect;

macro_rules! numbered {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// That with this number, as it is kept over a reset.
            pub fn from_number(number: u32) -> Self {
                let all = [$(Self::$variant,)+];
                *all.get(number as usize).expect("a number that was kept")
            }
        }
    };
}

numbered! {
    /// What this project's image does with a part.
    Image {
        /// It finds it complete and good, and writes nothing.
        FindsGood,
        /// It writes what is missing.
        Completes,
        /// It refuses it.
        Refuses,
        /// It finds it complete, and has written to it all the same: never.
        Changes,
    }
}

numbered! {
    /// How a start of TF-M ends.
    Tfm {
        /// It has secured the part, and resets it.
        Resets,
        /// It stops.
        Panics,
        /// It runs, and gives a token that verifies with the public key of the record, with the right claims.
        Attests,
        /// As above, but the implementation ID is blank.
        AttestsBlankId,
        /// As above, with other claims: never.
        AttestsOtherClaims,
        /// It gives a token that does not verify with the public key of the record.
        AttestsOtherKey,
        /// It runs, and gives no token.
        DoesNotAttest,
        /// The policy of the identity key does not keep the non-secure side from signing: never.
        LendsTheKey,
    }
}

/// What two starts of TF-M have changed on a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// Nothing.
    Nothing,
    /// Blank slots of HUKs, and nothing else.
    Huks,
    /// Lifecycle state and debug ports, and nothing else.
    Secured,
    /// Something else: never.
    Other,
}

/// What becomes of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// What the image does with it.
    pub image: Image,
    /// How two starts of TF-M end, where the image has not touched it.
    pub tfm: [Tfm; 2],
    /// What they have written.
    pub wrote: Wrote,
    /// What the image does with it after those.
    pub image_after: Image,
}

/// What is expected of a part with this defect. Where TF-M secures a part that the image refuses, the image is the
/// last check. `wants_closed_ports`: this TF-M does not close the debug ports itself.
pub const fn expected(defect: Defect, wants_closed_ports: bool) -> Fate {
    use Image::{Completes, FindsGood, Refuses};
    use Tfm::{Attests, AttestsBlankId, AttestsOtherKey, Panics, Resets};
    let (image, tfm, wrote, image_after) = match defect {
        Defect::OpenPorts if wants_closed_ports => {
            (FindsGood, [Panics, Panics], Wrote::Nothing, FindsGood)
        }
        Defect::None | Defect::OpenPorts => (FindsGood, [Resets, Attests], Wrote::Secured, Refuses),
        // TF-M makes HUKs of its own where there are none, and stops for want of an identity key.
        Defect::OnlyLifecycle | Defect::TornId | Defect::Erased => {
            (Completes, [Panics, Panics], Wrote::Huks, Refuses)
        }
        Defect::OnlyId => (Completes, [Panics, Panics], Wrote::Huks, Completes),
        Defect::OnlyMkek | Defect::OnlyHuks => {
            (Completes, [Panics, Panics], Wrote::Nothing, Completes)
        }
        Defect::TornLifecycle | Defect::ZerosInOtp => {
            (Refuses, [Panics, Panics], Wrote::Huks, Refuses)
        }
        Defect::TornMext => (Refuses, [Panics, Panics], Wrote::Nothing, Refuses),
        // Nothing in TF-M knows which key it should be.
        Defect::TornIdentityKey => (Refuses, [Resets, AttestsOtherKey], Wrote::Secured, Refuses),
        Defect::OpenIdentityKey => (Refuses, [Resets, Attests], Wrote::Secured, Refuses),
        Defect::BlankId => (Refuses, [Resets, AttestsBlankId], Wrote::Secured, Refuses),
        // Secured, and does not run.
        Defect::BlankMext => (Refuses, [Resets, Panics], Wrote::Secured, Refuses),
        // Only the record tells: it has the public key from before.
        Defect::OtherIdentityKey => (FindsGood, [Resets, AttestsOtherKey], Wrote::Secured, Refuses),
    };
    Fate { image, tfm, wrote, image_after }
}
