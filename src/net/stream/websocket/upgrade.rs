//! The HTTP request with which a WebSocket connection begins, and the response (RFC 6455 §4.2, RFC 7118
//! §4). Pure.

use tungstenite::error::{Error, ProtocolError};
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::http::HeaderValue;

/// The subprotocol of SIP (RFC 7118 §4.1).
const SUBPROTOCOL: &str = "sip";
const SUBPROTOCOL_HEADER: &str = "Sec-WebSocket-Protocol";

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// More octets are needed.
    Incomplete,
    /// Frames follow this response.
    Accepted(Vec<u8>),
    /// The connection is closed after this response, for that reason.
    Refused(Vec<u8>, &'static str),
}

/// Reads a request. It is all that the peer may have sent.
#[must_use]
pub fn read(octets: &[u8], origins: &[String]) -> Verdict {
    match Request::try_parse(octets) {
        Ok(None) => Verdict::Incomplete,
        Ok(Some((length, _))) if length < octets.len() => {
            refuse("400 Bad Request", "octets before the response")
        }
        Ok(Some((_, request))) => judge(&request, origins),
        Err(Error::Protocol(ProtocolError::WrongHttpMethod)) => {
            refuse("405 Method Not Allowed\r\nAllow: GET", "a method but GET")
        }
        Err(_) => refuse("400 Bad Request", "no HTTP request"),
    }
}

fn judge(request: &Request, origins: &[String]) -> Verdict {
    let mut response = match create_response(request) {
        Ok(response) => response,
        Err(Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader)) => {
            let status = "426 Upgrade Required\r\nSec-WebSocket-Version: 13";
            return refuse(status, "another version of WebSocket than 13");
        }
        Err(Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader,
        )) => {
            let status = "426 Upgrade Required\r\nUpgrade: websocket";
            return refuse(status, "HTTP where WebSocket is served");
        }
        Err(_) => return refuse("400 Bad Request", "no request of WebSocket"),
    };
    if !is_from(request, origins) {
        return refuse("403 Forbidden", "an origin that is not allowed");
    }
    if !offers_sip(request) {
        return refuse("400 Bad Request", "the subprotocol sip is not offered");
    }
    let subprotocol = HeaderValue::from_static(SUBPROTOCOL);
    response
        .headers_mut()
        .insert(SUBPROTOCOL_HEADER, subprotocol);
    let mut octets = Vec::new();
    match write_response(&mut octets, &response) {
        Ok(()) => Verdict::Accepted(octets),
        Err(_) => refuse("400 Bad Request", "no request of WebSocket"),
    }
}

/// Whether the page that connects may. Only browsers say where a page is from; another client could say
/// what it likes.
fn is_from(request: &Request, origins: &[String]) -> bool {
    let Some(origin) = request.headers().get("Origin") else {
        return true;
    };
    let is_origin = |known: &String| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
    origins.is_empty() || origins.iter().any(is_origin)
}

fn offers_sip(request: &Request) -> bool {
    let offers = request.headers().get_all(SUBPROTOCOL_HEADER).into_iter();
    let mut offered = offers.flat_map(|value| value.as_bytes().split(|octet| *octet == b','));
    offered.any(|token| token.trim_ascii() == SUBPROTOCOL.as_bytes())
}

/// A refusal with that status line, and perhaps headers.
fn refuse(status: &str, why: &'static str) -> Verdict {
    let length = why.len() + 1;
    let response = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain\r\n\
         Content-Length: {length}\r\n\r\n{why}\n"
    );
    Verdict::Refused(response.into_bytes(), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7118 §8.1, with these lines instead of Origin.
    fn request(lines: &str) -> String {
        format!(
            "GET / HTTP/1.1\r\nHost: sip-ws.example.com\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
        )
    }

    const SIP: &str = "Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n";

    fn verdict(text: &str) -> String {
        let origins = ["https://www.example.com".to_owned()];
        match read(text.as_bytes(), &origins) {
            Verdict::Incomplete => "incomplete".to_owned(),
            Verdict::Accepted(octets) | Verdict::Refused(octets, _) => {
                String::from_utf8_lossy(&octets).to_ascii_lowercase()
            }
        }
    }

    #[test]
    fn the_example_of_rfc_7118_is_accepted() {
        let whole = request(&format!("Origin: HTTPS://www.example.com\r\n{SIP}"));
        let accepted = verdict(&whole);
        for line in [
            "http/1.1 101 switching protocols\r\n",
            "\r\nupgrade: websocket\r\n",
            "\r\nconnection: upgrade\r\n",
            "\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n",
            "\r\nsec-websocket-protocol: sip\r\n",
        ] {
            assert!(accepted.contains(line), "{line}\n{accepted}");
        }
        for length in 1..whole.len() {
            assert_eq!(verdict(&whole[..length]), "incomplete");
        }
    }

    #[test]
    fn no_origin_is_no_browser() {
        assert!(verdict(&request(SIP)).starts_with("http/1.1 101 "));
        let several = SIP.replace("sip", "chat, sip");
        assert!(verdict(&request(&several)).starts_with("http/1.1 101 "));
    }

    #[test]
    fn a_refusal_says_why() {
        let version = "Sec-WebSocket-Version: 13\r\n";
        let plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned();
        let table = [
            (
                request(&format!("Origin: https://evil.example\r\n{SIP}")),
                "403 forbidden",
            ),
            (request(&SIP.replace("13", "8")), "426 upgrade required"),
            (request(version), "400 bad request"),
            (request(&SIP.replace("sip", "sip2")), "400 bad request"),
            (request(&SIP.replace("sip", "xmpp")), "400 bad request"),
            (request(SIP) + "\u{1}", "400 bad request"),
            (request(SIP).replace("Key: dG", "Key: d"), "400 bad request"),
            (plain.replace("GET", "POST"), "405 method not allowed"),
            (plain, "426 upgrade required"),
            (
                "REGISTER sip:a SIP/2.0\r\n\r\n".to_owned(),
                "400 bad request",
            ),
        ];
        for (request, status) in table {
            let refused = verdict(&request);
            assert!(
                refused.starts_with(&format!("http/1.1 {status}")),
                "{request}{refused}"
            );
        }
    }
}
