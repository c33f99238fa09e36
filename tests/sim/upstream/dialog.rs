//! The subscriptions that a PBX has, and its NOTIFYs.

use crate::documents::{Document, State};
use crate::model::upstream::{Content, Statement};
use crate::network::{Access, Micros, SECOND};
use crate::phone::lists::Package;
use crate::sip_text::{Request, Text};
use crate::upstream::plan::PlantedFault;
use crate::upstream::user::User;
use crate::upstream::{Upstream, user_uri};
use crate::world::Bench;

/// A subscription.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(super) call_id: String,
    /// Our tag.
    pub(super) tag: String,
    peer_tag: String,
    peer_uri: String,
    contact: String,
    pub(super) user: usize,
    pub(super) package: Package,
    pub(super) access: Access,
    /// CSeq of the last NOTIFY.
    pub(super) cseq: u32,
    /// Version of the next document.
    pub(super) version: u32,
    /// CSeq of the last SUBSCRIBE.
    pub(super) asked: u32,
    pub(super) expires_at: Micros,
    /// A NOTIFY waits for its response.
    is_waiting: bool,
    /// The user has changed since it was sent.
    is_dirty: bool,
    /// What the last documents together say; None before the first full one.
    pub(super) told: Option<Document>,
    /// Subscription-State names no expiry.
    pub(super) omits_expires: bool,
    /// The process of the node that subscribed.
    pub(super) process: u32,
}

/// What a NOTIFY is for.
#[derive(Debug)]
pub(crate) struct Notified {
    call_id: String,
    tag: String,
    pub(super) access: Access,
}

/// The body of a NOTIFY.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) kind: &'static str,
    pub(super) text: String,
    pub(super) says: Content,
}

impl Body {
    /// No body.
    pub(super) fn none() -> Self {
        Self {
            kind: "",
            text: String::new(),
            says: Content::Nothing,
        }
    }

    pub(super) fn of(document: Document, user: usize, version: u32) -> Self {
        Self {
            kind: document.content_type(),
            text: document.write(&user_uri(user), version),
            says: Content::Document(document),
        }
    }
}

impl Dialog {
    /// The subscription that a SUBSCRIBE outside a dialog begins.
    pub(super) fn begin(
        text: &Text<'_>,
        tag: String,
        (user, package): (usize, Package),
        (access, process): (Access, u32),
    ) -> Self {
        Self {
            call_id: text.call_id().to_owned(),
            tag,
            peer_tag: text.tag("From").unwrap_or_default().to_owned(),
            peer_uri: text.uri("From").unwrap_or_default().to_owned(),
            contact: text.uri("Contact").unwrap_or_default().to_owned(),
            user,
            package,
            access,
            cseq: 0,
            version: 0,
            asked: 0,
            expires_at: 0,
            is_waiting: false,
            is_dirty: false,
            told: None,
            omits_expires: false,
            process,
        }
    }

    /// The dialog of another fork.
    pub(super) fn fork(&self, tag: String) -> Self {
        Self {
            tag,
            ..self.clone()
        }
    }

    /// Whether a request names it.
    pub(super) fn is_named(&self, text: &Text<'_>) -> bool {
        self.call_id == text.call_id()
            && text.tag("From") == Some(&self.peer_tag)
            && text.tag("To") == Some(&self.tag)
    }

    /// The value of Subscription-State while it lives.
    pub(super) fn active(&self, now: Micros) -> String {
        let left = self.expires_at.saturating_sub(now) / SECOND;
        match self.omits_expires {
            true => "active".to_owned(),
            false => format!("active;expires={left}"),
        }
    }

    /// The next document: the whole state, or what changed since the last one.
    pub(super) fn next_body(&mut self, user: &User, is_partial: bool) -> Body {
        let whole = user.document(self.package);
        let document = match (&self.told, &whole) {
            (Some(Document::Dialogs { legs: told, .. }), Document::Dialogs { legs: known, .. })
                if is_partial =>
            {
                let over = told
                    .iter()
                    .filter(|leg| !known.iter().any(|it| it.call_id == leg.call_id));
                let over = over.cloned().map(|mut leg| {
                    leg.state = State::Terminated;
                    leg
                });
                let changed = known.iter().filter(|leg| !told.contains(leg)).cloned();
                Document::Dialogs {
                    full: false,
                    legs: over.chain(changed).collect(),
                }
            }
            _ => whole.clone(),
        };
        self.told = Some(whole);
        self.version += 1;
        Body::of(document, self.user, self.version)
    }

