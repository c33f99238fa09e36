//! What the configuration says about how a presentity is composed (W:D2, D3): the style of its
//! domain, what is known about its user.

/// Whose rules make the composed state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Style {
    /// Ours: do-not-disturb > ringing > busy > away > available.
    #[default]
    Standard,
    /// W:D2: reachability from registrations and alternative numbers, an extended status.
    Alceo,
    /// W:D3: a telephony track and a rich one, forwarding before busy.
    Imagicle,
}

/// The rules for one presentity. Most of a domain share one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The domain's style.
    pub style: Style,
    /// Numbers behind which a forwarding means voice mail: the domain's pilots, then the user's own
    /// (W:D3.19).
    pub voicemail: Vec<Box<str>>,
    /// A number at which the user is reachable without being registered (W:D2.6).
    pub alternative: Option<Box<str>>,
    /// The user's name.
    pub display: Option<Box<str>>,
    /// A park orbit: there only while something is parked in it.
    pub is_orbit: bool,
}
