//! Proof of paths: whether the phone is known to receive at the address that its SUBSCRIBE came from.

use std::net::SocketAddr;

use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{DialogId, InFlightId, PathId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::peer::path::Path;
use crate::shard::peer::path_salt::is_salt_for;
use crate::shard::request::Request;
use crate::shard::request::refusal::{OverloadLimit, Refusal};
use crate::shard::subscription::table::Table;

impl Table {
    /// Whether the path is proven.
    pub(crate) fn is_path_proven(&self, path: PathId) -> bool {
        self.paths.probe(path).is_none()
    }

    /// Whether one more dialog may begin over its path. While that is not proven, its source address
    /// may be forged: then the number of its dialogs is limited, and the allowance for NOTIFYs to all
    /// such addresses must not be used up. `salt` is that of the nonce in the credentials of the
    /// SUBSCRIBE, which comes from `peer`.
    pub(crate) fn check_path<'d>(
        &self,
        path: &Path,
        peer: SocketAddr,
        salt: Option<u32>,
        turn: &Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let id = self.paths.find(path);
        let is_proven = path.flow.transport.is_reliable()
            || id.is_some_and(|id| self.is_path_proven(id))
            || path.destination == peer && salt.is_some_and(|salt| is_salt_for(salt, peer, turn));
        let dialogs = id.map_or(0, |id| self.paths.dialogs(id));
        if is_proven {
            Ok(())
        } else if dialogs >= turn.options.overload.unproven_max {
            Err(Refusal::Shed(OverloadLimit::Path))
        } else if !self.paths.may_lend(path, turn) {
            Err(Refusal::Shed(OverloadLimit::Allowance))
        } else {
            Ok(())
        }
    }

    /// Octets of a NOTIFY are about to be sent again on a path that is not proven. False if the
    /// allowance is used up.
    pub(crate) fn lend(&mut self, path: PathId, octets: usize, turn: &Turn<'_>) -> bool {
        let may_leave = !self.paths.is_spent(path, turn);
        if may_leave {
            self.paths.lend(path, octets, turn);
        }
        may_leave
    }

    /// The path is proven: queues everything that waited for it.
    pub(crate) fn prove_path(&mut self, path: PathId, turn: &Turn<'_>) {
        if let Some(probe) = self.paths.prove(path, turn.now) {
            self.queue_again(&probe.waiting);
        }
    }

    /// A SUBSCRIBE in a dialog proves that our 2xx with its unguessable tag arrived, unless that
    /// went over another path.
    pub(crate) fn prove_path_by_tag(
        &mut self,
        request: &Request<'_>,
        id: DialogId,
        turn: &Turn<'_>,
    ) {
        let unmoved = self.dialog(id).filter(|entry| !entry.has_moved);
        if let Some(path) = unmoved.map(|entry| entry.path)
            && self.leads_to(path, request.flow.peer)
        {
            self.prove_path(path, turn);
        }
    }

    /// The credentials of a SUBSCRIBE have a nonce of ours with that salt: if we sent it to the source
    /// address, it proves that this is a path to the phone.
    pub(crate) fn prove_path_by_salt(
        &mut self,
        id: SubscriptionId,
        salt: Option<u32>,
        peer: SocketAddr,
        turn: &Turn<'_>,
    ) {
        if let Some(salt) = salt
            && let Some(path) = self.unproven_path_to(id, peer)
            && is_salt_for(salt, peer, turn)
        {
            self.prove_path(path, turn);
        }
    }

    /// The path of a subscription, if it leads to that peer and is not proven.
    fn unproven_path_to(&self, id: SubscriptionId, peer: SocketAddr) -> Option<PathId> {
        let subscription = self.subscription(id);
        let dialog = subscription.expected("the SUBSCRIBE is to it")?.dialog();
        let entry = self.dialog(dialog);
        let path = entry.expected("a subscription has a dialog")?.path;
        (self.leads_to(path, peer) && !self.is_path_proven(path)).then_some(path)
    }

    fn leads_to(&self, path: PathId, peer: SocketAddr) -> bool {
        let path = self.paths.of(path);
        path.is_some_and(|path| path.destination == peer)
    }

    /// Releases the path that a NOTIFY held: the NOTIFY has ended.
    pub(crate) fn release_path(&mut self, id: InFlightId, path: PathId) {
        self.end_probe(id, path);
        self.paths.release(path);
    }

    /// Takes the subscriptions whose NOTIFYs wait for the proof of a path.
    pub(crate) fn take_waiting(&mut self, path: PathId) -> Vec<SubscriptionId> {
        let probe = self.paths.probe_mut(path);
        probe.map_or_else(Vec::new, |probe| std::mem::take(&mut probe.waiting))
    }

    /// Whether a subscription exists and uses a path.
    pub(crate) fn uses_path(&self, id: SubscriptionId, path: PathId) -> bool {
        let subscription = self.subscription(id);
        let entry = subscription.and_then(|it| self.dialog(it.dialog()));
        entry.is_some_and(|entry| entry.path == path)
    }

    /// Ends the probe of a path by a NOTIFY, so that another NOTIFY may be sent to prove it.
    pub(crate) fn end_probe(&mut self, id: InFlightId, path: PathId) {
        let Some(probe) = self.paths.probe_mut(path) else {
            // The path is proven.
            return;
        };
        if probe.asking == Some(id) {
            probe.asking = None;
            let waiting = std::mem::take(&mut probe.waiting);
            self.queue_again(&waiting);
        }
    }
}
