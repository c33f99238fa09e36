//! State updates from all sources, and their distribution to the watching shards.

use crate::directory::peer_systems::{Addressees, PeerSystemId};
use crate::presence::Aor;
use crate::presence::origin::Origin;
use crate::presence::source::StateUpdate;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::Address;
use crate::shard::contract::ids::PresentityId;
use crate::shard::contract::mail::{Mail, NamedWatch, News};
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::apart::Concerned;
use crate::shard::presentity::presentities::{Presentities, WatchingShard};
use crate::shard::presentity::{Compositor, OWNED};

impl Compositor {
    /// Finds or creates a presentity; None if the table is full.
    pub(crate) fn own(&mut self, aor: &Aor, turn: &Turn<'_>) -> Option<PresentityId> {
        let is_full = self.presentities.len() >= turn.options.presentities_max;
        if is_full && self.presentities.find(aor).is_none() && !self.presentities.forget_idle() {
            return None;
        }
        Some(self.presentities.find_or_add(aor, turn.directory, turn.now))
    }

    /// A source on another shard reports on a presentity.
    pub(crate) fn handle_update_mail(
        &mut self,
        aor: &Aor,
        update: StateUpdate,
        reply_to: (Address, u64),
        turn: &mut Turn<'_>,
    ) {
        let (shard, request) = reply_to;
        let is_taken =
            !turn.sheds_acknowledgement() && self.take_statement(aor, (update, None), turn);
        let mail = Mail::UpdateOutcome { request, is_taken };
        turn.send_outcome(shard, mail, is_taken);
    }

    /// A source reports on a presentity that is owned here; `origin` is the peer system that the report came from.
    /// False if there is no room for it.
    pub(crate) fn take_statement(
        &mut self,
        aor: &Aor,
        (update, origin): (StateUpdate, Option<Origin>),
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(id) = self.own(aor, turn) else {
            turn.counters.requests_over_limit += 1;
            return false;
        };
        turn.counters.state_updates_accepted += 1;
        if let Some(owned) = self.presentities.get_mut(id).expected(OWNED) {
            let has_expired = owned.presentity.expire(turn.now);
            let is_changed = owned.presentity.apply_from(origin, update, turn.now) || has_expired;
            self.presentities.mark(id, turn);
            self.after_contribution(id, is_changed, turn);
            self.inform_at_first_statement(id, turn);
        }
        true
    }

    /// As owner: a shard wants to know.
    pub(crate) fn handle_watch(
        &mut self,
        shard: Address,
        watched: NamedWatch,
        turn: &mut Turn<'_>,
    ) {
        let (directory, now) = (turn.directory, turn.now);
        let id = self.presentities.find_or_add(&watched.aor, directory, now);
        let Some(owned) = self.presentities.get_mut(id).expected(OWNED) else {
            return;
        };
        let new = WatchingShard {
            shard,
            system: watched.system,
            key: watched.likely,
        };
        let mut watching = owned.watching.iter_mut();
        let known = watching.find(|one| one.shard == shard && one.system == new.system);
        match known {
            Some(known) => *known = new,
            None => owned.watching.push(new),
        }
        let news = self.presentities.news_of(id);
        let Some(composed) = self.presentities.composed_for(id, new.system) else {
            return;
        };
        let mail = Mail::State {
            watched,
            composed,
            news,
        };
        turn.send(shard, mail);
        self.presentities.remember_lost(id, turn);
        self.tend(id, turn);
    }

    /// A shard stops watching a presentity.
    pub(crate) fn handle_unwatch(
        &mut self,
        aor: &Aor,
        (shard, system): (Address, Option<PeerSystemId>),
        turn: &mut Turn<'_>,
    ) {
        let id = self.presentities.find(aor);
        let Some(id) = id.expected("a presentity is kept while it is watched") else {
            return;
        };
        if let Some(owned) = self.presentities.get_mut(id).expected(OWNED) {
            let is_it = |one: &WatchingShard| one.shard == shard && one.system == system;
            owned.watching.retain(|one| !is_it(one));
        }
        self.tend(id, turn);
    }

    /// After a contribution to a presentity: informs the watching shards when the composed state
    /// changed, and sets its timer.
    pub(crate) fn after_contribution(
        &mut self,
        id: PresentityId,
        is_changed: bool,
        turn: &mut Turn<'_>,
    ) {
        let Concerned { apart, others } = self.presentities.compose_apart(id, turn);
        let mut told = apart;
        if is_changed {
            told = told.and(others);
            turn.counters.state_changes += 1;
            self.presentities.report_change(id, others, turn);
            self.presentities.mark_changed(id, turn);
            if let Some(owned) = self.presentities.owned.get(id).expected(OWNED) {
                Presentities::note_change(&owned.aor, turn);
            }
        }
        if told != Addressees::NONE {
            self.inform_watching_shards(id, told, turn);
            self.presentities.tell_relays(id, told, turn);
        }
        self.settle(id, turn);
    }

