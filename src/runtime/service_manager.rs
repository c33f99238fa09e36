//! The service manager (systemd): what the daemon tells it (sd_notify(3)), and what it keeps from one
//! process to the next: sockets, in its descriptor store, and a directory in memory.
//!
//! Messages are datagrams to the socket that `NOTIFY_SOCKET` names, if it is set. The next process
//! gets what was kept at its start (sd_listen_fds(3)). A process that takes over from another without
//! a service manager plays that part itself: see `take_over`.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::time::Duration;
use std::{env, io};

use crate::net::descriptor_passing;
use crate::net::descriptor_passing::DESCRIPTORS_MAX;
use crate::runtime::bundle::{Bundle, Name};

const VARIABLE: &str = "NOTIFY_SOCKET";
/// Names the directory of `RuntimeDirectory=`, which the unit keeps over restarts.
const MEMORY_VARIABLE: &str = "RUNTIME_DIRECTORY";
/// Where memory is shared if the manager names no directory.
const SHARED_MEMORY: &str = "/dev/shm";
/// How long the manager may take to read a message.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the start of a process that takes over may take: that of a large store takes some seconds.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// What a process that takes over writes into the barrier when it serves.
pub(crate) const SERVING: u8 = b'1';

/// A state of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The node serves.
    Ready,
    /// The node drains.
    Stopping,
}

/// The directory of a memory file system that outlives this process, but no boot of the machine.
pub(super) fn memory_directory() -> PathBuf {
    let named = env::var_os(MEMORY_VARIABLE).filter(|path| !path.is_empty());
    named.unwrap_or_else(|| SHARED_MEMORY.into()).into()
}

/// A connection to the manager.
#[derive(Debug)]
pub(crate) struct ServiceManager(UnixDatagram);

impl ServiceManager {
    /// The manager of this process; None if it has none.
    pub(crate) fn of_process() -> Option<Self> {
        let place = env::var_os(VARIABLE)?;
        let manager = Self::at(&place);
        let log = |error: &io::Error| tracing::warn!(%error, "cannot reach the service manager");
        manager.inspect_err(log).ok()
    }

