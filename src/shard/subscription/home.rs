//! The shard that a message belongs to.

use crate::presence::fixed_hash::fnv1a;
use crate::shard::contract::flow::{Address, Flow, ShardId};
use crate::shard::contract::turn::Turn;
use crate::shard::peer::routing_token::RoutingToken;
use crate::shard::subscription::table::Table;
use crate::sip::{Message, Method, StartLine};

impl Table {
    /// The other shard a message belongs to: the one that minted its branch or To-tag, or, on a
    /// crowded flow, the one its Call-ID names.
    pub(crate) fn home_of(
        &self,
        message: &Message<'_>,
        flow: &Flow,
        turn: &Turn<'_>,
    ) -> Option<Address> {
        let shards = turn.options.shards;
        if shards < 2 {
            return None;
        }
        let home = match message.start_line() {
            StartLine::Response { .. } => {
                RoutingToken::of_branch(message.via()?.branch?)?.holder(shards)
            }
            StartLine::Request { method, .. } => match message.to()?.tag() {
                Some(tag) => RoutingToken::of_tag(tag)?.holder(shards),
                None if method == Method::Subscribe && self.is_crowded(flow, turn) => {
                    shard_of_call_id(message.call_id(), turn)
                }
                None => self.holder_of_repeated(message)?,
            },
        };
        // No other node can be reached yet: a tag with its number is not of our making.
        (home != turn.here() && home.node == turn.options.node).then_some(home)
    }

    /// One busy SBC on one source port must not pin all work to one core.
    fn is_crowded(&self, flow: &Flow, turn: &Turn<'_>) -> bool {
        !flow.transport.is_reliable()
            && self.dialogs_of_peer(flow.peer) >= turn.options.subscriptions_per_flow_home
    }
}

fn shard_of_call_id(call_id: &[u8], turn: &Turn<'_>) -> Address {
    let shard = fnv1a(call_id) % u64::from(turn.options.shards);
    turn.options.address_of(ShardId(shard as u16))
}
