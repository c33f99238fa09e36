//! Where the server of a connector is: its name is looked up, its locations are tried in order (RFC 3263
//! §4.3), and a stream is opened to one where the connector wants that.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::shard::contract::connector::Route;
use crate::shard::contract::dial::Dial;
use crate::shard::contract::flow::{ConnectionId, Flow};
use crate::shard::contract::ids::{DialId, LinkId};
use crate::shard::contract::probe::ServerStatus;
use crate::shard::contract::turn::Turn;
use crate::shard::uac::Uac;
use crate::shard::uac::link::{Link, Phase};

impl Uac {
    /// Has the server found.
    pub(super) fn find_server(&mut self, id: LinkId, turn: &mut Turn<'_>) {
        if let Some(link) = self.links.get_mut(id) {
            link.phase = Phase::Routing;
            let question = link.question.clone();
            turn.out.routes.push(Route { id, question });
        }
    }

    /// The flows to the server, best first.
    pub(crate) fn handle_located(&mut self, id: LinkId, flows: &[Flow], turn: &mut Turn<'_>) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if link.phase != Phase::Routing {
            return;
        }
        let own = |flow: &&Flow| !turn.options.local_addresses.contains(&flow.peer);
        link.untried = flows.iter().filter(own).rev().copied().collect();
        if !self.next_location(id, turn) {
            self.rest(id, ServerStatus::ConnectionError, Duration::ZERO, turn);
        }
    }

    /// Goes on to the next location; false if none is left.
    pub(super) fn next_location(&mut self, id: LinkId, turn: &mut Turn<'_>) -> bool {
        let Some(link) = self.links.get_mut(id) else {
            return false;
        };
        let Some(flow) = link.untried.pop() else {
            return false;
        };
        if flow.transport.is_reliable() {
            (link.flow, link.phase) = (None, Phase::Opening);
            let is_name = link.question.host.parse::<IpAddr>().is_err();
            turn.out.dials.push(Dial {
                id: DialId::of_link(id),
                transport: flow.transport,
                listener: flow.listener,
                local: flow.local,
                peer: flow.peer,
                host: is_name.then(|| Arc::clone(&link.question.host)),
            });
        } else {
            (link.flow, link.phase) = (Some(flow), Phase::Ready);
            self.try_server(id, turn);
        }
        true
    }

    /// The stream to the server is open.
    pub(crate) fn handle_dialed(&mut self, id: LinkId, flow: Flow, turn: &mut Turn<'_>) {
        let link = self.links.get_mut(id);
        if let Some(link) = link.filter(|link| link.phase == Phase::Opening) {
            (link.flow, link.phase) = (Some(flow), Phase::Ready);
            self.try_server(id, turn);
        }
    }

    /// The stream to the server could not be opened.
    pub(crate) fn handle_dial_failed(&mut self, id: LinkId, turn: &mut Turn<'_>) {
        let is_opening = |link: &Link| link.phase == Phase::Opening;
        if self.links.get(id).is_some_and(is_opening) && !self.next_location(id, turn) {
            self.rest(id, ServerStatus::ConnectionError, Duration::ZERO, turn);
        }
    }

    /// A stream ended: a link that used it opens another.
    pub(crate) fn handle_closed(&mut self, connection: ConnectionId, turn: &mut Turn<'_>) {
        let is_its = |link: &Link| {
            let flow = link.flow.filter(|flow| flow.transport.is_reliable());
            flow.is_some_and(|flow| flow.connection == connection)
        };
        let cut: Vec<LinkId> = self
            .links
            .iter()
            .filter_map(|(id, link)| is_its(link).then_some(id))
            .collect();
        for id in cut {
            if let Some(link) = self.links.get_mut(id) {
                link.flow = None;
            }
            self.hold_all(id, turn);
            self.pause(id, Duration::ZERO, turn);
        }
    }
}
