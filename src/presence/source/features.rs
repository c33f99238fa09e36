//! The features of a user: do-not-disturb and call forwarding (W:C9, D3.17).
//!
//! They are set by the phone (`as-feature-event`) or by the operator, and do not expire.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// When a call is forwarded (W:C9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ForwardKind {
    /// Always.
    Immediate,
    /// When the user is in a call.
    Busy,
    /// When the call is not answered.
    NoAnswer,
}

impl ForwardKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Immediate, Self::Busy, Self::NoAnswer];

    /// As operators and programs write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Immediate => "immediate",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
        }
    }
}

/// One call forwarding, as it was set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Forward {
    /// When calls are forwarded.
    pub kind: ForwardKind,
    /// Whether it is on. A phone may set a target without activating forwarding.
    pub is_active: bool,
    /// The target: a number or a URI, as set; empty if none was ever set.
    pub target: Arc<str>,
    /// After how many rings, for [`ForwardKind::NoAnswer`].
    pub ring_count: Option<u32>,
}

impl Forward {
    /// The most rings before a call is forwarded, as phones offer them.
    pub const RINGS_MAX: u32 = 99;
}

/// All features of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Do-not-disturb is on.
    pub do_not_disturb: bool,
    /// At most one of each kind, in the order of [`ForwardKind`].
    pub forwards: Vec<Forward>,
}

impl Features {
    /// The immediate forwarding, if it is on and has a target.
    #[must_use]
    pub fn diversion(&self) -> Option<&Forward> {
        self.forwards.iter().find(|forward| {
            forward.kind == ForwardKind::Immediate
                && forward.is_active
                && !forward.target.is_empty()
        })
    }
}
