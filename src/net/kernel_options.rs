//! Socket options that no safe wrapper offers.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use socket2::Socket;

/// Asks for larger buffers: beyond the system's limit if permitted (CAP_NET_ADMIN), otherwise up to
/// it. Smaller buffers are no error: bursts lose datagrams sooner (counted); a warning is logged
/// once.
pub(crate) fn enlarge_buffers(socket: &Socket, octets: usize) {
    let forced = i32::try_from(octets).unwrap_or(i32::MAX);
    if set(
        socket.as_fd(),
        libc::SOL_SOCKET,
        libc::SO_RCVBUFFORCE,
        forced,
    )
    .is_err()
    {
        let _ = socket.set_recv_buffer_size(octets);
    }
    if set(
        socket.as_fd(),
        libc::SOL_SOCKET,
        libc::SO_SNDBUFFORCE,
        forced,
    )
    .is_err()
    {
        let _ = socket.set_send_buffer_size(octets);
    }
    // The kernel doubles what it is asked for, to account for its own overhead.
    if let Ok(granted) = socket.recv_buffer_size()
        && granted < octets
    {
        tracing::info!(
            granted,
            wanted = octets,
            "the receive buffer is small: raise net.core.rmem_max, or bursts of datagrams will be lost"
        );
    }
}

/// Enables SO_RXQ_OVFL: each datagram carries the kernel's drop count.
pub(crate) fn report_lost_datagrams(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)
}

/// Enables UDP GRO: datagrams that a peer sent as one batch arrive as one batch. A kernel before
/// 5.0 delivers them one by one.
pub(crate) fn receive_trains(socket: BorrowedFd<'_>) {
    let _ = set(socket, libc::SOL_UDP, libc::UDP_GRO, 1);
}

/// From now on every datagram carries the address of ours that it was sent to.
pub(crate) fn report_local_address(socket: BorrowedFd<'_>, v6: bool) -> io::Result<()> {
    if v6 {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
    } else {
        set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
    }
}

#[allow(
    unsafe_code,
    reason = "setsockopt has no safe wrapper for these options"
)]
pub(super) fn set(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let place: *const libc::c_int = &raw const value;
    let octets = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open for as long as it is borrowed; the option is an int that lives
    // through the call.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, place.cast(), octets) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
