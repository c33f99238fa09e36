//! What a request passes before it is served, and after: its transaction, the limits of overload
//! control, and authentication as its domain requires it (RFC 3261 §17.2, §22, RFC 8760).

use std::net::SocketAddr;

use crate::directory::{AuthMode, Domain, DomainRealm};
use crate::presence::Aor;
use crate::shard::contract::flow::Arrived;
use crate::shard::contract::turn::Turn;
use crate::shard::overload::rate_limit::AdmittedSender;
use crate::shard::peer::path_salt::is_salt_for;
use crate::shard::request::headers::address_of_record;
use crate::shard::request::refusal::{OverloadLimit, Refusal};
use crate::shard::request::sender::{Authentication, Principal};
use crate::shard::request::{Request, covered_octets, response_flow};
use crate::shard::uas::Uas;
use crate::shard::uas::certificates::user_of;
use crate::sip::digest::{Authenticator, Authorization, Denied, Verified};
use crate::sip::transaction::server::{Arrival, TransactionKey};
use crate::sip::{Fault, HeaderName, Message, Method, Status};

impl Uas {
    /// Begins the server transaction of a request. None if the request needs no service: a
    /// retransmission gets the stored response, if there is one yet, and a merged request 482 (RFC
    /// 3261 §8.2.2.2).
    pub(crate) fn begin_transaction(
        &mut self,
        message: &Message<'_>,
        arrived: Arrived,
        turn: &mut Turn<'_>,
    ) -> Option<TransactionKey> {
        let flow = arrived.flow;
        let (key, arrival) = self.transactions.begin(message, turn.now);
        match arrival {
            Arrival::New => return Some(key),
            Arrival::UnderWay => turn.counters.requests_retransmitted += 1,
            Arrival::Answered(response) => {
                turn.counters.requests_retransmitted += 1;
                // A short copy of the request of another may come from a forged address.
                if !flow.transport.is_reliable()
                    && response.len() > covered_octets(message)
                    && !returns_nonce(&self.authenticator, message, flow.peer, turn)
                {
                    turn.counters.responses_withheld += 1;
                    return None;
                }
                let start = turn.out.arena.len();
                turn.out.arena.extend_from_slice(response);
                let end = turn.out.arena.len();
                turn.transmit(response_flow(message, flow), start..end, 0..0);
            }
            Arrival::Merged => {
                let request = Request::new(message, arrived, None);
                self.refuse(&request, &Refusal::Plain(Status::LOOP_DETECTED), turn);
            }
        }
        None
    }

    /// Whether a request outside a dialog may be served. If not, it has been refused: it exceeds the
    /// rate limits of its phone or source address, it meets a backlog, or it was refused a moment
    /// ago. `backlog` is the limit that such a request meets from any sender.
    pub(crate) fn guard(
        &mut self,
        request: &Request<'_>,
        uri: &[u8],
        backlog: Option<OverloadLimit>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let exceeded = self.overload.check_rates(request, uri, turn);
        if let Some(limit) = exceeded.err().or(backlog) {
            self.refuse(request, &Refusal::Shed(limit), turn);
            return false;
        }
        let Some(refusal) = self.overload.kept_refusal(request, uri, turn) else {
            return true;
        };
        turn.counters.refusals_repeated += 1;
        self.forget(request);
        let request = Request {
            transaction: None,
            ..*request
        };
        self.refuse(&request, &refusal, turn);
        false
    }

    /// Admits a request about a presentity of that domain: authenticates it, and takes its tokens
    /// from the rate limits of presentity and domain.
    pub(crate) fn admit<'d>(
        &mut self,
        request: &Request<'_>,
        (aor, domain): (&Aor, &'d Domain),
        turn: &mut Turn<'d>,
    ) -> Result<Authentication, Refusal<'d>> {
        let authenticated = self.authenticate(request, domain, turn)?;
        let user = match &authenticated.principal {
            Principal::User(user) => Some(user.as_str()),
            Principal::Unauthenticated => None,
        };
        let sender = AdmittedSender { request, user };
        self.overload
            .check_shares(&sender, aor, domain, turn)
            .map_err(Refusal::Shed)?;
        Ok(authenticated)
    }

    /// Authenticates a request as the domain requires (RFC 3261 §22, RFC 6665 §4.2.1.3; W:A7).
    ///
    /// A certificate of the peer takes the place of credentials where the domain accepts that.
    ///
    /// Refuses it with 401, with 403 if only trusted peers may send it or after too many
    /// attempts, or with 400 if its credentials are malformed.
    pub(crate) fn authenticate<'d>(
        &mut self,
        request: &Request<'_>,
        domain: &'d Domain,
        turn: &mut Turn<'d>,
    ) -> Result<Authentication, Refusal<'d>> {
        let time = turn.system_time();
        if domain.accepts_unauthenticated(turn.peer(domain, &request.flow)) {
            // Only a SUBSCRIBE has a path to prove.
            let has_path = request.message.method() == Method::Subscribe;
            let salt = has_path.then(|| {
                self.authenticator
                    .salt_of(request.message, &domain.name, time)
            });
            return Ok(Authentication {
                principal: Principal::Unauthenticated,
                salt: salt.flatten(),
            });
        }
        let user = domain.accepts_certificates;
        let user = user.then(|| user_of(request, domain, turn));
        if let Some(user) = user.flatten() {
            return Ok(Authentication {
                principal: Principal::User(user),
                salt: None,
            });
        }
        if domain.auth == AuthMode::Trusted {
            return Err(Refusal::Plain(Status::FORBIDDEN));
        }
        let realm = DomainRealm {
            directory: turn.directory,
            domain,
        };
        let authorization = Authorization::read(request.message, &domain.name);
        let user = authorization.claimed_user();
        let attempt = self.overload.attempt(request, (&realm, user), turn)?;
        let verdict = self
            .authenticator
            .verify(&authorization, &realm, &mut self.replay, time);
        match verdict {
            Ok(Verified { user, salt }) => {
                self.overload.note_proof(attempt, turn);
                Ok(Authentication {
                    principal: Principal::User(realm.user_of(user)),
                    salt: Some(salt),
                })
            }
            Err(Denied::Stale) => Err(self.overload.refuse_stale(request, domain, turn)),
            Err(Denied::Wrong) => {
                let user = authorization.claimed_user();
                self.overload
                    .note_wrong(attempt, request, (&realm, user), turn);
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

    /// A guarded request was served, or is to be refused. The refusal is kept, for a phone that
    /// sends the request again.
    pub(crate) fn conclude(
        &mut self,
        request: &Request<'_>,
        uri: &[u8],
        served: Result<(), Refusal<'_>>,
        turn: &mut Turn<'_>,
    ) {
        match served {
            Ok(()) => self.overload.note_acceptance(request, turn),
            Err(refusal) => {
                self.overload.keep_refusal(request, uri, &refusal, turn);
                self.refuse(request, &refusal, turn);
            }
        }
    }
}

/// Whether a request carries a nonce that we sent to the address that it comes from, which proves that
/// the address is not forged. Its credentials are not checked.
pub(super) fn returns_nonce(
    authenticator: &Authenticator,
    request: &Message<'_>,
    peer: SocketAddr,
    turn: &Turn<'_>,
) -> bool {
    let to = request.to();
    let aor = to.and_then(|to| address_of_record(to.uri, turn.directory));
    let domain = aor.and_then(|aor| turn.directory.domain(aor.domain()));
    let time = turn.system_time();
    let salt = domain.and_then(|domain| authenticator.salt_of(request, &domain.name, time));
    salt.is_some_and(|salt| is_salt_for(salt, peer, turn))
}
