//! The content of a NOTIFY. It is first determined, so that nothing is written if the phone already
//! has it, and then written in the format the subscription asked for.
//!
//! A body is two pieces of the arena: a prolog specific to the subscription, and octets that may be
//! shared with other subscriptions. A body with changes only (RFC 4235 §4.3, RFC 5263), of a list,
//! or deflated is not shared.

use std::ops::Range;
use std::sync::Arc;

use crate::presence::document;
use crate::presence::document::multipart::ContentId;
use crate::presence::document::{
    Format, deflate, dialog_info, multipart, pidf_diff, reginfo, rlmi,
};
use crate::presence::policy::Handling;
use crate::shard::contract::body::Body;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::notifiers_table::NotifiersTable;
use crate::shard::lifecycle::subject::Source;
use crate::shard::notify::Notifier;
use crate::shard::notify::body_cache::BodyCache;
use crate::shard::subscription::shown::{SHOWN_EMPTY, Shown};
use crate::shard::subscription::suppress::entity_tag;
use crate::shard::subscription::table::{Recipient, Table};
use crate::shard::subscription::{Phase, Subscription, Wants};
use crate::sip::emit;

/// See [`Expected`].
const OF_A_SUBSCRIPTION: &str = "a NOTIFY is of a subscription";

/// Octets of the longest body over a path that is not proven.
const BODY_OCTETS_MAX: usize = 1400;

/// What a NOTIFY carries.
#[derive(Debug)]
pub(crate) enum Content {
    /// No body: the watcher is pending or may not see the state (RFC 6665 §4.2.2), or already has
    /// the state with this hash (RFC 5839 §4).
    Empty(u64),
    /// A document; its prolog is the subscription's own.
    Document(Body),
    /// The selected resources of a list.
    Resources,
    /// No body: it is too long for a path that is not proven, and follows once it is.
    Withheld,
}

impl Content {
    /// Whether the body is withheld for now.
    pub(crate) fn is_withheld(&self) -> bool {
        matches!(self, Self::Withheld)
    }

    /// The hash of the state that is suppressed because the phone has it.
    pub(crate) fn suppressed(&self) -> Option<u64> {
        match self {
            Self::Empty(hash) if *hash != SHOWN_EMPTY => Some(*hash),
            _ => None,
        }
    }
}

/// A body behind the prolog that the notifier holds.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) octets: Range<usize>,
    /// The range of the Call-Info value in the arena; empty if there is none.
    call_info: Range<usize>,
    format: Format,
    /// The body is multipart/related with an RLMI root.
    is_multipart: bool,
    is_deflated: bool,
    /// The hash of the state; None for a list.
    hash: Option<u64>,
}

impl Written {
    /// Appends Call-Info, Content-Type, Content-Encoding and SIP-ETag.
    pub(crate) fn write_headers(&self, arena: &mut Vec<u8>, has_entity_tag: bool) {
        if !self.call_info.is_empty() {
            arena.extend_from_slice(b"Call-Info: ");
            arena.extend_from_within(self.call_info.clone());
            arena.extend_from_slice(b"\r\n");
        }
        if self.format != Format::Nothing {
            arena.extend_from_slice(b"Content-Type: ");
            if self.is_multipart {
                let root = ContentId::ROOT;
                multipart::write_related(arena, root, rlmi::CONTENT_TYPE);
            } else {
                self.format.write_content_type(arena);
            }
            arena.extend_from_slice(b"\r\n");
        }
        if self.is_deflated {
            emit::plain_header(arena, "Content-Encoding", b"deflate");
        }
        // The hash of a state is its entity tag (RFC 5839 §3): the same state has the same tag in
        // every process, also after a restart.
        if let Some(hash) = self.hash.filter(|_| has_entity_tag) {
            emit::plain_header(arena, "SIP-ETag", &entity_tag(hash));
        }
    }
}

