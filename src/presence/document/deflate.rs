//! `Content-Encoding: deflate` (RFC 9110 §8.4.1.2; W:E2.16).
//!
//! Bodies are read with or without the zlib header, because clients send both, and never beyond a
//! limit, which bounds the damage of a decompression bomb. They are written with the header, as the
//! RFC requires.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::presence::document::DocumentFault;

/// The minimum length in octets of a body that is deflated (RFC 9110 §8.4.1.2).
pub const WORTHWHILE_OCTETS: usize = 1200;

/// Limits of an inflated body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InflateLimits {
    /// Maximum octets.
    pub octets_max: usize,
    /// Maximum octets per octet of the deflated body.
    pub ratio_max: usize,
    /// Octets up to which the ratio is not checked, because a short repetitive text is harmless.
    pub ratio_free_octets: usize,
}

impl Default for InflateLimits {
    fn default() -> Self {
        Self {
            octets_max: 1024 * 1024,
            ratio_max: 20,
            ratio_free_octets: 16 * 1024,
        }
    }
}

/// Inflates a body.
///
/// # Errors
/// `TooLarge` over a limit, `Malformed` for anything that is neither zlib nor raw deflate, or is
/// truncated.
pub fn inflate(body: &[u8], limits: InflateLimits) -> Result<Vec<u8>, DocumentFault> {
    let by_ratio = body.len().saturating_mul(limits.ratio_max);
    let octets_max = by_ratio
        .max(limits.ratio_free_octets)
        .min(limits.octets_max);
    if has_zlib_header(body) {
        match inflate_as(true, body, octets_max) {
            Err(DocumentFault::Malformed) => {}
            outcome => return outcome,
        }
    }
    inflate_as(false, body, octets_max)
}

/// Returns whether the body begins with a zlib header (RFC 1950 §2.2). Raw deflate can begin with
/// the same octets.
fn has_zlib_header(body: &[u8]) -> bool {
    body.first_chunk().is_some_and(|&[method, flags]| {
        method & 0xf == 8 && u16::from_be_bytes([method, flags]) % 31 == 0
    })
}

fn inflate_as(zlib: bool, body: &[u8], octets_max: usize) -> Result<Vec<u8>, DocumentFault> {
    const STEP_OCTETS: usize = 16 * 1024;
    let mut state = Decompress::new(zlib);
    let mut out = Vec::new();
    loop {
        let (octets_in, octets_out) = (state.total_in(), out.len());
        let rest = body.get(octets_in as usize..).unwrap_or_default();
        out.reserve(STEP_OCTETS);
        let status = state
            .decompress_vec(rest, &mut out, FlushDecompress::None)
            .map_err(|_| DocumentFault::Malformed)?;
        if out.len() > octets_max {
            return Err(DocumentFault::TooLarge);
        }
        if status == Status::StreamEnd {
            return Ok(out);
        }
        if state.total_in() == octets_in && out.len() == octets_out {
            return Err(DocumentFault::Malformed);
        }
    }
}

/// Deflates bodies one after another. Its memory is allocated once.
#[derive(Debug)]
pub struct Deflater {
    state: Compress,
    deflated: Vec<u8>,
}

impl Default for Deflater {
    fn default() -> Self {
        Self {
            state: Compress::new(Compression::default(), true),
            deflated: Vec::new(),
        }
    }
}

