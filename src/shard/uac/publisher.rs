//! A publication of ours: the entity tag that names it, and the document (RFC 3903 §4).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::relays::{PublishedDocument, SipRelay};
use crate::presence::call::CallState;
use crate::presence::document::pidf::lync;
use crate::presence::document::{Format, View, dialog_info};
use crate::presence::elsewhere::PublishedElsewhere;
use crate::presence::event::Package;
use crate::presence::policy::Privacy;
use crate::presence::profile::Rendering;
use crate::presence::{Aor, Composed, document};
use crate::shard::contract::turn::Turn;
use crate::shard::uac::subscriber::REFRESH_MIN;
use crate::sip::emit;

/// The `id` of the one dialog in the documents of probes.
const DIALOG_ID: &str = "probe";

/// A publication of ours.
#[derive(Debug)]
pub(super) struct Publisher {
    content: Content,
    /// The document's version; it goes up with each one.
    version: u32,
    /// What the server calls the publication; None while it has none.
    pub(super) entity_tag: Option<Box<[u8]>>,
    /// When it ends unless it is refreshed.
    pub(super) expires_at: Option<Instant>,
}

/// What is published.
#[derive(Debug)]
enum Content {
    /// One call in that state, which does not change.
    Call(CallState),
    /// The state of a user.
    User(Box<PublishedUser>),
}

/// A user whose state a relay publishes.
#[derive(Debug)]
pub(super) struct PublishedUser {
    relay: Arc<SipRelay>,
    /// The address of record there.
    aor: Aor,
    state: PublishedState,
    /// The numbers of the latest state, of that in the request that is under way, and of that which the server has.
    latest: u32,
    sent: u32,
    held: u32,
    /// The latest document told that there is nothing to be said any more.
    has_told_end: bool,
}

/// The state of a user, as a relay publishes it.
#[derive(Clone, Debug)]
pub(super) struct PublishedState {
    pub(super) composed: Arc<Composed>,
    pub(super) privacy: Privacy,
}

impl Publisher {
    /// The publication of a probe.
    pub(super) const fn of_probe(state: CallState) -> Self {
        Self::new(Content::Call(state))
    }

    /// The publication of a user of ours. `held`: what the server has of it already.
    pub(super) fn of_user(
        relay: &Arc<SipRelay>,
        aor: &Aor,
        state: PublishedState,
        held: Option<PublishedElsewhere>,
    ) -> Self {
        let user = PublishedUser {
            relay: Arc::clone(relay),
            aor: relay.aor_there(aor),
            state,
            latest: 1,
            sent: 0,
            held: 0,
            has_told_end: false,
        };
        let mut publisher = Self::new(Content::User(Box::new(user)));
        if let Some(held) = held {
            publisher.entity_tag = Some(held.entity_tag);
            publisher.expires_at = Some(held.expires_at);
        }
        publisher
    }

    const fn new(content: Content) -> Self {
        Self {
            content,
            version: 0,
            entity_tag: None,
            expires_at: None,
        }
    }

    /// The state of the user, which may have changed.
    pub(super) fn take(&mut self, state: PublishedState) {
        if let Content::User(user) = &mut self.content
            && !user.state.is_same(&state)
        {
            user.state = state;
            user.latest = user.latest.wrapping_add(1);
        }
    }

    /// Whether the server does not have the latest state.
    pub(super) fn has_news(&self) -> bool {
        match &self.content {
            Content::Call(_) => self.entity_tag.is_none(),
            Content::User(user) => self.entity_tag.is_none() || user.latest != user.held,
        }
    }

    /// Whether there is nothing to be published any more: the publication is to be removed. Before that the server
    /// is told so, because watchers there may be shown nothing when a publication ends; but Lync has no words for it.
    pub(super) fn is_through(&self) -> bool {
        let Content::User(user) = &self.content else {
            return false;
        };
        let is_told = self.entity_tag.is_none() || user.latest == user.held;
        let is_untold = user.relay.document != PublishedDocument::Lync && !is_told;
        !is_untold && !says_something(&user.relay, &user.aor, &user.state.composed)
    }

    /// Whether what the server has says that there is nothing to be said any more.
    pub(super) fn has_told_end(&self) -> bool {
        match &self.content {
            Content::Call(_) => false,
            Content::User(user) => self.entity_tag.is_some() && user.has_told_end,
        }
    }

    /// Whether the publication has told that its calls ended, and there is news: it is to be removed, and another
    /// one begins. Kamailio ignores what comes after the end of a dialog, and responds 200.
    pub(super) fn is_spent(&self) -> bool {
        let Content::User(user) = &self.content else {
            return false;
        };
        let is_of_calls = user.relay.document == PublishedDocument::DialogInfo;
        is_of_calls && self.has_told_end() && user.latest != user.held
    }

