//! Assertions of what our own tables must hold.
//!
//! Where an id, a key or a state of our own must name a value, `None` is a mistake of ours. Tests
//! and the simulator stop at it. In production the caller goes on without the value, so that one
//! mistake does not end the service of all other subscriptions.
//!
//! Where a peer or the order of events decides whether there is a value, there is nothing to
//! assert; a comment says so.

/// A value that must be there.
pub(crate) trait Expected {
    /// The same value. In tests and in the simulator, panics if it is absent; `why` says why it is
    /// expected.
    fn expected(self, why: &str) -> Self;
}

impl<T> Expected for Option<T> {
    #[inline]
    #[track_caller]
    fn expected(self, why: &str) -> Self {
        debug_assert!(self.is_some(), "missing, although {why}");
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_passed_on() {
        assert_eq!(Some(1).expected("it is there"), Some(1));
    }

    #[cfg(debug_assertions)]
    #[test]
    #[should_panic(expected = "missing, although a dialog has a subscription")]
    fn an_absent_value_stops_a_test() {
        let _ = None::<u32>.expected("a dialog has a subscription");
    }
}