impl Deflater {
    /// Replaces `out[start..]` by its deflated form, unless that is not shorter. Returns whether it
    /// was replaced.
    pub fn deflate(&mut self, out: &mut Vec<u8>, start: usize) -> bool {
        let body = &out[start..];
        self.state.reset();
        self.deflated.clear();
        self.deflated.reserve(body.len());
        let status = self
            .state
            .compress_vec(body, &mut self.deflated, FlushCompress::Finish);
        // The output has room for exactly as many octets as the body has: a deflated form that does
        // not fit is not shorter.
        let is_shorter =
            matches!(status, Ok(Status::StreamEnd)) && self.deflated.len() < body.len();
        if is_shorter {
            out.truncate(start);
            out.extend_from_slice(&self.deflated);
        }
        is_shorter
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn deflated(body: &[u8]) -> Vec<u8> {
        let mut out = b"head".to_vec();
        out.extend_from_slice(body);
        assert!(Deflater::default().deflate(&mut out, 4));
        out.split_off(4)
    }

    fn raw(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    /// W:B5.17, G2
    #[test]
    fn b5_17_with_and_without_the_header() {
        let body = b"<entry uri=\"sip:100@abc.com\"/>\n".repeat(40);
        let limits = InflateLimits::default();
        let zlib = deflated(&body);
        assert_eq!(zlib[..2], [0x78, 0x9c], "RFC 1950");
        assert_eq!(inflate(&zlib, limits).as_deref(), Ok(&*body));
        assert_eq!(inflate(&raw(&body), limits).as_deref(), Ok(&*body));
        // As written by another implementation: a stored block.
        let stored = b"\x78\x01\x01\x02\x00\xfd\xffhi\x01\x3b\x00\xd2";
        assert_eq!(inflate(stored, limits).as_deref(), Ok(&b"hi"[..]));
    }

    /// W:E2.16
    #[test]
    fn e2_16_a_compression_bomb_is_bounded() {
        let limits = InflateLimits::default();
        let bomb = deflated(&vec![b' '; 1_000_000]);
        assert!(bomb.len() < 1100);
        assert_eq!(inflate(&bomb, limits), Err(DocumentFault::TooLarge));
        assert_eq!(
            inflate(&raw(&vec![b' '; 1_000_000]), limits),
            Err(DocumentFault::TooLarge)
        );
        // Below this length the ratio is not checked: a short list of similar names is not a bomb.
        let short = deflated(&vec![b' '; limits.ratio_free_octets]);
        assert!(inflate(&short, limits).is_ok());
        let over = deflated(&vec![b' '; limits.ratio_free_octets + 1]);
        assert_eq!(inflate(&over, limits), Err(DocumentFault::TooLarge));
        // Whatever the ratio, the length stays below the maximum.
        let wide = InflateLimits {
            ratio_max: usize::MAX,
            ..limits
        };
        assert!(inflate(&deflated(&vec![b' '; limits.octets_max]), wide).is_ok());
        let larger = deflated(&vec![b' '; limits.octets_max + 1]);
        assert_eq!(inflate(&larger, wide), Err(DocumentFault::TooLarge));
    }

    #[test]
    fn invalid_and_truncated_deflate_is_refused() {
        let limits = InflateLimits::default();
        let whole = deflated(&b"<resource-lists/>".repeat(9));
        for end in 0..whole.len() {
            assert_eq!(
                inflate(&whole[..end], limits),
                Err(DocumentFault::Malformed),
                "{end}"
            );
        }
        let mut damaged = whole;
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(inflate(&damaged, limits), Err(DocumentFault::Malformed));
        assert_eq!(
            inflate(b"<resource-lists/>", limits),
            Err(DocumentFault::Malformed)
        );
    }

    #[test]
    fn a_body_that_does_not_shrink_is_sent_as_it_is() {
        let mut deflater = Deflater::default();
        let mut out = b"abc".to_vec();
        assert!(!deflater.deflate(&mut out, 0));
        assert_eq!(out, b"abc");
        // The same body again and again.
        for _ in 0..3 {
            let mut out = vec![b'a'; 5000];
            assert!(deflater.deflate(&mut out, 0) && out.len() < 100);
            assert_eq!(inflate(&out, InflateLimits::default()).unwrap().len(), 5000);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_input_does_not_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(inflated) = inflate(&body, InflateLimits::default()) {
                prop_assert!(inflated.len() <= 16 * 1024);
            }
        }
    }
}
