//! Which users a connector reports on.

/// Decides which users of the domain a connector reports on.
pub(super) trait Users: std::fmt::Debug {
    /// Whether this is one of them: a user, or an orbit.
    fn has(&self, user: &str) -> bool;
}

#[cfg(test)]
pub(super) mod tests {
    use super::Users;

    /// The users from 100 to 199, and the orbits from 700 to 709.
    #[derive(Debug)]
    pub(in crate::connect) struct Numbers;

    impl Users for Numbers {
        fn has(&self, user: &str) -> bool {
            let number = user.parse().unwrap_or(0);
            matches!(number, 100..=199 | 700..=709)
        }
    }
}
