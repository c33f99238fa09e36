//! The response to OPTIONS.

use crate::presence::document;
use crate::presence::document::{feature_event, resource_lists};
use crate::presence::event::Package;
use crate::shard::contract::turn::Turn;
use crate::shard::request::{Request, covered_octets};
use crate::shard::uas::Uas;
use crate::shard::uas::response::{
    ACCEPT_ENCODING, ALLOW, ALLOW_OF_REGISTRAR, BARE_TAG_OCTETS, END_OCTETS, allow_events,
    begin_response, stateless_tag,
};
use crate::sip::emit::ResponseHead;
use crate::sip::{Status, emit};

impl Uas {
    /// Sends the 200 to OPTIONS with our capabilities (RFC 3261 §11.2); not stored in the
    /// transaction. Over UDP it carries Allow alone if the full response is more than 1.5 times as long
    /// as the request; if even that is too long, it is a bare 200 (W:E3.8).
    pub(crate) fn respond_options(
        &mut self,
        request: &Request<'_>,
        is_registrar: bool,
        turn: &mut Turn<'_>,
    ) {
        let tag = stateless_tag(request.message, turn);
        let head = begin_response(request, Status::OK, None, &tag, turn);
        let allow = if is_registrar {
            ALLOW_OF_REGISTRAR
        } else {
            ALLOW
        };
        emit::header(&mut turn.out.arena, "Allow", allow);
        let brief = turn.out.arena.len();
        emit::header(
            &mut turn.out.arena,
            "Allow-Events",
            allow_events().as_bytes(),
        );
        emit::header(&mut turn.out.arena, "Accept", accept().as_bytes());
        emit::header(&mut turn.out.arena, "Accept-Encoding", ACCEPT_ENCODING);
        emit::header(&mut turn.out.arena, "Accept-Language", b"en");
        emit::header(
            &mut turn.out.arena,
            "Supported",
            b"eventlist, recipient-list-subscribe",
        );
        let octets_max = covered_octets(request.message);
        let is_datagram = !request.flow.transport.is_reliable();
        if is_datagram && turn.out.arena.len() - head + END_OCTETS > octets_max {
            turn.out.arena.truncate(brief);
        }
        if is_datagram && turn.out.arena.len() - head + END_OCTETS > octets_max {
            let (message, peer) = (request.message, request.flow.peer);
            turn.out.arena.truncate(head);
            let bare = ResponseHead {
                status: Status::OK,
                reason: None,
                to_tag: &tag[..BARE_TAG_OCTETS],
                source: peer,
            };
            emit::bare_response_head(&mut turn.out.arena, message, &bare);
            turn.out.arena.extend_from_slice(b"\r\n");
            return self.send_response(request, head, turn);
        }
        self.end_response(request, head, turn);
    }
}

/// The value of Accept: the bodies of PUBLISH of all packages, and of SUBSCRIBE.
fn accept() -> String {
    let published = Package::ALL.map(document::accepted);
    let published = published.into_iter().filter(|types| !types.is_empty());
    let subscribed = [resource_lists::CONTENT_TYPE, feature_event::CONTENT_TYPE];
    let types: Vec<&str> = published.chain(subscribed).collect();
    types.join(", ")
}
