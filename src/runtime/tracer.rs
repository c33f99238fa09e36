//! A shard's part of the traces that operators watch: shows them the messages that come and go, and what
//! else is said of a person.
//!
//! While no trace runs it costs a load for each turn, and a branch that is never taken for each input and each
//! batch that is sent. While one runs, each message is searched for the person or phone, and those that may
//! concern a trace are parsed once more and copied; the shard never waits.

use std::sync::Arc;
use std::time::SystemTime;

use crate::presence::source::{CallSource, StateUpdate};
use crate::shard::contract::state_change::StateChange;
use crate::shard::{Command, ConnectionId, Flow, Input, Outbox, ShardId};
use crate::sip::Message;
use crate::sip::message::Framing;
use crate::trace::{Path, Sighting, Trace, Traces};

/// The traces, as a shard sees them.
#[derive(Debug)]
pub(crate) struct Tracer {
    shard: ShardId,
    traces: Arc<Traces>,
    /// The version of `running`.
    version: u64,
    running: Vec<Arc<Trace>>,
    /// A message that is about to be sent, in one piece.
    scratch: Vec<u8>,
}

impl Tracer {
    /// The tracer of a shard.
    pub(crate) fn new(shard: ShardId, traces: Arc<Traces>) -> Self {
        Self {
            shard,
            version: 0,
            running: Vec::new(),
            scratch: Vec::new(),
            traces,
        }
    }

    /// Looks whether traces have begun or ended; once a turn.
    #[inline]
    pub(crate) fn refresh(&mut self) {
        let version = self.traces.version();
        if version != self.version {
            self.version = version;
            self.running = self.traces.running();
            self.scratch = Vec::new();
        }
    }

    /// Whether any trace runs.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        !self.running.is_empty()
    }

    /// Shows an input to the traces.
    #[cold]
    pub(crate) fn see(&self, input: &Input<'_>) {
        match input {
            Input::Message { flow, bytes } | Input::Response { flow, bytes, .. } => {
                self.show(flow, bytes, (false, flow.transport.framing()));
            }
            Input::Command(_, Command::UpdateState { aor, update }) => {
                for trace in &self.running {
                    trace.note(self.shard.0, aor, || reported(update), SystemTime::now);
                }
            }
            _ => {}
        }
    }

    /// Shows what is about to be sent, and how states have changed.
    #[cold]
    pub(crate) fn see_sent(&mut self, outbox: &Outbox) {
        for change in &outbox.state_changes {
            for trace in &self.running {
                trace.note(
                    self.shard.0,
                    &change.aor,
                    || became(change),
                    SystemTime::now,
                );
            }
        }
        let mut octets = std::mem::take(&mut self.scratch);
        for transmit in &outbox.transmits {
            let [head, tail] = outbox.pieces(transmit);
            // Keepalives are no messages.
            if head.first().is_some_and(u8::is_ascii_alphabetic) {
                octets.clear();
                octets.extend_from_slice(head);
                octets.extend_from_slice(tail);
                self.show(&transmit.flow, &octets, (true, Framing::Datagram));
            }
        }
        self.scratch = octets;
    }

    fn show(&self, flow: &Flow, octets: &[u8], (is_sent, framing): (bool, Framing)) {
        let mut running = self.running.iter();
        if !running.any(|trace| trace.may_concern(flow.peer, octets)) {
            return;
        }
        let message = Message::parse(octets, framing).ok();
        let sighting = Sighting {
            shard: self.shard.0,
            path: path(flow),
            is_sent,
            octets,
            message: message.as_ref(),
        };
        for trace in &self.running {
            trace.offer(&sighting, SystemTime::now);
        }
    }
}

fn path(flow: &Flow) -> Path {
    let ConnectionId { shard, number } = flow.connection;
    Path {
        transport: flow.transport,
        connection: u64::from(shard.0) << 32 | u64::from(number),
        local: flow.local,
        peer: flow.peer,
    }
}

/// What is reported by HTTP or by an operator.
fn reported(update: &StateUpdate) -> String {
    match update {
        StateUpdate::Call {
            source: CallSource::CallState,
            call,
            ..
        } => match call {
            Some(call) => format!("call_state.htm: {}", call.state.as_str()),
            None => "call_state.htm: no call".to_owned(),
        },
        _ => "an operator's command".to_owned(),
    }
}

/// How a composed state changed.
fn became(change: &StateChange) -> String {
    let StateChange {
        availability,
        lamp,
        rule,
        ..
    } = change;
    let (status, lamp) = (availability.as_str(), lamp.as_str());
    format!("state: {status}, lamp {lamp}: {rule}")
}
