//! Who watches whom, told to the one who is watched (RFC 3857, 3858; W:B4).
//!
//! Watchers are wherever their phones landed. A shard with a subscription to the watchers of a
//! presentity asks all shards; each answers with those it has, and again, as a whole, after a turn
//! in which one came, went or changed. What is compared of two answers is who is new, who is gone
//! and who was approved, so a shard tells why somebody went and no more.
//!
//! Who waited for approval and gave up is remembered for a while, so that the presentity learns of
//! it (W:B4.3). Not here: who may ask (`presence::policy::is_private`).

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use smallvec::SmallVec;

use crate::presence::Aor;
use crate::presence::document::watcherinfo;
use crate::presence::event::Package;
use crate::presence::event::Termination;
use crate::presence::event::WatcherEvent;
use crate::presence::event::WatcherInfo;
use crate::presence::event::WatcherStatus;
use crate::presence::fixed_hash::fnv1a;
use crate::presence::policy::Handling;
use crate::shard::Shard;
use crate::shard::bodies::Body;
use crate::shard::flow::ShardId;
use crate::shard::identity::Identity;
use crate::shard::mail::Mail;
use crate::shard::mail::WatchersHere;
use crate::shard::outbox::Outbox;
use crate::shard::subscription::NewSubscription;
use crate::shard::subscription::Phase;
use crate::shard::subscription::Subject;
use crate::shard::subscription::Wants;
use crate::shard::table::DialogId;
use crate::shard::table::Post;
use crate::shard::table::SubscriptionId;

/// Watchers in one document, and in one answer of a shard; more are counted and not told (W:B4.3).
const WATCHERS_MAX: usize = 1_000;
/// Octets of their elements in one document: less than a datagram can hold (W:A6.4).
const WATCHERS_OCTETS_MAX: usize = 60_000;
/// Octets of one element besides its URI and name.
const WATCHER_OCTETS: usize = 110;
/// Watchers that a shard remembers as waiting; beyond it the oldest is forgotten (W:B4.3).
const WAITING_MAX: usize = 1_000;
/// For how long (W:B4.3).
const WAITING_TIME: Duration = Duration::from_secs(14 * 24 * 3600);

/// The watchers of a presentity, for one package.
type Topic = (Aor, Package);

/// What a shard knows of watchers elsewhere, and who wants to know of its own.
#[derive(Debug, Default)]
pub(crate) struct WatcherInfos {
    followed: HashMap<Topic, Followed>,
    /// By presentity: who is told of the watchers here.
    followers: HashMap<Aor, SmallVec<[(Package, ShardId); 2]>>,
    /// Followed presentities whose watchers changed in this turn.
    changed: Vec<Aor>,
    /// Why watchers ended in this turn, by their id.
    ended: Vec<(u64, WatcherEvent)>,
    /// The oldest first.
    waiting: VecDeque<Waiting>,
}

/// The watchers of one topic, as subscriptions here are told of them.
#[derive(Debug)]
struct Followed {
    subscriptions: Vec<SubscriptionId>,
    /// By shard, in the order of their ids; None while it has not answered.
    watchers: Vec<Option<Vec<WatcherInfo>>>,
}

/// Somebody whose subscription ended before anybody decided about it.
#[derive(Debug)]
struct Waiting {
    topic: Topic,
    identity: Identity,
    watcher: WatcherInfo,
    until: Instant,
}

/// A subscription to the watchers of a presentity.
#[derive(Debug)]
pub(crate) struct Audience {
    topic: Topic,
    /// Watchers that are gone, which is told once.
    gone: Vec<WatcherInfo>,
}

impl Audience {
    /// Whose watchers.
    pub(crate) fn aor(&self) -> &Aor {
        &self.topic.0
    }

    /// All was told.
    pub(crate) fn told(&mut self) {
        self.gone.clear();
    }
}

impl WatcherInfos {
    /// The subscriptions here to the watchers of a presentity.
    pub(crate) fn audiences(&self, aor: &Aor) -> impl Iterator<Item = SubscriptionId> {
        let packages = [Package::PresenceWinfo, Package::DialogWinfo];
        packages
            .into_iter()
            .filter_map(|package| self.followed.get(&(aor.clone(), package)))
            .flat_map(|followed| followed.subscriptions.iter().copied())
    }

    /// Whether nothing is to be told.
    pub(crate) fn is_settled(&self) -> bool {
        self.changed.is_empty()
    }

    /// Whether anybody wants to know who watches a presentity.
    fn is_followed(&self, aor: &Aor) -> bool {
        !self.followers.is_empty() && self.followers.contains_key(aor)
    }

