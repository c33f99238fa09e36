//! Unguessable tokens from a seeded stream cipher: equal seeds give equal tokens, so that a
//! simulator run can be repeated.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The only source of randomness of a shard. In production its seed comes from the kernel, in the
/// simulator from the run.
#[derive(Clone, Debug)]
pub struct Random(ChaCha8Rng);

/// Rounds of a random test: a hundredth under Miri, which is slow.
#[cfg(test)]
pub(crate) const fn rounds(usual: usize) -> usize {
    match cfg!(miri) {
        true => usual / 100,
        false => usual,
    }
}

impl Random {
    /// A generator; equal seeds give equal sequences.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha8Rng::from_seed(seed))
    }

    /// Another generator, with a seed from this one.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.0.fork())
    }

    /// 64 unguessable bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`; 0 if `bound` is 0. The bias is below 2^-32 for every bound in use.
    pub fn below(&mut self, bound: u32) -> u32 {
        (((self.next_u64() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// Fills the slice with lower-case hexadecimal digits.
    pub fn fill_hex(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(16) {
            let mut bits = self.next_u64();
            for digit in chunk {
                *digit = b"0123456789abcdef"[(bits & 15) as usize];
                bits >>= 4;
            }
        }
    }
}
