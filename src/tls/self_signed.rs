//! Makes a self-signed certificate, for a lab: no authority has signed it.

use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};

/// A day.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A certificate and its key, as texts for two files.
#[derive(Debug)]
pub struct SelfSigned {
    /// The certificate in PEM.
    pub certificate: String,
    /// The key in PEM.
    pub key: String,
}

/// A certificate for these names and addresses, from yesterday (clocks differ) until so many days from
/// now, with an ECDSA key on P-256, which every phone with TLS 1.2 understands.
///
/// # Errors
/// A name cannot be in a certificate.
pub fn self_signed(names: &[String], days: u32) -> Result<SelfSigned, rcgen::Error> {
    let mut parameters = CertificateParams::new(names)?;
    let now = SystemTime::now();
    parameters.not_before = (now - DAY).into();
    parameters.not_after = (now + DAY * days).into();
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let common_name = names.first().map_or("", String::as_str);
    let subject = &mut parameters.distinguished_name;
    subject.push(DnType::CommonName, common_name);
    let key = KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;
    Ok(SelfSigned {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}