    fn note(&mut self, aor: Aor) {
        if !self.changed.contains(&aor) {
            self.changed.push(aor);
        }
    }
}

// As the shard that has the subscription.
impl Shard {
    /// Adds a subscription to the watchers of a presentity.
    pub(crate) fn add_audience(
        &mut self,
        dialog: DialogId,
        topic: Topic,
        new: NewSubscription<'_>,
        out: &mut Outbox,
    ) -> SubscriptionId {
        let audience = Audience {
            topic: topic.clone(),
            gone: Vec::new(),
        };
        let subject = Subject::Watchers(Box::new(audience));
        let id = self.table.insert_subscription(dialog, subject, new);
        if let Some(followed) = self.winfo.followed.get_mut(&topic) {
            followed.subscriptions.push(id);
            return id;
        }
        let followed = Followed {
            subscriptions: vec![id],
            watchers: (0..self.options.shards).map(|_| None).collect(),
        };
        self.winfo.followed.insert(topic.clone(), followed);
        let (aor, package) = topic;
        let follower = self.options.id;
        for shard in (0..self.options.shards).map(ShardId) {
            let aor = aor.clone();
            if shard == follower {
                self.handle_follow_watchers(aor, package, follower, out);
            } else {
                let mail = Mail::FollowWatchers {
                    aor,
                    package,
                    follower,
                };
                out.mail.push((shard, mail));
            }
        }
        id
    }

    /// A subscription to watchers is gone; with the last one of its topic the wish to know.
    pub(crate) fn remove_audience(
        &mut self,
        id: SubscriptionId,
        audience: Audience,
        out: &mut Outbox,
    ) {
        let Some(followed) = self.winfo.followed.get_mut(&audience.topic) else {
            return;
        };
        followed.subscriptions.retain(|it| *it != id);
        if !followed.subscriptions.is_empty() {
            return;
        }
        self.winfo.followed.remove(&audience.topic);
        let (aor, package) = audience.topic;
        let follower = self.options.id;
        self.handle_unfollow_watchers(&aor, package, follower);
        for shard in (0..self.options.shards).map(ShardId) {
            if shard != follower {
                let mail = Mail::UnfollowWatchers {
                    aor: aor.clone(),
                    package,
                    follower,
                };
                out.mail.push((shard, mail));
            }
        }
    }

    /// From a shard: the watchers it has.
    pub(crate) fn handle_watchers_here(&mut self, told: WatchersHere) {
        let WatchersHere {
            aor,
            package,
            shard,
            mut watchers,
            ended,
        } = told;
        let Some(followed) = self.winfo.followed.get_mut(&(aor, package)) else {
            return;
        };
        let Some(known) = followed.watchers.get_mut(usize::from(shard.0)) else {
            return;
        };
        let mut gone = Vec::new();
        if let Some(before) = known {
            for watcher in &mut watchers {
                if let Ok(place) = before.binary_search_by_key(&watcher.id, |it| it.id) {
                    watcher.event = event_after(&before[place], watcher);
                }
            }
            let is_here = |watcher: &WatcherInfo| {
                watchers
                    .binary_search_by_key(&watcher.id, |it| it.id)
                    .is_ok()
            };
            for mut watcher in before.drain(..).filter(|watcher| !is_here(watcher)) {
                let why = ended.iter().find(|(id, _)| *id == watcher.id);
                watcher.status = WatcherStatus::Terminated;
                watcher.event = why.map_or(WatcherEvent::Timeout, |(_, why)| *why);
                gone.push(watcher);
            }
        }
        *known = Some(watchers);
        for id in &followed.subscriptions {
            let Some(subscription) = self.table.subscriptions.get_mut(id.0 as usize) else {
                continue;
            };
            if let Subject::Watchers(audience) = &mut subscription.subject {
                let room = WATCHERS_MAX.saturating_sub(audience.gone.len());
                audience.gone.extend(gone.iter().take(room).cloned());
            }
            subscription.want(Wants::Change, *id, &mut self.queue);
        }
    }

