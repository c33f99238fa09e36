//! Digest authentication of requests as their domain requires it (RFC 3261 §22, RFC 8760).

use crate::directory::{AuthMode, Domain, DomainRealm};
use crate::presence::event::Package;
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::principal::Principal;
use crate::shard::request::refusal::Refusal;
use crate::shard::uas::Uas;
use crate::sip::digest::Denied;
use crate::sip::header::Event;
use crate::sip::{Fault, HeaderName, Status};

impl Uas {
    /// CANCEL: our transactions are complete as soon as they are served, so a CANCEL that matches
    /// one has no effect (RFC 3261 §9.2; RFC 6665 §4.6).
    pub(crate) fn serve_cancel<'d>(
        &mut self,
        request: &Request<'_>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        if !self.transactions.knows_cancelled(request.message, turn.now) {
            return Err(Refusal::Plain(Status::SUBSCRIPTION_DOES_NOT_EXIST));
        }
        self.respond_ok(request, turn);
        Ok(())
    }

    /// Refuses a NOTIFY, because we have no subscription; answers keep-alive with 200 (RFC 6665
    /// §4.1.3).
    pub(crate) fn serve_stray_notify<'d>(
        &mut self,
        request: &Request<'_>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let event = request
            .message
            .header(HeaderName::Event)
            .and_then(Event::parse)
            .ok_or(Refusal::BadEvent)?;
        if event.package.eq_ignore_ascii_case(b"keep-alive") {
            self.respond_ok(request, turn);
            return Ok(());
        }
        if Package::from_token(event.package).is_none() {
            return Err(Refusal::BadEvent);
        }
        if request
            .message
            .header(HeaderName::SubscriptionState)
            .is_none()
        {
            return Err(Fault::Missing(HeaderName::SubscriptionState).into());
        }
        Err(Refusal::Plain(Status::SUBSCRIPTION_DOES_NOT_EXIST))
    }

    /// Authenticates a request as the domain requires (RFC 3261 §22, RFC 6665 §4.2.1.3; W:A7).
    ///
    /// Refuses it with 401, with 403 if only trusted addresses may send it or after too many
    /// attempts, or with 400 if its credentials are malformed.
    pub(crate) fn authenticate<'d>(
        &mut self,
        request: &Request<'_>,
        domain: &'d Domain,
        turn: &mut Turn<'d>,
    ) -> Result<Principal, Refusal<'d>> {
        if domain.believes(request.flow.peer.ip()) {
            return Ok(Principal::Believed);
        }
        if domain.auth == AuthMode::Trusted {
            return Err(Refusal::Plain(Status::FORBIDDEN));
        }
        let uptime = turn.now.saturating_duration_since(turn.options.epoch);
        let realm = DomainRealm {
            directory: turn.directory,
            domain,
        };
        let attempt = self.overload.attempt(request, &realm, turn)?;
        let verdict = self
            .authenticator
            .verify(request.message, &realm, &mut self.replay, uptime);
        match verdict {
            Ok(username) => {
                self.overload.note_proof(attempt, turn);
                Ok(Principal::User(realm.user_of(username)))
            }
            Err(Denied::Stale) => Err(self.overload.refuse_stale(request, domain, turn)),
            Err(Denied::Wrong) => {
                self.overload.note_wrong(attempt, turn);
                Err(Refusal::Challenge {
                    domain,
                    stale: false,
                })
            }
            Err(Denied::NoCredentials) => Err(Refusal::Challenge {
                domain,
                stale: false,
            }),
            Err(Denied::Malformed) => Err(Fault::Invalid(HeaderName::Authorization).into()),
        }
    }
}
