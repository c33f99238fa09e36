//! The publications of relays: one client for each user, until there is nothing to be published any more.

use std::sync::Arc;

use crate::directory::relays::SipRelay;
use crate::presence::elsewhere::PublishedElsewhere;
use crate::shard::contract::ids::{ClientId, LinkId};
use crate::shard::contract::mail::Mail;
use crate::shard::contract::probe::UserStatus;
use crate::shard::contract::relay::{RelayOutcome, RelayedState};
use crate::shard::contract::turn::Turn;
use crate::shard::uac::Uac;
use crate::shard::uac::client::{Beginning, Client, Role};
use crate::shard::uac::publisher::{PublishedState, Publisher};
use crate::shard::uac::purpose::{LinkUse, Purpose, Relayed};
use crate::shard::uac::upstream::NO_FLOW;

impl Uac {
    /// Publishes the state of a user for a relay; None if too many users are published and subscribed to.
    pub(crate) fn publish(
        &mut self,
        link_id: LinkId,
        relay: &Arc<SipRelay>,
        state: RelayedState,
        turn: &mut Turn<'_>,
    ) -> Option<ClientId> {
        let link = self.links.get(link_id)?;
        let RelayedState {
            aor,
            composed,
            privacy,
            held,
            ..
        } = state;
        let target = relay.uri_of(&aor);
        let published = PublishedState { composed, privacy };
        let publisher = Publisher::of_user(relay, &aor, published, held);
        let beginning = Beginning {
            purpose: Purpose::Relay(Relayed {
                link: LinkUse::new(link_id),
                relay: Arc::clone(&relay.name),
                aor,
                status: UserStatus::Requesting,
            }),
            role: Role::Publisher(publisher),
            flow: link.flow.unwrap_or(NO_FLOW),
            alternatives: Vec::new(),
            from: match &*link.from {
                "" => (&*target).into(),
                own => own.into(),
            },
            target: target.into(),
            login: link.login.clone(),
            expires: link.expires,
            ends_at: None,
        };
        let id = self.add_linked(beginning, turn)?;
        self.ask_at_once(id, turn);
        Some(id)
    }

    /// The state of a published user changed. Gives it back if the publication is being removed.
    pub(crate) fn republish(
        &mut self,
        id: ClientId,
        state: RelayedState,
        turn: &mut Turn<'_>,
    ) -> Result<(), RelayedState> {
        let client = self.clients.get_mut(id);
        let Some(client) = client.filter(|client| !client.is_leaving() && !client.is_over()) else {
            return Err(state);
        };
        let Role::Publisher(publisher) = &mut client.role else {
            return Err(state);
        };
        let RelayedState {
            composed, privacy, ..
        } = state;
        publisher.take(PublishedState { composed, privacy });
        // One that the server refuses waits on, and so does one that the link holds.
        let is_refused =
            matches!(&client.purpose, Purpose::Relay(relayed) if relayed.status.is_failure());
        if client.request_at.is_some() && !is_refused && client.has_news() {
            client.request_at = Some(turn.now);
        }
        self.arm(id, turn);
        Ok(())
    }

    /// A user is not to be published any more: the publication is removed.
    pub(crate) fn withdraw(&mut self, id: ClientId, turn: &mut Turn<'_>) {
        self.leave_server(id, turn);
    }
}

impl Client {
    /// Whether there is nothing to be published any more.
    pub(super) fn is_through(&self) -> bool {
        match &self.role {
            Role::Publisher(publisher) => publisher.is_through(),
            Role::Subscriber(_) => false,
        }
    }

    /// Whether its publication is to be removed before another one begins.
    pub(super) fn is_spent(&self) -> bool {
        match &self.role {
            Role::Publisher(publisher) => publisher.is_spent(),
            Role::Subscriber(_) => false,
        }
    }

    /// Whether it publishes a state that the server does not have.
    pub(super) fn has_news(&self) -> bool {
        match &self.role {
            Role::Publisher(publisher) => publisher.has_news(),
            Role::Subscriber(_) => false,
        }
    }

    /// Tells the relay and the owner of the user what the server has of a publication now.
    pub(super) fn tell_published(&self, turn: &mut Turn<'_>) {
        let (Purpose::Relay(relayed), Role::Publisher(publisher)) = (&self.purpose, &self.role)
        else {
            return;
        };
        let is_over = self.is_over();
        let held = || {
            Some(PublishedElsewhere {
                relay: Arc::clone(&relayed.relay),
                entity_tag: publisher.entity_tag.clone()?,
                expires_at: publisher.expires_at?,
            })
        };
        let has_told_something = !is_over && !publisher.has_told_end();
        let outcome = RelayOutcome {
            relay: Arc::clone(&relayed.relay),
            aor: relayed.aor.clone(),
            client: self.place(turn),
            held: has_told_something.then(held).flatten(),
            is_over,
        };
        turn.loopback.push_back(Mail::Relayed(Box::new(outcome)));
    }
}
