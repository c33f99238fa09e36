//! Responses (W:A1). All responses are written here, except stored ones that the transaction layer retransmits.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

use crate::directory::Domain;
use crate::presence::document::Format;
use crate::presence::event::Package;
use crate::shard::contract::commit::{Acknowledgement, Durability};
use crate::shard::contract::counters::Counters;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::outbox::{Answered, AnsweredRequest, Outbox};
use crate::shard::contract::turn::Turn;
use crate::shard::peer::path_salt::salt_for;
use crate::shard::request::headers::unsupported_option_tags;
use crate::shard::request::refusal::{OverloadLimit, Refusal};
use crate::shard::request::{Request, covered_octets};
use crate::shard::uas::Uas;
use crate::sip::digest::{Algorithm, Challenge};
use crate::sip::emit::ResponseHead;
use crate::sip::transaction::server::TransactionKey;
use crate::sip::{HeaderName, Message, Method, StartLine, Status, emit};

/// The methods we support. REGISTER is left out, because only trusted registrars may use it.
pub(crate) const ALLOW: &[u8] = b"OPTIONS, SUBSCRIBE, NOTIFY, PUBLISH";

/// The methods we support in a domain for which we are the registrar.
pub(super) const ALLOW_OF_REGISTRAR: &[u8] = b"OPTIONS, SUBSCRIBE, NOTIFY, PUBLISH, REGISTER";

/// The content codings we accept.
pub(super) const ACCEPT_ENCODING: &[u8] = b"deflate, identity";

/// Octets after the headers of a response without a body.
pub(crate) const END_OCTETS: usize = b"Content-Length: 0\r\n\r\n".len();

/// Octets of the To-tag of a bare refusal.
pub(super) const BARE_TAG_OCTETS: usize = 6;

/// The form of a bare refusal.
#[derive(Clone, Copy, Debug)]
enum Bare {
    /// With the headers its status requires.
    Whole,
    /// Without these headers; a 401 carries a single MD5 challenge, which every phone supports.
    Short,
    /// 400, because even the short form would be too long.
    TooShort,
}

/// What the 2xx to a SUBSCRIBE says, and when it leaves.
#[derive(Debug)]
pub(crate) struct SubscribeAccepted<'a> {
    pub(crate) status: Status,
    /// Our tag.
    pub(crate) tag: &'a [u8],
    /// Our Contact.
    pub(crate) contact: &'a [u8],
    pub(crate) granted: Duration,
    pub(crate) is_list: bool,
    /// It waits until the record of this turn is durable.
    pub(crate) waits: bool,
    /// The subscription whose NOTIFY waits for it.
    pub(crate) held: Option<SubscriptionId>,
}

impl Uas {
    /// Refuses a request. Challenges, unsupported methods and shed requests are not stored in their
    /// transaction, so that unauthenticated senders cannot fill our memory (W:E3.8).
    pub(crate) fn refuse(
        &mut self,
        request: &Request<'_>,
        refusal: &Refusal<'_>,
        turn: &mut Turn<'_>,
    ) {
        turn.counters.requests_refused += 1;
        let tag = stateless_tag(request.message, turn);
        let head = begin_response(request, refusal.status(), refusal.reason(), &tag, turn);
        self.write_refusal_headers(request, refusal, turn);
        emit::body(&mut turn.out.arena, "", b"");
        if is_amplified(request, head, turn.out) {
            self.write_bare_refusal(request, refusal, head, turn);
        }
        let is_challenge = matches!(refusal, Refusal::Challenge { .. });
        turn.counters.requests_challenged += u64::from(is_challenge);
        self.overload.note_repeat(request, refusal.status(), turn);
        self.note_refusal(request, refusal, turn);
        if is_challenge
            || matches!(
                refusal,
                Refusal::Method(_) | Refusal::NoCalls | Refusal::Shed(_)
            )
        {
            self.forget(request);
            let request = Request {
                transaction: None,
                ..*request
            };
            self.send_response(&request, head, turn);
        } else {
            self.send_response(request, head, turn);
        }
    }

