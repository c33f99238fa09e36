//! PUBLISH (RFC 3903 §6; W:B1): read here, applied by the presentity's owner, answered here.

use std::time::Instant;

use crate::presence::Aor;
use crate::presence::document;
use crate::presence::document::Document;
use crate::presence::document::DocumentFault;
use crate::presence::event::Package;
use crate::presence::presentity::Condition;
use crate::presence::presentity::Publication;
use crate::presence::presentity::PublicationLimits;
use crate::presence::presentity::PublishRefused;
use crate::presence::presentity::Published;
use crate::presence::source::EntityTag;
use crate::shard::Shard;
use crate::shard::Timer;
use crate::shard::admit::Identity;
use crate::shard::admit::Target;
use crate::shard::checks::address_of_record;
use crate::shard::checks::check_exists;
use crate::shard::checks::decoded_body;
use crate::shard::checks::event_of;
use crate::shard::checks::expires_of;
use crate::shard::directory::Directory;
use crate::shard::directory::Domain;
use crate::shard::flow::Flow;
use crate::shard::mail::ForwardedPublish;
use crate::shard::mail::Mail;
use crate::shard::outbox::Outbox;
use crate::shard::publisher::publisher_of;
use crate::shard::respond::Refusal;
use crate::shard::respond::Request;
use crate::shard::sender::check_from;
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

impl Shard {
    /// A PUBLISH from a peer.
    pub(crate) fn serve_publish<'d>(
        &mut self,
        request: &Request<'_>,
        target: Target<'d>,
        directory: &'d Directory,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), Refusal<'d>> {
        let (aor, domain, identity) = self.admit(request, target, directory, now)?;
        let (package, ..) = event_of(request.message)?;
        if document::accepted(package).is_empty() {
            return Err(Refusal::BadEvent);
        }
        check_from(request.message, &identity, domain, directory)?;
        check_publisher(&identity, &aor, package, directory)?;
        check_exists(&aor, directory)?;
        let publication = self.read_publication(request, package, &identity, &aor, directory)?;
        let fresh = self.mint_entity_tag();
        let limits = self.publication_limits(package, domain);
        let owner = Self::owner(&aor, self.options.shards);
        if owner == self.options.id {
            let outcome = self.apply_publication(&aor, publication, fresh, &limits, now, out);
            return self.answer_publish(request, package, outcome, now, out);
        }
        let waiting = self.wait_for_owner(request, None, package, now)?;
        let reply_to = (self.options.id, waiting);
        let publish = ForwardedPublish {
            aor,
            publication,
            fresh,
            limits,
            reply_to,
        };
        out.mail.push((owner, Mail::Publish(Box::new(publish))));
        Ok(())
    }

    /// As owner: a PUBLISH that arrived at another shard.
    pub(crate) fn handle_publish_mail(
        &mut self,
        publish: ForwardedPublish,
        now: Instant,
        out: &mut Outbox,
    ) {
        let ForwardedPublish {
            aor,
            publication,
            fresh,
            limits,
            reply_to,
        } = publish;
        let outcome = self.apply_publication(&aor, publication, fresh, &limits, now, out);
        let (shard, request) = reply_to;
        out.mail
            .push((shard, Mail::PublishOutcome { request, outcome }));
    }

