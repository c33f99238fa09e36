//! PUBLISH (RFC 3903 §6; W:B1): read here, applied by the presentity's owner, answered here.

use crate::presence::Aor;
use crate::presence::contribution::EntityTag;
use crate::presence::document;
use crate::presence::document::Document;
use crate::presence::document::DocumentFault;
use crate::presence::publication::Condition;
use crate::presence::publication::Publication;
use crate::presence::publication::PublicationLimits;
use crate::presence::publication::PublishRefused;
use crate::presence::publication::Published;
use crate::presence::subscription::Package;
use crate::shard::admit::Identity;
use crate::shard::admit::Target;
use crate::shard::checks::address_of_record;
use crate::shard::checks::check_exists;
use crate::shard::checks::decoded_body;
use crate::shard::checks::event_of;
use crate::shard::checks::expires_of;
use crate::shard::compositor::Compositor;
use crate::shard::directory::Directory;
use crate::shard::directory::Domain;
use crate::shard::engine::Engine;
use crate::shard::flow::Flow;
use crate::shard::mail::ForwardedPublish;
use crate::shard::mail::Mail;
use crate::shard::publisher::publisher_of;
use crate::shard::respond::Refusal;
use crate::shard::respond::Request;
use crate::shard::respond::begin_response;
use crate::shard::sender::check_from;
use crate::shard::timer::Timer;
use crate::shard::turn::Turn;
use crate::shard::uas::Uas;
use crate::shard::wheel::TimerHandle;
use crate::sip::HeaderName;
use crate::sip::Message;
use crate::sip::Status;
use crate::sip::emit;
use crate::sip::header::list_items;
use crate::sip::message::Framing;
use crate::sip::transaction::TIMER_F;
use crate::sip::transaction::server::TransactionKey;

/// A request whose outcome another shard decides.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) octets: Box<[u8]>,
    pub(crate) flow: Flow,
    pub(crate) transaction: Option<TransactionKey>,
    /// The URI of its sender where From does not name it.
    pub(crate) sender: Option<Box<[u8]>>,
    package: Package,
    timer: TimerHandle,
}

impl Waiting {
    /// How its octets are to be read again.
    pub(crate) fn framing(&self) -> Framing {
        if self.flow.transport.is_reliable() {
            Framing::Stream
        } else {
            Framing::Datagram
        }
    }
}

/// Requests that may wait for other shards at once; one more is 503.
const WAITING_MAX: usize = 65_536;

impl Engine {
    /// A PUBLISH from a peer.
    pub(crate) fn serve_publish<'d>(
        &mut self,
        request: &Request<'_>,
        target: Target<'d>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let (aor, domain, identity) = self.admit(request, target, turn)?;
        let (package, ..) = event_of(request.message)?;
        if document::accepted(package).is_empty() {
            return Err(Refusal::BadEvent);
        }
        check_from(request.message, &identity, domain, turn.directory)?;
        check_publisher(&identity, &aor, package, turn.directory)?;
        check_exists(&aor, turn.directory)?;
        let publication = read_publication(request, package, &identity, &aor, turn)?;
        let fresh = mint_entity_tag(turn);
        let limits = publication_limits(package, domain, turn);
        let owner = turn.owner_of(&aor);
        if owner == turn.options.id {
            let outcome =
                self.compositor
                    .apply_publication(&aor, publication, fresh, &limits, turn);
            return self.uas.answer_publish(request, package, outcome, turn);
        }
        let waiting = self.uas.wait_for_owner(request, None, package, turn)?;
        let reply_to = (turn.options.id, waiting);
        let publish = ForwardedPublish {
            aor,
            publication,
            fresh,
            limits,
            reply_to,
        };
        turn.out
            .mail
            .push((owner, Mail::Publish(Box::new(publish))));
        Ok(())
    }
}

impl Compositor {
    /// As owner: a PUBLISH that arrived at another shard.
    pub(crate) fn handle_publish_mail(&mut self, publish: ForwardedPublish, turn: &mut Turn<'_>) {
        let ForwardedPublish {
            aor,
            publication,
            fresh,
            limits,
            reply_to,
        } = publish;
        let outcome = self.apply_publication(&aor, publication, fresh, &limits, turn);
        let (shard, request) = reply_to;
        turn.send(shard, Mail::PublishOutcome { request, outcome });
    }

