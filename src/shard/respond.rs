//! Answers: the one place a response is written, and every reason a request can be refused for
//! (W:A1).

use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

use crate::presence::document;
use crate::presence::document::Format;
use crate::presence::document::feature_event;
use crate::presence::document::resource_lists;
use crate::presence::event::Package;
use crate::shard::Shard;
use crate::shard::directory::Domain;
use crate::shard::flow::Flow;
use crate::shard::hop::response_flow;
use crate::shard::outbox::Outbox;
use crate::shard::shield::Kind;
use crate::sip::Fault;
use crate::sip::HeaderName;
use crate::sip::Message;
use crate::sip::Status;
use crate::sip::digest::Algorithm;
use crate::sip::digest::Challenge;
use crate::sip::emit;
use crate::sip::header::list_items;
use crate::sip::transaction::server::TransactionKey;

/// The methods we serve. REGISTER is served to trusted peers alone, who need not be told.
pub(crate) const ALLOW: &[u8] = b"OPTIONS, SUBSCRIBE, NOTIFY, PUBLISH";
/// The same of a domain whose phones register with us.
const ALLOW_OF_REGISTRAR: &[u8] = b"OPTIONS, SUBSCRIBE, NOTIFY, PUBLISH, REGISTER";
/// The codings of bodies we take.
const ACCEPT_ENCODING: &[u8] = b"deflate, identity";
/// Option tags a Require may name without harm: they ask nothing of a notifier that it does not do
/// anyway.
const KNOWN_OPTION_TAGS: [&[u8]; 5] = [
    b"eventlist",
    b"recipient-list-subscribe",
    b"path",
    b"gruu",
    b"outbound",
];

/// Octets of what ends a response without a body.
const END_OCTETS: usize = b"Content-Length: 0\r\n\r\n".len();

/// Octets of the To-tag of a bare refusal.
const BARE_TAG_OCTETS: usize = 6;

/// How much of a bare refusal is written.
#[derive(Clone, Copy, Debug)]
enum Bare {
    /// With what its status asks for.
    Whole,
    /// Without, or with the one algorithm that every phone knows.
    Short,
    /// 400: even that is too long.
    TooShort,
}

/// A request on its way through admission.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) message: &'a Message<'a>,
    pub(crate) flow: Flow,
    /// The transaction that waits for the answer; None for what is answered without memory.
    pub(crate) transaction: Option<TransactionKey>,
}

/// Why a request is refused, with what its answer has to carry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal<'d> {
    /// Malformed.
    Fault(Fault),
    /// A status that needs no further header.
    Plain(Status),
    /// The same, with a reason phrase that says more.
    Because(Status, &'static str),
    /// 403: From, or the dialog, belongs to another user than the sender.
    ForeignFrom,
    /// 405 or 501 with Allow (W:A1.2).
    Method(Status),
    /// 405 with Allow to an INVITE: phones are registered with us, calls are not routed to them.
    NoCalls,
    /// 420 with Unsupported (W:A1.5).
    Extension,
    /// 401 with challenges of the domain (W:A1.6).
    Challenge { domain: &'d Domain, stale: bool },
    /// 489 with Allow-Events (W:A1.7).
    BadEvent,
    /// 489 with the packages of lists in Allow-Events: the others are served, but not for a list
    /// (W:B5.18).
    BadListEvent,
    /// 415 with Accept (W:A1.9).
    MediaType(&'static str),
    /// 415 with Accept-Encoding (W:A1.9).
    Encoding,
    /// 406 with Accept (W:A1.10).
    NotAcceptable(Package),
    /// 421 with Require: a list, and the peer does not say that it knows them (W:A1.11).
    ListRequired,
    /// 423 with Min-Expires (W:A1.13).
    TooBrief(Duration),
    /// 503 with Retry-After (W:A1.21).
    OverLimit,
    /// The same from the shield, without memory (W:A1.24).
    Shed(Kind),
    /// 503 with a short Retry-After: another process will be here soon.
    Draining,
}

impl From<Fault> for Refusal<'_> {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Refusal<'_> {
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Fault(fault) => fault.status(),
            Self::Plain(status) | Self::Because(status, _) | Self::Method(status) => *status,
            Self::ForeignFrom => Status::FORBIDDEN,
            Self::NoCalls => Status::METHOD_NOT_ALLOWED,
            Self::Extension => Status::BAD_EXTENSION,
            Self::Challenge { .. } => Status::UNAUTHORIZED,
            Self::BadEvent | Self::BadListEvent => Status::BAD_EVENT,
            Self::MediaType(_) | Self::Encoding => Status::UNSUPPORTED_MEDIA_TYPE,
            Self::NotAcceptable(_) => Status::NOT_ACCEPTABLE,
            Self::ListRequired => Status::EXTENSION_REQUIRED,
            Self::TooBrief(_) => Status::INTERVAL_TOO_BRIEF,
            Self::OverLimit | Self::Shed(_) | Self::Draining => Status::SERVICE_UNAVAILABLE,
        }
    }

    /// The reason phrase where it is not the status's own.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Fault(fault) => Some(fault.reason()),
            Self::Because(_, reason) => Some(reason),
            Self::BadListEvent => Some("Bad Event For A List"),
            Self::NoCalls => Some("Presence Only, Calls Are Not Routed"),
            _ => None,
        }
    }
}

