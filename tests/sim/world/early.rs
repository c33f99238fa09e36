//! The model of early inputs: requests and statements that change a presentity wait on a shard until
//! all presentities are recovered after a crash. They are then served in order at a timeout.

use super::Context;
use crate::plan::Plan;
use std::collections::VecDeque;

/// Inputs served at one timeout.
const SERVED_PER_TURN: usize = 64;

/// The inputs that wait, of each shard.
#[derive(Debug, Default)]
pub(super) struct Early {
    shards: Vec<Waiting>,
    inputs_max: usize,
    octets_max: usize,
    publishes_waited: u64,
}

#[derive(Debug, Default)]
struct Waiting {
    is_recovering: bool,
    inputs: VecDeque<Context>,
}

impl Early {
    /// The shards of a new process begin to recover.
    pub(super) fn begin(&mut self, plan: &Plan) {
        let waiting = |_| Waiting {
            is_recovering: true,
            inputs: VecDeque::new(),
        };
        self.shards = (0..plan.shards).map(waiting).collect();
        let store = plan.store.as_ref();
        self.inputs_max = store.map_or(0, |store| store.acknowledgements_held_max);
        self.octets_max = plan.postponed_octets;
    }

    /// PUBLISHes that waited so far.
    pub(super) fn publishes_waited(&self) -> u64 {
        self.publishes_waited
    }

    /// A shard has recovered all its presentities.
    pub(super) fn end(&mut self, shard: u16) {
        self.shards[usize::from(shard)].is_recovering = false;
    }

    /// The inputs that are served in a turn of a shard: its own, if that need not wait, or those that
    /// waited.
    pub(super) fn served(&mut self, shard: u16, context: &Context) -> Vec<Context> {
        let Some(waiting) = self.shards.get_mut(usize::from(shard)) else {
            return vec![context.clone()];
        };
        let is_waiting = waiting.is_recovering || !waiting.inputs.is_empty();
        let is_full = waiting.is_full(context, self.inputs_max, self.octets_max);
        match context {
            Context::Timeout if waiting.is_recovering => Vec::new(),
            Context::Timeout => {
                let count = waiting.inputs.len().min(SERVED_PER_TURN);
                waiting.inputs.drain(..count).collect()
            }
            // A retransmission of a request that waits is absorbed.
            Context::Publish(request, _) if is_waiting && waiting.has(request) => Vec::new(),
            Context::Publish(..) | Context::Statement(..) if is_waiting && is_full => {
                vec![context.clone()]
            }
            Context::Publish(..) | Context::PublishMail(_) | Context::Statement(..)
                if is_waiting =>
            {
                self.publishes_waited += u64::from(matches!(context, Context::Publish(..)));
                waiting.inputs.push_back(context.clone());
                Vec::new()
            }
            _ => vec![context.clone()],
        }
    }
}

impl Waiting {
    fn has(&self, request: &(String, u32)) -> bool {
        let is_copy = |it: &Context| matches!(it, Context::Publish(of, _) if of == request);
        self.inputs.iter().any(is_copy)
    }

    fn is_full(&self, context: &Context, inputs_max: usize, octets_max: usize) -> bool {
        let octets_of = |context: &Context| match context {
            Context::Publish(_, octets) => *octets,
            _ => 0,
        };
        let octets: usize = self.inputs.iter().map(octets_of).sum();
        self.inputs.len() >= inputs_max || octets.saturating_add(octets_of(context)) > octets_max
    }
}
