//! Which composition rules a presentity has: its user's own, those of the park orbits of its domain,
//! or those of the domain.

use std::sync::Arc;

use crate::directory::Directory;
use crate::presence::Aor;
use crate::presence::composition::Rules;

/// Rules that presentities share, with the fingerprint of what they say.
#[derive(Clone, Debug)]
pub(super) struct SharedRules {
    rules: Arc<Rules>,
    fingerprint: u64,
}

impl SharedRules {
    pub(super) fn new(rules: Rules) -> Self {
        let fingerprint = rules.fingerprint();
        let rules = Arc::new(rules);
        Self { rules, fingerprint }
    }

    /// The rules.
    pub(super) const fn get(&self) -> &Arc<Rules> {
        &self.rules
    }
}

impl Default for SharedRules {
    fn default() -> Self {
        Self::new(Rules::default())
    }
}

impl Directory {
    /// The composition rules of a presentity.
    #[must_use]
    pub fn rules_of(&self, aor: &Aor) -> Arc<Rules> {
        Arc::clone(&self.shared_rules_of(aor).rules)
    }

    /// The [fingerprint](Rules::fingerprint) of the composition rules of a presentity.
    pub(crate) fn rules_fingerprint_of(&self, aor: &Aor) -> u64 {
        self.shared_rules_of(aor).fingerprint
    }

    fn shared_rules_of(&self, aor: &Aor) -> &SharedRules {
        let own = self
            .account(aor.as_str())
            .and_then(|account| account.rules.as_ref());
        let rules = own.or_else(|| {
            let place = self.place_of(aor.domain())?;
            let tenant = self.tenants.get(place)?;
            let domain = self.domains.get(place)?;
            let is_orbit = !domain.orbits.is_empty() && domain.is_orbit(aor.user());
            Some(match is_orbit {
                true => &tenant.orbit_rules,
                false => &tenant.rules,
            })
        });
        rules.unwrap_or(&self.stranger)
    }
}
