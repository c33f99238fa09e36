//! Digest authentication of requests as their domain requires it (RFC 3261 §22, RFC 8760), and the
//! salts of nonces, which are bound to the address of the peer: a nonce that returns proves its path.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use crate::directory::{AuthMode, Domain, DomainRealm};
use crate::presence::event::Package;
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::refusal::Refusal;
use crate::shard::request::sender::Principal;
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
        if domain.accepts_unauthenticated(request.flow.peer.ip()) {
            return Ok(Principal::Unauthenticated);
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

/// A salt for a nonce to `peer`: 16 random bits, and 16 bits of a keyed hash of them and the
/// address.
pub(crate) fn salt_for(peer: SocketAddr, turn: &mut Turn<'_>) -> u32 {
    let chance = turn.random.next_u64() as u16;
    u32::from(chance) << 16 | u32::from(address_mark(peer, chance, turn))
}

/// Whether a nonce with that salt was sent to `peer`.
pub(crate) fn is_salt_for(salt: u32, peer: SocketAddr, turn: &Turn<'_>) -> bool {
    let chance = (salt >> 16) as u16;
    address_mark(peer, chance, turn) == salt as u16
}

/// The keyed hash of an address and the random bits. It cannot be guessed without the key, and it
/// differs for each nonce, so one observed salt does not help to forge another.
fn address_mark(peer: SocketAddr, chance: u16, turn: &Turn<'_>) -> u16 {
    let mut hasher = DefaultHasher::new();
    (turn.options.key, "address", peer, chance).hash(&mut hasher);
    hasher.finish() as u16
}
