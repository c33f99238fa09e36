//! Event (RFC 6665 §8.2.1) and CSeq (RFC 3261 §20.16).

use crate::sip::Method;
use crate::sip::header::octets::Cursor;
use crate::sip::header::{Parameters, list_items, octets};

/// `Event: dialog;id=7;sla`
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The package as received; compare it ignoring case (W:A1.8).
    pub package: &'a [u8],
    /// `id` without quotes, empty if absent.
    pub id: &'a [u8],
    /// Everything after the package, including `id`.
    pub parameters: Parameters<'a>,
}

impl<'a> Event<'a> {
    /// Reads an Event value; None if it is empty or a list (RFC 6665 §8.2.1).
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(octets::trim(value));
        let package = cursor.take(&octets::TOKEN);
        cursor.skip_blanks();
        let tail = cursor.rest();
        let is_whole = !package.is_empty() && matches!(tail.first(), None | Some(b';'));
        if !is_whole || list_items(tail).nth(1).is_some() {
            return None;
        }
        let parameters = Parameters(tail);
        let id = octets::without_quotes(parameters.get("id").unwrap_or_default());
        Some(Self {
            package,
            id,
            parameters,
        })
    }
}

/// `CSeq: 1 SUBSCRIBE`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// At most 2^31-1 (RFC 3261 §8.1.1.5).
    pub number: u32,
    /// The method it names.
    pub method: Method<'a>,
}

impl<'a> CSeq<'a> {
    /// Reads a CSeq value; None also for a number above 2^31-1.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(value);
        let number = octets::number(cursor.take(&octets::DIGIT))?;
        let is_apart = cursor.skip_blanks();
        let method = cursor.take(&octets::TOKEN);
        cursor.skip_blanks();
        let is_whole = is_apart && !method.is_empty() && cursor.rest().is_empty();
        (is_whole && number <= i32::MAX as u64).then(|| Self {
            number: number as u32,
            method: Method::from_token(method),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn event_packages_and_ids() {
        let event = Event::parse(b"presence ; id = \"x\"").unwrap();
        assert_eq!((event.package, event.id), (&b"presence"[..], &b"x"[..]));
        let event = Event::parse(b"DIALOG").unwrap();
        assert_eq!((event.package, event.id), (&b"DIALOG"[..], &b""[..]));
        assert_eq!(
            Event::parse(b"presence.winfo.winfo").unwrap().package,
            b"presence.winfo.winfo"
        );
        let event = Event::parse(b"dialog;sla;id=7").unwrap();
        assert_eq!(event.id, b"7");
        assert_eq!(event.parameters.get("sla"), Some(&b""[..]));
        let quoted = b"ua-profile;profile-type=\"device\";vendor=\"a, b\";model=\"x\"";
        assert_eq!(Event::parse(quoted).unwrap().package, b"ua-profile");
    }

    #[test]
    fn invalid_events() {
        for value in [
            "",
            " ",
            "presence,dialog",
            "presence dialog",
            "a;id=1,b",
            ";id=1",
            "pres\"ence",
        ] {
            assert!(Event::parse(value.as_bytes()).is_none(), "{value}");
        }
    }

    #[test]
    fn sequence_numbers() {
        let sequence = CSeq::parse(b"0009\r\n  INVITE").unwrap();
        assert_eq!(
            sequence,
            CSeq {
                number: 9,
                method: Method::Invite
            }
        );
        assert_eq!(
            CSeq::parse(b"2147483647 X").unwrap().number,
            i32::MAX as u32
        );
        for value in [
            "",
            "1",
            "1 ",
            "INVITE",
            "2147483648 ACK",
            "36893488147419103232 ACK",
            "-1 ACK",
            "1ACK",
            "1 A B",
            "+1 ACK",
        ] {
            assert!(CSeq::parse(value.as_bytes()).is_none(), "{value}");
        }
    }
}
