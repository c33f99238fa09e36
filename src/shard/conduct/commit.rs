//! The end of a turn: writes the records of what changed, and sends the acknowledgements whose records
//! are durable. Also recovery at the start: records that come back.

use crate::shard::conduct::Engine;
use crate::shard::contract::commit::{Acknowledgement, Durability, RecordKey};
use crate::shard::contract::input::Recovered;
use crate::shard::contract::place::Place;
use crate::shard::contract::turn::Turn;

impl Engine {
    /// Writes the records of what changed in this turn, and sends acknowledgements whose records are
    /// durable.
    pub(crate) fn commit(&mut self, turn: &mut Turn<'_>) {
        if turn.options.durability == Durability::None {
            return;
        }
        loop {
            self.subscriptions.write_records(turn);
            self.compositor.write_records(turn);
            turn.commits.end_turn();
            self.acknowledge(turn);
            if turn.loopback.is_empty() {
                return;
            }
            // An outcome was addressed to this shard, and changed its state.
            self.deliver_loopback(turn);
        }
    }

    /// Sends the acknowledgements whose records are durable.
    fn acknowledge(&mut self, turn: &mut Turn<'_>) {
        while let Some(acknowledgement) = turn.commits.release() {
            match acknowledgement {
                Acknowledgement::Response {
                    transaction,
                    flow,
                    octets,
                    answered,
                    subscription,
                } => {
                    self.uas
                        .send_held(transaction, flow, octets.as_deref(), turn);
                    turn.out.answered.extend(answered);
                    if let Some(subscription) = subscription {
                        self.subscriptions.acknowledged(subscription);
                    }
                }
                Acknowledgement::Notify(subscription) => {
                    self.subscriptions.queue_recorded(subscription);
                }
                Acknowledgement::Reply(id, reply) => turn.out.replies.push((id, reply)),
                Acknowledgement::Mail(to, mail) => turn.send(to, mail),
            }
        }
    }

    /// Recovers what an earlier process recorded.
    pub(crate) fn recover(&mut self, recovered: &Recovered<'_>, turn: &mut Turn<'_>) {
        match *recovered {
            Recovered::Begin {
                dialogs_end,
                presentities_end,
                committed_at,
            } => {
                self.subscriptions
                    .begin_recovery(dialogs_end, committed_at, turn);
                self.compositor
                    .begin_recovery(presentities_end, committed_at, turn);
            }
            Recovered::Changes(changes) => self.compositor.recover_changes(changes),
            Recovered::Record(RecordKey::Presentity(number), octets) => {
                self.compositor.recover(number, octets, turn);
            }
            Recovered::Record(RecordKey::Waiting(number), octets) => {
                self.subscriptions.recover_waiting(number, octets, turn);
            }
            Recovered::Record(RecordKey::Dialog(place), octets) => {
                // Presentities come first, on all shards.
                self.compositor.end_recovery();
                self.subscriptions.recover(place, octets, turn);
                self.serve_awaiting(Place(place), turn);
            }
            Recovered::Absent(place) => {
                self.compositor.end_recovery();
                self.subscriptions.release(place, turn);
                self.serve_awaiting(Place(place), turn);
            }
            Recovered::Stream(flow) => self.subscriptions.continue_stream(flow),
            Recovered::End => {
                self.compositor.end_recovery();
                self.subscriptions.end_recovery(turn);
                self.settle_all_relayed();
                self.serve_all_awaiting(turn);
            }
        }
    }
}
