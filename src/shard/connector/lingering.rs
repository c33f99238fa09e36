//! Users on demand whose last watcher left: each stays subscribed to for [`LINGER`] after that, so that phones that
//! come and go cost the server no subscription each time.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::presence::Aor;

/// How long a user stays subscribed to after its last watcher left.
const LINGER: Duration = Duration::from_secs(120);

/// Each user once, whether or not it is watched again.
#[derive(Debug, Default)]
pub(super) struct Lingering {
    /// How long each stays, the next one first.
    ends: BTreeSet<(Instant, Aor)>,
    /// The same by user.
    by_user: HashMap<Aor, Instant>,
}

impl Lingering {
    /// The last watcher of a user left.
    pub(super) fn add(&mut self, aor: &Aor, now: Instant) {
        let end = now + LINGER;
        if let Some(former) = self.by_user.insert(aor.clone(), end) {
            self.ends.remove(&(former, aor.clone()));
        }
        self.ends.insert((end, aor.clone()));
    }

    /// When to ask for the next user.
    pub(super) fn due(&self) -> Option<Instant> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// The next user whose time is over. It may be watched again.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Aor> {
        self.due().filter(|end| *end <= now)?;
        let (_, aor) = self.ends.pop_first()?;
        self.by_user.remove(&aor);
        Some(aor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_whose_watchers_come_and_go_stays() {
        let (start, aor) = (Instant::now(), Aor::new("123", "abc.com"));
        let mut lingering = Lingering::default();
        for second in 0..300 {
            let now = start + Duration::from_secs(second);
            assert_eq!(lingering.pop(now), None, "{second} s");
            lingering.add(&aor, now);
            assert_eq!(lingering.ends.len(), 1, "once, however often");
        }
        let end = start + Duration::from_secs(299) + LINGER;
        assert_eq!(lingering.due(), Some(end));
        assert_eq!(lingering.pop(end - Duration::from_secs(1)), None);
        assert_eq!(lingering.pop(end), Some(aor));
        assert_eq!((lingering.due(), lingering.by_user.len()), (None, 0));
    }
}
