//! A WebSocket as a stream of SIP messages, by a client library of its own frames.

use std::io;
use std::io::{Read, Write};

use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::Request;
use tungstenite::{Error, Message, WebSocket};

/// The connection, and the rest of a message of which a part was read.
pub(crate) struct Link<S>(pub(crate) WebSocket<S>, Vec<u8>);

/// The request of a client, with an origin if it is a browser's.
pub(crate) fn request(origin: Option<&str>) -> Request {
    let mut request = "ws://sip.a.example/".into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("Sec-WebSocket-Protocol", "sip".parse().unwrap());
    if let Some(origin) = origin {
        headers.insert("Origin", origin.parse().unwrap());
    }
    request
}

impl<S: Read + Write> Link<S> {
    pub(crate) fn open(stream: S, origin: Option<&str>) -> Result<Self, String> {
        let opened = tungstenite::client(request(origin), stream);
        let (socket, response) = opened.map_err(|error| error.to_string())?;
        assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "sip");
        Ok(Self(socket, Vec::new()))
    }
}

impl<S: Read + Write> Read for Link<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1.is_empty() {
            match self.0.read().map_err(into_io)? {
                Message::Text(text) => self.1.extend_from_slice(text.as_bytes()),
                Message::Close(_) => return Ok(0),
                other => panic!("{other:?}"),
            }
        }
        let length = self.1.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.1[..length]);
        self.1.drain(..length);
        Ok(length)
    }
}

impl<S: Read + Write> Write for Link<S> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let text = str::from_utf8(octets).unwrap();
        self.0.send(Message::text(text)).map_err(into_io)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(into_io)
    }
}

fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error),
    }
}