impl Shard {
    /// Refuses a request. A challenge is not remembered, nor is a method that we do not serve, nor
    /// what the shield holds back, so that nobody unknown fills our memory (W:E3.8).
    pub(crate) fn refuse(
        &mut self,
        request: &Request<'_>,
        refusal: &Refusal<'_>,
        now: Instant,
        out: &mut Outbox,
    ) {
        self.counters.requests_refused += 1;
        let tag = self.stateless_tag(request.message);
        let head = self.begin_response(request, refusal.status(), refusal.reason(), &tag, out);
        self.write_refusal_headers(request, refusal, now, out);
        emit::body(&mut out.arena, "", b"");
        if is_amplified(request, head, out) {
            self.write_bare_refusal(request, refusal, head, now, out);
        }
        let is_challenge = matches!(refusal, Refusal::Challenge { .. });
        self.counters.requests_challenged += u64::from(is_challenge);
        self.note_repeat(request, refusal.status(), now, out);
        self.note_refusal(request, refusal, now, out);
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
            self.send_response(&request, head, now, out);
        } else {
            self.send_response(request, head, now, out);
        }
    }

    /// Writes a refusal anew where a datagram brought much less than it would bring back: whoever
    /// wrote a victim's address into it gets no amplifier (W:E3.8). It is as short as it can be, and
    /// tells what it must tell as long as that fits; a request that is too short for its challenge
    /// is 400. No phone makes one so short.
    fn write_bare_refusal(
        &mut self,
        request: &Request<'_>,
        refusal: &Refusal<'_>,
        start: usize,
        now: Instant,
        out: &mut Outbox,
    ) {
        let (message, peer) = (request.message, request.flow.peer);
        let tag = self.stateless_tag(message);
        let tag = &tag[..BARE_TAG_OCTETS];
        for form in [Bare::Whole, Bare::Short, Bare::TooShort] {
            out.arena.truncate(start);
            let status = match form {
                Bare::Whole | Bare::Short => refusal.status(),
                Bare::TooShort => Status::BAD_REQUEST,
            };
            emit::bare_response_head(&mut out.arena, message, status, tag, peer);
            match (form, refusal) {
                (Bare::Whole, Refusal::Challenge { domain, stale }) => {
                    self.write_short_challenge(domain, algorithms(domain), *stale, peer, now, out);
                }
                (Bare::Short, Refusal::Challenge { domain, stale }) => {
                    self.write_short_challenge(domain, &[Algorithm::Md5], *stale, peer, now, out);
                }
                (Bare::Whole, Refusal::BadEvent) => {
                    emit::header(&mut out.arena, "u", allow_events().as_bytes());
                }
                (Bare::Whole, Refusal::BadListEvent) => {
                    emit::header(&mut out.arena, "u", list_events().as_bytes());
                }
                (Bare::Whole, Refusal::Method(_)) => emit::header(&mut out.arena, "Allow", ALLOW),
                _ => {}
            }
            out.arena.extend_from_slice(b"\r\n");
            if !is_amplified(request, start, out) {
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
        now: Instant,
        out: &mut Outbox,
    ) {
        let challenge = Challenge {
            realm: &domain.name,
            algorithms,
            is_stale: stale,
            uptime: now.saturating_duration_since(self.options.epoch),
            salt: self.salt_for(peer),
        };
        self.authenticator
            .write_short_challenge(&mut out.arena, &challenge);
    }

    /// The salt of a nonce that goes to `peer`: half of it chance, half the address's mark.
    fn salt_for(&mut self, peer: SocketAddr) -> u32 {
        let chance = self.random.next_u64() as u16;
        u32::from(chance) << 16 | u32::from(self.address_mark(peer, chance))
    }

    /// Whether a nonce with that salt was made for `peer`.
    pub(crate) fn is_salt_for(&self, salt: u32, peer: SocketAddr) -> bool {
        let chance = (salt >> 16) as u16;
        self.address_mark(peer, chance) == salt as u16
    }

    /// What nobody who lacks the key can guess of an address. It differs from nonce to nonce, so
    /// that one address's are not another's for good.
    fn address_mark(&self, peer: SocketAddr, chance: u16) -> u16 {
        let mut hasher = DefaultHasher::new();
        (self.options.key, "address", peer, chance).hash(&mut hasher);
        hasher.finish() as u16
    }

    fn write_refusal_headers(
        &mut self,
        request: &Request<'_>,
        refusal: &Refusal<'_>,
        now: Instant,
        out: &mut Outbox,
    ) {
        let (message, arena) = (request.message, &mut out.arena);
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
                    uptime: now.saturating_duration_since(self.options.epoch),
                    salt: self.salt_for(request.flow.peer),
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
            Refusal::Draining => {
                emit::header_number(arena, "Retry-After", 5 + u64::from(self.random.below(6)));
            }
            Refusal::OverLimit | Refusal::Shed(_) => {
                *match refusal {
                    Refusal::Shed(Kind::Phone) => &mut self.counters.requests_shed_by_phone,
                    Refusal::Shed(Kind::Presentity) => {
                        &mut self.counters.requests_shed_by_presentity
                    }
                    Refusal::Shed(Kind::Source) => &mut self.counters.requests_shed_by_source,
                    Refusal::Shed(Kind::Domain) => &mut self.counters.requests_shed_by_domain,
                    Refusal::Shed(Kind::Path) => &mut self.counters.requests_shed_by_path,
                    Refusal::Shed(Kind::Backlog) => &mut self.counters.requests_shed_by_backlog,
                    _ => &mut self.counters.requests_over_limit,
                } += 1;
                // Spread over time, so that those who were refused together do not come back
                // together.
                let seconds = 10 + u64::from(self.random.below(51));
                emit::header_number(arena, "Retry-After", seconds);
            }
        }
    }

    /// 200 and nothing more, without memory.
    pub(crate) fn respond_ok(&mut self, request: &Request<'_>, now: Instant, out: &mut Outbox) {
        let tag = self.stateless_tag(request.message);
        let head = self.begin_response(request, Status::OK, None, &tag, out);
        self.end_response(request, head, now, out);
    }

    /// OPTIONS: what we can do (W:A5.11), without memory. A stranger is told no more than the
    /// methods where all of it would be an amplifier (W:E3.8).
    pub(crate) fn respond_options(
        &mut self,
        request: &Request<'_>,
        is_stranger: bool,
        is_registrar: bool,
        now: Instant,
        out: &mut Outbox,
    ) {
        let tag = self.stateless_tag(request.message);
        let head = self.begin_response(request, Status::OK, None, &tag, out);
        let allow = if is_registrar {
            ALLOW_OF_REGISTRAR
        } else {
            ALLOW
        };
        emit::header(&mut out.arena, "Allow", allow);
        let brief = out.arena.len();
        emit::header(&mut out.arena, "Allow-Events", allow_events().as_bytes());
        emit::header(&mut out.arena, "Accept", accept().as_bytes());
        emit::header(&mut out.arena, "Accept-Encoding", ACCEPT_ENCODING);
        emit::header(&mut out.arena, "Accept-Language", b"en");
        emit::header(
            &mut out.arena,
            "Supported",
            b"eventlist, recipient-list-subscribe",
        );
        let octets_max = request.message.bytes().len() * 3 / 2;
        if is_stranger && out.arena.len() - head + END_OCTETS > octets_max {
            out.arena.truncate(brief);
        }
        let is_datagram = !request.flow.transport.is_reliable();
        if is_stranger && is_datagram && out.arena.len() - head + END_OCTETS > octets_max {
            let (message, peer) = (request.message, request.flow.peer);
            out.arena.truncate(head);
            emit::bare_response_head(
                &mut out.arena,
                message,
                Status::OK,
                &tag[..BARE_TAG_OCTETS],
                peer,
            );
            out.arena.extend_from_slice(b"\r\n");
            return self.send_response(request, head, now, out);
        }
        self.end_response(request, head, now, out);
    }

    /// Starts a response; the caller adds headers and calls [`Self::end_response`] with what this
    /// returns.
    pub(crate) fn begin_response(
        &self,
        request: &Request<'_>,
        status: Status,
        reason: Option<&str>,
        tag: &[u8],
        out: &mut Outbox,
    ) -> usize {
        let start = out.arena.len();
        emit::response_head(
            &mut out.arena,
            request.message,
            status,
            reason,
            tag,
            request.flow.peer,
        );
        if !self.options.product.is_empty() {
            emit::header(&mut out.arena, "Server", self.options.product.as_bytes());
        }
        start
    }

    /// Ends a response, sends it, and remembers it for retransmissions.
    pub(crate) fn end_response(
        &mut self,
        request: &Request<'_>,
        start: usize,
        now: Instant,
        out: &mut Outbox,
    ) {
        emit::body(&mut out.arena, "", b"");
        self.send_response(request, start, now, out);
    }

    /// Sends a response that is written, and remembers it for retransmissions.
    fn send_response(
        &mut self,
        request: &Request<'_>,
        start: usize,
        now: Instant,
        out: &mut Outbox,
    ) {
        let head = start..out.arena.len();
        if let (Some(key), Some(response)) = (request.transaction, out.arena.get(head.clone())) {
            self.transactions
                .complete(key, response, request.flow.transport.is_reliable(), now);
        }
        self.transmit(response_flow(request), head, 0..0, out);
    }

    /// Gives up a transaction that is answered without memory.
    pub(crate) fn forget(&mut self, request: &Request<'_>) {
        if let Some(key) = request.transaction {
            self.transactions.forget(key);
        }
    }

    /// A To-tag for answers without memory: the same for every retransmission (W:A4.12).
    fn stateless_tag(&self, message: &Message<'_>) -> [u8; 16] {
        let mut hasher = DefaultHasher::new();
        self.options.key.hash(&mut hasher);
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
}

/// Whether a datagram's refusal, from `start` to the end of the arena, is more than half as long
/// again as its request.
fn is_amplified(request: &Request<'_>, start: usize, out: &Outbox) -> bool {
    let octets_max = request.message.bytes().len() * 3 / 2;
    !request.flow.transport.is_reliable() && out.arena.len() - start > octets_max
}

/// The algorithms a domain offers in its challenges, most preferred first.
fn algorithms(domain: &Domain) -> &'static [Algorithm] {
    if domain.sha256 {
        &[Algorithm::Sha256, Algorithm::Md5]
    } else {
        &[Algorithm::Md5]
    }
}

