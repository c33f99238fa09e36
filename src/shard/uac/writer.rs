//! How a request of a client is written and sent.

use std::time::Duration;

use crate::presence::document::resource_lists;
use crate::shard::contract::ids::ClientId;
use crate::shard::contract::probe::{ProbeEvent, UserStatus};
use crate::shard::contract::turn::Turn;
use crate::shard::peer::local_address::LocalAddress;
use crate::shard::uac::Uac;
use crate::shard::uac::client::{Client, Role};
use crate::shard::uac::purpose::Upstream;
use crate::shard::uac::response::Outcome;
use crate::shard::uac::roster::Roster;
use crate::shard::uac::transactions::Sent;
use crate::sip::dialog::Origin;
use crate::sip::digest::client::{CNONCE_DIGITS, Challenged};
use crate::sip::{Method, emit};

impl Uac {
    /// Sends the next request of a client: what begins, refreshes or removes its state.
    pub(super) fn send_request(&mut self, id: ClientId, turn: &mut Turn<'_>) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        debug_assert!(client.transaction.is_none(), "one request at a time");
        if client.is_through() && !client.is_leaving() {
            return self.leave(id, turn);
        }
        if let Some(link) = client.link() {
            let Some(flow) = self.links.get(link).and_then(|link| link.flow) else {
                return self.hold(id, turn);
            };
            client.flow = flow;
        }
        (client.request_at, client.notify_by) = (None, None);
        let Some(token) = self.transactions.mint_branch(turn) else {
            return self.take_outcome(id, Outcome::NotSent, turn);
        };
        if client.has_expired(turn.now) {
            client.begin_anew(turn);
        }
        client.is_removing = client.is_leaving() || client.is_spent();
        let method = client.method();
        client.tell_sent(method, turn);
        let local = self.local_addresses.of(&client.flow);
        let start = turn.out.arena.len();
        client.write(&token.octets(), local, turn);
        let sent = Sent {
            token,
            method,
            sequence: client.latest_sequence(),
            flow: client.flow,
            client: id,
            octets: start..turn.out.arena.len(),
        };
        let expires = Duration::from_secs(u64::from(client.expires_of_request()));
        turn.keep_stream(&client.flow, expires);
        client.transaction = Some(self.transactions.begin(sent, turn));
        self.arm(id, turn);
    }
}

