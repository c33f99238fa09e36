//! The subscriptions of connectors: one client for each user, or for the users of a list. It lasts until it is not wanted
//! any more.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::presence::Aor;
use crate::presence::event::Package;
use crate::presence::presentity::UpstreamNews;
use crate::shard::contract::connector::{ConnectorUserReport, UpstreamReport, add_users};
use crate::shard::contract::flow::{ConnectionId, Flow};
use crate::shard::contract::ids::{ClientId, LinkId};
use crate::shard::contract::mail::Mail;
use crate::shard::contract::probe::UserStatus;
use crate::shard::contract::turn::Turn;
use crate::shard::uac::Uac;
use crate::shard::uac::client::{Beginning, Client, Role};
use crate::shard::uac::link::jittered;
use crate::shard::uac::purpose::{Coverage, LinkUse, Purpose, Upstream};
use crate::shard::uac::subscriber::Subscriber;
use crate::sip::Transport;

/// The first pause of a user that failed for now, and of one that the server does not serve; and the longest.
const FAILED: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(300)];
const REFUSED: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(1800)];

/// Users of a connector or relay, counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// By their status.
    pub(crate) users: Vec<(UserStatus, usize)>,
    /// Subscriptions or publications that the server has.
    pub(crate) established: usize,
    /// Publications whose latest state the server does not have.
    pub(crate) waiting: usize,
}

impl Uac {
    /// Subscribes to a user for a connector; None if too many users are subscribed to. `target` is the URI
    /// there.
    pub(crate) fn subscribe(
        &mut self,
        link_id: LinkId,
        aor: &Aor,
        target: String,
        turn: &mut Turn<'_>,
    ) -> Option<ClientId> {
        let covers = Coverage::User(aor.clone(), UserStatus::Requesting);
        let id = self.begin_upstream(link_id, covers, target, turn)?;
        self.ask_at_once(id, turn);
        Some(id)
    }

    /// Has a client that was just made send its first request in the next slot.
    pub(super) fn ask_at_once(&mut self, id: ClientId, turn: &mut Turn<'_>) {
        if let Some(client) = self.clients.get_mut(id) {
            client.request_at = Some(turn.now);
        }
        self.arm(id, turn);
    }

    /// A subscription of a connector, which asks for nothing yet; None if there are too many.
    pub(super) fn begin_upstream(
        &mut self,
        link_id: LinkId,
        covers: Coverage,
        target: String,
        turn: &mut Turn<'_>,
    ) -> Option<ClientId> {
        let link = self.links.get(link_id)?;
        let [package, further @ ..] = &*link.packages else {
            return None;
        };
        let upstream = Upstream {
            link: LinkUse::new(link_id),
            connector: link.name.clone(),
            covers,
            further: further.into(),
            tried: 0,
        };
        let beginning = Beginning {
            purpose: Purpose::Upstream(upstream),
            role: Role::Subscriber(Subscriber::of_connector(*package)),
            flow: link.flow.unwrap_or(NO_FLOW),
            alternatives: Vec::new(),
            target: target.into(),
            from: (&*link.from).into(),
            login: link.login.clone(),
            expires: link.expires,
            ends_at: None,
        };
        self.add_linked(beginning, turn)
    }

    /// A client that uses a link, and asks for nothing yet; None if there are too many.
    pub(super) fn add_linked(
        &mut self,
        beginning: Beginning,
        turn: &mut Turn<'_>,
    ) -> Option<ClientId> {
        if self.clients.len() >= turn.options.upstream_users_max {
            turn.counters.upstream_users_over_limit += 1;
            return None;
        }
        let link = beginning.purpose.link().map(|link| link.id);
        let id = self.add_client(beginning, turn);
        if let Some(link) = link {
            self.count_client(link);
        }
        Some(id)
    }

