//! The names of a run: users, tags and Call-IDs, made so that the subscription's number can be read
//! back out of them.

/// Who is called what.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    domain: String,
    user_prefix: String,
    user_digits: usize,
    /// Told apart from every other run against the same server.
    run: String,
}

impl Names {
    /// Users are numbered with as many digits as the last of `presentities` needs, three at least.
    pub(crate) fn new(domain: &str, user_prefix: &str, presentities: u32, run: u32) -> Self {
        let last = presentities.saturating_sub(1).to_string();
        Self {
            domain: domain.to_owned(),
            user_prefix: user_prefix.to_owned(),
            user_digits: last.len().max(3),
            run: format!("{run:08x}"),
        }
    }

    /// The user part of a presentity: `1007` with the prefix `1`.
    pub(crate) fn user(&self, presentity: u32) -> String {
        format!(
            "{}{presentity:0width$}",
            self.user_prefix,
            width = self.user_digits
        )
    }

    /// `user@domain`.
    pub(crate) fn address(&self, user: &str) -> String {
        format!("{user}@{}", self.domain)
    }

    /// The address of record of a user.
    pub(crate) fn uri(&self, user: &str) -> String {
        format!("sip:{user}@{}", self.domain)
    }

    /// What tells this run from every other.
    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// The From-tag of a subscription.
    pub(crate) fn tag(&self, subscription: u32) -> String {
        format!("{subscription:x}-{}", self.run)
    }

    /// The Call-ID of a subscription.
    pub(crate) fn call_id(&self, subscription: u32) -> String {
        format!("{subscription:x}-{}@swarm", self.run)
    }

    /// The Call-ID of a presentity's PUBLISHes.
    pub(crate) fn publish_call_id(&self, presentity: u32) -> String {
        format!("p{presentity:x}-{}@swarm", self.run)
    }

    /// The subscription whose Call-ID that is.
    pub(crate) fn subscription_of_call_id(&self, call_id: &[u8]) -> Option<u32> {
        self.subscription_of_tag(call_id.strip_suffix(b"@swarm")?)
    }

    /// The subscription whose From-tag that is.
    pub(crate) fn subscription_of_tag(&self, tag: &[u8]) -> Option<u32> {
        let number = tag.strip_suffix(self.run.as_bytes())?.strip_suffix(b"-")?;
        u32::from_str_radix(std::str::from_utf8(number).ok()?, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_back() {
        let names = Names::new("abc.com", "1", 1000, 0xfeed);
        for number in [0, 9, 4711, u32::MAX] {
            let call_id = names.call_id(number);
            assert_eq!(
                names.subscription_of_call_id(call_id.as_bytes()),
                Some(number)
            );
            let tag = names.tag(number);
            assert_eq!(names.subscription_of_tag(tag.as_bytes()), Some(number));
        }
        let stranger = Names::new("abc.com", "1", 1000, 0xfeee);
        assert_eq!(stranger.subscription_of_tag(names.tag(7).as_bytes()), None);
        assert_eq!(
            names.subscription_of_call_id(names.publish_call_id(7).as_bytes()),
            None
        );
        assert_eq!(names.subscription_of_call_id(b"@swarm"), None);
    }

    #[test]
    fn users_have_one_length() {
        assert_eq!(Names::new("abc.com", "1", 1000, 1).user(7), "1007");
        assert_eq!(Names::new("abc.com", "2", 2, 1).user(1), "2001");
        assert_eq!(Names::new("abc.com", "", 100_000, 1).user(1), "00001");
    }
}
