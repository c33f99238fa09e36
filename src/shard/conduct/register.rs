//! REGISTER, from a registrar that reports to us, or from phones of a domain whose registrar we
//! are.

use crate::directory::{Directory, Domain};
use crate::presence::Aor;
use crate::presence::event::Package;
use crate::presence::registration::BindingChange;
use crate::presence::source::StateUpdate;
use crate::shard::conduct::Engine;
use crate::shard::contract::mail::{ForwardedRegister, Mail};
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::contacts::{change_of, sequence_of, write_contacts};
use crate::shard::request::headers::{address_of_record, check_exists, check_extensions};
use crate::shard::request::refusal::Refusal;
use crate::shard::request::sender::Principal;
use crate::shard::request::sender::check_from;
use crate::shard::request::target::{Target, resolve};
use crate::shard::uas::response::begin_response;
use crate::sip::Status;

impl Engine {
    /// Serves a REGISTER of a domain whose registrar we are.
    pub(crate) fn serve_registration<'d>(
        &mut self,
        request: &Request<'_>,
        aor: Aor,
        domain: &'d Domain,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let target = Target::Presentity { aor, domain };
        let (aor, domain, principal) = self.admit(request, target, turn)?;
        check_from(request.message, &principal, domain, turn.directory)?;
        check_registrant(&principal, &aor, turn.directory)?;
        check_exists(&aor, turn.directory)?;
        let change = change_of(request.message, domain)?;
        let sequence = sequence_of(request.message)?;
        let owner = turn.owner_of(&aor);
        if owner == turn.here() {
            let outcome = self
                .compositor
                .apply_registration(&aor, change, sequence, turn);
            return self.uas.respond_to_register(request, outcome, turn);
        }
        let suspended = self.uas.suspend(request, None, Package::Reg, turn)?;
        let register = ForwardedRegister {
            aor,
            change,
            sequence,
            reply_to: (turn.here(), suspended),
        };
        turn.send(owner, Mail::Register(Box::new(register)));
        Ok(())
    }
}

/// Refuses a principal that may not register `aor`. A user may register itself, a feeder account
/// any user of its domain (RFC 3261 §10.3, step 4).
fn check_registrant<'d>(
    principal: &Principal,
    aor: &Aor,
    directory: &Directory,
) -> Result<(), Refusal<'d>> {
    let Principal::User(user) = principal else {
        return Ok(());
    };
    let registrant = Aor::new(user, aor.domain());
    if registrant == *aor || directory.is_feeder(Some(&registrant), aor.domain()) {
        Ok(())
    } else {
        Err(Refusal::Plain(Status::FORBIDDEN))
    }
}

impl Engine {
    /// Serves a REGISTER.
    pub(crate) fn serve_register<'d>(
        &mut self,
        request: &Request<'_>,
        uri: &[u8],
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let to = request.message.to();
        let aor = to.and_then(|to| address_of_record(to.uri, turn.directory));
        let domain = aor
            .as_ref()
            .and_then(|aor| turn.directory.domain(aor.domain()));
        let (Some(aor), Some(domain)) = (aor, domain) else {
            return Err(refuse_unknown_aor(request, uri, turn));
        };
        if domain.is_registrar {
            resolve(uri, &request.flow, turn)?;
            self.serve_registration(request, aor, domain, turn)
        } else if domain.trusts(request.flow.peer.ip()) {
            resolve(uri, &request.flow, turn)?;
            check_extensions(request.message)?;
            check_exists(&aor, turn.directory)?;
            self.serve_registrar_report(request, aor, domain, turn)
        } else {
            Err(Refusal::Method(Status::METHOD_NOT_ALLOWED))
        }
    }

    /// Serves a REGISTER that a trusted registrar forwards: its contacts become registration state.
    fn serve_registrar_report<'d>(
        &mut self,
        request: &Request<'_>,
        aor: Aor,
        domain: &Domain,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let (update, granted) = match change_of(request.message, domain)? {
            BindingChange::Query => (None, Vec::new()),
            BindingChange::Clear => (Some(StateUpdate::Unregistered), Vec::new()),
            BindingChange::Bind(bindings) => {
                let contacts = bindings.iter();
                let contacts = contacts.map(|binding| (binding.uri.clone(), binding.expires));
                (Some(StateUpdate::Registered(contacts.collect())), bindings)
            }
        };
        if let Some(update) = update
            && !self.compositor.say(aor, update, turn)
        {
            return Err(Refusal::OverLimit);
        }
        let mut tag = [0; 16];
        turn.random.fill_hex(&mut tag);
        let head = begin_response(request, Status::OK, None, &tag, turn);
        write_contacts(&granted, turn.out);
        self.uas.end_response(request, head, turn);
        let longest = granted.iter().map(|binding| binding.expires).max();
        turn.keep_stream(&request.flow, longest.unwrap_or_default());
        Ok(())
    }
}

/// The refusal of a REGISTER for an unknown address of record (RFC 3261 §10.3, step 5).
fn refuse_unknown_aor<'d>(request: &Request<'_>, uri: &[u8], turn: &Turn<'d>) -> Refusal<'d> {
    match resolve(uri, &request.flow, turn) {
        Ok(Target::Presentity { domain, .. }) if domain.is_registrar => {
            Refusal::Plain(Status::NOT_FOUND)
        }
        _ => Refusal::Method(Status::METHOD_NOT_ALLOWED),
    }
}
