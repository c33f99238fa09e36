//! What a certificate is for: a SIP domain (RFC 5922 §7), or users of one.

use rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

/// URIs of one certificate that count.
const URIS_MAX: usize = 16;

/// The URIs among the names of a certificate that was verified, at most 16. That of a SIP user is
/// `sip:user@domain`.
#[must_use]
pub fn uris_of(certificate: &CertificateDer<'_>) -> Vec<Box<str>> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return Vec::new();
    };
    let uris = certificate.valid_uri_names();
    uris.take(URIS_MAX).map(Box::from).collect()
}

/// Whether a certificate is for that domain, or for that address.
///
/// The URIs of the form `sip:example.com` in it are the domains that it is for; only if it has none, its
/// DNS names are (§7.1). A name is compared as a whole: a wildcard stands for nothing (§7.2), and the
/// subject's common name does not count.
pub(super) fn is_for(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return false;
    };
    let ServerName::DnsName(domain) = name else {
        return certificate.verify_is_valid_for_subject_name(name).is_ok();
    };
    let domain = without_dot(domain.as_ref());
    let is_named = |known: &str| without_dot(known).eq_ignore_ascii_case(domain);
    let mut domains = certificate
        .valid_uri_names()
        .filter_map(domain_of)
        .peekable();
    match domains.peek() {
        Some(_) => domains.any(is_named),
        None => certificate.valid_dns_names().any(is_named),
    }
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// The domain that a URI names: the host of a SIP URI without a user (§7.1).
fn domain_of(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    let is_domain = scheme.eq_ignore_ascii_case("sip") && !rest.contains('@');
    let host = rest.split([':', ';', '?']).next();
    host.filter(|host| is_domain && !host.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(uris: &[&str], names: &[&str]) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        let uris = uris.iter().copied().map(str::to_owned);
        let uris = uris.map(|uri| SanType::URI(uri.try_into().unwrap()));
        parameters.subject_alt_names.extend(uris);
        let key = KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().der().clone()
    }

    /// Whether a certificate with these URIs and names is for that host.
    fn check(uris: &[&str], names: &[&str], host: &str) -> bool {
        let host = ServerName::try_from(host).unwrap();
        is_for(&certificate(uris, names), &host)
    }

    #[test]
    fn uris_are_found_among_other_names() {
        let uris = ["sip:123@abc.com", "https://abc.com/"];
        let certificate = certificate(&uris, &["sbc.example.com", "192.0.2.1"]);
        assert_eq!(uris_of(&certificate), uris.map(Box::from));
        let cut = CertificateDer::from(&certificate[..certificate.len() - 1]);
        assert_eq!(uris_of(&cut), []);
    }

    #[test]
    fn the_number_of_uris_is_bounded_and_there_may_be_none() {
        assert_eq!(uris_of(&certificate(&[], &[])), []);
        let many: Vec<String> = (0..40).map(|user| format!("sip:{user}@abc.com")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(uris_of(&certificate(&many, &[])).len(), URIS_MAX);
    }

    #[test]
    fn a_dns_name_counts_if_no_sip_uri_is_there() {
        assert!(check(&[], &["a.example", "b.example"], "B.example"));
        assert!(check(&["http://c.example"], &["a.example"], "a.example"));
        assert!(check(&["sip:user@a.example"], &["b.example"], "b.example"));
        assert!(!check(&["sip:a.example"], &["b.example"], "b.example"));
        assert!(!check(&[], &["a.example"], "sip.a.example"));
        assert!(!check(&[], &[], "a.example"));
    }

    #[test]
    fn a_sip_uri_without_a_user_is_a_domain() {
        let uris = ["sip:a.example", "SIP:b.example:5061;transport=tls"];
        for host in ["a.example", "A.EXAMPLE", "b.example"] {
            assert!(check(&uris, &[], host), "{host}");
        }
        assert!(!check(&uris, &[], "c.example"));
        assert!(!check(&["sip:user@a.example"], &[], "a.example"));
        assert!(!check(&["sips:a.example"], &[], "a.example"));
    }

    #[test]
    fn a_wildcard_stands_for_nothing() {
        assert!(!check(&[], &["*.a.example"], "sip.a.example"));
        assert!(!check(&["sip:*.a.example"], &[], "sip.a.example"));
    }

    #[test]
    fn an_address_is_compared_with_addresses() {
        assert!(check(&[], &["192.0.2.1"], "192.0.2.1"));
        assert!(check(&["sip:a.example"], &["2001:db8::1"], "2001:db8::1"));
        assert!(!check(&["sip:192.0.2.1"], &["192.0.2.2"], "192.0.2.1"));
    }
}
