//! Resolves the mailbox of a `message-summary` SUBSCRIBE (RFC 3842).
//!
//! Some phones subscribe to the voicemail access number, others to a mailbox that is not a user.
//! Both mean their own mailbox.

use crate::presence::Aor;
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::sender::Principal;
use crate::shard::request::target::sender;

/// `named`, or the requesting user's own mailbox if `named` is that user's voicemail number or is
/// not a user.
pub(crate) fn mailbox(
    named: Aor,
    request: &Request<'_>,
    principal: &Principal,
    turn: &Turn<'_>,
) -> Aor {
    let own = match principal {
        Principal::User(user) => Some(Aor::new(user, named.domain())),
        Principal::Unauthenticated => {
            sender(request, turn).filter(|sender| sender.domain() == named.domain())
        }
    };
    let is_meant = |own: &Aor| {
        turn.directory.rules_of(own).is_voicemail(named.user()) || !turn.directory.exists(&named)
    };
    // The mailboxes of a list are those of its members.
    let own = own.filter(|_| !turn.directory.is_list(&named));
    own.filter(is_meant).unwrap_or(named)
}
