//! What the body of a SUBSCRIBE brings along. Each package reads its own, in its own file.

use std::sync::Arc;

use crate::presence::event::Package;
use crate::presence::event::list::Resolved;
use crate::presence::source::StateUpdate;
use crate::shard::Shard;
use crate::shard::directory::Directory;
use crate::shard::features::read_switch;
use crate::shard::respond::Refusal;
use crate::sip::Message;

/// What a body brings along.
#[derive(Debug)]
pub(crate) enum Enclosed {
    /// There is none, or one that may be passed over.
    Nothing,
    /// The resources to watch (RFC 5367).
    List(Arc<Resolved>),
    /// A feature of the presentity to switch (W:C9).
    Switch(StateUpdate),
}

impl Enclosed {
    /// The resources to watch.
    pub(crate) fn list(&self) -> Option<&Arc<Resolved>> {
        match self {
            Self::List(list) => Some(list),
            Self::Nothing | Self::Switch(_) => None,
        }
    }

    /// Whether something is to be switched.
    pub(crate) fn is_switch(&self) -> bool {
        matches!(self, Self::Switch(_))
    }
}

impl Shard {
    /// Reads the body of a SUBSCRIBE to a package.
    pub(crate) fn read_enclosed<'d>(
        &self,
        message: &Message<'_>,
        package: Package,
        directory: &Directory,
    ) -> Result<Enclosed, Refusal<'d>> {
        let enclosed = match package {
            Package::AsFeatureEvent => read_switch(message)?.map(Enclosed::Switch),
            _ => self.read_list(message, directory)?.map(Enclosed::List),
        };
        Ok(enclosed.unwrap_or(Enclosed::Nothing))
    }
}
