//! Binds all sockets of a node before any core starts, and deals them out to the shards.

use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::{fs, io};

use crate::net::listener::ListenerSocket;
use crate::net::readiness::Readiness;
use crate::net::{Limits, bind, listener};
use crate::runtime::error::BootError;
use crate::runtime::plan::{ListenerPlan, NodePlan};
use crate::shard::Options;
use crate::sip::Transport;

/// Everything bound.
#[derive(Debug)]
pub(crate) struct Bound {
    sip: Vec<BoundListener>,
    http: Vec<std::net::TcpListener>,
    control: Option<UnixListener>,
}

/// A SIP listener's address and its sockets, one per shard.
#[derive(Debug)]
struct BoundListener {
    transport: Transport,
    address: SocketAddr,
    sockets: Vec<ListenerSocket>,
}

/// The bound sockets as the cores take them over.
#[derive(Debug)]
pub(crate) struct DealtSockets {
    /// Those of SIP by shard and listener.
    pub(crate) sip: Vec<Vec<ListenerSocket>>,
    /// Those of HTTP.
    pub(crate) http: Vec<std::net::TcpListener>,
    /// The control socket.
    pub(crate) control: Option<UnixListener>,
}

impl Bound {
    /// Binds all that is planned, or nothing.
    pub(crate) fn new(plan: &NodePlan) -> Result<Self, BootError> {
        let shards = plan.shards.len();
        let mut sip = Vec::with_capacity(plan.listeners.len());
        for ListenerPlan {
            transport, address, ..
        } in &plan.listeners
        {
            let (address, sockets) = listener::bind(*transport, *address, shards)?;
            sip.push(BoundListener {
                transport: *transport,
                address,
                sockets,
            });
        }
        let http = plan
            .http_listen
            .iter()
            .map(|address| bind::http(*address))
            .collect::<Result<_, _>>()?;
        // Bound last, so that no later failure leaves the socket file behind.
        let control = plan
            .control_socket
            .as_deref()
            .map(bind_control)
            .transpose()?;
        Ok(Self { sip, http, control })
    }

    /// SIP listener addresses.
    pub(crate) fn sip_addresses(&self) -> impl Iterator<Item = (Transport, SocketAddr)> {
        self.sip
            .iter()
            .map(|listener| (listener.transport, listener.address))
    }

    /// Where HTTP is listened on.
    pub(crate) fn http_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.http
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
    }

    /// Deals the sockets out to the shards.
    pub(crate) fn deal(self, shards: usize) -> DealtSockets {
        let mut sip: Vec<Vec<ListenerSocket>> =
            std::iter::repeat_with(Vec::new).take(shards).collect();
        for listener in self.sip {
            debug_assert_eq!(listener.sockets.len(), shards, "one socket for each shard");
            for (shard, socket) in sip.iter_mut().zip(listener.sockets) {
                shard.push(socket);
            }
        }
        DealtSockets {
            sip,
            http: self.http,
            control: self.control,
        }
    }
}

/// What a shard's thread waits for beside its executor: its datagrams.
pub(crate) fn readiness(sockets: &[ListenerSocket]) -> io::Result<Readiness> {
    Readiness::new(
        sockets
            .iter()
            .filter_map(ListenerSocket::datagram_descriptor),
    )
}

/// The limits of a shard's sockets: those that are planned, with what its engine's options ask for.
pub(crate) fn limits(planned: &Limits, options: &Options) -> Limits {
    let message_octets = planned.head_octets_max + options.body_octets_max;
    Limits {
        segment_octets_max: options.segment_octets_max,
        message_octets_max: planned.message_octets_max.max(message_octets),
        ..planned.clone()
    }
}

/// Binds the control socket accessible only to this user and group. A socket that a dead process
/// left behind is replaced; a socket that accepts connections is not, nor is anything else at that path.
fn bind_control(path: &Path) -> Result<UnixListener, BootError> {
    let bind = || {
        if UnixStream::connect(path).is_ok() {
            let reason = "another lamplighter listens on it";
            return Err(io::Error::new(io::ErrorKind::AddrInUse, reason));
        }
        if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
        Ok(listener)
    };
    bind().map_err(|reason| BootError::Control {
        path: path.to_owned(),
        reason,
    })
}
