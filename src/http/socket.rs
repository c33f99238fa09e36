//! Hands a listening socket made elsewhere to this core's executor. The only foreign call of this room.

use std::io;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;

use glommio::net::TcpListener;

/// Makes a listening stream socket, TCP or Unix, acceptable on the executor that runs now. The executor's listener does not mind
/// the address family as long as nobody asks for addresses, and nobody does.
pub(super) fn adopt(listener: OwnedFd) -> io::Result<TcpListener> {
    // A descriptor that does not block would make io_uring's accept return at once instead of waiting. The mode belongs to
    // the open socket, so that setting it through either type is the same.
    let listener = std::net::TcpListener::from(listener);
    listener.set_nonblocking(false)?;
    let descriptor = listener.into_raw_fd();
    // SAFETY: the descriptor is open and was owned by `listener`, which gave it up in the line above; from here the executor's
    // listener alone owns it and closes it once.
    #[allow(
        unsafe_code,
        reason = "the executor offers no safe way to take over a listening socket"
    )]
    let adopted = unsafe { TcpListener::from_raw_fd(descriptor) };
    Ok(adopted)
}
