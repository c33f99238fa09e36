//! Device profiles (W:C0-C6): how bodies for a family of User-Agents are written, and how it is
//! notified.

mod rendering;

use std::time::Duration;

pub use rendering::{DoNotDisturbLamp, Idle, ParameterValue, Rendering, Unregistered};

/// A family of User-Agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name, for `watchers`: `yealink`.
    pub name: Box<str>,
    /// How bodies are written.
    pub rendering: Rendering,
    /// After the first `dialog-info`, only changes, with `state="partial"` (RFC 4235 §4.3).
    pub partial_dialog_info: bool,
    /// xpidf if Accept names it, even if Accept names PIDF as well (W:C2.2).
    pub prefers_xpidf: bool,
    /// An empty Accept header counts as absent (RFC 3261 §8.2.3, §21.4.7).
    pub empty_accept_is_absent: bool,
    /// Lists are served even without `Supported: eventlist` (RFC 4662 §4.1).
    pub assumes_eventlist: bool,
    /// Maximum octets of one NOTIFY of a list over UDP, headers included; None for as many as a
    /// fragmented datagram carries (W:B5.10).
    pub list_octets: Option<u32>,
    /// Maximum resources in one NOTIFY's list body (W:C4.3).
    pub list_resources: Option<u16>,
    /// Lists are always written in full, one document per member (W:B5.19); None for the list's own
    /// style.
    pub list_is_broadworks: Option<bool>,
    /// Lists of presence in the form that only linphone reads: `Event: Presence`, parts with a
    /// `Content-Id` without angle brackets, and no names in a list that was in the SUBSCRIBE
    /// (W:C6.9, G1).
    pub linphone_lists: bool,
    /// NOTIFYs per second on average; None for the server's default.
    pub notify_rate: Option<u32>,
    /// NOTIFYs in one burst, above that rate; None for the server's default (W:A3.13).
    pub notify_burst: Option<u32>,
    /// Consecutive NOTIFYs that may time out before the subscription ends (W:A3.7).
    pub strikes: Option<u8>,
    /// Minimum expiry; None for the domain's.
    pub min_expires: Option<Duration>,
    /// A new subscription replaces an older one with the same Contact, presentity and package: these
    /// phones restart without ending their subscriptions (W:A2.19).
    pub replaces_same_contact: bool,
    /// Whether NOTIFYs have SIP-ETag (RFC 5839).
    pub entity_tags: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            name: "generic".into(),
            rendering: Rendering::GENERIC,
            partial_dialog_info: false,
            prefers_xpidf: false,
            empty_accept_is_absent: false,
            assumes_eventlist: false,
            list_octets: None,
            list_resources: None,
            list_is_broadworks: None,
            linphone_lists: false,
            notify_rate: None,
            notify_burst: None,
            strikes: None,
            min_expires: None,
            replaces_same_contact: false,
            entity_tags: true,
        }
    }
}
