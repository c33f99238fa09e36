//! Writes NOTIFY requests (RFC 6665 §4.2.2).

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use crate::presence::document::multipart::ContentId;
use crate::presence::document::{multipart, rlmi};
use crate::presence::event::Package;
use crate::presence::policy::Handling;
use crate::presence::profile::Profile;
use crate::shard::container::slab::Key;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{InFlightId, SubscriptionId};
use crate::shard::contract::outbox::Transmit;
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::notifiers_table::NotifiersTable;
use crate::shard::notify::content::{Content, Written};
use crate::shard::notify::copies::Kept;
use crate::shard::notify::detour::is_oversize;
use crate::shard::notify::{InFlight, Notifier};
use crate::shard::peer::path::Path;
use crate::shard::peer::routing_token;
use crate::shard::peer::routing_token::{Kind, RoutingToken};
use crate::shard::subscription::suppress::entity_tag;
use crate::shard::subscription::table::Recipient;
use crate::shard::subscription::{Phase, Subscription};
use crate::sip::dialog::Origin;
use crate::sip::emit;
use crate::sip::transaction::TIMER_F;
use crate::sip::transaction::client::ClientTransaction;

impl Notifier {
    /// Writes a NOTIFY, keeps it for retransmission, and sends it. `body` is None if it has none.
    pub(crate) fn write_notify(
        &mut self,
        id: SubscriptionId,
        content: &Content,
        body: Option<Written>,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        let recipient = subscriptions.table_mut().recipient(id);
        let Some(recipient) = recipient.expected("a NOTIFY is of a subscription") else {
            return;
        };
        let Recipient {
            subscription,
            dialog: entry,
            paths,
            ..
        } = recipient;
        let (path, dialogs) = (entry.path(), paths.dialogs(entry.path()));
        let Some(flow) = paths.of(path).map(Path::onward) else {
            return;
        };
        let is_reliable = flow.transport.is_reliable();
        let generation = turn.out.generation();
        let is_one_of_many = !is_reliable && self.gso_padding.join(flow.peer, generation, dialogs);
        let in_flight_id = self.in_flight.vacant_key();
        let (kind, index) = (Kind::ClientTransaction, in_flight_id.index());
        let token = RoutingToken::mint(kind, index, turn.options, turn.random);
        let local = self.local_addresses.of(&flow);
        let origin = Origin {
            via: &local.via,
            branch: &token.octets(),
            contact: local.contact(|| entry.dialog().is_secure()),
        };

        let start = turn.out.arena.len();
        entry
            .dialog_mut()
            .write_notify(&mut turn.out.arena, &origin);
        let is_followed = content.is_withheld() || subscription.is_mid_fetch();
        let padding_at = write_state(subscription, entry.profile(), is_followed, turn);
        let tail = self.write_content(content, body, entry.profile().entity_tags, turn);
        if is_one_of_many && !turn.options.product.is_empty() {
            self.pad_to_train(flow.peer, start..padding_at, tail.len(), turn);
        }
        let transmit = Transmit {
            flow,
            head: start..turn.out.arena.len(),
            tail,
        };

        let octets = transmit.head.len() + transmit.tail.len();
        let kept = self.keep(&transmit, turn);
        let transaction = ClientTransaction::new(turn.now, is_reliable);
        let deadline = transaction.deadline();
        self.in_flight.insert(InFlight {
            token,
            sequence: entry.dialog().local_sequence(),
            subscription: Some(id),
            flow,
            transaction,
            timer: turn.wheel.arm(deadline, Timer::Notify(in_flight_id)),
            kept,
            detour: None,
            held_path: paths.ask_for_proof(path, in_flight_id, octets, turn),
        });
        subscription.sent(in_flight_id, content.is_withheld(), turn.now);
        turn.counters.count_notify(flow.transport);
        self.send_new(in_flight_id, transmit, subscriptions, turn);
    }

    /// Sends a NOTIFY that was just written; one that is too long for a datagram by a stream, if it can.
    #[inline]
    fn send_new(
        &mut self,
        id: InFlightId,
        transmit: Transmit,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        let Transmit { flow, head, tail } = transmit;
        if !flow.transport.is_reliable() {
            let octets = head.len() + tail.len();
            let is_long = octets > turn.options.notify_tcp_beyond;
            if is_long && self.take_detour(id, subscriptions, turn) {
                return;
            }
            turn.counters.udp_oversize += u64::from(is_oversize(octets));
        }
        turn.transmit(flow, head, tail);
    }

    /// Appends the headers of the body, and the part of the body that is this subscription's own.
    /// Returns the part that it shares.
    #[inline]
    fn write_content(
        &self,
        content: &Content,
        body: Option<Written>,
        has_entity_tag: bool,
        turn: &mut Turn<'_>,
    ) -> Range<usize> {
        let arena = &mut turn.out.arena;
        match &body {
            Some(body) => body.write_headers(arena, has_entity_tag),
            None => write_suppressed(arena, content, has_entity_tag),
        }
        let shared = body.map_or(0..0, |body| body.octets);
        arena.extend_from_slice(b"Content-Length: ");
        emit::decimal(arena, (self.prolog.len() + shared.len()) as u64);
        arena.extend_from_slice(b"\r\n\r\n");
        arena.extend_from_slice(&self.prolog);
        shared
    }