impl Notifier {
    /// What a NOTIFY sent now would carry. None while an owner has not reported the state, or while
    /// no room is left for copies of long lists.
    pub(crate) fn content_of(
        &mut self,
        id: SubscriptionId,
        source: Source,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> Option<Content> {
        let slot = match source {
            Source::State(slot) => slot,
            Source::Document(body) => {
                return content_unless_suppressed(subscriptions.table(), id, body);
            }
            Source::Headers(body) => return Some(Content::Document(body)),
            Source::Resources => {
                self.select_resources(id, subscriptions, turn);
                let is_postponed = self.postpone_if_no_room(id, subscriptions, turn);
                return (!is_postponed).then_some(Content::Resources);
            }
            Source::Nothing => return Some(Content::Empty(SHOWN_EMPTY)),
        };
        let subscription = subscriptions.table().subscription(id);
        let subscription = subscription.expected(OF_A_SUBSCRIPTION)?;
        let watched = subscriptions.table().watched(slot.watched);
        let watched = watched.expected("a subscription watches its presentity")?;
        // None until the owner has sent the state.
        let composed = watched.composed()?;
        let (aor, view) = (watched.aor(), subscription.view());
        let body = if subscription.decision().handling == Handling::PoliteBlock {
            let style = turn.directory.style_of(aor);
            self.bodies.of_blank(aor, style, view, turn.out)
        } else if let Some(dialog) = subscription.specific_dialog() {
            BodyCache::of_dialog(aor, composed, dialog, view, turn.out)
        } else {
            self.bodies
                .of(aor, watched.revision(), composed, view, turn.out)
        };
        content_unless_suppressed(subscriptions.table(), id, body)
    }

    /// The hash of the state that a NOTIFY sent now would carry; None for a list, or if it would
    /// carry none.
    pub(crate) fn state_hash(
        &mut self,
        id: SubscriptionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> Option<u64> {
        let subscription = subscriptions.table().subscription(id);
        let subscription = subscription.expected("a subscription is refreshed")?;
        if subscription.subject().list().is_some() {
            return None;
        }
        let source = subscriptions.source_of(id, turn)?;
        match self.content_of(id, source, subscriptions, turn)? {
            Content::Document(body) => Some(body.hash),
            Content::Empty(_) | Content::Resources | Content::Withheld => None,
        }
    }

    /// Whether this content was already sent and no NOTIFY is required regardless (W:A3.14).
    pub(crate) fn has_been_sent(
        &self,
        id: SubscriptionId,
        content: &Content,
        subscriptions: &mut Subscriptions,
    ) -> bool {
        let subscription = subscriptions.table().subscription(id);
        let Some(subscription) = subscription.expected(OF_A_SUBSCRIPTION) else {
            return true;
        };
        let knows = match content {
            Content::Empty(hash) => subscription.shown() == *hash,
            Content::Document(body) => subscription.shown() == body.hash,
            Content::Resources => self.selection.is_empty(),
            Content::Withheld => false,
        };
        knows && subscription.wants() == Wants::Change && subscription.phase() == Phase::Active
    }

    /// Writes the body of a NOTIFY over a path that is not proven, if it is short. A longer one is
    /// withheld, and all of it follows once the path is proven.
    pub(crate) fn write_short_body(
        &mut self,
        id: SubscriptionId,
        content: &mut Content,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> Option<Written> {
        // Writing a list marks its resources as sent, so an oversized list must not be written at
        // all.
        let is_long_list =
            matches!(content, Content::Resources) && self.selection.octets() > BODY_OCTETS_MAX;
        if !is_long_list {
            // None if the NOTIFY has no body.
            let body = self.write_body(id, content, subscriptions, turn)?;
            if self.prolog.len() + body.octets.len() <= BODY_OCTETS_MAX {
                return Some(body);
            }
            let subscription = subscriptions.table_mut().subscription_mut(id);
            subscription
                .expected("a NOTIFY is of a subscription")?
                .forget_shown();
        }
        self.prolog.clear();
        *content = Content::Withheld;
        None
    }

    /// Writes the body: the subscription's own part into `prolog`, the shared part into the arena.
    /// None if the NOTIFY has no body.
    pub(crate) fn write_body(
        &mut self,
        id: SubscriptionId,
        content: &Content,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> Option<Written> {
        self.prolog.clear();
        let mut written = match content {
            Content::Empty(hash) => {
                let subscription = subscriptions.table_mut().subscription_mut(id);
                subscription.expected(OF_A_SUBSCRIPTION)?.showed(*hash);
                return None;
            }
            Content::Withheld => return None,
            Content::Resources => {
                let list = self.write_resources(id, subscriptions, turn)?;
                if list.octets.is_empty() {
                    // No resource is selected.
                    return None;
                }
                Written {
                    octets: list.octets,
                    call_info: 0..0,
                    format: list.format,
                    is_multipart: list.is_multipart,
                    is_deflated: list.is_deflated,
                    hash: None,
                }
            }
            Content::Document(body) => {
                let octets = match self.write_changes(id, subscriptions, turn) {
                    Some(changes) => changes,
                    None => {
                        let subscription = subscriptions.table().subscription(id);
                        let subscription = subscription.expected(OF_A_SUBSCRIPTION)?;
                        document::write_prolog(
                            &mut self.prolog,
                            subscription.view(),
                            subscription.version(),
                            subscription.entity(),
                        );
                        body.octets.clone()
                    }
                };
                let subscription = subscriptions.table_mut().subscription_mut(id);
                let subscription = subscription.expected(OF_A_SUBSCRIPTION)?;
                subscription.showed(body.hash);
                Written {
                    octets,
                    call_info: body.call_info.clone(),
                    format: subscription.view().format,
                    is_multipart: false,
                    is_deflated: false,
                    hash: Some(body.hash),
                }
            }
        };
        self.deflate(id, &mut written, subscriptions, turn);
        Some(written)
    }

    /// Writes what changed since the last NOTIFY, if the subscription gets partial notifications;
    /// None if it does not, or if full state is due.
    fn write_changes(
        &mut self,
        id: SubscriptionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> Option<Range<usize>> {
        let recipient = subscriptions.table_mut().recipient(id);
        let Recipient {
            subscription,
            watched,
            ..
        } = recipient.expected(OF_A_SUBSCRIPTION)?;
        let (view, version) = (subscription.view(), subscription.version());
        // All other subscriptions get full state each time.
        let slot = subscription.subject().presentity_slot()?;
        let watched = watched.get(slot.watched);
        let watched = watched.expected("a subscription watches its presentity")?;
        let composed = watched.composed();
        let composed = composed.expected("the content was made from this state")?;
        let aor = watched.aor();
        let narrowed = subscription.specific_dialog();
        let narrowed = narrowed.map(|dialog| Arc::new(composed.narrowed_to(dialog)));
        let composed = narrowed.as_ref().unwrap_or(composed);
        // Full state is due after a SUBSCRIBE, and when the phone may have missed the last NOTIFY.
        let is_allowed = subscription.decision().handling == Handling::Allow;
        let is_owed_all = subscription.wants() == Wants::Notify || subscription.shown() == 0;
        let is_full = is_owed_all || !is_allowed;
        let (shown, names) = subscription.history_mut()?;
        let prolog = &mut self.prolog;
        let start = turn.out.arena.len();
        match shown {
            Shown::Dialogs(dialogs) if is_full => {
                dialogs.note_full(&mut turn.out.arena, aor, composed, view);
                return None;
            }
            Shown::Dialogs(dialogs) => {
                let entity = &names.entity;
                dialog_info::write_partial_prolog(prolog, version, entity);
                dialog_info::write_changes(&mut turn.out.arena, aor, composed, view, dialogs);
            }
            // A watcher that is not allowed to see contacts gets full state without them.
            Shown::Contacts(_) if !is_allowed => {
                return None;
            }
            Shown::Contacts(contacts) => {
                let entity = &names.entity;
                document::write_prolog(prolog, view, version, entity);
                reginfo::write_since(&mut turn.out.arena, aor, composed, view.privacy, contacts);
            }
            Shown::State(state) if is_full => {
                *state = Arc::clone(composed);
                return None;
            }
            Shown::State(state) => {
                let rendering = view.rendering;
                let entity = &names.entity;
                pidf_diff::write_diff_prolog(prolog, rendering, version, entity);
                pidf_diff::write_changes(&mut turn.out.arena, aor, state, composed, rendering);
                *state = Arc::clone(composed);
            }
        }
        Some(start..turn.out.arena.len())
    }

    /// Deflates the body if it is long enough to gain from it and the phone accepts deflate (RFC
    /// 9110 §8.4.1.2).
    fn deflate(
        &mut self,
        id: SubscriptionId,
        written: &mut Written,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        let subscription = subscriptions.table().subscription(id);
        let subscription = subscription.expected(OF_A_SUBSCRIPTION);
        let inflates = subscription.is_some_and(Subscription::inflates);
        let prolog = &mut self.prolog;
        if !inflates
            || written.is_deflated
            || prolog.len() + written.octets.len() <= deflate::WORTHWHILE_OCTETS
        {
            return;
        }
        let start = turn.out.arena.len();
        turn.out.arena.extend_from_slice(prolog);
        turn.out.arena.extend_from_within(written.octets.clone());
        if self.deflater.deflate(&mut turn.out.arena, start) {
            prolog.clear();
            written.octets = start..turn.out.arena.len();
            written.is_deflated = true;
        } else {
            turn.out.arena.truncate(start);
        }
    }
}

/// The document, or Empty if Suppress-If-Match says the phone already has this state (RFC 5839 §4).
fn content_unless_suppressed(table: &Table, id: SubscriptionId, body: Body) -> Option<Content> {
    let subscription = table.subscription(id).expected(OF_A_SUBSCRIPTION)?;
    let is_known = subscription.wants() == Wants::Notify && subscription.suppresses(body.hash);
    Some(match is_known {
        true => Content::Empty(body.hash),
        false => Content::Document(body),
    })
}
