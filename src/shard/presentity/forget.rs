//! Erasure of what is known about a presentity.

use crate::presence::presentity::Erased;
use crate::presence::{Aor, DataSubject};
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

    /// Erases all contributions to the presentity at a place of the table, if its domain is erased; whether it
    /// is.
    pub(crate) fn forget_of_domain(
        &mut self,
        id: PresentityId,
        erased: &DataSubject,
        turn: &mut Turn<'_>,
    ) -> bool {
        let is_of = |aor: &Aor| matches!(erased, DataSubject::Domain(_)) && erased.has(aor);
        let owned = self.presentities.get_mut(id);
        let aor = owned.map(|owned| owned.aor.clone()).filter(is_of);
        aor.is_some_and(|aor| self.forget(&aor, turn).is_some())
    }

    /// Erases the names of people from the calls of the presentity at a place of the table; from how
    /// many. Its watchers are notified.
    pub(crate) fn forget_party(
        &mut self,
        id: PresentityId,
        erased: &DataSubject,
        turn: &mut Turn<'_>,
    ) -> usize {
        let Some(owned) = self.presentities.get_mut(id) else {
            // Vacant.
            return 0;
        };
        let (named, is_changed) = owned.presentity.forget_party(erased);
        if named > 0 {
            self.presentities.mark(id, turn);
            self.after_contribution(id, is_changed, turn);
        }
        named
    }
}