    /// A user is not wanted any more: the subscription ends, and what the server said is forgotten.
    pub(crate) fn unsubscribe(&mut self, id: ClientId, turn: &mut Turn<'_>) {
        if let Some(client) = self.clients.get_mut(id) {
            client.report(UpstreamNews::Gone, turn);
        }
        self.leave_server(id, turn);
    }

    /// Ends a subscription or publication, at the server too if that answers.
    pub(super) fn leave_server(&mut self, id: ClientId, turn: &mut Turn<'_>) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.is_over() || client.is_leaving() {
            return;
        }
        client.begin_leaving();
        let is_established = client.is_established(turn.now);
        let is_free = client.transaction.is_none();
        let link = client.link().and_then(|link| self.links.get_mut(link));
        match (link.filter(|link| link.is_up()), client.purpose.link_mut()) {
            (Some(link), Some(own)) if is_established && is_free => {
                (own.is_held, own.has_slot) = (false, true);
                client.request_at = Some(link.reserve(turn.now));
            }
            (Some(_), _) if !is_free => {}
            _ => client.end(Some(UserStatus::NotRequested), turn),
        }
        self.arm(id, turn);
    }

    /// The users of a connector among the clients at these places.
    pub(crate) fn users_of(
        &self,
        link: LinkId,
        places: Range<u32>,
        now: Instant,
    ) -> Vec<ConnectorUserReport> {
        let clients = places.filter_map(|place| self.clients.get(ClientId(place)));
        let own = clients.filter(|client| client.link() == Some(link));
        own.flat_map(|client| client.user_reports(now)).collect()
    }

    /// The users of each connector and relay among the clients at these places.
    pub(crate) fn tallies(&self, places: Range<u32>, now: Instant) -> HashMap<LinkId, Tally> {
        let mut tallies: HashMap<LinkId, Tally> = HashMap::new();
        for client in places.filter_map(|place| self.clients.get(ClientId(place))) {
            if let Some(link) = client.link()
                && !client.is_leaving()
                && !client.is_over()
            {
                let tally = tallies.entry(link).or_default();
                tally.established += usize::from(client.is_established(now));
                tally.waiting += usize::from(client.has_news());
                add_users(&mut tally.users, client.purpose.statuses());
            }
        }
        tallies
    }

    /// One beyond the highest place of a client.
    pub(crate) fn places(&self) -> u32 {
        self.clients.end()
    }

    pub(super) fn link_of_mut(&mut self, id: ClientId) -> Option<&mut LinkUse> {
        self.clients.get_mut(id)?.purpose.link_mut()
    }
}

impl Client {
    /// The link that it uses; None for a probe.
    pub(super) fn link(&self) -> Option<LinkId> {
        Some(self.purpose.link()?.id)
    }

    /// Tells the owner of the user what became of the subscription.
    pub(super) fn report(&mut self, news: UpstreamNews, turn: &mut Turn<'_>) {
        self.tell(news, false, turn);
    }

    /// Tells the owner of the user what the server says. `is_audit`: a refresh asked for it.
    pub(super) fn tell(&mut self, news: UpstreamNews, is_audit: bool, turn: &mut Turn<'_>) {
        let (Purpose::Upstream(upstream), Role::Subscriber(subscriber)) =
            (&mut self.purpose, &self.role)
        else {
            return;
        };
        let aor = match &mut upstream.covers {
            Coverage::User(aor, _) => aor.clone(),
            Coverage::Roster(roster) => return roster.tell_all(&news, turn.now),
        };
        let ends_at = subscriber.expires_at.unwrap_or(turn.now);
        let report = UpstreamReport {
            aor: aor.clone(),
            connector: upstream.connector.clone(),
            package: subscriber.package,
            news,
            expires: ends_at.saturating_duration_since(turn.now),
            is_audit,
            is_sole: true,
        };
        turn.send_to_owner(&aor, Mail::Upstream(Box::new(report)));
    }

