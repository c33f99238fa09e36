//! Resolves the mailbox of a `message-summary` SUBSCRIBE (RFC 3842).
//!
//! Some phones subscribe to the voicemail access number, others to a mailbox that is not a user.
//! Both mean their own mailbox.

use crate::presence::Aor;
use crate::shard::contract::turn::Turn;
use crate::shard::request::headers::address_of_record;
use crate::shard::request::sender::{Principal, Sender};
use crate::sip::Message;

/// `named`, or the requesting user's own mailbox if `named` is that user's voicemail number or is
/// not a user.
pub(crate) fn mailbox(
    named: Aor,
    message: &Message<'_>,
    (principal, sender): (&Principal, &Sender<'_>),
    turn: &Turn<'_>,
) -> Aor {
    let own = match principal {
        // The mailbox is that of From, whatever identity the peer asserts.
        Principal::Unauthenticated if sender.uri.is_some() => {
            let from = message.from();
            from.and_then(|from| address_of_record(from.uri, turn.directory))
        }
        Principal::Unauthenticated | Principal::User(_) => sender.aor.clone(),
    };
    let own = own.filter(|own| own.domain() == named.domain());
    let is_meant = |own: &Aor| {
        turn.directory.rules_of(own).is_voicemail(named.user()) || !turn.directory.exists(&named)
    };
    // The mailboxes of a list are those of its members.
    let own = own.filter(|_| !turn.directory.is_list(&named));
    own.filter(is_meant).unwrap_or(named)
}
