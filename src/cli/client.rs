//! A client for the running server's control socket: one HTTP/1.0 request, one response to the end
//! of the stream.

use std::fmt::Display;
use std::io;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::http::COLUMNS_HEADER;

/// Read timeout.
const PATIENCE: Duration = Duration::from_secs(10);
/// Octets of a response; enough for a table of a million watchers.
const RESPONSE_OCTETS_MAX: u64 = 256 << 20;

/// The response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    /// The status code.
    pub(super) status: u16,
    /// The body.
    pub(super) body: String,
}

/// The format of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Text for a terminal.
    Text,
    /// JSON.
    Json,
    /// CSV.
    Csv,
}

/// A question or a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    is_post: bool,
    path: &'static str,
    fields: Vec<(&'static str, String)>,
    document: Option<Vec<u8>>,
    patience: Duration,
    columns: Option<u16>,
}

impl Request {
    /// A question.
    pub(super) const fn get(path: &'static str) -> Self {
        Self {
            is_post: false,
            path,
            fields: Vec::new(),
            document: None,
            patience: PATIENCE,
            columns: None,
        }
    }

    /// A command.
    pub(super) fn post(path: &'static str) -> Self {
        Self {
            is_post: true,
            ..Self::get(path)
        }
    }

    /// With a field.
    pub(super) fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.fields.push((name, value.to_string()));
        self
    }

    /// With a field, if it has a value.
    pub(super) fn with_some(self, name: &'static str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With an hour for the response: the server copies a file.
    pub(super) fn patient(self) -> Self {
        let patience = Duration::from_secs(3600);
        Self { patience, ..self }
    }

    /// With a response as wide as a terminal of `columns`; None for a pipe or a file, where the server cuts
    /// nothing.
    pub(super) fn within(self, columns: Option<u16>) -> Self {
        Self { columns, ..self }
    }

    /// With a body; the fields go into the query.
    pub(super) fn with_document(self, document: Vec<u8>) -> Self {
        Self {
            document: Some(document),
            ..self
        }
    }

    /// Asks the server behind `socket`.
    ///
    /// # Errors
    /// When there is no server at the socket, or it does not speak HTTP.
    pub(super) fn send(&self, socket: &Path, format: Format) -> io::Result<Response> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // A server may respond before it has read the whole body, so a write error is ignored.
        let written = stream.write_all(&self.octets(format));
        let mut octets = Vec::new();
        let read = stream.take(RESPONSE_OCTETS_MAX).read_to_end(&mut octets);
        let no_http = || io::Error::new(io::ErrorKind::InvalidData, "the response is not HTTP");
        match read_response(&String::from_utf8_lossy(&octets)) {
            Some(response) => Ok(response),
            None => written.and(read).and_then(|_| Err(no_http())),
        }
    }

    /// The fields of a question, and of a command with a document, are the query; those of any
    /// other command are the body.
    fn octets(&self, format: Format) -> Vec<u8> {
        let fields: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.fields)
            .finish();
        let (query, body) = match (&self.document, self.is_post) {
            (Some(document), _) => (fields, document.clone()),
            (None, false) => (fields, Vec::new()),
            (None, true) => (String::new(), fields.into_bytes()),
        };
        let mut octets = String::from(if self.is_post { "POST " } else { "GET " });
        octets.push_str(self.path);
        if !query.is_empty() {
            octets.extend(["?", &query]);
        }
        octets.push_str(" HTTP/1.0\r\n");
        octets.push_str(match format {
            Format::Text => "",
            Format::Json => "Accept: application/json\r\n",
            Format::Csv => "Accept: text/csv\r\n",
        });
        if let Some(columns) = self.columns {
            octets.push_str(&format!("{COLUMNS_HEADER}: {columns}\r\n"));
        }
        if self.is_post {
            octets.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        octets.push_str("\r\n");
        [octets.into_bytes(), body].concat()
    }
}

/// `HTTP/1.0 200 OK`, headers, an empty line, the body.
fn read_response(text: &str) -> Option<Response> {
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
        let response = read_response("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nOK\n");
        assert_eq!(
            response,
            Some(Response {
                status: 200,
                body: "OK\n".to_owned()
            })
        );
        let missing = read_response("HTTP/1.1 404 Not Found\r\n\r\n").unwrap();
        assert_eq!(missing.status, 404);
        assert_eq!(read_response("SIP/2.0 200 OK\r\n\r\n"), None);
        assert_eq!(read_response(""), None);
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
        let question = Request::get("/why").with("aor", "sip:1 2&x@h");
        let question = question.within(Some(80));
        let response = question.send(&path, Format::Json).unwrap();
        assert_eq!((response.status, response.body.as_str()), (200, "yes"));
        assert_eq!(
            server.join().unwrap(),
            "GET /why?aor=sip%3A1+2%26x%40h HTTP/1.0\r\nAccept: application/json\r\ncolumns: 80\r\n\r\n"
        );
        std::fs::remove_file(&path).unwrap();
        assert!(question.send(&path, Format::Json).is_err());
    }

    #[test]
    fn a_command_has_its_fields_in_the_body_unless_a_document_is_there() {
        let command = Request::post("/list/add")
            .with("list", "a@h")
            .with_some("at", Some(2));
        assert_eq!(
            String::from_utf8(command.octets(Format::Text)).unwrap(),
            "POST /list/add HTTP/1.0\r\nContent-Length: 15\r\n\r\nlist=a%40h&at=2"
        );
        let import = Request::post("/rules/import")
            .with("aor", "a@h")
            .with_document(b"<ruleset/>".to_vec());
        assert_eq!(
            String::from_utf8(import.octets(Format::Text)).unwrap(),
            "POST /rules/import?aor=a%40h HTTP/1.0\r\nContent-Length: 10\r\n\r\n<ruleset/>"
        );
    }
}
