// SPDX-License-Identifier: Apache-2.0

//! Signed endorsements: a `COSE_Sign1` (tag 18) around the CoRIM, draft-ietf-rats-corim, section "Signed CoRIM".
//!
//! What veraison/corim reads of it (`corim/signedcorim.go`, at effcd0f, 2fa49d7, b8653a7, 7ca6407 and 53b3014), all from
//! the protected header: the algorithm, the content type `application/rim+cbor` (3), which must be there, the bytes of
//! the corim-meta (8), which must be there, and the x5chain (33): one certificate as bytes, more as an array. veraison/services
//! refuses a signed CoRIM without x5chain, and believes the roots among its `ca-certs`
//! (`decodeAndValidateSignedCorim` in `vts/trustedservices/trustedservices_grpc.go`, v0.0.2603 to 6b88102;
//! `scheme/common/signedcorim_decoder.go` from v0.0.2505 on before). A kid is read and used by neither, so there is none.
//! Neither looks at the validity in the corim-meta.

use corim::types::common::{CborTime, ValidityMap};
use corim::types::corim::{CorimMetaMap, CorimSignerMap};
use corim::types::signed::{CoseAlgorithm, CoseX509, SignedCorimBuilder};
use jiff::Timestamp;
use p256::ecdsa::Signature;
use p256::ecdsa::signature::Verifier;
use thiserror::Error;

use super::{Chain, KeyError, SigningKey};

/// Bytes of a signature: `r || s`.
const SIGNATURE_SIZE: usize = 64;

/// Signs endorsements.
pub struct Signer {
    key: SigningKey,
    chain: Chain,
    meta: CorimMetaMap,
}

/// Who signs, as the corim-meta says it.
#[derive(Clone, Debug, Default)]
pub struct SignerName {
    /// The name. If there is none, it is the subject of the certificate.
    pub name: Option<String>,
    /// An absolute URI of the signer.
    pub uri: Option<String>,
    /// Until when the endorsements are valid. If it is not said, it is as long as the certificates.
    pub until: Option<Timestamp>,
}

/// Why endorsements are not signed.
#[derive(Debug, Error)]
pub enum SignError {
    /// The key cannot.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key is another one than that of the certificate.
    #[error(
        "the signing key is not that of the certificate of {0}, which must come first among the certificates"
    )]
    OtherKey(String),
    /// The endorsements would be valid for longer than a certificate, or not at all.
    #[error(
        "the endorsements cannot be valid until {until}: the certificates are valid from {from} to {to}"
    )]
    Validity {
        /// What was asked for.
        until: Timestamp,
        /// From when the certificates are valid.
        from: Timestamp,
        /// Until when.
        to: Timestamp,
    },
    /// The URI of the signer is none.
    #[error("{0:?} is not the URI of a signer: a URI has a scheme, as in https://example.com")]
    Uri(String),
    /// The `COSE_Sign1` cannot be built, for the reason of the crate that builds it.
    #[error("the signed endorsements cannot be built, please report this: {0}")]
    Encoding(#[source] corim::EncodeError),
}

impl Signer {
    /// Signs with this key, in this name. The endorsements are valid as long as the certificates, or less.
    ///
    /// # Errors
    /// The name is none, or the key is not that of the first certificate.
    pub fn new(key: SigningKey, chain: Chain, name: SignerName) -> Result<Self, SignError> {
        let (from, to) = chain.validity();
        let until = name.until.unwrap_or(to);
        if until > to || until <= from {
            return Err(SignError::Validity { until, from, to });
        }
        if let Some(uri) = &name.uri
            && !is_uri(uri)
        {
            return Err(SignError::Uri(uri.clone()));
        }
        let meta = CorimMetaMap {
            signer: CorimSignerMap {
                signer_name: name.name.unwrap_or_else(|| chain.subject().to_owned()),
                signer_uri: name.uri,
            },
            signature_validity: Some(ValidityMap {
                not_before: Some(CborTime::new(from.as_second())),
                not_after: CborTime::new(until.as_second()),
            }),
        };
        let signer = Self { key, chain, meta };
        // Before anything is exported: that the key is the one of the certificate is proven by use.
        signer.signature(b"")?;
        Ok(signer)
    }

    /// The signed form of this unsigned CoRIM.
    pub(super) fn sign(&self, unsigned: Vec<u8>) -> Result<Vec<u8>, SignError> {
        let mut builder = self.builder(unsigned);
        let signature = self.signature(&builder.to_be_signed(&[]).map_err(SignError::Encoding)?)?;
        builder.build_with_signature(signature.into()).map_err(SignError::Encoding)
    }

    /// The bytes of the signed form of this unsigned CoRIM.
    pub(super) fn size(&self, unsigned: Vec<u8>) -> Result<usize, SignError> {
        let signed = self.builder(unsigned).build_with_signature(vec![0; SIGNATURE_SIZE]);
        Ok(signed.map_err(SignError::Encoding)?.len())
    }

    fn builder(&self, unsigned: Vec<u8>) -> SignedCorimBuilder {
        let chain = match self.chain.der() {
            [one] => CoseX509::Single(one.clone()),
            more => CoseX509::Chain(more.to_vec()),
        };
        SignedCorimBuilder::new(CoseAlgorithm::Es256, unsigned)
            .set_corim_meta(self.meta.clone())
            .x5chain(chain)
    }

    /// A signature that the certificate's key has verified: no other leaves the station.
    fn signature(&self, message: &[u8]) -> Result<[u8; SIGNATURE_SIZE], SignError> {
        let signature = self.key.sign(message)?;
        Signature::from_slice(&signature)
            .and_then(|signature| self.chain.key().verify(message, &signature))
            .map_err(|_| SignError::OtherKey(self.chain.subject().to_owned()))?;
        Ok(signature)
    }
}

/// Whether a text is an absolute URI, as far as veraison/corim asks (`comid/uri.go`): RFC 3986, section 3.1.
fn is_uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
            && !rest.is_empty()
            && rest.chars().all(|c| c.is_ascii_graphic())
    })
}
