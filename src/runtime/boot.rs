//! What a node binds before it starts any core, and how the sockets are dealt out to the shards.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::net::Limits;
use crate::net::bind;
use crate::net::readiness::Readiness;
use crate::runtime::error::BootError;
use crate::runtime::plan::NodePlan;
use crate::shard::Options;
use crate::sip::Transport;

/// The sockets of one SIP listener, one per shard.
#[derive(Debug)]
enum Group {
    Udp(Vec<std::net::UdpSocket>),
    Tcp(Vec<std::net::TcpListener>),
}

/// One shard's socket of one listener.
#[derive(Debug)]
pub(crate) enum Share {
    /// UDP, with the address it is bound to.
    Udp(std::net::UdpSocket, SocketAddr),
    /// TCP, listening.
    Tcp(std::net::TcpListener),
}

/// Everything bound.
#[derive(Debug)]
pub(crate) struct Bound {
    groups: Vec<(Group, SocketAddr)>,
    http: Vec<std::net::TcpListener>,
    control: Option<UnixListener>,
}

impl Bound {
    /// Binds all that is planned, or nothing.
    pub(crate) fn new(plan: &NodePlan) -> Result<Self, BootError> {
        let shards = plan.shards.len();
        let mut groups = Vec::with_capacity(plan.listeners.len());
        for listener in &plan.listeners {
            groups.push(match listener.transport {
                Transport::Udp => {
                    let (bound, sockets) = bind::udp(listener.address, shards)?;
                    (Group::Udp(sockets), bound)
                }
                Transport::Tcp => {
                    let (bound, sockets) = bind::tcp(listener.address, shards)?;
                    (Group::Tcp(sockets), bound)
                }
            });
        }
        let http = plan
            .http_listen
            .iter()
            .map(|address| bind::http(*address))
            .collect::<Result<_, _>>()?;
        // The last, so that no refusal comes after it and leaves it lying about.
        let control = plan
            .control_socket
            .as_deref()
            .map(bind_control)
            .transpose()?;
        Ok(Self {
            groups,
            http,
            control,
        })
    }

    /// Where SIP is listened on, by listener.
    pub(crate) fn sip_addresses(&self) -> impl Iterator<Item = (Transport, SocketAddr)> {
        self.groups.iter().map(|(group, address)| match group {
            Group::Udp(_) => (Transport::Udp, *address),
            Group::Tcp(_) => (Transport::Tcp, *address),
        })
    }

    /// Where HTTP is listened on.
    pub(crate) fn http_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.http
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
    }

    /// The SIP sockets by shard and listener, those of HTTP, and the control socket.
    pub(crate) fn deal(
        self,
        shards: usize,
    ) -> (
        Vec<Vec<Share>>,
        Vec<std::net::TcpListener>,
        Option<UnixListener>,
    ) {
        let mut shares: Vec<Vec<Share>> = std::iter::repeat_with(Vec::new).take(shards).collect();
        for (group, bound) in self.groups {
            match group {
                Group::Udp(sockets) => {
                    let dealt = shares.iter_mut().zip(sockets);
                    dealt.for_each(|(shard, socket)| shard.push(Share::Udp(socket, bound)));
                }
                Group::Tcp(sockets) => {
                    let dealt = shares.iter_mut().zip(sockets);
                    dealt.for_each(|(shard, socket)| shard.push(Share::Tcp(socket)));
                }
            }
        }
        (shares, self.http, self.control)
    }
}

/// What a shard's thread waits for beside its executor: its UDP sockets.
pub(crate) fn readiness(shares: &[Share]) -> io::Result<Readiness> {
    Readiness::new(shares.iter().filter_map(|share| match share {
        Share::Udp(socket, _) => Some(socket.as_fd()),
        Share::Tcp(_) => None,
    }))
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

/// Binds the control socket for this user and group alone. One that a dead process left behind is
/// replaced; one that answers is not, nor is anything that is no socket.
fn bind_control(path: &Path) -> Result<UnixListener, BootError> {
    let bind = || {
        if UnixStream::connect(path).is_ok() {
            let reason = "another lamplighter answers on it";
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