    /// After the first statement about a presentity since a restart: informs the watching shards even
    /// if the state did not change. The earlier process may have sent a change whose record was lost.
    pub(super) fn inform_at_first_statement(&mut self, id: PresentityId, turn: &mut Turn<'_>) {
        if self.presentities.is_unheard(id) {
            self.presentities.mark_changed(id, turn);
            self.inform_watching_shards(id, Addressees::ALL, turn);
        }
    }

    /// After a presentity is recovered: informs the watching shards if their state is out of date, and
    /// sets its timer.
    pub(super) fn after_recovery(&mut self, id: PresentityId, is_news: bool, turn: &mut Turn<'_>) {
        let owned = self.presentities.get_mut(id).expected(OWNED);
        if is_news && owned.is_some_and(|owned| !owned.watching.is_empty()) {
            self.inform_watching_shards(id, Addressees::ALL, turn);
        }
        self.settle(id, turn);
    }

    /// Counts contacts, informs watchers of the whole domain, and sets the timer.
    fn settle(&mut self, id: PresentityId, turn: &mut Turn<'_>) {
        self.presentities.count_contacts(id);
        if !self.domain_watchers.is_empty() {
            self.follow_presence(id, turn);
        }
        self.tend(id, turn);
    }

    /// Informs watchers of the whole domain when a user becomes present or absent.
    fn follow_presence(&mut self, id: PresentityId, turn: &mut Turn<'_>) {
        let Some(owned) = self.presentities.get_mut(id).expected(OWNED) else {
            return;
        };
        let is_present = owned.presentity.is_present();
        if std::mem::replace(&mut owned.is_present, is_present) != is_present {
            let aor = owned.aor.clone();
            self.report_presence(&aor, is_present, turn);
        }
    }

    /// The expiry timer of a presentity fired.
    pub(crate) fn handle_presentity_timer(&mut self, id: PresentityId, turn: &mut Turn<'_>) {
        let owned = self.presentities.get_mut(id);
        let Some(owned) = owned.expected("a presentity is kept while its timer is set") else {
            return;
        };
        owned.timer = None;
        if owned.next_expiry(turn).is_some_and(|next| next > turn.now) {
            // What the timer was set for was reported again meanwhile.
            return self.tend(id, turn);
        }
        let is_changed = owned.presentity.expire(turn.now);
        self.presentities.mark(id, turn);
        self.after_contribution(id, is_changed, turn);
    }

    /// Sends the state to the watching shards whose watchers are among the addressees.
    fn inform_watching_shards(&mut self, id: PresentityId, told: Addressees, turn: &mut Turn<'_>) {
        let Some(owned) = self.presentities.owned.get(id).expected(OWNED) else {
            return;
        };
        if owned.watching.is_empty() {
            turn.counters.publications_without_watchers += 1;
        }
        for watching in owned.watching.iter().filter(|one| told.has(one.system)) {
            let Some(composed) = self.presentities.composed_for(id, watching.system) else {
                continue;
            };
            let mail = Mail::State {
                watched: NamedWatch {
                    aor: owned.aor.clone(),
                    system: watching.system,
                    likely: watching.key,
                },
                composed,
                news: News::Changed,
            };
            turn.send(watching.shard, mail);
        }
    }

    /// Sets the timer to the next expiry; forgets a presentity that has no state and no watcher.
    /// One with past calls is kept until its memory is needed. A timer that would fire too early is
    /// left as it is: the expiry moves with every report, and it is set again when it fires.
    pub(super) fn tend(&mut self, id: PresentityId, turn: &mut Turn<'_>) {
        let Some(owned) = self.presentities.owned.get_mut(id).expected(OWNED) else {
            return;
        };
        let next = owned.next_expiry(turn).map(|at| at.max(turn.now));
        let is_in_time = match (owned.timer, next) {
            (Some((_, at)), Some(next)) => at <= next,
            (timer, next) => timer.is_none() && next.is_none(),
        };
        if !is_in_time {
            if let Some((timer, _)) = owned.timer.take() {
                turn.wheel.cancel(timer);
            }
            owned.timer = next.map(|at| (turn.wheel.arm(at, Timer::Presentity(id)), at));
        }
        if owned.is_idle() && !owned.presentity.is_known_by_calls() {
            self.presentities.forget(id);
        } else if owned.has_obsolete_record(turn) {
            self.presentities.mark(id, turn);
        }
    }
}

impl Compositor {
    pub(crate) fn reevaluate_presentity(&mut self, id: PresentityId, turn: &mut Turn<'_>) {
        let Some(owned) = self.presentities.get_mut(id) else {
            // Vacant: re-evaluation walks the places of the table.
            return;
        };
        let rules = turn.directory.rules_of(owned.aor());
        let is_changed = owned.presentity.set_rules(rules, turn.now);
        if is_changed || self.presentities.has_peer_systems(turn) {
            self.after_contribution(id, is_changed, turn);
        }
    }
}
