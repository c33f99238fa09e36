//! Takes the sockets of a running server over without a service manager: this process plays its part.
//! The running server is asked to leave its sockets at a socket of ours, and sends there what it would
//! send to the service manager.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io, str};

use crate::net::descriptor_passing;
use crate::runtime::bundle::Bundle;

/// How long the running server may take to finish what it has read.
const PATIENCE: Duration = Duration::from_secs(20);
/// Octets of a message.
const MESSAGE_OCTETS_MAX: usize = 4096;

/// Why nothing was taken over.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// Our socket cannot be made.
    #[error("cannot create {}: {reason}", .path.display())]
    Socket {
        /// Its place.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// It promised to hand over, and did not.
    #[error(
        "the running server has sent {sockets} sockets in {} s, and is not done: this process does not \
         start. If it still runs (`lamplighter status`), try again, or stop it; if not, start without \
         --take-over", PATIENCE.as_secs()
    )]
    Silent {
        /// What came.
        sockets: usize,
    },
}

/// The socket at which the running server is to leave its sockets.
#[derive(Debug)]
pub struct TakeOver {
    path: PathBuf,
    socket: UnixDatagram,
}

impl TakeOver {
    /// Makes it beside the control socket, for this user alone.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn beside(control: &Path) -> Result<Self, TakeOverError> {
        let name = format!("take-over-{}.sock", std::process::id());
        let path = control.with_file_name(name);
        let _absent = fs::remove_file(&path);
        let bind = || {
            let socket = UnixDatagram::bind(&path)?;
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
            Ok(socket)
        };
        match bind() {
            Ok(socket) => Ok(Self { path, socket }),
            Err(reason) => Err(TakeOverError::Socket { path, reason }),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until the running server has left all its sockets and is about to end. It has stopped
    /// reading them, and has released its store and its control socket.
    ///
    /// # Errors
    /// It does not in time.
    pub fn receive(self) -> Result<Bundle, TakeOverError> {
        let deadline = Instant::now() + PATIENCE;
        let mut bundle = Bundle::default();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let silent = |sockets| TakeOverError::Silent { sockets };
            if left.is_zero() || self.socket.set_read_timeout(Some(left)).is_err() {
                return Err(silent(bundle.len()));
            }
            let mut text = [0; MESSAGE_OCTETS_MAX];
            let received = descriptor_passing::receive(&self.socket, &mut text);
            let Ok((length, sockets)) = received else {
                continue;
            };
            let text = str::from_utf8(&text[..length]).unwrap_or_default();
            if text == "BARRIER=1" {
                return Ok(bundle);
            }
            let name = text.lines().find_map(|line| line.strip_prefix("FDNAME="));
            if let Some(name) = name.and_then(|name| name.parse().ok()) {
                sockets
                    .into_iter()
                    .for_each(|socket| bundle.add(name, socket));
            }
        }
    }
}

impl Drop for TakeOver {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
