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
                all[number as usize % all.len()]
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
        /// As above, with other claims.
        AttestsOtherClaims,
        /// It gives a token that verifies with another key.
        AttestsOtherKey,
        /// It runs, and gives no token.
        DoesNotAttest,
        /// Somebody else than the attestation partition can sign with the identity key: never.
        LendsTheKey,
    }
}

/// What becomes of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// What the image does with it.
    pub image: Image,
    /// How two starts of TF-M end, where the image has not touched it.
    pub tfm: [Tfm; 2],
    /// What the image does with it after those.
    pub image_after: Image,
}

/// What is expected of a part with this defect. Where TF-M secures a part that the image refuses, the image is the
/// last check. `wants_closed_ports`: this TF-M does not close the debug ports itself.
pub const fn expected(defect: Defect, wants_closed_ports: bool) -> Fate {
    let (image, tfm, image_after) = match defect {
        Defect::None => (Image::FindsGood, [Tfm::Resets, Tfm::Attests], Image::Refuses),
        Defect::OpenPorts if wants_closed_ports => {
            (Image::FindsGood, [Tfm::Panics, Tfm::Panics], Image::FindsGood)
        }
        Defect::OpenPorts => (Image::FindsGood, [Tfm::Resets, Tfm::Attests], Image::Refuses),
        // TF-M makes HUKs of its own where there are none, and stops for want of an identity key.
        Defect::OnlyLifecycle | Defect::TornId => {
            (Image::Completes, [Tfm::Panics, Tfm::Panics], Image::Refuses)
        }
        Defect::OnlyId | Defect::OnlyMkek | Defect::OnlyHuks => {
            (Image::Completes, [Tfm::Panics, Tfm::Panics], Image::Completes)
        }
        Defect::TornLifecycle | Defect::TornMext | Defect::ZerosInOtp => {
            (Image::Refuses, [Tfm::Panics, Tfm::Panics], Image::Refuses)
        }
        // Nothing in TF-M knows which key it should be.
        Defect::TornIdentityKey => {
            (Image::Refuses, [Tfm::Resets, Tfm::AttestsOtherKey], Image::Refuses)
        }
        Defect::OpenIdentityKey => (Image::Refuses, [Tfm::Resets, Tfm::Attests], Image::Refuses),
        Defect::BlankId => (Image::Refuses, [Tfm::Resets, Tfm::AttestsOtherClaims], Image::Refuses),
        // Secured, and never runs.
        Defect::BlankMext => (Image::Refuses, [Tfm::Resets, Tfm::Panics], Image::Refuses),
        // Only the record tells: it has the public key of before.
        Defect::OtherIdentityKey => {
            (Image::FindsGood, [Tfm::Resets, Tfm::AttestsOtherKey], Image::Refuses)
        }
        Defect::Erased => (Image::Completes, [Tfm::Panics, Tfm::Panics], Image::Refuses),
    };
    Fate { image, tfm, image_after }
}
