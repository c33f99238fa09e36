//! UDP by the kernel's socket, in batches.

use std::cell::{RefCell, RefMut};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::net::datagram::receive::ReceiveBatch;
use crate::net::datagram::transmit::SendBatch;
use crate::net::datagram::{Datagram, DatagramTransport, Interest, ReceivedDatagrams, Sent};

/// Milliseconds that one wait for room in the send buffer may take before the caller tries again.
const WRITABLE_WAIT_MILLISECONDS: libc::c_int = 100;
/// The pause before the next try where the kernel cannot be asked for room.
const BLIND_PAUSE: Duration = Duration::from_millis(5);

/// A bound UDP socket.
#[derive(Debug)]
pub struct UdpTransport {
    socket: glommio::net::UdpSocket,
    bound: SocketAddr,
    received: RefCell<ReceiveBatch>,
    send_batch: RefCell<SendBatch>,
}

impl UdpTransport {
    /// Takes over a bound socket. Must run inside the executor that will wait on it. Datagrams of up
    /// to `segment_octets_max` octets may leave together with others to their destination.
    #[must_use]
    #[allow(
        unsafe_code,
        reason = "the executor takes over a descriptor only in its raw form"
    )]
    pub fn new(socket: std::net::UdpSocket, bound: SocketAddr, segment_octets_max: usize) -> Self {
        let descriptor = socket.into_raw_fd();
        // SAFETY: the descriptor is open, and into_raw_fd gave up its ownership.
        let socket = unsafe { glommio::net::UdpSocket::from_raw_fd(descriptor) };
        Self {
            socket,
            bound,
            received: RefCell::default(),
            send_batch: RefCell::new(SendBatch::new(segment_octets_max)),
        }
    }

    #[allow(
        unsafe_code,
        reason = "the executor shows its descriptor only in its raw form"
    )]
    fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: the socket owns the descriptor and lives as long as `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }

    async fn readable(&self) -> io::Result<()> {
        self.socket.peek_from(&mut [0; 1]).await?;
        Ok(())
    }

    /// Waits on a thread of its own: the executor has no way to wait for room in a socket that is
    /// not connected.
    async fn writable(&self) -> io::Result<()> {
        if let Ok(socket) = self.descriptor().try_clone_to_owned() {
            let wait = move || wait_for_room(&socket);
            glommio::executor().spawn_blocking(wait).await;
        } else {
            glommio::timer::sleep(BLIND_PAUSE).await;
        }
        Ok(())
    }
}

impl DatagramTransport for UdpTransport {
    fn receive(&self) -> io::Result<RefMut<'_, dyn ReceivedDatagrams>> {
        let mut batch = self.received.borrow_mut();
        batch.receive(self.descriptor())?;
        Ok(batch)
    }

    fn is_left(&self) -> bool {
        self.received.borrow().is_left()
    }

    fn send<'a>(&self, count: usize, datagram: &dyn Fn(usize) -> Datagram<'a>) -> Sent {
        let mut batch = self.send_batch.borrow_mut();
        batch.send(self.descriptor(), count, datagram)
    }

    fn local_address(&self) -> SocketAddr {
        self.bound
    }

    fn wait_for(&self, interest: Interest) -> LocalBoxFuture<'_, io::Result<()>> {
        match interest {
            Interest::Readable => self.readable().boxed_local(),
            Interest::Writable => self.writable().boxed_local(),
        }
    }
}

/// Blocks until the socket has room for a datagram, or a while has passed.
#[allow(unsafe_code, reason = "poll has no safe wrapper here")]
fn wait_for_room(socket: &OwnedFd) {
    let mut wanted = libc::pollfd {
        fd: socket.as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one pollfd that lives through the call; the descriptor is open as long as `socket` is
    // borrowed. Whatever it returns, the caller tries to send and waits again if that was too
    // early.
    unsafe { libc::poll(&raw mut wanted, 1, WRITABLE_WAIT_MILLISECONDS) };
}
