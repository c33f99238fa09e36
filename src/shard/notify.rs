//! NOTIFY: when one is due, and how it is written (RFC 6665 §4.2.2; W:A3). What becomes of it is
//! `outcome`'s.
//!
//! Invariants: one NOTIFY of a subscription at a time (W:A3.4); what a NOTIFY says is the state of
//! the moment it is written; CSeq and document version go up by one with every NOTIFY; the octets
//! sent again are the octets sent.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;
use std::time::Instant;

use slab::Slab;
use smallvec::SmallVec;

use crate::presence::document::deflate::Deflater;
use crate::presence::document::multipart;
use crate::presence::document::multipart::ContentId;
use crate::presence::document::rlmi;
use crate::presence::event::Package;
use crate::presence::event::Termination;
use crate::presence::policy::Handling;
use crate::presence::profile::Profile;
use crate::shard::Shard;
use crate::shard::Timer;
use crate::shard::conditions::entity_tag;
use crate::shard::content::Content;
use crate::shard::content::Written;
use crate::shard::copies::Copies;
use crate::shard::copies::Kept;
use crate::shard::flow::Flow;
use crate::shard::lists::Selection;
use crate::shard::mark;
use crate::shard::mark::Mark;
use crate::shard::options::Options;
use crate::shard::outbox::Outbox;
use crate::shard::outbox::Transmit;
use crate::shard::pace::Admitted;
use crate::shard::pace::PhoneId;
use crate::shard::pace::Release;
use crate::shard::subscription::Phase;
use crate::shard::subscription::Subject;
use crate::shard::subscription::Subscription;
use crate::shard::subscription::Wants;
use crate::shard::table::DialogEntry;
use crate::shard::table::SubscriptionId;
use crate::shard::trains::Trains;
use crate::shard::ways::WayId;
use crate::shard::wheel::TimerHandle;
use crate::sip::dialog::Origin;
use crate::sip::emit;
use crate::sip::transaction::TIMER_F;
use crate::sip::transaction::client::ClientTransaction;

/// Beyond it a datagram may be cut into fragments (W:A6.3).
const UDP_OCTETS_ADVISED: usize = 1300;
/// NOTIFYs whose subscriptions are fetched from memory together: more than there are fetches a core
/// can have under way, few enough to stay in the first-level cache.
const FETCHED_AT_ONCE: usize = 16;

/// A NOTIFY's place among those that are not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct InFlightId(NonZeroU32);

impl InFlightId {
    /// That at a place.
    pub(crate) fn at(place: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(place))
    }

    /// Its place.
    pub(crate) fn place(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// A NOTIFY on its way.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) mark: Mark,
    pub(crate) sequence: u32,
    /// None when the subscription is gone: this was its last NOTIFY.
    pub(crate) subscription: Option<SubscriptionId>,
    pub(crate) flow: Flow,
    pub(crate) transaction: ClientTransaction,
    pub(crate) timer: TimerHandle,
    /// For sending again.
    pub(crate) kept: Kept,
    /// The way it went, when nothing proved yet that what goes there arrives.
    pub(crate) probed: Option<WayId>,
}

/// NOTIFYs on their way, and what they are written with.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    pub(crate) in_flight: Slab<InFlight>,
    pub(crate) copies: Copies,
    /// What of the body at hand is its subscription's own.
    pub(crate) prolog: Vec<u8>,
    pub(crate) deflater: Deflater,
    trains: Trains,
    /// What of a list the NOTIFY at hand tells.
    pub(crate) selection: Selection,
}

impl Notifier {
    /// NOTIFYs that are not answered yet.
    pub(crate) fn outstanding(&self) -> usize {
        self.in_flight.len()
    }

    /// The subscription is gone; its NOTIFY goes on alone.
    pub(crate) fn orphan(&mut self, id: InFlightId) {
        if let Some(in_flight) = self.in_flight.get_mut(id.place()) {
            in_flight.subscription = None;
        }
    }

    /// A NOTIFY is answered, or never will be: it is not sent again.
    pub(crate) fn end(&mut self, id: InFlightId) -> Option<InFlight> {
        let mut in_flight = self.in_flight.try_remove(id.place())?;
        self.copies.forget(std::mem::take(&mut in_flight.kept));
        Some(in_flight)
    }
}

