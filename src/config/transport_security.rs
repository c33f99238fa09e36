//! The certificates of a listener: read, and checked as a whole.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::schema::{SipListen, TransportKind};
use crate::tls::{Certificate, Keyring, TlsError};

/// What a listener presents; None if it needs none, or with a complaint.
pub(super) fn keyring(
    listen: &SipListen,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Option<Keyring> {
    if !matches!(
        listen.transport.get_ref(),
        TransportKind::Tls | TransportKind::Wss
    ) {
        refuse_files(listen, complainer);
        return None;
    }
    let pairs = pairs(listen, complainer)?;
    let read = pairs.map(|(certificate, key)| read(certificate, key, complainer));
    // All of them, so that no fault hides another.
    let certificates: Vec<_> = read.collect();
    let certificates: Vec<_> = certificates.into_iter().collect::<Option<_>>()?;
    notes.extend(certificates.iter().filter_map(note));
    let authority = listen.client_ca.as_ref();
    let keyring = Keyring::new(certificates, authority.map(path));
    let place = authority.unwrap_or_else(|| &listen.certificate.0[0]);
    keyring
        .map_err(|error| complain(place, &error, complainer))
        .ok()
}

/// Other transports have no certificate.
fn refuse_files(listen: &SipListen, complainer: &mut Complainer<'_>) {
    if complainer.is_misread(&listen.transport.span()) {
        return;
    }
    let files = [&listen.certificate, &listen.key].map(|files| files.0.first());
    for file in files
        .into_iter()
        .chain([listen.client_ca.as_ref()])
        .flatten()
    {
        let what = "only a listener with transport = \"tls\" or \"wss\" has a certificate, key or client_ca";
        complainer.add(file.span(), what, "remove it, or change the transport");
    }
}

/// Each certificate with its key.
fn pairs<'l>(
    listen: &'l SipListen,
    complainer: &mut Complainer<'_>,
) -> Option<impl Iterator<Item = (&'l Spanned<PathBuf>, &'l Spanned<PathBuf>)> + use<'l>> {
    let (certificates, keys) = (&listen.certificate.0, &listen.key.0);
    if certificates.is_empty() || certificates.len() != keys.len() {
        let what = match certificates.len() {
            0 => "a listener with TLS needs a certificate and its key".to_owned(),
            count => format!("there are {count} certificates and {} keys", keys.len()),
        };
        let remedy = "write certificate = \"FILE\" and key = \"FILE\", or lists of as many files; for a \
                      lab, `lamplighter certificate self-signed NAME` makes both";
        complainer.add(listen.transport.span(), what, remedy);
        return None;
    }
    Some(certificates.iter().zip(keys))
}

fn read(
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

fn complain(place: &Spanned<PathBuf>, error: &TlsError, complainer: &mut Complainer<'_>) {
    complainer.add(place.span(), error.to_string(), error.remedy());
}

fn path(file: &Spanned<PathBuf>) -> &Path {
    file.get_ref()
}

/// What is probably a mistake with a certificate.
fn note(certificate: &Certificate) -> Option<String> {
    let now = SystemTime::now();
    let (file, at) = (
        certificate.path.display(),
        humantime::format_rfc3339_seconds,
    );
    if certificate.not_after <= now {
        let end = at(certificate.not_after);
        return Some(format!(
            "the certificate {file} ran out at {end}: phones refuse it"
        ));
    }
    (certificate.not_before > now).then(|| {
        let begin = at(certificate.not_before);
        format!("the certificate {file} is not valid before {begin}: phones refuse it")
    })
}
