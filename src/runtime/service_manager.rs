//! Reports the daemon's state to the service manager (sd_notify(3)): one datagram to the socket
//! that `NOTIFY_SOCKET` names, if it is set.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::{env, io};

const VARIABLE: &str = "NOTIFY_SOCKET";

/// A state of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The node serves.
    Ready,
    /// The node drains.
    Stopping,
}

/// Reports the state, if there is a manager. A failure is logged and changes nothing.
pub fn tell(state: State) {
    let Some(place) = env::var_os(VARIABLE) else {
        return;
    };
    let text = match state {
        State::Ready => "READY=1",
        State::Stopping => "STOPPING=1",
    };
    if let Err(error) = send(&place, text) {
        tracing::warn!(%error, "cannot send {text} to the service manager");
    }
}

fn send(place: &OsStr, text: &str) -> io::Result<()> {
    let address = match place.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(place)?,
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_service_manager_is_notified_by_path_and_abstract_socket() {
        let name = format!("lamplighter-notify-{}", std::process::id());
        let path = env::temp_dir().join(&name);
        let by_path = UnixDatagram::bind(&path).unwrap();
        let abstracted =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(path.as_os_str(), "READY=1").unwrap();
        send(format!("@{name}").as_ref(), "STOPPING=1").unwrap();
        for (socket, expected) in [(by_path, "READY=1"), (abstracted, "STOPPING=1")] {
            let mut buffer = [0; 32];
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected.as_bytes());
        }
        std::fs::remove_file(path).unwrap();
    }
}