impl Shard {
    /// Wants a NOTIFY, and queues for it.
    pub(crate) fn want(&mut self, id: SubscriptionId, wants: Wants) {
        if let Some(subscription) = self.table.subscriptions.get_mut(id.0 as usize) {
            subscription.want(wants, id, &mut self.queue);
        }
    }

    /// Sends what is queued, as much as a turn may: the rest is for the next. Answers
    /// that wait in the socket must be read before much more is sent, or NOTIFYs are repeated whose
    /// answers are there.
    pub(crate) fn send_queued(&mut self, now: Instant, out: &mut Outbox) {
        let octets_max = out.arena.len() + self.options.notify_octets_per_turn;
        for count in 0..self.options.notifies_per_turn {
            if out.arena.len() >= octets_max {
                return;
            }
            if count % FETCHED_AT_ONCE == 0 {
                self.fetch_queued();
            }
            let Some(id) = self.queue.pop() else {
                return;
            };
            if let Some(subscription) = self.table.subscription_mut(id) {
                subscription.is_queued = false;
            }
            self.notify(id, false, now, out);
        }
    }

    /// Looks at all that the next NOTIFYs will need: of many subscriptions little is in the caches,
    /// and the memory serves one after the other slower than several at once.
    fn fetch_queued(&self) {
        let queued = self.queue.first(FETCHED_AT_ONCE);
        let entries: SmallVec<[&DialogEntry; FETCHED_AT_ONCE]> = queued
            .filter_map(|id| self.table.dialog(self.table.subscription(id)?.dialog))
            .collect();
        for entry in entries {
            black_box(self.phones.subscriptions_of(entry.phone));
            entry.dialog.fetch();
        }
    }

    /// A phone that was paced may take more.
    pub(crate) fn release_phone(&mut self, phone: PhoneId, now: Instant, out: &mut Outbox) {
        loop {
            match self.phones.release(phone, now) {
                Release::Next(id) => {
                    if let Some(subscription) = self.table.subscription_mut(id) {
                        subscription.is_queued = false;
                    }
                    self.notify(id, true, now, out);
                }
                Release::Later(at) => {
                    self.wheel.arm(at, Timer::Phone(phone));
                    return;
                }
                Release::Empty => return,
            }
        }
    }

    /// Sends a NOTIFY if one is wanted and possible now. What prevents it now brings it about
    /// later: the answer to the one under way, the owner's word, the next SUBSCRIBE, a timer.
    fn notify(&mut self, id: SubscriptionId, has_token: bool, now: Instant, out: &mut Outbox) {
        self.end_seizure_that_went_on(id);
        let Some(subscription) = self.table.subscription(id) else {
            return;
        };
        if subscription.wants == Wants::Nothing || subscription.in_flight.is_some() {
            return;
        }
        let is_ending = matches!(subscription.phase, Phase::Ending(_));
        let Some(entry) = self.table.dialog(subscription.dialog) else {
            return;
        };
        if entry.is_cut {
            if is_ending {
                self.remove_subscription(id, now, out);
            }
            return;
        }
        if subscription.not_before.is_some_and(|at| at > now) {
            return;
        }
        let (phone, way) = (entry.phone, entry.way);
        // What one NOTIFY began to tell, the next goes on with as soon as it is answered: that is
        // pace enough.
        let is_mid_list = subscription.is_multipart() && subscription.is_mid_list();
        let Some(mut content) = self.content_of(id, out) else {
            return;
        };
        if self.is_told(id, &content) {
            self.counters.notifies_suppressed += 1;
            if let Some(subscription) = self.table.subscription_mut(id) {
                subscription.wants = Wants::Nothing;
            }
            self.await_report(id, now);
            return;
        }
        if !is_mid_list && self.is_too_soon(id, now) || self.lacks_room(id, &content, now) {
            return;
        }
        if !self.may_use_path(id, way) {
            return;
        }
        if !is_mid_list && !has_token && !self.take_token(id, phone, now) {
            return;
        }
        let body = self.write_body_for_path(id, &mut content, way, out);
        self.write_notify(id, &content, body, now, out);
        self.release_gone(id, now, out);
        let is_mid_fetch = self
            .table
            .subscription(id)
            .is_some_and(Subscription::is_mid_fetch);
        if is_ending && !is_mid_fetch && !content.is_withheld() {
            self.remove_subscription(id, now, out);
        }
    }

