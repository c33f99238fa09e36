//! What a family of User-Agents needs (W:C0-C6): how its bodies are written, how it is notified.

mod rendering;

use std::time::Duration;

pub use rendering::DoNotDisturbLamp;
pub use rendering::Idle;
pub use rendering::ParameterValue;
pub use rendering::Rendering;
pub use rendering::Unregistered;

/// A family of User-Agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name, for `watchers`: `yealink`.
    pub name: Box<str>,
    /// How bodies are written.
    pub rendering: Rendering,
    /// `dialog-info` with `state="partial"` after the first (W:B3.8).
    pub partial_dialog_info: bool,
    /// xpidf to whoever asks for it, even when PIDF is accepted too (W:C2.2).
    pub prefers_xpidf: bool,
    /// An empty Accept counts as none at all (W:A1.10).
    pub empty_accept_is_absent: bool,
    /// A list is served to it although it does not say `Supported: eventlist` (W:A1.11).
    pub assumes_eventlist: bool,
    /// Octets of one NOTIFY of a list on UDP, head and all; None for as many as a datagram carries in
    /// fragments (W:B5.10).
    pub list_octets: Option<u32>,
    /// Resources in one NOTIFY's list body (W:C4.3).
    pub list_resources: Option<u16>,
    /// Lists consolidated, always in full (W:B5.19); None for what the list says.
    pub list_is_broadworks: Option<bool>,
    /// Lists of presence as linphone alone reads them: `Event: Presence`, parts named `Content-Id`
    /// without angle brackets, and no names in a list that came in the SUBSCRIBE (W:C6.9, G1).
    pub linphone_lists: bool,
    /// NOTIFYs a second in the long run; None for the server's own.
    pub notify_rate: Option<u32>,
    /// NOTIFYs at once before that rate holds; None for the server's own (W:A3.13).
    pub notify_burst: Option<u32>,
    /// NOTIFYs in a row that may stay unanswered (W:A3.7).
    pub strikes: Option<u8>,
    /// Shortest expiry; None for the domain's.
    pub min_expires: Option<Duration>,
    /// A new subscription ends the older one of the same Contact, presentity and package: it starts
    /// anew without having ended what it had (W:A2.19).
    pub replaces_same_contact: bool,
    /// SIP-ETag in NOTIFYs (RFC 5839).
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
