// SPDX-License-Identifier: Apache-2.0

//! The part's true random number generator.

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::faults::Noise;

/// The seed of a part that a number names, as `--seed` and Kconfig do.
#[must_use]
pub fn seed(number: u64) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    seed
}

/// The part's true random number generator, with a seed in the place of noise.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Entropy {
    seed: [u8; 32],
    /// What decides the draws since power-on, once there was one.
    stream: Option<[u8; 32]>,
    draws: u64,
    #[zeroize(skip)]
    pub(crate) noise: Noise,
}

impl Entropy {
    pub(crate) const fn new(seed: [u8; 32]) -> Self {
        Self { seed, stream: None, draws: 0, noise: Noise::Fresh }
    }

    /// Power comes back.
    pub(crate) fn restart(&mut self, seed: [u8; 32]) {
        if self.noise != Noise::RepeatsAtPowerOn {
            self.seed = seed;
        }
        self.stream.zeroize();
        self.draws = 0;
    }

    /// Makes the next draw the first again.
    pub(crate) fn rewind(&mut self) {
        self.draws = 0;
    }

    /// 32 bytes that no other draw gives, from this seed on a part with this UICR page.
    pub(crate) fn draw(&mut self, page: &[u32]) -> Zeroizing<[u8; 32]> {
        self.draws += 1;
        let (seed, noise) = (self.seed, self.noise);
        // The page distinguishes one power-on from another, as time does on silicon.
        let stream = self.stream.get_or_insert_with(|| match noise {
            Noise::Fresh => {
                let words = page.iter().map(|word| word.to_le_bytes());
                words.fold(Sha256::new_with_prefix(seed), Digest::chain_update).finalize().into()
            }
            Noise::RepeatsAtPowerOn => seed,
            Noise::SameInAllParts => [0x5A; 32],
        });
        let hash = Sha256::new().chain_update(*stream).chain_update(self.draws.to_le_bytes());
        Zeroizing::new(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_differ() {
        let mut entropy = Entropy::new([0; 32]);
        assert_ne!(*entropy.draw(&[]), *entropy.draw(&[]));
    }

    #[test]
    fn each_power_on_has_a_stream_of_its_own() {
        let first = |seed, page: &[u32]| *Entropy::new([seed; 32]).draw(page);
        assert_eq!(first(1, &[!0, 0]), first(1, &[!0, 0]));
        assert_ne!(first(1, &[!0, 0]), first(1, &[!0, 1]), "another content");
        assert_ne!(first(1, &[!0, 0]), first(2, &[!0, 0]), "another part");
    }

    #[test]
    fn once_drawn_from_a_stream_does_not_change_with_what_is_written() {
        let mut entropy = Entropy::new([1; 32]);
        let one = entropy.draw(&[!0]);
        let two = entropy.draw(&[0]);
        entropy.restart([1; 32]);
        assert_eq!((&one, &two), (&entropy.draw(&[!0]), &entropy.draw(&[!0])));
    }

    #[test]
    fn noise_can_repeat_at_power_on() {
        let mut entropy = Entropy::new([1; 32]);
        entropy.noise = Noise::RepeatsAtPowerOn;
        let first = entropy.draw(&[!0]);
        entropy.restart([2; 32]);
        assert_eq!(entropy.draw(&[0]), first);
    }

    #[test]
    fn noise_can_be_the_same_in_all_parts() {
        let same = [1, 2].map(|seed| {
            let mut entropy = Entropy::new([seed; 32]);
            entropy.noise = Noise::SameInAllParts;
            entropy.draw(&[seed.into()])
        });
        assert_eq!(same[0], same[1]);
    }
}