    /// Writes the document of a subscription to watchers; None while a shard has not answered.
    pub(crate) fn write_watchers(&mut self, id: SubscriptionId, out: &mut Outbox) -> Option<Body> {
        let subscription = self.table.subscription(id)?;
        let Subject::Watchers(audience) = &subscription.subject else {
            return None;
        };
        let (_, package) = &audience.topic;
        let mut watchers = Vec::new();
        // A policy may have it that nobody is shown.
        if subscription.decision.handling == Handling::Allow {
            let followed = self.winfo.followed.get(&audience.topic)?;
            for known in &followed.watchers {
                watchers.extend_from_slice(known.as_ref()?);
            }
            watchers.extend_from_slice(&audience.gone);
        }
        let fitting = fitting(&watchers);
        self.counters.watchers_over_limit += (watchers.len() - fitting) as u64;
        watchers.truncate(fitting);
        let start = out.arena.len();
        let (version, entity) = (subscription.version, &subscription.names.entity);
        let token = package.token();
        watcherinfo::write(&mut out.arena, version, entity, token, &watchers);
        Some(Body {
            call_info: 0..0,
            octets: start..out.arena.len(),
            hash: watcherinfo::hash_of(&watchers) | 1,
        })
    }
}

// As a shard that has watchers.
impl Shard {
    /// A shard wants to know who watches a presentity.
    pub(crate) fn handle_follow_watchers(
        &mut self,
        aor: Aor,
        package: Package,
        follower: ShardId,
        out: &mut Outbox,
    ) {
        let followers = self.winfo.followers.entry(aor.clone()).or_default();
        if !followers.contains(&(package, follower)) {
            followers.push((package, follower));
        }
        self.tell_watchers(follower, (aor, package), Vec::new(), out);
    }

    /// A shard need not know any more.
    pub(crate) fn handle_unfollow_watchers(
        &mut self,
        aor: &Aor,
        package: Package,
        follower: ShardId,
    ) {
        if let Some(followers) = self.winfo.followers.get_mut(aor) {
            followers.retain(|it| *it != (package, follower));
            if followers.is_empty() {
                self.winfo.followers.remove(aor);
            }
        }
    }

    /// The watchers of a presentity may be others, or stand otherwise.
    pub(crate) fn note_watchers_of(&mut self, aor: &Aor) {
        if self.winfo.is_followed(aor) {
            self.winfo.note(aor.clone());
        }
    }

    /// A subscription began, or stands otherwise.
    pub(crate) fn note_watcher(&mut self, id: SubscriptionId) {
        self.forget_waiting(id);
        for (aor, _) in self.followed_by(id) {
            self.winfo.note(aor);
        }
    }

    /// A subscription ends: it is a watcher no longer.
    pub(crate) fn note_watcher_end(&mut self, id: SubscriptionId, reason: Termination) {
        if reason == Termination::Timeout {
            self.remember_waiting(id);
        }
        let event = match reason {
            Termination::Deactivated => WatcherEvent::Deactivated,
            Termination::Timeout => WatcherEvent::Timeout,
            Termination::Rejected => WatcherEvent::Rejected,
            Termination::NoResource => WatcherEvent::NoResource,
        };
        for (aor, number) in self.followed_by(id) {
            let watcher = self.watcher_id(id, number);
            self.winfo.ended.extend(watcher.map(|id| (id, event)));
            self.winfo.note(aor);
        }
    }

    /// The followed presentities that a subscription watches, each with its number in its list.
    fn followed_by(&self, id: SubscriptionId) -> Vec<(Aor, u32)> {
        let subscription = self.table.subscription(id);
        let Some(subscription) = subscription.filter(|_| !self.winfo.followers.is_empty()) else {
            return Vec::new();
        };
        let followed = |post: Post, number: u32| {
            let aor = &self.table.watched(post.watched)?.aor;
            let is_followed = self.winfo.followers.contains_key(aor);
            is_followed.then(|| (aor.clone(), number))
        };
        match &subscription.subject {
            Subject::List(list) => list
                .resources
                .iter()
                .filter_map(|resource| followed(resource.post?, resource.number))
                .collect(),
            subject => {
                let post = subject.post();
                post.and_then(|post| followed(post, 0))
                    .into_iter()
                    .collect()
            }
        }
    }

    /// At the end of a turn: tells who wants to know of what changed in it.
    pub(crate) fn report_watchers(&mut self, out: &mut Outbox) {
        let ended = std::mem::take(&mut self.winfo.ended);
        for aor in std::mem::take(&mut self.winfo.changed) {
            let followers = self.winfo.followers.get(&aor).cloned();
            for (package, follower) in followers.unwrap_or_default() {
                self.tell_watchers(follower, (aor.clone(), package), ended.clone(), out);
            }
        }
    }

    fn tell_watchers(
        &mut self,
        follower: ShardId,
        topic: Topic,
        ended: Vec<(u64, WatcherEvent)>,
        out: &mut Outbox,
    ) {
        let watchers = self.watchers_here(&topic);
        let (aor, package) = topic;
        let told = WatchersHere {
            aor,
            package,
            shard: self.options.id,
            watchers,
            ended,
        };
        if follower == self.options.id {
            self.handle_watchers_here(told);
        } else {
            out.mail
                .push((follower, Mail::WatchersHere(Box::new(told))));
        }
    }

