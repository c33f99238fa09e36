//! A shard's part of the traces that operators watch: shows them the messages that come and go, and what
//! else is said of a person.
//!
//! While no trace runs it costs a load for each turn, and a branch that is never taken for each input and each
//! batch that is sent. While one runs, each message is searched for the person or phone, and those that may
//! concern a trace are parsed once more and copied; the shard never waits.

use std::sync::Arc;
use std::time::SystemTime;

use crate::presence::Aor;
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

    /// Checks, once a turn, whether traces have begun or ended. Returns whether any is running.
    #[inline]
    pub(crate) fn refresh(&mut self) -> bool {
        let version = self.traces.version();
        if version != self.version {
            self.version = version;
            self.running = self.traces.running();
            self.scratch = Vec::new();
        }
        self.is_on()
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
            Input::Command(_, Command::UpdateState { aor, update, .. }) => {
                self.note(aor, || reported(update));
            }
            Input::Command(_, Command::UpdateStates { updates, .. }) => {
                for (aor, update) in updates {
                    self.note(aor, || reported(update));
                }
            }
            _ => {}
        }
    }

    /// Shows what is about to be sent, and how states have changed.
    #[cold]
    pub(crate) fn see_sent(&mut self, outbox: &Outbox) {
        let changes = outbox.state_changes.iter();
        for change in changes.filter(|change| change.addressees.has(None)) {
            self.note(&change.aor, || became(change));
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

    fn note(&self, aor: &Aor, text: impl Fn() -> String) {
        for trace in &self.running {
            trace.note(self.shard.0, aor, &text, SystemTime::now);
        }
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

/// What `call_state.htm`, the API or an operator's command reports.
fn reported(update: &StateUpdate) -> String {
    match update {
        StateUpdate::Call { source, call, .. } => {
            let by = match source {
                CallSource::CallState => "by HTTP",
                CallSource::Operator => "by the operator",
            };
            match call {
                Some(call) => format!("call reported {by}: {}", call.state.as_str()),
                None => format!("call ended, reported {by}"),
            }
        }
        StateUpdate::CallStateDoNotDisturb(_) => "do-not-disturb reported by HTTP".to_owned(),
        StateUpdate::DoNotDisturb(true) => "do-not-disturb set".to_owned(),
        StateUpdate::DoNotDisturb(false) => "do-not-disturb cleared".to_owned(),
        StateUpdate::Forward(_) => "call forwarding set".to_owned(),
        StateUpdate::Note(_) => "note set".to_owned(),
        StateUpdate::Presence(_) => "presence set".to_owned(),
        StateUpdate::Messages(_) => "mailbox reported".to_owned(),
        StateUpdate::Registered(_) => "contacts registered".to_owned(),
        StateUpdate::Unregistered => "contacts removed".to_owned(),
        StateUpdate::Appearance(_) => "appearance set".to_owned(),
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
