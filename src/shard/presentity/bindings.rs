//! Registered contacts of presentities owned here.

use crate::presence::Aor;
use crate::presence::registration::{BindingChange, BindingRefused, Sequence};
use crate::shard::contract::expected::Expected;
use crate::shard::contract::mail::{ForwardedRegister, Mail, Registered};
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::{Compositor, OWNED};

impl Compositor {
    /// As owner: a REGISTER that arrived at another shard.
    pub(crate) fn handle_register_mail(
        &mut self,
        register: ForwardedRegister,
        turn: &mut Turn<'_>,
    ) {
        let ForwardedRegister {
            aor,
            change,
            sequence,
            reply_to: (shard, request),
        } = register;
        let outcome = match turn.sheds_acknowledgement() {
            true => Err(BindingRefused::OverLimit),
            false => self.apply_registration(&aor, change, sequence, turn),
        };
        let is_accepted = outcome.is_ok();
        let mail = Mail::RegisterOutcome { request, outcome };
        turn.send_outcome(shard, mail, is_accepted);
    }

    pub(crate) fn apply_registration(
        &mut self,
        aor: &Aor,
        change: BindingChange,
        sequence: Sequence,
        turn: &mut Turn<'_>,
    ) -> Result<Registered, BindingRefused> {
        let id = self.own(aor, turn).ok_or(BindingRefused::OverLimit)?;
        let contacts = self.presentities.contacts();
        let room = turn.options.contacts_max.saturating_sub(contacts);
        let owned = self.presentities.get_mut(id);
        let owned = owned.expected(OWNED).ok_or(BindingRefused::OverLimit)?;
        let expires = match &change {
            BindingChange::Bind(bindings) => bindings.iter().map(|binding| binding.expires).max(),
            BindingChange::Query | BindingChange::Clear => None,
        };
        let has_expired = owned.presentity.expire(turn.now);
        let is_query = matches!(change, BindingChange::Query);
        let is_changed = owned.presentity.bind(change, sequence, room, turn.now);
        let bindings = owned.presentity.bindings(turn.now);
        if is_changed.is_ok() && !is_query {
            self.presentities.mark(id, turn);
        }
        self.after_contribution(id, has_expired || is_changed == Ok(true), turn);
        is_changed?;
        Ok(Registered {
            bindings,
            expires: expires.unwrap_or_default(),
        })
    }
}
