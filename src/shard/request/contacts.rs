//! The contacts of a REGISTER and of its response (RFC 3261 §10.2, §10.3).

use std::time::Duration;

use crate::directory::Domain;
use crate::presence::event::{ExpiryLimits, TooBrief};
use crate::presence::fixed_hash::fnv1a;
use crate::presence::registration::{
    Binding, BindingChange, CONTACTS_MAX, Sequence, URI_OCTETS_MAX,
};
use crate::shard::contract::outbox::Outbox;
use crate::shard::request::headers::expires_of;
use crate::shard::request::refusal::Refusal;
use crate::sip::header::{NameAddr, delta_seconds, list_items};
use crate::sip::{Fault, HeaderName, Message, Status, emit};

/// 500: the phone sent a later REGISTER before, so this one changes nothing (RFC 3261 §10.3, step
/// 7).
pub(crate) const OUT_OF_ORDER: Refusal<'static> =
    Refusal::Because(Status::SERVER_INTERNAL_ERROR, "CSeq Out Of Order");

/// Call-ID and CSeq of a REGISTER, which order the requests of one phone (RFC 3261 §10.3, step 7).
pub(crate) fn sequence_of<'d>(message: &Message<'_>) -> Result<Sequence, Refusal<'d>> {
    let cseq = message.cseq();
    let cseq = cseq.ok_or(Fault::Missing(HeaderName::CSeq))?;
    Ok(Sequence {
        call_id: fnv1a(message.call_id()),
        number: cseq.number,
    })
}

/// Expiry of a contact if the request names none (RFC 3261 §10.2.1.1).
const EXPIRES_DEFAULT: Duration = Duration::from_secs(3600);

/// The contact parameters that are stored and returned.
const KEPT_PARAMETERS: [&str; 3] = ["q", "+sip.instance", "reg-id"];

/// Octets of the value of such a parameter. A longer one is dropped.
const PARAMETER_OCTETS_MAX: usize = 255;

/// Writes the Contact headers of a response, with the remaining expiry of each contact.
pub(crate) fn write_contacts(bindings: &[Binding], out: &mut Outbox) {
    for binding in bindings.iter().filter(|binding| !binding.expires.is_zero()) {
        let Binding {
            uri,
            expires,
            parameters,
        } = binding;
        let contact = format!("<{uri}>;expires={}{parameters}", expires.as_secs());
        emit::header(&mut out.arena, "Contact", contact.as_bytes());
    }
}

/// Writes the Contact headers of a response until the outbox has `end_max` octets: first the contacts
/// that its request names, then as many others as fit.
pub(crate) fn write_contacts_within(
    bindings: &[Binding],
    request: &Message<'_>,
    end_max: usize,
    out: &mut Outbox,
) {
    let names = |binding: &&Binding| {
        let mut items = request.headers(HeaderName::Contact).flat_map(list_items);
        items.any(|item| {
            NameAddr::parse(item).is_some_and(|named| named.uri == binding.uri.as_bytes())
        })
    };
    let (named, others): (Vec<&Binding>, Vec<&Binding>) = bindings.iter().partition(names);
    for binding in named.into_iter().chain(others) {
        let start = out.arena.len();
        write_contacts(std::slice::from_ref(binding), out);
        if out.arena.len() > end_max {
            out.arena.truncate(start);
        }
    }
}

/// The change that a REGISTER makes to the contacts of its address of record (RFC 3261 §10.2).
pub(crate) fn change_of<'d>(
    message: &Message<'_>,
    domain: &Domain,
) -> Result<BindingChange, Refusal<'d>> {
    let limits = ExpiryLimits {
        min: domain.min_expires,
        max: domain.max_expires,
    };
    let expires = expires_of(message)?;
    let items = || message.headers(HeaderName::Contact).flat_map(list_items);
    if items().any(|item| item == b"*") {
        return match expires {
            Some(0) if items().count() == 1 => Ok(BindingChange::Clear),
            _ => Err(INVALID_CONTACT),
        };
    }
    match items().count() {
        0 => Ok(BindingChange::Query),
        count if count > CONTACTS_MAX => Err(TOO_MANY_CONTACTS),
        _ => {
            let bindings = items().map(|item| binding_of(item, expires, limits));
            bindings.collect::<Result<_, _>>().map(BindingChange::Bind)
        }
    }
}

const INVALID_CONTACT: Refusal<'static> = Refusal::Fault(Fault::Invalid(HeaderName::Contact));

/// 403: more contacts than one address of record may have.
pub(crate) const TOO_MANY_CONTACTS: Refusal<'static> =
    Refusal::Because(Status::FORBIDDEN, "Too Many Contacts");

fn binding_of<'d>(
    item: &[u8],
    expires: Option<u32>,
    limits: ExpiryLimits,
) -> Result<Binding, Refusal<'d>> {
    let contact = NameAddr::parse(item).ok_or(INVALID_CONTACT)?;
    let uri = std::str::from_utf8(contact.uri).map_err(|_| INVALID_CONTACT)?;
    if uri.len() > URI_OCTETS_MAX {
        return Err(INVALID_CONTACT);
    }
    // A malformed expires parameter counts as absent (RFC 3261 §10.2.1.1).
    let own = contact.parameters.get("expires");
    let requested = own.map_or(expires, delta_seconds);
    let granted = limits.grant(requested, EXPIRES_DEFAULT);
    Ok(Binding {
        uri: uri.into(),
        expires: granted.map_err(|TooBrief(min)| Refusal::TooBrief(min))?,
        parameters: kept_parameters(&contact),
    })
}

fn kept_parameters(contact: &NameAddr<'_>) -> Box<str> {
    let mut kept = String::new();
    for name in KEPT_PARAMETERS {
        let value = contact.parameters.get(name);
        let value = value.and_then(|value| std::str::from_utf8(value).ok());
        if let Some(value) = value
            && !value.is_empty()
            && value.len() <= PARAMETER_OCTETS_MAX
        {
            kept.push_str(&format!(";{name}={value}"));
        }
    }
    kept.into()
}
