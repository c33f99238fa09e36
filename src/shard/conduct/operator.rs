//! Operator commands.

use crate::shard::conduct::Engine;
use crate::shard::contract::command::{Command, CommandId, Reply};
use crate::shard::contract::commit::{Acknowledgement, Durability};
use crate::shard::contract::turn::Turn;

impl Engine {
    /// Executes an operator command and replies. What changed state is acknowledged once its record is
    /// durable, if acknowledgements wait for that.
    pub(crate) fn execute(&mut self, id: CommandId, command: Command, turn: &mut Turn<'_>) {
        let is_change = command.is_change();
        let reply = self.handle_command(command, turn);
        let durability = turn.options.durability;
        let waits = match reply {
            Reply::Done => is_change && durability == Durability::Synced,
            // What was erased must not come back.
            Reply::Forgotten(_) => durability != Durability::None,
            _ => false,
        };
        if waits {
            turn.commits.hold(Acknowledgement::Reply(id, reply));
        } else {
            turn.out.replies.push((id, reply));
        }
    }

    fn handle_command(&mut self, command: Command, turn: &mut Turn<'_>) -> Reply {
        match command {
            Command::UpdateState { aor, update } => {
                if !turn.sheds_acknowledgement()
                    && self.compositor.take_statement(&aor, update, turn)
                {
                    Reply::Done
                } else {
                    Reply::OverLimit
                }
            }
            Command::Forget(aor) => Reply::Forgotten(self.compositor.forget(&aor, turn)),
            Command::Why(aor) => Reply::Why(self.compositor.why(&aor, turn)),
            Command::Watchers(aor) => Reply::Watchers(self.subscriptions.watchers(&aor, turn)),
            Command::Loops => Reply::Loops(self.uas.loops(turn)),
            Command::Refusals => Reply::Refusals(self.uas.refusals_listed(turn)),
            // The turn already has the new directory.
            Command::Reload(_) => {
                self.take_directory(turn);
                Reply::Done
            }
            Command::SetClock(_) => {
                self.begin_reevaluation(turn);
                Reply::Done
            }
            Command::Drain => {
                self.subscriptions.drain(turn);
                Reply::Outstanding(self.subscriptions.count() + self.notifier.outstanding())
            }
            Command::BeginProbe(order) => self.uac.begin(*order, turn),
            Command::ReadProbe { id, seen } => Reply::Probe(self.uac.read(id, seen, turn)),
            Command::Counters => Reply::Counters(self.count(turn)),
        }
    }

    /// All counters, and the sizes of the tables.
    fn count(&self, turn: &mut Turn<'_>) -> Vec<(&'static str, u64)> {
        let mut counters = turn.counters.snapshot();
        counters.extend(self.uas.refusals_counted());
        counters.extend([
            (
                "responses_evicted_early",
                self.uas.responses_evicted_early(),
            ),
            ("subscriptions", self.subscriptions.count() as u64),
            ("presentities", self.compositor.len() as u64),
            ("notifies_outstanding", self.notifier.outstanding() as u64),
            ("notifies_queued", self.subscriptions.queued() as u64),
            ("clients", self.uac.clients() as u64),
            ("timers", turn.wheel.len() as u64),
            ("phones_looping", self.uas.loops(turn).len() as u64),
        ]);
        counters
    }
}
