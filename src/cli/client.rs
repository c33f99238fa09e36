//! A client for the running server's control socket: one HTTP/1.0 request, one response to the end
//! of the stream.

use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long the server may take for the next octets.
const PATIENCE: Duration = Duration::from_secs(10);
/// Octets of a response; a list of a million watchers is longer than anybody reads.
const RESPONSE_OCTETS_MAX: u64 = 256 << 20;

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    /// The status code.
    pub(super) status: u16,
    /// The body.
    pub(super) body: String,
}

/// Asks the server behind `socket` for `path` with one query parameter.
///
/// # Errors
/// When nobody answers there, or not with HTTP.
pub(super) fn get(socket: &Path, path: &str, name: &str, value: &str) -> io::Result<Response> {
    let query: String = form_urlencoded::Serializer::new(String::new())
        .append_pair(name, value)
        .finish();
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path}?{query} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut octets = Vec::new();
    stream.take(RESPONSE_OCTETS_MAX).read_to_end(&mut octets)?;
    let no_http = || io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP");
    read(&String::from_utf8_lossy(&octets)).ok_or_else(no_http)
}

/// `HTTP/1.0 200 OK`, headers, an empty line, the body.
fn read(text: &str) -> Option<Response> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (version, rest) = head.split_once(' ')?;
    let status = rest.get(..3)?.parse().ok()?;
    version.starts_with("HTTP/1.").then(|| Response {
        status,
        body: body.to_owned(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_response_is_read() {
        let response = read("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nOK\n");
        assert_eq!(
            response,
            Some(Response {
                status: 200,
                body: "OK\n".to_owned()
            })
        );
        assert_eq!(read("HTTP/1.1 404 Not Found\r\n\r\n").unwrap().status, 404);
        assert_eq!(read("SIP/2.0 200 OK\r\n\r\n"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn the_question_is_escaped() {
        let path =
            std::env::temp_dir().join(format!("lamplighter-client-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut octets = [0; 512];
            let count = stream.read(&mut octets).unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nyes").unwrap();
            String::from_utf8_lossy(&octets[..count]).into_owned()
        });
        let response = get(&path, "/why", "aor", "sip:1 2&x@h").unwrap();
        assert_eq!((response.status, response.body.as_str()), (200, "yes"));
        assert_eq!(
            server.join().unwrap(),
            "GET /why?aor=sip%3A1+2%26x%40h HTTP/1.0\r\n\r\n"
        );
        std::fs::remove_file(&path).unwrap();
        assert!(get(&path, "/why", "aor", "x").is_err());
    }
}
