//! The lists of a connector: subscriptions that cover many users each. One shard has all of them; what they say goes to
//! the owners of the users.
//!
//! A stored list and any-dn are one subscription, which lasts as long as the connector selects any user: on demand too,
//! because to subscribe costs nothing more for another user. Of lists in our SUBSCRIBEs there are as many as the users
//! need.

use std::collections::VecDeque;

use crate::directory::connectors::{
    Connector, ENCLOSED_USERS_MAX, ListKind, Protocol, SipUpstream, UpstreamList,
};
use crate::presence::Aor;
use crate::shard::contract::flow::ShardId;
use crate::shard::contract::ids::{ClientId, LinkId};
use crate::shard::contract::options::Options;
use crate::shard::contract::turn::Turn;
use crate::shard::uac::Uac;
use crate::shard::uac::roster::RosterPlan;

/// The lists of a connector.
#[derive(Debug, Default)]
pub(super) struct Lists {
    all: Vec<List>,
    /// Users that a list named before the connector was restarted, to be covered by the next.
    guests: VecDeque<Aor>,
}

#[derive(Debug)]
struct List {
    client: ClientId,
    /// Users that were added.
    users: usize,
    /// The server is not yet asked for the present users.
    is_changed: bool,
}

/// What a connector subscribes to, if that is a list.
pub(super) fn list_of(connector: &Connector) -> Option<(&SipUpstream, &UpstreamList)> {
    match &connector.protocol {
        Protocol::Sip(upstream) => Some((upstream, upstream.list.as_ref()?)),
        Protocol::Pbx(_) | Protocol::Teams(_) => None,
    }
}

/// Whether this shard has the lists of a connector.
pub(super) fn is_here(connector: &Connector, options: &Options) -> bool {
    let name = Aor::new(&connector.name, &connector.domain);
    ShardId::owner_of(&name, options.shards) == options.id
}

impl Lists {
    /// Whether a list is to be subscribed to though no user was added yet.
    pub(super) fn lacks_one(&self, connector: &Connector) -> bool {
        let is_stored = |(_, list): (&SipUpstream, &UpstreamList)| list.kind != ListKind::Enclosed;
        self.all.is_empty()
            && connector.users.on_demand
            && list_of(connector).is_some_and(is_stored)
    }

    /// Adds a user to a list with room; None if there is no room for another list.
    pub(super) fn cover(
        &mut self,
        aor: &Aor,
        connector: &Connector,
        link: LinkId,
        uac: &mut Uac,
        turn: &mut Turn<'_>,
    ) -> Option<ClientId> {
        let list = self.with_room(connector, link, uac, turn)?;
        if !uac.cover(list.client, aor, true, turn) {
            return None;
        }
        (list.users, list.is_changed) = (list.users + 1, true);
        Some(list.client)
    }

    /// Removes a user from its list. A list without users ends, unless it is to have others that it names.
    pub(super) fn uncover(
        &mut self,
        aor: &Aor,
        client: ClientId,
        connector: &Connector,
        uac: &mut Uac,
        turn: &mut Turn<'_>,
    ) {
        uac.uncover(client, aor, turn);
        let Some(place) = self.all.iter().position(|list| list.client == client) else {
            return;
        };
        let list = &mut self.all[place];
        list.users = list.users.saturating_sub(1);
        let is_enclosed =
            list_of(connector).is_some_and(|(_, list)| list.kind == ListKind::Enclosed);
        list.is_changed |= is_enclosed;
        if list.users == 0 && !connector.users.on_demand {
            self.all.remove(place);
            uac.unsubscribe(client, turn);
        }
    }

    /// Users of the domain came or went: lists may name others that count.
    pub(super) fn accounts_changed(&mut self) {
        for list in &mut self.all {
            list.is_changed = true;
        }
    }

    /// Has the lists asked for whose users changed, and one on demand.
    pub(super) fn settle(
        &mut self,
        connector: &Connector,
        link: LinkId,
        uac: &mut Uac,
        turn: &mut Turn<'_>,
    ) {
        if self.lacks_one(connector) {
            self.with_room(connector, link, uac, turn);
        }
        for list in &mut self.all {
            if std::mem::take(&mut list.is_changed) {
                uac.review_guests(list.client, turn);
                uac.ask(list.client, turn);
            }
        }
    }

    /// Ends all. `forgets`: what the server said is forgotten.
    pub(super) fn close(&mut self, forgets: bool, uac: &mut Uac, turn: &mut Turn<'_>) {
        for list in self.all.drain(..) {
            if forgets {
                uac.unsubscribe(list.client, turn);
            } else {
                self.guests.extend(uac.guests(list.client));
            }
        }
    }

    /// The list with room for another user, a new one if need be. A new one covers the guests of those before.
    fn with_room(
        &mut self,
        connector: &Connector,
        link: LinkId,
        uac: &mut Uac,
        turn: &mut Turn<'_>,
    ) -> Option<&mut List> {
        let (upstream, list) = list_of(connector)?;
        let is_enclosed = list.kind == ListKind::Enclosed;
        let has_room = |known: &List| !is_enclosed || known.users < ENCLOSED_USERS_MAX;
        let place = self.all.iter().position(has_room);
        let place = match place {
            Some(place) => place,
            None => {
                let plan = plan(connector, upstream, list);
                let client = uac.subscribe_list(link, plan, list.uri.to_string(), turn)?;
                for guest in self.guests.drain(..) {
                    uac.cover(client, &guest, false, turn);
                }
                self.all.push(List {
                    client,
                    users: 0,
                    is_changed: true,
                });
                self.all.len() - 1
            }
        };
        self.all.get_mut(place)
    }
}

fn plan(connector: &Connector, upstream: &SipUpstream, list: &UpstreamList) -> RosterPlan {
    let address = connector.address.as_ref();
    let host = address.map(|address| Box::from(&*address.host));
    let hosts = [upstream.remote_domain.clone()].into_iter().chain(host);
    RosterPlan {
        kind: list.kind,
        domain: connector.domain.clone(),
        hosts: hosts.collect(),
        is_open: connector.users.on_demand,
    }
}