    /// Rewrites a refusal to a datagram that would be too long compared with its request, so that a
    /// forged source address gains no amplification (W:E3.8). It tries the forms from the longest
    /// to the shortest. A request too short for its challenge gets 400; no phone sends one so
    /// short.
    fn write_bare_refusal(
        &mut self,
        request: &Request<'_>,
        refusal: &Refusal<'_>,
        start: usize,
        turn: &mut Turn<'_>,
    ) {
        let (message, peer) = (request.message, request.flow.peer);
        let tag = stateless_tag(message, turn);
        for form in [Bare::Whole, Bare::Short, Bare::TooShort] {
            turn.out.arena.truncate(start);
            let status = match form {
                Bare::Whole | Bare::Short => refusal.status(),
                Bare::TooShort => Status::BAD_REQUEST,
            };
            let head = ResponseHead {
                status,
                reason: None,
                to_tag: &tag[..BARE_TAG_OCTETS],
                source: peer,
            };
            emit::bare_response_head(&mut turn.out.arena, message, &head);
            match (form, refusal) {
                (Bare::Whole, Refusal::Challenge { domain, stale }) => {
                    self.write_short_challenge(domain, algorithms(domain), *stale, peer, turn);
                }
                (Bare::Short, Refusal::Challenge { domain, stale }) => {
                    self.write_short_challenge(domain, &[Algorithm::Md5], *stale, peer, turn);
                }
                (Bare::Whole, Refusal::BadEvent) => {
                    emit::header(&mut turn.out.arena, "u", allow_events().as_bytes());
                }
                (Bare::Whole, Refusal::BadListEvent) => {
                    emit::header(&mut turn.out.arena, "u", list_events().as_bytes());
                }
                (Bare::Whole, Refusal::Method(_)) => {
                    emit::header(&mut turn.out.arena, "Allow", ALLOW)
                }
                _ => {}
            }
            turn.out.arena.extend_from_slice(b"\r\n");
            if !is_amplified(request, start, turn.out) {
                return;
            }
        }
    }

    fn write_short_challenge(
        &mut self,
        domain: &Domain,
        algorithms: &[Algorithm],
        stale: bool,
        peer: SocketAddr,
        turn: &mut Turn<'_>,
    ) {
        let challenge = Challenge {
            realm: &domain.name,
            algorithms,
            is_stale: stale,
            time: turn.system_time(),
            salt: salt_for(peer, turn),
        };
        self.authenticator
            .write_short_challenge(&mut turn.out.arena, &challenge);
    }

    fn write_refusal_headers(
        &mut self,
        request: &Request<'_>,
        refusal: &Refusal<'_>,
        turn: &mut Turn<'_>,
    ) {
        let salt = match refusal {
            Refusal::Challenge { .. } => salt_for(request.flow.peer, turn),
            _ => 0,
        };
        let time = turn.system_time();
        let (message, arena) = (request.message, &mut turn.out.arena);
        match refusal {
            Refusal::Fault(_) | Refusal::Plain(_) | Refusal::Because(..) | Refusal::ForeignFrom => {
            }
            Refusal::Method(_) => emit::header(arena, "Allow", ALLOW),
            Refusal::NoCalls => emit::header(arena, "Allow", ALLOW_OF_REGISTRAR),
            Refusal::Extension => write_unsupported(arena, message),
            Refusal::Challenge { domain, stale } => {
                let challenge = Challenge {
                    realm: &domain.name,
                    algorithms: algorithms(domain),
                    is_stale: *stale,
                    time,
                    salt,
                };
                self.authenticator.write_challenge(arena, &challenge);
            }
            Refusal::BadEvent => emit::header(arena, "Allow-Events", allow_events().as_bytes()),
            Refusal::BadListEvent => {
                emit::header(arena, "Allow-Events", list_events().as_bytes());
            }
            Refusal::MediaType(accept) => emit::header(arena, "Accept", accept.as_bytes()),
            Refusal::Encoding => emit::header(arena, "Accept-Encoding", ACCEPT_ENCODING),
            Refusal::NotAcceptable(package) => {
                let offered = Format::of(*package).iter();
                let types = offered.map(|format| format.content_type());
                let types: Vec<&str> = types.filter(|name| !name.is_empty()).collect();
                emit::header(arena, "Accept", types.join(", ").as_bytes());
            }
            Refusal::ListRequired => emit::header(arena, "Require", b"eventlist"),
            Refusal::TooBrief(min) => emit::header_number(arena, "Min-Expires", min.as_secs()),
            Refusal::Draining | Refusal::Recovering => {
                emit::header_number(arena, "Retry-After", 5 + u64::from(turn.random.below(6)));
            }
            Refusal::OverLimit | Refusal::Shed(_) => {
                *overload_counter(refusal, turn.counters) += 1;
                // Random, so that clients refused at the same time do not retry at the same time.
                let seconds = 10 + u64::from(turn.random.below(51));
                emit::header_number(arena, "Retry-After", seconds);
            }
        }
    }

    /// Sends a 200 without further headers; not stored in the transaction.
    pub(crate) fn respond_ok(&mut self, request: &Request<'_>, turn: &mut Turn<'_>) {
        let tag = stateless_tag(request.message, turn);
        let head = begin_response(request, Status::OK, None, &tag, turn);
        self.end_response(request, head, turn);
    }

