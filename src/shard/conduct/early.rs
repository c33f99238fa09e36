//! Early inputs: requests and commands that change a presentity, and that arrive before all recorded
//! presentities are recovered. They wait until then: the entity tag that a PUBLISH names, or the calls
//! that its document ends, may still be in a record. So a record never meets newer contributions.
//!
//! A new subscription does not wait: it is notified again when its presentity is recovered.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use crate::shard::conduct::Engine;
use crate::shard::conduct::publish::PUBLISH;
use crate::shard::contract::command::{Command, CommandId, Reply};
use crate::shard::contract::flow::{Arrived, Flow};
use crate::shard::contract::mail::Mail;
use crate::shard::contract::turn::Turn;

/// The beginning of every REGISTER.
const REGISTER: &[u8] = b"REGISTER ";

/// Early inputs served per turn.
const SERVED_PER_TURN: usize = 64;

/// Inputs in order of arrival. The limit on held acknowledgements applies to them as well, and
/// requests are also limited by their octets. Mail is not limited here: the shards that received the
/// requests behind it limit these.
#[derive(Debug, Default)]
pub(crate) struct EarlyInputs {
    inputs: VecDeque<EarlyInput>,
    /// The hashes of the requests in `inputs`. A retransmission of one is absorbed: refused, it would
    /// tell the publisher that nothing changed, and then its first copy would be served.
    requests: HashSet<u64>,
    hasher: RandomState,
    octets: usize,
}

#[derive(Debug)]
enum EarlyInput {
    /// A PUBLISH or REGISTER.
    Request(Arrived, Box<[u8]>),
    /// A state update, an erasure, or a question about all presentities.
    Command(CommandId, Command),
    /// A request or update that another shard received.
    Mail(Mail),
}

impl EarlyInputs {
    /// Whether no input waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    fn is_full(&self, octets: usize, turn: &Turn<'_>) -> bool {
        self.inputs.len() >= turn.options.acknowledgements_held_max
            || self.octets + octets > turn.options.overload.postponed_octets_max
    }

    fn pop(&mut self) -> Option<EarlyInput> {
        let input = self.inputs.pop_front()?;
        if let EarlyInput::Request(arrived, octets) = &input {
            self.octets -= octets.len();
            let hash = self.hash_of(arrived.flow, octets);
            self.requests.remove(&hash);
        }
        Some(input)
    }

    fn push_request(&mut self, arrived: Arrived, octets: &[u8]) {
        self.octets += octets.len();
        self.requests.insert(self.hash_of(arrived.flow, octets));
        self.inputs
            .push_back(EarlyInput::Request(arrived, octets.into()));
    }

    /// The hash of a request from a peer.
    fn hash_of(&self, flow: Flow, octets: &[u8]) -> u64 {
        self.hasher.hash_one((flow.peer, flow.connection, octets))
    }
}

impl Engine {
    /// Whether an input that changes a presentity must wait: during recovery, and behind other inputs
    /// that wait.
    fn holds_back(&self) -> bool {
        self.compositor.is_recovering() || !self.early.is_empty()
    }

    /// Lets a PUBLISH or REGISTER wait. Returns false if it need not, or if too many inputs wait
    /// already, so that it will be refused.
    pub(crate) fn hold_back_request(
        &mut self,
        arrived: Arrived,
        octets: &[u8],
        turn: &Turn<'_>,
    ) -> bool {
        let is_change = octets.starts_with(PUBLISH) || octets.starts_with(REGISTER);
        if !is_change || !self.holds_back() {
            return false;
        }
        if self
            .early
            .requests
            .contains(&self.early.hash_of(arrived.flow, octets))
        {
            return true;
        }
        if self.early.is_full(octets.len(), turn) {
            return false;
        }
        self.early.push_request(arrived, octets);
        true
    }

    /// Lets mail that changes a presentity wait; returns any other mail.
    pub(crate) fn hold_back_mail(&mut self, mail: Mail) -> Option<Mail> {
        let is_change = matches!(
            mail,
            Mail::Publish(_)
                | Mail::Upstream(_)
                | Mail::Register(_)
                | Mail::UpdateState { .. }
                | Mail::Switch { .. }
                | Mail::Seize { .. }
        );
        if !is_change || !self.holds_back() {
            return Some(mail);
        }
        self.early.inputs.push_back(EarlyInput::Mail(mail));
        None
    }

    /// Lets a command that changes presentities, or lists them, wait; returns any other command.
    pub(crate) fn hold_back_command(
        &mut self,
        id: CommandId,
        command: Command,
        turn: &mut Turn<'_>,
    ) -> Option<Command> {
        if !command.needs_presentities() || !self.holds_back() {
            return Some(command);
        }
        if self.early.is_full(0, turn) {
            turn.counters.requests_shed_by_store += 1;
            turn.out.replies.push((id, Reply::OverLimit));
        } else {
            let input = EarlyInput::Command(id, command);
            self.early.inputs.push_back(input);
        }
        None
    }

    /// Serves inputs that waited, once all presentities are recovered.
    pub(crate) fn serve_early(&mut self, turn: &mut Turn<'_>) {
        if self.compositor.is_recovering() {
            return;
        }
        for _ in 0..SERVED_PER_TURN {
            match self.early.pop() {
                Some(EarlyInput::Request(arrived, octets)) => {
                    self.handle_octets(arrived, &octets, None, false, turn);
                }
                Some(EarlyInput::Command(id, command)) => self.execute(id, command, turn),
                Some(EarlyInput::Mail(mail)) => self.handle_mail(mail, turn),
                None => return,
            }
        }
    }
}
