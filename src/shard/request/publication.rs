//! The contents of a PUBLISH: expiry, SIP-If-Match and document (RFC 3903 §6).

use std::net::IpAddr;

use crate::directory::{Directory, Domain};
use crate::presence::document::{Document, DocumentFault};
use crate::presence::event::Package;
use crate::presence::fixed_hash::SipHash13;
use crate::presence::origin::Origin;
use crate::presence::presentity::{Condition, Publication, PublicationLimits};
use crate::presence::source::EntityTag;
use crate::presence::{Aor, document};
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::headers::{address_of_record, decoded_body, expires_of};
use crate::shard::request::privacy::asks_privacy;
use crate::shard::request::publisher::publisher_of;
use crate::shard::request::refusal::Refusal;
use crate::shard::request::sender::Principal;
use crate::sip::header::list_items;
use crate::sip::{HeaderName, Message, Status};

/// Reads a PUBLISH about `aor`. A malformed document is part of the result, because the owner refuses it
/// only after SIP-If-Match was checked.
pub(crate) fn read_publication<'d>(
    request: &Request<'_>,
    package: Package,
    (aor, domain, principal): (&Aor, &Domain, &Principal),
    reader: &mut document::Reader,
    turn: &Turn<'d>,
) -> Result<Publication, Refusal<'d>> {
    let message = request.message;
    let condition = condition_of(message)?;
    let expires = expires_of(message)?;
    let document = read_document(message, package, (principal, aor), reader, turn)?;
    let is_feeder = match principal {
        Principal::User(user) => {
            let account = Aor::new(user, aor.domain());
            turn.directory.is_feeder(Some(&account), aor.domain())
        }
        Principal::Unauthenticated => domain.trusts(turn.peer(domain, &request.flow)),
    };
    let publisher = publisher_of(message, request.flow.peer.ip(), principal, is_feeder);
    let origin = origin_of(principal, aor.domain(), request.flow.peer.ip(), turn);
    Ok(Publication {
        package,
        condition,
        expires,
        document,
        publisher,
        is_feeder,
        origin,
    })
}

/// The system that a request came from, if that is told of presentities as well: the account, or the address of
/// one without an account.
fn origin_of(
    principal: &Principal,
    domain: &str,
    source: IpAddr,
    turn: &Turn<'_>,
) -> Option<Origin> {
    turn.directory.peer_origin(|| match principal {
        Principal::User(user) => Origin::of(&Aor::new(user, domain).to_string()),
        Principal::Unauthenticated => Origin::of_address(source),
    })
}

fn read_document<'d>(
    message: &Message<'_>,
    package: Package,
    (principal, aor): (&Principal, &Aor),
    reader: &mut document::Reader,
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
    let document = reader.read(package, &content_type, &body);
    let document = document.map(|mut document| {
        if asks_privacy(message) {
            document.hide_remote_parties();
        }
        document
    });
    Ok(Some(document.and_then(|document| {
        check_entity(document, principal, aor, turn.directory)
    })))
}

/// An entity tag for a PUBLISH. What is hashed of it only its retransmissions share (RFC 3261
/// §8.1.1.7).
pub(crate) fn mint_entity_tag(message: &Message<'_>, turn: &mut Turn<'_>) -> EntityTag {
    let mut request = SipHash13::new();
    let via = message.via();
    request.field(via.and_then(|via| via.branch).unwrap_or_default());
    request.field(message.call_id());
    request.number(message.cseq().map_or(0, |cseq| cseq.number).into());
    EntityTag::new(turn.random.next_u64(), request.finish())
}

/// The limits of a publication of `package` in a domain.
pub(crate) fn publication_limits(
    package: Package,
    domain: &Domain,
    turn: &Turn<'_>,
) -> PublicationLimits {
    PublicationLimits {
        expires_min: domain.min_publish_expires,
        expires_max: domain.max_expires,
        expires_default: package.expires_default(),
        publications_max: turn.options.publications_per_presentity_max,
        calls_max: turn.options.calls_per_presentity_max,
    }
}

/// Checks that the principal may publish for `aor`. A user may publish for itself, a feeder account
/// for any user of its domain (RFC 3903 §6). Only a feeder may publish message summaries and
/// registrations, which a phone cannot know (W:B1.14).
pub(crate) fn check_publisher<'d>(
    principal: &Principal,
    aor: &Aor,
    package: Package,
    directory: &Directory,
) -> Result<(), Refusal<'d>> {
    let Principal::User(user) = principal else {
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

/// Refuses a document about another presentity from a user that only speaks for itself (RFC 3863
/// §4).
fn check_entity(
    document: Document,
    principal: &Principal,
    aor: &Aor,
    directory: &Directory,
) -> Result<Document, DocumentFault> {
    let Principal::User(user) = principal else {
        return Ok(document);
    };
    let entity = document
        .entity()
        .and_then(|entity| address_of_record(entity.as_bytes(), directory));
    match entity {
        Some(entity) if entity != *aor && user == aor.user() => Err(DocumentFault::WrongEntity),
        _ => Ok(document),
    }
}

/// SIP-If-Match: absent, an entity tag of our form, or one that we cannot have assigned (RFC 3903
/// §6).
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
