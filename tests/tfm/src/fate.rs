// SPDX-License-Identifier: Apache-2.0

//! What becomes of each part.

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
    /// Blank key slots, and nothing else: keys of its own.
    Keys,
    /// Lifecycle state and debug ports, and nothing else.
    Secured,
    /// Both.
    KeysAndSecured,
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
