//! What a user has switched on at the exchange: do-not-disturb and call forwarding (W:C9, D3.17).
//!
//! StateUpdate by the phone (`as-feature-event`) or by the operator; it has no expiry.

use std::sync::Arc;

/// When a call is sent on (W:C9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ForwardKind {
    /// Always.
    Immediate,
    /// When the user is in a call.
    Busy,
    /// When nobody answers.
    NoAnswer,
}

/// One forwarding, as set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Forward {
    /// When.
    pub kind: ForwardKind,
    /// Whether it is on. A phone may name a target and leave it off.
    pub is_active: bool,
    /// Where to: a number or a URI, as it was set; empty when none was ever named.
    pub target: Arc<str>,
    /// After how many rings, for [`ForwardKind::NoAnswer`].
    pub ring_count: Option<u32>,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The user does not want to be disturbed.
    pub do_not_disturb: bool,
    /// At most one of each kind, in the order of [`ForwardKind`].
    pub forwards: Vec<Forward>,
}

impl Features {
    /// The forwarding that sends every call on, when it is on and goes somewhere.
    #[must_use]
    pub fn diversion(&self) -> Option<&Forward> {
        self.forwards.iter().find(|forward| {
            forward.kind == ForwardKind::Immediate
                && forward.is_active
                && !forward.target.is_empty()
        })
    }
}