    /// Makes a NOTIFY that begins at `head.start` as long as the others to that destination:
    /// inserts spaces at `head.end`. `tail` is the length of its shared part.
    fn pad_to_train(
        &mut self,
        destination: SocketAddr,
        head: Range<usize>,
        tail: usize,
        turn: &mut Turn<'_>,
    ) {
        let octets = turn.out.arena.len() - head.start + tail;
        // A NOTIFY does not become too long for a datagram.
        let octets_max = turn.options.segment_octets_max;
        let octets_max = octets_max.min(turn.options.notify_tcp_beyond);
        let length = self.gso_padding.length(destination, octets, octets_max);
        pad(&mut turn.out.arena, head.end, length - octets);
    }

    /// Keeps a copy of a datagram for retransmission; none of a message on a stream.
    #[inline]
    fn keep(&mut self, transmit: &Transmit, turn: &mut Turn<'_>) -> Kept {
        if transmit.flow.transport.is_reliable() {
            return Kept::default();
        }
        let (head, tail) = (transmit.head.clone(), transmit.tail.clone());
        self.copies.keep(turn.out, head, tail)
    }

    /// Upper bound of the head of the next NOTIFY of a list subscription.
    pub(crate) fn head_octets(
        &mut self,
        id: SubscriptionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> usize {
        /// What its numbers may be longer by than those of the one before.
        const NUMBERS_OCTETS: usize = 16;
        let subscription = subscriptions.table().subscription(id);
        let Some(subscription) = subscription.expected("a NOTIFY is of a subscription") else {
            return 0;
        };
        let entry = subscriptions.table().dialog(subscription.dialog());
        let Some(entry) = entry.expected("a subscription has a dialog") else {
            return 0;
        };
        let Some(flow) = subscriptions.table().path_of(entry).map(Path::onward) else {
            return 0;
        };
        let local = self.local_addresses.of(&flow);
        let origin = Origin {
            via: &local.via,
            branch: &[b'0'; routing_token::OCTETS],
            contact: local.contact(|| entry.dialog().is_secure()),
        };
        let (start, arena) = (turn.out.arena.len(), &mut turn.out.arena);
        entry.dialog().write_last_notify(arena, &origin);
        write_event(arena, subscription, entry.profile());
        write_subscription_state(arena, subscription, false, turn.now);
        write_line(arena, b"User-Agent: ", turn.options.product.as_bytes());
        write_line(arena, b"Require: ", b"eventlist");
        arena.extend_from_slice(b"Content-Type: ");
        multipart::write_related(arena, ContentId::ROOT, rlmi::CONTENT_TYPE);
        arena.extend_from_slice(b"\r\nContent-Encoding: deflate\r\nContent-Length: 0\r\n\r\n");
        let octets = arena.len() - start + NUMBERS_OCTETS;
        arena.truncate(start);
        octets
    }
}

/// Appends Event, Subscription-State, User-Agent and Require. Returns where spaces may be inserted
/// before the value of User-Agent.
#[inline]
fn write_state(
    subscription: &Subscription,
    profile: &Profile,
    is_followed: bool,
    turn: &mut Turn<'_>,
) -> usize {
    let arena = &mut turn.out.arena;
    write_event(arena, subscription, profile);
    write_subscription_state(arena, subscription, is_followed, turn.now);
    let product = turn.options.product.as_bytes();
    let padding_at = arena.len() + "User-Agent: ".len();
    if !product.is_empty() {
        write_line(arena, b"User-Agent: ", product);
    }
    if subscription.is_multipart() {
        emit::plain_header(arena, "Require", b"eventlist");
    }
    padding_at
}

/// Inserts spaces at a position of the arena.
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

/// The Event header. linphone recognises a NOTIFY as belonging to its list only if the package is
/// capitalised (W:G1).
fn write_event(arena: &mut Vec<u8>, subscription: &Subscription, profile: &Profile) {
    let event = subscription.event();
    if !subscription.is_linphone_list(profile) {
        return write_line(arena, b"Event: ", event);
    }
    let parameters = event.get(Package::Presence.token().len()..);
    arena.extend_from_slice(b"Event: Presence");
    arena.extend_from_slice(parameters.unwrap_or_default());
    arena.extend_from_slice(b"\r\n");
}

/// A NOTIFY with suppressed body carries SIP-ETag (RFC 5839 §5).
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
    match subscription.phase() {
        // More state and the final NOTIFY follow after the response to this one, so it is not yet
        // `terminated`.
        Phase::Ending(_) if is_followed => {
            arena.extend_from_slice(b"active;expires=");
            emit::decimal(arena, TIMER_F.as_secs());
        }
        Phase::Active => {
            let is_pending = subscription.decision().handling == Handling::Confirm;
            let state: &[u8] = if is_pending { b"pending" } else { b"active" };
            arena.extend_from_slice(state);
            arena.extend_from_slice(b";expires=");
            let remaining = subscription.expires_at().saturating_duration_since(now);
            let begun = u64::from(remaining.subsec_millis() > 0);
            emit::decimal(arena, remaining.as_secs() + begun);
            if let Some(terms) = subscription.terms() {
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
