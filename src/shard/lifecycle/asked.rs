//! A parsed and validated SUBSCRIBE.

use std::sync::Arc;
use std::time::Duration;

use crate::directory::Domain;
use crate::presence::Aor;
use crate::presence::document::Format;
use crate::presence::event::{ExpiryLimits, Package, TooBrief};
use crate::presence::policy::Decision;
use crate::presence::profile::Profile;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::body::{Enclosed, read_enclosed};
use crate::shard::list::plan::ListPlan;
use crate::shard::request::headers::{accepted_format, event_of, expires_of};
use crate::shard::request::refusal::Refusal;
use crate::sip::{HeaderName, Message};

/// What a SUBSCRIBE asks for, checked.
pub(crate) struct Asked<'m> {
    pub(crate) package: Package,
    pub(crate) format: Format,
    pub(crate) event: &'m [u8],
    pub(crate) granted: Duration,
    /// The shortest that could have been.
    pub(crate) expires_min: Duration,
    pub(crate) enclosed: Enclosed,
    pub(crate) profile: Arc<Profile>,
}

/// Everything needed to create a subscription.
pub(crate) struct Beginning<'a> {
    pub(crate) aor: &'a Aor,
    pub(crate) plan: Option<ListPlan>,
    pub(crate) decision: Decision,
    pub(crate) asked: &'a Asked<'a>,
    pub(crate) entity: &'a [u8],
    pub(crate) message: &'a Message<'a>,
}

pub(crate) fn read_subscribe<'m, 'd>(
    message: &Message<'m>,
    domain: &Domain,
    turn: &Turn<'d>,
) -> Result<Asked<'m>, Refusal<'d>> {
    let (package, _, event) = event_of(message)?;
    let user_agent = message.header(HeaderName::UserAgent).unwrap_or_default();
    let profile = Arc::clone(turn.directory.profile(user_agent));
    let enclosed = read_enclosed(message, package, turn)?;
    let format = accepted_format(message, package, &profile)?;
    let package_max = package.expires_max().unwrap_or(domain.max_expires);
    let limits = ExpiryLimits {
        min: profile
            .min_expires
            .unwrap_or(domain.min_expires)
            .min(package_max),
        max: domain.max_expires.min(package_max),
    };
    let granted = limits.grant(expires_of(message)?, package.expires_default());
    let granted = granted.map_err(|TooBrief(min)| Refusal::TooBrief(min))?;
    Ok(Asked {
        package,
        format,
        event,
        granted,
        expires_min: limits.min,
        enclosed,
        profile,
    })
}
