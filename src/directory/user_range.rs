//! Ranges of users: `700-709`, `*71-*75`, `park1`.

use std::fmt;

use thiserror::Error;

/// Users that differ by the number at the end of their names, or a single user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRange {
    /// The common prefix; the whole name of a single user.
    prefix: Box<str>,
    numbers: Option<Numbers>,
}

/// The numbers after the prefix, padded with zeros to `width` digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Numbers {
    first: u64,
    last: u64,
    width: usize,
}

/// Maximum number of users in a range. Above it: [`RangeFault::TooLong`].
pub const USERS_MAX: u64 = 1_000;

/// Maximum digits of a number; 18 digits fit a u64.
const DIGITS_MAX: usize = 18;

/// Maximum length of a user.
const OCTETS_MAX: usize = 256;

/// Why a text is not a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RangeFault {
    /// It is empty, too long, or has characters that a user must not have.
    #[error("it is not a valid user")]
    NoUser,
    /// The end is lower than the beginning.
    #[error("it ends before it begins")]
    Backwards,
    /// It has too many users.
    #[error("it has more than {USERS_MAX} users")]
    TooLong,
}

/// As it is parsed.
impl fmt::Display for UserRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = &self.prefix;
        match self.numbers {
            None => formatter.write_str(prefix),
            Some(Numbers { first, last, width }) => {
                write!(formatter, "{prefix}{first:0width$}-{prefix}{last:0width$}")
            }
        }
    }
}

impl UserRange {
    /// Parses `700-709`. Both ends must have the same prefix and end in digits. Any other text is a
    /// single user, even if it contains hyphens.
    ///
    /// # Errors
    /// See [`RangeFault`].
    pub fn parse(text: &str) -> Result<Self, RangeFault> {
        let is_strange = |letter: char| letter.is_control() || letter == '@' || letter == ' ';
        if text.is_empty() || text.len() > OCTETS_MAX || text.contains(is_strange) {
            return Err(RangeFault::NoUser);
        }
        let ends = text.match_indices('-').find_map(|(at, _)| {
            let (prefix, first) = split_number(text.get(..at)?)?;
            let (other, last) = split_number(text.get(at + 1..)?)?;
            (prefix == other).then_some((prefix, first, last))
        });
        let Some((prefix, first_digits, last_digits)) = ends else {
            return Ok(Self {
                prefix: text.into(),
                numbers: None,
            });
        };
        let number = |digits: &str| digits.parse().map_err(|_| RangeFault::TooLong);
        let numbers = Numbers {
            first: number(first_digits)?,
            last: number(last_digits)?,
            width: first_digits.len(),
        };
        if numbers.last < numbers.first {
            return Err(RangeFault::Backwards);
        }
        if numbers.last - numbers.first >= USERS_MAX {
            return Err(RangeFault::TooLong);
        }
        Ok(Self {
            prefix: prefix.into(),
            numbers: Some(numbers),
        })
    }

    /// Returns whether the range contains a user.
    #[must_use]
    pub fn contains(&self, user: &str) -> bool {
        let Some(numbers) = self.numbers else {
            return user == &*self.prefix;
        };
        user.strip_prefix(&*self.prefix).is_some_and(|digits| {
            let is_canonical = digits.len() == numbers.width
                || digits.len() > numbers.width && !digits.starts_with('0');
            is_canonical
                && digits.len() <= DIGITS_MAX
                && digits.bytes().all(|digit| digit.is_ascii_digit())
                && digits
                    .parse()
                    .is_ok_and(|number| (numbers.first..=numbers.last).contains(&number))
        })
    }

    /// The number of users.
    #[must_use]
    pub fn count(&self) -> usize {
        let count = |numbers: Numbers| numbers.last - numbers.first + 1;
        usize::try_from(self.numbers.map_or(1, count)).unwrap_or(usize::MAX)
    }

    /// The users in ascending order.
    pub fn users(&self) -> impl Iterator<Item = String> {
        let single = self.numbers.is_none().then(|| self.prefix.to_string());
        let row = self.numbers.into_iter().flat_map(move |numbers| {
            (numbers.first..=numbers.last).map(move |number| {
                format!("{}{number:0width$}", self.prefix, width = numbers.width)
            })
        });
        single.into_iter().chain(row)
    }
}

/// Splits `*71` into `*` and `71`. None if the text does not end in digits.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let prefix = text.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let digits = text.get(prefix.len()..)?;
    (!digits.is_empty() && digits.len() <= DIGITS_MAX).then_some((prefix, digits))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn users_in_a_range() {
        let table = [
            ("700-709", "700", true),
            ("700-709", "709", true),
            ("700-709", "710", false),
            ("700-709", "0700", false),
            ("700-709", "70", false),
            ("700-709", "70x", false),
            ("700-709", "+705", false),
            ("*71-*75", "*73", true),
            ("*71-*75", "73", false),
            ("007-011", "010", true),
            ("007-011", "10", false),
            ("8-12", "8", true),
            ("8-12", "10", true),
            ("8-12", "08", false),
            ("park1", "park1", true),
            ("park1", "park2", false),
            ("lot-1-lot-3", "lot-2", true),
            ("day-night", "day-night", true),
        ];
        for (text, user, is_in) in table {
            let range = UserRange::parse(text).unwrap();
            assert_eq!(range.contains(user), is_in, "{text} {user}");
        }
    }

    #[test]
    fn the_users_of_a_range() {
        let users = |text: &str| {
            let range = UserRange::parse(text).unwrap();
            let users: Vec<String> = range.users().collect();
            assert_eq!(users.len(), range.count());
            assert!(users.iter().all(|user| range.contains(user)));
            users.join(" ")
        };
        assert_eq!(users("*71-*73"), "*71 *72 *73");
        assert_eq!(users("008-011"), "008 009 010 011");
        assert_eq!(users("9-11"), "9 10 11");
        assert_eq!(users("day-night"), "day-night");
    }

    #[test]
    fn invalid_ranges() {
        let fault = |text: &str| UserRange::parse(text).unwrap_err();
        assert_eq!(fault(""), RangeFault::NoUser);
        assert_eq!(fault("700@abc.com"), RangeFault::NoUser);
        assert_eq!(fault("709-700"), RangeFault::Backwards);
        assert_eq!(fault("1000-2000"), RangeFault::TooLong);
        assert!(UserRange::parse("1000-1999").is_ok());
    }
}