    /// A user of a connector failed with that status: it is tried again later, in a new dialog. None: its
    /// state does not change any more.
    pub(super) fn try_later(&mut self, status: Option<UserStatus>, turn: &mut Turn<'_>) {
        let (news, pause) = match status {
            Some(UserStatus::AccessDenied | UserStatus::NotFound) => {
                (Some(UpstreamNews::Gone), self.refusal_pause(turn))
            }
            Some(_) => (Some(UpstreamNews::Stale), self.failure_pause(turn)),
            None => (None, self.refusal_pause(turn)),
        };
        if let Some(news) = news {
            self.report(news, turn);
        }
        self.begin_anew(turn);
        self.notify_by = None;
        self.challenged = 0;
        self.request_at = Some(turn.now + pause);
    }

    /// The pause of a user of a connector or relay that failed for now.
    pub(super) fn failure_pause(&mut self, turn: &mut Turn<'_>) -> Duration {
        let link = self.purpose.link_mut();
        pause_of(link.map(|link| &mut link.failures), FAILED, turn)
    }

    /// The pause of a user of a connector or relay that the server does not serve.
    fn refusal_pause(&mut self, turn: &mut Turn<'_>) -> Duration {
        let link = self.purpose.link_mut();
        pause_of(link.map(|link| &mut link.refusals), REFUSED, turn)
    }

    /// The server refuses the package: the next one is asked for. False if none is left.
    pub(super) fn take_next_package(&mut self, turn: &mut Turn<'_>) -> bool {
        let Some(package) = self.purpose.upstream_mut().and_then(Upstream::next_package) else {
            return false;
        };
        self.report(UpstreamNews::Gone, turn);
        self.begin_anew(turn);
        if let Role::Subscriber(subscriber) = &mut self.role {
            subscriber.package = package;
        }
        if let Some(roster) = self.roster_mut() {
            roster.set_package(package);
        }
        true
    }

    fn user_reports(&self, now: Instant) -> Vec<ConnectorUserReport> {
        let (Purpose::Upstream(upstream), Role::Subscriber(subscriber)) =
            (&self.purpose, &self.role)
        else {
            return Vec::new();
        };
        if self.is_leaving() || self.is_over() {
            return Vec::new();
        }
        let ends_at = subscriber
            .expires_at
            .filter(|_| subscriber.is_established(now));
        let report = |aor: &Aor, target: Box<str>, status| ConnectorUserReport {
            aor: aor.clone(),
            target,
            package: subscriber.package,
            status,
            remaining: ends_at.map(|end| end.saturating_duration_since(now)),
        };
        match &upstream.covers {
            Coverage::User(aor, status) => vec![report(aor, self.target.clone(), *status)],
            Coverage::Roster(roster) => {
                let users = roster.users();
                users
                    .map(|(aor, status)| report(aor, roster.uri_of(aor).into(), status))
                    .collect()
            }
        }
    }
}

/// What a connector said about a user that it does not subscribe to is forgotten.
pub(crate) fn forget(connector: &Arc<str>, aor: &Aor, turn: &mut Turn<'_>) {
    let report = UpstreamReport {
        aor: aor.clone(),
        connector: Arc::clone(connector),
        package: Package::Dialog,
        news: UpstreamNews::Gone,
        expires: Duration::ZERO,
        is_audit: false,
        is_sole: true,
    };
    turn.send_to_owner(aor, Mail::Upstream(Box::new(report)));
}

/// The pause after as many before it, twice as long each time. None: it is a probe.
fn pause_of(
    count: Option<&mut u32>,
    [first, longest]: [Duration; 2],
    turn: &mut Turn<'_>,
) -> Duration {
    let Some(count) = count else {
        return first;
    };
    let doublings = (*count).min(16);
    *count += 1;
    jittered(longest.min(first * (1 << doublings)), turn)
}

/// The flow of a client whose server is not found yet. Nothing is sent on it.
pub(super) const NO_FLOW: Flow = {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    Flow {
        transport: Transport::Udp,
        listener: 0,
        connection: ConnectionId::GONE,
        local: nowhere,
        peer: nowhere,
    }
};
