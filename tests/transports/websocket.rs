//! A WebSocket as a stream of SIP messages, by a client library of its own frames.

use std::io;
use std::io::{Read, Write};

use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::Request;
use tungstenite::{Message, WebSocket};

pub(crate) struct Link<S>(pub(crate) WebSocket<S>);

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
        Ok(Self(socket))
    }
}

impl<S: Read + Write> Read for Link<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read().map_err(io::Error::other)? {
            Message::Text(text) => {
                buffer[..text.len()].copy_from_slice(text.as_bytes());
                Ok(text.len())
            }
            Message::Close(_) => Ok(0),
            other => panic!("{other:?}"),
        }
    }
}

impl<S: Read + Write> Write for Link<S> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let text = str::from_utf8(octets).unwrap();
        let sent = self.0.send(Message::text(text));
        sent.map_err(io::Error::other)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(io::Error::other)
    }
}
