//! A view: what decides how a state reads, besides the state. Watchers with equal views share a
//! body.

use crate::presence::profile::Rendering;
use crate::presence::subscription::Package;
use crate::presence::subscription::Privacy;

/// The document a subscription is told its state in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `application/dialog-info+xml`
    DialogInfo,
    /// `application/pidf+xml`
    Pidf,
}

impl Format {
    /// The formats of a package, the one it falls back to first.
    #[must_use]
    pub const fn of(package: Package) -> &'static [Self] {
        match package {
            Package::Dialog => &[Self::DialogInfo],
            Package::Presence => &[Self::Pidf],
        }
    }

    /// Its media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::DialogInfo => "application/dialog-info+xml",
            Self::Pidf => "application/pidf+xml",
        }
    }
}

/// How a state reads for one kind of watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The document.
    pub format: Format,
    /// How much of the calls is shown.
    pub privacy: Privacy,
    /// What the watcher's family of User-Agents needs.
    pub rendering: Rendering,
}
