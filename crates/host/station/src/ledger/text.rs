// SPDX-License-Identifier: Apache-2.0

//! Consoles and outputs of programs as the ledger keeps them: LZ4 blocks, with a dictionary of what all consoles
//! have in common, and with the record that stands in the entry. So a good run's console takes some 60 bytes.

use base64ct::{Base64UrlUnpadded, Encoding};
use lz4_flex::block::{
    compress_into_with_dict, decompress_into_with_dict, get_maximum_output_size,
};
use sha2::{Digest, Sha256};

use super::Entry;
use crate::transcript::{self, Transcript};

/// What is in most consoles. It is a part of the ledger's format: another dictionary is another version.
const DICTIONARY: &[u8] = include_bytes!("console.dictionary");

/// A text as the ledger keeps it: its length as four bytes, the lowest first, the first four bytes of its SHA-256,
/// and an LZ4 block, in which nothing shows that it was made with another dictionary. The dictionary is the file
/// `console.dictionary`; of a console behind it the entry's UEID, in lower case, and its record as base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub(super) Vec<u8>);

/// Bytes before the block.
const HEADER: usize = 8;

impl Text {
    /// Packs what has come, from the run which has brought this entry if one has.
    ///
    /// # Panics
    /// Never: there is room for the longest block.
    #[must_use]
    pub fn pack(transcript: Transcript, entry: Option<&Entry>) -> Self {
        let text = transcript.into_bytes();
        let mut packed = vec![0; HEADER + get_maximum_output_size(text.len())];
        let (header, block) = packed.split_at_mut(HEADER);
        header.copy_from_slice(&header_of(&text));
        let used =
            compress_into_with_dict(&text, block, &dictionary(entry)).expect("there is room");
        packed.truncate(HEADER + used);
        Self(packed)
    }

    /// The text again. `None` where it is damaged, or is not of the run that has brought this entry.
    #[must_use]
    pub fn unpack(&self, entry: Option<&Entry>) -> Option<Vec<u8>> {
        let (header, block) = self.0.split_first_chunk::<HEADER>()?;
        let length = u32::from_le_bytes(*header.first_chunk()?) as usize;
        // Nothing longer was ever packed, and the file may say anything.
        let mut text = vec![0; Some(length).filter(|length| *length <= 2 * transcript::MAX)?];
        let used = decompress_into_with_dict(block, &mut text, &dictionary(entry)).ok()?;
        (used == length && header_of(&text) == *header).then_some(text)
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::pack(Transcript::default(), None)
    }
}

fn header_of(text: &[u8]) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let (length, check) = header.split_at_mut(4);
    length
        .copy_from_slice(&u32::try_from(text.len()).expect("a transcript is short").to_le_bytes());
    check.copy_from_slice(&Sha256::digest(text)[..4]);
    header
}

