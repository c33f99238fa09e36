//! Feature changes by phones, applied by the owner.

use crate::presence::Aor;
use crate::presence::source::StateUpdate;
use crate::shard::contract::flow::Address;
use crate::shard::contract::mail::Mail;
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::Compositor;

impl Compositor {
    /// Applies a feature change from a SUBSCRIBE. The confirmation is sent after the new state, to the
    /// same shard, and arrives after it; once the record is durable, if acknowledgements wait for that.
    /// The 2xx to the SUBSCRIBE waits for it.
    pub(crate) fn handle_switch(
        &mut self,
        aor: Aor,
        update: StateUpdate,
        reply_to: (Address, u32),
        turn: &mut Turn<'_>,
    ) {
        self.take_statement(&aor, (update, None), turn);
        let (shard, subscription) = reply_to;
        turn.send_outcome(shard, Mail::Switched { aor, subscription }, true);
    }
}
