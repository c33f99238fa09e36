//! Reads small files without ever blocking.

use std::fs::{File, OpenOptions};
use std::io;
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::tls::error::TlsError;

/// Octets of a file: room for the authorities of a whole system.
const OCTETS_MAX: u64 = 4 << 20;

/// What a file holds.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    contents(path).map(|(octets, _)| octets)
}

/// What a file holds that other users of the machine must not read.
pub(super) fn read_secret(path: &Path) -> Result<Vec<u8>, TlsError> {
    let (octets, mode) = contents(path)?;
    match mode & 0o004 {
        0 => Ok(octets),
        _ => Err(TlsError::PublicKey(path.to_owned())),
    }
}

/// What it holds, and its permissions.
fn contents(path: &Path) -> Result<(Vec<u8>, u32), TlsError> {
    let unreadable = |reason| TlsError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let open = || {
        // Opening a FIFO would wait for its other end.
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        read_regular(file)
    };
    open().map_err(unreadable)
}

fn read_regular(file: File) -> io::Result<(Vec<u8>, u32)> {
    let refuse = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return refuse("not a regular file");
    }
    if metadata.len() > OCTETS_MAX {
        return refuse("longer than 4 MiB");
    }
    let mut octets = Vec::new();
    file.take(OCTETS_MAX).read_to_end(&mut octets)?;
    Ok((octets, metadata.permissions().mode()))
}
