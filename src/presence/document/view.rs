//! A view: everything besides the state that determines how a state is written. Watchers with equal
//! views share a body.

use serde::{Deserialize, Serialize};

use crate::presence::document::multipart;
use crate::presence::event::Package;
use crate::presence::policy::Privacy;
use crate::presence::profile::Rendering;

/// The format in which a subscription is notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Format {
    /// `application/dialog-info+xml` (RFC 4235)
    DialogInfo,
    /// `application/pidf+xml` (RFC 3863)
    Pidf,
    /// `application/cpim-pidf+xml`: the octets of [`Self::Pidf`] under the media type of its drafts
    /// (W:B2.10).
    CpimPidf,
    /// `application/xpidf+xml` (W:B2.11)
    Xpidf,
    /// `application/pidf-diff+xml` (RFC 5262, 5263): only if Accept names it.
    PidfDiff,
    /// `application/simple-message-summary` (RFC 3842)
    MessageSummary,
    /// `application/reginfo+xml` (RFC 3680)
    RegInfo,
    /// `application/watcherinfo+xml` (RFC 3858)
    WatcherInfo,
    /// `application/x-as-feature-event+xml`, several in a `multipart/mixed` (W:C9)
    FeatureEvent,
    /// `application/x-broadworks-callpark-info+xml` (W:C10.4)
    CallPark,
    /// No body: the state is in the headers (W:C10.1).
    Nothing,
}

impl Format {
    /// The formats of a package in order of preference. The first is the default.
    #[must_use]
    pub const fn of(package: Package) -> &'static [Self] {
        match package {
            Package::Dialog => &[Self::DialogInfo],
            Package::Presence => &[Self::Pidf, Self::PidfDiff, Self::Xpidf, Self::CpimPidf],
            Package::MessageSummary => &[Self::MessageSummary],
            Package::Reg => &[Self::RegInfo],
            Package::PresenceWinfo | Package::DialogWinfo => &[Self::WatcherInfo],
            Package::AsFeatureEvent => &[Self::FeatureEvent],
            Package::CallInfo => &[Self::Nothing, Self::CallPark],
            Package::LineSeize => &[Self::Nothing],
        }
    }

    /// Its media type, as an Accept names it; empty for [`Self::Nothing`].
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::DialogInfo => "application/dialog-info+xml",
            Self::Pidf => "application/pidf+xml",
            Self::CpimPidf => "application/cpim-pidf+xml",
            Self::Xpidf => "application/xpidf+xml",
            Self::PidfDiff => "application/pidf-diff+xml",
            Self::MessageSummary => "application/simple-message-summary",
            Self::RegInfo => "application/reginfo+xml",
            Self::WatcherInfo => "application/watcherinfo+xml",
            Self::FeatureEvent => "application/x-as-feature-event+xml",
            Self::CallPark => "application/x-broadworks-callpark-info+xml",
            Self::Nothing => "",
        }
    }

    /// Returns whether the state, or part of it, is written into a Call-Info header (W:C10.1).
    #[must_use]
    pub const fn has_call_info(self) -> bool {
        matches!(self, Self::Nothing | Self::CallPark)
    }

    /// Appends the Content-Type value with which it is sent.
    pub fn write_content_type(self, out: &mut Vec<u8>) {
        if self == Self::FeatureEvent {
            multipart::write_mixed(out);
        } else {
            out.extend_from_slice(self.content_type().as_bytes());
        }
    }
}

/// How a state is written for one kind of watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The document.
    pub format: Format,
    /// How much of the calls is shown.
    pub privacy: Privacy,
    /// The requirements of the watcher's device profile.
    pub rendering: Rendering,
}
