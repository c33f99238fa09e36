//! REGISTER by third parties (RFC 3261 §10; W:D2.12): a registrar tells where a user is registered,
//! so that it is known who cannot be reached.
//!
//! We are told; we are nobody's registrar. Only peers that the domain trusts are listened to: for
//! everybody else the method stays one that we do not serve (405), whatever the domain believes
//! otherwise. No binding is ever looked up here: the 200 lists the contacts of its request with what
//! they were granted, and none for a request that only asks. The presentity's owner is told without
//! being waited for.

use std::time::Duration;
use std::time::Instant;

use crate::presence::registration::CONTACTS_MAX;
use crate::presence::registration::URI_OCTETS_MAX;
use crate::presence::statement::Said;
use crate::presence::subscription::ExpiryLimits;
use crate::presence::subscription::TooBrief;
use crate::shard::Shard;
use crate::shard::checks::address_of_record;
use crate::shard::checks::check_exists;
use crate::shard::checks::check_extensions;
use crate::shard::checks::expires_of;
use crate::shard::directory::Directory;
use crate::shard::outbox::Outbox;
use crate::shard::respond::Refusal;
use crate::shard::respond::Request;
use crate::sip::Fault;
use crate::sip::HeaderName;
use crate::sip::Message;
use crate::sip::Status;
use crate::sip::emit;
use crate::sip::header::NameAddr;
use crate::sip::header::delta_seconds;
use crate::sip::header::list_items;

/// Granted when nothing is asked for (RFC 3261 §10.2.1.1).
const EXPIRES_DEFAULT: Duration = Duration::from_secs(3600);

/// A contact, and for how long it is registered.
type Granted = (Box<str>, Duration);

impl Shard {
    /// A REGISTER.
    pub(crate) fn serve_register<'d>(
        &mut self,
        request: &Request<'_>,
        uri: &[u8],
        directory: &'d Directory,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), Refusal<'d>> {
        let message = request.message;
        let to = message.to();
        let aor = to.and_then(|to| address_of_record(to.uri, directory));
        let domain = aor.as_ref().and_then(|aor| directory.domain(aor.domain()));
        let trusting = domain.filter(|domain| domain.trusts(request.flow.peer.ip()));
        let (Some(aor), Some(domain)) = (aor, trusting) else {
            return Err(Refusal::Method(Status::METHOD_NOT_ALLOWED));
        };
        self.resolve(uri, &request.flow, directory)?;
        check_extensions(message)?;
        check_exists(&aor, directory)?;
        let limits = ExpiryLimits {
            min: domain.min_expires,
            max: domain.max_expires,
        };
        let contacts = contacts_of(message, limits)?;
        let (said, granted) = match contacts {
            None => (Some(Said::Unregistered), Vec::new()),
            Some(contacts) if contacts.is_empty() => (None, contacts),
            Some(contacts) => (Some(Said::Registered(contacts.clone())), contacts),
        };
        if let Some(said) = said
            && !self.say(aor, said, now, out)
        {
            return Err(Refusal::OverLimit);
        }
        self.respond_registered(request, &granted, now, out);
        Ok(())
    }

    fn respond_registered(
        &mut self,
        request: &Request<'_>,
        granted: &[Granted],
        now: Instant,
        out: &mut Outbox,
    ) {
        let mut tag = [0; 16];
        self.random.fill_hex(&mut tag);
        let head = self.begin_response(request, Status::OK, None, &tag, out);
        for (uri, expires) in granted.iter().filter(|(_, expires)| !expires.is_zero()) {
            let contact = format!("<{uri}>;expires={}", expires.as_secs());
            emit::header(&mut out.arena, "Contact", contact.as_bytes());
        }
        self.end_response(request, head, now, out);
        let longest = granted.iter().map(|(_, expires)| *expires).max();
        self.keep_stream(&request.flow, longest.unwrap_or_default(), now, out);
    }
}

/// The contacts that are registered, or withdrawn with a time of zero; None for `*`, which withdraws
/// all (RFC 3261 §10.2.2).
fn contacts_of<'d>(
    message: &Message<'_>,
    limits: ExpiryLimits,
) -> Result<Option<Vec<Granted>>, Refusal<'d>> {
    const INVALID: Refusal<'static> = Refusal::Fault(Fault::Invalid(HeaderName::Contact));
    let expires = expires_of(message)?;
    let items = || message.headers(HeaderName::Contact).flat_map(list_items);
    if items().any(|item| item == b"*") {
        return match expires {
            Some(0) if items().count() == 1 => Ok(None),
            _ => Err(INVALID),
        };
    }
    if items().count() > CONTACTS_MAX {
        return Err(Refusal::Because(Status::FORBIDDEN, "Too Many Contacts"));
    }
    let granted = items().map(|item| {
        let contact = NameAddr::parse(item).ok_or(INVALID)?;
        let uri = std::str::from_utf8(contact.uri).map_err(|_| INVALID)?;
        if uri.len() > URI_OCTETS_MAX {
            return Err(INVALID);
        }
        // One that cannot be read counts as none (RFC 3261 §10.2.1.1).
        let own = contact.parameters.get("expires");
        let requested = own.map_or(expires, delta_seconds);
        let granted = limits.grant(requested, EXPIRES_DEFAULT);
        let granted = granted.map_err(|TooBrief(min)| Refusal::TooBrief(min))?;
        Ok((uri.into(), granted))
    });
    granted.collect::<Result<_, _>>().map(Some)
}
