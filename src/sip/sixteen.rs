//! Sixteen octets looked at at once: how the searches that nearly every octet of a message passes
//! through find what ends a line, a name or a value.
//!
//! Pays from about two dozen octets on; shorter words are cheaper by
//! [`skip_class`](crate::sip::header::octets::skip_class), one by one (measured).

use wide::u8x16;

/// Sixteen neighbours in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sixteen(u8x16);

/// Some of the sixteen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks(u8x16);

impl Sixteen {
    /// How many they are.
    pub(crate) const COUNT: usize = 16;

    /// Those at the front of a text and what is behind them; None where there are fewer.
    #[inline]
    pub(crate) fn split_first(text: &[u8]) -> Option<(Self, &[u8])> {
        let (octets, behind) = text.split_first_chunk()?;
        Some((Self(u8x16::new(*octets)), behind))
    }

    /// The last ones of a text, with zeros in front of a shorter one.
    #[inline]
    fn last(text: &[u8]) -> Self {
        Self(u8x16::new(match text.last_chunk() {
            Some(octets) => *octets,
            None => padded(text),
        }))
    }

    /// The first eight and the other eight as little-endian words.
    #[inline]
    pub(crate) fn words(self) -> [u64; 2] {
        let octets = self.0.to_array();
        let (halves, _) = octets.as_chunks();
        [u64::from_le_bytes(halves[0]), u64::from_le_bytes(halves[1])]
    }

    /// Those that are this octet.
    #[inline]
    pub(crate) fn equal(self, octet: u8) -> Marks {
        Marks(self.0.simd_eq(u8x16::splat(octet)))
    }

    /// Those that are this octet or a lower one.
    #[inline]
    pub(crate) fn up_to(self, octet: u8) -> Marks {
        Marks(self.0.simd_le(u8x16::splat(octet)))
    }
}

impl Marks {
    /// Those of either.
    #[inline]
    pub(crate) fn or(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// The place of the first.
    #[inline]
    pub(crate) fn first(self) -> Option<usize> {
        self.behind(0)
    }

    /// How far behind `place` the first of those is that are not in front of it.
    #[inline]
    fn behind(self, place: usize) -> Option<usize> {
        let marks = self.0.to_bitmask() >> place;
        (marks != 0).then_some(marks.trailing_zeros() as usize)
    }
}

/// The first place at or behind `from` whose octet is marked; the text's length where none is.
/// `from` is not behind the end.
#[inline(always)]
pub(crate) fn find(text: &[u8], from: usize, marks: impl Fn(Sixteen) -> Marks) -> usize {
    let mut rest = &text[from..];
    while let Some((octets, behind)) = Sixteen::split_first(rest) {
        if let Some(found) = marks(octets).first() {
            return text.len() - rest.len() + found;
        }
        rest = behind;
    }
    // Those in front of the rest are looked at again, and shifted out.
    match marks(Sixteen::last(text)).behind(Sixteen::COUNT - rest.len()) {
        Some(found) => text.len() - rest.len() + found,
        None => text.len(),
    }
}

/// A text of fewer than sixteen octets with zeros in front.
#[cold]
fn padded(text: &[u8]) -> [u8; Sixteen::COUNT] {
    let mut octets = [0; Sixteen::COUNT];
    octets[Sixteen::COUNT - text.len()..].copy_from_slice(text);
    octets
}