    /// The manager, or what plays its part, at a path or an abstract address.
    pub(crate) fn at(place: &OsStr) -> io::Result<Self> {
        let address = match place.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(place)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(socket))
    }

    /// Reports the state. A failure is logged and changes nothing.
    pub(crate) fn tell(&self, state: State) {
        let text = match state {
            State::Ready => "READY=1",
            State::Stopping => "STOPPING=1",
        };
        if let Err(error) = self.send(text, &[]) {
            tracing::warn!(%error, "cannot send {text} to the service manager");
        }
    }

    /// Leaves sockets to the next process. One that the manager keeps already, it keeps once.
    pub(crate) fn keep(&self, bundle: &Bundle) -> io::Result<()> {
        for (name, sockets) in bundle.by_name() {
            // A connection that breaks is forgotten meanwhile; a listening socket never is.
            let polling = match name {
                Name::Connection(_) => "",
                Name::Listener(..) | Name::Http(_) => "FDPOLL=0\n",
            };
            let text = format!("FDSTORE=1\n{polling}FDNAME={name}");
            for part in sockets.chunks(DESCRIPTORS_MAX) {
                let part: Vec<_> = part.iter().map(|socket| socket.as_fd()).collect();
                self.send(&text, &part)?;
            }
        }
        Ok(())
    }

    /// Has the manager forget sockets: this process holds those that it uses.
    pub(crate) fn forget(&self, names: &[String]) -> io::Result<()> {
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        let forget = |name| self.send(&format!("FDSTOREREMOVE=1\nFDNAME={name}"), &[]);
        names.iter().try_for_each(forget)
    }

    /// Waits until all that was sent is read (`BARRIER=1`).
    pub(crate) fn wait(&self) -> io::Result<()> {
        let mut here = self.barrier(PATIENCE)?;
        // The manager closes it.
        here.read(&mut [0]).map(drop)
    }

    /// Waits until the process that takes over serves. One that is still starting after a long time has
    /// the sockets all the same.
    ///
    /// # Errors
    /// It does not take them, or has ended.
    pub(crate) fn wait_until_serving(&self) -> io::Result<()> {
        let mut here = self.barrier(START_PATIENCE)?;
        let mut octet = [0];
        match here.read(&mut octet) {
            Ok(1) if octet == [SERVING] => Ok(()),
            Ok(_) => Err(io::Error::other("it has ended before it served")),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                tracing::warn!("the next server is still starting");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// A stream whose other end the reader gets behind all that was sent.
    fn barrier(&self, patience: Duration) -> io::Result<UnixStream> {
        let (here, there) = UnixStream::pair()?;
        self.send("BARRIER=1", &[there.as_fd()])?;
        here.set_read_timeout(Some(patience))?;
        Ok(here)
    }

    fn send(&self, text: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        descriptor_passing::send(&self.0, text.as_bytes(), descriptors)
    }
}

/// What the manager kept for this process, and the names that it has for it.
///
/// Must be called once, and early: a descriptor that the process closed may have become another one.
#[must_use]
pub fn inherited() -> (Bundle, Vec<String>) {
    let of_variable = |name| env::var(name).ok();
    let number = |name| of_variable(name).and_then(|text| text.parse::<usize>().ok());
    let is_ours = number("LISTEN_PID") == Some(std::process::id() as usize);
    let count = number("LISTEN_FDS").filter(|_| is_ours).unwrap_or_default();
    let names = of_variable("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<String> = names.split(':').take(count).map(str::to_owned).collect();
    let mut bundle = Bundle::default();
    for (name, socket) in names.iter().zip(descriptor_passing::inherited(count)) {
        // Another name is of a socket that an operator configured: SIP is not served there.
        if let Ok(name) = name.parse() {
            bundle.add(name, socket);
        }
    }
    let names = names
        .into_iter()
        .filter(|name| name.parse::<Name>().is_ok());
    (bundle, names.collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn the_service_manager_is_notified_by_path_and_abstract_socket() {
        let name = format!("lamplighter-notify-{}", std::process::id());
        let path = env::temp_dir().join(&name);
        let by_path = UnixDatagram::bind(&path).unwrap();
        let abstracted =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let at = |place: &str| ServiceManager::at(place.as_ref()).unwrap();
        at(path.to_str().unwrap()).tell(State::Ready);
        at(&format!("@{name}")).tell(State::Stopping);
        for (socket, expected) in [(by_path, "READY=1"), (abstracted, "STOPPING=1")] {
            let mut buffer = [0; 32];
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected.as_bytes());
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn sockets_are_left_by_name_and_forgotten_by_name() {
        let name = format!("@lamplighter-keep-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name[1..]).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let daemon = thread::spawn(move || {
            let mut bundle = Bundle::default();
            let socket = || UnixDatagram::unbound().unwrap();
            bundle.add(Name::Http(0), socket().into());
            bundle.add(Name::Connection(600), socket().into());
            bundle.add(Name::Connection(600), socket().into());
            let manager = ServiceManager::at(name.as_ref()).unwrap();
            manager.keep(&bundle).unwrap();
            let names = ["http-0", "connection-0", "http-0"].map(str::to_owned);
            manager.forget(&names).unwrap();
            manager.wait().unwrap();
        });
        let mut seen = Vec::new();
        for _ in 0..5 {
            let mut text = [0; 256];
            let (length, sockets) = descriptor_passing::receive(&manager, &mut text).unwrap();
            let text = String::from_utf8_lossy(&text[..length]).into_owned();
            seen.push((text, sockets.len()));
        }
        daemon.join().unwrap();
        let expected = [
            ("FDSTORE=1\nFDPOLL=0\nFDNAME=http-0", 1),
            ("FDSTORE=1\nFDNAME=connection-600", 2),
            ("FDSTOREREMOVE=1\nFDNAME=connection-0", 0),
            ("FDSTOREREMOVE=1\nFDNAME=http-0", 0),
            ("BARRIER=1", 1),
        ];
        let expected = expected.map(|(text, count)| (text.to_owned(), count));
        assert_eq!(seen, expected);
    }
}
