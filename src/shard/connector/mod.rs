//! Connectors: which users of which PBX are subscribed to from here. The subscriptions themselves are the
//! business of `uac`, what they bring of `presentity`.
//!
//! A shard subscribes to the presentities that it owns: to those that the configuration selects at all times,
//! to others while a shard watches them, and two minutes longer. However many watch, there is one subscription
//! for a user and connector. A connector that subscribes to lists does so in one shard, for users of all shards: `lists`.
//!
//! A change of the configuration is in force at once: a connector that changed begins anew, of others only
//! users come and go. The users of one connector at a time are selected, and only if what selects them has
//! changed; users are added and removed some hundred at a time, so that no lamp waits.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::connectors::{Connector, Protocol};
use crate::directory::peer_systems::PeerSystemId;
use crate::presence::Aor;
use crate::shard::container::timer_wheel::TimerHandle;
use crate::shard::contract::connector::{
    ConnectorCounts, ConnectorOrder, ConnectorReport, ConnectorStatus, ConnectorUserReport,
};
use crate::shard::contract::flow::ShardId;
use crate::shard::contract::ids::{ClientId, LinkId};
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::uac::Uac;
use crate::shard::uac::link::Server;
use crate::shard::uac::upstream::{self, Tally};

mod lingering;
mod lists;

use lingering::Lingering;
use lists::{Lists, list_of};

/// Users that are added or removed at once, of all connectors together.
const USERS_AT_ONCE: usize = 500;
/// The pause between two such batches.
const PAUSE: Duration = Duration::from_millis(10);

/// The connectors of this shard.
#[derive(Debug, Default)]
pub(crate) struct Connectors {
    /// In the order of the configuration.
    all: Vec<Entry>,
    timer: Option<TimerHandle>,
    lingering: Lingering,
}

/// One connector.
#[derive(Debug)]
struct Entry {
    connector: Connector,
    /// Another shard has the lists that it subscribes to.
    is_elsewhere: bool,
    /// The operator stopped it.
    is_stopped: bool,
    /// None while it is out of use.
    link: Option<LinkId>,
    users: HashMap<Aor, User>,
    lists: Lists,
    /// What these were selected by; None if they are to be selected, or selected again.
    selected_by: Option<Basis>,
    /// Users to be looked at again.
    pending: VecDeque<Aor>,
}

/// What selects the users of a connector, beside the connector itself and their watchers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Basis {
    /// The accounts of its domain, if it subscribes to them, or shows them when a list names them.
    accounts: Option<u64>,
    /// The peer system that its server is.
    system: Option<PeerSystemId>,
}

/// Why a user is subscribed to.
#[derive(Clone, Copy, Debug, Default)]
struct User {
    is_selected: bool,
    is_watched: bool,
    client: Option<ClientId>,
}

impl User {
    const fn is_wanted(self) -> bool {
        self.is_selected || self.is_watched
    }
}

impl Connectors {
    /// Takes the connectors of the directory.
    pub(crate) fn take_directory(&mut self, uac: &mut Uac, turn: &mut Turn<'_>) {
        let directory = turn.directory;
        let mut before: Vec<Entry> = std::mem::take(&mut self.all);
        for connector in directory.connectors() {
            let known = before
                .iter()
                .position(|entry| entry.connector == *connector)
                .map(|place| before.remove(place));
            let entry = known.unwrap_or_else(|| Entry::new(connector, turn));
            self.all.push(entry);
        }
        for mut entry in before {
            entry.close(true, uac, turn);
        }
        for entry in &mut self.all {
            entry.open(uac, turn);
            let basis = entry.basis(turn);
            entry.selected_by = entry.selected_by.filter(|known| *known == basis);
        }
        self.arm(turn);
    }

    /// What connectors said before a restart is held until they are heard again. Who of them are not subscribed to
    /// any more, or by a connector that is not in use, is forgotten.
    pub(crate) fn take_recovered(&mut self, recovered: Vec<(Arc<str>, Aor)>, turn: &mut Turn<'_>) {
        for (name, aor) in recovered {
            let mut entries = self.all.iter_mut();
            match entries.find(|entry| entry.is_in_use_for(&name, &aor)) {
                // It is wanted, or else forgotten, when the users are selected.
                Some(entry) if entry.is_sip() => {
                    entry.users.entry(aor).or_default();
                }
                Some(_) => {}
                None => upstream::forget(&name, &aor, turn),
            }
        }
    }