/// The packages we serve.
fn allow_events() -> String {
    Package::ALL.map(Package::token).join(", ")
}

/// The packages that lists are served in.
fn list_events() -> String {
    let packages = Package::ALL.into_iter().filter(|it| it.is_for_lists());
    let tokens: Vec<&str> = packages.map(Package::token).collect();
    tokens.join(", ")
}

/// The bodies we take: of a PUBLISH of any package, of a SUBSCRIBE.
fn accept() -> String {
    let published = Package::ALL.map(document::accepted);
    let published = published.into_iter().filter(|types| !types.is_empty());
    let subscribed = [resource_lists::CONTENT_TYPE, feature_event::CONTENT_TYPE];
    let types: Vec<&str> = published.chain(subscribed).collect();
    types.join(", ")
}

/// The option tags of Require that we do not know.
pub(crate) fn unsupported_option_tags<'a>(
    message: &'a Message<'_>,
) -> impl Iterator<Item = &'a [u8]> {
    let known = |tag: &&[u8]| {
        KNOWN_OPTION_TAGS
            .iter()
            .any(|known| tag.eq_ignore_ascii_case(known))
    };
    message
        .headers(HeaderName::Require)
        .flat_map(list_items)
        .filter(move |tag| !known(tag))
}

fn write_unsupported(arena: &mut Vec<u8>, message: &Message<'_>) {
    let tags: Vec<&[u8]> = unsupported_option_tags(message).collect();
    emit::header(arena, "Unsupported", &tags.join(&b", "[..]));
}
