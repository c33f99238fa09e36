//! Files with secrets: a password file, the secret of a relay, the accounts file, the configuration itself.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use toml::Spanned;

use crate::config::complaint::{Complainer, octets};
use crate::config::schema::Password;

/// Octets of a password.
const PASSWORD_OCTETS_MAX: usize = 1024;

/// The password in the first line of a file.
pub(super) fn password(path: &Path) -> io::Result<String> {
    let refuse = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    let octets = octets(path)?;
    let line = octets.split(|octet| *octet == b'\n').next();
    let line = line.unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return refuse("its first line is empty");
    }
    if line.len() > PASSWORD_OCTETS_MAX {
        return refuse("its first line is longer than 1024 octets");
    }
    match str::from_utf8(line) {
        Ok(password) => Ok(password.to_owned()),
        Err(_) => refuse("its first line is not UTF-8"),
    }
}

/// The secret in a file that the key `password_file` or `secret_file` names; None with a complaint.
pub(super) fn of_file(
    what: &str,
    file: &Spanned<Password>,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Option<String> {
    let path = complainer.source().folder().join(&file.get_ref().0);
    match password(&path) {
        Ok(password) => {
            notes.extend(note_exposure(&path));
            Some(password)
        }
        Err(error) => {
            let fault = format!("{what}_file {}: {error}", path.display());
            let remedy =
                format!("write the {what} into its first line, and let the server's user read it");
            complainer.add(file.span(), fault, remedy);
            None
        }
    }
}

/// A note if every user of the machine may read a file that holds secrets.
pub(super) fn note_exposure(path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o004 != 0).then(|| {
        format!(
            "{0}: holds secrets, and every user of this machine can read it: chmod o= {0}",
            path.display()
        )
    })
}
