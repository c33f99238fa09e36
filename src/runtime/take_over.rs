//! Takes the sockets of a running server over without a service manager: this process plays its part.
//! The running server is asked to leave its sockets at a socket of ours, and sends there what it would
//! send to the service manager.
//!
//! It ends only when this process serves, or is still starting after a long time. If this process ends
//! before, the other one starts anew with the same sockets: one of them serves, whatever fails.

use std::io::Write;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io, str};

use crate::net::descriptor_passing;
use crate::runtime::bundle::Bundle;
use crate::runtime::service_manager::SERVING;

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
    pub fn receive(self) -> Result<(Bundle, Promise), TakeOverError> {
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
                let stream = sockets.into_iter().next().map(UnixStream::from);
                return Ok((bundle, Promise(stream)));
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

/// What the other process waits for: that this one serves. Dropped without [`Promise::keep`], also by the
/// end of this process, it makes the other process serve again.
#[derive(Debug)]
pub struct Promise(Option<UnixStream>);

impl Promise {
    /// This process serves: the other one may end.
    pub fn keep(self) {
        let told = self.0.map(|mut stream| stream.write_all(&[SERVING]));
        if let Some(Err(error)) = told {
            tracing::warn!(%error, "the process before this one cannot be told that this one serves");
        }
    }
}

impl Drop for TakeOver {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
