//! What a certificate is for: a SIP domain (RFC 5922 §7), or users of one.

use rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

/// URIs of one certificate that count, and domains.
const NAMES_MAX: usize = 16;

/// The URIs among the names of a certificate that was verified, at most 16. That of a SIP user is
/// `sip:user@domain`.
#[must_use]
pub fn uris_of(certificate: &CertificateDer<'_>) -> Vec<Box<str>> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return Vec::new();
    };
    let uris = certificate.valid_uri_names();
    uris.take(NAMES_MAX).map(Box::from).collect()
}

/// The domains that a certificate which was verified is for (RFC 5922 §7.1), in lower case and without a
/// trailing dot, at most 16.
#[must_use]
pub fn domains_of(certificate: &CertificateDer<'_>) -> Vec<Box<str>> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return Vec::new();
    };
    let domains = domains(&certificate).take(NAMES_MAX);
    domains
        .map(|domain| without_dot(domain).to_ascii_lowercase().into())
        .collect()
}

/// Whether a certificate is for that domain, or for that address. A name is compared as a whole: a
/// wildcard stands for nothing (§7.2).
pub(super) fn is_for(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return false;
    };
    let ServerName::DnsName(domain) = name else {
        return certificate.verify_is_valid_for_subject_name(name).is_ok();
    };
    let domain = without_dot(domain.as_ref());
    let is_named = |known: &str| without_dot(known).eq_ignore_ascii_case(domain);
    domains(&certificate).any(is_named)
}

/// The domains that a certificate is for, as they are written: its URIs of the form `sip:example.com`;
/// only if it has none, its DNS names (§7.1). The subject's common name does not count.
fn domains<'c>(certificate: &'c EndEntityCert<'_>) -> impl Iterator<Item = &'c str> {
    let of_uris = || certificate.valid_uri_names().filter_map(domain_of);
    let has_none = of_uris().next().is_none();
    let names = has_none.then(|| certificate.valid_dns_names());
    of_uris().chain(names.into_iter().flatten())
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
        assert_eq!(uris_of(&certificate(&many, &[])).len(), NAMES_MAX);
    }

    #[test]
    fn the_domains_of_a_certificate_are_those_that_it_is_for() {
        let of = |uris: &[&str], names: &[&str]| domains_of(&certificate(uris, names)).join(" ");
        let (users, hosts) = (&["sip:1@a.example"], &["SBC.a.example", "b.example"]);
        assert_eq!(of(users, hosts), "sbc.a.example b.example");
        assert_eq!(of(&["sip:C.example;transport=tls"], hosts), "c.example");
        assert_eq!(of(users, &["192.0.2.1"]), "");
        let many: Vec<String> = (0..40).map(|host| format!("h{host}.example")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let many = certificate(&[], &many);
        assert_eq!(domains_of(&many).len(), NAMES_MAX);
        let cut = CertificateDer::from(&many[..many.len() - 1]);
        assert_eq!(domains_of(&cut), []);
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
