//! What a NOTIFY says: chosen first, so that nothing is written for a phone that knows it already,
//! then written as the subscription asked for it.
//!
//! A body is two pieces of the arena: a prolog of the subscription's own, and octets it may share
//! with others. One that tells changes alone (RFC 4235 §4.3, RFC 5263), lists resources or is
//! deflated shares nothing.

use std::ops::Range;
use std::sync::Arc;

use crate::presence::Composed;
use crate::presence::document;
use crate::presence::document::Format;
use crate::presence::document::deflate;
use crate::presence::document::dialog_info;
use crate::presence::document::dialog_info::ShownDialogs;
use crate::presence::document::multipart;
use crate::presence::document::multipart::ContentId;
use crate::presence::document::pidf_diff;
use crate::presence::document::reginfo;
use crate::presence::document::reginfo::ShownContacts;
use crate::presence::document::rlmi;
use crate::presence::event::Package;
use crate::presence::event::Termination;
use crate::presence::policy::Handling;
use crate::shard::Shard;
use crate::shard::bodies::Bodies;
use crate::shard::bodies::Body;
use crate::shard::conditions::entity_tag;
use crate::shard::outbox::Outbox;
use crate::shard::subscription::Phase;
use crate::shard::subscription::Subject;
use crate::shard::subscription::Wants;
use crate::shard::table::SubscriptionId;
use crate::sip::emit;

/// What a NOTIFY carries.
#[derive(Debug)]
pub(crate) enum Content {
    /// No body: the watcher has to wait (W:A3.3), may not know (RFC 6665 §4.2.2), or has the state
    /// already (RFC 5839 §4), whose hash it is.
    Empty(u64),
    /// A document; its prolog is the subscription's own.
    Document(Body),
    /// What is selected of a list.
    Resources,
    /// No body: it is too long for a path that is not proven, and follows once it is.
    Withheld,
}

/// What [`Subscription::shown`](crate::shard::subscription::Subscription) is when a NOTIFY without a body
/// was sent.
const SHOWN_EMPTY: u64 = 2;

impl Content {
    /// Whether the state is yet to follow.
    pub(crate) fn is_withheld(&self) -> bool {
        matches!(self, Self::Withheld)
    }

    /// The state that is not said again because the phone has it.
    pub(crate) fn suppressed(&self) -> Option<u64> {
        match self {
            Self::Empty(hash) if *hash != SHOWN_EMPTY => Some(*hash),
            _ => None,
        }
    }
}

/// What a subscription that is told changes alone has been shown.
#[derive(Debug)]
pub(crate) enum Shown {
    /// Dialogs of a `dialog-info` (W:B3.8).
    Dialogs(ShownDialogs),
    /// The state behind a `pidf-full` or `pidf-diff` (W:B6.4).
    State(Arc<Composed>),
    /// Contacts of a `reginfo`, each of which is told once more when it ends.
    Contacts(ShownContacts),
}

impl Shown {
    /// What a subscription has to remember that is told changes alone; None for others.
    pub(crate) fn of(format: Format, is_partial: bool) -> Option<Box<Self>> {
        match format {
            Format::DialogInfo if is_partial => {
                Some(Box::new(Self::Dialogs(ShownDialogs::default())))
            }
            Format::PidfDiff => Some(Box::new(Self::State(Arc::default()))),
            Format::RegInfo => Some(Box::new(Self::Contacts(ShownContacts::default()))),
            _ => None,
        }
    }
}

/// A body behind the prolog that the notifier holds.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) octets: Range<usize>,
    /// Where the value of a Call-Info header lies; empty for none.
    call_info: Range<usize>,
    format: Format,
    /// RLMI around it.
    is_multipart: bool,
    is_deflated: bool,
    /// The hash of the state, where there is one.
    hash: Option<u64>,
}

impl Written {
    /// Appends the headers that say what it is.
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
        // The hash of a state is its entity tag (RFC 5839 §3): the same state reads the same in
        // every process.
        if let Some(hash) = self.hash.filter(|_| has_entity_tag) {
            emit::plain_header(arena, "SIP-ETag", &entity_tag(hash));
        }
    }
}