impl Client {
    const fn method(&self) -> Method<'static> {
        match self.role {
            Role::Subscriber(_) => Method::Subscribe,
            Role::Publisher(_) => Method::Publish,
        }
    }

    /// Records for the operator that a request is sent.
    fn tell_sent(&mut self, method: Method<'static>, turn: &mut Turn<'_>) {
        let method = str::from_utf8(method.token()).unwrap_or_default();
        let expires = self.expires_of_request();
        self.purpose.add(ProbeEvent::Sent { method, expires }, turn);
        if !self.is_established(turn.now) {
            self.purpose.user(UserStatus::Requesting, turn);
        }
    }

    fn expires_of_request(&self) -> u32 {
        if self.is_removing { 0 } else { self.expires }
    }

    /// CSeq of the latest request.
    fn latest_sequence(&self) -> u32 {
        match &self.role {
            Role::Subscriber(subscriber) => subscriber
                .dialog
                .as_ref()
                .map_or(self.sequence, |dialog| dialog.local_sequence()),
            Role::Publisher(_) => self.sequence,
        }
    }

    /// Appends the whole request.
    fn write(&mut self, branch: &[u8], local: &LocalAddress, turn: &mut Turn<'_>) {
        let (body, content_type) = match &mut self.role {
            Role::Publisher(publisher) => (
                publisher.body(&self.target, self.is_removing),
                publisher.content_type(),
            ),
            Role::Subscriber(_) => (self.enclosed_list(), resource_lists::CONTENT_TYPE),
        };
        let arena = &mut turn.out.arena;
        let uri = self.write_head(branch, local, arena);
        let expires = self.expires_of_request();
        match &mut self.role {
            Role::Subscriber(subscriber) => {
                subscriber.is_notified = false;
                let roster = self.purpose.upstream().and_then(Upstream::roster);
                let is_list = roster.is_some_and(Roster::is_list);
                subscriber.write_headers(arena, expires, is_list);
                if !body.is_empty() {
                    emit::plain_header(arena, "Require", b"recipient-list-subscribe");
                    emit::plain_header(arena, "Content-Disposition", b"recipient-list");
                }
            }
            Role::Publisher(publisher) => publisher.write_headers(arena, expires),
        }
        let request = Challenged {
            method: self.method().token(),
            uri: &uri,
            body: &body,
        };
        self.write_credentials(&request, turn);
        let arena = &mut turn.out.arena;
        if !turn.options.product.is_empty() {
            emit::plain_header(arena, "User-Agent", turn.options.product.as_bytes());
        }
        emit::body(arena, content_type, &body);
    }

    /// The list in the body of a SUBSCRIBE (RFC 5367); empty without one.
    fn enclosed_list(&self) -> Vec<u8> {
        let roster = self.purpose.upstream().and_then(Upstream::roster);
        let roster = roster.filter(|_| !self.is_removing);
        roster.and_then(Roster::enclosed).unwrap_or_default()
    }

    /// Appends the head up to CSeq, and our Contact for what makes a dialog (RFC 3261 §8.1.1.8).
    /// Returns the Request-URI.
    fn write_head(&mut self, branch: &[u8], local: &LocalAddress, arena: &mut Vec<u8>) -> Vec<u8> {
        if let Role::Subscriber(subscriber) = &mut self.role
            && let Some(dialog) = &mut subscriber.dialog
        {
            let origin = Origin {
                via: &local.via,
                branch,
                contact: local.contact(|| false),
            };
            dialog.write_subscribe(arena, &origin);
            return dialog.request_uri().to_vec();
        }
        self.write_first_head(branch, local, arena);
        if matches!(self.role, Role::Subscriber(_)) {
            emit::plain_header(arena, "Contact", local.contact(|| false));
        }
        self.target.as_bytes().to_vec()
    }

    /// Appends the head of a request outside a dialog, up to CSeq.
    fn write_first_head(&mut self, branch: &[u8], local: &LocalAddress, arena: &mut Vec<u8>) {
        self.sequence += 1;
        let method = self.method().token();
        arena.extend_from_slice(method);
        arena.push(b' ');
        arena.extend_from_slice(self.target.as_bytes());
        arena.extend_from_slice(b" SIP/2.0\r\nVia: ");
        arena.extend_from_slice(&local.via);
        arena.extend_from_slice(branch);
        arena.extend_from_slice(b";rport\r\nMax-Forwards: 70\r\nFrom: <");
        arena.extend_from_slice(self.from.as_bytes());
        arena.extend_from_slice(b">;tag=");
        arena.extend_from_slice(&self.tag.octets());
        arena.extend_from_slice(b"\r\nTo: <");
        arena.extend_from_slice(self.target.as_bytes());
        arena.extend_from_slice(b">\r\nCall-ID: ");
        arena.extend_from_slice(&self.call_id);
        arena.extend_from_slice(b"\r\nCSeq: ");
        emit::decimal(arena, u64::from(self.sequence));
        arena.push(b' ');
        arena.extend_from_slice(method);
        arena.extend_from_slice(b"\r\n");
    }

    /// Appends credentials for each challenge that is known.
    fn write_credentials(&mut self, request: &Challenged<'_>, turn: &mut Turn<'_>) {
        let Some(login) = &self.login else {
            return;
        };
        for challenge in self.challenges.iter_mut().flatten() {
            let mut cnonce = [0; CNONCE_DIGITS];
            turn.random.fill_hex(&mut cnonce);
            challenge.write_credentials(&mut turn.out.arena, login, request, &cnonce);
        }
    }
}
