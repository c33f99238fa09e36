//! Sources of contributions, and what each can report.
//!
//! A contribution is one source's named statement; it lasts until it expires or the source replaces
//! it. `presentity` keeps contributions, `composition` merges them into one state.

mod entity_tag;
mod features;
mod messages;
mod rich_presence;
mod state_update;

use std::fmt;
use std::sync::Arc;

pub use entity_tag::EntityTag;
pub use features::{Features, Forward, ForwardKind};
pub use messages::{MessageClass, MessageCounts, Messages};
pub use rich_presence::RichPresence;
pub use state_update::{CallSource, StateUpdate};

/// The source of a statement. The name is what `lamplighter why` prints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A PUBLISH of any other package, by its current entity tag: `publish:<etag>`.
    Publish(EntityTag),
    /// A PUBLISH of the presence package: `client:<etag>`.
    Client(EntityTag),
    /// A PBX or presence server that we subscribe to: `upstream:<connector>`.
    Upstream(Arc<str>),
    /// `call_state.htm`: `http:call_state`.
    CallState,
    /// A virtual resource that the operator lights, or an orbit that the operator fills:
    /// `operator:lamp`.
    Lamp,
    /// Do-not-disturb, switched on by phone, operator or API: `feature:dnd`.
    DoNotDisturb,
    /// A call forwarding: `feature:forward`.
    Forward,
    /// The operator's note: `operator:note`.
    Note,
    /// The operator's statement on availability: `operator:presence`.
    Presence,
    /// A mailbox, as set by the operator: `operator:messages`.
    Messages,
    /// A contact that one of the user's phones bound by a REGISTER: `register:<uri>`.
    Register(Box<str>),
    /// A contact that the operator reported: `operator:registered:<uri>`.
    Contact(Box<str>),
    /// A registrar that reports no contact: `register`.
    Registrar,
    /// An appearance of a shared line: `operator:appearance`.
    Appearance,
    /// The alternative number in the configuration: `account:alternative`.
    Alternative,
}

impl Source {
    /// Whether the operator said it; otherwise a phone or a PBX reported it, or the configuration says
    /// it.
    #[must_use]
    pub const fn is_operator(&self) -> bool {
        matches!(
            self,
            Self::Lamp
                | Self::DoNotDisturb
                | Self::Forward
                | Self::Note
                | Self::Presence
                | Self::Messages
                | Self::Appearance
                | Self::Contact(_)
        )
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Publish(entity_tag) => return write!(formatter, "publish:{entity_tag}"),
            Self::Client(entity_tag) => return write!(formatter, "client:{entity_tag}"),
            Self::Upstream(name) => return write!(formatter, "upstream:{name}"),
            Self::Register(uri) => return write!(formatter, "register:{uri}"),
            Self::Contact(uri) => return write!(formatter, "operator:registered:{uri}"),
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

#[cfg(test)]
mod tests {
    use super::{EntityTag, Source};

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
