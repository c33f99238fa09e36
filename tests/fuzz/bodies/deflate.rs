//! A deflated body: what comes out is within the limits, however small the body is.

use lamplighter::presence::document::DocumentFault;
use lamplighter::presence::document::deflate::{Deflater, InflateLimits, inflate};

/// The octets are a deflated body; and, deflated by us, they come back.
pub(crate) fn deflate(octets: &[u8]) {
    let limits = InflateLimits::default();
    match inflate(octets, limits) {
        Ok(body) => {
            let by_ratio = octets.len() * limits.ratio_max;
            assert!(body.len() <= limits.octets_max);
            assert!(body.len() <= by_ratio.max(limits.ratio_free_octets));
        }
        Err(fault) => assert!(matches!(
            fault,
            DocumentFault::Malformed | DocumentFault::TooLarge
        )),
    }
    let mut out = octets.to_vec();
    if Deflater::default().deflate(&mut out, 0) {
        let wide = InflateLimits {
            ratio_max: 2000,
            ..limits
        };
        assert_eq!(inflate(&out, wide).as_deref(), Ok(octets));
    }
}
