//! The body of a SUBSCRIBE. Each package parses its own format in its own file.

use std::sync::Arc;

use crate::presence::event::Package;
use crate::presence::event::list::Resolved;
use crate::presence::source::StateUpdate;
use crate::shard::contract::turn::Turn;
use crate::shard::list::request::read_list;
use crate::shard::package::feature_event::read_switch;
use crate::shard::request::refusal::Refusal;
use crate::sip::Message;

/// What a body brings along.
#[derive(Debug)]
pub(crate) enum Enclosed {
    /// No body, or an optional one that is ignored (Content-Disposition handling=optional).
    Nothing,
    /// The resources to watch (RFC 5367).
    List(Arc<Resolved>),
    /// A feature to turn on or off (W:C9).
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

/// Reads the body of a SUBSCRIBE to a package.
pub(crate) fn read_enclosed<'d>(
    message: &Message<'_>,
    package: Package,
    turn: &Turn<'d>,
) -> Result<Enclosed, Refusal<'d>> {
    let enclosed = match package {
        Package::AsFeatureEvent => read_switch(message)?.map(Enclosed::Switch),
        _ => read_list(message, turn)?.map(Enclosed::List),
    };
    Ok(enclosed.unwrap_or(Enclosed::Nothing))
}
