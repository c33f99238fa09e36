//! Erasure of what is known about a presentity.

use crate::presence::Aor;
use crate::presence::presentity::Erased;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::PresentityId;
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::{Compositor, OWNED};

impl Compositor {
    /// Erases all contributions to a presentity, and with them its record. Its watchers are notified.
    /// None if it is not known.
    pub(crate) fn forget(&mut self, aor: &Aor, turn: &mut Turn<'_>) -> Option<Erased> {
        let id = self.presentities.find(aor)?;
        let owned = self.presentities.get_mut(id).expected(OWNED)?;
        let (erased, is_changed) = owned.presentity.forget();
        self.presentities.mark(id, turn);
        self.after_contribution(id, is_changed, turn);
        self.presentities.forget_change(id);
        Some(erased)
    }

    /// Erases the name of a person from the calls of the presentity at a place of the table; from how
    /// many. Its watchers are notified.
    pub(crate) fn forget_party(
        &mut self,
        id: PresentityId,
        person: &Aor,
        turn: &mut Turn<'_>,
    ) -> usize {
        let Some(owned) = self.presentities.get_mut(id) else {
            // Vacant.
            return 0;
        };
        let (named, is_changed) = owned.presentity.forget_party(person);
        if named > 0 {
            self.presentities.mark(id, turn);
            self.after_contribution(id, is_changed, turn);
        }
        named
    }
}
