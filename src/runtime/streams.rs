//! From stream connections to the engine: accepts, reads and ends them.

use std::io;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::net::stream::connection::{Connection, Written};
use crate::net::stream::{Arrival, Framing, StreamListener, StreamTransport};
use crate::net::stun;
use crate::runtime::core::Core;
use crate::runtime::{handshakes, proxied};
use crate::shard::{Dial, Input};
use crate::sip::Fault;
use crate::telemetry::Throttle;

/// A warning of a failure that lasts is repeated after this.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);
/// How long nothing is accepted after accepting failed: descriptors do not come back at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a part of the streams is searched for idle ones.
const SWEEP_INTERVAL: Duration = Duration::from_millis(250);
/// How long a stream is left unread while the core is congested.
const CONGESTION_PAUSE: Duration = Duration::from_millis(1);

/// How often it is looked whether the dialogs of an earlier process are back.
const RECOVERY_POLL: Duration = Duration::from_millis(1);

/// A listening socket of streams.
#[derive(Debug)]
pub(crate) struct Acceptor {
    /// The index of the listener in the configuration.
    pub(crate) listener: u16,
    /// The socket.
    pub(crate) socket: Box<dyn StreamListener>,
    /// The proxies that its connections come from, with a header of the PROXY protocol; empty if they
    /// come from phones.
    pub(crate) proxies: Vec<IpNet>,
}

/// Accepts the connections of one listening socket. Never returns.
pub(crate) async fn accept(core: Rc<Core>, acceptor: Acceptor) {
    let Acceptor {
        listener,
        socket,
        proxies,
    } = acceptor;
    let mut warnings = Throttle::new(WARNING_INTERVAL);
    loop {
        match socket.accept().await {
            Ok(Some(stream)) => {
                let peer = stream.peer_address();
                if proxies.is_empty() {
                    begin(&core, stream, (listener, peer));
                } else if proxies
                    .iter()
                    .any(|proxy| proxy.contains(&peer.ip().to_canonical()))
                {
                    let forwarded = begin_forwarded(Rc::clone(&core), stream, listener);
                    glommio::spawn_local(forwarded).detach();
                } else {
                    core.counters.connections_not_proxied.add(1);
                }
            }
            Ok(None) => {}
            Err(error) => {
                core.counters.accept_errors.add(1);
                if warnings.is_due(Instant::now()) {
                    tracing::warn!(%error, "cannot accept SIP connections for now");
                }
                glommio::timer::sleep(ACCEPT_PAUSE).await;
            }
        }
        glommio::yield_if_needed().await;
    }
}

/// Begins a connection of that listener and peer, if the limits allow.
fn begin(core: &Rc<Core>, stream: Box<dyn StreamTransport>, ends: (u16, SocketAddr)) {
    if let Some(connection) = core.turn(|turn| turn.admit(stream, ends)) {
        glommio::spawn_local(read(Rc::clone(core), connection)).detach();
    }
}

/// Begins a connection that a proxy forwards, once its header says whose it is.
async fn begin_forwarded(core: Rc<Core>, mut stream: Box<dyn StreamTransport>, listener: u16) {
    match proxied::peer_of(&core, &mut *stream).await {
        Ok(peer) => begin(&core, stream, (listener, peer)),
        Err(error) => {
            core.counters.connections_not_proxied.add(1);
            let proxy = stream.peer_address();
            tracing::debug!(%proxy, %error, "a connection without a header of the PROXY protocol");
        }
    }
}

/// Ends idle streams, again and again. Never returns.
pub(crate) async fn sweep(core: Rc<Core>) {
    loop {
        glommio::timer::sleep(SWEEP_INTERVAL).await;
        core.turn(|turn| turn.end_idle_streams());
    }
}

/// Continues a stream of an earlier process once the presentities of that are back: what its phone has
/// sent waits in the kernel until then. Its dialogs are back when they are needed.
pub(crate) async fn read_on(core: Rc<Core>, connection: Rc<Connection>) {
    while !core.has_presentities() {
        glommio::timer::sleep(RECOVERY_POLL).await;
    }
    read(core, connection).await;
}

