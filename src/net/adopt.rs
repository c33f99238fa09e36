//! Hands a listening socket made elsewhere to the executor that runs now.

use std::io;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;

use glommio::net::TcpListener;

/// Makes a listening stream socket, TCP or Unix, acceptable on this executor. The executor's
/// listener does not mind the address family as long as nobody asks a Unix socket for addresses.
pub fn listener(socket: impl Into<OwnedFd>) -> io::Result<TcpListener> {
    // A descriptor that does not block would make io_uring's accept return at once instead of
    // waiting. The mode belongs to the open socket, so that setting it through either type is the
    // same.
    let socket = std::net::TcpListener::from(socket.into());
    socket.set_nonblocking(false)?;
    let descriptor = socket.into_raw_fd();
    // SAFETY: the descriptor is open and was owned by `socket`, which gave it up in the line above;
    // from here the executor's listener alone owns it and closes it once.
    #[allow(
        unsafe_code,
        reason = "the executor takes over a descriptor only in its raw form"
    )]
    let adopted = unsafe { TcpListener::from_raw_fd(descriptor) };
    Ok(adopted)
}
