// SPDX-License-Identifier: Apache-2.0

//! Consoles and outputs of programs as the ledger keeps them: LZ4 blocks, with a dictionary of what all consoles
//! have in common, and with the record that stands in the entry. So a good run's console takes some 60 bytes.

use base64ct::{Base64UrlUnpadded, Encoding};
use lz4_flex::block::{
    compress_into_with_dict, decompress_into_with_dict, get_maximum_output_size,
};

use super::Entry;
use crate::transcript::{self, Transcript};

/// What is in most consoles. It is a part of the ledger's format: another dictionary is another version.
const DICTIONARY: &[u8] = include_bytes!("console.dictionary");

/// A text as the ledger keeps it: its length as four bytes, the lowest first, and an LZ4 block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub(super) Vec<u8>);

impl Text {
    /// Packs what has come, from the run which has brought this entry if one has.
    ///
    /// # Panics
    /// Never: there is room for the longest block.
    #[must_use]
    pub fn pack(transcript: Transcript, entry: Option<&Entry>) -> Self {
        let text = transcript.into_bytes();
        let length = u32::try_from(text.len()).expect("a transcript is short").to_le_bytes();
        let mut packed = vec![0; length.len() + get_maximum_output_size(text.len())];
        packed[..length.len()].copy_from_slice(&length);
        let block = &mut packed[length.len()..];
        let used =
            compress_into_with_dict(&text, block, &dictionary(entry)).expect("there is room");
        packed.truncate(length.len() + used);
        Self(packed)
    }

    /// The text again. `None` where it is damaged.
    #[must_use]
    pub fn unpack(&self, entry: Option<&Entry>) -> Option<Vec<u8>> {
        let (length, block) = self.0.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        // Nothing longer was ever packed, and the file may say anything.
        let mut text = vec![0; Some(length).filter(|length| *length <= 2 * transcript::MAX)?];
        let used = decompress_into_with_dict(block, &mut text, &dictionary(entry)).ok()?;
        (used == length).then_some(text)
    }
}

/// What comes last is found in the fewest bytes: the record.
fn dictionary(entry: Option<&Entry>) -> Vec<u8> {
    let record = entry.map(|entry| Base64UrlUnpadded::encode_string(&entry.record));
    [DICTIONARY, record.unwrap_or_default().as_bytes()].concat()
}
