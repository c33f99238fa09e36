//! A mobile phone, whose operator reports its calls over HTTP: `call_state.htm`.

use std::io;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::cli::demo::participants::{DOMAIN, PASSWORD, PEOPLE};

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// The number at the other end of the mobile's call.
const NUMBER: &str = "5551234";

/// The path and query that report whether that person is in a call.
fn path(person: usize, is_busy: bool) -> String {
    let user = PEOPLE[person].number;
    let number = if is_busy {
        format!("&number={NUMBER}")
    } else {
        String::new()
    };
    format!("/call_state.htm?domain={DOMAIN}&user={user}&password={PASSWORD}{number}")
}

/// The curl command for the visitor to paste into a shell.
pub(super) fn command(server: SocketAddr, person: usize, is_busy: bool) -> String {
    format!("curl 'http://{server}{}'", path(person, is_busy))
}

/// Reports to the server; the error is a message for the visitor.
pub(super) fn tell(server: SocketAddr, person: usize, is_busy: bool) -> Result<(), String> {
    let named = |what: &dyn std::fmt::Display| format!("GET call_state.htm: {what}");
    match get(server, &path(person, is_busy)) {
        Ok(response) if response.starts_with("HTTP/1.1 200 ") => Ok(()),
        Ok(response) => Err(named(&format!(
            "response {:?}",
            response.lines().next().unwrap_or("")
        ))),
        Err(error) => Err(named(&error)),
    }
}

fn get(server: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn the_curl_command_is_complete() {
        let server = "127.0.0.1:8080".parse().unwrap();
        assert_eq!(
            command(server, 2, true),
            "curl 'http://127.0.0.1:8080/call_state.htm?domain=example.com&user=103\
             &password=lamp&number=5551234'"
        );
        assert!(!command(server, 2, false).contains("number"));
    }

    #[test]
    fn only_200_is_good() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let serving = thread::spawn(move || {
            for status in ["200 OK", "403 Forbidden"] {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 1024]).unwrap();
                write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").unwrap();
            }
        });
        assert_eq!(tell(server, 2, true), Ok(()));
        assert!(tell(server, 2, false).unwrap_err().contains("403"));
        serving.join().unwrap();
        assert!(tell(server, 2, false).is_err());
    }
}