    /// Writes a NOTIFY with the next CSeq.
    fn write(&mut self, branch: &str, state: &str, body: &Body) -> Vec<u8> {
        self.cseq += 1;
        let (transport, peer) = match self.access {
            Access::Udp(peer) => ("UDP", peer),
            Access::Tcp(peer, _) => ("TCP", peer),
        };
        let event = self.package.token();
        Request {
            method: "NOTIFY",
            uri: &self.contact,
            via: &format!("{transport} {peer}"),
            branch,
            from: &user_uri(self.user),
            from_tag: &self.tag,
            to: &self.peer_uri,
            to_tag: Some(&self.peer_tag),
            call_id: &self.call_id,
            cseq: self.cseq,
            headers: &format!(
                "Contact: <sip:{peer}>\r\nEvent: {event}\r\nSubscription-State: {state}\r\n"
            ),
            content_type: body.kind,
            body: &body.text,
        }
        .write()
    }
}

impl Upstream {
    /// Tells the subscription at that place how its user is, unless a NOTIFY of it is under way.
    pub(super) fn notify(&mut self, at: usize, bench: &mut Bench) {
        let dialog = &mut self.dialogs[at];
        if dialog.is_waiting {
            dialog.is_dirty = true;
            return;
        }
        let state = dialog.active(bench.net.now);
        let mut body = dialog.next_body(&self.users[dialog.user], self.plan.server.is_partial);
        if self.fault == Some(PlantedFault::MissesCalls) {
            body.text = body.text.replace("confirmed", "terminated");
        }
        self.send(at, &state, &body, bench);
    }

    /// Tells it the whole state.
    pub(super) fn notify_all(&mut self, at: usize, bench: &mut Bench) {
        self.dialogs[at].told = None;
        self.notify(at, bench);
    }

    /// Sends a NOTIFY, and waits for its response.
    pub(super) fn send(&mut self, at: usize, state: &str, body: &Body, bench: &mut Bench) {
        let branch = self.uac.branch(&mut bench.net);
        let octets = self.write(at, &branch, state, body, bench);
        let dialog = &mut self.dialogs[at];
        dialog.is_waiting = true;
        dialog.is_dirty = false;
        let purpose = Notified {
            call_id: dialog.call_id.clone(),
            tag: dialog.tag.clone(),
            access: dialog.access,
        };
        let access = dialog.access;
        self.uac
            .start(&mut bench.net, access, branch, octets, purpose);
    }

    /// Sends a NOTIFY for whose response it does not wait.
    pub(super) fn send_only(&mut self, at: usize, state: &str, body: &Body, bench: &mut Bench) {
        let branch = self.uac.branch(&mut bench.net);
        let octets = self.write(at, &branch, state, body, bench);
        bench.net.send(self.dialogs[at].access, octets.into());
    }

    fn write(
        &mut self,
        at: usize,
        branch: &str,
        state: &str,
        body: &Body,
        bench: &mut Bench,
    ) -> Vec<u8> {
        let dialog = &mut self.dialogs[at];
        let octets = dialog.write(branch, state, body);
        let statement = Statement {
            connector: self.connector,
            user: dialog.user,
            says: match state.starts_with("pending") {
                true => Content::Nothing,
                false => body.says.clone(),
            },
            is_rejection: state.ends_with("reason=rejected"),
        };
        let key = (dialog.call_id.clone(), dialog.cseq, branch.to_owned());
        bench.model.upstreams.statements.insert(key, statement);
        octets
    }

    /// A response to a NOTIFY.
    pub(super) fn handle_response(&mut self, text: &Text<'_>, bench: &mut Bench) {
        let branch = text.branch().unwrap_or_default();
        let Some(exchange) = self.uac.finish(branch) else {
            return;
        };
        let Some(at) = self.place(&exchange.purpose) else {
            return;
        };
        self.dialogs[at].is_waiting = false;
        match text.status() {
            Some(481) => {
                self.dialogs.remove(at);
            }
            _ if self.dialogs[at].is_dirty => self.notify(at, bench),
            _ => {}
        }
    }

    /// A NOTIFY without a response ends its subscription (RFC 6665 §4.2.2).
    pub(super) fn handle_silence(&mut self, notified: &Notified) {
        if let Some(at) = self.place(notified) {
            self.dialogs.remove(at);
        }
    }

    fn place(&self, notified: &Notified) -> Option<usize> {
        let mut dialogs = self.dialogs.iter();
        dialogs.position(|it| it.call_id == notified.call_id && it.tag == notified.tag)
    }
}
