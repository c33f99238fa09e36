//! Contributions: one source's named, expiring statement about a presentity.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::presence::call::CallDialog;

/// Who says it. The name is what `lamplighter why` prints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A PUBLISH of any other package, by its current entity tag: `publish:<etag>`.
    Publish(EntityTag),
    /// A PUBLISH of the presence package: `client:<etag>`.
    Client(EntityTag),
    /// `call_state.htm`: `http:call_state`.
    CallState,
    /// A virtual resource that the operator lights, an orbit he fills: `operator:lamp`.
    Lamp,
    /// Do-not-disturb, switched on at the exchange: `feature:dnd`.
    DoNotDisturb,
    /// A forwarding: `feature:forward`.
    Forward,
    /// The operator's note: `operator:note`.
    Note,
    /// The operator's word on availability: `operator:presence`.
    Presence,
    /// A mailbox, as the operator tells it: `operator:messages`.
    Messages,
    /// A contact learned from a REGISTER: `register:<uri>`.
    Register(Box<str>),
    /// A registrar without a contact: `register`.
    Registrar,
    /// An appearance of a shared line: `operator:appearance`.
    Appearance,
    /// The alternative number in the configuration: `account:alternative`.
    Alternative,
}

/// A SIP-ETag of ours (RFC 3903 §6): unguessable, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntityTag(pub u128);

impl EntityTag {
    /// As it goes over the wire: 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_token(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        std::array::from_fn(|index| DIGITS[(self.0 >> (124 - 4 * index)) as usize & 0xf])
    }

    /// What a SIP-If-Match names; None when it can be none of ours.
    #[must_use]
    pub fn from_token(token: &[u8]) -> Option<Self> {
        if token.len() != 32 {
            return None;
        }
        token
            .iter()
            .try_fold(0u128, |value, &octet| {
                let digit = match octet {
                    b'0'..=b'9' => octet - b'0',
                    b'a'..=b'f' => octet - b'a' + 10,
                    _ => return None,
                };
                Some(value << 4 | u128::from(digit))
            })
            .map(Self)
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Publish(entity_tag) => return write!(formatter, "publish:{entity_tag}"),
            Self::Client(entity_tag) => return write!(formatter, "client:{entity_tag}"),
            Self::Register(uri) => return write!(formatter, "register:{uri}"),
            Self::CallState => "http:call_state",
            Self::Lamp => "operator:lamp",
            Self::DoNotDisturb => "feature:dnd",
            Self::Forward => "feature:forward",
            Self::Note => "operator:note",
            Self::Presence => "operator:presence",
            Self::Messages => "operator:messages",
            Self::Registrar => "register",
            Self::Appearance => "operator:appearance",
            Self::Alternative => "account:alternative",
        })
    }
}

/// What a rich-presence source says (PIDF with RPID; W:B2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// `basic` of its tuples: open iff any is. None when it says nothing.
    pub open: Option<bool>,
    /// RPID activities by their element names, in document order, without duplicates.
    pub activities: Vec<Box<str>>,
    /// The note: person notes before tuple notes (W:B2.7).
    pub note: Option<Box<str>>,
    /// A number or URI at which the user is to be had beside his SIP contacts: the `contact` of a
    /// tuple, where it is a `tel:` URI (W:D2.5, D2.6).
    pub alternative: Option<Box<str>>,
}

/// One source's statement, for `lamplighter why`.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The source's name: `publish:5f3c...`, `http:call_state`.
    pub source: String,
    /// In words: `early recipient from sip:12@abc.com`, `open, away: lunch`.
    pub says: String,
    /// When it was said.
    pub since: Instant,
    /// When it ends by itself; None when only another word of its source ends it.
    pub until: Option<Instant>,
    /// Whether the composed state follows it.
    pub decides: bool,
}

/// A set of live call legs shared by reference.
pub type Calls = smallvec::SmallVec<[Arc<CallDialog>; 2]>;

#[cfg(test)]
mod tests {
    use super::EntityTag;
    use super::Source;

    #[test]
    fn an_entity_tag_reads_back_and_nothing_else_does() {
        for value in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210] {
            let token = EntityTag(value).to_token();
            assert_eq!(token.as_slice(), EntityTag(value).to_string().as_bytes());
            assert_eq!(EntityTag::from_token(&token), Some(EntityTag(value)));
        }
        for token in [
            "",
            "*",
            "etag281308",
            "\"00000000000000000000000000000000\"",
        ] {
            assert_eq!(EntityTag::from_token(token.as_bytes()), None);
        }
        assert_eq!(EntityTag::from_token(&[b'A'; 32]), None);
        assert_eq!(EntityTag::from_token(&vec![b'0'; 8192]), None);
    }

    #[test]
    fn a_source_is_named() {
        assert_eq!(Source::CallState.to_string(), "http:call_state");
        let contact = Source::Register("sip:123@10.0.0.9".into());
        assert_eq!(contact.to_string(), "register:sip:123@10.0.0.9");
        assert_eq!(
            Source::Client(EntityTag(15)).to_string(),
            format!("client:{:032x}", 15)
        );
    }
}