/// Serves a stream that the engine wanted. It is of no use before its handshake is done.
pub(crate) async fn serve_dialed(core: Rc<Core>, connection: Rc<Connection>, dial: Dial) {
    let flow = connection.flow;
    if handshakes::complete(&core, &connection).await {
        core.turn(|turn| turn.handle(Input::Dialed(dial.id, flow)));
        take_messages(&core, &connection).await;
        core.turn(|turn| turn.closed(flow.connection));
    } else {
        core.turn(|turn| turn.give_up_dialed(flow.connection, &dial));
    }
}

/// Feeds the engine from one connection until it ends.
pub(crate) async fn read(core: Rc<Core>, connection: Rc<Connection>) {
    if handshakes::complete(&core, &connection).await {
        certify(&core, &connection);
        take_messages(&core, &connection).await;
    }
    core.turn(|turn| turn.closed(connection.flow.connection));
}

/// Tells the engine which names the certificate of a peer has.
fn certify(core: &Core, connection: &Connection) {
    let names = connection.certified_names();
    if !names.is_empty() {
        let stream = connection.flow.connection;
        core.turn(|turn| turn.handle(Input::Certified(stream, names.into())));
    }
}

async fn take_messages(core: &Core, connection: &Rc<Connection>) {
    let mut framing = connection.framing(&core.limits);
    while let Some(length) = next_octets(core, connection, framing.deadline()).await {
        if take(core, connection, &mut *framing, length).is_err() {
            core.counters.connections_out_of_step.add(1);
            break;
        }
        connection.note_within_message(framing.deadline().is_some());
        glommio::yield_if_needed().await;
    }
}

/// Reads into the core's scratch buffer, until `deadline` at most; None at the end of the stream,
/// whatever the cause.
async fn next_octets(
    core: &Core,
    connection: &Connection,
    deadline: Option<Instant>,
) -> Option<usize> {
    while core.is_congested() && !connection.has_ended() {
        core.counters.congested.add(1);
        glommio::timer::sleep(CONGESTION_PAUSE).await;
    }
    let patience = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    match connection.read(&core.scratch, patience).await {
        Ok(0) => None,
        Ok(_) if patience == Some(Duration::ZERO) => {
            // The peer keeps sending but never completes a message.
            core.counters.connections_timed_out.add(1);
            None
        }
        Ok(length) => Some(length),
        Err(error) => {
            if error.kind() == io::ErrorKind::TimedOut {
                core.counters.connections_timed_out.add(1);
            }
            None
        }
    }
}

/// Sends a frame that is no message.
fn answer(connection: &Rc<Connection>, frame: &[u8]) {
    if connection.write(&[IoSlice::new(frame)]) == Written::Stalled {
        let connection = Rc::clone(connection);
        glommio::spawn_local(async move { connection.drain().await }).detach();
    }
}

/// One turn with what was read.
fn take(
    core: &Core,
    connection: &Rc<Connection>,
    framing: &mut dyn Framing,
    length: usize,
) -> Result<(), Fault> {
    let scratch = core.scratch.borrow();
    let flow = connection.flow;
    core.turn(|turn| {
        let now = turn.now();
        framing.take(&scratch[..length], now, &mut |arrival| match arrival {
            Arrival::Message(bytes) => {
                connection.note_message(now);
                core.counters.stream_messages_received.add(1);
                turn.handle(Input::Message { flow, bytes });
            }
            Arrival::Response(bytes, response) => {
                connection.note_message(now);
                core.counters.stream_messages_received.add(1);
                turn.handle(Input::Response {
                    flow,
                    bytes,
                    response,
                });
            }
            Arrival::Stun(bytes) => {
                let is_answered = turn.respond(flow, |out| stun::respond(bytes, flow.peer, out));
                core.counters.stun_answered.add(u64::from(is_answered));
            }
            Arrival::Ping => {
                core.counters.stream_pings.add(1);
                turn.respond(flow, |out| {
                    out.extend_from_slice(b"\r\n");
                    true
                });
            }
            Arrival::Answer(frame) => {
                core.counters.stream_pings.add(1);
                answer(connection, frame);
            }
            Arrival::Goodbye => connection.end(),
        })
    })
}
