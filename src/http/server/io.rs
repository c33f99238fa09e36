//! A stream of the executor, plain or encrypted, with hyper's traits.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::net::stream::StreamTransport;

/// The stream of one connection. It reads into a buffer that all connections share, because hyper's may
/// hold uninitialised memory.
pub(super) struct Io<'c> {
    stream: Stream,
    scratch: &'c RefCell<Box<[u8]>>,
}

enum Stream {
    Plain(TcpStream),
    /// Its handshake is done.
    Encrypted(Box<dyn StreamTransport>),
}

impl<'c> Io<'c> {
    pub(super) fn plain(stream: TcpStream, scratch: &'c RefCell<Box<[u8]>>) -> Self {
        let stream = Stream::Plain(stream);
        Self { stream, scratch }
    }

    pub(super) fn encrypted(
        stream: Box<dyn StreamTransport>,
        scratch: &'c RefCell<Box<[u8]>>,
    ) -> Self {
        let stream = Stream::Encrypted(stream);
        Self { stream, scratch }
    }

    /// Reads, and shows `note` what was read.
    pub(super) fn poll_read_noting(
        &mut self,
        context: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
        note: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>> {
        let mut scratch = self.scratch.borrow_mut();
        let room = into.remaining().min(scratch.len());
        let room = &mut scratch[..room];
        let count = ready!(match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, room),
            Stream::Encrypted(stream) => stream.poll_read(context, room),
        })?;
        note(&room[..count]);
        into.put_slice(&room[..count]);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Io<'_> {
    fn drop(&mut self) {
        if let Stream::Encrypted(stream) = &mut self.stream {
            // The last word of TLS, if there is room for it.
            stream.close(true);
        }
    }
}

impl Read for Io<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().poll_read_noting(context, into, |_| ())
    }
}

impl Write for Io<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, octets),
            Stream::Encrypted(stream) => stream.poll_write(context, octets),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Encrypted(stream) => stream.poll_write(context, &[]).map_ok(|_| ()),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(context))?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_close(context),
            Stream::Encrypted(stream) => {
                stream.close(true);
                Poll::Ready(Ok(()))
            }
        }
    }
}