    /// The watchers of this shard, in the order of their ids.
    fn watchers_here(&mut self, topic: &Topic) -> Vec<WatcherInfo> {
        let (aor, package) = topic;
        let watched = self.table.watched_by_aor(aor);
        let here = watched.map_or(&[][..], |watched| &watched.watchers);
        let mut watchers: Vec<WatcherInfo> = here
            .iter()
            .filter_map(|watcher| self.watcher(watcher.subscription, watcher.resource, *package))
            .collect();
        let waiting = self.winfo.waiting.iter();
        watchers.extend(
            waiting
                .filter(|waiting| waiting.topic == *topic)
                .map(|waiting| waiting.watcher.clone()),
        );
        watchers.sort_unstable_by_key(|watcher| watcher.id);
        self.counters.watchers_over_limit += watchers.len().saturating_sub(WATCHERS_MAX) as u64;
        watchers.truncate(WATCHERS_MAX);
        watchers
    }

    /// A watcher, as the presentity may know it; None for one that is none, or of another package.
    fn watcher(&self, id: SubscriptionId, resource: u32, package: Package) -> Option<WatcherInfo> {
        let subscription = self.table.subscription(id)?;
        if subscription.package != package || subscription.phase != Phase::Active {
            return None;
        }
        let (number, handling) = match &subscription.subject {
            Subject::List(list) => {
                let resource = list.resources.get(resource as usize)?;
                (resource.number, resource.decision.handling)
            }
            _ => (0, subscription.decision.handling),
        };
        let status = match handling {
            Handling::Block => return None,
            Handling::Confirm => WatcherStatus::Pending,
            // Polite to the watcher, and no news to the presentity (RFC 5025 §3.2.1).
            Handling::PoliteBlock | Handling::Allow => WatcherStatus::Active,
        };
        let entry = self.table.dialog(subscription.dialog)?;
        Some(WatcherInfo {
            id: self.watcher_id(id, number)?,
            status,
            event: WatcherEvent::Subscribe,
            uri: String::from_utf8_lossy(entry.watcher_uri()).into(),
            display: self
                .identity_of(id, &self.directory)
                .and_then(|identity| identity.display(&self.directory)),
        })
    }

    /// Names a watcher for its life: `number` is its resource's in a list, 0 for none.
    fn watcher_id(&self, id: SubscriptionId, number: u32) -> Option<u64> {
        let subscription = self.table.subscription(id)?;
        let dialog = &self.table.dialog(subscription.dialog)?.dialog;
        let octets = [
            dialog.call_id(),
            b"\0",
            dialog.remote_tag(),
            b"\0",
            &subscription.names.event,
            &number.to_le_bytes(),
        ];
        Some(fnv1a(&octets.concat()))
    }
}

// Those who wait.
impl Shard {
    /// A subscription that nobody decided about ended: its watcher waits from now on.
    fn remember_waiting(&mut self, id: SubscriptionId) {
        let Some(subscription) = self.table.subscription(id) else {
            return;
        };
        if subscription.decision.handling != Handling::Confirm {
            return;
        }
        let post = subscription.subject.post();
        let aor = post.and_then(|post| Some(self.table.watched(post.watched)?.aor.clone()));
        let (Some(aor), package) = (aor, subscription.package) else {
            return;
        };
        let directory = Arc::clone(&self.directory);
        let (Some(watcher), Some(identity)) = (
            self.watcher(id, 0, package),
            self.identity_of(id, &directory),
        ) else {
            return;
        };
        let watcher = WatcherInfo {
            status: WatcherStatus::Waiting,
            event: WatcherEvent::Timeout,
            ..watcher
        };
        self.forget_waiting(id);
        let now = self.now;
        let is_over = |waiting: &Waiting| waiting.until <= now;
        let is_full = |waiting: &VecDeque<Waiting>| waiting.len() >= WAITING_MAX;
        while is_full(&self.winfo.waiting) || self.winfo.waiting.front().is_some_and(is_over) {
            if let Some(forgotten) = self.winfo.waiting.pop_front() {
                self.end_waiting(&forgotten, WatcherEvent::GiveUp);
            }
        }
        self.winfo.waiting.push_back(Waiting {
            topic: (aor, package),
            identity,
            watcher,
            until: self.now + WAITING_TIME,
        });
    }