    /// Sends the 2xx to a SUBSCRIBE: with Expires and our Contact (RFC 6665 §4.2.1.2; W:A1.14-A1.16).
    pub(crate) fn respond_to_subscribe(
        &mut self,
        request: &Request<'_>,
        accepted: &SubscribeAccepted<'_>,
        turn: &mut Turn<'_>,
    ) {
        let head = begin_response(request, accepted.status, None, accepted.tag, turn);
        write_accepted(request, accepted, "Contact", turn);
        emit::body(&mut turn.out.arena, "", b"");
        if is_amplified(request, head, turn.out) {
            turn.out.arena.truncate(head);
            let bare = ResponseHead {
                status: accepted.status,
                reason: None,
                to_tag: accepted.tag,
                source: request.flow.peer,
            };
            emit::bare_response_head(&mut turn.out.arena, request.message, &bare);
            write_accepted(request, accepted, "m", turn);
            turn.out.arena.extend_from_slice(b"\r\n");
        }
        if accepted.waits {
            self.acknowledge(request, head, accepted.held, turn);
        } else {
            self.send_response(request, head, turn);
        }
        turn.keep_stream(&request.flow, accepted.granted);
    }

    /// Ends a response without a body, sends it, and stores it for retransmitted requests.
    pub(crate) fn end_response(
        &mut self,
        request: &Request<'_>,
        start: usize,
        turn: &mut Turn<'_>,
    ) {
        emit::body(&mut turn.out.arena, "", b"");
        self.send_response(request, start, turn);
    }

    /// Ends a 2xx without a body. It leaves once the records of this turn are durable, at once if
    /// nothing waits for records. Nothing else may have been appended to the arena since it began.
    pub(crate) fn end_acknowledgement(
        &mut self,
        request: &Request<'_>,
        start: usize,
        turn: &mut Turn<'_>,
    ) {
        emit::body(&mut turn.out.arena, "", b"");
        self.acknowledge(request, start, None, turn);
    }

    /// Sends a complete 2xx as [`Self::end_acknowledgement`] does, and the NOTIFY of `subscription`
    /// after it.
    fn acknowledge(
        &mut self,
        request: &Request<'_>,
        start: usize,
        subscription: Option<SubscriptionId>,
        turn: &mut Turn<'_>,
    ) {
        if turn.options.durability != Durability::Synced {
            return self.send_response(request, start, turn);
        }
        let response = turn.out.arena.get(start..);
        let response = response.expected("the response lies in the outbox");
        let response = response.unwrap_or_default();
        let transaction = request.transaction;
        let is_held =
            transaction.is_some_and(|key| self.transactions.hold(key, response, turn.now));
        let octets = (!is_held).then(|| response.into());
        turn.out.arena.truncate(start);
        turn.commits.hold(Acknowledgement::Response {
            transaction,
            flow: request.response_flow(),
            octets,
            answered: answered(request),
            subscription,
        });
    }

    /// Sends a complete response and stores it for retransmitted requests.
    pub(super) fn send_response(
        &mut self,
        request: &Request<'_>,
        start: usize,
        turn: &mut Turn<'_>,
    ) {
        let head = start..turn.out.arena.len();
        let response = turn.out.arena.get(head.clone());
        let response = response.expected("the response lies in the outbox");
        if let (Some(key), Some(response)) = (request.transaction, response) {
            self.transactions.complete(
                key,
                response,
                request.flow.transport.is_reliable(),
                turn.now,
            );
        }
        if response.is_some_and(|response| response.starts_with(b"SIP/2.0 2")) {
            turn.out.answered.extend(answered(request));
        }
        turn.transmit(request.response_flow(), head, 0..0);
    }

    /// Sends a response that was held until its records were durable; until now retransmitted requests
    /// were absorbed. `octets`: the response, unless its transaction holds it.
    pub(crate) fn send_held(
        &mut self,
        transaction: Option<TransactionKey>,
        flow: Flow,
        octets: Option<&[u8]>,
        turn: &mut Turn<'_>,
    ) {
        let is_reliable = flow.transport.is_reliable();
        let response = match (transaction, octets) {
            (Some(key), None) => self.transactions.release(key, is_reliable, turn.now),
            (Some(key), Some(octets)) => {
                self.transactions
                    .complete(key, octets, is_reliable, turn.now);
                Some(octets)
            }
            (None, octets) => octets,
        };
        let response = response.expected("a transaction holds its response until it is released");
        let start = turn.out.arena.len();
        turn.out
            .arena
            .extend_from_slice(response.unwrap_or_default());
        turn.transmit(flow, start..turn.out.arena.len(), 0..0);
    }

    /// Drops the transaction of a request whose response is not stored.
    pub(crate) fn forget(&mut self, request: &Request<'_>) {
        if let Some(key) = request.transaction {
            self.transactions.forget(key);
        }
    }
}