    /// A shard watches a presentity, or none does any more. A connector does not count watchers that are its own
    /// server: two servers would hold each other's subscriptions for ever.
    pub(crate) fn note_watched(
        &mut self,
        aor: &Aor,
        system: Option<PeerSystemId>,
        is_watched: bool,
        turn: &mut Turn<'_>,
    ) {
        if !self.all.iter().any(|entry| entry.is_on_demand_for(aor)) {
            return;
        }
        if is_watched {
            let counts = |own: Option<PeerSystemId>| system.is_none() || system != own;
            for entry in &mut self.all {
                if entry.is_on_demand_for(aor) && counts(entry.system(turn)) {
                    entry.want(aor, true);
                }
            }
        } else {
            self.lingering.add(aor, turn.now);
        }
        self.arm(turn);
    }

    /// Goes on with users that come and go. `is_watched`: whether a shard watches a presentity for others than a
    /// peer system; `watched_in`: the presentities of a domain that a shard watches for others than that.
    pub(crate) fn handle_timer(
        &mut self,
        is_watched: impl Fn(&Aor, Option<PeerSystemId>) -> bool,
        watched_in: impl Fn(&str, Option<PeerSystemId>) -> Vec<Aor>,
        uac: &mut Uac,
        turn: &mut Turn<'_>,
    ) {
        self.timer = None;
        while let Some(aor) = self.lingering.pop(turn.now) {
            for entry in &mut self.all {
                if entry.is_on_demand_for(&aor) && !is_watched(&aor, entry.system(turn)) {
                    entry.want(&aor, false);
                }
            }
        }
        let mut entries = self.all.iter_mut();
        if let Some(entry) = entries.find(|entry| entry.is_outdated()) {
            entry.select(watched_in, turn);
        }
        let mut left = USERS_AT_ONCE;
        for entry in &mut self.all {
            entry.settle(&mut left, uac, turn);
        }
        self.arm(turn);
    }

    fn arm(&mut self, turn: &mut Turn<'_>) {
        if let Some(timer) = self.timer.take() {
            turn.wheel.cancel(timer);
        }
        let is_pending = |entry: &Entry| entry.is_pending() || entry.is_outdated();
        let is_pending = self.all.iter().any(is_pending);
        let due = match is_pending {
            true => Some(turn.now + PAUSE),
            false => self.lingering.due(),
        };
        self.timer = due.map(|due| turn.wheel.arm(due.max(turn.now), Timer::Connectors));
    }

    /// Starts, stops or restarts a connector. False if there is none with that name.
    pub(crate) fn order(
        &mut self,
        name: &str,
        order: ConnectorOrder,
        uac: &mut Uac,
        turn: &mut Turn<'_>,
    ) -> bool {
        let mut entries = self.all.iter_mut();
        let Some(entry) = entries.find(|entry| *entry.connector.name == *name) else {
            return false;
        };
        match order {
            ConnectorOrder::Start => entry.is_stopped = false,
            ConnectorOrder::Stop => {
                entry.is_stopped = true;
                entry.close(true, uac, turn);
            }
            ConnectorOrder::Restart => {
                entry.is_stopped = false;
                entry.close(false, uac, turn);
            }
        }
        entry.open(uac, turn);
        entry.review();
        self.arm(turn);
        true
    }

    /// All connectors, as this shard sees them, with their users among the clients at these places.
    pub(crate) fn reports(
        &self,
        places: Range<u32>,
        uac: &Uac,
        now: Instant,
    ) -> Vec<ConnectorReport> {
        let tallies = uac.tallies(places, now);
        let report = |entry: &Entry| entry.report(&tallies, uac, now);
        self.all.iter().map(report).collect()
    }

    /// The users of a connector among the clients at these places.
    pub(crate) fn users(
        &self,
        name: &str,
        places: Range<u32>,
        uac: &Uac,
        now: Instant,
    ) -> Vec<ConnectorUserReport> {
        let mut entries = self.all.iter();
        let entry = entries.find(|entry| *entry.connector.name == *name);
        let link = entry.and_then(|entry| entry.link);
        link.map_or_else(Vec::new, |link| uac.users_of(link, places, now))
    }
}

