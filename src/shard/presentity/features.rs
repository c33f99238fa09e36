//! Features that a phone switches, applied by the presentity's owner.

use crate::presence::Aor;
use crate::presence::source::StateUpdate;
use crate::shard::contract::flow::Address;
use crate::shard::contract::mail::Mail;
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::Compositor;

impl Compositor {
    /// As owner: a phone switches something by a SUBSCRIBE that arrived elsewhere. The answer
    /// follows the state on its way.
    pub(crate) fn handle_switch(
        &mut self,
        aor: Aor,
        update: StateUpdate,
        reply_to: (Address, u32),
        turn: &mut Turn<'_>,
    ) {
        self.take_statement(&aor, update, turn);
        let (shard, subscription) = reply_to;
        turn.send(shard, Mail::Switched { aor, subscription });
    }
}