    /// Whether the rate its SUBSCRIBE asked for holds this NOTIFY back (RFC 6446 §5.2); a timer
    /// brings it then.
    fn is_too_soon(&mut self, id: SubscriptionId, now: Instant) -> bool {
        let Some(subscription) = self.table.subscription_mut(id) else {
            return true;
        };
        let is_change = subscription.wants == Wants::Change && subscription.phase == Phase::Active;
        let terms = subscription.terms.as_ref();
        let at = terms.and_then(|terms| terms.not_before());
        let Some(at) = at.filter(|at| is_change && *at > now) else {
            return false;
        };
        subscription.not_before = Some(at);
        self.arm_subscription(id);
        true
    }

    fn take_token(&mut self, id: SubscriptionId, phone: PhoneId, now: Instant) -> bool {
        let admitted = self.phones.admit(phone, id, now);
        if admitted == Admitted::Now {
            return true;
        }
        self.counters.notifies_paced += 1;
        if let Some(subscription) = self.table.subscription_mut(id) {
            subscription.is_queued = true;
        }
        if let Admitted::WaitFirst(at) = admitted {
            self.wheel.arm(at, Timer::Phone(phone));
        }
        false
    }

    fn write_notify(
        &mut self,
        id: SubscriptionId,
        content: &Content,
        body: Option<Written>,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Some(subscription) = self.table.subscriptions.get_mut(id.0 as usize) else {
            return;
        };
        let Some(entry) = self.table.dialogs.get_mut(subscription.dialog.0 as usize) else {
            return;
        };
        let way = entry.way;
        let flow = self.table.ways.of(way).onward();
        let is_reliable = flow.transport.is_reliable();
        let (turn, dialogs) = (out.generation(), self.table.ways.dialogs(way));
        let is_one_of_many = !is_reliable && self.notifier.trains.join(flow.peer, turn, dialogs);
        let place = self.notifier.in_flight.vacant_key() as u32;
        let mark = Mark::mint(self.options.id, place, &mut self.random);
        let local = self.origins.of(&flow);
        let origin = Origin {
            via: &local.via,
            branch: &mark.octets(),
            contact: &local.contact,
        };

        let start = out.arena.len();
        let arena = &mut out.arena;
        entry.dialog.write_notify(arena, &origin);
        write_event(arena, subscription, &entry.profile);
        let is_followed = content.is_withheld() || subscription.is_mid_fetch();
        write_subscription_state(arena, subscription, is_followed, now);
        let product = self.options.product.as_bytes();
        let padding_at = arena.len() + "User-Agent: ".len();
        if !product.is_empty() {
            write_line(arena, b"User-Agent: ", product);
        }
        if subscription.is_multipart() {
            emit::plain_header(arena, "Require", b"eventlist");
        }
        let prolog = &self.notifier.prolog;
        match &body {
            Some(body) => body.write_headers(arena, entry.profile.entity_tags),
            None => write_suppressed(arena, content, entry.profile.entity_tags),
        }
        let tail = body.map_or(0..0, |body| body.octets);
        let octets = (prolog.len() + tail.len()) as u64;
        arena.extend_from_slice(b"Content-Length: ");
        emit::decimal(arena, octets);
        arena.extend_from_slice(b"\r\n\r\n");
        arena.extend_from_slice(prolog);
        if is_one_of_many && !product.is_empty() {
            let octets = arena.len() - start + tail.len();
            let octets_max = self.options.segment_octets_max;
            let length = self.notifier.trains.length(flow.peer, octets, octets_max);
            pad(arena, padding_at, length - octets);
        }
        let transmit = Transmit {
            flow,
            head: start..arena.len(),
            tail,
        };

        let mut kept = Kept::default();
        if !is_reliable {
            let octets = transmit.head.len() + transmit.tail.len();
            self.counters.udp_oversize += u64::from(octets > UDP_OCTETS_ADVISED);
            let (head, tail) = (transmit.head.clone(), transmit.tail.clone());
            kept = self.notifier.copies.keep(out, head, tail);
        }
        let transaction = ClientTransaction::new(now, is_reliable);
        let in_flight_id = InFlightId::at(place);
        let timer = self
            .wheel
            .arm(transaction.deadline(), Timer::Notify(in_flight_id));
        let sequence = entry.dialog.local_sequence();
        let subscription_id = Some(id);
        self.notifier.in_flight.insert(InFlight {
            mark,
            sequence,
            subscription: subscription_id,
            flow,
            transaction,
            timer,
            kept,
            probed: self.table.ways.ask_for_proof(way, in_flight_id),
        });
        subscription.in_flight = Some(in_flight_id);
        // What of a list did not fit is told next.
        subscription.wants = match &mut subscription.subject {
            _ if content.is_withheld() => Wants::Notify,
            Subject::List(list) if list.is_marked() => Wants::Change,
            Subject::Watchers(audience) => {
                audience.told();
                Wants::Nothing
            }
            Subject::List(_) | Subject::Presentity(_) | Subject::Seizure(_) => Wants::Nothing,
        };
        subscription.version += 1;
        subscription.sent(now);
        self.counters.notifies_sent += 1;
        self.transmit(flow, transmit.head, transmit.tail, out);
    }

