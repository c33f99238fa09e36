//! A listening stream socket, TCP or Unix, on the executor.
//!
//! A connection is accepted only by the call that returns it. The executor's own way, an accept that
//! runs in the kernel, could take one that the task no longer waits for: it would be lost when the
//! socket goes over to another process.

use std::future::poll_fn;
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;

use futures_util::io::AsyncRead;
use glommio::net::TcpStream;
use socket2::Socket;

/// The socket.
#[derive(Debug)]
pub struct Acceptor(Socket);

impl Acceptor {
    /// Takes over a listening socket.
    ///
    /// # Errors
    /// The kernel refuses to make it non-blocking.
    pub fn new(socket: impl Into<OwnedFd>) -> io::Result<Self> {
        let socket = Socket::from(socket.into());
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// Waits for a connection. Must run inside the executor that will wait on it. A Unix socket's is
    /// a stream as well: it works as long as its addresses are not asked for.
    ///
    /// # Errors
    /// No connection can be accepted for now.
    pub async fn accept(&self) -> io::Result<TcpStream> {
        loop {
            match self.0.accept() {
                Ok((socket, _)) => return Ok(on_executor(socket)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The executor waits for readiness only before it reads a stream. So a stream is made of the
    /// socket; its read ends with an error when there is a connection.
    async fn readable(&self) -> io::Result<()> {
        let mut stream = on_executor(self.0.try_clone()?);
        let _not_connected =
            poll_fn(|context| Pin::new(&mut stream).poll_read(context, &mut [0])).await;
        Ok(())
    }
}

/// A stream on the executor that runs now.
#[allow(
    unsafe_code,
    reason = "the executor takes over a descriptor only in its raw form"
)]
pub(super) fn on_executor(socket: impl Into<OwnedFd>) -> TcpStream {
    let descriptor = socket.into().into_raw_fd();
    // SAFETY: the descriptor is open, and into_raw_fd gave up its ownership.
    unsafe { TcpStream::from_raw_fd(descriptor) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::time::Duration;

    use glommio::LocalExecutorBuilder;

    use super::*;

    #[test]
    fn connections_of_both_kinds_are_waited_for() {
        let name = format!("lamplighter-acceptor-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let unix = UnixListener::bind(&path).unwrap();
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let client = {
            let path = path.clone();
            std::thread::spawn(move || {
                let connect = || {
                    std::thread::sleep(Duration::from_millis(30));
                    let unix = UnixStream::connect(&path).unwrap();
                    std::thread::sleep(Duration::from_millis(30));
                    (unix, std::net::TcpStream::connect(address).unwrap())
                };
                [connect(), connect()]
            })
        };
        let executor = LocalExecutorBuilder::default()
            .io_memory(64 << 10)
            .make()
            .unwrap();
        executor.run(async {
            let unix = Acceptor::new(unix).unwrap();
            let tcp = Acceptor::new(tcp).unwrap();
            for _ in 0..2 {
                unix.accept().await.unwrap();
                let peer = tcp.accept().await.unwrap().peer_addr().unwrap();
                assert_eq!(peer.ip(), address.ip());
            }
        });
        drop(client.join().unwrap());
        std::fs::remove_file(path).unwrap();
    }
}
