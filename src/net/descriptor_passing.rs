//! Open descriptors on their way between processes: as attachments of a datagram (SCM_RIGHTS,
//! unix(7)), and as inherited by the start of a process.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::ptr;

/// Descriptors of one message; the kernel takes 253 at most.
pub const DESCRIPTORS_MAX: usize = 250;
/// Room for the control message with them.
const CONTROL_OCTETS: usize = 2048;
/// The first descriptor that a service manager passes on (sd_listen_fds(3)).
const INHERITED_START: RawFd = 3;

/// A buffer with the alignment of its headers.
#[repr(C, align(8))]
struct Control([u8; CONTROL_OCTETS]);

/// Sends a text with descriptors over a connected socket.
///
/// # Errors
/// There are more than [`DESCRIPTORS_MAX`], or the socket takes no message.
#[allow(unsafe_code, reason = "sendmsg has no safe wrapper here")]
pub fn send(socket: &UnixDatagram, text: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    if descriptors.len() > DESCRIPTORS_MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut control = Control([0; CONTROL_OCTETS]);
    let mut part = part_of(text.as_ptr().cast_mut(), text.len());
    let mut header = header_of(&mut part);
    if !descriptors.is_empty() {
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let octets = size_of_val(raw.as_slice()) as libc::c_uint;
        header.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: the room of `control` is enough for DESCRIPTORS_MAX descriptors and the header,
        // and it is aligned; the first header of it therefore exists.
        unsafe {
            header.msg_controllen = libc::CMSG_SPACE(octets) as _;
            let message = libc::CMSG_FIRSTHDR(&raw const header);
            (*message).cmsg_level = libc::SOL_SOCKET;
            (*message).cmsg_type = libc::SCM_RIGHTS;
            (*message).cmsg_len = libc::CMSG_LEN(octets) as _;
            let data = libc::CMSG_DATA(message);
            ptr::copy_nonoverlapping(raw.as_ptr().cast(), data, octets as usize);
        }
    }
    // SAFETY: the header points to the text and to `control`, which live through the call; the text
    // is only read.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) };
    match sent {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Receives a message into `text`: how long it is, and its descriptors.
///
/// # Errors
/// Nothing came in time.
#[allow(unsafe_code, reason = "recvmsg has no safe wrapper here")]
pub fn receive(socket: &UnixDatagram, text: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = Control([0; CONTROL_OCTETS]);
    let mut part = part_of(text.as_mut_ptr(), text.len());
    let mut header = header_of(&mut part);
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_OCTETS as _;
    let flags = libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the header points to the text and to `control`, with their true lengths; both live
    // through the call.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    Ok((length, attached(&header)))
}

/// The descriptors that a received message has.
#[allow(unsafe_code, reason = "control messages are read by pointers")]
fn attached(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    // SAFETY: the kernel has just filled the header's control messages; the macros stay within them.
    // Each descriptor is new in this process, and nothing else owns it.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            if (*message).cmsg_level == libc::SOL_SOCKET && (*message).cmsg_type == libc::SCM_RIGHTS
            {
                let octets = (*message).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(message).cast::<RawFd>();
                for index in 0..octets / size_of::<RawFd>() {
                    let raw = ptr::read_unaligned(data.add(index));
                    descriptors.push(OwnedFd::from_raw_fd(raw));
                }
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    descriptors
}

/// Takes the first `count` descriptors that this process was started with, beside the standard
/// streams. Those that are not open are left out, and end the row.
///
/// Must be called once: it takes ownership of what has these numbers.
#[allow(unsafe_code, reason = "inherited descriptors come in their raw form")]
#[must_use]
pub fn inherited(count: usize) -> Vec<OwnedFd> {
    let last = INHERITED_START.saturating_add(RawFd::try_from(count).unwrap_or(RawFd::MAX));
    (INHERITED_START..last)
        // SAFETY: the call takes numbers. It fails for a descriptor that is not open.
        .take_while(|raw| unsafe { libc::fcntl(*raw, libc::F_SETFD, libc::FD_CLOEXEC) } == 0)
        // SAFETY: it is open, and was opened for this process to own.
        .map(|raw| unsafe { OwnedFd::from_raw_fd(raw) })
        .collect()
}

fn part_of(start: *mut u8, octets: usize) -> libc::iovec {
    libc::iovec {
        iov_base: start.cast(),
        iov_len: octets,
    }
}

#[allow(unsafe_code, reason = "a header is empty when it is zero")]
fn header_of(part: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: a header of zeros is a valid one without name, parts and control messages.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = part;
    header.msg_iovlen = 1;
    header
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn descriptors_come_with_their_text() {
        let (near, far) = UnixDatagram::pair().unwrap();
        let pairs: Vec<_> = (0..DESCRIPTORS_MAX)
            .map(|_| UnixStream::pair().unwrap())
            .collect();
        let sent: Vec<_> = pairs.iter().map(|(_, there)| there.as_fd()).collect();
        send(&near, b"many", &sent).unwrap();
        send(&near, b"none", &[]).unwrap();
        let mut text = [0; 64];
        let (length, descriptors) = receive(&far, &mut text).unwrap();
        assert_eq!((&text[..length], descriptors.len()), (&b"many"[..], 250));
        for ((here, _), there) in pairs.iter().zip(descriptors) {
            UnixStream::from(there).write_all(b"x").unwrap();
            let mut here = here;
            here.read_exact(&mut [0]).unwrap();
        }
        let (length, descriptors) = receive(&far, &mut text).unwrap();
        assert_eq!((&text[..length], descriptors.len()), (&b"none"[..], 0));
        let many = vec![near.as_fd(); DESCRIPTORS_MAX + 1];
        assert!(send(&near, b"", &many).is_err());
    }
}