impl Shard {
    /// What a NOTIFY of this moment says; None while an owner has not spoken.
    pub(crate) fn content_of(&mut self, id: SubscriptionId, out: &mut Outbox) -> Option<Content> {
        let subscription = self.table.subscription(id)?;
        if subscription.phase == Phase::Ending(Termination::Rejected) {
            return Some(Content::Empty(SHOWN_EMPTY));
        }
        let handling = subscription.decision.handling;
        if matches!(handling, Handling::Block | Handling::Confirm) {
            return Some(Content::Empty(SHOWN_EMPTY));
        }
        let post = match &subscription.subject {
            Subject::List(list)
                if !list.is_complete() || !self.rosters.are_complete(&list.rosters) =>
            {
                return None;
            }
            Subject::List(_) => {
                self.select_resources(id, out);
                return Some(Content::Resources);
            }
            Subject::Watchers(_) => {
                let body = self.write_watchers(id, out)?;
                return self.content_unless_suppressed(id, body);
            }
            Subject::Seizure(seizure) => {
                return self.write_seizure(seizure, out).map(Content::Document);
            }
            // Nothing is seized by asking.
            _ if subscription.package == Package::LineSeize => {
                return Some(Content::Empty(SHOWN_EMPTY));
            }
            subject => subject.post()?,
        };
        let watched = self.table.watched(post.watched)?;
        let composed = watched.composed.as_deref()?;
        let (aor, view) = (&watched.aor, subscription.view);
        let body = if handling == Handling::PoliteBlock {
            let style = self.directory.style_of(aor);
            self.bodies.of_blank(aor, style, view, out)
        } else if let Some(dialog) = subscription.specific_dialog() {
            Bodies::of_dialog(aor, composed, dialog, view, out)
        } else {
            self.bodies.of(aor, watched.revision, composed, view, out)
        };
        self.content_unless_suppressed(id, body)
    }

    /// A document, but for a phone that has it by its own word (RFC 5839 §4).
    fn content_unless_suppressed(&self, id: SubscriptionId, body: Body) -> Option<Content> {
        let subscription = self.table.subscription(id)?;
        let is_known = subscription.wants == Wants::Notify && subscription.suppresses(body.hash);
        Some(match is_known {
            true => Content::Empty(body.hash),
            false => Content::Document(body),
        })
    }

    /// The hash of what a NOTIFY of this moment would say; None for a list, and when it would say
    /// nothing.
    pub(crate) fn state_hash(&mut self, id: SubscriptionId, out: &mut Outbox) -> Option<u64> {
        match self.table.subscription(id)?.subject {
            Subject::List(_) => None,
            _ => match self.content_of(id, out)? {
                Content::Document(body) => Some(body.hash),
                Content::Empty(_) | Content::Resources | Content::Withheld => None,
            },
        }
    }

    /// Whether the phone knows all that `content` says and is owed nothing (W:A3.14).
    pub(crate) fn is_told(&self, id: SubscriptionId, content: &Content) -> bool {
        let Some(subscription) = self.table.subscription(id) else {
            return true;
        };
        let knows = match content {
            Content::Empty(hash) => subscription.shown == *hash,
            Content::Document(body) => subscription.shown == body.hash,
            Content::Resources => self.notifier.selection.is_empty(),
            Content::Withheld => false,
        };
        knows && subscription.wants == Wants::Change && subscription.phase == Phase::Active
    }

