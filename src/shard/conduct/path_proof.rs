//! Proof of a path by digest authentication.

use crate::directory::Domain;
use crate::shard::conduct::Engine;
use crate::shard::contract::ids::DialogId;
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::uas::salt::is_salt_for;

impl Engine {
    /// Marks the path of a dialog as proven if the SUBSCRIBE carries a nonce that we sent to its
    /// source address: the nonce arrived there.
    pub(crate) fn prove_path_by_digest(
        &mut self,
        request: &Request<'_>,
        domain: &Domain,
        id: DialogId,
        turn: &Turn<'_>,
    ) {
        let peer = request.flow.peer;
        let Some(path) = self.subscriptions.table().unproven_path_to(id, peer) else {
            return;
        };
        let uptime = turn.now.saturating_duration_since(turn.options.epoch);
        let salt = self.uas.salt_of(request.message, &domain.name, uptime);
        if salt.is_some_and(|salt| is_salt_for(salt, request.flow.peer, turn)) {
            self.subscriptions.table_mut().prove_path(path);
        }
    }
}
