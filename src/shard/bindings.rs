//! The registrar's side of REGISTER (RFC 3261 §10.3): who may register whom, what becomes of the
//! bindings at their user's owner, and the answer, which lists all of them.
//!
//! Bindings tell who can be reached, and nothing else: no request is routed to a contact.

use std::time::Instant;

use crate::presence::Aor;
use crate::presence::event::Package;
use crate::presence::fixed_hash::fnv1a;
use crate::presence::registration::BindingChange;
use crate::presence::registration::BindingRefused;
use crate::presence::registration::Sequence;
use crate::shard::Shard;
use crate::shard::admit::Identity;
use crate::shard::admit::Target;
use crate::shard::checks::check_exists;
use crate::shard::directory::Directory;
use crate::shard::directory::Domain;
use crate::shard::mail::Bound;
use crate::shard::mail::ForwardedRegister;
use crate::shard::mail::Mail;
use crate::shard::outbox::Outbox;
use crate::shard::register::TOO_MANY_CONTACTS;
use crate::shard::register::change_of;
use crate::shard::register::write_contacts;
use crate::shard::respond::Refusal;
use crate::shard::respond::Request;
use crate::shard::sender::check_from;
use crate::sip::Fault;
use crate::sip::HeaderName;
use crate::sip::Message;
use crate::sip::Status;
use crate::sip::date;
use crate::sip::emit;

/// A later REGISTER of the phone has been here: nothing is changed (RFC 3261 §10.3, step 7).
const OUT_OF_ORDER: Refusal<'static> =
    Refusal::Because(Status::SERVER_INTERNAL_ERROR, "CSeq Out Of Order");

impl Shard {
    /// A REGISTER of a phone whose domain makes us its registrar.
    pub(crate) fn serve_registration<'d>(
        &mut self,
        request: &Request<'_>,
        aor: Aor,
        domain: &'d Domain,
        directory: &'d Directory,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), Refusal<'d>> {
        let target = Target::Presentity { aor, domain };
        let (aor, domain, identity) = self.admit(request, target, directory, now)?;
        check_from(request.message, &identity, domain, directory)?;
        check_registrant(&identity, &aor, directory)?;
        check_exists(&aor, directory)?;
        let change = change_of(request.message, domain)?;
        let sequence = sequence_of(request.message)?;
        let owner = Self::owner(&aor, self.options.shards);
        if owner == self.options.id {
            let outcome = self.apply_registration(&aor, change, sequence, now, out);
            return self.answer_register(request, outcome, now, out);
        }
        let waiting = self.wait_for_owner(request, None, Package::Reg, now)?;
        let register = ForwardedRegister {
            aor,
            change,
            sequence,
            reply_to: (self.options.id, waiting),
        };
        out.mail.push((owner, Mail::Register(Box::new(register))));
        Ok(())
    }

    /// As owner: a REGISTER that arrived at another shard.
    pub(crate) fn handle_register_mail(
        &mut self,
        register: ForwardedRegister,
        now: Instant,
        out: &mut Outbox,
    ) {
        let ForwardedRegister {
            aor,
            change,
            sequence,
            reply_to: (shard, request),
        } = register;
        let outcome = self.apply_registration(&aor, change, sequence, now, out);
        out.mail
            .push((shard, Mail::RegisterOutcome { request, outcome }));
    }

    /// From the owner: how a REGISTER that arrived here went.
    pub(crate) fn handle_register_outcome(
        &mut self,
        waiting: u32,
        outcome: Result<Bound, BindingRefused>,
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
        if let Err(refusal) = self.answer_register(&request, outcome, now, out) {
            self.refuse(&request, &refusal, now, out);
        }
    }

    fn apply_registration(
        &mut self,
        aor: &Aor,
        change: BindingChange,
        sequence: Sequence,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<Bound, BindingRefused> {
        let id = self.own(aor, now).ok_or(BindingRefused::OverLimit)?;
        let contacts = self.presentities.contacts();
        let room = self.options.contacts_max.saturating_sub(contacts);
        let owned = self.presentities.get_mut(id);
        let owned = owned.ok_or(BindingRefused::OverLimit)?;
        let expires = match &change {
            BindingChange::Bind(bindings) => bindings.iter().map(|binding| binding.expires).max(),
            BindingChange::Query | BindingChange::Clear => None,
        };
        let has_expired = owned.presentity.expire(now);
        let is_changed = owned.presentity.bind(change, sequence, room, now);
        let bindings = owned.presentity.bindings(now);
        self.after_contribution(id, has_expired || is_changed == Ok(true), now, out);
        is_changed?;
        Ok(Bound {
            bindings,
            expires: expires.unwrap_or_default(),
        })
    }

    fn answer_register<'d>(
        &mut self,
        request: &Request<'_>,
        outcome: Result<Bound, BindingRefused>,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), Refusal<'d>> {
        let Bound { bindings, expires } = outcome.map_err(|refused| match refused {
            BindingRefused::OutOfOrder => OUT_OF_ORDER,
            BindingRefused::TooManyContacts => {
                self.counters.registrations_over_limit += 1;
                TOO_MANY_CONTACTS
            }
            BindingRefused::OverLimit => {
                self.counters.registrations_over_limit += 1;
                Refusal::OverLimit
            }
        })?;
        self.counters.registrations_accepted += 1;
        let mut tag = [0; 16];
        self.random.fill_hex(&mut tag);
        let head = self.begin_response(request, Status::OK, None, &tag, out);
        write_contacts(&bindings, out);
        if !expires.is_zero() {
            emit::header_number(&mut out.arena, "Expires", expires.as_secs());
        }
        let date = date::sip_date(self.wall_clock(now));
        emit::header(&mut out.arena, "Date", date.as_bytes());
        self.end_response(request, head, now, out);
        self.keep_stream(&request.flow, expires, now, out);
        Ok(())
    }
}

/// Who proved to be a user may register that user, or anybody when the account is a feeder
/// (RFC 3261 §10.3, step 4).
fn check_registrant<'d>(
    identity: &Identity,
    aor: &Aor,
    directory: &Directory,
) -> Result<(), Refusal<'d>> {
    let Identity::User(user) = identity else {
        return Ok(());
    };
    let registrant = Aor::new(user, aor.domain());
    if registrant == *aor || directory.is_feeder(Some(&registrant), aor.domain()) {
        Ok(())
    } else {
        Err(Refusal::Plain(Status::FORBIDDEN))
    }
}

fn sequence_of<'d>(message: &Message<'_>) -> Result<Sequence, Refusal<'d>> {
    let cseq = message.cseq();
    let cseq = cseq.ok_or(Fault::Missing(HeaderName::CSeq))?;
    Ok(Sequence {
        call_id: fnv1a(message.call_id()),
        number: cseq.number,
    })
}
