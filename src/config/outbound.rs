//! How peers are reached that we connect to: `[dial]` for TLS, `[dns]` for names.

use std::net::{IpAddr, SocketAddr};

use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::schema::{Dial, Dns};
use crate::config::transport_security::{complain, note, path, read_pair};
use crate::dns;
use crate::tls::{Certificate, TlsClient};

/// The port of name servers.
const PORT: u16 = 53;

/// `[dial]`; None with a complaint.
pub(super) fn tls_client(
    dial: &Dial,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Option<TlsClient> {
    let certificate = certificate(dial, complainer);
    notes.extend(certificate.as_ref().and_then(note));
    let authorities = dial.ca.as_ref();
    let client = TlsClient::new(authorities.map(path), certificate);
    client
        .map_err(|error| match authorities {
            Some(place) => complain(place, &error, complainer),
            None => complainer.add(0..0, error.to_string(), error.remedy()),
        })
        .ok()
}

fn certificate(dial: &Dial, complainer: &mut Complainer<'_>) -> Option<Certificate> {
    match (&dial.certificate, &dial.key) {
        (Some(certificate), Some(key)) => read_pair(certificate, key, complainer),
        (None, None) => None,
        (Some(alone), None) | (None, Some(alone)) => {
            let what = "a certificate and its key belong together";
            complainer.add(alone.span(), what, "write both, or neither");
            None
        }
    }
}

/// `[dns]`
pub(super) fn dns(keys: &Dns, complainer: &mut Complainer<'_>) -> dns::Options {
    if keys.min_ttl.get_ref().0 > keys.max_ttl.0 {
        let what = format!(
            "min_ttl = \"{}\" is longer than max_ttl = \"{}\"",
            keys.min_ttl.get_ref(),
            keys.max_ttl
        );
        complainer.add(keys.min_ttl.span(), what, "shorten min_ttl");
    }
    let servers = keys.servers.iter();
    let servers = servers.filter_map(|text| name_server(text, complainer));
    dns::Options {
        servers: servers.collect(),
        timeout: keys.timeout.0,
        ttl_min: keys.min_ttl.get_ref().0,
        ttl_max: keys.max_ttl.0,
        negative_ttl_max: keys.max_negative_ttl.0,
        lookups_max: keys.lookups,
    }
}

/// `10.0.0.53`, `10.0.0.53:5353`, `2001:db8::53`, `[2001:db8::53]:5353`
fn name_server(text: &Spanned<String>, complainer: &mut Complainer<'_>) -> Option<SocketAddr> {
    let given = text.get_ref();
    let address = given.parse::<IpAddr>();
    let address = address.map(|ip| SocketAddr::new(ip, PORT));
    let address = address.or_else(|_| given.parse::<SocketAddr>()).ok();
    let usable = address.filter(|address| !address.ip().is_unspecified() && address.port() != 0);
    if usable.is_none() {
        let what = format!("\"{given}\" is not the address of a name server");
        let remedy = "write an IP address, and a port if it is not 53: \"10.0.0.53\", \"[2001:db8::53]:5353\"";
        complainer.add(text.span(), what, remedy);
    }
    usable
}