    /// From the owner: how a PUBLISH that arrived here went.
    pub(crate) fn handle_publish_outcome(
        &mut self,
        waiting: u32,
        outcome: Result<Published, PublishRefused>,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Some(waiting) = self.take_waiting(waiting) else {
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
        if let Err(refusal) = self.answer_publish(&request, waiting.package, outcome, now, out) {
            self.refuse(&request, &refusal, now, out);
        }
    }

    fn apply_publication(
        &mut self,
        aor: &Aor,
        publication: Publication,
        fresh: EntityTag,
        limits: &PublicationLimits,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<Published, PublishRefused> {
        let id = self.own(aor, now).ok_or(PublishRefused::TooMany)?;
        let owned = self
            .presentities
            .get_mut(id)
            .ok_or(PublishRefused::TooMany)?;
        let has_expired = owned.presentity.expire(now);
        let applied = owned
            .presentity
            .apply_publication(publication, fresh, limits, now);
        let is_changed = has_expired || applied.as_ref().is_ok_and(|(_, is_changed)| *is_changed);
        self.after_contribution(id, is_changed, now, out);
        applied.map(|(published, _)| published)
    }

    fn answer_publish<'d>(
        &mut self,
        request: &Request<'_>,
        package: Package,
        outcome: Result<Published, PublishRefused>,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), Refusal<'d>> {
        let published = outcome.map_err(|refused| match refused {
            PublishRefused::ConditionFailed => {
                self.counters.publications_unmatched += 1;
                Refusal::Plain(Status::CONDITIONAL_REQUEST_FAILED)
            }
            PublishRefused::TooBrief(min) => Refusal::TooBrief(min),
            PublishRefused::NoBody => Refusal::Because(Status::BAD_REQUEST, "Missing Body"),
            PublishRefused::Document(fault) => refusal_of(fault, package),
            PublishRefused::TooMany => Refusal::OverLimit,
        })?;
        self.counters.publications_accepted += 1;
        let mut tag = [0; 16];
        self.random.fill_hex(&mut tag);
        let head = self.begin_response(request, Status::OK, None, &tag, out);
        emit::header(&mut out.arena, "SIP-ETag", &published.entity_tag.to_token());
        emit::header_number(&mut out.arena, "Expires", published.expires.as_secs());
        self.end_response(request, head, now, out);
        self.keep_stream(&request.flow, published.expires, now, out);
        Ok(())
    }

    fn read_publication<'d>(
        &self,
        request: &Request<'_>,
        package: Package,
        identity: &Identity,
        aor: &Aor,
        directory: &Directory,
    ) -> Result<Publication, Refusal<'d>> {
        let message = request.message;
        let condition = condition_of(message)?;
        let expires = expires_of(message)?;
        let document = self.read_document(message, package, identity, aor, directory)?;
        let is_feeder = match identity {
            Identity::User(user) => {
                let account = Aor::new(user, aor.domain());
                directory.is_feeder(Some(&account), aor.domain())
            }
            Identity::Believed => directory
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
        &self,
        message: &Message<'_>,
        package: Package,
        identity: &Identity,
        aor: &Aor,
        directory: &Directory,
    ) -> Result<Option<Result<Document, DocumentFault>>, Refusal<'d>> {
        let body = message.body();
        if body.is_empty() {
            return Ok(None);
        }
        let body = decoded_body(message)?;
        if body.len() > self.options.body_octets_max {
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
            check_entity(document, identity, aor, directory)
        })))
    }

    /// The request waits no longer; None when it gave up.
    pub(crate) fn take_waiting(&mut self, place: u32) -> Option<Waiting> {
        let waiting = self.waiting.try_remove(place as usize)?;
        self.wheel.cancel(waiting.timer);
        Some(waiting)
    }

    /// Keeps a request until its owner has spoken.
    pub(crate) fn wait_for_owner<'d>(
        &mut self,
        request: &Request<'_>,
        sender: Option<&[u8]>,
        package: Package,
        now: Instant,
    ) -> Result<u32, Refusal<'d>> {
        if self.waiting.len() >= WAITING_MAX {
            return Err(Refusal::OverLimit);
        }
        let place = self.waiting.vacant_key() as u32;
        let timer = self.wheel.arm(now + TIMER_F, Timer::Waiting(place));
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

    fn mint_entity_tag(&mut self) -> EntityTag {
        EntityTag(u128::from(self.random.next_u64()) << 64 | u128::from(self.random.next_u64()))
    }

    fn publication_limits(&self, package: Package, domain: &Domain) -> PublicationLimits {
        PublicationLimits {
            expires_min: domain.min_publish_expires,
            expires_max: domain.max_expires,
            expires_default: package.expires_default(),
            publications_max: self.options.publications_per_presentity_max,
            calls_max: self.options.calls_per_presentity_max,
        }
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