    /// Octets of the next NOTIFY of a list subscription without its body: never too few.
    pub(crate) fn head_octets(&mut self, id: SubscriptionId, out: &mut Outbox) -> usize {
        /// What its numbers may be longer by than those of the one before.
        const NUMBERS_OCTETS: usize = 16;
        let Some(subscription) = self.table.subscription(id) else {
            return 0;
        };
        let Some(entry) = self.table.dialog(subscription.dialog) else {
            return 0;
        };
        let local = self.origins.of(&self.table.ways.of(entry.way).onward());
        let origin = Origin {
            via: &local.via,
            branch: &[b'0'; mark::OCTETS],
            contact: &local.contact,
        };
        let (start, arena) = (out.arena.len(), &mut out.arena);
        entry.dialog.write_last_notify(arena, &origin);
        write_event(arena, subscription, &entry.profile);
        write_subscription_state(arena, subscription, false, self.now);
        write_line(arena, b"User-Agent: ", self.options.product.as_bytes());
        write_line(arena, b"Require: ", b"eventlist");
        arena.extend_from_slice(b"Content-Type: ");
        multipart::write_related(arena, ContentId::ROOT, rlmi::CONTENT_TYPE);
        arena.extend_from_slice(b"\r\nContent-Encoding: deflate\r\nContent-Length: 0\r\n\r\n");
        let octets = arena.len() - start + NUMBERS_OCTETS;
        arena.truncate(start);
        octets
    }

    /// The subscription's timer: its end, or the end of a pause.
    pub(crate) fn handle_subscription_timer(&mut self, id: SubscriptionId, now: Instant) {
        let Some(subscription) = self.table.subscription_mut(id) else {
            return;
        };
        let grace = grace_of(subscription, &self.options);
        subscription.timer = None;
        if subscription.not_before.is_some_and(|at| at <= now) {
            subscription.not_before = None;
        }
        let is_due = subscription.report_due().is_some_and(|at| at <= now);
        let is_over = subscription.expires_at + grace <= now;
        if is_over && subscription.phase == Phase::Active {
            self.counters.subscriptions_expired += 1;
            self.end_subscription(id, Termination::Timeout);
            self.want(id, Wants::Notify);
            return;
        }
        if is_due {
            self.want(id, Wants::Notify);
        } else if subscription.wants > Wants::Nothing {
            self.want(id, Wants::Change);
        }
        self.arm_subscription(id);
    }

    /// Sets the timer to the end of the subscription, of its pause, or of the time it may stay
    /// silent, whichever is first.
    pub(crate) fn arm_subscription(&mut self, id: SubscriptionId) {
        let Some(subscription) = self.table.subscriptions.get_mut(id.0 as usize) else {
            return;
        };
        let end = subscription.expires_at + grace_of(subscription, &self.options);
        if let Some(timer) = subscription.timer.take() {
            self.wheel.cancel(timer);
        }
        let at = subscription.wake_at(end);
        subscription.timer = at.map(|at| self.wheel.arm(at, Timer::Subscription(id)));
    }

    /// A NOTIFY could go again: what its `min-rate` asks for is sent if it is overdue, else awaited.
    /// Most subscriptions ask for none.
    pub(crate) fn await_report(&mut self, id: SubscriptionId, now: Instant) {
        let subscription = self.table.subscription(id);
        match subscription.and_then(Subscription::report_due) {
            Some(due) if due <= now => self.want(id, Wants::Notify),
            Some(_) => self.arm_subscription(id),
            None => {}
        }
    }