    fn apply_publication(
        &mut self,
        aor: &Aor,
        publication: Publication,
        fresh: EntityTag,
        limits: &PublicationLimits,
        turn: &mut Turn<'_>,
    ) -> Result<Published, PublishRefused> {
        let id = self.own(aor, turn).ok_or(PublishRefused::TooMany)?;
        let owned = self
            .presentities
            .get_mut(id)
            .ok_or(PublishRefused::TooMany)?;
        let has_expired = owned.presentity.expire(turn.now);
        let applied = owned
            .presentity
            .apply_publication(publication, fresh, limits, turn.now);
        let is_changed = has_expired || applied.as_ref().is_ok_and(|(_, is_changed)| *is_changed);
        self.after_contribution(id, is_changed, turn);
        applied.map(|(published, _)| published)
    }
}

impl Uas {
    /// From the owner: how a PUBLISH that arrived here went.
    pub(crate) fn handle_publish_outcome(
        &mut self,
        waiting: u32,
        outcome: Result<Published, PublishRefused>,
        turn: &mut Turn<'_>,
    ) {
        let Some(waiting) = self.take_waiting(waiting, turn) else {
            return;
        };
        let Ok(message) = Message::parse(&waiting.octets, waiting.framing()) else {
            return;
        };
        let request = Request {
            message: &message,
            flow: waiting.flow,
            transaction: waiting.transaction,
        };
        if let Err(refusal) = self.answer_publish(&request, waiting.package, outcome, turn) {
            self.refuse(&request, &refusal, turn);
        }
    }

    fn answer_publish<'d>(
        &mut self,
        request: &Request<'_>,
        package: Package,
        outcome: Result<Published, PublishRefused>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let published = outcome.map_err(|refused| match refused {
            PublishRefused::ConditionFailed => {
                turn.counters.publications_unmatched += 1;
                Refusal::Plain(Status::CONDITIONAL_REQUEST_FAILED)
            }
            PublishRefused::TooBrief(min) => Refusal::TooBrief(min),
            PublishRefused::NoBody => Refusal::Because(Status::BAD_REQUEST, "Missing Body"),
            PublishRefused::Document(fault) => refusal_of(fault, package),
            PublishRefused::TooMany => Refusal::OverLimit,
        })?;
        turn.counters.publications_accepted += 1;
        let mut tag = [0; 16];
        turn.random.fill_hex(&mut tag);
        let head = begin_response(request, Status::OK, None, &tag, turn);
        emit::header(
            &mut turn.out.arena,
            "SIP-ETag",
            &published.entity_tag.to_token(),
        );
        emit::header_number(&mut turn.out.arena, "Expires", published.expires.as_secs());
        self.end_response(request, head, turn);
        turn.keep_stream(&request.flow, published.expires);
        Ok(())
    }

    /// The request waits no longer; None when it gave up.
    pub(crate) fn take_waiting(&mut self, place: u32, turn: &mut Turn<'_>) -> Option<Waiting> {
        let waiting = self.waiting.try_remove(place as usize)?;
        turn.wheel.cancel(waiting.timer);
        Some(waiting)
    }

    /// Keeps a request until its owner has spoken.
    pub(crate) fn wait_for_owner<'d>(
        &mut self,
        request: &Request<'_>,
        sender: Option<&[u8]>,
        package: Package,
        turn: &mut Turn<'d>,
    ) -> Result<u32, Refusal<'d>> {
        if self.waiting.len() >= WAITING_MAX {
            return Err(Refusal::OverLimit);
        }
        let place = self.waiting.vacant_key() as u32;
        let timer = turn.wheel.arm(turn.now + TIMER_F, Timer::Waiting(place));
        let octets = request.message.bytes().into();
        let (flow, transaction) = (request.flow, request.transaction);
        self.waiting.insert(Waiting {
            octets,
            flow,
            transaction,
            sender: sender.map(Box::from),
            package,
            timer,
        });
        Ok(place)
    }
}

fn read_publication<'d>(
    request: &Request<'_>,
    package: Package,
    identity: &Identity,
    aor: &Aor,
    turn: &Turn<'d>,
) -> Result<Publication, Refusal<'d>> {
    let message = request.message;
    let condition = condition_of(message)?;
    let expires = expires_of(message)?;
    let document = read_document(message, package, identity, aor, turn)?;
    let is_feeder = match identity {
        Identity::User(user) => {
            let account = Aor::new(user, aor.domain());
            turn.directory.is_feeder(Some(&account), aor.domain())
        }
        Identity::Believed => turn
            .directory
            .domain(aor.domain())
            .is_some_and(|domain| domain.trusts(request.flow.peer.ip())),
    };
    let publisher = publisher_of(message, request.flow.peer.ip(), identity, is_feeder);
    Ok(Publication {
        package,
        condition,
        expires,
        document,
        publisher,
        is_feeder,
    })
}