impl Entry {
    fn new(connector: &Connector, turn: &Turn<'_>) -> Self {
        let has_lists = list_of(connector).is_some();
        Self {
            connector: connector.clone(),
            is_elsewhere: has_lists && !lists::is_here(connector, turn.options),
            is_stopped: false,
            link: None,
            users: HashMap::new(),
            lists: Lists::default(),
            selected_by: None,
            pending: VecDeque::new(),
        }
    }

    /// Connectors of other protocols are no business of a shard.
    const fn is_sip(&self) -> bool {
        matches!(self.connector.protocol, Protocol::Sip(_))
    }

    fn is_in_use_for(&self, name: &str, aor: &Aor) -> bool {
        let connector = &self.connector;
        let is_its = *connector.name == *name && *connector.domain == *aor.domain();
        is_its && connector.is_enabled
    }

    /// The peer system that its server is.
    fn system(&self, turn: &Turn<'_>) -> Option<PeerSystemId> {
        turn.directory
            .peer_system_of_connector(&self.connector.name)
    }

    /// A user on demand is watched, or is not.
    fn want(&mut self, aor: &Aor, is_watched: bool) {
        self.users.entry(aor.clone()).or_default().is_watched = is_watched;
        self.pending.push_back(aor.clone());
    }

    fn is_on_demand_for(&self, aor: &Aor) -> bool {
        self.is_sip()
            && self.connector.users.on_demand
            && *self.connector.domain == *aor.domain()
            && list_of(&self.connector).is_none()
    }

    /// Whether users count that a list names and that the configuration does not select.
    fn takes_guests(&self) -> bool {
        self.connector.users.on_demand && list_of(&self.connector).is_some()
    }

    /// Opens the link, unless it is open or the connector is out of use.
    fn open(&mut self, uac: &mut Uac, turn: &mut Turn<'_>) {
        let is_in_use = self.connector.is_enabled && !self.is_stopped;
        if self.link.is_none() && is_in_use && !self.is_elsewhere {
            self.link = server(&self.connector).map(|server| uac.open_link(&server, turn));
        }
    }

    /// Ends all subscriptions. `forgets`: what the server said is forgotten.
    fn close(&mut self, forgets: bool, uac: &mut Uac, turn: &mut Turn<'_>) {
        let is_each = list_of(&self.connector).is_none();
        let users = self.users.iter_mut();
        let mut users: Vec<(&Aor, Option<ClientId>)> =
            users.map(|(aor, user)| (aor, user.client.take())).collect();
        // In an order that does not depend on the map.
        users.sort_unstable_by_key(|(aor, _)| *aor);
        for (aor, client) in users.into_iter().filter(|_| forgets && is_each) {
            match client {
                Some(client) => uac.unsubscribe(client, turn),
                None => upstream::forget(&self.connector.name, aor, turn),
            }
        }
        self.lists.close(forgets, uac, turn);
        if let Some(link) = self.link.take() {
            uac.close_link(link, turn);
        }
    }

    fn basis(&self, turn: &Turn<'_>) -> Basis {
        let (domain, users) = (&self.connector.domain, &self.connector.users);
        Basis {
            accounts: (users.accounts || self.takes_guests())
                .then(|| turn.directory.account_set(domain)),
            system: self.system(turn),
        }
    }

    /// Whether its users are to be selected.
    const fn is_outdated(&self) -> bool {
        self.is_sip() && self.selected_by.is_none()
    }

    /// Whether a user is to be looked at, or a list to be subscribed to.
    fn is_pending(&self) -> bool {
        !self.pending.is_empty() || self.link.is_some() && self.lists.lacks_one(&self.connector)
    }

