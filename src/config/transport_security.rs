//! The certificates of a listener: read, and checked as a whole.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::files::Files;
use crate::config::schema::{Https, SipListen, TransportKind};
use crate::tls::{Certificate, HTTP_1_1, HTTP_2, Keyring, TlsError};

/// The keys of a listener that name files.
#[derive(Clone, Copy)]
struct Named<'l> {
    certificate: &'l Files,
    key: &'l Files,
    client_ca: Option<&'l Spanned<PathBuf>>,
}

/// What a SIP listener presents; None if it needs none, or with a complaint.
pub(super) fn keyring(
    listen: &SipListen,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Option<Keyring> {
    let named = Named {
        certificate: &listen.certificate,
        key: &listen.key,
        client_ca: listen.client_ca.as_ref(),
    };
    let place = listen.transport.span();
    match listen.transport.get_ref() {
        TransportKind::Tls | TransportKind::Wss => read(named, &[], place, complainer, notes),
        _ => {
            refuse_files(named, place, complainer);
            None
        }
    }
}

/// What a listener of HTTPS presents; None with a complaint.
pub(super) fn https_keyring(
    https: &Https,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Option<Keyring> {
    let named = Named {
        certificate: &https.certificate,
        key: &https.key,
        client_ca: https.client_ca.as_ref(),
    };
    let protocols = [HTTP_2, HTTP_1_1];
    read(named, &protocols, https.address.span(), complainer, notes)
}

/// Reads the files of the listener at `place`.
fn read(
    named: Named<'_>,
    protocols: &[&[u8]],
    place: Range<usize>,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Option<Keyring> {
    let pairs = pairs(named, place, complainer)?;
    let read = pairs.map(|(certificate, key)| read_pair(certificate, key, complainer));
    // All of them, so that no fault hides another.
    let certificates: Vec<_> = read.collect();
    let certificates: Vec<_> = certificates.into_iter().collect::<Option<_>>()?;
    notes.extend(certificates.iter().filter_map(note));
    let authority = named.client_ca;
    let keyring = Keyring::new(certificates, protocols, authority.map(path));
    let place = authority.unwrap_or_else(|| &named.certificate.0[0]);
    keyring
        .map_err(|error| complain(place, &error, complainer))
        .ok()
}

/// Other transports have no certificate.
fn refuse_files(named: Named<'_>, transport: Range<usize>, complainer: &mut Complainer<'_>) {
    if complainer.is_misread(&transport) {
        return;
    }
    let files = [named.certificate, named.key].map(|files| files.0.first());
    for file in files.into_iter().chain([named.client_ca]).flatten() {
        let what = "only a listener with transport = \"tls\" or \"wss\" has a certificate, key or client_ca";
        complainer.add(file.span(), what, "remove it, or change the transport");
    }
}

/// Each certificate with its key.
fn pairs<'l>(
    named: Named<'l>,
    place: Range<usize>,
    complainer: &mut Complainer<'_>,
) -> Option<impl Iterator<Item = (&'l Spanned<PathBuf>, &'l Spanned<PathBuf>)> + use<'l>> {
    let (certificates, keys) = (&named.certificate.0, &named.key.0);
    if certificates.is_empty() || certificates.len() != keys.len() {
        let what = match certificates.len() {
            0 => "a listener with TLS needs a certificate and its key".to_owned(),
            count => format!("there are {count} certificates and {} keys", keys.len()),
        };
        let remedy = "write certificate = \"FILE\" and key = \"FILE\", or lists of as many files; for a \
                      lab, `lamplighter certificate self-signed NAME` makes both";
        complainer.add(place, what, remedy);
        return None;
    }
    Some(certificates.iter().zip(keys))
}

/// A certificate with its key, or a complaint.
pub(super) fn read_pair(
    certificate: &Spanned<PathBuf>,
    key: &Spanned<PathBuf>,
    complainer: &mut Complainer<'_>,
) -> Option<Certificate> {
    let read = Certificate::read(path(certificate), path(key));
    let is_of_key = |error: &TlsError| match error {
        TlsError::Unreadable { path, .. } => path == key.get_ref(),
        TlsError::NoKey(_) | TlsError::UnknownKey(_) | TlsError::PublicKey(_) => true,
        TlsError::Mismatch { .. } => true,
        _ => false,
    };
    read.map_err(|error| {
        let place = if is_of_key(&error) { key } else { certificate };
        complain(place, &error, complainer);
    })
    .ok()
}

/// Complains of a file.
pub(super) fn complain(
    place: &Spanned<PathBuf>,
    error: &TlsError,
    complainer: &mut Complainer<'_>,
) {
    complainer.add(place.span(), error.to_string(), error.remedy());
}

/// The file.
pub(super) fn path(file: &Spanned<PathBuf>) -> &Path {
    file.get_ref()
}

/// What is probably a mistake with a certificate.
pub(super) fn note(certificate: &Certificate) -> Option<String> {
    let now = SystemTime::now();
    let (file, at) = (
        certificate.path.display(),
        humantime::format_rfc3339_seconds,
    );
    if certificate.not_after <= now {
        let end = at(certificate.not_after);
        return Some(format!(
            "the certificate {file} ran out at {end}: peers refuse it"
        ));
    }
    (certificate.not_before > now).then(|| {
        let begin = at(certificate.not_before);
        format!("the certificate {file} is not valid before {begin}: peers refuse it")
    })
}
