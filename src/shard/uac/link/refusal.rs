//! Refusals: whether a server refuses us, or only a user.

use std::time::{Duration, Instant};

use crate::shard::contract::ids::{ClientId, LinkId};
use crate::shard::contract::probe::ServerStatus;
use crate::shard::contract::turn::Turn;
use crate::shard::uac::Uac;
use crate::shard::uac::link::{Link, Phase};

impl Uac {
    /// The server refused a client: that user only, unless it refuses us.
    pub(in crate::shard::uac) fn take_refusal(&mut self, id: ClientId, turn: &mut Turn<'_>) {
        let link = self.clients.get(id).and_then(|client| client.link());
        let Some(link_id) = link else {
            return;
        };
        if self.refuses_us(link_id, id, turn.now) {
            // The link has its own pauses: once it is up again, the user is not to wait for refusals of us.
            if let Some(own) = self.link_of_mut(id) {
                own.refusals = own.refusals.saturating_sub(1);
            }
            self.hold(id, turn);
            self.rest(link_id, ServerStatus::Forbidden, Duration::ZERO, turn);
            self.note_refused(link_id, true);
        }
    }

    pub(super) fn note_refused(&mut self, id: LinkId, is_refused: bool) {
        if let Some(link) = self.links.get_mut(id) {
            link.is_refused = is_refused;
        }
    }

    /// Whether a server that refused a client refuses us: that client tried it, or all were refused since it
    /// last served one, and it has no subscription of ours any more.
    fn refuses_us(&mut self, link_id: LinkId, id: ClientId, now: Instant) -> bool {
        let Some(link) = self.links.get_mut(link_id) else {
            return false;
        };
        link.refusals += 1;
        if link.phase == Phase::Trying(id) {
            return true;
        }
        if link.phase != Phase::Up || link.refusals < link.clients {
            return false;
        }
        link.refusals = 0;
        let mut clients = self.clients.iter();
        !clients.any(|(_, client)| client.link() == Some(link_id) && client.is_established(now))
    }

    /// The server knows the user that our credentials are of.
    pub(in crate::shard::uac) fn credentials_found(&mut self, id: LinkId, now: Instant) {
        let link = self.links.get_mut(id);
        let lacks_it = |link: &&mut Link| link.status == Some(ServerStatus::CredentialsNotFound);
        if let Some(link) = link.filter(lacks_it) {
            link.set_status(ServerStatus::UpAndRunning, now);
        }
    }
}
