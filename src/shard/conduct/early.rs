//! What comes while recorded presentities are still to come, and would change one: it waits. A
//! PUBLISH may name an entity tag that is in a record, and what a document ends is in a record too; so
//! a record never meets newer contributions.
//!
//! A new subscription does not wait: it is notified again when its presentity comes back.

use std::collections::VecDeque;

use crate::shard::conduct::Engine;
use crate::shard::conduct::publish::PUBLISH;
use crate::shard::contract::command::{Command, CommandId, Reply};
use crate::shard::contract::flow::Flow;
use crate::shard::contract::mail::Mail;
use crate::shard::contract::turn::Turn;

/// The beginning of every REGISTER.
const REGISTER: &[u8] = b"REGISTER ";

/// Early inputs served per turn.
const SERVED_PER_TURN: usize = 64;

/// Inputs in order of arrival. Requests and commands are limited as acknowledgements are, requests by
/// their octets too. Mail is not: the requests behind it wait on other shards, which limit them.
#[derive(Debug, Default)]
pub(crate) struct EarlyInputs {
    inputs: VecDeque<EarlyInput>,
    octets: usize,
}

#[derive(Debug)]
enum EarlyInput {
    /// A PUBLISH or REGISTER.
    Request(Flow, Box<[u8]>),
    /// A state update.
    Command(CommandId, Command),
    /// A request or update that another shard received.
    Mail(Mail),
}

impl EarlyInputs {
    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    fn is_full(&self, octets: usize, turn: &Turn<'_>) -> bool {
        self.inputs.len() >= turn.options.acknowledgements_held_max
            || self.octets + octets > turn.options.overload.postponed_octets_max
    }

    fn pop(&mut self) -> Option<EarlyInput> {
        let input = self.inputs.pop_front()?;
        if let EarlyInput::Request(_, octets) = &input {
            self.octets -= octets.len();
        }
        Some(input)
    }
}

impl Engine {
    /// Whether inputs that change presentities wait. What comes later waits behind the others.
    fn holds_back(&self) -> bool {
        self.compositor.is_recovering() || !self.early.is_empty()
    }

    /// Lets a PUBLISH or REGISTER wait. False if it is to be served now, or refused because too much
    /// waits.
    pub(crate) fn hold_back_request(&mut self, flow: Flow, octets: &[u8], turn: &Turn<'_>) -> bool {
        let waits = self.holds_back()
            && (octets.starts_with(PUBLISH) || octets.starts_with(REGISTER))
            && !self.early.is_full(octets.len(), turn);
        if waits {
            self.early.octets += octets.len();
            let request = EarlyInput::Request(flow, octets.into());
            self.early.inputs.push_back(request);
        }
        waits
    }

    /// Lets mail that changes a presentity wait; gives any other back.
    pub(crate) fn hold_back_mail(&mut self, mail: Mail) -> Option<Mail> {
        let is_change = matches!(
            mail,
            Mail::Publish(_)
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

    /// Lets a state update wait; gives any other command back.
    pub(crate) fn hold_back_command(
        &mut self,
        id: CommandId,
        command: Command,
        turn: &mut Turn<'_>,
    ) -> Option<Command> {
        if !matches!(command, Command::UpdateState { .. }) || !self.holds_back() {
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

    /// Serves what waited, once all presentities are back.
    pub(crate) fn serve_early(&mut self, turn: &mut Turn<'_>) {
        if self.compositor.is_recovering() {
            return;
        }
        for _ in 0..SERVED_PER_TURN {
            match self.early.pop() {
                Some(EarlyInput::Request(flow, octets)) => {
                    self.handle_octets(flow, &octets, None, false, turn);
                }
                Some(EarlyInput::Command(id, command)) => self.execute(id, command, turn),
                Some(EarlyInput::Mail(mail)) => self.handle_mail(mail, turn),
                None => return,
            }
        }
    }
}