fn read_document<'d>(
    message: &Message<'_>,
    package: Package,
    identity: &Identity,
    aor: &Aor,
    turn: &Turn<'d>,
) -> Result<Option<Result<Document, DocumentFault>>, Refusal<'d>> {
    let body = message.body();
    if body.is_empty() {
        return Ok(None);
    }
    let body = decoded_body(message)?;
    if body.len() > turn.options.body_octets_max {
        return Ok(Some(Err(DocumentFault::TooLarge)));
    }
    let content_type = message.header(HeaderName::ContentType).unwrap_or_default();
    let content_type = String::from_utf8_lossy(content_type);
    let document = document::read(package, &content_type, &body).map(|mut document| {
        if asks_privacy(message) {
            document.hide_remote_parties();
        }
        document
    });
    Ok(Some(document.and_then(|document| {
        check_entity(document, identity, aor, turn.directory)
    })))
}

fn mint_entity_tag(turn: &mut Turn<'_>) -> EntityTag {
    EntityTag(u128::from(turn.random.next_u64()) << 64 | u128::from(turn.random.next_u64()))
}

fn publication_limits(package: Package, domain: &Domain, turn: &Turn<'_>) -> PublicationLimits {
    PublicationLimits {
        expires_min: domain.min_publish_expires,
        expires_max: domain.max_expires,
        expires_default: package.expires_default(),
        publications_max: turn.options.publications_per_presentity_max,
        calls_max: turn.options.calls_per_presentity_max,
    }
}

/// Who proved to be a user may publish for that user, or for anybody when the account is a feeder
/// (W:B1.3). What only a mailbox or a registrar knows is no user's to say (W:B1.14).
fn check_publisher<'d>(
    identity: &Identity,
    aor: &Aor,
    package: Package,
    directory: &Directory,
) -> Result<(), Refusal<'d>> {
    let Identity::User(user) = identity else {
        return Ok(());
    };
    let is_users_own = !matches!(package, Package::MessageSummary | Package::Reg);
    let publisher = Aor::new(user, aor.domain());
    let may =
        is_users_own && publisher == *aor || directory.is_feeder(Some(&publisher), aor.domain());
    if may {
        Ok(())
    } else {
        Err(Refusal::Plain(Status::FORBIDDEN))
    }
}

/// A document about somebody else is refused, unless its sender is believed (W:E4.8).
fn check_entity(
    document: Document,
    identity: &Identity,
    aor: &Aor,
    directory: &Directory,
) -> Result<Document, DocumentFault> {
    let entity = document
        .entity()
        .and_then(|entity| address_of_record(entity.as_bytes(), directory));
    match (identity, entity) {
        (Identity::User(user), Some(entity)) if entity != *aor && user == aor.user() => {
            Err(DocumentFault::WrongEntity)
        }
        _ => Ok(document),
    }
}

/// Whether Privacy names a service that hides parties (RFC 3323 §4.2, RFC 3325 §9.3; W:B9.2).
fn asks_privacy(message: &Message<'_>) -> bool {
    const HIDING: [&[u8]; 3] = [b"id", b"user", b"header"];
    message
        .headers(HeaderName::Privacy)
        .flat_map(|value| value.split(|octet| b";, \t\r\n".contains(octet)))
        .any(|service| {
            HIDING
                .iter()
                .any(|hiding| service.eq_ignore_ascii_case(hiding))
        })
}

/// SIP-If-Match: none, one of ours, or one that cannot be (W:B1.4, E3.20).
fn condition_of<'d>(message: &Message<'_>) -> Result<Condition, Refusal<'d>> {
    let Some(value) = message.header(HeaderName::SipIfMatch) else {
        return Ok(Condition::None);
    };
    if let Some(ours) = EntityTag::from_token(value) {
        return Ok(Condition::Matches(ours));
    }
    if list_items(value).count() > 1 || value.iter().any(u8::is_ascii_whitespace) {
        return Err(crate::sip::Fault::Invalid(HeaderName::SipIfMatch).into());
    }
    Ok(Condition::Foreign)
}

fn refusal_of<'d>(fault: DocumentFault, package: Package) -> Refusal<'d> {
    match fault {
        DocumentFault::Malformed => Refusal::Because(Status::BAD_REQUEST, "Malformed Body"),
        DocumentFault::UnsupportedType => Refusal::MediaType(document::accepted(package)),
        DocumentFault::TooLarge => Refusal::Plain(Status::REQUEST_ENTITY_TOO_LARGE),
        DocumentFault::WrongEntity => Refusal::Plain(Status::FORBIDDEN),
    }
}
