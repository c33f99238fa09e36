//! The URIs among the names of a certificate (RFC 5280 §4.2.1.6): of a SIP user, `sip:user@domain` (RFC
//! 5922 §7.1).

use std::iter::successors;

use crate::tls::der::{BOOLEAN, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE};
use crate::tls::der::{next, skip, take};

/// URIs of one certificate.
const URIS_MAX: usize = 16;
/// Parts of a certificate that may be left out.
const VERSION: u8 = 0xa0;
const ISSUER_ID: u8 = 0x81;
const SUBJECT_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;
/// The object identifier of the names: 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// The tag of a URI among the names.
const URI: u8 = 0x86;

/// Those of a certificate that was verified, up to [`URIS_MAX`]. None if it is not a certificate.
pub(super) fn of(certificate: &[u8]) -> Option<Vec<Box<str>>> {
    let (certificate, _) = take(SEQUENCE, certificate)?;
    let (signed, _) = take(SEQUENCE, certificate)?;
    let (_serial_number, mut rest) = take(INTEGER, skip(VERSION, signed))?;
    // Algorithm, issuer, validity, subject, key.
    for _ in 0..5 {
        (_, rest) = take(SEQUENCE, rest)?;
    }
    let rest = skip(SUBJECT_ID, skip(ISSUER_ID, rest));
    let Some((extensions, _)) = take(EXTENSIONS, rest) else {
        return Some(Vec::new());
    };
    let (extensions, _) = take(SEQUENCE, extensions)?;
    let names = elements(extensions).find_map(|(_, extension)| names(extension));
    let uris = elements(names.unwrap_or_default()).filter(|(tag, _)| *tag == URI);
    let texts = uris.filter_map(|(_, uri)| str::from_utf8(uri).ok());
    Some(texts.map(Box::from).take(URIS_MAX).collect())
}

/// The names in an extension, if it is that of the names.
fn names(extension: &[u8]) -> Option<&[u8]> {
    let (kind, rest) = take(OBJECT_IDENTIFIER, extension)?;
    let (value, _) = take(OCTET_STRING, skip(BOOLEAN, rest))?;
    let (names, _) = take(SEQUENCE, value)?;
    (kind == SUBJECT_ALT_NAME).then_some(names)
}

/// The elements of a sequence, with their tags.
fn elements(sequence: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let all = successors(next(sequence), |(_, _, rest)| next(rest));
    all.map(|(tag, element, _)| (tag, element))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, SanType};

    use super::*;

    fn certificate(names: Vec<SanType>) -> Vec<u8> {
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names = names;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    #[test]
    fn uris_are_found_among_other_names() {
        let names = vec![
            SanType::DnsName("sbc.example.com".try_into().unwrap()),
            uri("sip:123@abc.com"),
            SanType::IpAddress([192, 0, 2, 1].into()),
            uri("https://abc.com/"),
        ];
        let certificate = certificate(names);
        let found = of(&certificate).unwrap();
        let found: Vec<&str> = found.iter().map(|uri| &**uri).collect();
        assert_eq!(found, ["sip:123@abc.com", "https://abc.com/"]);
        for length in 0..certificate.len() - 1 {
            assert_eq!(of(&certificate[..length]), None);
        }
    }

    #[test]
    fn their_number_is_bounded_and_there_may_be_none() {
        assert_eq!(of(&certificate(Vec::new())), Some(Vec::new()));
        let many = (0..40).map(|user| uri(&format!("sip:{user}@abc.com")));
        assert_eq!(of(&certificate(many.collect())).unwrap().len(), URIS_MAX);
    }
}
