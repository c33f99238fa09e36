//! REGISTER (RFC 3261 §10): read here, for two ends.
//!
//! Where a domain makes us its registrar, its accounts register their phones with us (`bindings`).
//! Elsewhere a registrar tells where a user is registered (W:D2.12), so that it is known who cannot
//! be reached. Only peers that the domain trusts are listened to: for everybody else the method
//! stays one that we do not serve (405), whatever the domain believes otherwise. No binding is
//! looked up for them: the 200 lists the contacts of its request with what they were granted, and
//! none for a request that only asks. The presentity's owner is told without being waited for.
//!
//! Either way no call is ever routed to a contact.

use std::time::Duration;
use std::time::Instant;

use crate::presence::Aor;
use crate::presence::event::ExpiryLimits;
use crate::presence::event::TooBrief;
use crate::presence::registration::Binding;
use crate::presence::registration::BindingChange;
use crate::presence::registration::CONTACTS_MAX;
use crate::presence::registration::URI_OCTETS_MAX;
use crate::presence::source::StateUpdate;
use crate::shard::Shard;
use crate::shard::admit::Target;
use crate::shard::checks::address_of_record;
use crate::shard::checks::check_exists;
use crate::shard::checks::check_extensions;
use crate::shard::checks::expires_of;
use crate::shard::directory::Directory;
use crate::shard::directory::Domain;
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

/// The parameters of a contact that are kept and given back.
const KEPT_PARAMETERS: [&str; 3] = ["q", "+sip.instance", "reg-id"];
/// Octets of such a parameter's value; a longer one is not kept.
const PARAMETER_OCTETS_MAX: usize = 255;

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
        let to = request.message.to();
        let aor = to.and_then(|to| address_of_record(to.uri, directory));
        let domain = aor.as_ref().and_then(|aor| directory.domain(aor.domain()));
        let (Some(aor), Some(domain)) = (aor, domain) else {
            return Err(self.refuse_foreign(request, uri, directory));
        };
        if domain.is_registrar {
            self.resolve(uri, &request.flow, directory)?;
            self.serve_registration(request, aor, domain, directory, now, out)
        } else if domain.trusts(request.flow.peer.ip()) {
            self.resolve(uri, &request.flow, directory)?;
            check_extensions(request.message)?;
            check_exists(&aor, directory)?;
            self.hear_registrar(request, aor, domain, now, out)
        } else {
            Err(Refusal::Method(Status::METHOD_NOT_ALLOWED))
        }
    }

    /// A REGISTER of a user who is none of ours (RFC 3261 §10.3, step 5).
    fn refuse_foreign<'d>(
        &self,
        request: &Request<'_>,
        uri: &[u8],
        directory: &'d Directory,
    ) -> Refusal<'d> {
        match self.resolve(uri, &request.flow, directory) {
            Ok(Target::Presentity { domain, .. }) if domain.is_registrar => {
                Refusal::Plain(Status::NOT_FOUND)
            }
            _ => Refusal::Method(Status::METHOD_NOT_ALLOWED),
        }
    }

    /// What a trusted registrar tells.
    fn hear_registrar<'d>(
        &mut self,
        request: &Request<'_>,
        aor: Aor,
        domain: &Domain,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), Refusal<'d>> {
        let (said, granted) = match change_of(request.message, domain)? {
            BindingChange::Query => (None, Vec::new()),
            BindingChange::Clear => (Some(StateUpdate::Unregistered), Vec::new()),
            BindingChange::Bind(bindings) => {
                let contacts = bindings.iter();
                let contacts = contacts.map(|binding| (binding.uri.clone(), binding.expires));
                (Some(StateUpdate::Registered(contacts.collect())), bindings)
            }
        };
        if let Some(said) = said
            && !self.say(aor, said, now, out)
        {
            return Err(Refusal::OverLimit);
        }
        let mut tag = [0; 16];
        self.random.fill_hex(&mut tag);
        let head = self.begin_response(request, Status::OK, None, &tag, out);
        write_contacts(&granted, out);
        self.end_response(request, head, now, out);
        let longest = granted.iter().map(|binding| binding.expires).max();
        self.keep_stream(&request.flow, longest.unwrap_or_default(), now, out);
        Ok(())
    }
}

/// The contacts that are registered, each with the time that is left to it.
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

/// What a REGISTER does to its user's contacts (RFC 3261 §10.2).
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
/// One user has more contacts than we keep.
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
    // One that cannot be read counts as none (RFC 3261 §10.2.1.1).
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
