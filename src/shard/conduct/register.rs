//! REGISTER, from a registrar that reports to us, or from phones of a domain whose registrar we
//! are.

use crate::directory::{Directory, Domain};
use crate::presence::Aor;
use crate::presence::event::Package;
use crate::presence::registration::BindingChange;
use crate::presence::source::StateUpdate;
use crate::shard::conduct::Engine;
use crate::shard::conduct::dispatch::Admission;
use crate::shard::contract::flow::Address;
use crate::shard::contract::mail::{ForwardedRegister, Mail};
use crate::shard::contract::turn::Turn;
use crate::shard::request::contacts::{
    change_of, sequence_of, write_contacts, write_contacts_within,
};
use crate::shard::request::headers::{address_of_record, check_exists, check_extensions};
use crate::shard::request::privacy::check_privacy;
use crate::shard::request::refusal::Refusal;
use crate::shard::request::sender::Principal;
use crate::shard::request::sender::check_from;
use crate::shard::request::target::{Target, resolve};
use crate::shard::request::{Request, covered_octets};
use crate::shard::uas::response::{END_OCTETS, begin_response, is_amplified};
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
        let Admission {
            aor,
            domain,
            authentication,
        } = self.admit(request, target, turn)?;
        let principal = authentication.principal;
        check_from(request.message, &principal, domain, turn.directory)?;
        check_registrant(&principal, &aor, turn.directory)?;
        check_exists(&aor, domain, turn.directory)?;
        let change = change_of(request.message, domain)?;
        let sequence = sequence_of(request.message)?;
        let owner = turn.owner_of(&aor);
        if owner == turn.here() {
            let outcome = self
                .compositor
                .apply_registration(&aor, change, sequence, turn);
            return self.uas.respond_to_register(request, outcome, turn);
        }
        let suspended = self.uas.suspend(request, Package::Reg, None, turn)?;
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
        } else if domain.trusts(turn.peer(domain, &request.flow)) {
            resolve(uri, &request.flow, turn)?;
            check_extensions(request.message)?;
            check_privacy(request.message)?;
            check_exists(&aor, domain, turn.directory)?;
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
        let change = change_of(request.message, domain)?;
        if let Some(update) = update_of(&change) {
            let owner = turn.owner_of(&aor);
            if owner != turn.here() {
                return self.forward_update(request, owner, (aor, update), turn);
            }
            if !self.compositor.take_statement(&aor, (update, None), turn) {
                return Err(Refusal::OverLimit);
            }
        }
        let head = write_heard(request, change, turn);
        self.uas.end_acknowledgement(request, head, turn);
        Ok(())
    }

    fn forward_update<'d>(
        &mut self,
        request: &Request<'_>,
        owner: Address,
        (aor, update): (Aor, StateUpdate),
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let suspended = self.uas.suspend(request, Package::Reg, None, turn)?;
        let mail = Mail::UpdateState {
            aor,
            update: Box::new(update),
            reply_to: (turn.here(), suspended),
        };
        turn.send(owner, mail);
        Ok(())
    }

    /// Resumes a REGISTER of a registrar with the outcome that the owner reports.
    pub(crate) fn handle_update_outcome(
        &mut self,
        suspended: u64,
        is_taken: bool,
        turn: &mut Turn<'_>,
    ) {
        let Some(suspended) = self.uas.resume(suspended, turn) else {
            // The request timed out before.
            return;
        };
        suspended.with_request(|request| {
            let change = match is_taken {
                true => heard_change(request, turn.directory),
                false => Err(Refusal::OverLimit),
            };
            match change {
                Ok(change) => {
                    let head = write_heard(request, change, turn);
                    self.uas.end_response(request, head, turn);
                }
                Err(refusal) => self.uas.refuse(request, &refusal, turn),
            }
        });
    }
}

/// What the contacts of a registrar's REGISTER say; None if it only asks.
fn update_of(change: &BindingChange) -> Option<StateUpdate> {
    match change {
        BindingChange::Query => None,
        BindingChange::Clear => Some(StateUpdate::Unregistered),
        BindingChange::Bind(bindings) => {
            let contacts = bindings.iter();
            let contacts = contacts.map(|binding| (binding.uri.clone(), binding.expires));
            Some(StateUpdate::Registered(contacts.collect()))
        }
    }
}

/// The change in a REGISTER of a registrar.
fn heard_change<'d>(
    request: &Request<'_>,
    directory: &'d Directory,
) -> Result<BindingChange, Refusal<'d>> {
    let to = request.message.to();
    let aor = to.and_then(|to| address_of_record(to.uri, directory));
    let domain = aor.and_then(|aor| directory.domain(aor.domain()));
    // The domain may have been removed meanwhile.
    let domain = domain.ok_or(Refusal::Plain(Status::NOT_FOUND))?;
    change_of(request.message, domain)
}

/// Begins the 200 to a REGISTER of a registrar, with all headers of its own.
fn write_heard(request: &Request<'_>, change: BindingChange, turn: &mut Turn<'_>) -> usize {
    let granted = match change {
        BindingChange::Query | BindingChange::Clear => Vec::new(),
        BindingChange::Bind(bindings) => bindings,
    };
    let mut tag = [0; 16];
    turn.random.fill_hex(&mut tag);
    let head = begin_response(request, Status::OK, None, &tag, turn);
    let contacts_at = turn.out.arena.len();
    write_contacts(&granted, turn.out);
    if is_amplified(request, head, turn.out) {
        turn.out.arena.truncate(contacts_at);
        let end_max = covered_octets(request.message) + head - END_OCTETS;
        write_contacts_within(&granted, request.message, end_max, turn.out);
    }
    let longest = granted.iter().map(|binding| binding.expires).max();
    turn.keep_stream(&request.flow, longest.unwrap_or_default());
    head
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
