// SPDX-License-Identifier: Apache-2.0

//! Numbers modulo the order of the generator of secp256r1: private keys, and the halves of signatures.
//!
//! Those of `p256` are quicker and 2 KB larger, which cost a part more.

use p256::elliptic_curve::bigint::modular::ConstMontyForm;
use p256::elliptic_curve::bigint::{U256, Word, const_monty_params};
use p256::elliptic_curve::ctutils::CtLt;
use zeroize::Zeroizing;

const_monty_params!(
    Order,
    U256,
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    "The order n of the generator: SEC 2, section 2.4.2."
);

/// A number modulo n. Its operations take the same time whatever it is, but for those that are said to vary.
pub(crate) type Scalar = ConstMontyForm<Order, { U256::LIMBS }>;

/// n.
pub(crate) const ORDER: &U256 = Scalar::MODULUS.as_ref();

/// Of 32 bytes, big-endian; `None` where they are not in `1..n`.
pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Option<Scalar> {
    let integer = Zeroizing::new(U256::from_be_slice(bytes));
    let is_valid = integer.is_nonzero() & integer.ct_lt(ORDER);
    is_valid.to_bool().then(|| Scalar::new(&integer))
}

/// Of 32 bytes, big-endian, and reduced.
pub(crate) fn reduce(bytes: &[u8; 32]) -> Scalar {
    Scalar::new(&U256::from_be_slice(bytes))
}

/// The 32 bytes, big-endian.
pub(crate) fn to_bytes(scalar: &Scalar) -> [u8; 32] {
    scalar.retrieve().to_be_bytes().into()
}

/// The inverse by Fermat's little theorem; 0 for 0. It branches on n - 2 only, which everybody knows.
pub(crate) fn invert(scalar: &Scalar) -> Scalar {
    const EXPONENT: U256 = ORDER.wrapping_sub(&U256::from_u8(2));
    let mut power = Scalar::ONE;
    for word in EXPONENT.as_words().iter().rev() {
        for bit in (0..Word::BITS).rev() {
            // Not square(), which is code of its own.
            power = power.mul(&power);
            if word >> bit & 1 == 1 {
                power *= scalar;
            }
        }
    }
    power
}