    /// Writes the body, its own part into the notifier's prolog; None when there is none.
    pub(crate) fn write_body(
        &mut self,
        id: SubscriptionId,
        content: &Content,
        out: &mut Outbox,
    ) -> Option<Written> {
        self.notifier.prolog.clear();
        let mut written = match content {
            Content::Empty(hash) => {
                self.table.subscription_mut(id)?.shown = *hash;
                return None;
            }
            Content::Withheld => return None,
            Content::Resources => {
                let list = self.write_resources(id, out)?;
                if list.octets.is_empty() {
                    // Nobody is there to be told of one by one.
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
                let octets = match self.write_changes(id, out) {
                    Some(changes) => changes,
                    None => {
                        let subscription = self.table.subscription(id)?;
                        document::write_prolog(
                            &mut self.notifier.prolog,
                            subscription.view,
                            subscription.version,
                            &subscription.names.entity,
                        );
                        body.octets.clone()
                    }
                };
                let subscription = self.table.subscription_mut(id)?;
                subscription.shown = body.hash;
                Written {
                    octets,
                    call_info: body.call_info.clone(),
                    format: subscription.view.format,
                    is_multipart: false,
                    is_deflated: false,
                    hash: Some(body.hash),
                }
            }
        };
        self.deflate(id, &mut written, out);
        Some(written)
    }

    /// Writes what changed since the last NOTIFY, for a subscription that is told so; None for
    /// others, and when all must be told.
    fn write_changes(&mut self, id: SubscriptionId, out: &mut Outbox) -> Option<Range<usize>> {
        let subscription = self.table.subscriptions.get_mut(id.0 as usize)?;
        let (view, version) = (subscription.view, subscription.version);
        let Subject::Presentity(post) = subscription.subject else {
            return None;
        };
        let watched = self.table.watched.get(post.watched.0 as usize)?;
        let (aor, composed) = (&watched.aor, watched.composed.as_ref()?);
        let narrowed = subscription.specific_dialog();
        let narrowed = narrowed.map(|dialog| Arc::new(composed.narrowed_to(dialog)));
        let composed = narrowed.as_ref().unwrap_or(composed);
        let shown = subscription.history.as_deref_mut()?;
        // After a SUBSCRIBE all is told, and when the phone may not have what it was sent.
        let is_full = subscription.wants == Wants::Notify || subscription.shown == 0;
        let is_full = is_full || subscription.decision.handling != Handling::Allow;
        let prolog = &mut self.notifier.prolog;
        let start = out.arena.len();
        match shown {
            Shown::Dialogs(dialogs) if is_full => {
                dialogs.note_full(&mut out.arena, aor, composed, view);
                return None;
            }
            Shown::Dialogs(dialogs) => {
                let entity = &subscription.names.entity;
                dialog_info::write_partial_prolog(prolog, version, entity);
                dialog_info::write_changes(&mut out.arena, aor, composed, view, dialogs);
            }
            // Whoever may not see them is shown none.
            Shown::Contacts(_) if subscription.decision.handling != Handling::Allow => return None,
            Shown::Contacts(contacts) => {
                let entity = &subscription.names.entity;
                document::write_prolog(prolog, view, version, entity);
                reginfo::write_since(&mut out.arena, aor, composed, view.privacy, contacts);
            }
            Shown::State(state) if is_full => {
                *state = Arc::clone(composed);
                return None;
            }
            Shown::State(state) => {
                let rendering = view.rendering;
                let entity = &subscription.names.entity;
                pidf_diff::write_diff_prolog(prolog, rendering, version, entity);
                pidf_diff::write_changes(&mut out.arena, aor, state, composed, rendering);
                *state = Arc::clone(composed);
            }
        }
        Some(start..out.arena.len())
    }

    /// Deflates a body that is worth it, for a phone that can read it (W:B5.17).
    fn deflate(&mut self, id: SubscriptionId, written: &mut Written, out: &mut Outbox) {
        let inflates = self
            .table
            .subscription(id)
            .and_then(|subscription| subscription.terms.as_ref())
            .is_some_and(|terms| terms.inflates);
        let prolog = &mut self.notifier.prolog;
        if !inflates
            || written.is_deflated
            || prolog.len() + written.octets.len() <= deflate::WORTHWHILE_OCTETS
        {
            return;
        }
        let start = out.arena.len();
        out.arena.extend_from_slice(prolog);
        out.arena.extend_from_within(written.octets.clone());
        if self.notifier.deflater.deflate(&mut out.arena, start) {
            prolog.clear();
            written.octets = start..out.arena.len();
            written.is_deflated = true;
        } else {
            out.arena.truncate(start);
        }
    }
}
