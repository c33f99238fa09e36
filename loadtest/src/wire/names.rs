//! The names of a run: users, tags, Call-IDs and calls. The numbers in them can be parsed back.

/// The suffix of every Call-ID of this tool.
const HOST: &str = "@load";

/// The names of users, dialogs and calls.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    domain: String,
    user_prefix: String,
    user_digits: usize,
    /// A number that no other run against the server has.
    run: String,
}

/// One dialog of a subscription: a phone that loses a subscription begins another dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) subscription: u32,
    pub(crate) generation: u32,
}

impl Names {
    /// User numbers have as many digits as the highest of `presentities` needs, but at least three.
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

    /// The presentity with that address of record.
    pub(crate) fn presentity_of_uri(&self, uri: &[u8]) -> Option<u32> {
        let user = uri
            .strip_prefix(b"sip:")?
            .strip_suffix(self.domain.as_bytes())?
            .strip_suffix(b"@")?;
        let digits = user.strip_prefix(self.user_prefix.as_bytes())?;
        if digits.len() < self.user_digits {
            return None;
        }
        crate::wire::message::number(digits)
    }

    /// The number of this run, in hexadecimal.
    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// The From-tag of a subscription.
    pub(crate) fn tag(&self, life: Life) -> String {
        let Life {
            subscription,
            generation,
        } = life;
        format!("{subscription:x}.{generation:x}-{}", self.run)
    }

    /// The Call-ID of a subscription.
    pub(crate) fn call_id(&self, life: Life) -> String {
        format!("{}{HOST}", self.tag(life))
    }

    /// The Call-ID of a presentity's PUBLISHes.
    pub(crate) fn publish_call_id(&self, presentity: u32) -> String {
        format!("p{presentity:x}-{}{HOST}", self.run)
    }

    /// The subscription with that Call-ID.
    pub(crate) fn life_of_call_id(&self, call_id: &[u8]) -> Option<Life> {
        self.life_of_tag(call_id.strip_suffix(HOST.as_bytes())?)
    }

    /// The subscription with that From-tag.
    pub(crate) fn life_of_tag(&self, tag: &[u8]) -> Option<Life> {
        let numbers = tag.strip_suffix(self.run.as_bytes())?.strip_suffix(b"-")?;
        let dot = memchr::memchr(b'.', numbers)?;
        Some(Life {
            subscription: hexadecimal(&numbers[..dot])?,
            generation: hexadecimal(&numbers[dot + 1..])?,
        })
    }

    /// The call of a presentity that a document's call-id names, if it is one of this run.
    pub(crate) fn call_of_call_id(&self, call_id: &[u8]) -> Option<u32> {
        let rest = call_id.strip_prefix(b"call")?;
        let dash = memchr::memchr(b'-', rest)?;
        rest[dash + 1..].strip_prefix(self.run.as_bytes())?;
        crate::wire::message::number(&rest[..dash])
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits.iter().try_fold(0, |sum, &byte| {
        Some(sum << 4 | char::from(byte).to_digit(16)?)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_back() {
        let names = Names::new("abc.com", "1", 1000, 0xfeed);
        let stranger = Names::new("abc.com", "1", 1000, 0xfeee);
        for number in [0, 9, 4711, u32::MAX] {
            let life = Life {
                subscription: number,
                generation: number / 2,
            };
            let (call_id, tag) = (names.call_id(life), names.tag(life));
            assert_eq!(names.life_of_call_id(call_id.as_bytes()), Some(life));
            assert_eq!(names.life_of_tag(tag.as_bytes()), Some(life));
            assert_eq!(stranger.life_of_tag(tag.as_bytes()), None);
        }
        for foreign in [
            names.publish_call_id(7).as_str(),
            HOST,
            "",
            "x.y-0000feed@load",
        ] {
            assert_eq!(names.life_of_call_id(foreign.as_bytes()), None);
        }
    }

    #[test]
    fn users_have_one_length_and_are_read_back() {
        assert_eq!(Names::new("abc.com", "1", 1000, 1).user(7), "1007");
        assert_eq!(Names::new("abc.com", "2", 2, 1).user(1), "2001");
        assert_eq!(Names::new("abc.com", "", 100_000, 1).user(1), "00001");
        let names = Names::new("abc.com", "u", 10, 1);
        let uri = names.uri(&names.user(4));
        assert_eq!(names.presentity_of_uri(uri.as_bytes()), Some(4));
        for foreign in [
            "sip:u04@abc.com",
            "sip:v004@abc.com",
            "sip:u004@abd.com",
            "u004",
        ] {
            assert_eq!(names.presentity_of_uri(foreign.as_bytes()), None);
        }
    }

    #[test]
    fn calls_are_read_back() {
        let names = Names::new("abc.com", "1", 10, 0xfeed);
        assert_eq!(
            names.call_of_call_id(b"call17-0000feed-1001@abc.com"),
            Some(17)
        );
        assert_eq!(names.call_of_call_id(b"call17-0000feee-1001@abc.com"), None);
        assert_eq!(names.call_of_call_id(b""), None);
    }
}