    /// The body of the next PUBLISH: a document if the server does not have the latest state, nothing if it only
    /// refreshes or removes the publication (RFC 3903 §4.1).
    pub(super) fn body(&mut self, target: &str, is_removal: bool) -> Vec<u8> {
        let mut body = Vec::new();
        if is_removal || !self.has_news() {
            return body;
        }
        match &mut self.content {
            Content::Call(state) => {
                dialog_info::write_call(&mut body, self.version, target, (DIALOG_ID, *state));
            }
            Content::User(user) => user.write(&mut body, self.version, target),
        }
        self.version += 1;
        body
    }

    /// The media type of its documents.
    pub(super) fn content_type(&self) -> &'static str {
        match self.package() {
            Package::Presence => Format::Pidf.content_type(),
            _ => Format::DialogInfo.content_type(),
        }
    }

    fn package(&self) -> Package {
        match &self.content {
            Content::Call(_) => Package::Dialog,
            Content::User(user) => user.relay.document.package(),
        }
    }

    /// The headers of a PUBLISH.
    pub(super) fn write_headers(&self, arena: &mut Vec<u8>, expires: u32) {
        emit::plain_header(arena, "Event", self.package().token().as_bytes());
        emit::header_number(arena, "Expires", u64::from(expires));
        if let Some(entity_tag) = &self.entity_tag {
            emit::header(arena, "SIP-If-Match", entity_tag);
        }
    }

    /// The server has it, and grants so much time from now on. When to send again: at once if there is news
    /// already; else after half of it, a relay's some tenths earlier, so that its users do not come at once.
    pub(super) fn granted(
        &mut self,
        entity_tag: Option<&[u8]>,
        expires: Duration,
        turn: &mut Turn<'_>,
    ) -> Instant {
        if let Some(entity_tag) = entity_tag {
            self.entity_tag = Some(entity_tag.into());
        }
        self.expires_at = Some(turn.now + expires);
        let half = (expires / 2).max(REFRESH_MIN);
        let Content::User(user) = &mut self.content else {
            return turn.now + half;
        };
        user.held = user.sent;
        match self.has_news() {
            true => turn.now,
            false => turn.now + half * (700 + turn.random.below(301)) / 1000,
        }
    }

    /// The server has it no more: the next PUBLISH begins a new one.
    pub(super) fn ended(&mut self) {
        self.entity_tag = None;
        self.expires_at = None;
        if let Content::User(user) = &mut self.content {
            user.has_told_end = false;
        }
    }

    /// Whether the server may have a publication that a PUBLISH can remove.
    pub(super) fn is_established(&self, now: Instant) -> bool {
        self.entity_tag.is_some() && self.expires_at.is_none_or(|end| now < end)
    }
}

impl PublishedState {
    fn is_same(&self, other: &Self) -> bool {
        self.composed == other.composed && self.privacy == other.privacy
    }
}

impl PublishedUser {
    /// Appends the document. What it says is under way.
    fn write(&mut self, body: &mut Vec<u8>, version: u32, target: &str) {
        self.sent = self.latest;
        let (relay, aor) = (&*self.relay, &self.aor);
        let told = self.told();
        let composed = told.as_ref().unwrap_or(&self.state.composed);
        self.has_told_end = !says_something(relay, aor, composed);
        let format = match relay.document {
            PublishedDocument::Lync => return lync::write(body, target),
            PublishedDocument::DialogInfo => Format::DialogInfo,
            PublishedDocument::Pidf => Format::Pidf,
        };
        let privacy = match relay.parties {
            true => self.state.privacy,
            false => Privacy::StateOnly,
        };
        let view = View {
            format,
            privacy,
            rendering: rendering(),
        };
        document::write_prolog(body, view, version, target.as_bytes());
        document::write_state(body, view, aor, composed);
    }

    /// The state without what is not told; None if all is.
    fn told(&self) -> Option<Composed> {
        let composed = &self.state.composed;
        let hides_note = !self.relay.notes && composed.note.is_some();
        hides_note.then(|| Composed {
            note: None,
            ..Composed::clone(composed)
        })
    }
}

/// Whether a relay has anything to publish of a user.
pub(crate) fn says_something(relay: &SipRelay, aor: &Aor, composed: &Composed) -> bool {
    match relay.document {
        PublishedDocument::DialogInfo => dialog_info::shows_call(aor, composed, rendering()),
        PublishedDocument::Pidf => !composed.says_nothing(),
        PublishedDocument::Lync => lync::is_on_the_phone(composed),
    }
}

/// Documents for a server have all calls: it decides what its watchers are shown.
fn rendering() -> Rendering {
    Rendering {
        all_dialogs: true,
        ..Rendering::default()
    }
}
