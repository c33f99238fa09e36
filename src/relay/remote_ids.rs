//! Which identifier a user has in another system, as the operator has written down.

use std::collections::HashMap;
use std::sync::Arc;

use crate::presence::Aor;

/// The identifiers of the users of a relay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteIds {
    /// Those of the operator's file.
    pub listed: Arc<HashMap<Aor, Box<str>>>,
    /// That of everyone else, with `{user}` and `{domain}` in place of what differs; None if everyone else has none.
    pub pattern: Option<Box<str>>,
}

impl RemoteIds {
    /// Whether a user has one.
    pub(super) fn has(&self, aor: &Aor) -> bool {
        self.pattern.is_some() || self.listed.contains_key(aor)
    }

    /// That of a user.
    pub(super) fn of(&self, aor: &Aor) -> Option<Box<str>> {
        let of_pattern = || {
            let pattern = self.pattern.as_ref()?;
            let id = pattern.replace("{user}", aor.user());
            Some(id.replace("{domain}", aor.domain()).into())
        };
        self.listed.get(aor).cloned().or_else(of_pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_user_goes_before_the_pattern() {
        let listed = [(Aor::new("1", "a.test"), "U1".into())];
        let mut ids = RemoteIds {
            listed: Arc::new(listed.into()),
            pattern: None,
        };
        let of = |ids: &RemoteIds, user: &str| ids.of(&Aor::new(user, "a.test"));
        assert_eq!((of(&ids, "1"), of(&ids, "2")), (Some("U1".into()), None));
        assert!(!ids.has(&Aor::new("2", "a.test")));
        ids.pattern = Some("{user}.{domain}@b.test".into());
        assert_eq!(of(&ids, "1"), Some("U1".into()));
        assert_eq!(of(&ids, "2"), Some("2.a.test@b.test".into()));
    }
}
