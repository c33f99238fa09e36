//! The call that is parked in an orbit, for the page of parked calls.

use crate::presence::Aor;
use crate::presence::document::shown_party;
use crate::presence::policy::Privacy;
use crate::shard::contract::report::ParkedCall;
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::Compositor;

impl Compositor {
    /// The call that is parked in an orbit, or else the one that a lamp would show, with as much of its
    /// other party as `privacy` allows. None if there is no call.
    pub(crate) fn parked_in(
        &self,
        orbit: Aor,
        privacy: Privacy,
        turn: &Turn<'_>,
    ) -> Option<ParkedCall> {
        let id = self.presentities.find(&orbit)?;
        let presentity = &self.presentities.owned.get(id)?.presentity;
        let calls = &presentity.composed().calls;
        let parked = calls.iter().find(|call| call.is_parked_at(&orbit));
        let call = parked.or_else(|| calls.first())?;
        let party = shown_party(call, privacy).unwrap_or_default();
        let since = presentity.since_of(call);
        Some(ParkedCall {
            orbit,
            display: party.display.into(),
            identity: party.identity.into(),
            age: since.map(|since| turn.now.saturating_duration_since(since)),
        })
    }
}