/// Begins a response. The caller adds headers and passes the returned arena position to
/// [`Uas::end_response`].
pub(crate) fn begin_response(
    request: &Request<'_>,
    status: Status,
    reason: Option<&str>,
    tag: &[u8],
    turn: &mut Turn<'_>,
) -> usize {
    let start = turn.out.arena.len();
    let head = ResponseHead {
        status,
        reason,
        to_tag: tag,
        source: request.flow.peer,
    };
    emit::response_head(&mut turn.out.arena, request.message, &head);
    if !turn.options.product.is_empty() {
        emit::header(
            &mut turn.out.arena,
            "Server",
            turn.options.product.as_bytes(),
        );
    }
    start
}

/// The To-tag of a response that is not stored: the same for each retransmission of the request (RFC
/// 3261 §8.2.6.2).
pub(super) fn stateless_tag(message: &Message<'_>, turn: &Turn<'_>) -> [u8; 16] {
    let mut hasher = DefaultHasher::new();
    turn.options.key.hash(&mut hasher);
    message.call_id().hash(&mut hasher);
    message.from().and_then(|from| from.tag()).hash(&mut hasher);
    message.via().and_then(|via| via.branch).hash(&mut hasher);
    message.cseq().map(|cseq| cseq.number).hash(&mut hasher);
    let mut bits = hasher.finish();
    std::array::from_fn(|_| {
        bits = bits.rotate_left(4);
        b"0123456789abcdef"[(bits & 15) as usize]
    })
}

/// The counter of requests that get 503 for such a reason.
const fn overload_counter<'c>(refusal: &Refusal<'_>, counters: &'c mut Counters) -> &'c mut u64 {
    let Refusal::Shed(limit) = refusal else {
        return &mut counters.requests_over_limit;
    };
    match limit {
        OverloadLimit::Phone => &mut counters.requests_shed_by_phone,
        OverloadLimit::Presentity => &mut counters.requests_shed_by_presentity,
        OverloadLimit::Source => &mut counters.requests_shed_by_source,
        OverloadLimit::Domain => &mut counters.requests_shed_by_domain,
        OverloadLimit::Path => &mut counters.requests_shed_by_path,
        OverloadLimit::Allowance => &mut counters.requests_shed_by_allowance,
        OverloadLimit::Backlog => &mut counters.requests_shed_by_backlog,
        OverloadLimit::Store => &mut counters.requests_shed_by_store,
    }
}

/// Appends the headers of a 2xx to a SUBSCRIBE that are its own; `contact` is the name of Contact.
fn write_accepted(
    request: &Request<'_>,
    accepted: &SubscribeAccepted<'_>,
    contact: &str,
    turn: &mut Turn<'_>,
) {
    let arena = &mut turn.out.arena;
    for route in request.message.headers(HeaderName::RecordRoute) {
        emit::header(arena, "Record-Route", route);
    }
    emit::header(arena, contact, accepted.contact);
    emit::header_number(arena, "Expires", accepted.granted.as_secs());
    if accepted.is_list {
        emit::header(arena, "Require", b"eventlist");
    }
}

/// For the statistics of how long requests take; None if its kind is none of those.
fn answered(request: &Request<'_>) -> Option<Answered> {
    let StartLine::Request { method, .. } = request.message.start_line() else {
        return None;
    };
    let kind = match method {
        Method::Publish => AnsweredRequest::Publish,
        Method::Subscribe => AnsweredRequest::Subscribe,
        Method::Register => AnsweredRequest::Register,
        _ => return None,
    };
    Some(Answered {
        request: kind,
        arrived: request.arrived_at,
    })
}

/// Whether the response from `start` to the end of the arena is sent over UDP and longer than a sender
/// may get that has proved nothing.
pub(crate) fn is_amplified(request: &Request<'_>, start: usize, out: &Outbox) -> bool {
    let octets = out.arena.len() - start;
    !request.flow.transport.is_reliable() && octets > covered_octets(request.message)
}

/// The digest algorithms that a domain offers, most preferred first.
fn algorithms(domain: &Domain) -> &'static [Algorithm] {
    if domain.sha256 {
        &[Algorithm::Sha256, Algorithm::Md5]
    } else {
        &[Algorithm::Md5]
    }
}

/// The value of Allow-Events: all packages.
pub(super) fn allow_events() -> String {
    Package::ALL.map(Package::token).join(", ")
}

/// The value of Allow-Events for lists: the packages that support lists.
fn list_events() -> String {
    let packages = Package::ALL
        .into_iter()
        .filter(|package| package.is_for_lists());
    let tokens: Vec<&str> = packages.map(Package::token).collect();
    tokens.join(", ")
}

fn write_unsupported(arena: &mut Vec<u8>, message: &Message<'_>) {
    let tags: Vec<&[u8]> = unsupported_option_tags(message).collect();
    emit::header(arena, "Unsupported", &tags.join(&b", "[..]));
}
