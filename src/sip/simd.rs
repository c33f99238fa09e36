//! A 16-byte SIMD scan for delimiters: finds the end of a line, a name or a value. Nearly every
//! octet of a message passes through it.
//!
//! It is faster from about two dozen octets on. For shorter words
//! [`skip_class`](crate::sip::header::octets::skip_class), octet by octet, is cheaper (measured).

use wide::u8x16;

/// Sixteen consecutive octets of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block(u8x16);

/// The octets of a block that matched a comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mask(u8x16);

impl Block {
    /// Octets in a block.
    pub(crate) const OCTETS: usize = 16;

    /// The block at the front of a text and the text after it; None if the text is shorter than a
    /// block.
    #[inline]
    pub(crate) fn split_first(text: &[u8]) -> Option<(Self, &[u8])> {
        let (octets, behind) = text.split_first_chunk()?;
        Some((Self(u8x16::new(*octets)), behind))
    }

    /// The last block of a text; a shorter text is padded with zeros in front.
    #[inline]
    fn last(text: &[u8]) -> Self {
        Self(u8x16::new(match text.last_chunk() {
            Some(octets) => *octets,
            None => padded(text),
        }))
    }

    /// The block as two little-endian words.
    #[inline]
    pub(crate) fn words(self) -> [u64; 2] {
        let octets = self.0.to_array();
        let (halves, _) = octets.as_chunks();
        [u64::from_le_bytes(halves[0]), u64::from_le_bytes(halves[1])]
    }

    /// The octets equal to `octet`.
    #[inline]
    pub(crate) fn equal(self, octet: u8) -> Mask {
        Mask(self.0.simd_eq(u8x16::splat(octet)))
    }

    /// The octets less than or equal to `octet`.
    #[inline]
    pub(crate) fn up_to(self, octet: u8) -> Mask {
        Mask(self.0.simd_le(u8x16::splat(octet)))
    }
}

impl Mask {
    /// The octets in either mask.
    #[inline]
    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The index of the first match.
    #[inline]
    pub(crate) fn first(self) -> Option<usize> {
        self.first_from(0)
    }

    /// The distance from `place` to the first match at or after it.
    #[inline]
    fn first_from(self, place: usize) -> Option<usize> {
        let matches = self.0.to_bitmask() >> place;
        (matches != 0).then_some(matches.trailing_zeros() as usize)
    }
}

/// The first index at or after `from` whose octet matches; the text's length if there is none.
/// `from` must not be past the end of the text.
#[inline(always)]
pub(crate) fn find(text: &[u8], from: usize, matches: impl Fn(Block) -> Mask) -> usize {
    let mut rest = &text[from..];
    while let Some((block, behind)) = Block::split_first(rest) {
        if let Some(found) = matches(block).first() {
            return text.len() - rest.len() + found;
        }
        rest = behind;
    }
    // The last block overlaps the one before; the octets in the overlap were searched already.
    match matches(Block::last(text)).first_from(Block::OCTETS - rest.len()) {
        Some(found) => text.len() - rest.len() + found,
        None => text.len(),
    }
}

/// A text shorter than a block, padded with zeros in front.
#[cold]
fn padded(text: &[u8]) -> [u8; Block::OCTETS] {
    let mut octets = [0; Block::OCTETS];
    octets[Block::OCTETS - text.len()..].copy_from_slice(text);
    octets
}
