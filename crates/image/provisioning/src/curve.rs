// SPDX-License-Identifier: Apache-2.0

//! Points of secp256r1, as ECDSA needs them: a secret multiple of the generator, and a public sum of two products.
//!
//! The numbers are those of `p256`, which take the same time whatever they are. Its points would cost a part 0.2 s
//! more: they have no table of the generator that a part has room for, and their inversion is 5 KB.

use p256::NistP256;
use p256::elliptic_curve::bigint::{U256, Word};
use p256::elliptic_curve::ff::PrimeField;
use p256::elliptic_curve::hazmat::FieldArithmetic;
use p256::elliptic_curve::subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

use crate::scalar::{self, Scalar};

/// A number modulo p.
type Element = <NistP256 as FieldArithmetic>::FieldElement;

/// The coefficient b of the curve: SEC 2, section 2.4.2.
const B: Element =
    Element::from_hex_vartime("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");

/// The order n of the generator, modulo p.
const N: Element =
    Element::from_hex_vartime("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
/// p - n, big-endian: a coordinate that is not below n is so much at the most above it.
const P_MINUS_N: [u8; 32] = [
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x43, 0x19, 0x05, 0x53, 0x58, 0xE8, 0x61, 0x7B, 0x0C, 0x46, 0x35, 0x3D, 0x03, 0x9C, 0xDA, 0xAE,
];

/// p - 2.
const P_MINUS_2: U256 =
    U256::from_be_hex("ffffffff00000001000000000000000000000000fffffffffffffffffffffffd");

/// A point other than the neutral element.
#[derive(Clone, Copy, PartialEq, Eq, Zeroize)]
pub(crate) struct Affine {
    x: Element,
    y: Element,
}

impl Affine {
    const fn new(x: &str, y: &str) -> Self {
        Self { x: Element::from_hex_vartime(x), y: Element::from_hex_vartime(y) }
    }

    /// The point with these coordinates, big-endian; `None` where the curve has none.
    pub(crate) fn from_coordinates(x: [u8; 32], y: [u8; 32]) -> Option<Self> {
        let x = Element::from_repr(x.into()).into_option()?;
        let y = Element::from_repr(y.into()).into_option()?;
        // y^2 = x^3 - 3x + b
        let right = (x.square() - Element::from_u64(3)) * x + B;
        (y.square() == right).then_some(Self { x, y })
    }

    /// The x-coordinate, big-endian.
    pub(crate) fn x(&self) -> [u8; 32] {
        self.x.to_repr().into()
    }

    /// The y-coordinate, big-endian.
    pub(crate) fn y(&self) -> [u8; 32] {
        self.y.to_repr().into()
    }
}

/// A point with x = X / Z and y = Y / Z; the neutral element is the one with Z = 0.
///
/// The formulas are complete: they have no exceptions, and so no branches. Numbers of algorithms are those of Renes,
/// Costello, Batina: Complete addition formulas for prime order elliptic curves, <https://eprint.iacr.org/2015/1060>.
#[derive(Clone, Zeroize)]
pub(crate) struct Projective {
    x: Element,
    y: Element,
    z: Element,
}

impl Projective {
    const NEUTRAL: Self = Self { x: Element::ZERO, y: Element::ONE, z: Element::ZERO };

    /// Twice the point: algorithm 6.
    fn double(&mut self) {
        let Self { x, y, z } = &*self;
        let (xx, yy, zz) = (x.square(), y.square(), z.square());
        let xy2 = (x * y).double();
        let xz2 = (x * z).double();
        let yz2 = (y * z).double();

        let first = triple(&(B * zz - xz2));
        let minus = yy - first;
        let plus = yy + first;
        let zz3 = triple(&zz);
        let second = triple(&(B * xz2 - zz3 - xx));
        let xx3 = triple(&xx) - zz3;

        self.x = minus * xy2 - second * yz2;
        self.y = plus * minus + xx3 * second;
        self.z = (yz2 * yy).double().double();
    }

    /// The sum with another point: algorithm 5.
    fn add(&mut self, other: &Affine) {
        let Self { x, y, z } = &*self;
        let Affine { x: x2, y: y2 } = other;
        let xx = x * x2;
        let yy = y * y2;
        let xy = (x + y) * (x2 + y2) - xx - yy;
        let yz = y2 * z + y;
        let xz = x2 * z + x;

        let first = triple(&(xz - B * z));
        let minus = yy - first;
        let plus = yy + first;
        let z3 = triple(z);
        let second = triple(&(B * xz - z3 - xx));
        let xx3 = triple(&xx) - z3;

        self.x = plus * xy - yz * second;
        self.y = plus * minus + xx3 * second;
        self.z = minus * yz + xy * xx3;
    }

    /// Whether the x-coordinate, reduced modulo n, is `x`; never for the neutral element, which has none.
    fn has_x(&self, x: &Scalar) -> bool {
        let bytes = scalar::to_bytes(x);
        let is = |x: Element| x * self.z == self.x;
        let reduced = Element::from_repr(bytes.into()).into_option();
        !bool::from(self.z.is_zero())
            && reduced.is_some_and(|x| is(x) || (bytes < P_MINUS_N && is(x + N)))
    }

    /// The point with its coordinates; both are 0 for the neutral element, which no other point has.
    pub(crate) fn to_affine(&self) -> Affine {
        // By Fermat's little theorem. It branches on p - 2 only, which everybody knows.
        let mut inverse = Zeroizing::new(Element::ONE);
        for word in P_MINUS_2.as_words().iter().rev() {
            for bit in (0..Word::BITS).rev() {
                *inverse = inverse.square();
                if word >> bit & 1 == 1 {
                    *inverse *= &self.z;
                }
            }
        }
        Affine { x: self.x * *inverse, y: self.y * *inverse }
    }
}

fn triple(number: &Element) -> Element {
    number.double() + number
}

/// Digits between the teeth of the comb.
const SPACING: usize = 64;

/// What makes of a scalar k one with digits of +1/2 and -1/2 in the place of 1 and 0: half of 2^256 - 1, since
/// `k + (2^256 - 1) / 2 = sum(d_i * 2^i)` gives `k = sum((d_i - 1/2) * 2^i)`.
const HALVES: Scalar = {
    let half = Scalar::ONE.div_by_2();
    let mut power = half;
    let mut bit = 0;
    while bit < 256 {
        power = power.double();
        bit += 1;
    }
    power.sub(&half)
};

/// Of the generator G, 2^192 * G/2, plus or minus 2^128 * G/2, 2^64 * G/2 and G/2: plus where the bit of the index is 1,
/// its lowest for G/2.
static COMB: [Affine; 8] = [
    Affine::new(
        "dea6ad406bab26dbe65108a2da0384595fe464079cc4109930204f85ca3eee77",
        "70b6c8500e6b3e32105cd74e8962fea23cc28740793af00640d2979117196ab2",
    ),
    Affine::new(
        "2c58b699af67179a6e3946cd66ad2a4cc3c4945428fffb5be4b2c28a8784430d",
        "34704591464dca3f1982a1c6b2368b19cfa6ca4daf09f153da123406c6a2325a",
    ),
    Affine::new(
        "6387f6f91d00021672d814b0980262ddc32de698c8176415c0a76d3d8e76fe80",
        "a81114fae07c42fbf1c0e441d0778ee55908384f4cae2209b7fc0ee7833cea9d",
    ),
    Affine::new(
        "728c00f876f7b7870459d54715aa5837b0506059fb8031fc05f966c984740756",
        "a8733e7cf3ea8243bca7c42c8129d4c5c7bcb92818f538e6952733d2838ce0f2",
    ),
    Affine::new(
        "e684b0d5360c72df496e6a2675abc6798be9d3da2e258dde9c12eca61c7912e6",
        "924ae63431b83d15009dd03709150465d02ba08843910fef606ce0b67aa98534",
    ),
    Affine::new(
        "eb9a5ad100ecac6c0075eeb000ee64ff761ab53ca4ac3a334b57e3cb29b5de6c",
        "40df2f7d51bdb9f8f8a848d057466e8bf98cd537a2ceac3d0a460d47a1c8e90f",
    ),
    Affine::new(
        "54ea4c310955bd2c118343521f6795b8728a202d390081bbb1923bd0a326d16f",
        "ffdb30562efd2b3ffb92bd33c7e3607c0bd085773fdeeacc9fbb68b63c6a1246",
    ),
    Affine::new(
        "dad2cfd8feb20171c4447533e9e2c1d5bcf0256543dbe50586edef1ad3e1c732",
        "3af4f437a509e069c1d8281e7de049162c1a06644273fbc523e4157e328803f6",
    ),
];

/// A scalar's digits for the comb. With them each column of four digits, of which none is 0, is an entry of [`COMB`] or
/// the negative of one.
struct Teeth(Zeroizing<[u8; 32]>);

impl Teeth {
    fn new(scalar: &Scalar) -> Self {
        let digits = Zeroizing::new(scalar.add(&HALVES));
        Self(Zeroizing::new(scalar::to_bytes(&digits)))
    }

    /// The point of a column. It reads the whole table, whatever the digits are.
    fn point(&self, column: usize) -> Zeroizing<Affine> {
        let tooth = |number: usize| bit(&*self.0, column + SPACING * number);
        // All digits have the other sign where the highest is -1/2.
        let is_negative = tooth(3) ^ 1;
        let index = (tooth(0) ^ is_negative)
            | (tooth(1) ^ is_negative) << 1
            | (tooth(2) ^ is_negative) << 2;
        let mut point = Zeroizing::new(COMB[0]);
        for (number, entry) in (0_u8..).zip(&COMB).skip(1) {
            let is_it = number.ct_eq(&index);
            point.x.conditional_assign(&entry.x, is_it);
            point.y.conditional_assign(&entry.y, is_it);
        }
        let negative = -point.y;
        point.y.conditional_assign(&negative, Choice::from(is_negative));
        point
    }
}

/// The generator, `scalar` times. It takes the same steps whatever the scalar is.
pub(crate) fn multiply_generator(scalar: &Scalar) -> Affine {
    let teeth = Teeth::new(scalar);
    let mut sum = Zeroizing::new(Projective::NEUTRAL);
    for column in (0..SPACING).rev() {
        sum.double();
        sum.add(&teeth.point(column));
    }
    sum.to_affine()
}

/// Whether `generator_times` * G + `times` * `point` has the x-coordinate `x`, reduced modulo n and not 0.
///
/// All of them are public: the steps show them.
pub(crate) fn sum_has_x(
    generator_times: &Scalar,
    point: &Affine,
    times: &Scalar,
    x: &Scalar,
) -> bool {
    let teeth = Teeth::new(generator_times);
    let negative = Affine { x: point.x, y: -point.y };
    // In non-adjacent form, digit i of k is bit i + 1 of 3k, less that of k.
    let once = scalar::to_bytes(times);
    let thrice = triple_integer(&once);
    let mut sum = Projective::NEUTRAL;
    for digit in (0..=256).rev() {
        sum.double();
        match (bit(&thrice, digit + 1), bit(&once, digit + 1)) {
            (1, 0) => sum.add(point),
            (0, 1) => sum.add(&negative),
            _ => {}
        }
        if digit < SPACING {
            sum.add(&teeth.point(digit));
        }
    }
    sum.has_x(x)
}

/// A bit of a big-endian number; 0 above its end.
fn bit(number: &[u8], bit: usize) -> u8 {
    number.iter().rev().nth(bit / 8).map_or(0, |byte| byte >> (bit % 8) & 1)
}

/// Three times a big-endian number.
fn triple_integer(number: &[u8; 32]) -> [u8; 33] {
    let mut product = [0; 33];
    let mut carry = 0_u16;
    for (place, byte) in product.iter_mut().rev().zip(number.iter().rev().chain([&0])) {
        carry += 3 * u16::from(*byte);
        let [low, high] = carry.to_le_bytes();
        *place = low;
        carry = high.into();
    }
    product
}

#[cfg(test)]
mod tests {
    extern crate std;

    use p256::FieldBytes;
    use p256::elliptic_curve::Group;
    use p256::elliptic_curve::ops::{Invert, Reduce};
    use p256::elliptic_curve::point::AffineCoordinates;
    use proptest::prelude::*;

    use super::*;

    /// The library's scalars; ours are made of them.
    type Known = p256::Scalar;

    fn known(bytes: [u8; 32]) -> Known {
        Known::reduce(&FieldBytes::from(bytes))
    }

    fn ours(scalar: &Known) -> Scalar {
        scalar::reduce(&scalar.to_bytes().into())
    }

    /// As [`HALVES`].
    fn halves() -> Known {
        known(scalar::to_bytes(&HALVES))
    }

    /// The point as p256 has it.
    fn point(point: &p256::ProjectivePoint) -> Option<Affine> {
        let affine = point.to_affine();
        let is_neutral = bool::from(affine.is_identity());
        (!is_neutral)
            .then(|| Affine::from_coordinates(affine.x().into(), affine.y().into()).unwrap())
    }

    /// Small, large, sparse and dense scalars, with which additions meet the same point, its negative and the neutral
    /// element.
    fn edges() -> impl Iterator<Item = Known> {
        let small = (0..=64_u64).map(Known::from);
        let powers = (0..256).scan(Known::ONE, |power, _| {
            let this = *power;
            *power = power.double();
            Some(this)
        });
        let near_powers = powers.flat_map(|power| {
            [power, power - Known::ONE, power + Known::ONE, power - halves(), power + halves()]
        });
        small.chain(near_powers).flat_map(|scalar| [scalar, -scalar])
    }

    #[test]
    fn the_comb_is_of_multiples_of_the_generator() {
        let half = <Known as PrimeField>::TWO_INV;
        let mut power = half;
        let mut halves = std::vec![half];
        for _ in 0..3 {
            (0..SPACING).for_each(|_| power = power.double());
            halves.push(power);
        }
        for (index, entry) in COMB.iter().enumerate() {
            let sum = (0..3).fold(halves[3], |sum, tooth| {
                if index >> tooth & 1 == 1 { sum + halves[tooth] } else { sum - halves[tooth] }
            });
            let expected = point(&p256::ProjectivePoint::mul_by_generator(&sum));
            assert!(expected == Some(*entry), "{index}");
        }
    }

    fn multiplies(scalar: &Known) {
        let expected = point(&p256::ProjectivePoint::mul_by_generator(scalar));
        let zero = Affine { x: Element::ZERO, y: Element::ZERO };
        assert!(multiply_generator(&ours(scalar)) == expected.unwrap_or(zero), "{scalar:?}");
    }

    #[test]
    fn edge_cases_multiply_as_in_p256() {
        edges().for_each(|scalar| multiplies(&scalar));
    }

    fn sums(by: &Known, base: &Known, times: &Known) {
        let generator = p256::ProjectivePoint::GENERATOR;
        let base = generator * base;
        let expected = point(&(generator * by + base * times));
        let right = expected.map_or(Known::ZERO, |sum| known(sum.x()));
        let base = point(&base).unwrap();
        let holds = |x| sum_has_x(&ours(by), &base, &ours(times), &ours(&x));
        assert_eq!(holds(right), expected.is_some(), "{by:?} {times:?}");
        assert!(!holds(right + Known::ONE));
        assert!(!holds(Known::ZERO));
    }

    #[test]
    fn edge_cases_sum_as_in_p256() {
        let points = [Known::ONE, -Known::ONE, Known::from(2_u64), halves()];
        for (number, by) in edges().enumerate().step_by(3) {
            let base = &points[number % points.len()];
            let times = edges().nth(number * 7 % 2_000).unwrap();
            sums(&by, base, &times);
            // The neutral element.
            sums(&by, base, &(-by * Invert::invert(base).unwrap()));
        }
    }

    #[test]
    fn inverses_are_those_of_p256() {
        for scalar in edges() {
            let expected = Invert::invert(&scalar).unwrap_or(Known::ZERO);
            assert_eq!(known(scalar::to_bytes(&scalar::invert(&ours(&scalar)))), expected);
        }
    }

    proptest! {
        #[test]
        fn any_scalar_multiplies_as_in_p256(bytes: [u8; 32]) {
            multiplies(&known(bytes));
        }

        #[test]
        fn any_scalars_sum_as_in_p256(by: [u8; 32], base: [u8; 32], times: [u8; 32]) {
            sums(&known(by), &known(base), &known(times));
        }
    }
}
