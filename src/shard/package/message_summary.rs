//! Whose mailbox a SUBSCRIBE to `message-summary` means (RFC 3842).
//!
//! Some phones ask about the number they call to hear their messages, others about a mailbox that is
//! the name of no user. Both mean their own.

use crate::presence::Aor;
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::sender::Principal;
use crate::shard::request::target::sender;

/// The mailbox that `named` means: that of the asking user if `named` is the voice mail number of
/// this user, or the name of no user.
pub(crate) fn mailbox(
    named: Aor,
    request: &Request<'_>,
    principal: &Principal,
    turn: &Turn<'_>,
) -> Aor {
    let own = match principal {
        Principal::User(user) => Some(Aor::new(user, named.domain())),
        Principal::Believed => {
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