/// What comes last is found in the fewest bytes: the record. A part that was provisioned before names its UEID.
fn dictionary(entry: Option<&Entry>) -> Vec<u8> {
    let mut dictionary = DICTIONARY.to_vec();
    if let Some(Entry { identity, record, .. }) = entry {
        dictionary.extend(identity.ueid().to_string().into_bytes());
        dictionary.extend(Base64UrlUnpadded::encode_string(record).into_bytes());
    }
    dictionary
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::Identity;

    fn transcript(bytes: &[u8]) -> Transcript {
        let mut transcript = Transcript::default();
        transcript.push(bytes);
        transcript
    }

    /// An entry with this record.
    fn entry(record: &[u8]) -> Entry {
        let identity = Identity {
            device_id: provisioning::DeviceId([1; 8]),
            implementation_id: provisioning::ImplementationId::from_bytes([0xAA; 32]).unwrap(),
            public_key: provisioning::DUMMY_PUBLIC_KEY,
        };
        Entry { number: 1, identity, record: record.to_vec() }
    }

    /// What ledgers have packed can be read as long as this stays.
    #[test]
    fn the_dictionary_is_that_of_this_version() {
        assert_eq!(super::super::VERSION, 3);
        assert_eq!(
            Sha256::digest(DICTIONARY)[..],
            hex!("a14e54e4289d0e51ca121037644a4f8cf5cca577e7b72270334777f9c858c47c")
        );
    }

    /// By hand, from the documentation of [`Text`].
    #[test]
    fn a_short_text_is_its_header_and_literals() {
        let Text(packed) = Text::pack(transcript(b"on"), None);
        let check = &Sha256::digest(b"on")[..4];
        assert_eq!(packed, [&[2, 0, 0, 0], check, &[0x20, b'o', b'n']].concat());
        assert_eq!(Text::default(), Text::pack(transcript(b""), None));
        assert_eq!(Text::default().unpack(None), Some(vec![]));
    }

    #[test]
    fn what_is_too_long_is_packed_with_its_beginning_and_its_end() {
        let long: Vec<u8> = (0..10 * transcript::MAX).map(|n| n.to_le_bytes()[0]).collect();
        let kept = transcript(&long).into_bytes();
        assert!(kept.len() < transcript::MAX + 100);
        assert_eq!(Text::pack(transcript(&long), None).unpack(None), Some(kept));
        // More than that was never packed, and no room is made for it.
        let packed = |length: u32| {
            let text = vec![0; length as usize];
            let mut block = vec![0; get_maximum_output_size(text.len())];
            let used = compress_into_with_dict(&text, &mut block, DICTIONARY).unwrap();
            Text([&header_of(&text)[..], &block[..used]].concat())
        };
        let longest = u32::try_from(2 * transcript::MAX).unwrap();
        assert_eq!(packed(longest).unpack(None), Some(vec![0; 2 * transcript::MAX]));
        assert_eq!(packed(longest + 1).unpack(None), None);
        assert_eq!(Text([0xFF; 12].to_vec()).unpack(None), None);
    }

    /// Bytes that a dictionary helps with, and others.
    fn console() -> impl Strategy<Value = Vec<u8>> {
        let of_dictionary = (0..DICTIONARY.len(), 0..200_usize)
            .prop_map(|(at, length)| DICTIONARY[at..].iter().take(length).copied().collect());
        let piece = prop_oneof![of_dictionary, vec(any::<u8>(), 0..50)];
        vec(piece, 0..20).prop_map(|pieces: Vec<Vec<u8>>| pieces.concat())
    }

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked(console in console(), record in proptest::option::of(vec(any::<u8>(), 0..600))) {
            let entry = record.as_deref().map(entry);
            let packed = Text::pack(transcript(&console), entry.as_ref());
            prop_assert_eq!(packed.unpack(entry.as_ref()), Some(console));
        }

        #[test]
        fn damage_is_noticed(console in console(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let Text(mut packed) = Text::pack(transcript(&console), None);
            let cut = Text(packed[..at.index(packed.len())].to_vec());
            prop_assert_eq!(cut.unpack(None), None);
            let at = at.index(packed.len());
            packed[at] ^= 1 << bit;
            // A block may mean the same in another way.
            let unpacked = Text(packed).unpack(None);
            prop_assert!(unpacked.is_none() || unpacked == Some(console));
        }

        #[test]
        fn any_bytes_are_a_text_or_none(bytes in vec(any::<u8>(), 0..300)) {
            let unpacked = Text(bytes).unpack(None);
            prop_assert!(unpacked.is_none_or(|text| text.len() <= 2 * transcript::MAX));
        }

        /// A run's console with the record in it, and the entry of another.
        #[test]
        fn another_entry_is_noticed(record in vec(any::<u8>(), 100..600), at in any::<prop::sample::Index>()) {
            let ours = entry(&record);
            let mut record = record;
            let at = at.index(record.len());
            record[at] ^= 1;
            let others = entry(&record);
            let text = Base64UrlUnpadded::encode_string(&ours.record);
            let console = [b"Provisioning record: ", text.as_bytes()].concat();
            let packed = Text::pack(transcript(&console), Some(&ours));
            prop_assert!(packed.0.len() < 40);
            let console = Some(console);
            for other in [Some(&others), None] {
                // Or it has nothing of what differs.
                let unpacked = packed.unpack(other);
                prop_assert!(unpacked.is_none() || unpacked == console);
            }
            prop_assert_eq!(packed.unpack(Some(&ours)), console);
        }
    }
}