    /// Notes which users are to be subscribed to.
    fn select(
        &mut self,
        watched_in: impl Fn(&str, Option<PeerSystemId>) -> Vec<Aor>,
        turn: &Turn<'_>,
    ) {
        let basis = self.basis(turn);
        if self.is_elsewhere {
            self.selected_by = Some(basis);
            return;
        }
        let is_each = list_of(&self.connector).is_none();
        if self.takes_guests() {
            self.lists.accounts_changed();
        }
        let (domain, users) = (&*self.connector.domain, &self.connector.users);
        for user in self.users.values_mut() {
            user.is_selected = false;
        }
        let listed = users.ranges.iter().flat_map(|range| range.users());
        let listed = listed.map(|user| Aor::new(&user, domain));
        let accounts = users.accounts.then(|| turn.directory.accounts_in(domain));
        let is_here = |aor: &Aor| ShardId::owner_of(aor, turn.options.shards) == turn.options.id;
        let all = listed.chain(accounts.into_iter().flatten());
        for aor in all.filter(|aor| !is_each || is_here(aor)) {
            self.users.entry(aor).or_default().is_selected = true;
        }
        if users.on_demand && is_each {
            for aor in watched_in(domain, basis.system) {
                self.users.entry(aor).or_default().is_watched = true;
            }
        }
        self.selected_by = Some(basis);
        self.review();
    }

    /// Has all users looked at again but those that are wanted and subscribed to.
    fn review(&mut self) {
        let is_settled = |user: &User| user.is_wanted() && user.client.is_some();
        let open = self.users.iter().filter(|(_, user)| !is_settled(user));
        self.pending = open.map(|(aor, _)| aor.clone()).collect();
        // In an order that does not depend on the map.
        self.pending.make_contiguous().sort_unstable();
    }

    /// Subscribes to the next users that are wanted and are not subscribed to, and ends the subscriptions to
    /// those that are not wanted. `left`: how many there may be.
    fn settle(&mut self, left: &mut usize, uac: &mut Uac, turn: &mut Turn<'_>) {
        while *left > 0
            && let Some(aor) = self.pending.pop_front()
        {
            *left -= 1;
            let Some(user) = self.users.get_mut(&aor) else {
                continue;
            };
            let connector = &self.connector;
            let Protocol::Sip(upstream) = &connector.protocol else {
                continue;
            };
            match (user.is_wanted(), user.client, self.link) {
                (true, None, Some(link)) if upstream.list.is_some() => {
                    user.client = self.lists.cover(&aor, connector, link, uac, turn);
                }
                (true, None, Some(link)) => {
                    let target = upstream.uri_of(aor.user());
                    user.client = uac.subscribe(link, &aor, target, turn);
                }
                (false, client, _) => {
                    match client {
                        Some(client) if upstream.list.is_some() => {
                            self.lists.uncover(&aor, client, connector, uac, turn);
                        }
                        Some(client) => uac.unsubscribe(client, turn),
                        None => upstream::forget(&connector.name, &aor, turn),
                    }
                    self.users.remove(&aor);
                }
                (true, _, _) => {}
            }
        }
        if self.pending.is_empty()
            && let Some(link) = self.link
        {
            self.lists.settle(&self.connector, link, uac, turn);
        }
    }

    fn report(&self, tallies: &HashMap<LinkId, Tally>, uac: &Uac, now: Instant) -> ConnectorReport {
        let link = self.link.and_then(|link| uac.link_report(link, now));
        let status = match link {
            Some(link) => link.status,
            None if !self.connector.is_enabled || self.is_stopped => ConnectorStatus::Disabled,
            None if self.is_elsewhere => ConnectorStatus::NotRequested,
            None => ConnectorStatus::NotConfigured,
        };
        let tally = self.link.and_then(|link| tallies.get(&link));
        let Tally {
            users, established, ..
        } = tally.cloned().unwrap_or_default();
        ConnectorReport {
            name: self.connector.name.clone(),
            domain: self.connector.domain.clone(),
            status,
            age: link.map(|link| link.age),
            peer: link.and_then(|link| link.peer),
            next_attempt: link.and_then(|link| link.next_attempt),
            users,
            subscriptions: established,
            counts: link.map_or_else(ConnectorCounts::default, |link| link.counts),
        }
    }
}

/// The server of a connector; None if it is not configured.
fn server(connector: &Connector) -> Option<Server<'_>> {
    let Protocol::Sip(upstream) = &connector.protocol else {
        return None;
    };
    Some(Server {
        name: &connector.name,
        address: connector.address.as_ref()?,
        transport: upstream.transport,
        from: &upstream.uri,
        login: connector.login.as_ref(),
        packages: &upstream.packages,
        expires: upstream.expires,
        pace: upstream.pace,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