    /// Who waits came back.
    fn forget_waiting(&mut self, id: SubscriptionId) {
        if self.winfo.waiting.is_empty() {
            return;
        }
        let Some(subscription) = self.table.subscription(id) else {
            return;
        };
        let (Some(aor), Some(entry)) = (
            self.table.aor_of(subscription),
            self.table.dialog(subscription.dialog),
        ) else {
            return;
        };
        let uri = String::from_utf8_lossy(entry.watcher_uri());
        let package = subscription.package;
        self.winfo.waiting.retain(|waiting| {
            *waiting.watcher.uri != *uri || waiting.topic.0 != *aor || waiting.topic.1 != package
        });
    }

    /// The rules are others: they may have decided about those who wait.
    pub(crate) fn review_waiting(&mut self, now: Instant) {
        let directory = Arc::clone(&self.directory);
        for waiting in std::mem::take(&mut self.winfo.waiting) {
            let (aor, package) = &waiting.topic;
            let decision = self.decide(&waiting.identity, aor, *package, &directory, now);
            match decision.handling {
                Handling::Confirm => self.winfo.waiting.push_back(waiting),
                Handling::Block => self.end_waiting(&waiting, WatcherEvent::Rejected),
                Handling::PoliteBlock | Handling::Allow => {
                    self.end_waiting(&waiting, WatcherEvent::Approved);
                }
            }
        }
    }

    fn end_waiting(&mut self, waiting: &Waiting, event: WatcherEvent) {
        let (aor, _) = &waiting.topic;
        if self.winfo.is_followed(aor) {
            self.winfo.ended.push((waiting.watcher.id, event));
            self.winfo.note(aor.clone());
        }
    }
}

/// What brought a watcher to where it is from where it was (RFC 3857 §4.7.1).
fn event_after(before: &WatcherInfo, now: &WatcherInfo) -> WatcherEvent {
    match (before.status, now.status) {
        (was, is) if was == is => before.event,
        (WatcherStatus::Pending, WatcherStatus::Active) => WatcherEvent::Approved,
        _ => now.event,
    }
}

/// How many of the watchers, from the first, go into one document.
fn fitting(watchers: &[WatcherInfo]) -> usize {
    let mut octets = 0;
    watchers
        .iter()
        .take(WATCHERS_MAX)
        .take_while(|watcher| {
            let display = watcher.display.as_ref().map_or(0, |display| display.len());
            octets += WATCHER_OCTETS + watcher.uri.len() + display;
            octets <= WATCHERS_OCTETS_MAX
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watcher(id: u64, status: WatcherStatus, uri: &str) -> WatcherInfo {
        WatcherInfo {
            id,
            status,
            event: WatcherEvent::Subscribe,
            uri: uri.into(),
            display: None,
        }
    }

    /// W:B4.3, A6.4
    #[test]
    fn a_document_lists_a_thousand_and_fits_a_datagram() {
        let many = |count: u64, uri: &str| -> Vec<WatcherInfo> {
            (0..count)
                .map(|id| watcher(id, WatcherStatus::Active, uri))
                .collect()
        };
        assert_eq!(fitting(&[]), 0);
        assert_eq!(fitting(&many(400, "sip:bob@abc.com")), 400);
        let table = [
            ("sip:b", WATCHERS_OCTETS_MAX / (WATCHER_OCTETS + 5)),
            ("", WATCHERS_OCTETS_MAX / WATCHER_OCTETS),
        ];
        for (uri, count) in table {
            let watchers = many(2_000, uri);
            assert_eq!(fitting(&watchers), count.min(WATCHERS_MAX), "{uri}");
            let mut out = Vec::new();
            let fitting = &watchers[..fitting(&watchers)];
            watcherinfo::write(&mut out, u32::MAX, b"sip:ann@abc.com", "presence", fitting);
            assert!(out.len() <= 65_000, "{}", out.len());
        }
    }

    /// RFC 3857 §4.7.1
    #[test]
    fn an_event_says_what_happened_last() {
        use WatcherStatus::Active;
        use WatcherStatus::Pending;
        let approved = WatcherInfo {
            event: WatcherEvent::Approved,
            ..watcher(1, Active, "")
        };
        let pending = watcher(1, Pending, "");
        let active = watcher(1, Active, "");
        assert_eq!(event_after(&pending, &pending), WatcherEvent::Subscribe);
        assert_eq!(event_after(&pending, &active), WatcherEvent::Approved);
        assert_eq!(event_after(&approved, &active), WatcherEvent::Approved);
        assert_eq!(event_after(&approved, &pending), WatcherEvent::Subscribe);
    }
}
