//! Binds all sockets of a node before any core starts, or takes them over from an earlier process, and
//! deals them out to the shards.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io};

use crate::net::listener::ListenerSocket;
use crate::net::readiness::Readiness;
use crate::net::{Limits, bind, listener};
use crate::runtime::bundle::{Bundle, Name};
use crate::runtime::error::BootError;
use crate::runtime::plan::{ListenerPlan, NodePlan};
use crate::runtime::shard_sockets::{ContinuedStream, ShardSockets};
use crate::shard::{ConnectionId, Flow, Options, ShardId};
use crate::sip::Transport;

/// How long after the end of a process the kernel may take to close its sockets.
const CLOSED_LATE: Duration = Duration::from_secs(1);
/// Time between two checks whether it has.
const CLOSED_POLL: Duration = Duration::from_millis(10);

/// Everything bound.
#[derive(Debug)]
pub(crate) struct Bound {
    sip: Vec<BoundListener>,
    http: Vec<std::net::TcpListener>,
    control: Option<UnixListener>,
    /// The connections of an earlier process, each with the time for which it is in use.
    connections: Vec<(OwnedFd, Duration)>,
}

/// A SIP listener's address and its sockets: one per shard, in their order, and then those of shards
/// that an earlier process had.
#[derive(Debug)]
struct BoundListener {
    transport: Transport,
    address: SocketAddr,
    sockets: Vec<ListenerSocket>,
}

/// The bound sockets as the cores take them over.
#[derive(Debug)]
pub(crate) struct DealtSockets {
    /// Those of SIP by shard.
    pub(crate) sip: Vec<ShardSockets>,
    /// Those of HTTP.
    pub(crate) http: Vec<std::net::TcpListener>,
    /// The control socket.
    pub(crate) control: Option<UnixListener>,
}

impl Bound {
    /// Binds all that is planned and not inherited, or nothing. Inherited sockets that are not planned
    /// are closed.
    pub(crate) fn new(plan: &NodePlan, mut inherited: Bundle) -> Result<Self, BootError> {
        let shards = plan.shards.len();
        let mut sip = Vec::with_capacity(plan.listeners.len());
        for ListenerPlan {
            service, address, ..
        } in &plan.listeners
        {
            let transport = service.transport();
            let (address, sockets) = match inherited.take_listener(transport, *address) {
                Some((address, sockets)) => {
                    let sockets = listener::go_on(transport, address, sockets, shards)?;
                    (address, sockets)
                }
                None => listener::bind(transport, *address, shards)?,
            };
            sip.push(BoundListener {
                transport,
                address,
                sockets,
            });
        }
        let http = plan
            .http_listeners
            .iter()
            .map(|plan| match inherited.take_http(plan.address) {
                Some(socket) => Ok(socket.into()),
                None => bind::http(plan.address),
            })
            .collect::<Result<_, _>>()?;
        let connections = inherited.take_connections();
        if !inherited.is_empty() {
            let sockets = inherited.len();
            tracing::info!(
                sockets,
                "closed sockets of the last process that the configuration does not name"
            );
        }
        // Bound last, so that no later failure leaves the socket file behind.
        let control = plan
            .control_socket
            .as_deref()
            .map(bind_control)
            .transpose()?;
        Ok(Self {
            sip,
            http,
            control,
            connections,
        })
    }

    /// Other descriptors of the sockets that a later process will need; `shards` as they are dealt.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(crate) fn duplicates(&self, shards: usize) -> io::Result<Bundle> {
        let mut bundle = Bundle::default();
        for (index, listener) in (0..).zip(&self.sip) {
            // A datagram socket without a shard is about to be closed.
            let count = match listener.transport.is_reliable() {
                true => listener.sockets.len(),
                false => shards,
            };
            for (shard, socket) in (0..).zip(&listener.sockets).take(count) {
                let name = Name::Listener(listener.transport, index, shard);
                bundle.add(name, socket.duplicate()?);
            }
        }
        for (index, socket) in (0..).zip(&self.http) {
            bundle.add(Name::Http(index), socket.try_clone()?.into());
        }
        Ok(bundle)
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
    pub(crate) fn deal(mut self, shards: usize) -> DealtSockets {
        let streams = self.deal_streams(shards);
        let continued: Arc<[Flow]> = streams.iter().flatten().map(|stream| stream.flow).collect();
        let of_shard = |streams| ShardSockets {
            streams,
            continued: Arc::clone(&continued),
            ..ShardSockets::default()
        };
        let mut sip: Vec<ShardSockets> = streams.into_iter().map(of_shard).collect();
        for (index, mut listener) in (0..).zip(self.sip) {
            debug_assert!(listener.sockets.len() >= shards, "one for each shard");
            let rest = listener.sockets.split_off(shards);
            for (shard, socket) in sip.iter_mut().zip(listener.sockets) {
                shard.listening.push(socket);
            }
            if let Some(first) = sip.first_mut() {
                let surplus = rest.into_iter().rev().map(|socket| (index, socket));
                first.surplus.extend(surplus);
            }
        }
        DealtSockets {
            sip,
            http: self.http,
            control: self.control,
        }
    }
}

impl Bound {
    /// Gives each connection of an earlier process to a shard, and its name there. One that belongs to
    /// no listener, or whose peer is gone, is closed.
    fn deal_streams(&mut self, shards: usize) -> Vec<Vec<ContinuedStream>> {
        let mut dealt: Vec<Vec<ContinuedStream>> =
            std::iter::repeat_with(Vec::new).take(shards).collect();
        let connections = std::mem::take(&mut self.connections);
        let flows = connections.into_iter().filter_map(|(socket, in_use)| {
            let local = listener::address_of(socket.as_fd())?;
            let peer = listener::peer_of(socket.as_fd())?;
            let listener = self.listener_of_stream(local)?;
            Some((socket, in_use, listener, local, peer))
        });
        for (index, (socket, in_use, listener, local, peer)) in flows.enumerate() {
            let shard = index % shards;
            let streams = &mut dealt[shard];
            let connection = ConnectionId {
                shard: ShardId(shard as u16),
                number: streams.len() as u32 + 1,
            };
            let flow = Flow {
                transport: Transport::Tcp,
                listener,
                connection,
                local,
                peer,
            };
            streams.push(ContinuedStream {
                flow,
                socket,
                in_use,
            });
        }
        dealt
    }

    /// The TCP listener that would accept a connection to that address.
    fn listener_of_stream(&self, local: SocketAddr) -> Option<u16> {
        let accepts = |listener: &BoundListener| {
            let bound = listener.address;
            let is_alike = bound.is_ipv4() == local.is_ipv4() && bound.port() == local.port();
            let is_any = bound.ip().is_unspecified() && is_alike;
            listener.transport == Transport::Tcp && (bound == local || is_any)
        };
        let index = self.sip.iter().position(accepts)?;
        u16::try_from(index).ok()
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

/// Whether a process listens on a Unix socket. The kernel closes the sockets of a process that was
/// killed some time after its end, because its io_uring may still use them.
fn is_listened_on(path: &Path) -> bool {
    let deadline = Instant::now() + CLOSED_LATE;
    while UnixStream::connect(path).is_ok() {
        if Instant::now() >= deadline {
            return true;
        }
        std::thread::sleep(CLOSED_POLL);
    }
    false
}

/// Binds the control socket accessible only to this user and group. A socket that a dead process
/// left behind is replaced; a socket that accepts connections is not, nor is anything else at that path.
fn bind_control(path: &Path) -> Result<UnixListener, BootError> {
    let bind = || {
        if is_listened_on(path) {
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