    /// Forgets a subscription, and what nobody needs any more with it.
    pub(crate) fn remove_subscription(
        &mut self,
        id: SubscriptionId,
        now: Instant,
        out: &mut Outbox,
    ) {
        let subscription = self.table.subscription(id);
        if subscription.is_some_and(|subscription| subscription.phase == Phase::Active) {
            self.end_subscription(id, Termination::Timeout);
        }
        let Some(removed) = self.table.remove_subscription(id) else {
            return;
        };
        if let Some(timer) = removed.subscription.timer {
            self.wheel.cancel(timer);
        }
        if let Some(in_flight) = removed.subscription.in_flight {
            self.notifier.orphan(in_flight);
        }
        if let Some(phone) = removed.phone {
            self.phones.leave(phone);
        }
        match removed.subscription.subject {
            Subject::List(list) => self.abandon_rosters(id, &list.rosters, out),
            Subject::Watchers(audience) => self.remove_audience(id, *audience, out),
            Subject::Presentity(_) | Subject::Seizure(_) => {}
        }
        for watched in removed.unwatched {
            self.end_watch(&watched.aor, now, out);
        }
    }
}

/// Inserts so many spaces.
fn pad(arena: &mut Vec<u8>, at: usize, octets: usize) {
    let end = arena.len();
    arena.resize(end + octets, b' ');
    arena.copy_within(at..end, at + octets);
    arena[at..at + octets].fill(b' ');
}

/// A header with a value that is known to be one line, as [`emit::plain_header`] writes it; its name
/// is copied in place.
#[inline]
fn write_line<const N: usize>(arena: &mut Vec<u8>, name: &[u8; N], value: &[u8]) {
    arena.extend_from_slice(name);
    arena.extend_from_slice(value);
    arena.extend_from_slice(b"\r\n");
}

/// The Event header. linphone takes a NOTIFY for its list's only if the package begins with a
/// capital (W:G1).
fn write_event(arena: &mut Vec<u8>, subscription: &Subscription, profile: &Profile) {
    let event = &subscription.names.event;
    if !subscription.is_linphone_list(profile) {
        return write_line(arena, b"Event: ", event);
    }
    let parameters = event.get(Package::Presence.token().len()..);
    arena.extend_from_slice(b"Event: Presence");
    arena.extend_from_slice(parameters.unwrap_or_default());
    arena.extend_from_slice(b"\r\n");
}

/// How much longer than granted a subscription lives: phones refresh late (W:A3.9), but nobody holds
/// an appearance for longer than he may (W:C10.2).
fn grace_of(subscription: &Subscription, options: &Options) -> Duration {
    match subscription.subject {
        Subject::Seizure(_) => Duration::ZERO,
        _ => options.expiry_grace,
    }
}

/// A NOTIFY without the state names it (RFC 5839 §5): the phone sees that it has the right one.
fn write_suppressed(arena: &mut Vec<u8>, content: &Content, has_entity_tag: bool) {
    if let Some(hash) = content.suppressed().filter(|_| has_entity_tag) {
        emit::plain_header(arena, "SIP-ETag", &entity_tag(hash));
    }
}

fn write_subscription_state(
    arena: &mut Vec<u8>,
    subscription: &Subscription,
    is_followed: bool,
    now: Instant,
) {
    arena.extend_from_slice(b"Subscription-State: ");
    match subscription.phase {
        // The state, or the rest of it, and the end follow once this NOTIFY is answered.
        Phase::Ending(_) if is_followed => {
            arena.extend_from_slice(b"active;expires=");
            emit::decimal(arena, TIMER_F.as_secs());
        }
        Phase::Active => {
            let is_pending = subscription.decision.handling == Handling::Confirm;
            let state: &[u8] = if is_pending { b"pending" } else { b"active" };
            arena.extend_from_slice(state);
            arena.extend_from_slice(b";expires=");
            let remaining = subscription.expires_at.saturating_duration_since(now);
            let begun = u64::from(remaining.subsec_millis() > 0);
            emit::decimal(arena, remaining.as_secs() + begun);
            if let Some(terms) = &subscription.terms {
                terms.write_rates(arena);
            }
        }
        Phase::Ending(reason) => {
            arena.extend_from_slice(b"terminated;reason=");
            arena.extend_from_slice(reason.reason().as_bytes());
        }
    }
    arena.extend_from_slice(b"\r\n");
}
